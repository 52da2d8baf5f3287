//! Owns how long something takes of most: numbers in buckets of time, and the quantiles that are read from them.

/// Half of them, and all but the slowest twentieth.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Quantiles {
    /// The median, in seconds.
    pub p50: f64,
    /// The 95th percentile, in seconds. Where it lies above the longest time that is told apart, that time.
    pub p95: f64,
}

/// How many fell into each bucket of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Distribution<const BOUNDS: usize> {
    bounds: &'static [u32; BOUNDS],
    /// One for each bound, and one above the last.
    counts: Vec<u64>,
}

impl<const BOUNDS: usize> Distribution<BOUNDS> {
    pub(super) fn new(bounds: &'static [u32; BOUNDS]) -> Self {
        Self { bounds, counts: vec![0; BOUNDS + 1] }
    }

    /// Adds to a bucket; one that there is not is the last.
    pub(super) fn add(&mut self, bucket: u8, count: u64) {
        if let Some(of) = self.counts.get_mut(usize::from(bucket).min(BOUNDS)) {
            *of = of.saturating_add(count);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (of, count) in self.counts.iter_mut().zip(&other.counts) {
            *of = of.saturating_add(*count);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// `None` of nothing.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        Some(Quantiles { p50: self.quantile(0.5)?, p95: self.quantile(0.95)? })
    }

    /// The time that this share does not exceed, as if a bucket's times lay evenly in it; to a tenth of a second.
    fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let wanted = share * total as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (count, bound) in self.counts.iter().zip(self.bounds) {
            let (count, upper) = (*count as f64, f64::from(*bound));
            if count > 0.0 && below + count >= wanted {
                let at = lower + (upper - lower) * ((wanted - below) / count).clamp(0.0, 1.0);
                return Some((at * 10.0).round() / 10.0);
            }
            (below, lower) = (below + count, upper);
        }
        Some(lower)
    }
}
