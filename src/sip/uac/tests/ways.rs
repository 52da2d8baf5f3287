//! Owns the tests of the way that requests take: streams for what is large, proxies old and new, and other places.

use std::time::Duration;

use super::{
    indialog::Peer,
    world::{CALL, FLOW, OFFER, SDP, World, first, header, invite, path, response},
};
use crate::sip::{Event, Exhausted, ExtraHeader, FlowId, Input, Invite, Path, Transport};

const LARGE: FlowId = FlowId(8);

/// A call whose INVITE is above 1,300 bytes, with a stream to go by.
fn large() -> Invite {
    let mut large = invite();
    large.headers = vec![ExtraHeader::Identity("x".repeat(1000))];
    let stream =
        Path { flow: LARGE, contact: "sip:ringproof@192.0.2.1:5060;transport=tcp".into(), ..path(Transport::Tcp) };
    large.path.large = Some(Box::new(stream));
    large
}

fn flows(world: &World) -> Vec<u64> {
    world.sent.iter().map(|transmit| transmit.flow.0).collect()
}

#[test]
fn a_large_invite_goes_by_the_stream_and_the_call_stays_there() {
    let mut world = World::new();
    let invite = world.dial(large());
    assert!(header(&invite, "Via").starts_with("SIP/2.0/TCP ") && header(&invite, "Contact").contains("transport=tcp"));
    world.seconds(2);
    assert_eq!(flows(&world), [8], "nothing is repeated");
    world.reply(&invite, 200, "a", "Contact: <sip:callee@192.0.2.9>\r\n", SDP);
    world.input(Input::HangUp { call: CALL, reason: None });
    assert_eq!(flows(&world), [8; 3]);
    assert!(header(&world.last("BYE"), "Via").starts_with("SIP/2.0/TCP "));
    world.seconds(3);
    assert_eq!(world.lines(), ["INVITE", "ACK", "BYE"]);
}

#[test]
fn where_the_stream_is_refused_the_datagram_goes_after_all() {
    let mut world = World::new();
    world.dial(large());
    world.input(Input::FlowFailed(LARGE));
    let again = world.last("INVITE");
    assert_eq!(flows(&world), [8, 7]);
    assert!(header(&again, "Via").starts_with("SIP/2.0/UDP ") && header(&again, "CSeq") == "1 INVITE");
    world.reply(&again, 401, "x", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "");
    assert_eq!(flows(&world), [8, 7, 7, 7], "and it stays there");
    world.reply(&world.last("INVITE"), 200, "a", "", SDP);
    world.input(Input::HangUp { call: CALL, reason: None });
    world.reply(&world.last("BYE"), 200, "", "", "");
    world.seconds(40);
    assert_eq!((world.uac.remembered(), world.uac.held()), (0, (0, 0, 0)));
}

#[test]
fn both_ways_fail() {
    let mut world = World::new();
    world.dial(large());
    world.input(Input::FlowFailed(LARGE));
    world.input(Input::FlowFailed(FLOW));
    assert!(matches!(&world.events[..], [Event::NextTarget { exhausted: Exhausted::FlowFailed, .. }]));
    world.seconds(40);
    assert_eq!(world.uac.held(), (0, 0, 0));
}

#[test]
fn a_proof_makes_it_large() {
    let mut world = World::new();
    let mut middling = large();
    middling.headers = vec![ExtraHeader::Identity("x".repeat(350))];
    let invite = world.dial(middling);
    assert!(invite.len() < 1300 && header(&invite, "Via").contains("UDP"), "{}", invite.len());
    let challenge = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{}\"\r\n", "n".repeat(300));
    world.reply(&invite, 401, "x", &challenge, "");
    assert_eq!(flows(&world), [7, 7, 8]);
    assert!(header(&world.last("INVITE"), "Via").contains("TCP"));
    world.input(Input::FlowFailed(LARGE));
    assert_eq!(flows(&world), [7, 7, 8, 7], "the stream was refused: nobody has the second INVITE yet");
    world.reply(&world.last("INVITE"), 180, "a", "", "");
    assert!(matches!(world.events.last(), Some(Event::Provisional { .. })));
}

#[test]
fn a_stream_that_breaks_later_is_not_gone_round() {
    let mut world = World::new();
    let invite = world.dial(large());
    world.reply(&invite, 100, "", "", "");
    world.input(Input::FlowFailed(LARGE));
    let [Event::Refused { refusal, .. }] = &world.events[..] else { panic!("{:?}", world.events) };
    assert_eq!(
        (refusal.code, refusal.local, refusal.seen_response),
        (503, true, true),
        "it has the INVITE and may ring"
    );
    assert_eq!(world.lines(), ["INVITE", "CANCEL"], "should it still be reached, it is to stop");
}

#[test]
fn without_a_stream_a_large_invite_is_a_datagram() {
    let mut world = World::new();
    let mut alone = large();
    alone.path.large = None;
    world.dial(alone);
    assert_eq!(flows(&world), [7]);
}

