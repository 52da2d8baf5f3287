//! Mistakes in settings, as whoever made them sees them: all at once, each with its place, and nothing runs.

use std::fs;

use tempfile::TempDir;

use crate::world::program::{ended, program, run};

const FAULTY: &str = r#"[server]
listn = "127.0.0.1:0"
public_url = "verify.example.com"

[store]
url = "mysql://hunter2@localhost"

[numbers]
countries = ["JP", "UK"]

[verification]
brand = "Contoso"
expires_in = "5s"

[[carriers]]
name = "main"
kind = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = ""
from = []

[[api_keys]]
name = "enrolment"
sha256 = "hunter2"
scopes = ["everything"]

[callbacks]
secret = "hunter2"

[surprise]
"#;

/// What has to be said about it, in the order of its lines.
const SAID: &[&str] = &[
    "ringproof.toml:2: server.listn: is no setting here; did you mean `listen`?",
    "ringproof.toml:3: server.public_url: is no URL",
    "ringproof.toml:6: store.url: ",
    "ringproof.toml:9: numbers.countries[1]: there are no telephone numbers of UK",
    "ringproof.toml:13: verification.expires_in: 5s is not between 60s and 600s",
    "ringproof.toml:19: carriers[0].auth_token: is empty",
    "ringproof.toml:20: carriers[0].from: is empty",
    "ringproof.toml:24: api_keys[0].sha256: 64 hexadecimal digits",
    "ringproof.toml:25: api_keys[0].scopes[0]: is none of verify, calls, admin",
    "ringproof.toml:28: callbacks.secret: ",
    "ringproof.toml:30: surprise: is no section here",
    "environment variable RINGPROOF_LOGS__LEVEL: logs.level: write error, warn, info, debug or trace",
    "flag --set: verification.max_calls: 9 is not between 1 and 5",
];

#[test]
fn all_mistakes_are_told_at_once_and_nothing_runs() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("ringproof.toml"), FAULTY).unwrap();
    let mut command = program(folder.path());
    command.args(["serve", "--set", "verification.max_calls=9"]).env("RINGPROOF_LOGS__LEVEL", "loud");
    let said = ended(&mut command);
    assert_eq!((said.code, said.out.as_str()), (Some(10), ""));
    let mut lines = said.err.lines();
    assert_eq!(lines.next(), Some("error: the configuration has 13 faults:"));
    let told: Vec<&str> = lines.map(str::trim_start).collect();
    for (told, said) in told.iter().zip(SAID) {
        assert!(told.starts_with(said), "expected {said}\ngot {told}");
    }
    assert_eq!(told.len(), SAID.len(), "{told:#?}");
    assert!(!said.err.contains("hunter2"), "{}", said.err);
}

#[test]
fn the_doctor_says_the_same() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("ringproof.toml"), FAULTY).unwrap();
    let said = run(folder.path(), &["doctor", "--json"]);
    assert_eq!(said.code, Some(1));
    let lines: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), SAID.len() - 2);
    assert!(lines.iter().all(|line| line["state"] == "broken" && line["todo"].is_string()), "{}", said.out);
    assert!(!said.out.contains("hunter2"), "{}", said.out);

    let nothing = TempDir::new().unwrap();
    let said = run(nothing.path(), &["doctor"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("ringproof init"), "{}", said.out);
}

#[test]
fn a_file_that_is_none_is_told_with_its_line() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("ringproof.toml"), "[server]\nlisten = 127.0.0.1\n[store\n").unwrap();
    let said = run(folder.path(), &["serve"]);
    assert_eq!(said.code, Some(10));
    assert!(said.err.contains("ringproof.toml:2: this is not TOML"), "{}", said.err);
    assert!(said.err.contains("ringproof.toml:3: this is not TOML"), "{}", said.err);
}
