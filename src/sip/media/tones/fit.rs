//! Owns the close look at a stretch of audio that may be a key: two sines are fitted to it, and what is left over tells
//! whether it is anything else.

use std::f32::consts::{PI, TAU};

use super::RATE;

/// Two sines that lie closest to a stretch of audio.
pub(super) struct Fit {
    /// Their frequencies in Hz.
    pub(super) frequencies: [f32; 2],
    /// Their mean squares.
    pub(super) powers: [f32; 2],
    /// Share of the energy that they are.
    pub(super) share: f32,
    /// Cosine and sine parts of both.
    parts: [f32; 4],
}

/// Steps of refining the frequencies; each makes the error some five times smaller.
const STEPS: usize = 2;

impl Fit {
    /// Fits sines near these frequencies.
    pub(super) fn new(samples: &[f32], near: [f32; 2]) -> Option<Self> {
        let (early, late) = samples.split_at_checked(samples.len() / 2)?;
        let apart = early.len() as f32;
        let mut frequencies = near;
        for _ in 0..STEPS {
            let (before, after) = (solve(early, frequencies)?, solve(late, frequencies)?);
            for (at, frequency) in frequencies.iter_mut().enumerate() {
                let turned = phase(&after, at)? - phase(&before, at)? - TAU * *frequency * apart / RATE;
                *frequency += ((turned + PI).rem_euclid(TAU) - PI) * RATE / (TAU * apart);
            }
        }
        let parts = solve(samples, frequencies)?;
        let [a, b, c, d] = parts;
        let energy: f32 = samples.iter().map(|sample| sample * sample).sum();
        let rest: f32 = residue(samples, frequencies, parts).map(|left| left * left).sum();
        let powers = [(a * a + b * b) / 2.0, (c * c + d * d) / 2.0];
        Some(Self { frequencies, powers, share: 1.0 - rest / energy.max(f32::MIN_POSITIVE), parts })
    }

    /// Mean square of what is left over at another frequency.
    pub(super) fn left_at(&self, samples: &[f32], frequency: f32) -> f32 {
        let turn = TAU * frequency / RATE;
        let (mut re, mut im) = (0.0, 0.0);
        for (n, left) in residue(samples, self.frequencies, self.parts).enumerate() {
            let (sin, cos) = (turn * n as f32).sin_cos();
            re += left * cos;
            im += left * sin;
        }
        let half = samples.len() as f32 / 2.0;
        (re * re + im * im) / (half * half) / 2.0
    }
}

/// Where a sine stands at the first sample.
fn phase(parts: &[f32; 4], at: usize) -> Option<f32> {
    Some((-parts.get(2 * at + 1)?).atan2(*parts.get(2 * at)?))
}

fn basis(frequencies: [f32; 2], n: usize) -> [f32; 4] {
    let [low, high] = frequencies.map(|frequency| (TAU * frequency / RATE * n as f32).sin_cos());
    [low.1, low.0, high.1, high.0]
}

fn residue(samples: &[f32], frequencies: [f32; 2], parts: [f32; 4]) -> impl Iterator<Item = f32> {
    samples.iter().enumerate().map(move |(n, sample)| {
        let [a, b, c, d] = basis(frequencies, n);
        let [pa, pb, pc, pd] = parts;
        sample - a * pa - b * pb - c * pc - d * pd
    })
}

/// Least squares: the normal equations of four unknowns, by elimination.
fn solve(samples: &[f32], frequencies: [f32; 2]) -> Option<[f32; 4]> {
    let mut rows = [[0.0_f32; 5]; 4];
    for (n, sample) in samples.iter().enumerate() {
        let basis = basis(frequencies, n);
        let [a, b, c, d] = basis;
        for (row, one) in rows.iter_mut().zip(basis) {
            for (cell, other) in row.iter_mut().zip([a, b, c, d, *sample]) {
                *cell += one * other;
            }
        }
    }
    for at in 0..4 {
        let pivot = *rows.get(at)?;
        let scale = *pivot.get(at)?;
        if scale.abs() < 1.0e-6 {
            return None;
        }
        for (other, row) in rows.iter_mut().enumerate() {
            let factor = row.get(at).copied()? / scale;
            if other != at {
                for (cell, from) in row.iter_mut().zip(pivot) {
                    *cell -= factor * from;
                }
            }
        }
    }
    let [[a, _, _, _, x], [_, b, _, _, y], [_, _, c, _, z], [_, _, _, d, w]] = rows;
    Some([x / a, y / b, z / c, w / d])
}
