//! Owns the settings of the guard: `[limits]`, `[guard]` and `[spend]`, their defaults and what is wrong with them. Why each
//! default is what it is stands in `docs/limits.md`.

use std::{fmt, path::PathBuf, time::Duration};

use jiff::civil::Time;
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    meter::{MOST_AMOUNT, Window},
    money::{Money, Price},
};
use crate::phone::E164;

/// Most windows of one limit.
const MOST_WINDOWS: usize = 4;
/// Longest window, and longest time that a row of failures or a bar is remembered.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A limit as settings write it: `"3/10m"` is at most 3 in any 10 minutes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Window);

impl Limit {
    /// At most so many in any stretch of so many minutes.
    #[must_use]
    pub const fn per_minutes(most: u64, minutes: u64) -> Self {
        Self(Window { most, span: Duration::from_secs(minutes * 60) })
    }

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no limit; write how many in which time, as in 3/10m or 20/24h");
        let (most, span) = text.split_once('/').ok_or_else(wrong)?;
        let most = most.trim().parse().ok().filter(|most| *most < MOST_AMOUNT).ok_or_else(wrong)?;
        let span = span.trim();
        let whole = if span.starts_with(|c: char| c.is_ascii_digit()) { span.to_owned() } else { format!("1{span}") };
        let span = crate::time::duration::parse(&whole).map_err(|_| wrong())?;
        if span < Duration::from_secs(1) || span > LONGEST {
            return Err(format!("`{text}`: a limit looks back 1s to 366d"));
        }
        Ok(Self(Window { most, span }))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.span.as_secs();
        let (count, unit) = match seconds {
            s if s % 86_400 == 0 => (s / 86_400, 'd'),
            s if s % 3_600 == 0 => (s / 3_600, 'h'),
            s if s % 60 == 0 => (s / 60, 'm'),
            s => (s, 's'),
        };
        write!(f, "{}/{count}{unit}", self.0.most)
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// `[limits]`: how often may be called. An empty list is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Calls to one number since it was last verified.
    pub number: Vec<Limit>,
    /// Calls to one number, verified or not.
    pub number_total: Vec<Limit>,
    /// Calls for one account (`reference`) since it was last verified.
    pub account: Vec<Limit>,
    /// Whether the `reference` of a request names an account: the limits of accounts hold for it.
    pub reference_is_account: bool,
    /// Verifications of one account at the same time; 0 for no limit.
    pub account_at_once: u64,
    /// Verifications asked for from one address of the internet, where the backend tells it.
    pub source: Vec<Limit>,
    /// Calls for one client (API key).
    pub client: Vec<Limit>,
    /// Pauses after the first call that came to nothing, the second, and so on, for one number and for one account.
    #[serde(deserialize_with = "durations")]
    pub pauses: Vec<Duration>,
    /// Calls that came to nothing, and wrong entries, in a row, for one number and for one account, until only a
    /// success or an operator helps; 0 for no limit.
    pub failures: u32,
    /// How long such a row is remembered after its last call.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub remember_failures: Duration,
    /// When the night begins and ends where the callee is: hours and minutes.
    #[serde(deserialize_with = "clock_time")]
    pub night_from: Time,
    /// When it ends.
    #[serde(deserialize_with = "clock_time")]
    pub night_until: Time,
    /// Calls to one number in a night since it was last verified; 0 for none at all.
    pub night: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let minutes = |minutes: &[u64]| minutes.iter().map(|minutes| Duration::from_secs(minutes * 60)).collect();
        let mut pauses = vec![Duration::from_secs(30), Duration::from_secs(30)];
        pauses.extend::<Vec<Duration>>(minutes(&[2, 5, 15, 60, 240]));
        Self {
            number: vec![Limit::per_minutes(3, 10), Limit::per_minutes(6, 60), Limit::per_minutes(10, 24 * 60)],
            number_total: vec![Limit::per_minutes(30, 60), Limit::per_minutes(60, 24 * 60)],
            account: vec![Limit::per_minutes(5, 10), Limit::per_minutes(10, 60), Limit::per_minutes(20, 24 * 60)],
            reference_is_account: true,
            account_at_once: 1,
            source: vec![Limit::per_minutes(10, 5), Limit::per_minutes(60, 24 * 60)],
            client: vec![Limit::per_minutes(2_000, 60), Limit::per_minutes(20_000, 24 * 60)],
            pauses,
            failures: 100,
            remember_failures: Duration::from_secs(90 * 24 * 3600),
            night_from: Time::constant(22, 0, 0, 0),
            night_until: Time::constant(7, 0, 0, 0),
            night: 3,
        }
    }
}

