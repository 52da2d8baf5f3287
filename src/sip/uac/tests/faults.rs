//! Owns one test for each fault that stacks were measured with: what a peer sends, and what the core makes of it.

use std::time::Duration;

use super::world::{CALL, FLOW, SDP, World, first, header, invite, path, response};
use crate::sip::{Event, Exhausted, ExtraHeader, Input, Refusal, Transport};

fn refusal(world: &World) -> Refusal {
    let found = world.events.iter().rev().find_map(|event| {
        let Event::Refused { refusal, .. } = event else { return None };
        Some(refusal.as_ref().clone())
    });
    found.unwrap_or_else(|| panic!("not refused: {:?}", world.events))
}

fn is_answered(world: &World) -> bool {
    world.events.iter().any(|event| matches!(event, Event::Answered { .. }))
}

#[test]
fn a_200_without_to_tag() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 200, "", "Contact: <sip:callee@192.0.2.9>\r\n", SDP);
    assert!(is_answered(&world));
    assert_eq!(world.lines(), ["INVITE", "ACK"]);
    world.input(Input::HangUp { call: CALL, reason: None });
    assert!(!header(&world.last("BYE"), "To").contains("tag="));
}

#[test]
fn a_200_without_contact() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 200, "a", "", SDP);
    assert!(is_answered(&world));
    let ack = world.last("ACK");
    assert_eq!(first(&ack), "ACK sip:+819012345678@trunk.example;user=phone SIP/2.0");
    world.input(Input::HangUp { call: CALL, reason: None });
    assert_eq!(first(&world.last("BYE")), "BYE sip:+819012345678@trunk.example;user=phone SIP/2.0");
}

#[test]
fn noise_empty_and_half_messages() {
    let mut world = World::new();
    let invite = world.call();
    let ok = response(&invite, 200, "a", "", SDP);
    world.receive(b"");
    world.receive(b"\r\n\r\n");
    world.receive(&[0, 255, 1, 2, 13, 10, 13, 10]);
    for cut in (1..ok.len()).step_by(7) {
        world.receive(&ok.as_bytes()[..cut]);
        assert!(!is_answered(&world), "taken after {cut} of {} bytes", ok.len());
    }
    world.receive(ok.as_bytes());
    assert!(is_answered(&world));
}

#[test]
fn status_codes_that_are_none() {
    let mut world = World::new();
    let invite = world.call();
    let ok = response(&invite, 200, "a", "", "");
    for code in ["abc", "99", "777", "2000", "-20", "20"] {
        world.receive(ok.replacen("200", code, 1).as_bytes());
    }
    assert!(world.events.is_empty() && world.sent.len() == 1);
    assert_eq!(world.uac.counters().malformed, 6);
}

#[test]
fn a_body_shorter_than_its_length() {
    let mut world = World::new();
    let invite = world.call();
    let ok = response(&invite, 200, "a", "", SDP);
    world.receive(&ok.as_bytes()[..ok.len() - 1]);
    assert!(world.events.is_empty());
    world.receive(ok.as_bytes());
    assert!(is_answered(&world));
}

#[test]
fn huge_foreign_compact_and_folded_headers() {
    let mut world = World::new();
    let invite = world.call();
    let more = format!(
        "X-Long: {}\r\nX-Folded: one\r\n two\r\n\tthree\r\nSubject: \u{30c6}\u{30b9}\u{30c8}\r\nm: <sip:callee@192.0.2.9:5070>\r\n",
        "x".repeat(55_000)
    );
    let mut bytes = response(&invite, 200, "a", &more, SDP)
        .replacen("Via:", "v :", 1)
        .replacen("From:", "f:\r\n ", 1)
        .replacen("To:", "t:", 1)
        .replacen("Call-ID:", "i:", 1)
        .into_bytes();
    let at = bytes.windows(10).position(|window| window == b"X-Folded: ").unwrap();
    bytes.splice(at + 10..at + 10, [0xff, 0xfe, 0x80]);
    world.receive(&bytes);
    assert!(is_answered(&world));
    assert_eq!(first(&world.last("ACK")), "ACK sip:callee@192.0.2.9:5070 SIP/2.0");
}

