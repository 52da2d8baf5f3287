//! Owns how a call finds a server that takes it: which is asked next, what the request to it says, and when it is given
//! up. A server is passed over only while no telephone can have rung.

use std::{sync::Arc, time::Duration};

use super::{CallEvent, Facing, Inner, Outgoing, authority, driver::Command, lock, transport_parameter};
use crate::{
    provider::sip::{
        config::{AssertedIdentity, Privacy},
        transport::Opened,
        trunk::{Target, Unavailable},
        trunk_uri::TrunkUri,
    },
    sip::{CallKey, ExtraHeader, Invite, Party, Refusal, Transport},
    time::Timestamp,
};

/// Most servers that one call is offered to.
const MAX_ATTEMPTS: usize = 8;
/// What is left of the ring time has to be worth a try.
const LEAST_RING_TIME: Duration = Duration::from_secs(2);

/// A call on its way to a server.
pub(super) struct Course {
    pub(super) call: CallKey,
    outgoing: Outgoing,
    began: Timestamp,
    /// The place that was taken for the next attempt.
    next: Option<(Target, Duration)>,
    tried: Vec<Target>,
    /// Trunks whose other servers would say the same.
    passed_trunks: Vec<usize>,
    failures: Vec<String>,
    /// What a server said that did not take it, for when there is no other.
    refusal: Option<Box<Refusal>>,
}

impl Course {
    /// A call whose first server is chosen.
    pub(super) fn new(call: CallKey, outgoing: Outgoing, began: Timestamp, first: (Target, Duration)) -> Self {
        Self {
            call,
            outgoing,
            began,
            next: Some(first),
            tried: Vec::new(),
            passed_trunks: Vec::new(),
            failures: Vec::new(),
            refusal: None,
        }
    }

    /// Notes why a server did not take it.
    pub(super) fn failed(&mut self, target: Target, why: &str) {
        self.failures.push(format!("{}: {why}", target.hop));
    }

    /// Notes what a server said that did not take it. With `whole_trunk` its other servers are not asked either.
    pub(super) fn refused(&mut self, target: Target, refusal: Box<Refusal>, whole_trunk: bool) {
        self.failed(target, &format!("{} {}", refusal.code, refusal.phrase));
        self.refusal = Some(refusal);
        if whole_trunk {
            self.passed_trunks.push(target.trunk);
        }
    }

    /// Goes on to the next server, and tells the driver how.
    pub(super) async fn go_on(mut self: Box<Self>, inner: Arc<Inner>) {
        let call = self.call;
        let command = match self.attempt(&inner).await {
            Some((target, facing, invite)) => Command::Invite { course: self, target, facing, invite },
            None => Command::GaveUp { call, event: self.give_up() },
        };
        // Without a driver there are no calls.
        let _stopped = inner.commands.send(command).await;
    }

    async fn attempt(&mut self, inner: &Inner) -> Option<(Target, Facing, Box<Invite>)> {
        loop {
            let (target, wait) = self.next.take().or_else(|| self.take(inner))?;
            self.tried.push(target);
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            match inner.network.flow(&inner.destination(target)).await {
                Ok(opened) => {
                    let facing = facing(inner, target, opened);
                    let invite = self.invite(inner, target, opened, &facing);
                    return Some((target, facing, Box::new(invite)));
                }
                Err(error) => {
                    self.failed(target, &error.to_string());
                    inner.target_failed(target, &error.to_string());
                    lock(&inner.trunks).give_back(target);
                }
            }
        }
    }

    /// Takes a place at a server that was not tried yet.
    fn take(&mut self, inner: &Inner) -> Option<(Target, Duration)> {
        let now = inner.now();
        let left = self.outgoing.ring_limit.saturating_sub(now.since(self.began));
        if self.tried.len() >= MAX_ATTEMPTS || left < LEAST_RING_TIME {
            return None;
        }
        let passed = |target: Target| self.tried.contains(&target) || self.passed_trunks.contains(&target.trunk);
        match lock(&inner.trunks).take(now, passed) {
            Ok(next) => Some(next),
            Err(Unavailable::Exhausted | Unavailable::Down) => None,
            Err(why @ (Unavailable::Full | Unavailable::Unknown)) => {
                self.failures.push(why.to_string());
                None
            }
        }
    }

