//! Owns the one way in which a verification changes: load, step, commit with everything that belongs to the change,
//! and only then let its effects out. A conflict is read and stepped again; without the store nothing is decided.

use std::{sync::Arc, time::Duration};

use metrics::{counter, histogram};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info};

use super::{
    Shell,
    document::end_word,
    guarded::{self, Asked},
    measure, report, traced,
};
use crate::{
    callflow::CallFlow,
    guard::{
        Refused,
        step::{Answer, Stop},
    },
    id::{EffectId, VerificationId},
    store::{Commit, Committed, EffectKind, NewEffect, Outgoing, StoreError, Tally},
    time::Timestamp,
    verification::{Effect, Ignored, Input, Stepped, Verification},
};

/// How often a change is tried when others change the same verification at the same time.
const TRIES: u32 = 3;
/// Pause between tries when the store is in trouble: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long the process that committed an effect has to do it itself, before any process may take it over: longer than
/// one attempt lasts.
const HANG_UP_OURS_FOR: Duration = Duration::from_secs(8);
const REPORT_OURS_FOR: Duration = Duration::from_secs(20);

/// Which clock a step is made by.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// Ours.
    Local,
    /// The store's, as it was just told.
    Store(Timestamp),
}

/// What came of an input.
#[derive(Debug)]
pub(super) struct Changed {
    /// The verification as it is committed now.
    pub(super) value: Arc<Verification>,
    /// Whether it was changed by this.
    pub(super) changed: bool,
    /// Why nothing came of the input.
    pub(super) ignored: Option<Ignored>,
}

/// Why nothing can be said about an input.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// There is no such verification.
    #[error("there is no such verification")]
    NotThere,
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others changed it each time.
    #[error("others changed the verification at the same time, {TRIES} times")]
    Contended,
    /// It took too long.
    #[error("not done within {0:?}")]
    OutOfTime(Duration),
    /// A limit stands against the call that it leads to.
    #[error("the limit `{}` stands against the call", .0.limit.as_str())]
    Barred(Refused),
}

impl Shell {
    /// The verification as it was committed last, by us or as read from the store.
    pub(super) async fn newest(&self, id: VerificationId) -> Result<Arc<Verification>, Trouble> {
        match self.cache.get(&id) {
            Some(value) => Ok(value),
            None => self.fresh(id).await,
        }
    }

    /// The verification as it stands in the store.
    pub(super) async fn fresh(&self, id: VerificationId) -> Result<Arc<Verification>, Trouble> {
        self.store.load(id).await?.map(Arc::new).ok_or(Trouble::NotThere)
    }

    /// The flow of a verification. A flow that was removed since is another version of any: nothing is played then.
    pub(super) fn flow_of(&self, v: &Verification) -> &CallFlow {
        self.flow(&v.request.flow).unwrap_or(&self.default_flow)
    }

    /// Steps a verification by `input` and commits what that changes.
    ///
    /// The step is made from the value that this process committed last, which saves reading it: a commit onto anything
    /// but the newest value is a conflict. That nothing came of a step is believed of a value just read, and of a
    /// remembered one where no later value could do more with the input ([`Verification::absorbs`]).
    pub(super) async fn change(
        self: &Arc<Self>,
        id: VerificationId,
        when: When,
        input: &Input,
    ) -> Result<Changed, Trouble> {
        self.change_as(id, when, input, Leads::Nowhere).await
    }

    /// As [`Shell::change`], for an input that leads to a call: what the guard asks for is taken with the commit, or
    /// nothing is changed.
    pub(super) async fn change_admitted(
        self: &Arc<Self>,
        id: VerificationId,
        when: When,
        input: &Input,
    ) -> Result<Changed, Trouble> {
        self.change_as(id, when, input, Leads::ToCall).await
    }

