//! Owns the statistics of one stream that is heard (RFC 3550 appendices A.1, A.3, A.8): what is fresh, late, doubled or
//! wild, how much was lost, and the jitter. It reads no packets and knows no clock: times of arrival are handed in.

use super::rtcp::ReceptionBlock;

/// How far a sequence number may be ahead, in packets; what is farther is wild (appendix A.1).
const MAX_DROPOUT: u16 = 3_000;
/// How far a sequence number may be behind, in packets; what is farther is wild (appendix A.1).
const MAX_MISORDER: u16 = 100;
/// Transit times that differ by more than this, in units of the timestamp (4 s), are a clock that was set anew, no jitter.
const MAX_JITTER: u32 = 32_000;

/// What a packet is to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// After all others.
    Fresh,
    /// Not there yet, and overtaken by another.
    Late,
    /// There already.
    Duplicate,
    /// Far from all others: not counted. Two in a row are a sender that began anew; the second of them is fresh.
    Wild,
}

/// What was heard of one stream. The first packet counts, without probation.
#[derive(Debug, Clone)]
pub struct Reception {
    /// The extended sequence number that this run began with.
    base: u32,
    /// The highest extended sequence number of this run.
    highest: u32,
    /// Which of the last packets were there: bit n stands for `highest - n`.
    seen: u128,
    /// The sequence number after a wild one: should it come next, the sender began anew.
    after_wild: Option<u16>,
    received: u32,
    /// Packets expected in runs that are over.
    expected_before: u32,
    /// What was expected and received at the last report.
    reported: (u32, u32),
    timestamp: u32,
    /// Arrival minus timestamp, as of the last packet.
    transit: u32,
    /// Sixteen times the jitter.
    jitter: u32,
}

impl Reception {
    /// Hears the first packet. `arrival` is the time when it came, in units of the timestamp, from any beginning.
    #[must_use]
    pub fn new(sequence: u16, timestamp: u32, arrival: u32) -> Self {
        Self {
            base: u32::from(sequence),
            highest: u32::from(sequence),
            seen: 1,
            after_wild: None,
            received: 1,
            expected_before: 0,
            reported: (0, 0),
            timestamp,
            transit: arrival.wrapping_sub(timestamp),
            jitter: 0,
        }
    }

    /// Hears the next packet.
    pub fn hear(&mut self, sequence: u16, timestamp: u32, arrival: u32) -> Heard {
        let heard = self.place(sequence);
        match heard {
            Heard::Fresh | Heard::Late => {
                self.received = self.received.saturating_add(1);
                self.measure(timestamp, arrival);
            }
            // Section 6.4.1: what is received includes what is doubled.
            Heard::Duplicate => self.received = self.received.saturating_add(1),
            Heard::Wild => {}
        }
        heard
    }

    fn place(&mut self, sequence: u16) -> Heard {
        let [.., s0, s1] = self.highest.to_be_bytes();
        let highest = u16::from_be_bytes([s0, s1]);
        let (ahead, behind) = (sequence.wrapping_sub(highest), highest.wrapping_sub(sequence));
        if behind <= MAX_MISORDER {
            self.after_wild = None;
            let known = (self.seen >> behind) & 1 == 1;
            self.seen |= 1 << behind;
            return if known { Heard::Duplicate } else { Heard::Late };
        }
        if ahead < MAX_DROPOUT {
            self.after_wild = None;
            self.highest = self.highest.wrapping_add(u32::from(ahead));
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or_default() | 1;
            return Heard::Fresh;
        }
        if self.after_wild != Some(sequence) {
            self.after_wild = Some(sequence.wrapping_add(1));
            return Heard::Wild;
        }
        self.after_wild = None;
        self.expected_before = self.expected();
        (self.base, self.highest, self.seen) = (u32::from(sequence), u32::from(sequence), 1);
        Heard::Fresh
    }

