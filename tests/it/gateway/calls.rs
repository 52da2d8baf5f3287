//! Calls from the request to the outcome: what carriers say in whatever order and however often.

use std::{sync::atomic::Ordering, time::Duration};

use ringproof::{
    gateway::{AlternateRequest, Client, CreateRequest, Refusal, WebhookRefused},
    outcome::{Attestation, Fault, Reason, Status},
    provider::{Endpoint, Refused, Switchboard},
    verification::{Cause, End, PlaceResult, Placement, Signal, Verification},
};

use super::{
    carrier::cause,
    world::{World, client, request, turn, until},
};

const PAST_ALL: Duration = Duration::from_secs(900);

#[tokio::test]
async fn pressing_pound_verifies() {
    let world = World::new().await;
    let (id, order) = world.call(request()).await;
    assert_eq!(order.from.expose(), "+815012345678", "the domestic one of our numbers is shown");
    assert_eq!(order.flow_url, format!("https://verify.example.com/webhooks/main/{}/flow", order.token.to_path()));
    let open = world.answer(&order).await;
    let thanked = world.keys(&order, open, "#").await.unwrap();
    assert_eq!(thanked.body, "[ja] verified .");
    assert_eq!(world.value(id).await.status, Status::Verified);
    assert_eq!(world.status(&order, "completed").await.unwrap().status, 204);
    let document = ringproof::gateway::document(&world.gateway.read(&client(), id).await.unwrap());
    assert_eq!(document.calls.len(), 1);
    assert_eq!(document.calls[0].end, Some("completed"));
    // The number is free again.
    world.create(request()).await.unwrap();
}

#[tokio::test]
async fn a_repeated_webhook_gets_the_same_bytes_and_changes_nothing() {
    let world = World::new().await;
    let (id, order) = world.call(request()).await;
    let open = world.answer(&order).await;
    let asked = world.flow(&order).await.unwrap();
    assert_eq!(world.flow(&order).await.unwrap(), asked);
    let told = world.keys(&order, open, "5").await.unwrap();
    let revision = world.value(id).await.revision;
    for _ in 0..3 {
        assert_eq!(world.keys(&order, open, "5").await.unwrap(), told);
        assert_eq!(world.keys(&order, open, "#").await.unwrap(), told, "the turn is over: # does not count any more");
    }
    assert_eq!(world.value(id).await.revision, revision);
    let thanked = world.keys(&order, turn(&told).unwrap(), "#").await.unwrap();
    assert_eq!(world.flow(&order).await.unwrap(), thanked);
    assert_eq!(world.keys(&order, open, "0").await.unwrap(), thanked);
    assert_eq!(world.value(id).await.status, Status::Verified);
}

#[tokio::test]
async fn forged_messages_change_nothing() {
    let world = World::new().await;
    let (id, order) = world.call(request()).await;
    let open = world.answer(&order).await;
    let other = World::new().await.call(request()).await.1;
    let before = world.value(id).await.revision;
    let (token, keys) = (order.token.to_path(), Endpoint::Keys { turn: open });
    let forged_token = ringproof::id::CallToken { proof: [0; 16], ..order.token }.to_path();
    let next_call = ringproof::id::CallToken {
        call: ringproof::id::CallId { index: 7, ..order.token.call },
        proof: order.token.proof,
    };
    let table = [
        ("main", token.as_str(), "CA/#", None, WebhookRefused::Refused(Refused::NoSignature)),
        ("main", token.as_str(), "CA/#", Some("wrong"), WebhookRefused::Refused(Refused::BadSignature)),
        ("main", "", "CA/#", Some("right"), WebhookRefused::NotOurs),
        ("main", "malformed", "CA/#", Some("right"), WebhookRefused::NotOurs),
        ("main", forged_token.as_str(), "CA/#", Some("right"), WebhookRefused::NotOurs),
        ("main", &next_call.to_path(), "CA/#", Some("right"), WebhookRefused::NotOurs),
        ("main", &other.token.to_path(), "CA/#", Some("right"), WebhookRefused::NotOurs),
        ("other", token.as_str(), "CA/#", Some("right"), WebhookRefused::NotOurs),
        ("main", token.as_str(), "another call/#", Some("right"), WebhookRefused::NotOurs),
    ];
    for (carrier, token, body, signature, refused) in table {
        let answer = world.post_signed(carrier, token, keys, body, signature).await;
        assert_eq!(answer.unwrap_err(), refused, "{carrier} {body} {signature:?}");
    }
    let v = world.value(id).await;
    assert_eq!((v.revision, v.status), (before, Status::Pending));
    let unknown = world.post(&order, Endpoint::Status, "CA/news").await.unwrap();
    assert_eq!(unknown.status, 204, "a word that nobody knows means nothing");
}

