//! A carrier that does what a test says and writes down what it was asked.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use ringproof::{
    callflow::{Line, Script, Then},
    id::CallId,
    outcome::{Attestation, Fault},
    provider::{
        Accepted, Capabilities, CheckFault, Endpoint, HangUpError, Inbound, LiveCall, Order, Pending, Provider,
        Refused, Reply,
    },
    verification::{AnsweredBy, Aside, Cause, End, PlaceResult, Signal},
};
use tokio::sync::Notify;

pub(super) struct FakeCarrier {
    pub(super) orders: Mutex<Vec<Order>>,
    pub(super) hang_ups: Mutex<Vec<CallId>>,
    /// What is answered to the next requests to place a call; accepted where nothing is said.
    pub(super) answers: Mutex<VecDeque<PlaceResult>>,
    /// While true, requests to place a call are not answered.
    pub(super) holds_answers: AtomicBool,
    pub(super) let_go: Notify,
    pub(super) extensions: bool,
    /// What is answered to the question whether it knows us; that it does, where nothing is said.
    pub(super) fault: Mutex<Option<CheckFault>>,
    /// How often that was asked.
    pub(super) probes: AtomicUsize,
}

impl Default for FakeCarrier {
    fn default() -> Self {
        Self {
            orders: Mutex::default(),
            hang_ups: Mutex::default(),
            answers: Mutex::default(),
            holds_answers: AtomicBool::new(false),
            let_go: Notify::new(),
            extensions: true,
            fault: Mutex::default(),
            probes: AtomicUsize::new(0),
        }
    }
}

pub(super) fn cause(end: End) -> Cause {
    Cause { end, fault: Fault::Callee, carrier_code: None, sip_status: None }
}

/// What the carrier calls the call that it was asked for as the `nth`.
pub(super) fn sid(order: &Order) -> String {
    format!("CA{}", order.token.call)
}

impl Provider for FakeCarrier {
    fn capabilities(&self) -> Capabilities {
        let (extensions, max_extension) = (self.extensions, 32);
        Capabilities { extensions, entries: true, speech: true, recordings: false, max_extension }
    }

    fn attestation(&self) -> Option<Attestation> {
        Some(Attestation::Full)
    }

    fn place<'a>(&'a self, order: &'a Order) -> Pending<'a, PlaceResult> {
        self.orders.lock().unwrap().push(order.clone());
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            while self.holds_answers.load(Ordering::SeqCst) {
                self.let_go.notified().await;
            }
            answer.unwrap_or_else(|| PlaceResult::Accepted { carrier_call_id: Some(sid(order)) })
        })
    }

    fn hang_up<'a>(&'a self, call: &'a LiveCall) -> Pending<'a, Result<(), HangUpError>> {
        self.hang_ups.lock().unwrap().push(call.token.call);
        Box::pin(async { Ok(()) })
    }

    /// A message is signed when it says so; its body is `sid/word`.
    fn accept(&self, inbound: &Inbound<'_>) -> Result<Accepted, Refused> {
        match inbound.headers.get("x-signature").map(http::HeaderValue::as_bytes) {
            Some(b"right") => {}
            Some(_) => return Err(Refused::BadSignature),
            None => return Err(Refused::NoSignature),
        }
        let body = std::str::from_utf8(inbound.body).map_err(|_| Refused::Malformed)?;
        let (sid, word) = body.split_once('/').ok_or(Refused::Malformed)?;
        let signal = match (inbound.to, word) {
            (Endpoint::Flow, _) => Some(Signal::Flow { answered: true }),
            (Endpoint::Keys { turn }, keys) => {
                Some(Signal::Keys { turn, digits: keys.parse().map_err(|_| Refused::Malformed)?, answered: true })
            }
            (Endpoint::Status, "ringing") => Some(Signal::Ringing),
            (Endpoint::Status, "answered") => Some(Signal::Answered),
            (Endpoint::Status, "machine") => Some(Signal::AnsweredBy(AnsweredBy::Machine)),
            (Endpoint::Status, "completed") => Some(Signal::Ended(cause(End::Completed))),
            (Endpoint::Status, "busy") => Some(Signal::Ended(cause(End::Busy))),
            (Endpoint::Status, "no_answer") => Some(Signal::Ended(cause(End::NoAnswer))),
            (Endpoint::Status, _) => None,
        };
        Ok(Accepted { carrier_call_id: Some(sid.to_owned()), to: None, signal, aside: Aside::default() })
    }

    fn render(&self, script: &Script, keys_url: &str) -> Reply {
        let mut body = format!("[{}]", script.language);
        script.before.iter().for_each(|line| said(&mut body, line));
        match &script.then {
            Then::Gather(gather) => {
                gather.prompt.iter().for_each(|line| said(&mut body, line));
                let _ = write!(body, " ? {keys_url}");
            }
            Then::HangUp => body.push_str(" ."),
        }
        Reply { status: 200, content_type: "text/plain", body }
    }

    fn acknowledge(&self) -> Reply {
        Reply { status: 204, content_type: "", body: String::new() }
    }

    fn apologize(&self, language: &str) -> Reply {
        Reply { status: 200, content_type: "text/plain", body: format!("[{language}] sorry .") }
    }

    fn check(&self) -> Pending<'_, Result<String, CheckFault>> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        let fault = self.fault.lock().unwrap().clone();
        Box::pin(async { fault.map_or_else(|| Ok(String::from("scripted")), Err) })
    }
}

fn said(body: &mut String, line: &Line) {
    let _ = match line {
        Line::Say { prompt, .. } => write!(body, " {prompt}"),
        Line::Play { recording, .. } => write!(body, " {recording}"),
        Line::SpokenDigits { .. } => write!(body, " digits"),
        Line::Pause(_) => Ok(()),
    };
}
