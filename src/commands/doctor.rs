//! Owns `doctor`: looks at everything that has to work, and says what to do about what does not. It changes nothing
//! and calls nobody.

use std::{io, time::Duration};

use reqwest::StatusCode;
use tokio::time::timeout;

use super::{
    ConfigArguments, Exit, Outcome,
    api::local,
    flow::summary,
    output::{Mark, Output, plain},
    playable::{self, Found},
    serve::chain,
};
use crate::{
    callflow::{Diagnostic, Flows},
    config::{self, Config, LoadError, Loaded},
    console::Trouble,
    phone,
    provider::CheckKind,
    serve::Carriers,
    store,
    time::{Clock, SystemClock},
};

/// How long one thing may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Difference of clocks that is worth a word.
const CLOCK_TOLERANCE_MS: u64 = 2_000;
/// What a ringproof answers at `/healthz`.
const ALIVE: &str = "alive";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print one JSON object for each thing that was looked at
    #[arg(long)]
    json: bool,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Good,
    Warning,
    Broken,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Broken => "broken",
        }
    }
}

/// What was found so far.
struct Report<'a> {
    out: &'a mut Output,
    json: bool,
    worst: State,
}

impl Report<'_> {
    /// Says one thing: what was looked at, how it is, what to do.
    fn say(&mut self, what: &str, state: State, detail: &str, todo: Option<&str>) -> io::Result<()> {
        self.worst = self.worst.max(state);
        let detail = plain(detail);
        if self.json {
            let line = serde_json::json!({ "check": what, "state": state.as_str(), "detail": detail, "todo": todo });
            return self.out.line(&line.to_string());
        }
        let (sign, mark) = match state {
            State::Good => ("✓", Mark::Good),
            State::Warning => ("!", Mark::Warning),
            State::Broken => ("✗", Mark::Bad),
        };
        let sign = self.out.paint(sign, mark);
        self.out.line(&format!("{sign} {what}: {detail}"))?;
        match todo {
            Some(todo) => self.out.line(&format!("    {todo}")),
            None => Ok(()),
        }
    }

    fn good(&mut self, what: &str, detail: &str) -> io::Result<()> {
        self.say(what, State::Good, detail, None)
    }

    fn broken(&mut self, what: &str, detail: &str, todo: &str) -> io::Result<()> {
        self.say(what, State::Broken, detail, Some(todo))
    }

    fn warning(&mut self, what: &str, detail: &str, todo: &str) -> io::Result<()> {
        self.say(what, State::Warning, detail, Some(todo))
    }
}

pub(super) async fn run(arguments: &Arguments, out: &mut Output) -> Outcome {
    let mut report = Report { out, json: arguments.json, worst: State::Good };
    match config::load(&arguments.config.sources()) {
        Ok(loaded) => look(&loaded, &mut report).await?,
        Err(LoadError::Faults(faults)) => {
            for fault in faults {
                report.broken("configuration", &fault.to_string(), "correct it, then run `ringproof doctor` again")?;
            }
        }
        Err(error @ LoadError::Nothing { .. }) => {
            report.broken(
                "configuration",
                &error.to_string(),
                "make one with `ringproof init`, or name it with --config",
            )?;
        }
        Err(error @ LoadError::Unreadable { .. }) => {
            report.broken("configuration", &chain(&error), "give the user who runs ringproof the right to read it")?;
        }
    }
    let (worst, json) = (report.worst, report.json);
    if !json {
        out.note(match worst {
            State::Good => "Everything is as it should be.",
            State::Warning => "It works; look at what is marked with !.",
            State::Broken => "It does not work yet: see what is marked with ✗.",
        })?;
    }
    Ok(if worst == State::Broken { Exit::Broken } else { Exit::Done })
}

