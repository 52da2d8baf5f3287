//! Owns `flow show`: the documents that a carrier would be served, one after another.

use super::{Casting, verdict};
use crate::{
    callflow::{Heard, Listening, Script},
    commands::{Exit, Outcome, output::Output},
    dtmf::{Digit, Digits},
    provider::{
        http::Dialect,
        twilio::{self, Twilio},
    },
};

#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Show {
    #[command(flatten)]
    casting: Casting,
    /// Kind of carrier
    #[arg(long, default_value = "twilio", value_parser = ["twilio"])]
    carrier: String,
    /// Also what follows these keys, one after another; - stands for silence
    #[arg(long, value_name = "KEYS", default_value = "", value_parser = keys)]
    keys: String,
}

fn keys(text: &str) -> Result<String, String> {
    let known = text.chars().all(|c| c == '-' || Digit::from_char(c).is_some());
    if known { Ok(text.to_owned()) } else { Err(String::from("keys are 0-9, * and #, and - for silence")) }
}

/// What stands for the addresses of a call in what is shown.
const KEYS_URL: &str = "https://verify.example.com/webhooks/main/TOKEN/keys";

pub(super) fn run(arguments: &Show, out: &mut Output) -> Outcome {
    let flow = match arguments.casting.flow(out)? {
        Ok(flow) => flow,
        Err(exit) => return Ok(exit),
    };
    let dialect = match dialect() {
        Ok(dialect) => dialect,
        Err(why) => {
            out.fault(&why)?;
            return Ok(Exit::Broken);
        }
    };
    let saying = arguments.casting.saying();
    let mut at = flow.begin().to;
    let mut turn = 1;
    out.line(&served(&dialect, &flow.script(&at, &saying), turn))?;
    let mut keys = arguments.keys.chars().peekable();
    while keys.peek().is_some() {
        let heard = match flow.listening(&at) {
            Listening::Nothing => break,
            Listening::Key => keys.next().map_or(Heard::Silence, heard_key),
            Listening::Code(end) => {
                let entry: String = std::iter::from_fn(|| keys.next_if(|key| *key != end.as_char())).collect();
                let ended = keys.next().is_some();
                judge(&entry, ended, &arguments.casting.code)
            }
        };
        let moved = flow.hear(&at, heard);
        if let Some(said) = moved.verdict {
            out.note(&format!("— {}", verdict(said)))?;
        }
        at = moved.to;
        turn += 1;
        out.line(&served(&dialect, &flow.script(&at, &saying), turn))?;
    }
    Ok(Exit::Done)
}

fn heard_key(key: char) -> Heard {
    Digit::from_char(key).map_or(Heard::Silence, Heard::Key)
}

/// What an entry was, as the verification judges it.
pub(super) fn judge(entry: &str, ended: bool, code: &Digits) -> Heard {
    if entry.is_empty() || entry == "-" {
        return Heard::Silence;
    }
    let Ok(digits) = entry.parse::<Digits>() else { return Heard::Other };
    match digits.single() {
        Some(key) => Heard::Key(key),
        None if ended && digits.same_as(code) => Heard::RightCode,
        None => Heard::Other,
    }
}

fn served(dialect: &Twilio, script: &Script, turn: u32) -> String {
    dialect.render(script, &format!("{KEYS_URL}/{turn}")).body
}

/// A carrier of nobody's: only what it says is wanted.
fn dialect() -> Result<Twilio, String> {
    let settings = "name = 'main'\naccount_sid = 'AC00000000000000000000000000000000'\nauth_token = 'none'\nfrom = ['+12025550123']";
    let config: twilio::Config = toml::from_str(settings).map_err(|error| error.to_string())?;
    Twilio::new(&config).map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}
