//! Owns the requests about results that could not be delivered: operators see them, and have them delivered again.

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Admin, App, Named, body,
    docs::{self, Problems},
    json,
    problem::{self, Problem},
    query::Parameters,
};
use crate::{gateway::DeadLetter, id::VerificationId, time::Timestamp};

/// A result that could not be delivered.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetterDocument {
    /// Its name: the `webhook-id` under which it was sent, and will be again.
    id: String,
    /// The verification whose result it is.
    #[schema(value_type = String)]
    verification: VerificationId,
    /// How often it was tried.
    attempts: u32,
    /// When the verification was decided.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When it was given up.
    #[schema(value_type = String, format = DateTime)]
    given_up_at: Timestamp,
    /// Why.
    why: String,
}

/// Results that could not be delivered, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetterList {
    /// The newest of them.
    items: Vec<DeadLetterDocument>,
}

impl From<DeadLetter> for DeadLetterDocument {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.effect.id.to_string(),
            verification: letter.effect.id.verification,
            attempts: letter.attempts(),
            since: letter.effect.since,
            given_up_at: letter.at,
            why: letter.why,
        }
    }
}

/// List results that could not be delivered.
///
/// Of all clients, newest first. Needs the scope `admin`.
#[utoipa::path(get, path = "/v1/dead-letters", operation_id = "list_dead_letters", tag = "operations",
    responses((status = 200, body = DeadLetterList, description = "The newest of them."), Problems<{ docs::PLAIN }>))]
pub(super) async fn list(State(app): State<App>, _admin: Admin, uri: Uri) -> Result<Response, Problem> {
    Parameters::of(&uri).end()?;
    let items = app.gateway.dead_letters().await?.into_iter().map(DeadLetterDocument::from).collect();
    Ok(json(StatusCode::OK, &DeadLetterList { items }))
}

/// Deliver a result again.
///
/// Under the same `webhook-id` as before. Needs the scope `admin`.
#[utoipa::path(post, path = "/v1/dead-letters/{id}/revive", operation_id = "revive_dead_letter", tag = "operations",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 204, description = "It will be delivered again."), Problems<{ docs::READ }>))]
pub(super) async fn revive(
    State(app): State<App>,
    Named(id): Named,
    _admin: Admin,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Parameters::of(&parts.uri).end()?;
    body::none(&parts.headers, body).await?;
    app.gateway.revive(id.parse().map_err(|_| problem::not_found())?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
