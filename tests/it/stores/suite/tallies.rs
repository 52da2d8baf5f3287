//! Owns what must hold of the tallies: once for each settled verification, whoever wrote it and however often, and the same
//! in every store.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use ringproof::{
    outcome::{Reason, Status},
    store::{
        CallQuery, CarrierKind, Committed, Counts, MOST_SPANS, OutcomeKind, PrefixKind, Span, Store, Tally, TallyQuery,
    },
    time::Timestamp,
    verification::{CallRecord, Verification},
};

use crate::stores::{
    lab::Lab,
    life,
    sample::{KEEP, commit, id, next, record, verification},
};

/// A tally of a value that was settled at a time.
pub(crate) fn tally(value: &Verification, at: Timestamp) -> Tally {
    let settled = Verification { status: Status::Verified, decided_at: Some(at), ..value.clone() };
    Tally::of(&settled).expect("it is settled")
}

/// All that was counted in the spans from one hour before to one after a time.
pub(crate) async fn counted(store: &dyn Store, span: Span, around: Timestamp) -> Counts {
    let hour = Duration::from_hours(1);
    let (first, last) = (span.index(around.minus(hour)), span.index(around.plus(hour)));
    let query = TallyQuery { span, first, count: usize::try_from(last - first + 1).unwrap() };
    let spans = store.tallies(query).await.unwrap();
    assert_eq!(spans.len(), query.count);
    let mut all = Counts::default();
    for Counts { outcomes, prefixes } in spans {
        outcomes.into_iter().for_each(|(kind, count)| *all.outcomes.entry(kind).or_default() += count);
        prefixes.into_iter().for_each(|(kind, count)| *all.prefixes.entry(kind).or_default() += count);
    }
    all
}

fn sum<K>(counts: &BTreeMap<K, u64>) -> u64 {
    counts.values().sum()
}

pub(crate) async fn what_is_settled_is_counted_once(lab: &Lab) {
    let (store, now) = (&lab.store, lab.now().await);
    let value = verification(1, "a");
    store.create(commit(&value)).await.unwrap();
    let after = next(&value);
    let settling = || {
        let mut change = commit(&after);
        change.tally = Some(tally(&after, now));
        change
    };
    assert!(matches!(store.commit(settling()).await.unwrap(), Committed::Done(_)));
    // The same change by somebody else, later ones, and one that comes too late count nothing.
    assert_eq!(store.commit(settling()).await.unwrap(), Committed::Conflict);
    let later = next(&after);
    assert!(matches!(store.commit(commit(&later)).await.unwrap(), Committed::Done(_)));
    let end = next(&later);
    let mut late = commit(&end);
    late.before = Some(now.minus(KEEP));
    late.tally = Some(tally(&end, now));
    assert!(matches!(store.commit(late).await.unwrap(), Committed::TooLate(_)));

    let Tally { outcome, prefix, .. } = tally(&after, now);
    let hours = counted(store.as_ref(), Span::Hour, now).await;
    assert_eq!(hours.outcomes, BTreeMap::from([(outcome.clone(), 1)]));
    assert_eq!(hours.prefixes, BTreeMap::from([(prefix.clone(), 1)]));
    assert_eq!((prefix.prefix.as_str(), prefix.verified), ("+81901", true));
    let minutes = counted(store.as_ref(), Span::Minute, now).await;
    assert_eq!(minutes, Counts { outcomes: BTreeMap::from([(outcome, 1)]), prefixes: BTreeMap::new() });
    lab.no_key_is_forgotten();
}

pub(crate) async fn of_many_that_settle_at_once_one_counts(lab: &Lab) {
    let now = lab.now().await;
    for n in 0..20 {
        let value = verification(n, "a");
        lab.store.create(commit(&value)).await.unwrap();
        let after = next(&value);
        let at_once = (0..8).map(|_| {
            let mut change = commit(&after);
            change.tally = Some(tally(&after, now));
            lab.store.commit(change)
        });
        let done = futures_util::future::join_all(at_once).await;
        let done = done.into_iter().filter(|done| matches!(done, Ok(Committed::Done(_)))).count();
        assert_eq!(done, 1);
    }
    let hours = counted(lab.store.as_ref(), Span::Hour, now).await;
    assert_eq!((sum(&hours.outcomes), sum(&hours.prefixes)), (20, 20));
}

pub(crate) async fn lives_are_counted_as_they_went(lab: &Lab) {
    for n in 0..12 {
        life::live(lab.store.as_ref(), n).await;
    }
    let hours = counted(lab.store.as_ref(), Span::Hour, lab.now().await).await;
    let kind = OutcomeKind {
        client: String::from("enrolment"),
        status: Status::Verified,
        reason: None,
        country: "JP".parse().ok(),
        carrier: CarrierKind::Named(String::from("main")),
        // Answered after 4 s, verified after 11 s.
        answered: Some(1),
        verified: Some(3),
    };
    assert_eq!(hours.outcomes, BTreeMap::from([(kind, 12)]));
    assert_eq!(sum(&hours.prefixes), 12);
}

