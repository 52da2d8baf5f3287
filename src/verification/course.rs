//! Owns how calls follow each other and what they all come to: one alive at a time, the next number only after the
//! one before was not reached, and one outcome, written once.

use std::time::Duration;

use super::{
    Effect,
    state::{AnsweredBy, Call, Cause, End, EntryClass, Leg, Placement, Verification, What},
    step::Step,
};
use crate::outcome::{Reason, Status};

/// Most attempts of one verification, those included that a carrier refused at once.
const MAX_ATTEMPTS: usize = 12;

impl Step<'_> {
    /// Writes the outcome. Once: whoever comes later finds it written.
    pub(super) fn settle(&mut self, status: Status, reason: Option<Reason>) {
        if self.v.is_final() {
            return;
        }
        self.v.status = status;
        self.v.reason = reason;
        self.v.decided_at = Some(self.now);
        self.v.next = None;
        self.v.request.code = None;
        self.note(None, What::Decided(status));
        self.out.effects.push(Effect::Report);
    }

    /// Puts a call to this target into the queue.
    pub(super) fn queue_call(&mut self, target: u8, route: u8) {
        let index = u8::try_from(self.v.calls.len()).unwrap_or(u8::MAX);
        let reachable =
            self.v.request.targets.get(usize::from(target)).is_some_and(|to| usize::from(route) < to.routes.len());
        if !reachable {
            return self.settle(Status::Failed, Some(Reason::CarrierError));
        }
        self.v.next = None;
        self.v.turn = self.v.turn.saturating_add(1);
        // A call that nobody dialled goes on through its next carrier with what was counted for it.
        let before = self.v.calls.last().filter(|call| {
            call.placement == Placement::Refused && call.target == target && call.route.checked_add(1) == Some(route)
        });
        let shared = before.and_then(|call| call.admission);
        let admission = self.v.promised.take().or(shared);
        self.v.calls.push(Call {
            target,
            route,
            leg: Leg::Dialing,
            placement: Placement::Queued,
            carrier_call_id: None,
            position: self.flow.begin().to,
            queued_at: self.now,
            placed_at: None,
            ringing_at: None,
            answered_at: None,
            heard_at: None,
            served_ringing_at: None,
            ended_at: None,
            cause: None,
            last_entry: None,
            prompts: 0,
            answered_by: None,
            hang_up_at: None,
            verdict: None,
            told: false,
            recorded: false,
            offered_at: self.now,
            goodbye_at: None,
            try_next_route: false,
            attestation: None,
            price: None,
            admission,
        });
        self.note(Some(index), What::Queued);
        self.out.effects.push(Effect::Place { call: index });
    }

    /// The call is over for the carrier. It may still be closing for us.
    pub(super) fn end_leg(&mut self, index: u8, cause: Cause) {
        let now = self.now;
        let Some(call) = self.call_mut(index).filter(|call| call.is_alive()) else { return };
        call.leg = Leg::Ended;
        call.ended_at = Some(now);
        let end = cause.end;
        call.cause = Some(cause);
        // Somebody heard a question that is still open: the last key may be on its way.
        let closing = call.heard_at.is_some() && call.verdict.is_none() && !call.told;
        self.note(Some(index), What::Ended(end));
        if !closing || self.v.is_final() {
            self.call_over(index);
        }
    }

    /// Nothing can come of the call any more: its reason stands, and the next one begins or the outcome is written.
    pub(super) fn call_over(&mut self, index: u8) {
        let Some(call) = self.v.calls.get(usize::from(index)).filter(|call| !call.recorded) else { return };
        if self.v.is_final() {
            return self.record(index);
        }
        if call.told && self.v.next.is_none() {
            // The code was heard; it is for the web to bring it, until time runs out.
            return self.record(index);
        }
        let reason = call.verdict.unwrap_or_else(|| self.reason_of(call));
        let retry_route =
            (call.try_next_route && call.placement == Placement::Refused).then_some((call.target, call.route));
        if let Some(call) = self.call_mut(index) {
            call.verdict = Some(reason);
        }
        self.record(index);
        if self.v.next.is_some() {
            return self.place_next_if_free();
        }
        if let Some((target, route)) =
            retry_route.filter(|(target, route)| self.has_route(*target, route.saturating_add(1)))
        {
            return self.queue_call(target, route.saturating_add(1));
        }
        match self.alternate_after(index, reason) {
            Some(target) => self.queue_call(target, 0),
            None => self.settle(Status::Failed, Some(reason)),
        }
    }

    /// A call has come to nothing while it is still up: the callee hears goodbye; the outcome is written at once unless
    /// another number is called.
    pub(super) fn call_failed(&mut self, index: u8, reason: Reason) {
        if let Some(call) = self.call_mut(index) {
            call.verdict = Some(reason);
        }
        self.out.changed = true;
        if self.v.next.is_none() && self.alternate_after(index, reason).is_none() {
            self.settle(Status::Failed, Some(reason));
        }
    }

    /// The number to be called after this call has come to `reason`.
    fn alternate_after(&self, index: u8, reason: Reason) -> Option<u8> {
        let target = self.v.calls.get(usize::from(index))?.target.checked_add(1)?;
        let wanted = not_reached(reason) && self.calls_left() && self.has_route(target, 0);
        wanted.then_some(target)
    }

    fn has_route(&self, target: u8, route: u8) -> bool {
        let targets = &self.v.request.targets;
        let there = targets.get(usize::from(target)).is_some_and(|to| usize::from(route) < to.routes.len());
        there && self.v.calls.len() < MAX_ATTEMPTS
    }

    /// Whether another call may be placed.
    pub(super) fn calls_left(&self) -> bool {
        let placed = self.v.calls.iter().filter(|call| call.placement != Placement::Refused).count();
        placed < usize::from(self.v.request.policy.max_calls) && self.v.calls.len() < MAX_ATTEMPTS
    }

    /// Places the call that was asked for, once nothing is alive or closing.
    pub(super) fn place_next_if_free(&mut self) {
        let free = self.v.call().is_none_or(|call| !call.is_alive() && call.recorded);
        if let Some(target) = self.v.next.filter(|_| free && !self.v.is_final()) {
            self.queue_call(target, 0);
        }
    }

    /// Once the verification is final, an ended call has nothing to wait for.
    pub(super) fn record_if_over(&mut self) {
        let index = self.last_index();
        if self.v.is_final() && self.v.call().is_some_and(|call| !call.is_alive()) {
            self.record(index);
        }
    }

    fn record(&mut self, index: u8) {
        let Some(call) = self.call_mut(index).filter(|call| !call.recorded) else { return };
        call.recorded = true;
        self.out.changed = true;
        self.out.effects.push(Effect::Record { call: index });
    }

    /// What a call came to that ended by itself.
    fn reason_of(&self, call: &Call) -> Reason {
        match call.cause.as_ref().map_or(End::CarrierError, |cause| cause.end) {
            End::Busy => Reason::Busy,
            End::NoAnswer | End::Canceled => Reason::NoAnswer,
            End::Rejected => Reason::Rejected,
            End::Unreachable => Reason::Unreachable,
            End::InvalidNumber => Reason::InvalidNumber,
            End::CarrierError => Reason::CarrierError,
            End::Blocked => Reason::Blocked,
            End::Completed => self.reason_of_answered(call),
        }
    }

    fn reason_of_answered(&self, call: &Call) -> Reason {
        match (call.answered_by, call.last_entry) {
            (Some(AnsweredBy::Machine), _) => Reason::Voicemail,
            (_, Some(EntryClass::WrongCode)) => Reason::WrongCode,
            (_, Some(EntryClass::Unterminated)) => Reason::NoTerminator,
            (_, Some(EntryClass::Other)) => Reason::WrongInput,
            (
                _,
                Some(
                    EntryClass::Pound
                    | EntryClass::Star
                    | EntryClass::Zero
                    | EntryClass::RightCode
                    | EntryClass::Silence,
                ),
            ) => Reason::HungUpAfterPrompt,
            (Some(AnsweredBy::Screening), None | Some(EntryClass::TooEarly)) => Reason::Screened,
            (Some(AnsweredBy::Human | AnsweredBy::Unknown) | None, None | Some(EntryClass::TooEarly)) => {
                if self.heard_whole_prompt(call) { Reason::HungUpAfterPrompt } else { Reason::HungUpBeforePrompt }
            }
        }
    }

    fn heard_whole_prompt(&self, call: &Call) -> bool {
        let in_real_life = self.v.script_at(self.flow, call, &call.position).speaking_time();
        let speaking = in_real_life / u32::from(self.v.request.policy.call_speed.max(1));
        match (call.heard_at, call.ended_at) {
            // The estimate is of a slow voice: one that is a quarter faster has said everything by then.
            (Some(heard), Some(ended)) => ended.since(heard) >= (speaking * 3 / 4).max(Duration::from_millis(1)),
            (None, _) | (_, None) => false,
        }
    }
}

/// Whether a reason means that the person was not reached at this number.
const fn not_reached(reason: Reason) -> bool {
    match reason {
        Reason::NoAnswer
        | Reason::Busy
        | Reason::Rejected
        | Reason::Unreachable
        | Reason::InvalidNumber
        | Reason::Voicemail
        | Reason::Screened
        | Reason::HungUpBeforePrompt
        | Reason::NoInput
        | Reason::CarrierError
        | Reason::Blocked => true,
        Reason::HungUpAfterPrompt
        | Reason::NoTerminator
        | Reason::WrongInput
        | Reason::WrongCode
        | Reason::CalleeDenied
        | Reason::FraudReported
        | Reason::NotAnsweredInTime
        | Reason::NotConfirmedInTime
        | Reason::ByClient => false,
    }
}

/// A verification knows its own history; this is only read.
impl Verification {
    /// How many calls were, or may have been, placed.
    #[must_use]
    pub fn calls_placed(&self) -> usize {
        self.calls.iter().filter(|call| !matches!(call.placement, Placement::Queued | Placement::Refused)).count()
    }
}
