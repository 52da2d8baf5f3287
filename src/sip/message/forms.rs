//! Owns the tests of header forms that are odd and that peers write: each has to be read for what it means.

use super::*;

/// A 200 with these headers in the place of the usual ones.
fn ok(changed: &[(&str, &str)]) -> String {
    let usual = [
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport"),
        ("From", "<sip:a@b.example>;tag=1"),
        ("To", "<sip:c@d.example>;tag=2"),
        ("Call-ID", "x@y"),
        ("CSeq", "1 INVITE"),
        ("Contact", "<sip:e@f.example>"),
    ];
    let mut text = String::from("SIP/2.0 200 OK\r\n");
    for (name, value) in usual {
        match changed.iter().find(|(other, _)| Name::read(other) == Name::read(name)) {
            Some((name, value)) => text.push_str(&format!("{name}: {value}\r\n")),
            None => text.push_str(&format!("{name}: {value}\r\n")),
        }
    }
    text + "\r\n"
}

/// Branch, tags and contact of a sound message.
fn seen(text: &str) -> Option<(String, String, String, String)> {
    let message = Message::read(text.as_bytes()).ok().filter(|message| message.fault().is_none())?;
    let (branch, _) = message.branch()?;
    Some((branch, message.tag(Name::From)?, message.tag(Name::To)?, message.contact().unwrap_or_default()))
}

fn check(changed: &[(&str, &str)], branch: &str, from: &str, to: &str, contact: &str) {
    let expected = (branch.to_owned(), from.to_owned(), to.to_owned(), contact.to_owned());
    assert_eq!(seen(&ok(changed)), Some(expected), "{changed:?}");
}

const CONTACT: &str = "sip:e@f.example";

#[test]
fn where_a_call_goes_to() {
    for to in [
        "tel:+81-90-1234-5678;tag=2",
        "<tel:+819012345678;phone-context=+81>;tag=2",
        "<sip:+819012345678@sbc_01.core_net;user=phone>;tag=2",
        "<sip:+819012345678;npdi;rn=+8190000@trunk.example:5060;user=phone>;tag=2",
        "sip:c@d.example;tag=2",
        "<SIP:c@D.EXAMPLE>;TAG=2",
        "<sip:c@[2001:db8::1]:5060;transport=udp>;x;tag = 2",
        "<sip:*67%23;a=b?c&d@d.example>;tag=2",
        "< sip:c@d.example >\t;\ttag=2",
        "\"\" <sip:c@d.example.>;tag=2;",
    ] {
        check(&[("To", to)], "z9hG4bKa", "1", "2", CONTACT);
    }
}

#[test]
fn who_is_named() {
    for from in [
        "\"Smith, John; \\\"JJ\\\" <x@y> \\\\\" <sip:a@b>;tag=1",
        "Contoso Enrolment <sip:a@b>;tag=1",
        "\"\u{682a}\u{5f0f}\u{4f1a}\u{793e}\"<sip:a@b>;tag=1",
        "\u{682a}\u{5f0f} <sip:a@b>;tag=1",
        "sip:anonymous@anonymous.invalid;tag=1",
        "<sip:a@b>;p=\"x;tag=9,<\";tag=1",
        "<sip:a@b>;tag=\"1\"",
    ] {
        check(&[("f", from)], "z9hG4bKa", "1", "2", CONTACT);
    }
    check(&[("From", "sip:a@b"), ("To", "sip:c@d")], "z9hG4bKa", "", "", CONTACT);
}

#[test]
fn through_whom() {
    for via in [
        "SIP / 2.0 / UDP  192.0.2.1 : 5060 ; branch = z9hG4bKa ; rport",
        "SIP/2.0/UDP\t192.0.2.1;branch=z9hG4bKa",
        "sip/2.0/udp sbc_1.example;received=10.0.0.1;rport=5060;branch=z9hG4bKa",
        "SIP/2.0/TLS [2001:db8::9]:5061;branch=z9hG4bKa;received=2001:db8::9;rport",
        "SIP/2.0/TLS-SCTP h;BRANCH=z9hG4bKa;alias",
        "SIP/2.0/UDP h;ttl=1;maddr=224.0.0.1;x=\"a;b,c\";branch=z9hG4bKa;",
    ] {
        check(&[("v", via)], "z9hG4bKa", "1", "2", CONTACT);
    }
    let two = ok(&[("Via", "SIP/2.0/UDP a;branch=z9hG4bKa, SIP/2.0/UDP b;branch=z9hG4bKb")]);
    assert_eq!(Message::read(two.as_bytes()).unwrap().branch(), Some(("z9hG4bKa".into(), 2)));
}

