//! Owns the backend that results are posted to: it checks each signature by the Standard Webhooks specification on its
//! own account, and answers as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::server::CALLBACK_SECRET;

/// A result that arrived and whose signature is right.
#[derive(Debug, Clone)]
pub(crate) struct Result {
    /// `webhook-id`.
    pub(crate) id: String,
    /// The body, to the byte.
    pub(crate) raw: Vec<u8>,
    /// The body.
    pub(crate) body: Value,
}

#[derive(Default)]
struct Desk {
    results: Vec<Result>,
    answers: VecDeque<u16>,
    faults: Vec<String>,
}

/// A backend on a free port of the loopback interface, until it is dropped.
pub(crate) struct Backend {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    task: JoinHandle<()>,
}

impl Backend {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "a server of a test lives as long as the test")]
    pub(crate) async fn start() -> Self {
        let desk = Arc::new(Mutex::new(Desk::default()));
        let app = Router::new().route("/results", post(take)).with_state(Arc::clone(&desk));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, desk, task }
    }

    /// What goes into `callback_url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/results", self.address)
    }

    /// The next answers; later ones are 204.
    pub(crate) fn answers(&self, statuses: impl IntoIterator<Item = u16>) {
        self.desk.lock().unwrap().answers = statuses.into_iter().collect();
    }

    /// Everything that arrived.
    pub(crate) fn results(&self) -> Vec<Result> {
        let desk = self.desk.lock().unwrap();
        assert_eq!(desk.faults, Vec::<String>::new(), "results that a backend would not believe");
        desk.results.clone()
    }

    /// What arrived, by the verification it is about.
    pub(crate) fn by_verification(&self) -> BTreeMap<String, Vec<Result>> {
        let mut all = BTreeMap::<String, Vec<Result>>::new();
        for result in self.results() {
            all.entry(result.body["data"]["id"].as_str().unwrap().to_owned()).or_default().push(result);
        }
        all
    }

    /// Waits until a result about this verification arrived.
    pub(crate) async fn result_of(&self, id: &str) -> Result {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(result) = self.by_verification().get(id).and_then(|results| results.first()) {
                return result.clone();
            }
            assert!(Instant::now() < deadline, "no result about {id} arrived");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(desk): State<Arc<Mutex<Desk>>>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let mut desk = desk.lock().unwrap();
    match believe(&headers, &raw) {
        Ok(result) => desk.results.push(result),
        Err(fault) => desk.faults.push(fault),
    }
    StatusCode::from_u16(desk.answers.pop_front().unwrap_or(204)).unwrap()
}

fn believe(headers: &HeaderMap, raw: &[u8]) -> std::result::Result<Result, String> {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| format!("no {name}"));
    let (id, at, signatures) = (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    let key = STANDARD.decode(CALLBACK_SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(raw);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    if !signatures.split(' ').any(|signature| signature == expected) {
        return Err(format!("a wrong signature: {signatures}"));
    }
    let body = serde_json::from_slice(raw).map_err(|fault| fault.to_string())?;
    Ok(Result { id: id.to_owned(), raw: raw.to_vec(), body })
}
