//! Owns `calls stats`: what the verifications of the last hour, day or week came to, of a running service, as tables with
//! shares and bars, or as JSON.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Deserialize;
use serde_json::Value;

use super::local;
use crate::{
    commands::{
        Exit, Outcome,
        api::{Api, Connection},
        output::{Mark, Output, plain},
    },
    time::Timestamp,
};

/// Widest and narrowest bar, in columns; below that none is drawn.
const WIDEST_BAR: usize = 30;
const NARROWEST_BAR: usize = 6;
/// Columns that all but the bar take at most, where names are as long as usual.
const BESIDE_THE_BAR: usize = 44;
/// Rows of each table; what is left out is said.
const MOST_ROWS: usize = 12;

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// Of the last hour, day or week
    #[arg(long, value_enum, default_value_t = Range::Hour)]
    range: Range,
    /// Only of this client; another one than one's own needs a key with the scope admin
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Print the answer of the service as it is, in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Range {
    Hour,
    Day,
    Week,
}

impl Range {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }
}

/// What is shown of the answer. What an older service does not tell is not shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stats {
    from: String,
    until: String,
    totals: Measures,
    usual: Option<Measures>,
    reasons: Vec<Reason>,
    countries: Vec<Group>,
    carriers: Vec<Group>,
    prefixes: Vec<Group>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Measures {
    attempts: u64,
    by_status: serde_json::Map<String, Value>,
    answered: u64,
    conversion_rate: Option<f64>,
    time_to_answer_seconds: Option<Quantiles>,
    time_to_verify_seconds: Option<Quantiles>,
}

#[derive(Debug, Deserialize)]
struct Quantiles {
    p50: f64,
    p95: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    reason: String,
    attempts: u64,
}

/// A country, a carrier, or where numbers begin.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    country: Option<String>,
    carrier: Option<String>,
    prefix: Option<String>,
    attempts: u64,
    conversion_rate: Option<f64>,
    country_conversion_rate: Option<f64>,
    carrier_errors: u64,
    odd: Option<String>,
}

/// A line of a table.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    count: u64,
    share: Option<f64>,
    note: String,
}

pub(super) async fn run(arguments: &Arguments, connection: &Connection, out: &mut Output) -> Outcome {
    let api = match Api::new(&arguments.connection.or(connection), out)? {
        Ok(api) => api,
        Err(exit) => return Ok(exit),
    };
    let mut query = vec![("range", arguments.range.as_str().to_owned())];
    query.extend(arguments.client.clone().map(|client| ("client", client)));
    let answer: Value = match api.stats(&query).await {
        Ok(answer) => answer,
        Err(error) => return error.tell(&api, out),
    };
    if arguments.json {
        out.line(&answer.to_string())?;
        return Ok(Exit::Done);
    }
    let stats = Stats::deserialize(&answer).unwrap_or_default();
    let width = if out.out_is_terminal { Table::new().width().map(usize::from) } else { None };
    let bar = bar_width(width);
    for line in summary(&stats, arguments.range) {
        out.line(&line)?;
    }
    for (title, of_what, rows) in sections(&stats) {
        if rows.is_empty() {
            continue;
        }
        out.line("")?;
        out.line(&out.paint(title, Mark::Strong))?;
        out.line(&table(&rows, of_what, bar, out))?;
        if rows.len() > MOST_ROWS {
            out.note(&format!("  and {} more; --json shows them all", rows.len() - MOST_ROWS))?;
        }
    }
    Ok(Exit::Done)
}

/// How wide a bar is on a terminal of so many columns, or where there is none.
fn bar_width(terminal: Option<usize>) -> usize {
    match terminal.map_or(WIDEST_BAR, |columns| columns.saturating_sub(BESIDE_THE_BAR).min(WIDEST_BAR)) {
        narrow if narrow < NARROWEST_BAR => 0,
        width => width,
    }
}

