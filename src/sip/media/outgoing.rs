//! Owns what we send in a call: one packet for each slot of time, with prompts, keys or silence in it. It says what the
//! bytes are; when a slot is due is the thread's business.

use std::{collections::VecDeque, mem};

use super::{BargeIn, Dialling, Event, PAUSE, PlayEnd, SAMPLE_RATE_HZ, Sound, Step, event::Tone, rtp::Header, tones};
use crate::{
    dtmf::Digit,
    sip::sdp::{Codec, Negotiated},
};

/// Samples a millisecond.
const PER_MS: u32 = SAMPLE_RATE_HZ / 1000;
/// How long a key of ours is held, in samples: 160 ms, four times what a receiver must accept (ITU-T Q.24).
const KEY_SAMPLES: u32 = 160 * PER_MS;
/// Silence after a key, in samples: 120 ms.
const GAP_SAMPLES: u32 = 120 * PER_MS;
/// How often the last packet of a key is sent (RFC 4733 section 2.5.1.4).
const END_PACKETS: u8 = 3;
/// Most sounds in one play.
const MAX_SOUNDS: usize = 256;

/// Where a stream begins: random, so that nobody guesses it (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Names our stream.
    pub ssrc: u32,
    /// The first sequence number.
    pub sequence: u16,
    /// The first timestamp.
    pub timestamp: u32,
}

/// What we send in a call.
pub(super) struct Outgoing {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// The next packet begins a stretch of sending.
    marker: bool,
    codec: Codec,
    events: Option<u8>,
    /// Samples in a packet.
    samples: u32,
    sends: bool,
    playing: Option<Playing>,
    dialling: Option<Dial>,
    packets: u32,
    octets: u32,
}

struct Playing {
    play: u64,
    barge_in: BargeIn,
    sounds: VecDeque<Sound>,
    /// Samples of the first sound that were sent.
    offset: u32,
    begun: bool,
}

struct Dial {
    steps: Dialling,
    doing: Doing,
}

/// What dialling is at.
#[derive(Clone, Copy)]
enum Doing {
    /// The next step.
    Next,
    /// This key, which began at a timestamp; so many end packets are still to be sent.
    Key { digit: Digit, since: u32, ends: u8 },
    /// Silence for so many samples.
    Silence(u32),
}

impl Outgoing {
    pub(super) const fn new(start: Start) -> Self {
        Self {
            ssrc: start.ssrc,
            sequence: start.sequence,
            timestamp: start.timestamp,
            marker: true,
            codec: Codec::Pcmu,
            events: None,
            samples: 20 * PER_MS,
            sends: false,
            playing: None,
            dialling: None,
            packets: 0,
            octets: 0,
        }
    }

    /// Sends as agreed from now on.
    pub(super) fn connect(&mut self, agreed: &Negotiated) {
        self.codec = agreed.codec;
        self.events = agreed.events_out;
        self.samples = u32::from(agreed.packet_ms) * PER_MS;
        self.sends = agreed.direction.sends();
    }

    pub(super) const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The timestamp of the next packet.
    pub(super) const fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Packets and octets of payload sent; both wrap round (RFC 3550 section 6.4.1).
    pub(super) const fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// Plays this instead of what is playing.
    pub(super) fn play(&mut self, sounds: Vec<Sound>, barge_in: BargeIn, play: u64, tell: &mut impl FnMut(Event)) {
        self.stop(PlayEnd::Stopped, tell);
        let sounds = sounds.into_iter().filter(|sound| sound.samples() > 0).take(MAX_SOUNDS).collect();
        self.playing = Some(Playing { play, barge_in, sounds, offset: 0, begun: false });
    }

    /// Plays no more.
    pub(super) fn stop(&mut self, end: PlayEnd, tell: &mut impl FnMut(Event)) {
        if let Some(Playing { play, .. }) = self.playing.take() {
            tell(Event::Played { play, end });
        }
    }

    /// A key was heard.
    pub(super) fn barge_in(&mut self, tell: &mut impl FnMut(Event)) {
        if self.playing.as_ref().is_some_and(|playing| playing.barge_in == BargeIn::Cuts) {
            self.stop(PlayEnd::BargeIn, tell);
        }
    }

