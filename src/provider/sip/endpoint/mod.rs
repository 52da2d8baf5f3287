//! Owns the face of a carrier's trunks: calls go out by it, and what happens to them comes back. Behind it one task drives
//! the protocol core (`crate::sip`), others find servers, probe and register. Clock, entropy and network enter here. What
//! is said in a call, and what its end means, is the business of the carrier.

mod check;
mod course;
mod driver;
mod oddities;
#[cfg(test)]
mod tests;
mod upkeep;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    capture::Capture,
    config::{Config, ConfigFault, NumberFormat, is_plain},
    identity::Signer,
    resolve::{Families, Resolver},
    transport::{Destination, Network, Opened, tls},
    trunk::{Target, Trunks, Unavailable},
    trunk_uri::{TrunkUri, word},
};
use crate::{
    id::Entropy,
    phone::E164,
    sip::{
        CallKey, Credentials, EndCause, Ender, FlowId, OfferId, Party, Path, Reason, Refusal, Settings, Trace,
        Transport, Uac,
    },
    time::{Clock, Timestamp},
};

use course::Course;
use driver::{Command, Driver};

/// Most commands that wait for the driver; who has more waits.
const MAX_COMMANDS: usize = 1_024;
/// Most events of a call that wait to be read. What comes too often (INFO, offers) is dropped before the end is.
const MAX_EVENTS: usize = 64;
/// Most calls of a carrier at once, over all trunks.
const MAX_CALLS: usize = 50_000;
/// How long hanging up the last calls and taking back registrations may take at the stop.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(2);

/// A call to make.
pub struct Outgoing {
    /// What the call is known by outside: the name of its capture.
    pub name: String,
    /// Whom to call.
    pub to: E164,
    /// The number that is shown.
    pub from: E164,
    /// The name shown beside it; printable ASCII.
    pub display: Option<String>,
    /// How long it may take until the answer, looking for a server included.
    pub ring_limit: Duration,
    /// Makes the session description for a trunk. Asked once for each server that is tried.
    pub offer: Offer,
}

/// Makes the session description that is offered.
pub type Offer = Box<dyn Fn(&Facing) -> Vec<u8> + Send + Sync>;

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("to", &self.to).finish_non_exhaustive()
    }
}

/// What we are to the server that a call goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facing {
    /// The trunk, as in the settings.
    pub trunk: String,
    /// The server.
    pub server: SocketAddr,
    /// Our address as the server sees it: where media is expected.
    pub address: IpAddr,
    /// Our address on the interface that leads there: where media is received.
    pub interface: IpAddr,
    /// Whether nobody on the way can read what is offered. Only then keys for SRTP may be in it.
    pub over_tls: bool,
}

/// What happens to a call. The last is `Refused`, `NotTaken` or `Ended`.
#[derive(Debug)]
pub enum CallEvent {
    /// A server was asked. Comes again when another has to be.
    Dialled(Facing),
    /// The telephone rings (180), or something else goes on (183). Once each.
    Provisional {
        /// The code.
        code: u16,
        /// The phrase.
        phrase: String,
        /// Whether early media may flow.
        early_media: bool,
    },
    /// Answered.
    Answered {
        /// The answer to our offer; empty when there was none.
        answer: Vec<u8>,
        /// Names the fork.
        remote_tag: String,
        /// How many forks rang.
        forks: usize,
    },
    /// Not answered. Final.
    Refused(Box<Refusal>),
    /// No server took it: no telephone rang. Final.
    NotTaken {
        /// What was tried and how it failed.
        why: String,
    },
    /// Over after an answer. Final.
    Ended {
        /// By whom.
        by: Ender,
        /// Why.
        cause: EndCause,
        /// `Reason` headers.
        reasons: Vec<Reason>,
    },
    /// An INFO request; read keys with [`crate::sip::info::keys`].
    Info {
        /// The media type.
        content_type: String,
        /// The body. May hold keys: not for logs.
        body: Vec<u8>,
    },
    /// Other media is offered in mid-call; answer with [`Endpoint::answer_offer`].
    Offered {
        /// Names the offer.
        offer: OfferId,
        /// The offer; `None` when we are to offer.
        sdp: Option<Vec<u8>>,
    },
    /// The answer to what we offered in mid-call.
    AnswerReceived {
        /// The session description.
        answer: Vec<u8>,
    },
}

