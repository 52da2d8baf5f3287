//! Owns looking at the clock: verifications whose deadline has come are ticked by the store's time, and what is due in
//! the outbox is done. Every ringproof sweeps all of the store; two that sweep the same are harmless, because a tick is
//! a change like any other and an outbox entry is taken by one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use metrics::{counter, gauge};
use tokio::{
    sync::{Notify, broadcast::error::RecvError},
    time::{sleep, timeout},
};
use tracing::{error, warn};

use super::{
    Shell,
    change::{Trouble, When},
};
use crate::{
    id::VerificationId,
    store::{Changed, StoreError},
    time::Timestamp,
    verification::Input,
};

/// Longest and shortest time between two sweeps. What another ringproof wrote, and died over, is seen within the longest.
const LONGEST_REST: Duration = Duration::from_millis(200);
const SHORTEST_REST: Duration = Duration::from_millis(10);
/// Rest after trouble of the store.
const REST_AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// Most deadlines and most outbox entries of one sweep; where there are more, the next one follows at once.
const MOST_DUE: usize = 256;
const MOST_TAKEN: usize = 64;
/// Deadlines that are worked on at the same time.
const AT_ONCE: usize = 16;
/// How long outbox entries that were taken are hidden from others: longer than one attempt lasts.
const LEASE: Duration = Duration::from_secs(30);

/// What the sweep waits for.
#[derive(Default)]
pub(super) struct Sweep {
    next: Mutex<Option<Timestamp>>,
    nearer: Notify,
}

impl Sweep {
    /// Says that something is due at this time.
    pub(super) fn expect(&self, at: Timestamp) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_none_or(|known| at < known) {
            *next = Some(at);
            drop(next);
            self.nearer.notify_one();
        }
    }

    fn take_next(&self) -> Option<Timestamp> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn rest(&self, now: Timestamp) -> Duration {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.map_or(LONGEST_REST, |at| at.since(now)).clamp(SHORTEST_REST, LONGEST_REST)
    }
}

impl Shell {
    /// Sweeps until we stop.
    pub(super) async fn sweep(self: Arc<Self>) {
        let mut in_trouble = false;
        while !self.tasks.is_stopping() {
            let rest = match self.sweep_once().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => {
                    in_trouble = false;
                    self.sweep.rest(self.clock.now())
                }
                Err(fault) => {
                    if !in_trouble {
                        error!(%fault, "the store is in trouble: deadlines and results wait until it is back");
                    }
                    in_trouble = true;
                    REST_AFTER_TROUBLE
                }
            };
            let nearer = async {
                // A nearer deadline shortens the rest; it never makes a sweep follow the one before at once.
                self.sweep.nearer.notified().await;
                sleep(self.sweep.rest(self.clock.now())).await;
            };
            if self.tasks.unless_stopping(timeout(rest, nearer)).await.is_none() {
                return;
            }
        }
    }

    /// One sweep. True when there was more than fits into one.
    async fn sweep_once(self: &Arc<Self>) -> Result<bool, StoreError> {
        let known = self.sweep.take_next();
        let due = match self.store.due(MOST_DUE).await {
            Ok(due) => due,
            Err(fault) => {
                known.into_iter().for_each(|at| self.sweep.expect(at));
                return Err(fault);
            }
        };
        due.next.into_iter().for_each(|at| self.sweep.expect(at));
        let many_due = due.ids.len() >= MOST_DUE;
        gauge!("ringproof_deadlines_due").set(u32::try_from(due.ids.len()).unwrap_or(u32::MAX));
        stream::iter(due.ids).for_each_concurrent(AT_ONCE, |id| self.tick(id, due.now)).await;
        let taken = self.store.take(MOST_TAKEN, LEASE).await?;
        let many_taken = taken.len() >= MOST_TAKEN;
        taken.into_iter().for_each(|effect| self.errand(effect));
        self.tell_queues();
        Ok(many_due || many_taken)
    }

    async fn tick(self: &Arc<Self>, id: VerificationId, now: Timestamp) {
        match self.change(id, When::Store(now), &Input::Tick).await {
            Ok(changed) if changed.changed => {}
            // A deadline that does not move would be due for ever; written again, the store learns the right one.
            Ok(_) | Err(Trouble::Contended) => {
                counter!("ringproof_ticks_without_effect_total").increment(1);
            }
            Err(Trouble::NotThere) => warn!(verification.id = %id, "a deadline of a verification that is not there"),
            Err(fault) => warn!(verification.id = %id, %fault, "a deadline could not be acted upon"),
        }
    }

    fn tell_queues(&self) {
        for (name, lane) in &self.lanes {
            let waiting = u32::try_from(lane.waiting()).unwrap_or(u32::MAX);
            gauge!("ringproof_dispatch_waiting", "carrier" => name.clone()).set(waiting);
        }
        let waiting = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        gauge!("ringproof_reports_waiting").set(waiting(self.errands.waiting_reports()));
        gauge!("ringproof_watchers").set(waiting(self.watchers.len()));
    }

    /// Hands the store's news to those who wait, until we stop.
    pub(super) async fn hand_on_changes(self: Arc<Self>) {
        let mut changes = self.store.changes();
        loop {
            match self.tasks.unless_stopping(changes.recv()).await {
                Some(Ok(changed)) => self.watchers.wake(changed),
                Some(Err(RecvError::Lagged(_))) => self.watchers.wake(Changed::Unknown),
                Some(Err(RecvError::Closed)) => {
                    error!("the store tells no more changes: those who wait see them late");
                    return;
                }
                None => return,
            }
        }
    }
}
