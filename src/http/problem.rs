//! Owns what a client is told when something is refused or fails: problem documents (RFC 9457) with a stable code.
//! The only place that knows status codes. It decides nothing; it says what others decided.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    gateway::{LimitName, Refusal},
    id::VerificationId,
};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What the URIs in `type` begin with; the code follows.
const TYPE_PREFIX: &str = "urn:ringproof:problem:";

/// When to try again when the store or the carriers are away, in seconds.
const AWAY_RETRY_SECS: u32 = 5;

/// Most faulty members that are told at once.
pub const MAX_FAULTS: usize = 16;

/// Makes the table of codes: the variant, its status, its word, its title.
macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $status:ident, $word:tt, $title:tt;)+) => {
        /// Every code that a problem document may carry. Clients rely on the words: add to them, never rename them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
        #[schema(as = ProblemCode)]
        pub enum Code { $($(#[$meta])* #[serde(rename = $word)] $variant),+ }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as clients read it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The HTTP status that it comes with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            /// The same for every problem of this code.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

codes! {
    /// The request is not what this endpoint reads; `errors` names each member.
    Malformed = BAD_REQUEST, "malformed", "The request cannot be read";
    /// No key, or not one of ours.
    Unauthorized = UNAUTHORIZED, "unauthorized", "A valid API key is needed";
    /// The key may not do this.
    Scope = FORBIDDEN, "scope", "The API key does not have the scope for this";
    /// A message that cannot be shown to come from the carrier.
    Forbidden = FORBIDDEN, "forbidden", "Forbidden";
    /// The country is not on the allow-list.
    CountryNotAllowed = FORBIDDEN, "country_not_allowed", "Numbers of this country are not called";
    /// Numbers of this kind are not called.
    NumberTypeNotAllowed = FORBIDDEN, "number_type_not_allowed", "Numbers of this kind are not called";
    /// The number, its prefix, country or account may not be called: an operator, a report or a rule forbids it.
    Barred = FORBIDDEN, "barred", "This call is not made";
    /// Nothing there that this key may see.
    NotFound = NOT_FOUND, "not_found", "There is nothing here";
    /// The address is known, the method is not.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed", "This address does not know the method";
    /// The body did not arrive in time.
    BodyTimeout = REQUEST_TIMEOUT, "body_timeout", "The request did not arrive in time";
    /// The number already has a pending verification of this client.
    AlreadyPending = CONFLICT, "already_pending", "A verification of this number is pending";
    /// The first request with this Idempotency-Key has not been answered yet.
    IdempotencyInProgress = CONFLICT, "idempotency_in_progress", "The first request with this Idempotency-Key is in progress";
    /// The verification is final.
    NotPending = CONFLICT, "not_pending", "The verification is decided already";
    /// Possible, but not now.
    NotNow = CONFLICT, "not_now", "This is not possible now";
    /// Not possible in the mode of this verification.
    WrongMode = CONFLICT, "wrong_mode", "This is not possible in the mode of the verification";
    /// All calls of the verification have been made.
    NoCallsLeft = CONFLICT, "no_calls_left", "No calls are left";
    /// The body is larger than is read here.
    TooLarge = PAYLOAD_TOO_LARGE, "too_large", "The request is too large";
    /// The body is not JSON.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body must be JSON";
    /// No telephone number can be read.
    InvalidNumber = UNPROCESSABLE_ENTITY, "invalid_number", "This is not a telephone number";
    /// A number that is never called: emergency, short codes.
    NotCallable = UNPROCESSABLE_ENTITY, "not_callable", "This number is never called";
    /// The key was used for another request.
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY, "idempotency_key_reused", "The Idempotency-Key was used for another request";
    /// A member is readable, but not within its limits.
    OutOfRange = UNPROCESSABLE_ENTITY, "out_of_range", "A member is out of range";
    /// No carrier can do what is asked for.
    CannotCarry = UNPROCESSABLE_ENTITY, "cannot_carry", "No carrier can make this call";
    /// The number is busy with somebody else's verification.
    NumberBusy = TOO_MANY_REQUESTS, "number_busy", "The number cannot be called now";
    /// A limit is reached.
    TooMany = TOO_MANY_REQUESTS, "too_many", "Too many requests";
    /// A bug of ours.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Something went wrong here";
    /// More requests than we take on.
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", "Too many requests are being worked on";
    /// It took too long.
    Timeout = SERVICE_UNAVAILABLE, "timeout", "The answer was not ready in time";
    /// The store is away: nothing was decided.
    StoreAway = SERVICE_UNAVAILABLE, "store_away", "The store cannot be reached";
    /// No carrier takes calls.
    CarriersAway = SERVICE_UNAVAILABLE, "carriers_away", "No carrier can be reached";
    /// We are stopping.
    Draining = SERVICE_UNAVAILABLE, "draining", "This instance is stopping";
}

/// What went wrong, as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Problem", example = json!({
    "type": "urn:ringproof:problem:invalid_number", "code": "invalid_number", "title": "This is not a telephone number",
    "status": 422, "detail": "the number is too short for its country",
    "errors": [{"pointer": "#/to", "detail": "the number is too short for its country"}]
}))]
pub struct ProblemDocument {
    /// A URI that stands for the code.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: Cow<'static, str>,
    /// The stable word to act upon.
    code: Code,
    /// The same for every problem of this code.
    #[schema(value_type = String)]
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    detail: Option<Cow<'static, str>>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    /// Which limit was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    limit: Option<Cow<'static, str>>,
    /// What else may be done about it: `wait`, `another_number`, `operator`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    instead: Vec<&'static str>,
    /// The verification that is in the way; only its owner is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<String>,
    /// Each faulty member.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// One faulty member of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ProblemFault)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901) as a URI fragment, or the name of a query parameter or header.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

/// A refusal on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    document: ProblemDocument,
    header: Option<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with nothing but its code.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self(Box::new(Inner {
            document: ProblemDocument {
                kind: Cow::Owned([TYPE_PREFIX, code.as_str()].concat()),
                code,
                title: code.title(),
                status: code.status().as_u16(),
                detail: None,
                retry_after: None,
                limit: None,
                instead: Vec::new(),
                verification: None,
                errors: Vec::new(),
            },
            header: None,
        }))
    }

    /// Says what happened this time. Must hold nothing that may not be logged by the client.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.document.detail = Some(detail.into());
        self
    }

    /// Says when to try again; at least a second.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.document.retry_after = Some(seconds.max(1));
        self
    }

    /// Names the limit.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Cow<'static, str>>) -> Self {
        self.0.document.limit = Some(limit.into());
        self
    }

    /// Says what else may be done about a limit.
    #[must_use]
    pub fn instead(mut self, limit: LimitName) -> Self {
        self.0.document.instead = limit.instead().iter().map(|instead| instead.as_str()).collect();
        self
    }

    /// Names the verification that is in the way.
    #[must_use]
    pub fn verification(mut self, id: VerificationId) -> Self {
        self.0.document.verification = Some(id.to_string());
        self
    }

    /// Adds a faulty member; the first also becomes the detail. Beyond [`MAX_FAULTS`] they are dropped.
    #[must_use]
    pub fn fault(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let fault = Fault { pointer: pointer.into(), detail: detail.into() };
        if self.0.document.detail.is_none() {
            self.0.document.detail = Some(Cow::Owned(fault.detail.clone()));
        }
        if self.0.document.errors.len() < MAX_FAULTS {
            self.0.document.errors.push(fault);
        }
        self
    }

    /// Says that the faulty members are parameters of the query, which have names, not places.
    #[must_use]
    pub fn in_query(mut self) -> Self {
        for fault in &mut self.0.document.errors {
            fault.pointer = fault.pointer.trim_start_matches("#/").to_owned();
        }
        self
    }

    /// Adds a header that belongs to the refusal.
    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// What the client reads.
    pub(super) fn document(&self) -> &ProblemDocument {
        &self.0.document
    }

    /// The faulty members.
    #[must_use]
    pub fn errors(&self) -> &[Fault] {
        &self.0.document.errors
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.document.code
    }
}

