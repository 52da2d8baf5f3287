//! Owns what keys do: whether they count at all, what kind of answer they are, and what the flow's verdict makes of
//! the verification.

use std::time::Duration;

use super::{
    Ignored,
    state::{EntryClass, Event, Leg, What},
    step::Step,
};
use crate::{
    callflow::{Heard, Listening, Move, Position, Verdict},
    dtmf::{Digit, Digits},
    outcome::{Mode, Reason, Status},
    secret::Secret,
};

/// Keys that come too early and cost the callee no prompt, in one call; those after them count as silence. Tones that a
/// mailbox greeting holds do not keep a call open for longer.
const MAX_FREE_EARLY_ENTRIES: usize = 3;

impl Step<'_> {
    pub(super) fn entry(&mut self, index: u8, turn: u32, digits: &Digits) {
        if let Some(why) = self.why_not(index, turn) {
            return self.ignore(why);
        }
        let (Some(listening), Some(position)) =
            (self.listening(index), self.call_mut(index).map(|call| call.position.clone()))
        else {
            return self.ignore(Ignored::Late);
        };
        let (class, heard) = self.judge(index, &position, listening, digits);
        let wrong = match class {
            EntryClass::WrongCode | EntryClass::Unterminated => true,
            EntryClass::Other | EntryClass::Pound | EntryClass::Star | EntryClass::Zero => {
                matches!(heard, Heard::Other) || matches!(heard, Heard::Key(key) if !self.flow.expects(&position, key))
            }
            EntryClass::RightCode | EntryClass::Silence | EntryClass::TooEarly => false,
        };
        let class = if wrong && class != EntryClass::WrongCode && class != EntryClass::Unterminated {
            EntryClass::Other
        } else {
            class
        };
        // Whoever presses a key at once has heard next to nothing: the same question stays open and is said anew.
        let as_if_unheard = class == EntryClass::TooEarly && self.early_entries(index) < MAX_FREE_EARLY_ENTRIES;
        let moved = if as_if_unheard { Move { to: position, verdict: None } } else { self.flow.hear(&position, heard) };
        self.v.turn = self.v.turn.saturating_add(1);
        self.out.spends = Some(turn);
        if let Some(call) = self.call_mut(index) {
            call.position = moved.to;
            call.last_entry = Some(class);
        }
        self.note(Some(index), What::Entry(class));
        if let Some(verdict) = moved.verdict {
            self.verdict(index, verdict, class);
        }
        if wrong && self.count_wrong_entry() && !self.v.is_final() {
            let reason = if class == EntryClass::WrongCode { Reason::WrongCode } else { Reason::WrongInput };
            self.settle(Status::Failed, Some(reason));
            self.abandon_call();
        } else if as_if_unheard {
            // No other question was asked.
        } else if self.listens(index) {
            if let Some(call) = self.call_mut(index) {
                call.prompts = call.prompts.saturating_add(1);
            }
            self.note(Some(index), What::Prompted);
        } else {
            let now = self.now;
            if let Some(call) = self.call_mut(index) {
                call.goodbye_at.get_or_insert(now);
            }
        }
    }

    /// How often keys came too early in this call.
    fn early_entries(&self, index: u8) -> usize {
        let early = |event: &&Event| event.call == Some(index) && event.what == What::Entry(EntryClass::TooEarly);
        self.v.events.iter().filter(early).count()
    }

    /// Why keys for `turn` do not count now; `None` when they do.
    fn why_not(&self, index: u8, turn: u32) -> Option<Ignored> {
        let call = self.v.calls.get(usize::from(index))?;
        if call.heard_at.is_none() {
            return Some(Ignored::NothingHeard);
        }
        if turn != self.v.turn {
            return Some(Ignored::WrongTurn);
        }
        if self.v.is_final() && self.listening(index).is_none() {
            return Some(Ignored::Final);
        }
        // A call that has just ended is closing: its last key and its end were sent at the same time.
        let closing = Duration::from_millis(self.v.request.policy.closing_ms.into());
        let over =
            call.recorded || call.verdict.is_some() || call.ended_at.is_some_and(|at| self.now >= at.plus(closing));
        (call.leg == Leg::Ended && over).then_some(Ignored::Late)
    }

    /// What the flow listens for on this call, if it listens.
    pub(super) fn listening(&self, index: u8) -> Option<Listening> {
        let call = self.v.calls.get(usize::from(index))?;
        if self.flow.version() != self.v.request.flow_version {
            return None;
        }
        Some(self.flow.listening(&call.position)).filter(|listening| *listening != Listening::Nothing)
    }

    /// Whether a question is open on this call.
    pub(super) fn listens(&self, index: u8) -> bool {
        self.listening(index).is_some()
    }

    fn judge(&self, index: u8, position: &Position, listening: Listening, digits: &Digits) -> (EntryClass, Heard) {
        let early = Duration::from_millis(self.v.request.policy.early_keys_ms.into());
        let heard_at = self.v.calls.get(usize::from(index)).and_then(|call| call.heard_at);
        if !digits.is_empty() && heard_at.is_some_and(|at| self.now < at.plus(early)) {
            return (EntryClass::TooEarly, Heard::Silence);
        }
        match listening {
            Listening::Nothing => (EntryClass::Silence, Heard::Silence),
            Listening::Key => match (Self::class_of_key(digits), digits.single()) {
                (class, Some(key)) => (class, Heard::Key(key)),
                (EntryClass::Silence, None) => (EntryClass::Silence, Heard::Silence),
                (_, None) => (EntryClass::Other, Heard::Other),
            },
            Listening::Code(end) => self.judge_code(position, end, digits),
        }
    }

    fn judge_code(&self, position: &Position, end: Digit, digits: &Digits) -> (EntryClass, Heard) {
        if digits.is_empty() {
            return (EntryClass::Silence, Heard::Silence);
        }
        // One key in the place of a code, with or without the ending key: zero reports, star repeats, where the flow says so.
        let entered = digits.before(end).unwrap_or_else(|| digits.clone());
        if let Some(key) = entered.single().filter(|key| self.flow.expects(position, *key)) {
            return (Self::class_of_key(&entered), Heard::Key(key));
        }
        let Some(entry) = digits.before(end) else { return (EntryClass::Unterminated, Heard::Other) };
        let right = self
            .v
            .request
            .code
            .as_ref()
            .map(Secret::expose)
            .is_some_and(|code| !code.is_empty() && code.same_as(&entry));
        if right { (EntryClass::RightCode, Heard::RightCode) } else { (EntryClass::WrongCode, Heard::Other) }
    }

    fn verdict(&mut self, index: u8, verdict: Verdict, class: EntryClass) {
        match verdict {
            Verdict::Verify => {
                // Whatever a flow says: only the right keys of the mode verify.
                let right = match self.v.request.mode {
                    Mode::Confirm => class == EntryClass::Pound,
                    Mode::Match => class == EntryClass::RightCode,
                    Mode::Speak => false,
                };
                if right && !self.v.is_final() {
                    self.out.before = Some(self.v.expires_at);
                    self.settle(Status::Verified, None);
                }
            }
            Verdict::Deny(reason) => {
                if !self.v.is_final() && reason.status() == Status::Denied {
                    self.settle(Status::Denied, Some(reason));
                }
            }
            Verdict::Fail(reason) => {
                if !self.v.is_final() && reason.status() == Status::Failed {
                    let reason = if reason == Reason::NoInput { refine(class) } else { reason };
                    self.call_failed(index, reason);
                }
            }
            Verdict::Block => {
                if !self.v.block_requested {
                    self.v.block_requested = true;
                    self.note(Some(index), What::BlockRequested);
                }
            }
            Verdict::Told => {
                if self.v.request.mode == Mode::Speak && !self.v.is_final() {
                    if let Some(call) = self.call_mut(index) {
                        call.told = true;
                    }
                    self.note(Some(index), What::Told);
                }
            }
        }
    }
}

/// A flow says `no_input` when it gives up asking; what was heard last says it better.
const fn refine(last: EntryClass) -> Reason {
    match last {
        EntryClass::WrongCode => Reason::WrongCode,
        EntryClass::Unterminated => Reason::NoTerminator,
        EntryClass::Other => Reason::WrongInput,
        EntryClass::Pound
        | EntryClass::Star
        | EntryClass::Zero
        | EntryClass::RightCode
        | EntryClass::Silence
        | EntryClass::TooEarly => Reason::NoInput,
    }
}
