//! Owns the face of the store: what is kept, what one commit is, what a store promises. It decides nothing about a
//! verification: it compares revision, deadline and turn, and writes all of a change or none of it.
//!
//! Every store here passes the same conformance suite (`tests/it/stores.rs`).

mod change;
mod codec;
mod config;
pub mod embedded;
mod listing;
mod measured;
pub mod redis;
mod rows;
mod tally;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    guard::{
        meter::Key,
        step::{Answer, Settle, Stop, StoredBar, Take},
    },
    id::{CallId, EffectId, NumberHash, VerificationId},
    outcome::{Fault, Reason, Status},
    phone::{CountryCode, LastDigits},
    time::{Clock, SystemClock, Timestamp},
    verification::{CallRecord, Delivery, Verification},
};

pub use config::{Config, Place, Servers, Topology};
pub use listing::{CallPlace, NotAPlace};
pub use tally::{
    ANSWER_BOUNDS_S, CarrierKind, Counts, MOST_SPANS, OutcomeKind, PrefixKind, Span, Tally, TallyQuery, VERIFY_BOUNDS_S,
};

/// Opens the store that the configuration names, and measures what it does. Its clock is the wall clock, that of Redis for Redis.
///
/// # Errors
/// [`StoreError::Setup`] when the settings, or those of the server, do not let us work, with what to do about it;
/// [`StoreError::Away`] or [`StoreError::Timeout`] when it cannot be reached.
pub async fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store: Arc<dyn Store> = match config.place()? {
        Place::Memory => Arc::new(embedded::Embedded::in_memory(clock, config.retention)),
        Place::Embedded(dir) => Arc::new(embedded::Embedded::on_disk(&dir, clock, config.retention)?),
        Place::Redis(servers) => Arc::new(redis::Redis::open(&servers, config.retention).await?),
    };
    Ok(Arc::new(measured::Measured::new(store)))
}

/// Changes that are kept for a listener that does not keep up, before it is told that it lags.
const CHANGES_KEPT: usize = 4_096;

/// A future of a store: async methods cannot be called on `dyn Store`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where verifications are kept. Time is the store's own: of all ringproofs beside each other, one clock decides.
pub trait Store: Send + Sync {
    /// Writes a new verification, holding its first number. Idempotent for the same id.
    fn create<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Created>;

    /// Reads a verification. Always the newest committed value.
    fn load(&self, id: VerificationId) -> Pending<'_, Option<Verification>>;

    /// Writes a change of a verification, with everything that belongs to it, or nothing.
    fn commit<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Committed>;

    /// Verifications whose deadline has come by the store's clock, earliest first, at most `limit`, and that time.
    fn due(&self, limit: usize) -> Pending<'_, Due>;

    /// Takes effects that are due by the store's clock, at most `limit`; each is hidden for `lease`, then due again unless
    /// it was [`Store::done`]. Placements are never returned here.
    fn take(&self, limit: usize, lease: Duration) -> Pending<'_, Vec<Outgoing>>;

    /// Forgets an effect that is done.
    fn done(&self, id: EffectId) -> Pending<'_, ()>;

    /// Makes an effect due again at `at`, counting one more attempt.
    fn retry(&self, id: EffectId, at: Timestamp) -> Pending<'_, ()>;

    /// Moves an effect to the dead letters, where it is kept for the retention.
    fn bury(&self, id: EffectId, why: String) -> Pending<'_, ()>;

    /// Effects that wait in the outbox, due ones and later ones, the next due first, at most `limit`. Takes nothing.
    fn outbox(&self, limit: usize) -> Pending<'_, Vec<Waiting>>;

    /// Dead letters, newest first, at most `limit`.
    fn dead_letters(&self, limit: usize) -> Pending<'_, Vec<DeadLetter>>;

    /// Makes a dead letter due at once, with a fresh count of attempts. False if there is none of that id.
    fn revive(&self, id: EffectId) -> Pending<'_, bool>;

    /// Takes a dead letter away for good. False if there is none of that id.
    fn discard(&self, id: EffectId) -> Pending<'_, bool>;

    /// Holds a number for a verification for `hold_for`, or says who holds it. Idempotent for the holder.
    fn hold(&self, number: NumberHash, id: VerificationId, hold_for: Duration) -> Pending<'_, Held>;

    /// Lets a number go, if `id` holds it.
    fn release(&self, number: NumberHash, id: VerificationId) -> Pending<'_, ()>;

    /// Remembers under an idempotency key which verification it made, or says what it made before.
    fn remember<'a>(&'a self, key: &'a IdempotencyKey, keep_for: Duration) -> Pending<'a, Remembered>;

