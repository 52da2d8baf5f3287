//! Owns `call`: asks a running service for a verification and shows it until its end. Everything is learned over the
//! public API; the exit code is 0 only for `verified`.

use std::{io, time::Duration};

use data_encoding::HEXLOWER;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{sync::mpsc, time::sleep};

use super::{
    Exit, Outcome,
    api::{Api, ApiError, Connection},
    output::{Mark, Output, plain},
};
use crate::{
    gateway::SystemEntropy,
    id::Entropy,
    outcome::{Mode, NextStep, Purpose, Reason, Stage, Status},
    texts,
};

/// How long one answer is held.
const HOLD: Duration = Duration::from_secs(25);
/// Pause before asking again where the service did not answer.
const PAUSE: Duration = Duration::from_secs(2);
/// How often in a row the service may not answer while a call is running: five minutes, the longest life of most.
const MAX_SILENT: u32 = 150;
/// How often the live line moves.
const TICK: Duration = Duration::from_millis(120);
/// How often a request that got no answer is sent, with the same idempotency key.
const CREATE_ATTEMPTS: u32 = 3;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The number: international (+81 90…), or national with --country
    number: String,
    /// Country of a national number, as in JP
    #[arg(long, value_name = "CC")]
    country: Option<String>,
    /// Language of the prompts, as in ja-JP
    #[arg(long)]
    locale: Option<String>,
    /// What the callee has to do: confirm, match, speak
    #[arg(long, default_value = "confirm")]
    mode: Mode,
    /// Called when the number was not reached; up to 3, in order
    #[arg(long, value_name = "NUMBER")]
    alternate: Vec<String>,
    /// Dialled after answer: digits, * and #, a comma for a second
    #[arg(long)]
    extension: Option<String>,
    /// Call flow
    #[arg(long)]
    flow: Option<String>,
    /// Who is said to call
    #[arg(long)]
    brand: Option<String>,
    /// Why the call is made: enrolment, `sign_in`, transaction
    #[arg(long)]
    purpose: Option<Purpose>,
    /// Your own name for the verification
    #[arg(long)]
    reference: Option<String>,
    /// Life of the verification in seconds, 60 to 600
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u32>,
    /// Most calls, 1 to 5
    #[arg(long, value_name = "N")]
    max_calls: Option<u32>,
    /// Call through this carrier of the configuration only; the API key needs the scope admin
    #[arg(long, value_name = "NAME")]
    carrier: Option<String>,
    /// Wait for the end, and show how it goes
    #[arg(long)]
    wait: bool,
    /// Print the verification as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A verification, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Seen {
    id: String,
    status: Status,
    stage: Stage,
    reason: Option<Reason>,
    next_step: Option<NextStep>,
    to: String,
    caller_id: Option<String>,
    match_code: Option<String>,
    #[serde(default)]
    calls: Vec<SeenCall>,
    revision: u64,
}

#[derive(Debug, Deserialize)]
struct SeenCall {
    to: String,
}

impl Arguments {
    fn body(&self) -> Value {
        let texts = [
            ("to", Some(&self.number)),
            ("country", self.country.as_ref()),
            ("locale", self.locale.as_ref()),
            ("extension", self.extension.as_ref()),
            ("flow", self.flow.as_ref()),
            ("brand", self.brand.as_ref()),
            ("reference", self.reference.as_ref()),
            ("carrier", self.carrier.as_ref()),
        ];
        let mut body: Map<String, Value> =
            texts.into_iter().filter_map(|(member, text)| Some((member.to_owned(), json!(text?)))).collect();
        body.insert(String::from("mode"), json!(self.mode));
        let numbers = [("expires_in", self.expires_in), ("max_calls", self.max_calls)];
        body.extend(numbers.into_iter().filter_map(|(member, number)| Some((member.to_owned(), json!(number?)))));
        if let Some(purpose) = self.purpose {
            body.insert(String::from("purpose"), json!(purpose));
        }
        if !self.alternate.is_empty() {
            let alternates: Vec<_> = self.alternate.iter().map(|number| json!({ "to": number })).collect();
            body.insert(String::from("alternates"), json!(alternates));
        }
        Value::Object(body)
    }
}

pub(super) async fn run(arguments: &Arguments, out: &mut Output) -> Outcome {
    let api = match Api::new(&arguments.connection, out)? {
        Ok(api) => api,
        Err(exit) => return Ok(exit),
    };
    let first = match create(&api, arguments).await {
        Ok(document) => document,
        Err(error) => return error.tell(&api, out),
    };
    let Some(seen) = read(&first) else {
        return ApiError::Odd(String::from("its answer cannot be read")).tell(&api, out);
    };
    if let Some(code) = &seen.match_code {
        let code = out.paint_note(&plain(code), Mark::Strong);
        out.note(&out.text("call-key-in", &[("code", &code)]))?;
    }
    if !arguments.wait {
        if arguments.json {
            out.line(&first.to_string())?;
        } else {
            out.line(&plain(&seen.id))?;
            out.note(&out.text("call-asked", &[("to", &plain(&seen.to))]))?;
        }
        return Ok(Exit::Pending);
    }
    let shown = Shown::new(out, arguments.json);
    let watched = watch(&api, arguments.mode, first, &shown, out).await;
    shown.clear();
    match watched? {
        Ok(last) => finish(&last, arguments.json, out),
        Err(error) => error.tell(&api, out),
    }
}

