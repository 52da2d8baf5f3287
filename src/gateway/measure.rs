//! Owns what is measured of a change that is committed: how far its calls came and how long that took, and what can
//! never be, counted all the same. The lines and counters of an outcome are told in [`super::change`].

use metrics::{counter, histogram};
use tracing::error;

use super::Carrier;
use crate::{
    outcome::Status,
    time::Timestamp,
    verification::{Call, Verification},
};

/// What can never be. Each is a counter that begins at zero and has to stay there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Invariant {
    /// A final status changed.
    OutcomeChanged,
    /// A verification was verified though no call of it was answered.
    VerifiedUnanswered,
    /// A verification was verified at or after its expiry.
    VerifiedLate,
    /// Two calls of one verification are alive.
    TwoCallsAlive,
    /// A task of ours panicked.
    TaskFailed,
}

impl Invariant {
    const ALL: [Self; 5] =
        [Self::OutcomeChanged, Self::VerifiedUnanswered, Self::VerifiedLate, Self::TwoCallsAlive, Self::TaskFailed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::OutcomeChanged => "outcome_changed",
            Self::VerifiedUnanswered => "verified_unanswered",
            Self::VerifiedLate => "verified_late",
            Self::TwoCallsAlive => "two_calls_alive",
            Self::TaskFailed => "task_failed",
        }
    }

    /// Counts that it was broken.
    pub(super) fn broken(self) {
        counter!("ringproof_invariants_broken_total", "invariant" => self.as_str()).increment(1);
    }
}

/// Makes the counters known that somebody is called for when they first move: an increase is only seen of what was
/// there before.
pub(super) fn announce(carriers: &[Carrier]) {
    for invariant in Invariant::ALL {
        counter!("ringproof_invariants_broken_total", "invariant" => invariant.as_str()).increment(0);
    }
    for outcome in ["delivered", "failed", "dead_letter"] {
        counter!("ringproof_reports_total", "outcome" => outcome).increment(0);
    }
    for kind in ["hang_up", "report"] {
        counter!("ringproof_outbox_queue_full_total", "kind" => kind).increment(0);
    }
    for carrier in carriers {
        for outcome in ["accepted", "refused", "unknown"] {
            counter!("ringproof_placements_total", "carrier" => carrier.name.clone(), "outcome" => outcome)
                .increment(0);
        }
        counter!("ringproof_dispatch_queue_full_total", "carrier" => carrier.name.clone()).increment(0);
    }
    counter!("ringproof_apologies_total").increment(0);
}

/// Measures what a committed change brought.
pub(super) fn tell_change(before: &Verification, after: &Verification) {
    for (index, call) in after.calls.iter().enumerate() {
        tell_steps(before.calls.get(index), call, after);
    }
    for invariant in broken(before, after) {
        error!(verification.id = %after.id, invariant = invariant.as_str(), "what can never be has happened: a fault in this program");
        invariant.broken();
    }
}

/// The steps of a call and when it made them, in their order.
fn steps(call: &Call) -> [(&'static str, Option<Timestamp>); 4] {
    [
        ("placed", call.placed_at),
        ("ringing", call.ringing_at),
        ("answered", call.answered_at),
        ("prompting", call.heard_at),
    ]
}

/// Records the steps that a call has made since `before`, from the time at which it was queued.
fn tell_steps(before: Option<&Call>, call: &Call, v: &Verification) {
    let made_before = before.map_or([("", None); 4], steps);
    for ((step, at), (_, already)) in steps(call).into_iter().zip(made_before) {
        if let (Some(at), None) = (at, already) {
            let carrier = v.route_of(call).map(|route| route.carrier.clone()).unwrap_or_default();
            histogram!("ringproof_call_step_seconds", "step" => step, "carrier" => carrier)
                .record(at.since(call.queued_at).as_secs_f64());
        }
    }
}

/// What a change shows that can never be.
fn broken(before: &Verification, after: &Verification) -> Vec<Invariant> {
    let mut found = Vec::new();
    if before.is_final() && before.status != after.status {
        found.push(Invariant::OutcomeChanged);
    }
    if after.status == Status::Verified && !before.is_final() {
        if !after.calls.iter().any(|call| call.answered_at.is_some()) {
            found.push(Invariant::VerifiedUnanswered);
        }
        if after.decided_at.is_none_or(|at| at >= after.expires_at) {
            found.push(Invariant::VerifiedLate);
        }
    }
    if after.calls.iter().filter(|call| call.is_alive()).count() > 1 {
        found.push(Invariant::TwoCallsAlive);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        callflow::CallFlow,
        id::{NumberHash, Partition, VerificationId},
        outcome::{Mode, Purpose},
        verification::{Policy, Request, Route, Target},
    };

    const START: Timestamp = Timestamp::from_ms(1_795_000_000_000);

    /// A verification whose first call waits to be placed.
    fn waiting() -> Verification {
        let flow = CallFlow::parse("confirm.xml", include_str!("../../tests/it/simulation/confirm.xml")).unwrap();
        let target = Target {
            to: "+819012345600".parse().unwrap(),
            number_hash: NumberHash::new([1; 16]),
            country: "JP".parse().unwrap(),
            number_type: String::from("mobile"),
            extension: None,
            locale: String::from("en"),
            routes: vec![Route { carrier: String::from("main"), caller_id: "+815012345678".parse().unwrap() }],
        };
        let request = Request {
            client: String::from("enrolment"),
            targets: vec![target],
            mode: Mode::Confirm,
            flow: flow.id().to_owned(),
            flow_version: flow.version(),
            brand: String::from("Contoso"),
            purpose: Purpose::Enrolment,
            purpose_text: None,
            code: None,
            reference: None,
            metadata: Vec::new(),
            callback_url: None,
            policy: Policy {
                max_calls: 3,
                ring_timeout_ms: 30_000,
                call_limit_ms: 90_000,
                early_keys_ms: 1_000,
                closing_ms: 5_000,
                max_wrong_entries: 5,
                redial_after_ms: 30_000,
                call_speed: 1,
            },
        };
        let id = VerificationId::new(START, [7; 16], Partition::of(1));
        Verification::start(id, START, START.plus(Duration::from_secs(300)), request, &flow, [9; 16]).0
    }

    #[test]
    fn what_can_never_be_is_seen() {
        let before = waiting();
        let verified = |seconds: u64, answered: bool| {
            let mut v = before.clone();
            v.status = Status::Verified;
            v.decided_at = Some(START.plus(Duration::from_secs(seconds)));
            v.calls[0].answered_at = answered.then_some(START);
            v
        };
        assert_eq!(broken(&before, &before), []);
        assert_eq!(broken(&before, &verified(299, true)), []);
        assert_eq!(broken(&before, &verified(299, false)), [Invariant::VerifiedUnanswered]);
        assert_eq!(broken(&before, &verified(300, true)), [Invariant::VerifiedLate]);
        let mut failed = before.clone();
        failed.status = Status::Failed;
        assert_eq!(broken(&failed, &verified(10, true)), [Invariant::OutcomeChanged]);
        assert_eq!(broken(&failed, &failed), []);
        let mut twice = before.clone();
        twice.calls.push(twice.calls[0].clone());
        assert_eq!(broken(&before, &twice), [Invariant::TwoCallsAlive]);
    }
}
