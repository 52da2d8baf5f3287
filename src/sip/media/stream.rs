//! Owns the media of one call: what is sent and what is heard, protected or not, with the reports that both sides send of
//! it. Packets and times come in, packets and [`Event`]s go out.

use std::{collections::VecDeque, fmt, net::SocketAddr, time::Duration};

use super::{
    BargeIn, Dialling, Event, Latching, PlayEnd, Quality, SAMPLE_RATE_HZ, Sound, Start,
    incoming::Incoming,
    outgoing::Outgoing,
    rtcp,
    rtp::{MAX_PACKET_BYTES, Packet},
    srtp::Srtp,
};
use crate::{
    dtmf::Digit,
    sip::sdp::{Negotiated, Protection},
    time::Timestamp,
};

/// Most events that wait to be taken; what comes beyond is lost, and no call has so many between two slots.
const MAX_EVENTS: usize = 32;
/// Time between two reports of ours (RFC 3550 section 6.2), and the most that chance takes off or adds.
const REPORT_EVERY: Duration = Duration::from_secs(5);
const REPORT_SPREAD_MS: u64 = 2_500;

/// The media of one call.
pub struct Stream {
    outgoing: Outgoing,
    incoming: Incoming,
    events: VecDeque<Event>,
    agreed: Option<Negotiated>,
    srtp: Option<Srtp>,
    reports: Reports,
}

/// What is told to the peer about the line, and what it tells.
struct Reports {
    cname: String,
    next: Timestamp,
    far_lost: Option<u32>,
    /// The last report of the peer: the middle of its time, and when it came.
    last: Option<(u32, Timestamp)>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("events", &self.events.len()).finish_non_exhaustive()
    }
}

impl Stream {
    /// A stream that neither sends nor hears before [`Stream::connect`]. `cname` names us in reports: random, no name of a
    /// machine (RFC 7022).
    #[must_use]
    pub fn new(start: Start, cname: String, latching: Latching) -> Self {
        Self {
            outgoing: Outgoing::new(start),
            incoming: Incoming::new(latching),
            events: VecDeque::new(),
            agreed: None,
            srtp: None,
            reports: Reports { cname, next: Timestamp::from_ms(0), far_lost: None, last: None },
        }
    }

    /// Sends and hears as agreed from now on. Keys of SRTP that did not change go on being used.
    pub fn connect(&mut self, now: Timestamp, agreed: Negotiated) {
        if self.agreed.is_none() {
            self.reports.next = now.plus(REPORT_EVERY / 2);
        }
        let before = self.agreed.as_ref().and_then(|before| before.protection.as_ref());
        match (&agreed.protection, before) {
            (Some(new), Some(old)) if is_same(new, old) => {}
            (new, _) => self.srtp = new.as_ref().map(Srtp::new),
        }
        self.outgoing.connect(&agreed);
        self.incoming.connect(now, &agreed);
        self.agreed = Some(agreed);
    }

    /// Plays these one after another instead of what is playing.
    pub fn play(&mut self, sounds: Vec<Sound>, barge_in: BargeIn, play: u64) {
        self.outgoing.play(sounds, barge_in, play, &mut telling(&mut self.events));
    }

    /// Plays no more.
    pub fn stop_playing(&mut self) {
        self.outgoing.stop(PlayEnd::Stopped, &mut telling(&mut self.events));
    }

    /// Dials keys, before anything else is heard.
    pub fn dial(&mut self, digits: Dialling) {
        self.outgoing.dial(digits);
    }

    /// Takes a key that came by SIP INFO.
    pub fn press(&mut self, now: Timestamp, digit: Digit) {
        let before = self.events.len();
        self.incoming.pressed_by_info(now, digit, &mut telling(&mut self.events));
        self.barge_in(before);
    }

