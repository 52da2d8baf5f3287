//! Waiting for what happens: long polls and event streams, how they wake, go on, and end.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use http::{Response, StatusCode};
use ringproof::http::Config;
use tokio::time::{Instant, timeout};

use super::world::{Answer, By, PATIENCE, REQUEST, REVISION_WHEN_PLACED, World};

/// A stream that is being read.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(world: &World, by: By<'_>, path: &str, seen: Option<&str>) -> Self {
        let mut request = world.request(by, "GET", path);
        if let Some(seen) = seen {
            request = request.header("last-event-id", seen);
        }
        let response: Response<Body> = world.edge.handle(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// Reads until `wanted` was sent.
    async fn until(&mut self, wanted: &str) {
        let read = async {
            while !self.text.contains(wanted) {
                let part = self.body.next().await.unwrap_or_else(|| panic!("ended without {wanted}: {}", self.text));
                self.text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
            }
        };
        timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{wanted} never came"));
    }

    /// Reads to the end.
    async fn rest(mut self) -> String {
        let read = async {
            while let Some(part) = self.body.next().await {
                self.text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
            }
        };
        timeout(PATIENCE, read).await.expect("the stream never ends");
        self.text
    }
}

/// The events of a stream: number and type.
fn events(text: &str) -> Vec<(u32, String)> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()))
    };
    text.split("\n\n")
        .filter_map(|block| Some((field(block, "id:")?.parse().unwrap(), field(block, "event:")?)))
        .collect()
}

#[tokio::test]
async fn a_long_poll_wakes_when_something_happens() {
    let world = World::new().await;
    let (id, order) = world.create(REQUEST).await;
    let path = format!("/v1/verifications/{id}");
    let before = REVISION_WHEN_PLACED;
    let began = Instant::now();
    let waits = format!("{path}?wait=60&revision={before}");
    let (answer, _) = tokio::join!(world.get(By::Enrolment, &waits), world.carrier_says(&order, "status", "ringing"),);
    let document = answer.good();
    assert_eq!(document["stage"], "ringing");
    assert!(document["revision"].as_u64().unwrap() > before && began.elapsed() < PATIENCE);

    let known = world.get(By::Enrolment, &format!("{path}?wait=60&revision={before}")).await;
    assert_eq!(known.good(), document, "what one does not know yet is answered at once");

    let held = world.get(By::Enrolment, &format!("{path}?wait=1")).await;
    assert_eq!(held.good(), document, "nothing happened within the wait");
    assert!(began.elapsed() >= Duration::from_secs(1));

    world.verified(&order).await;
    let settled = timeout(PATIENCE, world.get(By::Enrolment, &format!("{path}?wait=60"))).await.unwrap();
    assert_eq!(settled.good()["status"], "verified", "nothing will happen any more");
}

#[tokio::test]
async fn a_wait_has_its_limits() {
    let world = World::new().await;
    let (id, _) = world.create(REQUEST).await;
    for (query, code) in [
        ("wait=61", "out_of_range"),
        ("wait=-1", "malformed"),
        ("wait=soon", "malformed"),
        ("wait=1&wait=2", "malformed"),
        ("wait=1&revision=x", "malformed"),
        ("wiat=1", "malformed"),
    ] {
        let answer = world.get(By::Enrolment, &format!("/v1/verifications/{id}?{query}")).await;
        assert_eq!(answer.code(), code, "{query}");
    }
}

