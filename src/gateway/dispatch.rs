//! Owns the way of a call to its carrier: it waits in the carrier's lane, is marked as taken in the store, and whoever
//! marked it asks the carrier, so that it is placed at most once. What is lost from a lane is offered again by its
//! deadline.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use metrics::{counter, histogram};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tracing::{error, info, warn};

use super::{
    Shell,
    change::{Changed, Trouble, When},
    lane::Lane,
    traced,
};
use crate::{
    guard::LimitName,
    id::{CallId, NumberHash, VerificationId},
    outcome::Fault,
    provider::{LiveCall, Order},
    span,
    store::Held,
    verification::{Cause, End, Input, PlaceResult, Placement, Target, Verification},
};

/// Longest time a carrier's adapter may take to place a call. Each has its own, shorter limit; this is the last guard,
/// below the time after which the core gives a taken call up.
const PLACE_LIMIT: Duration = Duration::from_secs(20);
/// How long what a carrier said about a placement is tried to be written.
const WRITE_LIMIT: Duration = Duration::from_secs(25);
/// Most calls that are being passed on to their next carrier at the same time; the others wait for their deadline.
const MOST_PASSED_ON_AT_ONCE: usize = 64;
/// How much longer than a call can last an alternate number stays held if nobody lets it go.
const HOLD_MARGIN: Duration = Duration::from_secs(60);

impl Shell {
    /// Puts a call that is queued in the store into its carrier's lane. Where that is full another carrier gets the
    /// call, if there is one; otherwise its deadline offers it again.
    pub(super) fn offer(self: &Arc<Self>, v: &Verification, index: u8) {
        let Some(route) = v.calls.get(usize::from(index)).and_then(|call| v.route_of(call)) else { return };
        match self.lanes.get(&route.carrier) {
            Some(lane) if lane.offer(v.call_id(index)) || !has_next_route(v, index) => {}
            Some(lane) => {
                let Ok(permit) = Arc::clone(&self.passing_on).try_acquire_owned() else { return };
                let (shell, lane, call) = (Arc::clone(self), Arc::clone(lane), v.call_id(index));
                self.tasks.spawn(async move {
                    shell.pass_on(&lane, call, "queue_full").await;
                    drop(permit);
                });
            }
            None => error!(
                verification.id = %v.id, provider.name = %route.carrier,
                "a call waits for a carrier that is no longer in the configuration"
            ),
        }
    }

    /// Works a lane off until we stop. What is left then is queued in the store and offered by whoever runs on.
    pub(super) async fn work_lane(self: Arc<Self>, lane: Arc<Lane>, mut calls: mpsc::Receiver<CallId>) {
        let permits = Arc::new(Semaphore::new(lane.carrier.placing_at_once.max(1)));
        let mut pace = lane.pace();
        while let Some(Some(call)) = self.tasks.unless_stopping(calls.recv()).await {
            if let Some(pace) = &mut pace
                && self.tasks.unless_stopping(pace.tick()).await.is_none()
            {
                break;
            }
            let permit = self.tasks.unless_stopping(Arc::clone(&permits).acquire_owned()).await;
            let Some(Ok(permit)) = permit else { break };
            lane.took(call);
            let (shell, lane) = (Arc::clone(&self), Arc::clone(&lane));
            self.tasks.spawn(async move {
                shell.place(&lane, call).await;
                drop(permit);
            });
        }
    }

    async fn place(self: &Arc<Self>, lane: &Lane, call: CallId) {
        if lane.rests(self.clock.now())
            && self.newest(call.verification).await.is_ok_and(|v| has_next_route(&v, call.index))
        {
            return self.pass_on(lane, call, "carrier_rests").await;
        }
        let held = match self.hold_alternate(call).await {
            Ok(held) => held,
            // The call stays queued; its deadline offers it again.
            Err(NotHeld::Trouble) => return,
            Err(NotHeld::Busy) => return self.refuse_held(call).await,
        };
        let taken = match self.take_to_dial(call).await {
            Ok(Some(taken)) => taken,
            refused => {
                if let Err(limit) = refused {
                    self.refuse_barred(call, limit).await;
                }
                if let Some(number) = held {
                    self.release_unless_called(call.verification, number).await;
                }
                return;
            }
        };
        let Some(order) = self.order(&taken, call) else { return };
        let began = self.clock.now();
        let told = traced::begin_placement(&taken, &order, &lane.carrier.name);
        let asking = span::below(told.as_ref().map(|told| told.here().clone()), lane.carrier.provider.place(&order));
        let result = match timeout(PLACE_LIMIT, asking).await {
            Ok(result) => result,
            Err(_) => PlaceResult::Unknown { cause: our_cause(End::CarrierError, Fault::Carrier, "no_answer_in_time") },
        };
        let now = self.clock.now();
        traced::end_placement(told, &result);
        lane.learn(&result, now);
        tell_placement(lane, call, &result, now.since(began));
        self.write_placed(call, result).await;
    }

