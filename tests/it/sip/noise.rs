//! What strangers send: messages that make no sense, many of them, while a call is up.

use std::time::Duration;

use serde_json::json;
use tokio::net::UdpSocket;

use super::{Exchange, VERIFIED, to_port};
use crate::world::{
    program::free_port,
    sip::{
        ear::{Ear, Habits},
        sipp::Sipp,
        until,
    },
};

/// Messages of the flood.
const FLOOD: usize = 20_000;
/// Most that the memory of the program may grow by, in KiB: what a flood leaves behind is nothing.
const MOST_GROWTH_KIB: u64 = 16 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_nonsense_harms_no_call() {
    let ear = Ear::start(Habits { listens: Duration::from_secs(5), ..Habits::pressing('#') }).await;
    let peer = Sipp::callee("answer", &[("rtp_port", &ear.port())]).await;
    let bind = free_port();
    let lines = to_port(peer.port());
    let exchange = Exchange::start_bound(bind, &[("trunk", lines)]).await;
    let id = exchange.call("trunk", 400, json!({})).await;
    until("the prompt", Duration::from_secs(20), || ear.packets() > 10).await;
    let before = resident_kib(exchange.serving.pid());
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    for n in 0..FLOOD {
        let text = match n % 4 {
            0 => {
                format!("INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{n}\r\nCall-ID: {n}\r\n\r\n")
            }
            1 => format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{n}\r\nCSeq: 1 INVITE\r\n\r\n"),
            2 => format!("BYE sip:x SIP/2.0\r\nCall-ID: {n}\r\nContent-Length: 99999999\r\n\r\n"),
            _ => format!("\u{0}\u{1}{n}"),
        };
        socket.send_to(text.as_bytes(), ("127.0.0.1", bind)).await.unwrap();
    }
    exchange.comes_to(&id, VERIFIED).await;
    let grown = resident_kib(exchange.serving.pid()).saturating_sub(before);
    assert!(grown < MOST_GROWTH_KIB, "memory grew by {grown} KiB");
    peer.kept().await;
    exchange.check([400]).await;
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
