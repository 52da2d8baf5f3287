//! Owns the pages of `ringproof demo`: an enrolment wizard as a backend would have it, and a telephone that rings in the
//! browser, or a softphone beside it. The wizard's own backend ([`backend`]) uses the public API over HTTP, as any other would; the telephone talks
//! to the simulator in this process. None of it is part of `serve`.

mod assets;
mod backend;
mod countries;
mod page;
mod session;
mod telephone;
mod wizard;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tokio_util::sync::CancellationToken;

use crate::{
    id::Entropy,
    pages::{self, Words, html},
    provider::simulator::Simulator,
    secret::Secret,
    time::Clock,
};
use backend::Backend;
use session::{Session, Sessions};

/// Largest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// What the demo is made of.
pub struct Setup {
    /// Where its backend reaches the API, without a slash at its end.
    pub api_url: String,
    /// A key with the scopes `verify` and `calls`.
    pub api_key: Secret<String>,
    /// What rings.
    pub rings: Rings,
    /// Who is said to call.
    pub brand: String,
    /// How long a call rings, in seconds, for the page that says so.
    pub ring_timeout_s: u32,
    /// The clock of the shell.
    pub clock: Arc<dyn Clock>,
    /// Where names of sessions come from.
    pub entropy: Arc<dyn Entropy>,
    /// Ends what is held open at the stop.
    pub stop: CancellationToken,
}

/// What rings when somebody is called.
pub enum Rings {
    /// The telephone in the browser, through this carrier.
    Browser(Arc<Simulator>),
    /// A SIP telephone at this address, whatever number is called.
    Softphone(String),
}

impl Rings {
    fn softphone(&self) -> Option<&str> {
        match self {
            Self::Browser(_) => None,
            Self::Softphone(address) => Some(address),
        }
    }
}

impl std::fmt::Debug for Rings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.softphone().is_some() { "Softphone" } else { "Browser" })
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("api_url", &self.api_url).finish_non_exhaustive()
    }
}

/// The demo cannot be made: the HTTP client of its backend does not start.
#[derive(Debug, thiserror::Error)]
#[error("the demo's HTTP client does not start")]
pub struct NoClient(#[source] reqwest::Error);

/// What every handler is given.
struct Demo {
    backend: Backend,
    sessions: Sessions,
    rings: Rings,
    brand: String,
    ring_timeout_s: u32,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

type Shared = State<Arc<Demo>>;

/// The browser that a request comes from.
type Browser = axum::Extension<Arc<Session>>;

/// The pages as a router, to be put beside the API.
///
/// # Errors
/// The HTTP client of the backend does not start.
pub fn pages(setup: Setup) -> Result<Router, NoClient> {
    let Setup { api_url, api_key, rings, brand, ring_timeout_s, clock, entropy, stop } = setup;
    if let Rings::Browser(simulator) = &rings {
        simulator.expect_telephones();
    }
    let demo = Arc::new(Demo {
        backend: Backend::new(api_url, api_key).map_err(NoClient)?,
        sessions: Sessions::new(Arc::clone(&clock), entropy),
        rings,
        brand,
        ring_timeout_s,
        clock,
        stop,
    });
    let of_a_browser = Router::new()
        .route("/", get(wizard::methods))
        .route("/demo/add", get(wizard::add))
        .route("/demo/add/phone", get(wizard::phone).post(wizard::call))
        .route("/demo/number", post(wizard::number))
        .route("/demo/call", get(wizard::attempt))
        .route("/demo/call/again", post(wizard::again))
        .route("/demo/call/cancel", post(wizard::cancel))
        .route("/demo/call/other", post(wizard::other))
        .route("/demo/methods/remove", post(wizard::remove))
        .route("/demo/support", get(wizard::support))
        .route("/demo/calls", get(wizard::calls))
        .route("/demo/preferences", post(wizard::preferences))
        .route("/demo/phone/events", get(telephone::events))
        .route("/demo/phone/answer", post(telephone::answer))
        .route("/demo/phone/decline", post(telephone::decline))
        .route("/demo/phone/press", post(telephone::press))
        .route("/demo/phone/hangup", post(telephone::hang_up))
        .route("/demo/phone/mood", post(telephone::mood))
        .layer(middleware::from_fn_with_state(Arc::clone(&demo), browser))
        .with_state(demo);
    Ok(Router::new()
        .route("/demo/assets/{name}", get(assets::asset))
        .route("/demo/flags/{name}", get(assets::flag))
        .merge(of_a_browser)
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES)))
}

/// Finds the browser that a request comes from, or greets a new one; refuses what another site's page sends.
async fn browser(State(demo): Shared, mut request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !pages::is_of_our_pages(request.headers()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let known = pages::cookie(request.headers(), session::COOKIE).and_then(|cookie| demo.sessions.find(cookie));
    let (new_cookie, session) = match known {
        Some(session) => (None, session),
        None => {
            let asked = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
            let asked = asked.unwrap_or_default();
            let words = Words::of(asked);
            let (cookie, session) = demo.sessions.begin(words, countries::likely(asked, words));
            (Some(cookie), session)
        }
    };
    request.extensions_mut().insert(session);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Some(cookie) = new_cookie
        && let Ok(value) =
            HeaderValue::from_str(&format!("{}={cookie}; Path=/; HttpOnly; SameSite=Strict", session::COOKIE))
    {
        headers.append(header::SET_COOKIE, value);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(pages::CONTENT_SECURITY_POLICY));
    // Without a referrer browsers send no usable Origin with forms either, and `pages::is_of_our_pages` needs one.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// After a form: the page that shows what came of it.
fn see(path: &str) -> Response {
    Redirect::to(path).into_response()
}
