//! Owns the steps of the enrolment wizard: the list of sign-in methods, the choice, the number, the call, its outcome.
//! What happened to a call is asked of the API; what a page sends is only what a person chose.

mod form;
mod outcome;

use std::time::Duration;

use askama::Template;
use axum::{
    Form, Json,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Browser, Demo, Rings, Shared,
    backend::{BackendError, Seen, Wish},
    html,
    page::Page,
    see,
    session::{Attempt, Kind, MAX_METHODS, Method, Session},
};
use crate::{
    outcome::Status,
    pages::{Theme, Words},
    phone::{self, CountryCode, Number},
};
use form::{PhoneForm, Typed};

/// Step 1: the list.
pub(super) async fn methods(State(demo): Shared, browser: Browser) -> Response {
    // A call may have ended while nobody looked.
    let _seen = look(&demo, &browser).await;
    let page = Page::new(&demo, &browser, "methods-title", "methods", "/");
    let words = page.words;
    let methods = browser.state().methods.iter().rev().map(|method| MethodRow::new(words, method)).collect();
    html(StatusCode::OK, &MethodsPage { page, methods })
}

#[derive(Template)]
#[template(path = "demo/methods.html")]
struct MethodsPage {
    page: Page,
    methods: Vec<MethodRow>,
}

struct MethodRow {
    name: u32,
    icon: &'static str,
    kind: String,
    country: CountryCode,
    number: String,
    added: String,
    remove: String,
}

impl MethodRow {
    fn new(words: Words, method: &Method) -> Self {
        let extension =
            method.extension.as_ref().map(|extension| words.with("method-extension", "extension", extension));
        let number =
            extension.map_or_else(|| method.masked.clone(), |extension| format!("{} {extension}", method.masked));
        Self {
            name: method.name,
            icon: method.kind.as_str(),
            kind: words.t(&format!("method-{}", method.kind.as_str())),
            country: method.country,
            added: words.with("method-added", "date", &words.day(method.added_at)),
            remove: words.with("method-remove-one", "number", &number),
            number,
        }
    }
}

/// A press on "remove".
#[derive(Deserialize)]
pub(super) struct Removal {
    name: u32,
}

pub(super) async fn remove(browser: Browser, Form(removal): Form<Removal>) -> Response {
    let mut state = browser.state();
    let before = state.methods.len();
    state.methods.retain(|method| method.name != removal.name);
    if state.methods.len() < before {
        state.notice = Some("removed");
    }
    drop(state);
    see("/")
}

/// Step 2: the choice.
pub(super) async fn add(State(demo): Shared, browser: Browser) -> Response {
    html(StatusCode::OK, &AddPage { page: Page::new(&demo, &browser, "add-title", "methods", "/demo/add") })
}

#[derive(Template)]
#[template(path = "demo/add.html")]
struct AddPage {
    page: Page,
}

/// What the address of step 3 says.
#[derive(Deserialize)]
pub(super) struct PhoneQuery {
    #[serde(default)]
    method: String,
    /// The number of the last attempt is to be corrected.
    #[serde(default)]
    again: Option<String>,
}

/// Step 3: the number.
pub(super) async fn phone(State(demo): Shared, browser: Browser, Query(query): Query<PhoneQuery>) -> Response {
    let (country, last) = {
        let state = browser.state();
        (state.country, state.attempt.clone().filter(|_| query.again.is_some()))
    };
    let typed = Typed {
        method: query.method,
        number: last.as_ref().map(|last| last.to.format_national()).unwrap_or_default(),
        country: country.map(|country| country.to_string()).unwrap_or_default(),
        extension: last.and_then(|last| last.extension).unwrap_or_default(),
        ..Typed::default()
    };
    form::show(&demo, &browser, &typed, |_| {})
}

/// What would be called for a number as it is being typed.
pub(super) async fn number(browser: Browser, Form(typed): Form<Typed>) -> Json<Value> {
    let words = browser.state().words;
    if typed.number.trim().is_empty() {
        return Json(json!({ "ok": false, "text": "" }));
    }
    Json(match typed.read() {
        Ok(number) => json!({
            "ok": true,
            "shown": number.e164.expose(),
            "country": number.country.to_string(),
            "text": words.with("phone-will-call", "number", &form::in_full(words, &number)),
        }),
        Err(error) => json!({ "ok": false, "text": words.t(&format!("number-{}", error.as_str())) }),
    })
}

