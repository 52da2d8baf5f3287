//! Owns looking at the clock: verifications whose deadline has come are ticked by the store's time, and what is due in
//! the outbox is done. Every ringproof sweeps all of the store; two that sweep the same are harmless, because a tick is
//! a change like any other and an outbox entry is taken by one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use metrics::{counter, gauge};
use tokio::{sync::broadcast::error::RecvError, time::sleep};
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

/// How often the clock is looked at. The store is asked when a deadline that is known has come, or when it was not asked
/// for a while.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the store is not asked for deadlines and for the outbox where nothing is known: what another ringproof
/// wrote, and died over, is found by then.
const ASK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// Rest after trouble of the store.
const REST_AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// Most deadlines and most outbox entries of one sweep; where more are due, the next one follows at once.
const MOST_DUE: usize = 256;
const MOST_TAKEN: usize = 64;
/// Deadlines that are worked on at the same time.
const AT_ONCE: usize = 16;
/// How long outbox entries that were taken are hidden from others: longer than one attempt lasts.
const LEASE: Duration = Duration::from_secs(30);

/// The nearest deadline that is known here.
#[derive(Default)]
pub(super) struct Sweep(Mutex<Option<Timestamp>>);

impl Sweep {
    /// Says that a deadline comes at this time.
    pub(super) fn expect(&self, at: Timestamp) {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(next.map_or(at, |known| known.min(at)));
    }

    /// The nearest deadline, when it has come; it is forgotten then.
    fn come(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take_if(|at| *at <= now)
    }
}

/// When the store was asked last.
#[derive(Default)]
struct Asked {
    deadlines: Timestamp,
    outbox: Timestamp,
}

/// Whether so much time passed since `last` that the store is asked again; also when the clock was set back.
fn is_long_ago(last: Timestamp, now: Timestamp) -> bool {
    now < last || now.since(last) >= ASK_AT_LEAST_EVERY
}

impl Shell {
    /// Sweeps until we stop.
    pub(super) async fn sweep(self: Arc<Self>) {
        let mut asked = Asked::default();
        let mut in_trouble = false;
        let mut rest = Duration::ZERO;
        while self.tasks.unless_stopping(sleep(rest)).await.is_some() {
            rest = match self.sweep_once(&mut asked).await {
                Ok(more) => {
                    in_trouble = false;
                    if more { Duration::ZERO } else { LOOK_EVERY }
                }
                Err(fault) => {
                    if !in_trouble {
                        error!(%fault, "the store is in trouble: deadlines and results wait until it is back");
                    }
                    in_trouble = true;
                    REST_AFTER_TROUBLE
                }
            };
        }
    }

    /// One sweep. True when there was more than fits into one.
    async fn sweep_once(self: &Arc<Self>, asked: &mut Asked) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut more = false;
        let come = self.sweep.come(now);
        if come.is_some() || is_long_ago(asked.deadlines, now) {
            let due = self.store.due(MOST_DUE).await.inspect_err(|_| self.sweep.expect(come.unwrap_or(now)))?;
            asked.deadlines = now;
            due.next.into_iter().for_each(|at| self.sweep.expect(at));
            more |= !due.ids.is_empty() && due.next.is_some_and(|at| at <= due.now);
            gauge!("ringproof_deadlines_due").set(u32::try_from(due.ids.len()).unwrap_or(u32::MAX));
            stream::iter(due.ids).for_each_concurrent(AT_ONCE, |id| self.tick(id, due.now)).await;
        }
        if is_long_ago(asked.outbox, now) {
            let taken = self.store.take(MOST_TAKEN, LEASE).await?;
            if taken.len() >= MOST_TAKEN {
                more = true;
            } else {
                asked.outbox = now;
            }
            taken.into_iter().for_each(|effect| self.errand(effect));
            self.tell_queues();
        }
        Ok(more)
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
        gauge!("ringproof_hang_ups_waiting").set(waiting(self.errands.waiting_hang_ups()));
        let (put_off, oldest) = self.backlog.waiting(self.clock.now());
        gauge!("ringproof_reports_put_off").set(waiting(put_off));
        gauge!("ringproof_report_age_seconds").set(oldest.as_secs_f64());
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
