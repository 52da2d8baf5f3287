//! Owns the command line: arguments, what is printed, exit codes. What a command does is done by the modules it calls.

mod api;
mod call;
mod calls;
mod demo;
mod doctor;
mod flow;
mod init;
mod key;
mod limits;
mod output;
mod playable;
mod serve;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    config::{self, LoadError, Loaded, Sources},
    outcome::Status,
};
use output::Output;

/// How a command ended, as the shell sees it. Programs rely on the numbers: add to them, never change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for `call`: verified.
    Done,
    /// Something is broken or did not work.
    Broken,
    /// The arguments are wrong.
    Usage,
    /// The verification failed.
    Failed,
    /// The callee said no.
    Denied,
    /// The verification expired.
    Expired,
    /// The verification was canceled.
    Canceled,
    /// The service refused the request.
    Refused,
    /// The service cannot be reached, or does not know the key.
    Away,
    /// Asked for, and not waited for.
    Pending,
    /// The configuration is faulty, or there is none.
    Config,
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Broken => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Denied => 4,
            Self::Expired => 5,
            Self::Canceled => 6,
            Self::Refused => 7,
            Self::Away => 8,
            Self::Pending => 9,
            Self::Config => 10,
        }
    }

    const fn of(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Verified => Self::Done,
            Status::Failed => Self::Failed,
            Status::Denied => Self::Denied,
            Status::Expired => Self::Expired,
            Status::Canceled => Self::Canceled,
        }
    }
}

/// What a command comes to. An error of writing means that nobody reads any more.
type Outcome = io::Result<Exit>;

/// Proves that a person holds a telephone: calls the number, says who is calling and why, and takes keys.
#[derive(Debug, Parser)]
#[command(name = "ringproof", version, propagate_version = true, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
To look at it without any other service:  ringproof demo
To set up a service:                      ringproof init, then ringproof serve";

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process, with an enrolment page and a telephone in the browser
    Demo(demo::Arguments),
    /// Ask a few questions and write a commented configuration and an API key
    Init(init::Arguments),
    /// Run the service
    Serve(serve::Arguments),
    /// Ask a running service to verify a number, and show how it goes
    Call(call::Arguments),
    /// Show the call log of a running service
    Calls(Box<calls::Arguments>),
    /// Show the limits of a running service, bar calls, allow them, lift what stands
    #[command(subcommand)]
    Limits(limits::Limits),
    /// Check, show and play call flows
    #[command(subcommand)]
    Flow(flow::Flow),
    /// Look for faults in configuration, store, carriers, public address and call flows
    Doctor(doctor::Arguments),
    /// Make API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Where the settings are.
#[derive(Debug, Clone, Default, clap::Args)]
struct ConfigArguments {
    /// File of settings [default: ./ringproof.toml, then /etc/ringproof/ringproof.toml]
    #[arg(long, short, value_name = "FILE", env = config::FILE_VARIABLE)]
    config: Option<PathBuf>,
    /// A setting that goes before those of file and environment, as in --set server.listen=127.0.0.1:9000
    #[arg(long, value_name = "SETTING=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (setting, value) =
        text.split_once('=').ok_or("write it as SETTING=VALUE, as in server.listen=127.0.0.1:9000")?;
    Ok((setting.trim().to_owned(), value.to_owned()))
}

impl ConfigArguments {
    fn sources(&self) -> Sources {
        let sources = Sources::of_process(self.config.clone());
        self.set.iter().fold(sources, |sources, (setting, value)| sources.with("--set", setting, value.clone()))
    }

    /// Loads the configuration of a service, or says on the standard error why that is not possible.
    fn load(&self, sources: &Sources, out: &mut Output) -> io::Result<Result<Loaded, Exit>> {
        match config::load(sources) {
            Ok(loaded) => Ok(Ok(loaded)),
            Err(error) => {
                explain(&error, out)?;
                Ok(Err(Exit::Config))
            }
        }
    }
}

/// Says why there is no configuration, and what to do.
fn explain(error: &LoadError, out: &mut Output) -> io::Result<()> {
    match error {
        LoadError::Nothing { looked } => {
            let looked: Vec<_> = looked.iter().map(|path| path.display().to_string()).collect();
            out.fault("there is no configuration.")?;
            out.note(&format!(
                "Looked for: {}; and for settings in the environment (RINGPROOF_…).",
                looked.join(", ")
            ))?;
            out.note("To make one:                    ringproof init")?;
            out.note("To look at ringproof without:   ringproof demo")
        }
        LoadError::Unreadable { path, source } => out.fault(&format!("{} cannot be read: {source}", path.display())),
        LoadError::Faults(faults) => {
            let count = faults.len();
            out.fault(&format!("the configuration has {count} fault{}:", if count == 1 { "" } else { "s" }))?;
            faults.iter().try_for_each(|fault| out.note(&format!("  {fault}")))
        }
    }
}

/// Runs the command that the arguments of this process name.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Where nobody reads there is nobody to be told.
            let _unread = error.print();
            return ExitCode::from(code.code());
        }
    };
    let mut out = Output::of_process();
    match dispatch(cli.command, &mut out) {
        Ok(exit) => ExitCode::from(exit.code()),
        // Whoever reads, `head` for one, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(Exit::Done.code()),
        Err(_) => ExitCode::from(Exit::Broken.code()),
    }
}

fn dispatch(command: Command, out: &mut Output) -> Outcome {
    match command {
        Command::Demo(arguments) => demo::run(&arguments, out),
        Command::Init(arguments) => init::run(arguments, out),
        Command::Serve(arguments) => serve::run(&arguments, out),
        Command::Call(arguments) => with_runtime(out, async |out| call::run(&arguments, out).await),
        Command::Calls(arguments) => with_runtime(out, async |out| calls::run(&arguments, out).await),
        Command::Limits(command) => with_runtime(out, async |out| limits::run(&command, out).await),
        Command::Flow(arguments) => flow::run(&arguments, out),
        Command::Doctor(arguments) => with_runtime(out, async |out| doctor::run(&arguments, out).await),
        Command::Key(arguments) => key::run(&arguments, out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ringproof", &mut script);
            out.bytes(&script)?;
            Ok(Exit::Done)
        }
    }
}

/// Runs what waits for networks. Small: a command has one thing to do.
fn with_runtime(out: &mut Output, work: impl AsyncFnOnce(&mut Output) -> Outcome) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work(out));
    // A thread that waits for a line of the terminal would wait for ever.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn exit_codes_are_promised() {
        let all = [
            (Exit::Done, 0),
            (Exit::Broken, 1),
            (Exit::Usage, 2),
            (Exit::Failed, 3),
            (Exit::Denied, 4),
            (Exit::Expired, 5),
            (Exit::Canceled, 6),
            (Exit::Refused, 7),
            (Exit::Away, 8),
            (Exit::Pending, 9),
            (Exit::Config, 10),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code);
        }
        for status in Status::ALL {
            assert_eq!(Exit::of(*status) == Exit::Done, *status == Status::Verified);
        }
    }
}