    /// Gives a call that nobody dialled to its next carrier.
    async fn pass_on(self: &Arc<Self>, lane: &Lane, call: CallId, why: &'static str) {
        if self.take_call(call).await.is_some() {
            counter!("ringproof_calls_passed_on_total", "carrier" => lane.carrier.name.clone(), "cause" => why)
                .increment(1);
            let cause = our_cause(End::CarrierError, Fault::Carrier, why);
            self.write_placed(call, PlaceResult::Refused { cause, try_next_route: true }).await;
        }
    }

    /// Marks the call as taken, and has it counted if that was not done before. Only whoever gets the value back may dial
    /// it. The limit that stands against it, where there is one.
    async fn take_to_dial(self: &Arc<Self>, call: CallId) -> Result<Option<Arc<Verification>>, LimitName> {
        let taken = Input::Taken { call: call.index };
        match self.change_admitted(call.verification, When::Local, &taken).await {
            Err(Trouble::Barred(refused)) => Err(refused.limit),
            other => Ok(taken_by_us(call, other)),
        }
    }

    /// Marks the call as taken, which nobody is going to dial.
    async fn take_call(self: &Arc<Self>, call: CallId) -> Option<Arc<Verification>> {
        let taken = Input::Taken { call: call.index };
        taken_by_us(call, self.change(call.verification, When::Local, &taken).await)
    }

    fn order(&self, v: &Verification, call: CallId) -> Option<Order> {
        let current = v.calls.get(usize::from(call.index)).filter(|call| call.placement == Placement::Taken)?;
        let (target, route) = (v.target_of(current)?, v.route_of(current)?);
        let token = v.token(call.index);
        Some(Order {
            token,
            to: target.to.clone(),
            from: route.caller_id.clone(),
            extension: target.extension.clone(),
            ring_timeout: v.request.policy.ring_timeout(),
            call_limit: v.request.policy.call_limit(),
            flow_url: self.callback_url(&route.carrier, token, "flow"),
            status_url: self.callback_url(&route.carrier, token, "status"),
        })
    }

    /// Writes what the carrier said, and does not give up easily: until it is written the call has no name.
    async fn write_placed(self: &Arc<Self>, call: CallId, result: PlaceResult) {
        let input = Input::Placed { call: call.index, result };
        if let Err(trouble) = self.change_until(call.verification, &input, WRITE_LIMIT).await {
            error!(
                call.id = %call, fault = %trouble,
                "what the carrier said about a placement could not be written; the call is never dialled again"
            );
        }
    }

    /// A number other than the first is called by one verification at a time, too. `Some` names what was held.
    async fn hold_alternate(&self, call: CallId) -> Result<Option<NumberHash>, NotHeld> {
        let v = self.newest(call.verification).await.map_err(|_| NotHeld::Trouble)?;
        let Some(target) = v.calls.get(usize::from(call.index)).and_then(|call| v.target_of(call)) else {
            return Err(NotHeld::Trouble);
        };
        let Some(number) = alternate_number(&v, target) else { return Ok(None) };
        let policy = &v.request.policy;
        let hold_for = policy.ring_timeout() + policy.call_limit() + HOLD_MARGIN;
        match self.store.hold(number, v.id, hold_for).await {
            Ok(Held::Yes) => Ok(Some(number)),
            Ok(Held::By(_)) => Err(NotHeld::Busy),
            Err(fault) => {
                warn!(call.id = %call, %fault, "an alternate number could not be held");
                Err(NotHeld::Trouble)
            }
        }
    }

    /// The number is being called for somebody else: for this verification it is busy.
    async fn refuse_held(self: &Arc<Self>, call: CallId) {
        if self.take_call(call).await.is_some() {
            let cause = our_cause(End::Busy, Fault::Callee, "number_busy");
            self.write_placed(call, PlaceResult::Refused { cause, try_next_route: false }).await;
        }
    }

    /// A limit stands against the call: it is not made, and the next number may be.
    async fn refuse_barred(self: &Arc<Self>, call: CallId, limit: LimitName) {
        if self.take_call(call).await.is_some() {
            let cause = our_cause(End::Blocked, Fault::Request, &format!("limit_{}", limit.as_str()));
            self.write_placed(call, PlaceResult::Refused { cause, try_next_route: false }).await;
        }
    }

