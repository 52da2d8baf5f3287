//! Owns what a meter is and how it counts: amounts over windows of time that move with the clock. It knows nothing of
//! what is counted, and reads no clock. The same rule stands in `src/store/redis/meter.lua`; the suite of the stores
//! holds the two together.

use std::time::Duration;

use crate::time::Timestamp;

/// Most entries of a meter: a window is cut into so many grains at most, whatever it may hold.
pub const MOST_GRAINS: u64 = 24;

/// Bytes of an entry: time and amount, 6 each, big-endian.
const ENTRY_BYTES: usize = 12;

/// Most that one meter may hold: 2 to the power of 47, so that sums stay exact in the numbers of Lua.
pub const MOST_AMOUNT: u64 = 1 << 47;

/// Names something in the store that the guard counts or looks at. Holds no full number: those are hashed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key of a subject in a scope, as in `number:JBSW…`.
    #[must_use]
    pub fn new(scope: &str, subject: &str) -> Self {
        Self(format!("{scope}:{subject}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// At most so much in any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How long the stretch is.
    pub span: Duration,
    /// How much may be in it.
    pub most: u64,
}

/// Something that is counted, and how much of it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// Which.
    pub key: Key,
    /// What may be in it, over one stretch of time or several. A meter without any counts for nobody.
    pub windows: Vec<Window>,
    /// What is added when everything is allowed; 0 for one that is only looked at.
    pub cost: u64,
    /// Holds also for those that an operator has allowed.
    pub for_all: bool,
    /// From when on its windows do not hold any more, whatever is in it.
    pub until: Option<Timestamp>,
}

impl Meter {
    /// The longest stretch of time it looks back.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.windows.iter().map(|window| window.span).max().unwrap_or_default()
    }

    /// How far apart two entries are at least. Every entry is kept by itself where the longest window holds few.
    #[must_use]
    pub fn grain(&self) -> Duration {
        grain(&self.windows)
    }
}

/// The grain of a meter with these windows.
#[must_use]
pub fn grain(windows: &[Window]) -> Duration {
    let longest = windows.iter().max_by_key(|window| window.span);
    match longest {
        Some(window) if window.most > MOST_GRAINS => {
            let ms = u64::try_from(window.span.as_millis()).unwrap_or(u64::MAX);
            Duration::from_millis(ms.div_ceil(MOST_GRAINS).max(1))
        }
        Some(_) | None => Duration::from_millis(1),
    }
}

/// The grain that a time falls into.
fn grain_of(at: Timestamp, grain: Duration) -> u64 {
    at.as_ms() / u64::try_from(grain.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// What a meter holds: amounts with their times, oldest first.
///
/// What falls into the same grain is one entry with the time of the newest: it is counted for as long as the newest of
/// it is, never shorter. So in no stretch of time there is ever more than a window lets in; at most one grain longer
/// than needed somebody is kept waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log(Vec<(Timestamp, u64)>);

impl Log {
    /// Reads what is kept. Bytes at the end that are no entry are not there.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let six = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        let entries = bytes.chunks_exact(ENTRY_BYTES).map(|entry| {
            let (at, amount) = entry.split_at(ENTRY_BYTES / 2);
            (Timestamp::from_ms(six(at)), six(amount))
        });
        Self(entries.collect())
    }

    /// What is kept of it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let six = |number: u64| number.to_be_bytes().into_iter().skip(2);
        self.0.iter().flat_map(|(at, amount)| six(at.as_ms()).chain(six(*amount))).collect()
    }

    /// How much was added within this time before `now`.
    #[must_use]
    pub fn sum(&self, now: Timestamp, span: Duration) -> u64 {
        self.0.iter().filter(|(at, _)| at.plus(span) > now).map(|(_, amount)| amount).sum()
    }

    /// How long it is until `cost` more fits into a window: zero when it does now, `None` when it never will.
    #[must_use]
    pub fn wait(&self, now: Timestamp, window: Window, cost: u64) -> Option<Duration> {
        let room = window.most.checked_sub(cost)?;
        let mut left = self.sum(now, window.span);
        if left <= room {
            return Some(Duration::ZERO);
        }
        for (at, amount) in self.0.iter().filter(|(at, _)| at.plus(window.span) > now) {
            left -= amount;
            if left <= room {
                return Some(at.plus(window.span).since(now));
            }
        }
        None
    }

    /// Adds an amount, and forgets what is older than `span`.
    pub fn add(&mut self, now: Timestamp, amount: u64, span: Duration, grain: Duration) {
        self.forget(now, span);
        match self.0.last_mut() {
            Some((at, held)) if grain_of(*at, grain) >= grain_of(now, grain) => {
                *at = now.max(*at);
                *held = held.saturating_add(amount).min(MOST_AMOUNT);
            }
            Some(_) | None => self.0.push((now, amount.min(MOST_AMOUNT))),
        }
    }

    /// Takes an amount back that was added at `added`: from the entry of the same grain, and where that holds less, from
    /// those before it. What was added later is left alone. To take it from the oldest entries would be wrong: what stays
    /// would then never be old enough to be forgotten.
    pub fn give_back(&mut self, added: Timestamp, amount: u64, grain: Duration) {
        let last = grain_of(added, grain);
        let mut left = amount;
        for (_, held) in self.0.iter_mut().rev().skip_while(|(at, _)| grain_of(*at, grain) > last) {
            let taken = left.min(*held);
            *held -= taken;
            left -= taken;
        }
        self.0.retain(|(_, held)| *held > 0);
    }

    /// When nothing of it counts any more.
    #[must_use]
    pub fn ends(&self, span: Duration) -> Option<Timestamp> {
        self.0.last().map(|(at, _)| at.plus(span))
    }

    /// Entries that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn forget(&mut self, now: Timestamp, span: Duration) {
        self.0.retain(|(at, _)| at.plus(span) > now);
    }
}
