//! Owns the store in Redis 7.0 or newer, or Valkey: one server, behind sentinels, or a cluster. Every change is one script,
//! which touches one partition; the scripts compare and write, they decide nothing about a verification. Replicas are never
//! read.

mod faults;
mod feed;
mod guarded;
mod keys;
mod lanes;
mod link;
mod lists;
mod log;
mod pack;
mod scripts;
mod servers;
mod setup;
mod tallies;
mod wire;
mod writing;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::try_join_all;
use redis::Value;
use tokio::{sync::broadcast, task::JoinSet, time::Instant};

use self::{
    feed::{Feed, Followed},
    link::Link,
    servers::Source,
    setup::Judged,
};
use super::{
    CHANGES_KEPT, CallQuery, Changed, Commit, Committed, Counts, Created, DeadLetter, Due, Held, IdempotencyKey,
    ListQuery, Outgoing, Page, Pending, Remembered, Servers, Store, StoreError, StoreHealth, TallyQuery, Waiting,
    codec,
};
use crate::{
    guard::{
        meter::Key,
        step::{Answer, Settle, StoredBar, Take},
    },
    id::{CallId, EffectId, NumberHash, Partition, VerificationId},
    time::Timestamp,
    verification::{CallRecord, Delivery, Verification},
};

/// The store in Redis. Its clock is that of Redis.
pub struct Redis {
    link: Link,
    source: Source,
    changes: broadcast::Sender<Changed>,
    retention: Duration,
    /// Marks attempts, so that one whose answer was lost is recognised when it is repeated.
    marks: AtomicU64,
    judged: Mutex<(Judged, Instant)>,
    followed: Arc<Followed>,
    /// The subscription, which ends with the store.
    _feed: JoinSet<()>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}

impl Redis {
    /// Connects and checks the servers' settings. Dead letters are kept for `retention`.
    ///
    /// # Errors
    /// [`StoreError::Setup`] when settings do not let us work, with what to do; else why it cannot be reached.
    pub async fn open(servers: &Servers, retention: Duration) -> Result<Self, StoreError> {
        setup::check_login(servers)?;
        let link = Link::open(Source::of(servers)?).await?;
        let source = Source::of(servers)?;
        let judged = judge(&link, &source).await?;
        let followed = Arc::new(Followed::default());
        let feed = Feed::open(Source::of(servers)?, Arc::clone(&followed)).await?;
        let changes = broadcast::Sender::new(CHANGES_KEPT);
        let mut tasks = JoinSet::new();
        tasks.spawn(feed.run(changes.clone()));
        Ok(Self {
            link,
            source,
            changes,
            retention,
            marks: AtomicU64::new(rand::random()),
            judged: Mutex::new((judged, Instant::now())),
            followed,
            _feed: tasks,
        })
    }

    /// What is thought of the settings, not older than a minute.
    async fn judged(&self) -> Result<Judged, StoreError> {
        let (judged, at) = self.judged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if at.elapsed() < JUDGE_EVERY {
            return Ok(judged);
        }
        let judged = judge(&self.link, &self.source).await?;
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = (judged.clone(), Instant::now());
        Ok(judged)
    }

    fn tell(&self, id: VerificationId) {
        // Nobody may be listening.
        let _ = self.changes.send(Changed::Verification(id));
    }

    fn mark(&self) -> [u8; wire::MARK_BYTES] {
        let [_, _, mark @ ..] = self.marks.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        mark
    }

    /// Partitions that one script may touch together: all, unless a cluster keeps them apart.
    fn together(&self) -> Vec<Vec<Partition>> {
        match &self.link {
            Link::One(_) => vec![Partition::all().collect()],
            Link::Cluster(_) => Partition::all().map(|partition| vec![partition]).collect(),
        }
    }

