//! A server of a trunk: it reads what a test waits for and says what a test wants.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
};

use super::super::*;
use crate::{
    id::Entropy,
    sip::message::{Frame, Framer, Message, Name},
    time::SystemClock,
};

pub(super) const SDP: &str = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 5000 RTP/AVP 0\r\n";

/// Bytes that look random and are others in each endpoint.
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(167).to_le_bytes()[0];
        }
    }
}

/// Waits for what has to come.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = timeout(Duration::from_secs(20), future).await;
    waited.unwrap_or_else(|_| panic!("not within 20 s: {what}"))
}

/// Looks again and again until it is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    soon(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Settings for these trunks, without probes.
pub(super) fn config(trunks: &[&str]) -> Config {
    let mut trunks = trunks.iter().map(|trunk| trunk.parse().unwrap());
    let mut config = Config::for_trunk(trunks.next().unwrap());
    config.trunks = trunks.collect();
    config.bind = "127.0.0.1:0".parse().unwrap();
    config.probe_interval = Duration::ZERO;
    config
}

pub(super) fn start(config: &Config) -> Endpoint {
    static STARTED: AtomicU64 = AtomicU64::new(1);
    let entropy = Arc::new(Counted(AtomicU64::new(STARTED.fetch_add(1, Ordering::Relaxed))));
    Endpoint::start("trunk", config, Arc::new(SystemClock), entropy).unwrap()
}

pub(super) fn outgoing() -> Outgoing {
    Outgoing {
        name: String::from("call_1"),
        to: "+819012345678".parse().unwrap(),
        from: "+815012345678".parse().unwrap(),
        display: Some(String::from("Contoso")),
        ring_limit: Duration::from_secs(30),
        offer: Box::new(|facing| format!("v=0\r\nc=IN IP4 {}\r\n", facing.address).into_bytes()),
    }
}

impl Placed {
    pub(super) async fn next(&mut self) -> CallEvent {
        soon("an event", self.events.recv()).await.expect("a last event came before")
    }

    /// Where the next server is.
    pub(super) async fn dialled(&mut self) -> Facing {
        let event = self.next().await;
        let CallEvent::Dialled(facing) = event else { panic!("{event:?}") };
        facing
    }

    /// The last event, names only.
    pub(super) async fn rest(mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(event) = soon("the end", self.events.recv()).await {
            let text = format!("{event:?}");
            names.push(text.split([' ', '(']).next().unwrap_or_default().to_owned());
        }
        names
    }
}

enum Line {
    Udp(UdpSocket, SocketAddr),
    Tcp(Box<(TcpListener, Option<TcpStream>, Framer)>),
}

pub(super) struct Server {
    line: Line,
    pub(super) address: SocketAddr,
}

impl Server {
    pub(super) async fn udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        Self { line: Line::Udp(socket, address), address }
    }

    pub(super) async fn tcp() -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// One server that hears both at the same port, which others of this machine may have for one of them.
    pub(super) async fn udp_and_tcp() -> (Self, Self) {
        loop {
            let datagrams = Self::udp().await;
            match TcpListener::bind(datagrams.address).await {
                Ok(listener) => return (datagrams, Self::listening(listener)),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}"),
            }
        }
    }

    fn listening(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        Self { line: Line::Tcp(Box::new((listener, None, Framer::default()))), address }
    }

    /// As a trunk in the settings.
    pub(super) fn trunk(&self) -> String {
        match self.line {
            Line::Udp(..) => format!("sip:{}", self.address),
            Line::Tcp(_) => format!("sip:{};transport=tcp", self.address),
        }
    }

    async fn read(&mut self) -> String {
        match &mut self.line {
            Line::Udp(socket, peer) => {
                let mut bytes = vec![0; 65_536];
                let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
                *peer = from;
                String::from_utf8(bytes[..length].to_vec()).unwrap()
            }
            Line::Tcp(line) => {
                let (listener, stream, framer) = &mut **line;
                loop {
                    if let Some(Frame::Message(bytes)) = framer.poll().unwrap() {
                        return String::from_utf8(bytes).unwrap();
                    }
                    if stream.is_none() {
                        *stream = Some(listener.accept().await.unwrap().0);
                    }
                    let mut bytes = [0; 4096];
                    let length = stream.as_mut().unwrap().read(&mut bytes).await.unwrap_or(0);
                    if length == 0 {
                        (*stream, *framer) = (None, Framer::default());
                    }
                    framer.push(&bytes[..length]);
                }
            }
        }
    }

    /// The next message that begins like this; others, which are copies, are passed over.
    pub(super) async fn next(&mut self, start: &str) -> String {
        soon(start, async {
            loop {
                let text = self.read().await;
                if text.starts_with(start) {
                    return text;
                }
            }
        })
        .await
    }

    /// Whether nothing arrived that begins like this.
    pub(super) fn never_got(&mut self, start: &str) -> bool {
        let Line::Udp(socket, _) = &self.line else { return true };
        let mut bytes = [0; 4096];
        while let Ok(length) = socket.try_recv(&mut bytes) {
            if bytes[..length].starts_with(start.as_bytes()) {
                return false;
            }
        }
        true
    }

    /// Closes the connection, if there is one.
    pub(super) fn hangs_up_the_line(&mut self) {
        if let Line::Tcp(line) = &mut self.line {
            (line.1, line.2) = (None, Framer::default());
        }
    }

    pub(super) async fn send(&mut self, text: &str) {
        match &mut self.line {
            Line::Udp(socket, peer) => drop(socket.send_to(text.as_bytes(), *peer).await.unwrap()),
            Line::Tcp(line) => line.1.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap(),
        }
    }

    /// Answers a request. An empty tag leaves `To` as it is.
    pub(super) async fn reply(&mut self, request: &str, code: u16, tag: &str, more: &str) {
        let body = if code == 200 && request.starts_with("INVITE") { SDP } else { "" };
        let text = response(request, code, tag, more, body);
        self.send(&text).await;
    }

    /// Takes a call: its INVITE, answered.
    pub(super) async fn takes(&mut self) -> String {
        let invite = self.next("INVITE").await;
        let contact = format!("Contact: <sip:callee@{}>\r\n", self.address);
        self.reply(&invite, 200, "a", &contact).await;
        self.next("ACK").await;
        invite
    }

    /// A request of the server's in a call.
    pub(super) async fn ask(&mut self, invite: &str, method: &str, number: u32, more: &str, body: &str) {
        let (from, to, call_id) = (header(invite, "To"), header(invite, "From"), header(invite, "Call-ID"));
        let (address, length) = (self.address, body.len());
        let text = format!(
            "{method} sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{method}{number}\r\n\
             From: {from};tag=a\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n{more}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.send(&text).await;
    }
}

fn response(request: &str, code: u16, tag: &str, more: &str, body: &str) -> String {
    let message = Message::read(request.as_bytes()).unwrap();
    let of = |name| message.first(name).unwrap().into_owned();
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {code} Phrase\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
        of(Name::Via),
        of(Name::From),
        of(Name::To),
        of(Name::CallId),
        of(Name::CSeq),
        body.len()
    )
}

pub(super) fn header(message: &str, name: &str) -> String {
    let found = message.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    found.unwrap_or_else(|| panic!("no {name} in {message}")).to_owned()
}

/// A place where nothing listens.
pub(super) async fn nowhere(transport: &str) -> String {
    let address = match transport {
        "tcp" => TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap(),
        _ => UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap(),
    };
    format!("sip:{address};transport={transport}")
}
