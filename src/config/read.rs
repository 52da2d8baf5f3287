//! Owns giving types to settings, and saying everything that is wrong with them at once: a faulty value is noted and
//! left out, and the rest is read again. Values are never repeated in what is said: they may be secret.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::tree::{Path, Tree, child};

/// Most faults of one table that are looked for.
const MAX_FAULTS: usize = 64;
/// Names that are as unlike as this are no misspellings of each other.
const LEAST_LIKENESS: f64 = 0.75;

/// Reads the table at `path`, an empty one where there is none. Every fault is noted in the tree; with faults, what
/// comes back is good for looking for further ones only. `None` when not even that is possible.
pub(super) fn read<T: DeserializeOwned>(tree: &mut Tree, path: &Path) -> Option<T> {
    let value = tree.get(path).cloned().unwrap_or_else(|| Value::Table(Table::new()));
    read_value(tree, path, value)
}

/// Reads `value` as what stands at `path`.
pub(super) fn read_value<T: DeserializeOwned>(tree: &mut Tree, path: &Path, value: Value) -> Option<T> {
    let mut reading =
        Reading { tree, path, value, stand_ins: BTreeMap::new(), removed: BTreeMap::new(), first: BTreeMap::new() };
    for _ in 0..MAX_FAULTS {
        match serde_path_to_error::deserialize(reading.value.clone()) {
            Ok(read) => return Some(read),
            Err(error) => {
                let below = Path::of(&error.path().iter().filter_map(segment).collect::<Vec<_>>());
                if !reading.go_on(&below, error.inner().message()) {
                    return None;
                }
            }
        }
    }
    None
}

fn segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

struct Reading<'a> {
    tree: &'a mut Tree,
    path: &'a Path,
    value: Value,
    /// What stands in for members that are missing: how many were tried.
    stand_ins: BTreeMap<Path, usize>,
    /// Faulty items that were taken out of lists, by their original index.
    removed: BTreeMap<Path, BTreeSet<usize>>,
    /// What was said about a text before it was read another way.
    first: BTreeMap<Path, String>,
}

impl Reading<'_> {
    /// Notes what is wrong at `below` and changes the value so that the next reading comes further. False when there is
    /// nothing to change.
    fn go_on(&mut self, below: &Path, message: &str) -> bool {
        if let Some(member) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            let missing = below.child(member);
            self.tree.fault(&self.path.join(&self.original(&missing)), "is missing");
            return self.stand_in(&missing);
        }
        if self.stand_ins.contains_key(below) {
            return self.stand_in(below);
        }
        let at = self.path.join(&self.original(below));
        let is_new = !self.first.contains_key(below);
        if is_new && self.tree.is_textual(&at) && self.read_otherwise(below, message) {
            self.first.insert(below.clone(), message.to_owned());
            return true;
        }
        let message = self.first.get(below).map_or(message, String::as_str);
        let why = explain(&at, message);
        self.tree.fault(&at, why);
        self.remove(below)
    }

    /// A text of the environment or a flag is tried as a number, a word or a list.
    fn read_otherwise(&mut self, below: &Path, message: &str) -> bool {
        let Some(Value::String(text)) = find(&self.value, below) else { return false };
        let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
        let list = || text.split(',').map(|item| Value::String(item.trim().to_owned())).collect();
        let otherwise = match parsed {
            Some(value) if value.is_array() => value,
            Some(_) | None if message.contains("expected a sequence") => Value::Array(list()),
            Some(value) if !value.is_str() => value,
            Some(_) | None => return false,
        };
        let Some(slot) = find_mut(&mut self.value, below) else { return false };
        *slot = otherwise;
        true
    }

    /// Puts something where a member is missing, so that the others can be read.
    fn stand_in(&mut self, missing: &Path) -> bool {
        let candidates =
            [Value::String(String::new()), Value::Array(Vec::new()), Value::Integer(0), Value::Table(Table::new())];
        let tried = self.stand_ins.entry(missing.clone()).or_default();
        let Some(candidate) = candidates.into_iter().nth(*tried) else { return false };
        *tried += 1;
        let above = missing.parent().unwrap_or_default();
        let Some(Value::Table(table)) = find_mut(&mut self.value, &above) else { return false };
        table.insert(missing.last().to_owned(), candidate);
        true
    }

    fn remove(&mut self, below: &Path) -> bool {
        let original = self.original(below);
        let Some(above) = below.parent() else { return false };
        match find_mut(&mut self.value, &above) {
            Some(Value::Table(table)) => table.remove(below.last()).is_some(),
            Some(Value::Array(items)) => {
                let Ok(index) = below.last().parse::<usize>() else { return false };
                if index >= items.len() {
                    return false;
                }
                items.remove(index);
                let index = original.last().parse().unwrap_or(index);
                self.removed.entry(above).or_default().insert(index);
                true
            }
            Some(Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_))
            | None => false,
        }
    }

    /// The path with the indexes that its items had before others were taken out.
    fn original(&self, below: &Path) -> Path {
        let mut now = Path::default();
        let mut original = Path::default();
        for segment in below.segments() {
            let shifted = self.removed.get(&now).and_then(|removed| {
                let index: usize = segment.parse().ok()?;
                Some(removed.iter().fold(index, |index, gone| if *gone <= index { index + 1 } else { index }))
            });
            original = original.child(shifted.map_or_else(|| segment.clone(), |index| index.to_string()));
            now = now.child(segment.clone());
        }
        original
    }
}

fn find<'a>(value: &'a Value, path: &Path) -> Option<&'a Value> {
    path.segments().iter().try_fold(value, |value, segment| child(value, segment))
}

fn find_mut<'a>(value: &'a mut Value, path: &Path) -> Option<&'a mut Value> {
    path.segments().iter().try_fold(value, |value, segment| match value {
        Value::Table(table) => table.get_mut(segment),
        Value::Array(items) => items.get_mut(segment.parse::<usize>().ok()?),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => None,
    })
}

/// Says in our words what the deserializer says in its own, without the value.
fn explain(path: &Path, message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (unknown, known) = rest.split_once('`').unwrap_or((rest, ""));
        return unknown_name(unknown, &quoted(known), "is no setting here");
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let (_, known) = rest.split_once('`').unwrap_or((rest, ""));
        return format!("is none of {}", quoted(known).join(", "));
    }
    if message.starts_with("invalid type: ") || message.starts_with("invalid value: ") {
        let expected = message.split_once(", expected ").map_or("something else", |(_, expected)| expected);
        let fits = if message.starts_with("invalid value: integer") { "is out of range; " } else { "" };
        return format!("{fits}expected {}", plain_type(expected));
    }
    if super::secrets::is_secret(path) {
        return String::from("cannot be read; give it as text in quotes");
    }
    message.lines().next().unwrap_or_default().to_owned()
}

fn plain_type(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" => "text in quotes",
        "a sequence" => "a list, as in [\"…\", \"…\"]",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other if other.starts_with("nonzero") => "a whole number above 0",
        other => other,
    }
}

/// The words in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What is said of a name that is not known.
pub(super) fn unknown_name(unknown: &str, known: &[&str], what: &str) -> String {
    let likeness = |name: &&str| strsim::jaro_winkler(unknown, name);
    let nearest = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match nearest {
        Some(nearest) if likeness(&nearest) >= LEAST_LIKENESS => format!("{what}; did you mean `{nearest}`?"),
        Some(_) => format!("{what}; there are {}", known.join(", ")),
        None => what.to_owned(),
    }
}
