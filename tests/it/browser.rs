//! The demo in a real browser: people enrol with the keyboard, in Japanese and in English; every way in which a call can
//! go wrong says so and offers a next step; the page holds what its rules promise. Leaves pictures in
//! `target/screenshots`. Needs Chromium and its `ChromeDriver`, as Debian packages them.

mod console;
mod console_board;
mod console_oidc;
mod driver;
mod softphone;

use std::{fs, path::Path};

use fantoccini::key::Key;
use serde_json::json;

use crate::tidy;
use driver::{DRESSES, Desk, SPEED};

/// The variable that has the pictures of the documents renewed.
const RENEW: &str = "RINGPROOF_RENEW_IMAGES";

/// Keys before this time in a call are taken for recorded tones and ignored, in ms; and some more, for the way.
const TOO_EARLY_MS: u32 = 1000 / SPEED + 250;

/// Layout shift that nobody sees (a letter or two that become bold); what is called good elsewhere is a hundred times more.
const STILL: f64 = 0.001;

/// One browser for everything: it takes seconds to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_enrol_a_telephone_in_a_browser() {
    let desk = Desk::open().await;
    desk.size(1280, 900).await;
    faults_of_a_page_are_seen(&desk).await;
    a_japanese_person_enrols_with_the_keyboard(&desk).await;
    an_english_person_enrols_with_the_keyboard(&desk).await;
    what_is_typed_is_shown_before_it_is_called(&desk).await;
    every_failure_says_what_happened_and_what_to_do(&desk).await;
    the_call_log_shows_each_call(&desk).await;
    a_switch_changes_the_colours(&desk).await;
    a_small_screen_shows_everything(&desk).await;
    every_page_is_for_everybody_in_every_dress(&desk).await;
    forms_work_without_scripts(&desk).await;
    assert_eq!(desk.complaints().await, Vec::<String>::new());
    desk.close().await;
}

/// The look at a page would be worth nothing if it saw nothing.
async fn faults_of_a_page_are_seen(desk: &Desk) {
    desk.go("/").await;
    desk.run(
        "document.getElementById('wizard').insertAdjacentHTML('beforeend', \
         '<p class=planted>dim</p><button></button><img src=x><a href=/ id=add tabindex=3>twice</a><div class=wide></div>'); \
         const sheet = new CSSStyleSheet(); \
         sheet.replaceSync('.planted { color: #ccc } .wide { width: 3000px; height: 1px }'); \
         document.adoptedStyleSheets.push(sheet);",
    )
    .await;
    let faults = format!("{} {:?}", desk.run(CHECKS).await, desk.axe().await);
    for planted in [
        "contrast",
        "no name",
        "no text instead of a picture",
        "stands twice",
        "order of its own",
        "wide on a screen",
        "button-name",
        "image-alt",
        "color-contrast",
    ] {
        assert!(faults.contains(planted), "`{planted}` was planted and not seen: {faults}");
    }
    desk.run("console.error('planted')").await;
    assert!(desk.complaints().await.iter().any(|complaint| complaint.contains("planted")));
}

/// What keeps people out of a page; a script that returns each fault in words.
const CHECKS: &str = include_str!("browser/checks.js");

async fn a_japanese_person_enrols_with_the_keyboard(desk: &Desk) {
    desk.go("/").await;
    desk.until_says("h1", "セキュリティ情報").await;
    look(desk, "ja-1-methods").await;
    enrol_with_the_keyboard(desk, "ja", "090-1234-5678", "日本 (+81)", None).await;
    assert!(desk.text("#wizard").await.contains("5678"), "the telephone is in the list");
}

async fn an_english_person_enrols_with_the_keyboard(desk: &Desk) {
    desk.tab_to("[name=language][value=en]").await;
    desk.keys(&Key::Enter.to_string()).await;
    desk.until_says("h1", "Security info").await;
    enrol_with_the_keyboard(desk, "en", "０９０ 8765 ４３２１", "Japan (+81)", Some("jap")).await;
    let list = desk.text("#wizard").await;
    assert!(list.contains("5678") && list.contains("4321"), "{list}");
}

