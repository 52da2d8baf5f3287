//! Owns what only the embedded store can do wrong: losing what it answered when its process is killed, letting two
//! processes in, leaving numbers where others can read them.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ringproof::{
    store::{Committed, Created, Store, StoreError, embedded::Embedded},
    time::{Clock, SystemClock},
    verification::Verification,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::sample::{KEEP, commit, effect, next, record, verification};

/// Tells the test, run once more in a process of its own, where to write.
const FOLDER: &str = "TEST_STORE_FOLDER";
/// Acknowledged changes after which the process is killed.
const ENOUGH: usize = 400;
const WRITERS: u32 = 16;

fn open(folder: &Path) -> Embedded {
    Embedded::on_disk(folder, Arc::new(SystemClock), KEEP).unwrap()
}

#[test]
fn a_killed_process_has_lost_nothing_it_answered() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_for_ever(Path::new(&folder));
    }
    let folder = TempDir::new().unwrap();
    for round in 1..=3 {
        let name = "stores::embedded::a_killed_process_has_lost_nothing_it_answered";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut answered = Vec::new();
        while answered.len() < ENOUGH {
            let line = lines.next().expect("the other process writes");
            answered.extend(line.strip_prefix("answered ").map(str::to_owned));
        }
        child.kill().unwrap();
        answered.extend(lines.filter_map(|line| line.strip_prefix("answered ").map(str::to_owned)));
        child.wait().unwrap();
        check(folder.path(), &answered, round);
    }
}

fn check(folder: &Path, answered: &[String], round: u32) {
    let store = open(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for line in answered {
            // The pipe may break off in the middle of the last line.
            let Some((id, revision)) = line.strip_suffix('.').and_then(|line| line.split_once(' ')) else { continue };
            let value = store.load(id.parse().unwrap()).await.unwrap();
            let value = value.unwrap_or_else(|| panic!("round {round}: {line} is lost"));
            assert!(value.revision >= revision.parse().unwrap(), "round {round}: {line} is lost");
        }
    });
}

#[tokio::main(flavor = "current_thread")]
async fn write_for_ever(folder: &Path) {
    let store = Arc::new(open(folder));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        let process = std::process::id() % 60_000 * 60_000;
        writers.spawn(async move {
            for n in (0..).map(|n| process + n * WRITERS + writer) {
                let mut value = verification(n, "a");
                while value.revision < 5 {
                    let mut change = commit(&value);
                    change.records = vec![record(&value, value.revision as u8, SystemClock.now())];
                    change.effects = vec![effect(&value, 0)];
                    if value.revision == 1 {
                        assert!(matches!(store.create(change).await.unwrap(), Created::Done(_)));
                    } else {
                        assert!(matches!(store.commit(change).await.unwrap(), Committed::Done(_)));
                    }
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "answered {} {}.", value.id, value.revision).unwrap();
                    out.flush().unwrap();
                    value = next(&value);
                }
            }
        });
    }
    writers.join_next().await;
}

#[tokio::test]
async fn everything_is_there_when_it_is_opened_again() {
    let folder = TempDir::new().unwrap();
    let value = verification(1, "a");
    let store = open(folder.path());
    let mut change = commit(&value);
    change.deadline = Some(SystemClock.now());
    change.effects = vec![effect(&value, 0)];
    change.records = vec![record(&value, 0, SystemClock.now())];
    store.create(change).await.unwrap();
    assert_eq!(store.number_key([1; 32]).await.unwrap(), [1; 32]);
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.load(value.id).await.unwrap().unwrap().revision, 1);
    assert_eq!(store.due(10).await.unwrap().ids, [value.id]);
    assert_eq!(store.take(10, KEEP).await.unwrap().len(), 1);
    assert!(store.call(record(&value, 0, SystemClock.now()).id).await.unwrap().is_some());
    assert_eq!(store.number_key([2; 32]).await.unwrap(), [1; 32]);
}

#[tokio::test]
async fn a_folder_has_one_user_and_is_not_for_others() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("deep").join("store");
    let store = open(&inner);
    let refused = Embedded::on_disk(&inner, Arc::new(SystemClock), KEEP).unwrap_err();
    assert!(matches!(&refused, StoreError::Setup(why) if why.contains("another ringproof")), "{refused}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&inner.join("ringproof.redb")), 0o600);
    drop(store);
    assert!(Embedded::on_disk(&inner, Arc::new(SystemClock), KEEP).is_ok());

    fs::write(inner.join("ringproof.redb"), "something else").unwrap();
    let refused = Embedded::on_disk(&inner, Arc::new(SystemClock), KEEP).unwrap_err();
    assert!(matches!(&refused, StoreError::Setup(why) if why.contains("cannot be read as a store")), "{refused}");
    let refused = Embedded::on_disk(Path::new("/proc/nowhere"), Arc::new(SystemClock), KEEP).unwrap_err();
    assert!(matches!(&refused, StoreError::Setup(why) if why.contains("cannot be used")), "{refused}");
}

#[tokio::test]
async fn what_expires_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let short = Duration::from_millis(50);
    let store = Embedded::on_disk(folder.path(), Arc::new(SystemClock), short).unwrap();
    for n in 0..200 {
        let value = verification(n, "a");
        let mut change = commit(&value);
        (change.keep_for, change.keep_records_for) = (short, short);
        change.deadline = Some(SystemClock.now());
        change.effects = vec![effect(&value, 0)];
        change.records = vec![record(&value, 0, SystemClock.now())];
        store.create(change).await.unwrap();
        store.bury(effect(&value, 0).id, String::from("gone")).await.unwrap();
    }
    // Each change sweeps a little of what others left.
    super::lab::until("all is swept", async || {
        store.number_key([1; 32]).await.unwrap();
        store.entries().unwrap() == 1
    })
    .await;
    let left: Option<Verification> = store.load(verification(1, "a").id).await.unwrap();
    assert!(left.is_none());
}
