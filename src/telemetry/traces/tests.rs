//! What is checked of the way of spans to a collector without a whole program: settings, bytes, and a queue that is full.

use super::*;
use crate::trace::{SpanId, TraceId};

fn span() -> Span {
    Span {
        name: Cow::Borrowed("call"),
        kind: Kind::Client,
        trace: TraceId::new([1; 16]),
        id: SpanId::new([2; 8]),
        parent: Some(SpanId::new([3; 8])),
        parent_is_remote: true,
        began_ns: 5,
        ended_ns: 7,
        attributes: vec![("ringproof.fault", Value::Word(Cow::Borrowed("callee"))), ("n", Value::Number(4))],
        events: vec![("ringing", 6)],
        failed: true,
    }
}

#[test]
fn the_bytes_are_those_of_the_protocol() {
    let resource = resource(&Config { resource: String::from("a=b%2Cc,service.name=x"), ..Config::default() }, 9);
    let read = ExportTraceServiceRequest::decode(&*encoded(&resource, vec![span()])).unwrap();
    let all = &read.resource_spans[0];
    let said: Vec<_> = all.resource.as_ref().unwrap().attributes.iter().map(|known| known.key.as_str()).collect();
    assert_eq!(said, ["service.name", "service.version", "service.instance.id", "a"]);
    assert_eq!(all.resource.as_ref().unwrap().attributes[3], text("a", "b,c"));
    let told = &all.scope_spans[0].spans[0];
    assert_eq!((told.trace_id.len(), told.span_id.len(), told.parent_span_id.len()), (16, 8, 8));
    assert_eq!((told.kind(), told.flags), (SpanKind::Client, 0x301));
    assert_eq!((told.start_time_unix_nano, told.end_time_unix_nano), (5, 7));
    assert_eq!(told.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(told.attributes[0], text("ringproof.fault", "callee"));
    assert_eq!((told.events[0].name.as_str(), told.events[0].time_unix_nano), ("ringing", 6));
}

#[test]
fn a_queue_that_is_full_stops_nobody() {
    let (queue, waiting) = sync_channel(2);
    for _ in 0..5 {
        put(&queue, span());
    }
    assert_eq!(waiting.try_iter().count(), 2);
    drop(waiting);
    put(&queue, span());
}

#[test]
fn settings_are_read() {
    let endpoint = |text: &str| Config { endpoint: Some(text.to_owned()), ..Config::default() };
    let posted_to = |text: &str| endpoint(text).url().map(|url| url.map(String::from));
    assert_eq!(Config::default().url(), Ok(None));
    assert_eq!(posted_to(""), Ok(None));
    assert_eq!(posted_to("http://127.0.0.1:4318"), Ok(Some(String::from("http://127.0.0.1:4318/v1/traces"))));
    assert_eq!(posted_to("https://c.example.com/a/"), Ok(Some(String::from("https://c.example.com/a/"))));
    for bad in ["collector", "grpc://127.0.0.1:4317", "http://user:secret@127.0.0.1"] {
        let faults = endpoint(bad).faults();
        assert!(matches!(&faults[..], [fault] if fault.starts_with("traces.endpoint: ") && !fault.contains("secret")));
    }
    let headers = |text: &str| Config { headers: Some(Secret::new(text.to_owned())), ..Config::default() }.header_map();
    let read = headers("authorization=Basic%20YTpi==, x-tenant = a,").unwrap();
    assert_eq!(
        (&read["authorization"], &read["x-tenant"]),
        (&HeaderValue::from_static("Basic YTpi=="), &HeaderValue::from_static("a"))
    );
    for bad in ["authorization", "=a", "a b=c", "a=%2", "a=%0a", "a=%zz"] {
        assert!(headers(bad).is_none(), "{bad}");
    }
    for ratio in [-0.1, 1.1, f64::NAN] {
        assert_eq!(Config { ratio, ..Config::default() }.faults().len(), 1, "{ratio}");
    }
    let sampler = |name: &str| -> Config { toml::from_str(&format!("sampler = \"{name}\"\nratio = 0.5")).unwrap() };
    for (name, ratio, parent_based) in [
        ("always_on", 1.0, false),
        ("always_off", 0.0, false),
        ("traceidratio", 0.5, false),
        ("parentbased_always_on", 1.0, true),
        ("parentbased_always_off", 0.0, true),
        ("parentbased_traceidratio", 0.5, true),
    ] {
        assert_eq!(sampler(name).sampling(), Sampling { ratio, parent_based }, "{name}");
    }
}