/// The request is not what the endpoint reads.
#[must_use]
pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Code::Malformed).detail(detail)
}

/// A member of the body is not what the endpoint takes. `member` is a path such as `alternates[0].to`.
#[must_use]
pub fn member(code: Code, member: &str, why: impl Into<String>) -> Problem {
    Problem::new(code).fault(pointer(member), why)
}

/// There is nothing there, or nothing that this key may see: the same answer for both.
#[must_use]
pub fn not_found() -> Problem {
    Problem::new(Code::NotFound)
}

/// No key, or not one of ours.
#[must_use]
pub fn unauthorized() -> Problem {
    Problem::new(Code::Unauthorized)
        .detail("send the header `Authorization: Bearer` with an API key of this service")
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ringproof\""))
}

/// The key is good, but not for this.
#[must_use]
pub fn scope(needed: &'static str) -> Problem {
    Problem::new(Code::Scope).detail(format!("the scope `{needed}` is needed")).header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"ringproof\", error=\"insufficient_scope\""),
    )
}

/// More than we take on; try again soon.
#[must_use]
pub fn overloaded() -> Problem {
    Problem::new(Code::Overloaded).retry_after(1)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let told = refusal.to_string();
        match refusal {
            Refusal::Malformed { member: at, why } => member(Code::Malformed, &at, why),
            Refusal::OutOfRange { member: at, why } => member(Code::OutOfRange, &at, why),
            Refusal::InvalidNumber { member: at, why } => member(Code::InvalidNumber, &at, why),
            Refusal::NotCallable { member: at, why } => member(Code::NotCallable, &at, why),
            Refusal::CannotCarry { member: at, why } => member(Code::CannotCarry, &at, why),
            Refusal::CountryNotAllowed { member: at, .. } => member(Code::CountryNotAllowed, &at, told),
            Refusal::NumberTypeNotAllowed { member: at, .. } => member(Code::NumberTypeNotAllowed, &at, told),
            Refusal::AlreadyPending { id } => Self::new(Code::AlreadyPending).detail(told).verification(id),
            Refusal::NumberBusy { retry_after } => Self::new(Code::NumberBusy).detail(told).retry_after(retry_after),
            Refusal::IdempotencyInProgress => Self::new(Code::IdempotencyInProgress).detail(told).retry_after(1),
            Refusal::IdempotencyKeyReused => Self::new(Code::IdempotencyKeyReused).detail(told),
            Refusal::NotFound => not_found(),
            Refusal::NotPending => Self::new(Code::NotPending).detail(told),
            Refusal::NotNow { retry_after: 0 } => Self::new(Code::NotNow).detail(told),
            Refusal::NotNow { retry_after } => Self::new(Code::NotNow).detail(told).retry_after(retry_after),
            Refusal::WrongMode => Self::new(Code::WrongMode).detail(told),
            Refusal::NoCallsLeft => Self::new(Code::NoCallsLeft).detail(told),
            Refusal::Limited { limit, retry_after } => {
                Self::new(Code::TooMany).detail(told).limit(limit.as_str()).instead(limit).retry_after(retry_after)
            }
            Refusal::Barred { limit, retry_after } => {
                let problem = Self::new(Code::Barred).detail(told).limit(limit.as_str()).instead(limit);
                match retry_after {
                    Some(seconds) => problem.retry_after(seconds),
                    None => problem,
                }
            }
            Refusal::Overloaded => overloaded(),
            Refusal::StoreAway => Self::new(Code::StoreAway).detail(told).retry_after(AWAY_RETRY_SECS),
            Refusal::CarriersAway => Self::new(Code::CarriersAway).detail(told).retry_after(AWAY_RETRY_SECS),
            Refusal::Internal => Self::new(Code::Internal),
            Refusal::Draining => Self::new(Code::Draining).detail(told).retry_after(1),
        }
    }
}

