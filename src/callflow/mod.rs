//! Owns call flows: the XML language, its checks, and playing a flow: which prompt comes after which key. It does not
//! know who is called, by whom, or what a result leads to.

mod apology;
mod check;
mod diagnostic;
mod estimate;
mod flows;
mod language;
mod model;
mod needs;
mod play;
mod read;
mod text;
mod wording;
mod xml;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use minicbor::{Decode, Encode};

use crate::{
    dtmf::{Digit, Digits},
    outcome::{Purpose, Reason},
};

pub use apology::{apology, apology_language};
pub use diagnostic::{Diagnostic, Rule};
pub use flows::{Flows, OVERRIDES};
pub use model::CallFlow;
pub use needs::{Ability, Fixed, Named, Place, Spoken};
pub use read::{MAX_ITEMS, MAX_ROUNDS, MAX_STEPS};
pub use text::Slot;
pub use wording::{MAX_LANGUAGES, MAX_PROMPTS};

/// Largest file of a call flow, in bytes.
pub const MAX_FILE_BYTES: usize = 256 * 1024;

/// Where in a flow a call stands. A plain value: the same position always gives the same script.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Position {
    /// Index of the step.
    #[n(0)]
    pub step: u8,
    /// Index of the item in that step where playing goes on.
    #[n(1)]
    pub item: u8,
    /// How often something had to be asked before: in the low four bits the gather at hand, 0 on the first time; in the
    /// high four bits what was asked again in this call before that gather was reached.
    #[n(2)]
    pub round: u8,
    /// Index of a prompt said before anything else: what a key was answered with.
    #[n(3)]
    pub lead: Option<u8>,
    /// Nothing is listened for any more: after `lead`, and what stands at `item`, the call is hung up.
    #[n(4)]
    pub hang_up: bool,
}

/// What a flow listens for at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// One key.
    Key,
    /// The code of the verification, ended by this key.
    Code(Digit),
    /// Nothing: the call is being hung up.
    Nothing,
}

/// What was heard at a position. A code was already judged: a flow never sees one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// One key. Where a code is asked for: the one key that was entered in its place, with or without the ending key
    /// behind it; this is how somebody who should key in a code reports the call (`0`) or hears it again (`*`).
    Key(Digit),
    /// The right code, ended as it should be.
    RightCode,
    /// Anything else where one key or a code was asked for.
    Other,
    /// Nothing, for as long as the flow waits.
    Silence,
}

/// What a flow says about the verification when it moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The callee confirmed.
    Verify,
    /// The callee said no: `callee_denied` or `fraud_reported`.
    Deny(Reason),
    /// It failed: a reason whose status is `failed`.
    Fail(Reason),
    /// After a report: the callee wants no more such calls.
    Block,
    /// The code was spoken; whether it is right is decided on the web. Only in mode `speak`.
    Told,
}

/// Where a flow goes and what it says about the verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Where the call stands now.
    pub to: Position,
    /// The verdict, where there is one.
    pub verdict: Option<Verdict>,
}

/// What fills the slots of prompts.
#[derive(Debug, Clone)]
pub struct Saying<'a> {
    /// Wanted language (BCP 47); the flow takes the nearest it has, English where there is none.
    pub locale: &'a str,
    /// Who is said to call.
    pub brand: &'a str,
    /// Why the call is made: chooses between variants of a prompt.
    pub purpose: Purpose,
    /// A short text about it, where the client gave one.
    pub purpose_text: Option<&'a str>,
    /// Last digits of the number called.
    pub last_digits: &'a str,
    /// The code to be spoken, in mode `speak`.
    pub code: Option<&'a Digits>,
}

/// What the callee hears now and what is listened for: free of any carrier's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Language of all texts (BCP 47), one of the flow's.
    pub language: String,
    /// Heard first; keys do not cut it short.
    pub before: Vec<Line>,
    /// What comes then.
    pub then: Then,
}

