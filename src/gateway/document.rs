//! Owns the JSON that clients read: a verification, its calls, its events, call records. Snapshots of the outer
//! contract: members are added, never renamed. What may not be seen (numbers in full, codes) is left out here.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::explain;
use crate::{
    id::{CallId, VerificationId},
    outcome::{Attestation, DeliveryOutcome, Fault, Mode, NextStep, Purpose, Reason, Stage, Status, Strength},
    provider::CodeMeaning,
    texts,
    time::Timestamp,
    verification::{AnsweredBy, Call, CallRecord, End, EntryClass, Event, Verification, What},
};

/// A verification as its client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerificationDocument {
    /// Its name.
    #[schema(value_type = String, example = "ver_06EK3V8S80ABCDEFGHJKMNPQRSTVWXYZ0123")]
    pub id: VerificationId,
    /// Where it stands. All but `pending` are final and never change.
    pub status: Status,
    /// How far the call that is alive, or the last one, has come.
    pub stage: Stage,
    /// Why it ended as it did; null while pending and when verified.
    pub reason: Option<Reason>,
    /// The reason in the caller's language.
    pub reason_text: Option<String>,
    /// What to do next.
    pub next_step: Option<NextStep>,
    /// What the callee has to do.
    pub mode: Mode,
    /// What a verified outcome proves.
    pub strength: Strength,
    /// The number, masked.
    #[schema(example = "+81 •• •••• 5678")]
    pub to: String,
    /// Its country (ISO 3166-1 alpha-2).
    #[schema(example = "JP")]
    pub country: String,
    /// Language of the prompts (BCP 47).
    #[schema(example = "ja-JP")]
    pub locale: String,
    /// The number we call from: show it, so that the callee knows the call.
    #[schema(example = "+815012345678")]
    pub caller_id: Option<String>,
    /// The digits to be shown on the screen; only in the answer to the create request, only in mode `match`.
    pub match_code: Option<String>,
    /// The calls so far, oldest first.
    pub calls: Vec<CallDocument>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// From when on it can no longer be verified.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it became final.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// Seconds after a call was placed from which on a redial may be asked for.
    pub redial_after: u32,
    /// Why the call is made.
    pub purpose: Purpose,
    /// The call flow.
    pub flow: String,
    /// The callee asked not to be called again.
    pub block_requested: bool,
    /// Your own name for it.
    pub reference: Option<String>,
    /// Your own pairs, as given.
    pub metadata: BTreeMap<String, String>,
    /// Counts the changes, from 1.
    pub revision: u32,
}

/// One call of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallDocument {
    /// Its name, also in the call log.
    #[schema(value_type = String)]
    pub id: CallId,
    /// The number called, masked.
    pub to: String,
    /// Its country.
    pub country: String,
    /// The number we call from.
    pub caller_id: Option<String>,
    /// Name of the carrier in the configuration.
    pub carrier: Option<String>,
    /// How far it has come.
    pub stage: Stage,
    /// When it was to be placed.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it began to ring.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[schema(example = "no_answer")]
    pub end: Option<&'static str>,
    /// Whose fault that is.
    pub fault: Option<Fault>,
    /// Questions asked.
    pub prompts: u8,
    /// What answered, where the carrier tells it.
    #[schema(example = "human")]
    pub answered_by: Option<&'static str>,
}

/// One thing that happened, as it is sent to those who watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventDocument {
    /// Counts from 1 within the verification; the id of the server-sent event.
    pub seq: u32,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What.
    #[schema(example = "call.ringing")]
    pub r#type: &'static str,
    /// The call it belongs to.
    #[schema(value_type = Option<String>)]
    pub call: Option<CallId>,
    /// The status from then on.
    pub status: Status,
    /// The stage from then on.
    pub stage: Stage,
    /// The reason, with the event that decides.
    pub reason: Option<Reason>,
    /// More about it in one word: what kind of entry, how a call ended.
    pub detail: Option<&'static str>,
}

