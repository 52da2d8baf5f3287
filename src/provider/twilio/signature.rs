//! Owns Twilio's request signature: `X-Twilio-Signature`, over the URL that was requested and what came with it
//! (`https://www.twilio.com/docs/usage/webhooks/webhooks-security`). It has no time in it: replays are stopped by the
//! state of the verification and by tokens that are used once.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    provider::{Inbound, Refused},
    secret::Secret,
};

/// Carries the signature.
const SIGNATURE: &str = "x-twilio-signature";
/// Says which key and algorithm were used, when it is not the auth token and SHA-1.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
/// The name in the query under which the hash of a body stands that is no form.
const BODY_HASH: &str = "bodySHA256";

/// The keys that a signature may be made with, each ready to be used.
#[derive(Clone)]
pub(super) struct Keys {
    tokens: Vec<Key>,
    shared: BTreeMap<String, Key>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens, {} shared keys", self.tokens.len(), self.shared.len())
    }
}

impl Keys {
    /// Keys of the auth tokens in use, the current one first, and of shared keys by their id.
    pub(super) fn new<'a>(
        tokens: impl Iterator<Item = &'a Secret<String>>,
        shared: &BTreeMap<String, Secret<String>>,
    ) -> Self {
        Self {
            tokens: tokens.filter_map(Key::new).collect(),
            shared: shared.iter().filter_map(|(id, secret)| Some((id.clone(), Key::new(secret)?))).collect(),
        }
    }

    /// Checks the signature of a message whose form parameters are `form`.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(super) fn verify(&self, inbound: &Inbound<'_>, form: &Form<'_>) -> Result<(), Refused> {
        let given = single(inbound.headers, SIGNATURE)
            .map_err(|TwoOfThem| Refused::BadSignature)?
            .ok_or(Refused::NoSignature)?;
        let settings =
            single(inbound.headers, SETTINGS).map_err(|TwoOfThem| Refused::UnknownScheme)?.unwrap_or_default();
        let settings = Settings::read(std::str::from_utf8(settings).map_err(|_| Refused::UnknownScheme)?)?;
        let keys: &[Key] = match settings.key {
            Some(id) => std::slice::from_ref(self.shared.get(id).ok_or(Refused::BadSignature)?),
            None => &self.tokens,
        };
        let url = inbound.url.split('#').next().unwrap_or_default();
        let params = match form {
            Form::Params(params) => params.signed(),
            Form::Body => {
                require_body_hash(url, inbound.body)?;
                Vec::new()
            }
            Form::Query => Vec::new(),
        };
        let forms = UrlForms::of(url);
        let matches = keys.iter().any(|key| {
            forms.iter().any(|parts| settings.algorithm.sign(key, parts, &params).as_bytes().ct_eq(given).into())
        });
        if matches { Ok(()) } else { Err(Refused::BadSignature) }
    }
}

/// What of a message takes part in the signature besides its URL.
#[derive(Debug)]
pub(super) enum Form<'a> {
    /// The parameters of a form that was posted.
    Params(Params<'a>),
    /// A body of another kind: its hash stands in the URL.
    Body,
    /// Nothing: all parameters are in the URL.
    Query,
}

/// Parameters, decoded, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    /// Reads `application/x-www-form-urlencoded` text. `None` when it is not UTF-8 once decoded: two texts that decode
    /// to the same replacement characters would have the same signature.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let pairs: Vec<_> = url::form_urlencoded::parse(text).collect();
        let replaced = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        if pairs.iter().any(|(name, value)| replaced(name) || replaced(value)) { None } else { Some(Self(pairs)) }
    }

    /// The members of a JSON object that are text or numbers.
    pub(super) fn read_json(text: &[u8]) -> Option<Self> {
        let serde_json::Value::Object(members) = serde_json::from_slice(text).ok()? else { return None };
        let pairs = members.into_iter().filter_map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.as_number().map(ToString::to_string), |text| Some(text.to_owned()))?;
            Some((Cow::Owned(name), Cow::Owned(value)))
        });
        Some(Self(pairs.collect()))
    }

    /// The value of a parameter that may come once at most.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refused> {
        let mut values = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_ref());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Refused::Malformed),
        }
    }

    /// In the order in which they are signed: by name in code-point order, the values of a repeated name sorted, each
    /// distinct one once. UTF-8 sorts by bytes as by code points.
    fn signed(&self) -> Vec<(&str, &str)> {
        let mut pairs: Vec<_> = self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}

