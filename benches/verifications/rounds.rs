//! Owns the order of a run: both servers started once, then rounds in which they take turns, so that a machine that is
//! busy for a while is busy for both. What counts is the median of the rounds.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncBufReadExt as _;

use crate::{
    bare,
    driver::{self, Line, Load, Target, Times},
    machine::{self, Core, Process},
    store::{Reading, Redis},
    wire::{ACCOUNT, AUTH_TOKEN, CALLER_ID},
};

/// How much is done.
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// Verifications of the load that keeps [`Scale::at_once`] going.
    pub(crate) closed: usize,
    pub(crate) at_once: usize,
    /// Rate a second and number of verifications.
    pub(crate) slow: (u32, usize),
    pub(crate) quick: (u32, usize),
    pub(crate) burst: usize,
    /// Verifications whose requests to Redis are counted one by one.
    pub(crate) watched: usize,
    /// Calls that `redis-benchmark` makes.
    pub(crate) raw: usize,
    /// The floor takes both places: what differs then is the noise of the machine.
    pub(crate) noise: bool,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        closed: 4_000,
        at_once: 64,
        slow: (50, 500),
        quick: (400, 2_000),
        burst: 2_000,
        watched: 256,
        raw: 100_000,
        noise: false,
    };
    pub(crate) const SMALL: Self = Self {
        rounds: 1,
        closed: 256,
        at_once: 16,
        slow: (50, 25),
        quick: (100, 50),
        burst: 200,
        watched: 64,
        raw: 2_000,
        noise: false,
    };
}

/// What one server gave: a figure for each round, by name.
#[derive(Default)]
pub(crate) struct Figures {
    by_name: BTreeMap<String, Vec<f64>>,
    /// Why verifications failed.
    pub(crate) wrong: Vec<String>,
    /// How many were asked for.
    pub(crate) asked: usize,
}

impl Figures {
    fn add(&mut self, name: &str, figure: f64) {
        self.by_name.entry(name.to_owned()).or_default().push(figure);
    }

    /// The median of the rounds.
    pub(crate) fn median(&self, name: &str) -> f64 {
        let mut figures = self.by_name.get(name).cloned().unwrap_or_default();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        match figures.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => f64::midpoint(figures[middle - 1], figures[middle]),
            _ => figures[middle],
        }
    }

    fn take(&mut self, asked: usize, load: &mut Load) {
        self.asked += asked;
        self.wrong.append(&mut load.wrong);
    }

    fn steps(&mut self, load_name: &str, load: &Load) {
        for (place, step) in Times::STEPS.iter().enumerate() {
            self.add(&format!("{load_name} {step} p50"), load.quantile(place, 0.50) / 1e3);
            self.add(&format!("{load_name} {step} p99"), load.quantile(place, 0.99) / 1e3);
        }
    }
}

/// What a run gave.
pub(crate) struct Results {
    pub(crate) scale: String,
    pub(crate) ours: Figures,
    pub(crate) bare: Figures,
    pub(crate) script_calls_a_second: f64,
    pub(crate) asked_of_redis: [BTreeMap<String, f64>; 2],
}

struct Side {
    target: Target,
    process: Process,
    figures: Figures,
    _files: tempfile::TempDir,
}

pub(crate) async fn run(scale: &Scale) -> Results {
    let cores = machine::cores();
    let mut redis = Redis::start(cores).await;
    let script_calls_a_second = redis.script_calls_a_second(bare::STEP, scale.raw, cores).await;
    redis.forget_all().await;
    let mut line = Arc::new(Line::open(cores).await);
    let port = line.port;
    let mut ours = start_ours(scale, &redis.url(0), port, cores).await;
    let mut bare = start_bare(&redis.url(1), port, cores).await;
    for side in [&mut ours, &mut bare] {
        let mut load = side.target.closed(&line, scale.closed / 8, scale.at_once).await;
        side.figures.take(scale.closed / 8, &mut load);
    }
    for round in 0..scale.rounds {
        let order = if round % 2 == 0 { [&mut ours, &mut bare] } else { [&mut bare, &mut ours] };
        for side in order {
            one_round(side, &line, &mut redis, scale).await;
        }
        eprintln!("round {} of {}", round + 1, scale.rounds);
    }
    let asked_of_redis = [count(&mut ours, &line, &redis, scale).await, count(&mut bare, &line, &redis, scale).await];
    let line = Arc::get_mut(&mut line).unwrap();
    let (mut ours, mut bare) = (ours.figures, bare.figures);
    burst(&mut ours, &start_ours(scale, &redis.url(0), port, cores).await, line, scale).await;
    burst(&mut bare, &start_bare(&redis.url(1), port, cores).await, line, scale).await;
    Results { scale: describe(scale, cores), ours, bare, script_calls_a_second, asked_of_redis }
}

