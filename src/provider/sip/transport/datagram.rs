//! Owns UDP sockets. Each flow has one that is connected, so that an ICMP error is told; one that is not takes what comes
//! from elsewhere. All share our port, so others see one address.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::{net::UdpSocket, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{Arrival, FlowError, MAX_MESSAGE_BYTES, explain, noise};
use crate::sip::{FlowId, Transport};

/// Room of the system for datagrams that were not read yet, in bytes: some hundred milliseconds of a busy trunk.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A socket that takes datagrams from everywhere. Fails where another process has the port: sharing it, which our own
/// sockets do, would give that one half of what is meant for us.
pub(super) fn bind(own: SocketAddr) -> io::Result<UdpSocket> {
    let alone = Socket::new(Domain::for_address(own), Type::DGRAM, Some(Protocol::UDP))?;
    if own.is_ipv6() {
        alone.set_only_v6(true)?;
    }
    alone.bind(&SockAddr::from(own))?;
    drop(alone);
    UdpSocket::from_std(socket(own)?.into())
}

/// A socket that takes datagrams from one place, and is told when nothing listens there.
pub(super) fn connect(own: SocketAddr, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(own)?;
    socket.connect(&SockAddr::from(to))?;
    UdpSocket::from_std(socket.into())
}

fn socket(own: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(own), Type::DGRAM, Some(Protocol::UDP))?;
    if own.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Only processes of the same user may share a port like this.
    socket.set_reuse_port(true)?;
    // What the system does not grant is not worth failing for.
    let _granted = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(own))?;
    Ok(socket)
}

/// What a socket brings goes either to the flow that it belongs to, or to the queue of strangers.
pub(super) trait Queue {
    /// Puts a datagram, or an error that the socket tells, into the queue. False when nobody reads it any more.
    fn put(&self, flow: Option<FlowId>, received: Result<(SocketAddr, Bytes), FlowError>) -> bool;
}

impl Queue for mpsc::Sender<Arrival> {
    fn put(&self, flow: Option<FlowId>, received: Result<(SocketAddr, Bytes), FlowError>) -> bool {
        let Some(flow) = flow else { return true };
        lossy(&self.try_send(match received {
            Ok((from, bytes)) => Arrival::Message { flow, transport: Transport::Udp, from, bytes },
            // An ICMP error to something that was sent. The socket is as good as before.
            Err(why) => Arrival::Lost { flow, why },
        }))
    }
}

impl Queue for mpsc::Sender<(SocketAddr, Bytes)> {
    fn put(&self, _: Option<FlowId>, received: Result<(SocketAddr, Bytes), FlowError>) -> bool {
        received.map_or(true, |received| lossy(&self.try_send(received)))
    }
}

/// A full queue loses datagrams as networks do; what matters is sent again.
fn lossy<T>(sent: &Result<(), mpsc::error::TrySendError<T>>) -> bool {
    match sent {
        Ok(()) => true,
        Err(mpsc::error::TrySendError::Full(_)) => {
            metrics::counter!("ringproof_sip_datagrams_lost_total").increment(1);
            true
        }
        Err(mpsc::error::TrySendError::Closed(_)) => false,
    }
}

/// Reads one socket until the stop.
pub(super) async fn read(
    socket: Arc<UdpSocket>,
    flow: Option<FlowId>,
    queue: impl Queue + Send,
    stop: CancellationToken,
) {
    let mut buffer = vec![0; MAX_MESSAGE_BYTES];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let goes_on = match received {
            Ok((length, from)) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                if noise::begins_like_sip(bytes) {
                    queue.put(flow, Ok((from, Bytes::copy_from_slice(bytes))))
                } else {
                    // Empty ones and line ends keep bindings open; everything else is noise.
                    if !noise::is_keep_alive(bytes) {
                        metrics::counter!("ringproof_sip_noise_total").increment(1);
                    }
                    true
                }
            }
            Err(error) => queue.put(flow, Err(FlowError(explain(&error)))),
        };
        if !goes_on {
            return;
        }
    }
}
