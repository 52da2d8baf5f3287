//! Owns one attempt to call somebody at one target: its INVITE transaction (RFC 3261 section 17.1.1, RFC 6026), its forks,
//! and how it ends. Responses are read in `responses`, requests of the peer in `indialog`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    AttemptId, Shared,
    dialog::{Dialog, Near},
    draft::{self, Draft, Ids},
    ground::Owner,
    indialog::{Given, Pending},
    request::{Purpose, Request, key},
    session::{MIN_SE, Session},
    timers::{Copies, T1_X64},
};
use crate::{
    sip::{
        CallKey, Canceled, EndCause, Ender, Event, Exhausted, FlowId, Hop, Invite, Path, Reason, Refusal,
        digest::Chain, message::Method,
    },
    time::Timestamp,
};

/// Most forks of one call: another one is not taken up.
pub(super) const MAX_FORKS: usize = 8;
/// Most finished INVITE transactions of one attempt whose ACK is kept.
const MAX_SPENT: usize = 16;
/// Largest session description, in bytes.
pub(super) const MAX_SDP: usize = 16 * 1024;
/// Most proxies that an INVITE is sent through.
const MAX_ROUTES: usize = 8;
/// From this size on a request does not go into a datagram (RFC 3261 section 18.1.1), in bytes.
const MAX_DATAGRAM: usize = 1300;

/// A fork by its place in the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ForkId(pub(super) usize);

/// How far a call is, seen by whoever wanted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not answered.
    Inviting,
    /// Answered by this fork.
    Answered(ForkId),
    /// Nobody waits for it any more.
    Over,
}

/// An INVITE transaction that has no final response.
pub(super) struct Plan {
    pub(super) draft: Draft,
    pub(super) routes: Vec<String>,
    pub(super) to: String,
    pub(super) redirects: Vec<String>,
    /// Request-URIs so far: a redirect leads to none of them.
    pub(super) visited: Vec<String>,
    /// How often a longer session was asked for.
    pub(super) min_se_rounds: u8,
    pub(super) bytes: Vec<u8>,
    pub(super) copies: Copies,
    /// Whether a provisional response came to this transaction.
    pub(super) proceeding: bool,
    pub(super) response_deadline: Option<Timestamp>,
    pub(super) ring_deadline: Timestamp,
    pub(super) cancel_deadline: Option<Timestamp>,
}

/// A finished INVITE transaction: the peer may repeat its final response, and gets this.
pub(super) struct Spent {
    pub(super) branch: Box<str>,
    pub(super) ack: Vec<u8>,
    pub(super) hop: Option<Hop>,
    pub(super) success: bool,
}

/// How far a fork is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Early,
    Confirmed,
    Over,
}

/// One of those who may answer.
pub(super) struct Fork {
    pub(super) dialog: Dialog,
    pub(super) stage: Stage,
    /// What acknowledges its 2xx.
    pub(super) ack: Vec<u8>,
    pub(super) ack_hop: Option<Hop>,
    pub(super) early_sdp: Option<Box<[u8]>>,
    /// The last reliable provisional response.
    pub(super) rseq: u32,
    pub(super) session: Option<Session>,
    /// Whether a re-INVITE of ours is open.
    pub(super) reinviting: bool,
    /// What the peer offered and the driver has not answered.
    pub(super) pending: Option<Pending>,
}

pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) call: CallKey,
    pub(super) path: Arc<Path>,
    /// Where to go when the way for large requests fails.
    fallback: Option<Arc<Path>>,
    pub(super) call_id: Box<str>,
    pub(super) from: Box<str>,
    pub(super) from_tag: Box<str>,
    /// The Request-URI of the last INVITE.
    pub(super) requested: Box<str>,
    pub(super) branch: String,
    pub(super) standing: Standing,
    pub(super) plan: Option<Box<Plan>>,
    pub(super) chain: Chain,
    /// What the last INVITE proved; the ACK of its 2xx repeats it (RFC 3261 section 22.1).
    pub(super) proofs: Vec<(&'static str, String)>,
    pub(super) forks: Vec<Fork>,
    pub(super) spent: Vec<Spent>,
    pub(super) given: VecDeque<Given>,
    /// The shortest session that everybody on the way agrees to.
    pub(super) min_se: Duration,
    /// What we offered or answered last.
    pub(super) local_sdp: Vec<u8>,
    pub(super) seen_response: bool,
    pub(super) rang: bool,
    pub(super) provisionals: u8,
    pub(super) last_provisional: Option<(u16, String, bool)>,
    pub(super) canceled: Option<Canceled>,
    pub(super) cancel_reason: Option<Reason>,
    /// When it is forgotten, once nobody waits for it.
    until: Timestamp,
    pub(super) armed: Option<Timestamp>,
}

