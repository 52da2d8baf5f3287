//! Owns the document of the statistics: what stands in it, and how it is made of sums. A list of countries, carriers or
//! prefixes has a bound; what is left out of it is counted as `other`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    StatsRange,
    odd::{self, Conversion, Oddity, PREFIX_ATTEMPTS},
    quantile::Quantiles,
    sum::{self, Sums},
};
use crate::{
    outcome::{Reason, Status},
    phone::CountryCode,
    store::{CarrierKind, Counts},
    time::Timestamp,
};

/// Most countries and carriers that are listed, `other` among them.
const MOST_COUNTRIES: usize = 30;
const MOST_CARRIERS: usize = 20;
/// Most prefixes that are listed.
const MOST_PREFIXES: usize = 50;
/// Verifications from which on the time before says what is usual.
const USUAL_ATTEMPTS: u64 = 20;
/// What the rest is called.
const OTHER: &str = "other";

/// What came of the verifications that were settled in a range of time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Stats {
    /// The range.
    pub range: StatsRange,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// When the last step ends: soon.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Length of a step, in seconds.
    pub step_seconds: u64,
    /// All of them.
    pub totals: Measures,
    /// The seven days before the range; null where too little was counted then.
    pub usual: Option<Usual>,
    /// Step after step, the last one not over yet.
    pub series: Vec<StatsStep>,
    /// By reason, the most frequent first. Verified ones have none.
    pub reasons: Vec<ReasonStats>,
    /// By country of the number that was called last, the most frequent first.
    pub countries: Vec<CountryStats>,
    /// By carrier of the last call, the most frequent first.
    pub carriers: Vec<CarrierStats>,
    /// By where the number begins: those with at least 20 verifications, the odd ones first.
    pub prefixes: Vec<PrefixStats>,
    /// From when on prefixes are counted: they are kept by the hour.
    #[schema(value_type = String, format = DateTime)]
    pub prefixes_from: Timestamp,
}

/// What verifications came to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Measures {
    /// Verifications that were settled.
    pub attempts: u64,
    /// Those by their status.
    pub by_status: VerificationCounts,
    /// Those of which a call was answered.
    pub answered: u64,
    /// The share that was verified, 0 to 1; null of nothing.
    #[schema(minimum = 0, maximum = 1)]
    pub conversion_rate: Option<f64>,
    /// From the creation to the first answer; null where nobody answered.
    pub time_to_answer_seconds: Option<Quantiles>,
    /// From the creation to the approval; null where none was verified.
    pub time_to_verify_seconds: Option<Quantiles>,
}

/// Settled verifications by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerificationCounts {
    /// The right keys came.
    pub verified: u64,
    /// It did not come to that.
    pub failed: u64,
    /// The callee said no.
    pub denied: u64,
    /// The time ran out.
    pub expired: u64,
    /// The client took it back.
    pub canceled: u64,
}

impl VerificationCounts {
    /// How many have a status; none is pending.
    #[must_use]
    pub const fn of(&self, status: Status) -> u64 {
        match status {
            Status::Pending => 0,
            Status::Verified => self.verified,
            Status::Failed => self.failed,
            Status::Denied => self.denied,
            Status::Expired => self.expired,
            Status::Canceled => self.canceled,
        }
    }
}

/// What is usual.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Usual {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when: the hour in which the range begins.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// What the verifications then came to.
    #[serde(flatten)]
    pub measures: Measures,
}

/// A step of time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StatsStep {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What the verifications settled in it came to.
    #[serde(flatten)]
    pub measures: Measures,
    /// Why those were not verified that were not.
    pub reasons: Vec<ReasonStats>,
}

/// How often a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReasonStats {
    /// The status that it belongs to.
    pub status: Status,
    /// The reason.
    pub reason: Reason,
    /// How many verifications.
    pub attempts: u64,
}

/// A country.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CountryStats {
    /// ISO 3166-1 alpha-2, or `other`.
    #[schema(example = "JP")]
    pub country: String,
    /// What its verifications came to.
    #[serde(flatten)]
    pub measures: Measures,
}

/// A carrier.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CarrierStats {
    /// Its name in the configuration, or `other`; null where no call was begun.
    pub carrier: Option<String>,
    /// What its verifications came to.
    #[serde(flatten)]
    pub measures: Measures,
    /// Verifications that failed because the carrier, or we, could not make the call.
    pub carrier_errors: u64,
}

/// Where numbers begin.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PrefixStats {
    /// `+`, calling code, and at most three national digits.
    #[schema(example = "+81901")]
    pub prefix: String,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Verifications that were settled.
    pub attempts: u64,
    /// Those that were verified.
    pub verified: u64,
    /// Their share.
    pub conversion_rate: Option<f64>,
    /// The share in the rest of the country; null where there is no rest.
    pub country_conversion_rate: Option<f64>,
    /// Whether it is odd: both have at least 20 verifications, the shares are at least 20 points apart, and further than
    /// chance explains.
    pub odd: Option<Oddity>,
}

