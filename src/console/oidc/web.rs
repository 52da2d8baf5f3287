//! Owns the addresses of signing in through a provider: the way there, the way back, and what is said where nobody
//! signed in. Each sign-in and each refusal leaves a line in the audit log, without code, token or secret.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Query, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use tracing::{info, warn};

use super::{Attempt, Oidc, Person, Refusal, Trouble, attempt::LIFE};
use crate::{
    console::{
        Console, Shared,
        session::{SameSite, Session, Taste},
        shell::Shell,
        sign_in,
    },
    gateway::AUDIT_LOG,
    http::Peer,
    pages,
};

/// What the cookie of an attempt is called, after [`Console::cookie_name`], and what it is sealed for.
const ATTEMPT: &str = "oidc";

/// What stands before the subject of a person in the audit log: no key is called so.
const SUBJECT_START: &str = "oidc/";

/// The way there and the way back.
pub(in crate::console) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/oidc/start", get(start)).route("/oidc/callback", get(callback))
}

/// What the address of the button says.
#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    next: String,
}

/// The button: sends the browser to the provider.
async fn start(State(console): Shared, headers: HeaderMap, Query(wish): Query<Wish>) -> Response {
    let Some(oidc) = &console.oidc else { return StatusCode::NOT_FOUND.into_response() };
    let (location, attempt) = match oidc.begin(&wish.next).await {
        Ok(begun) => begun,
        Err(refusal) => return refused(&console, &headers, &wish.next, &refusal),
    };
    let until = console.clock.now().plus(LIFE);
    let sealed = attempt.to_bytes().and_then(|bytes| console.seal.seal(&purpose(oidc), &bytes, until));
    let cookie = sealed.and_then(|sealed| console.set_cookie(ATTEMPT, &sealed, SameSite::Lax, Some(LIFE)));
    match cookie {
        Some(cookie) => with_cookie(Redirect::to(&location).into_response(), Some(cookie)),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// An attempt is good for this provider and this application only.
fn purpose(oidc: &Oidc) -> String {
    format!("{ATTEMPT} {} {}", oidc.config.client_id, oidc.config.issuer)
}

/// The provider sends the browser back.
async fn callback(
    State(console): Shared,
    peer: Option<axum::Extension<Peer>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(oidc) = &console.oidc else { return StatusCode::NOT_FOUND.into_response() };
    let sealed = pages::cookie(&headers, &console.cookie_name(ATTEMPT));
    let opened = sealed.and_then(|sealed| console.seal.open(&purpose(oidc), sealed, console.clock.now()));
    let Some(attempt) = opened.and_then(|bytes| Attempt::from_bytes(&bytes)) else {
        return refused(&console, &headers, "", &Refusal::Stranger("no_attempt"));
    };
    if !console.attempts.take(sign_in::address(&headers, peer.map(|axum::Extension(peer)| peer))) {
        return refused(&console, &headers, attempt.next(), &Refusal::Busy);
    }
    let response = match oidc.finish(query.as_deref().unwrap_or_default(), &attempt).await {
        Ok(person) => entered(&console, oidc, &headers, person, attempt.next()),
        Err(refusal) => refused(&console, &headers, attempt.next(), &refusal),
    };
    with_cookie(response, console.set_cookie(ATTEMPT, "", SameSite::Lax, Some(std::time::Duration::ZERO)))
}

#[derive(Template)]
#[template(path = "console/oidc-entered.html")]
struct EnteredPage {
    shell: Shell,
    next: String,
}

/// The session begins. A page goes on instead of a redirect: the cookie of a session goes with no request that began on
/// another site, and a chain of redirects is taken for one.
fn entered(console: &Console, oidc: &Oidc, headers: &HeaderMap, person: Person, next: &str) -> Response {
    let subject = format!("{SUBJECT_START}{}", person.subject);
    let until = console.clock.now().plus(console.session);
    let session = Session::of_person(subject, person.name, oidc.rules_print(), &person.scopes, until);
    let Some(cookie) = session.cookie(console) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    info!(target: AUDIT_LOG, subject = %session.subject, scopes = ?session.scopes, "signed in to the console through the identity provider");
    let shell = shell(console, headers, "oidc-entered-title");
    with_cookie(pages::html(StatusCode::OK, &EnteredPage { shell, next: next.to_owned() }), Some(cookie))
}

#[derive(Template)]
#[template(path = "console/oidc-refused.html")]
struct RefusedPage {
    shell: Shell,
    lead: String,
    again: String,
}

/// Nobody signed in: says why, and offers both ways again.
fn refused(console: &Console, headers: &HeaderMap, next: &str, refusal: &Refusal) -> Response {
    let cause = refusal.cause();
    match refusal {
        Refusal::NotAllowed { subject } => {
            let subject = format!("{SUBJECT_START}{subject}");
            warn!(target: AUDIT_LOG, cause, subject, "a sign-in to the console was refused");
        }
        Refusal::Provider(trouble) => {
            warn!(target: AUDIT_LOG, cause, %trouble, "a sign-in to the console was refused");
        }
        Refusal::Stranger(_) | Refusal::Declined(_) | Refusal::OtherProvider | Refusal::Token(_) | Refusal::Busy => {
            warn!(target: AUDIT_LOG, cause, "a sign-in to the console was refused");
        }
    }
    let (status, lead) = match refusal {
        Refusal::Stranger(_) => (StatusCode::BAD_REQUEST, "oidc-stranger-lead"),
        Refusal::Declined(_) => (StatusCode::FORBIDDEN, "oidc-declined-lead"),
        Refusal::NotAllowed { .. } => (StatusCode::FORBIDDEN, "oidc-not-allowed-lead"),
        Refusal::OtherProvider | Refusal::Token(_) | Refusal::Provider(Trouble::Refused(_) | Trouble::Unfit(_)) => {
            (StatusCode::BAD_GATEWAY, "oidc-untrusted-lead")
        }
        Refusal::Provider(Trouble::Away { .. }) => (StatusCode::SERVICE_UNAVAILABLE, "oidc-away-lead"),
        Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "console-sign-in-slower"),
    };
    let shell = shell(console, headers, "oidc-refused-title");
    let next = super::attempt::local(next);
    let again = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    pages::html(status, &RefusedPage { lead: shell.t(lead), again, shell })
}

#[derive(Template)]
#[template(path = "console/oidc-left.html")]
struct LeftPage {
    shell: Shell,
    there: String,
}

/// After signing out: the way out of the provider too, for who came in through it and where it has one.
pub(in crate::console) async fn way_out(console: &Console, headers: &HeaderMap) -> Option<Response> {
    let there = console.oidc.as_ref()?.end_session().await?;
    let shell = shell(console, headers, "oidc-left-title");
    Some(pages::html(StatusCode::OK, &LeftPage { shell, there }))
}

/// The shell of a page whose switches lead to the sign-in: the page itself cannot be shown twice.
fn shell(console: &Console, headers: &HeaderMap, title: &str) -> Shell {
    let mut shell = Shell::of(console, &Taste::of(console, headers), title);
    shell.path = String::from("/sign-in");
    shell
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
