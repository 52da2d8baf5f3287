//! Owns the rules that a call flow as a whole has to keep to. A flow that passes ends on every path, is confirmed by
//! nothing but the right key, and never speaks a code to a machine.
//!
//! The steps are walked once as a graph. Each item collects in which states a call can reach it: whether a named key was
//! pressed, and what was decided. What is wrong is told from those states.

use std::time::Duration;

use super::{
    Verdict,
    diagnostic::{At, Faults, Rule},
    estimate::LONGEST_PASSAGE,
    model::{Act, Answer, CallFlow, Item, Question, Said, Sound, Trigger, What},
};
use crate::{
    dtmf::Digit,
    outcome::{Mode, Purpose},
};

/// Within this time it is said who calls.
const OPENING: Duration = Duration::from_secs(1);

/// What was decided on the way to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Nothing.
    Open,
    /// The code was spoken.
    Told,
    /// The callee said no.
    Denied,
    /// Anything else that is final.
    Decided,
}

/// How a call can reach an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// A named key was pressed: a person is there.
    keyed: bool,
    standing: Standing,
    /// The code was spoken, and nothing was asked since.
    just_told: bool,
}

/// The states of every item, by step and item.
struct Walk<'a> {
    flow: &'a CallFlow,
    seen: Vec<Vec<Vec<State>>>,
    todo: Vec<(usize, usize, State)>,
}

pub(super) fn check(flow: &CallFlow, faults: &mut Faults) {
    let mut walk = Walk { flow, seen: vec![Vec::new(); flow.steps.len()], todo: Vec::new() };
    for (step, seen) in flow.steps.iter().zip(&mut walk.seen) {
        seen.resize(step.items.len(), Vec::new());
    }
    walk.reach(0, 0, State { keyed: false, standing: Standing::Open, just_told: false });
    while let Some((step, item, state)) = walk.todo.pop() {
        walk.follow(step, item, state, faults);
    }
    unreachable(&walk, faults);
    going_back(flow, faults);
    opening(flow, faults);
    code(flow, faults);
    confirms(flow, faults);
    prompts(flow, faults);
    passages(flow, faults);
}

impl Walk<'_> {
    /// Notes that an item is reached in a state. The item behind the last one is no item: the step runs out.
    fn reach(&mut self, step: usize, item: usize, state: State) {
        let Some(seen) = self.seen.get_mut(step).and_then(|items| items.get_mut(item)) else { return };
        if !seen.contains(&state) {
            seen.push(state);
            self.todo.push((step, item, state));
        }
    }

    fn follow(&mut self, step: usize, item: usize, state: State, faults: &mut Faults) {
        let flow = self.flow;
        let Some(Item { what, at }) = flow.steps.get(step).and_then(|s| s.items.get(item)) else { return };
        match what {
            What::Line(said) => {
                let state = heard(flow, said, state, faults);
                self.onward(step, item, at, state, faults);
            }
            What::Ask(question) => {
                let state = question.prompt.iter().fold(state, |state, said| heard(flow, said, state, faults));
                let state = State { just_told: false, ..state };
                for answer in &question.answers {
                    let named = matches!(answer.on, Trigger::Key(_) | Trigger::RightCode);
                    let state = State { keyed: state.keyed || named, ..state };
                    self.act(step, &answer.act, Some(answer), &answer.at, state, faults);
                }
                if falls_through(flow, step, question) {
                    self.onward(step, item, at, state, faults);
                }
            }
            What::Do(act) => self.act(step, act, None, at, state, faults),
        }
    }

    fn onward(&mut self, step: usize, item: usize, at: &At, state: State, faults: &mut Faults) {
        let runs_out = self.flow.steps.get(step).is_none_or(|s| s.items.len() <= item + 1);
        if runs_out {
            let help = "end the step with <fail>, <deny>, <end> or <go>";
            faults.add(at, Rule::Endless, "nothing follows this: the call would stop without a word", help);
        }
        self.reach(step, item + 1, state);
    }

    fn act(&mut self, step: usize, act: &Act, on: Option<&Answer>, at: &At, state: State, faults: &mut Faults) {
        match act {
            Act::Settle { verdict, next, .. } => {
                let standing = settle(self.flow.mode, *verdict, on.map(|answer| answer.on), state, at, faults);
                let Some(next) = next.map(usize::from) else { return };
                if next <= step {
                    let help = "name a later step; what was decided is not asked again";
                    faults.add(at, Rule::Endless, "`next` leads back", help);
                    return;
                }
                self.reach(next, 0, State { standing, ..state });
            }
            Act::Go { to, .. } => {
                let to = usize::from(*to);
                if to <= step && on.is_none() {
                    let help = "go back only in answer to a key, or name a later step";
                    faults.add(at, Rule::Endless, "without a key this goes round for ever", help);
                    return;
                }
                self.reach(to, 0, state);
            }
            Act::Repeat { .. } => {}
        }
    }
}

