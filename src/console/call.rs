//! Owns the page of one call: the answer on top, what to do next, the ladder, the facts, where its result went; kept up to
//! date while the call is up.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use super::{
    Console, Shared,
    calls::away,
    ladder::{self, Step},
    live,
    outbox::{self, Delivery},
    row::{Mark, side},
    said::{Said, said},
    session::Visit,
    shell::{Place, Shell},
};
use crate::{
    gateway::{CallRecordDocument, Refusal, SeenCall, Watch},
    id::CallId,
    outcome::{Fault, Stage},
    pages::html,
    time::Timestamp,
};

/// How often a page looks again by itself.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long a page is kept up to date after the call: its result is delivered meanwhile, or put off for longer.
const AFTER_THE_CALL: Duration = Duration::from_secs(60);

#[derive(Template)]
#[template(path = "console/call.html")]
struct CallPage {
    shell: Shell,
    body: Body,
    /// Nothing more will come: the page need not be kept up to date.
    still: bool,
    said: Option<Said>,
}

/// What can change while the page is looked at.
#[derive(Template)]
#[template(path = "console/call-body.html")]
struct Body {
    shell: Shell,
    id: CallId,
    alive: bool,
    number: String,
    mark: Mark,
    /// The answer in a sentence or two.
    answer: String,
    next_step: Option<Vec<Piece>>,
    /// Whether how the carriers are now may say more, to whoever may see that.
    asks_health: bool,
    parties: [String; 4],
    steps: Vec<Step>,
    facts: Vec<Fact>,
    delivery: Delivery,
}

/// A part of a text: in words, or a word of a program.
struct Piece {
    text: String,
    code: bool,
}

/// The parts of a text whose words of programs stand between back-ticks.
fn pieces(text: &str) -> Vec<Piece> {
    let parts = text.split('`').zip([false, true].into_iter().cycle());
    parts.map(|(text, code)| Piece { text: text.to_owned(), code }).filter(|piece| !piece.text.is_empty()).collect()
}

/// Something that is known, under its name.
struct Fact {
    name: String,
    value: String,
    /// A word of a program: an id, a code.
    code: bool,
}

/// The page.
pub(super) async fn show(State(console): Shared, visit: Visit, Path(id): Path<String>) -> Response {
    let seen = match seen(&console, &visit, &id).await {
        Ok(seen) => seen,
        Err(Refusal::NotFound) => return missing(&console, &visit),
        Err(_) => return away(&console, &visit, Place::Calls),
    };
    let body = Body::new(&console, &visit, &seen).await;
    let mut shell = Shell::new(&console, &visit, "console-call", Place::Calls);
    shell.title = format!("{} {}", shell.title, body.number);
    shell.reloads = seen.alive;
    let still = !seen.alive && is_old(&console, &seen);
    html(StatusCode::OK, &CallPage { shell, body, still, said: said(&console, &visit, &seen).await })
}

/// The call of a path, if whoever looks may see it.
async fn seen(console: &Console, visit: &Visit, id: &str) -> Result<SeenCall, Refusal> {
    let id = id.parse::<CallId>().map_err(|_| Refusal::NotFound)?;
    let seen = console.gateway.seen_call(id).await?;
    if visit.session.sees(&seen.record.client) { Ok(seen) } else { Err(Refusal::NotFound) }
}

fn missing(console: &Console, visit: &Visit) -> Response {
    #[derive(Template)]
    #[template(path = "console/missing.html")]
    struct MissingPage {
        shell: Shell,
    }
    html(
        StatusCode::NOT_FOUND,
        &MissingPage { shell: Shell::new(console, visit, "console-missing-title", Place::Calls) },
    )
}

/// The page again, whenever it changes, until a while after the call.
pub(super) async fn events(State(console): Shared, visit: Visit, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<CallId>() else { return StatusCode::NOT_FOUND.into_response() };
    let Some(place) = console.live.place() else { return live::no_place() };
    // Before the first look, so that nothing falls between the two.
    let Ok(watch) = console.gateway.watch(id.verification).await else { return live::no_place() };
    match seen(&console, &visit, &id.to_string()).await {
        // A browser that is told so does not come back.
        Ok(seen) if !seen.alive && is_old(&console, &seen) => return StatusCode::NO_CONTENT.into_response(),
        Ok(_) => {}
        Err(_) => return StatusCode::NOT_FOUND.into_response(),
    }
    let session = visit.session.clone();
    let call = Followed { console: Arc::clone(&console), visit, id, watch, over: false };
    live::keep_up_to_date(console, &session, place, call)
}

fn is_old(console: &Console, seen: &SeenCall) -> bool {
    console.clock.now().since(seen.record.ended_at) > AFTER_THE_CALL
}

/// The call that is kept up to date.
struct Followed {
    console: Arc<Console>,
    visit: Visit,
    id: CallId,
    watch: Watch,
    over: bool,
}

impl live::Part for Followed {
    async fn now(&mut self) -> Option<String> {
        let seen = seen(&self.console, &self.visit, &self.id.to_string()).await.ok()?;
        self.over = !seen.alive && is_old(&self.console, &seen);
        Body::new(&self.console, &self.visit, &seen).await.render().ok()
    }

