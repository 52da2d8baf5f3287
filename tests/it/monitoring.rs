//! What watches ringproof: Debian's Prometheus takes our rules, scrapes the built program while it calls simulated
//! telephones, and has an answer to every query of the dashboard. Nothing about a person is in what it scrapes.

mod odd_requests;

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    tidy::root,
    world::{
        backend::Backend,
        program::{Serving, Settings, free_port},
        server::CALLBACK_SECRET,
    },
};

/// Longest wait for Prometheus to see what happens.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two rounds of calls.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(500);
/// How many calls are made in a round: one for each kind of callee.
const CALLEES: [&str; 8] = ["1234", "0002", "0003", "0005", "0006", "0008", "0015", "0016"];
/// What is told in a request and may be seen nowhere else.
const CANARY: &str = "canarybird";
const CODE: &str = "735194";

fn promtool(arguments: &[&str]) -> String {
    let done = Command::new("promtool").args(arguments).current_dir(root().join("deploy/monitoring")).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "promtool {arguments:?}: {said}");
    said
}

#[test]
fn prometheus_takes_the_rules_and_they_do_as_their_tests_say() {
    let said = promtool(&["check", "rules", "rules.yml"]);
    assert!(said.contains("SUCCESS"), "{said}");
    let said = promtool(&["test", "rules", "rules_test.yml", "rules_week_test.yml"]);
    assert!(said.contains("SUCCESS"), "{said}");
}

/// A Prometheus on the loopback interface, until it is dropped.
struct Prometheus {
    process: Child,
    folder: TempDir,
    port: u16,
    client: reqwest::Client,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Prometheus {
    /// Starts one that scrapes all of `targets`, and waits until it is ready.
    async fn start(targets: &[&Settings]) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, configuration(targets)).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("series").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut prometheus = Self { process, folder, port, client };
        let begun = Instant::now();
        loop {
            let answer = prometheus.client.get(format!("http://127.0.0.1:{port}/-/ready")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return prometheus;
            }
            let ended = prometheus.process.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "no Prometheus ({ended:?}): {}", prometheus.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut url = url::Url::parse(&format!("http://127.0.0.1:{}/api/v1/{path}", self.port)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// The numbers that a query has for an answer.
    async fn numbers(&self, query: &str) -> Vec<f64> {
        let data = self.ask("query", &[("query", query)]).await;
        let series = data["result"].as_array().unwrap().iter();
        let numbers = series.map(|series| series["value"][1].as_str().unwrap().parse::<f64>().unwrap());
        numbers.filter(|number| number.is_finite()).collect()
    }
}

fn configuration(targets: &[&Settings]) -> String {
    let rules = root().join("deploy/monitoring/rules.yml");
    let mut text = format!(
        "global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  evaluation_interval: 1s\n\
         rule_files: [\"{}\"]\nscrape_configs:\n",
        rules.display()
    );
    for (n, target) in targets.iter().enumerate() {
        // One job for each key; in the series all are of one job, as they would be.
        text.push_str(&format!(
            "  - job_name: ringproof-{n}\n    authorization: {{credentials: \"{}\"}}\n    static_configs:\n\
             \x20     - targets: [\"{}\"]\n        labels: {{job: ringproof}}\n",
            target.key(),
            target.url().trim_start_matches("http://")
        ));
    }
    text
}

/// The queries of the dashboard with their panels, with what Grafana puts in for its variables.
fn queries() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("deploy/monitoring/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query =
                target["expr"].as_str().unwrap().replace("$__rate_interval", "20s").replace("$job", "ringproof");
            assert!(!query.contains('$'), "a variable that nobody sets: {query}");
            found.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    found
}

/// Asks for one call to each kind of callee, at numbers that no other round calls.
async fn call_all(client: &reqwest::Client, settings: &Settings, round: u32, callback_urls: &[String]) {
    for (callee, callback_url) in CALLEES.iter().zip(callback_urls.iter().cycle()) {
        let body = json!({
            "to": format!("+8190{:04}{callee}", 3141 + round), "mode": "match", "code": CODE, "callback_url": callback_url,
            "reference": CANARY, "metadata": { CANARY: CANARY }, "purpose": "sign_in", "purpose_text": CANARY, "brand": CANARY,
        });
        let body = if *callee == "1234" { body } else { json!({ "to": body["to"], "callback_url": callback_url }) };
        let asked = client.post(format!("{}/v1/verifications", settings.url())).bearer_auth(settings.key());
        let answer =
            asked.header("idempotency-key", format!("{CANARY}-{round}-{callee}")).json(&body).send().await.unwrap();
        let (status, said) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 201, "{callee}: {said}");
    }
}

/// What may not be in measurements: a word of a request, an id, a number, a code, in any name or label.
fn leaks(metrics: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, _)) = line.rsplit_once(' ') else { continue };
        // The bounds of a histogram and the statuses of answers are the only numbers among labels.
        let name = without(&without(name, "le=\""), "http_response_status_code=\"");
        let digits = name.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
        if digits > 2 || name.to_lowercase().contains(CANARY) || name.contains("ver_0") {
            found.push(line.to_owned());
        }
    }
    found
}

/// A line without the value of one label.
fn without(line: &str, label: &str) -> String {
    let Some((before, rest)) = line.split_once(label) else { return line.to_owned() };
    let (_, after) = rest.split_once('"').unwrap_or_default();
    format!("{before}{after}")
}

