//! Owns the built program as people run it: a command until its end, or the service until it is stopped by its process
//! id. Each has a folder of its own and none of the settings of whoever runs the tests.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use ringproof::{
    gateway::SystemEntropy,
    http::{ApiKey, Scope},
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::server::NO_LIMITS;

/// Longest wait for the program to do what was asked.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) out: String,
    /// What it said besides.
    pub(crate) err: String,
}

/// The program without any setting of the outside.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringproof"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGPROOF_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).env_remove("NO_COLOR").env("RUST_BACKTRACE", "0").env("TZ", "UTC");
    command.env_remove("LC_MESSAGES").env_remove("LANG").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Ended {
    ended(program(folder).args(arguments))
}

/// Runs a command that is given lines to read.
pub(crate) fn run_with_input(folder: &Path, arguments: &[&str], input: &str) -> Ended {
    let mut child = program(folder).args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    // A command that has seen enough closes its end.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    of(child.wait_with_output().unwrap())
}

/// Runs a command that was put together elsewhere.
pub(crate) fn ended(command: &mut Command) -> Ended {
    of(command.output().unwrap())
}

fn of(output: std::process::Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A port that nobody has at the moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A file of settings with an API key that may do everything, and what is special about it.
pub(crate) struct Settings {
    folder: TempDir,
    port: u16,
    key: String,
}

impl Settings {
    /// Writes settings that listen on a free port, call nobody but `+81` and `+1`, and end with `more`.
    pub(crate) fn new(store: &str, more: &str) -> Self {
        Self::with_verification(store, "", more)
    }

    /// The same with further lines of `[verification]`.
    pub(crate) fn with_verification(store: &str, verification: &str, more: &str) -> Self {
        let settings = Self { folder: TempDir::new().unwrap(), port: free_port(), key: String::new() };
        let key = ApiKey::generate(&SystemEntropy);
        let entry = key.config("tests", Scope::ALL);
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\n\
             [store]\nurl = \"{store}\"\n[numbers]\ncountries = [\"JP\", \"US\"]\n\
             [verification]\nbrand = \"Contoso\"\nearly_keys = \"0s\"\nclosing = \"0s\"\nredial_after = \"0s\"\n\
             {verification}\n[[api_keys]]\nname = \"tests\"\nsha256 = \"{}\"\nscopes = [\"verify\", \"calls\", \"admin\"]\n{more}\n{NO_LIMITS}\n",
            entry.sha256,
            port = settings.port,
        );
        fs::write(settings.file(), text).unwrap();
        Self { key: key.expose().to_owned(), ..settings }
    }

    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ringproof.toml")
    }

    /// The folder it is in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the service is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The API key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Runs a command that reaches the service with the API key.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(program(self.folder()).args(arguments).env("RINGPROOF_API_KEY", &self.key))
    }
}

/// The service, until it is stopped or dropped.
pub(crate) struct Serving {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
    ended: Receiver<()>,
}

impl Serving {
    /// Starts it and waits until it serves.
    pub(crate) fn start(settings: &Settings) -> Self {
        Self::start_with(settings, &[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(settings: &Settings, arguments: &[&str]) -> Self {
        let mut process = program(settings.folder()).arg("serve").args(arguments).spawn().unwrap();
        let err = BufReader::new(process.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (serves, started) = channel();
        let (end, ended) = channel();
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                if line.contains("\"address\"") && line.contains(" serves") {
                    serves.send(()).ok();
                }
                kept.lock().unwrap().push(line);
            }
            end.send(()).ok();
        });
        let service = Self { process, lines, ended };
        assert!(started.recv_timeout(PATIENCE).is_ok(), "the service did not start:\n{}", service.log());
        service
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to stop, and waits for its end: exit code and the time it took.
    pub(crate) fn stop(mut self) -> (Option<i32>, Duration, String) {
        let begun = Instant::now();
        signal(self.pid(), "TERM");
        assert!(self.ended.recv_timeout(PATIENCE).is_ok(), "the service did not stop:\n{}", self.log());
        let status = self.process.wait().unwrap();
        (status.code(), begun.elapsed(), self.log())
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have been stopped already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}
