//! Owns what must hold of creating and changing verifications, of holds, and of keys.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use ringproof::{
    id::VerificationId,
    outcome::Status,
    store::{Changed, Committed, Created, Held, IdempotencyKey, Remembered},
    time::{Clock, SystemClock, Timestamp},
    verification::{Target, Verification},
};

use crate::stores::{
    lab::{Lab, until},
    sample::{KEEP, commit, id, next, number, verification},
};

const SHORT: Duration = Duration::from_millis(600);

fn done(created: &Created) -> bool {
    matches!(created, Created::Done(_))
}

pub(crate) async fn a_new_verification_holds_its_number(lab: &Lab) {
    let store = &lab.store;
    let first = verification(1, "a");
    assert!(done(&store.create(commit(&first)).await.unwrap()));
    let loaded = store.load(first.id).await.unwrap().unwrap();
    assert_eq!((loaded.id, loaded.revision, &loaded.request.client), (first.id, 1, &first.request.client));
    assert!(store.load(id(2)).await.unwrap().is_none());

    assert!(done(&store.create(commit(&first)).await.unwrap()), "the same request again is the same answer");
    let other = Verification { turn: 3, ..first.clone() };
    assert_eq!(store.create(commit(&other)).await.unwrap(), Created::Exists);

    let second = same_number(2, "b", 1);
    let held = Created::NumberHeld { by: first.id, client: String::from("a") };
    assert_eq!(store.create(commit(&second)).await.unwrap(), held);
    assert!(store.load(second.id).await.unwrap().is_none());

    let end = Verification { status: Status::Failed, ..next(&first) };
    let mut change = commit(&end);
    change.release = true;
    assert!(matches!(store.commit(change).await.unwrap(), Committed::Done(_)));
    assert!(done(&store.create(commit(&second)).await.unwrap()), "the number was let go");
    assert_eq!(store.create(commit(&first)).await.unwrap(), Created::Exists, "it has changed since");
}

pub(crate) async fn a_hold_ends_with_the_verification(lab: &Lab) {
    let first = verification(1, "a");
    let mut change = commit(&first);
    change.keep_for = SHORT;
    assert!(done(&lab.store.create(change).await.unwrap()));
    lab.pass(SHORT).await;
    assert!(lab.store.load(first.id).await.unwrap().is_none());
    assert!(done(&lab.store.create(commit(&same_number(2, "b", 1))).await.unwrap()));
}

pub(crate) async fn holds_are_taken_and_let_go(lab: &Lab) {
    let store = &lab.store;
    assert_eq!(store.hold(number(9), id(1), KEEP).await.unwrap(), Held::Yes);
    assert_eq!(store.hold(number(9), id(1), KEEP).await.unwrap(), Held::Yes);
    assert_eq!(store.hold(number(9), id(2), KEEP).await.unwrap(), Held::By(id(1)));
    store.release(number(9), id(2)).await.unwrap();
    assert_eq!(store.hold(number(9), id(2), KEEP).await.unwrap(), Held::By(id(1)), "only the holder lets go");
    store.release(number(9), id(1)).await.unwrap();
    assert_eq!(store.hold(number(9), id(2), SHORT).await.unwrap(), Held::Yes);
    assert_eq!(store.hold(number(9), id(1), KEEP).await.unwrap(), Held::By(id(2)));
    lab.pass(SHORT).await;
    assert_eq!(store.hold(number(9), id(1), KEEP).await.unwrap(), Held::Yes, "holds expire");

    assert_eq!(store.hold(number(9), id(1), Duration::from_millis(1)).await.unwrap(), Held::Yes);
    lab.pass(SHORT).await;
    assert_eq!(store.hold(number(9), id(2), KEEP).await.unwrap(), Held::By(id(1)), "a hold is never shortened");
}

pub(crate) async fn a_number_held_as_alternate_names_the_client(lab: &Lab) {
    let first = verification(1, "a");
    assert!(done(&lab.store.create(commit(&first)).await.unwrap()));
    assert_eq!(lab.store.hold(number(2), first.id, KEEP).await.unwrap(), Held::Yes);
    let held = Created::NumberHeld { by: first.id, client: String::from("a") };
    assert_eq!(lab.store.create(commit(&verification(2, "b"))).await.unwrap(), held);
    assert_eq!(lab.store.hold(number(1), id(2), KEEP).await.unwrap(), Held::By(first.id));
}

