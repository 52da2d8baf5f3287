//! Owns the guess that a machine answered: one long stretch of speech from the start, or a single steady tone. A guess
//! only: people say long hellos, and networks play tones.

use std::time::Duration;

use super::{MachineSign, SAMPLE_RATE_HZ};

/// Speech for so long from the start is a greeting; a person's hello takes a second or two.
const LONG_GREETING: Duration = Duration::from_secs(5);
/// A pause of so long ends a greeting.
const PAUSE: Duration = Duration::from_millis(1_200);
/// A greeting that begins later than this after the answer is none.
const BEGINS_WITHIN: Duration = Duration::from_secs(3);
/// A beep lasts so long; ringing and other tones of the network last longer.
const BEEP: std::ops::RangeInclusive<Duration> = Duration::from_millis(180)..=Duration::from_millis(900);
/// How long a call is listened to: longer than any greeting with its beep.
const LISTENS_FOR: Duration = Duration::from_secs(45);
/// Mean square of a sample, of 32 767 squared, from which on it is speech: about -40 dB.
const AUDIBLE: f32 = 330.0 * 330.0;
/// The same for a beep: about -30 dB.
const LOUD: f32 = 1_036.0 * 1_036.0;
/// Share of the energy that one sine does not explain in a beep.
const IMPURE: f32 = 0.01;
/// How much the cosine of a beep's frequency may wander.
const STEADY: f32 = 0.02;
/// Twice the cosine of 350 Hz and of 2 200 Hz at 8 kHz: beeps are between.
const BETWEEN: std::ops::RangeInclusive<f32> = -0.313..=1.925;

/// What was heard of one call so far.
#[derive(Default)]
pub(super) struct Listener {
    /// Since the answer.
    elapsed: Duration,
    greeting: Greeting,
    /// Twice the cosine of a steady tone, and for how long.
    tone: Option<(f32, Duration)>,
    beeped: bool,
}

#[derive(Default)]
enum Greeting {
    #[default]
    Awaited,
    /// Since when, and how long it is quiet now.
    Going {
        since: Duration,
        quiet: Duration,
    },
    Over,
}

impl Listener {
    /// Hears the samples of one packet; what they give away, each sign once a call.
    pub(super) fn hear(&mut self, samples: &[i16]) -> Option<MachineSign> {
        let count = samples.len() as f32;
        if samples.is_empty() || self.has_heard_enough() {
            return None;
        }
        let lasts = Duration::from_secs_f32(count / SAMPLE_RATE_HZ as f32);
        let power = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / count;
        let beep = self.tone(samples, power, lasts);
        let greeting = self.greeting(power, lasts);
        beep.or(greeting)
    }

    /// Mailboxes speak first: what comes later is no greeting, and no beep after one.
    fn has_heard_enough(&self) -> bool {
        self.elapsed > LISTENS_FOR || (self.beeped && matches!(self.greeting, Greeting::Over))
    }

    /// For so long nothing came.
    pub(super) fn miss(&mut self, lasts: Duration) {
        self.tone = None;
        self.greeting(0.0, lasts);
    }

    fn greeting(&mut self, power: f32, lasts: Duration) -> Option<MachineSign> {
        let began = self.elapsed;
        self.elapsed = self.elapsed.saturating_add(lasts);
        let audible = power > AUDIBLE;
        match &mut self.greeting {
            Greeting::Awaited if audible => self.greeting = Greeting::Going { since: began, quiet: Duration::ZERO },
            Greeting::Awaited if self.elapsed > BEGINS_WITHIN => self.greeting = Greeting::Over,
            Greeting::Going { quiet, since } => {
                *quiet = if audible { Duration::ZERO } else { *quiet + lasts };
                let length = self.elapsed - *since;
                if *quiet > PAUSE {
                    self.greeting = Greeting::Over;
                } else if audible && length > LONG_GREETING {
                    self.greeting = Greeting::Over;
                    return Some(MachineSign::LongGreeting(length));
                }
            }
            Greeting::Awaited | Greeting::Over => {}
        }
        None
    }