    async fn changed(&mut self) -> bool {
        // When nothing was said for a while it is looked all the same: other things change too.
        !self.over && timeout(LOOK_AGAIN, self.watch.changed()).await.unwrap_or(true)
    }
}

impl Body {
    async fn new(console: &Console, visit: &Visit, seen: &SeenCall) -> Self {
        let words = visit.words;
        let document = console.gateway.record_document(&seen.record, words.language);
        let stage = stage(seen);
        let parties = ladder::parties(words, &document.carrier);
        let (mark, answer, next_step) = match stage {
            Some(stage) => {
                let answer = words.with(&format!("console-now-{stage}"), "carrier", &document.carrier);
                (Mark::of_stage(words, stage), answer, None)
            }
            None => (Mark::of_result(words, &seen.record), document.summary.clone(), document.next_step.clone()),
        };
        Self {
            shell: Shell::new(console, visit, "console-call", Place::Calls),
            id: seen.record.id,
            alive: seen.alive,
            number: document.to.clone(),
            mark,
            answer,
            next_step: next_step.map(|text| pieces(&text)),
            asks_health: visit.session.client.is_none()
                && document.fault.is_some_and(|fault| matches!(fault, Fault::Carrier | Fault::Us)),
            steps: ladder::steps(visit, &parties, &document.timeline),
            parties,
            facts: facts(visit, &document, seen.alive),
            delivery: outbox::delivery(console, visit, seen).await,
        }
    }
}

/// How far a call is that is up.
fn stage(seen: &SeenCall) -> Option<Stage> {
    let v = seen.verification.as_ref().filter(|_| seen.alive)?;
    v.calls.get(usize::from(seen.record.id.index)).map(|call| call.stage())
}

/// What else is known, each under its name.
fn facts(visit: &Visit, call: &CallRecordDocument, alive: bool) -> Vec<Fact> {
    let words = visit.words;
    let at = |at: Timestamp| visit.zone.in_full(words, at);
    let country = call.country.parse().map_or_else(|_| call.country.clone(), |code| words.country(code));
    let side = call.fault.and_then(|fault| side(words, fault));
    let word = |id: String| Some(words.t(&id));
    let all = [
        ("to", Some(format!("{} ({country})", call.to)), false),
        ("from", call.caller_id.clone(), false),
        ("client", Some(call.client.clone()), false),
        ("reference", call.reference.clone(), false),
        ("carrier", Some(call.carrier.clone()), false),
        ("started", Some(at(call.started_at)), false),
        ("ended", (!alive).then(|| at(call.ended_at)), false),
        ("side", side.filter(|_| !alive && call.reason.is_some()), false),
        ("end", call.end.filter(|_| !alive).map(str::to_owned), true),
        ("sip-status", call.sip_status.map(|status| status.to_string()), true),
        ("carrier-code", call.carrier_code.clone(), true),
        ("q850", call.q850_cause.map(|cause| cause.to_string()), true),
        ("answered-by", call.answered_by.and_then(|by| word(format!("console-answered-by-{by}"))), false),
        ("mode", word(format!("console-mode-{}", call.mode)), false),
        ("flow", Some(format!("{} · {}", call.flow, call.locale)), false),
        ("prompts", Some(call.prompts.to_string()), false),
        ("price", call.price.as_ref().map(|price| joined(price, call.price_currency.as_deref())), false),
        ("verification", Some(call.verification.to_string()), true),
        ("call-id", Some(call.id.to_string()), true),
        ("carrier-call-id", call.carrier_call_id.clone(), true),
    ];
    let known =
        all.into_iter().filter_map(|(name, value, code)| Some((name, value.filter(|value| !value.is_empty())?, code)));
    known.map(|(name, value, code)| Fact { name: words.t(&format!("console-fact-{name}")), value, code }).collect()
}

/// A price as the carrier told it, with its currency where that was told.
fn joined(price: &str, currency: Option<&str>) -> String {
    currency.map_or_else(|| price.to_owned(), |currency| format!("{price} {currency}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts;

    #[test]
    fn a_price_is_told_as_the_carrier_told_it() {
        assert_eq!((joined("-0.0130", Some("USD")), joined("3", None)), ("-0.0130 USD".into(), "3".into()));
    }

    #[test]
    fn words_of_programs_are_told_apart() {
        let told: Vec<_> = pieces("run `ringproof doctor`, then `x`").into_iter().map(|p| (p.text, p.code)).collect();
        let wanted = [("run ", false), ("ringproof doctor", true), (", then ", false), ("x", true)];
        assert_eq!(told, wanted.map(|(text, code)| (text.to_owned(), code)));
    }

    #[test]
    fn every_stage_has_a_sentence_in_each_language() {
        for language in texts::page_languages() {
            for stage in Stage::ALL {
                let id = format!("console-now-{stage}");
                assert_ne!(texts::page(language, &id, &[("carrier", "main")]), id, "{language}");
            }
        }
    }
}
