//! Owns how a run is told: one table for each store, goals met or missed, and what fails a run.

use std::{fmt::Write as _, time::Duration};

use crate::Scale;

/// Longest time of a first page, at the 95th percentile.
const PAGE_GOAL: Duration = Duration::from_millis(50);
/// Most bytes by which the server may grow during an export.
const GROWTH_GOAL: u64 = 32_000_000;

/// What one store gave.
pub(crate) struct Results {
    pub(crate) store: &'static str,
    pub(crate) filled_a_second: f64,
    pub(crate) redis_us: Option<f64>,
    pub(crate) bytes: Vec<(&'static str, f64)>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) resident_before: u64,
    pub(crate) exported: Vec<Exported>,
}

/// One filter.
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    pub(crate) in_all: usize,
    /// Shortest first.
    pub(crate) times: Vec<Duration>,
    pub(crate) wrong: Option<String>,
}

impl Asked {
    fn at(&self, percent: usize) -> Duration {
        self.times[(self.times.len() - 1) * percent / 100]
    }
}

/// One export.
pub(crate) struct Exported {
    pub(crate) form: &'static str,
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
    pub(crate) took: Duration,
    /// Most resident memory of the server, in bytes.
    pub(crate) highest: u64,
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

const fn said(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

pub(crate) fn render(scale: &Scale, results: &Results) -> String {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let mut text = format!(
        "\n{profile} build, {} records in {}, each first page asked for {} times over HTTP\n\n",
        scale.records, results.store, scale.asks
    );
    let _ = writeln!(text, "{:<32} {:>9} {:>9} {:>9} {:>9}  goal", "first page (ms)", "records", "p50", "p95", "most");
    for asked in &results.asked {
        let p95 = asked.at(95);
        let _ = writeln!(
            text,
            "{:<32} {:>9} {:>9.1} {:>9.1} {:>9.1}  ≤ {} {}",
            asked.name,
            asked.in_all,
            ms(asked.at(50)),
            ms(p95),
            ms(asked.at(100)),
            PAGE_GOAL.as_millis(),
            said(p95 <= PAGE_GOAL)
        );
    }
    let _ = writeln!(text, "\nfilled at {:.0} records a second", results.filled_a_second);
    if let Some(us) = results.redis_us {
        let _ = writeln!(text, "Redis CPU for one record with its create: {us:.1} µs");
    }
    for (what, bytes) in &results.bytes {
        let _ = writeln!(text, "bytes for one record, {what}: {bytes:.0}");
    }
    for export in &results.exported {
        let grown = export.highest.saturating_sub(results.resident_before);
        let _ = writeln!(
            text,
            "export .{}: {} records, {:.0} MB in {:.1} s, {:.0} records a second; resident {:.1} MB before, {:.1} MB at the most, grown by ≤ {} MB {}",
            export.form,
            export.lines,
            export.bytes as f64 / 1e6,
            export.took.as_secs_f64(),
            export.lines as f64 / export.took.as_secs_f64(),
            results.resident_before as f64 / 1e6,
            export.highest as f64 / 1e6,
            GROWTH_GOAL / 1_000_000,
            said(grown <= GROWTH_GOAL)
        );
    }
    for wrong in results.asked.iter().filter_map(|asked| asked.wrong.as_ref()) {
        let _ = writeln!(text, "WRONG {wrong}");
    }
    text
}

/// A first page that is not what a plain list says, or a record that is missing from an export, is a fault.
pub(crate) fn fail_if_wrong(results: &Results) {
    let wrong: Vec<&String> = results.asked.iter().filter_map(|asked| asked.wrong.as_ref()).collect();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", results.store);
    let records = results.asked[0].in_all;
    for export in &results.exported {
        assert_eq!(export.lines, records, "{}: {}", results.store, export.form);
    }
}
