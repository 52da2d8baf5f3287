//! Owns what is measured: each measurement with its kind, unit, labels and meaning. When something is counted is decided
//! where it happens; a test compares that, and `docs/metrics.md`, with this table.

/// What kind of number a measurement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only rises, until the process ends.
    Counter,
    /// It rises and falls.
    Gauge,
    /// How often something was how large, in ranges.
    Histogram,
}

impl Kind {
    /// The word of both text formats.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One measurement, whatever its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// Its name, which others depend on. A counter's ends with `_total`, one of durations has `_seconds` as its unit.
    pub name: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// What is counted, or `seconds`: a base unit, always.
    pub unit: &'static str,
    /// The names of its labels. Their values are words of a bounded list, routes, countries and names of carriers.
    pub labels: &'static [&'static str],
    /// What it says, in plain words.
    pub meaning: &'static str,
}

/// The unit of durations.
pub(super) const SECONDS: &str = "seconds";

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Measurement {
    Measurement { name, kind: Kind::Counter, unit, labels, meaning }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Measurement {
    Measurement { name, kind: Kind::Gauge, unit, labels, meaning }
}

const fn seconds(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Measurement {
    Measurement { name, kind: Kind::Histogram, unit: SECONDS, labels, meaning }
}

/// All measurements, in the order of the documentation.
pub const MEASUREMENTS: [Measurement; 49] = [
    counter(
        "ringproof_creates_total",
        "requests",
        &["outcome"],
        "requests for a verification, and how they were answered",
    ),
    counter(
        "ringproof_guard_refusals_total",
        "calls",
        &["limit", "stage"],
        "calls that were not made because a limit stood against them: at create, redial, alternate",
    ),
    counter(
        "ringproof_guard_bars_total",
        "bars",
        &["cause"],
        "prefixes and countries that were held because too few calls to them were verified",
    ),
    counter(
        "ringproof_verifications_total",
        "verifications",
        &["status", "reason", "mode", "carrier", "country"],
        "verifications that became final",
    ),
    seconds("ringproof_verification_seconds", &["status"], "from the request to the outcome"),
    seconds(
        "ringproof_call_step_seconds",
        &["step", "carrier"],
        "from the queue to each step that a call came to: placed, ringing, answered, prompting (the callee \
         can hear us); its count says how many came so far",
    ),
    counter(
        "ringproof_placements_total",
        "calls",
        &["carrier", "outcome"],
        "calls that a carrier was asked for: accepted, refused, unknown",
    ),
    seconds("ringproof_placement_seconds", &["carrier"], "how long the carrier took to answer that"),
    counter(
        "ringproof_calls_total",
        "calls",
        &["end", "fault", "carrier", "country"],
        "calls that are over, why, and whose fault it was",
    ),
    seconds("ringproof_call_seconds", &["end"], "from the queue to the end of a call"),
    counter("ringproof_hang_ups_total", "calls", &["carrier", "outcome"], "calls that we ended"),
    counter("ringproof_webhooks_total", "messages", &["carrier", "kind"], "authentic messages of carriers"),
    counter(
        "ringproof_webhooks_refused_total",
        "messages",
        &["carrier", "cause"],
        "messages answered 403: a rise means a wrong public_url or token, or somebody is trying",
    ),
    counter("ringproof_apologies_total", "apologies", &[], "callees who heard an apology, because we could not go on"),
    counter(
        "ringproof_inputs_ignored_total",
        "inputs",
        &["input", "cause"],
        "inputs that changed nothing: late, repeated, for another question",
    ),
    counter(
        "ringproof_changes_contended_total",
        "changes",
        &[],
        "changes given up because others changed the same verification each time",
    ),
    counter(
        "ringproof_reports_total",
        "attempts",
        &["outcome"],
        "attempts to post a result: delivered, failed, dead letter",
    ),
    seconds("ringproof_report_seconds", &[], "how long the backend took to answer"),
    gauge("ringproof_reports_waiting", "results", &[], "results that wait for their turn in this process"),
    gauge(
        "ringproof_reports_put_off",
        "results",
        &[],
        "results that this process could not deliver and will try again",
    ),
    gauge(
        "ringproof_report_age_seconds",
        SECONDS,
        &[],
        "how long the oldest of those waits, from its outcome on; 0 when there is none",
    ),
    gauge("ringproof_hang_ups_waiting", "hang-ups", &[], "hang-ups that wait for their turn in this process"),
    gauge(
        "ringproof_dispatch_waiting",
        "placements",
        &["carrier"],
        "placements that wait for their turn in this process",
    ),
    counter(
        "ringproof_dispatch_queue_full_total",
        "placements",
        &["carrier"],
        "placements put off because that queue was full",
    ),
    counter(
        "ringproof_calls_passed_on_total",
        "calls",
        &["carrier", "cause"],
        "calls given to the next carrier before this one was asked: its queue was full, or it rests",
    ),
    counter(
        "ringproof_outbox_queue_full_total",
        "effects",
        &["kind"],
        "hang-ups and reports left to the next sweep because the queue was full",
    ),
    gauge("ringproof_deadlines_due", "deadlines", &[], "deadlines found due at the last look"),
    counter(
        "ringproof_ticks_without_effect_total",
        "deadlines",
        &[],
        "deadlines that changed nothing: should stay at zero",
    ),
    seconds(
        "ringproof_store_seconds",
        &["work"],
        "how long the store took, as whoever waited saw it: create, load, commit, due, outbox, hold, key, \
         list, guard, check",
    ),
    counter(
        "ringproof_store_errors_total",
        "faults",
        &["kind"],
        "work of the store that failed: away, timeout, setup, unreadable",
    ),
    counter(
        "ringproof_invariants_broken_total",
        "faults",
        &["invariant"],
        "what can never be: outcome_changed, verified_unanswered, verified_late, two_calls_alive, \
         task_failed. Has to stay at zero",
    ),
    gauge("ringproof_watchers", "requests", &[], "long polls and event streams that wait"),
    gauge(
        "ringproof_store_clock_ahead_seconds",
        SECONDS,
        &[],
        "how far the store's clock is ahead of ours, below zero when it is behind; as of the last look at \
         /readyz",
    ),
    gauge("ringproof_carrier_up", "1 or 0", &["carrier"], "1 when the carrier answered its last check"),
    counter(
        "ringproof_sip_rtp_packets_total",
        "packets",
        &["carrier", "kind"],
        "packets of voice in calls over trunks, counted at the end of each: sent, received, lost on the way \
         to us, lost_there as the other side reports, refused because they came from elsewhere or were not \
         authentic",
    ),
    counter(
        "ringproof_sip_machine_signs_total",
        "signs",
        &["carrier", "sign"],
        "what sounded like a mailbox in a call over a trunk: long_greeting, beep",
    ),
    counter(
        "ringproof_sip_prompts_left_out_total",
        "prompts",
        &["carrier"],
        "prompts that tell a client's own text, left out because nobody recorded it",
    ),
    gauge("ringproof_sip_servers_up", "servers", &["carrier"], "servers of a carrier's SIP trunks that answer"),
    gauge("ringproof_sip_servers", "servers", &["carrier"], "servers of a carrier's SIP trunks that are known"),
    counter("ringproof_sip_noise_total", "messages", &[], "datagrams and streams that were no SIP"),
    counter(
        "ringproof_sip_datagrams_lost_total",
        "datagrams",
        &[],
        "SIP datagrams that found a queue full, here or in the system; what matters is sent again",
    ),
    counter(
        "ringproof_sip_captures_lost_total",
        "messages",
        &[],
        "messages that a capture does not hold, because the disk was slow or full",
    ),
    counter(
        "ringproof_sip_oddities_total",
        "messages",
        &["carrier", "kind"],
        "what goes wrong between a SIP trunk and us: repeated_final_response (our ACK was lost or not \
         understood), repeated_request (ours was not answered in time), malformed, stray_response, \
         refused_request, old_request, extra_fork, beyond_a_limit",
    ),
    counter(
        "ringproof_sip_events_dropped_total",
        "messages",
        &[],
        "INFO requests and offers of a SIP call that came faster than they could be looked at",
    ),
    counter(
        "ringproof_log_lines_dropped_total",
        "lines",
        &[],
        "log lines that were dropped because whoever reads the standard error does not keep up",
    ),
    counter("ringproof_trace_spans_sent_total", "spans", &[], "spans that the collector took"),
    counter(
        "ringproof_trace_spans_dropped_total",
        "spans",
        &["cause"],
        "spans that nobody got: queue_full, not_taken (the collector is away, slow or silent), refused by it",
    ),
    seconds(
        "http_server_request_duration_seconds",
        &["http_route", "http_response_status_class"],
        "how long requests took, by route",
    ),
    counter(
        "http_server_requests_total",
        "requests",
        &["http_route", "http_request_method", "http_response_status_code"],
        "requests that were answered: unknown paths are other, unregistered methods are \
         _OTHER, unusual statuses are other",
    ),
];
