//! Owns softphones: baresip processes that answer by themselves, press keys when they are told to, and record what they
//! hear.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{free_port, until_bound};

/// Longest wait for a softphone to come to something.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the softphone is reached.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Over<'a> {
    /// UDP with plain RTP.
    Udp,
    /// TLS with SRTP and nothing else: a certificate with its key, in PEM.
    Tls(&'a str),
}

/// A softphone, ended when it is dropped.
pub(crate) struct Softphone {
    port: u16,
    secure: bool,
    folder: TempDir,
    control: Option<TcpStream>,
    process: Child,
}

impl Softphone {
    /// Starts one that answers every call. `sip:phone@…` is its address.
    pub(crate) async fn start(over: Over<'_>) -> Self {
        let folder = TempDir::new().unwrap();
        let (port, control) = (free_port(), free_port());
        let (secure, media, certificate) = match over {
            Over::Udp => (false, "", String::new()),
            Over::Tls(certificate) => {
                fs::write(folder.path().join("cert.pem"), certificate).unwrap();
                let line = format!("sip_certificate {}/cert.pem\n", folder.path().display());
                (true, ";mediaenc=srtp-mand;transport=tls", line)
            }
        };
        write(&folder.path().join("quiet.wav"), &quiet());
        let at = folder.path().display();
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:{port}\n{certificate}net_interface 127.0.0.1\n\
             call_local_timeout 120\ncall_max_calls 4\naudio_source aufile,{at}/quiet.wav\nausrc_srate 8000\n\
             auplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nrtp_ports 20000-29998\n\
             module_path {}\nmodule g711.so\nmodule aufile.so\nmodule srtp.so\nmodule sndfile.so\nsnd_path {at}\n\
             module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\n",
            modules().display()
        );
        write(&folder.path().join("config"), config.as_bytes());
        let account = format!("<sip:phone@127.0.0.1:{port}>;regint=0;answermode=auto;audio_codecs=PCMU/8000{media}\n");
        write(&folder.path().join("accounts"), account.as_bytes());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new("baresip")
            .arg("-f")
            .arg(folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("baresip is installed: scripts/setup test");
        let mut phone = Self { port, secure, folder, control: None, process };
        until_bound(port).await;
        phone.control = Some(phone.connect(control).await);
        phone
    }

    /// Where it listens: the port above for TLS.
    pub(crate) fn port(&self) -> u16 {
        self.port + u16::from(self.secure)
    }

    /// What it says about itself.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// Waits until it has answered a call.
    pub(crate) async fn in_a_call(&self) {
        self.said("Call established").await;
    }

    /// Waits until it said something.
    pub(crate) async fn said(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(what) {
            assert!(Instant::now() < deadline, "the softphone never said `{what}`:\n{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses a key in the call.
    pub(crate) fn press(&mut self, key: char) {
        self.command("sndcode", &key.to_string());
    }

    /// What it heard in the last call, in samples at 8 kHz.
    pub(crate) fn heard(&self) -> Vec<i16> {
        let recorded = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut recorded: Vec<PathBuf> = recorded.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).collect();
        recorded.sort();
        let Some(last) = recorded.last() else { return Vec::new() };
        // A recording is a header of 44 bytes, then samples; it is read while it is written.
        let bytes = fs::read(last).unwrap();
        bytes
            .get(44..)
            .unwrap_or_default()
            .as_chunks::<2>()
            .0
            .iter()
            .map(|sample| i16::from_le_bytes(*sample))
            .collect()
    }

    /// One line of the control interface: a netstring of JSON.
    fn command(&mut self, command: &str, parameter: &str) {
        let text = serde_json::json!({ "command": command, "params": parameter }).to_string();
        let control = self.control.as_mut().unwrap();
        control.write_all(format!("{}:{text},", text.len()).as_bytes()).unwrap();
        // What it answers is read so that it never waits for us; what came of it is seen elsewhere.
        control.set_nonblocking(true).unwrap();
        let mut answer = [0; 4096];
        while control.read(&mut answer).is_ok_and(|length| length > 0) {}
        control.set_nonblocking(false).unwrap();
    }

    async fn connect(&mut self, port: u16) -> TcpStream {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                return stream;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "the softphone does not start:\n{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Softphone {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// Where Debian puts the modules.
fn modules() -> PathBuf {
    let places = ["/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"];
    places.iter().map(PathBuf::from).find(|place| place.is_dir()).expect("baresip's modules are installed")
}

/// Two minutes of nothing, as a WAV file of 16 bits at 8 kHz.
fn quiet() -> Vec<u8> {
    let length: u32 = 2 * 8000 * 120;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.resize(44 + length as usize, 0);
    wav
}
