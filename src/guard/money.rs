//! Owns amounts of money and what a call to a number costs: a price a minute by the beginning of the number. It does not
//! know what was spent.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

use super::settings::{Beginning, SpendConfig};
use crate::phone::E164;

/// An amount of money: millionths of the currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(u64);

impl Money {
    /// Largest amount in settings: ten million.
    const MOST: u64 = 10_000_000 * MILLION;

    /// So many hundredths.
    #[must_use]
    pub const fn cents(cents: u64) -> Self {
        Self(cents * (MILLION / 100))
    }

    /// So many millionths.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Millionths.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Reads an amount, as in `0.0185`: at most six places, never rounded.
    ///
    /// # Errors
    /// How to write it.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no amount; write it as in 12.50, with at most six places");
        let trimmed = text.trim();
        let (whole, part) = trimmed.split_once('.').unwrap_or((trimmed, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let part: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
        let micros = whole.checked_mul(MILLION).and_then(|whole| whole.checked_add(part));
        micros.filter(|micros| *micros <= Self::MOST).map(Self).ok_or_else(|| format!("`{text}` is too much"))
    }
}

const MILLION: u64 = 1_000_000;

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:06}", self.0 % MILLION);
        let places = part.trim_end_matches('0');
        write!(f, "{}.{places:0<2}", self.0 / MILLION)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Money {
    /// A text, or a number as TOML writes it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(u64),
            Broken(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Whole(whole) => whole.to_string(),
            // The shortest text that reads back as this number is what was written.
            Written::Broken(number) => number.to_string(),
            Written::Text(text) => text,
        };
        Self::read(&text).map_err(D::Error::custom)
    }
}

/// What a minute costs to numbers that begin so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The beginning.
    pub prefix: Beginning,
    /// The price of a minute.
    pub per_minute: Money,
}

/// Reads a table of prices: two columns with a comma between, `prefix,per_minute`, a line each; a first line that names
/// the columns, empty lines and those that begin with `#` are passed over. Further columns mean nothing.
///
/// # Errors
/// What is wrong, with the line.
pub fn read_prices(text: &str) -> Result<Vec<Price>, String> {
    let mut prices = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('#') || (index == 0 && line.to_ascii_lowercase().starts_with("prefix")) {
            continue;
        }
        let at = |fault: String| format!("line {}: {fault}", index + 1);
        let mut columns = line.split(',').map(|column| column.trim().trim_matches('"'));
        let prefix = columns.next().unwrap_or_default();
        let prefix = if prefix.starts_with('+') { prefix.to_owned() } else { format!("+{prefix}") };
        let prefix = Beginning::read(&prefix).map_err(at)?;
        let per_minute = columns.next().ok_or_else(|| at(String::from("a price is missing: prefix,per_minute")))?;
        prices.push(Price { prefix, per_minute: Money::read(per_minute).map_err(at)? });
        if prices.len() > SpendConfig::MOST_PRICES {
            return Err(format!("more than {} prices", SpendConfig::MOST_PRICES));
        }
    }
    Ok(prices)
}

/// A table of prices to look numbers up in.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    by_beginning: BTreeMap<String, Money>,
    other: Option<Money>,
    increment: u64,
}

impl Prices {
    /// The table of these settings.
    #[must_use]
    pub fn of(spend: &SpendConfig) -> Self {
        let prices = spend.prices.iter().map(|price| (price.prefix.expose().to_owned(), price.per_minute));
        Self { by_beginning: prices.collect(), other: spend.other_price, increment: spend.increment.max(1).into() }
    }

    /// The price of a minute to a number: that of the longest beginning that fits. `None` where none is known.
    #[must_use]
    pub fn per_minute(&self, number: &E164) -> Option<Money> {
        let digits = number.expose().strip_prefix('+').unwrap_or_default();
        let fitting = (1..=digits.len()).rev().filter_map(|end| self.by_beginning.get(digits.get(..end)?));
        fitting.copied().next().or(self.other)
    }

    /// What a call of this length costs, begun increments paid in full.
    #[must_use]
    pub fn cost(&self, per_minute: Money, talked: Duration) -> Money {
        let seconds = u64::try_from(talked.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        let billed = seconds.div_ceil(self.increment.max(1)).saturating_mul(self.increment.max(1));
        Money(per_minute.0.saturating_mul(billed).div_ceil(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown_exactly() {
        for (text, micros, shown) in
            [("0", 0, "0.00"), ("12.5", 12_500_000, "12.50"), ("0.0185", 18_500, "0.0185"), ("0.000001", 1, "0.000001")]
        {
            let money = Money::read(text).unwrap();
            assert_eq!((money.micros(), money.to_string().as_str()), (micros, shown));
        }
        for bad in ["", ".5", "-1", "1e3", "0.0000001", "10000001", "1,5"] {
            assert!(Money::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_longest_beginning_that_fits_has_the_price() {
        let text = "prefix,per_minute,note\n# Japan\n81,0.08\n+8190, 0.19\n\n\"819012\",0.21,x\n";
        let spend = SpendConfig { prices: read_prices(text).unwrap(), other_price: None, ..SpendConfig::default() };
        let prices = Prices::of(&spend);
        let price = |number: &str| prices.per_minute(&number.parse().unwrap()).map(|price| price.to_string());
        assert_eq!(price("+81312345678").as_deref(), Some("0.08"));
        assert_eq!(price("+819912345678").as_deref(), Some("0.08"));
        assert_eq!(price("+819087654321").as_deref(), Some("0.19"));
        assert_eq!(price("+819012345678").as_deref(), Some("0.21"));
        assert_eq!(price("+15551234567"), None);
        let per_minute = Money::read("0.30").unwrap();
        for (seconds, cost) in [(0, "0.00"), (1, "0.30"), (60, "0.30"), (61, "0.60"), (90, "0.60")] {
            assert_eq!(prices.cost(per_minute, Duration::from_secs(seconds)).to_string(), cost, "{seconds} s");
        }
        assert_eq!(
            read_prices("81,0.08\n9,\n"),
            Err(String::from("line 2: `` is no amount; write it as in 12.50, with at most six places"))
        );
        assert!(read_prices("0x,1").unwrap_err().starts_with("line 1: the beginning of a number"));
    }
}
