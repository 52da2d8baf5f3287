//! Owns the files of the demo's pages: style sheet, scripts, drawings. All are part of the binary.

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::countries;

const FILES: &[(&str, &str, &str)] = &[
    ("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("telephone.css", "text/css; charset=utf-8", include_str!("assets/telephone.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("assets/page.js")),
    ("texts.js", "text/javascript; charset=utf-8", include_str!("assets/texts.js")),
    ("country.js", "text/javascript; charset=utf-8", include_str!("assets/country.js")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js")),
    ("telephone.js", "text/javascript; charset=utf-8", include_str!("assets/telephone.js")),
    ("sound.js", "text/javascript; charset=utf-8", include_str!("assets/sound.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// A file by its name.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, content_type, body)) => file(content_type, body, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The flag of a country, as in `JP.svg`.
pub(super) async fn flag(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match name.strip_suffix(".svg").and_then(countries::flag) {
        Some(svg) => file("image/svg+xml", svg, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Browsers keep a file and ask whether it is still the same, so that a newer ringproof never meets older scripts.
fn file(content_type: &'static str, body: &'static str, headers: &HeaderMap) -> Response {
    let hash = HEXLOWER.encode(&Sha256::digest(body.as_bytes()));
    let etag = format!("\"{}\"", hash.get(..16).unwrap_or_default());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes());
    let caching = [(header::ETAG, etag), (header::CACHE_CONTROL, String::from("no-cache"))];
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (StatusCode::OK, caching, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
