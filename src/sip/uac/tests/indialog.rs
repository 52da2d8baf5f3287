//! Owns the tests of what the peer asks for in a call, and of what it gets when it asks at a bad time.

use super::world::{CALL, OFFER, SDP, World, first, header};
use crate::sip::{EndCause, Ender, Event, Input, OfferId, message::Message, message::Name};

/// A peer in a call: it writes requests in the dialog.
pub(super) struct Peer {
    from: String,
    to: String,
    call_id: String,
}

impl Peer {
    /// The other side of the call that this INVITE began; its tag is `peer`.
    pub(super) fn of(invite: &str) -> Self {
        Self {
            from: format!("{};tag=peer", header(invite, "To")),
            to: header(invite, "From"),
            call_id: header(invite, "Call-ID"),
        }
    }

    pub(super) fn ask(&self, method: &str, number: u32, more: &str, body: &str) -> String {
        self.ask_by(&format!("{method}{number}"), method, number, more, body)
    }

    /// As [`Peer::ask`], on this branch.
    pub(super) fn ask_by(&self, branch: &str, method: &str, number: u32, more: &str, body: &str) -> String {
        let Self { from, to, call_id } = self;
        let length = body.len();
        format!(
            "{method} sip:ringproof@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n{more}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    pub(super) fn offer(&self, method: &str, number: u32) -> String {
        self.ask(method, number, "Contact: <sip:new@192.0.2.9:5090>\r\nContent-Type: application/sdp\r\n", SDP)
    }
}

/// An answered call, with everything sent and told so far forgotten.
pub(super) fn call() -> (World, Peer) {
    call_with("")
}

pub(super) fn call_with(more: &str) -> (World, Peer) {
    let mut world = World::new();
    let (invite, _) = world.answered(more);
    world.sent.clear();
    world.happened();
    (world, Peer::of(&invite))
}

/// The offer that the last event is about.
pub(super) fn offered(world: &World) -> OfferId {
    let found = world
        .events
        .iter()
        .rev()
        .find_map(|event| if let Event::Offered { offer, .. } = event { Some(*offer) } else { None });
    found.unwrap_or_else(|| panic!("nothing is offered: {:?}", world.events))
}

fn answer(world: &mut World, sdp: Option<&[u8]>) {
    let offer = offered(world);
    world.input(Input::Answer { call: CALL, offer, sdp: sdp.map(<[u8]>::to_vec) });
}

fn ended(world: &World) -> Option<(Ender, EndCause)> {
    world
        .events
        .iter()
        .find_map(|event| if let Event::Ended { by, cause, .. } = event { Some((*by, *cause)) } else { None })
}

#[test]
fn a_reinvite_is_answered_by_the_driver_and_moves_the_peer() {
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    assert_eq!(world.lines(), ["100"]);
    assert!(matches!(&world.events[..], [Event::Offered { sdp: Some(sdp), .. }] if sdp == SDP.as_bytes()));
    answer(&mut world, Some(OFFER));
    assert_eq!(world.lines(), ["100", "200"]);
    let ok = world.last("SIP/2.0 200");
    assert!(ok.ends_with(std::str::from_utf8(OFFER).unwrap()) && header(&ok, "Allow").contains("UPDATE"), "{ok}");
    assert_eq!(header(&ok, "Contact"), "<sip:ringproof@192.0.2.1:5060>");
    assert_eq!(header(&ok, "To"), peer.to);
    world.receive(peer.ask("ACK", 1, "", "").as_bytes());
    world.seconds(60);
    assert_eq!(world.lines(), ["100", "200"], "acknowledged: not repeated, and the call lives");
    assert_eq!(ended(&world), None);
    world.input(Input::HangUp { call: CALL, reason: None });
    assert_eq!(first(&world.last("BYE")), "BYE sip:new@192.0.2.9:5090 SIP/2.0");
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    answer(&mut world, None);
    assert_eq!(world.lines(), ["100", "488"]);
    world.seconds(3);
    assert_eq!(world.count("SIP/2.0 488"), 3, "repeated at 0.5 and 1.5 s");
    world.receive(peer.ask_by("INVITE1", "ACK", 1, "", "").as_bytes());
    world.seconds(60);
    assert_eq!((world.count("SIP/2.0 488"), ended(&world)), (3, None));
    world.input(Input::HangUp { call: CALL, reason: None });
    assert_eq!(first(&world.last("BYE")), "BYE sip:callee@192.0.2.9:5070 SIP/2.0", "it did not move");
}

#[test]
fn a_refused_offer_that_is_never_acknowledged_ends_nothing() {
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    answer(&mut world, None);
    world.seconds(100);
    assert_eq!((ended(&world), world.next), (None, None));
}

#[test]
fn a_driver_that_does_not_answer_an_offer() {
    let (mut world, peer) = call();
    world.receive(peer.offer("UPDATE", 1).as_bytes());
    let offer = offered(&world);
    world.seconds(6);
    assert_eq!(world.lines(), ["488"]);
    world.input(Input::Answer { call: CALL, offer, sdp: Some(OFFER.to_vec()) });
    assert_eq!(world.lines(), ["488"], "too late");
}

#[test]
fn a_200_to_a_reinvite_is_repeated_until_the_ack_or_the_end() {
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    answer(&mut world, Some(OFFER));
    world.happened();
    world.seconds(31);
    // 0, 0.5, 1.5, 3.5, 7.5, 11.5 … 31.5 s.
    assert_eq!(world.count("SIP/2.0 200"), 10);
    assert_eq!(world.happened(), Vec::<String>::new());
    world.seconds(1);
    assert_eq!(ended(&world), Some((Ender::Us, EndCause::NotAcknowledged)));
    assert_eq!(world.count("BYE"), 1);
}

#[test]
fn an_offerless_reinvite_gets_an_offer_and_brings_the_answer_in_its_ack() {
    let (mut world, peer) = call();
    world.receive(peer.ask("INVITE", 1, "", "").as_bytes());
    assert!(matches!(&world.events[..], [Event::Offered { sdp: None, .. }]));
    answer(&mut world, Some(OFFER));
    world.happened();
    world.receive(peer.offer("UPDATE", 2).as_bytes());
    assert_eq!(world.lines(), ["100", "200", "491"], "our offer is not answered yet");
    world.receive(peer.ask("ACK", 1, "Content-Type: application/sdp\r\n", SDP).as_bytes());
    assert!(matches!(&world.events[..], [Event::AnswerReceived { answer, .. }] if answer == SDP.as_bytes()));
    world.receive(peer.ask("ACK", 1, "Content-Type: application/sdp\r\n", SDP).as_bytes());
    assert_eq!(world.events.len(), 1, "a repeated ACK answers nothing");
}

#[test]
fn an_update_is_answered_and_needs_no_ack() {
    let (mut world, peer) = call();
    world.receive(peer.offer("UPDATE", 1).as_bytes());
    answer(&mut world, Some(OFFER));
    assert_eq!(world.lines(), ["200"]);
    world.receive(peer.ask("UPDATE", 2, "", "").as_bytes());
    assert_eq!(world.lines(), ["200", "200"], "without an offer the core answers by itself");
    world.seconds(100);
    assert_eq!((world.sent.len(), ended(&world)), (2, None));
}

#[test]
fn a_repeated_request_gets_the_same_answer_and_happens_once() {
    let (mut world, peer) = call();
    let info = peer.ask("INFO", 1, "Content-Type: Application/DTMF-Relay; x=1\r\n", "Signal=#\r\nDuration=160\r\n");
    (0..4).for_each(|_| world.receive(info.as_bytes()));
    assert_eq!(world.lines(), ["200"; 4]);
    assert_eq!(world.sent[0].bytes, world.sent[3].bytes);
    let [Event::InfoReceived { content_type, body, .. }] = &world.events[..] else { panic!("{:?}", world.events) };
    assert_eq!(crate::sip::info::keys(content_type, body).len(), 1);
    assert_eq!(content_type, "application/dtmf-relay");

    // While an offer waits a repeated one is told so, and offers nothing anew.
    world.happened();
    let reinvite = peer.offer("INVITE", 2);
    (0..3).for_each(|_| world.receive(reinvite.as_bytes()));
    assert_eq!(world.lines()[4..], ["100"; 3]);
    assert_eq!(world.events.len(), 1);
    answer(&mut world, Some(OFFER));
    world.receive(reinvite.as_bytes());
    assert_eq!(world.lines()[7..], ["200"; 2]);
    assert_eq!(world.sent[7].bytes, world.sent[8].bytes);

    // An answer is kept for 32 s; then the number is old.
    world.receive(peer.ask("ACK", 2, "", "").as_bytes());
    world.happened();
    world.seconds(33);
    world.receive(info.as_bytes());
    assert_eq!((world.lines().pop().as_deref(), world.happened().len()), (Some("500"), 0));
}

#[test]
fn an_old_number_is_refused() {
    let (mut world, peer) = call();
    world.receive(peer.ask("OPTIONS", 10, "", "").as_bytes());
    world.receive(peer.ask("INFO", 9, "Content-Type: application/dtmf\r\n", "#").as_bytes());
    world.receive(peer.ask_by("other", "INFO", 10, "Content-Type: application/dtmf\r\n", "#").as_bytes());
    assert_eq!(world.lines(), ["200", "500", "500"]);
    assert_eq!((world.events.len(), world.uac.counters().old_requests), (0, 2));
    world.receive(peer.ask("INFO", 4_000_000, "Content-Type: application/dtmf\r\n", "#").as_bytes());
    assert_eq!((world.lines().pop().as_deref(), world.events.len()), (Some("200"), 1));
}

#[test]
fn many_keys_do_not_push_out_an_answer_that_is_still_repeated() {
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    answer(&mut world, Some(OFFER));
    for number in 2..42 {
        world.receive(peer.ask("INFO", number, "Content-Type: application/dtmf\r\n", "5").as_bytes());
    }
    world.sent.clear();
    world.seconds(33);
    assert!(world.count("SIP/2.0 200") >= 9, "{:?}", world.lines());
    assert_eq!(ended(&world), Some((Ender::Us, EndCause::NotAcknowledged)));
}

#[test]
fn options_info_and_what_is_not_served() {
    let (mut world, peer) = call();
    let asked = [
        ("OPTIONS", "", "", "200"),
        ("INFO", "", "", "200"),
        ("INFO", "Content-Type: text/plain\r\n", "hello", "200"),
        ("NOTIFY", "Event: x\r\n", "", "405"),
        ("REFER", "Refer-To: <sip:+1900@evil>\r\n", "", "405"),
        ("MESSAGE", "", "", "405"),
        ("SUBSCRIBE", "", "", "405"),
        ("REGISTER", "", "", "405"),
        ("PRACK", "RAck: 1 1 INVITE\r\n", "", "481"),
        ("DANCE", "", "", "501"),
        ("OPTIONS", "Require: dancing, timer\r\n", "", "420"),
        ("UPDATE", "Content-Type: text/plain\r\n", "hello", "415"),
        ("INVITE", "Content-Type: text/plain\r\n", "hello", "415"),
    ];
    for (number, (method, more, body, code)) in (1..).zip(asked) {
        world.sent.clear();
        world.receive(peer.ask(method, number, more, body).as_bytes());
        assert_eq!(world.lines(), [code], "{method} {more}");
        let answer = world.last("SIP/2.0");
        match code {
            "405" | "501" => assert!(header(&answer, "Allow").contains("INFO")),
            "420" => assert_eq!(header(&answer, "Unsupported"), "dancing"),
            "415" => assert_eq!(header(&answer, "Accept"), "application/sdp"),
            _ => {}
        }
        assert_eq!(header(&answer, "Via"), format!("SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{method}{number}"));
        assert_eq!((header(&answer, "From"), header(&answer, "To")), (peer.from.clone(), peer.to.clone()));
    }
    assert_eq!(ended(&world), None);
    let told: Vec<_> = world.happened();
    assert!(told.len() == 1 && told[0].contains("text/plain"), "{told:?}");
    world.receive(peer.ask("INFO", 100, "Content-Type: application/dtmf\r\n", &"5".repeat(2000)).as_bytes());
    assert_eq!((world.happened().len(), world.uac.counters().bounded), (0, 1), "too large to be keys");
}

#[test]
fn the_peer_hangs_up() {
    let (mut world, peer) = call();
    world.receive(peer.ask("BYE", 1, "Reason: Q.850;cause=16;text=\"a\"\r\n", "").as_bytes());
    assert_eq!(world.lines(), ["200"]);
    let [Event::Ended { by: Ender::Peer, cause: EndCause::Bye, reasons, .. }] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!(reasons[0].cause, Some(16));
    world.receive(peer.ask("BYE", 1, "", "").as_bytes());
    assert_eq!((world.lines(), world.events.len()), (vec!["200".to_owned(), "200".to_owned()], 1));
    world.receive(peer.ask("INFO", 2, "Content-Type: application/dtmf\r\n", "#").as_bytes());
    assert_eq!((world.lines().pop().as_deref(), world.events.len()), (Some("481"), 1));
    world.input(Input::HangUp { call: CALL, reason: None });
    assert_eq!(world.count("BYE"), 0);
    world.seconds(40);
    assert_eq!((world.uac.remembered(), world.next), (0, None));
    world.receive(peer.ask("BYE", 3, "", "").as_bytes());
    assert_eq!(world.lines().pop().as_deref(), Some("481"), "forgotten");
}

#[test]
fn both_hang_up_at_once() {
    let (mut world, peer) = call();
    world.input(Input::HangUp { call: CALL, reason: None });
    world.receive(peer.ask("BYE", 1, "", "").as_bytes());
    let bye = world.last("BYE");
    world.reply(&bye, 481, "", "", "");
    assert_eq!(world.lines(), ["BYE", "200"]);
    assert_eq!(world.events.len(), 1);
    world.seconds(40);
    assert_eq!((world.uac.remembered(), world.next), (0, None));
}

#[test]
fn an_offer_is_open_when_the_call_ends() {
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    world.input(Input::HangUp { call: CALL, reason: None });
    assert_eq!(world.lines(), ["100", "487", "BYE"]);
    answer(&mut world, Some(OFFER));
    assert_eq!(world.lines(), ["100", "487", "BYE"], "nobody wants the answer any more");
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    world.receive(peer.ask("BYE", 2, "", "").as_bytes());
    assert_eq!(world.lines(), ["100", "200", "487"]);
}

#[test]
fn the_peer_cancels_its_reinvite() {
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    let cancel = peer.ask_by("INVITE1", "CANCEL", 1, "", "");
    world.receive(cancel.as_bytes());
    assert_eq!(world.lines(), ["100", "200", "487"]);
    assert_eq!(header(&world.last("SIP/2.0 487"), "CSeq"), "1 INVITE");
    world.receive(peer.ask_by("INVITE1", "ACK", 1, "", "").as_bytes());
    answer(&mut world, Some(OFFER));
    world.receive(cancel.as_bytes());
    world.seconds(40);
    assert_eq!((world.lines(), ended(&world)), (["100", "200", "487", "200"].map(String::from).to_vec(), None));
    world.receive(peer.ask_by("other", "CANCEL", 7, "", "").as_bytes());
    assert_eq!(world.lines().pop().as_deref(), Some("481"));
}

#[test]
fn an_offer_while_another_is_open() {
    let (mut world, peer) = call();
    world.receive(peer.offer("INVITE", 1).as_bytes());
    world.receive(peer.offer("INVITE", 2).as_bytes());
    world.receive(peer.offer("UPDATE", 3).as_bytes());
    assert_eq!(world.lines(), ["100", "500", "500"]);
    assert!(header(&world.last("SIP/2.0 500"), "Retry-After").parse::<u8>().unwrap() <= 10);
    answer(&mut world, Some(OFFER));
    world.receive(peer.offer("INVITE", 4).as_bytes());
    assert_eq!(world.lines()[3..], ["200", "500"], "our 200 is not acknowledged yet");
    world.receive(peer.ask("ACK", 1, "", "").as_bytes());
    world.happened();
    world.receive(peer.offer("INVITE", 5).as_bytes());
    assert_eq!(world.lines()[5..], ["100"]);
    assert_eq!(world.events.len(), 1);
}

#[test]
fn an_offer_while_our_reinvite_is_open() {
    let (mut world, peer) = call_with("Session-Expires: 90;refresher=uac\r\n");
    world.seconds(45);
    let ours = world.last("INVITE");
    world.receive(peer.ask("UPDATE", 1, "", "").as_bytes());
    assert_eq!(world.lines()[1..], ["200"], "what offers nothing is no glare");
    world.receive(peer.offer("INVITE", 2).as_bytes());
    world.receive(peer.offer("UPDATE", 3).as_bytes());
    assert_eq!(world.lines()[2..], ["491", "491"]);
    world.reply(&ours, 491, "", "", "");
    let to = header(&world.last("ACK"), "To");
    assert_eq!(to, header(&ours, "To"));
    world.receive(peer.offer("UPDATE", 4).as_bytes());
    assert!(matches!(world.events.last(), Some(Event::Offered { .. })));
}

#[test]
fn requests_before_the_answer() {
    let mut world = World::new();
    let invite = world.call();
    let peer = Peer::of(&invite);
    world.receive(peer.ask("INFO", 1, "Content-Type: application/dtmf\r\n", "#").as_bytes());
    assert_eq!(world.lines(), ["INVITE", "481"], "no such dialog");
    world.reply(&invite, 183, "peer", "", "");
    world.happened();
    world.receive(peer.ask("INFO", 2, "Content-Type: application/dtmf\r\n", "#").as_bytes());
    world.receive(peer.offer("UPDATE", 3).as_bytes());
    world.receive(peer.offer("INVITE", 4).as_bytes());
    assert_eq!(world.lines()[2..], ["200", "491", "403"]);
    assert_eq!(world.happened(), Vec::<String>::new(), "a key before the answer proves nothing");
}

#[test]
fn a_bye_overtakes_the_200() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 180, "peer", "", "");
    world.receive(Peer::of(&invite).ask("BYE", 1, "", "").as_bytes());
    world.happened();
    world.reply(&invite, 200, "peer", "", SDP);
    assert_eq!(world.lines(), ["INVITE", "200", "ACK"]);
    assert!(matches!(&world.events[..], [Event::Answered { .. }, Event::Ended { by: Ender::Peer, .. }]));
    world.seconds(40);
    assert_eq!((world.uac.remembered(), world.next), (0, None));
}

