//! Owns what a verification knows of the limits: which of its calls were counted against them, when, and what was put aside
//! for each. What is counted, and how much of it may be, is decided elsewhere.

use minicbor::{Decode, Encode};

use super::state::{Placement, Verification};
use crate::time::Timestamp;

/// That a call was counted against the limits before it was made. Nothing here is decided by it; it says what to set
/// right afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Admission {
    /// When, by the clock of the store where that is known, else by ours.
    #[n(0)]
    pub at: Timestamp,
    /// What was put aside for it, in millionths of the currency of the settings.
    #[n(1)]
    pub put_aside: u64,
}

impl Verification {
    /// Notes what was counted for the call at `index`, or for the one that is asked for where that is not there yet.
    pub fn admit(&mut self, index: usize, admission: Admission) {
        match self.calls.get_mut(index) {
            Some(call) => call.admission = Some(admission),
            None => self.promised = Some(admission),
        }
    }

    /// Whether the call at `index` goes on as another one, through the next carrier: nobody has dialled it.
    #[must_use]
    pub fn goes_on(&self, index: usize) -> bool {
        match (self.calls.get(index), self.calls.get(index.saturating_add(1))) {
            (Some(call), Some(next)) => {
                call.placement == Placement::Refused
                    && next.target == call.target
                    && call.route.checked_add(1) == Some(next.route)
            }
            (None, _) | (_, None) => false,
        }
    }
}
