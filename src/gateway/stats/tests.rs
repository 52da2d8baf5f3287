//! Adding up, quantiles, what is odd.

use std::collections::BTreeMap;

use super::{
    document::{Made, prefixes},
    odd::{Conversion, odd},
    quantile::Distribution,
    *,
};
use crate::{
    outcome::{Reason, Status},
    store::{ANSWER_BOUNDS_S, CarrierKind, OutcomeKind, PrefixKind},
};

fn kind(client: &str, reason: Option<Reason>, country: &str, carrier: &str) -> OutcomeKind {
    OutcomeKind {
        client: client.to_owned(),
        status: reason.map_or(Status::Verified, Reason::status),
        reason,
        country: country.parse().ok(),
        carrier: CarrierKind::Named(carrier.to_owned()),
        answered: reason.is_none().then_some(2),
        verified: reason.is_none().then_some(5),
    }
}

fn counts(of: &[(OutcomeKind, u64)]) -> Arc<Counts> {
    Arc::new(Counts { outcomes: of.iter().cloned().collect(), prefixes: BTreeMap::new() })
}

fn stats(spans: &[Arc<Counts>], before: &[Arc<Counts>], client: Option<&str>) -> Stats {
    let at = Timestamp::from_ms(1_795_000_020_000);
    Made {
        range: StatsRange::Hour,
        client,
        from: at,
        until: at.plus(Duration::from_secs(120)),
        step: Duration::from_secs(60),
        steps: spans.chunks(1).collect(),
        before,
        before_from: at,
        hours: &[],
        hours_from: at,
    }
    .stats()
}

#[test]
fn everything_is_added_up_for_whom_it_is() {
    let spans = [
        counts(&[(kind("a", None, "JP", "main"), 8), (kind("b", Some(Reason::Busy), "US", "main"), 5)]),
        counts(&[(kind("a", Some(Reason::CarrierError), "JP", "trunk"), 2), (kind("a", None, "JP", "main"), 10)]),
    ];
    let before = [counts(&[(kind("a", None, "JP", "main"), 19), (kind("b", None, "JP", "main"), 1)])];
    let all = stats(&spans, &before, None);
    assert_eq!((all.totals.attempts, all.totals.by_status.verified, all.totals.by_status.failed), (25, 18, 7));
    assert_eq!(all.totals.conversion_rate, Some(0.72));
    assert_eq!(all.totals.answered, 18);
    let series: Vec<u64> = all.series.iter().map(|step| step.measures.attempts).collect();
    assert_eq!(series, [13, 12]);
    assert_eq!(all.series[1].at.since(all.series[0].at), Duration::from_secs(60));
    let of: Vec<_> = all.countries.iter().map(|of| (of.country.as_str(), of.measures.attempts)).collect();
    assert_eq!(of, [("JP", 20), ("US", 5)]);
    let of: Vec<_> = all.carriers.iter().map(|of| (of.carrier.as_deref(), of.carrier_errors)).collect();
    assert_eq!(of, [(Some("main"), 0), (Some("trunk"), 2)]);
    let of: Vec<_> = all.reasons.iter().map(|of| (of.reason, of.attempts)).collect();
    assert_eq!(of, [(Reason::Busy, 5), (Reason::CarrierError, 2)]);
    assert_eq!(all.usual.map(|usual| usual.measures.conversion_rate), Some(Some(1.0)));

    let own = stats(&spans, &before, Some("b"));
    assert_eq!((own.totals.attempts, own.countries.len()), (5, 1));
    assert_eq!(own.usual, None, "one verification says nothing");
    let nobody = stats(&spans, &before, Some("c"));
    assert_eq!((nobody.totals.attempts, nobody.totals.conversion_rate), (0, None));
    assert_eq!(nobody.totals.time_to_verify_seconds, None);
}

#[test]
fn long_lists_end_with_the_rest() {
    let many: Vec<_> = (b'A'..=b'Z')
        .flat_map(|a| (b'A'..=b'B').map(move |b| String::from_utf8(vec![a, b]).unwrap()))
        .map(|country| (kind("a", None, &country, "main"), 3))
        .collect();
    let all = stats(&[counts(&many)], &[], None);
    assert_eq!(all.countries.len(), 30);
    assert_eq!(all.countries.iter().map(|of| of.measures.attempts).sum::<u64>(), 3 * 52);
    let rest = all.countries.last().unwrap();
    assert_eq!((rest.country.as_str(), rest.measures.attempts), ("other", 3 * 23));
}

#[test]
fn quantiles_lie_where_the_times_do() {
    let mut times = Distribution::new(&ANSWER_BOUNDS_S);
    assert_eq!(times.quantiles(), None);
    // Ten from 5 to 8 s: the median in the middle of them.
    times.add(2, 10);
    assert_eq!(times.quantiles(), Some(Quantiles { p50: 6.5, p95: 7.9 }));
    times.add(0, 1_000_000);
    assert_eq!(times.quantiles().map(|of| of.p50), Some(1.5));
    // Above all bounds: the last bound is what can be said.
    let mut slow = Distribution::new(&ANSWER_BOUNDS_S);
    slow.add(u8::MAX, u64::MAX);
    slow.add(10, 7);
    assert_eq!(slow.quantiles(), Some(Quantiles { p50: 60.0, p95: 60.0 }));
}

#[test]
fn a_prefix_is_odd_when_it_is_clearly_apart_from_its_country() {
    let of = |attempts, verified| Conversion { attempts, verified };
    let country = of(500, 450);
    assert_eq!(odd(of(40, 4), country), Some(Oddity::Low));
    assert_eq!(odd(of(19, 0), country), None, "too few");
    assert_eq!(odd(of(40, 30), country), None, "15 points are not much");
    assert_eq!(odd(of(40, 0), of(19, 19)), None, "nothing to compare with");
    assert_eq!(odd(of(20, 15), of(20, 10)), None, "25 points, but so few");
    assert_eq!(odd(of(60, 59), of(600, 300)), Some(Oddity::High));
    assert_eq!(odd(of(100, 100), of(100, 100)), None);
    assert_eq!(odd(of(u64::MAX, 0), of(u64::MAX, u64::MAX)), Some(Oddity::Low));
}

#[test]
fn odd_prefixes_come_first_and_small_ones_not_at_all() {
    let mut hour = Counts::default();
    let mut add = |country: &str, prefix: &str, verified, count| {
        let kind = PrefixKind {
            client: String::from("a"),
            country: country.parse().ok(),
            prefix: prefix.to_owned(),
            verified,
        };
        hour.prefixes.insert(kind, count);
    };
    add("JP", "+81901", true, 900);
    add("JP", "+81901", false, 100);
    add("JP", "+81503", false, 30);
    add("JP", "+81502", false, 19);
    add("JP", "", true, 70);
    add("US", "+1201", false, 400);
    let found = prefixes(&sum::prefixes([&hour], None));
    let told: Vec<_> = found.iter().map(|of| (of.prefix.as_str(), of.attempts, of.odd)).collect();
    assert_eq!(told, [("+81503", 30, Some(Oddity::Low)), ("+81901", 1000, Some(Oddity::High)), ("+1201", 400, None)]);
    assert_eq!(found[2].country_conversion_rate, None);
}
