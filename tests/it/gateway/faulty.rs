//! A store that fails when it is told to, before or after it wrote.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use ringproof::{
    guard::{
        meter::Key,
        step::{Answer, Settle, StoredBar, Take},
    },
    id::{CallId, EffectId, NumberHash, VerificationId},
    store::{
        CallQuery, Changed, Commit, Committed, Counts, Created, DeadLetter, Due, Held, IdempotencyKey, ListQuery,
        Outgoing, Page, Pending, Remembered, Store, StoreError, StoreHealth, TallyQuery, Waiting,
    },
    time::Timestamp,
    verification::{CallRecord, Delivery, Verification},
};

/// Which operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fails {
    /// It is not done.
    Before,
    /// It is done, but the answer is lost.
    After,
}

pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    fails: Fails,
    /// Operations that still work; the one after fails.
    left: AtomicI64,
    /// How many fail from then on.
    failures: AtomicI64,
    /// Effects that were put off, and until when.
    pub(crate) put_off: Mutex<Vec<(EffectId, Timestamp)>>,
}

impl Faulty {
    /// Fails `failures` operations after the first `working`.
    pub(crate) fn new(inner: Arc<dyn Store>, fails: Fails, working: usize, failures: usize) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fails,
            left: AtomicI64::new(i64::try_from(working).unwrap()),
            failures: AtomicI64::new(i64::try_from(failures).unwrap()),
            put_off: Mutex::default(),
        })
    }

    /// Fails never.
    pub(crate) fn sound(inner: Arc<dyn Store>) -> Arc<Self> {
        Self::new(inner, Fails::Before, usize::MAX >> 1, 0)
    }

    /// From now on everything fails, or nothing any more.
    pub(crate) fn set_away(&self, away: bool) {
        self.left.store(if away { 0 } else { i64::MAX }, Ordering::SeqCst);
        self.failures.store(if away { i64::MAX } else { 0 }, Ordering::SeqCst);
    }

    fn fails_now(&self) -> bool {
        self.left.fetch_sub(1, Ordering::SeqCst) <= 0 && self.failures.fetch_sub(1, Ordering::SeqCst) > 0
    }

    fn run<'a, T: Send + 'a>(&self, work: Pending<'a, T>) -> Pending<'a, T> {
        if !self.fails_now() {
            return work;
        }
        match self.fails {
            Fails::Before => Box::pin(async { Err(StoreError::Away(String::from("planted"))) }),
            Fails::After => Box::pin(async {
                let _ = work.await;
                Err(StoreError::Timeout)
            }),
        }
    }
}

impl Store for Faulty {
    fn create<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Created> {
        self.run(self.inner.create(change))
    }
    fn load(&self, id: VerificationId) -> Pending<'_, Option<Verification>> {
        self.run(self.inner.load(id))
    }
    fn commit<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Committed> {
        self.run(self.inner.commit(change))
    }
    fn admit<'a>(&'a self, take: &'a Take) -> Pending<'a, (Timestamp, Answer)> {
        self.run(self.inner.admit(take))
    }
    fn settle<'a>(&'a self, settle: &'a Settle) -> Pending<'a, Timestamp> {
        self.run(self.inner.settle(settle))
    }
    fn bars(&self, limit: usize) -> Pending<'_, Vec<(Key, StoredBar)>> {
        self.run(self.inner.bars(limit))
    }
    fn due(&self, limit: usize) -> Pending<'_, Due> {
        self.inner.due(limit)
    }
    fn take(&self, limit: usize, lease: Duration) -> Pending<'_, Vec<Outgoing>> {
        self.inner.take(limit, lease)
    }
    fn done(&self, id: EffectId) -> Pending<'_, ()> {
        self.run(self.inner.done(id))
    }
    fn retry(&self, id: EffectId, at: Timestamp) -> Pending<'_, ()> {
        self.put_off.lock().unwrap().push((id, at));
        self.run(self.inner.retry(id, at))
    }
    fn bury(&self, id: EffectId, why: String) -> Pending<'_, ()> {
        self.run(self.inner.bury(id, why))
    }
    fn outbox(&self, limit: usize) -> Pending<'_, Vec<Waiting>> {
        self.run(self.inner.outbox(limit))
    }
    fn dead_letters(&self, limit: usize) -> Pending<'_, Vec<DeadLetter>> {
        self.run(self.inner.dead_letters(limit))
    }
    fn revive(&self, id: EffectId) -> Pending<'_, bool> {
        self.run(self.inner.revive(id))
    }
    fn discard(&self, id: EffectId) -> Pending<'_, bool> {
        self.run(self.inner.discard(id))
    }
    fn hold(&self, number: NumberHash, id: VerificationId, hold_for: Duration) -> Pending<'_, Held> {
        self.run(self.inner.hold(number, id, hold_for))
    }
    fn release(&self, number: NumberHash, id: VerificationId) -> Pending<'_, ()> {
        self.run(self.inner.release(number, id))
    }
    fn remember<'a>(&'a self, key: &'a IdempotencyKey, keep_for: Duration) -> Pending<'a, Remembered> {
        self.run(self.inner.remember(key, keep_for))
    }
    fn forget<'a>(&'a self, key: &'a IdempotencyKey) -> Pending<'a, ()> {
        self.run(self.inner.forget(key))
    }
    fn list<'a>(&'a self, query: &'a ListQuery) -> Pending<'a, Page<Verification>> {
        self.run(self.inner.list(query))
    }
    fn calls<'a>(&'a self, query: &'a CallQuery) -> Pending<'a, Page<CallRecord>> {
        self.run(self.inner.calls(query))
    }
    fn call(&self, id: CallId) -> Pending<'_, Option<CallRecord>> {
        self.run(self.inner.call(id))
    }
    fn note_delivery<'a>(&'a self, id: VerificationId, delivery: &'a Delivery) -> Pending<'a, ()> {
        // Beside the way of a verification: what fails is planted where it is changed.
        self.inner.note_delivery(id, delivery)
    }
    fn deliveries<'a>(&'a self, ids: &'a [VerificationId]) -> Pending<'a, Vec<Option<Delivery>>> {
        self.inner.deliveries(ids)
    }
    fn erase<'a>(&'a self, records: &'a [CallRecord]) -> Pending<'a, usize> {
        self.run(self.inner.erase(records))
    }

    fn tallies(&self, query: TallyQuery) -> Pending<'_, Vec<Counts>> {
        self.run(self.inner.tallies(query))
    }
    fn changes(&self) -> tokio::sync::broadcast::Receiver<Changed> {
        self.inner.changes()
    }
    fn follow(&self, id: VerificationId) -> Pending<'_, ()> {
        self.inner.follow(id)
    }
    fn leave(&self, id: VerificationId) {
        self.inner.leave(id);
    }
    fn check(&self, now: Timestamp) -> Pending<'_, StoreHealth> {
        self.run(self.inner.check(now))
    }
    fn number_key(&self, fresh: [u8; 32]) -> Pending<'_, [u8; 32]> {
        self.inner.number_key(fresh)
    }
}
