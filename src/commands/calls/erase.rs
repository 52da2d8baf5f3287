//! Owns `calls erase`: takes the calls to a number out of the log of a running service, after a question.

use inquire::Confirm;
use serde_json::{Value, json};

use crate::commands::{
    Exit, Outcome,
    api::{Api, Connection},
    output::{Output, plain},
};

#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    /// The number, in any form; a national one with --country
    #[arg(long, value_name = "NUMBER")]
    number: String,
    /// How a national number is read
    #[arg(long, value_name = "CC")]
    country: Option<String>,
    /// Only what this client asked for; needs a key with the scope admin, where nothing means all clients
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Do not ask whether that is meant
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Shows everything but the number.
impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arguments").field("client", &self.client).field("yes", &self.yes).finish_non_exhaustive()
    }
}

pub(super) async fn run(arguments: &Arguments, connection: &Connection, out: &mut Output) -> Outcome {
    let api = match Api::new(&arguments.connection.or(connection), out)? {
        Ok(api) => api,
        Err(exit) => return Ok(exit),
    };
    if !arguments.yes {
        let question = "Take all calls to this number out of the log, for good?";
        match Confirm::new(question).with_default(false).prompt() {
            Ok(true) => {}
            Ok(false) => {
                out.note("Nothing was erased.")?;
                return Ok(Exit::Done);
            }
            Err(_) => {
                out.fault("nobody can be asked here; say --yes if all calls to this number are to be erased.")?;
                return Ok(Exit::Usage);
            }
        }
    }
    let body = json!({ "number": arguments.number, "country": arguments.country, "client": arguments.client });
    let (mut erased, mut letters, mut left, mut until) = (0, 0, 0, None::<String>);
    loop {
        let answer = match api.erase(&body).await {
            Ok(answer) => answer,
            Err(error) => return error.tell(&api, out),
        };
        let count = |at: &str| answer.pointer(at).and_then(Value::as_u64).unwrap_or_default();
        erased += count("/erased");
        letters += count("/dead_letters");
        left += count("/left/verifications");
        until = until.max(answer.pointer("/left/until").and_then(Value::as_str).map(plain));
        if answer.get("more") != Some(&Value::Bool(true)) {
            break;
        }
    }
    out.line(&format!("{erased} calls erased."))?;
    if letters > 0 {
        out.note(&format!("{letters} results that could not be delivered went with them."))?;
    }
    if let Some(until) = until {
        out.note(&format!(
            "{left} verifications of them are left until {until} at the latest; only their id finds them."
        ))?;
    }
    Ok(Exit::Done)
}
