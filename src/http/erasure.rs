//! Owns the request that takes a number out of the call log.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    App, Calls, Scope, body,
    docs::{self, Problems},
    json,
    problem::{self, Problem},
    query::Parameters,
};
use crate::gateway::{Erased, Erasure};

/// Which number.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EraseRequest {
    /// The number, in any form that `to` of a verification may have.
    #[schema(example = "090-1234-5678")]
    number: String,
    /// How a national number is read (ISO 3166-1 alpha-2).
    #[schema(example = "JP")]
    #[serde(default)]
    country: Option<String>,
    /// Only what this client asked for; another one than oneself only with the scope `admin`, where nothing means all.
    #[serde(default)]
    client: Option<String>,
}

/// Erase calls to a number.
///
/// Takes the records of calls to this number out of the call log, for good: those of your own verifications, with the scope
/// `admin` those of all clients. At most a thousand at once: while `more` is true, ask again. A number that is being
/// verified is refused; wait for the end of that verification, or cancel it. Results of theirs that could not be delivered
/// are taken out of the dead letters. The verifications themselves, which anybody can read only by their id, go by their
/// own time: `left` says how many there are, and until when. Who erases stands in the audit log.
#[utoipa::path(post, path = "/v1/calls/erase", operation_id = "erase_calls", tag = "calls",
    request_body(content = EraseRequest, example = json!({"number": "090-1234-5678", "country": "JP"})),
    responses((status = 200, body = Erased, description = "What was erased."), Problems<{ docs::ERASE }>))]
pub(super) async fn erase(State(app): State<App>, Calls(caller): Calls, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Parameters::of(&parts.uri).end()?;
    let (asked, _) = body::json::<EraseRequest>(&parts.headers, body).await?;
    let own = &caller.tenant.client.name;
    if !caller.is_admin() && asked.client.as_ref().is_some_and(|client| client != own) {
        return Err(problem::scope(Scope::Admin.as_str()));
    }
    let client = if caller.is_admin() { asked.client } else { Some(own.clone()) };
    let erasure = Erasure { asked_by: own.clone(), client, number: asked.number, country: asked.country };
    let erased = app.gateway.erase(erasure).await?;
    Ok(json(StatusCode::OK, &erased))
}