/// One call in the call log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallRecordDocument {
    /// Its name.
    #[schema(value_type = String)]
    pub id: CallId,
    /// Its verification.
    #[schema(value_type = String)]
    pub verification: VerificationId,
    /// Name of the API key that asked.
    pub client: String,
    /// The client's own name for the verification.
    pub reference: Option<String>,
    /// The number called, masked.
    pub to: String,
    /// Its country.
    pub country: String,
    /// Kind of number.
    pub number_type: String,
    /// Name of the carrier in the configuration.
    pub carrier: String,
    /// The carrier's name for the call.
    pub carrier_call_id: Option<String>,
    /// The number we called from.
    pub caller_id: Option<String>,
    /// Language of the prompts.
    pub locale: String,
    /// The call flow.
    pub flow: String,
    /// Version of the call flow, as `flow check` prints it.
    pub flow_version: String,
    /// What the callee had to do.
    pub mode: Mode,
    /// Status of the verification when the call was over.
    pub status: Status,
    /// Why; or what this call came to, where the verification went on with another one.
    pub reason: Option<Reason>,
    /// When it was to be placed.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When the carrier took it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub placed_at: Option<Timestamp>,
    /// When it began to ring.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// From answer to end, in ms; null when nobody answered.
    pub talk_ms: Option<u64>,
    /// From the first ring to the answer, or to the end where nobody answered, in ms; null when it did not ring.
    pub ring_ms: Option<u64>,
    /// From when it was to be placed to the end, in ms.
    pub total_ms: u64,
    /// How it ended.
    pub end: Option<&'static str>,
    /// Whose fault that is.
    pub fault: Option<Fault>,
    /// The carrier's own code or word for it.
    pub carrier_code: Option<String>,
    /// The final SIP status, where it is known.
    pub sip_status: Option<u16>,
    /// Questions asked.
    pub prompts: u8,
    /// What answered, where the carrier tells it.
    pub answered_by: Option<&'static str>,
    /// The callee asked not to be called again.
    pub block_requested: bool,
    /// The cause of the telephone network (ITU-T Q.850), where the carrier told it.
    #[schema(example = 17)]
    pub q850_cause: Option<u16>,
    /// What kind of answers came by keys, oldest first, as in the timeline; never the keys.
    #[schema(example = json!(["too_early", "pound"]))]
    pub keys: Vec<&'static str>,
    /// What the caller's signed identity vouched for (STIR/SHAKEN), where it is known.
    pub attestation: Option<Attestation>,
    /// What it cost, a decimal number, where the carrier told it by the end of the call.
    #[schema(example = "0.0140")]
    pub price: Option<String>,
    /// The currency of the price (ISO 4217).
    #[schema(example = "USD")]
    pub price_currency: Option<String>,
    /// How far the result of the verification has come on its way to the backend; null where none was posted yet.
    pub delivery: Option<DeliveryOutcome>,
    /// How often it was posted.
    pub delivery_attempts: Option<u32>,
    /// The HTTP status of the last answer; null where there was none.
    pub delivery_status: Option<u16>,
    /// When it was posted last.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivery_at: Option<Timestamp>,
    /// What came of it, in a sentence or two.
    #[schema(example = "Rang 30 s over the carrier main. Nobody answered. That is on the callee's side.")]
    pub summary: String,
    /// What an operator does best about it, in words; null where nothing is to be done.
    pub next_step: Option<String>,
    /// What happened, oldest first.
    pub timeline: Vec<EventDocument>,
}