#[test]
fn an_unreadable_to_and_a_good_one_later() {
    let mut world = World::new();
    let invite = world.call();
    let ok = response(&invite, 200, "a", "", SDP);
    world.receive(ok.replacen("To: <", "To: \"<", 1).as_bytes());
    assert!(world.events.is_empty());
    world.seconds(1);
    world.receive(ok.as_bytes());
    assert!(is_answered(&world));
}

#[test]
fn a_200_that_comes_four_times() {
    let mut world = World::new();
    let (_, ok) = world.answered("");
    (0..3).for_each(|_| world.receive(ok.as_bytes()));
    assert_eq!(world.lines(), ["INVITE", "ACK", "ACK", "ACK", "ACK"]);
    assert_eq!(world.sent[1].bytes, world.sent[4].bytes);
    assert_eq!(world.uac.counters().repeated_finals, 3);
    assert_eq!(world.events.len(), 1);
}

#[test]
fn two_forks_answer() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 180, "a", "", "");
    world.reply(&invite, 180, "b", "", "");
    world.reply(&invite, 200, "b", "Contact: <sip:b@192.0.2.9>\r\n", SDP);
    world.reply(&invite, 200, "a", "Contact: <sip:a@192.0.2.9>\r\n", SDP);
    assert_eq!(world.lines(), ["INVITE", "ACK", "ACK", "BYE"]);
    assert_eq!(first(&world.last("BYE")), "BYE sip:a@192.0.2.9 SIP/2.0");
    assert!(header(&world.last("BYE"), "To").ends_with("tag=a"));
    let answered: Vec<_> = world.events.iter().filter(|event| matches!(event, Event::Answered { .. })).collect();
    assert!(
        matches!(&answered[..], [Event::Answered { remote_tag, forks: 1, .. }] if remote_tag == "b"),
        "{answered:?}"
    );
    assert_eq!(world.uac.counters().extra_forks, 1);
}

fn challenged(code: u16, challenge: &str) -> World {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, code, "x", challenge, "");
    assert_eq!(world.lines(), ["INVITE", "ACK", "INVITE"], "{challenge}");
    let again = world.last("INVITE");
    assert_ne!(header(&again, "Via"), header(&invite, "Via"));
    assert_eq!(header(&again, "Call-ID"), header(&invite, "Call-ID"));
    assert_eq!(header(&again, "From"), header(&invite, "From"));
    assert_eq!(header(&again, "CSeq"), "2 INVITE");
    world
}

