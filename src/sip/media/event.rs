//! Owns telephone-events in RTP (RFC 4733): what a packet says, and how many keys were pressed however many of its
//! packets were lost, repeated or came out of order.

use std::collections::VecDeque;

use super::rtp::Packet;
use crate::dtmf::Digit;

/// Most presses that are remembered, so that late packets of one are known as such.
const MAX_REMEMBERED: usize = 16;
/// The duration field of an event that is held ends here; a sender goes on with a new segment (section 2.5.1.3).
const MAX_SEGMENT: u32 = 0xFFFF;
/// A segment may be cut this much earlier than at its longest, since packets have a length: half a second.
const SEGMENT_SLACK: u32 = 4_000;

/// What a packet of an event says (section 2.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    /// Which event: 0–9, 10 for `*`, 11 for `#`, others are no keys here.
    pub code: u8,
    /// The event is over.
    pub end: bool,
    /// How long it lasts so far, in units of the timestamp.
    pub duration: u16,
}

/// Power that we claim for our keys, in dBm0 without its sign.
const VOLUME: u8 = 10;

impl Tone {
    /// Reads a payload; what is after the first event (RFC 2198 is not offered) is left alone.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let ([code, flags, d0, d1], _) = payload.split_first_chunk::<4>()?;
        Some(Self { code: *code, end: flags & 0x80 != 0, duration: u16::from_be_bytes([*d0, *d1]) })
    }

    /// The payload.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.code, ((self.end as u8) << 7) | VOLUME, d0, d1]
    }

    /// The code of a key (section 3.2, table 3).
    #[must_use]
    pub const fn code_of(digit: Digit) -> u8 {
        match digit.as_char() {
            '*' => 10,
            '#' => 11,
            figure => figure as u8 - b'0',
        }
    }

    fn digit(self) -> Option<Digit> {
        match self.code {
            0..=9 => Digit::from_char(char::from(b'0' + self.code)),
            10 => Some(Digit::STAR),
            11 => Some(Digit::POUND),
            _ => None,
        }
    }
}

/// Tells keys from packets: one press for each stream and timestamp.
#[derive(Default)]
pub struct Events {
    seen: VecDeque<Seen>,
}

struct Seen {
    ssrc: u32,
    timestamp: u32,
    tone: Tone,
}

impl Events {
    /// Hears a packet; the key, when it is the first packet of a press that was heard of. A press counts at once: the
    /// packets that end it may all be lost.
    pub fn hear(&mut self, packet: &Packet<'_>) -> Option<Digit> {
        let tone = Tone::read(packet.payload)?;
        let known = self.seen.iter_mut().find(|seen| seen.ssrc == packet.ssrc && seen.timestamp == packet.timestamp);
        if let Some(seen) = known {
            seen.tone.end |= tone.end;
            seen.tone.duration = seen.tone.duration.max(tone.duration);
            return None;
        }
        let held = !packet.marker && self.seen.iter().any(|seen| seen.goes_on_as(packet, tone));
        if self.seen.len() >= MAX_REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { ssrc: packet.ssrc, timestamp: packet.timestamp, tone });
        tone.digit().filter(|_| !held)
    }
}

