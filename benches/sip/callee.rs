//! Owns the far end of a run: SIPp, which answers every call, and the process of the ear, which hears and presses.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::UdpSocket,
    path::Path,
    process::{ChildStdin, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use crate::{
    ear::Heard,
    machine::{self, Core, Process},
};

/// Longest wait for SIPp to listen.
const STARTED_WITHIN: Duration = Duration::from_secs(10);

/// Who is called.
pub(crate) struct Callee {
    ear: Ear,
    _sipp: Process,
    _folder: tempfile::TempDir,
    /// Where SIP is spoken, over UDP.
    pub(crate) port: u16,
}

struct Ear {
    _process: Process,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Callee {
    pub(crate) fn start(cores: usize) -> Self {
        let mut ear = Ear::start(cores);
        let media_ports = ear.line();
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let sipp = sipp(port, &media_ports, folder.path(), cores);
        Self { ear, _sipp: sipp, _folder: folder, port }
    }

    /// Begins a load: calls from now on are counted anew, and each presses after so long.
    pub(crate) fn listen(&mut self, listens: Duration) {
        writeln!(self.ear.to, "listen {}", listens.as_millis()).unwrap();
        assert_eq!(self.ear.line(), "ready");
    }

    /// What was heard since [`Callee::listen`].
    pub(crate) fn heard(&mut self) -> Heard {
        self.ear.to.write_all(b"heard\n").unwrap();
        serde_json::from_str(&self.ear.line()).unwrap()
    }
}

impl Ear {
    fn start(cores: usize) -> Self {
        let mut command = machine::pinned(Core::Rest, &std::env::current_exe().unwrap(), cores);
        let mut process = Process::start(command.arg("ear").stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (to, from) = (process.0.stdin.take().unwrap(), BufReader::new(process.0.stdout.take().unwrap()));
        Self { _process: process, to, from }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// SIPp with the media ports as its list, one after another for each call.
fn sipp(port: u16, media_ports: &str, folder: &Path, cores: usize) -> Process {
    let ports = format!("SEQUENTIAL\n{}\n", media_ports.replace(' ', "\n"));
    std::fs::write(folder.join("ports.csv"), ports).unwrap();
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sip/callee.xml");
    let mut command = machine::pinned(Core::Rest, Path::new("sipp"), cores);
    command.arg("-sf").arg(scenario).args(["-inf", "ports.csv", "-i", "127.0.0.1", "-p", &port.to_string()]);
    command.args(["-nostdin", "-deadcall_wait", "0", "-buff_size", "4194304"]).current_dir(folder);
    command.args(["-trace_err", "-error_file", "errors.log"]).env("TERM", "dumb");
    let process = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let begun = Instant::now();
    while UdpSocket::bind(("127.0.0.1", port)).is_ok() {
        assert!(begun.elapsed() < STARTED_WITHIN, "SIPp does not start; it is installed by scripts/setup test");
        std::thread::sleep(Duration::from_millis(20));
    }
    process
}
