//! Owns what a person is told about a call: its stages, its outcome, what to do next, and what a refusal of the API
//! means.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::look;
use crate::{
    demo::{
        Demo,
        backend::{BackendError, Seen, SeenRecord},
        html,
        page::{Page, shown_to},
        see,
        session::{Attempt, Session},
    },
    outcome::{Reason, Stage, Status},
    pages::Words,
    phone::E164,
    texts,
    time::Timestamp,
};

/// Pause before a busy line is worth another call, in seconds.
const BUSY_PAUSE_S: u32 = 60;

/// What to do after a failure: the page's first button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Again,
    AgainLater,
    Change,
    Support,
}

/// The page of the attempt as it stands. `refused` is why something that was just asked for was not done.
pub(super) async fn show(demo: &Demo, session: &Session, refused: Option<&BackendError>) -> Response {
    let words = session.state().words;
    match look(demo, session).await {
        None => see("/"),
        Some(Ok((attempt, seen))) => {
            let problem = refused.map(|error| problem(demo, words, error));
            match seen.status {
                Status::Pending => calling(demo, session, &attempt, &seen, problem),
                Status::Verified => done(demo, session, &seen),
                Status::Failed | Status::Denied | Status::Expired | Status::Canceled => {
                    failed(demo, session, &attempt, &seen, problem)
                }
            }
        }
        // Forgotten by the API: nothing can be said about it any more.
        Some(Err(BackendError::Refused { code, .. })) if code == "not_found" => {
            session.state().attempt = None;
            see("/")
        }
        Some(Err(error)) => {
            let page = Page::new(demo, session, "error-title", "methods", "/demo/call");
            let lead = problem(demo, words, &error);
            html(StatusCode::BAD_GATEWAY, &WrongPage { title: page.t("error-title"), lead, page })
        }
    }
}

#[derive(Template)]
#[template(path = "demo/wrong.html")]
struct WrongPage {
    page: Page,
    title: String,
    lead: String,
}

#[derive(Template)]
#[template(path = "demo/calling.html")]
struct CallingPage {
    page: Page,
    say: String,
    stage: Stage,
    number: String,
    caller_id: String,
    ring_timeout: String,
    again_in: u64,
    again_hint: String,
    problem: Option<String>,
}

fn calling(demo: &Demo, session: &Session, attempt: &Attempt, seen: &Seen, problem: Option<String>) -> Response {
    let mut page = Page::new(demo, session, "calling-title", "methods", "/demo/call");
    page.reloads = true;
    let words = page.words;
    let began = seen.calls.last().map_or(seen.created_at, |call| call.started_at);
    let again_in = seconds_until(began, seen.redial_after, demo.clock.now());
    let again_hint = if again_in == 0 {
        words.t("calling-again-now")
    } else {
        words.with("calling-again-after", "seconds", &again_in.to_string())
    };
    let page = CallingPage {
        say: words.t(&format!("say-{}", seen.stage)),
        stage: seen.stage,
        number: attempt.to.format_international(),
        caller_id: caller_id(seen, &attempt.to),
        ring_timeout: words.with("calling-how-long", "seconds", &demo.ring_timeout_s.to_string()),
        again_in,
        again_hint,
        problem,
        page,
    };
    html(StatusCode::OK, &page)
}

/// Whole seconds until so long after `from`, rounded up.
fn seconds_until(from: Timestamp, after_s: u32, now: Timestamp) -> u64 {
    let due = from.plus(std::time::Duration::from_secs(after_s.into()));
    u64::try_from(due.since(now).as_millis().div_ceil(1000)).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "demo/done.html")]
struct DonePage {
    page: Page,
    lead: String,
}

fn done(demo: &Demo, session: &Session, seen: &Seen) -> Response {
    let page = Page::new(demo, session, "done-title", "methods", "/demo/call");
    html(StatusCode::OK, &DonePage { lead: page.words.with("done-lead", "number", &seen.to), page })
}

#[derive(Template)]
#[template(path = "demo/failed.html")]
struct FailedPage {
    page: Page,
    reason: &'static str,
    sign: &'static str,
    message: String,
    hint: Option<String>,
    number: String,
    caller_id: String,
    problem: Option<String>,
    next: Next,
    other: Option<String>,
    kind: &'static str,
    again_in: u32,
}

fn failed(demo: &Demo, session: &Session, attempt: &Attempt, seen: &Seen, problem: Option<String>) -> Response {
    let page = Page::new(demo, session, "failed-title", "methods", "/demo/call");
    let words = page.words;
    let reason = seen.reason.unwrap_or(Reason::CarrierError);
    let next = next(reason);
    let other = match next {
        Next::Again | Next::AgainLater => Some(words.t("calling-other")),
        Next::Change | Next::Support => None,
    };
    let page = FailedPage {
        reason: reason.as_str(),
        sign: sign(seen.status, reason),
        message: texts::reason(words.language, reason),
        hint: hint(words, reason),
        number: attempt.to.format_international(),
        caller_id: caller_id(seen, &attempt.to),
        problem,
        next,
        other,
        kind: attempt.kind.as_str(),
        again_in: BUSY_PAUSE_S,
        page,
    };
    html(StatusCode::OK, &page)
}

