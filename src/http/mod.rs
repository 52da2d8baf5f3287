//! Owns the HTTP edge: the URL map, who may ask for what, what is read and written. It decides nothing about a
//! verification: the gateway is asked, and its answer is put into JSON.
//!
//! A request comes through [`server`] (connections), [`Edge`] (bounds, log, panics) and the router below to one
//! handler; a refusal becomes a [`problem`] document.

mod auth;
mod body;
mod caller_ids;
mod calls;
mod cors;
mod dead_letters;
mod docs;
mod edge;
mod erasure;
mod events;
mod exports;
mod guarding;
mod health;
mod limits;
mod measure;
pub mod problem;
mod query;
pub mod server;
mod stats;
mod traced;
mod verifications;
mod webhooks;
mod wire;

#[cfg(test)]
mod tests;

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Path},
    http::{HeaderMap, HeaderValue, StatusCode, header, request},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use auth::{
    ApiKey, ApiKeyConfig, Caller, KeyFault, KeyPrint, Keys, MAX_KEYS, MAX_NAME_BYTES, Scope, Tenant, TenantLimits,
};
pub use docs::openapi_json;
use edge::Bounds;
pub use edge::Edge;
pub use exports::{ExportForm, Exports};
pub use limits::{Allowance, Limiter};
use problem::Problem;
pub use server::Peer;

use crate::gateway::Gateway;

/// The route whose answers may be held until something changes.
const HELD_ROUTE: &str = "/v1/verifications/{id}";

/// The route of the event stream.
const EVENTS_ROUTE: &str = "/v1/verifications/{id}/events";

/// Settings of the HTTP edge: `[server]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen. TLS ends in the reverse proxy in front.
    pub listen: SocketAddr,
    /// What carriers and backends call us, as in `https://verify.example.com`. Carriers' signatures are checked against
    /// it, whatever a request says about its host. It may have a path, which the reverse proxy in front strips.
    pub public_url: Option<String>,
    /// A second address that serves nothing but `/metrics`, without a key: for the network of the operators. On `listen`
    /// the same needs a key with the scope `admin`.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether `/docs` and `/openapi.json` are served.
    pub docs: bool,
    /// Most connections at once; the limit of open files of the process must be above it.
    pub max_connections: usize,
    /// Most requests of clients that are worked on at once, and as many of carriers. Four times as many more may wait for
    /// their turn; beyond that the answer is 503.
    pub max_requests: usize,
    /// Most long polls and event streams of one client at once.
    pub max_waiting_per_client: usize,
    /// Most reads (documents, lists) of one client in a minute; no limit where nothing is said.
    pub reads_per_minute: Option<u32>,
    /// Origins whose pages may read a verification with a view token, as in `https://enrol.example.com`. None where
    /// nothing is said.
    pub cors_origins: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            metrics_listen: None,
            docs: true,
            max_connections: 4096,
            max_requests: 1024,
            max_waiting_per_client: 1024,
            reads_per_minute: None,
            cors_origins: Vec::new(),
        }
    }
}

impl Config {
    /// What is wrong, each as setting and what would be right. Empty when nothing is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let bounds = [
            ("max_connections", self.max_connections),
            ("max_requests", self.max_requests),
            ("max_waiting_per_client", self.max_waiting_per_client),
        ];
        let out_of_bounds = bounds.into_iter().filter(|(_, most)| !(1..=MOST_AT_ONCE).contains(most));
        let mut faults: Vec<_> = out_of_bounds
            .map(|(name, _)| format!("server.{name}: expected a number from 1 to {MOST_AT_ONCE}"))
            .collect();
        if self.reads_per_minute == Some(0) {
            faults.push(String::from("server.reads_per_minute: 0 would let nobody read; leave it out for no limit"));
        }
        for (index, origin) in self.cors_origins.iter().enumerate() {
            if cors::Cors::new(std::slice::from_ref(origin)).is_err() {
                faults.push(format!(
                    "server.cors_origins[{index}]: is no origin; write it as in https://enrol.example.com, without a path"
                ));
            }
        }
        faults
    }

    /// The keys of `[[api_keys]]` with the limits of these settings, once for everything that asks who comes.
    ///
    /// # Errors
    /// Every fault in them.
    pub fn keys(&self, api_keys: &[ApiKeyConfig]) -> Result<Arc<Keys>, SetupFault> {
        let limits = TenantLimits { waiting: self.max_waiting_per_client, reads_per_minute: self.reads_per_minute };
        Keys::new(api_keys, limits).map(Arc::new).map_err(SetupFault::Keys)
    }
}

