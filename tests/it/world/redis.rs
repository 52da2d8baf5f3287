//! Owns real Redis servers for tests: each on a free loopback port with a directory of its own, stopped by its process id.
//! They can be killed, stopped and started again on the same data, alone or as a cluster or behind a sentinel.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tempfile::TempDir;

/// Longest wait for a server to do what was asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis server of its own.
pub(crate) struct Redis {
    port: u16,
    password: Option<String>,
    settings: Vec<String>,
    folder: TempDir,
    process: Option<Child>,
}

impl Redis {
    /// Starts a server as the store wants it: append-only file, nothing evicted, no password.
    pub(crate) fn start() -> Self {
        Self::start_with(None, &[])
    }

    /// Starts a server that wants a password.
    pub(crate) fn start_with_password(password: &str) -> Self {
        Self::start_with(Some(password), &[])
    }

    /// Starts a server with further settings, as on the command line of `redis-server`: they override the usual ones.
    pub(crate) fn start_with(password: Option<&str>, settings: &[&str]) -> Self {
        let mut redis = Self {
            port: free_port(),
            password: password.map(str::to_owned),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            folder: TempDir::new().unwrap(),
            process: None,
        };
        redis.run();
        redis
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its address for `[store] url`, with its password.
    pub(crate) fn url(&self) -> String {
        let login = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}/0", self.port)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again with the same port, data and settings.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Halts the process without ending it.
    pub(crate) fn halt(&self) {
        signal(self.pid(), "-STOP");
    }

    /// Lets a halted process go on.
    pub(crate) fn go_on(&self) {
        signal(self.pid(), "-CONT");
    }

    /// Sends one command and returns the answer.
    pub(crate) fn send<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_send(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Sends one command, which may fail.
    pub(crate) fn try_send<T: redis::FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(PATIENCE)?;
        let mut words = command.iter();
        let mut sent = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            sent.arg(*word);
        });
        sent.query(&mut connection)
    }

    /// All keys it holds.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.send(&["KEYS", "*"])
    }

    fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--dir", self.folder.path().to_str().unwrap(), "--save", "", "--daemonize", "no"])
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .args(["--maxmemory", "1gb", "--maxmemory-policy", "noeviction", "--loglevel", "warning"]);
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        command.args(&self.settings);
        self.process = Some(spawn(&mut command, self.folder.path()));
        wait_until("redis-server answers", || match self.try_send::<String>(&["PING"]) {
            Ok(answer) => answer == "PONG",
            Err(error) => error.code() == Some("NOPERM"),
        });
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three masters without replicas that share the slots.
pub(crate) struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let nodes: Vec<Redis> = (0..3)
            .map(|_| {
                let bus = free_port().to_string();
                let settings = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"];
                Redis::start_with(None, &settings)
            })
            .collect();
        for (node, (first, last)) in nodes.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
            node.send::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for node in &nodes[1..] {
            let bus = node.settings[3].clone();
            nodes[0].send::<()>(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), &bus]);
        }
        for node in &nodes {
            wait_until("the cluster is whole", || {
                let told: String = node.send(&["CLUSTER", "INFO"]);
                told.contains("cluster_state:ok") && told.contains("cluster_known_nodes:3")
            });
        }
        Self { nodes }
    }

    /// Its address for `[store] url`; the client finds the third node by itself.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().take(2).map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Its servers.
    pub(crate) fn into_nodes(self) -> Vec<Redis> {
        self.nodes
    }
}

/// A master with a replica, and a sentinel that watches them and may promote the replica alone.
pub(crate) struct Watched {
    /// The one that was started as master.
    pub(crate) first: Redis,
    /// The one that follows it.
    pub(crate) second: Redis,
    port: u16,
    sentinel: Child,
    _folder: TempDir,
}

impl Watched {
    pub(crate) fn start() -> Self {
        let first = Redis::start();
        let second = Redis::start_with(None, &["--replicaof", &format!("127.0.0.1 {}", first.port)]);
        wait_until("the replica follows", || second.send::<String>(&["INFO"]).contains("master_link_status:up"));
        let (port, folder) = (free_port(), TempDir::new().unwrap());
        let file = folder.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 3000\n",
            folder.path().display(),
            first.port
        );
        fs::write(&file, settings).unwrap();
        let sentinel = spawn(Command::new("redis-server").args([file.to_str().unwrap(), "--sentinel"]), folder.path());
        let watched = Self { first, second, port, sentinel, _folder: folder };
        wait_until("the sentinel knows the replica", || {
            let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
            let Ok(mut connection) = client.get_connection() else { return false };
            let told: redis::RedisResult<String> = redis::cmd("INFO").arg("sentinel").query(&mut connection);
            told.is_ok_and(|told| told.contains("slaves=1"))
        });
        watched
    }

    /// Its address for `[store] url`.
    pub(crate) fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/main", self.port)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.sentinel.kill().unwrap();
        self.sentinel.wait().unwrap();
    }
}

fn spawn(command: &mut Command, folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap_or_else(|error| {
        panic!("redis-server cannot be started ({error}): it must be in PATH; `make test` says how to install it")
    })
}

fn signal(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// A port that nobody listens at now, and that no other test of this process was given.
fn free_port() -> u16 {
    static LAST: AtomicU16 = AtomicU16::new(0);
    LAST.compare_exchange(0, 20_000 + (std::process::id() % 10_000) as u16, Ordering::Relaxed, Ordering::Relaxed).ok();
    loop {
        let port = LAST.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut left = PATIENCE;
    let step = Duration::from_millis(10);
    while !holds() {
        left = left.checked_sub(step).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain: {what}"));
        std::thread::park_timeout(step);
    }
}
