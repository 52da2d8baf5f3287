//! Owns the `simulator` carrier: telephones that live in this process. It places no call and reaches no network, but
//! it drives the same signals as a real carrier: dialling, ringing, answered, what to play, keys with their turn,
//! silence, the end and its cause. A [`Telephone`] is held by a person (the demo page) or plays a [`Mood`]. It decides
//! nothing about a verification.
//!
//! The time of a call (ring time, speaking rates, pauses) runs `speed` times faster than a clock on the wall.

mod conversation;
mod mood;
mod telephone;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Accepted, Capabilities, CheckFault, HangUpError, Inbound, LiveCall, Order, Pending, Provider, Refused, Reply,
    Switchboard, refused,
};
use crate::{
    callflow::{Line, Script, Then},
    dtmf::Digits,
    id::{CallId, VerificationId},
    outcome::Fault,
    phone::E164,
    time::{Clock, SystemClock},
    verification::{Cause, End, PlaceResult},
};

use conversation::Conversation;
pub use mood::{Mood, NoSuchMood};
pub use telephone::{Caption, CaptionKind, Ending, Phase, Telephone, View};

/// Most calls at once; more are refused, as a carrier refuses what is over its trunk's size.
const MAX_CALLS: usize = 10_000;

/// Most telephones that wait for calls at once. The longest waiting is dropped for a new one.
const MAX_REGISTERED: usize = 4096;

/// How long a call looks for its telephone before it goes to the one that its number stands for. Not scaled: this is
/// the time that a client needs to read its answer.
const CLAIM_WAIT: Duration = Duration::from_secs(1);

/// Settings of a carrier of kind `simulator`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many times faster than in real life calls go: 1 to 1000. Where all carriers are simulators, times that are
    /// measured in a call (`early_keys` of `[verification]`, what counts as having heard the question) go with it.
    pub speed: u16,
    /// The digits that a simulated callee keys when a code is asked for, as it cannot see the screen.
    pub code: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { speed: 1, code: None }
    }
}

impl Config {
    /// Looks for faults; each text says which setting and what to write.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(1..=1000).contains(&self.speed) {
            faults.push(format!("speed: {} is not between 1 and 1000", self.speed));
        }
        if self.code.as_ref().is_some_and(|code| code.parse::<Digits>().is_err()) {
            faults.push(String::from("code: only 0-9, * and # are keys of a telephone, at most 32 of them"));
        }
        faults
    }
}

/// The carrier.
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    config: Config,
    code: Option<Digits>,
    clock: Arc<dyn Clock>,
    /// Weak, because the switchboard holds its carriers.
    switchboard: OnceLock<Weak<dyn Switchboard>>,
    /// Whether there may be a telephone for a call.
    expecting: AtomicBool,
    registered: Mutex<Registered>,
    /// A call finds its telephone when this moves on.
    registrations: tokio::sync::watch::Sender<u64>,
    live: Mutex<BTreeMap<CallId, CancellationToken>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Telephones that wait for calls: for one verification, or for a number.
#[derive(Default)]
struct Registered {
    count: u64,
    for_verification: BTreeMap<VerificationId, (u64, Arc<Telephone>)>,
    for_number: BTreeMap<E164, (u64, Arc<Telephone>)>,
}

impl Simulator {
    /// A simulator under this name of the configuration. It reaches nobody before [`Simulator::connect`].
    #[must_use]
    pub fn new(name: &str, config: Config) -> Self {
        Self::with_clock(name, config, Arc::new(SystemClock))
    }