    async fn release_unless_called(&self, id: VerificationId, number: NumberHash) {
        if let Ok(v) = self.fresh(id).await
            && !alive_alternates(&v).contains(&number)
        {
            self.release(id, number).await;
        }
    }

    async fn release(&self, id: VerificationId, number: NumberHash) {
        if let Err(fault) = self.store.release(number, id).await {
            warn!(verification.id = %id, %fault, "an alternate number could not be let go; it is free when its hold ends");
        }
    }

    /// Lets the alternate numbers go whose calls were ended by a change.
    pub(super) fn release_alternates(self: &Arc<Self>, before: &Verification, after: &Verification) {
        if after.request.targets.len() < 2 {
            return;
        }
        let still = alive_alternates(after);
        let ended: Vec<_> = alive_alternates(before).difference(&still).copied().collect();
        if !ended.is_empty() {
            let (shell, id) = (Arc::clone(self), after.id);
            self.tasks.spawn(async move {
                for number in ended {
                    shell.release(id, number).await;
                }
            });
        }
    }

    /// What a carrier is told to end a call.
    pub(super) fn live_call(v: &Verification, index: u8) -> Option<(String, LiveCall)> {
        let call = v.calls.get(usize::from(index)).filter(|call| call.is_alive())?;
        let live = LiveCall {
            token: v.token(index),
            carrier_call_id: call.carrier_call_id.clone(),
            answered: call.answered_at.is_some(),
        };
        Some((v.route_of(call)?.carrier.clone(), live))
    }
}

fn taken_by_us(call: CallId, taken: Result<Changed, Trouble>) -> Option<Arc<Verification>> {
    match taken {
        Ok(Changed { value, changed: true, ignored: None }) => Some(value),
        Ok(_) => None,
        Err(trouble) => {
            // Perhaps it is marked, perhaps not: in either case nobody may dial on the strength of this.
            warn!(call.id = %call, fault = %trouble, "a call could not be taken");
            None
        }
    }
}

/// Bounds how many calls are passed on at the same time.
pub(super) fn passing_on() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_PASSED_ON_AT_ONCE))
}

/// Whether another carrier may be asked for the call.
fn has_next_route(v: &Verification, index: u8) -> bool {
    v.calls
        .get(usize::from(index))
        .and_then(|call| Some(usize::from(call.route) + 1 < v.target_of(call)?.routes.len()))
        .unwrap_or(false)
}

enum NotHeld {
    /// Somebody else is calling it.
    Busy,
    /// The store is away, or the call is no more.
    Trouble,
}

/// The number of a target, if it is another than the first, which the verification holds for all of its life.
fn alternate_number(v: &Verification, target: &Target) -> Option<NumberHash> {
    let first = v.request.targets.first()?.number_hash;
    Some(target.number_hash).filter(|number| *number != first)
}

fn alive_alternates(v: &Verification) -> BTreeSet<NumberHash> {
    v.calls.iter().filter(|call| call.is_alive()).filter_map(|call| alternate_number(v, v.target_of(call)?)).collect()
}

fn our_cause(end: End, fault: Fault, code: &str) -> Cause {
    Cause { end, fault, carrier_code: Some(code.to_owned()), sip_status: None }
}

fn tell_placement(lane: &Lane, call: CallId, result: &PlaceResult, took: Duration) {
    let name = lane.carrier.name.clone();
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let outcome = match result {
        PlaceResult::Accepted { .. } => {
            info!(call.id = %call, provider.name = %name, duration_ms, "the carrier took the call");
            "accepted"
        }
        PlaceResult::Refused { cause, .. } => {
            warn!(
                call.id = %call, provider.name = %name, duration_ms, call.outcome = super::end_word(cause.end),
                call.fault = %cause.fault, carrier.code = cause.carrier_code, "the carrier refused the call"
            );
            "refused"
        }
        PlaceResult::Unknown { cause } => {
            error!(
                call.id = %call, provider.name = %name, duration_ms, call.fault = %cause.fault,
                carrier.code = cause.carrier_code, "whether the carrier took the call is unknown; it is never dialled again"
            );
            "unknown"
        }
    };
    counter!("ringproof_placements_total", "carrier" => name.clone(), "outcome" => outcome).increment(1);
    histogram!("ringproof_placement_seconds", "carrier" => name).record(took.as_secs_f64());
}
