//! Owns the loads: asks a server for verifications, lets the carrier play them, reads the outcome, and measures.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{ChildStdin, ChildStdout, Command},
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
};

use crate::{
    carrier::{Played, Told},
    machine::{self, Core},
    wire::{self, Http},
};

/// How long one call may take before it counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(60);
/// Connections that a burst of creates comes over.
pub(crate) const BURST_CONNECTIONS: usize = 256;

/// The times of one verification, in µs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// In the order of [`Times::STEPS`].
    pub(crate) steps: [u64; 7],
}

impl Times {
    /// What is timed: requests until their answer; the placement from the request until the order is at the carrier; the
    /// whole from the request until the outcome was read.
    pub(crate) const STEPS: [&str; 7] = ["create", "placement", "flow", "key", "status", "read", "whole"];
}

/// What one load gave.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) times: Vec<Times>,
    pub(crate) wrong: Vec<String>,
    pub(crate) took: Duration,
}

type Waiting = Arc<Mutex<BTreeMap<String, oneshot::Sender<Result<Played, String>>>>>;

/// The carrier's process, and who waits for which call.
pub(crate) struct Line {
    _process: tokio::process::Child,
    commands: ChildStdin,
    waiting: Waiting,
    ordered: watch::Receiver<usize>,
    pub(crate) port: u16,
}

impl Line {
    pub(crate) async fn open(cores: usize) -> Self {
        let me = std::env::current_exe().unwrap();
        let mut command = Command::from(machine::pinned(Core::Rest, &me, cores));
        command.arg("carrier").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut told = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = told.next_line().await.unwrap().unwrap();
        let Some(Told::Ready(port)) = Told::parse(&first) else { panic!("the carrier said {first}") };
        let waiting = Waiting::default();
        let (count, ordered) = watch::channel(0);
        tokio::spawn(listen(told, Arc::clone(&waiting), count));
        Self { commands: process.stdin.take().unwrap(), _process: process, waiting, ordered, port }
    }

    fn expect(&self, number: &str) -> oneshot::Receiver<Result<Played, String>> {
        let (tell, told) = oneshot::channel();
        self.waiting.lock().unwrap().insert(number.to_owned(), tell);
        told
    }

    async fn say(&mut self, command: &str) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }
}

async fn listen(mut told: tokio::io::Lines<BufReader<ChildStdout>>, waiting: Waiting, count: watch::Sender<usize>) {
    while let Ok(Some(line)) = told.next_line().await {
        let (number, result) = match Told::parse(&line) {
            Some(Told::Played(played)) => (played.number.clone(), Ok(played)),
            Some(Told::Wrong { number, why }) => (number, Err(why)),
            Some(Told::Ordered) => {
                count.send_modify(|count| *count += 1);
                continue;
            }
            Some(Told::Ready(_)) | None => continue,
        };
        if let Some(tell) = waiting.lock().unwrap().remove(&number) {
            // Whoever waited may have given up: then the verification is counted as lost there.
            let _ = tell.send(result);
        }
    }
}

/// A server under load.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) api_key: String,
    http: Http,
    next_number: Arc<AtomicU64>,
}

#[derive(serde::Deserialize)]
struct Answer {
    id: String,
    status: String,
}

impl Target {
    pub(crate) fn new(base: String, api_key: String) -> Self {
        Self { base, api_key, http: wire::client(), next_number: Arc::new(AtomicU64::new(0)) }
    }

    /// A Japanese mobile number that was not used before in this run.
    fn number(&self) -> String {
        format!("+8190{:08}", 20_000_000 + self.next_number.fetch_add(1, Ordering::Relaxed))
    }

