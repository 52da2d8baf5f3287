//! Owns the settings of `[numbers]`, `[verification]` and `[callbacks]`: their defaults, their limits, and what is wrong
//! with them. A secret may stand in a file, named by its member with `_file` behind it: whoever loads the configuration
//! puts what is in the file into its place.

use std::time::Duration;

use serde::Deserialize;

use super::sign::SigningSecret;
use crate::{
    phone::{CountryCode, NumberType},
    secret::Secret,
    verification::Policy,
};

/// Shortest and longest life of a verification.
pub(super) const LIFE: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(600);
/// Fewest and most calls of a verification.
pub(super) const CALLS: std::ops::RangeInclusive<u8> = 1..=5;

/// `[numbers]`: which numbers may be called.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumbersConfig {
    /// Countries that may be called (ISO 3166-1 alpha-2). None by default: nothing is dialled outside this list.
    pub countries: Vec<CountryCode>,
    /// Kinds of numbers that may be called. By default mobile, fixed and internet telephones; numbers that cost more or
    /// belong to no one person are not among them.
    pub types: Vec<NumberType>,
    /// Key of the hashes that stand for numbers in the store: 32 bytes in base 64. Where none is given, one is made
    /// and kept in the store. Changing it forgets which numbers are being called.
    pub hash_key: Option<Secret<String>>,
}

impl Default for NumbersConfig {
    fn default() -> Self {
        Self {
            countries: Vec::new(),
            types: vec![NumberType::Mobile, NumberType::FixedLine, NumberType::FixedLineOrMobile, NumberType::Voip],
            hash_key: None,
        }
    }
}

/// `[verification]`: what holds where a request says nothing, and the limits of every call.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerificationConfig {
    /// The call flow. Where none is named, or one of another mode than is asked for, it is the first flow of the mode,
    /// in the order of their names.
    pub flow: Option<String>,
    /// Who is said to call; at most 64 characters.
    pub brand: String,
    /// Language of the prompts (BCP 47); where none is given, the one most spoken in the country that is called.
    pub locale: Option<String>,
    /// Life of a verification; `60s` to `600s`.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub expires_in: Duration,
    /// Most calls of a verification; 1 to 5.
    pub max_calls: u8,
    /// How long the telephone may ring; `15s` to `60s`.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub ring_timeout: Duration,
    /// How long an answered call may last; `30s` to `180s`.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub call_limit: Duration,
    /// Keys within this time after the callee could first hear something are ignored, because a mailbox greeting may
    /// hold recorded tones; `0s` to `5s`.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub early_keys: Duration,
    /// Keys still count for this long after the end of a call, because the two messages race; `0s` to `30s`.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub closing: Duration,
    /// Wrong entries after which a verification fails; 1 to 10.
    pub max_wrong_entries: u8,
    /// How long after a call was placed a redial may be asked for; `0s` to `300s`.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub redial_after: Duration,
    /// How long a verification can be read after its end; `1h` to `30d`.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub keep_for: Duration,
    /// How many times faster than in real life calls go: no setting of its own, but that of a simulator where nothing
    /// else places calls.
    #[serde(skip)]
    pub call_speed: u16,
}

impl Default for VerificationConfig {
    fn default() -> Self {
        Self {
            flow: None,
            brand: String::from("Ringproof"),
            locale: None,
            expires_in: Duration::from_secs(300),
            max_calls: 3,
            ring_timeout: Duration::from_secs(30),
            call_limit: Duration::from_secs(90),
            early_keys: Duration::from_secs(1),
            closing: Duration::from_secs(5),
            max_wrong_entries: 5,
            redial_after: Duration::from_secs(30),
            keep_for: Duration::from_secs(24 * 3600),
            call_speed: 1,
        }
    }
}

impl VerificationConfig {
    /// The limits of a verification with `max_calls`.
    pub(super) fn policy(&self, max_calls: u8) -> Policy {
        Policy {
            max_calls,
            ring_timeout_ms: ms(self.ring_timeout),
            call_limit_ms: ms(self.call_limit),
            early_keys_ms: ms(self.early_keys / u32::from(self.call_speed.max(1))),
            closing_ms: ms(self.closing),
            max_wrong_entries: self.max_wrong_entries,
            redial_after_ms: ms(self.redial_after),
            call_speed: self.call_speed,
        }
    }

    /// What is wrong, each as setting, value and what would be right.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut within = |name: &str, value: Duration, least: u64, most: u64| {
            if !(Duration::from_secs(least)..=Duration::from_secs(most)).contains(&value) {
                faults.push(format!("verification.{name}: {value:?} is not between {least}s and {most}s"));
            }
        };
        within("expires_in", self.expires_in, LIFE.start().as_secs(), LIFE.end().as_secs());
        within("ring_timeout", self.ring_timeout, 15, 60);
        within("call_limit", self.call_limit, 30, 180);
        within("early_keys", self.early_keys, 0, 5);
        within("closing", self.closing, 0, 30);
        within("redial_after", self.redial_after, 0, 300);
        within("keep_for", self.keep_for, 3600, 30 * 24 * 3600);
        if !CALLS.contains(&self.max_calls) {
            faults.push(format!("verification.max_calls: {} is not between 1 and 5", self.max_calls));
        }
        if !(1..=10).contains(&self.max_wrong_entries) {
            faults.push(format!("verification.max_wrong_entries: {} is not between 1 and 10", self.max_wrong_entries));
        }
        if !(1..=64).contains(&self.brand.chars().count()) || self.brand.chars().any(char::is_control) {
            faults.push(String::from("verification.brand: 1 to 64 characters, no control characters"));
        }
        if self.locale.as_ref().is_some_and(|tag| tag.parse::<unic_langid::LanguageIdentifier>().is_err()) {
            faults.push(String::from("verification.locale: not a language tag (BCP 47), such as en or ja-JP"));
        }
        faults
    }
}

/// `[callbacks]`: how results are posted to the backend.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbacksConfig {
    /// Standard Webhooks secret: `whsec_` and 24 to 64 bytes in base 64. Without one no result is posted.
    pub secret: Option<Secret<String>>,
    /// The secret before this one, while receivers change over: results are signed with both.
    pub secret_previous: Option<Secret<String>>,
    /// Whether results may be posted to private, loopback and link-local addresses, and over plain http. True only
    /// where the backend is on such an address.
    pub allow_private: bool,
}

impl CallbacksConfig {
    /// The secrets to sign with, the current one first.
    ///
    /// # Errors
    /// What is wrong with one, without the secret itself.
    pub fn signing_secrets(&self) -> Result<Vec<SigningSecret>, String> {
        let given = [("callbacks.secret", &self.secret), ("callbacks.secret_previous", &self.secret_previous)];
        given
            .into_iter()
            .filter_map(|(name, secret)| Some((name, secret.as_ref()?)))
            .map(|(name, secret)| secret.expose().parse().map_err(|fault| format!("{name}: {fault}")))
            .collect()
    }
}

fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// The key of number hashes, where the configuration gives one.
pub(super) fn hash_key(numbers: &NumbersConfig) -> Result<Option<[u8; 32]>, String> {
    let Some(text) = &numbers.hash_key else { return Ok(None) };
    let bytes = data_encoding::BASE64.decode(text.expose().trim().as_bytes()).ok();
    let key = bytes.and_then(|bytes| bytes.try_into().ok());
    key.map(Some).ok_or_else(|| String::from("numbers.hash_key: not 32 bytes in base 64"))
}
