//! Signing in to the console through an identity provider that does everything the specifications warn of: nobody gets in
//! who should not, every refusal has its page and its line in the audit log, and no secret reaches a log.

mod browser;
mod provider;

use std::{fs, time::Duration};

use crate::world::program::{Ended, Serving, Settings, ended, free_port, program};
use browser::{Browser, Page};
use provider::{CLIENT_SECRET, Fake, Trick};

const CARRIER: &str = "[[carriers]]\nname = \"main\"\nkind = \"simulator\"\nfrom = [\"+815012345678\"]\n";

fn settings(issuer: &str) -> Settings {
    let oidc = format!(
        "{CARRIER}[console.oidc]\nissuer = {issuer:?}\nclient_id = \"ringproof\"\nclient_secret_file = \"secret\"\n\
         scopes = [\"profile\", \"groups\"]\nlabel = \"Sign in with Contoso\"\n\
         allow = [{{ claim = \"groups\", value = \"telephony-operators\" }}]\n"
    );
    let settings = Settings::new("memory:", &oidc);
    fs::write(settings.folder().join("secret"), format!("{CLIENT_SECRET}\n")).unwrap();
    settings
}

/// A service and its provider.
async fn service() -> (Fake, Settings, Serving) {
    let fake = Fake::start().await;
    let settings = settings(fake.issuer());
    let serving = Serving::start(&settings);
    (fake, settings, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_comes_in_where_they_wanted_to_and_goes_out_again() {
    let (fake, settings, serving) = service().await;
    let browser = Browser::new(&settings.url());
    let form = browser.get("/console/sign-in?next=%2Fcalls%3Fstatus%3Dfailed").await;
    assert!(form.text.contains("Sign in with Contoso"), "{}", form.text);
    let start = browser.get("/console/oidc/start?next=%2Fcalls%3Fstatus%3Dfailed").await;
    let asked = start.query_of_location();
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["response_mode"], "query");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["scope"], "openid profile groups");
    assert_eq!(asked["redirect_uri"], format!("{}/console/oidc/callback", settings.url()));
    assert_eq!((asked["state"].len(), asked["nonce"].len(), asked["code_challenge"].len()), (22, 22, 43));
    let cookie = start.set_cookie("ringproof_oidc").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
    assert!(!cookie.contains(&asked["state"]) && !cookie.contains(&asked["nonce"]), "the cookie is sealed");
    let back = browser.get(&start.location()).await;
    let entered = browser.get(&back.location()).await;
    assert_eq!(entered.status, 200, "{}", entered.text);
    assert!(entered.text.contains("url=/console/calls?status=failed"), "{}", entered.text);
    assert!(entered.set_cookie("ringproof_session").unwrap().contains("SameSite=Strict"));
    assert!(entered.set_cookie("ringproof_oidc").unwrap().contains("Max-Age=0"), "the attempt is over");
    let calls = browser.get("/console/calls?status=failed").await;
    assert!(calls.status == 200 && calls.text.contains("Kim Operator"), "{}: {}", calls.status, calls.text);
    let out = browser.post("/console/sign-out").await;
    assert!(out.text.contains(&format!("{}/leave?client_id=ringproof&#38;", fake.issuer())), "{}", out.text);
    assert_eq!(browser.get("/console/calls").await.status, 303, "the session is over");
    let line = "signed in to the console through the identity provider";
    let told = eventually(|| Some(serving.log()).filter(|log| log.contains(line) && log.contains("oidc/u-1"))).await;
    let log = told.unwrap_or_else(|| panic!("nobody signed in, says the log: {}", serving.log()));
    let secrets = [asked["state"].as_str(), asked["nonce"].as_str(), asked["code_challenge"].as_str(), CLIENT_SECRET];
    let secrets = secrets.into_iter().map(str::to_owned).chain(fake.given());
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log:\n{log}");
    }
}

/// What every refusal says in the audit log.
const REFUSED_LINE: &str = "a sign-in to the console was refused";