#[tokio::test]
async fn a_webhook_may_overtake_the_answer_to_the_order() {
    let world = World::new().await;
    world.carrier.holds_answers.store(true, Ordering::SeqCst);
    let (id, order) = world.call(request()).await;
    assert_eq!(world.value(id).await.calls[0].placement, Placement::Taken);
    let open = world.answer(&order).await;
    assert_eq!(
        world.value(id).await.calls[0].placement,
        Placement::Accepted,
        "its webhooks prove that it has the call"
    );
    world.keys(&order, open, "#").await.unwrap();
    assert_eq!(world.value(id).await.status, Status::Verified);
    world.carrier.holds_answers.store(false, Ordering::SeqCst);
    world.carrier.let_go.notify_waiters();
    world.status(&order, "completed").await.unwrap();
    assert_eq!(world.orders(), 1);
}

#[tokio::test]
async fn an_unknown_placement_is_never_repeated_and_its_webhooks_are_recognised() {
    let world = World::new().await;
    let lost = Cause { fault: Fault::Unknown, ..cause(End::CarrierError) };
    world.carrier.answers.lock().unwrap().push_back(PlaceResult::Unknown { cause: lost });
    let (id, order) = world.call(request()).await;
    world.value_when(id, "unknown", |v| v.calls[0].placement == Placement::Unknown).await;
    world.clock.advance(Duration::from_secs(20));
    let open = world.answer(&order).await;
    world.keys(&order, open, "#").await.unwrap();
    let v = world.value(id).await;
    assert_eq!((v.status, v.calls.len(), world.orders()), (Status::Verified, 1, 1));
}

#[tokio::test]
async fn an_unknown_placement_that_stays_silent_fails_without_a_second_ring() {
    let world = World::new().await;
    let lost = Cause { fault: Fault::Unknown, ..cause(End::CarrierError) };
    world.carrier.answers.lock().unwrap().push_back(PlaceResult::Unknown { cause: lost });
    let (id, _) = world.call(request()).await;
    world.value_when(id, "unknown", |v| v.calls[0].placement == Placement::Unknown).await;
    world.clock.advance(PAST_ALL);
    let v = world.value_when(id, "it ends", Verification::is_final).await;
    assert_ne!(v.status, Status::Verified);
    assert_eq!(world.orders(), 1);
}

#[tokio::test]
async fn a_refused_call_goes_through_the_next_carrier() {
    let world = World::new().await;
    let (first, second) = (world.carrier.clone(), std::sync::Arc::new(super::carrier::FakeCarrier::default()));
    let mut parts = super::world::parts(&world.clock, &super::world::memory(&world.clock), &first);
    let mut other = parts.carriers[0].clone();
    other.name = String::from("second");
    other.provider = second.clone();
    parts.carriers.push(other);
    first.answers.lock().unwrap().push_back(PlaceResult::Refused {
        cause: Cause { fault: Fault::Carrier, ..cause(End::CarrierError) },
        try_next_route: true,
    });
    let gateway = ringproof::gateway::Gateway::open(parts).await.unwrap();
    gateway.create(&client(), request(), None, b"").await.unwrap();
    until("the second carrier is asked", || async { second.orders.lock().unwrap().first().cloned() }).await;
    assert_eq!(first.orders.lock().unwrap().len(), 1);
}

/// Every order of what a carrier says of one call: it is verified only where the question came before the key, and
/// what was decided never changes again.
#[tokio::test]
async fn any_order_of_messages() {
    let messages = ["ringing", "answered", "flow", "#", "completed"];
    for order_of_messages in permutations(&messages) {
        let world = World::new().await;
        let (id, order) = world.call(request()).await;
        world.value_when(id, "placed", |v| v.calls[0].placement == Placement::Accepted).await;
        let (mut asked, mut decided) = (None, None);
        for message in &order_of_messages {
            match *message {
                "flow" => asked = turn(&world.flow(&order).await.unwrap()),
                "#" => drop(world.keys(&order, asked.unwrap_or(1), "#").await),
                word => drop(world.status(&order, word).await.unwrap()),
            }
            world.clock.advance(Duration::from_millis(1500));
            let status = world.value(id).await.status;
            if let Some(before) = decided {
                assert_eq!(status, before, "{order_of_messages:?}");
            }
            decided = (status != Status::Pending).then_some(status);
        }
        world.clock.advance(PAST_ALL);
        let end = world.value_when(id, "it ends", Verification::is_final).await;
        let at = |wanted: &str| order_of_messages.iter().position(|message| *message == wanted).unwrap();
        let question_first = at("flow") < at("#") && at("flow") < at("completed");
        assert_eq!(end.status == Status::Verified, question_first, "{order_of_messages:?}: {:?}", end.reason);
    }
}

