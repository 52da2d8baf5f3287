//! Tests of the dialect: data in, data out, no socket. What is sent and received on the wire is in `tests/it/providers.rs`.

mod documents;
mod properties;
mod signatures;
mod strangers;
mod webhooks;

use std::collections::BTreeMap;

use super::*;
use crate::{
    provider::{CheckKind, Endpoint},
    secret::Secret,
    verification::Signal,
};

/// The account of all tests.
const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "d7b3f6a1c2e94f58a0b1c2d3e4f56789";

/// A configuration with `more` lines of TOML.
fn config(more: &str) -> Config {
    let text = format!(
        "name = \"main\"\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\nfrom = [\"+815012345678\"]\n{more}"
    );
    toml::from_str(&text).unwrap()
}

fn dialect(more: &str) -> Twilio {
    Twilio::new(&config(more)).unwrap()
}

/// Headers from pairs.
fn headers(pairs: &[(&str, &str)]) -> http::HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

#[test]
fn settings_say_what_is_wrong_with_them() {
    let faults = |more: &str| config(more).faults().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(faults("").is_empty());
    assert_eq!(faults("api_key_sid = \"SK1\""), ["`api_key_secret`: is missing beside `api_key_sid`"]);
    assert_eq!(faults("base_url = \"ftp://example.com\""), ["`base_url`: is an http:// or https:// address"]);
    assert_eq!(faults("base_url = \"https://example.com/?a=1\""), ["`base_url`: has no query and no fragment"]);
    let empty =
        toml::from_str::<Config>("name = \"m\"\naccount_sid = \"../x\"\nauth_token = \" \"\nfrom = []\n").unwrap();
    let members: Vec<_> = empty.faults().iter().map(|fault| fault.member).collect();
    assert_eq!(members, ["account_sid", "auth_token", "from"]);
    assert!(Twilio::new(&empty).is_err());
    assert!(toml::from_str::<Config>("name = \"m\"\nacount_sid = \"AC1\"").is_err());
    assert!(!format!("{:?} {:?}", config(""), dialect("")).contains(TOKEN), "secrets are not shown");
}

#[test]
fn only_clear_text_to_other_machines_is_warned_of() {
    let warned = |base: &str| !config(&format!("base_url = \"{base}\"")).warnings().is_empty();
    assert!(warned("http://carrier.example.com"));
    for fine in ["https://carrier.example.com", "http://127.0.0.1:4010", "http://[::1]:80", "http://localhost:1"] {
        assert!(!warned(fine), "{fine}");
    }
    assert!(config("").warnings().is_empty());
}

#[test]
fn connection_overrides_go_to_twilio_only_unless_wished() {
    let fragment = |more: &str| config(more).fragment();
    assert_eq!(fragment(""), "#ct=2000&rt=4500&tt=14000&rc=2&rp=ct,rt,5xx");
    assert_eq!(fragment("base_url = \"https://api.dublin.ie1.twilio.com\""), fragment(""));
    assert_eq!(fragment("base_url = \"https://nottwilio.com\""), "");
    assert_eq!(fragment("base_url = \"https://pbx.example.com\"\nconnection_overrides = \"rc=1\""), "#rc=1");
    assert_eq!(fragment("connection_overrides = \"\""), "");
}

#[test]
fn extensions_in_the_letters_of_the_carrier() {
    assert_eq!(send_digits(",,101#").as_deref(), Some("WW101#"));
    assert_eq!(send_digits("*2").as_deref(), Some("*2"));
    for bad in ["", "1w2", "A", "1 2", "１"] {
        assert_eq!(send_digits(bad), None, "{bad}");
    }
    assert!(send_digits(&"1".repeat(32)).is_some());
    assert!(send_digits(&"1".repeat(33)).is_none());
}

#[test]
fn names_of_calls_cannot_leave_their_place_in_the_path() {
    let uri = |id: &str| dialect("").end(id, Ending::Complete).map(|request| request.uri().to_string());
    let path = |rest: &str| format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls/{rest}.json");
    assert_eq!(uri("CA1"), Some(path("CA1")));
    assert_eq!(uri("v3:a/../b?c#d%2f"), Some(path("v3%3Aa%2F..%2Fb%3Fc%23d%252f")));
    for bad in ["", ".", "..", "a b", "é", &"x".repeat(129)] {
        assert_eq!(uri(bad), None, "{bad}");
    }
}