fn simulator(folder: &str) -> Settings {
    let more = format!(
        "[callbacks]\nsecret = \"{CALLBACK_SECRET}\"\nallow_private = true\n[[carriers]]\nname = \"main\"\n\
         kind = \"simulator\"\nspeed = 100\ncode = \"{CODE}\"\nfrom = [\"+815012345678\"]\ncountries = [\"*\"]\n"
    );
    Settings::new(folder, &more)
}

/// A ringproof whose only carrier is a trunk towards nobody.
fn lonely_trunk() -> Settings {
    let more = format!(
        "[[carriers]]\nname = \"trunk\"\nkind = \"sip\"\ntrunk = \"sip:127.0.0.1:{}\"\nfrom = [\"+815012345678\"]\n\
         bind = \"127.0.0.1:0\"\nprobe_interval = \"5s\"\ncountries = [\"*\"]\n",
        free_port()
    );
    Settings::new("memory:", &more)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_has_an_answer_to_every_query() {
    let settings = simulator("memory:");
    let trunk = lonely_trunk();
    let (_service, _trunk_service) = (Serving::start(&settings), Serving::start(&trunk));
    let prometheus = Prometheus::start(&[&settings, &trunk]).await;
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let backend = Backend::start().await;
    // The second is a backend that is away: its results wait.
    let callback_urls = [backend.url(), format!("http://127.0.0.1:{}/", free_port())];
    let mut open = queries();
    assert!(open.len() > 15, "the queries were not found");
    let begun = Instant::now();
    let mut round = 0;
    while !open.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "without an answer: {open:#?}\n{}", prometheus.log());
        call_all(&client, &settings, round, &callback_urls).await;
        round += 1;
        sleep(BETWEEN_ROUNDS).await;
        let mut still = Vec::new();
        for (panel, query) in open {
            if prometheus.numbers(&query).await.is_empty() {
                still.push((panel, query));
            }
        }
        open = still;
    }
    let answer = client.get(format!("{}/metrics", settings.url())).bearer_auth(settings.key()).send().await.unwrap();
    let metrics = answer.text().await.unwrap();
    assert_eq!(leaks(&metrics), Vec::<String>::new());
    for (planted, is_seen) in [
        ("a_total{to=\"+819031411234\"} 1", true),
        ("a_total{key=\"735194\"} 1", true),
        ("a_total{path=\"/v1/verifications/ver_01J\"} 1", true),
        ("a_total{http_response_status_code=\"201\",key=\"735194\"} 1", true),
        ("a_total{class=\"2xx\"} 735194", false),
        ("a_total{http_response_status_code=\"201\"} 1", false),
        ("a_seconds_bucket{work=\"load\",le=\"0.0025\"} 7", false),
    ] {
        assert_eq!(!leaks(planted).is_empty(), is_seen, "{planted}");
    }
    units_are_known(&prometheus).await;
    // What is asked of the outcomes is what came of the calls.
    let verified = r#"sum(ringproof_verifications_total{status="verified",mode="match",carrier="main",country="JP"})"#;
    until(&prometheus, verified, |number| number >= 1.0).await;
    until(&prometheus, "max(ringproof_report_age_seconds)", |number| number > 0.0).await;
    until(&prometheus, "sum(up)", |number| number == 2.0).await;
    assert_eq!(prometheus.numbers("sum(ringproof_invariants_broken_total)").await, [0.0]);
    rules_are_evaluated(&prometheus).await;
}

/// Prometheus asks for `OpenMetrics` by itself, and only that tells it units.
async fn units_are_known(prometheus: &Prometheus) {
    let all = prometheus.ask("metadata", &[]).await;
    for m in ringproof::telemetry::MEASUREMENTS {
        // One that nothing was counted in yet is not there. A counter is known by its family.
        let name = m.name.strip_suffix("_total").unwrap_or(m.name);
        let Some(known) = all.get(name).map(|known| &known[0]) else {
            assert!(all.get(m.name).is_none(), "`{}` was not read as OpenMetrics: {all:#}", m.name);
            continue;
        };
        let unit = if m.unit == "seconds" { "seconds" } else { "" };
        let expected = json!({ "type": m.kind.as_str(), "unit": unit, "help": m.meaning });
        assert_eq!(*known, expected, "{name}");
    }
    assert!(all.as_object().unwrap().len() > 25, "{all:#}");
}

/// Waits until the one number of an answer is as it should be.
async fn until(prometheus: &Prometheus, query: &str, holds: impl Fn(f64) -> bool) {
    let begun = Instant::now();
    loop {
        let numbers = prometheus.numbers(query).await;
        if matches!(numbers[..], [number] if holds(number)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{query}: {numbers:?}\n{}", prometheus.log());
        sleep(Duration::from_millis(200)).await;
    }
}

/// Every rule is evaluated without a fault, and those see the trunk towards nobody that should.
async fn rules_are_evaluated(prometheus: &Prometheus) {
    for alert in ["RingproofTrunkDegraded", "RingproofCarrierDown"] {
        let query = format!("count(ALERTS{{alertname=\"{alert}\", carrier=\"trunk\"}})");
        until(prometheus, &query, |number| number == 1.0).await;
    }
    let data = prometheus.ask("rules", &[]).await;
    let groups = data["groups"].as_array().unwrap().iter();
    let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 15, "{data:#}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
    }
}
