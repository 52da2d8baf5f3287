//! Owns the keys that a peer sends in the body of an INFO request: `application/dtmf-relay` and `application/dtmf`. No RFC
//! defines them; gateways have written them like this for twenty years.

use crate::dtmf::Digit;

/// Most keys read from one body. A body holds one; some gateways send a few.
const MAX_KEYS: usize = 16;

/// The keys in a body, in order; none when the type is another one or nothing in it is a key.
///
/// `content_type` may have parameters and any case.
#[must_use]
pub fn keys(content_type: &str, body: &[u8]) -> Vec<Digit> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let text = String::from_utf8_lossy(body);
    if kind.eq_ignore_ascii_case("application/dtmf-relay") {
        text.split(['\r', '\n']).filter_map(signal).take(MAX_KEYS).collect()
    } else if kind.eq_ignore_ascii_case("application/dtmf") {
        plain(text.trim())
    } else {
        Vec::new()
    }
}

/// `Signal=5`, `signal = 11`.
fn signal(line: &str) -> Option<Digit> {
    let (name, value) = line.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("signal") {
        return None;
    }
    key(value.trim())
}

/// The body of `application/dtmf`: a key, a few, or once more `Signal=`.
fn plain(text: &str) -> Vec<Digit> {
    if text.contains('=') {
        return text.split(['\r', '\n']).filter_map(signal).take(MAX_KEYS).collect();
    }
    if let Some(key) = key(text) {
        return vec![key];
    }
    let keys: Option<Vec<Digit>> = text.chars().take(MAX_KEYS + 1).map(Digit::from_char).collect();
    keys.filter(|keys| keys.len() <= MAX_KEYS).unwrap_or_default()
}

/// A key by its character, or by the number of its telephone-event (RFC 4733 section 3.2): 10 is `*`, 11 is `#`.
fn key(text: &str) -> Option<Digit> {
    match text {
        "10" => Some(Digit::STAR),
        "11" => Some(Digit::POUND),
        text => {
            let mut letters = text.chars();
            letters.next().and_then(Digit::from_char).filter(|_| letters.next().is_none())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &str) -> String {
        keys(content_type, body.as_bytes()).into_iter().map(Digit::as_char).collect()
    }

    #[test]
    fn one_key_however_it_is_written() {
        for body in
            ["Signal=#\r\nDuration=160\r\n", "signal = 11\nduration=100", "Duration=160\r\nSignal= #", "SIGNAL=#"]
        {
            assert_eq!(read("application/dtmf-relay", body), "#", "{body:?}");
        }
        assert_eq!(read("Application/DTMF-Relay; charset=utf-8", "Signal=*"), "*");
        assert_eq!(read("application/dtmf", "5\r\n"), "5");
        assert_eq!(read("application/dtmf", " 11 "), "#");
        assert_eq!(read("application/dtmf", "Signal=10"), "*");
        assert_eq!(read("application/dtmf", "12#"), "12#");
    }

    #[test]
    fn no_key() {
        for (content_type, body) in [
            ("text/plain", "5"),
            ("application/dtmf-relay", "Signal=\r\nDuration=1"),
            ("application/dtmf-relay", "Signal=A"),
            ("application/dtmf-relay", "Signal=55"),
            ("application/dtmf-relay", "Signals=5"),
            ("application/dtmf", ""),
            ("application/dtmf", "5x"),
            ("application/dtmf", "123456789012345678901234567890"),
        ] {
            assert_eq!(read(content_type, body), "", "{content_type} {body:?}");
        }
        assert!(keys("application/dtmf-relay", &[0xff, 0xfe, 0x00]).is_empty());
    }
}
