//! Owns what is measured of requests: how many and how long, by route, method and status. Nothing that a client chose is
//! a label: a path is told by its route, and a method or status that is not usual by one word for all of them.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};

/// Statuses that have a label of their own. Others are [`OTHER`].
const STATUSES: [u16; 30] = [
    200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413,
    415, 422, 429, 431, 500, 503, 504,
];
/// Methods that have a label of their own, with the one for all others.
const METHODS: [&str; 10] =
    ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", super::traced::OTHER_METHOD];
/// The label of unusual statuses.
const OTHER: &str = "other";
/// Classes of statuses.
const CLASSES: usize = 5;

/// The counters of a method: one for each status, and the one for others.
type Counters = [OnceLock<Counter>; STATUSES.len() + 1];

/// What is measured of one route. A series begins when something is measured in it.
#[derive(Debug, Default)]
pub(super) struct Measure {
    durations: [OnceLock<Histogram>; CLASSES],
    counters: [OnceLock<Box<Counters>>; METHODS.len()],
}

impl Measure {
    /// A request was answered. `method` is a registered one or [`super::traced::OTHER_METHOD`].
    pub(super) fn answered(&self, route: &Arc<str>, method: &'static str, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(slot) = self.durations.get(class) {
            slot.get_or_init(|| {
                histogram!("http_server_request_duration_seconds",
                    "http_route" => route.to_string(), "http_response_status_class" => format!("{}xx", class + 1))
            })
            .record(took.as_secs_f64());
        }
        let known = STATUSES.iter().position(|known| *known == status.as_u16());
        let counters = METHODS.iter().position(|known| *known == method).and_then(|index| self.counters.get(index));
        let counters = counters.map(|counters| counters.get_or_init(Box::default));
        if let Some(slot) = counters.and_then(|counters| counters.get(known.unwrap_or(STATUSES.len()))) {
            slot.get_or_init(|| {
                let status = known.map_or_else(|| OTHER.to_owned(), |_| status.as_u16().to_string());
                counter!("http_server_requests_total",
                    "http_route" => route.to_string(), "http_request_method" => method, "http_response_status_code" => status)
            })
            .increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_and_each_usual_status_has_its_counter() {
        let measure = Measure::default();
        for method in METHODS {
            for status in 100..1000 {
                let status = StatusCode::from_u16(status).unwrap();
                measure.answered(&Arc::from("/healthz"), method, status, Duration::ZERO);
            }
        }
        let begun = |counters: &Counters| counters.iter().filter(|slot| slot.get().is_some()).count();
        let each: Vec<_> =
            measure.counters.iter().map(|slot| slot.get().map_or(0, |counters| begun(counters))).collect();
        assert_eq!(each, [STATUSES.len() + 1; METHODS.len()]);
    }
}
