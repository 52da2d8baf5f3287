//! Owns the stream of a verification's events (server-sent events, WHATWG HTML section 9.2): one for each thing that
//! happened, from the verification's own log, so that any instance can go on where another stopped.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until},
};

use super::{
    App, Named,
    docs::{self, Problems},
    problem::{self, Problem},
    query::Parameters,
    verifications::{Reader, is_settled},
};
use crate::{
    gateway::{EventDocument, Refusal, Watch, events},
    verification::Verification,
};

/// How often a comment is sent when nothing happens, so that nothing in between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After how long a browser comes back when the stream breaks off.
const COME_BACK_AFTER: Duration = Duration::from_secs(2);

/// Longest life of a stream. A verification is over long before; this is for one whose end nobody can write.
const LONGEST_STREAM: Duration = Duration::from_secs(20 * 60);

/// How long to wait when the store is away, before looking again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The lines of one event.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only described")]
pub(super) struct SentEvent {
    /// The `seq` of what happened.
    #[schema(example = "3")]
    id: String,
    /// Its `type`.
    #[schema(example = "call.ringing")]
    event: String,
    /// What happened, in JSON: an `EventDocument`, as in the timeline of a call.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// Watch a verification.
///
/// Server-sent events, one for each thing that happened: `id` is its number, `event` its type, `data` an event in JSON.
/// All that happened before is sent first; with `Last-Event-ID` only what came after. Where events are no longer kept, one
/// with the `detail` `state` says how the verification is now. The stream ends when the
/// verification is decided and its call is over; asked again then, the answer is 204, and a browser stops asking.
#[utoipa::path(get, path = "/v1/verifications/{id}/events", operation_id = "watch_verification", tag = "verifications",
    security(("api_key" = []), ("view_token" = [])),
    params(("id" = String, Path, description = "The id of the verification."),
        ("Last-Event-ID" = Option<u32>, Header, description = "The number of the last event that you have."),
        ("access_token" = Option<String>, Query, description = "A view token, where the header cannot be set. Never an API key.")),
    responses((status = 200, content_type = "text/event-stream", body = SentEvent, description = "The events.",
            example = "id: 3\nevent: call.ringing\ndata: {\"seq\":3,\"type\":\"call.ringing\",\"status\":\"pending\",\"stage\":\"ringing\"}\n\n"),
        (status = 204, description = "Nothing happened since, and nothing more will."),
        Problems<{ docs::READ }>))]
pub(super) async fn stream(State(app): State<App>, Named(id): Named, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let reader = Reader::of(&app, &id, &parts)?;
    let mut parameters = Parameters::of(&parts.uri);
    parameters.text("access_token");
    parameters.end()?;
    let seen = last_event_id(&parts.headers)?;
    let place = reader.place(&app)?;
    // Before the first look, so that nothing falls between the two.
    let watch = app.gateway.watch(reader.id).await?;
    let value = app.gateway.read(&reader.client, reader.id).await?;
    let mut watcher = Watcher {
        app,
        reader,
        watch,
        seen,
        waiting: VecDeque::new(),
        settled: false,
        until: Instant::now() + LONGEST_STREAM,
        _place: place,
    };
    watcher.look_at(&value);
    if watcher.settled && watcher.waiting.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let first = Event::default().retry(COME_BACK_AFTER).comment("");
    let stream = stream::unfold((Some(first), watcher), |(first, mut watcher)| async move {
        match first {
            Some(first) => Some((Ok::<_, Infallible>(first), (None, watcher))),
            None => watcher.next().await.map(|event| (Ok(event), (None, watcher))),
        }
    });
    let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // Proxies that collect answers would keep the events to themselves.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The number of the last event that a client has; 0 for none.
fn last_event_id(headers: &HeaderMap) -> Result<u32, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    let fault = || Problem::new(problem::Code::Malformed).fault("Last-Event-ID", "the id of an event of this stream");
    value.to_str().map_err(|_| fault())?.trim().parse().map_err(|_| fault())
}

/// Somebody who watches.
struct Watcher {
    app: App,
    reader: Reader,
    watch: Watch,
    seen: u32,
    waiting: VecDeque<EventDocument>,
    settled: bool,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// Takes what is new in a value.
    fn look_at(&mut self, value: &Verification) {
        self.waiting.extend(events(value, self.seen));
        self.seen = value.events.last().map_or(0, |event| event.seq);
        self.settled = is_settled(value);
    }

    /// The next event, once there is one; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Event::default().id(event.seq.to_string()).event(event.r#type).json_data(&event).ok();
            }
            if self.settled || !self.wait().await {
                return None;
            }
            match self.app.gateway.read(&self.reader.client, self.reader.id).await {
                Ok(value) => self.look_at(&value),
                Err(Refusal::StoreAway | Refusal::Overloaded) => self.pause().await,
                // It is gone, or we stop: whoever comes back is told so.
                Err(_) => return None,
            }
        }
    }

    /// Waits for a change. False when there is nothing to wait for any more.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            more = self.watch.changed() => more,
            () = self.app.stop.cancelled() => false,
            () = sleep_until(self.until) => false,
        }
    }

    async fn pause(&self) {
        tokio::select! {
            () = sleep(LOOK_AGAIN_AFTER) => {}
            () = self.app.stop.cancelled() => {}
        }
    }
}
