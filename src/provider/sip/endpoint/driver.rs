//! Owns the one task that drives the protocol core of a carrier: commands, messages and the passing of time go in, bytes
//! and events come out. No lock is held and nothing is awaited while the core works.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{CallEvent, Course, Facing, Inner, lock, oddities::Oddities};
use crate::{
    provider::sip::{
        outcome::{self, Unanswered},
        resolve::Hop,
        transport::{self, Arrival, Arrivals, Destination},
        trunk::Target,
        trunk_uri::{Host, TrunkUri, usual_port},
    },
    sip::{
        self, CallKey, Canceled, Event, Exhausted, FlowId, Input, Invite, OfferId, Output, Probe, ProbeKey,
        ProbeResult, Reason, Refusal, Registration, RegistrationKey, RegistrationState, Rung, Transmit, Transport, Uac,
    },
    time::Timestamp,
};

/// Most messages and commands that are taken before timers are looked at again.
const MAX_AT_ONCE: usize = 128;
/// Events of a call that always have room: its end, and what tells of it.
const KEPT_EVENTS: usize = 8;
/// How long the driver sleeps when nothing is to be done.
const IDLE: Duration = Duration::from_secs(3_600);
/// How often it is seen whether somebody still listens to each call, and what went wrong on the wire.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the driver is asked to do.
pub(super) enum Command {
    /// A call begins.
    Begin { course: Box<Course>, events: mpsc::Sender<CallEvent> },
    /// Its next server is found.
    Invite { course: Box<Course>, target: Target, facing: Facing, invite: Box<Invite> },
    /// There is no further server.
    GaveUp { call: CallKey, event: CallEvent },
    /// Stop it before it is answered.
    Cancel { call: CallKey, reason: Option<Reason> },
    /// End it.
    HangUp { call: CallKey, reason: Option<Reason> },
    /// End all.
    HangUpAll,
    /// Answer an offer.
    Answer { call: CallKey, offer: OfferId, sdp: Option<Vec<u8>> },
    /// Ask a server whether it lives.
    Probe { probe: Box<Probe>, told: oneshot::Sender<ProbeResult> },
    /// Register, and stay registered.
    Register { registration: Box<Registration>, told: mpsc::Sender<RegistrationState> },
    /// Take a registration back.
    Unregister(RegistrationKey),
    /// Take all back.
    UnregisterAll,
    /// Tell when none is left, and nothing waits for an answer.
    WhenSilent(oneshot::Sender<()>),
}

/// A call as the driver knows it.
struct Call {
    events: mpsc::Sender<CallEvent>,
    stage: Stage,
}

enum Stage {
    /// A server is being looked for. With `canceled` none is wanted any more.
    Looking { canceled: bool },
    /// The core has it.
    Dialled { target: Target, course: Option<Box<Course>>, heard: bool, rang: bool },
}

pub(super) struct Driver {
    inner: Arc<Inner>,
    uac: Uac,
    arrivals: Arrivals,
    commands: mpsc::Receiver<Command>,
    calls: BTreeMap<CallKey, Call>,
    probes: BTreeMap<ProbeKey, oneshot::Sender<ProbeResult>>,
    registrations: BTreeMap<RegistrationKey, mpsc::Sender<RegistrationState>>,
    when_silent: Vec<oneshot::Sender<()>>,
    /// Branches of the last probes, by flow: an answer with one of them is no forgery, and tells how we are seen.
    branches: BTreeMap<FlowId, Vec<u8>>,
    oddities: Oddities,
    deadline: Option<Timestamp>,
}

impl Driver {
    pub(super) fn new(inner: Arc<Inner>, uac: Uac, arrivals: Arrivals, commands: mpsc::Receiver<Command>) -> Self {
        Self {
            inner,
            uac,
            arrivals,
            commands,
            calls: BTreeMap::new(),
            probes: BTreeMap::new(),
            registrations: BTreeMap::new(),
            when_silent: Vec::new(),
            branches: BTreeMap::new(),
            oddities: Oddities::default(),
            deadline: None,
        }
    }

