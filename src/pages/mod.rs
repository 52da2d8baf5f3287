//! Owns what all web pages have in common, those of the demo and those of the console: words and drawings, the style they
//! share, what they may load, and which forms are theirs. What stands on a page is the page's own.

mod icons;
mod words;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

pub(crate) use icons::icon;
pub(crate) use words::{Theme, Words};

/// A file of a page: its name, its media type, what is in it.
pub(crate) type Asset = (&'static str, &'static str, &'static str);

/// The style that all pages share.
pub(crate) const BASE_CSS: Asset = ("base.css", "text/css; charset=utf-8", include_str!("assets/base.css"));

/// The drawing beside the title.
pub(crate) const ICON_SVG: Asset = ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg"));

/// What a page may load: files of its own origin, nothing inline, nothing from elsewhere.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The value of a cookie, where the browser sent it.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Whether a form was sent by a page of this site, or by no browser at all. Cookies are `SameSite=Strict`
/// besides.
pub(crate) fn is_of_our_pages(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, of)| of == host),
        (Some(_), None) => false,
    }
}

/// A page as an answer; one that cannot be made is a fault of ours.
pub(crate) fn html(status: StatusCode, page: &impl askama::Template) -> Response {
    page.render()
        .map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |text| (status, Html(text)).into_response())
}

/// Browsers keep a file and ask whether it is still the same, so that a newer ringproof never meets older scripts.
pub(crate) fn file(content_type: &'static str, body: &'static str, headers: &HeaderMap) -> Response {
    let hash = HEXLOWER.encode(&Sha256::digest(body.as_bytes()));
    let etag = format!("\"{}\"", hash.get(..16).unwrap_or_default());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes());
    let caching = [(header::ETAG, etag), (header::CACHE_CONTROL, String::from("no-cache"))];
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (StatusCode::OK, caching, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