#[test]
fn digest_401_407_and_md5() {
    let world = challenged(401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n");
    let value = header(&world.last("INVITE"), "Authorization");
    assert!(value.contains("username=\"alice\"") && !value.contains("qop") && !value.contains("secret"), "{value}");
    let mut world =
        challenged(407, "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n");
    let again = world.last("INVITE");
    assert!(header(&again, "Proxy-Authorization").contains("qop=auth, nc=00000001"));
    world.reply(&again, 200, "a", "", SDP);
    assert_eq!(header(&world.last("ACK"), "Proxy-Authorization"), header(&again, "Proxy-Authorization"));
}

#[test]
fn a_nonce_is_used_again_by_the_next_call_and_counted() {
    let mut world = challenged(407, "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n");
    world.reply(&world.last("INVITE"), 486, "a", "", "");
    let next = world.call();
    assert!(header(&next, "Proxy-Authorization").contains("nc=00000002"));
    // The server forgot the nonce: a new one is taken, though it does not say `stale`.
    world.reply(&next, 407, "a", "Proxy-Authenticate: Digest realm=\"r\", nonce=\"m\", qop=\"auth\"\r\n", "");
    let again = world.last("INVITE");
    assert!(header(&again, "Proxy-Authorization").contains("nonce=\"m\""));
    // But not twice: then the password is wrong.
    world.reply(&again, 407, "a", "Proxy-Authenticate: Digest realm=\"r\", nonce=\"o\", qop=\"auth\"\r\n", "");
    assert_eq!(refusal(&world).code, 407);
}

#[test]
fn a_stale_nonce_is_no_wrong_password() {
    let mut world = challenged(401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n");
    world.reply(
        &world.last("INVITE"),
        401,
        "x",
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"m\", stale=true\r\n",
        "",
    );
    let again = world.last("INVITE");
    assert!(header(&again, "Authorization").contains("nonce=\"m\"") && header(&again, "CSeq") == "3 INVITE");
    world.reply(&again, 401, "x", "WWW-Authenticate: Digest realm=\"r\", nonce=\"m\"\r\n", "");
    assert_eq!(refusal(&world).code, 401);
}

#[test]
fn a_server_that_challenges_for_ever() {
    let mut world = World::new();
    world.call();
    for round in 0..20 {
        let challenge = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{round}\", stale=true\r\n");
        world.reply(&world.last("INVITE"), 401, "x", &challenge, "");
    }
    assert_eq!(world.count("INVITE"), 5);
    assert_eq!(refusal(&world).code, 401);
}

#[test]
fn digest_sha_256() {
    let world =
        challenged(401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n");
    let value = header(&world.last("INVITE"), "Authorization");
    let response = value.split_once("response=\"").unwrap().1.split('"').next().unwrap();
    assert!(response.len() == 64 && value.contains("algorithm=SHA-256"), "{value}");
}

#[test]
fn digest_auth_int_and_a_list() {
    let world = challenged(401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\"\r\n");
    assert!(header(&world.last("INVITE"), "Authorization").contains("qop=auth,"));
    let world = challenged(401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"\r\n");
    assert!(header(&world.last("INVITE"), "Authorization").contains("qop=auth-int,"));
}

#[test]
fn two_challenges_the_first_unknown() {
    let world = challenged(
        407,
        "Proxy-Authenticate: Digest realm=\"r\", nonce=\"1\", algorithm=SHA-512-256\r\n\
         Proxy-Authenticate: Digest realm=\"r\", nonce=\"2\", algorithm=SHA-256\r\n",
    );
    assert!(header(&world.last("INVITE"), "Proxy-Authorization").contains("nonce=\"2\""));
}

#[test]
fn a_proxy_and_a_server_both_challenge() {
    let mut world = challenged(407, "Proxy-Authenticate: Digest realm=\"p\", nonce=\"1\"\r\n");
    world.reply(&world.last("INVITE"), 401, "x", "WWW-Authenticate: Digest realm=\"s\", nonce=\"2\"\r\n", "");
    let again = world.last("INVITE");
    assert!(
        header(&again, "Proxy-Authorization").contains("nonce=\"1\"")
            && header(&again, "Authorization").contains("nonce=\"2\"")
    );
}

/// The CANCEL has to be that of the INVITE (RFC 3261 section 9.1).
fn assert_cancels(cancel: &str, invite: &str) {
    for name in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(header(cancel, name), header(invite, name));
    }
    assert_eq!(first(cancel).split(' ').nth(1), first(invite).split(' ').nth(1));
    assert_eq!(header(cancel, "CSeq").split(' ').next(), header(invite, "CSeq").split(' ').next());
}

#[test]
fn cancel_while_ringing() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 180, "a", "", "");
    world.input(Input::Cancel { call: CALL, reason: None });
    let cancel = world.last("CANCEL");
    assert_cancels(&cancel, &invite);
    world.reply(&cancel, 200, "a", "", "");
    world.reply(&invite, 487, "a", "Reason: Q.850;cause=16, SIP;cause=487;text=\"a, b\"\r\n", "");
    assert_eq!(world.lines(), ["INVITE", "CANCEL", "ACK"]);
    let refusal = refusal(&world);
    assert_eq!((refusal.code, refusal.canceled, refusal.crossed), (487, Some(crate::sip::Canceled::Asked), false));
    assert_eq!(refusal.reasons.len(), 2);
    assert_eq!(refusal.reasons[1].text.as_deref(), Some("a, b"));
}

