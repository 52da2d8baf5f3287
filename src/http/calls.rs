//! Owns the requests about the call log.

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    App, Calls, Named,
    docs::{self, Problems},
    json,
    problem::{self, Problem},
    query::Parameters,
};
use crate::{
    gateway::{CallRecordDocument, CallsQuery, record_document},
    outcome::{Reason, Status},
    time::Timestamp,
};

/// Call records, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CallRecordList {
    /// This page of them.
    items: Vec<CallRecordDocument>,
    /// The `cursor` of the next page; null at the end.
    next: Option<String>,
}

/// A point in time in a query, RFC 3339.
struct At(Timestamp);

impl std::str::FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Timestamp::parse(text).map(Self)
    }
}

/// List calls.
///
/// Newest first: the calls of your own verifications, with the scope `admin` those of all clients.
#[utoipa::path(get, path = "/v1/calls", operation_id = "list_calls", tag = "calls",
    params(("since" = Option<String>, Query, format = DateTime, description = "Ended at or after (RFC 3339)."),
        ("until" = Option<String>, Query, format = DateTime, description = "Ended before (RFC 3339)."),
        ("number" = Option<String>, Query, description = "To this number, in any form that `to` may have."),
        ("country" = Option<String>, Query, pattern = "^[A-Za-z]{2}$", description = "To this country; also how a national `number` is read."),
        ("status" = Option<Status>, Query, description = "Of a verification with this status when the call was over."),
        ("reason" = Option<Reason>, Query, description = "With this reason."),
        ("carrier" = Option<String>, Query, description = "Through this carrier."),
        ("cursor" = Option<String>, Query, min_length = 1, description = "Where the page begins: `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many; 100 where nothing is said.")),
    responses((status = 200, body = CallRecordList, description = "A page of them."), Problems<{ docs::LIST }>))]
pub(super) async fn list(State(app): State<App>, Calls(caller): Calls, uri: Uri) -> Result<Response, Problem> {
    let time = "a time as in 2026-11-24T09:00:00Z (RFC 3339)";
    let mut parameters = Parameters::of(&uri);
    let query = CallsQuery {
        client: (!caller.is_admin()).then(|| caller.tenant.client.name.clone()),
        since: parameters.read::<At>("since", time).map(|At(at)| at),
        until: parameters.read::<At>("until", time).map(|At(at)| at),
        number: parameters.text("number").map(Cow::into_owned),
        status: parameters.read("status", "pending, verified, failed, denied, expired or canceled"),
        reason: parameters.read("reason", "a reason, as it stands in a call record"),
        carrier: parameters.text("carrier").map(Cow::into_owned),
        country: parameters.text("country").map(Cow::into_owned),
        cursor: parameters.text("cursor").map(Cow::into_owned),
        limit: parameters.read("limit", "a number"),
    };
    parameters.end()?;
    let page = app.gateway.calls(&query).await.map_err(|refusal| Problem::from(refusal).in_query())?;
    let list = CallRecordList { items: page.items.iter().map(record_document).collect(), next: page.next };
    Ok(json(StatusCode::OK, &list))
}

/// Read a call.
#[utoipa::path(get, path = "/v1/calls/{id}", operation_id = "read_call", tag = "calls",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, body = CallRecordDocument, description = "Its record, with a timeline."),
        Problems<{ docs::READ }>))]
pub(super) async fn read(
    State(app): State<App>,
    Named(id): Named,
    Calls(caller): Calls,
    uri: Uri,
) -> Result<Response, Problem> {
    Parameters::of(&uri).end()?;
    let id = id.parse().map_err(|_| problem::not_found())?;
    let record = app.gateway.call(id).await?;
    if !caller.is_admin() && record.client != caller.tenant.client.name {
        return Err(problem::not_found());
    }
    Ok(json(StatusCode::OK, &record_document(&record)))
}
