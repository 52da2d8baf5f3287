//! Owns the prompts of a flow: reading them, laying a customer's own texts over them, and the rules of wording:
//! every language complete, every prompt short, every placeholder known.

use std::sync::Arc;

use roxmltree::Node;

use super::{
    diagnostic::{At, Diagnostic, Faults, Rule, nearest},
    estimate::LONGEST_PROMPT,
    language,
    model::{Prompt, Text, Variant},
    text::{NotATemplate, Slot, Template},
    xml::{self, NAMESPACE, Reader, shown},
};
use crate::outcome::Purpose;

/// Most prompts of a flow.
pub const MAX_PROMPTS: usize = 64;
/// Most languages of a flow.
pub const MAX_LANGUAGES: usize = 40;
/// Longest text, in characters; the estimate is what really bounds it.
const MAX_TEXT: usize = 400;

/// A prompt's wording for one purpose, as it stands in a file.
#[derive(Debug, Clone)]
struct Worded {
    id: String,
    purpose: Option<Purpose>,
    with_text: bool,
    texts: Vec<Text>,
    at: At,
}

/// A file with a customer's own wording for one flow.
#[derive(Debug, Clone)]
pub(super) struct Overrides {
    /// The flow whose prompts it replaces.
    pub(super) flow: String,
    /// The file as it was read.
    pub(super) source: String,
    /// Where it says which flow.
    pub(super) at: At,
    worded: Vec<Worded>,
}

impl Overrides {
    /// Reads a file whose root is `<prompts for="…">`.
    pub(super) fn parse(file: &str, source: &str) -> Result<Self, Vec<Diagnostic>> {
        let doc = xml::open(file, source).map_err(|fault| vec![fault])?;
        let mut faults = Faults::default();
        let mut reader = Reader { doc: &doc, file: Arc::from(file), faults: &mut faults };
        let root = doc.root_element();
        reader.attributes(root, &["for"], &[]);
        let flow = reader.name(root, "for").unwrap_or_default().to_owned();
        let at = reader.at_attribute(root, "for");
        let worded = read(&mut reader, root);
        if faults.is_empty() { Ok(Self { flow, source: source.to_owned(), at, worded }) } else { Err(faults.sorted()) }
    }

    /// The fault of a file that is none, where only such may be.
    pub(super) fn not_one(file: &str, source: &str) -> Diagnostic {
        let doc = match xml::open(file, source) {
            Ok(doc) => doc,
            Err(fault) => return fault,
        };
        let root = doc.root_element();
        let at = doc.text_pos_at(root.range().start);
        Diagnostic {
            file: file.to_owned(),
            line: at.row,
            column: at.col,
            rule: Rule::Element,
            message: format!("`{}` does not belong into a folder of overrides", shown(root.tag_name().name())),
            suggestion: format!(
                "begin with <prompts xmlns=\"{NAMESPACE}\" for=\"FLOW\">, or put a whole call flow into the folder above"
            ),
        }
    }

    /// Whether a file is one of overrides, by its root element.
    pub(super) fn is_one(source: &str) -> bool {
        xml::open("", source).is_ok_and(|doc| {
            let name = doc.root_element().tag_name();
            name.name() == "prompts" && name.namespace() == Some(NAMESPACE)
        })
    }
}

/// The prompts of a flow and its languages, checked.
pub(super) fn prompts<'a, 'i>(
    reader: &mut Reader<'a, 'i>,
    node: Node<'a, 'i>,
    overrides: &[Overrides],
) -> (Vec<Prompt>, Vec<String>) {
    reader.attributes(node, &[], &[]);
    let mut worded = read(reader, node);
    for layer in overrides {
        lay_over(&mut worded, layer, reader.faults);
    }
    let languages = languages(&worded, reader.faults);
    let mut prompts: Vec<Prompt> = Vec::new();
    for one in worded {
        let variant = variant(&one, &languages, reader.faults);
        match prompts.iter_mut().find(|prompt| prompt.id == one.id) {
            Some(prompt) => prompt.variants.push(variant),
            None => prompts.push(Prompt { id: one.id, variants: vec![variant], at: one.at }),
        }
    }
    for prompt in &prompts {
        covers_all_purposes(prompt, reader.faults);
    }
    if let Some(extra) = prompts.get(MAX_PROMPTS) {
        let message = format!("the flow has {} prompts, more than {MAX_PROMPTS}", prompts.len());
        reader.faults.add(&extra.at, Rule::Limit, message, "split it into several flows");
    }
    (prompts, languages)
}

