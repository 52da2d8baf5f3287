//! Owns which server of which trunk a call goes to: health, blocks, pace and the order of trunks. Pure: the time comes in,
//! and asking servers whether they live is the business of `endpoint`.

use std::time::Duration;

use super::{config::Config, resolve::Hop};
use crate::time::Timestamp;

/// Failures in a row after which a server counts as down.
const FAILURES_UNTIL_DOWN: u32 = 2;
/// Longest time that a server may ask to be left alone (`Retry-After`).
const LONGEST_BLOCK: Duration = Duration::from_mins(5);
/// A server that is down is tried by a call again after this time, when no other is up.
const TRY_DOWN_AFTER: Duration = Duration::from_secs(30);
/// Longest time that a call waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A server of a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// Which trunk, counted in the order of the settings.
    pub(crate) trunk: usize,
    /// Which of its servers.
    pub(crate) hop: Hop,
}

/// Why no server takes a call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// No server is known: nothing was found in DNS yet.
    #[error("no server of the trunk is known")]
    Unknown,
    /// As many calls as allowed, or too many in a moment.
    #[error("the trunk is full")]
    Full,
    /// All are down, or asked to be left alone.
    #[error("the trunk is down")]
    Down,
    /// All were tried.
    #[error("all servers were tried")]
    Exhausted,
}

/// All trunks of a carrier.
#[derive(Debug)]
pub(crate) struct Trunks {
    trunks: Vec<Trunk>,
    max_calls: usize,
    /// Time between two calls over one trunk; zero for no pace.
    between: Duration,
}

#[derive(Debug)]
struct Trunk {
    servers: Vec<Server>,
    calls: usize,
    /// When the next call may begin.
    turn: Timestamp,
}

#[derive(Debug, Clone)]
struct Server {
    hop: Hop,
    failures: u32,
    last_failure: Timestamp,
    blocked_until: Timestamp,
}

impl Server {
    const fn new(hop: Hop) -> Self {
        Self { hop, failures: 0, last_failure: Timestamp::from_ms(0), blocked_until: Timestamp::from_ms(0) }
    }

    const fn is_up(&self) -> bool {
        self.failures < FAILURES_UNTIL_DOWN
    }
}

impl Trunks {
    pub(crate) fn new(config: &Config) -> Self {
        let trunk = || Trunk { servers: Vec::new(), calls: 0, turn: Timestamp::from_ms(0) };
        let between = config.trunk_calls_per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        Self { trunks: config.all_trunks().map(|_| trunk()).collect(), max_calls: config.max_calls, between }
    }

    /// Puts what DNS says now in the place of what it said before. What is known of a server stays known.
    pub(crate) fn found(&mut self, trunk: usize, hops: &[Hop]) {
        let Some(trunk) = self.trunks.get_mut(trunk) else { return };
        let known = std::mem::take(&mut trunk.servers);
        let server = |hop: &Hop| known.iter().find(|server| server.hop == *hop).cloned();
        trunk.servers = hops.iter().map(|hop| server(hop).unwrap_or_else(|| Server::new(*hop))).collect();
    }

    /// Whether nothing is known of any trunk.
    pub(crate) fn is_empty(&self) -> bool {
        self.trunks.iter().all(|trunk| trunk.servers.is_empty())
    }

