//! Owns the page of the outbox: results that wait, since when, and those that were given up, which can be sent again; and
//! what became of the result of one call.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use tracing::info;

use super::{
    Console, Shared,
    calls::away,
    row::ago,
    session::Visit,
    shell::{Place, Shell},
};
use crate::{
    gateway::{AUDIT_LOG, DeadLetter, Refusal, SeenCall, Waiting, WaitingResults},
    http::Scope,
    id::{EffectId, VerificationId},
    outcome::DeliveryOutcome,
    pages::html,
    texts,
    time::Timestamp,
};

/// Most results of each kind that are shown.
const MOST_SHOWN: usize = 100;

#[derive(Template)]
#[template(path = "console/outbox.html")]
struct OutboxPage {
    shell: Shell,
    /// What came of the form that was just sent.
    notice: Option<String>,
    problem: Option<String>,
    /// What it all means, in a sentence.
    meaning: String,
    calm: bool,
    waiting: Vec<WaitingRow>,
    waiting_count: String,
    oldest: Option<String>,
    dead: Vec<DeadRow>,
    dead_count: usize,
}

struct WaitingRow {
    call: String,
    verification: VerificationId,
    since: String,
    since_utc: String,
    attempts: u32,
    due: String,
}

struct DeadRow {
    id: EffectId,
    call: String,
    verification: VerificationId,
    given_up: String,
    given_up_utc: String,
    age: String,
    attempts: u32,
    why: String,
}

/// The page. The outbox is that of all clients: it needs the scope `admin`.
pub(super) async fn list(State(console): Shared, visit: Visit, uri: Uri) -> Response {
    if !visit.session.has(Scope::Admin) {
        return admin_only(&console, &visit, Place::Outbox);
    }
    let told = match uri.query() {
        Some("sent") => (Some("console-outbox-sent"), None),
        Some("gone") => (None, Some("console-outbox-gone")),
        Some(_) | None => (None, None),
    };
    let (Ok(waiting), Ok(dead)) = (console.gateway.waiting_results().await, console.gateway.dead_letters().await)
    else {
        return away(&console, &visit, Place::Outbox);
    };
    let say = |id: Option<&str>| id.map(|id| visit.words.t(id));
    html(StatusCode::OK, &OutboxPage::new(&console, &visit, &waiting, &dead, (say(told.0), say(told.1))))
}

/// The page that says that a place belongs to those who see all clients.
pub(super) fn admin_only(console: &Console, visit: &Visit, place: Place) -> Response {
    #[derive(Template)]
    #[template(path = "console/admin-only.html")]
    struct AdminOnlyPage {
        shell: Shell,
    }
    html(StatusCode::FORBIDDEN, &AdminOnlyPage { shell: Shell::new(console, visit, place.title(), place) })
}

/// Has a result delivered again.
pub(super) async fn send(State(console): Shared, visit: Visit, Path(id): Path<String>) -> Response {
    if !visit.session.has(Scope::Admin) {
        return admin_only(&console, &visit, Place::Outbox);
    }
    let Ok(id) = id.parse::<EffectId>() else { return console.see("/outbox?gone") };
    match console.gateway.revive(id).await {
        Ok(()) => {
            info!(target: AUDIT_LOG, client = %visit.session.subject, report.id = %id, "a dead letter is sent again from the console");
            console.see("/outbox?sent")
        }
        Err(Refusal::NotFound) => console.see("/outbox?gone"),
        // A form cannot be asked for again: the page it came from can.
        Err(_) => away(&console, &Visit { path: String::from("/outbox"), ..visit }, Place::Outbox),
    }
}

impl OutboxPage {
    fn new(
        console: &Console,
        visit: &Visit,
        waiting: &WaitingResults,
        dead: &[DeadLetter],
        (notice, problem): (Option<String>, Option<String>),
    ) -> Self {
        let words = visit.words;
        let now = console.clock.now();
        let oldest = waiting.items.iter().map(|waiting| waiting.effect.since).min();
        let late = waiting.items.iter().filter(|waiting| waiting.effect.attempts > 0).count();
        let meaning = match (dead.len(), late) {
            (0, 0) => words.t("console-outbox-calm"),
            (0, late) => words.with("console-outbox-late", "count", &late.to_string()),
            (dead, _) => words.with("console-outbox-dead", "count", &dead.to_string()),
        };
        let count = waiting.items.len().to_string();
        Self {
            shell: Shell::new(console, visit, "console-outbox", Place::Outbox),
            notice,
            problem,
            meaning,
            calm: dead.is_empty() && late == 0,
            waiting_count: if waiting.more { words.with("console-at-least", "count", &count) } else { count },
            oldest: oldest.map(|since| ago(words, since, now)),
            waiting: waiting
                .items
                .iter()
                .take(MOST_SHOWN)
                .map(|waiting| WaitingRow::new(visit, waiting, now))
                .collect(),
            dead_count: dead.len(),
            dead: dead.iter().take(MOST_SHOWN).map(|letter| DeadRow::new(visit, letter, now)).collect(),
        }
    }
}

