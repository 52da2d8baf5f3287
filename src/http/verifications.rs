//! Owns the requests about verifications: reading them, asking the gateway, writing its answer. The stream of their
//! events is in [`super::events`].

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, request},
    response::Response,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{
    App, Named, Verify,
    auth::{self, Scope},
    body,
    docs::{self, Problems},
    json,
    limits::Allowance,
    problem::{self, Problem},
    query::Parameters,
};
use crate::{
    gateway::{Client, CreateRequest, LONGEST_WAIT, VerificationDocument, VerificationsQuery, ViewToken, document},
    id::VerificationId,
    outcome::Status,
    span,
    verification::Verification,
};

/// Longest Idempotency-Key, in characters.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// The header that a client names its request with.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header that tells a repeated answer from a first one.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Verifications, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct VerificationList {
    /// This page of them.
    items: Vec<VerificationDocument>,
    /// The `cursor` of the next page; null at the end.
    next: Option<String>,
}

/// A code that somebody typed on the web.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRequest {
    /// The code: 6 to 10 digits, with spaces and hyphens between them if you like.
    #[schema(example = "482913", pattern = r"^[\s-]*(?:[0-9０-９][\s-]*){6,10}$")]
    code: String,
}

/// What came of a check.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckAnswer {
    /// Whether the code was right.
    right: bool,
    /// The verification as it stands now.
    #[serde(flatten)]
    verification: VerificationDocument,
}

/// Ask for a verification.
///
/// The number is called as soon as a carrier takes the call. With an `Idempotency-Key` the request may be repeated: the
/// same key and body within 24 hours give the same answer, and no second call. `carrier` needs the scope `admin`.
#[utoipa::path(post, path = "/v1/verifications", operation_id = "create_verification", tag = "verifications",
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255,
        description = "Your own name for this request, 1 to 255 visible characters, as in a UUID; with or without quotation marks.")),
    request_body(content = CreateRequest,
        example = json!({"to": "090-1234-5678", "country": "JP", "locale": "ja-JP", "reference": "user-42"})),
    responses((status = 201, body = VerificationDocument, description = "It is made, and its number will be called.",
        headers(("Location" = String, description = "Where to read it."),
            ("Idempotency-Replayed" = bool, description = "`true` when an earlier request with this key made it."))),
        Problems<{ docs::CREATE }>))]
pub(super) async fn create(
    State(app): State<App>,
    Verify(caller): Verify,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Parameters::of(&parts.uri).end()?;
    let key = idempotency_key(&parts.headers)?;
    let (create, bytes) = body::json::<CreateRequest>(&parts.headers, body).await?;
    if create.carrier.is_some() && !caller.is_admin() {
        return Err(problem::scope(Scope::Admin.as_str()));
    }
    let fingerprint = if key.is_some() { <[u8; 32]>::from(Sha256::digest(&bytes)) } else { [0; 32] };
    let created = app.gateway.create(&caller.tenant.client, create, key, &fingerprint).await?;
    let mut response = json(StatusCode::CREATED, &created.document);
    let location = format!("/v1/verifications/{}", created.document.id);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if created.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The key that a client names its request with. The draft (draft-ietf-httpapi-idempotency-key-header) writes it as a
/// quoted string; most clients leave the quotation marks out, and mean the same key.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let fault = || {
        let why = format!("one key of 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters");
        Problem::new(problem::Code::Malformed).fault("Idempotency-Key", why)
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| fault())?;
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let good = (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if good && values.next().is_none() { Ok(Some(key)) } else { Err(fault()) }
}

/// Read a verification.
///
/// With `wait` the answer is held until the verification changes, or the seconds have passed; say with `revision` which
/// one you know, so that no change is missed between two requests. A page reads with a view token instead of a key.
#[utoipa::path(get, path = "/v1/verifications/{id}", operation_id = "read_verification", tag = "verifications",
    security(("api_key" = []), ("view_token" = [])),
    params(("id" = String, Path, description = "Its id."),
        ("wait" = Option<u32>, Query, minimum = 0, maximum = 60, description = "Hold the answer for at most so many seconds."),
        ("revision" = Option<u64>, Query, minimum = 0, maximum = 4294967295_u32, description = "The revision that you know; with `wait`."),
        ("access_token" = Option<String>, Query, description = "A view token, where the header cannot be set. Never an API key.")),
    responses((status = 200, body = VerificationDocument, description = "The verification as it stands."),
        Problems<{ docs::READ }>))]
