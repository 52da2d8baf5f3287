//! Owns what may be dialled at all: from the facts of a call and the settings it says what must be counted together
//! before the call, reads what the store answers to that, and says what is set right afterwards. Pure: it reads no clock,
//! draws nothing, and asks nobody. The counting is one atomic step of the store ([`step`]).

mod kept;
pub mod meter;
pub mod money;
mod night;
mod pinned;
mod plan;
mod refused;
pub mod settings;
mod settling;
pub mod step;
#[cfg(test)]
mod tests;
mod zones;

use std::time::Duration;

pub use pinned::Subject;
pub use plan::Plan;
pub use refused::{Instead, LimitName, Refused};
pub use settings::Settings;

use self::{
    meter::{Key, Meter, Window},
    money::{Money, Prices},
    step::{GiveBack, Run},
};
use crate::{
    id::NumberHash,
    phone::{CountryCode, E164},
    time::Timestamp,
};

/// Longest time a verification can be alive: its life, and the last call of it.
const LONGEST_LIFE: Duration = Duration::from_secs(20 * 60);
/// How far back the share of verified calls is looked at: now, and for what is usual.
const RECENT: Duration = Duration::from_secs(3600);
const USUAL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Calls from which on there is a history.
const HISTORY_FROM: u64 = 20;
/// How many times more a short call counts than any other.
const SHORT_COUNTS: u64 = 3;

/// What is known of a call that is asked for.
#[derive(Clone)]
pub struct Facts<'a> {
    /// The number.
    pub to: &'a E164,
    /// Its keyed hash.
    pub number: NumberHash,
    /// The keyed hash of the number without its last two digits.
    pub neighbours: NumberHash,
    /// The keyed hash of client and reference, where there is a reference.
    pub account: Option<NumberHash>,
    /// The keyed hash of the address that asked the backend, where the backend tells it.
    pub source: Option<NumberHash>,
    /// Whose request it is: name of the API key.
    pub client: &'a str,
    /// The country of the number.
    pub country: CountryCode,
    /// How long the call may last.
    pub call_limit: Duration,
    /// Nobody is paid for the call: it is simulated.
    pub free: bool,
}

/// Which call of a verification is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// The first.
    First,
    /// The first to another of its numbers.
    Alternate,
    /// Another to a number that it has called already.
    Again,
}

/// What the calls to one number have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It was verified.
    ToSuccess,
    /// It was not.
    ToNothing,
    /// The callee reported an unwanted call, or wants no more of them.
    ToReport,
}

/// The guard: settings, ready for use.
#[derive(Debug, Clone)]
pub struct Guard {
    settings: Settings,
    prices: Prices,
}

impl Guard {
    /// A guard with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { prices: Prices::of(&settings.spend), settings }
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What a call may cost at most, which is put aside before it is made.
    ///
    /// # Errors
    /// Where that is not known, or more than may be spent on a call.
    pub fn put_aside(&self, facts: &Facts<'_>) -> Result<Money, Refused> {
        if facts.free {
            return Ok(Money::default());
        }
        let refused = |limit, seen| Refused { limit, retry_after: None, seen };
        let Some(price) = self.prices.per_minute(facts.to) else {
            return Err(refused(LimitName::NoPrice, String::from("no price is set for such numbers")));
        };
        let (cost, most) = (self.prices.cost(price, facts.call_limit), self.settings.spend.per_call);
        if cost > most {
            return Err(refused(
                LimitName::SpendCall,
                format!("a call may cost {cost}, at most {most} may be spent on one"),
            ));
        }
        Ok(cost)
    }

    /// What must be taken together before this call is made.
    ///
    /// # Errors
    /// Where the settings alone forbid it.
    pub fn plan(&self, facts: &Facts<'_>, dial: Dial, now: Timestamp) -> Result<Plan, Refused> {
        if self.settings.guard.never_call.iter().any(|beginning| beginning.fits(facts.to)) {
            let seen = String::from("the number is on the do-not-call list");
            return Err(Refused { limit: LimitName::NeverCall, retry_after: None, seen });
        }
        let cost = self.put_aside(facts)?;
        let mut plan = Plan::default();
        self.plan_spending(&mut plan, facts, cost);
        if self.settings.guard.always_allow.iter().any(|beginning| beginning.fits(facts.to)) {
            return Ok(plan);
        }
        plan.bars(self.bars(facts));
        plan.runs(self.paused(facts, dial));
        self.plan_people(&mut plan, facts, dial, now);
        self.plan_areas(&mut plan, facts);
        Ok(plan)
    }

