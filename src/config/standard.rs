//! Owns what OpenTelemetry's own names in the environment stand for here. They fill in what neither the file nor a name of
//! ours says, because whoever runs many programs sets them for all at once.

use super::{
    Fault,
    tree::{Path, Place, Tree},
};

/// Names that say the same as a setting of `[traces]`; the first that is there counts.
const SAME: [(&str, &str); 8] = [
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "endpoint"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "headers"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "headers"),
    ("OTEL_SERVICE_NAME", "service_name"),
    ("OTEL_RESOURCE_ATTRIBUTES", "resource"),
    ("OTEL_TRACES_SAMPLER", "sampler"),
    ("OTEL_TRACES_SAMPLER_ARG", "ratio"),
];
/// The name whose value is the beginning of an address only: what is asked for stands behind it.
const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_PATH: &str = "/v1/traces";
/// Names that choose how spans are sent. We speak one of these ways.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const SPOKEN: &str = "http/protobuf";

/// Fills in what the environment says in OpenTelemetry's words. What comes back is worth a warning.
pub(super) fn fill_in(tree: &mut Tree, environment: &[(String, String)]) -> Vec<Fault> {
    let said = |name: &str| {
        environment.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    };
    if said("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || said("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none")
    {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    let other = PROTOCOLS.into_iter().find_map(|name| Some((name, said(name)?))).filter(|(_, value)| *value != SPOKEN);
    for (name, setting) in SAME {
        let path = Path::of(&["traces", setting]);
        let file = Path::of(&["traces", &format!("{setting}_file")]);
        let Some(value) = said(name).filter(|_| tree.get(&path).is_none() && tree.get(&file).is_none()) else {
            continue;
        };
        let place = Place::Environment(name.to_owned());
        if let (Some((protocol, _)), "endpoint") = (other, setting) {
            let why = format!(
                "{protocol} asks for another way than {SPOKEN}: no spans are sent; name the collector in traces.endpoint"
            );
            warnings.push(Fault { place, key: Some(path.to_string()), why });
            continue;
        }
        let value =
            if name == BASE { format!("{}{TRACES_PATH}", value.trim_end_matches('/')) } else { value.to_owned() };
        tree.text(path.segments(), &value, place);
    }
    warnings
}