    async fn change_as(
        self: &Arc<Self>,
        id: VerificationId,
        when: When,
        input: &Input,
        leads: Leads,
    ) -> Result<Changed, Trouble> {
        // Saves conflicts among ourselves; that others may change it as well is the store's business.
        let _turn = self.turns.take(id).await;
        let mut now = match when {
            When::Local => self.clock.now(),
            When::Store(now) => now,
        };
        let mut remembered = self.cache.get(&id);
        let mut tries = 0;
        while tries < TRIES {
            let (value, is_fresh) = match remembered.take() {
                Some(value) => (value, false),
                None => (self.fresh(id).await?, true),
            };
            let mut next = Verification::clone(&value);
            let stepped = next.step(now, self.flow_of(&value), input.clone());
            if !stepped.changed {
                if is_fresh || value.absorbs(input, stepped.ignored) {
                    count_ignored(id, input, stepped.ignored);
                    if is_fresh {
                        self.remember(&value);
                    }
                    return Ok(Changed { value, changed: false, ignored: stepped.ignored });
                }
                continue;
            }
            next.revision = value.revision.saturating_add(1);
            let asked = match (leads, stepped.ignored) {
                (Leads::ToCall, None) => self.admission(&value, &mut next, input, now)?,
                (Leads::ToCall, Some(_)) | (Leads::Nowhere, _) => None,
            };
            let (effects, change) =
                self.commit_of(Some(&value), &next, &stepped, asked.as_ref().map(|(_, asked)| asked), now);
            match self.store.commit(change).await {
                Ok(Committed::Done(at)) => {
                    if let Some((place, asked)) = &asked {
                        next.admit(*place, asked.admission(at));
                    }
                    let next = Arc::new(next);
                    self.remember(&next);
                    self.committed(Some(&value), &next, effects);
                    count_ignored(id, input, stepped.ignored);
                    return Ok(Changed { value: next, changed: true, ignored: stepped.ignored });
                }
                Ok(Committed::Barred(stop)) => return Err(stopped(&next, input, asked, stop)),
                Ok(Committed::Conflict | Committed::Spent) => {
                    self.cache.remove(&id);
                    // What was stepped from memory was a guess, and costs no try.
                    tries += u32::from(is_fresh);
                }
                Ok(Committed::TooLate(store_now)) => {
                    self.cache.remove(&id);
                    now = now.max(store_now);
                    tries += 1;
                }
                // Written or not: what is remembered stays a guess, and the next commit onto it tells.
                Err(fault) => return Err(fault.into()),
            }
        }
        counter!("ringproof_changes_contended_total").increment(1);
        Err(Trouble::Contended)
    }

    /// What has to be taken for the call that a step leads to, and the place of that call. Notes it in the value.
    fn admission(
        &self,
        before: &Verification,
        after: &mut Verification,
        input: &Input,
        now: Timestamp,
    ) -> Result<Option<(usize, Asked)>, Trouble> {
        let place = match input {
            Input::Taken { call } => usize::from(*call),
            // The call is queued with the change, or as soon as the one that is alive is over.
            Input::Redial => before.calls.len(),
            Input::Placed { .. } | Input::Carrier { .. } | Input::Cancel | Input::Check(_) | Input::Tick => {
                return Ok(None);
            }
        };
        let target = match after.calls.get(place) {
            Some(call) if call.admission.is_some() => None,
            Some(call) => Some(call.target),
            None => after.next,
        };
        let Some(target) = target else { return Ok(None) };
        let asked = self.another_call(before, target, now).map_err(|refused| barred(after, input, refused))?;
        after.admit(place, asked.admission(now));
        Ok(Some((place, asked)))
    }

