//! Owns keys heard as pairs of tones in the audio (ITU-T Q.23, limits as of Q.24): the last resort where a call brings
//! neither telephone-events nor SIP INFO. Which key that makes, is decided where all ways come together.
//!
//! Blocks of 102 samples, each beginning in the middle of the one before, go through eight Goertzel filters. A block is a
//! hit when one tone of each group stands out of its group and of the block. Four hits in a row of one key are looked at
//! closely ([`fit`]): frequencies, twist, and how much else there is. Three misses end a press.

mod fit;

use std::f32::consts::{PI, TAU};

use crate::dtmf::Digit;

use fit::Fit;

/// Samples of a half block.
const HALF: usize = 51;
/// Samples of a block: 12.75 ms. A tone of 40 ms holds [`HITS`] of them whole, wherever it begins.
const BLOCK: f32 = 102.0;
const RATE: f32 = 8_000.0;
/// The low group, then the high group, in Hz.
const FREQUENCIES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];
/// The keys by low tone, then high tone; the fourth column is on no telephone.
const KEYS: [[Option<char>; 4]; 4] = [
    [Some('1'), Some('2'), Some('3'), None],
    [Some('4'), Some('5'), Some('6'), None],
    [Some('7'), Some('8'), Some('9'), None],
    [Some('*'), Some('0'), Some('#'), None],
];
/// A tone stands out of its group by 5 dB; a stronger tone of the other group leaks into it.
const STANDS_OUT: f32 = 1.6;
/// Share of a block's energy that both tones have together at first sight, where they may be off their frequencies.
const SHARE_AT_FIRST: f32 = 0.5;
/// The same at the closer look. Noise 10 dB below leaves 0.91.
const SHARE: f32 = 0.875;
/// How much the power of a tone may change within a press at first sight: 3 dB either way.
const STEADY: f32 = 3.0;
/// Power at twice a tone's frequency, as a share of its own: voices and instruments have more, keys have none.
const OVERTONE: f32 = 0.025;
/// How much weaker the high tone may be than the low one: 8 dB, and half a decibel of tolerance.
const WEAKEST_HIGH: f32 = 0.141;
/// How much stronger the high tone may be than the low one: 4 dB, and half a decibel of tolerance.
const STRONGEST_HIGH: f32 = 2.82;
/// Mean square of the quietest block that is looked at: 40 dB below full scale.
const QUIETEST: f32 = 1.0e-4;
/// How far a tone may be from its frequency: accepted to 1.5 %, refused from 3.5 %.
const OFF: f32 = 0.019;
/// Hits in a row that make a press: 32 ms.
const HITS: usize = 4;
/// Samples of so many hits in a row.
const WINDOW: usize = (HITS + 1) * HALF;
/// Misses in a row that end a press.
const MISSES: u8 = 3;

/// The detector of one call.
pub struct Tones {
    /// Twice the cosine of each frequency.
    coefficients: [f32; 8],
    /// How each frequency turns within half a block.
    turns: [Complex; 8],
    /// The last half blocks; the newest is being filled.
    window: [f32; WINDOW],
    filled: usize,
    /// What the filters said of the half block before.
    before: Option<Half>,
    hits: Hits,
    pressed: Option<Digit>,
    misses: u8,
}

/// The last hits in a row, the newest last.
type Hits = [Option<Hit>; HITS];

#[derive(Clone, Copy, Default)]
struct Complex {
    re: f32,
    im: f32,
}

/// What the filters say of half a block, with phases at its last sample.
#[derive(Clone, Copy)]
struct Half {
    energy: f32,
    filters: [Complex; 8],
}

/// What a block with a key in it leaves behind.
#[derive(Clone, Copy)]
struct Hit {
    key: Digit,
    tones: [Heard; 2],
}

/// One tone of a block.
#[derive(Clone, Copy)]
struct Heard {
    nominal: f32,
    filter: Complex,
}

