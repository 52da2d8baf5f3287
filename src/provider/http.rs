//! Owns what carriers reached over HTTP have in common: sending a request, deciding from what came back whether a call
//! was placed, repeating what may be repeated. What is said in such a request is the business of a [`Dialect`].

mod client;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Accepted, Capabilities, CheckFault, CodeMeaning, HangUpError, Inbound, LiveCall, Order, Pending, Provider, Refused,
    Reply, refused,
};
use crate::{
    callflow::Script,
    outcome::Fault,
    verification::{Cause, End, PlaceResult},
};

pub use client::{ClientError, HttpClient, NoAnswer};

/// What a carrier reached over HTTP must say, and how its answers are read. Pure: no socket, no clock, no randomness.
pub trait Dialect: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The request that asks for a call.
    ///
    /// # Errors
    /// Why this order cannot be said in the dialect; nothing is sent then.
    fn create(&self, order: &Order) -> Result<Request<Bytes>, Cause>;

    /// Reads the answer to [`Dialect::create`].
    fn created(&self, answer: &Response<Bytes>) -> Created;

    /// The request that ends a call. `None` when its name cannot be put into a request.
    fn end(&self, carrier_call_id: &str, how: Ending) -> Option<Request<Bytes>>;

    /// Reads the answer to [`Dialect::end`].
    fn ended(&self, answer: &Response<Bytes>) -> Ended;

    /// As [`Provider::meaning`].
    fn meaning(&self, code: &str) -> Option<CodeMeaning>;

    /// A request that changes nothing and shows whether the carrier knows us.
    fn probe(&self) -> Request<Bytes>;

    /// Reads the answer to [`Dialect::probe`].
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    fn probed(&self, answer: &Response<Bytes>) -> Result<String, CheckFault>;

    /// As [`Provider::accept`].
    ///
    /// # Errors
    /// Why it is refused.
    fn accept(&self, inbound: &Inbound<'_>) -> Result<Accepted, Refused>;

    /// As [`Provider::render`].
    fn render(&self, script: &Script, keys_url: &str) -> Reply;

    /// As [`Provider::acknowledge`].
    fn acknowledge(&self) -> Reply;

    /// As [`Provider::apologize`].
    fn apologize(&self, language: &str) -> Reply;
}

/// What the answer to a request for a call means.
#[derive(Debug, Clone)]
pub enum Created {
    /// This came of it.
    Settled(PlaceResult),
    /// For certain it was not looked at, because too much was asked at once: may be asked again, after this time at
    /// least.
    AskAgain {
        /// The refusal, should no time be left.
        cause: Cause,
        /// The carrier's own wish.
        not_before: Option<Duration>,
    },
    /// It was taken, but waits so long in the carrier's queue that it is better taken back.
    TakeBack {
        /// The carrier's name for the call.
        carrier_call_id: String,
    },
}

/// How a call is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Before it is answered.
    Cancel,
    /// Whatever state it is in.
    Complete,
}

/// What the answer to a request to end a call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is over, or will be in a moment.
    Over {
        /// It had not been dialled at all, for certain.
        never_dialled: bool,
    },
    /// It is not in a state that can be ended so.
    OtherState,
    /// It may work later.
    Later(String),
    /// It will not work.
    Never(String),
}

/// A carrier reached over HTTP.
#[derive(Debug)]
pub struct HttpProvider<D> {
    dialect: D,
    client: HttpClient,
}

impl<D: Dialect> HttpProvider<D> {
    /// Speaks `dialect` through `client`, which carriers share.
    pub const fn new(dialect: D, client: HttpClient) -> Self {
        Self { dialect, client }
    }

    async fn place_now(&self, order: &Order) -> PlaceResult {
        let life = Instant::now() + PLACEMENT_LIFE;
        let mut attempt = 0;
        loop {
            let request = match self.dialect.create(order) {
                Ok(request) => request,
                Err(cause) => return refused(cause, true),
            };
            let (cause, not_before) = match timeout_at(life, self.client.send(request)).await {
                Err(_) => return unknown("timeout"),
                Ok(Err(NoAnswer::NotSent(word))) => return refused(carrier_error(word), true),
                Ok(Err(NoAnswer::Lost(word))) => return unknown(word),
                Ok(Ok(answer)) => match self.dialect.created(&answer) {
                    Created::Settled(result) => return result,
                    Created::TakeBack { carrier_call_id } => return self.take_back(carrier_call_id).await,
                    Created::AskAgain { cause, not_before } => (cause, not_before),
                },
            };
            let pause = pause_before_retry(order, attempt).max(not_before.unwrap_or_default());
            attempt += 1;
            if attempt >= MAX_ATTEMPTS || Instant::now() + pause + MIN_ATTEMPT_TIME > life {
                return refused(cause, true);
            }
            sleep(pause).await;
        }
    }

    /// Takes a call back that would be dialled too late. Only when the carrier says that it was never dialled may
    /// another be placed instead.
    async fn take_back(&self, carrier_call_id: String) -> PlaceResult {
        let ended = match self.dialect.end(&carrier_call_id, Ending::Cancel) {
            Some(request) => match timeout_at(Instant::now() + HANG_UP_TIME, self.client.send(request)).await {
                Ok(Ok(answer)) => self.dialect.ended(&answer),
                Ok(Err(_)) | Err(_) => Ended::OtherState,
            },
            None => Ended::OtherState,
        };
        match ended {
            Ended::Over { never_dialled: true } => refused(carrier_error("queue_time"), true),
            Ended::Over { never_dialled: false } | Ended::OtherState | Ended::Later(_) | Ended::Never(_) => {
                PlaceResult::Accepted { carrier_call_id: Some(carrier_call_id) }
            }
        }
    }

