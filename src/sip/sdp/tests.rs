//! What is offered, and what is made of good, odd and hostile descriptions.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;

fn local() -> Local {
    Local {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        rtp_port: 20_000,
        rtcp_port: 20_001,
        session: 77,
        version: 1,
        key: Secret::new([7; KEY_AND_SALT_BYTES]),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// A description of the peer with these lines after the usual head.
fn theirs(lines: &str) -> String {
    format!("v=0\no=x 1 1 IN IP4 198.51.100.7\ns=-\nc=IN IP4 198.51.100.7\nt=0 0\n{lines}\n").replace('\n', "\r\n")
}

fn agreed(lines: &str) -> Result<Negotiated, Disagreement> {
    agree(theirs(lines).as_bytes(), &local(), Protect::Off)
}

const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

#[test]
fn an_offer_says_what_we_can() {
    assert_eq!(
        text(offer(&local(), Protect::Off)),
        "v=0\r\no=- 77 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=ptime:20\r\na=sendrecv\r\n"
    );
    let protected = text(offer(&local(), Protect::Required));
    assert!(protected.contains("m=audio 20000 RTP/SAVP 0 8 101\r\n"), "{protected}");
    let [long, short] = CryptoSuite::ALL.map(CryptoSuite::name);
    assert!(
        protected.contains(&format!("a=crypto:1 {long} inline:{KEY}\r\na=crypto:2 {short} inline:{KEY}\r\n")),
        "{protected}"
    );
}

#[test]
fn both_of_us_agree_with_each_other() {
    for protect in [Protect::Off, Protect::Required] {
        let (answered, callee) = answer(&offer(&local(), protect), &local(), protect).unwrap();
        let caller = agree(&answered, &local(), protect).unwrap();
        for side in [&caller, &callee] {
            assert_eq!(side.codec, Codec::Pcmu);
            assert_eq!((side.events_out, side.events_in, side.packet_ms), (Some(EVENTS), EVENTS, 20));
            assert_eq!(side.rtp.to_string(), "192.0.2.1:20000");
            assert_eq!(side.rtcp.port(), 20_001);
            assert_eq!(side.direction, Direction::SendRecv);
            assert_eq!(side.protection.is_some(), protect == Protect::Required);
        }
    }
}

#[test]
fn an_answer_may_be_plain_or_odd() {
    let usual = agreed("m=audio 4000 RTP/AVP 8 97\na=rtpmap:97 telephone-event/8000\na=ptime:30").unwrap();
    assert_eq!((usual.codec, usual.events_out, usual.packet_ms), (Codec::Pcma, Some(97), 30));
    assert_eq!(usual.rtp.to_string(), "198.51.100.7:4000");

    let bare = agreed("m=audio 4000 RTP/AVP 0").unwrap();
    assert_eq!((bare.codec, bare.events_out), (Codec::Pcmu, None));

    let odd = agreed(
        "m=audio 4000 RTP/AVP 18 8 0 100 101\nc=IN IP4 198.51.100.9\na=rtpmap:8 pcma/8000/1\na=rtpmap:100 telephone-event/16000\n\
         a=rtpmap:101 TELEPHONE-EVENT/8000\na=rtcp:4055\na=ptime:17\na=maxptime:10",
    )
    .unwrap();
    assert_eq!((odd.codec, odd.events_out, odd.packet_ms), (Codec::Pcma, Some(101), 10));
    assert_eq!((odd.rtp.to_string(), odd.rtcp.to_string()), ("198.51.100.9:4000".into(), "198.51.100.9:4055".into()));
}

#[test]
fn hold_is_mirrored() {
    for (theirs, ours) in [
        ("a=sendonly", Direction::RecvOnly),
        ("a=recvonly", Direction::SendOnly),
        ("a=inactive", Direction::Inactive),
        ("a=sendrecv", Direction::SendRecv),
        ("a=maxptime:20", Direction::SendRecv),
        ("c=IN IP4 0.0.0.0", Direction::RecvOnly),
    ] {
        assert_eq!(agreed(&format!("m=audio 4000 RTP/AVP 0\n{theirs}")).unwrap().direction, ours, "{theirs}");
    }
}

#[test]
fn what_we_cannot_do_is_refused() {
    for (lines, why) in [
        ("m=audio 0 RTP/AVP 0", Disagreement::NoAudio),
        ("m=video 4000 RTP/AVP 96", Disagreement::NoAudio),
        ("m=audio 4000 RTP/AVP 18 9 97", Disagreement::NoCodec),
        ("m=audio 4000 RTP/AVP 0\na=rtpmap:0 G726-32/8000", Disagreement::NoCodec),
        ("m=audio 4000 RTP/SAVP 0", Disagreement::Protocol),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0", Disagreement::Protocol),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 224.0.0.9", Disagreement::Address),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 255.255.255.255", Disagreement::Address),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 media.example", Disagreement::Address),
    ] {
        assert_eq!(agreed(lines).unwrap_err(), why, "{lines}");
    }
    assert_eq!(agree(b"hello", &local(), Protect::Off).unwrap_err(), Disagreement::Unreadable);
    assert_eq!(agree(b"", &local(), Protect::Off).unwrap_err(), Disagreement::Unreadable);
    assert_eq!(agree(&vec![b'a'; MAX_BYTES + 1], &local(), Protect::Off).unwrap_err(), Disagreement::Unreadable);
}

