//! Owns playing a call flow: what is heard at a position, and where a key leads. Total: a position that means nothing
//! hangs up. Never decides whether a code is right.

use std::{sync::Arc, time::Duration};

use super::{
    Accept, Gather, Heard, Line, Listening, Move, Position, Saying, Script, SpokenCode, Then, Verdict, Wording,
    estimate::{digits_time, speaking_time},
    language,
    model::{Act, CallFlow, Item, Question, Said, Sound, Trigger, Variant, What},
};
use crate::{
    dtmf::{Digit, Digits},
    outcome::Mode,
};

/// Silence between two recitals of a code.
const BETWEEN_CODES: Duration = Duration::from_secs(1);
/// Keys accepted where a code is asked for and its length is not known.
const USUAL_CODE: usize = 6;
/// An item index that no step has: nothing is said after the lead.
const PAST_THE_END: u8 = u8::MAX;

/// How often something was asked, packed into [`Position::round`]: the low four bits count the gather at hand, the high
/// four bits what had to be asked again in this call before it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rounds {
    here: u8,
    before: u8,
}

impl Rounds {
    const MAX: u8 = 15;

    const fn of(position: &Position) -> Self {
        Self { here: position.round & Self::MAX, before: position.round >> 4 }
    }

    fn packed(self) -> u8 {
        self.here.min(Self::MAX) | (self.before.min(Self::MAX) << 4)
    }

    /// All that was asked again in this call.
    const fn all(self) -> u8 {
        self.here.saturating_add(self.before)
    }

    /// At a gather that is reached for the first time.
    const fn onward(self) -> Self {
        Self { here: 0, before: self.all() }
    }
}

/// What playing from somewhere comes to.
struct Ahead<'a> {
    /// Heard on the way.
    lines: Vec<Heading<'a>>,
    /// What stands at the end of it.
    stop: Stop<'a>,
    /// The first verdict met on the way.
    verdict: Option<Verdict>,
}

/// Something heard on the way to a gather or to the end.
enum Heading<'a> {
    Line(&'a Said),
    /// What a verb says.
    Prompt(u8),
}

enum Stop<'a> {
    Gather { step: u8, item: u8, question: &'a Question },
    End,
}

impl CallFlow {
    /// Where a call begins.
    #[must_use]
    pub fn begin(&self) -> Move {
        self.arrive(0, 0, Rounds { here: 0, before: 0 }, None)
    }

    /// What is listened for at a position.
    #[must_use]
    pub fn listening(&self, at: &Position) -> Listening {
        match self.stop(at) {
            Stop::Gather { question, .. } => question.code_end.map_or(Listening::Key, Listening::Code),
            Stop::End => Listening::Nothing,
        }
    }

    /// Whether a key has an answer of its own at a position.
    #[must_use]
    pub fn expects(&self, at: &Position, key: Digit) -> bool {
        match self.stop(at) {
            Stop::Gather { question, .. } => question.answer(Trigger::Key(key)).is_some(),
            Stop::End => false,
        }
    }

    /// Where the call goes after something was heard, and what that says about the verification. Total: where nothing
    /// is listened for, nothing changes.
    #[must_use]
    pub fn hear(&self, at: &Position, heard: Heard) -> Move {
        let Stop::Gather { step, item, question } = self.stop(at) else {
            return Move { to: at.clone(), verdict: None };
        };
        let rounds = Rounds::of(at);
        let exact = match heard {
            Heard::Key(key) => question.answer(Trigger::Key(key)),
            Heard::RightCode => question.answer(Trigger::RightCode),
            Heard::Other => None,
            Heard::Silence => {
                return match question.answer(Trigger::Silence) {
                    Some(answer) => self.act(&answer.act, step, item, question, rounds),
                    None => self.again(step, item, question, rounds, None),
                };
            }
        };
        match exact.or_else(|| question.answer(Trigger::Other)) {
            Some(answer) => self.act(&answer.act, step, item, question, rounds),
            None => self.again(step, item, question, rounds, None),
        }
    }