impl WaitingRow {
    fn new(visit: &Visit, waiting: &Waiting, now: Timestamp) -> Self {
        let effect = &waiting.effect;
        Self {
            call: call_of(effect.id, effect.call),
            verification: effect.id.verification,
            since: visit.zone.moment(visit.words, effect.since, now),
            since_utc: effect.since.to_rfc3339(),
            attempts: effect.attempts,
            due: visit.zone.moment(visit.words, waiting.due, now),
        }
    }
}

impl DeadRow {
    fn new(visit: &Visit, letter: &DeadLetter, now: Timestamp) -> Self {
        Self {
            id: letter.effect.id,
            call: call_of(letter.effect.id, letter.effect.call),
            verification: letter.effect.id.verification,
            given_up: visit.zone.in_full(visit.words, letter.at),
            given_up_utc: letter.at.to_rfc3339(),
            age: ago(visit.words, letter.effect.since, now),
            attempts: letter.attempts(),
            why: letter.why.clone(),
        }
    }
}

fn call_of(id: EffectId, index: u8) -> String {
    crate::id::CallId { verification: id.verification, index }.to_string()
}

/// What became of the result of a verification.
pub(super) struct Delivery {
    /// In a sentence.
    pub(super) text: String,
    /// The drawing and the kind of its colour.
    pub(super) sign: &'static str,
    pub(super) kind: &'static str,
    /// Why the last attempt failed, where it was given up.
    pub(super) why: Option<String>,
    /// Whether the outbox holds it, for those who may see that.
    pub(super) in_outbox: bool,
}

/// What became of the result of the verification that a call belongs to: as its record notes it, and what the outbox knows
/// beyond that.
pub(super) async fn delivery(console: &Console, visit: &Visit, seen: &SeenCall) -> Delivery {
    let words = visit.words;
    let plain = |text| Delivery { text, sign: "clock", kind: "plain", why: None, in_outbox: false };
    if let Some(v) = &seen.verification {
        if v.request.callback_url.is_none() {
            return plain(words.t("console-delivery-none"));
        }
        if !v.is_final() {
            return plain(words.t("console-delivery-later"));
        }
    }
    let noted = seen.record.delivery.as_ref();
    let at = noted.map(|noted| visit.zone.in_full(words, noted.at)).unwrap_or_default();
    let attempts = noted.map_or(0, |noted| noted.attempts).to_string();
    let tell = |id: &str, slots: &[(&str, &str)]| texts::page(words.language, id, slots);
    if noted.is_some_and(|noted| noted.outcome == DeliveryOutcome::Delivered) {
        let text = tell("console-delivery-done", &[("at", &at), ("attempts", &attempts)]);
        return Delivery { sign: "check", kind: "good", ..plain(text) };
    }
    let id = seen.record.id.verification;
    let (Ok(waiting), Ok(dead)) = (console.gateway.waiting_results().await, console.gateway.dead_letters().await)
    else {
        return plain(words.t("console-delivery-unknown"));
    };
    let in_outbox = visit.session.has(Scope::Admin);
    if let Some(letter) = dead.iter().find(|letter| letter.effect.id.verification == id) {
        let text = words.with("console-delivery-dead", "at", &visit.zone.in_full(words, letter.at));
        return Delivery { sign: "warning", kind: "bad", why: Some(letter.why.clone()), in_outbox, ..plain(text) };
    }
    let due = waiting.items.iter().find(|waiting| waiting.effect.id.verification == id);
    match (noted.map(|noted| (noted.outcome, noted.status)), due) {
        (Some((DeliveryOutcome::Waiting, status)), due) => {
            let answer = match status {
                Some(status) => words.with("console-delivery-answered", "status", &status.to_string()),
                None => words.t("console-delivery-unanswered"),
            };
            let due = due.map_or_else(|| words.t("console-delivery-soon"), |due| visit.zone.in_full(words, due.due));
            let slots = [("attempts", attempts.as_str()), ("answer", &answer), ("due", &due)];
            Delivery { in_outbox, ..plain(tell("console-delivery-waiting", &slots)) }
        }
        (Some((DeliveryOutcome::GivenUp, _)), Some(_)) => {
            Delivery { in_outbox, ..plain(words.t("console-delivery-again")) }
        }
        (Some((DeliveryOutcome::GivenUp, _)), None) => {
            Delivery { sign: "warning", kind: "bad", ..plain(words.with("console-delivery-lost", "at", &at)) }
        }
        (None, Some(_)) => plain(words.t("console-delivery-now")),
        (None | Some((DeliveryOutcome::Delivered, _)), _) => plain(words.t("console-delivery-unknown")),
    }
}
