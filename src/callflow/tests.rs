//! How the flows that are part of the program are played.

use super::*;

fn flow(id: &str) -> std::sync::Arc<CallFlow> {
    let flows = Flows::from_sources(&[])
        .unwrap_or_else(|faults| panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
    std::sync::Arc::clone(flows.get(id).unwrap())
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
