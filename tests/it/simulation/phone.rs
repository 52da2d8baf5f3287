//! The callee: what is heard, what is pressed, and the truth about both. The telephone judges what it hears by the
//! prompts of the test flow alone; it knows nothing of the state behind them.

use ringproof::{
    callflow::{Line, Script, Then},
    dtmf::Digits,
};

/// What a callee is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Will {
    PressPound,
    KeyTheCode,
    TypeTheCode,
    PressPoundAtOnce,
    PressNothing,
    PressWrong,
    CodeWithoutPound,
    WrongCode,
    SeveralPounds,
    Report,
    ReportAndBlock,
    ZeroThenNothing,
    HearAgainThenPound,
    HangUpEarly,
    HangUpLate,
    PressAndHangUp,
    Busy,
    Decline,
    RingOut,
    SwitchedOff,
    Mailbox,
    Random,
}

impl Will {
    pub(crate) const ALL: &'static [Self] = &[
        Self::PressPound,
        Self::PressPound,
        Self::PressPound,
        Self::KeyTheCode,
        Self::KeyTheCode,
        Self::TypeTheCode,
        Self::PressPoundAtOnce,
        Self::PressNothing,
        Self::PressWrong,
        Self::CodeWithoutPound,
        Self::WrongCode,
        Self::SeveralPounds,
        Self::Report,
        Self::ReportAndBlock,
        Self::ZeroThenNothing,
        Self::HearAgainThenPound,
        Self::HangUpEarly,
        Self::HangUpLate,
        Self::PressAndHangUp,
        Self::PressAndHangUp,
        Self::Busy,
        Self::Decline,
        Self::RingOut,
        Self::SwitchedOff,
        Self::Mailbox,
        Self::Random,
        Self::Random,
    ];

    /// What a will leads to in mode confirm (match where a code is keyed, speak where it is typed) when nothing goes wrong.
    pub(crate) const CERTAIN: &'static [(Self, &'static str)] = &[
        (Self::PressPound, "verified"),
        (Self::KeyTheCode, "verified"),
        (Self::TypeTheCode, "verified"),
        (Self::PressNothing, "failed no_input"),
        (Self::PressWrong, "failed wrong_input"),
        (Self::SeveralPounds, "failed wrong_input"),
        (Self::CodeWithoutPound, "failed no_terminator"),
        (Self::WrongCode, "failed wrong_code"),
        (Self::Report, "denied fraud_reported"),
        (Self::ReportAndBlock, "denied fraud_reported"),
        (Self::ZeroThenNothing, "denied callee_denied"),
        (Self::HearAgainThenPound, "verified"),
        (Self::PressPoundAtOnce, "verified"),
        (Self::HangUpEarly, "failed hung_up_before_prompt"),
        (Self::HangUpLate, "failed hung_up_after_prompt"),
        (Self::PressAndHangUp, "verified"),
        (Self::Busy, "failed busy"),
        (Self::Decline, "failed rejected"),
        (Self::RingOut, "failed no_answer"),
        (Self::SwitchedOff, "failed unreachable"),
        (Self::Mailbox, "failed voicemail"),
    ];
}

/// What the callee is asked, by the prompts that are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Confirm,
    Code,
    Gate,
    Report,
    Block,
    Told,
    Nothing,
}

pub(crate) fn asked(script: &Script) -> Asked {
    let Then::Gather(gather) = &script.then else { return Asked::Nothing };
    let heard = |id: &str| gather.prompt.iter().any(|line| matches!(line, Line::Say { prompt, .. } if prompt == id));
    let spoken = gather.prompt.iter().chain(&script.before).any(|line| matches!(line, Line::SpokenDigits { .. }));
    match () {
        () if spoken => Asked::Told,
        () if heard("confirm") => Asked::Confirm,
        () if heard("code") => Asked::Code,
        () if heard("gate") => Asked::Gate,
        () if heard("report-question") => Asked::Report,
        () if heard("block-offer") => Asked::Block,
        () => panic!("the test flow asks something else: {script:?}"),
    }
}

