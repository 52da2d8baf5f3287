//! The accept loop and what is in front of the router, over real connections on loopback, before a router that does
//! little: slow, large, broken and ambiguous requests, panics, overload, the stop.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    routing::{get, post},
};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    cors::Cors,
    edge::{Bounds, Edge},
    server::{Limits, serve},
};

/// Long enough for everything here on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Signs {
    release: Arc<Notify>,
    entered: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
}

impl Signs {
    async fn entered(&self, wanted: usize) {
        until(|| self.entered.load(Ordering::SeqCst) >= wanted).await;
    }
}

/// Counts when the handler that holds it ends, whichever way.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it did not come to that");
}

fn edge(signs: &Signs, bounds: Bounds) -> Edge {
    let held = signs.clone();
    let hold = move || {
        let signs = held.clone();
        async move {
            let _leaving = Leaving(Arc::clone(&signs.left));
            signs.entered.fetch_add(1, Ordering::SeqCst);
            signs.release.notified().await;
            "released"
        }
    };
    let echo = |request: Request| async move {
        super::body::read(request.into_body(), 100).await.map(|bytes| format!("read {}", bytes.len()))
    };
    let router = Router::new()
        .route("/v1/quick", get(async || "quick"))
        .route("/v1/echo", post(echo))
        .route("/v1/hold", get(hold))
        .route("/v1/things/{id}", get(async || "thing"))
        .route("/v1/panic", get(async || -> &'static str { panic!("+819012345678") }))
        .route("/v1/endless", get(async || "x".repeat(64 * 1024 * 1024)))
        .route("/webhooks/{carrier}/{token}/status", post(async || "heard"))
        .route("/healthz", get(async || "alive"))
        .fallback(async || super::problem::not_found());
    let templates = [
        "/webhooks/{carrier}/{token}/status",
        "/v1/quick",
        "/v1/echo",
        "/v1/hold",
        "/v1/things/{id}",
        "/v1/panic",
        "/v1/endless",
        "/healthz",
    ];
    Edge::new(router, templates, Cors::default(), bounds, 7).unwrap()
}

struct Server {
    address: SocketAddr,
    signs: Signs,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<usize>,
}

impl Server {
    async fn start(limits: Limits, bounds: Bounds) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, signs, stop) = (listener.local_addr().unwrap(), Signs::default(), CancellationToken::new());
        let edge = Arc::new(edge(&signs, bounds));
        #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
        let ended = tokio::spawn(serve(listener, edge, limits, stop.clone()));
        Self { address, signs, stop, ended }
    }

    async fn usual() -> Self {
        Self::start(Limits::new(64), Bounds::new(64)).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that comes back for `sent` until the server closes the connection.
    async fn all(&self, sent: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    match timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the connection stays open") {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&received).into_owned()
}

/// One answer with a body of known length.
async fn answer(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let read = async {
        loop {
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "closed too early");
            let text = String::from_utf8_lossy(&received).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
                if body.len() >= length.parse().unwrap() {
                    return text;
                }
            }
        }
    };
    timeout(PATIENCE, read).await.expect("no answer")
}

const QUICK: &str = "GET /v1/quick HTTP/1.1\r\nHost: a\r\n\r\n";
const QUICK_AND_CLOSE: &str = "GET /v1/quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let server = Server::usual().await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(QUICK.as_bytes()).await.unwrap();
        let text = answer(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("quick"), "{text}");
        for header in ["x-content-type-options: nosniff", "cache-control: no-store", "x-request-id: 0000000000000007"] {
            assert!(text.contains(header), "{text}");
        }
    }
}

#[tokio::test]
async fn slow_heads_and_silent_connections_are_ended() {
    let limits = Limits { head: Duration::from_millis(150), ..Limits::new(64) };
    let server = Server::start(limits, Bounds::new(64)).await;
    assert_eq!(server.all("").await, "", "nothing was ever sent");
    assert_eq!(server.all("GET /v1/quick HTTP/1.1\r\nHost:").await, "", "the head never ended");

    let mut dripping = server.connect().await;
    dripping.write_all(QUICK.as_bytes()).await.unwrap();
    answer(&mut dripping).await;
    let drip = async {
        for byte in QUICK.bytes().cycle() {
            if dripping.write_all(&[byte]).await.is_err()
                || !matches!(dripping.try_read(&mut [0; 64]), Err(ref error) if error.kind() == io::ErrorKind::WouldBlock)
            {
                return;
            }
            let _slower = timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
        }
    };
    timeout(PATIENCE, drip).await.expect("a byte now and then keeps the connection open");
}

