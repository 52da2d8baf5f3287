//! What the call log costs with many records: filling it through the stores' own code, the first page of every filter over
//! HTTP from a whole server, exports of all of it, and the space that a record takes.
//!
//! `make bench-calls` runs it with a million records and the release profile; under `cargo test` it runs small. Each first
//! page is compared with a plain list in memory: a page that is wrong fails the run at any size.
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

mod facts;
mod fill;
mod filters;
#[allow(dead_code, reason = "shared with the other benchmarks")]
#[path = "../verifications/machine.rs"]
mod machine;
mod server;
mod table;

use std::path::PathBuf;

use table::Results;

/// How much is done.
pub(crate) struct Scale {
    pub(crate) records: usize,
    /// How often each first page is asked for.
    pub(crate) asks: usize,
    /// The server program.
    pub(crate) program: PathBuf,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name).map(str::to_owned));
    let full = words.iter().any(|word| word == "--bench");
    let scale = Scale {
        records: value("--records=").map_or(if full { 1_000_000 } else { 2_500 }, |text| text.parse().unwrap()),
        asks: value("--asks=").map_or(if full { 60 } else { 2 }, |text| text.parse().unwrap()),
        program: value("--program=").unwrap_or_else(|| env!("CARGO_BIN_EXE_ringproof").to_owned()).into(),
    };
    let stores = value("--store=");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for store in [fill::Kind::Redis, fill::Kind::Embedded] {
        if stores.as_deref().is_none_or(|asked| asked == store.name()) {
            let results: Results = runtime.block_on(server::run(&scale, store));
            print!("{}", table::render(&scale, &results));
            table::fail_if_wrong(&results);
        }
    }
}
