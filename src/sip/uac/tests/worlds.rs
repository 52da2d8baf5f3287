//! Owns seeded worlds: calls to a peer that does one of many things, over a network that loses, doubles, delays and spoils
//! messages. Whatever comes, each INVITE ends in one final event, no telephone is left in a call, and all memory comes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    dice::Dice,
    world::{self, FLOW, OFFER, SDP, response},
};
use crate::{
    sip::{Arrival, CallKey, Event, Input, OfferId, Output, Settings, Trace, Transport, Uac, message::Message},
    time::Timestamp,
};

/// What happens at some time.
enum Due {
    /// A message of ours reaches the peer.
    Reaches(Vec<u8>),
    /// A message of the peer reaches us.
    Arrives(Vec<u8>),
    /// The peer says this for the first time, and repeats it until it is acknowledged.
    Says {
        text: String,
        until: String,
        interval: u64,
        left: u64,
    },
    /// Something of the caller.
    Place(u64),
    Cancel(u64),
    HangUp(u64),
    Answers(u64, OfferId, bool),
    FlowFails,
}

/// One who may be in a call: Call-ID and tag.
type Party = (String, String);

#[derive(Default)]
struct Peer {
    /// What was answered to each transaction, to be said again.
    answered: BTreeMap<String, String>,
    /// Messages that are repeated until this was heard.
    heard: BTreeSet<String>,
    /// INVITEs without a final answer, by Call-ID.
    open: BTreeMap<String, String>,
    in_call: BTreeSet<Party>,
    ended: BTreeSet<Party>,
    challenged: BTreeSet<String>,
    last_branch: u64,
}

struct Line {
    /// Most messages in a hundred that are lost.
    loss: usize,
    spoils: bool,
}

struct Life {
    seed: u64,
    dice: Dice,
    uac: Uac,
    now: Timestamp,
    due: BTreeMap<(Timestamp, u64), Due>,
    number: u64,
    peer: Peer,
    line: Line,
    /// Calls that are alive, and whether they are answered.
    alive: BTreeMap<u64, bool>,
    finals: usize,
    placed: usize,
    /// What happened, by name.
    seen: BTreeSet<String>,
}

impl Life {
    fn new(seed: u64, loss: usize, spoils: bool) -> Self {
        let now = Timestamp::from_ms(1_000_000);
        let trace = if seed.is_multiple_of(5) { Trace::Messages } else { Trace::Off };
        let settings = Settings { trace, ..Settings::default() };
        let mut own = [0; 32];
        own[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            seed,
            dice: Dice::new(seed),
            uac: Uac::new(settings, own, now),
            now,
            due: BTreeMap::new(),
            number: 0,
            peer: Peer::default(),
            line: Line { loss, spoils },
            alive: BTreeMap::new(),
            finals: 0,
            placed: 0,
            seen: BTreeSet::new(),
        }
    }

    fn after(&mut self, ms: u64, due: Due) {
        self.number += 1;
        self.due.insert((self.now.plus(Duration::from_millis(ms)), self.number), due);
    }

