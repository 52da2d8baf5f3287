//! Owns the rules of the house that a compiler does not know: layering, purity of the core, names, sizes, and that the
//! documents are true. Each rule reads all files it concerns and reports every breach as `file:line: …`.

mod layers;
mod monitoring;
mod source;
mod texts;

use std::{
    fs,
    path::{Path, PathBuf},
};

use source::Source;

/// Longest Rust file, in lines outside test items.
const MAX_FILE_LINES: usize = 600;
/// Longest function outside tests, in lines.
const MAX_FUNCTION_LINES: usize = 70;

/// Modules that know neither IO nor clock nor randomness.
const PURE: [&str; 10] =
    ["time", "dtmf", "id", "secret", "outcome", "phone", "callflow", "verification", "guard", "sip"];
/// What a pure module may not mention: words of the standard library and of crates.
const IMPURE: [&str; 24] = [
    "tokio",
    "hyper",
    "reqwest",
    "redis",
    "redb",
    "axum",
    "rand",
    "tracing",
    "metrics",
    "Instant",
    "SystemTime",
    "Zoned",
    "net",
    "fs",
    "io",
    "env",
    "thread",
    "process",
    "async",
    "await",
    "println",
    "eprintln",
    "Mutex",
    "AtomicU64",
];
/// Where a pure module may use such a word all the same.
const IMPURE_WITH_REASON: [(&str, &str, &str); 2] = [
    ("src/time.rs", "SystemTime", "SystemClock, which the shell passes around, has to live beside its trait"),
    ("src/sip/", "net", "addresses are values here"),
];

/// Names of carriers: a carrier is known to its own file, to those who build it, and to nobody else.
const CARRIERS: [&str; 7] = ["twilio", "twiml", "signalwire", "telnyx", "plivo", "vonage", "jambonz"];
/// Where a carrier may be named beside `src/provider`.
const CARRIERS_KNOWN_IN: [(&str, &str); 3] = [
    ("src/serve.rs", "it makes the carriers of a configuration"),
    ("src/config", "settings name the kind of a carrier"),
    ("src/commands", "the operator chooses a carrier by name"),
];

/// Words that no declared type, trait or alias may contain.
const EMPTY_TYPE_WORDS: [&str; 7] = ["Manager", "Handler", "Service", "Util", "Utils", "Helper", "Common"];
/// Words that no declared type may end with.
const EMPTY_TYPE_ENDINGS: [&str; 2] = ["Info", "Data"];
/// Names that no module may have.
const EMPTY_MODULES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "misc", "shared"];

/// Looks at one file (its path, its text, its views) and names the breaches in it.
type Rule = fn(&str, &str, &Source) -> Vec<String>;

/// Every rule over Rust sources.
const RULES: [(&str, Rule); 9] = [
    ("layers", |path, _, source| if path.starts_with("src/") { layers::faults(path, source) } else { Vec::new() }),
    ("pure core", pure),
    ("carriers", carriers),
    ("call flows", call_flows),
    ("head", head),
    ("sizes", sizes),
    ("names", names),
    ("attributes", attributes),
    ("orphans", orphans),
];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project below `dir` as path from the root and content; build output and what is not text is left out.
pub(crate) fn files(dir: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(dir), &mut found);
    found.sort();
    found
}

fn walk(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !["target", ".git", "out", "node_modules"].contains(&name) {
                walk(&path, found);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text));
        }
    }
}

fn rust_files() -> Vec<(String, String)> {
    files("").into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

/// Files that the sources embed outside tests: the path of the source, and what it names.
pub(crate) fn embedded() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, text) in files("src").into_iter().filter(|(path, _)| path.ends_with(".rs")) {
        let source = Source::read(&text);
        let letters: Vec<char> = text.chars().collect();
        for (at, _) in source.idents().iter().filter(|(at, word)| word.starts_with("include_") && !source.is_test(*at))
        {
            let rest: String = letters[*at..].iter().take(200).collect();
            if let Some((_, name)) = rest.split_once("(\"") {
                found.push((path.clone(), name.split('"').next().unwrap().to_owned()));
            }
        }
    }
    found
}

/// Fails with all faults at once.
#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} breach(es) of the rules:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn sources_keep_the_rules() {
    let mut faults = Vec::new();
    let files = rust_files();
    let tests_only = test_files(&files);
    for (path, text) in &files {
        let mut source = Source::read(text);
        if tests_only.iter().any(|start| path.starts_with(start.as_str())) {
            source.tests = std::iter::once(0..source.code.len()).collect();
        }
        for (rule, check) in RULES {
            faults.extend(check(path, text, &source).into_iter().map(|fault| format!("{fault} [{rule}]")));
        }
    }
    assert!(files.len() > 15, "the sources were not found");
    none(&faults);
}

/// Files that are modules only of tests, as starts of paths: `#[cfg(test)] mod tests;`.
fn test_files(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with("src/")) {
        let source = Source::read(text);
        for span in &source.tests {
            let words: Vec<String> =
                source::idents(&source.code[span.clone()]).into_iter().map(|(_, word)| word).collect();
            if let Some(at) = words.iter().position(|word| word == "mod").filter(|_| source.code[span.end - 1] == ';') {
                found.push(format!("{}{}", children(path), words[at + 1]));
            }
        }
    }
    found
}

