//! `ringproof call` against a running service, as an operator types it.

use std::process::{Command, Output};

use super::{Whole, number};
use crate::world::{
    carrier::{Callee, Line},
    server::KEY,
};

async fn call(whole: &Whole, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringproof"));
    command.arg("call").args(args).env("RINGPROOF_URL", whole.server.url("")).env("RINGPROOF_API_KEY", KEY);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_the_terminal() {
    let whole = Whole::start(20.0, "early_keys = \"0s\"\nclosing = \"1s\"", "").await;
    let to = String::from("+819012345678");
    whole.carrier.callee(&to, Callee::presses(["#"]));
    let verified = call(&whole, &["090-1234-5678", "--country", "JP", "--wait"]).await;
    let shown = format!("{}{}", String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
    assert_eq!(verified.status.code(), Some(0), "{shown}");
    assert!(shown.starts_with("Verified") && !shown.contains("\u{1b}["), "{shown}");
    whole.carrier.callee(&number(2), Callee::line(Line::Busy));
    let busy = call(&whole, &[&number(2), "--wait"]).await;
    assert_ne!(busy.status.code(), Some(0));
    let unknown = call(&whole, &["110", "--country", "JP", "--wait"]).await;
    assert_ne!(unknown.status.code(), Some(0));
    assert_ne!(unknown.status.code(), busy.status.code(), "a refusal is not a failed call");
    assert_eq!(whole.carrier.create_requests().len(), 2, "nobody dials 110");
    whole.carrier.all_over().await;
    whole.check(&[&to, &number(2)], &[]).await;
}
