//! Owns saying whether work can be taken: the store writes, its clock and ours agree, a carrier can be reached, and we
//! are not about to stop. Carriers are asked now and then, not each time somebody wants to know.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use metrics::gauge;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{Gateway, Shell, dispatch::Lane};

/// Longest time a store may take to show that it writes.
const STORE_LIMIT: Duration = Duration::from_secs(2);
/// How far the store's clock and ours may be apart.
const CLOCK_TOLERANCE_MS: u64 = 2_000;
/// How often carriers are asked whether they know us, and how long each has to answer.
const BETWEEN_CHECKS: Duration = Duration::from_secs(60);
const CARRIER_LIMIT: Duration = Duration::from_secs(10);

/// Whether work can be taken, and what stands in the way.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// Whether everything that is needed works.
    pub ready: bool,
    /// Each thing that was looked at.
    pub checks: Vec<ReadinessCheck>,
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

/// What each carrier said when it was asked last; nothing before the first answer.
#[derive(Default)]
pub(super) struct CarrierChecks(Mutex<BTreeMap<String, Result<String, String>>>);

impl CarrierChecks {
    fn of(&self, carrier: &str) -> Option<Result<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(carrier).cloned()
    }

    fn write(&self, carrier: &str, said: Result<String, String>) -> Option<Result<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(carrier.to_owned(), said)
    }
}

impl Gateway {
    /// Whether work can be taken.
    pub async fn ready(&self) -> Readiness {
        let mut checks = self.shell.check_store().await;
        checks.push(self.shell.carriers_usable());
        let draining = self.shell.tasks.is_stopping();
        let detail = String::from(if draining { "this process is stopping" } else { "taking work" });
        checks.push(ReadinessCheck { name: "draining", ok: !draining, detail });
        Readiness { ready: checks.iter().all(|check| check.ok), checks }
    }
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
                gauge!("ringproof_store_clock_ahead_seconds")
                    .set(Duration::from_millis(ahead.unsigned_abs()).as_secs_f64());
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

    /// One carrier that works is enough: calls go through the others again when they are back.
    fn carriers_usable(&self) -> ReadinessCheck {
        let now = self.clock.now();
        let states: Vec<(bool, String)> = self
            .lanes
            .iter()
            .map(|(name, lane)| match self.carrier_checks.of(name) {
                _ if lane.rests(now) => (false, format!("{name}: failed again and again just now")),
                None => (true, format!("{name}: not asked yet")),
                Some(Ok(said)) => (true, format!("{name}: {said}")),
                Some(Err(fault)) => (false, format!("{name}: {fault}")),
            })
            .collect();
        let ok = states.iter().any(|(usable, _)| *usable);
        let detail = states.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ");
        ReadinessCheck {
            name: "carriers",
            ok,
            detail: if detail.is_empty() { String::from("none is configured") } else { detail },
        }
    }

    /// Asks the carriers now and then, until we stop.
    pub(super) async fn check_carriers(self: Arc<Self>) {
        loop {
            let asked = async {
                join_all(self.lanes.values().map(|lane| self.check_carrier(lane))).await;
                sleep(BETWEEN_CHECKS).await;
            };
            if self.tasks.unless_stopping(asked).await.is_none() {
                return;
            }
        }
    }

    async fn check_carrier(&self, lane: &Lane) {
        let name = &lane.carrier.name;
        let said = match timeout(CARRIER_LIMIT, lane.carrier.provider.check()).await {
            Ok(said) => said,
            Err(_) => Err(format!("no answer within {CARRIER_LIMIT:?}")),
        };
        gauge!("ringproof_carrier_up", "carrier" => name.clone()).set(u8::from(said.is_ok()));
        let before = self.carrier_checks.write(name, said.clone());
        match (before, said) {
            (Some(Ok(_)) | None, Err(fault)) => warn!(provider.name = %name, fault, "carrier cannot be used"),
            (Some(Err(_)), Ok(_)) => info!(provider.name = %name, "carrier can be used again"),
            (Some(Ok(_)) | None, Ok(_)) | (Some(Err(_)), Err(_)) => {}
        }
    }
}