    /// Puts a message on the line: lost, doubled, late, spoilt.
    fn carry(&mut self, bytes: &[u8], to_peer: bool) {
        let copies = if self.dice.percent(10) { 2 } else { 1 };
        for _ in 0..copies {
            if self.dice.percent(self.line.loss) {
                continue;
            }
            let late = if self.dice.percent(10) { 1500 } else { 60 };
            let delay = 1 + u64::try_from(self.dice.below(late)).unwrap();
            let spoilt = self.line.spoils && self.dice.percent(20);
            let bytes = if spoilt { self.dice.spoil(bytes) } else { bytes.to_vec() };
            self.after(delay, if to_peer { Due::Reaches(bytes) } else { Due::Arrives(bytes) });
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.uac.handle_input(self.now, input);
        loop {
            match self.uac.poll_output() {
                Output::Transmit(transmit) => self.carry(&transmit.bytes, true),
                Output::Event(event) => self.happened(&event),
                Output::Trace(_) => {}
                Output::Timeout(at) => {
                    assert!(at.is_none_or(|at| at > self.now), "seed {}", self.seed);
                    return;
                }
            }
        }
    }

    fn happened(&mut self, event: &Event) {
        let name = format!("{event:?}").split(' ').next().unwrap_or_default().to_owned();
        let name = if let Event::Ended { by, cause, .. } = event { format!("{by:?} {cause:?}") } else { name };
        self.seen.insert(name);
        let seed = self.seed;
        let over = |life: &mut Self, call: &CallKey, answered: bool| {
            assert_eq!(life.alive.remove(&call.0), Some(answered), "seed {seed}: {call:?} ended");
            life.finals += 1;
        };
        match event {
            Event::Provisional { call, .. } => assert!(self.alive.contains_key(&call.0), "seed {seed}"),
            Event::Answered { call, .. } => assert_eq!(self.alive.insert(call.0, true), Some(false), "seed {seed}"),
            Event::Refused { call, .. } => over(self, call, false),
            Event::NextTarget { call, .. } => {
                over(self, call, false);
                if self.dice.percent(70) {
                    self.after(1, Due::Place(call.0));
                }
            }
            Event::Ended { call, .. } => over(self, call, true),
            Event::Offered { call, offer, .. } => {
                let agrees = self.dice.percent(80);
                let wait = self.dice.below(7000) as u64;
                self.after(wait, Due::Answers(call.0, *offer, agrees));
            }
            Event::InfoReceived { call, .. } => assert_eq!(self.alive.get(&call.0), Some(&true), "seed {seed}"),
            Event::AnswerReceived { .. } | Event::Probed { .. } | Event::Registration { .. } => {}
        }
    }

    fn says(&mut self, ms: u64, text: String, until: String) {
        self.after(ms, Due::Says { text, until, interval: 500, left: 32_000 });
    }

    /// A final answer to an INVITE, repeated until its ACK.
    fn finally(&mut self, ms: u64, invite: &str, code: u16, tag: &str, more: &str) {
        let body = if code == 200 { SDP } else { "" };
        let allow = self.dice.pick(&["INVITE, ACK, BYE, UPDATE, INFO", "INVITE, ACK, BYE"]);
        let more = format!("Contact: <sip:callee@192.0.2.9>\r\nAllow: {allow}\r\n{more}");
        let text = response(invite, code, tag, &more, body);
        let number = header_or(invite, "CSeq");
        let number = number.split(' ').next().unwrap();
        let until = format!("ack {} {number} {}", header_or(invite, "Call-ID"), if code == 200 { tag } else { "" });
        self.says(ms, text, until);
    }

    /// The peer hears something.
    fn reaches(&mut self, bytes: &[u8]) {
        let Ok(text) = String::from_utf8(bytes.to_vec()) else { return };
        let Ok(message) = Message::read(text.as_bytes()) else { return };
        if message.fault().is_some() {
            return;
        }
        if text.starts_with("SIP/2.0 ") {
            return self.hears_answer(&text);
        }
        let method = text.split(' ').next().unwrap_or_default();
        let call_id = header_or(&text, "Call-ID");
        let tag = message.tag(crate::sip::message::Name::To).unwrap_or_default();
        let transaction = format!("{} {method}", header_or(&text, "Via"));
        if method == "ACK" {
            let number = header_or(&text, "CSeq");
            let number = number.split(' ').next().unwrap_or_default();
            self.peer.heard.insert(format!("ack {call_id} {number} {tag}"));
            self.peer.heard.insert(format!("ack {call_id} {number} "));
            return;
        }
        if let Some(answer) = self.peer.answered.get(&transaction).cloned() {
            return self.carry(answer.as_bytes(), false);
        }
        match method {
            "INVITE" if tag.is_empty() => self.invited(&text),
            "INVITE" => {
                self.peer.answered.insert(transaction, response(&text, 100, "", "", ""));
                let ok = if self.dice.percent(80) { 200 } else { 491 };
                self.finally(20, &text, ok, "", "Session-Expires: 90;refresher=uac\r\n");
                let number = header_or(&text, "CSeq");
                let until = format!("ack {call_id} {} {tag}", number.split(' ').next().unwrap_or_default());
                self.peer.heard.remove(&until);
            }
            "CANCEL" => {
                let answer = response(&text, 200, "", "", "");
                self.carry(answer.as_bytes(), false);
                self.peer.answered.insert(transaction, answer);
                if let Some(invite) = self.peer.open.remove(&call_id)
                    && header_or(&invite, "Via") == header_or(&text, "Via")
                {
                    self.finally(5, &invite, 487, "c", "");
                }
            }
            _ => {
                let party = (call_id, tag);
                if method == "BYE" {
                    self.peer.in_call.remove(&party);
                    self.peer.ended.insert(party);
                }
                let code = if self.dice.percent(95) { 200 } else { 500 };
                let answer = response(&text, code, "", "", "");
                self.carry(answer.as_bytes(), false);
                self.peer.answered.insert(transaction, answer);
            }
        }
    }

    fn hears_answer(&mut self, text: &str) {
        let cseq = header_or(text, "CSeq");
        let code = text.get(8..11).unwrap_or_default();
        if code < "200" {
            return;
        }
        self.peer.heard.insert(format!("answer {} {cseq}", header_or(text, "Call-ID")));
        let Some(number) = cseq.strip_suffix(" INVITE") else { return };
        let ack =
            self.ask(&header_or(text, "Call-ID"), &header_or(text, "From"), &header_or(text, "To"), "ACK", number, "");
        self.carry(ack.as_bytes(), false);
    }

    fn ask(&mut self, call_id: &str, from: &str, to: &str, method: &str, number: &str, more: &str) -> String {
        self.peer.last_branch += 1;
        let branch = self.peer.last_branch;
        format!(
            "{method} sip:ringproof@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKp{branch}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n{more}\r\n"
        )
    }

    /// What the peer makes of a new INVITE.
    fn invited(&mut self, invite: &str) {
        let call_id = header_or(invite, "Call-ID");
        let transaction = format!("{} INVITE", header_or(invite, "Via"));
        let trying = response(invite, 100, "", "", "");
        let kind = self.dice.below(14);
        if kind == 0 {
            return;
        }
        self.peer.answered.insert(transaction, trying.clone());
        self.carry(trying.as_bytes(), false);
        let soon = self.dice.below(3000) as u64;
        let challenge = self.peer.challenged.insert(call_id.clone()) && self.dice.percent(30);
        if challenge {
            let nonce = self.dice.below(1_000_000);
            let more = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\"\r\n");
            return self.finally(soon, invite, 401, "ch", &more);
        }
        match kind {
            1 => {
                let code = *self.dice.pick(&[404, 480, 486, 500, 503, 603, 699, 302, 422]);
                let more = "Contact: <sip:x@other.example>\r\nMin-SE: 120\r\nRetry-After: 5\r\n";
                self.finally(soon, invite, code, "no", more);
            }
            2 | 3 => {
                // Rings until it is told to stop.
                self.peer.open.insert(call_id, invite.to_owned());
                let ringing = response(invite, 180, "a", "", "");
                self.carry(ringing.as_bytes(), false);
            }
            4 => {
                for tag in ["a", "b"] {
                    let wait = self.dice.below(3000) as u64;
                    self.picks_up(wait, invite, tag, "");
                }
            }
            5 => {
                let more = "Require: 100rel\r\nRSeq: 1\r\nContact: <sip:callee@192.0.2.9>\r\n";
                let reliable = response(invite, 183, "a", more, SDP);
                self.says(1, reliable, format!("nothing {call_id}"));
                self.picks_up(soon + 500, invite, "a", "");
            }
            6 => self.picks_up(soon, invite, "a", "Session-Expires: 90;refresher=uas\r\n"),
            7 => self.picks_up(soon, invite, "a", "Session-Expires: 90\r\n"),
            // Answers when the ring limit passes, or never hears the CANCEL.
            8 => self.picks_up(29_000 + soon, invite, "a", ""),
            _ => {
                let ringing = response(invite, 180, "a", "", "");
                self.carry(ringing.as_bytes(), false);
                self.picks_up(soon, invite, "a", "");
            }
        }
    }

