//! The pound key, however it reaches us, and on whatever line.

use std::time::Duration;

use serde_json::json;

use super::{Exchange, VERIFIED, to_port};
use crate::world::sip::{
    ear::{Ear, Habits, How},
    relay::Relay,
    sipp::Sipp,
    until,
};

/// A callee who hears and presses, with what it says in SIP.
async fn callee(scenario: &str, habits: Habits) -> (Sipp, Ear) {
    let ear = Ear::start(habits).await;
    (Sipp::callee(scenario, &[("rtp_port", &ear.port())]).await, ear)
}

#[tokio::test(flavor = "multi_thread")]
async fn pound_verifies_however_it_comes() {
    let pound = Habits::pressing('#');
    let bad = Habits { loses: 5, ..pound };
    let (events, events_ear) = callee("answer", pound).await;
    let (tones, tones_ear) = callee("answer-inband", Habits { presses: Some(('#', How::Tone)), ..pound }).await;
    let (info, info_ear) = callee("answer-info", Habits::idle()).await;
    let (lossy, _lossy_ear) = callee("answer", bad).await;
    let (doubled, _doubled_ear) = callee("answer", Habits { repeats: true, ..pound }).await;
    let trunks = [
        ("events", to_port(events.port())),
        ("tones", to_port(tones.port())),
        ("info", to_port(info.port())),
        ("lossy", to_port(lossy.port())),
        ("doubled", to_port(doubled.port())),
    ];
    let exchange = Exchange::start(&trunks).await;
    let mut ids = Vec::new();
    for (n, (trunk, _)) in (100..).zip(&trunks) {
        ids.push(exchange.call(trunk, n, json!({})).await);
    }
    for (id, (trunk, _)) in ids.iter().zip(&trunks) {
        exchange.comes_to(id, VERIFIED).await;
        let records = exchange.records(id).await;
        assert_eq!((records.len(), &records[0]["prompts"]), (1, &json!(1)), "{trunk}: one key, pressed once");
    }
    for peer in [events, tones, info, lossy, doubled] {
        peer.kept().await;
    }
    for ear in [events_ear, tones_ear, info_ear] {
        assert!(ear.packets() > 75, "the prompt is heard");
        assert!(ear.heard().iter().any(|byte| *byte != 0xFF), "and it is not silence");
    }
    exchange.check(100..105).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pressed_before_the_answer_or_by_a_stranger_is_no_key() {
    let (early, early_ear) = callee("early", Habits::idle()).await;
    let (steady, steady_ear) = callee("answer", Habits::idle()).await;
    let trunks = [("early", to_port(early.port())), ("steady", to_port(steady.port()))];
    let exchange = Exchange::start(&trunks).await;
    let first = exchange.call("early", 110, json!({})).await;
    let second = exchange.call("steady", 111, json!({})).await;
    until("an offer", Duration::from_secs(20), || early.messages().contains("m=audio ")).await;
    Ear::press_pound_at(media_of(&early.messages())).await;
    // In mid-call, from an address that was never agreed on.
    until("the prompt", Duration::from_secs(20), || steady_ear.packets() > 50 && early_ear.packets() > 25).await;
    Ear::press_pound_at(media_of(&steady.messages())).await;
    let heard = steady_ear.packets();
    until("more of it", Duration::from_secs(20), || steady_ear.packets() > heard + 50).await;
    for id in [&first, &second] {
        let document = exchange.read(&format!("/v1/verifications/{id}")).await;
        assert_eq!((&document["status"], &document["stage"]), (&json!("pending"), &json!("prompting")), "{document}");
        exchange.post(&format!("/v1/verifications/{id}/cancel")).await;
        exchange.comes_to(id, "canceled by_client completed none 200").await;
    }
    early.kept().await;
    steady.kept().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while exchange.packets("steady", "refused").await < 12 {
        assert!(tokio::time::Instant::now() < deadline, "the stranger's packets are counted");
    }
    assert!(exchange.packets("steady", "received").await > 50 && exchange.packets("steady", "sent").await > 50);
    exchange.check(110..112).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_loses_or_repeats_messages_changes_nothing() {
    let pound = Habits::pressing('#');
    let ((lossy, _one), (doubled, _two)) = (callee("answer", pound).await, callee("answer", pound).await);
    let (losing, repeating) = (Relay::losing_all_once(lossy.port()).await, Relay::repeating(doubled.port()).await);
    let trunks = [("losing", to_port(losing.port())), ("repeating", to_port(repeating.port()))];
    let exchange = Exchange::start(&trunks).await;
    let ids = [exchange.call("losing", 120, json!({})).await, exchange.call("repeating", 121, json!({})).await];
    for id in &ids {
        exchange.comes_to(id, VERIFIED).await;
        assert_eq!(exchange.records(id).await.len(), 1);
    }
    assert!(losing.lost() >= 3, "INVITE, answer: {}", losing.lost());
    lossy.kept().await;
    doubled.kept().await;
    exchange.check(120..122).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_is_dialled_before_anything_is_said() {
    let (peer, ear) = callee("answer", Habits { listens: Duration::from_secs(4), ..Habits::pressing('#') }).await;
    let exchange = Exchange::start(&[("office", to_port(peer.port()))]).await;
    let id = exchange.call("office", 130, json!({ "extension": "12#" })).await;
    exchange.comes_to(&id, VERIFIED).await;
    assert_eq!(ear.dialled(), "12#");
    peer.kept().await;
    exchange.check([130]).await;
}

/// Where media is taken, by the offer in what SIPp received.
fn media_of(messages: &str) -> std::net::SocketAddr {
    let port = messages.split("m=audio ").nth(1).unwrap().split(' ').next().unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}
