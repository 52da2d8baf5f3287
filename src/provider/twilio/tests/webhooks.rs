//! What Twilio posts, in our words.

use super::*;
use crate::{
    outcome::Attestation,
    provider::Inbound,
    verification::{Aside, Price},
};

const URL: &str = "https://verify.example.com/webhooks/main/T/flow";
const KNOWN: &str = "AccountSid=AC0123456789abcdef0123456789abcdef&CallSid=CA1&To=%2B819012345678";

/// Signs and reads a body posted to `to`.
fn accept(to: Endpoint, body: &str) -> Result<Accepted, Refused> {
    accept_as(TOKEN, to, body)
}

fn accept_as(token: &str, to: Endpoint, body: &str) -> Result<Accepted, Refused> {
    let signature = sign(token, URL, body);
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    let headers = headers(&[("x-twilio-signature", &signature), ("content-type", kind)]);
    dialect("").accept(&Inbound { to, method: "POST", url: URL, headers: &headers, body: body.as_bytes() })
}

fn sign(token: &str, url: &str, body: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut pairs: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    pairs.sort();
    pairs.dedup();
    let text: String = pairs.into_iter().map(|(name, value)| name + &value).collect();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(format!("{url}{text}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// What a body says, in short.
fn said(to: Endpoint, more: &str) -> String {
    let accepted = accept(to, &format!("{KNOWN}&{more}"));
    match accepted {
        Ok(Accepted { signal: None, .. }) => String::from("nothing"),
        Ok(Accepted { signal: Some(Signal::Ended(cause)), .. }) => format!(
            "{:?} {:?} {} {}",
            cause.end,
            cause.fault,
            cause.carrier_code.unwrap_or_default(),
            cause.sip_status.map_or_else(|| "-".into(), |sip| sip.to_string())
        ),
        Ok(Accepted { signal: Some(Signal::Keys { turn, digits, .. }), .. }) => {
            format!("turn {turn}: `{}`", digits.expose())
        }
        Ok(Accepted { signal: Some(signal), .. }) => format!("{signal:?}"),
        Err(refused) => format!("refused: {refused}"),
    }
}

#[test]
fn statuses() {
    for (more, wanted) in [
        ("CallStatus=queued", "Initiated"),
        ("CallStatus=initiated", "Initiated"),
        ("CallStatus=trying", "Initiated"),
        ("CallStatus=ringing", "Ringing"),
        ("CallStatus=early-media", "Ringing"),
        ("CallStatus=in-progress", "Answered"),
        ("CallStatus=answered", "Answered"),
        ("CallStatus=completed&SipResponseCode=200&CallDuration=12", "Completed None completed 200"),
        ("CallStatus=completed&AnsweredBy=machine_start", "Completed None completed -"),
        ("CallStatus=busy&SipResponseCode=486", "Busy Callee busy 486"),
        ("CallStatus=busy", "Busy Callee busy -"),
        ("CallStatus=busy&SipResponseCode=603", "Rejected Callee busy 603"),
        ("CallStatus=no-answer&SipResponseCode=487", "NoAnswer Callee no-answer 487"),
        ("CallStatus=no-answer&SipResponseCode=603", "Rejected Callee no-answer 603"),
        ("CallStatus=timeout", "NoAnswer Callee timeout -"),
        ("CallStatus=canceled", "Canceled None canceled -"),
        ("CallStatus=cancel", "Canceled None cancel -"),
        ("CallStatus=failed&SipResponseCode=404", "InvalidNumber Request failed 404"),
        ("CallStatus=failed&SipResponseCode=484", "InvalidNumber Request failed 484"),
        ("CallStatus=failed&SipResponseCode=403", "Blocked Request failed 403"),
        ("CallStatus=failed&SipResponseCode=480", "Unreachable Callee failed 480"),
        ("CallStatus=failed&SipResponseCode=603", "Rejected Callee failed 603"),
        ("CallStatus=failed&SipResponseCode=503", "CarrierError Carrier failed 503"),
        ("CallStatus=failed&SipResponseCode=402", "CarrierError Us failed 402"),
        ("CallStatus=failed", "Unreachable Unknown failed -"),
        ("CallStatus=failed&ErrorCode=13224", "InvalidNumber Request 13224 -"),
        ("CallStatus=failed&ErrorCode=%3Cscript%3E", "Unreachable Unknown failed -"),
        ("CallStatus=failed&SipResponseCode=many", "Unreachable Unknown failed -"),
        ("CallStatus=promoted", "nothing"),
        ("CallStatus=", "nothing"),
        ("SequenceNumber=7", "nothing"),
        ("AnsweredBy=human&MachineDetectionDuration=3200", "AnsweredBy(Human)"),
        ("AnsweredBy=machine_end_beep", "AnsweredBy(Machine)"),
        ("AnsweredBy=fax", "AnsweredBy(Machine)"),
        ("AnsweredBy=unknown", "AnsweredBy(Unknown)"),
        ("AnsweredBy=somebody", "nothing"),
    ] {
        assert_eq!(said(Endpoint::Status, more), wanted, "{more}");
    }
}

#[test]
fn flow_requests() {
    let flow = |more| said(Endpoint::Flow, more);
    assert_eq!(flow("CallStatus=in-progress"), "Flow { answered: true }");
    assert_eq!(flow("CallStatus=in-progress&ErrorCode=11200&ErrorUrl=x"), "Flow { answered: true }");
    for not_said in ["CallStatus=ringing", "CallStatus=completed", "CallStatus=promoted", "x=1"] {
        assert_eq!(flow(not_said), "Flow { answered: false }", "{not_said}");
    }
}

#[test]
fn keys() {
    let keys = |more| said(Endpoint::Keys { turn: 3 }, more);
    assert_eq!(keys("Digits=%23"), "turn 3: `#`");
    assert_eq!(keys("Digits=%23&FinishedOnKey="), "turn 3: `#`");
    assert_eq!(keys("Digits=123456%23"), "turn 3: `123456#`");
    assert_eq!(keys("Digits=*"), "turn 3: `*`");
    // Silence, however it is said; that a finishing key was set is no key.
    assert_eq!(keys("x=1"), "turn 3: ``");
    assert_eq!(keys("Digits="), "turn 3: ``");
    assert_eq!(keys("Digits=&FinishedOnKey=%23&msg=Gather+End"), "turn 3: ``");
    // A key that no telephone has is a wrong key, not none.
    assert_eq!(keys("Digits=A"), "turn 3: `*`");
    assert_eq!(keys("Digits=12D456%23"), "turn 3: `12*456#`");
    let malformed = "refused: the message cannot be read";
    for bad in ["Digits=%20", "Digits=+", "Digits=%2B", "Digits=x", "Digits=%EF%BC%83", "Digits=%23%00"] {
        assert_eq!(keys(bad), malformed, "{bad}");
    }
    assert_eq!(keys(&format!("Digits={}", "1".repeat(33))), malformed);
}

#[test]
fn what_means_something_may_come_once() {
    for name in
        ["AccountSid", "CallSid", "CallStatus", "Digits", "To", "Called", "AnsweredBy", "SipResponseCode", "ErrorCode"]
    {
        for value in ["1", "2"] {
            let more = format!("{name}=1&{name}={value}");
            for to in [Endpoint::Status, Endpoint::Flow, Endpoint::Keys { turn: 1 }] {
                assert_eq!(said(to, &more), "refused: the message cannot be read", "{more}");
            }
        }
    }
    assert_eq!(said(Endpoint::Flow, "Future=1&Future=2"), "Flow { answered: false }");
}

#[test]
fn whose_call_it_is() {
    let body = |account: &str, rest: &str| format!("AccountSid={account}&{rest}");
    let accepted = accept(Endpoint::Flow, &body(ACCOUNT, "CallSid=v3:abc&To=%2B819012345678")).unwrap();
    assert_eq!(accepted.carrier_call_id.as_deref(), Some("v3:abc"));
    assert_eq!(accepted.to.unwrap().expose(), "+819012345678");
    for to in ["To=%2B819012345678", "Called=%2B819012345678", "To=819012345678"] {
        let accepted = accept(Endpoint::Flow, &body(ACCOUNT, &format!("CallSid=CA1&{to}"))).unwrap();
        assert_eq!(accepted.to.unwrap().expose(), "+819012345678", "{to}");
    }
    let refused = |body: String| accept(Endpoint::Flow, &body).unwrap_err();
    assert_eq!(refused(body("AC9", "CallSid=CA1")), Refused::WrongAccount);
    assert_eq!(refused("CallSid=CA1&To=%2B819012345678".into()), Refused::WrongAccount);
    let too_long = format!("CallSid={}&To=%2B819012345678", "x".repeat(129));
    for malformed in [
        "To=%2B819012345678",
        "CallSid=&To=%2B819012345678",
        "CallSid=a+b&To=%2B819012345678",
        too_long.as_str(),
        "CallSid=CA1",
        "CallSid=CA1&To=",
        "CallSid=CA1&To=sip:a@example.com",
        "CallSid=CA1&To=%2B%2B819012345678",
    ] {
        assert_eq!(refused(body(ACCOUNT, malformed)), Refused::Malformed, "{malformed}");
    }
    // What machine detection reports names no number.
    let detected = accept(Endpoint::Status, &body(ACCOUNT, "CallSid=CA1&AnsweredBy=human")).unwrap();
    assert!(detected.to.is_none() && detected.signal.is_some());
    // Nothing is looked at before the signature: not even whose account it is.
    assert_eq!(accept_as("other", Endpoint::Flow, &body("AC9", "CallSid=CA1")).unwrap_err(), Refused::BadSignature);
}

#[test]
fn also_by_get_and_as_json() {
    let url = format!("{URL}?{KNOWN}&Digits=%23");
    let mine = headers(&[("x-twilio-signature", &sign(TOKEN, &url, ""))]);
    let inbound =
        Inbound { to: Endpoint::Keys { turn: 1 }, method: "GET", url: &url, headers: &mine, body: b"Digits=1" };
    let accepted = dialect("").accept(&inbound).unwrap();
    assert!(matches!(accepted.signal, Some(Signal::Keys { turn: 1, digits, .. }) if digits.expose() == "#"));

    let body = format!(r##"{{"AccountSid":"{ACCOUNT}","CallSid":"CA1","To":"+819012345678","Digits":"#"}}"##);
    let hash = {
        use sha2::Digest;
        data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(body.as_bytes()))
    };
    let url = format!("{URL}?bodySHA256={hash}");
    let mine = headers(&[("x-twilio-signature", &sign(TOKEN, &url, "")), ("content-type", "application/json")]);
    let json = |body: &str| {
        let to = Endpoint::Keys { turn: 1 };
        dialect("").accept(&Inbound { to, method: "POST", url: &url, headers: &mine, body: body.as_bytes() })
    };
    assert!(matches!(json(&body).unwrap().signal, Some(Signal::Keys { digits, .. }) if digits.expose() == "#"));
    assert_eq!(json(&body.replace('#', "1")).unwrap_err(), Refused::BadSignature);
}

#[test]
fn what_is_told_besides_is_kept_and_decides_nothing() {
    let aside = |more: &str| accept(Endpoint::Status, &format!("{KNOWN}&CallStatus=ringing&{more}")).unwrap().aside;
    assert_eq!(aside(""), Aside::default());
    assert_eq!(aside("StirStatus=B").attestation, Some(Attestation::Partial));
    assert_eq!(aside("StirStatus=U").attestation, None, "not signed");
    let price = |amount: &str, unit: &str| aside(&format!("Price={amount}&PriceUnit={unit}")).price;
    assert_eq!(price("-0.0140", "USD"), Price::read("0.0140", "usd"));
    for (amount, unit) in [("", "USD"), ("1.2.3", "USD"), ("=1+1", "USD"), ("1", "US"), ("0.00000000000000001", "USD")]
    {
        assert_eq!(price(amount, unit), None, "{amount} {unit}");
    }
}
