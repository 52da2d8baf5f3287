//! The stop of a carrier, with calls and without.

use super::{
    super::*,
    server::{Server, config, outgoing, soon, start, until},
};

async fn answered(server: &mut Server, endpoint: &Endpoint) -> (Placed, String) {
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    placed.dialled().await;
    let invite = server.takes().await;
    assert!(matches!(placed.next().await, CallEvent::Answered { .. }));
    (placed, invite)
}

#[tokio::test]
async fn a_stop_waits_for_the_calls_that_there_are() {
    let mut server = Server::udp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let (placed, invite) = answered(&mut server, &endpoint).await;
    let meanwhile = async {
        until("it stops", || endpoint.0.stopping.load(Ordering::Acquire)).await;
        assert_eq!(endpoint.place(outgoing()).await.unwrap_err(), PlaceError::Stopping);
        server.ask(&invite, "BYE", 1, "", "").await;
        assert_eq!(placed.rest().await, ["Ended"]);
    };
    let (drained, ()) =
        soon("the stop", async { tokio::join!(endpoint.stop(Duration::from_secs(20)), meanwhile) }).await;
    assert!(drained, "nothing had to be ended");
    assert_eq!(endpoint.place(outgoing()).await.unwrap_err(), PlaceError::Stopping);
}

#[tokio::test]
async fn what_is_left_at_the_stop_is_ended_also_where_the_bye_is_challenged() {
    let mut server = Server::udp().await;
    let mut config = config(&[&server.trunk()]);
    config.username = Some(String::from("alice"));
    config.password = Some(crate::secret::Secret::new(String::from("secret")));
    let endpoint = start(&config);
    let (placed, _) = answered(&mut server, &endpoint).await;
    let mut ringing = endpoint.place(outgoing()).await.unwrap();
    ringing.dialled().await;
    let invite = server.next("INVITE").await;
    server.reply(&invite, 180, "a", "").await;
    ringing.next().await;
    let meanwhile = async {
        // In the order of the calls.
        let bye = server.next("BYE").await;
        let cancel = server.next("CANCEL").await;
        server.reply(&cancel, 200, "a", "").await;
        server.reply(&invite, 487, "a", "").await;
        server.reply(&bye, 401, "", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n").await;
        let proven = loop {
            let bye = server.next("BYE").await;
            if bye.contains("Authorization: ") {
                break bye;
            }
        };
        server.reply(&proven, 200, "", "").await;
    };
    let (drained, ()) = soon("the stop", async { tokio::join!(endpoint.stop(Duration::ZERO), meanwhile) }).await;
    assert!(!drained, "calls had to be ended");
    assert_eq!((placed.rest().await, ringing.rest().await), (vec!["Ended".to_owned()], vec!["Refused".to_owned()]));
    assert_eq!(endpoint.calls(), 0);
}

#[tokio::test]
async fn a_server_that_is_gone_does_not_hold_up_the_stop() {
    let mut server = Server::udp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let (placed, _) = answered(&mut server, &endpoint).await;
    drop(server);
    assert!(!soon("the stop", endpoint.stop(Duration::ZERO)).await);
    assert_eq!(placed.rest().await, ["Ended"]);
}