    /// How long a packet lasts.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.agreed.as_ref().map_or(20, |agreed| u64::from(agreed.packet_ms)))
    }

    /// The packet of this slot of time, and where it goes; nothing where nothing is sent.
    pub fn send(&mut self, now: Timestamp, packet: &mut Vec<u8>) -> Option<SocketAddr> {
        self.agreed.as_ref()?;
        if self.outgoing.is_dialling() {
            self.incoming.deafen(now);
        }
        let mut tell = telling(&mut self.events);
        self.incoming.watch(now, &mut tell);
        if !self.outgoing.fill(packet, &mut tell) {
            return None;
        }
        if let Some(srtp) = &mut self.srtp
            && !srtp.protect_rtp(packet)
        {
            return None;
        }
        self.incoming.target().filter(is_place)
    }

    /// So many slots passed in which nothing could be sent.
    pub const fn skip(&mut self, slots: u32) {
        self.outgoing.skip(slots);
    }

    /// Hears a packet that came to the port of RTP. It is changed where it is protected.
    pub fn hear(&mut self, now: Timestamp, from: SocketAddr, bytes: &mut Vec<u8>) {
        if bytes.len() > MAX_PACKET_BYTES || !self.incoming.admits(from, bytes) || !self.open(bytes) {
            return self.incoming.refuse();
        }
        let Some(packet) = Packet::read(bytes) else { return self.incoming.refuse() };
        let before = self.events.len();
        self.incoming.hear(now, from, &packet, &mut telling(&mut self.events));
        self.barge_in(before);
    }

    fn open(&mut self, bytes: &mut Vec<u8>) -> bool {
        self.srtp.as_mut().is_none_or(|srtp| srtp.open_rtp(bytes))
    }

    /// A key among the events since then cuts what may be cut.
    fn barge_in(&mut self, since: usize) {
        if self.events.iter().skip(since).any(|event| matches!(event, Event::Key { .. })) {
            self.outgoing.barge_in(&mut telling(&mut self.events));
        }
    }

    /// Hears a report that came to the port of RTCP.
    pub fn hear_report(&mut self, now: Timestamp, from: SocketAddr, bytes: &mut Vec<u8>) {
        if bytes.len() > MAX_PACKET_BYTES || !self.incoming.admits_rtcp(from) {
            return self.incoming.refuse();
        }
        if self.srtp.as_mut().is_some_and(|srtp| !srtp.open_rtcp(bytes)) {
            return self.incoming.refuse();
        }
        let Some(heard) = rtcp::read(bytes, self.outgoing.ssrc()) else { return self.incoming.refuse() };
        self.incoming.alive(now);
        if let Some(sender) = heard.sender {
            self.reports.last = Some((sender.ntp_middle, now));
        }
        if let Some(about_us) = heard.about_us {
            self.reports.far_lost = Some(at_least_none(about_us.cumulative_lost));
        }
    }

    /// A report of ours, when one is due, and where it goes.
    pub fn report(&mut self, now: Timestamp, packet: &mut Vec<u8>) -> Option<SocketAddr> {
        if self.agreed.is_none() || now < self.reports.next {
            return None;
        }
        // Spread by something that differs from call to call and from report to report.
        let spread = u64::from(self.outgoing.timestamp() ^ self.outgoing.ssrc()) % (2 * REPORT_SPREAD_MS);
        let wait = REPORT_EVERY + Duration::from_millis(spread) - Duration::from_millis(REPORT_SPREAD_MS);
        self.reports.next = now.plus(wait);
        self.compound(now, false, packet)
    }

    /// The last report: a goodbye.
    pub fn goodbye(&mut self, now: Timestamp, packet: &mut Vec<u8>) -> Option<SocketAddr> {
        self.stop_playing();
        self.compound(now, true, packet)
    }

    fn compound(&mut self, now: Timestamp, goodbye: bool, packet: &mut Vec<u8>) -> Option<SocketAddr> {
        let to = self.agreed.as_ref().map(|agreed| agreed.rtcp).filter(is_place)?;
        let (packets, octets) = self.outgoing.sent();
        let ours = rtcp::Sent {
            ssrc: self.outgoing.ssrc(),
            ntp: ntp(now),
            rtp_timestamp: self.outgoing.timestamp(),
            packets,
            octets,
        };
        let last = self.reports.last;
        let heard = self.incoming.reception().map(|(ssrc, reception)| {
            let (last_sr, delay) = last.map_or((0, 0), |(middle, at)| (middle, in_65536ths(now.since(at))));
            reception.block(ssrc, last_sr, delay)
        });
        rtcp::compound(packet, &ours, heard.as_ref(), &self.reports.cname, goodbye);
        match &mut self.srtp {
            Some(srtp) => srtp.protect_rtcp(packet).then_some(to),
            None => Some(to),
        }
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What the line was like so far.
    pub fn quality(&mut self) -> Quality {
        let (sent, _) = self.outgoing.sent();
        let reception = self.incoming.reception().map(|(_, reception)| reception);
        let (received, lost, jitter) =
            reception.map_or((0, 0, 0), |heard| (heard.received(), at_least_none(heard.lost()), heard.jitter()));
        Quality {
            sent,
            received,
            lost,
            jitter_ms: jitter / (SAMPLE_RATE_HZ / 1000),
            far_lost: self.reports.far_lost,
            refused: self.incoming.refused(),
        }
    }
}

fn telling(events: &mut VecDeque<Event>) -> impl FnMut(Event) + '_ {
    |event| {
        if events.len() < MAX_EVENTS {
            events.push_back(event);
        }
    }
}

/// What was doubled on the way counts as less than nothing lost.
fn at_least_none(lost: i32) -> u32 {
    u32::try_from(lost).unwrap_or(0)
}

fn is_same(new: &Protection, old: &Protection) -> bool {
    new.suite == old.suite && new.ours == old.ours && new.theirs == old.theirs
}

/// An address that packets can be sent to: hold may name none.
fn is_place(address: &SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified()
}

/// Seconds since any fixed time, and a fraction of 2^32 (RFC 3550 section 4: no wall clock is needed).
fn ntp(now: Timestamp) -> u64 {
    let ms = now.as_ms();
    ((ms / 1_000) << 32) | (((ms % 1_000) << 32) / 1_000)
}

fn in_65536ths(delay: Duration) -> u32 {
    u32::try_from(delay.as_millis().saturating_mul(65_536) / 1_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
