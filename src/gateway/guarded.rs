//! Owns what the guard is told of a verification, and when: what is to be taken before each of its calls, what is set
//! right once a call is over and once nothing of the verification is alive. How much of anything may be is decided by
//! [`crate::guard`]; the store counts.

use std::time::Duration;

use metrics::counter;
use tracing::{info, warn};

use super::{Refusal, Shell};
use crate::{
    guard::{Calls, Came, Dial, Facts, LimitName, Plan, Refused, step::Settle},
    id::NumberHash,
    outcome::{Reason, Status},
    time::Timestamp,
    verification::{Admission, Call, Placement, Target, Verification},
};

/// Shortest end of a call that is no key to be told from its neighbours by: digits that are left out of the number.
const LAST_DIGITS: usize = 2;

/// What has to be taken before a call, and what is noted of it.
pub(super) struct Asked {
    pub(super) plan: Plan,
    put_aside: u64,
}

impl Asked {
    /// The note, for a call that was counted at this time.
    pub(super) const fn admission(&self, at: Timestamp) -> Admission {
        Admission { at, put_aside: self.put_aside }
    }
}

/// What is known of a number that is called, with the hashes that stand for it.
struct Known<'a> {
    target: &'a Target,
    client: &'a str,
    neighbours: NumberHash,
    account: Option<NumberHash>,
    call_limit: Duration,
    free: bool,
}

impl Known<'_> {
    const fn facts(&self, source: Option<NumberHash>) -> Facts<'_> {
        Facts {
            to: &self.target.to,
            number: self.target.number_hash,
            neighbours: self.neighbours,
            account: self.account,
            source,
            client: self.client,
            country: self.target.country,
            call_limit: self.call_limit,
            free: self.free,
        }
    }
}

impl Shell {
    fn known<'a>(&self, v: &'a Verification, target: &'a Target) -> Known<'a> {
        let digits = target.to.expose();
        let near = digits.get(..digits.len().saturating_sub(LAST_DIGITS)).unwrap_or_default();
        let reference = v.request.reference.as_deref();
        let reference = reference.filter(|_| self.guard.settings().limits.reference_is_account);
        let costs = |name: &str| self.lanes.get(name).is_none_or(|lane| !lane.carrier.free);
        Known {
            target,
            client: &v.request.client,
            neighbours: self.keys.neighbours(near),
            account: reference.map(|reference| self.keys.account(&v.request.client, reference)),
            call_limit: v.request.policy.call_limit(),
            free: !target.routes.iter().any(|route| costs(&route.carrier)),
        }
    }

    /// What the first call of a new verification needs.
    ///
    /// # Errors
    /// Where the settings alone forbid it.
    pub(super) fn first_call(
        &self,
        v: &Verification,
        source: Option<NumberHash>,
        now: Timestamp,
    ) -> Result<Asked, Refused> {
        self.plan_call(v, 0, Dial::First, source, now)
    }

    /// What another call to this target needs.
    ///
    /// # Errors
    /// Where the settings alone forbid it.
    pub(super) fn another_call(&self, v: &Verification, target: u8, now: Timestamp) -> Result<Asked, Refused> {
        let number = v.request.targets.get(usize::from(target)).map(|target| target.number_hash);
        let called = v.calls.iter().filter(|call| call.admission.is_some());
        let again = called.filter_map(|call| v.target_of(call)).any(|target| Some(target.number_hash) == number);
        self.plan_call(v, target, if again { Dial::Again } else { Dial::Alternate }, None, now)
    }

    fn plan_call(
        &self,
        v: &Verification,
        target: u8,
        dial: Dial,
        source: Option<NumberHash>,
        now: Timestamp,
    ) -> Result<Asked, Refused> {
        let Some(target) = v.request.targets.get(usize::from(target)) else {
            return Ok(Asked { plan: Plan::default(), put_aside: 0 });
        };
        let known = self.known(v, target);
        let facts = known.facts(source);
        let put_aside = self.guard.put_aside(&facts)?.micros();
        Ok(Asked { plan: self.guard.plan(&facts, dial, now)?, put_aside })
    }

    /// Raises the bars that what was seen calls for: too few calls to this prefix or country are verified.
    pub(super) async fn judge_calls(&self, v: &Verification, asked: &Asked, seen: &[Vec<u64>]) {
        let Some(target) = v.request.targets.first() else { return };
        let raise = self.guard.judge(&self.known(v, target).facts(None), &asked.plan, seen);
        for bar in &raise {
            warn!(guard.bar = bar.key.as_str(), guard.seen = %bar.why, "calls are held: too few of them are verified");
            counter!("ringproof_guard_bars_total", "cause" => "conversion").increment(1);
        }
        if !raise.is_empty()
            && let Err(fault) = self.store.settle(&Settle { raise, ..Settle::default() }).await
        {
            warn!(%fault, "a bar could not be raised; the next call raises it");
        }
    }

    /// What is set right with a change: of each call that is over what it did not cost, and once nothing is alive any
    /// more, everything else.
    pub(super) fn set_right(&self, before: Option<&Verification>, after: &Verification) -> Settle {
        let mut settle = Settle::default();
        for (index, call) in after.calls.iter().enumerate() {
            let over_before = before.and_then(|v| v.calls.get(index)).is_some_and(|call| call.recorded);
            if call.recorded && !over_before && !after.goes_on(index) {
                add(&mut settle, self.call_over(after, call));
            }
        }
        if after.is_over() && !before.is_some_and(Verification::is_over) {
            add(&mut settle, self.all_over(after));
        }
        settle
    }

