//! Owns the shell round the core: what a client asks for and what a carrier says is loaded, stepped, committed, and
//! only then let out into the world. It decides nothing about a verification, and knows neither HTTP statuses nor the
//! dialect of any carrier.
//!
//! Where to read on: `change` is the one way in which a verification changes; `create`, `client` and `webhook` are the
//! ways in; `dispatch`, `outbox` and `sweep` are the ways out.

mod addresses;
mod admit;
mod backlog;
mod change;
mod client;
mod condition;
mod create;
mod dispatch;
mod document;
mod entropy;
mod erase;
mod explain;
mod guarded;
mod health;
mod keys;
mod ladder;
mod lane;
mod limits;
mod log;
mod look;
mod measure;
mod outbox;
mod refusal;
mod refusals;
mod report;
mod request;
mod route;
mod settings;
mod sign;
mod stats;
mod sweep;
mod tasks;
mod traced;
mod turns;
mod watch;
mod webhook;

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use quick_cache::sync::Cache;
use tracing::{error, info, warn};

pub use client::{LONGEST_WAIT, ViewToken};
pub use condition::{Advice, CarrierCondition, Condition, OutboxCondition, Queue, Trouble};
pub use create::CreatedVerification;
pub use document::{
    CallDocument, CallRecordDocument, EventDocument, VerificationDocument, answered_by_word, document, end_word,
    entry_word, events, first_document, status_event,
};
pub use entropy::SystemEntropy;
pub use erase::{Erased, Erasure, Left as ErasureLeft};
pub use health::{CarrierReadiness, Readiness, ReadinessCheck};
pub use ladder::{Party, between};
pub use lane::CarrierState;
pub use limits::{BarDocument, BarRequest, BarSubject, LiftRequest, Limits, Spending};
pub use log::{AUDIT_LOG, CallSearch, CallerId};
pub use look::{Changes, SeenCall, WaitingResults};
pub use refusal::Refusal;
pub use refusals::RefusedWebhooks;
pub use request::{AlternateRequest, CallsQuery, CreateRequest, VerificationsQuery};
pub use route::{CARRIER_NAME, Carrier, Countries, is_carrier_name};
pub use settings::{CallbacksConfig, NumbersConfig, VerificationConfig};
pub use sign::{NotASigningSecret, SigningSecret};
pub use stats::{
    CarrierStats, CountryStats, Measures, NotARange, Oddity, PREFIX_APART, PREFIX_ATTEMPTS, PrefixStats, Quantiles,
    ReasonStats, Stats, StatsQuery, StatsRange, StatsStep, Usual, VerificationCounts,
};
pub use watch::Watch;
pub use webhook::WebhookRefused;

pub use crate::guard::LimitName;
use crate::{
    callflow::{CallFlow, Flows},
    guard::{self, Guard},
    id::{Entropy, VerificationId},
    store::{Store, StoreError},
    time::Clock,
    verification::Verification,
};
pub use crate::{
    provider::{Captured, SipMessage},
    store::{DeadLetter, Page, Waiting},
};

/// Most committed values that are kept at hand. A value that is not at hand is read from the store.
const MOST_REMEMBERED: usize = 4_096;

/// Who asks: the tenant. Which scopes its key has is the business of the edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// Name of the API key.
    pub name: String,
}

/// What a gateway is made of.
pub struct Parts {
    /// What carriers call, without a slash at the end.
    pub public_url: String,
    /// Where verifications are kept.
    pub store: Arc<dyn Store>,
    /// The carriers, in the order in which they are tried.
    pub carriers: Vec<Carrier>,
    /// The call flows.
    pub flows: Flows,
    /// Where the time is read.
    pub clock: Arc<dyn Clock>,
    /// Where randomness is drawn.
    pub entropy: Arc<dyn Entropy>,
    /// `[numbers]`
    pub numbers: NumbersConfig,
    /// `[verification]`
    pub verification: VerificationConfig,
    /// `[limits]`, `[guard]`, `[spend]`
    pub guard: guard::Settings,
    /// `[callbacks]`
    pub callbacks: CallbacksConfig,
    /// How long call records are kept.
    pub retention: Duration,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("public_url", &self.public_url)
            .field("carriers", &self.carriers)
            .finish_non_exhaustive()
    }
}

/// Why a gateway cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings do not go together; each text says what to change.
    #[error("the settings need a change: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// The store is not usable.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// Results cannot be posted from here.
    #[error("the client that posts results cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// The gateway. Cheap to clone; all clones are the same one.
#[derive(Clone)]
pub struct Gateway {
    shell: Arc<Shell>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("carriers", &self.shell.carrier_order).finish_non_exhaustive()
    }
}

struct Shell {
    public_url: String,
    store: Arc<dyn Store>,
    lanes: BTreeMap<String, Arc<lane::Lane>>,
    carrier_order: Vec<String>,
    flows: Flows,
    /// Stands in for a flow that was removed: nothing of it is played.
    default_flow: Arc<CallFlow>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    keys: keys::Keys,
    guard: Guard,
    numbers: NumbersConfig,
    verification: VerificationConfig,
    retention: Duration,
    reporter: report::Reporter,
    errands: outbox::Errands,
    backlog: backlog::Backlog,
    sweep: sweep::Sweep,
    watchers: Arc<watch::Watchers>,
    passing_on: Arc<tokio::sync::Semaphore>,
    cache: Cache<VerificationId, Arc<Verification>>,
    turns: turns::Turns,
    tallies: stats::AtHand,
    refusals: refusals::Refusals,
    tasks: tasks::Tasks,
}