/// The document of a verification as it stands.
#[must_use]
pub fn document(v: &Verification) -> VerificationDocument {
    let first = v.request.targets.first();
    let on_call = v.call().and_then(|call| v.target_of(call)).or(first);
    let route = v.call().and_then(|call| v.route_of(call)).or_else(|| first.and_then(|target| target.routes.first()));
    let locale = on_call.map(|target| target.locale.clone()).unwrap_or_default();
    VerificationDocument {
        id: v.id,
        status: v.status,
        stage: v.stage(),
        reason: v.reason,
        reason_text: v.reason.map(|reason| texts::reason(&locale, reason)),
        next_step: v.reason.map(Reason::next_step),
        mode: v.request.mode,
        strength: strength(v.request.mode),
        to: first.map(|target| target.to.to_string()).unwrap_or_default(),
        country: first.map(|target| target.country.to_string()).unwrap_or_default(),
        locale,
        caller_id: route.map(|route| route.caller_id.expose().to_owned()),
        match_code: None,
        calls: (0u8..).zip(&v.calls).map(|(index, call)| call_document(v, index, call)).collect(),
        created_at: v.created_at,
        expires_at: v.expires_at,
        decided_at: v.decided_at,
        redial_after: v.request.policy.redial_after_ms.div_ceil(1000),
        purpose: v.request.purpose,
        flow: v.request.flow.clone(),
        block_requested: v.block_requested,
        reference: v.request.reference.clone(),
        metadata: v.request.metadata.iter().cloned().collect(),
        revision: v.revision,
    }
}

/// The answer to the create request: how the verification stood when it was made, whatever has become of it since. A
/// repeated request with the same idempotency key gets the same document again; only the digits of mode `match` are
/// left out once it is final, when they are of no use to anybody but a thief of old logs.
#[must_use]
pub fn first_document(v: &Verification) -> VerificationDocument {
    let first = v.request.targets.first();
    let shown = v.request.code.as_ref().filter(|_| v.request.mode == Mode::Match && !v.is_final());
    VerificationDocument {
        status: Status::Pending,
        stage: Stage::Queued,
        reason: None,
        reason_text: None,
        next_step: None,
        locale: first.map(|target| target.locale.clone()).unwrap_or_default(),
        caller_id: first.and_then(|t| t.routes.first()).map(|route| route.caller_id.expose().to_owned()),
        match_code: shown.map(|code| code.expose().expose().to_owned()),
        calls: Vec::new(),
        decided_at: None,
        block_requested: false,
        revision: 1,
        ..document(v)
    }
}

/// What a verified outcome proves, by mode.
const fn strength(mode: Mode) -> Strength {
    match mode {
        Mode::Confirm | Mode::Speak => Strength::Possession,
        Mode::Match => Strength::SessionBound,
    }
}

fn call_document(v: &Verification, index: u8, call: &Call) -> CallDocument {
    let target = v.target_of(call);
    let route = v.route_of(call);
    CallDocument {
        id: v.call_id(index),
        to: target.map(|target| target.to.to_string()).unwrap_or_default(),
        country: target.map(|target| target.country.to_string()).unwrap_or_default(),
        caller_id: route.map(|route| route.caller_id.expose().to_owned()),
        carrier: route.map(|route| route.carrier.clone()),
        stage: call.stage(),
        started_at: call.queued_at,
        ringing_at: call.ringing_at,
        answered_at: call.answered_at,
        ended_at: call.ended_at,
        end: call.cause.as_ref().map(|cause| end_word(cause.end)),
        fault: call.cause.as_ref().map(|cause| cause.fault),
        prompts: call.prompts,
        answered_by: call.answered_by.map(answered_by_word),
    }
}

/// The events of a verification after the one numbered `after`; 0 for all of them.
///
/// A long history is not kept whole, and a store may have lost its newest: in the place of what is missing stands one
/// event that says how the verification is now.
#[must_use]
pub fn events(v: &Verification, after: u32) -> Vec<EventDocument> {
    let newest = v.events.last().map_or(0, |event| event.seq);
    if after > newest {
        return vec![state_event(v, newest)];
    }
    let mut last = after;
    let mut all = Vec::new();
    for event in told(v.id, v.reason, &v.events).into_iter().filter(|event| event.seq > after) {
        if event.seq > last.saturating_add(1) {
            all.push(state_event(v, event.seq - 1));
        }
        last = event.seq;
        all.push(event);
    }
    all
}