    /// The same, with a clock of the caller's for the times that a telephone shows.
    #[must_use]
    pub fn with_clock(name: &str, config: Config, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            name: name.to_owned(),
            code: config.code.as_ref().and_then(|code| code.parse().ok()),
            config,
            clock,
            switchboard: OnceLock::new(),
            expecting: AtomicBool::new(false),
            registered: Mutex::default(),
            registrations: tokio::sync::watch::Sender::new(0),
            live: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Says where signals go. Only the first time counts.
    pub fn connect(&self, switchboard: &Arc<dyn Switchboard>) {
        // A second switchboard would split the calls of one carrier over two gateways.
        let _ = self.inner.switchboard.set(Arc::downgrade(switchboard));
    }

    /// From now on a call waits a second for the telephone that is made known for it.
    pub fn expect_telephones(&self) {
        self.inner.expecting.store(true, Ordering::Relaxed);
    }

    /// Lets calls of this verification ring at `telephone`.
    pub fn ring_for_verification(&self, id: VerificationId, telephone: &Arc<Telephone>) {
        self.inner.register(|registered, count| {
            registered.for_verification.insert(id, (count, Arc::clone(telephone)));
            bound(&mut registered.for_verification);
        });
    }

    /// Lets calls to this number ring at `telephone`, unless they are of a verification that has one. The last
    /// telephone of a number wins.
    pub fn ring_for_number(&self, number: &E164, telephone: &Arc<Telephone>) {
        self.inner.register(|registered, count| {
            registered.for_number.insert(number.clone(), (count, Arc::clone(telephone)));
            bound(&mut registered.for_number);
        });
    }

    /// Ends all calls and waits until their ends were handed in.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

/// Drops the longest waiting where there are too many.
fn bound<K: Ord + Clone>(map: &mut BTreeMap<K, (u64, Arc<Telephone>)>) {
    if map.len() > MAX_REGISTERED
        && let Some(oldest) = map.iter().min_by_key(|(_, (count, _))| *count).map(|(key, _)| key.clone())
    {
        map.remove(&oldest);
    }
}

/// A panic while one of our short locks was held leaves a whole value behind: every critical section is one insert or
/// remove.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn register(&self, change: impl FnOnce(&mut Registered, u64)) {
        let mut registered = lock(&self.registered);
        registered.count += 1;
        let count = registered.count;
        change(&mut registered, count);
        drop(registered);
        self.registrations.send_replace(count);
    }

    fn registered_for(&self, order: &Order) -> Option<Arc<Telephone>> {
        let registered = lock(&self.registered);
        let own = registered.for_verification.get(&order.token.call.verification);
        own.map(|(_, telephone)| Arc::clone(telephone))
    }

    /// The telephone that a call rings at.
    async fn find_telephone(&self, order: &Order) -> Arc<Telephone> {
        if self.expecting.load(Ordering::Relaxed) {
            let mut registrations = self.registrations.subscribe();
            let look = async {
                loop {
                    if let Some(telephone) = self.registered_for(order) {
                        return Some(telephone);
                    }
                    registrations.changed().await.ok()?;
                }
            };
            if let Ok(Some(telephone)) = tokio::time::timeout(CLAIM_WAIT, look).await {
                return telephone;
            }
        }
        let by_number = lock(&self.registered).for_number.get(&order.to).map(|(_, telephone)| Arc::clone(telephone));
        by_number.unwrap_or_else(|| Telephone::in_mood(Mood::of_number(&order.to)))
    }

    /// Runs one call from its first signal to its last.
    async fn run(&self, order: &Order, cut: CancellationToken, switchboard: Arc<dyn Switchboard>) {
        let telephone = self.find_telephone(order).await;
        Conversation::new(self, order, &telephone, cut, switchboard.as_ref()).run().await;
        lock(&self.live).remove(&order.token.call);
    }
}

impl Provider for Simulator {
    fn capabilities(&self) -> Capabilities {
        Capabilities { extensions: true, entries: true, speech: true, recordings: true, max_extension: 32 }
    }