/// What comes in time.
async fn eventually<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    let seen = async {
        loop {
            match look() {
                Some(seen) => return seen,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.ok()
}

/// What a provider does, the status of the page, a word of it, the cause in the audit log.
const REFUSED: &[(Trick, u16, &str, &str)] = &[
    (Trick::NotAnOperator, 403, "you may not enter", "not_allowed"),
    (Trick::NoGroups, 403, "you may not enter", "not_allowed"),
    (Trick::AccessDenied, 403, "did not sign you in", "provider_says_access_denied"),
    (Trick::ErrorWithMarkup, 403, "did not sign you in", "provider_says_scriptalert1script"),
    (Trick::OtherIss, 502, "cannot be trusted", "issuer_mismatch"),
    (Trick::NoIss, 502, "cannot be trusted", "issuer_mismatch"),
    (Trick::NoCode, 400, "Begin again", "no_code"),
    (Trick::TwoCodes, 400, "Begin again", "answer_ambiguous"),
    (Trick::WrongIssuer, 502, "cannot be trusted", "token_issuer"),
    (Trick::WrongAudience, 502, "cannot be trusted", "token_audience"),
    (Trick::OtherParty, 502, "cannot be trusted", "token_audience"),
    (Trick::AlgNone, 502, "cannot be trusted", "token_algorithm"),
    (Trick::Hs256ByPublicKey, 502, "cannot be trusted", "token_algorithm"),
    (Trick::Expired, 502, "cannot be trusted", "token_expired"),
    (Trick::OfTomorrow, 502, "cannot be trusted", "token_not_yet"),
    (Trick::NoNonce, 502, "cannot be trusted", "token_nonce"),
    (Trick::OtherNonce, 502, "cannot be trusted", "token_nonce"),
    (Trick::OtherAccessToken, 502, "cannot be trusted", "token_at_hash"),
    (Trick::StrangersKey, 502, "cannot be trusted", "token_signature"),
    (Trick::UnpublishedKey, 502, "cannot be trusted", "token_key_unknown"),
    (Trick::NoToken, 503, "does not answer", "provider_away"),
    (Trick::AnotherPersonsClaims, 502, "cannot be trusted", "token_subject"),
    (Trick::CodeRefused, 502, "cannot be trusted", "code_refused_invalid_grant"),
    (Trick::TokenEndpointBroken, 503, "does not answer", "provider_away"),
    (Trick::TokenEndpointLeadsAway, 503, "does not answer", "provider_away"),
    (Trick::HugeAnswer, 503, "does not answer", "provider_away"),
    (Trick::NoAnswer, 503, "does not answer", "provider_away"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_through_a_provider_that_lies() {
    let (fake, settings, serving) = service().await;
    for (turn, (trick, status, said, cause)) in REFUSED.iter().enumerate() {
        fake.plays(*trick);
        // Attempts are counted by address; a proxy on this machine says whom it speaks for.
        let browser = Browser::from(&settings.url(), &format!("192.0.2.{turn}"));
        let page = browser.sign_in("/calls").await;
        assert_eq!(page.status, *status, "{trick:?}: {}", page.text);
        assert!(page.text.contains(said), "{trick:?}: {}", page.text);
        assert!(page.set_cookie("ringproof_session").is_none(), "{trick:?}: a session");
        assert!(page.text.contains("Sign in with a key") && page.text.contains("/oidc/start"), "{trick:?}: no way on");
        assert!(!page.text.contains("<script>"), "{trick:?}");
        assert_eq!(browser.get("/console/calls").await.status, 303, "{trick:?}: signed in all the same");
        // The service writes its log behind its answers.
        let line = || serving.log().lines().filter(|line| line.contains(REFUSED_LINE)).nth(turn).map(str::to_owned);
        let line = eventually(line).await.unwrap_or_else(|| panic!("{trick:?}: no line in\n{}", serving.log()));
        assert!(line.contains(&format!("\"{cause}\"")), "{trick:?}: {line}");
    }
    fake.plays(Trick::Honest);
    let good = Browser::from(&settings.url(), "192.0.2.200").sign_in("/calls").await;
    assert_eq!(good.status, 200, "and after all that an operator comes in: {}", good.text);
    let log = serving.log();
    for secret in fake.given() {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_is_good_once_and_in_its_own_browser() {
    let (fake, settings, _serving) = service().await;
    let (one, other) = (Browser::new(&settings.url()), Browser::new(&settings.url()));
    let callback_of_one = one.get(&one.get("/console/oidc/start").await.location()).await.location();
    let callback_of_other = other.get(&other.get("/console/oidc/start").await.location()).await.location();
    let refused = |page: &Page| page.status == 400 && page.set_cookie("ringproof_session").is_none();
    let kept = one.cookie("ringproof_oidc").unwrap();
    assert!(refused(&one.get(&callback_of_other).await), "another browser's answer");
    one.keep("ringproof_oidc", &kept);
    assert!(refused(&Browser::new(&settings.url()).get(&callback_of_one).await), "a browser that began nothing");
    let stripped = callback_of_one.replace("state=", "stat=");
    assert!(refused(&one.get(&stripped).await), "without state");
    one.keep("ringproof_oidc", &kept);
    assert_eq!(one.get(&callback_of_one).await.status, 200);
    assert!(refused(&one.get(&callback_of_one).await), "the cookie is gone");
    // A provider that takes a code twice does not help who kept the cookie.
    one.keep("ringproof_oidc", &kept);
    let asked = fake.exchanges();
    assert!(refused(&one.get(&callback_of_one).await), "the same again");
    assert_eq!(fake.exchanges(), asked, "and the provider was not even asked");
    one.keep("ringproof_oidc", &kept.replace('A', "B"));
    assert!(refused(&one.get(&callback_of_one).await), "a cookie that was changed");
    other.keep("ringproof_oidc", &other.cookie("ringproof_session").unwrap_or_default());
    assert!(refused(&other.get(&callback_of_other).await), "a cookie for something else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leads_out_of_the_console() {
    let (_fake, settings, _serving) = service().await;
    for (turn, next) in
        ["https://evil.test/", "//evil.test", "/\\evil.test", "/../v1", "/oidc/start"].iter().enumerate()
    {
        let browser = Browser::from(&settings.url(), &format!("192.0.2.{turn}"));
        let page = browser.sign_in(next).await;
        assert!(page.text.contains("content=\"0; url=/console/\""), "{next}: {}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_process_with_the_same_key_finishes_what_another_began() {
    let fake = Fake::start().await;
    let settings = settings(fake.issuer());
    let key = "numbers.hash_key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let port = free_port();
    let _first = Serving::start_with(&settings, &["--set", key]);
    let _second = Serving::start_with(&settings, &["--set", key, "--set", &format!("server.listen=127.0.0.1:{port}")]);
    let browser = Browser::new(&settings.url());
    let callback = browser.get(&browser.get("/console/oidc/start").await.location()).await.location();
    let elsewhere = callback.replace(&settings.url(), &format!("http://127.0.0.1:{port}"));
    assert_ne!(elsewhere, callback);
    let page = browser.get(&elsewhere).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert_eq!(browser.get("/console/calls").await.status, 200, "and the first knows the session of the second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_are_found_and_not_asked_for_too_often() {
    let (fake, settings, _serving) = service().await;
    assert_eq!(Browser::new(&settings.url()).sign_in("/").await.status, 200);
    let before = fake.key_reads();
    for turn in 0..8 {
        fake.plays(Trick::UnpublishedKey);
        let browser = Browser::from(&settings.url(), &format!("192.0.2.{turn}"));
        assert_eq!(browser.sign_in("/").await.status, 502);
    }
    assert!(fake.key_reads() - before <= 2, "{} reads", fake.key_reads() - before);
    fake.plays(Trick::Honest);
    fake.rotates();
    // For a few seconds after the last look the new key is unknown; then it is found.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    for turn in 20..=255 {
        if Browser::from(&settings.url(), &format!("192.0.2.{turn}")).sign_in("/").await.status == 200 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the new key is not found");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_away_blocks_nothing_else() {
    let settings = settings(&format!("http://127.0.0.1:{}", free_port()));
    let _serving = Serving::start(&settings);
    let browser = Browser::new(&settings.url());
    let page = browser.get("/console/oidc/start").await;
    assert_eq!(page.status, 503);
    assert!(page.text.contains("does not answer right now"), "{}", page.text);
    let japanese = browser.enter("ja", "/console/oidc/start").await;
    assert!(japanese.text.contains("認証プロバイダーが応答していません"), "{}", japanese.text);
    assert_eq!(browser.get("/console/sign-in").await.status, 200);
    assert_eq!(browser.get("/healthz").await.status, 200);
    let signed_in = browser.form("/console/sign-in", &[("key", settings.key()), ("next", "/calls")]).await;
    assert!(signed_in.set_cookie("ringproof_session").is_some(), "a key still opens: {}", signed_in.text);
    let left = browser.post("/console/sign-out").await;
    assert_eq!(left.status, 303, "who came with a key is not sent to the provider");
}

fn doctor(settings: &Settings) -> Ended {
    ended(program(settings.folder()).args(["doctor", "--json"]))
}

fn of_the_console(said: &Ended) -> String {
    said.out.lines().find(|line| line.contains("\"console sign-in\"")).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_looks_at_the_provider_without_signing_in() {
    let fake = Fake::start().await;
    let look = async |settings: Settings| {
        tokio::task::spawn_blocking(move || of_the_console(&doctor(&settings))).await.unwrap()
    };
    let good = look(settings(fake.issuer())).await;
    assert!(good.contains("\"ok\"") && good.contains("1 keys") && good.contains("/console/oidc/callback"), "{good}");
    let other = look(settings(&format!("{}/", fake.issuer()))).await;
    assert!(other.contains("\"broken\"") && other.contains("it calls itself"), "{other}");
    let away = look(settings(&format!("http://127.0.0.1:{}", free_port()))).await;
    assert!(away.contains("\"broken\"") && away.contains("cannot be connected to"), "{away}");
    assert_eq!(fake.exchanges(), 0);
}

#[test]
fn settings_that_let_nobody_in_are_a_fault() {
    let more = format!(
        "{CARRIER}[console.oidc]\nissuer = \"http://login.example.com\"\nclient_id = \"a\"\nclient_secret = \"hunter2\"\n"
    );
    let settings = Settings::new("memory:", &more);
    let said = ended(program(settings.folder()).arg("serve"));
    assert_eq!(said.code, Some(10), "{}", said.err);
    assert!(said.err.contains("console.oidc.allow: is missing, so nobody may enter"), "{}", said.err);
    assert!(said.err.contains("console.oidc.issuer: expected https://"), "{}", said.err);
    assert!(!said.err.contains("hunter2"));
}
