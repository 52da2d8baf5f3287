//! Owns reading query parameters: each is known and there once, or the request is refused. A misspelt filter that is
//! ignored would answer more than was asked for.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use axum::http::Uri;
use url::form_urlencoded;

use super::problem::{Code, MAX_FAULTS, Problem};

/// Most parameters that are read.
const MAX_PARAMETERS: usize = 32;

/// The parameters of one request, taken one after another; [`Parameters::end`] refuses what is left.
pub(super) struct Parameters<'a> {
    left: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    faults: Vec<(String, String)>,
}

impl<'a> Parameters<'a> {
    pub(super) fn of(uri: &'a Uri) -> Self {
        let left = uri
            .query()
            .map_or_else(Vec::new, |query| form_urlencoded::parse(query.as_bytes()).take(MAX_PARAMETERS).collect());
        Self { left, faults: Vec::new() }
    }

    /// The value of a parameter, if it is there.
    pub(super) fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.left.swap_remove(at);
        if self.left.iter().any(|(known, _)| known == name) {
            self.faults.push((name.to_owned(), String::from("this parameter is there twice")));
            self.left.retain(|(known, _)| known != name);
        }
        Some(value)
    }

    /// The value of a parameter, read as a `T`; `expected` says what it is, should it be something else.
    pub(super) fn read<T: FromStr>(&mut self, name: &str, expected: impl Display) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.faults.push((name.to_owned(), format!("expected {expected}")));
        }
        value
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every parameter that is not known, is there twice, or cannot be read.
    pub(super) fn end(mut self) -> Result<(), Problem> {
        for (name, _) in &self.left {
            let shown = name.chars().filter(|c| !c.is_control()).take(64).collect();
            self.faults.push((shown, String::from("this parameter is not known here")));
        }
        if self.faults.is_empty() {
            return Ok(());
        }
        let start = Problem::new(Code::Malformed);
        Err(self.faults.into_iter().take(MAX_FAULTS).fold(start, |problem, (name, why)| problem.fault(name, why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(query: &'static str) -> Result<(Option<String>, Option<u32>), Vec<String>> {
        let uri = Uri::from_static(query);
        let mut parameters = Parameters::of(&uri);
        let name = parameters.text("name").map(Cow::into_owned);
        let wait = parameters.read("wait", "seconds");
        parameters.end().map(|()| (name, wait)).map_err(|problem| {
            problem.errors().iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect()
        })
    }

    #[test]
    fn what_is_known_is_read_and_what_is_not_is_refused() {
        assert_eq!(told("/x"), Ok((None, None)));
        assert_eq!(told("/x?wait=5&name=a%20b%26"), Ok((Some(String::from("a b&")), Some(5))));
        assert_eq!(told("/x?wait=soon"), Err(vec![String::from("wait: expected seconds")]));
        assert_eq!(told("/x?wait=5&wait=6"), Err(vec![String::from("wait: this parameter is there twice")]));
        assert_eq!(told("/x?nmae=1"), Err(vec![String::from("nmae: this parameter is not known here")]));
    }
}
