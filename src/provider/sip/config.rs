//! Owns the settings of a carrier of kind `sip`, their defaults and limits, and what is wrong with them. It opens no file
//! and reaches nobody: certificates and keys come as text.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::trunk_uri::{Host, TrunkUri};
use crate::{phone::E164, secret::Secret};

/// Most trunks beside the first.
const MAX_FURTHER_TRUNKS: usize = 15;
/// Most hosts that redirects may lead to.
const MAX_REDIRECT_HOSTS: usize = 32;
/// Most name servers of our own choice.
const MAX_NAME_SERVERS: usize = 8;
/// Most calls at once over one trunk that can be asked for.
const MAX_CALLS: usize = 20_000;
/// Longest user name, password or domain, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// A carrier of kind `sip`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The trunk: `sip:sip.example.net;transport=tls`. `sips:` and `transport=tls` go over TLS; without a transport, a
    /// port or a numeric host DNS says how (NAPTR, then SRV; RFC 3263).
    pub trunk: TrunkUri,
    /// Further trunks of the same carrier, tried in this order when the ones before cannot take a call.
    #[serde(default)]
    pub trunks: Vec<TrunkUri>,
    /// Where everything is sent, when not to the trunk itself.
    #[serde(default)]
    pub outbound_proxy: Option<TrunkUri>,
    /// User name, for digest authentication and registration. Also the user of our Contact.
    #[serde(default)]
    pub username: Option<String>,
    /// Its password.
    #[serde(default, deserialize_with = "optional_secret")]
    pub password: Option<Secret<String>>,
    /// The domain of our From address; the host of the trunk where none is given.
    #[serde(default)]
    pub from_domain: Option<String>,
    /// How numbers are written in SIP addresses.
    #[serde(default)]
    pub number_format: NumberFormat,
    /// The user at the trunk that every call goes to, whatever number is asked for: for trying a telephone of one's own,
    /// with a numeric trunk only. No number is proved by such calls.
    #[serde(default)]
    pub always_call: Option<String>,
    /// Whether we register (RFC 3261 section 10) so that the carrier knows where we are.
    #[serde(default)]
    pub register: bool,
    /// How long a registration is asked for; renewed well before its end.
    #[serde(default = "one_hour", with = "crate::time::duration")]
    pub register_for: Duration,
    /// Address and port of our own for signalling. Port 0: any free one.
    #[serde(default = "anywhere")]
    pub bind: SocketAddr,
    /// What others know us by, where a NAT is between: shown in Contact and in media descriptions. Without it an address
    /// learnt from the trunk's answers is shown (RFC 3581).
    #[serde(default)]
    pub public_address: Option<IpAddr>,
    /// UDP ports for media, two a call.
    #[serde(default)]
    pub media_ports: PortRange,
    /// Certificates of the authorities that the trunk's certificate may come from, as PEM; those of the machine where
    /// none are given.
    #[serde(default)]
    pub ca: Option<String>,
    /// Our certificate with its chain, as PEM, for trunks that ask for one.
    #[serde(default)]
    pub client_certificate: Option<String>,
    /// Its key, as PEM.
    #[serde(default, deserialize_with = "optional_secret")]
    pub client_key: Option<Secret<String>>,
    /// Whether `*.example.net` in a certificate stands for the trunk. RFC 5922 section 7.2 says no; some carriers need it.
    #[serde(default)]
    pub wildcard_certificates: bool,
    /// Whether media is encrypted.
    #[serde(default)]
    pub srtp: Srtp,
    /// Hosts that a redirect (302) may lead to, beside the trunks themselves. A redirect elsewhere is refused: it would
    /// let a stranger decide who is called at our cost.
    #[serde(default)]
    pub redirect_hosts: Vec<String>,
    /// Most calls at once over each trunk.
    #[serde(default = "five_hundred")]
    pub max_calls: usize,
    /// Most calls begun in a second over each trunk; `None` for no limit of ours.
    #[serde(default)]
    pub trunk_calls_per_second: Option<f64>,
    /// How often each trunk is asked whether it is there (OPTIONS). `0s`: never.
    #[serde(default = "thirty_seconds", with = "crate::time::duration")]
    pub probe_interval: Duration,
    /// How long a trunk may say nothing at all to a call before the next is tried.
    #[serde(default = "four_seconds", with = "crate::time::duration")]
    pub answer_within: Duration,
    /// P-Asserted-Identity (RFC 3325): a number of ours, or `caller` for the one that is shown.
    #[serde(default)]
    pub asserted_identity: Option<AssertedIdentity>,
    /// Whether the number that is shown is to be kept from the callee (`Privacy: id`, RFC 3323).
    #[serde(default)]
    pub privacy: Privacy,
    /// Where others find the certificate of `identity_key` (https). With it and the key, calls carry an Identity header
    /// (STIR/SHAKEN, RFC 8224).
    #[serde(default)]
    pub identity_certificate_url: Option<String>,
    /// The private key (P-256) that identities are signed with, as PEM.
    #[serde(default, deserialize_with = "optional_secret")]
    pub identity_key: Option<Secret<String>>,
    /// What we vouch for: A (customer and number are known), B (the customer is), C (neither).
    #[serde(default)]
    pub identity_attestation: Attestation,
    /// Which part of us signs (`origid`): a UUID.
    #[serde(default)]
    pub identity_origin: Option<String>,
    /// Whether media may come from another port than the trunk's description says: needed where it is behind a NAT.
    #[serde(default)]
    pub symmetric_rtp: bool,
    /// What happens when a mailbox seems to have answered.
    #[serde(default)]
    pub on_machine: OnMachine,
    /// A folder for captures: what was said in SIP, a text file a call, without passwords, keys and numbers. For support;
    /// the newest 1,000 calls are kept.
    #[serde(default)]
    pub capture: Option<PathBuf>,
    /// Name servers to ask, in place of those of the machine.
    #[serde(default)]
    pub name_servers: Vec<SocketAddr>,
}