pub(crate) async fn a_change_is_written_onto_its_revision_only(lab: &Lab) {
    let store = &lab.store;
    let first = verification(1, "a");
    let second = next(&first);
    assert_eq!(store.commit(commit(&second)).await.unwrap(), Committed::Conflict, "there is nothing yet");
    assert!(store.load(first.id).await.unwrap().is_none());
    store.create(commit(&first)).await.unwrap();
    assert_eq!(store.commit(commit(&first)).await.unwrap(), Committed::Conflict);
    assert_eq!(store.commit(commit(&next(&second))).await.unwrap(), Committed::Conflict, "one is left out");
    let Committed::Done(at) = store.commit(commit(&second)).await.unwrap() else { panic!("not written") };
    assert!(lab.now().await >= at);
    assert_eq!(store.load(first.id).await.unwrap().unwrap().revision, 2);
    assert_eq!(store.commit(commit(&second)).await.unwrap(), Committed::Conflict, "another attempt is not this one");
}

pub(crate) async fn of_many_that_change_at_once_one_wins(lab: &Lab) {
    let values: Vec<Verification> = (0..300).map(|n| verification(n, "a")).collect();
    join_all(values.iter().map(|value| async { assert!(done(&lab.store.create(commit(value)).await.unwrap())) })).await;
    let attempts: Vec<Verification> =
        (0..20).flat_map(|turn| values.iter().map(move |value| Verification { turn, ..next(value) })).collect();
    assert_eq!(attempts.len(), 6_000);
    let answers = join_all(attempts.iter().map(|attempt| lab.store.commit(commit(attempt)))).await;
    let mut winners = BTreeMap::new();
    for (attempt, answer) in attempts.iter().zip(answers) {
        match answer.unwrap() {
            Committed::Done(_) => assert_eq!(winners.insert(attempt.id, attempt.turn), None, "two won"),
            other => assert_eq!(other, Committed::Conflict),
        }
    }
    assert_eq!(winners.len(), 300);
    for (id, turn) in winners {
        let value = lab.store.load(id).await.unwrap().unwrap();
        assert_eq!((value.revision, value.turn), (2, turn));
    }
}

pub(crate) async fn nothing_is_written_when_it_is_too_late(lab: &Lab) {
    let store = &lab.store;
    let first = verification(1, "a");
    store.create(commit(&first)).await.unwrap();
    let second = next(&first);
    let before = lab.now().await.plus(SHORT);
    let mut change = commit(&second);
    change.before = Some(before);
    assert!(matches!(store.commit(change).await.unwrap(), Committed::Done(at) if at < before));
    lab.pass(SHORT).await;
    let third = next(&second);
    let mut change = commit(&third);
    change.before = Some(before);
    change.deadline = Some(before);
    assert!(matches!(store.commit(change).await.unwrap(), Committed::TooLate(at) if at >= before));
    assert_eq!(store.load(first.id).await.unwrap().unwrap().revision, 2);
    assert_eq!(store.due(10).await.unwrap().ids, [], "nothing of it is written");
}

pub(crate) async fn a_turn_is_spent_once(lab: &Lab) {
    let store = &lab.store;
    let mut value = verification(1, "a");
    store.create(commit(&value)).await.unwrap();
    for (spends, accepted) in
        [(Some(1), true), (Some(1), false), (None, true), (Some(1), false), (Some(3), true), (Some(2), false)]
    {
        let after = next(&value);
        let mut change = commit(&after);
        change.spends = spends;
        match store.commit(change).await.unwrap() {
            Committed::Done(_) if accepted => value = after,
            Committed::Spent if !accepted => {}
            other => panic!("{spends:?}: {other:?}"),
        }
    }
    assert_eq!(store.load(value.id).await.unwrap().unwrap().revision, value.revision);
}

pub(crate) async fn what_has_expired_stays_gone(lab: &Lab) {
    let store = &lab.store;
    let first = verification(1, "a");
    let mut change = commit(&first);
    change.keep_for = SHORT;
    change.deadline = Some(lab.now().await);
    store.create(change).await.unwrap();
    lab.pass(SHORT).await;
    let late = Verification { status: Status::Verified, ..next(&first) };
    assert_eq!(store.commit(commit(&late)).await.unwrap(), Committed::Conflict);
    assert!(store.load(first.id).await.unwrap().is_none());
    assert_eq!(store.due(10).await.unwrap().ids, []);
    lab.no_key_is_forgotten();
    let again = verification(1, "a");
    assert!(done(&store.create(commit(&again)).await.unwrap()), "the id is free again");
}

