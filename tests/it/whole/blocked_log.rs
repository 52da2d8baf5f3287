//! A log sink that takes nothing stops no call: whoever should read the standard error does not, lines are dropped and
//! counted, and verifications go on to the end.

use std::{
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::world::program::{Settings, free_port, program, signal};

/// Longest wait for anything here.
const PATIENCE: Duration = Duration::from_secs(60);
/// Everything has to be over within this time after the signal.
const STOP_WITHIN: Duration = Duration::from_secs(25);
/// Requests at once, each with its line in the log.
const TALKERS: usize = 16;
const DROPPED: &str = "ringproof_log_lines_dropped_total ";

/// A service whose standard error is a pipe that nobody reads: it is full after some 64 KiB.
struct Muted {
    process: Child,
    settings: Settings,
    client: reqwest::Client,
}

impl Drop for Muted {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Muted {
    async fn start(more: &str) -> Self {
        let settings = Settings::new("memory:", more);
        let process = program(settings.folder()).arg("serve").stderr(Stdio::piped()).spawn().unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let muted = Self { process, settings, client };
        let begun = Instant::now();
        while muted.client.get(muted.url("/healthz")).send().await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "the service did not start");
            sleep(Duration::from_millis(50)).await;
        }
        muted
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.settings.url())
    }

    async fn read(&self, path: &str) -> String {
        let answer = self.client.get(self.url(path)).bearer_auth(self.settings.key()).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().await.unwrap()
    }

    /// Lines that were dropped so far.
    async fn dropped(&self) -> u64 {
        let metrics = self.read("/metrics").await;
        metrics.lines().find_map(|line| line.strip_prefix(DROPPED)).map_or(0, |count| count.parse().unwrap())
    }

    /// A line in the log for each of many requests.
    async fn talk(&self) {
        let one = async || {
            for _ in 0..100 {
                let answer = self.client.get(self.url("/healthz")).send().await.unwrap();
                assert!(answer.status().is_success());
            }
        };
        futures_util::future::join_all((0..TALKERS).map(|_| one())).await;
    }

    async fn verified(&self, number: u32) {
        let body = json!({ "to": format!("+81903141{number:02}34") });
        let request = self.client.post(self.url("/v1/verifications")).bearer_auth(self.settings.key()).json(&body);
        let created: Value = request.send().await.unwrap().json().await.unwrap();
        let id = created["id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
        let begun = Instant::now();
        loop {
            let document: Value =
                serde_json::from_str(&self.read(&format!("/v1/verifications/{id}?wait=5")).await).unwrap();
            if document["status"] != "pending" {
                assert_eq!(document["status"], "verified", "{document:#}");
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "no outcome: {document:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_no_call() {
    let away = free_port();
    let mut muted = Muted::start(&format!(
        "[callbacks]\nsecret = \"{}\"\nallow_private = true\n[traces]\nendpoint = \"http://127.0.0.1:{away}\"\n\
         [[carriers]]\nname = \"main\"\nkind = \"simulator\"\nspeed = 100\nfrom = [\"+815012345678\"]\ncountries = [\"*\"]\n\
         [logs]\nlevel = \"debug\"\nformat = \"json\"\n",
        crate::world::server::CALLBACK_SECRET
    ))
    .await;
    assert_eq!(muted.dropped().await, 0);
    let begun = Instant::now();
    while muted.dropped().await == 0 {
        assert!(begun.elapsed() < PATIENCE, "the log takes all, or what is dropped is not counted");
        muted.talk().await;
    }
    // From here on every line is dropped.
    for number in 1..6 {
        let (before, began) = (muted.dropped().await, Instant::now());
        muted.verified(number).await;
        assert!(began.elapsed() < Duration::from_secs(20), "a call waited for the log");
        assert!(muted.dropped().await > before + 5, "the lines of a verification are dropped and counted");
    }
    let begun = Instant::now();
    while muted.read("/v1/calls.ndjson").await.lines().count() < 5 {
        assert!(begun.elapsed() < PATIENCE, "a call is not in the call log");
        sleep(Duration::from_millis(20)).await;
    }
    signal(muted.process.id(), "TERM");
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = muted.process.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < STOP_WITHIN, "a full pipe keeps the service from stopping");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(0));
}
