//! Owns the requests about the call log.

use std::borrow::Cow;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    App, Caller, Calls, Named, Scope,
    docs::{self, Problems},
    json,
    problem::{self, Problem},
    query::Parameters,
};
use crate::{
    gateway::{CallRecordDocument, CallsQuery},
    outcome::{Fault, Reason, Status},
    texts,
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

/// The filters of a listing or an export of calls, as they are described; they are read by [`filters`].
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
pub(super) struct CallFilters {
    /// Ended at or after (RFC 3339).
    #[param(format = DateTime)]
    since: Option<String>,
    /// Ended before (RFC 3339).
    #[param(format = DateTime)]
    until: Option<String>,
    /// To this number, in any form that `to` may have. Who looks for a number stands in the audit log.
    number: Option<String>,
    /// To a number that ends so.
    #[param(pattern = "^[0-9]{1,4}$")]
    last_digits: Option<String>,
    /// To this country; also how a national `number` is read.
    #[param(pattern = "^[A-Za-z]{2}$")]
    country: Option<String>,
    /// Of verifications with this reference.
    reference: Option<String>,
    /// Of this client; another one than one's own only with the scope `admin`.
    client: Option<String>,
    /// Of a verification with this status when the call was over.
    status: Option<Status>,
    /// With this reason.
    reason: Option<Reason>,
    /// With an end that is the fault of this one.
    fault: Option<Fault>,
    /// Through this carrier.
    carrier: Option<String>,
}

/// What the parameters ask for, by whoever asks.
pub(super) fn filters(parameters: &mut Parameters<'_>, caller: &Caller) -> Result<CallsQuery, Problem> {
    let own = &caller.tenant.client.name;
    let time = "a time as in 2026-11-24T09:00:00Z (RFC 3339)";
    let client = parameters.text("client").map(Cow::into_owned);
    if !caller.is_admin() && client.as_ref().is_some_and(|client| client != own) {
        return Err(problem::scope(Scope::Admin.as_str()));
    }
    Ok(CallsQuery {
        asked_by: own.clone(),
        client: if caller.is_admin() { client } else { Some(own.clone()) },
        since: parameters.read::<At>("since", time).map(|At(at)| at),
        until: parameters.read::<At>("until", time).map(|At(at)| at),
        number: parameters.text("number").map(Cow::into_owned),
        last_digits: parameters.text("last_digits").map(Cow::into_owned),
        reference: parameters.text("reference").map(Cow::into_owned),
        status: parameters.read("status", "pending, verified, failed, denied, expired or canceled"),
        reason: parameters.read("reason", "a reason, as it stands in a call record"),
        fault: parameters.read("fault", "callee, carrier, request, us, unknown or none"),
        carrier: parameters.text("carrier").map(Cow::into_owned),
        country: parameters.text("country").map(Cow::into_owned),
        cursor: None,
        limit: None,
    })
}

/// The language that calls are explained in.
pub(super) fn language(headers: &HeaderMap) -> &'static str {
    let wished = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    texts::page_language(wished.unwrap_or_default())
}

/// List calls.
///
/// Newest first: the calls of your own verifications, with the scope `admin` those of all clients. A page that took much
/// looking may be short, or empty, and still have a next one.
#[utoipa::path(get, path = "/v1/calls", operation_id = "list_calls", tag = "calls",
    params(CallFilters,
        ("cursor" = Option<String>, Query, min_length = 1, description = "Where the page begins: `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many; 50 where nothing is said."),
        ("Accept-Language" = Option<String>, Header, description = "The language of `summary` and `next_step`: English or Japanese.")),
    responses((status = 200, body = CallRecordList, description = "A page of them."), Problems<{ docs::LIST }>))]
pub(super) async fn list(
    State(app): State<App>,
    Calls(caller): Calls,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::of(&uri);
    let query = CallsQuery {
        cursor: parameters.text("cursor").map(Cow::into_owned),
        limit: parameters.read("limit", "a number"),
        ..filters(&mut parameters, &caller)?
    };
    parameters.end()?;
    let page = app.gateway.calls(&query).await.map_err(|refusal| Problem::from(refusal).in_query())?;
    let language = language(&headers);
    let items = page.items.iter().map(|record| app.gateway.record_document(record, language)).collect();
    Ok(json(StatusCode::OK, &CallRecordList { items, next: page.next }))
}

/// Read a call.
#[utoipa::path(get, path = "/v1/calls/{id}", operation_id = "read_call", tag = "calls",
    params(("id" = String, Path, description = "Its id."),
        ("Accept-Language" = Option<String>, Header, description = "The language of `summary` and `next_step`: English or Japanese.")),
    responses((status = 200, body = CallRecordDocument, description = "Its record, with a timeline, what came of it in a sentence, and what to do next."),
        Problems<{ docs::READ }>))]
pub(super) async fn read(
    State(app): State<App>,
    Named(id): Named,
    Calls(caller): Calls,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    Parameters::of(&uri).end()?;
    let id = id.parse().map_err(|_| problem::not_found())?;
    let record = app.gateway.call(id).await?;
    if !caller.is_admin() && record.client != caller.tenant.client.name {
        return Err(problem::not_found());
    }
    Ok(json(StatusCode::OK, &app.gateway.record_document(&record, language(&headers))))
}
