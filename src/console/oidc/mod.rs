//! Owns signing in to the console through an `OpenID` Connect provider: the authorization code flow with PKCE (`OpenID`
//! Connect Core 1.0 section 3.1, RFC 7636, RFC 9700). It knows who somebody is and what the rules of the settings let
//! them do; sessions and pages are the console's.

mod allow;
mod attempt;
mod config;
mod keys;
mod provider;
mod token;
mod web;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::{sync::Semaphore, time::timeout};
use url::{Url, form_urlencoded};

pub use config::{AllowRule, OidcConfig};
pub use provider::Trouble;
pub(super) use web::{routes, way_out};

use crate::{http::Scope, id::Entropy, time::Clock};
use attempt::{Attempt, Used};
use provider::{Provider, word};
use token::{Claims, Expected, Token, Unbelievable, subject};

/// Where the provider sends browsers back to, below the console.
const CALLBACK: &str = "/oidc/callback";
/// How long finishing a sign-in may take with everything that the provider is asked.
const FINISH_WITHIN: Duration = Duration::from_secs(12);
/// How long signing out looks for the provider's own way out.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// Most sign-ins that are being finished at once.
const MAX_AT_ONCE: usize = 64;
/// Longest `code`, in bytes.
const MAX_CODE_BYTES: usize = 4096;
/// Longest name that is shown, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Signing in through one provider.
pub struct Oidc {
    config: OidcConfig,
    /// The redirect URI, as it is registered with the provider.
    back: String,
    provider: Provider,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    used: Used,
    finishing: Semaphore,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oidc").field("issuer", &self.config.issuer).finish_non_exhaustive()
    }
}

