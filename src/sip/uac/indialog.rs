//! Owns what the peer asks for in a call: changes of media, keys in INFO, keep-alives, the end (RFC 3261 sections 12.2.2, 14.2
//! and 15.1.2, RFC 3311, RFC 6086). Each request is answered once; a repeated one gets the same answer.

use super::{
    AttemptId, Shared,
    attempt::{Attempt, ForkId, MAX_SDP, Stage, Standing},
    draft::{ALLOW, SUPPORTED},
    responses::{all_reasons, unsupported},
    serve::Reply,
    session::{MIN_SE, Session},
    timers::{Copies, T1_X64, T2},
};
use crate::{
    sip::{
        Arrival, EndCause, Ender, Event, FlowId, Hop, OfferId,
        message::{Message, Method, Name, Writer, cseq, session_expires},
    },
    time::Timestamp,
};

/// Most answers of one attempt that are kept for repeated requests.
const MAX_GIVEN: usize = 16;
/// Largest body of an INFO that is passed on, in bytes.
const MAX_INFO_BODY: usize = 1024;
/// Longest wait that a peer is asked for, in seconds (section 14.2: chosen at random from 0 to 10).
const MAX_RETRY_AFTER_S: u64 = 10;

/// An answer that was given, for as long as its request may come again.
pub(super) struct Given {
    key: Box<str>,
    bytes: Vec<u8>,
    flow: FlowId,
    hop: Option<Hop>,
    until: Timestamp,
    copies: Copies,
    /// The final response to an INVITE that the peer has not acknowledged.
    waiting: Option<Waiting>,
}

struct Waiting {
    fork: ForkId,
    number: u32,
    success: bool,
    /// Whether the ACK brings the answer to an offer of ours.
    wants_answer: bool,
}

impl Given {
    pub(super) fn wake(&self) -> Option<Timestamp> {
        Some(self.copies.next().map_or(self.until, |at| at.min(self.until)))
    }

    /// Whether it is the final response to an INVITE in this fork, and no ACK came.
    pub(super) fn is_unacknowledged(&self, fork: ForkId) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.fork == fork && waiting.success)
    }

    /// Whether it holds an offer of ours in this fork that is not answered.
    fn is_offer(&self, fork: ForkId) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.fork == fork && waiting.wants_answer)
    }
}

/// An offer of the peer that waits for our answer.
pub(super) struct Pending {
    offer: OfferId,
    reply: Reply,
    key: Box<str>,
    number: u32,
    invite: bool,
    wants_offer: bool,
    /// Where the peer is from now on, if we agree.
    contact: Option<String>,
    session: Option<(Session, String)>,
    pub(super) deadline: Timestamp,
}

/// A request of the peer, taken apart as far as each needs it.
struct Asked<'a> {
    message: &'a Message<'a>,
    fork: ForkId,
    reply: Reply,
    key: Box<str>,
    number: u32,
}

impl Attempt {
    /// Whether this request belongs to a dialog of ours, and to which fork.
    pub(super) fn dialog_of(&self, message: &Message<'_>) -> Option<ForkId> {
        let (ours, theirs) = (message.tag(Name::To)?, message.tag(Name::From)?);
        if *ours != *self.from_tag {
            return None;
        }
        let of = |tag: &str| self.forks.iter().position(|fork| *fork.dialog.remote_tag == *tag);
        // One that answered without a tag may have one when it asks.
        of(&theirs).or_else(|| of("")).map(ForkId)
    }

    /// Answers a request in a dialog.
    pub(super) fn asked(&mut self, shared: &mut Shared, message: &Message<'_>, arrival: &Arrival<'_>, id: ForkId) {
        let (Some((method, _)), Some(number)) = (message.request(), message.cseq().map(|cseq| cseq.number)) else {
            return;
        };
        let reply = Reply::to(message, arrival, None);
        let key = transaction(message, method);
        if let Some(given) = self.given.iter().find(|given| given.key == key) {
            shared.send(Some(self.call), reply.flow, reply.hop, given.bytes.clone());
            return;
        }
        let Some(fork) = self.forks.get_mut(id.0) else { return };
        if fork.pending.as_ref().is_some_and(|pending| pending.key == key) {
            shared.send(Some(self.call), reply.flow, reply.hop.clone(), reply.with(100).finish());
            return;
        }
        let asked = Asked { message, fork: id, reply, key, number };
        if fork.dialog.remote_seq.is_some_and(|last| number <= last) {
            // 12.2.2: out of order.
            shared.counters.old_requests += 1;
            self.answer(shared, asked, 500);
            return;
        }
        fork.dialog.remote_seq = Some(number);
        if fork.stage == Stage::Over && *method != Method::Bye {
            self.answer(shared, asked, 481);
        } else if let Some(unknown) = unsupported(message) {
            let mut writer = asked.reply.with(420);
            writer.header("Unsupported", unknown);
            self.give(shared, asked, writer.finish(), 420);
        } else {
            self.serve(shared, asked, method);
        }
    }

