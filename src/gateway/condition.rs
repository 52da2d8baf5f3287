//! Owns how everything is, in one look, for operators: what readiness says, the carriers with what calls tell of them, what
//! waits to be told to backends, refused webhooks, and what to do now. It asks the store, and nobody else.

use std::time::Duration;

use super::{
    CarrierState, Gateway, Readiness, RefusedWebhooks, StatsQuery, StatsRange, lane::Lane,
    outbox::MOST_WAITING as MOST_WAITING_REPORTS,
};
use crate::time::Timestamp;

/// Most dead letters that are counted.
const MOST_DEAD: usize = 1_000;
/// How long after the last refused webhook somebody has to look.
const REFUSED_LATELY: Duration = Duration::from_mins(15);
/// How old a result may be before somebody has to look.
const LATE_RESULT: Duration = Duration::from_mins(15);
/// Verifications of the last hour from which on a carrier's share of errors says something, and the share that is too much.
const ERRORS_OF: u64 = 10;
const TOO_MANY_ERRORS: f64 = 0.1;
/// How full a queue may be before somebody has to look.
const FULL: f64 = 0.5;

/// How everything is.
#[derive(Debug, Clone)]
pub struct Condition {
    /// When it was looked.
    pub at: Timestamp,
    /// What is told at `/readyz`.
    pub readiness: Readiness,
    /// Each carrier, in the order in which they are tried.
    pub carriers: Vec<CarrierCondition>,
    /// What waits to be told to backends.
    pub outbox: OutboxCondition,
    /// Webhooks that this process refused, the last ones first.
    pub refused: Vec<RefusedWebhooks>,
    /// What somebody should do now, the most pressing first; empty when all is well.
    pub advice: Vec<Advice>,
}

/// How a carrier is, and what calls tell of it.
#[derive(Debug, Clone)]
pub struct CarrierCondition {
    /// Its name in the configuration.
    pub name: String,
    /// How it is.
    pub state: CarrierState,
    /// What it said to the last probe, or why it rests.
    pub detail: String,
    /// When it was last probed.
    pub probed_at: Option<Timestamp>,
    /// Calls in a row that it did not take.
    pub failures_in_row: u32,
    /// Until when it is not asked.
    pub rests_until: Option<Timestamp>,
    /// Calls that wait for it in this process, and how many may.
    pub waiting: Queue,
    /// Most calls placed in a second; `None` for no limit of ours.
    pub calls_per_second: Option<f64>,
    /// Verifications of the last hour whose last call went over it.
    pub attempts: u64,
    /// Those that failed because the carrier, or we, could not make the call.
    pub errors: u64,
}

impl CarrierCondition {
    /// The share of errors; `None` of nothing.
    #[must_use]
    pub fn error_share(&self) -> Option<f64> {
        (self.attempts > 0).then(|| self.errors as f64 / self.attempts as f64)
    }
}

/// What waits, and how much may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many wait.
    pub waiting: usize,
    /// How many may.
    pub room: usize,
}

impl Queue {
    fn is_filling(self) -> bool {
        self.waiting as f64 > self.room as f64 * FULL
    }
}

/// What waits to be told to backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxCondition {
    /// Results that wait for their first attempt in this process.
    pub reports: Queue,
    /// Results whose first attempts failed, and that this process tries again.
    pub put_off: usize,
    /// How long the oldest of those has waited.
    pub oldest: Duration,
    /// Results that could not be delivered, 1,000 at most; `None` where the store did not tell.
    pub dead: Option<usize>,
}

/// What somebody should do, and the runbook that says how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What is wrong.
    pub trouble: Trouble,
    /// With what: a carrier, as configured, or a number of things; empty where that is clear.
    pub about: String,
}

