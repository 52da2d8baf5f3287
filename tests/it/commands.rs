//! The program as people use it on a terminal: what it says, what it writes, its exit codes.

mod live;
mod service;
mod settings;

use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;

use crate::world::program::{run, run_with_input};

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

#[test]
fn without_a_configuration_it_names_what_to_do() {
    let folder = folder();
    for arguments in [&["serve"][..], &["serve", "--config", "missing.toml"], &["serve", "--check"]] {
        let said = run(folder.path(), arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(10), ""));
        for word in ["there is no configuration", "ringproof init", "ringproof demo"] {
            assert!(said.err.contains(word), "{}", said.err);
        }
    }
}

#[test]
fn help_and_faulty_arguments() {
    let folder = folder();
    let help = run(folder.path(), &["--help"]);
    assert_eq!(help.code, Some(0));
    for command in ["demo", "init", "serve", "call", "calls", "flow", "doctor", "key", "completions"] {
        assert!(help.out.contains(command), "{}", help.out);
        let more: Vec<&str> = match command {
            "flow" => vec!["flow", "play", "--help"],
            "key" => vec!["key", "new", "--help"],
            one => vec![one, "--help"],
        };
        assert_eq!(run(folder.path(), &more).code, Some(0), "{command}");
    }
    assert_eq!(run(folder.path(), &["--version"]).out.trim(), concat!("ringproof ", env!("CARGO_PKG_VERSION")));
    for wrong in [&["cal"][..], &["call"], &["calls", "--status", "maybe"], &["key", "new"], &["serve", "--set", "x"]] {
        let said = run(folder.path(), wrong);
        assert_eq!(said.code, Some(2), "{wrong:?}: {}", said.err);
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let said = run(folder().path(), &["completions", shell]);
        assert_eq!(said.code, Some(0));
        assert!(said.out.contains("doctor") && said.out.contains("alternate"), "{shell}");
    }
}

#[test]
fn a_key_is_printed_once_and_its_lines_know_it() {
    let folder = folder();
    let said = run(folder.path(), &["key", "new", "--name", "enrolment", "--scope", "verify,calls"]);
    assert_eq!(said.code, Some(0));
    let (key, lines) = said.out.split_once('\n').unwrap();
    assert!(key.starts_with("rp_") && key.len() == 44, "{key}");
    assert!(!lines.contains(key) && !said.err.contains(key));
    let entry: toml::Table = lines.parse().unwrap();
    let entry = &entry["api_keys"][0];
    use sha2::Digest;
    let hash = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(key.as_bytes()));
    assert_eq!((entry["name"].as_str(), entry["sha256"].as_str()), (Some("enrolment"), Some(&*hash)));
    assert_eq!(entry["scopes"].as_array().unwrap().len(), 2);
    assert!(key.contains(entry["prefix"].as_str().unwrap()));
    let other = run(folder.path(), &["key", "new", "--name", "enrolment"]);
    assert_ne!(other.out.lines().next(), Some(key));

    for wrong in [["--name", "a b", "--scope", "verify"], ["--name", "x", "--scope", "root"]] {
        let said = run(folder.path(), &[&["key", "new"][..], &wrong].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{wrong:?}");
    }
}

const INIT: &[&str] = &[
    "init",
    "--yes",
    "--brand",
    "Contoso \"Ltd\"",
    "--countries",
    "JP,US",
    "--store",
    "memory:",
    "--carrier",
    "twilio",
    "--account-sid",
    "AC00000000000000000000000000000000",
    "--auth-token-file",
    "token",
    "--from",
    "+81 50-1234-5678",
    "--public-url",
    "https://verify.example.com",
    "--key-name",
    "portal",
];

