//! Tests what is heard as a key and what is not: the limits of Q.24, and signals that are no keys.

use std::{f32::consts::TAU, path::PathBuf};

use proptest::prelude::*;

use super::*;
use crate::sip::sdp::Codec;

const ALL: &str = "0123456789*#";

/// A generator of numbers between -1 and 1 that is the same every time.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

/// How a key sounds.
#[derive(Debug, Clone, Copy)]
struct Sounding {
    on_ms: usize,
    off_ms: usize,
    /// dB below full scale of the low and the high tone.
    levels: [f32; 2],
    /// Factors on both frequencies.
    off: [f32; 2],
    /// dB of noise below the tones together.
    snr: f32,
}

const PLAIN: Sounding = Sounding { on_ms: 40, off_ms: 40, levels: [13.0, 13.0], off: [1.0, 1.0], snr: 60.0 };

fn amplitude(below_full_scale_db: f32) -> f32 {
    10.0_f32.powf(-below_full_scale_db / 20.0)
}

fn sound(keys: &str, how: Sounding, lead: usize, seed: u64) -> Vec<i16> {
    let mut noise = Noise(seed | 1);
    let mut samples = vec![0.0_f32; lead];
    let [low_level, high_level] = how.levels.map(amplitude);
    for key in keys.chars() {
        let (low, high) = frequencies(Digit::from_char(key).unwrap());
        let phases = [noise.next(), noise.next()].map(|p| p * TAU / 2.0);
        for n in 0..how.on_ms * 8 {
            let at = |frequency: f32, phase: f32| (TAU * frequency * n as f32 / 8_000.0 + phase).sin();
            samples.push(low_level * at(low * how.off[0], phases[0]) + high_level * at(high * how.off[1], phases[1]));
        }
        samples.extend(vec![0.0; how.off_ms * 8]);
    }
    let power = (low_level * low_level + high_level * high_level) / 2.0;
    let deviation = (power * 10.0_f32.powf(-how.snr / 10.0)).sqrt();
    let gauss = |noise: &mut Noise| (0..6).map(|_| noise.next()).sum::<f32>() / 1.414;
    samples
        .into_iter()
        .map(|s| (s + deviation * gauss(&mut noise)).clamp(-1.0, 1.0))
        .map(|s| Codec::Pcmu.decode(Codec::Pcmu.encode((s * 32_767.0) as i16)))
        .collect()
}

fn heard(samples: &[i16]) -> String {
    let mut tones = Tones::default();
    let mut keys = String::new();
    tones.hear(samples.iter().copied(), |key| keys.push(key.as_char()));
    keys
}

/// Every key three times, from every phase of the blocks; each once.
fn all_heard(how: Sounding) {
    let keys = ALL.chars().flat_map(|key| [key; 3]).collect::<String>();
    for lead in [0, 17, 34, 51, 68, 85] {
        assert_eq!(heard(&sound(&keys, how, lead, lead as u64 + 7)), keys, "{how:?} after {lead}");
    }
}

fn none_heard(how: Sounding) {
    for lead in [0, 17, 34, 51, 68, 85] {
        assert_eq!(heard(&sound(ALL, how, lead, lead as u64 + 7)), "", "{how:?} after {lead}");
    }
}

#[test]
fn short_tones_and_short_pauses() {
    all_heard(PLAIN);
    all_heard(Sounding { off_ms: 23, ..PLAIN });
    all_heard(Sounding { on_ms: 300, off_ms: 200, ..PLAIN });
    none_heard(Sounding { on_ms: 20, off_ms: 100, ..PLAIN });
}

#[test]
fn frequencies_a_little_off_and_too_far_off() {
    for off in [0.985, 1.015] {
        all_heard(Sounding { off: [off, off], ..PLAIN });
        all_heard(Sounding { off: [off, 2.0 - off], ..PLAIN });
    }
    for off in [0.965, 1.035] {
        for off in [[off, off], [off, 1.0], [1.0, off]] {
            none_heard(Sounding { on_ms: 200, off, ..PLAIN });
        }
    }
}

