//! Owns the properties of the one step: never more than a window lets in, waits that are exact, nothing taken of what is
//! refused, and rows that only success ends.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    super::{
        Dial, Guard, LimitName, bar_key,
        meter::{Key, Log, Meter, Window},
        settings::{Beginning, LimitsConfig},
        step::{Answer, Bar, Run, Sense, Settle, Take, settle, take},
    },
    Asked, Callee, Table, World, asked, rich,
};
use crate::time::Timestamp;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(1_795_000_000_000 + ms)
}

fn meter(key: &str, most: u64, span_ms: u64) -> Meter {
    let windows = vec![Window { span: Duration::from_millis(span_ms), most }];
    Meter { key: Key::new("test", key), windows, cost: 1, for_all: false, until: None }
}

proptest! {
    #[test]
    fn no_stretch_of_time_holds_more_than_its_window_and_waits_are_exact(
        steps in prop::collection::vec((0u64..400, 1u64..4), 1..300),
        most in 1u64..150,
        span in 1u64..5_000,
    ) {
        let mut table = Table::default();
        let (mut now, mut taken) = (0, Vec::new());
        for (pause, cost) in steps {
            now += pause;
            let meter = Meter { cost, ..meter("a", most, span) };
            let asked = Take { meters: vec![meter], ..Take::default() };
            match take(&mut table, at(now), &asked).unwrap() {
                Answer::Allowed { .. } => taken.push((now, cost)),
                Answer::Refused(stop) => match stop.wait {
                    None => prop_assert!(cost > most),
                    Some(wait) => {
                        let free = now + u64::try_from(wait.as_millis()).unwrap();
                        prop_assert!(free > now);
                        let before = take(&mut table, at(free - 1), &asked).unwrap();
                        prop_assert!(matches!(before, Answer::Refused(_)), "not earlier");
                        let then = take(&mut table, at(free), &asked).unwrap();
                        prop_assert!(matches!(then, Answer::Allowed { .. }), "not later");
                        now = free;
                        taken.push((now, cost));
                    }
                },
            }
            let within: u64 = taken.iter().filter(|(when, _)| when + span > now).map(|(_, cost)| cost).sum();
            prop_assert!(within <= most);
        }
    }

    #[test]
    fn what_is_given_back_is_never_more_than_was_taken(
        steps in prop::collection::vec((0u64..1_000, 1u64..50, any::<bool>()), 1..100),
    ) {
        let (span, grain) = (Duration::from_secs(10), Duration::from_millis(100));
        let (mut log, mut now, mut truth) = (Log::default(), 0, Vec::<(u64, u64)>::new());
        for (pause, amount, back) in steps {
            now += pause;
            log.add(at(now), amount, span, grain);
            truth.push((now, amount));
            if back {
                let (when, amount) = truth.remove(truth.len() / 2);
                let before = log.sum(at(now), span);
                log.give_back(at(when), amount, grain);
                let counted = if at(when).plus(span) > at(now) { amount } else { 0 };
                prop_assert!(before - log.sum(at(now), span) >= counted, "all that was still counted");
            }
            if let Some((oldest, _)) = truth.first() {
                let margin = span + grain;
                let late: u64 = truth.iter().filter(|(when, _)| at(*when).plus(margin) > at(now)).map(|(_, amount)| amount).sum();
                prop_assert!(log.sum(at(now), span) <= late, "forgotten when it is old, {oldest}");
            }
            let held: u64 = truth.iter().filter(|(when, _)| at(*when).plus(span) > at(now)).map(|(_, amount)| amount).sum();
            prop_assert!(log.sum(at(now), span) >= held, "never less than the truth");
            prop_assert!(log.len() <= 102);
            prop_assert_eq!(Log::read(&log.bytes()), log.clone());
        }
    }
}

#[test]
fn a_refusal_takes_nothing_and_names_what_stands_longest() {
    let mut table = Table::default();
    let both = Take { meters: vec![meter("wide", 5, 1_000), meter("narrow", 1, 60_000)], ..Take::default() };
    assert!(matches!(take(&mut table, at(0), &both).unwrap(), Answer::Allowed { .. }));
    for _ in 0..20 {
        let Answer::Refused(stop) = take(&mut table, at(1), &both).unwrap() else { panic!("refused") };
        assert_eq!(stop.wait, Some(Duration::from_millis(59_999)));
    }
    let wide = Take { meters: vec![meter("wide", 5, 1_000)], ..Take::default() };
    assert_eq!(take(&mut table, at(2), &wide).unwrap(), Answer::Allowed { seen: vec![vec![2]] });
}

#[test]
fn a_row_grows_until_only_success_ends_it() {
    let mut table = Table::default();
    let run = Run {
        key: Key::new("run", "a"),
        pauses: [1, 10, 100].map(Duration::from_secs).into(),
        most: 4,
        keep: Duration::from_secs(86_400),
    };
    let asked = Take { runs: vec![run.clone()], ..Take::default() };
    let mut now = at(0);
    for pause in [1, 10, 100] {
        assert!(matches!(take(&mut table, now, &asked).unwrap(), Answer::Allowed { .. }));
        let Answer::Refused(stop) = take(&mut table, now, &asked).unwrap() else { panic!("a pause") };
        assert_eq!(stop.wait, Some(Duration::from_secs(pause)));
        now = now.plus(Duration::from_secs(pause));
    }
    assert!(matches!(take(&mut table, now, &asked).unwrap(), Answer::Allowed { .. }));
    let Answer::Refused(stop) = take(&mut table, now.plus(Duration::from_secs(3_600)), &asked).unwrap() else {
        panic!("too many")
    };
    assert_eq!((stop.wait, stop.seen), (None, 4));
    settle(&mut table, now, &Settle { clear: vec![run.key], ..Settle::default() }).unwrap();
    assert!(matches!(take(&mut table, now, &asked).unwrap(), Answer::Allowed { .. }));
}

