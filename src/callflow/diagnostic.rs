//! Owns what is said about a faulty call flow: where, what, and what to do instead. Which faults there are is decided
//! where a flow is read and checked.

use std::{fmt, sync::Arc};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: Arc<str>,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// One fault of a call flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Name of the file, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The rule that is broken.
    pub rule: Rule,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub suggestion: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, rule, message, suggestion } = self;
        write!(f, "{file}:{line}:{column}: {message} [{rule}]\n    {suggestion}")
    }
}

/// Makes the list of rules with the name that each is shown and documented by.
macro_rules! rules {
    ($($(#[$meta:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// What a call flow has to keep to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $($(#[$meta])* $variant),+ }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name, as messages and `docs/call-flows.md` have it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

rules! {
    /// The file is larger than [`super::MAX_FILE_BYTES`].
    FileSize = "file-size",
    /// The file is well-formed XML without a document type.
    Xml = "xml",
    /// Only elements of the language, where they belong.
    Element = "element",
    /// Only attributes of the language, and all that are needed.
    Attribute = "attribute",
    /// An attribute or a text has a value that means something.
    Value = "value",
    /// A name is given once.
    Duplicate = "duplicate",
    /// A step, prompt or flow that is named exists.
    UnknownName = "unknown-name",
    /// Every prompt is used.
    UnusedPrompt = "unused-prompt",
    /// No more of anything than the limits allow.
    Limit = "limit",
    /// Every step and every item is reached by some call.
    Unreachable = "unreachable",
    /// Every path comes to an end.
    Endless = "endless",
    /// A verification is confirmed by the right key, or the right code, and by nothing else.
    Verify = "verify",
    /// A code is spoken only after a named key was pressed, only in mode `speak`, and twice.
    CodeSpoken = "code-spoken",
    /// Every call ends with something decided, and decided once.
    Undecided = "undecided",
    /// A reason of the outer contract that the verb may give.
    Reason = "reason",
    /// Who calls is said within the first second.
    Opening = "opening",
    /// Every prompt is there in every language of the file.
    Language = "language",
    /// A prompt takes at most 12 s to say.
    Length = "length",
    /// Only placeholders that exist.
    Placeholder = "placeholder",
    /// What the flow asks for can be done by every carrier it may be played by.
    Carrier = "carrier",
    /// Where a carrier cannot speak, there is a good recording of everything that is said.
    Audio = "audio",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Collects faults, so that all are told at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Diagnostic>);

impl Faults {
    /// Most faults told about one file; a file with more is no call flow.
    const MAX: usize = 200;

    pub(super) fn add(&mut self, at: &At, rule: Rule, message: impl Into<String>, suggestion: impl Into<String>) {
        if self.0.len() >= Self::MAX {
            return;
        }
        self.0.push(Diagnostic {
            file: at.file.to_string(),
            line: at.line,
            column: at.column,
            rule,
            message: message.into(),
            suggestion: suggestion.into(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults in the order of the text, each once.
    pub(super) fn sorted(mut self) -> Vec<Diagnostic> {
        self.0.sort_by(|a, b| (&a.file, a.line, a.column, a.rule).cmp(&(&b.file, b.line, b.column, b.rule)));
        self.0.dedup();
        self.0
    }
}

/// "Did you mean …": the known word nearest to `word`, when one is near, or else all of them.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let close =
        known.clone().map(|k| (distance(word, k), k)).filter(|(d, k)| *d <= (k.chars().count() / 2).clamp(1, 3)).min();
    match close {
        Some((_, best)) => format!("did you mean `{best}`?"),
        None => {
            let all = known.map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
            if all.is_empty() { "there is none in this file".to_owned() } else { format!("known here: {all}") }
        }
    }
}

/// Levenshtein distance in characters, of at most 40 characters each.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 40;
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(LONGEST).enumerate() {
        let mut left_above = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let changed = left_above + usize::from(ca != *cb);
            left_above = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_nearest_word() {
        assert_eq!(distance("verfy", "verify"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(nearest("verfy", ["verify", "deny"].into_iter()), "did you mean `verify`?");
        assert_eq!(nearest("zzzzz", ["verify", "deny"].into_iter()), "known here: `verify`, `deny`");
    }
}
