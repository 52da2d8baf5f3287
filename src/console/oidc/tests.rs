//! Tokens of a provider, good ones and every bad one that the specifications warn of.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::{keys::KeySet, *};
use crate::time::Timestamp;

const ISSUER: &str = "https://login.example.com";
const NOW_S: u64 = 1_795_000_000;
const NOW: Timestamp = Timestamp::from_ms(NOW_S * 1000);
const NONCE: &str = "n-0S6_WzA2Mj";

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    fn rsa(size: KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).unwrap())
    }

    fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                // An RSAPublicKey (RFC 8017 appendix A.1.1): the modulus of 256 bytes, at the end an exponent of 3.
                let der = pair.public_key().as_ref();
                json!({ "kty": "RSA", "kid": kid, "n": text(&der[9..265]), "e": text(&der[der.len() - 3..]) })
            }
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": text(x), "y": text(y) })
            }
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": text(pair.public_key().as_ref()) })
            }
        }
    }

    fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn part(json: &Value) -> String {
    BASE64URL_NOPAD.encode(json.to_string().as_bytes())
}

fn token(pair: &Pair, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = pair.sign(header["alg"].as_str().unwrap_or_default(), signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "ringproof", "sub": "u-1", "nonce": NONCE, "iat": NOW_S, "exp": NOW_S + 300 })
}

/// Good claims with some of them changed; `null` takes one away.
fn with(changes: &Value) -> Value {
    let mut all = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    all
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn believe(token: &str, keys: &KeySet, access_token: Option<&str>) -> Result<Claims, Unbelievable> {
    let expected = Expected { issuer: ISSUER, client_id: "ringproof", nonce: NONCE, access_token, now: NOW };
    Token::read(token)?.believe(keys, &expected)
}

#[test]
fn every_accepted_algorithm_verifies_and_only_with_keys_of_its_kind() {
    let pairs = [("RS256", Pair::rsa(KeySize::Rsa2048)), ("ES256", Pair::p256()), ("EdDSA", Pair::ed25519())];
    let keys = set(&pairs.iter().map(|(alg, pair)| pair.jwk(alg)).collect::<Vec<_>>());
    assert_eq!(keys.len(), 3);
    for (alg, pair) in &pairs {
        for name in [*alg, if *alg == "RS256" { "PS256" } else { *alg }] {
            let good = token(pair, &json!({ "alg": name, "kid": alg, "typ": "JWT" }), &claims());
            assert_eq!(believe(&good, &keys, None).unwrap()["sub"], "u-1", "{name}");
            let unnamed = token(pair, &json!({ "alg": name }), &claims());
            assert!(believe(&unnamed, &keys, None).is_ok(), "{name} without kid");
        }
        for (other, _) in &pairs {
            if other != alg {
                let crossed = token(pair, &json!({ "alg": other, "kid": alg }), &claims());
                assert_eq!(believe(&crossed, &keys, None).unwrap_err(), Unbelievable::Signature, "{alg} as {other}");
                let borrowed = token(pair, &json!({ "alg": alg, "kid": other }), &claims());
                assert_eq!(believe(&borrowed, &keys, None).unwrap_err(), Unbelievable::Signature, "{alg} by {other}");
            }
        }
    }
    // RFC 9864 names the curve; what is hashed for `at_hash` with it is SHA-512.
    let (_, ed25519) = &pairs[2];
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, b"at");
    let half = BASE64URL_NOPAD.encode(&hash.as_ref()[..32]);
    let named = token(ed25519, &json!({ "alg": "Ed25519", "kid": "EdDSA" }), &with(&json!({ "at_hash": half })));
    assert!(believe(&named, &keys, Some("at")).is_ok());
}

#[test]
fn unsigned_and_shared_secrets_are_never_accepted() {
    let pair = Pair::rsa(KeySize::Rsa2048);
    let jwk = pair.jwk("a");
    let keys = set(&[jwk.clone(), json!({ "kty": "oct", "kid": "o", "k": "c2VjcmV0", "alg": "HS256" })]);
    assert_eq!(keys.len(), 1, "a shared secret is no key here");
    for alg in ["none", "None", "", "HS256", "HS512", "RS1", "RS512", "ES256K", "RSA-OAEP"] {
        let signed = format!("{}.{}", part(&json!({ "alg": alg, "kid": "a" })), part(&claims()));
        // The public key as the shared secret: what a careless check of HS256 would take.
        let secret = hmac::Key::new(hmac::HMAC_SHA256, jwk["n"].as_str().unwrap().as_bytes());
        let mac = BASE64URL_NOPAD.encode(hmac::sign(&secret, signed.as_bytes()).as_ref());
        for signature in ["", mac.as_str()] {
            assert_eq!(
                believe(&format!("{signed}.{signature}"), &keys, None).unwrap_err(),
                Unbelievable::Algorithm,
                "{alg}"
            );
        }
    }
}

