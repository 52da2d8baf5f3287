//! The guard through the gateway: attacks against limits, money that is put aside and given back, redials and alternates,
//! what operators do.

use std::time::Duration;

use futures_util::future::join_all;
use ringproof::{
    gateway::{AlternateRequest, BarRequest, BarSubject, Client, CreateRequest, LiftRequest, LimitName, Refusal},
    guard::{
        Settings,
        money::Money,
        settings::{Limit, LimitsConfig, SpendConfig},
    },
    outcome::{Reason, Status},
    verification::{End, PlaceResult, Placement},
};

use super::{
    carrier::cause,
    world::{World, client, request, until},
};

/// No limit but those of money.
fn only_money(spend: SpendConfig) -> Settings {
    Settings { spend, ..Settings::unlimited() }
}

fn only(limits: impl FnOnce(&mut LimitsConfig)) -> Settings {
    let mut settings = Settings::unlimited();
    limits(&mut settings.limits);
    settings
}

/// The default limits, by day in Tokyo.
async fn by_day(settings: Settings) -> World {
    let world = World::guarded(settings).await;
    // 11:06 UTC, 20:06 in Tokyo, at the beginning: on to 11:00 of the next day there.
    world.clock.advance(Duration::from_secs(15 * 3600 - 6 * 60));
    world
}

fn number(n: usize) -> CreateRequest {
    let to = format!("+8190{:08}", 10_000_000 + n * 80_021);
    CreateRequest { to, country: None, ..request() }
}

fn limit(refusal: &Refusal) -> LimitName {
    match refusal {
        Refusal::Limited { limit, .. } | Refusal::Barred { limit, .. } => *limit,
        other => panic!("not a limit: {other:?}"),
    }
}

async fn spent(world: &World) -> (String, String) {
    let spend = world.gateway.limits().await.unwrap().spend;
    (spend.last_hour, spend.last_day)
}

#[tokio::test]
async fn a_thousand_at_once_for_one_account_are_one_call() {
    let world = by_day(Settings::default()).await;
    let ask = |n| CreateRequest { reference: Some(String::from("user-42")), ..number(n) };
    let made = join_all((0..1_000).map(|n| world.create(ask(n)))).await;
    let refused: Vec<_> = made.iter().filter_map(|made| made.as_ref().err()).collect();
    assert_eq!(refused.len(), 999);
    assert!(refused.iter().all(|refused| matches!(refused, Refusal::Limited { retry_after, .. } if *retry_after > 0)));
    world.order(0).await;
    assert_eq!(world.orders(), 1);
}

#[tokio::test]
async fn a_race_for_the_last_of_the_money_is_exact() {
    let spend = SpendConfig { per_hour: Money::cents(1_049), ..SpendConfig::default() };
    let world = World::guarded(only_money(spend)).await;
    let made = join_all((0..1_000).map(|n| world.create(number(n)))).await;
    let (good, refused): (Vec<_>, Vec<_>) = made.iter().partition(|made| made.is_ok());
    assert_eq!(good.len(), 10, "1.00 is put aside for each, of 10.49");
    assert!(refused.iter().all(|refused| limit(refused.as_ref().unwrap_err()) == LimitName::SpendHour));
    until("ten calls are asked for", async || (world.orders() >= 10).then_some(())).await;
    assert_eq!(world.orders(), 10);
    assert_eq!(spent(&world).await, (String::from("10.00"), String::from("10.00")));
}

#[tokio::test]
async fn what_a_call_did_not_cost_is_given_back() {
    let world = World::guarded(only_money(SpendConfig::default())).await;
    let (_, order) = world.call(number(1)).await;
    assert_eq!(spent(&world).await.0, "1.00", "put aside: two begun minutes");
    let open = world.answer(&order).await;
    world.keys(&order, open, "#").await.unwrap();
    world.status(&order, "completed").await.unwrap();
    assert_eq!(spent(&world).await.0, "0.50", "one begun minute");
    let (_, order) = (world.create(number(2)).await.unwrap(), world.order(1).await);
    world.status(&order, "no_answer").await.unwrap();
    assert_eq!(spent(&world).await.0, "0.50", "nobody answered");
    world.carrier.answers.lock().unwrap().push_back(PlaceResult::Unknown { cause: cause(End::CarrierError) });
    let id = world.create(number(3)).await.unwrap().document.id;
    world.order(2).await;
    world.value_when(id, "nobody can tell", |v| v.calls[0].placement == Placement::Unknown).await;
    world.clock.advance(Duration::from_secs(400));
    world.value_when(id, "its time is over", |v| v.is_final()).await;
    world.clock.advance(Duration::from_secs(400));
    world.value_when(id, "it is over", |v| v.is_over()).await;
    assert_eq!(spent(&world).await.0, "1.50", "perhaps it was dialled, and perhaps it lasted");
}

