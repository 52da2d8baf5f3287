//! How the flows that are part of the program are played.

#![allow(clippy::wildcard_enum_match_arm, reason = "anything else is told by the test that meets it")]

use super::*;

fn flow(id: &str) -> Arc<CallFlow> {
    let flows = Flows::from_sources(&[])
        .unwrap_or_else(|faults| panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
    Arc::clone(flows.get(id).unwrap())
}

fn key(key: char) -> Heard {
    Heard::Key(Digit::from_char(key).unwrap())
}

/// Presses keys from the beginning (`-` is silence) and tells the last move.
fn press(flow: &CallFlow, keys: &str) -> Move {
    keys.chars().fold(flow.begin(), |at, k| flow.hear(&at.to, if k == '-' { Heard::Silence } else { key(k) }))
}

#[test]
fn confirm_by_pound_only() {
    let flow = flow("press-pound");
    assert_eq!(flow.begin().verdict, None);
    assert_eq!(flow.listening(&flow.begin().to), Listening::Key);
    for (keys, verdict) in [
        ("#", Some(Verdict::Verify)),
        ("1#", Some(Verdict::Verify)),
        ("*#", Some(Verdict::Verify)),
        ("--#", Some(Verdict::Verify)),
        ("01#", Some(Verdict::Verify)),
        ("0#", Some(Verdict::Deny(Reason::FraudReported))),
        ("0#1", Some(Verdict::Block)),
        ("0#2", None),
        ("0-", Some(Verdict::Deny(Reason::CalleeDenied))),
        ("1", None),
        ("---", Some(Verdict::Fail(Reason::NoInput))),
        ("123", Some(Verdict::Fail(Reason::NoInput))),
        // Going back counts as one of the three times.
        ("0101", None),
        ("01010", None),
        ("010101", Some(Verdict::Fail(Reason::NoInput))),
    ] {
        assert_eq!(press(&flow, keys).verdict, verdict, "{keys}");
    }
    let done = press(&flow, "#").to;
    assert_eq!(flow.listening(&done), Listening::Nothing);
    assert_eq!(flow.hear(&done, key('#')), Move { to: done, verdict: None });
}

const OWN: &str = r#"<prompts xmlns="urn:ringproof:callflow:1" for="plain">
  <prompt id="done"><text lang="en">That is all.</text></prompt>
  <prompt id="ask" purpose="sign_in"><text lang="en">This is {brand}, for a sign-in.</text></prompt>
</prompts>"#;

const PLAIN: &str = r##"<callflow xmlns="urn:ringproof:callflow:1" id="plain" mode="confirm">
  <step id="ask">
    <gather times="2">
      <say prompt="ask"/>
      <say prompt="about"/>
      <on key="#"><verify say="done"/></on>
    </gather>
    <fail reason="no_input" say="done"/>
  </step>
  <prompts>
    <prompt id="ask"><text lang="en">This is {brand}.</text></prompt>
    <prompt id="about" when="text"><text lang="en">About {purpose}.</text></prompt>
    <prompt id="done"><text lang="en">Goodbye.</text></prompt>
  </prompts>
</callflow>"##;

fn sources(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn said(flow: &CallFlow, at: &Position, purpose: Purpose, purpose_text: Option<&str>) -> String {
    let saying = Saying { locale: "en", brand: "Contoso", purpose, purpose_text, last_digits: "5678", code: None };
    let script = flow.script(at, &saying);
    let asked = match script.then {
        Then::Gather(gather) => gather.prompt,
        Then::HangUp => Vec::new(),
    };
    let texts = script.before.into_iter().chain(asked).map(|line| match line {
        Line::Say { text, .. } => text,
        other => format!("{other:?}"),
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn own_wording_is_laid_over_a_flow() {
    let plain = Flows::from_sources(&sources(&[("a.xml", PLAIN)])).unwrap();
    let own = Flows::from_sources(&sources(&[("z.xml", OWN), ("a.xml", PLAIN)])).unwrap();
    let (plain, own) = (plain.get("plain").unwrap(), own.get("plain").unwrap());
    assert_ne!(plain.version(), own.version());
    let done = press(own, "#").to;
    assert_eq!(said(plain, &done, Purpose::SignIn, None), "Goodbye.");
    assert_eq!(said(own, &done, Purpose::SignIn, None), "That is all.");
    let begin = own.begin().to;
    assert_eq!(said(own, &begin, Purpose::SignIn, None), "This is Contoso, for a sign-in.");
    assert_eq!(said(own, &begin, Purpose::Enrolment, Some(" \t")), "This is Contoso.");
    assert_eq!(said(own, &begin, Purpose::Enrolment, Some("300\u{a0}€")), "This is Contoso. About 300 €.");
}

#[test]
fn faults_of_all_files_are_told_at_once() {
    let bad = OWN.replace("\"done\"", "\"bye\"");
    let nobody = OWN.replace("\"plain\"", "\"plane\"");
    let faults = Flows::from_sources(&sources(&[
        ("a.xml", PLAIN),
        ("b.xml", PLAIN),
        ("c.xml", &bad),
        ("d.xml", &nobody),
        ("e.xml", "<callflow/>"),
    ]))
    .unwrap_err();
    let told: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.file, fault.rule)).collect();
    assert_eq!(told, ["b.xml duplicate", "c.xml unknown-name", "d.xml unknown-name", "e.xml element"]);
}

#[test]
fn a_folder_of_overrides_holds_wording_only() {
    let other = OWN.replace("That is all.", "So long.");
    let files = [("flows/overrides/a.xml", OWN), ("flows/a.xml", PLAIN), ("flows/z.xml", &other)];
    let flows = Flows::from_sources(&sources(&files)).unwrap();
    let done = press(flows.get("plain").unwrap(), "#").to;
    assert_eq!(said(flows.get("plain").unwrap(), &done, Purpose::SignIn, None), "So long.", "in the order given");
    let faults = Flows::from_sources(&sources(&[("flows/overrides/b.xml", PLAIN)])).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].to_string().contains("b.xml:1:1: `callflow` does not belong"), "{}", faults[0]);
}

/// A file with the id of a flow that is part of the program replaces it.
#[test]
fn a_built_in_flow_can_be_replaced() {
    let (_, text) = Flows::built_in_sources().next().unwrap();
    let id = CallFlow::parse("x", text).unwrap().id().to_owned();
    let own = PLAIN.replace("\"plain\"", &format!("\"{id}\""));
    let flows = Flows::from_sources(&sources(&[("own.xml", &own)])).unwrap();
    assert_eq!(flows.iter().count(), Flows::built_in_sources().count());
    assert_eq!(flows.get(&id).unwrap().version(), CallFlow::parse("y", &own).unwrap().version());
}

/// The version is the same on every machine and with every compiler: it is kept with verifications.
#[test]
fn a_version_is_stable() {
    assert_eq!(CallFlow::parse("x", PLAIN).unwrap().version(), VERSION);
    assert_ne!(CallFlow::parse("x", &PLAIN.replace("Goodbye", "Bye")).unwrap().version(), VERSION);
}

/// The first 64 bits of the SHA-256 of the length (64 bits, big-endian) and the text, computed by another program.
const VERSION: u64 = 0xdb0f_61e1_05aa_62ba;

/// What is answered to a wrong key may be cut short by the right one; the result of a question may not be cut short.
#[test]
fn what_keys_cut_short() {
    let flow = flow("press-pound");
    let saying = Saying {
        locale: "en",
        brand: "Contoso",
        purpose: Purpose::Enrolment,
        purpose_text: None,
        last_digits: "5678",
        code: None,
    };
    let first = |script: &Script| match (&script.before[..], &script.then) {
        ([Line::Say { prompt, .. }, ..], _) => format!("whole {prompt}"),
        (_, Then::Gather(Gather { prompt, .. })) => match &prompt[0] {
            Line::Say { prompt, .. } => format!("until a key {prompt}"),
            other => format!("{other:?}"),
        },
        _ => String::new(),
    };
    let heard = |keys: &str| first(&flow.script(&press(&flow, keys).to, &saying));
    assert_eq!(heard(""), "until a key greeting");
    assert_eq!(heard("1"), "until a key wrong-key");
    assert_eq!(heard("0#"), "whole reported");
    assert_eq!(heard("111"), "whole wrong-key");
}