fn read<'a, 'i>(reader: &mut Reader<'a, 'i>, node: Node<'a, 'i>) -> Vec<Worded> {
    let mut all: Vec<Worded> = Vec::new();
    for child in reader.elements(node, &["prompt"]) {
        reader.attributes(child, &["id"], &["purpose", "when"]);
        let purposes = Purpose::ALL.iter().map(|purpose| (purpose.as_str(), *purpose));
        let purpose = reader.word(child, "purpose", purposes);
        let with_text = reader.word(child, "when", [("text", true)].into_iter()).unwrap_or(false);
        let id = reader.name(child, "id").unwrap_or_default().to_owned();
        if all.iter().any(|w| w.id == id && w.purpose == purpose && w.with_text == with_text && !id.is_empty()) {
            let help = "one <prompt> holds all languages; variants differ in `purpose` or `when`";
            reader.fault_at(child, "id", Rule::Duplicate, format!("a second prompt `{id}`"), help);
        }
        let mut texts: Vec<Text> = Vec::new();
        let nodes = reader.elements(child, &["text"]);
        if nodes.is_empty() {
            reader.fault(child, Rule::Element, format!("prompt `{id}` has no text"), "add <text lang=\"en\">…</text>");
        }
        for node in nodes {
            let Some(text) = text(reader, node, with_text) else { continue };
            if texts.iter().any(|known| known.language.eq_ignore_ascii_case(&text.language)) {
                let message = format!("a second text in `{}`", text.language);
                reader.fault_at(node, "lang", Rule::Duplicate, message, "one text for each language");
            }
            texts.push(text);
        }
        all.push(Worded { id, purpose, with_text, texts, at: reader.at(child) });
    }
    all
}

fn text<'a, 'i>(reader: &mut Reader<'a, 'i>, node: Node<'a, 'i>, with_text: bool) -> Option<Text> {
    reader.attributes(node, &["lang"], &[]);
    if let Some(child) = node.children().find(Node::is_element) {
        let message = format!("<{}> is not expected in a text", shown(child.tag_name().name()));
        reader.fault(child, Rule::Element, message, "a text is plain; carriers add their own mark-up");
        return None;
    }
    let language = node.attribute("lang")?;
    if !language::is_tag(language) {
        let message = format!("`{}` is no language", shown(language));
        reader.fault_at(node, "lang", Rule::Value, message, "a BCP 47 tag such as `ja`, `en-GB` or `zh-CN`");
        return None;
    }
    let whole: String = node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect();
    let whole = whole.split_whitespace().collect::<Vec<_>>().join(" ");
    if whole.is_empty() || whole.chars().count() > MAX_TEXT {
        let message = format!("a text has 1 to {MAX_TEXT} characters");
        reader.fault(node, Rule::Value, message, "write what is said, in one or two sentences");
        return None;
    }
    if whole.contains(['#', '*']) {
        let help = "name the key as people say it: pound key, hash key, star, シャープ";
        reader.fault(node, Rule::Value, "voices do not say `#` and `*` as keys", help);
    }
    let template = match Template::parse(&whole) {
        Ok(template) => template,
        Err(NotATemplate::UnknownPlaceholder(name)) => {
            let help = if name == "code" {
                "a code is spoken by <digits of=\"code\"/>, never inside a text".to_owned()
            } else {
                nearest(&name, Slot::ALL.iter().map(|(known, _)| *known))
            };
            reader.fault(node, Rule::Placeholder, format!("there is no placeholder `{{{}}}`", shown(&name)), help);
            return None;
        }
        Err(NotATemplate::LoneBrace) => {
            reader.fault(node, Rule::Placeholder, "a brace without its other half", "write {brand}, or no brace");
            return None;
        }
    };
    if template.uses(Slot::Purpose) != with_text {
        let (message, help) = if with_text {
            ("a prompt with when=\"text\" says that text", "put {purpose} into it")
        } else {
            ("{purpose} is empty where the client gave no text", "add when=\"text\" to the prompt")
        };
        reader.fault(node, Rule::Placeholder, message, help);
    }
    Some(Text { language: language.to_owned(), template, at: reader.at(node) })
}