/// What all came to, in words.
fn summary(stats: &Stats, range: Range) -> Vec<String> {
    let time = |text: &str| local(Timestamp::parse(text).ok(), "%Y-%m-%d %H:%M");
    let totals = &stats.totals;
    let mut lines = vec![format!("The last {}, {} to {}", range.as_str(), time(&stats.from), time(&stats.until))];
    if totals.attempts == 0 {
        lines.push(String::from("No verification was settled."));
        return lines;
    }
    let usual = stats.usual.as_ref().and_then(|usual| usual.conversion_rate);
    let usual = usual.map_or_else(String::new, |rate| format!(", usually {}", percent(rate)));
    let rate = totals.conversion_rate.map_or_else(|| String::from("-"), percent);
    lines.push(format!(
        "{} verifications settled, {} answered; {rate} verified{usual}",
        totals.attempts, totals.answered
    ));
    let times =
        [("until answered", &totals.time_to_answer_seconds), ("until verified", &totals.time_to_verify_seconds)];
    for (what, quantiles) in times {
        if let Some(Quantiles { p50, p95 }) = quantiles {
            lines.push(format!("{what}: {p50:.1} s (half of them), {p95:.1} s (19 of 20)"));
        }
    }
    lines
}

/// The tables: title, what the share is, rows.
fn sections(stats: &Stats) -> [(&'static str, &'static str, Vec<Row>); 5] {
    let all = stats.totals.attempts;
    let statuses = ["verified", "failed", "denied", "expired", "canceled"].iter().filter_map(|status| {
        let count = stats.totals.by_status.get(*status)?.as_u64().filter(|count| *count > 0)?;
        Some(Row { name: (*status).to_owned(), count, share: share(count, all), note: String::new() })
    });
    let reasons = stats.reasons.iter().map(|of| Row {
        name: plain(&of.reason),
        count: of.attempts,
        share: share(of.attempts, all),
        note: String::new(),
    });
    [
        ("What came of them", "of all", statuses.collect()),
        ("Why not verified", "of all", reasons.collect()),
        ("Countries", "verified", groups(&stats.countries, |of| of.country.as_deref())),
        ("Carriers", "verified", groups(&stats.carriers, |of| Some(of.carrier.as_deref().unwrap_or("no call")))),
        ("Where numbers begin", "verified", groups(&stats.prefixes, |of| of.prefix.as_deref())),
    ]
}

fn groups<'a>(groups: &'a [Group], name: impl Fn(&'a Group) -> Option<&'a str>) -> Vec<Row> {
    let row = |of: &'a Group| Row {
        name: plain(name(of).unwrap_or("?")),
        count: of.attempts,
        share: of.conversion_rate,
        note: note(of),
    };
    groups.iter().map(row).collect()
}

/// What is to be looked at.
fn note(of: &Group) -> String {
    let rest = of.country_conversion_rate.map_or_else(String::new, |rate| format!(" ({} there)", percent(rate)));
    match (of.odd.as_deref(), of.carrier_errors) {
        (Some("low"), _) => format!("! fewer than the rest of {}{rest}", plain(of.country.as_deref().unwrap_or("all"))),
        (Some(_), _) => format!("more than the rest of {}{rest}", plain(of.country.as_deref().unwrap_or("all"))),
        (None, 0) => String::new(),
        (None, errors) => format!("! {errors} could not be called"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of verifications are far below 2^52")]
fn share(of: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| of as f64 / all as f64)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A plain bar: full at 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share from 0 to 1 of a few columns"
)]
fn bar(share: f64, width: usize) -> String {
    let full = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    format!("{}{}", "#".repeat(full), ".".repeat(width.saturating_sub(full)))
}

fn table(rows: &[Row], of_what: &str, bar_width: usize, out: &Output) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut head = vec![Cell::new(""), right("COUNT"), right(&of_what.to_uppercase())];
    let notes = rows.iter().any(|row| !row.note.is_empty());
    head.extend((bar_width > 0).then(|| Cell::new("")));
    head.extend(notes.then(|| Cell::new("")));
    table.set_header(head);
    for row in rows.iter().take(MOST_ROWS) {
        let mut cells = vec![
            Cell::new(&row.name),
            right(&row.count.to_string()),
            right(&row.share.map_or_else(|| String::from("-"), percent)),
        ];
        cells.extend(
            (bar_width > 0).then(|| Cell::new(row.share.map_or_else(String::new, |share| bar(share, bar_width)))),
        );
        let mark = if row.note.starts_with('!') { Mark::Warning } else { Mark::Faint };
        let note = if out.shows_colour() { out.paint(&row.note, mark) } else { row.note.clone() };
        cells.extend(notes.then(|| Cell::new(note)));
        table.add_row(cells);
    }
    table.trim_fmt()
}

fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stats() -> Stats {
        let answer = json!({
            "range": "hour", "from": "2026-11-24T09:00:00.000Z", "until": "2026-11-24T10:00:00.000Z",
            "totals": { "attempts": 40, "answered": 30, "conversion_rate": 0.625,
                "by_status": { "verified": 25, "failed": 14, "denied": 1, "expired": 0, "canceled": 0 },
                "time_to_answer_seconds": { "p50": 7.0, "p95": 21.25 }, "time_to_verify_seconds": null },
            "usual": { "attempts": 900, "conversion_rate": 0.8 },
            "reasons": [{ "status": "failed", "reason": "no_answer", "attempts": 14 }],
            "countries": [{ "country": "JP", "attempts": 40, "conversion_rate": 0.625 }],
            "carriers": [{ "carrier": "main\u{1b}[31m", "attempts": 38, "conversion_rate": 0.7, "carrier_errors": 3 },
                { "carrier": null, "attempts": 2, "conversion_rate": 0.0 }],
            "prefixes": [{ "prefix": "+81901", "country": "JP", "attempts": 20, "conversion_rate": 0.1,
                "country_conversion_rate": 0.9, "odd": "low" }],
            "later": "what is new here is left out",
        });
        Stats::deserialize(&answer).unwrap()
    }

    #[test]
    fn all_is_said_in_words_and_rows() {
        let stats = stats();
        let said = summary(&stats, Range::Hour).join("\n");
        for words in
            ["40 verifications settled, 30 answered; 62.5 % verified, usually 80.0 %", "until answered: 7.0 s (half"]
        {
            assert!(said.contains(words), "{said}");
        }
        assert!(!said.contains("until verified"), "{said}");
        let [statuses, reasons, countries, carriers, prefixes] = sections(&stats).map(|(_, _, rows)| rows);
        let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&statuses), ["verified", "failed", "denied"], "what did not happen is no row");
        assert_eq!((names(&reasons), reasons[0].share), (vec![String::from("no_answer")], Some(0.35)));
        assert_eq!(countries[0].share, Some(0.625));
        assert_eq!(names(&carriers), ["main\u{fffd}[31m", "no call"], "a terminal obeys nothing of it");
        assert_eq!(carriers[0].note, "! 3 could not be called");
        assert_eq!(prefixes[0].note, "! fewer than the rest of JP (90.0 % there)");
        assert_eq!(summary(&Stats::default(), Range::Week).last().unwrap(), "No verification was settled.");
    }

    #[test]
    fn bars_fit_the_terminal() {
        assert_eq!((bar(0.5, 10), bar(0.0, 4), bar(7.0, 4)), ("#####.....".into(), "....".into(), "####".into()));
        for (terminal, width) in
            [(None, 30), (Some(200), 30), (Some(60), 16), (Some(50), 6), (Some(49), 0), (Some(0), 0)]
        {
            assert_eq!(bar_width(terminal), width, "{terminal:?}");
        }
        let rows = [Row { name: String::from("verified"), count: 25, share: Some(0.625), note: String::new() }];
        let out = Output::of_process();
        let shown = table(&rows, "of all", 8, &out);
        let line = shown.lines().last().unwrap();
        assert!(line.contains("verified") && line.contains("62.5 %") && line.contains("#####..."), "{shown}");
        assert!(!table(&rows, "of all", 0, &out).contains('#'));
    }
}
