//! The edge, a gateway behind it, and those who speak to it.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, http::request};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use ringproof::{
    callflow::{Flows, Script, Then},
    console,
    gateway::{CallbacksConfig, Carrier, Countries, Gateway, NumbersConfig, Parts, SystemEntropy, VerificationConfig},
    http::{ApiKey, ApiKeyConfig, Config, Edge, Scope, Setup, edge},
    outcome::Fault,
    provider::{
        Accepted, Capabilities, CheckFault, Endpoint, HangUpError, Inbound, LiveCall, Order, Pending, Provider,
        Refused, Reply,
    },
    secret::Secret,
    store::{Store, embedded::Embedded},
    time::{Clock, Timestamp},
    verification::{Aside, Cause, End, PlaceResult, Signal},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{gateway::faulty::Faulty, world::server::CALLBACK_SECRET};

/// How long a condition may take to come true.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A day in 2026: times in answers are the same in every run.
const BEGINNING_MS: u64 = 1_795_000_000_000;

/// Made, taken by a dispatcher, placed.
pub(super) const REVISION_WHEN_PLACED: u64 = 3;

pub(super) const PUBLIC_URL: &str = "https://verify.example.com/voice";

/// A clock that goes when it is told to.
pub(super) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// A carrier that takes every call. A message of it is authentic when its signature is the URL and the body as the
/// carrier meant them.
#[derive(Default)]
pub(super) struct FakeCarrier {
    orders: Mutex<Vec<Order>>,
}

impl Provider for FakeCarrier {
    fn capabilities(&self) -> Capabilities {
        Capabilities { extensions: true, entries: true, speech: true, recordings: false, max_extension: 32 }
    }

    fn place<'a>(&'a self, order: &'a Order) -> Pending<'a, PlaceResult> {
        self.orders.lock().unwrap().push(order.clone());
        Box::pin(async { PlaceResult::Accepted { carrier_call_id: None } })
    }

    fn hang_up<'a>(&'a self, _call: &'a LiveCall) -> Pending<'a, Result<(), HangUpError>> {
        Box::pin(async { Ok(()) })
    }

    fn accept(&self, inbound: &Inbound<'_>) -> Result<Accepted, Refused> {
        let signature = inbound.headers.get("x-signature").ok_or(Refused::NoSignature)?.as_bytes();
        let signed = [inbound.method.as_bytes(), b" ", inbound.url.as_bytes(), b" ", inbound.body].concat();
        if signature != signed {
            return Err(Refused::BadSignature);
        }
        let said = if inbound.method == "GET" {
            inbound.url.rsplit_once("?said=").map_or("", |(_, said)| said)
        } else {
            std::str::from_utf8(inbound.body).map_err(|_| Refused::Malformed)?
        };
        let cause = |end| Cause { end, fault: Fault::Callee, carrier_code: None, sip_status: None };
        let signal = match (inbound.to, said) {
            (Endpoint::Flow, _) => Some(Signal::Flow { answered: true }),
            (Endpoint::Keys { turn }, keys) => {
                Some(Signal::Keys { turn, digits: keys.parse().map_err(|_| Refused::Malformed)?, answered: true })
            }
            (Endpoint::Status, "ringing") => Some(Signal::Ringing),
            (Endpoint::Status, "answered") => Some(Signal::Answered),
            (Endpoint::Status, "completed") => Some(Signal::Ended(cause(End::Completed))),
            (Endpoint::Status, "busy") => Some(Signal::Ended(cause(End::Busy))),
            (Endpoint::Status, _) => None,
        };
        Ok(Accepted { carrier_call_id: None, to: None, signal, aside: Aside::default() })
    }

    fn render(&self, script: &Script, keys_url: &str) -> Reply {
        let body = match script.then {
            Then::Gather(_) => format!("<gather url=\"{keys_url}\"/>"),
            Then::HangUp => String::from("<hangup/>"),
        };
        Reply { status: 200, content_type: "text/xml", body }
    }

    fn acknowledge(&self) -> Reply {
        Reply { status: 204, content_type: "", body: String::new() }
    }

    fn apologize(&self, _language: &str) -> Reply {
        Reply { status: 200, content_type: "text/xml", body: String::from("<sorry/>") }
    }

    fn check(&self) -> Pending<'_, Result<String, CheckFault>> {
        Box::pin(async { Ok(String::from("scripted")) })
    }
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By<'a> {
    /// A client with the scopes `verify` and `calls`.
    Enrolment,
    /// Another one.
    Other,
    /// Keys of the first client with one scope each.
    VerifyOnly,
    CallsOnly,
    Admin,
    /// Somebody with this token.
    Token(&'a str),
    /// Nobody.
    Nobody,
}

