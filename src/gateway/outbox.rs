//! Owns doing what is in the outbox: ending calls and posting results. The process that committed an effect does it at
//! once; what it did not finish any process finds in the store and does again. Both may be repeated.

use std::{sync::Arc, time::Duration};

use metrics::{counter, histogram};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tracing::{error, info, warn};

use super::{
    Shell,
    report::{Attempt, next_attempt},
    traced,
};
use crate::{
    id::EffectId,
    outcome::DeliveryOutcome,
    provider::HangUpError,
    span,
    store::{EffectKind, Outgoing, StoreError},
    time::Timestamp,
    verification::Delivery,
};

/// Most effects of one kind that wait in this process; what does not fit is found in the store later.
pub(super) const MOST_WAITING: usize = 4_096;
/// Most effects of one kind that are done at the same time.
const AT_ONCE: usize = 64;
/// Longest time for asking a carrier to end a call.
const HANG_UP_LIMIT: Duration = Duration::from_secs(6);
/// How long to wait before a call is ended that could not be ended yet, and how often that is tried. Longer than that
/// no call lasts: it has its limits at the carrier.
const HANG_UP_AGAIN: Duration = Duration::from_secs(2);
const MOST_HANG_UPS: u32 = 15;

/// The queues of this process, one for each kind: slow backends hold no hang-up back.
pub(super) struct Errands {
    hang_ups: mpsc::Sender<Outgoing>,
    reports: mpsc::Sender<Outgoing>,
}

/// The other ends of the queues.
pub(super) struct ErrandQueues {
    pub(super) hang_ups: mpsc::Receiver<Outgoing>,
    pub(super) reports: mpsc::Receiver<Outgoing>,
}

impl Errands {
    pub(super) fn new() -> (Self, ErrandQueues) {
        let (hang_ups, waiting_hang_ups) = mpsc::channel(MOST_WAITING);
        let (reports, waiting_reports) = mpsc::channel(MOST_WAITING);
        (Self { hang_ups, reports }, ErrandQueues { hang_ups: waiting_hang_ups, reports: waiting_reports })
    }

    /// How many results wait for their turn in this process.
    pub(super) fn waiting_reports(&self) -> usize {
        self.reports.max_capacity() - self.reports.capacity()
    }

    /// How many hang-ups wait for their turn in this process.
    pub(super) fn waiting_hang_ups(&self) -> usize {
        self.hang_ups.max_capacity() - self.hang_ups.capacity()
    }
}

impl Shell {
    /// Has an effect done. Where the queue is full it stays in the store's outbox, and is due again later.
    pub(super) fn errand(&self, effect: Outgoing) {
        let (queue, kind) = match effect.kind {
            EffectKind::HangUp => (&self.errands.hang_ups, "hang_up"),
            EffectKind::Report => (&self.errands.reports, "report"),
        };
        if queue.try_send(effect).is_err() {
            counter!("ringproof_outbox_queue_full_total", "kind" => kind).increment(1);
        }
    }

    /// Works one queue off until we stop.
    pub(super) async fn work_errands(self: Arc<Self>, mut effects: mpsc::Receiver<Outgoing>) {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(Some(effect)) = self.tasks.unless_stopping(effects.recv()).await {
            let permit = self.tasks.unless_stopping(Arc::clone(&permits).acquire_owned()).await;
            let Some(Ok(permit)) = permit else { break };
            let shell = Arc::clone(&self);
            self.tasks.spawn(async move {
                match effect.kind {
                    EffectKind::HangUp => shell.hang_up(&effect).await,
                    EffectKind::Report => shell.report(&effect).await,
                }
                drop(permit);
            });
        }
    }

