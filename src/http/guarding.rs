//! Owns the requests of operators about limits: reading them, barring calls and allowing them, lifting what stands.

use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};

use super::{
    Admin, App, body,
    docs::{self, Problems},
    json,
    problem::Problem,
    query::Parameters,
};
use crate::gateway::{BarRequest, LiftRequest, Limits};

/// Read the limits.
///
/// How often may be called, what may be spent and what is, and what stands against calls, or for them. Needs the scope
/// `admin`.
#[utoipa::path(get, path = "/v1/limits", operation_id = "read_limits", tag = "operations",
    responses((status = 200, body = Limits, description = "The limits in force."), Problems<{ docs::PLAIN }>))]
pub(super) async fn read(State(app): State<App>, _admin: Admin, uri: Uri) -> Result<Response, Problem> {
    Parameters::of(&uri).end()?;
    Ok(json(StatusCode::OK, &app.gateway.limits().await?))
}

/// Bar calls, or allow them.
///
/// Those to a number, to numbers that begin alike, to a country, or of a client or one of its accounts, for a time. Where
/// calls are allowed, only spending is limited. Nothing automatic changes it; it stands in the audit log. Needs the scope
/// `admin`.
#[utoipa::path(post, path = "/v1/limits/bar", operation_id = "bar_calls", tag = "operations",
    request_body(content = BarRequest, example = json!({"about": {"prefix": "+819012"}, "sense": "deny", "seconds": 86400, "why": "a burst"})),
    responses((status = 204, description = "It stands from now on."), Problems<{ docs::GUARDING }>))]
pub(super) async fn bar(State(app): State<App>, Admin(caller): Admin, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Parameters::of(&parts.uri).end()?;
    let (asked, _) = body::json::<BarRequest>(&parts.headers, body).await?;
    app.gateway.bar(&caller.tenant.client, &asked).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lift what stands against calls, or for them.
///
/// Whoever set it; with it ends the row of failures of a number or an account. It stands in the audit log. Needs the scope
/// `admin`.
#[utoipa::path(post, path = "/v1/limits/lift", operation_id = "lift_bar", tag = "operations",
    request_body(content = LiftRequest, example = json!({"about": {"number": "+819012345678"}})),
    responses((status = 204, description = "Nothing stands there any more."), Problems<{ docs::GUARDING }>))]
pub(super) async fn lift(State(app): State<App>, Admin(caller): Admin, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Parameters::of(&parts.uri).end()?;
    let (asked, _) = body::json::<LiftRequest>(&parts.headers, body).await?;
    app.gateway.lift(&caller.tenant.client, &asked).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
