//! Owns the little world of the guard's tests: a table in memory, a clock that is set, and people who answer or do not.

mod attacks;
mod rules;
mod traffic;

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use super::{
    Calls, Came, Dial, Facts, Guard, Refused,
    meter::Key,
    money::Money,
    settings::{Settings, SpendConfig},
    step::{self, Kept, Settle},
};
use crate::{id::NumberHash, phone::E164, time::Timestamp};

/// A table of bytes in memory.
#[derive(Default)]
pub(super) struct Table(BTreeMap<Key, (Vec<u8>, Timestamp)>);

impl Kept for Table {
    type Fault = Infallible;

    fn value(&self, key: &Key, now: Timestamp) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(key).filter(|(_, ends)| *ends > now).map(|(value, _)| value.clone()))
    }

    fn put(&mut self, key: &Key, value: Vec<u8>, ends: Timestamp) -> Result<(), Infallible> {
        self.0.insert(key.clone(), (value, ends));
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<(), Infallible> {
        self.0.remove(key);
        Ok(())
    }
}

/// What came of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Callee {
    /// Pressed the key, after so many seconds.
    Presses(u64),
    /// Talked for so long and pressed nothing.
    Talks(u64),
    /// Did not answer.
    Away,
    /// Reported the call.
    Reports,
}

/// Who asks.
#[derive(Clone)]
pub(super) struct Asked<'a> {
    pub(super) to: &'a str,
    pub(super) account: Option<&'a str>,
    pub(super) source: Option<&'a str>,
    pub(super) client: &'a str,
}

pub(super) fn asked(to: &str) -> Asked<'_> {
    Asked { to, account: None, source: None, client: "web" }
}

/// A world in which calls are made one after another in virtual time.
pub(super) struct World {
    pub(super) guard: Guard,
    pub(super) table: Table,
    pub(super) now: Timestamp,
    pub(super) dialled: Vec<(Timestamp, String)>,
    pub(super) spent: u64,
    /// Calls that are over later: when, and what is set right then.
    pending: Vec<(Timestamp, Settle)>,
}

impl World {
    pub(super) fn new(settings: Settings, now: &str) -> Self {
        assert_eq!(settings.faults(), Vec::<String>::new());
        Self {
            guard: Guard::new(settings),
            table: Table::default(),
            now: Timestamp::parse(now).unwrap(),
            dialled: Vec::new(),
            spent: 0,
            pending: Vec::new(),
        }
    }

    /// Lets time pass, and what is over by then be over.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        self.pending.sort_by_key(|(at, _)| *at);
        while self.pending.first().is_some_and(|(at, _)| *at <= end) {
            let (at, settle) = self.pending.remove(0);
            step::settle(&mut self.table, at, &settle).unwrap();
        }
        self.now = end;
    }

    /// Asks for a call and has it made; it is over after what the callee does.
    pub(super) fn call(&mut self, asked: &Asked<'_>, callee: Callee) -> Result<(), Refused> {
        let to = number(asked.to);
        let client = asked.client.to_owned();
        let facts = Facts {
            number: hash(asked.to),
            neighbours: hash(&asked.to[..asked.to.len() - 2]),
            account: asked.account.map(hash),
            source: asked.source.map(hash),
            client: &client,
            country: country(&to),
            to: &to,
            call_limit: Duration::from_secs(90),
            free: false,
        };
        let plan = self.guard.plan(&facts, Dial::First, self.now)?;
        let Ok(answer) = step::take(&mut self.table, self.now, plan.take());
        let seen = plan.read(answer)?;
        let raise = self.guard.judge(&facts, &plan, &seen);
        let Ok(()) = step::settle(&mut self.table, self.now, &Settle { raise, ..Settle::default() });
        self.dialled.push((self.now, asked.to.to_owned()));
        let put_aside = self.guard.put_aside(&facts)?;
        let (talked, came) = match callee {
            Callee::Presses(seconds) => (Some(seconds), Came::ToSuccess),
            Callee::Talks(seconds) => (Some(seconds), Came::ToNothing),
            Callee::Away => (None, Came::ToNothing),
            Callee::Reports => (Some(15), Came::ToReport),
        };
        let short = u64::from(came == Came::ToNothing && talked.is_some_and(|seconds| seconds < 6));
        let calls = Calls { made: 1, added: self.now, not_dialled: 0, short, failures: 0, alternate: false };
        let talked = talked.map(Duration::from_secs);
        let end = self.now.plus(talked.map_or(Duration::from_secs(30), |talked| talked + Duration::from_secs(8)));
        for settle in [
            self.guard.call_over(&facts, put_aside, self.now, talked),
            self.guard.decided(&facts, came, calls),
            self.guard.over(&facts, self.now),
        ] {
            self.pending.push((end, settle));
        }
        self.spent += cost_of(&self.guard, &to, talked);
        Ok(())
    }

    pub(super) fn spent(&self) -> Money {
        Money::from_micros(self.spent)
    }
}

fn cost_of(guard: &Guard, to: &E164, talked: Option<Duration>) -> u64 {
    let prices = super::Prices::of(&guard.settings().spend);
    talked.map_or(0, |talked| prices.cost(prices.per_minute(to).unwrap(), talked).micros())
}

fn number(text: &str) -> E164 {
    text.parse().unwrap()
}

fn country(number: &E164) -> crate::phone::CountryCode {
    number.country().unwrap()
}

pub(super) fn hash(text: &str) -> NumberHash {
    let mut state = 0xcbf2_9ce4_8422_2325_9e37_79b9_7f4a_7c15_u128;
    for byte in text.bytes() {
        state = (state ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    NumberHash::new(state.to_be_bytes())
}

/// The default limits, with a spending that is not in the way.
pub(super) fn rich() -> Settings {
    let much = Money::cents(100_000_000);
    let spend = SpendConfig {
        per_hour: much,
        per_day: much,
        client_per_hour: much,
        client_per_day: much,
        ..SpendConfig::default()
    };
    Settings { spend, ..Settings::default() }
}
