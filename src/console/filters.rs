//! Owns the filters of the list of calls: as the address of the page has them, as the form shows them, as the gateway is
//! asked. Every filter of `/v1/calls` is there under its own name; a number in full is sealed.

use std::str::FromStr;

use url::form_urlencoded;

use super::{Console, session::Visit};
use crate::{
    gateway::CallsQuery,
    http::Scope,
    outcome::{Fault, Reason, Status},
    phone::{CountryCode, LastDigits},
};

/// Longest value of a filter that is looked at, in bytes: a sealed number is the longest.
const MAX_VALUE_BYTES: usize = 512;
/// Most pairs of an address that are looked at.
const MAX_PAIRS: usize = 32;

/// The filters, each as text; empty where it is not used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filters {
    /// Ended at or after: RFC 3339, or local time of the viewer.
    pub(super) since: String,
    /// Ended before.
    pub(super) until: String,
    /// The number ends so.
    pub(super) last_digits: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) fault: String,
    pub(super) carrier: String,
    pub(super) country: String,
    pub(super) client: String,
    pub(super) reference: String,
    /// A number in full, sealed for the one who looks for it.
    pub(super) number: String,
    /// Where the page begins.
    pub(super) cursor: String,
}

impl Filters {
    /// Reads a query string; what is no filter is left aside.
    pub(super) fn of(query: &str) -> Self {
        let mut filters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_PAIRS) {
            let value = value.trim();
            if value.len() <= MAX_VALUE_BYTES
                && let Some((_, field)) = filters.fields_mut().into_iter().find(|(known, _)| *known == name)
            {
                value.clone_into(field);
            }
        }
        filters
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut String); 12] {
        [
            ("since", &mut self.since),
            ("until", &mut self.until),
            ("last_digits", &mut self.last_digits),
            ("status", &mut self.status),
            ("reason", &mut self.reason),
            ("fault", &mut self.fault),
            ("carrier", &mut self.carrier),
            ("country", &mut self.country),
            ("client", &mut self.client),
            ("reference", &mut self.reference),
            ("number", &mut self.number),
            ("cursor", &mut self.cursor),
        ]
    }

    /// As the address of a page has them: in one order, without those that are not used.
    pub(super) fn query(&self) -> String {
        let mut copy = self.clone();
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in copy.fields_mut().into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }

    /// The same with times that mean the same to every reader: in UTC.
    pub(super) fn with_times_of(mut self, visit: &Visit) -> Self {
        for field in [&mut self.since, &mut self.until] {
            if let Some(at) = visit.zone.read(field) {
                *field = at.to_rfc3339();
            }
        }
        self
    }

    /// Whether any filter is used.
    pub(super) fn any(&self) -> bool {
        let mut rest = self.clone();
        rest.cursor.clear();
        rest != Self::default()
    }

    /// What the seal of a number is for: one viewer's search is no other's.
    fn purpose(visit: &Visit) -> String {
        format!("search of {}", visit.session.subject)
    }

    /// Puts a number in, sealed.
    pub(super) fn seal_number(&mut self, console: &Console, visit: &Visit, number: &str) {
        let until = visit.session.until();
        self.number = console.seal.seal(&Self::purpose(visit), number.as_bytes(), until).unwrap_or_default();
    }

    /// The number that is looked for, in full.
    pub(super) fn open_number(&self, console: &Console, visit: &Visit) -> Option<String> {
        let bytes = console.seal.open(&Self::purpose(visit), &self.number, console.clock.now())?;
        String::from_utf8(bytes).ok()
    }

    /// What the gateway is asked, by whoever looks. An error is the id of the text that says what cannot be read.
    pub(super) fn read(&self, console: &Console, visit: &Visit) -> Result<CallsQuery, &'static str> {
        let time = |text: &str, fault| match text {
            "" => Ok(None),
            text => visit.zone.read(text).map(Some).ok_or(fault),
        };
        let number = match self.number.as_str() {
            "" => None,
            _ => Some(self.open_number(console, visit).ok_or("console-fault-number")?),
        };
        if !self.last_digits.is_empty() && self.last_digits.parse::<LastDigits>().is_err() {
            return Err("console-fault-last_digits");
        }
        if !self.country.is_empty() && self.country.parse::<CountryCode>().is_err() {
            return Err("console-fault-country");
        }
        let wished = text(&self.client);
        if wished.as_ref().is_some_and(|client| !visit.session.sees(client)) {
            return Err("console-fault-client");
        }
        Ok(CallsQuery {
            asked_by: visit.session.subject.clone(),
            client: if visit.session.has(Scope::Admin) { wished } else { visit.session.client.clone().or(wished) },
            since: time(&self.since, "console-fault-since")?,
            until: time(&self.until, "console-fault-until")?,
            number,
            last_digits: text(&self.last_digits),
            reference: text(&self.reference),
            status: word::<Status>(&self.status, "console-fault-status")?,
            reason: word::<Reason>(&self.reason, "console-fault-reason")?,
            fault: word::<Fault>(&self.fault, "console-fault-fault")?,
            carrier: text(&self.carrier),
            country: text(&self.country),
            cursor: text(&self.cursor),
            limit: None,
        })
    }
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned()).filter(|value| !value.is_empty())
}

fn word<T: FromStr>(value: &str, fault: &'static str) -> Result<Option<T>, &'static str> {
    if value.is_empty() { Ok(None) } else { value.parse().map(Some).map_err(|_| fault) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_was_in_one_order_without_what_is_empty() {
        let typed = "status=failed&reason=&last_digits=5678&reference=a+b%26c&nonsense=1&since=2026-11-24T09%3A00";
        let filters = Filters::of(typed);
        assert_eq!((&*filters.status, &*filters.reference, &*filters.reason), ("failed", "a b&c", ""));
        let query = filters.query();
        assert_eq!(query, "since=2026-11-24T09%3A00&last_digits=5678&status=failed&reference=a+b%26c");
        assert_eq!(Filters::of(&query), filters);
        assert!(filters.any() && !Filters::default().any() && !Filters::of("cursor=X").any());
        assert_eq!(Filters::of(&format!("reference={}", "x".repeat(600))), Filters::default());
    }
}
