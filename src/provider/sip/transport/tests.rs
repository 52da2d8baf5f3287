//! Peers made by hand on the loopback: UDP, TCP, TLS, and what goes wrong with each.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{provider::sip::config::Config, secret::Secret};

const OK: &str = "SIP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BYE: &str = "BYE sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";

/// A network on the loopback that ends with the test.
struct Ours {
    network: Network,
    arrivals: Arrivals,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn ours(config: &Config) -> Ours {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let tls = tls::client(config).unwrap_or_else(|faults| panic!("{faults:?}"));
    let (network, arrivals) = Network::open("127.0.0.1:0".parse().unwrap(), tls, &tasks, &stop).unwrap();
    Ours { network, arrivals, tasks, stop }
}

fn plain() -> Config {
    Config::for_trunk("sip:trunk.example".parse().unwrap())
}

fn to(transport: Transport, address: SocketAddr) -> Destination {
    Destination { hop: Hop { transport, address }, host: Host::Name(String::from("sip.trunk.example")) }
}

impl Ours {
    async fn next(&mut self) -> Arrival {
        timeout(self.arrivals.next()).await.expect("the network is there")
    }

    /// The text of the next message and the flow it came by.
    async fn message(&mut self) -> (FlowId, String) {
        match self.next().await {
            Arrival::Message { flow, bytes, .. } => (flow, String::from_utf8(bytes.to_vec()).unwrap()),
            Arrival::Lost { why, .. } => panic!("lost: {why}"),
        }
    }

    async fn lost(&mut self) -> (FlowId, String) {
        match self.next().await {
            Arrival::Lost { flow, why } => (flow, why.to_string()),
            Arrival::Message { bytes, .. } => panic!("{bytes:?}"),
        }
    }
}

async fn timeout<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("nothing came within 20 s")
}