pub(crate) async fn kinds_have_a_bound(lab: &Lab) {
    const PREFIXES: u64 = 520;
    let now = lab.now().await;
    // One after another onto one verification: all in one partition.
    let mut value = verification(1, "a");
    lab.store.create(commit(&value)).await.unwrap();
    for n in 0..PREFIXES {
        value = next(&value);
        let mut counts = tally(&value, now);
        counts.prefix.prefix = format!("+81{n:03}");
        let mut change = commit(&value);
        change.tally = Some(counts);
        assert!(matches!(lab.store.commit(change).await.unwrap(), Committed::Done(_)));
    }
    let hours = counted(lab.store.as_ref(), Span::Hour, now).await;
    assert_eq!((sum(&hours.prefixes), sum(&hours.outcomes)), (PREFIXES, PREFIXES));
    let rest: u64 = hours
        .prefixes
        .iter()
        .filter(|(kind, _)| kind.prefix.is_empty() && kind.country.is_none())
        .map(|(_, n)| n)
        .sum();
    // 511 prefixes beside the one outcome.
    assert_eq!((rest, hours.prefixes.len()), (PREFIXES - 511, 512));
}

pub(crate) async fn spans_without_anything_are_empty(lab: &Lab) {
    let now = lab.now().await;
    let query = TallyQuery { span: Span::Hour, first: Span::Hour.index(now) - 200, count: MOST_SPANS + 9 };
    assert_eq!(lab.store.tallies(query).await.unwrap(), vec![Counts::default(); MOST_SPANS]);
    assert_eq!(lab.store.tallies(TallyQuery { count: 0, ..query }).await.unwrap(), []);
}

/// A settled verification with its call.
#[derive(Debug, Clone)]
struct Made {
    client: u8,
    reason: Option<usize>,
    carrier: u8,
    country: u8,
    ago_min: u64,
    /// How often the change that settles it is written.
    tries: usize,
}

fn made() -> impl Strategy<Value = Made> {
    let reason = prop::option::of(0..Reason::ALL.len());
    (0_u8..2, reason, 0_u8..3, 0_u8..2, 0_u64..50, 1_usize..3).prop_map(
        |(client, reason, carrier, country, ago_min, tries)| Made { client, reason, carrier, country, ago_min, tries },
    )
}

/// By what the call log can be counted.
type Counted = BTreeMap<(String, Status, Option<Reason>, String, String), u64>;

pub(crate) async fn tallies_equal_a_recount_of_the_call_log(lab: &Lab) {
    let config = Config { rng_algorithm: RngAlgorithm::ChaCha, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let all = vec(made(), 150).new_tree(&mut runner).unwrap().current();
    let now = lab.now().await;
    for (n, made) in all.iter().enumerate() {
        write(lab, n as u32, made, now).await;
    }
    let recount = recounted(lab).await;
    assert_eq!(recount.values().sum::<u64>(), 150);
    for span in [Span::Hour, Span::Minute] {
        let counts = counted(lab.store.as_ref(), span, now).await;
        let mut told = Counted::new();
        for (kind, count) in counts.outcomes {
            let country = kind.country.map(|country| country.to_string()).unwrap_or_default();
            let carrier = match kind.carrier {
                CarrierKind::Named(name) => name,
                CarrierKind::Nobody | CarrierKind::Other => String::new(),
            };
            *told.entry((kind.client, kind.status, kind.reason, country, carrier)).or_default() += count;
        }
        assert_eq!(told, recount, "{span:?}");
    }
}

async fn write(lab: &Lab, n: u32, made: &Made, now: Timestamp) {
    let value = verification(n, ["a", "b"][usize::from(made.client)]);
    lab.store.create(commit(&value)).await.unwrap();
    let at = now.minus(Duration::from_secs(60 * made.ago_min));
    let reason = made.reason.map(|reason| Reason::ALL[reason]);
    let status = reason.map_or(Status::Verified, Reason::status);
    let after = Verification { status, reason, decided_at: Some(at), ..next(&value) };
    let (carrier, country) = (format!("carrier-{}", made.carrier), ["JP", "US"][usize::from(made.country)]);
    let country = country.parse().unwrap();
    let call = CallRecord { status, reason, carrier: carrier.clone(), country, ..record(&after, 0, at) };
    for _ in 0..made.tries {
        let mut counts = Tally::of(&after).unwrap();
        counts.outcome = OutcomeKind {
            carrier: CarrierKind::Named(carrier.clone()),
            country: Some(country),
            answered: (!n.is_multiple_of(3)).then_some((n % 11) as u8),
            ..counts.outcome
        };
        counts.prefix = PrefixKind { country: Some(country), ..counts.prefix };
        let mut change = commit(&after);
        (change.tally, change.records) = (Some(counts), vec![call.clone()]);
        lab.store.commit(change).await.unwrap();
    }
    assert_eq!(lab.store.load(id(n)).await.unwrap().unwrap().revision, 2);
}

async fn recounted(lab: &Lab) -> Counted {
    let mut counted = Counted::new();
    let mut query = CallQuery { limit: 100, ..CallQuery::default() };
    loop {
        let page = lab.store.calls(&query).await.unwrap();
        for call in page.items {
            let key = (call.client, call.status, call.reason, call.country.to_string(), call.carrier);
            *counted.entry(key).or_default() += 1;
        }
        let Some(next) = page.next else { return counted };
        query.before = Some(next.parse().unwrap());
    }
}
