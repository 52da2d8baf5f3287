//! Owns the tests of noise: any bytes, and any message with something wrong in it, at any moment of a call. Nothing panics,
//! what is sent stays readable, and nothing is held for strangers.

use proptest::prelude::*;

use super::{
    dice::Dice,
    indialog::Peer,
    world::{CALL, SDP, World, response},
};
use crate::sip::{
    Input, Settings, Trace, info,
    message::{Challenge, Frame, Framer, MAX_MESSAGE, Message, NameAddr, Uri, Via, torture::MESSAGES},
};

fn world() -> World {
    let settings = Settings { trace: Trace::Messages, ..Settings::default() };
    World { mirrors: true, ..World::with(settings) }
}

/// Messages that fit a call which was answered.
fn fitting(invite: &str) -> Vec<Vec<u8>> {
    let peer = Peer::of(invite);
    let more = "Contact: <sip:callee@192.0.2.9:5070>\r\nRecord-Route: <sip:p;lr>\r\nSession-Expires: 90\r\n";
    let mut all: Vec<String> = [100, 180, 183, 200, 302, 401, 422, 486, 503, 607]
        .into_iter()
        .map(|code| {
            let more = format!(
                "{more}Require: 100rel\r\nRSeq: 1\r\nMin-SE: 100\r\nRetry-After: 1\r\nReason: Q.850;cause=17\r\n\
                 WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256\r\n"
            );
            response(invite, code, "peer", &more, SDP)
        })
        .collect();
    for (number, method) in (1..).zip(["INVITE", "ACK", "UPDATE", "INFO", "OPTIONS", "CANCEL", "REFER", "BYE"]) {
        all.push(peer.ask(
            method,
            number,
            "Content-Type: application/sdp\r\nSession-Expires: 90\r\nSupported: timer\r\n",
            SDP,
        ));
    }
    all.into_iter().map(String::into_bytes).collect()
}

#[test]
fn messages_with_something_wrong_at_any_moment_of_a_call() {
    let mut dice = Dice::new(7);
    for round in 0..40 {
        let mut world = world();
        let invite = world.call();
        if round % 2 == 0 {
            world.receive(response(&invite, 200, "peer", "Contact: <sip:callee@192.0.2.9:5070>\r\n", SDP).as_bytes());
        }
        let mut all = fitting(&invite);
        all.extend(MESSAGES.iter().map(|(_, bytes)| bytes.to_vec()));
        for _ in 0..150 {
            let message = dice.pick(&all);
            let message = dice.spoil(message);
            world.receive(&message);
            if dice.percent(5) {
                world.seconds(1);
            }
        }
        world.input(Input::HangUp { call: CALL, reason: None });
        world.seconds(200);
        world.input(Input::HangUp { call: CALL, reason: None });
        world.seconds(200);
        assert_eq!(world.uac.held(), (0, 0, 0), "round {round}");
        let finals = world.happened();
        let finals =
            finals.iter().filter(|event| ["Refused", "Next", "Ended"].iter().any(|name| event.starts_with(name)));
        assert_eq!(finals.count(), 1, "round {round}");
    }
}

/// Reads everything in a message that anything reads.
fn read_all(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _uri = Uri::read(&text);
    let _via = Via::read(&text);
    let _address = NameAddr::read(&text);
    let _challenges = Challenge::read_all(&text);
    let _keys = info::keys("application/dtmf-relay", bytes);
    let _plain = info::keys("application/dtmf", bytes);
    let mut framer = Framer::default();
    framer.push(bytes);
    while let Ok(Some(Frame::Message(_) | Frame::Ping)) = framer.poll() {}
    if let Ok(message) = Message::read(bytes) {
        let _ = (message.fault(), message.branch(), message.contacts(9), message.sdp(), message.content_type());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
        let mut world = world();
        world.receive(&bytes);
        prop_assert!(world.events.is_empty() && world.uac.remembered() == 0);
    }

    #[test]
    fn any_text_of_the_grammar(text in "(SIP/2.0 200 OK|INVITE sip:a@b SIP/2.0)(\r\n([a-zA-Z-]{1,9}|Via|To|m|CSeq):[ -~]{0,40}){0,12}\r\n\r\n[ -~\r\n]{0,40}") {
        read_all(text.as_bytes());
        let mut world = world();
        world.receive(text.as_bytes());
        prop_assert!(world.events.is_empty() && world.uac.remembered() == 0);
    }
}

#[test]
fn what_is_very_long() {
    let mut world = world();
    world.call();
    for unit in ["a", ",", ";", "\"", "<", "\\", "=", "(", "%", "\r\n ", "-1", "a:b\r\n", "Via: SIP/2.0/UDP a,\r\n"] {
        for start in [
            "",
            "SIP/2.0 200 OK\r\nVia: ",
            "INVITE sip:",
            "BYE sip:a SIP/2.0\r\nContact: <",
            "SIP/2.0 401 X\r\nWWW-Authenticate: Digest ",
        ] {
            let text = format!("{start}{}", unit.repeat(MAX_MESSAGE / unit.len()));
            for end in [MAX_MESSAGE + 9, MAX_MESSAGE, 9000] {
                let bytes = &text.as_bytes()[..end.min(text.len())];
                world.receive(bytes);
            }
            read_all(text.as_bytes());
        }
    }
    world.seconds(200);
    assert_eq!(world.uac.held(), (0, 0, 0));
}

#[test]
fn a_flood_of_forks_and_requests_is_bounded() {
    let mut world = world();
    let invite = world.call();
    for fork in 0..500 {
        let reliable = "Require: 100rel\r\nRSeq: 1\r\n";
        world.reply(&invite, 183, &format!("f{fork}"), reliable, SDP);
    }
    assert!(world.count("PRACK") <= 8);
    for fork in 0..500 {
        world.reply(&invite, 200, &format!("g{fork}"), "", SDP);
    }
    let (attempts, requests, names) = world.uac.held();
    assert!(attempts == 1 && requests < 40 && names < 50, "{:?}", world.uac.held());
    let peer = Peer::of(&invite);
    for number in 1..500 {
        world.receive(peer.ask("INFO", number, "", "").as_bytes());
    }
    world.input(Input::HangUp { call: CALL, reason: None });
    world.seconds(100);
    assert_eq!(world.uac.held(), (0, 0, 0));
    assert!(world.uac.counters().bounded > 0);
}
