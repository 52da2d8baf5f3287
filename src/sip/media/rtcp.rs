//! Owns reports about RTP streams as bytes (RTCP, RFC 3550 section 6): building ours, reading the peer's. It counts
//! nothing and decides nothing: when reports are sent, and what follows from one, is known where streams are.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rtcp_types::{
    Bye, Compound, ReceiverReport, ReportBlock, ReportBlockBuilder, RtcpPacketParser as _, RtcpPacketWriter as _,
    RtcpPacketWriterExt as _, Sdes, SdesChunk, SdesItem, SenderReport,
};

use super::rtp;

/// Random bytes of a canonical name (RFC 7022 section 4.2).
pub const CNAME_RANDOM_BYTES: usize = 12;

/// Our stream as it is sent, for a sender report (section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Our stream.
    pub ssrc: u32,
    /// Now: seconds since 1900 in the upper half, their fraction in the lower.
    pub ntp: u64,
    /// The same time in units of our timestamps.
    pub rtp_timestamp: u32,
    /// RTP packets sent so far.
    pub packets: u32,
    /// Bytes of payload sent so far, without headers.
    pub octets: u32,
}

/// What we heard of a stream, or the peer of ours (section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceptionBlock {
    /// The stream that it is about.
    pub ssrc: u32,
    /// Packets lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost in all; below zero where packets were doubled. Sent with 24 bits: what is more is cut there.
    pub cumulative_lost: i32,
    /// The highest sequence number, with the number of its wraps in the upper half.
    pub highest_sequence: u32,
    /// Interarrival jitter, in units of the timestamp.
    pub jitter: u32,
    /// [`middle`] of the time in the last sender report of that stream; 0 when none came.
    pub last_sr: u32,
    /// How long ago that report came, in 65,536ths of a second; 0 when none came.
    pub delay_since_last_sr: u32,
}

/// The middle of a time in a sender report: 16 bits of seconds, 16 of their fraction.
#[must_use]
pub const fn middle(ntp: u64) -> u32 {
    let [_, _, n2, n3, n4, n5, _, _] = ntp.to_be_bytes();
    u32::from_be_bytes([n2, n3, n4, n5])
}

/// A name of our side that tells nothing of the machine, for one call (RFC 7022 section 4.2).
#[must_use]
pub fn canonical_name(random: [u8; CNAME_RANDOM_BYTES]) -> String {
    STANDARD_NO_PAD.encode(random)
}

/// Writes a compound packet over what is in `out`: a sender report, or a receiver report as long as nothing was sent; our
/// canonical name; a goodbye when it is the last. A name is at most 255 bytes long, else nothing is written.
pub fn compound(out: &mut Vec<u8>, ours: &Sent, heard: Option<&ReceptionBlock>, cname: &str, goodbye: bool) {
    out.clear();
    let name = SdesChunk::builder(ours.ssrc).add_item(SdesItem::builder(SdesItem::CNAME, cname));
    let name = Sdes::builder().add_chunk(name);
    let blocks = heard.map(block_of);
    let mut packet = if ours.packets > 0 {
        let report = SenderReport::builder(ours.ssrc)
            .ntp_timestamp(ours.ntp)
            .rtp_timestamp(ours.rtp_timestamp)
            .packet_count(ours.packets)
            .octet_count(ours.octets);
        Compound::builder().add_packet(blocks.into_iter().fold(report, |report, block| report.add_report_block(block)))
    } else {
        let report = ReceiverReport::builder(ours.ssrc);
        Compound::builder().add_packet(blocks.into_iter().fold(report, |report, block| report.add_report_block(block)))
    };
    packet = packet.add_packet(name);
    if goodbye {
        packet = packet.add_packet(Bye::builder().add_source(ours.ssrc));
    }
    let Ok(length) = packet.calculate_size() else { return };
    out.resize(length, 0);
    let written = packet.write_into(out).unwrap_or_default();
    out.truncate(written);
}

fn block_of(block: &ReceptionBlock) -> ReportBlockBuilder {
    let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF).cast_unsigned() & 0xFF_FFFF;
    ReportBlock::builder(block.ssrc)
        .fraction_lost(block.fraction_lost)
        .cumulative_lost(lost)
        .extended_sequence_number(block.highest_sequence)
        .interarrival_jitter(block.jitter)
        .last_sender_report_timestamp(block.last_sr)
        .delay_since_last_sender_report_timestamp(block.delay_since_last_sr)
}

/// What a packet of the peer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// The peer sends, and says when it said so.
    pub sender: Option<Sender>,
    /// What the peer heard of our stream.
    pub about_us: Option<ReceptionBlock>,
    /// A stream of the peer's is over.
    pub goodbye: bool,
}

