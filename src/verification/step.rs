//! Owns the way from one state to the next: what each input does, and the deadlines. What a carrier says is in
//! `signal`, keys are in `entry`, how calls follow each other and what it all comes to is in `course`.

use std::time::Duration;

use super::{
    Effect, Ignored, Input, PlaceResult, Signal, Stepped,
    state::{Call, Cause, End, EntryClass, Event, Leg, Placement, Request, Seed, Verification, What},
};
use crate::{
    callflow::{CallFlow, Position, Saying, Script, Then},
    dtmf::Digits,
    id::{CallToken, VerificationId},
    outcome::{Fault, Mode, Reason, Status, Strength},
    secret::Secret,
    time::Timestamp,
};

/// A call that waits for a dispatcher is offered again this often: the one that had it may have died.
const OFFER_AGAIN: Duration = Duration::from_secs(5);
/// A dispatcher that took a call has heard from the carrier by then, or died.
const PLACING_LIMIT: Duration = Duration::from_secs(30);
/// How much longer than asked a carrier may let it ring, and how late its message may be.
const RING_GRACE: Duration = Duration::from_secs(15);
/// How long after a hang-up was asked for the carrier's word is awaited.
const HANG_UP_GRACE: Duration = Duration::from_secs(10);
/// Time to say the result and hang up.
const GOODBYE: Duration = Duration::from_secs(30);

impl Verification {
    /// A new verification and the effects of its beginning: the first number is to be called.
    ///
    /// `seed` are 128 bits from a secure generator. `request.targets` must hold a target with a route; a verification
    /// without one fails at once.
    #[must_use]
    pub fn start(
        id: VerificationId,
        now: Timestamp,
        expires_at: Timestamp,
        request: Request,
        flow: &CallFlow,
        seed: [u8; 16],
    ) -> (Self, Vec<Effect>) {
        let mut new = Self {
            id,
            revision: 1,
            request,
            created_at: now,
            expires_at,
            status: Status::Pending,
            reason: None,
            decided_at: None,
            calls: Vec::new(),
            next: None,
            wrong_entries: 0,
            turn: 0,
            events: Vec::new(),
            seed: Secret::new(Seed::from(seed)),
            block_requested: false,
            trace: None,
            promised: None,
        };
        let mut step = Step { v: &mut new, now, flow, out: Stepped::default() };
        step.queue_call(0, 0);
        let effects = step.out.effects;
        (new, effects)
    }

    /// Changes the verification by what happened. Total: an input that means nothing here does nothing and says why.
    ///
    /// The caller raises [`Verification::revision`] when it commits.
    pub fn step(&mut self, now: Timestamp, flow: &CallFlow, input: Input) -> Stepped {
        let mut step = Step { v: self, now, flow, out: Stepped::default() };
        step.expire_if_due();
        let expired = step.out.changed;
        match input {
            Input::Taken { call } => step.taken(call),
            Input::Placed { call, result } => step.placed(call, result),
            Input::Carrier { token, carrier, carrier_call_id, to, signal, aside } => {
                step.carrier(token, &carrier, carrier_call_id, to.as_ref(), signal, aside);
            }
            Input::Cancel => step.cancel(),
            Input::Redial => step.redial(),
            Input::Check(code) => step.check(&code),
            Input::Tick => step.tick(),
        }
        step.record_if_over();
        if expired {
            // The input came too late to count, but its time running out is a change of its own.
            step.out.before = None;
        }
        step.out
    }

    /// Whether an input of which nothing came now, for this reason, can never come to anything of a later value
    /// either. So it may be answered from a value that was committed once and need not be the newest: calls are only
    /// added, a leg only moves up, what a carrier has it keeps, and a name once known stays.
    ///
    /// What is answered with a script, or asked by a client, always wants the newest value: never true of those.
    #[must_use]
    pub fn absorbs(&self, input: &Input, ignored: Option<Ignored>) -> bool {
        if ignored != Some(Ignored::Late) {
            return false;
        }
        match input {
            Input::Placed { call, .. } => self.calls.get(usize::from(*call)).is_some_and(|call| match call.placement {
                Placement::Accepted | Placement::Refused => true,
                Placement::Queued | Placement::Taken | Placement::Unknown => false,
            }),
            Input::Carrier { signal, .. } => match signal {
                Signal::Initiated | Signal::Ringing | Signal::Answered | Signal::AnsweredBy(_) | Signal::Ended(_) => {
                    true
                }
                Signal::Flow { .. } | Signal::Keys { .. } => false,
            },
            Input::Taken { .. } | Input::Cancel | Input::Redial | Input::Check(_) | Input::Tick => false,
        }
    }

