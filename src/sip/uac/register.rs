//! Owns registrations (RFC 3261 section 10.2) and probes: requests that belong to no call.

use std::{sync::Arc, time::Duration};

use super::{
    Uac,
    conclude::Outcome,
    draft::{self, Draft, Ids},
    request::{Purpose, Request},
    timers::Sleeper,
};
use crate::{
    sip::{
        Event, Path, Probe, ProbeResult, Registration, RegistrationKey, RegistrationState,
        digest::Chain,
        message::{Message, Method, Name, NameAddr, seconds},
    },
    time::Timestamp,
};

/// Most registrations at a time.
const MAX_REGISTRATIONS: usize = 64;
/// Shortest and longest time to register for.
const EXPIRES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));
/// First wait after a failure, and longest (RFC 5626 section 4.5 has the same figures).
const BACKOFF: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(1800));
/// Longest time before its end that a registration is refreshed.
const MARGIN: Duration = Duration::from_secs(32);

/// A registration that is kept alive.
pub(super) struct Registered {
    path: Arc<Path>,
    registrar: String,
    from: String,
    to: String,
    call_id: String,
    number: u32,
    chain: Chain,
    expires: Duration,
    /// Whether a longer time was asked for already, after 423.
    lengthened: bool,
    failures: u32,
    stopping: bool,
    next: Option<Timestamp>,
    pub(super) armed: Option<Timestamp>,
}

impl Uac {
    /// Asks a target whether it lives.
    pub(super) fn probe(&mut self, probe: Probe) {
        let shared = &mut self.shared;
        let tag = shared.random.token();
        let sound = draft::sound_uri(&probe.uri, &["sip", "sips"]) && draft::sound_path(&probe.path);
        let from = draft::from_value(&probe.from, &tag).filter(|_| sound);
        let Some(from) = from else {
            shared.event(Event::Probed { probe: probe.probe, result: ProbeResult::NotSent });
            return;
        };
        let (call_id, to) = (shared.random.token(), format!("<{}>", probe.uri));
        let ids = Ids { from: &from, to: &to, call_id: &call_id, routes: &[] };
        let draft =
            Draft::new(Method::Options, &probe.uri, 1, &ids).agent(&shared.settings).capable(&probe.path.contact);
        let chain = Chain::new(probe.credentials.map(Arc::new), &draft.host(), &shared.nonces);
        let purpose = Purpose::Probe { probe: probe.probe, limit: probe.limit };
        let mut request = Request::new(purpose, draft, &Arc::new(probe.path), shared);
        request.chain = Some(chain);
        if !shared.start(request) {
            shared.event(Event::Probed { probe: probe.probe, result: ProbeResult::NotSent });
        }
    }

    /// Registers, and stays registered.
    pub(super) fn register(&mut self, registration: Registration) {
        let key = registration.registration;
        let shared = &mut self.shared;
        let tag = shared.random.token();
        let sound = draft::sound_uri(&registration.registrar, &["sip", "sips"])
            && draft::sound_path(&registration.path)
            && self.registrations.len() < MAX_REGISTRATIONS
            && !self.registrations.contains_key(&key);
        let from = draft::from_value(&registration.address, &tag).filter(|_| sound);
        let Some(from) = from else {
            shared.counters.bounded += 1;
            shared.event(Event::Registration { registration: key, state: RegistrationState::Unregistered });
            return;
        };
        let chain =
            Chain::new(registration.credentials.map(Arc::new), &draft::host(&registration.registrar), &shared.nonces);
        let registered = Registered {
            path: Arc::new(registration.path),
            registrar: registration.registrar,
            from,
            to: format!("<{}>", registration.address.uri),
            call_id: shared.random.token(),
            number: 0,
            chain,
            expires: registration.expires.clamp(EXPIRES.0, EXPIRES.1),
            lengthened: false,
            failures: 0,
            stopping: false,
            next: None,
            armed: None,
        };
        self.registrations.insert(key, registered);
        self.send_register(key);
    }

