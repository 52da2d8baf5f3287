//! Owns the part of the demo that any enrolment backend has: it holds an API key, asks for verifications through the
//! public API over HTTP, and believes nothing that a page says about an outcome. Read it as an example.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    id::VerificationId,
    outcome::{Reason, Stage, Status},
    secret::Secret,
    time::Timestamp,
};

/// Longest time that an answer of the API is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Most call records that are asked for.
const MAX_CALLS: usize = 100;

/// A client of the API.
pub(super) struct Backend {
    http: reqwest::Client,
    base: String,
    api_key: Secret<String>,
}

/// What to ask for.
pub(super) struct Wish<'a> {
    pub(super) to: &'a str,
    pub(super) extension: Option<&'a str>,
    pub(super) locale: &'a str,
    pub(super) brand: &'a str,
    pub(super) reference: &'a str,
    pub(super) idempotency_key: &'a str,
}

/// A verification, as far as this backend reads it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Seen {
    #[serde(deserialize_with = "read_back")]
    pub(super) id: VerificationId,
    pub(super) status: Status,
    pub(super) stage: Stage,
    pub(super) reason: Option<Reason>,
    /// Masked.
    pub(super) to: String,
    pub(super) caller_id: Option<String>,
    /// Seconds after a call was placed from which on a redial may be asked for.
    pub(super) redial_after: u32,
    pub(super) calls: Vec<SeenCall>,
    #[serde(deserialize_with = "time")]
    pub(super) created_at: Timestamp,
}

/// A call of a verification.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SeenCall {
    #[serde(deserialize_with = "time")]
    pub(super) started_at: Timestamp,
}

/// A record of the call log.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SeenRecord {
    pub(super) reference: Option<String>,
    pub(super) to: String,
    pub(super) status: Status,
    pub(super) reason: Option<Reason>,
    #[serde(deserialize_with = "time")]
    pub(super) started_at: Timestamp,
    #[serde(default, deserialize_with = "maybe_time")]
    pub(super) ringing_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "maybe_time")]
    pub(super) answered_at: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    pub(super) ended_at: Timestamp,
}

/// Why the API did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BackendError {
    /// A problem document (RFC 9457).
    #[error("the API refused: {code}")]
    Refused {
        /// The stable word.
        code: String,
        /// Seconds after which to try again.
        retry_after: Option<u32>,
    },
    /// No answer, or one that cannot be read. Nothing is known.
    #[error("the API cannot be reached: {0}")]
    Away(String),
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    retry_after: Option<u32>,
}

#[derive(Deserialize)]
struct Listed<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

fn read_back<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<VerificationId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Timestamp::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn maybe_time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Timestamp::parse(&text).map_err(serde::de::Error::custom)).transpose()
}

impl Backend {
    /// A client of the API at `base`, without a slash at its end.
    ///
    /// # Errors
    /// The HTTP client could not be made.
    pub(super) fn new(base: String, api_key: Secret<String>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, base, api_key })
    }

    /// Asks for a verification.
    pub(super) async fn create(&self, wish: &Wish<'_>) -> Result<Seen, BackendError> {
        let mut body = json!({
            "to": wish.to, "mode": "confirm", "purpose": "enrolment", "locale": wish.locale, "brand": wish.brand,
            "reference": wish.reference,
        });
        if let (Some(extension), Some(members)) = (wish.extension, body.as_object_mut()) {
            members.insert(String::from("extension"), Value::from(extension));
        }
        self.ask(Method::POST, "/v1/verifications", Some((body, wish.idempotency_key))).await
    }

    /// Reads a verification: the only source of an outcome that this backend believes.
    pub(super) async fn read(&self, id: VerificationId) -> Result<Seen, BackendError> {
        self.ask(Method::GET, &format!("/v1/verifications/{id}"), None).await
    }

    /// Takes a verification back.
    pub(super) async fn cancel(&self, id: VerificationId) -> Result<Seen, BackendError> {
        self.ask(Method::POST, &format!("/v1/verifications/{id}/cancel"), None).await
    }

    /// Has the number called again.
    pub(super) async fn redial(&self, id: VerificationId) -> Result<Seen, BackendError> {
        self.ask(Method::POST, &format!("/v1/verifications/{id}/redial"), None).await
    }

    /// A token for the page, which must not hold the API key.
    pub(super) async fn view_token(&self, id: VerificationId) -> Result<String, BackendError> {
        let token: Token = self.ask(Method::POST, &format!("/v1/verifications/{id}/view-token"), None).await?;
        Ok(token.token)
    }

    /// The newest call records of one user.
    pub(super) async fn calls(&self, reference: &str) -> Result<Vec<SeenRecord>, BackendError> {
        let listed: Listed<SeenRecord> = self.ask(Method::GET, &format!("/v1/calls?limit={MAX_CALLS}"), None).await?;
        Ok(listed.items.into_iter().filter(|record| record.reference.as_deref() == Some(reference)).collect())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<(Value, &str)>,
    ) -> Result<T, BackendError> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.api_key.expose());
        if let Some((body, idempotency_key)) = body {
            request = request.json(&body).header("idempotency-key", idempotency_key);
        }
        // The URL is cut out of errors: it names the verification, which belongs into no log of a backend's errors.
        let away = |error: reqwest::Error| BackendError::Away(error.without_url().to_string());
        let mut response = request.send().await.map_err(away)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(BackendError::Away(String::from("the answer is too large")));
            }
            bytes.extend_from_slice(&chunk);
        }
        read_answer(status, &bytes)
    }
}

fn read_answer<T: DeserializeOwned>(status: StatusCode, bytes: &[u8]) -> Result<T, BackendError> {
    let unreadable = || BackendError::Away(format!("the answer cannot be read; its status is {}", status.as_u16()));
    if status.is_success() {
        return serde_json::from_slice(bytes).map_err(|_| unreadable());
    }
    let problem: Problem = serde_json::from_slice(bytes).map_err(|_| unreadable())?;
    Err(BackendError::Refused { code: problem.code, retry_after: problem.retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_problems_told_apart() {
        let token: Token = read_answer(StatusCode::CREATED, br#"{"token": "abc", "expires_at": "x"}"#).unwrap();
        assert_eq!(token.token, "abc");
        let problem = br#"{"type": "urn:x", "code": "too_many", "status": 429, "retry_after": 30}"#;
        let refused = read_answer::<Token>(StatusCode::TOO_MANY_REQUESTS, problem).err();
        assert_eq!(refused, Some(BackendError::Refused { code: String::from("too_many"), retry_after: Some(30) }));
        for garbage in [&b""[..], b"<html>", b"{}"] {
            assert!(matches!(read_answer::<Token>(StatusCode::OK, garbage), Err(BackendError::Away(_))));
            assert!(matches!(read_answer::<Token>(StatusCode::BAD_GATEWAY, garbage), Err(BackendError::Away(_))));
        }
    }
}
