//! Owns reading a call flow: the elements of the language, and what each becomes. Whether the whole makes sense is
//! decided in [`super::check`]; wording in [`super::wording`].

use std::{sync::Arc, time::Duration};

use roxmltree::Node;
use sha2::{Digest, Sha256};

use super::{
    Verdict, check,
    diagnostic::{Diagnostic, Faults, Rule, nearest},
    model::{Act, Answer, CallFlow, Item, Question, Said, Sound, Step, Trigger, What},
    wording::{self, Overrides},
    xml::{self, NAMESPACE, Reader, shown},
};
use crate::{
    dtmf::Digit,
    outcome::{Mode, Reason, Status},
};

/// Most steps of a flow.
pub const MAX_STEPS: usize = 18;
/// Most items of a step, a gather with all its answers being one.
pub const MAX_ITEMS: usize = 24;
/// Most rounds of one gather.
pub const MAX_ROUNDS: u8 = 5;

/// How long a gather may wait: shorter is rude, longer is silence.
const WAIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));
const USUAL_WAIT: Duration = Duration::from_secs(5);
/// Silence between what is heard.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// How long a recording may be.
const RECORDING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(12));
const USUAL_PAUSE: Duration = Duration::from_secs(1);
/// Silence between the digits of a code.
const USUAL_DIGIT_PAUSE: Duration = Duration::from_millis(500);

/// Elements that are heard.
const SOUNDS: &[&str] = &["say", "play", "digits", "pause"];
/// Elements of a step.
const ITEMS: &[&str] = &["say", "play", "digits", "pause", "gather", "verify", "deny", "fail", "block", "end", "go"];
/// Elements of a gather.
const GATHERED: &[&str] = &["say", "play", "digits", "pause", "on"];
/// Elements of an `on`.
const VERBS: &[&str] = &["verify", "deny", "fail", "block", "end", "go", "repeat"];

/// What a flow itself may say about a failure; everything else is known by the call, not by the flow.
const FAILURES: &[Reason] = &[Reason::NoInput, Reason::NoTerminator, Reason::WrongInput, Reason::WrongCode];

impl CallFlow {
    /// Reads and checks a call flow.
    ///
    /// # Errors
    /// Every fault of the file, in the order of its text.
    pub fn parse(file_name: &str, source: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_with(file_name, source, &[])
    }

    /// The same with texts of other files laid over it.
    pub(super) fn parse_with(file: &str, source: &str, overrides: &[Overrides]) -> Result<Self, Vec<Diagnostic>> {
        let doc = xml::open(file, source).map_err(|fault| vec![fault])?;
        let mut faults = Faults::default();
        let mut reader = Reader { doc: &doc, file: Arc::from(file), faults: &mut faults };
        let root = doc.root_element();
        if root.tag_name().name() != "callflow" || root.tag_name().namespace() != Some(NAMESPACE) {
            let message = format!("<{}> is no call flow", shown(root.tag_name().name()));
            reader.fault(root, Rule::Element, message, format!("the root is <callflow xmlns=\"{NAMESPACE}\" …>"));
            return Err(faults.sorted());
        }
        let flow = flow(&mut reader, root, overrides, version(source, overrides));
        match flow {
            Some(flow) if faults.is_empty() => {
                check::check(&flow, &mut faults);
                if faults.is_empty() { Ok(flow) } else { Err(faults.sorted()) }
            }
            _ => Err(faults.sorted()),
        }
    }

    /// The flow's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What a callee has to do in it.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes whenever the file, or a file laid over it, changes: a position of another version means nothing.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }
}