/// A stream of the peer's, by its own report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Which one.
    pub ssrc: u32,
    /// When the report was sent, by the peer's clock: [`middle`] of it, to be returned as [`ReceptionBlock::last_sr`].
    pub ntp_middle: u32,
}

/// Reads a compound packet as far as it is whole, and leaves alone what it does not know. Nothing, when it begins with
/// something else than RTCP. `our_ssrc` is our stream.
#[must_use]
pub fn read(bytes: &[u8], our_ssrc: u32) -> Option<Heard> {
    if bytes.len() > rtp::MAX_PACKET_BYTES || !rtp::is_rtcp(bytes) {
        return None;
    }
    let (mut packet, mut rest) = split(bytes)?;
    let mut heard = Heard::default();
    loop {
        if let Ok(report) = SenderReport::parse(packet) {
            heard.sender = Some(Sender { ssrc: report.ssrc(), ntp_middle: middle(report.ntp_timestamp()) });
            heard.note(report.report_blocks(), our_ssrc);
        } else if let Ok(report) = ReceiverReport::parse(packet) {
            heard.note(report.report_blocks(), our_ssrc);
        } else if let Ok(goodbye) = Bye::parse(packet) {
            heard.goodbye |= goodbye.ssrcs().any(|ssrc| ssrc != our_ssrc);
        }
        match split(rest) {
            Some(next) => (packet, rest) = next,
            None => return Some(heard),
        }
    }
}

impl Heard {
    fn note<'a>(&mut self, blocks: impl Iterator<Item = ReportBlock<'a>>, our_ssrc: u32) {
        let ours = blocks.filter(|block| block.ssrc() == our_ssrc).last();
        self.about_us = ours.map_or(self.about_us, |block| {
            Some(ReceptionBlock {
                ssrc: our_ssrc,
                fraction_lost: block.fraction_lost(),
                cumulative_lost: (block.cumulative_lost() << 8).cast_signed() >> 8,
                highest_sequence: block.extended_sequence_number(),
                jitter: block.interarrival_jitter(),
                last_sr: block.last_sender_report_timestamp(),
                delay_since_last_sr: block.delay_since_last_sender_report_timestamp(),
            })
        });
    }
}

