//! Owns the tests of what belongs to no call: registrations, probes, and requests of strangers.

use std::time::Duration;

use super::world::{FLOW, World, first, header, path};
use crate::{
    secret::Secret,
    sip::{
        Credentials, Event, Input, Party, Probe, ProbeKey, ProbeResult, Registration, RegistrationKey,
        RegistrationState, Transport,
        message::torture::{MANIFEST, MESSAGES},
    },
};

const KEY: RegistrationKey = RegistrationKey(3);
const CONTACT: &str = "Contact: <sip:other@192.0.2.7>;expires=30, <sip:ringproof@192.0.2.1:5060>;Expires=";

fn credentials() -> Option<Credentials> {
    Some(Credentials { username: "alice".into(), password: Secret::new("secret".into()) })
}

fn registration() -> Registration {
    Registration {
        registration: KEY,
        path: path(Transport::Udp),
        registrar: "sip:registrar.example".into(),
        address: Party { display: None, uri: "sip:alice@registrar.example".into() },
        credentials: credentials(),
        expires: Duration::from_secs(600),
    }
}

fn registering() -> World {
    let mut world = World::new();
    world.input(Input::Register(Box::new(registration())));
    world
}

fn states(world: &mut World) -> Vec<RegistrationState> {
    let state = |event| {
        let Event::Registration { registration: KEY, state } = event else { panic!("{event:?}") };
        state
    };
    std::mem::take(&mut world.events).into_iter().map(state).collect()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_registration_is_refreshed_before_it_ends() {
    let mut world = registering();
    let register = world.last("REGISTER");
    assert_eq!(first(&register), "REGISTER sip:registrar.example SIP/2.0");
    assert_eq!((header(&register, "Expires"), header(&register, "CSeq")), ("600".into(), "1 REGISTER".into()));
    assert_eq!(header(&register, "To"), "<sip:alice@registrar.example>");
    assert!(header(&register, "From").starts_with("<sip:alice@registrar.example>;tag="));
    assert_eq!(header(&register, "Contact"), "<sip:ringproof@192.0.2.1:5060>");
    world.reply(&register, 200, "r", &format!("{CONTACT}300\r\nExpires: 90\r\n"), "");
    assert_eq!(states(&mut world), [RegistrationState::Registered { expires: seconds(300) }], "what it says of ours");
    world.seconds(267);
    assert_eq!(world.requests("REGISTER"), 1);
    world.seconds(1);
    let again = world.last("REGISTER");
    assert_eq!(
        (header(&again, "CSeq"), header(&again, "Call-ID")),
        ("2 REGISTER".into(), header(&register, "Call-ID"))
    );
    world.reply(&again, 200, "r", "Expires: 100\r\n", "");
    assert_eq!(states(&mut world), [RegistrationState::Registered { expires: seconds(100) }], "for all of them");
    world.seconds(80);
    world.reply(&world.last("REGISTER"), 200, "r", "", "");
    assert_eq!(states(&mut world), [RegistrationState::Registered { expires: seconds(600) }], "what we asked for");
}

#[test]
fn a_registration_is_challenged_and_the_nonce_is_used_again() {
    let mut world = registering();
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
    world.reply(&world.last("REGISTER"), 401, "r", challenge, "");
    let proven = world.last("REGISTER");
    assert_eq!(header(&proven, "CSeq"), "2 REGISTER");
    assert!(header(&proven, "Authorization").contains("uri=\"sip:registrar.example\""));
    world.reply(&proven, 200, "r", "Expires: 60\r\n", "");
    assert_eq!(states(&mut world).len(), 1);
    world.seconds(48);
    let again = world.last("REGISTER");
    assert!(header(&again, "Authorization").contains("nc=00000002"), "{again}");
    world.reply(&again, 401, "r", &challenge.replace("\"n\"", "\"m\", stale=true"), "");
    assert!(header(&world.last("REGISTER"), "Authorization").contains("nonce=\"m\""));
}

#[test]
fn a_wrong_password_is_tried_ever_more_rarely() {
    let mut world = registering();
    let mut waits = Vec::new();
    for round in 0..9 {
        for nonce in ["a", "b"] {
            let challenge = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}{round}\"\r\n");
            world.reply(&world.last("REGISTER"), 401, "r", &challenge, "");
        }
        let [RegistrationState::Failed { code: Some(401), retry_in }] = states(&mut world)[..] else { panic!() };
        waits.push(retry_in.as_secs());
        let before = world.sent.len();
        world.pass(retry_in - Duration::from_millis(1));
        assert_eq!(world.sent.len(), before);
        world.pass(Duration::from_millis(1));
        assert_eq!(world.sent.len(), before + 1);
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]);
    world.reply(&world.last("REGISTER"), 200, "r", "", "");
    states(&mut world);
    world.seconds(568);
    world.reply(&world.last("REGISTER"), 500, "r", "", "");
    assert_eq!(states(&mut world), [RegistrationState::Failed { code: Some(500), retry_in: seconds(30) }]);
}

