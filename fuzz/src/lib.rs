//! Owns what is done with the bytes of a fuzzer: each function takes any bytes and panics when something does not hold that
//! always has to. The tests of ringproof include this file and replay the seeds beside it.

mod call;
mod line;

pub use call::sip_uac;
pub use line::{rtcp, rtp};
use ringproof::sip::{
    info,
    message::{Challenge, Frame, Framer, Message, NameAddr, Uri, Via},
    sdp::{self, Protect},
};

/// One message: everything in it that anything reads, and the same bytes as a stream.
pub fn sip_message(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _parts = (Uri::read(&text), Via::read(&text), NameAddr::read(&text), Challenge::read_all(&text));
    for kind in ["application/dtmf-relay", "application/dtmf"] {
        assert!(info::keys(kind, bytes).len() <= 16, "a body holds few keys");
    }
    if let Ok(message) = Message::read(bytes) {
        let _read = (message.fault(), message.branch(), message.contacts(8), message.content_type());
        assert!(message.sdp().is_none_or(|sdp| sdp.len() <= bytes.len()));
    }
    let whole = frames(&[bytes]);
    let (one, two) = bytes.split_at(bytes.len() / 2);
    assert_eq!(whole, frames(&[one, two]), "a stream is cut the same way wherever its bytes break");
}

/// The messages of a stream, and whether it broke.
fn frames(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.poll() {
                Ok(Some(Frame::Message(bytes))) => found.push(bytes),
                Ok(Some(Frame::Ping)) => found.push(Vec::new()),
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

/// A session description, as answer and as offer, with keys and without.
pub fn sdp(bytes: &[u8]) {
    let local = line::local();
    for protect in [Protect::Off, Protect::Required] {
        if let Ok(agreed) = sdp::agree(bytes, &local, protect) {
            assert!(agreed.rtp.port() != 0 && !agreed.rtp.ip().is_multicast());
            assert_eq!(
                agreed.protection.is_some(),
                protect == Protect::Required,
                "no plain call where keys are required"
            );
        }
        if let Ok((answer, agreed)) = sdp::answer(bytes, &local, protect) {
            assert!(answer.len() <= 2 * sdp::MAX_BYTES);
            assert_eq!(agreed.protection.is_some(), protect == Protect::Required);
            assert!(reads_back(&answer), "{}", String::from_utf8_lossy(&answer));
        }
    }
}

/// Our own descriptions are lines that others can read.
fn reads_back(sdp: &[u8]) -> bool {
    let lines = sdp.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines
        .filter(|line| !line.is_empty())
        .all(|line| line.get(1) == Some(&b'=') && line.iter().all(|b| (32..127).contains(b)))
}
