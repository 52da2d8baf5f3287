//! Owns `calls`: the call log of a running service as a list, or as JSON, once or as it grows; one call of it; all of it; what it adds up to.

mod erase;
mod export;
mod show;
mod stats;

use std::{collections::BTreeSet, io, time::Duration};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    Exit, Outcome,
    api::{Api, ApiError, Connection},
    output::{Output, plain},
};
use crate::{
    outcome::{Fault, Reason, Status},
    time::{Clock, SystemClock, Timestamp, duration},
};

/// Most records that one request asks for.
const PAGE: usize = 200;
/// How often new records are asked for.
const BEAT: Duration = Duration::from_secs(2);
/// How far back each look for new records reaches: records of other instances may come late.
const OVERLAP: Duration = Duration::from_secs(30);
/// Most records that are remembered as shown.
const MAX_SHOWN: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    then: Option<Then>,
    #[command(flatten)]
    filters: Filters,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Go on, and show calls as they end
    #[arg(long, short)]
    follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum Then {
    /// Show one call: what came of it, what to do, and each step
    Show(show::Arguments),
    /// Write all calls that the filters let through, newest first
    Export(export::Arguments),
    /// Tell what verifications came to in the last hour, day or week: shares, reasons, countries, carriers
    Stats(stats::Arguments),
    /// Take all calls to a number out of the log, for good
    Erase(erase::Arguments),
}

/// Which calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
struct Filters {
    /// Only calls that ended since: a duration (1h, 30m, 7d) or a time (2026-11-24T09:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
    /// Only calls that ended before that: a duration or a time
    #[arg(long, value_name = "WHEN", value_parser = since)]
    until: Option<Since>,
    /// Only to this number, in any form; a national one with --country. The service's audit log tells that it was asked
    #[arg(long)]
    number: Option<String>,
    /// Only to numbers that end so: 1 to 4 digits
    #[arg(long, value_name = "DIGITS")]
    last_digits: Option<String>,
    /// Only of verifications with this reference
    #[arg(long)]
    reference: Option<String>,
    /// Only of this client; needs a key with the scope admin
    #[arg(long)]
    client: Option<String>,
    /// Only of verifications with this status
    #[arg(long)]
    status: Option<Status>,
    /// Only with this reason
    #[arg(long)]
    reason: Option<Reason>,
    /// Only with an end that is the fault of: callee, carrier, request, us, unknown, none
    #[arg(long)]
    fault: Option<Fault>,
    /// Only through this carrier
    #[arg(long)]
    carrier: Option<String>,
    /// Only to this country
    #[arg(long, value_name = "CC")]
    country: Option<String>,
}

