//! Calls that the first server does not take.

use super::{
    super::*,
    server::{Server, config, header, nowhere, outgoing, soon, start, until},
};

/// The second server takes the call that the first one did not.
async fn second_takes(mut placed: Placed, second: &mut Server) {
    assert_eq!(placed.dialled().await.server, second.address);
    second.takes().await;
    let event = placed.next().await;
    assert!(matches!(event, CallEvent::Answered { .. }), "{event:?}");
}

#[tokio::test]
async fn a_server_that_says_503_or_500_is_passed_over() {
    for code in [503, 500, 502, 504, 482] {
        let (mut first, mut second) = (Server::udp().await, Server::udp().await);
        let endpoint = start(&config(&[&first.trunk(), &second.trunk()]));
        let mut placed = endpoint.place(outgoing()).await.unwrap();
        assert_eq!(placed.dialled().await.server, first.address);
        let invite = first.next("INVITE").await;
        first.reply(&invite, code, "a", "").await;
        let ack = first.next("ACK").await;
        assert_eq!(header(&ack, "Via"), header(&invite, "Via"));
        second_takes(placed, &mut second).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_is_passed_over() {
    let mut second = Server::tcp().await;
    let endpoint = start(&config(&[&nowhere("tcp").await, &second.trunk()]));
    let placed = endpoint.place(outgoing()).await.unwrap();
    second_takes(placed, &mut second).await;
}

#[tokio::test]
async fn a_server_with_a_strange_certificate_is_passed_over() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = rcgen::generate_simple_self_signed([address.ip().to_string()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key.into()).unwrap();
    let serving = async {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(|_| ())
    };
    let mut second = Server::udp().await;
    let endpoint = start(&config(&[&format!("sip:{address};transport=tls"), &second.trunk()]));
    let placed = endpoint.place(outgoing()).await.unwrap();
    let (shaken, ()) =
        soon("the second server", async { tokio::join!(serving, second_takes(placed, &mut second)) }).await;
    assert!(shaken.is_err(), "nothing was said to it");
}

#[tokio::test]
async fn a_stream_that_breaks_before_the_server_said_anything_is_passed_over() {
    let (mut first, mut second) = (Server::tcp().await, Server::udp().await);
    let endpoint = start(&config(&[&first.trunk(), &second.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    first.next("INVITE").await;
    drop(first);
    second_takes(placed, &mut second).await;
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_passed_over() {
    let mut second = Server::udp().await;
    let endpoint = start(&config(&[&nowhere("udp").await, &second.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    assert_ne!(placed.dialled().await.server, second.address);
    second_takes(placed, &mut second).await;
}

#[tokio::test]
async fn a_silent_server_is_passed_over_and_stopped_when_it_wakes_up() {
    let (mut first, mut second) = (Server::udp().await, Server::udp().await);
    let mut config = config(&[&first.trunk(), &second.trunk()]);
    config.answer_within = Duration::from_millis(200);
    let endpoint = start(&config);
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    let invite = first.next("INVITE").await;
    second_takes(placed, &mut second).await;
    first.reply(&invite, 180, "late", "").await;
    let cancel = first.next("CANCEL").await;
    assert_eq!(header(&cancel, "Via"), header(&invite, "Via"));
    first.reply(&invite, 200, "late", &format!("Contact: <sip:c@{}>\r\n", first.address)).await;
    first.next("ACK").await;
    first.next("BYE").await;
}

#[tokio::test]
async fn what_the_callee_says_is_final() {
    for (code, rings) in [(486, false), (404, false), (603, true), (503, true), (500, true), (408, false)] {
        let (mut first, mut second) = (Server::udp().await, Server::udp().await);
        let endpoint = start(&config(&[&first.trunk(), &second.trunk()]));
        let mut placed = endpoint.place(outgoing()).await.unwrap();
        placed.dialled().await;
        let invite = first.next("INVITE").await;
        if rings {
            first.reply(&invite, 180, "a", "").await;
            placed.next().await;
        }
        first.reply(&invite, code, "a", "").await;
        let event = placed.next().await;
        assert!(matches!(&event, CallEvent::Refused(refusal) if refusal.code == code), "{code} {event:?}");
        assert!(second.never_got("INVITE"), "{code}: no second telephone rings");
    }
}

#[tokio::test]
async fn nobody_takes_it() {
    let endpoint = start(&config(&[&nowhere("tcp").await, &nowhere("udp").await]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    let event = placed.next().await;
    let CallEvent::NotTaken { why } = event else { panic!("{event:?}") };
    assert!(why.matches("127.0.0.1").count() >= 2 && !why.contains("1234"), "{why}");
    assert!(placed.rest().await.is_empty());
    assert_eq!(endpoint.calls(), 0);
}

#[tokio::test]
async fn the_last_refusal_is_told_where_no_server_is_left() {
    let mut first = Server::udp().await;
    let endpoint = start(&config(&[&first.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    let invite = first.next("INVITE").await;
    first.reply(&invite, 503, "a", "Retry-After: 60\r\n").await;
    assert!(matches!(placed.next().await, CallEvent::Refused(refusal) if refusal.code == 503));
    let error = endpoint.place(outgoing()).await.unwrap_err();
    assert!(matches!(error, PlaceError::Unreachable(_)), "it wants to be left alone for a minute: {error:?}");
}

#[tokio::test]
async fn a_call_is_canceled_while_a_server_is_looked_for() {
    let (mut first, mut second) = (Server::udp().await, Server::udp().await);
    let mut config = config(&[&first.trunk(), &second.trunk()]);
    // The second call has to wait for its turn.
    config.trunk_calls_per_second = Some(1.0);
    let endpoint = start(&config);
    let mut one = endpoint.place(outgoing()).await.unwrap();
    one.dialled().await;
    let mut two = endpoint.place(outgoing()).await.unwrap();
    endpoint.cancel(two.call, None).await;
    let event = two.next().await;
    assert!(matches!(&event, CallEvent::Refused(refusal) if refusal.code == 487 && refusal.local), "{event:?}");
    first.next("INVITE").await;
    assert!(first.never_got("INVITE sip:none") && second.never_got("INVITE"));
    assert_eq!(endpoint.calls(), 1);
}

#[tokio::test]
async fn a_trunk_is_full() {
    let mut server = Server::udp().await;
    let mut config = config(&[&server.trunk()]);
    config.max_calls = 1;
    let endpoint = start(&config);
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    assert_eq!(endpoint.place(outgoing()).await.unwrap_err(), PlaceError::Full);
    placed.dialled().await;
    let invite = server.next("INVITE").await;
    server.reply(&invite, 486, "a", "").await;
    assert_eq!(placed.rest().await, ["Refused"]);
    let _next = endpoint.place(outgoing()).await.expect("the place was given back");
}

#[tokio::test]
async fn calls_keep_their_pace() {
    let mut server = Server::udp().await;
    let mut config = config(&[&server.trunk()]);
    config.trunk_calls_per_second = Some(5.0);
    let endpoint = start(&config);
    let mut placed = Vec::new();
    let full = loop {
        match endpoint.place(outgoing()).await {
            Ok(call) => placed.push(call),
            Err(error) => break error,
        }
        assert!(placed.len() < 20);
    };
    assert_eq!(full, PlaceError::Full, "who would have to wait for more than two seconds is told so");
    assert!((11..=13).contains(&placed.len()), "{}", placed.len());
    let began = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 4 {
        seen.insert(header(&server.next("INVITE").await, "Call-ID"));
    }
    assert!(began.elapsed() >= Duration::from_millis(350), "a fifth of a second between two");
    drop(placed);
    soon("the end", endpoint.stop(Duration::ZERO)).await;
}

#[tokio::test]
async fn a_large_call_goes_by_the_stream_of_the_same_server() {
    let (mut datagrams, mut streams) = Server::udp_and_tcp().await;
    let endpoint = start(&config(&[&datagrams.trunk()]));
    let large = || Outgoing { offer: Box::new(|_| vec![b'x'; 2000]), ..outgoing() };
    let mut placed = endpoint.place(large()).await.unwrap();
    placed.dialled().await;
    let invite = streams.takes().await;
    assert!(header(&invite, "Via").starts_with("SIP/2.0/TCP ") && header(&invite, "Contact").contains("transport=tcp"));
    assert!(matches!(placed.next().await, CallEvent::Answered { .. }));
    endpoint.hang_up(placed.call, None).await;
    let bye = streams.next("BYE").await;
    streams.reply(&bye, 200, "", "").await;
    assert!(datagrams.never_got("INVITE"));

    // Where no stream is taken the datagram goes after all.
    let mut datagrams = Server::udp().await;
    let endpoint = start(&config(&[&datagrams.trunk()]));
    let mut placed = endpoint.place(large()).await.unwrap();
    placed.dialled().await;
    let invite = datagrams.takes().await;
    assert!(header(&invite, "Via").starts_with("SIP/2.0/UDP ") && !header(&invite, "Contact").contains("transport"));
    assert!(matches!(placed.next().await, CallEvent::Answered { .. }));
    until("it counts", || endpoint.calls() == 1).await;
}
