//! Owns finding the servers of a trunk (RFC 3263): NAPTR, SRV and addresses become one ordered list of hops. Lookups are
//! cached within bounds and limited in time. Whether a hop is reachable is not its business.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, Record, RecordType, rdata::SRV},
};
use tokio::time::timeout;

use super::trunk_uri::{Host, TrunkUri, usual_port, word};
use crate::{id::Entropy, sip::Transport};

/// How long finding one trunk may take in all.
const FIND_WITHIN: Duration = Duration::from_secs(4);
/// How long a name server has for one answer; asked twice.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_200);
/// Shortest and longest time that answers are kept, whatever they say of themselves.
const KEEP: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(1));
/// The same for "there is no such name": short, so that a repaired zone is seen soon.
const KEEP_MISSING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Most lookups that are kept.
const MAX_KEPT_LOOKUPS: u64 = 512;
/// Most trunks whose last good list is kept for the time when DNS is away.
const MAX_KEPT_LISTS: usize = 64;
/// Most records of one kind that are followed, and most hops of a list.
const MAX_NAPTR: usize = 8;
const MAX_SRV: usize = 16;
const MAX_HOPS: usize = 32;

/// A place that a message can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hop {
    /// How.
    pub(crate) transport: Transport,
    /// Where.
    pub(crate) address: SocketAddr,
}

impl std::fmt::Display for Hop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", word(self.transport), self.address)
    }
}

/// Why a trunk was not found. Each text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// DNS says that there is nothing of that name.
    #[error("DNS knows no address for {0}; is the trunk written as the carrier says?")]
    NotFound(String),
    /// DNS does not answer.
    #[error("no name server answers the question for {0}; look at this machine's DNS (or at `name_servers`)")]
    NoAnswer(String),
    /// DNS answers with an error.
    #[error("the name server fails at the question for {0}: {1}")]
    Failed(String, String),
    /// Only addresses of the other family.
    #[error("{0} has no address of the family of `bind`; bind to 0.0.0.0 or [::] for both")]
    OtherFamily(String),
}

/// Which kinds of addresses can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Families {
    /// IPv4.
    pub(crate) v4: bool,
    /// IPv6.
    pub(crate) v6: bool,
}

impl Families {
    /// Both where the address is unspecified, else its own.
    #[must_use]
    pub(crate) const fn of(bind: IpAddr) -> Self {
        match bind {
            IpAddr::V4(address) => Self { v4: true, v6: address.is_unspecified() },
            IpAddr::V6(address) => Self { v4: address.is_unspecified(), v6: true },
        }
    }

