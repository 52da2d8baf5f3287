//! Owns the far end of all media: it hears every stream, measures how late its packets are, answers each with one of
//! its own, and presses the pound key once it has listened long enough. One process for all calls.

use std::{
    collections::HashMap,
    io::{BufRead as _, Write as _},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;

/// Ports, so that the buffers of the kernel have room for a moment in which this process does not run.
const PORTS: usize = 32;
/// Room asked for each port, in bytes.
const BUFFER_BYTES: usize = 4 << 20;
/// Lateness is counted in steps of 0.1 ms up to one second.
const STEPS: usize = 10_000;
const STEP: Duration = Duration::from_micros(100);
/// A stream that has said nothing for so long is over.
const OVER_AFTER: Duration = Duration::from_millis(500);
/// Packets of one pressed key: three while it is held, three that end it (RFC 4733 section 2.5.1.4).
const KEY_PACKETS: u16 = 6;

/// What was heard in one load.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Heard {
    /// Streams, one a call.
    pub(crate) calls: usize,
    /// Those that are not over.
    pub(crate) alive: usize,
    /// Keys pressed.
    pub(crate) pressed: usize,
    /// Packets of audio.
    pub(crate) packets: u64,
    /// Packets that are missing between the first and the last of their stream.
    pub(crate) lost: u64,
    /// How late packets come, against the earliest of their stream: half are not later, in ms.
    pub(crate) late_p50: f64,
    /// The same for 99 of 100.
    pub(crate) late_p99: f64,
}

/// One stream.
struct Leg {
    first_timestamp: u32,
    first_sequence: u16,
    highest: u32,
    begun: Instant,
    last: Instant,
    /// When its first sample would have come with the quickest of its packets.
    earliest: Duration,
    packets: u64,
    sent: u16,
    /// Packets of the key that were sent.
    key: u16,
}

struct Ears {
    zero: Instant,
    listens: Duration,
    /// By the caller's address and stream.
    legs: HashMap<(SocketAddr, u32), Leg>,
    late: Vec<u64>,
}

/// Prints its ports, then does what the lines say that it is given: `listen MS`, `heard`.
pub(crate) fn run() {
    // A callee is another machine: work of this one does not hold it up. Where that is not allowed it runs as all else.
    let _as_usual = rustix::process::nice(-10);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ears = Ears { zero: Instant::now(), listens: Duration::ZERO, legs: HashMap::new(), late: vec![0; STEPS] };
    let ears = Arc::new(Mutex::new(ears));
    let ordered = Arc::clone(&ears);
    runtime.block_on(async {
        let mut ports = Vec::new();
        let mut reports = Vec::new();
        for _ in 0..PORTS {
            let (media, control, port) = pair();
            ports.push(port.to_string());
            reports.push(control);
            tokio::spawn(hear(media, Arc::clone(&ears)));
        }
        println!("{}", ports.join(" "));
        // Ends with whoever started it.
        tokio::task::spawn_blocking(move || obey(&ordered)).await.unwrap();
        drop(reports);
    });
    std::process::exit(0);
}

/// An even port for RTP, and the next, at which reports are left unread.
fn pair() -> (UdpSocket, std::net::UdpSocket, u16) {
    loop {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_recv_buffer_size(BUFFER_BYTES).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let media = UdpSocket::from_std(socket.into()).unwrap();
        let port = media.local_addr().unwrap().port();
        if port.is_multiple_of(2)
            && let Ok(control) = std::net::UdpSocket::bind(("127.0.0.1", port + 1))
        {
            return (media, control, port);
        }
    }
}

fn obey(ears: &Mutex<Ears>) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut ears = ears.lock().unwrap();
        let answer = match line.strip_prefix("listen ") {
            Some(milliseconds) => {
                ears.listens = Duration::from_millis(milliseconds.parse().unwrap());
                ears.legs.clear();
                ears.late.fill(0);
                String::from("ready")
            }
            None => serde_json::to_string(&ears.heard()).unwrap(),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}").unwrap();
        out.flush().unwrap();
    }
}

