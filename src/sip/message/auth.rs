//! Owns the reading of digest challenges: `WWW-Authenticate` and `Proxy-Authenticate` (RFC 7616, RFC 8760). Answers are
//! computed in `digest`.

use super::scan::{blank, is_token, unquote};

/// A hash that we can compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, which most trunks still ask for.
    Md5,
    /// SHA-256.
    Sha256,
}

/// What a digest protects beside the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI, with a counter.
    Auth,
    /// The body too.
    AuthInt,
}

/// A challenge that we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose password is wanted.
    pub realm: String,
    /// What the answer is made with.
    pub nonce: String,
    /// To be returned as it is.
    pub opaque: Option<String>,
    /// The hash.
    pub algorithm: Algorithm,
    /// Whether it is one of the `-sess` kinds.
    pub session: bool,
    /// The spelling of the algorithm, when one was given.
    pub algorithm_name: Option<String>,
    /// The protection to use: `auth` before `auth-int`; none in old challenges (RFC 2069).
    pub qop: Option<Qop>,
    /// The nonce was too old, the password was not wrong.
    pub stale: bool,
}

/// Most challenges looked at in one header.
const MAX_CHALLENGES: usize = 8;
/// Longest realm, nonce or opaque that is answered, in bytes.
const MAX_VALUE: usize = 1024;

impl Challenge {
    /// The challenges in one header that we can answer, in their order. Others are left out.
    #[must_use]
    pub fn read_all(text: &str) -> Vec<Self> {
        let mut found = Vec::new();
        let mut scheme: Option<&str> = None;
        let mut params: Vec<(&str, &str)> = Vec::new();
        for part in super::scan::split(text, b',').unwrap_or_default() {
            let (word, rest) = part.split_once(blank).unwrap_or((part, ""));
            // `Digest realm="x"` begins a challenge; `nonce="y"` goes on with it.
            let begins = is_token(word) && !rest.trim_start_matches(blank).starts_with('=');
            let param = if begins {
                found.extend(scheme.and_then(|scheme| Self::of(scheme, &params)));
                params.clear();
                scheme = Some(word);
                rest
            } else {
                part
            };
            if let Some((name, value)) = param.split_once('=') {
                params.push((name.trim_matches(blank), value.trim_matches(blank)));
            }
            if found.len() >= MAX_CHALLENGES {
                return found;
            }
        }
        found.extend(scheme.and_then(|scheme| Self::of(scheme, &params)));
        found
    }

    fn of(scheme: &str, params: &[(&str, &str)]) -> Option<Self> {
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let value = |name: &str| {
            let found = params.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.map(|(_, value)| unquote(value).into_owned())
        };
        let algorithm_name = value("algorithm");
        let (algorithm, session) = match algorithm_name.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("md5") => (Algorithm::Md5, false),
            Some("md5-sess") => (Algorithm::Md5, true),
            // Some peers leave the hyphen out.
            Some("sha-256" | "sha256") => (Algorithm::Sha256, false),
            Some("sha-256-sess" | "sha256-sess") => (Algorithm::Sha256, true),
            Some(_) => return None,
        };
        let qop = match value("qop") {
            None => None,
            Some(list) if list.trim().is_empty() => None,
            Some(list) => {
                let offers = |name: &str| list.split(',').any(|word| word.trim().eq_ignore_ascii_case(name));
                Some(match (offers("auth"), offers("auth-int")) {
                    (true, _) => Qop::Auth,
                    (false, true) => Qop::AuthInt,
                    (false, false) => return None,
                })
            }
        };
        let (realm, nonce, opaque) = (value("realm")?, value("nonce")?, value("opaque"));
        let short =
            [Some(&realm), Some(&nonce), opaque.as_ref()].into_iter().flatten().all(|text| text.len() <= MAX_VALUE);
        let stale = value("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        short.then_some(Self { realm, nonce, opaque, algorithm, session, algorithm_name, qop, stale })
    }
}
