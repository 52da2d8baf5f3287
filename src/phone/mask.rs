//! Owns how a number is shown to people who may not see it: `+81 •• •••• 5678`, and how it is found by what is shown.

use super::{E164, plan};

/// Most digits of a number that are shown.
const SHOWN: usize = 4;

/// The calling code, then the national digits grouped as their country writes them, all but the last few as dots. Half
/// of a very short national number stays hidden.
pub(super) fn mask(number: &E164) -> String {
    let international = plan::grouped(number);
    let (code, national) = match &international {
        Some(text) => text.split_once(' ').unwrap_or_else(|| ("+", text.trim_start_matches('+'))),
        None => ("+", number.0.trim_start_matches('+')),
    };
    let digits = national.bytes().filter(u8::is_ascii_digit).count();
    let hidden = digits - SHOWN.min(digits / 2);
    let mut masked = String::with_capacity(32);
    masked.push_str(code);
    let mut seen = 0;
    let mut gap = code.len() > 1;
    for c in national.chars() {
        if !c.is_ascii_digit() {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            masked.push(' ');
        }
        masked.push(if seen < hidden { '•' } else { c });
        seen += 1;
    }
    masked
}

/// The last digits of a number, as people read them from a masked one: 1 to 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDigits(String);

impl LastDigits {
    /// The last digits that a masked number shows, at most 4; `None` where it shows none.
    #[must_use]
    pub fn of_masked(masked: &str) -> Option<Self> {
        let shown = masked.chars().rev().take_while(|c| *c != '•').filter(char::is_ascii_digit).take(SHOWN);
        let backwards: Vec<char> = shown.collect();
        Some(Self(backwards.into_iter().rev().collect())).filter(|digits| !digits.0.is_empty())
    }

    /// Whether a number that shows these ends so.
    #[must_use]
    pub fn are_the_end_of(&self, shown: &Self) -> bool {
        shown.0.ends_with(&self.0)
    }

    /// The digits, first to last.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not the last digits of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1 to {SHOWN} digits")]
pub struct NotLastDigits;

/// Full-width digits are understood.
impl std::str::FromStr for LastDigits {
    type Err = NotLastDigits;

    fn from_str(text: &str) -> Result<Self, NotLastDigits> {
        let digits: Option<String> = text
            .chars()
            .take(SHOWN + 1)
            .map(|c| match c {
                '0'..='9' => Some(c),
                '０'..='９' => char::from_u32(u32::from(c) - 0xfee0),
                _ => None,
            })
            .collect();
        digits.filter(|digits| (1..=SHOWN).contains(&digits.len())).map(Self).ok_or(NotLastDigits)
    }
}
