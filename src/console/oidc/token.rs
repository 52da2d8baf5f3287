//! Owns the check of an ID token (`OpenID` Connect Core 1.0 section 3.1.3.7, RFC 7519, RFC 8725): who issued it, for whom,
//! for which sign-in, until when. Pure: keys and time are passed in.

use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::keys::{Algorithm, KeySet};
use crate::time::Timestamp;

/// How far the provider's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);
/// Longest token that is looked at, in bytes. Lists of groups make them long.
const MAX_BYTES: usize = 48 * 1024;
/// Longest `sub`, in bytes (Core section 2 allows 255 characters of ASCII).
const MAX_SUBJECT_BYTES: usize = 255;

/// Claims by their names.
pub(super) type Claims = Map<String, Value>;

/// What a token has to be.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// What was sent with the request that this token answers.
    pub(super) nonce: &'a str,
    /// The access token that came with it.
    pub(super) access_token: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unbelievable {
    #[error("it is no signed token")]
    Malformed,
    #[error("it is signed in a way that is not accepted here")]
    Algorithm,
    #[error("the provider publishes no key of that name")]
    UnknownKey,
    #[error("the signature is wrong")]
    Signature,
    #[error("it is from another issuer")]
    Issuer,
    #[error("it is for another application")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is of a time to come")]
    NotYet,
    #[error("it belongs to another sign-in")]
    Nonce,
    #[error("it belongs to another access token")]
    AccessToken,
    #[error("it names nobody")]
    Subject,
}

impl Unbelievable {
    /// A word for logs.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_key_unknown",
            Self::Signature => "token_signature",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet",
            Self::Nonce => "token_nonce",
            Self::AccessToken => "token_at_hash",
            Self::Subject => "token_subject",
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood (RFC 7515 section 4.1.11): none is.
    crit: Option<Value>,
}

/// A token in its parts, of which nothing is believed yet.
pub(super) struct Token<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    claims: Claims,
    algorithm: Algorithm,
    kid: Option<String>,
}

impl<'a> Token<'a> {
    /// Takes a compact JWS apart (RFC 7515 section 7.1).
    pub(super) fn read(text: &'a str) -> Result<Self, Unbelievable> {
        if text.len() > MAX_BYTES {
            return Err(Unbelievable::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Unbelievable::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Unbelievable::Malformed)?;
        let bytes = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Unbelievable::Malformed);
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| Unbelievable::Malformed)?;
        // Another type of token, as of access or logout, is not taken for this one (RFC 8725 section 3.11).
        let is_jwt = header.typ.as_ref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        if header.crit.is_some() || !is_jwt {
            return Err(Unbelievable::Malformed);
        }
        let algorithm = Algorithm::of(&header.alg).ok_or(Unbelievable::Algorithm)?;
        let claims = serde_json::from_slice(&bytes(claims)?).map_err(|_| Unbelievable::Malformed)?;
        Ok(Self { signed, signature: bytes(signature)?, claims, algorithm, kid: header.kid })
    }

    /// The name of the key that is said to have signed it.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it claims, if it is to be believed.
    pub(super) fn believe(self, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, Unbelievable> {
        let kid = self.kid();
        if !keys.has(kid) {
            return Err(Unbelievable::UnknownKey);
        }
        if !keys.verifies(kid, self.algorithm, self.signed.as_bytes(), &self.signature) {
            return Err(Unbelievable::Signature);
        }
        if text(&self.claims, "iss") != Some(expected.issuer) {
            return Err(Unbelievable::Issuer);
        }
        audience(&self.claims, expected.client_id)?;
        times(&self.claims, expected.now)?;
        let nonce = text(&self.claims, "nonce").unwrap_or_default();
        if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
            return Err(Unbelievable::Nonce);
        }
        if let Some(hash) = self.claims.get("at_hash") {
            let right = expected.access_token.map(|token| half_hash(self.algorithm, token));
            if right.is_none() || hash.as_str() != right.as_deref() {
                return Err(Unbelievable::AccessToken);
            }
        }
        subject(&self.claims).ok_or(Unbelievable::Subject)?;
        Ok(self.claims)
    }
}

/// Who it is: `sub`, which is a text of printable ASCII.
pub(super) fn subject(claims: &Claims) -> Option<&str> {
    text(claims, "sub")
        .filter(|sub| (1..=MAX_SUBJECT_BYTES).contains(&sub.len()))
        .filter(|sub| sub.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '))
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// We are meant, and where others are meant too, it was we who asked (`azp`).
fn audience(claims: &Claims, client_id: &str) -> Result<(), Unbelievable> {
    let others = match claims.get("aud") {
        Some(Value::String(one)) if one == client_id => false,
        Some(Value::Array(many)) if many.iter().any(|one| one == client_id) => many.len() > 1,
        _ => return Err(Unbelievable::Audience),
    };
    match claims.get("azp") {
        Some(party) if party == client_id => Ok(()),
        None if !others => Ok(()),
        Some(_) | None => Err(Unbelievable::Audience),
    }
}

fn times(claims: &Claims, now: Timestamp) -> Result<(), Unbelievable> {
    let at = |name: &str| match claims.get(name) {
        Some(value) => seconds(value).map(Some).ok_or(Unbelievable::Malformed),
        None => Ok(None),
    };
    // `exp` and `iat` are required (Core section 2).
    let (Some(expires), Some(issued)) = (at("exp")?, at("iat")?) else { return Err(Unbelievable::Malformed) };
    if now.minus(LEEWAY) >= expires {
        return Err(Unbelievable::Expired);
    }
    let latest = now.plus(LEEWAY);
    if issued > latest || at("nbf")?.is_some_and(|begins| begins > latest) {
        return Err(Unbelievable::NotYet);
    }
    Ok(())
}

/// A `NumericDate`, which may have a fraction (RFC 7519 section 2).
fn seconds(value: &Value) -> Option<Timestamp> {
    let whole = value.as_u64().or_else(|| {
        let fraction = value.as_f64().filter(|seconds| (0.0..=9_007_199_254_740_991.0).contains(seconds))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at")]
        Some(fraction as u64)
    })?;
    Some(Timestamp::from_ms(whole.checked_mul(1000)?))
}

/// `at_hash` (Core section 3.1.3.6): the left half of the hash of the access token, by the hash of the signature.
fn half_hash(algorithm: Algorithm, access_token: &str) -> String {
    let hash = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &digest::SHA256,
        Algorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest::digest(hash, access_token.as_bytes());
    let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    BASE64URL_NOPAD.encode(left)
}
