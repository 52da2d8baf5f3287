//! Owns where the work for a verification belongs in its trace, and the spans of what outlasts any one request: the
//! verification itself and its calls. The ids of these come out of the verification's own, so that whatever ringproof takes
//! a webhook minutes later names the same spans. What is told is words, ids and times: never a number, a key, a text.

use std::{borrow::Cow, time::Duration};

use super::document::{end_word, status_event};
use crate::{
    outcome::Fault,
    provider::Order,
    span::{self, Kind, Open, Span, Value},
    time::Timestamp,
    trace::{SpanId, Trace},
    verification::{PlaceResult, Verification, What},
};

/// The first of the random bytes of an id.
const RANDOM: usize = 6;

/// The span of a verification: what is told of its outcome is below this.
pub(super) fn of(v: &Verification) -> Option<Trace> {
    let origin = v.trace.as_ref()?;
    // Where nothing is kept, others are told of the last span that may be.
    Some(if origin.sampled { origin.below(named_after(v, RANDOM, 0)) } else { origin.clone() })
}

/// The span of one of its calls: what is done for the call is below this.
pub(super) fn of_call(v: &Verification, index: u8) -> Option<Trace> {
    let origin = v.trace.as_ref().filter(|origin| origin.sampled)?;
    Some(origin.below(named_after(v, RANDOM + 8, index)))
}

/// Eight of the random bytes of the verification's id, and which of its calls.
fn named_after(v: &Verification, from: usize, index: u8) -> SpanId {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(v.id.as_bytes().iter().skip(from)).for_each(|(to, from)| *to = *from);
    let [first, ..] = &mut bytes;
    *first ^= index;
    SpanId::new(bytes)
}

/// Tells of a verification that has just become final.
pub(super) fn tell_outcome(v: &Verification) {
    let (Some(origin), Some(here)) = (&v.trace, of(v)) else { return };
    span::tell(origin, || {
        let mut attributes = vec![
            ("ringproof.verification.id", Value::Word(Cow::Owned(v.id.to_string()))),
            ("ringproof.status", Value::Word(Cow::Borrowed(v.status.as_str()))),
            ("ringproof.mode", Value::Word(Cow::Borrowed(v.request.mode.as_str()))),
            ("ringproof.calls", Value::Number(i64::try_from(v.calls.len()).unwrap_or(i64::MAX))),
        ];
        attributes.extend(v.reason.map(|reason| ("ringproof.reason", Value::Word(Cow::Borrowed(reason.as_str())))));
        attributes.extend(v.request.targets.first().map(|target| country(&target.country)));
        attributes.extend(v.call().and_then(|call| v.route_of(call)).map(|route| carrier(&route.carrier)));
        let ended = v.decided_at.unwrap_or(v.created_at);
        Span {
            name: Cow::Borrowed("verification"),
            parent: Some(origin.span),
            attributes,
            events: vec![(status_event(v.status), ns(ended))],
            ..lasted(&here, v.created_at, ended)
        }
    });
}

/// Tells of a call that is over.
pub(super) fn tell_call(v: &Verification, index: u8) {
    let (Some(parent), Some(here)) = (of(v), of_call(v, index)) else { return };
    let Some(call) = v.calls.get(usize::from(index)) else { return };
    span::tell(&here, || {
        let fault = call.cause.as_ref().map_or(Fault::Unknown, |cause| cause.fault);
        let end = call.cause.as_ref().map_or("unknown", |cause| end_word(cause.end));
        let mut attributes = vec![
            ("ringproof.call.id", Value::Word(Cow::Owned(v.call_id(index).to_string()))),
            ("ringproof.end", Value::Word(Cow::Borrowed(end))),
            ("ringproof.fault", Value::Word(Cow::Borrowed(fault.as_str()))),
        ];
        attributes.extend(
            call.verdict.or(v.reason).map(|reason| ("ringproof.reason", Value::Word(Cow::Borrowed(reason.as_str())))),
        );
        attributes.extend(v.target_of(call).map(|target| country(&target.country)));
        attributes.extend(v.route_of(call).map(|route| carrier(&route.carrier)));
        let events = v.events.iter().filter(|event| event.call == Some(index));
        Span {
            name: Cow::Borrowed("call"),
            parent: Some(parent.span),
            attributes,
            events: events.map(|event| (what_word(event.what), ns(event.at))).collect(),
            failed: matches!(fault, Fault::Carrier | Fault::Us),
            ..lasted(&here, call.queued_at, call.ended_at.unwrap_or(call.queued_at))
        }
    });
}

/// Begins to ask a carrier for a call.
pub(super) fn begin_placement(v: &Verification, order: &Order, name: &str) -> Option<Open> {
    let mut open = span::begin(&of_call(v, order.token.call.index)?, Kind::Internal, "place")?;
    open.word("ringproof.carrier", name.to_owned());
    Some(open)
}

/// What came of that.
pub(super) fn end_placement(open: Option<Open>, result: &PlaceResult) {
    let Some(mut open) = open else { return };
    let (word, fault) = match result {
        PlaceResult::Accepted { .. } => ("accepted", None),
        PlaceResult::Refused { cause, .. } => ("refused", Some(cause.fault)),
        PlaceResult::Unknown { cause } => ("unknown", Some(cause.fault)),
    };
    open.word("ringproof.placement", word);
    match fault {
        None => open.settle(),
        Some(fault) => {
            open.word("ringproof.fault", fault.as_str());
            open.fail(word);
        }
    }
}

/// A span of ours with the times of the store, which are whole milliseconds.
fn lasted(here: &Trace, began: Timestamp, ended: Timestamp) -> Span {
    Span {
        name: Cow::Borrowed(""),
        kind: Kind::Internal,
        trace: here.id,
        id: here.span,
        parent: None,
        parent_is_remote: false,
        began_ns: ns(began),
        ended_ns: ns(ended),
        attributes: Vec::new(),
        events: Vec::new(),
        failed: false,
    }
}

fn ns(at: Timestamp) -> u64 {
    u64::try_from(Duration::from_millis(at.as_ms()).as_nanos()).unwrap_or(u64::MAX)
}

fn country(country: &crate::phone::CountryCode) -> (&'static str, Value) {
    ("ringproof.country", Value::Word(Cow::Owned(country.to_string())))
}

fn carrier(name: &str) -> (&'static str, Value) {
    ("ringproof.carrier", Value::Word(Cow::Owned(name.to_owned())))
}

/// What happened, without what was keyed: not even its kind.
const fn what_word(what: What) -> &'static str {
    match what {
        What::Queued => "queued",
        What::Dialing => "dialing",
        What::NotPlaced => "not_placed",
        What::Ringing => "ringing",
        What::Answered => "answered",
        What::Prompted => "prompted",
        What::Entry(_) | What::WrongCodeTyped => "entry",
        What::Told => "told",
        What::Ended(_) => "ended",
        What::BlockRequested => "block_requested",
        What::RedialRequested => "redial_requested",
        What::Decided(_) => "decided",
    }
}