/// What hearing something does to the state; tells where a code is spoken that must not be.
fn heard(flow: &CallFlow, said: &Said, state: State, faults: &mut Faults) -> State {
    // In the other modes it must not stand there at all, which is told once.
    if flow.mode != Mode::Speak || !matches!(said.what, Sound::Code { .. }) {
        return state;
    }
    if !state.keyed {
        let help = "ask for a key first: <gather …><on key=\"#\"><go to=\"…\"/></on></gather>";
        let message = "the code can be spoken before a named key was pressed: to a mailbox, for instance";
        faults.add(&said.at, Rule::CodeSpoken, message, help);
    }
    match state.standing {
        Standing::Open | Standing::Told => State { standing: Standing::Told, just_told: true, ..state },
        Standing::Denied | Standing::Decided => {
            let message = "the code can be spoken after the verification was decided";
            faults.add(&said.at, Rule::CodeSpoken, message, "lead to this step before anything is decided");
            state
        }
    }
}

/// What a verdict does to the state; tells where it must not be given.
fn settle(
    mode: Mode,
    verdict: Option<Verdict>,
    on: Option<Trigger>,
    state: State,
    at: &At,
    faults: &mut Faults,
) -> Standing {
    let decided = matches!(state.standing, Standing::Denied | Standing::Decided);
    let twice = "the verification can be decided already when a call comes here";
    match verdict {
        Some(Verdict::Verify) => {
            if let Some((message, help)) = wrong_verify(mode, on) {
                faults.add(at, Rule::Verify, message, help);
            } else if decided {
                faults.add(at, Rule::Undecided, twice, "a verification is decided once; use <end>");
            }
            Standing::Decided
        }
        Some(Verdict::Deny(_)) => {
            if decided {
                faults.add(at, Rule::Undecided, twice, "a verification is decided once; use <end>");
            } else if state.just_told {
                let message = "the code is spoken and refused in one breath";
                faults.add(at, Rule::CodeSpoken, message, "ask for a key in between, or use <end>");
            }
            Standing::Denied
        }
        Some(Verdict::Fail(_)) => {
            if decided {
                faults.add(at, Rule::Undecided, twice, "a verification is decided once; use <end>");
            } else if state.standing == Standing::Told {
                let message = "the code was spoken: whether it is right is decided on the web";
                faults.add(at, Rule::Undecided, message, "use <end> after a code was spoken");
            }
            Standing::Decided
        }
        Some(Verdict::Block) => {
            if state.standing != Standing::Denied {
                let message = "only somebody who reported or refused the call can be asked about blocking";
                faults.add(at, Rule::Undecided, message, "lead here by <deny … next=\"…\"/>");
            }
            state.standing
        }
        Some(Verdict::Told) | None => {
            if state.standing == Standing::Open {
                let message = "the call can end here with nothing decided";
                faults.add(at, Rule::Undecided, message, "use <fail reason=\"no_input\" …/> or <deny …/>");
            }
            state.standing
        }
    }
}

