//! Whatever is asked of the service, the series of its measurements stay those of the table, within a bound, and hold
//! nothing that a client sent. Both text formats hold the same series.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use ringproof::{
    console::ROUTES,
    telemetry::{Kind, MEASUREMENTS, Measurement},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{CANARY, CODE, leaks, simulator};
use crate::world::program::{Serving, Settings};

/// Requests that are made.
const REQUESTS: usize = 1500;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most series of a service that has one carrier and two countries, whatever it is asked: each route with its few methods
/// and statuses.
const MAX_SERIES: usize = 5000;
/// The methods that are told.
const METHODS: [&str; 10] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "_OTHER"];
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// A request as it is put on the wire.
#[derive(Debug, Clone)]
struct Odd {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    with_key: bool,
}

/// A number, an id, a code, or a word that must not be told: in a path, a header, a body.
fn planted() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{4,15}",
        "%2B81[0-9]{10}",
        Just(CODE.to_owned()),
        Just(CANARY.to_owned()),
        "ver_[0-9A-HJKMNP-TV-Z]{26}",
        "(%E3%81%8[0-9A-F]|%F0%9F%93%9E|%00|%0A|%22|%7B|%7D|[ -~&&[^ #?/%]]){1,12}",
        "[a-z]{1,20}",
    ]
}

fn target(templates: Vec<String>) -> impl Strategy<Value = String> {
    let known =
        (select(templates), prop::collection::vec(planted(), 4), any::<Index>()).prop_map(|(template, words, at)| {
            let mut words = words.iter().cycle().skip(at.index(4));
            let filled =
                template.split('/').map(|part| if part.starts_with('{') { words.next().unwrap() } else { part });
            filled.collect::<Vec<_>>().join("/")
        });
    let unknown = prop::collection::vec(planted(), 0..5).prop_map(|parts| format!("/{}", parts.join("/")));
    let query =
        prop::option::weighted(0.3, (planted(), planted()).prop_map(|(name, value)| format!("?{name}={value}")));
    (prop_oneof![6 => known, 2 => unknown, 1 => Just(String::from("/v1/verifications"))], query)
        .prop_map(|(path, query)| path + &query.unwrap_or_default())
}

fn odd(templates: Vec<String>) -> impl Strategy<Value = Odd> {
    let method = prop_oneof![
        6 => select(vec!["GET", "POST"]).prop_map(str::to_owned),
        3 => select(METHODS.to_vec()).prop_map(str::to_owned),
        1 => "[A-Z]{1,12}",
        1 => "[a-z!#$%&'*+.^`|~0-9-]{1,12}",
        1 => Just(CANARY.to_owned()),
    ];
    let name = select(vec![
        "accept",
        "idempotency-key",
        "traceparent",
        "origin",
        "user-agent",
        "x-forwarded-for",
        "x-twilio-signature",
    ]);
    let headers = prop::collection::vec((name.prop_map(str::to_owned), planted()), 0..4);
    let body = prop_oneof![
        Just(String::new()),
        planted(),
        "[0-9]{4,12}"
            .prop_map(|to| json!({ "to": to, "country": "JP", "code": CODE, "reference": CANARY }).to_string()),
        planted()
            .prop_map(|word| json!({ "to": "+819031411234", "mode": word, "flow": word, "locale": word }).to_string()),
        Just(json!({ "to": "+819031410002", "brand": CANARY, "metadata": { CANARY: CODE } }).to_string()),
    ];
    (method, target(templates), headers, body, any::<bool>())
        .prop_map(|(method, target, headers, body, with_key)| Odd { method, target, headers, body, with_key })
}

/// Makes a request and reads what comes, if anything does.
async fn send(settings: &Settings, odd: &Odd) -> String {
    let mut text = format!("{} {} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n", odd.method, odd.target);
    for (name, value) in &odd.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if odd.with_key {
        text.push_str(&format!("authorization: Bearer {}\r\n", settings.key()));
    }
    text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{}", odd.body.len(), odd.body));
    let mut stream = TcpStream::connect(settings.url().trim_start_matches("http://")).await.unwrap();
    // A request that cannot be read is refused before it is whole.
    let _refused = stream.write_all(text.as_bytes()).await;
    let mut answer = vec![0; 12];
    // The beginning is enough: an answer may be held.
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await;
    assert!(read.is_ok(), "no answer to {odd:?}");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A sample of a text format: its name and its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
}

fn series(line: &str) -> Series {
    let (named, value) = line.rsplit_once(' ').unwrap();
    assert!(value.parse::<f64>().is_ok(), "no number: {line}");
    let (name, rest) = named.split_once('{').unwrap_or((named, ""));
    let mut labels = BTreeMap::new();
    let mut rest = rest.trim_end_matches('}');
    while let Some((label, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').unwrap();
        labels.insert(label.trim_start_matches(',').to_owned(), value.to_owned());
        rest = after;
    }
    assert!(rest.is_empty(), "not understood: {line}");
    Series { name: name.to_owned(), labels }
}

/// What a sample is of: its measurement, and what it adds to the name.
fn measured(series: &Series) -> Measurement {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
        let base = series.name.strip_suffix(end)?;
        MEASUREMENTS.iter().find(|m| m.name == base && m.kind == Kind::Histogram)
    });
    *base
        .or_else(|| MEASUREMENTS.iter().find(|m| m.name == series.name))
        .unwrap_or_else(|| panic!("not in the table: {series:?}"))
}

fn all_series(text: &str) -> BTreeSet<Series> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(series).collect()
}

