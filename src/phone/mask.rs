//! Owns how a number is shown to people who may not see it: `+81 •• •••• 5678`.

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