#[test]
fn each_claim_is_checked() {
    let pair = Pair::p256();
    let keys = set(&[pair.jwk("a")]);
    let header = json!({ "alg": "ES256", "kid": "a" });
    for (changes, why) in [
        (json!({ "iss": "https://login.example.com/" }), Unbelievable::Issuer),
        (json!({ "iss": null }), Unbelievable::Issuer),
        (json!({ "aud": "other" }), Unbelievable::Audience),
        (json!({ "aud": [] }), Unbelievable::Audience),
        (json!({ "aud": null }), Unbelievable::Audience),
        (json!({ "aud": ["ringproof", "other"] }), Unbelievable::Audience),
        (json!({ "aud": ["ringproof", "other"], "azp": "other" }), Unbelievable::Audience),
        (json!({ "azp": "other" }), Unbelievable::Audience),
        (json!({ "exp": NOW_S - 60 }), Unbelievable::Expired),
        (json!({ "exp": null }), Unbelievable::Malformed),
        (json!({ "exp": "tomorrow" }), Unbelievable::Malformed),
        (json!({ "exp": -1 }), Unbelievable::Malformed),
        (json!({ "iat": null }), Unbelievable::Malformed),
        (json!({ "iat": NOW_S + 61 }), Unbelievable::NotYet),
        (json!({ "nbf": NOW_S + 61 }), Unbelievable::NotYet),
        (json!({ "nonce": null }), Unbelievable::Nonce),
        (json!({ "nonce": "" }), Unbelievable::Nonce),
        (json!({ "nonce": "n-0S6_WzA2Mk" }), Unbelievable::Nonce),
        (json!({ "nonce": [NONCE] }), Unbelievable::Nonce),
        (json!({ "at_hash": "AAAA" }), Unbelievable::AccessToken),
        (json!({ "at_hash": null, "sub": null }), Unbelievable::Subject),
        (json!({ "sub": "" }), Unbelievable::Subject),
        (json!({ "sub": 7 }), Unbelievable::Subject),
        (json!({ "sub": "a\nb" }), Unbelievable::Subject),
        (json!({ "sub": "x".repeat(256) }), Unbelievable::Subject),
    ] {
        let bad = token(&pair, &header, &with(&changes));
        assert_eq!(believe(&bad, &keys, Some("at")).unwrap_err(), why, "{changes}");
    }
    for good in [
        json!({ "aud": ["ringproof"] }),
        json!({ "aud": ["other", "ringproof"], "azp": "ringproof" }),
        json!({ "azp": "ringproof" }),
        json!({ "exp": NOW_S - 59 }),
        json!({ "exp": 1_795_000_300.5 }),
        json!({ "iat": NOW_S + 60, "nbf": NOW_S - 300 }),
    ] {
        assert!(believe(&token(&pair, &header, &with(&good)), &keys, None).is_ok(), "{good}");
    }
    // The example of RFC 9700's ancestor: Core appendix A.3 gives the hash of this access token.
    let hashed = with(&json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }));
    let hashed = token(&pair, &header, &hashed);
    assert!(believe(&hashed, &keys, Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y")).is_ok());
    assert_eq!(believe(&hashed, &keys, None).unwrap_err(), Unbelievable::AccessToken, "a hash of what is not there");
}

#[test]
fn what_is_no_id_token_is_refused() {
    let pair = Pair::p256();
    let keys = set(&[pair.jwk("a")]);
    let good = token(&pair, &json!({ "alg": "ES256", "kid": "a" }), &claims());
    assert!(believe(&good, &keys, None).is_ok());
    for header in [
        json!({ "alg": "ES256", "typ": "at+jwt" }),
        json!({ "alg": "ES256", "typ": "logout+jwt" }),
        json!({ "alg": "ES256", "crit": ["exp"], "exp": 1 }),
        json!({ "kid": "a" }),
    ] {
        let bad = token(&pair, &header, &claims());
        assert_eq!(believe(&bad, &keys, None).unwrap_err(), Unbelievable::Malformed, "{header}");
    }
    let longer = format!("{good}.");
    let padded = format!("{good}=");
    let huge = format!("{good}{}", "A".repeat(60_000));
    let parts: Vec<_> = good.split('.').collect();
    let two = parts[..2].join(".");
    let swapped = [parts[1], parts[0], parts[2]].join(".");
    for bad in ["", ".", "..", "...", &longer, &padded, &huge, &two, &swapped] {
        assert_eq!(believe(bad, &keys, None).unwrap_err(), Unbelievable::Malformed, "{bad}");
    }
    let other = token(&pair, &json!({ "alg": "ES256" }), &with(&json!({ "sub": "u-2" })));
    let grafted = [parts[0], other.split('.').nth(1).unwrap(), parts[2]].join(".");
    assert_eq!(believe(&grafted, &keys, None).unwrap_err(), Unbelievable::Signature);
}

#[test]
fn keys_that_stand_for_something_else_are_left_aside() {
    let (p256, rsa) = (Pair::p256(), Pair::rsa(KeySize::Rsa2048));
    let changed = |pair: &Pair, changes: Value| {
        let mut jwk = pair.jwk("a");
        jwk.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        jwk
    };
    for bad in [
        changed(&p256, json!({ "use": "enc" })),
        changed(&p256, json!({ "key_ops": ["sign"] })),
        changed(&p256, json!({ "alg": "ECDH-ES" })),
        changed(&p256, json!({ "crv": "P-384" })),
        changed(&p256, json!({ "x": "AAAA" })),
        changed(&p256, json!({ "kty": "RSA" })),
        changed(&rsa, json!({ "n": "AQAB" })),
        changed(&rsa, json!({ "e": "" })),
        json!("no object"),
    ] {
        assert_eq!(set(std::slice::from_ref(&bad)).len(), 0, "{bad}");
    }
    let only_ps = set(&[changed(&rsa, json!({ "alg": "PS256", "use": "sig", "key_ops": ["verify"] }))]);
    let of = |alg| token(&rsa, &json!({ "alg": alg, "kid": "a" }), &claims());
    assert!(believe(&of("PS256"), &only_ps, None).is_ok());
    assert_eq!(believe(&of("RS256"), &only_ps, None).unwrap_err(), Unbelievable::Signature);
    let stranger = token(&p256, &json!({ "alg": "ES256", "kid": "b" }), &claims());
    assert_eq!(believe(&stranger, &set(&[p256.jwk("a")]), None).unwrap_err(), Unbelievable::UnknownKey);
    assert!(KeySet::read(b"{}").is_none() && KeySet::read(b"<html>").is_none());
    let many = set(&(0..500).map(|n| p256.jwk(&n.to_string())).collect::<Vec<_>>());
    assert_eq!(many.len(), 64);
}

#[test]
fn an_answer_that_says_things_twice_is_none() {
    let answer = Answer::read("code=a%20b&state=s&iss=https%3A%2F%2Fx&session_state=1&session_state=2").unwrap();
    assert_eq!((answer.code.as_deref(), answer.state.as_deref()), (Some("a b"), Some("s")));
    assert_eq!(answer.iss.as_deref(), Some("https://x"));
    for twice in ["code=a&code=b", "state=a&state=a", "iss=a&iss=b", "error=a&error=b"] {
        assert!(Answer::read(twice).is_none(), "{twice}");
    }
}

#[test]
fn names_are_one_line_of_the_page() {
    assert_eq!(shown("  Kim\u{202e}\n Lee\u{0} "), "Kim Lee");
    assert_eq!(shown(&"x".repeat(500)).len(), MAX_NAME_CHARS);
}

#[test]
fn the_redirect_uri_keeps_the_path_of_the_public_address() {
    for (public, back) in [
        ("https://a.example", "https://a.example/console/oidc/callback"),
        ("https://a.example/voice/", "https://a.example/voice/console/oidc/callback"),
    ] {
        assert_eq!(redirect_uri(&public.parse().unwrap()), back);
    }
}