async fn look(loaded: &Loaded, report: &mut Report<'_>) -> io::Result<()> {
    let Loaded { config, file } = loaded;
    let from = file.as_ref().map_or_else(|| String::from("the environment"), |file| file.display().to_string());
    report.good("configuration", &from)?;
    for warning in &config.warnings {
        report.warning("configuration", &warning.to_string(), "leave it only if you mean it")?;
    }
    limits(config, report)?;
    open_files(config, report)?;
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            return report.broken("requests", &chain(&error), "is the list of certificate authorities installed?");
        }
    };
    let runs = service(config, &client, report).await?;
    store(config, runs, report).await?;
    let flows = call_flows(config, report)?;
    carriers(config, flows.as_ref(), report).await?;
    caller_ids(config, report)?;
    identity_provider(config, report).await?;
    public_address(config, &client, runs, report).await
}

/// How often may be called, and what may be spent.
fn limits(config: &Config, report: &mut Report<'_>) -> io::Result<()> {
    let (limits, spend) = (&config.guard.limits, &config.guard.spend);
    let words: Vec<_> = limits.number.iter().map(ToString::to_string).collect();
    let number = if words.is_empty() { String::from("no limit") } else { words.join(", ") };
    let currency = &spend.currency;
    let detail = format!(
        "calls to one number: {number}; spending: {} an hour, {} a day, {} a call ({currency})",
        spend.per_hour, spend.per_day, spend.per_call
    );
    if limits.number.is_empty() {
        let todo =
            "set limits.number, as in [\"3/10m\", \"6/1h\"]: without it one telephone can be made to ring all day";
        return report.warning("limits", &detail, todo);
    }
    report.good("limits", &detail)
}

/// The limit of open files has to be above the connections.
fn open_files(config: &Config, report: &mut Report<'_>) -> io::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let Some(most) = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()) else {
        return Ok(());
    };
    if most > config.server.max_connections {
        return report.good(
            "open files",
            &format!("{most} allowed here, {} connections at most", config.server.max_connections),
        );
    }
    let detail = format!("{most} allowed here, but server.max_connections is {}", config.server.max_connections);
    report.warning(
        "open files",
        &detail,
        "raise the limit (LimitNOFILE= of systemd, ulimit -n), or lower server.max_connections",
    )
}

async fn store(config: &Config, runs: bool, report: &mut Report<'_>) -> io::Result<()> {
    let url = config.store.shown_url();
    // A folder belongs to one process at a time, and that is the service.
    if runs && matches!(config.store.place(), Ok(store::Place::Embedded(_))) {
        return report.good("store", &format!("{url}: in use by the service; ask it at /readyz"));
    }
    let opened = match timeout(PATIENCE, store::open(&config.store)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            let todo = match error {
                store::StoreError::Setup(_) => "see docs/operations.md on setting up the store",
                store::StoreError::Away(_) | store::StoreError::Timeout => {
                    "is it running, and is store.url right? A folder can be used by one ringproof at a time"
                }
                store::StoreError::Unreadable(_) => "use the version of ringproof that wrote it, or another store",
            };
            return report.broken("store", &format!("{url}: {error}"), todo);
        }
        Err(_) => {
            return report.broken("store", &format!("{url}: no answer"), "is it running, and is store.url right?");
        }
    };
    match timeout(PATIENCE, opened.check(SystemClock.now())).await {
        Ok(Ok(health)) => {
            report.good("store", &format!("{url}: {}", health.description))?;
            let ahead = health.clock_ahead_ms;
            if ahead.unsigned_abs() > CLOCK_TOLERANCE_MS {
                let detail = format!("that of the store is {ahead} ms ahead of this machine's");
                report.broken("clocks", &detail, "set both machines by NTP; expiry is decided by the store's clock")?;
            }
            for warning in &health.warnings {
                report.warning("store", warning, "see docs/operations.md on setting up the store")?;
            }
            Ok(())
        }
        Ok(Err(error)) => {
            report.broken("store", &format!("{url}: {error}"), "a write would not succeed now; look at the store's log")
        }
        Err(_) => report.broken("store", &format!("{url}: no answer"), "look at the store's load and at the network"),
    }
}

