//! Owns reading what clients send: bodies within a size and a time, JSON without unknown or repeated members, each
//! fault told by its place and never by its value: a value may be a telephone number.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::problem::{self, Code, MAX_FAULTS, Problem};

/// Largest body of the API, in bytes.
pub(super) const API_BODY_BYTES: usize = 64 * 1024;

/// Largest body of a carrier's webhook, in bytes.
pub(super) const WEBHOOK_BODY_BYTES: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest name of a member that is repeated back, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// It is larger, slower than [`BODY_TIMEOUT`], or breaks off.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::TooLarge).detail(format!("at most {limit} bytes are read here"));
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    match timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(problem::malformed("the body broke off")),
        Err(_) => Err(Problem::new(Code::BodyTimeout)),
    }
}

/// Reads a JSON object and what it was made from.
///
/// # Errors
/// The media type is another, the body is not read, or it is not a `T`: every faulty member is told.
pub(super) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<(T, Bytes), Problem> {
    if !is_json(headers) {
        return Err(Problem::new(Code::UnsupportedMediaType).detail("send `Content-Type: application/json`"));
    }
    let bytes = read(body, API_BODY_BYTES).await?;
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok((value, bytes)),
        Err(error) => Err(explain::<T>(&bytes, &error)),
    }
}

/// Reads a body that has nothing to say: none, or an empty JSON object.
///
/// # Errors
/// It says something.
pub(super) async fn none(headers: &HeaderMap, body: Body) -> Result<(), Problem> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    if body.is_end_stream() {
        return Ok(());
    }
    let bytes = read(body, API_BODY_BYTES).await?;
    if bytes.is_empty() {
        return Ok(());
    }
    json::<Nothing>(headers, Body::from(bytes)).await.map(|_| ())
}

/// Whether the body is said to be JSON in UTF-8 (RFC 8259 knows no other).
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let charset_is_utf8 = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .all(|(_, charset)| charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"));
    essence.trim().eq_ignore_ascii_case("application/json") && charset_is_utf8
}

/// Says what is wrong with a body that is not a `T`. The parser stops at the first fault; here each member is tried by
/// itself, so that all are told at once.
fn explain<T: DeserializeOwned>(bytes: &[u8], first: &serde_json::Error) -> Problem {
    let Ok(members) = serde_json::from_slice::<Map<String, Value>>(bytes) else {
        return problem::malformed(match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Ok(_) => String::from("the body must be a JSON object"),
            Err(error) => format!("the body is not JSON: line {}, column {}", error.line(), error.column()),
        });
    };
    let mut problem = Problem::new(Code::Malformed);
    let mut found = 0;
    let of_nothing = T::deserialize(Value::Object(Map::new())).err().map(|error| harmless(&error.to_string()));
    if let Some(Why::Missing(name)) =
        of_nothing.filter(|why| matches!(why, Why::Missing(name) if !members.contains_key(name)))
    {
        problem = problem.fault(format!("#/{name}"), "this member is needed");
        found += 1;
    }
    for (name, value) in members {
        let alone = Value::Object(Map::from_iter([(name.clone(), value)]));
        if let Err(error) = serde_path_to_error::deserialize::<_, T>(alone) {
            let why = harmless(&error.inner().to_string());
            if matches!(why, Why::Missing(_)) && error.path().iter().len() == 0 {
                continue;
            }
            let mut place = place(error.path(), &name);
            if let Why::Missing(member) = &why {
                place = format!("{place}/{member}");
            }
            problem = problem.fault(place, why.to_string());
            found += 1;
            if found == MAX_FAULTS {
                break;
            }
        }
    }
    match harmless(&first.to_string()) {
        Why::Twice(name) => problem.fault(format!("#/{name}"), "this member is there twice"),
        why @ (Why::Unknown | Why::Missing(_) | Why::Expected(_) | Why::Other) if found == 0 => {
            problem.detail(why.to_string())
        }
        Why::Unknown | Why::Missing(_) | Why::Expected(_) | Why::Other => problem,
    }
}

