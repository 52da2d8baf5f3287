//! Every callee of the field, all called at the same time and in real time: each ends with the status and the reason of
//! the contract, each telephone rings as often as it should, and the backend is told once.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Whole, number};
use crate::world::{
    carrier::{Act, Callee, Create, Line, When},
    server::ending,
};

const CODE: &str = "428571";

struct Case {
    name: &'static str,
    callee: Callee,
    /// What the request has besides.
    with: Value,
    create: Create,
    ends: &'static str,
    rings: usize,
}

fn case(name: &'static str, callee: Callee, ends: &'static str) -> Case {
    Case { name, callee, with: json!({}), create: Create::Taken, ends, rings: 1 }
}

impl Case {
    fn with(self, with: Value) -> Self {
        Self { with, ..self }
    }

    fn silent_line(self) -> Self {
        Self { rings: 0, ..self }
    }

    fn placed(self, create: Create) -> Self {
        Self { create, ..self }
    }
}

fn matched() -> Value {
    json!({ "mode": "match", "code": CODE })
}

fn cases() -> Vec<Case> {
    let slow = Line::Answers(Duration::from_secs(28));
    vec![
        case("presses #", Callee::presses(["#"]), "verified"),
        case("presses # at once, then nothing", Callee::too_early(), "failed no_input"),
        case("hears it again", Callee::presses(["*", "#"]), "verified"),
        case("presses nothing", Callee::silent(), "failed no_input"),
        case("presses a wrong key, then #", Callee::presses(["5", "#"]), "verified"),
        case("presses wrong keys", Callee::presses(["5", "7", "9"]), "failed wrong_input"),
        case("reports the call", Callee::presses(["0", "#"]), "denied fraud_reported"),
        case("reports the call and blocks", Callee::presses(["0", "#", "1"]), "denied fraud_reported"),
        case("denies", Callee::presses(["0"]), "denied callee_denied"),
        case("hangs up before the prompt", Callee::hangs_up_before_prompt(), "failed hung_up_before_prompt"),
        case("hangs up after the prompt", Callee::hangs_up_after_prompt(), "failed hung_up_after_prompt")
            .with(json!({ "locale": "en" })),
        case("answers and drops", Callee::line(Line::AnswersAndDrops), "failed hung_up_before_prompt"),
        case("is busy", Callee::line(Line::Busy), "failed busy").silent_line(),
        case("declines", Callee::line(Line::Declines(Duration::from_secs(3))), "failed rejected"),
        case("does not answer", Callee::line(Line::RingsOut), "failed no_answer"),
        case("does not exist", Callee::line(Line::Fails(404)), "failed invalid_number").silent_line(),
        case("a mailbox", Callee::voicemail(), "failed voicemail"),
        case("a mailbox with tones", Callee::voicemail_with_tones(3), "failed voicemail"),
        case("a screening service, then a person", Callee::screened_then("#"), "verified"),
        case("an extension", Callee::behind_switchboard("123"), "verified").with(json!({ "extension": ",,123" })),
        case("keys the code", Callee::presses(["428571#"]), "verified").with(matched()),
        case("forgets the # once", Callee::presses(["428571", "428571#"]), "verified").with(matched()),
        case("forgets the #", Callee::presses(["428571", "428571", "428571"]), "failed no_terminator").with(matched()),
        case("keys wrong codes", Callee::presses(["111111#", "222222#", "3#"]), "failed wrong_code").with(matched()),
        case(
            "is still on the line when time runs out",
            Callee { line: slow, ..Callee::silent() },
            "expired not_confirmed_in_time",
        )
        .with(json!({ "expires_in": 60, "locale": "en" })),
        case("is refused by the carrier", Callee::silent(), "failed invalid_number")
            .placed(Create::Refused(400, 21211))
            .silent_line(),
        case("an error of the carrier that has placed the call", Callee::presses(["#"]), "verified")
            .placed(Create::FailsAfterPlacing(500)),
        case("a cut line to the carrier that has placed the call", Callee::presses(["#"]), "verified")
            .placed(Create::Cut { placed: true }),
        case("an answer of the carrier that cannot be read", Callee::presses(["#"]), "verified")
            .placed(Create::Garbage),
        case("an answer without a name for the call", Callee::presses(["#"]), "verified").placed(Create::NoSid),
        case("no answer of the carrier, which has placed the call", Callee::presses(["#"]), "verified")
            .placed(Create::Silence { placed: true }),
        case("an error of the carrier, nobody called", Callee::silent(), "expired not_answered_in_time")
            .placed(Create::Fails(500))
            .with(json!({ "expires_in": 60 }))
            .silent_line(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_callee_ends_as_the_contract_says() {
    let whole = Whole::start(1.0, "", "detect_machines = true").await;
    let cases = cases();
    let mut ids = Vec::new();
    for (n, case) in (0u32..).zip(&cases) {
        let to = number(n);
        whole.carrier.callee(&to, case.callee.clone());
        whole.carrier.creates(&to, [case.create.clone()]);
        let mut request = whole.request(&to);
        request.as_object_mut().unwrap().extend(case.with.as_object().unwrap().clone());
        ids.push(whole.server.created(&request).await["id"].as_str().unwrap().to_owned());
    }
    let mut faults = Vec::new();
    for ((n, case), id) in (0u32..).zip(&cases).zip(&ids) {
        let document = whole.server.outcome(id).await;
        let (ended, rings) = (ending(&document), whole.carrier.rings(&number(n)));
        if ended != case.ends || rings != case.rings {
            faults
                .push(format!("{}: {ended}, rang {rings} times, instead of {}, {}", case.name, case.ends, case.rings));
        }
        let told = whole.backend.result_of(id).await;
        let word = document["status"].as_str().unwrap();
        assert_eq!(told.body["type"], format!("verification.{word}"));
        assert_eq!(told.body["data"]["reason"], document["reason"]);
    }
    assert!(faults.is_empty(), "{faults:#?}");
    for (id, results) in whole.backend.by_verification() {
        assert_eq!(results.len(), 1, "{id} was told more than once");
    }
    let asked = whole.carrier.create_requests();
    for n in (0u32..).take(cases.len()) {
        assert_eq!(asked.iter().filter(|to| **to == number(n)).count(), 1, "the carrier was asked twice for one call");
    }
    whole.carrier.all_over().await;
    // A call that perhaps exists is in the log only when it can no longer ring.
    let known = cases.iter().filter(|case| !matches!(case.create, Create::Fails(_))).count();
    let records = whole.server.get("/v1/calls?limit=100").await;
    assert_eq!(records["items"].as_array().map(Vec::len), Some(known), "{records:#}");
    let numbers: Vec<String> = (0u32..).take(cases.len()).map(number).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    whole.check(&numbers, &[CODE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alternate_is_called_when_the_first_was_not_reached() {
    let whole = Whole::start(10.0, "early_keys = \"0s\"\nclosing = \"1s\"", "").await;
    let (first, second, third) = (number(1), number(2), number(3));
    whole.carrier.callee(&first, Callee::line(Line::RingsOut));
    whole.carrier.callee(&second, Callee::line(Line::Busy));
    whole.carrier.callee(&third, Callee::presses(["#"]));
    let mut request = whole.request(&first);
    request["alternates"] = json!([{ "to": second }, { "to": third, "locale": "en" }]);
    let id = whole.server.created(&request).await["id"].as_str().unwrap().to_owned();
    let document = whole.server.outcome(&id).await;
    assert_eq!(ending(&document), "verified");
    assert_eq!(document["calls"].as_array().unwrap().len(), 3);
    let calls = whole.carrier.calls();
    let called: Vec<_> = calls.iter().map(|call| call.param("To").unwrap()).collect();
    assert_eq!(called, [&first, &second, &third], "in order, each once");
    assert!(calls[2].heard[0].contains("Contoso"), "{:?}", calls[2].heard);
    whole.carrier.all_over().await;
    whole.check(&[&first, &second, &third], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoken_code_is_typed_on_the_web() {
    let whole = Whole::start(10.0, "early_keys = \"0s\"\nclosing = \"1s\"", "").await;
    let to = number(1);
    whole.carrier.callee(&to, Callee::person([Act::Press("#", When::After), Act::Wait]));
    let mut request = whole.request(&to);
    request.as_object_mut().unwrap().extend(json!({ "mode": "speak", "code": CODE }).as_object().unwrap().clone());
    let id = whole.server.created(&request).await["id"].as_str().unwrap().to_owned();
    let check = format!("/v1/verifications/{id}/check");
    assert_eq!(whole.server.post(&check, &json!({ "code": CODE })).await.0, 409, "nobody has heard it yet");
    whole.server.until(&id, "the end of the call", |document| document["stage"] == "ended").await;
    let heard = whole.carrier.calls()[0].heard.join(" ");
    let digits: String = heard.chars().filter(char::is_ascii_digit).collect();
    assert!(digits.contains(&CODE.repeat(2)), "the code is spoken twice: {heard}");
    let (status, wrong) = whole.server.post(&check, &json!({ "code": "000000" })).await;
    assert_eq!((status, &wrong["status"]), (200, &json!("pending")), "{wrong:#}");
    let (status, right) = whole.server.post(&check, &json!({ "code": CODE })).await;
    assert_eq!((status, &right["status"]), (200, &json!("verified")), "{right:#}");
    whole.check(&[&to], &[CODE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_is_spoken() {
    let whole = Whole::start(20.0, "early_keys = \"0s\"\nclosing = \"1s\"", "").await;
    let locales = ["en", "ja", "de", "fr", "es", "pt", "it", "ko", "zh-CN", "hi"];
    let mut spoken = Vec::new();
    for (n, locale) in (0u32..).zip(locales) {
        let to = number(n);
        whole.carrier.callee(&to, Callee::presses(["#"]));
        let mut request = whole.request(&to);
        request["locale"] = json!(locale);
        let id = whole.server.created(&request).await["id"].as_str().unwrap().to_owned();
        assert_eq!(ending(&whole.server.outcome(&id).await), "verified", "{locale}");
        let calls = whole.carrier.calls();
        let heard = calls.iter().find(|call| call.param("To") == Some(&to)).unwrap().heard.join(" ");
        assert!(heard.contains("Contoso"), "{locale}: {heard}");
        spoken.push(heard);
    }
    spoken.sort();
    spoken.dedup();
    assert_eq!(spoken.len(), locales.len(), "each language says it in its own words");
    whole.carrier.all_over().await;
    whole.check(&[], &[]).await;
}
