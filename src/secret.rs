//! Owns values that must never be printed and are compared without telling how far they agreed.

use std::fmt;

use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

/// A value that is never shown: `Debug` prints a mark, there is no `Display`, equality takes constant time.
#[derive(Clone, Encode, Decode)]
#[cbor(transparent)]
pub struct Secret<T>(#[n(0)] T);

impl<T> Secret<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The caller must not log it, format it or put it into an error.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Secret<T> {
    /// Reads the value itself, as it stands in a configuration.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T: AsRef<[u8]>> Secret<T> {
    /// Whether `candidate` is this secret. The time taken depends on the length of `candidate` only.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.as_ref().ct_eq(candidate).into()
    }
}

impl<T: AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_ref())
    }
}

impl<T: AsRef<[u8]>> Eq for Secret<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown_and_compares() {
        let secret = Secret::new(String::from("hunter2"));
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert!(secret.matches(b"hunter2"));
        assert!(!secret.matches(b"hunter") && !secret.matches(b"hunter3") && !secret.matches(b""));
    }
}
