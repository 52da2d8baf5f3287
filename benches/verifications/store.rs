//! Owns the Redis of a run: set up as `deploy/redis.conf` says, on a free port, and what it says about itself.

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use redis::aio::MultiplexedConnection;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::machine::{self, Core, Process};

pub(crate) struct Redis {
    _process: Process,
    port: u16,
    connection: MultiplexedConnection,
    _dir: tempfile::TempDir,
}

/// What Redis had done at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// CPU of its process, in µs.
    pub(crate) cpu_us: f64,
    /// Memory in use, in bytes.
    pub(crate) memory: f64,
    /// Calls by command, those inside scripts included.
    pub(crate) calls: BTreeMap<String, u64>,
}

impl Redis {
    pub(crate) async fn start(cores: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = machine::free_port();
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/redis.conf");
        let mut command = machine::pinned(Core::Rest, Path::new("redis-server"), cores);
        command.arg(conf).args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(dir.path());
        let process = Process::start(command.stdout(Stdio::null()));
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/0")).unwrap();
        let mut tries = 0;
        let connection = loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => break connection,
                Err(error) if tries == 200 => panic!("redis-server did not start: {error}"),
                Err(_) => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        Self { _process: process, port, connection, _dir: dir }
    }

    pub(crate) fn url(&self, database: u8) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) async fn read(&mut self) -> Reading {
        let info: String = redis::cmd("INFO").arg("everything").query_async(&mut self.connection).await.unwrap();
        let fields: BTreeMap<&str, &str> = info.lines().filter_map(|line| line.split_once(':')).collect();
        let number = |name: &str| fields[name].parse::<f64>().unwrap();
        let calls = fields.iter().filter_map(|(name, value)| {
            let calls = value.split(',').find_map(|part| part.strip_prefix("calls="))?;
            Some((name.strip_prefix("cmdstat_")?.to_owned(), calls.parse().ok()?))
        });
        Reading {
            cpu_us: (number("used_cpu_sys") + number("used_cpu_user")) * 1e6,
            memory: number("used_memory") - number("mem_clients_normal") - number("mem_aof_buffer"),
            calls: calls.collect(),
        }
    }

    /// How long the oldest entry of the log of AOF is behind does not matter here; what is kept by it does not count.
    pub(crate) async fn forget_all(&mut self) {
        let _: () = redis::cmd("FLUSHALL").arg("SYNC").query_async(&mut self.connection).await.unwrap();
    }

    /// Follows what clients ask, until [`Watch::end`].
    pub(crate) async fn watch(&self) -> Watch {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await.unwrap());
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut ok = String::new();
        stream.read_line(&mut ok).await.unwrap();
        let lines = tokio::spawn(async move {
            let mut asked: BTreeMap<String, u64> = BTreeMap::new();
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).await.unwrap_or(0) > 0 {
                let text = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                if text.contains(END_OF_WATCH) {
                    break;
                }
                let Some((place, command)) = text.split_once("] \"") else { continue };
                let by_a_script = place.ends_with(" lua");
                let command = command.split('"').next().unwrap_or("").to_lowercase();
                if !by_a_script {
                    *asked.entry(command).or_default() += 1;
                }
            }
            asked
        });
        Watch { lines, connection: self.connection.clone() }
    }

    /// What `redis-benchmark` gets out of the script of the floor, in calls a second, from another process.
    pub(crate) async fn script_calls_a_second(&mut self, script: &str, calls: usize, cores: usize) -> f64 {
        let sha: String = redis::cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut self.connection).await.unwrap();
        let mut command = machine::pinned(Core::Server, Path::new("redis-benchmark"), cores);
        command.args(["-p", &self.port.to_string(), "-c", "64", "-r", "1000000000", "--csv", "-n", &calls.to_string()]);
        command.args([
            "EVALSHA",
            &sha,
            "2",
            "v:{0}:__rand_int__",
            "deadlines:{0}",
            "0",
            "1",
            &"x".repeat(120),
            "3600000",
            "1",
        ]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let csv = String::from_utf8(output.stdout).unwrap();
        let row = csv.lines().last().unwrap();
        // The command itself is the first field and holds commas: count from the end, where eight figures follow it.
        let figures: Vec<&str> = row.rsplit(',').take(7).collect();
        figures[6].trim_matches('"').parse().unwrap()
    }
}

const END_OF_WATCH: &str = "end-of-watch";

/// A view on what clients ask of Redis.
pub(crate) struct Watch {
    lines: tokio::task::JoinHandle<BTreeMap<String, u64>>,
    connection: MultiplexedConnection,
}

impl Watch {
    /// Requests by clients since the begin, by command.
    pub(crate) async fn end(mut self) -> BTreeMap<String, u64> {
        let _: String = redis::cmd("PING").arg(END_OF_WATCH).query_async(&mut self.connection).await.unwrap();
        self.lines.await.unwrap()
    }
}
