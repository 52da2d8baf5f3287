//! Owns the kinds of numbers and their words. Which kinds may be called is policy.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What kind of number it is, as far as its digits tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberType {
    /// Mobile.
    Mobile,
    /// Geographic, a line in a building.
    FixedLine,
    /// One of the two; the numbering plan does not tell them apart (North America).
    FixedLineOrMobile,
    /// A telephone on the internet (050 in Japan).
    Voip,
    /// The caller pays far more than for a call.
    PremiumRate,
    /// Caller and callee share the cost.
    SharedCost,
    /// Free for the caller.
    TollFree,
    /// A pager.
    Pager,
    /// One number for all places of a company.
    Uan,
    /// Access to a mailbox.
    Voicemail,
    /// Follows a person, wherever that leads and whatever it costs.
    PersonalNumber,
    /// Valid, but of no kind that the numbering plan names.
    Unknown,
}

impl NumberType {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Mobile,
        Self::FixedLine,
        Self::FixedLineOrMobile,
        Self::Voip,
        Self::PremiumRate,
        Self::SharedCost,
        Self::TollFree,
        Self::Pager,
        Self::Uan,
        Self::Voicemail,
        Self::PersonalNumber,
        Self::Unknown,
    ];

    /// The word as the outside world reads it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::FixedLine => "fixed_line",
            Self::FixedLineOrMobile => "fixed_line_or_mobile",
            Self::Voip => "voip",
            Self::PremiumRate => "premium_rate",
            Self::SharedCost => "shared_cost",
            Self::TollFree => "toll_free",
            Self::Pager => "pager",
            Self::Uan => "uan",
            Self::Voicemail => "voicemail",
            Self::PersonalNumber => "personal_number",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for NumberType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a kind of number is one of mobile, fixed_line, fixed_line_or_mobile, voip, premium_rate, shared_cost, toll_free, \
     pager, uan, voicemail, personal_number, unknown"
)]
pub struct NotANumberType;

impl FromStr for NumberType {
    type Err = NotANumberType;

    fn from_str(text: &str) -> Result<Self, NotANumberType> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(NotANumberType)
    }
}
