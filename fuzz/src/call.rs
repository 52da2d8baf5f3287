//! Owns the target for the protocol core: a script of what the peer, the caller and the clock do while a call is open.

use std::time::Duration;

use ringproof::{
    secret::Secret,
    sip::{
        Arrival, CallKey, Credentials, Event, FlowId, Input, Invite, OfferId, Output, Party, Path, Settings, Trace,
        Transport, Uac,
        message::{Message, Name},
    },
    time::Timestamp,
};

const CALL: CallKey = CallKey(1);
const FLOW: FlowId = FlowId(1);
const PASSWORD: &str = "5ecret";
/// Longest wait in a script, in tenths of a second.
const MAX_WAIT: u16 = 1_000;
/// Most steps of a script.
const MAX_STEPS: usize = 64;

struct World {
    uac: Uac,
    now: Timestamp,
    /// When the core wants to be woken.
    next: Option<Timestamp>,
    invite: String,
    offer: Option<OfferId>,
    answered: bool,
    finals: usize,
    /// The script holds our password itself, by chance.
    knows_password: bool,
}

/// Steps with a `~` alone on a line between them: a message, or one letter for something else: `h` hang up, `c` cancel,
/// `a` answer an offer, `r` refuse it, `f` the flow fails, `w` and a number wait for so many tenths of a second.
/// In a message `$V`, `$F`, `$T`, `$I` and `$C` stand for what the headers of these initials hold in the INVITE.
pub fn sip_uac(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut world = World::calling(text.contains(PASSWORD));
    let split: Vec<&str> = text.split("\n~\n").take(MAX_STEPS).collect();
    if split.len() == 1 && text.len() != bytes.len() {
        // What is no text goes in as it is.
        world.receive(bytes);
    }
    split.iter().for_each(|step| world.step(step));
    world.ends();
}

impl World {
    fn calling(knows_password: bool) -> Self {
        let now = Timestamp::from_ms(1_000_000);
        let settings = Settings { trace: Trace::Messages, ..Settings::default() };
        let mut world = Self {
            uac: Uac::new(settings, [7; 32], now),
            now,
            next: None,
            invite: String::new(),
            offer: None,
            answered: false,
            finals: 0,
            knows_password,
        };
        world.input(Input::Invite(Box::new(Invite {
            call: CALL,
            path: Path {
                flow: FLOW,
                transport: Transport::Udp,
                sent_by: String::from("192.0.2.1:5060"),
                contact: String::from("sip:ringproof@192.0.2.1:5060"),
                large: None,
            },
            uri: String::from("sip:+819012345678@trunk.example"),
            from: Party { display: None, uri: String::from("sip:+815012345678@trunk.example") },
            routes: Vec::new(),
            offer: b"v=0\r\n".to_vec(),
            credentials: Some(Credentials {
                username: String::from("u"),
                password: Secret::new(String::from(PASSWORD)),
            }),
            redirects: vec![String::from("other.example")],
            headers: Vec::new(),
            ring_limit: Duration::from_secs(30),
        })));
        world
    }

    fn step(&mut self, step: &str) {
        let mut letters = step.trim().chars();
        let number = step.trim().get(1..).and_then(|number| number.parse::<u16>().ok());
        match (letters.next(), step.trim().len() < 8) {
            (Some('h'), true) => self.input(Input::HangUp { call: CALL, reason: None }),
            (Some('c'), true) => self.input(Input::Cancel { call: CALL, reason: None }),
            (Some(letter @ ('a' | 'r')), true) => {
                if let Some(offer) = self.offer {
                    let sdp = (letter == 'a').then(|| b"v=0\r\n".to_vec());
                    self.input(Input::Answer { call: CALL, offer, sdp });
                }
            }
            (Some('f'), true) => self.input(Input::FlowFailed(FLOW)),
            (Some('w'), true) => self.pass(Duration::from_millis(100) * u32::from(number.unwrap_or(10).min(MAX_WAIT))),
            _ => {
                let message = self.message(step);
                self.receive(message.as_bytes());
            }
        }
    }

    /// A message with what it takes from the INVITE in its place, and its lines ended as they have to be.
    fn message(&self, step: &str) -> String {
        let Ok(invite) = Message::read(self.invite.as_bytes()) else { return step.to_owned() };
        let mut text = step.replace("\r\n", "\n").replace('\n', "\r\n");
        let names = [("$V", Name::Via), ("$F", Name::From), ("$T", Name::To), ("$I", Name::CallId), ("$C", Name::CSeq)];
        for (mark, name) in names {
            text = text.replace(mark, &invite.first(name).unwrap_or_default());
        }
        text
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.input(Input::Received(Arrival {
            flow: FLOW,
            transport: Transport::Udp,
            host: "192.0.2.9",
            port: 5060,
            bytes,
        }));
    }

    fn input(&mut self, input: Input<'_>) {
        self.uac.handle_input(self.now, input);
        loop {
            match self.uac.poll_output() {
                Output::Transmit(transmit) => self.sent(&transmit.bytes),
                Output::Event(event) => self.happened(&event),
                Output::Trace(rung) => {
                    assert!(!rung.text.contains("819012345678"));
                    assert!(self.knows_password || !rung.text.contains(PASSWORD));
                }
                Output::Timeout(at) => {
                    assert!(at.is_none_or(|at| at > self.now), "a timer in the past");
                    self.next = at;
                    return;
                }
            }
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        let message = Message::read(bytes).expect("what we send can be read");
        let is_request = message.request().is_some();
        // What a stranger wrote badly may be found again in the answer to it.
        assert!(!is_request || message.fault().is_none(), "{}", String::from_utf8_lossy(bytes));
        if bytes.starts_with(b"INVITE ") && !self.answered {
            self.invite = String::from_utf8_lossy(bytes).into_owned();
        }
    }

    fn happened(&mut self, event: &Event) {
        match event {
            Event::Answered { .. } => {
                assert!(!self.answered && self.finals == 0, "answered once, and before the end");
                self.answered = true;
            }
            Event::Refused { .. } | Event::NextTarget { .. } => {
                assert!(!self.answered);
                self.finals += 1;
            }
            Event::Ended { .. } => {
                assert!(self.answered);
                self.finals += 1;
            }
            Event::Offered { offer, .. } => self.offer = Some(*offer),
            Event::InfoReceived { .. } => assert!(self.answered && self.finals == 0, "keys count in a call only"),
            Event::Provisional { .. }
            | Event::AnswerReceived { .. }
            | Event::Probed { .. }
            | Event::Registration { .. } => {}
        }
        assert!(self.finals <= 1, "one end");
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while let Some(at) = self.next.filter(|at| *at <= end) {
            self.now = at;
            self.input(Input::Tick);
        }
        self.now = end;
    }

    /// Whatever came, the call ends and everything is given back.
    fn ends(mut self) {
        for _ in 0..2 {
            self.input(Input::HangUp { call: CALL, reason: None });
            self.pass(Duration::from_secs(200));
        }
        assert_eq!((self.finals, self.uac.remembered(), self.uac.unanswered()), (1, 0, 0));
        assert!(self.next.is_none(), "no timer is left");
    }
}
