//! Owns the order in which this process changes one verification: one after the other, so that its own changes do not
//! conflict in the store and the later one begins at what the earlier one committed. Nothing but speed depends on it:
//! whoever waits too long goes on without a turn, and other processes take none. What is written the store guards.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::id::VerificationId;

/// Longest wait for a turn: many times what a change takes while the store is well.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// Which verifications are being changed here. Each entry belongs to a change that is being made, so it holds no more
/// than there are requests and calls at work.
#[derive(Default)]
pub(super) struct Turns {
    table: Mutex<HashMap<VerificationId, Door>>,
}

struct Door {
    one_at_a_time: Arc<Semaphore>,
    takers: usize,
}

/// The right to change one verification, until it is dropped.
#[must_use = "the next one begins when this is dropped"]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    id: VerificationId,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// A turn, when the changes before are done.
    pub(super) async fn take(&self, id: VerificationId) -> Turn<'_> {
        let door = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let door =
                table.entry(id).or_insert_with(|| Door { one_at_a_time: Arc::new(Semaphore::new(1)), takers: 0 });
            door.takers += 1;
            Arc::clone(&door.one_at_a_time)
        };
        // From here on the drop of the turn counts it out, also when the wait is given up.
        let mut turn = Turn { turns: self, id, permit: Arc::clone(&door).try_acquire_owned().ok() };
        if turn.permit.is_none() {
            turn.permit = timeout(LONGEST_WAIT, door.acquire_owned()).await.ok().and_then(Result::ok);
        }
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut table = self.turns.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = table.get_mut(&self.id) {
            door.takers = door.takers.saturating_sub(1);
            if door.takers == 0 {
                table.remove(&self.id);
            }
        }
        drop(table);
        self.permit.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::Partition, time::Timestamp};

    fn id(last: u8) -> VerificationId {
        VerificationId::new(Timestamp::from_ms(1_795_000_000_000), [last; 16], Partition::of(5))
    }

    #[tokio::test]
    async fn one_after_the_other_and_nobody_waits_for_ever() {
        let turns = Turns::default();
        let first = turns.take(id(1)).await;
        assert!(first.permit.is_some());
        assert!(turns.take(id(2)).await.permit.is_some(), "another verification");
        {
            let mut second = std::pin::pin!(turns.take(id(1)));
            assert!(timeout(Duration::from_millis(100), second.as_mut()).await.is_err(), "it waits");
            drop(first);
            assert!(second.await.permit.is_some());
        }
        let stuck = turns.take(id(1)).await;
        assert!(turns.take(id(1)).await.permit.is_none(), "it goes on without a turn");
        {
            let given_up = turns.take(id(1));
            assert!(timeout(Duration::from_millis(1), given_up).await.is_err());
        }
        drop(stuck);
        assert!(turns.table.lock().unwrap().is_empty(), "nothing is left behind");
    }
}
