//! Making, following and changing verifications, and what is said when that cannot be done.

use std::time::Duration;

use axum::body::Body;
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::world::{Answer, By, PATIENCE, REQUEST, World, shown, until};

async fn create_with_key(world: &World, key: &str, body: &str) -> Answer {
    let request = world.request(By::Enrolment, "POST", "/v1/verifications").header("idempotency-key", key);
    let request = request.header(header::CONTENT_TYPE, "application/json");
    world.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_verification_from_the_request_to_the_call_record() {
    let world = World::new().await;
    let answer = world.post(By::Enrolment, "/v1/verifications", REQUEST).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let document = answer.json();
    let id = document["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/verifications/{id}"));
    assert_eq!(answer.header("content-type"), "application/json");
    insta::assert_snapshot!("created", shown(&document, id));

    let order = world.placed(id).await;
    world.verified(&order).await;
    insta::assert_snapshot!("verified", shown(&world.document(id).await, id));

    let events = world.get(By::Enrolment, &format!("/v1/verifications/{id}/events")).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert_eq!(events.header("x-accel-buffering"), "no");
    insta::assert_snapshot!("events", events.text.replace(id.trim_start_matches("ver_"), "…"));

    let calls = world.get(By::Enrolment, "/v1/calls?carrier=main&country=JP&status=verified").await.good();
    insta::assert_snapshot!("calls", shown(&calls, id));
    let call = calls["items"][0]["id"].as_str().unwrap();
    assert_eq!(world.get(By::Enrolment, &format!("/v1/calls/{call}")).await.good(), calls["items"][0]);
}

#[tokio::test]
async fn the_digits_of_a_match_are_told_once() {
    let world = World::new().await;
    let body = r#"{"to": "+819012345678", "mode": "match", "flow": "test-match"}"#;
    let answer = create_with_key(&world, "once", body).await;
    let code = answer.good()["match_code"].as_str().unwrap().to_owned();
    assert!(code.len() >= 2 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let read = world.document(&id).await;
    assert_eq!((&read["match_code"], &read["strength"]), (&Value::Null, &json!("session_bound")));
    let again = create_with_key(&world, "once", body).await;
    assert_eq!(again.json()["match_code"], code.as_str(), "the same answer to the same request");
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first() {
    let world = World::new().await;
    let first = create_with_key(&world, "8e03978e-40d5", REQUEST).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let order = world.placed(first.json()["id"].as_str().unwrap()).await;
    world.verified(&order).await;
    for same in ["8e03978e-40d5", "\"8e03978e-40d5\""] {
        let again = create_with_key(&world, same, REQUEST).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::CREATED, first.text.as_str()));
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.header("location"), first.header("location"));
    }
    assert_eq!(world.orders(), 1, "nobody is called again");
    let other = create_with_key(&world, "8e03978e-40d5", &REQUEST.replace("user-42", "user-43")).await;
    assert_eq!((other.status, other.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"));
    for bad in ["", "\"\"", &"x".repeat(256), "ä"] {
        let answer = create_with_key(&world, bad, REQUEST).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "malformed"), "{bad}");
        assert_eq!(answer.json()["errors"][0]["pointer"], "Idempotency-Key");
    }
}