    async fn create(&self, number: &str) -> Result<String, String> {
        let body = format!(
            "{{\"to\":\"{number}\",\"locale\":\"ja-JP\",\"purpose\":\"enrolment\",\"reference\":\"user-{}\"}}",
            &number[5..]
        );
        let request = Request::post(format!("{}/v1/verifications", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.api_key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .unwrap();
        let answer = self.ask(request, StatusCode::CREATED).await?;
        Ok(answer.id)
    }

    async fn read(&self, id: &str) -> Result<String, String> {
        let request = Request::get(format!("{}/v1/verifications/{id}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.api_key))
            .body(Full::new(Bytes::new()))
            .unwrap();
        Ok(self.ask(request, StatusCode::OK).await?.status)
    }

    async fn ask(&self, request: Request<Full<Bytes>>, expected: StatusCode) -> Result<Answer, String> {
        let (code, body) = wire::send(&self.http, request).await?;
        if code != expected {
            return Err(format!("{code}: {}", String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }

    /// One whole verification.
    async fn verify(&self, line: &Line) -> Result<Times, String> {
        let number = self.number();
        let call = line.expect(&number);
        let begun = wire::now_us();
        let id = self.create(&number).await?;
        let created = wire::now_us();
        let call = tokio::time::timeout(LOST_AFTER, call).await.map_err(|_| String::from("no call"))?;
        let played = call.map_err(|_| String::from("the carrier is gone"))??;
        let asked = wire::now_us();
        let status = self.read(&id).await?;
        let ended = wire::now_us();
        if status != "verified" {
            return Err(format!("{id} is {status}"));
        }
        let placement = played.ordered_at.saturating_sub(begun);
        let steps = [created - begun, placement, played.flow, played.key, played.status, ended - asked, ended - begun];
        Ok(Times { steps })
    }

    /// So many verifications, so many at once: the next begins when one has ended.
    pub(crate) async fn closed(&self, line: &Arc<Line>, total: usize, at_once: usize) -> Load {
        let begun = Instant::now();
        let left = Arc::new(AtomicU64::new(total as u64));
        let mut workers = JoinSet::new();
        for _ in 0..at_once {
            let (target, line, left) = (self.clone(), Arc::clone(line), Arc::clone(&left));
            workers.spawn(async move {
                let mut results = Vec::new();
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    results.push(target.verify(&line).await);
                }
                results
            });
        }
        let results = workers.join_all().await.into_iter().flatten().collect();
        Load::of(results, begun.elapsed())
    }

    /// So many verifications, one begun each `1/rate` seconds, whether the ones before have ended or not.
    pub(crate) async fn open(&self, line: &Arc<Line>, total: usize, rate: u32) -> Load {
        let begun = Instant::now();
        let mut all = JoinSet::new();
        for n in 0..u32::try_from(total).unwrap() {
            tokio::time::sleep_until((begun + Duration::from_secs(1) * n / rate).into()).await;
            let (target, line) = (self.clone(), Arc::clone(line));
            all.spawn(async move { target.verify(&line).await });
        }
        let results = all.join_all().await;
        Load::of(results, begun.elapsed())
    }

    /// So many creates as fast as they go while the carrier lets every phone ring, until all wait for their callee.
    pub(crate) async fn burst(&self, line: &mut Line, total: usize) -> Burst {
        let begun = Instant::now();
        line.say("hold").await;
        let before = *line.ordered.borrow();
        let doors = Arc::new(Semaphore::new(BURST_CONNECTIONS));
        let mut creates = JoinSet::new();
        for _ in 0..total {
            let (target, doors, number) = (self.clone(), Arc::clone(&doors), self.number());
            let call = line.expect(&number);
            creates.spawn(async move {
                let _door = doors.acquire().await.unwrap();
                target.create(&number).await.map(|id| (id, call))
            });
        }
        let mut burst = Burst::default();
        for created in creates.join_all().await {
            match created {
                Ok(call) => burst.calls.push(call),
                Err(why) => burst.wrong.push(why),
            }
        }
        burst.took = begun.elapsed();
        let accepted = burst.calls.len();
        let all_ordered = line.ordered.wait_for(|ordered| ordered - before >= accepted);
        if tokio::time::timeout(LOST_AFTER, all_ordered).await.is_err() {
            burst.wrong.push(format!("{accepted} accepted, {} ordered", *line.ordered.borrow() - before));
        }
        // The last orders have been answered, but the server may still be writing that down.
        tokio::time::sleep(Duration::from_millis(200)).await;
        burst
    }

    /// All who wait answer and press their key.
    pub(crate) async fn answer(&self, line: &mut Line, burst: &mut Burst) {
        line.say("go").await;
        for (id, call) in std::mem::take(&mut burst.calls) {
            let outcome = match tokio::time::timeout(LOST_AFTER, call).await {
                Ok(Ok(Ok(_))) => self.read(&id).await,
                Ok(Ok(Err(why))) => Err(why),
                Ok(Err(_)) | Err(_) => Err(format!("{id} was not called")),
            };
            if outcome.as_deref() != Ok("verified") {
                burst.wrong.push(format!("{id}: {outcome:?}"));
            }
        }
    }
}

/// Verifications that wait for their callee.
#[derive(Default)]
pub(crate) struct Burst {
    calls: Vec<(String, oneshot::Receiver<Result<Played, String>>)>,
    pub(crate) wrong: Vec<String>,
    /// From the first create until all were answered.
    pub(crate) took: Duration,
}

impl Load {
    fn of(results: Vec<Result<Times, String>>, took: Duration) -> Self {
        let mut load = Self { took, ..Self::default() };
        for result in results {
            match result {
                Ok(times) => load.times.push(times),
                Err(why) => load.wrong.push(why),
            }
        }
        load
    }

    /// The time below which this share of the verifications was, for one step, in µs.
    pub(crate) fn quantile(&self, step: usize, share: f64) -> f64 {
        let mut times: Vec<u64> = self.times.iter().map(|times| times.steps[step]).collect();
        times.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in a list of a few thousand"
        )]
        let place = (share * (times.len().max(1) - 1) as f64).ceil() as usize;
        times.get(place).copied().unwrap_or_default() as f64
    }

    pub(crate) fn a_second(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }
}

/// Waits until a server answers on this path with a success.
pub(crate) async fn ready(base: &str, path: &str, log: &Path) {
    let http = wire::client();
    for _ in 0..400 {
        let request = Request::get(format!("{base}{path}")).body(Full::new(Bytes::new())).unwrap();
        if let Ok((code, _)) = wire::send(&http, request).await
            && code.is_success()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let first: Vec<&str> = log.lines().take(20).collect();
    panic!("{base}{path} did not become ready; its log begins:\n{}", first.join("\n"));
}
