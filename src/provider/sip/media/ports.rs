//! Owns the UDP ports of media: an even one for RTP and the odd one above it for RTCP, from a configured range. A port
//! that was given back is the last to be taken again, so that late packets of one call do not reach the next.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use socket2::{Domain, Protocol, Socket, Type};

/// How many pairs are tried before an open is refused: some may be taken by another program, or by as many calls as another
/// carrier of this one may have where nothing else is set.
const MAX_TRIES: usize = 512;
/// The mark of voice: code point 46 in the upper six bits.
const EXPEDITED: u32 = 46 << 2;
/// What the kernel may keep for a socket, in bytes as it counts them: about a second of G.711.
const RECEIVE_BUFFER_BYTES: usize = 48 * 1024;

/// Even ports that are free, the longest free first.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    bind: IpAddr,
    free: Arc<Mutex<VecDeque<u16>>>,
}

/// Two bound sockets; their ports go back to the pool with them.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) port: u16,
    ports: Ports,
}

impl Ports {
    /// All pairs within a range of ports.
    pub(super) fn new(bind: IpAddr, range: RangeInclusive<u16>) -> Self {
        let end = *range.end();
        let free = range.filter(|port| port % 2 == 0 && *port < end).collect();
        Self { bind, free: Arc::new(Mutex::new(free)) }
    }

    /// Takes a pair that nobody uses.
    pub(super) fn reserve(&self) -> io::Result<Pair> {
        let mut failure = io::Error::new(io::ErrorKind::AddrInUse, "no port for media is free");
        for _ in 0..MAX_TRIES {
            let Some(port) = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { break };
            match self.bind(port) {
                Ok((rtp, rtcp)) => return Ok(Pair { rtp, rtcp, port, ports: self.clone() }),
                Err(error) => {
                    self.give_back(port);
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    /// How many pairs are free.
    pub(super) fn free(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn bind(&self, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        Ok((socket(SocketAddr::new(self.bind, port))?, socket(SocketAddr::new(self.bind, port + 1))?))
    }

    fn give_back(&self, port: u16) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(port);
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.ports.give_back(self.port);
    }
}

fn socket(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    // Expedited forwarding (RFC 4594 section 4.1), where the machine lets us mark packets.
    let _unmarked = match at {
        SocketAddr::V4(_) => socket.set_tos_v4(EXPEDITED),
        SocketAddr::V6(_) => socket.set_tclass_v6(EXPEDITED),
    };
    socket.bind(&at.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_taken_port_is_passed_over_and_a_freed_one_is_last() {
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ports = Ports::new(localhost, 21_001..=21_008);
        assert_eq!(ports.free(), 3, "21002, 21004 and 21006; 21008 has no odd port above it in the range");
        let taken = UdpSocket::bind((localhost, 21_003)).unwrap();
        let first = ports.reserve().unwrap();
        assert_eq!(first.port, 21_004);
        drop(taken);
        drop(first);
        let second = ports.reserve().unwrap();
        assert_eq!(second.port, 21_006);
        let third = ports.reserve().unwrap();
        assert_eq!(third.port, 21_002);
        let fourth = ports.reserve().unwrap();
        assert_eq!(fourth.port, 21_004);
        assert_eq!(ports.reserve().unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
