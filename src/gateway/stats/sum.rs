//! Owns adding up tallies: of many spans and kinds to one sum, as a whole, by country, by carrier and by reason.

use std::{borrow::Borrow, collections::BTreeMap};

use super::{
    document::{Measures, ReasonStats, VerificationCounts},
    odd::{Conversion, rate},
    quantile::Distribution,
};
use crate::{
    outcome::{Reason, Status},
    phone::CountryCode,
    store::{ANSWER_BOUNDS_S, CarrierKind, Counts, OutcomeKind, PrefixKind, VERIFY_BOUNDS_S},
};

/// What verifications of any kinds came to.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    by_status: BTreeMap<Status, u64>,
    by_reason: BTreeMap<(Status, Option<Reason>), u64>,
    answered: Distribution<{ ANSWER_BOUNDS_S.len() }>,
    verified: Distribution<{ VERIFY_BOUNDS_S.len() }>,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            by_status: BTreeMap::new(),
            by_reason: BTreeMap::new(),
            answered: Distribution::new(&ANSWER_BOUNDS_S),
            verified: Distribution::new(&VERIFY_BOUNDS_S),
        }
    }
}

impl Sum {
    fn add(&mut self, kind: &OutcomeKind, count: u64) {
        let of = self.by_status.entry(kind.status).or_default();
        *of = of.saturating_add(count);
        let of = self.by_reason.entry((kind.status, kind.reason)).or_default();
        *of = of.saturating_add(count);
        if let Some(bucket) = kind.answered {
            self.answered.add(bucket, count);
        }
        if let Some(bucket) = kind.verified {
            self.verified.add(bucket, count);
        }
    }

    pub(super) fn attempts(&self) -> u64 {
        self.by_status.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(super) fn measures(&self) -> Measures {
        let of = |status| self.by_status.get(&status).copied().unwrap_or_default();
        let (attempts, verified) = (self.attempts(), of(Status::Verified));
        Measures {
            attempts,
            by_status: VerificationCounts {
                verified,
                failed: of(Status::Failed),
                denied: of(Status::Denied),
                expired: of(Status::Expired),
                canceled: of(Status::Canceled),
            },
            answered: self.answered.total(),
            conversion_rate: rate(verified, attempts),
            time_to_answer_seconds: self.answered.quantiles(),
            time_to_verify_seconds: self.verified.quantiles(),
        }
    }

    /// How often each reason, the most frequent first.
    pub(super) fn reasons(&self) -> Vec<ReasonStats> {
        let mut reasons: Vec<_> = self
            .by_reason
            .iter()
            .filter_map(|((status, reason), count)| {
                let reason = (*reason)?;
                Some(ReasonStats { status: *status, reason, attempts: *count })
            })
            .collect();
        reasons.sort_by_key(|of| (std::cmp::Reverse(of.attempts), of.reason));
        reasons
    }
}

/// The sums of a range.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) all: Sum,
    pub(super) countries: BTreeMap<Option<CountryCode>, Sum>,
    pub(super) carriers: BTreeMap<CarrierKind, Sum>,
}

/// Whether a kind is of the client that is asked for.
fn is_of(client: Option<&str>, of: &str) -> bool {
    client.is_none_or(|client| client == of)
}

impl Sums {
    /// Adds a client's, or all, of some spans.
    pub(super) fn of(spans: impl IntoIterator<Item = impl Borrow<Counts>>, client: Option<&str>) -> Self {
        let mut sums = Self::default();
        for counts in spans {
            for (kind, count) in counts.borrow().outcomes.iter().filter(|(kind, _)| is_of(client, &kind.client)) {
                sums.all.add(kind, *count);
                sums.countries.entry(kind.country).or_default().add(kind, *count);
                sums.carriers.entry(kind.carrier.clone()).or_default().add(kind, *count);
            }
        }
        sums
    }
}

/// The largest of some sums, and the rest of them as one.
pub(super) fn largest<K: Ord + Clone>(sums: &BTreeMap<K, Sum>, most: usize, rest: &K) -> Vec<(K, Sum)> {
    let mut all: Vec<(K, Sum)> = sums.iter().map(|(key, sum)| (key.clone(), sum.clone())).collect();
    all.sort_by_key(|(key, sum)| (std::cmp::Reverse(sum.attempts()), key.clone()));
    if all.len() <= most {
        return all;
    }
    let mut others = Sum::default();
    for (_, sum) in all.split_off(most.saturating_sub(1)) {
        others.merge(&sum);
    }
    if let Some((_, own)) = all.iter_mut().find(|(key, _)| key == rest) {
        own.merge(&others);
    } else {
        all.push((rest.clone(), others));
    }
    all
}

impl Sum {
    fn merge(&mut self, other: &Self) {
        for (status, count) in &other.by_status {
            let of = self.by_status.entry(*status).or_default();
            *of = of.saturating_add(*count);
        }
        for (key, count) in &other.by_reason {
            let of = self.by_reason.entry(*key).or_default();
            *of = of.saturating_add(*count);
        }
        self.answered.merge(&other.answered);
        self.verified.merge(&other.verified);
    }
}

/// What the prefixes came to, by country and prefix; those that are counted together have none.
pub(super) fn prefixes(
    spans: impl IntoIterator<Item = impl Borrow<Counts>>,
    client: Option<&str>,
) -> BTreeMap<(Option<CountryCode>, String), Conversion> {
    let mut found = BTreeMap::<_, Conversion>::new();
    for counts in spans {
        for (kind, count) in counts.borrow().prefixes.iter().filter(|(kind, _)| is_of(client, &kind.client)) {
            let PrefixKind { country, prefix, verified, .. } = kind;
            found.entry((*country, prefix.clone())).or_default().add(*verified, *count);
        }
    }
    found
}
