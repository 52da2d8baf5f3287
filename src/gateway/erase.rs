//! Owns taking a number out of the call log, for whoever may ask for it: the records of its calls, what indexes know of
//! them, and their results that could not be delivered. A number that is being verified is left alone, and verifications that
//! are over go by their own time: how many there are, and until when, is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tracing::{info, warn};

use super::{Gateway, Refusal, Shell, admit::number_refusal, create::store_away, log::AUDIT_LOG};
use crate::{
    id::{EffectId, NumberHash, VerificationId},
    phone::{self, CountryCode},
    store::{CallQuery, Held},
    time::Timestamp,
    verification::Verification,
};

/// Records that are erased at once, and how often for one request.
const RECORDS_AT_ONCE: usize = 200;
const ROUNDS: usize = 5;
/// Dead letters that are looked through, newest first.
const MOST_DEAD_LETTERS: usize = 5_000;
/// How long a number is held at most while its records are erased: no verification of it begins meanwhile.
const HELD_FOR: Duration = Duration::from_secs(30);

/// What is to be erased.
#[derive(Clone)]
pub struct Erasure {
    /// Who asks: name of the API key, for the audit log.
    pub asked_by: String,
    /// Only of this client's verifications; `None` for those of all clients, which only operators may ask for.
    pub client: Option<String>,
    /// The number, in any form that `to` may have.
    pub number: String,
    /// How a national number is read.
    pub country: Option<String>,
}

/// Shows everything but the number.
impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure")
            .field("asked_by", &self.asked_by)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Erased {
    /// Records of calls that were taken out.
    pub erased: usize,
    /// Results of their verifications that could not be delivered, taken out of the dead letters.
    pub dead_letters: usize,
    /// Whether there are, or may be, more: ask again.
    pub more: bool,
    /// What is left of the verifications whose records were taken out now; null where nothing is.
    pub left: Option<Left>,
}

/// Verifications that are over, and can still be read by their id until they go by their own time. Nobody finds them by
/// the number, and they show it masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = ErasureLeft)]
pub struct Left {
    /// How many.
    pub verifications: usize,
    /// When the last of them goes; results that still wait for their backend go with their last attempt.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

impl Gateway {
    /// Erases the records of calls to a number, at most a thousand at once, and the dead letters of their verifications. It stands in the audit log, without the number.
    ///
    /// # Errors
    /// `InvalidNumber`, `OutOfRange`; `AlreadyPending` or `NumberBusy` while the number is being verified; `StoreAway`.
    pub async fn erase(&self, asked: Erasure) -> Result<Erased, Refusal> {
        let shell = Arc::clone(&self.shell);
        self.shell.in_task(async move { shell.erase(&asked).await }).await?
    }
}

impl Shell {
    async fn erase(&self, asked: &Erasure) -> Result<Erased, Refusal> {
        let country = asked.country.as_deref().map(str::parse::<CountryCode>).transpose();
        let country = country.map_err(|why| Refusal::out_of_range("country", why.to_string()))?;
        let number = phone::read(&asked.number, country).map_err(|why| number_refusal("number", why))?;
        let hash = self.keys.number(&number.e164);
        let by = VerificationId::new(self.clock.now(), self.random(), hash.partition());
        match self.store.hold(hash, by, HELD_FOR).await.map_err(|fault| store_away(&fault))? {
            Held::Yes => {}
            Held::By(other) => return Err(self.held_by(other, asked).await),
        }
        let outcome = self.erase_held(hash, asked.client.clone()).await;
        if let Err(fault) = self.store.release(hash, by).await {
            warn!(%fault, "a number could not be let go after its records were erased; it is free in half a minute");
        }
        let erased = outcome?;
        info!(target: AUDIT_LOG, client = %asked.asked_by, number.masked = %number.e164, number.hash = %hash,
            of_client = asked.client.as_deref().unwrap_or("*"), erased = erased.erased,
            dead_letters = erased.dead_letters, more = erased.more,
            "the records of a number are erased");
        Ok(erased)
    }

    /// Another client's verification is not told of.
    async fn held_by(&self, other: VerificationId, asked: &Erasure) -> Refusal {
        let holder = self.store.load(other).await.ok().flatten().map(|v| v.request.client);
        match (&asked.client, holder) {
            (Some(client), Some(holder)) if *client != holder => Refusal::NumberBusy { retry_after: 60 },
            (_, None) => Refusal::NumberBusy { retry_after: 60 },
            (_, Some(_)) => Refusal::AlreadyPending { id: other },
        }
    }

    async fn erase_held(&self, number: NumberHash, client: Option<String>) -> Result<Erased, Refusal> {
        let letters = self.letters().await?;
        let mut query = CallQuery { client, number: Some(number), limit: RECORDS_AT_ONCE, ..CallQuery::default() };
        let mut of = BTreeSet::new();
        let mut done = Erased { erased: 0, dead_letters: 0, more: true, left: None };
        for _ in 0..ROUNDS {
            let page = self.store.calls(&query).await.map_err(|fault| store_away(&fault))?;
            let fresh = page.items.iter().map(|record| record.id.verification).filter(|id| of.insert(*id));
            let gone: Vec<EffectId> = fresh.flat_map(|id| letters.get(&id).cloned().unwrap_or_default()).collect();
            // Before the records: whoever asks again after a fault finds by them what is left.
            for letter in gone {
                let was_there = self.store.discard(letter).await.map_err(|fault| store_away(&fault))?;
                done.dead_letters += usize::from(was_there);
            }
            if !page.items.is_empty() {
                done.erased += self.store.erase(&page.items).await.map_err(|fault| store_away(&fault))?;
            }
            let Some(next) = page.next else {
                done.more = false;
                break;
            };
            query.before = next.parse().ok();
        }
        done.left = self.left(&of).await?;
        Ok(done)
    }

    /// Dead letters by their verification.
    async fn letters(&self) -> Result<BTreeMap<VerificationId, Vec<EffectId>>, Refusal> {
        let mut letters = BTreeMap::<_, Vec<_>>::new();
        for letter in self.store.dead_letters(MOST_DEAD_LETTERS).await.map_err(|fault| store_away(&fault))? {
            letters.entry(letter.effect.id.verification).or_default().push(letter.effect.id);
        }
        Ok(letters)
    }

    /// Which of these verifications are still kept, and until when.
    async fn left(&self, of: &BTreeSet<VerificationId>) -> Result<Option<Left>, Refusal> {
        let mut left: Option<Left> = None;
        for id in of {
            if let Some(v) = self.store.load(*id).await.map_err(|fault| store_away(&fault))? {
                let until = last_change(&v).plus(self.verification.keep_for);
                let before = left.unwrap_or(Left { verifications: 0, until });
                left = Some(Left { verifications: before.verifications + 1, until: before.until.max(until) });
            }
        }
        Ok(left)
    }
}

/// From when on a verification is kept: its expiry, or its last change where that came later.
fn last_change(v: &Verification) -> Timestamp {
    let ended = v.calls.iter().filter_map(|call| call.ended_at).max();
    [v.decided_at, ended].into_iter().flatten().fold(v.expires_at, Timestamp::max)
}
