//! Owns RTP packets as bytes (RFC 3550 section 5): reading, and building without a copy. It judges nothing: who may send,
//! and what is late, is decided where packets are heard.

/// Length of a header without contributing sources.
pub const HEADER_BYTES: usize = 12;
/// The longest packet that is read; G.711 of 60 ms with all extensions is far shorter.
pub const MAX_PACKET_BYTES: usize = 1_500;

/// A packet as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The marker bit: a talk spurt, or an event, begins.
    pub marker: bool,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Sequence number; wraps round.
    pub sequence: u16,
    /// When it was sampled, in units of the codec's clock; wraps round.
    pub timestamp: u32,
    /// The stream that it belongs to.
    pub ssrc: u32,
    /// What it carries, without padding.
    pub payload: &'a [u8],
}

/// The part of a header that changes from packet to packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The marker bit.
    pub marker: bool,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Our stream.
    pub ssrc: u32,
}

impl<'a> Packet<'a> {
    /// Reads a packet; nothing, when it is not one of version 2, is cut short, or is RTCP on the same port (RFC 5761
    /// section 4).
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > MAX_PACKET_BYTES {
            return None;
        }
        let (fixed, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 || is_rtcp(bytes) {
            return None;
        }
        let mut rest = rest.get(usize::from(first & 0x0F) * 4..)?;
        if first & 0x10 != 0 {
            let ([_, _, l0, l1], after) = rest.split_first_chunk::<4>()?;
            rest = after.get(usize::from(u16::from_be_bytes([*l0, *l1])) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            let end = rest.len().checked_sub(padding).filter(|_| padding > 0)?;
            rest = rest.get(..end)?;
        }
        Some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7F,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload: rest,
        })
    }
}

impl Header {
    /// The bytes of this header.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let second = ((self.marker as u8) << 7) | (self.payload_type & 0x7F);
        [0x80, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]
    }
}

/// Whether bytes on a shared port are RTCP (RFC 5761 section 4: packet types 192 to 223).
#[must_use]
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|second| (192..=223).contains(second))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header = Header { marker: true, payload_type: 101, sequence: 513, timestamp: 7, ssrc: 0xDEAD_BEEF };

    fn packet(payload: &[u8]) -> Vec<u8> {
        [&HEADER.to_bytes(), payload].concat()
    }

    #[test]
    fn what_was_built_is_read() {
        let bytes = packet(b"abc");
        let read = Packet::read(&bytes).unwrap();
        assert_eq!((read.marker, read.payload_type, read.sequence, read.timestamp), (true, 101, 513, 7));
        assert_eq!((read.ssrc, read.payload), (0xDEAD_BEEF, b"abc".as_slice()));
    }

    #[test]
    fn sources_extension_and_padding_are_no_payload() {
        let mut bytes = packet(&[0; 4]);
        bytes[0] |= 0x31;
        bytes.extend([0xBE, 0xDE, 0, 1, 9, 9, 9, 9]);
        bytes.extend(*b"abc\x01\x02\x02");
        assert_eq!(Packet::read(&bytes).unwrap().payload, b"abc\x01");
    }

    #[test]
    fn what_is_cut_short_or_something_else_is_refused() {
        let whole = packet(b"");
        assert!(Packet::read(&whole).unwrap().payload.is_empty());
        assert!(Packet::read(&whole[..11]).is_none());
        for (at, byte) in [(0, 0x40), (0, 0x81), (0, 0x90), (0, 0xA0), (1, 200)] {
            let mut bad = whole.clone();
            bad[at] = byte;
            assert!(Packet::read(&bad).is_none(), "{at} {byte:x}");
        }
        assert!(Packet::read(&[packet(b""), vec![0; MAX_PACKET_BYTES]].concat()).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(packet) = Packet::read(&bytes) {
                prop_assert!(packet.payload.len() + HEADER_BYTES <= bytes.len());
            }
        }
    }
}
