//! Who may do what: keys, scopes, tenants, view tokens; and that the answers tell nothing about what one may not see.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{StatusCode, header};
use ringproof::{
    gateway::SystemEntropy,
    http::Config,
    id::{Entropy, Partition, VerificationId},
    time::Timestamp,
};
use serde_json::Value;

use super::world::{By, REQUEST, World};

/// Each route and the scope it needs; none where anybody may ask.
const ROUTES: &[(&str, &str, Option<&str>)] = &[
    ("get", "/healthz", None),
    ("get", "/livez", None),
    ("get", "/readyz", None),
    ("get", "/metrics", Some("admin")),
    ("get", "/v1/caller-ids", Some("verify")),
    ("get", "/v1/caller-ids.vcf", Some("verify")),
    ("get", "/v1/calls", Some("calls")),
    ("get", "/v1/calls.csv", Some("calls")),
    ("get", "/v1/calls.ndjson", Some("calls")),
    ("post", "/v1/calls/erase", Some("calls")),
    ("get", "/v1/calls/{id}", Some("calls")),
    ("get", "/v1/dead-letters", Some("admin")),
    ("post", "/v1/dead-letters/{id}/revive", Some("admin")),
    ("get", "/v1/limits", Some("admin")),
    ("post", "/v1/limits/bar", Some("admin")),
    ("post", "/v1/limits/lift", Some("admin")),
    ("get", "/v1/stats", Some("calls")),
    ("get", "/v1/verifications", Some("verify")),
    ("post", "/v1/verifications", Some("verify")),
    ("get", "/v1/verifications/{id}", Some("verify")),
    ("get", "/v1/verifications/{id}/events", Some("verify")),
    ("post", "/v1/verifications/{id}/cancel", Some("verify")),
    ("post", "/v1/verifications/{id}/redial", Some("verify")),
    ("post", "/v1/verifications/{id}/check", Some("verify")),
    ("post", "/v1/verifications/{id}/view-token", Some("verify")),
    // Authenticated by the carrier's signature.
    ("get", "/webhooks/{carrier}/{token}/flow", None),
    ("post", "/webhooks/{carrier}/{token}/flow", None),
    ("get", "/webhooks/{carrier}/{token}/keys/{turn}", None),
    ("post", "/webhooks/{carrier}/{token}/keys/{turn}", None),
    ("get", "/webhooks/{carrier}/{token}/status", None),
    ("post", "/webhooks/{carrier}/{token}/status", None),
];

fn random_id() -> String {
    let mut entropy = [0; 16];
    SystemEntropy.fill(&mut entropy);
    VerificationId::new(Timestamp::from_ms(1_795_000_000_000), entropy, Partition::of(entropy[0])).to_string()
}

