//! Owns telling noise from SIP at the first bytes of a datagram, so that noise costs next to nothing.

/// Longest method that is taken for one, in bytes.
const MAX_METHOD_BYTES: usize = 32;

/// Whether bytes begin as a response or a request does. Cheap: noise must not cost more than this.
pub(super) fn begins_like_sip(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let Some(method) = bytes.iter().take(MAX_METHOD_BYTES).position(|b| *b == b' ').and_then(|at| bytes.get(..at))
    else {
        return false;
    };
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b);
    !method.is_empty() && method.iter().all(is_token)
}

/// Whether a datagram is there only to keep a way open: nothing, line ends, or zeros.
pub(super) fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.len() <= 4 && bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

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
