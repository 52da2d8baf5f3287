//! Owns the files that `init` writes: settings that anybody may read, secrets that only their owner may.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Answers, Carrier, Token};
use crate::{commands::key, gateway::SystemEntropy, http::ApiKeyConfig, id::Entropy, phone::E164};

/// Folder of the secrets, beside the settings.
const SECRETS: &str = "secrets";
/// What a simulated callee sees where nobody named a number: one of those kept free for fiction.
const FICTION: &str = "+12025550123";

/// Writes everything, and says which files.
pub(super) fn write(file: &Path, answers: &Answers, entry: &ApiKeyConfig) -> Result<Vec<PathBuf>, String> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let secrets = folder.join(SECRETS);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&secrets).map_err(|error| told(&secrets, &error))?;
    let mut written = Vec::new();
    let mut bytes = [0; 32];
    SystemEntropy.fill(&mut bytes);
    let callbacks = secrets.join("callbacks");
    new_file(&callbacks, &format!("whsec_{}\n", STANDARD.encode(bytes)), 0o600)?;
    written.push(callbacks);
    let token = match &answers.carrier {
        Carrier::Twilio { token: Token::File(path), .. } => Some(absolute(path)),
        Carrier::Twilio { token: Token::Typed(token), .. } => {
            let path = secrets.join("carrier");
            new_file(&path, &format!("{}\n", token.expose().trim()), 0o600)?;
            written.push(path);
            Some(format!("{SECRETS}/carrier"))
        }
        Carrier::Simulator { .. } => None,
    };
    new_file(file, &settings(answers, token.as_deref(), entry), 0o644)?;
    written.push(file.to_owned());
    Ok(written)
}

/// Relative paths in the settings begin at their folder, those of flags at the present one.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn new_file(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| told(path, &error))
}

fn told(path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AlreadyExists {
        format!("{} exists already; move it away first", path.display())
    } else {
        format!("{} cannot be written: {error}", path.display())
    }
}

/// The file of settings.
fn settings(answers: &Answers, token: Option<&str>, entry: &ApiKeyConfig) -> String {
    let countries = list(answers.countries.iter().map(ToString::to_string));
    let public_url = answers.public_url.as_deref().map_or_else(
        || String::from("# What carriers call; needed as soon as a carrier calls back.\n# public_url = \"https://verify.example.com\""),
        |url| {
            let url = quoted(url);
            format!("# What carriers call. Their signatures are checked against it, so it must be what they see.\npublic_url = {url}")
        },
    );
    format!(
        "\
# ringproof: the settings of this service. `ringproof doctor` checks them and what they lead to;
# `ringproof init --reference` prints every setting there is, with its default.
# A setting can also come from the environment: RINGPROOF_SERVER__LISTEN for listen below [server].

[server]
# Where to listen. TLS ends in the reverse proxy in front.
listen = {listen}
{public_url}

[store]
# Where verifications are kept: redis://, rediss:// (TLS), or embedded:DIR for one machine.
url = {store}
# How long call records are kept.
retention = \"30d\"

[numbers]
# Countries that may be called. Nothing is dialled outside this list.
countries = {countries}

[verification]
# Who is said to call.
brand = {brand}
# Language of the prompts where a request names none; without it the one most spoken in the country that is called.
{locale}
# Life of a verification, most calls in it, how long the telephone may ring.
expires_in = \"300s\"
max_calls = 3
ring_timeout = \"30s\"

{SPENDING}
{carrier}

# Who may ask. `ringproof key new` makes further keys; only their hashes stand here.
{key}

[callbacks]
# Results are posted to the callback_url of a request, signed with this (Standard Webhooks).
secret_file = \"{SECRETS}/callbacks\"
# True only where the backend is on a private or loopback address.
allow_private = false
",
        listen = quoted(&answers.listen.to_string()),
        store = quoted(&answers.store),
        brand = quoted(&answers.brand),
        locale = answers
            .locale
            .as_deref()
            .map_or_else(|| String::from("# locale = \"ja-JP\""), |locale| format!("locale = {}", quoted(locale))),
        carrier = carrier(&answers.carrier, token),
        key = key::lines(entry),
    )
}

/// Lines about money.
const SPENDING: &str = r#"[spend]
# What may be paid: nothing is dialled without a limit. `docs/limits.md` tells of all limits and their defaults.
currency = "USD"
per_hour = "1000.00"
per_day = "5000.00"
# What a minute costs, by the beginning of the number, and where none fits.
# prices = [{ prefix = "+8190", per_minute = "0.19" }]
other_price = "0.50"
"#;

fn carrier(carrier: &Carrier, token: Option<&str>) -> String {
    let numbers = |from: &[E164]| list(from.iter().map(|number| number.expose().to_owned()));
    match carrier {
        Carrier::Twilio { base_url, account_sid, from, .. } => {
            let base_url = base_url.as_deref().map(|url| format!("base_url = {}\n", quoted(url))).unwrap_or_default();
            format!(
                "\
# Who places the calls; several are tried in this order.
[[carriers]]
name = \"main\"
kind = \"twilio\"
{base_url}account_sid = {sid}
# Requests are made, and webhooks are believed, with this. There is no switch to do without.
auth_token_file = {token}
# Numbers of yours that the callee sees; one of the callee's own country is preferred.
from = {from}
countries = [\"*\"]",
                sid = quoted(account_sid),
                token = quoted(token.unwrap_or_default()),
                from = numbers(from),
            )
        }
        Carrier::Simulator { from } => format!(
            "\
# Telephones that live in this process: nobody is called. Replace it by a real carrier (kind = \"twilio\").
[[carriers]]
name = \"simulator\"
kind = \"simulator\"
from = {}",
            if from.is_empty() { list([FICTION.to_owned()].into_iter()) } else { numbers(from) }
        ),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.map(|item| quoted(&item)).collect::<Vec<_>>().join(", "))
}