#[tokio::test]
async fn the_stop_ends_what_is_held() {
    let world = World::new().await;
    let (id, _) = world.create(REQUEST).await;
    let stream = Stream::open(&world, By::Enrolment, &format!("/v1/verifications/{id}/events"), None).await;
    let path = format!("/v1/verifications/{id}?wait=60");
    let ends = async {
        let mut poll = Box::pin(world.get(By::Enrolment, &path));
        assert!(futures_util::poll!(&mut poll).is_pending());
        world.stop.cancel();
        (poll.await, stream.rest().await)
    };
    let (poll, streamed) = timeout(PATIENCE, ends).await.unwrap();
    assert_eq!(poll.good()["status"], "pending");
    assert!(streamed.contains("event: call.dialing") && !streamed.contains("event: verification."), "{streamed}");
    assert_eq!(world.get(By::Nobody, "/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_stream_tells_each_thing_once_and_ends() {
    let world = World::new().await;
    let (id, order) = world.create(REQUEST).await;
    let path = format!("/v1/verifications/{id}/events");
    let mut stream = Stream::open(&world, By::Enrolment, &path, None).await;
    stream.until("event: call.dialing").await;
    assert!(stream.text.starts_with("retry: 2000\n"), "{}", stream.text);
    world.carrier_says(&order, "status", "ringing").await;
    stream.until("event: call.ringing").await;
    let keys = world.answered(&order).await;
    stream.until("event: call.prompted").await;
    world.carrier_says(&order, &keys, "#").await;
    stream.until("event: verification.verified").await;
    world.carrier_says(&order, "status", "completed").await;
    let all = events(&stream.rest().await);
    let numbers: Vec<u32> = all.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=u32::try_from(all.len()).unwrap()).collect::<Vec<_>>());
    let types: Vec<&str> = all.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(
        types,
        [
            "call.queued",
            "call.dialing",
            "call.ringing",
            "call.answered",
            "call.prompted",
            "call.entry",
            "verification.verified",
            "call.ended"
        ]
    );

    let whole = Stream::open(&world, By::Enrolment, &path, None).await.rest().await;
    assert_eq!(events(&whole), all, "who comes later gets the same");
    let resumed = Stream::open(&world, By::Enrolment, &path, Some("3")).await.rest().await;
    assert_eq!(events(&resumed), all[3..], "who comes back gets what came since");
    let request = world.request(By::Enrolment, "GET", &path).header("last-event-id", all.len().to_string());
    let nothing = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((nothing.status, nothing.text.as_str()), (StatusCode::NO_CONTENT, ""), "a browser stops asking");
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off() {
    let world = World::new().await;
    let (id, order) = world.create(REQUEST).await;
    let path = format!("/v1/verifications/{id}/events");
    let mut first = Stream::open(&world, By::Enrolment, &path, None).await;
    first.until("event: call.dialing").await;
    let seen = events(&first.text);
    drop(first);
    world.carrier_says(&order, "status", "ringing").await;
    let last = seen.last().unwrap().0.to_string();
    let mut second = Stream::open(&world, By::Enrolment, &path, Some(&last)).await;
    second.until("event: call.ringing").await;
    assert_eq!(events(&second.text).first().unwrap().0, seen.last().unwrap().0 + 1);
    for bad in ["x", "-1", "1.5"] {
        let request = world.request(By::Enrolment, "GET", &path).header("last-event-id", bad);
        assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.code(), "malformed", "{bad}");
    }
}

#[tokio::test]
async fn so_many_may_wait_at_once_and_who_leaves_makes_room() {
    let world = World::with(Config { max_waiting_per_client: 1, ..Config::default() }).await;
    let (id, _) = world.create(REQUEST).await;
    let path = format!("/v1/verifications/{id}/events");
    let mut stream = Stream::open(&world, By::Enrolment, &path, None).await;
    stream.until("event: call.queued").await;
    let token = world.view_token(&id).await;
    for refused in [
        world.get(By::Enrolment, &path).await,
        world.get(By::VerifyOnly, &format!("/v1/verifications/{id}?wait=30")).await,
        world.get(By::Token(&token), &path).await,
    ] {
        assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("overloaded", "1"));
    }
    world.get(By::Enrolment, &format!("/v1/verifications/{id}")).await.good();
    drop(stream);
    Stream::open(&world, By::Enrolment, &path, None).await.until("event: call.queued").await;
}

#[tokio::test]
async fn nothing_is_streamed_about_what_is_not_there() {
    let world = World::new().await;
    let answer: Answer = world.get(By::Enrolment, "/v1/verifications/ver_1/events").await;
    assert_eq!(answer.code(), "not_found");
}
