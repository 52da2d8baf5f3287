//! Owns the description of the API: what no handler says by itself (the frame, the key, the problems) and the viewer
//! that shows it. The rest stands at the handlers.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use utoipa::{
    IntoResponses, Modify, OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, Response as ResponseDoc, ResponseBuilder, ServerBuilder,
        example::ExampleBuilder,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::Config as ViewerConfig;

use super::problem::{self, Code, MEDIA_TYPE, Problem, ProblemDocument};

/// What the viewer may load: its own files. It sets styles from its script, and draws small pictures from data.
const VIEWER_CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The parts of the viewer do not change while a version of this program runs.
const VIEWER_CACHE_CONTROL: &str = "private, max-age=3600";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ringproof",
        description = "Proves that a person holds a telephone: it calls the number, says who is calling and why, and takes keys.\n\n\
            Every refusal is a problem document (RFC 9457) with a stable `code`. Answers may gain members; clients ignore \
            those they do not know. Requests may not have members that are not described here.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
        contact(name = "ringproof", url = "https://github.com/ringproof/ringproof")
    ),
    tags(
        (name = "verifications", description = "Ask for a verification, follow it, change it. Scope `verify`."),
        (name = "calls", description = "The call log. Scope `calls`."),
        (name = "numbers", description = "The numbers we call from. Scope `verify`."),
        (name = "operations", description = "For those who look after the service."),
        (name = "carriers", description = "What carriers call; of no use to others.")
    ),
    security(("api_key" = [])),
    modifiers(&Schemes),
    components(schemas(ProblemDocument))
)]
struct Frame;

/// The ways to say who one is.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = |description: &str| {
            SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build(),
            )
        };
        components
            .add_security_scheme("api_key", bearer("An API key, as `ringproof key new` prints it. For backends only."));
        components.add_security_scheme("view_token", bearer("A view token: reads one verification, for a short time."));
        let in_query = ApiKeyValue::with_description("access_token", "A view token, where no header can be set.");
        components.add_security_scheme("view_token_in_query", SecurityScheme::ApiKey(ApiKey::Query(in_query)));
    }
}

/// What no handler says by itself.
pub(super) fn frame() -> utoipa::openapi::OpenApi {
    Frame::openapi()
}

/// Completes the description with where the API is: the path of the public URL.
pub(super) fn finish(mut openapi: utoipa::openapi::OpenApi, public_path: &str) -> utoipa::openapi::OpenApi {
    let base = public_path.trim_end_matches('/');
    let base = if base.is_empty() { "/" } else { base };
    // One handler answers two methods there, and two operations must not share a name; nobody generates a client for them.
    let carriers = openapi.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/webhooks/"));
    for operation in carriers.flat_map(|(_, item)| [&mut item.get, &mut item.post]).flatten() {
        operation.operation_id = None;
    }
    openapi.servers = Some(vec![ServerBuilder::new().url(base).build()]);
    openapi
}

/// The description of the API as a file, for documentation that is kept elsewhere.
#[must_use]
pub fn openapi_json() -> String {
    let (_, openapi) = super::url_map().split_for_parts();
    finish(openapi, "/").to_pretty_json().unwrap_or_default()
}

/// Problems that a request about one thing may meet.
pub(super) const READ: u8 = 0;
/// Problems of a list.
pub(super) const LIST: u8 = 1;
/// Problems of a request without parameters.
pub(super) const PLAIN: u8 = 2;
/// Problems of a create request.
pub(super) const CREATE: u8 = 3;
/// Problems of a request that changes something.
pub(super) const CHANGE: u8 = 4;
/// Problems of a check.
pub(super) const CHECK: u8 = 5;

/// Problems of erasing.
pub(super) const ERASE: u8 = 6;

/// Problems of a redial.
pub(super) const REDIAL: u8 = 7;

/// Problems of what operators do about limits.
pub(super) const GUARDING: u8 = 8;

/// Every request may meet these.
const ALWAYS: &[Code] = &[
    Code::Malformed,
    Code::Unauthorized,
    Code::Scope,
    Code::Internal,
    Code::Overloaded,
    Code::Timeout,
    Code::StoreAway,
    Code::Draining,
];

