//! Owns the tests of session timers (RFC 4028): we refresh, or the peer does, or somebody falls silent.

use super::{
    indialog::{Peer, call_with},
    world::{CALL, FLOW, OFFER, SDP, World, first, header},
};
use crate::sip::{EndCause, Ender, Event, Input};

const UPDATES: &str = "Allow: INVITE, ACK, update\r\nRequire: timer\r\n";

fn lasting(expires: &str) -> (World, Peer) {
    call_with(&format!("{UPDATES}Session-Expires: {expires}\r\n"))
}

fn ended(world: &World) -> Option<(Ender, EndCause)> {
    world
        .events
        .iter()
        .find_map(|event| if let Event::Ended { by, cause, .. } = event { Some((*by, *cause)) } else { None })
}

#[test]
fn we_refresh_by_update_at_half() {
    for refresher in ["1800;refresher=uac", "1800", "1800 ; Refresher = UAC"] {
        let (mut world, _) = lasting(refresher);
        world.seconds(899);
        assert_eq!(world.lines(), Vec::<String>::new());
        for round in 1..4u32 {
            world.seconds(1);
            let update = world.last("UPDATE");
            assert_eq!(first(&update), "UPDATE sip:callee@192.0.2.9:5070 SIP/2.0");
            assert_eq!(header(&update, "CSeq"), format!("{} UPDATE", round + 1));
            assert_eq!(header(&update, "Session-Expires"), "1800;refresher=uac");
            assert!(header(&update, "Supported").contains("timer") && header(&update, "Content-Length") == "0");
            world.reply(&update, 200, "", "Session-Expires: 1800;refresher=uac\r\n", "");
            world.seconds(899);
        }
        assert_eq!((world.count("UPDATE"), ended(&world)), (3, None));
    }
}

#[test]
fn we_refresh_by_reinvite_where_the_peer_takes_no_update() {
    let (mut world, _) = call_with("Session-Expires: 180;refresher=uac\r\nAllow: INVITE, ACK, BYE\r\n");
    world.seconds(90);
    let again = world.last("INVITE");
    assert!(again.ends_with(std::str::from_utf8(OFFER).unwrap()), "the same offer");
    world.reply(&again, 100, "", "", "");
    world.seconds(5);
    assert_eq!(world.lines(), ["INVITE"], "not repeated: the peer has it");
    let ok = "Contact: <sip:moved@192.0.2.9>\r\nSession-Expires: 180;refresher=uac\r\n";
    world.reply(&again, 200, "", ok, SDP);
    let ack = world.last("ACK");
    assert_eq!((first(&ack), &*header(&ack, "CSeq")), ("ACK sip:moved@192.0.2.9 SIP/2.0", "2 ACK"));
    assert_ne!(header(&ack, "Via"), header(&again, "Via"));
    assert!(matches!(&world.events[..], [Event::AnswerReceived { .. }]));
    world.reply(&again, 200, "", ok, SDP);
    assert_eq!((world.count("ACK"), world.events.len()), (2, 1), "a repeated 200 is acknowledged again");
    world.seconds(90);
    assert_eq!(world.count("INVITE"), 2);
}

#[test]
fn a_reinvite_that_the_peer_challenges() {
    let (mut world, _) = call_with("Session-Expires: 180;refresher=uac\r\n");
    world.seconds(90);
    let first = world.last("INVITE");
    world.reply(&first, 401, "", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "");
    let again = world.last("INVITE");
    assert_eq!(world.lines(), ["INVITE", "ACK", "INVITE"]);
    let ack = world.last("ACK");
    assert_eq!((header(&ack, "Via"), &*header(&ack, "CSeq")), (header(&first, "Via"), "2 ACK"));
    assert!(header(&again, "Authorization").contains("nonce=\"n\""));
    assert_eq!(header(&again, "CSeq"), "3 INVITE");
    world.reply(&again, 200, "", "Session-Expires: 180\r\n", SDP);
    assert_eq!(header(&world.last("ACK"), "CSeq"), "3 ACK");
    world.reply(&first, 401, "", "", "");
    assert_eq!(header(&world.last("ACK"), "CSeq"), "2 ACK", "each final response has its own ACK");
}

