//! What one verification costs: whole ones, from the request over the call to the outcome that is read, against Redis and
//! a carrier in another process, beside a floor that is measured in the same run.
//!
//! `make bench` runs it in full with the release profile; under `cargo test` it runs small, and fails when one
//! verification is lost or what is counted (which no machine's noise touches) is far above its goal.
//!
//! The floor (`bare`) is a server that does only what cannot be left out: see `bare.rs`. Both servers run on the same
//! core in turn; the carrier, the driver and Redis share the other. With `--noise` the floor takes both places.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark reads clocks, starts processes, prints, and ends when something is wrong"
)]

mod bare;
mod carrier;
mod driver;
mod machine;
mod rounds;
mod store;
mod table;
mod wire;

use rounds::Scale;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match words.as_slice() {
        ["carrier"] => runtime.block_on(carrier::run()),
        ["bare", redis, carrier, api_key] => runtime.block_on(bare::run(redis, carrier, api_key)),
        // `cargo bench` says so; `cargo test` does not.
        words if words.contains(&"--bench") => {
            let rounds = words.iter().find_map(|word| word.strip_prefix("--rounds=")?.parse().ok());
            let noise = words.contains(&"--noise");
            let scale = Scale { rounds: rounds.unwrap_or(Scale::FULL.rounds), noise, ..Scale::FULL };
            finish(&runtime.block_on(rounds::run(&scale)));
        }
        words => {
            let scale = Scale { noise: words.contains(&"--noise"), ..Scale::SMALL };
            let results = runtime.block_on(rounds::run(&scale));
            finish(&results);
            table::fail_if_counts_run_away(&results);
        }
    }
}

fn finish(results: &rounds::Results) {
    print!("{}", table::render(results));
    table::fail_if_lost(results);
}