    async fn due_now(&self, limit: usize) -> Result<Due, StoreError> {
        let asked = self.together().into_iter().map(move |partitions| async move {
            let keys: Vec<String> = partitions.iter().copied().map(keys::deadlines).collect();
            // What one partition has more than this comes next, so that one script does not look at too much.
            let each = if partitions.len() > 1 { limit.div_ceil(DUE_SHARE) } else { limit };
            let mut arguments = vec![number(each as u64)];
            arguments.extend(partitions.iter().map(|partition| keys::values(*partition).into_bytes()));
            self.link.run::<Vec<Value>>(&scripts::DUE, &keys, &arguments).await
        });
        let mut due = Due { now: Timestamp::default(), ids: Vec::new(), next: None };
        let (mut found, mut next) = (Vec::new(), Vec::new());
        for answer in try_join_all(asked).await? {
            let mut answer = answer.into_iter();
            due.now = due.now.max(time(whole(answer.next())?));
            next.extend(Some(time(whole(answer.next())?)).filter(|at| at.as_ms() > 0));
            while let Some(id) = answer.next() {
                let id: String = redis::from_redis_value(id).map_err(|error| unreadable(&error.to_string()))?;
                let id = format!("ver_{id}").parse().map_err(|_| unreadable("a deadline"))?;
                found.push((time(whole(answer.next())?), id));
            }
        }
        found.sort_unstable();
        next.extend(found.get(limit).map(|(at, _)| *at));
        due.next = next.into_iter().min();
        due.ids = found.into_iter().take(limit).map(|(_, id)| id).collect();
        Ok(due)
    }

    async fn take_some(&self, limit: usize, lease: Duration) -> Result<Vec<Outgoing>, StoreError> {
        let waiting = try_join_all(self.together().into_iter().map(move |partitions| async move {
            let keys: Vec<String> = partitions.iter().copied().map(keys::outbox).collect();
            let counts: Vec<usize> = self.link.run(&scripts::WAITING, &keys, &[]).await?;
            Ok::<_, StoreError>(partitions.into_iter().zip(counts).collect::<Vec<_>>())
        }))
        .await?;
        let shares = shares(waiting.into_iter().flatten().collect(), limit);
        let taken = try_join_all(shares.into_iter().map(move |(partition, share)| async move {
            let arguments = [number(share as u64), ms(lease), keys::effects(partition).into_bytes()];
            self.link.run::<Vec<Vec<u8>>>(&scripts::TAKE, &[keys::outbox(partition)], &arguments).await
        }))
        .await?;
        let mut effects = Vec::new();
        for answer in taken {
            let mut answer = answer.into_iter();
            while let (Some(name), Some(bytes)) = (answer.next(), answer.next()) {
                effects.push(wire::outgoing(&name, &bytes).ok_or_else(|| unreadable("an effect"))?);
            }
        }
        Ok(effects)
    }

    async fn health(&self, now: Timestamp) -> Result<StoreHealth, StoreError> {
        let nodes = match &self.link {
            Link::One(_) => 1,
            Link::Cluster(_) => Partition::COUNT.into(),
        };
        let probes = Partition::all().take(nodes).map(move |partition| async move {
            self.link.run::<i64>(&scripts::PROBE, &[keys::probe(partition)], &[ms(PROBE_KEPT)]).await
        });
        let times = try_join_all(probes).await?;
        let ours = i64::try_from(now.as_ms()).unwrap_or(i64::MAX);
        let ahead = times.into_iter().map(|at| at.saturating_sub(ours)).max_by_key(|ahead| ahead.unsigned_abs());
        let Judged { description, warnings } = self.judged().await?;
        Ok(StoreHealth { clock_ahead_ms: ahead.unwrap_or_default(), description, warnings })
    }
}

/// Divides `limit` among the partitions that have something, evenly as far as they have it.
fn shares(mut waiting: Vec<(Partition, usize)>, limit: usize) -> Vec<(Partition, usize)> {
    waiting.retain(|(_, count)| *count > 0);
    waiting.sort_unstable_by_key(|(partition, count)| (*count, *partition));
    let (mut left, mut lanes) = (limit, waiting.len());
    for (_, count) in &mut waiting {
        let share = left.div_ceil(lanes.max(1)).min(*count);
        (*count, left, lanes) = (share, left - share, lanes - 1);
    }
    waiting.retain(|(_, count)| *count > 0);
    waiting
}

async fn judge(link: &Link, source: &Source) -> Result<Judged, StoreError> {
    let cluster = matches!(link, Link::Cluster(_));
    let mut worst = setup::unknown();
    for info in link.settings(source).await? {
        let Some(info) = info else { return Ok(setup::unknown()) };
        let judged = setup::Settings::parse(&info).judge(cluster)?;
        if worst == setup::unknown() || judged.warnings.len() > worst.warnings.len() {
            worst = judged;
        }
    }
    Ok(worst)
}

