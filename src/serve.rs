//! Owns the composition: a configuration becomes a running gateway with its edge, and comes to an orderly stop. What the
//! parts do is theirs.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    callflow::Flows,
    config::{CarrierConfig, CarrierKind, Config},
    console::{self, NoClient, Oidc},
    gateway::{Carrier, Gateway, OpenError, Parts, SystemEntropy, VerificationConfig},
    http::{self, Edge, server},
    id::{CallToken, Entropy},
    provider::{
        Line, Pending, Provider, Switchboard,
        http::{ClientError, HttpClient, HttpProvider},
        simulator::Simulator,
        sip::{self, Sip, voice::Voice},
        twilio::{ConfigFault, Twilio},
    },
    store::{self, Store, StoreError},
    telemetry,
    time::SystemClock,
    verification::Signal,
};

/// How long everything may take from the signal to the end.
const STOP_WITHIN: Duration = Duration::from_secs(25);
/// How long simulated calls may take to hang up at the stop.
const HANG_UP_WITHIN: Duration = Duration::from_secs(2);
/// How long calls over trunks may go on at the stop: most come to their own end in this time.
const DRAIN_WITHIN: Duration = Duration::from_secs(18);
/// How often old measurements are folded.
const UPKEEP: Duration = Duration::from_secs(5);
/// Most connections to the address that serves measurements alone.
const METRICS_CONNECTIONS: usize = 64;

/// Most connections to the address that serves the console alone.
const CONSOLE_CONNECTIONS: usize = 256;

