//! Owns the cards of the board: which chart shows what, what is said about it, and its table.

use super::says::{Says, grouped, percent};
use crate::{
    console::charts::{self, Chart, Head, Layer, Line, Unit},
    gateway::{Measures, Quantiles, StatsStep},
    outcome::{Reason, Status},
};

/// Reasons that are told apart in their chart; the rest is one more.
const MOST_REASONS: usize = charts::MOST_KINDS - 1;

/// The statuses of settled verifications, in the order of the contract.
const FINAL: [Status; 5] = [Status::Verified, Status::Failed, Status::Denied, Status::Expired, Status::Canceled];

/// A chart with what it says and its table.
pub(super) struct Card {
    /// Begins the ids of its parts: unique in the page.
    pub(super) id: &'static str,
    pub(super) title: String,
    /// What can be seen in it, in a sentence.
    pub(super) meaning: String,
    /// What else is to be said; may be empty.
    pub(super) note: String,
    pub(super) svg: String,
    pub(super) columns: Vec<String>,
    /// The newest first.
    pub(super) rows: Vec<Vec<String>>,
    /// The sums of the columns; empty where they have none.
    pub(super) sums: Vec<String>,
}

impl Says<'_> {
    /// How many, by status.
    pub(super) fn statuses(&self) -> Card {
        let range = self.stats.range.as_str();
        let title = self.words.t(&format!("board-statuses-{range}"));
        let busiest = self.stats.series.iter().rev().max_by_key(|step| step.measures.attempts);
        let most = grouped(busiest.map_or(0, |step| step.measures.attempts));
        let at = busiest.map(|of| self.row(of)).unwrap_or_default();
        let meaning = self.say(&format!("board-statuses-meaning-{range}"), &[("most", &most), ("at", &at)]);
        let layers: Vec<Layer> = FINAL
            .iter()
            .zip(1..)
            .map(|(status, kind)| {
                let values = self.stats.series.iter().map(|step| step.measures.by_status.of(*status)).collect();
                Layer { name: self.status(*status), kind, values }
            })
            .collect();
        let chart = Chart::bars(self.head("statuses", &title, &meaning), &counted(&layers));
        self.stacked(title, meaning, String::new(), &layers, ("statuses", &chart))
    }

    /// Why those were not verified that were not.
    pub(super) fn reasons(&self) -> Card {
        let title = self.words.t("board-reasons");
        let name = |reason: Reason| self.words.t(&format!("board-reason-{reason}"));
        let (told, rest) = self.stats.reasons.split_at(self.stats.reasons.len().min(MOST_REASONS));
        let meaning = told.first().map_or_else(
            || self.words.t("board-reasons-none"),
            |of| self.say("board-reasons-meaning", &[("reason", &name(of.reason)), ("count", &grouped(of.attempts))]),
        );
        let count = |step: &StatsStep, reasons: &dyn Fn(Reason) -> bool| -> u64 {
            step.reasons.iter().filter(|of| reasons(of.reason)).map(|of| of.attempts).sum()
        };
        let series = &self.stats.series;
        let mut layers: Vec<Layer> = told
            .iter()
            .zip(1..)
            .map(|(of, kind)| Layer {
                name: name(of.reason),
                kind,
                values: series.iter().map(|step| count(step, &|reason| reason == of.reason)).collect(),
            })
            .collect();
        let is_told = |reason: Reason| told.iter().any(|of| of.reason == reason);
        let mut note = String::new();
        if !rest.is_empty() {
            let values = series.iter().map(|step| count(step, &|reason| !is_told(reason))).collect();
            layers.push(Layer { name: self.words.t("board-other"), kind: charts::MOST_KINDS, values });
            let others = rest.iter().map(|of| format!("{} {}", name(of.reason), grouped(of.attempts)));
            let others = others.collect::<Vec<_>>().join(&self.words.t("board-and"));
            note = self.say("board-reasons-others", &[("others", &others)]);
        }
        let chart = Chart::bars(self.head("reasons", &title, &meaning), &counted(&layers));
        self.stacked(title, meaning, note, &layers, ("reasons", &chart))
    }

    /// The share that was verified.
    pub(super) fn shares(&self) -> Card {
        let title = self.words.t("board-shares");
        let usual = self.usual();
        let meaning = match usual {
            Some(usual) => self.say("board-shares-usual", &[("usual", &percent(Some(usual)))]),
            None => self.words.t("board-shares-new"),
        };
        let values = self.stats.series.iter().map(|step| step.measures.conversion_rate).collect();
        let line = Line { name: self.words.t("board-share"), kind: 1, values };
        let across = usual.map(|usual| (usual, self.words.t("board-usual")));
        let rows = self
            .settled()
            .map(|step| vec![self.row(step), grouped(step.measures.attempts), percent(step.measures.conversion_rate)]);
        let totals = &self.stats.totals;
        Card {
            id: "shares",
            svg: Chart::lines(self.head("shares", &title, &meaning), Unit::Share, &[line], across).svg(),
            columns: ["board-time", "board-verifications", "board-share"].map(|id| self.words.t(id)).to_vec(),
            rows: rows.collect(),
            sums: vec![self.words.t("board-sum"), grouped(totals.attempts), percent(totals.conversion_rate)],
            title,
            meaning,
            note: String::new(),
        }
    }

    /// From the creation to the approval.
    pub(super) fn verify(&self) -> Card {
        self.times("verify", |measures| measures.time_to_verify_seconds)
    }

    /// From the creation to the first answer.
    pub(super) fn answer(&self) -> Card {
        self.times("answer", |measures| measures.time_to_answer_seconds)
    }

    fn times(&self, id: &'static str, of: impl Fn(&Measures) -> Option<Quantiles>) -> Card {
        let title = self.words.t(&format!("board-{id}"));
        let all = of(&self.stats.totals);
        let (p50, p95) = (self.seconds(all.map(|of| of.p50)), self.seconds(all.map(|of| of.p95)));
        let meaning = match all {
            Some(_) => self.say(&format!("board-{id}-meaning"), &[("p50", &p50), ("p95", &p95)]),
            None => self.words.t("board-times-none"),
        };
        let line = |name: &str, kind, pick: fn(Quantiles) -> f64| Line {
            name: self.words.t(name),
            kind,
            values: self.stats.series.iter().map(|step| of(&step.measures).map(pick)).collect(),
        };
        let lines = [line("board-p50", 1, |of| of.p50), line("board-p95", 2, |of| of.p95)];
        let rows = self.settled().filter_map(|step| {
            let of = of(&step.measures)?;
            Some(vec![self.row(step), self.seconds(Some(of.p50)), self.seconds(Some(of.p95))])
        });
        Card {
            id,
            svg: Chart::lines(self.head(id, &title, &meaning), Unit::Seconds, &lines, None).svg(),
            columns: ["board-time", "board-p50", "board-p95"].map(|id| self.words.t(id)).to_vec(),
            rows: rows.collect(),
            sums: vec![self.words.t("board-all"), p50, p95],
            title,
            meaning,
            note: String::new(),
        }
    }

    fn head(&self, id: &'static str, title: &str, description: &str) -> Head {
        Head {
            id,
            title: title.to_owned(),
            description: description.to_owned(),
            places: self.stats.series.iter().map(|step| self.place(step)).collect(),
            every: self.every(),
        }
    }

    /// The steps in which something was settled, the newest first.
    fn settled(&self) -> impl Iterator<Item = &StatsStep> {
        self.stats.series.iter().rev().filter(|step| step.measures.attempts > 0)
    }

    /// The card of a chart of layers, its table made of the same.
    fn stacked(
        &self,
        title: String,
        meaning: String,
        note: String,
        layers: &[Layer],
        (id, chart): (&'static str, &Chart),
    ) -> Card {
        let steps = self.stats.series.iter().enumerate().rev();
        let rows = steps.filter_map(|(at, step)| {
            let counts: Vec<u64> =
                layers.iter().map(|layer| layer.values.get(at).copied().unwrap_or_default()).collect();
            let is_empty = counts.iter().all(|count| *count == 0);
            let row = std::iter::once(self.row(step)).chain(counts.into_iter().map(grouped));
            (!is_empty).then(|| row.collect())
        });
        let first = |id: &str| std::iter::once(self.words.t(id));
        Card {
            id,
            svg: chart.svg(),
            columns: first("board-time").chain(layers.iter().map(|layer| layer.name.clone())).collect(),
            rows: rows.collect(),
            sums: first("board-sum").chain(layers.iter().map(|layer| grouped(sum(layer)))).collect(),
            title,
            meaning,
            note,
        }
    }
}

fn sum(layer: &Layer) -> u64 {
    layer.values.iter().fold(0, |sum, value| sum.saturating_add(*value))
}

/// The layers with their sums in their names, as a legend has them.
fn counted(layers: &[Layer]) -> Vec<Layer> {
    let named = |layer: &Layer| Layer { name: format!("{} {}", layer.name, grouped(sum(layer))), ..layer.clone() };
    layers.iter().map(named).collect()
}