impl Attempt {
    /// Prepares an INVITE. `None` when something of it cannot be written.
    pub(super) fn new(id: AttemptId, invite: Invite, shared: &mut Shared) -> Option<Self> {
        let from_tag = shared.random.token();
        let from = draft::from_value(&invite.from, &from_tag)?;
        let routes_sound = invite.routes.len() <= MAX_ROUTES
            && invite.routes.iter().all(|uri| draft::sound_uri(uri, &["sip", "sips"]));
        let sound = draft::sound_uri(&invite.uri, &["sip", "sips"]) && draft::sound_path(&invite.path) && routes_sound;
        if !sound || invite.offer.is_empty() || invite.offer.len() > MAX_SDP {
            return None;
        }
        let call_id = shared.random.token();
        let to = format!("<{}>", invite.uri);
        let ids = Ids { from: &from, to: &to, call_id: &call_id, routes: &invite.routes };
        let mut draft =
            Draft::new(Method::Invite, &invite.uri, 1, &ids).agent(&shared.settings).capable(&invite.path.contact);
        draft::add_extra(&mut draft.lines, &invite.headers)?;
        let draft = draft.with_sdp(&invite.offer);
        let chain = Chain::new(invite.credentials.map(Arc::new), &draft.host(), &shared.nonces);
        let plan = Plan {
            draft,
            routes: invite.routes,
            to,
            redirects: invite.redirects,
            visited: Vec::new(),
            min_se_rounds: 0,
            bytes: Vec::new(),
            copies: Copies::NONE,
            proceeding: false,
            response_deadline: None,
            ring_deadline: shared.now.plus(invite.ring_limit),
            cancel_deadline: None,
        };
        Some(Self {
            id,
            call: invite.call,
            path: Arc::new(invite.path),
            fallback: None,
            call_id: call_id.into(),
            from: from.into(),
            from_tag: from_tag.into(),
            requested: invite.uri.into(),
            branch: String::new(),
            standing: Standing::Inviting,
            plan: Some(Box::new(plan)),
            chain,
            proofs: Vec::new(),
            forks: Vec::new(),
            spent: Vec::new(),
            given: VecDeque::new(),
            min_se: MIN_SE,
            local_sdp: invite.offer,
            seen_response: false,
            rang: false,
            provisionals: 0,
            last_provisional: None,
            canceled: None,
            cancel_reason: None,
            until: shared.now,
            armed: None,
        })
    }

    /// Sends the INVITE as a new transaction.
    pub(super) fn send_invite(&mut self, shared: &mut Shared) {
        let Some(plan) = &mut self.plan else { return };
        if !self.spent.iter().any(|spent| *spent.branch == *self.branch) {
            // The way failed before anything came back by it: nothing can be found by this branch any more.
            shared.branches.remove(&key(&self.branch, &Method::Invite));
        }
        self.branch = shared.random.branch();
        shared.branches.insert(key(&self.branch, &Method::Invite), Owner::Invite(self.id));
        self.requested = plan.draft.uri.as_str().into();
        plan.visited.push(plan.draft.uri.clone());
        self.proofs = plan.draft.proofs(&self.chain, shared);
        plan.bytes = plan.draft.write(&self.path, &self.branch, &self.proofs);
        if !self.path.transport.is_reliable()
            && plan.bytes.len() > MAX_DATAGRAM
            && self.fallback.is_none()
            && let Some(large) = &self.path.large
        {
            let large = Arc::new(large.as_ref().clone());
            plan.draft.is_reached_at(&large.contact);
            self.fallback = Some(std::mem::replace(&mut self.path, large));
            plan.bytes = plan.draft.write(&self.path, &self.branch, &self.proofs);
        }
        let reliable = self.path.transport.is_reliable();
        plan.copies = if reliable { Copies::NONE } else { Copies::every(shared.now, T1_X64) };
        plan.proceeding = false;
        plan.response_deadline = Some(shared.now.plus(shared.settings.response_limit.min(T1_X64)));
        shared.send(Some(self.call), self.path.flow, plan.draft.hop.clone(), plan.bytes.clone());
    }

