//! Owns `limits`: shows the limits of a running service, what is spent and what stands against calls; bars calls, allows
//! them, lifts what stands.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Exit, Outcome,
    api::{Api, Connection},
    output::{Output, plain},
};
use crate::time::duration;

#[derive(Debug, Subcommand)]
pub(super) enum Limits {
    /// Show the limits in force, what is spent, and what stands against calls or for them
    Show(Show),
    /// Let no such calls through for a time
    Bar(Set),
    /// Let such calls through for a time, whatever else stands against them; spending stays limited
    Allow(Set),
    /// Lift what stands against calls or for them, and forget the failures of a number or an account
    Lift(Lift),
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Print the JSON of the API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(super) struct Set {
    #[command(flatten)]
    about: About,
    /// For how long, as in 24h or 30d
    #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = time)]
    holds_for: u64,
    /// Why, for those who come after; no number
    #[arg(long, default_value = "")]
    why: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(super) struct Lift {
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    connection: Connection,
}

/// Which calls.
#[derive(clap::Args)]
struct About {
    /// A number in international form
    #[arg(long, value_name = "NUMBER", group = "subject")]
    number: Option<String>,
    /// First digits of numbers, as many as `guard.prefix_digits` says
    #[arg(long, value_name = "+DIGITS", group = "subject")]
    prefix: Option<String>,
    /// A country
    #[arg(long, value_name = "CC", group = "subject")]
    country: Option<String>,
    /// A client: the name of its API key
    #[arg(long, value_name = "NAME", group = "subject")]
    client: Option<String>,
    /// One account of the client
    #[arg(long, value_name = "REFERENCE", requires = "client")]
    reference: Option<String>,
}

/// Shows no number and no reference.
impl std::fmt::Debug for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("About").field("country", &self.country).field("client", &self.client).finish_non_exhaustive()
    }
}

impl About {
    fn json(&self) -> Value {
        json!({
            "number": self.number, "prefix": self.prefix, "country": self.country, "client": self.client,
            "reference": self.reference
        })
    }
}

fn time(text: &str) -> Result<u64, String> {
    duration::parse(text).map(|time| time.as_secs())
}

pub(super) async fn run(command: &Limits, out: &mut Output) -> Outcome {
    let (connection, about) = match command {
        Limits::Show(show) => (&show.connection, None),
        Limits::Bar(set) | Limits::Allow(set) => (&set.connection, Some(&set.about)),
        Limits::Lift(lift) => (&lift.connection, Some(&lift.about)),
    };
    let api = match Api::new(connection, out)? {
        Ok(api) => api,
        Err(exit) => return Ok(exit),
    };
    let about = about.map(About::json);
    let answer = match command {
        Limits::Show(_) => api.limits().await,
        Limits::Bar(set) => api.bar(&set.body(about.as_ref(), "deny")).await,
        Limits::Allow(set) => api.bar(&set.body(about.as_ref(), "allow")).await,
        Limits::Lift(_) => api.lift(&json!({ "about": about })).await,
    };
    match (answer, command) {
        (Err(error), _) => error.tell(&api, out),
        (Ok(limits), Limits::Show(Show { json: true, .. })) => {
            out.line(&limits.to_string())?;
            Ok(Exit::Done)
        }
        (Ok(limits), Limits::Show(_)) => show(&limits, out),
        (Ok(_), Limits::Bar(_) | Limits::Allow(_)) => {
            out.line("It stands from now on. `ringproof limits show` tells what stands.")?;
            Ok(Exit::Done)
        }
        (Ok(_), Limits::Lift(_)) => {
            out.line("Lifted.")?;
            Ok(Exit::Done)
        }
    }
}

impl Set {
    fn body(&self, about: Option<&Value>, sense: &str) -> Value {
        json!({ "about": about, "sense": sense, "seconds": self.holds_for, "why": self.why })
    }
}

fn show(limits: &Value, out: &mut Output) -> Outcome {
    let text = |value: &Value, member: &str| plain(value.get(member).and_then(Value::as_str).unwrap_or_default());
    for (name, windows) in limits.get("limits").and_then(Value::as_object).into_iter().flatten() {
        let windows: Vec<_> = windows.as_array().into_iter().flatten().filter_map(Value::as_str).map(plain).collect();
        let windows = if windows.is_empty() { String::from("no limit") } else { windows.join("  ") };
        out.line(&format!("{:<14} {windows}", plain(name)))?;
    }
    if let Some(spend) = limits.get("spend") {
        let currency = text(spend, "currency");
        for (what, spent, most) in [("last hour", "last_hour", "per_hour"), ("last 24 hours", "last_day", "per_day")] {
            let (spent, most) = (text(spend, spent), text(spend, most));
            out.line(&format!("{what:<14} {spent} of {most} {currency} spent or put aside"))?;
        }
    }
    let bars = limits.get("bars").and_then(Value::as_array).cloned().unwrap_or_default();
    if bars.is_empty() {
        out.note("Nothing stands against calls, or for them.")?;
    }
    for bar in bars {
        let set = if bar.get("pinned") == Some(&Value::Bool(true)) { "by an operator" } else { "by itself" };
        let (sense, about, ends, why) =
            (text(&bar, "sense"), text(&bar, "about"), text(&bar, "ends_at"), text(&bar, "why"));
        out.line(&format!("{sense:<5} {about} until {ends}, {set}: {why}"))?;
    }
    Ok(Exit::Done)
}
