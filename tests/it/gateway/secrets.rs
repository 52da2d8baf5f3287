//! What must not be seen is not seen: not in logs, not in what is said of values.

use std::{
    io,
    sync::{Arc, Mutex},
};

use ringproof::gateway::{AlternateRequest, CreateRequest};
use tracing_subscriber::fmt::MakeWriter;

use super::world::{World, client, request};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Calls that go well and calls that do not, with everything logged that is ever logged.
#[tokio::test]
async fn no_number_no_key_no_secret_in_the_logs() {
    let sink = Sink::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(sink.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
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
    let shown = format!("{asked:?}");
    let created = world.gateway.create(&client(), asked, Some("canary-key"), b"canary body").await.unwrap();
    let order = world.order(0).await;
    let open = world.answer(&order).await;
    let _ = world.keys(&order, open, "90817263").await;
    let _ =
        world.post_signed("main", "canary token", ringproof::provider::Endpoint::Flow, "canary/", Some("canary")).await;
    let _ = world.create(CreateRequest { to: String::from("+1 canary 8675309"), ..request() }).await;
    world.gateway.cancel(&client(), created.document.id).await.unwrap();
    super::world::until("the result is put off", || async {
        let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        log.contains("result not delivered").then_some(())
    })
    .await;
    let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("verification created") && log.contains("verification decided"), "{log}");
    let canaries = [
        "canary",
        "9012345678",
        "1234-5678",
        "12345678",
        "98765432",
        "7391846",
        "90817263",
        "8675309",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        &order.token.to_path(),
    ];
    for canary in canaries {
        assert!(!log.contains(canary), "`{canary}` in the log:\n{log}");
        assert!(!shown.contains(canary), "`{canary}` in {shown}");
    }
}