#[test]
fn a_registrar_that_says_when_or_how_long() {
    let mut world = registering();
    world.reply(&world.last("REGISTER"), 503, "r", "Retry-After: 7\r\n", "");
    assert_eq!(states(&mut world), [RegistrationState::Failed { code: Some(503), retry_in: seconds(7) }]);
    world.seconds(7);
    world.reply(&world.last("REGISTER"), 423, "r", "Min-Expires: 1200\r\n", "");
    assert_eq!(header(&world.last("REGISTER"), "Expires"), "1200");
    world.reply(&world.last("REGISTER"), 423, "r", "Min-Expires: 9999\r\n", "");
    assert_eq!(states(&mut world), [RegistrationState::Failed { code: Some(423), retry_in: seconds(60) }]);
    world.seconds(60);
    world.reply(&world.last("REGISTER"), 200, "r", &format!("{CONTACT}0\r\n"), "");
    assert_eq!(states(&mut world).len(), 1, "an answer of 0 s is no promise, and no storm");
    world.seconds(2);
    assert_eq!(world.requests("REGISTER"), 4);
}

#[test]
fn a_registrar_that_is_silent_or_away() {
    let mut world = registering();
    world.seconds(32);
    assert_eq!(states(&mut world), [RegistrationState::Failed { code: None, retry_in: seconds(30) }]);
    // 0, 0.5, 1.5, 3.5, 7.5 … 31.5 s.
    assert_eq!(world.count("REGISTER"), 11);
    world.seconds(30);
    world.input(Input::FlowFailed(FLOW));
    assert_eq!(states(&mut world), [RegistrationState::Failed { code: None, retry_in: seconds(60) }]);
}

#[test]
fn a_registration_is_taken_back() {
    let mut world = registering();
    world.reply(&world.last("REGISTER"), 200, "r", "", "");
    states(&mut world);
    world.input(Input::Unregister(KEY));
    world.input(Input::Unregister(KEY));
    let last = world.last("REGISTER");
    assert_eq!((header(&last, "Expires"), header(&last, "CSeq")), ("0".into(), "2 REGISTER".into()));
    world.reply(&last, 401, "r", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "");
    let proven = world.last("REGISTER");
    assert_eq!((header(&proven, "Expires"), header(&proven, "CSeq")), ("0".into(), "3 REGISTER".into()));
    world.reply(&proven, 200, "r", "", "");
    assert_eq!(states(&mut world), [RegistrationState::Unregistered]);
    world.seconds(4000);
    assert_eq!((world.requests("REGISTER"), world.next), (3, None));

    // While the first one is open, and by a registrar that is away.
    let mut world = registering();
    let open = world.last("REGISTER");
    world.input(Input::Unregister(KEY));
    world.reply(&open, 200, "r", "", "");
    assert_eq!(states(&mut world), [], "its answer comes too late");
    world.seconds(32);
    assert_eq!(states(&mut world), [RegistrationState::Unregistered]);
    assert_eq!(world.next, None);
    world.input(Input::Unregister(KEY));
    assert_eq!(world.requests("REGISTER"), 2);
}

#[test]
fn a_registration_that_cannot_be() {
    let mut spoilt = [registration(), registration(), registration()];
    spoilt[0].registrar = "mailto:x".into();
    spoilt[1].path.contact = "sip:a\r\nX: 1".into();
    spoilt[2].address.uri = "nonsense".into();
    for registration in spoilt {
        let mut world = World::new();
        world.input(Input::Register(Box::new(registration)));
        assert_eq!((states(&mut world), world.sent.len()), (vec![RegistrationState::Unregistered], 0));
    }
    let mut world = World::new();
    for key in 0..70 {
        let mut registration = registration();
        registration.registration = RegistrationKey(key);
        world.input(Input::Register(Box::new(registration)));
    }
    assert_eq!((world.sent.len(), world.events.len()), (64, 6));
    let mut short = registration();
    short.expires = seconds(1);
    let mut world = World::new();
    world.input(Input::Register(Box::new(short)));
    assert_eq!(header(&world.last("REGISTER"), "Expires"), "60");
}

fn probe() -> Probe {
    Probe {
        probe: ProbeKey(9),
        path: path(Transport::Udp),
        uri: "sip:trunk.example".into(),
        from: Party { display: None, uri: "sip:alice@trunk.example".into() },
        credentials: None,
        limit: seconds(4),
    }
}

fn probing(probe: Probe) -> World {
    let mut world = World::new();
    world.input(Input::Probe(Box::new(probe)));
    world
}

