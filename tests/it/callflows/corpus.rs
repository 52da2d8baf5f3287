//! Files that are right and files that are wrong. A wrong one says at its end which faults it has and whether the schema
//! alone finds them: `expect LINE:COLUMN RULE`, `schema accepts|refuses|unread`.

use std::{collections::BTreeSet, fmt::Write, fs, process::Command};

use ringproof::callflow::{
    Ability, CallFlow, Diagnostic, Flows, MAX_FILE_BYTES, MAX_ITEMS, MAX_LANGUAGES, MAX_PROMPTS, MAX_ROUNDS, MAX_STEPS,
    Rule,
};

use super::relaxng::Schema;
use crate::tidy::root;

/// Name and text of every file in a folder.
fn folder(path: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(root().join(path))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{path}");
    files
}

fn shown(faults: &[Diagnostic]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What a wrong file says about itself.
fn said<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let start = format!("<!-- {word} ");
    text.lines().filter_map(|line| line.strip_prefix(&start)?.strip_suffix(" -->")).collect()
}

#[test]
fn every_fault_is_told_at_its_place() {
    let mut wrong = String::new();
    for (name, text) in folder("tests/callflows/bad") {
        let expected = said(&text, "expect");
        assert!(!expected.is_empty(), "{name}");
        let faults = CallFlow::parse(&name, &text).expect_err(&name);
        let told: Vec<String> = faults.iter().map(|f| format!("{}:{} {}", f.line, f.column, f.rule)).collect();
        if told != expected {
            writeln!(wrong, "{name} should have {expected:?}:\n{}", shown(&faults)).unwrap();
        }
        for fault in faults {
            assert!(fault.file == name && !fault.message.is_empty() && !fault.suggestion.is_empty(), "{name}: {fault}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_rule_has_a_file_that_breaks_it() {
    let mut broken: BTreeSet<String> = folder("tests/callflows/bad")
        .iter()
        .flat_map(|(_, text)| said(text, "expect").into_iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()))
        .collect();
    // These two need more than a file: see below.
    broken.extend([Rule::FileSize, Rule::Carrier, Rule::Audio].map(|rule| rule.to_string()));
    let all: BTreeSet<String> = Rule::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(broken, all);
}

#[test]
fn messages_are_for_people() {
    let told: Vec<String> = folder("tests/callflows/bad")
        .iter()
        .flat_map(|(name, text)| CallFlow::parse(name, text).unwrap_err())
        .map(|fault| fault.to_string())
        .collect();
    insta::with_settings!({ snapshot_path => "../../callflows", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("bad", told.join("\n"));
    });
}

#[test]
fn good_files_pass() {
    let read: Vec<(String, String)> = folder("tests/callflows/good");
    let flows = Flows::from_sources(&read).unwrap_or_else(|faults| panic!("{}", shown(&faults)));
    for (name, text) in read {
        assert!(flows.get(name.trim_end_matches(".xml")).is_some() || text.contains("<prompts xmlns="), "{name}");
    }
}

#[test]
fn a_file_is_bounded() {
    let spaces = " ".repeat(MAX_FILE_BYTES);
    let faults = CallFlow::parse("large.xml", &format!("<callflow/>{spaces}")).unwrap_err();
    assert_eq!(faults.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::FileSize]);
    // Deep, wide, and long: answered, not obeyed.
    let deep = "<a>".repeat(MAX_FILE_BYTES / 3 - 1);
    let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_FILE_BYTES / 4 - 10));
    let many = format!("<a {}/>", (0..20_000).map(|n| format!("a{n}=''")).collect::<Vec<_>>().join(" "));
    for text in [deep.as_str(), wide.as_str(), many.as_str(), "", "\u{feff}", "<", "<a", "\u{0}"] {
        assert!(CallFlow::parse("odd.xml", text).is_err());
    }
}

