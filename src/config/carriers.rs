//! Owns `[[carriers]]`: what all carriers have in common, and which settings belong to which kind.

use serde::Deserialize;
use toml::Value;

use super::{
    read::{self, unknown_name},
    tree::{Path, Tree},
};
use crate::{
    gateway::{CARRIER_NAME, Countries, is_carrier_name},
    phone::E164,
    provider::{simulator, sip, twilio},
};

/// The kinds of carriers there are.
pub const KINDS: [&str; 3] = ["twilio", "sip", "simulator"];

/// Most carriers.
const MAX_CARRIERS: usize = 64;

/// A carrier as it is configured.
#[derive(Debug, Clone)]
pub struct CarrierConfig {
    /// Its name, part of the URLs that it calls.
    pub name: String,
    /// Our numbers there: what may be shown to the callee.
    pub from: Vec<E164>,
    /// The countries called through it.
    pub countries: Countries,
    /// Most requests to place a call at the same time.
    pub placing_at_once: usize,
    /// Most calls placed in a second; `None` for no limit of ours.
    pub calls_per_second: Option<f64>,
    /// What kind it is, with the settings of the kind.
    pub kind: CarrierKind,
}

/// The settings of a kind of carrier.
#[derive(Debug, Clone)]
pub enum CarrierKind {
    /// Twilio, and servers that speak its API.
    Twilio(Box<twilio::Config>),
    /// A SIP trunk.
    Sip(Box<sip::Config>),
    /// Telephones in this process.
    Simulator(simulator::Config),
}

impl CarrierKind {
    /// The word in the settings.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Twilio(_) => "twilio",
            Self::Sip(_) => "sip",
            Self::Simulator(_) => "simulator",
        }
    }

    /// Whether it calls us over HTTP, and so needs a public address.
    #[must_use]
    pub const fn calls_back(&self) -> bool {
        match self {
            Self::Twilio(_) => true,
            Self::Sip(_) | Self::Simulator(_) => false,
        }
    }
}

/// What all carriers have in common.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    name: String,
    from: Vec<E164>,
    #[serde(default = "everywhere")]
    countries: Countries,
    #[serde(default)]
    placing_at_once: Option<usize>,
    #[serde(default)]
    calls_per_second: Option<f64>,
}

/// Names of the members of [`Shared`].
const COMMON: [&str; 5] = ["name", "from", "countries", "placing_at_once", "calls_per_second"];

const fn everywhere() -> Countries {
    Countries::All
}

/// What is placed at the same time where nothing is said. A trunk keeps a placement open until it rings, which takes
/// seconds; the others answer a request at once.
const fn placing_at_once(kind: &CarrierKind) -> usize {
    match kind {
        CarrierKind::Sip(_) => 256,
        CarrierKind::Twilio(_) | CarrierKind::Simulator(_) => 16,
    }
}

/// Reads all carriers, noting every fault.
pub(super) fn read(tree: &mut Tree) -> Vec<CarrierConfig> {
    let path = Path::of(&["carriers"]);
    let entries = match tree.get(&path) {
        None => return Vec::new(),
        Some(Value::Array(entries)) => entries.clone(),
        Some(_) => {
            tree.fault(&path, "expected a list: begin each entry with [[carriers]]");
            return Vec::new();
        }
    };
    if entries.len() > MAX_CARRIERS {
        tree.fault(&path, format!("at most {MAX_CARRIERS} carriers"));
    }
    let carriers: Vec<_> = (0..).zip(entries).filter_map(|(index, entry)| one(tree, &path, index, entry)).collect();
    names(tree, &path, &carriers);
    carriers.into_iter().map(|(_, carrier)| carrier).collect()
}

/// A carrier with its index in the settings.
fn one(tree: &mut Tree, path: &Path, index: usize, mut entry: Value) -> Option<(usize, CarrierConfig)> {
    let path = path.child(index.to_string());
    let Value::Table(table) = &mut entry else {
        tree.fault(&path, "expected a table: begin each entry with [[carriers]]");
        return None;
    };
    let kind = match table.remove("kind") {
        Some(Value::String(kind)) => kind,
        Some(_) => {
            tree.fault(&path.child("kind"), format!("expected one of {}", KINDS.join(", ")));
            return None;
        }
        None => {
            tree.fault(&path.child("kind"), format!("is missing; there are {}", KINDS.join(", ")));
            return None;
        }
    };
    let mut common = toml::Table::new();
    for member in COMMON {
        if let Some(value) = table.remove(member) {
            common.insert(member.to_owned(), value);
        }
    }
    let own = std::mem::take(table);
    let shared: Option<Shared> = read::read_value(tree, &path, Value::Table(common.clone()));
    let kind = match kind.as_str() {
        "twilio" => {
            // Its settings are complete in themselves: they hold what is common too.
            let mut whole = own;
            for member in ["name", "from", "countries"] {
                if let Some(value) = common.remove(member) {
                    whole.insert(member.to_owned(), value);
                }
            }
            let config: twilio::Config = read::read_value(tree, &path, Value::Table(whole))?;
            for fault in config.faults() {
                tree.fault(&path.child(fault.member), fault.why);
            }
            CarrierKind::Twilio(Box::new(config))
        }
        "sip" => {
            let config: sip::Config = read::read_value(tree, &path, Value::Table(own))?;
            for fault in config.faults() {
                tree.fault(&path.child(fault.member), fault.why);
            }
            CarrierKind::Sip(Box::new(config))
        }
        "simulator" => {
            let config: simulator::Config = read::read_value(tree, &path, Value::Table(own))?;
            for fault in config.faults() {
                tree.told(&format!("{path}.{fault}"));
            }
            CarrierKind::Simulator(config)
        }
        other => {
            tree.fault(&path.child("kind"), unknown_name(other, &KINDS, "is no kind of carrier"));
            return None;
        }
    };
    let Shared { name, from, countries, placing_at_once: asked, calls_per_second } = shared?;
    let placing_at_once = asked.unwrap_or_else(|| placing_at_once(&kind));
    limits(tree, &path, placing_at_once, calls_per_second);
    if from.is_empty() {
        tree.fault(&path.child("from"), "is empty; name at least one number that may be shown to the callee");
    }
    Some((index, CarrierConfig { name, from, countries, placing_at_once, calls_per_second, kind }))
}

fn limits(tree: &mut Tree, path: &Path, placing_at_once: usize, calls_per_second: Option<f64>) {
    if !(1..=1024).contains(&placing_at_once) {
        tree.fault(&path.child("placing_at_once"), "expected a number from 1 to 1024");
    }
    if calls_per_second.is_some_and(|rate| !(0.01..=10_000.0).contains(&rate)) {
        tree.fault(&path.child("calls_per_second"), "expected a number from 0.01 to 10000");
    }
}

fn names(tree: &mut Tree, path: &Path, carriers: &[(usize, CarrierConfig)]) {
    for (at, (index, carrier)) in carriers.iter().enumerate() {
        let path = path.child(index.to_string()).child("name");
        if !is_carrier_name(&carrier.name) {
            tree.fault(&path, format!("expected {CARRIER_NAME}; it is part of URLs"));
        }
        if carriers.iter().take(at).any(|(_, other)| other.name == carrier.name) {
            tree.fault(&path, "another carrier has this name already");
        }
    }
}
