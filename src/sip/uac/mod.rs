//! Owns the user agent client: every transaction, dialog, probe and registration of the process, and their timers.

use super::{Counters, Input, Output, Settings};
use crate::time::Timestamp;

/// The user agent client. See [`super`] for how it is driven.
pub struct Uac {
    settings: Settings,
    seed: [u8; 32],
    now: Timestamp,
    counters: Counters,
}

impl Uac {
    /// A client without calls. `seed` is where its tags, branches and Call-IDs come from: 32 bytes of the system's
    /// generator, never used twice.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32], now: Timestamp) -> Self {
        Self { settings, seed, now, counters: Counters::default() }
    }

    /// Takes one thing that happened. Never fails: what makes no sense is counted.
    pub fn handle_input(&mut self, now: Timestamp, input: Input<'_>) {
        self.now = now;
        drop(input);
    }

    /// What to do next; call until it is [`Output::Timeout`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        Output::Timeout(None)
    }

    /// What went wrong so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}