    /// Takes a registration back.
    pub(super) fn unregister(&mut self, key: RegistrationKey) {
        let Some(registered) = self.registrations.get_mut(&key).filter(|registered| !registered.stopping) else {
            return;
        };
        registered.stopping = true;
        let open = self.shared.requests.iter().find(|(_, request)| request.purpose == Purpose::Register(key));
        if let Some(id) = open.map(|(id, _)| *id) {
            self.shared.take(id);
        }
        self.send_register(key);
    }

    pub(super) fn send_register(&mut self, key: RegistrationKey) {
        let Some(registered) = self.registrations.get_mut(&key) else { return };
        let shared = &mut self.shared;
        registered.next = None;
        shared.wakes.arm(Sleeper::Registration(key), &mut registered.armed, None);
        registered.number += 1;
        let ids = Ids { from: &registered.from, to: &registered.to, call_id: &registered.call_id, routes: &[] };
        let mut draft = Draft::new(Method::Register, &registered.registrar, registered.number, &ids)
            .agent(&shared.settings)
            .capable(&registered.path.contact);
        let expires = if registered.stopping { 0 } else { registered.expires.as_secs() };
        draft.lines.header("Expires", expires.to_string());
        let mut request = Request::new(Purpose::Register(key), draft, &registered.path, shared);
        request.chain = Some(registered.chain.renewed(&shared.nonces));
        if !shared.start(request) {
            self.registered(key, Outcome::TimedOut);
        }
    }

    /// A REGISTER is sent again because of a challenge.
    pub(super) fn next_registration_number(&mut self, key: RegistrationKey) -> u32 {
        let Some(registered) = self.registrations.get_mut(&key) else { return 1 };
        registered.number += 1;
        registered.number
    }

    /// A REGISTER came back.
    pub(super) fn registered(&mut self, key: RegistrationKey, outcome: Outcome<'_>) {
        let Some(registered) = self.registrations.get_mut(&key) else { return };
        if registered.stopping {
            self.registrations.remove(&key);
            self.shared.event(Event::Registration { registration: key, state: RegistrationState::Unregistered });
            return;
        }
        let state = match outcome {
            Outcome::Final(200..300, message) => {
                registered.failures = 0;
                let expires = granted(message, &registered.path.contact).unwrap_or(registered.expires);
                let wait = expires.saturating_sub(MARGIN.min(expires / 5)).max(Duration::from_secs(1));
                registered.next = Some(self.shared.now.plus(wait));
                RegistrationState::Registered { expires }
            }
            Outcome::Final(423, message) if !registered.lengthened => {
                registered.lengthened = true;
                let least = message.first(Name::MinExpires).and_then(|text| seconds(&text)).unwrap_or(EXPIRES.1);
                registered.expires = registered.expires.max(least).min(EXPIRES.1);
                self.send_register(key);
                return;
            }
            Outcome::Final(..) | Outcome::TimedOut | Outcome::FlowFailed => {
                let (code, asked) = match outcome {
                    Outcome::Final(code, message) => (Some(code), super::responses::retry(message)),
                    Outcome::TimedOut | Outcome::FlowFailed => (None, None),
                };
                let backoff = BACKOFF.0.saturating_mul(1 << registered.failures.min(6)).min(BACKOFF.1);
                registered.failures += 1;
                let retry_in = asked.unwrap_or(backoff).clamp(Duration::from_secs(1), BACKOFF.1);
                registered.next = Some(self.shared.now.plus(retry_in));
                RegistrationState::Failed { code, retry_in }
            }
        };
        let at = registered.next;
        self.shared.wakes.arm(Sleeper::Registration(key), &mut registered.armed, at);
        self.shared.event(Event::Registration { registration: key, state });
    }
}

/// For how long the registrar keeps our contact (RFC 3261 section 10.2.4): at the contact itself, or for all of them.
fn granted(message: &Message<'_>, contact: &str) -> Option<Duration> {
    let ours = message.all(Name::Contact);
    let ours =
        ours.iter().filter_map(|value| NameAddr::read(value)).find(|address| address.uri.eq_ignore_ascii_case(contact));
    let at_contact = ours.and_then(|address| address.params.value("expires")).and_then(|text| seconds(&text));
    let granted = at_contact.or_else(|| message.first(Name::Expires).and_then(|text| seconds(&text)));
    granted.filter(|granted| !granted.is_zero())
}