#[test]
fn twist_within_limits_and_beyond() {
    all_heard(Sounding { levels: [10.0, 18.0], ..PLAIN });
    all_heard(Sounding { levels: [16.0, 12.0], ..PLAIN });
    none_heard(Sounding { levels: [10.0, 22.0], ..PLAIN });
    none_heard(Sounding { levels: [20.0, 10.0], ..PLAIN });
}

#[test]
fn loud_and_quiet() {
    all_heard(Sounding { levels: [6.1, 6.1], ..PLAIN });
    all_heard(Sounding { levels: [33.0, 33.0], ..PLAIN });
    none_heard(Sounding { levels: [50.0, 50.0], ..PLAIN });
}

#[test]
fn noise_ten_decibels_below() {
    all_heard(Sounding { snr: 10.0, ..PLAIN });
}

#[test]
fn one_tone_alone_is_no_key() {
    none_heard(Sounding { on_ms: 500, levels: [10.0, 90.0], ..PLAIN });
    none_heard(Sounding { on_ms: 500, levels: [90.0, 10.0], ..PLAIN });
}

#[test]
fn what_is_sent_as_audio_is_heard() {
    for key in ALL.chars() {
        let digit = Digit::from_char(key).unwrap();
        let samples: Vec<i16> = (0..800).map(|n| sample(digit, n)).collect();
        assert_eq!(heard(&samples), key.to_string());
    }
}

#[test]
fn a_lost_packet_within_a_key_that_is_held_is_no_second_press() {
    let samples = sound("5", Sounding { on_ms: 400, ..PLAIN }, 0, 1);
    let mut tones = Tones::default();
    let mut presses = 0;
    for (n, packet) in samples.chunks(160).enumerate() {
        if n % 4 == 3 {
            tones.skip();
        } else {
            tones.hear(packet.iter().copied(), |_| presses += 1);
        }
    }
    assert_eq!(presses, 1);
}

/// Something like speech: pulses of a voice through three formants that wander, with breath, syllables and pauses.
pub(crate) fn speech(seconds: usize, seed: u64) -> Vec<i16> {
    let mut noise = Noise(seed | 1);
    let mut samples = Vec::with_capacity(seconds * 8_000);
    let mut state = [[0.0_f32; 2]; 3];
    let (mut phase, mut level) = (0.0_f32, 0.0_f32);
    let (mut pitch, mut target_level, mut voiced) = (120.0_f32, 0.5_f32, true);
    let mut formants = [500.0_f32, 1_500.0, 2_500.0];
    let mut targets = formants;
    for n in 0..seconds * 8_000 {
        if n % 640 == 0 {
            targets = [550.0 + 350.0 * noise.next(), 1_500.0 + 800.0 * noise.next(), 2_600.0 + 500.0 * noise.next()];
            pitch = (150.0 + 90.0 * noise.next()).max(70.0);
            voiced = noise.next() > -0.6;
            target_level = if noise.next() > -0.5 { 0.35 + 0.3 * noise.next() } else { 0.0 };
        }
        level += (target_level - level) * 0.004;
        phase += pitch * (1.0 + 0.02 * noise.next()) / 8_000.0;
        let pulse = if phase >= 1.0 {
            phase -= 1.0;
            1.0
        } else {
            0.0
        };
        let mut sample = if voiced { pulse + 0.01 * noise.next() } else { 0.25 * noise.next() };
        for ((formant, target), memory) in formants.iter_mut().zip(targets).zip(&mut state) {
            *formant += (target - *formant) * 0.003;
            let radius = 0.97_f32;
            let out =
                sample + 2.0 * radius * (TAU * *formant / 8_000.0).cos() * memory[0] - radius * radius * memory[1];
            *memory = [out, memory[0]];
            sample = out * 0.12;
        }
        samples.push(((sample * level * 24.0).clamp(-1.0, 1.0) * 32_767.0) as i16);
    }
    samples
}

