//! Owns G.711: both laws to and from linear samples, and one into the other. Tables are made by the compiler.

use crate::sip::sdp::Codec;

/// One sample of silence in mu-law.
pub const ULAW_SILENCE: u8 = 0xFF;
/// One sample of silence in A-law.
pub const ALAW_SILENCE: u8 = 0xD5;

/// A table of 256 entries, made by the compiler from a function of the index.
macro_rules! table {
    ($entry:path, $zero:expr) => {{
        let mut table = [$zero; 256];
        let mut coded = 0_usize;
        while coded < table.len() {
            table[coded] = $entry(coded as u8);
            coded += 1;
        }
        table
    }};
}

#[expect(clippy::indexing_slicing, reason = "the loop ends with the table, and runs in the compiler")]
static ULAW: [i16; 256] = table!(ulaw_to_linear, 0_i16);
#[expect(clippy::indexing_slicing, reason = "the loop ends with the table, and runs in the compiler")]
static ALAW: [i16; 256] = table!(alaw_to_linear, 0_i16);
#[expect(clippy::indexing_slicing, reason = "the loop ends with the table, and runs in the compiler")]
static ULAW_TO_ALAW: [u8; 256] = table!(ulaw_to_alaw, 0_u8);

impl Codec {
    /// Its static payload type (RFC 3551 table 4).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The codec of a static payload type.
    #[must_use]
    pub const fn of(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }

    /// One sample of silence.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => ULAW_SILENCE,
            Self::Pcma => ALAW_SILENCE,
        }
    }

    /// A coded sample as a linear one of 16 bits.
    #[must_use]
    pub fn decode(self, sample: u8) -> i16 {
        let table = match self {
            Self::Pcmu => &ULAW,
            Self::Pcma => &ALAW,
        };
        table.get(usize::from(sample)).copied().unwrap_or(0)
    }

    /// A sample of mu-law in this codec.
    #[must_use]
    pub fn from_ulaw(self, sample: u8) -> u8 {
        match self {
            Self::Pcmu => sample,
            Self::Pcma => ULAW_TO_ALAW.get(usize::from(sample)).copied().unwrap_or(ALAW_SILENCE),
        }
    }

    /// A linear sample coded; the nearest of the 256 there are.
    #[must_use]
    pub const fn encode(self, linear: i16) -> u8 {
        match self {
            Self::Pcmu => linear_to_ulaw(linear),
            Self::Pcma => linear_to_alaw(linear),
        }
    }
}

/// ITU-T G.711 section 3, table 2: sign, segment, step; all bits inverted; a bias of 33 in 14 bits, here 132 in 16.
const fn ulaw_to_linear(coded: u8) -> i16 {
    let bits = !coded;
    let magnitude = ((((bits & 0x0F) as i16) << 3) + 0x84) << ((bits >> 4) & 7);
    if bits & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude }
}

/// ITU-T G.711 section 3, table 1: sign, segment, step; even bits inverted.
const fn alaw_to_linear(coded: u8) -> i16 {
    let bits = coded ^ 0x55;
    let step = ((bits & 0x0F) as i16) << 4;
    let magnitude = match (bits >> 4) & 7 {
        0 => step + 8,
        segment => (step + 0x108) << (segment - 1),
    };
    if bits & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn linear_to_ulaw(linear: i16) -> u8 {
    let negative = linear < 0;
    let magnitude = linear.unsigned_abs();
    let biased = if magnitude > 32_635 { 32_767 } else { magnitude + 0x84 };
    let segment = 8 - (biased >> 7).leading_zeros().saturating_sub(8);
    let segment = if segment == 0 { 0 } else { segment - 1 };
    let step = (biased >> (segment + 3)) & 0x0F;
    !(((negative as u8) << 7) | ((segment as u8) << 4) | step as u8)
}

const fn linear_to_alaw(linear: i16) -> u8 {
    let positive = linear >= 0;
    let magnitude = if positive { linear.unsigned_abs() } else { linear.unsigned_abs() - 1 };
    let segment = 8 - (magnitude >> 8).leading_zeros().saturating_sub(8);
    let step = if segment < 2 { (magnitude >> 4) & 0x0F } else { (magnitude >> (segment + 3)) & 0x0F };
    ((((positive as u8) << 7) | ((segment as u8) << 4)) | step as u8) ^ 0x55
}

const fn ulaw_to_alaw(coded: u8) -> u8 {
    linear_to_alaw(ulaw_to_linear(coded))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of ITU-T G.711 tables 1a and 2a, scaled to 16 bits.
    #[test]
    fn known_values() {
        assert_eq!(Codec::Pcmu.decode(0xFF), 0);
        assert_eq!(Codec::Pcmu.decode(0x80), 32_124);
        assert_eq!(Codec::Pcmu.decode(0x00), -32_124);
        assert_eq!(Codec::Pcma.decode(0xD5), 8);
        assert_eq!(Codec::Pcma.decode(0xAA), 32_256);
        assert_eq!(Codec::Pcma.from_ulaw(ULAW_SILENCE), ALAW_SILENCE);
    }

    #[test]
    fn every_value_survives_its_round_trip() {
        for coded in 0..=u8::MAX {
            assert_eq!(Codec::Pcma.encode(Codec::Pcma.decode(coded)), coded);
            let linear = Codec::Pcmu.decode(coded);
            assert_eq!(Codec::Pcmu.decode(Codec::Pcmu.encode(linear)), linear);
        }
    }

    #[test]
    fn the_nearest_value_is_taken() {
        for linear in (-32_000..32_000).step_by(37) {
            for codec in [Codec::Pcmu, Codec::Pcma] {
                let off = i32::from(codec.decode(codec.encode(linear))) - i32::from(linear);
                assert!(off.abs() <= 16 + i32::from(linear.unsigned_abs() >> 4), "{codec:?} {linear} {off}");
            }
        }
    }

    #[test]
    fn one_law_in_the_other_is_close() {
        for coded in 0..=u8::MAX {
            let ulaw = i32::from(Codec::Pcmu.decode(coded));
            let alaw = i32::from(Codec::Pcma.decode(Codec::Pcma.from_ulaw(coded)));
            assert!((ulaw - alaw).abs() <= 16 + (ulaw.abs() >> 4), "{coded} {ulaw} {alaw}");
        }
    }
}