#[test]
fn where_it_is_reached() {
    for (contact, uri) in [
        (
            "\"A, B\" <sip:e@f.example;transport=tcp;ob>;expires=60;+sip.instance=\"<urn:x>\", <sip:g@h>",
            "sip:e@f.example;transport=tcp;ob",
        ),
        ("sip:e@f.example;transport=tcp", "sip:e@f.example"),
        ("<sip:f.example:5070>", "sip:f.example:5070"),
        ("<sips:e@f_1.example>;q=0.7;", "sips:e@f_1.example"),
        ("*", ""),
        ("", ""),
    ] {
        check(&[("m", contact)], "z9hG4bKa", "1", "2", uri);
    }
}

#[test]
fn how_lines_are_written() {
    let text = ok(&[]);
    let whole = seen(&text);
    assert!(whole.is_some());
    assert_eq!(seen(&text.replace("\r\n", "\n")), whole, "bare line feeds");
    assert_eq!(seen(&text.replace(": ", ":")), whole, "no blank");
    assert_eq!(seen(&text.replace(": ", " \t:\t ")), whole, "blanks on both sides");
    assert_eq!(seen(&text.replace(';', "\r\n ;\t")), whole, "folded");
    assert_eq!(
        seen(&text.to_ascii_uppercase().replace("Z9HG4BKA", "z9hG4bKa").replace("SIP:E@F.EXAMPLE", CONTACT)),
        whole
    );
    assert_eq!(seen(&text.replace("200 OK", "200")), whole, "no phrase");
    assert_eq!(seen(&text.replace("200 OK", "200 \u{6210}\u{529f}")), whole);
    assert_eq!(seen(&format!("\r\n\r\n{text}trailing")), whole);
    assert_eq!(seen(&text.replace("CSeq: 1 INVITE", "CSeq:  0001 \t INVITE ")), whole);
    assert_eq!(
        seen(&text.replace("\r\n\r\n", "\r\nSupported:\r\nX-Empty:\r\nAllow: INVITE,,ACK\r\nnonsense\r\n\r\n")),
        whole
    );
    assert_eq!(seen(&text.replace("\r\n\r\n", "\r\nl: 0 \r\nContent-Length: 0\r\n\r\nx")), None, "one length twice");
}

#[test]
fn what_stays_refused() {
    for (name, value) in [
        ("To", "\"no end <sip:c@d>;tag=2"),
        ("To", "<sip:c@d"),
        ("To", "<sip:c@d> x;tag=2"),
        ("To", "nonsense"),
        ("From", "<sip:a@b>;;tag=1"),
        ("Via", "SIP/3.0/UDP h;branch=z9hG4bKa"),
        ("Via", "SIP/2.0/UDP h:99999;branch=z9hG4bKa"),
        ("Via", "SIP/2.0/UDP;branch=z9hG4bKa"),
        ("CSeq", "-1 INVITE"),
        ("CSeq", "2147483648 INVITE"),
        ("CSeq", "1"),
        ("Call-ID", ""),
    ] {
        assert_eq!(seen(&ok(&[(name, value)])), None, "{name}: {value}");
    }
}

#[test]
fn a_session_description_among_other_parts() {
    let of = |boundary: &str, quoted: &str| {
        let body = format!(
            "preamble\r\n--{boundary}\r\nContent-Type: text/plain\r\n\r\nhello\r\n--{boundary}\r\nc: Application/SDP;x=y\r\n\r\n\
             v=0\r\n--{boundary}--\r\n"
        );
        let text = ok(&[]);
        let head = text.trim_end();
        format!(
            "{head}\r\nContent-Type: multipart/mixed; boundary={quoted}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let text = of("b1", "\"b1\"");
    let message = Message::read(text.as_bytes()).unwrap();
    assert_eq!((message.fault(), message.sdp().map(<[u8]>::trim_ascii)), (None, Some(b"v=0".as_slice())));
    let long = "-".repeat(71);
    for (boundary, quoted) in [("b1", "b2"), ("b1", "\"\""), (long.as_str(), long.as_str())] {
        assert_eq!(Message::read(of(boundary, quoted).as_bytes()).unwrap().sdp(), None, "{quoted}");
    }
}
