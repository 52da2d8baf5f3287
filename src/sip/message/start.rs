//! Owns the first line of a message: what is asked for, or what came of it.

use std::fmt;

use super::scan::is_token;

/// What a request asks for. Names know case (RFC 3261 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// Begins or changes a call.
    Invite,
    /// Acknowledges a final response to INVITE.
    Ack,
    /// Stops an INVITE that is not answered.
    Cancel,
    /// Ends a call.
    Bye,
    /// Asks what the other side can do.
    Options,
    /// Says where we are.
    Register,
    /// Something in mid-call (RFC 6086).
    Info,
    /// Changes a call without INVITE (RFC 3311).
    Update,
    /// Acknowledges a provisional response (RFC 3262).
    Prack,
    /// A method that exists and that we do not serve: NOTIFY, SUBSCRIBE, MESSAGE, REFER, PUBLISH.
    NotServed(&'static str),
    /// None that we know.
    Unknown(Box<str>),
}

/// Methods with a number of their own.
const SERVED: [(&str, Method); 9] = [
    ("INVITE", Method::Invite),
    ("ACK", Method::Ack),
    ("CANCEL", Method::Cancel),
    ("BYE", Method::Bye),
    ("OPTIONS", Method::Options),
    ("REGISTER", Method::Register),
    ("INFO", Method::Info),
    ("UPDATE", Method::Update),
    ("PRACK", Method::Prack),
];
/// Methods that exist and that we do not serve.
const NOT_SERVED: [&str; 5] = ["NOTIFY", "SUBSCRIBE", "MESSAGE", "REFER", "PUBLISH"];

impl Method {
    /// The method of this name.
    #[must_use]
    pub fn read(text: &str) -> Self {
        if let Some((_, method)) = SERVED.iter().find(|(name, _)| *name == text) {
            return method.clone();
        }
        NOT_SERVED
            .iter()
            .find(|name| **name == text)
            .map_or_else(|| Self::Unknown(text.into()), |name| Self::NotServed(name))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::NotServed(name) => name,
            Self::Unknown(name) => name,
            Self::Invite
            | Self::Ack
            | Self::Cancel
            | Self::Bye
            | Self::Options
            | Self::Register
            | Self::Info
            | Self::Update
            | Self::Prack => SERVED.iter().find(|(_, method)| method == self).map_or("", |(name, _)| name),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request {
        /// What for.
        method: Method,
        /// What stands between the method and the version; not yet looked at.
        uri: String,
        /// What stands behind it.
        version: String,
    },
    /// A response with a code from 100 to 699.
    Response {
        /// The code.
        code: u16,
        /// The phrase; may be empty.
        phrase: String,
    },
}

impl Start {
    /// Reads a line without its end. `None` when it is neither kind.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        let is_response = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
        if is_response { Self::response(&text) } else { Self::request(&text) }
    }

    fn response(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once(' ')?;
        if !version.eq_ignore_ascii_case("SIP/2.0") {
            return None;
        }
        let rest = rest.trim_start();
        let (code, phrase) = rest.split_once(' ').unwrap_or_else(|| (rest.trim_end(), ""));
        if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let code = code.parse().ok().filter(|code| (100..700).contains(code))?;
        Some(Self::Response { code, phrase: phrase.trim().to_owned() })
    }

    fn request(text: &str) -> Option<Self> {
        let (method, rest) = text.split_once(' ')?;
        let (uri, version) = rest.rsplit_once(' ')?;
        if !is_token(method) {
            return None;
        }
        Some(Self::Request { method: Method::read(method), uri: uri.to_owned(), version: version.to_owned() })
    }
}
