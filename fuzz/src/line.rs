//! Owns the target for media: packets to a call that is connected, from the right place and from others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringproof::{
    secret::Secret,
    sip::{
        media::{Latching, Start, rtcp as report, rtp::Packet, srtp::Srtp, stream::Stream},
        sdp::{self, Local, Negotiated, Protect, Protection},
    },
    time::Timestamp,
};

/// What the peer answered, without keys and with.
const ANSWERS: [(Protect, &[u8]); 2] = [
    (
        Protect::Off,
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0 101\r\n\
          a=rtpmap:101 telephone-event/8000\r\n",
    ),
    (
        Protect::Required,
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 5000 RTP/SAVP 8 101\r\n\
          a=rtpmap:101 telephone-event/8000\r\n\
          a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\r\n",
    ),
];

/// Our side of the media.
pub(crate) fn local() -> Local {
    Local {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        rtp_port: 4000,
        rtcp_port: 4001,
        session: 7,
        version: 1,
        key: Secret::new([2; sdp::KEY_AND_SALT_BYTES]),
    }
}

fn connected(which: u8) -> (Stream, Negotiated) {
    let (protect, answer) = ANSWERS[usize::from(which & 1)];
    let agreed = sdp::agree(answer, &local(), protect).expect("it is a good answer");
    let start = Start { ssrc: 0x0102_0304, sequence: 65_530, timestamp: u32::MAX - 500 };
    let latching = if which & 2 == 0 { Latching::Strict } else { Latching::SameHost };
    let mut stream = Stream::new(start, String::from("cname"), latching);
    stream.connect(Timestamp::from_ms(1_000_000), agreed.clone());
    (stream, agreed)
}

/// Packets: one byte says how the line is; then a length, a byte of what is special, and that many bytes, again and again.
fn packets(bytes: &[u8], reports: bool) {
    let Some((which, mut rest)) = bytes.split_first() else { return };
    let (mut stream, agreed) = connected(*which);
    let theirs = agreed.protection.as_ref();
    let mut far = theirs
        .map(|keys| Srtp::new(&Protection { suite: keys.suite, ours: keys.theirs.clone(), theirs: keys.ours.clone() }));
    let mut now = Timestamp::from_ms(1_000_000);
    let mut events = 0;
    let mut sent = Vec::new();
    while let [length, special, more @ ..] = rest {
        let (packet, after) = more.split_at(usize::from(*length).min(more.len()));
        rest = after;
        let mut packet = packet.to_vec();
        let report = (special & 1 != 0) != reports;
        if special & 2 == 0
            && let Some(far) = &mut far
        {
            let _refused = if report { far.protect_rtcp(&mut packet) } else { far.protect_rtp(&mut packet) };
        }
        let from = if report { agreed.rtcp } else { agreed.rtp };
        let port = if special & 4 == 0 { from.port() } else { u16::from(*length) };
        let host = if special & 8 == 0 { from.ip() } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let from = SocketAddr::new(host, port);
        if report {
            stream.hear_report(now, from, &mut packet);
        } else {
            stream.hear(now, from, &mut packet);
        }
        now = now.plus(std::time::Duration::from_millis(20 + u64::from(special >> 4) * 100));
        let _to = stream.send(now, &mut sent);
        let _to = stream.report(now, &mut sent);
        while stream.next_event().is_some() {
            events += 1;
        }
    }
    assert!(events <= 4 + bytes.len(), "a packet tells of little");
    let _to = stream.goodbye(now, &mut sent);
    assert!(usize::try_from(stream.quality().received).is_ok_and(|received| received <= bytes.len()));
}

/// RTP, telephone-events among them, and now and then a report.
pub fn rtp(bytes: &[u8]) {
    if let Some(packet) = Packet::read(bytes) {
        assert!(packet.payload.len() < bytes.len() && packet.payload_type < 128);
    }
    packets(bytes, false);
}

/// Reports, and now and then RTP.
pub fn rtcp(bytes: &[u8]) {
    let _heard = report::read(bytes, 0x0102_0304);
    packets(bytes, true);
}