/// Why a `verify` must not stand where it does.
fn wrong_verify(mode: Mode, on: Option<Trigger>) -> Option<(&'static str, &'static str)> {
    match (mode, on) {
        (Mode::Confirm, Some(Trigger::Key(Digit::POUND))) | (Mode::Match, Some(Trigger::RightCode)) => None,
        (Mode::Speak, _) => Some((
            "in mode `speak` nothing is confirmed on the telephone: the code is typed on the web",
            "speak the code with <digits of=\"code\"/>, then <end>",
        )),
        (Mode::Confirm, _) => {
            Some(("this confirms without the pound key", "put <verify> directly into <on key=\"#\">, and nowhere else"))
        }
        (Mode::Match, _) => Some((
            "this confirms without the right code",
            "put <verify> directly into <on code=\"right\">, and nowhere else",
        )),
    }
}

/// Whether a gather can be left by what follows it.
fn falls_through(flow: &CallFlow, step: usize, question: &Question) -> bool {
    let repeats = question.answers.iter().any(|answer| matches!(answer.act, Act::Repeat { .. }));
    let open = question.answer(Trigger::Silence).is_none() || question.answer(Trigger::Other).is_none();
    repeats || open || gone_back_to(flow).any(|(to, _)| to == step)
}

/// The steps that a key leads back to, with the place of the verb.
fn gone_back_to(flow: &CallFlow) -> impl Iterator<Item = (usize, &At)> {
    answers(flow).filter_map(|(step, answer)| match answer.act {
        Act::Go { to, .. } if usize::from(to) <= step => Some((usize::from(to), &answer.at)),
        Act::Go { .. } | Act::Settle { .. } | Act::Repeat { .. } => None,
    })
}

fn answers(flow: &CallFlow) -> impl Iterator<Item = (usize, &Answer)> {
    flow.steps.iter().enumerate().flat_map(|(index, step)| {
        step.items.iter().flat_map(move |item| {
            match &item.what {
                What::Ask(question) => question.answers.iter(),
                What::Line(_) | What::Do(_) => [].iter(),
            }
            .map(move |answer| (index, answer))
        })
    })
}

/// Everything heard, with the place where it stands.
pub(super) fn sounds(flow: &CallFlow) -> impl Iterator<Item = &Said> {
    flow.steps.iter().flat_map(|step| &step.items).flat_map(|item| match &item.what {
        What::Line(said) => std::slice::from_ref(said),
        What::Ask(question) => question.prompt.as_slice(),
        What::Do(_) => &[],
    })
}

/// Every verb, with its place.
fn verbs(flow: &CallFlow) -> impl Iterator<Item = (&Act, &At)> {
    let items = flow.steps.iter().flat_map(|step| &step.items).filter_map(|item| match &item.what {
        What::Do(act) => Some((act, &item.at)),
        What::Line(_) | What::Ask(_) => None,
    });
    items.chain(answers(flow).map(|(_, answer)| (&answer.act, &answer.at)))
}

fn unreachable(walk: &Walk<'_>, faults: &mut Faults) {
    for (step, seen) in walk.flow.steps.iter().zip(&walk.seen) {
        let Some(first) = seen.iter().position(Vec::is_empty) else { continue };
        if first == 0 {
            let message = format!("no call reaches step `{}`", step.id);
            faults.add(&step.at, Rule::Unreachable, message, "lead to it by <go to=\"…\"/> or `next`, or remove it");
        } else if let Some(item) = step.items.get(first) {
            let help = "it stands behind something that ends or leaves the step; move or remove it";
            faults.add(&item.at, Rule::Unreachable, "no call reaches this", help);
        }
    }
}