/// Step 3 is sent: the call is asked for, once the person has seen what will be called.
pub(super) async fn call(State(demo): Shared, browser: Browser, Form(typed): Form<Typed>) -> Response {
    let words = browser.state().words;
    if typed.number.trim().is_empty() {
        return form::fault(&demo, &browser, &typed, words.t("number-empty"));
    }
    let number = match typed.read() {
        Ok(number) => number,
        Err(error) => {
            return form::fault(&demo, &browser, &typed, words.t(&format!("number-{}", error.as_str())));
        }
    };
    if let Err(refusal) = typed.read_extension() {
        let fault = words.t(refusal);
        let show = |form: &mut PhoneForm| form.extension_fault = Some(fault);
        return form::show(&demo, &browser, &typed, show);
    }
    if typed.shown != number.e164.expose() {
        return form::confirm(&demo, &browser, &typed, &number);
    }
    let (country, same) = {
        let mut state = browser.state();
        state.country = Some(number.country);
        let same =
            state.attempt.as_ref().is_some_and(|attempt| !typed.ticket.is_empty() && attempt.ticket == typed.ticket);
        (number.country, same)
    };
    // The same form twice, by a double click or a repeated request: the call is under way.
    if same {
        return see("/demo/call");
    }
    give_up(&demo, &browser).await;
    let kind = Kind::of(&typed.method);
    let ticket = if typed.ticket.is_empty() { demo.sessions.random() } else { typed.ticket.clone() };
    let extension = typed.read_extension().ok().flatten();
    match begin(&demo, &browser, Asked { kind, number, extension, ticket }).await {
        Ok(()) => see("/demo/call"),
        Err(error) => {
            let typed = Typed { country: country.to_string(), ..typed };
            let problem = outcome::problem(&demo, words, &error);
            form::show(&demo, &browser, &typed, |form| form.problem = Some(problem))
        }
    }
}

/// What a form asks for.
struct Asked {
    kind: Kind,
    number: Number,
    extension: Option<String>,
    ticket: String,
}

/// Asks the API for a verification, lets it ring at this browser's telephone, and keeps a view token for the page.
async fn begin(demo: &Demo, session: &Session, asked: Asked) -> Result<(), BackendError> {
    let words = session.state().words;
    let wish = Wish {
        to: asked.number.e164.expose(),
        extension: asked.extension.as_deref(),
        locale: words.call_locale(),
        brand: &demo.brand,
        reference: &session.reference,
        idempotency_key: &asked.ticket,
    };
    let seen = create(demo, session, &wish).await?;
    if let Rings::Browser(simulator) = &demo.rings {
        simulator.ring_for_number(&asked.number.e164, &session.telephone);
        simulator.ring_for_verification(seen.id, &session.telephone);
    }
    // A page without live view still shows the outcome, when it is loaded again.
    let view_token = demo.backend.view_token(seen.id).await.unwrap_or_default();
    session.state().attempt = Some(Attempt {
        verification: seen.id,
        view_token,
        kind: asked.kind,
        to: asked.number.e164,
        country: asked.number.country,
        extension: asked.extension,
        ticket: asked.ticket,
        settled: false,
    });
    Ok(())
}

/// Asks the API. Where this person's last call is decided but still being said goodbye to, its number is free in a
/// moment: that is waited for.
async fn create(demo: &Demo, session: &Session, wish: &Wish<'_>) -> Result<Seen, BackendError> {
    let mut tries = 0;
    loop {
        let result = demo.backend.create(wish).await;
        let over_soon = session.state().attempt.as_ref().is_some_and(|last| last.settled);
        match result {
            Err(BackendError::Refused { code, .. })
                if code == "already_pending" && over_soon && tries < GOODBYE_TRIES =>
            {
                tries += 1;
                tokio::time::sleep(GOODBYE_PAUSE).await;
            }
            result => return result,
        }
    }
}

/// How often, and how long apart, a number is asked for again while its last call says goodbye.
const GOODBYE_TRIES: u32 = 20;
const GOODBYE_PAUSE: Duration = Duration::from_millis(500);

/// Takes back what is still under way: a person has one enrolment at a time.
async fn give_up(demo: &Demo, session: &Session) {
    let open = session.state().attempt.clone().filter(|attempt| !attempt.settled);
    if let Some(attempt) = open
        && let Err(error) = demo.backend.cancel(attempt.verification).await
    {
        tracing::debug!(error = %error, "the demo could not take back a verification; it ends by its own time");
    }
}

/// How the attempt stands, by the API; a verified telephone becomes a sign-in method, once.
async fn look(demo: &Demo, session: &Session) -> Option<Result<(Attempt, Seen), BackendError>> {
    let attempt = session.state().attempt.clone()?;
    let seen = match demo.backend.read(attempt.verification).await {
        Ok(seen) => seen,
        Err(error) => return Some(Err(error)),
    };
    if seen.status != Status::Pending {
        settle(demo, session, &attempt, &seen);
    }
    Some(Ok((attempt, seen)))
}