/// A call that was begun.
#[derive(Debug)]
pub struct Placed {
    /// Names it.
    pub call: CallKey,
    /// What happens to it. Dropping this ends the call.
    pub events: mpsc::Receiver<CallEvent>,
}

/// Why a call was not begun. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// No room: as many calls as allowed, or too many in a moment.
    #[error("every trunk is full")]
    Full,
    /// No server is known, or all are down.
    #[error("no trunk can be reached: {0}")]
    Unreachable(String),
    /// The carrier is being stopped.
    #[error("the carrier is being stopped")]
    Stopping,
}

/// Why a carrier's trunks cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A certificate or a key.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<ConfigFault>),
    /// Our address cannot be bound.
    #[error("`bind`: {address}: {}", super::transport::explain(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Captures cannot be written.
    #[error("`capture`: {}: {source}", folder.display())]
    Capture {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The trunks of a carrier, in use. Clones are the same.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.0.name).finish_non_exhaustive()
    }
}

struct Inner {
    name: String,
    config: Config,
    clock: Arc<dyn Clock>,
    /// Where time begins for the core: it must not jump when the clock is set.
    began: (Timestamp, Instant),
    resolver: Resolver,
    network: Network,
    signer: Option<Signer>,
    capture: Option<Capture>,
    trunks: Mutex<Trunks>,
    /// Our address as others see it, by flow; learnt from answers to probes.
    seen_as: Mutex<BTreeMap<FlowId, SocketAddr>>,
    commands: mpsc::Sender<Command>,
    keys: AtomicU64,
    calls: AtomicUsize,
    /// Moves on when a call ends.
    fewer_calls: Notify,
    stopping: AtomicBool,
    /// Ends probes and registrations.
    rest: CancellationToken,
    /// Ends everything.
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Each section under it is short and leaves a whole value behind, also in a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoint {
    /// Binds our address and begins to look after the trunks. Needs a runtime of tokio.
    ///
    /// # Errors
    /// What is wrong with the settings, or the address cannot be bound.
    pub fn start(
        name: &str,
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StartError> {
        let endpoint = Self::open(name, config, clock, entropy)?;
        upkeep::start(&endpoint.0);
        Ok(endpoint)
    }

    /// The same without probes and registrations.
    fn open(name: &str, config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, StartError> {
        let signer = Signer::new(config).map_err(|fault| vec![fault]);
        let (signer, tls) = match (signer, tls::client(config)) {
            (Ok(signer), Ok(tls)) => (signer, tls),
            (Err(one), Err(more)) => return Err(StartError::Settings([one, more].concat())),
            (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => return Err(StartError::Settings(faults)),
        };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let network = Network::open(config.bind, tls, &tasks, &stop);
        let (network, arrivals) = network.map_err(|source| StartError::Bind { address: config.bind, source })?;
        let capture = match &config.capture {
            Some(folder) => {
                let failed = |source| StartError::Capture { folder: folder.clone(), source };
                Some(Capture::start(folder).map_err(failed)?)
            }
            None => None,
        };
        let traced = if capture.is_some() { Trace::Messages } else { trace() };
        let (commands, queue) = mpsc::channel(MAX_COMMANDS);
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let now = clock.now();
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            config: config.clone(),
            resolver: Resolver::new(&config.name_servers, Families::of(config.bind.ip()), entropy),
            clock,
            began: (now, Instant::now()),
            network,
            signer,
            capture,
            trunks: Mutex::new(Trunks::new(config)),
            seen_as: Mutex::default(),
            commands,
            keys: AtomicU64::new(1),
            calls: AtomicUsize::new(0),
            fewer_calls: Notify::new(),
            stopping: AtomicBool::new(false),
            rest: stop.child_token(),
            stop,
            tasks,
        });
        let settings = Settings { response_limit: config.answer_within, trace: traced, ..Settings::default() };
        let driver = Driver::new(Arc::clone(&inner), Uac::new(settings, seed, now), arrivals, queue);
        inner.tasks.spawn(driver.run());
        Ok(Self(inner))
    }

    /// Begins a call. It goes to the first server of the first trunk that is up and has room; when that one does not take
    /// it, to the next. No telephone rings twice for it.
    ///
    /// # Errors
    /// Nothing was begun, and why.
    pub async fn place(&self, outgoing: Outgoing) -> Result<Placed, PlaceError> {
        let inner = &self.0;
        if inner.stopping.load(Ordering::Acquire) {
            return Err(PlaceError::Stopping);
        }
        if inner.calls.load(Ordering::Relaxed) >= MAX_CALLS {
            return Err(PlaceError::Full);
        }
        if lock(&inner.trunks).is_empty() {
            upkeep::find(inner).await.map_err(PlaceError::Unreachable)?;
        }
        let now = inner.now();
        let first = lock(&inner.trunks).take(now, |_| false).map_err(|why| match why {
            Unavailable::Full => PlaceError::Full,
            Unavailable::Unknown | Unavailable::Down | Unavailable::Exhausted => {
                PlaceError::Unreachable(why.to_string())
            }
        })?;
        let call = CallKey(inner.next_key());
        let (told, events) = mpsc::channel(MAX_EVENTS);
        if let Some(capture) = &inner.capture {
            capture.name(call, &outgoing.name);
        }
        let course = Course::new(call, outgoing, now, first);
        let trunk = first.0;
        inner.calls.fetch_add(1, Ordering::Relaxed);
        if inner.commands.send(Command::Begin { course: Box::new(course), events: told }).await.is_err() {
            lock(&inner.trunks).give_back(trunk);
            inner.call_ended();
            return Err(PlaceError::Stopping);
        }
        Ok(Placed { call, events })
    }

    /// Stops a call that is not answered yet. Does nothing to one that is, or that is over.
    pub async fn cancel(&self, call: CallKey, reason: Option<Reason>) {
        self.tell(Command::Cancel { call, reason }).await;
    }

    /// Ends a call, answered or not.
    pub async fn hang_up(&self, call: CallKey, reason: Option<Reason>) {
        self.tell(Command::HangUp { call, reason }).await;
    }

    /// Answers [`CallEvent::Offered`]; `None` refuses.
    pub async fn answer_offer(&self, call: CallKey, offer: OfferId, sdp: Option<Vec<u8>>) {
        self.tell(Command::Answer { call, offer, sdp }).await;
    }

    async fn tell(&self, command: Command) {
        // Without a driver there are no calls.
        let _stopped = self.0.commands.send(command).await;
    }

    /// How many calls there are.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Whether some server of some trunk is up, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let targets = lock(&self.0.trunks).targets();
        targets.is_empty() || targets.iter().any(|(_, up)| *up)
    }

    /// Our address for signalling, as bound.
    #[must_use]
    pub fn bound(&self) -> SocketAddr {
        self.0.network.bound()
    }

    /// Looks whether every trunk is found, can be reached, and knows us, without calling anybody.
    ///
    /// # Errors
    /// Everything that is wrong, and what to do about it.
    pub async fn check(&self) -> Result<String, String> {
        check::look(&self.0).await
    }

    /// The same for trunks that are not in use here: `doctor` looks while the service runs. Takes a free port.
    ///
    /// # Errors
    /// As [`Endpoint::check`].
    pub async fn check_alone(
        name: &str,
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<String, String> {
        let mut config = config.clone();
        config.bind.set_port(0);
        config.capture = None;
        let endpoint = Self::open(name, &config, clock, entropy).map_err(|error| error.to_string())?;
        let found = endpoint.check().await;
        endpoint.stop(Duration::ZERO).await;
        found
    }

    /// Begins no more calls, waits for those that there are, ends what is left, takes registrations back. False when
    /// calls had to be ended.
    pub async fn stop(&self, within: Duration) -> bool {
        let inner = &self.0;
        inner.stopping.store(true, Ordering::Release);
        inner.rest.cancel();
        let drained = timeout(within, inner.no_calls()).await.is_ok();
        if !drained || inner.calls.load(Ordering::Relaxed) > 0 {
            self.tell(Command::HangUpAll).await;
        }
        self.tell(Command::UnregisterAll).await;
        let _cut_off = timeout(LAST_WORDS_WITHIN, inner.silence()).await;
        inner.stop.cancel();
        inner.tasks.close();
        inner.tasks.wait().await;
        drained
    }
}

/// Ladders at debug, whole messages at trace; both masked by the core.
fn trace() -> Trace {
    if tracing::enabled!(tracing::Level::TRACE) {
        Trace::Messages
    } else if tracing::enabled!(tracing::Level::DEBUG) {
        Trace::Lines
    } else {
        Trace::Off
    }
}

impl Inner {
    /// The time of the core.
    fn now(&self) -> Timestamp {
        self.began.0.plus(self.began.1.elapsed())
    }

    fn instant(&self, at: Timestamp) -> Instant {
        self.began.1 + at.since(self.began.0)
    }

    fn next_key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    fn call_ended(&self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
        self.fewer_calls.notify_waiters();
    }

    async fn no_calls(&self) {
        loop {
            let mut fewer = std::pin::pin!(self.fewer_calls.notified());
            fewer.as_mut().enable();
            if self.calls.load(Ordering::Relaxed) == 0 {
                return;
            }
            fewer.await;
        }
    }

    /// Waits until calls are over, registrations taken back, and all of that is answered.
    async fn silence(&self) {
        self.no_calls().await;
        let (told, done) = tokio::sync::oneshot::channel();
        if self.commands.send(Command::WhenSilent(told)).await.is_ok() {
            let _gone = done.await;
        }
    }

    fn trunk(&self, target: Target) -> &TrunkUri {
        self.config.all_trunks().nth(target.trunk).unwrap_or(&self.config.trunk)
    }

    fn destination(&self, target: Target) -> Destination {
        // RFC 5922: who is expected is the host that the settings name, not what DNS made of it.
        let host = self.config.first_hop(self.trunk(target)).host.clone();
        Destination { hop: target.hop, host }
    }

    /// Our address as the other side of a flow sees it.
    fn seen_as(&self, opened: Opened) -> SocketAddr {
        let learnt = lock(&self.seen_as).get(&opened.flow).copied();
        match self.config.public_address {
            Some(public) => SocketAddr::new(public, learnt.unwrap_or(opened.local).port()),
            None => learnt.unwrap_or(opened.local),
        }
    }

    /// The way to a server over a flow.
    fn path(&self, target: Target, opened: Opened) -> Path {
        let transport = target.hop.transport;
        let user = self.config.username.as_deref().filter(|user| is_plain(user)).unwrap_or("ringproof");
        let contact = |transport: Transport| {
            let parameter = match transport {
                Transport::Udp => "",
                Transport::Tcp => ";transport=tcp",
                Transport::Tls => ";transport=tls",
            };
            format!("sip:{user}@{}{parameter}", self.seen_as(opened))
        };
        // Where the other side cannot be reached by TCP the core comes back to this path.
        let large = (transport == Transport::Udp).then(|| {
            let mut destination = self.destination(target);
            destination.hop.transport = Transport::Tcp;
            let flow = self.network.reserve(&destination).ok()?;
            let path = Path {
                flow,
                transport: Transport::Tcp,
                sent_by: opened.local.to_string(),
                contact: contact(Transport::Tcp),
                large: None,
            };
            Some(Box::new(path))
        });
        Path {
            flow: opened.flow,
            transport,
            sent_by: opened.local.to_string(),
            contact: contact(transport),
            large: large.flatten(),
        }
    }

    fn credentials(&self) -> Option<Credentials> {
        let username = self.config.username.clone()?;
        Some(Credentials { username, password: self.config.password.clone()? })
    }

    /// Who we are where no call is about: the user that registers.
    fn party(&self, trunk: &TrunkUri) -> Party {
        let user = self.config.username.as_deref().filter(|user| is_plain(user)).unwrap_or("ringproof");
        Party { display: None, uri: format!("sip:{user}@{}", self.config.own_domain(trunk)) }
    }

    /// Whom to ask the trunk for.
    fn callee(&self, number: &E164) -> String {
        self.config.always_call.clone().unwrap_or_else(|| self.number(number))
    }

    fn number(&self, number: &E164) -> String {
        let format: NumberFormat = self.config.number_format;
        format.write(number)
    }
}

/// The trunk in a Request-URI: host and port, and the transport where the settings name one.
fn authority(trunk: &TrunkUri) -> String {
    let port = trunk.port.map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", trunk.host)
}

/// The parameter for a transport that the settings name. `sips:` is written as TLS to the trunk, which is what carriers
/// mean by it; the scheme itself promises more than they keep (RFC 5630 section 3.1.3).
fn transport_parameter(trunk: &TrunkUri) -> String {
    let transport = if trunk.secure { Some(Transport::Tls) } else { trunk.transport };
    transport.map_or_else(String::new, |transport| format!(";transport={}", word(transport)))
}