/// A path such as `alternates[0].to` as a JSON pointer in a URI fragment.
fn pointer(member: &str) -> String {
    let parts = member.split(['.', '[', ']', '/']).filter(|part| !part.is_empty());
    parts.fold(String::from("#"), |pointer, part| pointer + "/" + part)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { document, header } = *self.0;
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = document.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = document.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals() -> Vec<Refusal> {
        let at = || String::from("alternates[1].to");
        let why = || String::from("why");
        let id = VerificationId::new(crate::time::Timestamp::from_ms(1), [0; 16], crate::id::Partition::of(0));
        vec![
            Refusal::Malformed { member: at(), why: why() },
            Refusal::OutOfRange { member: at(), why: why() },
            Refusal::InvalidNumber { member: at(), why: why() },
            Refusal::NotCallable { member: at(), why: why() },
            Refusal::CannotCarry { member: at(), why: why() },
            Refusal::CountryNotAllowed { member: at(), country: "JP".parse().unwrap() },
            Refusal::NumberTypeNotAllowed { member: at(), number_type: String::from("premium") },
            Refusal::AlreadyPending { id },
            Refusal::NumberBusy { retry_after: 7 },
            Refusal::IdempotencyInProgress,
            Refusal::IdempotencyKeyReused,
            Refusal::NotFound,
            Refusal::NotPending,
            Refusal::NotNow { retry_after: 7 },
            Refusal::WrongMode,
            Refusal::NoCallsLeft,
            Refusal::Limited { limit: LimitName::Number, retry_after: 7 },
            Refusal::Barred { limit: LimitName::NeverCall, retry_after: None },
            Refusal::Overloaded,
            Refusal::StoreAway,
            Refusal::CarriersAway,
            Refusal::Draining,
        ]
    }

    #[test]
    fn each_refusal_keeps_its_code_and_its_place() {
        for refusal in refusals() {
            let problem = Problem::from(refusal.clone());
            assert_eq!(problem.code().as_str(), refusal.code());
            let pointers: Vec<_> = problem.0.document.errors.iter().map(|fault| fault.pointer.as_str()).collect();
            let expected = if refusal.member().is_some() { vec!["#/alternates/1/to"] } else { Vec::new() };
            assert_eq!(pointers, expected, "{refusal:?}");
        }
    }

    #[test]
    fn what_may_be_repeated_says_when() {
        for refusal in refusals() {
            let response = Problem::from(refusal).into_response();
            if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status()) {
                assert!(response.headers().contains_key(header::RETRY_AFTER));
            }
            assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        }
    }

    #[test]
    fn codes_and_statuses_are_promised() {
        let table: Vec<String> =
            Code::ALL.iter().map(|code| format!("{} {}", code.status().as_u16(), code.as_str())).collect();
        insta::assert_snapshot!(table.join("\n"), @"
        400 malformed
        401 unauthorized
        403 scope
        403 forbidden
        403 country_not_allowed
        403 number_type_not_allowed
        403 barred
        404 not_found
        405 method_not_allowed
        408 body_timeout
        409 already_pending
        409 idempotency_in_progress
        409 not_pending
        409 not_now
        409 wrong_mode
        409 no_calls_left
        413 too_large
        415 unsupported_media_type
        422 invalid_number
        422 not_callable
        422 idempotency_key_reused
        422 out_of_range
        422 cannot_carry
        429 number_busy
        429 too_many
        500 internal
        503 overloaded
        503 timeout
        503 store_away
        503 carriers_away
        503 draining
        ");
    }
}
