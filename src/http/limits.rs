//! Owns how often something may be asked of this process: one allowance, refilled evenly. It knows nothing of other
//! processes; the limits on calls, which must hold over all of them, are the gateway's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::problem::{Code, Problem};
use crate::id::VerificationId;

/// The window of every limit here, in seconds.
const WINDOW_SECS: u64 = 60;

/// Most reads of one verification with its view tokens in a minute. A page that listens to the events needs a few.
const VIEW_READS_PER_MINUTE: u32 = 60;

/// Most verifications whose reads are counted; those read longest ago are forgotten first.
const MOST_VERIFICATIONS: usize = 8192;

/// An allowance of so many a minute that may be used at once and refills evenly (generic cell rate algorithm).
#[derive(Debug)]
pub struct Limiter {
    name: &'static str,
    most: u32,
    began: Instant,
    /// When the allowance is full again, in microseconds since `began`.
    full_at: AtomicU64,
}

/// What is left of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    name: &'static str,
    most: u32,
    left: u32,
    full_in_secs: u32,
}

impl Limiter {
    /// `most` in a minute; at least one.
    #[must_use]
    pub fn per_minute(name: &'static str, most: u32) -> Self {
        Self { name, most: most.max(1), began: Instant::now(), full_at: AtomicU64::new(0) }
    }

    /// Uses one.
    ///
    /// # Errors
    /// None is left: the refusal says when there is one again.
    pub fn take(&self) -> Result<Allowance, Problem> {
        self.take_after(self.began.elapsed())
    }

    /// Uses one, so long after this began.
    fn take_after(&self, elapsed: Duration) -> Result<Allowance, Problem> {
        let now = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX / 2);
        let window = WINDOW_SECS * 1_000_000;
        let each = window / u64::from(self.most);
        let used = |full_at: u64| full_at.max(now) + each;
        let taken = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let full_at = used(full_at);
            (full_at - now <= window).then_some(full_at)
        });
        match taken {
            Ok(before) => Ok(self.allowance(used(before) - now, each)),
            Err(before) => {
                let wait = Duration::from_micros((used(before) - now).saturating_sub(window));
                let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
                let [policy, _] = self.allowance(window, each).headers();
                Err(Problem::new(Code::TooMany).limit(self.name).retry_after(seconds).header(policy.0, policy.1))
            }
        }
    }

    fn allowance(&self, until_full: u64, each: u64) -> Allowance {
        let left = (WINDOW_SECS * 1_000_000).saturating_sub(until_full) / each.max(1);
        Allowance {
            name: self.name,
            most: self.most,
            left: u32::try_from(left).unwrap_or(u32::MAX),
            full_in_secs: u32::try_from(until_full.div_ceil(1_000_000)).unwrap_or(u32::MAX),
        }
    }
}

impl Allowance {
    /// Tells it in the headers of an answer (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            headers.insert(name, value);
        }
    }

    fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        let Self { name, most, left, full_in_secs } = self;
        [
            (HeaderName::from_static("ratelimit-policy"), format!("\"{name}\";q={most};w={WINDOW_SECS}")),
            (HeaderName::from_static("ratelimit"), format!("\"{name}\";r={left};t={full_in_secs}")),
        ]
        .map(|(name, value)| (name, HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("invalid"))))
    }
}

/// The reads of each verification by those who hold one of its view tokens.
#[derive(Debug)]
pub(super) struct PerVerification(Cache<VerificationId, Arc<Limiter>>);

impl Default for PerVerification {
    fn default() -> Self {
        Self(Cache::new(MOST_VERIFICATIONS))
    }
}

impl PerVerification {
    /// Uses one read of a verification.
    pub(super) fn take(&self, id: VerificationId) -> Result<Allowance, Problem> {
        let fresh = || Ok::<_, Problem>(Arc::new(Limiter::per_minute("view_reads", VIEW_READS_PER_MINUTE)));
        self.0.get_or_insert_with(&id, fresh)?.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_refills() {
        let reads = Limiter::per_minute("reads", 3);
        let at = |secs| reads.take_after(Duration::from_secs(secs));
        assert_eq!(at(5).unwrap(), Allowance { name: "reads", most: 3, left: 2, full_in_secs: 20 });
        assert_eq!(at(5).unwrap().left, 1);
        assert_eq!(at(5).unwrap().left, 0);
        assert_eq!(at(5).unwrap_err().code(), Code::TooMany);
        assert_eq!(at(25).unwrap().left, 0);
        assert!(at(25).is_err());
        assert_eq!(at(700).unwrap().left, 2);
    }
}
