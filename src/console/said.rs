//! Owns what was said in SIP for a call, as its page shows it: message by message, masked, or why there is none.

use super::{Console, session::Visit};
use crate::{
    gateway::{Captured, SeenCall, SipMessage},
    texts,
};

/// Most messages that are shown. A call with some challenges and refreshes has twenty.
const MOST_SHOWN: usize = 200;

/// The part of the page.
pub(super) struct Said {
    /// What there is, or why there is nothing.
    pub(super) lead: String,
    pub(super) messages: Vec<Message>,
}

/// One message.
pub(super) struct Message {
    pub(super) clock: String,
    pub(super) at_utc: String,
    /// From whom to whom.
    pub(super) between: String,
    pub(super) first_line: String,
    pub(super) text: String,
}

/// What was said for this call. None where no carrier was asked, and for whoever sees the calls of one client only: the
/// addresses of trunks are the business of those who run the installation.
pub(super) async fn said(console: &Console, visit: &Visit, seen: &SeenCall) -> Option<Said> {
    let carrier = seen.record.carrier.as_str();
    if carrier.is_empty() || visit.session.client.is_some() {
        return None;
    }
    let tell = |id: &str, slot: (&str, &str)| texts::page(visit.words.language, id, &[("carrier", carrier), slot]);
    let none = |id: &str| Some(Said { lead: tell(id, ("count", "0")), messages: Vec::new() });
    match console.gateway.captured(carrier, seen.record.id).await {
        Captured::NoSip => none("console-sip-none"),
        Captured::Off => none("console-sip-off"),
        Captured::Gone => none("console-sip-gone"),
        Captured::Messages(all) => {
            let id = if seen.alive { "console-sip-so-far" } else { "console-sip-lead" };
            let lead = tell(id, ("count", &all.len().to_string()));
            let messages = all.iter().take(MOST_SHOWN).map(|message| Message::new(visit, carrier, message)).collect();
            Some(Said { lead, messages })
        }
    }
}

impl Message {
    fn new(visit: &Visit, carrier: &str, message: &SipMessage) -> Self {
        let us = "ringproof";
        let (from, to) = if message.is_ours() { (us, carrier) } else { (carrier, us) };
        Self {
            clock: visit.zone.clock(message.at),
            at_utc: message.at.to_rfc3339(),
            between: format!("{from} → {to}"),
            first_line: message.text.lines().next().unwrap_or_default().to_owned(),
            text: message.text.clone(),
        }
    }
}
