//! Owns the choice of the way to a number: which carriers may call it, in which order, and which of our numbers each
//! of them shows.

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    phone::{CountryCode, E164, Extension},
    provider::Provider,
    verification::Route,
};

/// Most ways to one number that are kept with a verification.
const MOST_ROUTES: usize = 4;

/// Longest name of a carrier, in bytes: it is part of URLs.
const MAX_NAME_BYTES: usize = 32;
/// What the name of a carrier is, in words.
pub const CARRIER_NAME: &str = "1 to 32 of the characters a-z, A-Z, 0-9, - and _";

/// Whether a carrier may have this name: it is a segment of the URLs that the carrier calls.
#[must_use]
pub fn is_carrier_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// A carrier of the configuration: how to reach it, and what it may be used for.
#[derive(Clone)]
pub struct Carrier {
    /// Its name in the configuration.
    pub name: String,
    /// The carrier itself.
    pub provider: Arc<dyn Provider>,
    /// Our numbers there: what may be shown to the callee. Never empty.
    pub from: Vec<E164>,
    /// The countries called through it.
    pub countries: Countries,
    /// Nobody is paid for its calls: they are simulated.
    pub free: bool,
    /// Most requests to place a call at the same time.
    pub placing_at_once: usize,
    /// Most calls placed in a second; `None` for no limit of ours.
    pub calls_per_second: Option<f64>,
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier")
            .field("name", &self.name)
            .field("from", &self.from.len())
            .field("countries", &self.countries)
            .finish_non_exhaustive()
    }
}

/// Which countries a carrier is used for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub enum Countries {
    /// All that may be called at all.
    All,
    /// These.
    Only(Vec<CountryCode>),
}

impl TryFrom<Vec<String>> for Countries {
    type Error = String;

    /// Reads the list of the configuration: `["*"]`, or codes as in `["JP", "US"]`.
    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        match texts.as_slice() {
            [] => Err(String::from("name at least one country, or \"*\" for all")),
            [all] if all == "*" => Ok(Self::All),
            _ => texts
                .iter()
                .map(|text| {
                    text.parse().map_err(|_| {
                        format!("`{text}` is no country; write two letters, as in JP, or \"*\" alone for all")
                    })
                })
                .collect::<Result<_, _>>()
                .map(Self::Only),
        }
    }
}

impl Countries {
    fn contains(&self, country: CountryCode) -> bool {
        match self {
            Self::All => true,
            Self::Only(listed) => listed.contains(&country),
        }
    }

    /// The words of the configuration.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::All => vec![String::from("*")],
            Self::Only(listed) => listed.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What a call needs from its carrier.
pub(super) struct Needs<'a> {
    pub(super) country: CountryCode,
    pub(super) extension: Option<&'a Extension>,
    /// Several keys have to be gathered at once.
    pub(super) entries: bool,
}

/// Why there is no way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NoRoute {
    /// No carrier is configured for the country.
    Country,
    /// None of those that are can dial that extension.
    Extension,
    /// None of those that are can gather a code.
    Entries,
    /// None of those that could works at the moment.
    Resting,
}

/// The ways to call a number, best first: in the order of the configuration.
pub(super) fn routes<'a>(
    carriers: impl Iterator<Item = (&'a Carrier, bool)>,
    needs: &Needs<'_>,
) -> Result<Vec<Route>, NoRoute> {
    let mut found = Vec::new();
    let mut obstacle = NoRoute::Country;
    for (carrier, rests) in carriers.filter(|(carrier, _)| carrier.countries.contains(needs.country)) {
        let can = carrier.provider.capabilities();
        let dials = needs.extension.is_none_or(|keys| can.extensions && keys.expose().len() <= can.max_extension);
        let gathers = !needs.entries || can.entries;
        match (dials, gathers, rests, caller_id(&carrier.from, needs.country)) {
            (false, _, _, _) => obstacle = obstacle.max(NoRoute::Extension),
            (true, false, _, _) => obstacle = obstacle.max(NoRoute::Entries),
            (true, true, true, _) => obstacle = NoRoute::Resting,
            (true, true, false, Some(caller_id)) => {
                found.push(Route { carrier: carrier.name.clone(), caller_id: caller_id.clone() });
            }
            (true, true, false, None) => {}
        }
    }
    found.truncate(MOST_ROUTES);
    if found.is_empty() { Err(obstacle) } else { Ok(found) }
}

/// Our number that is shown in a country: a domestic one, which people trust and networks let through, else the first.
fn caller_id(from: &[E164], country: CountryCode) -> Option<&E164> {
    from.iter().find(|number| number.country() == Some(country)).or_else(|| from.first())
}
