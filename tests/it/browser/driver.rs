//! Owns a running demo and a real browser that looks at it: starting both, waiting for conditions with a bound, pressing
//! keys, taking pictures, and everything the browser complained about.

use std::{
    cell::RefCell,
    fs,
    future::Future,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
    key::Key,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use serde_json::{Value, json};

use crate::tidy;

/// Longest time that anything on a page is waited for. A slow machine needs some of it, a broken page all of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// How much faster than in real life the calls of the demo go.
pub(super) const SPEED: u32 = 4;

/// Every language and colours that a page is looked at in.
pub(super) const DRESSES: [(&str, &str); 4] = [("en", "light"), ("en", "dark"), ("ja", "light"), ("ja", "dark")];

/// The rules of axe-core, as npm brings them.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let file = tidy::root().join("tests/npm/node_modules/axe-core/axe.min.js");
    fs::read_to_string(&file).unwrap_or_else(|_| panic!("axe-core is not installed: scripts/setup test"))
});

/// Applies them all, and tells each breach with its places.
const APPLY_AXE: &str = "const done = arguments[arguments.length - 1]; \
    axe.run(document, { resultTypes: ['violations'] }).then( \
      ({ violations, passes }) => done({ passed: passes.length, faults: violations.map(({ id, help, nodes }) => \
        `${id}: ${help}: ${nodes.slice(0, 4).map((node) => `${node.target} ${node.html.slice(0, 160)} (${node.failureSummary})`).join('; ')}`) }), \
      (fault) => done({ passed: 0, faults: [`axe-core failed: ${fault}`] }));";

/// A process that ends with the test.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _over = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Starts a program and reads the lines it prints until one of them says `after`; what follows it there is returned.
/// What it reads never comes, and ends with it.
pub(super) fn start(mut command: Command, after: &str) -> (Running, String) {
    let what = format!("{command:?}");
    let child = command.stdout(Stdio::piped()).stdin(Stdio::piped()).spawn();
    let mut child = Running(child.unwrap_or_else(|error| panic!("{what} does not start: {error}")));
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains(after));
    let line = line.unwrap_or_else(|| panic!("{what} ended without saying `{after}`"));
    // What it says later is read, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (child, line.split_once(after).unwrap().1.to_owned())
}

/// A service and a browser.
pub(super) struct Desk {
    pub(super) browser: Client,
    pub(super) address: String,
    _demo: Option<Running>,
    _driver: Running,
    _profile: tempfile::TempDir,
}

impl Desk {
    /// Opens both. The browser prefers Japanese.
    pub(super) async fn open() -> Self {
        Self::open_with(&["--speed", &SPEED.to_string()]).await
    }

    /// Opens both, the demo with these arguments.
    pub(super) async fn open_with(arguments: &[&str]) -> Self {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_ringproof"));
        demo.args(["demo", "--listen", "127.0.0.1:0"]).args(arguments);
        let (demo, rest) = start(demo, "http://");
        let address = format!("http://{}", rest.split(|c: char| c.is_whitespace() || c == '/').next().unwrap());
        Self { _demo: Some(demo), ..Self::at(address).await }
    }

    /// Opens a browser that looks at a service which runs already.
    pub(super) async fn at(address: String) -> Self {
        let mut driver = Command::new("chromedriver");
        driver.args(["--port=0", "--log-level=SEVERE"]);
        let (driver, rest) = start(driver, "started successfully on port ");
        let port = rest.trim().trim_end_matches('.');
        let profile = tempfile::tempdir().unwrap();
        let browser = ClientBuilder::rustls()
            .unwrap()
            .capabilities(capabilities(&profile))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        Self { browser, address, _demo: None, _driver: driver, _profile: profile }
    }

    pub(super) async fn close(self) {
        self.browser.clone().close().await.unwrap();
    }