/// Asks, and asks again where no answer came: the idempotency key makes it one verification.
async fn create(api: &Api, arguments: &Arguments) -> Result<Value, ApiError> {
    let mut key = [0; 16];
    SystemEntropy.fill(&mut key);
    let (body, key) = (arguments.body(), HEXLOWER.encode(&key));
    let mut attempt = 1;
    loop {
        match api.create(&body, &key).await {
            Err(ApiError::Away(_)) if attempt < CREATE_ATTEMPTS => attempt += 1,
            Err(ApiError::Refused(problem))
                if problem.code == "idempotency_in_progress" && attempt < CREATE_ATTEMPTS =>
            {
                attempt += 1;
            }
            other => return other,
        }
        sleep(PAUSE / 4).await;
    }
}

fn read(document: &Value) -> Option<Seen> {
    Seen::deserialize(document).ok()
}

/// What people see while it goes on: one moving line on a terminal, a line for each change elsewhere.
struct Shown {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Shown {
    fn new(out: &Output, quiet: bool) -> Self {
        let bar = out.err_is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:>4}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { bar, quiet }
    }

    fn say(&self, text: &str, out: &mut Output) -> io::Result<()> {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if self.quiet => {}
            None => out.note(text)?,
        }
        Ok(())
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Follows a verification to its end; the last document, or why it cannot be followed.
async fn watch(
    api: &Api,
    mode: Mode,
    first: Value,
    shown: &Shown,
    out: &mut Output,
) -> io::Result<Result<Value, ApiError>> {
    let mut document = first;
    let mut said = String::new();
    let mut silent = 0;
    let mut codes = typed_lines(mode);
    loop {
        let Some(seen) = read(&document) else {
            return Ok(Err(ApiError::Odd(String::from("its answer cannot be read"))));
        };
        if seen.status != Status::Pending {
            return Ok(Ok(document));
        }
        let text = progress(&seen, mode, out.language);
        if text != said {
            shown.say(&text, out)?;
            said = text;
        }
        let next = tokio::select! {
            next = api.wait(&seen.id, seen.revision, HOLD) => next,
            code = next_line(&mut codes) => compare(api, &seen.id, &code, shown, out).await?,
            _interrupted = tokio::signal::ctrl_c() => {
                shown.say(&out.text("call-taking-back", &[]), out)?;
                api.cancel(&seen.id).await
            }
        };
        match next {
            Ok(next) => {
                silent = 0;
                document = next;
            }
            Err(error @ ApiError::Away(_)) if silent >= MAX_SILENT => return Ok(Err(error)),
            Err(ApiError::Away(_)) => {
                silent += 1;
                shown.say(&out.text("call-silent", &[]), out)?;
                said = String::new();
                sleep(PAUSE).await;
            }
            Err(ApiError::Refused(problem)) if passes(&problem.code) => {
                silent += 1;
                if silent >= MAX_SILENT {
                    return Ok(Err(ApiError::Refused(problem)));
                }
                sleep(PAUSE).await;
            }
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Problems that are over soon, while the call goes on.
fn passes(code: &str) -> bool {
    ["store_away", "overloaded", "timeout", "draining", "too_many", "not_pending"].contains(&code)
}

/// In mode `speak` the code is typed here: lines of the standard input.
fn typed_lines(mode: Mode) -> Option<mpsc::Receiver<String>> {
    if mode != Mode::Speak {
        return None;
    }
    let (sender, receiver) = mpsc::channel(1);
    // A thread of its own, as reading a terminal cannot be given up.
    let reading = std::thread::Builder::new().spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line.trim().to_owned()).is_err() {
                return;
            }
        }
    });
    reading.is_ok().then_some(receiver)
}

/// The next line; never, where none are read or come any more.
async fn next_line(lines: &mut Option<mpsc::Receiver<String>>) -> String {
    loop {
        let line = match lines {
            Some(lines) => lines.recv().await,
            None => std::future::pending().await,
        };
        match line {
            Some(line) if line.is_empty() => {}
            Some(line) => return line,
            None => *lines = None,
        }
    }
}

/// Has a typed code compared; whatever comes of it, the verification is read again.
async fn compare(
    api: &Api,
    id: &str,
    code: &str,
    shown: &Shown,
    out: &mut Output,
) -> io::Result<Result<Value, ApiError>> {
    match api.check(id, code).await {
        Ok(_) => {}
        Err(ApiError::Refused(problem)) if problem.code == "not_now" => {
            shown.say(&out.text("call-not-spoken", &[]), out)?;
        }
        Err(ApiError::Refused(problem)) if problem.code == "not_pending" => {}
        Err(error) => return Ok(Err(error)),
    }
    Ok(api.wait(id, 0, Duration::ZERO).await)
}

