//! Owns what is said when a call is refused: which limit, how long it holds, what was seen, and what else may be done.

use std::time::Duration;

/// Which limit stands against a call. Its word is part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitName {
    /// Calls to one number since it was last verified.
    Number,
    /// Calls to one number.
    NumberTotal,
    /// Calls to one number in a night.
    Night,
    /// Calls for one account since it was last verified.
    Account,
    /// Verifications of one account at the same time.
    AccountAtOnce,
    /// Verifications asked for from one address.
    Source,
    /// Calls for one client.
    Client,
    /// Calls to one country that were not verified.
    Country,
    /// Calls to one prefix that were not verified.
    Prefix,
    /// Calls to numbers side by side that were not verified.
    Neighbours,
    /// The pause after calls that came to nothing.
    Pause,
    /// Calls that came to nothing, in a row.
    Failures,
    /// The number is on the do-not-call list.
    NeverCall,
    /// An operator or a report of its holder closed the number, or signs of fraud closed its prefix or country.
    Barred,
    /// Nobody knows what a call to this number costs.
    NoPrice,
    /// One call would cost too much.
    SpendCall,
    /// What may be spent in an hour.
    SpendHour,
    /// What may be spent in a day.
    SpendDay,
    /// What one client may spend in an hour.
    ClientSpendHour,
    /// What one client may spend in a day.
    ClientSpendDay,
    /// Counts that are only looked at: they refuse nothing.
    History,
}

impl LimitName {
    /// The word as the outside world reads it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::NumberTotal => "number_total",
            Self::Night => "night",
            Self::Account => "account",
            Self::AccountAtOnce => "account_at_once",
            Self::Source => "source",
            Self::Client => "client",
            Self::Country => "country",
            Self::Prefix => "prefix",
            Self::Neighbours => "neighbours",
            Self::Pause => "pause",
            Self::Failures => "failures",
            Self::NeverCall => "never_call",
            Self::Barred => "barred",
            Self::NoPrice => "no_price",
            Self::SpendCall => "spend_call",
            Self::SpendHour => "spend_hour",
            Self::SpendDay => "spend_day",
            Self::ClientSpendHour => "client_spend_hour",
            Self::ClientSpendDay => "client_spend_day",
            Self::History => "history",
        }
    }

    /// What else the caller may do.
    #[must_use]
    pub const fn instead(self) -> &'static [Instead] {
        match self {
            Self::Number | Self::NumberTotal | Self::Night | Self::Pause | Self::Prefix | Self::Neighbours => {
                &[Instead::Wait, Instead::AnotherNumber]
            }
            Self::Account | Self::AccountAtOnce | Self::Source | Self::Client | Self::Country | Self::History => {
                &[Instead::Wait]
            }
            Self::SpendHour | Self::SpendDay | Self::ClientSpendHour | Self::ClientSpendDay => {
                &[Instead::Wait, Instead::Operator]
            }
            Self::Failures | Self::NeverCall | Self::Barred | Self::NoPrice | Self::SpendCall => {
                &[Instead::AnotherNumber, Instead::Operator]
            }
        }
    }
}

/// What else may be done where a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Ask again after `retry_after`.
    Wait,
    /// Ask for another number, or another way of proof.
    AnotherNumber,
    /// Ask whoever runs this ringproof.
    Operator,
}

impl Instead {
    /// The word as the outside world reads it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::AnotherNumber => "another_number",
            Self::Operator => "operator",
        }
    }
}

/// A call that is not made. Holds no number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What stands against it.
    pub limit: LimitName,
    /// From when on it is allowed, if nothing else happens; `None` where time alone changes nothing.
    pub retry_after: Option<Duration>,
    /// What was seen, for people who run this.
    pub seen: String,
}
