//! Owns saying whether work can be taken: the store writes, its clock and ours agree, a carrier can be reached, and we
//! are not about to stop. Carriers are asked now and then, not each time somebody wants to know.

use std::{sync::Arc, time::Duration};

use metrics::gauge;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::{
    Gateway, Shell,
    lane::{CarrierState, Lane},
};
use crate::provider::{CheckFault, CheckKind};

/// Longest time a store may take to show that it writes.
const STORE_LIMIT: Duration = Duration::from_secs(2);
/// How far the store's clock and ours may be apart.
const CLOCK_TOLERANCE_MS: u64 = 2_000;
/// How often a carrier is asked whether it knows us: while it does, and while it does not.
const BETWEEN_CHECKS: Duration = Duration::from_secs(60);
const AFTER_A_FAILURE: Duration = Duration::from_secs(5);
/// Pause between two questions, whatever gave rise to the second.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// How long a carrier has to answer.
const CARRIER_LIMIT: Duration = Duration::from_secs(10);

/// Whether work can be taken, and what stands in the way.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// Whether requests and webhooks should be sent here.
    pub ready: bool,
    /// Each thing that was looked at.
    pub checks: Vec<ReadinessCheck>,
    /// Each carrier.
    pub carriers: Vec<CarrierReadiness>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct ReadinessCheck {
    /// What: `store`, `clock`, `carriers`, `draining`.
    pub name: &'static str,
    /// Whether it is as it must be.
    pub ok: bool,
    /// In words, for people who look after us.
    pub detail: String,
}

/// How a carrier is.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct CarrierReadiness {
    /// Its name in the configuration.
    pub name: String,
    /// How it is.
    pub state: CarrierState,
    /// In words, for people who look after us.
    pub detail: String,
}

impl Gateway {
    /// Whether work can be taken.
    ///
    /// Carriers that cannot be used do not make this false while a verification is awaited: webhooks of calls that are
    /// up arrive here, and whoever sends them elsewhere loses them.
    pub async fn ready(&self) -> Readiness {
        let mut checks = self.shell.check_store().await;
        let stopping = self.shell.tasks.is_stopping();
        let detail = String::from(if stopping { "this process is stopping" } else { "taking work" });
        checks.push(ReadinessCheck { name: "draining", ok: !stopping, detail });
        let mut ready = checks.iter().all(|check| check.ok);
        let carriers = self.shell.carriers();
        let mut usable = carriers_usable(&carriers);
        if !usable.ok && ready {
            ready = self.shell.is_awaited().await;
            usable.detail.push_str(if ready {
                "; calls may be up, whose webhooks are taken here"
            } else {
                "; no call is up"
            });
        }
        checks.push(usable);
        Readiness { ready, checks, carriers }
    }
}

/// One carrier that works is enough: calls go through the others again when they are back.
fn carriers_usable(carriers: &[CarrierReadiness]) -> ReadinessCheck {
    let ok = carriers.iter().any(|carrier| carrier.state == CarrierState::Usable);
    let said: Vec<_> = carriers.iter().map(|carrier| format!("{}: {}", carrier.name, carrier.detail)).collect();
    let detail = if said.is_empty() { String::from("none is configured") } else { said.join("; ") };
    ReadinessCheck { name: "carriers", ok, detail }
}

impl Shell {
    async fn check_store(&self) -> Vec<ReadinessCheck> {
        let store = |ok, detail| ReadinessCheck { name: "store", ok, detail };
        match timeout(STORE_LIMIT, self.store.check(self.clock.now())).await {
            Ok(Ok(health)) => {
                let ahead = health.clock_ahead_ms;
                let detail = if health.warnings.is_empty() {
                    health.description
                } else {
                    format!("{}; {}", health.description, health.warnings.join("; "))
                };
                let apart = Duration::from_millis(ahead.unsigned_abs()).as_secs_f64();
                gauge!("ringproof_store_clock_ahead_seconds").set(if ahead < 0 { -apart } else { apart });
                let ok = ahead.unsigned_abs() < CLOCK_TOLERANCE_MS;
                vec![
                    store(true, detail),
                    ReadinessCheck {
                        name: "clock",
                        ok,
                        detail: format!("the store's clock is {ahead} ms ahead of ours"),
                    },
                ]
            }
            Ok(Err(fault)) => vec![store(false, fault.to_string())],
            Err(_) => vec![store(false, format!("no answer within {STORE_LIMIT:?}"))],
        }
    }

    fn carriers(&self) -> Vec<CarrierReadiness> {
        let now = self.clock.now();
        let lanes = self.carrier_order.iter().filter_map(|name| self.lanes.get(name));
        lanes
            .map(|lane| {
                let (state, detail) = lane.state(now);
                CarrierReadiness { name: lane.carrier.name.clone(), state, detail }
            })
            .collect()
    }

    /// Whether any verification, of any ringproof beside the same store, has a deadline: a call may be up then.
    async fn is_awaited(&self) -> bool {
        match timeout(STORE_LIMIT, self.store.due(1)).await {
            Ok(Ok(due)) => due.next.is_some() || !due.ids.is_empty(),
            // In doubt calls are up.
            Ok(Err(_)) | Err(_) => true,
        }
    }

    /// Asks a carrier now and then, and when it becomes doubtful that it knows us, until we stop.
    pub(super) async fn check_carrier(self: Arc<Self>, lane: Arc<Lane>) {
        loop {
            let asked = async {
                let between = if self.ask_carrier(&lane).await { BETWEEN_CHECKS } else { AFTER_A_FAILURE };
                sleep(LEAST_PAUSE).await;
                let _ = timeout(between.saturating_sub(LEAST_PAUSE), lane.in_doubt.notified()).await;
            };
            if self.tasks.unless_stopping(asked).await.is_none() {
                return;
            }
        }
    }

    /// Whether it knows us.
    async fn ask_carrier(&self, lane: &Lane) -> bool {
        let name = &lane.carrier.name;
        let said = match timeout(CARRIER_LIMIT, lane.carrier.provider.check()).await {
            Ok(said) => said,
            Err(_) => Err(CheckFault::away(format!("no answer within {CARRIER_LIMIT:?}"))),
        };
        gauge!("ringproof_carrier_up", "carrier" => name.clone()).set(u8::from(said.is_ok()));
        let before = lane.probed(said.clone(), self.clock.now());
        let is_ok = said.is_ok();
        let kind_before = before.map(|said| said.err().map(|fault| fault.kind));
        match (kind_before, said) {
            (Some(Some(_)), Ok(_)) => info!(provider.name = %name, "carrier can be used again"),
            (Some(None) | None, Ok(_)) => {}
            (Some(Some(before)), Err(fault)) if before == fault.kind => {}
            (_, Err(fault)) => match fault.kind {
                CheckKind::Refused => error!(provider.name = %name, %fault, "carrier does not know us"),
                CheckKind::Away => warn!(provider.name = %name, %fault, "carrier cannot be reached"),
            },
        }
        is_ok
    }
}