    async fn hang_up(&self, effect: &Outgoing) {
        let id = effect.id.verification;
        let v = match self.newest(id).await {
            Ok(v) => v,
            Err(super::change::Trouble::NotThere) => return self.done(effect.id).await,
            // Still in the outbox: due again when our time for it is over.
            Err(_) => return,
        };
        let Some((carrier, call)) = Self::live_call(&v, effect.call) else { return self.done(effect.id).await };
        let Some(lane) = self.lanes.get(&carrier) else { return self.done(effect.id).await };
        let asking = span::below(traced::of_call(&v, effect.call), lane.carrier.provider.hang_up(&call));
        let asked = timeout(HANG_UP_LIMIT, asking).await;
        let outcome = match asked {
            Ok(Ok(())) => "done",
            Ok(Err(HangUpError::Never(_))) => "refused",
            Ok(Err(HangUpError::Later(_))) | Err(_) => "failed",
        };
        counter!("ringproof_hang_ups_total", "carrier" => carrier.clone(), "outcome" => outcome).increment(1);
        match asked {
            Ok(Ok(())) => self.done(effect.id).await,
            Ok(Err(fault @ HangUpError::Never(_))) => {
                warn!(call.id = %v.call_id(effect.call), provider.name = %carrier, %fault, "a call could not be ended");
                self.done(effect.id).await;
            }
            Ok(Err(HangUpError::Later(_))) | Err(_) if effect.attempts >= MOST_HANG_UPS => {
                error!(call.id = %v.call_id(effect.call), provider.name = %carrier, "a call could not be ended; its limits at the carrier end it");
                self.done(effect.id).await;
            }
            Ok(Err(HangUpError::Later(_))) | Err(_) => {
                self.again(effect.id, self.clock.now().plus(HANG_UP_AGAIN)).await
            }
        }
    }

    async fn report(&self, effect: &Outgoing) {
        let now = self.clock.now();
        let (attempt, status) = self.reporter.attempt(effect, now).await;
        let took = self.clock.now().since(now);
        histogram!("ringproof_report_seconds").record(took.as_secs_f64());
        let id = effect.id.verification;
        match attempt {
            Attempt::Delivered => {
                counter!("ringproof_reports_total", "outcome" => "delivered").increment(1);
                info!(
                    verification.id = %id, report.id = %effect.id, attempt = effect.attempts + 1,
                    duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "result delivered"
                );
                self.note_delivery(effect, DeliveryOutcome::Delivered, status).await;
                self.done(effect.id).await;
            }
            Attempt::Failed { why, retry_after } => {
                counter!("ringproof_reports_total", "outcome" => "failed").increment(1);
                let mut jitter = [0];
                self.entropy.fill(&mut jitter);
                let [jitter] = jitter;
                match next_attempt(effect.attempts, retry_after, jitter) {
                    Some(wait) => {
                        warn!(
                            verification.id = %id, report.id = %effect.id, attempt = effect.attempts + 1, why,
                            again_in_s = wait.as_secs(), "result not delivered"
                        );
                        // What comes from this process has no time of its commit: that was just now.
                        let since = if effect.since == Timestamp::default() { now } else { effect.since };
                        let again_at = self.clock.now().plus(wait);
                        self.backlog.put_off(effect.id, since, again_at);
                        self.note_delivery(effect, DeliveryOutcome::Waiting, status).await;
                        self.again(effect.id, again_at).await;
                    }
                    None => {
                        self.note_delivery(effect, DeliveryOutcome::GivenUp, status).await;
                        self.bury(effect.id, format!("{why}, and {} times before", effect.attempts)).await;
                    }
                }
            }
            Attempt::GivenUp { why } => {
                self.note_delivery(effect, DeliveryOutcome::GivenUp, status).await;
                self.bury(effect.id, why).await;
            }
        }
    }

    /// Notes for the call log how a result came to the backend. Where that fails the log only does not tell it.
    async fn note_delivery(&self, effect: &Outgoing, outcome: DeliveryOutcome, status: Option<u16>) {
        let id = effect.id.verification;
        let attempts = effect.attempts.saturating_add(1);
        let delivery = Delivery { outcome, attempts, status, at: self.clock.now() };
        if let Err(fault) = self.store.note_delivery(id, &delivery).await {
            warn!(verification.id = %id, %fault, "how a result was delivered could not be noted");
        }
    }

    async fn done(&self, id: EffectId) {
        self.backlog.over(id);
        self.noted(id, self.store.done(id).await);
    }

    async fn again(&self, id: EffectId, at: Timestamp) {
        self.noted(id, self.store.retry(id, at).await);
    }

    async fn bury(&self, id: EffectId, why: String) {
        self.backlog.over(id);
        counter!("ringproof_reports_total", "outcome" => "dead_letter").increment(1);
        error!(verification.id = %id.verification, report.id = %id, why, "result given up: it is a dead letter now");
        self.noted(id, self.store.bury(id, why).await);
    }

    /// An outbox entry that could not be changed is due again by itself: the effect is repeated, under the same id.
    fn noted(&self, id: EffectId, written: Result<(), StoreError>) {
        if let Err(fault) = written {
            warn!(verification.id = %id.verification, effect.id = %id, %fault, "the outbox could not be changed; the effect will be repeated");
        }
    }
}