/// How a verification is now, in the place of events that are not there.
fn state_event(v: &Verification, seq: u32) -> EventDocument {
    EventDocument {
        seq,
        at: v.events.last().map_or(v.created_at, |event| event.at),
        r#type: status_event(v.status),
        call: None,
        status: v.status,
        stage: v.stage(),
        reason: v.reason,
        detail: Some("state"),
    }
}

/// The record of a call as the call log shows it, explained in the nearest language to `language` (BCP 47). `meaning` is
/// that of the carrier's code, where it is known.
pub(super) fn record_document(record: &CallRecord, meaning: Option<CodeMeaning>, language: &str) -> CallRecordDocument {
    CallRecordDocument {
        id: record.id,
        verification: record.id.verification,
        client: record.client.clone(),
        reference: record.reference.clone(),
        to: record.to_masked.clone(),
        country: record.country.to_string(),
        number_type: record.number_type.clone(),
        carrier: record.carrier.clone(),
        carrier_call_id: record.carrier_call_id.clone(),
        caller_id: record.caller_id.as_ref().map(|number| number.expose().to_owned()),
        locale: record.locale.clone(),
        flow: record.flow.clone(),
        flow_version: format!("{:016x}", record.flow_version),
        mode: record.mode,
        status: record.status,
        reason: record.reason,
        started_at: record.queued_at,
        placed_at: record.placed_at,
        ringing_at: record.ringing_at,
        answered_at: record.answered_at,
        ended_at: record.ended_at,
        talk_ms: record.answered_at.map(|at| ms(at, record.ended_at)),
        ring_ms: record.ringing_at.map(|at| ms(at, record.answered_at.unwrap_or(record.ended_at))),
        total_ms: ms(record.queued_at, record.ended_at),
        end: record.cause.as_ref().map(|cause| end_word(cause.end)),
        fault: record.cause.as_ref().map(|cause| cause.fault),
        carrier_code: record.cause.as_ref().and_then(|cause| cause.carrier_code.clone()),
        sip_status: record.cause.as_ref().and_then(|cause| cause.sip_status),
        prompts: record.prompts,
        answered_by: record.answered_by.map(answered_by_word),
        block_requested: record.block_requested,
        q850_cause: record.cause.as_ref().and_then(|cause| q850(cause.carrier_code.as_deref()?)),
        keys: record.events.iter().filter_map(|event| key_word(event.what)).collect(),
        attestation: record.attestation,
        price: record.price.as_ref().map(|price| price.amount.clone()),
        price_currency: record.price.as_ref().map(|price| price.currency.clone()),
        delivery: record.delivery.as_ref().map(|delivery| delivery.outcome),
        delivery_attempts: record.delivery.as_ref().map(|delivery| delivery.attempts),
        delivery_status: record.delivery.as_ref().and_then(|delivery| delivery.status),
        delivery_at: record.delivery.as_ref().map(|delivery| delivery.at),
        summary: explain::summary(record, language),
        next_step: explain::next_step(record, meaning, language),
        timeline: told(record.id.verification, record.reason, &record.events),
    }
}

fn ms(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}

/// The cause of the telephone network in a carrier's words, as in `486 Busy Here; Q.850 17 User busy`.
fn q850(words: &str) -> Option<u16> {
    let (_, after) = words.split_once("Q.850 ")?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What kind of answer an event tells of; silence is none.
const fn key_word(what: What) -> Option<&'static str> {
    match what {
        What::Entry(EntryClass::Silence)
        | What::Queued
        | What::Dialing
        | What::NotPlaced
        | What::Ringing
        | What::Answered
        | What::Prompted
        | What::Told
        | What::Ended(_)
        | What::BlockRequested
        | What::RedialRequested
        | What::WrongCodeTyped
        | What::Decided(_) => None,
        What::Entry(class) => Some(entry_word(class)),
    }
}

