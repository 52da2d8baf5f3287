//! Owns the settings before they have types: layers of file, environment and flags put on top of each other, and for
//! each value the place where it was given. It does not know what any setting means.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::Fault;

/// Names of the lists of tables, whose entries the environment addresses by their `name` or their index.
pub(super) const LISTS: [&str; 2] = ["carriers", "api_keys"];

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file.
    File {
        /// Its path as it was given.
        path: Arc<str>,
        /// The line, from 1; 0 for the file as a whole.
        line: usize,
    },
    /// In an environment variable of this name.
    Environment(String),
    /// By this flag.
    Flag(String),
    /// Nowhere: it is missing, or a default.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0 } => f.write_str(path),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// The way to a setting: names of tables and keys, indexes of lists as decimal text.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path(Vec<String>);

impl Path {
    pub(super) fn of<S: AsRef<str>>(segments: &[S]) -> Self {
        Self(segments.iter().map(|segment| segment.as_ref().to_owned()).collect())
    }

    pub(super) fn child(&self, segment: impl Into<String>) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment.into());
        Self(segments)
    }

    pub(super) fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    pub(super) fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        Some(Self(above.to_vec()))
    }

    pub(super) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    pub(super) fn segments(&self) -> &[String] {
        &self.0
    }

    /// Reads what [`fmt::Display`] writes: `carriers[0].auth_token`.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.split(['.', '[']).map(|segment| segment.trim_end_matches(']').to_owned()).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            if segment.bytes().all(|b| b.is_ascii_digit()) {
                write!(f, "[{segment}]")?;
            } else {
                write!(f, "{}{segment}", if at == 0 { "" } else { "." })?;
            }
        }
        Ok(())
    }
}

/// All settings that were given.
#[derive(Default)]
pub(super) struct Tree {
    root: Table,
    places: BTreeMap<Path, Place>,
    /// Given as text by the environment or a flag, whatever their types are.
    textual: BTreeSet<Path>,
    /// Known to be faulty: nothing more is said about them.
    bad: BTreeSet<Path>,
    pub(super) faults: Vec<Fault>,
}

impl Tree {
    /// Puts a TOML file underneath everything.
    pub(super) fn file(&mut self, name: &str, text: &str) {
        let path: Arc<str> = Arc::from(name);
        let (spanned, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            let place = Place::File { path: Arc::clone(&path), line };
            self.faults.push(Fault { place, key: None, why: format!("this is not TOML: {}", error.message()) });
        }
        if !errors.is_empty() {
            return;
        }
        let places = Places { text, path: &path, found: &mut self.places };
        places.table(&Path::default(), spanned.get_ref());
        // The same text was just parsed without a fault.
        self.root = text.parse().unwrap_or_default();
    }

    /// Puts one value, given as text, on top of what is there.
    pub(super) fn text(&mut self, segments: &[String], text: &str, place: Place) {
        let path = match self.resolve(segments) {
            Ok(path) => path,
            Err(why) => {
                self.faults.push(Fault { place, key: Some(segments.join(".")), why });
                return;
            }
        };
        if self.put(&path, Value::String(text.to_owned())) {
            // What stood there before is gone with its parts.
            self.places.retain(|known, _| !known.segments().starts_with(path.segments()));
            self.places.insert(path.clone(), place);
            self.textual.insert(path);
        } else {
            let why = String::from("stands for a single value, but there is a table or a list of that name");
            self.faults.push(Fault { place, key: Some(path.to_string()), why });
        }
    }

    /// Turns the name of an entry of a list into its index, making the entry where there is none.
    fn resolve(&mut self, segments: &[String]) -> Result<Path, String> {
        let [list, entry, ..] = segments else { return Ok(Path::of(segments)) };
        if !LISTS.contains(&list.as_str()) {
            return Ok(Path::of(segments));
        }
        let entries = self.root.entry(list.clone()).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(entries) = entries else { return Ok(Path::of(segments)) };
        let same = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_").eq_ignore_ascii_case(entry);
        let named: Vec<usize> = (0..)
            .zip(&*entries)
            .filter(|(_, value)| value.get("name").and_then(Value::as_str).is_some_and(same))
            .map(|(index, _)| index)
            .collect();
        let index = match (named.as_slice(), entry.parse::<usize>()) {
            ([index], _) => *index,
            ([], Ok(index)) if index < entries.len() => index,
            ([], Ok(_)) => return Err(format!("there is no entry {entry} in `{list}`; they are counted from 0")),
            ([], Err(_)) => {
                let named = Table::from_iter([(String::from("name"), Value::String(entry.clone()))]);
                entries.push(Value::Table(named));
                entries.len() - 1
            }
            (many, _) => {
                let many: Vec<_> = many.iter().map(ToString::to_string).collect();
                return Err(format!(
                    "several entries of `{list}` have this name; use their number: {}",
                    many.join(", ")
                ));
            }
        };
        let mut segments = segments.to_vec();
        if let Some(entry) = segments.get_mut(1) {
            *entry = index.to_string();
        }
        Ok(Path(segments))
    }

