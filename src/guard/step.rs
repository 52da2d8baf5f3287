//! Owns the one atomic step of the store for the guard: look at everything that could stand against a call, and only
//! when nothing does, count it everywhere. The rule is written over any table of bytes, so that the embedded store and
//! the tests run it as it is; Redis has it as `src/store/redis/meter.lua`. No limit is known here.

use std::time::Duration;

pub use super::kept::StoredBar;
use super::{
    kept::Row,
    meter::{Key, Log, Meter},
};
use crate::time::Timestamp;

/// What must be taken together before a number is dialled, or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Take {
    /// Bars that could be there, the most particular first: the first that allows ends the look.
    pub bars: Vec<Key>,
    /// Rows of calls that came to nothing.
    pub runs: Vec<Run>,
    /// What is counted.
    pub meters: Vec<Meter>,
}

impl Take {
    /// Most bars, runs and meters of one step.
    pub const MOST: usize = 48;

    /// Whether there is nothing to take.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bars.is_empty() && self.runs.is_empty() && self.meters.is_empty()
    }
}

/// A row of calls without a success: after each the pause grows, and after too many only success or an operator ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which.
    pub key: Key,
    /// The pause after the first call, after the second, and so on; the last holds for all that follow.
    pub pauses: Vec<Duration>,
    /// How many there may be.
    pub most: u32,
    /// How long it is remembered after the last.
    pub keep: Duration,
}

/// What stands against calls, or for them, until it ends or is lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it is about.
    pub key: Key,
    /// Whether calls are refused or allowed.
    pub sense: Sense,
    /// An operator set it: nothing automatic changes or lifts it.
    pub pinned: bool,
    /// How long it holds.
    pub holds_for: Duration,
    /// The first call is let through after this time, to try; `None` for none at all.
    pub first_probe: Option<Duration>,
    /// Then one each time this has passed.
    pub probe_every: Duration,
    /// Why, for people: code and what was seen. At most [`Bar::MOST_WHY`] bytes.
    pub why: String,
}

impl Bar {
    /// Longest explanation, in bytes.
    pub const MOST_WHY: usize = 400;
}

/// What a bar does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// Calls are refused.
    Deny,
    /// Calls are let through, whatever other bars, rows and counts say; what is counted for all still holds.
    Allow,
}

/// What came of a [`Take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Everything was taken. What each meter holds now, over each of its windows.
    Allowed {
        /// For each meter, for each window.
        seen: Vec<Vec<u64>>,
    },
    /// Nothing was taken.
    Refused(Stop),
}

/// What stands against a call: of several, what stands there longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What it is.
    pub by: By,
    /// How long nothing will be allowed, as far as is known now; `None` where time alone changes nothing.
    pub wait: Option<Duration>,
    /// How much was counted.
    pub seen: u64,
}

/// What stood against a call, by its place in the [`Take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A bar.
    Bar {
        /// Which.
        index: usize,
        /// Why it is there.
        why: String,
    },
    /// The pause after calls that came to nothing.
    Pause {
        /// Which run.
        index: usize,
    },
    /// Too many calls that came to nothing.
    Run {
        /// Which run.
        index: usize,
    },
    /// A meter is full.
    Meter {
        /// Which meter.
        index: usize,
        /// Which of its windows.
        window: usize,
    },
}

/// What is set right after a call or a verification is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settle {
    /// What was counted and is taken back.
    pub give_back: Vec<GiveBack>,
    /// What is counted without asking: only the windows and the cost of these meters mean something.
    pub add: Vec<Meter>,
    /// Rows that a success ends.
    pub clear: Vec<Key>,
    /// Rows that grow by more than the call.
    pub fail: Vec<(Run, u32)>,
    /// Bars that are lifted, unless an operator set them.
    pub lift: Vec<Key>,
    /// Bars that are set, unless an operator set one there.
    pub raise: Vec<Bar>,
}

impl Settle {
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.give_back.is_empty()
            && self.add.is_empty()
            && self.clear.is_empty()
            && self.fail.is_empty()
            && self.lift.is_empty()
            && self.raise.is_empty()
    }
}

/// What was counted and is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiveBack {
    /// The meter.
    pub key: Key,
    /// The longest stretch of time it looks back.
    pub span: Duration,
    /// How far apart its entries are at least.
    pub grain: Duration,
    /// How much.
    pub amount: u64,
    /// When it was counted, by the clock of the store.
    pub added: Timestamp,
}

/// A table of bytes, in which things end by themselves.
pub trait Kept {
    /// What goes wrong with it.
    type Fault;

    /// What stands there now.
    ///
    /// # Errors
    /// When that cannot be read.
    fn value(&self, key: &Key, now: Timestamp) -> Result<Option<Vec<u8>>, Self::Fault>;

    /// Writes it, until `ends`.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put(&mut self, key: &Key, value: Vec<u8>, ends: Timestamp) -> Result<(), Self::Fault>;

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&mut self, key: &Key) -> Result<(), Self::Fault>;
}

