//! Owns the cutting of a byte stream into messages (RFC 3261 section 18.3): a head, then as many bytes as `Content-Length`
//! says. What is in a message is read elsewhere.

use super::limits::{MAX_HEAD, MAX_MESSAGE};

/// Cuts messages out of one TCP or TLS connection.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// How far the buffer was searched for the end of a head.
    searched: usize,
    /// Whole length of the message at the start of the buffer, once its head is there.
    whole: Option<usize>,
    broken: bool,
}

/// What a [`Framer`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// One message.
    Message(Vec<u8>),
    /// A keep-alive of the peer, two line ends (RFC 5626 section 3.5.1): answer it with one, `\r\n`.
    Ping,
}

/// The stream can be read no further: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No `Content-Length`, several that differ, or one that is no number.
    #[error("a message on a stream has no usable Content-Length")]
    Length,
    /// A head or a body above the bounds.
    #[error("a message on a stream is too large")]
    TooLarge,
}

impl Framer {
    /// Takes bytes as they were read. At most one message above the bounds is held, since reading stops at an error.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole thing, or `None` until more bytes come. Call it until it says `None` after each push.
    ///
    /// # Errors
    /// The stream is broken; every later call says so too.
    pub fn poll(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.broken {
            return Err(FrameError::Length);
        }
        let found = self.cut();
        if found.is_err() {
            self.broken = true;
            self.buffer = Vec::new();
        }
        found
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.whole.is_none() {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.take(4);
                return Ok(Some(Frame::Ping));
            }
            let lone = self.buffer.starts_with(b"\r\n") && self.buffer.get(2).is_some_and(|byte| *byte != b'\r');
            if lone {
                // RFC 3261 section 7.5: line ends before a start line are ignored.
                self.take(2);
            }
            self.whole = self.measure()?;
        }
        match self.whole {
            Some(whole) if self.buffer.len() >= whole => Ok(Some(Frame::Message(self.take(whole)))),
            _ => Ok(None),
        }
    }

    /// The length of the first message, when its head is complete.
    fn measure(&mut self) -> Result<Option<usize>, FrameError> {
        let from = self.searched.saturating_sub(3);
        let end = self.buffer.get(from..).and_then(|rest| find(rest, b"\r\n\r\n")).map(|at| from + at + 4);
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return if self.buffer.len() > MAX_HEAD { Err(FrameError::TooLarge) } else { Ok(None) };
        };
        let head = self.buffer.get(..end).unwrap_or_default();
        let body = content_length(head).ok_or(FrameError::Length)?;
        match end.checked_add(body) {
            Some(whole) if whole <= MAX_MESSAGE => Ok(Some(whole)),
            _ => Err(FrameError::TooLarge),
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        self.searched = 0;
        self.whole = None;
        std::mem::replace(&mut self.buffer, rest)
    }
}

/// The one length that a head states, in its long or compact form.
fn content_length(head: &[u8]) -> Option<usize> {
    let mut found: Option<usize> = None;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if value.is_empty() || value.len() > 9 || !value.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length = value.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        if found.is_some_and(|other| other != length) {
            return None;
        }
        found = Some(length);
    }
    found
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