#[tokio::test]
async fn every_refusal_of_a_create_has_its_code_and_its_place() {
    let world = World::new().await;
    let to = |number: &str| json!({"to": number, "country": "JP"}).to_string();
    let with = |name: &str, value: Value| {
        let mut body = json!({"to": "+819012345678"});
        body[name] = value;
        body.to_string()
    };
    for (body, status, code, pointer) in [
        (String::from("{}"), 400, "malformed", "#/to"),
        (String::from("[]"), 400, "malformed", ""),
        (String::from("{\"to\":"), 400, "malformed", ""),
        (String::new(), 400, "malformed", ""),
        (with("speed", json!(1)), 400, "malformed", "#/speed"),
        (with("mode", json!("shout")), 400, "malformed", "#/mode"),
        (with("metadata", json!({"a": 1})), 400, "malformed", "#/metadata/a"),
        (to("no number"), 422, "invalid_number", "#/to"),
        (to("110"), 422, "not_callable", "#/to"),
        (to("+12125550100"), 403, "country_not_allowed", "#/to"),
        (with("alternates", json!([{"to": "+819098765432"}, {"to": "1"}])), 422, "invalid_number", "#/alternates/1/to"),
        (with("expires_in", json!(5)), 422, "out_of_range", "#/expires_in"),
        (with("max_calls", json!(9)), 422, "out_of_range", "#/max_calls"),
        (with("reference", json!("x".repeat(65))), 422, "out_of_range", "#/reference"),
        (with("callback_url", json!("ftp://a")), 422, "out_of_range", "#/callback_url"),
        (with("flow", json!("no-such-flow")), 422, "out_of_range", "#/flow"),
    ] {
        let answer = world.post(By::Enrolment, "/v1/verifications", &body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{body}: {answer:?}");
        assert_eq!(answer.json()["errors"][0]["pointer"].as_str().unwrap_or_default(), pointer, "{body}: {answer:?}");
        assert!(!answer.text.contains("9012345678"), "a number is repeated: {answer:?}");
    }
    assert_eq!(world.orders(), 0);
}

#[tokio::test]
async fn only_an_operator_chooses_the_carrier() {
    let world = World::new().await;
    let through = |carrier: &str| json!({"to": "+819012345678", "carrier": carrier}).to_string();
    for by in [By::Enrolment, By::VerifyOnly] {
        let refused = world.post(by, "/v1/verifications", &through("main")).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "scope"), "{refused:?}");
    }
    let unknown = world.post(By::Admin, "/v1/verifications", &through("elsewhere")).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (422, "out_of_range"), "{unknown:?}");
    assert_eq!(unknown.json()["errors"][0]["pointer"], "#/carrier");
    assert_eq!(world.orders(), 0);
    let chosen = world.post(By::Admin, "/v1/verifications", &through("main")).await;
    assert_eq!(chosen.status, StatusCode::CREATED, "{chosen:?}");
    until("the carrier to be asked", async || (world.orders() == 1).then_some(())).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_before_anything_is_done() {
    let world = World::new().await;
    let large = format!(r#"{{"to": "+819012345678", "reference": "{}"}}"#, "x".repeat(70_000));
    assert_eq!(world.post(By::Enrolment, "/v1/verifications", &large).await.code(), "too_large");
    let deep = format!(r#"{{"to": {}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(world.post(By::Enrolment, "/v1/verifications", &deep).await.code(), "malformed");
    let twice = r#"{"to": "+819012345678", "to": "+819098765432"}"#;
    let answer = world.post(By::Enrolment, "/v1/verifications", twice).await;
    assert_eq!(answer.json()["errors"][0], json!({"pointer": "#/to", "detail": "this member is there twice"}));
    for media_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request =
            world.request(By::Enrolment, "POST", "/v1/verifications").header(header::CONTENT_TYPE, media_type);
        let answer = world.send(request.body(Body::from(REQUEST)).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (415, "unsupported_media_type"));
    }
    for (method, path, allow) in [
        ("DELETE", "/v1/verifications", "POST,GET,HEAD"),
        ("PUT", "/v1/verifications/ver_1", "GET,HEAD"),
        ("GET", "/v1/verifications/ver_1/cancel", "POST"),
        ("BREW", "/v1/calls", "GET,HEAD"),
        ("OPTIONS", "/v1/calls", "GET,HEAD"),
    ] {
        let answer = world.send(world.request(By::Enrolment, method, path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.code().as_str(), answer.header("allow")), ("method_not_allowed", allow), "{method} {path}");
    }
    for path in ["/", "/v2/verifications", "/v1/verifications/", "/v1//verifications", "/V1/verifications", "/webhooks"]
    {
        assert_eq!(world.get(By::Enrolment, path).await.code(), "not_found", "{path}");
    }
    assert_eq!(world.orders(), 0);
}

#[tokio::test]
async fn a_verification_is_taken_back_once_and_for_all() {
    let world = World::new().await;
    let (id, _) = world.create(REQUEST).await;
    let path = format!("/v1/verifications/{id}/cancel");
    for _ in 0..2 {
        let answer = world.post(By::Enrolment, &path, "").await.good();
        assert_eq!((&answer["status"], &answer["reason"]), (&json!("canceled"), &json!("by_client")));
    }
    let redial = world.post(By::Enrolment, &format!("/v1/verifications/{id}/redial"), "{}").await;
    assert_eq!((redial.status, redial.code().as_str()), (StatusCode::CONFLICT, "not_pending"));
    let body = world.post(By::Enrolment, &path, r#"{"why": 1}"#).await;
    assert_eq!((body.code().as_str(), &body.json()["errors"][0]["pointer"]), ("malformed", &json!("#/why")));
}

#[tokio::test]
async fn a_redial_comes_when_its_time_has_come() {
    let world = World::new().await;
    let (id, order) = world.create(REQUEST).await;
    let path = format!("/v1/verifications/{id}/redial");
    let early = world.post(By::Enrolment, &path, "").await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::CONFLICT, "not_now"));
    let wait: u64 = early.header("retry-after").parse().unwrap();
    assert_eq!(early.json()["retry_after"], wait);
    world.carrier_says(&order, "status", "ringing").await;
    world.clock.advance(Duration::from_secs(wait));
    assert_eq!(world.post(By::Enrolment, &path, "").await.good()["status"], "pending");
}