    fn picks_up(&mut self, ms: u64, invite: &str, tag: &str, more: &str) {
        let call_id = header_or(invite, "Call-ID");
        self.finally(ms, invite, 200, tag, more);
        self.peer.in_call.insert((call_id.clone(), tag.to_owned()));
        let (from, to) = (format!("{};tag={tag}", header_or(invite, "To")), header_or(invite, "From"));
        let mut at = ms + 50;
        for number in 1..=self.dice.below(5) {
            at += self.dice.below(4000) as u64;
            let (method, more) = *self.dice.pick(&[
                ("INFO", "Content-Type: application/dtmf\r\nContent-Length: 1\r\n\r\n#"),
                ("OPTIONS", ""),
                ("INVITE", ""),
                ("UPDATE", "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n"),
                ("BYE", ""),
                ("REFER", ""),
            ]);
            let text = self.ask(&call_id, &from, &to, method, &number.to_string(), more);
            if method == "BYE" {
                let party = (call_id.clone(), tag.to_owned());
                self.peer.in_call.remove(&party);
                self.peer.ended.insert(party);
            }
            self.says(at, text, format!("answer {call_id} {number} {method}"));
        }
    }

    fn does(&mut self, due: Due) {
        match due {
            Due::Reaches(bytes) => self.reaches(&bytes),
            Due::Arrives(bytes) => {
                let arrival =
                    Arrival { flow: FLOW, transport: Transport::Udp, host: "192.0.2.9", port: 5060, bytes: &bytes };
                self.input(Input::Received(arrival));
            }
            Due::Says { text, until, interval, left } => {
                if self.peer.heard.contains(&until) {
                    return;
                }
                self.carry(text.as_bytes(), false);
                if left > interval {
                    let next = (interval * 2).min(4000);
                    self.after(interval, Due::Says { text, until, interval: next, left: left - interval });
                }
            }
            Due::Place(call) => {
                self.placed += 1;
                assert!(self.alive.insert(call, false).is_none());
                let invite = crate::sip::Invite { call: CallKey(call), ..world::invite() };
                self.input(Input::Invite(Box::new(invite)));
                if self.dice.percent(25) {
                    let at = self.dice.below(20_000) as u64;
                    self.after(at, Due::Cancel(call));
                }
                let at = self.dice.below(120_000) as u64;
                self.after(at, Due::HangUp(call));
                self.after(200_000, Due::HangUp(call));
            }
            Due::Cancel(call) => self.input(Input::Cancel { call: CallKey(call), reason: None }),
            Due::HangUp(call) => self.input(Input::HangUp { call: CallKey(call), reason: None }),
            Due::Answers(call, offer, agrees) => {
                let sdp = agrees.then(|| OFFER.to_vec());
                self.input(Input::Answer { call: CallKey(call), offer, sdp });
            }
            Due::FlowFails => self.input(Input::FlowFailed(FLOW)),
        }
    }

