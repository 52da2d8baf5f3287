//! Owns that `deploy/monitoring` is true: each alert has its page and its tests, each metric that is asked for is recorded
//! somewhere, and metrics are named as they should be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use ringproof::telemetry::{Kind, MEASUREMENTS};
use saphyr::{LoadableYamlNode as _, Yaml};

use super::{files, none, root, texts::metrics_in};

const RUNBOOKS: &str = "https://github.com/ringproof/ringproof/blob/main/docs/runbooks/";

fn read(file: &str) -> String {
    fs::read_to_string(root().join("deploy/monitoring").join(file)).unwrap()
}

fn list<'a, 'b>(node: &'a Yaml<'b>, key: &str) -> Vec<&'a Yaml<'b>> {
    node.as_mapping_get(key).and_then(Yaml::as_sequence).map(|all| all.iter().collect()).unwrap_or_default()
}

fn text<'a>(node: &'a Yaml<'_>, key: &str) -> &'a str {
    node.as_mapping_get(key).and_then(Yaml::as_str).unwrap_or_default()
}

/// Metrics of the sources, as Prometheus knows them: a histogram has three series.
fn recorded() -> BTreeSet<String> {
    files("src").iter().flat_map(|(_, text)| metrics_in(text)).flat_map(|name| series(&name)).collect()
}

fn series(name: &str) -> Vec<String> {
    if name.ends_with("_seconds") {
        ["", "_bucket", "_sum", "_count"].iter().map(|end| format!("{name}{end}")).collect()
    } else {
        vec![name.to_owned()]
    }
}

/// Metrics of ours that a query asks for.
fn asked(query: &str) -> Vec<String> {
    query
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("ringproof") || word.starts_with("http_server_"))
        .filter(|word| word.contains(['_', ':']))
        .map(str::to_owned)
        .collect()
}

/// What is wrong with rules, the files of their tests, and the pages that are there.
fn rule_faults(rules: &str, tests: &[String], pages: &BTreeSet<String>, recorded: &BTreeSet<String>) -> Vec<String> {
    let rules = &Yaml::load_from_str(rules).unwrap()[0];
    let tests: Vec<_> = tests.iter().flat_map(|tests| Yaml::load_from_str(tests).unwrap()).collect();
    let all: Vec<_> = list(rules, "groups").into_iter().flat_map(|group| list(group, "rules")).collect();
    let derived: BTreeSet<&str> = all.iter().map(|rule| text(rule, "record")).collect();
    let mut alerts = BTreeSet::new();
    let mut faults = Vec::new();
    for rule in all {
        for name in asked(text(rule, "expr")) {
            if !recorded.contains(&name) && !derived.contains(name.as_str()) {
                faults.push(format!("rules.yml: nobody records `{name}`"));
            }
        }
        let alert = text(rule, "alert");
        if alert.is_empty() {
            continue;
        }
        alerts.insert(alert.to_owned());
        let annotations = rule.as_mapping_get("annotations").unwrap();
        if text(annotations, "runbook_url") != format!("{RUNBOOKS}{alert}.md") || !pages.contains(alert) {
            faults.push(format!("rules.yml: `{alert}` does not lead to docs/runbooks/{alert}.md"));
        }
        if ["summary", "description"].iter().any(|part| text(annotations, part).is_empty()) {
            faults.push(format!("rules.yml: `{alert}` does not say what it is"));
        }
        if !["page", "ticket"].contains(&text(rule.as_mapping_get("labels").unwrap(), "severity")) {
            faults.push(format!("rules.yml: `{alert}` does not say whether it is for now"));
        }
        let expected: Vec<usize> = tests
            .iter()
            .flat_map(|tests| list(tests, "tests"))
            .flat_map(|test| list(test, "alert_rule_test"))
            .filter(|test| text(test, "alertname") == alert)
            .map(|test| list(test, "exp_alerts").len())
            .collect();
        if !expected.contains(&0) || expected.iter().all(|alerts| *alerts == 0) {
            faults.push(format!(
                "rules_test.yml, rules_week_test.yml: no test where `{alert}` fires, or none where it is silent"
            ));
        }
    }
    faults.extend(pages.difference(&alerts).map(|page| format!("docs/runbooks/{page}.md: no alert leads here")));
    faults
}

fn pages() -> BTreeSet<String> {
    files("docs/runbooks")
        .into_iter()
        .map(|(path, _)| path.rsplit('/').next().unwrap().trim_end_matches(".md").to_owned())
        .collect()
}

#[test]
fn every_alert_has_its_page_its_tests_and_its_metrics() {
    let (rules, pages, recorded) = (read("rules.yml"), pages(), recorded());
    let tests = ["rules_test.yml", "rules_week_test.yml"].map(read);
    assert!(pages.len() > 10, "the pages were not found");
    none(&rule_faults(&rules, &tests, &pages, &recorded));
    // What this would not see it does not prove.
    for (from, to, caught) in [
        ("ringproof_sip_servers_up", "ringproof_sip_servers_down", "nobody records"),
        ("runbooks/RingproofDown.md", "runbooks/RingproofUp.md", "does not lead to"),
        ("- alert: RingproofDown", "- alert: RingproofGone", "no alert leads here"),
        ("- alert: RingproofDown", "- alert: RingproofGone", "no test where"),
        ("severity: ticket", "severity: soon", "for now"),
    ] {
        assert!(rules.contains(from), "{from}");
        let faults = rule_faults(&rules.replace(from, to), &tests, &pages, &recorded);
        assert!(faults.iter().any(|fault| fault.contains(caught)), "{to}: {faults:?}");
    }
}