#[test]
fn keys_are_taken_only_whole_and_unweakened() {
    let protected = |crypto: &str| {
        let text = theirs(&format!("m=audio 4000 RTP/SAVP 0\n{crypto}"));
        agree(text.as_bytes(), &local(), Protect::Required).map(|agreed| agreed.protection.unwrap())
    };
    let good = protected(&format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^48 KDR=0 WSH=64")).unwrap();
    assert_eq!(good.suite, CryptoSuite::AesCm128HmacSha1_80);
    assert!(good.theirs.matches(&[7; KEY_AND_SALT_BYTES]));
    let second = format!("a=crypto:1 AEAD_AES_128_GCM inline:{KEY}\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}");
    assert_eq!(protected(&second).unwrap().suite, CryptoSuite::AesCm128HmacSha1_32);
    for bad in [
        String::new(),
        String::from("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"),
        format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"),
        format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}|2^20|2:1"),
        format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
        format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNAUTHENTICATED_SRTP"),
        format!("a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
        format!("a=crypto:1 NULL inline:{KEY}"),
    ] {
        assert_eq!(protected(&bad).unwrap_err(), Disagreement::NoKey, "{bad}");
    }
    let plain = theirs("m=audio 4000 RTP/AVP 0");
    assert_eq!(agree(plain.as_bytes(), &local(), Protect::Required).unwrap_err(), Disagreement::Protocol);
}

#[test]
fn an_offer_in_mid_call_is_answered_line_by_line() {
    let offered = theirs(
        "m=video 5000 RTP/AVP 96\nm=audio 4000 RTP/AVP 8 0 110\na=rtpmap:110 telephone-event/8000\na=sendonly\n\
         m=audio 4002 RTP/AVP 0",
    );
    let (answered, agreed) = answer(offered.as_bytes(), &Local { version: 2, ..local() }, Protect::Off).unwrap();
    assert_eq!((agreed.codec, agreed.events_out, agreed.events_in), (Codec::Pcma, Some(110), 110));
    let answered = text(answered);
    assert!(answered.starts_with("v=0\r\no=- 77 2 IN IP4 192.0.2.1\r\n"), "{answered}");
    assert!(
        answered.ends_with(
            "t=0 0\r\nm=video 0 RTP/AVP 96\r\nm=audio 20000 RTP/AVP 8 110\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:110 telephone-event/8000\r\na=fmtp:110 0-15\r\na=ptime:20\r\na=recvonly\r\nm=audio 0 RTP/AVP 0\r\n"
        ),
        "{answered}"
    );
    let tagged = theirs(&format!("m=audio 4000 RTP/SAVP 0\na=crypto:9 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"));
    let (answered, _) = answer(tagged.as_bytes(), &local(), Protect::Required).unwrap();
    assert!(text(answered).contains("a=crypto:9 AES_CM_128_HMAC_SHA1_32 inline:"));
}

proptest! {
    /// Whatever is cut from, put into and changed in a description: an answer or a refusal, and our answer can be read.
    #[test]
    fn any_description_is_judged_without_a_panic(edits in proptest::collection::vec((0_usize..400, any::<u8>(), 0_u8..3), 0..12)) {
        let lines = format!(
            "m=audio 4000 RTP/SAVP 0 8 101\na=rtpmap:101 telephone-event/8000\na=rtcp:4001 IN IP4 198.51.100.7\n\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^48\na=ptime:20\na=sendrecv"
        );
        let mut bytes = theirs(&lines).into_bytes();
        for (at, byte, edit) in edits {
            let at = at % bytes.len().max(1);
            match edit {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if at < bytes.len() => { bytes.remove(at); }
                _ => {}
            }
        }
        for protect in [Protect::Off, Protect::Required] {
            let _judged = agree(&bytes, &local(), protect);
            if let Ok((ours, _)) = answer(&bytes, &local(), protect) {
                prop_assert!(agree(&ours, &local(), protect).is_ok());
            }
        }
    }
}
