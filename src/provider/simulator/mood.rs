//! Owns how a simulated callee behaves when no person holds the telephone. Which mood a number has is part of the
//! documentation (`docs/providers/simulator.md`); it does not know what a key leads to.

use std::{str::FromStr, time::Duration};

use super::cause;
use crate::{
    callflow::{Accept, Gather},
    dtmf::{Digit, Digits},
    outcome::Fault,
    phone::E164,
    verification::{AnsweredBy, Cause, End, PlaceResult},
};

/// What a callee does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mood {
    /// A person decides: nothing happens by itself.
    ByHand,
    /// Answers and presses `#`; keys the configured code first where a code is asked for.
    Agrees,
    /// Lets it ring.
    DoesNotAnswer,
    /// Is on the telephone already.
    Busy,
    /// Declines the call.
    Declines,
    /// A mailbox answers.
    Mailbox,
    /// Answers and presses `0`, then `#`, then `1`.
    Reports,
    /// Answers and presses wrong keys until nobody asks any more.
    WrongKeys,
    /// Presses a wrong key, then does it right.
    WrongThenRight,
    /// Answers and presses nothing.
    Silent,
    /// Answers and hangs up at once.
    HangsUpAtOnce,
    /// Listens to the whole question and hangs up.
    HangsUpAfterPrompt,
    /// Keys digits without the `#` at the end.
    ForgetsPound,
    /// A call-screening service answers and never puts the call through.
    Screened,
    /// Is switched off, or out of reach.
    Unreachable,
    /// The number is not in use.
    NotInUse,
    /// The carrier refuses the call; another carrier may take it.
    Refused,
    /// Nobody can tell whether the carrier took the call. It did not.
    Lost,
}

/// What a callee, or the person at the telephone, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Answer,
    Decline,
    Press(Digit),
    HangUp,
}

/// How long a person needs to reach for the telephone.
const REACH: Duration = Duration::from_millis(2500);
/// How long a person listens before pressing a key. Longer than the time in which keys are taken for recorded tones.
const LISTEN: Duration = Duration::from_millis(3000);
/// Time between two keys.
const BETWEEN_KEYS: Duration = Duration::from_millis(250);
/// How long a carrier needs to tell a machine from a person.
const DETECTION: Duration = Duration::from_millis(2500);
/// What a callee keys who was given no code.
const SOME_CODE: &str = "000000";

