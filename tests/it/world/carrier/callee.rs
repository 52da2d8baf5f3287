//! Owns who is called and what they do: each callee is a line and a list of acts.

use std::time::Duration;

/// Somebody, or something, that can be called.
#[derive(Debug, Clone)]
pub(crate) struct Callee {
    /// What the network says when the number is called.
    pub(crate) line: Line,
    /// What is done, one act for each question that is asked; then nothing any more.
    pub(crate) acts: Vec<Act>,
    /// What machine detection finds, where the request asked for it.
    pub(crate) answered_by: &'static str,
    /// A switchboard answers; the person sits behind this extension (in the letters of `SendDigits`).
    pub(crate) extension: Option<&'static str>,
}

/// What becomes of a call before anybody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Answered after this time.
    Answers(Duration),
    /// Answered, and hung up in the same moment: before anything can be played.
    AnswersAndDrops,
    /// Busy, 486.
    Busy,
    /// Declined after this time, 603.
    Declines(Duration),
    /// Rings until the carrier gives up, 487.
    RingsOut,
    /// Fails with this SIP status.
    Fails(u16),
}

/// What is done about one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Presses these keys.
    Press(&'static str, When),
    /// Lets it pass.
    Wait,
    /// Hangs up.
    HangUp(When),
}

/// When, seen from what is being played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// As soon as it begins.
    AtOnce,
    /// In the midst of it.
    Amid,
    /// After it.
    After,
}

impl Callee {
    /// A person who answers and does this.
    pub(crate) fn person(acts: impl IntoIterator<Item = Act>) -> Self {
        Self {
            line: Line::Answers(Duration::from_secs(4)),
            acts: acts.into_iter().collect(),
            answered_by: "human",
            extension: None,
        }
    }

    /// A line that nobody answers.
    pub(crate) fn line(line: Line) -> Self {
        Self { line, ..Self::person([]) }
    }

    /// Answers, hears the prompt and presses these keys, one string for each question.
    pub(crate) fn presses(keys: impl IntoIterator<Item = &'static str>) -> Self {
        Self::person(keys.into_iter().map(|keys| Act::Press(keys, When::After)))
    }

    /// Answers and presses nothing.
    pub(crate) fn silent() -> Self {
        Self::person([])
    }

    /// Presses `#` before anybody can have understood anything, and nothing later.
    pub(crate) fn too_early() -> Self {
        Self::person([Act::Press("#", When::AtOnce)])
    }

    /// Hangs up as soon as the prompt begins.
    pub(crate) fn hangs_up_before_prompt() -> Self {
        Self::person([Act::HangUp(When::AtOnce)])
    }

    /// Hears the prompt out and hangs up.
    pub(crate) fn hangs_up_after_prompt() -> Self {
        Self::person([Act::HangUp(When::After)])
    }

    /// A mailbox: its greeting runs over the prompt, then it records until it is hung up.
    pub(crate) fn voicemail() -> Self {
        Self { answered_by: "machine_start", ..Self::person([]) }
    }

    /// A mailbox whose greeting holds the tone of `#`: `times` times, right at the start of what is asked.
    pub(crate) fn voicemail_with_tones(times: usize) -> Self {
        Self { acts: vec![Act::Press("#", When::AtOnce); times], ..Self::voicemail() }
    }

    /// A screening service listens to the first question; then the person takes the call and presses these keys.
    pub(crate) fn screened_then(keys: &'static str) -> Self {
        Self::person([Act::Wait, Act::Press(keys, When::After)])
    }

    /// A switchboard that puts through to a person who presses `#`, when the extension is dialled.
    pub(crate) fn behind_switchboard(extension: &'static str) -> Self {
        Self { extension: Some(extension), ..Self::presses(["#"]) }
    }
}
