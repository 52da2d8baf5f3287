//! Owns the unguessable names that the protocol needs: tags, branches, Call-IDs, client nonces. They come out of a seed, so
//! that a test sees the same ones again.

use data_encoding::BASE32_DNSSEC;
use sha2::{Digest, Sha256};

use super::message::COOKIE;

/// Bytes that nobody can foretell without the seed: SHA-256 of the seed and a counter.
pub(super) struct Random {
    seed: [u8; 32],
    drawn: u64,
}

/// Bytes of a token: 100 bits are enough (RFC 3261 section 19.3 asks for 32), 120 fill the letters.
const TOKEN: usize = 15;

impl Random {
    pub(super) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let hash = Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes());
        hash.finalize().into()
    }

    /// 24 letters and digits.
    pub(super) fn token(&mut self) -> String {
        BASE32_DNSSEC.encode(self.draw().get(..TOKEN).unwrap_or_default())
    }

    /// The branch of a transaction.
    pub(super) fn branch(&mut self) -> String {
        format!("{COOKIE}{}", self.token())
    }

    /// A number from 0 to `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        let bytes = self.draw();
        let wide = bytes.iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
        wide % most.saturating_add(1)
    }

    /// A token that is the same for the same text, and foretold by nobody: the tag of answers that keep no state.
    pub(super) fn stable(&self, text: &[u8]) -> String {
        let hash: [u8; 32] =
            Sha256::new().chain_update(self.seed).chain_update(b"tag").chain_update(text).finalize().into();
        BASE32_DNSSEC.encode(hash.get(..TOKEN).unwrap_or_default())
    }
}