/// A place in the body as a JSON pointer in a URI fragment.
fn place(path: &serde_path_to_error::Path, member: &str) -> String {
    use serde_path_to_error::Segment;

    let mut place = String::from("#");
    for segment in path.iter() {
        place.push('/');
        match segment {
            Segment::Seq { index } => place.push_str(&index.to_string()),
            Segment::Map { key } => place.push_str(&name(key)),
            Segment::Enum { variant } => place.push_str(&name(variant)),
            Segment::Unknown => place.push('?'),
        }
    }
    if place.len() == 1 { format!("#/{}", name(member)) } else { place }
}

/// The name of a member as it is repeated back: short, without control characters, escaped for a pointer (RFC 6901).
fn name(text: &str) -> String {
    let short: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
    short.replace('~', "~0").replace('/', "~1")
}

/// What is wrong, without the value it is wrong with.
enum Why {
    Unknown,
    Missing(String),
    Twice(String),
    Expected(String),
    Other,
}

/// Takes from serde's message what holds no value.
fn harmless(message: &str) -> Why {
    let quoted = |rest: &str| name(rest.split('`').next().unwrap_or_default());
    if message.starts_with("unknown field `") {
        Why::Unknown
    } else if let Some(rest) = message.strip_prefix("missing field `") {
        Why::Missing(quoted(rest))
    } else if let Some(rest) = message.strip_prefix("duplicate field `") {
        Why::Twice(quoted(rest))
    } else if let Some((_, expected)) = message.rsplit_once(", expected ") {
        let expected = expected.split(" at line ").next().unwrap_or_default();
        let is_integer = expected.starts_with(['u', 'i']) && expected.ends_with(|c: char| c.is_ascii_digit());
        Why::Expected(String::from(if is_integer { "a whole number within its limits" } else { expected }))
    } else {
        Why::Other
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("this member is not known here"),
            Self::Missing(_) => f.write_str("this member is needed"),
            Self::Twice(_) => f.write_str("this member is there twice"),
            Self::Expected(expected) => write!(f, "expected {expected}"),
            Self::Other => f.write_str("this value cannot be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::gateway::CreateRequest;

    fn headers(media_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))])
    }

    async fn create(body: &str) -> Result<CreateRequest, Problem> {
        let read = json(&headers("application/json"), Body::from(body.to_owned())).await;
        read.map(|(request, _)| request)
    }

    async fn told(body: &str) -> String {
        let problem = create(body).await.map(|_| ()).unwrap_err();
        let faults: Vec<_> =
            problem.errors().iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
        if faults.is_empty() { format!("{problem:?}") } else { faults.join("\n") }
    }

    #[tokio::test]
    async fn every_fault_is_told_by_its_place() {
        for (body, expected) in [
            (
                r#"{"too": "+81312345678", "mode": "shout", "alternates": [{"to": 5}, {"nr": "1"}], "expires_in": "5m"}"#,
                "#/to this member is needed\n#/alternates/0/to expected a string\n\
                 #/expires_in expected a whole number within its limits\n\
                 #/mode expected one of `confirm`, `match`, `speak`\n#/too this member is not known here",
            ),
            (r#"{"to": "1", "alternates": [{"country": "JP"}]}"#, "#/alternates/0/to this member is needed"),
            (r#"{"to": "1", "to": "2"}"#, "#/to this member is there twice"),
            (r#"{"to": "1", "a/b~c": 1}"#, "#/a~1b~0c this member is not known here"),
            (r#"{"to": "1", "max_calls": -1}"#, "#/max_calls expected a whole number within its limits"),
            (r#"{"to": "1", "max_calls": 2.5}"#, "#/max_calls expected a whole number within its limits"),
            (r#"{"to": "1", "expires_in": 1e12}"#, "#/expires_in expected a whole number within its limits"),
        ] {
            assert_eq!(told(body).await, expected);
        }
    }

    #[tokio::test]
    async fn a_whole_number_may_be_written_with_a_point() {
        let read = create(r#"{"to": "1", "max_calls": 3.0, "expires_in": 6e1}"#).await.unwrap();
        assert_eq!((read.max_calls, read.expires_in), (Some(3), Some(60)));
        let read = create(r#"{"to": "1", "max_calls": null, "expires_in": 60}"#).await.unwrap();
        assert_eq!((read.max_calls, read.expires_in), (None, Some(60)));
    }

    #[tokio::test]
    async fn no_value_is_repeated() {
        let secret = "+819012345678";
        for body in [
            format!(r#"{{"to": ["{secret}"]}}"#),
            format!(r#"{{"to": "1", "mode": "{secret}"}}"#),
            format!(r#"{{"to": "1", "expires_in": "a, expected {secret}"}}"#),
            format!(r#"{{"to": "1", "metadata": "{secret}"}}"#),
            format!(r#"{{"to": "1", "max_calls": {}}}"#, &secret[1..]),
            format!(r#"{{"to": "{secret}""#),
            format!(r#""{secret}""#),
        ] {
            let problem = create(&body).await.map(|_| ()).unwrap_err();
            assert!(!format!("{problem:?}").contains(&secret[1..]), "{problem:?}");
            assert_eq!(problem.code(), Code::Malformed);
        }
    }

    #[tokio::test]
    async fn nesting_and_number_of_faults_are_bounded() {
        let deep = format!(r#"{{"to": "1", "x": {}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert_eq!(create(&deep).await.map(|_| ()).unwrap_err().code(), Code::Malformed);
        let many: Vec<String> = (0..200).map(|n| format!("\"m{n}\": 1")).collect();
        let problem = create(&format!("{{{}}}", many.join(","))).await.map(|_| ()).unwrap_err();
        assert_eq!(problem.errors().len(), MAX_FAULTS);
    }

    #[tokio::test]
    async fn only_json_in_utf8_is_read() {
        let body = || Body::from(r#"{"to": "1"}"#);
        for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert!(json::<CreateRequest>(&headers(good), body()).await.is_ok(), "{good}");
        }
        for bad in
            ["text/plain", "application/jsonx", "application/json; charset=latin1", "application/x-www-form-urlencoded"]
        {
            let problem = json::<CreateRequest>(&headers(bad), body()).await.map(|_| ()).unwrap_err();
            assert_eq!(problem.code(), Code::UnsupportedMediaType, "{bad}");
        }
        assert!(json::<CreateRequest>(&HeaderMap::new(), body()).await.is_err());
    }

    #[tokio::test]
    async fn a_body_is_as_large_as_is_allowed_and_no_larger() {
        let of = |bytes: usize| Body::from(vec![b' '; bytes]);
        assert_eq!(read(of(100), 100).await.unwrap().len(), 100);
        assert_eq!(read(of(101), 100).await.unwrap_err().code(), Code::TooLarge);
        let streamed = |parts: usize| {
            let part = || Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b' '; 10]));
            Body::from_stream(futures_util::stream::iter((0..parts).map(move |_| part())))
        };
        assert_eq!(read(streamed(10), 100).await.unwrap().len(), 100);
        assert_eq!(read(streamed(11), 100).await.unwrap_err().code(), Code::TooLarge);
    }

    #[tokio::test]
    async fn a_body_that_says_nothing_is_no_body() {
        for good in ["", "{}", " {} "] {
            assert!(none(&headers("application/json"), Body::from(good)).await.is_ok(), "{good}");
        }
        assert!(none(&HeaderMap::new(), Body::empty()).await.is_ok());
        assert_eq!(
            none(&headers("application/json"), Body::from(r#"{"a": 1}"#)).await.unwrap_err().code(),
            Code::Malformed
        );
        assert_eq!(none(&headers("text/plain"), Body::from("a")).await.unwrap_err().code(), Code::UnsupportedMediaType);
    }
}
