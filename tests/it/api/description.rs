//! The description of the API and its viewer: complete, consistent, and usable where they are served.

use std::collections::BTreeSet;

use http::StatusCode;
use ringproof::http::{Config, openapi_json, problem::Code};
use serde_json::Value;

use super::world::{By, World};

/// Every value in a document with its place.
fn walk<'a>(place: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    found.push((place.to_owned(), value));
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| walk(&format!("{place}/{name}"), value, found))
        }
        Value::Array(items) => items.iter().for_each(|item| walk(&format!("{place}[]"), item, found)),
        _ => {}
    }
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &'_ Value)| -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect()
    };
    paths
        .iter()
        .flat_map(of)
        .map(|(path, method)| {
            let operation = &document["paths"][&path][&method];
            (path, method, operation)
        })
        .collect()
}

#[tokio::test]
async fn the_description_is_complete_and_consistent() {
    let world = World::new().await;
    let answer = world.get(By::Nobody, "/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.good();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "/voice", "the path of the public URL");

    let mut all = Vec::new();
    walk("#", &document, &mut all);
    for (place, value) in &all {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(target.is_some(), "{place} leads nowhere: {reference}");
        }
    }

    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        if let Some(name) = operation["operationId"].as_str() {
            assert!(names.insert(name.to_owned()), "{at}: the name {name} is there twice");
        }
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{at}");
        let declared: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(declared, in_path, "{at}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{at}");
        if !path.starts_with("/v1/") {
            continue;
        }
        assert!(operation["operationId"].is_string(), "{at}");
        for status in ["400", "401", "403", "500", "503"] {
            let content = &responses[status]["content"]["application/problem+json"];
            assert_eq!(content["schema"]["$ref"], "#/components/schemas/ProblemDocument", "{at} {status}");
        }
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
            for (code, example) in response["content"]["application/problem+json"]["examples"].as_object().unwrap() {
                assert_eq!(
                    (example["value"]["code"].as_str(), example["value"]["status"].to_string()),
                    (Some(code.as_str()), status.clone()),
                    "{at}"
                );
            }
        }
    }
    let schemes: BTreeSet<&str> =
        document["components"]["securitySchemes"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(schemes, BTreeSet::from(["api_key", "view_token", "view_token_in_query"]));
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(document["components"]["schemas"]["ProblemCode"]["enum"], Value::from(codes));

    let file: Value = serde_json::from_str(&openapi_json()).unwrap();
    assert_eq!(file["paths"], document["paths"]);
}

#[tokio::test]
async fn the_shape_of_documents_is_promised() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let shape: Vec<String> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, schema)| {
            // What is taken in from another schema stands there.
            let parts = schema["allOf"].as_array().into_iter().flatten().chain([schema]);
            let members =
                parts.filter_map(|part| part["properties"].as_object()).flatten().map(|(member, _)| member.as_str());
            let words = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            format!("{name}: {}", members.chain(words).collect::<Vec<_>>().join(" "))
        })
        .collect();
    insta::assert_snapshot!("shape", shape.join("\n"));
}

#[tokio::test]
async fn the_viewer_needs_nothing_from_outside() {
    let world = World::new().await;
    let redirect = world.get(By::Nobody, "/docs").await;
    assert_eq!((redirect.status, redirect.header("location")), (StatusCode::PERMANENT_REDIRECT, "docs/"));
    let page = world.get(By::Nobody, "/docs/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("//"), "something is loaded from outside: {}", page.text);
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; ") && !policy.contains("unsafe"),
        "{policy}"
    );
    let loaded =
        page.text.split(['"']).filter(|text| text.ends_with(".js") || text.ends_with(".css") || text.ends_with(".png"));
    let mut count = 0;
    for file in loaded {
        let request = world.request(By::Nobody, "HEAD", &format!("/docs/{}", file.trim_start_matches("./")));
        let answer = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{file}");
        count += 1;
    }
    assert!(count >= 5, "{}", page.text);
    let start = world.get(By::Nobody, "/docs/swagger-initializer.js").await;
    assert!(start.text.contains("../openapi.json"), "{start:?}");
    assert_eq!(world.get(By::Nobody, "/docs/nothing.js").await.code(), "not_found");
}

#[tokio::test]
async fn the_description_can_be_switched_off() {
    let world = World::with(Config { docs: false, ..Config::default() }).await;
    for path in ["/openapi.json", "/docs", "/docs/"] {
        assert_eq!(world.get(By::Nobody, path).await.code(), "not_found", "{path}");
    }
}
