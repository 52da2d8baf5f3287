//! Owns what is derived from the one key of an installation: hashes of numbers, of idempotency keys, the
//! signatures of view tokens, and the key of the console's sessions. It stores nothing: every ringproof with the same key derives the same.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Client, ViewToken};
use crate::{
    id::{NumberHash, VerificationId},
    phone::E164,
    secret::Secret,
    time::Timestamp,
};

/// How long a view token works.
pub(super) const VIEW_TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// What a view token begins with, so that it is recognised where secrets are looked for.
const VIEW_TOKEN_PREFIX: &str = "view_";

/// Bytes of the signature of a view token.
const SIGNATURE: usize = 32;

/// The derived keys, one for each use.
pub(super) struct Keys {
    numbers: Secret<[u8; 32]>,
    guard: Secret<[u8; 32]>,
    idempotency: Secret<[u8; 32]>,
    view_tokens: Secret<[u8; 32]>,
    console: Secret<[u8; 32]>,
}

impl Keys {
    pub(super) fn new(master: &[u8; 32]) -> Self {
        let derive = |label: &str| Secret::new(mac(master, &[label.as_bytes()]));
        Self {
            numbers: derive("ringproof number hash"),
            guard: derive("ringproof guard"),
            idempotency: derive("ringproof idempotency key"),
            view_tokens: derive("ringproof view token"),
            console: derive("ringproof console"),
        }
    }

    /// What the console seals with.
    pub(super) fn console(&self) -> Secret<[u8; 32]> {
        self.console.clone()
    }

    /// What stands for a number in the store.
    pub(super) fn number(&self, number: &E164) -> NumberHash {
        NumberHash::new(head(mac(self.numbers.expose(), &[number.expose().as_bytes()])))
    }

    /// What stands for the numbers that differ from one in their last digits only.
    pub(super) fn neighbours(&self, beginning: &str) -> NumberHash {
        NumberHash::new(head(mac(self.guard.expose(), &[b"neighbours", &[0], beginning.as_bytes()])))
    }

    /// What stands for an account of a client.
    pub(super) fn account(&self, client: &str, reference: &str) -> NumberHash {
        let parts: [&[u8]; 5] = [b"account", &[0], client.as_bytes(), &[0], reference.as_bytes()];
        NumberHash::new(head(mac(self.guard.expose(), &parts)))
    }

    /// What stands for an address of the internet that asked the backend.
    pub(super) fn source(&self, address: std::net::IpAddr) -> NumberHash {
        NumberHash::new(head(mac(self.guard.expose(), &[b"source", &[0], address.to_string().as_bytes()])))
    }

    /// What stands for a client's idempotency key in the store.
    pub(super) fn idempotency(&self, client: &Client, route: &str, key: &str) -> [u8; 16] {
        head(mac(self.idempotency.expose(), &[client.name.as_bytes(), &[0], route.as_bytes(), &[0], key.as_bytes()]))
    }

    /// A token that reads this verification, until `VIEW_TOKEN_LIFE` from now.
    pub(super) fn view_token(&self, client: &Client, id: VerificationId, now: Timestamp) -> ViewToken {
        let expires_at = now.plus(VIEW_TOKEN_LIFE);
        let until = expires_at.as_ms().to_be_bytes();
        let mut bytes = self.view_signature(&client.name, id, until).to_vec();
        bytes.extend_from_slice(&until);
        bytes.extend_from_slice(client.name.as_bytes());
        ViewToken { token: format!("{VIEW_TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)), expires_at }
    }

    /// Whose verification a view token reads.
    pub(super) fn check_view_token(&self, token: &str, id: VerificationId, now: Timestamp) -> Option<Client> {
        let bytes = BASE64URL_NOPAD.decode(token.strip_prefix(VIEW_TOKEN_PREFIX)?.as_bytes()).ok()?;
        let (signature, rest) = bytes.split_at_checked(SIGNATURE)?;
        let (until, name) = rest.split_first_chunk::<8>()?;
        let name = std::str::from_utf8(name).ok()?;
        let genuine = bool::from(self.view_signature(name, id, *until).as_slice().ct_eq(signature));
        let alive = now < Timestamp::from_ms(u64::from_be_bytes(*until));
        (genuine && alive).then(|| Client { name: name.to_owned() })
    }

    fn view_signature(&self, client: &str, id: VerificationId, until: [u8; 8]) -> [u8; SIGNATURE] {
        mac(self.view_tokens.expose(), &[id.as_bytes(), &until, client.as_bytes()])
    }
}

/// What stands for the content of a request.
pub(super) fn fingerprint(body: &[u8]) -> [u8; 16] {
    head(Sha256::digest(body).into())
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    // A key shorter than a block of the hash is filled with zeros (RFC 2104, section 2): this is the same key.
    let mut mac = Hmac::<Sha256>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn head(bytes: [u8; 32]) -> [u8; 16] {
    let mut head = [0; 16];
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Partition;

    fn id(last: u8) -> VerificationId {
        VerificationId::new(Timestamp::from_ms(1_795_000_000_000), [last; 16], Partition::of(5))
    }

    #[test]
    fn a_view_token_reads_one_verification_of_one_client_for_a_while() {
        let keys = Keys::new(&[7; 32]);
        let client = Client { name: String::from("enrolment") };
        let now = Timestamp::from_ms(1_795_000_000_000);
        let made = keys.view_token(&client, id(1), now);
        assert_eq!(made.expires_at, now.plus(VIEW_TOKEN_LIFE));
        assert_eq!(keys.check_view_token(&made.token, id(1), now), Some(client));
        assert_eq!(keys.check_view_token(&made.token, id(2), now), None, "another verification");
        assert_eq!(keys.check_view_token(&made.token, id(1), made.expires_at), None, "too old");
        assert_eq!(Keys::new(&[8; 32]).check_view_token(&made.token, id(1), now), None, "another installation");
        for at in 0..made.token.len() {
            let mut bytes = made.token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(keys.check_view_token(&forged, id(1), now), None, "changed at {at}");
        }
        for bad in ["", "view_", "view_AAAA", "Bearer x"] {
            assert_eq!(keys.check_view_token(bad, id(1), now), None, "{bad}");
        }
    }

    #[test]
    fn hashes_are_keyed_and_scoped() {
        let (keys, others) = (Keys::new(&[7; 32]), Keys::new(&[8; 32]));
        let number: E164 = "+819012345678".parse().unwrap();
        assert_eq!(keys.number(&number), keys.number(&number));
        assert_ne!(keys.number(&number), others.number(&number));
        let (a, b) = (Client { name: String::from("a") }, Client { name: String::from("ab") });
        assert_ne!(keys.idempotency(&a, "r", "bx"), keys.idempotency(&b, "r", "x"));
        assert_ne!(keys.idempotency(&a, "r", "x"), keys.idempotency(&a, "s", "x"));
    }
}
