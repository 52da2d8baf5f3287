//! Owns the files of the console's pages: style sheets and scripts. All are part of the binary.

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use crate::pages::{self, file};

const FILES: &[pages::Asset] = &[
    pages::BASE_CSS,
    pages::ICON_SVG,
    ("board.css", "text/css; charset=utf-8", include_str!("assets/board.css")),
    ("fresh.js", "text/javascript; charset=utf-8", include_str!("assets/fresh.js")),
    ("console.css", "text/css; charset=utf-8", include_str!("assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_str!("assets/console.js")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js")),
];

/// A file by its name.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, content_type, body)) => file(content_type, body, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
