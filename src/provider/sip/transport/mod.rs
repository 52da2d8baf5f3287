//! Owns how SIP messages reach the network and come back: one flow to each place, over UDP, TCP or TLS, opened once and
//! used again, with bounded queues in both directions. It tells at once when a flow breaks. What messages say is not its
//! business.

mod datagram;
mod noise;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod via;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::{
    net::UdpSocket,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use via::first_via;

use super::{resolve::Hop, trunk_uri::Host};
use crate::sip::{FlowId, Transport};

/// How long a connection, TLS included, may take to come about.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Largest message, in bytes: what fits into a datagram.
pub(crate) const MAX_MESSAGE_BYTES: usize = 65_535;

/// Most messages of trunks that wait to be read. What comes on top is dropped (UDP) or waits at the other side (TCP).
const MAX_ARRIVALS: usize = 2_048;
/// The same for messages from places that we did not write to, which nobody vouches for.
const MAX_STRANGERS: usize = 128;
/// Most strangers that can be answered at a time.
const MAX_KNOWN_STRANGERS: usize = 64;
/// Flows from here on are to strangers.
const FIRST_STRANGER: u64 = 1 << 63;
/// Most flows.
const MAX_FLOWS: usize = 256;
/// Most messages that wait for a flow to open.
const MAX_PENDING: usize = 256;

/// Where a flow leads: a hop, and the host whose certificate is expected there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    /// Where.
    pub(crate) hop: Hop,
    /// Who is expected (RFC 5922: the host of the trunk's URI).
    pub(crate) host: Host,
}

/// An open flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Its name.
    pub(crate) flow: FlowId,
    /// Our side of it.
    pub(crate) local: SocketAddr,
}

/// Why a flow does not open, or broke. The text says what to do, where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FlowError(pub(crate) String);

/// What the network tells.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A message.
    Message {
        /// The flow it came over; an answer goes back there.
        flow: FlowId,
        /// How.
        transport: Transport,
        /// From where.
        from: SocketAddr,
        /// The message.
        bytes: Bytes,
    },
    /// A flow broke, or did not open although messages waited for it. It is opened again with the next message.
    Lost {
        /// Which.
        flow: FlowId,
        /// Why.
        why: FlowError,
    },
}

/// What the network tells, to be read by one task. Messages of trunks go before those of strangers.
#[derive(Debug)]
pub(crate) struct Arrivals {
    trunks: mpsc::Receiver<Arrival>,
    strangers: mpsc::Receiver<(SocketAddr, Bytes)>,
    seen: Strangers,
}

impl Arrivals {
    /// Waits for the next. `None` when the network is gone.
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        tokio::select! {
            biased;
            arrival = self.trunks.recv() => arrival,
            Some((from, bytes)) = self.strangers.recv() => Some(self.seen.arrival(from, bytes)),
        }
    }

    /// The next, where one waits already.
    pub(crate) fn waiting(&mut self) -> Option<Arrival> {
        if let Ok(arrival) = self.trunks.try_recv() {
            return Some(arrival);
        }
        let (from, bytes) = self.strangers.try_recv().ok()?;
        Some(self.seen.arrival(from, bytes))
    }

    /// Where an answer to a stranger goes; `None` for other flows, and for who was not heard for long.
    pub(crate) fn stranger(&self, flow: FlowId) -> Option<SocketAddr> {
        self.seen.recent.iter().find(|(id, _)| *id == flow).map(|(_, from)| *from)
    }
}

/// Names for places that send to us without being asked: enough of them to answer the latest.
#[derive(Debug, Default)]
struct Strangers {
    recent: VecDeque<(FlowId, SocketAddr)>,
    count: u64,
}

impl Strangers {
    fn arrival(&mut self, from: SocketAddr, bytes: Bytes) -> Arrival {
        let flow = match self.recent.iter().find(|(_, known)| *known == from) {
            Some((flow, _)) => *flow,
            None => {
                if self.recent.len() >= MAX_KNOWN_STRANGERS {
                    self.recent.pop_front();
                }
                let flow = FlowId(FIRST_STRANGER | self.count);
                self.count += 1;
                self.recent.push_back((flow, from));
                flow
            }
        };
        Arrival::Message { flow, transport: Transport::Udp, from, bytes }
    }
}

