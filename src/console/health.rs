//! Owns the page of health: what somebody should do now, the carriers, the store, limits, the outbox, refused webhooks. It knows what
//! readiness knows, and probes nothing itself.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};

use super::{
    Console, Shared, charts,
    filters::Filters,
    limits::LimitsCard,
    outbox::admin_only,
    row::ago,
    session::Visit,
    shell::{Place, Shell},
};
use crate::{
    gateway::{
        Advice, CarrierCondition, CarrierState, Condition, Limits, OutboxCondition, Queue, ReadinessCheck, Trouble,
    },
    http::Scope,
    outcome::Reason,
    pages::{Words, html},
    texts,
};

/// Where the pages are that say what to do.
const MANUAL: &str = "https://github.com/ringproof/ringproof/blob/main/docs";

/// What stands where there is nothing to say.
const NOTHING: &str = "–";

/// The routes of the page.
pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/health", get(health))
}

#[derive(Template)]
#[template(path = "console/health.html")]
struct HealthPage {
    shell: Shell,
    updated: String,
    meaning: String,
    calm: bool,
    /// What to do, the most pressing first.
    steps: Vec<Step>,
    ready: bool,
    checks: Vec<CheckRow>,
    carriers: Vec<CarrierRow>,
    limits: LimitsCard,
    outbox: Vec<(String, String)>,
    refused: Vec<RefusedRow>,
}

/// What somebody should do.
struct Step {
    text: String,
    /// The page of the manual, and its address.
    page: String,
    manual: String,
    /// Where in the console one sees it: path and label.
    place: Option<(String, String)>,
}

struct CheckRow {
    name: String,
    detail: String,
    kind: &'static str,
    sign: &'static str,
    word: String,
}

struct CarrierRow {
    name: String,
    state: String,
    kind: &'static str,
    sign: &'static str,
    /// How many calls in a row it did not take, where it did not take the last one.
    failures: Option<String>,
    detail: String,
    probed: String,
    errors: String,
    waiting: String,
    pace: String,
}

struct RefusedRow {
    carrier: String,
    cause: &'static str,
    count: u64,
    last: String,
}

/// The page. What it shows belongs to all clients: it needs the scope `admin`.
async fn health(State(console): Shared, visit: Visit) -> Response {
    if !visit.session.has(Scope::Admin) {
        return admin_only(&console, &visit, Place::Health);
    }
    let (condition, limits) = tokio::join!(console.gateway.condition(), console.gateway.limits());
    html(StatusCode::OK, &HealthPage::new(&console, &visit, &condition, limits.ok().as_ref()))
}

impl HealthPage {
    fn new(console: &Console, visit: &Visit, condition: &Condition, limits: Option<&Limits>) -> Self {
        let words = visit.words;
        let steps: Vec<_> = condition.advice.iter().map(|advice| Step::new(words, advice)).collect();
        let meaning = match steps.len() {
            0 => words.t("health-calm"),
            count => words.with("health-troubles", "count", &count.to_string()),
        };
        let refused = condition.refused.iter().map(|refused| RefusedRow {
            carrier: refused.carrier.clone(),
            cause: refused.cause,
            count: refused.count,
            last: visit.zone.moment(words, refused.last_at, condition.at),
        });
        Self {
            shell: Shell::new(console, visit, "health-title", Place::Health),
            updated: visit.zone.second(condition.at),
            meaning,
            calm: steps.is_empty(),
            steps,
            ready: condition.readiness.ready,
            checks: condition
                .readiness
                .checks
                .iter()
                .map(|check| CheckRow::new(words, check, &condition.advice))
                .collect(),
            carriers: condition.carriers.iter().map(|of| CarrierRow::new(visit, of, condition)).collect(),
            limits: LimitsCard::new(console, visit, limits, condition.at),
            outbox: outbox(words, &condition.outbox, condition),
            refused: refused.collect(),
        }
    }
}

fn outbox(words: Words, outbox: &OutboxCondition, condition: &Condition) -> Vec<(String, String)> {
    let oldest = Some(outbox.oldest).filter(|_| outbox.put_off > 0);
    let oldest = oldest.map(|oldest| ago(words, condition.at.minus(oldest), condition.at));
    let fact = |id: &str, value: Option<String>| (words.t(id), value.unwrap_or_else(|| NOTHING.to_owned()));
    vec![
        fact("health-reports", Some(of_room(words, outbox.reports))),
        fact("health-put-off", Some(outbox.put_off.to_string())),
        fact("health-oldest", oldest),
        fact("health-dead", outbox.dead.map(|dead| dead.to_string())),
    ]
}

impl Step {
    fn new(words: Words, advice: &Advice) -> Self {
        let id = format!("health-do-{}", advice.trouble.as_str());
        let page = advice.trouble.runbook().map_or_else(|| String::from("store"), |page| format!("runbooks/{page}"));
        Self {
            text: texts::page(words.language, &id, &[("about", &advice.about)]),
            manual: format!("{MANUAL}/{page}.md"),
            page: page.rsplit('/').next().unwrap_or_default().to_owned(),
            place: place(words, advice),
        }
    }
}

