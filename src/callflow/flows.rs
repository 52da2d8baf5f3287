//! Owns the set of flows that a gateway can play: those built in, those that replace or join them, and customers' own
//! wording laid over them. Reading files is done elsewhere; here they are texts with names.

use std::{collections::BTreeMap, path::Path, sync::Arc};

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

/// The folder beside call flows whose files lay wording over them.
pub const OVERRIDES: &str = "overrides";

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
    /// lays its texts over that flow, later files over earlier ones. A folder named `overrides` holds files of the second
    /// kind only.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn from_sources(sources: &[(String, String)]) -> Result<Self, Vec<Diagnostic>> {
        let mut faults = Vec::new();
        let mut layers: BTreeMap<String, Vec<Overrides>> = BTreeMap::new();
        let mut flow_files: Vec<(&str, &str)> = Vec::new();
        for (name, text) in sources {
            if !Overrides::is_one(text) {
                if is_in_overrides(name) {
                    faults.push(Overrides::not_one(name, text));
                    continue;
                }
                flow_files.push((name, text));
                continue;
            }
            match Overrides::parse(name, text) {
                Ok(layer) => layers.entry(layer.flow.clone()).or_default().push(layer),
                Err(more) => faults.extend(more),
            }
        }
        let mut flows = Self::default();
        // The id of every flow that can be read by itself, with its file.
        let mut known: BTreeMap<String, &str> = BTreeMap::new();
        let given = flow_files.into_iter().map(|(name, text)| (name, text, false));
        let built_in = BUILT_IN.iter().map(|(name, text)| (*name, *text, true));
        for (name, text, is_built_in) in given.chain(built_in) {
            let flow = match CallFlow::parse(name, text) {
                Ok(flow) => flow,
                Err(more) => {
                    faults.extend(more);
                    continue;
                }
            };
            let id = flow.id().to_owned();
            match known.get(&id) {
                Some(_) if is_built_in => continue,
                Some(first) => faults.push(twice(name, &id, first)),
                None => {}
            }
            flows.add(flow, name, text, layers.get(&id).map_or(&[], Vec::as_slice), &mut faults);
            known.entry(id).or_insert(name);
        }
        for layer in layers.values().flatten().filter(|layer| !known.contains_key(&layer.flow)) {
            faults.push(of_no_flow(layer, known.keys().map(String::as_str)));
        }
        if faults.is_empty() {
            return Ok(flows);
        }
        faults.sort_by(|a, b| (&a.file, a.line, a.column, a.rule).cmp(&(&b.file, b.line, b.column, b.rule)));
        faults.dedup();
        Err(faults)
    }

    /// Adds a flow with what is laid over it.
    fn add(&mut self, bare: CallFlow, name: &str, text: &str, layers: &[Overrides], faults: &mut Vec<Diagnostic>) {
        let flow = if layers.is_empty() { Ok(bare) } else { CallFlow::parse_with(name, text, layers) };
        match flow {
            Ok(flow) => {
                self.0.insert(flow.id().to_owned(), Arc::new(flow));
            }
            Err(more) => faults.extend(more),
        }
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

/// Whether a file is in a folder that is for wording alone.
fn is_in_overrides(name: &str) -> bool {
    let folder = Path::new(name).parent().and_then(Path::file_name);
    folder.is_some_and(|folder| folder == OVERRIDES)
}

fn twice(file: &str, id: &str, first: &str) -> Diagnostic {
    Diagnostic {
        file: file.to_owned(),
        line: 1,
        column: 1,
        rule: Rule::Duplicate,
        message: format!("flow `{id}` is in {first} already"),
        suggestion: "give each flow its own id".to_owned(),
    }
}

fn of_no_flow<'a>(layer: &Overrides, known: impl Iterator<Item = &'a str> + Clone) -> Diagnostic {
    Diagnostic {
        file: layer.at.file.to_string(),
        line: layer.at.line,
        column: layer.at.column,
        rule: Rule::UnknownName,
        message: format!("there is no flow `{}`", layer.flow),
        suggestion: nearest(&layer.flow, known),
    }
}
