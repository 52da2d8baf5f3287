//! Owns the text of prompts: placeholders, and cleaning what is put in their place. Everything here is plain text;
//! mark-up is made by carriers, which escape it.

use super::{Part, Saying, estimate::speaking_time, needs::Fixed};
use std::time::Duration;

/// Longest text put in the place of a placeholder, in characters.
pub(super) const MAX_FILL: usize = 64;

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot(Slot),
}

/// A placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// `{brand}`: who calls.
    Brand,
    /// `{purpose}`: the client's own text about it.
    Purpose,
    /// `{last_digits}` of the number called, spoken one by one.
    LastDigits,
}

impl Slot {
    pub(super) const ALL: [(&'static str, Self); 3] =
        [("brand", Self::Brand), ("purpose", Self::Purpose), ("last_digits", Self::LastDigits)];

    /// Its name between braces, as texts have it.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Brand => "{brand}",
            Self::Purpose => "{purpose}",
            Self::LastDigits => "{last_digits}",
        }
    }

    /// A value of the length that the estimate reckons with.
    const fn nominal(self) -> &'static str {
        match self {
            Self::Brand => "Contoso Bank",
            Self::Purpose => "300 euros to Contoso",
            Self::LastDigits => "1 2 3 4",
        }
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotATemplate {
    UnknownPlaceholder(String),
    LoneBrace,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, NotATemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(brace);
            let (name, after) =
                from.strip_prefix('{').and_then(|inner| inner.split_once('}')).ok_or(NotATemplate::LoneBrace)?;
            let slot = Slot::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, slot)| slot);
            let slot = slot.ok_or_else(|| NotATemplate::UnknownPlaceholder(name.chars().take(MAX_FILL).collect()))?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Slot(slot));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    pub(super) fn uses(&self, slot: Slot) -> bool {
        self.0.contains(&Piece::Slot(slot))
    }

    /// The text with its placeholders filled, and its parts.
    pub(super) fn fill(&self, saying: &Saying<'_>) -> (String, Vec<Part>) {
        let value = |slot| match slot {
            Slot::Brand => clean(saying.brand),
            Slot::Purpose => clean(saying.purpose_text.unwrap_or_default()),
            // Apart, so that a voice says them one by one instead of as a number.
            Slot::LastDigits => {
                let digits: Vec<String> = clean(saying.last_digits).chars().map(String::from).collect();
                digits.join(" ")
            }
        };
        if let [Piece::Text(text)] = self.0.as_slice() {
            return (text.clone(), Vec::new());
        }
        let (mut text, mut parts) = (String::new(), Vec::with_capacity(self.0.len()));
        for piece in &self.0 {
            let before = text.len();
            let slot = match piece {
                Piece::Text(fixed) => {
                    text.push_str(fixed);
                    None
                }
                Piece::Slot(slot) => {
                    text.push_str(&value(*slot));
                    Some(*slot)
                }
            };
            parts.push(Part { slot, bytes: text.len() - before });
        }
        (text, parts)
    }

    /// Its parts, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = Fixed<'_>> {
        self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Fixed::Text(text),
            Piece::Slot(slot) => Fixed::Slot(*slot),
        })
    }

    /// How long it takes to say, with placeholders of usual length.
    pub(super) fn nominal_time(&self, language: &str) -> Duration {
        speaking_time(language, &self.filled(|slot| slot.nominal().to_owned()))
    }

    /// How long it takes until the brand is said; `None` when it is not.
    pub(super) fn time_before_brand(&self, language: &str) -> Option<Duration> {
        let before: Vec<Piece> = self.0.iter().take_while(|p| **p != Piece::Slot(Slot::Brand)).cloned().collect();
        (before.len() < self.0.len()).then(|| Self(before).nominal_time(language))
    }

    fn filled(&self, value: impl Fn(Slot) -> String) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Slot(slot) => value(*slot),
            })
            .collect()
    }
}

/// A value fit to be said: no control characters, white space single, at most [`MAX_FILL`] characters.
pub(super) fn clean(value: &str) -> String {
    let spaced: String = value.chars().map(|c| if c.is_control() || is_format(c) { ' ' } else { c }).collect();
    let joined = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.chars().take(MAX_FILL).collect::<String>().trim_end().to_owned()
}

/// Invisible characters that reorder or hide text on a caption, and those that XML 1.0 cannot carry.
const fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{callflow::Wording, outcome::Purpose};

    const SAYING: Saying<'_> = Saying {
        locale: "en",
        brand: "A & B \u{202e}<x>\u{7}\n  y",
        purpose: Purpose::Enrolment,
        purpose_text: None,
        last_digits: "5678",
        code: None,
    };

    #[test]
    fn placeholders() {
        let template = Template::parse("{brand}: {last_digits}, {purpose}!").unwrap();
        let (text, parts) = template.fill(&SAYING);
        assert_eq!(text, "A & B <x> y: 5 6 7 8, !");
        let wording = Wording { parts, ..Wording::default() };
        let parts: Vec<_> = wording.parts_of(&text).collect();
        let wanted = [
            (None, ""),
            (Some(Slot::Brand), "A & B <x> y"),
            (None, ": "),
            (Some(Slot::LastDigits), "5 6 7 8"),
            (None, ", "),
            (Some(Slot::Purpose), ""),
            (None, "!"),
        ];
        assert_eq!(parts, wanted);
        assert!(template.uses(Slot::Purpose));
        assert_eq!(Template::parse("{brnd}"), Err(NotATemplate::UnknownPlaceholder("brnd".to_owned())));
        for bad in ["{", "}", "a } b", "{brand", "x{{brand}}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_filled_placeholder_is_not_read_again() {
        let template = Template::parse("{brand}").unwrap();
        let saying = Saying { brand: "{last_digits}", ..SAYING };
        assert_eq!(template.fill(&saying).0, "{last_digits}");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(clean(&"あ".repeat(MAX_FILL + 1)).chars().count(), MAX_FILL);
    }
}