    /// Forgets an idempotency key whose verification was refused, so that the same request may be tried again.
    fn forget<'a>(&'a self, key: &'a IdempotencyKey) -> Pending<'a, ()>;

    /// A client's own verifications, newest first.
    fn list<'a>(&'a self, query: &'a ListQuery) -> Pending<'a, Page<Verification>>;

    /// Call records, newest first.
    fn calls<'a>(&'a self, query: &'a CallQuery) -> Pending<'a, Page<CallRecord>>;

    /// One call record.
    fn call(&self, id: CallId) -> Pending<'_, Option<CallRecord>>;

    /// Notes how the result of a verification came to the backend, in the place of what was noted before; kept for the
    /// retention.
    fn note_delivery<'a>(&'a self, id: VerificationId, delivery: &'a Delivery) -> Pending<'a, ()>;

    /// What was noted of these verifications, in their order.
    fn deliveries<'a>(&'a self, ids: &'a [VerificationId]) -> Pending<'a, Vec<Option<Delivery>>>;

    /// Takes records out of the call log and what its index knows of them; says how many were there.
    fn erase<'a>(&'a self, records: &'a [CallRecord]) -> Pending<'a, usize>;

    /// Looks at what the guard asks for and takes all of it or nothing: the step that creates and commits carry, by itself.
    /// Where nothing is to be added it is only looked at.
    fn admit<'a>(&'a self, take: &'a Take) -> Pending<'a, (Timestamp, Answer)>;

    /// Sets right what the guard counted, by itself; says when.
    fn settle<'a>(&'a self, settle: &'a Settle) -> Pending<'a, Timestamp>;

    /// Bars that stand now, at most `limit`, those that end first before the others.
    fn bars(&self, limit: usize) -> Pending<'_, Vec<(Key, StoredBar)>>;

    /// What was counted in some spans, those without anything too, in their order. A span that is kept no longer is empty.
    fn tallies(&self, query: TallyQuery) -> Pending<'_, Vec<Counts>>;

    /// Tells of changes: all that are made here, and those by other ringproofs of verifications that are followed. Never an
    /// error for long: a lost connection is made again, and then `Changed::Unknown` tells everybody to look.
    fn changes(&self) -> tokio::sync::broadcast::Receiver<Changed>;

    /// Follows a verification until [`Store::leave`] is called as often as this: what another ringproof commits after
    /// the answer is told by [`Store::changes`]. It is followed from the call on, whether the answer is awaited or not.
    fn follow(&self, id: VerificationId) -> Pending<'_, ()>;

    /// Follows a verification no longer.
    fn leave(&self, id: VerificationId);

    /// Whether a write would succeed now, and how far the store's clock is from `now`.
    fn check(&self, now: Timestamp) -> Pending<'_, StoreHealth>;

    /// The key of the number hashes: kept here when the configuration gives none. The first caller's `fresh` is kept.
    fn number_key(&self, fresh: [u8; 32]) -> Pending<'_, [u8; 32]>;
}

/// A change of a verification and everything that is written together with it.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The new value. Its revision is the one that was read plus one (1 at creation): the store writes it only onto that.
    pub value: &'a Verification,
    /// When to look again; `None` when nothing is awaited any more.
    pub deadline: Option<Timestamp>,
    /// The change must not be written at or after this time by the store's clock.
    pub before: Option<Timestamp>,
    /// The turn that the change spends; the store refuses one that is not above the last spent.
    pub spends: Option<u32>,
    /// What must reach the world because of it.
    pub effects: Vec<NewEffect>,
    /// Records for the call log.
    pub records: Vec<CallRecord>,
    /// What is counted, where the change settles the verification: with the change, so once.
    pub tally: Option<Tally>,
    /// What the guard has to take together with the change; where anything stands against it, nothing is written.
    pub take: Take,
    /// What the guard sets right with the change.
    pub settle: Settle,
    /// Whether the number of the first target is let go: the verification is final and no call of it is alive.
    pub release: bool,
    /// How long the verification is kept from now on.
    pub keep_for: Duration,
    /// How long call records are kept.
    pub keep_records_for: Duration,
}

/// An effect to be kept in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEffect {
    /// Its name.
    pub id: EffectId,
    /// What it is.
    pub kind: EffectKind,
    /// The index of its call, for a hang-up.
    pub call: u8,
    /// What is sent, for a report. Secret from logs.
    pub payload: Vec<u8>,
    /// How long after the commit [`Store::take`] may first return it: the committing process has that long to do it
    /// itself and say [`Store::done`].
    pub due_after: Duration,
}

/// Kinds of effects that live in the outbox. A placement does not: that it was taken is a state of the verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectKind {
    /// End a call.
    HangUp,
    /// Tell the backend.
    Report,
}

