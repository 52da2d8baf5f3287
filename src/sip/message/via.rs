//! Owns the `Via` header (RFC 3261 section 20.42, RFC 3581): through whom a request came, and where its response goes.

use super::{
    scan::{Params, blank},
    uri::host_port,
};

/// One value of a `Via` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as written.
    pub transport: &'a str,
    /// The host of the sender as it says itself.
    pub host: &'a str,
    /// Its port.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport` and others.
    pub params: Params<'a>,
}

/// What every branch of RFC 3261 begins with; what is behind it is unique.
pub(crate) const COOKIE: &str = "z9hG4bK";

impl<'a> Via<'a> {
    /// Reads one value: `SIP / 2.0 / UDP host : port ; branch=…`.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let (protocol, rest) = text.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        let known = protocol.trim_matches(blank).eq_ignore_ascii_case("SIP") && version.trim_matches(blank) == "2.0";
        if !known {
            return None;
        }
        let rest = rest.trim_start_matches(blank);
        let (transport, rest) = rest.split_at_checked(rest.find(blank)?)?;
        let (place, params) = match rest.split_once(';') {
            Some((place, params)) => (place, Params::read_some(params)?),
            None => (rest, Params::default()),
        };
        let (host, port) = host_port(place)?;
        Some(Self { transport, host, port, params })
    }

    /// The branch, when it is one of RFC 3261 and says something behind the cookie.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        let branch = self.params.value("branch")?;
        let unique = branch.get(..COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(COOKIE));
        (unique && branch.len() > COOKIE.len()).then(|| branch.into_owned())
    }
}

impl<'a> Params<'a> {
    /// As [`Params::read`], but there has to be one.
    fn read_some(text: &'a str) -> Option<Self> {
        if text.trim_matches(blank).is_empty() { None } else { Self::read(text) }
    }
}
