//! Owns the dialect of Twilio's Programmable Voice, API version 2010-04-01, and of servers that speak the same. Facts
//! are from `https://www.twilio.com/docs/voice/api/call-resource` and the API's published description. It decides
//! nothing about a verification, and opens no connection.

mod config;
mod errors;
mod signature;
mod twiml;
mod voices;
mod webhook;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde_json::Value;
use url::form_urlencoded;

use self::{signature::Keys, twiml::Style, voices::Voices};
use super::{
    Accepted, Capabilities, CheckFault, CodeMeaning, Inbound, Order, Refused, Reply,
    http::{Created, Dialect, Ended, Ending, by_status},
    refused,
};
use crate::{
    callflow::Script,
    outcome::Fault,
    verification::{Cause, End, PlaceResult},
};

pub use config::{Config, ConfigFault};
pub use voices::Voice;

/// The dialect, ready to be spoken.
#[derive(Debug, Clone)]
pub struct Twilio {
    account_sid: String,
    /// URL of the account, without the `.json`.
    account_url: String,
    authorization: HeaderValue,
    keys: Keys,
    style: Style,
    detect_machines: bool,
    max_queue_time: Duration,
}

impl Twilio {
    /// Prepares a configuration.
    ///
    /// # Errors
    /// [`Config::faults`].
    pub fn new(config: &Config) -> Result<Self, Vec<ConfigFault>> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        let (user, password) = match (&config.api_key_sid, &config.api_key_secret) {
            (Some(sid), Some(secret)) => (sid, secret),
            _ => (&config.account_sid, &config.auth_token),
        };
        let credentials = STANDARD.encode(format!("{user}:{}", password.expose()));
        let unprintable = ConfigFault { member: "auth_token", why: "cannot be sent in a header" };
        let mut authorization = HeaderValue::try_from(format!("Basic {credentials}")).map_err(|_| vec![unprintable])?;
        authorization.set_sensitive(true);
        let base = config.base();
        Ok(Self {
            account_sid: config.account_sid.clone(),
            account_url: format!("{base}/2010-04-01/Accounts/{}", config.account_sid),
            authorization,
            keys: Keys::new(
                [Some(&config.auth_token), config.auth_token_previous.as_ref()].into_iter().flatten(),
                &config.shared_keys,
            ),
            style: Style {
                voices: Voices::new(&config.voices),
                ssml: config.ssml,
                pause: config.pause,
                recordings_url: config
                    .recordings_url
                    .as_ref()
                    .map(|url| format!("{}/", url.as_str().trim_end_matches('/'))),
                fragment: config.fragment(),
            },
            detect_machines: config.detect_machines,
            max_queue_time: config.max_queue_time,
        })
    }

    /// A URL of ours as this carrier is told it.
    fn ours(&self, url: &str) -> String {
        format!("{url}{}", self.style.fragment)
    }

    fn post(&self, url: &str, form: String) -> Option<Request<Bytes>> {
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.request(Method::POST, url, Bytes::from(form), Some(content_type))
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
        content_type: Option<HeaderValue>,
    ) -> Option<Request<Bytes>> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::try_from(url).ok()?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        content_type.map(|content_type| headers.insert(header::CONTENT_TYPE, content_type));
        Some(request)
    }
}

