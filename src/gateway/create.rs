//! Owns making a verification: the idempotency key first, then the one write that holds the number and queues the call.

use std::{net::IpAddr, sync::Arc, time::Duration};

use metrics::counter;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::{
    Client, CreateRequest, Gateway, Refusal, Shell, VerificationDocument,
    admit::Admitted,
    change::Trouble,
    document::first_document,
    guarded::{refusal, tell_refused},
    keys,
};
use crate::{
    guard::{Refused, step::Answer},
    id::{NumberHash, VerificationId},
    span,
    store::{Created, IdempotencyKey, Remembered, StoreError},
    time::Timestamp,
    trace::Trace,
    verification::{Stepped, Verification},
};

/// The route that idempotency keys are scoped to.
const ROUTE: &str = "POST /v1/verifications";
/// Longest idempotency key, in bytes.
const MOST_KEY_BYTES: usize = 255;
/// How long the first request with an idempotency key may take: when nothing came of it by then, the next one with the
/// same key makes the verification, under the same id.
const IN_PROGRESS: Duration = Duration::from_secs(5);
/// How often a create is written when the store does not say whether it was. The id is the same: it is made once.
const TRIES: u32 = 2;
/// How long a client waits for that at most.
const WRITE_LIMIT: Duration = Duration::from_millis(2_300);
/// What is looked at of an address of version 6: the first 64 bits.
const SOURCE_NETWORK: u128 = !(u64::MAX as u128);
/// When a number that is being called for somebody else may be free, in seconds. The true time is not told.
const BUSY_RETRY_AFTER: u32 = 60;

/// A verification that was made, or made before under the same idempotency key.
#[derive(Debug, Clone)]
pub struct CreatedVerification {
    /// The answer: always how it stood when it was made.
    pub document: VerificationDocument,
    /// Whether an earlier request with the same idempotency key made it.
    pub replayed: bool,
}

/// What is asked for, admitted.
struct Asked {
    client: Client,
    now: Timestamp,
    admitted: Admitted,
    /// The keyed hash of the address that asked the client, where it tells that.
    source: Option<NumberHash>,
    /// Where in a trace it belongs.
    trace: Option<Trace>,
}

impl Gateway {
    /// Makes a verification and has its first call placed. Carried out to its end even if the client goes away.
    ///
    /// `body_fingerprint` is the request as it was sent. The same idempotency key with the same body gives the first
    /// answer again, member by member, only without `match_code` once the verification is final; with another body it
    /// is refused, and so it is while the first request is being worked on. A key is remembered for as long as the
    /// verification can be read (`verification.keep_for`), unless the request was refused.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn create(
        &self,
        client: &Client,
        asked: CreateRequest,
        idempotency_key: Option<&str>,
        body_fingerprint: &[u8],
    ) -> Result<CreatedVerification, Refusal> {
        let made = self.shell.judge_and_make(client, asked, idempotency_key, body_fingerprint).await;
        let outcome = match &made {
            Ok(CreatedVerification { replayed: true, .. }) => "replayed",
            Ok(_) => "created",
            Err(refusal) => refusal.code(),
        };
        counter!("ringproof_creates_total", "outcome" => outcome).increment(1);
        made
    }
}

impl Shell {
    async fn judge_and_make(
        self: &Arc<Self>,
        client: &Client,
        asked: CreateRequest,
        idempotency_key: Option<&str>,
        body_fingerprint: &[u8],
    ) -> Result<CreatedVerification, Refusal> {
        if self.tasks.is_stopping() {
            return Err(Refusal::Draining);
        }
        if idempotency_key.is_some_and(|key| !is_key(key)) {
            let why = String::from("1 to 255 printable ASCII characters");
            return Err(Refusal::Malformed { member: String::from("Idempotency-Key"), why });
        }
        let source = asked.source_ip.as_deref().map(source_address).transpose()?;
        let source = source.map(|address| self.keys.source(address));
        let admitted = self.admit(client, asked)?;
        let Some(number) = admitted.request.targets.first().map(|target| target.number_hash) else {
            return Err(Refusal::out_of_range("to", "a number is needed"));
        };
        let now = self.clock.now();
        let id = VerificationId::new(now, self.random(), number.partition());
        let key = idempotency_key.map(|key| IdempotencyKey {
            hash: self.keys.idempotency(client, ROUTE, key),
            fingerprint: keys::fingerprint(body_fingerprint),
            id,
        });
        let asked = Asked { client: client.clone(), now, admitted, source, trace: span::origin() };
        let shell = Arc::clone(self);
        self.in_task(async move { shell.make(id, asked, key).await }).await?
    }

