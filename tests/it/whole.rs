//! The whole: the built binary with a real Redis, a carrier that speaks Twilio's API, callees who answer it, and a
//! backend that takes the results. Nothing here looks inside.

mod blocked_log;
mod callees;
mod canaries;
mod crashes;
mod forgeries;
mod terminal;
mod traces;
mod troubles;

use serde_json::{Value, json};

use crate::world::{
    backend::Backend,
    carrier::{self, Carrier},
    redis::Redis,
    server::{Server, Settings},
};

/// Everything that runs.
struct Whole {
    server: Server,
    carrier: Carrier,
    backend: Backend,
    redis: Redis,
}

impl Whole {
    /// Starts everything. Time at the carrier runs `speed` times as fast, and what the gateway measures in seconds of a
    /// call is shortened as `verification` says.
    async fn start(speed: f64, verification: &str, carrier_lines: &str) -> Self {
        let redis = Redis::start();
        let patience = std::time::Duration::from_secs(60);
        let carrier = Carrier::start(carrier::Settings { speed, patience, ..carrier::Settings::default() }).await;
        let settings =
            Settings { store: redis.url(), verification: verification.to_owned(), carrier: carrier_lines.to_owned() };
        let server = Server::start(&carrier, &settings).await;
        Self { server, carrier, backend: Backend::start().await, redis }
    }

    /// A request that nothing is special about, to be told its result.
    fn request(&self, to: &str) -> Value {
        json!({ "to": to, "country": "JP", "locale": "ja-JP", "callback_url": self.backend.url(), "reference": to })
    }

    /// What must hold at the end of every test: a strict carrier has nothing to complain of, no key lives for ever, and
    /// nothing secret has left.
    async fn check(&self, numbers: &[&str], secrets: &[&str]) {
        assert_eq!(self.carrier.violations(), Vec::<String>::new());
        let all: Vec<String> = self.redis.send(&["KEYS", "*"]);
        let named = [":due", ":outbox", ":dead", ":number-key"];
        for key in all.iter().filter(|key| !named.iter().any(|name| key.ends_with(name))) {
            let ttl: i64 = self.redis.send(&["PTTL", key]);
            assert_ne!(ttl, -1, "a key without expiry: {key}");
        }
        let logs = self.server.logs();
        let (status, metrics) = self.server.read_as(crate::world::server::OPERATORS_KEY, "/metrics").await;
        assert_eq!(status, 200, "{metrics}");
        let never: Vec<_> =
            metrics.lines().filter(|line| line.starts_with("ringproof_invariants_broken_total")).collect();
        assert!(never.len() > 4 && never.iter().all(|line| line.ends_with(" 0")), "{never:#?}");
        // A sum may hold any digits: what is measured of, its names and labels, may not.
        let metrics: Vec<_> = metrics.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
        let metrics = metrics.join("\n");
        for number in numbers {
            let digits = number.trim_start_matches('+');
            let national = format!("0{}", digits.trim_start_matches("81"));
            for shown in [digits, national.as_str()] {
                assert!(!logs.contains(shown), "a number in the logs: {}", line_with(&logs, shown));
                assert!(!metrics.contains(shown), "a number in the metrics: {}", line_with(&metrics, shown));
                assert!(!all.iter().any(|key| key.contains(shown)), "a number in a key");
            }
        }
        let account = self.carrier.settings();
        let own = [account.auth_token.as_str(), crate::world::server::KEY, crate::world::server::CALLBACK_SECRET];
        for secret in own.iter().chain(secrets) {
            assert!(!logs.contains(secret), "a secret in the logs: {}", line_with(&logs, secret));
            assert!(!metrics.contains(secret), "a secret in the metrics");
        }
        for posted in self.carrier.posted() {
            let token = posted.url.split('/').nth(5).unwrap_or_default().to_owned();
            assert!(
                token.len() < 40 || !logs.contains(&token),
                "a call token in the logs: {}",
                line_with(&logs, &token)
            );
        }
    }
}

fn line_with<'a>(text: &'a str, part: &str) -> &'a str {
    text.lines().find(|line| line.contains(part)).unwrap_or("?")
}

/// The `n`th number of a Japanese mobile network, in E.164 form.
fn number(n: u32) -> String {
    format!("+8190{:08}", 31_400_000 + n)
}
