//! What trunks say that do not connect us: each final response becomes the right reason, fault and status.

use std::time::Duration;

use serde_json::json;

use super::{Exchange, to_port};
use crate::world::sip::{sipp::Sipp, until};

/// A name, a scenario, status, phrase, `Reason`, and what the call comes to.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const ROWS: [Row; 12] = [
    ("busy", "final", "486", "Busy Here", "Q.850;cause=17", "failed busy busy callee 486"),
    ("declined", "ring-final", "603", "Decline", "SIP;cause=603", "failed rejected rejected callee 603"),
    ("unknown", "final", "404", "Not Found", "Q.850;cause=1", "failed invalid_number invalid_number request 404"),
    ("absent", "ring-final", "480", "Gone", "Q.850;cause=20", "failed unreachable unreachable callee 480"),
    ("off", "final", "480", "Off", "Q.850;cause=27", "failed unreachable unreachable callee 480"),
    ("late", "ring-final", "408", "Timeout", "SIP;cause=408", "failed no_answer no_answer callee 408"),
    ("refused", "ring-final", "403", "No", "Q.850;cause=21;location=U", "failed rejected rejected callee 403"),
    ("barred", "final", "403", "No", "Q.850;cause=21", "failed carrier_error carrier_error carrier 403"),
    ("unwanted", "final", "607", "Unwanted", "SIP;cause=607", "failed blocked blocked callee 607"),
    ("analysed", "final", "603", "Network Blocked", "SIP;cause=603", "failed blocked blocked carrier 603"),
    ("full", "final", "503", "Full", "Q.850;cause=34", "failed carrier_error carrier_error carrier 503"),
    ("media", "final", "488", "Not Acceptable", "SIP;cause=488", "failed carrier_error carrier_error us 488"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_reason() {
    let mut peers = Vec::new();
    for (_, scenario, status, phrase, reason, _) in ROWS {
        peers.push(Sipp::callee(scenario, &[("status", status), ("phrase", phrase), ("reason", reason)]).await);
    }
    let trunks: Vec<_> = ROWS.iter().zip(&peers).map(|(row, peer)| (row.0, to_port(peer.port()))).collect();
    let exchange = Exchange::start(&trunks).await;
    let mut ids = Vec::new();
    for (n, row) in (0..).zip(&ROWS) {
        ids.push(exchange.call(row.0, n, json!({})).await);
    }
    for ((id, row), peer) in ids.iter().zip(&ROWS).zip(peers) {
        exchange.comes_to(id, row.5).await;
        let records = exchange.records(id).await;
        let code = records[0]["carrier_code"].as_str().unwrap();
        assert!(code.starts_with(&format!("{} {}", row.2, row.3)), "phrase and reason are kept: {code}");
        let messages = peer.kept().await;
        assert_eq!(messages.matches("\nINVITE sip:").count(), 1, "asked for once: {messages}");
    }
    exchange.check(0..12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_answers_is_canceled() {
    let (rings, withdrawn) = (Sipp::callee("no-answer", &[]).await, Sipp::callee("no-answer", &[]).await);
    let trunks = [("rings", to_port(rings.port())), ("withdrawn", to_port(withdrawn.port()))];
    let exchange = Exchange::start_with("ring_timeout = \"15s\"", &trunks).await;
    let rung_out = exchange.call("rings", 20, json!({})).await;
    let taken_back = exchange.call("withdrawn", 21, json!({})).await;
    // Said once; where the network loses that, it rings all the same.
    until("ringing", Duration::from_secs(20), || withdrawn.messages().contains("180 Ringing")).await;
    exchange.post(&format!("/v1/verifications/{taken_back}/cancel")).await;
    exchange.comes_to(&taken_back, "canceled by_client canceled none 487").await;
    exchange.comes_to(&rung_out, "failed no_answer no_answer callee 487").await;
    for peer in [rings, withdrawn] {
        assert!(peer.kept().await.contains("\nCANCEL sip:"));
    }
    exchange.check(20..22).await;
}