    async fn make(
        self: &Arc<Self>,
        id: VerificationId,
        asked: Asked,
        key: Option<IdempotencyKey>,
    ) -> Result<CreatedVerification, Refusal> {
        let Some(key) = key else { return self.write(id, asked).await };
        let id =
            match self.store.remember(&key, self.verification.keep_for).await.map_err(|fault| store_away(&fault))? {
                Remembered::New => id,
                Remembered::Other => return Err(Refusal::IdempotencyKeyReused),
                Remembered::Same(first, since) => match self.fresh(first).await {
                    Ok(v) => return Ok(replayed(&v)),
                    Err(Trouble::NotThere) if asked.now.since(since) < IN_PROGRESS => {
                        return Err(Refusal::IdempotencyInProgress);
                    }
                    // Whoever came first died before anything was written.
                    Err(Trouble::NotThere) => first,
                    Err(_) => return Err(Refusal::StoreAway),
                },
            };
        let made = self.write(id, asked).await;
        if let Err(
            Refusal::AlreadyPending { .. }
            | Refusal::NumberBusy { .. }
            | Refusal::Limited { .. }
            | Refusal::Barred { .. },
        ) = made
            && let Err(fault) = self.store.forget(&key).await
        {
            warn!(%fault, "an idempotency key could not be forgotten; the same request is refused until it is");
        }
        made
    }

    /// The one write.
    async fn write(self: &Arc<Self>, id: VerificationId, asked: Asked) -> Result<CreatedVerification, Refusal> {
        let Asked { client, now, admitted, source, trace } = asked;
        let flow = self.flow(&admitted.request.flow).unwrap_or(&self.default_flow);
        let expires_at = now.plus(admitted.life);
        let (mut v, effects) = Verification::start(id, now, expires_at, admitted.request, flow, self.random());
        v.trace = trace;
        let stepped = Stepped { changed: true, effects, ..Stepped::default() };
        let guard = self.first_call(&v, source, now).map_err(|refused| not_called(&v, &refused))?;
        v.admit(0, guard.admission(now));
        let (mut tries, end) = (1, Instant::now() + WRITE_LIMIT);
        loop {
            let (effects, change) = self.commit_of(None, &v, &stepped, Some(&guard), now);
            let written = timeout_at(end, self.store.create(change)).await;
            match written.unwrap_or(Err(StoreError::Timeout)) {
                // `Exists` after a try whose end is not known: that try was written.
                Ok(created) if created_by_us(&created, tries) => {
                    if let Created::Done(at) | Created::Admitted { at, .. } = created {
                        v.admit(0, guard.admission(at));
                    }
                    if let Created::Admitted { seen, .. } = &created {
                        self.judge_calls(&v, &guard, seen).await;
                    }
                    let v = Arc::new(v);
                    info!(
                        verification.id = %id, client = %client.name, mode = %v.request.mode, flow = %v.request.flow,
                        country = v.request.targets.first().map(|target| target.country.to_string()),
                        targets = v.request.targets.len(), "verification created"
                    );
                    self.remember(&v);
                    self.committed(None, &v, effects);
                    return Ok(CreatedVerification { document: first_document(&v), replayed: false });
                }
                // Written by a request before this one, with the same idempotency key; that one lets its effects out.
                Ok(Created::Done(_) | Created::Admitted { .. } | Created::Exists) => {
                    return self.fresh(id).await.map(|v| replayed(&v)).map_err(|_| Refusal::StoreAway);
                }
                Ok(Created::Barred(stop)) => {
                    let refused = guard.plan.read(Answer::Refused(stop)).err();
                    return Err(refused.map_or(Refusal::Internal, |refused| not_called(&v, &refused)));
                }
                Ok(Created::NumberHeld { by, client: holder }) if holder == client.name => {
                    return Err(Refusal::AlreadyPending { id: by });
                }
                Ok(Created::NumberHeld { .. }) => return Err(Refusal::NumberBusy { retry_after: BUSY_RETRY_AFTER }),
                Err(StoreError::Timeout) if tries < TRIES && Instant::now() < end => tries += 1,
                Err(fault) => return Err(store_away(&fault)),
            }
        }
    }

    pub(super) fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

fn created_by_us(created: &Created, tries: u32) -> bool {
    match created {
        Created::Done(_) | Created::Admitted { .. } => true,
        Created::Exists => tries > 1,
        Created::NumberHeld { .. } | Created::Barred(_) => false,
    }
}

fn not_called(v: &Verification, refused: &Refused) -> Refusal {
    tell_refused(v, "create", refused);
    refusal(refused)
}

/// The address that a backend tells. Of one of version 6 the network is what somebody has.
fn source_address(text: &str) -> Result<IpAddr, Refusal> {
    match text.trim().parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => Ok(IpAddr::V6((u128::from(address) & SOURCE_NETWORK).into())),
        Ok(address) => Ok(address),
        Err(_) => {
            Err(Refusal::out_of_range("source_ip", "an address of the internet, as in 203.0.113.7 or 2001:db8::7"))
        }
    }
}

fn replayed(v: &Verification) -> CreatedVerification {
    CreatedVerification { document: first_document(v), replayed: true }
}

fn is_key(key: &str) -> bool {
    (1..=MOST_KEY_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// The store did not do what was asked; logged here, where it is handled.
pub(super) fn store_away(fault: &StoreError) -> Refusal {
    warn!(%fault, "a request is refused because of the store");
    Refusal::StoreAway
}
