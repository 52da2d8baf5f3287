//! Owns `calls show`: one call as a ladder between the backend, ringproof, the carrier and the telephone, with the times
//! between the steps. What happened is told by the service; here it is drawn.

use std::io;

use serde::Deserialize;
use serde_json::Value;

use super::local;
use crate::{
    commands::{
        Exit, Outcome,
        api::{Api, ApiError, Connection},
        output::{Mark, Output, plain},
    },
    gateway::{Party, between},
    time::Timestamp,
};

/// Columns between two lanes of the ladder.
const SPAN: usize = 17;
/// Columns of the times in front of the ladder.
const TIMES: usize = 24;
/// Columns of a whole ladder; a narrower terminal gets one line a step instead.
const LADDER: usize = TIMES + 3 * SPAN + 1;

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// Its id, as `calls` or a verification names it
    id: String,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A record, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    id: String,
    verification: String,
    client: String,
    reference: Option<String>,
    to: String,
    country: String,
    carrier: String,
    carrier_call_id: Option<String>,
    caller_id: Option<String>,
    status: String,
    reason: Option<String>,
    end: Option<String>,
    fault: Option<String>,
    carrier_code: Option<String>,
    sip_status: Option<u16>,
    q850_cause: Option<u16>,
    number_type: String,
    locale: String,
    flow: String,
    flow_version: String,
    ring_ms: Option<u64>,
    talk_ms: Option<u64>,
    total_ms: Option<u64>,
    prompts: u8,
    keys: Vec<String>,
    answered_by: Option<String>,
    attestation: Option<String>,
    price: Option<String>,
    price_currency: Option<String>,
    delivery: Option<String>,
    delivery_attempts: Option<u32>,
    delivery_status: Option<u16>,
    delivery_at: Option<String>,
    summary: String,
    next_step: Option<String>,
    timeline: Vec<Step>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Step {
    at: String,
    r#type: String,
    detail: Option<String>,
}

/// Where the line of a party stands, in columns from that of the first.
const fn column(party: Party) -> usize {
    SPAN * match party {
        Party::Backend => 0,
        Party::Us => 1,
        Party::Carrier => 2,
        Party::Callee => 3,
    }
}

fn name(party: Party, record: &Record) -> String {
    match party {
        Party::Backend => String::from("backend"),
        Party::Us => String::from("ringproof"),
        Party::Carrier if record.carrier.is_empty() => String::from("carrier"),
        Party::Carrier => plain(&record.carrier),
        Party::Callee => String::from("callee"),
    }
}

pub(super) async fn run(arguments: &Arguments, connection: &Connection, out: &mut Output) -> Outcome {
    let api = match Api::new(&arguments.connection.or(connection), out)? {
        Ok(api) => api,
        Err(exit) => return Ok(exit),
    };
    let well_formed = arguments.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !well_formed {
        out.fault("this is no id of a call; `ringproof calls --json` has them.")?;
        return Ok(Exit::Usage);
    }
    let record: Value = match api.call(&arguments.id, out.language).await {
        Ok(record) => record,
        Err(error @ (ApiError::Away(_) | ApiError::Odd(_) | ApiError::Refused(_))) => return error.tell(&api, out),
    };
    if arguments.json {
        out.line(&record.to_string())?;
        return Ok(Exit::Done);
    }
    let record = Record::deserialize(&record).unwrap_or_default();
    let width = comfy_table::Table::new().width().map_or(LADDER, usize::from);
    show(&record, width, out)?;
    Ok(Exit::Done)
}

fn show(record: &Record, width: usize, out: &mut Output) -> io::Result<()> {
    let result = record.reason.as_deref().unwrap_or(&record.status);
    let mark = if record.status == "verified" { Mark::Good } else { Mark::Warning };
    out.line(&format!("{}  {}", plain(&record.id), out.paint(&plain(result), mark)))?;
    out.line(&plain(&record.summary))?;
    if let Some(next) = &record.next_step {
        out.line(&plain(next))?;
    }
    out.line("")?;
    for line in ladder(record, width) {
        out.line(&line)?;
    }
    out.line("")?;
    facts(record).iter().try_for_each(|(name, value)| out.line(&format!("{name:<14}{}", plain(value))))
}

