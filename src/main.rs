//! The program: everything is in the library.

use std::process::ExitCode;

/// What is freed goes back to the machine within moments, and what threads hand to each other costs no lock.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ringproof::commands::run()
}