#[test]
fn a_bar_lets_probes_through_and_a_pinned_one_stays() {
    let mut table = Table::default();
    let key = bar_key("area", "819012");
    let bar = |pinned, sense| Bar {
        key: key.clone(),
        sense,
        pinned,
        holds_for: Duration::from_secs(3_600),
        first_probe: Some(Duration::from_secs(600)).filter(|_| !pinned),
        probe_every: Duration::from_secs(60),
        why: String::from("conversion"),
    };
    let raise = |bar| Settle { raise: vec![bar], ..Settle::default() };
    settle(&mut table, at(0), &raise(bar(false, Sense::Deny))).unwrap();
    let asked = Take { bars: vec![key.clone()], meters: vec![meter("a", 0, 1_000)], ..Take::default() };
    let open = Take { bars: vec![key.clone()], ..Take::default() };
    let wait = |table: &mut Table, ms| match take(table, at(ms), &open).unwrap() {
        Answer::Allowed { .. } => None,
        Answer::Refused(stop) => stop.wait.map(|wait| wait.as_secs()),
    };
    assert_eq!(wait(&mut table, 0), Some(600));
    assert_eq!(wait(&mut table, 600_000), None, "a probe");
    assert_eq!(wait(&mut table, 601_000), Some(59));
    settle(&mut table, at(602_000), &Settle { lift: vec![key.clone()], ..Settle::default() }).unwrap();
    assert_eq!(wait(&mut table, 602_000), None, "lifted");
    settle(&mut table, at(0), &raise(bar(true, Sense::Deny))).unwrap();
    settle(&mut table, at(0), &raise(bar(false, Sense::Deny))).unwrap();
    settle(&mut table, at(0), &Settle { lift: vec![key.clone()], ..Settle::default() }).unwrap();
    assert_eq!(wait(&mut table, 1_000), Some(3_599), "pinned");
    settle(&mut table, at(0), &raise(bar(true, Sense::Allow))).unwrap();
    assert!(matches!(take(&mut table, at(1_000), &asked).unwrap(), Answer::Allowed { .. }), "an operator allows it");
}

#[test]
fn lists_reports_and_prices_decide_at_once() {
    let mut settings = rich();
    settings.guard.never_call = vec![Beginning::read("+81 90-1111").unwrap()];
    settings.guard.always_allow = vec![Beginning::read("+819022223333").unwrap()];
    let mut world = World::new(settings, "2026-11-24T03:00:00Z");
    let refused = world.call(&asked("+819011112222"), Callee::Away).unwrap_err();
    assert_eq!((refused.limit, refused.retry_after), (LimitName::NeverCall, None));
    for _ in 0..50 {
        world.call(&asked("+819022223333"), Callee::Away).unwrap();
    }
    world.call(&asked("+819033334444"), Callee::Reports).unwrap();
    world.pass(Duration::from_secs(60));
    let refused = world.call(&asked("+819033334444"), Callee::Presses(20)).unwrap_err();
    assert_eq!(refused.limit, LimitName::Barred);
    assert_eq!(refused.retry_after.map(|wait| wait.as_secs() / 86_400), Some(89));
    let mut settings = rich();
    settings.spend.other_price = None;
    let mut world = World::new(settings, "2026-11-24T03:00:00Z");
    assert_eq!(world.call(&asked("+819033334444"), Callee::Away).unwrap_err().limit, LimitName::NoPrice);
}

#[test]
fn failures_of_an_account_outlive_everything_but_success() {
    let limits = LimitsConfig {
        account: Vec::new(),
        number: Vec::new(),
        pauses: Vec::new(),
        failures: 10,
        ..LimitsConfig::default()
    };
    let mut settings = rich();
    settings.limits = limits;
    settings.guard.judge_from = 0;
    let mut world = World::new(settings, "2026-11-24T01:00:00Z");
    let from = |to, client| Asked { account: Some("user-42"), client, ..asked(to) };
    let numbers: Vec<String> = (0..11).map(|n| format!("+8190{n:02}345678")).collect();
    for number in &numbers[..10] {
        world.call(&from(number, "web"), Callee::Away).unwrap();
        world.pass(Duration::from_secs(3_600));
    }
    world.pass(Duration::from_secs(30 * 86_400));
    let refused = world.call(&from(&numbers[10], "another-key"), Callee::Presses(20)).unwrap_err();
    assert_eq!((refused.limit, refused.retry_after), (LimitName::Failures, None));
}

#[test]
fn a_step_is_bounded() {
    let world = World::new(rich(), "2026-11-24T16:00:00Z");
    let to = "+819012345678".parse().unwrap();
    let hash = super::hash("x");
    let facts = super::Facts {
        to: &to,
        number: hash,
        neighbours: hash,
        account: Some(hash),
        source: Some(hash),
        client: "web",
        country: "JP".parse().unwrap(),
        call_limit: Duration::from_secs(90),
        free: false,
    };
    let plan = Guard::plan(&world.guard, &facts, Dial::First, world.now).unwrap();
    let take = plan.take();
    assert!(take.bars.len() + take.runs.len() + take.meters.len() <= Take::MOST);
}
