//! Owns the request for the statistics of settled verifications.

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};

use super::{
    App, Calls, Scope,
    docs::{self, Problems},
    json,
    problem::{self, Problem},
    query::Parameters,
};
use crate::gateway::{Stats, StatsQuery, StatsRange};

/// Read statistics.
///
/// What came of the verifications that were settled in the last hour, day or week: how many, their status and reasons, the
/// times to the answer and to the approval, by country, carrier, and where the numbers begin. Of your own verifications,
/// with the scope `admin` of those of all clients. A verification is counted once, when it is settled.
#[utoipa::path(get, path = "/v1/stats", operation_id = "read_stats", tag = "calls",
    params(("range" = Option<StatsRange>, Query, description = "The last hour where nothing is said."),
        ("client" = Option<String>, Query, description = "Of this client; another one than one's own only with the scope `admin`.")),
    responses((status = 200, body = Stats, description = "The statistics."), Problems<{ docs::PLAIN }>))]
pub(super) async fn read(State(app): State<App>, Calls(caller): Calls, uri: Uri) -> Result<Response, Problem> {
    let own = &caller.tenant.client.name;
    let mut parameters = Parameters::of(&uri);
    let range = parameters.read::<StatsRange>("range", "hour, day or week").unwrap_or_default();
    let client = parameters.text("client").map(Cow::into_owned);
    if !caller.is_admin() && client.as_ref().is_some_and(|client| client != own) {
        return Err(problem::scope(Scope::Admin.as_str()));
    }
    parameters.end()?;
    let client = if caller.is_admin() { client } else { Some(own.clone()) };
    let stats = app.gateway.stats(&StatsQuery { client, range }).await?;
    Ok(json(StatusCode::OK, &stats))
}