#[test]
fn the_peer_refreshes_and_falls_silent() {
    let (mut world, peer) = lasting("180;refresher=uas");
    world.seconds(90);
    let refresh = peer.ask("UPDATE", 1, "Supported: timer\r\nSession-Expires: 180;refresher=uac\r\n", "");
    world.receive(refresh.as_bytes());
    let ok = world.last("SIP/2.0 200");
    assert_eq!((header(&ok, "Session-Expires"), header(&ok, "Require")), ("180;refresher=uac".into(), "timer".into()));
    world.seconds(147);
    assert_eq!((world.lines(), ended(&world)), (vec!["200".to_owned()], None));
    world.seconds(1);
    // 32 s before its end: a BYE that comes late would be too late.
    assert_eq!(ended(&world), Some((Ender::Us, EndCause::SessionExpired)));
    assert_eq!(header(&world.last("BYE"), "Reason"), "SIP;cause=408;text=\"Session expired\"");
}

#[test]
fn a_short_session_ends_a_third_early() {
    let (mut world, _) = lasting("60;refresher=uas");
    world.seconds(39);
    assert_eq!(ended(&world), None);
    world.seconds(1);
    assert_eq!(ended(&world), Some((Ender::Us, EndCause::SessionExpired)));
}

#[test]
fn the_peer_may_leave_the_refreshing_to_us_or_end_it() {
    let (mut world, peer) = lasting("180;refresher=uas");
    let to_us = peer.ask("UPDATE", 1, "Supported: timer\r\nSession-Expires: 200;refresher=uas\r\n", "");
    world.receive(to_us.as_bytes());
    assert_eq!(header(&world.last("SIP/2.0 200"), "Session-Expires"), "200;refresher=uas");
    world.seconds(100);
    let update = world.last("UPDATE");
    assert_eq!(header(&update, "Session-Expires"), "200;refresher=uac");
    // No timer in the answer: the session has no end any more (section 7.2).
    world.reply(&update, 200, "", "", "");
    world.seconds(4000);
    assert_eq!((world.count("UPDATE"), ended(&world)), (1, None));
}

#[test]
fn a_peer_without_timers_is_refreshed_by_us() {
    let (mut world, peer) = lasting("1800");
    world.receive(peer.ask("UPDATE", 1, "Session-Expires: 300;refresher=uac\r\n", "").as_bytes());
    assert_eq!(header(&world.last("SIP/2.0 200"), "Session-Expires"), "300;refresher=uas");
    world.seconds(150);
    assert_eq!(world.count("UPDATE"), 1);
}

#[test]
fn a_reinvite_of_the_peer_refreshes_too() {
    let (mut world, peer) = lasting("180;refresher=uas");
    world.seconds(100);
    let more = "Supported: timer\r\nSession-Expires: 180;refresher=uac\r\nContent-Type: application/sdp\r\n";
    world.receive(peer.ask("INVITE", 1, more, SDP).as_bytes());
    let offer = super::indialog::offered(&world);
    world.input(Input::Answer { call: CALL, offer, sdp: Some(OFFER.to_vec()) });
    assert_eq!(header(&world.last("SIP/2.0 200"), "Session-Expires"), "180;refresher=uac");
    world.receive(peer.ask("ACK", 1, "", "").as_bytes());
    world.seconds(147);
    assert_eq!(ended(&world), None);
    world.seconds(2);
    assert_eq!(ended(&world), Some((Ender::Us, EndCause::SessionExpired)));
}

#[test]
fn too_short_a_session_is_refused_with_our_least() {
    let (mut world, peer) = lasting("1800");
    for (number, method) in [(1, "UPDATE"), (2, "INVITE")] {
        world.receive(peer.ask(method, number, "k: timer\r\nx: 89\r\n", "").as_bytes());
        assert_eq!(header(&world.last("SIP/2.0 422"), "Min-SE"), "90");
    }
    world.receive(peer.ask("UPDATE", 3, "Supported: timer\r\nSession-Expires: 90\r\n", "").as_bytes());
    assert_eq!(header(&world.last("SIP/2.0 200"), "Session-Expires"), "90;refresher=uac");
}

#[test]
fn a_refresh_that_is_too_short_for_the_peer() {
    let (mut world, _) = lasting("90;refresher=uac");
    world.seconds(45);
    world.reply(&world.last("UPDATE"), 422, "", "Min-SE: 600\r\n", "");
    world.seconds(1);
    let again = world.last("UPDATE");
    assert_eq!(
        (header(&again, "Session-Expires"), header(&again, "Min-SE")),
        ("600;refresher=uac".into(), "600".into())
    );
    world.reply(&again, 200, "", "Session-Expires: 600;refresher=uac\r\n", "");
    world.seconds(299);
    assert_eq!(world.lines().last().map(String::as_str), Some("UPDATE"));
    assert_eq!(ended(&world), None);
}