#[test]
fn init_writes_settings_that_work_and_overwrites_nothing() {
    let folder = folder();
    fs::write(folder.path().join("token"), "hunter2hunter2\n").unwrap();
    let said = run(folder.path(), INIT);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let key = said.out.trim();
    assert!(key.starts_with("rp_") && !said.err.contains(key));

    let file = folder.path().join("ringproof.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains(key) && !text.contains("hunter2") && text.contains("+815012345678"), "{text}");
    assert!(text.lines().filter(|line| line.starts_with('#')).count() > 10, "every setting says what it is for");
    let secret = folder.path().join("secrets/callbacks");
    assert!(fs::read_to_string(&secret).unwrap().starts_with("whsec_"));
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&secret), mode(&folder.path().join("secrets"))), (0o600, 0o700));

    let checked = run(folder.path(), &["serve", "--check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    let again = run(folder.path(), INIT);
    assert_eq!((again.code, again.out.as_str()), (Some(2), ""));
    assert!(again.err.contains("exists already"), "{}", again.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn init_that_can_ask_nobody_names_all_that_is_missing() {
    let folder = folder();
    let said = run(folder.path(), &["init", "--carrier", "twilio"]);
    assert_eq!(said.code, Some(2));
    for flag in ["--brand", "--countries", "--from", "--account-sid", "--auth-token-file", "--public-url"] {
        assert!(said.err.contains(flag), "{}", said.err);
    }
    let simple = run(folder.path(), &["init", "--brand", "Contoso", "--countries", "JP", "--carrier", "simulator"]);
    assert_eq!(simple.code, Some(0), "{}", simple.err);
    assert_eq!(run(folder.path(), &["serve", "--check"]).code, Some(0));
}

#[test]
fn the_reference_is_printed() {
    let said = run(folder().path(), &["init", "--reference"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ringproof::config::DEFAULTS));
}

#[test]
fn call_flows_are_checked_shown_and_played() {
    let folder = folder();
    let good = run(folder.path(), &["flow", "check"]);
    assert_eq!(good.code, Some(0), "{}", good.err);
    assert!(good.out.contains("press-pound (confirm)"), "{}", good.out);

    fs::write(
        folder.path().join("broken.xml"),
        "<callflow xmlns=\"urn:ringproof:callflow:1\"\n  id='x'><nonsense/></callflow>",
    )
    .unwrap();
    let broken = run(folder.path(), &["flow", "check", "broken.xml"]);
    assert_eq!(broken.code, Some(1));
    assert!(broken.err.contains("broken.xml:"), "{}", broken.err);
    let json = run(folder.path(), &["flow", "check", "--json", "broken.xml"]);
    let fault: serde_json::Value = serde_json::from_str(json.out.lines().next().unwrap()).unwrap();
    assert!(fault["line"].as_u64().unwrap() >= 1 && fault["rule"].is_string(), "{fault}");
    assert_eq!(run(folder.path(), &["flow", "check", "missing.xml"]).code, Some(1));

    let shown =
        run(folder.path(), &["flow", "show", "press-pound", "--carrier", "twilio", "--locale", "ja-JP", "--keys", "#"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(
        shown.out.contains("<Gather") && shown.out.contains("シャープ") && shown.out.contains("<Hangup/>"),
        "{}",
        shown.out
    );
    assert!(shown.err.contains("verified"), "{}", shown.err);

    let played = run_with_input(folder.path(), &["flow", "play", "press-pound", "--brand", "Fabrikam"], "\n5\n#\n");
    assert_eq!(played.code, Some(0), "{}", played.err);
    assert!(played.out.contains("Fabrikam") && played.out.ends_with("Result: verified\n"), "{}", played.out);
    let reported = run_with_input(folder.path(), &["flow", "play", "press-pound"], "0\n#\nh\n");
    assert!(reported.out.contains("Result: denied: fraud_reported"), "{}", reported.out);
    let hung_up = run_with_input(folder.path(), &["flow", "play", "press-pound"], "");
    assert!(hung_up.out.contains("nothing was decided"), "{}", hung_up.out);
}

#[test]
fn nothing_is_coloured_where_no_terminal_is() {
    let folder = folder();
    for arguments in [&["flow", "check"][..], &["serve"], &["doctor"], &["key", "new", "--name", "x"]] {
        let said = run(folder.path(), arguments);
        assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{arguments:?}");
    }
}
