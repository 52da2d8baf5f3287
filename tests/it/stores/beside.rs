//! Owns what several ringproofs beside one Redis share.

use std::sync::Arc;

use ringproof::store::{Changed, Committed, Span, Store};

use super::{
    lab::{Lab, open, until},
    sample::{KEEP, commit, effect, next, verification},
    suite::tallies::{counted, tally},
};

#[tokio::test]
async fn several_beside_each_other_share_everything() {
    let lab = Lab::redis().await;
    let other = open(&lab.servers[0].url()).await;
    let mut changes = other.changes();
    let value = verification(1, "a");
    other.follow(value.id).await.unwrap();
    let mut change = commit(&value);
    change.effects = vec![effect(&value, 0)];
    lab.store.create(change).await.unwrap();
    // What is followed before the subscription stands is told to be looked at first.
    until("it is told", async || changes.try_recv() == Ok(Changed::Verification(value.id))).await;
    assert_eq!(other.load(value.id).await.unwrap().unwrap().revision, 1);
    let (ours, theirs) = tokio::join!(lab.store.take(10, KEEP), other.take(10, KEEP));
    assert_eq!(ours.unwrap().len() + theirs.unwrap().len(), 1);
    assert_eq!(lab.store.number_key([1; 32]).await.unwrap(), other.number_key([2; 32]).await.unwrap());
    let (after, now) = (next(&value), lab.now().await);
    let settle = |store: Arc<dyn Store>| {
        let after = after.clone();
        async move {
            let mut change = commit(&after);
            change.tally = Some(tally(&after, now));
            store.commit(change).await.unwrap()
        }
    };
    let (ours, theirs) = tokio::join!(settle(Arc::clone(&lab.store)), settle(Arc::clone(&other)));
    assert_ne!(ours == Committed::Conflict, theirs == Committed::Conflict, "one of them settles it");
    for store in [&lab.store, &other] {
        let hours = counted(store.as_ref(), Span::Hour, now).await;
        assert_eq!(hours.outcomes.into_values().collect::<Vec<_>>(), [1]);
    }
}
