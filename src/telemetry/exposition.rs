//! Owns the two text formats that measurements are read in, and what is told in them of each. It measures nothing.

use std::fmt::Write as _;

use metrics::Unit;

use super::measurements::{Kind, MEASUREMENTS, Measurement, SECONDS};

/// Tells the recorder of this process what its measurements mean.
pub(super) fn describe() {
    for Measurement { name, kind, unit, meaning, .. } in MEASUREMENTS {
        let unit = if unit == SECONDS { Unit::Seconds } else { Unit::Count };
        match kind {
            Kind::Counter => metrics::describe_counter!(name, unit, meaning),
            Kind::Gauge => metrics::describe_gauge!(name, unit, meaning),
            Kind::Histogram => metrics::describe_histogram!(name, unit, meaning),
        }
    }
}

/// The same measurements in `OpenMetrics` 1.0.0, from the Prometheus text format 0.0.4: a counter's family has no
/// `_total`, what is measured in a unit says so, bounds are written as floats, and there is an end.
///
/// Exemplars and times of creation are not written.
#[must_use]
pub fn openmetrics(prometheus: &str) -> String {
    let mut text = String::with_capacity(prometheus.len() + prometheus.len() / 8);
    // A `# HELP` comes before its `# TYPE`, which says what the family is called.
    let mut help = None;
    for line in prometheus.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            open_family(&mut text, name, kind, help.take());
        } else if !line.is_empty() && !line.starts_with('#') {
            sample(&mut text, line);
        }
    }
    text.push_str("# EOF\n");
    text
}

fn open_family(text: &mut String, name: &str, kind: &str, help: Option<&str>) {
    let family = if kind == Kind::Counter.as_str() { name.strip_suffix("_total").unwrap_or(name) } else { name };
    let _in_memory = writeln!(text, "# TYPE {family} {kind}");
    if family.ends_with("_seconds") {
        let _in_memory = writeln!(text, "# UNIT {family} {SECONDS}");
    }
    if let Some(help) = help {
        // Escaped already but for the quotation marks, which only OpenMetrics escapes.
        let _in_memory = writeln!(text, "# HELP {family} {}", help.replace('"', "\\\""));
    }
}

/// One sample. Bounds are floats: `1` is written `1.0`.
fn sample(text: &mut String, line: &str) {
    const BOUND: &str = "le=\"";
    let is_name = |at: &usize| line.get(..*at).is_some_and(|before| before.ends_with(['{', ',']));
    let bound = line.rfind(BOUND).filter(is_name).and_then(|at| line.split_at_checked(at + BOUND.len()));
    match bound.and_then(|(before, rest)| Some((before, rest.split_once('"')?))) {
        Some((before, (bound, after))) if bound.bytes().all(|byte| byte.is_ascii_digit()) => {
            let _in_memory = writeln!(text, "{before}{bound}.0\"{after}");
        }
        Some(_) | None => {
            text.push_str(line);
            text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_measurements_are_read_in_openmetrics() {
        let prometheus = "# HELP a_total What \"it\" says \\\\ \\n.\n# TYPE a_total counter\n\
                          a_total{file=\"7\",carrier=\"ma\\\"in\"} 3\n\n# TYPE b_seconds histogram\n\
                          b_seconds_bucket{work=\"load\",le=\"0.005\"} 1\nb_seconds_bucket{work=\"load\",le=\"15\"} 2\n\
                          b_seconds_bucket{le=\"+Inf\"} 2\nb_seconds_sum 1.5\nb_seconds_count 2\n\n\
                          # TYPE c gauge\nc 7\n\n";
        let expected = "# TYPE a counter\n# HELP a What \\\"it\\\" says \\\\ \\n.\na_total{file=\"7\",carrier=\"ma\\\"in\"} 3\n\
                        # TYPE b_seconds histogram\n# UNIT b_seconds seconds\n\
                        b_seconds_bucket{work=\"load\",le=\"0.005\"} 1\nb_seconds_bucket{work=\"load\",le=\"15.0\"} 2\n\
                        b_seconds_bucket{le=\"+Inf\"} 2\nb_seconds_sum 1.5\nb_seconds_count 2\n# TYPE c gauge\nc 7\n# EOF\n";
        assert_eq!(openmetrics(prometheus), expected);
        assert_eq!(openmetrics(""), "# EOF\n");
    }
}