    /// What the callee hears now. A view of the state: the same state always gives the same script.
    #[must_use]
    pub fn script(&self, flow: &CallFlow) -> Script {
        match self.call() {
            Some(call) if call.is_alive() => self.script_at(flow, call, &call.position),
            Some(_) | None => Script { language: String::from("en"), before: Vec::new(), then: Then::HangUp },
        }
    }

    pub(super) fn script_at(&self, flow: &CallFlow, call: &Call, position: &Position) -> Script {
        let target = self.target_of(call);
        let number = target.map_or("", |target| target.to.expose());
        let playable = flow.version() == self.request.flow_version;
        let nowhere = Position { hang_up: true, lead: None, ..position.clone() };
        flow.script(
            if playable { position } else { &nowhere },
            &Saying {
                locale: target.map_or("en", |target| target.locale.as_str()),
                brand: &self.request.brand,
                purpose: self.request.purpose,
                purpose_text: self.request.purpose_text.as_deref(),
                last_digits: number.get(number.len().saturating_sub(4)..).unwrap_or(""),
                code: self.request.code.as_ref().map(Secret::expose),
            },
        )
    }

    /// When to look again with [`Input::Tick`]; `None` when nothing more is awaited.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let expiry = (!self.is_final()).then_some(self.expires_at);
        let call = self.call().and_then(|call| self.call_deadline(call));
        expiry.into_iter().chain(call).min()
    }

    /// What stands in the callback URLs of the call at `index`.
    #[must_use]
    pub fn token(&self, index: u8) -> CallToken {
        use hmac::{Hmac, KeyInit, Mac};
        let mut proof = [0; 16];
        if let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(self.seed.expose().as_ref()) {
            mac.update(b"call token");
            mac.update(&[index]);
            proof.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        }
        CallToken { call: self.call_id(index), proof }
    }

    /// What its `verified` proves.
    #[must_use]
    pub const fn strength(&self) -> Strength {
        match self.request.mode {
            Mode::Confirm | Mode::Speak => Strength::Possession,
            Mode::Match => Strength::SessionBound,
        }
    }

    /// Whether nothing can happen any more: final, and every call over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_final() && self.call().is_none_or(|call| !call.is_alive())
    }

    fn call_deadline(&self, call: &Call) -> Option<Timestamp> {
        let policy = &self.request.policy;
        if !call.is_alive() {
            let closing = Duration::from_millis(policy.closing_ms.into());
            return call.ended_at.filter(|_| !call.recorded).map(|at| at.plus(closing));
        }
        let ringing_ends = policy.ring_timeout() + RING_GRACE;
        if let Some(asked) = call.hang_up_at {
            let obeyed = asked.plus(HANG_UP_GRACE);
            // Without the carrier's name for it the call cannot be ended by us: it may ring for as long as it was asked to.
            let unnamed = call.carrier_call_id.is_none() && call.leg < Leg::Answered;
            return Some(if unnamed { obeyed.max(call.offered_at.plus(ringing_ends)) } else { obeyed });
        }
        let limit = match (call.leg, call.placement) {
            (Leg::Dialing, Placement::Queued) => call.offered_at.plus(OFFER_AGAIN),
            (Leg::Dialing, Placement::Taken) => call.offered_at.plus(PLACING_LIMIT),
            (Leg::Dialing, Placement::Unknown) => call.offered_at.plus(ringing_ends + policy.call_limit()),
            (Leg::Dialing | Leg::Ringing, _) => call.placed_at.unwrap_or(call.offered_at).plus(ringing_ends),
            (Leg::Answered | Leg::Ended, _) => call.answered_at.unwrap_or(call.offered_at).plus(policy.call_limit()),
        };
        match call.goodbye_at {
            Some(at) => Some(limit.min(at.plus(GOODBYE))),
            None => Some(limit),
        }
    }
}

/// One step being made.
pub(super) struct Step<'a> {
    pub(super) v: &'a mut Verification,
    pub(super) now: Timestamp,
    pub(super) flow: &'a CallFlow,
    pub(super) out: Stepped,
}