    fn call_over(&self, v: &Verification, call: &Call) -> Settle {
        let (Some(target), Some(admission)) = (v.target_of(call), call.admission) else { return Settle::default() };
        let known = self.known(v, target);
        let put_aside = crate::guard::money::Money::from_micros(admission.put_aside);
        let talked = match (call.placement, call.answered_at, call.ended_at) {
            // Perhaps it was dialled, and perhaps it lasted.
            (Placement::Unknown, None, _) => Some(known.call_limit),
            (_, Some(from), Some(until)) => Some(until.since(from)),
            (_, _, _) => None,
        };
        self.guard.call_over(&known.facts(None), put_aside, admission.at, talked)
    }

    fn all_over(&self, v: &Verification) -> Settle {
        let mut settle = Settle::default();
        let verified = v.status == Status::Verified;
        let last = v.calls.last().map(|call| call.target);
        let first_number = v.request.targets.first().map(|target| target.number_hash);
        for (place, target) in (0u8..).zip(&v.request.targets) {
            let calls = self.calls_to(v, place);
            if calls.made == 0 {
                continue;
            }
            let was_last = last == Some(place);
            let came = match (verified && was_last, v.reason) {
                (true, _) => Came::ToSuccess,
                (false, Some(Reason::FraudReported)) if was_last => Came::ToReport,
                (false, _) if was_last && v.block_requested => Came::ToReport,
                (false, _) => Came::ToNothing,
            };
            // A success ends the row of the account: what other numbers came to is no failure of it.
            let alternate = !verified && Some(target.number_hash) != first_number;
            let failures = if verified {
                0
            } else {
                let wrong = if was_last { v.wrong_entries.into() } else { 0 };
                u32::try_from(calls.made.saturating_sub(1)).unwrap_or(u32::MAX).saturating_add(wrong)
            };
            let known = self.known(v, target);
            add(&mut settle, self.guard.decided(&known.facts(None), came, Calls { failures, alternate, ..calls }));
        }
        if let (Some(target), Some(call)) = (v.request.targets.first(), v.calls.first()) {
            let known = self.known(v, target);
            if let Some(admission) = call.admission {
                add(&mut settle, self.guard.over(&known.facts(None), admission.at));
            }
        }
        // A redial that was counted and never came to a call.
        let target = last.and_then(|place| v.request.targets.get(usize::from(place)));
        if let (Some(admission), Some(target)) = (v.promised, target) {
            let put_aside = crate::guard::money::Money::from_micros(admission.put_aside);
            let known = self.known(v, target);
            add(&mut settle, self.guard.call_over(&known.facts(None), put_aside, admission.at, None));
        }
        settle
    }

    /// The calls to one target that were counted.
    fn calls_to(&self, v: &Verification, target: u8) -> Calls {
        let short_call = self.guard.settings().guard.short_call;
        let mut calls =
            Calls { made: 0, added: Timestamp::default(), not_dialled: 0, short: 0, failures: 0, alternate: false };
        for (index, call) in v.calls.iter().enumerate().filter(|(_, call)| call.target == target) {
            let Some(admission) = call.admission.filter(|_| !v.goes_on(index)) else { continue };
            calls.made += 1;
            calls.added = calls.added.max(admission.at);
            calls.not_dialled += u64::from(call.placement == Placement::Refused);
            let talked = call.answered_at.zip(call.ended_at).map(|(from, until)| until.since(from));
            calls.short += u64::from(talked.is_some_and(|talked| talked < short_call));
        }
        calls
    }
}

fn add(all: &mut Settle, more: Settle) {
    all.give_back.extend(more.give_back);
    all.add.extend(more.add);
    all.clear.extend(more.clear);
    all.fail.extend(more.fail);
    all.lift.extend(more.lift);
    all.raise.extend(more.raise);
}

/// Tells that a call is not made: in the log and in the counters, without the number.
pub(super) fn tell_refused(v: &Verification, stage: &'static str, refused: &Refused) {
    let limit = refused.limit.as_str();
    info!(
        verification.id = %v.id, client = %v.request.client, guard.limit = limit, guard.seen = %refused.seen,
        retry_after_s = refused.retry_after.map(|wait| wait.as_secs()), stage,
        country = v.request.targets.first().map(|target| target.country.to_string()), "a call is not made: a limit stands against it"
    );
    counter!("ringproof_guard_refusals_total", "limit" => limit, "stage" => stage).increment(1);
}

/// What the client is told. What was seen is not told: others may have brought it about.
pub(super) fn refusal(refused: &Refused) -> Refusal {
    let retry_after = refused.retry_after.map(|wait| {
        let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        u32::try_from(whole).unwrap_or(u32::MAX)
    });
    match (refused.limit, retry_after) {
        (LimitName::Barred, retry_after) => Refusal::Barred { limit: refused.limit, retry_after },
        (limit, Some(retry_after)) => Refusal::Limited { limit, retry_after },
        (limit, None) => Refusal::Barred { limit, retry_after: None },
    }
}
