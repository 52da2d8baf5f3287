//! What a call over a SIP trunk costs: whole verifications from the request to the key, called by ringproof at SIPp with
//! media both ways, beside a floor that is measured in the same run.
//!
//! `make bench-sip` runs it in full with the release profile; under `cargo test` it runs small, and fails when a call is
//! lost. `make bench-sip ARGS=--minutes=30` makes calls for so long instead, and looks at memory: see `long.rs`.
//!
//! The floor (`bare`) makes the same calls with as many RTP packets, and does nothing else: see `bare.rs`. Where Asterisk is
//! installed, it makes the same calls as well: see `asterisk.rs`. The callers run on one core in turn; SIPp, the ear that
//! hears and presses, Redis and the driver share the other.
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

mod asterisk;
mod bare;
mod callee;
mod callers;
mod ear;
mod long;
#[path = "../verifications/machine.rs"]
mod machine;
mod rounds;
#[allow(dead_code, reason = "shared with the other benchmark, which reads more of it")]
#[path = "../verifications/store.rs"]
mod store;
mod table;

use rounds::Scale;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ear"] => ear::run(),
        ["bare", callee] => bare::run(callee.parse().unwrap()),
        // `cargo bench` says so; `cargo test` does not.
        words => {
            let size = if words.contains(&"--bench") { Scale::FULL } else { Scale::SMALL };
            let rounds = words.iter().find_map(|word| word.strip_prefix("--rounds=")?.parse().ok());
            let scale = Scale { rounds: rounds.unwrap_or(size.rounds), noise: words.contains(&"--noise"), ..size };
            if let Some(minutes) = words.iter().find_map(|word| word.strip_prefix("--minutes=")?.parse().ok()) {
                return tokio::runtime::Runtime::new().unwrap().block_on(long::run(minutes));
            }
            let cores = machine::cores();
            move_away(cores);
            let results = tokio::runtime::Runtime::new().unwrap().block_on(rounds::run(&scale, cores));
            print!("{}", table::render(&results));
            table::fail_if_lost(&results);
        }
    }
}

/// The driver runs where everything runs that is not measured.
fn move_away(cores: usize) {
    if cores > 1 {
        let me = std::process::id().to_string();
        let moved = std::process::Command::new("taskset").args(["-a", "-c", "-p", "1", &me]).output().unwrap();
        assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    }
}
