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
        let process = Command::new("sipp")
            .current_dir(folder.path())
            .arg("-sf")
            .arg(&path)
            .args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &port.to_string(), "-nostdin"])
            .args(["-timeout", &limit, "-timeout_error", "-deadcall_wait", "0"])
            .args(["-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"])
            .args(["-trace_logs", "-log_file", "actions.log"])
            .args(more)
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
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
        fs::read_to_string(self.folder.path().join("messages.log")).unwrap_or_default()
    }

    /// What the scenario noted.
    pub(crate) fn notes(&self) -> String {
        fs::read_to_string(self.folder.path().join("actions.log")).unwrap_or_default()
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
        let errors = fs::read_to_string(self.folder.path().join("errors.log")).unwrap_or_default();
        let messages = self.messages();
        assert_eq!(status.code(), Some(0), "SIPp `{}`: {errors}\n{messages}", self.scenario);
        messages
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
