//! Owns what Twilio's error codes and call statuses mean in our words. The code decides, not the HTTP status: many of
//! its pages do not say which status comes with a code.

use crate::{
    outcome::Fault,
    provider::CodeMeaning,
    verification::{Cause, End, Signal},
};

/// What an error code of the API says about a call that was asked for: how that is an end, whose fault it is, and
/// whether another carrier may do better. `None` for codes that are in no list of ours.
///
/// Twilio's own codes are numbers (`https://www.twilio.com/docs/api/errors`); those with an `S` are Somleng's.
pub(super) fn of_code(code: &str) -> Option<(End, Fault, bool)> {
    Some(match code {
        // `To` is not a number, is unsupported or undeliverable.
        "21211" | "21217" | "13224" => (End::InvalidNumber, Fault::Request, false),
        // Cannot be routed by this carrier.
        "21214" => (End::Unreachable, Fault::Carrier, true),
        // The country is not enabled in this account, or not in this region.
        "21215" | "S1008" => (End::Blocked, Fault::Request, true),
        // Blocked on purpose (fraud, regulation): nothing to be tried elsewhere.
        "21216" | "13225" => (End::Blocked, Fault::Request, false),
        // Credentials, account, caller ID, trial limits, balance: the operator has to act.
        "20003" | "20404" | "10001" | "21210" | "21212" | "21219" | "573002" | "573005" | "S1005" => {
            (End::CarrierError, Fault::Us, true)
        }
        // What we sent is not what it wants.
        "21205" | "21208" | "21609" | "21626" | "20422" | "20001" => (End::CarrierError, Fault::Us, true),
        _ => return None,
    })
}

/// What a code means that is ours to repair.
pub(super) fn meaning(code: &str) -> Option<CodeMeaning> {
    Some(match code {
        "20003" => CodeMeaning::Credentials,
        "10001" | "20404" => CodeMeaning::Account,
        "21210" | "21212" => CodeMeaning::CallerId,
        "21219" | "573002" | "573005" => CodeMeaning::Trial,
        "21215" | "S1008" => CodeMeaning::Country,
        "21205" | "21609" => CodeMeaning::Address,
        _ => return None,
    })
}

/// Too many requests at once: the request was not looked at.
pub(super) const TOO_MANY_REQUESTS: &str = "20429";

/// A change was asked of a call that is not in progress.
pub(super) const NOT_IN_PROGRESS: &str = "21220";

/// What a `CallStatus` says, with the SIP status and the error code that came with it. Words of servers that speak the
/// same API are understood too; `None` for words that nobody is known to send.
pub(super) fn of_status(word: &str, sip: Option<u16>, error_code: Option<&str>) -> Option<Signal> {
    let (end, fault) = match word {
        "queued" | "initiated" | "trying" => return Some(Signal::Initiated),
        "ringing" | "early-media" => return Some(Signal::Ringing),
        "in-progress" | "answered" => return Some(Signal::Answered),
        "completed" => (End::Completed, Fault::None),
        "busy" if sip == Some(603) => (End::Rejected, Fault::Callee),
        "busy" => (End::Busy, Fault::Callee),
        "no-answer" if sip == Some(603) => (End::Rejected, Fault::Callee),
        "no-answer" | "timeout" => (End::NoAnswer, Fault::Callee),
        "canceled" | "cancelled" | "cancel" => (End::Canceled, Fault::None),
        "failed" => match error_code.and_then(of_code) {
            Some((end, fault, _)) => (end, fault),
            None => of_failure(sip),
        },
        _ => return None,
    };
    let carrier_code = error_code.filter(|_| word == "failed").unwrap_or(word).to_owned();
    Some(Signal::Ended(Cause { end, fault, carrier_code: Some(carrier_code), sip_status: sip }))
}

/// Why a call failed, by the final SIP status (RFC 3261 §21).
fn of_failure(sip: Option<u16>) -> (End, Fault) {
    match sip {
        Some(404 | 410 | 484 | 604) => (End::InvalidNumber, Fault::Request),
        Some(486 | 600) => (End::Busy, Fault::Callee),
        // RFC 8197: 607, the callee wants no such calls.
        Some(603 | 607) => (End::Rejected, Fault::Callee),
        Some(487) => (End::NoAnswer, Fault::Callee),
        // Mobile networks say 480 for a telephone that is switched off.
        Some(408 | 480) => (End::Unreachable, Fault::Callee),
        // RFC 8688: 608, something on the way refuses such calls.
        Some(403 | 608) => (End::Blocked, Fault::Request),
        Some(401 | 402 | 407) => (End::CarrierError, Fault::Us),
        Some(_) => (End::CarrierError, Fault::Carrier),
        // Nothing said: most likely a number that cannot be reached, says Twilio of this status.
        None => (End::Unreachable, Fault::Unknown),
    }
}
