//! Owns attacks that were seen elsewhere, replayed in virtual time: what each cost with the guard and without it. Run
//! with `--nocapture` to read the figures.

use std::time::Duration;

use super::{
    super::{LimitName, money::Money, settings::Settings},
    Asked, Callee, World, asked, rich,
};

fn tell(attack: &str, world: &World, tried: usize, cost_each: &str) {
    let without = Money::from_micros(Money::read(cost_each).unwrap().micros() * tried as u64);
    let (calls, spent) = (world.dialled.len(), world.spent());
    println!("{attack}: {tried} tried; without the guard {tried} calls, {without}; with it {calls} calls, {spent}");
}

#[test]
fn a_burst_to_one_prefix_is_held() {
    let mut world = World::new(rich(), "2026-11-24T03:00:00Z");
    for n in 0..3_000_u32 {
        let number = format!("+819012{:06}", n * 331 % 1_000_000);
        let _ = world.call(&asked(&number), Callee::Talks(60));
        world.pass(Duration::from_secs(1));
    }
    tell("burst to one prefix, an hour", &world, 3_000, "0.50");
    assert!(world.dialled.len() <= 20 + 2 * 50, "{}", world.dialled.len());
    let most = most_within(&world, Duration::from_secs(600));
    assert!(most <= 20, "{most} in ten minutes");
}

#[test]
fn low_and_slow_over_a_week_is_seen() {
    let mut world = World::new(Settings::default(), "2026-11-24T03:00:00Z");
    let tried = 7 * 24 * 20;
    for n in 0..tried {
        let number = format!("+819012{:06}", n * 331 % 1_000_000);
        let _ = world.call(&asked(&number), Callee::Talks(85));
        world.pass(Duration::from_secs(180));
    }
    tell("low and slow, a week", &world, tried, "1.00");
    assert!(most_within(&world, Duration::from_secs(86_400)) <= 80);
    assert!(world.spent() <= Money::cents(20_000), "{}", world.spent());
}

#[test]
fn a_thousand_at_once_for_one_number_are_one_call() {
    let mut world = World::new(rich(), "2026-11-24T03:00:00Z");
    for _ in 0..1_000 {
        let _ = world.call(&asked("+819012345678"), Callee::Away);
    }
    tell("1,000 at once for one number", &world, 1_000, "0");
    assert_eq!(world.dialled.len(), 1);
}

#[test]
fn one_number_written_in_many_ways_is_one_number() {
    let mut world = World::new(rich(), "2026-11-24T03:00:00Z");
    let written = [
        "090-1234-5678",
        "09012345678",
        "9012345678",
        "+81 90 1234 5678",
        "+81 (0)90-1234-5678",
        "０９０－１２３４－５６７８",
        "184-090-1234-5678",
        "186 090 1234 5678",
        "090 1234 5678",
        "+819012345678",
        "0081 90 1234 5678",
    ];
    let mut read = 0;
    for text in written {
        if let Ok(number) = crate::phone::read(text, "JP".parse().ok()) {
            read += 1;
            let _ = world.call(&asked(number.e164.expose()), Callee::Away);
        }
    }
    tell("one number in many forms", &world, written.len(), "0");
    assert!(read >= 8, "{read} of them are read");
    assert_eq!(world.dialled.len(), 1);
}

#[test]
fn a_night_of_calls_is_three() {
    // 01:00 in Tokyo; whoever is woken presses nothing.
    let mut world = World::new(rich(), "2026-11-24T16:00:00Z");
    let mut last = None;
    for _ in 0..100 {
        last = world.call(&Asked { account: Some("victim"), ..asked("+819012345678") }, Callee::Talks(20)).err();
        world.pass(Duration::from_secs(200));
    }
    tell("01:00, 100 requests", &world, 100, "0.50");
    assert_eq!(world.dialled.len(), 3);
    let last = last.unwrap();
    assert_eq!(last.limit, LimitName::Night);
    let then = world.now.minus(Duration::from_secs(200)).plus(last.retry_after.unwrap());
    assert_eq!(then.to_string(), "2026-11-24T22:00:00.000Z", "07:00 in Tokyo");
}