/// Going back asks the same question again and is counted; when it was asked often enough the call has to end.
fn going_back(flow: &CallFlow, faults: &mut Faults) {
    for (to, at) in gone_back_to(flow) {
        let Some(step) = flow.steps.get(to) else { continue };
        let mut items = step.items.iter().skip_while(|item| matches!(item.what, What::Line(_)));
        let asks = items.next().is_some_and(|item| matches!(item.what, What::Ask(_)));
        let ends = items
            .find(|item| !matches!(item.what, What::Line(_)))
            .is_some_and(|item| matches!(item.what, What::Do(Act::Settle { next: None, .. })));
        if !(asks && ends) {
            let message = format!("going back to step `{}` may never end", step.id);
            let help = "a step that is gone back to has one gather, and behind it a verb that ends the call";
            faults.add(at, Rule::Endless, message, help);
        }
    }
}

/// Who calls is said first, within a second.
fn opening(flow: &CallFlow, faults: &mut Faults) {
    let Some(first) = flow.steps.first() else { return };
    let mut before: Vec<&Said> = Vec::new();
    let mut asked = None;
    for item in &first.items {
        match &item.what {
            What::Line(said) => before.push(said),
            What::Ask(question) => {
                asked = Some(question);
                break;
            }
            What::Do(_) => break,
        }
    }
    let Some(question) = asked else {
        let help = "begin with a <gather>";
        let message = "the first step asks for no key: a call that begins here decides without the callee";
        faults.add(&first.at, Rule::Opening, message, help);
        return;
    };
    before.extend(question.prompt.iter().filter(|said| said.in_round(0)));
    let help = "begin with a prompt such as \"This is {brand}. …\"";
    let Some(opening) = before.first() else {
        faults.add(&first.at, Rule::Opening, "the call begins with silence", help);
        return;
    };
    let Sound::Prompt { prompt, .. } = opening.what else {
        faults.add(&opening.at, Rule::Opening, "the call does not begin by saying who calls", help);
        return;
    };
    let Some(prompt) = flow.prompts.get(usize::from(prompt)) else { return };
    if prompt.is_optional() {
        let message = format!("prompt `{}` is not always said, so the call may begin with something else", prompt.id);
        faults.add(&opening.at, Rule::Opening, message, help);
    }
    for text in prompt.variants.iter().flat_map(|variant| variant.texts.iter().flatten()) {
        let late = text.template.time_before_brand(&text.language).is_none_or(|time| time > OPENING);
        if late {
            let message = format!("prompt `{}` does not say {{brand}} within the first second", prompt.id);
            faults.add(&text.at, Rule::Opening, message, "put {brand} into its first words");
        }
    }
}

/// A code is spoken in mode `speak` only, there for certain, and twice each time.
fn code(flow: &CallFlow, faults: &mut Faults) {
    let is_code = |said: &&Said| matches!(said.what, Sound::Code { .. });
    if flow.mode != Mode::Speak {
        for said in sounds(flow).filter(is_code) {
            let help = "use mode=\"speak\", or remove it";
            faults.add(&said.at, Rule::CodeSpoken, "only a flow of mode `speak` speaks a code", help);
        }
        return;
    }
    if !sounds(flow).any(|said| is_code(&said)) {
        faults.add(&flow.at, Rule::CodeSpoken, "the flow speaks no code", "add <digits of=\"code\" times=\"2\"/>");
    }
    for step in &flow.steps {
        // What is heard in one go: lines, up to and with the next question.
        let mut passage: Vec<&Said> = Vec::new();
        for item in &step.items {
            match &item.what {
                What::Line(said) => {
                    passage.push(said);
                    continue;
                }
                What::Ask(question) => passage.extend(&question.prompt),
                What::Do(_) => {}
            }
            let spoken: u8 = passage.iter().copied().filter(is_code).map(|said| said.times).sum();
            if let Some(said) = passage.iter().find(|said| is_code(said) && spoken == 1) {
                let help = "write times=\"2\", or speak it again further on";
                faults.add(&said.at, Rule::CodeSpoken, "the code is spoken only once", help);
            }
            passage.clear();
        }
    }
}

/// Some call can be confirmed.
fn confirms(flow: &CallFlow, faults: &mut Faults) {
    let verifies = verbs(flow).any(|(act, _)| matches!(act, Act::Settle { verdict: Some(Verdict::Verify), .. }));
    if flow.mode != Mode::Speak && !verifies {
        let help = "add <on key=\"#\"> or <on code=\"right\"> with <verify say=\"…\"/>";
        faults.add(&flow.at, Rule::Verify, "no call can be confirmed", help);
    }
}