impl Dialect for Twilio {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            extensions: true,
            entries: true,
            speech: true,
            recordings: self.style.recordings_url.is_some(),
            max_extension: MAX_SEND_DIGITS,
        }
    }

    fn meaning(&self, code: &str) -> Option<CodeMeaning> {
        errors::meaning(code)
    }

    fn create(&self, order: &Order) -> Result<Request<Bytes>, Cause> {
        let (flow_url, status_url) = (self.ours(&order.flow_url), self.ours(&order.status_url));
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(1024));
        form.append_pair("To", order.to.expose())
            .append_pair("From", order.from.expose())
            .append_pair("Url", &flow_url)
            .append_pair("Method", "POST")
            // Should the flow or an answer of ours not arrive: ask once more for what the callee should hear now.
            .append_pair("FallbackUrl", &flow_url)
            .append_pair("FallbackMethod", "POST")
            .append_pair("StatusCallback", &status_url)
            .append_pair("StatusCallbackMethod", "POST");
        for event in ["initiated", "ringing", "answered", "completed"] {
            form.append_pair("StatusCallbackEvent", event);
        }
        form.append_pair("Timeout", &seconds(order.ring_timeout, MAX_RING_SECONDS))
            .append_pair("TimeLimit", &seconds(order.call_limit, MAX_CALL_SECONDS));
        match &order.extension {
            Some(extension) => {
                form.append_pair("SendDigits", &send_digits(extension).ok_or_else(|| cannot_say("extension"))?);
            }
            None if self.detect_machines => {
                form.append_pair("MachineDetection", "Enable")
                    .append_pair("AsyncAmd", "true")
                    .append_pair("AsyncAmdStatusCallback", &status_url)
                    .append_pair("AsyncAmdStatusCallbackMethod", "POST");
            }
            None => {}
        }
        self.post(&format!("{}/Calls.json", self.account_url), form.finish()).ok_or_else(|| cannot_say("base_url"))
    }

    fn created(&self, answer: &Response<Bytes>) -> Created {
        let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
        if answer.status().is_success() {
            return self.taken(body.as_ref());
        }
        if !answer.status().is_client_error() {
            return Created::Settled(by_status(answer.status()));
        }
        let code = body.as_ref().and_then(error_code);
        if answer.status() == StatusCode::TOO_MANY_REQUESTS || code.as_deref() == Some(errors::TOO_MANY_REQUESTS) {
            let code = code.unwrap_or_else(|| errors::TOO_MANY_REQUESTS.to_owned());
            let cause =
                Cause { end: End::CarrierError, fault: Fault::Carrier, carrier_code: Some(code), sip_status: None };
            return Created::AskAgain { cause, not_before: retry_after(answer) };
        }
        Created::Settled(match code {
            Some(code) => {
                let (end, fault, try_next_route) =
                    errors::of_code(&code).unwrap_or((End::CarrierError, Fault::Carrier, true));
                refused(Cause { end, fault, carrier_code: Some(code), sip_status: None }, try_next_route)
            }
            None => by_status(answer.status()),
        })
    }

    fn end(&self, carrier_call_id: &str, how: Ending) -> Option<Request<Bytes>> {
        // The name becomes a segment of the path: it must not lead elsewhere.
        if !webhook::is_call_id(carrier_call_id) || matches!(carrier_call_id, "." | "..") {
            return None;
        }
        let segment: String = form_urlencoded::byte_serialize(carrier_call_id.as_bytes()).collect();
        let status = match how {
            Ending::Cancel => "Status=canceled",
            Ending::Complete => "Status=completed",
        };
        self.post(&format!("{}/Calls/{segment}.json", self.account_url), status.to_owned())
    }

    fn ended(&self, answer: &Response<Bytes>) -> Ended {
        let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let member = |name: &str| body.as_ref().and_then(|body| body.get(name));
        let code = body.as_ref().and_then(error_code);
        let word = || code.clone().unwrap_or_else(|| format!("http_{}", answer.status().as_u16()));
        match answer.status() {
            status if status.is_success() => {
                let canceled = member("status").and_then(Value::as_str) == Some("canceled");
                // Empty as long as the call was not dialled.
                let started = member("start_time").is_none_or(|time| !time.is_null());
                Ended::Over { never_dialled: canceled && !started }
            }
            StatusCode::NOT_FOUND => Ended::Over { never_dialled: false },
            _ if code.as_deref() == Some(errors::NOT_IN_PROGRESS) => Ended::OtherState,
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Ended::Later(word()),
            _ => Ended::Never(word()),
        }
    }

    fn probe(&self) -> Request<Bytes> {
        self.request(Method::GET, &format!("{}.json", self.account_url), Bytes::new(), None).unwrap_or_default()
    }

    fn probed(&self, answer: &Response<Bytes>) -> Result<String, CheckFault> {
        let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let status = body.as_ref().and_then(|body| body.get("status")).and_then(Value::as_str).unwrap_or_default();
        match answer.status() {
            StatusCode::OK if matches!(status, "suspended" | "closed") => {
                Err(CheckFault::refused(format!("the account is {status}")))
            }
            StatusCode::OK => Ok(String::from("the account is known")),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(CheckFault::refused(
                "the credentials are refused; look at `account_sid` and the auth token or API key",
            )),
            StatusCode::NOT_FOUND => {
                Err(CheckFault::refused("the account is not known; look at `account_sid` and `base_url`"))
            }
            other => Err(CheckFault::away(format!("it answers {}", other.as_u16()))),
        }
    }

    fn accept(&self, inbound: &Inbound<'_>) -> Result<Accepted, Refused> {
        webhook::accept(&self.keys, &self.account_sid, inbound)
    }

    fn render(&self, script: &Script, keys_url: &str) -> Reply {
        self.style.script(script, keys_url)
    }

    fn acknowledge(&self) -> Reply {
        twiml::nothing()
    }

    fn apologize(&self, language: &str) -> Reply {
        self.style.apology(language)
    }
}