fn call_flows(config: &Config, report: &mut Report<'_>) -> io::Result<Option<Flows>> {
    let flows = match config::flows(&config.callflows) {
        Ok(flows) => flows,
        Err(config::FlowsError::Faults(faults)) => {
            for fault in faults {
                report.broken(
                    "call flow",
                    &fault.to_string().replace("\n   ", ":"),
                    "`ringproof flow check` says the same of one file",
                )?;
            }
            return Ok(None);
        }
        Err(error @ config::FlowsError::Unreadable { .. }) => {
            report.broken("call flows", &error.to_string(), "correct callflows.dir, or the rights of the folder")?;
            return Ok(None);
        }
    };
    for flow in flows.iter() {
        report.good("call flow", &summary(flow))?;
        let Some(wanted) = &config.verification.locale else { continue };
        let spoken = flow.language_for(wanted);
        if wanted.split('-').next() != spoken.split('-').next() {
            let detail = format!("{} does not speak {wanted}; callees hear {spoken}", flow.id());
            report.warning("prompts", &detail, "add the language to the call flow, or change verification.locale")?;
        }
    }
    if let Some(name) = &config.verification.flow
        && flows.get(name).is_none()
    {
        let known: Vec<_> = flows.iter().map(|flow| flow.id().to_owned()).collect();
        let detail = format!("verification.flow names `{name}`; there are {}", known.join(", "));
        report.broken("call flow", &detail, "name one of those")?;
    }
    Ok(Some(flows))
}

async fn carriers(config: &Config, flows: Option<&Flows>, report: &mut Report<'_>) -> io::Result<()> {
    let (carriers, simulators) = match Carriers::new(&config.carriers, &crate::serve::voice(config).await) {
        Ok(carriers) => (carriers.carriers, carriers.simulators),
        Err(error) => return report.broken("carriers", &chain(&error), "correct its settings"),
    };
    for carrier in carriers {
        let what = format!("carrier {}", carrier.name);
        if simulators.contains_key(&carrier.name) {
            report.good(&what, "telephones in the process of the service")?;
            continue;
        }
        match timeout(PATIENCE, carrier.provider.check()).await {
            Ok(Ok(detail)) => report.good(&what, &detail)?,
            Ok(Err(fault)) => {
                let todo = match fault.kind {
                    CheckKind::Refused => "compare account and secret with the carrier's console",
                    CheckKind::Away => "is its address right, does it work, and may this machine reach it?",
                };
                report.broken(&what, &fault.why, todo)?
            }
            Err(_) => report.broken(&what, "no answer", "is its address right, and may this machine reach it?")?,
        }
    }
    let Some(flows) = flows else { return Ok(()) };
    for Found { fault, harmless } in playable::look(flows, config.callflows.dir.as_deref(), Some(config)) {
        let Diagnostic { file, line, column, message, suggestion, .. } = fault;
        let detail = format!("{file}:{line}:{column}: {message}");
        if harmless {
            report.warning("prompts", &detail, &suggestion)?;
        } else {
            report.broken("prompts", &detail, &suggestion)?;
        }
    }
    Ok(())
}

/// Callees trust numbers of their own country, and some networks block others.
fn caller_ids(config: &Config, report: &mut Report<'_>) -> io::Result<()> {
    for carrier in &config.carriers {
        for number in &carrier.from {
            if let Err(error) = phone::read(number.expose(), None) {
                let detail = format!(
                    "carrier {}: {} does not look like a telephone number: {error}",
                    carrier.name,
                    number.expose()
                );
                report.warning("caller ID", &detail, "is it really one of yours?")?;
            }
        }
    }
    let strangers: Vec<_> = config
        .numbers
        .countries
        .iter()
        .filter(|country| {
            let domestic = |number: &phone::E164| number.country() == Some(**country);
            !config.carriers.iter().any(|carrier| carrier.from.iter().any(domestic))
        })
        .map(ToString::to_string)
        .collect();
    match strangers.as_slice() {
        [] => report.good("caller IDs", "one of its own for every country that is called"),
        some if some.len() <= 8 => {
            let detail = format!("callees in {} see a foreign number", some.join(", "));
            report.warning(
                "caller IDs",
                &detail,
                "foreign numbers are often blocked or not answered; add a domestic one to `from`",
            )
        }
        many => {
            let detail = format!("callees in {} countries see a foreign number", many.len());
            report.warning(
                "caller IDs",
                &detail,
                "foreign numbers are often blocked or not answered; add domestic ones to `from`",
            )
        }
    }
}

