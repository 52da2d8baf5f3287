//! Owns what all calls share: the way out, the names in use, the timers, the nonces, the counters.

use std::collections::{BTreeMap, VecDeque};

use super::{
    AttemptId, RequestId,
    request::Request,
    timers::{Sleeper, Wakes},
};
use crate::{
    sip::{
        CallKey, Counters, Direction, Event, FlowId, Hop, Output, Rung, Settings, Trace, Transmit, digest::Nonces,
        random::Random, trace,
    },
    time::Timestamp,
};

/// Most requests without INVITE that are open at a time.
const MAX_REQUESTS: usize = 65_536;

/// Whose branch it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// An INVITE that begins a call.
    Invite(AttemptId),
    /// Any other request.
    Request(RequestId),
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) random: Random,
    pub(super) now: Timestamp,
    pub(super) outputs: VecDeque<Output>,
    pub(super) counters: Counters,
    pub(super) nonces: Nonces,
    pub(super) wakes: Wakes,
    pub(super) branches: BTreeMap<Box<str>, Owner>,
    pub(super) requests: BTreeMap<RequestId, Request>,
    last_id: u64,
}

impl Shared {
    pub(super) fn new(settings: Settings, seed: [u8; 32], now: Timestamp) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            now,
            outputs: VecDeque::new(),
            counters: Counters::default(),
            nonces: Nonces::default(),
            wakes: Wakes::default(),
            branches: BTreeMap::new(),
            requests: BTreeMap::new(),
            last_id: 0,
        }
    }

    /// A number that was not used before.
    pub(super) const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn send(&mut self, call: Option<CallKey>, flow: FlowId, hop: Option<Hop>, bytes: Vec<u8>) {
        self.trace(call, Direction::Sent, flow, &bytes);
        self.outputs.push_back(Output::Transmit(Transmit { flow, hop, bytes }));
    }

    pub(super) fn trace(&mut self, call: Option<CallKey>, direction: Direction, flow: FlowId, bytes: &[u8]) {
        let text = match self.settings.trace {
            Trace::Off => return,
            Trace::Lines => trace::line(bytes),
            Trace::Messages => trace::message(bytes),
        };
        self.outputs.push_back(Output::Trace(Rung { call, at: self.now, direction, flow, text }));
    }

    /// Sends a request and waits for its answer. False when too many are open.
    pub(super) fn start(&mut self, mut request: Request) -> bool {
        if self.requests.len() >= MAX_REQUESTS {
            self.counters.bounded += 1;
            return false;
        }
        let id = RequestId(self.next_id());
        self.branches.insert(request.key(), Owner::Request(id));
        request.transmit(self);
        let at = request.wake();
        self.wakes.arm(Sleeper::Request(id), &mut request.armed, at);
        self.requests.insert(id, request);
        true
    }

    /// Forgets a request: what still comes for it is stray.
    pub(super) fn take(&mut self, id: RequestId) -> Option<Request> {
        let mut request = self.requests.remove(&id)?;
        self.branches.remove(&request.key());
        self.wakes.arm(Sleeper::Request(id), &mut request.armed, None);
        Some(request)
    }
}
