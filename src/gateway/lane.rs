//! Owns the lane of one carrier: a bounded queue, a pace, and a rest when the carrier fails again and again or does not
//! know us. Which call goes into which lane, and what is done with it there, is decided elsewhere.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::counter;
use tokio::{
    sync::{Notify, mpsc},
    time::{Interval, MissedTickBehavior, interval},
};
use tracing::{error, info};

use super::route::Carrier;
use crate::{
    id::CallId,
    outcome::Fault,
    provider::{CheckFault, CheckKind},
    time::Timestamp,
    verification::PlaceResult,
};

/// Most calls that wait for one carrier.
const MOST_WAITING: usize = 8_192;
/// For how long a paced carrier may have work: what it could only place later is better placed by another.
const LONGEST_QUEUE: Duration = Duration::from_secs(120);
/// Failures in a row after which a carrier is given a rest, and how long that is.
const FAILURES_BEFORE_REST: u32 = 5;
const REST: Duration = Duration::from_secs(10);
/// How long a carrier is not asked that refused a call through our fault and says, too, that it does not know us; it is
/// asked again at once when it does.
const REST_OF_STRANGERS: Duration = Duration::from_secs(60);
/// Probes in a row that have to fail before the carrier counts as unusable.
const FAILED_PROBES: u32 = 3;
/// How long a call that a carrier took proves that it is usable, whatever a probe says.
const PROVEN_FOR: Duration = Duration::from_secs(120);

/// The way to one carrier.
pub(super) struct Lane {
    pub(super) carrier: Carrier,
    /// Told when a placement makes it doubtful that the carrier knows us.
    pub(super) in_doubt: Notify,
    queue: mpsc::Sender<CallId>,
    waiting: Mutex<BTreeSet<CallId>>,
    health: Mutex<Health>,
}

/// What calls and probes tell of a carrier.
#[derive(Default)]
struct Health {
    /// Calls in a row that were not taken, through the carrier's fault or ours.
    failures: u32,
    /// Whether the last of those was our fault, says the carrier.
    ours: bool,
    rests_until: Timestamp,
    took_a_call_at: Option<Timestamp>,
    probe: Option<Result<String, CheckFault>>,
    probed_at: Option<Timestamp>,
    /// Probes in a row that failed.
    failed_probes: u32,
}

/// What probes and calls told of a carrier so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) probed_at: Option<Timestamp>,
    /// Calls in a row that were not taken.
    pub(super) failures_in_row: u32,
    /// Until when it is, or was, not asked.
    pub(super) rests_until: Timestamp,
}

/// How a carrier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CarrierState {
    /// Calls are placed through it.
    Usable,
    /// It failed again and again and is not asked for a while.
    Resting,
    /// It does not know us, or lets us do nothing: somebody has to act.
    Refused,
    /// It cannot be reached, or does not work.
    Away,
}

impl Lane {
    pub(super) fn new(carrier: Carrier) -> (Arc<Self>, mpsc::Receiver<CallId>) {
        let (queue, calls) = mpsc::channel(room(carrier.calls_per_second));
        let (waiting, health) = Default::default();
        (Arc::new(Self { carrier, in_doubt: Notify::new(), queue, waiting, health }), calls)
    }