#[test]
fn a_race_for_the_last_of_the_money_is_exact() {
    let mut settings = Settings::default();
    settings.guard.prefix = Vec::new();
    settings.guard.neighbours = Vec::new();
    settings.spend.per_hour = Money::cents(1_049);
    let mut world = World::new(settings, "2026-11-24T03:00:00Z");
    let mut refused = Vec::new();
    for n in 0..1_000 {
        let number = format!("+8190{:08}", n * 104_729 % 100_000_000);
        refused.extend(world.call(&asked(&number), Callee::Talks(90)).err());
    }
    tell("a race for the last of the money", &world, 1_000, "1.00");
    assert_eq!(world.dialled.len(), 10, "1.00 is put aside for each, of 10.49");
    assert!(
        refused
            .iter()
            .all(|refused| refused.limit == LimitName::ClientSpendHour || refused.limit == LimitName::SpendHour)
    );
}

#[test]
fn numbers_in_a_row_are_seen() {
    let mut world = World::new(rich(), "2026-11-24T03:00:00Z");
    for n in 0..100 {
        let number = format!("+8131234{n:04}");
        let _ = world.call(&asked(&number), Callee::Away);
        world.pass(Duration::from_secs(35));
    }
    tell("100 numbers in a row, an hour", &world, 100, "0");
    assert!(world.dialled.len() <= 12 + 1, "{}", world.dialled.len());
}

#[test]
fn short_calls_weigh_more() {
    let calls = |seconds| {
        let mut world = World::new(rich(), "2026-11-24T03:00:00Z");
        for n in 0..60_u32 {
            let number = format!("+819012{:06}", n * 331);
            let _ = world.call(&asked(&number), Callee::Talks(seconds));
            world.pass(Duration::from_secs(9));
        }
        world.dialled.len()
    };
    let (short, long) = (calls(2), calls(30));
    println!("one prefix, nine minutes: {short} calls that are over after 2 s, {long} of 30 s");
    assert!(short * 2 < long, "{short} short ones, {long} long ones");
}

#[test]
fn a_prefix_that_stops_to_be_verified_is_held_and_opens_again() {
    let mut settings = rich();
    settings.guard.prefix = Vec::new();
    settings.guard.neighbours = Vec::new();
    let mut world = World::new(settings, "2026-11-23T22:00:00Z");
    let number = |n: u32| format!("+819012{:06}", n * 331);
    for n in 0..60 {
        world.call(&asked(&number(n)), Callee::Presses(20)).unwrap();
        world.pass(Duration::from_secs(120));
    }
    world.pass(Duration::from_secs(3_700));
    let mut held = None;
    for n in 60..100 {
        if let Err(refused) = world.call(&asked(&number(n)), Callee::Talks(20)) {
            held = Some((n - 60, refused));
            break;
        }
        world.pass(Duration::from_secs(40));
    }
    let (calls, refused) = held.unwrap();
    assert_eq!(refused.limit, LimitName::Barred);
    assert!(refused.seen.starts_with("conversion: 0 % of "), "{}", refused.seen);
    println!("conversion falls from 100 %: held after {calls} calls; {}", refused.seen);
    assert!((15..=18).contains(&calls), "{calls}");
    world.pass(refused.retry_after.unwrap());
    world.call(&asked(&number(200)), Callee::Presses(20)).unwrap();
    assert!(world.call(&asked(&number(201)), Callee::Presses(20)).is_err(), "one probe at a time");
    world.pass(Duration::from_secs(30));
    world.call(&asked(&number(202)), Callee::Presses(20)).unwrap();
}

fn most_within(world: &World, span: Duration) -> usize {
    let dialled = &world.dialled;
    let within =
        |at: &crate::time::Timestamp| dialled.iter().filter(|(other, _)| other >= at && *other < at.plus(span)).count();
    dialled.iter().map(|(at, _)| within(at)).max().unwrap_or(0)
}