fn describe(scale: &Scale, cores: usize) -> String {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!(
        "{profile} build, {cores} core(s), the server on one of them; {} round(s), medians; {} at once: {}, {}/s: {}, {}/s: {}",
        scale.rounds, scale.at_once, scale.closed, scale.slow.0, scale.slow.1, scale.quick.0, scale.quick.1
    )
}

async fn one_round(side: &mut Side, line: &Arc<Line>, redis: &mut Redis, scale: &Scale) {
    redis.forget_all().await;
    let (cpu, store) = (side.process.cpu(), redis.read().await);
    let load = side.target.closed(line, scale.closed, scale.at_once);
    let (mut load, resident) = with_highest_memory(&side.process, load).await;
    let (cpu_after, store_after) = (side.process.cpu(), redis.read().await);
    let each = scale.closed as f64;
    let figures = &mut side.figures;
    figures.take(scale.closed, &mut load);
    figures.add("cpu", (cpu_after - cpu).as_secs_f64() * 1e3 / each);
    figures.add("a second", load.a_second());
    figures.add("resident", resident as f64 / 1e6);
    figures.add("redis cpu", (store_after.cpu_us - store.cpu_us) / each);
    figures.add("redis kept", (store_after.memory - store.memory) / each);
    figures.add("redis commands", commands_between(&store, &store_after) / each);
    figures.steps("at once", &load);
    for (name, (rate, total)) in [("slow", scale.slow), ("quick", scale.quick)] {
        let mut load = side.target.open(line, total, rate).await;
        side.figures.take(total, &mut load);
        side.figures.steps(name, &load);
    }
}

/// Commands that Redis ran, those inside scripts included.
fn commands_between(before: &Reading, after: &Reading) -> f64 {
    let sum = |reading: &Reading| reading.calls.values().sum::<u64>();
    (sum(after) - sum(before)) as f64
}

async fn with_highest_memory(process: &Process, load: impl Future<Output = Load>) -> (Load, u64) {
    let mut highest = 0;
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    tokio::pin!(load);
    loop {
        tokio::select! {
            load = &mut load => return (load, highest.max(process.resident())),
            _ = looks.tick() => highest = highest.max(process.resident()),
        }
    }
}

/// Requests to Redis for one verification, by command.
async fn count(side: &mut Side, line: &Arc<Line>, redis: &Redis, scale: &Scale) -> BTreeMap<String, f64> {
    let watch = redis.watch().await;
    let mut load = side.target.closed(line, scale.watched, scale.at_once.min(16)).await;
    let asked = watch.end().await;
    side.figures.take(scale.watched, &mut load);
    let each = |count: u64| count as f64 / scale.watched as f64;
    side.figures.add("redis requests", each(asked.values().sum()));
    asked.into_iter().map(|(command, count)| (command, each(count))).collect()
}

/// A burst on a server that was just started, so that memory freed before cannot hide what is taken. A smaller one
/// goes before it and stays: it opens the connections, which are not what a waiting verification costs.
async fn burst(figures: &mut Figures, side: &Side, line: &mut Line, scale: &Scale) {
    let first = driver::BURST_CONNECTIONS;
    let mut opening = side.target.burst(line, first).await;
    let before = side.process.resident();
    let mut burst = side.target.burst(line, scale.burst).await;
    let at_rest = side.process.resident();
    side.target.answer(line, &mut opening).await;
    side.target.answer(line, &mut burst).await;
    figures.asked += first + scale.burst;
    figures.wrong.append(&mut opening.wrong);
    figures.wrong.append(&mut burst.wrong);
    figures.add("burst creates a second", scale.burst as f64 / burst.took.as_secs_f64());
    figures.add("burst resident", at_rest as f64 / 1e6);
    figures.add("burst each", at_rest.saturating_sub(before) as f64 / scale.burst as f64);
}

