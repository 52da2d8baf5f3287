//! Owns a request as it is before it is sent: all but what changes when it is sent again (`Via`, `CSeq`, credentials).

use crate::sip::{
    ExtraHeader, Hop, Path, Reason, Settings,
    digest::Chain,
    message::{Lines, Method, Uri, Writer, is_token},
};

/// What we understand in calls, for `Allow`.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";
/// Extensions that we know, for `Supported`.
pub(super) const SUPPORTED: &str = "timer, 100rel";

/// Most extra headers of an INVITE.
const MAX_EXTRA: usize = 16;
/// Longest value of one, in bytes.
const MAX_EXTRA_VALUE: usize = 4096;

/// A request to be.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) cseq: u32,
    /// Everything but `Via`, `CSeq`, credentials and `Content-Length`.
    pub(super) lines: Lines,
    pub(super) body: Vec<u8>,
    /// Where it goes when not to the peer of the flow.
    pub(super) hop: Option<Hop>,
}

impl Draft {
    /// A request with what each has.
    pub(super) fn new(method: Method, uri: &str, cseq: u32, ids: &Ids<'_>) -> Self {
        let mut lines = Lines::default();
        lines.header("Max-Forwards", "70");
        for route in ids.routes {
            lines.header("Route", format!("<{route}>"));
        }
        lines.header("From", ids.from).header("To", ids.to).header("Call-ID", ids.call_id);
        Self { method, uri: uri.to_owned(), cseq, lines, body: Vec::new(), hop: None }
    }

    /// Adds who we are.
    pub(super) fn agent(mut self, settings: &Settings) -> Self {
        let agent: String = settings.user_agent.chars().filter(|c| (' '..='~').contains(c)).collect();
        if !agent.is_empty() {
            self.lines.header("User-Agent", agent);
        }
        self
    }

    /// Adds where we are reached, and what we can do.
    pub(super) fn capable(mut self, contact: &str) -> Self {
        self.lines.header("Contact", format!("<{contact}>")).header("Allow", ALLOW).header("Supported", SUPPORTED);
        self
    }

    /// Changes where we are reached.
    pub(super) fn is_reached_at(&mut self, contact: &str) {
        self.lines.replace("Contact", &format!("<{contact}>"));
    }

    /// Adds a session description.
    pub(super) fn with_sdp(mut self, sdp: &[u8]) -> Self {
        self.lines.header("Content-Type", "application/sdp");
        self.body = sdp.to_vec();
        self
    }

    /// Adds why.
    pub(super) fn because(mut self, reason: Option<&Reason>) -> Self {
        if let Some(reason) = reason.filter(|reason| is_token(&reason.protocol)) {
            let mut value = reason.protocol.clone();
            if let Some(cause) = reason.cause {
                value.push_str(&format!(";cause={cause}"));
            }
            if let Some(text) = &reason.text {
                let plain: String = text.chars().filter(|c| (' '..='~').contains(c) && !"\"\\".contains(*c)).collect();
                value.push_str(&format!(";text=\"{plain}\""));
            }
            self.lines.header("Reason", value);
        }
        self
    }

    /// The bytes.
    pub(super) fn write(&self, path: &Path, branch: &str, proofs: &[(&'static str, String)]) -> Vec<u8> {
        let mut writer = Writer::request(&self.method, &self.uri);
        let (transport, sent_by) = (path.transport.name(), &path.sent_by);
        writer.header("Via", format!("SIP/2.0/{transport} {sent_by};branch={branch};rport"));
        writer.lines(&self.lines).header("CSeq", format!("{} {}", self.cseq, self.method));
        for (name, value) in proofs {
            writer.header(name, value);
        }
        writer.with_body(&self.body)
    }

    /// The host of the Request-URI: whose password it is.
    pub(super) fn host(&self) -> String {
        host(&self.uri)
    }

    /// The header lines that prove who we are.
    pub(super) fn proofs(&self, chain: &Chain, shared: &mut super::Shared) -> Vec<(&'static str, String)> {
        chain.lines(&mut shared.nonces, &mut shared.random, (self.method.name(), &self.uri, &self.body))
    }
}

/// The host of a URI, in lower case; empty when there is none.
pub(super) fn host(uri: &str) -> String {
    Uri::read(uri).map(|uri| uri.host.to_ascii_lowercase()).unwrap_or_default()
}

/// What says to which call a request belongs.
pub(super) struct Ids<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) call_id: &'a str,
    /// URIs, first first.
    pub(super) routes: &'a [String],
}

/// Whether a text of the caller may stand in a header: printable ASCII only (RFC 3261 section 25.1 would let more pass;
/// line ends and what looks like them must not).
pub(super) fn printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A URI of the caller that may stand between angle brackets.
pub(super) fn sound_uri(uri: &str, schemes: &[&str]) -> bool {
    let read = Uri::read(uri).filter(|_| printable(uri));
    read.is_some_and(|read| {
        schemes.iter().any(|scheme| read.scheme.eq_ignore_ascii_case(scheme)) && read.headers.is_none()
    })
}

/// Whether a `sent-by` or host of the caller is one.
pub(super) fn sound_path(path: &Path) -> bool {
    let sent_by = format!("sip:{}", path.sent_by);
    let sent_by = Uri::read(&sent_by).filter(|_| printable(&path.sent_by));
    let plain = sent_by.is_some_and(|uri| uri.user.is_none() && uri.headers.is_none()) && !path.sent_by.contains(';');
    let large = path.large.as_deref().is_none_or(|large| large.large.is_none() && sound_path(large));
    plain && sound_uri(&path.contact, &["sip", "sips"]) && large
}

/// A `From` value with its tag; `None` when the party cannot be written.
pub(super) fn from_value(party: &crate::sip::Party, tag: &str) -> Option<String> {
    if !sound_uri(&party.uri, &["sip", "sips", "tel"]) {
        return None;
    }
    let uri = &party.uri;
    match &party.display {
        None => Some(format!("<{uri}>;tag={tag}")),
        Some(display) if printable(display) => {
            let escaped = display.replace('\\', "\\\\").replace('"', "\\\"");
            Some(format!("\"{escaped}\" <{uri}>;tag={tag}"))
        }
        Some(_) => None,
    }
}

/// Adds the caller's headers. `None` when one of them cannot be written, or there are too many.
pub(super) fn add_extra(lines: &mut Lines, headers: &[ExtraHeader]) -> Option<()> {
    if headers.len() > MAX_EXTRA {
        return None;
    }
    for header in headers {
        let (name, value) = match header {
            ExtraHeader::AssertedIdentity(value) => ("P-Asserted-Identity", value),
            ExtraHeader::Privacy(value) => ("Privacy", value),
            ExtraHeader::Identity(value) => ("Identity", value),
            ExtraHeader::Date(value) => ("Date", value),
            ExtraHeader::Private(name, value) => {
                let upper = name.to_ascii_uppercase();
                let private =
                    (upper.starts_with("X-") || upper.starts_with("P-")) && is_token(name) && name.len() <= 64;
                (private.then_some(name.as_str())?, value)
            }
        };
        if !printable(value) || value.len() > MAX_EXTRA_VALUE {
            return None;
        }
        lines.header(name, value);
    }
    Some(())
}
