//! Owns filling a store with records through its own code, and how much space they take there.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration, time::Instant};

use futures_util::{StreamExt as _, stream};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ringproof::{
    dtmf::Digits,
    id::NumberHash,
    outcome::{Mode, Purpose, Status},
    phone::E164,
    secret::Secret,
    store::{self, Commit, Config, Created, Store},
    time::{Clock as _, SystemClock},
    verification::{Policy, Request, Seed, Verification},
};
use sha2::Sha256;

use crate::{
    facts::{Fact, fact},
    machine::{self, Core, Process},
};

/// How long records are kept.
pub(crate) const RETENTION: Duration = Duration::from_hours(30 * 24);
/// Changes under way at once, as of a busy service.
const AT_ONCE: usize = 256;
/// The key of the number hashes.
const MASTER: [u8; 32] = [42; 32];

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Embedded,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Embedded => "embedded",
        }
    }
}

/// A store that is filled.
pub(crate) struct Filled {
    pub(crate) url: String,
    pub(crate) facts: Vec<Fact>,
    pub(crate) took: Duration,
    /// Bytes for one record, by what they are for.
    pub(crate) bytes: Vec<(&'static str, f64)>,
    /// CPU of Redis for one record, in µs.
    pub(crate) redis_us: Option<f64>,
    _redis: Option<Process>,
    _folder: tempfile::TempDir,
}

/// What stands for a number, as the gateway derives it.
pub(crate) fn hashed(number: &E164) -> NumberHash {
    let mac = |key: &[u8], text: &[u8]| -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes().into()
    };
    let whole = mac(&mac(&MASTER, b"ringproof number hash"), number.expose().as_bytes());
    NumberHash::new(*whole.first_chunk().unwrap())
}

pub(crate) async fn fill(kind: Kind, records: usize) -> Filled {
    let folder = tempfile::tempdir().unwrap();
    let (url, redis) = match kind {
        Kind::Redis => {
            let (url, process) = start_redis(folder.path()).await;
            (url, Some(process))
        }
        Kind::Embedded => (format!("embedded:{}", folder.path().display()), None),
    };
    let config = Config { url: url.clone(), retention: RETENTION, ..Config::default() };
    let store = store::open(&config).await.unwrap();
    store.number_key(MASTER).await.unwrap();
    let now = SystemClock.now();
    let facts: Vec<Fact> = (0..records as u64).map(|n| fact(n, records as u64, now)).collect();
    let (begun, cpu) = (Instant::now(), redis.as_ref().map(Process::cpu));
    stream::iter(&facts).for_each_concurrent(AT_ONCE, |fact| write(&store, fact)).await;
    let took = begun.elapsed();
    let used = redis.as_ref().zip(cpu).map(|(process, before)| process.cpu() - before);
    drop(store);
    let bytes = match kind {
        Kind::Redis => redis_bytes(&url, records).await,
        Kind::Embedded => {
            let file = std::fs::metadata(folder.path().join("ringproof.redb")).unwrap().len();
            vec![("file", file as f64 / records as f64)]
        }
    };
    let redis_us = used.map(|used| used.as_secs_f64() * 1e6 / records as f64);
    Filled { url, facts, took, bytes, redis_us, _redis: redis, _folder: folder }
}

/// A verification that is over, with the record of its call. Itself it is forgotten at once.
async fn write(store: &Arc<dyn Store>, fact: &Fact) {
    let record = fact.record(hashed(&fact.e164()));
    let request = Request {
        client: fact.client.to_owned(),
        targets: Vec::new(),
        mode: Mode::Confirm,
        flow: record.flow.clone(),
        flow_version: record.flow_version,
        brand: String::from("Contoso"),
        purpose: Purpose::Enrolment,
        purpose_text: None,
        code: None::<Secret<Digits>>,
        reference: None,
        metadata: Vec::new(),
        callback_url: None,
        policy: Policy {
            max_calls: 3,
            ring_timeout_ms: 30_000,
            call_limit_ms: 90_000,
            early_keys_ms: 1_000,
            closing_ms: 5_000,
            max_wrong_entries: 5,
            redial_after_ms: 30_000,
            call_speed: 1,
        },
    };
    let value = Verification {
        id: record.id.verification,
        revision: 1,
        request,
        created_at: record.queued_at,
        expires_at: record.ended_at,
        status: Status::Verified,
        reason: None,
        decided_at: Some(record.ended_at),
        calls: Vec::new(),
        next: None,
        wrong_entries: 0,
        turn: 1,
        events: Vec::new(),
        seed: Secret::new(Seed::from([0; 16])),
        block_requested: false,
        trace: None,
        promised: None,
    };
    let change = Commit {
        value: &value,
        deadline: None,
        before: None,
        spends: None,
        effects: Vec::new(),
        records: vec![record],
        tally: None,
        take: ringproof::guard::step::Take::default(),
        settle: ringproof::guard::step::Settle::default(),
        release: true,
        keep_for: Duration::ZERO,
        keep_records_for: RETENTION,
    };
    let created = store.create(change).await.unwrap();
    assert!(matches!(created, Created::Done(_)), "{created:?}");
}

async fn start_redis(dir: &Path) -> (String, Process) {
    let port = machine::free_port();
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/redis.conf");
    let mut command = machine::pinned(Core::Rest, Path::new("redis-server"), machine::cores());
    command
        .arg(conf)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--maxmemory", "8gb", "--dir"])
        .arg(dir);
    let process = Process::start(command.stdout(Stdio::null()));
    let url = format!("redis://127.0.0.1:{port}/0");
    let client = redis::Client::open(url.clone()).unwrap();
    for _ in 0..400 {
        if client.get_multiplexed_async_connection().await.is_ok() {
            return (url, process);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("redis-server did not start");
}

/// What Redis says that the keys of the log and of its index take.
async fn redis_bytes(url: &str, records: usize) -> Vec<(&'static str, f64)> {
    let client = redis::Client::open(url.to_owned()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("rp1:*:log*").query_async(&mut connection).await.unwrap();
    let (mut log, mut index) = (0_u64, 0_u64);
    for key in keys {
        let mut command = redis::cmd("MEMORY");
        let bytes: u64 =
            command.arg("USAGE").arg(&key).arg("SAMPLES").arg(0).query_async(&mut connection).await.unwrap();
        *(if key.ends_with(":log") { &mut log } else { &mut index }) += bytes;
    }
    vec![("log", log as f64 / records as f64), ("index of the log", index as f64 / records as f64)]
}
