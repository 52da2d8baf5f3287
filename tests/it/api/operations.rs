//! What those who look after the service ask for, and our numbers.

use axum::body::Body;
use http::{Request, StatusCode, header};
use ringproof::http::{Config, SetupFault, metrics_edge};
use std::sync::Arc;

use super::world::{Answer, By, World};

#[tokio::test]
async fn it_lives_and_is_ready() {
    let world = World::new().await;
    for path in ["/healthz", "/livez"] {
        let answer = world.get(By::Nobody, path).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "alive\n"));
    }
    let ready = world.get(By::Nobody, "/readyz").await;
    assert_eq!(ready.good()["ready"], true, "{ready:?}");
    world.stop.cancel();
    let stopping = world.get(By::Nobody, "/readyz").await;
    assert_eq!(stopping.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((&stopping.json()["ready"], &stopping.json()["checks"][0]["name"]), (&false.into(), &"draining".into()));
    assert_eq!(world.get(By::Nobody, "/healthz").await.status, StatusCode::OK, "it still lives");
}

/// What a Prometheus of version 2 accepts.
const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                           text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

#[tokio::test]
async fn measurements_need_a_key_but_on_their_own_address() {
    let world = World::new().await;
    let answer = world.get(By::Admin, "/metrics").await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "measured in Prometheus\n"));
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let request = world.request(By::Admin, "GET", "/metrics").header(header::ACCEPT, OPENMETRICS);
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "measured in OpenMetrics\n"));
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(answer.header("vary"), "accept");
    let own = metrics_edge(Arc::new(|form| format!("measured in {form:?} too\n")), 1).unwrap();
    let of = |path: &str| Request::get(path).header(header::HOST, "a");
    let plain = of("/metrics").body(Body::empty()).unwrap();
    assert_eq!(Answer::of(own.handle(plain).await).await.text, "measured in Prometheus too\n");
    let open = of("/metrics").header(header::ACCEPT, OPENMETRICS).body(Body::empty()).unwrap();
    assert_eq!(Answer::of(own.handle(open).await).await.text, "measured in OpenMetrics too\n");
    let of = |path: &str| of(path).body(Body::empty()).unwrap();
    assert_eq!(Answer::of(own.handle(of("/v1/verifications")).await).await.code(), "not_found");
}

#[tokio::test]
async fn our_numbers_are_listed_and_kept_as_a_card() {
    let world = World::new().await;
    let list = world.get(By::Enrolment, "/v1/caller-ids").await;
    assert_eq!(list.header("vary"), "accept");
    insta::assert_snapshot!("caller_ids", serde_json::to_string_pretty(&list.good()).unwrap());
    let card = world.get(By::Enrolment, "/v1/caller-ids.vcf").await;
    assert_eq!(card.header("content-type"), "text/vcard; charset=utf-8");
    assert_eq!(card.header("content-disposition"), "attachment; filename=\"caller-ids.vcf\"");
    assert_eq!(
        card.text,
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Contoso\\; Zürich\r\nN:Contoso\\; Zürich;;;;\r\nORG:Contoso\\; Zürich\r\n\
         TEL;TYPE=WORK,VOICE:+815012345678\r\nEND:VCARD\r\n"
    );
    let request = world.request(By::Enrolment, "GET", "/v1/caller-ids").header(header::ACCEPT, "text/vcard");
    assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.text, card.text);
}

#[tokio::test]
async fn there_are_no_dead_letters_and_none_is_revived() {
    let world = World::new().await;
    assert_eq!(world.get(By::Admin, "/v1/dead-letters").await.text, r#"{"items":[]}"#);
    let none = world.post(By::Admin, "/v1/dead-letters/nonsense/revive", "").await;
    assert_eq!(none.code(), "not_found");
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let world = World::new().await;
    for (path, policy) in [
        ("/healthz", "default-src 'none'; frame-ancestors 'none'"),
        ("/nowhere", "default-src 'none'; frame-ancestors 'none'"),
        ("/page", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        let answer = world.get(By::Nobody, path).await;
        assert_eq!(answer.header("content-security-policy"), policy);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-request-id").len(), 24);
    }
}

#[test]
fn faults_of_settings_are_told() {
    let config: Config = toml::from_str("listen = \"0.0.0.0:80\"\npublic_url = \"https://a\"").unwrap();
    assert_eq!(config.listen.port(), 80);
    assert!(config.docs && config.metrics_listen.is_none() && config.cors_origins.is_empty());
    assert!(toml::from_str::<Config>("lisen = \"0.0.0.0:80\"").unwrap_err().to_string().contains("lisen"));
    assert!(SetupFault::Origin(String::from("*")).to_string().contains("cors_origins"));
}
