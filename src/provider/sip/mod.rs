//! Owns the `sip` carrier: a SIP trunk, with ringproof as the telephone. It places calls, plays what the gateway's scripts
//! say and hands in what happens on them, as the other carriers do by webhooks. It decides nothing about a verification.
//! The protocol is in [`crate::sip`], the trunks are in [`endpoint`], sound is in [`media`].

mod capture;
pub mod config;
mod conversation;
pub mod endpoint;
mod identity;
mod line;
pub mod media;
mod outcome;
mod resolve;
mod transport;
mod trunk;
pub mod trunk_uri;
pub mod voice;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Accepted, Capabilities, Captured, CheckFault, HangUpError, Inbound, LiveCall, Order, Pending, Provider, Refused,
    Reply, Switchboard, refused,
};
use crate::{
    callflow::Script,
    id::{CallId, Entropy},
    outcome::{Attestation, Fault},
    sip::sdp,
    time::Clock,
    verification::{End, PlaceResult},
};

pub use config::{Config, OnMachine};
use conversation::Conversation;
use endpoint::{Endpoint, Facing, Offer, Outgoing, PlaceError};
use line::Line;
use media::Media;
use outcome::Unanswered;
use voice::Voice;

/// How long a placement waits for the trunk to say more than "trying": below the time after which the gateway gives a
/// placement up. A trunk that refuses in this time leaves the call to the next carrier.
const DECIDED_WITHIN: Duration = Duration::from_secs(15);

/// The carrier.
pub struct Sip {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    voice: Arc<Voice>,
    /// Weak, because the switchboard holds its carriers.
    switchboard: OnceLock<Weak<dyn Switchboard>>,
    running: OnceLock<Running>,
    live: Mutex<BTreeMap<CallId, CancellationToken>>,
    tasks: TaskTracker,
}

/// What there is once the carrier was started.
struct Running {
    endpoint: Endpoint,
    media: Media,
}

