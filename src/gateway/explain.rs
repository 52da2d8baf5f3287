//! Owns the answer to "why did this call fail?": which sentences of the catalogue explain a call record, and what an
//! operator does about it. It owns no wording, and no word of any one carrier.

use std::time::Duration;

use crate::{
    outcome::{Fault, Reason, Status},
    provider::CodeMeaning,
    texts,
    time::Timestamp,
    verification::{CallRecord, End},
};

/// What came of a call: how far it came, what was found, and on whose side that is.
pub(super) fn summary(record: &CallRecord, language: &str) -> String {
    let found = match record.reason {
        Some(reason) => format!("found-{reason}"),
        None if record.status == Status::Verified => String::from("found-verified"),
        None => String::from("found-nothing"),
    };
    let cause = record.cause.as_ref().filter(|_| record.reason.is_some());
    let side = cause.and_then(|cause| side(cause.fault)).map(|id| texts::call(language, id, &[]));
    let sentences = [Some(course(record, language)), Some(texts::call(language, &found, &[])), side];
    let between = texts::call(language, "between-sentences", &[]);
    sentences.into_iter().flatten().collect::<Vec<_>>().join(if between == "none" { "" } else { " " })
}

/// What to do about it; `None` where nothing went wrong. Where it is known what the carrier's code means, that decides.
pub(super) fn next_step(record: &CallRecord, meaning: Option<CodeMeaning>, language: &str) -> Option<String> {
    let reason = record.reason?;
    let code = record.cause.as_ref().and_then(|cause| cause.carrier_code.as_deref());
    let id = match reason {
        Reason::CarrierError | Reason::Unreachable | Reason::Blocked => match meaning {
            Some(meaning) => format!("do-code-{}", meaning.as_str()),
            None => broken(record, reason),
        },
        Reason::NoAnswer
        | Reason::Busy
        | Reason::Rejected
        | Reason::InvalidNumber
        | Reason::Voicemail
        | Reason::Screened
        | Reason::HungUpBeforePrompt
        | Reason::HungUpAfterPrompt
        | Reason::NoInput
        | Reason::NoTerminator
        | Reason::WrongInput
        | Reason::WrongCode
        | Reason::CalleeDenied
        | Reason::FraudReported
        | Reason::NotAnsweredInTime
        | Reason::NotConfirmedInTime
        | Reason::ByClient => format!("do-{reason}"),
    };
    let step = texts::call(language, &id, &[("carrier", &record.carrier)]);
    let told = code.filter(|_| ["do-fault", "do-sip", "do-code"].iter().any(|start| id.starts_with(start)));
    let Some(code) = told else { return Some(step) };
    let between = if texts::call(language, "between-sentences", &[]) == "none" { "" } else { " " };
    Some([step, texts::call(language, "do-look-up", &[("code", code)])].join(between))
}

/// Which advice fits a call that somebody on the way could not make. The final status of a call over SIP says most
/// (RFC 3261, section 21), whose fault it was the rest.
fn broken(record: &CallRecord, reason: Reason) -> String {
    let sip = record.cause.as_ref().and_then(|cause| cause.sip_status);
    let fault = record.cause.as_ref().map_or(Fault::Unknown, |cause| cause.fault);
    let id = match (sip, fault) {
        (Some(401 | 403 | 407), Fault::Carrier | Fault::Request | Fault::Us | Fault::Unknown) => "do-sip-denied",
        (Some(415 | 488 | 606), _) => "do-sip-media",
        (Some(408 | 500..=599), Fault::Carrier | Fault::Unknown) => "do-sip-server",
        (_, Fault::Carrier) => "do-fault-carrier",
        (_, Fault::Request) => "do-fault-request",
        (_, Fault::Us) => "do-fault-us",
        (_, Fault::Callee | Fault::Unknown | Fault::None) => return format!("do-{reason}"),
    };
    id.to_owned()
}

/// How far it came.
fn course(record: &CallRecord, language: &str) -> String {
    let carrier = record.carrier.as_str();
    let say = |id: &str, rang: Duration, talked: Duration| {
        let (rang, talked) = (seconds(rang), seconds(talked));
        texts::call(language, id, &[("carrier", carrier), ("rang", &rang), ("talked", &talked)])
    };
    let none = Duration::ZERO;
    if carrier.is_empty() {
        return say("course-no-carrier", none, none);
    }
    let from = record.ringing_at.or(record.placed_at).unwrap_or(record.queued_at);
    let until = |to: Timestamp| to.since(from);
    match (record.answered_at, record.ringing_at, record.placed_at) {
        (Some(answered), _, _) => say("course-answered", until(answered), record.ended_at.since(answered)),
        (None, Some(_), _) => say("course-rang", until(record.ended_at), none),
        (None, None, Some(_)) => say("course-dialled", until(record.ended_at), none),
        // A trunk that says at once what came of it did take the call.
        (None, None, None) if is_callees(record) => say("course-not-rung", none, none),
        (None, None, None) => say("course-not-placed", none, none),
    }
}

/// Whether it ended for a reason on the side of the callee, or of the number.
fn is_callees(record: &CallRecord) -> bool {
    record.cause.as_ref().is_some_and(|cause| match cause.end {
        End::NoAnswer | End::Busy | End::Rejected | End::Unreachable | End::InvalidNumber => true,
        End::Completed | End::Canceled | End::CarrierError | End::Blocked => false,
    })
}

const fn side(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::Callee => Some("fault-callee"),
        Fault::Carrier => Some("fault-carrier"),
        Fault::Request => Some("fault-request"),
        Fault::Us => Some("fault-us"),
        Fault::Unknown => Some("fault-unknown"),
        Fault::None => None,
    }
}

