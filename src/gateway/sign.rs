//! Owns the signature of results (Standard Webhooks, <https://www.standardwebhooks.com>): the secret and what is signed.

use std::{fmt, str::FromStr};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// Fewest and most bytes of a secret (Standard Webhooks, "Signature scheme").
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that results are signed with.
#[derive(Clone)]
pub struct SigningSecret(Secret<Vec<u8>>);

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is no secret of Standard Webhooks. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is `whsec_` and 24 to 64 random bytes in base 64")]
pub struct NotASigningSecret;

impl FromStr for SigningSecret {
    type Err = NotASigningSecret;

    fn from_str(text: &str) -> Result<Self, NotASigningSecret> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or(NotASigningSecret)?;
        let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| NotASigningSecret)?;
        if BYTES.contains(&bytes.len()) { Ok(Self(Secret::new(bytes))) } else { Err(NotASigningSecret) }
    }
}

impl SigningSecret {
    /// The signature of one message, `v1,` and base 64.
    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes())))
    }
}

/// The value of `webhook-signature`: one signature for each secret, apart by a space.
pub(super) fn signatures(secrets: &[SigningSecret], id: &str, timestamp: u64, body: &[u8]) -> String {
    secrets.iter().filter_map(|secret| secret.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_known_vector() {
        let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signatures(std::slice::from_ref(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other: SigningSecret = format!("whsec_{}", BASE64.encode(&[9; 32])).parse().unwrap();
        let both = signatures(&[secret, other], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert!(both.starts_with(&format!("{signed} v1,")), "{both}");
    }

    #[test]
    fn secrets_of_the_right_size_only() {
        for bad in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base 64 at all, by far!"]
        {
            assert_eq!(bad.parse::<SigningSecret>().unwrap_err(), NotASigningSecret, "{bad}");
        }
        let long = format!("whsec_{}", BASE64.encode(&[1; 65]));
        assert!(long.parse::<SigningSecret>().is_err());
        let right = format!("whsec_{}", BASE64.encode(&[1; 64]));
        assert_eq!(format!("{:?}", right.parse::<SigningSecret>().unwrap()), "[secret]");
    }
}
