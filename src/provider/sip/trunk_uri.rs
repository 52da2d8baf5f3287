//! Owns the address of a trunk as it stands in the settings: a SIP URI without a user, and what it says about how to get
//! there. Where it leads is the business of `resolve`.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use crate::sip::Transport;

/// The word for a transport in a URI.
#[must_use]
pub const fn word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    }
}

/// Where servers listen when nobody says otherwise (RFC 3261 section 19.1.2).
#[must_use]
pub const fn usual_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
    }
}

/// A name or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name of DNS, in lower case, without a dot at the end.
    Name(String),
    /// A numeric address.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Where a trunk is: `sip:sip.example.net`, `sips:sip.example.net`, `sip:192.0.2.1:5070;transport=tcp`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkUri {
    /// Whether only TLS will do (`sips:`).
    pub secure: bool,
    /// The domain, or the address.
    pub host: Host,
    /// The port, where one is written. It rules out SRV (RFC 3263 section 4.2).
    pub port: Option<u16>,
    /// The transport, where one is written. It rules out NAPTR.
    pub transport: Option<Transport>,
}

impl TrunkUri {
    /// Whether the settings alone say that messages travel over TLS. Without a word on it DNS may still lead there.
    #[must_use]
    pub fn is_surely_tls(&self) -> bool {
        self.secure || self.transport == Some(Transport::Tls)
    }
}

/// Text that is not the address of a trunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write it as in sip:sip.example.net;transport=tls")]
pub struct NotATrunk(&'static str);

impl FromStr for TrunkUri {
    type Err = NotATrunk;

    fn from_str(text: &str) -> Result<Self, NotATrunk> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').ok_or(NotATrunk("begins with sip: or sips:"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "sip" => false,
            "sips" => true,
            _ => return Err(NotATrunk("begins with sip: or sips:")),
        };
        if rest.contains('@') {
            return Err(NotATrunk("has no user; the user goes to `username`"));
        }
        if rest.contains(['?', '/', '<', '>', ' ', '"']) {
            return Err(NotATrunk("is only a host, with a port and a transport"));
        }
        let mut parts = rest.split(';');
        let (host, port) = host_and_port(parts.next().unwrap_or_default())?;
        let mut transport = None;
        for parameter in parts {
            match parameter.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case("transport") => {
                    transport = Some(match value.to_ascii_lowercase().as_str() {
                        "udp" => Transport::Udp,
                        "tcp" => Transport::Tcp,
                        "tls" => Transport::Tls,
                        _ => return Err(NotATrunk("transport is one of udp, tcp and tls")),
                    });
                }
                Some((name, _)) if name.eq_ignore_ascii_case("lr") => {}
                None if parameter.eq_ignore_ascii_case("lr") => {}
                Some(_) | None => return Err(NotATrunk("has no parameter but `transport`")),
            }
        }
        if secure && transport == Some(Transport::Udp) {
            return Err(NotATrunk("sips: goes over TLS, not over udp"));
        }
        // RFC 3261 section 26.2.2: sips with transport=tcp means TLS over TCP.
        let transport = if secure && transport.is_some() { Some(Transport::Tls) } else { transport };
        Ok(Self { secure, host, port, transport })
    }
}

fn host_and_port(text: &str) -> Result<(Host, Option<u16>), NotATrunk> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or(NotATrunk("the bracket of the address is not closed"))?;
            let address: Ipv6Addr =
                inside.parse().map_err(|_| NotATrunk("there is no IPv6 address in the brackets"))?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').unwrap_or("?")) };
            (Host::Address(IpAddr::V6(address)), port)
        }
        None => {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            let host = match name.parse() {
                Ok(address) => Host::Address(IpAddr::V4(address)),
                Err(_) => Host::Name(dns_name(name)?),
            };
            (host, port)
        }
    };
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && !text.starts_with('+'));
    let port = port.map(|text| number(text).ok_or(NotATrunk("the port is a number from 1 to 65535"))).transpose()?;
    Ok((host, port))
}

/// Underscores are no part of host names, but of trunks all the same.
fn dns_name(text: &str) -> Result<String, NotATrunk> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let fits = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if name.len() > 253 || is_number || !name.split('.').all(fits) {
        return Err(NotATrunk("names no host"));
    }
    Ok(name.to_ascii_lowercase())
}

impl fmt::Display for TrunkUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", if self.secure { "sips" } else { "sip" }, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.transport {
            Some(transport) if !self.secure => write!(f, ";transport={}", word(transport)),
            Some(_) | None => Ok(()),
        }
    }
}

impl<'de> serde::Deserialize<'de> for TrunkUri {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunks_read_back() {
        for (text, shown) in [
            ("sip:sip.example.net", "sip:sip.example.net"),
            (" SIP:SIP.Example.net.;Transport=TLS ", "sip:sip.example.net;transport=tls"),
            ("sips:sip.example.net;transport=tcp", "sips:sip.example.net"),
            ("sip:192.0.2.1:5070;transport=tcp;lr", "sip:192.0.2.1:5070;transport=tcp"),
            ("sip:[2001:db8::1]:5060", "sip:[2001:db8::1]:5060"),
            ("sip:[::1]", "sip:[::1]"),
            ("sip:my_trunk.example", "sip:my_trunk.example"),
        ] {
            assert_eq!(text.parse::<TrunkUri>().map(|uri| uri.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert!("sips:a.example;transport=tcp".parse::<TrunkUri>().unwrap().is_surely_tls());
        assert!(!"sip:a.example".parse::<TrunkUri>().unwrap().is_surely_tls());
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in [
            "",
            "sip.example.net",
            "http://sip.example.net",
            "sip:",
            "sip:user@sip.example.net",
            "sip:host:0",
            "sip:host:+5",
            "sip:host:99999",
            "sip:host;transport=sctp",
            "sips:host;transport=udp",
            "sip:host;maddr=1.2.3.4",
            "sip:[::1",
            "sip:[::1]x",
            "sip:1.2.3",
            "sip:a..b",
            "sip:a b",
            "sip:host?Subject=x",
            "sip:é.example",
        ] {
            let error = text.parse::<TrunkUri>().unwrap_err().to_string();
            assert!(error.ends_with("write it as in sip:sip.example.net;transport=tls"), "{text}: {error}");
        }
    }
}
