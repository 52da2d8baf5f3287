//! Two ends of a line in virtual time: what one plays the other hears, and nobody else is heard.

use std::net::{IpAddr, Ipv4Addr};

use super::{
    super::{MachineSign, QUIET_AFTER, event, g711, rtp::Header, tones},
    *,
};
use crate::{
    secret::Secret,
    sip::sdp::{self, Codec, CryptoSuite, Direction},
};

const OURS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4_000);
const THEIRS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 5_000);

fn above(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port() + 1)
}

fn agreed(to: SocketAddr) -> Negotiated {
    Negotiated {
        codec: Codec::Pcmu,
        events_out: Some(101),
        events_in: 101,
        packet_ms: 20,
        rtp: to,
        rtcp: above(to),
        direction: Direction::SendRecv,
        protection: None,
    }
}

fn protection(ours: u8, theirs: u8) -> Option<Protection> {
    let key = |byte| Secret::new([byte; sdp::KEY_AND_SALT_BYTES]);
    Some(Protection { suite: CryptoSuite::AesCm128HmacSha1_80, ours: key(ours), theirs: key(theirs) })
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn stream(ssrc: u32, latching: Latching) -> Stream {
    Stream::new(Start { ssrc, sequence: 65_530, timestamp: 77 }, String::from("x"), latching)
}

/// Ours, connected to the other end.
fn ours(latching: Latching) -> Stream {
    let mut ours = stream(1, latching);
    ours.connect(at(0), agreed(THEIRS));
    ours
}

fn events(stream: &mut Stream) -> Vec<Event> {
    std::iter::from_fn(|| stream.next_event()).collect()
}

fn keys(events: &[Event]) -> String {
    events
        .iter()
        .filter_map(|event| if let Event::Key { digit, .. } = event { Some(digit.as_char()) } else { None })
        .collect()
}

/// A packet of another end.
fn packet(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header { marker: false, payload_type, sequence, timestamp, ssrc };
    [&header.to_bytes()[..], payload].concat()
}

fn pound(sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let tone = event::Tone { code: 11, end: false, duration: 160 };
    packet(101, sequence, timestamp, ssrc, &tone.to_bytes())
}

/// Both ends for so many slots.
fn talk(one: &mut Stream, other: &mut Stream, slots: u64) -> (Vec<Event>, Vec<Event>) {
    let (mut told, mut packet) = ((Vec::new(), Vec::new()), Vec::new());
    for now in (0..slots).map(|slot| at(slot * 20)) {
        if one.send(now, &mut packet).is_some() {
            other.hear(now, OURS, &mut packet);
        }
        if one.report(now, &mut packet).is_some() {
            other.hear_report(now, above(OURS), &mut packet);
        }
        if other.send(now, &mut packet).is_some() {
            one.hear(now, THEIRS, &mut packet);
        }
        if other.report(now, &mut packet).is_some() {
            one.hear_report(now, above(THEIRS), &mut packet);
        }
        told.0.extend(events(one));
        told.1.extend(events(other));
    }
    told
}

#[test]
fn two_ends_hear_each_other_plain_and_protected() {
    for (mine, yours) in [(None, None), (protection(1, 2), protection(2, 1))] {
        let (mut one, mut other) = (stream(1, Latching::Strict), stream(2, Latching::Strict));
        one.connect(at(0), Negotiated { protection: mine, ..agreed(THEIRS) });
        other.connect(at(0), Negotiated { protection: yours, ..agreed(OURS) });
        one.play(vec![Sound::Silence(Duration::from_secs(30))], BargeIn::Cuts, 3);
        other.dial(",1#".parse().unwrap());
        let (heard, told) = talk(&mut one, &mut other, 1_000);
        assert_eq!(keys(&heard), "1#");
        assert!(told.contains(&Event::Dialled));
        assert!(heard.contains(&Event::Connected) && told.contains(&Event::Connected));
        assert!(heard.contains(&Event::Played { play: 3, end: PlayEnd::BargeIn }));
        let quality = one.quality();
        assert_eq!((quality.sent, quality.received, quality.lost, quality.refused), (1_000, 1_000, 0, 0));
        assert_eq!(quality.far_lost, Some(0), "reports were exchanged");
    }
}

#[test]
fn keys_are_believed_from_the_agreed_place_and_sender_only() {
    let mut ours = ours(Latching::Strict);
    let elsewhere = SocketAddr::from(([203, 0, 113, 9], 5_000));
    let other_port = SocketAddr::new(THEIRS.ip(), 5_002);
    for from in [elsewhere, other_port, above(THEIRS)] {
        ours.hear(at(10), from, &mut pound(1, 100, 7));
    }
    assert_eq!(events(&mut ours), []);
    ours.hear(at(20), THEIRS, &mut packet(0, 10, 160, 7, &[0xFF; 160]));
    ours.hear(at(25), THEIRS, &mut pound(11, 320, 8));
    ours.hear(at(26), THEIRS, &mut b"GET / HTTP/1.1\r\n\r\n".to_vec());
    ours.hear(at(27), THEIRS, &mut vec![0x80; 2_000]);
    assert_eq!(events(&mut ours), [Event::Connected]);
    ours.hear(at(40), THEIRS, &mut pound(11, 320, 7));
    assert_eq!(keys(&events(&mut ours)), "#");
    assert_eq!(ours.quality().refused, 6);
}

#[test]
fn another_port_of_the_same_host_takes_over_once_where_that_is_wanted() {
    let mut ours = ours(Latching::SameHost);
    let behind_nat = SocketAddr::new(THEIRS.ip(), 40_001);
    let late = SocketAddr::new(THEIRS.ip(), 40_002);
    ours.hear(at(10), SocketAddr::from(([203, 0, 113, 9], 40_001)), &mut pound(1, 100, 7));
    assert_eq!(events(&mut ours), []);
    ours.hear(at(20), behind_nat, &mut pound(2, 200, 7));
    ours.hear(at(40), late, &mut pound(3, 9_000, 7));
    assert_eq!(keys(&events(&mut ours)), "#");
    assert_eq!(ours.send(at(40), &mut Vec::new()), Some(behind_nat));
}

#[test]
fn what_is_not_authentic_presses_nothing() {
    let mut ours = stream(1, Latching::Strict);
    ours.connect(at(0), Negotiated { protection: protection(1, 2), ..agreed(THEIRS) });
    ours.hear(at(10), THEIRS, &mut pound(1, 100, 7));
    let mut forger = stream(7, Latching::Strict);
    forger.connect(at(0), Negotiated { protection: protection(3, 1), ..agreed(OURS) });
    forger.dial("#".parse().unwrap());
    let mut bytes = Vec::new();
    forger.send(at(20), &mut bytes);
    ours.hear(at(20), THEIRS, &mut bytes);
    assert_eq!(events(&mut ours), []);
    let mut callee = stream(8, Latching::Strict);
    callee.connect(at(0), Negotiated { protection: protection(2, 1), ..agreed(OURS) });
    callee.dial("#".parse().unwrap());
    callee.send(at(40), &mut bytes);
    let mut replayed = bytes.clone();
    ours.hear(at(40), THEIRS, &mut bytes);
    ours.hear(at(900), THEIRS, &mut replayed);
    assert_eq!(keys(&events(&mut ours)), "#");
    assert_eq!(ours.quality().refused, 3);
}

#[test]
fn one_key_by_all_ways_is_one_key() {
    let mut ours = ours(Latching::Strict);
    let key = Digit::POUND;
    let tone: Vec<u8> = (0..1_600).map(|n| Codec::Pcmu.encode(tones::sample(key, n))).collect();
    for (n, part) in (0_u16..).zip(tone.chunks(160)) {
        let now = at(u64::from(n) * 20);
        ours.hear(now, THEIRS, &mut packet(0, n, u32::from(n) * 160, 7, part));
    }
    ours.press(at(250), key);
    ours.hear(at(260), THEIRS, &mut pound(10, 1_600, 7));
    assert_eq!(keys(&events(&mut ours)), "#");
    ours.press(at(2_000), key);
    assert_eq!(keys(&events(&mut ours)), "#");
}

#[test]
fn tones_are_heard_through_loss_but_our_own_echo_is_not() {
    let mut ours = ours(Latching::Strict);
    let tone: Vec<u8> = (0..3_200).map(|n| Codec::Pcma.encode(tones::sample(Digit::POUND, n))).collect();
    let heard = |from: u64, ours: &mut Stream| {
        for (n, part) in (0_u64..).zip(tone.chunks(160)).filter(|(n, _)| n % 7 != 3) {
            let sequence = (from / 20 + n) as u16;
            ours.hear(at(from + n * 20), THEIRS, &mut packet(8, sequence, u32::from(sequence) * 160, 7, part));
        }
        keys(&events(ours))
    };
    assert_eq!(heard(0, &mut ours), "#");
    ours.dial("#".parse().unwrap());
    assert!(ours.send(at(1_000), &mut Vec::new()).is_some());
    assert_eq!(heard(1_020, &mut ours), "", "our own keys may come back");
    assert_eq!(heard(4_000, &mut ours), "#");
}

#[test]
fn silence_is_told_once_and_a_report_ends_it() {
    let mut ours = ours(Latching::Strict);
    let quiet = u64::try_from(QUIET_AFTER.as_millis()).unwrap();
    let mut bytes = Vec::new();
    for now in (0..quiet * 2).step_by(20) {
        ours.send(at(now), &mut bytes);
    }
    assert_eq!(events(&mut ours), [Event::Quiet]);
    let mut peer = stream(2, Latching::Strict);
    peer.connect(at(0), agreed(OURS));
    peer.report(at(10_000), &mut bytes).unwrap();
    ours.hear_report(at(quiet * 2), above(THEIRS), &mut bytes);
    for now in (quiet * 2..quiet * 4).step_by(20) {
        ours.send(at(now), &mut bytes);
    }
    assert_eq!(events(&mut ours), [Event::Quiet]);
    let mut held = stream(3, Latching::Strict);
    held.connect(at(0), Negotiated { direction: Direction::Inactive, ..agreed(THEIRS) });
    for now in (0..quiet * 2).step_by(20) {
        assert_eq!(held.send(at(now), &mut bytes), None);
    }
    assert_eq!(events(&mut held), []);
}

#[test]
fn a_mailbox_gives_itself_away() {
    let mut ours = ours(Latching::Strict);
    let beep = (0..3_200).map(|n| Codec::Pcmu.encode(((n as f32 * 0.8).sin() * 9_000.0) as i16));
    let sound: Vec<u8> = std::iter::repeat_n(g711::ULAW_SILENCE, 1_600).chain(beep).chain([0xFF; 800]).collect();
    for (n, part) in (0_u16..).zip(sound.chunks(160)) {
        ours.hear(at(u64::from(n) * 20), THEIRS, &mut packet(0, n, u32::from(n) * 160, 7, part));
    }
    assert_eq!(events(&mut ours), [Event::Connected, Event::Machine(MachineSign::Beep)]);
}

#[test]
fn a_move_in_mid_call_is_followed_and_the_old_place_is_not_believed() {
    let mut ours = ours(Latching::Strict);
    ours.hear(at(20), THEIRS, &mut pound(1, 100, 7));
    let moved = SocketAddr::from(([198, 51, 100, 3], 6_000));
    ours.connect(at(1_000), agreed(moved));
    ours.hear(at(1_020), THEIRS, &mut pound(2, 9_000, 7));
    assert_eq!(keys(&events(&mut ours)), "#");
    ours.hear(at(1_040), moved, &mut pound(900, 50, 9));
    assert_eq!(keys(&events(&mut ours)), "#");
    assert_eq!(ours.send(at(1_060), &mut Vec::new()), Some(moved));
}
