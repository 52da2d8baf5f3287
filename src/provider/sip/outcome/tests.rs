//! The tables of what a trunk's last word means, row by row.

use super::*;

fn reason(protocol: &str, cause: Option<u16>, text: &str, by_user: bool) -> Reason {
    let text = (!text.is_empty()).then(|| text.to_owned());
    Reason { protocol: protocol.to_owned(), cause, text, by_user }
}

fn q(cause: u16) -> Reason {
    reason("Q.850", Some(cause), "as it says", false)
}

fn refusal(code: u16, phrase: &str, reasons: Vec<Reason>) -> Refusal {
    Refusal {
        code,
        phrase: phrase.to_owned(),
        local: false,
        seen_response: true,
        rang: false,
        canceled: None,
        crossed: false,
        reasons,
        retry_after: None,
        warning: None,
        contacts: Vec::new(),
    }
}

/// End, fault, whether the next trunk is tried.
fn check(code: u16, reasons: Vec<Reason>, end: End, fault: Fault, try_next: bool) {
    let said = format!("{code} {reasons:?}");
    let verdict = of(Unanswered::Refused(&refusal(code, "Phrase", reasons)));
    let got = (verdict.cause.end, verdict.cause.fault, verdict.try_next);
    assert_eq!(got, (end, fault, try_next), "{said}");
    assert_eq!(verdict.cause.sip_status, Some(code));
}

#[test]
fn every_final_status_has_its_meaning() {
    let rows: &[(&[u16], End, Fault, bool)] = &[
        (&[300, 301, 302, 305, 380], End::CarrierError, Fault::Carrier, false),
        (&[401, 407], End::CarrierError, Fault::Us, false),
        (&[400, 402, 405, 406, 413, 414, 415, 416, 420, 421, 423, 493], End::CarrierError, Fault::Us, false),
        (&[482, 483], End::CarrierError, Fault::Carrier, true),
        (&[403], End::CarrierError, Fault::Carrier, false),
        (&[404, 410, 484, 485, 604], End::InvalidNumber, Fault::Request, false),
        (&[408, 480, 487], End::NoAnswer, Fault::Callee, false),
        (&[422, 428, 433, 436, 437, 438], End::CarrierError, Fault::Us, false),
        (&[486, 600], End::Busy, Fault::Callee, false),
        (&[488, 606], End::CarrierError, Fault::Us, true),
        (&[500, 502, 503, 504], End::CarrierError, Fault::Carrier, true),
        (&[501, 505, 513, 580], End::CarrierError, Fault::Carrier, false),
        (&[603], End::Rejected, Fault::Callee, false),
        (&[607], End::Blocked, Fault::Callee, false),
        (&[608], End::Blocked, Fault::Carrier, false),
        // Unknown ones count as x00 of their class.
        (&[499], End::CarrierError, Fault::Us, false),
        (&[599], End::CarrierError, Fault::Carrier, true),
        (&[699], End::Busy, Fault::Callee, false),
    ];
    for (codes, end, fault, try_next) in rows {
        for code in *codes {
            check(*code, Vec::new(), *end, *fault, *try_next);
        }
    }
}

#[test]
fn a_cause_of_the_telephone_network_refines_what_says_little() {
    let rows: &[(&[u16], End, Fault, bool)] = &[
        (&[1, 2, 3, 22, 26, 28], End::InvalidNumber, Fault::Request, false),
        (&[17], End::Busy, Fault::Callee, false),
        (&[18, 19, 31], End::NoAnswer, Fault::Callee, false),
        (&[21], End::Rejected, Fault::Callee, false),
        (&[20, 27], End::Unreachable, Fault::Callee, false),
        (&[23, 29, 55, 57, 87, 65, 70, 79, 111, 127], End::CarrierError, Fault::Carrier, false),
        (&[34, 38, 41, 42, 47, 58, 88, 102], End::CarrierError, Fault::Carrier, true),
    ];
    for (causes, end, fault, try_next) in rows {
        for cause in *causes {
            check(480, vec![q(*cause)], *end, *fault, *try_next);
            // Of itself a 503 may go to the next trunk, and a cause that says only "failed" does not forbid it.
            check(503, vec![q(*cause)], *end, *fault, *try_next || *end == End::CarrierError);
        }
    }
    let sip = || reason("SIP", Some(17), "", false);
    check(487, vec![sip(), reason("q.850", Some(17), "", false)], End::Busy, Fault::Callee, false);
    check(500, vec![sip(), q(1)], End::InvalidNumber, Fault::Request, false);
    check(486, vec![q(1)], End::Busy, Fault::Callee, false);
    for little in [q(16), sip(), reason("Q.850", None, "", false), reason("", Some(17), "", false)] {
        check(480, vec![little], End::NoAnswer, Fault::Callee, false);
    }
}

