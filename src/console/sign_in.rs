//! Owns coming in and going out: the form for a key, how often that may be tried, signing out, and the switches of language,
//! colours and time zone, which need no session.

use std::{net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request},
    response::{IntoResponse, Response},
};
use quick_cache::sync::Cache;
use serde::Deserialize;
use tracing::{info, warn};

use super::{
    Console, Shared,
    oidc::{self, Oidc},
    session::{SESSION, SameSite, Session, Taste, Via},
    shell::Shell,
    zone::Zone,
};
use crate::{
    gateway::AUDIT_LOG,
    http::{Allowance, Limiter, Peer, Scope},
    pages::{Theme, Words, html},
    secret::Secret,
};

/// Most attempts to sign in from one address in a minute, and from all of them.
const PER_ADDRESS: u32 = 10;
const IN_ALL: u32 = 120;
/// Most addresses that are counted; those seen longest ago are forgotten first.
const MOST_ADDRESSES: usize = 4096;
/// Longest path that a sign-in goes on to, in bytes.
const MAX_NEXT_BYTES: usize = 2048;

/// How often it was tried to sign in.
pub(super) struct Attempts {
    by_address: Cache<IpAddr, Arc<Limiter>>,
    all: Limiter,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { by_address: Cache::new(MOST_ADDRESSES), all: Limiter::per_minute("sign_in", IN_ALL) }
    }
}

impl Attempts {
    /// Uses one attempt; false where there is none left. Every one counts against all of them together, so that an address
    /// that is made up gains nothing.
    pub(super) fn take(&self, from: Option<IpAddr>) -> bool {
        let fresh = || Ok::<_, ()>(Arc::new(Limiter::per_minute("sign_in", PER_ADDRESS)));
        let own = from.and_then(|from| self.by_address.get_or_insert_with(&from, fresh).ok());
        let is_left = |taken: Result<Allowance, _>| taken.is_ok();
        own.is_none_or(|own| is_left(own.take())) && is_left(self.all.take())
    }
}

/// Where a request comes from: the other end of the connection, or, where that is a proxy on this machine, what the
/// proxy says last about whom it speaks for.
pub(super) fn address(request: &HeaderMap, peer: Option<Peer>) -> Option<IpAddr> {
    let peer = peer.map(|Peer(address)| address.ip())?;
    if !peer.is_loopback() {
        return Some(peer);
    }
    let told = request.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    told.and_then(|told| told.rsplit(',').next()?.trim().parse().ok()).or(Some(peer))
}

/// What the address of the form says.
#[derive(Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    next: String,
}

/// The form.
pub(super) async fn form(State(console): Shared, headers: HeaderMap, Query(wish): Query<Wish>) -> Response {
    let taste = Taste::of(&console, &headers);
    if Session::of(&console, &headers).is_some_and(|session| session.has(Scope::Calls)) {
        return console.see(own_path(&wish.next));
    }
    show(&console, &taste, &wish.next, StatusCode::OK, None)
}

#[derive(Template)]
#[template(path = "console/sign-in.html")]
struct SignInPage {
    shell: Shell,
    next: String,
    problem: Option<String>,
    /// What the button says that leads to the identity provider, where there is one.
    provider: Option<String>,
    /// The same as `next`, for an address.
    next_encoded: String,
}

fn show(console: &Console, taste: &Taste, next: &str, status: StatusCode, problem: Option<&str>) -> Response {
    let mut shell = Shell::of(console, taste, "console-sign-in-title");
    shell.path = String::from("/sign-in");
    let button = |oidc: &Oidc| oidc.label().map_or_else(|| shell.t("oidc-button"), str::to_owned);
    let provider = console.oidc.as_deref().map(button);
    let next = own_path(next).to_owned();
    let next_encoded = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    let page = SignInPage { problem: problem.map(|id| shell.t(id)), provider, next_encoded, next, shell };
    html(status, &page)
}

/// The form is sent.
#[derive(Deserialize)]
pub(super) struct Presented {
    key: Secret<String>,
    #[serde(default)]
    next: String,
}

