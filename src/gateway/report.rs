//! Owns telling the backend an outcome (Standard Webhooks): what is posted is fixed with the outcome, so that each
//! attempt posts the same bytes under the same id; how it is posted, what counts as delivered, and when it is tried
//! again. It reads no verification: by the time of a late attempt there may be none any more.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, header};
use jiff::fmt::rfc2822;
use minicbor::{Decode, Encode};
use reqwest::redirect::Policy;
use serde::Serialize;
use url::Url;

use super::{
    VerificationDocument,
    addresses::{GuardedResolver, LookUp, Reach, SystemLookUp},
    document::{document, status_event},
    sign::{SigningSecret, signatures},
    traced,
};
use crate::{
    span::{self, Kind, Open},
    store::Outgoing,
    time::Timestamp,
    trace::{TRACEPARENT, TRACESTATE, Trace},
    verification::Verification,
};

/// Longest time of one attempt.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(15);
/// Longest time until a connection stands.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of an answer that are read; what it says does not matter.
const MOST_ANSWER_BYTES: usize = 64 * 1024;
/// Longest time that a `Retry-After` is honoured for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Waits before each attempt, after the failure of the one before; after the last the result is a dead letter.
const SCHEDULE: [Duration; 10] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];

/// What is kept in the outbox: all that an attempt needs.
#[derive(Encode, Decode)]
struct Payload {
    #[n(0)]
    url: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    body: Vec<u8>,
    /// Where in a trace the attempts belong.
    #[n(2)]
    trace: Option<Trace>,
}

/// The body of a result.
#[derive(Serialize)]
struct Message {
    r#type: &'static str,
    timestamp: Timestamp,
    data: VerificationDocument,
}

/// What is to be posted about a verification that has become final; `None` where nobody wants to be told.
pub(super) fn payload(v: &Verification) -> Option<Vec<u8>> {
    let url = v.request.callback_url.clone()?;
    let message =
        Message { r#type: status_event(v.status), timestamp: v.decided_at.unwrap_or(v.created_at), data: document(v) };
    let body = serde_json::to_vec(&message).ok()?;
    minicbor::to_vec(Payload { url, body, trace: traced::of(v) }).ok()
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The backend has it.
    Delivered,
    /// It may work later; not before that time, where the backend names one.
    Failed {
        /// What was seen, without the URL.
        why: String,
        /// What the backend asked for.
        retry_after: Option<Duration>,
    },
    /// It will never work.
    GivenUp {
        /// Why, without the URL.
        why: String,
    },
}

/// Posts results.
pub(super) struct Reporter {
    secrets: Vec<SigningSecret>,
    reach: Reach,
    client: reqwest::Client,
}

impl Reporter {
    /// A reporter that signs with these secrets and reaches these addresses.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub(super) fn new(secrets: Vec<SigningSecret>, reach: Reach) -> Result<Self, reqwest::Error> {
        Self::with_look_up(secrets, reach, Arc::new(SystemLookUp))
    }

    fn with_look_up(
        secrets: Vec<SigningSecret>,
        reach: Reach,
        look_up: Arc<dyn LookUp>,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("ringproof/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ATTEMPT_LIMIT)
            .https_only(reach == Reach::Public)
            .dns_resolver(GuardedResolver { reach, look_up })
            .build()?;
        Ok(Self { secrets, reach, client })
    }

    /// Whether results can be posted at all, and to this URL.
    ///
    /// # Errors
    /// What is wrong, without the URL itself.
    pub(super) fn check_url(&self, url: &str) -> Result<(), &'static str> {
        if self.secrets.is_empty() {
            return Err("results cannot be posted: no signing secret is configured ([callbacks] secret)");
        }
        self.reach.check_url(url).map(|_| ())
    }

    /// Tries once to post a result. With the HTTP status of the answer, if there was one.
    pub(super) async fn attempt(&self, effect: &Outgoing, now: Timestamp) -> (Attempt, Option<u16>) {
        let given_up = |why: &str| (Attempt::GivenUp { why: why.to_owned() }, None);
        let Ok(Payload { url, body, trace }) = minicbor::decode(&effect.payload) else {
            return given_up("unreadable entry");
        };
        let url = match self.reach.check_url(&url) {
            Ok(url) => url,
            Err(why) => return given_up(why),
        };
        if self.secrets.is_empty() {
            return (failed("no signing secret is configured"), None);
        }
        let mut told = trace.as_ref().and_then(|trace| begin(trace, &url, effect.attempts));
        let (id, timestamp) = (effect.id.to_string(), now.as_secs());
        let mut request = self
            .client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-signature", signatures(&self.secrets, &id, timestamp, &body))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .body(body);
        // The backend knows its own trace again, whether we keep spans of it or not.
        if let Some(place) = told.as_ref().map(Open::here).or(trace.as_ref()) {
            request = request.header(TRACEPARENT, place.traceparent());
            if let Some(state) = place.tracestate() {
                request = request.header(TRACESTATE, state);
            }
        }
        match request.send().await {
            Ok(response) => {
                let (status, attempt) = (response.status(), judge(response.status(), response.headers(), now));
                tell_status(told.as_mut(), status);
                drain(response).await;
                (attempt, Some(status.as_u16()))
            }
            Err(fault) => {
                if let Some(told) = &mut told {
                    told.fail(if fault.is_timeout() { "timeout" } else { "no_answer" });
                }
                (failed(fault_word(&fault)), None)
            }
        }
    }
}

