//! Owns reading recordings: a WAV file's bytes become the mu-law samples that are played, or a reason why not; and what
//! can be told about samples without listening. Where files are is known elsewhere.

use std::time::Duration;

use super::{SAMPLE_RATE_HZ, g711::ULAW_SILENCE};
use crate::sip::sdp::Codec;

/// Largest file read, in bytes: a minute of 16-bit samples, far above what may be played.
pub const MAX_FILE_BYTES: usize = 1_000_000;
/// Longest clip that may be played as one.
pub const LONGEST: Duration = Duration::from_secs(12);

/// Most chunks looked at in a file; editors write a handful.
const MAX_CHUNKS: usize = 64;
/// A sample at or above this is at the end of the scale, of 32 767.
const FULL_SCALE: i32 = 31_000;
/// So many samples in a row at the end of the scale are no peak but a cut one.
const CUT_RUN: usize = 4;
/// Samples in one stretch whose loudness is looked at: 20 ms.
const STRETCH: usize = 160;
/// A stretch is speech from this level on, of 32 767: about -40 dB.
const AUDIBLE: i64 = 330;
/// Fewer stretches of speech than this are silence: 60 ms.
const LEAST_SPEECH: usize = 3;

/// Why a file is no recording that can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAClip {
    /// Not a WAV file.
    #[error("is no WAV file")]
    NotWav,
    /// Cut off, or a chunk is longer than the file.
    #[error("is cut off")]
    CutOff,
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("is larger than 1 MB")]
    TooLarge,
    /// Not at 8 kHz.
    #[error("has {0} samples a second, not 8000")]
    Rate(u32),
    /// More than one channel.
    #[error("has {0} channels, not 1")]
    Channels(u16),
    /// Neither mu-law (tag 7), A-law (6) nor linear samples of 16 bits (1).
    #[error("has format tag {tag} with {bits} bits, not mu-law, A-law or 16-bit PCM")]
    Format {
        /// The format tag.
        tag: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// No samples.
    #[error("holds no sound")]
    Empty,
}

/// What is wrong with a clip that can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Flaw {
    /// Longer than [`LONGEST`].
    #[error("is longer than 12 s")]
    TooLong,
    /// Its loudest parts are cut off.
    #[error("is clipped: record it more quietly")]
    Clipped,
    /// Nothing can be heard.
    #[error("is silent")]
    Silent,
}

/// How samples are written in a file.
#[derive(Debug, Clone, Copy)]
enum Coding {
    Ulaw,
    Alaw,
    Linear16,
}

/// The mu-law samples of a WAV file: 8 kHz, mono; mu-law, A-law, or linear with 16 bits.
///
/// # Errors
/// Why it cannot be played.
pub fn read(file: &[u8]) -> Result<Vec<u8>, NotAClip> {
    if file.len() > MAX_FILE_BYTES {
        return Err(NotAClip::TooLarge);
    }
    let body = file.strip_prefix(b"RIFF").and_then(|rest| rest.get(4..)).ok_or(NotAClip::NotWav)?;
    let mut rest = body.strip_prefix(b"WAVE").ok_or(NotAClip::NotWav)?;
    let mut coding = None;
    for _ in 0..MAX_CHUNKS {
        let (Some(name), Some(size)) = (rest.get(..4), u32_at(rest, 4)) else { break };
        let size = usize::try_from(size).map_err(|_| NotAClip::CutOff)?;
        let chunk = rest.get(8..).and_then(|rest| rest.get(..size)).ok_or(NotAClip::CutOff)?;
        match name {
            b"fmt " => coding = Some(format(chunk)?),
            b"data" => return samples(coding.ok_or(NotAClip::NotWav)?, chunk),
            _ => {}
        }
        // Chunks begin at even places.
        rest = rest.get(8 + size + size % 2..).unwrap_or_default();
    }
    Err(NotAClip::Empty)
}

fn format(chunk: &[u8]) -> Result<Coding, NotAClip> {
    /// The tag that says: the real one stands further on (`WAVE_FORMAT_EXTENSIBLE`).
    const EXTENSIBLE: u16 = 0xFFFE;
    let field = |at| u16_at(chunk, at).ok_or(NotAClip::CutOff);
    let tag = match field(0)? {
        EXTENSIBLE => field(24)?,
        tag => tag,
    };
    let (channels, bits) = (field(2)?, field(14)?);
    let rate = u32_at(chunk, 4).ok_or(NotAClip::CutOff)?;
    if channels != 1 {
        return Err(NotAClip::Channels(channels));
    }
    if rate != SAMPLE_RATE_HZ {
        return Err(NotAClip::Rate(rate));
    }
    match (tag, bits) {
        (1, 16) => Ok(Coding::Linear16),
        (6, 8) => Ok(Coding::Alaw),
        (7, 8) => Ok(Coding::Ulaw),
        (tag, bits) => Err(NotAClip::Format { tag, bits }),
    }
}

fn samples(coding: Coding, data: &[u8]) -> Result<Vec<u8>, NotAClip> {
    let samples: Vec<u8> = match coding {
        Coding::Ulaw => data.to_vec(),
        Coding::Alaw => data.iter().map(|coded| Codec::Pcmu.encode(Codec::Pcma.decode(*coded))).collect(),
        Coding::Linear16 => {
            let (pairs, _) = data.as_chunks::<2>();
            pairs.iter().map(|pair| Codec::Pcmu.encode(i16::from_le_bytes(*pair))).collect()
        }
    };
    if samples.is_empty() { Err(NotAClip::Empty) } else { Ok(samples) }
}

