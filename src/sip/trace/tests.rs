//! Owns the tests of masking.

use super::*;

fn masked(text: &str) -> String {
    message(text.replace('\n', "\r\n").as_bytes())
}

#[test]
fn numbers_keep_their_last_digits_however_they_are_written() {
    for (text, shown) in [
        ("sip:+819012345678@192.0.2.1:5060", "sip:+••••••••5678@192.0.2.1:5060"),
        ("tel:+81-90-1234-5678", "tel:+••-••-••••-5678"),
        ("tel:+81.90.1234.5678;x=1", "tel:+••.••.••••.5678;x=1"),
        ("\"090 1234 5678\" <sip:a@b>", "\"••• •••• •678\" <sip:a@b>"),
        ("(090)1234-5678", "(•••)••••-•678"),
        ("Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5070", "Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5070"),
        ("110", "110"),
        ("123456", "••••56"),
        ("no digits at all \u{30c6}", "no digits at all \u{30c6}"),
    ] {
        assert_eq!(mask(text, HEAD), shown);
    }
    assert_eq!(mask("m=audio 49170 RTP/AVP 0 8 97 101", MEDIA), "m=audio 49170 RTP/AVP 0 8 97 101");
    assert_eq!(mask("c=IN IP4 192.0.2.9", MEDIA), "c=IN IP4 192.0.2.9");
}

#[test]
fn a_ladder_line() {
    let text = b"INVITE sip:+819012345678@b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n";
    assert_eq!(line(text), "INVITE sip:+••••••••5678@b SIP/2.0 | CSeq: 1 INVITE");
    assert_eq!(line(&[0xff, 0xfe]), "\u{fffd}\u{fffd}");
    assert_eq!(line(b"INVITE sip:a:hunter2@b SIP/2.0\r\n\r\n"), "INVITE sip:a:[masked]@b SIP/2.0");
}

#[test]
fn no_secret_and_no_key_is_shown() {
    let head = "INFO sip:a:hunter2@b SIP/2.0\n\
        Authorization: Digest username=\"u\", response=\"5ecret\",\n  cnonce=\"5ecret\"\n\
        Proxy-Authorization : 5ecret\nproxy-authenticate: 5ecret\nAuthentication-Info: 5ecret\ny: 5ecret\n\
        f: \"A@B\" <sip:+81901234:hunter2@b>;tag=1\n";
    let seen = masked(&format!("{head}Content-Type: application/dtmf-relay\n\nSignal=#\nDuration=160\n"));
    for secret in ["5ecret", "hunter2", "Signal", "8190"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    assert!(seen.contains("Authorization: [masked]\n") && seen.ends_with("\n[24 bytes]\n"), "{seen}");
    // However the peer frames it, and whatever else it says about it.
    let bodies = [
        "INFO sip:a SIP/2.0\nc: application/dtmf-relay\n\nSignal=5\n".to_owned(),
        "INFO sip:a SIP/2.0\r\nContent-Type: application/dtmf-relay\r\nSignal=5\r\n".to_owned(),
        "INFO sip:a SIP/2.0\r\nc: application/dtmf-relay\r\nc: application/sdp\r\n\r\nSignal=5\r\n".to_owned(),
        "INFO sip:a SIP/2.0\r\nc: multipart/mixed;x=application/sdp\r\n\r\nSignal=5\r\n".to_owned(),
        "\r\n\r\nINFO sip:a SIP/2.0\r\nc: application/dtmf\r\n\r\nSignal=5\r\n".to_owned(),
        "Signal=5\r\n".to_owned(),
    ];
    for text in bodies {
        let seen = message(text.as_bytes());
        assert!(!seen.contains("Signal=5"), "{seen}");
    }
}

#[test]
fn keys_of_media_are_not_shown() {
    let seen = masked(
        "SIP/2.0 200 OK\nContent-Type: application/sdp\n\nv=0\nk=clear:5ecret\na=crypto:1 AES_CM_128_HMAC_SHA1_80 \
         inline:5ecret\n A=CRYPTO:1 5ecret\na=ice-pwd:5ecret\np=+1 617 555-6011\nm=audio 5000 RTP/SAVP 0\n",
    );
    assert!(!seen.contains("5ecret") && seen.contains("p=+• ••• •••-•011\nm=audio 5000 RTP/SAVP 0\n"), "{seen}");
}

#[test]
fn nothing_makes_it_panic() {
    for (_, bytes) in crate::sip::message::torture::MESSAGES {
        for cut in (0..bytes.len()).step_by(13) {
            let part = &bytes[..cut];
            assert!(message(part).len() <= 8 * part.len() + 64 && line(part).len() < 8 * 1024);
        }
    }
}
