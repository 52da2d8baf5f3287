//! Owns who a request comes from: API keys, their scopes, and the clients (tenants) they stand for. It knows hashes of
//! keys only; a key is printed once, by `ringproof key new`, and never again. View tokens are checked by the gateway.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::http::{HeaderMap, header};
use data_encoding::{BASE32_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::Semaphore;

use super::{
    limits::{Allowance, Limiter},
    problem::{self, Problem},
};
use crate::{gateway::Client, id::Entropy, secret::Secret, span};

/// Most API keys of one configuration.
pub const MAX_KEYS: usize = 256;

/// Longest name of a client, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// What every key begins with.
pub(super) const KEY_START: &str = "rp_";

/// Longest key that is looked at, in bytes; longer ones are none of ours.
const MAX_KEY_BYTES: usize = 256;

/// Characters of the public part of a key.
const PREFIX_CHARS: usize = 8;

/// Random bytes of the secret part of a key: 160 bits.
const SECRET_BYTES: usize = 20;

/// One entry of `[[api_keys]]`: a key that may be used, known by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyConfig {
    /// Whose key it is: the client (tenant) that owns what is made with it. Two keys may share a name while one replaces
    /// the other.
    pub name: String,
    /// SHA-256 of the whole key, as 64 hexadecimal digits.
    pub sha256: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The public part of the key (the characters between the first and the second `_`), where it is known: then only
    /// keys that begin so are compared with this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Verifications: create, read, change one's own.
    Verify,
    /// Read the call log of one's own verifications.
    Calls,
    /// Everything, and the call log of all clients.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: &'static [Self] = &[Self::Verify, Self::Calls, Self::Admin];

    /// The word in configuration and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Calls => "calls",
            Self::Admin => "admin",
        }
    }
}

/// A fault in `[[api_keys]]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The name is empty, too long, or holds characters that do not belong into logs.
    #[error("api_keys[{index}].name: 1 to {MAX_NAME_BYTES} of the characters a-z, A-Z, 0-9, `-`, `_`, `.`")]
    Name {
        /// Which entry, from 0.
        index: usize,
    },
    /// The hash is none.
    #[error("api_keys[{index}].sha256: 64 hexadecimal digits, as `ringproof key new` prints them")]
    Hash {
        /// Which entry, from 0.
        index: usize,
    },
    /// It may do nothing.
    #[error("api_keys[{index}].scopes: at least one of verify, calls, admin")]
    NoScope {
        /// Which entry, from 0.
        index: usize,
    },
    /// The public part is not one.
    #[error("api_keys[{index}].prefix: {PREFIX_CHARS} characters, the part between the first and the second `_`")]
    Prefix {
        /// Which entry, from 0.
        index: usize,
    },
    /// The same key twice.
    #[error("api_keys[{index}]: this key is there already")]
    Twice {
        /// Which entry, from 0.
        index: usize,
    },
    /// Too many.
    #[error("api_keys: at most {MAX_KEYS} keys")]
    TooMany,
}

/// A new key, to be shown once.
pub struct ApiKey {
    prefix: String,
    key: Secret<String>,
}

impl ApiKey {
    /// Makes a key of the form `rp_` + 8 public characters + `_` + 32 secret characters (160 bits).
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut public = [0; PREFIX_CHARS * 5 / 8];
        let mut secret = [0; SECRET_BYTES];
        entropy.fill(&mut public);
        entropy.fill(&mut secret);
        let prefix = BASE32_NOPAD.encode(&public).to_ascii_lowercase();
        let key = Secret::new(format!("{KEY_START}{prefix}_{}", BASE32_NOPAD.encode(&secret).to_ascii_lowercase()));
        Self { prefix, key }
    }

    /// The key itself: shown to the person who asked for it, kept nowhere.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.key.expose()
    }

    /// Its entry in the configuration.
    #[must_use]
    pub fn config(&self, name: &str, scopes: &[Scope]) -> ApiKeyConfig {
        ApiKeyConfig {
            name: name.to_owned(),
            sha256: HEXLOWER.encode(&hash(self.expose())),
            scopes: scopes.to_vec(),
            prefix: Some(self.prefix.clone()),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key rp_{}_…", self.prefix)
    }
}

/// One client, whichever of its keys it uses.
#[derive(Debug)]
pub struct Tenant {
    /// As the gateway knows it.
    pub client: Client,
    /// Answers that are being held for it: long polls and event streams.
    pub(super) waiting: Arc<Semaphore>,
    reads: Option<Limiter>,
}

impl Tenant {
    /// Takes one read off its allowance; `None` when reads are not limited.
    pub(super) fn read(&self) -> Result<Option<Allowance>, Problem> {
        self.reads.as_ref().map(Limiter::take).transpose()
    }
}

/// Who sent a request, and what its key may do.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client.
    pub tenant: Arc<Tenant>,
    /// Which of the client's keys it is.
    pub print: KeyPrint,
    scopes: Scopes,
}

/// Names a key without telling anything of it: the beginning of the hash of its hash.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub struct KeyPrint([u8; 16]);