const fn codes(set: u8) -> &'static [Code] {
    match set {
        READ => &[Code::NotFound, Code::OutOfRange, Code::TooMany],
        LIST => &[Code::OutOfRange, Code::InvalidNumber, Code::TooMany],
        CREATE => &[
            Code::CountryNotAllowed,
            Code::Barred,
            Code::NumberTypeNotAllowed,
            Code::BodyTimeout,
            Code::AlreadyPending,
            Code::IdempotencyInProgress,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::InvalidNumber,
            Code::NotCallable,
            Code::IdempotencyKeyReused,
            Code::OutOfRange,
            Code::CannotCarry,
            Code::NumberBusy,
            Code::TooMany,
            Code::CarriersAway,
        ],
        CHANGE => &[Code::NotFound, Code::NotPending, Code::NotNow, Code::NoCallsLeft],
        REDIAL => &[Code::Barred, Code::NotFound, Code::NotPending, Code::NotNow, Code::NoCallsLeft, Code::TooMany],
        CHECK => &[
            Code::NotFound,
            Code::BodyTimeout,
            Code::NotPending,
            Code::NotNow,
            Code::WrongMode,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::OutOfRange,
        ],
        GUARDING => &[
            Code::BodyTimeout,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::InvalidNumber,
            Code::NotCallable,
            Code::OutOfRange,
        ],
        ERASE => &[
            Code::BodyTimeout,
            Code::AlreadyPending,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::InvalidNumber,
            Code::NotCallable,
            Code::OutOfRange,
            Code::NumberBusy,
        ],
        _ => &[],
    }
}

/// The problems of one of the sets above, one response for each status.
pub(super) struct Problems<const SET: u8>;

impl<const SET: u8> IntoResponses for Problems<SET> {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        let mut by_status: BTreeMap<String, Vec<Code>> = BTreeMap::new();
        for code in ALWAYS.iter().chain(codes(SET)) {
            by_status.entry(code.status().as_str().to_owned()).or_default().push(*code);
        }
        by_status.into_iter().map(|(status, codes)| (status, RefOr::T(response(&codes)))).collect()
    }
}

/// The response with one of these problems, each with its example.
fn response(codes: &[Code]) -> ResponseDoc {
    let examples = codes.iter().map(|code| {
        let problem = Problem::new(*code);
        let example = ExampleBuilder::new().summary(code.title()).value(serde_json::to_value(problem.document()).ok());
        (code.as_str(), RefOr::T(example.build()))
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("ProblemDocument")))
        .examples_from_iter(examples)
        .build();
    let told: String = codes.iter().map(|code| format!("- `{}`: {}\n", code.as_str(), code.title())).collect();
    ResponseBuilder::new().description(told).content(MEDIA_TYPE, content).build()
}

/// The description and its viewer, and the paths they are at.
pub(super) fn routes(openapi: &utoipa::openapi::OpenApi) -> (Router, [String; 4]) {
    let description = Bytes::from(openapi.to_json().unwrap_or_default());
    // Relative, because the reverse proxy in front may strip a path.
    let viewer = Arc::new(ViewerConfig::new(["../openapi.json"]).validator_url("none").use_base_layout());
    let index = Arc::clone(&viewer);
    let router = Router::new()
        .route("/openapi.json", get(move || std::future::ready(write(description.clone(), "application/json", None))))
        .route("/docs", get(async || (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "docs/")])))
        .route("/docs/", get(move || std::future::ready(asset("index.html", &index))))
        .route("/docs/{file}", get(move |Path(file): Path<String>| std::future::ready(asset(&file, &viewer))));
    (router, ["/openapi.json", "/docs", "/docs/", "/docs/{file}"].map(String::from))
}

/// A file of the viewer.
fn asset(file: &str, viewer: &Arc<ViewerConfig<'static>>) -> Response {
    match utoipa_swagger_ui::serve(file, Arc::clone(viewer)) {
        Ok(Some(found)) => {
            let bytes = match found.bytes {
                std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
            };
            write(bytes, &found.content_type, Some(VIEWER_CACHE_CONTROL))
        }
        Ok(None) => problem::not_found().into_response(),
        Err(_) => Problem::new(Code::Internal).into_response(),
    }
}

fn write(bytes: Bytes, media_type: &str, cache_control: Option<&'static str>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    if let Ok(media_type) = HeaderValue::from_str(media_type) {
        headers.insert(header::CONTENT_TYPE, media_type);
    }
    if let Some(cache_control) = cache_control {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
        let policy = HeaderValue::from_static(VIEWER_CONTENT_SECURITY_POLICY);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