impl Gateway {
    /// Opens a gateway and sets it to work: from here on it sweeps deadlines and the outbox. Must be called in a Tokio
    /// runtime.
    ///
    /// # Errors
    /// What does not go together, or does not work.
    pub async fn open(parts: Parts) -> Result<Self, OpenError> {
        let secrets = parts.callbacks.signing_secrets();
        let mut faults = faults(&parts);
        faults.extend(secrets.as_ref().err().cloned());
        let hash_key = settings::hash_key(&parts.numbers).unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let default_flow = parts.flows.iter().next().cloned();
        let (Some(default_flow), true) = (default_flow, faults.is_empty()) else {
            return Err(OpenError::Settings(faults));
        };
        let hash_key = match hash_key {
            Some(key) => key,
            None => {
                let mut fresh = [0; 32];
                parts.entropy.fill(&mut fresh);
                parts.store.number_key(fresh).await?
            }
        };
        let reach = if parts.callbacks.allow_private { addresses::Reach::Private } else { addresses::Reach::Public };
        let reporter = report::Reporter::new(secrets.unwrap_or_default(), reach)?;
        measure::announce(&parts.carriers);
        let carrier_order = parts.carriers.iter().map(|carrier| carrier.name.clone()).collect();
        let (lanes, queues): (BTreeMap<_, _>, Vec<_>) = parts
            .carriers
            .into_iter()
            .map(|carrier| {
                let name = carrier.name.clone();
                let (lane, calls) = lane::Lane::new(carrier);
                ((name, Arc::clone(&lane)), (lane, calls))
            })
            .unzip();
        let (errands, effects) = outbox::Errands::new();
        let shell = Arc::new(Shell {
            public_url: parts.public_url.trim_end_matches('/').to_owned(),
            store: parts.store,
            lanes,
            carrier_order,
            flows: parts.flows,
            default_flow,
            clock: parts.clock,
            entropy: parts.entropy,
            keys: keys::Keys::new(&hash_key),
            guard: Guard::new(parts.guard),
            numbers: parts.numbers,
            verification: parts.verification,
            retention: parts.retention,
            reporter,
            errands,
            backlog: backlog::Backlog::default(),
            sweep: sweep::Sweep::default(),
            watchers: Arc::default(),
            passing_on: dispatch::passing_on(),
            cache: Cache::new(MOST_REMEMBERED),
            turns: turns::Turns::default(),
            tallies: stats::AtHand::default(),
            refusals: refusals::Refusals::default(),
            tasks: tasks::Tasks::default(),
        });
        let gateway = Self { shell };
        gateway.set_to_work(queues, effects);
        Ok(gateway)
    }

    fn set_to_work(
        &self,
        queues: Vec<(Arc<lane::Lane>, tokio::sync::mpsc::Receiver<crate::id::CallId>)>,
        effects: outbox::ErrandQueues,
    ) {
        let tasks = &self.shell.tasks;
        for (lane, calls) in queues {
            tasks.spawn(Arc::clone(&self.shell).check_carrier(Arc::clone(&lane)));
            tasks.spawn(Arc::clone(&self.shell).work_lane(lane, calls));
        }
        tasks.spawn(Arc::clone(&self.shell).work_errands(effects.hang_ups));
        tasks.spawn(Arc::clone(&self.shell).work_errands(effects.reports));
        tasks.spawn(Arc::clone(&self.shell).hand_on_changes());
        tasks.spawn(Arc::clone(&self.shell).sweep());
    }

    /// Takes no new work, ends every wait, and lets what is being done come to its end, at most so long. Whatever is
    /// left then is in the store, for another ringproof or the next start. False when something was cut off.
    pub async fn stop(&self, within: Duration) -> bool {
        info!("stopping: no new verifications are taken");
        self.shell.tasks.stop();
        self.shell.watchers.close();
        let orderly = self.shell.tasks.over_within(within).await;
        if orderly {
            info!("stopped: everything that was begun is done");
        } else {
            warn!("stopped before everything that was begun was done; the store has the rest");
        }
        orderly
    }
}

impl Shell {
    /// The flow of this name.
    fn flow(&self, name: &str) -> Option<&CallFlow> {
        self.flows.get(name).map(Arc::as_ref)
    }

    /// Runs work with effects as a task of its own: a client that goes away does not leave half of it undone.
    async fn in_task<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Refusal> {
        self.tasks.spawn(work).await.map_err(|fault| {
            measure::Invariant::TaskFailed.broken();
            error!(%fault, "a request failed: a fault in this program");
            Refusal::Internal
        })
    }
}

/// What does not go together in the settings.
fn faults(parts: &Parts) -> Vec<String> {
    let mut faults = parts.verification.faults();
    faults.extend(parts.guard.faults());
    if parts.flows.iter().next().is_none() {
        faults.push(String::from("there is no call flow: put one into callflows/"));
    }
    if let Some(name) = &parts.verification.flow
        && parts.flows.get(name).is_none()
    {
        let known: Vec<_> = parts.flows.iter().map(|flow| flow.id()).collect();
        faults.push(format!("verification.flow: there is no call flow `{name}`; there are {}", known.join(", ")));
    }
    for (index, carrier) in parts.carriers.iter().enumerate() {
        if !is_carrier_name(&carrier.name) {
            let name = carrier.name.escape_debug();
            faults.push(format!("carriers: the name `{name}` is not {CARRIER_NAME}; it is part of URLs"));
        }
        if parts.carriers.iter().take(index).any(|other| other.name == carrier.name) {
            faults.push(format!("carriers: two have the name `{}`; it is part of URLs", carrier.name.escape_debug()));
        }
        if carrier.from.is_empty() {
            faults.push(format!(
                "carriers: `{}` has no number to call from; give it at least one in `from`",
                carrier.name
            ));
        }
    }
    faults
}