pub(super) struct World {
    pub(super) edge: Arc<Edge>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) carrier: Arc<FakeCarrier>,
    pub(super) store: Arc<Faulty>,
    pub(super) stop: CancellationToken,
    pub(super) keys: [String; 5],
    gateway: Gateway,
    api_keys: Vec<ApiKeyConfig>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = tokio::time::timeout(PATIENCE, body.collect()).await.expect("the answer ends").unwrap().to_bytes();
        Self { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The document of an answer that must be good.
    #[track_caller]
    pub(super) fn good(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json()
    }

    /// The code of an answer that must be a problem document.
    #[track_caller]
    pub(super) fn code(&self) -> String {
        let document = self.json();
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        assert_eq!(document["status"], self.status.as_u16(), "{self:?}");
        let code = document["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned();
        assert_eq!(document["type"], format!("urn:ringproof:problem:{code}"));
        assert!(document["title"].is_string(), "{self:?}");
        code
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(super) async fn with(config: Config) -> Self {
        Self::made(config, ringproof::guard::Settings::unlimited()).await
    }

    /// With these limits.
    pub(super) async fn guarded(guard: ringproof::guard::Settings) -> Self {
        Self::made(Config::default(), guard).await
    }

    async fn made(config: Config, guard: ringproof::guard::Settings) -> Self {
        let clock = Arc::new(ManualClock(AtomicU64::new(BEGINNING_MS)));
        let carrier = Arc::new(FakeCarrier::default());
        let memory = Embedded::in_memory(Arc::clone(&clock) as Arc<dyn Clock>, RETENTION);
        let store = Faulty::sound(Arc::new(memory));
        let gateway = Gateway::open(Parts { guard, ..parts(&clock, &carrier, &store) }).await.unwrap();
        let stop = CancellationToken::new();
        let made = [(); 5].map(|()| ApiKey::generate(&SystemEntropy));
        let both = [Scope::Verify, Scope::Calls];
        let api_keys = [
            made[0].config("enrolment", &both),
            made[1].config("other", &both),
            made[2].config("enrolment", &[Scope::Verify]),
            made[3].config("enrolment", &[Scope::Calls]),
            made[4].config("operators", &[Scope::Admin]),
        ];
        let edge = edge_of(&gateway, &clock, &config, &api_keys, &stop);
        let keys = made.map(|key| key.expose().to_owned());
        Self { edge, clock, carrier, store, stop, keys, gateway, api_keys: api_keys.into() }
    }

    /// The same after a start with other keys: these of the five, each under its scopes; the store is the same.
    pub(super) fn started_again_with(self, keys: &[(usize, &[Scope])]) -> Self {
        let kept =
            keys.iter().map(|(at, scopes)| ApiKeyConfig { scopes: scopes.to_vec(), ..self.api_keys[*at].clone() });
        let edge = edge_of(&self.gateway, &self.clock, &Config::default(), &kept.collect::<Vec<_>>(), &self.stop);
        Self { edge, ..self }
    }

    fn token<'a>(&'a self, by: By<'a>) -> Option<&'a str> {
        match by {
            By::Enrolment => Some(&self.keys[0]),
            By::Other => Some(&self.keys[1]),
            By::VerifyOnly => Some(&self.keys[2]),
            By::CallsOnly => Some(&self.keys[3]),
            By::Admin => Some(&self.keys[4]),
            By::Token(token) => Some(token),
            By::Nobody => None,
        }
    }

    /// A request as it comes from a connection.
    pub(super) fn request(&self, by: By<'_>, method: &str, path: &str) -> request::Builder {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "verify.example.com");
        match self.token(by) {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.edge.handle(request).await).await
    }

    pub(super) async fn get(&self, by: By<'_>, path: &str) -> Answer {
        self.send(self.request(by, "GET", path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, by: By<'_>, path: &str, body: &str) -> Answer {
        let request = self.request(by, "POST", path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Asks for a verification. The id and the order that the carrier gets.
    pub(super) async fn create(&self, body: &str) -> (String, Order) {
        let before = self.orders();
        let answer = self.post(By::Enrolment, "/v1/verifications", body).await;
        let id = answer.good()["id"].as_str().unwrap().to_owned();
        let order = self.placed(&id).await;
        assert_eq!(self.orders(), before + 1);
        (id, order)
    }

    /// The last order, once it is written that the carrier has it: nothing more happens by itself then.
    pub(super) async fn placed(&self, id: &str) -> Order {
        until("the carrier has the call", || async {
            let revision = self.document(id).await["revision"].as_u64();
            (revision >= Some(REVISION_WHEN_PLACED)).then(|| self.carrier.orders.lock().unwrap().last().cloned())?
        })
        .await
    }

    pub(super) fn orders(&self) -> usize {
        self.carrier.orders.lock().unwrap().len()
    }

    /// What the carrier posts about a call.
    pub(super) async fn carrier_says(&self, order: &Order, endpoint: &str, said: &str) -> Answer {
        let path = format!("/webhooks/main/{}/{endpoint}", order.token.to_path());
        let signature = format!("POST {PUBLIC_URL}{path} {said}");
        let request = self.request(By::Nobody, "POST", &path).header("x-signature", signature);
        self.send(request.body(Body::from(said.to_owned())).unwrap()).await
    }

    /// The callee answers and hears the question; the path that its answer goes to.
    pub(super) async fn answered(&self, order: &Order) -> String {
        self.carrier_says(order, "status", "ringing").await;
        let asked = self.carrier_says(order, "flow", "").await;
        self.clock.advance(Duration::from_secs(3));
        let (_, keys) = asked.text.split_once("/keys/").unwrap_or_else(|| panic!("no question: {asked:?}"));
        format!("keys/{}", keys.trim_end_matches("\"/>"))
    }

    /// The callee answers, presses `#`, and the call ends.
    pub(super) async fn verified(&self, order: &Order) {
        let keys = self.answered(order).await;
        assert_eq!(self.carrier_says(order, &keys, "#").await.text, "<hangup/>");
        self.carrier_says(order, "status", "completed").await;
    }

    pub(super) async fn document(&self, id: &str) -> Value {
        self.get(By::Enrolment, &format!("/v1/verifications/{id}")).await.good()
    }

    pub(super) async fn view_token(&self, id: &str) -> String {
        let answer = self.post(By::Enrolment, &format!("/v1/verifications/{id}/view-token"), "").await;
        answer.good()["token"].as_str().unwrap().to_owned()
    }
}

pub(super) const REQUEST: &str =
    r#"{"to": "090-1234-5678", "country": "JP", "locale": "ja-JP", "reference": "user-42"}"#;

/// How long records are kept.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is in front of the gateway, for whoever has these keys.
fn edge_of(
    gateway: &Gateway,
    clock: &Arc<ManualClock>,
    config: &Config,
    api_keys: &[ApiKeyConfig],
    stop: &CancellationToken,
) -> Arc<Edge> {
    let keys = config.keys(api_keys).unwrap();
    let console = console::pages(console::Setup {
        gateway: gateway.clone(),
        keys: Arc::clone(&keys),
        config: console::Config::default(),
        oidc: None,
        public_url: PUBLIC_URL.parse().unwrap(),
        brand: String::from("Contoso"),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        stop: stop.clone(),
    });
    let edge = edge(Setup {
        config,
        keys,
        public_url: &PUBLIC_URL.parse().unwrap(),
        brand: "Contoso; Zürich",
        gateway: gateway.clone(),
        scrape: Some(Arc::new(|form| format!("measured in {form:?}\n"))),
        pages: Router::new().route("/page", axum::routing::get(async || "a page")).merge(console.unwrap()),
        page_routes: &console::ROUTES,
        instance: 7,
        stop: stop.clone(),
    });
    Arc::new(edge.unwrap())
}

fn parts(clock: &Arc<ManualClock>, carrier: &Arc<FakeCarrier>, store: &Arc<Faulty>) -> Parts {
    Parts {
        public_url: PUBLIC_URL.to_owned(),
        store: Arc::clone(store) as Arc<dyn Store>,
        carriers: vec![Carrier {
            name: String::from("main"),
            provider: Arc::clone(carrier) as Arc<dyn Provider>,
            from: vec!["+815012345678".parse().unwrap()],
            countries: Countries::All,
            free: false,
            placing_at_once: 8,
            calls_per_second: None,
        }],
        flows: Flows::from_sources(&[
            (String::from("match.xml"), include_str!("../simulation/match.xml").to_owned()),
            (String::from("speak.xml"), include_str!("../simulation/speak.xml").to_owned()),
        ])
        .unwrap(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::new(SystemEntropy),
        numbers: NumbersConfig { countries: vec!["JP".parse().unwrap()], ..NumbersConfig::default() },
        verification: VerificationConfig { brand: String::from("Contoso"), ..VerificationConfig::default() },
        guard: ringproof::guard::Settings::unlimited(),
        callbacks: CallbacksConfig {
            secret: Some(Secret::new(String::from(CALLBACK_SECRET))),
            allow_private: true,
            ..CallbacksConfig::default()
        },
        retention: RETENTION,
    }
}

/// Waits until `look` finds something.
pub(super) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_) => panic!("it never came to this: {what}"),
    }
}

/// JSON as a snapshot keeps it: without the random parts of ids, and what changes with the wording of a flow.
pub(super) fn shown(value: &Value, id: &str) -> String {
    let bare = id.trim_start_matches("ver_");
    let text = serde_json::to_string_pretty(value).unwrap().replace(bare, "…");
    let lines = text.lines().map(|line| match line.split_once("\"flow_version\": ") {
        Some((indent, _)) => format!("{indent}\"flow_version\": \"…\","),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
