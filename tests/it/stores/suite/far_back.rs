//! Owns what must hold of filters of the call log that want little of much: it is found, however far back it stands, and
//! nothing else is.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use ringproof::{
    outcome::{Fault, Reason, Status},
    store::CallQuery,
    time::Timestamp,
    verification::{CallRecord, Cause, End},
};

use crate::stores::{
    lab::Lab,
    sample::{KEEP, commit, number, record, verification},
};

/// Calls in one partition: more than any store looks at before it asks its index.
const CALLS: u32 = 700;

/// The `n`th call; those whose number is divided by 233 have something rare of each kind.
fn call(n: u32, begin: Timestamp) -> CallRecord {
    let rare = n.is_multiple_of(233);
    // All in one partition; the ends are not in the order in which they are written, and some are at the same moment.
    let mut value = verification(n * 16, if rare { "pilot" } else { "shop" });
    value.request.reference = Some(if rare { String::from("user-rare") } else { format!("user-{}", n % 40) });
    let back = (n * 7_919 % CALLS) / 3;
    let mut made = record(&value, 0, begin.minus(Duration::from_millis(u64::from(back) * 250)));
    made.to_masked = format!("+81 •• •••• {:04}", if rare { 9_999 } else { 1_000 + n % 300 });
    made.number_hash = if rare { number(4_000_000_000) } else { number(n * 16) };
    made.carrier = String::from(if rare { "retired" } else { ["main", "trunk"][n as usize % 2] });
    made.country = if rare { "IS" } else { ["JP", "US"][n as usize / 2 % 2] }.parse().unwrap();
    made.reason = match n % 5 {
        _ if rare => Some(Reason::Blocked),
        0 => Some(Reason::Busy),
        1 => Some(Reason::NoAnswer),
        _ => None,
    };
    made.status = made.reason.map_or(Status::Verified, Reason::status);
    let fault = if rare { Fault::Us } else { [Fault::None, Fault::Callee][usize::from(made.reason.is_some())] };
    made.cause = Some(Cause { end: End::Completed, fault, carrier_code: None, sip_status: None });
    made
}

/// Writes them, and gives them newest first.
pub(crate) async fn written(lab: &Lab, calls: u32) -> Vec<CallRecord> {
    let begin = lab.now().await;
    let mut records: Vec<CallRecord> = (0..calls).map(|n| call(n, begin)).collect();
    stream::iter((0..calls).zip(&records))
        .for_each_concurrent(64, |(n, made)| async move {
            let value = verification(n * 16, &made.client);
            let mut change = commit(&value);
            change.records = vec![made.clone()];
            change.keep_records_for = KEEP;
            lab.store.create(change).await.unwrap();
        })
        .await;
    records.sort_by_key(|record| std::cmp::Reverse((record.ended_at, record.id)));
    records
}

fn queries(records: &[CallRecord]) -> Vec<CallQuery> {
    let all = || CallQuery { limit: 50, ..CallQuery::default() };
    let rare = records.iter().rfind(|record| record.client == "pilot").unwrap();
    let digits = |text: &str| Some(text.parse().unwrap());
    let middle = records[records.len() / 2].ended_at;
    vec![
        CallQuery { number: Some(rare.number_hash), ..all() },
        CallQuery { number: Some(rare.number_hash), carrier: Some(rare.carrier.clone()), ..all() },
        CallQuery { number: Some(rare.number_hash), carrier: Some(String::from("main")), ..all() },
        CallQuery { number: Some(number(3_999_999_999)), ..all() },
        CallQuery { last_digits: digits("9999"), ..all() },
        CallQuery { last_digits: digits("999"), ..all() },
        CallQuery { last_digits: digits("0"), reason: Some(Reason::Busy), limit: 7, ..all() },
        CallQuery { reference: Some(String::from("user-rare")), ..all() },
        CallQuery { reference: Some(String::from("user-7")), limit: 3, ..all() },
        CallQuery { reference: Some(String::from("nobody")), ..all() },
        CallQuery { client: Some(String::from("pilot")), ..all() },
        CallQuery { client: Some(String::from("pilot")), limit: 1, ..all() },
        CallQuery { client: Some(String::from("nobody")), ..all() },
        CallQuery { reason: Some(Reason::Blocked), ..all() },
        CallQuery { fault: Some(Fault::Us), ..all() },
        CallQuery { carrier: Some(String::from("retired")), ..all() },
        CallQuery { country: Some("IS".parse().unwrap()), ..all() },
        CallQuery { status: Some(Status::Verified), reason: Some(Reason::Busy), ..all() },
        CallQuery { status: Some(Status::Failed), carrier: Some(String::from("trunk")), limit: 30, ..all() },
        CallQuery { reason: Some(Reason::Blocked), since: Some(middle), ..all() },
        CallQuery { reason: Some(Reason::Blocked), until: Some(middle), ..all() },
        CallQuery { client: Some(String::from("shop")), country: Some("US".parse().unwrap()), limit: 1_000, ..all() },
    ]
}

/// Compares every query, page by page, with a plain filter. The first page holds all that it has room for.
pub(crate) async fn compare(lab: &Lab, records: &[CallRecord]) {
    for mut query in queries(records) {
        let expected: Vec<&CallRecord> = records.iter().filter(|record| query.admits(record)).collect();
        let mut found = Vec::new();
        loop {
            let page = lab.store.calls(&query).await.unwrap();
            if found.is_empty() {
                assert_eq!(page.items.len(), expected.len().min(query.limit), "the first page of {query:?}");
            }
            assert!(page.items.len() <= query.limit);
            found.extend(page.items);
            let Some(next) = page.next else { break };
            query.before = Some(next.parse().unwrap());
        }
        assert_eq!(found.len(), expected.len(), "{query:?}");
        assert!(found.iter().eq(expected.iter().copied()), "{query:?}");
    }
}

pub(crate) async fn what_is_rare_is_found_however_far_back(lab: &Lab) {
    let records = written(lab, CALLS).await;
    compare(lab, &records).await;
    lab.no_key_is_forgotten();
}

pub(crate) async fn what_is_erased_leaves_nothing_in_the_index(lab: &Lab) {
    let records = written(lab, CALLS).await;
    let rare: Vec<CallRecord> = records.iter().filter(|record| record.client == "pilot").cloned().collect();
    assert_eq!(lab.store.erase(&rare).await.unwrap(), rare.len());
    let left: Vec<CallRecord> = records.iter().filter(|record| record.client != "pilot").cloned().collect();
    for query in queries(&records) {
        let page = lab.store.calls(&CallQuery { limit: 1_000, ..query.clone() }).await.unwrap();
        let expected: Vec<&CallRecord> = left.iter().filter(|record| query.admits(record)).collect();
        assert!(page.items.iter().eq(expected.iter().copied()), "{query:?}");
    }
    // The beginning of the hash of the number stood in the rows; the number hash of the record is found nowhere.
    for server in &lab.servers {
        for key in server.keys().into_iter().filter(|key| key.contains(":log-m:")) {
            let marks: Vec<u8> = server.send(&["GET", &key]);
            let number = rare[0].number_hash;
            assert!(marks.chunks(8).all(|row| row[..3] != number.as_bytes()[..3]), "{key}");
        }
    }
}