    /// Takes a place for a call: the first server that is up, on the first trunk that has room. Servers that are down are
    /// tried when no other is left, and not too often. Also how long the call has to wait for its turn.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        passed: impl Fn(Target) -> bool,
    ) -> Result<(Target, Duration), Unavailable> {
        let mut why = if self.is_empty() { Unavailable::Unknown } else { Unavailable::Exhausted };
        for up in [true, false] {
            for (index, trunk) in self.trunks.iter_mut().enumerate() {
                let is_open = |server: &&Server| !passed(Target { trunk: index, hop: server.hop });
                let usable = |server: &&Server| {
                    let rested = server.last_failure.plus(TRY_DOWN_AFTER) <= now;
                    server.blocked_until <= now && if up { server.is_up() } else { !server.is_up() && rested }
                };
                let Some(server) = trunk.servers.iter().filter(is_open).find(usable) else {
                    if trunk.servers.iter().any(|server| is_open(&server)) && why == Unavailable::Exhausted {
                        why = Unavailable::Down;
                    }
                    continue;
                };
                let wait = trunk.turn.since(now);
                if trunk.calls >= self.max_calls || wait > LONGEST_WAIT {
                    why = Unavailable::Full;
                    continue;
                }
                let target = Target { trunk: index, hop: server.hop };
                trunk.calls += 1;
                trunk.turn = trunk.turn.max(now).plus(self.between);
                return Ok((target, wait));
            }
        }
        Err(why)
    }

    /// Gives a place back.
    pub(crate) fn give_back(&mut self, target: Target) {
        if let Some(trunk) = self.trunks.get_mut(target.trunk) {
            trunk.calls = trunk.calls.saturating_sub(1);
        }
    }

    /// A server answered: it is up. True when it was down.
    pub(crate) fn heard(&mut self, target: Target) -> bool {
        let Some(server) = self.server(target) else { return false };
        let was_down = !server.is_up();
        server.failures = 0;
        was_down
    }

    /// A server did not answer, or could not be reached. True when it is down from now on.
    pub(crate) fn failed(&mut self, now: Timestamp, target: Target) -> bool {
        let Some(server) = self.server(target) else { return false };
        server.failures = server.failures.saturating_add(1);
        server.last_failure = now;
        server.failures == FAILURES_UNTIL_DOWN
    }

    /// A server wants to be left alone.
    pub(crate) fn blocked(&mut self, now: Timestamp, target: Target, retry_after: Duration) {
        if let Some(server) = self.server(target) {
            server.blocked_until = now.plus(retry_after.min(LONGEST_BLOCK));
        }
    }

    /// All servers, best first, with whether each is up.
    pub(crate) fn targets(&self) -> Vec<(Target, bool)> {
        let servers = |(index, trunk): (usize, &Trunk)| -> Vec<_> {
            let told = |server: &Server| (Target { trunk: index, hop: server.hop }, server.is_up());
            trunk.servers.iter().map(told).collect()
        };
        self.trunks.iter().enumerate().flat_map(servers).collect()
    }

    fn server(&mut self, target: Target) -> Option<&mut Server> {
        let trunk = self.trunks.get_mut(target.trunk)?;
        trunk.servers.iter_mut().find(|server| server.hop == target.hop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Transport;

    fn hop(last: u8) -> Hop {
        Hop { transport: Transport::Udp, address: ([192, 0, 2, last], 5060).into() }
    }

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_ms(1_795_000_000_000 + seconds * 1000)
    }

    /// Two trunks: the first with servers 1 and 2, the second with server 3.
    fn trunks(change: impl FnOnce(&mut Config)) -> Trunks {
        let mut config = Config::for_trunk("sip:a.example".parse().unwrap());
        config.trunks = vec!["sip:b.example".parse().unwrap()];
        change(&mut config);
        let mut trunks = Trunks::new(&config);
        trunks.found(0, &[hop(1), hop(2)]);
        trunks.found(1, &[hop(3)]);
        trunks
    }

    fn taken(trunks: &mut Trunks, now: Timestamp, passed: &[Target]) -> Result<(u8, u64), Unavailable> {
        let taken = trunks.take(now, |target| passed.contains(&target));
        taken.map(|(target, wait)| {
            trunks.give_back(target);
            let std::net::IpAddr::V4(address) = target.hop.address.ip() else { panic!("{target:?}") };
            (address.octets()[3], u64::try_from(wait.as_millis()).unwrap())
        })
    }

    const FIRST: fn() -> Target = || Target { trunk: 0, hop: hop(1) };
    const SECOND: fn() -> Target = || Target { trunk: 0, hop: hop(2) };
    const BACKUP: fn() -> Target = || Target { trunk: 1, hop: hop(3) };

    #[test]
    fn servers_are_tried_in_order_and_then_the_next_trunk() {
        let mut trunks = trunks(|_| {});
        assert_eq!(taken(&mut trunks, at(0), &[]), Ok((1, 0)));
        assert_eq!(taken(&mut trunks, at(0), &[FIRST()]), Ok((2, 0)));
        assert_eq!(taken(&mut trunks, at(0), &[FIRST(), SECOND()]), Ok((3, 0)));
        assert_eq!(taken(&mut trunks, at(0), &[FIRST(), SECOND(), BACKUP()]), Err(Unavailable::Exhausted));
        assert_eq!(
            Trunks::new(&Config::for_trunk("sip:a".parse().unwrap())).take(at(0), |_| false),
            Err(Unavailable::Unknown)
        );
    }

    #[test]
    fn two_failures_put_a_server_down_and_one_answer_brings_it_back() {
        let mut trunks = trunks(|_| {});
        assert!(!trunks.failed(at(0), FIRST()));
        assert_eq!(taken(&mut trunks, at(0), &[]), Ok((1, 0)), "one failure is no proof");
        assert!(trunks.failed(at(0), FIRST()));
        assert!(!trunks.failed(at(0), FIRST()), "it goes down once");
        assert_eq!(taken(&mut trunks, at(0), &[]), Ok((2, 0)));
        trunks.found(0, &[hop(1), hop(2)]);
        assert_eq!(taken(&mut trunks, at(0), &[]), Ok((2, 0)), "a new look at DNS forgives nothing");
        assert!(trunks.heard(FIRST()) && !trunks.heard(FIRST()));
        assert_eq!(taken(&mut trunks, at(0), &[]), Ok((1, 0)));
        assert!(!trunks.failed(at(1), FIRST()), "failures count in a row only");
    }

    #[test]
    fn when_all_are_down_they_are_tried_now_and_then() {
        let mut trunks = trunks(|_| {});
        for target in [FIRST(), SECOND(), BACKUP()] {
            trunks.failed(at(0), target);
            trunks.failed(at(0), target);
        }
        assert_eq!(taken(&mut trunks, at(29), &[]), Err(Unavailable::Down));
        assert_eq!(taken(&mut trunks, at(30), &[]), Ok((1, 0)));
        trunks.failed(at(30), FIRST());
        assert_eq!(taken(&mut trunks, at(31), &[]), Ok((2, 0)));
        assert_eq!(trunks.targets().iter().filter(|(_, up)| *up).count(), 0);
    }

    #[test]
    fn retry_after_is_respected_up_to_five_minutes() {
        let mut trunks = trunks(|_| {});
        trunks.blocked(at(0), FIRST(), Duration::from_secs(10));
        trunks.blocked(at(0), SECOND(), Duration::from_secs(86_400));
        assert_eq!(taken(&mut trunks, at(9), &[]), Ok((3, 0)));
        assert_eq!(taken(&mut trunks, at(10), &[]), Ok((1, 0)));
        assert_eq!(taken(&mut trunks, at(299), &[FIRST(), BACKUP()]), Err(Unavailable::Down));
        assert_eq!(taken(&mut trunks, at(300), &[FIRST(), BACKUP()]), Ok((2, 0)));
    }

    #[test]
    fn calls_at_once_and_in_a_second_are_bounded_for_each_trunk() {
        let mut few = trunks(|config| config.max_calls = 1);
        let (first, _) = few.take(at(0), |_| false).unwrap();
        let (second, _) = few.take(at(0), |_| false).unwrap();
        assert_eq!((first, second), (FIRST(), BACKUP()));
        assert_eq!(few.take(at(0), |_| false), Err(Unavailable::Full));
        few.give_back(first);
        assert_eq!(few.take(at(0), |_| false).map(|(target, _)| target), Ok(FIRST()));

        let mut slow = trunks(|config| config.trunk_calls_per_second = Some(2.0));
        let waits: Vec<_> = (0..12).map(|_| taken(&mut slow, at(0), &[])).collect();
        let first = [0, 500, 1000, 1500, 2000].map(|wait| Ok((1, wait)));
        let second = [0, 500, 1000, 1500, 2000].map(|wait| Ok((3, wait)));
        let full = [Err(Unavailable::Full); 2];
        assert_eq!(waits, [first.as_slice(), &second, &full].concat());
        assert_eq!(taken(&mut slow, at(60), &[]), Ok((1, 0)), "what was not used is not saved up");
        assert_eq!(taken(&mut slow, at(60), &[]), Ok((1, 500)));
    }
}
