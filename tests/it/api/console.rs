//! The console over HTTP: who comes in, what each sees, what is refused, what every page says to a browser.

use std::{fs, time::Duration};

use axum::body::Body;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use ringproof::http::Scope;
use serde_json::{Value, json};

use super::world::{Answer, By, PATIENCE, REQUEST, World, until};
use crate::{tidy, world::backend::Backend};

/// What stands before every path, as browsers see it: the public URL has a path, which the proxy strips.
const BASE: &str = "/voice/console";

/// A form as a page of ours sends it.
async fn form(world: &World, cookie: &str, path: &str, fields: &str) -> Answer {
    let request = world.request(By::Nobody, "POST", &format!("/console{path}"));
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = request.header("sec-fetch-site", "same-origin").header(header::COOKIE, cookie);
    world.send(request.body(Body::from(fields.to_owned())).unwrap()).await
}

pub(super) async fn page(world: &World, cookie: &str, path: &str) -> Answer {
    let request = world.request(By::Nobody, "GET", &format!("/console{path}")).header(header::COOKIE, cookie);
    world.send(request.body(Body::empty()).unwrap()).await
}

/// Signs in with a key: the cookie.
pub(super) async fn signed_in(world: &World, key: usize) -> String {
    let answer = form(world, "", "/sign-in", &format!("key={}&next=%2Fcalls", world.keys[key])).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/voice/console/calls"),
        "{answer:?}"
    );
    let cookie = answer.header("set-cookie");
    for part in ["__Host-ringproof_session=", "; Path=/;", "; HttpOnly", "; SameSite=Strict", "; Secure", "; Max-Age="]
    {
        assert!(cookie.contains(part), "{part} is missing: {cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

/// A verification that ended without an answer.
async fn a_busy_call(world: &World) -> String {
    let (id, order) = world.create(REQUEST).await;
    world.carrier_says(&order, "status", "busy").await;
    id.replace("ver_", "call_") + "_1"
}

/// Every address that the sources of the console route, but those of signing in and of language and colours: with what is
/// asked there, and this call where a call is named.
fn addresses(call: &str) -> Vec<(Method, String)> {
    let open = ["/sign-in", "/sign-out", "/taste"];
    let mut all = Vec::new();
    for file in fs::read_dir(tidy::root().join("src/console")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for route in fs::read_to_string(path).unwrap().split(".route(\"").skip(1) {
            let (path, asked) = route.split_once('"').unwrap();
            let method =
                if asked.trim_start_matches([',', ' ', '\n']).starts_with("post") { Method::POST } else { Method::GET };
            if !open.contains(&path) {
                let id = if path.starts_with("/outbox") { "ver_x.1.0" } else { call };
                all.push((method, path.replace("{id}", id).replace("{form}", "csv").trim_end_matches('/').to_owned()));
            }
        }
    }
    assert!(all.len() >= 9, "the sources were not read: {all:?}");
    all
}

/// Asks for it as a page of ours does; as what keeps itself up to date does, where that is said.
async fn ask(world: &World, cookie: &str, (method, path): &(Method, String), live: bool) -> Answer {
    if method == Method::POST {
        return form(world, cookie, path, "q=5678").await;
    }
    let request = world.request(By::Nobody, "GET", &format!("/console{path}")).header(header::COOKIE, cookie);
    let request = if live { request.header(header::ACCEPT, "text/event-stream") } else { request };
    world.send(request.body(Body::empty()).unwrap()).await
}

/// What a page that is kept up to date is sent first.
async fn first_frame(world: &World, cookie: &str, path: &str) -> String {
    let request = world.request(By::Nobody, "GET", &format!("/console{path}")).header(header::COOKIE, cookie);
    let answer = world.edge.handle(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let mut body = answer.into_body();
    let mut text = String::new();
    let read = async {
        while !text.contains("data:") {
            text += &String::from_utf8_lossy(&body.frame().await.unwrap().unwrap().into_data().unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("something is sent");
    text
}

#[tokio::test]
async fn no_address_shows_anything_without_a_session() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    for address in addresses(&call) {
        for cookie in ["", "__Host-ringproof_session=AAAA"] {
            let answer = ask(&world, cookie, &address, false).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{address:?}");
            assert!(answer.header("location").starts_with(&format!("{BASE}/sign-in")), "{answer:?}");
            assert_eq!(answer.text, "", "{address:?}");
            if address.0 == Method::GET {
                let live = ask(&world, cookie, &address, true).await;
                assert_eq!((live.status, live.text.as_str()), (StatusCode::UNAUTHORIZED, ""), "{address:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_without_the_scope_sees_nothing_whenever_it_lost_it() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    let cookie = signed_in(&world, 0).await;
    assert!(page(&world, &cookie, "/calls").await.text.contains(&call));
    let world = world.started_again_with(&[(0, &[Scope::Verify])]);
    for address in addresses(&call) {
        for live in [false, true] {
            let answer = ask(&world, &cookie, &address, live).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{address:?}");
            assert!(answer.text.contains("may not see calls"), "{address:?}");
            assert!(!answer.text.contains(&call) && !answer.text.contains("user-42"), "{address:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_taken_away_signs_its_sessions_out() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    let (gone, kept) = (signed_in(&world, 0).await, signed_in(&world, 3).await);
    let world = world.started_again_with(&[(3, &[Scope::Calls])]);
    for address in addresses(&call) {
        let answer = ask(&world, &gone, &address, false).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{address:?}");
        assert!(answer.header("location").starts_with(&format!("{BASE}/sign-in")), "{answer:?}");
    }
    let stream = (Method::GET, format!("/calls/{call}/events"));
    assert_eq!(ask(&world, &gone, &stream, true).await.status, StatusCode::UNAUTHORIZED);
    assert!(page(&world, &kept, "/calls").await.text.contains(&call), "another key of the same client goes on");
}

#[tokio::test]
async fn a_dead_letter_is_seen_looked_at_and_sent_again() {
    let world = World::new().await;
    let backend = Backend::start().await;
    backend.answers([410]);
    let request: Value = serde_json::from_str(REQUEST).unwrap();
    let mut request = request.as_object().unwrap().clone();
    request.insert(String::from("callback_url"), json!(backend.url()));
    let (id, order) = world.create(&Value::Object(request).to_string()).await;
    world.verified(&order).await;
    let cookie = signed_in(&world, 4).await;
    let letter = until("it is a dead letter", || async {
        let list = page(&world, &cookie, "/outbox").await.text;
        let (_, rest) = list.split_once("/console/outbox/")?;
        Some(rest.split_once("/send\"")?.0.to_owned())
    })
    .await;
    assert!(letter.starts_with(&id), "{letter}");
    let list = page(&world, &cookie, "/outbox").await.text;
    let call = id.replace("ver_", "call_") + "_1";
    assert!(list.contains(&format!("/console/calls/{call}")) && list.contains("answered 410"), "{list}");
    let shown = page(&world, &cookie, &format!("/calls/{call}")).await.text;
    assert!(shown.contains("Given up on") && shown.contains("answered 410"), "{shown}");

    let path = format!("/outbox/{letter}/send");
    let foreign = world.request(By::Nobody, "POST", &format!("/console{path}")).header(header::COOKIE, &cookie);
    let foreign = foreign.header("sec-fetch-site", "cross-site").header("origin", "https://evil.test");
    assert_eq!(world.send(foreign.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
    let own = signed_in(&world, 0).await;
    assert_eq!(form(&world, &own, &path, "").await.status, StatusCode::FORBIDDEN, "it needs the scope admin");
    assert_eq!(backend.results().len(), 1, "and nothing was sent");

    let sent = form(&world, &cookie, &path, "").await;
    assert_eq!(sent.header("location"), format!("{BASE}/outbox?sent"));
    assert!(page(&world, &cookie, "/outbox?sent").await.text.contains("under the same id"));
    // The outbox is looked at every few seconds of this clock.
    world.clock.advance(Duration::from_secs(10));
    until("it is delivered", || async {
        let shown = page(&world, &cookie, &format!("/calls/{call}")).await.text;
        shown.contains("at attempt").then_some(())
    })
    .await;
    let ids: Vec<_> = backend.results().into_iter().map(|result| result.id).collect();
    assert_eq!(ids, [letter.clone(), letter], "the same id twice");
    assert!(page(&world, &cookie, "/outbox").await.text.contains("Every result is delivered"));
    assert_eq!(form(&world, &cookie, &path, "").await.header("location"), format!("{BASE}/outbox?gone"));
}

#[tokio::test]
async fn what_is_kept_up_to_date_is_of_ones_own_calls() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    let (own, other, admin) = (signed_in(&world, 0).await, signed_in(&world, 1).await, signed_in(&world, 4).await);
    for (cookie, sees) in [(&own, true), (&other, false), (&admin, true)] {
        assert_eq!(first_frame(&world, cookie, "/calls/events").await.contains(&call), sees);
    }
    let stream = format!("/calls/{call}/events");
    assert!(first_frame(&world, &own, &stream).await.contains("The line was busy"));
    let refused = ask(&world, &other, &(Method::GET, stream), true).await;
    assert_eq!((refused.status, refused.text.as_str()), (StatusCode::NOT_FOUND, ""));
    let filtered = ask(&world, &other, &(Method::GET, String::from("/calls/events?client=enrolment")), true).await;
    assert_eq!(filtered.status, StatusCode::BAD_REQUEST, "nor by asking for another client");
    let ndjson = page(&world, &other, "/calls/export/ndjson").await;
    assert!(!ndjson.text.contains(&call) && page(&world, &own, "/calls/export/ndjson").await.text.contains(&call));
}

#[tokio::test]
async fn nobody_sees_anything_without_a_key_that_may() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    for path in ["", "/calls", "/board", "/health", "/outbox", &format!("/calls/{call}"), "/calls/export/csv"] {
        let answer = page(&world, "", path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.header("location").starts_with(&format!("{BASE}/sign-in")), "{answer:?}");
        assert!(!answer.text.contains("5678"), "{answer:?}");
    }
    for (key, status) in [("rp_wrong", StatusCode::FORBIDDEN), (&world.keys[2], StatusCode::FORBIDDEN)] {
        let answer = form(&world, "", "/sign-in", &format!("key={key}")).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("set-cookie"), "", "no session comes of it");
        assert!(!answer.text.contains(key), "the key is not shown again");
    }
    assert!(form(&world, "", "/sign-in", "key=rp_x").await.text.contains("not a key of this installation"));
    for forged in ["__Host-ringproof_session=", "__Host-ringproof_session=AAAA"] {
        assert_eq!(page(&world, forged, "/calls").await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn every_page_says_what_it_may_load_and_is_not_kept() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    let cookie = signed_in(&world, 4).await;
    let one = format!("/calls/{call}");
    for path in ["/sign-in?next=/calls", "/calls", "/board", "/health", "/outbox", &one, "/calls/call_x"] {
        let answer = page(&world, &cookie, path).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        for inline in [" style=", "<style", " onclick=", "<script>", "http://", "//cdn"] {
            assert!(!answer.text.contains(inline), "{path} holds {inline}");
        }
    }
    let asset = page(&world, "", "/assets/console.css").await;
    assert_eq!((asset.status, asset.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
}

#[tokio::test]
async fn a_failed_call_is_found_by_its_last_digits_and_its_page_says_why() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    let cookie = signed_in(&world, 0).await;
    let found = form(&world, &cookie, "/calls/search", "q=5678&filters=status%3Dfailed").await;
    assert_eq!(found.header("location"), "/voice/console/calls?last_digits=5678&status=failed");
    let list = page(&world, &cookie, "/calls?last_digits=5678").await;
    assert!(list.text.contains(&call) && list.text.contains("The line was busy"), "{}", list.text);
    assert!(!page(&world, &cookie, "/calls?last_digits=5679").await.text.contains(&call));
    let shown = page(&world, &cookie, &format!("/calls/{call}")).await;
    for part in
        ["The line was busy.", "Let the person try again in a minute.", "user-42", "The backend asked for no report"]
    {
        assert!(shown.text.contains(part), "{part} is missing: {}", shown.text);
    }
    assert!(!shown.text.contains("90-1234"), "the number is masked");
}

#[tokio::test]
async fn an_address_comes_back_in_one_form() {
    let world = World::new().await;
    let cookie = signed_in(&world, 4).await;
    let answer = page(&world, &cookie, "/calls?reason=&status=failed&since=2026-11-24T09%3A00&nonsense=1").await;
    let canonical = "since=2026-11-24T09%3A00%3A00.000Z&status=failed";
    assert_eq!(answer.header("location"), format!("{BASE}/calls?{canonical}"));
    let list = page(&world, &cookie, &format!("/calls?{canonical}")).await;
    assert_eq!(list.status, StatusCode::OK);
    assert!(list.text.contains("value=\"2026-11-24T09:00\""), "the form shows what the address says");
    assert!(list.text.contains("export/csv?since="), "and the export has the same filters");
    assert_eq!(page(&world, &cookie, "/calls?status=lost").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_number_in_full_reaches_no_address() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    let cookie = signed_in(&world, 0).await;
    let found = form(&world, &cookie, "/calls/search", "q=090-1234-5678").await;
    let location = found.header("location").strip_prefix("/voice/console").unwrap().to_owned();
    assert!(location.starts_with("/calls?number=") && !location.contains("1234"), "{location}");
    let list = page(&world, &cookie, &location).await;
    assert!(list.text.contains(&call) && list.text.contains("audit log"), "{}", list.text);
    let other = signed_in(&world, 1).await;
    assert_eq!(page(&world, &other, &location).await.status, StatusCode::BAD_REQUEST, "one's search is no other's");
}

#[tokio::test]
async fn a_client_sees_its_own_calls_and_no_outbox() {
    let world = World::new().await;
    let call = a_busy_call(&world).await;
    let (own, other, admin) = (signed_in(&world, 0).await, signed_in(&world, 1).await, signed_in(&world, 4).await);
    for (cookie, sees) in [(&own, true), (&other, false), (&admin, true)] {
        assert_eq!(page(&world, cookie, "/calls").await.text.contains(&call), sees);
        let one = page(&world, cookie, &format!("/calls/{call}")).await;
        assert_eq!(one.status, if sees { StatusCode::OK } else { StatusCode::NOT_FOUND });
        let csv = page(&world, cookie, "/calls/export/csv").await;
        assert_eq!(csv.text.contains(&call), sees);
    }
    assert_eq!(page(&world, &other, "/calls?client=enrolment").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(page(&world, &own, "/outbox").await.status, StatusCode::FORBIDDEN);
    assert_eq!(page(&world, &admin, "/outbox").await.status, StatusCode::OK);
    let send = form(&world, &own, "/outbox/ver_x.1.0/send", "").await;
    assert_eq!(send.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let world = World::new().await;
    let cookie = signed_in(&world, 4).await;
    for path in ["/sign-in", "/sign-out", "/taste", "/calls/search", "/outbox/x/send"] {
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test"), ("origin", "null")] {
            let request = world.request(By::Nobody, "POST", &format!("/console{path}")).header(name, value);
            let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let answer = world.send(request.header(header::COOKIE, &cookie).body(Body::from("q=1")).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {name} {value}");
        }
    }
}

#[tokio::test]
async fn a_session_ends_by_itself_and_by_signing_out() {
    let world = World::new().await;
    let cookie = signed_in(&world, 4).await;
    let out = form(&world, &cookie, "/sign-out", "").await;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    assert_eq!(page(&world, &cookie, "/calls").await.status, StatusCode::OK);
    world.clock.advance(Duration::from_hours(8));
    assert_eq!(page(&world, &cookie, "/calls").await.status, StatusCode::SEE_OTHER, "its time is over");
}

#[tokio::test]
async fn hostile_texts_are_only_ever_text() {
    let world = World::new().await;
    let hostile = "\\\"><script>alert(1)</script>";
    let (id, order) = world.create(&REQUEST.replace("user-42", hostile)).await;
    world.carrier_says(&order, "status", "busy").await;
    let cookie = signed_in(&world, 4).await;
    let call = id.replace("ver_", "call_") + "_1";
    for path in [String::from("/calls"), format!("/calls/{call}"), String::from("/calls?reference=%22%3E%3Cscript%3E")]
    {
        let answer = page(&world, &cookie, &path).await;
        assert!(!answer.text.contains("<script>"), "{path}: {}", answer.text);
    }
}
