//! Owns talking to a running service as its clients do: over the public API, with an API key.

use std::{path::PathBuf, time::Duration};

use reqwest::{Method, RequestBuilder, StatusCode, header::ACCEPT_LANGUAGE};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::form_urlencoded;

use super::{
    Exit,
    output::{Output, plain},
};
use crate::{
    config::{self, Sources},
    secret::Secret,
};

/// How long an answer may take that is not held.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read, in bytes: a thousand call records with their timelines.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// How a command reaches the service.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Connection {
    /// Where the service is [default: client.url, or server.listen, of the configuration]
    #[arg(long, value_name = "URL", env = "RINGPROOF_URL")]
    url: Option<String>,
    /// File that holds the API key
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    api_key_file: Option<PathBuf>,
    /// The API key; others on this machine can see arguments, so better the environment or a file
    #[arg(long, value_name = "KEY", env = "RINGPROOF_API_KEY", hide_env_values = true, value_parser = secret)]
    api_key: Option<Secret<String>>,
    /// File of settings [default: ./ringproof.toml, then /etc/ringproof/ringproof.toml]
    #[arg(long, short, value_name = "FILE", env = config::FILE_VARIABLE)]
    config: Option<PathBuf>,
}

impl Connection {
    /// What is given here, and the rest from another.
    pub(super) fn or(&self, other: &Self) -> Self {
        let own_key = self.api_key_file.is_some() || self.api_key.is_some();
        let key = if own_key { self } else { other };
        Self {
            url: self.url.clone().or_else(|| other.url.clone()),
            api_key_file: key.api_key_file.clone(),
            api_key: key.api_key.clone(),
            config: self.config.clone().or_else(|| other.config.clone()),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the form that the parser of arguments asks for")]
fn secret(text: &str) -> Result<Secret<String>, String> {
    Ok(Secret::new(text.trim().to_owned()))
}

/// Why nothing came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiError {
    /// No answer.
    Away(String),
    /// An answer that is none of a ringproof.
    Odd(String),
    /// A problem document.
    Refused(Box<Problem>),
}

/// A problem document (RFC 9457), as far as people read it here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    /// The stable word.
    pub(super) code: String,
    title: String,
    detail: Option<String>,
    retry_after: Option<u64>,
    errors: Vec<ProblemMember>,
    verification: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct ProblemMember {
    pointer: String,
    detail: String,
}

impl ApiError {
    /// Says it, with what to do.
    pub(super) fn tell(&self, api: &Api, out: &mut Output) -> std::io::Result<Exit> {
        match self {
            Self::Away(why) => {
                out.fault(&format!("the service at {} cannot be reached: {}", api.base, plain(why)))?;
                out.note("Is it running? Start it with `ringproof serve`, or name another one with --url.")?;
                Ok(Exit::Away)
            }
            Self::Odd(why) => {
                out.fault(&format!("what answers at {} is no ringproof: {}", api.base, plain(why)))?;
                out.note("Name the service with --url, as in --url https://verify.example.com.")?;
                Ok(Exit::Away)
            }
            Self::Refused(problem) => problem.tell(out),
        }
    }
}

impl Problem {
    fn tell(&self, out: &mut Output) -> std::io::Result<Exit> {
        if self.code == "unauthorized" {
            out.fault("the service does not know this API key.")?;
            out.note("Give one with --api-key-file or RINGPROOF_API_KEY; `ringproof key new` makes one.")?;
            return Ok(Exit::Away);
        }
        let detail = self.detail.as_deref().map(|detail| format!(": {}", plain(detail))).unwrap_or_default();
        let place = match self.errors.as_slice() {
            [only] => format!("{}: ", plain(&member(&only.pointer))),
            _ => String::new(),
        };
        out.fault(&format!("{place}{}{detail} [{}]", plain(&self.title), plain(&self.code)))?;
        for fault in self.errors.iter().filter(|_| self.errors.len() > 1) {
            out.note(&format!("  {}: {}", plain(&member(&fault.pointer)), plain(&fault.detail)))?;
        }
        if let Some(seconds) = self.retry_after {
            out.note(&format!("Try again in {seconds} s."))?;
        }
        if let Some(id) = &self.verification {
            out.note(&format!("The pending one is {}.", plain(id)))?;
        }
        Ok(Exit::Refused)
    }
}

/// A client of the API.
pub(super) struct Api {
    http: reqwest::Client,
    pub(super) base: String,
    key: Secret<String>,
}

impl Api {
    /// From flags, environment and configuration; says what is missing.
    pub(super) fn new(connection: &Connection, out: &mut Output) -> std::io::Result<Result<Self, Exit>> {
        let sources = Sources::of_process(connection.config.clone());
        let (client, server) = match config::load_client(&sources) {
            Ok(loaded) => loaded,
            Err(error) => {
                super::explain(&error, out)?;
                return Ok(Err(Exit::Config));
            }
        };
        let base = connection.url.clone().or(client.url).unwrap_or_else(|| local(server.listen));
        let key = match &connection.api_key_file {
            Some(file) => match config::secret_file(file) {
                Ok(key) => Some(Secret::new(key)),
                Err(why) => {
                    out.fault(&format!("{}: {why}", file.display()))?;
                    return Ok(Err(Exit::Usage));
                }
            },
            None => connection.api_key.clone().or(client.api_key),
        };
        let Some(key) = key else {
            out.fault("an API key is needed.")?;
            out.note(
                "Give one with --api-key-file or RINGPROOF_API_KEY, or name client.api_key_file in the configuration.",
            )?;
            out.note("`ringproof key new --name me --scope verify,calls` makes one.")?;
            return Ok(Err(Exit::Usage));
        };
        let is_http = base.parse::<url::Url>().is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_http {
            out.fault(&format!(
                "{} is no address of a service; write it as in https://verify.example.com",
                plain(&base)
            ))?;
            return Ok(Err(Exit::Usage));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("ringproof/", env!("CARGO_PKG_VERSION")))
            .build();
        match http {
            Ok(http) => Ok(Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key })),
            Err(error) => {
                out.fault(&format!("requests cannot be made: {error}"))?;
                Ok(Err(Exit::Broken))
            }
        }
    }