/// `[guard]`: what may not be called, and signs of fraud. Calls that were verified do not count for these limits.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// Numbers, or their beginnings, that are never called: the do-not-call list.
    pub never_call: Vec<Beginning>,
    /// Numbers, or their beginnings, for which only spending is limited.
    pub always_allow: Vec<Beginning>,
    /// Calls that were not verified, to numbers with the same first digits.
    pub prefix: Vec<Limit>,
    /// How many first digits those are, the calling code included.
    pub prefix_digits: u8,
    /// Calls that were not verified, to numbers that differ only in their last two digits.
    pub neighbours: Vec<Limit>,
    /// Calls that were not verified, to one country.
    pub country: Vec<Limit>,
    /// A call that was answered and over within this time, without a success, counts three times.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub short_call: Duration,
    /// Calls to a prefix or country within an hour from which on its share of verified ones is judged; 0 for never.
    pub judge_from: u32,
    /// It is held when that share is less than this part of what is usual there, in percent.
    pub least_of_usual: u8,
    /// What is usual where there is no history, in percent.
    pub usual: u8,
    /// How long nothing is let through then.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub hold: Duration,
    /// How often one call is let through after that, to see whether it is verified.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub probe_every: Duration,
    /// When it ends without a success.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub hold_at_most: Duration,
    /// How long a number is not called after its holder reported an unwanted call; 0 s: it is called as before.
    #[serde(deserialize_with = "crate::time::duration::deserialize")]
    pub block_after_report: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            never_call: Vec::new(),
            always_allow: Vec::new(),
            prefix: vec![
                Limit::per_minutes(20, 10),
                Limit::per_minutes(80, 24 * 60),
                Limit::per_minutes(200, 7 * 24 * 60),
            ],
            prefix_digits: 6,
            neighbours: vec![Limit::per_minutes(12, 60)],
            country: vec![Limit::per_minutes(400, 60), Limit::per_minutes(2_000, 24 * 60)],
            short_call: Duration::from_secs(6),
            judge_from: 15,
            least_of_usual: 30,
            usual: 60,
            hold: Duration::from_secs(600),
            probe_every: Duration::from_secs(60),
            hold_at_most: Duration::from_secs(24 * 3600),
            block_after_report: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

/// Shows how long the lists are, not the numbers on them.
impl fmt::Debug for GuardConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardConfig")
            .field("never_call", &self.never_call.len())
            .field("always_allow", &self.always_allow.len())
            .field("prefix", &self.prefix)
            .field("country", &self.country)
            .finish_non_exhaustive()
    }
}

/// `[spend]`: what may be paid. Amounts are in one currency, whichever the carriers bill in.
///
/// There is no way of having no limit: where nothing is set, a small one holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpendConfig {
    /// Name of the currency, for people.
    pub currency: String,
    /// Most that one call may cost, at its longest.
    pub per_call: Money,
    /// Most in any hour.
    pub per_hour: Money,
    /// Most in any 24 hours.
    pub per_day: Money,
    /// Most in any hour for one client.
    pub client_per_hour: Money,
    /// Most in any 24 hours for one client.
    pub client_per_day: Money,
    /// What a minute costs, by the beginning of the number; the longest beginning that fits holds.
    pub prices: Vec<Price>,
    /// A file of further prices, a line each: `prefix,per_minute`. A relative path begins at the folder of the settings.
    pub prices_file: Option<PathBuf>,
    /// The price of a minute where no beginning fits; without one, such numbers are not called.
    pub other_price: Option<Money>,
    /// Seconds that are billed at once: 60 where each begun minute is paid.
    pub increment: u16,
}

impl SpendConfig {
    /// Most prices.
    pub const MOST_PRICES: usize = 20_000;
}

impl Default for SpendConfig {
    fn default() -> Self {
        Self {
            currency: String::from("USD"),
            per_call: Money::cents(150),
            per_hour: Money::cents(100_000),
            per_day: Money::cents(500_000),
            client_per_hour: Money::cents(100_000),
            client_per_day: Money::cents(500_000),
            prices: Vec::new(),
            prices_file: None,
            other_price: Some(Money::cents(50)),
            increment: 60,
        }
    }
}

/// All settings of the guard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[guard]`
    pub guard: GuardConfig,
    /// `[spend]`
    pub spend: SpendConfig,
}

