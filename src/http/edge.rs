//! Owns what happens to every request, whichever it is: bounds on time and number, an id, what a browser is told about
//! it, a panic that stays where it is, one line in the log and its measurements. What a request asks for is not its
//! business.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};
use tower::Service;

use super::{
    body,
    cors::Cors,
    measure::Measure,
    problem::{self, Code, MEDIA_TYPE, Problem},
    traced,
};
use crate::{
    span::{self, Asked},
    trace::TraceId,
};

/// How much is worked on at once, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Most requests of clients at once, and as many of carriers.
    pub(super) concurrent: usize,
    /// How long a request may take.
    pub(super) request: Duration,
    /// How long a request may take whose answer is held until something changes.
    pub(super) held: Duration,
    /// How long a request may wait for its turn when all are taken.
    pub(super) queued: Duration,
}

impl Bounds {
    /// The usual times, and so many requests.
    pub(super) const fn new(concurrent: usize) -> Self {
        Self {
            concurrent,
            request: Duration::from_secs(15),
            held: Duration::from_secs(75),
            queued: Duration::from_secs(5),
        }
    }
}

/// How many requests may wait for their turn, for each that is being worked on.
const QUEUED_PER_RUNNING: usize = 4;

/// Longest path and query, in bytes; ours are far shorter.
const MAX_TARGET_BYTES: usize = 4096;

/// What a page of ours may load: nothing, unless it says otherwise itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Looks from outside, which are never queued.
const PROBES: [&str; 4] = ["/healthz", "/livez", "/readyz", "/metrics"];

/// The name of the request's id in answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Everything in front of the router.
#[derive(Debug)]
pub struct Edge {
    router: Router,
    routes: matchit::Router<Known>,
    other: Known,
    cors: Cors,
    bounds: Bounds,
    /// Requests of clients and of carriers are counted apart: a flood of the one does not keep out the other.
    clients: Admission,
    carriers: Admission,
    instance: u64,
    requests: AtomicU64,
}

/// What is known of a route before the request is handed on.
#[derive(Debug)]
struct Known {
    template: Arc<str>,
    kind: Kind,
    /// Whether pages of other origins may be let read it.
    for_pages: bool,
    measure: Measure,
}

/// How a route is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A request of a client.
    Api,
    /// A request of a client whose answer may be held until something changes: counted where it waits, not here.
    Held,
    /// Something that a carrier posts.
    Webhook,
    /// A look from outside whether we live: never queued.
    Probe,
}

impl Known {
    fn new(template: &str) -> Self {
        let kind = if template.starts_with("/webhooks/") {
            Kind::Webhook
        } else if template == super::HELD_ROUTE {
            Kind::Held
        } else if PROBES.contains(&template) {
            Kind::Probe
        } else {
            Kind::Api
        };
        let for_pages = [super::HELD_ROUTE, super::EVENTS_ROUTE].contains(&template);
        Self { template: Arc::from(template), kind, for_pages, measure: Measure::default() }
    }

    /// Whether the answer is held until something changes.
    fn is_held(&self, request: &Request<Body>) -> bool {
        let wishes = |query: &str| query.split('&').any(|pair| pair.starts_with("wait="));
        self.kind == Kind::Held && request.method() == Method::GET && request.uri().query().is_some_and(wishes)
    }
}

impl Edge {
    /// Puts everything in front of `router`, whose routes are `templates`. `instance` begins the ids of requests.
    /// Measurements go to the recorder of `metrics` that is installed when the first request comes.
    ///
    /// # Errors
    /// Two of the templates contradict each other.
    pub(super) fn new<'a>(
        router: Router,
        templates: impl IntoIterator<Item = &'a str>,
        cors: Cors,
        bounds: Bounds,
        instance: u64,
    ) -> Result<Self, matchit::InsertError> {
        let mut routes = matchit::Router::new();
        for template in templates {
            routes.insert(template, Known::new(template))?;
        }
        Ok(Self {
            router,
            routes,
            other: Known::new("other"),
            cors,
            bounds,
            clients: Admission::new(bounds),
            carriers: Admission::new(bounds),
            instance,
            requests: AtomicU64::new(0),
        })
    }

    /// Answers a request. Always answers.
    pub async fn handle(&self, request: Request<Body>) -> Response {
        let began = Instant::now();
        let known = self.routes.at(request.uri().path()).map_or(&self.other, |found| found.value);
        let id = self.next_id();
        let method = traced::known_method(request.method());
        let asked = if known.kind == Kind::Probe { None } else { traced::begin(request.headers()) };
        let named = traced::place(request.headers()).map(|place| place.id);
        let page = if known.for_pages { self.cors.allowed(request.headers()) } else { None };
        let mut response = if page.is_some() && Cors::is_preflight(request.method(), request.headers()) {
            Cors::preflight()
        } else {
            span::answering(asked.clone(), self.bounded(known, request)).await
        };
        dress(known, &mut response, id);
        if let Some(origin) = page {
            Cors::permit(response.headers_mut(), origin);
        }
        let duration = began.elapsed();
        known.measure.answered(&known.template, method, response.status(), duration);
        let trace = asked.as_deref().and_then(Asked::trace).or(named);
        log(known, method, response.status(), duration, id, trace);
        if let Some(asked) = asked {
            traced::answered(&asked, method, &known.template, response.status());
        }
        response
    }

    /// The answer in time, whatever happens to whoever makes it.
    async fn bounded(&self, known: &Known, request: Request<Body>) -> Response {
        let held = known.is_held(&request);
        let limit = if held { self.bounds.held } else { self.bounds.request };
        match timeout(limit, AssertUnwindSafe(self.answer(known, held, request)).catch_unwind()).await {
            Ok(Ok(response)) => response,
            // What the panic says stays unread: it may hold what must not be logged.
            Ok(Err(_)) => Problem::new(Code::Internal).into_response(),
            Err(_) => Problem::new(Code::Timeout).retry_after(1).into_response(),
        }
    }

    async fn answer(&self, known: &Known, held: bool, request: Request<Body>) -> Response {
        if let Err(problem) = well_formed(known, &request) {
            return problem.into_response();
        }
        let (admission, request) = match known.kind {
            Kind::Held if held => (None, request),
            Kind::Api | Kind::Held => (Some(&self.clients), request),
            // Anybody can send these: whoever sends slowly must not take the turns of those who do not.
            Kind::Webhook => match whole(request).await {
                Ok(request) => (Some(&self.carriers), request),
                Err(problem) => return problem.into_response(),
            },
            Kind::Probe => (None, request),
        };
        let turn = match admission {
            None => None,
            Some(admission) => match admission.take().await {
                Some(turn) => Some(turn),
                None => return problem::overloaded().into_response(),
            },
        };
        let response = self.router.clone().call(request).await.unwrap_or_else(|never| match never {});
        drop(turn);
        response
    }

    /// Unique among all instances, and among the requests of one.
    fn next_id(&self) -> [u8; 24] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let bits = (u128::from(self.instance) << 32) | u128::from(number & 0xffff_ffff);
        let mut id = [b'0'; 24];
        for (place, digit) in id.iter_mut().rev().enumerate() {
            let nibble = usize::try_from((bits >> (place * 4)) & 0xf).unwrap_or(0);
            *digit = HEX.get(nibble).copied().unwrap_or(b'0');
        }
        id
    }
}

