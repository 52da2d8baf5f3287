//! Our requests against the carrier's published API description.

use std::collections::BTreeMap;

use ringproof::provider::http::{Dialect, Ending};
use serde_json::Value;

use super::{ACCOUNT, dialect, order, token};

fn description() -> Value {
    serde_json::from_str(include_str!("../../providers/twilio/calls-openapi.json")).unwrap()
}

/// Whether a form holds what an operation of the description wants: all that is required, nothing unknown, right types.
fn conforms(description: &Value, operation: &str, path: &str, form: &[u8]) -> Result<(), String> {
    let wanted = &description[operation];
    let path_wanted = wanted["path"].as_str().unwrap().replace("{AccountSid}", ACCOUNT).replace("{Sid}", "CA1");
    if path != path_wanted {
        return Err(format!("path {path}"));
    }
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(form).into_owned() {
        values.entry(name).or_default().push(value);
    }
    for name in wanted["required"].as_array().unwrap() {
        if !values.contains_key(name.as_str().unwrap()) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, values) in &values {
        let mut property = wanted["properties"].get(name).ok_or_else(|| format!("{name} is unknown"))?;
        if let Some(reference) = property.get("$ref") {
            property = &description["schemas"][reference.as_str().unwrap().rsplit('/').next().unwrap()];
        }
        let is_list = property["type"] == "array";
        if !is_list && values.len() > 1 {
            return Err(format!("{name} is repeated"));
        }
        for value in values {
            let fits = match property["type"].as_str().unwrap() {
                "integer" => value.parse::<i64>().is_ok(),
                "boolean" => value == "true" || value == "false",
                _ => true,
            };
            let uri = property["format"] != "uri" || url::Url::parse(value).is_ok();
            let one_of = property["enum"].as_array().is_none_or(|words| words.iter().any(|word| word == value));
            if !(fits && uri && one_of) {
                return Err(format!("{name}={value}"));
            }
        }
    }
    Ok(())
}

#[test]
fn requests_are_as_described() {
    let described = description();
    for more in ["", "detect_machines = true", "connection_overrides = \"\""] {
        for extension in [None, Some(",,101#")] {
            let mut order = order("+819012345678", "https://verify.example.com", token(1));
            order.extension = extension.map(str::to_owned);
            let request = dialect(more).create(&order).unwrap();
            assert_eq!(request.uri().host(), Some("api.twilio.com"));
            assert_eq!(described["server"], "https://api.twilio.com");
            assert_eq!(conforms(&described, "create", request.uri().path(), request.body()), Ok(()));
        }
    }
    for how in [Ending::Cancel, Ending::Complete] {
        let request = dialect("").end("CA1", how).unwrap();
        assert_eq!(conforms(&described, "update", request.uri().path(), request.body()), Ok(()));
    }
}

#[test]
fn the_check_itself_finds_faults() {
    let described = description();
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Calls.json");
    for bad in [
        "To=1",
        "To=1&From=2&Surprise=3",
        "To=1&From=2&Timeout=soon",
        "To=1&From=2&Method=PATCH",
        "To=1&From=2&Url=nowhere",
        "To=1&To=2&From=2",
    ] {
        assert!(conforms(&described, "create", &path, bad.as_bytes()).is_err(), "{bad}");
    }
    assert_eq!(
        conforms(&described, "create", &path, b"To=1&From=2&StatusCallbackEvent=a&StatusCallbackEvent=b"),
        Ok(())
    );
    let update = path.replace(".json", "/CA1.json");
    assert!(conforms(&described, "update", &update, b"Status=busy").is_err());
}

#[test]
fn a_plus_sign_is_escaped() {
    let request = dialect("").create(&order("+819012345678", "https://verify.example.com", token(1))).unwrap();
    let body = std::str::from_utf8(request.body()).unwrap();
    assert!(body.starts_with("To=%2B819012345678&From=%2B815012345678&"), "{body}");
}
