//! Owns TCP and TLS connections: making them within a limit, reading them into messages, writing from a bounded queue,
//! and keeping them open with line ends (RFC 5626 section 3.5.1).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpSocket,
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::{super::trunk_uri::Host, Arrival, CONNECT_WITHIN, FlowError, Network, explain, tls};
use crate::sip::{
    FlowId, Transport,
    message::{Frame, Framer},
};

/// Most messages that wait to be written. A trunk that does not read them is as good as gone.
const MAX_WAITING: usize = 512;
/// How long one message may take to be written.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How long nothing is written before line ends are, so that what is between keeps the connection.
const IDLE: Duration = Duration::from_secs(25);
/// What is read at once, in bytes.
const READ_BYTES: usize = 8 * 1024;
/// Asks the other side whether it is there; it may answer with a line end.
const PING: Bytes = Bytes::from_static(b"\r\n\r\n");
/// The answer to that.
const PONG: Bytes = Bytes::from_static(b"\r\n");

/// What a connection is made of, whatever is below.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that nobody reads yet.
pub(super) struct Stream {
    pub(super) local: SocketAddr,
    duplex: Box<dyn Duplex>,
}

/// Connects, with TLS where it is given, within [`CONNECT_WITHIN`].
pub(super) async fn connect(
    own: IpAddr,
    to: SocketAddr,
    tls: Option<(&Arc<ClientConfig>, &Host)>,
) -> Result<Stream, FlowError> {
    let connecting = async {
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if !own.is_unspecified() {
            socket.bind(SocketAddr::new(own, 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok((stream.local_addr()?, stream))
    };
    let whole = async {
        let (local, stream) = connecting.await.map_err(|error: io::Error| FlowError(explain(&error)))?;
        let Some((config, host)) = tls else {
            return Ok(Stream { local, duplex: Box::new(stream) });
        };
        let told = |error: io::Error| FlowError(tls::explain(&error));
        let name = tls::server_name(host).map_err(told)?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(told)?;
        Ok(Stream { local, duplex: Box::new(stream) })
    };
    match timeout(CONNECT_WITHIN, whole).await {
        Ok(connected) => connected,
        Err(_) => {
            let seconds = CONNECT_WITHIN.as_secs();
            let what = if tls.is_some() { "connection with TLS" } else { "connection" };
            Err(FlowError(format!("no {what} within {seconds} s; may this machine reach it?")))
        }
    }
}

/// Where a connection belongs.
pub(super) struct Ends {
    pub(super) network: Network,
    pub(super) flow: FlowId,
    pub(super) transport: Transport,
    pub(super) connection: u64,
    pub(super) from: SocketAddr,
}

impl Stream {
    /// Reads and writes from now on, in tasks of their own. What is put into the queue is written.
    pub(super) fn run(self, ends: Ends) -> mpsc::Sender<Bytes> {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let (read, write) = tokio::io::split(self.duplex);
        let over = ends.network.0.stop.child_token();
        let tasks = ends.network.0.tasks.clone();
        let pongs = queue.clone();
        let writer_over = over.clone();
        tasks.spawn(async move {
            write_all(write, waiting, &writer_over).await;
            writer_over.cancel();
        });
        tasks.spawn(async move {
            let why = read_all(read, &ends, &pongs, &over).await;
            over.cancel();
            ends.network.broken(ends.flow, ends.connection, why);
        });
        queue
    }
}

async fn write_all(mut write: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Bytes>, over: &CancellationToken) {
    loop {
        let bytes = tokio::select! {
            // What is in the queue at the stop is still written.
            biased;
            bytes = waiting.recv() => match bytes {
                Some(bytes) => bytes,
                None => return,
            },
            () = over.cancelled() => break,
            () = tokio::time::sleep(IDLE) => PING,
        };
        let written = async {
            write.write_all(&bytes).await?;
            write.flush().await
        };
        if !timeout(WRITE_WITHIN, written).await.is_ok_and(|written| written.is_ok()) {
            return;
        }
    }
    // Says good-bye (TLS close_notify, FIN); the other side may be gone.
    let _gone = timeout(WRITE_WITHIN, write.shutdown()).await;
}

async fn read_all(
    mut read: impl AsyncRead + Unpin,
    ends: &Ends,
    pongs: &mpsc::Sender<Bytes>,
    over: &CancellationToken,
) -> FlowError {
    let mut framer = Framer::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = tokio::select! {
            () = over.cancelled() => return FlowError(String::from("it does not take what is sent")),
            count = read.read(&mut buffer) => count,
        };
        match count {
            Ok(0) => return FlowError(String::from("it closed the connection")),
            Ok(count) => framer.push(buffer.get(..count).unwrap_or_default()),
            Err(error) if ends.transport == Transport::Tls && error.get_ref().is_some() => {
                return FlowError(tls::explain(&error));
            }
            Err(error) => return FlowError(explain(&error)),
        }
        loop {
            match framer.poll() {
                Ok(Some(Frame::Message(bytes))) => {
                    let (flow, transport, from) = (ends.flow, ends.transport, ends.from);
                    let message = Arrival::Message { flow, transport, from, bytes: Bytes::from(bytes) };
                    // Waits for room: the other side is slowed down, and only it.
                    tokio::select! {
                        () = over.cancelled() => return FlowError(String::from("it does not take what is sent")),
                        sent = ends.network.0.arrivals.send(message) => if sent.is_err() {
                            return FlowError(String::from("the carrier is being stopped"));
                        },
                    }
                }
                // Without room there is plenty to be written already.
                Ok(Some(Frame::Ping)) => drop(pongs.try_send(PONG)),
                Ok(None) => break,
                Err(bad) => {
                    metrics::counter!("ringproof_sip_noise_total").increment(1);
                    return FlowError(format!("it sends what is not SIP: {bad}"));
                }
            }
        }
    }
}
