//! Owns the settings of a carrier that speaks Twilio's API, and what is wrong with them.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;

use super::voices::Voice;
use crate::{phone::E164, secret::Secret};

/// A carrier of kind `twilio`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the carrier, as in the URLs it calls.
    pub name: String,
    /// Where its API is, `https://api.twilio.com` by default; a path in front of `/2010-04-01` is kept. `http://` is for
    /// test servers.
    #[serde(default, deserialize_with = "optional_address")]
    pub base_url: Option<Url>,
    /// The account, `AC…`. Messages of other accounts are refused.
    pub account_sid: String,
    /// Secret of the account. Signatures are checked with it, also when requests are made with an API key.
    #[serde(deserialize_with = "secret")]
    pub auth_token: Secret<String>,
    /// The other secret while tokens are being rotated: signatures made with it are good too.
    #[serde(default, deserialize_with = "optional_secret")]
    pub auth_token_previous: Option<Secret<String>>,
    /// API key, `SK…`, for our requests in place of account and auth token.
    #[serde(default)]
    pub api_key_sid: Option<String>,
    /// Secret of the API key.
    #[serde(default, deserialize_with = "optional_secret")]
    pub api_key_secret: Option<Secret<String>>,
    /// Shared keys that webhooks may be signed with (SHA-256), by their id.
    #[serde(default, deserialize_with = "secrets")]
    pub shared_keys: BTreeMap<String, Secret<String>>,
    /// Numbers of the account that may be shown to callees. Which one is chosen for which country is the gateway's
    /// business.
    #[serde(deserialize_with = "numbers")]
    pub from: Vec<E164>,
    /// Countries it is used for (ISO 3166), or `*`.
    #[serde(default = "everywhere")]
    pub countries: Vec<String>,
    /// Voices by language of the call flow, where the built-in ones are not wanted.
    #[serde(default)]
    pub voices: BTreeMap<String, Voice>,
    /// Whether speech mark-up (SSML) inside `Say` is understood. Without it digits are spoken as plain text.
    #[serde(default = "yes")]
    pub ssml: bool,
    /// Whether the verb `Pause` is understood.
    #[serde(default = "yes")]
    pub pause: bool,
    /// Where the recordings of call flows are to be fetched; without it flows with recordings are not played.
    #[serde(default, deserialize_with = "optional_address")]
    pub recordings_url: Option<Url>,
    /// Looks whether a machine answers, while the prompt is played already. The carrier charges for it, and does not do
    /// it for numbers with an extension.
    #[serde(default)]
    pub detect_machines: bool,
    /// A call that would wait longer than this in the carrier's queue is taken back.
    #[serde(default = "thirty_seconds", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub max_queue_time: Duration,
    /// How the carrier connects to us: Twilio's connection overrides, without the `#`. Empty for none. By default set for
    /// Twilio itself, and none for other servers, which may not know them.
    #[serde(default)]
    pub connection_overrides: Option<String>,
}

/// What is wrong with a [`Config`]: the member and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{member}`: {why}")]
pub struct ConfigFault {
    /// Which member.
    pub member: &'static str,
    /// What is wrong, and what would be right.
    pub why: &'static str,
}

impl Config {
    /// Everything that is wrong. Empty when nothing is.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigFault> {
        let empty = |secret: Option<&Secret<String>>| secret.is_some_and(|secret| secret.expose().is_empty());
        let sid =
            |sid: &str| !sid.is_empty() && sid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let base = self.base_url.as_ref();
        let base_is = |wrong: fn(&Url) -> bool| base.is_some_and(wrong);
        let checks = [
            ("account_sid", !sid(&self.account_sid), "is the account's id, AC and 32 characters"),
            ("auth_token", self.auth_token.expose().is_empty(), "is empty; without it no webhook can be believed"),
            ("auth_token_previous", empty(self.auth_token_previous.as_ref()), "is empty; leave it out"),
            ("api_key_secret", empty(self.api_key_secret.as_ref()), "is empty"),
            (
                "api_key_secret",
                self.api_key_sid.is_some() && self.api_key_secret.is_none(),
                "is missing beside `api_key_sid`",
            ),
            (
                "api_key_sid",
                self.api_key_sid.is_none() && self.api_key_secret.is_some(),
                "is missing beside `api_key_secret`",
            ),
            (
                "api_key_sid",
                self.api_key_sid.as_deref().is_some_and(|key| !sid(key)),
                "is the key's id, SK and 32 characters",
            ),
            ("shared_keys", self.shared_keys.values().any(|key| empty(Some(key))), "holds an empty secret"),
            ("from", self.from.is_empty(), "is empty; name at least one number of the account"),
            ("base_url", base_is(|url| !matches!(url.scheme(), "http" | "https")), "is an http:// or https:// address"),
            (
                "base_url",
                base_is(|url| url.query().is_some() || url.fragment().is_some()),
                "has no query and no fragment",
            ),
            (
                "base_url",
                base_is(|url| !url.username().is_empty() || url.password().is_some()),
                "holds no credentials; they have members of their own",
            ),
        ];
        checks.into_iter().filter(|(_, wrong, _)| *wrong).map(|(member, _, why)| ConfigFault { member, why }).collect()
    }

    /// What is allowed, but better not so.
    #[must_use]
    pub fn warnings(&self) -> Vec<ConfigFault> {
        let Some(base) = &self.base_url else { return Vec::new() };
        let loopback = match base.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let clear = base.scheme() == "http" && !loopback;
        let why = "is http:// to another machine: numbers and secrets travel in the clear";
        if clear { vec![ConfigFault { member: "base_url", why }] } else { Vec::new() }
    }

    /// Where its API is, without a `/` at the end.
    pub(super) fn base(&self) -> &str {
        self.base_url.as_ref().map_or(TWILIO_API, |url| url.as_str().trim_end_matches('/'))
    }

    /// What is appended to URLs of ours that it is told.
    pub(super) fn fragment(&self) -> String {
        let host = self.base_url.as_ref().map(|url| url.host_str().unwrap_or_default());
        let is_twilio = host.is_none_or(|host| host == "twilio.com" || host.ends_with(".twilio.com"));
        let default = if is_twilio { CONNECTION_OVERRIDES } else { "" };
        let overrides = self.connection_overrides.as_deref().unwrap_or(default);
        if overrides.is_empty() { String::new() } else { format!("#{overrides}") }
    }
}

fn everywhere() -> Vec<String> {
    vec![String::from("*")]
}

const fn yes() -> bool {
    true
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    Url::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    address(deserializer).map(Some)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(|text| Secret::new(text.trim().to_owned()))
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    secret(deserializer).map(Some)
}

fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Secret<String>>, D::Error> {
    let plain = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(plain.into_iter().map(|(id, secret)| (id, Secret::new(secret))).collect())
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<E164>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

/// Where Twilio is.
const TWILIO_API: &str = "https://api.twilio.com";
/// Asks again when we did not answer or broke down: the same question gets the same answer from us, and an answer to a
/// question counts once. In all less than the 15 s that Twilio gives a webhook.
const CONNECTION_OVERRIDES: &str = "ct=2000&rt=4500&tt=14000&rc=2&rp=ct,rt,5xx";