impl KeyPrint {
    fn of(key_hash: &[u8; 32]) -> Self {
        let mut print = [0; 16];
        print.iter_mut().zip(Sha256::digest(key_hash)).for_each(|(to, from)| *to = from);
        Self(print)
    }
}

impl fmt::Debug for KeyPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("print of a key")
    }
}

impl Caller {
    /// Refuses unless the key has `scope`; `admin` has all of them.
    pub(super) fn require(self, scope: Scope) -> Result<Self, Problem> {
        if self.scopes.has(scope) { Ok(self) } else { Err(problem::scope(scope.as_str())) }
    }

    /// Whether the key has `scope`; `admin` has all of them.
    #[must_use]
    pub const fn has(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }

    /// What the key may do, as it is configured.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        Scope::ALL.iter().copied().filter(|scope| self.scopes.holds(*scope)).collect()
    }

    /// Whether the key sees what belongs to all clients.
    pub(super) const fn is_admin(&self) -> bool {
        self.scopes.has(Scope::Admin)
    }
}

#[derive(Debug, Clone, Copy)]
struct Scopes(u8);

impl Scopes {
    fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | Self::bit(*scope)))
    }

    const fn bit(scope: Scope) -> u8 {
        match scope {
            Scope::Verify => 1,
            Scope::Calls => 2,
            Scope::Admin => 4,
        }
    }

    const fn holds(self, scope: Scope) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    const fn has(self, scope: Scope) -> bool {
        self.0 & (Self::bit(scope) | Self::bit(Scope::Admin)) != 0
    }
}

/// The keys that may be used.
#[derive(Debug)]
pub struct Keys {
    entries: Vec<Entry>,
    /// Compared with when no key begins as the one presented: the answer takes as long.
    decoy: [u8; 32],
}

#[derive(Debug)]
struct Entry {
    prefix: Option<String>,
    hash: [u8; 32],
    print: KeyPrint,
    scopes: Scopes,
    tenant: Arc<Tenant>,
}

impl Entry {
    fn caller(&self) -> Caller {
        Caller { tenant: Arc::clone(&self.tenant), print: self.print, scopes: self.scopes }
    }
}

/// How much one client may hold and read.
#[derive(Debug, Clone, Copy)]
pub struct TenantLimits {
    /// Most long polls and event streams at once.
    pub waiting: usize,
    /// Most reads in a minute; `None` for no limit.
    pub reads_per_minute: Option<u32>,
}

impl Keys {
    /// Reads the entries of a configuration.
    ///
    /// # Errors
    /// Every fault in them.
    pub fn new(configured: &[ApiKeyConfig], limits: TenantLimits) -> Result<Self, Vec<KeyFault>> {
        let mut tenants: BTreeMap<&str, Arc<Tenant>> = BTreeMap::new();
        let mut entries: Vec<Entry> = Vec::with_capacity(configured.len());
        let mut faults = Vec::new();
        if configured.len() > MAX_KEYS {
            faults.push(KeyFault::TooMany);
        }
        for (index, key) in configured.iter().enumerate().take(MAX_KEYS) {
            match Self::entry(index, key, &entries) {
                Err(found) => faults.extend(found),
                Ok((prefix, hash)) => {
                    let tenant = tenants.entry(&key.name).or_insert_with(|| {
                        Arc::new(Tenant {
                            client: Client { name: key.name.clone() },
                            waiting: Arc::new(Semaphore::new(limits.waiting)),
                            reads: limits.reads_per_minute.map(|most| Limiter::per_minute("reads", most)),
                        })
                    });
                    let (tenant, scopes) = (Arc::clone(tenant), Scopes::of(&key.scopes));
                    entries.push(Entry { prefix, print: KeyPrint::of(&hash), hash, scopes, tenant });
                }
            }
        }
        if faults.is_empty() { Ok(Self { entries, decoy: hash("no key of ours") }) } else { Err(faults) }
    }

    fn entry(index: usize, key: &ApiKeyConfig, known: &[Entry]) -> Result<(Option<String>, [u8; 32]), Vec<KeyFault>> {
        let mut faults = Vec::new();
        let name_is_good = (1..=MAX_NAME_BYTES).contains(&key.name.len())
            && key.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !name_is_good {
            faults.push(KeyFault::Name { index });
        }
        if key.scopes.is_empty() {
            faults.push(KeyFault::NoScope { index });
        }
        if key.prefix.as_ref().is_some_and(|prefix| prefix.len() != PREFIX_CHARS) {
            faults.push(KeyFault::Prefix { index });
        }
        let hash = HEXLOWER_PERMISSIVE.decode(key.sha256.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        match hash {
            None => faults.push(KeyFault::Hash { index }),
            Some(hash) if known.iter().any(|entry| entry.hash == hash) => faults.push(KeyFault::Twice { index }),
            Some(hash) if faults.is_empty() => return Ok((key.prefix.clone(), hash)),
            Some(_) => {}
        }
        Err(faults)
    }

    /// Who a request comes from.
    ///
    /// # Errors
    /// The refusal, the same for no key and a wrong one.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let caller = bearer(headers).and_then(|key| self.find(key)).ok_or_else(problem::unauthorized)?;
        span::accepted();
        Ok(caller)
    }

