//! Owns talking to the provider: what it publishes of itself (`OpenID` Connect Discovery 1.0), its keys, the exchange of a
//! code for a token, and more about a person. What it says is bounded in time and size, kept for a while, and used only
//! where it fits the settings. Who may enter is not decided here.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64;
use reqwest::{Client, RequestBuilder, StatusCode, header, redirect::Policy};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use super::{
    config::{OidcConfig, address, is_safe},
    keys::KeySet,
    token::Claims,
};
use crate::time::{Clock, Timestamp};

/// How long one answer of the provider may take, and the connection to it.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// How long what the provider publishes is taken as it was read.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// Least time between two looks for a key that is not among those known, and after a failure.
const REST: Duration = Duration::from_secs(5);
/// Longest word of an error that is passed on, in bytes.
const MAX_WORD_BYTES: usize = 64;

/// Why the provider is of no help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No usable answer came in time.
    #[error("{what}: {why}")]
    Away {
        /// What was asked for.
        what: &'static str,
        /// What came instead.
        why: String,
    },
    /// What it says does not fit: the settings are wrong, or it is not the provider.
    #[error("{0}")]
    Unfit(String),
    /// It refused the code, with a word of RFC 6749 section 5.2.
    #[error("the provider refused the code: {0}")]
    Refused(String),
}

/// What a provider publishes of itself, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The same, looked through.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    pub(super) authorization: Url,
    token: Url,
    jwks: Url,
    userinfo: Option<Url>,
    pub(super) end_session: Option<Url>,
    /// Whether the secret goes into the form instead of a header.
    secret_in_form: bool,
    /// Whether it says who it is when it sends a browser back (RFC 9207).
    pub(super) says_who: bool,
}

/// What came for a code.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    pub(super) access_token: Option<String>,
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Timestamp, Arc<Metadata>)>,
    keys: Option<(Timestamp, Arc<KeySet>)>,
    /// When it last failed, and how.
    failed: Option<(Timestamp, Trouble)>,
}

/// A provider.
pub(super) struct Provider {
    http: Client,
    config: OidcConfig,
    clock: Arc<dyn Clock>,
    /// Held while something is fetched, so that many who wait ask once.
    known: Mutex<Known>,
}