async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin), length: usize) -> String {
    let mut bytes = vec![0; length];
    timeout(stream.read_exact(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn datagrams_go_both_ways_and_strangers_are_answered() {
    let mut ours = ours(&plain());
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let opened = ours.network.flow(&to(Transport::Udp, peer.local_addr().unwrap())).await.unwrap();
    assert_eq!(opened.local, ours.network.bound(), "all flows have one port");
    ours.network.send(opened.flow, Bytes::from_static(BYE.as_bytes()));
    let mut buffer = [0; 2048];
    let (length, from) = timeout(peer.recv_from(&mut buffer)).await.unwrap();
    assert_eq!((&buffer[..length], from), (BYE.as_bytes(), opened.local));
    // Noise and keep-alives on the way are not seen.
    for noise in [b"jaK".as_slice(), b"\r\n\r\n", b"", OK.as_bytes()] {
        peer.send_to(noise, from).await.unwrap();
    }
    assert_eq!(ours.message().await, (opened.flow, OK.to_owned()));

    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(BYE.as_bytes(), ours.network.bound()).await.unwrap();
    let (flow, text) = ours.message().await;
    assert_eq!(text, BYE);
    assert_ne!(flow, opened.flow);
    let back = ours.arrivals.stranger(flow).unwrap();
    assert_eq!(back, stranger.local_addr().unwrap());
    assert_eq!(ours.arrivals.stranger(opened.flow), None);
    ours.network.reply(back, &Bytes::from_static(OK.as_bytes()));
    let (length, _) = timeout(stranger.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..length], OK.as_bytes());
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_told_at_once() {
    let mut ours = ours(&plain());
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let opened = ours.network.flow(&to(Transport::Udp, gone)).await.unwrap();
    let started = Instant::now();
    ours.network.send(opened.flow, Bytes::from_static(BYE.as_bytes()));
    let (flow, why) = ours.lost().await;
    assert_eq!(flow, opened.flow);
    assert!(why.starts_with("nothing listens there"), "{why}");
    assert!(started.elapsed() < Duration::from_secs(5));

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = ours.network.flow(&to(Transport::Tcp, gone)).await.unwrap_err();
    assert!(error.to_string().starts_with("nothing listens there"), "{error}");
    // Sent without asking first, it is told too.
    let flow = ours.network.reserve(&to(Transport::Tcp, gone)).unwrap();
    ours.network.send(flow, Bytes::from_static(BYE.as_bytes()));
    let (lost, why) = ours.lost().await;
    assert_eq!(lost, flow);
    assert!(why.starts_with("nothing listens there"), "{why}");
}

#[tokio::test]
async fn a_second_process_cannot_share_our_port() {
    let first = ours(&plain());
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let tls = tls::client(&plain()).unwrap();
    let second = Network::open(first.network.bound(), tls, &tasks, &stop);
    assert_eq!(second.map(|_| ()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn streams_are_cut_into_messages_and_used_again() {
    let mut ours = ours(&plain());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let destination = to(Transport::Tcp, listener.local_addr().unwrap());
    let (one, two, accepted) =
        tokio::join!(ours.network.flow(&destination), ours.network.flow(&destination), listener.accept());
    let (opened, (mut peer, from)) = (one.unwrap(), accepted.unwrap());
    assert_eq!((opened, opened.local), (two.unwrap(), from), "all who ask share one connection");
    ours.network.send(opened.flow, Bytes::from_static(BYE.as_bytes()));
    assert_eq!(read(&mut peer, BYE.len()).await, BYE);

    // Half a message, the rest with two more behind it, and a ping.
    let (half, rest) = OK.split_at(20);
    peer.write_all(half.as_bytes()).await.unwrap();
    peer.flush().await.unwrap();
    peer.write_all(format!("{rest}{BYE}\r\n\r\n{OK}").as_bytes()).await.unwrap();
    for expected in [OK, BYE, OK] {
        assert_eq!(ours.message().await, (opened.flow, expected.to_owned()));
    }
    assert_eq!(read(&mut peer, 2).await, "\r\n", "a ping is answered");

    // The other side closes: told, and made anew with the next message, under the same name.
    drop(peer);
    let (flow, why) = ours.lost().await;
    assert_eq!(flow, opened.flow);
    assert!(why.contains("closed the connection"), "{why}");
    ours.network.send(opened.flow, Bytes::from_static(BYE.as_bytes()));
    let (mut peer, _) = timeout(listener.accept()).await.unwrap();
    assert_eq!(read(&mut peer, BYE.len()).await, BYE);

    // What makes no sense ends the connection.
    peer.write_all(b"SIP/2.0 200 OK\r\nContent-Length: x\r\n\r\n").await.unwrap();
    let (_, why) = ours.lost().await;
    assert!(why.starts_with("it sends what is not SIP"), "{why}");
    let mut end = Vec::new();
    let _reset = timeout(peer.read_to_end(&mut end)).await;
    assert_eq!(end, b"");
}

#[tokio::test]
async fn a_flood_of_noise_harms_no_call_and_holds_no_memory() {
    let mut ours = ours(&plain());
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let opened = ours.network.flow(&to(Transport::Udp, peer.local_addr().unwrap())).await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let garbage = [0xff; 1400];
    for number in 0..5_000_u32 {
        stranger.send_to(&garbage, opened.local).await.unwrap();
        stranger.send_to(format!("INVITE sip:{number} SIP/2.0\r\n\r\n").as_bytes(), opened.local).await.unwrap();
        if number % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    peer.send_to(OK.as_bytes(), opened.local).await.unwrap();
    let arrived = async {
        while ours.arrivals.trunks.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(arrived).await;
    assert!(ours.arrivals.strangers.len() <= MAX_STRANGERS);
    assert_eq!(ours.message().await, (opened.flow, OK.to_owned()), "a trunk goes before all strangers");
    let (flow, _) = ours.message().await;
    assert_ne!(flow, opened.flow, "strangers are heard all the same");
    assert!(ours.arrivals.seen.recent.len() <= MAX_KNOWN_STRANGERS);
}

#[tokio::test]
async fn the_stop_ends_all_tasks() {
    let ours = ours(&plain());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let destination = to(Transport::Tcp, listener.local_addr().unwrap());
    let (opened, accepted) = tokio::join!(ours.network.flow(&destination), listener.accept());
    ours.network.send(opened.unwrap().flow, Bytes::from_static(BYE.as_bytes()));
    let (mut peer, _) = accepted.unwrap();
    assert_eq!(read(&mut peer, BYE.len()).await, BYE);
    ours.stop.cancel();
    ours.tasks.close();
    timeout(ours.tasks.wait()).await;
    let mut end = Vec::new();
    timeout(peer.read_to_end(&mut end)).await.unwrap();
    assert_eq!(end, b"", "closed in order");
}

/// An authority of the test.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a certificate is for, and until which year.
struct Leaf {
    names: Vec<SanType>,
    until: i32,
}

fn dns(name: &str) -> Leaf {
    Leaf { names: vec![SanType::DnsName(name.try_into().unwrap())], until: 4000 }
}

fn issue(leaf: Leaf, by: &CertifiedIssuer<'_, KeyPair>) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = leaf.names;
    params.not_after = rcgen::date_time_ymd(leaf.until, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    (params.signed_by(&key, by).unwrap(), key)
}

/// A TLS server that sends one message to each who comes.
async fn tls_server(
    leaf: Leaf,
    by: &CertifiedIssuer<'_, KeyPair>,
    clients: Option<&CertificateDer<'static>>,
) -> SocketAddr {
    let (certificate, key) = issue(leaf, by);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    TaskTracker::new().spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _gone = stream.write_all(OK.as_bytes()).await;
            let mut rest = Vec::new();
            let _gone = stream.read_to_end(&mut rest).await;
        }
    });
    address
}

/// What a handshake with such a server comes to: the message that it sends, or why there is none.
async fn handshake(config: &Config, leaf: Leaf, by: &CertifiedIssuer<'_, KeyPair>) -> Result<String, String> {
    let address = tls_server(leaf, by, None).await;
    shake(config, address).await
}

async fn shake(config: &Config, address: SocketAddr) -> Result<String, String> {
    let mut ours = ours(config);
    ours.network.flow(&to(Transport::Tls, address)).await.map_err(|error| error.to_string())?;
    match ours.next().await {
        Arrival::Message { bytes, .. } => Ok(String::from_utf8(bytes.to_vec()).unwrap()),
        Arrival::Lost { why, .. } => Err(why.to_string()),
    }
}

#[tokio::test]
async fn tls_believes_only_who_has_the_name_of_the_trunk() {
    let authority = authority("An authority");
    let mut config = plain();
    config.ca = Some(authority.pem());
    let ok = Ok(OK.to_owned());
    assert_eq!(handshake(&config, dns("sip.trunk.example"), &authority).await, ok);
    assert_eq!(handshake(&config, dns("SIP.trunk.example"), &authority).await, ok);
    let uri = Leaf { names: vec![SanType::URI("sip:sip.trunk.example".try_into().unwrap())], until: 4000 };
    assert_eq!(handshake(&config, uri, &authority).await, ok);
    let expired = Leaf { names: dns("sip.trunk.example").names, until: 2001 };
    let user = Leaf { names: vec![SanType::URI("sip:somebody@sip.trunk.example".try_into().unwrap())], until: 4000 };
    for (leaf, said) in [
        (dns("other.example"), "its certificate is not for the host of `trunk`"),
        (dns("sub.sip.trunk.example"), "its certificate is not for the host of `trunk`"),
        (user, "its certificate is not for the host of `trunk`"),
        (dns("*.trunk.example"), "only a wildcard in its certificate covers the trunk"),
        (expired, "its certificate has expired"),
    ] {
        let names = format!("{:?}", leaf.names);
        let error = handshake(&config, leaf, &authority).await.unwrap_err();
        assert!(error.starts_with(said), "{names}: {error}");
    }
    config.wildcard_certificates = true;
    assert_eq!(handshake(&config, dns("*.trunk.example"), &authority).await, ok);
    let error = handshake(&config, dns("*.other.example"), &authority).await.unwrap_err();
    assert!(error.contains("not for the host"), "{error}");

    let stranger = self::authority("A stranger");
    let error = handshake(&config, dns("sip.trunk.example"), &stranger).await.unwrap_err();
    assert!(error.contains("ca_file"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_wanted() {
    let authority = authority("An authority");
    let mut config = plain();
    config.ca = Some(authority.pem());
    let address = tls_server(dns("sip.trunk.example"), &authority, Some(&authority.der().clone())).await;
    let error = shake(&config, address).await.unwrap_err();
    assert!(error.contains("client_certificate_file"), "{error}");
    let (certificate, key) = issue(dns("customer.example"), &authority);
    config.client_certificate = Some(certificate.pem());
    config.client_key = Some(Secret::new(key.serialize_pem()));
    assert_eq!(shake(&config, address).await, Ok(OK.to_owned()));

    let other = KeyPair::generate().unwrap();
    config.client_key = Some(Secret::new(other.serialize_pem()));
    let faults = tls::client(&config).unwrap_err();
    assert!(faults.iter().any(|fault| fault.member == "client_key"), "{faults:?}");
    config.client_key = Some(Secret::new(String::from("hunter2")));
    config.client_certificate = Some(String::from("nothing"));
    config.ca = Some(String::new());
    let faults = tls::client(&config).unwrap_err();
    let members: Vec<_> = faults.iter().map(|fault| fault.member).collect();
    assert_eq!(members, ["ca", "client_certificate", "client_key"]);
    assert!(!format!("{faults:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up() {
    let ours = ours(&plain());
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let started = Instant::now();
    let hold = async {
        let mut held: Vec<TcpStream> = Vec::new();
        loop {
            held.push(silent.accept().await.unwrap().0);
        }
    };
    let destination = to(Transport::Tls, address);
    let error = tokio::select! {
        opened = ours.network.flow(&destination) => opened.unwrap_err().to_string(),
        () = hold => unreachable!("it holds for ever"),
    };
    assert!(error.starts_with("no connection with TLS within 3 s"), "{error}");
    assert!(started.elapsed() >= CONNECT_WITHIN);
}
