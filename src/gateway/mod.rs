//! Owns the shell round the core: what a client asks for and what a carrier says is loaded, stepped, committed, and
//! only then let out into the world. It decides nothing about a verification, and knows neither HTTP statuses nor the
//! dialect of any carrier.

mod document;
mod refusal;
mod request;
mod watch;

use std::{sync::Arc, time::Duration};

pub use document::{
    CallDocument, CallRecordDocument, EventDocument, VerificationDocument, answered_by_word, document, end_word,
    entry_word, events, first_document, record_document, status_event,
};
pub use refusal::Refusal;
pub use request::{AlternateRequest, CallsQuery, CreateRequest, VerificationsQuery};
pub use watch::Watch;

pub use crate::store::{DeadLetter, Page};
use crate::{
    id::{CallId, CallToken, EffectId, VerificationId},
    provider::{Inbound, Line, Pending, Refused, Reply, Switchboard},
    time::Timestamp,
    verification::{CallRecord, Signal, Verification},
};

/// Longest time an answer is held for a client that waits for a change.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Who asks: the tenant. Which scopes its key has is the business of the edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// Name of the API key.
    pub name: String,
}

/// A verification that was made, or made before under the same idempotency key.
#[derive(Debug, Clone)]
pub struct CreatedVerification {
    /// The answer: always how it stood when it was made.
    pub document: VerificationDocument,
    /// Whether an earlier request with the same idempotency key made it.
    pub replayed: bool,
}

/// A short-lived token that reads one verification and its events, for a page that must not hold an API key.
#[derive(Clone, serde::Serialize, utoipa::ToSchema)]
pub struct ViewToken {
    /// The token.
    pub token: String,
    /// Until when it works.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for ViewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A number we call from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct CallerId {
    /// The number, in E.164 form: one of ours, not a secret.
    #[schema(example = "+815012345678")]
    pub number: String,
    /// Its own country, where it has one.
    pub country: Option<String>,
    /// The countries called through its carrier; `*` for all that are allowed.
    pub countries: Vec<String>,
    /// Name of the carrier in the configuration.
    pub carrier: String,
}

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

/// Why a webhook is answered 403. Nothing more is told to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum WebhookRefused {
    /// No such carrier, no such call, or not that call's carrier.
    #[error("the webhook is for no call of ours")]
    NotOurs,
    /// The carrier's adapter did not accept it.
    #[error("the webhook is not authentic")]
    Refused(#[from] Refused),
}

/// The gateway. Cheap to clone; all clones are the same one.
#[derive(Clone)]
pub struct Gateway {
    shell: Arc<Shell>,
}

struct Shell {
    watchers: Arc<watch::Watchers>,
}

