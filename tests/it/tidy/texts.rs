//! Owns the rules for what is not Rust: documents whose links lead somewhere, a line for every dependency, scripts of
//! the store with their header, and texts that speak of the project only.

use std::collections::BTreeSet;

use super::{files, none, root};

/// Unfinished work is not left behind as a mark. Written apart, so that this file does not hold the marks.
const MARKS: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];
/// Starts of paths that are only right on the machine of whoever wrote them.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
/// Files that were made elsewhere and are kept as they came.
const AS_THEY_CAME: [&str; 3] = ["Cargo.lock", "tests/vectors/", "LICENSE-"];

fn own_texts() -> Vec<(String, String)> {
    files("").into_iter().filter(|(path, _)| !AS_THEY_CAME.iter().any(|start| path.starts_with(start))).collect()
}

#[test]
fn nothing_is_left_for_later_and_no_machine_is_named() {
    let mut faults = Vec::new();
    for (path, text) in own_texts() {
        for (number, line) in text.lines().enumerate() {
            for mark in MARKS.iter().chain(&MACHINE_PATHS).filter(|mark| line.contains(**mark)) {
                faults.push(format!("{path}:{}: contains {mark}", number + 1));
            }
        }
    }
    none(&faults);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for (path, text) in files("").into_iter().filter(|(path, _)| path.ends_with(".md")) {
        let home = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        for (line, target) in links(&text) {
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let place = if file.is_empty() { root().join(&path) } else { root().join(home).join(file) };
            if !place.exists() {
                faults.push(format!("{path}:{line}: no such file: {target}"));
            } else if !anchor.is_empty() && file.is_empty() | file.ends_with(".md") {
                let anchors = anchors(&std::fs::read_to_string(&place).unwrap());
                if !anchors.contains(anchor) {
                    faults.push(format!("{path}:{line}: no such heading: {target}"));
                }
            }
        }
    }
    assert!(seen > 10, "the documents were not read");
    none(&faults);
}

/// Targets of the links of a document that stay in the project, with their lines; code is left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or("");
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push((number, target.to_owned()));
            }
        }
    }
    found
}

/// Lines outside fenced code, without inline code, numbered from 1.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let outside: Vec<&str> = line.split('`').step_by(2).collect();
            lines.push((number + 1, outside.concat()));
        }
    }
    lines
}

/// The anchors that the headings of a document get.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

#[test]
fn links_and_anchors_are_read_as_people_see_them() {
    let text = "# One, two\n[a](b.md#c) `[no](x)` [web](https://example.com)\n```\n[no](y)\n# no\n```\n[d](#one-two)\n";
    assert_eq!(links(text), [(2, String::from("b.md#c")), (7, String::from("#one-two"))]);
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["one-two"]);
}

#[test]
fn every_dependency_has_its_line() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let document = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let described: BTreeSet<&str> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)).collect();
    let used: BTreeSet<&str> = ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table())
        .flat_map(|table| table.keys().map(String::as_str))
        .collect();
    let mut faults: Vec<String> =
        used.difference(&described).map(|name| format!("docs/dependencies.md: no line for `{name}`")).collect();
    faults.extend(described.difference(&used).map(|name| format!("docs/dependencies.md: `{name}` is no dependency")));
    none(&faults);
}

#[test]
fn paths_in_documents_exist() {
    let mut faults = Vec::new();
    for (path, text) in files("").into_iter().filter(|(path, _)| path.ends_with(".md") && path != "CHANGELOG.md") {
        for (line, span) in code_spans(&text).into_iter().filter(|(_, span)| is_path(span)) {
            if !root().join(&span).exists() {
                faults.push(format!("{path}:{line}: there is no `{span}`"));
            }
        }
    }
    none(&faults);
}

/// What stands between single back-ticks outside fenced code, with its line.
fn code_spans(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(|span| (number + 1, span.to_owned())));
        }
    }
    found
}

/// Whether a code span names a file or folder of this repository, and not a pattern of names.
fn is_path(span: &str) -> bool {
    let starts =
        ["src/", "tests/", "docs/", "deploy/", "callflows/", "texts/", "benches/", "scripts/", "templates/", ".ci/"];
    starts.iter().any(|start| span.starts_with(start)) && !span.contains(['<', '…', '*', ' ', '{'])
}

#[test]
fn the_map_knows_every_module() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let crate_root = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut faults = Vec::new();
    for module in crate_root.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        let names = [
            format!("`src/{module}/`"),
            format!("`src/{module}.rs`"),
            format!("`{module}.rs`"),
            format!("`{module}/`"),
        ];
        if !names.iter().any(|name| map.contains(name)) {
            faults.push(format!("ARCHITECTURE.md: does not say what `{module}` owns"));
        }
    }
    none(&faults);
}

/// Names that are given to the macros of the metrics facade.
pub(super) fn metrics_in(text: &str) -> Vec<String> {
    ["counter!(", "histogram!(", "gauge!("]
        .iter()
        .flat_map(|opening| text.split(opening).skip(1))
        .filter_map(|rest| Some(rest.trim_start().strip_prefix('"')?.split_once('"')?.0.to_owned()))
        .collect()
}

#[test]
fn every_script_of_the_store_has_its_header() {
    let mut faults = Vec::new();
    for (path, text) in files("src").into_iter().filter(|(path, _)| path.ends_with(".lua")) {
        let head: String =
            text.lines().take_while(|line| line.starts_with("--")).collect::<Vec<_>>().join("\n").to_lowercase();
        for word in ["keys", "argv", "returns"] {
            if !head.contains(word) {
                faults.push(format!("{path}:1: the header does not say its {word}"));
            }
        }
    }
    none(&faults);
}

#[test]
fn the_readme_names_the_commands_to_begin_with() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["make demo", "make test"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
    }
}