/// How numbers are written in SIP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberFormat {
    /// `+815012345678`
    #[default]
    Plus,
    /// `815012345678`
    Digits,
}

impl NumberFormat {
    /// The user part for a number.
    #[must_use]
    pub fn write(self, number: &E164) -> String {
        match self {
            Self::Plus => number.expose().to_owned(),
            Self::Digits => number.expose().trim_start_matches('+').to_owned(),
        }
    }
}

/// Whether media is encrypted (SRTP with keys in SDP, RFC 4568).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Srtp {
    /// Never.
    Off,
    /// Where signalling goes over TLS; never where the keys could be read on the way.
    #[default]
    OverTls,
    /// Always; a trunk without TLS is a fault.
    Required,
}

/// What happens when something sounds like a mailbox: one long greeting, or a beep. It is a guess, so the call goes on
/// unless this is set otherwise; it is noted in the call record either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMachine {
    /// Nothing: the call goes on. Without a key nothing is verified.
    #[default]
    Note,
    /// The call counts as answered by a mailbox, and the next number is called.
    HangUp,
}

/// What P-Asserted-Identity says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssertedIdentity {
    /// The number that is shown to the callee.
    Caller,
    /// This one.
    Number(E164),
}

impl<'de> Deserialize<'de> for AssertedIdentity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "caller" {
            return Ok(Self::Caller);
        }
        let number = text.parse().map_err(|_| "write caller, or a number of yours as in +815012345678");
        number.map(Self::Number).map_err(D::Error::custom)
    }
}

/// Whether the caller's number is kept from the callee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// It is shown.
    #[default]
    Off,
    /// It is not; the carrier still learns it.
    Id,
}

