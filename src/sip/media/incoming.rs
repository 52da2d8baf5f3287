//! Owns what is heard in a call: whose packets count, which keys are pressed in them, and what the sound gives away. It
//! believes one sender from one address and nobody else.

use std::{mem, net::SocketAddr, time::Duration};

use super::{
    Event, HeardBy, Latching, QUIET_AFTER, SAMPLE_RATE_HZ,
    event::Events,
    keys::Presses,
    machine::Listener,
    reception::{self, Reception},
    rtp::Packet,
    tones::Tones,
};
use crate::{
    dtmf::Digit,
    sip::sdp::{Codec, Negotiated},
    time::Timestamp,
};

/// A gap of so many samples ends a key that is heard as tones: 100 ms.
const LONG_GAP: u32 = SAMPLE_RATE_HZ / 10;
/// Timestamps that go back by more than a second begin anew: the sender was replaced behind the same name.
const RESTART: u32 = SAMPLE_RATE_HZ;
/// How long tones are not believed after we dialled: the line may give our own back.
const ECHO: Duration = Duration::from_secs(1);

/// What is heard in a call.
pub(super) struct Incoming {
    latching: Latching,
    from: Option<From>,
    /// The only sender that is believed; of whom the first packet was.
    ssrc: Option<u32>,
    /// Payload types of telephone-events: ours, and the one that the peer calls its own.
    event_types: [u8; 2],
    events: Events,
    presses: Presses,
    tones: Tones,
    listener: Listener,
    /// The timestamp of audio that follows what was heard.
    next: Option<u32>,
    samples: Vec<i16>,
    reception: Option<Reception>,
    refused: u32,
    /// When something valid came; since the start of the call, if nothing did.
    last: Timestamp,
    quiet: bool,
    /// Whether the peer said that it sends; on hold it may not.
    expected: bool,
    deaf_until: Timestamp,
}

/// Where packets come from.
struct From {
    described: SocketAddr,
    /// Something valid came from there, or the port was changed already: no other port any more.
    settled: bool,
    rtp: SocketAddr,
    rtcp: SocketAddr,
}

impl Incoming {
    pub(super) fn new(latching: Latching) -> Self {
        Self {
            latching,
            from: None,
            ssrc: None,
            event_types: [super::super::sdp::EVENTS; 2],
            events: Events::default(),
            presses: Presses::default(),
            tones: Tones::default(),
            listener: Listener::default(),
            next: None,
            samples: Vec::new(),
            reception: None,
            refused: 0,
            last: Timestamp::from_ms(0),
            quiet: false,
            expected: false,
            deaf_until: Timestamp::from_ms(0),
        }
    }

    /// Believes what was agreed on. Media that moves to another address may come from another sender.
    pub(super) fn connect(&mut self, now: Timestamp, agreed: &Negotiated) {
        self.event_types = [agreed.events_in, agreed.events_out.unwrap_or(agreed.events_in)];
        self.last = now;
        self.quiet = false;
        self.expected = agreed.direction.receives();
        if let Some(from) = self.from.as_mut().filter(|from| from.described == agreed.rtp) {
            from.rtcp = agreed.rtcp;
            return;
        }
        self.from = Some(From { described: agreed.rtp, settled: false, rtp: agreed.rtp, rtcp: agreed.rtcp });
        self.ssrc = None;
        self.next = None;
        self.reception = None;
        self.tones.silence();
    }

