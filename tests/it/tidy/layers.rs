//! Owns the layering of the crate: which module may name which, as data, and the check that the sources keep to it.

use std::collections::BTreeMap;

use super::source::Source;

/// Words that everything may use: they carry meaning and do nothing.
const VOCABULARY: [&str; 7] = ["time", "dtmf", "id", "secret", "outcome", "phone", "trace"];

/// The table: a module of the crate, and what its sources may name beside themselves. A new module begins with a row here.
/// `vocabulary` stands for [`VOCABULARY`], `everything` for all modules.
const MAY_NAME: [(&str, &[&str]); 26] = [
    // vocabulary
    ("time", &[]),
    ("dtmf", &[]),
    ("secret", &[]),
    ("outcome", &[]),
    ("phone", &[]),
    ("trace", &[]),
    ("id", &["time"]),
    ("texts", &["outcome"]),
    // facade of traces, as `metrics` and `tracing` are of measurements and logs
    ("span", &["time", "trace"]),
    // pure core
    ("callflow", &["dtmf", "outcome"]),
    ("verification", &["callflow", "vocabulary"]),
    ("sip", &["phone", "dtmf", "time", "secret"]),
    ("guard", &["vocabulary"]),
    // ports and adapters
    ("store", &["guard", "verification", "vocabulary"]),
    ("provider", &["verification", "callflow", "sip", "span", "vocabulary"]),
    // shell
    ("gateway", &["guard", "provider", "store", "verification", "callflow", "texts", "span", "vocabulary"]),
    // edge
    ("http", &["gateway", "provider", "verification", "texts", "span", "vocabulary"]),
    ("pages", &["texts", "vocabulary"]),
    ("demo", &["gateway", "http", "pages", "provider", "texts", "vocabulary"]),
    ("console", &["gateway", "http", "pages", "verification", "texts", "vocabulary"]),
    ("telemetry", &["span", "vocabulary"]),
    // root
    ("config", &["callflow", "console", "guard", "store", "provider", "gateway", "http", "telemetry", "vocabulary"]),
    ("serve", &["everything"]),
    ("commands", &["everything"]),
    ("main", &["everything"]),
    ("lib", &["everything"]),
];

/// Modules that only the root may name, whatever a row says.
const ROOT_ONLY: [&str; 3] = ["config", "serve", "commands"];
const ROOT: [&str; 5] = ["config", "serve", "commands", "main", "lib"];

/// The module of the crate that a file belongs to: the first part of its path below `src`.
pub(super) fn module(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap_or(path);
    below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
}

/// How many modules lie between the crate and the inside of this file: 0 for `lib.rs`, 1 for `store/mod.rs`.
fn depth(path: &str) -> usize {
    let below = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let parts: Vec<_> = below.split('/').filter(|part| !["mod", "lib", "main"].contains(part)).collect();
    parts.len()
}

fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let all: Vec<&str> = MAY_NAME.iter().map(|(module, _)| *module).collect();
    MAY_NAME
        .iter()
        .map(|(module, names)| {
            let mut may: Vec<&str> = Vec::new();
            for name in *names {
                match *name {
                    "vocabulary" => may.extend(VOCABULARY),
                    "everything" => may.extend(&all),
                    name => may.push(name),
                }
            }
            if !ROOT.contains(module) {
                may.retain(|name| !ROOT_ONLY.contains(name));
            }
            may.push(module);
            (*module, may)
        })
        .collect()
}

/// What a file names that it may not, each as `file:line: …`.
pub(super) fn faults(path: &str, source: &Source) -> Vec<String> {
    let allowed = allowed();
    let home = module(path);
    let Some(may) = allowed.get(home) else {
        return vec![format!("{path}:1: module `{home}` has no row in tests/it/tidy/layers.rs")];
    };
    let mut faults = Vec::new();
    for (at, names) in named(path, source) {
        for name in names.iter().filter(|name| !source.is_test(at) && !may.contains(&name.as_str())) {
            let line = source.line(at);
            faults.push(format!("{path}:{line}: module `{home}` may not name `{name}`"));
        }
    }
    faults
}

/// Names of top-level modules, through `crate::…` and through `super::…` where that leads up to the crate.
fn named(path: &str, source: &Source) -> Vec<(usize, Vec<String>)> {
    let mut found = source.names_after("crate");
    let supers: Vec<usize> =
        source.idents().into_iter().filter(|(_, word)| word == "super").map(|(at, _)| at).collect();
    for (at, names) in source.names_after("super") {
        let continues = names.iter().any(|name| name == "super");
        let chain = 1 + supers
            .iter()
            .rev()
            .filter(|other| **other < at)
            .take_while(|other| linked(source, **other, at))
            .count();
        if !continues && chain >= depth(path) + source.inline_depth(at) {
            found.push((at, names));
        }
    }
    found
}

/// Whether only `super` and `::` stand between two places.
fn linked(source: &Source, from: usize, to: usize) -> bool {
    let between: String = source.code[from..to].iter().filter(|c| !c.is_whitespace()).collect();
    between.replace("super::", "").is_empty()
}

/// `use`s of the root that a module may not make, planted into sources that exist nowhere: the check must see each.
#[test]
fn planted_violations_are_caught() {
    let planted = [
        ("src/phone/mod.rs", "use crate::store::Store;", "store"),
        ("src/verification/step.rs", "use crate::{dtmf::Digits, provider::{Order, Reply}};", "provider"),
        ("src/verification/step.rs", "fn f() { let _ = crate::gateway::now(); }", "gateway"),
        ("src/verification/mod.rs", "use super::store::Store;", "store"),
        ("src/store/redis/keys.rs", "use super::super::super::http::Api;", "http"),
        ("src/callflow/play.rs", "use crate::verification as v;", "verification"),
        ("src/http/calls.rs", "use crate::callflow::Script;", "callflow"),
        ("src/http/calls.rs", "use crate::store::CallQuery;", "store"),
        ("src/gateway/mod.rs", "use crate::config::Config;", "config"),
        ("src/dtmf.rs", "use crate::*;", "*"),
    ];
    for (path, text, name) in planted {
        let faults = faults(path, &Source::read(&format!("//! Head.\n\n{text}\n")));
        assert_eq!(faults, [format!("{path}:3: module `{}` may not name `{name}`", module(path))], "{text}");
    }
    let unknown = faults("src/helpers.rs", &Source::read("//! Head.\n"));
    assert_eq!(unknown, ["src/helpers.rs:1: module `helpers` has no row in tests/it/tidy/layers.rs"]);
}

#[test]
fn what_is_allowed_or_only_for_tests_passes() {
    let text = "use crate::{callflow::Script, dtmf::Digits, id::CallId};\n#[cfg(test)]\nmod tests { use crate::store::Store; }\n\
                /// Unlike `crate::gateway::Gateway`.\nconst NAME: &str = \"crate::http::Api\";\nuse super::record::CallRecord;\n";
    assert_eq!(faults("src/verification/step.rs", &Source::read(text)), Vec::<String>::new());
    let two_up_is_the_module_itself = "use super::super::http::Api;\n";
    assert_eq!(faults("src/store/redis/keys.rs", &Source::read(two_up_is_the_module_itself)), Vec::<String>::new());
}