    pub(super) async fn run(mut self) {
        let stop = self.inner.stop.clone();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let until = self.deadline.map_or_else(|| tokio::time::Instant::now() + IDLE, |at| self.inner.instant(at));
            tokio::select! {
                () = stop.cancelled() => return,
                Some(arrival) = self.arrivals.next() => {
                    self.arrived(arrival);
                    for _ in 1..MAX_AT_ONCE {
                        let Some(arrival) = self.arrivals.waiting() else { break };
                        self.arrived(arrival);
                    }
                }
                Some(command) = self.commands.recv() => {
                    self.command(command);
                    for _ in 1..MAX_AT_ONCE {
                        let Ok(command) = self.commands.try_recv() else { break };
                        self.command(command);
                    }
                }
                () = tokio::time::sleep_until(until) => self.put(Input::Tick),
                _ = look.tick() => {
                    self.end_unheard();
                    self.oddities.tell(&self.inner.name, self.uac.counters());
                }
            }
        }
    }

    /// One input, and everything that comes of it.
    fn put(&mut self, input: Input<'_>) {
        self.uac.handle_input(self.inner.now(), input);
        loop {
            match self.uac.poll_output() {
                Output::Transmit(transmit) => self.transmit(transmit),
                Output::Event(event) => self.happened(event),
                Output::Trace(rung) => self.trace(&rung),
                Output::Timeout(at) => {
                    self.deadline = at;
                    self.tell_silent();
                    return;
                }
            }
        }
    }

    /// Logs and captures a message. Where only captures want all of it, the log has its first line.
    fn trace(&self, rung: &Rung) {
        if let Some(capture) = &self.inner.capture {
            capture.said(rung);
        }
        let whole = self.inner.capture.is_none() || tracing::enabled!(tracing::Level::TRACE);
        let text = if whole { &rung.text } else { rung.text.lines().next().unwrap_or_default() };
        let call = rung.call.map(|call| call.0);
        tracing::debug!(provider.name = %self.inner.name, sip.call = call, "{:?} {text}", rung.direction);
    }

    fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Message { flow, transport, from, bytes } => {
                self.learn(flow, &bytes);
                let host = from.ip().to_string();
                self.put(Input::Received(sip::Arrival {
                    flow,
                    transport,
                    host: &host,
                    port: from.port(),
                    bytes: &bytes,
                }));
            }
            Arrival::Lost { flow, why } => {
                tracing::info!(provider.name = %self.inner.name, sip.flow = flow.0, "a connection of a trunk broke: {why}");
                self.put(Input::FlowFailed(flow));
            }
        }
    }

    /// RFC 3581: the answer says where our request came from. Only answers to our own probes are believed.
    fn learn(&mut self, flow: FlowId, bytes: &[u8]) {
        let Some(branch) = self.branches.get(&flow) else { return };
        let Some(via) = transport::first_via(bytes).filter(|via| via.branch == branch.as_slice()) else { return };
        self.branches.remove(&flow);
        let mut seen_as = lock(&self.inner.seen_as);
        match via.seen_as {
            Some(address) => {
                if seen_as.insert(flow, address).is_none_or(|before| before != address) {
                    tracing::info!(provider.name = %self.inner.name, "a trunk sees us as {address}");
                }
            }
            None => drop(seen_as.remove(&flow)),
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Begin { course, events } => {
                self.calls.insert(course.call, Call { events, stage: Stage::Looking { canceled: false } });
                self.inner.tasks.spawn(course.go_on(Arc::clone(&self.inner)));
            }
            Command::Invite { course, target, facing, invite } => self.invite(course, target, facing, invite),
            Command::GaveUp { call, event } => self.finish(call, event),
            Command::Cancel { call, reason } => self.end(call, reason, |call, reason| Input::Cancel { call, reason }),
            Command::HangUp { call, reason } => self.end(call, reason, |call, reason| Input::HangUp { call, reason }),
            Command::HangUpAll => {
                let calls: Vec<CallKey> = self.calls.keys().copied().collect();
                for call in calls {
                    self.end(call, None, |call, reason| Input::HangUp { call, reason });
                }
            }
            Command::Answer { call, offer, sdp } => self.put(Input::Answer { call, offer, sdp }),
            Command::Probe { probe, told } => {
                self.probes.insert(probe.probe, told);
                self.put(Input::Probe(probe));
            }
            Command::Register { registration, told } => {
                self.registrations.insert(registration.registration, told);
                self.put(Input::Register(registration));
            }
            Command::Unregister(registration) => self.put(Input::Unregister(registration)),
            Command::UnregisterAll => {
                let registrations: Vec<RegistrationKey> = self.registrations.keys().copied().collect();
                for registration in registrations {
                    self.put(Input::Unregister(registration));
                }
            }
            Command::WhenSilent(told) => {
                self.when_silent.push(told);
                self.tell_silent();
            }
        }
    }

    fn invite(&mut self, course: Box<Course>, target: Target, facing: Facing, invite: Box<Invite>) {
        let key = course.call;
        let stage = self.calls.get_mut(&key).map(|call| &mut call.stage);
        match stage {
            Some(stage @ Stage::Looking { canceled: false }) => {
                *stage = Stage::Dialled { target, course: Some(course), heard: false, rang: false };
                self.tell(key, CallEvent::Dialled(facing));
                self.put(Input::Invite(invite));
            }
            Some(Stage::Looking { canceled: true }) => {
                lock(&self.inner.trunks).give_back(target);
                self.finish(key, CallEvent::Refused(Box::new(canceled_before_it_was_sent())));
            }
            Some(Stage::Dialled { .. }) | None => lock(&self.inner.trunks).give_back(target),
        }
    }

    /// Stops or ends a call, in whatever stage it is.
    fn end<'a>(&mut self, key: CallKey, reason: Option<Reason>, how: impl Fn(CallKey, Option<Reason>) -> Input<'a>) {
        match self.calls.get_mut(&key).map(|call| &mut call.stage) {
            Some(Stage::Looking { canceled }) => *canceled = true,
            Some(Stage::Dialled { .. }) => self.put(how(key, reason)),
            None => {}
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Provisional { call, code, phrase, early_media } => {
                self.heard(call, true);
                self.tell(call, CallEvent::Provisional { code, phrase, early_media });
            }
            Event::Answered { call, answer, remote_tag, forks } => {
                self.heard(call, true);
                if let Some(Call { stage: Stage::Dialled { course, .. }, .. }) = self.calls.get_mut(&call) {
                    // It is taken: no other server is asked for it.
                    *course = None;
                }
                self.tell(call, CallEvent::Answered { answer, remote_tag, forks });
            }
            Event::Refused { call, refusal } => self.refused(call, refusal),
            Event::NextTarget { call, exhausted } => self.next_target(call, exhausted),
            Event::Ended { call, by, cause, reasons } => {
                self.release(call);
                self.finish(call, CallEvent::Ended { by, cause, reasons });
            }
            Event::InfoReceived { call, content_type, body } => self.tell(call, CallEvent::Info { content_type, body }),
            Event::Offered { call, offer, sdp } => self.tell(call, CallEvent::Offered { offer, sdp }),
            Event::AnswerReceived { call, answer } => self.tell(call, CallEvent::AnswerReceived { answer }),
            Event::Probed { probe, result } => {
                if let Some(told) = self.probes.remove(&probe) {
                    // Who asked may have given up.
                    let _gone = told.send(result);
                }
            }
            Event::Registration { registration, state } => self.registration(registration, state),
        }
    }

    fn registration(&mut self, registration: RegistrationKey, state: RegistrationState) {
        let is_over = state == RegistrationState::Unregistered;
        if let Some(told) = self.registrations.get(&registration) {
            // Who does not read them wants the latest only, and asks again.
            let _full = told.try_send(state);
        }
        if is_over {
            self.registrations.remove(&registration);
        }
    }

    fn tell_silent(&mut self) {
        if !self.when_silent.is_empty() && self.registrations.is_empty() && self.uac.unanswered() == 0 {
            for told in self.when_silent.drain(..) {
                let _gone = told.send(());
            }
        }
    }

    /// Ends calls that nobody listens to any more.
    fn end_unheard(&mut self) {
        let unheard = self.calls.iter().filter(|(_, call)| call.events.is_closed());
        let unheard: Vec<CallKey> = unheard.map(|(key, _)| *key).collect();
        for key in unheard {
            self.end(key, None, |call, reason| Input::HangUp { call, reason });
        }
    }

    /// A server that answers is up.
    fn heard(&mut self, call: CallKey, rings: bool) {
        if let Some(Call { stage: Stage::Dialled { target, heard, rang, .. }, .. }) = self.calls.get_mut(&call) {
            *rang |= rings;
            if !std::mem::replace(heard, true) {
                self.inner.target_heard(*target);
            }
        }
    }

    fn refused(&mut self, call: CallKey, refusal: Box<Refusal>) {
        if !refusal.local {
            self.heard(call, false);
        }
        let course = match self.calls.get_mut(&call).map(|call| &mut call.stage) {
            Some(Stage::Dialled { course, target, rang, .. }) if goes_on(&refusal, *rang) => {
                course.take().map(|course| (course, *target))
            }
            Some(Stage::Dialled { .. } | Stage::Looking { .. }) | None => None,
        };
        self.release(call);
        match course {
            Some((mut course, target)) => {
                course.refused(target, refusal, true);
                self.look_on(call, course);
            }
            None => self.finish(call, CallEvent::Refused(refusal)),
        }
    }

    fn next_target(&mut self, call: CallKey, exhausted: Exhausted) {
        self.release(call);
        let stage = self.calls.get_mut(&call).map(|call| &mut call.stage);
        let Some(Stage::Dialled { target, course, .. }) = stage else { return };
        let (target, course) = (*target, course.take());
        let Some(mut course) = course else {
            return self.finish(call, CallEvent::NotTaken { why: String::from("the connection to the trunk broke") });
        };
        match exhausted {
            Exhausted::Silent => {
                course.failed(target, "it does not answer");
                self.inner.target_failed(target, "it does not answer calls");
            }
            Exhausted::FlowFailed => {
                course.failed(target, "it cannot be reached");
                self.inner.target_failed(target, "it cannot be reached");
            }
            Exhausted::Unavailable(refusal) if !elsewhere_is_better(&refusal) => {
                return self.finish(call, CallEvent::Refused(refusal));
            }
            Exhausted::Unavailable(refusal) => {
                match refusal.retry_after {
                    Some(after) => self.inner.target_blocked(target, after),
                    None => self.inner.target_failed(target, "it says 503"),
                }
                course.refused(target, refusal, false);
            }
        }
        self.look_on(call, course);
    }

    fn look_on(&mut self, call: CallKey, course: Box<Course>) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.stage = Stage::Looking { canceled: false };
            self.inner.tasks.spawn(course.go_on(Arc::clone(&self.inner)));
        }
    }

    /// Gives back the place at the server that a call has.
    fn release(&self, call: CallKey) {
        if let Some(Call { stage: Stage::Dialled { target, .. }, .. }) = self.calls.get(&call) {
            lock(&self.inner.trunks).give_back(*target);
        }
    }

    /// Tells what happened, unless there is too much of it. Who does not listen any more wants no call.
    fn tell(&mut self, key: CallKey, event: CallEvent) {
        let Some(call) = self.calls.get(&key) else { return };
        if call.events.is_closed() {
            self.inner.hang_up_soon(key);
        } else if call.events.capacity() <= KEPT_EVENTS || call.events.try_send(event).is_err() {
            metrics::counter!("ringproof_sip_events_dropped_total").increment(1);
        }
    }

    /// Tells the last event of a call.
    fn finish(&mut self, key: CallKey, event: CallEvent) {
        if let Some(call) = self.calls.remove(&key) {
            // Has room: see `tell`. Nobody may listen any more.
            let _gone = call.events.try_send(event);
            self.inner.call_ended();
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        let Transmit { flow, hop, bytes } = transmit;
        if let Some(to) = self.arrivals.stranger(flow) {
            return self.inner.network.reply(to, &Bytes::from(bytes));
        }
        if bytes.starts_with(b"OPTIONS ")
            && let Some(via) = transport::first_via(&bytes)
        {
            self.branches.insert(flow, via.branch.to_vec());
        }
        let bytes = Bytes::from(bytes);
        let elsewhere = hop.and_then(|hop| self.elsewhere(flow, &hop));
        let Some((uri, transport)) = elsewhere else { return self.inner.network.send(flow, bytes) };
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            let found = inner.resolver.find(&uri).await;
            let hop = found.ok().and_then(|hops| hops.into_iter().find(|hop| hop.transport == transport));
            let reserved = hop.and_then(|hop| inner.network.reserve(&Destination { hop, host: uri.host.clone() }).ok());
            // What cannot be found goes where the others went: the server there may know the way.
            inner.network.send(reserved.unwrap_or(flow), bytes);
        });
    }

    /// Where a request goes when not to the peer of its flow. Over connections it stays there, as they lead to whom we
    /// believe; but a redirect to another host, which the core has allowed, is followed.
    fn elsewhere(&self, flow: FlowId, wanted: &sip::Hop) -> Option<(TrunkUri, Transport)> {
        let destination = self.inner.network.destination(flow)?;
        let Destination { hop: Hop { transport, address }, host } = destination;
        if wanted.transport.is_some_and(|wanted| wanted != transport) {
            return None;
        }
        let mut uri: TrunkUri = match wanted.host.parse() {
            Ok(address) => TrunkUri { secure: false, host: Host::Address(address), port: None, transport: None },
            Err(_) => format!("sip:{}", wanted.host).parse().ok()?,
        };
        uri.port = wanted.port;
        uri.transport = Some(transport);
        let same = match &uri.host {
            Host::Address(other) => {
                let port = uri.port.unwrap_or_else(|| usual_port(transport));
                (*other, port) == (address.ip(), address.port())
            }
            name @ Host::Name(_) => *name == host,
        };
        let stays = transport.is_reliable() && !self.inner.config.redirect_hosts.contains(&wanted.host.to_lowercase());
        let leads_inside = match &uri.host {
            // A mistaken Contact from behind a NAT is answered by way of the server; a forged one leads nowhere.
            Host::Address(other) => is_private(*other) && !is_private(address.ip()),
            Host::Name(_) => false,
        };
        if same || stays || leads_inside { None } else { Some((uri, transport)) }
    }
}

/// Whether the next trunk is asked after a final answer: faults of this trunk, before any telephone can have rung.
fn goes_on(refusal: &Refusal, rang: bool) -> bool {
    let fault_of_the_trunk = matches!(refusal.code, 482 | 483 | 500 | 502 | 504) && elsewhere_is_better(refusal);
    fault_of_the_trunk && !refusal.local && !refusal.rang && !rang && !refusal.crossed && refusal.canceled.is_none()
}

/// Whether another trunk may do better. A `Reason` of the callee's own, as of one who rang and did not answer, says no.
fn elsewhere_is_better(refusal: &Refusal) -> bool {
    outcome::of(Unanswered::Refused(refusal)).try_next
}

fn canceled_before_it_was_sent() -> Refusal {
    Refusal {
        code: 487,
        phrase: String::from("Request Terminated"),
        local: true,
        seen_response: false,
        rang: false,
        canceled: Some(Canceled::Asked),
        crossed: false,
        reasons: Vec::new(),
        retry_after: None,
        warning: None,
        contacts: Vec::new(),
    }
}

/// Whether an address belongs to this machine or to a network without addresses of its own.
const fn is_private(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified()
        }
        std::net::IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}