/// The webhook with its whole body at hand.
async fn whole(request: Request<Body>) -> Result<Request<Body>, Problem> {
    let (parts, body) = request.into_parts();
    let body = body::read(body, body::WEBHOOK_BODY_BYTES).await?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Refuses what no honest client sends and what reads differently to different parsers.
fn well_formed(known: &Known, request: &Request<Body>) -> Result<(), Problem> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    // Load balancers look whether we live with HTTP/1.0, which knows no Host.
    if hosts > 1 || hosts == 0 && known.kind != Kind::Probe {
        return Err(problem::malformed("one Host header is needed"));
    }
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        return Err(two_lengths());
    }
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > MAX_TARGET_BYTES) {
        return Err(problem::malformed("the address is too long"));
    }
    Ok(())
}

/// A request whose length can be read in two ways (RFC 9112 section 6.3): refused, and the connection is not used again.
pub(super) fn two_lengths() -> Problem {
    problem::malformed("Transfer-Encoding and Content-Length must not both be sent")
        .header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// Completes an answer: what holds for all of them.
fn dress(known: &Known, response: &mut Response, id: [u8; 24]) {
    let status = response.status();
    if status == StatusCode::METHOD_NOT_ALLOWED && !is_problem(response.headers()) {
        let allow = response.headers_mut().remove(header::ALLOW);
        let mut problem = Problem::new(Code::MethodNotAllowed);
        if let Some(allow) = allow {
            problem = problem.header(header::ALLOW, allow);
        }
        *response = problem.into_response();
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_bytes(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Carriers are no browsers.
    if known.kind == Kind::Webhook {
        return;
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == MEDIA_TYPE)
}

/// One line for each request: never its path, query or body, only the route.
fn log(known: &Known, method: &str, status: StatusCode, took: Duration, id: [u8; 24], trace: Option<TraceId>) {
    let id = std::str::from_utf8(&id).unwrap_or_default();
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (route, status) = (&*known.template, status.as_u16());
    let trace = trace.map(tracing::field::display);
    match status {
        500.. => tracing::warn!(target: "ringproof::access",
            duration_ms, http.route = route, http.method = method, http.status = status, request.id = id, trace.id = trace,
            "a request failed"),
        400..500 => tracing::info!(target: "ringproof::access",
            duration_ms, http.route = route, http.method = method, http.status = status, request.id = id, trace.id = trace,
            "a request was refused"),
        _ => tracing::debug!(target: "ringproof::access",
            duration_ms, http.route = route, http.method = method, http.status = status, request.id = id, trace.id = trace,
            "a request was answered"),
    }
}

/// How many requests are worked on at once, and how many more may wait for that.
#[derive(Debug)]
struct Admission {
    running: Semaphore,
    queued: AtomicUsize,
    most_queued: usize,
    longest: Duration,
}

impl Admission {
    fn new(bounds: Bounds) -> Self {
        Self {
            running: Semaphore::new(bounds.concurrent),
            queued: AtomicUsize::new(0),
            most_queued: bounds.concurrent.saturating_mul(QUEUED_PER_RUNNING),
            longest: bounds.queued,
        }
    }

    /// A turn, at once or after waiting for one; `None` when too many wait already, or it takes too long.
    async fn take(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.running.try_acquire() {
            return Some(turn);
        }
        let _place = Place::take(&self.queued, self.most_queued)?;
        timeout(self.longest, self.running.acquire()).await.ok()?.ok()
    }
}

/// A place in a queue, given back when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(queued: &'a AtomicUsize, most: usize) -> Option<Self> {
        let place = Self(queued);
        (queued.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
