//! What trunks do beside ringing and answering: they are full, send us elsewhere, want to know who we are, and speak the
//! extensions of SIP.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Exchange, VERIFIED, to, to_port};
use crate::world::sip::{
    ear::{Ear, Habits},
    free_port,
    sipp::Sipp,
    until,
};

async fn callee(scenario: &str, words: &[(&str, &str)]) -> (Sipp, Ear) {
    let ear = Ear::start(Habits::pressing('#')).await;
    let port = ear.port();
    let words: Vec<_> = words.iter().copied().chain([("rtp_port", port.as_str())]).collect();
    (Sipp::callee(scenario, &words).await, ear)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_trunk_takes_what_the_first_does_not() {
    let full = [("status", "503"), ("phrase", "Full"), ("reason", "Q.850;cause=34")];
    let (first, second) = (Sipp::callee("final", &full).await, callee("answer", &[]).await);
    let (third, fourth) = (Sipp::callee("final", &full).await, callee("answer", &[]).await);
    let after_nobody = callee("answer", &[]).await;
    let both = format!("{}trunks = [\"sip:127.0.0.1:{}\"]\n", to_port(first.port()), second.0.port());
    let nobody = format!("{}trunks = [\"sip:127.0.0.1:{}\"]\n", to_port(free_port()), after_nobody.0.port());
    let exchange = Exchange::start(&[("third", to_port(third.port())), ("both", both), ("nobody", nobody)]).await;
    // Two trunks of one carrier: one call.
    let inside = exchange.call("both", 200, json!({})).await;
    exchange.comes_to(&inside, VERIFIED).await;
    assert_eq!(exchange.records(&inside).await.len(), 1);
    // Nobody listens at the first.
    let reached = exchange.call("nobody", 201, json!({})).await;
    exchange.comes_to(&reached, VERIFIED).await;
    // Two carriers: the second is asked because the first refused for certain.
    exchange.check(200..202).await;
    let exchange = Exchange::start(&[("third", to_port(third.port())), ("fourth", to_port(fourth.0.port()))]).await;
    let across = exchange.call_by_any(202, json!({})).await;
    exchange.comes_to(&across, VERIFIED).await;
    let records = exchange.records(&across).await;
    let carriers: Vec<_> = records.iter().map(|record| record["carrier"].as_str().unwrap()).collect();
    assert_eq!(carriers, ["third", "fourth"]);
    assert_eq!(records[0]["sip_status"], 503);
    for peer in [first, second.0, third, fourth.0, after_nobody.0] {
        peer.kept().await;
    }
    exchange.check([202]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_callee_is_none_of_the_trunk() {
    let rang_out = [("status", "500"), ("phrase", "No answer"), ("reason", "Q.850;cause=19")];
    let engaged = [("status", "503"), ("phrase", "Engaged"), ("reason", "Q.850;cause=17")];
    let (first, second) = (Sipp::callee("final", &rang_out).await, Sipp::callee("final", &engaged).await);
    let (other, _ear) = callee("answer", &[]).await;
    let with_other = |peer: &Sipp| format!("{}trunks = [\"sip:127.0.0.1:{}\"]\n", to_port(peer.port()), other.port());
    let exchange = Exchange::start(&[("first", with_other(&first)), ("second", with_other(&second))]).await;
    let (out, busy) = (exchange.call("first", 206, json!({})).await, exchange.call("second", 207, json!({})).await);
    exchange.comes_to(&out, "failed no_answer no_answer callee 500").await;
    exchange.comes_to(&busy, "failed busy busy callee 503").await;
    assert!(!other.messages().contains("INVITE"), "no second telephone rings");
    for peer in [first, second] {
        peer.kept().await;
    }
    exchange.check(206..208).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_wakes_up_late_is_told_to_stop_ringing() {
    let (late, (second, _ear)) = (Sipp::callee("late", &[]).await, callee("answer", &[]).await);
    let lines =
        format!("{}trunks = [\"sip:127.0.0.1:{}\"]\nanswer_within = \"1s\"\n", to_port(late.port()), second.port());
    let exchange = Exchange::start(&[("trunk", lines)]).await;
    let id = exchange.call("trunk", 204, json!({})).await;
    exchange.comes_to(&id, VERIFIED).await;
    assert_eq!(exchange.records(&id).await.len(), 1, "one call, one telephone");
    let messages = late.kept().await;
    assert!(messages.find("\nCANCEL sip:") > messages.find("180 Ringing"), "{messages}");
    second.kept().await;
    exchange.check([204]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_called_over_tcp() {
    let ear = Ear::start(Habits::pressing('#')).await;
    let peer = Sipp::start("answer", &[("rtp_port", &ear.port())], &["-m", "1", "-t", "t1"]).await;
    let line = format!("trunk = \"sip:127.0.0.1:{};transport=tcp\"\n", peer.port());
    let exchange = Exchange::start(&[("trunk", line)]).await;
    let id = exchange.call("trunk", 205, json!({})).await;
    exchange.comes_to(&id, VERIFIED).await;
    assert!(peer.kept().await.contains("\nVia: SIP/2.0/TCP "));
    exchange.check([205]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_to_the_trunks_own_hosts_only() {
    let target = callee("answer", &[]).await;
    let at = |host: &str| format!("sip:{}@{host}:{}", "+819031500210", target.0.port());
    let (near, far) = (at("127.0.0.1"), at("premium.example"));
    let (inside, outside) = (
        Sipp::callee("redirect", &[("elsewhere", &near)]).await,
        Sipp::callee("redirect", &[("elsewhere", &far)]).await,
    );
    let exchange = Exchange::start(&[("inside", to_port(inside.port())), ("outside", to_port(outside.port()))]).await;
    let followed = exchange.call("inside", 210, json!({})).await;
    let refused = exchange.call("outside", 211, json!({})).await;
    exchange.comes_to(&followed, VERIFIED).await;
    exchange.comes_to(&refused, "failed carrier_error carrier_error carrier 302").await;
    for peer in [target.0, inside, outside] {
        peer.kept().await;
    }
    exchange.check(210..212).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_asks_for_a_password_gets_its_digest() {
    let challenge =
        "Proxy-Authenticate: Digest realm=\"trunk\", nonce=\"n-0S6_WzA2Mj\", algorithm=SHA-256, qop=\"auth\"";
    let (asking, _ear) = callee("challenge", &[("challenge", challenge)]).await;
    let refusing = Sipp::callee("challenge-again", &[("challenge", challenge)]).await;
    let captures = TempDir::new().unwrap();
    let lines = format!(
        "username = \"office\"\npassword = \"open sesame\"\ncapture = \"{}\"\n",
        captures.path().join("sip").display()
    );
    let with = |port| format!("{}{lines}", to_port(port));
    let exchange = Exchange::start(&[("asking", with(asking.port())), ("refusing", with(refusing.port()))]).await;
    let id = exchange.call("asking", 220, json!({})).await;
    let refused = exchange.call("refusing", 221, json!({})).await;
    exchange.comes_to(&id, VERIFIED).await;
    exchange.comes_to(&refused, "failed carrier_error carrier_error us 407").await;
    let messages = asking.kept().await;
    let header = messages.lines().find(|line| line.starts_with("Proxy-Authorization:")).unwrap();
    assert_eq!(part(header, "response"), digest(header), "{header}");
    refusing.kept().await;
    let call = exchange.records(&id).await[0]["id"].as_str().unwrap().to_owned();
    let capture = || std::fs::read_to_string(captures.path().join(format!("sip/{call}.sip.txt"))).unwrap_or_default();
    until("the end of the capture", Duration::from_secs(20), || capture().contains("--> sent\nBYE sip:")).await;
    let (log, capture) = (exchange.check(220..222).await, capture());
    assert!(!log.contains("open sesame"));
    assert!(
        capture.contains("<-- received\nSIP/2.0 407 ") && capture.contains("<-- received\nSIP/2.0 200 "),
        "{capture}"
    );
    for secret in ["open sesame", part(header, "response"), part(header, "cnonce"), to(220).trim_start_matches('+')] {
        assert!(!capture.contains(secret), "{secret}: {capture}");
    }
}

/// RFC 7616 §3.4.1 for SHA-256 with qop `auth`, written down here on its own.
fn digest(header: &str) -> String {
    let hash = |text: String| data_encoding::HEXLOWER.encode(&Sha256::digest(text));
    let who = hash(String::from("office:trunk:open sesame"));
    let what = hash(format!("INVITE:{}", part(header, "uri")));
    let middle = [part(header, "nonce"), part(header, "nc"), part(header, "cnonce"), "auth"].join(":");
    hash(format!("{who}:{middle}:{what}"))
}

/// A parameter of a header.
fn part<'a>(header: &'a str, name: &str) -> &'a str {
    let (_, value) = header.split_once(&format!("{name}=")).unwrap();
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap(),
        None => value.split([',', '\r']).next().unwrap().trim(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extensions_of_sip_are_spoken() {
    let other = Ear::start(Habits::pressing('#')).await;
    let other_port = other.port();
    let (reliable, _reliable_ear) = callee("reliable", &[]).await;
    let (fork, _fork_ear) = callee("fork", &[("other_rtp_port", &free_port().to_string())]).await;
    let first = Ear::start(Habits { listens: Duration::from_secs(60), ..Habits::pressing('1') }).await;
    let first_port = first.port();
    let words = [("rtp_port", first_port.as_str()), ("other_rtp_port", other_port.as_str())];
    let moving = Sipp::callee("reinvite", &words).await;
    let trunks =
        [("reliable", to_port(reliable.port())), ("fork", to_port(fork.port())), ("moving", to_port(moving.port()))];
    let exchange = Exchange::start(&trunks).await;
    let mut ids = Vec::new();
    for (n, (trunk, _)) in (230..).zip(&trunks) {
        ids.push(exchange.call(trunk, n, json!({})).await);
    }
    for id in &ids {
        exchange.comes_to(id, VERIFIED).await;
    }
    assert!(other.packets() > 50, "media went where the re-INVITE said");
    let before = (reliable.notes(), fork.notes());
    for peer in [reliable, fork, moving] {
        peer.kept().await;
    }
    assert!(before.0.contains("acknowledged:") && before.1.contains("sent away:"), "{before:?}");
    exchange.check(230..233).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_refreshed_when_the_trunk_wants_it() {
    // Half of the session's 10 seconds, and a little.
    let ear = Ear::start(Habits { listens: Duration::from_millis(6500), ..Habits::pressing('#') }).await;
    let peer = Sipp::callee("timer", &[("rtp_port", &ear.port())]).await;
    let exchange = Exchange::start(&[("timer", to_port(peer.port()))]).await;
    let id = exchange.call("timer", 240, json!({})).await;
    exchange.comes_to(&id, VERIFIED).await;
    assert!(exchange.records(&id).await[0]["ringing_at"].is_string(), "it rang before it was answered");
    assert!(peer.kept().await.contains("\nUPDATE sip:"));
    exchange.check([240]).await;
}
