//! Owns what is asked of the store for one call, with the name of the limit behind each part of it, and how its answer
//! reads. It decides nothing.

use std::time::Duration;

use super::{
    meter::{Key, MOST_GRAINS, Meter, Window},
    refused::{LimitName, Refused},
    step::{Answer, By, Run, Take},
};

/// What must be taken together, and what each part of it is called.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    take: Take,
    names: Vec<LimitName>,
}

/// Meters of windows: one for all where they hold few, so that every entry is kept by itself; else one each.
pub(super) fn grouped(key: &Key, windows: &[Window]) -> Vec<(Key, Vec<Window>)> {
    let most = windows.iter().map(|window| window.most).max();
    match most {
        None => Vec::new(),
        Some(most) if most <= MOST_GRAINS => vec![(key.clone(), windows.to_vec())],
        Some(_) => windows
            .iter()
            .map(|window| (Key::new(key.as_str(), &window.span.as_secs().to_string()), vec![*window]))
            .collect(),
    }
}

impl Plan {
    /// What the store is asked to take.
    #[must_use]
    pub const fn take(&self) -> &Take {
        &self.take
    }

    pub(super) fn bars(&mut self, bars: Vec<Key>) {
        self.take.bars = bars;
    }

    pub(super) fn runs(&mut self, runs: Vec<Run>) {
        self.take.runs = runs;
    }

    pub(super) fn meter(&mut self, name: LimitName, meter: Meter) {
        self.take.meters.push(meter);
        self.names.push(name);
    }

    pub(super) fn count(&mut self, name: LimitName, key: &Key, windows: &[Window], cost: u64) {
        for (key, windows) in grouped(key, windows) {
            self.meter(name, Meter { key, windows, cost, for_all: false, until: None });
        }
    }

    /// What the meters of this name hold, one after another.
    pub(super) fn seen_of(&self, name: LimitName, seen: &[Vec<u64>]) -> Vec<u64> {
        let named = self.names.iter().zip(seen).filter(|(known, _)| **known == name);
        named.flat_map(|(_, seen)| seen.iter().copied()).collect()
    }

    /// How an answer of the store reads: what is held, or why the call is not made.
    ///
    /// # Errors
    /// What stands against the call.
    pub fn read(&self, answer: Answer) -> Result<Vec<Vec<u64>>, Refused> {
        let stop = match answer {
            Answer::Allowed { seen } => return Ok(seen),
            Answer::Refused(stop) => stop,
        };
        let (limit, seen) = match stop.by {
            By::Bar { why, .. } => (LimitName::Barred, why),
            By::Pause { .. } => (LimitName::Pause, format!("{} calls in a row came to nothing", stop.seen)),
            By::Run { .. } => (LimitName::Failures, format!("{} calls in a row came to nothing", stop.seen)),
            By::Meter { index, window } => {
                let name = self.names.get(index).copied().unwrap_or(LimitName::History);
                let window = self.take.meters.get(index).and_then(|meter| meter.windows.get(window));
                let (most, span) = window.map_or((0, Duration::ZERO), |window| (window.most, window.span));
                (name, format!("{} of {most} within {} s", stop.seen, span.as_secs()))
            }
        };
        Err(Refused { limit, retry_after: stop.wait, seen })
    }
}