/// Whether operators can sign in through the provider of `[console.oidc]`; nobody signs in here.
async fn identity_provider(config: &Config, report: &mut Report<'_>) -> io::Result<()> {
    let what = "console sign-in";
    let settings = &config.console;
    if !settings.enabled || settings.oidc.is_none() {
        return Ok(());
    }
    let made = config.console_url(settings.listen, &config.public_url()).map(|url| crate::serve::oidc(config, &url));
    let oidc = match made {
        Ok(Ok(Some(oidc))) => oidc,
        Ok(Ok(None)) => return Ok(()),
        Ok(Err(error)) => {
            return report.broken(what, &chain(&error), "is the list of certificate authorities installed?");
        }
        Err(error) => return report.broken(what, &error.to_string(), "correct console.public_url"),
    };
    match timeout(PATIENCE, oidc.check()).await {
        Ok(Ok(detail)) => report.good(what, &detail),
        Ok(Err(trouble @ Trouble::Away { .. })) => {
            let todo = "is console.oidc.issuer right, does the provider work, and may this machine reach it?";
            report.broken(what, &trouble.to_string(), todo)
        }
        Ok(Err(trouble @ (Trouble::Unfit(_) | Trouble::Refused(_)))) => report.broken(
            what,
            &trouble.to_string(),
            "compare [console.oidc] with what the provider says: docs/console.md",
        ),
        Err(_) => report.broken(what, "no answer", "may this machine reach the provider?"),
    }
}

/// Whether the service runs on this machine. That it does not is no fault: one looks before one starts it.
async fn service(config: &Config, client: &reqwest::Client, report: &mut Report<'_>) -> io::Result<bool> {
    let url = local(config.server.listen);
    let runs = health(client, &url).await.is_ok_and(|(_, alive)| alive);
    let detail = if runs { format!("runs at {url}") } else { format!("does not run at {url} now") };
    report.good("service", &detail)?;
    Ok(runs)
}

/// What `/healthz` below an address answers, and whether that is what a ringproof answers.
async fn health(client: &reqwest::Client, base: &str) -> reqwest::Result<(StatusCode, bool)> {
    let mut answer = client.get(format!("{}/healthz", base.trim_end_matches('/'))).send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ALIVE.len() + 2 {
            break;
        }
    }
    Ok((answer.status(), answer.status().is_success() && body.trim_ascii() == ALIVE.as_bytes()))
}

/// Whether the public address leads to a ringproof. Seen from here: a carrier may see something else.
async fn public_address(
    config: &Config,
    client: &reqwest::Client,
    runs: bool,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let what = "public address";
    let Some(url) = &config.server.public_url else {
        return report.good(what, "not needed: no carrier calls back");
    };
    let (detail, todo) = match health(client, url).await {
        Ok((_, true)) => return report.good(what, &format!("{url} leads to a ringproof")),
        Err(error) => {
            let todo = "is the name in DNS, the reverse proxy running, and its certificate good?";
            (format!("{url}: {}", chain(&error.without_url())), todo)
        }
        Ok((status, false)) => {
            let todo = match status.as_u16() {
                502..=504 => "the reverse proxy does not reach the service: does it listen where the proxy looks?",
                404 => "does the reverse proxy strip the path of server.public_url?",
                300..=399 => {
                    "name the address that it redirects to: signatures are checked against the one that is called"
                }
                _ => "is this the right address, and does nothing in front ask for a login?",
            };
            (format!("{url}/healthz answers {status}, and not as a ringproof does"), todo)
        }
    };
    if runs {
        return report.broken(what, &detail, todo);
    }
    let todo = format!("start the service, then look again; {todo}");
    report.warning(what, &detail, &todo)
}
