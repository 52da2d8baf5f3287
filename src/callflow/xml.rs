//! Owns reading XML with places: opening a document safely, and taking typed attributes from elements while collecting
//! faults. Knows the namespace, not the language.

use std::{sync::Arc, time::Duration};

use roxmltree::{Document, Node, ParsingOptions};

use super::{
    MAX_FILE_BYTES,
    diagnostic::{At, Diagnostic, Faults, Rule, nearest},
};
use crate::dtmf::Digit;

/// The namespace of version 1 of the language.
pub(super) const NAMESPACE: &str = "urn:ringproof:callflow:1";
/// Most nodes of a document: far more than a flow needs, far fewer than would cost memory.
const MAX_NODES: u32 = 20_000;
/// Longest name of a flow, step or prompt.
const MAX_NAME: usize = 40;

/// Opens a document: bounded, without a document type, so without entities of its own.
pub(super) fn open<'input>(file: &str, source: &'input str) -> Result<Document<'input>, Diagnostic> {
    let fault = |line, column, rule, message: String, suggestion: &str| Diagnostic {
        file: file.to_owned(),
        line,
        column,
        rule,
        message,
        suggestion: suggestion.to_owned(),
    };
    if source.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; a call flow has at most {MAX_FILE_BYTES}", source.len());
        return Err(fault(1, 1, Rule::FileSize, message, "split it into several flows"));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(source, options).map_err(|error| {
        let at = error.pos();
        let told = error.to_string();
        let message = told.rsplit_once(" at ").map_or(told.as_str(), |(message, _)| message).to_owned();
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the library's faults are many; all the others are faults of the XML"
        )]
        match error {
            roxmltree::Error::DtdDetected => {
                // The library tells no place for this one.
                let offset = source.find("<!DOCTYPE").unwrap_or(0);
                let (line, column) = place(source, offset);
                let message = "a call flow has no document type".to_owned();
                fault(line, column, Rule::Xml, message, "remove the <!DOCTYPE …> declaration; write texts in full")
            }
            roxmltree::Error::NodesLimitReached => {
                let message = format!("the document has more than {MAX_NODES} nodes");
                fault(1, 1, Rule::FileSize, message, "split it into several flows")
            }
            _ => fault(at.row, at.col, Rule::Xml, message, "the file must be well-formed XML in UTF-8"),
        }
    })
}

fn place(source: &str, offset: usize) -> (u32, u32) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Reads one document and collects its faults.
pub(super) struct Reader<'a, 'input> {
    pub(super) doc: &'a Document<'input>,
    pub(super) file: Arc<str>,
    pub(super) faults: &'a mut Faults,
}

impl<'a, 'input> Reader<'a, 'input> {
    pub(super) fn at(&self, node: Node<'_, '_>) -> At {
        self.at_offset(node.range().start)
    }

    /// Where an attribute's value stands, or its element when it has none.
    pub(super) fn at_attribute(&self, node: Node<'_, '_>, name: &str) -> At {
        self.at_offset(
            node.attribute_node(name).map_or_else(|| node.range().start, |attribute| attribute.range().start),
        )
    }

    fn at_offset(&self, offset: usize) -> At {
        let at = self.doc.text_pos_at(offset);
        At { file: Arc::clone(&self.file), line: at.row, column: at.col }
    }

    pub(super) fn fault(
        &mut self,
        node: Node<'_, '_>,
        rule: Rule,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let at = self.at(node);
        self.faults.add(&at, rule, message, help);
    }

    pub(super) fn fault_at(
        &mut self,
        node: Node<'_, '_>,
        attribute: &str,
        rule: Rule,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let at = self.at_attribute(node, attribute);
        self.faults.add(&at, rule, message, help);
    }

    /// The child elements; anything else between them but comments and white space is a fault, and so is an element
    /// that is not one of `known`.
    pub(super) fn elements(&mut self, parent: Node<'a, 'input>, known: &[&str]) -> Vec<Node<'a, 'input>> {
        let mut elements = Vec::new();
        for child in parent.children() {
            if child.is_text() {
                if child.text().is_some_and(|text| !text.trim().is_empty()) {
                    let message = format!("text is not expected in <{}>", parent.tag_name().name());
                    self.fault(child, Rule::Element, message, "texts belong into <text> in <prompts>");
                }
                continue;
            }
            if !child.is_element() {
                continue;
            }
            let name = child.tag_name().name();
            if child.tag_name().namespace() != Some(NAMESPACE) {
                let message = format!("<{name}> is not in the namespace of call flows");
                self.fault(child, Rule::Element, message, format!("the root needs xmlns=\"{NAMESPACE}\""));
            } else if known.contains(&name) {
                elements.push(child);
            } else {
                let message = format!("<{name}> is not expected in <{}>", parent.tag_name().name());
                self.fault(child, Rule::Element, message, nearest(name, known.iter().copied()));
            }
        }
        elements
    }

