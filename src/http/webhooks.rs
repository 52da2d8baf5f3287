//! Owns what carriers call: it reads the message as it came and hands it to the gateway, whose carrier authenticates it
//! before anything in it is used. `Host` and `X-Forwarded-*` are not looked at: signatures are over the configured URL.

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    App, body,
    problem::{Code, Problem},
};
use crate::provider::{Endpoint, Inbound};

/// What the call plays next.
///
/// For carriers: authenticated by the carrier's own signature.
#[utoipa::path(method(get, post), path = "/webhooks/{carrier}/{token}/flow", tag = "carriers", security(()),
    params(("carrier" = String, Path), ("token" = String, Path)),
    responses((status = 200, description = "A document in the carrier's dialect."), (status = 403, description = "Not authentic.")))]
pub(super) async fn flow(app: State<App>, request: Request) -> Response {
    answer(app, request).await
}

/// Keys that were pressed.
///
/// For carriers: authenticated by the carrier's own signature.
#[utoipa::path(method(get, post), path = "/webhooks/{carrier}/{token}/keys/{turn}", tag = "carriers", security(()),
    params(("carrier" = String, Path), ("token" = String, Path), ("turn" = u32, Path)),
    responses((status = 200, description = "A document in the carrier's dialect."), (status = 403, description = "Not authentic.")))]
pub(super) async fn keys(app: State<App>, request: Request) -> Response {
    answer(app, request).await
}

/// How the call goes.
///
/// For carriers: authenticated by the carrier's own signature.
#[utoipa::path(method(get, post), path = "/webhooks/{carrier}/{token}/status", tag = "carriers", security(()),
    params(("carrier" = String, Path), ("token" = String, Path)),
    responses((status = 200, description = "Understood."), (status = 403, description = "Not authentic.")))]
pub(super) async fn status(app: State<App>, request: Request) -> Response {
    answer(app, request).await
}

async fn answer(State(app): State<App>, request: Request) -> Response {
    hand_on(&app, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn hand_on(app: &App, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    // It is all there: what is in front of the router waited for it.
    let body = body::read(body, body::WEBHOOK_BODY_BYTES).await?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let (carrier, token, to) = addressed(parts.uri.path()).ok_or_else(forbidden)?;
    let url = [app.public_base.as_str(), target].concat();
    let inbound = Inbound { to, method: parts.method.as_str(), url: &url, headers: &parts.headers, body: &body };
    let reply = app.gateway.webhook(carrier, token, inbound).await.map_err(|_| forbidden())?;
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    if !reply.content_type.is_empty() {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    Ok(response)
}

/// Carrier, token and endpoint of a path, as they came: names of carriers need no escaping.
fn addressed(path: &str) -> Option<(&str, &str, Endpoint)> {
    let mut parts = path.strip_prefix("/webhooks/")?.split('/');
    let (carrier, token) = (parts.next()?, parts.next()?);
    let to = match (parts.next()?, parts.next(), parts.next()) {
        ("flow", None, None) => Endpoint::Flow,
        ("status", None, None) => Endpoint::Status,
        ("keys", Some(turn), None) => Endpoint::Keys { turn: turn.parse().ok()? },
        _ => return None,
    };
    Some((carrier, token, to))
}

/// The same answer for everything that is not a message of a carrier about a call of ours.
fn forbidden() -> Problem {
    Problem::new(Code::Forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_urls_of_a_call_are_known() {
        assert_eq!(addressed("/webhooks/main/T0K/flow"), Some(("main", "T0K", Endpoint::Flow)));
        assert_eq!(addressed("/webhooks/main/T0K/status"), Some(("main", "T0K", Endpoint::Status)));
        assert_eq!(addressed("/webhooks/main/T0K/keys/12"), Some(("main", "T0K", Endpoint::Keys { turn: 12 })));
        for other in [
            "/webhooks/main/T0K/keys/",
            "/webhooks/main/T0K/keys/-1",
            "/webhooks/main/T0K/keys/99999999999",
            "/webhooks/main/T0K/keys/1/2",
            "/webhooks/main/T0K/flow/1",
            "/webhooks/main/T0K",
            "/webhooks/main",
            "/other/main/T0K/flow",
        ] {
            assert_eq!(addressed(other), None, "{other}");
        }
    }
}