/// Every prompt is used; a result is always spoken.
fn prompts(flow: &CallFlow, faults: &mut Faults) {
    let mut used = vec![false; flow.prompts.len()];
    let mut note = |prompt: u8| {
        if let Some(used) = used.get_mut(usize::from(prompt)) {
            *used = true;
        }
    };
    for said in sounds(flow) {
        if let Sound::Prompt { prompt, .. } = said.what {
            note(prompt);
        }
    }
    for (act, at) in verbs(flow) {
        let (say, ends) = match act {
            Act::Settle { say, .. } => (Some(*say), true),
            Act::Go { say, .. } | Act::Repeat { say } => (*say, false),
        };
        say.into_iter().for_each(&mut note);
        let prompt = say.and_then(|say| flow.prompts.get(usize::from(say)));
        if let Some(prompt) = prompt.filter(|prompt| ends && prompt.is_optional()) {
            let message =
                format!("a result is always spoken, but `{}` is said only where the client gave a text", prompt.id);
            faults.add(at, Rule::Value, message, "name a prompt without when=\"text\"");
        }
    }
    for (prompt, used) in flow.prompts.iter().zip(used) {
        if !used {
            let message = format!("prompt `{}` is never said", prompt.id);
            faults.add(&prompt.at, Rule::UnusedPrompt, message, "say it somewhere, or remove it");
        }
    }
}

/// What is said up to a question takes at most [`LONGEST_PASSAGE`], in every language and round.
fn passages(flow: &CallFlow, faults: &mut Faults) {
    for step in &flow.steps {
        let mut before: Vec<&Said> = Vec::new();
        for item in &step.items {
            let question = match &item.what {
                What::Line(said) => {
                    before.push(said);
                    continue;
                }
                What::Ask(question) => question,
                What::Do(_) => {
                    before.clear();
                    continue;
                }
            };
            let rounds = (0..question.times).map(|round| {
                let asked = question.prompt.iter().filter(move |said| said.in_round(round));
                before.iter().copied().filter(|_| round == 0).chain(asked).collect::<Vec<_>>()
            });
            let longest = rounds
                .flat_map(|said| {
                    flow.languages()
                        .enumerate()
                        .map(move |(index, language)| {
                            (
                                said.iter().map(|said| nominal_time(flow, said, index, language)).sum::<Duration>(),
                                language,
                            )
                        })
                        .collect::<Vec<_>>()
                })
                .max();
            if let Some((takes, language)) = longest.filter(|(takes, _)| *takes > LONGEST_PASSAGE) {
                let message = format!(
                    "what is said up to the end of this question takes about {:.1} s in `{language}`, longer than {} s",
                    takes.as_secs_f32(),
                    LONGEST_PASSAGE.as_secs()
                );
                faults.add(&item.at, Rule::Length, message, "say less before the callee can answer");
            }
            before.clear();
        }
    }
}

/// How long a line takes in a language at most, whatever the purpose. A code is not counted: its length is not known.
fn nominal_time(flow: &CallFlow, said: &Said, index: usize, language: &str) -> Duration {
    match &said.what {
        Sound::Prompt { prompt, pause } => {
            let Some(prompt) = flow.prompts.get(usize::from(*prompt)) else { return Duration::ZERO };
            let once = Purpose::ALL
                .iter()
                .filter_map(|purpose| prompt.variant(*purpose, true)?.texts.get(index)?.as_ref())
                .map(|text| text.template.nominal_time(language))
                .max()
                .unwrap_or_default();
            let times = u32::from(said.times);
            once * times + *pause * times.saturating_sub(1)
        }
        Sound::Recording { takes, .. } => *takes,
        Sound::Silence(pause) => *pause,
        Sound::Code { .. } => Duration::ZERO,
    }
}
