//! Owns how rows and bars are kept as bytes, and what they do when their time has come. When they are looked at is
//! decided in [`super::step`].

use std::time::Duration;

use super::{
    meter::Key,
    step::{Bar, Kept, Run, Sense},
};
use crate::time::Timestamp;

/// A row as it is kept: how many (4 bytes), until when the pause lasts (6).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) count: u32,
    pub(super) until: Timestamp,
}

impl Row {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (count, until) = bytes.split_first_chunk()?;
        let until = until.iter().take(6).fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        Some(Self { count: u32::from_be_bytes(*count), until: Timestamp::from_ms(until) })
    }

    pub(super) fn grown(self, now: Timestamp, run: &Run, by: u32) -> Self {
        let place = usize::try_from(self.count).unwrap_or(usize::MAX);
        let pause = run.pauses.get(place).or_else(|| run.pauses.last()).copied().unwrap_or_default();
        Self { count: self.count.saturating_add(by), until: self.until.max(now.plus(pause)) }
    }

    pub(super) fn put<K: Kept + ?Sized>(self, kept: &mut K, now: Timestamp, run: &Run) -> Result<(), K::Fault> {
        let until = self.until.as_ms().to_be_bytes();
        let bytes = self.count.to_be_bytes().into_iter().chain(until.into_iter().skip(2)).collect();
        kept.put(&run.key, bytes, now.plus(run.keep).max(self.until))
    }
}

/// A bar as it is kept: sense (1 byte, `a` or `d`), pinned (1, `p` or `-`), when it ends (6), when it lets one through (6,
/// 0 for never), how often then in ms (4), why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBar {
    /// Whether calls are refused or allowed.
    pub sense: Sense,
    /// An operator set it.
    pub pinned: bool,
    /// Until when.
    pub ends: Timestamp,
    /// When it lets the next call through, to try.
    pub next_probe: Option<Timestamp>,
    /// Then one each time this has passed.
    pub probe_every: Duration,
    /// Why.
    pub why: String,
}

impl StoredBar {
    /// What the keys of bars begin with.
    pub const SCOPE: &'static str = "bar";

    /// As it is kept from now on.
    #[must_use]
    pub fn of(bar: &Bar, now: Timestamp) -> Self {
        Self {
            sense: bar.sense,
            pinned: bar.pinned,
            ends: now.plus(bar.holds_for),
            next_probe: bar.first_probe.map(|after| now.plus(after)),
            probe_every: bar.probe_every,
            why: bar.why.clone(),
        }
    }

    /// Reads what is kept; `None` for what is no bar.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (head, why) = bytes.split_first_chunk::<18>()?;
        let [sense, pinned, times @ ..] = head;
        let (ends, times) = times.split_at(6);
        let (next, every) = times.split_at(6);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        let next = number(next);
        Some(Self {
            sense: if *sense == b'a' { Sense::Allow } else { Sense::Deny },
            pinned: *pinned == b'p',
            ends: Timestamp::from_ms(number(ends)),
            next_probe: Some(Timestamp::from_ms(next)).filter(|_| next > 0),
            probe_every: Duration::from_millis(number(every)),
            why: String::from_utf8_lossy(why).into_owned(),
        })
    }

    /// What is kept of it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let sense = match self.sense {
            Sense::Allow => b'a',
            Sense::Deny => b'd',
        };
        let six = |at: Timestamp| at.as_ms().to_be_bytes().into_iter().skip(2);
        let every = u32::try_from(self.probe_every.as_millis()).unwrap_or(u32::MAX);
        let mut bytes = vec![sense, if self.pinned { b'p' } else { b'-' }];
        bytes.extend(six(self.ends).chain(six(self.next_probe.unwrap_or_default())));
        bytes.extend(every.to_be_bytes());
        bytes.extend(self.why.bytes());
        bytes
    }

    pub(super) fn lets_through(&self, now: Timestamp) -> bool {
        self.next_probe.is_some_and(|at| at <= now)
    }

    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        Some(self.next_probe.unwrap_or(self.ends).min(self.ends).since(now))
    }

    pub(super) fn probed(&self, now: Timestamp) -> Self {
        Self { next_probe: Some(now.plus(self.probe_every)), ..self.clone() }
    }

    pub(super) fn put<K: Kept + ?Sized>(&self, kept: &mut K, key: &Key) -> Result<(), K::Fault> {
        kept.put(key, self.bytes(), self.ends)
    }
}
