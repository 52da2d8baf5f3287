//! Owns the far end of a SIP trunk in tests: SIPp for what is said in SIP, an ear that hears and speaks RTP beside it,
//! a softphone (baresip), and a line that loses what it carries. None of them shares code with the program under test.

pub(crate) mod baresip;
pub(crate) mod ear;
pub(crate) mod relay;
pub(crate) mod sipp;

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// Longest wait for a peer to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ports of peers: below those that the machine hands out by itself, and apart from those of media.
const PORTS: std::ops::Range<u16> = 10_000..15_000;

/// A port of the loopback interface that nobody has at the moment, for UDP and TCP, with three free ones above it. Each
/// is given out once: a port that is found free by two tests would be taken by both.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Where several of these programs run, each begins elsewhere.
    let begin = (std::process::id() % 100) as u16 * 50;
    let is_free =
        |port: u16| UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut ports = std::iter::repeat_with(|| {
        PORTS.start + begin.wrapping_add(GIVEN.fetch_add(4, Ordering::Relaxed)) % (PORTS.end - PORTS.start)
    });
    ports.find(|port| (*port..port + 4).all(is_free)).unwrap()
}

/// Where the scenarios and sounds are.
pub(crate) fn files() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sip")
}

/// Waits until somebody has this port.
pub(crate) async fn until_bound(port: u16) {
    let wanted = format!(":{port:04X} ");
    let deadline = Instant::now() + PATIENCE;
    while !["udp", "tcp"].iter().any(|of| fs::read_to_string(format!("/proc/net/{of}")).unwrap().contains(&wanted)) {
        assert!(Instant::now() < deadline, "nobody listens on port {port}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