#[test]
fn what_a_carrier_cannot_play_is_told() {
    let all = Ability { speech: true, entries: true, recordings: true };
    for (name, text) in folder("tests/callflows/good").into_iter().filter(|(_, text)| text.contains("<callflow")) {
        let flow = CallFlow::parse(&name, &text).unwrap();
        assert_eq!(flow.beyond("main", all), [], "{name}");
        let told = |can| flow.beyond("main", can).iter().map(|f| f.rule).collect::<BTreeSet<_>>();
        let beyond = BTreeSet::from([Rule::Carrier]);
        assert_eq!(
            told(Ability { entries: false, ..all }),
            if name == "code.xml" { beyond.clone() } else { BTreeSet::new() }
        );
        let plays = text.contains("<play");
        assert_eq!(told(Ability { recordings: false, ..all }), if plays { beyond.clone() } else { BTreeSet::new() });
        assert_eq!(told(Ability { speech: false, recordings: false, ..all }), beyond);
        // Whether there is a recording of every text is for those to say who have them.
        assert_eq!(told(Ability { speech: false, ..all }), BTreeSet::new());
    }
}

#[test]
fn the_schema_and_the_reader_agree() {
    let schema = Schema::read(&fs::read_to_string(root().join("callflows/callflow.rng")).unwrap());
    for (name, text) in folder("callflows").into_iter().chain(folder("tests/callflows/good")) {
        assert!(schema.accepts(&text), "the schema refuses {name}");
    }
    for (name, text) in folder("tests/callflows/bad") {
        match said(&text, "schema")[..] {
            ["accepts"] => assert!(schema.accepts(&text), "the schema refuses {name}"),
            ["refuses"] => assert!(!schema.accepts(&text), "the schema accepts {name}"),
            // Not well-formed, or with a document type: no schema is asked.
            ["unread"] => assert!(name.starts_with("xml-"), "{name}"),
            _ => panic!("{name} does not say what the schema makes of it"),
        }
    }
}

/// The reader of schemas in these tests is our own; where libxml2 is installed it has to say the same.
#[test]
fn another_validator_agrees() {
    if Command::new("xmllint").arg("--version").output().is_err() {
        return;
    }
    let valid = |path: &str| {
        let schema = root().join("callflows/callflow.rng");
        let mut xmllint = Command::new("xmllint");
        xmllint.args(["--noout", "--nonet", "--relaxng"]).arg(schema).arg(root().join(path));
        xmllint.output().unwrap().status.success()
    };
    for dir in ["callflows", "tests/callflows/good"] {
        for (name, _) in folder(dir) {
            assert!(valid(&format!("{dir}/{name}")), "{name}");
        }
    }
    for (name, text) in folder("tests/callflows/bad") {
        let schema = said(&text, "schema");
        if schema != ["unread"] {
            assert_eq!(valid(&format!("tests/callflows/bad/{name}")), schema == ["accepts"], "{name}");
        }
    }
}

/// What `docs/call-flows.md` shows passes its own rules, and the rules and limits it lists are those there are.
#[test]
fn the_document_is_true() {
    let doc = fs::read_to_string(root().join("docs/call-flows.md")).unwrap();
    let schema = Schema::read(&fs::read_to_string(root().join("callflows/callflow.rng")).unwrap());
    let examples: Vec<(String, String)> = doc
        .split("```xml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .filter(|example| !example.starts_with("<?xml-model"))
        .enumerate()
        .map(|(index, example)| (format!("example {index}"), example))
        .collect();
    assert_eq!(examples.len(), 2);
    let flows = Flows::from_sources(&examples).unwrap_or_else(|faults| panic!("{}", shown(&faults)));
    assert!(flows.get("yes-please").is_some());
    for (name, example) in &examples {
        assert!(schema.accepts(example), "{name}");
    }
    for rule in Rule::ALL {
        assert!(doc.contains(&format!("`{rule}`")), "rule {rule} is not documented");
    }
    let limits = format!(
        "{MAX_STEPS} steps, {MAX_ITEMS} items a step, {MAX_ROUNDS} rounds a gather, {MAX_PROMPTS} prompts, \
         {MAX_LANGUAGES} languages, 400 characters a text, {} KiB a file",
        MAX_FILE_BYTES / 1024
    );
    assert!(doc.contains(&limits), "{limits}");
}