impl Settings {
    /// No limit at all, and calls that cost nothing: where no telephone rings, as in a demonstration.
    #[must_use]
    pub fn unlimited() -> Self {
        let night = Time::midnight();
        let limits = LimitsConfig {
            number: Vec::new(),
            number_total: Vec::new(),
            account: Vec::new(),
            reference_is_account: false,
            account_at_once: 0,
            source: Vec::new(),
            client: Vec::new(),
            pauses: Vec::new(),
            failures: 0,
            night_from: night,
            night_until: night,
            ..LimitsConfig::default()
        };
        let guard = GuardConfig {
            prefix: Vec::new(),
            neighbours: Vec::new(),
            country: Vec::new(),
            judge_from: 0,
            block_after_report: Duration::ZERO,
            ..GuardConfig::default()
        };
        let spend = SpendConfig { other_price: Some(Money::default()), ..SpendConfig::default() };
        Self { limits, guard, spend }
    }

    /// What is wrong, each as setting, value and what would be right.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (limits, guard, spend) = (&self.limits, &self.guard, &self.spend);
        for (name, windows) in [
            ("limits.number", &limits.number),
            ("limits.number_total", &limits.number_total),
            ("limits.account", &limits.account),
            ("limits.source", &limits.source),
            ("limits.client", &limits.client),
            ("guard.prefix", &guard.prefix),
            ("guard.neighbours", &guard.neighbours),
            ("guard.country", &guard.country),
        ] {
            if windows.len() > MOST_WINDOWS {
                faults.push(format!("{name}: at most {MOST_WINDOWS} limits"));
            }
        }
        let mut within = |name: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                faults.push(format!("{name}: {value} is not between {least} and {most}"));
            }
        };
        within("limits.failures", limits.failures.into(), 0, 10_000);
        within("limits.account_at_once", limits.account_at_once, 0, 1_000);
        within("limits.pauses: their number", limits.pauses.len() as u64, 0, 32);
        within("guard.prefix_digits", guard.prefix_digits.into(), 3, 9);
        within("guard.least_of_usual", guard.least_of_usual.into(), 0, 100);
        within("guard.usual", guard.usual.into(), 0, 100);
        within("spend.increment", spend.increment.into(), 1, 60);
        within("spend.prices: their number", spend.prices.len() as u64, 0, SpendConfig::MOST_PRICES as u64);
        let times = [
            ("limits.remember_failures", limits.remember_failures),
            ("guard.hold", guard.hold),
            ("guard.probe_every", guard.probe_every),
            ("guard.hold_at_most", guard.hold_at_most),
        ];
        // None at all is a wish, too.
        let block = Some(("guard.block_after_report", guard.block_after_report)).filter(|(_, time)| !time.is_zero());
        for (name, time) in
            times.into_iter().chain(block).chain(limits.pauses.iter().map(|pause| ("limits.pauses", *pause)))
        {
            if time < Duration::from_secs(1) || time > LONGEST {
                faults.push(format!("{name}: {time:?} is not between 1s and 366d"));
            }
        }
        if guard.probe_every > Duration::from_secs(30 * 24 * 3600) {
            faults.push(String::from("guard.probe_every: at most 30d"));
        }
        if spend.currency.is_empty() || spend.currency.chars().count() > 8 {
            faults.push(String::from("spend.currency: 1 to 8 characters, as in USD"));
        }
        faults
    }
}

/// The beginning of a number in international form, or all of it: `+8190`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beginning(String);

impl Beginning {
    /// Reads it: `+` and 1 to 15 digits.
    ///
    /// # Errors
    /// How to write it.
    pub fn read(text: &str) -> Result<Self, String> {
        let clean: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let digits = clean.strip_prefix('+').unwrap_or_default();
        if (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0') {
            Ok(Self(digits.to_owned()))
        } else {
            Err(String::from("the beginning of a number is + and 1 to 15 digits, as in +8190"))
        }
    }

    /// Whether a number begins so.
    #[must_use]
    pub fn fits(&self, number: &E164) -> bool {
        number.expose().strip_prefix('+').is_some_and(|digits| digits.starts_with(&self.0))
    }

    /// How many digits it has.
    #[must_use]
    pub fn digits(&self) -> usize {
        self.0.len()
    }

    /// The digits, without `+`. Can be a full number: not for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Shows how long it is: it can be a full number.
impl fmt::Debug for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Beginning of {} digits", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Beginning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn durations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| crate::time::duration::parse(text).map_err(D::Error::custom)).collect()
}

fn clock_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || D::Error::custom(format!("`{text}` is no time of day; write hours and minutes, as in 22:00"));
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let number = |part: &str| part.parse::<i8>().ok().filter(|_| part.len() == 2);
    let (hour, minute) = number(hour).zip(number(minute)).ok_or_else(wrong)?;
    Time::new(hour, minute, 0, 0).map_err(|_| wrong())
}
