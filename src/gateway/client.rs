//! Owns what a client asks about a verification that exists: reading it, waiting for it, taking it back, having the
//! number called again, bringing a code. A client sees and changes its own verifications only; another's are not there.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::{
    Client, Gateway, Page, Refusal, Shell, VerificationsQuery, Watch,
    change::{Changed, Trouble, When},
    create::store_away,
    guarded,
};
use crate::{
    dtmf::Digits,
    id::VerificationId,
    outcome::Status,
    store::{ListQuery, StoreError},
    time::Timestamp,
    verification::{Ignored, Input, Verification},
};

/// Longest time an answer is held for a client that waits for a change.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Verifications of one page: where nothing is said, and at most.
const USUAL_PAGE: usize = 20;
const LONGEST_PAGE: usize = 100;

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

impl Gateway {
    /// A client's verification as it stands.
    ///
    /// # Errors
    /// `NotFound`, also for another client's; `StoreAway`.
    pub async fn read(&self, client: &Client, id: VerificationId) -> Result<Verification, Refusal> {
        self.shell.read(client, id).await.map(Arc::unwrap_or_clone)
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
        let end = Instant::now() + at_most.min(LONGEST_WAIT);
        // The watch comes first: what changes between reading and waiting wakes it.
        let mut watch = match self.watch(id).await {
            Ok(watch) => watch,
            Err(Refusal::Draining) => return self.read(client, id).await,
            Err(refusal) => return Err(refusal),
        };
        let mut v = self.shell.read(client, id).await?;
        let known = known_revision.unwrap_or(v.revision);
        while v.revision == known {
            match timeout_at(end, watch.changed()).await {
                Ok(true) => v = self.shell.read(client, id).await?,
                Ok(false) | Err(_) => break,
            }
        }
        Ok(Arc::unwrap_or_clone(v))
    }

    /// A client's own verifications, newest first.
    ///
    /// # Errors
    /// `OutOfRange` for a cursor or a limit that is none; `StoreAway`.
    pub async fn list(&self, client: &Client, query: &VerificationsQuery) -> Result<Page<Verification>, Refusal> {
        let before = query
            .cursor
            .as_deref()
            .map(|cursor| {
                cursor.parse().map_err(|_| Refusal::out_of_range("cursor", "give it as the page before gave it"))
            })
            .transpose()?;
        let limit = query.limit.unwrap_or(USUAL_PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(Refusal::out_of_range("limit", format!("1 to {LONGEST_PAGE}")));
        }
        let query = ListQuery {
            client: client.name.clone(),
            reference: query.reference.clone(),
            status: query.status,
            before,
            limit,
        };
        self.shell.store.list(&query).await.map_err(|fault| store_away(&fault))
    }

    /// Takes a verification back. Taking back what was taken back before is no error.
    ///
    /// # Errors
    /// `NotFound`, `NotPending`, `StoreAway`.
    pub async fn cancel(&self, client: &Client, id: VerificationId) -> Result<Verification, Refusal> {
        let done = self.shell.ask(client, id, Input::Cancel).await?;
        match done.ignored {
            Some(Ignored::Final) if done.value.status == Status::Canceled => {}
            Some(why) => return Err(not_done(why, &done.value, self.shell.clock.now())),
            None => info!(verification.id = %id, client = %client.name, "canceled by the client"),
        }
        Ok(Arc::unwrap_or_clone(done.value))
    }

    /// Has the number called again.
    ///
    /// # Errors
    /// `NotFound`, `NotPending`, `NotNow`, `NoCallsLeft`, `StoreAway`.
    pub async fn redial(&self, client: &Client, id: VerificationId) -> Result<Verification, Refusal> {
        let done = self.shell.ask(client, id, Input::Redial).await?;
        if let Some(why) = done.ignored {
            return Err(not_done(why, &done.value, self.shell.clock.now()));
        }
        info!(verification.id = %id, client = %client.name, "the client has the number called again");
        Ok(Arc::unwrap_or_clone(done.value))
    }