/// A key, prepared for both algorithms.
#[derive(Clone)]
struct Key {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

impl Key {
    fn new(secret: &Secret<String>) -> Option<Self> {
        let bytes = secret.expose().as_bytes();
        Some(Self { sha1: Hmac::new_from_slice(bytes).ok()?, sha256: Hmac::new_from_slice(bytes).ok()? })
    }
}

#[derive(Debug, Clone, Copy)]
enum Algorithm {
    Sha1,
    Sha256,
}

impl Algorithm {
    fn sign(self, key: &Key, url: &[&str; 3], params: &[(&str, &str)]) -> String {
        match self {
            Self::Sha1 => sign(key.sha1.clone(), url, params),
            Self::Sha256 => sign(key.sha256.clone(), url, params),
        }
    }
}

fn sign(mut mac: impl Mac, url: &[&str; 3], params: &[(&str, &str)]) -> String {
    url.iter().for_each(|part| mac.update(part.as_bytes()));
    for (name, value) in params {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// What the settings header chose.
struct Settings<'a> {
    key: Option<&'a str>,
    algorithm: Algorithm,
}

impl<'a> Settings<'a> {
    /// Reads `key=…,algorithm=…`. Nothing means the auth token and SHA-1; SHA-256 comes with shared keys only.
    fn read(text: &'a str) -> Result<Self, Refused> {
        let part = |wanted: &str| {
            let mut values =
                text.split(',').filter_map(|part| part.split_once('=')).filter(|(name, _)| name.trim() == wanted);
            match (values.next(), values.next()) {
                (found, None) => Ok(found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())),
                (_, Some(_)) => Err(Refused::UnknownScheme),
            }
        };
        let (key, algorithm) = (part("key")?, part("algorithm")?);
        let algorithm = match algorithm.map(str::to_ascii_uppercase).as_deref() {
            None | Some("HMAC_SHA1") => Algorithm::Sha1,
            Some("HMAC_SHA256") if key.is_some() => Algorithm::Sha256,
            Some(_) => return Err(Refused::UnknownScheme),
        };
        Ok(Self { key, algorithm })
    }
}

/// The forms of a URL that may have been signed: as it was seen, without its port, with the port of its scheme. Which
/// one, depends on the software that requested it.
pub(super) struct UrlForms<'a> {
    forms: [Option<[&'a str; 3]>; 2],
}

impl<'a> UrlForms<'a> {
    pub(super) fn of(url: &'a str) -> Self {
        let seen = Some([url, "", ""]);
        let Some((scheme, rest)) = url.split_once("://") else { return Self { forms: [seen, None] } };
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let host_start = rest.get(..authority_end).and_then(|authority| authority.rfind('@')).map_or(0, |at| at + 1);
        let host = rest.get(host_start..authority_end).unwrap_or_default();
        // A colon inside brackets belongs to an IPv6 address.
        let port = host.rfind(':').filter(|at| !host.get(*at..).unwrap_or_default().contains(']'));
        let head_end = scheme.len() + "://".len() + host_start + port.unwrap_or(host.len());
        let tail_start = scheme.len() + "://".len() + authority_end;
        let (head, tail) = (url.get(..head_end).unwrap_or_default(), url.get(tail_start..).unwrap_or_default());
        let other = match (port, scheme) {
            (Some(_), _) => Some([head, "", tail]),
            (None, "https") => Some([head, ":443", tail]),
            (None, "http") => Some([head, ":80", tail]),
            (None, _) => None,
        };
        Self { forms: [seen, other] }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[&'a str; 3]> {
        self.forms.iter().flatten()
    }
}

fn require_body_hash(url: &str, body: &[u8]) -> Result<(), Refused> {
    let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let params = Params::read(query.as_bytes()).ok_or(Refused::BadSignature)?;
    let given = params.one(BODY_HASH).map_err(|_| Refused::BadSignature)?.ok_or(Refused::BadSignature)?;
    let wanted = HEXLOWER.encode(&Sha256::digest(body));
    if wanted.as_bytes().ct_eq(given.as_bytes()).into() { Ok(()) } else { Err(Refused::BadSignature) }
}

struct TwoOfThem;

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, TwoOfThem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        (_, Some(_)) => Err(TwoOfThem),
    }
}
