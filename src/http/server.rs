//! Owns the accept loop: how many connections there are, how slow they may be, how they end at the stop. It does not
//! read requests; [`Edge`] does.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, header},
    response::IntoResponse,
};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    edge::{Edge, two_lengths},
    wire::{Heads, Wire},
};

/// Most headers of a request.
const MAX_HEADERS: usize = 64;

/// Largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long to wait when no connection can be taken, as when all file descriptors are used.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be, and how slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most connections at once; more wait in the system's queue.
    pub connections: usize,
    /// How long a connection may stay open without a request. Longer than the minute after which the usual proxies give a
    /// connection up: the side that closes first must not be ours, or a request gets lost between the two.
    pub keep_alive: Duration,
    /// How long the head of a request may take to arrive, from its first byte; for the first request of a connection, from
    /// the connection on.
    pub head: Duration,
    /// How long a client may leave an answer untaken.
    pub write: Duration,
    /// How long requests that are being worked on may take after the stop.
    pub drain: Duration,
}

impl Limits {
    /// The usual times, and so many connections.
    #[must_use]
    pub const fn new(connections: usize) -> Self {
        Self {
            connections,
            keep_alive: Duration::from_secs(75),
            head: Duration::from_secs(10),
            write: Duration::from_secs(30),
            drain: Duration::from_secs(25),
        }
    }
}

/// The other end of the connection that a request came over: an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Takes connections until `stop`, then ends in order: idle connections at once, requests that are being worked on
/// within [`Limits::drain`]. Returns how many connections were cut off because they took longer.
pub async fn serve(listener: TcpListener, edge: Arc<Edge>, limits: Limits, stop: CancellationToken) -> usize {
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    while let Some((stream, peer, place)) = next(&listener, &places, &stop).await {
        connections.spawn(connection(stream, peer, Arc::clone(&edge), limits, stop.clone(), cut.clone(), place));
    }
    drop(listener);
    connections.close();
    if timeout(limits.drain, connections.wait()).await.is_ok() {
        return 0;
    }
    let left = connections.len();
    tracing::warn!(connections = left, "requests were still running at the end of the stop and are cut off");
    cut.cancel();
    connections.wait().await;
    left
}

/// The next connection; `None` at the stop.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let accepted = async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, Peer(peer), place)),
                // Of one connection that was given up before it was taken.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(error = %error, "no connection can be taken");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        accepted = accepted => accepted,
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Serves one connection until it ends.
async fn connection(
    stream: TcpStream,
    peer: Peer,
    edge: Arc<Edge>,
    limits: Limits,
    stop: CancellationToken,
    cut: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    // Without it the end of an answer waits for the client's acknowledgement of its beginning.
    let _refused = stream.set_nodelay(true);
    let heads = Heads::new(limits.head);
    let wire = Wire::new(stream, heads.clone(), limits.write);
    let service = service_fn(move |request| answer(Arc::clone(&edge), peer, heads.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.keep_alive)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(wire), service);
    let mut connection = std::pin::pin!(connection);
    // An error here is the client's: a connection that broke off, was too slow, or spoke something else.
    tokio::select! {
        _ended = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ended = connection => {}
        () = cut.cancelled() => {}
    }
}

async fn answer(
    edge: Arc<Edge>,
    peer: Peer,
    heads: Heads,
    request: Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let plain = heads.request_began(chunked);
    if !plain {
        return Ok(two_lengths().into_response());
    }
    let mut request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
    request.extensions_mut().insert(peer);
    let response = edge.handle(request).await;
    heads.request_ended();
    Ok(response)
}

/// Opens a listener.
///
/// # Errors
/// The address cannot be used, as when another process has it.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
