//! Owns the files of the demo's pages: style sheet, scripts, drawings. All are part of the binary.

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use super::countries;
use crate::pages::{self, file};

const FILES: &[pages::Asset] = &[
    ("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("telephone.css", "text/css; charset=utf-8", include_str!("assets/telephone.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("assets/page.js")),
    ("texts.js", "text/javascript; charset=utf-8", include_str!("assets/texts.js")),
    ("country.js", "text/javascript; charset=utf-8", include_str!("assets/country.js")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js")),
    ("telephone.js", "text/javascript; charset=utf-8", include_str!("assets/telephone.js")),
    ("sound.js", "text/javascript; charset=utf-8", include_str!("assets/sound.js")),
    pages::BASE_CSS,
    pages::ICON_SVG,
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