/// Something like music: chords of a few notes with overtones, decaying, a new one each beat.
pub(crate) fn music(seconds: usize, seed: u64) -> Vec<i16> {
    let mut noise = Noise(seed | 1);
    let mut notes: Vec<(f32, f32)> = Vec::new();
    let beat = 2_400;
    (0..seconds * 8_000)
        .map(|n| {
            if n % beat == 0 {
                let count = 1 + (noise.next().abs() * 4.0) as usize;
                notes = (0..count)
                    .map(|_| {
                        (110.0 * 2.0_f32.powf(((noise.next().abs() * 48.0).floor()) / 12.0), 0.4 * noise.next().abs())
                    })
                    .collect();
            }
            let fade = (-((n % beat) as f32) / 1_500.0).exp();
            let at = n as f32 / 8_000.0;
            let sum: f32 = notes
                .iter()
                .map(|(f, a)| (1..4).map(|k| a / (k * k) as f32 * (TAU * f * k as f32 * at).sin()).sum::<f32>())
                .sum();
            ((sum * fade).clamp(-1.0, 1.0) * 32_767.0) as i16
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_key_in_speech(seed in any::<u64>()) {
        prop_assert_eq!(heard(&speech(10, seed)), "");
    }

    #[test]
    fn no_key_in_music(seed in any::<u64>()) {
        prop_assert_eq!(heard(&music(10, seed)), "");
    }

    #[test]
    fn no_key_in_noise(seed in any::<u64>()) {
        let mut noise = Noise(seed | 1);
        let samples: Vec<i16> = (0..40_000).map(|_| (noise.next() * 20_000.0) as i16).collect();
        prop_assert_eq!(heard(&samples), "");
    }
}

/// More than an hour of voices of thirteen languages: the recordings that are shipped, each at four pitches.
#[test]
fn no_key_in_an_hour_of_recorded_speech() {
    let mut seconds = 0;
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/callflows/audio")).unwrap();
    for folder in folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_none_or(|extension| extension != "wav") {
                continue;
            }
            let coded = crate::sip::media::clip::read(&std::fs::read(&path).unwrap()).unwrap();
            for pitch in [0.87_f32, 0.94, 1.0, 1.1] {
                let length = (coded.len() as f32 / pitch) as usize;
                let at = |n: usize| coded.get((n as f32 * pitch) as usize).map(|sample| Codec::Pcmu.decode(*sample));
                let samples: Vec<i16> = (0..length).filter_map(at).collect();
                seconds += samples.len() / 8_000;
                assert_eq!(heard(&samples), "", "{} at {pitch}", path.display());
            }
        }
    }
    assert!(seconds > 3_600, "{seconds} s");
}

/// More than an hour of people speaking English, Italian and Russian into a microphone: recordings for telephone exchanges
/// as Debian has them (the packages asterisk-core-sounds-*-wav, which setting the tests up installs).
#[test]
fn no_key_in_an_hour_of_people_speaking() {
    let (mut samples_heard, mut folders) = (0, vec![PathBuf::from("/usr/share/asterisk/sounds")]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
                continue;
            }
            // Mono, 16 bits, 8,000 a second: what comes after the header is samples.
            if path.extension().is_none_or(|extension| extension != "wav") || path.is_symlink() {
                continue;
            }
            let file = std::fs::read(&path).unwrap();
            let samples: Vec<i16> =
                file.get(44..).unwrap().chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
            samples_heard += samples.len();
            assert_eq!(heard(&samples), "", "{}", path.display());
        }
    }
    let seconds = samples_heard / 8_000;
    assert!(seconds > 3_600, "{seconds} s of recordings; scripts/setup test installs them");
}
