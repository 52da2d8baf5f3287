//! Owns the times of RFC 3261 (table 4) and when who has to be looked at next.

use std::{collections::BTreeSet, time::Duration};

use super::{AttemptId, RequestId};
use crate::{sip::RegistrationKey, time::Timestamp};

/// Estimate of a round trip: the first interval between two copies of a message.
pub(super) const T1: Duration = Duration::from_millis(500);
/// Longest interval between two copies.
pub(super) const T2: Duration = Duration::from_secs(4);
/// 64 times T1: timers B, D, F, H, J and M, and how long an ended call is remembered.
pub(super) const T1_X64: Duration = Duration::from_secs(32);

/// Whom a point in time concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sleeper {
    Attempt(AttemptId),
    Request(RequestId),
    Registration(RegistrationKey),
}

/// When each sleeper wants to be looked at: one time each.
#[derive(Default)]
pub(super) struct Wakes(BTreeSet<(Timestamp, Sleeper)>);

impl Wakes {
    /// Moves the time of a sleeper. `armed` is where it keeps the old one.
    pub(super) fn arm(&mut self, sleeper: Sleeper, armed: &mut Option<Timestamp>, at: Option<Timestamp>) {
        if *armed == at {
            return;
        }
        if let Some(old) = armed.take() {
            self.0.remove(&(old, sleeper));
        }
        if let Some(at) = at {
            self.0.insert((at, sleeper));
        }
        *armed = at;
    }

    /// The next time.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Somebody whose time has come. The sleeper has to arm itself anew.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Sleeper> {
        let (at, sleeper) = *self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first();
        Some(sleeper)
    }
}

/// The copies of one message on a transport that may lose it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copies {
    next: Option<Timestamp>,
    interval: Duration,
    most: Duration,
}

impl Copies {
    /// None at all: the transport loses nothing.
    pub(super) const NONE: Self = Self { next: None, interval: T1, most: T1 };

    /// The first copy in T1, then at twice the interval each, `most` apart at last.
    pub(super) fn every(now: Timestamp, most: Duration) -> Self {
        Self { next: Some(now.plus(T1)), interval: T1, most }
    }

    /// When the next copy is due.
    pub(super) const fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// Whether a copy is due now; the next one is put off then. A process that slept sends one copy, not all it missed.
    pub(super) fn due(&mut self, now: Timestamp) -> bool {
        if self.next.is_none_or(|at| at > now) {
            return false;
        }
        self.interval = self.interval.saturating_mul(2).min(self.most);
        self.next = Some(now.plus(self.interval));
        true
    }

    /// From now on only at the longest interval (timer E in "Proceeding").
    pub(super) fn slow_down(&mut self, now: Timestamp) {
        if self.next.is_some() {
            self.interval = self.most;
            self.next = Some(now.plus(self.most));
        }
    }

    pub(super) const fn stop(&mut self) {
        self.next = None;
    }
}
