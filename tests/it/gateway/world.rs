//! A gateway and everything around it.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use ringproof::{
    callflow::Flows,
    gateway::{
        CallbacksConfig, Carrier, Client, Countries, CreateRequest, CreatedVerification, Gateway, NumbersConfig, Parts,
        Refusal, SystemEntropy, VerificationConfig, WebhookRefused,
    },
    id::VerificationId,
    provider::{Endpoint, Inbound, Order, Reply},
    store::{Store, embedded::Embedded},
    time::{Clock, Timestamp},
    verification::Verification,
};

use super::carrier::{FakeCarrier, sid};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_795_000_000_000)))
    }

    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

pub(super) struct World {
    pub(super) gateway: Gateway,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<dyn Store>,
    pub(super) carrier: Arc<FakeCarrier>,
}

pub(super) fn client() -> Client {
    Client { name: String::from("enrolment") }
}

pub(super) fn request() -> CreateRequest {
    CreateRequest { to: String::from("090-1234-5678"), country: Some(String::from("JP")), ..CreateRequest::default() }
}

/// A request that has its result posted to this address.
pub(super) fn reported_to(url: &str) -> CreateRequest {
    CreateRequest { callback_url: Some(url.to_owned()), ..request() }
}

pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(super) fn callbacks() -> CallbacksConfig {
    CallbacksConfig {
        secret: Some(ringproof::secret::Secret::new(SECRET.to_owned())),
        secret_previous: None,
        allow_private: true,
    }
}

pub(super) fn memory(clock: &Arc<ManualClock>) -> Arc<dyn Store> {
    Arc::new(Embedded::in_memory(Arc::clone(clock) as Arc<dyn Clock>, Duration::from_secs(30 * 24 * 3600)))
}

pub(super) fn parts(clock: &Arc<ManualClock>, store: &Arc<dyn Store>, carrier: &Arc<FakeCarrier>) -> Parts {
    Parts {
        public_url: String::from("https://verify.example.com"),
        store: Arc::clone(store),
        carriers: vec![configured("main", carrier)],
        flows: Flows::from_sources(&[]).unwrap(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::new(SystemEntropy),
        numbers: NumbersConfig {
            countries: vec!["JP".parse().unwrap(), "US".parse().unwrap()],
            ..NumbersConfig::default()
        },
        verification: VerificationConfig { brand: String::from("Contoso"), ..VerificationConfig::default() },
        guard: ringproof::guard::Settings::unlimited(),
        callbacks: callbacks(),
        retention: Duration::from_secs(30 * 24 * 3600),
    }
}

/// A carrier as it is configured.
pub(super) fn configured(name: &str, carrier: &Arc<FakeCarrier>) -> Carrier {
    Carrier {
        name: name.to_owned(),
        provider: Arc::clone(carrier) as Arc<dyn ringproof::provider::Provider>,
        from: vec!["+12125550100".parse().unwrap(), "+815012345678".parse().unwrap()],
        countries: Countries::All,
        free: false,
        placing_at_once: 8,
        calls_per_second: None,
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let clock = ManualClock::new();
        let store = memory(&clock);
        Self::on(clock, store).await
    }

    pub(super) async fn on(clock: Arc<ManualClock>, store: Arc<dyn Store>) -> Self {
        Self::with(clock, store, Arc::default()).await
    }

    pub(super) async fn with(clock: Arc<ManualClock>, store: Arc<dyn Store>, carrier: Arc<FakeCarrier>) -> Self {
        let gateway = Gateway::open(parts(&clock, &store, &carrier)).await.unwrap();
        Self { gateway, clock, store, carrier }
    }

    /// With these limits.
    pub(super) async fn guarded(settings: ringproof::guard::Settings) -> Self {
        let (clock, carrier) = (ManualClock::new(), Arc::default());
        let store = memory(&clock);
        let parts = Parts { guard: settings, ..parts(&clock, &store, &carrier) };
        Self { gateway: Gateway::open(parts).await.unwrap(), clock, store, carrier }
    }

    /// Another process of the same installation.
    pub(super) async fn beside(&self) -> Self {
        Self::with(Arc::clone(&self.clock), Arc::clone(&self.store), Arc::clone(&self.carrier)).await
    }

    pub(super) async fn create(&self, request: CreateRequest) -> Result<CreatedVerification, Refusal> {
        self.gateway.create(&client(), request, None, b"").await
    }

    /// Creates and waits until the carrier is asked for the call.
    pub(super) async fn call(&self, request: CreateRequest) -> (VerificationId, Order) {
        let id = self.create(request).await.unwrap().document.id;
        (id, self.order(0).await)
    }

    /// The order number `index` that the carrier gets.
    pub(super) async fn order(&self, index: usize) -> Order {
        until("the carrier is asked for a call", || async { self.carrier.orders.lock().unwrap().get(index).cloned() })
            .await
    }

    pub(super) fn orders(&self) -> usize {
        self.carrier.orders.lock().unwrap().len()
    }

    pub(super) async fn value(&self, id: VerificationId) -> Verification {
        self.store.load(id).await.unwrap().unwrap()
    }

    /// Waits until the stored verification is as it should be.
    pub(super) async fn value_when(
        &self,
        id: VerificationId,
        what: &str,
        wanted: fn(&Verification) -> bool,
    ) -> Verification {
        until(what, || async { self.store.load(id).await.ok().flatten().filter(wanted) }).await
    }

    pub(super) async fn flow(&self, order: &Order) -> Result<Reply, WebhookRefused> {
        self.post(order, Endpoint::Flow, &format!("{}/", sid(order))).await
    }

    pub(super) async fn keys(&self, order: &Order, turn: u32, keys: &str) -> Result<Reply, WebhookRefused> {
        self.post(order, Endpoint::Keys { turn }, &format!("{}/{keys}", sid(order))).await
    }

    pub(super) async fn status(&self, order: &Order, word: &str) -> Result<Reply, WebhookRefused> {
        self.post(order, Endpoint::Status, &format!("{}/{word}", sid(order))).await
    }

    pub(super) async fn post(&self, order: &Order, to: Endpoint, body: &str) -> Result<Reply, WebhookRefused> {
        self.post_signed("main", &order.token.to_path(), to, body, Some("right")).await
    }

    pub(super) async fn post_signed(
        &self,
        carrier: &str,
        token: &str,
        to: Endpoint,
        body: &str,
        signature: Option<&str>,
    ) -> Result<Reply, WebhookRefused> {
        let mut headers = HeaderMap::new();
        if let Some(signature) = signature {
            headers.insert("x-signature", signature.parse().unwrap());
        }
        let inbound = Inbound { to, method: "POST", url: "", headers: &headers, body: body.as_bytes() };
        self.gateway.webhook(carrier, token, inbound).await
    }

    /// The callee answers, hears the first question, and may press a key that counts. The turn of that question.
    pub(super) async fn answer(&self, order: &Order) -> u32 {
        self.status(order, "ringing").await.unwrap();
        let asked = self.flow(order).await.unwrap();
        self.clock.advance(Duration::from_secs(3));
        turn(&asked).expect("a question is asked")
    }
}

/// The turn of the question in a document; none where nothing is asked.
pub(super) fn turn(reply: &Reply) -> Option<u32> {
    reply.body.rsplit_once("/keys/")?.1.trim().parse().ok()
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