/// From the list to the list, by keys alone. `search` is typed to find the country, where it is not chosen already.
async fn enrol_with_the_keyboard(desk: &Desk, language: &str, number: &str, country: &str, search: Option<&str>) {
    let enter = Key::Enter.to_string();
    desk.tab_to("#add").await;
    desk.keys(&enter).await;
    desk.until_shown("[name=method]").await;
    look(desk, &format!("{language}-2-add")).await;
    desk.tab_to("[name=method]").await;
    desk.tab_to("button.primary").await;
    desk.keys(&enter).await;
    desk.until_shown("#country-search").await;
    desk.tab_to("#country-search").await;
    if let Some(search) = search {
        desk.keys(search).await;
        desk.until(
            "one country is found",
            "return document.querySelectorAll('#country-list [role=option]').length === 1",
        )
        .await;
        look(desk, &format!("{language}-3-country")).await;
        desk.keys(&enter).await;
    }
    assert_eq!(desk.run("return document.activeElement.value").await, country);
    desk.tab_to("#number").await;
    desk.keys(number).await;
    desk.until_says("#number-message", "+81 90-").await;
    look(desk, &format!("{language}-3-phone")).await;
    desk.keys(&enter).await;
    desk.until("the telephone rings", "return document.activeElement.id === 'answer'").await;
    desk.until("the page knows it", "return document.getElementById('stages')?.dataset.stage === 'ringing'").await;
    look(desk, &format!("{language}-4-ringing")).await;
    desk.run(
        "window.moved = 0; \
         new PerformanceObserver((shifts) => shifts.getEntries().forEach((shift) => { window.moved += shift.value; })) \
         .observe({ type: 'layout-shift' })",
    )
    .await;
    desk.keys(&enter).await;
    wait_for_the_question(desk).await;
    look(desk, &format!("{language}-4-talking")).await;
    let moved = desk.run("return window.moved").await.as_f64().unwrap();
    assert!(moved < STILL, "things on the page move while the call goes on: {moved}");
    assert_eq!(desk.run("return document.activeElement.id").await, "keypad", "the keys go to the telephone");
    press_until(desk, "#", ".outcome.done").await;
    look(desk, &format!("{language}-5-done")).await;
    desk.until("the outcome is read out", "return document.activeElement.id === 'wizard-title'").await;
    desk.tab_to("#primary").await;
    desk.keys(&enter).await;
    desk.until_shown(".methods").await;
    look(desk, &format!("{language}-6-list")).await;
}

/// Waits until the callee has heard enough for a key to count.
async fn wait_for_the_question(desk: &Desk) {
    desk.run("delete window.heardAt").await;
    desk.until(
        "the question has been heard for a while",
        &format!(
            "const heard = document.getElementById('telephone').dataset.listening === 'true' && document.querySelector('#captions .said'); \
             if (!heard) {{ delete window.heardAt; return false; }} \
             window.heardAt ??= performance.now(); \
             return performance.now() - window.heardAt > {TOO_EARLY_MS};"
        ),
    )
    .await;
}

/// Presses these keys, one for each question and then from the first again, until something is shown.
async fn press_until(desk: &Desk, keys: &str, shown: &str) {
    wait_for_the_question(desk).await;
    let mut keys = keys.chars().cycle();
    let over = format!("return !!document.querySelector({})", json!(shown));
    desk.run("delete window.answered").await;
    for _ in 0..12 {
        let ready = format!(
            "const {{ listening, asked }} = document.getElementById('telephone').dataset; \
             return !!document.querySelector({}) || (listening === 'true' && asked !== window.answered)",
            json!(shown)
        );
        desk.until(&format!("the telephone asks, or {shown} is shown"), &ready).await;
        if desk.run(&over).await == true {
            return;
        }
        // The script looks the key up by itself: `#` and `*` mean something else in a selector.
        desk.run(&format!(
            "window.answered = document.getElementById('telephone').dataset.asked; \
             [...document.querySelectorAll('#keypad button')].find((key) => key.value === '{}').click()",
            keys.next().unwrap()
        ))
        .await;
    }
    panic!("{shown} did not come");
}

async fn what_is_typed_is_shown_before_it_is_called(desk: &Desk) {
    desk.go("/demo/add/phone").await;
    let cases = [
        ("110", "Emergency"),
        ("090-1234", "too short"),
        ("hello", "not a phone number"),
        ("+44 20 7183 8750", "+44 20 7183 8750"),
    ];
    for (typed, told) in cases {
        let number = desk.find("#number").await;
        number.clear().await.unwrap();
        number.send_keys(&format!("{typed}{}", Key::Tab)).await.unwrap();
        desk.until_says("#number-message", told).await;
    }
    // Sent before the page could show it: it is shown now, and called only when it is sent again.
    desk.run("document.getElementById('number').value = '090 1111 2222'; document.getElementById('shown').value = '';")
        .await;
    desk.click("#next").await;
    desk.until_says("#number-message", "Is it right?").await;
    desk.until_says("#next", "Call now").await;
    assert!(desk.text("#number-message").await.contains("+81 90-1111-2222"));
    look(desk, "en-3-confirm").await;
    desk.keys(&Key::Escape.to_string()).await;
    desk.until_shown(".methods").await;
}

