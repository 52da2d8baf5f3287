//! Operators sign in to the console through a real provider (`oidc-provider`, certified by the `OpenID` Foundation) with a
//! real browser: its own login page, its consent, the page that was asked for, and out again on both sides.

use std::{path::Path, process::Command};

use fantoccini::key::Key;

use super::{
    driver::{Desk, Running, start},
    look,
};
use crate::world::program::{Serving, Settings};

/// What ringproof is called at the provider, and its secret there; `tests/npm/provider.js` holds the same.
const SETTINGS: &str = "[[carriers]]\nname = \"main\"\nkind = \"simulator\"\nfrom = [\"+815012345678\"]\n\
     [console.oidc]\nclient_id = \"ringproof\"\nclient_secret = \"a secret of the tests: +/=&%\"\n\
     scopes = [\"profile\", \"email\", \"groups\"]\n\
     allow = [{ claim = \"groups\", value = \"telephony-operators\" }]\n";

/// Where one wants to go.
const WISH: &str = "/console/calls?status=failed";

fn provider(settings: &Settings) -> (Running, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    assert!(folder.join("node_modules/oidc-provider").is_dir(), "the provider is not installed: scripts/setup test");
    let mut node = Command::new("node");
    node.current_dir(folder).arg("provider.js").arg(format!("{}/console/oidc/callback", settings.url()));
    node.arg(format!("{}/console/sign-in", settings.url()));
    start(node, "issuer ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_sign_in_at_their_provider_and_out_again() {
    let settings = Settings::new("memory:", SETTINGS);
    let (_provider, issuer) = provider(&settings);
    let serving = Serving::start_with(&settings, &["--set", &format!("console.oidc.issuer={issuer}")]);
    let desk = Desk::at(settings.url()).await;
    desk.size(1280, 860).await;
    the_sign_in_offers_both_ways(&desk).await;
    who_may_comes_in_and_goes_out(&desk, &issuer).await;
    who_may_not_stays_outside(&desk).await;
    who_turns_round_at_the_provider_is_told_so(&desk).await;
    nothing_was_blocked(&desk).await;
    let log = serving.log();
    for said in ["oidc/kim", "oidc/lee", "not_allowed", "provider_says_access_denied"] {
        assert!(log.contains(said), "{said} is not in the audit log:\n{log}");
    }
    desk.close().await;
}

/// The provider's own pages miss files, and a refusal is told by its status: only what our policy blocks is a fault.
async fn nothing_was_blocked(desk: &Desk) {
    let complaints = desk.complaints().await;
    let blocked: Vec<_> = complaints.iter().filter(|complaint| complaint.contains("Content Security Policy")).collect();
    assert!(blocked.is_empty(), "{blocked:?}");
}

/// Looks at a page of ours.
async fn seen(desk: &Desk, name: &str) {
    nothing_was_blocked(desk).await;
    look(desk, name).await;
}

async fn the_sign_in_offers_both_ways(desk: &Desk) {
    desk.go(WISH).await;
    desk.until_says("#provider", "組織のアカウントでサインイン").await;
    seen(desk, "oidc-ja-1-sign-in").await;
    for (theme, language) in [("dark", "ja"), ("light", "en"), ("dark", "en")] {
        choose_language(desk, language).await;
        desk.click(&format!("[name=theme][value={theme}]")).await;
        desk.until("the colours are there", &format!("return document.documentElement.dataset.theme === '{theme}'"))
            .await;
        seen(desk, &format!("oidc-{language}-1-sign-in-{theme}")).await;
    }
    desk.click("[name=theme][value=light]").await;
    desk.until("the colours are there", "return document.documentElement.dataset.theme === 'light'").await;
    desk.go(WISH).await;
}

/// The page comes anew, in the same language too: nothing is asked of the one that goes away.
async fn choose_language(desk: &Desk, language: &str) {
    desk.run("window.goes = true").await;
    desk.click(&format!("[name=language][value={language}]")).await;
    let there = format!(
        "return !window.goes && document.readyState === 'complete' && document.documentElement.lang === '{language}'"
    );
    desk.until("the page is there in this language", &there).await;
}

/// Types a name and any password on the provider's own page, and agrees to what it asks.
async fn log_in(desk: &Desk, name: &str) {
    desk.click("#provider, #again").await;
    desk.until_shown("input[name=login]").await;
    desk.find("input[name=login]").await.send_keys(name).await.unwrap();
    desk.find("input[name=password]").await.send_keys("any").await.unwrap();
    desk.keys(&Key::Enter.to_string()).await;
    desk.until("the provider asks for consent", "return !document.querySelector('input[name=login]')").await;
    desk.click("button[type=submit]").await;
}

async fn who_may_comes_in_and_goes_out(desk: &Desk, issuer: &str) {
    log_in(desk, "kim").await;
    desk.until_says(".who .subject", "Kim Operator").await;
    let at = desk.run("return location.pathname + location.search").await;
    assert_eq!(at, WISH, "one comes out where one wanted to go");
    seen(desk, "oidc-en-2-signed-in").await;
    desk.go(WISH).await;
    desk.until_says(".who .subject", "Kim Operator").await;
    desk.click(".who button").await;
    desk.until_shown("#leave").await;
    seen(desk, "oidc-en-3-left").await;
    desk.click("#leave").await;
    desk.until(
        "the provider asks",
        &format!("return location.origin === '{issuer}' && !!document.querySelector('button')"),
    )
    .await;
    desk.click("button[value=yes]").await;
    desk.until("the provider leads back", "return location.pathname === '/console/sign-in'").await;
    desk.go(WISH).await;
    desk.until("one has to sign in again", "return location.pathname === '/console/sign-in'").await;
}

async fn who_may_not_stays_outside(desk: &Desk) {
    log_in(desk, "lee").await;
    desk.until_says("#problem", "you may not enter this console").await;
    seen(desk, "oidc-en-4-not-allowed").await;
    desk.go(WISH).await;
    desk.until("nobody is signed in", "return location.pathname === '/console/sign-in'").await;
}

async fn who_turns_round_at_the_provider_is_told_so(desk: &Desk) {
    // The provider still knows who it was: its cookie goes, so that it asks again.
    desk.cdp("Network.clearBrowserCookies", serde_json::json!({})).await;
    desk.go(WISH).await;
    desk.click("#provider").await;
    desk.until_shown("input[name=login]").await;
    desk.click("a[href$='/abort']").await;
    desk.until_shown("#problem").await;
    desk.until_says("#problem", "取り消されたか").await;
    seen(desk, "oidc-ja-5-declined").await;
}