/// What a signed identity vouches for (ATIS-1000074).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Attestation {
    /// Full: we know the customer, and that the number is theirs.
    #[default]
    A,
    /// Partial: we know the customer, not the number.
    B,
    /// Gateway: neither.
    C,
}

impl Attestation {
    /// The letter of the token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }
}

/// Ports from `first` to `last`, both included: `16384-24575`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first: an even number, at which RTP begins.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Default for PortRange {
    /// Room for 4,096 calls, below where Linux takes ports for outgoing connections from (32768).
    fn default() -> Self {
        Self { first: 16_384, last: 24_575 }
    }
}

impl PortRange {
    /// How many calls have room: each takes an even port and the next.
    #[must_use]
    pub fn pairs(self) -> usize {
        (usize::from(self.last) + 1).saturating_sub(usize::from(self.first)) / 2
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let ports = text.split_once('-').and_then(|(first, last)| {
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        });
        ports
            .filter(|ports| ports.first >= 1024 && ports.first % 2 == 0 && ports.pairs() >= 1)
            .ok_or_else(|| D::Error::custom("write two ports from 1024 up, the first even, as in 16384-24575"))
    }
}

/// What is wrong with a [`Config`]: the member and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{member}`: {why}")]
pub struct ConfigFault {
    /// Which member.
    pub member: &'static str,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl Config {
    /// Settings for a trunk, everything else as by default.
    #[must_use]
    pub fn for_trunk(trunk: TrunkUri) -> Self {
        Self {
            trunk,
            trunks: Vec::new(),
            outbound_proxy: None,
            username: None,
            password: None,
            from_domain: None,
            number_format: NumberFormat::default(),
            always_call: None,
            register: false,
            register_for: one_hour(),
            bind: anywhere(),
            public_address: None,
            media_ports: PortRange::default(),
            ca: None,
            client_certificate: None,
            client_key: None,
            wildcard_certificates: false,
            srtp: Srtp::default(),
            redirect_hosts: Vec::new(),
            max_calls: five_hundred(),
            trunk_calls_per_second: None,
            probe_interval: thirty_seconds(),
            answer_within: four_seconds(),
            asserted_identity: None,
            privacy: Privacy::default(),
            identity_certificate_url: None,
            identity_key: None,
            identity_attestation: Attestation::default(),
            identity_origin: None,
            symmetric_rtp: false,
            on_machine: OnMachine::default(),
            capture: None,
            name_servers: Vec::new(),
        }
    }

    /// All trunks in the order in which they are tried.
    pub fn all_trunks(&self) -> impl Iterator<Item = &TrunkUri> {
        std::iter::once(&self.trunk).chain(&self.trunks)
    }

    /// Where messages for a trunk are sent first.
    #[must_use]
    pub fn first_hop<'a>(&'a self, trunk: &'a TrunkUri) -> &'a TrunkUri {
        self.outbound_proxy.as_ref().unwrap_or(trunk)
    }

    /// The domain of our own address, as it stands in a URI.
    #[must_use]
    pub fn own_domain(&self, trunk: &TrunkUri) -> String {
        self.from_domain.clone().unwrap_or_else(|| trunk.host.to_string())
    }

    /// Whether a redirect may lead to this host.
    #[must_use]
    pub fn allows_redirect_to(&self, host: &str) -> bool {
        let same = |other: &str| host.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'));
        self.redirect_hosts.iter().any(|allowed| same(allowed))
            || self.all_trunks().any(|trunk| same(&trunk.host.to_string()))
    }

