//! Owns one attempt to sign in, from the button to the way back: its secrets, and where it ends. They travel in a cookie
//! that the console seals, so that any ringproof beside the same store can finish it and none has to remember it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::{id::Entropy, secret::Secret};

/// How long the way to the provider and back may take: typing a password, a second factor, looking for the telephone.
pub(super) const LIFE: Duration = Duration::from_secs(10 * 60);
/// Longest path that is remembered, in bytes.
const MAX_NEXT_BYTES: usize = 512;
/// Where one goes when nothing else was asked for; paths are below the console.
const BEGINNING: &str = "/";
/// Most attempts that are remembered as used.
const MAX_USED: usize = 4096;

/// One attempt.
#[derive(Clone, Encode, Decode)]
pub(super) struct Attempt {
    #[cbor(n(0), with = "minicbor::bytes")]
    state: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    nonce: [u8; 16],
    #[cbor(n(2), with = "minicbor::bytes")]
    verifier: [u8; 32],
    #[n(3)]
    next: String,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Attempt {
    /// Begins one that ends at `next`, a path of the console.
    pub(super) fn begin(entropy: &dyn Entropy, next: &str) -> Self {
        let mut random = [0; 64];
        entropy.fill(&mut random);
        let mut random = random.into_iter();
        let mut draw = || random.next().unwrap_or_default();
        Self {
            state: std::array::from_fn(|_| draw()),
            nonce: std::array::from_fn(|_| draw()),
            verifier: std::array::from_fn(|_| draw()),
            next: local(next).to_owned(),
        }
    }

    /// `state` of the request.
    pub(super) fn state(&self) -> String {
        BASE64URL_NOPAD.encode(&self.state)
    }

    /// Whether this is the `state` of the request.
    pub(super) fn has_state(&self, state: &str) -> bool {
        Secret::new(self.state()).matches(state.as_bytes())
    }

    /// `nonce` of the request.
    pub(super) fn nonce(&self) -> String {
        BASE64URL_NOPAD.encode(&self.nonce)
    }

    /// `code_verifier` (RFC 7636 section 4.1).
    pub(super) fn verifier(&self) -> String {
        BASE64URL_NOPAD.encode(&self.verifier)
    }

    /// `code_challenge` by the method S256 (RFC 7636 section 4.2).
    pub(super) fn challenge(&self) -> String {
        BASE64URL_NOPAD.encode(&Sha256::digest(self.verifier()))
    }

    /// Where it ends.
    pub(super) fn next(&self) -> &str {
        local(&self.next)
    }

    /// What has to be sealed. `None` cannot happen: memory is all it needs.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        minicbor::to_vec(self).ok()
    }

    /// What was sealed.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        minicbor::decode(bytes).ok()
    }
}

/// Attempts that were used in this process. The provider takes each code once; this holds where it does not.
#[derive(Default)]
pub(super) struct Used(Mutex<VecDeque<[u8; 16]>>);

impl Used {
    /// Notes that an attempt is used. False when it was before.
    pub(super) fn note(&self, attempt: &Attempt) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.contains(&attempt.state) {
            return false;
        }
        if used.len() >= MAX_USED {
            used.pop_front();
        }
        used.push_back(attempt.state);
        true
    }
}

/// A path below the console that one may be sent to, or else its beginning: nothing leads anywhere else, and not back to
/// signing in or out.
pub(super) fn local(next: &str) -> &str {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let is_plain = next.len() <= MAX_NEXT_BYTES
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && path.starts_with('/')
        && !path.contains("//")
        && !path.split('/').any(|part| part == "." || part == ".." || part.contains('%'));
    let is_door = ["/sign-", "/oidc"].iter().any(|door| path.starts_with(door));
    if is_plain && !is_door { next } else { BEGINNING }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn an_attempt_comes_back_as_it_went() {
        let attempt = Attempt::begin(&Counting(0.into()), "/calls?status=failed");
        let back = Attempt::from_bytes(&attempt.to_bytes().unwrap()).unwrap();
        assert_eq!((back.state(), back.nonce()), (attempt.state(), attempt.nonce()));
        assert_eq!((back.verifier(), back.next()), (attempt.verifier(), "/calls?status=failed"));
        assert!(Attempt::from_bytes(b"session").is_none() && Attempt::from_bytes(&[]).is_none());
        assert!(!format!("{attempt:?}").contains(&attempt.verifier()));
    }

    #[test]
    fn secrets_have_their_lengths_and_differ() {
        let entropy = Counting(0.into());
        let (one, other) = (Attempt::begin(&entropy, ""), Attempt::begin(&entropy, ""));
        assert_eq!((one.state().len(), one.nonce().len(), one.verifier().len()), (22, 22, 43));
        assert!(one.has_state(&one.state()) && !one.has_state(&other.state()) && !one.has_state(""));
        assert_ne!(one.nonce(), other.nonce());
        assert_ne!(one.verifier(), other.verifier());
        // RFC 7636 appendix B, whose verifier is made of these octets.
        let octets = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191,
            240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        let of_the_rfc = Attempt { verifier: octets, ..one };
        assert_eq!(of_the_rfc.verifier(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(of_the_rfc.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn an_attempt_is_used_once() {
        let used = Used::default();
        let first = Attempt::begin(&Counting(0.into()), "");
        assert!(used.note(&first) && !used.note(&first));
        for n in 0..MAX_USED as u64 {
            let state = std::array::from_fn(|at| n.to_be_bytes().get(at).copied().unwrap_or(255));
            assert!(used.note(&Attempt { state, ..first.clone() }));
        }
        assert_eq!(used.0.lock().unwrap().len(), MAX_USED);
    }

    #[test]
    fn nothing_leads_out_of_the_console() {
        for good in ["/", "/calls", "/calls?to=5678&status=a%20b", "/calls?x=//y"] {
            assert_eq!(local(good), good);
        }
        for bad in [
            "",
            "calls",
            "https://evil.example/",
            "//evil.example/console",
            "/\\evil.example",
            "/calls//evil.example",
            "/../v1/calls",
            "/%2e%2e/v1",
            "/calls\r\nset-cookie: a=b",
            "/calls\u{3042}",
            "/oidc/start",
            "/sign-out",
            "javascript:alert(1)",
            &format!("/{}", "a".repeat(600)),
        ] {
            assert_eq!(local(bad), BEGINNING, "{bad}");
        }
    }
}