impl Step<'_> {
    /// Says that nothing came of the input.
    pub(super) const fn ignore(&mut self, why: Ignored) {
        self.out.ignored = Some(why);
    }

    /// The call at `index`, if it is the one that may still change.
    pub(super) fn call_mut(&mut self, index: u8) -> Option<&mut Call> {
        let last = self.v.calls.len().checked_sub(1)?;
        self.v.calls.get_mut(usize::from(index)).filter(|_| usize::from(index) == last)
    }

    /// Index of the last call.
    pub(super) fn last_index(&self) -> u8 {
        u8::try_from(self.v.calls.len().saturating_sub(1)).unwrap_or(u8::MAX)
    }

    /// Writes into the history. A full history keeps its beginning, the outcome and its newest entry.
    pub(super) fn note(&mut self, call: Option<u8>, what: What) {
        self.out.changed = true;
        let (seq, at) =
            self.v.events.last().map_or((1, self.now), |last| (last.seq.saturating_add(1), self.now.max(last.at)));
        if self.v.events.len() >= Verification::MAX_EVENTS {
            let spare = self.v.events.iter().rposition(|event| !matches!(event.what, What::Decided(_)));
            spare.map(|at| self.v.events.remove(at));
        }
        self.v.events.push(Event { seq, at, call, what });
    }

    /// Asks the carrier to end the last call, if it is alive and that was not asked before.
    pub(super) fn hang_up(&mut self) {
        let (index, now) = (self.last_index(), self.now);
        let Some(call) = self.call_mut(index).filter(|call| call.is_alive() && call.hang_up_at.is_none()) else {
            return;
        };
        if call.placement == Placement::Queued {
            // Nobody has dialled it, and from now on nobody will.
            call.placement = Placement::Refused;
            self.end_leg(index, Cause { end: End::Canceled, fault: Fault::None, carrier_code: None, sip_status: None });
            return;
        }
        call.hang_up_at = Some(now);
        self.out.effects.push(Effect::HangUp { call: index });
        self.out.changed = true;
    }

    fn taken(&mut self, index: u8) {
        let (now, is_final) = (self.now, self.v.is_final());
        match self.call_mut(index) {
            Some(call) if call.placement == Placement::Queued && call.is_alive() && !is_final => {
                call.placement = Placement::Taken;
                call.offered_at = now;
                self.note(Some(index), What::Dialing);
            }
            Some(_) | None => self.ignore(Ignored::Late),
        }
    }

    fn placed(&mut self, index: u8, result: PlaceResult) {
        let now = self.now;
        let Some(call) = self.call_mut(index).filter(|call| {
            matches!(call.placement, Placement::Taken | Placement::Unknown) || call.carrier_call_id.is_none()
        }) else {
            return self.ignore(Ignored::Late);
        };
        match result {
            PlaceResult::Accepted { carrier_call_id } => {
                let news = call.placement != Placement::Accepted
                    || (call.carrier_call_id.is_none() && carrier_call_id.is_some());
                call.placement = Placement::Accepted;
                call.placed_at.get_or_insert(now);
                if call.carrier_call_id.is_none() {
                    call.carrier_call_id = carrier_call_id;
                }
                if news {
                    self.out.changed = true;
                    self.hang_up_again(index);
                } else {
                    self.ignore(Ignored::Late);
                }
            }
            PlaceResult::Refused { cause, try_next_route } => {
                if call.leg != Leg::Dialing || call.placement == Placement::Accepted {
                    // The carrier's own messages prove that it has the call.
                    return self.ignore(Ignored::Late);
                }
                call.placement = Placement::Refused;
                call.try_next_route = try_next_route;
                self.note(Some(index), What::NotPlaced);
                self.end_leg(index, cause);
            }
            PlaceResult::Unknown { cause } => {
                if call.leg != Leg::Dialing || call.placement != Placement::Taken {
                    return self.ignore(Ignored::Late);
                }
                call.placement = Placement::Unknown;
                call.cause = Some(cause);
                self.note(Some(index), What::NotPlaced);
            }
        }
    }

    /// A hang-up asked for before the carrier's name of the call was known could not be carried out: ask again.
    pub(super) fn hang_up_again(&mut self, index: u8) {
        if self.call_mut(index).is_some_and(|call| call.is_alive() && call.hang_up_at.is_some()) {
            self.out.effects.push(Effect::HangUp { call: index });
        }
    }

    fn cancel(&mut self) {
        if self.v.is_final() {
            return self.ignore(Ignored::Final);
        }
        self.settle(Status::Canceled, Some(Reason::ByClient));
        self.abandon_call();
    }

    fn redial(&mut self) {
        if self.v.is_final() {
            return self.ignore(Ignored::Final);
        }
        if !self.calls_left() {
            return self.ignore(Ignored::NoCallsLeft);
        }
        let wait = Duration::from_millis(self.v.request.policy.redial_after_ms.into());
        let Some(call) = self.v.call() else { return self.ignore(Ignored::NotNow) };
        let target = call.target;
        if self.v.next.is_some() || self.now < call.queued_at.plus(wait) {
            return self.ignore(Ignored::NotNow);
        }
        self.v.next = Some(target);
        self.note(None, What::RedialRequested);
        self.hang_up();
        self.place_next_if_free();
    }

    fn check(&mut self, code: &Digits) {
        if self.v.request.mode != Mode::Speak {
            return self.ignore(Ignored::WrongMode);
        }
        if self.v.is_final() {
            return self.ignore(Ignored::Final);
        }
        if !self.v.calls.iter().any(|call| call.told) {
            return self.ignore(Ignored::NotNow);
        }
        let right = self.v.request.code.as_ref().is_some_and(|expected| expected.expose().same_as(code));
        if right {
            self.out.before = Some(self.v.expires_at);
            self.settle(Status::Verified, None);
            self.abandon_call();
            return;
        }
        self.note(None, What::WrongCodeTyped);
        if self.count_wrong_entry() {
            self.settle(Status::Failed, Some(Reason::WrongCode));
            self.abandon_call();
        }
    }

    /// Counts a wrong entry; true when there were too many.
    pub(super) fn count_wrong_entry(&mut self) -> bool {
        self.v.wrong_entries = self.v.wrong_entries.saturating_add(1);
        self.v.wrong_entries >= self.v.request.policy.max_wrong_entries
    }

    /// The call has no purpose any more: whatever is asked of it next, the answer is to hang up.
    pub(super) fn abandon_call(&mut self) {
        let index = self.last_index();
        if let Some(call) = self.call_mut(index) {
            call.position = Position { hang_up: true, lead: None, ..call.position.clone() };
        }
        self.v.turn = self.v.turn.saturating_add(1);
        self.hang_up();
    }

    fn expire_if_due(&mut self) {
        if self.v.is_final() || self.now < self.v.expires_at {
            return;
        }
        let answered = self.v.calls.iter().any(|call| call.answered_at.is_some());
        let reason = if answered { Reason::NotConfirmedInTime } else { Reason::NotAnsweredInTime };
        self.settle(Status::Expired, Some(reason));
        self.abandon_call();
    }

    fn tick(&mut self) {
        let index = self.last_index();
        let Some(call) = self.v.call() else { return };
        if self.v.call_deadline(call).is_none_or(|at| self.now < at) {
            return;
        }
        if !call.is_alive() {
            return self.call_over(index);
        }
        let (leg, placement, asked) = (call.leg, call.placement, call.hang_up_at.is_some());
        let silent = |end, fault| Cause { end, fault, carrier_code: None, sip_status: None };
        match (leg, placement) {
            (_, _) if asked => {
                let end = if leg == Leg::Answered { End::Completed } else { End::Canceled };
                self.end_leg(index, silent(end, Fault::Carrier));
            }
            (Leg::Dialing, Placement::Queued) => {
                self.offer_again(index);
                self.out.effects.push(Effect::Place { call: index });
            }
            (Leg::Dialing, Placement::Taken) => {
                self.offer_again(index);
                if let Some(call) = self.call_mut(index) {
                    call.placement = Placement::Unknown;
                    call.cause = Some(silent(End::CarrierError, Fault::Us));
                }
                self.note(Some(index), What::NotPlaced);
            }
            (Leg::Dialing, Placement::Unknown | Placement::Refused) => {
                let cause = call.cause.clone().unwrap_or_else(|| silent(End::CarrierError, Fault::Unknown));
                self.end_leg(index, cause);
            }
            // The carrier was to stop ringing by itself and to say so.
            (Leg::Dialing | Leg::Ringing, _) | (Leg::Answered | Leg::Ended, _) => self.hang_up(),
        }
    }

    fn offer_again(&mut self, index: u8) {
        let now = self.now;
        if let Some(call) = self.call_mut(index) {
            call.offered_at = now;
        }
        self.out.changed = true;
    }

    /// What kind of answer these keys are where one key was asked for.
    pub(super) fn class_of_key(digits: &Digits) -> EntryClass {
        match digits.single().map(crate::dtmf::Digit::as_char) {
            Some('#') => EntryClass::Pound,
            Some('*') => EntryClass::Star,
            Some('0') => EntryClass::Zero,
            Some(_) => EntryClass::Other,
            None if digits.is_empty() => EntryClass::Silence,
            None => EntryClass::Other,
        }
    }
}