/// Where the child modules of a file live.
fn children(path: &str) -> String {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "mod.rs" | "lib.rs" => format!("{dir}/"),
        "main.rs" => format!("{dir}/"),
        name => format!("{dir}/{}/", name.trim_end_matches(".rs")),
    }
}

fn pure(path: &str, _: &str, source: &Source) -> Vec<String> {
    if !path.starts_with("src/") || !PURE.contains(&layers::module(path)) {
        return Vec::new();
    }
    let words = source.idents();
    words
        .into_iter()
        .filter(|(at, word)| !source.is_test(*at) && IMPURE.contains(&word.as_str()))
        .filter(|(_, word)| {
            !IMPURE_WITH_REASON.iter().any(|(start, excused, _)| path.starts_with(start) && excused == word)
        })
        .map(|(at, word)| format!("{path}:{}: the pure core may not know `{word}`", source.line(at)))
        .collect()
}

fn carriers(path: &str, text: &str, source: &Source) -> Vec<String> {
    let known = CARRIERS_KNOWN_IN.iter().any(|(start, _)| path.starts_with(start));
    if !path.starts_with("src/") || path.starts_with("src/provider") || known {
        return Vec::new();
    }
    mentions(path, text, source, &CARRIERS, "a carrier is named outside `provider`")
}

fn call_flows(path: &str, text: &str, source: &Source) -> Vec<String> {
    if !path.starts_with("src/") {
        return Vec::new();
    }
    let flows: Vec<String> = files("callflows")
        .into_iter()
        .filter_map(|(path, _)| Some(path.strip_suffix(".xml")?.rsplit('/').next()?.to_owned()))
        .collect();
    let names: Vec<&str> = flows.iter().map(String::as_str).collect();
    mentions(path, text, source, &names, "a call flow is named in the sources")
        .into_iter()
        .filter(|fault| !embeds_or_defaults(text, fault))
        .collect()
}

/// A line that embeds a file, or states the name of the default as a constant, may name a call flow.
fn embeds_or_defaults(text: &str, fault: &str) -> bool {
    let line = fault.split(':').nth(1).and_then(|line| line.parse::<usize>().ok()).unwrap();
    let line = text.lines().nth(line - 1).unwrap();
    line.contains("include_str!")
        || line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ").starts_with("const DEFAULT")
}

/// Lines outside tests that contain one of `words`, in any case, in code, texts or comments.
fn mentions(path: &str, text: &str, source: &Source, words: &[&str], what: &str) -> Vec<String> {
    let lower: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut faults = Vec::new();
    for word in words {
        let word: Vec<char> = word.chars().collect();
        for at in 0..lower.len().saturating_sub(word.len()) {
            if lower[at..].starts_with(&word) && !source.is_test(at) {
                faults.push(format!("{path}:{}: {what}: {}", source.line(at), word.iter().collect::<String>()));
            }
        }
    }
    faults
}

fn head(path: &str, text: &str, _: &Source) -> Vec<String> {
    let head: String = text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .map(|line| line.trim_start_matches("//!").trim())
        .collect::<Vec<_>>()
        .join(" ");
    if head.contains(". ") || head.ends_with('.') {
        Vec::new()
    } else {
        vec![format!("{path}:1: begins with no `//!` sentence that says what it owns")]
    }
}

fn sizes(path: &str, _: &str, source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.lines_without_tests();
    if lines > MAX_FILE_LINES {
        faults.push(format!("{path}:1: {lines} lines without tests, more than {MAX_FILE_LINES}"));
    }
    if path.starts_with("src/") {
        for (at, name, lines) in source.functions().into_iter().filter(|(_, _, lines)| *lines > MAX_FUNCTION_LINES) {
            faults.push(format!(
                "{path}:{}: `{name}` has {lines} lines, more than {MAX_FUNCTION_LINES}",
                source.line(at)
            ));
        }
    }
    faults
}

fn names(path: &str, _: &str, source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for pair in source.idents().windows(2) {
        let [(at, keyword), (_, name)] = pair else { continue };
        let bad = match keyword.as_str() {
            "struct" | "enum" | "trait" | "type" | "union" => {
                let words = camel_words(name);
                words.iter().any(|word| EMPTY_TYPE_WORDS.contains(&word.as_str()))
                    || words.last().is_some_and(|word| EMPTY_TYPE_ENDINGS.contains(&word.as_str()))
            }
            "mod" => EMPTY_MODULES.contains(&name.as_str()),
            "fn" => name.starts_with("get_"),
            _ => false,
        };
        if bad {
            faults.push(format!("{path}:{}: `{name}` says nothing: name what it is or does", source.line(*at)));
        }
    }
    faults
}

fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}

