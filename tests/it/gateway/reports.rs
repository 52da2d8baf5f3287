//! Results on their way to the backend.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use ringproof::{
    gateway::{CallsQuery, CreateRequest, Erasure, Refusal},
    id::EffectId,
    outcome::{DeliveryOutcome, Status},
    store::Store,
    time::Clock,
    verification::Verification,
};
use tokio_util::task::TaskTracker;

use super::{
    faulty::Faulty,
    world::{ManualClock, SECRET, World, client, memory, reported_to, until},
};

/// A status, and a header where there is one.
type Answer = (u16, Option<&'static str>);

/// A backend that answers as it is told, and keeps what it gets.
#[derive(Clone, Default)]
struct Backend {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Backend {
    async fn open() -> (Self, String) {
        let backend = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/results", listener.local_addr().unwrap());
        let app = Router::new().fallback(take).with_state(backend.clone());
        TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
        (backend, url)
    }

    fn will_answer(&self, answers: &[Answer]) {
        self.answers.lock().unwrap().extend(answers);
    }

    async fn got(&self, count: usize) -> Vec<(HeaderMap, Bytes)> {
        until("the backend is called", || async {
            let got = self.got.lock().unwrap();
            (got.len() >= count).then(|| got.clone())
        })
        .await
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

async fn take(State(backend): State<Backend>, headers: HeaderMap, body: Bytes) -> Response {
    backend.got.lock().unwrap().push((headers, body));
    let (status, header) = backend.answers.lock().unwrap().pop_front().unwrap_or((200, None));
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    if let Some((name, value)) = header.and_then(|header| header.split_once(": ")) {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Signed by us with this secret: the check of a receiver, written from the specification.
fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| headers[name].to_str().unwrap();
    let key = BASE64_STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).as_bytes());
    mac.update(body);
    let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    text("webhook-signature").split(' ').any(|signature| signature == expected)
}

/// A verification that is canceled, so that there is something to report.
async fn decided(world: &World, url: &str) -> Verification {
    let id = world.create(reported_to(url)).await.unwrap().document.id;
    world.gateway.cancel(&client(), id).await.unwrap()
}

#[tokio::test]
async fn the_backend_is_told_once() {
    let world = World::new().await;
    let (backend, url) = Backend::open().await;
    let (id, order) = world.call(reported_to(&url)).await;
    let open = world.answer(&order).await;
    assert_eq!(backend.count(), 0, "nothing is told before it is decided");
    world.keys(&order, open, "#").await.unwrap();
    let got = backend.got(1).await;
    let (headers, body) = &got[0];
    assert!(is_signed(headers, body));
    assert_eq!(headers["content-type"], "application/json");
    let told: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!(told["type"], "verification.verified");
    assert_eq!(told["data"]["id"], id.to_string());
    assert_eq!(told["data"]["status"], "verified");
    assert_eq!(told["timestamp"], told["data"]["decided_at"]);
    let v = world.value(id).await;
    let named: EffectId = headers["webhook-id"].to_str().unwrap().parse().unwrap();
    assert_eq!(named.verification, id);
    world.status(&order, "completed").await.unwrap();
    assert_eq!(v.status, Status::Verified);
    // Neither the rest of the call nor a sweep tells it again.
    world.clock.advance(Duration::from_secs(60));
    until("the outbox is empty", || async {
        world.store.take(1, Duration::ZERO).await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(backend.count(), 1);
    let calls = world.gateway.calls(&CallsQuery::default()).await.unwrap();
    let delivery = calls.items[0].delivery.clone().expect("how it was delivered stands in the call log");
    assert_eq!((delivery.outcome, delivery.attempts, delivery.status), (DeliveryOutcome::Delivered, 1, Some(200)));
}

/// A world whose store writes down until when results are put off.
async fn watched() -> (World, Arc<Faulty>) {
    let clock = ManualClock::new();
    let store = Faulty::sound(memory(&clock));
    (World::on(clock, Arc::clone(&store) as Arc<dyn Store>).await, store)
}

/// Waits until a result was put off for the `nth` time, moves the clock there, and says how long that was.
async fn pass(world: &World, store: &Faulty, nth: usize) -> Duration {
    let at = until("it is put off", || async { store.put_off.lock().unwrap().get(nth - 1).map(|(_, at)| *at) }).await;
    let wait = at.since(world.clock.now());
    world.clock.advance(wait - Duration::from_millis(1));
    assert!(world.store.take(1, Duration::ZERO).await.unwrap().is_empty(), "not before its time");
    world.clock.advance(Duration::from_millis(1));
    wait
}

#[tokio::test]
async fn the_same_bytes_until_it_is_taken() {
    let (world, store) = watched().await;
    let (backend, url) = Backend::open().await;
    backend.will_answer(&[(500, None), (302, Some("location: /elsewhere")), (429, None), (204, None)]);
    decided(&world, &url).await;
    for attempt in 1..=3 {
        backend.got(attempt).await;
        pass(&world, &store, attempt).await;
    }
    let got = backend.got(4).await;
    assert!(got.iter().all(|(headers, body)| is_signed(headers, body)));
    assert!(got.iter().all(|(headers, body)| *body == got[0].1 && headers["webhook-id"] == got[0].0["webhook-id"]));
    assert!(got[3].0["webhook-timestamp"] != got[0].0["webhook-timestamp"], "each attempt is signed with its own time");
    world.clock.advance(Duration::from_secs(48 * 3600));
    assert!(world.gateway.dead_letters().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_retry_after_is_honoured() {
    let (world, store) = watched().await;
    let (backend, url) = Backend::open().await;
    backend.will_answer(&[(503, Some("retry-after: 3600"))]);
    decided(&world, &url).await;
    backend.got(1).await;
    assert_eq!(pass(&world, &store, 1).await, Duration::from_secs(3600));
    backend.got(2).await;
}

#[tokio::test]
async fn three_days_of_silence_make_a_dead_letter_that_can_be_revived() {
    let (world, store) = watched().await;
    let (backend, url) = Backend::open().await;
    backend.will_answer(&[(500, None); 10]);
    decided(&world, &url).await;
    let schedule = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (attempt, wanted) in (1..).zip(schedule) {
        backend.got(attempt).await;
        let wait = pass(&world, &store, attempt).await.as_secs_f64();
        let wanted = f64::from(wanted);
        assert!((wanted * 0.79..=wanted * 1.21).contains(&wait), "attempt {attempt}: {wait} s, not about {wanted} s");
    }
    backend.got(10).await;
    let dead = until("it is a dead letter", || async { world.gateway.dead_letters().await.unwrap().pop() }).await;
    assert_eq!((dead.attempts(), dead.why.as_str()), (10, "the backend answered 500, and 9 times before"));
    world.clock.advance(Duration::from_secs(48 * 3600));
    assert_eq!(backend.count(), 10, "a dead letter is not tried again by itself");
    world.gateway.revive(dead.effect.id).await.unwrap();
    let got = backend.got(11).await;
    assert_eq!(got[10].1, got[0].1);
    until("it is no dead letter any more", || async {
        world.gateway.dead_letters().await.unwrap().is_empty().then_some(())
    })
    .await;
    let unknown = EffectId { revision: 99, ..dead.effect.id };
    assert_eq!(world.gateway.revive(unknown).await.unwrap_err(), Refusal::NotFound);
}

#[tokio::test]
async fn gone_is_gone() {
    let world = World::new().await;
    let (backend, url) = Backend::open().await;
    backend.will_answer(&[(410, None)]);
    decided(&world, &url).await;
    backend.got(1).await;
    let dead = until("it is a dead letter", || async { world.gateway.dead_letters().await.unwrap().pop() }).await;
    assert_eq!(dead.attempts(), 1);
}

/// The process that decided dies before it told: another one tells.
#[tokio::test]
async fn another_process_tells_what_the_first_could_not() {
    let world = World::new().await;
    let (backend, url) = Backend::open().await;
    let id = world.create(reported_to(&url)).await.unwrap().document.id;
    world.order(0).await;
    world.gateway.stop(Duration::from_secs(5)).await;
    // It still answers what was under way, but works nothing off any more.
    world.gateway.cancel(&client(), id).await.unwrap();
    assert_eq!(backend.count(), 0);
    let _beside = world.beside().await;
    world.clock.advance(Duration::from_secs(25));
    backend.got(1).await;
}

/// A number that is erased takes its undelivered results with it, and no others.
#[tokio::test]
async fn an_erased_number_leaves_no_dead_letter() {
    let world = World::new().await;
    let (backend, url) = Backend::open().await;
    backend.will_answer(&[(410, None), (410, None)]);
    for (call, to) in ["+819012345678", "+819012345679"].into_iter().enumerate() {
        world.create(CreateRequest { to: to.to_owned(), ..reported_to(&url) }).await.unwrap();
        let order = world.order(call).await;
        world.status(&order, "busy").await.unwrap();
    }
    let dead = async |count: usize| {
        until("so many are dead letters", || async {
            Some(world.gateway.dead_letters().await.unwrap()).filter(|letters| letters.len() == count)
        })
        .await
    };
    dead(2).await;
    let erasure = Erasure {
        asked_by: String::from("operators"),
        client: None,
        number: String::from("090-1234-5678"),
        country: Some(String::from("JP")),
    };
    let erased = world.gateway.erase(erasure.clone()).await.unwrap();
    let left = erased.left.map(|left| left.verifications);
    assert_eq!((erased.erased, erased.dead_letters, erased.more, left), (1, 1, false, Some(1)));
    let kept = dead(1).await;
    let other = world.store.load(kept[0].effect.id.verification).await.unwrap().unwrap();
    assert!(format!("{:?}", other.request.targets[0].to).contains("5679"), "{other:?}");
    let again = world.gateway.erase(erasure).await.unwrap();
    assert_eq!((again.erased, again.dead_letters, again.left), (0, 0, None));
}
