//! Owns what responses to an INVITE mean: ringing, answers of forks, challenges, redirects, refusals (RFC 3261 sections
//! 13.2.2 and 8.1.3).

use std::time::Duration;

use super::{
    Shared,
    attempt::{Attempt, Fork, ForkId, MAX_FORKS, MAX_SDP, Spent, Stage, Standing},
    dialog::{Dialog, Near},
    draft::{self, Draft, Ids},
    request::Purpose,
    session::Session,
};
use crate::sip::{
    EndCause, Ender, Event, Exhausted, Reason, Refusal,
    message::{MAX_PHRASE, Message, Method, Name, Start, Uri, list, reasons, retry_after, seconds, shorten},
};

/// Most redirects that one call follows.
const MAX_REDIRECTS: usize = 3;
/// Most times that a session interval is raised for a peer (422).
const MAX_MIN_SE_ROUNDS: u8 = 2;
/// Most provisional responses of one attempt that are looked at.
const MAX_PROVISIONALS: u8 = 64;
/// Most `Reason` values kept.
const MAX_REASONS: usize = 8;
/// Most `Contact` URIs of a refusal kept.
const MAX_CONTACTS: usize = 8;
/// Longest `Warning` kept, in bytes.
const MAX_WARNING: usize = 256;

impl Attempt {
    /// A response to one of our INVITEs came.
    pub(super) fn response(&mut self, shared: &mut Shared, message: &Message<'_>, branch: &str) {
        let Start::Response { code, phrase } = &message.start else { return };
        let Some(number) = message.cseq().map(|cseq| cseq.number) else { return };
        let success = (200..300).contains(code);
        let spent = self.spent.iter().find(|spent| spent.branch.eq_ignore_ascii_case(branch));
        if let Some(spent) = spent.filter(|spent| spent.success || !success) {
            if *code >= 200 {
                shared.counters.repeated_finals += 1;
                shared.send(Some(self.call), self.path.flow, spent.hop.clone(), spent.ack.clone());
            }
            return;
        }
        let current = branch.eq_ignore_ascii_case(&self.branch);
        match code {
            _ if success => self.success(shared, message, number),
            100..200 if current => self.provisional(shared, message, *code, phrase),
            300..700 if current => self.failure(shared, message, *code, phrase),
            _ => shared.counters.stray_responses += 1,
        }
    }

    fn provisional(&mut self, shared: &mut Shared, message: &Message<'_>, code: u16, phrase: &str) {
        let Some(plan) = &mut self.plan else { return };
        plan.proceeding = true;
        plan.copies.stop();
        plan.response_deadline = None;
        self.seen_response = true;
        if code > 100 {
            self.rang = true;
            if self.provisionals >= MAX_PROVISIONALS {
                shared.counters.bounded += 1;
            } else {
                self.provisionals += 1;
                self.progress(shared, message, code, phrase);
            }
        }
        self.cancel_if_possible(shared);
    }

    /// A provisional response above 100: perhaps a new fork, perhaps one to be acknowledged.
    fn progress(&mut self, shared: &mut Shared, message: &Message<'_>, code: u16, phrase: &str) {
        let tag = message.tag(Name::To).unwrap_or_default();
        let sdp = message.sdp().filter(|sdp| sdp.len() <= MAX_SDP);
        if !tag.is_empty()
            && let Some(id) = self.fork(shared, message, &tag)
        {
            if !self.acknowledge_provisional(shared, message, id) {
                return;
            }
            if let (Some(fork), Some(sdp)) = (self.forks.get_mut(id.0), sdp) {
                fork.early_sdp = Some(sdp.into());
            }
        }
        // RFC 3261 section 8.1.3.2: an unknown one counts as 183.
        let code = if matches!(code, 180..=183 | 199) { code } else { 183 };
        let seen = (code, tag, sdp.is_some());
        if self.standing == Standing::Inviting && self.last_provisional.as_ref() != Some(&seen) {
            let phrase = shorten(phrase, MAX_PHRASE).to_owned();
            shared.event(Event::Provisional { call: self.call, code, phrase, early_media: sdp.is_some() });
            self.last_provisional = Some(seen);
        }
    }

