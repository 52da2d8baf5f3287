//! Owns answers to requests: how one is written (RFC 3261 section 8.2.6), and what somebody hears who asks outside of any
//! call of ours. Such answers keep no state, so that a flood of them costs no memory.

use super::{
    Shared,
    draft::{ALLOW, SUPPORTED},
    responses::unsupported,
};
use crate::sip::{
    Arrival, FlowId, Hop, Transport,
    message::{Lines, Malformed, Message, Method, Name, NameAddr, Uri, Via, Writer},
};

/// What is copied from a request into its answer (section 8.2.6.2).
const COPIED: [(Name, &str); 5] =
    [(Name::Via, "Via"), (Name::From, "From"), (Name::To, "To"), (Name::CallId, "Call-ID"), (Name::CSeq, "CSeq")];

/// An answer to be: the headers that are copied from the request, and where it goes.
#[derive(Debug)]
pub(super) struct Reply {
    lines: Lines,
    pub(super) flow: FlowId,
    pub(super) hop: Option<Hop>,
}

impl Reply {
    /// The answer to this request. `tag` is given to a `To` that has none.
    pub(super) fn to(message: &Message<'_>, arrival: &Arrival<'_>, tag: Option<&str>) -> Self {
        let mut lines = Lines::default();
        let mut hop = None;
        let mut top = true;
        for field in &message.fields {
            let name = field.name;
            if name == Name::Via && std::mem::take(&mut top) {
                let text = field.text();
                lines.header("Via", received(&text, arrival));
                hop = asymmetric(&text, arrival);
            } else if let (Name::To, Some(tag)) = (name, tag)
                && NameAddr::read(&field.text()).is_some_and(|address| address.tag().is_none())
            {
                lines.header("To", format!("{};tag={tag}", field.text()));
            } else if let Some((_, written)) = COPIED.iter().find(|(copied, _)| *copied == name) {
                lines.header(written, &field.value);
            }
        }
        Self { lines, flow: arrival.flow, hop }
    }

    /// The answer with this code, to which more may be added.
    pub(super) fn with(&self, code: u16) -> Writer {
        let mut writer = Writer::response(code, phrase(code));
        writer.lines(&self.lines);
        writer
    }
}

/// The top `Via` with where it really came from (RFC 3261 section 18.2.1, RFC 3581 section 4).
fn received(text: &str, arrival: &Arrival<'_>) -> String {
    let (first, rest) = match text.split_once(',') {
        Some((first, rest)) => (first, format!(",{rest}")),
        None => (text, String::new()),
    };
    let Some(via) = Via::read(first) else { return text.to_owned() };
    let asks = via.params.has("rport") && via.params.value("rport").is_none();
    if !asks && via.host.eq_ignore_ascii_case(arrival.host) {
        return text.to_owned();
    }
    let mut parts: Vec<String> = Vec::new();
    for part in first.split(';') {
        let name = part.split('=').next().unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("rport") && asks {
            parts.push(format!("rport={}", arrival.port));
        } else if !name.eq_ignore_ascii_case("received") {
            parts.push(part.trim().to_owned());
        }
    }
    parts.push(format!("received={}", arrival.host));
    parts.join(";") + &rest
}

/// A datagram whose sender does not ask for symmetric responses wants them at the port it names (18.2.2).
fn asymmetric(text: &str, arrival: &Arrival<'_>) -> Option<Hop> {
    let via = Via::read(text.split(',').next()?)?;
    let port = via.port.unwrap_or(5060);
    let elsewhere = arrival.transport == Transport::Udp && !via.params.has("rport") && port != arrival.port;
    elsewhere.then(|| Hop { host: arrival.host.to_owned(), port: Some(port), transport: Some(Transport::Udp) })
}

/// Answers a request that belongs to no call of ours.
pub(super) fn out_of_dialog(shared: &mut Shared, message: &Message<'_>, arrival: &Arrival<'_>) {
    let Some((method, uri)) = message.request() else { return };
    let writer_of = |code| {
        let identity =
            format!("{:?}", (message.first(Name::CallId), message.first(Name::From), message.first(Name::Via)));
        let reply = Reply::to(message, arrival, Some(&shared.random.stable(identity.as_bytes())));
        (reply.with(code), reply)
    };
    let code = verdict(message, method, uri);
    let (mut writer, reply) = writer_of(code);
    match code {
        200 => {
            writer.header("Allow", ALLOW).header("Accept", "application/sdp").header("Supported", SUPPORTED);
        }
        405 | 501 => {
            writer.header("Allow", ALLOW);
        }
        415 => {
            writer.header("Accept", "application/sdp").header("Accept-Encoding", "identity");
        }
        420 => {
            writer.header("Unsupported", unsupported(message).unwrap_or_default());
        }
        _ => {}
    }
    if code != 200 {
        shared.counters.refused_requests += 1;
    }
    shared.send(None, reply.flow, reply.hop, writer.finish());
}

/// In the order of RFC 3261 section 8.2: method, headers, body, and then that we take no calls.
fn verdict(message: &Message<'_>, method: &Method, uri: &str) -> u16 {
    match method {
        Method::Unknown(_) => return 501,
        Method::NotServed(_) | Method::Register => return 405,
        Method::Cancel | Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Ack => return 481,
        Method::Invite | Method::Options => {}
    }
    if !Uri::read(uri).is_some_and(|uri| uri.is_sip()) {
        return 416;
    }
    if unsupported(message).is_some() {
        return 420;
    }
    if *method == Method::Options {
        return 200;
    }
    let kind = message.content_type();
    let readable =
        message.body.is_empty() || matches!(kind.as_str(), "application/sdp" | "") || kind.starts_with("multipart/");
    if !readable || message.first(Name::ContentEncoding).is_some_and(|text| !text.eq_ignore_ascii_case("identity")) {
        return 415;
    }
    let accepts = message.values(Name::Accept);
    let takes_sdp = |text: &String| {
        let mut kinds =
            text.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        kinds.any(|kind| matches!(kind.as_str(), "application/sdp" | "application/*" | "*/*"))
    };
    if !accepts.is_empty() && !accepts.iter().any(takes_sdp) {
        return 406;
    }
    403
}

/// Answers a request that makes no sense, as far as it can be answered.
pub(super) fn malformed(shared: &mut Shared, message: &Message<'_>, arrival: &Arrival<'_>, fault: Malformed) {
    let Some((method, _)) = message.request() else { return };
    if *method == Method::Ack {
        return;
    }
    let code = match (fault, method) {
        (Malformed::Version, _) => 505,
        (Malformed::Method, Method::Unknown(_)) => 501,
        _ => 400,
    };
    let reply = Reply::to(message, arrival, Some(&shared.random.stable(arrival.bytes)));
    shared.send(None, reply.flow, reply.hop.clone(), reply.with(code).finish());
}

/// The usual phrase of a code that we send.
const fn phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        481 => "Call/Transaction Does Not Exist",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        505 => "Version Not Supported",
        _ => "",
    }
}
