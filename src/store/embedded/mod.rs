//! Owns the store that needs no other service: durable in one file, or in memory for tests and simulations. Both run the
//! same operations over an ordered table; only the table differs. One ringproof uses it at a time.

mod disk;
mod guarded;
mod index;
mod keys;
mod ops;
mod pages;
mod table;
mod tallies;
mod values;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{broadcast, oneshot},
    task::block_in_place,
};

use self::{
    disk::Disk,
    table::{Memory, Read, Write},
};
use super::{
    CHANGES_KEPT, CallQuery, Changed, Commit, Committed, Counts, Created, DeadLetter, Due, Held, IdempotencyKey,
    ListQuery, Outgoing, Page, Pending, Remembered, Store, StoreError, StoreHealth, TallyQuery, Waiting,
    change::Change, codec, listing::CallPlace, rows::Row,
};
use crate::{
    guard::{
        meter::Key,
        step::{Answer, Settle, StoredBar, Take},
    },
    id::{CallId, EffectId, NumberHash, VerificationId},
    time::{Clock, Timestamp},
    verification::{CallRecord, Delivery, Verification},
};

/// The embedded store. Its clock is the one it is given.
pub struct Embedded {
    tables: Tables,
    clock: Arc<dyn Clock>,
    changes: broadcast::Sender<Changed>,
    retention: Duration,
}

enum Tables {
    Memory(Mutex<Memory>),
    Disk(Disk),
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.tables {
            Tables::Memory(_) => "Embedded in memory",
            Tables::Disk(_) => "Embedded on disk",
        })
    }
}

impl Embedded {
    /// A store that is forgotten when it is dropped. Everything happens within the call, so a simulation stays
    /// deterministic. Dead letters are kept for `retention`.
    #[must_use]
    pub fn in_memory(clock: Arc<dyn Clock>, retention: Duration) -> Self {
        Self::with(Tables::Memory(Mutex::default()), clock, retention)
    }

    /// A durable store in `dir`, which is made if it is missing. What it answered is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Setup`] when the directory cannot be used, or another ringproof uses it.
    pub fn on_disk(dir: &Path, clock: Arc<dyn Clock>, retention: Duration) -> Result<Self, StoreError> {
        let disk = Disk::open(dir, Arc::clone(&clock))?;
        Ok(Self::with(Tables::Disk(disk), clock, retention))
    }

    fn with(tables: Tables, clock: Arc<dyn Clock>, retention: Duration) -> Self {
        Self { tables, clock, retention, changes: broadcast::Sender::new(CHANGES_KEPT) }
    }

    /// How many entries of any kind it holds, those that have expired and are not yet swept included.
    ///
    /// # Errors
    /// [`StoreError::Away`] when the disk does not let itself be read.
    pub fn entries(&self) -> Result<usize, StoreError> {
        let mut entries = 0;
        self.read(|table, _| {
            table.up(&[], &[u8::MAX], &mut |_, _| {
                entries += 1;
                std::ops::ControlFlow::Continue(())
            })
        })?;
        Ok(entries)
    }

    fn read<T>(&self, read: impl FnOnce(&dyn Read, Timestamp) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.tables {
            Tables::Memory(memory) => {
                let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                read(&*memory, self.clock.now())
            }
            Tables::Disk(disk) => disk.read(|table| read(table, self.clock.now())),
        }
    }