    /// Sends PRACK where it is wanted (RFC 3262 section 4). False when the response is an old one or comes too early.
    fn acknowledge_provisional(&mut self, shared: &mut Shared, message: &Message<'_>, id: ForkId) -> bool {
        let rseq = message.first(Name::RSeq).and_then(|text| text.parse::<u32>().ok()).filter(|rseq| *rseq > 0);
        let Some(rseq) = rseq.filter(|_| message.lists(Name::Require, "100rel")) else { return true };
        let near = Near { from: &self.from, call_id: &self.call_id };
        let Some(fork) = self.forks.get_mut(id.0) else { return false };
        if fork.stage != Stage::Early || (fork.rseq != 0 && Some(rseq) != fork.rseq.checked_add(1)) {
            return false;
        }
        fork.rseq = rseq;
        fork.dialog.follow(message);
        let number = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let mut draft = fork.dialog.request(Method::Prack, near).agent(&shared.settings);
        draft.lines.header("RAck", format!("{rseq} {number} INVITE"));
        self.ask(shared, Purpose::Prack(self.id, id), draft);
        true
    }

    /// The fork with this tag, a new one if need be. `None` when there are too many.
    fn fork(&mut self, shared: &mut Shared, message: &Message<'_>, tag: &str) -> Option<ForkId> {
        if let Some(at) = self.forks.iter().position(|fork| *fork.dialog.remote_tag == *tag) {
            return Some(ForkId(at));
        }
        let number = message.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let fork = Fork::new(Dialog::new(message, &self.requested, number));
        if self.forks.len() < MAX_FORKS {
            self.forks.push(fork);
            return Some(ForkId(self.forks.len() - 1));
        }
        shared.counters.bounded += 1;
        None
    }

    /// A fork answered.
    fn success(&mut self, shared: &mut Shared, message: &Message<'_>, number: u32) {
        self.seen_response = true;
        let tag = message.tag(Name::To).unwrap_or_default();
        let id = match self.fork(shared, message, &tag) {
            Some(id) => id,
            // One that answers is taken up in the place of one that only rings.
            None => match self.forks.iter().position(|fork| fork.stage == Stage::Early) {
                Some(at) => {
                    let fork = Fork::new(Dialog::new(message, &self.requested, number));
                    self.forks.splice(at..=at, [fork]).for_each(drop);
                    ForkId(at)
                }
                None => return,
            },
        };
        let near = Near { from: &self.from, call_id: &self.call_id };
        let Some(fork) = self.forks.get_mut(id.0) else { return };
        if !fork.ack.is_empty() {
            shared.counters.repeated_finals += 1;
            shared.send(Some(self.call), self.path.flow, fork.ack_hop.clone(), fork.ack.clone());
            return;
        }
        let hung_up = fork.stage == Stage::Over;
        fork.stage = Stage::Confirmed;
        fork.dialog.follow(message);
        let draft = fork.dialog.numbered(Method::Ack, near, number);
        fork.ack = draft.write(&self.path, &shared.random.branch(), &self.proofs);
        fork.ack_hop = draft.hop;
        shared.send(Some(self.call), self.path.flow, fork.ack_hop.clone(), fork.ack.clone());
        self.plan = None;
        match self.standing {
            Standing::Inviting if self.canceled.is_none() => {
                self.answered(shared, message, id);
                if hung_up {
                    // Its BYE overtook its 200.
                    self.end(shared, Ender::Peer, EndCause::Bye, None, Vec::new());
                }
            }
            Standing::Inviting => {
                self.bye(shared, id, None);
                let mut refusal = self.own_refusal(487, "Canceled");
                refusal.crossed = true;
                self.refuse(shared, refusal);
            }
            Standing::Answered(_) => {
                shared.counters.extra_forks += 1;
                self.bye(shared, id, None);
            }
            Standing::Over => {
                shared.counters.extra_forks += 1;
                self.bye(shared, id, None);
                self.finish(shared.now);
            }
        }
    }

    /// The first fork that answers becomes the call.
    fn answered(&mut self, shared: &mut Shared, message: &Message<'_>, id: ForkId) {
        let others = self.forks.len().saturating_sub(1);
        let Some(fork) = self.forks.get_mut(id.0) else { return };
        let early = fork.early_sdp.take();
        let answer =
            message.sdp().filter(|sdp| sdp.len() <= MAX_SDP).map(<[u8]>::to_vec).or_else(|| early.map(Vec::from));
        fork.session = Session::agreed(shared.now, message);
        if let (Some(session), true) = (&mut fork.session, message.lists(Name::Allow, "UPDATE")) {
            session.by_update = true;
        }
        self.standing = Standing::Answered(id);
        shared.event(Event::Answered {
            call: self.call,
            answer: answer.unwrap_or_default(),
            remote_tag: message.tag(Name::To).unwrap_or_default(),
            forks: others,
        });
    }

