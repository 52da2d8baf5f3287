//! A verification is one trace, whoever takes its webhooks and however often they come; nothing secret is in its spans; and
//! a collector that says nothing holds nobody up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{Whole, number};
use crate::world::{
    carrier::{Act, Callee, Trouble, When},
    server::{KEY, ending},
};

const QUICK: &str = "early_keys = \"0s\"\nclosing = \"0s\"";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// Longest wait for the spans that are looked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What arrived at a collector or a backend.
#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    resources: BTreeSet<String>,
    headers: Vec<HeaderMap>,
}

/// A collector (`/v1/traces`) and a backend (`/results`) on a free port, until it is dropped.
pub(super) struct Desk {
    url: String,
    taken: Arc<Mutex<Taken>>,
    task: JoinHandle<()>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    #[expect(clippy::disallowed_methods, reason = "a server of a test lives as long as the test")]
    pub(super) async fn start() -> Self {
        let taken = Arc::new(Mutex::new(Taken::default()));
        let spans = |State(taken): State<Arc<Mutex<Taken>>>, body: Bytes| async move {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let mut taken = taken.lock().unwrap();
            for all in request.resource_spans {
                taken.resources.insert(format!("{:?}", all.resource));
                taken.spans.extend(all.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        };
        let results = |State(taken): State<Arc<Mutex<Taken>>>, headers: HeaderMap| async move {
            taken.lock().unwrap().headers.push(headers);
        };
        let app = Router::new().route("/v1/traces", post(spans)).route("/results", post(results));
        let app = app.with_state(Arc::clone(&taken));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, taken, task }
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Everything that the spans say so far.
    pub(super) fn said(&self) -> String {
        let taken = self.taken.lock().unwrap();
        format!("{:?} {:?}", taken.resources, taken.spans)
    }

    /// Waits until the spans of `trace` are as they should be.
    async fn until(&self, trace: &str, holds: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let begun = Instant::now();
        loop {
            let all = self.taken.lock().unwrap().spans.clone();
            let spans: Vec<_> = all.iter().filter(|span| hex(&span.trace_id) == trace).cloned().collect();
            if holds(&spans) {
                return spans;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "not all arrived: {:#?}",
                all.iter().map(|s| &s.name).collect::<Vec<_>>()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// Asks for a verification as a part of a trace.
async fn create(whole: &Whole, body: &Value, flags: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(whole.server.url("/v1/verifications")).bearer_auth(KEY).json(body);
    let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}")).header("tracestate", "shop=7");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

fn collector(url: &str) -> String {
    format!("[traces]\nendpoint = \"{url}\"\nresource = \"service.namespace=tests\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_is_one_trace() {
    let desk = Desk::start().await;
    let mut whole = Whole::start(10.0, QUICK, &collector(&desk.url)).await;
    whole.carrier.trouble(Trouble { duplicate: true, ..Trouble::default() });
    let to = number(1);
    whole.carrier.callee(&to, Callee::person([Act::Wait, Act::Press("#", When::After)]));
    let mut request = whole.request(&to);
    request["callback_url"] = format!("{}/results", desk.url).into();
    let id = create(&whole, &request, "01").await;
    let placed =
        |spans: &[Span]| !named(spans, "place").is_empty() && !named(spans, "POST /v1/verifications").is_empty();
    desk.until(TRACE, placed).await;
    // From here on another process takes what is said about the call.
    whole.server.kill();
    whole.server.run().await;
    assert_eq!(ending(&whole.server.outcome(&id).await), "verified");
    let results = |spans: &[Span]| {
        spans.iter().filter(|span| span.name == "POST" && is_below(spans, span, "verification")).count()
    };
    let all = |spans: &[Span]| {
        named(spans, "call").len() == 1
            && named(spans, "verification").len() == 1
            && !named(spans, "POST /webhooks/{carrier}/{token}/keys/{turn}").is_empty()
            && results(spans) == 1
    };
    let spans = desk.until(TRACE, all).await;
    let asked = named(&spans, "POST /v1/verifications")[0];
    assert_eq!((hex(&asked.parent_span_id).as_str(), asked.kind()), (PARENT, SpanKind::Server));
    let verification = named(&spans, "verification")[0];
    assert_eq!(verification.parent_span_id, asked.span_id);
    let call = named(&spans, "call")[0];
    assert_eq!(call.parent_span_id, verification.span_id);
    let place = named(&spans, "place")[0];
    assert_eq!(place.parent_span_id, call.span_id);
    assert!(spans.iter().any(|span| span.parent_span_id == place.span_id && span.kind() == SpanKind::Client));
    let webhooks: Vec<_> = spans.iter().filter(|span| span.name.contains("/webhooks/")).collect();
    assert!(webhooks.len() > 3 && webhooks.iter().all(|span| span.parent_span_id == call.span_id), "{webhooks:#?}");
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), spans.len(), "every span has a name of its own");
    assert!(desk.taken.lock().unwrap().resources.iter().all(|said| said.contains("tests")));
    // The backend gets its own trace back, below the span of the request to it.
    let headers = desk.taken.lock().unwrap().headers[0].clone();
    let told = headers["traceparent"].to_str().unwrap().to_owned();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-01"), "{told}");
    assert!(spans.iter().any(|span| told.contains(&hex(&span.span_id)) && span.kind() == SpanKind::Client), "{told}");
    assert_eq!(headers["tracestate"], "shop=7");
    no_secrets(&whole, &desk, &to);
}

fn is_below(spans: &[Span], span: &Span, name: &str) -> bool {
    spans.iter().any(|above| above.span_id == span.parent_span_id && above.name == name)
}

/// Numbers, keys, secrets and the tokens of calls are in no span.
fn no_secrets(whole: &Whole, desk: &Desk, to: &str) {
    let spans = desk.taken.lock().unwrap().spans.clone();
    let said: BTreeMap<String, String> = spans
        .iter()
        .map(|span| (hex(&span.span_id), format!("{} {:?} {:?}", span.name, span.attributes, span.events)))
        .collect();
    let said = said.into_values().collect::<Vec<_>>().join("\n");
    let account = whole.carrier.settings();
    let digits = to.trim_start_matches('+');
    let mut secrets =
        vec![digits.to_owned(), format!("0{}", &digits[2..]), account.auth_token.clone(), account.account_sid.clone()];
    secrets.extend([KEY.to_owned(), String::from("shop=7"), String::from("/results")]);
    secrets.extend(whole.carrier.posted().iter().filter_map(|posted| posted.url.split('/').nth(5).map(str::to_owned)));
    for secret in secrets {
        assert!(!said.contains(&secret), "`{secret}` in a span");
    }
    assert!(said.contains("ringproof.carrier") && said.contains("REDACTED"), "{said}");
}

/// What the backend does not keep is not kept here, but its result still tells it which trace it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_not_kept_leaves_no_span() {
    let desk = Desk::start().await;
    let whole = Whole::start(20.0, QUICK, &collector(&desk.url)).await;
    let to = number(2);
    whole.carrier.callee(&to, Callee::person([Act::Wait, Act::Press("#", When::After)]));
    let mut request = whole.request(&to);
    request["callback_url"] = format!("{}/results", desk.url).into();
    let id = create(&whole, &request, "00").await;
    assert_eq!(ending(&whole.server.outcome(&id).await), "verified");
    let begun = Instant::now();
    while desk.taken.lock().unwrap().headers.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "no result");
        sleep(Duration::from_millis(20)).await;
    }
    let told = desk.taken.lock().unwrap().headers[0]["traceparent"].to_str().unwrap().to_owned();
    assert_eq!(told, format!("00-{TRACE}-{PARENT}-00"));
    assert!(desk.taken.lock().unwrap().spans.iter().all(|span| hex(&span.trace_id) != TRACE));
}

/// A collector that takes connections and never says a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_collector_holds_nobody_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut whole = Whole::start(20.0, QUICK, &collector(&url)).await;
    for n in 10..20 {
        let to = number(n);
        whole.carrier.callee(&to, Callee::person([Act::Wait, Act::Press("#", When::After)]));
        let id = whole.server.created(&whole.request(&to)).await["id"].as_str().unwrap().to_owned();
        assert_eq!(ending(&whole.server.outcome(&id).await), "verified");
        whole.backend.result_of(&id).await;
    }
    let operators = crate::world::server::OPERATORS_KEY;
    let begun = Instant::now();
    loop {
        let (_, metrics) = whole.server.read_as(operators, "/metrics").await;
        let given_up = metrics
            .lines()
            .find_map(|line| line.strip_prefix("ringproof_trace_spans_dropped_total{cause=\"not_taken\"} "));
        if given_up.is_some_and(|count| count != "0") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing is counted: {metrics}");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(whole.server.stop().await < Duration::from_secs(20), "the stop waits for a collector");
    drop(listener);
}
