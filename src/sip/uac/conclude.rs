//! Owns what follows when a request of ours is answered, or is not: challenges first, then whoever wanted it.

use std::sync::Arc;

use super::{
    Uac,
    request::{Purpose, Request},
};
use crate::sip::{Event, ProbeResult, message::Message};

/// How a request ended.
#[derive(Clone, Copy)]
pub(super) enum Outcome<'a> {
    /// With a final response.
    Final(u16, &'a Message<'a>),
    /// With none in time.
    TimedOut,
    /// The flow failed.
    FlowFailed,
}

impl Uac {
    /// A request is over.
    pub(super) fn conclude(&mut self, mut request: Request, outcome: Outcome<'_>) {
        if let Outcome::Final(code @ (401 | 407), message) = outcome
            && let Some(chain) = &mut request.chain
            && chain.challenged(&mut self.shared.nonces, code, message)
        {
            self.repeat(request, outcome);
            return;
        }
        if let (Outcome::FlowFailed, Purpose::Bye(..) | Purpose::Cancel(_), false) =
            (outcome, request.purpose, request.again)
        {
            self.once_more(request);
            return;
        }
        match request.purpose {
            // What becomes of the INVITE, its own final response says.
            Purpose::Cancel(_) | Purpose::Bye(..) | Purpose::Prack(..) => {}
            Purpose::Refresh(attempt, fork) => {
                self.with(attempt, |attempt, shared| attempt.refreshed(shared, fork, &request, &outcome));
            }
            Purpose::Probe { probe, .. } => {
                let took = self.shared.now.since(request.first_sent);
                let result = match outcome {
                    Outcome::Final(code, message) => {
                        ProbeResult::Answered { code, retry_after: super::responses::retry(message), took }
                    }
                    Outcome::TimedOut => ProbeResult::Silent,
                    Outcome::FlowFailed => ProbeResult::FlowFailed,
                };
                self.shared.event(Event::Probed { probe, result });
            }
            Purpose::Register(registration) => self.registered(registration, outcome),
        }
    }

    /// Sends what ends a call over the same flow once more: the connection may have been dead for long, and the next
    /// message opens it anew. Nobody else would stop the telephone.
    fn once_more(&mut self, request: Request) {
        let mut again = Request::new(request.purpose, request.draft, &request.path, &mut self.shared);
        again.branch = request.branch;
        again.chain = request.chain;
        again.call = request.call;
        again.again = true;
        self.shared.start(again);
    }

    /// Sends a challenged request again, with the next number and with proof.
    fn repeat(&mut self, request: Request, outcome: Outcome<'_>) {
        let mut draft = request.draft.clone();
        match request.purpose {
            Purpose::Bye(attempt, fork) | Purpose::Prack(attempt, fork) | Purpose::Refresh(attempt, fork) => {
                if let (Purpose::Refresh(..), Outcome::Final(code, message)) = (request.purpose, outcome) {
                    self.with(attempt, |attempt, shared| {
                        attempt.acknowledge_challenge(shared, fork, &request, code, message)
                    });
                }
                let next =
                    self.attempts.get_mut(&attempt).and_then(|attempt| attempt.forks.get_mut(fork.0)).map(|fork| {
                        fork.dialog.local_seq += 1;
                        fork.dialog.local_seq
                    });
                draft.cseq = next.unwrap_or(draft.cseq + 1);
            }
            Purpose::Cancel(_) => return,
            Purpose::Probe { .. } => draft.cseq += 1,
            Purpose::Register(registration) => draft.cseq = self.next_registration_number(registration),
        }
        let mut again = Request::new(request.purpose, draft, &Arc::clone(&request.path), &mut self.shared);
        if let Purpose::Probe { .. } = request.purpose {
            again.end_with(&request);
        }
        again.chain = request.chain;
        again.call = request.call;
        if let (false, Purpose::Probe { probe, .. }) = (self.shared.start(again), request.purpose) {
            self.shared.event(Event::Probed { probe, result: ProbeResult::NotSent });
        }
    }
}
