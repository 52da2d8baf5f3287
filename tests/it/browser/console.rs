//! The console in a real browser, over a real Redis and a carrier whose callees follow a script: an operator finds a failed
//! call and reads why, watches one that is up, sends a dead letter again; every page in both languages and colours, wide
//! and small, held to our rules and to those of axe-core.

use std::time::Duration;

use fantoccini::{Locator, key::Key};
use serde_json::{Value, json};

use super::{
    driver::{DRESSES, Desk},
    look_despite,
};
use crate::world::{
    backend::Backend,
    carrier::{self, Callee, Carrier, Create, Line},
    redis::Redis,
    server::{KEY, OPERATORS_KEY, OTHER_KEY, Server, Settings},
};

/// How fast the time of the carriers runs: of one whose calls are over at once, of one whose calls can be watched.
const SPEEDS: (f64, f64) = (50.0, 5.0);
/// How long somebody who is watched lets it ring, in the time of the carrier.
const RINGS: Duration = Duration::from_secs(25);

/// Widths of a large screen, of a small one, and of the smallest (WCAG 2.2, success criterion 1.4.10), in CSS pixels.
const LARGE: u32 = 1280;
const SMALL: [u32; 2] = [340, 320];

/// Who is called, and how their number ends.
const NOBODY: (&str, &str) = ("+819012345678", "5678");
const VERIFIED: &str = "+819022223333";
const WATCHED: &str = "+12015550123";

/// Everything that runs, and the browser.
struct Place {
    desk: Desk,
    server: Server,
    main: Carrier,
    slow: Carrier,
    backend: Backend,
    redis: Redis,
}

/// One browser for everything: it takes seconds to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_look_after_calls_in_a_browser() {
    let place = Place::open().await;
    let desk = &place.desk;
    the_way_in_says_what_is_wrong(desk).await;
    an_empty_house_says_so(&place).await;
    a_call_is_watched_without_loading_the_page_again(&place).await;
    let failed = a_failed_call_is_found_by_digits_and_hour(&place).await;
    filters_live_in_the_address(desk).await;
    let verified = a_dead_letter_is_seen(&place).await;
    full_pages_are_for_everybody(&place, &failed, &verified).await;
    the_dead_letter_is_sent_again(&place, &verified).await;
    whoever_may_not_is_told_so(desk).await;
    forms_do_it_without_scripts(&place, &failed).await;
    the_policy_of_every_page_is_strict(desk).await;
    a_store_that_is_away_is_said_to_be(place).await;
}

impl Place {
    async fn open() -> Self {
        let redis = Redis::start();
        let start = async |speed| Carrier::start(carrier::Settings { speed, ..carrier::Settings::default() }).await;
        let (main, slow) = (start(SPEEDS.0).await, start(SPEEDS.1).await);
        let account = slow.settings();
        let second = format!(
            "[[carriers]]\nname = \"slow\"\nkind = \"twilio\"\nbase_url = \"{}\"\naccount_sid = \"{}\"\nauth_token = \"{}\"\n\
             from = [\"+815012345678\"]\ncountries = [\"US\"]\n",
            slow.base_url(),
            account.account_sid,
            account.auth_token
        );
        let verification = String::from("early_keys = \"0s\"\nclosing = \"0s\"\nredial_after = \"0s\"");
        let settings = Settings { store: redis.url(), verification, carrier: second };
        let server = Server::start(&main, &settings).await;
        let desk = Desk::at(server.url("")).await;
        desk.size(LARGE, 900).await;
        Self { desk, server, main, slow, backend: Backend::start().await, redis }
    }