    /// Gives the call up before it is answered: now, or as soon as the far side has said anything (RFC 3261 section 9.1).
    pub(super) fn cancel(&mut self, shared: &mut Shared, why: Canceled, reason: Option<Reason>) {
        if self.standing != Standing::Inviting || self.canceled.is_some() {
            return;
        }
        self.canceled = Some(why);
        self.cancel_reason = reason;
        self.cancel_if_possible(shared);
    }

    /// Sends the CANCEL that is wanted, once, and only when a provisional response came.
    pub(super) fn cancel_if_possible(&mut self, shared: &mut Shared) {
        let Some(plan) = &mut self.plan else { return };
        let wanted = self.canceled.is_some() || self.standing == Standing::Over;
        if !wanted || !plan.proceeding || plan.cancel_deadline.is_some() {
            return;
        }
        plan.cancel_deadline = Some(shared.now.plus(T1_X64));
        let ids = Ids { from: &self.from, to: &plan.to, call_id: &self.call_id, routes: &plan.routes };
        let mut draft =
            Draft::new(Method::Cancel, &plan.draft.uri, plan.draft.cseq, &ids).because(self.cancel_reason.as_ref());
        draft.hop = plan.draft.hop.clone();
        let mut request = Request::new(Purpose::Cancel(self.id), draft, &self.path, shared);
        request.branch.clone_from(&self.branch);
        request.call = Some(self.call);
        shared.start(request);
        self.linger(shared.now);
    }

    /// Ends the call, however far it is.
    pub(super) fn hang_up(&mut self, shared: &mut Shared, reason: Option<Reason>) {
        match self.standing {
            Standing::Inviting => self.cancel(shared, Canceled::Asked, reason),
            Standing::Answered(_) => self.end(shared, Ender::Us, EndCause::Bye, reason.as_ref(), Vec::new()),
            Standing::Over => {}
        }
    }

    /// An answered call is over: BYE to it when we end it, and the event.
    pub(super) fn end(
        &mut self,
        shared: &mut Shared,
        by: Ender,
        cause: EndCause,
        said: Option<&Reason>,
        reasons: Vec<Reason>,
    ) {
        let Standing::Answered(fork) = self.standing else { return };
        if by == Ender::Us {
            self.bye(shared, fork, said);
        }
        shared.event(Event::Ended { call: self.call, by, cause, reasons });
        self.finish(shared.now);
    }

    /// Ends a fork that was acknowledged.
    pub(super) fn bye(&mut self, shared: &mut Shared, id: ForkId, reason: Option<&Reason>) {
        self.refuse_offer(shared, id, 487);
        let near = Near { from: &self.from, call_id: &self.call_id };
        let Some(fork) = self.forks.get_mut(id.0) else { return };
        fork.stage = Stage::Over;
        fork.session = None;
        let draft = fork.dialog.request(Method::Bye, near).because(reason).agent(&shared.settings);
        self.ask(shared, Purpose::Bye(self.id, id), draft);
    }

    /// Sends a request of a dialog.
    pub(super) fn ask(&self, shared: &mut Shared, purpose: Purpose, draft: Draft) -> bool {
        let mut request = Request::new(purpose, draft, &self.path, shared);
        request.chain = Some(self.chain.renewed(&shared.nonces));
        request.call = Some(self.call);
        shared.start(request)
    }

    /// The call was not answered, and whoever wanted it is told.
    pub(super) fn refuse(&mut self, shared: &mut Shared, refusal: Refusal) {
        shared.event(Event::Refused { call: self.call, refusal: Box::new(refusal) });
        self.finish(shared.now);
    }

    /// A refusal that no response stands behind.
    pub(super) fn own_refusal(&self, code: u16, phrase: &str) -> Refusal {
        Refusal {
            code,
            phrase: phrase.to_owned(),
            local: true,
            seen_response: self.seen_response,
            rang: self.rang,
            canceled: self.canceled,
            crossed: false,
            reasons: Vec::new(),
            retry_after: None,
            warning: None,
            contacts: Vec::new(),
        }
    }

    /// This target does not take the call.
    pub(super) fn give_up_target(&mut self, shared: &mut Shared, exhausted: Exhausted) {
        shared.event(Event::NextTarget { call: self.call, exhausted });
        self.finish(shared.now);
    }

    /// Nobody waits for this any more. What is needed to end what may still come stays; the rest is given back.
    pub(super) fn finish(&mut self, now: Timestamp) {
        self.standing = Standing::Over;
        self.local_sdp = Vec::new();
        self.last_provisional = None;
        self.fallback = None;
        if let Some(plan) = &mut self.plan {
            plan.copies.stop();
            plan.response_deadline = None;
            plan.bytes = Vec::new();
            plan.draft.body = Vec::new();
        }
        for fork in &mut self.forks {
            fork.early_sdp = None;
            fork.session = None;
        }
        self.linger(now);
    }