/// Whole seconds, rounded.
fn seconds(of: Duration) -> String {
    ((of.as_millis() + 500) / 1000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{CallId, ID_BYTES, NumberHash, VerificationId},
        outcome::Mode,
        verification::{Cause, End},
    };

    fn record(reason: Option<Reason>, cause: Option<Cause>) -> CallRecord {
        let at = |ms: u64| Timestamp::from_ms(1_795_000_000_000 + ms);
        CallRecord {
            id: CallId { verification: VerificationId::from_bytes([1; ID_BYTES]), index: 0 },
            client: String::from("enrolment"),
            reference: None,
            to_masked: String::from("+81 •• •••• 5678"),
            number_hash: NumberHash::new([1; 16]),
            country: "JP".parse().unwrap(),
            number_type: String::from("mobile"),
            carrier: String::from("main"),
            carrier_call_id: None,
            caller_id: None,
            locale: String::from("ja-JP"),
            flow: String::from("press-pound"),
            flow_version: 1,
            mode: Mode::Confirm,
            status: reason.map_or(Status::Verified, Reason::status),
            reason,
            queued_at: at(0),
            placed_at: Some(at(100)),
            ringing_at: Some(at(1_000)),
            answered_at: None,
            ended_at: at(31_400),
            cause,
            prompts: 0,
            answered_by: None,
            block_requested: false,
            events: Vec::new(),
            attestation: None,
            price: None,
            delivery: None,
        }
    }

    fn cause(fault: Fault, carrier_code: Option<&str>, sip_status: Option<u16>) -> Option<Cause> {
        Some(Cause { end: End::CarrierError, fault, carrier_code: carrier_code.map(str::to_owned), sip_status })
    }

    #[test]
    fn a_call_is_explained_in_a_sentence_or_two() {
        let rang = record(Some(Reason::NoAnswer), cause(Fault::Callee, None, Some(480)));
        assert_eq!(
            summary(&rang, "en"),
            "Rang 30 s over the carrier main. Nobody answered. That is on the callee's side."
        );
        assert_eq!(
            summary(&rang, "ja"),
            "通信事業者 main 経由で 30 秒間呼び出しました。応答がありませんでした。着信側の事情です。"
        );
        assert!(next_step(&rang, None, "en").unwrap().contains("alternate"));
        let done = CallRecord {
            answered_at: Some(rang.queued_at.plus(Duration::from_secs(11))),
            ..record(None, cause(Fault::Callee, None, None))
        };
        assert_eq!(
            summary(&done, "en"),
            "Answered after 10 s over the carrier main, and lasted 20 s. The right keys came: verified."
        );
        assert_eq!(next_step(&done, None, "en"), None);
        let lost = CallRecord { ringing_at: None, placed_at: None, ..record(Some(Reason::CarrierError), None) };
        assert!(summary(&lost, "en").starts_with("The carrier main did not take the call."));
        let absent = Cause { end: End::Unreachable, ..cause(Fault::Callee, None, Some(480)).unwrap() };
        let absent = CallRecord { cause: Some(absent), reason: Some(Reason::Unreachable), ..lost.clone() };
        assert!(summary(&absent, "en").starts_with("Dialled over the carrier main; it did not ring. The number"));
        let nobody = CallRecord { carrier: String::new(), ..lost };
        assert!(summary(&nobody, "en").starts_with("No carrier was found for it."));
    }

    #[test]
    fn what_to_do_depends_on_who_failed() {
        let step =
            |fault, code, sip| next_step(&record(Some(Reason::CarrierError), cause(fault, code, sip)), None, "en");
        let denied = step(Fault::Carrier, Some("403 Forbidden"), Some(403)).unwrap();
        assert!(
            denied.contains("password") && denied.ends_with("The carrier's own word for it: 403 Forbidden."),
            "{denied}"
        );
        let steps = [
            step(Fault::Carrier, None, Some(403)),
            step(Fault::Carrier, None, Some(488)),
            step(Fault::Carrier, None, Some(503)),
            step(Fault::Carrier, Some("21211"), None),
            step(Fault::Request, None, None),
            step(Fault::Us, None, None),
            step(Fault::Unknown, None, None),
        ];
        let all: std::collections::BTreeSet<_> = steps.iter().flatten().collect();
        assert_eq!(all.len(), steps.len(), "each has its own");
    }

    #[test]
    fn a_code_whose_meaning_is_known_says_what_to_do() {
        for language in texts::call_languages() {
            let mut all = std::collections::BTreeSet::new();
            for meaning in CodeMeaning::ALL {
                let failed = record(Some(Reason::CarrierError), cause(Fault::Us, Some("4711"), None));
                let step = next_step(&failed, Some(*meaning), language).unwrap();
                assert!(!step.starts_with("do-") && step.contains("4711"), "{language}: {step}");
                all.insert(step);
            }
            assert_eq!(all.len(), CodeMeaning::ALL.len(), "each has its own");
        }
        let busy = record(Some(Reason::Busy), cause(Fault::Callee, Some("4711"), None));
        assert_eq!(next_step(&busy, Some(CodeMeaning::Account), "en"), next_step(&busy, None, "en"));
    }

    #[test]
    fn every_reason_and_fault_is_explained_in_each_language() {
        for language in texts::call_languages() {
            for reason in Reason::ALL {
                for fault in Fault::ALL {
                    for sip in [None, Some(403), Some(488), Some(503), Some(404)] {
                        let record = record(Some(*reason), cause(*fault, Some("code"), sip));
                        let told = summary(&record, language);
                        let step = next_step(&record, None, language).unwrap();
                        for id in ["course-", "found-", "fault-", "do-", "between-"] {
                            assert!(
                                !told.contains(id) && !step.starts_with(id),
                                "{language} {reason} {fault}: {told} {step}"
                            );
                        }
                    }
                }
            }
        }
    }
}
