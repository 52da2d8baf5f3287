//! Owns the measurement of what goes wrong on the wire: the counters of the protocol core, as a metric.

use crate::sip::Counters;

/// What was told so far.
#[derive(Default)]
pub(super) struct Oddities(Counters);

impl Oddities {
    /// Tells what came to it since the last time.
    pub(super) fn tell(&mut self, carrier: &str, now: Counters) {
        for (kind, before, now) in told(&self.0, &now) {
            if now > before {
                metrics::counter!("ringproof_sip_oddities_total", "carrier" => carrier.to_owned(), "kind" => kind)
                    .increment(now - before);
            }
        }
        self.0 = now;
    }
}

/// Each counter by its name, with what it was and is.
const fn told(before: &Counters, now: &Counters) -> [(&'static str, u64, u64); 8] {
    let Counters {
        malformed,
        stray_responses,
        repeated_finals,
        refused_requests,
        old_requests,
        extra_forks,
        bounded,
        repeated_requests,
    } = *now;
    [
        ("malformed", before.malformed, malformed),
        ("stray_response", before.stray_responses, stray_responses),
        ("repeated_final_response", before.repeated_finals, repeated_finals),
        ("refused_request", before.refused_requests, refused_requests),
        ("old_request", before.old_requests, old_requests),
        ("extra_fork", before.extra_forks, extra_forks),
        ("beyond_a_limit", before.bounded, bounded),
        ("repeated_request", before.repeated_requests, repeated_requests),
    ]
}