/// A key the callee really pressed, for the checks.
#[derive(Debug, Clone)]
pub(crate) struct Pressed {
    pub asked: Asked,
    pub digits: String,
    /// Since the callee could first hear something.
    pub after_ms: u64,
}

/// What the callee does with a script: the keys, after how long, and whether the line is dropped right after.
pub(crate) struct Reaction {
    pub digits: Option<Digits>,
    pub after_ms: u64,
    pub hang_up: bool,
}

pub(crate) fn react(will: Will, script: &Script, round: usize, code: &str, rng: &mut super::rng::Rng) -> Reaction {
    let question = asked(script);
    let speaking = u64::try_from(script.speaking_time().as_millis()).unwrap();
    let wait = match &script.then {
        Then::Gather(gather) => u64::try_from(gather.wait.as_millis()).unwrap(),
        Then::HangUp => 0,
    };
    let thinking = rng.between(1_200, 1_500 + speaking);
    let press = |digits: &str, hang_up| Reaction { digits: Some(digits.parse().unwrap()), after_ms: thinking, hang_up };
    let silence = Reaction { digits: Some(Digits::none()), after_ms: speaking + wait, hang_up: false };
    let leave = |after_ms| Reaction { digits: None, after_ms, hang_up: true };
    if question == Asked::Nothing {
        return leave(speaking);
    }
    let wrong_code = if code.starts_with('1') { "2".repeat(code.len()) } else { "1".repeat(code.len()) };
    match (will, question) {
        (Will::HangUpEarly, _) => leave(speaking / 4),
        (Will::HangUpLate, _) => leave(speaking + wait / 2),
        (Will::PressNothing | Will::Mailbox, _) => silence,
        (Will::Random, _) => random(code, thinking, silence, rng),
        (Will::ZeroThenNothing, Asked::Report) => silence,
        (Will::Report, Asked::Block) => silence,
        (Will::ReportAndBlock, Asked::Block) => press("1", false),
        (Will::Report | Will::ReportAndBlock | Will::ZeroThenNothing, Asked::Confirm) => press("0", false),
        (Will::Report | Will::ReportAndBlock, Asked::Report) => press("#", false),
        (Will::PressPoundAtOnce, Asked::Confirm) if round == 0 => {
            Reaction { digits: Some("#".parse().unwrap()), after_ms: 100, hang_up: false }
        }
        (Will::HearAgainThenPound, Asked::Confirm) if round == 0 => press("*", false),
        (Will::PressWrong, Asked::Confirm | Asked::Gate) => press("5", false),
        (Will::SeveralPounds, Asked::Confirm | Asked::Gate) => press("##", false),
        (Will::PressAndHangUp, Asked::Confirm) => press("#", true),
        (Will::CodeWithoutPound, Asked::Code) => press(code, false),
        (Will::WrongCode, Asked::Code) => press(&format!("{wrong_code}#"), false),
        (_, Asked::Code) => press(&format!("{code}#"), false),
        (_, Asked::Gate) => press("1", false),
        (_, Asked::Told) => silence,
        (_, Asked::Confirm | Asked::Report | Asked::Block) => press("#", false),
        (_, Asked::Nothing) => leave(speaking),
    }
}

fn random(code: &str, thinking: u64, silence: Reaction, rng: &mut super::rng::Rng) -> Reaction {
    let keys = ["", "#", "0", "*", "5", "1", "##", "0#", "12", code, "###", "*#"];
    let digits = match rng.pick(&keys) {
        &"" => return silence,
        keys if rng.chance(10) => format!("{keys}#"),
        keys => (*keys).to_owned(),
    };
    Reaction { digits: digits.parse().ok(), after_ms: rng.between(50, thinking + 500), hang_up: rng.chance(15) }
}