/// Lays a customer's own texts over those of a flow: text by text, so that what is not overridden stays.
fn lay_over(worded: &mut Vec<Worded>, layer: &Overrides, faults: &mut Faults) {
    for own in &layer.worded {
        if !worded.iter().any(|w| w.id == own.id) {
            let message = format!("flow `{}` has no prompt `{}`", layer.flow, own.id);
            faults.add(&own.at, Rule::UnknownName, message, nearest(&own.id, worded.iter().map(|w| w.id.as_str())));
            continue;
        }
        let same = |w: &&mut Worded| w.id == own.id && w.purpose == own.purpose && w.with_text == own.with_text;
        let Some(theirs) = worded.iter_mut().find(same) else {
            worded.push(own.clone());
            continue;
        };
        for text in &own.texts {
            match theirs.texts.iter_mut().find(|t| t.language.eq_ignore_ascii_case(&text.language)) {
                Some(replaced) => *replaced = text.clone(),
                None => theirs.texts.push(text.clone()),
            }
        }
    }
}

/// Every language that any text has, in the order of the file.
fn languages(worded: &[Worded], faults: &mut Faults) -> Vec<String> {
    let mut languages: Vec<String> = Vec::new();
    for text in worded.iter().flat_map(|w| &w.texts) {
        if languages.iter().any(|known| known.eq_ignore_ascii_case(&text.language)) {
            continue;
        }
        if languages.len() == MAX_LANGUAGES {
            let message = format!("more than {MAX_LANGUAGES} languages");
            faults.add(&text.at, Rule::Limit, message, "split it into several flows");
            break;
        }
        languages.push(text.language.clone());
    }
    languages
}

/// The texts of a prompt in the order of the flow's languages: its own, or that of the shorter tag.
fn variant(worded: &Worded, languages: &[String], faults: &mut Faults) -> Variant {
    let own = |tag: &str| worded.texts.iter().find(|text| text.language.eq_ignore_ascii_case(tag));
    let mut texts = Vec::with_capacity(languages.len());
    let mut missing = Vec::new();
    for tag in languages {
        let base = || language::base(worded.texts.iter().map(|text| text.language.as_str()), tag);
        let text = own(tag).or_else(|| base().and_then(|index| worded.texts.get(index)));
        match text {
            Some(text) => too_long(tag, text, &worded.id, faults),
            None => missing.push(format!("`{tag}`")),
        }
        texts.push(text.cloned());
    }
    if !missing.is_empty() && !worded.texts.is_empty() {
        let message = format!("prompt `{}` is missing in {}", worded.id, missing.join(", "));
        let help = "every prompt is given in every language of the file: callers are never served half a translation";
        faults.add(&worded.at, Rule::Language, message, help);
    }
    Variant { purpose: worded.purpose, with_text: worded.with_text, texts }
}

fn too_long(language: &str, text: &Text, id: &str, faults: &mut Faults) {
    let takes = text.template.nominal_time(language);
    if takes > LONGEST_PROMPT && text.language.eq_ignore_ascii_case(language) {
        let message = format!(
            "prompt `{id}` takes about {:.1} s in `{language}`, longer than {} s",
            takes.as_secs_f32(),
            LONGEST_PROMPT.as_secs()
        );
        faults.add(&text.at, Rule::Length, message, "say less: people hang up on long prompts");
    }
}

/// A prompt with variants needs one for every purpose, unless it is only said where the client gave a text.
fn covers_all_purposes(prompt: &Prompt, faults: &mut Faults) {
    if prompt.variants.iter().all(|variant| variant.with_text) {
        return;
    }
    let missing: Vec<String> = Purpose::ALL
        .iter()
        .filter(|purpose| prompt.variant(**purpose, false).is_none())
        .map(|purpose| format!("`{purpose}`"))
        .collect();
    if !missing.is_empty() {
        let message = format!("prompt `{}` has no wording for {}", prompt.id, missing.join(", "));
        faults.add(&prompt.at, Rule::Language, message, "add a <prompt> with the same id and without `purpose`");
    }
}
