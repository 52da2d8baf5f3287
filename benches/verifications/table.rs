//! Owns how a run is told: one table of figures with their goals, and which of them fail a run.

use std::fmt::Write as _;

use crate::{
    driver::Times,
    rounds::{Figures, Results},
};

/// What a figure should be.
#[derive(Clone, Copy)]
enum Goal {
    None,
    /// At most so many times the floor.
    Times(f64),
    /// At most this, on a quiet machine.
    AtMost(f64),
}

struct Row {
    what: &'static str,
    figure: &'static str,
    unit: &'static str,
    goal: Goal,
    /// Counted, not timed: holds on any machine.
    counted: bool,
}

const fn row(what: &'static str, figure: &'static str, unit: &'static str, goal: Goal) -> Row {
    Row { what, figure, unit, goal, counted: false }
}

const ROWS: [Row; 15] = [
    row("server CPU for one, 64 at once", "cpu", "ms", Goal::Times(1.6)),
    row("verifications a second, 64 at once", "a second", "/s", Goal::None),
    row("whole, 64 at once, p50", "at once whole p50", "ms", Goal::None),
    row("whole, 50/s, p50", "slow whole p50", "ms", Goal::Times(1.5)),
    row("whole, 50/s, p99", "slow whole p99", "ms", Goal::AtMost(5.0)),
    row("whole, 400/s, p50", "quick whole p50", "ms", Goal::Times(1.5)),
    row("whole, 400/s, p99", "quick whole p99", "ms", Goal::AtMost(12.0)),
    Row { counted: true, ..row("requests to Redis for one", "redis requests", "", Goal::AtMost(8.0)) },
    row("commands in Redis for one, in scripts too", "redis commands", "", Goal::None),
    row("Redis CPU for one", "redis cpu", "µs", Goal::AtMost(75.0)),
    Row { counted: true, ..row("kept in Redis by one", "redis kept", "B", Goal::AtMost(1024.0)) },
    row("resident, 64 at once", "resident", "MB", Goal::AtMost(17.0)),
    row("memory of a waiting one", "burst each", "B", Goal::AtMost(1024.0)),
    row("resident, all of the burst waiting", "burst resident", "MB", Goal::AtMost(100.0)),
    row("creates a second in the burst", "burst creates a second", "/s", Goal::None),
];

fn verdict(row: &Row, ours: f64, bare: f64) -> String {
    let (said, met) = match row.goal {
        Goal::None => return String::new(),
        Goal::Times(times) => (format!("≤ {times} ×"), ours <= times * bare),
        Goal::AtMost(most) => (format!("≤ {most}"), ours <= most),
    };
    format!("{said:<9} {}", if met { "met" } else { "missed" })
}

fn figure(value: f64) -> String {
    match value {
        v if v.is_nan() => String::from("–"),
        v if v < 10.0 => format!("{v:.3}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

pub(crate) fn render(results: &Results) -> String {
    let (ours, bare) = (&results.ours, &results.bare);
    let mut text = format!("\n{}\n\n", results.scale);
    let _ = writeln!(text, "{:<44} {:>10} {:>10} {:>7}  goal", "", "ringproof", "bare", "ratio");
    for row in &ROWS {
        let (a, b) = (ours.median(row.figure), bare.median(row.figure));
        let what = if row.unit.is_empty() { row.what.to_owned() } else { format!("{} ({})", row.what, row.unit) };
        let _ = writeln!(text, "{what:<44} {:>10} {:>10} {:>7.2}  {}", figure(a), figure(b), a / b, verdict(row, a, b));
    }
    for (load, title) in [("at once", "64 at once"), ("slow", "50/s"), ("quick", "400/s")] {
        let _ = writeln!(text, "\n{title}: p50 / p99 in ms of each step");
        for step in Times::STEPS {
            let cell = |figures: &Figures| {
                let at = |share: &str| figure(figures.median(&format!("{load} {step} {share}")));
                format!("{} / {}", at("p50"), at("p99"))
            };
            let _ = writeln!(text, "  {step:<12} ringproof {:<20} bare {}", cell(ours), cell(bare));
        }
    }
    let calls = results.script_calls_a_second;
    let _ = writeln!(text, "\nredis-benchmark, the script of the floor, 64 connections: {calls:.0} calls a second");
    for (name, asked) in ["ringproof", "bare"].iter().zip(&results.asked_of_redis) {
        let list: Vec<String> = asked.iter().map(|(command, count)| format!("{command} {count:.2}")).collect();
        let _ = writeln!(text, "{name} asks of Redis for one verification: {}", list.join(", "));
    }
    for (name, figures) in [("ringproof", ours), ("bare", bare)] {
        let _ = writeln!(text, "{name}: {} verifications, {} went wrong", figures.asked, figures.wrong.len());
    }
    text
}

/// A verification that is lost or wrong is a fault of the product, not a figure.
pub(crate) fn fail_if_lost(results: &Results) {
    for (name, figures) in [("ringproof", &results.ours), ("bare", &results.bare)] {
        let some: Vec<&String> = figures.wrong.iter().take(5).collect();
        assert!(
            figures.wrong.is_empty(),
            "{name}: {} verifications went wrong, such as {some:#?}",
            figures.wrong.len()
        );
    }
}

/// What is counted and not timed hardly depends on the machine: twice the goal is a fault, and no noise.
pub(crate) fn fail_if_counts_run_away(results: &Results) {
    for row in ROWS.iter().filter(|row| row.counted) {
        let ours = results.ours.median(row.figure);
        if let Goal::AtMost(most) = row.goal {
            assert!(ours <= most * 2.0, "{}: {ours}, far above the goal of {most}", row.what);
        }
    }
}