/// The first 64 bits of the SHA-256 of everything that was read, each part preceded by its length.
fn version(source: &str, overrides: &[Overrides]) -> u64 {
    let mut hash = Sha256::new();
    for text in std::iter::once(source).chain(overrides.iter().map(|o| o.source.as_str())) {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(8).fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// Names that can be referred to.
struct Names<'a> {
    steps: Vec<&'a str>,
    prompts: Vec<&'a str>,
    mode: Option<Mode>,
}

fn flow<'a, 'i>(
    reader: &mut Reader<'a, 'i>,
    root: Node<'a, 'i>,
    overrides: &[Overrides],
    version: u64,
) -> Option<CallFlow> {
    reader.attributes(root, &["id", "mode"], &[]);
    let id = reader.name(root, "id").map(str::to_owned);
    let mode = reader.word(root, "mode", Mode::ALL.iter().map(|mode| (mode.as_str(), *mode)));
    let children = reader.elements(root, &["step", "prompts"]);
    let (steps, prompts): (Vec<_>, Vec<_>) = children.into_iter().partition(|n| n.tag_name().name() == "step");
    if let Some(second) = prompts.get(1) {
        reader.fault(*second, Rule::Duplicate, "a second <prompts>", "one <prompts> holds all texts of the flow");
    }
    let Some(prompts) = prompts.first() else {
        reader.fault(root, Rule::Element, "the flow has no <prompts>", "add <prompts> after the last step");
        return None;
    };
    let (prompts, languages) = wording::prompts(reader, *prompts, overrides);
    if steps.is_empty() {
        reader.fault(
            root,
            Rule::Element,
            "the flow has no step",
            "add a <step id=\"…\">; the first is where it starts",
        );
    }
    if let Some(extra) = steps.get(MAX_STEPS) {
        let message = format!("the flow has {} steps, more than {MAX_STEPS}", steps.len());
        reader.fault(*extra, Rule::Limit, message, "a call that needs more is too long for a telephone");
    }
    let names = Names {
        steps: steps.iter().map(|node| node.attribute("id").unwrap_or_default()).collect(),
        prompts: prompts.iter().map(|prompt| prompt.id.as_str()).collect(),
        mode,
    };
    let steps = steps.into_iter().enumerate().map(|(index, node)| step(reader, node, index, &names)).collect();
    let at = reader.at(root);
    Some(CallFlow { id: Arc::from(id?), mode: mode?, version, languages, steps, prompts, at })
}

fn step<'a, 'i>(reader: &mut Reader<'a, 'i>, node: Node<'a, 'i>, index: usize, names: &Names<'_>) -> Step {
    reader.attributes(node, &["id"], &[]);
    let id = reader.name(node, "id").unwrap_or_default().to_owned();
    if !id.is_empty() && names.steps.iter().position(|name| *name == id).is_some_and(|first| first < index) {
        reader.fault_at(node, "id", Rule::Duplicate, format!("a second step `{id}`"), "give each step its own name");
    }
    let nodes = reader.elements(node, ITEMS);
    if nodes.is_empty() {
        reader.fault(
            node,
            Rule::Element,
            format!("step `{id}` is empty"),
            "say something, ask something, or remove it",
        );
    }
    if let Some(extra) = nodes.get(MAX_ITEMS) {
        let message = format!("step `{id}` has {} items, more than {MAX_ITEMS}", nodes.len());
        reader.fault(*extra, Rule::Limit, message, "split the step");
    }
    let items = nodes.into_iter().filter_map(|node| item(reader, node, names)).collect();
    Step { id, items, at: reader.at(node) }
}

fn item<'a, 'i>(reader: &mut Reader<'a, 'i>, node: Node<'a, 'i>, names: &Names<'_>) -> Option<Item> {
    let what = match node.tag_name().name() {
        "gather" => What::Ask(question(reader, node, names)?),
        name if SOUNDS.contains(&name) => What::Line(said(reader, node, names, false)?),
        _ => What::Do(act(reader, node, names)?),
    };
    Some(Item { what, at: reader.at(node) })
}

fn question<'a, 'i>(reader: &mut Reader<'a, 'i>, node: Node<'a, 'i>, names: &Names<'_>) -> Option<Question> {
    reader.attributes(node, &["times"], &["listen", "end", "wait"]);
    let for_code = reader.word(node, "listen", [("key", false), ("code", true)].into_iter()).unwrap_or(false);
    let end = reader.key(node, "end");
    if !for_code && node.has_attribute("end") {
        let help = "remove it, or write listen=\"code\"";
        reader.fault_at(node, "end", Rule::Attribute, "`end` belongs to a gather for a code", help);
    }
    if for_code && names.mode.is_some_and(|mode| mode != Mode::Match) {
        let help = "use mode=\"match\", or ask for one key";
        reader.fault_at(node, "listen", Rule::Value, "only a flow of mode `match` asks for a code", help);
        return None;
    }
    let wait = reader.duration(node, "wait", WAIT.0, WAIT.1).unwrap_or(USUAL_WAIT);
    let times = reader.number(node, "times", 1, MAX_ROUNDS).unwrap_or(1);
    let (answers, heard): (Vec<_>, Vec<_>) =
        reader.elements(node, GATHERED).into_iter().partition(|child| child.tag_name().name() == "on");
    if let Some(late) = heard.iter().find(|h| answers.first().is_some_and(|a| a.range().start < h.range().start)) {
        let help = "write what is heard before the first <on>";
        reader.fault(*late, Rule::Element, "this is heard before any key, but stands after an <on>", help);
    }
    if answers.is_empty() {
        reader.fault(node, Rule::Element, "the gather answers no key", "add <on key=\"…\">");
    }
    let prompt: Vec<Said> = heard.into_iter().filter_map(|child| said(reader, child, names, true)).collect();
    let code_end = for_code.then(|| end.unwrap_or(Digit::POUND));
    let mut read: Vec<Answer> = Vec::new();
    for child in answers {
        let Some(answer) = answer(reader, child, names, code_end) else { continue };
        if read.iter().any(|earlier| earlier.on == answer.on) {
            reader.fault(child, Rule::Duplicate, "this is answered by an earlier <on>", "remove one of them");
        }
        read.push(answer);
    }
    Some(Question { code_end, wait, times, prompt, answers: read })
}

fn answer<'a, 'i>(
    reader: &mut Reader<'a, 'i>,
    node: Node<'a, 'i>,
    names: &Names<'_>,
    code_end: Option<Digit>,
) -> Option<Answer> {
    reader.attributes(node, &[], &["key", "code", "other", "silence"]);
    let key = reader.key(node, "key").map(Trigger::Key);
    if code_end.is_some() && key == code_end.map(Trigger::Key) {
        let help = "an entry of that key alone is no code; use other=\"true\"";
        reader.fault_at(node, "key", Rule::Value, "this key ends the entry", help);
    }
    let code = reader.word(node, "code", [("right", Trigger::RightCode)].into_iter());
    let other = reader.word(node, "other", [("true", Trigger::Other)].into_iter());
    let silence = reader.word(node, "silence", [("true", Trigger::Silence)].into_iter());
    if node.attributes().len() != 1 {
        let help = "write one of key=\"#\", code=\"right\", other=\"true\", silence=\"true\"";
        reader.fault(node, Rule::Attribute, "<on> waits for exactly one thing", help);
    }
    if code.is_some() && code_end.is_none() {
        let help = "write listen=\"code\" at the gather";
        reader.fault_at(node, "code", Rule::Value, "this gather listens for one key, not for a code", help);
    }
    let verbs = reader.elements(node, VERBS);
    if let Some(second) = verbs.get(1) {
        reader.fault(
            *second,
            Rule::Element,
            "a second verb in <on>",
            "an <on> does one thing; use <go to=\"…\"/> for more",
        );
    }
    let Some(verb) = verbs.first() else {
        let help = "put one of <verify>, <deny>, <fail>, <block>, <end>, <go>, <repeat> into it";
        reader.fault(node, Rule::Element, "<on> does nothing", help);
        return None;
    };
    let at = reader.at(*verb);
    let act = act(reader, *verb, names)?;
    Some(Answer { on: key.or(code).or(other).or(silence)?, act, at })
}

/// Something heard. `in_gather`: it may be heard in some rounds only.
fn said<'a, 'i>(reader: &mut Reader<'a, 'i>, node: Node<'a, 'i>, names: &Names<'_>, in_gather: bool) -> Option<Said> {
    reader.empty(node);
    let rounds: &[&str] = if in_gather { &["from", "until"] } else { &[] };
    let mut optional = rounds.to_vec();
    let mut times = 1;
    let what = match node.tag_name().name() {
        "say" => {
            optional.extend(["times", "pause"]);
            reader.attributes(node, &["prompt"], &optional);
            times = reader.number(node, "times", 1, 3).unwrap_or(1);
            let pause = reader.duration(node, "pause", PAUSE.0, PAUSE.1).unwrap_or(USUAL_PAUSE);
            Sound::Prompt { prompt: reader.reference(node, "prompt", "prompt", &names.prompts)?, pause }
        }
        "play" => {
            reader.attributes(node, &["recording", "takes"], &optional);
            let takes = reader.duration(node, "takes", RECORDING.0, RECORDING.1).unwrap_or_default();
            Sound::Recording { name: recording(reader, node)?, takes }
        }
        "digits" => {
            optional.extend(["times", "pause"]);
            reader.attributes(node, &["of"], &optional);
            reader.word(node, "of", [("code", ())].into_iter());
            times = reader.number(node, "times", 1, 3).unwrap_or(1);
            let pause = reader.duration(node, "pause", PAUSE.0, PAUSE.1).unwrap_or(USUAL_DIGIT_PAUSE);
            Sound::Code { pause }
        }
        _ => {
            reader.attributes(node, &["time"], &optional);
            Sound::Silence(reader.duration(node, "time", PAUSE.0, PAUSE.1).unwrap_or_default())
        }
    };
    let from = reader.number(node, "from", 1, MAX_ROUNDS).unwrap_or(1);
    let until = reader.number(node, "until", from, MAX_ROUNDS).unwrap_or(MAX_ROUNDS);
    Some(Said { what, from, until, times, at: reader.at(node) })
}

/// The name of a recording: a file name without folder, which a carrier's URL can hold as it is.
fn recording<'a, 'i>(reader: &mut Reader<'a, 'i>, node: Node<'a, 'i>) -> Option<String> {
    let name = node.attribute("recording")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        let help = "a file name without folder: letters, digits, `.`, `-` and `_`, at most 64";
        reader.fault_at(node, "recording", Rule::Value, format!("`{}` is no recording", shown(name)), help);
        return None;
    }
    Some(name.to_owned())
}