fn attributes(path: &str, text: &str, source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let letters: Vec<char> = text.chars().collect();
    for (at, word) in source.idents() {
        let opens =
            source.code[..at].iter().rposition(|c| !c.is_whitespace()).filter(|before| source.code[*before] == '[');
        let Some(open) = opens else { continue };
        let attribute: String = letters[open..source::closing_bracket(&source.code, open)].iter().collect();
        let line = source.line(at);
        match word.as_str() {
            "ignore" | "should_panic" => {
                faults.push(format!("{path}:{line}: `{word}`: a test runs, and says what it expects"))
            }
            "allow" | "expect" if is_attribute(&source.code[..open]) && !attribute.contains("reason = ") => {
                faults.push(format!("{path}:{line}: `{word}` without a reason"));
            }
            _ => {}
        }
    }
    faults
}

/// Whether code ends with what begins an attribute before its bracket.
fn is_attribute(before: &[char]) -> bool {
    before.ends_with(&['#']) || before.ends_with(&['#', '!'])
}

/// A file that no `mod` line names is not compiled and so not tested.
fn orphans(path: &str, _: &str, _: &Source) -> Vec<String> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let below_a_root = path.starts_with("src/") || path.starts_with("tests/it/");
    if !below_a_root || ["src/lib.rs", "src/main.rs", "tests/it/main.rs"].contains(&path) {
        return Vec::new();
    }
    let (home, module) = match name {
        "mod.rs" => dir.rsplit_once('/').unwrap(),
        name => (dir, name.trim_end_matches(".rs")),
    };
    let parents = [format!("{home}/mod.rs"), format!("{home}.rs"), format!("{home}/lib.rs"), format!("{home}/main.rs")];
    let named = parents.iter().filter_map(|parent| fs::read_to_string(root().join(parent)).ok()).any(|parent| {
        let words = Source::read(&parent).idents();
        words.windows(2).any(|pair| pair[0].1 == "mod" && pair[1].1 == module)
    });
    if named { Vec::new() } else { vec![format!("{path}:1: no `mod` line names this file")] }
}

#[test]
fn planted_breaches_are_caught() {
    let long = format!("//! Head.\nfn f() {{\n{}}}\n", "    let _ = 1;\n".repeat(MAX_FUNCTION_LINES));
    let huge = format!("//! Head.\n{}", "const A: u8 = 1;\n".repeat(MAX_FILE_LINES));
    let planted: [(&str, &str, &str); 14] = [
        ("src/verification/step.rs", "//! Head.\nfn f() { let _ = std::time::Instant::now(); }\n", "pure core"),
        ("src/callflow/play.rs", "//! Head.\nasync fn f() {}\n", "pure core"),
        ("src/gateway/mod.rs", concat!("//! Head.\n/// As Twi", "lio does.\nfn f() {}\n"), "carriers"),
        ("src/http/mod.rs", concat!("//! Head.\nconst KIND: &str = \"Ply", "ivo plivo\";\n"), "carriers"),
        ("src/dtmf.rs", "fn f() {}\n", "head"),
        ("src/dtmf.rs", "//! no sentence\nfn f() {}\n", "head"),
        ("src/dtmf.rs", &long, "sizes"),
        ("src/dtmf.rs", &huge, "sizes"),
        ("src/dtmf.rs", "//! Head.\nstruct CallManager;\n", "names"),
        ("src/dtmf.rs", "//! Head.\nfn get_digit() {}\n", "names"),
        ("src/dtmf.rs", "//! Head.\nmod util {}\n", "names"),
        (
            "src/dtmf.rs",
            "//! Head.\n#[cfg(test)]\nmod tests { #[test]\n#[ignore = \"slow\"]\nfn f() {} }\n",
            "attributes",
        ),
        ("src/dtmf.rs", "//! Head.\n#[allow(dead_code)]\nfn f() {}\n", "attributes"),
        ("src/nobody.rs", "//! Head.\n", "orphans"),
    ];
    for (path, text, rule) in planted {
        let source = Source::read(text);
        let caught: Vec<&str> =
            RULES.iter().filter(|(_, check)| !check(path, text, &source).is_empty()).map(|(name, _)| *name).collect();
        assert!(caught.contains(&rule), "{rule} did not see the breach planted in {path}:\n{text}");
    }
}

#[test]
fn call_flows_are_named_only_where_they_are_embedded() {
    let Some((flow, _)) = files("callflows").into_iter().find(|(path, _)| path.ends_with(".xml")) else { return };
    let name = flow.rsplit('/').next().unwrap().trim_end_matches(".xml");
    let faults = |line: &str| {
        let text = format!("//! Head.\n{line}\n");
        call_flows("src/gateway/mod.rs", &text, &Source::read(&text)).len()
    };
    assert_eq!(faults(&format!("fn f() -> bool {{ flow == \"{name}\" }}")), 1);
    assert_eq!(faults(&format!("const FLOWS: [&str; 1] = [include_str!(\"../../callflows/{name}.xml\")];")), 0);
    assert_eq!(faults(&format!("const DEFAULT_FLOW: &str = \"{name}\";")), 0);
}