/// What may be wrong, the most pressing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The store does not write.
    StoreAway,
    /// No carrier can be used.
    NoCarrier,
    /// A carrier does not know us.
    CarrierRefused,
    /// The clocks of the store and of this machine are apart.
    ClockApart,
    /// A carrier cannot be reached.
    CarrierAway,
    /// A carrier failed again and again.
    CarrierRests,
    /// Many calls fail at a carrier.
    CarrierErrors,
    /// A queue fills up.
    QueueFull,
    /// Carriers' webhooks are refused.
    WebhooksRefused,
    /// Results wait for long.
    ResultsLate,
    /// Results could not be delivered.
    DeadLetters,
    /// The store runs, but is not set up as it should be.
    StoreSetUp,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::StoreAway,
        Self::NoCarrier,
        Self::CarrierRefused,
        Self::ClockApart,
        Self::CarrierAway,
        Self::CarrierRests,
        Self::CarrierErrors,
        Self::QueueFull,
        Self::WebhooksRefused,
        Self::ResultsLate,
        Self::DeadLetters,
        Self::StoreSetUp,
    ];

    /// Its name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoreAway => "store-away",
            Self::NoCarrier => "no-carrier",
            Self::CarrierRefused => "carrier-refused",
            Self::ClockApart => "clock-apart",
            Self::CarrierAway => "carrier-away",
            Self::CarrierRests => "carrier-rests",
            Self::CarrierErrors => "carrier-errors",
            Self::QueueFull => "queue-full",
            Self::WebhooksRefused => "webhooks-refused",
            Self::ResultsLate => "results-late",
            Self::DeadLetters => "dead-letters",
            Self::StoreSetUp => "store-set-up",
        }
    }

    /// The page of `docs/runbooks` that says what to do; `None` where the manual of the store does.
    #[must_use]
    pub const fn runbook(self) -> Option<&'static str> {
        match self {
            Self::StoreAway => Some("RingproofStoreFailing"),
            Self::NoCarrier => Some("RingproofNoCarrier"),
            Self::CarrierRefused | Self::CarrierAway | Self::CarrierRests => Some("RingproofCarrierDown"),
            Self::ClockApart => Some("RingproofClockApart"),
            Self::CarrierErrors => Some("RingproofCarrierErrors"),
            Self::QueueFull => Some("RingproofQueueFull"),
            Self::WebhooksRefused => Some("RingproofWebhooksRefused"),
            Self::ResultsLate => Some("RingproofResultsLate"),
            Self::DeadLetters => Some("RingproofDeadLetters"),
            Self::StoreSetUp => None,
        }
    }
}

impl Gateway {
    /// How everything is. What the store does not tell is left out, and said to be away.
    pub async fn condition(&self) -> Condition {
        let shell = &self.shell;
        let at = shell.clock.now();
        let last_hour = StatsQuery { client: None, range: StatsRange::Hour };
        let (readiness, stats, dead) =
            tokio::join!(self.ready(), self.stats(&last_hour), shell.store.dead_letters(MOST_DEAD));
        let stats = stats.ok();
        let of = |name: &str| {
            let carriers = stats.iter().flat_map(|stats| &stats.carriers);
            carriers.into_iter().find(|of| of.carrier.as_deref() == Some(name))
        };
        let lanes = shell.carrier_order.iter().filter_map(|name| shell.lanes.get(name));
        let carriers: Vec<_> = lanes
            .map(|lane| {
                let told = of(&lane.carrier.name).map(|of| (of.measures.attempts, of.carrier_errors));
                carrier(lane, at, told.unwrap_or_default())
            })
            .collect();
        let (put_off, oldest) = shell.backlog.waiting(at);
        let reports = Queue { waiting: shell.errands.waiting_reports(), room: MOST_WAITING_REPORTS };
        let outbox = OutboxCondition { reports, put_off, oldest, dead: dead.ok().map(|letters| letters.len()) };
        let refused = shell.refusals.all();
        let advice = advice(at, &readiness, &carriers, &outbox, &refused);
        Condition { at, readiness, carriers, outbox, refused, advice }
    }
}

fn carrier(lane: &Lane, now: Timestamp, (attempts, errors): (u64, u64)) -> CarrierCondition {
    let (state, detail) = lane.state(now);
    let past = lane.past();
    CarrierCondition {
        name: lane.carrier.name.clone(),
        state,
        detail,
        probed_at: past.probed_at,
        failures_in_row: past.failures_in_row,
        rests_until: Some(past.rests_until).filter(|until| *until > now),
        waiting: Queue { waiting: lane.waiting(), room: lane.room() },
        calls_per_second: lane.carrier.calls_per_second,
        attempts,
        errors,
    }
}

