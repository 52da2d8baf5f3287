//! Owns what only Redis can do wrong: losing scripts or connections, hanging, refusing to write, forgetting, and being set
//! up so that it would lose or leak verifications.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use ringproof::{
    outcome::Status,
    store::{self, CallQuery, Changed, Committed, Created, IdempotencyKey, Span, Store, StoreError, StoreHealth},
    time::{Clock, SystemClock},
    verification::Verification,
};
use tokio::time::Instant;

use super::{
    lab::{Lab, config, open, until},
    life,
    sample::{KEEP, commit, effect, id, next, number, record, verification},
    suite::{
        self,
        tallies::{counted, tally},
    },
};
use crate::{
    tidy,
    world::redis::{Redis, Watched},
};

/// Longest time until a store that hangs is given up.
const GIVEN_UP: Duration = Duration::from_millis(2_500);

async fn created(store: &dyn Store, n: u32) -> Verification {
    let value = verification(n, "a");
    assert!(matches!(store.create(commit(&value)).await.unwrap(), Created::Done(_)));
    value
}

/// Changes a verification until that works, and says what it is then.
async fn recovers(store: &dyn Store, value: &Verification) -> Verification {
    let mut after = next(value);
    until("the store recovers", async || match store.commit(commit(&after)).await {
        Ok(Committed::Done(_)) => true,
        // An attempt of before was written after all.
        Ok(Committed::Conflict) => {
            after = next(&store.load(value.id).await.unwrap().unwrap());
            false
        }
        Ok(other) => panic!("{other:?}"),
        Err(_) => false,
    })
    .await;
    after
}

/// That a change fails in time, with this in its error, and is not written.
async fn refused(store: &dyn Store, value: &Verification, why: &[&str]) {
    let begin = Instant::now();
    let error = store.commit(commit(&next(value))).await.unwrap_err();
    assert!(begin.elapsed() < GIVEN_UP, "it took {:?}", begin.elapsed());
    assert!(why.iter().any(|why| error.to_string().contains(why)), "{error}");
    assert!(!matches!(error, StoreError::Unreadable(_)), "{error}");
}

async fn opening(url: &str) -> String {
    match store::open(&config(url)).await {
        Ok(store) => health(store.as_ref()).await.warnings.join("; "),
        Err(error) => error.to_string(),
    }
}

async fn health(store: &dyn Store) -> StoreHealth {
    store.check(SystemClock.now()).await.unwrap()
}

#[tokio::test]
async fn lost_scripts_are_not_noticed() {
    let lab = Lab::redis().await;
    let mut value = created(lab.store.as_ref(), 1).await;
    for _ in 0..5 {
        lab.servers[0].send::<()>(&["SCRIPT", "FLUSH"]);
        let after = next(&value);
        assert!(matches!(lab.store.commit(commit(&after)).await.unwrap(), Committed::Done(_)));
        value = after;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing_and_double_nothing() {
    let lab = Lab::redis().await;
    let (mut value, begin) = (created(lab.store.as_ref(), 1).await, lab.now().await);
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                lab.servers[0].send::<u32>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                std::thread::park_timeout(Duration::from_millis(2));
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..300 {
                    let after = next(&value);
                    // Also an attempt whose answer is lost with the connection counts once, and is answered.
                    let mut change = commit(&after);
                    change.tally = Some(tally(&after, begin));
                    let committed = lab.store.commit(change).await.unwrap();
                    assert!(matches!(committed, Committed::Done(_)), "{committed:?} at {}", after.revision);
                    value = after;
                }
            });
        });
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(lab.store.load(value.id).await.unwrap().unwrap().revision, 301);
    let hours = counted(lab.store.as_ref(), Span::Hour, begin).await;
    assert_eq!(hours.outcomes.values().chain(hours.prefixes.values()).copied().collect::<Vec<_>>(), [300, 300]);
    let cut: String = lab.servers[0].send(&["INFO", "stats"]);
    let connections = cut.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
    assert!(connections.parse::<u32>().unwrap() > 20, "{connections} connections");
}

#[tokio::test]
async fn a_paused_server_is_given_up_in_time_and_found_again() {
    let lab = Lab::redis().await;
    let value = created(lab.store.as_ref(), 1).await;
    lab.servers[0].send::<()>(&["CLIENT", "PAUSE", "4000", "ALL"]);
    refused(lab.store.as_ref(), &value, &["in time"]).await;
    recovers(lab.store.as_ref(), &value).await;
}