#[test]
fn a_refusal_is_the_callees_only_when_the_network_says_so() {
    check(403, vec![q(21)], End::CarrierError, Fault::Carrier, false);
    check(403, vec![reason("Q.850", Some(21), "", true)], End::Rejected, Fault::Callee, false);
    check(403, vec![q(1)], End::InvalidNumber, Fault::Request, false);
}

#[test]
fn blocked_by_analysis_is_no_decline() {
    let end = |phrase, reasons| of(Unanswered::Refused(&refusal(603, phrase, reasons))).cause;
    let why = || vec![reason("SIP", Some(603), "v=analytics1", false)];
    assert_eq!(
        (end("Network Blocked", why()).end, end("Network Blocked", why()).fault),
        (End::Blocked, Fault::Carrier)
    );
    assert_eq!(end("Network Blocked", Vec::new()).end, End::Rejected);
    assert_eq!(end("Decline", why()).end, End::Rejected);
}

#[test]
fn after_our_cancel_we_know_why() {
    let canceled = |code, why| {
        let refusal = Refusal { canceled: Some(why), ..refusal(code, "Request Terminated", vec![q(17)]) };
        let Verdict { cause, try_next } = of(Unanswered::Refused(&refusal));
        assert!(!try_next);
        (cause.end, cause.fault)
    };
    assert_eq!(canceled(487, Canceled::RingLimit), (End::NoAnswer, Fault::Callee));
    assert_eq!(canceled(487, Canceled::Asked), (End::Canceled, Fault::None));
    // The callee was faster than our CANCEL.
    assert_eq!(canceled(486, Canceled::RingLimit), (End::Busy, Fault::Callee));
}

#[test]
fn what_the_trunk_never_said_has_no_status() {
    let local = |code, seen_response, rang| {
        let refusal = Refusal { local: true, seen_response, rang, ..refusal(code, "", Vec::new()) };
        let Verdict { cause, try_next } = of(Unanswered::Refused(&refusal));
        assert_eq!(cause.sip_status, None);
        (cause.end, cause.fault, try_next)
    };
    assert_eq!(local(408, false, false), (End::CarrierError, Fault::Carrier, true));
    assert_eq!(local(503, false, false), (End::CarrierError, Fault::Carrier, true));
    // Taken and never finished: whether it rang is not known, so nobody is called again.
    assert_eq!(local(408, true, false), (End::CarrierError, Fault::Carrier, false));
    assert_eq!(local(503, true, true), (End::NoAnswer, Fault::Callee, false));
    assert_eq!(local(400, false, false), (End::CarrierError, Fault::Us, false));
    let never_confirmed = Refusal { local: true, canceled: Some(Canceled::RingLimit), ..refusal(487, "", Vec::new()) };
    let cause = of(Unanswered::Refused(&never_confirmed)).cause;
    assert_eq!((cause.end, cause.sip_status), (End::NoAnswer, None));
}

#[test]
fn without_a_response_another_trunk_is_tried() {
    let cases = [Unanswered::NoWay("connection refused"), Unanswered::Full("the trunk is full")];
    for ended in cases {
        let Verdict { cause, try_next } = of(ended);
        assert_eq!((cause.end, cause.fault, cause.sip_status), (End::CarrierError, Fault::Carrier, None));
        assert!(try_next);
    }
    let no_media = of(Unanswered::NoMedia("no codec of ours"));
    assert_eq!((no_media.cause.end, no_media.cause.fault), (End::CarrierError, Fault::Us));
}

#[test]
fn phrase_and_reason_are_kept_without_numbers() {
    let code = |code, phrase: &str, reasons| {
        of(Unanswered::Refused(&refusal(code, phrase, reasons))).cause.carrier_code.unwrap_or_default()
    };
    let busy = vec![reason("Q.850", Some(17), "User busy", false)];
    assert_eq!(code(486, "Busy Here", busy), "486 Busy Here; Q.850 17 User busy");
    assert_eq!(code(486, "", Vec::new()), "486");
    let number = "No +81 (90) 1234-5678, sip:0312345678@x\r\nX: 1 in 10 s";
    assert_eq!(code(404, number, Vec::new()), "404 No +…, sip:…@xX: 1 in 10 s");
    let text = vec![reason("Q.850", Some(1), "0312345678", false)];
    assert_eq!(code(404, "Ask 03-1234-5678", text), "404 Ask …; Q.850 1 …");
    assert_eq!(code(404, &"x".repeat(500), Vec::new()).chars().count(), MAX_CODE);
    let over = completed(&[reason("Q.850", Some(16), "Normal call clearing", false)]);
    assert_eq!(over.carrier_code.as_deref(), Some("Q.850 16 Normal call clearing"));
    assert_eq!((over.end, over.fault, completed(&[]).carrier_code), (End::Completed, Fault::None, None));
    assert_eq!(broken("no media").fault, Fault::Carrier);
    assert_eq!(of_ours(End::CarrierError, Fault::Us, "x").sip_status, None);
}
