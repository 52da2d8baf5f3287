//! Owns what must hold of the outbox, of dead letters and of deadlines.

use std::{collections::BTreeSet, time::Duration};

use ringproof::{
    id::EffectId,
    store::{EffectKind, NewEffect, Outgoing, Waiting},
    verification::Verification,
};

use crate::stores::{
    lab::Lab,
    sample::{commit, effect, id, next, verification},
};

const LEASE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(600);

async fn with_effects(lab: &Lab, n: u32, effects: Vec<NewEffect>) -> Verification {
    let value = verification(n, "a");
    let mut change = commit(&value);
    change.effects = effects;
    lab.store.create(change).await.unwrap();
    value
}

async fn take(lab: &Lab, lease: Duration) -> Vec<Outgoing> {
    let mut taken = lab.store.take(100, lease).await.unwrap();
    taken.sort_by_key(|effect| effect.id);
    taken
}

pub(crate) async fn effects_wait_are_taken_and_done(lab: &Lab) {
    let value = verification(1, "a");
    let later = NewEffect { due_after: SHORT, ..effect(&value, 1) };
    let begin = lab.now().await;
    with_effects(lab, 1, vec![effect(&value, 0), later.clone()]).await;
    let names = |waiting: &[Waiting]| waiting.iter().map(|waiting| waiting.effect.id).collect::<Vec<_>>();
    let waiting = lab.store.outbox(10).await.unwrap();
    assert_eq!(names(&waiting), [effect(&value, 0).id, later.id], "the next due first, also what is not due");
    assert!(waiting[0].due >= begin && waiting[1].due >= waiting[0].due.plus(SHORT));
    assert_eq!(lab.store.outbox(1).await.unwrap().len(), 1);
    let taken = take(lab, LEASE).await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    let waiting = lab.store.outbox(10).await.unwrap();
    assert_eq!(names(&waiting), [later.id, effect(&value, 0).id], "what is taken is due again after its lease");
    let first = &taken[0];
    assert_eq!(
        (first.id, first.kind, first.call, &first.payload, first.attempts),
        (effect(&value, 0).id, EffectKind::Report, 0, &vec![0; 3], 0)
    );
    assert!(first.since >= begin && first.since <= lab.now().await);
    assert_eq!(take(lab, LEASE).await, [], "it is hidden, the other is not due");
    lab.store.done(first.id).await.unwrap();
    lab.store.done(first.id).await.unwrap();
    lab.pass(SHORT).await;
    let taken = take(lab, LEASE).await;
    assert_eq!(
        taken.iter().map(|effect| (effect.id, effect.kind, effect.call)).collect::<Vec<_>>(),
        [(later.id, EffectKind::HangUp, 1)]
    );

    let after = next(&value);
    let mut change = commit(&after);
    change.effects = vec![effect(&after, 2)];
    lab.store.commit(change).await.unwrap();
    assert_eq!(take(lab, LEASE).await[0].id, effect(&after, 2).id, "a later change brings effects too");
}

pub(crate) async fn a_taken_effect_comes_back_after_its_lease(lab: &Lab) {
    let value = verification(1, "a");
    with_effects(lab, 1, vec![effect(&value, 0)]).await;
    assert_eq!(take(lab, SHORT).await.len(), 1);
    assert_eq!(take(lab, SHORT).await, []);
    lab.pass(SHORT).await;
    let again = take(lab, SHORT).await;
    assert_eq!((again.len(), again[0].attempts), (1, 0));
}

pub(crate) async fn retries_are_counted(lab: &Lab) {
    let value = verification(1, "a");
    with_effects(lab, 1, vec![effect(&value, 0)]).await;
    for attempts in 0..3 {
        let taken = take(lab, LEASE).await;
        assert_eq!((taken.len(), taken[0].attempts), (1, attempts));
        let at = lab.now().await.plus(SHORT);
        lab.store.retry(taken[0].id, at).await.unwrap();
        assert_eq!(take(lab, LEASE).await, [], "not before its time");
        lab.pass(SHORT).await;
    }
    lab.store.done(effect(&value, 0).id).await.unwrap();
    lab.store.retry(effect(&value, 0).id, lab.now().await).await.unwrap();
    assert_eq!(take(lab, LEASE).await, [], "what is done does not come back");
}

