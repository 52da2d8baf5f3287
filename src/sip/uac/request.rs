//! Owns client transactions of requests other than the first INVITE of a call (RFC 3261 section 17.1.2), and of a
//! re-INVITE, which keeps a session alive. What follows from an answer is decided in `conclude`.

use std::{sync::Arc, time::Duration};

use super::{
    AttemptId, Shared,
    attempt::ForkId,
    draft::Draft,
    timers::{Copies, T1_X64, T2},
};
use crate::{
    sip::{CallKey, Path, ProbeKey, RegistrationKey, digest::Chain, message::Method},
    time::Timestamp,
};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Stops an INVITE.
    Cancel(AttemptId),
    /// Ends a fork.
    Bye(AttemptId, ForkId),
    /// Acknowledges a provisional response.
    Prack(AttemptId, ForkId),
    /// Keeps a session alive, by UPDATE or re-INVITE.
    Refresh(AttemptId, ForkId),
    /// Looks whether a target lives.
    Probe { probe: ProbeKey, limit: Duration },
    /// Says where we are.
    Register(RegistrationKey),
}

pub(super) struct Request {
    pub(super) purpose: Purpose,
    pub(super) draft: Draft,
    pub(super) path: Arc<Path>,
    pub(super) branch: String,
    pub(super) chain: Option<Chain>,
    pub(super) call: Option<CallKey>,
    pub(super) first_sent: Timestamp,
    pub(super) armed: Option<Timestamp>,
    /// Whether it was sent once more because its flow failed.
    pub(super) again: bool,
    bytes: Vec<u8>,
    copies: Copies,
    deadline: Timestamp,
}

impl Request {
    /// A request that is not sent yet.
    pub(super) fn new(purpose: Purpose, draft: Draft, path: &Arc<Path>, shared: &mut Shared) -> Self {
        let now = shared.now;
        let branch = shared.random.branch();
        let limit = match purpose {
            Purpose::Probe { limit, .. } => limit.min(T1_X64),
            Purpose::Cancel(_)
            | Purpose::Bye(..)
            | Purpose::Prack(..)
            | Purpose::Refresh(..)
            | Purpose::Register(_) => T1_X64,
        };
        let most = if draft.method == Method::Invite { T1_X64 } else { T2 };
        let copies = if path.transport.is_reliable() { Copies::NONE } else { Copies::every(now, most) };
        Self {
            purpose,
            draft,
            path: Arc::clone(path),
            branch,
            chain: None,
            call: None,
            first_sent: now,
            armed: None,
            again: false,
            bytes: Vec::new(),
            copies,
            deadline: now.plus(limit),
        }
    }

    /// What finds it when its answer comes: a CANCEL shares the branch of its INVITE (RFC 3261 section 17.1.3).
    pub(super) fn key(&self) -> Box<str> {
        key(&self.branch, &self.draft.method)
    }

    pub(super) fn transmit(&mut self, shared: &mut Shared) {
        if self.bytes.is_empty() {
            let proofs = self.chain.as_ref().map(|chain| self.draft.proofs(chain, shared)).unwrap_or_default();
            self.bytes = self.draft.write(&self.path, &self.branch, &proofs);
        }
        shared.send(self.call, self.path.flow, self.draft.hop.clone(), self.bytes.clone());
    }

    /// A provisional response: copies become rare, or stop where it is a re-INVITE, which the peer may take its time for.
    pub(super) fn provisional(&mut self, now: Timestamp) {
        if self.draft.method == Method::Invite {
            self.copies.stop();
        } else {
            self.copies.slow_down(now);
        }
    }

    /// Sends a copy if one is due. Whether the time is over.
    pub(super) fn tick(&mut self, shared: &mut Shared) -> bool {
        if shared.now >= self.deadline {
            return true;
        }
        if self.copies.due(shared.now) {
            shared.counters.repeated_requests += 1;
            self.transmit(shared);
        }
        false
    }

    /// Takes over when the one it repeats would have been given up.
    pub(super) fn end_with(&mut self, other: &Self) {
        self.first_sent = other.first_sent;
        self.deadline = other.deadline;
    }

    pub(super) fn wake(&self) -> Option<Timestamp> {
        Some(self.copies.next().map_or(self.deadline, |at| at.min(self.deadline)))
    }
}

/// How a transaction is found by branch and method.
pub(super) fn key(branch: &str, method: &Method) -> Box<str> {
    let mut key = branch.to_ascii_lowercase();
    if *method == Method::Cancel {
        key.push_str("/cancel");
    }
    key.into()
}