pub(crate) async fn two_thousand_at_once_are_all_kept(lab: &Lab) {
    let values: Vec<Verification> = (0..2_000).map(|n| verification(n, "a")).collect();
    let created = join_all(values.iter().map(|value| lab.store.create(commit(value)))).await;
    assert!(created.into_iter().all(|created| done(&created.unwrap())));
    let loaded = join_all(values.iter().map(|value| lab.store.load(value.id))).await;
    assert!(loaded.into_iter().all(|loaded| loaded.unwrap().is_some()));
}

pub(crate) async fn changes_are_told(lab: &Lab) {
    let mut changes = lab.store.changes();
    let first = verification(1, "a");
    lab.store.create(commit(&first)).await.unwrap();
    told(&mut changes, first.id).await;
    let mut late = lab.store.changes();
    lab.store.commit(commit(&next(&first))).await.unwrap();
    told(&mut changes, first.id).await;
    told(&mut late, first.id).await;
}

async fn told(changes: &mut tokio::sync::broadcast::Receiver<Changed>, id: VerificationId) {
    let told = tokio::time::timeout(Duration::from_secs(10), async {
        while changes.recv().await.unwrap() != Changed::Verification(id) {}
    });
    told.await.expect("the change is told");
}

pub(crate) async fn idempotency_keys_are_remembered(lab: &Lab) {
    let store = &lab.store;
    let key = |n: u32, fingerprint: u8| IdempotencyKey { hash: [5; 16], fingerprint: [fingerprint; 16], id: id(n) };
    assert_eq!(store.remember(&key(1, 1), SHORT).await.unwrap(), Remembered::New);
    assert_eq!(store.remember(&key(1, 1), SHORT).await.unwrap(), Remembered::New, "a repeated attempt");
    let now = lab.now().await;
    match store.remember(&key(2, 1), SHORT).await.unwrap() {
        Remembered::Same(first, at) => {
            assert_eq!(first, id(1));
            assert!(at <= now && now.since(at) < Duration::from_secs(60));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.remember(&key(2, 2), SHORT).await.unwrap(), Remembered::Other);
    store.forget(&key(2, 1)).await.unwrap();
    assert_eq!(store.remember(&key(2, 2), SHORT).await.unwrap(), Remembered::Other, "only its own is forgotten");
    store.forget(&key(1, 1)).await.unwrap();
    assert_eq!(store.remember(&key(2, 2), SHORT).await.unwrap(), Remembered::New);
    lab.pass(SHORT).await;
    assert_eq!(store.remember(&key(3, 3), SHORT).await.unwrap(), Remembered::New, "it expires");
    let other = IdempotencyKey { hash: [6; 16], ..key(4, 4) };
    assert_eq!(store.remember(&other, KEEP).await.unwrap(), Remembered::New);
}

pub(crate) async fn the_first_number_key_is_kept(lab: &Lab) {
    assert_eq!(lab.store.number_key([1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(lab.store.number_key([2; 32]).await.unwrap(), [1; 32]);
}

pub(crate) async fn health_tells_the_clock(lab: &Lab) {
    let now = lab.now().await;
    let health = lab.store.check(now).await.unwrap();
    assert!(health.clock_ahead_ms.abs() < 60_000, "{health:?}");
    assert!(!health.description.is_empty());
    let health = lab.store.check(now.plus(Duration::from_hours(1))).await.unwrap();
    assert!((-3_600_000..-3_500_000).contains(&health.clock_ahead_ms), "{health:?}");
    let health = lab.store.check(Timestamp::from_ms(0)).await.unwrap();
    assert!(health.clock_ahead_ms > 1_000_000_000_000, "{health:?}");
    until("this clock and that of the store agree", async || {
        SystemClock.now().since(lab.now().await) < Duration::from_hours(24)
    })
    .await;
}

/// The `n`th verification, to another one's number: its id is of that number's partition.
fn same_number(n: u32, client: &str, of: u32) -> Verification {
    let mut value = verification(n, client);
    let target = Target { number_hash: number(of), ..value.request.targets[0].clone() };
    value.id = VerificationId::new(id(n).made_at(), [n as u8; 16], number(of).partition());
    value.request.targets = vec![target];
    value
}
