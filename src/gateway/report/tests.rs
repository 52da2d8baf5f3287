//! What counts as delivered, when it is tried again, and where a result never goes.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::future::BoxFuture;
use http::HeaderValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    id::{EffectId, Partition, VerificationId},
    store::EffectKind,
};

const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

fn effect() -> EffectId {
    EffectId { verification: VerificationId::new(NOW, [7; 16], Partition::of(1)), revision: 3, index: 0 }
}

fn secret() -> SigningSecret {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()
}

fn entry(url: &str) -> Vec<u8> {
    minicbor::to_vec(Payload { url: url.to_owned(), body: b"{}".to_vec(), trace: None }).unwrap()
}

fn outgoing(payload: Vec<u8>) -> Outgoing {
    Outgoing { id: effect(), kind: EffectKind::Report, call: 0, payload, attempts: 0, since: Timestamp::default() }
}

/// What was kept before traces were: the same bytes.
#[derive(Encode, Decode)]
struct BareEntry {
    #[n(0)]
    url: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    body: Vec<u8>,
}

#[test]
fn an_entry_without_a_trace_is_as_it_ever_was() {
    let before = BareEntry { url: String::from("https://backend.example.com/"), body: b"{}".to_vec() };
    assert_eq!(minicbor::to_vec(before).unwrap(), entry("https://backend.example.com/"));
    let trace = Trace::read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", ["a=b"]);
    let now = Payload { url: String::from("https://backend.example.com/"), body: b"{}".to_vec(), trace };
    let bytes = minicbor::to_vec(&now).unwrap();
    let read: BareEntry = minicbor::decode(&bytes).unwrap();
    assert_eq!((read.url, read.body), (now.url, now.body), "an older ringproof reads it as well");
    assert_eq!(minicbor::decode::<Payload>(&bytes).unwrap().trace, now.trace);
}

#[test]
fn only_2xx_is_delivered() {
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("120"));
    for status in 100..600 {
        let judged = judge(StatusCode::from_u16(status).unwrap(), &headers, NOW);
        match status {
            200..300 => assert_eq!(judged, Attempt::Delivered, "{status}"),
            410 => assert!(matches!(judged, Attempt::GivenUp { .. }), "{status}"),
            _ => {
                let why = format!("the backend answered {status}");
                assert_eq!(judged, Attempt::Failed { why, retry_after: Some(Duration::from_secs(120)) });
            }
        }
    }
}

#[test]
fn retry_after_in_both_forms() {
    let read = |text: &'static str| {
        retry_after(&[(header::RETRY_AFTER, HeaderValue::from_static(text))].into_iter().collect(), NOW)
    };
    assert_eq!(read("0"), Some(Duration::ZERO));
    assert_eq!(read(" 90 "), Some(Duration::from_secs(90)));
    assert_eq!(read("Wed, 18 Nov 2026 11:07:40 GMT"), Some(Duration::from_secs(60)));
    assert_eq!(read("Wed, 18 Nov 2020 11:07:40 GMT"), Some(Duration::ZERO), "past");
    for bad in ["", "soon", "-5", "1.5", "99999999999999999999999"] {
        assert_eq!(read(bad), None, "{bad}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
}

#[test]
fn waits_grow_and_are_spread() {
    let secs = |attempts, jitter| next_attempt(attempts, None, jitter).unwrap().as_secs_f64();
    assert!((secs(0, 0) - 4.0).abs() < 0.01 && (secs(0, 255) - 6.0).abs() < 0.01);
    for attempts in 0..8 {
        assert!(secs(attempts, 255) < secs(attempts + 1, 0) * 1.6, "{attempts}");
    }
    assert_eq!(next_attempt(9, None, 0), None, "ten attempts, no more");
    assert_eq!(next_attempt(u32::MAX, None, 0), None);
    assert_eq!(next_attempt(0, Some(Duration::from_secs(600)), 128), Some(Duration::from_secs(600)));
    assert_eq!(next_attempt(0, Some(Duration::from_secs(u64::MAX)), 128), Some(LONGEST_RETRY_AFTER));
}

/// A name server that sends everybody to one address.
struct SendsTo(IpAddr);

impl LookUp for SendsTo {
    fn addresses(&self, _name: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let address = self.0;
        Box::pin(async move { Ok(vec![address]) })
    }
}

/// A server that counts connections and answers each of them with the same bytes.
async fn server(answer: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio_util::task::TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, connections)
}

fn reaching(reach: Reach, address: &str) -> Reporter {
    let look_up = Arc::new(SendsTo(address.parse().unwrap()));
    Reporter::with_look_up(vec![secret()], reach, look_up).unwrap()
}

/// A name that leads to this machine is refused when it is looked up, not only when it is written as an address.
#[tokio::test]
async fn a_name_that_leads_here_is_not_called() {
    let (port, connections) = server(String::from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let public = reaching(Reach::Public, "127.0.0.1");
    let named = public.attempt(&outgoing(entry(&format!("https://backend.example.com:{port}/"))), NOW).await.0;
    assert_eq!(named, failed("the backend could not be reached"));
    let literal = public.attempt(&outgoing(entry(&format!("https://127.0.0.1:{port}/"))), NOW).await.0;
    assert!(matches!(literal, Attempt::GivenUp { .. }), "{literal:?}");
    let plain = public.attempt(&outgoing(entry(&format!("http://backend.example.com:{port}/"))), NOW).await.0;
    assert!(matches!(plain, Attempt::GivenUp { .. }), "{plain:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    let private = reaching(Reach::Private, "127.0.0.1");
    let allowed = private.attempt(&outgoing(entry(&format!("http://backend.example.com:{port}/"))), NOW).await.0;
    assert_eq!(allowed, Attempt::Delivered);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_long_answer_not_read() {
    let (other, reached) = server(String::from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let redirect =
        format!("HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:{other}/\r\ncontent-length: 0\r\n\r\n");
    let (port, _) = server(redirect).await;
    let private = reaching(Reach::Private, "127.0.0.1");
    let url = |port| format!("http://127.0.0.1:{port}/");
    let attempt = private.attempt(&outgoing(entry(&url(port))), NOW).await.0;
    assert_eq!(attempt, failed("the backend answered 307"));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    // More is announced than ever comes: whoever read to the end would wait for it.
    let endless =
        format!("HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n{}", "a".repeat(MOST_ANSWER_BYTES + 1024));
    let (port, _) = server(endless).await;
    assert_eq!(private.attempt(&outgoing(entry(&url(port))), NOW).await.0, Attempt::Delivered);
}

#[tokio::test]
async fn without_a_secret_nothing_is_posted() {
    let silent = Reporter::new(Vec::new(), Reach::Private).unwrap();
    assert!(silent.check_url("https://backend.example.com/").is_err());
    let attempt = silent.attempt(&outgoing(entry("http://127.0.0.1:1/")), NOW).await.0;
    assert_eq!(attempt, failed("no signing secret is configured"));
    assert!(matches!(silent.attempt(&outgoing(b"\xff".to_vec()), NOW).await.0, Attempt::GivenUp { .. }));
}
