//! Owns telephone numbers: reading what people type, what kind of number it is, whether it may be called at all, and
//! how it is shown. It does not know who may call which country for whom; that is configuration.

mod emergency;
mod extension;
mod kind;
mod mask;
mod plan;
mod read;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use extension::{Extension, NotAnExtension};
pub use kind::{NotANumberType, NumberType};
pub use mask::{LastDigits, NotLastDigits};
pub use plan::{calling_code, countries};
pub use read::{Number, NumberError, read};

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

    /// The country or territory it belongs to; `None` for numbers of no country (satellite, worldwide services) and
    /// for digits that no numbering plan knows.
    #[must_use]
    pub fn country(&self) -> Option<CountryCode> {
        plan::country_of(self)
    }

    /// Where it begins, for counting numbers of one origin together: `+`, calling code and at most three national digits,
    /// of which at least four more stay out. `None` for digits that no numbering plan knows.
    #[must_use]
    pub fn prefix(&self) -> Option<String> {
        plan::prefix(self)
    }

    /// The number in full as it is dialled inside its country, `090-1234-5678`: for the person who typed it, before
    /// the call. The caller must not log it.
    #[must_use]
    pub fn format_national(&self) -> String {
        plan::national(self).unwrap_or_else(|| self.0.clone())
    }

    /// The number in full as it is dialled from elsewhere, `+81 90-1234-5678`: for the person who typed it, before the
    /// call. The caller must not log it.
    #[must_use]
    pub fn format_international(&self) -> String {
        plan::international(self).unwrap_or_else(|| self.0.clone())
    }
}

impl<'de> Deserialize<'de> for E164 {
    /// Only the international form: where a program, not a person, wrote the number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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

impl Serialize for CountryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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
    /// Masked: calling code, the national digits in the groups of their country, only the last of them shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&mask::mask(self))
    }
}
