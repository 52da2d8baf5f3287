//! Owns the other side of the tests: a clock, the messages that went out, and a peer that writes what a test wants.

use std::time::Duration;

use super::super::Uac;
use crate::{
    secret::Secret,
    sip::{
        Arrival, CallKey, Credentials, Event, FlowId, Input, Invite, Output, Party, Path, Rung, Settings, Transmit,
        Transport,
        message::{Message, Name, Start},
    },
    time::Timestamp,
};

pub(super) const FLOW: FlowId = FlowId(7);
pub(super) const CALL: CallKey = CallKey(1);
pub(super) const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nm=audio 4000 RTP/AVP 0\r\n";
pub(super) const SDP: &str = "v=0\r\no=- 2 2 IN IP4 192.0.2.9\r\ns=-\r\nm=audio 5000 RTP/AVP 0\r\n";

pub(super) struct World {
    pub(super) uac: Uac,
    pub(super) now: Timestamp,
    pub(super) sent: Vec<Transmit>,
    pub(super) events: Vec<Event>,
    pub(super) rungs: Vec<Rung>,
    pub(super) next: Option<Timestamp>,
    /// Whether what a stranger wrote badly may be found again in its answer.
    pub(super) mirrors: bool,
}

pub(super) fn path(transport: Transport) -> Path {
    Path {
        flow: FLOW,
        transport,
        sent_by: "192.0.2.1:5060".into(),
        contact: "sip:ringproof@192.0.2.1:5060".into(),
        large: None,
    }
}

pub(super) fn invite() -> Invite {
    Invite {
        call: CALL,
        path: path(Transport::Udp),
        uri: "sip:+819012345678@trunk.example;user=phone".into(),
        from: Party { display: Some("Contoso \"K\"".into()), uri: "sip:+815012345678@trunk.example".into() },
        routes: Vec::new(),
        offer: OFFER.to_vec(),
        credentials: Some(Credentials { username: "alice".into(), password: Secret::new("secret".into()) }),
        redirects: vec!["other.example".into()],
        headers: Vec::new(),
        ring_limit: Duration::from_secs(30),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let now = Timestamp::from_ms(1_000_000);
        let uac = Uac::new(settings, [3; 32], now);
        Self { uac, now, sent: Vec::new(), events: Vec::new(), rungs: Vec::new(), next: None, mirrors: false }
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.uac.handle_input(self.now, input);
        loop {
            match self.uac.poll_output() {
                Output::Transmit(transmit) => {
                    let sound = Message::read(&transmit.bytes).map(|message| message.fault());
                    let sound = sound == Ok(None) || self.mirrors && transmit.bytes.starts_with(b"SIP/2.0 ");
                    assert!(sound, "{}", String::from_utf8_lossy(&transmit.bytes));
                    self.sent.push(transmit);
                }
                Output::Event(event) => self.events.push(event),
                Output::Trace(rung) => self.rungs.push(rung),
                Output::Timeout(at) => {
                    assert!(at.is_none_or(|at| at > self.now), "a timer in the past: {at:?} at {:?}", self.now);
                    self.next = at;
                    return;
                }
            }
        }
    }

    /// Lets time pass, waking the core when it wants.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        let mut wakes = 0;
        while let Some(at) = self.next.filter(|at| *at <= end) {
            self.now = at;
            self.input(Input::Tick);
            wakes += 1;
            assert!(wakes < 5000, "a storm of timers");
        }
        self.now = end;
        self.input(Input::Tick);
    }

    pub(super) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.input(Input::Received(Arrival {
            flow: FLOW,
            transport: Transport::Udp,
            host: "192.0.2.9",
            port: 5060,
            bytes,
        }));
    }

    pub(super) fn call(&mut self) -> String {
        self.dial(invite())
    }

    /// Starts a call and gives its INVITE.
    pub(super) fn dial(&mut self, invite: Invite) -> String {
        self.input(Input::Invite(Box::new(invite)));
        self.last("INVITE")
    }

    /// The last message sent whose first line begins like this.
    pub(super) fn last(&self, start: &str) -> String {
        let found = self.sent.iter().rev().find(|transmit| transmit.bytes.starts_with(start.as_bytes()));
        let found = found.unwrap_or_else(|| panic!("no {start} was sent: {:?}", self.lines()));
        String::from_utf8(found.bytes.clone()).unwrap()
    }

    pub(super) fn hop(&self, start: &str) -> Option<String> {
        let found = self.sent.iter().rev().find(|transmit| transmit.bytes.starts_with(start.as_bytes()));
        found.and_then(|transmit| transmit.hop.as_ref()).map(|hop| format!("{}:{:?}", hop.host, hop.port))
    }

    pub(super) fn count(&self, start: &str) -> usize {
        self.sent.iter().filter(|transmit| transmit.bytes.starts_with(start.as_bytes())).count()
    }

    /// How many requests of this method were sent, copies not counted.
    pub(super) fn requests(&self, method: &str) -> usize {
        let sent = self.sent.iter().map(|transmit| String::from_utf8_lossy(&transmit.bytes));
        let numbers = sent.filter(|text| text.starts_with(method)).map(|text| header(&text, "CSeq"));
        numbers.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// First lines of what was sent, method or code only.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |transmit: &Transmit| match Message::read(&transmit.bytes).unwrap().start {
            Start::Request { method, .. } => method.to_string(),
            Start::Response { code, .. } => code.to_string(),
        };
        self.sent.iter().map(line).collect()
    }

    /// Takes what happened since the last time, as text.
    pub(super) fn happened(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events).iter().map(|event| format!("{event:?}")).collect()
    }

    /// Answers a request of ours.
    pub(super) fn reply(&mut self, request: &str, code: u16, tag: &str, more: &str, body: &str) {
        let response = response(request, code, tag, more, body);
        self.receive(response.as_bytes());
    }

    /// An answered call: the INVITE, and the 200 that answered it.
    pub(super) fn answered(&mut self, more: &str) -> (String, String) {
        let invite = self.call();
        let ok = response(&invite, 200, "peer", &format!("Contact: <sip:callee@192.0.2.9:5070>\r\n{more}"), SDP);
        self.receive(ok.as_bytes());
        (invite, ok)
    }
}

/// A response as a peer writes it. An empty tag leaves `To` as it is.
pub(super) fn response(request: &str, code: u16, tag: &str, more: &str, body: &str) -> String {
    let message = Message::read(request.as_bytes()).unwrap();
    let mut text = format!("SIP/2.0 {code} Phrase\r\n");
    for via in message.values(Name::Via) {
        text.push_str(&format!("Via: {via}\r\n"));
    }
    let to = message.first(Name::To).unwrap();
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    text.push_str(&format!("From: {}\r\nTo: {to}{tag}\r\n", message.first(Name::From).unwrap()));
    text.push_str(&format!("Call-ID: {}\r\n", message.first(Name::CallId).unwrap()));
    text.push_str(&format!("CSeq: {}\r\n{more}", message.first(Name::CSeq).unwrap()));
    if !body.is_empty() {
        text.push_str("Content-Type: application/sdp\r\n");
    }
    text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The value of a header.
pub(super) fn header(message: &str, name: &str) -> String {
    let found = message.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    found.unwrap_or_else(|| panic!("no {name} in {message}")).to_owned()
}

/// The first line.
pub(super) fn first(message: &str) -> &str {
    message.lines().next().unwrap()
}
