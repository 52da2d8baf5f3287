//! Owns the statistics of settled verifications: reading the store's tallies of a range of time, keeping what no longer
//! changes at hand, and the range before as what is usual. Adding up is in [`sum`], the document in [`document`], what makes
//! a prefix odd in [`odd`].

mod document;
mod odd;
mod quantile;
mod sum;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use quick_cache::sync::Cache;

use super::{Gateway, Refusal, create::store_away};
use crate::{
    store::{Counts, MOST_SPANS, Span, StoreError, TallyQuery},
    time::Timestamp,
};

pub use document::{
    CarrierStats, CountryStats, Measures, PrefixStats, ReasonStats, Stats, StatsStep, Usual, VerificationCounts,
};
pub use odd::{Oddity, PREFIX_APART, PREFIX_ATTEMPTS};
pub use quantile::Quantiles;

/// How long after its end a span may still be added to: by a ringproof whose clock is behind, or that waits for the store.
const OPEN_FOR: Duration = Duration::from_secs(120);
/// Most closed spans at hand: a week, a day and an hour, and what passes meanwhile.
const MOST_AT_HAND: usize = 512;
/// Over how much time before the range is counted what is usual.
const USUAL_HOURS: u64 = 7 * 24;

/// Which statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsQuery {
    /// Of this client's verifications; `None` for those of all clients, which only operators may see.
    pub client: Option<String>,
    /// Over which time.
    pub range: StatsRange,
}

/// A range of time that ends now.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StatsRange {
    /// The last 60 minutes, in steps of a minute.
    #[default]
    Hour,
    /// The last 24 hours, in steps of an hour.
    Day,
    /// The last 7 days, in steps of 6 hours.
    Week,
}

impl StatsRange {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The word in URLs and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// Of which spans it is made, how many, and how many of them make a step.
    const fn spans(self) -> (Span, usize, usize) {
        match self {
            Self::Hour => (Span::Minute, 60, 1),
            Self::Day => (Span::Hour, 24, 1),
            Self::Week => (Span::Hour, 168, 6),
        }
    }
}

impl std::str::FromStr for StatsRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        Self::ALL.into_iter().find(|range| range.as_str() == text).ok_or(NotARange)
    }
}

/// A word that is no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range is hour, day or week")]
pub struct NotARange;

/// Spans that can no longer change.
pub(super) struct AtHand(Cache<(Span, u64), Arc<Counts>>);

impl Default for AtHand {
    fn default() -> Self {
        Self(Cache::new(MOST_AT_HAND))
    }
}

impl Gateway {
    /// What came of the verifications that were settled in a range of time that ends now.
    ///
    /// # Errors
    /// `StoreAway`.
    pub async fn stats(&self, query: &StatsQuery) -> Result<Stats, Refusal> {
        let now = self.shell.clock.now();
        self.stats_at(query, now).await.map_err(|fault| store_away(&fault))
    }

    async fn stats_at(&self, query: &StatsQuery, now: Timestamp) -> Result<Stats, StoreError> {
        let (span, count, per_step) = query.range.spans();
        let end = span.index(now) + 1;
        let first = end.saturating_sub(count as u64);
        let spans = self.spans(span, first, end, now).await?;
        let from = span.begin(first);
        let from_hour = Span::Hour.index(from);
        let before = self.spans(Span::Hour, from_hour.saturating_sub(USUAL_HOURS), from_hour, now).await?;
        // Prefixes are counted by the hour: those of the hours that the range touches.
        let hours = self.spans(Span::Hour, from_hour, Span::Hour.index(now) + 1, now).await?;
        Ok(document::Made {
            range: query.range,
            client: query.client.as_deref(),
            from,
            until: span.begin(end),
            step: span.length() * u32::try_from(per_step).unwrap_or(1),
            steps: spans.chunks(per_step).collect(),
            before: &before,
            before_from: Span::Hour.begin(from_hour.saturating_sub(USUAL_HOURS)),
            hours: &hours,
            hours_from: Span::Hour.begin(from_hour),
        }
        .stats())
    }

    /// What was counted from one span to before another, from what is at hand and from the store.
    async fn spans(&self, span: Span, first: u64, end: u64, now: Timestamp) -> Result<Vec<Arc<Counts>>, StoreError> {
        let at_hand = &self.shell.tallies.0;
        let mut found: Vec<Option<Arc<Counts>>> = (first..end).map(|index| at_hand.get(&(span, index))).collect();
        let mut from = 0;
        while let Some(gap) = found.iter().skip(from).position(Option::is_none).map(|at| at + from) {
            let length = found.iter().skip(gap).take(MOST_SPANS).take_while(|counts| counts.is_none()).count();
            let query = TallyQuery { span, first: first + gap as u64, count: length };
            let read = self.shell.store.tallies(query).await?;
            for ((place, counts), index) in found.iter_mut().skip(gap).zip(read).zip(query.first..) {
                let counts = Arc::new(counts);
                if span.begin(index + 1).plus(OPEN_FOR) <= now {
                    at_hand.insert((span, index), Arc::clone(&counts));
                }
                *place = Some(counts);
            }
            from = gap + length.max(1);
        }
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }
}