/// Begins to tell of an attempt (OpenTelemetry's semantic conventions for HTTP clients). Of the URL only whose it is: the
/// rest is the backend's own and may be secret.
fn begin(trace: &Trace, url: &Url, attempts: u32) -> Option<Open> {
    let mut told = span::begin(trace, Kind::Client, "POST")?;
    told.word("http.request.method", "POST");
    told.word("url.full", format!("{}/REDACTED", url.origin().ascii_serialization()));
    told.word("server.address", url.host_str().unwrap_or_default().to_owned());
    told.number("server.port", url.port_or_known_default().unwrap_or_default());
    if attempts > 0 {
        told.number("http.request.resend_count", attempts);
    }
    Some(told)
}

fn tell_status(told: Option<&mut Open>, status: StatusCode) {
    let Some(told) = told else { return };
    told.number("http.response.status_code", status.as_u16());
    if status.is_client_error() || status.is_server_error() {
        told.fail(status.as_str().to_owned());
    } else {
        told.settle();
    }
}

/// When a result whose attempt number `attempts` (from 0) failed is tried again; `None` when it is given up. `jitter` is
/// random and spreads the attempts by a fifth in both directions.
pub(super) fn next_attempt(attempts: u32, retry_after: Option<Duration>, jitter: u8) -> Option<Duration> {
    let wait = SCHEDULE.get(usize::try_from(attempts).ok()?.checked_add(1)?)?;
    let spread = wait.mul_f64(0.8 + 0.4 * f64::from(jitter) / f64::from(u8::MAX));
    Some(spread.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)))
}

fn failed(why: &str) -> Attempt {
    Attempt::Failed { why: why.to_owned(), retry_after: None }
}

fn judge(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Attempt {
    if status.is_success() {
        Attempt::Delivered
    } else if status == StatusCode::GONE {
        Attempt::GivenUp { why: String::from("the backend answered 410: it wants no more") }
    } else {
        Attempt::Failed {
            why: format!("the backend answered {}", status.as_u16()),
            retry_after: retry_after(headers, now),
        }
    }
}

/// `Retry-After` in both of its forms (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let at = Timestamp::from_ms(u64::try_from(at.as_millisecond()).ok()?);
    Some(at.since(now))
}

/// Reads a short answer to its end, so that the connection can be used again; a longer one is cut off.
async fn drain(mut response: reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > MOST_ANSWER_BYTES {
            return;
        }
    }
}

/// What went wrong, in words that hold nothing of the URL.
fn fault_word(fault: &reqwest::Error) -> &'static str {
    if fault.is_timeout() {
        "the backend did not answer in time"
    } else if fault.is_connect() {
        "the backend could not be reached"
    } else {
        "the exchange with the backend broke off"
    }
}

#[cfg(test)]
mod tests;
