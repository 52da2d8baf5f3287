//! Owns the small grammar that all headers share: lists with commas, parameters with semicolons, quoted texts, angle
//! brackets (RFC 3261 section 25.1).

use std::borrow::Cow;

use super::limits::{MAX_PARAMS, MAX_VALUES};

/// The parts of `text` between `separator`s that stand outside quotes and angle brackets, without blanks around them.
/// `None` when a quote or a bracket is not closed, or there are more parts than [`MAX_VALUES`].
pub(super) fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut from = 0;
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !bracketed => quoted = !quoted,
            _ if quoted => {}
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            byte if byte == separator && !bracketed => {
                parts.push(text.get(from..at)?.trim_matches(blank));
                from = at + 1;
            }
            _ => {}
        }
        if parts.len() >= MAX_VALUES {
            return None;
        }
    }
    parts.push(text.get(from..)?.trim_matches(blank));
    (!quoted && !bracketed).then_some(parts)
}

/// Space and tab.
pub(super) const fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// What stands in a quoted text, without the quotes and escapes; the text itself when it is not quoted.
pub(super) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(c) = letters.next() {
        plain.push(if c == '\\' { letters.next().unwrap_or('\\') } else { c });
    }
    Cow::Owned(plain)
}

/// Whether `text` is a token: what names, methods and most parameter values consist of.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// At most `bytes` of `text`, cut between characters.
pub(crate) fn shorten(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The parameters behind a value: `;tag=x;lr`. Names know no case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Params<'a> {
    /// Reads what stands behind the first semicolon. `None` when a parameter is empty or a name is no token; a semicolon
    /// at the end is let pass.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let text = text.trim_matches(blank);
        let text = text.strip_suffix(';').map_or(text, |text| text.trim_end_matches(blank));
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut params = Vec::new();
        for part in split(text, b';')? {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_matches(blank), Some(value.trim_matches(blank))),
                None => (part, None),
            };
            if !is_token(name) || params.len() >= MAX_PARAMS {
                return None;
            }
            params.push((name, value));
        }
        Some(Self(params))
    }

    /// Whether there is such a parameter, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// The value of the first parameter of this name, quotes removed.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).and_then(|(_, value)| *value).map(unquote)
    }
}
