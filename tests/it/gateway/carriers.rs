//! Carriers that fail: what is said of them, when they are not asked, and when that takes this process out of work.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ringproof::{
    gateway::{Carrier, CarrierState, CreateRequest, Gateway, Readiness, Refusal},
    outcome::{Fault, Reason, Status},
    provider::CheckFault,
    verification::{Cause, End, PlaceResult},
};

use super::{
    carrier::{FakeCarrier, cause},
    world::{ManualClock, World, configured, memory, parts, request, until},
};

const SOON: Duration = Duration::from_secs(30);
/// More calls at once than a carrier is asked for at once.
const AT_ONCE: usize = 8;

/// A world with these carriers, the first of which is the one it scripts.
async fn with(carriers: Vec<Carrier>, first: &Arc<FakeCarrier>) -> World {
    let clock = ManualClock::new();
    let store = memory(&clock);
    let mut parts = parts(&clock, &store, first);
    parts.carriers = carriers;
    let gateway = Gateway::open(parts).await.unwrap();
    World { gateway, clock, store, carrier: Arc::clone(first) }
}

fn broken(fault: CheckFault) -> Arc<FakeCarrier> {
    let carrier = FakeCarrier::default();
    *carrier.fault.lock().unwrap() = Some(fault);
    Arc::new(carrier)
}

fn refusal(fault: Fault) -> PlaceResult {
    let cause = Cause { fault, carrier_code: Some(String::from("20003")), ..cause(End::CarrierError) };
    PlaceResult::Refused { cause, try_next_route: true }
}

/// To another number each time: one is called for one verification at a time.
fn request_to(nth: usize) -> CreateRequest {
    CreateRequest { to: format!("090-1234-{:04}", 1000 + nth), ..request() }
}

fn check<'a>(readiness: &'a Readiness, name: &str) -> &'a ringproof::gateway::ReadinessCheck {
    readiness.checks.iter().find(|check| check.name == name).unwrap()
}

/// Readiness as soon as the carrier `nth` is in this state.
async fn ready_when(world: &World, nth: usize, state: CarrierState) -> Readiness {
    until(&format!("carrier {nth} is {state:?}"), || async {
        Some(world.gateway.ready().await).filter(|readiness| readiness.carriers[nth].state == state)
    })
    .await
}

#[tokio::test]
async fn a_failed_probe_is_told_and_takes_nobody_out() {
    let carrier = broken(CheckFault::away("no answer"));
    let world = with(vec![configured("main", &carrier)], &carrier).await;
    let told = until("the probe is told", || async {
        Some(world.gateway.ready().await).filter(|readiness| readiness.carriers[0].detail.contains("no answer"))
    })
    .await;
    assert!(told.ready && check(&told, "carriers").ok, "{told:?}");
    assert_eq!(told.carriers[0].state, CarrierState::Usable);
    assert!(told.carriers[0].detail.contains("1 of 3"), "{told:?}");
}

#[tokio::test]
async fn carriers_that_stay_away_take_us_out_only_when_no_call_is_up() {
    let carrier = Arc::<FakeCarrier>::default();
    let world = with(vec![configured("main", &carrier)], &carrier).await;
    let (id, order) = world.call(request()).await;
    let open = world.answer(&order).await;
    *carrier.fault.lock().unwrap() = Some(CheckFault::away("no answer"));
    carrier.answers.lock().unwrap().extend([refusal(Fault::Us), refusal(Fault::Us), refusal(Fault::Us)]);
    for nth in 0..3 {
        // Each makes it doubtful that the carrier knows us, so that it is asked at once.
        world.create(request_to(nth)).await.unwrap();
        world.order(nth + 1).await;
        let probes = carrier.probes.load(Ordering::SeqCst);
        until("it is asked again", || async { (carrier.probes.load(Ordering::SeqCst) > probes).then_some(()) }).await;
    }
    let up = ready_when(&world, 0, CarrierState::Away).await;
    assert!(up.ready, "a call is up: its webhooks are wanted here; {up:?}");
    assert!(!check(&up, "carriers").ok, "{up:?}");
    world.keys(&order, open, "#").await.unwrap();
    assert_eq!(world.value(id).await.status, Status::Verified);
    world.status(&order, "completed").await.unwrap();
    let idle = until("nothing is awaited", || async {
        world.clock.advance(SOON);
        Some(world.gateway.ready().await).filter(|readiness| !readiness.ready)
    })
    .await;
    assert!(check(&idle, "carriers").detail.contains("no call is up"), "{idle:?}");
    *carrier.fault.lock().unwrap() = None;
    assert!(ready_when(&world, 0, CarrierState::Usable).await.ready);
}