impl Default for Tones {
    fn default() -> Self {
        Self {
            coefficients: FREQUENCIES.map(|frequency| 2.0 * angle(frequency).cos()),
            turns: FREQUENCIES.map(|frequency| Complex::turn(angle(frequency) * HALF as f32)),
            window: [0.0; WINDOW],
            filled: 0,
            before: None,
            hits: [None; HITS],
            pressed: None,
            misses: 0,
        }
    }
}

impl Tones {
    /// Hears samples that follow those before; the keys whose presses begin in them go to `press`.
    pub fn hear(&mut self, samples: impl Iterator<Item = i16>, mut press: impl FnMut(Digit)) {
        for sample in samples {
            if let Some(place) = self.window.get_mut(WINDOW - HALF + self.filled) {
                *place = f32::from(sample) / 32_768.0;
            }
            self.filled += 1;
            if self.filled == HALF {
                self.filled = 0;
                if let Some(key) = self.judge() {
                    press(key);
                }
                self.window.copy_within(HALF.., 0);
            }
        }
    }

    /// A packet or a few are missing: what was begun is not gone on with, but a key that is held stays held.
    pub const fn skip(&mut self) {
        self.filled = 0;
        self.before = None;
        self.hits = [None; HITS];
    }

    /// The sender was silent, or too much is missing: whatever was pressed is released.
    pub const fn silence(&mut self) {
        self.skip();
        self.pressed = None;
        self.misses = 0;
    }

    /// Judges the block that ends with the half that was just filled.
    fn judge(&mut self) -> Option<Digit> {
        let half = listen(self.window.last_chunk()?, &self.coefficients);
        let before = self.before.replace(half)?;
        let hit = look(&before, &half, &self.turns);
        let [_, one, two, three] = self.hits;
        self.hits = [one, two, three, hit];
        if self.pressed.is_some() {
            if self.pressed == hit.map(|hit| hit.key) {
                self.misses = 0;
                return None;
            }
            self.misses += 1;
            if self.misses >= MISSES {
                self.pressed = None;
            }
        }
        let key = press_of(&self.hits, &self.window)?;
        self.pressed = Some(key);
        self.misses = 0;
        Some(key)
    }
}

/// The key, when four hits in a row are of one, and a close look at them finds its tones and little else.
fn press_of(hits: &Hits, window: &[f32; WINDOW]) -> Option<Digit> {
    let [Some(first), Some(second), Some(third), Some(fourth)] = hits else { return None };
    if ![first, third, fourth].iter().all(|hit| hit.is_like(second)) {
        return None;
    }
    let ([low, high], [low_before, high_before]) = (fourth.tones, second.tones);
    let near = [low.frequency_since(&low_before), high.frequency_since(&high_before)];
    let fit = Fit::new(window, near)?;
    let mut in_tune =
        fit.frequencies.iter().zip([low, high]).map(|(is, tone)| (is - tone.nominal).abs() <= OFF * tone.nominal);
    let [low_power, high_power] = fit.powers;
    let twist = high_power / low_power;
    let overtones =
        || fit.frequencies.iter().zip(fit.powers).any(|(is, power)| fit.left_at(window, 2.0 * is) > OVERTONE * power);
    let is_key = in_tune.all(|tone| tone)
        && fit.share >= SHARE
        && (WEAKEST_HIGH..=STRONGEST_HIGH).contains(&twist)
        && !overtones();
    is_key.then_some(fourth.key)
}

impl Hit {
    /// Whether both blocks hold one key, as loud.
    fn is_like(&self, other: &Self) -> bool {
        let steady = self
            .tones
            .iter()
            .zip(&other.tones)
            .all(|(one, other)| (1.0 / STEADY..=STEADY).contains(&(one.filter.power() / other.filter.power())));
        self.key == other.key && steady
    }
}

impl Heard {
    /// Its frequency in Hz, as its phase shows that went on since a block before.
    fn frequency_since(&self, earlier: &Self) -> f32 {
        let turned = self.filter.phase() - earlier.filter.phase() - angle(self.nominal) * BLOCK;
        self.nominal + ((turned + PI).rem_euclid(TAU) - PI) * RATE / (TAU * BLOCK)
    }
}

