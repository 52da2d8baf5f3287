//! The store fails: nothing is verified that the store does not know of, and no telephone rings twice.

use std::{sync::Arc, time::Duration};

use ringproof::{gateway::Refusal, outcome::Status, store::Store, verification::Verification};

use super::{
    faulty::{Fails, Faulty},
    world::{ManualClock, World, client, memory, request, turn},
};

/// A whole call through a store that fails at one place. What the callee heard, and how it ended.
async fn call_with_a_fault(
    fails: Fails,
    working: usize,
    failures: usize,
) -> (Vec<String>, Option<Verification>, usize) {
    let clock = ManualClock::new();
    let inner = memory(&clock);
    let faulty = Faulty::new(Arc::clone(&inner), fails, working, failures);
    let world = World::on(clock, faulty).await;
    let created = world.gateway.create(&client(), request(), Some("key"), b"").await;
    let id = match created {
        Ok(created) => created.document.id,
        Err(refused) => {
            assert_eq!(refused, Refusal::StoreAway);
            // The client does what it is told, and tries again with the same key.
            world.clock.advance(Duration::from_secs(6));
            match world.gateway.create(&client(), request(), Some("key"), b"").await {
                Ok(created) => created.document.id,
                Err(_) => return (Vec::new(), None, world.orders()),
            }
        }
    };
    let mut heard = Vec::new();
    for _ in 0..200 {
        if world.orders() > 0 {
            break;
        }
        world.clock.advance(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let order = world.carrier.orders.lock().unwrap().first().cloned();
    if let Some(order) = order {
        let _ = world.status(&order, "ringing").await;
        let mut open = None;
        for _ in 0..3 {
            if let Ok(asked) = world.flow(&order).await {
                open = turn(&asked);
                heard.push(asked.body);
            }
            if open.is_some() {
                break;
            }
        }
        world.clock.advance(Duration::from_secs(3));
        if let Some(open) = open {
            heard.push(world.keys(&order, open, "#").await.unwrap().body);
        }
        let _ = world.status(&order, "completed").await;
    }
    let end = super::world::until("it ends", || async {
        world.clock.advance(Duration::from_secs(10));
        inner.load(id).await.unwrap().filter(Verification::is_over)
    })
    .await;
    (heard, Some(end), world.orders())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_operation_fails() {
    let mut verified = 0;
    for fails in [Fails::Before, Fails::After] {
        for working in 0..12 {
            let (heard, end, orders) = call_with_a_fault(fails, working, 1).await;
            let what = format!("{fails:?}, {working} operations worked: {heard:?}");
            assert!(orders <= 1, "{what}: it rang {orders} times");
            let told = heard.iter().any(|script| script.contains(" verified"));
            let Some(end) = end else { panic!("{what}: the second attempt of the client was refused too") };
            assert_eq!(told, end.status == Status::Verified, "{what}: ended as {}", end.status);
            assert!(end.calls.len() <= 1, "{what}");
            verified += u32::from(told);
        }
    }
    assert!(verified >= 20, "one failing operation is got over nearly always: {verified} of 24");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_stays_away_in_the_middle_of_a_call() {
    let clock = ManualClock::new();
    let inner = memory(&clock);
    let faulty = Faulty::sound(Arc::clone(&inner));
    let world = World::on(clock, Arc::clone(&faulty) as Arc<dyn Store>).await;
    let (id, order) = world.call(request()).await;
    let open = world.answer(&order).await;
    faulty.set_away(true);
    let began = tokio::time::Instant::now();
    let answer = world.keys(&order, open, "#").await.unwrap();
    assert_eq!(answer.body, "[ja] sorry .", "an apology in the callee's language");
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    assert_eq!(inner.load(id).await.unwrap().unwrap().status, Status::Pending);
    assert_eq!(world.create(request()).await.unwrap_err(), Refusal::StoreAway);
    assert_eq!(world.gateway.read(&client(), id).await.unwrap_err(), Refusal::StoreAway);
    let readiness = world.gateway.ready().await;
    assert!(!readiness.ready, "{readiness:?}");
    faulty.set_away(false);
    let again = world.keys(&order, open, "#").await.unwrap();
    assert_eq!(again.body, "[ja] verified .", "it recovers by itself");
    assert!(world.gateway.ready().await.ready);
}

/// The client goes away in the middle of its request: what was begun is done to its end, or not at all.
#[tokio::test]
async fn a_request_that_is_dropped_is_not_half_done() {
    let world = World::new().await;
    {
        let client = client();
        let create = world.gateway.create(&client, request(), None, b"");
        tokio::pin!(create);
        // Polled once, then dropped.
        assert!(futures_util::poll!(create).is_pending());
    }
    let order = world.order(0).await;
    let id = order.token.call.verification;
    let cancel = client();
    {
        let canceled = world.gateway.cancel(&cancel, id);
        tokio::pin!(canceled);
        let _ = futures_util::poll!(canceled);
    }
    world.value_when(id, "canceled", |v| v.status == Status::Canceled).await;
}
