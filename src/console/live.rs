//! Owns the calls that are up now, as the list shows them: read at most once a second, whoever looks. And the frames of
//! pages that change while they are looked at (server-sent events, WHATWG HTML section 9.2).

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{StreamExt, future::join_all, stream};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{Console, session::Session};
use crate::{
    gateway::{Refusal, VerificationsQuery},
    outcome::Stage,
    time::Timestamp,
    verification::CallRecord,
};

/// How long what was read is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// Newest verifications of one client that are looked at.
const OF_ONE_CLIENT: usize = 60;
/// Clients that are asked about at once.
const AT_ONCE: usize = 8;
/// Most pages that are kept up to date at the same time.
const MOST_STREAMS: usize = 128;
/// How often a comment is sent when nothing happens, so that nothing in between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After how long a browser comes back when the stream breaks off.
const COME_BACK_AFTER: Duration = Duration::from_secs(3);

/// A call that is up.
#[derive(Debug, Clone)]
pub(super) struct Up {
    /// What is known of it; its end means nothing.
    pub(super) record: CallRecord,
    /// How far it is.
    pub(super) stage: Stage,
}

/// When it was read, and what.
type Read = (Instant, Arc<Vec<Up>>);

/// The calls that are up, newest first.
pub(super) struct Live {
    read: Mutex<Option<Read>>,
    streams: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self { read: Mutex::default(), streams: Arc::new(Semaphore::new(MOST_STREAMS)) }
    }
}

impl Live {
    /// The calls that are up, of all clients, newest first.
    pub(super) async fn calls(&self, console: &Console) -> Result<Arc<Vec<Up>>, Refusal> {
        let mut read = self.read.lock().await;
        if let Some((at, calls)) = read.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            let _fresh = at;
            return Ok(Arc::clone(calls));
        }
        let calls = Arc::new(look(console).await?);
        *read = Some((Instant::now(), Arc::clone(&calls)));
        Ok(calls)
    }

    /// A place for a page that is kept up to date.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }
}

async fn look(console: &Console) -> Result<Vec<Up>, Refusal> {
    let query = VerificationsQuery { limit: Some(OF_ONE_CLIENT), ..VerificationsQuery::default() };
    let clients = console.keys.clients();
    let mut pages = Vec::with_capacity(clients.len());
    for some in clients.chunks(AT_ONCE) {
        pages.extend(join_all(some.iter().map(|client| console.gateway.list(client, &query))).await);
    }
    let mut up = Vec::new();
    for page in pages {
        for v in page?.items {
            let alive = (0u8..).zip(&v.calls).filter(|(_, call)| call.is_alive());
            up.extend(alive.filter_map(|(index, call)| Some(Up { record: v.record_of(index)?, stage: call.stage() })));
        }
    }
    up.sort_by_key(|up| std::cmp::Reverse((up.record.queued_at, up.record.id)));
    Ok(up)
}

/// A part of a page that can change while it is looked at.
pub(super) trait Part: Send + 'static {
    /// As it is now; `None` while that cannot be told.
    fn now(&mut self) -> impl Future<Output = Option<String>> + Send;
    /// Waits until it may be another. False when nothing more will come.
    fn changed(&mut self) -> impl Future<Output = bool> + Send;
}

/// Keeps a part of a page up to date in one of the places for that: it is sent whole whenever it is another, until nothing
/// more will come, the session is over, or we stop.
pub(super) fn keep_up_to_date(
    console: Arc<Console>,
    session: &Session,
    place: OwnedSemaphorePermit,
    part: impl Part,
) -> Response {
    let watcher = Watcher { console, until: session.until(), part, shown: String::new(), _place: place };
    let frames = stream::unfold(watcher, |mut watcher| async move {
        let stop = watcher.console.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            frame = watcher.next() => frame.map(|frame| (frame, watcher)),
        }
    });
    let first = stream::once(std::future::ready(Event::default().retry(COME_BACK_AFTER).comment("")));
    let events = first.chain(frames.map(|frame| Event::default().data(frame)));
    let stream = events.map(Ok::<_, Infallible>);
    let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // Proxies that collect answers would keep the events to themselves.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

struct Watcher<P> {
    console: Arc<Console>,
    /// The end of the session.
    until: Timestamp,
    part: P,
    /// What was sent last.
    shown: String,
    _place: OwnedSemaphorePermit,
}

impl<P: Part> Watcher<P> {
    /// The part, once it is another than before. None when nothing more will come.
    async fn next(&mut self) -> Option<String> {
        while self.console.clock.now() < self.until {
            if let Some(text) = self.part.now().await
                && text != self.shown
            {
                self.shown.clone_from(&text);
                return Some(text);
            }
            if !self.part.changed().await {
                return None;
            }
        }
        None
    }
}

/// There is no place for one more page that is kept up to date; it can still be loaded again.
pub(super) fn no_place() -> Response {
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
