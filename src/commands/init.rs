//! Owns `init`: asks little, writes a commented file of settings and the files of its secrets, and prints an API key
//! once. Never overwrites anything.

mod questions;
mod write;

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf};

use super::{
    Exit, Outcome, explain,
    output::{Mark, Output},
};
use crate::{
    config::{self, DEFAULTS, Sources},
    gateway::SystemEntropy,
    http::{ApiKey, Scope},
    phone::{CountryCode, E164},
    secret::Secret,
};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Arguments {
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "ringproof.toml")]
    file: PathBuf,
    /// Ask nothing: take flags and defaults
    #[arg(long, short)]
    yes: bool,
    /// Who is said to call, as in Contoso
    #[arg(long)]
    brand: Option<String>,
    /// Countries that may be called, as in JP,US
    #[arg(long, value_delimiter = ',', value_name = "CC,CC")]
    countries: Vec<CountryCode>,
    /// Language of the prompts where a request names none
    #[arg(long)]
    locale: Option<String>,
    /// Where verifications are kept: redis://…, or embedded:DIR
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// What carriers call, as in `https://verify.example.com`
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Who places the calls: twilio (or a server that speaks its API), simulator (only pretends)
    #[arg(long, value_parser = config::KINDS)]
    carrier: Option<String>,
    /// Another server that speaks Twilio's API
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The carrier's account, AC…
    #[arg(long, value_name = "SID")]
    account_sid: Option<String>,
    /// File that holds the carrier's auth token
    #[arg(long, value_name = "FILE")]
    auth_token_file: Option<PathBuf>,
    /// Numbers of yours that the callee sees, as in +815012345678
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", value_parser = international)]
    from: Vec<E164>,
    /// Name of the first API key: the client that owns what is made with it
    #[arg(long, default_value = "enrolment")]
    key_name: String,
    /// Print every setting with its default and what it is for, and write nothing
    #[arg(long)]
    reference: bool,
}

fn international(text: &str) -> Result<E164, String> {
    crate::phone::read(text, None).map(|number| number.e164).map_err(|error| error.to_string())
}

/// Everything that the file is written from.
#[derive(Debug)]
struct Answers {
    brand: String,
    countries: Vec<CountryCode>,
    locale: Option<String>,
    store: String,
    listen: SocketAddr,
    public_url: Option<String>,
    carrier: Carrier,
    key_name: String,
}

#[derive(Debug)]
enum Carrier {
    Twilio { base_url: Option<String>, account_sid: String, token: Token, from: Vec<E164> },
    Simulator { from: Vec<E164> },
}

/// Where the carrier's token is, or is to be written.
#[derive(Debug)]
enum Token {
    File(PathBuf),
    Typed(Secret<String>),
}

pub(super) fn run(arguments: Arguments, out: &mut Output) -> Outcome {
    if arguments.reference {
        out.bytes(DEFAULTS.as_bytes())?;
        return Ok(Exit::Done);
    }
    if arguments.file.exists() {
        out.fault(&format!("{} exists already; nothing was changed.", arguments.file.display()))?;
        out.note("Name another file with --file, or move this one away first.")?;
        return Ok(Exit::Usage);
    }
    let ask = !arguments.yes && std::io::stdin().is_terminal() && out.err_is_terminal;
    let file = arguments.file.clone();
    let answers = if ask {
        match questions::ask(arguments, out.language) {
            Ok(answers) => answers,
            Err(why) => {
                out.fault(&format!("{why}; nothing was written."))?;
                return Ok(Exit::Usage);
            }
        }
    } else {
        match from_flags(arguments) {
            Ok(answers) => answers,
            Err(missing) => {
                out.fault("nobody can be asked here; these flags are needed:")?;
                for flag in missing {
                    out.note(&format!("  {flag}"))?;
                }
                return Ok(Exit::Usage);
            }
        }
    };
    let key = ApiKey::generate(&SystemEntropy);
    let entry = key.config(&answers.key_name, &[Scope::Verify, Scope::Calls]);
    let written = match write::write(&file, &answers, &entry) {
        Ok(written) => written,
        Err(why) => {
            out.fault(&why)?;
            return Ok(Exit::Broken);
        }
    };
    for path in written {
        out.note(&out.text("init-wrote", &[("file", &path.display().to_string())]))?;
    }
    out.note(&format!("\n{}", out.text("init-key", &[])))?;
    out.line(key.expose())?;
    let alone = Sources { file: Some(file.clone()), ..Sources::default() };
    if let Err(error) = config::load(&alone) {
        out.note("")?;
        explain(&error, out)?;
        return Ok(Exit::Config);
    }
    next_steps(&file, out)?;
    Ok(Exit::Done)
}

fn next_steps(file: &std::path::Path, out: &mut Output) -> std::io::Result<()> {
    let config = if file == std::path::Path::new("ringproof.toml") {
        String::new()
    } else {
        format!(" --config {}", file.display())
    };
    out.note(&format!("\n{}", out.text("init-next", &[])))?;
    for (command, what) in [
        (format!("ringproof doctor{config}"), "init-next-doctor"),
        (format!("ringproof serve{config}"), "init-next-serve"),
        (format!("RINGPROOF_API_KEY=… ringproof call NUMBER --wait{config}"), "init-next-call"),
    ] {
        let command = out.paint_note(&command, Mark::Strong);
        out.note(&format!("  {command}   {}", out.text(what, &[])))?;
    }
    Ok(())
}

/// What is known without asking, or the flags that are missing.
fn from_flags(arguments: Arguments) -> Result<Answers, Vec<&'static str>> {
    let mut missing = Vec::new();
    let mut need = |present: bool, flag: &'static str| {
        if !present {
            missing.push(flag);
        }
    };
    let twilio = arguments.carrier.as_deref() == Some("twilio");
    need(arguments.brand.is_some(), "--brand NAME          who is said to call");
    need(!arguments.countries.is_empty(), "--countries CC,CC     countries that may be called");
    need(arguments.carrier.is_some(), "--carrier KIND        twilio, or simulator to try it out");
    need(!arguments.from.is_empty() || !twilio, "--from NUMBER         your number that the callee sees");
    need(arguments.account_sid.is_some() || !twilio, "--account-sid SID     the carrier's account");
    need(
        arguments.auth_token_file.is_some() || !twilio,
        "--auth-token-file F   file that holds the carrier's auth token",
    );
    need(arguments.public_url.is_some() || !twilio, "--public-url URL      what the carrier calls");
    if !missing.is_empty() {
        return Err(missing);
    }
    let carrier = if twilio {
        Carrier::Twilio {
            base_url: arguments.base_url,
            account_sid: arguments.account_sid.unwrap_or_default(),
            token: Token::File(arguments.auth_token_file.unwrap_or_default()),
            from: arguments.from,
        }
    } else {
        Carrier::Simulator { from: arguments.from }
    };
    Ok(Answers {
        brand: arguments.brand.unwrap_or_default(),
        locale: arguments.locale,
        countries: arguments.countries,
        store: arguments.store.unwrap_or_else(|| USUAL_STORE.to_owned()),
        listen: arguments.listen,
        public_url: arguments.public_url,
        carrier,
        key_name: arguments.key_name,
    })
}

/// The store that most will have.
const USUAL_STORE: &str = "redis://127.0.0.1:6379/0";
