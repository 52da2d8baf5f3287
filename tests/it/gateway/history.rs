//! What those are told who come late to a verification whose history is not there as a whole.

use ringproof::{
    gateway::{EventDocument, events},
    outcome::{Reason, Status},
    verification::Verification,
};

use super::world::{World, client, request};

/// A verification that was taken back: four events.
async fn canceled() -> Verification {
    let world = World::new().await;
    let (id, _) = world.call(request()).await;
    world.gateway.cancel(&client(), id).await.unwrap();
    let v = world.value(id).await;
    assert_eq!(v.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    v
}

fn told(events: &[EventDocument]) -> Vec<(u32, &'static str, Option<&'static str>)> {
    events.iter().map(|event| (event.seq, event.r#type, event.detail)).collect()
}

#[tokio::test]
async fn what_is_missing_is_made_up_for_by_how_it_is_now() {
    let mut v = canceled().await;
    v.events.remove(1);
    let all = events(&v, 0);
    assert_eq!(
        told(&all),
        [(1, "call.queued", None), (2, "verification.canceled", Some("state")), (3, "verification.canceled", None)]
    );
    assert_eq!((all[1].status, all[1].reason), (Status::Canceled, Some(Reason::ByClient)));
    assert_eq!(told(&events(&v, 1)), told(&all[1..]));
    assert_eq!(told(&events(&v, 2)), told(&all[2..]));
    assert_eq!(told(&events(&v, 3)), []);
}

/// A store that fails over may lose its last second: a client may have seen what nobody knows any more.
#[tokio::test]
async fn who_knows_more_than_is_kept_is_told_how_it_is_now() {
    let v = canceled().await;
    let state = events(&v, 9);
    assert_eq!(told(&state), [(3, "verification.canceled", Some("state"))]);
    assert_eq!(state[0].status, Status::Canceled);
}
