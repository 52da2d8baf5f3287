//! Owns which pages of other origins may read a verification: none, unless the configuration names their origins, and
//! then only with a view token. Everything else of the API is for backends, which know no origins.

use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

/// How long a browser may remember what it was allowed, in seconds.
const REMEMBER_SECS: &str = "600";

/// The origins whose pages may read.
#[derive(Debug, Clone, Default)]
pub(super) struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// Reads origins as browsers send them.
    ///
    /// # Errors
    /// The first that is none.
    pub(super) fn new(origins: &[String]) -> Result<Self, String> {
        let read = |origin: &String| {
            let is_origin = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            is_origin.then(|| HeaderValue::try_from(origin).ok()).flatten().ok_or_else(|| origin.clone())
        };
        origins.iter().map(read).collect::<Result<_, _>>().map(|origins| Self { origins })
    }

    /// The origin of a request, if its pages may read.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.origins.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        self.origins.iter().find(|known| *known == origin).cloned()
    }

    /// Whether a request asks what it may, before it is made.
    pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Says what may be asked.
    pub(super) fn preflight<B: Default>() -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, last-event-id"),
            (header::ACCESS_CONTROL_MAX_AGE, REMEMBER_SECS),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// Says that pages of this origin may read the answer.
    pub(super) fn permit(headers: &mut HeaderMap, origin: HeaderValue) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("retry-after, ratelimit, ratelimit-policy, x-request-id"),
        );
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_origins_may_read() {
        let cors = Cors::new(&[String::from("https://enrol.example.com")]).unwrap();
        let from = |origin: &'static str| HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
        assert!(cors.allowed(&from("https://enrol.example.com")).is_some());
        for other in ["https://enrol.example.com.evil.test", "http://enrol.example.com", "null", "*"] {
            assert_eq!(cors.allowed(&from(other)), None, "{other}");
        }
        assert_eq!(Cors::default().allowed(&from("https://enrol.example.com")), None);
    }

    #[test]
    fn what_is_no_origin_is_a_fault() {
        for bad in ["*", "enrol.example.com", "https://enrol.example.com/", "https://enrol.example.com/a", "null"] {
            assert_eq!(Cors::new(&[String::from(bad)]).unwrap_err(), bad);
        }
    }
}
