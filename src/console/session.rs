//! Owns who is signed in to the console: what a session holds, the cookie that carries it sealed, and that it ends with the
//! key it came from. Nothing of it is kept here: any ringproof beside the same store knows any session.

use std::{str::FromStr, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderMap, HeaderValue, header, request},
    response::Response,
};
use serde::{Deserialize, Serialize};

use super::{Console, oidc::RulesPrint, sign_in, zone::Zone};
use crate::{
    http::{Caller, KeyPrint, Scope},
    pages::{self, Theme, Words},
    time::Timestamp,
};

/// What the cookie of a session is called, after [`Console::cookie_name`].
pub(super) const SESSION: &str = "session";
/// What the cookie of language, colours and time zone is called.
const TASTE: &str = "taste";
/// How long a browser remembers these.
const TASTE_KEPT: Duration = Duration::from_hours(365 * 24);

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    /// Who: the name of a key, or of a person. Stands in the audit log.
    pub(super) subject: String,
    /// What a person is called, for the page.
    name: Option<String>,
    /// How they signed in.
    pub(super) via: Via,
    /// What they may do.
    pub(super) scopes: Vec<Scope>,
    /// Whose calls they see; of all clients where there is none.
    pub(super) client: Option<String>,
    /// When the session is over, whatever happens, in ms.
    until_ms: u64,
}

/// How somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Via {
    /// With this key: the session lives no longer than the key.
    Key(KeyPrint),
    /// At an identity provider, under these rules: the session lives no longer than they do.
    Person(RulesPrint),
}

impl Session {
    /// The session of whoever holds a key.
    pub(super) fn of_key(caller: &Caller, until: Timestamp) -> Self {
        let name = caller.tenant.client.name.clone();
        Self {
            client: (!caller.has(Scope::Admin)).then(|| name.clone()),
            subject: name,
            name: None,
            via: Via::Key(caller.print),
            scopes: caller.scopes(),
            until_ms: until.as_ms(),
        }
    }

    /// The session of a person whom an identity provider knows: they see the calls of all clients.
    pub(super) fn of_person(
        subject: String,
        name: String,
        rules: RulesPrint,
        scopes: &[Scope],
        until: Timestamp,
    ) -> Self {
        let (via, scopes) = (Via::Person(rules), scopes.to_vec());
        Self { subject, name: Some(name), via, scopes, client: None, until_ms: until.as_ms() }
    }

    /// What is shown of who is signed in.
    pub(super) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.subject)
    }

    /// Whether they may do that; `admin` may everything.
    pub(super) fn has(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|held| *held == scope || *held == Scope::Admin)
    }

    /// Whether they see what belongs to this client.
    pub(super) fn sees(&self, client: &str) -> bool {
        self.client.as_ref().is_none_or(|own| own == client)
    }

    /// When the session is over.
    pub(super) const fn until(&self) -> Timestamp {
        Timestamp::from_ms(self.until_ms)
    }

    /// The session of a request, if it still holds: sealed by us, not over, its key still configured. What the key may do
    /// is read anew each time.
    pub(super) fn of(console: &Console, headers: &HeaderMap) -> Option<Self> {
        let sealed = pages::cookie(headers, &console.cookie_name(SESSION))?;
        let bytes = console.seal.open(SESSION, sealed, console.clock.now())?;
        let session: Self = serde_json::from_slice(&bytes).ok()?;
        match session.via {
            Via::Key(print) => console.keys.holder(print).map(|caller| Self::of_key(&caller, session.until())),
            Via::Person(print) => {
                let still = console.oidc.as_ref().is_some_and(|oidc| oidc.rules_print() == print);
                still.then_some(session)
            }
        }
    }

    /// The cookie that carries this session.
    pub(super) fn cookie(&self, console: &Console) -> Option<HeaderValue> {
        let bytes = serde_json::to_vec(self).ok()?;
        let sealed = console.seal.seal(SESSION, &bytes, self.until())?;
        console.set_cookie(SESSION, &sealed, SameSite::Strict, Some(self.until().since(console.clock.now())))
    }
}

/// Which requests a cookie goes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SameSite {
    /// Those of our own pages only.
    Strict,
    /// Also when another site's page leads to ours.
    Lax,
}

impl Console {
    /// The full name of a cookie. A browser takes one that begins with `__Host-` only over TLS and for this host alone
    /// (RFC 6265bis section 4.1.3.2).
    pub(super) fn cookie_name(&self, name: &str) -> String {
        if self.secure { format!("__Host-ringproof_{name}") } else { format!("ringproof_{name}") }
    }

    /// A `Set-Cookie` of ours. Without an age it goes with the browser; with none left it goes now.
    pub(super) fn set_cookie(
        &self,
        name: &str,
        value: &str,
        same_site: SameSite,
        age: Option<Duration>,
    ) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let age = age.map_or_else(String::new, |age| format!("; Max-Age={}", age.as_secs()));
        let same_site = match same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
        };
        let name = self.cookie_name(name);
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{age}{secure}")).ok()
    }
}

/// How somebody wishes to see pages. Stands in a cookie of its own, open: there is nothing to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taste {
    pub(super) words: Words,
    pub(super) theme: Theme,
    pub(super) zone: Zone,
}

impl Taste {
    /// What the cookie says; where it says nothing, what the browser asks for.
    pub(super) fn of(console: &Console, headers: &HeaderMap) -> Self {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let usual = Self { words: Words::of(asked), theme: Theme::Auto, zone: Zone::UTC };
        let name = console.cookie_name(TASTE);
        let Some(mut parts) = pages::cookie(headers, &name).map(|value| value.splitn(3, '.')) else { return usual };
        let mut next = || parts.next().unwrap_or_default();
        Self {
            words: Some(next()).filter(|tag| !tag.is_empty()).map_or(usual.words, Words::of),
            theme: Theme::of(next()).unwrap_or(usual.theme),
            zone: Zone::from_str(next()).unwrap_or(usual.zone),
        }
    }

    /// The cookie that remembers it.
    pub(super) fn cookie(&self, console: &Console) -> Option<HeaderValue> {
        let value = format!("{}.{}.{}", self.words.language, self.theme.as_str(), self.zone.name());
        console.set_cookie(TASTE, &value, SameSite::Strict, Some(TASTE_KEPT))
    }
}

/// A look at a page by somebody who is signed in and may see calls. Whoever is not is sent to the sign-in, or told so.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) session: Session,
    pub(super) words: Words,
    pub(super) theme: Theme,
    pub(super) zone: Zone,
    /// Path and query of the page, below [`Console::base`].
    pub(super) path: String,
}

impl FromRequestParts<Arc<Console>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut request::Parts, console: &Arc<Console>) -> Result<Self, Response> {
        let OriginalUri(uri) =
            OriginalUri::from_request_parts(parts, console).await.unwrap_or_else(|never| match never {});
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let path = path.strip_prefix(super::MOUNT).unwrap_or_default().to_owned();
        let taste = Taste::of(console, &parts.headers);
        let Some(session) = Session::of(console, &parts.headers) else {
            return Err(sign_in::wanted(console, parts, &path));
        };
        if !session.has(Scope::Calls) {
            return Err(sign_in::not_for_you(console, &taste));
        }
        Ok(Self { session, words: taste.words, theme: taste.theme, zone: taste.zone, path })
    }
}