    /// Puts a call into the queue, unless it waits there already. False when there is no room.
    pub(super) fn offer(&self, call: CallId) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.insert(call) && self.queue.try_send(call).is_err() {
            waiting.remove(&call);
            counter!("ringproof_dispatch_queue_full_total", "carrier" => self.carrier.name.clone()).increment(1);
            return false;
        }
        true
    }

    pub(super) fn took(&self, call: CallId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
    }

    /// How many calls wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether new calls are better placed by another carrier: this one is not asked now, or could not place them soon.
    pub(super) fn takes_none(&self, now: Timestamp) -> bool {
        self.rests(now) || self.queue.capacity() == 0
    }

    /// Whether the carrier failed so often just now that it is not asked.
    pub(super) fn rests(&self, now: Timestamp) -> bool {
        now < self.health().rests_until
    }

    /// How the carrier is, and what it said.
    pub(super) fn state(&self, now: Timestamp) -> (CarrierState, String) {
        let health = self.health();
        let failed = health.probe.as_ref().and_then(|said| said.as_ref().err());
        let said = match &health.probe {
            None => String::from("not asked yet"),
            Some(Ok(said)) => said.clone(),
            Some(Err(fault)) => fault.to_string(),
        };
        let refused = failed.is_some_and(|fault| fault.kind == CheckKind::Refused);
        if now < health.rests_until {
            return if refused {
                (CarrierState::Refused, said)
            } else {
                (CarrierState::Resting, String::from("failed again and again just now"))
            };
        }
        let proven = health.took_a_call_at.is_some_and(|at| now.since(at) < PROVEN_FOR) && health.failures == 0;
        match (failed, refused) {
            (None, _) => (CarrierState::Usable, said),
            (Some(_), _) if proven => (CarrierState::Usable, format!("takes calls, but the last probe failed: {said}")),
            (Some(_), _) if health.failed_probes < FAILED_PROBES => {
                let count = health.failed_probes;
                (CarrierState::Usable, format!("probe failed ({count} of {FAILED_PROBES} in a row): {said}"))
            }
            (Some(_), true) => (CarrierState::Refused, said),
            (Some(_), false) => (CarrierState::Away, said),
        }
    }

    /// What probes and calls told so far.
    pub(super) fn past(&self) -> Past {
        let health = self.health();
        Past { probed_at: health.probed_at, failures_in_row: health.failures, rests_until: health.rests_until }
    }

    /// How many calls may wait.
    pub(super) fn room(&self) -> usize {
        self.queue.max_capacity()
    }

    /// Learns from what came of a placement.
    pub(super) fn learn(&self, result: &PlaceResult, now: Timestamp) {
        let fault = match result {
            PlaceResult::Accepted { .. } => None,
            PlaceResult::Refused { cause, .. } => match cause.fault {
                Fault::Carrier | Fault::Us => Some(cause.fault),
                // It works: this call was not one that it could place.
                Fault::None | Fault::Callee | Fault::Request | Fault::Unknown => None,
            },
            PlaceResult::Unknown { .. } => Some(Fault::Unknown),
        };
        let mut health = self.health();
        let Some(fault) = fault else {
            let was_bad = health.failures >= FAILURES_BEFORE_REST;
            health.failures = 0;
            health.ours = false;
            if matches!(result, PlaceResult::Accepted { .. }) {
                health.took_a_call_at = Some(now);
                health.rests_until = Timestamp::default();
            }
            if was_bad {
                info!(provider.name = %self.carrier.name, "carrier takes calls again");
            }
            return;
        };
        health.failures = health.failures.saturating_add(1);
        health.ours = fault == Fault::Us;
        if health.ours {
            self.in_doubt.notify_one();
        }
        if health.failures == FAILURES_BEFORE_REST {
            error!(
                provider.name = %self.carrier.name, failures = health.failures,
                "carrier fails again and again: it is asked for one call each {REST:?} until one succeeds"
            );
        }
        if health.failures >= FAILURES_BEFORE_REST {
            // After the rest one failure is enough for the next one: the count is not forgotten until a call is placed.
            health.rests_until = health.rests_until.max(now.plus(REST));
        }
        rest_of_strangers(&mut health, now);
    }

    /// Learns from what came of a probe. What was said before, if anything was.
    pub(super) fn probed(
        &self,
        said: Result<String, CheckFault>,
        now: Timestamp,
    ) -> Option<Result<String, CheckFault>> {
        let mut health = self.health();
        let is_ok = said.is_ok();
        health.failed_probes = if is_ok { 0 } else { health.failed_probes.saturating_add(1) };
        let before = health.probe.replace(said);
        health.probed_at = Some(now);
        let was_refused = matches!(&before, Some(Err(fault)) if fault.kind == CheckKind::Refused);
        if is_ok && was_refused && health.ours {
            health.failures = 0;
            health.ours = false;
            health.rests_until = Timestamp::default();
        }
        rest_of_strangers(&mut health, now);
        before
    }

    pub(super) fn pace(&self) -> Option<Interval> {
        let per_second = self.carrier.calls_per_second.filter(|rate| rate.is_finite() && *rate > 0.0)?;
        let gap = Duration::try_from_secs_f64(per_second.recip()).ok().filter(|gap| !gap.is_zero())?;
        let mut pace = interval(gap);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(pace)
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the two alone proves little: an account may be allowed to place calls and not to look at itself, and one
/// call may be refused through our fault where others are not.
fn rest_of_strangers(health: &mut Health, now: Timestamp) {
    let refused = matches!(&health.probe, Some(Err(fault)) if fault.kind == CheckKind::Refused);
    if !(refused && health.ours) || now < health.rests_until {
        return;
    }
    health.rests_until = now.plus(REST_OF_STRANGERS);
}

/// How many calls may wait for a carrier of this pace.
fn room(calls_per_second: Option<f64>) -> usize {
    let paced = calls_per_second.filter(|rate| rate.is_finite() && *rate > 0.0);
    // As many seconds as calls: the conversion of the standard library saturates nowhere and fails where it must.
    let fitting = paced.map(|rate| Duration::try_from_secs_f64(rate * LONGEST_QUEUE.as_secs_f64()));
    let fitting = fitting.and_then(Result::ok).and_then(|calls| usize::try_from(calls.as_secs()).ok());
    fitting.unwrap_or(MOST_WAITING).clamp(1, MOST_WAITING)
}
