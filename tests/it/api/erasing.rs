//! Taking a number out of the call log: whose calls, which number, and what stays.

use http::StatusCode;
use ringproof::time::{Clock as _, Timestamp};
use serde_json::{Value, json};

use super::world::{Answer, By, REQUEST, World};

/// `verification.keep_for`, where nothing is said.
const KEEP_FOR: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
const ERASE: &str = "/v1/calls/erase";
const NUMBER: &str = r#"{"number": "090-1234-5678", "country": "JP"}"#;

async fn numbers(world: &World, by: By<'_>) -> Vec<Value> {
    let page = world.get(by, "/v1/calls").await.good();
    page["items"].as_array().unwrap().iter().map(|item| item["to"].clone()).collect()
}

async fn busy(world: &World, number: &str) {
    let (_, order) = world.create(&format!(r#"{{"to": "{number}"}}"#)).await;
    world.carrier_says(&order, "status", "busy").await;
}

#[tokio::test]
async fn the_calls_to_a_number_are_erased_and_no_others() {
    let world = World::new().await;
    let (id, order) = world.create(REQUEST).await;
    world.verified(&order).await;
    busy(&world, "+819012345679").await;
    let theirs = world.post(By::Other, ERASE, NUMBER).await.good();
    let nothing = json!({"erased": 0, "dead_letters": 0, "more": false, "left": null});
    assert_eq!(theirs, nothing, "another client's calls are not there");
    assert_eq!(numbers(&world, By::Enrolment).await.len(), 2);

    let erased = world.post(By::CallsOnly, ERASE, r#"{"number": "+81 90 1234 5678"}"#).await.good();
    let left = erased["left"].clone();
    assert_eq!(erased, json!({"erased": 1, "dead_letters": 0, "more": false, "left": left}));
    assert_eq!(left["verifications"], 1, "it is over and goes by its own time");
    let until = Timestamp::parse(left["until"].as_str().unwrap()).unwrap();
    let kept = until.since(world.clock.now());
    assert!(kept >= KEEP_FOR && kept < KEEP_FOR + std::time::Duration::from_secs(600), "{kept:?}");
    assert!(world.document(&id).await["to"].as_str().unwrap().contains("••"), "until then its id finds it");
    assert_eq!(numbers(&world, By::Enrolment).await, ["+81 •• •••• 5679"]);
    for query in ["?number=%2B819012345678", "?last_digits=5678", "?reference=user-42", "?status=verified"] {
        let page = world.get(By::Admin, &format!("/v1/calls{query}")).await.good();
        assert_eq!(page["items"], json!([]), "{query}");
    }
    assert_eq!(world.post(By::CallsOnly, ERASE, NUMBER).await.good()["erased"], 0, "it may be repeated");
    let again = world.create(REQUEST).await;
    assert!(again.0.starts_with("ver_"), "the number may be verified again");
}

#[tokio::test]
async fn operators_erase_for_all_clients_and_nobody_else_does() {
    let world = World::new().await;
    busy(&world, "+819012345678").await;
    let named = r#"{"number": "+819012345678", "client": "enrolment"}"#;
    let refused = world.post(By::Other, ERASE, named).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "scope"));
    let another = r#"{"number": "+819012345678", "client": "other"}"#;
    assert_eq!(world.post(By::Admin, ERASE, another).await.good()["erased"], 0);
    assert_eq!(world.post(By::Admin, ERASE, NUMBER).await.good()["erased"], 1);
}

#[tokio::test]
async fn a_number_that_is_being_verified_is_left_alone() {
    let world = World::new().await;
    busy(&world, "+819012345678").await;
    let (id, order) = world.create(REQUEST).await;
    let refused = world.post(By::Enrolment, ERASE, NUMBER).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "already_pending"));
    assert!(refused.text.contains(&id), "{}", refused.text);
    let theirs = world.post(By::Other, ERASE, NUMBER).await;
    assert_eq!(theirs.code(), "number_busy");
    assert!(!theirs.text.contains(&id), "another client's verification is not told of");
    assert_eq!(numbers(&world, By::Enrolment).await.len(), 1);
    world.verified(&order).await;
    assert_eq!(world.post(By::Enrolment, ERASE, NUMBER).await.good()["erased"], 2);
}

#[tokio::test]
async fn what_is_no_number_is_refused() {
    let world = World::new().await;
    let code = async |body: &str| -> String { Answer::code(&world.post(By::Enrolment, ERASE, body).await) };
    assert_eq!(code(r#"{"number": "nonsense"}"#).await, "invalid_number");
    assert_eq!(code(r#"{"number": "090-1234-5678"}"#).await, "invalid_number");
    assert_eq!(code(r#"{"number": "090-1234-5678", "country": "Japan"}"#).await, "out_of_range");
    assert_eq!(code("{}").await, "malformed");
    assert_eq!(code(r#"{"number": "+819012345678", "all": true}"#).await, "malformed");
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused_in_words() {
    let world = World::new().await;
    for cursor in ["x", "garbage", "%00", "00000000", "call_1", "'%20or%201=1"] {
        let refused = world.get(By::Enrolment, &format!("/v1/calls?cursor={cursor}")).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "out_of_range"));
        let errors = refused.json()["errors"].clone();
        assert_eq!(errors[0]["detail"], "give it as the page before gave it", "{cursor}: {errors}");
        assert!(errors[0].to_string().contains("cursor"), "{cursor}: {errors}");
    }
}