    /// Asks for a verification. The key makes a repeated request harmless.
    pub(super) async fn create(&self, body: &Value, idempotency_key: &str) -> Result<Value, ApiError> {
        let request = self.request(Method::POST, "/v1/verifications").json(body);
        self.send(request.header("Idempotency-Key", idempotency_key).timeout(TIMEOUT)).await
    }

    /// A verification, once its revision is another one or the time is over.
    pub(super) async fn wait(&self, id: &str, revision: u64, at_most: Duration) -> Result<Value, ApiError> {
        let seconds = at_most.as_secs();
        let path = format!("/v1/verifications/{id}?wait={seconds}&revision={revision}");
        self.send(self.request(Method::GET, &path).timeout(TIMEOUT + at_most)).await
    }

    /// Takes a verification back.
    pub(super) async fn cancel(&self, id: &str) -> Result<Value, ApiError> {
        let path = format!("/v1/verifications/{id}/cancel");
        self.send(self.request(Method::POST, &path).timeout(TIMEOUT)).await
    }

    /// Has a code compared.
    pub(super) async fn check(&self, id: &str, code: &str) -> Result<Value, ApiError> {
        let path = format!("/v1/verifications/{id}/check");
        self.send(self.request(Method::POST, &path).json(&serde_json::json!({ "code": code })).timeout(TIMEOUT)).await
    }