pub(super) async fn read(State(app): State<App>, Named(id): Named, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let reader = Reader::of(&app, &id, &parts)?;
    let mut parameters = Parameters::of(&parts.uri);
    parameters.text("access_token");
    let wait: Option<u64> = parameters.read("wait", "seconds, 0 to 60");
    let known: Option<u32> = parameters.read("revision", "a revision, as it stands in the document");
    parameters.end()?;
    let wait = Duration::from_secs(wait.unwrap_or(0));
    if wait > LONGEST_WAIT {
        let why = format!("at most {} seconds", LONGEST_WAIT.as_secs());
        return Err(Problem::new(problem::Code::OutOfRange).fault("wait", why));
    }
    let value = if wait.is_zero() {
        app.gateway.read(&reader.client, reader.id).await?
    } else {
        held(&app, &reader, known, wait).await?
    };
    let mut response = json(StatusCode::OK, &document(&value));
    if let Some(allowance) = reader.allowance {
        allowance.tell(response.headers_mut());
    }
    Ok(response)
}

/// The value once it has changed, after the wait, or at the stop.
async fn held(app: &App, reader: &Reader, known: Option<u32>, wait: Duration) -> Result<Verification, Problem> {
    let _place = reader.place(app)?;
    let now = app.gateway.read(&reader.client, reader.id).await?;
    let known = known.unwrap_or(now.revision);
    if known != now.revision || is_settled(&now) {
        return Ok(now);
    }
    tokio::select! {
        changed = app.gateway.wait(&reader.client, reader.id, Some(known), wait) => Ok(changed?),
        () = app.stop.cancelled() => Ok(now),
    }
}

/// Whether nothing will change any more: it is final, and its last call is over.
pub(super) fn is_settled(value: &Verification) -> bool {
    value.is_final() && value.call().is_none_or(|call| !call.is_alive())
}

/// Somebody who may read one verification: its client, or who holds one of its view tokens.
pub(super) struct Reader {
    pub(super) client: Client,
    pub(super) id: VerificationId,
    pub(super) allowance: Option<Allowance>,
    tenant: Option<std::sync::Arc<auth::Tenant>>,
}

impl Reader {
    /// Who reads. A view token may stand in the URL, because an event stream of a browser sends no headers; an API key
    /// never.
    pub(super) fn of(app: &App, id: &str, parts: &request::Parts) -> Result<Self, Problem> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let token = auth::bearer(&parts.headers).ok_or_else(problem::unauthorized)?;
            if let Some(reader) = Self::with_view_token(app, id, token)? {
                return Ok(reader);
            }
            let caller = app.keys.caller(&parts.headers)?.require(Scope::Verify)?;
            let allowance = caller.tenant.read()?;
            let id = named(id)?;
            return Ok(Self { client: caller.tenant.client.clone(), id, allowance, tenant: Some(caller.tenant) });
        }
        let token = Parameters::of(&parts.uri).text("access_token").ok_or_else(problem::unauthorized)?;
        Self::with_view_token(app, id, &token)?.ok_or_else(problem::unauthorized)
    }

    fn with_view_token(app: &App, id: &str, token: &str) -> Result<Option<Self>, Problem> {
        if token.starts_with(auth::KEY_START) {
            return Ok(None);
        }
        let Ok(id) = id.parse() else { return Ok(None) };
        let Some(client) = app.gateway.check_view_token(token, id) else { return Ok(None) };
        span::accepted();
        let allowance = Some(app.view_reads.take(id)?);
        Ok(Some(Self { tenant: app.keys.tenant(&client.name), client, id, allowance }))
    }

    /// A place among those whose answers are held.
    pub(super) fn place(&self, app: &App) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
        let places = self.tenant.as_ref().map_or(&app.waiting, |tenant| &tenant.waiting);
        std::sync::Arc::clone(places).try_acquire_owned().map_err(|_| problem::overloaded())
    }
}

/// The verification that a path names. What is no id answers as one that nobody has.
fn named(id: &str) -> Result<VerificationId, Problem> {
    id.parse().map_err(|_| problem::not_found())
}

/// List your verifications.
///
/// Newest first.
#[utoipa::path(get, path = "/v1/verifications", operation_id = "list_verifications", tag = "verifications",
    params(("reference" = Option<String>, Query, description = "Only with this reference."),
        ("status" = Option<Status>, Query, description = "Only with this status."),
        ("cursor" = Option<String>, Query, min_length = 1, description = "Where the page begins: `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "At most so many; 20 where nothing is said.")),
    responses((status = 200, body = VerificationList, description = "A page of them."), Problems<{ docs::LIST }>))]
