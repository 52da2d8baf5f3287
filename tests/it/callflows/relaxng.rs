//! Owns reading and applying the RELAX NG schema of call flows, as far as that schema uses the language: elements,
//! attributes, choice, group, interleave, repetition, values and patterns. Validation is by derivatives: what may still
//! follow after each attribute and each child.

use std::{collections::BTreeMap, rc::Rc};

use regex::Regex;
use roxmltree::{Document, Node};

type Pattern = Rc<Rule>;

enum Rule {
    Empty,
    NotAllowed,
    Text,
    Value(String),
    Data(Regex),
    Attribute(String, Pattern),
    Element(String, Pattern),
    Choice(Pattern, Pattern),
    Group(Pattern, Pattern),
    Interleave(Pattern, Pattern),
    OneOrMore(Pattern),
}

pub(super) struct Schema {
    start: Pattern,
    namespace: String,
}

impl Schema {
    pub(super) fn read(text: &str) -> Self {
        let doc = Document::parse(text).unwrap();
        let grammar = doc.root_element();
        let defines: BTreeMap<&str, Node<'_, '_>> = elements(grammar)
            .filter(|node| node.tag_name().name() == "define")
            .map(|node| (node.attribute("name").unwrap(), node))
            .collect();
        let start = elements(grammar).find(|node| node.tag_name().name() == "start").unwrap();
        Self { start: all(start, &defines), namespace: grammar.attribute("ns").unwrap().to_owned() }
    }

