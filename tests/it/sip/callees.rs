//! What callees do once they have answered, and what becomes of their calls when the program is told to stop.

use std::time::Duration;

use serde_json::json;

use super::{Exchange, to_port};
use crate::world::sip::{
    ear::{Ear, Habits},
    free_port,
    sipp::Sipp,
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_no_or_nothing_is_understood() {
    let gone = Sipp::callee("hang-up", &[("rtp_port", &Ear::start(Habits::idle()).await.port())]).await;
    let wrong_ear = Ear::start(Habits::pressing('5')).await;
    let wrong = Sipp::callee("answer", &[("rtp_port", &wrong_ear.port())]).await;
    let report_ear = Ear::start(Habits::pressing('0')).await;
    let report = Sipp::callee("answer", &[("rtp_port", &report_ear.port())]).await;
    let trunks = [("gone", to_port(gone.port())), ("wrong", to_port(wrong.port())), ("report", to_port(report.port()))];
    let exchange = Exchange::start_with("max_wrong_entries = 1", &trunks).await;
    let mut ids = Vec::new();
    for (n, (trunk, _)) in (300..).zip(&trunks) {
        ids.push(exchange.call(trunk, n, json!({})).await);
    }
    let outcomes = [
        "failed hung_up_before_prompt completed none 200",
        "failed wrong_input completed none 200",
        "denied callee_denied completed none 200",
    ];
    for (id, outcome) in ids.iter().zip(outcomes) {
        exchange.comes_to(id, outcome).await;
    }
    let records = exchange.records(&ids[0]).await;
    assert_eq!(records[0]["carrier_code"], "Q.850 16 Normal call clearing");
    for peer in [gone, wrong, report] {
        peer.kept().await;
    }
    exchange.check(300..303).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_who_vanishes_is_not_spoken_to_for_long() {
    let ear = Ear::start(Habits::idle()).await;
    let gone = Sipp::callee("answer", &[("rtp_port", &ear.port())]).await;
    // It answers, and nothing is ever heard from there.
    let mute = Sipp::callee("answer", &[("rtp_port", &free_port().to_string())]).await;
    let exchange = Exchange::start(&[("gone", to_port(gone.port())), ("mute", to_port(mute.port()))]).await;
    let ids = [exchange.call("gone", 305, json!({})).await, exchange.call("mute", 306, json!({})).await];
    exchange.until(&ids[0], |document| document["stage"] == "prompting").await;
    drop((gone, ear));
    for id in &ids {
        exchange.comes_to(id, "failed hung_up_after_prompt completed carrier 200").await;
        let records = exchange.records(id).await;
        assert_eq!(records[0]["carrier_code"], "no media from the callee");
    }
    assert!(mute.kept().await.contains("\nBYE sip:"), "it is hung up on");
    exchange.check(305..307).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_up_come_to_their_end_at_the_stop() {
    let ear = Ear::start(Habits { listens: Duration::from_secs(3), ..Habits::pressing('#') }).await;
    let peer = Sipp::callee("answer", &[("rtp_port", &ear.port())]).await;
    let exchange = Exchange::start(&[("trunk", to_port(peer.port()))]).await;
    let id = exchange.call("trunk", 310, json!({})).await;
    exchange.until(&id, |document| document["stage"] == "prompting").await;
    until("the prompt", Duration::from_secs(20), || ear.packets() > 25).await;
    let packets = ear.packets();
    let log = exchange.check([310]).await;
    assert!(ear.packets() > packets + 75, "it was heard to its end");
    assert!(log.contains("stopped: everything that was begun is done"), "{log}");
    assert!(peer.kept().await.contains("\nBYE sip:"), "and ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_by_a_crash_stops_ringing_by_the_trunks_own_limit() {
    let peer = Sipp::callee("crash", &[]).await;
    let exchange = Exchange::start(&[("trunk", to_port(peer.port()))]).await;
    let id = exchange.call("trunk", 320, json!({})).await;
    exchange.until(&id, |document| document["stage"] == "ringing").await;
    exchange.serving.kill();
    // The trunk gives up by itself; nobody acknowledges, and nothing is asked for again.
    let messages = peer.kept().await;
    assert_eq!(messages.matches("\nINVITE sip:").count(), 1);
}
