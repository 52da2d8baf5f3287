//! Owns the configuration: it composes the settings that modules declare for themselves and loads them, defaults below
//! a file below the environment below flags. All faults are found at once, each with its place. It reads files and
//! the environment, and opens nothing else.

mod carriers;
mod check;
mod read;
mod secrets;
mod standard;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    fmt, io,
    path::{Path as FilePath, PathBuf},
};

use serde::Deserialize;
use toml::Value;
use url::Url;

use crate::{
    callflow::{Diagnostic, Flows, OVERRIDES},
    console,
    gateway::{CallbacksConfig, NumbersConfig, VerificationConfig},
    guard,
    http::{self, ApiKeyConfig},
    secret::Secret,
    store, telemetry,
};

pub use carriers::{CarrierConfig, CarrierKind, KINDS};
pub use tree::Place;

use tree::{LISTS, Path, Tree};

/// All settings with their defaults and what each is for: the reference, kept true by a test.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// What the names of settings in the environment begin with.
pub const ENVIRONMENT_PREFIX: &str = "RINGPROOF_";

/// The environment variable that names the file of settings.
pub const FILE_VARIABLE: &str = "RINGPROOF_CONFIG";

/// Where the file of settings is looked for when nobody names one.
pub const USUAL_FILES: [&str; 2] = ["ringproof.toml", "/etc/ringproof/ringproof.toml"];

/// Largest file of settings, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Most files of call flows in a folder.
const MAX_FLOW_FILES: usize = 256;
/// Sections with one table each.
const SECTIONS: [&str; 13] = [
    "server",
    "console",
    "store",
    "numbers",
    "verification",
    "limits",
    "guard",
    "spend",
    "callflows",
    "callbacks",
    "logs",
    "traces",
    "client",
];

/// The configuration of a ringproof.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: http::Config,
    /// `[console]`
    pub console: console::Config,
    /// `[store]`
    pub store: store::Config,
    /// `[numbers]`
    pub numbers: NumbersConfig,
    /// `[verification]`
    pub verification: VerificationConfig,
    /// `[limits]`, `[guard]`, `[spend]`
    pub guard: guard::Settings,
    /// `[callflows]`
    pub callflows: CallFlowsConfig,
    /// `[[carriers]]`
    pub carriers: Vec<CarrierConfig>,
    /// `[[api_keys]]`
    pub api_keys: Vec<ApiKeyConfig>,
    /// `[callbacks]`
    pub callbacks: CallbacksConfig,
    /// `[logs]`
    pub logs: telemetry::Config,
    /// `[traces]`
    pub traces: telemetry::TracesConfig,
    /// `[client]`
    pub client: ClientConfig,
    /// What is allowed, but better not so; each with what to do.
    pub warnings: Vec<Fault>,
}

/// `[callflows]`: where call flows come from beside those in the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallFlowsConfig {
    /// A folder whose `*.xml` files join the built-in call flows, or replace those of the same id. A relative path
    /// begins at the folder of the settings.
    pub dir: Option<PathBuf>,
}

/// `[client]`: how `ringproof call` and `ringproof calls` on this machine reach a running service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// Where the service is, as in `https://verify.example.com`; `server.listen` where nothing is said.
    pub url: Option<String>,
    /// The API key to use. Better `api_key_file`.
    #[serde(deserialize_with = "secret")]
    pub api_key: Option<Secret<String>>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Some(Secret::new(String::deserialize(deserializer)?)))
}

impl Config {
    /// What carriers and backends call us. Without a setting it is the address we listen on, which is enough where
    /// nothing outside this process calls.
    #[must_use]
    pub fn public_url(&self) -> String {
        self.server.public_url.clone().unwrap_or_else(|| format!("http://{}", self.server.listen))
    }

    /// What operators call the console: its own setting, else the address it listens on where that is one of its own, else
    /// what everybody calls us.
    ///
    /// # Errors
    /// It is no URL.
    pub fn console_url(
        &self,
        listens_on: Option<std::net::SocketAddr>,
        public_url: &str,
    ) -> Result<Url, url::ParseError> {
        match (&self.console.public_url, listens_on) {
            (Some(url), _) => url.parse(),
            (None, Some(address)) => format!("http://{address}").parse(),
            (None, None) => public_url.parse(),
        }
    }

    /// The same as a URL. Loading has shown that it is one.
    ///
    /// # Errors
    /// It is none.
    pub fn public_url_parsed(&self) -> Result<Url, url::ParseError> {
        self.public_url().parse()
    }
}

/// Something wrong in the settings, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// Which setting.
    pub key: Option<String>,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.why)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no file of settings where it was named, or anywhere it is looked for, and nothing in the environment.
    #[error("there is no configuration: {}", .looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    Nothing {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// The file cannot be read.
    #[error("{}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everything that is wrong, in the order of the places.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file that somebody named.
    pub file: Option<PathBuf>,
    /// The environment: names and values.
    pub environment: Vec<(String, String)>,
    /// Flags: what the flag is called, the setting, the value.
    pub flags: Vec<(String, String, String)>,
    /// Do not look for a file that nobody named.
    pub alone: bool,
}

