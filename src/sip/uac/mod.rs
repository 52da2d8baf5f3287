//! Owns the user agent client: every transaction, dialog, probe and registration of the process, and their timers. It finds
//! whom an input concerns; what follows from it is decided in the modules beside this one.

mod attempt;
mod conclude;
mod dialog;
mod draft;
mod ground;
mod indialog;
mod register;
mod request;
mod responses;
mod serve;
mod session;
#[cfg(test)]
mod tests;
mod timers;

use std::{collections::BTreeMap, time::Duration};

use attempt::{Attempt, Standing};
use conclude::Outcome;
use ground::{Owner, Shared};
use register::Registered;
use request::{Purpose, Request, key};
use timers::Sleeper;

use super::{
    Arrival, CallKey, Canceled, Counters, Direction, Event, FlowId, Input, Invite, Output, Refusal, RegistrationKey,
    Settings, Trace,
    message::{Malformed, Message, Method, Name, Start},
};
use crate::time::Timestamp;

/// Most attempts that are alive or remembered at a time.
const MAX_ATTEMPTS: usize = 65_536;

/// An attempt, by a number of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AttemptId(u64);

/// A request without INVITE, by a number of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RequestId(u64);

/// The user agent client. See [`super`] for how it is driven.
pub struct Uac {
    shared: Shared,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// The attempt that stands for each call now.
    calls: BTreeMap<CallKey, AttemptId>,
    call_ids: BTreeMap<Box<str>, AttemptId>,
    registrations: BTreeMap<RegistrationKey, Registered>,
}