    /// Whether a document keeps to the schema. One that is no XML does not.
    pub(super) fn accepts(&self, text: &str) -> bool {
        Document::parse(text).is_ok_and(|doc| {
            let after = after_element(&self.start, doc.root_element(), &self.namespace);
            nullable(&after)
        })
    }
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// All children of a schema element, one after another.
fn all(node: Node<'_, '_>, defines: &BTreeMap<&str, Node<'_, '_>>) -> Pattern {
    let parts: Vec<Pattern> = elements(node).map(|child| read(child, defines)).collect();
    parts.into_iter().reduce(group).unwrap_or_else(|| Rc::new(Rule::Empty))
}

fn read(node: Node<'_, '_>, defines: &BTreeMap<&str, Node<'_, '_>>) -> Pattern {
    let parts = || elements(node).map(|child| read(child, defines));
    let name = || node.attribute("name").unwrap().to_owned();
    match node.tag_name().name() {
        "ref" => all(defines[node.attribute("name").unwrap()], defines),
        "element" => Rc::new(Rule::Element(name(), all(node, defines))),
        "attribute" => {
            let value = if elements(node).next().is_none() { Rc::new(Rule::Text) } else { all(node, defines) };
            Rc::new(Rule::Attribute(name(), value))
        }
        "choice" => parts().reduce(choice).unwrap(),
        "group" => all(node, defines),
        "interleave" => parts().reduce(interleave).unwrap(),
        "optional" => choice(all(node, defines), Rc::new(Rule::Empty)),
        "oneOrMore" => Rc::new(Rule::OneOrMore(all(node, defines))),
        "zeroOrMore" => choice(Rc::new(Rule::OneOrMore(all(node, defines))), Rc::new(Rule::Empty)),
        "text" => Rc::new(Rule::Text),
        "empty" => Rc::new(Rule::Empty),
        "value" => Rc::new(Rule::Value(node.text().unwrap().to_owned())),
        "data" => {
            let pattern = elements(node).find(|param| param.attribute("name") == Some("pattern")).unwrap();
            Rc::new(Rule::Data(Regex::new(&format!("^(?:{})$", pattern.text().unwrap())).unwrap()))
        }
        other => panic!("the schema uses <{other}>, which this reader does not know"),
    }
}

fn choice(a: Pattern, b: Pattern) -> Pattern {
    match (&*a, &*b) {
        (Rule::NotAllowed, _) => b,
        (_, Rule::NotAllowed) => a,
        _ => Rc::new(Rule::Choice(a, b)),
    }
}

fn group(a: Pattern, b: Pattern) -> Pattern {
    match (&*a, &*b) {
        (Rule::NotAllowed, _) | (_, Rule::Empty) => a,
        (_, Rule::NotAllowed) | (Rule::Empty, _) => b,
        _ => Rc::new(Rule::Group(a, b)),
    }
}

fn interleave(a: Pattern, b: Pattern) -> Pattern {
    match (&*a, &*b) {
        (Rule::NotAllowed, _) | (_, Rule::Empty) => a,
        (_, Rule::NotAllowed) | (Rule::Empty, _) => b,
        _ => Rc::new(Rule::Interleave(a, b)),
    }
}

fn nothing() -> Pattern {
    Rc::new(Rule::NotAllowed)
}

fn empty() -> Pattern {
    Rc::new(Rule::Empty)
}

/// Whether nothing more has to follow.
fn nullable(pattern: &Pattern) -> bool {
    match &**pattern {
        Rule::Empty | Rule::Text => true,
        Rule::NotAllowed | Rule::Value(_) | Rule::Data(_) | Rule::Attribute(..) | Rule::Element(..) => false,
        Rule::Choice(a, b) => nullable(a) || nullable(b),
        Rule::Group(a, b) | Rule::Interleave(a, b) => nullable(a) && nullable(b),
        Rule::OneOrMore(a) => nullable(a),
    }
}

/// What may follow a child element.
fn after_element(pattern: &Pattern, node: Node<'_, '_>, namespace: &str) -> Pattern {
    let after = |p: &Pattern| after_element(p, node, namespace);
    match &**pattern {
        Rule::Element(name, content) => {
            let named = node.tag_name().name() == name && node.tag_name().namespace() == Some(namespace);
            if named && holds(content, node, namespace) { empty() } else { nothing() }
        }
        Rule::Choice(a, b) => choice(after(a), after(b)),
        Rule::Group(a, b) => {
            let first = group(after(a), Rc::clone(b));
            if nullable(a) { choice(first, after(b)) } else { first }
        }
        Rule::Interleave(a, b) => choice(interleave(after(a), Rc::clone(b)), interleave(Rc::clone(a), after(b))),
        Rule::OneOrMore(a) => group(after(a), choice(Rc::clone(pattern), empty())),
        Rule::Empty | Rule::NotAllowed | Rule::Text | Rule::Value(_) | Rule::Data(_) | Rule::Attribute(..) => nothing(),
    }
}

/// What may follow an attribute; attributes have no order.
fn after_attribute(pattern: &Pattern, name: &str, value: &str) -> Pattern {
    let after = |p: &Pattern| after_attribute(p, name, value);
    match &**pattern {
        Rule::Attribute(known, content) if known == name && matches(content, value) => empty(),
        Rule::Choice(a, b) => choice(after(a), after(b)),
        Rule::Group(a, b) => choice(group(after(a), Rc::clone(b)), group(Rc::clone(a), after(b))),
        Rule::Interleave(a, b) => choice(interleave(after(a), Rc::clone(b)), interleave(Rc::clone(a), after(b))),
        Rule::OneOrMore(a) => group(after(a), choice(Rc::clone(pattern), empty())),
        Rule::Empty
        | Rule::NotAllowed
        | Rule::Text
        | Rule::Value(_)
        | Rule::Data(_)
        | Rule::Attribute(..)
        | Rule::Element(..) => nothing(),
    }
}

/// The pattern once no more attributes come.
fn without_attributes(pattern: &Pattern) -> Pattern {
    match &**pattern {
        Rule::Attribute(..) => nothing(),
        Rule::Choice(a, b) => choice(without_attributes(a), without_attributes(b)),
        Rule::Group(a, b) => group(without_attributes(a), without_attributes(b)),
        Rule::Interleave(a, b) => interleave(without_attributes(a), without_attributes(b)),
        Rule::OneOrMore(a) => match &*without_attributes(a) {
            Rule::NotAllowed => nothing(),
            _ => Rc::clone(pattern),
        },
        Rule::Empty | Rule::NotAllowed | Rule::Text | Rule::Value(_) | Rule::Data(_) | Rule::Element(..) => {
            Rc::clone(pattern)
        }
    }
}

fn holds(content: &Pattern, node: Node<'_, '_>, namespace: &str) -> bool {
    let mut left = Rc::clone(content);
    for attribute in node.attributes() {
        left = if attribute.namespace().is_none() {
            after_attribute(&left, attribute.name(), attribute.value())
        } else {
            nothing()
        };
    }
    left = without_attributes(&left);
    for child in node.children() {
        if child.is_element() {
            left = after_element(&left, child, namespace);
        } else if child.is_text() && !child.text().unwrap().trim().is_empty() && !takes_text(&left) {
            return false;
        }
    }
    nullable(&left)
}

fn takes_text(pattern: &Pattern) -> bool {
    match &**pattern {
        Rule::Text => true,
        Rule::Choice(a, b) | Rule::Interleave(a, b) | Rule::Group(a, b) => takes_text(a) || takes_text(b),
        Rule::OneOrMore(a) => takes_text(a),
        Rule::Empty | Rule::NotAllowed | Rule::Value(_) | Rule::Data(_) | Rule::Attribute(..) | Rule::Element(..) => {
            false
        }
    }
}

fn matches(pattern: &Pattern, value: &str) -> bool {
    match &**pattern {
        Rule::Text => true,
        Rule::Value(known) => known == value,
        Rule::Data(regex) => regex.is_match(value),
        Rule::Choice(a, b) => matches(a, value) || matches(b, value),
        Rule::Empty
        | Rule::NotAllowed
        | Rule::Attribute(..)
        | Rule::Element(..)
        | Rule::Group(..)
        | Rule::Interleave(..)
        | Rule::OneOrMore(_) => false,
    }
}
