//! Owns `flow check`, `flow show` and `flow play`: call flows without a service. What is right and what is heard is
//! decided by the call flows themselves.

mod play;
mod show;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;

use super::{
    Exit, Outcome,
    output::{Mark, Output},
    playable,
};
use crate::{
    callflow::{CallFlow, Diagnostic, Flows, MAX_FILE_BYTES, Position, Saying},
    config::{self, Config, Sources},
    dtmf::Digits,
    outcome::Purpose,
};

/// The folder that is checked when neither files nor a configuration name one.
const USUAL_FOLDER: &str = "callflows";

#[derive(Debug, Subcommand)]
pub(super) enum Flow {
    /// Look for errors, with line and column
    Check(Check),
    /// Show what a carrier would be served
    Show(show::Show),
    /// Walk through a flow with the keyboard
    Play(play::Play),
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Files of call flows [default: those built in, and those of the configuration or of ./callflows]
    files: Vec<PathBuf>,
    /// Print one JSON object for each fault
    #[arg(long)]
    json: bool,
    /// File of settings
    #[arg(long, short, value_name = "FILE", env = config::FILE_VARIABLE)]
    config: Option<PathBuf>,
}

/// What a flow is played with.
#[derive(Debug, clap::Args)]
pub(super) struct Casting {
    /// The file, or the id of a built-in flow
    file: String,
    /// Language of the prompts
    #[arg(long, default_value = "en")]
    locale: String,
    /// Who is said to call
    #[arg(long, default_value = "Contoso")]
    brand: String,
    /// Why the call is made: enrolment, `sign_in`, transaction
    #[arg(long, default_value = "enrolment")]
    purpose: Purpose,
    /// A short text about it
    #[arg(long)]
    purpose_text: Option<String>,
    /// The code of modes match and speak
    #[arg(long, default_value = "123456", value_parser = code)]
    code: Digits,
}

fn code(text: &str) -> Result<Digits, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && (6..=10).contains(&text.len());
    text.parse().ok().filter(|_| digits).ok_or_else(|| String::from("a code is 6 to 10 digits"))
}

impl Casting {
    fn saying(&self) -> Saying<'_> {
        Saying {
            locale: &self.locale,
            brand: &self.brand,
            purpose: self.purpose,
            purpose_text: self.purpose_text.as_deref(),
            last_digits: "5678",
            code: Some(&self.code),
        }
    }

    /// The flow, or what is wrong with it.
    fn flow(&self, out: &mut Output) -> io::Result<Result<CallFlow, Exit>> {
        let path = Path::new(&self.file);
        if !path.exists()
            && let Ok(flows) = Flows::from_sources(&[])
            && let Some(flow) = flows.get(self.file.trim_end_matches(".xml"))
        {
            return Ok(Ok(CallFlow::clone(flow)));
        }
        let text = match text_of(path) {
            Ok(text) => text,
            Err(why) => {
                out.fault(&why)?;
                let built_in: Vec<_> =
                    Flows::built_in_sources().map(|(name, _)| name.trim_end_matches(".xml")).collect();
                out.note(&format!("Built in are: {}.", built_in.join(", ")))?;
                return Ok(Err(Exit::Usage));
            }
        };
        match CallFlow::parse(&self.file, &text) {
            Ok(flow) => Ok(Ok(flow)),
            Err(faults) => {
                tell(&faults, out)?;
                Ok(Err(Exit::Broken))
            }
        }
    }
}

pub(super) fn run(flow: &Flow, out: &mut Output) -> Outcome {
    match flow {
        Flow::Check(arguments) => check(arguments, out),
        Flow::Show(arguments) => show::run(arguments, out),
        Flow::Play(arguments) => play::run(arguments, out),
    }
}