#[test]
fn loose_routing() {
    let mut world = World::new();
    let invite = world.call();
    let route =
        "Record-Route: <sip:p2.example;lr>, <sip:a,b@p1.example:5070;lr>\r\nRecord-Route: \"n\" <sip:p0;lr>\r\n";
    world.reply(&invite, 200, "a", &format!("{route}Contact: <sip:callee@192.0.2.9>\r\n"), SDP);
    let ack = world.last("ACK");
    let routes: Vec<_> = ack.lines().filter(|line| line.starts_with("Route: ")).collect();
    assert_eq!(routes, ["Route: <sip:p0;lr>", "Route: <sip:a,b@p1.example:5070;lr>", "Route: <sip:p2.example;lr>"]);
    assert_eq!(first(&ack), "ACK sip:callee@192.0.2.9 SIP/2.0");
    assert_eq!(world.hop("ACK").as_deref(), Some("p0:None"));
}

#[test]
fn headers_in_a_contact_stay_out_of_requests() {
    let mut world = World::new();
    let invite = world.call();
    let more = "Record-Route: <sip:p1.example?Subject=x>\r\nContact: <sip:a?b@192.0.2.9:5070;c=d?Subject=x&body=y>\r\n";
    world.reply(&invite, 200, "a", more, SDP);
    let ack = world.last("ACK");
    assert_eq!((first(&ack), &*header(&ack, "Route")), ("ACK sip:p1.example SIP/2.0", "<sip:a?b@192.0.2.9:5070;c=d>"));
}

#[test]
fn strict_routing() {
    let mut world = World::new();
    let invite = world.call();
    let route = "Record-Route: <sip:p2.example;lr>, <sip:p1.example>\r\n";
    let ok = response(&invite, 200, "peer", &format!("{route}Contact: <sip:callee@192.0.2.9>\r\n"), SDP);
    world.receive(ok.as_bytes());
    world.input(Input::HangUp { call: CALL, reason: None });
    for method in ["ACK", "BYE"] {
        let sent = world.last(method);
        let routes: Vec<_> = sent.lines().filter(|line| line.starts_with("Route: ")).collect();
        assert_eq!(first(&sent), format!("{method} sip:p1.example SIP/2.0"));
        assert_eq!(routes, ["Route: <sip:p2.example;lr>", "Route: <sip:callee@192.0.2.9>"]);
        assert_eq!(world.hop(method).as_deref(), Some("p1.example:None"));
    }
}

#[test]
fn proxies_that_the_caller_names() {
    let mut world = World::new();
    let mut routed = invite();
    routed.routes = vec!["sip:edge.example;lr".into()];
    let invite = world.dial(routed);
    assert_eq!(header(&invite, "Route"), "<sip:edge.example;lr>");
    world.reply(&invite, 486, "x", "", "");
    assert_eq!(header(&world.last("ACK"), "Route"), "<sip:edge.example;lr>");
}

#[test]
fn a_contact_that_leads_nowhere_changes_nothing() {
    for contact in ["<mailto:a@b>", "<sip:>", "*", "<tel:+1900>", "nonsense", ""] {
        let mut world = World::new();
        let invite = world.call();
        world.reply(&invite, 200, "a", &format!("Contact: {contact}\r\n"), SDP);
        assert_eq!(first(&world.last("ACK")), first(&invite).replace("INVITE", "ACK"), "{contact}");
    }
}

#[test]
fn a_flow_that_breaks_in_a_call_ends_nothing() {
    let mut world = World::new();
    let (invite, _) = world.answered("");
    world.happened();
    world.input(Input::FlowFailed(FLOW));
    world.seconds(60);
    assert_eq!(world.happened(), Vec::<String>::new(), "its connection may come back; the media says whether it lives");
    world.receive(Peer::of(&invite).ask("BYE", 1, "", "").as_bytes());
    assert_eq!(world.events.len(), 1);
}

#[test]
fn what_ends_a_call_is_sent_once_more_where_its_flow_failed() {
    let mut world = World::new();
    world.answered("");
    world.input(Input::HangUp { call: CALL, reason: None });
    for _ in 0..3 {
        world.input(Input::FlowFailed(FLOW));
    }
    assert_eq!(world.lines(), ["INVITE", "ACK", "BYE", "BYE"]);
    assert_eq!(world.sent[2].bytes, world.sent[3].bytes, "the same transaction, should both arrive");

    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 180, "a", "", "");
    world.input(Input::Cancel { call: CALL, reason: None });
    world.input(Input::FlowFailed(FLOW));
    assert_eq!(world.lines(), ["INVITE", "CANCEL", "CANCEL"]);
    assert_eq!(world.sent[1].bytes, world.sent[2].bytes);
    world.seconds(70);
    assert_eq!(world.uac.held(), (0, 0, 0));
}

#[test]
fn time_that_jumps() {
    let mut world = World::new();
    world.call();
    world.now = world.now.plus(Duration::from_secs(1_000_000));
    world.input(Input::Tick);
    assert_eq!(world.lines(), ["INVITE"], "not all the copies that were missed");
    assert!(matches!(&world.events[..], [Event::NextTarget { .. }]));
    world.now = crate::time::Timestamp::from_ms(5);
    let again = world.uac.remembered();
    world.uac.handle_input(world.now, Input::Tick);
    assert_eq!((world.uac.remembered(), OFFER.is_empty()), (again, false), "time that goes back stands still");
}