/// An effect that somebody has to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name.
    pub id: EffectId,
    /// What it is.
    pub kind: EffectKind,
    /// The index of its call.
    pub call: u8,
    /// What is sent.
    pub payload: Vec<u8>,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it was committed.
    pub since: Timestamp,
}

/// An effect that waits in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The effect.
    pub effect: Outgoing,
    /// When [`Store::take`] gives it next.
    pub due: Timestamp,
}

/// A result that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The effect.
    pub effect: Outgoing,
    /// When it was given up.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

impl DeadLetter {
    /// How often it was tried, the attempt included after which it was given up.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.effect.attempts.saturating_add(1)
    }
}

/// What came of [`Store::create`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is written. The time is the store's.
    Done(Timestamp),
    /// It is written, and what the guard asked for is taken with it.
    Admitted {
        /// The store's time.
        at: Timestamp,
        /// What each meter holds now, over each of its windows.
        seen: Vec<Vec<u64>>,
    },
    /// Something of what the guard asked for stands against it. Nothing is written.
    Barred(Stop),
    /// The number is held by another verification that is pending.
    NumberHeld {
        /// Which.
        by: VerificationId,
        /// Whose: name of the API key.
        client: String,
    },
    /// This id is taken already (a repeated create with the same id).
    Exists,
}

/// What came of [`Store::commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is written, and what the guard asked for is taken. The time is the store's.
    Done(Timestamp),
    /// Something of what the guard asked for stands against it. Nothing is written.
    Barred(Stop),
    /// Somebody else was faster, or it is not there: read again.
    Conflict,
    /// `before` has passed by the store's clock, which is given.
    TooLate(Timestamp),
    /// The turn was spent before.
    Spent,
}

/// What came of [`Store::hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It is ours.
    Yes,
    /// Another verification has it.
    By(VerificationId),
}

/// An idempotency key: scoped to the client that sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Keyed hash of client, route and key.
    pub hash: [u8; 16],
    /// Hash of the request.
    pub fingerprint: [u8; 16],
    /// The verification that is going to be made.
    pub id: VerificationId,
}

/// What came of [`Store::remember`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// The key is new and now stands for the id given.
    New,
    /// The same request came before and stands for this verification, first seen at that time.
    Same(VerificationId, Timestamp),
    /// The key was used for another request.
    Other,
}

/// Which of a client's verifications.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// The client.
    pub client: String,
    /// Only with this reference.
    pub reference: Option<String>,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only before this one.
    pub before: Option<VerificationId>,
    /// At most so many.
    pub limit: usize,
}

/// Which call records.
#[derive(Debug, Clone, Default)]
pub struct CallQuery {
    /// Only of this client's verifications: one client never sees another's.
    pub client: Option<String>,
    /// Ended at or after.
    pub since: Option<Timestamp>,
    /// Ended before.
    pub until: Option<Timestamp>,
    /// To this number.
    pub number: Option<NumberHash>,
    /// To a number that ends so.
    pub last_digits: Option<LastDigits>,
    /// Of verifications with this reference.
    pub reference: Option<String>,
    /// Of a verification with this status at the end of the call.
    pub status: Option<Status>,
    /// With this reason.
    pub reason: Option<Reason>,
    /// With an end that is the fault of this one.
    pub fault: Option<Fault>,
    /// Through this carrier.
    pub carrier: Option<String>,
    /// To this country.
    pub country: Option<CountryCode>,
    /// Only before this place, as [`Page::next`] gave it.
    pub before: Option<CallPlace>,
    /// At most so many.
    pub limit: usize,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Verifications whose deadline has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The store's time.
    pub now: Timestamp,
    /// Which.
    pub ids: Vec<VerificationId>,
    /// The earliest deadline after those, if there is one.
    pub next: Option<Timestamp>,
}

/// Something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// This verification.
    Verification(VerificationId),
    /// Changes may have been missed: look.
    Unknown,
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHealth {
    /// How far its clock is from ours, in ms; positive when it is ahead.
    pub clock_ahead_ms: i64,
    /// Kind and version, for people.
    pub description: String,
    /// Faults of its settings that do not stop us, each with what to do.
    pub warnings: Vec<String>,
}

/// A store did not do what was asked, or nobody can tell whether it did. Never read as success.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, or answered that it cannot write now.
    #[error("the store is away: {0}")]
    Away(String),
    /// It did not answer in time: the change may or may not have been written.
    #[error("the store did not answer in time")]
    Timeout,
    /// Its settings do not let us work; the text says what to do.
    #[error("the store must be set up: {0}")]
    Setup(String),
    /// What it holds cannot be read by this version.
    #[error("the store holds something unreadable: {0}")]
    Unreadable(String),
}