    /// Appendix A.8. Packets with one timestamp, as those of a key, are sent at different times and tell nothing.
    fn measure(&mut self, timestamp: u32, arrival: u32) {
        if timestamp == self.timestamp {
            return;
        }
        let transit = arrival.wrapping_sub(timestamp);
        let change = transit.wrapping_sub(self.transit).cast_signed().unsigned_abs();
        (self.timestamp, self.transit) = (timestamp, transit);
        if change <= MAX_JITTER {
            self.jitter = self.jitter + change - ((self.jitter + 8) >> 4);
        }
    }

    /// Packets received, late and doubled ones too.
    #[must_use]
    pub const fn received(&self) -> u32 {
        self.received
    }

    /// Packets that should have come.
    #[must_use]
    pub const fn expected(&self) -> u32 {
        self.expected_before.saturating_add(self.highest.wrapping_sub(self.base).saturating_add(1))
    }

    /// Packets that should have come and did not; below zero where packets were doubled (section 6.4.1).
    #[must_use]
    pub fn lost(&self) -> i32 {
        let lost = i64::from(self.expected()) - i64::from(self.received);
        i32::try_from(lost).unwrap_or(if lost < 0 { i32::MIN } else { i32::MAX })
    }

    /// The highest sequence number, with the number of times that it wrapped in its upper half.
    #[must_use]
    pub const fn highest_sequence(&self) -> u32 {
        self.highest
    }

