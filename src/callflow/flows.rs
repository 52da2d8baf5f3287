//! Owns the set of flows that a gateway can play: those built in, those that replace or join them, and customers' own
//! wording laid over them. Reading files is done elsewhere; here they are texts with names.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    diagnostic::{Diagnostic, Rule, nearest},
    model::CallFlow,
    wording::Overrides,
};

/// The flows that are part of the program: file name and text.
const BUILT_IN: &[(&str, &str)] = &[
    ("press-pound.xml", include_str!("../../callflows/press-pound.xml")),
    ("match-code.xml", include_str!("../../callflows/match-code.xml")),
    ("speak-code.xml", include_str!("../../callflows/speak-code.xml")),
];

/// Call flows by their id.
#[derive(Debug, Clone, Default)]
pub struct Flows(BTreeMap<String, Arc<CallFlow>>);

impl Flows {
    /// The flows that are part of the program, as file name and text.
    pub fn built_in_sources() -> impl Iterator<Item = (&'static str, &'static str)> {
        BUILT_IN.iter().copied()
    }

    /// The flows that are part of the program, with those of `sources` (file name, text) added. A file whose root is
    /// `<callflow>` joins them, or replaces the built-in one of the same id; a file whose root is `<prompts for="…">`
    /// lays its texts over that flow, later files over earlier ones.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn from_sources(sources: &[(String, String)]) -> Result<Self, Vec<Diagnostic>> {
        let mut faults = Vec::new();
        let mut layers: BTreeMap<String, Vec<Overrides>> = BTreeMap::new();
        let mut flow_files: Vec<(&str, &str)> = Vec::new();
        for (name, text) in sources {
            if !Overrides::is_one(text) {
                flow_files.push((name, text));
                continue;
            }
            match Overrides::parse(name, text) {
                Ok(layer) => layers.entry(layer.flow.clone()).or_default().push(layer),
                Err(more) => faults.extend(more),
            }
        }
        let mut flows = Self::default();
        let mut given: BTreeMap<String, &str> = BTreeMap::new();
        for (name, text) in BUILT_IN.iter().copied() {
            flows.add(name, text, &layers, &mut faults);
        }
        for (name, text) in flow_files {
            let Some(id) = flows.add(name, text, &layers, &mut faults) else { continue };
            if let Some(first) = given.insert(id.clone(), name) {
                faults.push(Diagnostic {
                    file: name.to_owned(),
                    line: 1,
                    column: 1,
                    rule: Rule::Duplicate,
                    message: format!("flow `{id}` is in {first} already"),
                    suggestion: "give each flow its own id".to_owned(),
                });
            }
        }
        for layer in layers.values().flatten().filter(|layer| flows.get(&layer.flow).is_none()) {
            faults.push(Diagnostic {
                file: layer.at.file.to_string(),
                line: layer.at.line,
                column: layer.at.column,
                rule: Rule::UnknownName,
                message: format!("there is no flow `{}`", layer.flow),
                suggestion: nearest(&layer.flow, flows.0.keys().map(String::as_str)),
            });
        }
        if faults.is_empty() { Ok(flows) } else { Err(faults) }
    }

    /// Reads a flow and adds it under its id, with what is laid over it.
    fn add(
        &mut self,
        name: &str,
        text: &str,
        layers: &BTreeMap<String, Vec<Overrides>>,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<String> {
        let bare = match CallFlow::parse(name, text) {
            Ok(flow) => flow,
            Err(more) => {
                faults.extend(more);
                return None;
            }
        };
        let id = bare.id().to_owned();
        let flow = match layers.get(&id) {
            None => bare,
            Some(layers) => match CallFlow::parse_with(name, text, layers) {
                Ok(flow) => flow,
                Err(more) => {
                    faults.extend(more);
                    return None;
                }
            },
        };
        self.0.insert(id.clone(), Arc::new(flow));
        Some(id)
    }

    /// The flow of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<CallFlow>> {
        self.0.get(id)
    }

    /// All flows, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<CallFlow>> {
        self.0.values()
    }
}