    /// Asks for a verification: the name of its first call. Only operators choose the carrier.
    async fn call(&self, to: &str, more: Value) -> String {
        let mut request = json!({ "to": to, "locale": "en", "reference": "user-42" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let key = if more["carrier"].is_null() { KEY } else { OPERATORS_KEY };
        let (status, created) = self.server.post_as(key, "/v1/verifications", &request).await;
        assert_eq!(status, 201, "{created:#}");
        format!("{}_1", created["id"].as_str().unwrap().replace("ver_", "call_"))
    }

    async fn over(&self, call: &str) {
        self.server.outcome(&verification_of(call)).await;
    }
}

fn verification_of(call: &str) -> String {
    call.trim_end_matches("_1").replace("call_", "ver_")
}

/// The page that is shown in every language and colours on a large screen, and in both languages on small ones.
async fn in_every_dress(desk: &Desk, name: &str, status: u16) {
    let path = desk.at_path().await;
    for (language, theme) in DRESSES {
        desk.dress("/console/taste", (language, theme)).await;
        desk.go(&path).await;
        look_despite(desk, &format!("console-{name}-{language}-{theme}"), status).await;
        if theme == "light" {
            for width in SMALL {
                desk.size(width, 800).await;
                look_despite(desk, &format!("console-{name}-{language}-{width}"), status).await;
            }
            desk.size(LARGE, 900).await;
        }
    }
    desk.dress("/console/taste", ("en", "light")).await;
    desk.go(&path).await;
    let _told = desk.complaints().await;
}

async fn signs_in(desk: &Desk, key: &str, wish: &str) {
    desk.browser.delete_all_cookies().await.unwrap();
    desk.go("/console/sign-in").await;
    desk.dress("/console/taste", ("en", "light")).await;
    desk.go(wish).await;
    presents(desk, key).await;
}

async fn presents(desk: &Desk, key: &str) {
    desk.find("#key").await.send_keys(key).await.unwrap();
    desk.keys(&Key::Enter.to_string()).await;
}

/// Waits for the page of this path.
async fn arrives(desk: &Desk, path: &str) {
    let there =
        format!("return location.pathname + location.search === {} && document.readyState === 'complete'", json!(path));
    desk.until(&format!("{path} is there"), &there).await;
}

async fn the_way_in_says_what_is_wrong(desk: &Desk) {
    desk.go("/console/outbox").await;
    desk.until_says("h1", "コンソールにサインイン").await;
    in_every_dress(desk, "sign-in", 200).await;
    for (key, told) in [("rp_wrong", "not a key of this installation"), (OTHER_KEY, "may not see calls")] {
        presents(desk, key).await;
        desk.until_says("#problem", told).await;
        look_despite(desk, "console-sign-in-refused", 403).await;
    }
    presents(desk, OPERATORS_KEY).await;
    arrives(desk, "/console/outbox").await;
}

/// Every place of the menu before anything has happened.
async fn an_empty_house_says_so(place: &Place) {
    let desk = &place.desk;
    for path in places(desk).await {
        desk.go(&path).await;
        in_every_dress(desk, &format!("empty-{}", path.rsplit('/').next().unwrap()), 200).await;
    }
    desk.go("/console/calls").await;
    assert!(desk.text("#live").await.contains("No calls yet"));
    desk.go("/console/outbox").await;
    desk.until_says(".verdict", "Every result is delivered").await;
}

/// The paths of the menu.
async fn places(desk: &Desk) -> Vec<String> {
    let paths = desk.run("return [...document.querySelectorAll('.places a')].map((link) => link.pathname)").await;
    let paths: Vec<String> = serde_json::from_value(paths).unwrap();
    assert!(paths.len() > 1, "{paths:?}");
    paths
}

async fn a_call_is_watched_without_loading_the_page_again(place: &Place) {
    let desk = &place.desk;
    let slowly = Callee { line: Line::Answers(RINGS), ..Callee::presses(["#"]) };
    place.slow.callees(WATCHED, [slowly.clone(), slowly]);
    desk.go("/console/calls").await;
    desk.click("#title").await;
    desk.run("window.stayed = true").await;
    let first = place.call(WATCHED, json!({ "carrier": "slow" })).await;
    let row = format!("return document.querySelector('tr[data-id={first}] .mark.busy')?.innerText ?? ''");
    desk.until("the call is in the list", &row).await;
    desk.until_says("#count", "1 in progress").await;
    look_despite(desk, "console-calls-live", 200).await;
    let done = format!("return !!document.querySelector('tr[data-id={first}] .mark.good')");
    desk.until("the list says what came of it", &done).await;
    assert_eq!(desk.run("return window.stayed").await, true, "the list was not loaded again");

    let second = place.call(WATCHED, json!({ "carrier": "slow" })).await;
    desk.go(&format!("/console/calls/{second}")).await;
    desk.run(
        "window.stayed = true; \
         const verdict = () => document.getElementById('answer-title').innerText.trim(); \
         window.seen = [verdict()]; window.steps = [document.querySelectorAll('#steps li').length]; \
         new MutationObserver(() => { \
           if (seen.at(-1) !== verdict()) { seen.push(verdict()); steps.push(document.querySelectorAll('#steps li').length); } \
         }).observe(document.getElementById('live'), { childList: true, subtree: true, characterData: true });",
    )
    .await;
    desk.until_says("#answer-title", "Ringing").await;
    look_despite(desk, "console-call-ringing", 200).await;
    desk.until("it is over", "return !!document.querySelector('.answer.good')").await;
    let [seen, steps]: [Value; 2] =
        serde_json::from_value(desk.run("return [window.seen, window.steps]").await).unwrap();
    assert_eq!(desk.run("return window.stayed").await, true, "the page was not loaded again");
    let mut stages: Vec<&str> = seen.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    // Between two looks of the page it may have passed.
    stages.retain(|stage| *stage != "Answered");
    assert!(stages.ends_with(&["Ringing", "Asked for a key", "Verified"]), "each stage when it came: {stages:?}");
    let steps: Vec<u64> = serde_json::from_value(steps).unwrap();
    assert!(steps.is_sorted() && steps.last() > steps.first(), "the ladder grew: {steps:?}");
}

/// As somebody calls in: “a call to my phone, it ends with 5678, half an hour ago”.
async fn a_failed_call_is_found_by_digits_and_hour(place: &Place) -> String {
    let desk = &place.desk;
    let (nobody, ending) = NOBODY;
    place.main.callee(nobody, Callee::line(Line::RingsOut));
    let failed = place.call(nobody, json!({})).await;
    place.over(&failed).await;
    desk.go("/console/calls").await;
    desk.keys("/").await;
    desk.until("`/` leads to the search", "return document.activeElement.id === 'q'").await;
    desk.keys(&format!("{ending}{}", Key::Enter)).await;
    arrives(desk, &format!("/console/calls?last_digits={ending}")).await;
    desk.run(
        "const at = (minutes) => new Date(Date.now() + minutes * 60000).toISOString().slice(0, 16); \
         document.getElementById('since').value = at(-30); document.getElementById('until').value = at(30);",
    )
    .await;
    desk.click(".filters form button:not([value])").await;
    let asked = format!("return /^[?]since=.+&until=.+&last_digits={ending}$/.test(location.search)");
    desk.until("the hour stands in the address", &asked).await;
    assert_eq!(desk.run("return document.querySelectorAll('#list tbody tr').length").await, 1);
    look_despite(desk, "console-calls-found", 200).await;
    desk.click("#list tbody a").await;
    arrives(desk, &format!("/console/calls/{failed}")).await;
    desk.until_says("#said-now", "Nobody answered").await;
    assert!(desk.text("#next-step").await.len() > 10, "and what to do");
    assert!(desk.text("#steps").await.contains("rings"), "{}", desk.text("#steps").await);
    assert!(
        !desk.run("return document.documentElement.outerHTML").await.as_str().unwrap().contains("9012345"),
        "masked"
    );
    failed
}

async fn filters_live_in_the_address(desk: &Desk) {
    desk.go("/console/calls").await;
    desk.click(".filters summary").await;
    desk.find("#reason").await.select_by_value("no_answer").await.unwrap();
    desk.find("#carrier").await.select_by_value("main").await.unwrap();
    desk.click(".filters form button:not([value])").await;
    let address = "/console/calls?reason=no_answer&carrier=main";
    arrives(desk, address).await;
    let chosen = "return ['reason', 'carrier'].map((id) => document.getElementById(id).value).join()";
    let rows = "return document.querySelectorAll('#list tbody tr').length";
    assert_eq!((desk.run(chosen).await, desk.run(rows).await), (json!("no_answer,main"), json!(1)));
    // As somebody does who was sent the address, and as one goes back.
    desk.go("/console/calls?reason=no_answer&carrier=slow").await;
    desk.until_says("#live", "No call fits").await;
    desk.browser.back().await.unwrap();
    arrives(desk, address).await;
    assert_eq!((desk.run(chosen).await, desk.run(rows).await), (json!("no_answer,main"), json!(1)));
    desk.click(".filters a.button").await;
    arrives(desk, "/console/calls").await;
}

/// A backend that wants no result: it is a dead letter at once. The name of the call.
async fn a_dead_letter_is_seen(place: &Place) -> String {
    let desk = &place.desk;
    place.main.callee(VERIFIED, Callee::presses(["#"]));
    place.backend.answers([410]);
    let call = place.call(VERIFIED, json!({ "callback_url": place.backend.url() })).await;
    place.over(&call).await;
    let id = verification_of(&call);
    let listed =
        format!("return fetch('/console/outbox').then((page) => page.text()).then((text) => text.includes('{id}'))");
    desk.until("the dead letter is listed", &listed).await;
    desk.click(".places a[href$='/outbox']").await;
    desk.until_says(".verdict", "given up").await;
    assert!(desk.text("[aria-labelledby=dead-title] tbody").await.contains("410"), "why");
    desk.click("[aria-labelledby=dead-title] tbody a").await;
    arrives(desk, &format!("/console/calls/{call}")).await;
    desk.until_says("#delivery", "Given up").await;
    call
}

async fn full_pages_are_for_everybody(place: &Place, failed: &str, verified: &str) {
    let desk = &place.desk;
    place.main.creates("+819044445555", [Create::Refused(401, 20003)]);
    let refused = place.call("+819044445555", json!({})).await;
    place.over(&refused).await;
    let menu = places(desk).await;
    for path in menu {
        desk.go(&path).await;
        in_every_dress(desk, &format!("full-{}", path.rsplit('/').next().unwrap()), 200).await;
    }
    for (path, name, status) in [
        (format!("calls/{failed}"), "call-failed", 200),
        (format!("calls/{verified}"), "call-verified", 200),
        (format!("calls/{refused}"), "call-refused", 200),
        (String::from("calls?reason=no_answer"), "calls-filtered", 200),
        (String::from("calls?reference=nobody"), "calls-none", 200),
        (String::from("calls?status=lost"), "calls-fault", 400),
        (String::from("calls/call_x"), "missing", 404),
    ] {
        desk.go(&format!("/console/{path}")).await;
        in_every_dress(desk, name, status).await;
    }
}

async fn the_dead_letter_is_sent_again(place: &Place, call: &str) {
    let desk = &place.desk;
    let first = place.backend.result_of(&verification_of(call)).await;
    desk.go("/console/outbox").await;
    desk.click("[aria-labelledby=dead-title] tbody form button").await;
    desk.until_says(".notice", "under the same id").await;
    look_despite(desk, "console-outbox-sent", 200).await;
    let delivered = format!(
        "return fetch('/console/calls/{call}').then((page) => page.text()).then((text) => \
         new DOMParser().parseFromString(text, 'text/html').getElementById('delivery').textContent.includes('Delivered'))"
    );
    desk.until("it is delivered", &delivered).await;
    let ids: Vec<String> = place.backend.results().into_iter().map(|result| result.id).collect();
    assert_eq!(ids, [first.id.clone(), first.id], "the same id twice");
    desk.go("/console/outbox").await;
    desk.until_says(".verdict", "Every result is delivered").await;
}

async fn whoever_may_not_is_told_so(desk: &Desk) {
    desk.click(".who button").await;
    arrives(desk, "/console/sign-in").await;
    desk.go("/console/calls").await;
    arrives(desk, "/console/sign-in?next=%2Fcalls").await;
    signs_in(desk, KEY, "/console/outbox").await;
    arrives(desk, "/console/outbox").await;
    desk.until_says("main", "needs a key with the scope admin").await;
    in_every_dress(desk, "admin-only", 403).await;
}

/// Signing in, filters, search, language and signing out are forms.
async fn forms_do_it_without_scripts(place: &Place, failed: &str) {
    let desk = &place.desk;
    desk.browser.delete_all_cookies().await.unwrap();
    desk.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    let find = async |selector: &'static str| {
        let found = desk.browser.wait().for_element(Locator::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("without scripts there is no {selector}: {error}"))
    };
    let leads_to = async |path: &str| {
        let wanted = place.server.url(path).parse().unwrap();
        let there = desk.browser.wait().for_url(&wanted).await;
        assert!(there.is_ok(), "{} instead of {path}", desk.browser.current_url().await.unwrap());
    };
    desk.go("/console/calls").await;
    find("#key").await.send_keys(&format!("{KEY}{}", Key::Enter)).await.unwrap();
    leads_to("/console/calls").await;
    find("[name=language][value=en]").await.click().await.unwrap();
    find("html[lang=en]").await;
    find(".filters summary").await.click().await.unwrap();
    find("#reason").await.select_by_value("no_answer").await.unwrap();
    find(".filters form button:not([value])").await.click().await.unwrap();
    leads_to("/console/calls?reason=no_answer").await;
    find("#q").await.send_keys(&format!("{}{}", NOBODY.1, Key::Enter)).await.unwrap();
    leads_to(&format!("/console/calls?last_digits={}&reason=no_answer", NOBODY.1)).await;
    find("#list tbody a").await.click().await.unwrap();
    leads_to(&format!("/console/calls/{failed}")).await;
    find("#next-step").await;
    find("[name=theme][value=dark]").await.click().await.unwrap();
    find("html[data-theme=dark]").await;
    find(".who button").await.click().await.unwrap();
    leads_to("/console/sign-in").await;
    desk.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;
}

/// What a page would have to hold for a script of somebody else to run in it does nothing here, and the browser says so.
async fn the_policy_of_every_page_is_strict(desk: &Desk) {
    signs_in(desk, OPERATORS_KEY, "/console/calls").await;
    arrives(desk, "/console/calls").await;
    let mut paths = places(desk).await;
    paths.push(String::from("/console/calls/call_x"));
    for path in paths {
        let header = format!("return fetch('{path}').then((page) => page.headers.get('content-security-policy'))");
        let policy = desk.run(&header).await;
        let policy = policy.as_str().unwrap();
        assert!(policy.contains("script-src 'self'") && policy.contains("style-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
    let _told = desk.complaints().await;
    desk.run(
        "const script = document.createElement('script'); script.textContent = 'window.ran = true'; document.body.append(script); \
         document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">red</p>');",
    )
    .await;
    assert_eq!(desk.run("return window.ran ?? false").await, false);
    let told = desk.complaints().await;
    let breaches = told.iter().filter(|complaint| complaint.contains("Content Security Policy"));
    assert!(breaches.count() >= 2, "a breach is seen: {told:?}");
}

async fn a_store_that_is_away_is_said_to_be(mut place: Place) {
    place.redis.kill();
    place.desk.go("/console/outbox").await;
    place.desk.until_says("h1", "The store does not answer").await;
    in_every_dress(&place.desk, "away", 503).await;
    place.redis.restart();
    let back = "return fetch('/console/outbox').then((page) => page.status === 200)";
    place.desk.until("the store is back", back).await;
    place.desk.go("/console/outbox").await;
    look_despite(&place.desk, "console-outbox-back", 503).await;
    place.desk.close().await;
}