/// Most of anything that may be allowed at once.
const MOST_AT_ONCE: usize = 1_000_000;

/// A text format of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// The Prometheus text format, version 0.0.4.
    Prometheus,
    /// `OpenMetrics`, version 1.0.0.
    OpenMetrics,
}

/// Gives all measurements in a text format.
pub type Scrape = Arc<dyn Fn(Exposition) -> String + Send + Sync>;

/// What the edge is made of.
pub struct Setup<'a> {
    /// Its settings.
    pub config: &'a Config,
    /// The keys that may be used: [`Config::keys`].
    pub keys: Arc<Keys>,
    /// The public URL, with what a missing setting stands for filled in.
    pub public_url: &'a Url,
    /// Who is said to call: the name on the card of our numbers.
    pub brand: &'a str,
    /// Whom it asks.
    pub gateway: Gateway,
    /// Where measurements come from, if they are kept.
    pub scrape: Option<Scrape>,
    /// Pages beside the API, as in the demo.
    pub pages: Router,
    /// Routes of those pages that log and measurements tell apart; all others are one.
    pub page_routes: &'a [&'a str],
    /// A random number that begins the ids of requests.
    pub instance: u64,
    /// Ends what is being held at the stop.
    pub stop: CancellationToken,
}

impl fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why the edge cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupFault {
    /// Faults in the keys.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Keys(Vec<KeyFault>),
    /// An entry of `cors_origins` that is no origin.
    #[error("server.cors_origins: `{0}` is no origin; write it as in https://enrol.example.com, without a path")]
    Origin(String),
    /// The public URL cannot be used.
    #[error("server.public_url: {0}")]
    PublicUrl(String),
    /// Two routes contradict each other.
    #[error("the URL map contradicts itself: {0}")]
    Routes(String),
}

/// What every handler is given.
#[derive(Clone)]
struct App(Arc<Inner>);

struct Inner {
    gateway: Gateway,
    keys: Arc<Keys>,
    view_reads: limits::PerVerification,
    /// Answers that are being held for clients whose keys are no longer configured, but whose view tokens still work.
    waiting: Arc<Semaphore>,
    /// Exports of the call log.
    exports: Exports,
    /// The public URL without a slash at its end.
    public_base: String,
    brand: String,
    scrape: Option<Scrape>,
    stop: CancellationToken,
    readiness: health::Recent,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The whole URL map.
fn url_map() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(docs::frame())
        .routes(routes!(verifications::create, verifications::list))
        .routes(routes!(verifications::read))
        .routes(routes!(events::stream))
        .routes(routes!(verifications::cancel))
        .routes(routes!(verifications::redial))
        .routes(routes!(verifications::check))
        .routes(routes!(verifications::view_token))
        .routes(routes!(calls::list))
        .routes(routes!(calls::read))
        .routes(routes!(exports::csv))
        .routes(routes!(exports::ndjson))
        .routes(routes!(erasure::erase))
        .routes(routes!(stats::read))
        .routes(routes!(caller_ids::list))
        .routes(routes!(caller_ids::card))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::revive))
        .routes(routes!(guarding::read))
        .routes(routes!(guarding::bar))
        .routes(routes!(guarding::lift))
        .routes(routes!(health::alive))
        .routes(routes!(health::alive_alias))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(webhooks::flow))
        .routes(routes!(webhooks::keys))
        .routes(routes!(webhooks::status))
}