fn answer(status: u16, body: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

#[test]
fn answers_to_ending_a_call() {
    let ended = |status, body: &str| dialect("").ended(&answer(status, body));
    let over = |never_dialled| Ended::Over { never_dialled };
    assert_eq!(ended(200, r#"{"status":"completed","start_time":null}"#), over(false));
    assert_eq!(ended(200, r#"{"status":"canceled","start_time":null}"#), over(true));
    assert_eq!(ended(200, r#"{"status":"canceled"}"#), over(false), "not said is not known");
    assert_eq!(ended(200, r#"{"status":"canceled","start_time":"Tue, 24 Nov 2026"}"#), over(false));
    assert_eq!(ended(200, "garbage"), over(false));
    assert_eq!(ended(404, r#"{"code":20404}"#), over(false));
    assert_eq!(ended(400, r#"{"code":21220}"#), Ended::OtherState);
    assert_eq!(ended(422, r#"{"code":"21220"}"#), Ended::OtherState);
    assert_eq!(ended(429, r#"{"code":20429}"#), Ended::Later("20429".into()));
    assert_eq!(ended(503, "<html>"), Ended::Later("http_503".into()));
    assert_eq!(ended(401, r#"{"code":20003}"#), Ended::Never("20003".into()));
}

#[test]
fn answers_to_looking_whether_we_are_known() {
    let probed = |status, body: &str| dialect("").probed(&answer(status, body));
    assert!(probed(200, r#"{"status":"active"}"#).is_ok());
    assert_eq!(probed(200, r#"{"status":"suspended"}"#), Err(CheckFault::refused("the account is suspended")));
    let fault = |status| probed(status, "").map_err(|fault| (fault.kind, fault.why)).unwrap_err();
    for (status, kind, word) in [
        (401, CheckKind::Refused, "auth token"),
        (403, CheckKind::Refused, "auth token"),
        (404, CheckKind::Refused, "base_url"),
        (429, CheckKind::Away, "429"),
        (502, CheckKind::Away, "502"),
    ] {
        assert!(fault(status).0 == kind && fault(status).1.contains(word), "{status}: {:?}", fault(status));
    }
    let probe = dialect("api_key_sid = \"SK1\"\napi_key_secret = \"s\"").probe();
    assert_eq!(probe.uri().path(), format!("/2010-04-01/Accounts/{ACCOUNT}.json"));
    assert_eq!(probe.headers()["authorization"], "Basic U0sxOnM=");
}

/// Reads an error of the API: our words for it.
fn refusal(status: u16, body: &str) -> String {
    let created = dialect("").created(&answer(status, body));
    let Created::Settled(PlaceResult::Refused { cause, try_next_route }) = created else {
        return format!("{created:?}");
    };
    format!("{:?} {:?} {}", cause.end, cause.fault, if try_next_route { "elsewhere" } else { "never" })
}

#[test]
fn codes_decide_not_statuses() {
    for (code, wanted) in [
        ("21211", "InvalidNumber Request never"),
        ("21217", "InvalidNumber Request never"),
        ("13224", "InvalidNumber Request never"),
        ("21214", "Unreachable Carrier elsewhere"),
        ("21215", "Blocked Request elsewhere"),
        ("21216", "Blocked Request never"),
        ("13225", "Blocked Request never"),
        ("21219", "CarrierError Us elsewhere"),
        ("573005", "CarrierError Us elsewhere"),
        ("20003", "CarrierError Us elsewhere"),
        ("20404", "CarrierError Us elsewhere"),
        ("10001", "CarrierError Us elsewhere"),
        ("21205", "CarrierError Us elsewhere"),
        ("21210", "CarrierError Us elsewhere"),
        ("21212", "CarrierError Us elsewhere"),
        ("21626", "CarrierError Us elsewhere"),
        ("99999", "CarrierError Carrier elsewhere"),
    ] {
        for status in [400, 403, 404, 422] {
            assert_eq!(refusal(status, &format!("{{\"code\":{code}}}")), wanted, "{code} {status}");
            assert_eq!(refusal(status, &format!("{{\"code\":\"{code}\"}}")), wanted, "{code} as text");
        }
    }
    assert_eq!(refusal(422, r#"{"errors":[{"code":"S1005"}]}"#), "CarrierError Us elsewhere");
    // A server that broke down may have placed the call, whatever it says.
    assert!(refusal(500, r#"{"code":21211}"#).contains("Unknown"));
    assert!(refusal(503, r#"{"code":20429}"#).contains("Unknown"));
}

#[test]
fn codes_that_are_ours_to_repair_say_what_they_mean() {
    let meant = |code| errors::meaning(code).map(CodeMeaning::as_str);
    let told = ["20003", "10001", "21210", "21219", "21215", "21609", "21211", "99999"].map(meant);
    let wanted = ["credentials", "account", "caller_id", "trial", "country", "address"].map(Some);
    assert_eq!(told, [&wanted[..], &[None, None]].concat()[..]);
}