impl Gateway {
    /// Makes a verification and has its first call placed. `body_fingerprint` is the request as it was sent: under the
    /// same idempotency key another one is refused.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn create(
        &self,
        client: &Client,
        request: CreateRequest,
        idempotency_key: Option<&str>,
        body_fingerprint: &[u8],
    ) -> Result<CreatedVerification, Refusal> {
        let _ = (client, request, idempotency_key, body_fingerprint);
        Err(Refusal::Draining)
    }

    /// A client's verification as it stands.
    ///
    /// # Errors
    /// `NotFound`, also for another client's; `StoreAway`.
    pub async fn read(&self, client: &Client, id: VerificationId) -> Result<Verification, Refusal> {
        let _ = (client, id);
        Err(Refusal::Draining)
    }

    /// A client's verification, once its revision is another than `known_revision` (than the one at the beginning of
    /// the wait, where none is given), or as it stands after `at_most`, which is capped at [`LONGEST_WAIT`].
    ///
    /// # Errors
    /// As [`Gateway::read`]; `Overloaded` when too many wait already.
    pub async fn wait(
        &self,
        client: &Client,
        id: VerificationId,
        known_revision: Option<u32>,
        at_most: Duration,
    ) -> Result<Verification, Refusal> {
        let _ = (known_revision, at_most);
        self.read(client, id).await
    }

    /// A client's own verifications, newest first.
    ///
    /// # Errors
    /// `OutOfRange` for a cursor that is none; `StoreAway`.
    pub async fn list(&self, client: &Client, query: &VerificationsQuery) -> Result<Page<Verification>, Refusal> {
        let _ = (client, query);
        Err(Refusal::Draining)
    }

    /// Takes a verification back. Taking back what was taken back before is no error.
    ///
    /// # Errors
    /// `NotFound`, `NotPending`, `StoreAway`.
    pub async fn cancel(&self, client: &Client, id: VerificationId) -> Result<Verification, Refusal> {
        self.read(client, id).await
    }

    /// Has the number called again.
    ///
    /// # Errors
    /// `NotFound`, `NotPending`, `NotNow`, `NoCallsLeft`, `StoreAway`.
    pub async fn redial(&self, client: &Client, id: VerificationId) -> Result<Verification, Refusal> {
        self.read(client, id).await
    }

    /// Compares a code typed on the web, in mode `speak`, and says whether it was right.
    ///
    /// # Errors
    /// `NotFound`, `NotPending`, `WrongMode`, `NotNow` before the code was spoken, `OutOfRange`, `StoreAway`.
    pub async fn check(
        &self,
        client: &Client,
        id: VerificationId,
        code: &str,
    ) -> Result<(Verification, bool), Refusal> {
        let _ = code;
        Ok((self.read(client, id).await?, false))
    }

    /// Wakes at each change of a verification. Whether the caller may see it was decided by an earlier
    /// [`Gateway::read`].
    ///
    /// # Errors
    /// `Overloaded` when too many watch already; `Draining`.
    pub fn watch(&self, id: VerificationId) -> Result<Watch, Refusal> {
        self.shell.watchers.watch(id)
    }

    /// A token that reads this one verification and its events for a quarter of an hour.
    ///
    /// # Errors
    /// As [`Gateway::read`].
    pub async fn view_token(&self, client: &Client, id: VerificationId) -> Result<ViewToken, Refusal> {
        self.read(client, id).await?;
        Err(Refusal::Draining)
    }

    /// Whose verification a view token reads, if it is one of ours, for this verification, and not too old.
    #[must_use]
    pub fn check_view_token(&self, token: &str, id: VerificationId) -> Option<Client> {
        let _ = (token, id);
        None
    }

    /// Takes a carrier's webhook and says what the carrier is to do. Trouble of ours is an apology in the carrier's
    /// dialect, never an error.
    ///
    /// # Errors
    /// It is not authentic, or not for a call of ours: nothing was changed.
    pub async fn webhook(&self, carrier: &str, token: &str, inbound: Inbound<'_>) -> Result<Reply, WebhookRefused> {
        let _ = (carrier, token, inbound);
        Err(WebhookRefused::NotOurs)
    }

    /// The call log, newest first.
    ///
    /// # Errors
    /// `InvalidNumber`, `OutOfRange`, `StoreAway`.
    pub async fn calls(&self, query: &CallsQuery) -> Result<Page<CallRecord>, Refusal> {
        let _ = query;
        Err(Refusal::Draining)
    }

    /// One record of the call log.
    ///
    /// # Errors
    /// `NotFound`, `StoreAway`.
    pub async fn call(&self, id: CallId) -> Result<CallRecord, Refusal> {
        let _ = id;
        Err(Refusal::Draining)
    }

    /// The numbers we call from.
    #[must_use]
    pub fn caller_ids(&self) -> Vec<CallerId> {
        Vec::new()
    }

    /// Whether work can be taken.
    pub async fn ready(&self) -> Readiness {
        Readiness { ready: false, checks: Vec::new() }
    }

    /// Results that could not be delivered, newest first.
    ///
    /// # Errors
    /// `StoreAway`.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Refusal> {
        Err(Refusal::Draining)
    }

    /// Has a dead letter delivered again.
    ///
    /// # Errors
    /// `NotFound`, `StoreAway`.
    pub async fn revive(&self, id: EffectId) -> Result<(), Refusal> {
        let _ = id;
        Err(Refusal::Draining)
    }
}

impl Switchboard for Gateway {
    fn signal(
        &self,
        carrier: String,
        carrier_call_id: String,
        token: CallToken,
        signal: Signal,
    ) -> Pending<'_, Option<Line>> {
        let _ = (carrier, carrier_call_id, token, signal);
        Box::pin(async { None })
    }
}
