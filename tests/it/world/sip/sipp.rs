//! Owns SIPp processes: each plays one scenario of `tests/sip/scenarios` on a port of its own and ends by itself, or
//! after a bound. Its exit code says whether the other side kept to the scenario.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{files, free_port, until_bound};

/// When SIPp gives up by itself.
const LIMIT_S: u64 = 110;

/// One SIPp, ended when it is dropped.
pub(crate) struct Sipp {
    scenario: String,
    port: u16,
    folder: TempDir,
    process: Child,
}

impl Sipp {
    /// Plays a scenario once as the callee; `words` stand for `[name]` in it.
    pub(crate) async fn callee(scenario: &str, words: &[(&str, &str)]) -> Self {
        Self::start(scenario, words, &["-m", "1"]).await
    }

    /// Plays a scenario with further arguments of SIPp.
    pub(crate) async fn start(scenario: &str, words: &[(&str, &str)], more: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut text = fs::read_to_string(files().join("scenarios").join(format!("{scenario}.xml"))).unwrap();
        for (name, value) in words {
            text = text.replace(&format!("[{name}]"), value);
        }
        let path = folder.path().join("scenario.xml");
        fs::write(&path, text).unwrap();
        let port = free_port();
        let limit = LIMIT_S.to_string();
        let screen = fs::File::create(folder.path().join("screen.log")).unwrap();
        let process = Command::new("sipp")
            .current_dir(folder.path())
            .arg("-sf")
            .arg(&path)
            .args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &port.to_string(), "-nostdin"])
            // It takes this port for audio and the second one above for video, though nothing here speaks to them.
            .args(["-mp", &(port + 1).to_string()])
            .args(["-timeout", &limit, "-timeout_error", "-deadcall_wait", "0"])
            .args(["-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"])
            .args(["-trace_logs", "-log_file", "actions.log"])
            .args(more)
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(screen.try_clone().unwrap())
            .stderr(screen)
            .spawn()
            .expect("SIPp is installed: scripts/setup test");
        let peer = Self { scenario: scenario.to_owned(), port, folder, process };
        until_bound(port).await;
        peer
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Everything it received and sent so far.
    pub(crate) fn messages(&self) -> String {
        self.text("messages.log")
    }

    /// What the scenario noted.
    pub(crate) fn notes(&self) -> String {
        self.text("actions.log")
    }

    fn text(&self, file: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(file)).unwrap_or_default()).into_owned()
    }

    /// Waits for the end of the scenario; fails when the other side did not keep to it.
    pub(crate) async fn kept(mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(LIMIT_S + 10);
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "SIPp `{}` does not end", self.scenario);
            sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(status.code(), Some(0), "the other side of SIPp `{}` did not keep to it", self.scenario);
        self.messages()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // It may have ended by itself.
        let ended = self.process.try_wait().unwrap();
        self.process.kill().ok();
        self.process.wait().ok();
        if std::thread::panicking() {
            let [errors, messages, screen] = ["errors.log", "messages.log", "screen.log"].map(|file| self.text(file));
            let screen: String = screen.chars().filter(|c| !c.is_control() || *c == '\n').collect();
            eprintln!("SIPp `{}` at {}: {ended:?}\n{errors}\n{messages}\n{screen}", self.scenario, self.port);
        }
    }
}
