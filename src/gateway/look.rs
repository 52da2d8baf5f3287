//! Owns what operators look at while it happens: a call that is still up, changes of any verification, and results on their
//! way. It changes nothing.

use std::time::Duration;

use tokio::sync::broadcast;

use super::{Gateway, Refusal, create::store_away};
use crate::{
    id::{CallId, VerificationId},
    phone::CountryCode,
    provider::Captured,
    secret::Secret,
    store::{Changed, EffectKind, Waiting},
    verification::{CallRecord, Verification},
};

/// Most effects of the outbox that are looked at for one list.
const MOST_WAITING: usize = 1000;

/// A call as it is seen now.
#[derive(Debug, Clone)]
pub struct SeenCall {
    /// What is known of it. While it is up, `ended_at` means nothing.
    pub record: CallRecord,
    /// Its verification, while that is remembered.
    pub verification: Option<Verification>,
    /// Whether it is up.
    pub alive: bool,
}

/// Results that wait to be delivered.
#[derive(Debug, Clone)]
pub struct WaitingResults {
    /// Which, the next due first.
    pub items: Vec<Waiting>,
    /// Whether there may be more than were looked at.
    pub more: bool,
}

/// Tells that something changed, of whatever verification.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Changed>);

impl Changes {
    /// Waits for the next change that this process knows of, at most so long, and takes all that came meanwhile. Others
    /// beside the same store may change more: that is only seen by looking. False when nothing more will come.
    pub async fn next(&mut self, at_most: Duration) -> bool {
        match tokio::time::timeout(at_most, self.0.recv()).await {
            Ok(Err(broadcast::error::RecvError::Closed)) => return false,
            Ok(Ok(_) | Err(broadcast::error::RecvError::Lagged(_))) | Err(_) => {}
        }
        while !matches!(
            self.0.try_recv(),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed)
        ) {}
        true
    }
}

impl Gateway {
    /// The key that the sessions of the console are sealed with: the same for every ringproof of an installation.
    #[must_use]
    pub fn console_key(&self) -> Secret<[u8; 32]> {
        self.shell.keys.console()
    }

    /// The countries that may be called, in the order of the configuration.
    #[must_use]
    pub fn countries(&self) -> &[CountryCode] {
        &self.shell.numbers.countries
    }

    /// The names of the carriers, in the order in which they are tried.
    #[must_use]
    pub fn carriers(&self) -> &[String] {
        &self.shell.carrier_order
    }

    /// Changes from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.shell.store.changes())
    }

    /// A call, of any client, from its verification while it is up, from the call log afterwards.
    ///
    /// # Errors
    /// `NotFound`, `StoreAway`.
    pub async fn seen_call(&self, id: CallId) -> Result<SeenCall, Refusal> {
        let verification = self.verification(id.verification).await?;
        if let Some(v) = &verification
            && let Some(call) = v.calls.get(usize::from(id.index)).filter(|call| call.is_alive())
        {
            let record = v.record_of(id.index).ok_or(Refusal::NotFound)?;
            return Ok(SeenCall { record, alive: call.is_alive(), verification });
        }
        match self.call(id).await {
            Ok(record) => Ok(SeenCall { record, verification, alive: false }),
            // Over, and its record not written yet.
            Err(Refusal::NotFound) => {
                let record = verification.as_ref().and_then(|v| v.record_of(id.index)).ok_or(Refusal::NotFound)?;
                Ok(SeenCall { record, verification, alive: false })
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// A verification of any client, while it is remembered.
    ///
    /// # Errors
    /// `StoreAway`.
    pub async fn verification(&self, id: VerificationId) -> Result<Option<Verification>, Refusal> {
        self.shell.store.load(id).await.map_err(|fault| store_away(&fault))
    }

    /// What was said in SIP for a call over this carrier, as far as this process keeps it. A carrier that is no longer
    /// configured keeps nothing.
    pub async fn captured(&self, carrier: &str, id: CallId) -> Captured {
        match self.shell.lanes.get(carrier) {
            Some(lane) => lane.carrier.provider.captured(id).await,
            None => Captured::Gone,
        }
    }

    /// Results that wait to be delivered, of all clients.
    ///
    /// # Errors
    /// `StoreAway`.
    pub async fn waiting_results(&self) -> Result<WaitingResults, Refusal> {
        let mut items = self.shell.store.outbox(MOST_WAITING).await.map_err(|fault| store_away(&fault))?;
        let more = items.len() >= MOST_WAITING;
        items.retain(|waiting| waiting.effect.kind == EffectKind::Report);
        Ok(WaitingResults { items, more })
    }
}
