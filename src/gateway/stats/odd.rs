//! Owns when a prefix is odd: its verifications come to an approval clearly less, or clearly more, often than those of the
//! rest of its country, and there are enough of both to say so.

/// Verifications that a prefix, and the rest of its country, must each have to be compared.
pub const PREFIX_ATTEMPTS: u64 = 20;
/// How far the shares must be apart, as a share of all.
pub const PREFIX_APART: f64 = 0.2;
/// How many standard deviations of chance they must be apart: less than once in three hundred times by chance alone.
const DEVIATIONS: f64 = 3.0;

/// How a prefix differs from the rest of its country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// Fewer are verified.
    Low,
    /// More are verified.
    High,
}

/// How many, and how many of them were verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Conversion {
    pub(super) attempts: u64,
    pub(super) verified: u64,
}

impl Conversion {
    pub(super) fn add(&mut self, verified: bool, count: u64) {
        self.attempts = self.attempts.saturating_add(count);
        self.verified = self.verified.saturating_add(if verified { count } else { 0 });
    }

    /// All but those.
    pub(super) fn without(self, part: Self) -> Self {
        Self {
            attempts: self.attempts.saturating_sub(part.attempts),
            verified: self.verified.saturating_sub(part.verified),
        }
    }

    /// The share that was verified; `None` of nothing.
    pub(super) fn rate(self) -> Option<f64> {
        rate(self.verified, self.attempts)
    }
}

/// A share, to a tenth of a percent; `None` of nothing.
pub(super) fn rate(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| ((part.min(all) as f64 / all as f64) * 1000.0).round() / 1000.0)
}

/// Whether a prefix is odd, compared with the rest of its country: the test of two proportions.
pub(super) fn odd(prefix: Conversion, rest: Conversion) -> Option<Oddity> {
    if prefix.attempts < PREFIX_ATTEMPTS || rest.attempts < PREFIX_ATTEMPTS {
        return None;
    }
    let (ours, theirs) = (prefix.attempts as f64, rest.attempts as f64);
    let apart = prefix.verified as f64 / ours - rest.verified as f64 / theirs;
    let all = (prefix.verified as f64 + rest.verified as f64) / (ours + theirs);
    let by_chance = (all * (1.0 - all) * (1.0 / ours + 1.0 / theirs)).sqrt();
    if apart.abs() < PREFIX_APART || apart.abs() < DEVIATIONS * by_chance {
        return None;
    }
    Some(if apart < 0.0 { Oddity::Low } else { Oddity::High })
}
