//! Limits as clients and operators meet them over HTTP: what a refusal says, and reading, barring and lifting.

use http::StatusCode;
use ringproof::guard::Settings;
use serde_json::json;

use super::world::{By, REQUEST, World};

const VERIFICATIONS: &str = "/v1/verifications";

#[tokio::test]
async fn a_refusal_says_which_limit_when_to_come_back_and_what_else_to_do() {
    let world = World::guarded(Settings::default()).await;
    let (_, order) = world.create(REQUEST).await;
    world.carrier_says(&order, "status", "busy").await;
    let refused = world.post(By::Enrolment, VERIFICATIONS, REQUEST).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too_many"));
    let problem = refused.json();
    assert_eq!(problem["limit"], "pause");
    assert_eq!(problem["retry_after"].to_string(), refused.header("retry-after"));
    assert_eq!(problem["instead"], json!(["wait", "another_number"]));
    assert!(!refused.text.contains("5678"), "{}", refused.text);
}

#[tokio::test]
async fn operators_bar_what_is_called_and_lift_it_again() {
    let world = World::guarded(Settings::default()).await;
    let bar = r#"{"about": {"prefix": "+819012"}, "sense": "deny", "seconds": 3600, "why": "a burst"}"#;
    for by in [By::Enrolment, By::CallsOnly, By::VerifyOnly] {
        assert_eq!(world.post(by, "/v1/limits/bar", bar).await.status, StatusCode::FORBIDDEN);
        assert_eq!(world.get(by, "/v1/limits").await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.post(By::Admin, "/v1/limits/bar", bar).await.status, StatusCode::NO_CONTENT);
    let told = world.get(By::Admin, "/v1/limits").await.good();
    assert_eq!(told["limits"]["number"], json!(["3/10m", "6/1h", "10/1d"]));
    assert_eq!(told["spend"]["last_hour"], "0.00");
    let [bar] = told["bars"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!(
        (&bar["about"], &bar["sense"], &bar["pinned"], &bar["why"]),
        (&json!("area:819012"), &json!("deny"), &json!(true), &json!("a burst"))
    );
    let refused = world.post(By::Enrolment, VERIFICATIONS, REQUEST).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "barred"));
    let lift = r#"{"about": {"prefix": "+819012"}}"#;
    assert_eq!(world.post(By::Admin, "/v1/limits/lift", lift).await.status, StatusCode::NO_CONTENT);
    world.create(REQUEST).await;
}

#[tokio::test]
async fn what_is_barred_has_to_be_named_well() {
    let world = World::guarded(Settings::default()).await;
    for about in [
        r"{}",
        r#"{"prefix": "+8190"}"#,
        r#"{"prefix": "819012"}"#,
        r#"{"number": "+819012345678", "country": "JP"}"#,
        r#"{"reference": "user-42"}"#,
        r#"{"country": "Japan"}"#,
        r#"{"number": "1"}"#,
    ] {
        let refused = world.post(By::Admin, "/v1/limits/lift", &format!(r#"{{"about": {about}}}"#)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{about}");
    }
    for (sense, seconds) in [("maybe", 60), ("deny", 0), ("deny", 366 * 86_400 + 1)] {
        let bar = json!({"about": {"country": "JP"}, "sense": sense, "seconds": seconds}).to_string();
        let refused = world.post(By::Admin, "/v1/limits/bar", &bar).await;
        assert_eq!(refused.code(), "out_of_range", "{sense} {seconds}");
    }
}

#[tokio::test]
async fn one_address_asks_only_so_often() {
    let world = World::guarded(Settings::default()).await;
    let ask = |n: u32, address: &str| {
        json!({"to": format!("+81{}0{:08}", 7 + n % 3, 11_111_111 + n * 1_234_567), "source_ip": address}).to_string()
    };
    for n in 0..10 {
        let address = if n % 2 == 0 { "2001:db8::1" } else { "2001:db8::ffff" };
        assert_eq!(world.post(By::Enrolment, VERIFICATIONS, &ask(n, address)).await.status, StatusCode::CREATED);
    }
    let refused = world.post(By::Enrolment, VERIFICATIONS, &ask(10, "2001:db8::2")).await;
    assert_eq!(refused.json()["limit"], "source");
    assert_eq!(world.post(By::Enrolment, VERIFICATIONS, &ask(11, "2001:db8:1::2")).await.status, StatusCode::CREATED);
    let odd = world.post(By::Enrolment, VERIFICATIONS, &ask(12, "nowhere")).await;
    assert_eq!((odd.code().as_str(), odd.text.contains("nowhere")), ("out_of_range", false));
}