    fn serve(&mut self, shared: &mut Shared, asked: Asked<'_>, method: &Method) {
        match method {
            Method::Bye => self.ended_by_peer(shared, asked),
            Method::Invite | Method::Update => self.offered(shared, asked, *method == Method::Invite),
            Method::Info => self.informed(shared, asked),
            Method::Options => {
                let mut writer = asked.reply.with(200);
                writer.header("Allow", ALLOW).header("Accept", "application/sdp").header("Supported", SUPPORTED);
                self.give(shared, asked, writer.finish(), 200);
            }
            Method::Prack => self.answer(shared, asked, 481),
            Method::Register | Method::NotServed(_) | Method::Unknown(_) => {
                let code = if matches!(method, Method::Unknown(_)) { 501 } else { 405 };
                let mut writer = asked.reply.with(code);
                writer.header("Allow", ALLOW);
                self.give(shared, asked, writer.finish(), code);
            }
            Method::Ack | Method::Cancel => {}
        }
    }

    fn ended_by_peer(&mut self, shared: &mut Shared, asked: Asked<'_>) {
        let (id, reasons) = (asked.fork, all_reasons(asked.message));
        self.answer(shared, asked, 200);
        self.refuse_offer(shared, id, 487);
        if let Some(fork) = self.forks.get_mut(id.0) {
            fork.stage = Stage::Over;
            fork.session = None;
        }
        self.given.iter_mut().filter(|given| given.waiting.as_ref().is_some_and(|w| w.fork == id)).for_each(settle);
        if self.standing == Standing::Answered(id) {
            self.end(shared, Ender::Peer, EndCause::Bye, None, reasons);
        }
    }

    fn informed(&mut self, shared: &mut Shared, asked: Asked<'_>) {
        let (live, content_type) = (self.standing == Standing::Answered(asked.fork), asked.message.content_type());
        let body = asked.message.body;
        self.answer(shared, asked, 200);
        if body.len() > MAX_INFO_BODY {
            shared.counters.bounded += 1;
        } else if live && !body.is_empty() {
            shared.event(Event::InfoReceived { call: self.call, content_type, body: body.to_vec() });
        }
    }

    /// A re-INVITE or UPDATE.
    fn offered(&mut self, shared: &mut Shared, asked: Asked<'_>, invite: bool) {
        let message = asked.message;
        let unacknowledged = self.given.iter().any(|given| given.is_unacknowledged(asked.fork));
        let Some(fork) = self.forks.get_mut(asked.fork.0) else { return };
        let sdp = message.sdp();
        // Our offer is open: that of the INVITE, of a re-INVITE, or of a 200 (RFC 3261 section 14.2, RFC 3311 section 5.2).
        let unanswered = fork.stage == Stage::Early && fork.early_sdp.is_none();
        let ours_open = fork.reinviting || unanswered || self.given.iter().any(|given| given.is_offer(asked.fork));
        let changes = invite || sdp.is_some();
        let too_short = message
            .first(Name::SessionExpires)
            .and_then(|text| session_expires(&text))
            .is_some_and(|expires| expires.interval < MIN_SE);
        if too_short && message.lists(Name::Supported, "timer") {
            let mut writer = asked.reply.with(422);
            writer.header("Min-SE", MIN_SE.as_secs().to_string());
            self.give(shared, asked, writer.finish(), 422);
        } else if invite && fork.stage == Stage::Early {
            self.answer(shared, asked, 403);
        } else if changes && (fork.pending.is_some() || (invite && unacknowledged)) {
            let mut writer = asked.reply.with(500);
            writer.header("Retry-After", shared.random.up_to(MAX_RETRY_AFTER_S).to_string());
            self.give(shared, asked, writer.finish(), 500);
        } else if changes && ours_open {
            self.answer(shared, asked, 491);
        } else if sdp.is_none() && !message.body.is_empty() {
            let mut writer = asked.reply.with(415);
            writer.header("Accept", "application/sdp");
            self.give(shared, asked, writer.finish(), 415);
        } else if sdp.is_some_and(|sdp| sdp.len() > MAX_SDP) {
            self.answer(shared, asked, 488);
        } else if changes {
            let offer = OfferId(shared.next_id());
            if invite {
                shared.send(Some(self.call), asked.reply.flow, asked.reply.hop.clone(), asked.reply.with(100).finish());
            }
            fork.pending = Some(Pending {
                offer,
                reply: asked.reply,
                key: asked.key,
                number: asked.number,
                invite,
                wants_offer: sdp.is_none(),
                contact: message.contact(),
                session: Session::granted(shared.now, message),
                deadline: shared.now.plus(shared.settings.answer_limit),
            });
            let by_update = message.lists(Name::Allow, "UPDATE");
            if let Some((session, _)) = fork.pending.as_mut().and_then(|pending| pending.session.as_mut()) {
                session.by_update = by_update;
            }
            shared.event(Event::Offered { call: self.call, offer, sdp: sdp.map(<[u8]>::to_vec) });
        } else {
            fork.dialog.refresh_target(message);
            self.refreshed_by_peer(shared, asked);
        }
    }

