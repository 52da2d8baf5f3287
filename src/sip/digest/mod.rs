//! Owns the answers to digest challenges (RFC 7616, RFC 8760): what is computed, which nonce is used how often, and when to
//! give up because the password must be wrong. Reading challenges belongs to `message`.

mod chain;
#[cfg(test)]
mod tests;

use data_encoding::HEXLOWER;
use md5::Md5;
use sha2::{Digest, Sha256};

pub(super) use chain::{Chain, Nonces};

use super::{
    Credentials,
    message::{Algorithm, Challenge, Qop},
};

/// What is proven by one answer.
pub(super) struct Proof<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) body: &'a [u8],
    /// How often the nonce was used, this time counted.
    pub(super) count: u32,
    pub(super) client_nonce: &'a str,
}

fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> String {
    match algorithm {
        Algorithm::Md5 => {
            let hash = parts.iter().fold(Md5::new(), |hash, part| hash.chain_update(part));
            HEXLOWER.encode(&hash.finalize())
        }
        Algorithm::Sha256 => {
            let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part));
            HEXLOWER.encode(&hash.finalize())
        }
    }
}

/// The value of an `Authorization` or `Proxy-Authorization` header.
pub(super) fn answer(challenge: &Challenge, credentials: &Credentials, proof: &Proof<'_>) -> String {
    let algorithm = challenge.algorithm;
    let (user, realm, nonce) = (escape(&credentials.username), escape(&challenge.realm), escape(&challenge.nonce));
    let mut first =
        hash(algorithm, &[user.as_bytes(), b":", realm.as_bytes(), b":", credentials.password.expose().as_bytes()]);
    if challenge.session {
        first = hash(algorithm, &[first.as_bytes(), b":", nonce.as_bytes(), b":", proof.client_nonce.as_bytes()]);
    }
    let body = hash(algorithm, &[proof.body]);
    let mut what: Vec<&[u8]> = vec![proof.method.as_bytes(), b":", proof.uri.as_bytes()];
    if challenge.qop == Some(Qop::AuthInt) {
        what.extend([b":".as_slice(), body.as_bytes()]);
    }
    let second = hash(algorithm, &what);
    let count = format!("{:08x}", proof.count);
    let qop = match challenge.qop {
        None => None,
        Some(Qop::Auth) => Some("auth"),
        Some(Qop::AuthInt) => Some("auth-int"),
    };
    let mut parts: Vec<&[u8]> = vec![first.as_bytes(), b":", nonce.as_bytes(), b":"];
    if let Some(qop) = qop {
        parts.extend([count.as_bytes(), b":", proof.client_nonce.as_bytes(), b":", qop.as_bytes(), b":"]);
    }
    parts.push(second.as_bytes());
    let response = hash(algorithm, &parts);

    let uri = proof.uri;
    let mut value = format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\""
    );
    if let Some(name) = &challenge.algorithm_name {
        // As it was spelt: a peer that leaves the hyphen out expects it so.
        value.push_str(", algorithm=");
        value.extend(name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-'));
    }
    if let Some(opaque) = &challenge.opaque {
        value.push_str(&format!(", opaque=\"{}\"", escape(opaque)));
    }
    if let Some(qop) = qop {
        value.push_str(&format!(", qop={qop}, nc={count}, cnonce=\"{}\"", proof.client_nonce));
    } else if challenge.session {
        value.push_str(&format!(", cnonce=\"{}\"", proof.client_nonce));
    }
    value
}

/// What stands between the quotes; it is hashed like that (RFC 7616 section 3.4.2, `unq`).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