    /// Dials this after what is being dialled.
    pub(super) fn dial(&mut self, steps: Dialling) {
        match &mut self.dialling {
            Some(dial) => dial.steps.append(steps),
            None => self.dialling = Some(Dial { steps, doing: Doing::Next }),
        }
    }

    pub(super) const fn is_dialling(&self) -> bool {
        self.dialling.is_some()
    }

    /// So many slots passed in which nothing could be sent. What was to be heard is heard later.
    pub(super) const fn skip(&mut self, slots: u32) {
        self.timestamp = self.timestamp.wrapping_add(self.samples.wrapping_mul(slots));
        self.marker = true;
    }

    /// The packet of the next slot, written to `packet`; false when nothing is sent in it.
    pub(super) fn fill(&mut self, packet: &mut Vec<u8>, tell: &mut impl FnMut(Event)) -> bool {
        packet.clear();
        if !self.sends {
            self.skip(1);
            return false;
        }
        packet.resize(super::rtp::HEADER_BYTES, 0);
        let (payload_type, timestamp) = self.payload(packet, tell);
        let header = Header {
            marker: mem::take(&mut self.marker),
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        if let Some(place) = packet.first_chunk_mut() {
            *place = header.to_bytes();
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.samples);
        self.packets = self.packets.wrapping_add(1);
        let octets = packet.len().saturating_sub(super::rtp::HEADER_BYTES);
        self.octets = self.octets.wrapping_add(u32::try_from(octets).unwrap_or(0));
        true
    }

    /// What the packet carries, its type and its timestamp.
    fn payload(&mut self, packet: &mut Vec<u8>, tell: &mut impl FnMut(Event)) -> (u8, u32) {
        let audio = (self.codec.payload_type(), self.timestamp);
        match self.dialling.take() {
            Some(dial) => self.dialled(dial, packet, tell).unwrap_or(audio),
            None => {
                self.heard(packet, tell);
                audio
            }
        }
    }

    /// One slot of dialling: a key as an event where the peer takes them, as audio where not, or silence.
    fn dialled(&mut self, mut dial: Dial, packet: &mut Vec<u8>, tell: &mut impl FnMut(Event)) -> Option<(u8, u32)> {
        let now = self.timestamp;
        if matches!(dial.doing, Doing::Next) {
            dial.doing = match dial.steps.next_step() {
                Some(Step::Key(digit)) => {
                    self.marker |= self.events.is_some();
                    Doing::Key { digit, since: now, ends: END_PACKETS }
                }
                Some(Step::Pause) => Doing::Silence(u32::try_from(PAUSE.as_millis()).unwrap_or(0) * PER_MS),
                None => {
                    tell(Event::Dialled);
                    self.heard(packet, tell);
                    return None;
                }
            };
        }
        let sent = match dial.doing {
            Doing::Key { digit, since, ends } => {
                let lasted = now.wrapping_sub(since) + self.samples;
                let over = lasted >= KEY_SAMPLES;
                let (sent, ends) = match self.events {
                    Some(number) => {
                        let duration = u16::try_from(lasted.min(KEY_SAMPLES)).unwrap_or(u16::MAX);
                        let tone = Tone { code: Tone::code_of(digit), end: over, duration };
                        packet.extend_from_slice(&tone.to_bytes());
                        (Some((number, since)), ends - u8::from(over))
                    }
                    None => {
                        let from = now.wrapping_sub(since);
                        packet.extend((from..lasted).map(|n| self.codec.encode(tones::sample(digit, n))));
                        (None, if over { 0 } else { ends })
                    }
                };
                dial.doing = if ends == 0 { Doing::Silence(GAP_SAMPLES) } else { Doing::Key { digit, since, ends } };
                sent
            }
            Doing::Silence(left) => {
                self.silence(packet, self.samples);
                let left = left.saturating_sub(self.samples);
                dial.doing = if left == 0 { Doing::Next } else { Doing::Silence(left) };
                None
            }
            Doing::Next => None,
        };
        self.dialling = Some(dial);
        sent
    }

    /// One slot of what is playing, silence where it ends or nothing plays.
    fn heard(&mut self, packet: &mut Vec<u8>, tell: &mut impl FnMut(Event)) {
        let mut room = self.samples;
        if let Some(playing) = &mut self.playing {
            if !mem::replace(&mut playing.begun, true) {
                tell(Event::Playing { play: playing.play });
            }
            while room > 0 {
                let Some(sound) = playing.sounds.front() else { break };
                let taken = room.min(sound.samples() - playing.offset);
                match sound {
                    Sound::Clip(clip) => {
                        let from = playing.offset as usize;
                        let part = clip.get(from..from + taken as usize).unwrap_or_default();
                        match self.codec {
                            Codec::Pcmu => packet.extend_from_slice(part),
                            Codec::Pcma => packet.extend(part.iter().map(|sample| self.codec.from_ulaw(*sample))),
                        }
                    }
                    Sound::Silence(_) => packet.extend(std::iter::repeat_n(self.codec.silence(), taken as usize)),
                }
                room -= taken;
                playing.offset += taken;
                if playing.offset == sound.samples() {
                    playing.offset = 0;
                    playing.sounds.pop_front();
                }
            }
            if playing.sounds.is_empty() {
                self.stop(PlayEnd::Whole, tell);
            }
        }
        self.silence(packet, room);
    }

    fn silence(&self, packet: &mut Vec<u8>, samples: u32) {
        packet.extend(std::iter::repeat_n(self.codec.silence(), samples as usize));
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use super::{
        super::{event::Events, rtp::Packet},
        *,
    };
    use crate::sip::sdp::Direction;

    fn agreed(codec: Codec, events_out: Option<u8>, packet_ms: u8) -> Negotiated {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 9));
        Negotiated {
            codec,
            events_out,
            events_in: 101,
            packet_ms,
            rtp: anywhere,
            rtcp: anywhere,
            direction: Direction::SendRecv,
            protection: None,
        }
    }