    /// Everything that is wrong. Empty when nothing is.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = self.faults_of_credentials();
        faults.extend(self.faults_of_network());
        faults.extend(self.faults_of_identity());
        let seconds = |duration: Duration, least: u64, most: u64| {
            (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&duration)
        };
        let checks = [
            ("max_calls", !(1..=MAX_CALLS).contains(&self.max_calls), "write a number from 1 to 20000"),
            (
                "trunk_calls_per_second",
                self.trunk_calls_per_second.is_some_and(|rate| !(0.01..=10_000.0).contains(&rate)),
                "write a number from 0.01 to 10000",
            ),
            ("register_for", !seconds(self.register_for, 60, 86_400), "write a duration from 60s to 24h"),
            (
                "probe_interval",
                !self.probe_interval.is_zero() && !seconds(self.probe_interval, 5, 3_600),
                "write a duration from 5s to 1h, or 0s for no probes",
            ),
            ("answer_within", !seconds(self.answer_within, 1, 32), "write a duration from 1s to 32s"),
        ];
        faults.extend(told(&checks));
        faults
    }

    fn faults_of_credentials(&self) -> Vec<ConfigFault> {
        let unfit = |text: &str| text.is_empty() || text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control);
        let secret = |secret: &Option<Secret<String>>| secret.as_ref().is_some_and(|secret| unfit(secret.expose()));
        let username = self.username.as_deref();
        let domain = |text: &str| {
            unfit(text)
                || !format!("sip:{text}")
                    .parse::<TrunkUri>()
                    .is_ok_and(|uri| uri.port.is_none() && uri.transport.is_none())
        };
        let checks = [
            ("username", username.is_some_and(unfit), "write 1 to 256 characters, no control characters"),
            ("username", username.is_none() && self.password.is_some(), "is missing beside `password`"),
            ("username", username.is_none() && self.register, "is missing: a registration needs one"),
            ("password", secret(&self.password), "write 1 to 256 characters, no control characters"),
            (
                "password",
                self.password.is_none() && self.username.is_some() && self.register,
                "is missing; give it as password_file",
            ),
            (
                "always_call",
                self.always_call.as_deref().is_some_and(|user| !is_plain(user) || user.len() > MAX_TEXT_BYTES),
                "write the user of a SIP address, as in alice",
            ),
            (
                "always_call",
                self.always_call.is_some() && !self.all_trunks().all(|trunk| matches!(trunk.host, Host::Address(_))),
                "is for trying a telephone: write its numeric address as `trunk`, or leave it out",
            ),
            (
                "from_domain",
                self.from_domain.as_deref().is_some_and(domain),
                "write a host as in sip.example.net, without sip: and without a port",
            ),
            (
                "redirect_hosts",
                self.redirect_hosts.len() > MAX_REDIRECT_HOSTS || self.redirect_hosts.iter().any(|host| domain(host)),
                "write at most 32 hosts as in sip.example.net, without sip: and without ports",
            ),
        ];
        told(&checks)
    }

    fn faults_of_network(&self) -> Vec<ConfigFault> {
        let surely_tls = self.all_trunks().all(|trunk| self.first_hop(trunk).is_surely_tls());
        let twice =
            self.all_trunks().enumerate().any(|(at, trunk)| self.all_trunks().take(at).any(|other| other == trunk));
        let unusable = |address: IpAddr| address.is_unspecified() || address.is_multicast();
        let ports = self.media_ports;
        let holds_bind = (ports.first..=ports.last).contains(&self.bind.port());
        let checks = [
            ("trunks", self.trunks.len() > MAX_FURTHER_TRUNKS, "write at most 15 beside `trunk`"),
            ("trunks", twice, "holds a trunk twice; each is tried once"),
            (
                "srtp",
                self.srtp == Srtp::Required && !surely_tls,
                "is \"required\", but not every trunk is reached over TLS: write sips:, or ;transport=tls, as keys would be read on the way",
            ),
            (
                "public_address",
                self.public_address.is_some_and(unusable),
                "write the address that the carrier sees, as in 203.0.113.7",
            ),
            ("bind", self.bind.ip().is_multicast(), "write an address of this machine, or 0.0.0.0"),
            ("media_ports", holds_bind, "holds the port of `bind`; take another range"),
            (
                "media_ports",
                ports.pairs() < self.max_calls.min(MAX_CALLS) && !holds_bind,
                "has too few ports: two for each call of `max_calls` are needed; widen it, or lower max_calls",
            ),
            ("name_servers", self.name_servers.len() > MAX_NAME_SERVERS, "write at most 8"),
            (
                "client_key",
                self.client_certificate.is_some() && self.client_key.is_none(),
                "is missing beside `client_certificate`; give it as client_key_file",
            ),
            (
                "client_certificate",
                self.client_certificate.is_none() && self.client_key.is_some(),
                "is missing beside `client_key`; give it as client_certificate_file",
            ),
        ];
        told(&checks)
    }

    fn faults_of_identity(&self) -> Vec<ConfigFault> {
        let (url, key) = (self.identity_certificate_url.as_deref(), self.identity_key.as_ref());
        let is_https = |text: &str| text.parse::<url::Url>().is_ok_and(|url| url.scheme() == "https" && url.has_host());
        let is_uuid = |text: &str| {
            text.len() == 36
                && text.bytes().enumerate().all(|(at, b)| match at {
                    8 | 13 | 18 | 23 => b == b'-',
                    _ => b.is_ascii_hexdigit(),
                })
        };
        let checks = [
            (
                "identity_certificate_url",
                url.is_some_and(|url| !is_https(url) || url.contains(['<', '>', ';', '"', ' '])),
                "write where the certificate is published, as in https://cert.example.com/shaken.pem",
            ),
            ("identity_certificate_url", url.is_none() && key.is_some(), "is missing beside `identity_key`"),
            (
                "identity_key",
                url.is_some() && key.is_none(),
                "is missing beside `identity_certificate_url`; give it as identity_key_file",
            ),
            (
                "identity_origin",
                self.identity_origin.as_deref().is_some_and(|origin| !is_uuid(origin)),
                "write a UUID, as in 123e4567-e89b-12d3-a456-426655440000",
            ),
            (
                "identity_origin",
                self.identity_origin.is_none() && key.is_some(),
                "is missing beside `identity_key`: make a UUID once and keep it",
            ),
        ];
        told(&checks)
    }

    /// What is allowed, but better not so.
    #[must_use]
    pub fn warnings(&self) -> Vec<ConfigFault> {
        let outside = |trunk: &TrunkUri| match &trunk.host {
            Host::Address(address) => !address.is_loopback(),
            Host::Name(name) => name != "localhost",
        };
        let clear =
            self.all_trunks().map(|trunk| self.first_hop(trunk)).any(|hop| outside(hop) && !hop.is_surely_tls());
        let checks = [
            (
                "trunk",
                clear,
                "does not surely go over TLS: numbers and keys travel in the clear unless the network in between is your own",
            ),
            (
                "wildcard_certificates",
                self.wildcard_certificates,
                "trusts a certificate for *.example.net as the trunk's; leave it out unless the carrier has no other",
            ),
            ("privacy", self.privacy == Privacy::Id, "hides who calls: many people do not answer such calls"),
        ];
        told(&checks)
    }
}

fn told(checks: &[(&'static str, bool, &str)]) -> Vec<ConfigFault> {
    let wrong = checks.iter().filter(|(_, wrong, _)| *wrong);
    wrong.map(|(member, _, why)| ConfigFault { member, why: (*why).to_owned() }).collect()
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    String::deserialize(deserializer).map(|text| Some(Secret::new(text.trim().to_owned())))
}

/// Whether text can be the user part of a URI as it is (RFC 3261 section 25.1).
pub(super) fn is_plain(user: &str) -> bool {
    !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,".contains(&b))
}

const fn anywhere() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
}

const fn five_hundred() -> usize {
    500
}

const fn one_hour() -> Duration {
    Duration::from_hours(1)
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

const fn four_seconds() -> Duration {
    Duration::from_secs(4)
}

#[cfg(test)]
mod tests;