/// What is wrong with a series, whatever happened before.
fn fault(series: &Series, routes: &BTreeSet<String>) -> Option<&'static str> {
    let m = measured(series);
    let mut labels: BTreeSet<&str> = series.labels.keys().map(String::as_str).collect();
    labels.remove("le");
    if labels != m.labels.iter().copied().collect() {
        return Some("its labels are not those of the table");
    }
    for (label, value) in &series.labels {
        let is_word = value.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(&byte));
        let allowed = match label.as_str() {
            "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
            "http_route" => routes.contains(value),
            "http_request_method" => METHODS.contains(&value.as_str()),
            "http_response_status_code" => value == "other" || value.len() == 3 && value.parse::<u16>().is_ok(),
            "http_response_status_class" => ["1xx", "2xx", "3xx", "4xx", "5xx"].contains(&value.as_str()),
            "carrier" => ["main", "unknown", ""].contains(&value.as_str()),
            "country" => ["JP", "US"].contains(&value.as_str()),
            _ => is_word && value.len() <= 40,
        };
        if !allowed || value.contains(CANARY) {
            return Some("a label has a value that is not of its list");
        }
    }
    None
}

/// A family says what it is and what it means, in both formats.
fn families_are_described(prometheus: &str, openmetrics: &str) {
    for m in MEASUREMENTS {
        let kind = m.kind.as_str();
        if !prometheus.contains(&format!("# TYPE {} {kind}\n", m.name)) {
            assert!(!prometheus.contains(&format!("\n{}{{", m.name)), "no type: {}", m.name);
            continue;
        }
        assert!(prometheus.contains(&format!("# HELP {} {}\n", m.name, m.meaning)), "no help: {}", m.name);
        let family = if m.kind == Kind::Counter { m.name.strip_suffix("_total").unwrap() } else { m.name };
        assert!(openmetrics.contains(&format!("# TYPE {family} {kind}\n")), "no type: {family}");
        assert!(openmetrics.contains(&format!("# HELP {family} {}\n", m.meaning)), "no help: {family}");
        let has_unit = openmetrics.contains(&format!("# UNIT {family} seconds\n"));
        assert_eq!(has_unit, m.unit == "seconds", "{family}");
    }
}

async fn scrape(client: &reqwest::Client, settings: &Settings, accept: &str) -> String {
    let request = client.get(format!("{}/metrics", settings.url())).bearer_auth(settings.key());
    let answer = request.header("accept", accept).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(accept));
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_stay_those_of_the_table_whatever_is_asked() {
    let settings = simulator("memory:");
    let _service = Serving::start(&settings);
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let description =
        client.get(format!("{}/openapi.json", settings.url())).send().await.unwrap().text().await.unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    let mut routes: BTreeSet<String> = description["paths"].as_object().unwrap().keys().cloned().collect();
    assert!(routes.len() > 20, "{routes:?}");
    routes.extend(ROUTES.map(str::to_owned));
    let strategy = odd(routes.iter().cloned().collect());
    routes.extend(["other", "/docs", "/docs/", "/openapi.json"].map(str::to_owned));
    routes.extend(["/docs/{file}"].map(str::to_owned));
    let mut runner = TestRunner::deterministic();
    let mut statuses = BTreeSet::new();
    for _ in 0..REQUESTS {
        let odd = strategy.new_tree(&mut runner).unwrap().current();
        statuses.insert(send(&settings, &odd).await);
    }
    assert!(statuses.len() > 6, "the requests were too much alike: {statuses:?}");
    let prometheus = scrape(&client, &settings, "text/plain").await;
    let openmetrics = scrape(&client, &settings, OPENMETRICS).await;
    let all = all_series(&prometheus);
    let faults: Vec<_> = all.iter().filter_map(|series| Some((fault(series, &routes)?, series))).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(all.len() < MAX_SERIES, "{} series", all.len());
    assert_eq!(leaks(&prometheus), Vec::<String>::new());
    // The bound is not that of a service that nobody asks anything.
    let told = |label: &str| all.iter().filter_map(|series| series.labels.get(label)).collect::<BTreeSet<_>>().len();
    assert!(told("http_route") > 40 && told("http_request_method") == METHODS.len(), "{prometheus}");
    families_are_described(&prometheus, &openmetrics);
    both_hold_the_same(&prometheus, &openmetrics);
    for planted in ["a{http_route=\"/v1/verifications/ver_01J\"} 1", "a{country=\"819012345678\"} 1"] {
        let planted = planted.replacen('a', "ringproof_creates_total", 1);
        assert!(fault(&series(&planted), &routes).is_some(), "{planted}");
    }
    let planted = "http_server_requests_total{http_route=\"/v1/a/7\",http_request_method=\"GET\",http_response_status_code=\"200\"} 1";
    assert!(fault(&series(planted), &routes).is_some(), "{planted}");
}

/// The same series, but for what is counted of the scrape between; bounds are numbers in both.
fn both_hold_the_same(prometheus: &str, openmetrics: &str) {
    assert!(openmetrics.ends_with("\n# EOF\n") && !openmetrics.contains("\n\n"), "{openmetrics}");
    let as_numbers = |text: &str| -> BTreeSet<Series> {
        let own = |series: &Series| series.labels.get("http_route").is_some_and(|route| route == "/metrics");
        let all = all_series(text).into_iter().filter(|series| !own(series));
        all.map(|mut series| {
            if let Some(bound) = series.labels.get_mut("le") {
                *bound = format!("{:?}", bound.replace('+', "").parse::<f64>().unwrap());
            }
            series
        })
        .collect()
    };
    assert_eq!(as_numbers(prometheus), as_numbers(openmetrics));
    let floats = all_series(openmetrics).into_iter().filter_map(|series| series.labels.get("le").cloned());
    assert!(
        floats.collect::<BTreeSet<_>>().iter().all(|bound| bound == "+Inf" || bound.contains('.')),
        "{openmetrics}"
    );
}
