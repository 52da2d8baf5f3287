//! Owns what operators do: they bar calls or allow them, lift what stands, and look at what was spent. What that does to a
//! call is decided by the step.

use std::time::Duration;

use super::{
    Guard, RECENT, bar_key,
    meter::{Key, Meter, Window},
    step::{Bar, Sense, Settle, Take},
};
use crate::{id::NumberHash, phone::CountryCode};

/// What calls have in common that an operator bars or allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// They go to this number: its keyed hash.
    Number(NumberHash),
    /// They are for this account: its keyed hash.
    Account(NumberHash),
    /// They go to numbers with these first digits, without `+`; as many as `guard.prefix_digits` says.
    Prefix(String),
    /// They go to this country.
    Country(CountryCode),
    /// This client asks for them.
    Client(String),
}

impl Subject {
    fn bar(&self) -> Key {
        match self {
            Self::Number(hash) => bar_key("number", &hash.to_string()),
            Self::Account(hash) => bar_key("account", &hash.to_string()),
            Self::Prefix(digits) => bar_key("area", digits),
            Self::Country(country) => bar_key("area", &country.to_string()),
            Self::Client(client) => bar_key("client", client),
        }
    }

    /// The row of failures that ends with the bar.
    fn run(&self) -> Option<Key> {
        match self {
            Self::Number(hash) => Some(Key::new("run-number", &hash.to_string())),
            Self::Account(hash) => Some(Key::new("run-account", &hash.to_string())),
            Self::Prefix(_) | Self::Country(_) | Self::Client(_) => None,
        }
    }

    /// What an operator sets: nothing automatic changes or lifts it.
    #[must_use]
    pub fn pin(&self, sense: Sense, holds_for: Duration, why: String) -> Settle {
        let bar = Bar {
            key: self.bar(),
            sense,
            pinned: true,
            holds_for,
            first_probe: None,
            probe_every: Duration::ZERO,
            why,
        };
        Settle { raise: vec![bar], ..Settle::default() }
    }

    /// What an operator lifts: the bar, whoever set it, and the row of failures.
    #[must_use]
    pub fn lift(&self) -> Settle {
        let clear = std::iter::once(self.bar()).chain(self.run()).collect();
        Settle { clear, ..Settle::default() }
    }
}

impl Guard {
    /// A look at what is spent or put aside: in the last hour, and in the last 24 hours.
    #[must_use]
    pub fn spent(&self) -> Take {
        let spend = &self.settings().spend;
        let day = Duration::from_secs(24 * 3600);
        let look = |scope: &str, span, most: u64| Meter {
            key: Key::new(scope, "all"),
            windows: vec![Window { span, most }],
            cost: 0,
            for_all: true,
            until: None,
        };
        let meters =
            vec![look("spend-hour", RECENT, spend.per_hour.micros()), look("spend-day", day, spend.per_day.micros())];
        Take { meters, ..Take::default() }
    }
}
