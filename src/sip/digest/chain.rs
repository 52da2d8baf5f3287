//! Owns the memory of challenges: those of one request and its repetitions, and those that a server gave before and that
//! spare a round trip.

use std::{collections::BTreeMap, sync::Arc};

use super::{Proof, answer};
use crate::sip::{
    Credentials,
    message::{Challenge, Message, Name},
    random::Random,
};

/// Most challenges that are remembered, over all trunks.
const MAX_REMEMBERED: usize = 256;
/// Most times that one request is repeated because of a challenge: a proxy and a server, each with one nonce that was stale.
const MAX_ROUNDS: u8 = 4;
/// Most realms that one request proves itself to.
const MAX_REALMS: usize = 4;

/// Who challenged: the server (401) or a proxy on the way (407).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Server,
    Proxy,
}

/// User, host of the Request-URI, who challenged, realm.
type Place = (String, String, Side, String);

/// The challenges that servers gave, with how often each nonce was used.
#[derive(Default)]
pub(in crate::sip) struct Nonces(BTreeMap<Place, (Challenge, u32)>);

impl Nonces {
    fn remember(&mut self, place: Place, challenge: &Challenge) {
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(&place) {
            self.0.pop_first();
        }
        self.0.insert(place, (challenge.clone(), 0));
    }

    /// How often this nonce is used, now counted.
    fn count(&mut self, place: &Place, nonce: &str) -> u32 {
        match self.0.get_mut(place) {
            Some((challenge, count)) if challenge.nonce == nonce => {
                *count = count.saturating_add(1);
                *count
            }
            _ => 1,
        }
    }
}

/// One challenge that a request answers.
#[derive(Clone)]
struct Link {
    side: Side,
    challenge: Challenge,
    /// Whether it came for this request, and not for one before.
    fresh: bool,
}

/// The credentials of a request and what it has to prove.
#[derive(Clone)]
pub(in crate::sip) struct Chain {
    credentials: Option<Arc<Credentials>>,
    host: String,
    links: Vec<Link>,
    rounds: u8,
}

impl Chain {
    /// A request to `host` that was not challenged yet; it answers what was asked for there before.
    pub(in crate::sip) fn new(credentials: Option<Arc<Credentials>>, host: &str, nonces: &Nonces) -> Self {
        let mut links = Vec::new();
        if let Some(credentials) = &credentials {
            let from = (credentials.username.clone(), host.to_owned(), Side::Server, String::new());
            let known = nonces
                .0
                .range(from..)
                .take_while(|((user, place, _, _), _)| *user == credentials.username && place == host);
            links.extend(known.take(MAX_REALMS).map(|((_, _, side, _), (challenge, _))| Link {
                side: *side,
                challenge: challenge.clone(),
                fresh: false,
            }));
        }
        Self { credentials, host: host.to_owned(), links, rounds: 0 }
    }

    /// The same credentials for another request of the dialog.
    pub(in crate::sip) fn renewed(&self, nonces: &Nonces) -> Self {
        Self::new(self.credentials.clone(), &self.host, nonces)
    }

    /// The same credentials for another host.
    pub(in crate::sip) fn moved(&self, host: &str, nonces: &Nonces) -> Self {
        Self::new(self.credentials.clone(), host, nonces)
    }

    /// How often the request was challenged.
    pub(in crate::sip) const fn rounds(&self) -> u8 {
        self.rounds
    }

    fn place(&self, link: &Link) -> Place {
        let user = self.credentials.as_ref().map(|credentials| credentials.username.clone()).unwrap_or_default();
        (user, self.host.clone(), link.side, link.challenge.realm.clone())
    }

    /// The header lines that prove who we are: names and values.
    pub(in crate::sip) fn lines(
        &self,
        nonces: &mut Nonces,
        random: &mut Random,
        (method, uri, body): (&str, &str, &[u8]),
    ) -> Vec<(&'static str, String)> {
        let Some(credentials) = &self.credentials else { return Vec::new() };
        let mut lines = Vec::new();
        for link in &self.links {
            let count = nonces.count(&self.place(link), &link.challenge.nonce);
            let client_nonce = random.token();
            let proof = Proof { method, uri, body, count, client_nonce: &client_nonce };
            let name = match link.side {
                Side::Server => "Authorization",
                Side::Proxy => "Proxy-Authorization",
            };
            lines.push((name, answer(&link.challenge, credentials, &proof)));
        }
        lines
    }

    /// Takes a 401 or 407. Whether it is worth to send the request again.
    pub(in crate::sip) fn challenged(&mut self, nonces: &mut Nonces, code: u16, message: &Message<'_>) -> bool {
        let (side, name) = match code {
            401 => (Side::Server, Name::WwwAuthenticate),
            407 => (Side::Proxy, Name::ProxyAuthenticate),
            _ => return false,
        };
        if self.credentials.is_none() || self.rounds >= MAX_ROUNDS {
            return false;
        }
        let offered: Vec<Challenge> = message.values(name).iter().flat_map(|text| Challenge::read_all(text)).collect();
        // RFC 8760 section 2.4: the topmost that is understood.
        let Some(challenge) = offered.into_iter().next() else { return false };
        let before = self.links.iter().position(|link| link.side == side && link.challenge.realm == challenge.realm);
        let repeated = before.and_then(|at| self.links.get(at)).is_some_and(|link| {
            let same = link.challenge.nonce == challenge.nonce;
            // A server that forgot a nonce of an earlier request may say so without `stale`.
            !challenge.stale && (same || link.fresh)
        });
        if repeated {
            return false;
        }
        self.rounds += 1;
        let link = Link { side, challenge, fresh: true };
        nonces.remember(self.place(&link), &link.challenge);
        match before {
            Some(at) => self.links.splice(at..=at, [link]).for_each(drop),
            None if self.links.len() < MAX_REALMS => self.links.push(link),
            None => return false,
        }
        true
    }
}
