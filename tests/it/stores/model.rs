//! Owns the comparison of listings with a plain model: lists that are filtered and sorted in the obvious way.

use std::time::Duration;

use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use ringproof::{
    outcome::{Reason, Status},
    store::{CallQuery, ListQuery},
    verification::{CallRecord, Verification},
};

use super::{
    lab::Lab,
    sample::{commit, id, next, number, record, verification},
};

const STATUSES: [Status; 3] = [Status::Pending, Status::Verified, Status::Failed];
const CARRIERS: [&str; 2] = ["main", "trunk"];
const COUNTRIES: [&str; 2] = ["JP", "US"];
const CASES: u32 = 6;

/// One verification of a case, with a call.
#[derive(Debug, Clone)]
struct Made {
    client: u8,
    reference: Option<u8>,
    status: usize,
    carrier: usize,
    country: usize,
    number: u32,
    busy: bool,
    ended_s: u64,
}

/// Questions about all of them.
#[derive(Debug, Clone)]
struct Asked {
    client: u8,
    reference: Option<u8>,
    status: Option<usize>,
    carrier: Option<usize>,
    country: Option<usize>,
    number: Option<u32>,
    busy: bool,
    since_s: Option<u64>,
    until_s: Option<u64>,
    limit: usize,
}

fn made() -> impl Strategy<Value = Made> {
    (0_u8..2, prop::option::of(0_u8..3), 0..3_usize, 0..2_usize, 0..2_usize, 0_u32..6, any::<bool>(), 0_u64..40)
        .prop_map(|(client, reference, status, carrier, country, number, busy, ended_s)| Made {
            client,
            reference,
            status,
            carrier,
            country,
            number,
            busy,
            ended_s,
        })
}

fn asked() -> impl Strategy<Value = Asked> {
    let rare = |strategy: std::ops::Range<usize>| prop::option::weighted(0.3, strategy);
    let times = (prop::option::weighted(0.3, 0_u64..40), prop::option::weighted(0.3, 0_u64..40));
    let number = prop::option::weighted(0.3, 0_u32..6);
    let reference = prop::option::weighted(0.4, 0_u8..3);
    (0_u8..2, reference, rare(0..3), rare(0..2), rare(0..2), number, prop::bool::weighted(0.2), times, 1_usize..30)
        .prop_map(|(client, reference, status, carrier, country, number, busy, (since_s, until_s), limit)| Asked {
            client,
            reference,
            status,
            carrier,
            country,
            number,
            busy,
            since_s,
            until_s,
            limit,
        })
}

/// Runs some cases; each has clients of its own, and ids of its own.
pub(crate) async fn check(lab: &Lab) {
    let config = Config { rng_algorithm: RngAlgorithm::ChaCha, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    for case in 0..CASES {
        let all = vec(made(), 0..60).new_tree(&mut runner).unwrap().current();
        let asked = vec(asked(), 20).new_tree(&mut runner).unwrap().current();
        run(lab, case, &all, &asked).await;
    }
}

async fn run(lab: &Lab, case: u32, all: &[Made], asked: &[Asked]) {
    let begin = lab.now().await;
    let client = |client: u8| format!("client {case}.{client}");
    let (mut values, mut records) = (Vec::new(), Vec::new());
    for (n, made) in all.iter().enumerate() {
        // The ids are not made in their order.
        let mut value = verification(case * 1_000 + (n as u32 * 37) % 61, &client(made.client));
        value.request.reference = made.reference.map(|reference| format!("user {reference}"));
        lab.store.create(commit(&value)).await.unwrap();
        let value = Verification { status: STATUSES[made.status], ..next(&value) };
        let mut record = record(&value, 0, begin.plus(Duration::from_secs(made.ended_s)));
        record.status = value.status;
        record.carrier = CARRIERS[made.carrier].to_owned();
        record.country = COUNTRIES[made.country].parse().unwrap();
        record.number_hash = number(made.number);
        record.reason = made.busy.then_some(Reason::Busy);
        let mut change = commit(&value);
        change.records = vec![record.clone()];
        lab.store.commit(change).await.unwrap();
        values.push(value);
        records.push(record);
    }
    values.sort_by_key(|value| std::cmp::Reverse(value.id));
    records.sort_by_key(|record| std::cmp::Reverse((record.ended_at, record.id)));
    for asked in asked {
        let query = ListQuery {
            client: client(asked.client),
            reference: asked.reference.map(|reference| format!("user {reference}")),
            status: asked.status.map(|status| STATUSES[status]),
            before: None,
            limit: asked.limit,
        };
        list(lab, &query, &values).await;
        let at = |seconds: u64| begin.plus(Duration::from_secs(seconds));
        let query = CallQuery {
            client: Some(client(asked.client)),
            since: asked.since_s.map(at),
            until: asked.until_s.map(at),
            number: asked.number.map(number),
            last_digits: None,
            reference: asked.reference.map(|reference| format!("user {reference}")),
            fault: None,
            status: asked.status.map(|status| STATUSES[status]),
            reason: asked.busy.then_some(Reason::Busy),
            carrier: asked.carrier.map(|carrier| CARRIERS[carrier].to_owned()),
            country: asked.country.map(|country| COUNTRIES[country].parse().unwrap()),
            before: None,
            limit: asked.limit,
        };
        calls(lab, &query, &records).await;
    }
}

async fn list(lab: &Lab, query: &ListQuery, all: &[Verification]) {
    let expected: Vec<_> = all
        .iter()
        .filter(|value| value.request.client == query.client)
        .filter(|value| query.reference.is_none() || value.request.reference == query.reference)
        .filter(|value| query.status.is_none_or(|status| status == value.status))
        .map(|value| (value.id, value.revision))
        .collect();
    let (mut found, mut query) = (Vec::new(), query.clone());
    loop {
        let page = lab.store.list(&query).await.unwrap();
        assert!(page.items.len() <= query.limit);
        found.extend(page.items.iter().map(|value| (value.id, value.revision)));
        let Some(next) = page.next else { break };
        query.before = Some(next.parse().unwrap());
    }
    assert_eq!(found, expected, "{query:?}");
}

async fn calls(lab: &Lab, query: &CallQuery, all: &[CallRecord]) {
    let expected: Vec<CallRecord> = all
        .iter()
        .filter(|record| Some(&record.client) == query.client.as_ref())
        .filter(|record| query.since.is_none_or(|since| record.ended_at >= since))
        .filter(|record| query.until.is_none_or(|until| record.ended_at < until))
        .filter(|record| query.number.is_none_or(|number| record.number_hash == number))
        .filter(|record| query.reference.is_none() || record.reference == query.reference)
        .filter(|record| query.status.is_none_or(|status| record.status == status))
        .filter(|record| query.reason.is_none() || record.reason == query.reason)
        .filter(|record| query.carrier.as_ref().is_none_or(|carrier| record.carrier == *carrier))
        .filter(|record| query.country.is_none_or(|country| record.country == country))
        .cloned()
        .collect();
    let (mut found, mut query) = (Vec::new(), query.clone());
    loop {
        let page = lab.store.calls(&query).await.unwrap();
        assert!(page.items.len() <= query.limit);
        found.extend(page.items);
        let Some(next) = page.next else { break };
        query.before = Some(next.parse().unwrap());
    }
    assert_eq!(found, expected, "{query:?}");
    for record in expected.iter().take(1) {
        assert_eq!(lab.store.call(record.id).await.unwrap().as_ref(), Some(record));
        assert!(lab.store.load(id(999_999)).await.unwrap().is_none());
    }
}