fn permutations<'a>(items: &[&'a str]) -> Vec<Vec<&'a str>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in items.iter().enumerate() {
        let rest: Vec<_> = items.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, item)| *item).collect();
        for mut order in permutations(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

/// The same key, many times at once, at two processes: decided once, and everybody hears the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_at_once_decide_once() {
    let world = World::new().await;
    let beside = world.beside().await;
    let (id, order) = world.call(request()).await;
    let open = world.answer(&order).await;
    let answers = futures_util::future::join_all((0..40).map(|nth| {
        let at = if nth % 2 == 0 { &world } else { &beside };
        at.keys(&order, open, "#")
    }))
    .await;
    for answer in answers {
        assert_eq!(answer.unwrap().body, "[ja] verified .");
    }
    let v = world.value(id).await;
    let decisions =
        v.events.iter().filter(|event| matches!(event.what, ringproof::verification::What::Decided(_))).count();
    assert_eq!((v.status, decisions), (Status::Verified, 1));
}

#[tokio::test]
async fn after_its_time_nothing_verifies() {
    let world = World::new().await;
    let (id, order) = world.call(request()).await;
    let open = world.answer(&order).await;
    world.clock.advance(Duration::from_secs(297));
    let answer = world.keys(&order, open, "#").await.unwrap();
    assert!(!answer.body.contains("verified"), "{}", answer.body);
    let v = world.value(id).await;
    assert_eq!((v.status, v.reason), (Status::Expired, Some(Reason::NotConfirmedInTime)));
    until("the call is ended", || async { world.carrier.hang_ups.lock().unwrap().first().copied() }).await;
}

#[tokio::test]
async fn an_alternate_is_called_when_the_first_does_not_answer() {
    let world = World::new().await;
    let alternates = vec![AlternateRequest {
        to: String::from("03-1234-5678"),
        extension: Some(String::from(",,12#")),
        locale: Some(String::from("en-US")),
        ..AlternateRequest::default()
    }];
    let (id, order) = world.call(CreateRequest { alternates, ..request() }).await;
    let rival = Client { name: String::from("rival") };
    world.status(&order, "ringing").await.unwrap();
    world.status(&order, "no_answer").await.unwrap();
    let second = world.order(1).await;
    assert_eq!((second.to.expose(), second.extension.as_deref()), ("+81312345678", Some(",,12#")));
    // While it rings there, the alternate is held: nobody else has it called.
    let taken = CreateRequest { to: String::from("03-1234-5678"), ..request() };
    let refused = world.gateway.create(&rival, taken.clone(), None, b"").await.unwrap_err();
    assert!(matches!(refused, Refusal::NumberBusy { .. }), "{refused:?}");
    let late = world.flow(&order).await.unwrap();
    assert_eq!(late.body, "[ja] .", "whoever is still on the first call hears its end");
    let open = world.answer(&second).await;
    let thanked = world.keys(&second, open, "#").await.unwrap();
    assert_eq!(thanked.body, "[en] verified .");
    world.status(&second, "completed").await.unwrap();
    assert_eq!(world.value(id).await.status, Status::Verified);
    until("the alternate is free again", || async {
        world.gateway.create(&rival, taken.clone(), None, b"").await.ok()
    })
    .await;
}

#[tokio::test]
async fn an_alternate_that_is_being_called_for_others_is_busy() {
    let world = World::new().await;
    let rival = Client { name: String::from("rival") };
    let theirs = CreateRequest { to: String::from("03-1234-5678"), ..request() };
    world.gateway.create(&rival, theirs, None, b"").await.unwrap();
    world.order(0).await;
    let alternates = vec![AlternateRequest { to: String::from("03-1234-5678"), ..AlternateRequest::default() }];
    let id = world.create(CreateRequest { alternates, ..request() }).await.unwrap().document.id;
    let order = world.order(1).await;
    world.status(&order, "busy").await.unwrap();
    let v = world.value_when(id, "it ends", Verification::is_final).await;
    assert_eq!((v.status, v.reason), (Status::Failed, Some(Reason::Busy)));
    assert_eq!(world.orders(), 2, "the alternate is not rung a second time");
}

