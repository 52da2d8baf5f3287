//! Owns the search box: whether what was typed is the name of a call, the end of a number, a number in full, or a
//! reference. A number comes by POST and goes on sealed, so that no address and no log holds it.

use std::fmt;

use axum::{Form, extract::State, response::Response};
use serde::Deserialize;

use super::{Console, Shared, filters::Filters, session::Visit};
use crate::{
    id::{CallId, VerificationId},
    phone::{self, CountryCode, LastDigits},
};

/// Fewest digits of a number in full; fewer are a reference, unless they are few enough for the end of a number.
const FEWEST_DIGITS: usize = 7;

/// What the box brings.
#[derive(Deserialize)]
pub(super) struct Typed {
    q: String,
    /// The filters of the page that it was on.
    #[serde(default)]
    filters: String,
}

/// Shows that something was typed, not what: it may be a number.
impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").finish_non_exhaustive()
    }
}

/// What was typed.
#[derive(Clone, PartialEq, Eq)]
enum Meaning {
    Nothing,
    Call(CallId),
    Verification(VerificationId),
    LastDigits(String),
    Number(String),
    Reference(String),
}

/// Leads to what was typed.
pub(super) async fn search(State(console): Shared, visit: Visit, Form(typed): Form<Typed>) -> Response {
    let mut filters = Filters { cursor: String::new(), ..Filters::of(&typed.filters) };
    match meaning(&typed.q, filters.country.parse().ok(), console.gateway.countries()) {
        Meaning::Call(id) => return console.see(&format!("/calls/{id}")),
        Meaning::Verification(id) => return console.see(&format!("/calls/{}", last_call(&console, id).await)),
        Meaning::Nothing => {
            for field in [&mut filters.last_digits, &mut filters.number, &mut filters.reference] {
                field.clear();
            }
        }
        Meaning::LastDigits(digits) => filters.last_digits = digits,
        Meaning::Reference(reference) => filters.reference = reference,
        Meaning::Number(number) => filters.seal_number(&console, &visit, &number),
    }
    let query = filters.query();
    console.see(&if query.is_empty() { String::from("/calls") } else { format!("/calls?{query}") })
}

/// The newest call of a verification; its first, where it is forgotten.
async fn last_call(console: &Console, verification: VerificationId) -> CallId {
    let seen = console.gateway.verification(verification).await.ok().flatten();
    let calls = seen.map_or(1, |v| v.calls.len().max(1));
    CallId { verification, index: u8::try_from(calls - 1).unwrap_or_default() }
}

/// Tells what a text is. A number in the form of its country is looked for in the country of the filter, or in the
/// first of `countries` that has such numbers.
fn meaning(text: &str, country: Option<CountryCode>, countries: &[CountryCode]) -> Meaning {
    let text = text.trim();
    if text.is_empty() {
        return Meaning::Nothing;
    }
    if let Ok(id) = text.parse() {
        return Meaning::Call(id);
    }
    if let Ok(id) = text.parse() {
        return Meaning::Verification(id);
    }
    // The end of a number is also copied from where it stands, as in `•• 5678`.
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '•' && *c != '…').map(plain).collect();
    if let Ok(end) = bare.parse::<LastDigits>() {
        return Meaning::LastDigits(end.as_str().to_owned());
    }
    let digits = bare.bytes().filter(u8::is_ascii_digit).count();
    let is_dialled = bare.chars().all(|c| c.is_ascii_digit() || "+-().".contains(c));
    if is_dialled && digits >= FEWEST_DIGITS {
        let read = |country| phone::read(&bare, country).ok().map(|number| number.e164.expose().to_owned());
        let found = match country {
            Some(country) => read(Some(country)),
            None => read(None).or_else(|| countries.iter().find_map(|country| read(Some(*country)))),
        };
        if let Some(number) = found {
            return Meaning::Number(number);
        }
    }
    Meaning::Reference(text.to_owned())
}

/// A full-width digit, plus or hyphen as the plain one.
fn plain(c: char) -> char {
    match c {
        '０'..='９' | '＋' | '－' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_understood() {
        let jp: CountryCode = "JP".parse().unwrap();
        let id = "call_06EK3V8S80ABCDEFGHJKMNPQRSTVWXYZ0123_2";
        let told = |text: &str, country| match meaning(text, country, &[jp]) {
            Meaning::Nothing => String::from("nothing"),
            Meaning::Call(id) => format!("call {id}"),
            Meaning::Verification(id) => format!("verification {id}"),
            Meaning::LastDigits(digits) => format!("ends {digits}"),
            Meaning::Number(number) => format!("number {number}"),
            Meaning::Reference(reference) => format!("reference {reference}"),
        };
        for (text, what) in [
            ("  ", "nothing"),
            ("5678", "ends 5678"),
            ("•• 5678", "ends 5678"),
            ("５６７８", "ends 5678"),
            ("090-1234-5678", "number +819012345678"),
            ("+81 90 1234 5678", "number +819012345678"),
            ("０９０１２３４５６７８", "number +819012345678"),
            ("+1 202 555 0123", "number +12025550123"),
            ("user-42", "reference user-42"),
            ("12345", "reference 12345"),
            ("99999999999999999999", "reference 99999999999999999999"),
        ] {
            assert_eq!(told(text, None), what, "{text}");
        }
        assert_eq!(told("2025550123", Some("US".parse().unwrap())), "number +12025550123");
        let known = VerificationId::new(
            crate::time::Timestamp::from_ms(1_795_000_000_000),
            [1; 16],
            crate::id::Partition::of(5),
        );
        assert_eq!(told(&known.to_string(), None), format!("verification {known}"));
        let call = CallId { verification: known, index: 1 };
        assert_eq!(told(&call.to_string(), None), format!("call {call}"));
        assert!(!told(id, None).is_empty());
    }
}