/// Where in the console one sees what is wrong.
fn place(words: Words, advice: &Advice) -> Option<(String, String)> {
    match advice.trouble {
        Trouble::CarrierErrors | Trouble::CarrierRests | Trouble::CarrierRefused | Trouble::CarrierAway => {
            let (carrier, reason) = (advice.about.clone(), Reason::CarrierError.to_string());
            let calls = Filters { carrier, reason, ..Filters::default() };
            Some((format!("/calls?{}", calls.query()), words.t("health-see-calls")))
        }
        Trouble::ResultsLate | Trouble::DeadLetters => Some((String::from("/outbox"), words.t("health-see-outbox"))),
        Trouble::StoreAway
        | Trouble::NoCarrier
        | Trouble::ClockApart
        | Trouble::QueueFull
        | Trouble::WebhooksRefused
        | Trouble::StoreSetUp => None,
    }
}

fn of_room(words: Words, queue: Queue) -> String {
    let (waiting, room) = (queue.waiting.to_string(), queue.room.to_string());
    texts::page(words.language, "health-of", &[("waiting", &waiting), ("room", &room)])
}

impl CheckRow {
    fn new(words: Words, check: &ReadinessCheck, advice: &[Advice]) -> Self {
        let is_risky = check.name == "store" && advice.iter().any(|advice| advice.trouble == Trouble::StoreSetUp);
        let (kind, sign, word) = match (check.ok, is_risky) {
            (true, false) => ("good", "check", "health-ok"),
            (true, true) => ("bad", "warning", "health-risky"),
            (false, _) => ("bad", "warning", "health-bad"),
        };
        let name = words.t(&format!("health-check-{}", check.name));
        Self { name, detail: check.detail.clone(), kind, sign, word: words.t(word) }
    }
}

/// The text, the kind for the colour and the drawing of how a carrier is.
const fn shape(state: CarrierState) -> (&'static str, &'static str, &'static str) {
    match state {
        CarrierState::Usable => ("health-usable", "good", "check"),
        CarrierState::Resting => ("health-resting", "bad", "clock"),
        CarrierState::Refused => ("health-refused", "bad", "shield-off"),
        CarrierState::Away => ("health-away", "bad", "cross"),
    }
}

impl CarrierRow {
    fn new(visit: &Visit, of: &CarrierCondition, condition: &Condition) -> Self {
        let words = visit.words;
        let (state, kind, sign) = shape(of.state);
        let until = of.rests_until.filter(|_| of.state == CarrierState::Resting);
        let moment = |at| visit.zone.moment(words, at, condition.at);
        Self {
            name: of.name.clone(),
            state: until.map_or_else(|| words.t(state), |until| words.with("health-rests-until", "at", &moment(until))),
            kind,
            sign,
            failures: (of.failures_in_row > 0)
                .then(|| words.with("health-failures", "count", &of.failures_in_row.to_string())),
            detail: of.detail.clone(),
            probed: of.probed_at.map_or_else(|| NOTHING.to_owned(), moment),
            errors: errors(words, of).unwrap_or_else(|| NOTHING.to_owned()),
            waiting: of_room(words, of.waiting),
            pace: of.calls_per_second.map_or_else(
                || words.t("health-no-limit"),
                |pace| words.with("health-per-second", "count", &pace.to_string()),
            ),
        }
    }
}

/// The share of errors and of how many; none of nothing.
fn errors(words: Words, of: &CarrierCondition) -> Option<String> {
    let share = charts::percent_of(Some(of.error_share()?)).to_string();
    let (errors, all) = (of.errors.to_string(), of.attempts.to_string());
    Some(texts::page(words.language, "health-errors-of", &[("share", &share), ("errors", &errors), ("all", &all)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gateway::CarrierState::{Away, Refused, Resting, Usable},
        pages,
    };

    #[test]
    fn every_trouble_and_state_is_told_in_every_language() {
        for language in texts::page_languages() {
            let words = Words { language };
            for trouble in Trouble::ALL {
                let step = Step::new(words, &Advice { trouble, about: String::from("main") });
                assert!(!step.text.starts_with("health-"), "{language} {trouble:?}");
                assert!(step.place.is_none_or(|(_, label)| !label.starts_with("health-")), "{language} {trouble:?}");
            }
            for state in [Usable, Resting, Refused, Away] {
                let (id, _, sign) = shape(state);
                assert!(words.t(id) != id && !pages::icon(sign).is_empty(), "{language} {state:?}");
            }
            for check in ["store", "clock", "carriers", "draining"] {
                let row = CheckRow::new(words, &ReadinessCheck { name: check, ok: true, detail: String::new() }, &[]);
                assert!(!row.name.starts_with("health-"), "{language} {check}");
            }
        }
    }

    #[test]
    fn a_step_leads_to_where_it_is_seen_and_to_the_manual() {
        let step = |trouble| Step::new(Words { language: "en" }, &Advice { trouble, about: String::from("a&b") });
        let errors = step(Trouble::CarrierErrors);
        assert_eq!(errors.place.unwrap().0, "/calls?reason=carrier_error&carrier=a%26b");
        assert_eq!(errors.manual, format!("{MANUAL}/runbooks/RingproofCarrierErrors.md"));
        assert_eq!(step(Trouble::StoreSetUp).manual, format!("{MANUAL}/store.md"));
        assert_eq!(step(Trouble::DeadLetters).place.unwrap().0, "/outbox");
    }
}
