//! Owns a day of honest traffic: made from a seed, with peaks of enrolment, offices that share a number, people who do
//! not answer and ask again. With the default limits fewer than one in a thousand is refused.

use std::{collections::BTreeMap, time::Duration};

use super::{super::settings::Settings, Asked, Callee, World};

/// A small generator (`SplitMix64`, public domain): the day is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// One who wants to be verified: when (seconds of the day), account, number.
struct Person {
    account: String,
    number: String,
    /// Times without an answer before it comes to something.
    misses: u64,
}

/// The day, in Tokyo: 6,000 people sign in with their mobile telephones, most between 8 and 19 h, some at night; 600
/// new ones enrol at 9 h within half an hour; 20 offices have one number each that 12 people share; a tenth of all do
/// not answer the first time, a hundredth not the second either, and ask again after 40 to 100 seconds.
fn day(dice: &mut Dice) -> BTreeMap<(u64, u64), Person> {
    let mut asked = BTreeMap::new();
    let mobile = |dice: &mut Dice| {
        format!("+81{}0{:08}", [7, 8, 9][dice.below(3) as usize], 10_000_000 + dice.below(89_999_999))
    };
    let misses = |dice: &mut Dice| match dice.below(100) {
        0 => 2,
        1..=9 => 1,
        _ => 0,
    };
    for n in 0..6_000 {
        let hour = if dice.below(30) == 0 { dice.below(24) } else { 8 + dice.below(11) };
        let person = Person { account: format!("signs-in-{n}"), number: mobile(dice), misses: misses(dice) };
        asked.insert((hour * 3_600 + dice.below(3_600), n), person);
    }
    for n in 6_000..6_600 {
        let person = Person { account: format!("enrols-{n}"), number: mobile(dice), misses: misses(dice) };
        asked.insert((9 * 3_600 + dice.below(1_800), n), person);
    }
    for office in 0..20_u64 {
        let number = format!("+813{:08}", 32_000_000 + office * 7_919);
        for colleague in 0..12 {
            let person = Person {
                account: format!("office-{office}-{colleague}"),
                number: number.clone(),
                misses: misses(dice),
            };
            asked.insert((9 * 3_600 + colleague * 1_500 + dice.below(1_000), 7_000 + office * 12 + colleague), person);
        }
    }
    asked
}

#[test]
fn a_day_of_honest_traffic_is_refused_less_than_once_in_a_thousand() {
    let mut dice = Dice(20_261_124);
    // Midnight in Tokyo.
    let mut world = World::new(Settings::default(), "2026-11-24T15:00:00Z");
    let begin = world.now;
    let mut waiting = day(&mut dice);
    let (mut asked, mut refused) = (0_u64, BTreeMap::<&str, u64>::new());
    while let Some(((second, n), person)) = waiting.pop_first() {
        let at = begin.plus(Duration::from_secs(second));
        world.pass(at.since(world.now));
        let callee = if person.misses > 0 { Callee::Away } else { Callee::Presses(12 + dice.below(25)) };
        asked += 1;
        let request = Asked { to: &person.number, account: Some(&person.account), source: None, client: "web" };
        match world.call(&request, callee) {
            Ok(()) if person.misses > 0 => {
                let again = second + 40 + dice.below(60);
                waiting.insert((again, n), Person { misses: person.misses - 1, ..person });
            }
            Ok(()) => {}
            Err(why) => *refused.entry(why.limit.as_str()).or_default() += 1,
        }
    }
    let total: u64 = refused.values().sum();
    println!("a day of honest traffic: {asked} asked, {total} refused ({refused:?}), {} spent", world.spent());
    assert!(asked > 7_000 && total * 1_000 < asked, "{total} of {asked}: {refused:?}");
}
