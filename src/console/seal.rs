//! Owns sealing what a browser keeps for us: sessions, searches, a sign-in that is under way. What was sealed can neither
//! be read nor changed, is good for one purpose and for a time, and any ringproof beside the same store opens it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use data_encoding::BASE64URL_NOPAD;

use crate::{secret::Secret, time::Timestamp};

/// Bytes of the end of life in front of what is sealed.
const UNTIL_BYTES: usize = 8;
/// Longest text that is looked at: browsers keep no longer cookies.
const MAX_SEALED_CHARS: usize = 4096;

/// Seals with AES-256 in Galois/counter mode under a random nonce (NIST SP 800-38D section 8.2.2).
pub(super) struct Seal(RandomizedNonceKey);

/// The key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the key of the sessions cannot be used")]
pub struct NoSeal;

impl Seal {
    pub(super) fn new(key: &Secret<[u8; 32]>) -> Result<Self, NoSeal> {
        RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map(Self).map_err(|_| NoSeal)
    }

    /// Seals `payload` for one purpose, until then. `None` only where the system has no randomness.
    pub(super) fn seal(&self, purpose: &str, payload: &[u8], until: Timestamp) -> Option<String> {
        let mut bytes = until.as_ms().to_be_bytes().to_vec();
        bytes.extend_from_slice(payload);
        let nonce = self.0.seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut bytes).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        Some(BASE64URL_NOPAD.encode(&sealed))
    }

    /// What was sealed for this purpose, unless its time is over.
    pub(super) fn open(&self, purpose: &str, text: &str, now: Timestamp) -> Option<Vec<u8>> {
        if text.len() > MAX_SEALED_CHARS {
            return None;
        }
        let sealed = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = bytes.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut bytes).ok()?;
        let (until, payload) = opened.split_first_chunk::<UNTIL_BYTES>()?;
        (now < Timestamp::from_ms(u64::from_be_bytes(*until))).then(|| payload.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_sealed_is_opened_for_its_purpose_in_its_time_by_its_key_unchanged() {
        let seal = Seal::new(&Secret::new([7; 32])).unwrap();
        let now = Timestamp::from_ms(1_795_000_000_000);
        let until = now.plus(Duration::from_secs(60));
        let sealed = seal.seal("session", b"operator", until).unwrap();
        assert!(!sealed.contains("operator"));
        assert_ne!(sealed, seal.seal("session", b"operator", until).unwrap(), "a nonce is used once");
        assert_eq!(seal.open("session", &sealed, now).as_deref(), Some(b"operator".as_slice()));
        assert_eq!(seal.open("search", &sealed, now), None, "another purpose");
        assert_eq!(seal.open("session", &sealed, until), None, "too late");
        assert_eq!(Seal::new(&Secret::new([8; 32])).unwrap().open("session", &sealed, now), None, "another key");
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert!(forged == sealed || seal.open("session", &forged, now).is_none(), "changed at {at}");
        }
        for bad in ["", "AAAA", "not base64 !", &"A".repeat(5000)] {
            assert_eq!(seal.open("session", bad, now), None);
        }
    }
}