    /// An UPDATE that changes nothing but how long the session lasts.
    fn refreshed_by_peer(&mut self, shared: &mut Shared, asked: Asked<'_>) {
        let mut writer = asked.reply.with(200);
        self.capable(&mut writer);
        let granted = Session::granted(shared.now, asked.message);
        let by_update = asked.message.lists(Name::Allow, "UPDATE");
        if let Some(fork) = self.forks.get_mut(asked.fork.0) {
            let by_update = by_update || fork.session.as_ref().is_some_and(|session| session.by_update);
            fork.session = granted.map(|(mut session, header)| {
                session.by_update = by_update;
                expires(&mut writer, &header);
                session
            });
        }
        self.give(shared, asked, writer.finish(), 200);
    }

    fn capable(&self, writer: &mut Writer) {
        let contact = format!("<{}>", self.path.contact);
        writer.header("Contact", contact).header("Allow", ALLOW).header("Supported", SUPPORTED);
    }

    /// The driver's answer to an offer. Nothing happens when the offer is gone.
    pub(super) fn answer_offer(&mut self, shared: &mut Shared, offer: OfferId, sdp: Option<Vec<u8>>) {
        let holds = |fork: &super::attempt::Fork| fork.pending.as_ref().is_some_and(|pending| pending.offer == offer);
        let Some(at) = self.forks.iter().position(holds) else { return };
        let Some(sdp) = sdp.filter(|sdp| !sdp.is_empty() && sdp.len() <= MAX_SDP) else {
            self.refuse_offer(shared, ForkId(at), 488);
            return;
        };
        let Some(fork) = self.forks.get_mut(at) else { return };
        let Some(pending) = fork.pending.take() else { return };
        fork.dialog.move_to(pending.contact);
        let by_update = fork.session.as_ref().is_some_and(|session| session.by_update);
        let mut writer = pending.reply.with(200);
        fork.session = pending.session.map(|(mut session, header)| {
            session.by_update |= by_update;
            expires(&mut writer, &header);
            session
        });
        self.capable(&mut writer);
        writer.header("Content-Type", "application/sdp");
        let bytes = writer.with_body(&sdp);
        self.local_sdp = sdp;
        let waiting =
            Waiting { fork: ForkId(at), number: pending.number, success: true, wants_answer: pending.wants_offer };
        self.keep(shared, pending.key, pending.reply, bytes, pending.invite.then_some(waiting));
    }

    /// Refuses an offer that waits.
    pub(super) fn refuse_offer(&mut self, shared: &mut Shared, id: ForkId, code: u16) {
        let Some(pending) = self.forks.get_mut(id.0).and_then(|fork| fork.pending.take()) else { return };
        let waiting = Waiting { fork: id, number: pending.number, success: false, wants_answer: false };
        let bytes = pending.reply.with(code).finish();
        self.keep(shared, pending.key, pending.reply, bytes, pending.invite.then_some(waiting));
    }

    /// A CANCEL of the peer for its re-INVITE. Whether there is one to cancel (9.2).
    pub(super) fn canceled_by_peer(
        &mut self,
        shared: &mut Shared,
        message: &Message<'_>,
        arrival: &Arrival<'_>,
    ) -> bool {
        let key = transaction(message, &Method::Invite);
        let waits = |fork: &super::attempt::Fork| fork.pending.as_ref().is_some_and(|pending| pending.key == key);
        let at = self.forks.iter().position(waits);
        if at.is_none() && !self.given.iter().any(|given| given.key == key) {
            return false;
        }
        let reply = Reply::to(message, arrival, None);
        shared.send(Some(self.call), reply.flow, reply.hop.clone(), reply.with(200).finish());
        if let Some(at) = at {
            self.refuse_offer(shared, ForkId(at), 487);
        }
        true
    }

