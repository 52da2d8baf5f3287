//! What the board says of numbers.

use super::{
    cards::Card,
    says::{Says, Verdict, grouped, percent},
};
use crate::{
    console::zone::Zone,
    gateway::{
        CarrierStats, CountryStats, Measures, Oddity, PrefixStats, Quantiles, ReasonStats, Stats, StatsRange,
        StatsStep, Usual, VerificationCounts,
    },
    outcome::{Reason, Status},
    pages::Words,
    texts,
    time::Timestamp,
};

const BEGIN: Timestamp = Timestamp::from_ms(1_795_000_020_000);

fn measures(verified: u64, failed: u64) -> Measures {
    let attempts = verified + failed;
    Measures {
        attempts,
        by_status: VerificationCounts { verified, failed, denied: 0, expired: 0, canceled: 0 },
        answered: verified,
        conversion_rate: (attempts > 0).then(|| verified as f64 / attempts as f64),
        time_to_answer_seconds: None,
        time_to_verify_seconds: (verified > 0).then_some(Quantiles { p50: 12.34, p95: 1_030.0 }),
    }
}

fn reasons(of: &[(Reason, u64)]) -> Vec<ReasonStats> {
    of.iter()
        .map(|(reason, attempts)| ReasonStats { status: reason.status(), reason: *reason, attempts: *attempts })
        .collect()
}

/// Two minutes: nothing in the first, three in four verified in the second.
fn stats(usual: Option<f64>) -> Stats {
    let failed = reasons(&[
        (Reason::NoAnswer, 100),
        (Reason::Busy, 80),
        (Reason::Rejected, 60),
        (Reason::Voicemail, 5),
        (Reason::NoInput, 3),
        (Reason::CarrierError, 1),
        (Reason::WrongInput, 1),
    ]);
    let step = |minute: u64, measures, reasons| StatsStep {
        at: BEGIN.plus(std::time::Duration::from_mins(minute)),
        measures,
        reasons,
    };
    let country = |code: &str, of| CountryStats { country: code.to_owned(), measures: of };
    let prefix = |odd| PrefixStats {
        prefix: String::from("+81901"),
        country: Some(String::from("JP")),
        attempts: 20,
        verified: 2,
        conversion_rate: Some(0.1),
        country_conversion_rate: Some(0.8),
        odd,
    };
    Stats {
        range: StatsRange::Hour,
        from: BEGIN,
        until: BEGIN.plus(std::time::Duration::from_mins(2)),
        step_seconds: 60,
        totals: measures(750, 250),
        usual: usual.map(|rate| Usual {
            from: BEGIN,
            until: BEGIN,
            measures: Measures { conversion_rate: Some(rate), ..measures(20, 0) },
        }),
        series: vec![step(0, measures(0, 0), Vec::new()), step(1, measures(750, 250), failed.clone())],
        reasons: failed,
        countries: vec![
            country("JP", measures(750, 150)),
            country("US", measures(0, 90)),
            country("other", measures(9, 1)),
        ],
        carriers: vec![
            CarrierStats { carrier: Some(String::from("a&b")), measures: measures(750, 200), carrier_errors: 1 },
            CarrierStats { carrier: None, measures: measures(0, 50), carrier_errors: 0 },
        ],
        prefixes: vec![prefix(Some(Oddity::Low)), prefix(None)],
        prefixes_from: BEGIN,
    }
}

static UTC: Zone = Zone::UTC;

fn says<'a>(language: &'static str, stats: &'a Stats) -> Says<'a> {
    Says { words: Words { language }, zone: &UTC, base: "/console", client: None, stats }
}

fn sums(card: &Card) -> Vec<&str> {
    card.sums.iter().map(String::as_str).collect()
}

#[test]
fn the_answer_compares_with_what_is_usual() {
    let of = |usual| {
        let Verdict { text, kind, .. } = says("en", &stats(usual)).verdict();
        (text, kind)
    };
    let (new, kind) = of(None);
    assert_eq!(new, "75% verified in the last hour (750 of 1,000). What is usual is not known yet.");
    assert_eq!(kind, "plain");
    assert_eq!(of(Some(0.94)), (String::from("75% verified in the last hour (750 of 1,000). Usual is 94%."), "good"));
    let (low, kind) = of(Some(0.95));
    assert!(low.starts_with("Only 75% verified in the last hour") && low.contains("95% is usual"), "{low}");
    assert_eq!(kind, "bad");
    let few = Stats { totals: measures(1, 18), ..stats(Some(0.95)) };
    assert_eq!(says("en", &few).verdict().kind, "good", "nineteen are too few to be alarmed");
    let none = Stats { totals: measures(0, 0), ..stats(Some(0.95)) };
    let nothing =
        Verdict { text: String::from("No verification was settled in the last hour."), kind: "plain", sign: "clock" };
    assert_eq!(says("en", &none).verdict(), nothing);
}

