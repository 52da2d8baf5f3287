//! Owns the way between a browser and its simulated telephone: what it shows, as server-sent events, and its keys and
//! buttons, as forms. Each browser reaches its own telephone only.

use std::{convert::Infallible, time::Duration};

use axum::{
    Form,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Browser, Shared, page::shown_to, see};
use crate::{
    dtmf::Digit,
    provider::simulator::{Mood, View},
};

/// How often a comment is sent when nothing happens, so that nobody in between gives the connection up.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A press on the keypad.
#[derive(Deserialize)]
pub(super) struct Press {
    key: char,
}

/// A choice of who picks up.
#[derive(Deserialize)]
pub(super) struct MoodChoice {
    mood: String,
}

/// What the telephone shows, whenever that changes.
pub(super) async fn events(State(demo): Shared, browser: Browser) -> Response {
    let watched = browser.telephone.watch();
    let body = Body::from_stream(frames(watched, demo.stop.clone()));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}

fn frames(
    mut watched: watch::Receiver<View>,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    watched.mark_changed();
    stream::unfold((watched, stop), |(mut watched, stop)| async move {
        let frame = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            changed = tokio::time::timeout(HEARTBEAT, watched.changed()) => match changed {
                Ok(Ok(())) => frame(&watched.borrow_and_update()),
                Ok(Err(_)) => return None,
                Err(_) => String::from(": still here\n\n"),
            },
        };
        Some((Ok(Bytes::from(frame)), (watched, stop)))
    })
}

fn frame(view: &View) -> String {
    let shown = view.from.as_ref().map(|from| shown_to(from, view.to.as_ref()));
    let mut value = json!(view);
    if let Some(members) = value.as_object_mut() {
        members.insert(String::from("shown"), json!(shown));
    }
    format!("data: {value}\n\n")
}

pub(super) async fn answer(browser: Browser, headers: HeaderMap) -> Response {
    done(&browser, browser.telephone.answer(), &headers)
}

pub(super) async fn decline(browser: Browser, headers: HeaderMap) -> Response {
    done(&browser, browser.telephone.decline(), &headers)
}

pub(super) async fn hang_up(browser: Browser, headers: HeaderMap) -> Response {
    done(&browser, browser.telephone.hang_up(), &headers)
}

pub(super) async fn press(browser: Browser, headers: HeaderMap, Form(press): Form<Press>) -> Response {
    match Digit::from_char(press.key) {
        Some(key) => done(&browser, browser.telephone.press(key), &headers),
        None => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
}

pub(super) async fn mood(browser: Browser, headers: HeaderMap, Form(choice): Form<MoodChoice>) -> Response {
    match choice.mood.parse::<Mood>() {
        Ok(mood) => {
            browser.telephone.set_mood(mood);
            done(&browser, true, &headers)
        }
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
}

/// A script is told whether it worked; a form without script sees the page again.
fn done(browser: &Browser, worked: bool, headers: &HeaderMap) -> Response {
    let scripted = headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json");
    match (scripted, worked) {
        (true, true) => StatusCode::NO_CONTENT.into_response(),
        (true, false) => StatusCode::CONFLICT.into_response(),
        (false, _) => see(if browser.state().attempt.is_some() { "/demo/call" } else { "/" }),
    }
}