impl Twilio {
    /// The call was taken, says the status. That is believed when the body is about a call.
    fn taken(&self, body: Option<&Value>) -> Created {
        let sid = body.and_then(|body| body.get("sid")).and_then(Value::as_str);
        let status = body.and_then(|body| body.get("status")).and_then(Value::as_str);
        let carrier_call_id = match (sid, status) {
            (Some(sid), _) if webhook::is_call_id(sid) => Some(sid.to_owned()),
            // Some servers tell no name until they call us.
            (None, Some(word)) if errors::of_status(word, None, None).is_some() => None,
            _ => {
                let carrier_code = Some(String::from("unreadable_answer"));
                let cause = Cause { end: End::CarrierError, fault: Fault::Unknown, carrier_code, sip_status: None };
                return Created::Settled(PlaceResult::Unknown { cause });
            }
        };
        match (carrier_call_id, body.and_then(queue_time)) {
            (Some(carrier_call_id), Some(queue_time)) if queue_time > self.max_queue_time => {
                Created::TakeBack { carrier_call_id }
            }
            (carrier_call_id, _) => Created::Settled(PlaceResult::Accepted { carrier_call_id }),
        }
    }
}

/// How long the call will wait, by the carrier's estimate in ms: text, a number, or not told.
fn queue_time(body: &Value) -> Option<Duration> {
    let value = body.get("queue_time")?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).map(Duration::from_millis)
}

/// The code of an error: a number, the same as text, Somleng's `S1005`, or the first of a list under `errors`.
fn error_code(body: &Value) -> Option<String> {
    let first = || body.get("errors")?.get(0)?.get("code");
    let code = body.get("code").or_else(first)?;
    let text = code.as_u64().map(|code| code.to_string()).or_else(|| code.as_str().map(str::to_owned))?;
    Some(text).filter(|text| (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3).
fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// An extension in the carrier's letters: `,` is a second. `None` when it holds anything else or is too long.
fn send_digits(extension: &str) -> Option<String> {
    let digits: Option<String> = extension
        .chars()
        .map(|c| match c {
            ',' => Some('W'),
            '0'..='9' | '*' | '#' => Some(c),
            _ => None,
        })
        .collect();
    digits.filter(|digits| (1..=MAX_SEND_DIGITS).contains(&digits.len()))
}

fn cannot_say(what: &str) -> Cause {
    Cause { end: End::CarrierError, fault: Fault::Request, carrier_code: Some(what.to_owned()), sip_status: None }
}

fn seconds(duration: Duration, most: u64) -> String {
    duration.as_secs().clamp(1, most).to_string()
}

/// Twilio's limit of `SendDigits`.
const MAX_SEND_DIGITS: usize = 32;
/// Twilio's limit of `Timeout`.
const MAX_RING_SECONDS: u64 = 600;
/// Twilio's usual limit of `TimeLimit`.
const MAX_CALL_SECONDS: u64 = 4 * 60 * 60;
const USER_AGENT: &str = concat!("ringproof/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
