//! Owns what is told to those who look after us: alive, ready, measurements.

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    Admin, App, Exposition, Scrape,
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
/// In the Prometheus text format, or in `OpenMetrics` where `Accept` prefers that. Needs the scope `admin`, unless it is asked
/// on the address of `metrics_listen`.
#[utoipa::path(get, path = "/metrics", operation_id = "read_metrics", tag = "operations",
    responses((status = 200, description = "All measurements.", content(
        (String = "text/plain"), (String = "application/openmetrics-text"))), Problems<{ docs::READ }>))]
pub(super) async fn metrics(State(app): State<App>, _admin: Admin, headers: HeaderMap) -> Result<Response, Problem> {
    app.scrape.as_ref().map(|scrape| exposition(scrape, &headers)).ok_or_else(problem::not_found)
}

/// All measurements as an answer.
pub(super) fn exposition(scrape: &Scrape, headers: &HeaderMap) -> Response {
    let wanted = wanted(headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()));
    let mut response = Body::from(scrape(wanted)).into_response();
    let media_type = match wanted {
        Exposition::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// The format that `Accept` prefers (RFC 9110 section 12.5.1): `OpenMetrics` where it is named, in the version that is
/// spoken or in none, and nothing that allows the other is preferred. Who accepts neither is answered all the same.
fn wanted<'a>(accepted: impl Iterator<Item = &'a str>) -> Exposition {
    let (mut openmetrics, mut prometheus, mut any) = (0, None, 0);
    for range in accepted.flat_map(|line| line.split(',')).take(MAX_RANGES) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut version) = (1000, "");
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            if key.eq_ignore_ascii_case("q") {
                weight = thousandths(value);
            } else if key.eq_ignore_ascii_case("version") {
                version = value.trim_matches('"');
            }
        }
        match (name.as_str(), version) {
            ("application/openmetrics-text", "" | "1.0.0") => openmetrics = openmetrics.max(weight),
            ("text/plain", _) => prometheus = Some(prometheus.unwrap_or(0).max(weight)),
            ("text/*" | "*/*", _) => any = any.max(weight),
            _ => {}
        }
    }
    let openmetrics_is_best = openmetrics > 0 && openmetrics >= prometheus.unwrap_or(any);
    if openmetrics_is_best { Exposition::OpenMetrics } else { Exposition::Prometheus }
}

/// Most media ranges of a request that are read.
const MAX_RANGES: usize = 32;

/// A weight (RFC 9110 section 12.4.2) in thousandths. One that cannot be read is none.
fn thousandths(weight: &str) -> u16 {
    let (whole, rest) = weight.split_once('.').unwrap_or((weight, ""));
    match (whole, rest.len() <= 3 && rest.bytes().all(|byte| byte.is_ascii_digit())) {
        ("0", true) => format!("{rest:0<3}").parse().unwrap_or(0),
        ("1", true) => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_given_to_those_who_prefer_it() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2";
        for accept in [
            prometheus_2,
            prometheus_3,
            "application/openmetrics-text",
            "text/html, Application/OpenMetrics-Text; Version=\"1.0.0\"; q=0.001",
            "application/openmetrics-text, */*",
            "application/openmetrics-text;q=0.5, text/plain;q=0.5",
        ] {
            assert_eq!(wanted([accept].into_iter()), Exposition::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            "application/openmetrics-text;q=0.5, text/plain",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=2.0.0, text/plain;q=0.1",
            "application/*",
        ] {
            assert_eq!(wanted([accept].into_iter()), Exposition::Prometheus, "{accept}");
        }
        assert_eq!(wanted(std::iter::empty()), Exposition::Prometheus);
        assert_eq!(
            wanted(["text/plain;q=0.2", "application/openmetrics-text;q=0.3"].into_iter()),
            Exposition::OpenMetrics
        );
    }

    #[test]
    fn weights_are_read() {
        for (weight, expected) in [
            ("1", 1000),
            ("1.000", 1000),
            ("0", 0),
            ("0.5", 500),
            ("0.05", 50),
            ("0.125", 125),
            ("2", 0),
            ("-1", 0),
            ("0.1234", 0),
            ("", 0),
        ] {
            assert_eq!(thousandths(weight), expected, "{weight}");
        }
    }
}