impl Uac {
    /// A client without calls. `seed` is where its tags, branches and Call-IDs come from: 32 bytes of the system's
    /// generator, never used twice.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32], now: Timestamp) -> Self {
        Self {
            shared: Shared::new(settings, seed, now),
            attempts: BTreeMap::new(),
            calls: BTreeMap::new(),
            call_ids: BTreeMap::new(),
            registrations: BTreeMap::new(),
        }
    }

    /// Takes one thing that happened. Never fails: what makes no sense is counted. Time that goes back stands still.
    pub fn handle_input(&mut self, now: Timestamp, input: Input<'_>) {
        self.shared.now = self.shared.now.max(now);
        match input {
            Input::Invite(invite) => self.invite(*invite),
            Input::Cancel { call, reason } => {
                self.with_call(call, |attempt, shared| attempt.cancel(shared, Canceled::Asked, reason));
            }
            Input::HangUp { call, reason } => self.with_call(call, |attempt, shared| attempt.hang_up(shared, reason)),
            Input::Received(arrival) => self.receive(&arrival),
            Input::FlowFailed(flow) => self.flow_failed(flow),
            Input::Answer { call, offer, sdp } => {
                self.with_call(call, |attempt, shared| attempt.answer_offer(shared, offer, sdp));
            }
            Input::Probe(probe) => self.probe(*probe),
            Input::Register(registration) => self.register(*registration),
            Input::Unregister(registration) => self.unregister(registration),
            Input::Tick => {}
        }
        self.tick();
    }

    /// What to do next; call until it is [`Output::Timeout`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        self.shared.outputs.pop_front().unwrap_or_else(|| Output::Timeout(self.shared.wakes.next()))
    }

    /// What went wrong so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.shared.counters
    }

    /// Attempts that are alive or remembered: what memory is needed for.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.attempts.len()
    }

    /// Requests of ours that wait for an answer; probes and INVITEs are not counted.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        let probe = |request: &&Request| matches!(request.purpose, Purpose::Probe { .. });
        self.shared.requests.values().filter(|request| !probe(request)).count()
    }

    /// Attempts, open requests and names that are held.
    #[cfg(test)]
    fn held(&self) -> (usize, usize, usize) {
        let names = self.shared.branches.len() + self.call_ids.len() + self.calls.len();
        (self.attempts.len(), self.shared.requests.len(), names)
    }

    fn invite(&mut self, invite: Invite) {
        let call = invite.call;
        if self.calls.contains_key(&call) {
            self.shared.counters.bounded += 1;
            return;
        }
        if self.attempts.len() >= MAX_ATTEMPTS {
            self.shared.counters.bounded += 1;
            self.not_sent(call, 503, "Too many calls");
            return;
        }
        let id = AttemptId(self.shared.next_id());
        let Some(mut attempt) = Attempt::new(id, invite, &mut self.shared) else {
            self.not_sent(call, 400, "Cannot be sent");
            return;
        };
        attempt.send_invite(&mut self.shared);
        self.calls.insert(call, id);
        self.call_ids.insert(attempt.call_id.clone(), id);
        self.attempts.insert(id, attempt);
        self.settle(id);
    }

    fn not_sent(&mut self, call: CallKey, code: u16, phrase: &str) {
        let refusal = Refusal {
            code,
            phrase: phrase.to_owned(),
            local: true,
            seen_response: false,
            rang: false,
            canceled: None,
            crossed: false,
            reasons: Vec::new(),
            retry_after: None,
            warning: None,
            contacts: Vec::new(),
        };
        self.shared.event(Event::Refused { call, refusal: Box::new(refusal) });
    }

    fn with_call(&mut self, call: CallKey, f: impl FnOnce(&mut Attempt, &mut Shared)) {
        if let Some(id) = self.calls.get(&call).copied() {
            self.with(id, f);
        }
    }

    /// Changes an attempt, and does what follows from any change.
    fn with(&mut self, id: AttemptId, f: impl FnOnce(&mut Attempt, &mut Shared)) {
        if let Some(attempt) = self.attempts.get_mut(&id) {
            f(attempt, &mut self.shared);
        }
        self.settle(id);
    }

    fn settle(&mut self, id: AttemptId) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        if attempt.standing == Standing::Over && self.calls.get(&attempt.call) == Some(&id) {
            self.calls.remove(&attempt.call);
        }
        // Never in the past: whatever is due was done, or is done in a millisecond.
        let soonest = self.shared.now.plus(Duration::from_millis(1));
        let at = attempt.wake().map(|at| at.max(soonest));
        if !attempt.is_spent(self.shared.now) {
            self.shared.wakes.arm(Sleeper::Attempt(id), &mut attempt.armed, at);
            return;
        }
        self.shared.wakes.arm(Sleeper::Attempt(id), &mut attempt.armed, None);
        self.shared.branches.remove(&key(&attempt.branch, &Method::Invite));
        for spent in &attempt.spent {
            self.shared.branches.remove(&key(&spent.branch, &Method::Invite));
        }
        self.call_ids.remove(&attempt.call_id);
        self.attempts.remove(&id);
    }

    fn receive(&mut self, arrival: &Arrival<'_>) {
        let message = match Message::read(arrival.bytes) {
            Ok(message) => message,
            Err(Malformed::Empty) => return,
            Err(_) => {
                self.shared.counters.malformed += 1;
                return;
            }
        };
        let attempt = message.first(Name::CallId).and_then(|call_id| self.call_ids.get(call_id.as_ref()).copied());
        if self.shared.settings.trace != Trace::Off {
            let call = attempt.and_then(|id| self.attempts.get(&id)).map(|attempt| attempt.call);
            self.shared.trace(call, Direction::Received, arrival.flow, arrival.bytes);
        }
        let fault = message.fault();
        if fault.is_some() {
            self.shared.counters.malformed += 1;
        }
        match (&message.start, fault) {
            (Start::Response { code, .. }, None) => self.response(&message, *code),
            (Start::Response { .. }, Some(_)) => {}
            (Start::Request { .. }, None) => self.request(&message, arrival, attempt),
            (Start::Request { .. }, Some(fault)) => serve::malformed(&mut self.shared, &message, arrival, fault),
        }
    }

    fn response(&mut self, message: &Message<'_>, code: u16) {
        let (Some((branch, vias)), Some(cseq)) = (message.branch(), message.cseq()) else {
            self.shared.counters.stray_responses += 1;
            return;
        };
        // RFC 3261 section 8.1.3.3: one that went through somebody else is not for us.
        let owner = self.shared.branches.get(&key(&branch, &cseq.method)).copied().filter(|_| vias == 1);
        match owner {
            Some(Owner::Invite(id)) if cseq.method == Method::Invite => {
                self.with(id, |attempt, shared| attempt.response(shared, message, &branch));
            }
            Some(Owner::Request(id)) => {
                let Some(request) = self
                    .shared
                    .requests
                    .get_mut(&id)
                    .filter(|request| request.draft.method == cseq.method && request.draft.cseq == cseq.number)
                else {
                    self.shared.counters.stray_responses += 1;
                    return;
                };
                if code < 200 {
                    request.provisional(self.shared.now);
                    let at = request.wake();
                    self.shared.wakes.arm(Sleeper::Request(id), &mut request.armed, at);
                } else if let Some(request) = self.shared.take(id) {
                    self.conclude(request, Outcome::Final(code, message));
                }
            }
            Some(Owner::Invite(_)) | None => self.shared.counters.stray_responses += 1,
        }
    }

    fn request(&mut self, message: &Message<'_>, arrival: &Arrival<'_>, attempt: Option<AttemptId>) {
        let Some((method, _)) = message.request() else { return };
        let found = attempt
            .and_then(|id| self.attempts.get(&id))
            .and_then(|attempt| Some((attempt.id(), attempt.dialog_of(message)?)));
        match (method, found) {
            (Method::Ack, Some((id, _))) => self.with(id, |attempt, shared| attempt.acknowledged(shared, message)),
            (Method::Ack, None) => {}
            (Method::Cancel, Some((id, _))) => {
                let mut taken = false;
                self.with(id, |attempt, shared| taken = attempt.canceled_by_peer(shared, message, arrival));
                if !taken {
                    serve::out_of_dialog(&mut self.shared, message, arrival);
                }
            }
            (_, Some((id, fork))) => self.with(id, |attempt, shared| attempt.asked(shared, message, arrival, fork)),
            (_, None) => serve::out_of_dialog(&mut self.shared, message, arrival),
        }
    }

    fn flow_failed(&mut self, flow: FlowId) {
        // Those that were sent: what the attempts send now goes over the flow as it is opened next.
        let requests: Vec<RequestId> =
            self.shared.requests.iter().filter(|(_, request)| request.path.flow == flow).map(|(id, _)| *id).collect();
        let attempts: Vec<AttemptId> =
            self.attempts.iter().filter(|(_, attempt)| attempt.path.flow == flow).map(|(id, _)| *id).collect();
        for id in attempts {
            self.with(id, |attempt, shared| attempt.flow_failed(shared, flow));
        }
        for id in requests {
            if let Some(request) = self.shared.take(id) {
                self.conclude(request, Outcome::FlowFailed);
            }
        }
    }

    /// Does what is due.
    fn tick(&mut self) {
        while let Some(sleeper) = self.shared.wakes.due(self.shared.now) {
            match sleeper {
                Sleeper::Attempt(id) => {
                    self.with(id, |attempt, shared| {
                        attempt.armed = None;
                        attempt.tick(shared);
                    });
                }
                Sleeper::Request(id) => self.tick_request(id),
                Sleeper::Registration(key) => {
                    if let Some(registered) = self.registrations.get_mut(&key) {
                        registered.armed = None;
                    }
                    self.send_register(key);
                }
            }
        }
    }

    fn tick_request(&mut self, id: RequestId) {
        let Some(mut request) = self.shared.requests.remove(&id) else { return };
        request.armed = None;
        let over = request.tick(&mut self.shared);
        let at = request.wake();
        if !over {
            self.shared.wakes.arm(Sleeper::Request(id), &mut request.armed, at);
        }
        self.shared.requests.insert(id, request);
        if let Some(request) = over.then(|| self.shared.take(id)).flatten() {
            self.conclude(request, Outcome::TimedOut);
        }
    }
}
