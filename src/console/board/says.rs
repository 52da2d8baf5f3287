//! Owns how the board puts numbers into words: shares, times, counts, what a step of time is called, and what it all
//! means.

use crate::{
    console::{charts, filters::Filters, zone::Zone},
    gateway::{PREFIX_APART, PREFIX_ATTEMPTS, Stats, StatsRange, StatsStep},
    outcome::Status,
    pages::Words,
    texts,
    time::Timestamp,
};

/// What stands where there is nothing to say.
pub(super) const NOTHING: &str = "–";

/// The statistics, and for whom they are put into words.
pub(super) struct Says<'a> {
    pub(super) words: Words,
    pub(super) zone: &'a Zone,
    /// What stands before every path.
    pub(super) base: &'a str,
    /// Whose verifications they are, where they are one client's.
    pub(super) client: Option<&'a str>,
    pub(super) stats: &'a Stats,
}

/// What it all means, and whether somebody has to look.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) text: String,
    /// `good`, `bad` or `plain`, for the colour.
    pub(super) kind: &'static str,
    /// The name of the drawing.
    pub(super) sign: &'static str,
}

impl Says<'_> {
    /// A text with its slots filled.
    pub(super) fn say(&self, id: &str, slots: &[(&str, &str)]) -> String {
        texts::page(self.words.language, id, slots)
    }

    /// What it all means, in a sentence.
    pub(super) fn verdict(&self) -> Verdict {
        let (range, totals) = (self.range(), &self.stats.totals);
        let Some(rate) = totals.conversion_rate else {
            return Verdict { text: self.say("board-nothing", &[("range", &range)]), kind: "plain", sign: "clock" };
        };
        let share = percent(Some(rate));
        let (part, all) = (grouped(totals.by_status.verified), grouped(totals.attempts));
        let told: [(&str, &str); 4] = [("share", &share), ("range", &range), ("part", &part), ("all", &all)];
        let Some(usual) = self.usual() else {
            return Verdict { text: self.say("board-meaning-new", &told), kind: "plain", sign: "check" };
        };
        let usually = percent(Some(usual));
        let told: Vec<_> = told.into_iter().chain([("usual", usually.as_str())]).collect();
        // As far apart as a prefix has to be from the rest of its country to be called odd; shares are told in tenths of a
        // percent.
        let is_far_below = ((usual - rate) * 1000.0).round() >= PREFIX_APART * 1000.0;
        if totals.attempts >= PREFIX_ATTEMPTS && is_far_below {
            return Verdict { text: self.say("board-meaning-low", &told), kind: "bad", sign: "warning" };
        }
        Verdict { text: self.say("board-meaning", &told), kind: "good", sign: "check" }
    }

    /// The numbers that come first.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let totals = &self.stats.totals;
        let fact = |id: &str, value: String| (self.words.t(id), value);
        vec![
            fact("board-verifications", grouped(totals.attempts)),
            fact("board-share", percent(totals.conversion_rate)),
            fact("board-answered", grouped(totals.answered)),
            fact("board-verify-p50", self.seconds(totals.time_to_verify_seconds.map(|of| of.p50))),
            fact("board-answer-p50", self.seconds(totals.time_to_answer_seconds.map(|of| of.p50))),
        ]
    }

    /// The share that is usual; none where too little was counted before.
    pub(super) fn usual(&self) -> Option<f64> {
        self.stats.usual.as_ref().and_then(|usual| usual.measures.conversion_rate)
    }

    /// The range, as a part of a sentence.
    pub(super) fn range(&self) -> String {
        self.words.t(&format!("board-in-{}", self.stats.range.as_str()))
    }

    /// What stands below a step.
    pub(super) fn place(&self, step: &StatsStep) -> String {
        match self.stats.range {
            StatsRange::Hour | StatsRange::Day => self.zone.minute(step.at),
            StatsRange::Week => self.zone.day(self.words, step.at),
        }
    }

    /// How many steps lie between two that are named: ten minutes, four hours, a day.
    pub(super) const fn every(&self) -> usize {
        match self.stats.range {
            StatsRange::Hour => 10,
            StatsRange::Day | StatsRange::Week => 4,
        }
    }

    /// A step in full, as it stands before a row.
    pub(super) fn row(&self, step: &StatsStep) -> String {
        match self.stats.range {
            StatsRange::Hour => self.zone.minute(step.at),
            StatsRange::Day | StatsRange::Week => self.hour(step.at),
        }
    }

    /// A day and a time of the day.
    pub(super) fn hour(&self, at: Timestamp) -> String {
        format!("{} {}", self.zone.day(self.words, at), self.zone.minute(at))
    }

    /// Seconds, to a tenth.
    pub(super) fn seconds(&self, of: Option<f64>) -> String {
        of.map_or_else(|| NOTHING.to_owned(), |of| self.say("board-seconds", &[("count", &format!("{of:.1}"))]))
    }

    /// What a status is called.
    pub(super) fn status(&self, status: Status) -> String {
        self.words.t(&format!("board-status-{status}"))
    }

    /// The address of the calls that a row counts, as far as the call log can tell them apart.
    pub(super) fn calls(&self, filters: Filters) -> String {
        let client = self.client.unwrap_or_default().to_owned();
        let filters = Filters { since: self.stats.from.to_rfc3339(), client, ..filters };
        format!("{}/calls?{}", self.base, filters.query())
    }
}

/// A share in whole percent. Only nothing is 0%, and only all is 100%.
pub(super) fn percent(share: Option<f64>) -> String {
    match (share, charts::percent_of(share)) {
        (None, _) => NOTHING.to_owned(),
        (Some(share), 0) if share > 0.0 => String::from("<1%"),
        (Some(share), 100) if share < 1.0 => String::from(">99%"),
        (Some(_), whole) => format!("{whole}%"),
    }
}

/// A count with its thousands apart.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