impl Mood {
    /// Every mood, its word, and the last four digits of the numbers that have it.
    pub const ALL: &'static [(Self, &'static str, Option<&'static str>)] = &[
        (Self::ByHand, "by_hand", None),
        (Self::Agrees, "agrees", None),
        (Self::DoesNotAnswer, "does_not_answer", Some("0001")),
        (Self::Busy, "busy", Some("0002")),
        (Self::Declines, "declines", Some("0003")),
        (Self::Mailbox, "mailbox", Some("0004")),
        (Self::Reports, "reports", Some("0005")),
        (Self::WrongKeys, "wrong_keys", Some("0006")),
        (Self::WrongThenRight, "wrong_then_right", Some("0007")),
        (Self::Silent, "silent", Some("0008")),
        (Self::HangsUpAtOnce, "hangs_up_at_once", Some("0009")),
        (Self::HangsUpAfterPrompt, "hangs_up_after_prompt", Some("0010")),
        (Self::ForgetsPound, "forgets_pound", Some("0011")),
        (Self::Screened, "screened", Some("0012")),
        (Self::Unreachable, "unreachable", Some("0013")),
        (Self::NotInUse, "not_in_use", Some("0014")),
        (Self::Refused, "refused", Some("0015")),
        (Self::Lost, "lost", Some("0016")),
    ];

    /// The mood of a number, by its last four digits; every other number agrees.
    #[must_use]
    pub fn of_number(number: &E164) -> Self {
        Self::ALL
            .iter()
            .find(|(_, _, suffix)| suffix.is_some_and(|suffix| number.expose().ends_with(suffix)))
            .map_or(Self::Agrees, |(mood, _, _)| *mood)
    }

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(mood, _, _)| *mood == self).map_or("", |(_, word, _)| word)
    }

    /// What comes of the request to dial, where it is not simply taken.
    pub(super) fn placement(self) -> Option<PlaceResult> {
        match self {
            Self::Refused => {
                let cause = cause(End::CarrierError, Fault::Carrier, "refused");
                Some(PlaceResult::Refused { cause, try_next_route: true })
            }
            Self::Lost => Some(PlaceResult::Unknown { cause: cause(End::CarrierError, Fault::Unknown, "answer_lost") }),
            Self::ByHand
            | Self::Agrees
            | Self::DoesNotAnswer
            | Self::Busy
            | Self::Declines
            | Self::Mailbox
            | Self::Reports
            | Self::WrongKeys
            | Self::WrongThenRight
            | Self::Silent
            | Self::HangsUpAtOnce
            | Self::HangsUpAfterPrompt
            | Self::ForgetsPound
            | Self::Screened
            | Self::Unreachable
            | Self::NotInUse => None,
        }
    }

    /// Why it never rings, where it does not.
    pub(super) fn never_rings(self) -> Option<Cause> {
        match self {
            Self::Busy => Some(cause(End::Busy, Fault::Callee, "")),
            Self::Unreachable => Some(cause(End::Unreachable, Fault::Callee, "")),
            Self::NotInUse => Some(cause(End::InvalidNumber, Fault::Request, "")),
            Self::ByHand
            | Self::Agrees
            | Self::DoesNotAnswer
            | Self::Declines
            | Self::Mailbox
            | Self::Reports
            | Self::WrongKeys
            | Self::WrongThenRight
            | Self::Silent
            | Self::HangsUpAtOnce
            | Self::HangsUpAfterPrompt
            | Self::ForgetsPound
            | Self::Screened
            | Self::Refused
            | Self::Lost => None,
        }
    }

    /// What happens when it rings, and after how long.
    pub(super) fn when_ringing(self) -> Option<(Duration, Act)> {
        match self {
            Self::Declines => Some((REACH, Act::Decline)),
            Self::Agrees
            | Self::Mailbox
            | Self::Reports
            | Self::WrongKeys
            | Self::WrongThenRight
            | Self::Silent
            | Self::HangsUpAtOnce
            | Self::HangsUpAfterPrompt
            | Self::ForgetsPound
            | Self::Screened => Some((REACH, Act::Answer)),
            Self::ByHand
            | Self::DoesNotAnswer
            | Self::Busy
            | Self::Unreachable
            | Self::NotInUse
            | Self::Refused
            | Self::Lost => None,
        }
    }

    /// What the carrier finds out about who answered, and after how long.
    pub(super) fn answered_by(self) -> Option<(Duration, AnsweredBy)> {
        match self {
            Self::Mailbox => Some((DETECTION, AnsweredBy::Machine)),
            Self::Screened => Some((DETECTION, AnsweredBy::Screening)),
            Self::ByHand
            | Self::Agrees
            | Self::DoesNotAnswer
            | Self::Busy
            | Self::Declines
            | Self::Reports
            | Self::WrongKeys
            | Self::WrongThenRight
            | Self::Silent
            | Self::HangsUpAtOnce
            | Self::HangsUpAfterPrompt
            | Self::ForgetsPound
            | Self::Unreachable
            | Self::NotInUse
            | Self::Refused
            | Self::Lost => None,
        }
    }

    /// What the callee does when asked for the `asked`-th time in a call, from 0; each time is counted from the start
    /// of the question, `prompt` long.
    pub(super) fn when_asked(self, asked: u32, gather: &Gather, code: Option<&Digits>) -> Vec<(Duration, Act)> {
        let prompt: Duration = gather.prompt.iter().map(crate::callflow::Line::speaking_time).sum();
        let listen = LISTEN.min(prompt.max(REACH));
        let keys = |text: &str| keys_at(listen, text);
        let right = match gather.accept {
            Accept::OneKey => String::from("#"),
            Accept::Entry { end, .. } => format!("{}{}", code.map_or(SOME_CODE, Digits::expose), end.as_char()),
        };
        match self {
            Self::Agrees => keys(&right),
            Self::WrongThenRight if asked > 0 => keys(&right),
            Self::WrongThenRight | Self::WrongKeys => match gather.accept {
                Accept::OneKey => keys("5"),
                Accept::Entry { end, .. } => keys(&format!("7{}", end.as_char())),
            },
            Self::Reports => keys(match asked {
                0 => "0",
                1 => "#",
                _ => "1",
            }),
            Self::ForgetsPound => match gather.accept {
                Accept::OneKey => keys("1"),
                Accept::Entry { .. } => keys(code.map_or(SOME_CODE, Digits::expose)),
            },
            Self::HangsUpAtOnce => vec![(BETWEEN_KEYS, Act::HangUp)],
            Self::HangsUpAfterPrompt => vec![(prompt + BETWEEN_KEYS, Act::HangUp)],
            Self::ByHand
            | Self::DoesNotAnswer
            | Self::Busy
            | Self::Declines
            | Self::Mailbox
            | Self::Silent
            | Self::Screened
            | Self::Unreachable
            | Self::NotInUse
            | Self::Refused
            | Self::Lost => Vec::new(),
        }
    }
}

/// Presses these keys one after another.
fn keys_at(first: Duration, text: &str) -> Vec<(Duration, Act)> {
    let keys = text.chars().filter_map(Digit::from_char);
    keys.zip(0u32..).map(|(key, n)| (first + BETWEEN_KEYS * n, Act::Press(key))).collect()
}

/// A word that is no mood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such mood")]
pub struct NoSuchMood;

impl FromStr for Mood {
    type Err = NoSuchMood;

    fn from_str(text: &str) -> Result<Self, NoSuchMood> {
        Self::ALL.iter().find(|(_, word, _)| *word == text).map(|(mood, _, _)| *mood).ok_or(NoSuchMood)
    }
}
