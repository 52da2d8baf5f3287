//! Commands that go on until something happens: a call that is watched, a code that is typed, a log that is followed, the
//! demo. They are ended as people end them.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::Instant;

use super::service::{carrier, carriers};
use crate::world::{
    carrier::{Act, Callee, Carrier, Line, When},
    program::{Serving, Settings, free_port, program, signal},
};

/// Longest wait for a command to say or do something.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that runs; what it prints is read line by line.
struct Running {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let (out, err) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
        let pipes: [Box<dyn Read + Send>; 2] = [Box::new(out), Box::new(err)];
        for pipe in pipes {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    sender.send(line).ok();
                }
            });
        }
        let input = process.stdin.take();
        Self { process, input, lines, said: Vec::new() }
    }

    /// Waits until it has said this; the whole line. The two ways out come in any order.
    fn until(&mut self, word: &str) -> String {
        if let Some(line) = self.said.iter().find(|line| line.contains(word)) {
            return line.clone();
        }
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(word) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("it never said {word}: {:#?}", self.said)
                }
            }
        }
    }

    fn types(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    fn interrupt(&self) {
        signal(self.process.id(), "INT");
    }

    /// Waits for its end: exit code, and everything that it said.
    fn end(mut self) -> (Option<i32>, String) {
        let end = Instant::now() + PATIENCE;
        while self.process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "it does not end: {:#?}", self.said);
            while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(20)) {
                self.said.push(line);
            }
        }
        self.said.extend(self.lines.iter());
        (self.process.wait().unwrap().code(), self.said.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn command(settings: &Settings, arguments: &[&str]) -> Command {
    let mut command = program(settings.folder());
    command.args(arguments).env("RINGPROOF_API_KEY", settings.key());
    command
}

/// The code that a callee heard, as soon as it was spoken.
async fn code_heard(carrier: &Carrier) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let heard = carrier.calls().first().map(|call| call.heard.join(" ")).unwrap_or_default();
        let digits: String = heard.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= 12 {
            let (first, second) = digits.split_at(digits.len() / 2);
            assert_eq!(first, second, "the code is spoken twice");
            return first.to_owned();
        }
        assert!(Instant::now() < end, "no code was spoken: {heard}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoken_code_is_typed_at_the_terminal() {
    let carrier = carrier().await;
    let settings = Settings::new("memory:", &carriers(&carrier));
    let service = Serving::start(&settings);
    carrier.callee("+819012345678", Callee::person([Act::Press("#", When::After), Act::Wait]));
    let arguments = ["call", "+819012345678", "--mode", "speak", "--wait", "--locale", "en"];
    let mut call = Running::start(&mut command(&settings, &arguments));
    call.types("111111");
    call.until("The code has not been spoken yet.");
    let code = code_heard(&carrier).await;
    call.types("");
    call.types(if code == "000000" { "111111" } else { "000000" });
    call.types(&format!(" {} {} ", &code[..3], &code[3..]));
    let (exit, said) = tokio::task::spawn_blocking(move || call.end()).await.unwrap();
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("Verified: +81") && !said.contains(&code), "{said}");
    service.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_call_is_taken_back() {
    let carrier = carrier().await;
    let settings = Settings::new("memory:", &carriers(&carrier));
    let service = Serving::start(&settings);
    carrier.callee("+819012345678", Callee::line(Line::RingsOut));
    let mut call = Running::start(&mut command(&settings, &["call", "+819012345678", "--wait"]));
    call.until("Ringing at");
    call.interrupt();
    let (exit, said) = tokio::task::spawn_blocking(move || call.end()).await.unwrap();
    assert_eq!(exit, Some(6), "{said}");
    assert!(said.contains("Taking it back") && said.contains("Not verified (canceled, by_client)"), "{said}");
    carrier.all_over().await;
    service.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_watched_in_japanese() {
    let carrier = carrier().await;
    let settings = Settings::new("memory:", &carriers(&carrier));
    let service = Serving::start(&settings);
    carrier.callee("+819012345678", Callee::presses(["#"]));
    carrier.callee("+818012345678", Callee::line(Line::Busy));
    let watched = |number: &str| {
        let mut command = command(&settings, &["call", number, "--wait"]);
        command.env_remove("LC_ALL").env("LANG", "ja_JP.UTF-8");
        let call = Running::start(&mut command);
        tokio::task::spawn_blocking(move || call.end())
    };
    let (exit, said) = watched("+819012345678").await.unwrap();
    assert_eq!(exit, Some(0), "{said}");
    for word in ["に発信しています", "キーを待っています", "確認できました：+81"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let (exit, said) = watched("+818012345678").await.unwrap();
    assert_eq!(exit, Some(3), "{said}");
    for word in ["確認できませんでした（failed, busy）：+81", "話し中でした。", "次の操作："] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("Dialling") && !said.contains("Next:"), "{said}");
    service.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_call_log_is_followed() {
    let carrier = carrier().await;
    let settings = Settings::new("memory:", &carriers(&carrier));
    let service = Serving::start(&settings);
    carrier.callee("+819012345678", Callee::presses(["#"]));
    carrier.callee("+818012345678", Callee::line(Line::Busy));
    let mut followed = Running::start(&mut command(&settings, &["calls", "--follow"]));
    followed.until("No calls yet; waiting…");
    for (number, ends) in [("+819012345678", "verified"), ("+818012345678", "busy")] {
        let call = Running::start(&mut command(&settings, &["call", number, "--wait"]));
        let (_, said) = tokio::task::spawn_blocking(move || call.end()).await.unwrap();
        assert!(said.contains("erified"), "{said}");
        (followed) = tokio::task::spawn_blocking(move || {
            let line = followed.until(ends);
            assert!(line.contains("+81 •• •••• 5678") && line.contains("main"), "{line}");
            followed
        })
        .await
        .unwrap();
    }
    followed.interrupt();
    let (exit, said) = tokio::task::spawn_blocking(move || followed.end()).await.unwrap();
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(said.lines().filter(|line| line.contains("5678")).count(), 2, "each call once: {said}");

    // What the limit left out at first does not come later as if it were new.
    carrier.callee("+817012345678", Callee::presses(["#"]));
    let mut followed = Running::start(&mut command(&settings, &["calls", "--follow", "--limit", "1"]));
    followed.until("busy");
    let call = Running::start(&mut command(&settings, &["call", "+817012345678", "--wait"]));
    let said = tokio::task::spawn_blocking(move || {
        call.end();
        followed.until("verified");
        followed.interrupt();
        followed.end().1
    });
    let said = said.await.unwrap();
    assert_eq!(said.lines().filter(|line| line.contains("5678")).count(), 2, "the newest and the new one: {said}");
    service.kill();
}

/// The demo in a folder of its own for what it may leave behind.
fn demo(folder: &Path, more: &[&str]) -> Command {
    let mut command = program(folder);
    command.args(["demo", "--listen", "127.0.0.1:0"]).args(more).env("TMPDIR", folder);
    command
}

fn address(line: &str) -> String {
    line.split_whitespace().find_map(|word| Some(&word[word.find("http://")?..])).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_runs_alone_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let mut demo = Running::start(&mut demo(folder.path(), &[]));
    let line = demo.until("ringproof demo: open http://127.0.0.1:");
    let key = demo.until("an API key rp_");
    let address = address(&line);
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    for (path, word) in [("/", "<html"), ("/healthz", "alive"), ("/openapi.json", "\"3.1.0\"")] {
        let answer = client.get(format!("{address}{path}")).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        assert!(answer.text().await.unwrap().contains(word), "{path}");
    }
    let key = key.split_whitespace().last().unwrap().to_owned();
    let asked = client.post(format!("{address}/v1/verifications")).bearer_auth(key);
    let asked = asked.header("content-type", "application/json").body(r#"{"to": "+819012345678"}"#);
    assert_eq!(asked.send().await.unwrap().status(), 201);
    demo.interrupt();
    let (exit, said) = tokio::task::spawn_blocking(move || demo.end()).await.unwrap();
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_speaks_japanese_and_a_crash_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let mut command = demo(folder.path(), &["--brand", "コントソ"]);
    command.env_remove("LC_ALL").env("LANG", "ja_JP.UTF-8");
    let mut demo = Running::start(&mut command);
    let line = demo.until("ringproof のデモ：ブラウザーで http://127.0.0.1:");
    assert!(address(&line).starts_with("http://127.0.0.1:"));
    demo.until("ブラウザーの外の電話は鳴りません。");
    signal(demo.process.id(), "KILL");
    let (exit, _) = tokio::task::spawn_blocking(move || demo.end()).await.unwrap();
    assert_eq!(exit, None);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measurements_have_an_address_of_their_own() {
    let carrier = carrier().await;
    let settings = Settings::new("memory:", &carriers(&carrier));
    let port = free_port();
    let text = fs::read_to_string(settings.file()).unwrap();
    let line = format!("metrics_listen = \"127.0.0.1:{port}\"\n[store]");
    fs::write(settings.file(), text.replacen("[store]", &line, 1)).unwrap();
    let service = Serving::start(&settings);
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let (own, main) = (format!("http://127.0.0.1:{port}"), settings.url());
    // What was counted before the first look is there.
    let answer = client.get(format!("{main}/readyz")).send().await.unwrap();
    assert!(answer.status().is_success());
    let answer = client.get(format!("{own}/metrics")).send().await.unwrap();
    assert!(answer.status().is_success(), "no key is needed there: {}", answer.status());
    let text = answer.text().await.unwrap();
    assert!(text.contains("ringproof_carrier_up{carrier=\"main\"} 1"), "{text}");
    for path in ["/v1/verifications", "/docs/", "/"] {
        let answer = client.get(format!("{own}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}: only measurements are there");
    }
    assert_eq!(client.get(format!("{main}/metrics")).send().await.unwrap().status(), 401);
    let allowed = client.get(format!("{main}/metrics")).bearer_auth(settings.key()).send().await.unwrap();
    assert!(allowed.status().is_success());
    service.kill();
}