    async fn hang_up_now(&self, call: &LiveCall) -> Result<(), HangUpError> {
        let Some(id) = &call.carrier_call_id else {
            return Err(HangUpError::Later(String::from("it has not told its name for the call yet")));
        };
        let mut how = if call.answered { Ending::Complete } else { Ending::Cancel };
        let mut last = String::new();
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                sleep(RETRY_PAUSE * 2_u32.pow(attempt)).await;
            }
            let Some(request) = self.dialect.end(id, how) else {
                return Err(HangUpError::Never(String::from("its name for the call cannot be put into a request")));
            };
            let answer = match timeout_at(Instant::now() + HANG_UP_TIME, self.client.send(request)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(no_answer)) => {
                    last = no_answer.word().to_owned();
                    continue;
                }
                Err(_) => {
                    last = String::from("timeout");
                    continue;
                }
            };
            match (self.dialect.ended(&answer), how) {
                (Ended::Over { .. }, _) | (Ended::OtherState, Ending::Complete) => return Ok(()),
                // Answered while we asked: what was said of a ringing call does not hold any more.
                (Ended::OtherState, Ending::Cancel) => how = Ending::Complete,
                (Ended::Later(why), _) => last = why,
                (Ended::Never(why), _) => return Err(HangUpError::Never(why)),
            }
        }
        Err(HangUpError::Later(last))
    }

    async fn check_now(&self) -> Result<String, CheckFault> {
        match timeout_at(Instant::now() + PROBE_TIME, self.client.send(self.dialect.probe())).await {
            Ok(Ok(answer)) => self.dialect.probed(&answer),
            Ok(Err(no_answer)) => {
                Err(CheckFault::away(format!("no answer ({}); look at `base_url` and the network", no_answer.word())))
            }
            Err(_) => Err(CheckFault::away("no answer in time; look at `base_url` and the network")),
        }
    }
}

impl<D: Dialect> Provider for HttpProvider<D> {
    fn capabilities(&self) -> Capabilities {
        self.dialect.capabilities()
    }

    fn place<'a>(&'a self, order: &'a Order) -> Pending<'a, PlaceResult> {
        Box::pin(self.place_now(order))
    }

    fn hang_up<'a>(&'a self, call: &'a LiveCall) -> Pending<'a, Result<(), HangUpError>> {
        Box::pin(self.hang_up_now(call))
    }

    fn meaning(&self, code: &str) -> Option<CodeMeaning> {
        self.dialect.meaning(code)
    }

    fn accept(&self, inbound: &Inbound<'_>) -> Result<Accepted, Refused> {
        self.dialect.accept(inbound)
    }

    fn render(&self, script: &Script, keys_url: &str) -> Reply {
        self.dialect.render(script, keys_url)
    }

    fn acknowledge(&self) -> Reply {
        self.dialect.acknowledge()
    }

    fn apologize(&self, language: &str) -> Reply {
        self.dialect.apologize(language)
    }

    fn check(&self) -> Pending<'_, Result<String, CheckFault>> {
        Box::pin(self.check_now())
    }
}

/// What a status means that says nothing by a code of the carrier: only then is its class the best that is known.
#[must_use]
pub fn by_status(status: StatusCode) -> PlaceResult {
    let word = format!("http_{}", status.as_u16());
    let cause = |fault| Cause { end: End::CarrierError, fault, carrier_code: Some(word.clone()), sip_status: None };
    match status {
        // These say "ask elsewhere", so it was not looked at here (RFC 9110 §15.4): a wrong `base_url`.
        StatusCode::MOVED_PERMANENTLY | StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
            refused(cause(Fault::Us), true)
        }
        // A proxy may say this after it has passed the request on.
        StatusCode::REQUEST_TIMEOUT => PlaceResult::Unknown { cause: cause(Fault::Unknown) },
        StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            refused(cause(Fault::Us), true)
        }
        status if status.is_client_error() && status.as_u16() < FIRST_PRIVATE_CLIENT_ERROR => {
            refused(cause(Fault::Carrier), true)
        }
        _ => PlaceResult::Unknown { cause: cause(Fault::Unknown) },
    }
}

fn carrier_error(word: &str) -> Cause {
    Cause { end: End::CarrierError, fault: Fault::Carrier, carrier_code: Some(word.to_owned()), sip_status: None }
}

fn unknown(word: &str) -> PlaceResult {
    PlaceResult::Unknown { cause: Cause { fault: Fault::Unknown, ..carrier_error(word) } }
}

/// Doubles with each attempt, ±10 % by random bits of the verification's id, so that calls refused together do not
/// come back together.
fn pause_before_retry(order: &Order, attempt: u32) -> Duration {
    let bytes = order.token.call.verification.as_bytes();
    let random = bytes.iter().rev().nth(1 + attempt as usize).copied().unwrap_or_default();
    RETRY_PAUSE * 2_u32.saturating_pow(attempt) * (230 + u32::from(random) / 5) / 256
}

/// How long a request for a call may take with all its repetitions.
const PLACEMENT_LIFE: Duration = Duration::from_secs(5);
/// What must be left of it for another attempt.
const MIN_ATTEMPT_TIME: Duration = Duration::from_secs(1);
/// Most attempts at one request.
const MAX_ATTEMPTS: u32 = 5;
/// Pause before the first repetition.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long one request to hang up may take.
const HANG_UP_TIME: Duration = Duration::from_secs(3);
/// How long looking whether the carrier knows us may take.
const PROBE_TIME: Duration = Duration::from_secs(5);
/// Statuses from here on are some proxy's own, such as 499 or 460: they say nothing about the request.
const FIRST_PRIVATE_CLIENT_ERROR: u16 = 452;
