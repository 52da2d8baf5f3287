//! Owns what this process knows of results that could not be delivered yet: how many, and since when the oldest waits.
//! The store has the results themselves; this is only for measurements.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{id::EffectId, time::Timestamp};

/// Most results that are known here. Where more wait, the oldest are what counts, and those are known already.
const MOST_KNOWN: usize = 4_096;
/// How long after its next attempt is due a result is believed to be ours: then another ringproof has taken it.
const OURS_FOR: Duration = Duration::from_secs(60);

/// Results that were tried by this process and wait for their next attempt.
#[derive(Default)]
pub(super) struct Backlog(Mutex<BTreeMap<EffectId, Waiting>>);

#[derive(Clone, Copy)]
struct Waiting {
    since: Timestamp,
    again_at: Timestamp,
}

impl Backlog {
    /// A result that was committed at `since` waits for an attempt at `again_at`.
    pub(super) fn put_off(&self, id: EffectId, since: Timestamp, again_at: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = known.get_mut(&id) {
            waiting.again_at = again_at;
        } else if known.len() < MOST_KNOWN {
            known.insert(id, Waiting { since, again_at });
        }
    }

    /// A result waits no longer.
    pub(super) fn over(&self, id: EffectId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// How many results wait, and how long the oldest of them.
    pub(super) fn waiting(&self, now: Timestamp) -> (usize, Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, waiting| now <= waiting.again_at.plus(OURS_FOR));
        let oldest = known.values().map(|waiting| waiting.since).min();
        (known.len(), oldest.map_or(Duration::ZERO, |since| now.since(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Partition, VerificationId};

    #[test]
    fn the_oldest_counts_until_it_is_over_or_anothers() {
        let at = |seconds: u64| Timestamp::default().plus(Duration::from_secs(seconds));
        let id = |n: u8| EffectId {
            verification: VerificationId::new(at(1), [n; 16], Partition::of(n)),
            revision: 2,
            index: 0,
        };
        let backlog = Backlog::default();
        assert_eq!(backlog.waiting(at(100)), (0, Duration::ZERO));
        backlog.put_off(id(1), at(10), at(105));
        backlog.put_off(id(2), at(40), at(700));
        assert_eq!(backlog.waiting(at(100)), (2, Duration::from_secs(90)));
        // Tried again and put off again: it waits since it was committed.
        backlog.put_off(id(1), at(104), at(400));
        assert_eq!(backlog.waiting(at(300)), (2, Duration::from_secs(290)));
        // Long after its attempt was due: another ringproof has it.
        assert_eq!(backlog.waiting(at(461)), (1, Duration::from_secs(421)));
        backlog.over(id(2));
        assert_eq!(backlog.waiting(at(462)), (0, Duration::ZERO));
    }
}
