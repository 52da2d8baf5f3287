//! Owns the floor: a caller that makes the same calls and does only what no caller can leave out. One thread; each call
//! has a socket, sends a packet every 20 ms and reads what came meanwhile. SIP is written into one template, and read
//! by looking for a few words. It repeats nothing, knows no faults, plays nothing and asks nobody what a key means.

use std::{
    fmt::Write as _,
    io::{BufRead as _, Write as _},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

/// Between two packets of one call, in ms; as many slots has the wheel.
const PACKET_MS: usize = 20;
/// What is not over so long after the last call was begun is lost.
const LOST_AFTER: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 4 << 20;

/// One call.
struct Call {
    /// Given back when it ends.
    media: Option<UdpSocket>,
    state: State,
    sent: u32,
    key: bool,
    to_tag: String,
}

#[derive(PartialEq)]
enum State {
    Asked,
    Talking,
    Ending,
    Over,
}

struct Load {
    rate: u32,
    total: usize,
    /// Packets that each call sends at least; it ends when it heard the key as well.
    packets: u32,
}

struct Caller {
    sip: UdpSocket,
    own: SocketAddr,
    callee: SocketAddr,
    /// Tells the calls of one load from those of another.
    loads: u32,
    calls: Vec<Call>,
    wheel: Vec<Vec<usize>>,
    over: usize,
}

/// Makes the calls that it is told to: a line `RATE TOTAL PACKETS`, answered by one with the number that ended well and
/// how many were begun a second.
pub(crate) fn run(callee: u16) {
    let sip = socket();
    let own = sip.local_addr().unwrap();
    let callee = SocketAddr::from(([127, 0, 0, 1], callee));
    let mut caller = Caller { sip, own, callee, loads: 0, calls: Vec::new(), wheel: Vec::new(), over: 0 };
    println!("ready");
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let load = Load { rate: words[0], total: words[1] as usize, packets: words[2] };
        let begun_in = caller.load(&load);
        println!("{} {}", caller.over, load.total as f64 / begun_in.as_secs_f64());
        std::io::stdout().flush().unwrap();
    }
}

fn socket() -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.into()
}

impl Caller {
    fn load(&mut self, load: &Load) -> Duration {
        self.loads += 1;
        (self.over, self.calls) = (0, Vec::new());
        self.wheel = (0..PACKET_MS).map(|_| Vec::new()).collect();
        socket2::SockRef::from(&self.sip).set_recv_buffer_size(BUFFER_BYTES).unwrap();
        let begun = Instant::now();
        let last = Duration::from_secs(1) * u32::try_from(load.total).unwrap() / load.rate;
        let (mut slot, mut begun_in) = (0, Duration::ZERO);
        while self.over < load.total && begun.elapsed() < last + LOST_AFTER {
            let due = begun.elapsed().as_secs_f64() * f64::from(load.rate);
            while self.calls.len() < load.total && (self.calls.len() as f64) <= due {
                self.invite();
                begun_in = begun.elapsed();
            }
            self.read_sip(slot % PACKET_MS);
            let now = begun.elapsed().as_millis() as usize;
            while slot <= now {
                self.turn(slot % PACKET_MS, load);
                slot += 1;
            }
            let next = Duration::from_millis(slot as u64);
            std::thread::sleep(next.saturating_sub(begun.elapsed()));
        }
        begun_in
    }

    fn invite(&mut self) {
        let (n, socket) = (self.calls.len(), socket());
        let port = socket.local_addr().unwrap().port();
        let own = self.own;
        let description = format!(
            "v=0\r\no=- {n} 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
             a=ptime:20\r\na=sendrecv\r\n"
        );
        self.calls.push(Call { media: Some(socket), state: State::Asked, sent: 0, key: false, to_tag: String::new() });
        let contact = format!("Contact: <sip:bare@{own}>\r\nContent-Type: application/sdp\r\n");
        self.request("INVITE", n, 1, &contact, &description);
    }

    fn request(&self, method: &str, n: usize, sequence: u32, headers: &str, body: &str) {
        let (own, callee, load, call) = (self.own, self.callee, self.loads, &self.calls[n]);
        let mut text = format!("{method} sip:+819020000000@{callee} SIP/2.0\r\n");
        let branch = format!("z9hG4bK{method}{load}-{n}");
        let _ = write!(text, "Via: SIP/2.0/UDP {own};branch={branch}\r\nMax-Forwards: 70\r\n");
        let _ = write!(
            text,
            "From: <sip:+815012345678@{own}>;tag=f{n}\r\nTo: <sip:+819020000000@{callee}>{}\r\n",
            call.to_tag
        );
        let _ = write!(text, "Call-ID: {load}-{n}-bare\r\nCSeq: {sequence} {method}\r\n{headers}");
        let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
        self.sip.send_to(text.as_bytes(), self.callee).unwrap();
    }

    fn read_sip(&mut self, slot: usize) {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.sip.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
            let mut id = header("Call-ID:").split('-');
            let (load, n) = (id.next(), id.next().and_then(|n| n.parse::<usize>().ok()));
            let Some(n) = n.filter(|n| load == Some(self.loads.to_string().as_str()) && *n < self.calls.len()) else {
                continue;
            };
            if !text.starts_with("SIP/2.0 200 ") {
                continue;
            }
            if header("CSeq:").ends_with("INVITE") {
                let call = &mut self.calls[n];
                let again = call.state != State::Asked;
                if let Some((_, tag)) = header("To:").split_once(";tag=").filter(|_| !again) {
                    call.to_tag = format!(";tag={tag}");
                    let port: u16 = header("m=audio ").split(' ').next().unwrap().parse().unwrap();
                    call.media.as_ref().unwrap().connect(("127.0.0.1", port)).unwrap();
                    call.state = State::Talking;
                    self.wheel[slot].push(n);
                }
                self.request("ACK", n, 1, "", "");
            } else if self.calls[n].state == State::Ending {
                self.calls[n].state = State::Over;
                self.over += 1;
            }
        }
    }

    /// Serves the calls of one slot.
    fn turn(&mut self, slot: usize, load: &Load) {
        let mut buffer = [0; 2048];
        let mut place = 0;
        while let Some(&n) = self.wheel[slot].get(place) {
            let call = &mut self.calls[n];
            let media = call.media.as_ref().unwrap();
            while let Ok(length) = media.recv(&mut buffer) {
                call.key |= length == 16 && buffer[1] & 0x7F == 101 && buffer[12] == 11;
            }
            if call.key && call.sent >= load.packets {
                call.state = State::Ending;
                call.media = None;
                self.wheel[slot].swap_remove(place);
                self.request("BYE", n, 2, "", "");
                continue;
            }
            let mut packet = [0xFF; 172];
            packet[..2].copy_from_slice(&[0x80, if call.sent == 0 { 0x80 } else { 0 }]);
            packet[2..4].copy_from_slice(&(call.sent as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(call.sent * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&(n as u32).to_be_bytes());
            // A full line loses it, as any line would.
            let _ = media.send(&packet);
            call.sent += 1;
            place += 1;
        }
    }
}
