//! What is planted in requests, settings and calls is seen nowhere it should not be: a number, a code and keys, secrets,
//! tokens. All ways out of the built program are looked at, and the look itself is tried with leaks that are made.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::Path,
    time::Duration,
};

use reqwest::{Client, redirect::Policy};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::traces::Desk;
use crate::world::{
    program::{Serving, Settings, free_port},
    server::CALLBACK_SECRET,
    sip::{
        ear::{Ear, Habits},
        sipp::Sipp,
    },
};

/// Longest wait for anything here.
const PATIENCE: Duration = Duration::from_secs(90);
/// Most pages of the console that are looked at.
const MOST_PAGES: usize = 60;

/// The number of the callee behind the trunk, of the one who is simulated, and of one who is never reached.
const TRUNK_NUMBER: &str = "+819031500333";
const MATCH_NUMBER: &str = "+819027182818";
const SPOKEN_NUMBER: &str = "+819016180339";
const CODE: &str = "735194";
const SPOKEN_CODE: &str = "402687";
const SIP_PASSWORD: &str = "sesame-canary-9138";
const CALLBACK_TOKEN: &str = "callback-canary-5521";
const TRACE_TOKEN: &str = "collector-canary-7714";
const PURPOSE: &str = "purpose-canary";

/// Everything that the program said, by where.
type Sinks = BTreeMap<String, String>;

struct Program {
    settings: Settings,
    serving: Serving,
    client: Client,
    /// Keeps no session by itself: the cookie of the console.
    session: String,
}

impl Program {
    async fn start(captures: &Path, trunk: u16, collector: &str) -> Self {
        let carriers = format!(
            "[logs]\nlevel = \"trace\"\n[callbacks]\nsecret = \"{CALLBACK_SECRET}\"\nallow_private = true\n\
             [traces]\nendpoint = \"{collector}\"\nheaders = \"authorization={TRACE_TOKEN}\"\n\
             [[carriers]]\nname = \"main\"\nkind = \"simulator\"\nspeed = 100\ncode = \"{CODE}\"\nfrom = [\"+815012345678\"]\n\
             countries = [\"*\"]\n\
             [[carriers]]\nname = \"trunk\"\nkind = \"sip\"\ntrunk = \"sip:127.0.0.1:{trunk}\"\nusername = \"office\"\n\
             password = \"{SIP_PASSWORD}\"\ncapture = \"{}\"\nbind = \"127.0.0.1:0\"\nprobe_interval = \"0s\"\n\
             from = [\"+815012345678\"]\n",
            captures.display()
        );
        let settings = Settings::new("memory:", &carriers);
        let (serving, settings) =
            tokio::task::spawn_blocking(move || (Serving::start(&settings), settings)).await.unwrap();
        let client = Client::builder().no_proxy().timeout(PATIENCE).redirect(Policy::none()).build().unwrap();
        Self { settings, serving, client, session: String::new() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.settings.url())
    }

    async fn create(&self, mut body: Value) -> String {
        body["callback_url"] = json!(format!("http://127.0.0.1:{}/{CALLBACK_TOKEN}?t={CALLBACK_TOKEN}", free_port()));
        body["purpose"] = json!("sign_in");
        body["purpose_text"] = json!(PURPOSE);
        let request = self.client.post(self.url("/v1/verifications")).bearer_auth(self.settings.key()).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["id"].as_str().unwrap_or_else(|| panic!("{answer:#}")).to_owned()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(self.url(path)).bearer_auth(self.settings.key()).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn read(&self, path: &str, accept: &str) -> String {
        let request = self.client.get(self.url(path)).bearer_auth(self.settings.key()).header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.text().await.unwrap()
    }

    async fn decided(&self, id: &str) -> Value {
        let begun = Instant::now();
        loop {
            let text = self.read(&format!("/v1/verifications/{id}?wait=5"), "*/*").await;
            let document: Value = serde_json::from_str(&text).unwrap();
            if document["status"] != "pending" {
                return document;
            }
            assert!(begun.elapsed() < PATIENCE, "no outcome: {document:#}\n{}", self.serving.log());
        }
    }

    /// Signs in to the console with the key.
    async fn sign_in(&mut self) {
        let form = format!("key={}&next=%2Fcalls", self.settings.key());
        let request = self.client.post(self.url("/console/sign-in")).header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        self.session = cookie.split(';').next().unwrap().to_owned();
    }

    /// A page of the console, and where a redirect leads.
    async fn page(&self, path: &str) -> (String, Option<String>) {
        let answer = self.client.get(self.url(path)).header("cookie", &self.session).send().await.unwrap();
        assert!(answer.status().as_u16() < 400, "{path}: {}", answer.status());
        let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (answer.text().await.unwrap(), to)
    }

    /// All pages of the console that its own links lead to.
    async fn pages(&self) -> Sinks {
        let mut seen = BTreeSet::new();
        let mut open: VecDeque<String> = ["/console", "/console/calls", "/console/outbox"].map(str::to_owned).into();
        let mut pages = Sinks::new();
        while let Some(path) = open.pop_front() {
            // A stream never ends, and an export is looked at on its own.
            let left_out = ["/events", "/export/", "/assets/", "/sign-", "/oidc"];
            if pages.len() >= MOST_PAGES
                || left_out.iter().any(|part| path.contains(part))
                || !seen.insert(path.clone())
            {
                continue;
            }
            let (text, to) = self.page(&path).await;
            if let Some(to) = to {
                open.push_back(to.replace(&self.settings.url(), ""));
                continue;
            }
            for link in text.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"')) {
                let link = link.0.replace("&amp;", "&").replace("&#38;", "&").replace(&self.settings.url(), "");
                open.extend(link.starts_with("/console").then_some(link));
            }
            pages.insert(format!("page {path}"), text);
        }
        pages
    }