    /// Where our packets go: where the peer's come from.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        self.from.as_ref().map(|from| from.rtp)
    }

    /// We are dialling: tones are our own.
    pub(super) fn deafen(&mut self, now: Timestamp) {
        self.deaf_until = now.plus(ECHO);
    }

    /// Whether a packet may be looked at further: from the right place, and by its name the right sender.
    pub(super) fn admits(&self, from: SocketAddr, bytes: &[u8]) -> bool {
        let place = self.from.as_ref().is_some_and(|known| {
            from == known.rtp
                || (self.latching == Latching::SameHost && !known.settled && from.ip() == known.described.ip())
        });
        let name = bytes.get(8..12).and_then(|name| name.first_chunk()).map(|name| u32::from_be_bytes(*name));
        place && name.is_some_and(|name| self.ssrc.is_none_or(|ssrc| ssrc == name))
    }

    /// Whether RTCP may come from there.
    pub(super) fn admits_rtcp(&self, from: SocketAddr) -> bool {
        self.from.as_ref().is_some_and(|known| {
            from == known.rtcp || (self.latching == Latching::SameHost && from.ip() == known.rtcp.ip())
        })
    }

    /// Counts a packet that is not believed.
    pub(super) const fn refuse(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    /// A valid report came.
    pub(super) const fn alive(&mut self, now: Timestamp) {
        self.last = now;
        self.quiet = false;
    }

    /// Hears a packet that is admitted and authentic.
    pub(super) fn hear(&mut self, now: Timestamp, from: SocketAddr, packet: &Packet<'_>, tell: &mut impl FnMut(Event)) {
        let codec = Codec::of(packet.payload_type);
        let arrival = in_samples(now);
        match &mut self.reception {
            Some(reception) => match reception.hear(packet.sequence, packet.timestamp, arrival) {
                reception::Heard::Fresh | reception::Heard::Late => {}
                reception::Heard::Duplicate => return,
                reception::Heard::Wild => return self.refuse(),
            },
            None => {
                self.reception = Some(Reception::new(packet.sequence, packet.timestamp, arrival));
                self.ssrc = Some(packet.ssrc);
                tell(Event::Connected);
            }
        }
        if let Some(known) = &mut self.from {
            known.settled = true;
            known.rtp = from;
        }
        self.alive(now);
        if self.event_types.contains(&packet.payload_type) {
            if let Some(digit) = self.events.hear(packet) {
                self.press(now, digit, HeardBy::Event, tell);
            }
        } else if let Some(codec) = codec {
            self.audio(now, codec, packet, tell);
        }
    }

    /// A key came by SIP INFO.
    pub(super) fn pressed_by_info(&mut self, now: Timestamp, digit: Digit, tell: &mut impl FnMut(Event)) {
        self.press(now, digit, HeardBy::SipInfo, tell);
    }

    fn press(&mut self, now: Timestamp, digit: Digit, heard_by: HeardBy, tell: &mut impl FnMut(Event)) {
        if heard_by == HeardBy::Tone && now < self.deaf_until {
            return;
        }
        if self.presses.hear(now, digit, heard_by) {
            tell(Event::Key { digit, heard_by });
        }
    }

    fn audio(&mut self, now: Timestamp, codec: Codec, packet: &Packet<'_>, tell: &mut impl FnMut(Event)) {
        let length = u32::try_from(packet.payload.len()).unwrap_or(0);
        if let Some(next) = self.next {
            let (gap, back) = (packet.timestamp.wrapping_sub(next), next.wrapping_sub(packet.timestamp));
            if gap >= 1 << 31 && back < RESTART {
                // Late: its place in the sound is past.
                return;
            }
            match gap {
                0 => {}
                1..LONG_GAP => self.tones.skip(),
                _ => self.tones.silence(),
            }
            if (1..RESTART * 60).contains(&gap) {
                self.listener.miss(Duration::from_millis(u64::from(gap / (SAMPLE_RATE_HZ / 1000))));
            }
        }
        self.next = Some(packet.timestamp.wrapping_add(length));
        let mut samples = mem::take(&mut self.samples);
        samples.clear();
        samples.extend(packet.payload.iter().map(|sample| codec.decode(*sample)));
        if self.presses.listens_to_tones() {
            let mut key = None;
            self.tones.hear(samples.iter().copied(), |digit| key = Some(digit));
            if let Some(digit) = key {
                self.press(now, digit, HeardBy::Tone, tell);
            }
        }
        if let Some(sign) = self.listener.hear(&samples) {
            tell(Event::Machine(sign));
        }
        self.samples = samples;
    }

    /// Tells, once a silence, that nothing comes any more.
    pub(super) fn watch(&mut self, now: Timestamp, tell: &mut impl FnMut(Event)) {
        if self.expected && !self.quiet && now.since(self.last) >= QUIET_AFTER {
            self.quiet = true;
            tell(Event::Quiet);
        }
    }

    /// The statistics of the sender, and its name, once there is one.
    pub(super) fn reception(&mut self) -> Option<(u32, &mut Reception)> {
        self.ssrc.zip(self.reception.as_mut())
    }

    pub(super) const fn refused(&self) -> u32 {
        self.refused
    }
}

/// Time in units of the media clock; wraps round.
fn in_samples(now: Timestamp) -> u32 {
    let samples = now.as_ms().wrapping_mul(u64::from(SAMPLE_RATE_HZ / 1000));
    u32::try_from(samples & u64::from(u32::MAX)).unwrap_or(0)
}