    const fn has(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

/// Finds the servers of trunks.
pub(crate) struct Resolver {
    dns: Result<TokioResolver, String>,
    families: Families,
    entropy: Arc<dyn Entropy>,
    last_good: Mutex<BTreeMap<TrunkUri, Vec<Hop>>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("families", &self.families).finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver that asks these name servers, or those of the machine where none are given.
    #[must_use]
    pub(crate) fn new(name_servers: &[SocketAddr], families: Families, entropy: Arc<dyn Entropy>) -> Self {
        let builder = if name_servers.is_empty() {
            TokioResolver::builder_tokio()
        } else {
            let servers = name_servers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let dns = builder.and_then(|mut builder| {
            bound(builder.options_mut());
            builder.build()
        });
        Self { dns: dns.map_err(|error| error.to_string()), families, entropy, last_good: Mutex::default() }
    }

    /// The hops of a trunk, best first. The order among equals is drawn anew each time (RFC 2782). When DNS does not
    /// answer, the last good list stands in.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn find(&self, uri: &TrunkUri) -> Result<Vec<Hop>, ResolveError> {
        let name = uri.host.to_string();
        let found = match timeout(FIND_WITHIN, self.search(uri)).await {
            Ok(found) => found,
            Err(_) => Err(ResolveError::NoAnswer(name.clone())),
        };
        let mut last_good = self.last_good.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(mut hops) => {
                hops.truncate(MAX_HOPS);
                if last_good.len() < MAX_KEPT_LISTS || last_good.contains_key(uri) {
                    last_good.insert(uri.clone(), hops.clone());
                }
                Ok(hops)
            }
            Err(error @ (ResolveError::NoAnswer(_) | ResolveError::Failed(..))) => {
                last_good.get(uri).cloned().ok_or(error)
            }
            Err(error @ (ResolveError::NotFound(_) | ResolveError::OtherFamily(_))) => Err(error),
        }
    }

    async fn search(&self, uri: &TrunkUri) -> Result<Vec<Hop>, ResolveError> {
        // Without NAPTR: what the URI says, else UDP, or TLS for sips (RFC 3263 section 4.1).
        let plain = if uri.secure { Transport::Tls } else { Transport::Udp };
        let transport = uri.transport.unwrap_or(plain);
        let name = match &uri.host {
            Host::Address(address) => {
                let port = uri.port.unwrap_or_else(|| usual_port(transport));
                let reachable = self.families.has(*address);
                let hop = Hop { transport, address: SocketAddr::new(*address, port) };
                return if reachable { Ok(vec![hop]) } else { Err(ResolveError::OtherFamily(address.to_string())) };
            }
            Host::Name(name) => name.as_str(),
        };
        if let Some(port) = uri.port {
            return self.addresses(name, port, transport).await;
        }
        let services = match uri.transport {
            Some(transport) => vec![(transport, service_name(transport, name))],
            None => self.services(uri, name).await?,
        };
        let mut hops = Vec::new();
        let mut named = false;
        for (transport, service) in services {
            let servers = self.servers(&service).await?;
            named |= !servers.is_empty();
            for server in in_order(servers, self.entropy.as_ref()) {
                // A single dot: the service is decidedly not offered (RFC 2782).
                if server.target.is_root() {
                    continue;
                }
                match self.addresses(&server.target.to_ascii(), server.port, transport).await {
                    Ok(more) => hops.extend(more),
                    // The others may be good.
                    Err(ResolveError::NotFound(_) | ResolveError::OtherFamily(_)) => {}
                    Err(error @ (ResolveError::NoAnswer(_) | ResolveError::Failed(..))) if hops.is_empty() => {
                        return Err(error);
                    }
                    Err(ResolveError::NoAnswer(_) | ResolveError::Failed(..)) => {}
                }
            }
        }
        match (hops.is_empty(), named) {
            (false, _) => Ok(hops),
            (true, true) => Err(ResolveError::NotFound(name.to_owned())),
            (true, false) => self.addresses(name, usual_port(transport), transport).await,
        }
    }

    /// The names of SRV records to ask for, best first: from NAPTR, else all that fit the scheme.
    async fn services(&self, uri: &TrunkUri, name: &str) -> Result<Vec<(Transport, String)>, ResolveError> {
        let mut found = Vec::new();
        for record in self.look_up(name, RecordType::NAPTR).await?.into_iter().take(MAX_NAPTR) {
            let RData::NAPTR(naptr) = record.data else { continue };
            let transport = match naptr.services.to_ascii_uppercase().as_slice() {
                b"SIP+D2U" if !uri.secure => Transport::Udp,
                b"SIP+D2T" if !uri.secure => Transport::Tcp,
                b"SIPS+D2T" => Transport::Tls,
                _ => continue,
            };
            if naptr.flags.eq_ignore_ascii_case(b"s") && naptr.regexp.is_empty() && !naptr.replacement.is_root() {
                found.push((naptr.order, naptr.preference, transport, naptr.replacement.to_ascii()));
            }
        }
        found.sort();
        if !found.is_empty() {
            return Ok(found.into_iter().map(|(_, _, transport, service)| (transport, service)).collect());
        }
        let fitting: &[Transport] = if uri.secure { &[Transport::Tls] } else { &[Transport::Udp, Transport::Tcp] };
        Ok(fitting.iter().map(|transport| (*transport, service_name(*transport, name))).collect())
    }

    async fn servers(&self, service: &str) -> Result<Vec<SRV>, ResolveError> {
        let records = self.look_up(service, RecordType::SRV).await?;
        let servers = records
            .into_iter()
            .filter_map(|record| if let RData::SRV(server) = record.data { Some(server) } else { None });
        Ok(servers.take(MAX_SRV).collect())
    }

    /// IPv4 first: that is what trunks are about, and what NATs let through.
    async fn addresses(&self, name: &str, port: u16, transport: Transport) -> Result<Vec<Hop>, ResolveError> {
        let ask = async |wanted: bool, kind| if wanted { self.look_up(name, kind).await } else { Ok(Vec::new()) };
        let (v4, v6) = tokio::join!(ask(self.families.v4, RecordType::A), ask(self.families.v6, RecordType::AAAA));
        let records = match (v4, v6) {
            (Ok(v4), Ok(v6)) => [v4, v6].concat(),
            (Ok(some), Err(_)) | (Err(_), Ok(some)) if !some.is_empty() => some,
            (Err(error), Ok(_) | Err(_)) | (Ok(_), Err(error)) => return Err(error),
        };
        let hops = records.into_iter().filter_map(|record| {
            let address = if let RData::A(address) = record.data {
                IpAddr::V4(address.0)
            } else if let RData::AAAA(address) = record.data {
                IpAddr::V6(address.0)
            } else {
                return None;
            };
            Some(Hop { transport, address: SocketAddr::new(address, port) })
        });
        let hops: Vec<_> = hops.take(MAX_HOPS).collect();
        let both = self.families.v4 && self.families.v6;
        match (hops.is_empty(), both) {
            (false, _) => Ok(hops),
            (true, true) => Err(ResolveError::NotFound(name.trim_end_matches('.').to_owned())),
            (true, false) => {
                let other = if self.families.v4 { RecordType::AAAA } else { RecordType::A };
                let elsewhere = self.look_up(name, other).await.is_ok_and(|records| !records.is_empty());
                let name = name.trim_end_matches('.').to_owned();
                Err(if elsewhere { ResolveError::OtherFamily(name) } else { ResolveError::NotFound(name) })
            }
        }
    }

    /// The records of a name; none is no error.
    async fn look_up(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, ResolveError> {
        let shown = || name.trim_end_matches('.').to_owned();
        let dns = self.dns.as_ref().map_err(|why| ResolveError::Failed(shown(), why.clone()))?;
        // Names of a zone are whole names: the machine's search list has nothing to do with them. Names without a dot
        // (`localhost`, a host of a container network) may be in it.
        let mut whole: Name = name.parse().map_err(|_| ResolveError::NotFound(shown()))?;
        if name.contains('.') {
            whole.set_fqdn(true);
        }
        match dns.lookup(whole, kind).await {
            Ok(lookup) => Ok(lookup.answers().iter().filter(|record| record.record_type() == kind).cloned().collect()),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
            Err(NetError::Timeout | NetError::NoConnections) => Err(ResolveError::NoAnswer(shown())),
            Err(NetError::Dns(DnsError::ResponseCode(code))) => Err(ResolveError::Failed(shown(), code.to_string())),
            Err(error) => Err(ResolveError::Failed(shown(), error.to_string())),
        }
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(server.ip(), true, connections)
}

fn bound(options: &mut ResolverOpts) {
    options.timeout = ANSWER_WITHIN;
    options.attempts = 2;
    options.cache_size = MAX_KEPT_LOOKUPS;
    options.positive_min_ttl = Some(KEEP.0);
    options.positive_max_ttl = Some(KEEP.1);
    options.negative_min_ttl = Some(KEEP_MISSING.0);
    options.negative_max_ttl = Some(KEEP_MISSING.1);
}

/// RFC 3263 section 4.2.
fn service_name(transport: Transport, name: &str) -> String {
    match transport {
        Transport::Udp => format!("_sip._udp.{name}"),
        Transport::Tcp => format!("_sip._tcp.{name}"),
        Transport::Tls => format!("_sips._tcp.{name}"),
    }
}

/// Servers by priority; within one, drawn one after another with chances by weight (RFC 2782).
fn in_order(mut servers: Vec<SRV>, entropy: &dyn Entropy) -> Vec<SRV> {
    // Weight 0 first, so that it has a small chance beside others.
    servers.sort_by_key(|server| (server.priority, server.weight));
    let mut ordered = Vec::with_capacity(servers.len());
    while let Some(priority) = servers.first().map(|server| server.priority) {
        let total: u64 = servers
            .iter()
            .take_while(|server| server.priority == priority)
            .map(|server| u64::from(server.weight))
            .sum();
        let drawn = draw(entropy, total);
        let mut sum = 0;
        let at = servers.iter().position(|server| {
            sum += u64::from(server.weight);
            sum >= drawn
        });
        ordered.push(servers.remove(at.unwrap_or(0)));
    }
    ordered
}

/// A number from 0 to `most`, both included. Weights are small against 64 bits, so the remainder is fair enough.
fn draw(entropy: &dyn Entropy, most: u64) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_ne_bytes(bytes) % (most + 1)
}

#[cfg(test)]
mod tests;