impl Store for Redis {
    fn create<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Created> {
        Box::pin(self.create_one(change))
    }

    fn load(&self, id: VerificationId) -> Pending<'_, Option<Verification>> {
        Box::pin(async move {
            let found: Option<Vec<u8>> = self.link.read(redis::cmd("GET").arg(keys::value(id))).await?;
            found.map(|bytes| wire::verification(&bytes, id)).transpose()
        })
    }

    fn commit<'a>(&'a self, change: Commit<'a>) -> Pending<'a, Committed> {
        Box::pin(self.commit_one(change))
    }

    fn admit<'a>(&'a self, take: &'a Take) -> Pending<'a, (Timestamp, Answer)> {
        Box::pin(guarded::admit(&self.link, take))
    }

    fn settle<'a>(&'a self, settle: &'a Settle) -> Pending<'a, Timestamp> {
        Box::pin(guarded::settle(&self.link, settle))
    }

    fn bars(&self, limit: usize) -> Pending<'_, Vec<(Key, StoredBar)>> {
        Box::pin(guarded::bars(&self.link, limit))
    }

    fn due(&self, limit: usize) -> Pending<'_, Due> {
        Box::pin(self.due_now(limit))
    }

    fn take(&self, limit: usize, lease: Duration) -> Pending<'_, Vec<Outgoing>> {
        Box::pin(self.take_some(limit, lease))
    }

    fn done(&self, id: EffectId) -> Pending<'_, ()> {
        Box::pin(async move {
            let keys = [keys::effect(id), keys::outbox(id.verification.partition())];
            self.link.run(&scripts::DONE, &keys, &[id.to_string().into_bytes()]).await
        })
    }

    fn retry(&self, id: EffectId, at: Timestamp) -> Pending<'_, ()> {
        Box::pin(async move {
            let keys = [keys::effect(id), keys::outbox(id.verification.partition())];
            self.link.run(&scripts::RETRY, &keys, &[id.to_string().into_bytes(), number(at.as_ms())]).await
        })
    }

    fn bury(&self, id: EffectId, why: String) -> Pending<'_, ()> {
        Box::pin(async move {
            let why = super::listing::bounded(why).into_bytes();
            let arguments = [id.to_string().into_bytes(), why, ms(self.retention)];
            self.link.run(&scripts::BURY, &letter_keys(id), &arguments).await
        })
    }

    fn outbox(&self, limit: usize) -> Pending<'_, Vec<Waiting>> {
        Box::pin(lists::outbox(&self.link, limit))
    }

    fn dead_letters(&self, limit: usize) -> Pending<'_, Vec<DeadLetter>> {
        Box::pin(lists::dead_letters(&self.link, limit))
    }

    fn revive(&self, id: EffectId) -> Pending<'_, bool> {
        Box::pin(async move {
            let arguments = [id.to_string().into_bytes(), ms(self.retention)];
            self.link.run(&scripts::REVIVE, &letter_keys(id), &arguments).await
        })
    }

    fn discard(&self, id: EffectId) -> Pending<'_, bool> {
        Box::pin(async move {
            let keys = [keys::dead_letter(id), keys::dead_letters(id.verification.partition())];
            self.link.run(&scripts::DISCARD, &keys, &[id.to_string().into_bytes()]).await
        })
    }

    fn hold(&self, number: NumberHash, id: VerificationId, hold_for: Duration) -> Pending<'_, Held> {
        Box::pin(async move {
            let arguments = [id.as_bytes().to_vec(), ms(hold_for)];
            let holder: Option<Vec<u8>> = self.link.run(&scripts::HOLD, &[keys::hold(number)], &arguments).await?;
            match holder {
                None => Ok(Held::Yes),
                Some(bytes) => wire::holder(&bytes).map(|(by, _)| Held::By(by)).ok_or_else(|| unreadable("a hold")),
            }
        })
    }

    fn release(&self, number: NumberHash, id: VerificationId) -> Pending<'_, ()> {
        Box::pin(
            async move { self.link.run(&scripts::RELEASE, &[keys::hold(number)], &[id.as_bytes().to_vec()]).await },
        )
    }

    fn remember<'a>(&'a self, key: &'a IdempotencyKey, keep_for: Duration) -> Pending<'a, Remembered> {
        Box::pin(async move {
            let arguments = [wire::idempotency(key), ms(keep_for)];
            let keys = [keys::idempotency(&key.hash)];
            let found: Option<Vec<u8>> = self.link.run(&scripts::REMEMBER, &keys, &arguments).await?;
            let Some(bytes) = found else { return Ok(Remembered::New) };
            let (fingerprint, id, first_seen) =
                wire::remembered(&bytes).ok_or_else(|| unreadable("an idempotency key"))?;
            if fingerprint == key.fingerprint { Ok(Remembered::Same(id, first_seen)) } else { Ok(Remembered::Other) }
        })
    }

    fn forget<'a>(&'a self, key: &'a IdempotencyKey) -> Pending<'a, ()> {
        Box::pin(async move {
            self.link.run(&scripts::FORGET, &[keys::idempotency(&key.hash)], &[wire::idempotency(key)]).await
        })
    }

    fn list<'a>(&'a self, query: &'a ListQuery) -> Pending<'a, Page<Verification>> {
        Box::pin(lists::list(&self.link, query))
    }

    fn calls<'a>(&'a self, query: &'a CallQuery) -> Pending<'a, Page<CallRecord>> {
        Box::pin(log::calls(&self.link, query))
    }

    fn call(&self, id: CallId) -> Pending<'_, Option<CallRecord>> {
        Box::pin(async move {
            let value = self.load(id.verification).await?;
            log::call(&self.link, id, value.as_ref()).await
        })
    }

    fn note_delivery<'a>(&'a self, id: VerificationId, delivery: &'a Delivery) -> Pending<'a, ()> {
        Box::pin(async move {
            let arguments = [codec::encode(delivery)?, ms(self.retention)];
            self.link.run(&scripts::NOTE, &[keys::delivery(id)], &arguments).await
        })
    }

    fn deliveries<'a>(&'a self, ids: &'a [VerificationId]) -> Pending<'a, Vec<Option<Delivery>>> {
        Box::pin(log::deliveries(&self.link, ids))
    }

    fn erase<'a>(&'a self, records: &'a [CallRecord]) -> Pending<'a, usize> {
        Box::pin(log::erase(&self.link, records))
    }

    fn tallies(&self, query: TallyQuery) -> Pending<'_, Vec<Counts>> {
        Box::pin(tallies::read(&self.link, query))
    }

    fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    fn follow(&self, id: VerificationId) -> Pending<'_, ()> {
        let followed = self.followed.follow(id);
        Box::pin(async move {
            followed.await;
            Ok(())
        })
    }

    fn leave(&self, id: VerificationId) {
        self.followed.leave(id);
    }

    fn check(&self, now: Timestamp) -> Pending<'_, StoreHealth> {
        Box::pin(self.health(now))
    }

    fn number_key(&self, fresh: [u8; 32]) -> Pending<'_, [u8; 32]> {
        Box::pin(async move {
            let kept: Vec<u8> = self.link.run(&scripts::NUMBER_KEY, &[keys::number_key()], &[fresh.to_vec()]).await?;
            kept.try_into().map_err(|_| unreadable("the key of the number hashes"))
        })
    }
}

fn letter_keys(id: EffectId) -> [String; 4] {
    let partition = id.verification.partition();
    [keys::effect(id), keys::outbox(partition), keys::dead_letter(id), keys::dead_letters(partition)]
}

fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// A time to keep something. Redis refuses none at all.
fn ms(duration: Duration) -> Vec<u8> {
    number(whole_ms(duration).max(1))
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(LONGEST_MS)
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_ms(u64::try_from(ms).unwrap_or_default())
}

fn whole(value: Option<Value>) -> Result<i64, StoreError> {
    let value = value.ok_or_else(|| unreadable("an answer that is too short"))?;
    redis::from_redis_value(value).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Unreadable(what.to_owned())
}

/// Into how many parts the limit of due verifications is divided where all partitions are asked at once: no partition
/// has its share reserved, so that one that has most of them is not slow.
const DUE_SHARE: usize = 4;
/// How long what a probe wrote is kept.
const PROBE_KEPT: Duration = Duration::from_mins(1);
/// How old what is known of the settings may be.
const JUDGE_EVERY: Duration = Duration::from_mins(1);
/// Longest time that is kept: 100 years.
const LONGEST_MS: u64 = 100 * 366 * 24 * 3_600_000;