/// Makes the edge.
///
/// # Errors
/// What is wrong with the settings.
pub fn edge(setup: Setup<'_>) -> Result<Edge, SetupFault> {
    let Setup { config, keys, public_url, brand, gateway, scrape, pages, page_routes, instance, stop } = setup;
    let app = App(Arc::new(Inner {
        exports: Exports::new(gateway.clone(), stop.clone()),
        gateway,
        keys,
        view_reads: limits::PerVerification::default(),
        waiting: Arc::new(Semaphore::new(config.max_waiting_per_client)),
        public_base: public_base(public_url)?,
        brand: brand.to_owned(),
        scrape,
        stop,
        readiness: health::Recent::default(),
    }));
    let cors = cors::Cors::new(&config.cors_origins).map_err(SetupFault::Origin)?;
    let (router, openapi) = url_map().split_for_parts();
    let mut templates: Vec<String> = openapi.paths.paths.keys().cloned().collect();
    let mut router = router.with_state(app);
    if config.docs {
        let (docs, paths) = docs::routes(&docs::finish(openapi, public_url.path()));
        router = router.merge(docs);
        templates.extend(paths);
    }
    templates.extend(page_routes.iter().map(|route| (*route).to_owned()));
    let router = router.merge(pages).fallback(|| async { problem::not_found() });
    Edge::new(router, templates.iter().map(String::as_str), cors, Bounds::new(config.max_requests), instance)
        .map_err(|error| SetupFault::Routes(error.to_string()))
}

/// A router that serves nothing but `/metrics`, for [`Config::metrics_listen`].
///
/// # Errors
/// None that a setting can bring about.
pub fn metrics_edge(scrape: Scrape, instance: u64) -> Result<Edge, SetupFault> {
    let router = Router::new()
        .route(
            "/metrics",
            axum::routing::get(move |headers: HeaderMap| std::future::ready(health::exposition(&scrape, &headers))),
        )
        .fallback(|| async { problem::not_found() });
    Edge::new(router, ["/metrics"], cors::Cors::default(), Bounds::new(METRICS_CONCURRENT), instance)
        .map_err(|error| SetupFault::Routes(error.to_string()))
}

/// A router that serves nothing but pages, for an address of their own. `routes` are told apart in log and measurements.
///
/// # Errors
/// None that a setting can bring about.
pub fn pages_edge(pages: Router, routes: &[&str], instance: u64) -> Result<Edge, SetupFault> {
    let router = pages.fallback(|| async { problem::not_found() });
    Edge::new(router, routes.iter().copied(), cors::Cors::default(), Bounds::new(PAGES_CONCURRENT), instance)
        .map_err(|error| SetupFault::Routes(error.to_string()))
}

/// Most requests for pages at once, on an address of their own.
const PAGES_CONCURRENT: usize = 64;

/// Most requests for measurements at once.
const METRICS_CONCURRENT: usize = 8;

/// The public URL in the form that paths are put behind.
fn public_base(url: &Url) -> Result<String, SetupFault> {
    let fault = |why: &str| SetupFault::PublicUrl(why.to_owned());
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(fault("write it as in https://verify.example.com"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(fault("it must have no query, no fragment and no password"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A caller whose key has the scope `verify`.
struct Verify(Caller);

impl FromRequestParts<App> for Verify {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, app: &App) -> Result<Self, Problem> {
        app.keys.caller(&parts.headers)?.require(Scope::Verify).map(Self)
    }
}

/// A caller whose key has the scope `calls`.
struct Calls(Caller);

impl FromRequestParts<App> for Calls {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, app: &App) -> Result<Self, Problem> {
        app.keys.caller(&parts.headers)?.require(Scope::Calls).map(Self)
    }
}

/// A caller whose key has the scope `admin`.
struct Admin(Caller);

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, app: &App) -> Result<Self, Problem> {
        app.keys.caller(&parts.headers)?.require(Scope::Admin).map(Self)
    }
}

/// The id that a path names, as text. What cannot be one answers as one that nobody has.
struct Named(String);

impl FromRequestParts<App> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, app: &App) -> Result<Self, Problem> {
        let Path(id) = Path::from_request_parts(parts, app).await.map_err(|_| problem::not_found())?;
        Ok(Self(id))
    }
}

/// Bytes that most documents fit in.
const USUAL_DOCUMENT_BYTES: usize = 1024;

/// An answer in JSON.
fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let mut bytes = Vec::with_capacity(USUAL_DOCUMENT_BYTES);
    if serde_json::to_writer(&mut bytes, value).is_err() {
        return Problem::new(problem::Code::Internal).into_response();
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
