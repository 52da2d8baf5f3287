//! Owns the operators' console at `/console`: who is signed in, and the pages that show calls, measurements, health and
//! the outbox. It asks the gateway as the API does, under the scopes of whoever looks, and decides nothing about a
//! verification.

mod assets;
mod board;
mod call;
mod calls;
mod charts;
mod filters;
mod health;
mod ladder;
mod limits;
mod live;
mod oidc;
mod outbox;
mod row;
mod said;
mod seal;
mod search;
mod session;
mod shell;
mod sign_in;
mod zone;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use url::Url;

pub use oidc::{AllowRule, NoClient, Oidc, OidcConfig, Trouble};
pub use seal::NoSeal;

use crate::{
    gateway::Gateway,
    http::{Exports, Keys},
    pages,
    time::{Clock, duration},
};
use seal::Seal;

/// Where the console is on this server; a reverse proxy may put a path before it.
const MOUNT: &str = "/console";

/// The routes of all pages: what requests for them are called in log and measurements.
pub const ROUTES: [&str; 17] = [
    "/console",
    "/console/assets/{name}",
    "/console/board",
    "/console/calls",
    "/console/calls/events",
    "/console/calls/export/{form}",
    "/console/calls/search",
    "/console/calls/{id}",
    "/console/calls/{id}/events",
    "/console/health",
    "/console/oidc/callback",
    "/console/oidc/start",
    "/console/outbox",
    "/console/outbox/{id}/send",
    "/console/sign-in",
    "/console/sign-out",
    "/console/taste",
];

/// Largest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// Shortest and longest life of a session that may be set.
const SESSION_LIMITS: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(24));

/// Settings of the console: `[console]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether it is served. Without a key of the scope `calls` or `admin` it shows nothing but its sign-in.
    pub enabled: bool,
    /// An address that serves nothing but the console, for the network of the operators; then it is not on
    /// `server.listen`.
    pub listen: Option<SocketAddr>,
    /// What operators call it, as in `https://ops.example.com`, where that is not `server.public_url`.
    pub public_url: Option<String>,
    /// How long a session lasts, from 5 minutes to a day; then one signs in again.
    #[serde(with = "duration")]
    pub session: Duration,
    /// `[console.oidc]`: signing in through an identity provider, beside signing in with a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, listen: None, public_url: None, session: Duration::from_hours(8), oidc: None }
    }
}

impl Config {
    /// What is wrong, each as setting and what would be right. Empty when nothing is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (least, most) = SESSION_LIMITS;
        if !(least..=most).contains(&self.session) {
            faults.push(String::from("console.session: expected a duration from 5m to 24h"));
        }
        let is_usable = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        if self.public_url.as_ref().is_some_and(|url| !url.parse().is_ok_and(|url| is_usable(&url))) {
            faults.push(String::from("console.public_url: write it as in https://ops.example.com"));
        }
        faults.extend(self.oidc.iter().flat_map(OidcConfig::faults));
        faults
    }
}

/// What the console is made of.
pub struct Setup {
    /// Whom it asks.
    pub gateway: Gateway,
    /// The keys that people sign in with.
    pub keys: Arc<Keys>,
    /// Its settings.
    pub config: Config,
    /// Signing in through an identity provider, where the settings have one.
    pub oidc: Option<Arc<Oidc>>,
    /// What operators call it: [`Config::public_url`], or what stands for it.
    pub public_url: Url,
    /// Who is said to call: the title of the pages.
    pub brand: String,
    /// The clock of the shell.
    pub clock: Arc<dyn Clock>,
    /// Ends what is held open at the stop.
    pub stop: CancellationToken,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What every handler is given.
struct Console {
    gateway: Gateway,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    seal: Seal,
    /// What stands before every path of the console, as browsers see it.
    base: String,
    /// Whether browsers come over TLS.
    secure: bool,
    session: Duration,
    brand: String,
    attempts: sign_in::Attempts,
    oidc: Option<Arc<Oidc>>,
    exports: Exports,
    live: live::Live,
    stop: CancellationToken,
}

type Shared = State<Arc<Console>>;

/// The console as a router, to be put beside the API or on an address of its own.
///
/// # Errors
/// The key of the sessions cannot be used.
pub fn pages(setup: Setup) -> Result<Router, NoSeal> {
    let Setup { gateway, keys, config, oidc, public_url, brand, clock, stop } = setup;
    let console = Arc::new(Console {
        seal: Seal::new(&gateway.console_key())?,
        exports: Exports::new(gateway.clone(), stop.clone()),
        gateway,
        keys,
        clock,
        base: format!("{}{MOUNT}", public_url.path().trim_end_matches('/')),
        secure: public_url.scheme() == "https",
        session: config.session,
        brand,
        attempts: sign_in::Attempts::default(),
        oidc,
        live: live::Live::default(),
        stop,
    });
    let pages = Router::new()
        .route("/", get(calls::home))
        .route("/calls", get(calls::list))
        .route("/calls/search", post(search::search))
        .route("/calls/events", get(calls::events))
        .route("/calls/export/{form}", get(calls::export))
        .route("/calls/{id}", get(call::show))
        .route("/calls/{id}/events", get(call::events))
        .route("/outbox", get(outbox::list))
        .route("/outbox/{id}/send", post(outbox::send))
        .merge(board::routes())
        .merge(health::routes())
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/taste", post(sign_in::taste))
        .merge(oidc::routes());
    let guarded = Router::new()
        .nest(MOUNT, pages)
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(middleware::from_fn(guard))
        .with_state(console);
    Ok(guarded.route(&format!("{MOUNT}/assets/{{name}}"), get(assets::asset)))
}

/// Refuses what another site's page sends, and says to browsers what holds for every page.
async fn guard(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !pages::is_of_our_pages(request.headers()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(pages::CONTENT_SECURITY_POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without a referrer browsers send no usable Origin with forms either, and `pages::is_of_our_pages` needs one.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

impl Console {
    /// After a form: the page that shows what came of it.
    fn see(&self, path: &str) -> Response {
        Redirect::to(&format!("{}{path}", self.base)).into_response()
    }
}