/// Everything or nothing.
///
/// # Errors
/// Those of the table; nothing is written before everything was read.
pub fn take<K: Kept + ?Sized>(kept: &mut K, now: Timestamp, asked: &Take) -> Result<Answer, K::Fault> {
    let mut worst = None;
    let (mut allowed, mut probed) = (false, Vec::new());
    for (index, key) in asked.bars.iter().enumerate() {
        let Some(bar) = kept.value(key, now)?.as_deref().and_then(StoredBar::read) else { continue };
        match bar.sense {
            Sense::Allow => {
                allowed = true;
                break;
            }
            Sense::Deny if bar.lets_through(now) => probed.push((key, bar)),
            Sense::Deny => {
                let wait = bar.wait(now);
                worse(&mut worst, Stop { by: By::Bar { index, why: bar.why }, wait, seen: 0 });
            }
        }
    }
    let mut runs = Vec::new();
    for (index, run) in asked.runs.iter().enumerate() {
        let row = kept.value(&run.key, now)?.as_deref().and_then(Row::read).unwrap_or_default();
        let seen = row.count.into();
        if row.count >= run.most && !allowed {
            worse(&mut worst, Stop { by: By::Run { index }, wait: None, seen });
        } else if row.until > now && !allowed {
            worse(&mut worst, Stop { by: By::Pause { index }, wait: Some(row.until.since(now)), seen });
        }
        runs.push((run, row));
    }
    let mut logs = Vec::new();
    for (index, meter) in asked.meters.iter().enumerate() {
        let log = kept.value(&meter.key, now)?.map(|bytes| Log::read(&bytes)).unwrap_or_default();
        for (window, limit) in
            meter.windows.iter().enumerate().filter(|_| meter.cost > 0 && (meter.for_all || !allowed))
        {
            let free = meter.until.map(|until| until.since(now));
            let wait = log.wait(now, *limit, meter.cost).into_iter().chain(free).min();
            if wait != Some(Duration::ZERO) {
                let seen = log.sum(now, limit.span);
                worse(&mut worst, Stop { by: By::Meter { index, window }, wait, seen });
            }
        }
        logs.push((meter, log));
    }
    if let Some(stop) = worst {
        return Ok(Answer::Refused(stop));
    }
    for (key, bar) in probed {
        bar.probed(now).put(kept, key)?;
    }
    for (run, row) in runs {
        row.grown(now, run, 1).put(kept, now, run)?;
    }
    let mut seen = Vec::with_capacity(logs.len());
    for (meter, mut log) in logs {
        if meter.cost > 0 {
            count(kept, now, meter, &mut log)?;
        }
        seen.push(meter.windows.iter().map(|window| log.sum(now, window.span)).collect());
    }
    Ok(Answer::Allowed { seen })
}

/// Sets right what a call or a verification has come to.
///
/// # Errors
/// Those of the table.
pub fn settle<K: Kept + ?Sized>(kept: &mut K, now: Timestamp, asked: &Settle) -> Result<(), K::Fault> {
    for back in &asked.give_back {
        let Some(bytes) = kept.value(&back.key, now)? else { continue };
        let mut log = Log::read(&bytes);
        log.give_back(back.added, back.amount, back.grain);
        match log.ends(back.span) {
            Some(ends) => kept.put(&back.key, log.bytes(), ends)?,
            None => kept.remove(&back.key)?,
        }
    }
    for meter in asked.add.iter().filter(|meter| meter.cost > 0) {
        let mut log = kept.value(&meter.key, now)?.map(|bytes| Log::read(&bytes)).unwrap_or_default();
        count(kept, now, meter, &mut log)?;
    }
    for key in &asked.clear {
        kept.remove(key)?;
    }
    for (run, by) in &asked.fail {
        let row = kept.value(&run.key, now)?.as_deref().and_then(Row::read).unwrap_or_default();
        Row { count: row.count.saturating_add(*by), until: row.until }.put(kept, now, run)?;
    }
    for key in &asked.lift {
        if kept.value(key, now)?.as_deref().and_then(StoredBar::read).is_some_and(|bar| !bar.pinned) {
            kept.remove(key)?;
        }
    }
    for bar in &asked.raise {
        let there = kept.value(&bar.key, now)?.as_deref().and_then(StoredBar::read);
        if bar.pinned || !there.is_some_and(|there| there.pinned) {
            StoredBar::of(bar, now).put(kept, &bar.key)?;
        }
    }
    Ok(())
}

/// Adds the cost of a meter.
fn count<K: Kept + ?Sized>(kept: &mut K, now: Timestamp, meter: &Meter, log: &mut Log) -> Result<(), K::Fault> {
    let span = meter.span();
    log.add(now, meter.cost, span, meter.grain());
    kept.put(&meter.key, log.bytes(), log.ends(span).unwrap_or(now))
}

/// Keeps the stop that stands there longest; of equal ones the first.
fn worse(worst: &mut Option<Stop>, stop: Stop) {
    let rank = |stop: &Stop| stop.wait.unwrap_or(Duration::MAX);
    if worst.as_ref().is_none_or(|known| rank(known) < rank(&stop)) {
        *worst = Some(stop);
    }
}