    pub(super) async fn go(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.address)).await.unwrap();
    }

    /// Runs a script in the page: its `return` value.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.browser.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns something true.
    pub(super) async fn until(&self, what: &str, script: &str) {
        let done = wait(PATIENCE, async || {
            let seen = self.browser.execute(script, Vec::new()).await.unwrap_or(Value::Null);
            !matches!(seen, Value::Null | Value::Bool(false)) && seen != "" && seen != 0
        });
        if !done.await {
            self.picture("gave-up").await;
            let text = self.run("return document.body.innerText").await;
            panic!("waited in vain until {what}; the page says:\n{}", text.as_str().unwrap_or_default());
        }
    }

    /// Waits until something of this selector is there and shown.
    pub(super) async fn until_shown(&self, selector: &str) {
        let script = format!("return !!document.querySelector({})?.checkVisibility()", json!(selector));
        self.until(&format!("{selector} is shown"), &script).await;
    }

    /// Waits until something of this selector says this.
    pub(super) async fn until_says(&self, selector: &str, text: &str) {
        let script = format!("return document.querySelector({})?.innerText.includes({})", json!(selector), json!(text));
        self.until(&format!("{selector} says {text}"), &script).await;
    }

    pub(super) async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(selector));
        self.run(&script).await.as_str().unwrap_or_default().trim().to_owned()
    }

    pub(super) async fn find(&self, selector: &str) -> Element {
        self.until_shown(selector).await;
        self.browser.find(Locator::Css(selector)).await.unwrap()
    }

    pub(super) async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Types on the keyboard, wherever the focus is.
    pub(super) async fn keys(&self, keys: &str) {
        let strokes = keys.chars().fold(KeyActions::new(String::from("keyboard")), |strokes, value| {
            strokes.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.browser.perform_actions(strokes).await.unwrap();
    }

    /// Presses Tab until the focus is on this, as a person without a mouse does.
    pub(super) async fn tab_to(&self, selector: &str) {
        let there = format!("return document.activeElement.matches({})", json!(selector));
        for _ in 0..40 {
            self.keys(&Key::Tab.to_string()).await;
            if self.run(&there).await == true {
                let ring = "return getComputedStyle(document.activeElement).outlineStyle";
                assert_ne!(self.run(ring).await, "none", "{selector} does not show that it has the focus");
                return;
            }
        }
        let at = self.run("return document.activeElement.outerHTML").await;
        panic!("{selector} cannot be reached with the keyboard; the focus is on {at}");
    }

    /// What axe-core finds on the page and what the browser complains of meanwhile, each in words. A script of the driver runs whatever the page's own policy is.
    pub(super) async fn axe(&self) -> Vec<String> {
        if self.run("return typeof axe === 'undefined'").await == true {
            self.run(&AXE).await;
        }
        let told = self.browser.execute_async(APPLY_AXE, Vec::new()).await.unwrap();
        let mut faults: Vec<String> = serde_json::from_value(told["faults"].clone()).unwrap();
        assert!(told["passed"].as_u64() > Some(5) || !faults.is_empty(), "axe-core has looked at nothing: {told}");
        // It tries styles of its own on elements; the policy of the page blocks these, and the browser says so.
        let complaints = self.complaints_until_now().await.into_iter();
        faults.extend(complaints.filter(|told| !told.contains("Applying inline style violates")));
        faults
    }

    /// As [`Desk::complaints`], and none comes later: the browser's log is read up to a mark that is made in it now.
    async fn complaints_until_now(&self) -> Vec<String> {
        const MARK: &str = "the log is read up to here";
        self.run(&format!("console.error('{MARK}')")).await;
        let told = RefCell::new(Vec::new());
        let read = || async {
            let more = self.complaints().await;
            told.borrow_mut().extend(more);
            told.borrow().iter().any(|told: &String| told.contains(MARK))
        };
        assert!(wait(PATIENCE, read).await, "the browser's log has no mark: {told:?}");
        let mut told = told.into_inner();
        told.retain(|told| !told.contains(MARK));
        told
    }

    /// Has pages shown in this language and these colours from the next one on: through the form that is sent to `path`,
    /// as its buttons send it.
    pub(super) async fn dress(&self, path: &str, (language, theme): (&str, &str)) {
        let send = "const [path, fields, done] = arguments; \
                    fetch(path, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' }) \
                    .then((answer) => done(answer.type), (fault) => done(String(fault)))";
        let fields = json!({ "language": language, "theme": theme });
        let told = self.browser.execute_async(send, vec![json!(path), fields]).await.unwrap();
        assert_eq!(told, "opaqueredirect", "{path} takes the choice of {language}, {theme}");
    }

    /// Where the browser is: path and query.
    pub(super) async fn at_path(&self) -> String {
        self.run("return location.pathname + location.search").await.as_str().unwrap().to_owned()
    }

    pub(super) async fn cdp(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.browser.issue_cmd(Extra { path: "goog/cdp/execute", body }).await.unwrap();
    }

    /// Makes the page as wide and high as this, whatever the window can be.
    pub(super) async fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// What the browser complained about since it was last asked: errors of scripts, breaches of the security policy,
    /// files that are not there.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let body = json!({ "type": "browser" });
        let log = self.browser.issue_cmd(Extra { path: "se/log", body }).await.unwrap();
        let entries = log.as_array().unwrap().iter();
        let serious = entries.filter(|entry| entry["level"] == "SEVERE" || entry["source"] == "security");
        serious.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Keeps a picture of what is seen in `target/screenshots`.
    pub(super) async fn picture(&self, name: &str) -> Vec<u8> {
        let png = self.browser.screenshot().await.unwrap();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), &png).unwrap();
        png
    }
}

/// Waits for a condition, at most so long.
async fn wait<F: Future<Output = bool>>(patience: Duration, condition: impl Fn() -> F) -> bool {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(patience, wait).await.is_ok()
}

fn capabilities(profile: &tempfile::TempDir) -> Capabilities {
    let arguments = json!([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--lang=ja",
        "--window-size=1280,860",
        format!("--user-data-dir={}", profile.path().display()),
    ]);
    let options = json!({ "args": arguments, "prefs": { "intl.accept_languages": "ja,en;q=0.5" } });
    let Value::Object(all) = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } }) else {
        unreachable!()
    };
    all.into_iter().collect()
}

/// A command of `ChromeDriver` that is not in the standard.
#[derive(Debug)]
struct Extra {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _url: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
