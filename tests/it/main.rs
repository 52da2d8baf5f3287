//! The integration tests: one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_in_result,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on says so by failing"
)]

mod api;
mod browser;
mod callflows;
mod commands;
mod deploy;
mod fuzz;
mod gateway;
mod monitoring;
mod providers;
mod signin;
mod simulation;
mod sip;
mod stores;
mod tidy;
mod whole;
mod world;