#[test]
fn requests_that_do_not_belong_to_the_call() {
    let (mut world, peer) = call();
    let good = peer.ask("INFO", 1, "Content-Type: application/dtmf\r\n", "#");
    for (from, to) in [("tag=peer", "tag=other"), (&*header(&good, "Call-ID"), "other"), (";tag=peer", "")] {
        world.receive(good.replace(from, to).as_bytes());
    }
    let ours = header(&good, "To");
    world.receive(good.replace(&ours, ours.split(";tag").next().unwrap()).as_bytes());
    assert_eq!(world.lines(), ["481"; 4]);
    assert_eq!(world.happened(), Vec::<String>::new());
}

#[test]
fn a_peer_that_has_a_tag_only_when_it_asks() {
    let mut world = World::new();
    let invite = world.call();
    world.reply(&invite, 200, "", "Contact: <sip:callee@192.0.2.9>\r\n", SDP);
    world.happened();
    let peer = Peer::of(&invite);
    world.receive(peer.ask("BYE", 1, "", "").as_bytes());
    assert_eq!(ended(&world), Some((Ender::Peer, EndCause::Bye)));
}

#[test]
fn an_answer_goes_back_where_the_request_came_from() {
    let (mut world, peer) = call();
    let ask = |number, via: &str| {
        let ask = peer.ask("OPTIONS", number, "", "");
        ask.replace("SIP/2.0/UDP 192.0.2.9:5060", via)
    };
    let via = |world: &World| {
        let bytes = &world.sent.last().unwrap().bytes;
        Message::read(bytes).unwrap().first(Name::Via).unwrap().into_owned()
    };
    world.receive(ask(1, "SIP/2.0/UDP 10.0.0.1:5099;rport").as_bytes());
    assert_eq!(via(&world), "SIP/2.0/UDP 10.0.0.1:5099;rport=5060;branch=z9hG4bKOPTIONS1;received=192.0.2.9");
    assert_eq!(world.hop("SIP/2.0"), None, "symmetric");
    world.receive(ask(2, "SIP/2.0/UDP 10.0.0.1:5099;received=198.51.100.1").as_bytes());
    assert_eq!(via(&world), "SIP/2.0/UDP 10.0.0.1:5099;branch=z9hG4bKOPTIONS2;received=192.0.2.9");
    assert_eq!(world.hop("SIP/2.0").as_deref(), Some("192.0.2.9:Some(5099)"), "never to whom it names");
    world.receive(ask(3, "SIP/2.0/UDP 192.0.2.9").as_bytes());
    assert_eq!(world.hop("SIP/2.0"), None);
}