/// What somebody should do now.
fn advice(
    now: Timestamp,
    readiness: &Readiness,
    carriers: &[CarrierCondition],
    outbox: &OutboxCondition,
    refused: &[RefusedWebhooks],
) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut add = |trouble, about: &str| found.push(Advice { trouble, about: about.to_owned() });
    for check in &readiness.checks {
        match (check.name, check.ok) {
            ("store", false) => add(Trouble::StoreAway, ""),
            ("store", true) if check.detail.contains("; ") => add(Trouble::StoreSetUp, ""),
            ("clock", false) => add(Trouble::ClockApart, ""),
            _ => {}
        }
    }
    if carriers.iter().all(|carrier| carrier.state != CarrierState::Usable) {
        add(Trouble::NoCarrier, "");
    }
    for carrier in carriers {
        match carrier.state {
            CarrierState::Usable => {}
            CarrierState::Resting => add(Trouble::CarrierRests, &carrier.name),
            CarrierState::Refused => add(Trouble::CarrierRefused, &carrier.name),
            CarrierState::Away => add(Trouble::CarrierAway, &carrier.name),
        }
        let too_many = carrier.error_share().is_some_and(|share| share >= TOO_MANY_ERRORS);
        if carrier.attempts >= ERRORS_OF && too_many {
            add(Trouble::CarrierErrors, &carrier.name);
        }
        if carrier.waiting.is_filling() {
            add(Trouble::QueueFull, &carrier.name);
        }
    }
    let mut lately: Vec<&str> = refused
        .iter()
        .filter(|refused| now.since(refused.last_at) < REFUSED_LATELY)
        .map(|refused| refused.carrier.as_str())
        .collect();
    lately.sort_unstable();
    lately.dedup();
    lately.into_iter().for_each(|carrier| add(Trouble::WebhooksRefused, carrier));
    if outbox.oldest >= LATE_RESULT || outbox.reports.is_filling() {
        add(Trouble::ResultsLate, &outbox.put_off.to_string());
    }
    if let Some(dead @ 1..) = outbox.dead {
        add(Trouble::DeadLetters, &dead.to_string());
    }
    found.sort_by_key(|advice| advice.trouble);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::ReadinessCheck;

    const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

    fn check(name: &'static str, ok: bool, detail: &str) -> ReadinessCheck {
        ReadinessCheck { name, ok, detail: detail.to_owned() }
    }

    fn carrier(name: &str, state: CarrierState, attempts: u64, errors: u64) -> CarrierCondition {
        CarrierCondition {
            name: name.to_owned(),
            state,
            detail: String::new(),
            probed_at: None,
            failures_in_row: 0,
            rests_until: None,
            waiting: Queue { waiting: 0, room: 100 },
            calls_per_second: None,
            attempts,
            errors,
        }
    }

    const QUIET: OutboxCondition =
        OutboxCondition { reports: Queue { waiting: 0, room: 100 }, put_off: 0, oldest: Duration::ZERO, dead: Some(0) };

    fn told(
        checks: Vec<ReadinessCheck>,
        carriers: &[CarrierCondition],
        outbox: &OutboxCondition,
        refused: &[RefusedWebhooks],
    ) -> Vec<(Trouble, String)> {
        let readiness = Readiness { ready: true, checks, carriers: Vec::new() };
        let advice = advice(NOW, &readiness, carriers, outbox, refused);
        advice.into_iter().map(|advice| (advice.trouble, advice.about)).collect()
    }

    #[test]
    fn nothing_is_to_be_done_where_all_is_well() {
        let checks = vec![check("store", true, "Redis 7.2"), check("clock", true, ""), check("draining", true, "")];
        let carriers = [carrier("main", CarrierState::Usable, 100, 9), carrier("new", CarrierState::Usable, 9, 9)];
        assert_eq!(told(checks, &carriers, &QUIET, &[]), []);
    }

    #[test]
    fn the_most_pressing_comes_first() {
        let about = |of: &str| of.to_owned();
        let carriers = [
            carrier("a", CarrierState::Resting, 20, 2),
            carrier("b", CarrierState::Refused, 0, 0),
            CarrierCondition { waiting: Queue { waiting: 51, room: 100 }, ..carrier("c", CarrierState::Away, 0, 0) },
        ];
        let ago = |minutes| NOW.minus(Duration::from_mins(minutes));
        let refused =
            |carrier: &str, cause, at| RefusedWebhooks { carrier: about(carrier), cause, count: 3, last_at: at };
        let refused = [
            refused("a", "bad_signature", ago(1)),
            refused("a", "no_signature", ago(2)),
            refused("b", "bad_signature", ago(20)),
        ];
        let outbox = OutboxCondition { put_off: 7, oldest: Duration::from_hours(1), dead: Some(2), ..QUIET };
        let checks = vec![check("store", true, "Redis 7.2; appendonly is off"), check("clock", false, "")];
        assert_eq!(
            told(checks, &carriers, &outbox, &refused),
            [
                (Trouble::NoCarrier, about("")),
                (Trouble::CarrierRefused, about("b")),
                (Trouble::ClockApart, about("")),
                (Trouble::CarrierAway, about("c")),
                (Trouble::CarrierRests, about("a")),
                (Trouble::CarrierErrors, about("a")),
                (Trouble::QueueFull, about("c")),
                (Trouble::WebhooksRefused, about("a")),
                (Trouble::ResultsLate, about("7")),
                (Trouble::DeadLetters, about("2")),
                (Trouble::StoreSetUp, about("")),
            ]
        );
        let away = told(vec![check("store", false, "away")], &[carrier("a", CarrierState::Usable, 0, 0)], &QUIET, &[]);
        assert_eq!(away, [(Trouble::StoreAway, about(""))]);
    }

    #[test]
    fn every_trouble_has_its_page() {
        for trouble in Trouble::ALL {
            if let Some(page) = trouble.runbook() {
                let path = format!("{}/docs/runbooks/{page}.md", env!("CARGO_MANIFEST_DIR"));
                assert!(std::path::Path::new(&path).exists(), "{path}");
            }
        }
    }
}