fn result(world: &mut World) -> ProbeResult {
    match &std::mem::take(&mut world.events)[..] {
        [Event::Probed { probe: ProbeKey(9), result }] => result.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_probe_has_one_result_whatever_comes() {
    for code in [200, 403, 404, 405, 408, 486, 500, 503, 603] {
        let mut world = probing(probe());
        let options = world.last("OPTIONS");
        assert_eq!(first(&options), "OPTIONS sip:trunk.example SIP/2.0");
        world.pass(Duration::from_millis(40));
        world.reply(&options, 100, "", "", "");
        world.reply(&options, code, "x", "Retry-After: 30\r\n", "");
        let answered = ProbeResult::Answered { code, retry_after: Some(seconds(30)), took: Duration::from_millis(40) };
        assert_eq!(result(&mut world), answered);
        world.reply(&options, code, "x", "", "");
        world.seconds(40);
        assert_eq!((world.events.len(), world.next), (0, None));
    }
    let mut world = probing(probe());
    world.pass(Duration::from_millis(3999));
    assert!(world.events.is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!((result(&mut world), world.count("OPTIONS")), (ProbeResult::Silent, 4));

    let mut world = probing(probe());
    world.input(Input::FlowFailed(FLOW));
    assert_eq!(result(&mut world), ProbeResult::FlowFailed);

    let mut spoilt = probe();
    spoilt.uri = "sip:a b".into();
    assert_eq!(result(&mut probing(spoilt)), ProbeResult::NotSent);
}

#[test]
fn a_probe_that_is_challenged() {
    let challenge = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";
    let mut world = probing(probe());
    world.reply(&world.last("OPTIONS"), 407, "x", challenge, "");
    assert!(matches!(result(&mut world), ProbeResult::Answered { code: 407, .. }), "alive");

    let mut world = probing(Probe { credentials: credentials(), ..probe() });
    world.seconds(3);
    world.reply(&world.last("OPTIONS"), 407, "x", challenge, "");
    let proven = world.last("OPTIONS");
    assert!(header(&proven, "Proxy-Authorization").contains("username=\"alice\""));
    assert_eq!(header(&proven, "CSeq"), "2 OPTIONS");
    world.seconds(1);
    assert_eq!(result(&mut world), ProbeResult::Silent, "the limit is for both");

    let mut world = probing(Probe { credentials: credentials(), ..probe() });
    world.reply(&world.last("OPTIONS"), 407, "x", challenge, "");
    world.reply(&world.last("OPTIONS"), 407, "x", &challenge.replace("\"n\"", "\"m\""), "");
    assert!(matches!(result(&mut world), ProbeResult::Answered { code: 407, .. }), "the password is wrong");
}

#[test]
fn strangers_are_answered_and_remembered_by_nobody() {
    let mut world = World::new();
    let ask = |method: &str, more: &str| {
        format!(
            "{method} sip:ringproof@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
             From: <sip:x@y>;tag=1\r\nTo: <sip:ringproof@192.0.2.1>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\n{more}\r\n"
        )
    };
    let asked = [
        ("OPTIONS", "", Some("200")),
        ("INVITE", "", Some("403")),
        ("INVITE", "Require: nothing\r\n", Some("420")),
        ("INVITE", "Content-Type: text/plain\r\nContent-Length: 1\r\n", Some("415")),
        ("INVITE", "Accept: text/plain\r\n", Some("406")),
        ("BYE", "", Some("481")),
        ("CANCEL", "", Some("481")),
        ("UPDATE", "", Some("481")),
        ("INFO", "", Some("481")),
        ("REGISTER", "", Some("405")),
        ("SUBSCRIBE", "", Some("405")),
        ("FLY", "", Some("501")),
        ("ACK", "", None),
    ];
    for (method, more, code) in asked {
        world.sent.clear();
        let body = if more.contains("Length: 1") { "x" } else { "" };
        (0..2).for_each(|_| world.receive(format!("{}{body}", ask(method, more)).as_bytes()));
        assert_eq!(
            world.lines(),
            code.map(|code| [code; 2]).into_iter().flatten().collect::<Vec<_>>(),
            "{method} {more}"
        );
        if code.is_some() {
            assert_eq!(world.sent[0].bytes, world.sent[1].bytes, "the same tag each time");
            assert!(header(&world.last("SIP/2.0"), "To").contains(";tag="));
        }
    }
    assert_eq!((world.events.len(), world.uac.remembered(), world.next), (0, 0, None));
    assert!(world.uac.counters().refused_requests > 20);
}

/// RFC 4475: what is said of each, as far as it concerns somebody who takes no calls.
#[test]
fn torture_messages_are_answered_or_dropped() {
    for (name, bytes) in MESSAGES {
        let line = MANIFEST.lines().find(|line| line.starts_with(name)).unwrap();
        let mut world = World { mirrors: true, ..World::new() };
        world.receive(bytes);
        assert!(world.sent.len() <= 1 && world.events.is_empty() && world.uac.remembered() == 0, "{line}");
        let is_request = !bytes.starts_with(b"SIP/");
        let sound = line.split('\t').nth(2) == Some("valid");
        if is_request && sound {
            assert_eq!(world.sent.len(), 1, "{line}");
        }
        if !is_request {
            assert_eq!(world.sent.len(), 0, "{line}");
        }
    }
}