    /// Everything that the program says.
    async fn sinks(&self, ids: &[String], captures: &Path, desk: &Desk) -> Sinks {
        let mut sinks = self.pages().await;
        let mut paths = [
            "/v1/calls",
            "/v1/calls.csv",
            "/v1/calls.ndjson",
            "/v1/stats?range=day",
            "/v1/dead-letters",
            "/v1/verifications",
            "/readyz",
            "/openapi.json",
        ]
        .map(str::to_owned)
        .to_vec();
        paths.extend(ids.iter().map(|id| format!("/v1/verifications/{id}")));
        paths.extend(ids.iter().map(|id| format!("/v1/calls/{}_1", id.replace("ver_", "call_"))));
        for path in paths {
            let text = self.read(&path, "*/*").await;
            sinks.insert(path, text);
        }
        for accept in ["text/plain", "application/openmetrics-text"] {
            sinks.insert(format!("metrics {accept}"), names(&self.read("/metrics", accept).await));
        }
        for file in fs::read_dir(captures).unwrap().map(Result::unwrap) {
            let text = fs::read_to_string(file.path()).unwrap();
            sinks.insert(format!("capture {}", file.file_name().to_string_lossy()), text);
        }
        for command in [&["calls"][..], &["calls", "--json"], &["calls", "stats"], &["calls", "export"]] {
            let ended = self.settings.run(command);
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            sinks.insert(command.join(" "), ended.out + &ended.err);
        }
        sinks.insert(String::from("spans"), desk.said());
        sinks.insert(String::from("log"), self.serving.log());
        sinks
    }
}

/// Names and labels of measurements; a value may hold any digits.
fn names(metrics: &str) -> String {
    metrics.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect::<Vec<_>>().join("\n")
}

/// What of the planted stands where.
fn leaks(sinks: &Sinks, canaries: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    let mut found = Vec::new();
    for (place, text) in sinks {
        for (what, forms) in canaries {
            for form in forms.iter().filter(|form| text.contains(*form)) {
                let line = text.lines().find(|line| line.contains(form)).unwrap_or_default();
                found.push(format!("{what} ({form}) in {place}: {}", line.chars().take(400).collect::<String>()));
            }
        }
    }
    found
}

/// The ways in which a number may be written: all its digits, nationally, and all but the first of them.
fn forms(number: &str) -> Vec<String> {
    let digits = number.trim_start_matches("+81");
    vec![
        digits.to_owned(),
        format!("{}-{}", &digits[2..6], &digits[6..]),
        format!("{} {}", &digits[2..6], &digits[6..]),
    ]
}