#[tokio::test]
async fn cancel_ends_the_call_and_stays() {
    let world = World::new().await;
    let (id, order) = world.call(request()).await;
    world.value_when(id, "placed", |v| v.calls[0].placement == Placement::Accepted).await;
    let v = world.gateway.cancel(&client(), id).await.unwrap();
    assert_eq!(v.status, Status::Canceled);
    assert_eq!(world.gateway.cancel(&client(), id).await.unwrap().status, Status::Canceled, "again is no error");
    assert_eq!(world.gateway.redial(&client(), id).await.unwrap_err(), Refusal::NotPending);
    until("the call is ended", || async { world.carrier.hang_ups.lock().unwrap().first().copied() }).await;
    let heard = world.flow(&order).await.unwrap();
    assert!(heard.body.ends_with('.'), "whoever answers now hears the end: {}", heard.body);
    assert_eq!(world.value(id).await.status, Status::Canceled);
}

#[tokio::test]
async fn redial_waits_and_is_counted() {
    let world = World::new().await;
    let (id, order) = world.call(CreateRequest { max_calls: Some(2), ..request() }).await;
    assert_eq!(world.gateway.redial(&client(), id).await.unwrap_err(), Refusal::NotNow { retry_after: 30 });
    world.status(&order, "ringing").await.unwrap();
    world.clock.advance(Duration::from_secs(31));
    world.gateway.redial(&client(), id).await.unwrap();
    world.status(&order, "no_answer").await.unwrap();
    let second = world.order(1).await;
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(world.gateway.redial(&client(), id).await.unwrap_err(), Refusal::NoCallsLeft);
    let open = world.answer(&second).await;
    world.keys(&second, open, "#").await.unwrap();
    assert_eq!(world.value(id).await.status, Status::Verified);
}

#[tokio::test]
async fn a_wait_ends_with_a_change_or_with_its_time() {
    let world = World::new().await;
    let (id, order) = world.call(request()).await;
    let known = world.value_when(id, "placed", |v| v.calls[0].placement == Placement::Accepted).await.revision;
    let same = world.gateway.wait(&client(), id, Some(known), Duration::from_millis(50)).await.unwrap();
    assert_eq!(same.revision, known);
    let at_once = world.gateway.wait(&client(), id, Some(known - 1), Duration::from_secs(60)).await.unwrap();
    assert_eq!(at_once.revision, known);
    let (client, wait) = (client(), Duration::from_secs(60));
    let waiting = world.gateway.wait(&client, id, None, wait);
    let change = async {
        tokio::task::yield_now().await;
        world.status(&order, "ringing").await.unwrap();
    };
    let (changed, ()) = tokio::join!(waiting, change);
    assert!(changed.unwrap().revision > known);
    let waiting = world.gateway.wait(&client, id, None, wait);
    let stop = async {
        tokio::task::yield_now().await;
        assert!(world.gateway.stop(Duration::from_secs(5)).await, "nothing hangs");
    };
    let (unchanged, ()) = tokio::join!(waiting, stop);
    assert_eq!(unchanged.unwrap().id, id, "a stop ends the wait with an answer");
    assert_eq!(world.create(request()).await.unwrap_err(), Refusal::Draining);
}

#[tokio::test]
async fn a_carrier_in_the_process_comes_the_same_way() {
    let world = World::new().await;
    let (id, order) = world.call(request()).await;
    let say = |signal| world.gateway.signal(String::from("main"), super::carrier::sid(&order), order.token, signal);
    say(Signal::Ringing).await.unwrap();
    let line = say(Signal::Flow { answered: true }).await.unwrap();
    world.clock.advance(Duration::from_secs(3));
    say(Signal::Keys { turn: line.turn, digits: "#".parse().unwrap(), answered: true }).await.unwrap();
    assert_eq!(world.value(id).await.status, Status::Verified);
    assert_eq!(world.value(id).await.calls[0].attestation, Some(Attestation::Full), "what it signs is known");
    let forged = ringproof::id::CallToken { proof: [0; 16], ..order.token };
    let nobody = world.gateway.signal(String::from("main"), super::carrier::sid(&order), forged, Signal::Ringing).await;
    assert!(nobody.is_none());
}

/// A call that a dispatcher lost before it was taken is dialled by whoever sweeps, once.
#[tokio::test]
async fn a_queued_call_is_offered_again() {
    let world = World::new().await;
    let stopped = world.beside().await;
    stopped.gateway.stop(Duration::from_secs(5)).await;
    world.gateway.stop(Duration::from_secs(5)).await;
    let lone = World::with(world.clock.clone(), world.store.clone(), world.carrier.clone()).await;
    let id = lone.create(request()).await.unwrap().document.id;
    lone.order(0).await;
    for _ in 0..3 {
        lone.clock.advance(Duration::from_secs(6));
        tokio::task::yield_now().await;
    }
    lone.value_when(id, "placed", |v| v.calls[0].placement == Placement::Accepted).await;
    assert_eq!(lone.orders(), 1);
}
