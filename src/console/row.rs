//! Owns a line of the list of calls, and the words and shapes in which the result of a call is told everywhere.

use std::time::Duration;

use super::{Console, session::Visit};
use crate::{
    id::CallId,
    outcome::{DeliveryOutcome, Fault, Reason, Stage, Status},
    pages::Words,
    texts,
    time::Timestamp,
    verification::CallRecord,
};

/// What came of a call, or how far it is: a word, a shape and a kind for the colour.
pub(super) struct Mark {
    pub(super) word: String,
    /// The name of the drawing.
    pub(super) sign: &'static str,
    /// `good`, `bad`, `busy` (under way) or `plain`.
    pub(super) kind: &'static str,
}

impl Mark {
    /// Of a call that is up.
    pub(super) fn of_stage(words: Words, stage: Stage) -> Self {
        Self { word: words.t(&format!("console-stage-{stage}")), sign: "phone", kind: "busy" }
    }

    /// Of a call that is over.
    pub(super) fn of_result(words: Words, record: &CallRecord) -> Self {
        let (sign, kind) = shape(record.status, record.reason);
        let id = match record.reason {
            Some(reason) => format!("found-{reason}"),
            None if record.status == Status::Verified => {
                return Self { word: words.t("result-verified"), sign, kind };
            }
            None => String::from("found-nothing"),
        };
        let word = texts::call(words.language, &id, &[]);
        Self { word: word.trim_end_matches(['.', '。']).to_owned(), sign, kind }
    }
}

/// The drawing of a result and the kind of its colour.
const fn shape(status: Status, reason: Option<Reason>) -> (&'static str, &'static str) {
    match (status, reason) {
        (Status::Verified, None) => ("check", "good"),
        (_, Some(Reason::FraudReported | Reason::CalleeDenied | Reason::Blocked)) => ("shield-off", "bad"),
        (_, Some(Reason::CarrierError | Reason::Unreachable | Reason::InvalidNumber)) => ("warning", "bad"),
        (_, Some(Reason::NoAnswer | Reason::Busy | Reason::NotAnsweredInTime | Reason::NotConfirmedInTime)) => {
            ("clock", "plain")
        }
        (
            _,
            Some(
                Reason::Rejected
                | Reason::Voicemail
                | Reason::Screened
                | Reason::HungUpBeforePrompt
                | Reason::HungUpAfterPrompt
                | Reason::NoInput
                | Reason::NoTerminator
                | Reason::WrongInput
                | Reason::WrongCode
                | Reason::ByClient,
            ),
        )
        | (Status::Pending | Status::Failed | Status::Denied | Status::Expired | Status::Canceled, None) => {
            ("cross", "plain")
        }
    }
}

/// A line.
pub(super) struct Row {
    pub(super) id: CallId,
    pub(super) at: String,
    pub(super) at_in_full: String,
    pub(super) at_utc: String,
    pub(super) number: String,
    pub(super) country: String,
    pub(super) country_name: String,
    pub(super) client: String,
    pub(super) reference: String,
    pub(super) carrier: String,
    pub(super) mark: Mark,
    pub(super) fault: Option<String>,
    /// That its result did not reach the backend.
    pub(super) undelivered: Option<String>,
    pub(super) took: String,
}

impl Row {
    /// The line of a call: of one that is up where its stage is given.
    pub(super) fn new(console: &Console, visit: &Visit, record: &CallRecord, stage: Option<Stage>) -> Self {
        let words = visit.words;
        let mark = match stage {
            Some(stage) => Mark::of_stage(words, stage),
            None => Mark::of_result(words, record),
        };
        let fault = record.cause.as_ref().map(|cause| cause.fault);
        Self {
            id: record.id,
            at: visit.zone.moment(words, record.queued_at, console.clock.now()),
            at_in_full: visit.zone.in_full(words, record.queued_at),
            at_utc: record.queued_at.to_rfc3339(),
            number: record.to_masked.clone(),
            country: record.country.to_string(),
            country_name: words.country(record.country),
            client: record.client.clone(),
            reference: record.reference.clone().unwrap_or_default(),
            carrier: record.carrier.clone(),
            fault: fault.filter(|_| stage.is_none() && record.reason.is_some()).and_then(|of| side(words, of)),
            undelivered: record.delivery.as_ref().and_then(|delivery| match delivery.outcome {
                DeliveryOutcome::GivenUp => Some(words.t("console-not-delivered")),
                DeliveryOutcome::Delivered | DeliveryOutcome::Waiting => None,
            }),
            took: if stage.is_some() { String::new() } else { seconds(words, took(record)) },
            mark,
        }
    }
}

/// On whose side it went wrong, in a word.
pub(super) fn side(words: Words, fault: Fault) -> Option<String> {
    let is_told = match fault {
        Fault::Callee | Fault::Carrier | Fault::Request | Fault::Us | Fault::Unknown => true,
        Fault::None => false,
    };
    is_told.then(|| words.t(&format!("console-side-{fault}")))
}

/// From dialling to the end.
fn took(record: &CallRecord) -> Duration {
    record.ended_at.since(record.placed_at.unwrap_or(record.queued_at))
}

/// A duration in whole seconds, rounded.
pub(super) fn seconds(words: Words, of: Duration) -> String {
    words.with("seconds", "seconds", &((of.as_millis() + 500) / 1000).to_string())
}

/// How long ago something was, in the largest unit that says enough.
pub(super) fn ago(words: Words, since: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(since).as_secs();
    let (id, count) = match seconds {
        0..120 => ("console-age-seconds", seconds),
        120..7_200 => ("console-age-minutes", seconds / 60),
        7_200..172_800 => ("console-age-hours", seconds / 3_600),
        _ => ("console-age-days", seconds / 86_400),
    };
    words.with(id, "count", &count.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_and_stage_has_a_word_and_a_shape_in_each_language() {
        for language in texts::page_languages() {
            let words = Words { language };
            for reason in Reason::ALL {
                let (sign, _) = shape(reason.status(), Some(*reason));
                assert!(!crate::pages::icon(sign).is_empty(), "{reason}");
            }
            for stage in Stage::ALL {
                let id = format!("console-stage-{stage}");
                assert_ne!(words.t(&id), id, "{language}");
            }
            for fault in Fault::ALL {
                assert!(side(words, *fault).is_none_or(|text| !text.starts_with("console-")), "{language} {fault}");
            }
        }
        assert_eq!(shape(Status::Verified, None), ("check", "good"));
    }

    #[test]
    fn ages_are_told_in_the_unit_that_says_enough() {
        let words = Words { language: "en" };
        let told = |seconds: u64| ago(words, Timestamp::from_ms(0), Timestamp::from_ms(seconds * 1000));
        assert_eq!([5, 600, 7_300, 200_000].map(told), ["5 s", "10 min", "2 h", "2 days"]);
    }
}
