//! Owns who calls: ringproof as it is installed, asked over HTTP; the floor, told how many calls to make; and the peer.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{ChildStdin, ChildStdout, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, JoinSet};

use crate::{
    asterisk::Asterisk,
    machine::{self, Core, Process},
    rounds::Load,
};

const API_KEY: &str = "rp_bench_0123456789abcdef0123456789abcdef";
/// Longest wait for ringproof to be ready, and for a verification to be decided once its call is over.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who calls.
pub(crate) enum Caller {
    Ours(Ours),
    Bare(Bare),
    Asterisk(Asterisk),
}

/// Calls that were begun.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// What ringproof calls them.
    pub(crate) ids: Vec<String>,
    /// How many were begun a second.
    pub(crate) a_second: f64,
    pub(crate) wrong: Vec<String>,
}

impl Caller {
    pub(crate) fn process(&self) -> &Process {
        match self {
            Self::Ours(ours) => &ours.process,
            Self::Bare(bare) => &bare.process,
            Self::Asterisk(asterisk) => &asterisk.process,
        }
    }

    /// Begins the calls of a load; each of the floor's sends so many packets.
    pub(crate) fn begin(&mut self, load: &Load, packets: u64) -> JoinHandle<Made> {
        match self {
            Self::Ours(ours) => tokio::spawn(ours.client.clone().ask(*load)),
            Self::Bare(bare) => bare.begin(load, packets),
            Self::Asterisk(asterisk) => asterisk.begin(load),
        }
    }

    /// What is wrong with calls that are over.
    pub(crate) async fn judge(&self, ids: &[String]) -> Vec<String> {
        match self {
            Self::Ours(ours) => ours.client.judge(ids).await,
            Self::Bare(_) | Self::Asterisk(_) => Vec::new(),
        }
    }
}

/// ringproof, on a free port.
pub(crate) struct Ours {
    process: Process,
    client: Client,
    _files: tempfile::TempDir,
}

/// A backend of ringproof.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
    next_number: Arc<AtomicU32>,
}

#[derive(serde::Deserialize)]
struct Document {
    id: String,
    status: String,
    #[serde(default)]
    reason: Option<String>,
}

impl Ours {
    pub(crate) async fn start(redis_url: &str, trunk_port: u16, cores: usize) -> Self {
        let files = tempfile::tempdir().unwrap();
        let base = format!("http://127.0.0.1:{}", machine::free_port());
        let config = files.path().join("ringproof.toml");
        std::fs::write(&config, settings(&base, redis_url, trunk_port)).unwrap();
        let log = files.path().join("log");
        let to_log = || Stdio::from(File::options().create(true).append(true).open(&log).unwrap());
        let mut command = machine::pinned(Core::Server, Path::new(env!("CARGO_BIN_EXE_ringproof")), cores);
        command.args(["serve", "--config"]).arg(&config);
        let process = Process::start(command.stdout(to_log()).stderr(to_log()).current_dir(files.path()));
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let client = Client { http, base, next_number: Arc::default() };
        client.ready(&log).await;
        Self { process, client, _files: files }
    }
}