/// Events with the status and stage that held after each of them.
fn told(id: VerificationId, reason: Option<Reason>, events: &[Event]) -> Vec<EventDocument> {
    let mut status = Status::Pending;
    let mut stage = Stage::Queued;
    events
        .iter()
        .map(|event| {
            stage = stage_after(event.what, stage);
            let decides = if let What::Decided(decided) = event.what {
                status = decided;
                true
            } else {
                false
            };
            let (kind, detail) = event_words(event.what);
            EventDocument {
                seq: event.seq,
                at: event.at,
                r#type: kind,
                call: event.call.map(|index| CallId { verification: id, index }),
                status,
                stage,
                reason: reason.filter(|reason| decides && reason.status() == status),
                detail,
            }
        })
        .collect()
}

const fn stage_after(what: What, before: Stage) -> Stage {
    match what {
        What::Queued => Stage::Queued,
        What::Dialing => Stage::Dialing,
        What::Ringing => Stage::Ringing,
        What::Answered => Stage::Answered,
        What::Prompted => Stage::Prompting,
        What::Ended(_) => Stage::Ended,
        What::NotPlaced
        | What::Entry(_)
        | What::Told
        | What::BlockRequested
        | What::RedialRequested
        | What::WrongCodeTyped
        | What::Decided(_) => before,
    }
}

const fn event_words(what: What) -> (&'static str, Option<&'static str>) {
    match what {
        What::Queued => ("call.queued", None),
        What::Dialing => ("call.dialing", None),
        What::NotPlaced => ("call.not_placed", None),
        What::Ringing => ("call.ringing", None),
        What::Answered => ("call.answered", None),
        What::Prompted => ("call.prompted", None),
        What::Entry(class) => ("call.entry", Some(entry_word(class))),
        What::Told => ("call.code_spoken", None),
        What::Ended(end) => ("call.ended", Some(end_word(end))),
        What::BlockRequested => ("call.block_requested", None),
        What::RedialRequested => ("verification.redial_requested", None),
        What::WrongCodeTyped => ("verification.wrong_code", None),
        What::Decided(status) => (status_event(status), None),
    }
}

/// The type of the event, and of the result webhook, that tells a status.
#[must_use]
pub const fn status_event(status: Status) -> &'static str {
    match status {
        Status::Pending => "verification.pending",
        Status::Verified => "verification.verified",
        Status::Failed => "verification.failed",
        Status::Denied => "verification.denied",
        Status::Expired => "verification.expired",
        Status::Canceled => "verification.canceled",
    }
}

/// How a call ended, in one word.
#[must_use]
pub const fn end_word(end: End) -> &'static str {
    match end {
        End::Completed => "completed",
        End::Busy => "busy",
        End::NoAnswer => "no_answer",
        End::Rejected => "rejected",
        End::Unreachable => "unreachable",
        End::InvalidNumber => "invalid_number",
        End::Canceled => "canceled",
        End::CarrierError => "carrier_error",
        End::Blocked => "blocked",
    }
}

/// What kind of answer came, in one word.
#[must_use]
pub const fn entry_word(class: EntryClass) -> &'static str {
    match class {
        EntryClass::Pound => "pound",
        EntryClass::Star => "star",
        EntryClass::Zero => "zero",
        EntryClass::RightCode => "right_code",
        EntryClass::WrongCode => "wrong_code",
        EntryClass::Unterminated => "unterminated",
        EntryClass::Other => "other",
        EntryClass::Silence => "silence",
        EntryClass::TooEarly => "too_early",
    }
}

/// What answered, in one word.
#[must_use]
pub const fn answered_by_word(by: AnsweredBy) -> &'static str {
    match by {
        AnsweredBy::Human => "human",
        AnsweredBy::Machine => "machine",
        AnsweredBy::Screening => "screening",
        AnsweredBy::Unknown => "unknown",
    }
}
