//! Owns a gateway as its user runs it: the built binary with a configuration file, in a process of its own that can be
//! killed and started again.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::carrier::Carrier;

/// The API key of the backend, and one of another tenant.
pub(crate) const KEY: &str = "rp_enrolmnt_c2VjcmV0LW9mLXRoZS1lbnJvbG1lbnQtYmFja2VuZA";
pub(crate) const OTHER_KEY: &str = "rp_othertnt_c2VjcmV0LW9mLWFub3RoZXItdGVuYW50LWhlcmU";
/// The API key of those who look after it.
pub(crate) const OPERATORS_KEY: &str = "rp_operator_c2VjcmV0LW9mLXRoZS1vcGVyYXRvcnMtaGVyZQ";
/// The secret that results are signed with.
pub(crate) const CALLBACK_SECRET: &str = "whsec_c2VjcmV0LW9mLXRoZS1yZXN1bHQtd2ViaG9va3M=";

/// Longest wait for the process to become ready, or for a verification to end.
const MAX_WAIT: Duration = Duration::from_secs(180);

/// What of the configuration differs from test to test.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `[store] url`.
    pub(crate) store: String,
    /// Lines of `[verification]`.
    pub(crate) verification: String,
    /// Lines of the carrier.
    pub(crate) carrier: String,
}

/// A running gateway, stopped when it is dropped.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
    client: reqwest::Client,
    starts: u32,
}

impl Server {
    /// Starts a gateway that calls through `carrier`, and waits until it is ready.
    pub(crate) async fn start(carrier: &Carrier, settings: &Settings) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        fs::write(folder.path().join("ringproof.toml"), configuration(carrier, settings, port)).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(90)).build().unwrap();
        let mut server = Self { folder, port, process: None, client, starts: 0 };
        server.run().await;
        server
    }

    /// Starts the process again, with the same configuration.
    pub(crate) async fn run(&mut self) {
        self.starts += 1;
        let log = fs::File::create(self.log_file(self.starts)).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_ringproof"))
            .args(["serve", "--config"])
            .arg(self.folder.path().join("ringproof.toml"))
            .env("RINGPROOF_LOGS__LEVEL", "debug")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            let answer = self.client.get(self.url("/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "not ready ({ended:?}): {}", self.logs());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// SIGTERM, and how long the process then took to end; its exit code must be 0.
    pub(crate) async fn stop(&mut self) -> Duration {
        let mut process = self.process.take().unwrap();
        let began = Instant::now();
        let id = process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.logs());
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "it does not stop: {}", self.logs());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything it has logged, in all its lives.
    pub(crate) fn logs(&self) -> String {
        (1..=self.starts).map(|start| fs::read_to_string(self.log_file(start)).unwrap_or_default()).collect()
    }

    fn log_file(&self, start: u32) -> PathBuf {
        self.folder.path().join(format!("log-{start}.txt"))
    }

    /// `POST /v1/verifications`: status and body.
    pub(crate) async fn create(&self, body: &Value) -> (u16, Value) {
        self.post("/v1/verifications", body).await
    }

    /// Creates a verification that must be taken, and gives its document.
    pub(crate) async fn created(&self, body: &Value) -> Value {
        let (status, document) = self.create(body).await;
        assert_eq!(status, 201, "{document:#}");
        document
    }

    /// POSTs as the backend.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_as(KEY, path, body).await
    }

    /// POSTs with a key.
    pub(crate) async fn post_as(&self, key: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.client.post(self.url(path)).bearer_auth(key).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// GETs with a key.
    pub(crate) async fn read_as(&self, key: &str, path: &str) -> (u16, String) {
        let answer = self.client.get(self.url(path)).bearer_auth(key).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// GETs JSON as the backend.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.read_as(KEY, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until `holds` of the verification's document.
    pub(crate) async fn until(&self, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + MAX_WAIT;
        let path = format!("/v1/verifications/{id}");
        loop {
            let document = self.get(&path).await;
            if holds(&document) {
                return document;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {document:#}\n{}", self.logs());
            let answer = self.client.get(self.url(&format!("{path}?wait=20"))).bearer_auth(KEY).send().await;
            drop(answer);
        }
    }

    /// Waits for the outcome.
    pub(crate) async fn outcome(&self, id: &str) -> Value {
        self.until(id, "an outcome", |document| document["status"] != "pending").await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// Status and reason of a document in one text.
pub(crate) fn ending(document: &Value) -> String {
    match document["reason"].as_str() {
        Some(reason) => format!("{} {reason}", document["status"].as_str().unwrap()),
        None => document["status"].as_str().unwrap().to_owned(),
    }
}

fn hash(key: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(key.as_bytes()))
}

/// The same numbers are called again and again, whatever came of it before.
pub(crate) const NO_LIMITS: &str = r#"
[limits]
number = []
number_total = []
account = []
account_at_once = 0
client = []
pauses = []
failures = 0
night_from = "00:00"
night_until = "00:00"

[guard]
prefix = []
neighbours = []
country = []
judge_from = 0

[spend]
other_price = "0"
"#;

fn configuration(carrier: &Carrier, settings: &Settings, port: u16) -> String {
    let account = carrier.settings();
    let (key, other, operators) = (hash(KEY), hash(OTHER_KEY), hash(OPERATORS_KEY));
    format!(
        r#"
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"

[store]
url = "{store}"

[numbers]
countries = ["JP", "US", "DE", "FR", "ES", "PT", "IT", "KR", "CN", "IN", "GB"]

[verification]
brand = "Contoso"
{verification}

[callbacks]
secret = "{CALLBACK_SECRET}"
allow_private = true

[[carriers]]
name = "main"
kind = "twilio"
base_url = "{base_url}"
account_sid = "{sid}"
auth_token = "{token}"
from = ["+815012345678"]
countries = ["*"]
placing_at_once = 64
{carrier}

[[api_keys]]
name = "enrolment"
sha256 = "{key}"
scopes = ["verify", "calls"]

[[api_keys]]
name = "other"
sha256 = "{other}"
scopes = ["verify"]

[[api_keys]]
name = "operators"
sha256 = "{operators}"
scopes = ["admin"]

{NO_LIMITS}
"#,
        store = settings.store,
        verification = settings.verification,
        carrier = settings.carrier,
        base_url = carrier.base_url(),
        sid = account.account_sid,
        token = account.auth_token,
    )
}