    /// Reads what may take tens of ms from the disk: other tasks of this thread go on elsewhere meanwhile.
    fn read_long<T>(&self, read: impl FnOnce(&dyn Read, Timestamp) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let many = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        match &self.tables {
            Tables::Disk(_) if many => block_in_place(|| self.read(read)),
            Tables::Disk(_) | Tables::Memory(_) => self.read(read),
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut dyn Write, Timestamp) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.tables {
            Tables::Memory(memory) => {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                let now = self.clock.now();
                let result = write(&mut *memory, now);
                ops::sweep(&mut *memory, now, SWEEP_PER_CHANGE)?;
                result
            }
            Tables::Disk(disk) => {
                let (answer, answered) = oneshot::channel();
                let clock = Arc::clone(&self.clock);
                disk.submit(Box::new(move |table| {
                    let result = write(table, clock.now());
                    Box::new(move |fault| {
                        let _ = answer.send(fault.map_or(result, |fault| Err(StoreError::Away(fault))));
                    })
                }))?;
                answered.await.map_err(|_| StoreError::Away(String::from("the change was dropped")))?
            }
        }
    }

    fn tell(&self, id: VerificationId) {
        // Nobody may be listening.
        let _ = self.changes.send(Changed::Verification(id));
    }
}

impl Store for Embedded {
    fn create<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Created> {
        Box::pin(async move {
            let id = change.value.id;
            let change = Change::of(change)?;
            let created = self.write(move |table, now| ops::create(table, now, change)).await?;
            if let Created::Done(_) | Created::Admitted { .. } = created {
                self.tell(id);
            }
            Ok(created)
        })
    }