pub(crate) async fn dead_letters_are_kept_and_revived(lab: &Lab) {
    let store = &lab.store;
    let mut ids = Vec::new();
    for n in 1..4 {
        let value = verification(n, "a");
        with_effects(lab, n, vec![effect(&value, 0)]).await;
        ids.push(effect(&value, 0).id);
    }
    let taken = take(lab, LEASE).await;
    store.retry(taken[0].id, lab.now().await).await.unwrap();
    for (n, id) in ids.iter().enumerate() {
        store.bury(*id, format!("410 Gone, {n}")).await.unwrap();
        store.bury(*id, String::from("again")).await.unwrap();
        lab.pass(Duration::from_millis(5)).await;
    }
    assert_eq!(take(lab, LEASE).await, []);
    let letters = store.dead_letters(10).await.unwrap();
    let told: Vec<(EffectId, &str, u32)> =
        letters.iter().map(|letter| (letter.effect.id, letter.why.as_str(), letter.effect.attempts)).collect();
    assert_eq!(told, [(ids[2], "410 Gone, 2", 0), (ids[1], "410 Gone, 1", 0), (ids[0], "410 Gone, 0", 1)]);
    assert!(letters[0].at > letters[1].at && letters[1].at > letters[2].at);
    assert_eq!(letters[0].effect.payload, [0; 3]);
    assert_eq!(store.dead_letters(1).await.unwrap().len(), 1);

    assert!(store.revive(ids[0]).await.unwrap());
    assert!(!store.revive(ids[0]).await.unwrap());
    assert!(!store.revive(EffectId { verification: id(9), revision: 1, index: 0 }).await.unwrap());
    let taken = take(lab, LEASE).await;
    assert_eq!(taken.iter().map(|effect| (effect.id, effect.attempts)).collect::<Vec<_>>(), [(ids[0], 0)]);
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 2);
    store.bury(EffectId { verification: id(9), revision: 1, index: 0 }, String::from("never was")).await.unwrap();
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 2);

    assert!(store.discard(ids[1]).await.unwrap());
    assert!(!store.discard(ids[1]).await.unwrap());
    assert!(!store.discard(ids[0]).await.unwrap(), "one that is an effect again is no dead letter");
    assert!(!store.revive(ids[1]).await.unwrap(), "it is gone for good");
    let letters: Vec<_> = store.dead_letters(10).await.unwrap().iter().map(|letter| letter.effect.id).collect();
    assert_eq!(letters, [ids[2]]);
    lab.no_key_is_forgotten();
}

pub(crate) async fn a_limit_is_kept_over_all_partitions(lab: &Lab) {
    for n in 0..40 {
        let value = verification(n, "a");
        with_effects(lab, n, vec![effect(&value, 0)]).await;
    }
    let mut seen = BTreeSet::new();
    for expected in [7, 7, 7, 7, 7, 5, 0] {
        let taken = lab.store.take(7, LEASE).await.unwrap();
        assert_eq!(taken.len(), expected);
        assert!(taken.iter().all(|effect| seen.insert(effect.id)), "none is taken twice");
    }
    assert_eq!(lab.store.take(0, LEASE).await.unwrap(), []);
}

pub(crate) async fn deadlines_come_in_order(lab: &Lab) {
    let begin = lab.now().await;
    for n in 0..20_u32 {
        let value = verification(n, "a");
        let mut change = commit(&value);
        change.deadline = Some(begin.plus(Duration::from_millis(u64::from(19 - n))));
        lab.store.create(change).await.unwrap();
    }
    let far = verification(20, "a");
    let mut change = commit(&far);
    let later = begin.plus(Duration::from_secs(600));
    change.deadline = Some(later);
    lab.store.create(change).await.unwrap();
    lab.pass(Duration::from_millis(50)).await;

    let due = lab.store.due(100).await.unwrap();
    let expected: Vec<_> = (0..20).rev().map(id).collect();
    assert_eq!(due.ids, expected);
    assert_eq!(due.next, Some(later));
    assert!(due.now >= begin.plus(Duration::from_millis(50)));
    let due = lab.store.due(5).await.unwrap();
    assert_eq!(due.ids, expected[..5]);
    assert_eq!(due.next, Some(begin.plus(Duration::from_millis(5))), "the earliest that was left out");
}

pub(crate) async fn deadlines_move_and_go(lab: &Lab) {
    let begin = lab.now().await;
    let first = verification(1, "a");
    let mut change = commit(&first);
    change.deadline = Some(begin);
    lab.store.create(change).await.unwrap();
    assert_eq!(lab.store.due(10).await.unwrap().ids, [first.id]);

    let second = next(&first);
    let later = begin.plus(Duration::from_secs(60));
    let mut change = commit(&second);
    change.deadline = Some(later);
    lab.store.commit(change).await.unwrap();
    let due = lab.store.due(10).await.unwrap();
    assert_eq!((due.ids, due.next), (Vec::new(), Some(later)));

    let third = next(&second);
    let mut change = commit(&third);
    change.deadline = Some(later);
    lab.store.commit(change).await.unwrap();
    assert_eq!(lab.store.due(10).await.unwrap().next, Some(later));

    lab.store.commit(commit(&next(&third))).await.unwrap();
    let due = lab.store.due(10).await.unwrap();
    assert_eq!((due.ids, due.next), (Vec::new(), None));
}