impl Client {
    async fn ready(&self, log: &Path) {
        let begun = Instant::now();
        loop {
            let answer = self.http.get(format!("{}/readyz", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            if begun.elapsed() > PATIENCE {
                panic!("ringproof did not become ready:\n{}", std::fs::read_to_string(log).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// So many verifications, one asked for each `1/rate` seconds, whether the ones before have ended or not.
    async fn ask(self, load: Load) -> Made {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for n in 0..load.total {
            tokio::time::sleep_until((begun + Duration::from_secs(1) * n / load.rate).into()).await;
            let client = self.clone();
            asking.spawn(async move { client.create().await });
        }
        let mut made = Made::default();
        for created in asking.join_all().await {
            match created {
                Ok(id) => made.ids.push(id),
                Err(why) => made.wrong.push(why),
            }
        }
        made.a_second = made.ids.len() as f64 / begun.elapsed().as_secs_f64();
        made
    }

    async fn create(&self) -> Result<String, String> {
        // A Japanese mobile number that was not used before in this run.
        let number = format!("+8190{:08}", 20_000_000 + self.next_number.fetch_add(1, Ordering::Relaxed));
        let body = serde_json::json!({ "to": number, "locale": "en-US", "purpose": "enrolment" });
        let request = self.http.post(format!("{}/v1/verifications", self.base)).bearer_auth(API_KEY).json(&body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let (code, text) = (answer.status(), answer.text().await.map_err(|error| error.to_string())?);
        let document: Result<Document, _> = serde_json::from_str(&text);
        document.map(|document| document.id).map_err(|_| format!("{code}: {text}"))
    }

    async fn judge(&self, ids: &[String]) -> Vec<String> {
        let begun = Instant::now();
        let mut wrong = Vec::new();
        for id in ids {
            loop {
                let request = self.http.get(format!("{}/v1/verifications/{id}", self.base)).bearer_auth(API_KEY);
                let document: Document = request.send().await.unwrap().json().await.unwrap();
                if document.status == "pending" && begun.elapsed() < PATIENCE {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                if document.status != "verified" {
                    wrong.push(format!("{id} is {} ({})", document.status, document.reason.unwrap_or_default()));
                }
                break;
            }
        }
        wrong
    }
}

/// A plain configuration, with limits that are wide but counted. The callee of a short call presses at once, so keys count from the first moment.
fn settings(base: &str, redis_url: &str, trunk_port: u16) -> String {
    let key: String = Sha256::digest(API_KEY.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let listen = base.trim_start_matches("http://");
    format!(
        "[server]\nlisten = \"{listen}\"\npublic_url = \"{base}\"\n\n[store]\nurl = \"{redis_url}\"\n\n\
         [numbers]\ncountries = [\"JP\"]\n\n[verification]\nbrand = \"Contoso\"\nearly_keys = \"0s\"\n\n\
         [limits]\nclient = [\"100000000/1h\"]\n[guard]\nprefix = [\"100000000/10m\"]\nneighbours = [\"100000000/1h\"]\n\
         country = [\"100000000/1h\"]\njudge_from = 100000000\n[spend]\nother_price = \"0.01\"\nper_hour = \"9000000\"\nper_day = \"9000000\"\n\
         client_per_hour = \"9000000\"\nclient_per_day = \"9000000\"\n\n\
         [[carriers]]\nname = \"main\"\nkind = \"sip\"\ntrunk = \"sip:127.0.0.1:{trunk_port}\"\n\
         bind = \"127.0.0.1:0\"\nfrom = [\"+815012345678\"]\ncountries = [\"*\"]\nprobe_interval = \"0s\"\n\
         max_calls = 4000\n\n\
         [[api_keys]]\nname = \"bench\"\nsha256 = \"{key}\"\nscopes = [\"verify\"]\n"
    )
}

/// The floor's process.
pub(crate) struct Bare {
    process: Process,
    to: ChildStdin,
    from: Arc<Mutex<BufReader<ChildStdout>>>,
}

impl Bare {
    pub(crate) fn start(callee_port: u16, cores: usize) -> Self {
        let mut command = machine::pinned(Core::Server, &std::env::current_exe().unwrap(), cores);
        command.args(["bare", &callee_port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let (to, from) = (process.0.stdin.take().unwrap(), process.0.stdout.take().unwrap());
        let from = Arc::new(Mutex::new(BufReader::new(from)));
        assert_eq!(line(&from), "ready");
        Self { process, to, from }
    }

    fn begin(&mut self, load: &Load, packets: u64) -> JoinHandle<Made> {
        writeln!(self.to, "{} {} {packets}", load.rate, load.total).unwrap();
        let (from, total) = (Arc::clone(&self.from), load.total);
        tokio::task::spawn_blocking(move || {
            let told = line(&from);
            let (over, a_second) = told.split_once(' ').unwrap();
            let wrong = if over == total.to_string() { None } else { Some(format!("{over} of {total} calls ended")) };
            Made { ids: Vec::new(), a_second: a_second.parse().unwrap(), wrong: wrong.into_iter().collect() }
        })
    }
}

fn line(from: &Mutex<BufReader<ChildStdout>>) -> String {
    let mut line = String::new();
    from.lock().unwrap().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