#[tokio::test]
async fn every_route_needs_its_scope_and_nothing_else() {
    let world = World::new().await;
    let described = world.get(By::Nobody, "/openapi.json").await.good();
    let described: BTreeSet<(String, String)> = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())))
        .collect();
    let listed: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(described, listed, "a route is missing in one of the two");

    let keys = [
        (By::Nobody, ""),
        (By::Token("rp_abcdefgh_wrong"), ""),
        (By::Token("wrong"), ""),
        (By::VerifyOnly, "verify"),
        (By::CallsOnly, "calls"),
        (By::Admin, "verify calls admin"),
    ];
    for (method, path, needed) in ROUTES {
        let path = path.replace("{id}", &random_id()).replace("{carrier}", "main").replace("{token}", "x");
        for (by, held) in keys {
            let answer = match *method {
                "get" => world.get(by, &path).await,
                _ => world.post(by, &path, "").await,
            };
            let expected = match needed {
                Some(_) if held.is_empty() => Some(StatusCode::UNAUTHORIZED),
                Some(scope) if !held.split(' ').any(|held| held == *scope) => Some(StatusCode::FORBIDDEN),
                _ => None,
            };
            match expected {
                Some(status) => {
                    assert_eq!(answer.status, status, "{method} {path} by {by:?}");
                    assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:?}");
                    assert_eq!(answer.code(), if status == StatusCode::FORBIDDEN { "scope" } else { "unauthorized" });
                }
                None if path.starts_with("/webhooks/") => assert_eq!(answer.code(), "forbidden"),
                None => {
                    let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status);
                    assert!(!refused, "{method} {path} by {by:?}: {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_api_key_in_a_url_is_no_key() {
    let world = World::new().await;
    let (id, _) = world.create(REQUEST).await;
    for path in [format!("/v1/verifications/{id}"), format!("/v1/verifications/{id}/events")] {
        let answer = world.get(By::Nobody, &format!("{path}?access_token={}", world.keys[0])).await;
        assert_eq!(answer.code(), "unauthorized");
    }
}

#[tokio::test]
async fn one_client_cannot_tell_what_another_has() {
    let world = World::new().await;
    let (theirs, order) = world.create(REQUEST).await;
    world.verified(&order).await;
    let nobodys = random_id();
    let call_of = |id: &str| format!("call_{}_1", id.trim_start_matches("ver_"));
    world.get(By::Enrolment, &format!("/v1/calls/{}", call_of(&theirs))).await.good();
    for (method, path, body) in [
        ("GET", "/v1/verifications/ID", ""),
        ("GET", "/v1/verifications/ID?wait=30", ""),
        ("GET", "/v1/verifications/ID/events", ""),
        ("POST", "/v1/verifications/ID/cancel", ""),
        ("POST", "/v1/verifications/ID/redial", "{}"),
        ("POST", "/v1/verifications/ID/check", r#"{"code": "123456"}"#),
        ("POST", "/v1/verifications/ID/view-token", ""),
        ("GET", "/v1/calls/CALL", ""),
    ] {
        let mut answers = Vec::new();
        for id in [theirs.as_str(), &nobodys] {
            let path = path.replace("ID", id).replace("CALL", &call_of(id));
            let request = world.request(By::Other, method, &path).header(header::CONTENT_TYPE, "application/json");
            let answer = world.send(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.code(), "not_found", "{method} {path}");
            answers.push(answer);
        }
        let told = |answer: &super::world::Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            (answer.text.clone(), headers)
        };
        assert_eq!(told(&answers[0]), told(&answers[1]), "{method} {path}");
    }
    for path in
        ["/v1/verifications", "/v1/verifications?reference=user-42", "/v1/calls", "/v1/calls?number=%2B819012345678"]
    {
        assert_eq!(world.get(By::Other, path).await.good()["items"], Value::Array(Vec::new()), "{path}");
        let mine = world.get(By::Enrolment, path).await.good();
        assert_eq!(mine["items"].as_array().unwrap().len(), 1, "{path}");
    }
    let all = world.get(By::Admin, "/v1/calls").await.good();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "operators see all calls");
    assert_eq!(world.document(&theirs).await["status"], "verified", "nothing was changed");
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_its_client() {
    let world = World::new().await;
    let other_number = REQUEST.replace("1234", "9876");
    for (by, body) in [(By::Enrolment, REQUEST), (By::Other, other_number.as_str())] {
        let request = world.request(by, "POST", "/v1/verifications").header("idempotency-key", "same");
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let answer = world.send(request.body(Body::from(body.to_owned())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert_eq!(answer.header("idempotency-replayed"), "");
    }
}

#[tokio::test]
async fn a_number_that_another_client_verifies_is_busy_and_nothing_more_is_said() {
    let world = World::new().await;
    let (id, _) = world.create(REQUEST).await;
    let mine = world.post(By::Enrolment, "/v1/verifications", REQUEST).await;
    assert_eq!((mine.status, mine.code().as_str()), (StatusCode::CONFLICT, "already_pending"));
    assert_eq!(mine.json()["verification"], id.as_str());
    let theirs = world.post(By::Other, "/v1/verifications", REQUEST).await;
    assert_eq!((theirs.status, theirs.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "number_busy"));
    assert!(!theirs.text.contains(&id) && theirs.json().get("verification").is_none(), "{theirs:?}");
    assert!(!theirs.header("retry-after").is_empty());
}

#[tokio::test]
async fn ten_thousand_guesses_all_look_alike() {
    let world = World::new().await;
    let (id, _) = world.create(REQUEST).await;
    let expected = world.get(By::Enrolment, "/v1/verifications/ver_nonsense").await;
    assert_eq!(expected.code(), "not_found");
    for _ in 0..10_000 {
        let answer = world.get(By::Enrolment, &format!("/v1/verifications/{}", random_id())).await;
        assert_eq!((answer.status, &answer.text), (expected.status, &expected.text));
    }
    for odd in ["%ff", "%00", "..%2f", &id.to_lowercase(), &format!("{id}0"), "call_1"] {
        let answer = world.get(By::Enrolment, &format!("/v1/verifications/{odd}")).await;
        assert_eq!((answer.status, &answer.text), (expected.status, &expected.text), "{odd}");
    }
}

#[tokio::test]
async fn a_view_token_reads_its_verification_and_nothing_else() {
    let world = World::new().await;
    let (id, order) = world.create(REQUEST).await;
    let (second, _) = world.create(&REQUEST.replace("1234", "9876")).await;
    let token = world.view_token(&id).await;
    world.verified(&order).await;

    let read = world.get(By::Token(&token), &format!("/v1/verifications/{id}")).await;
    assert_eq!(read.good()["status"], "verified");
    let in_query = world.get(By::Nobody, &format!("/v1/verifications/{id}?access_token={token}")).await;
    assert_eq!(in_query.good()["status"], "verified");
    let events = world.get(By::Nobody, &format!("/v1/verifications/{id}/events?access_token={token}")).await;
    assert!(events.text.contains("event: verification.verified"), "{events:?}");

    for (method, path) in [
        ("GET", format!("/v1/verifications/{second}")),
        ("GET", format!("/v1/verifications/{second}?access_token={token}")),
        ("GET", format!("/v1/verifications/{second}/events")),
        ("GET", String::from("/v1/verifications")),
        ("GET", format!("/v1/verifications?access_token={token}")),
        ("POST", String::from("/v1/verifications")),
        ("POST", format!("/v1/verifications/{id}/cancel")),
        ("POST", format!("/v1/verifications/{id}/redial")),
        ("POST", format!("/v1/verifications/{id}/view-token")),
        ("GET", String::from("/v1/calls")),
        ("GET", String::from("/v1/stats")),
        ("GET", String::from("/v1/caller-ids")),
        ("GET", String::from("/metrics")),
    ] {
        let request = world.request(By::Token(&token), method, &path).body(Body::empty()).unwrap();
        assert_eq!(world.send(request).await.code(), "unauthorized", "{method} {path}");
    }

    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        let answer = world.get(By::Token(&other), &format!("/v1/verifications/{id}")).await;
        assert_eq!(answer.code(), "unauthorized", "character {at} was changed");
    }

    world.clock.advance(std::time::Duration::from_secs(24 * 3600));
    let late = world.get(By::Token(&token), &format!("/v1/verifications/{id}")).await;
    assert_eq!(late.code(), "unauthorized", "it is too old");
}

#[tokio::test]
async fn reads_with_a_view_token_are_bounded() {
    let world = World::new().await;
    let (id, _) = world.create(REQUEST).await;
    let token = world.view_token(&id).await;
    let path = format!("/v1/verifications/{id}");
    let first = world.get(By::Token(&token), &path).await;
    assert_eq!(first.header("ratelimit-policy"), "\"view_reads\";q=60;w=60");
    assert_eq!(first.header("ratelimit"), "\"view_reads\";r=59;t=1");
    let mut refused = None;
    for _ in 0..100 {
        let answer = world.get(By::Token(&token), &path).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("there is a limit");
    assert_eq!(refused.code(), "too_many");
    assert_eq!(refused.json()["limit"], "view_reads");
    assert!(!refused.header("retry-after").is_empty());
    world.get(By::Enrolment, &path).await.good();
}

#[tokio::test]
async fn reads_of_a_client_are_bounded_where_the_settings_say_so() {
    let world = World::with(Config { reads_per_minute: Some(2), ..Config::default() }).await;
    let made = world.post(By::Enrolment, "/v1/verifications", REQUEST).await.good();
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/verifications/{id}");
    assert_eq!(world.get(By::Enrolment, &path).await.header("ratelimit"), "\"reads\";r=1;t=30");
    world.get(By::VerifyOnly, "/v1/verifications").await.good();
    let refused = world.get(By::Enrolment, &path).await;
    assert_eq!((refused.code().as_str(), refused.json()["limit"].as_str()), ("too_many", Some("reads")));
    assert_eq!(world.get(By::Other, &path).await.code(), "not_found", "another client has its own");
}

#[tokio::test]
async fn pages_of_named_origins_may_read_with_a_view_token() {
    let origin = "https://enrol.example.com";
    let config = Config { cors_origins: vec![origin.to_owned()], ..Config::default() };
    let world = World::with(config).await;
    let (id, _) = world.create(REQUEST).await;
    let path = format!("/v1/verifications/{id}");
    let asked = |method: &'static str, path: &str, from: &'static str| {
        let request = world.request(By::Nobody, method, path).header(header::ORIGIN, from);
        request.header("access-control-request-method", "GET").body(Body::empty()).unwrap()
    };
    let preflight = world.send(asked("OPTIONS", &path, origin)).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-origin"), origin);
    assert_eq!(preflight.header("access-control-allow-methods"), "GET");
    let refused = world.send(asked("GET", &path, origin)).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (StatusCode::UNAUTHORIZED, origin));
    assert_eq!(refused.header("vary"), "origin");
    for request in [
        asked("OPTIONS", &path, "https://evil.example.com"),
        asked("GET", &path, "https://evil.example.com"),
        asked("OPTIONS", "/v1/verifications", origin),
        asked("OPTIONS", &format!("{path}/cancel"), origin),
    ] {
        let answer = world.send(request).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{answer:?}");
        assert!(!answer.status.is_success());
    }
}
