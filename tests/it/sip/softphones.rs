//! Softphones of others: baresip answers, hears the prompt sample by sample as it was recorded, and presses the pound
//! key; over UDP with plain RTP, and over TLS with SRTP.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

use super::{Exchange, VERIFIED};
use crate::world::sip::{
    baresip::{Over, Softphone},
    ear::decode,
    free_port, until,
};

/// Longest wait for speech.
const PATIENCE: Duration = Duration::from_secs(60);

/// A softphone knows its own name and no numbers.
fn by_name(trunk: &str) -> String {
    format!("trunk = \"{trunk}\"\nalways_call = \"phone\"\n")
}

/// The samples of a recording of ours, read here on their own: mu-law at the end of a WAV file.
fn recorded(locale: &str, name: &str) -> Vec<i16> {
    let path = format!("{}/callflows/audio/{locale}/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(path).unwrap();
    let at = file.windows(4).position(|window| window == b"data").unwrap();
    let size = u32::from_le_bytes(*file[at + 4..].first_chunk().unwrap());
    file[at + 8..][..size as usize].iter().map(|byte| decode(*byte)).collect()
}

/// Whether `part` is in `all`, every sample of it. The softphone makes 2 of a zero, and all else as the standard says.
fn contains(all: &[i16], part: &[i16]) -> bool {
    let same = |(heard, sent): (&i16, &i16)| (heard - sent).abs() <= if *sent == 0 { 2 } else { 0 };
    all.windows(part.len()).any(|window| window.iter().zip(part).all(same))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_softphone_over_udp_hears_what_was_recorded_and_presses_pound() {
    for (locale, folder) in [("en-US", "en"), ("ja-JP", "ja")] {
        let mut phone = Softphone::start(Over::Udp).await;
        let exchange = Exchange::start(&[("softphone", by_name(&format!("sip:127.0.0.1:{}", phone.port())))]).await;
        let id = exchange.call("softphone", 500, json!({ "locale": locale })).await;
        phone.in_a_call().await;
        // The last words of the question: by then all of it was said.
        let how = recorded(folder, "how");
        until("the question", PATIENCE, || contains(&phone.heard(), &how)).await;
        let heard = phone.heard();
        assert!(
            contains(&heard, &recorded(folder, "greeting.enrolment.2")),
            "{locale}: what comes before it came as it is too"
        );
        phone.press('#');
        exchange.comes_to(&id, VERIFIED).await;
        exchange.check([500]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_whether_a_trunk_is_there() {
    let phone = Softphone::start(Over::Udp).await;
    let nobody = format!("trunk = \"sip:127.0.0.1:{}\"\n", free_port());
    let lines = [("there", by_name(&format!("sip:127.0.0.1:{}", phone.port()))), ("nobody", nobody)];
    let exchange = Exchange::start(&lines).await;
    let said = tokio::task::spawn_blocking(move || {
        let file = exchange.settings.file();
        (exchange.settings.run(&["doctor", "--config", file.to_str().unwrap()]), exchange)
    });
    let (said, exchange) = said.await.unwrap();
    let all = format!("{}{}", said.out, said.err);
    let line = |name: &str| all.lines().find(|line| line.contains(&format!(" carrier {name}:"))).unwrap_or_default();
    assert!(line("there").starts_with('✓') && line("there").contains("answers OPTIONS with "), "{all}");
    assert!(line("nobody").ends_with("nothing listens there; are host, port and transport right?"), "{all}");
    assert_eq!(said.code, Some(1), "{all}");
    assert!(!phone.log().contains("Incoming call"), "nobody is rung");
    exchange.check([]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_softphone_over_tls_with_srtp_presses_pound_and_is_not_called_without() {
    let authority = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(Vec::new()).unwrap();
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(own, authority).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![String::from("127.0.0.1")]).unwrap().signed_by(&key, &authority).unwrap();
    let mut phone = Softphone::start(Over::Tls(&format!("{}{}", leaf.pem(), key.serialize_pem()))).await;
    let folder = tempfile::TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let trunk = by_name(&format!("sips:127.0.0.1:{}", phone.port()));
    let secured = format!("{trunk}srtp = \"required\"\nca_file = \"{}\"\n", ca.display());
    let exchange = Exchange::start(&[("secured", secured), ("stranger", trunk)]).await;
    let id = exchange.call("secured", 510, json!({})).await;
    phone.in_a_call().await;
    until("speech", PATIENCE, || phone.heard().iter().filter(|sample| sample.abs() > 1000).count() > 4000).await;
    phone.press('#');
    exchange.comes_to(&id, VERIFIED).await;
    // Nobody vouches for its certificate there.
    let id = exchange.call("stranger", 511, json!({})).await;
    exchange.comes_to(&id, "failed carrier_error carrier_error carrier null").await;
    let code = exchange.records(&id).await[0]["carrier_code"].to_string();
    assert!(code.contains("certificate"), "{code}");
    exchange.check(510..512).await;
}