#[tokio::test]
async fn a_code_that_was_heard_is_typed_on_the_web() {
    let world = World::new().await;
    let body = r#"{"to": "+819012345678", "mode": "speak", "flow": "test-speak", "code": "482913"}"#;
    let (id, order) = world.create(body).await;
    let path = format!("/v1/verifications/{id}/check");
    let early = world.post(By::Enrolment, &path, r#"{"code": "482913"}"#).await;
    assert_eq!((early.code().as_str(), early.header("retry-after")), ("not_now", ""), "it was not spoken yet");
    let keys = world.answered(&order).await;
    world.carrier_says(&order, &keys, "1").await;
    let wrong = world.post(By::Enrolment, &path, r#"{"code": "111111"}"#).await.good();
    assert_eq!((&wrong["right"], &wrong["status"]), (&json!(false), &json!("pending")));
    let right = world.post(By::Enrolment, &path, r#"{"code": "482 913"}"#).await.good();
    assert_eq!((&right["right"], &right["status"]), (&json!(true), &json!("verified")));
    let after = world.post(By::Enrolment, &path, r#"{"code": "482913"}"#).await;
    assert_eq!(after.code(), "not_pending");
    let nonsense = world.post(By::Enrolment, &path, r#"{"code": "no"}"#).await;
    assert_eq!(
        (nonsense.code().as_str(), &nonsense.json()["errors"][0]["pointer"]),
        ("out_of_range", &json!("#/code"))
    );
    let (confirm, _) = world.create(&REQUEST.replace("1234", "9876")).await;
    let path = format!("/v1/verifications/{confirm}/check");
    let other_mode = world.post(By::Enrolment, &path, r#"{"code": "482913"}"#).await;
    assert_eq!(other_mode.code(), "wrong_mode");
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let world = World::new().await;
    let mut made = Vec::new();
    for n in 0..5 {
        let body = json!({"to": format!("+81901234567{n}"), "reference": format!("user-{}", n % 2)}).to_string();
        made.push(world.create(&body).await.0);
        world.clock.advance(Duration::from_millis(5));
    }
    world.post(By::Enrolment, &format!("/v1/verifications/{}/cancel", made[4]), "").await.good();
    made.reverse();

    let mut seen = Vec::new();
    let mut path = String::from("/v1/verifications?limit=2");
    loop {
        let page = world.get(By::Enrolment, &path).await.good();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/verifications?limit=2&cursor={next}");
    }
    assert_eq!(seen, made, "newest first, each once");

    for (query, expected) in [
        ("status=canceled", 1),
        ("status=pending", 4),
        ("reference=user-1", 2),
        ("reference=user-1&status=canceled", 0),
    ] {
        let page = world.get(By::Enrolment, &format!("/v1/verifications?{query}")).await.good();
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{query}");
    }
    for (path, code, pointer) in [
        ("/v1/verifications?limit=0", "out_of_range", "limit"),
        ("/v1/verifications?limit=1000", "out_of_range", "limit"),
        ("/v1/verifications?limit=many", "malformed", "limit"),
        ("/v1/verifications?cursor=x", "out_of_range", "cursor"),
        ("/v1/verifications?cursor=", "out_of_range", "cursor"),
        ("/v1/verifications?status=great", "malformed", "status"),
        ("/v1/verifications?refrence=user-1", "malformed", "refrence"),
        ("/v1/calls?since=yesterday", "malformed", "since"),
        ("/v1/calls?number=nonsense", "invalid_number", "number"),
        ("/v1/calls?last_digits=56789", "out_of_range", "last_digits"),
        ("/v1/calls?fault=mine", "malformed", "fault"),
        ("/v1/calls?cursor=garbage", "out_of_range", "cursor"),
        ("/v1/calls?cursor=", "out_of_range", "cursor"),
        ("/v1/caller-ids?x=1", "malformed", "x"),
    ] {
        let answer = world.get(By::Enrolment, path).await;
        assert!(answer.status.is_client_error(), "{path}: {answer:?}");
        assert_eq!((answer.code().as_str(), &answer.json()["errors"][0]["pointer"]), (code, &json!(pointer)), "{path}");
    }
}

#[tokio::test]
async fn heads_are_answered_without_a_body() {
    let world = World::new().await;
    let (id, _) = world.create(REQUEST).await;
    let path = format!("/v1/verifications/{id}");
    let answer = world.send(world.request(By::Enrolment, "HEAD", &path).body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_half_done() {
    let world = World::new().await;
    let request = world.request(By::Enrolment, "POST", "/v1/verifications");
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(REQUEST)).unwrap();
    let mut answer = Box::pin(world.edge.handle(request));
    let _not_yet = futures_util::poll!(&mut answer);
    drop(answer);
    let made = until("the verification is there, and its number is called", || async {
        let list = world.get(By::Enrolment, "/v1/verifications").await.good();
        (world.orders() == 1).then(|| list["items"].as_array().unwrap().len())
    });
    assert_eq!(tokio::time::timeout(PATIENCE, made).await.unwrap(), 1);
}
