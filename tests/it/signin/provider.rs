//! Owns a provider written from the specifications to break them one at a time (`OpenID` Connect Core 1.0, RFC 6749,
//! RFC 7519, RFC 7636, RFC 9207). Where it plays no trick it is strict: it checks what it is asked.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ringproof::time::{Clock, SystemClock};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};

/// With characters that have to be encoded on the way (RFC 6749 section 2.3.1).
pub(super) const CLIENT_SECRET: &str = "s:e&c+r=e/t %";

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    Honest,
    NotAnOperator,
    NoGroups,
    AccessDenied,
    ErrorWithMarkup,
    OtherIss,
    NoIss,
    NoCode,
    TwoCodes,
    WrongIssuer,
    WrongAudience,
    OtherParty,
    AlgNone,
    Hs256ByPublicKey,
    Expired,
    OfTomorrow,
    NoNonce,
    OtherNonce,
    OtherAccessToken,
    StrangersKey,
    UnpublishedKey,
    NoToken,
    AnotherPersonsClaims,
    CodeRefused,
    TokenEndpointBroken,
    TokenEndpointLeadsAway,
    HugeAnswer,
    NoAnswer,
}

struct Desk {
    issuer: String,
    trick: Trick,
    key: EcdsaKeyPair,
    kid: u32,
    /// What was asked for by each code that was given: challenge, nonce, redirect URI.
    codes: BTreeMap<String, [String; 3]>,
    /// Codes and tokens that were given away.
    given: Vec<String>,
    exchanges: u32,
    key_reads: u32,
}

/// A provider on a free port of the loopback interface, until it is dropped.
pub(super) struct Fake {
    issuer: String,
    desk: Shared,
    task: JoinHandle<()>,
}

type Shared = Arc<Mutex<Desk>>;
type Pairs = BTreeMap<String, String>;

fn new_key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

impl Fake {
    #[expect(clippy::disallowed_methods, reason = "a server of a test lives as long as the test")]
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let desk = Desk {
            issuer: issuer.clone(),
            trick: Trick::Honest,
            key: new_key(),
            kid: 1,
            codes: BTreeMap::new(),
            given: Vec::new(),
            exchanges: 0,
            key_reads: 0,
        };
        let desk = Arc::new(Mutex::new(desk));
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/auth", get(authorize))
            .route("/token", post(token))
            .route("/person", get(person))
            .with_state(Arc::clone(&desk));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { issuer, desk, task }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn plays(&self, trick: Trick) {
        self.desk().trick = trick;
    }

    /// Signs with a new key from now on.
    pub(super) fn rotates(&self) {
        let mut desk = self.desk();
        desk.key = new_key();
        desk.kid += 1;
    }

    /// Codes and tokens that were given away: none may be found anywhere.
    pub(super) fn given(&self) -> Vec<String> {
        self.desk().given.clone()
    }

    pub(super) fn exchanges(&self) -> u32 {
        self.desk().exchanges
    }

    pub(super) fn key_reads(&self) -> u32 {
        self.desk().key_reads
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn discovery(State(desk): State<Shared>) -> Json<Value> {
    let issuer = desk.lock().unwrap().issuer.clone();
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/person"),
        "end_session_endpoint": format!("{issuer}/leave"),
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(desk): State<Shared>) -> Json<Value> {
    let mut desk = desk.lock().unwrap();
    desk.key_reads += 1;
    let (x, y) = desk.key.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
    Json(
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "kid": desk.kid.to_string(), "x": x, "y": y }] }),
    )
}

async fn authorize(State(desk): State<Shared>, Query(asked): Query<Pairs>) -> Redirect {
    let mut desk = desk.lock().unwrap();
    let trick = desk.trick;
    assert_eq!((&*asked["response_type"], &*asked["client_id"]), ("code", "ringproof"));
    assert_eq!(asked["code_challenge_method"], "S256");
    let code = format!("code-{}-{}", desk.codes.len(), asked["state"]);
    let of = ["code_challenge", "nonce", "redirect_uri"].map(|name| asked[name].clone());
    desk.codes.insert(code.clone(), of);
    desk.given.push(code.clone());
    let iss = match trick {
        Trick::OtherIss => "https://login.example.net",
        _ => &desk.issuer,
    };
    let mut back: url::Url = asked["redirect_uri"].parse().unwrap();
    let mut query = back.query_pairs_mut();
    query.append_pair("state", &asked["state"]);
    match trick {
        Trick::AccessDenied => query.append_pair("error", "access_denied").append_pair("error_description", "no"),
        Trick::ErrorWithMarkup => query.append_pair("error", "<script>alert(1)</script>"),
        Trick::NoCode => &mut query,
        Trick::TwoCodes => query.append_pair("code", &code).append_pair("code", "another"),
        _ => query.append_pair("code", &code),
    };
    if trick != Trick::NoIss {
        query.append_pair("iss", iss);
    }
    drop(query);
    Redirect::to(back.as_str())
}

