//! Owns the peer: Asterisk, where a machine has it, making the same calls: a prompt that a # ends, a goodbye, and as many
//! RTP packets. It is asked over its manager interface, keeps no record, and tells nobody of the key.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::{
    callers::Made,
    machine::{self, Core, Process},
    rounds::Load,
};

/// Longest wait for it to start, and for an answer of its manager.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of one packet of mu-law, 20 ms.
const PACKET_BYTES: usize = 160;
/// The prompt lasts longer than any callee listens.
const PROMPT_PACKETS: usize = 1_500;
/// With what comes before the key is heard, a short call has about as many packets as one of ringproof.
const GOODBYE_PACKETS: usize = 92;

/// The process, and its manager.
pub(crate) struct Asterisk {
    pub(crate) process: Process,
    manager: TcpStream,
    refused: Arc<AtomicU32>,
    next_number: u32,
    _files: tempfile::TempDir,
}

/// Where Asterisk is, if this machine has it.
pub(crate) fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("asterisk")).find(|file| file.is_file())
}

impl Asterisk {
    pub(crate) fn start(program: &Path, callee_port: u16, cores: usize) -> Self {
        let files = tempfile::tempdir().unwrap();
        let port = machine::free_port();
        configure(files.path(), port, callee_port);
        let mut command = machine::pinned(Core::Server, program, cores);
        command.arg("-f").arg("-C").arg(files.path().join("asterisk.conf"));
        let log = || Stdio::from(File::options().create(true).append(true).open(files.path().join("log")).unwrap());
        let process = Process::start(command.stdout(log()).stderr(log()));
        let manager = connect(port);
        let refused = Arc::new(AtomicU32::new(0));
        let (answers, count) = (BufReader::new(manager.try_clone().unwrap()), Arc::clone(&refused));
        // Ends with the connection.
        std::thread::spawn(move || {
            for line in answers.lines().map_while(Result::ok).filter(|line| line.starts_with("Response: Error")) {
                drop(line);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut asterisk = Self { process, manager, refused, next_number: 0, _files: files };
        asterisk
            .manager
            .write_all(b"Action: Login\r\nUsername: bench\r\nSecret: bench\r\nEvents: off\r\n\r\n")
            .unwrap();
        asterisk
    }

    /// So many calls, one begun each `1/rate` seconds.
    pub(crate) fn begin(&mut self, load: &Load) -> JoinHandle<Made> {
        let (mut manager, refused, load) = (self.manager.try_clone().unwrap(), Arc::clone(&self.refused), *load);
        let first = self.next_number;
        self.next_number += load.total;
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            for n in 0..load.total {
                std::thread::sleep((Duration::from_secs(1) * n / load.rate).saturating_sub(begun.elapsed()));
                let number = 20_000_000 + first + n;
                let action = format!(
                    "Action: Originate\r\nChannel: PJSIP/+8190{number}@trunk\r\nContext: verify\r\nExten: s\r\nPriority: 1\r\n\
                     CallerID: <+815012345678>\r\nAsync: true\r\n\r\n"
                );
                manager.write_all(action.as_bytes()).unwrap();
            }
            let a_second = f64::from(load.total) / begun.elapsed().as_secs_f64();
            let refused = refused.swap(0, Ordering::Relaxed);
            let wrong = (refused > 0).then(|| format!("{refused} calls were refused"));
            Made { ids: Vec::new(), a_second, wrong: wrong.into_iter().collect() }
        })
    }
}

fn connect(port: u16) -> TcpStream {
    let begun = Instant::now();
    loop {
        if let Ok(manager) = TcpStream::connect(("127.0.0.1", port)) {
            return manager;
        }
        assert!(begun.elapsed() < PATIENCE, "Asterisk does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// All that it reads: a trunk without credentials, one context, two recordings; no records of calls.
fn configure(folder: &Path, manager_port: u16, callee_port: u16) {
    let here = folder.display();
    let places = ["astetcdir", "astvarlibdir", "astdbdir", "astkeydir", "astspooldir", "astrundir", "astlogdir"];
    let places: String = places.iter().map(|place| format!("{place} => {here}\n")).collect();
    let endpoint =
        "context=verify\ndisallow=all\nallow=ulaw\naors=trunk\ndirect_media=no\ndtmf_mode=rfc4733\ntimers=no\n";
    let files = [
        ("asterisk.conf", format!("[directories]\n{places}\n[options]\nquiet=yes\n")),
        ("modules.conf", "[modules]\nautoload=yes\n".into()),
        ("logger.conf", "[general]\n[logfiles]\n".into()),
        ("cdr.conf", "[general]\nenable=no\n".into()),
        ("cel.conf", "[general]\nenable=no\n".into()),
        ("rtp.conf", "[general]\nrtpstart=20000\nrtpend=32000\n".into()),
        (
            "manager.conf",
            format!(
                "[general]\nenabled=yes\nbindaddr=127.0.0.1\nport={manager_port}\n\n[bench]\nsecret=bench\nwrite=originate,call\n"
            ),
        ),
        (
            "pjsip.conf",
            format!(
                "[udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:{}\n\n[trunk]\ntype=endpoint\ntransport=udp\n{endpoint}\n\
                 [trunk]\ntype=aor\ncontact=sip:127.0.0.1:{callee_port}\n",
                machine::free_port()
            ),
        ),
        (
            "extensions.conf",
            format!(
                "[verify]\nexten => s,1,Background({here}/prompt)\n same => n,WaitExten(20)\n same => n,Hangup()\n\
                 exten => #,1,Playback({here}/goodbye)\n same => n,Hangup()\nexten => t,1,Hangup()\n"
            ),
        ),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::write(folder.join("prompt.ulaw"), vec![0x9B; PROMPT_PACKETS * PACKET_BYTES]).unwrap();
    std::fs::write(folder.join("goodbye.ulaw"), vec![0x9B; GOODBYE_PACKETS * PACKET_BYTES]).unwrap();
}
