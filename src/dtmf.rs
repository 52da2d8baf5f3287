//! Owns the keys of a telephone (ITU-T Q.23) and strings of them. What a key means is decided elsewhere.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

/// One key of a telephone: `0`–`9`, `*` or `#`. The letters A–D are on no public telephone and are not keys here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Digit(#[n(0)] u8);

impl Digit {
    /// The key that ends an entry and says yes: pound, hash, シャープ.
    pub const POUND: Self = Self(b'#');
    /// The star key.
    pub const STAR: Self = Self(b'*');

    /// The key printed as `c`, if there is one.
    #[must_use]
    pub const fn from_char(c: char) -> Option<Self> {
        match c {
            '0'..='9' | '*' | '#' => Some(Self(c as u8)),
            _ => None,
        }
    }

    /// The character printed on the key.
    #[must_use]
    pub const fn as_char(self) -> char {
        self.0 as char
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•")
    }
}

/// A string of at most [`Digits::MAX`] keys. A pressed key may be a secret, so `Debug` prints only how many there are.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Digits(#[n(0)] String);

impl Digits {
    /// The longest string of keys that is kept; no flow asks for more.
    pub const MAX: usize = 32;

    /// No key at all: what silence brings.
    #[must_use]
    pub const fn none() -> Self {
        Self(String::new())
    }

    /// How many keys.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key was pressed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys in order.
    pub fn iter(&self) -> impl Iterator<Item = Digit> + '_ {
        self.0.bytes().map(Digit)
    }

    /// The keys without `end`, when they end with it.
    #[must_use]
    pub fn before(&self, end: Digit) -> Option<Self> {
        self.0.strip_suffix(end.as_char()).map(|rest| Self(rest.to_owned()))
    }

    /// The one key, when there is exactly one.
    #[must_use]
    pub fn single(&self) -> Option<Digit> {
        let mut keys = self.iter();
        keys.next().filter(|_| keys.next().is_none())
    }

    /// The keys as text. A secret where they are a code: never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both are the same keys; the time taken depends on the lengths only.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// Text that is no string of keys: some other character, or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only 0-9, * and # are keys of a telephone, at most {max} of them", max = Digits::MAX)]
pub struct NotDigits;

impl FromStr for Digits {
    type Err = NotDigits;

    fn from_str(text: &str) -> Result<Self, NotDigits> {
        let keys_only = text.chars().all(|c| Digit::from_char(c).is_some());
        if keys_only && text.len() <= Self::MAX { Ok(Self(text.to_owned())) } else { Err(NotDigits) }
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Digits {
        text.parse().unwrap()
    }

    #[test]
    fn keys_and_nothing_else() {
        assert_eq!(digits("12*0#").len(), 5);
        for bad in ["A", "１", " 1", "12 34", "+81"] {
            assert_eq!(bad.parse::<Digits>().unwrap_err(), NotDigits, "{bad}");
        }
        assert!("1".repeat(Digits::MAX + 1).parse::<Digits>().is_err());
    }

    #[test]
    fn parts() {
        assert_eq!(digits("#").single(), Some(Digit::POUND));
        assert_eq!(digits("##").single(), None);
        assert_eq!(Digits::none().single(), None);
        assert!(digits("123#").before(Digit::POUND).unwrap().same_as(&digits("123")));
        assert!(digits("123").before(Digit::POUND).is_none());
    }

    #[test]
    fn are_not_shown() {
        assert_eq!(format!("{:?} {:?}", digits("4711"), Digit::POUND), "4 keys •");
    }
}
