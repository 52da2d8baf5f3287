//! Owns what is made of the peer's description: an agreement, or why there is none. It is read by a library; what counts
//! here is judged with suspicion, since it says where our media goes and whose keys are believed.

use std::net::{IpAddr, SocketAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sdp_types::{Connection, Media, Session};

use super::{
    Codec, CryptoSuite, Direction, Disagreement, EVENTS, KEY_AND_SALT_BYTES, KeyAndSalt, Local, MAX_BYTES, Negotiated,
    PACKET_MS, Protect, Protection,
    write::{self, Medium},
};
use crate::secret::Secret;

/// Most media lines that are looked at; a telephone has one, a video telephone two or three.
const MAX_MEDIA: usize = 16;
/// Least and most audio in a packet that we make, in milliseconds.
const PACKET_MS_RANGE: std::ops::RangeInclusive<u32> = 10..=60;

/// What the peer's answer to our offer makes of it.
///
/// # Errors
/// Why there is no media.
pub fn agree(answer: &[u8], local: &Local, protect: Protect) -> Result<Negotiated, Disagreement> {
    let session = parse(answer)?;
    let media = session.medias.iter().find(|media| media.media == "audio").ok_or(Disagreement::NoAudio)?;
    judge(&session, media, local, protect, EVENTS).map(|(agreed, _)| agreed)
}

/// Our answer to an offer of the peer, and what it makes.
///
/// # Errors
/// Why it has to be refused (488).
pub fn answer(offer: &[u8], local: &Local, protect: Protect) -> Result<(Vec<u8>, Negotiated), Disagreement> {
    let session = parse(offer)?;
    let mut why = Disagreement::NoAudio;
    let mut chosen = None;
    for (place, media) in session.medias.iter().enumerate().filter(|(_, media)| media.media == "audio") {
        // Whoever answers uses the numbers of the offer (RFC 3264 section 6.1).
        let events_in = events(media).unwrap_or(EVENTS);
        match judge(&session, media, local, protect, events_in) {
            Ok((agreed, tag)) => {
                chosen = Some((place, agreed, tag));
                break;
            }
            Err(fault) => why = fault,
        }
    }
    let (place, agreed, tag) = chosen.ok_or(why)?;
    let lines = session.medias.iter().enumerate().map(|(at, media)| {
        if at == place {
            Medium::Audio { protocol: &media.proto, agreed: &agreed, tag }
        } else {
            Medium::Refused { kind: &media.media, protocol: &media.proto, format: &media.fmt }
        }
    });
    let text = write::answer(local, &lines.collect::<Vec<_>>());
    Ok((text, agreed))
}

fn parse(text: &[u8]) -> Result<Session, Disagreement> {
    if text.len() > MAX_BYTES {
        return Err(Disagreement::Unreadable);
    }
    let session = Session::parse(text).map_err(|_| Disagreement::Unreadable)?;
    // Lines that we refuse are given back in our answer.
    let printable = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let sound = |media: &Media| printable(&media.media) && printable(&media.proto) && printable(&media.fmt);
    let readable = session.medias.len() <= MAX_MEDIA && session.medias.iter().all(sound);
    if readable { Ok(session) } else { Err(Disagreement::Unreadable) }
}

/// What one audio line makes, and the tag of the key that was chosen.
fn judge(
    session: &Session,
    media: &Media,
    local: &Local,
    protect: Protect,
    events_in: u8,
) -> Result<(Negotiated, u32), Disagreement> {
    if media.port == 0 {
        return Err(Disagreement::NoAudio);
    }
    let plain = match media.proto.to_ascii_uppercase().as_str() {
        "RTP/AVP" | "RTP/AVPF" => true,
        "RTP/SAVP" | "RTP/SAVPF" => false,
        _ => return Err(Disagreement::Protocol),
    };
    let (protection, tag) = match (protect, plain) {
        (Protect::Off, true) => (None, 0),
        (Protect::Required, false) => {
            let (tag, suite, theirs) = key(media).ok_or(Disagreement::NoKey)?;
            (Some(Protection { suite, ours: local.key.clone(), theirs }), tag)
        }
        (Protect::Off, false) | (Protect::Required, true) => return Err(Disagreement::Protocol),
    };
    let codec = formats(media).find_map(|number| Codec::of(number).filter(|codec| is_really(media, *codec)));
    let codec = codec.ok_or(Disagreement::NoCodec)?;
    let host = host(session, media)?;
    let agreed = Negotiated {
        codec,
        events_out: events(media),
        events_in,
        packet_ms: packet_ms(media),
        rtp: SocketAddr::new(host, media.port),
        rtcp: rtcp(media, host),
        direction: direction(session, media, host),
        protection,
    };
    Ok((agreed, tag))
}

/// Payload types in the peer's order; the first that we know is what it likes best.
fn formats(media: &Media) -> impl Iterator<Item = u8> {
    media.fmt.split_ascii_whitespace().filter_map(|number| number.parse().ok())
}

/// `0` and `8` are what the table says (RFC 3551), unless the peer says otherwise.
fn is_really(media: &Media, codec: Codec) -> bool {
    let name = match codec {
        Codec::Pcmu => "PCMU",
        Codec::Pcma => "PCMA",
    };
    mapped(media).find(|(number, _)| *number == codec.payload_type()).is_none_or(|(_, coding)| is(coding, name))
}

/// The number of telephone-events at our clock, if the peer has them.
fn events(media: &Media) -> Option<u8> {
    let named = mapped(media).filter(|(_, coding)| is(coding, "telephone-event")).map(|(number, _)| number);
    let dynamic = |number: &u8| (96..=127).contains(number);
    named.filter(dynamic).find(|number| formats(media).any(|format| format == *number))
}

/// `a=rtpmap` lines: number and coding.
fn mapped(media: &Media) -> impl Iterator<Item = (u8, &str)> {
    values(media, "rtpmap").filter_map(|value| {
        let (number, coding) = value.trim().split_once(char::is_whitespace)?;
        Some((number.parse().ok()?, coding.trim()))
    })
}

/// Whether `PCMU/8000` is this coding at 8 kHz.
fn is(coding: &str, name: &str) -> bool {
    let mut parts = coding.split('/');
    parts.next().is_some_and(|part| part.eq_ignore_ascii_case(name)) && parts.next() == Some("8000")
}

fn values<'a>(media: &'a Media, name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = media.attributes.iter().filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name));
    named.filter_map(|attribute| attribute.value.as_deref())
}