#[tokio::test]
async fn one_number_in_many_forms_has_the_calls_of_one_number() {
    let world = by_day(only(|limits| limits.number = vec![Limit::per_minutes(3, 10)])).await;
    let forms = [
        "090-1234-5678",
        "09012345678",
        "+81 90 1234 5678",
        "０９０－１２３４－５６７８",
        "184-090-1234-5678",
        "186 090 1234 5678",
        "+819012345678",
        "090 1234 5678",
    ];
    let mut calls = 0;
    for form in forms {
        match world.create(CreateRequest { to: String::from(form), ..request() }).await {
            Ok(_) => {
                let order = world.order(calls).await;
                calls += 1;
                world.status(&order, "no_answer").await.unwrap();
            }
            Err(refused) => assert_eq!(limit(&refused), LimitName::Number),
        }
    }
    assert_eq!((calls, world.orders()), (3, 3));
}

#[tokio::test]
async fn who_is_verified_is_called_as_often_as_needed() {
    let world = by_day(Settings::default()).await;
    for n in 0..8 {
        let asked = CreateRequest { reference: Some(String::from("user-42")), ..request() };
        let id = world.create(asked).await.unwrap_or_else(|why| panic!("the {n}th is refused: {why:?}")).document.id;
        let order = world.order(n).await;
        let open = world.answer(&order).await;
        world.keys(&order, open, "#").await.unwrap();
        world.status(&order, "completed").await.unwrap();
        assert_eq!(world.value(id).await.status, Status::Verified);
    }
}

#[tokio::test]
async fn who_does_not_answer_has_pauses_that_no_other_client_ends() {
    let world = by_day(Settings::default()).await;
    let (_, order) = world.call(request()).await;
    world.status(&order, "no_answer").await.unwrap();
    let Err(Refusal::Limited { limit, retry_after }) = world.create(request()).await else { panic!("no pause") };
    assert_eq!((limit, retry_after), (LimitName::Pause, 30));
    let other = Client { name: String::from("other") };
    let refused = world.gateway.create(&other, request(), None, b"").await.unwrap_err();
    assert_eq!(refused, Refusal::Limited { limit: LimitName::Pause, retry_after: 30 });
    world.clock.advance(Duration::from_secs(30));
    world.create(request()).await.unwrap();
}

#[tokio::test]
async fn a_refused_request_may_be_sent_again_under_its_key() {
    let world = by_day(Settings::default()).await;
    let (_, order) = world.call(request()).await;
    world.status(&order, "no_answer").await.unwrap();
    let again = async || world.gateway.create(&client(), request(), Some("key-1"), b"body").await;
    assert!(matches!(again().await, Err(Refusal::Limited { .. })));
    world.clock.advance(Duration::from_secs(30));
    assert!(!again().await.unwrap().replayed);
}

#[tokio::test]
async fn a_night_of_requests_is_three_calls() {
    let world = World::guarded(Settings::default()).await;
    // 01:06 in Tokyo.
    world.clock.advance(Duration::from_secs(5 * 3600));
    let mut refused = None;
    for _ in 0..100 {
        match world.create(CreateRequest { reference: Some(String::from("victim")), ..request() }).await {
            Ok(_) => {
                let order = world.order(world.orders().max(1) - 1).await;
                until("the call is over", async || world.status(&order, "no_answer").await.ok()).await;
            }
            Err(why) => refused = Some(why),
        }
        world.clock.advance(Duration::from_secs(200));
    }
    assert_eq!(world.orders(), 3);
    assert_eq!(limit(&refused.unwrap()), LimitName::Night);
}

