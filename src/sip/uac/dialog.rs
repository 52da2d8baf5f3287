//! Owns a dialog (RFC 3261 section 12): who the other side is, the way to it, and the numbers of requests.

use super::draft::{Draft, Ids};
use crate::sip::message::{Message, Method, Name, NameAddr, Uri};

/// Most proxies on the way of a dialog.
const MAX_ROUTES: usize = 16;
/// Longest URI or name that is kept from the peer, in bytes.
const MAX_KEPT: usize = 1024;

#[derive(Debug)]
pub(super) struct Dialog {
    /// The tag of the other side; empty when it gave none (RFC 2543).
    pub(super) remote_tag: Box<str>,
    /// The `To` of our requests, tag and all.
    to: Box<str>,
    /// Where the other side is.
    target: Box<str>,
    /// The proxies on the way, first first.
    routes: Box<[String]>,
    /// The number of our last request.
    pub(super) local_seq: u32,
    /// The number of the peer's last request.
    pub(super) remote_seq: Option<u32>,
}

/// Our side of the dialog.
#[derive(Clone, Copy)]
pub(super) struct Near<'a> {
    pub(super) from: &'a str,
    pub(super) call_id: &'a str,
}

impl Dialog {
    /// The dialog that a response with a tag makes (12.1.2). `requested` is where the INVITE was sent.
    pub(super) fn new(response: &Message<'_>, requested: &str, local_seq: u32) -> Self {
        let mut dialog = Self {
            remote_tag: response.tag(Name::To).unwrap_or_default().into(),
            to: response.first(Name::To).unwrap_or_default().into(),
            target: requested.into(),
            routes: Box::default(),
            local_seq,
            remote_seq: None,
        };
        dialog.follow(response);
        dialog
    }

    /// Takes over the way and the target of a response (12.1.2); a response without a usable `Contact` leaves the target.
    pub(super) fn follow(&mut self, response: &Message<'_>) {
        let recorded = response.all(Name::RecordRoute);
        let routes = recorded
            .iter()
            .rev()
            .filter_map(|value| NameAddr::read(value))
            .map(|address| without_headers(address.uri).to_owned());
        self.routes = routes.filter(|uri| uri.len() <= MAX_KEPT).take(MAX_ROUTES).collect();
        self.refresh_target(response);
    }

    /// Takes over where the other side is now (12.2.1.2).
    pub(super) fn refresh_target(&mut self, message: &Message<'_>) {
        self.move_to(message.contact());
    }

    /// As [`Dialog::refresh_target`], with the URI of a `Contact`.
    pub(super) fn move_to(&mut self, contact: Option<String>) {
        let contact = contact.filter(|uri| uri.len() <= MAX_KEPT);
        if let Some(uri) = contact.filter(|uri| Uri::read(uri).is_some_and(|uri| uri.is_sip())) {
            self.target = without_headers(&uri).into();
        }
    }

    /// A request in the dialog, with the next number.
    pub(super) fn request(&mut self, method: Method, near: Near<'_>) -> Draft {
        self.local_seq += 1;
        self.numbered(method, near, self.local_seq)
    }

    /// A request in the dialog: where it goes and through whom (12.2.1.1).
    pub(super) fn numbered(&self, method: Method, near: Near<'_>, number: u32) -> Draft {
        let ids = |routes| Ids { from: near.from, to: &self.to, call_id: near.call_id, routes };
        let first = self.routes.first().and_then(|uri| Uri::read(uri).map(|read| (uri, read)));
        let (mut draft, hop) = match first {
            // A strict router wants to find itself in the Request-URI, and the target last.
            Some((uri, read)) if !read.is_loose_router() => {
                let mut routes: Vec<String> = self.routes.iter().skip(1).cloned().collect();
                routes.push(self.target.to_string());
                (Draft::new(method, uri, number, &ids(&routes)), read.hop())
            }
            Some((_, read)) => (Draft::new(method, &self.target, number, &ids(&self.routes)), read.hop()),
            None => {
                let hop = Uri::read(&self.target).and_then(|uri| uri.hop());
                (Draft::new(method, &self.target, number, &ids(&[])), hop)
            }
        };
        draft.hop = hop;
        draft
    }
}

/// A URI as a Request-URI may be (RFC 3261 section 19.1.1: headers belong elsewhere).
fn without_headers(uri: &str) -> &str {
    let headers = Uri::read(uri).and_then(|uri| uri.headers).map_or(0, |headers| headers.len() + 1);
    uri.get(..uri.len().saturating_sub(headers)).unwrap_or(uri)
}