impl Provider {
    pub(super) fn new(config: OidcConfig, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .timeout(ANSWER_WITHIN)
            .connect_timeout(CONNECT_WITHIN)
            .redirect(Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http, config, clock, known: Mutex::default() })
    }

    /// What it publishes of itself.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Trouble> {
        let mut known = self.known.lock().await;
        self.metadata_of(&mut known).await
    }

    async fn metadata_of(&self, known: &mut Known) -> Result<Arc<Metadata>, Trouble> {
        let now = self.clock.now();
        if let Some((at, metadata)) = &known.metadata
            && now.since(*at) < FRESH
        {
            return Ok(Arc::clone(metadata));
        }
        if let Some((at, trouble)) = &known.failed
            && now.since(*at) < REST
        {
            return Err(trouble.clone());
        }
        match self.discover().await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Known { metadata: Some((now, Arc::clone(&metadata))), keys: known.keys.take(), failed: None };
                Ok(metadata)
            }
            Err(trouble) => {
                known.failed = Some((now, trouble.clone()));
                Err(trouble)
            }
        }
    }

    /// Its keys; read again where none of this name is among them, but not too often.
    pub(super) async fn keys(&self, kid: Option<&str>) -> Result<Arc<KeySet>, Trouble> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if let Some((at, keys)) = &known.keys {
            let age = now.since(*at);
            if age < REST || (age < FRESH && keys.has(kid)) {
                return Ok(Arc::clone(keys));
            }
        }
        let metadata = self.metadata_of(&mut known).await?;
        let body = self.fetch("its keys", self.http.get(metadata.jwks.clone())).await?;
        let keys = KeySet::read(&body).map(Arc::new);
        let keys = keys.ok_or_else(|| away("its keys", "the answer is no set of keys (JWKS)"))?;
        known.keys = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }

    async fn discover(&self) -> Result<Metadata, Trouble> {
        let what = "its discovery document";
        let issuer = self.config.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let body = self.fetch(what, self.http.get(url)).await?;
        let document: Document = serde_json::from_slice(&body)
            .map_err(|error| away(what, &format!("the answer cannot be read: {error}")))?;
        self.look_through(&document)
    }

    fn look_through(&self, document: &Document) -> Result<Metadata, Trouble> {
        if document.issuer != self.config.issuer {
            let own: String = document.issuer.chars().filter(|c| c.is_ascii_graphic()).take(200).collect();
            return Err(Trouble::Unfit(format!(
                "it calls itself {own}; console.oidc.issuer has to be the same to the letter"
            )));
        }
        // A provider that is reached over TLS does not send secrets over lines without.
        let is_plain = address(&self.config.issuer).is_ok_and(|issuer| issuer.scheme() == "http");
        let endpoint = |name: &str, text: &str| {
            let url = text.parse::<Url>().ok().filter(|url| is_safe(url) && (is_plain || url.scheme() == "https"));
            url.filter(|url| url.fragment().is_none() && url.username().is_empty() && url.password().is_none())
                .ok_or_else(|| Trouble::Unfit(format!("its {name} is no address with https://")))
        };
        let maybe = |name, text: &Option<String>| text.as_ref().map(|text| endpoint(name, text)).transpose();
        let methods = document.token_endpoint_auth_methods_supported.as_deref();
        let takes = |method| methods.is_some_and(|methods| methods.iter().any(|known| known == method));
        // Without a word about it a header is what every provider takes (Discovery section 3).
        let secret_in_form = match methods {
            None => false,
            Some(_) if takes("client_secret_basic") => false,
            Some(_) if takes("client_secret_post") => true,
            Some(_) => {
                return Err(Trouble::Unfit(String::from(
                    "it takes neither client_secret_basic nor client_secret_post",
                )));
            }
        };
        Ok(Metadata {
            authorization: endpoint("authorization_endpoint", &document.authorization_endpoint)?,
            token: endpoint("token_endpoint", &document.token_endpoint)?,
            jwks: endpoint("jwks_uri", &document.jwks_uri)?,
            userinfo: maybe("userinfo_endpoint", &document.userinfo_endpoint)?,
            end_session: maybe("end_session_endpoint", &document.end_session_endpoint)?,
            secret_in_form,
            says_who: document.authorization_response_iss_parameter_supported,
        })
    }

    /// Exchanges a code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
    pub(super) async fn exchange(&self, code: &str, verifier: &str, back: &str) -> Result<Tokens, Trouble> {
        let what = "its token endpoint";
        let metadata = self.metadata().await?;
        let secret = self.config.client_secret.expose();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", verifier),
        ];
        let mut request = self.http.post(metadata.token.clone());
        if metadata.secret_in_form {
            form.extend([("client_id", self.config.client_id.as_str()), ("client_secret", secret)]);
        } else {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let both = format!("{}:{}", encoded(&self.config.client_id), encoded(secret));
            request = request.header(header::AUTHORIZATION, format!("Basic {}", BASE64.encode(both.as_bytes())));
        }
        let (status, body) = self.ask(what, request.form(&form)).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| away(what, "the answer holds no ID token"));
        }
        match serde_json::from_slice::<TokenError>(&body) {
            Ok(refused) if status.is_client_error() => Err(Trouble::Refused(word(&refused.error))),
            Ok(_) | Err(_) => Err(away(what, &format!("the answer is {}", status.as_u16()))),
        }
    }

    /// More about the person whom an access token stands for (Core section 5.3). `None` where the provider tells no more.
    pub(super) async fn more(&self, access_token: &str) -> Result<Option<Claims>, Trouble> {
        let what = "its userinfo endpoint";
        let Some(url) = self.metadata().await?.userinfo.clone() else { return Ok(None) };
        let body = self.fetch(what, self.http.get(url).bearer_auth(access_token)).await?;
        serde_json::from_slice(&body).map(Some).map_err(|_| away(what, "the answer is no JSON object"))
    }

    async fn fetch(&self, what: &'static str, request: RequestBuilder) -> Result<Vec<u8>, Trouble> {
        let (status, body) = self.ask(what, request).await?;
        if status == StatusCode::OK { Ok(body) } else { Err(away(what, &format!("the answer is {}", status.as_u16()))) }
    }

    async fn ask(&self, what: &'static str, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Trouble> {
        // The address is cut out: it may hold what belongs into no log.
        let failed = |error: reqwest::Error| away(what, reason(&error.without_url()));
        let mut answer = request.header(header::ACCEPT, "application/json").send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(away(what, "the answer is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((answer.status(), body))
    }
}

fn away(what: &'static str, why: &str) -> Trouble {
    Trouble::Away { what, why: why.to_owned() }
}

fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "it cannot be connected to, or its certificate is not trusted"
    } else {
        "the answer broke off"
    }
}

/// A word of the provider that may stand in a log.
pub(super) fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(MAX_WORD_BYTES).collect()
}