    /// A page of the call log.
    pub(super) async fn calls<T: DeserializeOwned>(&self, query: &[(&str, String)]) -> Result<T, ApiError> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.send(self.request(Method::GET, &format!("/v1/calls?{query}")).timeout(TIMEOUT)).await
    }

    /// One call, explained in a language.
    pub(super) async fn call<T: DeserializeOwned>(&self, id: &str, language: &str) -> Result<T, ApiError> {
        let request = self.request(Method::GET, &format!("/v1/calls/{id}")).header(ACCEPT_LANGUAGE, language);
        self.send(request.timeout(TIMEOUT)).await
    }

    /// The statistics.
    pub(super) async fn stats<T: DeserializeOwned>(&self, query: &[(&str, String)]) -> Result<T, ApiError> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.send(self.request(Method::GET, &format!("/v1/stats?{query}")).timeout(TIMEOUT)).await
    }

    /// Takes calls to a number out of the call log.
    pub(super) async fn erase(&self, body: &Value) -> Result<Value, ApiError> {
        self.send(self.request(Method::POST, "/v1/calls/erase").json(body).timeout(TIMEOUT)).await
    }

    /// The limits in force, and what stands against calls.
    pub(super) async fn limits(&self) -> Result<Value, ApiError> {
        self.send(self.request(Method::GET, "/v1/limits").timeout(TIMEOUT)).await
    }

    /// Bars calls, or allows them.
    pub(super) async fn bar(&self, body: &Value) -> Result<Value, ApiError> {
        self.send(self.request(Method::POST, "/v1/limits/bar").json(body).timeout(TIMEOUT)).await
    }

    /// Lifts what stands against calls.
    pub(super) async fn lift(&self, body: &Value) -> Result<Value, ApiError> {
        self.send(self.request(Method::POST, "/v1/limits/lift").json(body).timeout(TIMEOUT)).await
    }

    /// The call log as a file, explained in a language: an answer that is read as it comes.
    pub(super) async fn export(
        &self,
        form: &str,
        query: &[(&str, String)],
        language: &str,
    ) -> Result<reqwest::Response, ApiError> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let request = self.request(Method::GET, &format!("/v1/calls.{form}?{query}"));
        let answer = request.header(ACCEPT_LANGUAGE, language).send().await;
        let answer = answer.map_err(|error| ApiError::Away(reason(&error)))?;
        if answer.status().is_success() { Ok(answer) } else { Err(Self::refused(answer).await) }
    }

    /// What an answer says that is not a good one.
    async fn refused(answer: reqwest::Response) -> ApiError {
        let status = answer.status();
        match Self::body(answer).await {
            Ok(body) => refusal(status, &body),
            Err(error) => error,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.key.expose())
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ApiError> {
        let answer = request.send().await.map_err(|error| ApiError::Away(reason(&error)))?;
        let status = answer.status();
        let body = Self::body(answer).await?;
        if status.is_success() {
            let body = if status == StatusCode::NO_CONTENT { b"null".to_vec() } else { body };
            return serde_json::from_slice(&body).map_err(|_| ApiError::Odd(String::from("its answer cannot be read")));
        }
        Err(refusal(status, &body))
    }

    async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| ApiError::Away(reason(&error)))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(ApiError::Odd(String::from("its answer is too large")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> ApiError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if !problem.code.is_empty() => ApiError::Refused(Box::new(problem)),
        Ok(_) | Err(_) if status == StatusCode::UNAUTHORIZED => {
            ApiError::Refused(Box::new(Problem { code: String::from("unauthorized"), ..Problem::default() }))
        }
        Ok(_) | Err(_) => ApiError::Odd(format!("it answers {status}")),
    }
}

/// The member that a JSON pointer leads to.
fn member(pointer: &str) -> String {
    pointer.trim_start_matches("#/").replace('/', ".")
}

/// The address of a service that listens there, seen from this machine.
pub(super) fn local(listen: std::net::SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", std::net::SocketAddr::new(ip, listen.port()))
}

/// The innermost cause: what people can do something about.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return String::from("no answer in time");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(behind) = cause.source() {
        cause = behind;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_local_service_is() {
        for (listen, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("10.0.0.5:80", "http://10.0.0.5:80"),
        ] {
            assert_eq!(local(listen.parse().unwrap()), url);
        }
    }
}
