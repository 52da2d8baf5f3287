//! Owns `sip:`, `sips:` and `tel:` URIs as trunks write them (RFC 3261 section 19.1, RFC 3966): underscores in hosts and
//! anything printable in the user part are let pass. Other schemes are told apart, not read.

use super::{
    super::{Hop, Transport},
    scan::{Params, blank},
};

/// A URI, in parts that borrow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri<'a> {
    /// As written, without the colon.
    pub scheme: &'a str,
    /// What stands before the `@`; the number of a `tel:` URI; the whole rest of any other scheme.
    pub user: Option<&'a str>,
    /// The host, brackets of an IPv6 address removed; empty where the scheme has none.
    pub host: &'a str,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
    /// What stands behind a question mark.
    pub headers: Option<&'a str>,
}

/// Longest URI that is read, in bytes.
const MAX_URI: usize = 4096;

impl<'a> Uri<'a> {
    /// Reads a URI without angle brackets. `None` when it holds blanks, brackets or control characters, or makes no sense.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let printable = text.bytes().all(|byte| byte > b' ' && byte != 0x7f && !b"<>\"".contains(&byte));
        if !printable || text.len() > MAX_URI {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        let well_formed = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !well_formed || rest.is_empty() {
            return None;
        }
        if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") {
            Self::sip(scheme, rest)
        } else if scheme.eq_ignore_ascii_case("tel") {
            let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
            let params = Params::read(params).unwrap_or_default();
            Some(Self { scheme, user: Some(number), host: "", port: None, params, headers: None })
        } else {
            Some(Self { scheme, user: Some(rest), host: "", port: None, params: Params::default(), headers: None })
        }
    }

    fn sip(scheme: &'a str, rest: &'a str) -> Option<Self> {
        // The user part may hold `;` and `?`, so the last `@` counts.
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let (place, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = host_port(place)?;
        // A URI parameter may hold what a token may not; then none of them is looked at.
        let params = Params::read(params).unwrap_or_default();
        Some(Self { scheme, user, host, port, params, headers })
    }

    /// Whether the scheme is `sip` or `sips`.
    #[must_use]
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sip") || self.scheme.eq_ignore_ascii_case("sips")
    }

    /// Whether requests go on beyond this proxy unchanged (RFC 3261 section 16.12: loose routing).
    #[must_use]
    pub fn is_loose_router(&self) -> bool {
        self.params.has("lr")
    }

    /// Where a request to this URI goes first. `None` for a scheme without a host.
    #[must_use]
    pub fn hop(&self) -> Option<Hop> {
        if self.host.is_empty() {
            return None;
        }
        let named = self.params.value("transport");
        let transport = match named.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("udp") => Some(Transport::Udp),
            Some("tcp") if self.scheme.eq_ignore_ascii_case("sips") => Some(Transport::Tls),
            Some("tcp") => Some(Transport::Tcp),
            Some("tls") => Some(Transport::Tls),
            _ if self.scheme.eq_ignore_ascii_case("sips") => Some(Transport::Tls),
            _ => None,
        };
        let host = self.params.value("maddr").map_or_else(|| self.host.to_owned(), |host| host.into_owned());
        Some(Hop { host, port: self.port, transport })
    }
}

/// `host`, `host:port`, `[v6]:port`, blanks around the colon let pass.
pub(super) fn host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let text = text.trim_matches(blank);
    let (host, rest) = if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        let numeric = !host.is_empty() && host.bytes().all(|b| b.is_ascii_hexdigit() || b":.%".contains(&b));
        (numeric.then_some(host)?, rest.trim_matches(blank))
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let (host, rest) = text.split_at_checked(end)?;
        let host = host.trim_matches(blank);
        let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        (named.then_some(host)?, rest)
    };
    match rest.strip_prefix(':') {
        Some(port) => {
            let port = port.trim_matches(blank);
            let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            Some((host, Some(digits.then(|| port.parse().ok()).flatten()?)))
        }
        None => rest.is_empty().then_some((host, None)),
    }
}
