//! ringproof as a telephone: the built binary calls real SIP peers over trunks, and each call comes to what it should.
//! One program serves all trunks of a test; each trunk leads to a peer of its own.

mod callees;
mod keys;
mod loss;
mod noise;
mod outcomes;
mod softphones;
mod trunks;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::world::program::{Serving, Settings};

/// Longest wait for a verification to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// The outcome of a call in which the pound key was pressed.
const VERIFIED: &str = "verified null completed none 200";

/// A program with trunks.
struct Exchange {
    settings: Settings,
    serving: Serving,
    client: reqwest::Client,
}

impl Exchange {
    /// Starts the program with these trunks: a name and what is special about it.
    async fn start(trunks: &[(&str, String)]) -> Self {
        Self::start_with("", trunks).await
    }

    /// The same with the port of SIP given.
    async fn start_bound(port: u16, trunks: &[(&str, String)]) -> Self {
        let at = format!("bind = \"127.0.0.1:{port}\"");
        let trunks: Vec<_> = trunks.iter().map(|(name, lines)| (*name, format!("{lines}{at}\n"))).collect();
        Self::start(&trunks).await
    }

    /// The same with further lines of `[verification]`.
    async fn start_with(verification: &str, trunks: &[(&str, String)]) -> Self {
        let carriers: String = trunks.iter().map(|(name, lines)| carrier(name, lines)).collect();
        let settings = Settings::with_verification("memory:", verification, &carriers);
        let serving = tokio::task::spawn_blocking(move || (Serving::start(&settings), settings)).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { settings: serving.1, serving: serving.0, client }
    }

    /// Asks for a call through one trunk: the id of the verification.
    async fn call(&self, trunk: &str, number: u32, more: Value) -> String {
        let mut more = more;
        more["carrier"] = json!(trunk);
        self.call_by_any(number, more).await
    }

    /// Asks for a call through whichever trunk takes it.
    async fn call_by_any(&self, number: u32, more: Value) -> String {
        let mut body = json!({ "to": to(number), "locale": "en-US" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let url = format!("{}/v1/verifications", self.settings.url());
        let answer = self.client.post(url).bearer_auth(self.settings.key()).json(&body).send().await.unwrap();
        let status = answer.status();
        let document: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{document}");
        document["id"].as_str().unwrap().to_owned()
    }

    /// The verification once it is decided.
    async fn decided(&self, id: &str) -> Value {
        self.until(id, |document| document["status"] != "pending").await
    }

    /// The verification once `condition` holds for it.
    async fn until(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let document = self.read(&format!("/v1/verifications/{id}?wait=2")).await;
            if condition(&document) {
                return document;
            }
            assert!(Instant::now() < deadline, "it does not come to that: {document}\n{}", self.serving.log());
        }
    }

    /// The records of the calls of a verification, oldest first, once the last one is over.
    async fn records(&self, id: &str) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let own = |record: &&Value| record["verification"] == id;
        loop {
            let calls = self.read("/v1/calls?limit=500").await;
            let mut found: Vec<Value> = calls["items"].as_array().unwrap().iter().filter(own).cloned().collect();
            let document = self.read(&format!("/v1/verifications/{id}")).await;
            if !found.is_empty() && found.len() == document["calls"].as_array().unwrap().len() {
                found.sort_by_key(|record| record["id"].as_str().map(str::to_owned));
                return found;
            }
            assert!(Instant::now() < deadline, "no record of a call: {document}\n{}", self.serving.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a call came to: status and reason of the verification, end, fault and SIP status of its last call.
    async fn outcome(&self, id: &str) -> String {
        let document = self.decided(id).await;
        let records = self.records(id).await;
        let record = records.last().unwrap();
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let words = [&document["status"], &document["reason"], &record["end"], &record["fault"], &record["sip_status"]];
        words.map(word).join(" ")
    }

    /// That a call comes to this, or everything that is known of it.
    async fn comes_to(&self, id: &str, expected: &str) {
        let outcome = self.outcome(id).await;
        let records = Value::from(self.records(id).await);
        assert!(outcome == expected, "{outcome}, not {expected}\n{records:#}\n{}", self.serving.log());
    }

    async fn post(&self, path: &str) {
        let url = format!("{}{path}", self.settings.url());
        let answer = self.client.post(url).bearer_auth(self.settings.key()).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// A counter of packets of a trunk, as the metrics show it.
    async fn packets(&self, trunk: &str, kind: &str) -> u64 {
        let url = format!("{}/metrics", self.settings.url());
        let answer = self.client.get(url).bearer_auth(self.settings.key()).send().await.unwrap().text().await.unwrap();
        let name = format!("ringproof_sip_rtp_packets_total{{carrier=\"{trunk}\",kind=\"{kind}\"}} ");
        answer.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    }

    async fn read(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.settings.url());
        let answer = self.client.get(url).bearer_auth(self.settings.key()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    /// What must hold at the end of every test: no number, no key in the log; it ends in order.
    async fn check(self, numbers: impl IntoIterator<Item = u32>) -> String {
        let (code, _, log) = tokio::task::spawn_blocking(move || self.serving.stop()).await.unwrap();
        for number in numbers {
            let digits = to(number);
            let digits = digits.trim_start_matches('+');
            assert!(!log.contains(digits), "a number in the log: {}", line_with(&log, digits));
        }
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

fn line_with<'a>(text: &'a str, part: &str) -> &'a str {
    text.lines().find(|line| line.contains(part)).unwrap_or("?")
}

/// A trunk on this machine.
fn carrier(name: &str, lines: &str) -> String {
    let bind = if lines.contains("bind =") { "" } else { "bind = \"127.0.0.1:0\"\n" };
    format!(
        "[[carriers]]\nname = \"{name}\"\nkind = \"sip\"\nfrom = [\"+815012345678\"]\n\
         probe_interval = \"0s\"\n{bind}{lines}\n"
    )
}

/// The line of the settings that leads a trunk to a port over UDP.
fn to_port(port: u16) -> String {
    format!("trunk = \"sip:127.0.0.1:{port}\"\n")
}

/// The `n`th number of a Japanese mobile network.
fn to(n: u32) -> String {
    format!("+8190{:08}", 31_500_000 + n)
}