#[test]
fn cancel_after_100_only() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 100, "", "", "");
    world.input(Input::Cancel { call: CALL, reason: None });
    assert_cancels(&world.last("CANCEL"), &invite);
}

#[test]
fn cancel_before_any_response_waits_for_one() {
    let mut world = World::new();
    let invite = world.call();
    world.input(Input::Cancel { call: CALL, reason: None });
    world.seconds(1);
    assert_eq!(world.count("CANCEL"), 0);
    world.reply(&invite, 100, "", "", "");
    assert_cancels(&world.last("CANCEL"), &invite);
}

#[test]
fn cancel_of_a_challenged_invite_is_that_of_the_second() {
    let mut world = challenged(407, "Proxy-Authenticate: Digest realm=\"p\", nonce=\"1\"\r\n");
    let again = world.last("INVITE");
    world.reply(&again, 180, "a", "", "");
    world.input(Input::Cancel { call: CALL, reason: None });
    assert_cancels(&world.last("CANCEL"), &again);
}

#[test]
fn a_200_crosses_the_cancel() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 180, "a", "", "");
    world.input(Input::Cancel { call: CALL, reason: None });
    world.reply(&invite, 200, "a", "", SDP);
    assert_eq!(world.lines(), ["INVITE", "CANCEL", "ACK", "BYE"]);
    assert!(refusal(&world).crossed && !is_answered(&world));
}

#[test]
fn a_cancel_that_nothing_follows() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 180, "a", "", "");
    world.input(Input::Cancel { call: CALL, reason: None });
    world.reply(&world.last("CANCEL"), 200, "a", "", "");
    world.seconds(31);
    assert_eq!(world.happened().len(), 1);
    world.seconds(2);
    let refusal = refusal(&world);
    assert_eq!((refusal.code, refusal.local), (487, true));
}

#[test]
fn the_ack_of_a_refusal_carries_its_tag() {
    for code in [302, 404, 486, 500, 603] {
        let mut world = World::new();
        let invite = world.call();
        world.reply(&invite, code, "far", "", "");
        let ack = world.last("ACK");
        assert_eq!(header(&ack, "Via"), header(&invite, "Via"));
        assert_eq!(header(&ack, "To"), format!("{};tag=far", header(&invite, "To")));
        assert_eq!(header(&ack, "CSeq"), "1 ACK");
        assert_eq!(first(&ack).split(' ').nth(1), first(&invite).split(' ').nth(1));
        assert_eq!(refusal(&world).code, code);
        world.reply(&invite, code, "far", "", "");
        assert_eq!(world.count("ACK"), 2, "a repeated refusal is acknowledged again");
        assert_eq!(world.uac.counters().repeated_finals, 1);
    }
}

#[test]
fn a_reliable_183_is_acknowledged_once_and_in_order() {
    let mut world = World::new();
    let invite = world.call();
    assert!(header(&invite, "Supported").contains("100rel"));
    let contact = "Contact: <sip:callee@192.0.2.9>\r\nRecord-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n";
    let reliable = |rseq: u32| format!("Require: 100rel\r\nRSeq: {rseq}\r\n{contact}");
    world.reply(&invite, 183, "a", &reliable(10), SDP);
    let prack = world.last("PRACK");
    assert_eq!(header(&prack, "RAck"), "10 1 INVITE");
    assert_eq!(header(&prack, "CSeq"), "2 PRACK");
    assert_eq!(header(&prack, "Route"), "<sip:p2;lr>");
    world.reply(&prack, 200, "", "", "");
    world.reply(&invite, 183, "a", &reliable(10), SDP);
    world.reply(&invite, 180, "a", &reliable(12), "");
    assert_eq!(world.count("PRACK"), 1, "neither a repeated nor an early one");
    world.reply(&invite, 180, "a", &reliable(11), "");
    assert_eq!(header(&world.last("PRACK"), "RAck"), "11 1 INVITE");
    world.reply(&invite, 183, "b", &reliable(5), "");
    assert!(header(&world.last("PRACK"), "To").ends_with("tag=b"), "another fork counts for itself");
    world.happened();
    world.reply(&invite, 200, "a", contact, "");
    assert!(
        matches!(&world.events[..], [Event::Answered { answer, .. }] if answer == SDP.as_bytes()),
        "the answer came in the 183"
    );
    assert_eq!(header(&world.last("ACK"), "CSeq"), "1 ACK");
}