const API_KEY: &str = "rp_bench_0123456789abcdef0123456789abcdef";

async fn start_ours(scale: &Scale, redis_url: &str, carrier_port: u16, cores: usize) -> Side {
    if scale.noise {
        return start_bare(redis_url, carrier_port, cores).await;
    }
    let files = tempfile::tempdir().unwrap();
    let base = format!("http://127.0.0.1:{}", machine::free_port());
    let config = files.path().join("ringproof.toml");
    std::fs::write(&config, settings(&base, redis_url, carrier_port)).unwrap();
    let log = files.path().join("log");
    let mut command = machine::pinned(Core::Server, Path::new(env!("CARGO_BIN_EXE_ringproof")), cores);
    command.args(["serve", "--config"]).arg(&config);
    command.stdout(to(&log)).stderr(to(&log)).current_dir(files.path());
    let process = Process::start(&mut command);
    driver::ready(&base, "/readyz", &log).await;
    let target = Target::new(base, API_KEY.to_owned());
    Side { target, process, figures: Figures::default(), _files: files }
}

fn to(log: &PathBuf) -> Stdio {
    Stdio::from(File::options().create(true).append(true).open(log).unwrap())
}

/// A plain configuration, with limits that are wide but counted. The callee of the benchmark presses at once, so keys count from the first moment.
fn settings(base: &str, redis_url: &str, carrier_port: u16) -> String {
    let key: String = Sha256::digest(API_KEY.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let listen = base.trim_start_matches("http://");
    format!(
        "[server]\nlisten = \"{listen}\"\npublic_url = \"{base}\"\n\n[store]\nurl = \"{redis_url}\"\n\n\
         [numbers]\ncountries = [\"JP\"]\n\n[verification]\nbrand = \"Contoso\"\nearly_keys = \"0s\"\n\n\
         [limits]\nclient = [\"100000000/1h\"]\n[guard]\nprefix = [\"100000000/10m\"]\nneighbours = [\"100000000/1h\"]\n\
         country = [\"100000000/1h\"]\njudge_from = 100000000\n[spend]\nother_price = \"0.01\"\nper_hour = \"9000000\"\nper_day = \"9000000\"\n\
         client_per_hour = \"9000000\"\nclient_per_day = \"9000000\"\n\n\
         [[carriers]]\nname = \"main\"\nkind = \"twilio\"\nbase_url = \"http://127.0.0.1:{carrier_port}\"\n\
         account_sid = \"{ACCOUNT}\"\nauth_token = \"{AUTH_TOKEN}\"\nfrom = [\"{CALLER_ID}\"]\ncountries = [\"*\"]\n\n\
         [[api_keys]]\nname = \"bench\"\nsha256 = \"{key}\"\nscopes = [\"verify\"]\n"
    )
}

async fn start_bare(redis_url: &str, carrier_port: u16, cores: usize) -> Side {
    let files = tempfile::tempdir().unwrap();
    let me = std::env::current_exe().unwrap();
    let mut command = machine::pinned(Core::Server, &me, cores);
    command.args(["bare", redis_url, &format!("http://127.0.0.1:{carrier_port}"), API_KEY]).stdout(Stdio::piped());
    let mut process = Process::start(&mut command);
    let told = tokio::process::ChildStdout::from_std(process.0.stdout.take().unwrap()).unwrap();
    let first = tokio::io::BufReader::new(told).lines().next_line().await.unwrap().unwrap();
    let target = Target::new(first.trim_start_matches("ready ").to_owned(), API_KEY.to_owned());
    Side { target, process, figures: Figures::default(), _files: files }
}
