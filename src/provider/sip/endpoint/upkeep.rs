//! Owns what goes on while nobody calls: finding the servers of each trunk anew, asking them whether they live, and
//! staying registered. What their answers mean for calls is `trunk`'s to say.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{Inner, driver::Command, lock};
use crate::{
    provider::sip::trunk::Target,
    sip::{Credentials, Probe, ProbeKey, ProbeResult, Registration, RegistrationKey, RegistrationState},
};

/// How often DNS is asked where no probes are sent.
const FIND_EVERY: Duration = Duration::from_secs(30);
/// How often servers that are down are asked, where probes are sent at all.
const PROBE_DOWN_EVERY: Duration = Duration::from_secs(5);
/// How long an answer to a probe may take.
const PROBE_WITHIN: Duration = Duration::from_secs(4);
/// How long a registration waits for a server that is up.
const REGISTER_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Most states of a registration that wait to be read.
const MAX_STATES: usize = 16;

/// Begins to look after the trunks.
pub(super) fn start(inner: &Arc<Inner>) {
    let looking = Arc::clone(inner);
    inner.tasks.spawn(async move {
        let rest = looking.rest.clone();
        tokio::select! {
            () = rest.cancelled() => {}
            () = look_after(&looking) => {}
        }
    });
    if inner.config.register {
        for (trunk, _) in inner.config.all_trunks().enumerate() {
            let registering = Arc::clone(inner);
            inner.tasks.spawn(async move {
                let rest = registering.rest.clone();
                tokio::select! {
                    () = rest.cancelled() => {}
                    () = stay_registered(&registering, trunk) => {}
                }
            });
        }
    }
}

async fn look_after(inner: &Arc<Inner>) {
    let interval = inner.config.probe_interval;
    let mut since_all = Duration::MAX;
    loop {
        if since_all >= interval {
            if let Err(why) = find(inner).await {
                tracing::warn!(provider.name = %inner.name, "a trunk is not found: {why}");
            }
            since_all = Duration::ZERO;
        }
        let all = since_all.is_zero();
        let targets = lock(&inner.trunks).targets();
        let asked = targets.iter().filter(|(_, up)| !interval.is_zero() && (all || !up));
        join_all(asked.map(|(target, _)| ask(inner, *target))).await;
        let targets = lock(&inner.trunks).targets();
        let up = targets.iter().filter(|(_, up)| *up).count();
        metrics::gauge!("ringproof_sip_servers_up", "carrier" => inner.name.clone()).set(count(up));
        metrics::gauge!("ringproof_sip_servers", "carrier" => inner.name.clone()).set(count(targets.len()));
        let pause = match (interval.is_zero(), up == targets.len()) {
            (true, _) => FIND_EVERY,
            (false, true) => interval,
            (false, false) => interval.min(PROBE_DOWN_EVERY),
        };
        sleep(pause).await;
        since_all = since_all.saturating_add(pause);
    }
}

fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Finds the servers of all trunks. An error only when of none a server is known.
pub(super) async fn find(inner: &Inner) -> Result<(), String> {
    let found = inner.config.all_trunks().map(|trunk| inner.resolver.find(inner.config.first_hop(trunk)));
    let found = join_all(found).await;
    let mut trunks = lock(&inner.trunks);
    let mut faults = Vec::new();
    for (index, found) in found.into_iter().enumerate() {
        match found {
            Ok(hops) => trunks.found(index, &hops),
            Err(error) => faults.push(error.to_string()),
        }
    }
    if trunks.is_empty() { Err(faults.join("; ")) } else { Ok(()) }
}

/// Asks one server whether it lives, and notes what comes of it.
async fn ask(inner: &Arc<Inner>, target: Target) {
    match probe(inner, target, None).await {
        Ok(ProbeResult::Answered { code: 408, .. }) => inner.target_failed(target, "it answers 408 to OPTIONS"),
        Ok(ProbeResult::Answered { code: 503, retry_after, .. }) => match retry_after {
            Some(after) => inner.target_blocked(target, after),
            None => inner.target_failed(target, "it answers 503 to OPTIONS"),
        },
        Ok(ProbeResult::Answered { .. }) => inner.target_heard(target),
        Ok(ProbeResult::Silent) => inner.target_failed(target, "it does not answer OPTIONS"),
        Ok(ProbeResult::FlowFailed) => inner.target_failed(target, "it cannot be reached"),
        Ok(ProbeResult::NotSent) => {}
        Err(why) => inner.target_failed(target, &why),
    }
}

