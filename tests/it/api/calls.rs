//! The call log as operators and clients ask for it: filters, explanations, files.

use http::{StatusCode, header};
use serde_json::{Value, json};

use super::world::{Answer, By, REQUEST, World};

/// A call that was verified, and one to another number that was busy.
async fn two_calls() -> World {
    let world = World::new().await;
    let (_, order) = world.create(REQUEST).await;
    world.verified(&order).await;
    let (_, order) = world.create(r#"{"to": "+818011112222", "reference": "=1+1"}"#).await;
    world.carrier_says(&order, "status", "busy").await;
    world
}

async fn in_language(world: &World, path: &str, language: &str) -> Answer {
    let request = world.request(By::Enrolment, "GET", path).header(header::ACCEPT_LANGUAGE, language);
    world.send(request.body(axum::body::Body::empty()).unwrap()).await
}

#[tokio::test]
async fn calls_are_found_by_what_is_known_of_them() {
    let world = two_calls().await;
    for (query, expected) in [
        ("", 2),
        ("?reference=user-42", 1),
        ("?reference=user", 0),
        ("?last_digits=5678", 1),
        ("?last_digits=22", 1),
        ("?last_digits=%EF%BC%92", 1),
        ("?last_digits=3", 0),
        ("?fault=callee", 2),
        ("?fault=us", 0),
        ("?client=enrolment&reason=busy", 1),
        ("?number=090-1234-5678&country=JP", 1),
        ("?number=%2B818011112222&last_digits=5678", 0),
    ] {
        let page = world.get(By::Enrolment, &format!("/v1/calls{query}")).await.good();
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{query}");
        let lines = world.get(By::Enrolment, &format!("/v1/calls.ndjson{query}")).await;
        assert_eq!(lines.text.lines().count(), expected, "{query}");
    }
    let another = world.get(By::Enrolment, "/v1/calls?client=other").await;
    assert_eq!((another.status, another.code().as_str()), (StatusCode::FORBIDDEN, "scope"));
    assert_eq!(world.get(By::Admin, "/v1/calls?client=other").await.good()["items"], json!([]));
    assert_eq!(world.get(By::Admin, "/v1/calls?client=enrolment&limit=1").await.good()["items"][0]["reason"], "busy");
}

#[tokio::test]
async fn a_call_is_explained_in_the_language_of_whoever_reads() {
    let world = two_calls().await;
    let read = async |language: &str| {
        let page = in_language(&world, "/v1/calls?reason=busy", language).await.good();
        (page["items"][0]["summary"].clone(), page["items"][0]["next_step"].clone())
    };
    let (summary, next_step) = read("en").await;
    assert!(summary.as_str().unwrap().contains("The line was busy. That is on the callee's side."), "{summary}");
    assert_eq!(next_step, "Let the person try again in a minute.");
    let (summary, _) = read("ja-JP,en;q=0.5").await;
    assert!(summary.as_str().unwrap().contains("話し中でした。"), "{summary}");
    let verified = world.get(By::Enrolment, "/v1/calls?status=verified").await.good();
    assert_eq!(verified["items"][0]["next_step"], Value::Null);
}

#[tokio::test]
async fn files_hold_the_whole_log_and_no_formula() {
    let world = two_calls().await;
    let file = world.get(By::Enrolment, "/v1/calls.csv").await;
    assert_eq!(file.status, StatusCode::OK);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"calls.csv\"");
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let names = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    let field =
        |row: &csv::StringRecord, name: &str| row[names.iter().position(|known| known == name).unwrap()].to_owned();
    assert_eq!((field(&rows[0], "reason"), field(&rows[1], "status")), ("busy".into(), "verified".into()));
    assert_eq!((field(&rows[0], "reference"), field(&rows[0], "to")), ("'=1+1".into(), "'+81 •• •••• 2222".into()));

    let lines = world.get(By::Enrolment, "/v1/calls.ndjson").await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(lines.clone()), world.get(By::Enrolment, "/v1/calls").await.good()["items"]);
    let mut members: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    members.retain(|name| *name != "timeline");
    let mut columns: Vec<&str> = names.iter().collect();
    columns.sort_unstable();
    assert_eq!(columns, members, "a column for each member but the timeline");

    for path in ["/v1/calls.csv", "/v1/calls.ndjson"] {
        let theirs = world.get(By::Other, path).await.text;
        assert!(!theirs.contains("ver_"), "{path}: another client's calls: {theirs}");
        assert_eq!(world.get(By::VerifyOnly, path).await.code(), "scope", "{path}");
        let wrong = world.get(By::Enrolment, &format!("{path}?number=nonsense")).await;
        assert_eq!(wrong.code(), "invalid_number", "{path}");
        assert_eq!(world.get(By::Enrolment, &format!("{path}?limit=5")).await.code(), "malformed", "{path}");
    }
}