    /// An ACK of the peer: our final response arrived.
    pub(super) fn acknowledged(&mut self, shared: &mut Shared, message: &Message<'_>) {
        let Some(number) = message.first(Name::CSeq).and_then(|text| cseq(&text)).map(|cseq| cseq.number) else {
            return;
        };
        let Some(id) = self.dialog_of(message) else { return };
        let fits = |given: &&mut Given| given.waiting.as_ref().is_some_and(|w| w.fork == id && w.number == number);
        let Some(given) = self.given.iter_mut().find(fits) else { return };
        let wants_answer = given.waiting.as_ref().is_some_and(|waiting| waiting.wants_answer);
        settle(given);
        if let Some(answer) = message.sdp().filter(|sdp| wants_answer && sdp.len() <= MAX_SDP) {
            shared.event(Event::AnswerReceived { call: self.call, answer: answer.to_vec() });
        }
    }

    fn answer(&mut self, shared: &mut Shared, asked: Asked<'_>, code: u16) {
        let bytes = asked.reply.with(code).finish();
        self.give(shared, asked, bytes, code);
    }

    /// Sends an answer and keeps it.
    fn give(&mut self, shared: &mut Shared, asked: Asked<'_>, bytes: Vec<u8>, code: u16) {
        let invite = asked.message.request().is_some_and(|(method, _)| *method == Method::Invite);
        let success = code < 300;
        let waiting = Waiting { fork: asked.fork, number: asked.number, success, wants_answer: false };
        self.keep(shared, asked.key, asked.reply, bytes, invite.then_some(waiting));
    }

    fn keep(&mut self, shared: &mut Shared, key: Box<str>, reply: Reply, bytes: Vec<u8>, waiting: Option<Waiting>) {
        shared.send(Some(self.call), reply.flow, reply.hop.clone(), bytes.clone());
        if self.given.len() >= MAX_GIVEN {
            let oldest = self.given.iter().position(|given| given.waiting.is_none()).unwrap_or(0);
            self.given.remove(oldest);
        }
        // A 2xx is repeated on every transport (13.3.1.4), another final response where it may be lost (17.2.1).
        let repeats = waiting.as_ref().is_some_and(|waiting| waiting.success || !self.path.transport.is_reliable());
        let copies = if repeats { Copies::every(shared.now, T2) } else { Copies::NONE };
        let until = shared.now.plus(T1_X64);
        self.given.push_back(Given { key, bytes, flow: reply.flow, hop: reply.hop, until, copies, waiting });
    }

    /// Does what is due in the dialogs.
    pub(super) fn tick_dialogs(&mut self, shared: &mut Shared) {
        let now = shared.now;
        for id in (0..self.forks.len()).map(ForkId) {
            let late = self.forks.get(id.0).and_then(|fork| fork.pending.as_ref()).is_some_and(|p| p.deadline <= now);
            if late {
                self.refuse_offer(shared, id, 488);
            }
            self.tick_session(shared, id);
        }
        for given in self.given.iter_mut().filter(|given| given.until > now) {
            if given.copies.due(now) {
                shared.send(Some(self.call), given.flow, given.hop.clone(), given.bytes.clone());
            }
        }
        let gone = |given: &Given| given.until <= now && given.waiting.as_ref().is_some_and(|waiting| waiting.success);
        let lost = self
            .given
            .iter()
            .filter(|given| gone(given))
            .filter_map(|given| given.waiting.as_ref())
            .map(|w| w.fork)
            .next();
        self.given.retain(|given| given.until > now);
        if lost.is_some_and(|id| self.standing == Standing::Answered(id)) {
            // 14.2: a 2xx that nobody acknowledges ends the call.
            self.end(shared, Ender::Us, EndCause::NotAcknowledged, None, Vec::new());
        }
    }

    /// This attempt, to those who have to find it again.
    pub(super) const fn id(&self) -> AttemptId {
        self.id
    }
}

const fn settle(given: &mut Given) {
    given.waiting = None;
    given.copies.stop();
}

fn expires(writer: &mut Writer, header: &str) {
    writer.header("Session-Expires", header);
    if header.ends_with("uac") {
        writer.header("Require", "timer");
    }
}

/// What tells this transaction from others (17.2.3); an old peer without a branch is told by the whole `Via` and `CSeq`.
fn transaction(message: &Message<'_>, method: &Method) -> Box<str> {
    let method = method.name();
    match message.branch() {
        Some((branch, _)) => format!("{branch} {method}").into(),
        None => {
            let (via, cseq) = (message.first(Name::Via).unwrap_or_default(), message.cseq().map(|cseq| cseq.number));
            format!("{} {cseq:?} {method}", crate::sip::message::shorten(&via, 256)).into()
        }
    }
}