#[tokio::test]
async fn a_redial_over_the_limit_is_refused_and_changes_nothing() {
    let world = World::guarded(only(|limits| limits.number = vec![Limit::per_minutes(1, 10)])).await;
    let (id, _order) = world.call(request()).await;
    world.clock.advance(Duration::from_secs(40));
    let before = world.value_when(id, "it is placed", |v| v.calls[0].placed_at.is_some()).await;
    let refused = world.gateway.redial(&client(), id).await.unwrap_err();
    assert_eq!(limit(&refused), LimitName::Number);
    let after = world.value(id).await;
    assert_eq!((after.revision, after.status), (before.revision, Status::Pending));
}

#[tokio::test]
async fn a_redial_is_counted_once_and_paid_once() {
    let world = World::guarded(only_money(SpendConfig::default())).await;
    let (id, first) = world.call(request()).await;
    world.clock.advance(Duration::from_secs(40));
    world.gateway.redial(&client(), id).await.unwrap();
    assert_eq!(spent(&world).await.0, "2.00", "both calls are put aside for");
    world.status(&first, "no_answer").await.unwrap();
    let second = world.order(1).await;
    assert_eq!(spent(&world).await.0, "1.00");
    let open = world.answer(&second).await;
    world.keys(&second, open, "#").await.unwrap();
    world.status(&second, "completed").await.unwrap();
    assert_eq!(spent(&world).await.0, "0.50");
}

#[tokio::test]
async fn a_redial_that_came_to_no_call_costs_nothing() {
    let world = World::guarded(only_money(SpendConfig::default())).await;
    let (id, first) = world.call(request()).await;
    world.clock.advance(Duration::from_secs(40));
    world.gateway.redial(&client(), id).await.unwrap();
    world.gateway.cancel(&client(), id).await.unwrap();
    world.status(&first, "no_answer").await.unwrap();
    world.value_when(id, "it is over", |v| v.is_over()).await;
    assert_eq!(spent(&world).await.0, "0.00");
}

#[tokio::test]
async fn an_alternate_that_is_barred_is_not_called() {
    let world = World::guarded(Settings::unlimited()).await;
    let about = BarSubject { number: Some(String::from("+819011112222")), ..BarSubject::default() };
    let bar = BarRequest { about: about.clone(), sense: String::from("deny"), seconds: 3_600, why: String::new() };
    world.gateway.bar(&client(), &bar).await.unwrap();
    let alternate =
        AlternateRequest { to: String::from("+819011112222"), country: None, extension: None, locale: None };
    let (id, order) = world.call(CreateRequest { alternates: vec![alternate], ..request() }).await;
    world.status(&order, "no_answer").await.unwrap();
    let value = world.value_when(id, "it is over", |v| v.is_over()).await;
    assert_eq!((value.reason, world.orders()), (Some(Reason::Blocked), 1));
    let code = value.calls[1].cause.as_ref().and_then(|cause| cause.carrier_code.clone());
    assert_eq!(code.as_deref(), Some("limit_barred"), "the call log says why");

    let barred = CreateRequest { to: String::from("+819011112222"), country: None, ..request() };
    let refused = world.create(barred.clone()).await.unwrap_err();
    assert!(matches!(refused, Refusal::Barred { limit: LimitName::Barred, retry_after: Some(_) }), "{refused:?}");
    assert_eq!(world.gateway.limits().await.unwrap().bars.len(), 1);
    world.gateway.lift(&client(), &LiftRequest { about }).await.unwrap();
    assert!(world.gateway.limits().await.unwrap().bars.is_empty());
    world.create(barred).await.unwrap();
}

#[tokio::test]
async fn the_next_carrier_shares_what_was_counted() {
    let world = World::guarded(only_money(SpendConfig::default())).await;
    let refused = PlaceResult::Refused { cause: cause(End::CarrierError), try_next_route: true };
    world.carrier.answers.lock().unwrap().push_back(refused);
    let id = world.create(request()).await.unwrap().document.id;
    let value = world.value_when(id, "it is over", |v| v.is_over()).await;
    assert_eq!(value.reason, Some(Reason::CarrierError));
    assert_eq!(spent(&world).await.0, "0.00", "nobody has dialled it");
}
