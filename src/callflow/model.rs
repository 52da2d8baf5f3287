//! Owns what a call flow is once it was read: steps, their items, prompts. Private to this module's own files; the
//! outside sees positions and scripts.

use std::{sync::Arc, time::Duration};

use super::{Verdict, diagnostic::At, text::Template};
use crate::{
    dtmf::Digit,
    outcome::{Mode, Purpose},
};

/// One call flow, all languages. Exists only when it passed every check.
#[derive(Debug, Clone)]
pub struct CallFlow {
    pub(super) id: Arc<str>,
    pub(super) mode: Mode,
    pub(super) version: u64,
    /// Languages of the texts (BCP 47), in the order of the file.
    pub(super) languages: Vec<String>,
    pub(super) steps: Vec<Step>,
    pub(super) prompts: Vec<Prompt>,
    /// Where the flow begins in its file.
    pub(super) at: At,
}

/// A place in the call.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) items: Vec<Item>,
    pub(super) at: At,
}

/// One thing in a step.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) what: What,
    pub(super) at: At,
}

/// What an item is.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// Something is heard.
    Line(Said),
    /// Keys are asked for.
    Ask(Question),
    /// Something is decided, or the call moves on.
    Do(Act),
}

/// One thing to be heard.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) what: Sound,
    /// Heard in the rounds from this one, counted from 1.
    pub(super) from: u8,
    /// Heard in the rounds up to this one.
    pub(super) until: u8,
    /// How often, each time.
    pub(super) times: u8,
    pub(super) at: At,
}

/// What is heard.
#[derive(Debug, Clone)]
pub(super) enum Sound {
    /// A prompt, with silence between repetitions.
    Prompt { prompt: u8, pause: Duration },
    /// A recording.
    Recording { name: String, takes: Duration },
    /// The code, with silence between digits.
    Code { pause: Duration },
    /// Silence.
    Silence(Duration),
}

/// A gather.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// `None`: one key. `Some`: a code ended by this key.
    pub(super) code_end: Option<Digit>,
    pub(super) wait: Duration,
    pub(super) times: u8,
    pub(super) prompt: Vec<Said>,
    pub(super) answers: Vec<Answer>,
}

/// One `on`.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) on: Trigger,
    pub(super) act: Act,
    /// Where its verb stands.
    pub(super) at: At,
}

/// What an `on` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    Key(Digit),
    RightCode,
    Other,
    Silence,
}

/// What a verb does.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Says a prompt and, where a verdict is given, settles the verification; then goes to the next step or hangs up.
    Settle { verdict: Option<Verdict>, say: u8, next: Option<u8> },
    /// Goes to a step.
    Go { to: u8, say: Option<u8> },
    /// Asks the same again.
    Repeat { say: Option<u8> },
}

/// A prompt: one slot, in all its variants.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    pub(super) id: String,
    pub(super) variants: Vec<Variant>,
    pub(super) at: At,
}

/// The wording of a prompt for one purpose.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    /// `None`: for every purpose that has no variant of its own.
    pub(super) purpose: Option<Purpose>,
    /// Only where the client gave a text about its purpose.
    pub(super) with_text: bool,
    /// By language, in the order of the flow's languages. `None` only while a file is being checked.
    pub(super) texts: Vec<Option<Text>>,
}

/// The wording in one language.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// The language it was written for (BCP 47).
    pub(super) language: String,
    pub(super) template: Template,
    pub(super) at: At,
}

impl Prompt {
    /// The variant that is said, if any is: the one for the purpose before the plain one, and of each the one that
    /// tells the client's text when there is such a text.
    pub(super) fn variant(&self, purpose: Purpose, with_text: bool) -> Option<&Variant> {
        let wanted = |p: Option<Purpose>, t: bool| self.variants.iter().find(|v| v.purpose == p && v.with_text == t);
        let mine = Some(purpose);
        let told = with_text.then(|| wanted(mine, true)).flatten();
        told.or_else(|| wanted(mine, false))
            .or_else(|| with_text.then(|| wanted(None, true)).flatten())
            .or_else(|| wanted(None, false))
    }

    /// Whether the prompt may say nothing at all, because the client gave no text.
    pub(super) fn is_optional(&self) -> bool {
        Purpose::ALL.iter().any(|purpose| self.variant(*purpose, false).is_none())
    }
}

impl Said {
    /// Whether it is heard in this round, counted from 0.
    pub(super) fn in_round(&self, round: u8) -> bool {
        let nth = round.saturating_add(1);
        self.from <= nth && nth <= self.until
    }
}

impl Question {
    pub(super) fn answer(&self, on: Trigger) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.on == on)
    }
}
