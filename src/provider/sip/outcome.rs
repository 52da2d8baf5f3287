//! Owns what the end of an attempt on a SIP trunk means in our words: how the call ended, whose fault that is, and
//! whether another trunk may do better. It sees a status, a phrase and `Reason` headers, never a message.

use crate::{
    outcome::Fault,
    sip::{Canceled, EndCause, Ender, Reason, Refusal},
    verification::{Cause, End},
};

/// Longest text about an end that is kept, in characters.
const MAX_CODE: usize = 64;
/// So many digits may be part of a telephone number: what a carrier writes into a phrase is kept without them.
const NUMBER_DIGITS: usize = 5;

/// How an attempt ended that nobody answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unanswered<'a> {
    /// The trunk refused it, or we gave it up.
    Refused(&'a Refusal),
    /// No server of the trunk took it: no address, no connection, a certificate that is not the trunk's, or no response
    /// at all in time. RFC 3261 §8.1.3.1 calls the last a 408, which it is not: nobody was rung.
    NoWay(&'a str),
    /// The trunk has no room, or is asked for too many calls at once: nothing was sent.
    Full(&'a str),
    /// The answer cannot be used: no media was agreed on.
    NoMedia(&'a str),
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// For the call record.
    pub(super) cause: Cause,
    /// Another trunk may do better.
    pub(super) try_next: bool,
}

/// How a call ended, whose fault that is, whether another trunk may do better.
type Row = (End, Fault, bool);

const FAILED: Row = (End::CarrierError, Fault::Carrier, false);
const FAILED_NEXT: Row = (End::CarrierError, Fault::Carrier, true);
/// What we asked for, or who we say we are, does not suit the trunk: the operator has to act.
const OURS: Row = (End::CarrierError, Fault::Us, false);
const NO_ANSWER: Row = (End::NoAnswer, Fault::Callee, false);
const BUSY: Row = (End::Busy, Fault::Callee, false);
const DECLINED: Row = (End::Rejected, Fault::Callee, false);
const NO_SUCH_NUMBER: Row = (End::InvalidNumber, Fault::Request, false);
const OURS_NEXT: Row = (End::CarrierError, Fault::Us, true);
/// Refused by analysis on the way, or by a callee who wants no such calls.
const BLOCKED_BY_NETWORK: Row = (End::Blocked, Fault::Carrier, false);
const BLOCKED_BY_CALLEE: Row = (End::Blocked, Fault::Callee, false);

/// What an attempt came to that nobody answered.
pub(super) fn of(ended: Unanswered<'_>) -> Verdict {
    match ended {
        Unanswered::NoWay(why) | Unanswered::Full(why) => verdict(FAILED_NEXT, why, None),
        Unanswered::NoMedia(why) => verdict(OURS_NEXT, why, Some(200)),
        Unanswered::Refused(refusal) => of_refusal(refusal),
    }
}

fn of_refusal(refusal: &Refusal) -> Verdict {
    let Refusal { code, phrase, local, seen_response, rang, canceled, reasons, .. } = refusal;
    let sip_status = (!local).then_some(*code);
    let row = match (canceled, code) {
        // Whatever the network adds to its 487: we know why it came (RFC 3261 §21.4.25). A callee who answered while we
        // canceled was hung up on: nobody heard anything.
        (Some(Canceled::RingLimit), 487) => NO_ANSWER,
        (Some(Canceled::Asked), 487) => (End::Canceled, Fault::None, false),
        (None, _) if *local => of_local(*code, *seen_response, *rang),
        (Some(Canceled::RingLimit | Canceled::Asked) | None, _) => of_response(*code, phrase, reasons),
    };
    verdict(row, &said(*code, phrase, reasons), sip_status)
}

/// What a code means that was made here because the trunk gave none.
const fn of_local(code: u16, seen_response: bool, rang: bool) -> Row {
    match (code, seen_response, rang) {
        // It could not be written as a request at all.
        (400, _, _) => OURS,
        // It rang, and the end never came.
        (_, _, true) => NO_ANSWER,
        // The trunk took it and said no more: whether anybody was rung is not known.
        (_, true, false) => FAILED,
        (_, false, false) => FAILED_NEXT,
    }
}

/// The cause of the end of an answered call, as the trunk told it.
pub(super) fn of_end(by: Ender, cause: EndCause, reasons: &[Reason]) -> Cause {
    match (cause, by) {
        (EndCause::Bye, Ender::Us | Ender::Peer) => completed(reasons),
        (EndCause::SessionExpired, _) => broken("the session was not refreshed"),
        (EndCause::Lost, _) => broken("the trunk lost the call"),
        (EndCause::NotAcknowledged, _) => broken("our answer to an offer was never acknowledged"),
    }
}

/// What our BYE says: everything was as it should be (RFC 3326).
pub(super) fn normal_clearing() -> Reason {
    let text = Some(String::from("Normal call clearing"));
    Reason { protocol: String::from("Q.850"), cause: Some(16), text, by_user: false }
}

/// A cause with something that was noticed in the call.
pub(super) fn with_note(mut cause: Cause, note: &str) -> Cause {
    let code = cause.carrier_code.take().map_or_else(|| note.to_owned(), |code| format!("{note}; {code}"));
    cause.carrier_code = Some(shortened(&code));
    cause
}

/// The cause of a call's end that was answered: over, whatever the BYE says. What it says is kept.
pub(super) fn completed(reasons: &[Reason]) -> Cause {
    let carrier_code = reasons.first().map(|reason| shortened(&written(reason))).filter(|code| !code.is_empty());
    Cause { end: End::Completed, fault: Fault::None, carrier_code, sip_status: Some(200) }
}

/// The cause of the end of an answered call that went wrong: no media, no reaction to our requests.
pub(super) fn broken(what: &str) -> Cause {
    let carrier_code = Some(shortened(what));
    Cause { end: End::Completed, fault: Fault::Carrier, carrier_code, sip_status: Some(200) }
}

/// A cause of ours, before anything was sent.
pub(super) fn of_ours(end: End, fault: Fault, code: &str) -> Cause {
    Cause { end, fault, carrier_code: Some(shortened(code)), sip_status: None }
}

fn verdict((end, fault, try_next): Row, code: &str, sip_status: Option<u16>) -> Verdict {
    let carrier_code = Some(shortened(code)).filter(|code| !code.is_empty());
    Verdict { cause: Cause { end, fault, carrier_code, sip_status }, try_next }
}

fn of_response(status: u16, phrase: &str, reasons: &[Reason]) -> Row {
    let plain = of_status(status);
    let causes = || reasons.iter().filter_map(q850);
    match status {
        // The callee declined at the telephone; where the location is not told the network may have refused.
        403 if causes().any(|cause| cause == 21) => {
            let by_user = reasons.iter().any(|reason| q850(reason) == Some(21) && reason.by_user);
            if by_user { DECLINED } else { plain }
        }
        // "603+": analysis on the way refused the call (ATIS-1000099).
        603 if phrase.trim().eq_ignore_ascii_case("Network Blocked") && !reasons.is_empty() => BLOCKED_BY_NETWORK,
        403 | 480 | 487 | 500 | 503 => {
            let Some(refined) = causes().find_map(of_q850) else { return plain };
            // A cause that says only "failed" takes no hope away that the status gives.
            if refined.0 == End::CarrierError { (refined.0, refined.1, refined.2 || plain.2) } else { refined }
        }
        _ => plain,
    }
}

/// What a final status means (RFC 3261 §21 where nothing else is said).
fn of_status(status: u16) -> Row {
    match status {
        // Redirections that were not followed: more than we follow, or to where the trunk may not send us.
        300..=399 => FAILED,
        // Asked twice with what is configured: wrong credentials, or none.
        401 | 407 => OURS,
        400 | 402 | 405 | 406 | 413..=416 | 420..=423 | 493 => OURS,
        403 => FAILED,
        404 | 410 | 484 | 485 | 604 => NO_SUCH_NUMBER,
        408 | 480 | 487 => NO_ANSWER,
        // RFC 8224: what says who we are is missing or not believed. RFC 5079: anonymous callers are refused.
        428 | 433 | 436..=438 => OURS,
        482 | 483 => FAILED_NEXT,
        486 | 600 => BUSY,
        488 | 606 => OURS_NEXT,
        500 | 502 | 503 | 504 => FAILED_NEXT,
        501 | 505 | 513 | 580 => FAILED,
        603 => DECLINED,
        // RFC 8197: the callee wants no such calls. RFC 8688: a machine on the way thinks so.
        607 => BLOCKED_BY_CALLEE,
        608 => BLOCKED_BY_NETWORK,
        // RFC 3261 §8.1.3.2: as x00 of its class.
        500..=599 => FAILED_NEXT,
        600..=699 => BUSY,
        _ => OURS,
    }
}

/// What a cause of the telephone network means (ITU-T Q.850); `None` for one that refines nothing.
fn of_q850(cause: u16) -> Option<Row> {
    Some(match cause {
        1..=3 | 22 | 26 | 28 => NO_SUCH_NUMBER,
        17 => BUSY,
        18 | 19 | 31 => NO_ANSWER,
        21 => DECLINED,
        // A telephone that is switched off or without a network, and a number with nothing behind it now.
        20 | 27 => (End::Unreachable, Fault::Callee, false),
        23 | 29 | 55 | 57 | 87 | 65 | 70 | 79 | 111 | 127 => FAILED,
        34 | 38 | 41 | 42 | 47 | 58 | 88 | 102 => FAILED_NEXT,
        _ => return None,
    })
}

/// The cause of the telephone network in a `Reason` header (RFC 3326).
fn q850(reason: &Reason) -> Option<u16> {
    reason.cause.filter(|_| reason.protocol.eq_ignore_ascii_case("Q.850"))
}

/// A final response in one line, as people read it in the call log.
fn said(status: u16, phrase: &str, reasons: &[Reason]) -> String {
    let reasons: Vec<String> = reasons.iter().map(written).collect();
    format!("{status} {}; {}", masked(phrase.trim()), reasons.join(", ")).trim_end_matches([';', ' ']).to_owned()
}

fn written(reason: &Reason) -> String {
    let cause = reason.cause.map(|cause| format!(" {cause}")).unwrap_or_default();
    let text = reason.text.as_deref().filter(|text| !text.is_empty()).map(|text| format!(" {}", masked(text)));
    format!("{}{cause}{}", reason.protocol, text.unwrap_or_default())
}

/// A text that a stranger wrote, without what can be a telephone number, however it is spaced.
fn masked(text: &str) -> String {
    let mut kept = String::new();
    let mut run = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() || (!run.is_empty() && " -./()".contains(c)) {
            run.push(c);
            continue;
        }
        let digits = run.chars().filter(char::is_ascii_digit).count();
        if digits < NUMBER_DIGITS {
            kept.push_str(&run);
        } else {
            kept.push('…');
            kept.push_str(run.get(run.trim_end_matches([' ', '-', '.', '/', '(', ')']).len()..).unwrap_or_default());
        }
        run.clear();
        kept.push(c);
    }
    kept
}

/// What fits into a call record: one line, short.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().chars().take(MAX_CODE).collect()
}

#[cfg(test)]
mod tests;