/// What the document is made of.
pub(super) struct Made<'a> {
    pub(super) range: StatsRange,
    pub(super) client: Option<&'a str>,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) step: Duration,
    pub(super) steps: Vec<&'a [Arc<Counts>]>,
    /// What was before, for what is usual.
    pub(super) before: &'a [Arc<Counts>],
    pub(super) before_from: Timestamp,
    /// The hours that the range touches, for the prefixes.
    pub(super) hours: &'a [Arc<Counts>],
    pub(super) hours_from: Timestamp,
}

impl Made<'_> {
    pub(super) fn stats(&self) -> Stats {
        let sums = Sums::of(self.steps.iter().flat_map(|step| step.iter().map(Arc::as_ref)), self.client);
        let before = Sums::of(self.before.iter().map(Arc::as_ref), self.client);
        let usual = Some(before.all).filter(|before| before.attempts() >= USUAL_ATTEMPTS).map(|before| Usual {
            from: self.before_from,
            until: self.hours_from,
            measures: before.measures(),
        });
        Stats {
            range: self.range,
            from: self.from,
            until: self.until,
            step_seconds: self.step.as_secs(),
            totals: sums.all.measures(),
            usual,
            series: self.series(),
            reasons: sums.all.reasons(),
            countries: countries(&sums),
            carriers: carriers(&sums),
            prefixes: prefixes(&sum::prefixes(self.hours.iter().map(Arc::as_ref), self.client)),
            prefixes_from: self.hours_from,
        }
    }

    fn series(&self) -> Vec<StatsStep> {
        let mut at = self.from;
        let steps = self.steps.iter().map(|step| {
            let sums = Sums::of(step.iter().map(Arc::as_ref), self.client);
            let begin = at;
            at = at.plus(self.step);
            StatsStep { at: begin, measures: sums.all.measures(), reasons: sums.all.reasons() }
        });
        steps.collect()
    }
}

fn countries(sums: &Sums) -> Vec<CountryStats> {
    sum::largest(&sums.countries, MOST_COUNTRIES, &None)
        .into_iter()
        .map(|(country, sum)| CountryStats {
            country: country.map_or_else(|| OTHER.to_owned(), |country| country.to_string()),
            measures: sum.measures(),
        })
        .collect()
}

fn carriers(sums: &Sums) -> Vec<CarrierStats> {
    sum::largest(&sums.carriers, MOST_CARRIERS, &CarrierKind::Other)
        .into_iter()
        .map(|(carrier, sum)| CarrierStats {
            carrier: match carrier {
                CarrierKind::Named(name) => Some(name),
                CarrierKind::Nobody => None,
                CarrierKind::Other => Some(OTHER.to_owned()),
            },
            measures: sum.measures(),
            carrier_errors: sum
                .reasons()
                .iter()
                .find(|of| of.reason == Reason::CarrierError)
                .map_or(0, |of| of.attempts),
        })
        .collect()
}

/// Prefixes with enough verifications: the odd ones first, those that convert less before those that convert more, then by
/// how many.
pub(super) fn prefixes(found: &BTreeMap<(Option<CountryCode>, String), Conversion>) -> Vec<PrefixStats> {
    let mut countries = BTreeMap::<Option<CountryCode>, Conversion>::new();
    for ((country, _), of) in found {
        let all = countries.entry(*country).or_default();
        all.attempts = all.attempts.saturating_add(of.attempts);
        all.verified = all.verified.saturating_add(of.verified);
    }
    let told = found.iter().filter(|((_, prefix), of)| !prefix.is_empty() && of.attempts >= PREFIX_ATTEMPTS);
    let mut prefixes: Vec<PrefixStats> = told
        .map(|((country, prefix), of)| {
            let rest = countries.get(country).copied().unwrap_or_default().without(*of);
            PrefixStats {
                prefix: prefix.clone(),
                country: country.map(|country| country.to_string()),
                attempts: of.attempts,
                verified: of.verified,
                conversion_rate: of.rate(),
                country_conversion_rate: rest.rate(),
                odd: odd::odd(*of, rest),
            }
        })
        .collect();
    prefixes.sort_by(|one, other| {
        let order = |of: &PrefixStats| (of.odd.is_none(), of.odd, std::cmp::Reverse(of.attempts));
        order(one).cmp(&order(other)).then_with(|| one.prefix.cmp(&other.prefix))
    });
    prefixes.truncate(MOST_PREFIXES);
    prefixes
}