    /// A stream whose numbers wrap at once.
    fn outgoing(agreed: &Negotiated) -> Outgoing {
        let mut outgoing = Outgoing::new(Start { ssrc: 5, sequence: u16::MAX, timestamp: u32::MAX - 100 });
        outgoing.connect(agreed);
        outgoing
    }

    /// Packets of so many slots, and what was told.
    fn slots(outgoing: &mut Outgoing, count: usize) -> (Vec<Vec<u8>>, Vec<Event>) {
        let (mut packets, mut told, mut packet) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            if outgoing.fill(&mut packet, &mut |event| told.push(event)) {
                packets.push(packet.clone());
            }
        }
        (packets, told)
    }

    fn clip(len: usize) -> Sound {
        Sound::Clip((0..len).map(|n| (n % 251) as u8).collect())
    }

    #[test]
    fn what_is_played_is_sent_sample_by_sample() {
        for (codec, ms) in [(Codec::Pcmu, 20), (Codec::Pcma, 30), (Codec::Pcmu, 10)] {
            let mut outgoing = outgoing(&agreed(codec, Some(101), ms));
            let sounds = vec![Sound::Silence(Duration::from_millis(3)), clip(1_000), clip(0), clip(7)];
            outgoing.play(sounds.clone(), BargeIn::Cuts, 9, &mut |_| {});
            let (packets, told) = slots(&mut outgoing, 30);
            assert_eq!(told, [Event::Playing { play: 9 }, Event::Played { play: 9, end: PlayEnd::Whole }]);
            let mut expected: Vec<u8> = vec![codec.silence(); 24];
            for sound in &sounds {
                if let Sound::Clip(clip) = sound {
                    expected.extend(clip.iter().map(|sample| codec.from_ulaw(*sample)));
                }
            }
            let samples = usize::from(ms) * 8;
            expected.resize(30 * samples, codec.silence());
            let mut sent = Vec::new();
            for (n, bytes) in packets.iter().enumerate() {
                let packet = Packet::read(bytes).unwrap();
                assert_eq!(packet.payload.len(), samples);
                assert_eq!((packet.marker, packet.payload_type), (n == 0, codec.payload_type()));
                assert_eq!(packet.sequence, u16::MAX.wrapping_add(n as u16));
                assert_eq!(packet.timestamp, (u32::MAX - 100).wrapping_add((n * samples) as u32));
                sent.extend_from_slice(packet.payload);
            }
            assert_eq!(sent, expected);
            assert_eq!(outgoing.sent(), (30, (30 * samples) as u32));
        }
    }

    #[test]
    fn a_key_cuts_what_may_be_cut() {
        let mut outgoing = outgoing(&agreed(Codec::Pcmu, None, 20));
        let mut told = Vec::new();
        outgoing.play(vec![clip(4_000)], BargeIn::Ignored, 1, &mut |_| {});
        slots(&mut outgoing, 2);
        outgoing.barge_in(&mut |event| told.push(event));
        assert_eq!(told, []);
        outgoing.play(vec![clip(4_000)], BargeIn::Cuts, 2, &mut |event| told.push(event));
        outgoing.barge_in(&mut |event| told.push(event));
        let ends = [(1, PlayEnd::Stopped), (2, PlayEnd::BargeIn)].map(|(play, end)| Event::Played { play, end });
        assert_eq!(told, ends);
        let (packets, _) = slots(&mut outgoing, 1);
        assert!(packets[0][12..].iter().all(|sample| *sample == Codec::Pcmu.silence()));
    }

    #[test]
    fn keys_are_dialled_as_events_and_then_the_prompt_is_heard() {
        let mut outgoing = outgoing(&agreed(Codec::Pcmu, Some(97), 20));
        outgoing.play(vec![clip(160)], BargeIn::Ignored, 1, &mut |_| {});
        outgoing.dial("1,".parse().unwrap());
        outgoing.dial("#".parse().unwrap());
        let (packets, told) = slots(&mut outgoing, 100);
        assert_eq!(told, [Event::Dialled, Event::Playing { play: 1 }, Event::Played { play: 1, end: PlayEnd::Whole }]);
        let mut events = Events::default();
        let read: Vec<_> = packets.iter().map(|packet| Packet::read(packet).unwrap()).collect();
        let keys: String =
            read.iter().filter(|p| p.payload_type == 97).filter_map(|p| events.hear(p)).map(Digit::as_char).collect();
        assert_eq!(keys, "1#");
        for key in
            read.iter().filter(|p| p.payload_type == 97).collect::<Vec<_>>().chunk_by(|a, b| a.timestamp == b.timestamp)
        {
            let tones: Vec<_> = key.iter().map(|p| Tone::read(p.payload).unwrap()).collect();
            assert_eq!(key.iter().map(|p| p.marker).collect::<Vec<_>>()[..2], [true, false]);
            assert_eq!(tones.iter().filter(|tone| tone.end).count(), 3);
            assert_eq!(tones.iter().map(|tone| tone.duration).max(), Some(1_280));
            assert_eq!(key.len(), 10);
        }
        let pause = read.iter().skip_while(|p| p.payload_type != 97).skip_while(|p| p.payload_type == 97);
        assert_eq!(pause.take_while(|p| p.payload_type != 97).count(), 6 + 50);
    }

    #[test]
    fn keys_are_dialled_as_tones_where_the_peer_takes_no_events() {
        let mut outgoing = outgoing(&agreed(Codec::Pcma, None, 20));
        outgoing.dial("12#0*".parse().unwrap());
        let (packets, told) = slots(&mut outgoing, 90);
        assert_eq!(told, [Event::Dialled]);
        let mut tones = tones::Tones::default();
        let mut keys = String::new();
        for packet in &packets {
            tones.hear(packet[12..].iter().map(|s| Codec::Pcma.decode(*s)), |key| keys.push(key.as_char()));
        }
        assert_eq!(keys, "12#0*");
    }

    #[test]
    fn on_hold_nothing_is_sent_and_time_goes_on() {
        let hold = Negotiated { direction: Direction::Inactive, ..agreed(Codec::Pcmu, None, 20) };
        let mut outgoing = outgoing(&hold);
        assert!(slots(&mut outgoing, 5).0.is_empty());
        outgoing.connect(&agreed(Codec::Pcmu, None, 20));
        outgoing.skip(2);
        let (packets, _) = slots(&mut outgoing, 2);
        let read: Vec<_> = packets.iter().map(|packet| Packet::read(packet).unwrap()).collect();
        assert_eq!((read[0].marker, read[1].marker, read[0].sequence), (true, false, u16::MAX));
        assert_eq!(read[0].timestamp, (u32::MAX - 100).wrapping_add(7 * 160));
    }
}