impl Script {
    /// How long it takes to say everything once, by the documented estimate of speaking rates.
    #[must_use]
    pub fn speaking_time(&self) -> Duration {
        let asked: &[Line] = match &self.then {
            Then::Gather(gather) => &gather.prompt,
            Then::HangUp => &[],
        };
        self.before.iter().chain(asked).map(Line::speaking_time).sum()
    }
}

/// What follows the opening lines of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Keys are asked for.
    Gather(Gather),
    /// The call ends.
    HangUp,
}

/// A question and the keys that answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// Heard while keys are listened for; the first key cuts it short.
    pub prompt: Vec<Line>,
    /// What counts as an answer.
    pub accept: Accept,
    /// How long to wait after the prompt, and between keys.
    pub wait: Duration,
}

/// What ends a gather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// The first key.
    OneKey,
    /// Digits up to the ending key, which is part of what is reported; at most `max` keys including it.
    Entry {
        /// Most keys, the ending one included.
        max: u8,
        /// The key that ends the entry.
        end: Digit,
    },
}

impl Accept {
    /// Whether a gather has what it asked for once `keys` came, the last of them `last`.
    #[must_use]
    pub fn is_met(self, keys: &str, last: Digit) -> bool {
        match self {
            Self::OneKey => true,
            Self::Entry { max, end } => last == end || keys.len() >= usize::from(max).min(Digits::MAX),
        }
    }
}

/// One thing the callee hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A prompt, its slots filled: plain text, never mark-up.
    Say {
        /// Id of the prompt in the flow.
        prompt: String,
        /// What is said.
        text: String,
        /// How long that takes, by the documented estimate.
        takes: Duration,
        /// How the text is put together, for those who play recordings of its parts.
        wording: Wording,
    },
    /// A recording, by the name the flow gives it.
    Play {
        /// File name without folder.
        recording: String,
        /// How long it is allowed to take.
        takes: Duration,
    },
    /// A code, digit by digit.
    SpokenDigits {
        /// The digits. Secret.
        digits: SpokenCode,
        /// Silence between digits.
        pause: Duration,
        /// How long that takes, by the documented estimate.
        takes: Duration,
    },
    /// Silence.
    Pause(Duration),
}

impl Line {
    /// How long the line takes.
    #[must_use]
    pub const fn speaking_time(&self) -> Duration {
        match self {
            Self::Say { takes, .. } | Self::Play { takes, .. } | Self::SpokenDigits { takes, .. } => *takes,
            Self::Pause(pause) => *pause,
        }
    }
}

/// How what a prompt says is put together: of fixed texts and of values in the place of placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wording {
    /// Id of the flow; empty where the text is of no flow.
    pub flow: Arc<str>,
    /// The purpose that this variant of the prompt is for; `None`: for all.
    pub purpose: Option<Purpose>,
    /// Said only where the client gave a text about its purpose: the call makes sense without it.
    pub with_text: bool,
    /// Written for the language of the script itself, not taken from a shorter tag.
    pub of_language: bool,
    /// Its parts in order; together they are the text. None for a text that is one fixed part.
    pub parts: Vec<Part>,
}

impl Wording {
    /// The parts of `text`, which is the text that this was made with, with the placeholder each stands for, if any.
    pub fn parts_of<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Option<Slot>, &'a str)> {
        let whole = self.parts.is_empty().then_some((None, text));
        let mut rest = text;
        let parts = self.parts.iter().map(move |part| {
            let (this, after) = rest.split_at_checked(part.bytes).unwrap_or((rest, ""));
            rest = after;
            (part.slot, this)
        });
        whole.into_iter().chain(parts)
    }
}

/// One part of what a prompt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The placeholder in whose place it stands; `None`: it is a fixed text.
    pub slot: Option<Slot>,
    /// How many bytes of the text it is.
    pub bytes: usize,
}

/// A code that a script speaks. Compared like any value, shown never.
#[derive(Clone, Debug)]
pub struct SpokenCode(pub Digits);

impl PartialEq for SpokenCode {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_as(&other.0)
    }
}

impl Eq for SpokenCode {}
