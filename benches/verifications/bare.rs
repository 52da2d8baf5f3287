//! Owns the floor: a server that does for one verification only what no server can leave out. The HTTP exchanges, the
//! check of the key and of the signatures, the order to the carrier, and one script call to Redis a step. No product:
//! it reads no number, plays no call flow, knows no tenant, forgets what nobody asks for.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{OriginalUri, Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::Engine as _;
use http::Request;
use http_body_util::Full;
use redis::aio::MultiplexedConnection;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::wire::{self, ACCOUNT, AUTH_TOKEN, CALLER_ID, Http};

/// One step: the revision must be the one given, then value, expiry and deadline are written together.
pub(crate) const STEP: &str = "\
local held = redis.call('HGET', KEYS[1], 'revision')
if (held or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'value', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[5], KEYS[1])
return 1";

/// How long a value is kept, in ms.
const KEPT_MS: u64 = 3_600_000;
/// How long a verification lives, in ms.
const LIFE_MS: u64 = 300_000;

struct Bare {
    redis: MultiplexedConnection,
    script: String,
    http: Http,
    key: [u8; 32],
    public: String,
    order_url: String,
    basic: String,
    next: AtomicU64,
}

/// Serves on a free port, which it prints, until it is ended.
pub(crate) async fn run(redis_url: &str, carrier: &str, api_key: &str) {
    let mut redis = redis::Client::open(redis_url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let script: String = redis::cmd("SCRIPT").arg("LOAD").arg(STEP).query_async(&mut redis).await.unwrap();
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let public = format!("http://{}", listener.local_addr().unwrap());
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{ACCOUNT}:{AUTH_TOKEN}"));
    let bare = Arc::new(Bare {
        redis,
        script,
        http: wire::client(),
        key: Sha256::digest(api_key.as_bytes()).into(),
        public: public.clone(),
        order_url: format!("{carrier}/2010-04-01/Accounts/{ACCOUNT}/Calls.json"),
        basic: format!("Basic {basic}"),
        next: AtomicU64::new(wire::now_us() << 16),
    });
    let router = Router::new()
        .route("/v1/verifications", post(create))
        .route("/v1/verifications/{id}", get(read))
        .route("/webhooks/main/{id}/{*step}", post(webhook))
        .with_state(bare);
    println!("ready {public}");
    axum::serve(listener, router).await.unwrap();
}

#[derive(serde::Deserialize)]
struct Asked {
    to: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Document<'a> {
    id: &'a str,
    status: &'a str,
    stage: &'a str,
    to: &'a str,
}

impl Bare {
    /// One script call: from one revision to the next.
    async fn step(&self, document: &Document<'_>, revision: u64) -> Result<(), Response> {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.script).arg(2).arg(format!("v:{{0}}:{}", document.id)).arg("deadlines:{0}");
        command.arg(revision).arg(revision + 1).arg(serde_json::to_vec(document).unwrap_or_default());
        command.arg(KEPT_MS).arg(wire::now_us() / 1_000 + LIFE_MS);
        let done: Result<u8, _> = command.query_async(&mut self.redis.clone()).await;
        match done {
            Ok(1) => Ok(()),
            Ok(_) => Err(StatusCode::CONFLICT.into_response()),
            Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        }
    }

    fn is_client(&self, headers: &HeaderMap) -> bool {
        let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        key.is_some_and(|key| bool::from(Sha256::digest(key.as_bytes()).ct_eq(self.key.as_slice())))
    }

    async fn place(self: Arc<Self>, id: String, to: String) {
        let webhook = |step: &str| format!("{}/webhooks/main/{id}/{step}", self.public);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("To", to.as_str()), ("From", CALLER_ID), ("Url", &webhook("flow")), ("Method", "POST")])
            .extend_pairs([
                ("StatusCallback", webhook("status").as_str()),
                ("StatusCallbackMethod", "POST"),
                ("Timeout", "30"),
            ])
            .finish();
        let request = Request::post(&self.order_url)
            .header(header::AUTHORIZATION, &self.basic)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form))
            .unwrap();
        if let Ok((StatusCode::CREATED, answer)) = wire::send(&self.http, request).await {
            let sid = serde_json::from_slice::<serde_json::Value>(&answer).ok();
            let placed = sid.and_then(|answer| Some(answer.get("sid")?.as_str()?.to_owned())).unwrap_or_default();
            // What the carrier called the call is kept in its own key, as webhooks may be faster than this answer.
            let document = Document { id: &format!("{id}:call"), status: &placed, stage: "dialing", to: &to };
            let _ = self.step(&document, 0).await;
        }
    }
}

async fn create(State(bare): State<Arc<Bare>>, headers: HeaderMap, Json(asked): Json<Asked>) -> Response {
    if !bare.is_client(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let id = format!("ver_{:026}", bare.next.fetch_add(1, Ordering::Relaxed));
    let document = Document { id: &id, status: "pending", stage: "queued", to: &asked.to };
    if let Err(refusal) = bare.step(&document, 0).await {
        return refusal;
    }
    let answer = (StatusCode::CREATED, Json(&document)).into_response();
    tokio::spawn(Arc::clone(&bare).place(id.clone(), asked.to));
    answer
}

async fn read(State(bare): State<Arc<Bare>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if !bare.is_client(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let key = format!("v:{{0}}:{id}");
    let value: Result<Option<Vec<u8>>, _> =
        redis::cmd("HGET").arg(key).arg("value").query_async(&mut bare.redis.clone()).await;
    match value {
        Ok(Some(value)) => ([(header::CONTENT_TYPE, "application/json")], value).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn webhook(
    State(bare): State<Arc<Bare>>,
    OriginalUri(uri): OriginalUri,
    Path((id, step)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fields: BTreeMap<_, _> = url::form_urlencoded::parse(&body).collect();
    let url = format!("{}{uri}", bare.public);
    let expected = wire::signature(&url, fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    let given = headers.get("x-twilio-signature").map(HeaderValue::as_bytes).unwrap_or_default();
    if !bool::from(expected.as_bytes().ct_eq(given)) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let (revision, status, stage) = match step.as_str() {
        "flow" => (1, "pending", "prompting"),
        "keys/1" if fields.get("Digits").is_some_and(|digits| digits == "#") => (2, "verified", "prompting"),
        "status" => (3, "verified", "ended"),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let to = fields.get("To").map(AsRef::as_ref).unwrap_or_default();
    if let Err(refusal) = bare.step(&Document { id: &id, status, stage, to }, revision).await {
        return refusal;
    }
    match step.as_str() {
        "status" => StatusCode::NO_CONTENT.into_response(),
        "flow" => ([(header::CONTENT_TYPE, "text/xml")], bare.ask(&id)).into_response(),
        _ => ([(header::CONTENT_TYPE, "text/xml")], THANKS).into_response(),
    }
}

const THANKS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
    <Response><Say language=\"ja-JP\">確認できました。ありがとうございました。</Say><Hangup/></Response>";

impl Bare {
    fn ask(&self, id: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Gather input=\"dtmf\" numDigits=\"1\" finishOnKey=\"\" \
             timeout=\"5\" method=\"POST\" action=\"{public}/webhooks/main/{id}/keys/1\"><Say language=\"ja-JP\">\
             Contosoです。この電話番号をサインイン方法に追加します。よろしければ、シャープを押してください。</Say></Gather>\
             <Redirect method=\"POST\">{public}/webhooks/main/{id}/flow</Redirect></Response>",
            public = self.public
        )
    }
}