    /// How unevenly packets come, in units of the timestamp.
    #[must_use]
    pub const fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// What a report says of this stream, and the beginning of the time that the next one is about. `last_sr` and
    /// `delay_since_last_sr` as in [`ReceptionBlock`].
    pub fn block(&mut self, ssrc: u32, last_sr: u32, delay_since_last_sr: u32) -> ReceptionBlock {
        let (expected, received) = (self.expected(), self.received);
        let expected_now = expected.saturating_sub(self.reported.0);
        let lost_now = expected_now.saturating_sub(received.saturating_sub(self.reported.1));
        self.reported = (expected, received);
        let fraction = u64::from(lost_now) * 256 / u64::from(expected_now.max(1));
        ReceptionBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: self.lost(),
            highest_sequence: self.highest,
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACKET: u32 = 160;

    /// Hears packets that come evenly, each with its sequence number, and says what each was.
    fn hear(sequences: &[u16]) -> (Reception, Vec<Heard>) {
        let mut reception = Reception::new(sequences[0], 0, 77);
        let heard =
            sequences[1..].iter().zip(1..).map(|(sequence, n)| reception.hear(*sequence, n * PACKET, 77 + n * PACKET));
        let heard = heard.collect();
        (reception, heard)
    }

    #[test]
    fn order_gaps_and_doubles_are_told_apart() {
        let (mut reception, heard) = hear(&[10, 11, 13, 12, 12, 13, 16, 16]);
        use Heard::{Duplicate, Fresh, Late};
        assert_eq!(heard, [Fresh, Fresh, Late, Duplicate, Duplicate, Fresh, Duplicate]);
        assert_eq!((reception.expected(), reception.received(), reception.lost()), (7, 8, -1));
        assert_eq!(reception.block(1, 0, 0).fraction_lost, 0);
    }

    #[test]
    fn a_wrap_is_counted_also_when_packets_cross_it_out_of_order() {
        let (reception, heard) = hear(&[65_534, 0, 65_535, 2, 1]);
        assert_eq!(heard, [Heard::Fresh, Heard::Late, Heard::Fresh, Heard::Late]);
        assert_eq!((reception.highest_sequence(), reception.lost()), (65_536 + 2, 0));
        let all: Vec<u16> = (0..200_000_u32).map(|n| (n + 9) as u16).collect();
        let (reception, _) = hear(&all);
        assert_eq!((reception.highest_sequence(), reception.expected(), reception.lost()), (200_008, 200_000, 0));
    }

    #[test]
    fn one_wild_packet_is_nothing_and_two_in_a_row_are_a_new_beginning() {
        let (mut reception, heard) = hear(&[10, 40_000, 11, 40_001, 40_003, 12, 50_000, 50_001, 50_002]);
        use Heard::{Fresh, Wild};
        assert_eq!(heard, [Wild, Fresh, Wild, Wild, Fresh, Wild, Fresh, Fresh]);
        assert_eq!((reception.highest_sequence(), reception.expected(), reception.received()), (50_002, 5, 5));
        assert_eq!(reception.hear(12, 0, 0), Wild);
        assert_eq!(reception.block(7, 1, 2).cumulative_lost, 0);
    }

    #[test]
    fn the_limits_are_those_of_the_rfc() {
        assert_eq!(hear(&[0, 2_999]).1, [Heard::Fresh]);
        assert_eq!(hear(&[0, 3_000]).1, [Heard::Wild]);
        assert_eq!(hear(&[500, 400]).1, [Heard::Late]);
        assert_eq!(hear(&[500, 399]).1, [Heard::Wild]);
    }

    #[test]
    fn a_fraction_is_that_since_the_last_report() {
        let (mut reception, _) = hear(&[1, 2, 3, 8]);
        let block = reception.block(9, 3, 4);
        assert_eq!((block.ssrc, block.last_sr, block.delay_since_last_sr), (9, 3, 4));
        assert_eq!((block.fraction_lost, block.cumulative_lost, block.highest_sequence), (128, 4, 8));
        for n in 9..=12 {
            reception.hear(n, 0, 0);
        }
        let block = reception.block(9, 0, 0);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 4));
        let block = reception.block(9, 0, 0);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 4));
        reception.hear(1_012, 0, 0);
        assert_eq!(reception.block(9, 0, 0).fraction_lost, 255);
    }

    #[test]
    fn jitter_settles_at_what_it_is() {
        let mut even = Reception::new(0, u32::MAX - 500, u32::MAX - 3);
        let mut uneven = even.clone();
        for n in 1..500_u32 {
            let (timestamp, arrival) =
                ((u32::MAX - 500).wrapping_add(n * PACKET), (u32::MAX - 3).wrapping_add(n * PACKET));
            even.hear(n as u16, timestamp, arrival);
            uneven.hear(n as u16, timestamp, arrival.wrapping_add((n % 2) * 40));
        }
        assert_eq!(even.jitter(), 0);
        assert!((38..=40).contains(&uneven.jitter()), "{}", uneven.jitter());
    }

    #[test]
    fn keys_and_a_clock_set_anew_are_no_jitter() {
        let mut reception = Reception::new(0, 0, 0);
        for n in 1..10_u16 {
            reception.hear(n, 160, u32::from(n) * PACKET);
        }
        assert_eq!(reception.jitter(), 0);
        reception.hear(10, 1 << 30, 10 * PACKET);
        reception.hear(11, (1 << 30) + PACKET, 11 * PACKET);
        assert_eq!(reception.jitter(), 0);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(packets in proptest::collection::vec(any::<(u16, u32, u32)>(), 1..200)) {
            let mut reception = Reception::new(packets[0].0, packets[0].1, packets[0].2);
            for (sequence, timestamp, arrival) in packets {
                reception.hear(sequence, timestamp, arrival);
                let _ = reception.block(1, 2, 3);
                prop_assert!(reception.jitter() <= MAX_JITTER);
            }
        }

        /// Whatever is lost, and in whatever order the rest comes within some places: lost is what did not come.
        #[test]
        fn what_is_lost_is_what_did_not_come(
            start in any::<u16>(),
            fate in proptest::collection::vec((any::<bool>(), 0_usize..30), 300),
        ) {
            let mut arrived: Vec<(usize, u16)> = Vec::new();
            for (at, (comes, late)) in fate.iter().enumerate() {
                // The first and the last come, and in their place.
                let edge = at == 0 || at + 1 == fate.len();
                if *comes || edge {
                    arrived.push((if edge { at * 2 } else { at + late }, start.wrapping_add(at as u16)));
                }
            }
            arrived.sort_by_key(|(at, _)| *at);
            let sequences: Vec<u16> = arrived.iter().map(|(_, sequence)| *sequence).collect();
            let (reception, heard) = hear(&sequences);
            prop_assert!(heard.iter().all(|heard| matches!(heard, Heard::Fresh | Heard::Late)));
            prop_assert_eq!(reception.expected(), 300);
            prop_assert_eq!(reception.lost(), 300 - arrived.len() as i32);
        }
    }
}