/// All flows of a carrier.
#[derive(Clone)]
pub(crate) struct Network(Arc<Inner>);

struct Inner {
    bind: SocketAddr,
    tls: Arc<ClientConfig>,
    /// What datagrams from places that have no flow come in by, one for each family that is bound.
    open_to_all: Vec<Arc<UdpSocket>>,
    flows: Mutex<Flows>,
    arrivals: mpsc::Sender<Arrival>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Default)]
struct Flows {
    ids: BTreeMap<Destination, FlowId>,
    by_id: BTreeMap<FlowId, Flow>,
    /// Counts connections, so that the end of an old one is not taken for the end of its successor.
    connections: u64,
}

struct Flow {
    destination: Destination,
    stage: Stage,
}

enum Stage {
    Closed,
    Opening { outcome: watch::Receiver<Option<Result<Opened, FlowError>>>, pending: Vec<Bytes> },
    Open { connection: u64, local: SocketAddr, sink: Sink },
}

/// Takes messages without waiting.
#[derive(Clone)]
enum Sink {
    Datagrams(Arc<UdpSocket>),
    Stream(mpsc::Sender<Bytes>),
}

impl Sink {
    fn send(&self, bytes: Bytes) -> Result<(), FlowError> {
        match self {
            Self::Datagrams(socket) => match socket.try_send(&bytes) {
                Ok(_) => Ok(()),
                // Full buffers lose datagrams as networks do; what matters is sent again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    metrics::counter!("ringproof_sip_datagrams_lost_total").increment(1);
                    Ok(())
                }
                Err(error) => Err(FlowError(explain(&error))),
            },
            Self::Stream(queue) => {
                queue.try_send(bytes).map_err(|_| FlowError(String::from("it takes no more messages")))
            }
        }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("bind", &self.0.bind).finish_non_exhaustive()
    }
}

