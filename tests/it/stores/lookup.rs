//! What it costs Redis to find one call record whose verification is no longer kept.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use ringproof::{id::CallId, time::Timestamp, verification::Verification};
use tokio::time::Instant;

use super::{
    lab::{Lab, until},
    sample::{BEGIN, commit, id, record, verification},
};
use crate::world::redis::Redis;

/// Calls in the same part of the log, spread evenly over the hour after the one that is looked for.
const OTHERS: usize = 2_000;
const APART: Duration = Duration::from_millis(1_800);

/// How many scripts ran so far.
fn scripts(redis: &Redis) -> u64 {
    let told: String = redis.send(&["INFO", "commandstats"]);
    let line = told.lines().find(|line| line.starts_with("cmdstat_evalsha:"));
    line.map_or(0, |line| line.split(['=', ',']).nth(1).unwrap().parse().unwrap())
}

async fn ended(lab: &Lab, value: &Verification, at: Timestamp, keep_for: Duration) {
    let mut change = commit(value);
    change.records = vec![record(value, 0, at)];
    change.keep_for = keep_for;
    lab.store.create(change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_found_without_looking_through_the_log() {
    let lab = Lab::redis().await;
    let partition = id(0).partition();
    let same: Vec<u32> = (1..).filter(|n| id(*n).partition() == partition).take(OTHERS).collect();
    let wanted = verification(0, "a");
    let at = wanted.created_at.plus(Duration::from_secs(40));
    ended(&lab, &wanted, at, Duration::from_millis(900)).await;
    stream::iter((1u32..).zip(same))
        .for_each_concurrent(64, |(nth, n)| {
            let lab = &lab;
            async move { ended(lab, &verification(n, "a"), BEGIN.plus(APART * nth), Duration::from_secs(60)).await }
        })
        .await;
    until("the verification is forgotten", async || lab.store.load(wanted.id).await.unwrap().is_none()).await;

    let (before, began) = (scripts(&lab.servers[0]), Instant::now());
    let found = lab.store.call(CallId { verification: wanted.id, index: 0 }).await.unwrap();
    assert_eq!(found, Some(record(&wanted, 0, at)));
    let looks = scripts(&lab.servers[0]) - before;
    println!("found among {OTHERS} in {looks} looks, {:?}", began.elapsed());
    assert!(looks <= 2, "{looks} looks");

    let (before, began) = (scripts(&lab.servers[0]), Instant::now());
    assert_eq!(lab.store.call(CallId { verification: wanted.id, index: 5 }).await.unwrap(), None);
    let looks = scripts(&lab.servers[0]) - before;
    println!("not found in {looks} looks, {:?}", began.elapsed());
    assert!(looks <= 8, "{looks} looks");
}
