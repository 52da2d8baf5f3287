//! Owns cutting a stream into messages by Content-Length (RFC 3261 section 18.3), within bounds. It reads nothing else of
//! a message.

use bytes::{Buf, Bytes, BytesMut};

use super::MAX_MESSAGE_BYTES;

/// What a stream brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole message.
    Message(Bytes),
    /// Two line ends: the other side asks whether we are there (RFC 5626 section 3.5.1).
    Ping,
}

/// A stream that cannot be cut any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadStream {
    /// Not SIP, or no length.
    #[error("it sends what is not SIP")]
    NotSip,
    /// A message above the limit.
    #[error("it sends a message of more than {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
}

/// Collects what a stream brings.
#[derive(Debug, Default)]
pub(super) struct Framer {
    held: BytesMut,
    /// How much of it is known not to hold the end of a head, so that a message that drips in is looked at once.
    searched: usize,
}

impl Framer {
    /// Where more bytes go.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        &mut self.held
    }

    /// The next frame, if it is whole.
    ///
    /// # Errors
    /// The stream makes no sense; it has to be closed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, BadStream> {
        if self.held.starts_with(b"\r\n\r\n") {
            self.held.advance(4);
            return Ok(Some(Frame::Ping));
        }
        // A lone line end is the answer to a ping, or the first half of one.
        if self.held.len() > 2 && self.held.starts_with(b"\r\n") && self.held.get(2) != Some(&b'\r') {
            self.held.advance(2);
            return self.next();
        }
        if self.held.first().is_none_or(|first| *first == b'\r') {
            return if self.held.len() < 4 { Ok(None) } else { Err(BadStream::NotSip) };
        }
        let unsearched = self.held.get(self.searched..).unwrap_or_default();
        let Some(head) = find(unsearched, b"\r\n\r\n").map(|at| self.searched + at + 4) else {
            self.searched = self.held.len().saturating_sub(3);
            return match self.held.len() {
                length if length > MAX_MESSAGE_BYTES => Err(BadStream::TooLarge),
                length if length >= MIN_TELLING_BYTES && !begins_like_sip(&self.held) => Err(BadStream::NotSip),
                _ => Ok(None),
            };
        };
        let body = content_length(self.held.get(..head).unwrap_or_default())?;
        let whole = head.saturating_add(body);
        if whole > MAX_MESSAGE_BYTES {
            return Err(BadStream::TooLarge);
        }
        if self.held.len() < whole {
            self.searched = head.saturating_sub(4);
            return Ok(None);
        }
        self.searched = 0;
        Ok(Some(Frame::Message(self.held.split_to(whole).freeze())))
    }
}

/// From this many bytes on it is plain whether something is SIP: the longest method and the scheme fit in.
const MIN_TELLING_BYTES: usize = 64;
/// Longest method that is taken for one, in bytes.
const MAX_METHOD_BYTES: usize = 32;

/// Whether bytes begin as a response or a request does. Cheap: noise must not cost more than this.
pub(super) fn begins_like_sip(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let Some(method) = bytes.iter().take(MAX_METHOD_BYTES).position(|b| *b == b' ').and_then(|at| bytes.get(..at)) else {
        return false;
    };
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b);
    !method.is_empty() && method.iter().all(is_token)
}

/// Whether a datagram is there only to keep a way open: nothing, line ends, or zeros.
pub(super) fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.len() <= 4 && bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The length of the body. On a stream it has to be told (RFC 3261 section 20.14); of several the same must be told.
fn content_length(head: &[u8]) -> Result<usize, BadStream> {
    let mut told = None;
    for flow in head.split(|b| *b == b'\n').skip(1) {
        let Some(colon) = flow.iter().position(|b| *b == b':') else { continue };
        let (name, value) = flow.split_at(colon);
        let name = name.trim_ascii();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let digits = value.get(1..).unwrap_or_default().trim_ascii();
        let is_number = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(digits).ok().filter(|_| is_number).and_then(|digits| digits.parse().ok());
        let length: usize = length.ok_or(BadStream::NotSip)?;
        if told.is_some_and(|told| told != length) {
            return Err(BadStream::NotSip);
        }
        told = Some(length);
    }
    told.ok_or(BadStream::NotSip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<Result<Frame, BadStream>> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for piece in pieces {
            framer.room().extend_from_slice(piece);
            loop {
                match framer.next() {
                    Ok(Some(frame)) => found.push(Ok(frame)),
                    Ok(None) => break,
                    Err(error) => {
                        found.push(Err(error));
                        return found;
                    }
                }
            }
        }
        found
    }

    fn message(text: &str) -> Result<Frame, BadStream> {
        Ok(Frame::Message(Bytes::copy_from_slice(text.as_bytes())))
    }

    const OK: &str = "SIP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const BYE: &str = "BYE sip:a@b SIP/2.0\r\nl : 0\r\n\r\n";

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let stream = format!("\r\n{OK}{BYE}\r\n\r\n{OK}\r\n{BYE}");
        let expected = vec![message(OK), message(BYE), Ok(Frame::Ping), message(OK), message(BYE)];
        assert_eq!(frames(&[stream.as_bytes()]), expected);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(frames(&bytes), expected);
        for at in 1..stream.len() {
            let (one, two) = stream.as_bytes().split_at(at);
            assert_eq!(frames(&[one, two]), expected, "cut at {at}");
        }
    }

    #[test]
    fn what_is_no_sip_or_too_large_ends_the_stream() {
        let no_length = b"SIP/2.0 200 OK\r\nTo: a\r\n\r\n".as_slice();
        let two = b"SIP/2.0 200 OK\r\nl: 1\r\nContent-Length: 2\r\n\r\nxx".as_slice();
        let negative = b"SIP/2.0 200 OK\r\nl: -1\r\n\r\n".as_slice();
        let noise = [0x16; 80];
        for bad in [no_length, two, negative, &noise, b"\r\r\r\r\r"] {
            assert_eq!(frames(&[bad]), [Err(BadStream::NotSip)], "{}", String::from_utf8_lossy(bad));
        }
        let long = "x".repeat(MAX_MESSAGE_BYTES);
        let large_head = format!("SIP/2.0 200 OK\r\nX: {long}");
        let large_body = "SIP/2.0 200 OK\r\nContent-Length: 999999999\r\n\r\n";
        for bad in [large_head.as_str(), large_body] {
            assert_eq!(frames(&[bad.as_bytes()]), [Err(BadStream::TooLarge)]);
        }
        let twice_the_same = "SIP/2.0 200 OK\r\nl: 1\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(frames(&[twice_the_same.as_bytes()]), [message(twice_the_same)]);
    }

    #[test]
    fn noise_is_told_from_sip_at_its_beginning() {
        for good in ["SIP/2.0 200 OK", "INVITE sip:a SIP/2.0", "x-Ext.1 sip:a"] {
            assert!(begins_like_sip(good.as_bytes()), "{good}");
        }
        for bad in ["", " ", "\r\n\r\n", "HTTP/1.1 200 OK", "\u{1}\u{2}", "INVITE", &"A".repeat(40)] {
            assert!(!begins_like_sip(bad.as_bytes()), "{bad}");
        }
        assert!(is_keep_alive(b"\r\n\r\n") && is_keep_alive(b"") && is_keep_alive(&[0; 4]) && !is_keep_alive(b"jaK"));
    }
}