/// How it stands, in one line.
fn progress(seen: &Seen, mode: Mode, language: &str) -> String {
    let text = |id: &str, args: &[(&str, &str)]| texts::terminal(language, id, args);
    let to = plain(seen.calls.last().map_or(&seen.to, |call| &call.to));
    let from = seen.caller_id.as_deref().map(|from| text("call-from", &[("number", &plain(from))])).unwrap_or_default();
    let nth = seen.calls.len();
    let nth = if nth > 1 { text("call-nth", &[("n", &nth.to_string())]) } else { String::new() };
    let todo = text(&format!("todo-{mode}"), &[]);
    text(&format!("call-{}", seen.stage), &[("to", &to), ("from", &from), ("nth", &nth), ("todo", &todo)])
}

/// Says how it ended.
fn finish(document: &Value, as_json: bool, out: &mut Output) -> Outcome {
    let Some(seen) = read(document) else { return Ok(Exit::Broken) };
    if as_json {
        out.line(&document.to_string())?;
        return Ok(Exit::of(seen.status));
    }
    let to = plain(&seen.to);
    let verified = seen.status == Status::Verified;
    let why = seen.reason.map_or_else(|| seen.status.to_string(), |reason| format!("{}, {reason}", seen.status));
    if verified {
        out.line(&out.paint(&out.text("call-verified", &[("to", &to)]), Mark::Good))?;
    } else {
        out.line(&out.paint(&out.text("call-not-verified", &[("why", &why), ("to", &to)]), Mark::Bad))?;
    }
    if let Some(reason) = seen.reason.filter(|_| !verified) {
        out.line(&texts::reason(out.language, reason))?;
    }
    if let Some(step) = seen.next_step.filter(|_| !verified) {
        out.note(&out.text(&format!("advice-{step}"), &[]))?;
    }
    Ok(Exit::of(seen.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(stage: &str, calls: usize) -> Seen {
        let calls: Vec<_> = (0..calls).map(|_| json!({ "to": "+81 •• •••• 5678" })).collect();
        read(&json!({
            "id": "ver_1", "status": "pending", "stage": stage, "reason": null, "next_step": null, "to": "+81 •• •••• 5678",
            "caller_id": "+815012345678", "match_code": null, "calls": calls, "revision": 3,
        }))
        .unwrap()
    }

    #[test]
    fn each_stage_says_what_to_do() {
        let lines: Vec<_> =
            Stage::ALL.iter().map(|stage| progress(&seen(stage.as_str(), 1), Mode::Confirm, "en")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        Waiting for a line to +81 •• •••• 5678…
        Dialling +81 •• •••• 5678 from +815012345678…
        Ringing at +81 •• •••• 5678 from +815012345678. Answer, and press #.
        Answered at +81 •• •••• 5678…
        Waiting for keys at +81 •• •••• 5678: press #.
        The call to +81 •• •••• 5678 has ended…
        ");
        assert!(
            progress(&seen("ringing", 2), Mode::Match, "en")
                .contains("(call 2). Answer, and key in the digits, then #.")
        );
    }

    #[test]
    fn each_stage_says_it_in_japanese_too() {
        let lines: Vec<_> =
            Stage::ALL.iter().map(|stage| progress(&seen(stage.as_str(), 2), Mode::Speak, "ja")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        +81 •• •••• 5678 への回線を待っています（2 回目）…
        +81 •• •••• 5678 に発信しています（+815012345678 から）（2 回目）…
        +81 •• •••• 5678 を呼び出しています（+815012345678 から）（2 回目）。応答して、コードを聞いて、ここに入力してください。
        +81 •• •••• 5678 が応答しました（2 回目）…
        +81 •• •••• 5678 でキーを待っています（2 回目）：コードを聞いて、ここに入力してください。
        +81 •• •••• 5678 との通話が終わりました（2 回目）…
        ");
    }

    /// Every word that the API may send has a text: an id that is missing would be shown itself.
    #[test]
    fn every_word_has_a_text() {
        for language in ["en", "ja"] {
            let ids = NextStep::ALL.iter().map(|step| format!("advice-{step}"));
            let ids = ids.chain(Mode::ALL.iter().map(|mode| format!("todo-{mode}")));
            for id in ids.chain(Stage::ALL.iter().map(|stage| format!("call-{stage}"))) {
                assert_ne!(texts::terminal(language, &id, &[]), id);
            }
        }
    }

    #[test]
    fn what_a_service_sends_is_not_obeyed_by_the_terminal() {
        let mut odd = seen("ringing", 0);
        odd.to = String::from("\u{1b}[2Jgone");
        assert!(!progress(&odd, Mode::Confirm, "en").contains('\u{1b}'));
    }
}