impl Filters {
    /// As the API takes them.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let time = |at: Option<Since>| at.map(|at| at.on(SystemClock.now()).to_rfc3339());
        [
            ("since", time(self.since)),
            ("until", time(self.until)),
            ("number", self.number.clone()),
            ("last_digits", self.last_digits.clone()),
            ("reference", self.reference.clone()),
            ("client", self.client.clone()),
            ("status", self.status.map(|status| status.to_string())),
            ("reason", self.reason.map(|reason| reason.to_string())),
            ("fault", self.fault.map(|fault| fault.to_string())),
            ("carrier", self.carrier.clone()),
            ("country", self.country.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// A point in time, or a distance from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    At(Timestamp),
    Ago(Duration),
}

impl Since {
    fn on(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.minus(ago),
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = Timestamp::parse(text) {
        return Ok(Since::At(at));
    }
    duration::parse(text)
        .map(Since::Ago)
        .map_err(|_| String::from("write a duration, as in 1h or 7d, or a time, as in 2026-11-24T09:00:00Z"))
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<Value>,
    next: Option<String>,
}

/// A record, as far as it is shown.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Shown {
    id: String,
    client: String,
    reference: Option<String>,
    to: String,
    country: String,
    carrier: String,
    status: String,
    reason: Option<String>,
    ringing_at: Option<String>,
    answered_at: Option<String>,
    ended_at: String,
    talk_ms: Option<u64>,
}

pub(super) async fn run(arguments: &Arguments, out: &mut Output) -> Outcome {
    if arguments.then.is_some() && arguments.filters != Filters::default() {
        out.fault("filters stand behind `export`, as in `ringproof calls export --since 7d`.")?;
        return Ok(Exit::Usage);
    }
    match &arguments.then {
        Some(Then::Show(show)) => return show::run(show, &arguments.connection, out).await,
        Some(Then::Export(export)) => return export::run(export, &arguments.connection, out).await,
        Some(Then::Stats(stats)) => return stats::run(stats, &arguments.connection, out).await,
        Some(Then::Erase(erase)) => return erase::run(erase, &arguments.connection, out).await,
        None => {}
    }
    let api = match Api::new(&arguments.connection, out)? {
        Ok(api) => api,
        Err(exit) => return Ok(exit),
    };
    let mut from = arguments.filters.since.map(|since| since.on(SystemClock.now()));
    let mut known = BTreeSet::new();
    let mut first = true;
    // What the first look left out, by its limit or because it was too old, is not new later.
    let mut oldest = from;
    let mut newest: Option<Timestamp> = None;
    loop {
        let limit = if first { arguments.limit } else { MAX_SHOWN };
        let newest_first = match fetch(&api, arguments, from, limit).await {
            Ok(records) => records,
            Err(ApiError::Away(why)) if !first => {
                out.note(&format!("The service does not answer ({}); asking again…", plain(&why)))?;
                sleep(BEAT).await;
                continue;
            }
            Err(error) => return error.tell(&api, out),
        };
        let fresh: Vec<Value> = newest_first.into_iter().rev().filter(|record| known.insert(id(record))).collect();
        show(&fresh, first, arguments, out)?;
        if !arguments.follow {
            return Ok(Exit::Done);
        }
        while known.len() > MAX_SHOWN {
            known.pop_first();
        }
        if std::mem::take(&mut first) && fresh.len() >= arguments.limit {
            oldest = fresh.first().and_then(ended_at).or(oldest);
        }
        newest = fresh.iter().filter_map(ended_at).max().max(newest).or_else(|| Some(SystemClock.now()));
        from = newest.map(|newest| newest.minus(OVERLAP)).max(oldest);
        tokio::select! {
            () = sleep(BEAT) => {}
            _interrupted = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        }
    }
}

fn id(record: &Value) -> String {
    record.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn ended_at(record: &Value) -> Option<Timestamp> {
    Timestamp::parse(record.get("ended_at")?.as_str()?).ok()
}

/// The newest records, newest first.
async fn fetch(
    api: &Api,
    arguments: &Arguments,
    from: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<Value>, ApiError> {
    let begun = Filters { since: from.map(Since::At), ..arguments.filters.clone() };
    let mut filters = begun.pairs();
    let filters_end = filters.len();
    let mut records = Vec::new();
    let mut cursor: Option<String> = None;
    while records.len() < limit {
        filters.truncate(filters_end);
        filters.push(("limit", (limit - records.len()).min(PAGE).to_string()));
        filters.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let list: List = api.calls(&filters).await?;
        records.extend(list.items);
        cursor = list.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(records)
}

fn show(records: &[Value], first: bool, arguments: &Arguments, out: &mut Output) -> io::Result<()> {
    if arguments.json {
        return records.iter().try_for_each(|record| out.line(&record.to_string()));
    }
    let shown: Vec<Shown> = records.iter().map(|record| Shown::deserialize(record).unwrap_or_default()).collect();
    if !first {
        return shown.iter().try_for_each(|record| out.line(&row(record).join("  ")));
    }
    if shown.is_empty() {
        return out.note(if arguments.follow { "No calls yet; waiting…" } else { "No calls." });
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEAD);
    if out.out_is_terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for record in &shown {
        let mut cells: Vec<Cell> = row(record).into_iter().map(Cell::new).collect();
        if let Some(result) = cells.get_mut(RESULT).filter(|_| out.shows_colour()) {
            *result = result.clone().fg(colour(&record.status));
        }
        table.add_row(cells);
    }
    out.line(&table.to_string())
}

/// Which column says how it ended.
const RESULT: usize = 6;

fn colour(status: &str) -> Color {
    match status {
        "verified" => Color::Green,
        "denied" => Color::Red,
        "pending" => Color::DarkGrey,
        _ => Color::Yellow,
    }
}

const HEAD: [&str; 9] = ["ENDED", "NUMBER", "CC", "CLIENT", "REFERENCE", "CARRIER", "RESULT", "RANG", "TALKED"];

fn row(record: &Shown) -> Vec<String> {
    let result = record.reason.clone().unwrap_or_else(|| record.status.clone());
    let at = |text: &Option<String>| text.as_deref().and_then(|text| Timestamp::parse(text).ok());
    let (ringing, answered) = (at(&record.ringing_at), at(&record.answered_at));
    let ended = Timestamp::parse(&record.ended_at).ok();
    let rang = ringing.zip(answered.or(ended)).map(|(from, to)| seconds(to.since(from).as_millis()));
    vec![
        local(ended, "%Y-%m-%d %H:%M:%S"),
        plain(&record.to),
        plain(&record.country),
        plain(&record.client),
        plain(record.reference.as_deref().unwrap_or("-")),
        plain(&record.carrier),
        plain(&result),
        rang.unwrap_or_else(|| String::from("-")),
        record.talk_ms.map_or_else(|| String::from("-"), |ms| seconds(u128::from(ms))),
    ]
}

fn seconds(ms: u128) -> String {
    format!("{} s", (ms + 500) / 1000)
}

/// The time on the clock of whoever looks.
fn local(at: Option<Timestamp>, form: &str) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(i64::try_from(at.as_ms()).ok()?).ok());
    at.map_or_else(
        || String::from("-"),
        |at| at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime(form).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(since("1h"), Ok(Since::Ago(Duration::from_secs(3600))));
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Since::At(Timestamp::from_ms(1000))));
        assert!(since("yesterday").is_err());
    }

    #[test]
    fn a_row_says_it_all() {
        let record = Shown {
            to: String::from("+81 •• •••• 5678"),
            country: String::from("JP"),
            client: String::from("enrolment"),
            carrier: String::from("main"),
            status: String::from("failed"),
            reason: Some(String::from("no_answer")),
            ringing_at: Some(String::from("2026-11-24T09:00:00.000Z")),
            ended_at: String::from("2026-11-24T09:00:30.400Z"),
            ..Shown::default()
        };
        let row = row(&record);
        assert_eq!(row[1..6], ["+81 •• •••• 5678", "JP", "enrolment", "-", "main"]);
        assert_eq!((row[6].contains("no_answer"), &*row[7], &*row[8]), (true, "30 s", "-"));
    }
}
