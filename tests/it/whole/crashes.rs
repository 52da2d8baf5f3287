//! The process dies, and comes back: what was acknowledged is not lost, no telephone rings twice, and a person in the
//! middle of a call can still press the key.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Whole, number};
use crate::world::{
    carrier::{Act, Callee, When},
    server::ending,
};

const QUICK: &str = "early_keys = \"0s\"\nclosing = \"2s\"";

/// Answers late and thinks for a while, so that there is time to die in.
fn slow_callee() -> Callee {
    Callee::person([Act::Wait, Act::Press("#", When::After)])
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_call_and_started_again() {
    let mut whole = Whole::start(10.0, QUICK, "").await;
    for (n, stage) in [(1, "ringing"), (2, "prompting")] {
        let to = number(n);
        whole.carrier.callee(&to, slow_callee());
        let id = whole.server.created(&whole.request(&to)).await["id"].as_str().unwrap().to_owned();
        whole.server.until(&id, stage, |document| document["stage"] == stage).await;
        whole.server.kill();
        whole.server.run().await;
        assert_eq!(ending(&whole.server.outcome(&id).await), "verified", "killed while {stage}");
        assert_eq!(whole.carrier.rings(&to), 1);
        whole.backend.result_of(&id).await;
    }
    whole.carrier.all_over().await;
    whole.check(&[&number(1), &number(2)], &[]).await;
}

/// Killed at any moment around the creation: what was answered 201 is there and ends, nothing rings twice.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment() {
    let mut whole = Whole::start(20.0, QUICK, "").await;
    let mut verified = 0;
    for n in 0..12u32 {
        let to = number(n);
        whole.carrier.callee(&to, slow_callee());
        let mut request = whole.request(&to);
        request["expires_in"] = json!(60);
        let id = whole.server.created(&request).await["id"].as_str().unwrap().to_owned();
        let moment = Instant::now() + Duration::from_millis(u64::from(n) * 37);
        // Not a wait for something: the moment of death is what varies.
        tokio::time::sleep_until(moment).await;
        whole.server.kill();
        whole.server.run().await;
        if n % 3 == 0 {
            let document = whole.server.outcome(&id).await;
            verified += usize::from(ending(&document) == "verified");
        }
    }
    for n in 0..12 {
        assert!(whole.carrier.rings(&number(n)) <= 1, "{} rang twice", number(n));
    }
    let list = whole.server.get("/v1/verifications?limit=50").await;
    let ids: Vec<String> =
        list["items"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 12, "what was answered 201 is there");
    for id in &ids {
        let document = whole.server.outcome(id).await;
        assert!(
            ["verified", "expired not_answered_in_time", "expired not_confirmed_in_time", "failed carrier_error"]
                .contains(&ending(&document).as_str()),
            "{document:#}"
        );
        whole.backend.result_of(id).await;
    }
    assert!(verified > 0, "no verification survived a death");
    whole.check(&[], &[]).await;
}

/// The store dies instead: nothing is decided without it, and what it had acknowledged is there when it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_in_mid_call() {
    let mut whole = Whole::start(10.0, QUICK, "").await;
    let to = number(1);
    whole.carrier.callee(&to, slow_callee());
    let id = whole.server.created(&whole.request(&to)).await["id"].as_str().unwrap().to_owned();
    whole.server.until(&id, "the prompt", |document| document["stage"] == "prompting").await;
    whole.redis.kill();
    let began = Instant::now();
    let (status, problem) = whole.server.create(&whole.request(&number(2))).await;
    assert_eq!(status, 503, "{problem:#}");
    assert!(began.elapsed() < Duration::from_secs(3), "refused after {:?}", began.elapsed());
    whole.redis.restart();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (status, _) = whole.server.read_as(crate::world::server::KEY, "/readyz").await;
        if status == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "not ready again: {}", whole.server.logs());
        sleep(Duration::from_millis(50)).await;
    }
    let document = whole.server.outcome(&id).await;
    assert!(
        ["verified", "failed hung_up_after_prompt", "failed hung_up_before_prompt"]
            .contains(&ending(&document).as_str()),
        "{document:#}"
    );
    assert_eq!(whole.carrier.rings(&to), 1);
    assert_eq!(whole.carrier.rings(&number(2)), 0);
    whole.check(&[&to], &[]).await;
}

/// Asked to stop, it finishes what it has begun, soon; what goes on is taken up by the next one.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_and_started_again() {
    let mut whole = Whole::start(10.0, QUICK, "").await;
    let to = number(1);
    whole.carrier.callee(&to, slow_callee());
    let id = whole.server.created(&whole.request(&to)).await["id"].as_str().unwrap().to_owned();
    whole.server.until(&id, "the prompt", |document| document["stage"] == "prompting").await;
    let took = whole.server.stop().await;
    assert!(took < Duration::from_secs(25), "{took:?}");
    whole.server.run().await;
    assert_eq!(ending(&whole.server.outcome(&id).await), "verified");
    assert_eq!(whole.carrier.rings(&to), 1);
    whole.backend.result_of(&id).await;
    whole.carrier.all_over().await;
    whole.check(&[&to], &[]).await;
}

/// A backend that is away is told later, with the same id and the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn results_are_delivered_again() {
    let whole = Whole::start(20.0, QUICK, "").await;
    let to = number(1);
    whole.carrier.callee(&to, Callee::presses(["#"]));
    whole.backend.answers([503]);
    let id = whole.server.created(&whole.request(&to)).await["id"].as_str().unwrap().to_owned();
    whole.server.outcome(&id).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let results = loop {
        let results = whole.backend.by_verification().remove(&id).unwrap_or_default();
        if results.len() >= 2 {
            break results;
        }
        assert!(Instant::now() < deadline, "not delivered again");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&results[0].id, &results[0].raw), (&results[1].id, &results[1].raw));
    whole.carrier.all_over().await;
    whole.check(&[&to], &[]).await;
}
