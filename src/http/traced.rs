//! Owns what is told of a request to traces (OpenTelemetry's semantic conventions for HTTP servers). Of its address only the
//! route is told: paths hold ids and the tokens of calls.

use std::{borrow::Cow, sync::Arc};

use axum::http::{HeaderMap, Method, StatusCode};

use crate::{
    span::{Asked, Value},
    trace::{TRACEPARENT, TRACESTATE, Trace},
};

/// A request has come.
pub(super) fn begin(headers: &HeaderMap) -> Option<Arc<Asked>> {
    Asked::begin(|| place(headers))
}

/// The place in a trace that a request names. Two are none.
pub(super) fn place(headers: &HeaderMap) -> Option<Trace> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (parent, None) = (parents.next()?.to_str().ok()?, parents.next()) else { return None };
    Trace::read(parent.trim(), headers.get_all(TRACESTATE).iter().map(|line| line.to_str().unwrap_or("?")))
}

/// What all methods are called that are not registered.
pub(super) const OTHER_METHOD: &str = "_OTHER";

/// The method if it is a registered one; others are a client's own words.
pub(super) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::CONNECT => "CONNECT",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::PATCH => "PATCH",
        _ => OTHER_METHOD,
    }
}

/// It is answered.
pub(super) fn answered(asked: &Asked, method: &'static str, route: &str, status: StatusCode) {
    let named = if method == OTHER_METHOD { "HTTP" } else { method };
    let failed = status.is_server_error();
    asked.answered(
        || format!("{named} {route}"),
        failed,
        || {
            let route = || Value::Word(Cow::Owned(route.to_owned()));
            let mut attributes = vec![
                ("http.request.method", Value::Word(Cow::Borrowed(method))),
                ("http.route", route()),
                ("url.path", route()),
                ("url.scheme", Value::Word(Cow::Borrowed("http"))),
                ("http.response.status_code", Value::Number(i64::from(status.as_u16()))),
            ];
            if failed {
                attributes.push(("error.type", Value::Word(Cow::Owned(status.as_u16().to_string()))));
            }
            attributes
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_read_and_two_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(place(&headers), None);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert(TRACEPARENT, parent.parse().unwrap());
        headers.append(TRACESTATE, "a=1".parse().unwrap());
        headers.append(TRACESTATE, "b=2".parse().unwrap());
        let read = place(&headers).unwrap();
        assert_eq!((read.traceparent().as_str(), read.tracestate()), (parent, Some("a=1,b=2")));
        headers.append(TRACEPARENT, parent.parse().unwrap());
        assert_eq!(place(&headers), None);
    }

    #[test]
    fn a_method_of_a_clients_own_is_not_told() {
        assert_eq!(known_method(&Method::POST), "POST");
        assert_eq!(known_method(&Method::from_bytes(b"CANARY").unwrap()), "_OTHER");
        assert_eq!(known_method(&Method::from_bytes(b"get").unwrap()), "_OTHER");
    }
}