async fn token(State(desk): State<Shared>, headers: HeaderMap, Form(form): Form<Pairs>) -> Response {
    let trick = {
        let mut desk = desk.lock().unwrap();
        desk.exchanges += 1;
        desk.trick
    };
    match trick {
        Trick::CodeRefused => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
        }
        Trick::TokenEndpointBroken => return (StatusCode::INTERNAL_SERVER_ERROR, "sorry").into_response(),
        Trick::TokenEndpointLeadsAway => return Redirect::temporary("http://127.0.0.1:9/").into_response(),
        Trick::HugeAnswer => return "x".repeat(1024 * 1024).into_response(),
        Trick::NoAnswer => return pending().await,
        Trick::NoToken => return Json(json!({ "access_token": "at", "token_type": "Bearer" })).into_response(),
        _ => {}
    }
    let mut desk = desk.lock().unwrap();
    let [challenge, nonce, back] = desk.codes[&form["code"]].clone();
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["redirect_uri"], back);
    assert_eq!(BASE64URL_NOPAD.encode(&Sha256::digest(&form["code_verifier"])), challenge, "PKCE");
    let encoded: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
    let basic = format!("Basic {}", BASE64.encode(format!("ringproof:{encoded}").as_bytes()));
    assert_eq!(headers[header::AUTHORIZATION], basic);
    let access_token = format!("at-{}", form["code"]);
    let id_token = desk.id_token(&nonce, &access_token);
    desk.given.extend([access_token.clone(), id_token.clone(), form["code_verifier"].clone()]);
    Json(json!({ "id_token": id_token, "access_token": access_token, "token_type": "Bearer" })).into_response()
}

impl Desk {
    fn id_token(&self, nonce: &str, access_token: &str) -> String {
        let now = SystemClock.now().as_secs();
        let day = Duration::from_secs(86_400).as_secs();
        let half = |token: &str| BASE64URL_NOPAD.encode(&Sha256::digest(token)[..16]);
        let mut claims = json!({
            "iss": self.issuer, "aud": "ringproof", "sub": "u-1", "iat": now, "exp": now + 300, "nonce": nonce,
            "at_hash": half(access_token), "name": "Kim Operator",
        });
        let mut set = |name: &str, value: Value| claims[name] = value;
        match self.trick {
            Trick::NotAnOperator => set("groups", json!(["staff"])),
            Trick::WrongIssuer => set("iss", json!("https://login.example.net")),
            Trick::WrongAudience => set("aud", json!("another")),
            Trick::OtherParty => set("azp", json!("another")),
            Trick::Expired => set("exp", json!(now - 120)),
            Trick::OfTomorrow => set("iat", json!(now + day)),
            Trick::NoNonce => set("nonce", Value::Null),
            Trick::OtherNonce => set("nonce", json!("another")),
            Trick::OtherAccessToken => set("at_hash", json!(half("another"))),
            _ => {}
        }
        let (alg, kid) = match self.trick {
            Trick::AlgNone => ("none", self.kid),
            Trick::Hs256ByPublicKey => ("HS256", self.kid),
            Trick::UnpublishedKey => ("ES256", 9999),
            _ => ("ES256", self.kid),
        };
        let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let signed =
            format!("{}.{}", part(&json!({ "alg": alg, "kid": kid.to_string(), "typ": "JWT" })), part(&claims));
        let random = SystemRandom::new();
        let signature = match self.trick {
            Trick::AlgNone => Vec::new(),
            Trick::Hs256ByPublicKey => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.public_key().as_ref());
                hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            Trick::StrangersKey => new_key().sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            _ => self.key.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

/// Groups are told here only, as providers that keep to the standard do.
async fn person(State(desk): State<Shared>, headers: HeaderMap) -> Json<Value> {
    assert!(headers[header::AUTHORIZATION].to_str().unwrap().starts_with("Bearer at-"));
    Json(match desk.lock().unwrap().trick {
        Trick::NoGroups => json!({ "sub": "u-1" }),
        Trick::AnotherPersonsClaims => json!({ "sub": "u-2", "groups": ["telephony-operators"] }),
        Trick::NotAnOperator => json!({ "sub": "u-1", "groups": ["staff"] }),
        _ => json!({ "sub": "u-1", "groups": ["staff", "telephony-operators"] }),
    })
}