    /// Lets everything happen that happens.
    fn run(&mut self) {
        for steps in 0.. {
            assert!(steps < 100_000, "seed {}: it never ends", self.seed);
            let Output::Timeout(ours) = self.uac.poll_output() else { panic!("everything was taken") };
            let theirs = self.due.first_key_value().map(|((at, _), _)| *at);
            match (ours, theirs) {
                (Some(at), theirs) if theirs.is_none_or(|other| at < other) => {
                    self.now = at;
                    self.input(Input::Tick);
                }
                (_, Some(_)) => {
                    let ((at, _), due) = self.due.pop_first().unwrap();
                    self.now = at;
                    self.does(due);
                }
                (_, None) => return,
            }
        }
    }
}

/// A header of a message that may be spoilt.
fn header_or(text: &str, name: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
}

/// One world from beginning to end, and what happened in it.
fn live(seed: u64, loss: usize, spoils: bool, breaks: bool) -> BTreeSet<String> {
    let mut life = Life::new(seed, loss, spoils);
    for call in 0..6 {
        let at = life.dice.below(60_000) as u64;
        life.after(at, Due::Place(call));
    }
    if breaks {
        for _ in 0..3 {
            let at = life.dice.below(90_000) as u64;
            life.after(at, Due::FlowFails);
        }
    }
    life.run();
    assert!(life.alive.is_empty(), "seed {seed}: calls without an end: {:?}", life.alive);
    assert_eq!(life.finals, life.placed, "seed {seed}");
    assert_eq!(life.uac.held(), (0, 0, 0), "seed {seed}: memory is held");
    if !spoils && !breaks {
        let left: Vec<_> = life.peer.in_call.difference(&life.peer.ended).collect();
        assert!(left.is_empty(), "seed {seed}: a telephone is left in a call: {left:?}");
    }
    life.seen
}

#[test]
fn a_quiet_network() {
    let seen: BTreeSet<String> = (0..60).flat_map(|seed| live(seed, 0, false, false)).collect();
    let all = [
        "Answered",
        "AnswerReceived",
        "InfoReceived",
        "NextTarget",
        "Offered",
        "Peer Bye",
        "Provisional",
        "Refused",
        "Us Bye",
        "Us SessionExpired",
    ];
    for name in all {
        assert!(seen.contains(name), "{name} never happened: {seen:?}");
    }
}

#[test]
fn a_network_that_loses_and_doubles() {
    (1000..1100).for_each(|seed| drop(live(seed, 15, false, false)));
}

#[test]
fn flows_that_break() {
    (2000..2060).for_each(|seed| drop(live(seed, 10, false, true)));
}

#[test]
fn a_network_that_spoils_messages() {
    (3000..3100).for_each(|seed| drop(live(seed, 10, true, seed % 2 == 0)));
}

#[test]
fn a_network_that_hardly_carries() {
    let seen: BTreeSet<String> = (4000..4040).flat_map(|seed| live(seed, 70, false, true)).collect();
    assert!(seen.contains("Us NotAcknowledged"), "{seen:?}");
}
