//! Owns which addresses a result may be posted to (server-side request forgery): the table of address ranges, the
//! check of a URL, and a resolver that returns nothing but checked addresses. Who connects is somebody else's business.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock},
};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Longest URL that is taken.
const MOST_URL_BYTES: usize = 2048;

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Public addresses, over https.
    Public,
    /// Private, loopback and link-local ones too, also over http.
    Private,
}

/// Ranges that belong to whoever is near: ourselves, this link, this organisation (IANA special-purpose registries).
const NEAR: [&str; 9] = [
    "10.0.0.0/8",     // private, RFC 1918
    "100.64.0.0/10",  // shared with a carrier, RFC 6598
    "127.0.0.0/8",    // loopback
    "169.254.0.0/16", // link-local
    "172.16.0.0/12",  // private
    "192.168.0.0/16", // private
    "::1/128",        // loopback
    "fc00::/7",       // unique local, RFC 4193
    "fe80::/10",      // link-local
];

/// IPv4 ranges that are nobody's, everybody's, or lead elsewhere.
const NOWHERE_V4: [&str; 13] = [
    "0.0.0.0/8",       // this network
    "192.0.0.0/24",    // protocol assignments
    "192.0.2.0/24",    // documentation
    "192.31.196.0/24", // AS112
    "192.52.193.0/24", // AMT
    "192.88.99.0/24",  // 6to4 relays
    "192.175.48.0/24", // AS112
    "198.18.0.0/15",   // benchmarking
    "198.51.100.0/24", // documentation
    "203.0.113.0/24",  // documentation
    "224.0.0.0/4",     // multicast
    "240.0.0.0/4",     // reserved, broadcast
    "255.255.255.255/32",
];

/// The only IPv6 range that is public, and what inside it is not. Everything else (mapped and compatible IPv4, NAT64,
/// discard, multicast, site-local, segment routing) lies outside.
const PUBLIC_V6: &str = "2000::/3";
const NOWHERE_V6: [&str; 5] = [
    "2001::/23",         // protocol assignments: Teredo, benchmarking, ORCHID
    "2001:db8::/32",     // documentation
    "2002::/16",         // 6to4
    "2620:4f:8000::/48", // AS112
    "3fff::/20",         // documentation
];

struct Ranges {
    near: Vec<IpNet>,
    nowhere: Vec<IpNet>,
    public_v6: Vec<IpNet>,
}

static RANGES: LazyLock<Ranges> = LazyLock::new(|| {
    let read = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect::<Vec<IpNet>>();
    Ranges {
        near: read(&NEAR),
        nowhere: [read(&NOWHERE_V4), read(&NOWHERE_V6)].concat(),
        public_v6: read(&[PUBLIC_V6]),
    }
});

impl Reach {
    /// Whether an address may be connected to.
    pub(super) fn allows(self, address: IpAddr) -> bool {
        let within = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
        if within(&RANGES.near) {
            return self == Self::Private;
        }
        let somewhere = address.is_ipv4() || within(&RANGES.public_v6);
        somewhere && !within(&RANGES.nowhere)
    }

    /// Looks at the URL of a backend, as far as that can be done without asking the DNS.
    ///
    /// # Errors
    /// What is wrong with it, without the URL itself.
    pub(super) fn check_url(self, text: &str) -> Result<Url, &'static str> {
        if text.len() > MOST_URL_BYTES {
            return Err("longer than 2048 bytes");
        }
        let url = Url::parse(text).map_err(|_| "not a URL; give one such as https://backend.example.com/results")?;
        match (url.scheme(), self) {
            ("https", _) | ("http", Self::Private) => {}
            ("http", Self::Public) => return Err("only https URLs are called"),
            _ => return Err("only https URLs are called"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name or a password is not called; results are signed instead");
        }
        if url.fragment().is_some() {
            return Err("a URL with a fragment (#…) is not called");
        }
        let allowed = match url.host() {
            Some(Host::Ipv4(address)) => self.allows(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.allows(IpAddr::V6(address)),
            Some(Host::Domain(name)) => self == Self::Private || !is_local_name(name),
            None => false,
        };
        if allowed { Ok(url) } else { Err("this address is private, local or reserved and is not called") }
    }
}

/// Names that never leave this machine or this link (RFC 6761, RFC 6762).
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    ["localhost", "local", "internal", "home.arpa"]
        .iter()
        .any(|suffix| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// Looks names up and lets only allowed addresses through: what was checked is what is connected to, so a name that
/// changes its address in between gains nothing.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    pub(super) reach: Reach,
    pub(super) look_up: Arc<dyn LookUp>,
}

/// Asks for the addresses of a name.
pub(super) trait LookUp: Send + Sync {
    /// The addresses of a host name.
    fn addresses(&self, name: String) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver.
pub(super) struct SystemLookUp;

impl LookUp for SystemLookUp {
    fn addresses(&self, name: String) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

/// A name that leads nowhere we may go.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address that may be called")]
pub(super) struct NoAllowedAddress;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, found) = (self.reach, self.look_up.addresses(name.as_str().to_owned()));
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = found
                .await?
                .into_iter()
                .filter(|address| reach.allows(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if allowed.is_empty() {
                return Err(NoAllowedAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
