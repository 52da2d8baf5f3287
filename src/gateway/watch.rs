//! Owns those who wait for changes: it wakes them when the store says that something changed. What changed they read
//! themselves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use super::Refusal;
use crate::{
    id::VerificationId,
    store::{Changed, Store},
};

/// Most requests and streams that may wait at the same time.
const MOST_WATCHERS: usize = 20_000;

/// Wakes at each change of one verification.
pub struct Watch {
    id: VerificationId,
    woken: watch::Receiver<()>,
    of: Arc<Watchers>,
    /// Where the verification is followed.
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "watch of {}", self.id)
    }
}

impl Watch {
    /// Waits for the next change since this watch was made, or since this was last called; several at once wake it
    /// once. False when nothing more will come, because we are stopping. May be dropped while waiting without losing
    /// a change.
    pub async fn changed(&mut self) -> bool {
        self.woken.changed().await.is_ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.of.leave(self.id);
        self.store.leave(self.id);
    }
}

/// Everybody who waits.
#[derive(Default)]
pub(super) struct Watchers {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    watched: HashMap<VerificationId, Watched>,
    watchers: usize,
    closed: bool,
}

struct Watched {
    wake: watch::Sender<()>,
    watchers: usize,
}

impl Watchers {
    /// A watch of what is followed in the store, where it follows it no longer when it is dropped.
    pub(super) fn watch(self: &Arc<Self>, id: VerificationId, store: &Arc<dyn Store>) -> Result<Watch, Refusal> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.closed {
            return Err(Refusal::Draining);
        }
        if table.watchers >= MOST_WATCHERS {
            return Err(Refusal::Overloaded);
        }
        table.watchers += 1;
        let watched = table.watched.entry(id).or_insert_with(|| Watched { wake: watch::Sender::new(()), watchers: 0 });
        watched.watchers += 1;
        let woken = watched.wake.subscribe();
        drop(table);
        Ok(Watch { id, woken, of: Arc::clone(self), store: Arc::clone(store) })
    }

    fn leave(&self, id: VerificationId) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.watchers = table.watchers.saturating_sub(1);
        if let Some(watched) = table.watched.get_mut(&id) {
            watched.watchers = watched.watchers.saturating_sub(1);
            if watched.watchers == 0 {
                table.watched.remove(&id);
            }
        }
    }

    /// Wakes those whom a change concerns.
    pub(super) fn wake(&self, changed: Changed) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match changed {
            Changed::Verification(id) => {
                if let Some(watched) = table.watched.get(&id) {
                    watched.wake.send_replace(());
                }
            }
            Changed::Unknown => Self::wake_all(&table),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "all are woken; in which order means nothing")]
    fn wake_all(table: &Table) {
        table.watched.values().for_each(|watched| {
            watched.wake.send_replace(());
        });
    }

    /// Ends every wait; no new one begins.
    pub(super) fn close(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.closed = true;
        table.watched.clear();
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).watchers
    }
}