/// Sends OPTIONS to a server. An error says why it cannot be reached.
pub(super) async fn probe(
    inner: &Inner,
    target: Target,
    credentials: Option<Credentials>,
) -> Result<ProbeResult, String> {
    let opened = inner.network.flow(&inner.destination(target)).await.map_err(|error| error.to_string())?;
    let trunk = inner.trunk(target);
    let probe = Probe {
        probe: ProbeKey(inner.next_key()),
        path: inner.path(target, opened),
        uri: format!("sip:{}{}", super::authority(trunk), super::transport_parameter(trunk)),
        from: inner.party(trunk),
        credentials,
        limit: PROBE_WITHIN,
    };
    let (told, result) = oneshot::channel();
    let stopped = || String::from("the carrier is being stopped");
    inner.commands.send(Command::Probe { probe: Box::new(probe), told }).await.map_err(|_| stopped())?;
    result.await.map_err(|_| stopped())
}

/// Registers at the first server of a trunk that is up, and at another when that one is away.
async fn stay_registered(inner: &Arc<Inner>, trunk: usize) {
    loop {
        let up = |(target, up): &(Target, bool)| (target.trunk == trunk && *up).then_some(*target);
        let target = lock(&inner.trunks).targets().iter().find_map(up);
        if let Some(target) = target
            && let Some((registration, mut states)) = register(inner, target, inner.config.register_for).await
        {
            while let Some(state) = states.recv().await {
                match state {
                    RegistrationState::Registered { expires } => {
                        inner.target_heard(target);
                        tracing::info!(provider.name = %inner.name, "registered at {} for {} s", target.hop, expires.as_secs());
                    }
                    RegistrationState::Failed { code: Some(code), retry_in } => {
                        let again = retry_in.as_secs();
                        tracing::error!(
                            provider.name = %inner.name,
                            "{} refuses our registration ({code}); are username and password right? Tried again in {again} s",
                            target.hop
                        );
                    }
                    RegistrationState::Failed { code: None, .. } => {
                        inner.target_failed(target, "it does not answer REGISTER");
                        // That is not answered either: another server is not kept waiting for it.
                        let _stopped = inner.commands.send(Command::Unregister(registration)).await;
                        break;
                    }
                    RegistrationState::Unregistered => break,
                }
            }
        }
        sleep(REGISTER_AGAIN_AFTER).await;
    }
}

/// Asks the driver to register at a server.
pub(super) async fn register(
    inner: &Inner,
    target: Target,
    expires: Duration,
) -> Option<(RegistrationKey, mpsc::Receiver<RegistrationState>)> {
    let opened = match inner.network.flow(&inner.destination(target)).await {
        Ok(opened) => opened,
        Err(error) => {
            inner.target_failed(target, &error.to_string());
            return None;
        }
    };
    let trunk = inner.trunk(target);
    let registration = Registration {
        registration: RegistrationKey(inner.next_key()),
        path: inner.path(target, opened),
        registrar: format!("sip:{}{}", super::authority(trunk), super::transport_parameter(trunk)),
        address: inner.party(trunk),
        credentials: inner.credentials(),
        expires,
    };
    let (told, states) = mpsc::channel(MAX_STATES);
    let key = registration.registration;
    inner.commands.send(Command::Register { registration: Box::new(registration), told }).await.ok()?;
    Some((key, states))
}

impl Inner {
    /// A server answered.
    pub(super) fn target_heard(&self, target: Target) {
        if lock(&self.trunks).heard(target) {
            tracing::info!(provider.name = %self.name, "{} of {} is up again", target.hop, self.trunk(target));
        }
    }

    /// A server did not answer, or could not be reached.
    pub(super) fn target_failed(&self, target: Target, why: &str) {
        let now = self.now();
        if lock(&self.trunks).failed(now, target) {
            tracing::warn!(provider.name = %self.name, "{} of {} is down: {why}", target.hop, self.trunk(target));
        }
    }

    /// A server wants to be left alone for a time.
    pub(super) fn target_blocked(&self, target: Target, retry_after: Duration) {
        let now = self.now();
        lock(&self.trunks).blocked(now, target, retry_after);
        let seconds = retry_after.as_secs();
        tracing::warn!(provider.name = %self.name, "{} of {} wants no calls for {seconds} s", target.hop, self.trunk(target));
    }

    /// Ends a call that nobody listens to. Not from inside the driver's own turn, so by its queue.
    pub(super) fn hang_up_soon(&self, call: crate::sip::CallKey) {
        // Without room the next event of the call comes by here again, and its limits end it.
        let _full = self.commands.try_send(Command::HangUp { call, reason: None });
    }
}