    fn give_up(&mut self) -> CallEvent {
        match self.refusal.take() {
            Some(refusal) => CallEvent::Refused(refusal),
            None => CallEvent::NotTaken { why: self.failures.join("; ") },
        }
    }

    fn invite(&self, inner: &Inner, target: Target, opened: Opened, facing: &Facing) -> Invite {
        let trunk = inner.trunk(target);
        let config = &inner.config;
        let left = self.outgoing.ring_limit.saturating_sub(inner.now().since(self.began));
        let uri = format!(
            "sip:{}@{}{};user=phone",
            inner.callee(&self.outgoing.to),
            authority(trunk),
            transport_parameter(trunk)
        );
        Invite {
            call: self.call,
            path: inner.path(target, opened),
            uri,
            from: self.from(inner, trunk),
            routes: config.outbound_proxy.iter().map(|proxy| format!("{proxy};lr")).collect(),
            offer: (self.outgoing.offer)(facing),
            credentials: inner.credentials(),
            redirects: config
                .all_trunks()
                .map(|trunk| trunk.host.to_string())
                .chain(config.redirect_hosts.clone())
                .collect(),
            headers: self.headers(inner, trunk),
            ring_limit: left,
        }
    }

    /// RFC 3323 section 4.1.1.3: who wants privacy is anonymous in From.
    fn from(&self, inner: &Inner, trunk: &TrunkUri) -> Party {
        match inner.config.privacy {
            Privacy::Off => Party {
                display: self.outgoing.display.clone(),
                uri: format!("sip:{}@{}", inner.number(&self.outgoing.from), inner.config.own_domain(trunk)),
            },
            Privacy::Id => {
                Party { display: Some(String::from("Anonymous")), uri: String::from("sip:anonymous@anonymous.invalid") }
            }
        }
    }

    fn headers(&self, inner: &Inner, trunk: &TrunkUri) -> Vec<ExtraHeader> {
        let config = &inner.config;
        let mut headers = Vec::new();
        let private = config.privacy == Privacy::Id;
        // Who hides the number in From has to tell the carrier elsewhere.
        let caller = private.then_some(AssertedIdentity::Caller);
        if let Some(identity) = config.asserted_identity.clone().or(caller) {
            let number = match &identity {
                AssertedIdentity::Caller => &self.outgoing.from,
                AssertedIdentity::Number(number) => number,
            };
            let value = format!("<sip:{}@{}>", inner.number(number), config.own_domain(trunk));
            headers.push(ExtraHeader::AssertedIdentity(value));
        }
        if private {
            headers.push(ExtraHeader::Privacy(String::from("id")));
        }
        if let Some(signer) = &inner.signer {
            let now = inner.clock.now();
            if let Some(identity) = signer.header(now, &self.outgoing.from, &self.outgoing.to) {
                headers.push(ExtraHeader::Identity(identity));
                headers.push(ExtraHeader::Date(date(now)));
            }
        }
        headers
    }
}

fn facing(inner: &Inner, target: Target, opened: Opened) -> Facing {
    Facing {
        trunk: inner.trunk(target).to_string(),
        server: target.hop.address,
        address: inner.seen_as(opened).ip(),
        interface: opened.local.ip(),
        over_tls: target.hop.transport == Transport::Tls,
    }
}

/// As RFC 3261 section 20.17 wants it: `Sat, 13 Nov 2010 23:29:00 GMT`.
fn date(now: Timestamp) -> String {
    let second = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_sip() {
        assert_eq!(date(Timestamp::from_ms(1_289_690_940_000)), "Sat, 13 Nov 2010 23:29:00 GMT");
    }
}
