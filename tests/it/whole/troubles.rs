//! Messages that come twice, late, backwards or not at all: the outcome is the callee's, and no telephone rings twice.

use std::time::Duration;

use super::{Whole, number};
use crate::world::{
    carrier::{Callee, Line, Trouble},
    server::ending,
};

const QUICK: &str = "early_keys = \"0s\"\nclosing = \"2s\"";

async fn a_day_of_calls(trouble: Trouble) {
    let whole = Whole::start(20.0, QUICK, "").await;
    whole.carrier.trouble(trouble);
    let callees = [
        (Callee::presses(["#"]), "verified"),
        (Callee::presses(["0", "#", "1"]), "denied fraud_reported"),
        (Callee::presses(["5", "7", "9"]), "failed wrong_input"),
        (Callee::silent(), "failed no_input"),
        (Callee::line(Line::RingsOut), "failed no_answer"),
    ];
    let mut all = Vec::new();
    for n in 0..30u32 {
        let (callee, ends) = &callees[n as usize % callees.len()];
        whole.carrier.callee(&number(n), callee.clone());
        let id = whole.server.created(&whole.request(&number(n))).await["id"].as_str().unwrap().to_owned();
        all.push((n, id, *ends));
    }
    for (n, id, ends) in &all {
        assert_eq!(ending(&whole.server.outcome(id).await), *ends, "call {n}");
        assert!(whole.carrier.rings(&number(*n)) <= 1, "call {n} rang twice");
    }
    whole.carrier.all_over().await;
    for (n, id, ends) in &all {
        let document = whole.server.get(&format!("/v1/verifications/{id}")).await;
        assert_eq!(ending(&document), *ends, "call {n}: a final status changed");
        whole.backend.result_of(id).await;
    }
    assert!(whole.backend.by_verification().values().all(|results| results.len() == 1), "told more than once");
    whole.check(&[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_twice() {
    a_day_of_calls(Trouble { duplicate: true, ..Trouble::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_overtake_each_other() {
    let shuffle = Some((7, Duration::from_millis(600)));
    a_day_of_calls(Trouble { duplicate: true, shuffle, ..Trouble::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_come_last_first() {
    a_day_of_calls(Trouble { backwards: true, ..Trouble::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_get_lost_and_are_asked_for_again() {
    a_day_of_calls(Trouble { lost_answers: 20, ..Trouble::default() }).await;
}

/// Without a single status the keys alone decide.
#[tokio::test(flavor = "multi_thread")]
async fn no_status_comes_at_all() {
    let whole = Whole::start(20.0, QUICK, "").await;
    whole.carrier.trouble(Trouble { no_statuses: true, ..Trouble::default() });
    whole.carrier.callee(&number(1), Callee::presses(["#"]));
    whole.carrier.callee(&number(2), Callee::presses(["0", "#"]));
    for (n, ends) in [(1, "verified"), (2, "denied fraud_reported")] {
        let id = whole.server.created(&whole.request(&number(n))).await["id"].as_str().unwrap().to_owned();
        assert_eq!(ending(&whole.server.outcome(&id).await), ends);
    }
    whole.check(&[], &[]).await;
}
