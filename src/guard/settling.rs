//! Owns what is set right after a call: money that was not spent, counts that a success takes back, rows that it ends,
//! and bars that are raised where fraud was reported or is seen. What was counted is said in [`super`].

use std::time::Duration;

use super::{
    Calls, Came, Facts, Guard, HISTORY_FROM, LimitName, Plan, SHORT_COUNTS, back, bar_key, history,
    meter::{Key, Meter, Window},
    money::Money,
    plan::grouped,
    step::{Bar, Sense, Settle},
};
use crate::time::Timestamp;

impl Guard {
    /// What is set right when a call is over: of what was put aside for it, what it did not cost. `added` is when it was
    /// put aside, or a little later; `talked` is how long it was answered, `None` where it was not.
    #[must_use]
    pub fn call_over(&self, facts: &Facts<'_>, put_aside: Money, added: Timestamp, talked: Option<Duration>) -> Settle {
        let price = self.prices.per_minute(facts.to).unwrap_or_default();
        let cost = talked.map(|talked| self.prices.cost(price, talked)).unwrap_or_default();
        let amount = put_aside.micros().saturating_sub(cost.micros());
        let purses = self.purses(facts).into_iter().filter(|_| amount > 0);
        let give_back = purses.map(|(_, key, window)| back(key, &[window], amount, added)).collect();
        Settle { give_back, ..Settle::default() }
    }

    /// What is set right for one number when a verification is decided: after a success its calls no longer count
    /// against anybody; else those stay counted that may have been dialled.
    #[must_use]
    pub fn decided(&self, facts: &Facts<'_>, came: Came, calls: Calls) -> Settle {
        let mut settle = Settle::default();
        let add = |key: Key, windows: Vec<Window>, cost| Meter { key, windows, cost, for_all: false, until: None };
        let success = came == Came::ToSuccess;
        let areas = self.areas(facts);
        for area in areas.iter().filter(|_| self.settings.guard.judge_from > 0) {
            let [ended, ended_long, lost, lost_long] = history(area);
            settle.add.extend([ended, ended_long].map(|(key, window)| add(key, vec![window], 1)));
            if !success {
                settle.add.extend([lost, lost_long].map(|(key, window)| add(key, vec![window], 1)));
            }
        }
        let taken_back = if success { calls.made } else { calls.not_dialled };
        if taken_back > 0 {
            let night = self.night(facts, calls.added).map(|(key, _)| (key, vec![self.night_window()]));
            let counted = self.counted(facts).into_iter().flat_map(|(_, key, windows)| grouped(&key, &windows));
            let counted = counted.chain(night);
            settle.give_back = counted.map(|(key, windows)| back(key, &windows, taken_back, calls.added)).collect();
        }
        match came {
            Came::ToSuccess => {
                settle.clear = self.runs(facts).into_iter().map(|run| run.key).collect();
                let judged = areas.iter().filter(|_| self.settings.guard.judge_from > 0);
                settle.lift = judged.map(|area| bar_key("area", area)).collect();
            }
            Came::ToNothing => self.count_more(&mut settle, facts, calls),
            Came::ToReport => {
                self.count_more(&mut settle, facts, calls);
                settle.raise.extend(self.reported(facts));
            }
        }
        settle
    }

    /// Short calls weigh more, and wrong entries are failures of their own.
    fn count_more(&self, settle: &mut Settle, facts: &Facts<'_>, calls: Calls) {
        let weight = calls.short * (SHORT_COUNTS - 1);
        for (name, key, windows) in self.counted(facts) {
            if weight > 0 && matches!(name, LimitName::Prefix | LimitName::Neighbours) {
                for (key, windows) in grouped(&key, &windows) {
                    settle.add.push(Meter { key, windows, cost: weight, for_all: false, until: None });
                }
            }
        }
        let by = |place: usize| calls.failures.saturating_add(u32::from(place > 0 && calls.alternate));
        let grown = self.runs(facts).into_iter().enumerate().map(|(place, run)| (run, by(place)));
        settle.fail = grown.filter(|(_, by)| *by > 0).collect();
    }

    /// Nothing is raised where a report blocks for no time.
    fn reported(&self, facts: &Facts<'_>) -> Option<Bar> {
        let holds_for = self.settings.guard.block_after_report;
        (!holds_for.is_zero()).then(|| Bar {
            key: bar_key("number", &facts.number.to_string()),
            sense: Sense::Deny,
            pinned: false,
            holds_for,
            first_probe: None,
            probe_every: Duration::ZERO,
            why: String::from("fraud_report: whoever answered wants no such calls"),
        })
    }

    /// What is set right when nothing of a verification is alive any more.
    #[must_use]
    pub fn over(&self, facts: &Facts<'_>, added: Timestamp) -> Settle {
        let held = self.at_once(facts).map(|(key, window)| back(key, &[window], 1, added));
        Settle { give_back: held.into_iter().collect(), ..Settle::default() }
    }

    /// Bars to be raised because far fewer calls are verified than is usual, judged by what a plan saw.
    #[must_use]
    pub fn judge(&self, facts: &Facts<'_>, plan: &Plan, seen: &[Vec<u64>]) -> Vec<Bar> {
        let guard = &self.settings.guard;
        let looked = plan.seen_of(LimitName::History, seen);
        let mut bars = Vec::new();
        for (area, counts) in self.areas(facts).iter().zip(looked.chunks_exact(4)) {
            let [ended, ended_long, lost, lost_long] = counts else { continue };
            let share = |ended: u64, lost: u64| ended.saturating_sub(lost) * 100 / ended.max(1);
            let before = ended_long.saturating_sub(*ended);
            let usual = if before >= HISTORY_FROM {
                share(before, lost_long.saturating_sub(*lost))
            } else {
                guard.usual.into()
            };
            let now = share(*ended, *lost);
            if guard.judge_from > 0
                && *ended >= guard.judge_from.into()
                && now * 100 < usual * u64::from(guard.least_of_usual)
            {
                bars.push(Bar {
                    key: bar_key("area", area),
                    sense: Sense::Deny,
                    pinned: false,
                    holds_for: guard.hold_at_most,
                    first_probe: Some(guard.hold),
                    probe_every: guard.probe_every,
                    why: format!(
                        "conversion: {now} % of {ended} calls within an hour were verified, usual is {usual} %"
                    ),
                });
            }
        }
        bars
    }
}
