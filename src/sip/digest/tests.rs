//! Owns the tests of digest answers: the vectors of RFC 7616 section 3.9.1, and the kinds that it has none for.

use super::*;
use crate::secret::Secret;

fn mufasa() -> Credentials {
    Credentials { username: "Mufasa".into(), password: Secret::new("Circle of Life".into()) }
}

fn challenge(text: &str) -> Challenge {
    Challenge::read_all(text).into_iter().next().unwrap()
}

const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CLIENT_NONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

fn response(challenge: &Challenge, body: &[u8]) -> String {
    let proof = Proof { method: "GET", uri: "/dir/index.html", body, count: 1, client_nonce: CLIENT_NONCE };
    let value = answer(challenge, &mufasa(), &proof);
    value.split_once("response=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

#[test]
fn vectors_of_rfc_7616() {
    let text = |algorithm: &str| {
        format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, nonce=\"{NONCE}\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    };
    assert_eq!(response(&challenge(&text("MD5")), b""), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(
        response(&challenge(&text("SHA-256")), b""),
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    );
}

#[test]
fn vector_of_rfc_2617() {
    let challenge = challenge(
        "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"",
    );
    let credentials = Credentials { username: "Mufasa".into(), password: Secret::new("Circle Of Life".into()) };
    let proof = Proof { method: "GET", uri: "/dir/index.html", body: b"", count: 1, client_nonce: "0a4f113b" };
    let value = answer(&challenge, &credentials, &proof);
    assert!(value.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{value}");
}

/// Computed with another implementation of the formulas (Python's `hashlib`).
#[test]
fn other_kinds() {
    let base = format!("realm=\"http-auth@example.org\", nonce=\"{NONCE}\"");
    let kinds = [
        ("algorithm=MD5", "7b2cc3b30e75b4777ea31027084363fd"),
        ("algorithm=MD5, qop=\"auth-int\"", "d1b8e2ac3f6782372de4bf3d8735b406"),
        ("algorithm=SHA-256, qop=\"auth-int\"", "385d2de062660ced11876f42d9497c69cacf5caaf3d951dd424aee9f7157d563"),
        ("algorithm=MD5-sess, qop=\"auth\"", "e783283f46242139c486a698fec7211d"),
        ("algorithm=SHA-256-sess, qop=\"auth\"", "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"),
    ];
    for (kind, expected) in kinds {
        assert_eq!(response(&challenge(&format!("Digest {base}, {kind}")), b"v=0\r\n"), expected, "{kind}");
    }
}

#[test]
fn challenges_as_servers_write_them() {
    let several = Challenge::read_all(
        "Negotiate, Digest realm=\"a, b\", nonce=\"1\", algorithm=SHA-512-256, Digest realm=\"c\",nonce=\"2\",stale=TRUE,\
         qop=\"auth-int , AUTH\", DIGEST nonce = \"3\" , realm = \"d\"",
    );
    let seen: Vec<_> = several.iter().map(|c| (c.realm.as_str(), c.nonce.as_str(), c.qop, c.stale)).collect();
    assert_eq!(seen, [("c", "2", Some(Qop::Auth), true), ("d", "3", None, false)]);
    assert_eq!(challenge("Digest realm=x, nonce=y, algorithm=sha256").algorithm, Algorithm::Sha256);
    assert!(challenge("Digest realm=x, nonce=y, algorithm=SHA-256-sess").session);
    for unusable in [
        "Basic realm=\"x\"",
        "Digest realm=\"x\"",
        "Digest nonce=\"x\"",
        "Digest realm=\"x\", nonce=\"y",
        "",
        "Digest realm=x, nonce=y, qop=\"token\"",
    ] {
        assert!(Challenge::read_all(unusable).is_empty(), "{unusable}");
    }
}

#[test]
fn nothing_is_slipped_into_the_header() {
    let challenge = challenge("Digest realm=\"a\\\"b\", nonce=\"n\", opaque=\"o\\\\\", algorithm=MD5");
    let value = answer(
        &challenge,
        &mufasa(),
        &Proof { method: "INVITE", uri: "sip:a", body: b"", count: 1, client_nonce: "c" },
    );
    assert!(value.contains("realm=\"a\\\"b\"") && value.contains("opaque=\"o\\\\\""), "{value}");
}