    fn load(&self, id: VerificationId) -> Pending<'_, Option<Verification>> {
        Box::pin(async move {
            match self.read(|table, now| ops::stored(table, id, now))? {
                Some(stored) => codec::decode(&stored.value).map(Some),
                None => Ok(None),
            }
        })
    }

    fn commit<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Committed> {
        Box::pin(async move {
            let id = change.value.id;
            let change = Change::of(change)?;
            let committed = self.write(move |table, now| ops::commit(table, now, change)).await?;
            if let Committed::Done(_) = committed {
                self.tell(id);
            }
            Ok(committed)
        })
    }

    fn admit<'a>(&'a self, take: &'a Take) -> Pending<'a, (Timestamp, Answer)> {
        let take = take.clone();
        Box::pin(self.write(move |table, now| Ok((now, guarded::take(table, now, &take)?))))
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Pending<'a, Timestamp> {
        let settle = settle.clone();
        Box::pin(self.write(move |table, now| guarded::settle(table, now, &settle).map(|()| now)))
    }

    fn bars(&self, limit: usize) -> Pending<'_, Vec<(Key, StoredBar)>> {
        Box::pin(async move { self.read(|table, now| guarded::bars(table, now, limit)) })
    }

    fn due(&self, limit: usize) -> Pending<'_, Due> {
        Box::pin(async move { self.read(|table, now| ops::due(table, now, limit)) })
    }

    fn take(&self, limit: usize, lease: Duration) -> Pending<'_, Vec<Outgoing>> {
        Box::pin(async move {
            if self.read(ops::nothing_to_take)? {
                return Ok(Vec::new());
            }
            self.write(move |table, now| ops::take(table, now, limit, lease)).await
        })
    }

    fn done(&self, id: EffectId) -> Pending<'_, ()> {
        Box::pin(self.write(move |table, _| ops::done(table, id)))
    }

    fn retry(&self, id: EffectId, at: Timestamp) -> Pending<'_, ()> {
        Box::pin(self.write(move |table, _| ops::retry(table, id, at)))
    }

    fn bury(&self, id: EffectId, why: String) -> Pending<'_, ()> {
        let keep_for = self.retention;
        Box::pin(self.write(move |table, now| ops::bury(table, now, id, why, keep_for)))
    }

    fn outbox(&self, limit: usize) -> Pending<'_, Vec<Waiting>> {
        Box::pin(async move { self.read(|table, now| pages::outbox(table, now, limit)) })
    }

    fn dead_letters(&self, limit: usize) -> Pending<'_, Vec<DeadLetter>> {
        Box::pin(async move { self.read(|table, now| pages::dead_letters(table, now, limit)) })
    }

    fn revive(&self, id: EffectId) -> Pending<'_, bool> {
        Box::pin(self.write(move |table, now| ops::revive(table, now, id)))
    }

    fn discard(&self, id: EffectId) -> Pending<'_, bool> {
        Box::pin(self.write(move |table, now| ops::discard(table, now, id)))
    }

    fn hold(&self, number: NumberHash, id: VerificationId, hold_for: Duration) -> Pending<'_, Held> {
        Box::pin(self.write(move |table, now| ops::hold(table, now, number, id, hold_for)))
    }

    fn release(&self, number: NumberHash, id: VerificationId) -> Pending<'_, ()> {
        Box::pin(self.write(move |table, _| ops::release(table, number, id)))
    }

    fn remember<'a>(&'a self, key: &'a IdempotencyKey, keep_for: Duration) -> Pending<'a, Remembered> {
        let key = key.clone();
        Box::pin(self.write(move |table, now| ops::remember(table, now, &key, keep_for)))
    }

    fn forget<'a>(&'a self, key: &'a IdempotencyKey) -> Pending<'a, ()> {
        let key = key.clone();
        Box::pin(self.write(move |table, _| ops::forget(table, &key)))
    }

    fn list<'a>(&'a self, query: &'a ListQuery) -> Pending<'a, Page<Verification>> {
        Box::pin(async move { self.read(|table, now| pages::list(table, now, query)) })
    }

    fn calls<'a>(&'a self, query: &'a CallQuery) -> Pending<'a, Page<CallRecord>> {
        Box::pin(async move { self.read_long(|table, now| pages::calls(table, now, query)) })
    }

    fn call(&self, id: CallId) -> Pending<'_, Option<CallRecord>> {
        Box::pin(async move { self.read(|table, now| pages::call(table, now, id)) })
    }

    fn note_delivery<'a>(&'a self, id: VerificationId, delivery: &'a Delivery) -> Pending<'a, ()> {
        let (delivery, keep_for) = (delivery.clone(), self.retention);
        Box::pin(self.write(move |table, now| ops::note_delivery(table, id, delivery, now.plus(keep_for))))
    }

    fn deliveries<'a>(&'a self, ids: &'a [VerificationId]) -> Pending<'a, Vec<Option<Delivery>>> {
        Box::pin(async move { self.read(|table, now| pages::deliveries(table, now, ids)) })
    }

    fn erase<'a>(&'a self, records: &'a [CallRecord]) -> Pending<'a, usize> {
        let records: Vec<_> =
            records.iter().map(|record| (CallPlace::of(record.ended_at, record.id), Row::of(record))).collect();
        Box::pin(self.write(move |table, _| ops::erase(table, &records)))
    }

    fn tallies(&self, query: TallyQuery) -> Pending<'_, Vec<Counts>> {
        Box::pin(async move { self.read(|table, now| tallies::read(table, now, query)) })
    }

    fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// All changes are made here.
    fn follow(&self, _: VerificationId) -> Pending<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn leave(&self, _: VerificationId) {}

    fn check(&self, now: Timestamp) -> Pending<'_, StoreHealth> {
        Box::pin(async move {
            let ours = self.write(|table, now| ops::probe(table, now)).await?;
            let ahead = i128::from(ours.as_ms()) - i128::from(now.as_ms());
            let description = match self.tables {
                Tables::Memory(_) => "embedded, in memory: forgotten at the end of this process",
                Tables::Disk(_) => "embedded, durable",
            };
            Ok(StoreHealth {
                clock_ahead_ms: i64::try_from(ahead).unwrap_or(i64::MAX),
                description: description.to_owned(),
                warnings: Vec::new(),
            })
        })
    }

    fn number_key(&self, fresh: [u8; 32]) -> Pending<'_, [u8; 32]> {
        Box::pin(self.write(move |table, _| ops::number_key(table, fresh)))
    }
}

/// Expired entries removed with each change in memory.
const SWEEP_PER_CHANGE: usize = 8;