#[test]
fn a_redirect_within_the_allow_list() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 302, "x", "Contact: <sip:1@evil.example>, \"B, C\" <sip:2@OTHER.example:5080>;q=1\r\n", "");
    let again = world.last("INVITE");
    assert_eq!(first(&again), "INVITE sip:2@OTHER.example:5080 SIP/2.0");
    assert_eq!(world.hop("INVITE").as_deref(), Some("OTHER.example:Some(5080)"));
    for round in 3..6 {
        world.reply(&world.last("INVITE"), 302, "x", &format!("Contact: <sip:{round}@other.example>\r\n"), "");
    }
    assert_eq!(world.count("INVITE"), 4, "three redirects are followed");
    assert_eq!(refusal(&world).code, 302);
    assert_eq!(refusal(&world).contacts, ["sip:5@other.example"]);
}

#[test]
fn a_redirect_elsewhere_or_in_a_circle() {
    for contact in [
        "<sip:1@evil.example>",
        "<tel:+1900555>",
        "<sip:1@other.example?Route=x>",
        "*",
        "<sip:other.example@evil.example>",
    ] {
        let mut world = World::new();
        let invite = world.call();
        world.reply(&invite, 302, "x", &format!("Contact: {contact}\r\n"), "");
        assert_eq!(world.count("INVITE"), 1, "{contact}");
        assert_eq!(refusal(&world).code, 302);
    }
    let mut world = World::new();
    world.call();
    world.reply(&world.last("INVITE"), 302, "x", "Contact: <sip:a@other.example>\r\n", "");
    world.reply(&world.last("INVITE"), 302, "x", "Contact: <sip:a@other.example>\r\n", "");
    assert_eq!(world.count("INVITE"), 2);
}

#[test]
fn a_422_is_tried_again_with_its_least() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 422, "x", "Min-SE: 3600\r\n", "");
    let again = world.last("INVITE");
    assert_eq!((header(&again, "Session-Expires"), header(&again, "Min-SE")), ("3600".into(), "3600".into()));
    assert_eq!(header(&again, "CSeq"), "2 INVITE");
    world.reply(&again, 422, "x", "Min-SE: 7200\r\n", "");
    assert_eq!(header(&world.last("INVITE"), "Min-SE"), "7200");
    world.reply(&world.last("INVITE"), 422, "x", "Min-SE: 9000\r\n", "");
    assert_eq!(refusal(&world).code, 422);
}

#[test]
fn no_answer_at_all() {
    let mut world = World::new();
    world.call();
    world.seconds(3);
    assert_eq!(world.count("INVITE"), 3, "at 0, 0.5 and 1.5 s");
    world.seconds(2);
    assert!(matches!(&world.events[..], [Event::NextTarget { call: CALL, exhausted: Exhausted::Silent }]));
    let sent = world.sent.len();
    world.seconds(60);
    assert_eq!(world.sent.len(), sent, "an abandoned INVITE is not repeated");
    assert_eq!((world.uac.remembered(), world.next), (0, None));
}

#[test]
fn an_abandoned_target_that_wakes_up_is_canceled() {
    let mut world = World::new();
    let invite = world.call();
    world.seconds(5);
    let second = world.call();
    assert_ne!(header(&second, "Call-ID"), header(&invite, "Call-ID"));
    world.happened();
    world.reply(&invite, 180, "late", "", "");
    assert_cancels(&world.last("CANCEL"), &invite);
    world.reply(&invite, 487, "late", "", "");
    assert_eq!(world.happened(), Vec::<String>::new());
    world.reply(&second, 200, "a", "", SDP);
    assert!(is_answered(&world));
}