/// The first packet of a compound one, by its own length (section 6.4.1), and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, _, l0, l1] = *bytes.first_chunk::<4>()?;
    let length = 4 + 4 * usize::from(u16::from_be_bytes([l0, l1]));
    bytes.split_at_checked(length).filter(|_| first >> 6 == 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const US: u32 = 0x0102_0304;
    const SENT: Sent =
        Sent { ssrc: US, ntp: 0x1122_3344_5566_7788, rtp_timestamp: 0x0A0B_0C0D, packets: 7, octets: 1_120 };
    const BLOCK: ReceptionBlock = ReceptionBlock {
        ssrc: 0xCAFE_BABE,
        fraction_lost: 9,
        cumulative_lost: -2,
        highest_sequence: 0x0001_0002,
        jitter: 33,
        last_sr: 44,
        delay_since_last_sr: 55,
    };

    fn written(ours: &Sent, heard: Option<&ReceptionBlock>, goodbye: bool) -> Vec<u8> {
        let mut out = vec![9; 3];
        compound(&mut out, ours, heard, "AbCdEfGhIjKlMnOp", goodbye);
        out
    }

    /// The name as it stands on the wire: 16 letters, two bytes before, ended by zeros up to a word.
    const NAME: &[u8] = b"\x81\xCA\x00\x06\x01\x02\x03\x04\x01\x10AbCdEfGhIjKlMnOp\x00\x00";

    #[test]
    fn a_sender_report_is_as_in_section_6_4_1() {
        let report = [
            &[0x81, 200, 0, 12][..],
            &[1, 2, 3, 4, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 10, 11, 12, 13, 0, 0, 0, 7, 0, 0, 4, 0x60],
            &[0xCA, 0xFE, 0xBA, 0xBE, 9, 0xFF, 0xFF, 0xFE, 0, 1, 0, 2, 0, 0, 0, 33, 0, 0, 0, 44, 0, 0, 0, 55],
        ];
        assert_eq!(written(&SENT, Some(&BLOCK), false), [&report.concat(), NAME].concat());
    }

    #[test]
    fn who_sent_nothing_reports_as_receiver_and_says_goodbye_last() {
        let silent = Sent { packets: 0, ..SENT };
        let report = [0x80, 201, 0, 1, 1, 2, 3, 4];
        assert_eq!(written(&silent, None, false), [&report, NAME].concat());
        let goodbye = [0x81, 203, 0, 1, 1, 2, 3, 4];
        assert_eq!(written(&silent, None, true), [&report, NAME, &goodbye].concat());
        assert_eq!(written(&silent, Some(&BLOCK), false).len(), 32 + NAME.len());
    }

    #[test]
    fn a_name_that_is_too_long_is_not_written() {
        let mut out = vec![1];
        compound(&mut out, &SENT, None, &"a".repeat(256), false);
        assert!(out.is_empty());
        compound(&mut out, &SENT, None, &"a".repeat(255), false);
        assert_eq!(read(&out, 0).unwrap().sender.unwrap().ssrc, US);
    }

    #[test]
    fn what_the_peer_writes_is_read() {
        let heard = read(&written(&SENT, Some(&BLOCK), false), BLOCK.ssrc).unwrap();
        assert_eq!(heard.sender, Some(Sender { ssrc: US, ntp_middle: 0x3344_5566 }));
        assert_eq!((heard.about_us, heard.goodbye), (Some(BLOCK), false));
        let heard = read(&written(&Sent { packets: 0, ..SENT }, Some(&BLOCK), true), BLOCK.ssrc).unwrap();
        assert_eq!(heard, Heard { sender: None, about_us: Some(BLOCK), goodbye: true });
        let heard = read(&written(&SENT, Some(&BLOCK), true), US).unwrap();
        assert_eq!((heard.about_us, heard.goodbye), (None, false), "about another, and a goodbye in our name");
    }

    #[test]
    fn losses_end_at_24_bits() {
        for (lost, read_back) in [(i32::MAX, 0x7F_FFFF), (i32::MIN, -0x80_0000), (0x7F_FFFF, 0x7F_FFFF), (-1, -1)] {
            let block = ReceptionBlock { cumulative_lost: lost, ..BLOCK };
            let heard = read(&written(&SENT, Some(&block), false), BLOCK.ssrc).unwrap();
            assert_eq!(heard.about_us.unwrap().cumulative_lost, read_back);
        }
    }

    #[test]
    fn what_is_unknown_cut_or_in_excess_is_left_alone() {
        let whole = written(&SENT, Some(&BLOCK), false);
        let known = read(&whole, BLOCK.ssrc);
        let unknown = [0x80, 207, 0, 1, 1, 2, 3, 4];
        assert_eq!(read(&[&unknown[..], &whole].concat(), BLOCK.ssrc), known);
        assert_eq!(read(&[&whole[..], &[0x81, 203, 0]].concat(), BLOCK.ssrc), known);
        assert_eq!(read(&[&whole[..], &[0x81, 203, 0, 9, 1, 2, 3, 4]].concat(), BLOCK.ssrc), known);
        assert_eq!(read(&[&whole[..], &[0x80, 203, 0, 0]].concat(), BLOCK.ssrc), known);
        assert_eq!(read(&whole[..51], BLOCK.ssrc), None);
        assert_eq!(read(&[0x80, 0, 0, 1, 0, 0, 0, 0], 0), None, "RTP");
        assert_eq!(read(&[0x40, 200, 0, 0], 0), None);
        let endless = [0x80, 207, 0, 0].repeat(376);
        assert_eq!(read(&endless, 0), None);
        assert_eq!(read(&endless[..1_500], 0), Some(Heard::default()));
    }

    #[test]
    fn a_name_has_96_bits() {
        assert_eq!(canonical_name([0; 12]), "AAAAAAAAAAAAAAAA");
        assert_eq!(canonical_name([255; 12]), "////////////////");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 198_u8..206) {
            let mut bytes = bytes;
            let _ = read(&bytes, 0);
            if let [first, second, l0, l1, ..] = bytes.as_mut_slice() {
                (*first, *second, *l0) = (0x80 | *first & 0x3F, kind, 0);
                *l1 %= 50;
            }
            let _ = read(&bytes, 0);
        }

        #[test]
        fn what_is_written_is_read(fraction in any::<u8>(), lost in -0x80_0000..0x80_0000, rest in any::<[u32; 5]>()) {
            let [ssrc, highest_sequence, jitter, last_sr, delay_since_last_sr] = rest;
            let block = ReceptionBlock {
                ssrc,
                fraction_lost: fraction,
                cumulative_lost: lost,
                highest_sequence,
                jitter,
                last_sr,
                delay_since_last_sr,
            };
            prop_assert_eq!(read(&written(&SENT, Some(&block), false), ssrc).unwrap().about_us, Some(block));
        }
    }
}