    /// Whether anything at all was given.
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Names at the top.
    pub(super) fn sections(&self) -> Vec<String> {
        self.root.keys().cloned().collect()
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Value> {
        let (first, rest) = path.0.split_first()?;
        rest.iter().try_fold(self.root.get(first)?, |value, segment| child(value, segment))
    }

    /// Puts a value at a path, making the tables on the way. False where something else than a table is in the way.
    pub(super) fn put(&mut self, path: &Path, value: Value) -> bool {
        let Some((last, above)) = path.0.split_last() else { return false };
        let Some(table) = self.table_at(above) else { return false };
        if matches!(table.get(last), Some(Value::Table(_) | Value::Array(_))) && !value.is_array() {
            let replaceable =
                matches!(table.get(last), Some(Value::Array(items)) if !items.iter().any(Value::is_table));
            if !replaceable {
                return false;
            }
        }
        table.insert(last.clone(), value);
        true
    }

    fn table_at(&mut self, segments: &[String]) -> Option<&mut Table> {
        let mut table = &mut self.root;
        let mut rest = segments.iter();
        while let Some(segment) = rest.next() {
            let value = table.entry(segment.clone()).or_insert_with(|| Value::Table(Table::new()));
            table = match value {
                Value::Table(table) => table,
                Value::Array(items) => items.get_mut(rest.next()?.parse::<usize>().ok()?)?.as_table_mut()?,
                Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                    return None;
                }
            };
        }
        Some(table)
    }

    pub(super) fn take(&mut self, path: &Path) -> Option<Value> {
        let (last, above) = path.0.split_last()?;
        self.get(path)?;
        self.table_at(above)?.remove(last)
    }

    /// Where a setting was given; for one that is missing, where the table is in which it is missing.
    pub(super) fn place(&self, path: &Path) -> Place {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if let Some(place) = self.places.get(&path) {
                return place.clone();
            }
            at = path.parent();
        }
        Place::Nowhere
    }

    pub(super) fn move_place(&mut self, from: &Path, to: &Path) {
        let place = self.place(from);
        self.places.insert(to.clone(), place);
    }

    /// Whether it was given as mere text.
    pub(super) fn is_textual(&self, path: &Path) -> bool {
        self.textual.contains(path)
    }

    /// Notes what is wrong with a setting, unless it, or a part of it, is known to be faulty.
    pub(super) fn fault(&mut self, path: &Path, why: impl Into<String>) {
        let section = path.segments().len() == 1;
        let part = self.bad.iter().any(|bad| bad.segments().starts_with(path.segments()));
        if self.is_bad(path) || (part && !section) {
            return;
        }
        let fault = Fault { place: self.place(path), key: Some(path.to_string()), why: why.into() };
        self.bad.insert(path.clone());
        self.faults.push(fault);
    }

    /// Says no more about a setting.
    pub(super) fn mark_bad(&mut self, path: &Path) {
        self.bad.insert(path.clone());
    }

    /// Notes what a module says is wrong, in the form `section.key: why`.
    pub(super) fn told(&mut self, text: &str) {
        match text.split_once(": ") {
            Some((path, why)) => self.fault(&Path::parse(path), why),
            None => self.faults.push(Fault { place: Place::Nowhere, key: None, why: text.to_owned() }),
        }
    }

    /// Whether a setting, or something it is part of, is known to be faulty.
    pub(super) fn is_bad(&self, path: &Path) -> bool {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if self.bad.contains(&path) {
                return true;
            }
            at = path.parent();
        }
        false
    }
}

pub(super) fn child<'a>(value: &'a Value, segment: &str) -> Option<&'a Value> {
    match value {
        Value::Table(table) => table.get(segment),
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => None,
    }
}

/// Finds the line of every value of a file.
struct Places<'a> {
    text: &'a str,
    path: &'a Arc<str>,
    found: &'a mut BTreeMap<Path, Place>,
}

impl Places<'_> {
    fn note(&mut self, at: Path, offset: usize) {
        let line = line_of(self.text, offset);
        self.found.insert(at, Place::File { path: Arc::clone(self.path), line });
    }

    fn table(mut self, above: &Path, table: &DeTable<'_>) {
        self.within(above, table);
    }

    fn within(&mut self, above: &Path, table: &DeTable<'_>) {
        for (key, value) in table {
            let at = above.child(key.get_ref().as_ref());
            self.note(at.clone(), key.span().start);
            self.value(&at, value.get_ref());
        }
    }

    fn value(&mut self, at: &Path, value: &DeValue<'_>) {
        if let Some(table) = value.as_table() {
            self.within(at, table);
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let at = at.child(index.to_string());
            self.note(at.clone(), item.span().start);
            self.value(&at, item.get_ref());
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset.min(text.len())).unwrap_or_default();
    before.iter().filter(|b| **b == b'\n').count() + 1
}
