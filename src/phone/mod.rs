//! Owns telephone numbers: reading what people type, what kind of number it is, whether it may be called at all, and
//! how it is shown. It does not know who may call which country for whom; that is configuration.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Encode};

/// A telephone number in international form (ITU-T E.164): `+` and up to 15 digits. Never shown in full: `Display` and
/// `Debug` mask it; only [`E164::expose`] gives the digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct E164(#[n(0)] String);

impl E164 {
    /// The number in full, for the carrier and for keyed hashes. The caller must not log it or put it into an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A country or territory by its two capital letters (ISO 3166-1 alpha-2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct CountryCode(#[cbor(n(0), with = "minicbor::bytes")] [u8; 2]);

/// Text that is no ISO 3166-1 alpha-2 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a country is two letters, as in JP or US (ISO 3166-1 alpha-2)")]
pub struct NotACountry;

impl FromStr for CountryCode {
    type Err = NotACountry;

    fn from_str(text: &str) -> Result<Self, NotACountry> {
        let bytes: [u8; 2] = text.as_bytes().try_into().map_err(|_| NotACountry)?;
        if bytes.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(bytes.map(|b| b.to_ascii_uppercase())))
        } else {
            Err(NotACountry)
        }
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.0).unwrap_or("??"))
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no number in international form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number in international form is + and 7 to 15 digits, the first of them not 0 (ITU-T E.164)")]
pub struct NotE164;

impl FromStr for E164 {
    type Err = NotE164;

    fn from_str(text: &str) -> Result<Self, NotE164> {
        let digits = text.strip_prefix('+').ok_or(NotE164)?;
        let well_formed =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if well_formed { Ok(Self(text.to_owned())) } else { Err(NotE164) }
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+•• {}", self.0.get(self.0.len().saturating_sub(4)..).unwrap_or(""))
    }
}
