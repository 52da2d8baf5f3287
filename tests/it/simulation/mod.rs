//! Ten thousand small worlds: the core, a store that compares and swaps, a carrier that repeats, reorders, delays and
//! loses its messages, processes that die between any two steps, and a callee with a will. Every world is made from a
//! seed and checked against what really happened on the telephone; a failure prints its seed.

mod checks;
mod phone;
mod plan;
mod rng;
mod world;

use plan::{Plan, Plant};
use world::World;

const WORLDS: u64 = 10_000;

/// Seeds that once showed a fault.
const REMEMBERED: &[u64] = &[];

fn run(seed: u64, plan: Plan, plant: Plant) -> Result<World, String> {
    let mut world = World::new(seed, plan, plant);
    world.run();
    checks::check(&world).map(|()| world)
}

#[test]
fn ten_thousand_worlds_keep_the_promises() {
    let mut tally = std::collections::BTreeMap::<String, u32>::new();
    for seed in REMEMBERED.iter().copied().chain(0..WORLDS) {
        match run(seed, Plan::random(seed), Plant::Nothing) {
            Ok(world) => *tally.entry(world.ending()).or_default() += 1,
            Err(fault) => panic!("seed {seed}: {fault}"),
        }
    }
    // The worlds must reach every kind of end, or they prove little.
    for wanted in [
        "verified",
        "denied fraud_reported",
        "denied callee_denied",
        "canceled by_client",
        "expired not_answered_in_time",
        "expired not_confirmed_in_time",
        "failed no_answer",
        "failed busy",
        "failed rejected",
        "failed unreachable",
        "failed voicemail",
        "failed no_input",
        "failed wrong_input",
        "failed wrong_code",
        "failed no_terminator",
        "failed hung_up_before_prompt",
        "failed hung_up_after_prompt",
        "failed carrier_error",
    ] {
        assert!(tally.contains_key(wanted), "no world ended `{wanted}`: {tally:#?}");
    }
}

/// A callee who does the one thing, a carrier and a store without faults: the outcome is known beforehand.
#[test]
fn a_quiet_world_ends_as_the_callee_wants() {
    for (will, ending) in phone::Will::CERTAIN {
        for seed in 0..40 {
            let mut world = World::new(seed, Plan::quiet(*will), Plant::Nothing);
            world.run();
            checks::check(&world).unwrap_or_else(|fault| panic!("{will:?}, seed {seed}: {fault}"));
            assert_eq!(world.ending(), *ending, "{will:?}, seed {seed}");
        }
    }
}

/// The checks are worth something only if they notice a broken gateway.
#[test]
fn planted_faults_are_caught() {
    for plant in Plant::FAULTS {
        // Short lives and a late sweeper: much happens around the end.
        let plan = |seed| Plan { expires_in: 60_000, sweep: 9_000, ..Plan::random(seed) };
        let caught = (0..4_000).find_map(|seed| run(seed, plan(seed), *plant).err().map(|fault| (seed, fault)));
        let (_, fault) = caught.unwrap_or_else(|| panic!("{plant:?} was not noticed in 4,000 worlds"));
        assert!(fault.contains(plant.caught_as()), "{plant:?} was noticed as something else: {fault}");
    }
}
