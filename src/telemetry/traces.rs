//! Owns the way of spans to a collector (OTLP over HTTP, in protobuf): a bounded queue that drops, and a thread with a
//! runtime of its own that posts what comes through it. A collector that is away, slow or silent costs spans, which are
//! counted, and never holds a call up. What is told in a span is decided elsewhere.

use std::{
    borrow::Cow,
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as Told, Status, span::Event, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::{Deserialize, Deserializer};

use crate::{
    id::Entropy,
    secret::Secret,
    span::{self, Kind, Sampling, Span, Value},
};

/// Spans that may wait to be sent. At some hundred bytes a span that is a few megabytes at most.
const MAX_WAITING_SPANS: usize = 4096;
/// Most spans in one request.
const MAX_BATCH: usize = 512;
/// How long spans are gathered before they are sent together, in so many steps: at the end nobody waits for more than one.
const GATHER: Duration = Duration::from_millis(50);
const GATHER_STEPS: usize = 20;
/// How long one request may take.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// How often one batch is sent while the collector asks for patience, and the pause before the second time.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the last spans may take at the end of the program.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// Longest answer that is looked at, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Where collectors take spans (OTLP specification, "OTLP/HTTP Request").
const USUAL_PATH: &str = "v1/traces";
/// Bits of a span's flags that say whether its parent is another program's (opentelemetry/proto/trace/v1, `SpanFlags`).
const KNOWS_PARENT: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;
/// The flag of W3C Trace Context that all spans here have.
const SAMPLED: u32 = 0x01;

/// `[traces]`: whether spans are kept, which, and where they are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The collector, as in `http://127.0.0.1:4318`; `/v1/traces` is put behind an address without a path. Nothing is
    /// told of anything where it is missing or empty.
    pub endpoint: Option<String>,
    /// Headers of the requests, as in `authorization=Bearer%20…,x-tenant=a`. Better `headers_file`.
    #[serde(deserialize_with = "secret")]
    pub headers: Option<Secret<String>>,
    /// Which traces are kept.
    pub sampler: Sampler,
    /// The part of traces, from 0 to 1, that the samplers by `traceidratio` keep.
    pub ratio: f64,
    /// What this service is called in traces.
    pub service_name: String,
    /// More about this service, as in `deployment.environment.name=production,service.namespace=login`.
    pub resource: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: None,
            sampler: Sampler::ParentbasedAlwaysOn,
            ratio: 1.0,
            service_name: String::from("ringproof"),
            resource: String::new(),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Some(Secret::new(String::deserialize(deserializer)?)))
}

/// Which traces are kept, by OpenTelemetry's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A part.
    #[serde(rename = "traceidratio")]
    Ratio,
    /// As whoever began the trace keeps it; all that begin here.
    ParentbasedAlwaysOn,
    /// As whoever began the trace keeps it; none that begin here.
    ParentbasedAlwaysOff,
    /// As whoever began the trace keeps it; a part of those that begin here.
    #[serde(rename = "parentbased_traceidratio")]
    ParentbasedRatio,
}

impl Config {
    /// What is wrong, each as setting and what would be right. Empty when nothing is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(why) = self.url() {
            faults.push(format!("traces.endpoint: {why}"));
        }
        if self.header_map().is_none() {
            faults.push(String::from("traces.headers: write them as in name=value,name=value, with %20 for a space"));
        }
        if !(0.0..=1.0).contains(&self.ratio) {
            faults.push(String::from("traces.ratio: expected a number from 0 to 1"));
        }
        if self.service_name.is_empty() {
            faults.push(String::from("traces.service_name: is empty"));
        }
        if pairs(&self.resource).is_none() {
            faults.push(String::from("traces.resource: write it as in name=value,name=value, with %2C for a comma"));
        }
        faults
    }

    /// Where spans are posted. `None` where they are not.
    fn url(&self) -> Result<Option<Url>, &'static str> {
        let Some(text) = self.endpoint.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let wrong = "write the collector's address as in http://127.0.0.1:4318";
        let mut url: Url = text.parse().map_err(|_| wrong)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds no user and no password; give them in traces.headers_file");
        }
        if url.path() == "/" {
            url.set_path(USUAL_PATH);
        }
        Ok(Some(url))
    }

    fn header_map(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        let Some(text) = &self.headers else { return Some(headers) };
        for (name, value) in pairs(text.expose())? {
            let mut value: HeaderValue = value.parse().ok()?;
            value.set_sensitive(true);
            headers.insert(name.parse::<HeaderName>().ok()?, value);
        }
        Some(headers)
    }

    fn sampling(&self) -> Sampling {
        let (ratio, parent_based) = match self.sampler {
            Sampler::AlwaysOn => (1.0, false),
            Sampler::AlwaysOff => (0.0, false),
            Sampler::Ratio => (self.ratio, false),
            Sampler::ParentbasedAlwaysOn => (1.0, true),
            Sampler::ParentbasedAlwaysOff => (0.0, true),
            Sampler::ParentbasedRatio => (self.ratio, true),
        };
        Sampling { ratio, parent_based }
    }
}