/// Why the service does not start. Each text says what to do, where that is known.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{setting}: {address} cannot be used: {source}; another process may have it")]
    Listen {
        /// Which setting names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The store is not usable.
    #[error("{0}")]
    Store(#[source] StoreError),
    /// A carrier cannot be set up.
    #[error("carrier `{name}`: {}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Carrier {
        /// Its name.
        name: String,
        /// What is wrong.
        faults: Vec<ConfigFault>,
    },
    /// A trunk cannot be used.
    #[error("carrier `{name}`: {source}")]
    Trunk {
        /// Its name.
        name: String,
        /// Why.
        source: sip::StartError,
    },
    /// No requests can be made to carriers.
    #[error("requests to carriers cannot be made: {0}")]
    Client(#[from] ClientError),
    /// The gateway does not open.
    #[error(transparent)]
    Gateway(#[from] OpenError),
    /// The HTTP edge does not open.
    #[error(transparent)]
    Edge(#[from] http::SetupFault),
    /// The public address is no URL.
    #[error("server.public_url: {0}")]
    PublicUrl(#[from] url::ParseError),
    /// The console cannot be made.
    #[error("console: {0}")]
    Console(#[from] console::NoSeal),
    /// The console's sign-in through an identity provider cannot be made.
    #[error(transparent)]
    Oidc(#[from] NoClient),
    /// Pages beside the API cannot be made.
    #[error("the pages cannot be made: {0}")]
    Pages(String),
}

/// The carriers of a configuration, ready to be used.
#[derive(Default)]
pub struct Carriers {
    /// In the order of the configuration.
    pub carriers: Vec<Carrier>,
    /// Those that live in this process, by name.
    pub simulators: BTreeMap<String, Arc<Simulator>>,
    /// Those that are trunks, by name.
    pub trunks: BTreeMap<String, Arc<Sip>>,
}

impl fmt::Debug for Carriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carriers").field("carriers", &self.carriers).finish_non_exhaustive()
    }
}

impl Carriers {
    /// Makes the carriers. Reaches nobody.
    ///
    /// # Errors
    /// A carrier that cannot be set up.
    pub fn new(configured: &[CarrierConfig], voice: &Arc<Voice>) -> Result<Self, StartError> {
        let mut all = Self::default();
        let mut client: Option<HttpClient> = None;
        for config in configured {
            let provider: Arc<dyn Provider> = match &config.kind {
                CarrierKind::Twilio(twilio) => {
                    let client = match &client {
                        Some(client) => client.clone(),
                        None => client.insert(HttpClient::new()?).clone(),
                    };
                    let refused = |faults| StartError::Carrier { name: config.name.clone(), faults };
                    Arc::new(HttpProvider::new(Twilio::new(twilio).map_err(refused)?, client))
                }
                CarrierKind::Sip(trunk) => {
                    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
                    let trunk = Arc::new(Sip::new(&config.name, (**trunk).clone(), Arc::clone(voice), clock, entropy));
                    all.trunks.insert(config.name.clone(), Arc::clone(&trunk));
                    trunk
                }
                CarrierKind::Simulator(simulator) => {
                    let simulator = Arc::new(Simulator::new(&config.name, simulator.clone()));
                    all.simulators.insert(config.name.clone(), Arc::clone(&simulator));
                    simulator
                }
            };
            all.carriers.push(Carrier {
                name: config.name.clone(),
                provider,
                from: config.from.clone(),
                countries: config.countries.clone(),
                free: matches!(config.kind, CarrierKind::Simulator(_)),
                placing_at_once: config.placing_at_once,
                calls_per_second: config.calls_per_second,
            });
        }
        Ok(all)
    }
}

/// What pages beside the API are given.
#[derive(Clone)]
pub struct Surroundings {
    /// Where we listen.
    pub address: SocketAddr,
    /// Carriers that live in this process, by name.
    pub simulators: BTreeMap<String, Arc<Simulator>>,
    /// Ends what is held open at the stop.
    pub stop: CancellationToken,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Makes pages beside the API.
pub type MakePages<'a> = &'a dyn Fn(Surroundings) -> Result<Router, StartError>;

/// A service that listens, and serves once [`Ringproof::run`] is awaited.
pub struct Ringproof {
    gateway: Gateway,
    simulators: BTreeMap<String, Arc<Simulator>>,
    trunks: BTreeMap<String, Arc<Sip>>,
    /// Carriers in this process know it weakly.
    _exchange: Arc<dyn Switchboard>,
    listener: TcpListener,
    address: SocketAddr,
    edge: Arc<Edge>,
    max_connections: usize,
    metrics: Option<(TcpListener, Arc<Edge>)>,
    /// The console, where it has an address of its own.
    console: Option<(TcpListener, Arc<Edge>)>,
    recorder: Option<PrometheusHandle>,
    stop: CancellationToken,
}

impl fmt::Debug for Ringproof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ringproof").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Ringproof {
    /// Opens everything: addresses, store, carriers, gateway, edge.
    ///
    /// # Errors
    /// What does not open, and what to do about it.
    pub async fn open(
        config: &Config,
        flows: Flows,
        recorder: Option<PrometheusHandle>,
        pages: Option<MakePages<'_>>,
    ) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let listener = listen("server.listen", config.server.listen).await?;
        let address = listener.local_addr().unwrap_or(config.server.listen);
        let metrics_listener = listen_if("server.metrics_listen", config.server.metrics_listen).await?;
        let console_address = config.console.listen.filter(|_| config.console.enabled);
        let console_listener = listen_if("console.listen", console_address).await?;
        let store = store::open(&config.store).await.map_err(StartError::Store)?;
        let Carriers { carriers, simulators, trunks } = Carriers::new(&config.carriers, &voice(config).await)?;
        // Where port 0 was asked for, the public address is only known now.
        let public_url = config.server.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        // A gateway looks at its carriers as soon as it is open, so they are connected before.
        let exchange = Arc::new(Exchange::default());
        let switchboard: Arc<dyn Switchboard> = exchange.clone();
        for simulator in simulators.values() {
            simulator.connect(&switchboard);
        }
        for (name, trunk) in &trunks {
            trunk.start(&switchboard).map_err(|source| StartError::Trunk { name: name.clone(), source })?;
        }
        let gateway = open_gateway(config, flows, store, carriers, &public_url).await?;
        exchange.join(gateway.clone());
        let surroundings = Surroundings { address, simulators: simulators.clone(), stop: stop.clone() };
        let pages = pages.map_or_else(|| Ok(Router::new()), |make| make(surroundings))?;
        let scrape = recorder.clone().map(scrape);
        let instance = instance();
        let own = console_listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let keys = config.server.keys(&config.api_keys)?;
        let console = make_console(config, own, &public_url, (&gateway, &keys), &stop)?;
        let (pages, page_routes, console) = place_console(pages, console, console_listener, instance)?;
        let edge = http::edge(http::Setup {
            config: &config.server,
            keys,
            public_url: &public_url.parse()?,
            brand: &config.verification.brand,
            gateway: gateway.clone(),
            scrape: scrape.clone(),
            pages,
            page_routes,
            instance,
            stop: stop.clone(),
        })?;
        let metrics = match (metrics_listener, scrape) {
            (Some(listener), Some(scrape)) => Some((listener, Arc::new(http::metrics_edge(scrape, instance)?))),
            (Some(_), None) | (None, _) => None,
        };
        Ok(Self {
            gateway,
            simulators,
            trunks,
            _exchange: switchboard,
            listener,
            address,
            edge: Arc::new(edge),
            max_connections: config.server.max_connections,
            metrics,
            console,
            recorder,
            stop,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `signal`, then stops in order within 25 s. False when something had to be cut off.
    pub async fn run(self, signal: impl Future<Output = ()>) -> bool {
        let Self {
            gateway,
            simulators,
            trunks,
            _exchange,
            listener,
            address,
            edge,
            max_connections,
            metrics,
            console,
            recorder,
            stop,
        } = self;
        tracing::info!(%address, "ringproof {} serves", env!("CARGO_PKG_VERSION"));
        let connections = server::serve(listener, edge, server::Limits::new(max_connections), stop.clone());
        let measurements = async {
            if let Some((listener, edge)) = metrics {
                server::serve(listener, edge, server::Limits::new(METRICS_CONNECTIONS), stop.clone()).await;
            }
        };
        let operators = async {
            if let Some((listener, edge)) = console {
                server::serve(listener, edge, server::Limits::new(CONSOLE_CONNECTIONS), stop.clone()).await;
            }
        };
        let upkeep = async {
            let mut beat = interval(UPKEEP);
            loop {
                beat.tick().await;
                if let Some(recorder) = &recorder {
                    recorder.run_upkeep();
                }
            }
        };
        let stopping = async {
            signal.await;
            stop.cancel();
            let hang_up = async {
                for simulator in simulators.values() {
                    simulator.stop().await;
                }
            };
            let hung_up = timeout(HANG_UP_WITHIN, hang_up).await.is_ok();
            let stopped = gateway.stop(STOP_WITHIN.saturating_sub(HANG_UP_WITHIN));
            // Calls that are up go on meanwhile: the gateway begins nothing new, but it still hears them.
            let (stopped, drained) = tokio::join!(stopped, drain(&trunks));
            hung_up && stopped && drained
        };
        let work = async { tokio::join!(connections, measurements, operators, stopping) };
        let mut work = pin!(work);
        let mut upkeep = pin!(upkeep);
        let (cut_off, (), (), orderly) = tokio::select! {
            done = &mut work => done,
            () = &mut upkeep => work.await,
        };
        orderly && cut_off == 0
    }
}

/// The console as a router; an empty one where it is switched off.
fn make_console(
    config: &Config,
    listens_on: Option<SocketAddr>,
    public_url: &str,
    (gateway, keys): (&Gateway, &Arc<http::Keys>),
    stop: &CancellationToken,
) -> Result<Router, StartError> {
    if !config.console.enabled {
        return Ok(Router::new());
    }
    let public_url = config.console_url(listens_on, public_url)?;
    Ok(console::pages(console::Setup {
        gateway: gateway.clone(),
        keys: Arc::clone(keys),
        config: config.console.clone(),
        oidc: oidc(config, &public_url)?,
        public_url,
        brand: config.verification.brand.clone(),
        clock: Arc::new(SystemClock),
        stop: stop.clone(),
    })?)
}

/// Signing in to the console through an identity provider, where the settings have one. Reaches nobody.
pub(crate) fn oidc(config: &Config, public_url: &Url) -> Result<Option<Arc<Oidc>>, NoClient> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let oidc = config.console.oidc.clone().map(|settings| Oidc::new(settings, public_url, clock, entropy));
    Ok(oidc.transpose()?.map(Arc::new))
}

/// Stands in for the gateway towards the simulators until there is one.
#[derive(Default)]
struct Exchange(OnceLock<Gateway>);

impl Exchange {
    fn join(&self, gateway: Gateway) {
        // Called once, right after the gateway was made.
        let _joined = self.0.set(gateway);
    }
}

impl Switchboard for Exchange {
    fn signal(
        &self,
        carrier: String,
        carrier_call_id: String,
        token: CallToken,
        signal: Signal,
    ) -> Pending<'_, Option<Line>> {
        match self.0.get() {
            Some(gateway) => gateway.signal(carrier, carrier_call_id, token, signal),
            None => Box::pin(std::future::ready(None)),
        }
    }
}

/// What carriers without speech play: our own recordings and those of the folder of call flows.
pub(crate) async fn voice(config: &Config) -> Arc<Voice> {
    let (folder, brand) = (config.callflows.dir.clone(), config.verification.brand.clone());
    let load = tokio::task::spawn_blocking(move || Voice::load(folder.as_deref(), &brand));
    let (voice, faults) = load.await.unwrap_or_else(|_| Voice::load(None, ""));
    for fault in faults {
        tracing::warn!(%fault, "a recording is left aside");
    }
    Arc::new(voice)
}

/// Lets the calls over trunks come to their end. False when some had to be ended.
async fn drain(trunks: &BTreeMap<String, Arc<Sip>>) -> bool {
    let all = futures_util::future::join_all(trunks.values().map(|trunk| trunk.stop(DRAIN_WITHIN))).await;
    all.into_iter().all(|drained| drained)
}

/// A number of this process alone.
fn instance() -> u64 {
    let mut instance = [0; 8];
    SystemEntropy.fill(&mut instance);
    u64::from_ne_bytes(instance)
}

async fn listen_if(setting: &'static str, address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    match address {
        Some(address) => listen(setting, address).await.map(Some),
        None => Ok(None),
    }
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    server::listen(address).await.map_err(|source| StartError::Listen { setting, address, source })
}

/// The console beside other pages, or on an address of its own: the pages, which of their routes are told apart, and that
/// address.
type Placed = (Router, &'static [&'static str], Option<(TcpListener, Arc<Edge>)>);

fn place_console(
    pages: Router,
    console: Router,
    listener: Option<TcpListener>,
    instance: u64,
) -> Result<Placed, StartError> {
    Ok(match listener {
        Some(listener) => {
            let edge = http::pages_edge(console, &console::ROUTES, instance)?;
            (pages, &[], Some((listener, Arc::new(edge))))
        }
        None => (pages.merge(console), &console::ROUTES, None),
    })
}

/// What is measured, in the format that is asked for.
fn scrape(recorder: PrometheusHandle) -> http::Scrape {
    Arc::new(move |form| match form {
        http::Exposition::Prometheus => recorder.render(),
        http::Exposition::OpenMetrics => telemetry::openmetrics(&recorder.render()),
    })
}

async fn open_gateway(
    config: &Config,
    flows: Flows,
    store: Arc<dyn Store>,
    carriers: Vec<Carrier>,
    public_url: &str,
) -> Result<Gateway, StartError> {
    let parts = Parts {
        public_url: public_url.trim_end_matches('/').to_owned(),
        store,
        carriers,
        flows,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        numbers: config.numbers.clone(),
        guard: config.guard.clone(),
        verification: VerificationConfig { call_speed: call_speed(&config.carriers), ..config.verification.clone() },
        callbacks: config.callbacks.clone(),
        retention: config.store.retention,
    };
    Ok(Gateway::open(parts).await?)
}

/// How many times faster than in real life calls go: as fast as those of a simulator, where nothing else places calls.
fn call_speed(carriers: &[CarrierConfig]) -> u16 {
    let speeds = carriers.iter().map(|carrier| match &carrier.kind {
        CarrierKind::Simulator(simulator) => simulator.speed,
        CarrierKind::Twilio(_) | CarrierKind::Sip(_) => 1,
    });
    speeds.min().unwrap_or(1)
}

/// Waits until the process is asked to stop: SIGTERM or SIGINT. The second signal ends it at once, without order.
///
/// # Errors
/// Signals cannot be received.
pub async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _asked = terminate.recv() => {}
        _asked = interrupt.recv() => {}
    }
    Ok(())
}
