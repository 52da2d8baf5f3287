//! Owns `key new`: a key, shown once, and the lines of configuration that know its hash.

use clap::Subcommand;

use super::{Exit, Outcome, output::Output};
use crate::{
    gateway::SystemEntropy,
    http::{ApiKey, ApiKeyConfig, Keys, Scope, TenantLimits},
};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Print a new API key once, and the configuration lines with its hash
    New(New),
}

#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The client (tenant) that owns what is made with the key
    #[arg(long)]
    name: String,
    /// What the key may do: verify, calls, admin
    #[arg(long, value_delimiter = ',', default_value = "verify", value_parser = scope)]
    scope: Vec<Scope>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let known = || Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    Scope::ALL.iter().copied().find(|scope| scope.as_str() == text).ok_or_else(|| format!("there are {}", known()))
}

pub(super) fn run(Key::New(new): &Key, out: &mut Output) -> Outcome {
    let mut scopes = new.scope.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let key = ApiKey::generate(&SystemEntropy);
    let entry = key.config(&new.name, &scopes);
    if let Err(faults) = Keys::new(std::slice::from_ref(&entry), TenantLimits { waiting: 1, reads_per_minute: None }) {
        for fault in faults {
            let text = fault.to_string();
            out.fault(text.split_once("].").map_or(text.as_str(), |(_, member)| member))?;
        }
        return Ok(Exit::Usage);
    }
    if new.json {
        out.line(&serde_json::json!({ "key": key.expose(), "config": entry }).to_string())?;
        return Ok(Exit::Done);
    }
    out.note("The key, shown this once; give it to the client and to nobody else:")?;
    out.line(key.expose())?;
    out.note("\nThe lines for ringproof.toml; only the hash of the key stands there:\n")?;
    out.line(&lines(&entry))?;
    Ok(Exit::Done)
}

/// The entry as it stands in a file of settings.
pub(super) fn lines(entry: &ApiKeyConfig) -> String {
    let scopes: Vec<_> = entry.scopes.iter().map(|scope| format!("\"{}\"", scope.as_str())).collect();
    let prefix = entry.prefix.as_deref().map(|prefix| format!("prefix = \"{prefix}\"\n")).unwrap_or_default();
    let ApiKeyConfig { name, sha256, .. } = entry;
    format!("[[api_keys]]\nname = \"{name}\"\n{prefix}sha256 = \"{sha256}\"\nscopes = [{}]", scopes.join(", "))
}