/// The sections below are one insert, remove or replacement each: a panic leaves a whole value behind.
fn lock(flows: &Mutex<Flows>) -> MutexGuard<'_, Flows> {
    flows.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Network {
    /// Binds our address.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) fn open(
        bind: SocketAddr,
        tls: Arc<ClientConfig>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> io::Result<(Self, Arrivals)> {
        let (arrivals, trunks) = mpsc::channel(MAX_ARRIVALS);
        let (unvouched, strangers) = mpsc::channel(MAX_STRANGERS);
        let first = datagram::bind(bind)?;
        let bind = first.local_addr()?;
        let mut open_to_all = vec![Arc::new(first)];
        if let Some(other) = other_family(bind) {
            // A machine without IPv6 does without.
            open_to_all.extend(datagram::bind(other).ok().map(Arc::new));
        }
        for socket in &open_to_all {
            tasks.spawn(datagram::read(Arc::clone(socket), None, unvouched.clone(), stop.clone()));
        }
        let flows = Mutex::default();
        let inner = Inner { bind, tls, open_to_all, flows, arrivals, tasks: tasks.clone(), stop: stop.clone() };
        Ok((Self(Arc::new(inner)), Arrivals { trunks, strangers, seen: Strangers::default() }))
    }

    /// Our address for datagrams, as bound.
    #[must_use]
    pub(crate) fn bound(&self) -> SocketAddr {
        self.0.bind
    }

    /// Opens the flow to a destination, or finds it open. All who ask meanwhile share one attempt.
    ///
    /// # Errors
    /// Why it does not open.
    pub(crate) async fn flow(&self, destination: &Destination) -> Result<Opened, FlowError> {
        let mut outcome = {
            let mut flows = lock(&self.0.flows);
            let id = flows.id_of(destination)?;
            match flows.by_id.get(&id).map(|flow| &flow.stage) {
                Some(Stage::Open { local, .. }) => return Ok(Opened { flow: id, local: *local }),
                Some(Stage::Opening { outcome, .. }) => outcome.clone(),
                Some(Stage::Closed) | None => self.start(&mut flows, id, destination, Vec::new()),
            }
        };
        let gone = || FlowError(String::from("the carrier is being stopped"));
        let opened = outcome.wait_for(Option::is_some).await.map_err(|_| gone())?;
        opened.clone().unwrap_or_else(|| Err(gone()))
    }

    /// Names the flow to a destination without opening it: the first message does.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn reserve(&self, destination: &Destination) -> Result<FlowId, FlowError> {
        let mut flows = lock(&self.0.flows);
        let id = flows.id_of(destination)?;
        let closed = || Flow { destination: destination.clone(), stage: Stage::Closed };
        flows.by_id.entry(id).or_insert_with(closed);
        Ok(id)
    }

    /// Where a flow leads.
    pub(crate) fn destination(&self, id: FlowId) -> Option<Destination> {
        lock(&self.0.flows).by_id.get(&id).map(|flow| flow.destination.clone())
    }

    /// Sends without waiting. A flow that broke is opened again first.
    pub(crate) fn send(&self, id: FlowId, bytes: Bytes) {
        let failed = {
            let mut flows = lock(&self.0.flows);
            let Some(flow) = flows.by_id.get_mut(&id) else { return };
            match &mut flow.stage {
                Stage::Open { connection, sink, .. } => sink.send(bytes).err().map(|why| (*connection, why)),
                Stage::Opening { pending, .. } if pending.len() < MAX_PENDING => {
                    pending.push(bytes);
                    None
                }
                Stage::Opening { .. } => None,
                Stage::Closed => {
                    let destination = flow.destination.clone();
                    self.start(&mut flows, id, &destination, vec![bytes]);
                    None
                }
            }
        };
        if let Some((connection, why)) = failed {
            self.broken(id, connection, why);
        }
    }

    /// Answers a datagram of a stranger.
    pub(crate) fn reply(&self, to: SocketAddr, bytes: &Bytes) {
        let same_family =
            |socket: &&Arc<UdpSocket>| socket.local_addr().is_ok_and(|local| local.is_ipv4() == to.is_ipv4());
        if let Some(socket) = self.0.open_to_all.iter().find(same_family)
            && socket.try_send_to(bytes, to).is_err()
        {
            metrics::counter!("ringproof_sip_datagrams_lost_total").increment(1);
        }
    }

    fn start(
        &self,
        flows: &mut Flows,
        id: FlowId,
        destination: &Destination,
        pending: Vec<Bytes>,
    ) -> watch::Receiver<Option<Result<Opened, FlowError>>> {
        let (tell, outcome) = watch::channel(None);
        flows.connections += 1;
        let connection = flows.connections;
        let stage = Stage::Opening { outcome: outcome.clone(), pending };
        flows.by_id.insert(id, Flow { destination: destination.clone(), stage });
        let (network, destination) = (self.clone(), destination.clone());
        self.0.tasks.spawn(async move {
            let opened = tokio::select! {
                opened = network.connect(id, connection, &destination) => opened,
                () = network.0.stop.cancelled() => Err(FlowError(String::from("the carrier is being stopped"))),
            };
            let _nobody_asks = tell.send(Some(network.settle(id, connection, opened)));
        });
        outcome
    }

    async fn connect(
        &self,
        id: FlowId,
        connection: u64,
        destination: &Destination,
    ) -> Result<(SocketAddr, Sink), FlowError> {
        let hop = destination.hop;
        let told = |error: io::Error| FlowError(explain(&error));
        match hop.transport {
            Transport::Udp => {
                let own = SocketAddr::new(self.own_ip(hop.address), self.0.bind.port());
                let socket = Arc::new(datagram::connect(own, hop.address).map_err(told)?);
                let local = socket.local_addr().map_err(told)?;
                // Before the runtime has seen that it takes datagrams, each would count as one that finds no room.
                socket.writable().await.map_err(told)?;
                let (arrivals, stop) = (self.0.arrivals.clone(), self.0.stop.clone());
                self.0.tasks.spawn(datagram::read(Arc::clone(&socket), Some(id), arrivals, stop));
                Ok((local, Sink::Datagrams(socket)))
            }
            Transport::Tcp | Transport::Tls => {
                let own = self.own_ip(hop.address);
                let tls = (hop.transport == Transport::Tls).then(|| (&self.0.tls, &destination.host));
                let stream = stream::connect(own, hop.address, tls).await?;
                let local = stream.local;
                let sink = stream.run(stream::Ends {
                    network: self.clone(),
                    flow: id,
                    transport: hop.transport,
                    connection,
                    from: hop.address,
                });
                Ok((local, Sink::Stream(sink)))
            }
        }
    }

    /// Our address towards a place: as bound, or any of the other family where nothing particular is bound.
    fn own_ip(&self, to: SocketAddr) -> IpAddr {
        match (self.0.bind.ip(), to) {
            (bound @ IpAddr::V4(_), SocketAddr::V4(_)) | (bound @ IpAddr::V6(_), SocketAddr::V6(_)) => bound,
            (IpAddr::V4(_), SocketAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            (IpAddr::V6(_), SocketAddr::V4(_)) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    /// Writes down how opening a flow went, and sends what waited for it.
    fn settle(
        &self,
        id: FlowId,
        connection: u64,
        opened: Result<(SocketAddr, Sink), FlowError>,
    ) -> Result<Opened, FlowError> {
        let mut flows = lock(&self.0.flows);
        let Some(flow) = flows.by_id.get_mut(&id) else { return Err(FlowError(String::from("the flow is gone"))) };
        let pending = match std::mem::replace(&mut flow.stage, Stage::Closed) {
            Stage::Opening { pending, .. } => pending,
            Stage::Closed | Stage::Open { .. } => Vec::new(),
        };
        match opened {
            Ok((local, sink)) => {
                let sent: Result<(), FlowError> = pending.into_iter().try_for_each(|bytes| sink.send(bytes));
                flow.stage = Stage::Open { connection, local, sink };
                drop(flows);
                if let Err(why) = sent {
                    self.broken(id, connection, why);
                }
                Ok(Opened { flow: id, local })
            }
            Err(why) => {
                drop(flows);
                if !pending.is_empty() {
                    self.tell_lost(id, why.clone());
                }
                Err(why)
            }
        }
    }

    /// A connection ended, or takes nothing any more.
    fn broken(&self, id: FlowId, connection: u64, why: FlowError) {
        let was_open = {
            let mut flows = lock(&self.0.flows);
            match flows.by_id.get_mut(&id) {
                Some(flow) => match &flow.stage {
                    Stage::Open { connection: open, sink, .. } if *open == connection => {
                        // A datagram socket is as good as before: only what was sent is lost.
                        if matches!(sink, Sink::Stream(_)) {
                            flow.stage = Stage::Closed;
                        }
                        true
                    }
                    Stage::Open { .. } | Stage::Opening { .. } | Stage::Closed => false,
                },
                None => false,
            }
        };
        if was_open {
            self.tell_lost(id, why);
        }
    }

    /// Not lost when the queue is full: a task waits for room.
    fn tell_lost(&self, flow: FlowId, why: FlowError) {
        let lost = Arrival::Lost { flow, why };
        if let Err(mpsc::error::TrySendError::Full(lost)) = self.0.arrivals.try_send(lost) {
            let arrivals = self.0.arrivals.clone();
            self.0.tasks.spawn(async move {
                let _stopped = arrivals.send(lost).await;
            });
        }
    }
}

impl Flows {
    fn id_of(&mut self, destination: &Destination) -> Result<FlowId, FlowError> {
        if let Some(id) = self.ids.get(destination) {
            return Ok(*id);
        }
        if self.ids.len() >= MAX_FLOWS {
            return Err(FlowError(format!("more than {MAX_FLOWS} places are in use")));
        }
        let id = FlowId(u64::try_from(self.ids.len()).unwrap_or(u64::MAX));
        self.ids.insert(destination.clone(), id);
        Ok(id)
    }
}

/// The unspecified address of the other family with the same port, where the one that is bound is unspecified.
fn other_family(bound: SocketAddr) -> Option<SocketAddr> {
    let other = match bound.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    Some(SocketAddr::new(other, bound.port()))
}

/// What an error of the network means for whoever runs us.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum belongs to a library and may grow")]
pub(crate) fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => String::from("nothing listens there; are host, port and transport right?"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            String::from("it closed the connection")
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            String::from("there is no way to it from this machine; look at routes and firewalls")
        }
        io::ErrorKind::PermissionDenied => String::from("this machine's firewall forbids it"),
        io::ErrorKind::AddrInUse => String::from("the address is in use by another process; choose another `bind`"),
        io::ErrorKind::AddrNotAvailable => String::from("the address is none of this machine; choose another `bind`"),
        _ => error.to_string(),
    }
}
