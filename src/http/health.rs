//! Owns what is told to those who look after us: alive, ready, measurements.

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    Admin, App, Scrape,
    docs::{self, Problems},
    json,
    problem::{self, Problem},
};
use crate::gateway::{Readiness, ReadinessCheck};

/// How long an answer about readiness stands: nobody who asks more often may make the store work for it.
const RECENT: Duration = Duration::from_secs(1);

/// The last answer about readiness.
#[derive(Default)]
pub(super) struct Recent(Mutex<Option<(Instant, Readiness)>>);

/// Whether the process lives.
///
/// Looks at nothing else.
#[utoipa::path(get, path = "/healthz", operation_id = "read_health", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "It does.")))]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Whether the process lives.
///
/// Another name of `/healthz`.
#[utoipa::path(get, path = "/livez", operation_id = "read_liveness", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "It does.")))]
pub(super) async fn alive_alias() -> &'static str {
    "alive\n"
}

/// Whether work can be taken.
///
/// Store and carriers are usable, the clocks agree, and the process is not about to stop. Carriers that cannot be used do
/// not count while a verification is awaited, because the webhooks of its call are taken here.
#[utoipa::path(get, path = "/readyz", operation_id = "read_readiness", tag = "operations", security(()),
    responses((status = 200, body = Readiness, description = "It can."), (status = 503, body = Readiness, description = "It cannot.")))]
pub(super) async fn ready(State(app): State<App>) -> Response {
    if app.stop.is_cancelled() {
        let check = ReadinessCheck { name: "draining", ok: false, detail: String::from("this instance is stopping") };
        return json(
            StatusCode::SERVICE_UNAVAILABLE,
            &Readiness { ready: false, checks: vec![check], carriers: Vec::new() },
        );
    }
    let mut recent = app.readiness.0.lock().await;
    let readiness = match recent.take() {
        Some((at, readiness)) if at.elapsed() < RECENT => {
            *recent = Some((at, readiness.clone()));
            readiness
        }
        Some(_) | None => {
            let readiness = app.gateway.ready().await;
            *recent = Some((Instant::now(), readiness.clone()));
            readiness
        }
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &readiness)
}

/// Measurements.
///
/// In the Prometheus text format. Needs the scope `admin`, unless it is asked on the address of `metrics_listen`.
#[utoipa::path(get, path = "/metrics", operation_id = "read_metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain", description = "All measurements."), Problems<{ docs::READ }>))]
pub(super) async fn metrics(State(app): State<App>, _admin: Admin) -> Result<Response, Problem> {
    app.scrape.as_ref().map(exposition).ok_or_else(problem::not_found)
}

/// All measurements as an answer.
pub(super) fn exposition(scrape: &Scrape) -> Response {
    let mut response = Body::from(scrape()).into_response();
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}