#[tokio::test]
async fn a_connection_may_rest_longer_than_a_head_may_take() {
    let limits = Limits { head: Duration::from_millis(50), keep_alive: Duration::from_millis(600), ..Limits::new(64) };
    let server = Server::start(limits, Bounds::new(64)).await;
    let mut stream = server.connect().await;
    stream.write_all(QUICK.as_bytes()).await.unwrap();
    answer(&mut stream).await;
    assert!(timeout(Duration::from_millis(200), stream.read_u8()).await.is_err(), "it is still open");
    stream.write_all(QUICK.as_bytes()).await.unwrap();
    answer(&mut stream).await;
    assert_eq!(rest(&mut stream).await, "", "in the end it is closed");
}

#[tokio::test]
async fn a_slow_body_is_refused() {
    let server = Server::usual().await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345").await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("\"code\":\"body_timeout\""), "{text}");
}

#[tokio::test]
async fn who_does_not_take_an_answer_is_cut_off() {
    let limits = Limits { write: Duration::from_millis(150), ..Limits::new(1) };
    let server = Server::start(limits, Bounds::new(64)).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /v1/endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    // There is one place only: the next is served when the first is gone.
    assert!(server.all(QUICK_AND_CLOSE).await.ends_with("quick"));
}

#[tokio::test]
async fn a_length_that_reads_in_two_ways_is_refused() {
    let server = Server::usual().await;
    let smuggled = "GET /v1/things/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = smuggled.len() + 5;
    for head in [
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        format!("content-length: {length}\r\nTRANSFER-ENCODING: chunked"),
        String::from("Content-Length: 0\r\nTransfer-Encoding: chunked"),
    ] {
        let sent = format!("POST /v1/echo HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n0\r\n\r\n{smuggled}");
        let text = server.all(&sent).await;
        assert!(text.starts_with("HTTP/1.1 400"), "{head}: {text}");
        assert!(!text.contains("thing"), "{head}: {text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{head}: {text}");
        let after_another = server.all(&format!("{QUICK}{sent}")).await;
        assert!(after_another.contains("HTTP/1.1 400") && !after_another.contains("thing"), "{after_another}");
    }
    let two_lengths = "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n12345";
    assert!(server.all(two_lengths).await.starts_with("HTTP/1.1 400"));
    for odd in ["xchunked", "chunked, identity", "gzip"] {
        let sent = format!("POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {odd}\r\n\r\n0\r\n\r\n{smuggled}");
        let text = server.all(&sent).await;
        assert!(text.starts_with("HTTP/1.1 400") && !text.contains("thing"), "{odd}: {text}");
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_read() {
    let server = Server::usual().await;
    let sent = "POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n";
    let text = server.all(sent).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("read 8"), "{text}");
    let large = format!(
        "POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n{}\r\n0\r\n\r\n",
        "x".repeat(0x65)
    );
    let text = answer_to(&server, &large).await;
    assert!(text.starts_with("HTTP/1.1 413") && text.contains("\"code\":\"too_large\""), "{text}");
}

async fn answer_to(server: &Server, sent: &str) -> String {
    let mut stream = server.connect().await;
    stream.write_all(sent.as_bytes()).await.unwrap();
    answer(&mut stream).await
}

#[tokio::test]
async fn heads_are_bounded_and_name_one_host() {
    let server = Server::usual().await;
    for (sent, status) in [
        (String::from("GET /v1/quick HTTP/1.1\r\n\r\n"), 400),
        (String::from("GET /v1/quick HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400),
        (String::from("GET /healthz HTTP/1.0\r\n\r\n"), 200),
        (format!("GET /v1/quick HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(64)), 431),
        (format!("GET /v1/quick HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "b".repeat(20_000)), 431),
        (format!("GET /v1/quick?{} HTTP/1.1\r\nHost: a\r\n\r\n", "b".repeat(5000)), 400),
        (String::from("BREW /v1/quick HTTP/1.1\r\nHost: a\r\n\r\n"), 405),
        (String::from("TRACE /v1/quick HTTP/1.1\r\nHost: a\r\n\r\n"), 405),
        (String::from("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"), 404),
        (String::from("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 404),
        (String::from("HEAD /v1/quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 200),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut start)).await.unwrap().unwrap();
        let start = String::from_utf8_lossy(&start).into_owned();
        assert!(start.ends_with(&status.to_string()), "{start} for {}", &sent[..sent.len().min(80)]);
    }
    let text = answer_to(&server, "POST /v1/quick HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert!(text.contains("allow: GET,HEAD\r\n") && text.contains("\"code\":\"method_not_allowed\""), "{text}");
}

#[tokio::test]
async fn a_panic_stays_in_its_request() {
    let server = Server::usual().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /v1/panic HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 500") && text.contains("\"code\":\"internal\""), "{text}");
    assert!(!text.contains("90123"), "{text}");
    stream.write_all(QUICK.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.ends_with("quick"), "the same connection goes on");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request() {
    let server = Server::usual().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /v1/hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.signs.entered(1).await;
    drop(stream);
    until(|| server.signs.left.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn more_than_is_worked_on_at_once_waits_and_beyond_that_is_refused() {
    let signs = Signs::default();
    let edge = edge(&signs, Bounds { queued: Duration::from_millis(100), ..Bounds::new(1) });
    let of = |path: &str| Request::get(path).header(header::HOST, "a").body(Body::empty()).unwrap();
    let (released, ()) = tokio::join!(edge.handle(of("/v1/hold")), async {
        signs.entered(1).await;
        let four = [(); 4].map(|()| edge.handle(of("/v1/quick")));
        let mut four = futures_util::future::join_all(four);
        let waited = async {
            tokio::select! {
                biased;
                _ = &mut four => panic!("there is no place before the first has gone"),
                () = tokio::task::yield_now() => {}
            }
            let fifth = edge.handle(of("/v1/quick")).await;
            assert_eq!(fifth.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(fifth.headers()[header::RETRY_AFTER], "1");
            assert_eq!(edge.handle(of("/healthz")).await.status(), StatusCode::OK, "looks from outside never wait");
            four.await
        };
        for answer in waited.await {
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "it waited too long");
        }
        signs.release.notify_one();
    });
    assert_eq!(released.status(), StatusCode::OK);
    assert_eq!(edge.handle(of("/v1/quick")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn slow_webhooks_do_not_keep_out_others() {
    let server = Server::start(Limits::new(64), Bounds::new(1)).await;
    let post = "POST /webhooks/main/x/status HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = server.connect().await;
        stream.write_all(format!("{post}abc").as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let text = answer_to(&server, &format!("{post}abcde")).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("heard"), "{text}");
    for stream in &mut slow {
        let text = answer(stream).await;
        assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let signs = Signs::default();
    let edge = edge(&signs, Bounds { request: Duration::from_millis(50), ..Bounds::new(1) });
    let request = Request::get("/v1/hold").header(header::HOST, "a").body(Body::empty()).unwrap();
    let response = edge.handle(request).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("\"code\":\"timeout\""));
    assert_eq!(signs.left.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_stop_lets_requests_end_and_no_others_begin() {
    let server = Server::usual().await;
    let mut idle = server.connect().await;
    idle.write_all(QUICK.as_bytes()).await.unwrap();
    answer(&mut idle).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /v1/hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.signs.entered(1).await;
    server.stop.cancel();
    assert_eq!(rest(&mut idle).await, "", "idle connections are closed at once");
    assert!(!server.ended.is_finished(), "it waits for the request that is being worked on");
    server.signs.release.notify_one();
    let text = rest(&mut busy).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("released"), "{text}");
    assert_eq!(timeout(PATIENCE, server.ended).await.unwrap().unwrap(), 0);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn the_stop_does_not_wait_for_ever() {
    let limits = Limits { drain: Duration::from_millis(100), ..Limits::new(64) };
    let server = Server::start(limits, Bounds::new(64)).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /v1/hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.signs.entered(1).await;
    server.stop.cancel();
    assert_eq!(timeout(PATIENCE, server.ended).await.unwrap().unwrap(), 1);
    assert_eq!(rest(&mut busy).await, "");
}

/// Where a test reads what was logged.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_routes_and_nothing_that_was_sent() {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let edge = edge(&Signs::default(), Bounds::new(4));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for path in ["/v1/things/CANARY?access_token=CANARY", "/CANARY", "/v1/panic?CANARY"] {
        let request = Request::get(path)
            .header(header::HOST, "CANARY")
            .header(header::AUTHORIZATION, "Bearer CANARY")
            .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
            .body(Body::from("CANARY"))
            .unwrap();
        edge.handle(request).await;
    }
    let logged = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    for expected in
        ["/v1/things/{id}", "\"http.status\":404", "\"http.status\":500", "duration_ms", trace, "request.id"]
    {
        assert!(logged.contains(expected), "{logged}");
    }
    // Fewer digits of the number may stand in a time.
    assert!(!logged.contains("CANARY") && !logged.contains("9012345"), "{logged}");
}