impl Seen {
    /// Whether a packet with a timestamp not seen yet is the next segment of this press, which is still held (section
    /// 2.5.1.3): it begins where the longest duration ends.
    fn goes_on_as(&self, packet: &Packet<'_>, tone: Tone) -> bool {
        let later = packet.timestamp.wrapping_sub(self.timestamp);
        self.ssrc == packet.ssrc
            && self.tone.code == tone.code
            && !self.tone.end
            && (MAX_SEGMENT - SEGMENT_SLACK..=MAX_SEGMENT + 1).contains(&later)
            && u32::from(self.tone.duration) + 2 * SEGMENT_SLACK >= later
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::media::rtp::Header;

    /// The packets of one key as a sender makes them (section 2.5.1.2): the last three times.
    pub(in crate::sip::media) fn press(sequence: u16, timestamp: u32, code: u8, packets: u16) -> Vec<Vec<u8>> {
        let total = packets + 2;
        let packet = |n: u16| {
            let (end, duration) = (n + 1 >= packets, 160 * (n + 1).min(packets));
            let header =
                Header { marker: n == 0, payload_type: 101, sequence: sequence.wrapping_add(n), timestamp, ssrc: 7 };
            [&header.to_bytes()[..], &Tone { code, end, duration }.to_bytes()].concat()
        };
        (0..total).map(packet).collect()
    }

    fn heard(packets: &[Vec<u8>]) -> String {
        let mut events = Events::default();
        packets.iter().filter_map(|bytes| events.hear(&Packet::read(bytes).unwrap())).map(Digit::as_char).collect()
    }

    #[test]
    fn two_presses_of_one_key_are_two() {
        let packets = [press(0, 1_000, 11, 6), press(8, 3_000, 11, 6), press(16, 5_000, 10, 6)].concat();
        assert_eq!(heard(&packets), "##*");
    }

    #[test]
    fn other_events_are_no_keys() {
        assert_eq!(heard(&[press(0, 1_000, 16, 6), press(9, 9_000, 12, 6), press(20, 20_000, 200, 6)].concat()), "");
        assert_eq!(Events::default().hear(&Packet::read(&press(0, 0, 1, 1)[0][..15]).unwrap()), None);
    }

    #[test]
    fn a_key_held_for_half_a_minute_is_one_press() {
        let mut packets = Vec::new();
        for segment in 0..4_u32 {
            for n in 1..=409_u32 {
                let header = Header {
                    marker: segment == 0 && n == 1,
                    payload_type: 101,
                    sequence: (segment * 409 + n) as u16,
                    timestamp: (u32::MAX - 100_000).wrapping_add(segment * MAX_SEGMENT),
                    ssrc: 7,
                };
                let duration = if n == 409 { 0xFFFF } else { (n * 160) as u16 };
                packets.push([&header.to_bytes()[..], &Tone { code: 5, end: false, duration }.to_bytes()].concat());
            }
        }
        assert_eq!(heard(&packets), "5");
        let lossy: Vec<_> = packets.iter().step_by(7).cloned().collect();
        assert_eq!(heard(&lossy), "5");
    }

    #[test]
    fn a_press_eight_seconds_after_a_short_one_is_another() {
        let mut first = press(0, 0, 5, 4);
        first.truncate(2);
        let mut second = press(400, MAX_SEGMENT - 100, 5, 4);
        second.remove(0);
        assert_eq!(heard(&[first, second].concat()), "55");
    }

    proptest! {
        /// However packets are lost, doubled and mixed up within a few places: one press for each key of which at least
        /// one packet came.
        #[test]
        fn each_key_is_one_press(
            keys in proptest::collection::vec((0_u8..12, 1_u16..12), 1..8),
            start in any::<u32>(),
            fate in proptest::collection::vec((0_u8..3, 0_usize..12), 150),
        ) {
            let mut sent = Vec::new();
            let (mut sequence, mut timestamp) = (0, start);
            for (n, (code, packets)) in keys.iter().enumerate() {
                sent.extend(press(sequence, timestamp, *code, *packets).into_iter().map(|packet| (n, packet)));
                sequence += packets + 10;
                timestamp = timestamp.wrapping_add(u32::from(packets + 3) * 160);
            }
            let mut arrived: Vec<(usize, (usize, Vec<u8>))> = Vec::new();
            for (at, packet) in sent.iter().enumerate() {
                let (copies, late) = fate[at];
                arrived.extend(std::iter::repeat_n((at + late, packet.clone()), usize::from(copies)));
            }
            arrived.sort_by_key(|(at, _)| *at);
            let mut expected: Vec<u8> = Vec::new();
            let mut came: Vec<usize> = Vec::new();
            for (_, (key, _)) in &arrived {
                if !came.contains(key) {
                    came.push(*key);
                    expected.push(keys[*key].0);
                }
            }
            let packets: Vec<_> = arrived.into_iter().map(|(_, (_, packet))| packet).collect();
            let codes: Vec<u8> = heard(&packets).chars().map(|c| Tone::code_of(Digit::from_char(c).unwrap())).collect();
            prop_assert_eq!(codes, expected);
        }
    }
}
