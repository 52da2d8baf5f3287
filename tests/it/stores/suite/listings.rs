//! Owns what must hold of listings of verifications and of the call log.

use std::time::Duration;

use ringproof::{
    id::CallId,
    outcome::{DeliveryOutcome, Fault, Reason, Status},
    store::{CallQuery, ListQuery},
    verification::{CallRecord, Cause, Delivery, End, Verification},
};

use crate::stores::{
    lab::Lab,
    model,
    sample::{BEGIN, KEEP, commit, id, next, number, record, verification},
};

fn of(client: &str) -> ListQuery {
    ListQuery { client: client.to_owned(), limit: 100, ..ListQuery::default() }
}

async fn ids(lab: &Lab, query: &ListQuery) -> Vec<u32> {
    let page = lab.store.list(query).await.unwrap();
    page.items.iter().map(|value| (0..100).find(|n| id(*n) == value.id).unwrap()).collect()
}

pub(crate) async fn verifications_are_listed(lab: &Lab) {
    for n in 0..10 {
        let client = if n == 9 { "b" } else { "a" };
        let mut value = verification(n, client);
        value.request.reference = Some(format!("user-{}", n % 3));
        lab.store.create(commit(&value)).await.unwrap();
        if n % 2 == 0 {
            lab.store.commit(commit(&Verification { status: Status::Verified, ..next(&value) })).await.unwrap();
        }
    }
    assert_eq!(ids(lab, &of("a")).await, [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(ids(lab, &of("b")).await, [9]);
    assert_eq!(ids(lab, &of("nobody")).await, [0_u32; 0]);
    let pending = ListQuery { status: Some(Status::Pending), ..of("a") };
    assert_eq!(ids(lab, &pending).await, [7, 5, 3, 1]);
    let reference = ListQuery { reference: Some(String::from("user-0")), ..of("a") };
    assert_eq!(ids(lab, &reference).await, [6, 3, 0], "not the one of the other client");
    assert_eq!(ids(lab, &ListQuery { before: Some(id(6)), ..reference.clone() }).await, [3, 0]);
    assert_eq!(ids(lab, &ListQuery { reference: Some(String::from("user")), ..of("a") }).await, [0_u32; 0]);

    let page = lab.store.list(&ListQuery { limit: 4, ..of("a") }).await.unwrap();
    assert_eq!(page.items.len(), 4);
    let before = page.next.expect("there are more").parse().unwrap();
    assert_eq!(ids(lab, &ListQuery { before: Some(before), limit: 4, ..of("a") }).await, [4, 3, 2, 1]);
    assert_eq!(lab.store.list(&ListQuery { limit: 9, ..of("a") }).await.unwrap().items.len(), 9);
    assert_eq!(lab.store.list(&ListQuery { limit: 0, ..of("a") }).await.unwrap().items.len(), 0);
}

fn cause(fault: Fault) -> Cause {
    Cause { end: End::CarrierError, fault, carrier_code: None, sip_status: None }
}

/// Five records of five verifications, a second apart, each with something of its own.
async fn five_calls(lab: &Lab) -> Vec<CallRecord> {
    let begin = lab.now().await;
    let mut records = Vec::new();
    for n in 0..5_u32 {
        let value = verification(n, if n == 4 { "b" } else { "a" });
        lab.store.create(commit(&value)).await.unwrap();
        let mut made = record(&value, 0, begin.minus(Duration::from_secs(10 - u64::from(n))));
        match n {
            0 => {
                made.status = Status::Failed;
                made.cause = Some(cause(Fault::Carrier));
                made.to_masked = String::from("+33 • •• •• 56 79");
            }
            1 => (made.reason, made.status) = (Some(Reason::Busy), Status::Failed),
            2 => made.carrier = String::from("trunk"),
            3 => made.reference = Some(String::from("user-42")),
            _ => made.country = "US".parse().unwrap(),
        }
        let after = next(&value);
        let mut change = commit(&after);
        change.records = vec![made.clone()];
        lab.store.commit(change).await.unwrap();
        records.push(made);
    }
    records
}

pub(crate) async fn calls_are_filtered(lab: &Lab) {
    let records = five_calls(lab).await;
    let all = CallQuery { limit: 100, ..CallQuery::default() };
    let check = async |query: CallQuery, expected: &[usize]| {
        let found = lab.store.calls(&query).await.unwrap();
        let expected: Vec<CallRecord> = expected.iter().map(|at| records[*at].clone()).collect();
        assert_eq!(found.items, expected, "{query:?}");
        assert_eq!(found.next, None, "{query:?}");
    };
    check(all.clone(), &[4, 3, 2, 1, 0]).await;
    check(CallQuery { client: Some(String::from("b")), ..all.clone() }, &[4]).await;
    check(CallQuery { client: Some(String::from("c")), ..all.clone() }, &[]).await;
    check(CallQuery { status: Some(Status::Failed), ..all.clone() }, &[1, 0]).await;
    check(CallQuery { reason: Some(Reason::Busy), ..all.clone() }, &[1]).await;
    check(CallQuery { carrier: Some(String::from("trunk")), ..all.clone() }, &[2]).await;
    check(CallQuery { country: Some("US".parse().unwrap()), ..all.clone() }, &[4]).await;
    check(CallQuery { number: Some(number(2)), ..all.clone() }, &[2]).await;
    check(CallQuery { number: Some(number(2)), status: Some(Status::Failed), ..all.clone() }, &[]).await;
    check(CallQuery { fault: Some(Fault::Carrier), ..all.clone() }, &[0]).await;
    check(CallQuery { fault: Some(Fault::Us), ..all.clone() }, &[]).await;
    check(CallQuery { reference: Some(String::from("user-42")), ..all.clone() }, &[3]).await;
    check(CallQuery { reference: Some(String::from("user-4")), ..all.clone() }, &[]).await;
    for (digits, expected) in
        [("9", &[0][..]), ("79", &[0]), ("679", &[0]), ("5679", &[0]), ("8", &[4, 3, 2, 1]), ("5678", &[4, 3, 2, 1])]
    {
        check(CallQuery { last_digits: Some(digits.parse().unwrap()), ..all.clone() }, expected).await;
    }
    check(CallQuery { last_digits: Some("4678".parse().unwrap()), ..all.clone() }, &[]).await;
    check(CallQuery { since: Some(records[3].ended_at), ..all.clone() }, &[4, 3]).await;
    check(CallQuery { until: Some(records[1].ended_at), ..all.clone() }, &[0]).await;
    let between = CallQuery { since: Some(records[1].ended_at), until: Some(records[3].ended_at), ..all.clone() };
    check(between.clone(), &[2, 1]).await;

    let first = lab.store.calls(&CallQuery { limit: 2, ..all.clone() }).await.unwrap();
    assert_eq!(first.items, [records[4].clone(), records[3].clone()]);
    let next = first.next.unwrap().parse().unwrap();
    check(CallQuery { before: Some(next), ..all.clone() }, &[2, 1, 0]).await;
    check(CallQuery { before: Some(next), ..between }, &[2, 1]).await;
}

pub(crate) async fn a_call_is_found_by_name(lab: &Lab) {
    let records = five_calls(lab).await;
    for record in &records {
        assert_eq!(lab.store.call(record.id).await.unwrap().as_ref(), Some(record));
    }
    assert_eq!(lab.store.call(CallId { index: 1, ..records[0].id }).await.unwrap(), None);
    assert_eq!(lab.store.call(CallId { verification: id(9), index: 0 }).await.unwrap(), None);
}

pub(crate) async fn expired_records_are_gone(lab: &Lab) {
    let short = Duration::from_millis(900);
    let value = verification(1, "a");
    let made = record(&value, 0, lab.now().await);
    let mut change = commit(&value);
    change.records = vec![made.clone()];
    change.keep_records_for = short;
    lab.store.create(change).await.unwrap();
    assert_eq!(lab.store.call(made.id).await.unwrap(), Some(made.clone()));
    // Redis keeps a record to the full second.
    lab.pass(short + Duration::from_secs(1)).await;
    assert_eq!(lab.store.call(made.id).await.unwrap(), None);
    let all = CallQuery { limit: 10, ..CallQuery::default() };
    assert_eq!(lab.store.calls(&all).await.unwrap().items, []);

    let other = verification(2, "a");
    let mut change = commit(&other);
    change.keep_for = short;
    change.keep_records_for = KEEP;
    change.records = vec![record(&other, 0, lab.now().await)];
    lab.store.create(change).await.unwrap();
    lab.pass(short).await;
    assert!(lab.store.load(other.id).await.unwrap().is_none());
    assert_eq!(lab.store.calls(&all).await.unwrap().items.len(), 1, "a record outlives its verification");
    assert_eq!(lab.store.call(CallId { verification: other.id, index: 0 }).await.unwrap().unwrap().client, "a");
    assert_eq!(ids(lab, &of("a")).await, [1]);
    lab.no_key_is_forgotten();
}

pub(crate) async fn everything_is_listed_as_a_plain_model_says(lab: &Lab) {
    model::check(lab).await;
}

pub(crate) async fn erased_records_are_gone(lab: &Lab) {
    let records = five_calls(lab).await;
    let all = CallQuery { limit: 100, ..CallQuery::default() };
    assert_eq!(lab.store.erase(&records[1..3]).await.unwrap(), 2);
    assert_eq!(lab.store.erase(&records[1..3]).await.unwrap(), 0, "once");
    assert_eq!(lab.store.erase(&[]).await.unwrap(), 0);
    let left: Vec<CallRecord> = [4, 3, 0].map(|at: usize| records[at].clone()).into();
    assert_eq!(lab.store.calls(&all).await.unwrap().items, left);
    for (at, gone) in [(0, false), (1, true), (2, true), (3, false)] {
        let (record, by_number) = (&records[at], CallQuery { number: Some(records[at].number_hash), ..all.clone() });
        assert_eq!(lab.store.call(record.id).await.unwrap().is_none(), gone, "{at}");
        assert_eq!(lab.store.calls(&by_number).await.unwrap().items.is_empty(), gone, "{at}");
    }
    lab.no_key_is_forgotten();
}

pub(crate) async fn how_results_were_delivered_is_noted(lab: &Lab) {
    let noted = |attempts, outcome| Delivery { outcome, attempts, status: Some(503), at: BEGIN.plus(KEEP) };
    let (first, last) = (noted(1, DeliveryOutcome::Waiting), noted(2, DeliveryOutcome::Delivered));
    lab.store.note_delivery(id(1), &first).await.unwrap();
    lab.store.note_delivery(id(3), &first).await.unwrap();
    lab.store.note_delivery(id(3), &last).await.unwrap();
    let found = lab.store.deliveries(&[id(1), id(2), id(3), id(1)]).await.unwrap();
    assert_eq!(found, [Some(first.clone()), None, Some(last), Some(first)]);
    assert_eq!(lab.store.deliveries(&[]).await.unwrap(), []);
    lab.no_key_is_forgotten();
}