fn act<'a, 'i>(reader: &mut Reader<'a, 'i>, node: Node<'a, 'i>, names: &Names<'_>) -> Option<Act> {
    reader.empty(node);
    let (needed, optional): (&[&str], &[&str]) = match node.tag_name().name() {
        "deny" | "fail" => (&["reason", "say"], &["next"]),
        "go" => (&["to"], &["say"]),
        "repeat" => (&[], &["say"]),
        _ => (&["say"], &["next"]),
    };
    reader.attributes(node, needed, optional);
    let say = reader.reference(node, "say", "prompt", &names.prompts);
    let next = reader.reference(node, "next", "step", &names.steps);
    match node.tag_name().name() {
        "verify" => Some(Act::Settle { verdict: Some(Verdict::Verify), say: say?, next }),
        "deny" => {
            let denials = Reason::ALL.iter().filter(|reason| reason.status() == Status::Denied);
            let reason = reason(reader, node, denials.copied())?;
            Some(Act::Settle { verdict: Some(Verdict::Deny(reason)), say: say?, next })
        }
        "fail" => {
            let reason = reason(reader, node, FAILURES.iter().copied())?;
            Some(Act::Settle { verdict: Some(Verdict::Fail(reason)), say: say?, next })
        }
        "block" => Some(Act::Settle { verdict: Some(Verdict::Block), say: say?, next }),
        "end" => Some(Act::Settle { verdict: None, say: say?, next }),
        "go" => Some(Act::Go { to: reader.reference(node, "to", "step", &names.steps)?, say }),
        _ => Some(Act::Repeat { say }),
    }
}

fn reason<'a, 'i>(
    reader: &mut Reader<'a, 'i>,
    node: Node<'a, 'i>,
    possible: impl Iterator<Item = Reason> + Clone,
) -> Option<Reason> {
    let value = node.attribute("reason")?;
    let found = possible.clone().find(|reason| reason.as_str() == value);
    if found.is_none() {
        let verb = node.tag_name().name();
        let known = Reason::ALL.iter().any(|reason| reason.as_str() == value);
        let why = if known { "is not for a flow to tell" } else { "is no reason" };
        let message = format!("`{}` {why} with <{verb}>", shown(value));
        let help = nearest(value, possible.map(Reason::as_str));
        reader.fault_at(node, "reason", Rule::Reason, message, help);
    }
    found
}
