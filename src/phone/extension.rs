//! Owns what is dialled after a switchboard has answered.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer};

/// Digits, `*`, `#` and `,` (a second of silence) dialled after answer; at least one key, at most [`Extension::MAX`]
/// characters. `Debug` does not show it: with the number it leads to one person's desk.
#[derive(Clone, PartialEq, Eq)]
pub struct Extension(String);

impl Extension {
    /// Most characters, pauses included.
    pub const MAX: usize = 32;

    /// What is dialled. The caller must not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Text that is no extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an extension is digits, `*`, `#` and `,` for a second of silence; at least one key, at most {} characters",
    Extension::MAX
)]
pub struct NotAnExtension;

impl FromStr for Extension {
    type Err = NotAnExtension;

    fn from_str(text: &str) -> Result<Self, NotAnExtension> {
        let ascii: String = text.trim().chars().map(to_ascii).collect();
        let known = ascii.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b','));
        let has_key = ascii.bytes().any(|b| b != b',');
        if known && has_key && ascii.len() <= Self::MAX { Ok(Self(ascii)) } else { Err(NotAnExtension) }
    }
}

/// The half-width form of what Japanese keyboards produce.
fn to_ascii(c: char) -> char {
    match c {
        '０'..='９' | '＊' | '＃' | '，' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '、' => ',',
        _ => c,
    }
}

impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "extension of {}", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Extension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
