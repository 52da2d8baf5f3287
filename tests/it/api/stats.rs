//! The statistics as clients and operators ask for them: what the call log says, and nobody else's.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::world::{By, REQUEST, World};

/// One that is verified, and one that finds the line busy.
async fn two_settled() -> World {
    let world = World::new().await;
    let (_, order) = world.create(REQUEST).await;
    world.clock.advance(Duration::from_secs(4));
    world.verified(&order).await;
    let (_, order) = world.create(r#"{"to": "+818011112222"}"#).await;
    world.carrier_says(&order, "status", "busy").await;
    world
}

fn attempts(list: &Value) -> Vec<(&Value, &Value)> {
    let key = |of: &'_ Value| ["country", "carrier", "reason"].into_iter().find(|key| !of[key].is_null()).unwrap();
    list.as_array().unwrap().iter().map(|of| (&of[key(of)], &of["attempts"])).collect()
}

#[tokio::test]
async fn what_was_settled_is_counted() {
    let world = two_settled().await;
    for range in ["", "?range=hour", "?range=day", "?range=week", "?client=enrolment"] {
        let stats = world.get(By::Enrolment, &format!("/v1/stats{range}")).await.good();
        let totals = &stats["totals"];
        assert_eq!((&totals["attempts"], &totals["conversion_rate"]), (&json!(2), &json!(0.5)), "{range}: {stats:#}");
        assert_eq!((&totals["by_status"]["verified"], &totals["by_status"]["failed"]), (&json!(1), &json!(1)));
        assert_eq!(totals["answered"], 1);
        let p50 = totals["time_to_verify_seconds"]["p50"].as_f64().unwrap();
        assert!((0.0..20.0).contains(&p50), "{p50}");
        assert_eq!(attempts(&stats["countries"]), [(&json!("JP"), &json!(2))]);
        assert_eq!(attempts(&stats["carriers"]), [(&json!("main"), &json!(2))]);
        assert_eq!(attempts(&stats["reasons"]), [(&json!("busy"), &json!(1))]);
        assert_eq!(
            (&stats["usual"], &stats["prefixes"]),
            (&Value::Null, &json!([])),
            "two are too few to say anything"
        );
        let steps = stats["series"].as_array().unwrap();
        let expected = match stats["range"].as_str().unwrap() {
            "hour" => (60, 60),
            "day" => (24, 3_600),
            _ => (28, 6 * 3_600),
        };
        assert_eq!((steps.len(), stats["step_seconds"].as_u64().unwrap()), expected);
        let sum: u64 = steps.iter().map(|step| step["attempts"].as_u64().unwrap()).sum();
        assert_eq!(sum, 2, "{range}");
        assert_eq!(steps.last().unwrap()["attempts"], 2, "settled just now");
    }
    let log = world.get(By::Enrolment, "/v1/calls").await.good();
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_over_falls_out_of_the_range_and_is_usual_then() {
    let world = two_settled().await;
    world.clock.advance(Duration::from_secs(59 * 60));
    assert_eq!(
        world.get(By::Enrolment, "/v1/stats").await.good()["totals"]["attempts"],
        2,
        "an hour with its begun minute"
    );
    world.clock.advance(Duration::from_secs(3 * 60));
    assert_eq!(world.get(By::Enrolment, "/v1/stats").await.good()["totals"]["attempts"], 0);
    let day = world.get(By::Enrolment, "/v1/stats?range=day").await.good();
    assert_eq!(day["totals"]["attempts"], 2);
    // The hour is closed and kept at hand by now: it says the same.
    assert_eq!(world.get(By::Enrolment, "/v1/stats?range=day").await.good(), day);
    for n in 0..20 {
        let (_, order) = world.create(&format!(r#"{{"to": "+8180222233{n:02}"}}"#)).await;
        world.carrier_says(&order, "status", "busy").await;
    }
    let prefix = &world.get(By::Enrolment, "/v1/stats").await.good()["prefixes"][0];
    assert_eq!((&prefix["prefix"], &prefix["attempts"], &prefix["odd"]), (&json!("+81802"), &json!(20), &Value::Null));
    world.clock.advance(Duration::from_secs(2 * 24 * 3_600));
    let later = world.get(By::Enrolment, "/v1/stats?range=day").await.good();
    assert_eq!((&later["totals"]["attempts"], &later["totals"]["conversion_rate"]), (&json!(0), &Value::Null));
    assert_eq!((&later["usual"]["attempts"], &later["usual"]["conversion_rate"]), (&json!(22), &json!(0.045)));
}

#[tokio::test]
async fn a_client_sees_its_own_only() {
    let world = two_settled().await;
    assert_eq!(world.get(By::Other, "/v1/stats").await.good()["totals"]["attempts"], 0);
    let another = world.get(By::Other, "/v1/stats?client=enrolment").await;
    assert_eq!((another.status, another.code().as_str()), (StatusCode::FORBIDDEN, "scope"));
    assert_eq!(world.get(By::Admin, "/v1/stats").await.good()["totals"]["attempts"], 2);
    assert_eq!(world.get(By::Admin, "/v1/stats?client=other").await.good()["totals"]["attempts"], 0);
    for (query, code) in
        [("?range=year", "malformed"), ("?rnage=day", "malformed"), ("?range=day&range=day", "malformed")]
    {
        assert_eq!(world.get(By::Admin, &format!("/v1/stats{query}")).await.code(), code, "{query}");
    }
    // No number is in it, not even in part.
    let all = world.get(By::Admin, "/v1/stats").await.text;
    assert!(!all.contains("5678") && !all.contains("2222"), "{all}");
}
