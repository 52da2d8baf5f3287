//! Owns what the page of health says of limits: what stands against calls or for them, what is spent, and the limits in
//! force. Nothing is changed here: `ringproof limits` does that.

use askama::Template;

use super::{
    Console,
    session::Visit,
    shell::{Place, Shell},
};
use crate::{
    gateway::{BarDocument, Limits},
    pages::Words,
    texts,
    time::Timestamp,
};

/// The part of the page.
#[derive(Template)]
#[template(path = "console/limits.html")]
pub(super) struct LimitsCard {
    shell: Shell,
    /// What it means, in a sentence.
    meaning: String,
    bars: Vec<BarRow>,
    spend: Vec<(String, String)>,
    limits: Vec<(String, String)>,
}

struct BarRow {
    about: String,
    kind: &'static str,
    sign: &'static str,
    word: String,
    until: String,
    by: String,
    why: String,
}

impl LimitsCard {
    /// The part as it is `now`; limits that cannot be read are said to be away.
    pub(super) fn new(console: &Console, visit: &Visit, limits: Option<&Limits>, now: Timestamp) -> Self {
        let words = visit.words;
        let shell = Shell::new(console, visit, "health-limits", Place::Health);
        let Some(limits) = limits else {
            let meaning = words.t("health-limits-away");
            return Self { shell, meaning, bars: Vec::new(), spend: Vec::new(), limits: Vec::new() };
        };
        let meaning = match limits.bars.len() {
            0 => words.t("health-bars-none"),
            count => words.with("health-bars", "count", &count.to_string()),
        };
        let of = &limits.spend;
        let spend =
            [("health-spent-hour", &of.last_hour, &of.per_hour), ("health-spent-day", &of.last_day, &of.per_day)];
        Self {
            shell,
            meaning,
            bars: limits.bars.iter().map(|bar| BarRow::new(visit, bar, now)).collect(),
            spend: spend
                .into_iter()
                .map(|(id, spent, most)| {
                    let slots = [("spent", spent.as_str()), ("most", most), ("currency", &of.currency)];
                    (words.t(id), texts::page(words.language, "health-spent", &slots))
                })
                .collect(),
            limits: limits.limits.iter().map(|(name, limits)| limit(words, name, limits)).collect(),
        }
    }
}

/// What a limit counts, and how many in which time.
fn limit(words: Words, name: &str, limits: &[String]) -> (String, String) {
    let id = format!("health-limit-{name}");
    let told = words.t(&id);
    let told = if told == id { name.to_owned() } else { told };
    (told, if limits.is_empty() { words.t("health-no-limit") } else { limits.join("  ") })
}

impl BarRow {
    fn new(visit: &Visit, bar: &BarDocument, now: Timestamp) -> Self {
        let words = visit.words;
        let (kind, sign, word) = match bar.sense {
            "allow" => ("good", "check", "health-bar-allow"),
            _ => ("bad", "shield-off", "health-bar-deny"),
        };
        Self {
            about: bar.about.clone(),
            kind,
            sign,
            word: words.t(word),
            until: visit.zone.moment(words, bar.ends_at, now),
            by: words.t(if bar.pinned { "health-bar-pinned" } else { "health-bar-itself" }),
            why: bar.why.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_told_in_every_language() {
        let names = ["number", "number_total", "account", "source", "client", "prefix", "neighbours", "country"];
        for language in texts::page_languages() {
            for name in names {
                let (told, much) = limit(Words { language }, name, &[String::from("3/10m"), String::from("6/1h")]);
                assert!(told != name && !told.starts_with("health-"), "{language}: {told}");
                assert_eq!(much, "3/10m  6/1h");
            }
        }
        assert_eq!(limit(Words { language: "en" }, "new", &[]), (String::from("new"), String::from("none")));
    }
}
