//! Owns how a session is kept alive, or ended when the other side does not (RFC 4028).

use std::time::Duration;

use super::{
    Shared,
    attempt::{Attempt, ForkId, Spent, Stage, Standing},
    conclude::Outcome,
    dialog::Near,
    ground::Owner,
    indialog::Given,
    request::{Purpose, Request, key},
};
use crate::{
    sip::{
        EndCause, Ender, Event, Reason,
        message::{Message, Method, Name, Refresher, SessionExpires, seconds, session_expires},
    },
    time::Timestamp,
};

/// The shortest session that we agree to when the peer asks (section 5).
pub(super) const MIN_SE: Duration = Duration::from_secs(90);
/// The shortest interval that is believed: a peer that says less means nothing by it.
const SHORTEST: Duration = Duration::from_secs(4);
/// Longest time that a session is ended before its end (section 10).
const MARGIN: Duration = Duration::from_secs(32);
/// After this time a refresh that failed for another reason is tried once more.
const RETRY: Duration = Duration::from_secs(10);
/// Most refreshes that fail one after another.
const MAX_FAILURES: u8 = 4;

/// A session that ends by itself.
pub(super) struct Session {
    interval: Duration,
    /// When we refresh it; `None` when the peer does, or while a refresh is open.
    refresh_at: Option<Timestamp>,
    /// When it has to be ended.
    ends_at: Timestamp,
    ours: bool,
    failures: u8,
    /// Whether the peer takes UPDATE.
    pub(super) by_update: bool,
}

impl Session {
    fn new(now: Timestamp, expires: SessionExpires, ours: bool) -> Self {
        let interval = expires.interval.max(SHORTEST);
        let ends_at = now.plus(interval.saturating_sub(MARGIN.min(interval / 3)));
        let refresh_at = ours.then(|| now.plus(interval / 2));
        Self { interval, refresh_at, ends_at, ours, failures: 0, by_update: false }
    }

    /// What a 2xx to a request of ours says (section 7.2): without a refresher it is us.
    pub(super) fn agreed(now: Timestamp, message: &Message<'_>) -> Option<Self> {
        let expires = message.first(Name::SessionExpires).and_then(|text| session_expires(&text))?;
        let ours = match expires.refresher {
            Some(Refresher::Uas) => false,
            Some(Refresher::Uac) | None => true,
        };
        Some(Self::new(now, expires, ours))
    }

    /// What we answer to a request of the peer (section 9), with the header that says so.
    pub(super) fn granted(now: Timestamp, message: &Message<'_>) -> Option<(Self, String)> {
        let expires = message.first(Name::SessionExpires).and_then(|text| session_expires(&text))?;
        let supports = message.lists(Name::Supported, "timer") || message.lists(Name::Require, "timer");
        // A peer that cannot refresh leaves it to us.
        let ours = !supports || expires.refresher == Some(Refresher::Uas);
        let refresher = if ours { "uas" } else { "uac" };
        let header = format!("{};refresher={refresher}", expires.interval.as_secs());
        Some((Self::new(now, expires, ours), header))
    }

    pub(super) fn wake(&self) -> Option<Timestamp> {
        Some(self.refresh_at.map_or(self.ends_at, |at| at.min(self.ends_at)))
    }
}

impl Attempt {
    /// Refreshes or ends the session of a fork when its time has come.
    pub(super) fn tick_session(&mut self, shared: &mut Shared, id: ForkId) {
        let Some(session) = self.forks.get_mut(id.0).and_then(|fork| fork.session.as_mut()) else { return };
        if session.ends_at <= shared.now {
            if let Some(fork) = self.forks.get_mut(id.0) {
                fork.session = None;
            }
            if self.standing != Standing::Answered(id) {
                return;
            }
            let reason = Reason {
                protocol: "SIP".into(),
                cause: Some(408),
                text: Some("Session expired".into()),
                by_user: false,
            };
            self.end(shared, Ender::Us, EndCause::SessionExpired, Some(&reason), Vec::new());
        } else if session.refresh_at.is_some_and(|at| at <= shared.now) {
            self.refresh(shared, id);
        }
    }

    fn refresh(&mut self, shared: &mut Shared, id: ForkId) {
        let near = Near { from: &self.from, call_id: &self.call_id };
        let Some(fork) = self.forks.get_mut(id.0) else { return };
        let Some(session) = fork.session.as_mut() else { return };
        session.refresh_at = None;
        let open = |given: &Given| given.is_unacknowledged(id);
        if !session.by_update && (fork.pending.is_some() || self.given.iter().any(open)) {
            // RFC 3261 section 14.1: not while an INVITE of the peer is open.
            session.refresh_at = Some(shared.now.plus(super::timers::T1));
            return;
        }
        let method = if session.by_update { Method::Update } else { Method::Invite };
        fork.reinviting = method == Method::Invite;
        let seconds = session.interval.as_secs().to_string();
        let reinvites = fork.reinviting;
        let mut draft = fork.dialog.request(method, near).agent(&shared.settings).capable(&self.path.contact);
        draft.lines.header("Session-Expires", format!("{seconds};refresher=uac"));
        draft.lines.header("Min-SE", self.min_se.min(session.interval).as_secs().to_string());
        let draft = if reinvites { draft.with_sdp(&self.local_sdp) } else { draft };
        self.ask(shared, Purpose::Refresh(self.id, id), draft);
    }

