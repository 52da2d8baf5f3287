//! Owns the processes of a run: starting them on their core, ending them, and what the kernel says they cost.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Clock ticks a second in `/proc/PID/stat`: fixed by the kernel's interface on every Linux that we run on.
const TICKS_PER_SECOND: u64 = 100;

/// Where things run: the server alone, everything else together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Core {
    Server,
    Rest,
}

/// How many cores this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A command pinned to its core where there is more than one, with room for many sockets.
pub(crate) fn pinned(core: Core, program: &Path, cores: usize) -> Command {
    let mut command = Command::new("bash");
    let pin = match core {
        Core::Server => "taskset -c 0",
        Core::Rest => "taskset -c 1",
    };
    let pin = if cores > 1 { pin } else { "" };
    command.arg("-c").arg(format!("ulimit -n \"$(ulimit -H -n)\"; exec {pin} \"$0\" \"$@\"")).arg(program);
    command.stdin(Stdio::null());
    command
}

/// A process that is ended with this value.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// CPU time that it used so far, user and system, threads that ended included.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(self.proc("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = [11, 12].iter().map(|field: &usize| fields[*field].parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is as good as ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