#[test]
fn a_refresh_that_nobody_knows_ends_the_call() {
    for code in [408, 481] {
        let (mut world, _) = lasting("180;refresher=uac");
        world.seconds(90);
        world.reply(&world.last("UPDATE"), code, "", "", "");
        assert_eq!(ended(&world), Some((Ender::Us, EndCause::Lost)), "{code}");
        assert_eq!(world.lines(), ["UPDATE", "BYE"]);
    }
    let (mut world, _) = lasting("1800;refresher=uac");
    world.seconds(931);
    assert_eq!(ended(&world), None);
    world.seconds(1);
    assert_eq!(ended(&world), Some((Ender::Us, EndCause::Lost)), "no answer within 32 s");
    assert_eq!(world.count("UPDATE"), 11);
}

#[test]
fn a_refresh_that_fails_otherwise_is_tried_again() {
    let (mut world, _) = lasting("180;refresher=uac");
    world.seconds(90);
    world.reply(&world.last("UPDATE"), 500, "", "", "");
    world.seconds(9);
    assert_eq!(world.count("UPDATE"), 1);
    world.seconds(1);
    world.reply(&world.last("UPDATE"), 200, "", "Session-Expires: 180;refresher=uac\r\n", "");
    world.seconds(80);
    assert_eq!((world.count("UPDATE"), ended(&world)), (2, None));

    // The peer takes no UPDATE after all.
    world.seconds(10);
    world.reply(&world.last("UPDATE"), 501, "", "", "");
    world.seconds(1);
    assert_eq!(world.requests("INVITE"), 1);

    // And a peer that always says no is asked five times; then the session ends.
    let (mut world, _) = lasting("1800;refresher=uac");
    world.seconds(900);
    for _ in 0..8 {
        world.reply(&world.last("UPDATE"), 500, "", "", "");
        world.seconds(11);
    }
    assert_eq!((world.requests("UPDATE"), ended(&world)), (5, None));
    world.seconds(900);
    assert_eq!(ended(&world), Some((Ender::Us, EndCause::SessionExpired)));
}

#[test]
fn glare_of_two_refreshes() {
    let (mut world, _) = call_with("Session-Expires: 180;refresher=uac\r\n");
    world.seconds(90);
    world.reply(&world.last("INVITE"), 491, "", "", "");
    world.pass(std::time::Duration::from_millis(2099));
    assert_eq!(world.count("INVITE"), 1);
    world.seconds(2);
    assert_eq!(world.requests("INVITE"), 2, "who made the Call-ID waits 2.1 to 4 s");

    // Ours waits while an INVITE of the peer is open.
    let (mut world, peer) = call_with("Session-Expires: 180;refresher=uac\r\n");
    world.seconds(89);
    world.receive(peer.offer("INVITE", 1).as_bytes());
    world.seconds(4);
    assert_eq!(world.count("INVITE"), 0);
    let offer = super::indialog::offered(&world);
    world.input(Input::Answer { call: CALL, offer, sdp: Some(OFFER.to_vec()) });
    world.seconds(5);
    assert_eq!(world.count("INVITE"), 0, "the ACK is missing");
    world.receive(peer.ask("ACK", 1, "", "").as_bytes());
    world.seconds(1);
    assert_eq!((world.count("INVITE"), ended(&world)), (0, None), "its INVITE had no timer: there is none any more");
}

#[test]
fn a_flow_that_fails_under_a_refresh() {
    let (mut world, _) = lasting("180;refresher=uac");
    world.seconds(90);
    world.input(Input::FlowFailed(FLOW));
    world.seconds(10);
    assert_eq!((world.count("UPDATE") >= 2, ended(&world)), (true, None), "the driver may connect anew");
}

#[test]
fn an_interval_that_makes_no_sense() {
    for expires in ["0", "1;refresher=uac", "99999999999999", "-5", "x", ""] {
        let (mut world, _) = lasting(expires);
        world.seconds(1);
        assert_eq!((world.sent.len(), ended(&world)), (0, None), "{expires}");
    }
}