/// The one host that media goes to. `0.0.0.0` is the old way to say hold (RFC 3264 section 8.4).
fn host(session: &Session, media: &Media) -> Result<IpAddr, Disagreement> {
    let connection = media.connections.first().or(session.connection.as_ref()).ok_or(Disagreement::Address)?;
    let host = numeric(connection).ok_or(Disagreement::Address)?;
    let broadcast = matches!(host, IpAddr::V4(v4) if v4.is_broadcast());
    if host.is_multicast() || broadcast { Err(Disagreement::Address) } else { Ok(host) }
}

/// What stands behind a `/` is for many receivers; a plain address has none.
fn numeric(connection: &Connection) -> Option<IpAddr> {
    connection.connection_address.trim().parse().ok()
}

/// `a=rtcp:53020 IN IP4 126.16.64.4` (RFC 3605); otherwise the port above.
fn rtcp(media: &Media, host: IpAddr) -> SocketAddr {
    let given = values(media, "rtcp").find_map(|value| {
        let mut parts = value.split_ascii_whitespace();
        let port = parts.next()?.parse().ok().filter(|port| *port != 0)?;
        let elsewhere = parts.nth(2).and_then(|host| host.parse().ok());
        Some(SocketAddr::new(elsewhere.unwrap_or(host), port))
    });
    given.unwrap_or_else(|| SocketAddr::new(host, media.port.saturating_add(1)))
}

/// How much audio the peer wants in a packet: whole tens of milliseconds, 20 where it wants something else.
fn packet_ms(media: &Media) -> u8 {
    let number = |name| values(media, name).find_map(|value| value.trim().parse::<u32>().ok());
    let wanted = number("ptime").filter(|ms| PACKET_MS_RANGE.contains(ms) && ms % 10 == 0);
    let most = number("maxptime").filter(|ms| PACKET_MS_RANGE.contains(ms)).map_or(u32::MAX, |ms| ms - ms % 10);
    u8::try_from(wanted.unwrap_or_else(|| u32::from(PACKET_MS)).min(most)).unwrap_or(PACKET_MS)
}

/// Who sends, seen from us.
fn direction(session: &Session, media: &Media, host: IpAddr) -> Direction {
    let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    let names = media.attributes.iter().chain(&session.attributes).map(|attribute| attribute.attribute.as_str());
    let theirs = names.filter_map(|name| all.into_iter().find(|one| one.name().eq_ignore_ascii_case(name))).next();
    let ours = theirs.unwrap_or(Direction::SendRecv).mirrored();
    match (ours, host.is_unspecified()) {
        (Direction::SendRecv, true) => Direction::RecvOnly,
        (Direction::SendOnly, true) => Direction::Inactive,
        (ours, _) => ours,
    }
}

/// The first key that we can use: its tag, suite and value.
fn key(media: &Media) -> Option<(u32, CryptoSuite, KeyAndSalt)> {
    values(media, "crypto").find_map(|value| {
        let mut parts = value.split_ascii_whitespace();
        let tag = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let suite = CryptoSuite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))?;
        let theirs = inline(parts.next()?)?;
        // Anything that weakens or changes the protection is refused (RFC 4568 section 6.3); the rest is of no matter.
        let harmless = |parameter: &str| parameter == "KDR=0" || parameter.starts_with("WSH=");
        parts.all(harmless).then_some((tag, suite, theirs))
    })
}

/// `inline:` key and salt in base64, perhaps a lifetime (longer than any call). With a key identifier (MKI) packets would
/// be longer: no.
fn inline(parameter: &str) -> Option<KeyAndSalt> {
    let (method, value) = parameter.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") || value.contains(';') {
        return None;
    }
    let mut parts = value.split('|');
    let bytes = BASE64_STANDARD.decode(parts.next()?).ok()?;
    let key: [u8; KEY_AND_SALT_BYTES] = bytes.try_into().ok()?;
    parts.all(|part| !part.contains(':')).then(|| Secret::new(key))
}
