//! Owns the Identity header of outgoing calls (RFC 8224): a `PASSporT` (RFC 8225) of type shaken (RFC 8588), signed with
//! the configured key. It neither fetches nor checks certificates, and verifies nobody else's identity.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Serialize;

use super::config::{Attestation, Config, ConfigFault};
use crate::{outcome, phone::E164, time::Timestamp};

/// Signs who calls.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    certificate_url: String,
    attestation: Attestation,
    origin: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("certificate_url", &self.certificate_url).finish_non_exhaustive()
    }
}

/// The members of both parts stand in the order of the alphabet and without blanks, as RFC 8225 section 9 wants them.
#[derive(Serialize)]
struct Head<'a> {
    alg: &'static str,
    ppt: &'static str,
    typ: &'static str,
    x5u: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    attest: &'static str,
    dest: Called<'a>,
    iat: u64,
    orig: Caller<'a>,
    origid: &'a str,
}

#[derive(Serialize)]
struct Called<'a> {
    tn: [&'a str; 1],
}

#[derive(Serialize)]
struct Caller<'a> {
    tn: &'a str,
}

impl Signer {
    /// A signer, where the settings ask for one.
    ///
    /// # Errors
    /// The key is none, or not one of the curve P-256.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, ConfigFault> {
        let (Some(url), Some(pem), Some(origin)) =
            (&config.identity_certificate_url, &config.identity_key, &config.identity_origin)
        else {
            return Ok(None);
        };
        let fault = |why: &str| ConfigFault { member: "identity_key", why: why.to_owned() };
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
            .map_err(|_| fault("holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"))?;
        let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der())
            .map_err(|_| fault("is no key of the curve P-256 (ES256), which RFC 8588 demands"))?;
        Ok(Some(Self {
            key,
            random: SystemRandom::new(),
            certificate_url: url.clone(),
            attestation: config.identity_attestation,
            origin: origin.to_ascii_lowercase(),
        }))
    }

    /// The value of the Identity header for a call. `None` when signing fails: the call goes without, as RFC 8224 allows.
    pub(crate) fn header(&self, now: Timestamp, from: &E164, to: &E164) -> Option<String> {
        let digits = |number: &E164| number.expose().trim_start_matches('+').to_owned();
        let (caller, called) = (digits(from), digits(to));
        let head = Head { alg: "ES256", ppt: "shaken", typ: "passport", x5u: &self.certificate_url };
        let claims = Claims {
            attest: self.attestation.as_str(),
            dest: Called { tn: [&called] },
            iat: now.as_secs(),
            orig: Caller { tn: &caller },
            origid: &self.origin,
        };
        let part = |json: Result<Vec<u8>, serde_json::Error>| Some(URL_SAFE_NO_PAD.encode(json.ok()?));
        let signed = format!("{}.{}", part(serde_json::to_vec(&head))?, part(serde_json::to_vec(&claims))?);
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Some(format!("{signed}.{signature};info=<{}>;alg=ES256;ppt=shaken", self.certificate_url))
    }
}

/// What a trunk with these settings vouches for with each call that it signs; `None` where it signs none.
pub(crate) fn attestation(config: &Config) -> Option<outcome::Attestation> {
    let signs = config.identity_certificate_url.is_some() && config.identity_key.is_some();
    (signs && config.identity_origin.is_some()).then_some(match config.identity_attestation {
        Attestation::A => outcome::Attestation::Full,
        Attestation::B => outcome::Attestation::Partial,
        Attestation::C => outcome::Attestation::Gateway,
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair, UnparsedPublicKey};

    use super::*;
    use crate::secret::Secret;

    fn settings(key: &EcdsaKeyPair) -> Config {
        let der = key.to_pkcs8v1().unwrap();
        let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let mut config = Config::for_trunk("sip:sip.example.net".parse().unwrap());
        config.identity_certificate_url = Some(String::from("https://cert.example.com/shaken.pem"));
        config.identity_key = Some(Secret::new(pem));
        config.identity_origin = Some(String::from("123E4567-E89B-12D3-A456-426655440000"));
        config.identity_attestation = Attestation::B;
        config
    }

    #[test]
    fn a_verifier_finds_who_calls_whom_and_when() {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let config = settings(&key);
        let signer = Signer::new(&config).unwrap().unwrap();
        assert_eq!(attestation(&config), Some(outcome::Attestation::Partial), "it stands in the call log");
        let (from, to) = ("+815012345678".parse().unwrap(), "+12155551212".parse().unwrap());
        let header = signer.header(Timestamp::from_ms(1_795_000_000_123), &from, &to).unwrap();

        let (token, parameters) = header.split_once(';').unwrap();
        assert_eq!(parameters, "info=<https://cert.example.com/shaken.pem>;alg=ES256;ppt=shaken");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(signature.len(), 64, "r and s as they are (RFC 7518 section 3.4), not as DER");
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref().to_vec());
        public.verify(signed.as_bytes(), &signature).unwrap();
        let forged = signed.replace('a', "b");
        assert!(public.verify(forged.as_bytes(), &signature).is_err());

        let (head, claims) = signed.split_once('.').unwrap();
        let text = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(
            text(head),
            r#"{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.com/shaken.pem"}"#
        );
        assert_eq!(
            text(claims),
            r#"{"attest":"B","dest":{"tn":["12155551212"]},"iat":1795000000,"orig":{"tn":"815012345678"},"origid":"123e4567-e89b-12d3-a456-426655440000"}"#
        );
    }

    #[test]
    fn nothing_is_signed_without_a_key_and_other_keys_are_refused() {
        let plain = Config::for_trunk("sip:sip.example.net".parse().unwrap());
        assert!(Signer::new(&plain).unwrap().is_none());
        assert_eq!(attestation(&plain), None);
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let mut config = settings(&key);
        config.identity_key = Some(Secret::new(String::from("hunter2")));
        let fault = Signer::new(&config).unwrap_err();
        assert!(
            fault.to_string().starts_with("`identity_key`: holds no private key") && !fault.why.contains("hunter2")
        );
        let other = EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let fault = Signer::new(&settings(&other)).unwrap_err();
        assert!(fault.why.contains("P-256"), "{fault}");
    }
}