/// What a client writes into its reference is one field of the file, whatever it is, and no formula; or it is refused.
#[tokio::test]
async fn hostile_references_stay_one_field() {
    let world = World::new().await;
    let hostile = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\u{ff1d}1+1",
        "a\"b\"\"c,d",
        "two\r\nlines",
        "nul\u{0}inside",
        "\u{202e}evil \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{1f4de}\u{200d}\u{1f468},\u{1f1ef}\u{1f1f5}",
        "'already",
        &"=".repeat(64),
        &"\u{1f4de}".repeat(16),
        &"x".repeat(100_000),
    ];
    let mut taken = Vec::new();
    for (n, reference) in hostile.iter().enumerate() {
        let body = json!({ "to": format!("+8190123457{n:02}"), "reference": reference }).to_string();
        let answer = world.post(By::Enrolment, "/v1/verifications", &body).await;
        if answer.status == StatusCode::CREATED {
            let order = world.placed(answer.json()["id"].as_str().unwrap()).await;
            world.carrier_says(&order, "status", "busy").await;
            taken.push((*reference).to_owned());
        } else {
            let refused = [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE];
            assert!(refused.contains(&answer.status), "{reference:?}: {answer:?}");
        }
    }
    assert!(taken.len() > 5, "{taken:?}");
    let file = world.get(By::Enrolment, "/v1/calls.csv").await;
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let place = reader.headers().unwrap().iter().position(|name| name == "reference").unwrap();
    // A row with another number of fields than the first is a fault here.
    let rows: Vec<String> = reader.records().map(|row| row.unwrap()[place].to_owned()).collect();
    assert_eq!(rows.len(), taken.len());
    for field in rows {
        let plain = field.strip_prefix('\'').unwrap_or(&field);
        assert!(taken.iter().any(|taken| *taken == field || taken == plain), "{field:?} was changed");
        let begins = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}'];
        assert!(!field.starts_with(begins), "a spreadsheet takes it for a formula: {field:?}");
    }
}

#[tokio::test]
async fn a_file_goes_on_over_pages() {
    let world = World::new().await;
    let calls = 205;
    for n in 0..calls {
        let (_, order) = world.create(&format!(r#"{{"to": "+8190123456{:02}", "reference": "{n}"}}"#, n % 100)).await;
        world.carrier_says(&order, "status", "busy").await;
        world.clock.advance(std::time::Duration::from_secs(3600));
    }
    let request = world.request(By::Enrolment, "GET", "/v1/calls.ndjson").body(axum::body::Body::empty()).unwrap();
    let mut body = world.edge.handle(request).await.into_body();
    let (mut whole, mut pieces) = (Vec::new(), 0);
    while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
        let piece = frame.unwrap().into_data().unwrap();
        pieces += usize::from(!piece.is_empty());
        whole.extend(piece);
    }
    assert!(pieces > 1, "the file came in one piece");
    let references: Vec<u32> = String::from_utf8(whole)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["reference"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(references, (0..calls).rev().collect::<Vec<_>>(), "each call once, newest first");
}

#[tokio::test]
async fn exports_have_a_bound_and_end_at_the_stop() {
    let world = two_calls().await;
    let mut open = Vec::new();
    let more = loop {
        let request = world.request(By::Enrolment, "GET", "/v1/calls.csv").body(axum::body::Body::empty()).unwrap();
        let answer = world.edge.handle(request).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        open.push(answer);
        assert!(open.len() < 100, "there is no bound");
    };
    assert_eq!((Answer::of(more).await.code().as_str(), open.len()), ("overloaded", 4));
    let whole = Answer::of(open.remove(0)).await;
    assert!(whole.text.ends_with("\r\n"));
    assert_eq!(world.get(By::Enrolment, "/v1/calls.csv").await.status, StatusCode::OK, "its place is free again");
    world.stop.cancel();
    let cut = http_body_util::BodyExt::collect(open.remove(0).into_body()).await;
    assert!(cut.is_err(), "what broke off must not look whole");
}