/// How a call goes wrong: the mood of the telephone; how the reason begins (by the clock of the gateway a fast call is
/// never heard to its end); a part of the message; the label of the next step.
const FAILURES: [(&str, &str, &str, &str); 9] = [
    ("does_not_answer", "no_answer", "Nobody answered.", "Call again"),
    ("busy", "busy", "The line was busy.", "Call again in"),
    ("declines", "rejected", "The call was declined.", "Call again"),
    ("mailbox", "voicemail", "A voice mailbox answered.", "Call again"),
    ("reports", "fraud_reported", "You reported this call.", "Contact support"),
    ("wrong_keys", "wrong_input", "Other keys were pressed.", "Call again"),
    ("silent", "no_input", "# was not pressed", "Call again"),
    ("hangs_up_after_prompt", "hung_up_", "The call ended before # was pressed.", "Call again"),
    ("not_in_use", "invalid_number", "This number cannot be reached.", "Change number"),
];

async fn every_failure_says_what_happened_and_what_to_do(desk: &Desk) {
    for (mood, reason, message, next) in FAILURES {
        desk.go("/demo/add/phone").await;
        choose_mood(desk, mood).await;
        call(desk, "090-2222-3333").await;
        failed(desk, mood, reason, message, next).await;
    }
    choose_mood(desk, "by_hand").await;
    a_person_does_it_wrong(desk).await;
    a_person_takes_it_back(desk).await;
}

/// The same by hand: the keys and buttons of the telephone.
async fn a_person_does_it_wrong(desk: &Desk) {
    let outcome = ".outcome";
    again(desk).await;
    desk.click("#answer").await;
    press_until(desk, "7", outcome).await;
    failed(desk, "by-hand-wrong-key", "wrong_input", "Other keys were pressed.", "Call again").await;
    again(desk).await;
    desk.click("#answer").await;
    press_until(desk, "0#", outcome).await;
    failed(desk, "by-hand-report", "fraud_reported", "You reported this call.", "Contact support").await;
    desk.click("#primary").await;
    desk.until_says("h1", "Contact support").await;
    look(desk, "en-support").await;
    again(desk).await;
    desk.click("#decline").await;
    failed(desk, "by-hand-decline", "rejected", "The call was declined.", "Call again").await;
    again(desk).await;
    desk.click("#answer").await;
    wait_for_the_question(desk).await;
    desk.click("#hangup").await;
    failed(desk, "by-hand-hang-up", "hung_up_", "The call ended before # was pressed.", "Call again").await;
    // "Call again" rings at once.
    desk.click("#primary").await;
    desk.click("#answer").await;
    press_until(desk, "#", ".outcome.done").await;
}

async fn a_person_takes_it_back(desk: &Desk) {
    again(desk).await;
    let other = desk.find("form[action='/demo/call/other'] button").await;
    other.click().await.unwrap();
    desk.until_shown("#number").await;
    quiet(desk).await;
    call(desk, "090-3333-4444").await;
    desk.until_shown("#answer").await;
    desk.keys(&Key::Escape.to_string()).await;
    desk.until("the telephone rings on, Escape in it takes nothing back", "return !!document.getElementById('stages')")
        .await;
    desk.click("form[action='/demo/call/cancel'] button").await;
    desk.until_says("h1", "Security info").await;
}

async fn choose_mood(desk: &Desk, mood: &str) {
    desk.find("#mood").await.select_by_value(mood).await.unwrap();
    // The page tells the server; the page that is loaded next shows what the server knows.
    desk.until(
        "the mood is known",
        &format!(
            "return fetch('/demo/add').then((answer) => answer.text()).then((text) => \
             new DOMParser().parseFromString(text, 'text/html').getElementById('mood').value === '{mood}')"
        ),
    )
    .await;
}

/// Has a number called from the form that is shown.
async fn call(desk: &Desk, number: &str) {
    let field = desk.find("#number").await;
    field.clear().await.unwrap();
    field.send_keys(number).await.unwrap();
    desk.until_says("#number-message", "We will call").await;
    desk.click("#next").await;
    desk.until("the call is asked for", "return !!document.querySelector('#stages, .outcome')").await;
}