#[test]
fn a_chart_has_a_table_of_the_same_numbers() {
    let stats = stats(None);
    let says = says("en", &stats);
    let statuses = says.statuses();
    assert_eq!(statuses.columns, ["Time", "Verified", "Failed", "Denied", "Expired", "Canceled"]);
    assert_eq!(statuses.rows, [["11:08", "750", "250", "0", "0", "0"]], "steps without any are left out");
    assert_eq!(sums(&statuses), ["Sum", "750", "250", "0", "0", "0"]);
    assert_eq!(statuses.meaning, "Most in one minute: 1,000, from 11:08 on.");
    assert!(statuses.svg.contains("Verified 750") && statuses.svg.contains("Failed 250"), "{}", statuses.svg);
    let reasons = says.reasons();
    assert_eq!(sums(&reasons), ["Sum", "100", "80", "60", "5", "3", "2"]);
    assert_eq!(reasons.columns.last().map(String::as_str), Some("Others"));
    assert_eq!(reasons.note, "Others: carrier error 1, other keys pressed 1.");
    assert!(reasons.meaning.contains("nobody answered (100)"), "{}", reasons.meaning);
    let verify = says.verify();
    assert_eq!(verify.rows, [["11:08", "12.3 s", "1030.0 s"]]);
    assert_eq!(says.answer().meaning, "No time was measured in this range.");
    assert!(says.answer().rows.is_empty());
    assert_eq!(says.shares().rows, [["11:08", "1,000", "75%"]]);
}

#[test]
fn rows_lead_to_their_calls_where_the_log_can_tell_them() {
    let stats = stats(None);
    let all = says("en", &stats);
    let link = |table: super::tables::ShareTable, at: usize| table.rows[at].link.clone();
    assert_eq!(
        link(all.countries(), 0).as_deref(),
        Some("/console/calls?since=2026-11-18T11%3A07%3A00.000Z&country=JP")
    );
    assert_eq!((link(all.countries(), 2), link(all.carriers(), 1)), (None, None), "the rest, and no call at all");
    let one = Says { client: Some("enrolment"), ..all };
    let carrier = link(one.carriers(), 0).unwrap();
    assert!(carrier.ends_with("&carrier=a%26b&client=enrolment"), "{carrier}");
    assert_eq!(one.countries().meaning, "Lowest share: United States, 0%.");
    assert_eq!(one.carriers().meaning, "a&b: 79% verified.", "where no call was begun there is no carrier");
    assert_eq!(one.prefix(&stats.prefixes[0]).verdict, "Odd: fewer than elsewhere");
    assert_eq!(one.prefix_meaning(), "Prefixes that behave oddly: 1. Look at them first.");
    assert!(one.prefix_rule().contains("at least 20 points apart"), "{}", one.prefix_rule());
}

#[test]
fn every_word_is_there_in_every_language() {
    for language in texts::page_languages() {
        let words = Words { language };
        let reasons = Reason::ALL.iter().map(|reason| format!("board-reason-{reason}"));
        let settled = Status::ALL.iter().filter(|status| **status != Status::Pending);
        let statuses = settled.map(|status| format!("board-status-{status}"));
        let of_ranges = StatsRange::ALL.into_iter().flat_map(|range| {
            ["board-range", "board-in", "board-statuses", "board-statuses-meaning"]
                .map(|of| format!("{of}-{}", range.as_str()))
        });
        for id in reasons.chain(statuses).chain(of_ranges) {
            assert_ne!(words.t(&id), id, "{language}");
        }
        let stats = stats(Some(0.9));
        let says = says(language, &stats);
        for card in [says.statuses(), says.shares(), says.verify(), says.answer(), says.reasons()] {
            for text in [&card.title, &card.meaning, &card.note].into_iter().chain(&card.columns).chain(&card.sums) {
                assert!(!text.starts_with("board-"), "{language}: {text}");
            }
        }
    }
}

#[test]
fn only_all_is_a_hundred_percent_and_only_nothing_none() {
    let of = [None, Some(0.0), Some(0.001), Some(0.25), Some(0.999), Some(1.0)];
    assert_eq!(of.map(percent), ["–", "0%", "<1%", "25%", ">99%", "100%"]);
}

#[test]
fn thousands_stand_apart() {
    assert_eq!([0, 999, 1_000, 20_000, 1_234_567].map(grouped), ["0", "999", "1,000", "20,000", "1,234,567"]);
}
