//! Owns a call drawn as a ladder between the backend, us, the carrier and the telephone, with the times between its steps.

use std::time::Duration;

use super::session::Visit;
use crate::{
    gateway::{EventDocument, Party, between},
    pages::Words,
    time::Timestamp,
};

/// One step.
pub(super) struct Step {
    /// When, on the clock of whoever looks.
    pub(super) clock: String,
    pub(super) at_utc: String,
    /// How long after the step before.
    pub(super) since: String,
    /// From whom to whom, for a drawing: `a` to `d` from the left, and which way.
    pub(super) lanes: String,
    /// The same in words.
    pub(super) between: String,
    pub(super) text: String,
    /// `good`, `bad` or `plain`.
    pub(super) kind: &'static str,
}

/// The names of those who take part, from left to right.
pub(super) fn parties(words: Words, carrier: &str) -> [String; 4] {
    Party::ALL.map(|party| match party {
        Party::Backend => words.t("console-party-backend"),
        Party::Us => String::from("ringproof"),
        Party::Carrier if carrier.is_empty() => words.t("console-party-carrier"),
        Party::Carrier => carrier.to_owned(),
        Party::Callee => words.t("console-party-callee"),
    })
}

/// The steps of a call, oldest first.
pub(super) fn steps(visit: &Visit, parties: &[String; 4], timeline: &[EventDocument]) -> Vec<Step> {
    let words = visit.words;
    let mut before: Option<Timestamp> = None;
    timeline
        .iter()
        .filter(|event| !is_told_twice(event, timeline))
        .map(|event| {
            let (from, to) = between(event.r#type);
            let name = |party: Party| {
                Party::ALL.iter().zip(parties).find(|(of, _)| **of == party).map_or("", |(_, name)| name)
            };
            let since = before.map(|before| elapsed(words, event.at.since(before))).unwrap_or_default();
            before = Some(event.at);
            Step {
                clock: visit.zone.clock(event.at),
                at_utc: event.at.to_rfc3339(),
                since,
                lanes: format!(
                    "{}{} {}",
                    letter(from.min(to)),
                    letter(from.max(to)),
                    if from < to { "on" } else { "back" }
                ),
                between: format!("{} → {}", name(from), name(to)),
                text: text(words, event),
                kind: kind(event.r#type),
            }
        })
        .collect()
}

/// A call that a carrier did not take ends in the same moment. What tells less of the two is left out: what came of it says
/// more than that it was not taken, where the carrier knows it; otherwise that it was not taken says more.
fn is_told_twice(event: &EventDocument, timeline: &[EventDocument]) -> bool {
    let end = timeline.iter().find(|other| other.r#type == "call.ended");
    let refused = timeline.iter().any(|other| other.r#type == "call.not_placed");
    let end_says_more =
        end.is_some_and(|end| end.detail.is_some_and(|detail| !["carrier_error", "blocked"].contains(&detail)));
    match event.r#type {
        "call.not_placed" => end_says_more,
        "call.ended" => refused && !end_says_more,
        _ => false,
    }
}

const fn letter(party: Party) -> char {
    match party {
        Party::Backend => 'a',
        Party::Us => 'b',
        Party::Carrier => 'c',
        Party::Callee => 'd',
    }
}

fn kind(event_type: &str) -> &'static str {
    match event_type {
        "verification.verified" => "good",
        "verification.failed" | "verification.denied" | "verification.expired" | "call.not_placed" => "bad",
        _ => "plain",
    }
}

/// What happened, with its detail where there is a text for that.
fn text(words: Words, event: &EventDocument) -> String {
    let id = format!("event-{}", event.r#type.replace('.', "-"));
    let detailed = event.detail.map(|detail| format!("{id}-{detail}"));
    let told = detailed.map(|id| (words.t(&id), id)).filter(|(text, id)| text != id).map(|(text, _)| text);
    told.unwrap_or_else(|| words.t(&id))
}

/// Time from one step to the next.
fn elapsed(words: Words, of: Duration) -> String {
    let ms = of.as_millis();
    if ms < 1000 {
        words.with("console-ms", "ms", &ms.to_string())
    } else {
        words.with("seconds", "seconds", &format!("{}.{}", ms / 1000, ms % 1000 / 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_text_and_a_place() {
        let events = [
            "call.queued",
            "call.dialing",
            "call.not_placed",
            "call.ringing",
            "call.answered",
            "call.prompted",
            "call.entry",
            "call.code_spoken",
            "call.ended",
            "call.block_requested",
            "verification.redial_requested",
            "verification.wrong_code",
            "verification.verified",
            "verification.failed",
            "verification.denied",
            "verification.expired",
            "verification.canceled",
            "verification.pending",
        ];
        for language in crate::texts::page_languages() {
            for event in events {
                let id = format!("event-{}", event.replace('.', "-"));
                assert_ne!(Words { language }.t(&id), id, "{language}");
            }
        }
        assert_eq!(elapsed(Words { language: "en" }, Duration::from_millis(1450)), "1.4 s");
        assert_eq!(elapsed(Words { language: "ja" }, Duration::from_millis(20)), "20 ミリ秒");
    }
}