/// Waits until the telephone is in no call: until then it is busy.
async fn quiet(desk: &Desk) {
    desk.until("the telephone is quiet", "return document.getElementById('telephone').dataset.phase === 'idle'").await;
}

/// Has the telephone ring once more.
async fn again(desk: &Desk) {
    desk.go("/demo/add/phone").await;
    quiet(desk).await;
    call(desk, "090-2222-3333").await;
    desk.until_shown("#answer").await;
}

async fn failed(desk: &Desk, name: &str, reason: &str, message: &str, next: &str) {
    desk.until_shown(".outcome").await;
    let told = desk.run("return document.querySelector('.outcome').dataset.outcome").await;
    assert!(told.as_str().unwrap().starts_with(reason), "{name}: {told}");
    let title = desk.text("h1").await;
    assert!(title.contains(message), "{name}: {title}");
    let label = desk.text("#primary").await;
    assert!(label.contains(next), "{name}: {label}");
    look(desk, &format!("en-failed-{name}")).await;
}

async fn the_call_log_shows_each_call(desk: &Desk) {
    desk.click("a[data-place=calls]").await;
    desk.until(
        "calls are listed",
        &format!("return document.querySelectorAll('tbody tr').length >= {}", FAILURES.len()),
    )
    .await;
    let log = desk.text("tbody").await;
    for (_, _, message, _) in FAILURES {
        assert!(log.contains(message), "{message} is not in the log:\n{log}");
    }
    assert!(log.contains("Verified") && !log.contains("2222"), "numbers are masked:\n{log}");
    look(desk, "en-calls").await;
}

async fn a_switch_changes_the_colours(desk: &Desk) {
    desk.click("[name=theme][value=dark]").await;
    desk.until("it is dark", "return getComputedStyle(document.documentElement).colorScheme === 'dark'").await;
    look(desk, "en-calls-dark").await;
    desk.go("/demo/add/phone").await;
    assert_eq!(desk.run("return document.documentElement.dataset.theme").await, "dark", "it is remembered");
    look(desk, "en-3-phone-dark").await;
    desk.go("/").await;
    desk.click("[name=language][value=ja]").await;
    desk.until_says("h1", "セキュリティ情報").await;
    desk.go("/demo/add/phone").await;
    desk.find("#number").await.send_keys("090-1234-5678").await.unwrap();
    desk.until_says("#number-message", "+81 90-1234-5678").await;
    desk.click("#next").await;
    desk.until_shown("#answer").await;
    desk.until("the page knows it", "return document.getElementById('stages')?.dataset.stage === 'ringing'").await;
    let dark = look(desk, "ja-4-ringing-dark").await;
    desk.click("#answer").await;
    wait_for_the_question(desk).await;
    look(desk, "ja-4-talking-dark").await;
    press_until(desk, "#", ".outcome.done").await;
    look(desk, "ja-5-done-dark").await;
    renew("demo-ja-dark", &dark);
}

async fn a_small_screen_shows_everything(desk: &Desk) {
    desk.size(320, 800).await;
    desk.click("[name=theme][value=light]").await;
    let still = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    desk.cdp("Emulation.setEmulatedMedia", still).await;
    for (path, name) in [
        ("/", "1-methods"),
        ("/demo/add", "2-add"),
        ("/demo/add/phone?method=office", "3-office"),
        ("/demo/calls", "calls"),
    ] {
        desk.go(path).await;
        look(desk, &format!("ja-small-{name}")).await;
    }
    desk.go("/demo/add/phone").await;
    desk.find("#number").await.send_keys("090-1234-5678").await.unwrap();
    desk.until_says("#number-message", "+81").await;
    desk.click("#next").await;
    desk.until_shown("#ringing-bar").await;
    look(desk, "ja-small-4-ringing").await;
    assert_eq!(desk.run("return document.getAnimations().length").await, 0, "nothing moves where that is not wanted");
    desk.click("#ringing-bar").await;
    desk.until("the telephone is in sight", "return document.getElementById('ringing-bar').hidden").await;
    look(desk, "ja-small-4-telephone").await;
    desk.click("#answer").await;
    press_until(desk, "#", ".outcome.done").await;
    look(desk, "ja-small-5-done").await;
    desk.size(1280, 900).await;
}

