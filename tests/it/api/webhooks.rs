//! What carriers post: the URL that signatures are over, what is not looked at, and what is refused.

use axum::body::Body;
use http::{StatusCode, header};

use super::world::{By, PUBLIC_URL, REQUEST, World};

#[tokio::test]
async fn signatures_are_over_the_configured_url_whatever_a_request_says() {
    let world = World::new().await;
    let (_, order) = world.create(REQUEST).await;
    let path = format!("/webhooks/main/{}/status", order.token.to_path());
    for (target, odd) in [
        (path.clone(), ""),
        (format!("{path}?a=%2F%e3%81%82&a=+b&&c"), ""),
        (format!("{path}?"), ""),
        (path.clone(), "evil.example.com"),
    ] {
        let signature = format!("POST {PUBLIC_URL}{target} ringing");
        let mut request = world.request(By::Nobody, "POST", &target).header("x-signature", signature);
        if !odd.is_empty() {
            for name in ["x-forwarded-host", "x-forwarded-proto", "x-original-url", "forwarded"] {
                request = request.header(name, odd);
            }
            *request.headers_mut().unwrap().get_mut(header::HOST).unwrap() = odd.parse().unwrap();
        }
        let answer = world.send(request.body(Body::from("ringing")).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{target}: {answer:?}");
    }
    let absolute = world.request(By::Nobody, "POST", &format!("https://evil.example.com{path}"));
    let absolute = absolute.header("x-signature", format!("POST {PUBLIC_URL}{path} ringing"));
    let answer = world.send(absolute.body(Body::from("ringing")).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "a proxy's form of the same");
}

#[tokio::test]
async fn a_carrier_may_ask_with_get() {
    let world = World::new().await;
    let (_, order) = world.create(REQUEST).await;
    let path = format!("/webhooks/main/{}/flow?said=", order.token.to_path());
    let request = world.request(By::Nobody, "GET", &path).header("x-signature", format!("GET {PUBLIC_URL}{path} "));
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/xml"));
    assert!(answer.text.starts_with(&format!("<gather url=\"{PUBLIC_URL}/webhooks/main/")), "{answer:?}");
}

#[tokio::test]
async fn what_is_not_authentic_is_refused_without_a_word() {
    let world = World::new().await;
    let (id, order) = world.create(REQUEST).await;
    let token = order.token.to_path();
    let keys = world.answered(&order).await;
    let before = world.document(&id).await;
    let mut told = Vec::new();
    // The last character holds two bits of the proof.
    let other_end = if token.ends_with('0') { "G" } else { "0" };
    for (path, signature) in [
        (format!("/webhooks/main/{token}/{keys}"), None),
        (format!("/webhooks/main/{token}/{keys}"), Some("wrong")),
        (format!("/webhooks/other/{token}/{keys}"), Some("right")),
        (format!("/webhooks/main/{}/{keys}", "0".repeat(63)), Some("right")),
        (format!("/webhooks/main/{}{other_end}/{keys}", &token[..62]), Some("right")),
        (format!("/webhooks/main/x/{keys}"), Some("right")),
        (format!("/webhooks/main/{token}/keys/x"), Some("right")),
        (format!("/webhooks/main/{token}/keys/4294967296"), Some("right")),
    ] {
        let mut request = world.request(By::Nobody, "POST", &path);
        request = match signature {
            Some("right") => request.header("x-signature", format!("POST {PUBLIC_URL}{path} #")),
            Some(other) => request.header("x-signature", other),
            None => request,
        };
        let answer = world.send(request.body(Body::from("#")).unwrap()).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{path}");
        told.push(answer.text);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "the answers differ: {told:?}");
    assert_eq!(told[0].matches("detail").count(), 0);
    assert_eq!(world.document(&id).await, before, "nothing was changed");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit_only() {
    let world = World::new().await;
    let (_, order) = world.create(REQUEST).await;
    let path = format!("/webhooks/main/{}/status", order.token.to_path());
    let request = |bytes: usize| {
        let request = world.request(By::Nobody, "POST", &path).header("x-signature", "none");
        request.body(Body::from(vec![b'a'; bytes])).unwrap()
    };
    assert_eq!(world.send(request(16 * 1024)).await.code(), "forbidden");
    assert_eq!(world.send(request(16 * 1024 + 1)).await.code(), "too_large");
    let put = world.request(By::Nobody, "PUT", &path).body(Body::empty()).unwrap();
    assert_eq!(world.send(put).await.code(), "method_not_allowed");
}

#[tokio::test]
async fn a_repeated_message_gets_the_same_bytes() {
    let world = World::new().await;
    let (id, order) = world.create(REQUEST).await;
    let keys = world.answered(&order).await;
    let first = world.carrier_says(&order, &keys, "#").await;
    let again = world.carrier_says(&order, &keys, "#").await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(world.document(&id).await["status"], "verified");
}