impl Sources {
    /// The environment of this process, and a file if one is named.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self { file, environment, ..Self::default() }
    }

    /// Puts a setting on top, as a flag does.
    #[must_use]
    pub fn with(mut self, flag: &str, setting: &str, value: impl Into<String>) -> Self {
        self.flags.push((flag.to_owned(), setting.to_owned(), value.into()));
        self
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| &**value)
    }

    /// The file to read. `None` where there is none and none was named.
    fn find_file(&self) -> Result<Option<PathBuf>, LoadError> {
        let named = self.file.clone().or_else(|| self.variable(FILE_VARIABLE).map(PathBuf::from));
        if let Some(path) = named {
            return if path.exists() { Ok(Some(path)) } else { Err(LoadError::Nothing { looked: vec![path] }) };
        }
        if self.alone {
            return Ok(None);
        }
        Ok(USUAL_FILES.iter().map(PathBuf::from).find(|path| path.exists()))
    }
}

/// A configuration and where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file, if there was one.
    pub file: Option<PathBuf>,
}

/// Loads the configuration of a service.
///
/// # Errors
/// There is none, or everything that is wrong with it.
pub fn load(sources: &Sources) -> Result<Loaded, LoadError> {
    let (mut tree, file) = gather(sources)?;
    let warnings = standard::fill_in(&mut tree, &sources.environment);
    let config = typed(&mut tree, file.as_deref());
    let mut faults = tree.faults;
    match config {
        Some(mut config) if faults.is_empty() => {
            config.warnings.extend(warnings);
            Ok(Loaded { config, file })
        }
        Some(_) | None => {
            faults.sort();
            Err(LoadError::Faults(faults))
        }
    }
}

/// Loads what `call` and `calls` need: `[client]` and `[server]`. Faults elsewhere are none of theirs; having no
/// configuration at all is no fault.
///
/// # Errors
/// The file cannot be read, or what is wrong in these sections.
pub fn load_client(sources: &Sources) -> Result<(ClientConfig, http::Config), LoadError> {
    let (mut tree, _) = match gather(sources) {
        Ok(gathered) => gathered,
        Err(LoadError::Nothing { .. }) if sources.file.is_none() => (Tree::default(), None),
        Err(error) => return Err(error),
    };
    tree.faults.retain(|fault| fault.key.is_none());
    secrets::resolve_client(&mut tree);
    let client = read::read(&mut tree, &Path::of(&["client"]));
    let server = read::read(&mut tree, &Path::of(&["server"]));
    match (client, server) {
        (Some(client), Some(server)) if tree.faults.is_empty() => Ok((client, server)),
        _ => Err(LoadError::Faults(tree.faults)),
    }
}

/// Puts the layers together.
fn gather(sources: &Sources) -> Result<(Tree, Option<PathBuf>), LoadError> {
    let mut tree = Tree::default();
    let file = sources.find_file()?;
    if let Some(path) = &file {
        let text = read_file(path).map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
        tree.file(&path.display().to_string(), &text);
        if !tree.faults.is_empty() {
            return Err(LoadError::Faults(tree.faults));
        }
    }
    for (name, value) in &sources.environment {
        environment(&mut tree, name, value);
    }
    for (flag, setting, value) in &sources.flags {
        let segments: Vec<String> = setting.split('.').map(str::to_owned).collect();
        tree.text(&segments, value, Place::Flag(flag.clone()));
    }
    if file.is_none() && tree.is_empty() && tree.faults.is_empty() {
        return Err(LoadError::Nothing { looked: USUAL_FILES.iter().map(PathBuf::from).collect() });
    }
    Ok((tree, file))
}

/// Takes a variable of the environment, if it is a setting: `RINGPROOF_`, then names with `__` between the levels.
/// Variables without `__` are none of ours (container platforms make such), unless they look like a slip.
fn environment(tree: &mut Tree, name: &str, value: &str) {
    let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) else { return };
    let path = path.to_ascii_lowercase();
    let place = Place::Environment(name.to_owned());
    if path.contains("__") {
        let segments: Vec<String> = path.split("__").map(str::to_owned).collect();
        return tree.text(&segments, value, place);
    }
    // What container platforms set for a service called, say, ringproof-server.
    let is_platform =
        |rest: &str| ["_service_host", "_service_port", "_port"].iter().any(|start| rest.starts_with(start));
    let slip = SECTIONS
        .iter()
        .chain(&LISTS)
        .find(|section| path.strip_prefix(**section).is_some_and(|rest| rest.starts_with('_') && !is_platform(rest)));
    if let Some(section) = slip {
        let why =
            format!("write two underscores between levels, as in {ENVIRONMENT_PREFIX}{}__…", section.to_uppercase());
        tree.faults.push(Fault { place, key: None, why });
    }
}

fn read_file(path: &FilePath) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}