    fn plan_spending(&self, plan: &mut Plan, facts: &Facts<'_>, cost: Money) {
        if cost.micros() == 0 {
            return;
        }
        for (name, key, window) in self.purses(facts) {
            plan.meter(name, Meter { key, windows: vec![window], cost: cost.micros(), for_all: true, until: None });
        }
    }

    /// Where spending is counted.
    fn purses(&self, facts: &Facts<'_>) -> [(LimitName, Key, Window); 4] {
        let spend = &self.settings.spend;
        let hour = |most: Money| Window { span: RECENT, most: most.micros() };
        let day = |most: Money| Window { span: Duration::from_secs(24 * 3600), most: most.micros() };
        [
            (LimitName::SpendHour, Key::new("spend-hour", "all"), hour(spend.per_hour)),
            (LimitName::SpendDay, Key::new("spend-day", "all"), day(spend.per_day)),
            (LimitName::ClientSpendHour, Key::new("spend-hour-of", facts.client), hour(spend.client_per_hour)),
            (LimitName::ClientSpendDay, Key::new("spend-day-of", facts.client), day(spend.client_per_day)),
        ]
    }

    fn plan_people(&self, plan: &mut Plan, facts: &Facts<'_>, dial: Dial, now: Timestamp) {
        let limits = &self.settings.limits;
        for (name, key, windows) in self.counted(facts) {
            plan.count(name, &key, &windows, 1);
        }
        plan.count(
            LimitName::NumberTotal,
            &Key::new("number-total", &facts.number.to_string()),
            &windows(&limits.number_total),
            1,
        );
        plan.count(LimitName::Client, &Key::new("client", facts.client), &windows(&limits.client), 1);
        if let Some((key, until)) = self.night(facts, now) {
            let meter = Meter { key, windows: vec![self.night_window()], cost: 1, for_all: false, until: Some(until) };
            plan.meter(LimitName::Night, meter);
        }
        if dial == Dial::First {
            if let Some(source) = facts.source {
                plan.count(LimitName::Source, &Key::new("source", &source.to_string()), &windows(&limits.source), 1);
            }
            if let Some((key, window)) = self.at_once(facts) {
                plan.count(LimitName::AccountAtOnce, &key, &[window], 1);
            }
        }
    }

    /// What is counted until a success: number, account, prefix, neighbours, country.
    fn counted(&self, facts: &Facts<'_>) -> Vec<(LimitName, Key, Vec<Window>)> {
        let (limits, guard) = (&self.settings.limits, &self.settings.guard);
        let mut counted = vec![
            (LimitName::Number, Key::new("number", &facts.number.to_string()), windows(&limits.number)),
            (LimitName::Prefix, Key::new("prefix", &self.prefix(facts)), windows(&guard.prefix)),
            (LimitName::Neighbours, Key::new("near", &facts.neighbours.to_string()), windows(&guard.neighbours)),
            (LimitName::Country, Key::new("country", &facts.country.to_string()), windows(&guard.country)),
        ];
        counted.extend(
            facts.account.map(|account| {
                (LimitName::Account, Key::new("account", &account.to_string()), windows(&limits.account))
            }),
        );
        counted
    }

    fn at_once(&self, facts: &Facts<'_>) -> Option<(Key, Window)> {
        let most = self.settings.limits.account_at_once;
        let key = Key::new("account-at-once", &facts.account?.to_string());
        (most > 0).then_some((key, Window { span: LONGEST_LIFE, most }))
    }

    fn night(&self, facts: &Facts<'_>, now: Timestamp) -> Option<(Key, Timestamp)> {
        let limits = &self.settings.limits;
        let until = night::ends(facts.country, now, limits.night_from, limits.night_until)?;
        Some((Key::new("night", &format!("{}:{}", facts.number, until.as_secs())), until))
    }

