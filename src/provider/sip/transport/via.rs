//! Owns the two things that the driver reads of a message itself: the branch of its first Via, and what that says about
//! where the request came from (RFC 3581). Everything else is the core's to read.

use std::net::{IpAddr, SocketAddr};

/// What the first Via says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FirstVia<'a> {
    /// The branch.
    pub(crate) branch: &'a [u8],
    /// Where the request was seen to come from; only complete with address and port.
    pub(crate) seen_as: Option<SocketAddr>,
}

/// Most lines that are looked at: the first Via stands near the top.
const MAX_LINES: usize = 32;

/// Reads the first Via of a message; `None` without one that has a branch.
pub(crate) fn first_via(message: &[u8]) -> Option<FirstVia<'_>> {
    let via = message.split(|b| *b == b'\n').skip(1).take(MAX_LINES).find_map(|line| {
        let colon = line.iter().position(|b| *b == b':')?;
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        (name.eq_ignore_ascii_case(b"via") || name == b"v" || name == b"V").then(|| value.get(1..).unwrap_or_default())
    })?;
    // Several may stand in one header.
    let first = via.split(|b| *b == b',').next().unwrap_or_default();
    let (mut branch, mut received, mut rport) = (None, None, None);
    for parameter in first.split(|b| *b == b';').skip(1) {
        let Some(equals) = parameter.iter().position(|b| *b == b'=') else { continue };
        let (name, value) = parameter.split_at(equals);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let text = || std::str::from_utf8(value).ok();
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"branch" => branch = Some(value),
            b"received" => received = text().and_then(|text| text.trim_matches(['[', ']']).parse::<IpAddr>().ok()),
            b"rport" => rport = text().and_then(|text| text.parse::<u16>().ok()).filter(|port| *port > 0),
            _ => {}
        }
    }
    Some(FirstVia { branch: branch?, seen_as: received.zip(rport).map(SocketAddr::from) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(via: &str) -> Option<(String, Option<String>)> {
        let message =
            format!("SIP/2.0 200 OK\r\nTo: <sip:a@b;branch=no>\r\n{via}\r\nVia: SIP/2.0/UDP x;branch=last\r\n\r\n");
        let via = first_via(message.as_bytes())?;
        Some((String::from_utf8(via.branch.to_vec()).unwrap(), via.seen_as.map(|address| address.to_string())))
    }

    #[test]
    fn the_first_via_tells_where_we_came_from() {
        let seen = |branch: &str, address: &str| Some((branch.to_owned(), Some(address.to_owned())));
        assert_eq!(
            read("Via: SIP/2.0/UDP 10.0.0.1:5060;rport=40000;received=203.0.113.7;branch=z9hG4bKa"),
            seen("z9hG4bKa", "203.0.113.7:40000")
        );
        assert_eq!(
            read("v : SIP/2.0/TLS h ; Branch = b ; RECEIVED=[2001:db8::1];rport=1, x"),
            seen("b", "[2001:db8::1]:1")
        );
        let nothing = Some((String::from("b"), None));
        for via in ["rport;branch=b", "rport=0;received=192.0.2.1;branch=b", "received=x;rport=5;branch=b", "branch=b"]
        {
            assert_eq!(read(&format!("VIA: SIP/2.0/UDP h;{via}")), nothing, "{via}");
        }
        assert_eq!(read("X: y"), Some((String::from("last"), None)));
        assert_eq!(first_via(b"SIP/2.0 200 OK\r\n\r\n"), None);
    }
}
