//! Owns our descriptions as text: an offer, and an answer to one.

use std::{fmt::Write as _, net::IpAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Codec, CryptoSuite, Direction, EVENTS, Local, Negotiated, PACKET_MS, Protect};

/// What we offer: G.711 in both laws, keys as telephone-events, both ways.
#[must_use]
pub fn offer(local: &Local, protect: Protect) -> Vec<u8> {
    let mut text = head(local);
    let protocol = protocol(protect);
    let _infallible = write!(text, "m=audio {} {protocol} 0 8 {EVENTS}\r\n", local.rtp_port);
    text.push_str("a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n");
    events(&mut text, EVENTS);
    if protect == Protect::Required {
        // One key for both: only one of them is ever used.
        for (tag, suite) in (1..).zip(CryptoSuite::ALL) {
            crypto(&mut text, tag, suite, local);
        }
    }
    tail(&mut text, local, PACKET_MS, Direction::SendRecv);
    text.into_bytes()
}

/// One line of the answer: our audio, or a refusal of something that we do not do.
pub(super) enum Medium<'a> {
    Audio { protocol: &'a str, agreed: &'a Negotiated, tag: u32 },
    Refused { kind: &'a str, protocol: &'a str, format: &'a str },
}

/// The answer that says so.
pub(super) fn answer(local: &Local, media: &[Medium<'_>]) -> Vec<u8> {
    let mut text = head(local);
    for medium in media {
        match medium {
            Medium::Audio { protocol, agreed, tag } => audio(&mut text, local, protocol, agreed, *tag),
            Medium::Refused { kind, protocol, format } => {
                let _infallible = write!(text, "m={kind} 0 {protocol} {format}\r\n");
            }
        }
    }
    text.into_bytes()
}

fn audio(text: &mut String, local: &Local, protocol: &str, agreed: &Negotiated, tag: u32) {
    let (number, name) = match agreed.codec {
        Codec::Pcmu => (0, "PCMU"),
        Codec::Pcma => (8, "PCMA"),
    };
    let _infallible = write!(text, "m=audio {} {protocol} {number}", local.rtp_port);
    if let Some(event) = agreed.events_out {
        let _infallible = write!(text, " {event}");
    }
    let _infallible = write!(text, "\r\na=rtpmap:{number} {name}/8000\r\n");
    if let Some(event) = agreed.events_out {
        events(text, event);
    }
    if let Some(protection) = &agreed.protection {
        crypto(text, tag, protection.suite, local);
    }
    tail(text, local, agreed.packet_ms, agreed.direction);
}

const fn protocol(protect: Protect) -> &'static str {
    match protect {
        Protect::Off => "RTP/AVP",
        Protect::Required => "RTP/SAVP",
    }
}

fn head(local: &Local) -> String {
    let Local { address, session, version, .. } = local;
    let family = match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    };
    format!("v=0\r\no=- {session} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n")
}

/// Keys 0 to 9, `*`, `#`, and those that no telephone has (RFC 4733 section 2.4.1).
fn events(text: &mut String, number: u8) {
    let _infallible = write!(text, "a=rtpmap:{number} telephone-event/8000\r\na=fmtp:{number} 0-15\r\n");
}

fn crypto(text: &mut String, tag: u32, suite: CryptoSuite, local: &Local) {
    let key = BASE64_STANDARD.encode(local.key.expose());
    let _infallible = write!(text, "a=crypto:{tag} {} inline:{key}\r\n", suite.name());
}

fn tail(text: &mut String, local: &Local, packet_ms: u8, direction: Direction) {
    if Some(local.rtcp_port) != local.rtp_port.checked_add(1) {
        let _infallible = write!(text, "a=rtcp:{}\r\n", local.rtcp_port);
    }
    let _infallible = write!(text, "a=ptime:{packet_ms}\r\na={}\r\n", direction.name());
}