    /// Longer than any night: what is counted in one ends with it.
    const fn night_window(&self) -> Window {
        Window { span: Duration::from_secs(48 * 3600), most: self.settings.limits.night }
    }

    /// The first digits of a number: too few to tell whose it is.
    fn prefix(&self, facts: &Facts<'_>) -> String {
        facts.to.expose().chars().skip(1).take(self.settings.guard.prefix_digits.into()).collect()
    }

    /// What is looked at to see whether calls to a prefix and a country are verified as usual.
    fn plan_areas(&self, plan: &mut Plan, facts: &Facts<'_>) {
        if self.settings.guard.judge_from == 0 {
            return;
        }
        for area in self.areas(facts) {
            for (key, window) in history(&area) {
                let meter = Meter { key, windows: vec![window], cost: 0, for_all: false, until: None };
                plan.meter(LimitName::History, meter);
            }
        }
    }

    fn areas(&self, facts: &Facts<'_>) -> [String; 2] {
        [self.prefix(facts), facts.country.to_string()]
    }

    /// Bars that could stand against a call, the most particular first.
    fn bars(&self, facts: &Facts<'_>) -> Vec<Key> {
        let mut bars = vec![bar_key("number", &facts.number.to_string())];
        bars.extend(facts.account.map(|account| bar_key("account", &account.to_string())));
        bars.extend(self.areas(facts).map(|area| bar_key("area", &area)));
        bars.push(bar_key("client", facts.client));
        bars
    }

    /// The rows whose pauses hold for this call: those of account and number between verifications, that of a number when
    /// it comes as an alternate. Within a verification it is its own rules that say how soon a number is called again.
    fn paused(&self, facts: &Facts<'_>, dial: Dial) -> Vec<Run> {
        match dial {
            Dial::First => self.runs(facts),
            Dial::Alternate => self.runs(&Facts { account: None, ..facts.clone() }),
            Dial::Again => Vec::new(),
        }
    }

    fn runs(&self, facts: &Facts<'_>) -> Vec<Run> {
        let limits = &self.settings.limits;
        if limits.failures == 0 && limits.pauses.is_empty() {
            return Vec::new();
        }
        let subjects = std::iter::once(("run-number", facts.number)).chain(facts.account.map(|id| ("run-account", id)));
        let run = |(scope, id): (&str, NumberHash)| Run {
            key: Key::new(scope, &id.to_string()),
            pauses: limits.pauses.clone(),
            most: if limits.failures == 0 { u32::MAX } else { limits.failures },
            keep: limits.remember_failures,
        };
        subjects.map(run).collect()
    }
}

/// The calls to one number in one verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// How many.
    pub made: u64,
    /// When the last of them was counted, or a little later.
    pub added: Timestamp,
    /// How many of them nobody has dialled, for certain.
    pub not_dialled: u64,
    /// How many were answered and over too soon.
    pub short: u64,
    /// Failures that no row has counted yet: wrong entries, and calls after the first.
    pub failures: u32,
    /// The number was not the first of its verification: its first call is one more failure of the account.
    pub alternate: bool,
}

/// The key of a bar.
#[must_use]
pub fn bar_key(kind: &str, subject: &str) -> Key {
    Key::new(step::StoredBar::SCOPE, &format!("{kind}:{subject}"))
}

/// The counts of an area: ended and not verified, within the hour and for what is usual.
fn history(area: &str) -> [(Key, Window); 4] {
    let count = |scope: &str, span| (Key::new(scope, area), Window { span, most: meter::MOST_AMOUNT });
    [count("ended-hour", RECENT), count("ended-week", USUAL), count("lost-hour", RECENT), count("lost-week", USUAL)]
}

/// What is taken back of a meter with these windows.
fn back(key: Key, windows: &[Window], amount: u64, added: Timestamp) -> GiveBack {
    let span = windows.iter().map(|window| window.span).max().unwrap_or_default();
    GiveBack { key, span, grain: meter::grain(windows), amount, added }
}

fn windows(limits: &[settings::Limit]) -> Vec<Window> {
    limits.iter().map(|limit| limit.0).collect()
}