#[test]
fn an_abandoned_target_that_answers_is_ended() {
    let mut world = World::new();
    let invite = world.call();
    world.seconds(5);
    world.happened();
    world.reply(&invite, 200, "late", "", SDP);
    assert_eq!(world.lines()[world.sent.len() - 2..], ["ACK", "BYE"]);
    assert!(world.events.is_empty());
}

#[test]
fn a_flow_that_fails() {
    let mut world = World::new();
    let mut tls = invite();
    tls.path = path(Transport::Tls);
    world.dial(tls);
    world.seconds(1);
    assert_eq!(world.count("INVITE"), 1, "nothing is repeated on a stream");
    world.input(Input::FlowFailed(FLOW));
    assert!(matches!(&world.events[..], [Event::NextTarget { exhausted: Exhausted::FlowFailed, .. }]));

    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 180, "a", "", "");
    world.input(Input::FlowFailed(FLOW));
    let refusal = refusal(&world);
    assert_eq!((refusal.code, refusal.local, refusal.rang), (503, true, true), "no other phone rings after this one");
}

#[test]
fn a_503_leads_to_the_next_target_unless_it_rang() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 100, "", "", "");
    world.reply(&invite, 503, "x", "Retry-After: 120 (overload)\r\n", "");
    let [Event::NextTarget { exhausted: Exhausted::Unavailable(refusal), .. }] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(120)));
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 180, "a", "", "");
    world.reply(&invite, 503, "a", "", "");
    assert!(matches!(world.events.last(), Some(Event::Refused { .. })));
}

#[test]
fn a_response_through_somebody_else() {
    let mut world = World::new();
    let invite = world.call();
    let ok = response(&invite, 200, "a", "", SDP);
    world.receive(ok.replacen("Via:", "Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKx\r\nVia:", 1).as_bytes());
    world.receive(ok.replacen("z9hG4bK", "z9hG4bKx", 1).as_bytes());
    world.receive(ok.replacen("CSeq: 1 INVITE", "CSeq: 1 BYE", 1).as_bytes());
    assert!(world.events.is_empty());
    assert_eq!(world.uac.counters().stray_responses, 3);
}

#[test]
fn nothing_is_slipped_into_an_invite() {
    let bad = "x\r\nX-Evil: 1";
    let mut spoilt = vec![invite(), invite(), invite(), invite(), invite(), invite(), invite(), invite()];
    spoilt[0].uri = format!("sip:{bad}@trunk.example");
    spoilt[1].from.display = Some(bad.into());
    spoilt[2].from.uri = "sip:a@b>\r\nX-Evil: 1".into();
    spoilt[3].headers = vec![ExtraHeader::AssertedIdentity(bad.into())];
    spoilt[4].headers = vec![ExtraHeader::Private("X-A: b\r\nX-Evil".into(), "1".into())];
    spoilt[5].path.contact = "sip:a@b;x=\r\nX-Evil: 1".into();
    spoilt[6].headers = vec![ExtraHeader::Identity("\u{30c6}".into())];
    spoilt[7].headers = vec![ExtraHeader::Private("Via".into(), "1".into())];
    for invite in spoilt {
        let mut world = World::new();
        world.input(Input::Invite(Box::new(invite)));
        let refusal = refusal(&world);
        assert_eq!((refusal.code, refusal.local, world.sent.len()), (400, true, 0));
    }
    let mut world = World::new();
    let mut fine = invite();
    fine.headers = vec![
        ExtraHeader::AssertedIdentity("<sip:+815012345678@trunk.example>".into()),
        ExtraHeader::Privacy("id".into()),
        ExtraHeader::Identity("abc".into()),
    ];
    let sent = world.dial(fine);
    assert_eq!(header(&sent, "P-Asserted-Identity"), "<sip:+815012345678@trunk.example>");
    assert_eq!(
        header(&sent, "From").split(";tag").next(),
        Some("\"Contoso \\\"K\\\"\" <sip:+815012345678@trunk.example>")
    );
}