    /// Compares a code typed on the web, in mode `speak`, and says whether it was right. Spaces and hyphens in it, and
    /// full-width digits, are understood; what else is no code is refused and does not count as a wrong one.
    ///
    /// # Errors
    /// `NotFound`, `NotPending`, `WrongMode`, `NotNow` before the code was spoken, `OutOfRange`, `StoreAway`.
    pub async fn check(
        &self,
        client: &Client,
        id: VerificationId,
        code: &str,
    ) -> Result<(Verification, bool), Refusal> {
        let code = typed_code(code).ok_or_else(|| Refusal::out_of_range("code", "a code is 6 to 10 digits"))?;
        let done = self.shell.ask(client, id, Input::Check(code)).await?;
        match done.ignored {
            None => {}
            // When the code is spoken depends on the callee, not on a time.
            Some(Ignored::NotNow) => return Err(Refusal::NotNow { retry_after: 0 }),
            Some(why) => return Err(not_done(why, &done.value, self.shell.clock.now())),
        }
        let right = done.changed && done.value.status == Status::Verified;
        Ok((Arc::unwrap_or_clone(done.value), right))
    }

    /// Wakes at each change of a verification from when this is answered on. Whether the caller may see it is decided
    /// by [`Gateway::read`].
    ///
    /// # Errors
    /// `Overloaded` when too many watch already; `Draining`; `StoreAway`.
    pub async fn watch(&self, id: VerificationId) -> Result<Watch, Refusal> {
        let store = &self.shell.store;
        let followed = store.follow(id);
        let watch = match self.shell.watchers.watch(id, store) {
            Ok(watch) => watch,
            Err(refusal) => {
                store.leave(id);
                return Err(refusal);
            }
        };
        followed.await.map_err(|fault| store_away(&fault))?;
        Ok(watch)
    }

    /// A token that reads this one verification and its events for a quarter of an hour.
    ///
    /// # Errors
    /// As [`Gateway::read`].
    pub async fn view_token(&self, client: &Client, id: VerificationId) -> Result<ViewToken, Refusal> {
        self.shell.read(client, id).await?;
        Ok(self.shell.keys.view_token(client, id, self.shell.clock.now()))
    }

    /// Whose verification a view token reads, if it is one of ours, for this verification, and not too old.
    #[must_use]
    pub fn check_view_token(&self, token: &str, id: VerificationId) -> Option<Client> {
        self.shell.keys.check_view_token(token, id, self.shell.clock.now())
    }
}

impl Shell {
    async fn read(&self, client: &Client, id: VerificationId) -> Result<Arc<Verification>, Refusal> {
        let v = self.fresh(id).await.map_err(refused)?;
        if v.request.client == client.name { Ok(v) } else { Err(Refusal::NotFound) }
    }

    /// Steps a client's own verification by what it asks for.
    async fn ask(self: &Arc<Self>, client: &Client, id: VerificationId, input: Input) -> Result<Changed, Refusal> {
        let owned = match self.cache.get(&id) {
            Some(known) => known.request.client == client.name,
            None => self.read(client, id).await.map(|_| true)?,
        };
        if !owned {
            return Err(Refusal::NotFound);
        }
        let shell = Arc::clone(self);
        self.in_task(async move { shell.change_admitted(id, When::Local, &input).await }).await?.map_err(refused)
    }
}

fn refused(trouble: Trouble) -> Refusal {
    match trouble {
        Trouble::NotThere => Refusal::NotFound,
        Trouble::Store(fault) => store_away(&fault),
        Trouble::Barred(refused) => guarded::refusal(&refused),
        Trouble::Contended | Trouble::OutOfTime(_) => store_away(&StoreError::Timeout),
    }
}

fn not_done(why: Ignored, v: &Verification, now: Timestamp) -> Refusal {
    match why {
        Ignored::Final => Refusal::NotPending,
        Ignored::WrongMode => Refusal::WrongMode,
        Ignored::NoCallsLeft => Refusal::NoCallsLeft,
        Ignored::NotNow
        | Ignored::Late
        | Ignored::WrongToken
        | Ignored::WrongCall
        | Ignored::WrongTurn
        | Ignored::NothingHeard => {
            let redial_at = v
                .call()
                .map(|call| call.queued_at.plus(Duration::from_millis(v.request.policy.redial_after_ms.into())));
            let wait = redial_at.map_or(Duration::ZERO, |at| at.since(now));
            Refusal::NotNow { retry_after: u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX) }
        }
    }
}

/// A code as a person types it.
fn typed_code(text: &str) -> Option<Digits> {
    let digits: Option<String> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c {
            '0'..='9' => Some(c),
            '０'..='９' => char::from_u32(u32::from(c) - 0xfee0),
            _ => None,
        })
        .collect();
    digits.filter(|digits| (6..=10).contains(&digits.len()))?.parse().ok()
}