#[test]
fn every_page_says_what_it_is_for() {
    let mut faults = Vec::new();
    for (path, text) in files("docs/runbooks") {
        let name = path.rsplit('/').next().unwrap().trim_end_matches(".md");
        let headings: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        if headings != [format!("# {name}").as_str(), "## Symptom", "## First look", "## What to do"] {
            faults.push(format!("{path}:1: its headings are {headings:?}"));
        }
    }
    none(&faults);
}

#[test]
fn the_dashboard_asks_for_what_is_recorded() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let recorded = recorded();
    let mut queries = 0;
    let mut faults = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            queries += 1;
            let names = asked(target["expr"].as_str().unwrap());
            faults.extend(
                names
                    .iter()
                    .filter(|name| !recorded.contains(*name))
                    .map(|name| format!("dashboard.json: {}: nobody records `{name}`", panel["title"])),
            );
        }
    }
    assert!(queries > 10, "the queries were not found");
    none(&faults);
}

/// What is wrong with the name of a metric.
fn name_fault(opening: &str, name: &str) -> Option<&'static str> {
    let is_total = name.ends_with("_total");
    match opening {
        "counter!(" if !is_total => Some("a counter ends with _total"),
        "histogram!(" if !name.ends_with("_seconds") => Some("a histogram is of seconds, and ends with its unit"),
        "gauge!(" if is_total => Some("a gauge is no total"),
        _ if ["_ms", "_millis", "_milliseconds", "_minutes", "_kb", "_percent"]
            .iter()
            .any(|unit| name.contains(unit)) =>
        {
            Some("not in base units")
        }
        _ => None,
    }
}

#[test]
fn metrics_are_named_in_base_units() {
    let mut faults = Vec::new();
    let mut names = 0;
    for (path, text) in files("src").into_iter().filter(|(path, _)| path.ends_with(".rs")) {
        for opening in ["counter!(", "histogram!(", "gauge!("] {
            for rest in text.split(opening).skip(1) {
                let Some((name, _)) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')) else {
                    continue;
                };
                names += 1;
                faults.extend(name_fault(opening, name).map(|fault| format!("{path}: `{name}`: {fault}")));
            }
        }
    }
    assert!(names > 30, "the metrics were not found");
    none(&faults);
    for (opening, name) in [
        ("counter!(", "ringproof_calls"),
        ("histogram!(", "ringproof_call_ms"),
        ("gauge!(", "ringproof_calls_total"),
        ("gauge!(", "ringproof_age_minutes"),
    ] {
        assert!(name_fault(opening, name).is_some(), "{name}");
    }
}

/// What each metric of the sources is.
fn recorded_kinds() -> BTreeMap<String, &'static str> {
    let mut kinds = BTreeMap::new();
    for (_, text) in files("src") {
        for (opening, kind) in [("counter!(", "counter"), ("histogram!(", "histogram"), ("gauge!(", "gauge")] {
            for rest in text.split(opening).skip(1) {
                if let Some((name, _)) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')) {
                    kinds.insert(name.to_owned(), kind);
                }
            }
        }
    }
    kinds
}

#[test]
fn the_table_holds_what_is_recorded() {
    let recorded = recorded_kinds();
    assert!(recorded.len() > 30, "the metrics were not found");
    let table: BTreeMap<String, &str> = MEASUREMENTS.iter().map(|m| (m.name.to_owned(), m.kind.as_str())).collect();
    assert_eq!(table, recorded, "the table of src/telemetry/measurements.rs and what is recorded elsewhere");
    assert_eq!(table.len(), MEASUREMENTS.len(), "a metric is in the table twice");
    let mut faults = Vec::new();
    for m in MEASUREMENTS {
        let in_seconds = m.name.ends_with("_seconds");
        if in_seconds != (m.unit == "seconds") || m.unit.is_empty() {
            faults.push(format!("`{}` is not in {}", m.name, m.unit));
        }
        if m.meaning.len() < 10 || m.meaning.contains(['\n', '|', '\\', '"']) {
            faults.push(format!("`{}` has no plain meaning", m.name));
        }
        if m.kind == Kind::Histogram && !in_seconds {
            faults.push(format!("`{}` is a histogram without a unit", m.name));
        }
        if m.labels.iter().any(|label| ["id", "number", "to", "path", "url", "client"].contains(label)) {
            faults.push(format!("`{}` has a label without a bound", m.name));
        }
    }
    none(&faults);
}

#[test]
fn the_routes_of_the_console_are_told_apart() {
    let mut routes = BTreeSet::from([String::from("/console/assets/{name}")]);
    for (_, text) in files("src").into_iter().filter(|(path, _)| path.starts_with("src/console/")) {
        for path in text.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            routes.insert(format!("/console{}", path.trim_end_matches('/')));
        }
    }
    assert_eq!(ringproof::console::ROUTES.map(str::to_owned).into_iter().collect::<BTreeSet<_>>(), routes);
}

/// The page of metrics from its table on.
fn page_of_metrics() -> String {
    let mut text = String::from("| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for m in MEASUREMENTS {
        let labels: Vec<String> = m.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (m.kind.as_str(), labels.join(", "));
        text.push_str(&format!("| `{}` | {kind} | {} | {labels} | {} |\n", m.name, m.unit, m.meaning));
    }
    text
}

#[test]
fn the_page_of_metrics_is_as_the_table() {
    let path = root().join("docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, table) = page.split_at(page.find("| metric |").unwrap_or(page.len()));
    if std::env::var_os("RINGPROOF_WRITE_PAGES").is_some() {
        fs::write(&path, format!("{before}{}", page_of_metrics())).unwrap();
        return;
    }
    assert_eq!(table, page_of_metrics(), "set RINGPROOF_WRITE_PAGES=1 and run this test once to write docs/metrics.md");
}