#[tokio::test]
async fn a_halted_server_is_given_up_in_time_and_found_again() {
    let lab = Lab::redis().await;
    let value = created(lab.store.as_ref(), 1).await;
    lab.servers[0].halt();
    refused(lab.store.as_ref(), &value, &["in time"]).await;
    let begin = Instant::now();
    assert!(lab.store.load(value.id).await.is_err());
    assert!(begin.elapsed() < GIVEN_UP);
    lab.servers[0].go_on();
    recovers(lab.store.as_ref(), &value).await;
}

#[tokio::test]
async fn a_busy_server_is_given_up_in_time_and_found_again() {
    let lab = Lab::redis().await;
    let value = created(lab.store.as_ref(), 1).await;
    lab.servers[0].send::<()>(&["CONFIG", "SET", "busy-reply-threshold", "50"]);
    let url = lab.servers[0].url();
    let endless = tokio::task::spawn_blocking(move || {
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        redis::cmd("EVAL").arg("while true do end").arg(0).query::<()>(&mut connection)
    });
    until("it is busy", async || {
        let answer = lab.servers[0].try_send::<String>(&["PING"]);
        answer.is_err_and(|error| error.code() == Some("BUSY"))
    })
    .await;
    refused(lab.store.as_ref(), &value, &["busy", "in time"]).await;
    lab.servers[0].send::<()>(&["SCRIPT", "KILL"]);
    assert!(endless.await.unwrap().is_err());
    recovers(lab.store.as_ref(), &value).await;
}