/// Signs in with a key.
pub(super) async fn sign_in(
    State(console): Shared,
    peer: Option<axum::Extension<Peer>>,
    headers: HeaderMap,
    Form(presented): Form<Presented>,
) -> Response {
    let taste = Taste::of(&console, &headers);
    let again = |status, problem| show(&console, &taste, &presented.next, status, Some(problem));
    if !console.attempts.take(address(&headers, peer.map(|axum::Extension(peer)| peer))) {
        warn!(target: AUDIT_LOG, "sign-ins to the console are slowed down: too many attempts");
        return again(StatusCode::TOO_MANY_REQUESTS, "console-sign-in-slower");
    }
    let Some(caller) = console.keys.find(presented.key.expose().trim()) else {
        warn!(target: AUDIT_LOG, "a sign-in to the console was refused: no key of ours");
        return again(StatusCode::FORBIDDEN, "console-sign-in-wrong");
    };
    if !caller.has(Scope::Calls) {
        warn!(target: AUDIT_LOG, client = %caller.tenant.client.name, "a sign-in to the console was refused: the key lacks the scope");
        return again(StatusCode::FORBIDDEN, "console-sign-in-scope");
    }
    let session = Session::of_key(&caller, console.clock.now().plus(console.session));
    info!(target: AUDIT_LOG, client = %session.subject, "signed in to the console with a key");
    let mut response = console.see(own_path(&presented.next));
    match session.cookie(&console) {
        Some(cookie) => response.headers_mut().append(header::SET_COOKIE, cookie),
        None => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    response
}

/// Signs out: the cookie goes.
pub(super) async fn sign_out(State(console): Shared, headers: HeaderMap) -> Response {
    let session = Session::of(&console, &headers);
    let mut response = None;
    if let Some(session) = &session {
        info!(target: AUDIT_LOG, client = %session.subject, "signed out of the console");
        if matches!(session.via, Via::Person(_)) {
            response = oidc::way_out(&console, &headers).await;
        }
    }
    let response = response.unwrap_or_else(|| console.see("/sign-in"));
    with_cookie(response, console.set_cookie(SESSION, "", SameSite::Strict, Some(Duration::ZERO)))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// For who is not signed in: the form, which leads back; scripts are told so by the status.
pub(super) fn wanted(console: &Console, parts: &request::Parts, path: &str) -> Response {
    let is_page = parts.headers.get(header::ACCEPT).is_none_or(|accept| accept.as_bytes() != b"text/event-stream");
    if !is_page {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if parts.method != Method::GET || path.is_empty() || path == "/" || path.len() > MAX_NEXT_BYTES {
        return console.see("/sign-in");
    }
    let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    console.see(&format!("/sign-in?next={next}"))
}

/// For who is signed in but may not see calls: says so, and nothing else.
pub(super) fn not_for_you(console: &Console, taste: &Taste) -> Response {
    show(console, taste, "", StatusCode::FORBIDDEN, Some("console-sign-in-scope"))
}

/// A path below the console to go on to; its beginning where there is none. An address elsewhere would make this an open
/// redirect.
fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.len() <= MAX_NEXT_BYTES
        && next.bytes().all(|b| b.is_ascii_graphic());
    if is_own { next } else { "/calls" }
}

/// A press on one of the switches.
#[derive(Deserialize)]
pub(super) struct Preferences {
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    theme: Option<String>,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    back: String,
}

/// Changes how pages are seen.
pub(super) async fn taste(State(console): Shared, headers: HeaderMap, Form(wanted): Form<Preferences>) -> Response {
    let mut taste = Taste::of(&console, &headers);
    if let Some(language) = &wanted.language {
        taste.words = Words::of(language);
    }
    if let Some(theme) = wanted.theme.as_deref().and_then(Theme::of) {
        taste.theme = theme;
    }
    if let Some(zone) = wanted.zone.as_deref().and_then(|name| Zone::from_str(name).ok()) {
        taste.zone = zone;
    }
    with_cookie(console.see(own_path(&wanted.back)), taste.cookie(&console))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_goes_on_within_the_console_only() {
        for (next, path) in [
            ("/calls?status=failed", "/calls?status=failed"),
            ("", "/calls"),
            ("//evil.test", "/calls"),
            ("/\\evil.test", "/calls"),
            ("https://evil.test", "/calls"),
            ("/a\r\nset-cookie: x", "/calls"),
        ] {
            assert_eq!(own_path(next), path, "{next}");
        }
    }

    #[test]
    fn attempts_are_counted_by_address_and_in_all() {
        let attempts = Attempts::default();
        let address = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let from_one = (0..100).filter(|_| attempts.take(address(1))).count();
        assert!((10..20).contains(&from_one), "{from_one}");
        let from_many = (0..=255).filter(|last| attempts.take(address(*last))).count();
        assert!(from_many < 130, "{from_many}");
    }

    #[test]
    fn a_proxy_on_this_machine_is_believed_and_nobody_else() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9, 198.51.100.7"));
        let peer = |text: &str| Some(Peer(text.parse().unwrap()));
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(address(&headers, peer("127.0.0.1:4000")), ip("198.51.100.7"));
        assert_eq!(address(&headers, peer("192.0.2.1:4000")), ip("192.0.2.1"));
        assert_eq!(address(&HeaderMap::new(), peer("[::1]:4000")), ip("::1"));
        assert_eq!(address(&headers, None), None);
    }
}