fn settle(demo: &Demo, session: &Session, attempt: &Attempt, seen: &Seen) {
    let mut state = session.state();
    let Some(current) = state.attempt.as_mut().filter(|current| current.verification == attempt.verification) else {
        return;
    };
    if std::mem::replace(&mut current.settled, true) || seen.status != Status::Verified {
        return;
    }
    state.added += 1;
    let method = Method {
        name: state.added,
        kind: attempt.kind,
        masked: seen.to.clone(),
        country: attempt.country,
        extension: attempt.extension.clone(),
        added_at: demo.clock.now(),
    };
    state.methods.push(method);
    if state.methods.len() > MAX_METHODS {
        state.methods.remove(0);
    }
}

/// Steps 4 and 5: the call and its outcome.
pub(super) async fn attempt(State(demo): Shared, browser: Browser) -> Response {
    outcome::show(&demo, &browser, None).await
}

/// "Call again": the same verification while it is pending, else a new one of the same number.
pub(super) async fn again(State(demo): Shared, browser: Browser) -> Response {
    let Some(attempt) = browser.state().attempt.clone() else { return see("/demo/add") };
    let result = match demo.backend.redial(attempt.verification).await {
        Ok(_) => Ok(()),
        Err(BackendError::Refused { code, .. }) if code == "not_pending" => {
            let Ok(number) = phone::read(attempt.to.expose(), None) else { return see("/demo/add") };
            let ticket = demo.sessions.random();
            begin(&demo, &browser, Asked { kind: attempt.kind, number, extension: attempt.extension, ticket }).await
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => see("/demo/call"),
        Err(error) => outcome::show(&demo, &browser, Some(&error)).await,
    }
}

pub(super) async fn cancel(State(demo): Shared, browser: Browser) -> Response {
    give_up(&demo, &browser).await;
    let _seen = look(&demo, &browser).await;
    see("/")
}

pub(super) async fn other(State(demo): Shared, browser: Browser) -> Response {
    give_up(&demo, &browser).await;
    let _seen = look(&demo, &browser).await;
    let kind = browser.state().attempt.as_ref().map_or(Kind::Phone, |attempt| attempt.kind);
    see(match kind {
        Kind::Phone => "/demo/add/phone?method=phone",
        Kind::Office => "/demo/add/phone?method=office",
    })
}

pub(super) async fn support(State(demo): Shared, browser: Browser) -> Response {
    let reference = browser.state().attempt.as_ref().map(|attempt| attempt.verification.to_string());
    let page = Page::new(&demo, &browser, "support-title", "methods", "/demo/support");
    html(StatusCode::OK, &SupportPage { page, reference })
}

#[derive(Template)]
#[template(path = "demo/support.html")]
struct SupportPage {
    page: Page,
    reference: Option<String>,
}

/// The call log of this browser.
pub(super) async fn calls(State(demo): Shared, browser: Browser) -> Response {
    let page = Page::new(&demo, &browser, "calls-title", "calls", "/demo/calls");
    let (rows, problem) = match demo.backend.calls(&browser.reference).await {
        Ok(records) => {
            (records.iter().map(|record| outcome::CallRow::new(page.words, record, demo.clock.now())).collect(), None)
        }
        Err(error) => (Vec::new(), Some(outcome::problem(&demo, page.words, &error))),
    };
    html(StatusCode::OK, &CallsPage { page, rows, problem })
}

#[derive(Template)]
#[template(path = "demo/calls.html")]
struct CallsPage {
    page: Page,
    rows: Vec<outcome::CallRow>,
    problem: Option<String>,
}

/// A press on one of the switches.
#[derive(Deserialize)]
pub(super) struct Preferences {
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    theme: Option<String>,
    #[serde(default)]
    back: String,
}

pub(super) async fn preferences(browser: Browser, Form(wanted): Form<Preferences>) -> Response {
    let mut state = browser.state();
    if let Some(language) = &wanted.language {
        state.words = Words::of(language);
    }
    if let Some(theme) = wanted.theme.as_deref().and_then(Theme::of) {
        state.theme = theme;
    }
    drop(state);
    // Only places of our own: an address from outside would make this an open redirect.
    const PLACES: [&str; 6] = ["/", "/demo/add", "/demo/add/phone", "/demo/call", "/demo/support", "/demo/calls"];
    see(PLACES.into_iter().find(|place| *place == wanted.back).unwrap_or("/"))
}