fn check(arguments: &Check, out: &mut Output) -> Outcome {
    let (sources, folder, config) = match sources(arguments) {
        Ok(found) => found,
        Err(why) => {
            out.fault(&why)?;
            return Ok(Exit::Broken);
        }
    };
    let flows = match Flows::from_sources(&sources) {
        Ok(flows) => flows,
        Err(faults) => {
            if arguments.json {
                as_json(&faults, out)?;
            } else {
                tell(&faults, out)?;
            }
            return Ok(Exit::Broken);
        }
    };
    let (harmless, broken): (Vec<_>, Vec<_>) =
        playable::look(&flows, folder.as_deref(), config.as_deref()).into_iter().partition(|found| found.harmless);
    let broken: Vec<_> = broken.into_iter().map(|found| found.fault).collect();
    if arguments.json {
        as_json(&broken, out)?;
        return Ok(if broken.is_empty() { Exit::Done } else { Exit::Broken });
    }
    for found in &harmless {
        out.note(&format!("! {}", found.fault))?;
    }
    if !broken.is_empty() {
        tell(&broken, out)?;
        return Ok(Exit::Broken);
    }
    for flow in flows.iter() {
        out.line(&format!("{} {}", out.paint("✓", Mark::Good), summary(flow)))?;
    }
    Ok(Exit::Done)
}

fn as_json(faults: &[Diagnostic], out: &mut Output) -> io::Result<()> {
    for fault in faults {
        let Diagnostic { file, line, column, rule, message, suggestion } = fault;
        let fault = serde_json::json!({ "file": file, "line": line, "column": column,
            "rule": rule.as_str(), "message": message, "suggestion": suggestion });
        out.line(&fault.to_string())?;
    }
    Ok(())
}

/// A flow in one line.
pub(super) fn summary(flow: &CallFlow) -> String {
    let languages: Vec<_> = flow.languages().collect();
    let longest = longest(flow);
    format!(
        "{} ({}): {} language{}, {}; first prompt up to {}.{} s; version {:016x}",
        flow.id(),
        flow.mode(),
        languages.len(),
        if languages.len() == 1 { "" } else { "s" },
        languages.join(" "),
        longest.as_secs(),
        longest.subsec_millis() / 100,
        flow.version()
    )
}

/// How long the first thing that is heard takes in the slowest language.
fn longest(flow: &CallFlow) -> Duration {
    let begin: Position = flow.begin().to;
    let first = |locale| {
        let saying = Saying {
            locale,
            brand: "Contoso",
            purpose: Purpose::Enrolment,
            purpose_text: None,
            last_digits: "5678",
            code: None,
        };
        flow.script(&begin, &saying).speaking_time()
    };
    flow.languages().map(first).max().unwrap_or_default()
}

/// What is to be checked beside the built-in flows: path and text of each file, the folder they are in, and the
/// configuration whose carriers play them.
type ToCheck = (Vec<(String, String)>, Option<PathBuf>, Option<Box<Config>>);

fn sources(arguments: &Check) -> Result<ToCheck, String> {
    let loaded = config::load(&Sources::of_process(arguments.config.clone())).ok();
    let config = loaded.map(|loaded| Box::new(loaded.config));
    if !arguments.files.is_empty() {
        let read = |path: &PathBuf| Ok((path.display().to_string(), text_of(path)?));
        let files = arguments.files.iter().map(read).collect::<Result<_, String>>()?;
        // Files by themselves are checked by themselves, unless somebody says for which carriers.
        let config = config.filter(|_| arguments.config.is_some());
        let folder = config.as_ref().and_then(|config| config.callflows.dir.clone());
        return Ok((files, folder, config));
    }
    let folder = match &config {
        Some(config) => config.callflows.dir.clone(),
        // Call flows can be right where other settings are not yet.
        None => Some(PathBuf::from(USUAL_FOLDER)).filter(|folder| folder.is_dir()),
    };
    let files = match &folder {
        Some(folder) => config::flow_files(folder).map_err(|error| error.to_string())?,
        None => Vec::new(),
    };
    Ok((files, folder, config))
}

fn text_of(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    if size > u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX) {
        return Err(format!("{}: a call flow has at most {MAX_FILE_BYTES} bytes", path.display()));
    }
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn tell(faults: &[Diagnostic], out: &mut Output) -> io::Result<()> {
    for fault in faults {
        out.note(&fault.to_string())?;
    }
    let count = faults.len();
    out.fault(&format!("{count} fault{}", if count == 1 { "" } else { "s" }))
}

/// What happened in a flow, in words.
fn verdict(verdict: crate::callflow::Verdict) -> String {
    use crate::callflow::Verdict;
    match verdict {
        Verdict::Verify => String::from("verified"),
        Verdict::Deny(reason) => format!("denied: {reason}"),
        Verdict::Fail(reason) => format!("failed: {reason}"),
        Verdict::Block => String::from("wants no more such calls"),
        Verdict::Told => String::from("the code was spoken; it is now typed on the web"),
    }
}
