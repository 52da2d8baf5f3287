//! Owns the stores that the suite runs against, and how their time passes.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ringproof::{
    store::{self, Config, Store, embedded::Embedded},
    time::{Clock, Timestamp},
};
use tempfile::TempDir;

use super::sample::{BEGIN, KEEP, NUMBER};
use crate::world::redis::{Cluster, Redis};

/// Longest wait for something that must come by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store under test.
pub(crate) struct Lab {
    pub(crate) store: Arc<dyn Store>,
    hand: Option<Arc<Hand>>,
    /// The Redis servers behind the store.
    pub(crate) servers: Vec<Redis>,
    _kept: Box<dyn Any + Send + Sync>,
}

/// A clock that is moved by hand.
pub(crate) struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }
}

/// How exactly the time of a real server is known here.
const BLUR: Duration = Duration::from_millis(50);

impl Lab {
    pub(crate) async fn memory() -> Self {
        let hand = hand();
        let store = Embedded::in_memory(hand.clone(), KEEP);
        Self { store: Arc::new(store), hand: Some(hand), servers: Vec::new(), _kept: Box::new(()) }
    }

    pub(crate) async fn disk() -> Self {
        let (hand, folder) = (hand(), TempDir::new().unwrap());
        let store = Embedded::on_disk(folder.path(), hand.clone(), KEEP).unwrap();
        Self { store: Arc::new(store), hand: Some(hand), servers: Vec::new(), _kept: Box::new(folder) }
    }

    pub(crate) async fn redis() -> Self {
        let redis = Redis::start();
        let store = open(&redis.url()).await;
        Self { store, hand: None, servers: vec![redis], _kept: Box::new(()) }
    }

    pub(crate) async fn cluster() -> Self {
        let cluster = Cluster::start();
        let store = open(&cluster.url()).await;
        Self { store, hand: None, servers: cluster.into_nodes(), _kept: Box::new(()) }
    }

    /// A store that was opened elsewhere, on this server.
    pub(crate) fn of(store: Arc<dyn Store>, server: Redis) -> Self {
        Self { store, hand: None, servers: vec![server], _kept: Box::new(()) }
    }

    /// The store's time.
    pub(crate) async fn now(&self) -> Timestamp {
        self.store.due(1).await.unwrap().now
    }

    /// Fails when Redis holds a key without an expiry that may not be so, or one with a number in it.
    pub(crate) fn no_key_is_forgotten(&self) {
        const WITHOUT_EXPIRY: [&str; 4] = [":due", ":outbox", ":dead", ":number-key"];
        for server in &self.servers {
            for key in server.keys() {
                let ttl: i64 = server.send(&["PTTL", &key]);
                let may = WITHOUT_EXPIRY.iter().any(|end| key.ends_with(end));
                assert!(ttl > 0 || ttl == -2 || (ttl == -1 && may), "{key} has no expiry");
                assert!(key.starts_with("rp1:{p") && !key.contains(&NUMBER[1..]), "{key}");
            }
        }
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        let end = self.now().await.plus(time);
        match &self.hand {
            Some(hand) => hand.0.store(end.as_ms(), Ordering::Relaxed),
            // What a server says of its time is read over a connection, and it looks at the clock once for several commands.
            None => until("time passes", async || self.now().await >= end.plus(BLUR)).await,
        }
    }
}

/// Opens the store at an address.
pub(crate) async fn open(url: &str) -> Arc<dyn Store> {
    store::open(&config(url)).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// The settings of the store at an address.
pub(crate) fn config(url: &str) -> Config {
    Config { url: url.to_owned(), retention: KEEP, ..Config::default() }
}

/// Waits for a condition, with a bound.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"));
}

fn hand() -> Arc<Hand> {
    Arc::new(Hand(AtomicU64::new(BEGIN.as_ms())))
}