pub(super) async fn list(State(app): State<App>, Verify(caller): Verify, uri: Uri) -> Result<Response, Problem> {
    let allowance = caller.tenant.read()?;
    let mut parameters = Parameters::of(&uri);
    let query = VerificationsQuery {
        reference: parameters.text("reference").map(std::borrow::Cow::into_owned),
        status: parameters.read("status", "pending, verified, failed, denied, expired or canceled"),
        cursor: parameters.text("cursor").map(std::borrow::Cow::into_owned),
        limit: parameters.read("limit", "a number"),
    };
    parameters.end()?;
    let page =
        app.gateway.list(&caller.tenant.client, &query).await.map_err(|refusal| Problem::from(refusal).in_query())?;
    let list = VerificationList { items: page.items.iter().map(document).collect(), next: page.next };
    let mut response = json(StatusCode::OK, &list);
    if let Some(allowance) = allowance {
        allowance.tell(response.headers_mut());
    }
    Ok(response)
}

/// Take a verification back.
///
/// The call that is alive is ended. Taking back what was taken back before is no error.
#[utoipa::path(post, path = "/v1/verifications/{id}/cancel", operation_id = "cancel_verification", tag = "verifications",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, body = VerificationDocument, description = "The verification, now `canceled`."),
        Problems<{ docs::CHANGE }>))]
pub(super) async fn cancel(
    State(app): State<App>,
    Named(id): Named,
    Verify(caller): Verify,
    request: Request,
) -> Result<Response, Problem> {
    let id = nothing_but(&id, request).await?;
    Ok(json(StatusCode::OK, &document(&app.gateway.cancel(&caller.tenant.client, id).await?)))
}

/// Call the number again.
///
/// Possible from `redial_after` seconds after the last call was placed, and while calls are left.
#[utoipa::path(post, path = "/v1/verifications/{id}/redial", operation_id = "redial_verification", tag = "verifications",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, body = VerificationDocument, description = "The verification, with its new call."),
        Problems<{ docs::REDIAL }>))]
pub(super) async fn redial(
    State(app): State<App>,
    Named(id): Named,
    Verify(caller): Verify,
    request: Request,
) -> Result<Response, Problem> {
    let id = nothing_but(&id, request).await?;
    Ok(json(StatusCode::OK, &document(&app.gateway.redial(&caller.tenant.client, id).await?)))
}

/// Compare a code that was typed on the web.
///
/// Only in mode `speak`, where the call tells the code.
#[utoipa::path(post, path = "/v1/verifications/{id}/check", operation_id = "check_code", tag = "verifications",
    params(("id" = String, Path, description = "Its id.")), request_body = CheckRequest,
    responses((status = 200, body = CheckAnswer, description = "Whether it was right, and the verification as it stands now."),
        Problems<{ docs::CHECK }>))]
pub(super) async fn check(
    State(app): State<App>,
    Named(id): Named,
    Verify(caller): Verify,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&id)?;
    let (parts, body) = request.into_parts();
    Parameters::of(&parts.uri).end()?;
    let (check, _) = body::json::<CheckRequest>(&parts.headers, body).await?;
    let (value, right) = app.gateway.check(&caller.tenant.client, id, &check.code).await?;
    Ok(json(StatusCode::OK, &CheckAnswer { right, verification: document(&value) }))
}

/// Make a view token.
///
/// It reads this one verification and its events, for a short time, and nothing else: for the page that waits, which
/// must not hold an API key.
#[utoipa::path(post, path = "/v1/verifications/{id}/view-token", operation_id = "make_view_token", tag = "verifications",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, body = ViewToken, description = "The token."), Problems<{ docs::READ }>))]
pub(super) async fn view_token(
    State(app): State<App>,
    Named(id): Named,
    Verify(caller): Verify,
    request: Request,
) -> Result<Response, Problem> {
    let id = nothing_but(&id, request).await?;
    Ok(json(StatusCode::OK, &app.gateway.view_token(&caller.tenant.client, id).await?))
}

/// The verification that a request names which says nothing else.
async fn nothing_but(id: &str, request: Request) -> Result<VerificationId, Problem> {
    let id = named(id)?;
    let (parts, body) = request.into_parts();
    Parameters::of(&parts.uri).end()?;
    body::none(&parts.headers, body).await?;
    Ok(id)
}
