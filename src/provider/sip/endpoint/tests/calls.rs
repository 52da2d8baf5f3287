//! Calls to one server.

use super::{
    super::*,
    server::{SDP, Server, config, header, outgoing, start},
};
use crate::sip::{Canceled, info};

#[tokio::test]
async fn a_call_from_the_first_ring_to_our_bye() {
    let mut server = Server::udp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    let facing = placed.dialled().await;
    assert_eq!(
        (facing.server, facing.address.to_string(), facing.over_tls),
        (server.address, "127.0.0.1".into(), false)
    );
    let invite = server.next("INVITE").await;
    assert!(invite.starts_with(&format!("INVITE sip:+819012345678@{};user=phone SIP/2.0", server.address)), "{invite}");
    assert!(header(&invite, "From").starts_with("\"Contoso\" <sip:+815012345678@"));
    assert!(header(&invite, "Contact").contains(&endpoint.bound().to_string()));
    assert!(invite.ends_with("v=0\r\nc=IN IP4 127.0.0.1\r\n"));
    server.reply(&invite, 180, "a", "").await;
    let event = placed.next().await;
    assert!(matches!(event, CallEvent::Provisional { code: 180, early_media: false, .. }), "{event:?}");
    let contact = format!("Contact: <sip:callee@{}>\r\n", server.address);
    server.reply(&invite, 200, "a", &contact).await;
    let event = placed.next().await;
    let CallEvent::Answered { answer, .. } = event else { panic!("{event:?}") };
    assert_eq!(answer, SDP.as_bytes());
    let ack = server.next("ACK").await;
    assert!(ack.starts_with("ACK sip:callee@127.0.0.1:"));
    assert_eq!(endpoint.calls(), 1);

    server.ask(&invite, "INFO", 1, "Content-Type: application/dtmf\r\n", "#").await;
    let event = placed.next().await;
    let CallEvent::Info { content_type, body } = event else { panic!("{event:?}") };
    assert_eq!(info::keys(&content_type, &body).len(), 1);
    assert!(!format!("{:?}", outgoing()).contains("1234"), "no number in what is written down");

    server.ask(&invite, "UPDATE", 2, "Content-Type: application/sdp\r\n", SDP).await;
    let event = placed.next().await;
    let CallEvent::Offered { offer, sdp: Some(_) } = event else { panic!("{event:?}") };
    endpoint.answer_offer(placed.call, offer, Some(b"v=0\r\nours\r\n".to_vec())).await;
    let ok = server.next("SIP/2.0 200").await;
    let ok = if header(&ok, "CSeq") == "1 INFO" { server.next("SIP/2.0 200").await } else { ok };
    assert!(ok.ends_with("ours\r\n"), "{ok}");

    let reason = Reason { protocol: "Q.850".into(), cause: Some(16), text: None, by_user: false };
    endpoint.hang_up(placed.call, Some(reason)).await;
    let bye = server.next("BYE").await;
    assert_eq!(header(&bye, "Reason"), "Q.850;cause=16");
    server.reply(&bye, 200, "", "").await;
    assert_eq!(placed.rest().await, ["Ended"]);
    assert_eq!(endpoint.calls(), 0);
    assert!(endpoint.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_call_over_a_stream_and_the_callee_hangs_up() {
    let mut server = Server::tcp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    let invite = server.takes().await;
    assert!(header(&invite, "Via").starts_with("SIP/2.0/TCP ") && header(&invite, "Contact").contains("transport=tcp"));
    assert!(matches!(placed.next().await, CallEvent::Answered { .. }));
    server.ask(&invite, "BYE", 1, "Reason: Q.850;cause=16\r\n", "").await;
    let event = placed.next().await;
    assert!(matches!(event, CallEvent::Ended { by: Ender::Peer, cause: EndCause::Bye, .. }), "{event:?}");
    server.next("SIP/2.0 200").await;
}

#[tokio::test]
async fn a_stream_that_breaks_in_a_call_is_opened_again() {
    let mut server = Server::tcp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    server.takes().await;
    assert!(matches!(placed.next().await, CallEvent::Answered { .. }));
    server.hangs_up_the_line();
    endpoint.hang_up(placed.call, None).await;
    let bye = server.next("BYE").await;
    server.reply(&bye, 200, "", "").await;
    assert_eq!(placed.rest().await, ["Ended"]);
    assert!(super::server::soon("the stop", endpoint.stop(Duration::from_secs(5))).await);
}

#[tokio::test]
async fn a_call_is_canceled_while_it_rings() {
    let mut server = Server::udp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    let invite = server.next("INVITE").await;
    server.reply(&invite, 180, "a", "").await;
    placed.next().await;
    endpoint.cancel(placed.call, None).await;
    let cancel = server.next("CANCEL").await;
    server.reply(&cancel, 200, "a", "").await;
    server.reply(&invite, 487, "a", "").await;
    let event = placed.next().await;
    let CallEvent::Refused(refusal) = event else { panic!("{event:?}") };
    assert_eq!((refusal.code, refusal.canceled), (487, Some(Canceled::Asked)));
    assert_eq!(endpoint.calls(), 0);
}

#[tokio::test]
async fn the_ring_limit_is_ours() {
    let mut server = Server::udp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let short = Outgoing { ring_limit: Duration::from_millis(300), ..outgoing() };
    let mut placed = endpoint.place(short).await.unwrap();
    placed.dialled().await;
    let invite = server.next("INVITE").await;
    server.reply(&invite, 180, "a", "").await;
    server.next("CANCEL").await;
    server.reply(&invite, 487, "a", "").await;
    placed.next().await;
    let event = placed.next().await;
    let CallEvent::Refused(refusal) = event else { panic!("{event:?}") };
    assert_eq!(refusal.canceled, Some(Canceled::RingLimit));
}

#[tokio::test]
async fn who_does_not_listen_wants_no_call() {
    let mut server = Server::udp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    server.takes().await;
    assert!(matches!(placed.next().await, CallEvent::Answered { .. }));
    drop(placed);
    let bye = server.next("BYE").await;
    server.reply(&bye, 200, "", "").await;
    super::server::until("the call is over", || endpoint.calls() == 0).await;

    let placed = endpoint.place(outgoing()).await.unwrap();
    let invite = server.next("INVITE").await;
    server.reply(&invite, 180, "a", "").await;
    drop(placed);
    server.next("CANCEL").await;
    server.reply(&invite, 487, "a", "").await;
    super::server::until("the call is over", || endpoint.calls() == 0).await;
}

#[tokio::test]
async fn strangers_are_answered_and_change_nothing() {
    let mut server = Server::udp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    let invite = server.next("INVITE").await;
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKs\r\nFrom: <sip:s@s>;tag=s\r\n\
               To: <sip:x@x>\r\nCall-ID: s\r\nCSeq: 1 OPTIONS\r\n\r\n";
    for noise in [b"\xff\xfe\x00".as_slice(), b"\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", ask.as_bytes()] {
        stranger.send_to(noise, endpoint.bound()).await.unwrap();
    }
    let mut bytes = [0; 4096];
    let (length, _) = super::server::soon("an answer", stranger.recv_from(&mut bytes)).await.unwrap();
    assert!(bytes[..length].starts_with(b"SIP/2.0 200 "));
    server.reply(&invite, 486, "a", "").await;
    assert!(matches!(placed.next().await, CallEvent::Refused(refusal) if refusal.code == 486));
}