/// Why a carrier of kind `sip` does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its trunks cannot be used.
    #[error(transparent)]
    Trunks(#[from] endpoint::StartError),
    /// There is no media.
    #[error("media cannot be started: {0}")]
    Media(#[source] io::Error),
}

impl std::fmt::Debug for Sip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sip").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

impl Sip {
    /// A carrier under this name of the configuration. It reaches nobody before [`Sip::start`].
    #[must_use]
    pub fn new(
        name: &str,
        config: Config,
        voice: Arc<Voice>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let inner = Inner {
            name: name.to_owned(),
            config,
            clock,
            entropy,
            voice,
            switchboard: OnceLock::new(),
            running: OnceLock::new(),
            live: Mutex::default(),
            tasks: TaskTracker::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes its ports, looks after its trunks, and hands signals to this switchboard. Needs a runtime of tokio. Only the
    /// first time counts.
    ///
    /// # Errors
    /// What cannot be had.
    pub fn start(&self, switchboard: &Arc<dyn Switchboard>) -> Result<(), StartError> {
        let inner = &self.inner;
        if inner.running.get().is_some() {
            return Ok(());
        }
        let media = Media::start(media_settings(&inner.config)).map_err(StartError::Media)?;
        let (clock, entropy) = (Arc::clone(&inner.clock), Arc::clone(&inner.entropy));
        let endpoint = Endpoint::start(&inner.name, &inner.config, clock, entropy)?;
        // A second switchboard would split the calls of one carrier over two gateways.
        let _first = inner.switchboard.set(Arc::downgrade(switchboard));
        let _first = inner.running.set(Running { endpoint, media });
        Ok(())
    }

    /// Places no more calls, lets those that there are come to their end for this long, and ends the rest. False when
    /// some had to be ended.
    pub async fn stop(&self, within: Duration) -> bool {
        let inner = &self.inner;
        inner.tasks.close();
        let Some(running) = inner.running.get() else { return true };
        let drained = running.endpoint.stop(within).await;
        inner.tasks.wait().await;
        drained
    }

    /// Where the carrier listens for SIP, once it was started.
    #[must_use]
    pub fn bound(&self) -> Option<std::net::SocketAddr> {
        self.inner.running.get().map(|running| running.endpoint.bound())
    }
}

/// A panic while one of our short locks was held leaves a whole value behind: every critical section is one insert or
/// remove.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Runs one call from the request to its last signal. `told` learns whether the trunk took it.
    async fn run(self: Arc<Self>, order: Order, cut: CancellationToken, told: oneshot::Sender<PlaceResult>) {
        let call = order.token.call;
        match self.begin(order, cut).await {
            Ok(conversation) => conversation.run(told).await,
            // Whoever asked may have stopped waiting.
            Err(result) => drop(told.send(result)),
        }
        lock(&self.live).remove(&call);
    }

    async fn begin(self: &Arc<Self>, order: Order, cut: CancellationToken) -> Result<Conversation, PlaceResult> {
        let (Some(switchboard), Some(running)) = (self.switchboard.get().and_then(Weak::upgrade), self.running.get())
        else {
            return Err(refused(outcome::of_ours(End::CarrierError, Fault::Us, "not started"), true));
        };
        let (leg, heard) = running.media.open().map_err(|error| {
            tracing::warn!(provider.name = %self.name, %error, "no media for another call");
            full("no media ports left")
        })?;
        let (srtp, local) = (self.config.srtp, leg.local().clone());
        let offer: Offer = Box::new(move |facing: &Facing| {
            let local = sdp::Local { address: facing.address, ..local.clone() };
            sdp::offer(&local, line::protection(srtp, facing.over_tls))
        });
        let outgoing = Outgoing {
            name: order.token.call.to_string(),
            to: order.to.clone(),
            from: order.from.clone(),
            display: None,
            ring_limit: order.ring_timeout,
            offer,
        };
        let placed = running.endpoint.place(outgoing).await.map_err(|error| match error {
            PlaceError::Full => full("the trunk is full"),
            PlaceError::Unreachable(why) => of_verdict(outcome::of(Unanswered::NoWay(&why))),
            PlaceError::Stopping => refused(outcome::of_ours(End::CarrierError, Fault::Us, "stopping"), true),
        })?;
        tracing::debug!(call.id = %order.token.call, provider.name = %self.name, sip.call = placed.call.0, "a call is begun");
        let line = Line::new(placed, leg, heard, srtp);
        let endpoint = running.endpoint.clone();
        Ok(Conversation::new(Arc::clone(self), order, endpoint, line, cut, switchboard))
    }
}

/// What media is, by the settings of a trunk.
fn media_settings(config: &Config) -> media::Settings {
    let bind = config.bind.ip();
    media::Settings {
        bind,
        // Each call is told the address that its trunk sees.
        advertised: config.public_address.unwrap_or(bind),
        ports: config.media_ports.first..=config.media_ports.last,
        latching: if config.symmetric_rtp { media::Latching::SameHost } else { media::Latching::Strict },
    }
}

fn full(why: &str) -> PlaceResult {
    of_verdict(outcome::of(Unanswered::Full(why)))
}

fn of_verdict(verdict: outcome::Verdict) -> PlaceResult {
    refused(verdict.cause, verdict.try_next)
}

impl Provider for Sip {
    fn capabilities(&self) -> Capabilities {
        Capabilities { extensions: true, entries: true, speech: false, recordings: true, max_extension: 32 }
    }

    fn attestation(&self) -> Option<Attestation> {
        identity::attestation(&self.inner.config)
    }

    fn place<'a>(&'a self, order: &'a Order) -> Pending<'a, PlaceResult> {
        Box::pin(async move {
            let inner = &self.inner;
            let call = order.token.call;
            let accepted = PlaceResult::Accepted { carrier_call_id: Some(name_of(call)) };
            let cut = CancellationToken::new();
            {
                let mut live = lock(&inner.live);
                if inner.tasks.is_closed() {
                    return refused(outcome::of_ours(End::CarrierError, Fault::Us, "stopping"), true);
                }
                // The same call twice would be a second ring: whoever asks again is told that it was taken.
                if live.contains_key(&call) {
                    return accepted;
                }
                live.insert(call, cut.clone());
            }
            let (told, decided) = oneshot::channel();
            // Once begun it goes on, even where whoever asked has stopped waiting.
            inner.tasks.spawn(Arc::clone(inner).run(order.clone(), cut, told));
            match timeout(DECIDED_WITHIN, decided).await {
                Ok(Ok(result)) => result,
                // The trunk takes its time: what comes of it are signals.
                Err(_) => accepted,
                Ok(Err(_)) => {
                    PlaceResult::Unknown { cause: outcome::of_ours(End::CarrierError, Fault::Us, "a fault of ours") }
                }
            }
        })
    }

    fn hang_up<'a>(&'a self, call: &'a LiveCall) -> Pending<'a, Result<(), HangUpError>> {
        Box::pin(async move {
            if let Some(cut) = lock(&self.inner.live).get(&call.token.call) {
                cut.cancel();
            }
            Ok(())
        })
    }

    /// A trunk posts nothing: whatever arrives in its name is forged.
    fn accept(&self, _inbound: &Inbound<'_>) -> Result<Accepted, Refused> {
        Err(Refused::UnknownScheme)
    }

    /// What would be played, for `ringproof flow show`; nobody asks for it over HTTP.
    fn render(&self, script: &Script, keys_url: &str) -> Reply {
        Reply {
            status: 200,
            content_type: "text/plain; charset=utf-8",
            body: super::simulator::transcript(script, keys_url),
        }
    }

    fn acknowledge(&self) -> Reply {
        Reply { status: 204, content_type: "", body: String::new() }
    }

    fn apologize(&self, _language: &str) -> Reply {
        Reply { status: 200, content_type: "text/plain; charset=utf-8", body: String::from("hang up\n") }
    }

    fn check(&self) -> Pending<'_, Result<String, CheckFault>> {
        Box::pin(async move {
            let inner = &self.inner;
            let found = match inner.running.get() {
                // A trunk that is not to be asked is not asked by the service; whoever looks at it by hand does ask.
                Some(_) if inner.config.probe_interval.is_zero() => Ok(String::from("not asked: probe_interval is 0s")),
                Some(running) => running.endpoint.check().await,
                None => {
                    let (clock, entropy) = (Arc::clone(&inner.clock), Arc::clone(&inner.entropy));
                    Endpoint::check_alone(&inner.name, &inner.config, clock, entropy).await
                }
            };
            found.map_err(CheckFault::away)
        })
    }

    fn captured(&self, call: CallId) -> Pending<'_, Captured> {
        let Some(folder) = self.inner.config.capture.clone() else {
            return Box::pin(std::future::ready(Captured::Off));
        };
        let read = tokio::task::spawn_blocking(move || capture::read(&folder, call));
        Box::pin(async move { read.await.unwrap_or(Captured::Gone) })
    }
}

/// Our name for a call, as the call log shows it.
fn name_of(call: CallId) -> String {
    format!("sip-{call}")
}