    /// What the callee hears at a position. Total: a position that means nothing hangs up.
    #[must_use]
    pub fn script(&self, at: &Position, saying: &Saying<'_>) -> Script {
        let language = self.language_index(saying.locale);
        let voice = Voice { flow: self, language, saying };
        let mut before = Vec::new();
        let mut prompt = Vec::new();
        let ahead = self.from(at);
        let rounds = Rounds::of(at);
        // What answers a wrong key may be cut short by the right one; the result of an earlier question may not be cut
        // short by a key meant for it.
        let asked_again = rounds.here > 0 && matches!(ahead.stop, Stop::Gather { .. });
        voice.prompt(at.lead, if asked_again { &mut prompt } else { &mut before });
        for heading in &ahead.lines {
            match heading {
                Heading::Line(said) => voice.say(said, &mut before),
                Heading::Prompt(slot) => voice.prompt(Some(*slot), &mut before),
            }
        }
        let then = match ahead.stop {
            Stop::Gather { question, .. } => {
                for said in question.prompt.iter().filter(|said| said.in_round(rounds.here)) {
                    voice.say(said, &mut prompt);
                }
                Then::Gather(Gather { prompt, accept: accept(question, saying.code), wait: question.wait })
            }
            Stop::End => {
                before.append(&mut prompt);
                Then::HangUp
            }
        };
        Script { language: self.language_at(language).to_owned(), before, then }
    }

    /// What playing from a position comes to.
    fn from(&self, at: &Position) -> Ahead<'_> {
        let mut ahead = self.ahead(at.step, at.item);
        if at.hang_up {
            ahead.stop = Stop::End;
        }
        ahead
    }

    fn stop(&self, at: &Position) -> Stop<'_> {
        self.from(at).stop
    }

    /// Follows the items from one on, to the next gather or to the end.
    fn ahead(&self, step: u8, item: u8) -> Ahead<'_> {
        let mut ahead = Ahead { lines: Vec::new(), stop: Stop::End, verdict: None };
        let (mut step, mut item) = (step, item);
        // Steps only lead forward without a key, so this many turns are enough for any flow that passed its checks.
        for _ in 0..=usize::from(u8::MAX) {
            let Some(Item { what, .. }) = self.item(step, item) else { return ahead };
            match what {
                What::Line(said) => ahead.lines.push(Heading::Line(said)),
                What::Ask(question) => {
                    ahead.stop = Stop::Gather { step, item, question };
                    return ahead;
                }
                What::Do(Act::Settle { verdict, say, next }) => {
                    ahead.lines.push(Heading::Prompt(*say));
                    ahead.verdict = ahead.verdict.or(*verdict);
                    let Some(next) = next else { return ahead };
                    (step, item) = (*next, 0);
                    continue;
                }
                What::Do(Act::Go { to, say }) => {
                    ahead.lines.extend(say.map(Heading::Prompt));
                    (step, item) = (*to, 0);
                    continue;
                }
                What::Do(Act::Repeat { .. }) => return ahead,
            }
            item = item.saturating_add(1);
        }
        ahead
    }

    fn item(&self, step: u8, item: u8) -> Option<&Item> {
        self.steps.get(usize::from(step))?.items.get(usize::from(item))
    }

    /// Carries out what an answer says.
    fn act(&self, act: &Act, step: u8, item: u8, question: &Question, rounds: Rounds) -> Move {
        match act {
            Act::Settle { verdict, say, next: None } => Move {
                to: Position { step, item: PAST_THE_END, round: rounds.packed(), lead: Some(*say), hang_up: true },
                verdict: *verdict,
            },
            Act::Settle { verdict, say, next: Some(next) } => {
                let mut onward = self.arrive(*next, 0, rounds.onward(), Some(*say));
                onward.verdict = verdict.or(onward.verdict);
                onward
            }
            Act::Go { to, say } if *to > step => self.arrive(*to, 0, rounds.onward(), *say),
            Act::Go { to, say } => self.back(*to, rounds, *say),
            Act::Repeat { say } => self.again(step, item, question, rounds, *say),
        }
    }

    /// Asks the same question again, or goes on behind it when it was asked often enough.
    fn again(&self, step: u8, item: u8, question: &Question, rounds: Rounds, lead: Option<u8>) -> Move {
        let next = Rounds { here: rounds.here.saturating_add(1), ..rounds };
        if next.here < question.times {
            self.arrive(step, item, next, lead)
        } else {
            self.arrive(step, item.saturating_add(1), rounds.onward(), lead)
        }
    }

    /// Goes to an earlier step: its question is asked again, and all that was asked again in this call counts.
    fn back(&self, to: u8, rounds: Rounds, lead: Option<u8>) -> Move {
        let asked = rounds.all().saturating_add(1);
        match self.ahead(to, 0).stop {
            Stop::Gather { question, .. } if asked < question.times => {
                self.arrive(to, 0, Rounds { here: asked, before: 0 }, lead)
            }
            Stop::Gather { step, item, .. } => self.arrive(step, item.saturating_add(1), rounds.onward(), lead),
            Stop::End => self.arrive(to, 0, rounds.onward(), lead),
        }
    }

    /// The call stands before an item: the verdict, if what follows gives one before the next question.
    fn arrive(&self, step: u8, item: u8, rounds: Rounds, lead: Option<u8>) -> Move {
        let ahead = self.ahead(step, item);
        let hang_up = matches!(ahead.stop, Stop::End);
        let told = self.mode == Mode::Speak && ahead.speaks_code(rounds.here);
        Move {
            to: Position { step, item, round: rounds.packed(), lead, hang_up },
            verdict: ahead.verdict.or_else(|| told.then_some(Verdict::Told)),
        }
    }

    /// The flow's languages.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().map(String::as_str)
    }

    /// The flow's language that serves a wanted one (BCP 47): the nearest, else English.
    #[must_use]
    pub fn language_for(&self, locale: &str) -> &str {
        self.language_at(self.language_index(locale))
    }

    fn language_index(&self, locale: &str) -> usize {
        language::nearest(self.languages.iter().map(String::as_str), locale)
    }

    fn language_at(&self, index: usize) -> &str {
        self.languages.get(index).map_or("en", String::as_str)
    }
}