#[tokio::test]
async fn a_carrier_that_does_not_know_us_rests_after_one_call() {
    let stranger = broken(CheckFault::refused("the credentials are refused"));
    let second = Arc::<FakeCarrier>::default();
    let world = with(vec![configured("main", &stranger), configured("second", &second)], &stranger).await;
    stranger.answers.lock().unwrap().push_back(refusal(Fault::Us));
    let id = world.create(request()).await.unwrap().document.id;
    until("the second carrier has the call", || async { second.orders.lock().unwrap().first().cloned() }).await;
    assert_eq!(world.value(id).await.calls.len(), 2);
    let told = ready_when(&world, 0, CarrierState::Refused).await;
    assert!(told.ready, "the other carrier works: {told:?}");
    assert!(told.carriers[0].detail.contains("credentials"), "{told:?}");
    for nth in 0..3 {
        world.create(request_to(nth)).await.unwrap();
        until("the second carrier has it", || async { second.orders.lock().unwrap().get(nth + 1).cloned() }).await;
    }
    assert_eq!(stranger.orders.lock().unwrap().len(), 1, "it is not asked while it rests");
    *stranger.fault.lock().unwrap() = None;
    ready_when(&world, 0, CarrierState::Usable).await;
    world.create(request_to(10)).await.unwrap();
    until("it is asked again", || async { stranger.orders.lock().unwrap().get(1).cloned() }).await;
}

/// An account may be allowed to place calls and not to look at itself.
#[tokio::test]
async fn a_refused_probe_alone_stops_no_call() {
    let carrier = broken(CheckFault::refused("the credentials are refused"));
    let world = with(vec![configured("main", &carrier)], &carrier).await;
    for nth in 0..3 {
        world.create(request_to(nth)).await.unwrap();
        world.order(nth).await;
    }
    let told = world.gateway.ready().await;
    assert!(told.ready, "{told:?}");
}

#[tokio::test]
async fn what_waits_for_a_carrier_that_rests_goes_to_the_next() {
    let (failing, second) = (Arc::<FakeCarrier>::default(), Arc::<FakeCarrier>::default());
    let world = with(vec![configured("main", &failing), configured("second", &second)], &failing).await;
    failing.holds_answers.store(true, Ordering::SeqCst);
    let all = 3 * AT_ONCE;
    failing.answers.lock().unwrap().extend((0..all).map(|_| refusal(Fault::Carrier)));
    for nth in 0..all {
        world.create(request_to(nth)).await.unwrap();
    }
    world.order(AT_ONCE - 1).await;
    failing.holds_answers.store(false, Ordering::SeqCst);
    failing.let_go.notify_waiters();
    until("the second carrier has all of them", || async {
        (second.orders.lock().unwrap().len() == all).then_some(())
    })
    .await;
    assert!(failing.orders.lock().unwrap().len() < all, "the first was not asked for each of them");
}

#[tokio::test]
async fn a_carrier_with_a_full_queue_wins_no_call() {
    let (slow, second) = (Arc::<FakeCarrier>::default(), Arc::<FakeCarrier>::default());
    // One call in 100 s: there is room for one that waits, and one is being placed.
    let paced = |name: &str, carrier| Carrier { calls_per_second: Some(0.01), ..configured(name, carrier) };
    let world = with(vec![paced("main", &slow), configured("second", &second)], &slow).await;
    for nth in 0..6 {
        world.create(request_to(nth)).await.unwrap();
    }
    until("the second carrier has what does not fit", || async {
        (second.orders.lock().unwrap().len() >= 3).then_some(())
    })
    .await;
    let alone = with(vec![paced("main", &slow)], &slow).await;
    let mut refused = None;
    for nth in 0..6 {
        refused = refused.or(alone.create(request_to(nth)).await.err());
    }
    assert_eq!(refused, Some(Refusal::CarriersAway), "what nobody would place in time is refused at once");
}

#[tokio::test]
async fn without_another_carrier_a_refused_call_ends_with_its_reason() {
    let carrier = broken(CheckFault::refused("the credentials are refused"));
    let world = with(vec![configured("main", &carrier)], &carrier).await;
    carrier.answers.lock().unwrap().push_back(refusal(Fault::Us));
    let id = world.create(request()).await.unwrap().document.id;
    let v = world.value_when(id, "failed", |v| v.status == Status::Failed).await;
    assert_eq!(v.reason, Some(Reason::CarrierError));
    let away = until("it rests", || async { world.create(request_to(1)).await.err() }).await;
    assert_eq!(away, Refusal::CarriersAway);
}

/// Names are part of URLs, and the name alone says whose webhook it is.
#[tokio::test]
async fn odd_and_doubled_names_are_refused() {
    let carrier = Arc::<FakeCarrier>::default();
    for (names, said) in [
        (["main", "main"], "two have the name `main`"),
        (["main", "a/b"], "the name `a/b` is not 1 to 32 of the characters"),
        (["", "main"], "the name `` is not 1 to 32 of the characters"),
    ] {
        let clock = ManualClock::new();
        let mut parts = parts(&clock, &memory(&clock), &carrier);
        parts.carriers = names.map(|name| configured(name, &carrier)).to_vec();
        let refused = Gateway::open(parts).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}