    /// A refresh came back.
    pub(super) fn refreshed(&mut self, shared: &mut Shared, id: ForkId, request: &Request, outcome: &Outcome<'_>) {
        if let (Outcome::Final(code, message), Method::Invite) = (outcome, &request.draft.method) {
            self.acknowledge_reinvite(shared, id, request, *code, message);
        }
        let live = self.standing == Standing::Answered(id);
        let Some(fork) = self.forks.get_mut(id.0).filter(|fork| live && fork.stage == Stage::Confirmed) else { return };
        fork.reinviting = false;
        match outcome {
            Outcome::Final(200..300, message) => {
                fork.dialog.refresh_target(message);
                let by_update = fork.session.as_ref().is_some_and(|session| session.by_update);
                fork.session = Session::agreed(shared.now, message);
                if let Some(session) = &mut fork.session {
                    session.by_update = by_update;
                }
                if let Some(answer) = message.sdp().filter(|_| request.draft.method == Method::Invite) {
                    shared.event(Event::AnswerReceived { call: self.call, answer: answer.to_vec() });
                }
            }
            Outcome::Final(408 | 481, _) | Outcome::TimedOut => {
                // Section 10: a refresh that nobody answers ends the session.
                let reason = Reason {
                    protocol: "SIP".into(),
                    cause: Some(408),
                    text: Some("Session lost".into()),
                    by_user: false,
                };
                self.end(shared, Ender::Us, EndCause::Lost, Some(&reason), Vec::new());
            }
            Outcome::Final(code, message) => self.refresh_again(shared, id, *code, Some(message)),
            Outcome::FlowFailed => self.refresh_again(shared, id, 0, None),
        }
    }

    /// A refresh that failed while the session still lives: again, later, in another way, or not at all.
    fn refresh_again(&mut self, shared: &mut Shared, id: ForkId, code: u16, message: Option<&Message<'_>>) {
        let Some(session) = self.forks.get_mut(id.0).and_then(|fork| fork.session.as_mut()) else { return };
        session.failures += 1;
        if !session.ours || session.failures > MAX_FAILURES {
            return;
        }
        let wait = match code {
            405 | 501 if session.by_update => {
                session.by_update = false;
                Duration::ZERO
            }
            422 => {
                let least = message.and_then(|message| message.first(Name::MinSe)).and_then(|text| seconds(&text));
                self.min_se = self.min_se.max(least.unwrap_or(MIN_SE));
                session.interval = session.interval.max(self.min_se);
                Duration::ZERO
            }
            // RFC 3261 section 14.1: who made the Call-ID waits 2.1 to 4 s.
            491 => Duration::from_millis(2100 + shared.random.up_to(1900)),
            _ => RETRY,
        };
        session.refresh_at = Some(shared.now.plus(wait));
    }

    /// A challenge to our re-INVITE is a final response too.
    pub(super) fn acknowledge_challenge(
        &mut self,
        shared: &mut Shared,
        id: ForkId,
        request: &Request,
        code: u16,
        message: &Message<'_>,
    ) {
        if request.draft.method == Method::Invite {
            self.acknowledge_reinvite(shared, id, request, code, message);
        }
    }

    /// The ACK to the final response of our re-INVITE; it is kept, since the response may come again.
    fn acknowledge_reinvite(
        &mut self,
        shared: &mut Shared,
        id: ForkId,
        request: &Request,
        code: u16,
        message: &Message<'_>,
    ) {
        let success = code < 300;
        let near = Near { from: &self.from, call_id: &self.call_id };
        let Some(fork) = self.forks.get_mut(id.0) else { return };
        if success {
            fork.dialog.refresh_target(message);
        }
        let draft = fork.dialog.numbered(Method::Ack, near, request.draft.cseq);
        let branch = if success { shared.random.branch() } else { request.branch.clone() };
        let ack = draft.write(&request.path, &branch, &[]);
        shared.send(Some(self.call), request.path.flow, draft.hop.clone(), ack.clone());
        shared.branches.insert(key(&request.branch, &Method::Invite), Owner::Invite(self.id));
        self.spend(shared, Spent { branch: request.branch.as_str().into(), ack, hop: draft.hop, success });
    }
}
