//! Owns how many webhooks this process refused, by carrier and cause, and when the last one: for those who look after us.
//! What is refused, and why, is decided where it is heard.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::time::Timestamp;

/// Webhooks of one carrier that were refused for one cause since the start of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedWebhooks {
    /// Name of the carrier in the configuration; `unknown` where there is none of that name.
    pub carrier: String,
    /// Why, in one word.
    pub cause: &'static str,
    /// How many.
    pub count: u64,
    /// When the last one came.
    pub last_at: Timestamp,
}

/// By carrier and cause: as many as there are carriers, times a few words.
#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeMap<Of, (u64, Timestamp)>>);

/// Carrier and cause.
type Of = (String, &'static str);

impl Refusals {
    pub(super) fn note(&self, carrier: &str, cause: &'static str, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, last_at) = known.entry((carrier.to_owned(), cause)).or_default();
        *count = count.saturating_add(1);
        *last_at = now.max(*last_at);
    }

    /// All of them, the last one first.
    pub(super) fn all(&self) -> Vec<RefusedWebhooks> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known
            .iter()
            .map(|((carrier, cause), (count, last_at))| RefusedWebhooks {
                carrier: carrier.clone(),
                cause,
                count: *count,
                last_at: *last_at,
            })
            .collect();
        drop(known);
        all.sort_by_key(|refused| std::cmp::Reverse(refused.last_at));
        all
    }
}