/// The key in one block, if it sounds like one at first sight.
fn look(first: &Half, second: &Half, turns: &[Complex; 8]) -> Option<Hit> {
    let energy = first.energy + second.energy;
    if energy < QUIETEST * BLOCK {
        return None;
    }
    let mut filters = [Complex::default(); 8];
    let mut powers = [0.0; 8];
    let halves = first.filters.iter().zip(&second.filters).zip(turns);
    for (((first, second), turn), (filter, power)) in halves.zip(filters.iter_mut().zip(&mut powers)) {
        *filter = Complex {
            re: first.re * turn.re - first.im * turn.im + second.re,
            im: first.re * turn.im + first.im * turn.re + second.im,
        };
        *power = filter.power();
    }
    let (low, low_power) = strongest(powers.get(..4)?)?;
    let (high, high_power) = strongest(powers.get(4..)?)?;
    if (low_power + high_power) * 2.0 < SHARE_AT_FIRST * BLOCK * energy {
        return None;
    }
    let key = KEYS.get(low)?.get(high).copied().flatten().and_then(Digit::from_char)?;
    let heard = |tone: usize| Some(Heard { nominal: *FREQUENCIES.get(tone)?, filter: *filters.get(tone)? });
    Some(Hit { key, tones: [heard(low)?, heard(high + 4)?] })
}

/// The filter that stands out of a group, and its power.
fn strongest(group: &[f32]) -> Option<(usize, f32)> {
    let (at, power) = group.iter().copied().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    let others = group.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, power)| *power);
    (others.fold(0.0, f32::max) * STANDS_OUT <= power).then_some((at, power))
}

/// Eight Goertzel filters over half a block; nothing but its energy where that is too little to be part of a key.
fn listen(half: &[f32; HALF], coefficients: &[f32; 8]) -> Half {
    let energy: f32 = half.iter().map(|sample| sample * sample).sum();
    let mut filters = [Complex::default(); 8];
    if energy >= QUIETEST * HALF as f32 / 4.0 {
        let (mut last, mut before) = ([0.0_f32; 8], [0.0_f32; 8]);
        for sample in half {
            let mut next = [0.0_f32; 8];
            for (((next, coefficient), last), before) in next.iter_mut().zip(coefficients).zip(last).zip(before) {
                *next = sample + coefficient * last - before;
            }
            before = last;
            last = next;
        }
        for (((filter, coefficient), last), before) in filters.iter_mut().zip(coefficients).zip(last).zip(before) {
            let cos = coefficient / 2.0;
            *filter = Complex { re: last - before * cos, im: before * (1.0 - cos * cos).max(0.0).sqrt() };
        }
    }
    Half { energy, filters }
}

impl Complex {
    fn turn(angle: f32) -> Self {
        let (im, re) = angle.sin_cos();
        Self { re, im }
    }

    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    fn phase(self) -> f32 {
        self.im.atan2(self.re)
    }
}

/// How far a frequency turns within a sample.
fn angle(frequency: f32) -> f32 {
    TAU * frequency / RATE
}

/// The two tones of a key, in Hz.
#[must_use]
pub fn frequencies(key: Digit) -> (f32, f32) {
    let place = KEYS.iter().zip(FREQUENCIES).find_map(|(row, low)| {
        let column = row.iter().position(|printed| *printed == Some(key.as_char()))?;
        Some((low, FREQUENCIES.get(column + 4).copied()?))
    });
    place.unwrap_or_default()
}

/// Both tones of a key at the `n`th sample since it was pressed, for who must send it as audio: 10 dB below full scale
/// each.
#[must_use]
pub fn sample(key: Digit, n: u32) -> i16 {
    let (low, high) = frequencies(key);
    let n = n as f32;
    (((angle(low) * n).sin() + (angle(high) * n).sin()) * 10_361.0) as i16
}

#[cfg(test)]
mod tests;