/// Languages change every word, colours every contrast. What lasts is looked at in all of them, the moments of a call in
/// the one that no other part of this test has seen them in.
async fn every_page_is_for_everybody_in_every_dress(desk: &Desk) {
    desk.dress("/demo/preferences", ("en", "dark")).await;
    again(desk).await;
    look(desk, "en-4-ringing-dark").await;
    desk.click("#answer").await;
    press_until(desk, "#", ".outcome.done").await;
    look(desk, "en-5-done-dark").await;
    again(desk).await;
    desk.click("#decline").await;
    desk.until_shown(".outcome").await;
    for (language, theme) in DRESSES {
        desk.dress("/demo/preferences", (language, theme)).await;
        for (path, name) in [
            ("/", "methods"),
            ("/demo/add", "add"),
            ("/demo/add/phone", "phone"),
            ("/demo/call", "failed"),
            ("/demo/support", "support"),
            ("/demo/calls", "calls"),
        ] {
            desk.go(path).await;
            assert_eq!(desk.at_path().await, path);
            look(desk, &format!("all-{name}-{language}-{theme}")).await;
        }
    }
}

/// The same steps as plain pages and forms.
async fn forms_work_without_scripts(desk: &Desk) {
    desk.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    desk.go("/demo/add/phone").await;
    let number = desk.browser.find(fantoccini::Locator::Css("#number")).await.unwrap();
    number.send_keys("090-1234-5678").await.unwrap();
    send_until_called(desk).await;
    wait_for_reload(desk, "#answer:not([hidden])").await;
    click_until(desk, "#answer:not([hidden])", "#captions .said").await;
    click_until(desk, "#keypad button[value='#']:enabled", ".outcome.done").await;
    desk.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;
}

/// Sends the form, and the one that shows what will be called, until the page of the call is there. A form that was sent
/// goes away in the moment between finding its button and clicking it, and is then looked for on the new page.
async fn send_until_called(desk: &Desk) {
    for _ in 0..200 {
        if desk.browser.current_url().await.unwrap().path() == "/demo/call" {
            return;
        }
        if let Ok(next) = desk.browser.find(fantoccini::Locator::Css("#next")).await {
            let _clicked = next.click().await;
        }
    }
    panic!("the form was sent, but nobody is called");
}

/// Clicks until the page shows what follows. It loads itself again every few seconds: a button may be gone in the moment
/// between finding and clicking it, and is then clicked on the new page.
async fn click_until(desk: &Desk, button: &str, follows: &str) {
    for _ in 0..20 {
        if let Ok(button) = desk.browser.find(fantoccini::Locator::Css(button)).await {
            let _clicked = button.click().await;
        }
        if shown_after_reload(desk, follows).await {
            return;
        }
    }
    panic!("{button} was clicked, but {follows} is not shown when the page is loaded again");
}

async fn shown_after_reload(desk: &Desk, selector: &str) -> bool {
    desk.go("/demo/call").await;
    desk.browser.find(fantoccini::Locator::Css(selector)).await.is_ok()
}

async fn wait_for_reload(desk: &Desk, selector: &str) {
    for _ in 0..100 {
        if shown_after_reload(desk, selector).await {
            return;
        }
    }
    panic!("{selector} is not shown without scripts");
}

/// Takes a picture, and holds the page to its rules.
async fn look(desk: &Desk, name: &str) -> Vec<u8> {
    let png = look_despite(desk, name, 200).await;
    if name == "en-4-talking" {
        renew("demo-en-light", &png);
    }
    png
}

/// The same for a page that comes with a status of its own, which the browser remarks on: holds it to our rules and to
/// those of axe-core.
async fn look_despite(desk: &Desk, name: &str, status: u16) -> Vec<u8> {
    let png = desk.picture(name).await;
    let faults = desk.run(CHECKS).await;
    assert_eq!(faults, json!([]), "{name}");
    let remark = format!("the server responded with a status of {status} ");
    let complaints = desk.complaints().await;
    let complaints: Vec<_> = complaints.iter().filter(|complaint| !complaint.contains(&remark)).collect();
    assert!(complaints.is_empty(), "{name}: {complaints:?}");
    assert_eq!(desk.axe().await, Vec::<String>::new(), "{name}");
    png
}

/// Renews a picture of the documents, when that was asked for.
fn renew(name: &str, png: &[u8]) {
    #[expect(clippy::disallowed_methods, reason = "a wish of whoever runs the test, not a setting of the product")]
    let wanted = std::env::var(RENEW).is_ok();
    let path = tidy::root().join("docs/images").join(format!("{name}.png"));
    if wanted {
        fs::write(&path, png).unwrap();
    }
    assert!(Path::new(&path).exists(), "{name}.png is missing: run this test with {RENEW}=1");
}