/// Gives types to everything and looks for faults. Never stops at the first one.
fn typed(tree: &mut Tree, file: Option<&FilePath>) -> Option<Config> {
    let known: Vec<&str> = SECTIONS.iter().chain(&LISTS).copied().collect();
    for section in tree.sections() {
        if !known.contains(&&*section) {
            tree.fault(&Path::of(&[&section]), read::unknown_name(&section, &known, "is no section here"));
        }
    }
    secrets::resolve(tree);
    let section = |name: &str| Path::of(&[name]);
    let server = read::read(tree, &section("server"));
    let console = read::read(tree, &section("console"));
    let store = read::read(tree, &section("store"));
    let numbers = read::read(tree, &section("numbers"));
    let verification = read::read(tree, &section("verification"));
    let limits = read::read(tree, &section("limits"));
    let signs = read::read(tree, &section("guard"));
    let spend = read::read(tree, &section("spend"));
    let callflows: Option<CallFlowsConfig> = read::read(tree, &section("callflows"));
    let callbacks = read::read(tree, &section("callbacks"));
    let logs = read::read(tree, &section("logs"));
    let traces = read::read(tree, &section("traces"));
    let client = read::read(tree, &section("client"));
    let carriers = carriers::read(tree);
    let api_keys = list(tree, "api_keys");
    let mut config = Config {
        server: server?,
        console: console?,
        store: store?,
        numbers: numbers?,
        verification: verification?,
        guard: guard::Settings { limits: limits?, guard: signs?, spend: spend? },
        callflows: callflows?,
        carriers,
        api_keys,
        callbacks: callbacks?,
        logs: logs?,
        traces: traces?,
        client: client?,
        warnings: Vec::new(),
    };
    if let (Some(dir), Some(folder)) = (&mut config.callflows.dir, file.and_then(FilePath::parent)) {
        *dir = folder.join(&*dir);
    }
    if let Some(path) = config.guard.spend.prices_file.clone() {
        let path = file.and_then(FilePath::parent).map_or_else(|| path.clone(), |folder| folder.join(&path));
        match read_file(&path).map_err(|error| error.to_string()).and_then(|text| guard::money::read_prices(&text)) {
            Ok(prices) => config.guard.spend.prices.extend(prices),
            Err(why) => tree.fault(&Path::of(&["spend", "prices_file"]), format!("{}: {why}", path.display())),
        }
    }
    check::check(&mut config, tree);
    Some(config)
}

/// Reads a list of tables.
fn list<T: serde::de::DeserializeOwned>(tree: &mut Tree, name: &str) -> Vec<T> {
    let path = Path::of(&[name]);
    let entries = match tree.get(&path) {
        None => return Vec::new(),
        Some(Value::Array(entries)) => entries.clone(),
        Some(_) => {
            tree.fault(&path, format!("expected a list: begin each entry with [[{name}]]"));
            return Vec::new();
        }
    };
    (0..)
        .zip(entries)
        .filter_map(|(index, entry): (usize, Value)| read::read_value(tree, &path.child(index.to_string()), entry))
        .collect()
}

/// The secret that a file holds, without the end of its line.
///
/// # Errors
/// Why it cannot be had.
pub fn secret_file(path: &FilePath) -> Result<String, String> {
    secrets::read(path)
}

/// Why the call flows cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FlowsError {
    /// A folder or file cannot be read.
    #[error("{}: {why}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Every fault of every file.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Diagnostic>),
}

/// The call flows: those in the program and those of the folder.
///
/// # Errors
/// Why they cannot be used.
pub fn flows(config: &CallFlowsConfig) -> Result<Flows, FlowsError> {
    let sources = match &config.dir {
        Some(dir) => flow_files(dir)?,
        None => Vec::new(),
    };
    Flows::from_sources(&sources).map_err(FlowsError::Faults)
}

/// The files of call flows in a folder, by name, then those of its folder `overrides`, by name: path and text.
///
/// # Errors
/// Which cannot be read.
pub fn flow_files(dir: &FilePath) -> Result<Vec<(String, String)>, FlowsError> {
    let unreadable = |path: &FilePath, error: &io::Error| FlowsError::Unreadable {
        path: path.to_owned(),
        why: format!("cannot be read: {error}"),
    };
    let xml_in = |dir: &FilePath| {
        let entries = std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))?;
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
            .collect();
        paths.sort();
        Ok::<_, FlowsError>(paths)
    };
    let mut paths = xml_in(dir)?;
    let overrides = dir.join(OVERRIDES);
    if overrides.is_dir() {
        paths.extend(xml_in(&overrides)?);
    }
    if paths.len() > MAX_FLOW_FILES {
        let why = format!("holds more than {MAX_FLOW_FILES} call flows");
        return Err(FlowsError::Unreadable { path: dir.to_owned(), why });
    }
    let text = |path: &PathBuf| read_file(path).map_err(|error| unreadable(path, &error));
    paths.iter().map(|path| Ok((path.display().to_string(), text(path)?))).collect()
}