/// The HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("requests to the provider of console.oidc cannot be made")]
pub struct NoClient(#[source] reqwest::Error);

/// Stands for the rules of the settings.
pub(super) type RulesPrint = [u8; 16];

/// Somebody who signed in.
struct Person {
    /// `sub`: who it is for the provider, for ever.
    subject: String,
    /// What they are called, for the page.
    name: String,
    scopes: Vec<Scope>,
}

/// Why nobody signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// The browser did not begin this, or too long ago, or it was finished already.
    Stranger(&'static str),
    /// The provider says no, with a word of RFC 6749 section 4.1.2.1.
    Declined(String),
    /// The answer is not from the provider.
    OtherProvider,
    /// The token is not to be believed.
    Token(Unbelievable),
    /// No rule lets this person in.
    NotAllowed { subject: String },
    /// The provider is of no help now.
    Provider(Trouble),
    /// Too many at once.
    Busy,
}

impl Refusal {
    /// A word for the audit log.
    fn cause(&self) -> String {
        match self {
            Self::Stranger(word) => (*word).to_owned(),
            Self::Declined(word) => format!("provider_says_{word}"),
            Self::OtherProvider => String::from("issuer_mismatch"),
            Self::Token(why) => why.word().to_owned(),
            Self::NotAllowed { .. } => String::from("not_allowed"),
            Self::Provider(Trouble::Refused(word)) => format!("code_refused_{word}"),
            Self::Provider(Trouble::Away { .. }) => String::from("provider_away"),
            Self::Provider(Trouble::Unfit(_)) => String::from("provider_unfit"),
            Self::Busy => String::from("busy"),
        }
    }
}

/// What the provider sends a browser back with.
#[derive(Debug, Default)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

impl Answer {
    /// Reads a query. `None` where something that counts stands in it twice (RFC 6749 section 3.1).
    fn read(query: &str) -> Option<Self> {
        let mut answer = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "code" => &mut answer.code,
                "state" => &mut answer.state,
                "iss" => &mut answer.iss,
                "error" => &mut answer.error,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(answer)
    }
}

impl Oidc {
    /// Signing in through the provider of the settings. `public_url` is what operators call us. Reaches nobody.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(
        config: OidcConfig,
        public_url: &Url,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, NoClient> {
        Ok(Self {
            back: redirect_uri(public_url),
            provider: Provider::new(config.clone(), Arc::clone(&clock)).map_err(NoClient)?,
            config,
            clock,
            entropy,
            used: Used::default(),
            finishing: Semaphore::new(MAX_AT_ONCE),
        })
    }

    /// Looks whether the provider can be used, without signing in: how many keys it has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check(&self) -> Result<String, Trouble> {
        let metadata = self.provider.metadata().await?;
        let keys = self.provider.keys(None).await?;
        if keys.len() == 0 {
            return Err(Trouble::Unfit(String::from("it has no key for RS256, PS256, ES256 or EdDSA")));
        }
        let out = if metadata.end_session.is_some() { ", signs out too" } else { "" };
        Ok(format!("{}, {} keys{out}; it has to know the redirect URI {}", self.config.issuer, keys.len(), self.back))
    }

    /// Stands for the rules in a session: with other rules one has to sign in anew.
    pub(super) fn rules_print(&self) -> RulesPrint {
        let rules = (&self.config.issuer, &self.config.client_id, &self.config.allow);
        let hash = Sha256::digest(serde_json::to_vec(&rules).unwrap_or_default());
        let mut print = [0; 16];
        print.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        print
    }

    /// What the button says, where the settings say it.
    pub(super) fn label(&self) -> Option<&str> {
        self.config.label.as_deref()
    }

    /// Begins a sign-in that ends at `next`: where to send the browser, and what has to come back with it.
    async fn begin(&self, next: &str) -> Result<(String, Attempt), Refusal> {
        let metadata = self.provider.metadata().await.map_err(Refusal::Provider)?;
        let attempt = Attempt::begin(&*self.entropy, next);
        let mut url = metadata.authorization.clone();
        let scopes: Vec<&str> = std::iter::once("openid")
            .chain(self.config.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"))
            .collect();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("response_mode", "query")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.back)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &attempt.state())
            .append_pair("nonce", &attempt.nonce())
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok((url.into(), attempt))
    }

    /// Finishes one: who it is.
    async fn finish(&self, query: &str, attempt: &Attempt) -> Result<Person, Refusal> {
        let Ok(_place) = self.finishing.try_acquire() else { return Err(Refusal::Busy) };
        let late = Trouble::Away { what: "the provider", why: String::from("no answer in time") };
        timeout(FINISH_WITHIN, self.finish_in_time(query, attempt)).await.unwrap_or(Err(Refusal::Provider(late)))
    }

    async fn finish_in_time(&self, query: &str, attempt: &Attempt) -> Result<Person, Refusal> {
        let answer = Answer::read(query).ok_or(Refusal::Stranger("answer_ambiguous"))?;
        if !answer.state.is_some_and(|state| attempt.has_state(&state)) {
            return Err(Refusal::Stranger("state_mismatch"));
        }
        let says_who = match &answer.iss {
            Some(iss) if *iss == self.config.issuer => true,
            Some(_) => return Err(Refusal::OtherProvider),
            None => false,
        };
        if !self.used.note(attempt) {
            return Err(Refusal::Stranger("used_before"));
        }
        // One that always says who it is (RFC 9207) has not sent an answer without.
        if !says_who && self.provider.metadata().await.map_err(Refusal::Provider)?.says_who {
            return Err(Refusal::OtherProvider);
        }
        if let Some(error) = &answer.error {
            return Err(Refusal::Declined(word(error)));
        }
        let code = answer.code.filter(|code| (1..=MAX_CODE_BYTES).contains(&code.len()));
        let code = code.ok_or(Refusal::Stranger("no_code"))?;
        let tokens = self.provider.exchange(&code, &attempt.verifier(), &self.back).await.map_err(Refusal::Provider)?;
        let token = Token::read(&tokens.id_token).map_err(Refusal::Token)?;
        let keys = self.provider.keys(token.kid()).await.map_err(Refusal::Provider)?;
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: &attempt.nonce(),
            access_token: tokens.access_token.as_deref(),
            now: self.clock.now(),
        };
        let claims = token.believe(&keys, &expected).map_err(Refusal::Token)?;
        let claims = self.complete(claims, tokens.access_token.as_deref()).await?;
        self.admit(&claims)
    }

    /// Adds what the provider tells at its userinfo endpoint, where the token alone does not answer the rules.
    async fn complete(&self, claims: Claims, access_token: Option<&str>) -> Result<Claims, Refusal> {
        if allow::knows_enough(&self.config.allow, &claims) {
            return Ok(claims);
        }
        let Some(access_token) = access_token else { return Ok(claims) };
        let Some(mut all) = self.provider.more(access_token).await.map_err(Refusal::Provider)? else {
            return Ok(claims);
        };
        // Another person's claims must not be taken for this one's (Core section 5.3.2).
        if subject(&all) != subject(&claims) {
            return Err(Refusal::Token(Unbelievable::Subject));
        }
        all.extend(claims);
        Ok(all)
    }

    fn admit(&self, claims: &Claims) -> Result<Person, Refusal> {
        let subject = subject(claims).ok_or(Refusal::Token(Unbelievable::Subject))?.to_owned();
        let scopes = allow::scopes(&self.config.allow, claims);
        if scopes.is_empty() {
            return Err(Refusal::NotAllowed { subject });
        }
        let names = ["name", "preferred_username", "email"].iter().filter_map(|name| claims.get(*name)?.as_str());
        let name = names.map(shown).find(|name| !name.is_empty()).unwrap_or_else(|| shown(&subject));
        Ok(Person { subject, name, scopes })
    }

    /// Where one signs out of the provider too, if it has such a place (RP-Initiated Logout 1.0).
    async fn end_session(&self) -> Option<String> {
        let known = timeout(LEAVE_WITHIN, self.provider.metadata()).await.ok()?;
        let mut url = known.ok()?.end_session.clone()?;
        let back = self.back.strip_suffix(CALLBACK).unwrap_or_default();
        url.query_pairs_mut()
            .append_pair("client_id", &self.config.client_id)
            .append_pair("post_logout_redirect_uri", &format!("{back}/sign-in"));
        Some(url.into())
    }
}

/// The redirect URI below a public address.
fn redirect_uri(public_url: &Url) -> String {
    format!("{}{}{CALLBACK}", public_url.as_str().trim_end_matches('/'), super::MOUNT)
}

/// A name as it may stand on a page: one line, not too long, nothing that changes the direction of what is beside it.
fn shown(name: &str) -> String {
    let is_mark =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let name: String = name.chars().filter(|c| !c.is_control() && !is_mark(*c)).take(MAX_NAME_CHARS).collect();
    name.trim().to_owned()
}