    /// Nothing but white space and comments may stand in this element.
    pub(super) fn empty(&mut self, node: Node<'a, 'input>) {
        for child in node.children() {
            let blank = child.text().is_some_and(|text| text.trim().is_empty());
            if child.is_element() || (child.is_text() && !blank) {
                let name = node.tag_name().name();
                self.fault(child, Rule::Element, format!("<{name}> stands alone"), format!("write <{name} …/>"));
                return;
            }
        }
    }

    /// Refuses attributes that are not `known`, and asks for those that are `needed`.
    pub(super) fn attributes(&mut self, node: Node<'a, 'input>, needed: &[&str], optional: &[&str]) {
        let element = node.tag_name().name();
        let known = || needed.iter().chain(optional).copied();
        for attribute in node.attributes() {
            let name = attribute.name();
            if attribute.namespace().is_some() || !known().any(|k| k == name) {
                let at = self.at_offset(attribute.range().start);
                let help = if known().next().is_none() { "remove it".to_owned() } else { nearest(name, known()) };
                self.faults.add(&at, Rule::Attribute, format!("<{element}> has no attribute `{name}`"), help);
            }
        }
        for name in needed {
            if !node.has_attribute(*name) {
                let message = format!("<{element}> needs the attribute `{name}`");
                self.fault(node, Rule::Attribute, message, format!("write <{element} {name}=\"…\" …>"));
            }
        }
    }

    /// A name: of a flow, a step, a prompt.
    pub(super) fn name(&mut self, node: Node<'a, 'input>, attribute: &str) -> Option<&'a str> {
        let value = node.attribute(attribute)?;
        if is_name(value) {
            return Some(value);
        }
        let message = format!("`{}` is no name", shown(value));
        let help = format!("small letters a-z, digits and hyphens, a letter first, at most {MAX_NAME}");
        self.fault_at(node, attribute, Rule::Value, message, help);
        None
    }

    /// The index of the named thing.
    pub(super) fn reference(
        &mut self,
        node: Node<'a, 'input>,
        attribute: &str,
        kind: &str,
        known: &[&str],
    ) -> Option<u8> {
        let name = self.name(node, attribute)?;
        let found = known.iter().position(|k| *k == name).and_then(|index| u8::try_from(index).ok());
        if found.is_none() {
            let help = nearest(name, known.iter().copied());
            self.fault_at(node, attribute, Rule::UnknownName, format!("there is no {kind} `{name}`"), help);
        }
        found
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        node: Node<'a, 'input>,
        attribute: &str,
        words: impl Iterator<Item = (&'static str, T)> + Clone,
    ) -> Option<T> {
        let value = node.attribute(attribute)?;
        let found = words.clone().find(|(word, _)| *word == value).map(|(_, meaning)| meaning);
        if found.is_none() {
            let message = format!("`{}` means nothing as `{attribute}`", shown(value));
            self.fault_at(node, attribute, Rule::Value, message, nearest(value, words.map(|(word, _)| word)));
        }
        found
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, node: Node<'a, 'input>, attribute: &str, least: u8, most: u8) -> Option<u8> {
        let value = node.attribute(attribute)?;
        let plain = value.bytes().all(|b| b.is_ascii_digit());
        let found = value.parse().ok().filter(|n| plain && (least..=most).contains(n));
        if found.is_none() {
            let message = format!("`{}` cannot be `{attribute}`", shown(value));
            self.fault_at(node, attribute, Rule::Value, message, format!("a whole number from {least} to {most}"));
        }
        found
    }

    /// A duration within bounds: `5s` or `500ms`.
    pub(super) fn duration(
        &mut self,
        node: Node<'a, 'input>,
        attribute: &str,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let value = node.attribute(attribute)?;
        let found = duration(value).filter(|d| (least..=most).contains(d));
        if found.is_none() {
            let message = format!("`{}` cannot be `{attribute}`", shown(value));
            let help = format!("a time from {least:?} to {most:?}, as `5s` or `500ms`");
            self.fault_at(node, attribute, Rule::Value, message, help);
        }
        found
    }

    /// A key of the telephone.
    pub(super) fn key(&mut self, node: Node<'a, 'input>, attribute: &str) -> Option<Digit> {
        let value = node.attribute(attribute)?;
        let mut chars = value.chars();
        let found = chars.next().filter(|_| chars.next().is_none()).and_then(Digit::from_char);
        if found.is_none() {
            let message = format!("`{}` is no key", shown(value));
            self.fault_at(node, attribute, Rule::Value, message, "one of 0 to 9, * and #");
        }
        found
    }
}

/// A value as it is shown in a message: short, on one line.
pub(super) fn shown(value: &str) -> String {
    let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_NAME).collect();
    if line.chars().count() < value.chars().count() { format!("{line}…") } else { line }
}

fn is_name(value: &str) -> bool {
    value.len() <= MAX_NAME
        && value.starts_with(|c: char| c.is_ascii_lowercase())
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn duration(value: &str) -> Option<Duration> {
    let (digits, unit_ms) = match value.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (value.strip_suffix('s')?, 1000),
    };
    let count: u64 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
    count.checked_mul(unit_ms).map(Duration::from_millis)
}