    /// The client of this name, as a view token of it names one.
    pub(super) fn tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        self.entries.iter().map(|entry| &entry.tenant).find(|tenant| tenant.client.name == name).cloned()
    }

    /// The caller of whose key this is the print, while the key is configured.
    #[must_use]
    pub fn holder(&self, print: KeyPrint) -> Option<Caller> {
        self.entries.iter().find(|entry| entry.print == print).map(Entry::caller)
    }

    /// The names of all clients, each once.
    #[must_use]
    pub fn clients(&self) -> Vec<Client> {
        let names: std::collections::BTreeSet<_> = self.entries.iter().map(|entry| &entry.tenant.client).collect();
        names.into_iter().cloned().collect()
    }

    /// The caller whose key this is. Every candidate is compared in full, and one always is.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Caller> {
        if key.len() > MAX_KEY_BYTES {
            return None;
        }
        let presented = hash(key);
        let prefix = key.strip_prefix(KEY_START).and_then(|rest| rest.split_once('_')).map(|(prefix, _)| prefix);
        let mut found = None;
        let mut compared = false;
        for entry in &self.entries {
            if entry.prefix.is_some() && entry.prefix.as_deref() != prefix {
                continue;
            }
            compared = true;
            if bool::from(entry.hash.ct_eq(&presented)) {
                found = Some(entry.caller());
            }
        }
        if !compared {
            let _equal: Choice = self.decoy.ct_eq(&presented);
        }
        found
    }
}

/// The token of `Authorization: Bearer`, if there is exactly one such header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    const LIMITS: TenantLimits = TenantLimits { waiting: 2, reads_per_minute: None };

    fn generate(seed: u8) -> ApiKey {
        ApiKey::generate(&Counting(seed.into()))
    }

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_key_is_shown_once_and_known_by_its_hash() {
        let key = generate(7);
        assert_eq!(key.expose().len(), 3 + 8 + 1 + 32);
        assert_eq!(format!("{key:?}"), "key rp_a4dqobyh_…");
        let config = key.config("enrolment", &[Scope::Verify]);
        assert!(!format!("{config:?}").contains(key.expose()));
        let without_prefix = ApiKeyConfig { prefix: None, ..config.clone() };
        for config in [config, without_prefix] {
            let keys = Keys::new(&[config], LIMITS).unwrap();
            let caller = keys.caller(&headers(&format!("Bearer {}", key.expose()))).unwrap();
            assert_eq!(caller.tenant.client.name, "enrolment");
            assert!(keys.caller(&headers(&format!("bearer {}", key.expose()))).is_ok(), "schemes know no case");
            for wrong in [
                format!("Bearer {}x", key.expose()),
                format!("Bearer {}", &key.expose()[..40]),
                format!("Bearer {}", generate(9).expose()),
                format!("Basic {}", key.expose()),
                key.expose().to_owned(),
                String::from("Bearer "),
                format!("Bearer rp_{}", "a".repeat(4000)),
            ] {
                assert_eq!(keys.caller(&headers(&wrong)).unwrap_err().code(), problem::Code::Unauthorized);
            }
            assert!(keys.caller(&HeaderMap::new()).is_err());
            let mut twice = headers(&format!("Bearer {}", key.expose()));
            twice.append(header::AUTHORIZATION, twice[header::AUTHORIZATION].clone());
            assert!(keys.caller(&twice).is_err());
        }
    }

    #[test]
    fn scopes_are_kept_apart_and_admin_has_all() {
        for held in Scope::ALL {
            let key = generate(1);
            let keys = Keys::new(&[key.config("a", &[*held])], LIMITS).unwrap();
            for needed in Scope::ALL {
                let caller = keys.caller(&headers(&format!("Bearer {}", key.expose()))).unwrap();
                assert_eq!(caller.require(*needed).is_ok(), held == needed || *held == Scope::Admin);
            }
        }
    }

    #[test]
    fn two_keys_of_one_name_are_one_client() {
        let (old, new) = (generate(1), generate(5));
        let configured = [old.config("a", &[Scope::Verify]), new.config("a", &[Scope::Verify])];
        let keys = Keys::new(&configured, LIMITS).unwrap();
        let [of_old, of_new] =
            [old, new].map(|key| keys.caller(&headers(&format!("Bearer {}", key.expose()))).unwrap().tenant);
        assert!(Arc::ptr_eq(&of_old, &of_new));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let good = generate(1).config("a", &[Scope::Verify]);
        let bad = ApiKeyConfig {
            name: String::from("a b"),
            sha256: String::from("abc"),
            scopes: Vec::new(),
            prefix: Some(String::from("x")),
        };
        let faults = Keys::new(&[good.clone(), bad, good], LIMITS).unwrap_err();
        assert_eq!(
            faults,
            [
                KeyFault::Name { index: 1 },
                KeyFault::NoScope { index: 1 },
                KeyFault::Prefix { index: 1 },
                KeyFault::Hash { index: 1 },
                KeyFault::Twice { index: 2 },
            ]
        );
    }
}