async fn hear(socket: UdpSocket, ears: Arc<Mutex<Ears>>) {
    let mut buffer = [0; 2048];
    let mut reply = [0; 172];
    loop {
        socket.readable().await.unwrap();
        // What is said of an earlier packet (nobody listened there) is no fault of this one.
        while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
            let said = ears.lock().unwrap().hear(&buffer[..length], from, &mut reply);
            if let Some(length) = said {
                // A full line loses it, as any line would.
                let _ = socket.try_send_to(&reply[..length], from);
            }
        }
    }
}

impl Ears {
    /// Hears one packet of audio: how long the answer is that it writes.
    fn hear(&mut self, packet: &[u8], from: SocketAddr, reply: &mut [u8; 172]) -> Option<usize> {
        if packet.len() < 12 || ![0, 8].contains(&(packet[1] & 0x7F)) {
            return None;
        }
        let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        let (sequence, timestamp, ssrc) = (u16::from_be_bytes([packet[2], packet[3]]), number(4), number(8));
        let now = Instant::now();
        let arrival = now - self.zero;
        let leg = self.legs.entry((from, ssrc)).or_insert_with(|| Leg {
            first_timestamp: timestamp,
            first_sequence: sequence,
            highest: 0,
            begun: now,
            last: now,
            earliest: arrival,
            packets: 0,
            sent: 0,
            key: 0,
        });
        leg.last = now;
        leg.packets += 1;
        leg.highest = leg.highest.max(u32::from(sequence.wrapping_sub(leg.first_sequence)));
        let sampled = Duration::from_micros(u64::from(timestamp.wrapping_sub(leg.first_timestamp)) * 125);
        let began = arrival.saturating_sub(sampled);
        leg.earliest = leg.earliest.min(began);
        let late = ((began - leg.earliest).as_micros() / STEP.as_micros()) as usize;
        self.late[late.min(STEPS - 1)] += 1;
        Some(leg.answer(now - leg.begun >= self.listens, reply))
    }

    fn heard(&self) -> Heard {
        let now = Instant::now();
        let legs = || self.legs.values();
        let quantile = |share: f64| {
            let total: u64 = self.late.iter().sum();
            let mut seen = 0;
            let step = self.late.iter().position(|count| {
                seen += count;
                seen as f64 >= share * total as f64
            });
            (step.unwrap_or_default() as f64 + 0.5) * STEP.as_secs_f64() * 1e3
        };
        let expected: u64 = legs().map(|leg| u64::from(leg.highest) + 1).sum();
        let packets = legs().map(|leg| leg.packets).sum();
        Heard {
            calls: self.legs.len(),
            alive: legs().filter(|leg| now - leg.last < OVER_AFTER).count(),
            pressed: legs().filter(|leg| leg.key > 0).count(),
            packets,
            lost: expected.saturating_sub(packets),
            late_p50: quantile(0.50),
            late_p99: quantile(0.99),
        }
    }
}

impl Leg {
    /// Writes the next packet back, silence or a part of the key: its length.
    fn answer(&mut self, presses: bool, packet: &mut [u8; 172]) -> usize {
        let key = presses && self.key < KEY_PACKETS;
        let timestamp = u32::from(self.sent - if key { self.key } else { 0 }) * 160;
        let marker = if key && self.key == 0 { 0x80 } else { 0 };
        packet[..2].copy_from_slice(&[0x80, marker | if key { 101 } else { 0 }]);
        packet[2..4].copy_from_slice(&self.sent.to_be_bytes());
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&0x0EA5_0EA5_u32.to_be_bytes());
        self.sent += 1;
        if !key {
            packet[12..].fill(0xFF);
            return packet.len();
        }
        let ends = if self.key >= KEY_PACKETS - 3 { 0x80 } else { 0 };
        let [d0, d1] = ((self.key + 1).min(KEY_PACKETS - 2) * 160).to_be_bytes();
        packet[12..16].copy_from_slice(&[11, ends | 10, d0, d1]);
        self.key += 1;
        16
    }
}
