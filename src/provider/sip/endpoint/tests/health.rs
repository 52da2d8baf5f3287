//! What goes on while nobody calls: probes and registrations.

use super::{
    super::*,
    server::{Server, config, header, nowhere, outgoing, soon, start, until},
};
use crate::secret::Secret;

#[tokio::test]
async fn a_server_goes_down_and_comes_up_by_its_answers_to_probes() {
    let mut server = Server::udp().await;
    let mut config = config(&[&server.trunk()]);
    config.probe_interval = Duration::from_millis(20);
    let endpoint = start(&config);
    for _ in 0..2 {
        let options = server.next("OPTIONS").await;
        server.reply(&options, 503, "o", "").await;
    }
    until("it is down", || !endpoint.is_up()).await;
    let error = endpoint.place(outgoing()).await.unwrap_err();
    assert!(matches!(error, PlaceError::Unreachable(_)), "{error:?}");
    let options = server.next("OPTIONS").await;
    server.reply(&options, 404, "o", "").await;
    until("any answer proves that it lives", || endpoint.is_up()).await;
    let _placed = endpoint.place(outgoing()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_found_down_and_calls_go_to_the_other() {
    let mut second = Server::udp().await;
    let mut config = config(&[&nowhere("tcp").await, &second.trunk()]);
    config.probe_interval = Duration::from_millis(20);
    let endpoint = start(&config);
    let options = second.next("OPTIONS").await;
    second.reply(&options, 200, "o", "").await;
    for _ in 0..3 {
        let options = second.next("OPTIONS").await;
        second.reply(&options, 200, "o", "").await;
    }
    assert!(endpoint.is_up());
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    let CallEvent::Dialled(facing) = placed.next().await else { panic!() };
    assert_eq!(facing.server, second.address);
}

#[tokio::test]
async fn how_others_see_us_is_learnt_from_answers_to_probes() {
    let mut server = Server::udp().await;
    let mut config = config(&[&server.trunk()]);
    config.probe_interval = Duration::from_secs(30);
    let endpoint = start(&config);
    let options = server.next("OPTIONS").await;
    let seen = options.replacen(";rport", ";rport=4444;received=203.0.113.5", 1);
    server.reply(&seen, 200, "o", "").await;
    until("it is learnt", || !lock(&endpoint.0.seen_as).is_empty()).await;
    let mut placed = endpoint.place(outgoing()).await.unwrap();
    assert_eq!(placed.dialled().await.address.to_string(), "203.0.113.5");
    let invite = server.next("INVITE").await;
    assert!(header(&invite, "Contact").contains("@203.0.113.5:4444>"), "{invite}");
    assert!(header(&invite, "Via").contains("127.0.0.1:"));
}

fn registering(server: &Server) -> Config {
    let mut config = config(&[&server.trunk()]);
    config.register = true;
    config.username = Some(String::from("alice"));
    config.password = Some(Secret::new(String::from("secret")));
    config
}

#[tokio::test]
async fn we_register_with_our_password_and_take_it_back_at_the_stop() {
    let mut server = Server::udp().await;
    let endpoint = start(&registering(&server));
    let register = server.next("REGISTER").await;
    assert_eq!(header(&register, "Expires"), "3600");
    server.reply(&register, 401, "r", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n").await;
    let proven = server.next("REGISTER").await;
    assert!(header(&proven, "Authorization").contains("username=\"alice\"") && !proven.contains("secret"));
    server.reply(&proven, 200, "r", "Expires: 600\r\n").await;
    let meanwhile = async {
        let last = server.next("REGISTER").await;
        assert_eq!(header(&last, "Expires"), "0");
        server.reply(&last, 200, "r", "").await;
    };
    let (drained, ()) =
        soon("the stop", async { tokio::join!(endpoint.stop(Duration::from_secs(5)), meanwhile) }).await;
    assert!(drained);
}

#[tokio::test]
async fn a_registrar_that_is_silent_does_not_hold_up_the_stop() {
    let mut server = Server::udp().await;
    let endpoint = start(&registering(&server));
    let register = server.next("REGISTER").await;
    server.reply(&register, 200, "r", "").await;
    assert!(soon("the stop", endpoint.stop(Duration::from_secs(5))).await);
    server.next("REGISTER").await;
}

#[tokio::test]
async fn a_look_finds_what_is_wrong() {
    let mut server = Server::udp().await;
    let endpoint = start(&config(&[&server.trunk()]));
    let mut found = Vec::new();
    for (code, more) in [(401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n"), (200, "")] {
        let says = async {
            let options = server.next("OPTIONS").await;
            server.reply(&options, code, "o", more).await;
        };
        found.push(soon("the look", async { tokio::join!(endpoint.check(), says) }).await.0);
    }
    let fault = found[0].as_ref().unwrap_err();
    assert!(fault.contains("give username and password_file"), "{fault}");
    let good = found[1].as_ref().unwrap();
    assert!(good.contains("answers OPTIONS with 200"), "{good}");

    let endpoint = start(&config(&[&nowhere("tcp").await]));
    let fault = endpoint.check().await.unwrap_err();
    assert!(fault.contains("127.0.0.1"), "{fault}");
}