/// The first button after each reason.
const fn next(reason: Reason) -> Next {
    match reason {
        Reason::Busy => Next::AgainLater,
        Reason::Unreachable | Reason::InvalidNumber => Next::Change,
        Reason::Blocked | Reason::CalleeDenied | Reason::FraudReported => Next::Support,
        Reason::NoAnswer
        | Reason::Rejected
        | Reason::Voicemail
        | Reason::Screened
        | Reason::HungUpBeforePrompt
        | Reason::HungUpAfterPrompt
        | Reason::NoInput
        | Reason::NoTerminator
        | Reason::WrongInput
        | Reason::WrongCode
        | Reason::CarrierError
        | Reason::NotAnsweredInTime
        | Reason::NotConfirmedInTime
        | Reason::ByClient => Next::Again,
    }
}

/// One more sentence where the reason alone does not tell what to do.
fn hint(words: Words, reason: Reason) -> Option<String> {
    match reason {
        Reason::Busy => Some(words.t("again-hint-busy")),
        Reason::NoAnswer
        | Reason::Rejected
        | Reason::Screened
        | Reason::HungUpBeforePrompt
        | Reason::HungUpAfterPrompt
        | Reason::NoInput
        | Reason::NoTerminator
        | Reason::WrongInput
        | Reason::WrongCode
        | Reason::NotAnsweredInTime
        | Reason::NotConfirmedInTime
        | Reason::ByClient => Some(words.t("answer-hint")),
        Reason::Voicemail
        | Reason::Unreachable
        | Reason::InvalidNumber
        | Reason::CarrierError
        | Reason::Blocked
        | Reason::CalleeDenied
        | Reason::FraudReported => None,
    }
}

/// The drawing of an outcome: shape and word tell it, not colour alone.
const fn sign(status: Status, reason: Reason) -> &'static str {
    match (status, reason) {
        (_, Reason::FraudReported | Reason::CalleeDenied | Reason::Blocked) => "shield-off",
        (Status::Verified, _) => "check",
        (Status::Expired, _) | (_, Reason::NoAnswer | Reason::Busy) => "clock",
        (Status::Pending | Status::Failed | Status::Denied | Status::Canceled, _) => "warning",
    }
}

/// The number that the call comes from, as the callee's telephone shows it.
fn caller_id(seen: &Seen, to: &E164) -> String {
    let number: Option<E164> = seen.caller_id.as_ref().and_then(|number| number.parse().ok());
    number.map(|number| shown_to(&number, Some(to))).unwrap_or_default()
}

/// What a refusal of the API means to the person at the page.
pub(super) fn problem(demo: &Demo, words: Words, error: &BackendError) -> String {
    let BackendError::Refused { code, retry_after } = error else {
        tracing::warn!(error = %error, "the demo's backend got no answer of the API");
        return words.t("problem-away");
    };
    match (code.as_str(), retry_after) {
        ("too_many" | "number_busy", Some(seconds)) => {
            let at = demo.clock.now().plus(std::time::Duration::from_secs((*seconds).into()));
            words.with("problem-limit", "time", &words.time(at))
        }
        ("too_many" | "number_busy" | "already_pending" | "idempotency_in_progress", _) => {
            words.t("problem-already_pending")
        }
        ("not_now", _) => words.t("problem-not-now"),
        ("no_calls_left", _) => words.t("problem-no-calls"),
        ("country_not_allowed", _) => words.t("problem-country"),
        ("number_type_not_allowed", _) => words.t("problem-number-type"),
        ("invalid_number", _) => words.t("number-not_valid"),
        ("not_callable", _) => words.t("number-short_code"),
        ("not_found" | "not_pending", _) => words.t("problem-session"),
        _ => words.t("problem-away"),
    }
}

/// One line of the call log.
pub(super) struct CallRow {
    pub(super) time: String,
    pub(super) number: String,
    pub(super) status: Status,
    pub(super) sign: &'static str,
    pub(super) result: String,
    pub(super) rang: String,
    pub(super) talked: String,
}

impl CallRow {
    pub(super) fn new(words: Words, record: &SeenRecord, now: Timestamp) -> Self {
        let seconds = |from: Timestamp, to: Timestamp| {
            let seconds = to.since(from).as_millis().div_ceil(1000);
            words.with("seconds", "seconds", &seconds.to_string())
        };
        let until = record.answered_at.unwrap_or(record.ended_at);
        let result = match record.reason {
            Some(reason) if record.status != Status::Verified => texts::reason(words.language, reason),
            Some(_) | None => words.t(&format!("result-{}", record.status)),
        };
        Self {
            time: words.moment(record.started_at, now),
            number: record.to.clone(),
            status: record.status,
            sign: match record.status {
                Status::Verified => "check",
                Status::Pending => "clock",
                Status::Failed | Status::Denied | Status::Expired | Status::Canceled => "cross",
            },
            result,
            rang: record.ringing_at.map(|at| seconds(at, until)).unwrap_or_default(),
            talked: record.answered_at.map(|at| seconds(at, record.ended_at)).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_next_step_and_a_sign() {
        for reason in Reason::ALL {
            assert!(!crate::pages::icon(sign(reason.status(), *reason)).is_empty(), "{reason}");
            let support = next(*reason) == Next::Support;
            assert_eq!(support, reason.next_step() == crate::outcome::NextStep::ContactSupport, "{reason}");
        }
    }

    #[test]
    fn waiting_is_counted_in_whole_seconds() {
        let at = Timestamp::from_ms;
        assert_eq!(seconds_until(at(10_000), 30, at(10_001)), 30);
        assert_eq!(seconds_until(at(10_000), 30, at(39_999)), 1);
        assert_eq!(seconds_until(at(10_000), 30, at(40_000)), 0);
        assert_eq!(seconds_until(at(10_000), 30, at(90_000)), 0);
    }
}