fn canaries(program: &Program, view_token: &str) -> BTreeMap<&'static str, Vec<String>> {
    let numbers = [TRUNK_NUMBER, MATCH_NUMBER, SPOKEN_NUMBER].iter().flat_map(|number| forms(number)).collect();
    let session = program.session.split_once('=').unwrap().1.to_owned();
    let key = program.settings.key();
    BTreeMap::from([
        ("a number", numbers),
        ("a code", vec![CODE.to_owned(), SPOKEN_CODE.to_owned()]),
        (
            "a secret",
            vec![
                SIP_PASSWORD.to_owned(),
                CALLBACK_SECRET.to_owned(),
                TRACE_TOKEN.to_owned(),
                key.to_owned(),
                key.rsplit('_').next().unwrap().to_owned(),
            ],
        ),
        ("a token", vec![CALLBACK_TOKEN.to_owned(), view_token.to_owned(), session]),
        ("a client's text", vec![PURPOSE.to_owned()]),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_is_seen_nowhere() {
    let (desk, captures) = (Desk::start().await, TempDir::new().unwrap());
    let challenge =
        "Proxy-Authenticate: Digest realm=\"trunk\", nonce=\"n-0S6_WzA2Mj\", algorithm=SHA-256, qop=\"auth\"";
    let ear = Ear::start(Habits::pressing('#')).await;
    let peer = Sipp::callee("challenge", &[("challenge", challenge), ("rtp_port", &ear.port())]).await;
    let mut program = Program::start(captures.path(), peer.port(), desk.url()).await;
    program.sign_in().await;
    let by_trunk = program.create(json!({ "to": TRUNK_NUMBER, "carrier": "trunk", "locale": "en-US" })).await;
    assert_eq!(program.decided(&by_trunk).await["status"], "verified", "{}", program.serving.log());
    peer.kept().await;
    // The callee keys the digits.
    let matched = program.create(json!({ "to": MATCH_NUMBER, "carrier": "main", "mode": "match", "code": CODE })).await;
    let view = program.post(&format!("/v1/verifications/{matched}/view-token"), json!({})).await;
    let view_token = view["token"].as_str().unwrap_or_else(|| panic!("{view:#}")).to_owned();
    assert_eq!(program.decided(&matched).await["status"], "verified", "{}", program.serving.log());
    // Typed on the web: wrong once, and right.
    let spoken = json!({ "to": SPOKEN_NUMBER, "carrier": "main", "mode": "speak", "code": SPOKEN_CODE });
    let spoken = program.create(spoken).await;
    let check = format!("/v1/verifications/{spoken}/check");
    program.post(&check, json!({ "code": CODE })).await;
    program.post(&check, json!({ "code": SPOKEN_CODE })).await;
    program.post(&format!("/v1/verifications/{spoken}/cancel"), json!({})).await;
    program.decided(&spoken).await;
    let ids = [by_trunk, matched, spoken];
    until_told(&program, &ids, captures.path(), &desk).await;
    // Who looks for a number is told of in the audit log; it is erased of another client, who has nothing.
    program.read(&format!("/v1/calls?number={}", MATCH_NUMBER.replace('+', "%2B")), "*/*").await;
    let erased = program.post("/v1/calls/erase", json!({ "number": MATCH_NUMBER, "client": "nobody" })).await;
    assert_eq!(erased["erased"], 0, "{erased:#}");
    let canaries = canaries(&program, &view_token);
    let sinks = until_told(&program, &ids, captures.path(), &desk).await;
    assert_eq!(leaks(&sinks, &canaries), Vec::<String>::new());
    every_sink_is_looked_at(&sinks, &canaries);
    // A leak that is made: what a client writes into its reference is its own and is shown.
    let told = json!({ "to": "+819014142135", "carrier": "main", "reference": MATCH_NUMBER });
    let told = program.create(told).await;
    program.decided(&told).await;
    let sinks = until_told(&program, &[told], captures.path(), &desk).await;
    let found = leaks(&sinks, &canaries).join("\n");
    for place in ["/v1/calls:", "/v1/calls.csv", "/v1/calls.ndjson", "page /console/calls:", "calls export"] {
        assert!(found.contains(&format!("in {place}")), "a leak in {place} is not seen:\n{found}");
    }
    assert!(!found.contains("in log") && !found.contains("in spans") && !found.contains("in metrics"), "{found}");
}

/// Everything that is said, once the calls are in the log and the spans have arrived.
async fn until_told(program: &Program, ids: &[String], captures: &Path, desk: &Desk) -> Sinks {
    let begun = Instant::now();
    loop {
        let (calls, spans) = (program.read("/v1/calls", "*/*").await, desk.said());
        if ids.iter().all(|id| calls.contains(id.as_str()) && spans.contains(id.as_str())) {
            return program.sinks(ids, captures, desk).await;
        }
        assert!(begun.elapsed() < PATIENCE, "not all is told: {calls}\n{}", program.serving.log());
        sleep(Duration::from_millis(50)).await;
    }
}

/// No sink is empty or forgotten, and a leak in any of them is seen.
fn every_sink_is_looked_at(sinks: &Sinks, canaries: &BTreeMap<&str, Vec<String>>) {
    let places: Vec<&str> = sinks.keys().map(String::as_str).collect();
    for place in [
        "/v1/calls",
        "/v1/calls.csv",
        "/v1/calls.ndjson",
        "/v1/stats?range=day",
        "capture call_",
        "calls export",
        "calls stats",
        "log",
        "metrics application/openmetrics-text",
        "metrics text/plain",
        "page /console/board",
        "page /console/calls",
        "page /console/calls/call_",
        "page /console/health",
        "page /console/outbox",
        "spans",
    ] {
        assert!(places.iter().any(|known| known.starts_with(place)), "{place} is not looked at: {places:#?}");
    }
    for (place, text) in sinks.iter().filter(|(place, _)| *place != "/v1/dead-letters") {
        assert!(text.len() > 40, "{place} says nothing: {text}");
        for (what, forms) in canaries {
            for form in forms {
                let leaking = BTreeMap::from([(place.clone(), format!("{text}\nx{form}x"))]);
                assert!(!leaks(&leaking, canaries).is_empty(), "{what} in {place} is not seen");
            }
        }
    }
    let log = &sinks["log"];
    for word in [
        "verification decided",
        "the call log is searched for a number",
        "INVITE",
        "the records of a number are erased",
    ] {
        assert!(log.contains(word), "`{word}` is not in the log:\n{log}");
    }
    assert!(
        sinks.iter().any(|(place, text)| place.starts_with("capture ") && text.contains("<-- received")),
        "{places:?}"
    );
}
