//! What must not be seen is not seen: not in logs, not in what is said of values.

use std::{process::Command, time::Duration};

use ringproof::gateway::{AlternateRequest, CallsQuery, CreateRequest};

use super::world::{World, client, request};

/// Set in the process that only makes the logs.
const MAKES_LOGS: &str = "RINGPROOF_TEST_MAKES_LOGS";

const NAME: &str = "gateway::secrets::no_number_no_key_no_secret_in_the_logs";

/// Calls that go well and calls that do not, with everything logged that is ever logged. In a process of its own: the
/// levels of a log belong to the whole process, and other tests run in this one.
#[test]
fn no_number_no_key_no_secret_in_the_logs() {
    if std::env::var_os(MAKES_LOGS).is_some() {
        // The library that reads numbers logs them; the product never listens to it.
        let filter = tracing_subscriber::EnvFilter::new("trace,rlibphonenumber=off");
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).init();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(make_logs());
    }
    let made = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(MAKES_LOGS, "1")
        .output()
        .unwrap();
    let log = String::from_utf8([made.stdout, made.stderr].concat()).unwrap();
    assert!(made.status.success(), "{log}");
    let (told, secret): (Vec<&str>, Vec<&str>) = log.lines().partition(|line| !line.contains("canaries: "));
    let log = told.join("\n");
    for word in [
        "verification created",
        "the carrier took the call",
        "webhook refused",
        "verification decided",
        "the call log is searched for a number client=operators number.masked=+81 •• •••• 5678 number.hash=",
        "result not delivered",
    ] {
        assert!(log.contains(word), "`{word}` is not in the log:\n{log}");
    }
    let canaries: Vec<&str> =
        secret.iter().flat_map(|line| line.rsplit("canaries: ").next().unwrap().split(' ')).collect();
    assert_eq!(canaries.len(), 11);
    for canary in canaries {
        assert!(!log.contains(canary), "`{canary}` in the log:\n{log}");
    }
}

async fn make_logs() {
    let world = World::new().await;
    let asked = CreateRequest {
        extension: Some(String::from("7391846#")),
        purpose_text: Some(String::from("canary purpose")),
        reference: Some(String::from("canary reference")),
        metadata: [(String::from("canary name"), String::from("canary value"))].into(),
        callback_url: Some(String::from("http://127.0.0.1:1/canary-path?token=canary-token")),
        alternates: vec![AlternateRequest { to: String::from("03-9876-5432"), ..AlternateRequest::default() }],
        ..request()
    };
    println!("{asked:?}");
    let created = world.gateway.create(&client(), asked, Some("canary-key"), b"canary body").await.unwrap();
    let order = world.order(0).await;
    let open = world.answer(&order).await;
    println!("{order:?} {:?}", world.value(created.document.id).await.request.targets);
    let _ = world.keys(&order, open, "90817263").await;
    let endpoint = ringproof::provider::Endpoint::Flow;
    let _ = world.post_signed("main", "canary token", endpoint, "canary/", Some("canary")).await;
    let _ = world.create(CreateRequest { to: String::from("+1 canary 8675309"), ..request() }).await;
    let number = Some(String::from("090-1234-5678"));
    let query = CallsQuery { asked_by: String::from("operators"), number, ..CallsQuery::default() };
    let query = CallsQuery { country: Some(String::from("JP")), ..query };
    world.gateway.calls(&query).await.unwrap();
    println!("{query:?} {:?}", world.gateway.search(&query).unwrap());
    world.gateway.cancel(&client(), created.document.id).await.unwrap();
    assert!(world.gateway.stop(Duration::from_secs(10)).await);
    println!(
        "canaries: canary 9012345678 1234-5678 12345678 98765432 9876-5432 7391846 90817263 8675309 \
         MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw {}",
        order.token.to_path()
    );
}