/// `name=value` with commas between, values percent-encoded (OpenTelemetry's form, from W3C Baggage).
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once('=')?;
            let name = name.trim();
            (!name.is_empty()).then_some((name.to_owned(), decoded(value.trim())?))
        })
        .collect()
}

/// Text with its `%XX` replaced.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The settings need a change.
    #[error("{0}")]
    Settings(String),
    /// The client cannot be set up.
    #[error("the client that sends spans cannot be set up")]
    Client(#[from] reqwest::Error),
    /// The thread that sends cannot be started.
    #[error("the thread that sends spans cannot be started")]
    Thread(#[from] io::Error),
}

enum Item {
    Span(Box<Span>),
    Last,
}

/// Keeps spans flowing; what waits at its end is sent then.
#[must_use = "spans are sent as long as this lives"]
#[derive(Debug)]
pub struct Traces {
    queue: SyncSender<Item>,
    done: Receiver<()>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Span(_) => "Span",
            Self::Last => "Last",
        })
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // A collector that does not answer must not keep the program from ending: at most this long.
        if self.queue.try_send(Item::Last).is_ok() {
            let _in_time = self.done.recv_timeout(LAST_SPANS);
        }
    }
}

/// Begins to send spans, if the settings say where to. From here on [`span::is_on`].
///
/// # Errors
/// Why that is not possible.
pub fn start_traces(config: &Config, entropy: &dyn Entropy) -> Result<Option<Traces>, TracesError> {
    let Some(url) = config.url().map_err(|why| TracesError::Settings(format!("traces.endpoint: {why}")))? else {
        return Ok(None);
    };
    if let Some(fault) = config.faults().into_iter().next() {
        return Err(TracesError::Settings(fault));
    }
    let mut random = [0; 16];
    entropy.fill(&mut random);
    let random = u128::from_ne_bytes(random);
    let (seed, instance) = (random as u64, (random >> 64) as u64);
    let client = reqwest::Client::builder()
        .user_agent(concat!("ringproof/", env!("CARGO_PKG_VERSION")))
        .default_headers(config.header_map().unwrap_or_default())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(SEND_LIMIT)
        .build()?;
    announce();
    let (queue, waiting) = sync_channel(MAX_WAITING_SPANS);
    let (finished, done) = sync_channel(1);
    let courier = Courier { client, url, resource: resource(config, instance), in_trouble: false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        runtime.block_on(courier.carry(waiting));
        let _nobody_waits = finished.try_send(());
    };
    std::thread::Builder::new().name(String::from("traces")).spawn(work)?;
    let spans = queue.clone();
    // Whoever listened first in this process goes on to do so.
    let _listens = span::listen(Box::new(move |span| put(&spans, span)), config.sampling(), seed);
    Ok(Some(Traces { queue, done }))
}

fn put(queue: &SyncSender<Item>, span: Span) {
    if queue.try_send(Item::Span(Box::new(span))).is_err() {
        dropped("queue_full", 1);
    }
}

fn dropped(cause: &'static str, spans: usize) {
    metrics::counter!("ringproof_trace_spans_dropped_total", "cause" => cause)
        .increment(u64::try_from(spans).unwrap_or(u64::MAX));
}

/// Makes the counters known that somebody looks for when they first move.
fn announce() {
    for cause in ["queue_full", "not_taken", "refused"] {
        dropped(cause, 0);
    }
    metrics::counter!("ringproof_trace_spans_sent_total").increment(0);
}

/// Who says all this.
fn resource(config: &Config, instance: u64) -> Resource {
    let mut attributes = vec![
        text("service.name", &config.service_name),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", &format!("{instance:016x}")),
    ];
    let more = pairs(&config.resource).unwrap_or_default().into_iter();
    let more = more.filter(|(name, _)| attributes.iter().all(|known| known.key != *name)).collect::<Vec<_>>();
    attributes.extend(more.iter().map(|(name, value)| text(name, value)));
    Resource { attributes, ..Resource::default() }
}

/// Carries spans to the collector.
struct Courier {
    client: reqwest::Client,
    url: Url,
    resource: Resource,
    in_trouble: bool,
}