    /// As [`Shell::change`], but again and again while the store is in trouble, at most so long.
    pub(super) async fn change_until(
        self: &Arc<Self>,
        id: VerificationId,
        input: &Input,
        at_most: Duration,
    ) -> Result<Changed, Trouble> {
        let end = Instant::now() + at_most;
        let mut pause = FIRST_PAUSE;
        loop {
            match timeout_at(end, self.change(id, When::Local, input)).await {
                Ok(Ok(changed)) => return Ok(changed),
                Ok(Err(Trouble::NotThere)) => return Err(Trouble::NotThere),
                Ok(Err(trouble)) if Instant::now() + pause >= end => return Err(trouble),
                Ok(Err(_)) => sleep(pause).await,
                Err(_) => return Err(Trouble::OutOfTime(at_most)),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Keeps a committed value at hand while more is to come of it.
    pub(super) fn remember(&self, value: &Arc<Verification>) {
        if value.deadline().is_some() {
            self.cache.insert(value.id, Arc::clone(value));
        } else {
            self.cache.remove(&value.id);
        }
    }

    /// The commit of a stepped value, and the effects that are let out after it.
    pub(super) fn commit_of<'a>(
        &self,
        before: Option<&Verification>,
        next: &'a Verification,
        stepped: &Stepped,
        asked: Option<&Asked>,
        now: Timestamp,
    ) -> (Vec<(EffectId, Effect, Vec<u8>)>, Commit<'a>) {
        let effects: Vec<_> = (0u8..)
            .zip(&stepped.effects)
            .map(|(index, effect)| {
                let id = EffectId { verification: next.id, revision: next.revision, index };
                let payload = match effect {
                    Effect::Report => report::payload(next).unwrap_or_default(),
                    Effect::Place { .. } | Effect::HangUp { .. } | Effect::Record { .. } => Vec::new(),
                };
                (id, *effect, payload)
            })
            .filter(|(_, effect, payload)| *effect != Effect::Report || !payload.is_empty())
            .collect();
        let records = effects
            .iter()
            .filter_map(|(_, effect, _)| match effect {
                Effect::Record { call } => next.record_of(*call),
                Effect::Place { .. } | Effect::HangUp { .. } | Effect::Report => None,
            })
            .collect();
        let change = Commit {
            value: next,
            deadline: next.deadline(),
            before: stepped.before,
            spends: stepped.spends,
            effects: effects.iter().filter_map(kept).collect(),
            records,
            tally: Tally::of(next).filter(|_| stepped.effects.contains(&Effect::Report)),
            take: asked.map(|asked| asked.plan.take().clone()).unwrap_or_default(),
            settle: self.set_right(before, next),
            release: next.is_over(),
            keep_for: next.expires_at.since(now) + self.verification.keep_for,
            keep_records_for: self.retention,
        };
        (effects, change)
    }

    /// What follows a change that is committed.
    pub(super) fn committed(
        self: &Arc<Self>,
        before: Option<&Verification>,
        after: &Arc<Verification>,
        effects: Vec<(EffectId, Effect, Vec<u8>)>,
    ) {
        if after.is_final() && !before.is_some_and(Verification::is_final) {
            tell_outcome(after);
            traced::tell_outcome(after);
        }
        if let Some(before) = before {
            measure::tell_change(before, after);
            self.release_alternates(before, after);
        }
        for (id, effect, payload) in effects {
            match effect {
                Effect::Place { call } => self.offer(after, call),
                Effect::HangUp { call } => self.errand(outgoing(id, EffectKind::HangUp, call, payload)),
                Effect::Report => self.errand(outgoing(id, EffectKind::Report, 0, payload)),
                Effect::Record { call } => {
                    tell_call(after, call);
                    traced::tell_call(after, call);
                }
            }
        }
        if let Some(deadline) = after.deadline() {
            self.sweep.expect(deadline);
        }
    }
}

/// Whether a change leads to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads {
    /// To none that nobody has admitted.
    Nowhere,
    /// To one that the guard has to admit.
    ToCall,
}

fn stopped(v: &Verification, input: &Input, asked: Option<(usize, Asked)>, stop: Stop) -> Trouble {
    match asked.map(|(_, asked)| asked.plan.read(Answer::Refused(stop))) {
        Some(Err(refused)) => barred(v, input, refused),
        // Nothing was asked for that could stand against it.
        Some(Ok(_)) | None => Trouble::Contended,
    }
}

fn barred(v: &Verification, input: &Input, refused: Refused) -> Trouble {
    guarded::tell_refused(v, if matches!(input, Input::Redial) { "redial" } else { "alternate" }, &refused);
    Trouble::Barred(refused)
}

/// The outbox entry of an effect. A placement has none: that it was taken is a state of the verification.
fn kept((id, effect, payload): &(EffectId, Effect, Vec<u8>)) -> Option<NewEffect> {
    let (kind, call, due_after) = match effect {
        Effect::HangUp { call } => (EffectKind::HangUp, *call, HANG_UP_OURS_FOR),
        Effect::Report => (EffectKind::Report, 0, REPORT_OURS_FOR),
        Effect::Place { .. } | Effect::Record { .. } => return None,
    };
    Some(NewEffect { id: *id, kind, call, payload: payload.clone(), due_after })
}

fn outgoing(id: EffectId, kind: EffectKind, call: u8, payload: Vec<u8>) -> Outgoing {
    Outgoing { id, kind, call, payload, attempts: 0, since: Timestamp::default() }
}

fn count_ignored(id: VerificationId, input: &Input, ignored: Option<Ignored>) {
    let Some(why) = ignored else { return };
    let cause = ignored_word(why);
    debug!(verification.id = %id, input = input_word(input), cause, "nothing came of an input");
    counter!("ringproof_inputs_ignored_total", "input" => input_word(input), "cause" => cause).increment(1);
}

const fn input_word(input: &Input) -> &'static str {
    match input {
        Input::Taken { .. } => "taken",
        Input::Placed { .. } => "placed",
        Input::Carrier { .. } => "carrier",
        Input::Cancel => "cancel",
        Input::Redial => "redial",
        Input::Check(_) => "check",
        Input::Tick => "tick",
    }
}

