//! Owns the tests of messages.

use super::{
    torture::{MANIFEST, MESSAGES},
    *,
};

/// What is left open for an invalid message: no use of it at all, or this repair.
const REPAIRED: [&str; 1] = ["badaspec.dat"];

#[test]
fn torture_messages_are_taken_or_refused_as_rfc_4475_says() {
    for (name, bytes) in MESSAGES {
        let line = MANIFEST.lines().find(|line| line.starts_with(name)).unwrap();
        let class = line.split('\t').nth(2).unwrap();
        let sound = Message::read(bytes).is_ok_and(|message| message.fault().is_none());
        match class {
            "valid" => assert!(sound, "{line}"),
            "invalid" => assert_eq!(sound, REPAIRED.contains(&name), "{line}"),
            _ => assert!(Message::read(bytes).is_ok(), "{line}"),
        }
    }
}

fn frames(chunks: &[&[u8]]) -> (Vec<String>, Option<FrameError>) {
    let mut framer = Framer::default();
    let mut seen = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.poll() {
                Ok(Some(Frame::Message(bytes))) => seen.push(String::from_utf8(bytes).unwrap()),
                Ok(Some(Frame::Ping)) => seen.push("ping".into()),
                Ok(None) => break,
                Err(error) => return (seen, Some(error)),
            }
        }
    }
    (seen, None)
}

#[test]
fn a_stream_is_cut_into_messages_wherever_its_bytes_break() {
    let stream = b"\r\nSIP/2.0 200 OK\r\nl : 4\r\n\r\nbody\r\n\r\nBYE sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\nSIP";
    let expected = ["SIP/2.0 200 OK\r\nl : 4\r\n\r\nbody", "ping", "BYE sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"];
    assert_eq!(frames(&[stream]).0, expected);
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(frames(&single).0, expected);
    for at in 0..stream.len() {
        let (one, two) = stream.split_at(at);
        assert_eq!(frames(&[one, two]).0, expected, "cut at {at}");
    }
}

#[test]
fn a_stream_without_a_length_is_given_up() {
    for head in ["A: b", "Content-Length: -1", "Content-Length: 1\r\nl: 2", "Content-Length: 9999999999", "l: 1x"] {
        let text = format!("SIP/2.0 200 OK\r\n{head}\r\n\r\n");
        assert_eq!(frames(&[text.as_bytes()]).1, Some(FrameError::Length), "{head}");
    }
    assert_eq!(frames(&[b"SIP/2.0 200 OK\r\nl: 999999\r\n\r\n"]).1, Some(FrameError::TooLarge));
    assert_eq!(frames(&[&vec![b'x'; MAX_HEAD + 1]]).1, Some(FrameError::TooLarge));
}