/// How long mu-law samples last.
#[must_use]
pub fn duration(samples: &[u8]) -> Duration {
    let ms = samples.len().saturating_mul(1000) / usize::try_from(SAMPLE_RATE_HZ).unwrap_or(usize::MAX);
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// What is wrong with mu-law samples, the worst first.
#[must_use]
pub fn flaws(samples: &[u8]) -> Vec<Flaw> {
    let level = |coded: &u8| i32::from(Codec::Pcmu.decode(*coded)).abs();
    let audible = |stretch: &&[u8]| {
        let power: i64 = stretch.iter().map(|coded| i64::from(level(coded)).pow(2)).sum();
        power > AUDIBLE * AUDIBLE * i64::try_from(stretch.len()).unwrap_or(i64::MAX)
    };
    let speech = samples.chunks(STRETCH).filter(audible).take(LEAST_SPEECH).count();
    let clipped =
        samples.chunk_by(|a, b| a == b).any(|run| run.len() >= CUT_RUN && run.iter().all(|c| level(c) >= FULL_SCALE));
    [(speech < LEAST_SPEECH, Flaw::Silent), (duration(samples) > LONGEST, Flaw::TooLong), (clipped, Flaw::Clipped)]
        .into_iter()
        .filter_map(|(is, flaw)| is.then_some(flaw))
        .collect()
}

/// Mu-law samples as a WAV file (format tag 7).
#[must_use]
pub fn write(samples: &[u8]) -> Vec<u8> {
    let size = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let odd = size % 2;
    let mut file = Vec::with_capacity(samples.len() + 60);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&size.saturating_add(50 + odd).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&18_u32.to_le_bytes());
    file.extend_from_slice(&7_u16.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&SAMPLE_RATE_HZ.to_le_bytes());
    file.extend_from_slice(&SAMPLE_RATE_HZ.to_le_bytes());
    file.extend_from_slice(&[1, 0, 8, 0, 0, 0]);
    file.extend_from_slice(b"fact");
    file.extend_from_slice(&4_u32.to_le_bytes());
    file.extend_from_slice(&size.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&size.to_le_bytes());
    file.extend_from_slice(samples);
    if odd == 1 {
        file.push(ULAW_SILENCE);
    }
    file
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.first_chunk().map(|field| u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.first_chunk().map(|field| u32::from_le_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a tone at a level of 32 767, as linear samples.
    #[expect(clippy::cast_possible_truncation, reason = "the level is within 16 bits")]
    fn tone(level: f64) -> Vec<i16> {
        (0..8_000).map(|n| ((f64::from(n) * 0.4).sin() * level).clamp(-32_767.0, 32_767.0) as i16).collect()
    }

    fn linear_file(rate: u32, channels: u16, samples: &[i16]) -> Vec<u8> {
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0".to_vec();
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend((rate * 2).to_le_bytes());
        file.extend([2, 0, 16, 0]);
        file.extend(b"data");
        file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn what_is_written_is_read() {
        for samples in [vec![1_u8, 2, 3], vec![0x80; 8_000], vec![0xFF]] {
            assert_eq!(read(&write(&samples)), Ok(samples));
        }
        assert_eq!(duration(&[0; 4_000]), Duration::from_millis(500));
    }

    #[test]
    fn linear_samples_become_mu_law() {
        let tone = tone(10_000.0);
        let samples = read(&linear_file(8_000, 1, &tone)).unwrap();
        assert_eq!(samples.len(), tone.len());
        for (coded, linear) in samples.iter().zip(&tone) {
            assert!((i32::from(Codec::Pcmu.decode(*coded)) - i32::from(*linear)).abs() < 600);
        }
        let mut alaw = write(&[0xD5, 0x55]);
        alaw[20] = 6;
        assert_eq!(read(&alaw).unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_played_says_why() {
        let good = write(&[1, 2, 3]);
        assert_eq!(read(b"ID3"), Err(NotAClip::NotWav));
        assert_eq!(read(&linear_file(16_000, 1, &[0])), Err(NotAClip::Rate(16_000)));
        assert_eq!(read(&linear_file(8_000, 2, &[0])), Err(NotAClip::Channels(2)));
        assert_eq!(read(&linear_file(8_000, 1, &[])), Err(NotAClip::Empty));
        assert_eq!(read(&vec![0; MAX_FILE_BYTES + 1]), Err(NotAClip::TooLarge));
        let mut mp3 = good.clone();
        mp3[20] = 0x55;
        assert_eq!(read(&mp3), Err(NotAClip::Format { tag: 0x55, bits: 8 }));
        // Whatever is missing: an answer, and never half a clip.
        for cut in 0..good.len() - 1 {
            assert!(read(&good[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn flaws_are_told() {
        let coded = |level| tone(level).iter().map(|linear| Codec::Pcmu.encode(*linear)).collect::<Vec<_>>();
        assert_eq!(flaws(&coded(20_000.0)), []);
        assert_eq!(flaws(&coded(90_000.0)), [Flaw::Clipped]);
        assert_eq!(flaws(&coded(60.0)), [Flaw::Silent]);
        assert_eq!(flaws(&coded(20_000.0).repeat(13)), [Flaw::TooLong]);
        assert_eq!(flaws(&[]), [Flaw::Silent]);
    }
}