    /// A final response that is no success: acknowledged on the same branch (17.1.1.3), then understood.
    fn failure(&mut self, shared: &mut Shared, message: &Message<'_>, code: u16, phrase: &str) {
        self.seen_response = true;
        // Without a plan the transaction is over: a fork answered, or the far side contradicts itself.
        let Some(plan) = self.plan.take() else { return };
        let to = message.first(Name::To).unwrap_or_default();
        let ids = Ids { from: &self.from, to: &to, call_id: &self.call_id, routes: &plan.routes };
        let ack = Draft::new(Method::Ack, &plan.draft.uri, plan.draft.cseq, &ids).write(&self.path, &self.branch, &[]);
        shared.send(Some(self.call), self.path.flow, plan.draft.hop.clone(), ack.clone());
        let spent = Spent { branch: self.branch.as_str().into(), ack, hop: plan.draft.hop.clone(), success: false };
        self.spend(shared, spent);
        self.forks.retain(|fork| fork.stage != Stage::Early);
        if self.standing != Standing::Inviting {
            return;
        }
        self.plan = Some(plan);
        let again = self.canceled.is_none()
            && match code {
                401 | 407 => self.chain.challenged(&mut shared.nonces, code, message),
                422 => self.lengthen_session(message),
                300..=302 | 305 | 380 => self.redirect(shared, message, code),
                _ => false,
            };
        if again {
            if let Some(plan) = &mut self.plan {
                plan.draft.cseq += 1;
            }
            self.send_invite(shared);
            return;
        }
        self.plan = None;
        let refusal = self.refusal(message, code, phrase);
        if code == 503 && !self.rang && self.canceled.is_none() {
            self.give_up_target(shared, Exhausted::Unavailable(Box::new(refusal)));
        } else {
            self.refuse(shared, refusal);
        }
    }

    /// 422: the session must be allowed to last longer (RFC 4028 section 7.3). Whether to try again.
    fn lengthen_session(&mut self, message: &Message<'_>) -> bool {
        let least = message.first(Name::MinSe).and_then(|text| seconds(&text));
        let (Some(least), Some(plan)) = (least, &mut self.plan) else { return false };
        if plan.min_se_rounds >= MAX_MIN_SE_ROUNDS {
            return false;
        }
        plan.min_se_rounds += 1;
        self.min_se = self.min_se.max(least);
        let least = least.as_secs().to_string();
        plan.draft.lines.replace("Session-Expires", &least);
        plan.draft.lines.replace("Min-SE", &least);
        true
    }

    /// 3xx: the first contact that the allow-list knows. Whether to try again.
    fn redirect(&mut self, shared: &Shared, message: &Message<'_>, code: u16) -> bool {
        let Some(plan) = &mut self.plan else { return false };
        if plan.visited.len() > MAX_REDIRECTS + usize::from(self.chain.rounds() + plan.min_se_rounds) {
            return false;
        }
        let allowed = |uri: &String| {
            let host = draft::host(uri);
            draft::sound_uri(uri, &["sip", "sips"])
                && !plan.visited.contains(uri)
                && plan.redirects.iter().any(|other| other.eq_ignore_ascii_case(&host))
        };
        let Some(uri) = message.contacts(MAX_CONTACTS).into_iter().find(allowed) else { return false };
        plan.draft.hop = Uri::read(&uri).and_then(|uri| uri.hop());
        if code == 305 {
            // 21.3.4: only another way, not another callee.
            plan.visited.push(uri);
            return true;
        }
        self.chain = self.chain.moved(&draft::host(&uri), &shared.nonces);
        plan.draft.uri = uri;
        true
    }

    fn refusal(&self, message: &Message<'_>, code: u16, phrase: &str) -> Refusal {
        Refusal {
            code,
            phrase: shorten(phrase, MAX_PHRASE).to_owned(),
            local: false,
            seen_response: true,
            rang: self.rang,
            canceled: self.canceled,
            crossed: false,
            reasons: all_reasons(message),
            retry_after: retry(message),
            warning: message.first(Name::Warning).map(|text| shorten(&text, MAX_WARNING).to_owned()),
            contacts: message.contacts(MAX_CONTACTS),
        }
    }
}

/// All `Reason` values of a message.
pub(super) fn all_reasons(message: &Message<'_>) -> Vec<Reason> {
    message.values(Name::Reason).iter().flat_map(|text| reasons(text).collect::<Vec<_>>()).take(MAX_REASONS).collect()
}

/// The `Retry-After` of a message.
pub(super) fn retry(message: &Message<'_>) -> Option<Duration> {
    message.first(Name::RetryAfter).and_then(|text| retry_after(&text))
}

/// Extensions that a request requires and that we do not know, as one list.
pub(super) fn unsupported(message: &Message<'_>) -> Option<String> {
    let required = message.values(Name::Require);
    let unknown: Vec<&str> = required
        .iter()
        .flat_map(|text| list(text))
        .filter(|word| !draft::SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(word)))
        .collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}