/// What came of sending a batch once.
enum Sent {
    Taken,
    /// The collector asks for patience, perhaps for so long.
    Later(Option<Duration>),
    Never(String),
}

impl Courier {
    /// Until the last span.
    async fn carry(mut self, waiting: Receiver<Item>) {
        let mut last = false;
        while !last {
            let Ok(Item::Span(first)) = waiting.recv() else { return };
            let mut batch = vec![*first];
            for _ in 0..GATHER_STEPS {
                std::thread::park_timeout(GATHER);
                while batch.len() < MAX_BATCH && !last {
                    match waiting.try_recv() {
                        Ok(Item::Span(span)) => batch.push(*span),
                        Ok(Item::Last) => last = true,
                        Err(_) => break,
                    }
                }
                if batch.len() >= MAX_BATCH || last {
                    break;
                }
            }
            self.deliver(batch).await;
        }
    }

    async fn deliver(&mut self, batch: Vec<Span>) {
        let count = batch.len();
        let body = encoded(&self.resource, batch);
        let mut pause = FIRST_PAUSE;
        let mut why = String::new();
        for attempt in 1..=TRIES {
            match self.send(body.clone()).await {
                Sent::Taken => {
                    if std::mem::take(&mut self.in_trouble) {
                        tracing::info!("the collector takes spans again");
                    }
                    metrics::counter!("ringproof_trace_spans_sent_total")
                        .increment(u64::try_from(count).unwrap_or(u64::MAX));
                    return;
                }
                Sent::Later(asked) => {
                    why = String::from("it asks for patience again and again");
                    if attempt < TRIES {
                        tokio::time::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    }
                    pause *= 2;
                }
                Sent::Never(fault) => {
                    why = fault;
                    break;
                }
            }
        }
        dropped("not_taken", count);
        if !std::mem::replace(&mut self.in_trouble, true) {
            tracing::warn!(why, "the collector does not take spans: they are dropped, and calls go on");
        }
    }

    async fn send(&self, body: Vec<u8>) -> Sent {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf").body(body);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(fault) if fault.is_timeout() => return Sent::Never(String::from("it does not answer in time")),
            Err(fault) if fault.is_connect() => return Sent::Never(String::from("it cannot be reached")),
            Err(_) => return Sent::Never(String::from("the exchange broke off")),
        };
        match answer.status().as_u16() {
            200..=299 => {
                refused(&whole(answer).await);
                Sent::Taken
            }
            429 | 502 | 503 | 504 => {
                let seconds = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                Sent::Later(seconds.map(Duration::from_secs))
            }
            status => Sent::Never(format!("it answered {status}")),
        }
    }
}

/// A short answer; nothing of a longer one.
async fn whole(mut answer: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Vec::new();
        }
    }
    body
}

/// Counts what the collector did not take of a batch that it took.
fn refused(body: &[u8]) {
    let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|answer| answer.partial_success);
    if let Some(count) =
        partial.and_then(|partial| usize::try_from(partial.rejected_spans).ok()).filter(|count| *count > 0)
    {
        dropped("refused", count);
    }
}

fn encoded(resource: &Resource, batch: Vec<Span>) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: String::from("ringproof"),
        version: String::from(env!("CARGO_PKG_VERSION")),
        ..InstrumentationScope::default()
    };
    let spans =
        ScopeSpans { scope: Some(scope), spans: batch.into_iter().map(told).collect(), ..ScopeSpans::default() };
    let all = ResourceSpans { resource: Some(resource.clone()), scope_spans: vec![spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![all] }.encode_to_vec()
}

fn told(span: Span) -> Told {
    let kind = match span.kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    };
    let code = if span.failed { StatusCode::Error } else { StatusCode::Unset };
    let remote = if span.parent_is_remote { PARENT_IS_REMOTE } else { 0 };
    Told {
        trace_id: span.trace.as_bytes().to_vec(),
        span_id: span.id.as_bytes().to_vec(),
        parent_span_id: span.parent.map(|parent| parent.as_bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED | KNOWS_PARENT | remote,
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.began_ns,
        end_time_unix_nano: span.ended_ns,
        attributes: span.attributes.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        events: span
            .events
            .into_iter()
            .map(|(name, at)| Event { time_unix_nano: at, name: name.to_owned(), ..Event::default() })
            .collect(),
        status: Some(Status { code: code.into(), ..Status::default() }),
        ..Told::default()
    }
}

fn text(key: &str, word: &str) -> KeyValue {
    attribute(key, Value::Word(Cow::Owned(word.to_owned())))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Word(word) => any_value::Value::StringValue(word.into_owned()),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests;
