//! Owns measuring a store: how long each kind of work takes, as those who wait for it see it, and how it fails. What is
//! done is done by the store behind it.

use std::{sync::Arc, time::Duration};

use metrics::{Histogram, counter, histogram};
use tokio::time::Instant;

use super::{
    CallQuery, Changed, Commit, Committed, Counts, Created, DeadLetter, Due, Held, IdempotencyKey, ListQuery, Outgoing,
    Page, Pending, Remembered, Store, StoreError, StoreHealth, TallyQuery, Waiting,
};
use crate::{
    guard::{
        meter::Key,
        step::{Answer, Settle, StoredBar, Take},
    },
    id::{CallId, EffectId, NumberHash, VerificationId},
    time::Timestamp,
    verification::{CallRecord, Delivery, Verification},
};

/// A store whose work is measured.
pub(super) struct Measured {
    store: Arc<dyn Store>,
    create: Histogram,
    load: Histogram,
    commit: Histogram,
    due: Histogram,
    outbox: Histogram,
    hold: Histogram,
    key: Histogram,
    list: Histogram,
    guard: Histogram,
    check: Histogram,
}

impl Measured {
    /// Measures `store` from now on.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        for kind in ["away", "timeout", "setup", "unreadable"] {
            counter!("ringproof_store_errors_total", "kind" => kind).increment(0);
        }
        let of = |work: &'static str| histogram!("ringproof_store_seconds", "work" => work);
        Self {
            store,
            create: of("create"),
            load: of("load"),
            commit: of("commit"),
            due: of("due"),
            outbox: of("outbox"),
            hold: of("hold"),
            key: of("key"),
            list: of("list"),
            guard: of("guard"),
            check: of("check"),
        }
    }
}

/// Measures one piece of work from now to its end; work that nobody waits for any longer counts as a timeout.
fn timed<'a, T: Send + 'a>(seconds: &'a Histogram, work: Pending<'a, T>) -> Pending<'a, T> {
    let measure = Measure { seconds, begun: Instant::now(), fault: Some("timeout") };
    Box::pin(async move {
        // Taken in whole, so that it is told of when this is dropped.
        let mut measure = measure;
        let done = work.await;
        measure.fault = done.as_ref().err().map(kind);
        done
    })
}

struct Measure<'a> {
    seconds: &'a Histogram,
    begun: Instant,
    fault: Option<&'static str>,
}

impl Drop for Measure<'_> {
    fn drop(&mut self) {
        let took: Duration = self.begun.elapsed();
        self.seconds.record(took.as_secs_f64());
        if let Some(kind) = self.fault {
            counter!("ringproof_store_errors_total", "kind" => kind).increment(1);
        }
    }
}

/// The kind of a failure, in one word.
const fn kind(fault: &StoreError) -> &'static str {
    match fault {
        StoreError::Away(_) => "away",
        StoreError::Timeout => "timeout",
        StoreError::Setup(_) => "setup",
        StoreError::Unreadable(_) => "unreadable",
    }
}

impl Store for Measured {
    fn create<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Created> {
        timed(&self.create, self.store.create(change))
    }

    fn load(&self, id: VerificationId) -> Pending<'_, Option<Verification>> {
        timed(&self.load, self.store.load(id))
    }

    fn commit<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Committed> {
        timed(&self.commit, self.store.commit(change))
    }

    fn admit<'a>(&'a self, take: &'a Take) -> Pending<'a, (Timestamp, Answer)> {
        timed(&self.guard, self.store.admit(take))
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Pending<'a, Timestamp> {
        timed(&self.guard, self.store.settle(settle))
    }

    fn bars(&self, limit: usize) -> Pending<'_, Vec<(Key, StoredBar)>> {
        timed(&self.guard, self.store.bars(limit))
    }

    fn due(&self, limit: usize) -> Pending<'_, Due> {
        timed(&self.due, self.store.due(limit))
    }

    fn take(&self, limit: usize, lease: Duration) -> Pending<'_, Vec<Outgoing>> {
        timed(&self.outbox, self.store.take(limit, lease))
    }

    fn done(&self, id: EffectId) -> Pending<'_, ()> {
        timed(&self.outbox, self.store.done(id))
    }

    fn retry(&self, id: EffectId, at: Timestamp) -> Pending<'_, ()> {
        timed(&self.outbox, self.store.retry(id, at))
    }

    fn bury(&self, id: EffectId, why: String) -> Pending<'_, ()> {
        timed(&self.outbox, self.store.bury(id, why))
    }

    fn outbox(&self, limit: usize) -> Pending<'_, Vec<Waiting>> {
        timed(&self.list, self.store.outbox(limit))
    }

    fn dead_letters(&self, limit: usize) -> Pending<'_, Vec<DeadLetter>> {
        timed(&self.list, self.store.dead_letters(limit))
    }

    fn revive(&self, id: EffectId) -> Pending<'_, bool> {
        timed(&self.outbox, self.store.revive(id))
    }

    fn discard(&self, id: EffectId) -> Pending<'_, bool> {
        timed(&self.outbox, self.store.discard(id))
    }

    fn hold(&self, number: NumberHash, id: VerificationId, hold_for: Duration) -> Pending<'_, Held> {
        timed(&self.hold, self.store.hold(number, id, hold_for))
    }

    fn release(&self, number: NumberHash, id: VerificationId) -> Pending<'_, ()> {
        timed(&self.hold, self.store.release(number, id))
    }

    fn remember<'a>(&'a self, key: &'a IdempotencyKey, keep_for: Duration) -> Pending<'a, Remembered> {
        timed(&self.key, self.store.remember(key, keep_for))
    }

    fn forget<'a>(&'a self, key: &'a IdempotencyKey) -> Pending<'a, ()> {
        timed(&self.key, self.store.forget(key))
    }

    fn list<'a>(&'a self, query: &'a ListQuery) -> Pending<'a, Page<Verification>> {
        timed(&self.list, self.store.list(query))
    }

    fn calls<'a>(&'a self, query: &'a CallQuery) -> Pending<'a, Page<CallRecord>> {
        timed(&self.list, self.store.calls(query))
    }

    fn call(&self, id: CallId) -> Pending<'_, Option<CallRecord>> {
        timed(&self.list, self.store.call(id))
    }

    fn note_delivery<'a>(&'a self, id: VerificationId, delivery: &'a Delivery) -> Pending<'a, ()> {
        timed(&self.outbox, self.store.note_delivery(id, delivery))
    }

    fn deliveries<'a>(&'a self, ids: &'a [VerificationId]) -> Pending<'a, Vec<Option<Delivery>>> {
        timed(&self.list, self.store.deliveries(ids))
    }

    fn erase<'a>(&'a self, records: &'a [CallRecord]) -> Pending<'a, usize> {
        timed(&self.list, self.store.erase(records))
    }

    fn tallies(&self, query: TallyQuery) -> Pending<'_, Vec<Counts>> {
        timed(&self.list, self.store.tallies(query))
    }

    fn changes(&self) -> tokio::sync::broadcast::Receiver<Changed> {
        self.store.changes()
    }

    fn follow(&self, id: VerificationId) -> Pending<'_, ()> {
        // What comes of it is not always awaited.
        self.store.follow(id)
    }

    fn leave(&self, id: VerificationId) {
        self.store.leave(id);
    }

    fn check(&self, now: Timestamp) -> Pending<'_, StoreHealth> {
        timed(&self.check, self.store.check(now))
    }

    fn number_key(&self, fresh: [u8; 32]) -> Pending<'_, [u8; 32]> {
        timed(&self.key, self.store.number_key(fresh))
    }
}