    fn place<'a>(&'a self, order: &'a Order) -> Pending<'a, PlaceResult> {
        Box::pin(async move {
            let Some(switchboard) = self.inner.switchboard.get().and_then(Weak::upgrade) else {
                return refused(cause(End::CarrierError, Fault::Us, "not_connected"), true);
            };
            if let Some(result) = Mood::of_number(&order.to).placement() {
                return result;
            }
            let call = order.token.call;
            let cut = self.inner.stop.child_token();
            {
                let mut live = lock(&self.inner.live);
                if live.len() >= MAX_CALLS || self.inner.tasks.is_closed() {
                    return refused(cause(End::CarrierError, Fault::Carrier, "trunk_full"), true);
                }
                // The same call twice would be a second ring: whoever asks again is told that it was taken.
                if live.contains_key(&call) {
                    return PlaceResult::Accepted { carrier_call_id: Some(name_of(call)) };
                }
                live.insert(call, cut.clone());
            }
            let inner = Arc::clone(&self.inner);
            let order = order.clone();
            self.inner.tasks.spawn(async move { inner.run(&order, cut, switchboard).await });
            PlaceResult::Accepted { carrier_call_id: Some(name_of(call)) }
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

    /// The simulator posts nothing: whatever arrives in its name is forged.
    fn accept(&self, _inbound: &Inbound<'_>) -> Result<Accepted, Refused> {
        Err(Refused::UnknownScheme)
    }

    fn render(&self, script: &Script, keys_url: &str) -> Reply {
        Reply { status: 200, content_type: "text/plain; charset=utf-8", body: transcript(script, keys_url) }
    }

    fn acknowledge(&self) -> Reply {
        Reply { status: 204, content_type: "", body: String::new() }
    }

    fn apologize(&self, _language: &str) -> Reply {
        Reply { status: 200, content_type: "text/plain; charset=utf-8", body: String::from("hang up\n") }
    }

    fn check(&self) -> Pending<'_, Result<String, CheckFault>> {
        Box::pin(async {
            if self.inner.switchboard.get().is_some_and(|switchboard| switchboard.strong_count() > 0) {
                Ok(String::from("simulated telephones in this process; nobody is called"))
            } else {
                Err(CheckFault::away("the simulator is not connected to a gateway"))
            }
        })
    }
}

/// The simulator's name for a call.
fn name_of(call: CallId) -> String {
    format!("sim-{call}")
}

/// Why a simulated call ended, with the SIP status that a network would give for it.
fn cause(end: End, fault: Fault, carrier_code: &str) -> Cause {
    let sip_status = match end {
        End::Busy => Some(486),
        End::NoAnswer => Some(480),
        End::Rejected => Some(603),
        End::InvalidNumber => Some(404),
        End::Unreachable => Some(410),
        End::Canceled => Some(487),
        End::CarrierError => Some(503),
        End::Completed | End::Blocked => None,
    };
    let carrier_code = (!carrier_code.is_empty()).then(|| carrier_code.to_owned());
    Cause { end, fault, carrier_code, sip_status }
}

/// A script as a person would read it out. A code is not written, as it is nowhere.
pub(super) fn transcript(script: &Script, keys_url: &str) -> String {
    let mut text = String::new();
    let mut say = |prefix: &str, line: &Line| match line {
        Line::Say { text: said, .. } => text.push_str(&format!("{prefix}say [{}] {said}\n", script.language)),
        Line::Play { recording, .. } => text.push_str(&format!("{prefix}play {recording}\n")),
        Line::SpokenDigits { digits, .. } => text.push_str(&format!("{prefix}say {} digits\n", digits.0.len())),
        Line::Pause(pause) => text.push_str(&format!("{prefix}pause {} ms\n", pause.as_millis())),
    };
    script.before.iter().for_each(|line| say("", line));
    match &script.then {
        Then::Gather(gather) => {
            gather.prompt.iter().for_each(|line| say("  ", line));
            text.push_str(&format!("gather for {} ms, keys to {keys_url}\n", gather.wait.as_millis()));
        }
        Then::HangUp => text.push_str("hang up\n"),
    }
    text
}