    fn linger(&mut self, now: Timestamp) {
        self.until = now.plus(T1_X64);
    }

    /// Whether there is nothing left to do for it.
    pub(super) fn is_spent(&self, now: Timestamp) -> bool {
        self.standing == Standing::Over && now >= self.until
    }

    /// Keeps the ACK of a finished transaction.
    pub(super) fn spend(&mut self, shared: &mut Shared, spent: Spent) {
        if self.spent.len() >= MAX_SPENT {
            let old = self.spent.remove(0);
            shared.branches.remove(&key(&old.branch, &Method::Invite));
        }
        self.spent.push(spent);
    }

    /// Nothing goes out on this flow any more.
    pub(super) fn flow_failed(&mut self, shared: &mut Shared, flow: FlowId) {
        if self.path.flow != flow || self.plan.is_none() || self.standing != Standing::Inviting {
            return;
        }
        if let Some(plan) = self.plan.as_mut().filter(|plan| !plan.proceeding)
            && let Some(path) = self.fallback.take()
        {
            plan.draft.is_reached_at(&path.contact);
            // RFC 3261 section 18.1.1: where the stream is refused, the datagram is tried after all. Without `large`, so
            // that it stays there.
            self.path = Arc::new(Path { large: None, ..path.as_ref().clone() });
            self.send_invite(shared);
            return;
        }
        // Whoever said "trying" has it, and may ring by now: no other target may.
        if self.rang || self.canceled.is_some() || self.plan.as_ref().is_some_and(|plan| plan.proceeding) {
            let refusal = self.own_refusal(503, "Flow failed");
            self.refuse(shared, refusal);
            // The driver may have another way by now: the phone should not ring on.
            self.cancel_if_possible(shared);
        } else {
            self.give_up_target(shared, Exhausted::FlowFailed);
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, shared: &mut Shared) {
        self.tick_invite(shared);
        self.tick_dialogs(shared);
    }

    fn tick_invite(&mut self, shared: &mut Shared) {
        let now = shared.now;
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let Some(plan) = &mut self.plan else { return };
        if self.standing == Standing::Over {
            return;
        }
        if due(plan.cancel_deadline) {
            // RFC 3261 section 9.1: the far side takes the CANCEL and never ends the INVITE.
            self.plan = None;
            let refusal = self.own_refusal(487, "Canceled");
            self.refuse(shared, refusal);
            return;
        }
        if due(plan.response_deadline) {
            if self.canceled.is_some() {
                let refusal = self.own_refusal(408, "No response");
                self.refuse(shared, refusal);
            } else {
                self.give_up_target(shared, Exhausted::Silent);
            }
            return;
        }
        if plan.copies.due(now) {
            shared.counters.repeated_requests += 1;
            shared.send(Some(self.call), self.path.flow, plan.draft.hop.clone(), plan.bytes.clone());
        }
        if plan.ring_deadline <= now && self.canceled.is_none() {
            self.cancel(shared, Canceled::RingLimit, None);
        }
    }

    /// When to look again.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        let mut at = |time: Option<Timestamp>| {
            next = [next, time].into_iter().flatten().min();
        };
        if let Some(plan) = self.plan.as_ref().filter(|_| self.standing == Standing::Inviting) {
            at(plan.copies.next());
            at(plan.response_deadline);
            at(plan.cancel_deadline);
            at(self.canceled.is_none().then_some(plan.ring_deadline));
        }
        if self.standing == Standing::Over {
            at(Some(self.until));
        }
        self.forks.iter().for_each(|fork| at(fork.wake()));
        self.given.iter().for_each(|given| at(given.wake()));
        next
    }
}

impl Fork {
    pub(super) const fn new(dialog: Dialog) -> Self {
        Self {
            dialog,
            stage: Stage::Early,
            ack: Vec::new(),
            ack_hop: None,
            early_sdp: None,
            rseq: 0,
            session: None,
            reinviting: false,
            pending: None,
        }
    }

    fn wake(&self) -> Option<Timestamp> {
        let session = self.session.as_ref().and_then(Session::wake);
        let pending = self.pending.as_ref().map(|pending| pending.deadline);
        [session, pending].into_iter().flatten().min()
    }
}
