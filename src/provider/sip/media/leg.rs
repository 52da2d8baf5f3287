//! Owns one call's media on the network: its sockets, its mailbox, and the events that wait for its listener.

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::mpsc::{OwnedPermit, Sender};

use super::{Newcomer, Pair, Shared};
use crate::sip::media::{Event, Quality};

/// Milliseconds between two looks at a leg that is not connected.
const IDLE_MS: u64 = 20;

/// A leg as the thread sees it.
pub(super) struct Live {
    pair: Pair,
    shared: Arc<Shared>,
    events: Sender<Event>,
    /// Room for the last event, kept from the start.
    last: Option<OwnedPermit<Event>>,
}

impl Live {
    pub(super) fn new(newcomer: Newcomer) -> Self {
        let Newcomer { pair, shared, events } = newcomer;
        let last = events.clone().try_reserve_owned().ok();
        Self { pair, shared, events, last }
    }

    /// Serves its slot; answers how many milliseconds later the next one is, or nothing when the leg is over.
    pub(super) fn serve(&mut self, _tick: u64, _in_time: bool) -> Option<u64> {
        if self.shared.closed.load(Ordering::Acquire) {
            if let Some(last) = self.last.take() {
                last.send(Event::Closed(Quality::default()));
            }
            return None;
        }
        Some(IDLE_MS)
    }
}