    /// A sine is the only sound of which each sample follows from the two before by one factor.
    fn tone(&mut self, samples: &[i16], power: f32, lasts: Duration) -> Option<MachineSign> {
        let factor = if power > LOUD { factor(samples) } else { None };
        let Some(factor) = factor.filter(|factor| BETWEEN.contains(factor)) else {
            let (_, lasted) = self.tone.take()?;
            let is_beep = BEEP.contains(&lasted) && !self.beeped;
            self.beeped |= is_beep;
            return is_beep.then_some(MachineSign::Beep);
        };
        self.tone = match self.tone {
            Some((before, lasted)) if (before - factor).abs() < STEADY => Some((before, lasted + lasts)),
            Some(_) | None => Some((factor, lasts)),
        };
        None
    }
}

/// Twice the cosine of the frequency, where the samples are one sine.
fn factor(samples: &[i16]) -> Option<f32> {
    let (mut cross, mut square, mut energy) = (0.0, 0.0, 0.0);
    for triple in samples.windows(3) {
        let [before, middle, after] = *triple else { continue };
        let (sum, middle) = (f32::from(before) + f32::from(after), f32::from(middle));
        cross += middle * sum;
        square += middle * middle;
        energy += sum * sum;
    }
    if square <= 0.0 {
        return None;
    }
    let factor = cross / square;
    let residue = energy - factor * cross;
    // Against the power of the samples themselves: near a quarter of the rate both sums are small.
    (residue < IMPURE * square * 4.0).then_some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 160;

    /// What is said about sounds, packet by packet.
    fn heard(samples: &[i16]) -> Vec<MachineSign> {
        let mut listener = Listener::default();
        samples.chunks(PACKET).filter_map(|packet| listener.hear(packet)).collect()
    }

    fn tone(frequency: f32, ms: usize, level: f32) -> Vec<i16> {
        let turn = std::f32::consts::TAU * frequency / 8_000.0;
        (0..ms * 8).map(|n| ((turn * n as f32).sin() * level) as i16).collect()
    }

    fn silence(ms: usize) -> Vec<i16> {
        vec![0; ms * 8]
    }

    /// Something with many frequencies that changes all the time, with a pause after each half second.
    fn babble(ms: usize) -> Vec<i16> {
        let mut seed = 12_345_u32;
        let mut noise = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as f32 / 65_536.0 - 0.5
        };
        (0..ms * 8).map(|n| if n % 4_800 < 4_000 { (noise() * 8_000.0) as i16 } else { 0 }).collect()
    }

    #[test]
    fn a_long_greeting_and_a_beep_are_a_machine() {
        let samples = [silence(800), babble(6_000), silence(300), tone(1_000.0, 400, 8_000.0), silence(500)].concat();
        let signs = heard(&samples);
        assert!(matches!(signs[0], MachineSign::LongGreeting(length) if length > LONG_GREETING), "{signs:?}");
        assert_eq!(signs[1..], [MachineSign::Beep]);
    }

    #[test]
    fn a_hello_is_a_person() {
        let hello =
            [silence(500), babble(1_500), silence(2_000), babble(4_000), silence(1_500), babble(4_000)].concat();
        assert_eq!(heard(&hello), []);
        assert_eq!(heard(&[silence(4_000), babble(8_000)].concat()), []);
    }

    #[test]
    fn tones_of_the_network_and_keys_are_no_beep() {
        for frequency in [400.0, 425.0] {
            assert_eq!(heard(&[tone(frequency, 1_000, 8_000.0), silence(3_000)].concat()), [], "{frequency}");
        }
        let pair: Vec<i16> =
            tone(941.0, 400, 8_000.0).iter().zip(tone(1_477.0, 400, 8_000.0)).map(|(a, b)| a + b).collect();
        assert_eq!(heard(&[pair, silence(500)].concat()), []);
        assert_eq!(heard(&[tone(1_000.0, 400, 300.0), silence(500)].concat()), []);
    }

    #[test]
    fn each_sign_is_told_once() {
        let beep = [silence(100), tone(1_400.0, 300, 9_000.0), silence(100)].concat();
        assert_eq!(heard(&beep.repeat(4)), [MachineSign::Beep]);
        let mut listener = Listener::default();
        for packet in babble(4_000).chunks(PACKET) {
            assert_eq!(listener.hear(packet), None);
        }
        listener.miss(Duration::from_secs(2));
        assert!(babble(6_000).chunks(PACKET).all(|packet| listener.hear(packet).is_none()));
    }
}