impl Ahead<'_> {
    /// Whether the code is spoken before, or with, the next question.
    fn speaks_code(&self, round: u8) -> bool {
        let is_code = |said: &Said| matches!(said.what, Sound::Code { .. });
        let on_the_way = self.lines.iter().any(|heading| match heading {
            Heading::Line(said) => is_code(said),
            Heading::Prompt(_) => false,
        });
        let with_question = match &self.stop {
            Stop::Gather { question, .. } => question.prompt.iter().any(|said| said.in_round(round) && is_code(said)),
            Stop::End => false,
        };
        on_the_way || with_question
    }
}

/// What ends a gather.
fn accept(question: &Question, code: Option<&Digits>) -> Accept {
    question.code_end.map_or(Accept::OneKey, |end: Digit| {
        let digits = code.map_or(USUAL_CODE, Digits::len).clamp(1, Digits::MAX - 1);
        Accept::Entry { max: u8::try_from(digits + 1).unwrap_or(u8::MAX), end }
    })
}

/// Turns items into lines.
struct Voice<'a> {
    flow: &'a CallFlow,
    language: usize,
    saying: &'a Saying<'a>,
}

impl Voice<'_> {
    fn say(&self, said: &Said, lines: &mut Vec<Line>) {
        for nth in 0..said.times {
            match &said.what {
                Sound::Prompt { prompt, pause } => {
                    if nth > 0 {
                        lines.push(Line::Pause(*pause));
                    }
                    self.prompt(Some(*prompt), lines);
                }
                Sound::Recording { name, takes } => {
                    lines.push(Line::Play { recording: name.clone(), takes: *takes });
                }
                Sound::Code { pause } => self.code(*pause, nth, lines),
                Sound::Silence(pause) => lines.push(Line::Pause(*pause)),
            }
        }
    }

    /// Speaks the code. Only in mode `speak`: in the others it must not be heard, whatever the caller hands in.
    fn code(&self, pause: Duration, nth: u8, lines: &mut Vec<Line>) {
        let Some(code) = self.saying.code.filter(|_| self.flow.mode == Mode::Speak) else { return };
        if nth > 0 {
            lines.push(Line::Pause(BETWEEN_CODES));
        }
        let takes = digits_time(code.len(), pause);
        lines.push(Line::SpokenDigits { digits: SpokenCode(code.clone()), pause, takes });
    }

    fn prompt(&self, slot: Option<u8>, lines: &mut Vec<Line>) {
        let Some(prompt) = slot.and_then(|slot| self.flow.prompts.get(usize::from(slot))) else { return };
        let given = self.saying.purpose_text.is_some_and(|text| !super::text::clean(text).is_empty());
        let Some(variant) = prompt.variant(self.saying.purpose, given) else { return };
        let Some(wording) = variant.texts.get(self.language).and_then(Option::as_ref) else { return };
        let (text, parts) = wording.template.fill(self.saying);
        let takes = speaking_time(self.flow.language_at(self.language), &text);
        let Variant { purpose, with_text, .. } = *variant;
        let of_language = wording.language.eq_ignore_ascii_case(self.flow.language_at(self.language));
        let wording = Wording { flow: Arc::clone(&self.flow.id), purpose, with_text, of_language, parts };
        lines.push(Line::Say { prompt: prompt.id.clone(), text, takes, wording });
    }
}