#[tokio::test]
async fn a_server_that_does_not_write_is_told_apart() {
    let lab = Lab::redis().await;
    let (store, server) = (lab.store.as_ref(), &lab.servers[0]);
    let mut value = created(store, 1).await;
    for (set, unset, why) in [
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "1gb"], "Redis is full"),
        (["REPLICAOF", "127.0.0.1", "1", ""], ["REPLICAOF", "NO", "ONE", ""], "is a replica"),
        (
            ["CONFIG", "SET", "min-replicas-to-write", "1"],
            ["CONFIG", "SET", "min-replicas-to-write", "0"],
            "fewer replicas",
        ),
    ] {
        let words =
            |command: [&'static str; 4]| command.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        server.send::<()>(&words(set));
        refused(store, &value, &[why]).await;
        let error = store.create(commit(&verification(2, "a"))).await.unwrap_err();
        assert!(matches!(&error, StoreError::Away(text) if text.contains(why)), "{error}");
        assert!(store.check(SystemClock.now()).await.is_err(), "readiness tells it: {why}");
        server.send::<()>(&words(unset));
        assert_eq!(store.load(value.id).await.unwrap().unwrap().revision, value.revision, "{why}");
        assert!(store.load(id(2)).await.unwrap().is_none(), "{why}");
        value = recovers(store, &value).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_what_it_answered() {
    let mut redis = Redis::start();
    let store = open(&redis.url()).await;
    let mut changes = store.changes();
    let values = futures_util::future::join_all((0..1_000).map(|n| created(store.as_ref(), n))).await;
    store.follow(values[1].id).await.unwrap();
    redis.kill();
    let error = store.load(values[0].id).await.unwrap_err();
    assert!(matches!(error, StoreError::Away(_) | StoreError::Timeout), "{error}");
    redis.restart();
    until("it answers again", async || store.load(values[0].id).await.is_ok()).await;
    for value in &values {
        assert_eq!(store.load(value.id).await.unwrap().unwrap().revision, 1);
    }
    recovers(store.as_ref(), &values[0]).await;
    let told = tokio::time::timeout(Duration::from_secs(20), async {
        while !matches!(changes.recv().await, Ok(Changed::Unknown)) {}
    });
    told.await.expect("listeners are told that they may have missed something");
    let other = open(&redis.url()).await;
    let after = recovers(other.as_ref(), &store.load(values[1].id).await.unwrap().unwrap()).await;
    until("changes of others are heard again", async || {
        changes.try_recv().is_ok_and(|told| told == Changed::Verification(after.id))
    })
    .await;
}

#[tokio::test]
async fn only_what_is_followed_is_heard_of() {
    let lab = Lab::redis().await;
    let other = open(&lab.servers[0].url()).await;
    let mut changes = other.changes();
    let [first, second, third] = [1, 2, 3].map(|n| verification(n, "a"));
    // From here on the subscription stands.
    other.follow(third.id).await.unwrap();
    lab.store.create(commit(&third)).await.unwrap();
    until("it is told", async || changes.try_recv() == Ok(Changed::Verification(third.id))).await;
    other.leave(third.id);
    for value in [&first, &second] {
        lab.store.create(commit(value)).await.unwrap();
    }
    let channels = || lab.servers[0].send::<Vec<String>>(&["PUBSUB", "CHANNELS", "rp1:changes:*"]).len();
    until("nothing is followed", async || channels() == 0).await;
    // Three follow it, one of them without waiting for that; two leave.
    drop(other.follow(second.id));
    futures_util::future::join_all([other.follow(second.id), other.follow(second.id)]).await;
    other.leave(second.id);
    other.leave(second.id);
    for value in [&first, &second] {
        lab.store.commit(commit(&next(value))).await.unwrap();
    }
    let told = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await.unwrap().unwrap();
    assert_eq!(told, Changed::Verification(second.id), "and nothing of the first");
    assert_eq!(channels(), 1);
    other.leave(second.id);
    until("nobody follows it", async || channels() == 0).await;
    other.follow(first.id).await.unwrap();
    lab.store.commit(commit(&next(&next(&first)))).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await.unwrap().unwrap();
    assert_eq!(told, Changed::Verification(first.id));
}

#[tokio::test]
async fn a_sentinel_leads_to_the_new_master() {
    let mut watched = Watched::start();
    let store = open(&watched.url()).await;
    let value = created(store.as_ref(), 1).await;
    until("it is replicated", async || !watched.second.keys().is_empty()).await;
    watched.first.kill();
    let after = recovers(store.as_ref(), &value).await;
    assert_eq!(store.load(value.id).await.unwrap().unwrap().revision, after.revision);
    assert!(watched.second.send::<String>(&["INFO", "replication"]).contains("role:master"));
}

#[tokio::test]
async fn passwords_are_checked() {
    let redis = Redis::start_with_password("correct horse");
    let address = format!("127.0.0.1:{}", redis.port());
    assert!(opening(&redis.url().replace(' ', "%20")).await.is_empty());
    for url in
        [format!("redis://{address}"), format!("redis://:wrong@{address}"), format!("redis://nobody:x@{address}")]
    {
        let said = opening(&url).await;
        assert!(said.contains("must be set up") && said.contains("password"), "{url}: {said}");
        assert!(!said.contains("correct") && !said.contains("wrong"), "{said}");
    }
    let mut settings = config(&format!("redis://{address}"));
    settings.password = Some(String::from("correct horse"));
    assert!(store::open(&settings).await.is_ok());

    let open = Redis::start();
    let said = opening(&format!("redis://:secret@127.0.0.1:{}", open.port())).await;
    assert!(said.contains("must be set up"), "{said}");
}

#[tokio::test]
async fn servers_that_would_lose_verifications_are_refused() {
    let redis = Redis::start();
    redis.send::<()>(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let said = opening(&redis.url()).await;
    assert!(said.contains("must be set up") && said.contains("noeviction"), "{said}");
    redis.send::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert_eq!(opening(&redis.url()).await, "");
    redis.send::<()>(&["CONFIG", "SET", "appendonly", "no"]);
    assert!(opening(&redis.url()).await.contains("append-only file"));
    redis.send::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(opening(&redis.url()).await.contains("maxmemory"));
    redis.send::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(opening(&redis.url()).await.contains("replica"));

    let nobody = Redis::start();
    let url = nobody.url();
    drop(nobody);
    assert!(opening(&url).await.contains("away"));
    let database = Redis::start().url().replace("/0", "/99");
    assert!(opening(&database).await.contains("away"), "the server is gone with the test's handle");
    let redis = Redis::start();
    assert!(opening(&redis.url().replace("/0", "/99")).await.contains("no database of that number"));
}

/// The user of the example in the manual, with its password.
fn documented_user() -> Vec<String> {
    let (_, manual) = tidy::files("docs").into_iter().find(|(path, _)| path == "docs/store.md").unwrap();
    let line = manual.lines().find(|line| line.trim_start().starts_with("ACL SETUSER")).expect("an example of a user");
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_user_may_do_what_is_needed_and_no_more() {
    let redis = Redis::start();
    let words = documented_user();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    redis.send::<()>(&words);
    let url = format!("redis://ringproof:PASSWORD@127.0.0.1:{}", redis.port());
    let lab = Lab::of(open(&url).await, redis);
    suite::changes::a_new_verification_holds_its_number(&lab).await;
    lab.servers[0].send::<()>(&["FLUSHALL"]);
    suite::changes::idempotency_keys_are_remembered(&lab).await;
    suite::changes::holds_are_taken_and_let_go(&lab).await;
    suite::changes::the_first_number_key_is_kept(&lab).await;
    suite::effects::dead_letters_are_kept_and_revived(&lab).await;
    lab.servers[0].send::<()>(&["FLUSHALL"]);
    suite::effects::deadlines_move_and_go(&lab).await;
    lab.servers[0].send::<()>(&["FLUSHALL"]);
    suite::listings::verifications_are_listed(&lab).await;
    lab.servers[0].send::<()>(&["FLUSHALL"]);
    suite::listings::a_call_is_found_by_name(&lab).await;
    assert_eq!(health(lab.store.as_ref()).await.warnings, [] as [&str; 0]);

    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_connection().unwrap();
    for command in
        [["CONFIG", "GET", "*"], ["KEYS", "*", ""], ["FLUSHALL", "", ""], ["GET", "other", ""], ["SCRIPT", "FLUSH", ""]]
    {
        let mut sent = redis::cmd(command[0]);
        command[1..].iter().filter(|word| !word.is_empty()).for_each(|word| {
            sent.arg(*word);
        });
        let answer = sent.query::<redis::Value>(&mut connection);
        assert!(answer.as_ref().is_err_and(|error| error.code() == Some("NOPERM")), "{command:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_user_without_rights_is_told_so() {
    let redis = Redis::start();
    let url = format!("redis://poor:x@127.0.0.1:{}", redis.port());
    redis.send::<()>(&["ACL", "SETUSER", "poor", "on", ">x", "~rp1:*", "&rp1:*", "+@all", "-info"]);
    assert!(opening(&url).await.contains("may not ask for INFO"));
    redis.send::<()>(&["ACL", "SETUSER", "poor", "-subscribe"]);
    assert!(opening(&url).await.contains("lacks rights"));
    redis.send::<()>(&["ACL", "SETUSER", "poor", "+subscribe", "-set"]);
    let store = open(&url.clone()).await;
    let error = store.create(commit(&verification(1, "a"))).await.unwrap_err();
    assert!(matches!(&error, StoreError::Setup(text) if text.contains("lacks rights")), "{error}");
    redis.send::<()>(&["ACL", "SETUSER", "poor", "+set", "-@all"]);
    let error = store.create(commit(&verification(1, "a"))).await.unwrap_err();
    assert!(matches!(&error, StoreError::Setup(text) if text.contains("lacks rights")), "{error}");
}

/// A whole life of a verification, with everything that leaves a key behind.
async fn lives(store: &dyn Store, n: u32) {
    let mut value = verification(n, "enrolment");
    value.request.reference = Some(String::from("+819012345678"));
    store.remember(&IdempotencyKey { hash: [n as u8; 16], fingerprint: [1; 16], id: value.id }, KEEP).await.unwrap();
    let mut change = commit(&value);
    change.deadline = Some(SystemClock.now().plus(KEEP));
    store.create(change).await.unwrap();
    store.hold(number(n + 1_000_000), value.id, KEEP).await.unwrap();
    for step in 0..4 {
        value = next(&value);
        let last = step == 3;
        let mut change = commit(&value);
        change.deadline = (!last).then(|| SystemClock.now().plus(KEEP));
        if last {
            value.status = Status::Verified;
            change = commit(&value);
            change.records = vec![record(&value, 0, SystemClock.now())];
            change.effects = vec![effect(&value, 0)];
            change.release = true;
            change.tally = Some(tally(&value, SystemClock.now()));
        }
        assert!(matches!(store.commit(change).await.unwrap(), Committed::Done(_)));
    }
    if n.is_multiple_of(2) {
        store.done(effect(&value, 0).id).await.unwrap();
    } else {
        store.bury(effect(&value, 0).id, String::from("410 Gone")).await.unwrap();
    }
}

#[tokio::test]
async fn every_key_expires_and_none_holds_a_number() {
    let lab = Lab::redis().await;
    for n in 0..32 {
        lives(lab.store.as_ref(), n).await;
    }
    lab.store.number_key([1; 32]).await.unwrap();
    health(lab.store.as_ref()).await;
    lab.no_key_is_forgotten();
    let kinds: std::collections::BTreeSet<String> = lab.servers[0]
        .keys()
        .iter()
        .map(|key| key.split_once('}').unwrap().1.split(':').nth(1).unwrap().to_owned())
        .collect();
    let expected = [
        "c",
        "dead",
        "h",
        "i",
        "log",
        "log-c",
        "log-index",
        "log-m",
        "log-t",
        "number-key",
        "probe",
        "r",
        "th",
        "tm",
        "v",
        "x",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn what_is_no_value_of_ours_is_an_error() {
    let lab = Lab::redis().await;
    let value = created(lab.store.as_ref(), 1).await;
    let key = lab.servers[0].keys().into_iter().find(|key| key.contains(":v:")).unwrap();
    for garbage in ["", "x", "01234567890123456789", "01234567890123456789\u{1}\u{1}", "01234567890123456789\u{2}abc"] {
        lab.servers[0].send::<()>(&["SET", &key, garbage]);
        if !garbage.is_empty() {
            let error = lab.store.load(value.id).await.unwrap_err();
            assert!(matches!(error, StoreError::Unreadable(_)), "{garbage:?}: {error}");
        }
        let committed = lab.store.commit(commit(&next(&value))).await.unwrap();
        assert_eq!(committed, Committed::Conflict, "{garbage:?}");
    }
    lab.servers[0].send::<()>(&["DEL", &key]);
    lab.servers[0].send::<()>(&["LPUSH", &key, "x"]);
    assert!(lab.store.load(value.id).await.is_err());
    assert!(lab.store.commit(commit(&next(&value))).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_of_the_log_has_blocks_and_goes_without_them_where_there_are_none() {
    /// More than one block of rows.
    const CALLS: u32 = 6_500;
    let lab = Lab::redis().await;
    let records = suite::far_back::written(&lab, CALLS).await;
    suite::far_back::compare(&lab, &records).await;
    let blocks = |lab: &Lab| {
        let keys = lab.servers[0].keys();
        let blocks: Vec<String> = keys.into_iter().filter(|key| key.contains(":log-t:")).collect();
        blocks
    };
    assert_eq!(blocks(&lab).len(), 1);
    let another = verification(16 * CALLS + 16, "pilot");
    let mut change = commit(&another);
    change.records = vec![record(&another, 0, lab.now().await.plus(Duration::from_millis(500)))];
    let records = [change.records.clone(), records].concat();
    lab.store.create(change).await.unwrap();
    assert_eq!(blocks(&lab).len(), 2, "a full block is followed by another: {:?}", blocks(&lab));
    let pilot = CallQuery { client: Some(String::from("pilot")), limit: 1_000, ..CallQuery::default() };
    let expected: Vec<_> = records.iter().filter(|record| pilot.admits(record)).collect();
    assert!(lab.store.calls(&pilot).await.unwrap().items.iter().eq(expected.iter().copied()), "over both blocks");
    // As before there was an index: what is old is looked for in the log itself.
    for key in lab.servers[0].keys().into_iter().filter(|key| key.contains(":log-")) {
        lab.servers[0].send::<()>(&["DEL", &key]);
    }
    let query = CallQuery { client: Some(String::from("pilot")), limit: 50, ..CallQuery::default() };
    let expected: Vec<_> = records.iter().filter(|record| query.admits(record)).collect();
    let found = async || {
        let (mut found, mut query) = (Vec::new(), query.clone());
        loop {
            let page = lab.store.calls(&query).await.unwrap();
            found.extend(page.items);
            let Some(next) = page.next else { return found };
            query.before = Some(next.parse().unwrap());
        }
    };
    assert!(found().await.iter().eq(expected.iter().copied()), "without an index");
    let newer = verification(16 * CALLS, "pilot");
    let mut change = commit(&newer);
    change.records = vec![record(&newer, 0, lab.now().await.plus(Duration::from_secs(1)))];
    lab.store.create(change).await.unwrap();
    let found = found().await;
    assert_eq!(blocks(&lab).len(), 1);
    assert_eq!((found[0].id.verification, found.len()), (newer.id, expected.len() + 1), "with an index of the newest");
    assert!(found[1..].iter().eq(expected.iter().copied()));
}

#[tokio::test]
async fn the_index_of_the_log_goes_with_its_records() {
    let short = Duration::from_millis(400);
    let lab = Lab::redis().await;
    let value = verification(1, "a");
    let mut change = commit(&value);
    change.records = vec![record(&value, 0, lab.now().await)];
    change.keep_records_for = short;
    lab.store.create(change).await.unwrap();
    let index = |lab: &Lab| lab.servers[0].keys().into_iter().filter(|key| key.contains(":log")).count();
    assert_eq!(index(&lab), 5, "the log, where its blocks begin, and three columns of one");
    until("the log and its index are gone", async || index(&lab) == 0).await;
}

/// What `INFO commandstats` counts of a command.
fn calls(redis: &Redis, command: &str) -> u64 {
    let told: String = redis.send(&["INFO", "commandstats"]);
    let line = told.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn each_change_is_one_script_and_each_read_one_command() {
    let lab = Lab::redis().await;
    lives(lab.store.as_ref(), 1).await;
    lab.servers[0].send::<()>(&["CONFIG", "RESETSTAT"]);
    let value = created(lab.store.as_ref(), 2).await;
    for _ in 0..5 {
        lab.store.commit(commit(&next(&value))).await.unwrap();
    }
    assert_eq!((calls(&lab.servers[0], "evalsha"), calls(&lab.servers[0], "eval")), (6, 0));
    suite::guarded::one_life(lab.store.as_ref(), 3).await;
    assert_eq!((calls(&lab.servers[0], "evalsha"), calls(&lab.servers[0], "eval")), (8, 0), "the guard asks along");
    let before = calls(&lab.servers[0], "get");
    lab.store.load(value.id).await.unwrap();
    assert_eq!(calls(&lab.servers[0], "get"), before + 1);
    assert_eq!(calls(&lab.servers[0], "evalsha"), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verification_costs_little_memory_and_time() {
    /// Bytes of Redis that one verification with its call record may keep.
    const KEPT: u64 = 1_024;
    /// CPU of Redis that a whole verification may take, in us: several times what it takes where nothing else runs.
    const CPU_US: f64 = 400.0;
    const COUNT: u32 = 4_000;
    let lab = Lab::redis().await;
    let run = async |from: u32| {
        let lives = (from..from + COUNT).map(|n| life::live(lab.store.as_ref(), n));
        futures_util::stream::iter(lives).buffer_unordered(64).count().await;
    };
    // The tables of Redis double now and then: the second half is measured.
    run(0).await;
    let before = (told(&lab.servers[0], "memory", &["used_memory"]), told(&lab.servers[0], "cpu", &CPU));
    run(COUNT).await;
    let after = (told(&lab.servers[0], "memory", &["used_memory"]), told(&lab.servers[0], "cpu", &CPU));
    let kept = (after.0 - before.0) as u64 / u64::from(COUNT);
    let cpu_us = (after.1 - before.1) * 1e6 / f64::from(COUNT);
    println!("{}", lab.servers[0].send::<String>(&["INFO", "commandstats"]));
    println!("{}", lab.servers[0].send::<String>(&["INFO", "stats"]));
    println!("a whole verification: {kept} bytes kept, {cpu_us:.1} us of Redis");
    assert!(kept < KEPT, "{kept} bytes kept");
    assert!(cpu_us < CPU_US, "{cpu_us} us");
    lab.no_key_is_forgotten();
    let all = CallQuery { limit: 10, ..CallQuery::default() };
    assert_eq!(lab.store.calls(&all).await.unwrap().items.len(), 10);
}

const CPU: [&str; 2] = ["used_cpu_user", "used_cpu_sys"];

/// The sum of some lines of a section of `INFO`.
fn told(redis: &Redis, section: &str, names: &[&str]) -> f64 {
    let told: String = redis.send(&["INFO", section]);
    let lines = told.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(name, _)| names.contains(name)).map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}
