//! Owns the tables of the board that are no charts: shares by country and carrier, and prefixes.

use super::says::{Says, grouped, percent};
use crate::{
    console::{charts, filters::Filters},
    gateway::{Measures, Oddity, PREFIX_APART, PREFIX_ATTEMPTS, PrefixStats},
    texts,
};

/// What the statistics call the rest.
const OTHER: &str = "other";

/// A table of shares, by country or carrier.
pub(super) struct ShareTable {
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) meaning: String,
    /// What stands above the names.
    pub(super) first: String,
    pub(super) rows: Vec<ShareRow>,
}

pub(super) struct ShareRow {
    pub(super) name: String,
    /// Where its calls are listed; `None` where the call log cannot tell them.
    pub(super) link: Option<String>,
    /// Whether it has enough verifications, and is one of its kind, to be compared with others.
    is_compared: bool,
    pub(super) attempts: String,
    pub(super) share: String,
    pub(super) percent: u32,
    pub(super) p50: String,
    pub(super) p95: String,
}

pub(super) struct PrefixRow {
    pub(super) prefix: String,
    pub(super) country: String,
    pub(super) attempts: String,
    pub(super) share: String,
    pub(super) rest: String,
    pub(super) verdict: String,
    /// `good`, `bad` or `busy`, for the colour.
    pub(super) kind: &'static str,
    /// The name of the drawing.
    pub(super) sign: &'static str,
}

impl Says<'_> {
    /// By country.
    pub(super) fn countries(&self) -> ShareTable {
        let rows = self.stats.countries.iter().map(|of| {
            if of.country == OTHER {
                return self.share_row(self.words.t("board-other"), None, &of.measures);
            }
            let link = Filters { country: of.country.clone(), ..Filters::default() };
            self.share_row(texts::country(self.words.language, &of.country), Some(link), &of.measures)
        });
        self.share_table("countries", ("board-countries", "board-country"), rows.collect())
    }

    /// By carrier.
    pub(super) fn carriers(&self) -> ShareTable {
        let rows = self.stats.carriers.iter().map(|of| match of.carrier.as_deref() {
            None => self.share_row(self.words.t("board-no-call"), None, &of.measures),
            Some(OTHER) => self.share_row(self.words.t("board-other"), None, &of.measures),
            Some(name) => {
                let link = Filters { carrier: name.to_owned(), ..Filters::default() };
                self.share_row(name.to_owned(), Some(link), &of.measures)
            }
        });
        self.share_table("carriers", ("board-carriers", "board-carrier"), rows.collect())
    }

    fn share_table(&self, id: &'static str, (title, first): (&str, &str), rows: Vec<ShareRow>) -> ShareTable {
        let meaning = self.share_meaning(&rows);
        ShareTable { id, title: self.words.t(title), meaning, first: self.words.t(first), rows }
    }

    fn share_row(&self, name: String, calls: Option<Filters>, of: &Measures) -> ShareRow {
        ShareRow {
            name,
            is_compared: calls.is_some() && of.attempts >= PREFIX_ATTEMPTS,
            link: calls.map(|filters| self.calls(filters)),
            attempts: grouped(of.attempts),
            share: percent(of.conversion_rate),
            percent: charts::percent_of(of.conversion_rate),
            p50: self.seconds(of.time_to_verify_seconds.map(|of| of.p50)),
            p95: self.seconds(of.time_to_verify_seconds.map(|of| of.p95)),
        }
    }

    fn share_meaning(&self, rows: &[ShareRow]) -> String {
        let told = |id: &str, row: &ShareRow| self.say(id, &[("name", &row.name), ("share", &row.share)]);
        if let [only] = rows {
            return told("board-only", only);
        }
        let compared: Vec<&ShareRow> = rows.iter().filter(|row| row.is_compared).collect();
        match (compared.iter().min_by_key(|row| row.percent), compared.len()) {
            (Some(lowest), 2..) => told("board-lowest", lowest),
            (Some(one), _) => told("board-one", one),
            (None, _) => self.words.t("board-too-few"),
        }
    }

    /// Where numbers begin, and whether that is odd.
    pub(super) fn prefix(&self, of: &PrefixStats) -> PrefixRow {
        let (verdict, kind, sign) = match of.odd {
            Some(Oddity::Low) => ("board-odd-low", "bad", "warning"),
            Some(Oddity::High) => ("board-odd-high", "busy", "plus"),
            None => ("board-odd-none", "good", "check"),
        };
        PrefixRow {
            prefix: format!("{} …", of.prefix),
            country: of.country.as_deref().map(|code| texts::country(self.words.language, code)).unwrap_or_default(),
            attempts: grouped(of.attempts),
            share: percent(of.conversion_rate),
            rest: percent(of.country_conversion_rate),
            verdict: self.words.t(verdict),
            kind,
            sign,
        }
    }

    /// What the prefixes mean, in a sentence.
    pub(super) fn prefix_meaning(&self) -> String {
        let odd = self.stats.prefixes.iter().filter(|of| of.odd.is_some()).count();
        match (self.stats.prefixes.len(), odd) {
            (0, _) => self.words.t("board-prefixes-few"),
            (_, 0) => self.words.t("board-prefixes-none"),
            (_, odd) => self.say("board-prefixes-odd", &[("count", &odd.to_string())]),
        }
    }

    /// Which prefixes are shown, and what makes one odd.
    pub(super) fn prefix_rule(&self) -> String {
        let (least, apart) = (PREFIX_ATTEMPTS.to_string(), charts::percent_of(Some(PREFIX_APART)).to_string());
        let since = self.hour(self.stats.prefixes_from);
        self.say("board-prefix-rule", &[("since", &since), ("least", &least), ("apart", &apart)])
    }
}
