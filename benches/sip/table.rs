//! Owns how a run is told: one table of figures with their goals, and what fails a run.

use std::fmt::Write as _;

use crate::rounds::{Figures, Results};

/// What a figure of ringproof should be.
#[derive(Clone, Copy)]
enum Goal {
    None,
    AtMost(f64),
    AtLeast(f64),
}

/// What a short call may cost of what it costs Asterisk.
const FIFTH: Goal = Goal::AtMost(0.2);

struct Row(&'static str, &'static str, Goal);

const ROWS: [Row; 18] = [
    Row("short calls: begun a second", "short begun", Goal::None),
    Row("caller's CPU for one (ms)", "short cpu", Goal::AtMost(0.7)),
    Row("calls a second that a core carries", "short a core", Goal::AtLeast(1_400.0)),
    Row("RTP packets sent in one", "short packets", Goal::None),
    Row("RTP lateness p50 (ms)", "short late p50", Goal::None),
    Row("RTP lateness p99 (ms)", "short late p99", Goal::None),
    Row("held calls: begun a second", "held begun", Goal::None),
    Row("most at once", "held at once", Goal::None),
    Row("caller's CPU for one (ms)", "held cpu", Goal::None),
    Row("caller's CPU for a second of one (ms)", "held second", Goal::None),
    Row("calls at once that a core carries", "held core calls", Goal::AtLeast(1_700.0)),
    Row("RTP packets sent in one", "held packets", Goal::None),
    Row("RTP lateness p50 (ms)", "held late p50", Goal::None),
    Row("RTP lateness p99 (ms)", "held late p99", Goal::None),
    Row("memory of a live call (KiB)", "held each", Goal::AtMost(40.0)),
    Row("resident before (MB)", "held before", Goal::None),
    Row("resident at the most (MB)", "held resident", Goal::None),
    Row("resident after (MB)", "held after", Goal::None),
];

fn verdict(goal: Goal, ours: f64) -> String {
    let (said, met) = match goal {
        Goal::None => return String::new(),
        Goal::AtMost(most) => (format!("≤ {most}"), ours <= most),
        Goal::AtLeast(least) => (format!("≥ {least}"), ours >= least),
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
    let (ours, asterisk) = (&results.ours, results.asterisk.as_ref());
    let mut text = format!("\n{}\n\n", results.scale);
    let of_peer = if asterisk.is_some() { format!(" {:>10} {:>7}", "Asterisk", "ratio") } else { String::new() };
    let _ = writeln!(text, "{:<44} {:>10} {:>10} {:>7}{of_peer}  goal", "", "ringproof", "bare", "ratio");
    for Row(what, name, goal) in &ROWS {
        let own = ours.median(name);
        let _ = write!(text, "{what:<44} {:>10}", figure(own));
        for other in [Some(&results.bare), asterisk].into_iter().flatten() {
            let theirs = other.median(name);
            let _ = write!(text, " {:>10} {:>7.2}", figure(theirs), own / theirs);
        }
        let _ = writeln!(text, "  {}", verdict(*goal, own));
    }
    if let Some(asterisk) = asterisk {
        let share = ours.median("short cpu") / asterisk.median("short cpu");
        let _ = writeln!(text, "\nCPU of a short call, share of Asterisk's: {share:.3}  {}", verdict(FIFTH, share));
    }
    for (name, figures) in everybody(results) {
        let Figures { calls, packets: [sent, lost], wrong, .. } = figures;
        let wrong = wrong.len();
        let _ = writeln!(text, "\n{name}: {calls} calls, {wrong} faults; {sent} RTP packets, {lost} lost on the way");
    }
    text
}

fn everybody(results: &Results) -> impl Iterator<Item = (&'static str, &Figures)> {
    let peer = results.asterisk.as_ref().map(|asterisk| ("Asterisk", asterisk));
    [("ringproof", &results.ours), ("bare", &results.bare)].into_iter().chain(peer)
}

/// A call of ringproof or of the floor that is lost is a fault, not a figure.
pub(crate) fn fail_if_lost(results: &Results) {
    for (name, figures) in [("ringproof", &results.ours), ("bare", &results.bare)] {
        let some: Vec<&String> = figures.wrong.iter().take(5).collect();
        assert!(figures.wrong.is_empty(), "{name}: {} faults, such as {some:#?}", figures.wrong.len());
    }
}