/// What else is known, each with its name.
fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let all = [
        ("verification", Some(record.verification.clone())),
        ("client", Some(record.client.clone())),
        ("reference", record.reference.clone()),
        ("to", Some(format!("{} ({} {})", record.to, record.country, record.number_type))),
        ("from", record.caller_id.clone()),
        ("attestation", record.attestation.clone()),
        ("flow", Some(format!("{} {} in {}", record.flow, record.flow_version, record.locale))),
        ("rang", record.ring_ms.map(tenths)),
        ("talked", record.talk_ms.map(tenths)),
        ("in all", record.total_ms.map(tenths)),
        ("prompts", Some(record.prompts.to_string())),
        ("keys", Some(record.keys.join(" ")).filter(|keys| !keys.is_empty())),
        ("answered by", record.answered_by.clone()),
        ("carrier's id", record.carrier_call_id.clone()),
        ("end", record.end.clone()),
        ("fault", record.fault.clone()),
        ("carrier's code", record.carrier_code.clone()),
        ("SIP status", record.sip_status.map(|status| status.to_string())),
        ("Q.850 cause", record.q850_cause.map(|cause| cause.to_string())),
        (
            "price",
            record.price.clone().zip(record.price_currency.clone()).map(|(amount, unit)| format!("{amount} {unit}")),
        ),
        ("result", delivery(record)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// How the result came to the backend.
fn delivery(record: &Record) -> Option<String> {
    let outcome = record.delivery.as_ref()?;
    let attempts = record.delivery_attempts.unwrap_or_default();
    let answer = record.delivery_status.map_or_else(|| String::from("no answer"), |status| format!("answer {status}"));
    let at = local(record.delivery_at.as_deref().and_then(|at| Timestamp::parse(at).ok()), "%Y-%m-%d %H:%M:%S");
    Some(format!("{outcome}, posted {attempts} times, last at {at}: {answer}"))
}

/// Seconds with one decimal.
fn tenths(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// The ladder, line by line.
fn ladder(record: &Record, width: usize) -> Vec<String> {
    let wide = width >= LADDER;
    let mut lines = Vec::new();
    if wide {
        let mut head = " ".repeat(TIMES);
        for party in Party::ALL {
            let name: String = name(party, record).chars().take(SPAN - 2).collect();
            let from = (TIMES + column(party)).saturating_sub(name.chars().count() / 2);
            let used = head.chars().count();
            head.push_str(&" ".repeat(from.saturating_sub(used)));
            head.push_str(&name);
        }
        lines.push(head);
    }
    let mut before: Option<Timestamp> = None;
    for step in &record.timeline {
        let at = Timestamp::parse(&step.at).ok();
        let since = before.zip(at).map_or_else(String::new, |(before, at)| elapsed(before, at));
        before = at.or(before);
        let clock = local(at, "%H:%M:%S%.3f");
        let (from, to) = between(&step.r#type);
        let what = what(step);
        if wide {
            lines.push(format!("{clock:<13}{since:>9}  {}", drawn(from, to, &what)));
        } else {
            let (from, to) = (name(from, record), name(to, record));
            lines.push(format!("{clock} {since:>8} {from} > {to}: {what}"));
        }
    }
    lines
}

/// Time from one step to the next.
fn elapsed(before: Timestamp, at: Timestamp) -> String {
    let ms = at.since(before).as_millis();
    if ms < 1000 { format!("+{ms} ms") } else { format!("+{}.{} s", ms / 1000, ms % 1000 / 100) }
}

/// What a step is, in a word or two.
fn what(step: &Step) -> String {
    let detail = step.detail.as_deref().map(|detail| plain(detail).replace('_', " ")).unwrap_or_default();
    let what = match step.r#type.as_str() {
        "call.queued" => "call",
        "call.dialing" => "place",
        "call.not_placed" => "not placed",
        "call.ringing" => "ring",
        "call.answered" => "answer",
        "call.prompted" => "question",
        "call.entry" => return format!("answer: {detail}"),
        "call.code_spoken" => "code",
        "call.ended" => return detail,
        "call.block_requested" => "no more calls",
        "verification.redial_requested" => "call again",
        "verification.wrong_code" => "wrong code",
        other => return plain(other.rsplit('.').next().unwrap_or(other)),
    };
    what.to_owned()
}

/// One step as an arrow between the lines of the parties.
fn drawn(from: Party, to: Party, what: &str) -> String {
    let (left, right) = (column(from.min(to)), column(from.max(to)));
    let inside = right - left - 1;
    let room = inside - 4;
    let what: String = what.chars().take(room).collect();
    let line = inside - 3 - what.chars().count();
    let (before, after) = (line / 2, line - line / 2);
    let shaft = format!("{} {what} {}", "─".repeat(before), "─".repeat(after));
    let shaft = if from < to { format!("{shaft}►") } else { format!("◄{shaft}") };
    let mut drawn = String::new();
    let (mut at, end) = (0, column(Party::Callee));
    while at <= end {
        if at == left + 1 {
            drawn.push_str(&shaft);
            at = right;
        } else {
            drawn.push(if at % SPAN == 0 { '│' } else { ' ' });
            at += 1;
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let step = |at: &str, kind: &str, detail: Option<&str>| Step {
            at: format!("2026-11-24T09:00:{at}Z"),
            r#type: kind.to_owned(),
            detail: detail.map(str::to_owned),
        };
        Record {
            carrier: String::from("main"),
            timeline: vec![
                step("00.000", "call.queued", None),
                step("00.020", "call.dialing", None),
                step("01.500", "call.ringing", None),
                step("11.500", "call.answered", None),
                step("11.600", "call.prompted", None),
                step("14.000", "call.entry", Some("wrong_code")),
                step("14.000", "verification.failed", None),
                step("15.250", "call.ended", Some("completed")),
            ],
            ..Record::default()
        }
    }

    /// Without the clock, which is that of the machine.
    fn without_clock(lines: &[String]) -> String {
        lines.iter().map(|line| line.chars().skip(13).collect::<String>()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_call_is_drawn_as_a_ladder() {
        let expected = [
            "           backend      ringproof          main            callee",
            "           │──── call ─────►│                │                │",
            "   +20 ms  │                │──── place ────►│                │",
            "   +1.4 s  │                │                │──── ring ─────►│",
            "  +10.0 s  │                │                │◄─── answer ────│",
            "  +100 ms  │                │─────────── question ───────────►│",
            "   +2.4 s  │                │◄────── answer: wrong code ──────│",
            "    +0 ms  │◄─── failed ────│                │                │",
            "   +1.2 s  │                │◄── completed ──│                │",
        ];
        assert_eq!(without_clock(&ladder(&record(), LADDER)), expected.join("\n"));
        for line in ladder(&record(), LADDER) {
            assert!(line.chars().count() <= LADDER + 4, "{line}");
        }
    }

    #[test]
    fn a_narrow_terminal_gets_lines() {
        let lines = ladder(&record(), LADDER - 1);
        assert_eq!(lines.len(), 8);
        assert!(lines[2].ends_with("+1.4 s main > callee: ring"), "{}", lines[2]);
        assert!(lines[5].ends_with("+2.4 s callee > ringproof: answer: wrong code"), "{}", lines[5]);
    }
}
