//! Owns the one place where randomness enters: ids, seeds, codes and jitter are drawn from here.

use rand::Rng;

use crate::id::Entropy;

/// A cryptographically secure generator, seeded by the operating system and seeded again as it is used.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}