/// Why nothing came of an input, in one word.
pub(super) const fn ignored_word(why: Ignored) -> &'static str {
    match why {
        Ignored::Late => "late",
        Ignored::Final => "final",
        Ignored::WrongToken => "wrong_token",
        Ignored::WrongCall => "wrong_call",
        Ignored::WrongTurn => "wrong_turn",
        Ignored::NothingHeard => "nothing_heard",
        Ignored::NotNow => "not_now",
        Ignored::WrongMode => "wrong_mode",
        Ignored::NoCallsLeft => "no_calls_left",
    }
}

/// Logs and counts an outcome, once: with the change that brought it.
fn tell_outcome(after: &Verification) {
    let route = after.call().and_then(|call| after.route_of(call));
    let carrier = route.map(|route| route.carrier.clone()).unwrap_or_default();
    let country = after.request.targets.first().map(|target| target.country.to_string()).unwrap_or_default();
    let reason = after.reason.map_or("", |reason| reason.as_str());
    let took = after.decided_at.unwrap_or(after.created_at).since(after.created_at);
    info!(
        verification.id = %after.id, client = %after.request.client, verification.status = %after.status,
        verification.reason = reason, provider.name = %carrier, calls = after.calls.len(),
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "verification decided"
    );
    counter!(
        "ringproof_verifications_total", "status" => after.status.as_str(), "reason" => reason,
        "mode" => after.request.mode.as_str(), "carrier" => carrier, "country" => country
    )
    .increment(1);
    histogram!("ringproof_verification_seconds", "status" => after.status.as_str()).record(took.as_secs_f64());
}

/// Logs and counts a call that is over.
fn tell_call(v: &Verification, index: u8) {
    let Some(call) = v.calls.get(usize::from(index)) else { return };
    let (Some(target), Some(route)) = (v.target_of(call), v.route_of(call)) else { return };
    let end = call.cause.as_ref().map_or("unknown", |cause| end_word(cause.end));
    let fault = call.cause.as_ref().map_or("unknown", |cause| cause.fault.as_str());
    let lasted = call.ended_at.unwrap_or(call.queued_at).since(call.queued_at);
    info!(
        verification.id = %v.id, call.id = %v.call_id(index), provider.name = %route.carrier, call.outcome = end,
        call.fault = fault, duration_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX), "call over"
    );
    counter!(
        "ringproof_calls_total", "end" => end, "fault" => fault, "carrier" => route.carrier.clone(),
        "country" => target.country.to_string()
    )
    .increment(1);
    histogram!("ringproof_call_seconds", "end" => end).record(lasted.as_secs_f64());
}
