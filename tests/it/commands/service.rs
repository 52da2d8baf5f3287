//! The service and the commands that reach it, with a carrier that plays callees: settings in, exit codes out.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::world::{
    carrier::{Callee, Carrier, Line, Settings as CarrierSettings},
    program::{Ended, Serving, Settings, ended, program},
    redis::Redis,
};

/// Everything has to be over within this time after the signal.
const STOP_WITHIN: Duration = Duration::from_secs(25);

pub(super) async fn carrier() -> Carrier {
    Carrier::start(CarrierSettings::default()).await
}

pub(super) fn carriers(carrier: &Carrier) -> String {
    let CarrierSettings { account_sid, auth_token, from, .. } = carrier.settings();
    format!(
        "[[carriers]]\nname = \"main\"\nkind = \"twilio\"\nbase_url = \"{}\"\naccount_sid = \"{account_sid}\"\n\
         auth_token = \"{auth_token}\"\nfrom = {from:?}\n",
        carrier.base_url()
    )
}

/// Runs a command beside the carrier, which plays in this runtime.
async fn on_thread(work: impl FnOnce() -> Ended + Send + 'static) -> Ended {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn call(settings: &Settings, arguments: &[&str]) -> Ended {
    let mut command = program(settings.folder());
    command.arg("call").args(arguments).env("RINGPROOF_API_KEY", settings.key());
    on_thread(move || ended(&mut command)).await
}

/// Number, callee, exit code, and what must be printed.
type Story = (&'static str, Callee, i32, &'static str);

fn stories() -> Vec<Story> {
    vec![
        ("090-1234-5601", Callee::presses(["#"]), 0, "Verified: +81 •• •••• 5601"),
        ("090-1234-5602", Callee::silent(), 3, "Not verified (failed, no_input): +81 •• •••• 5602"),
        ("090-1234-5603", Callee::presses(["0", "#"]), 4, "Not verified (denied, fraud_reported): +81 •• •••• 5603"),
        ("090-1234-5604", Callee::line(Line::Busy), 3, "Not verified (failed, busy): +81 •• •••• 5604"),
        ("(201) 555-0123", Callee::presses(["5", "#"]), 0, "Verified: +1 ••• ••• 0123"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_end_with_the_exit_code_of_their_outcome() {
    let carrier = carrier().await;
    let redis = Redis::start();
    let settings = Settings::new(&redis.url(), &carriers(&carrier));
    let service = Serving::start(&settings);
    for (number, callee, code, printed) in stories() {
        let country = if number.starts_with('(') { "US" } else { "JP" };
        let e164 = ringproof::phone::read(number, country.parse().ok()).unwrap().e164;
        carrier.callee(e164.expose(), callee);
        let said = call(&settings, &[number, "--country", country, "--wait", "--reference", "story"]).await;
        assert_eq!(said.code, Some(code), "{number}: {}\n{}", said.out, said.err);
        assert!(said.out.starts_with(printed), "{number}: {}", said.out);
        assert!(said.err.contains("Dialling "), "{number}: {}", said.err);
        assert!(!said.err.contains(e164.expose()) && !said.out.contains(e164.expose()));
    }
    carrier.all_over().await;
    assert_eq!(carrier.violations(), Vec::<String>::new());

    log_shows_all(&settings).await;
    erased_is_gone(&settings);
    let (code, took, log) = service.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(took < STOP_WITHIN, "{took:?}");
    for (number, ..) in stories() {
        let digits: String = number.chars().filter(char::is_ascii_digit).skip(1).collect();
        assert!(!log.contains(&digits), "a full number is in the log");
    }
    assert!(!log.contains(settings.key()) && !log.contains(&carrier.settings().auth_token));
}

/// The call log has one record for each story, and its filters work.
async fn log_shows_all(settings: &Settings) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let list = loop {
        let list = settings.run(&["calls", "--json"]);
        assert_eq!(list.code, Some(0), "{}", list.err);
        if list.out.lines().count() == stories().len() {
            break list.out;
        }
        assert!(Instant::now() < deadline, "calls are missing in the log:\n{}", list.out);
        sleep(Duration::from_millis(50)).await;
    };
    let records: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.is_sorted_by_key(|record| record["ended_at"].as_str().unwrap().to_owned()), "oldest first");

    let count = |filters: &[&str]| {
        let said = settings.run(&[&["calls", "--json"], filters].concat());
        assert_eq!(said.code, Some(0), "{filters:?}: {}", said.err);
        said.out.lines().count()
    };
    assert_eq!(count(&["--status", "verified"]), 2);
    assert_eq!(count(&["--reason", "busy"]), 1);
    assert_eq!(count(&["--country", "US"]), 1);
    assert_eq!(count(&["--number", "090-1234-5601", "--country", "JP"]), 1);
    assert_eq!(count(&["--carrier", "main", "--since", "1h"]), 5);
    assert_eq!(count(&["--since", "2100-01-01T00:00:00Z"]), 0);
    assert_eq!(count(&["--limit", "2"]), 2);
    assert_eq!(count(&["--last-digits", "5604", "--reference", "story"]), 1);
    assert_eq!(count(&["--client", "nobody", "--until", "2100-01-01T00:00:00Z"]), 0);
    one_call_and_all_of_them(settings, &records);
    stats_add_up(settings, records.len());
    let table = settings.run(&["calls"]);
    for word in ["NUMBER", "+81 •• •••• 5604", "busy", "verified", "story", "main"] {
        assert!(table.out.contains(word), "{}", table.out);
    }
}

/// `show` explains the call to the number that was busy, `export` writes the log as a file.
fn one_call_and_all_of_them(settings: &Settings, records: &[Value]) {
    let busy = records.iter().find(|record| record["reason"] == "busy").unwrap();
    let id = busy["id"].as_str().unwrap();
    let shown = settings.run(&["calls", "show", id]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let words =
        ["The line was busy.", "try again in a minute", "backend", "── place ──", "verification  ver_", "in all  "];
    for word in words.into_iter().chain([id]) {
        assert!(shown.out.contains(word), "{word} is missing:\n{}", shown.out);
    }
    let json = settings.run(&["calls", "show", id, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json.out).unwrap(), *busy);
    for (wrong, code) in [(&["show", "call/../x"][..], 2), (&["show", "call_x"], 7), (&["--since", "1h", "export"], 2)]
    {
        let said = settings.run(&[&["calls"], wrong].concat());
        assert_eq!(said.code, Some(code), "{wrong:?}: {}", said.err);
    }
    let csv = settings.run(&["calls", "export", "--since", "1h"]);
    assert_eq!((csv.code, csv.out.lines().count()), (Some(0), records.len() + 1), "{}\n{}", csv.out, csv.err);
    assert!(csv.out.starts_with("id,verification,client,reference,to,"), "{}", csv.out);
    let lines = settings.run(&["calls", "export", "--ndjson", "--reason", "busy"]);
    assert_eq!(serde_json::from_str::<Value>(&lines.out).unwrap(), *busy, "{}", lines.err);
}

/// What the log adds up to, in tables and as the service says it.
fn stats_add_up(settings: &Settings, calls: usize) {
    let json = settings.run(&["calls", "stats", "--json", "--range", "day"]);
    let stats: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (json.code, &stats["range"], &stats["totals"]["by_status"]["verified"]),
        (Some(0), &json!("day"), &json!(2))
    );
    let attempts = stats["totals"]["attempts"].as_u64().unwrap();
    assert!(attempts > 2 && attempts <= calls as u64, "{stats:#}");
    let shown = settings.run(&["calls", "stats"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let share = format!("{:.1} %", 200.0 / attempts as f64);
    let settled = format!("{attempts} verifications settled");
    for words in [
        "The last hour, ",
        &settled,
        &share,
        "Why not verified",
        "busy",
        "Countries",
        "US",
        "Carriers",
        "main",
        "###",
        "...",
    ] {
        assert!(shown.out.contains(words), "`{words}` is missing:\n{}", shown.out);
    }
    assert!(shown.out.lines().all(|line| line.chars().count() <= 100), "{}", shown.out);
    let nobody = settings.run(&["calls", "stats", "--client", "nobody"]);
    assert!(nobody.out.contains("No verification was settled."), "{}", nobody.out);
    assert_eq!(settings.run(&["calls", "stats", "--range", "year"]).code, Some(2));
}

/// Erasing asks first, and takes what it says.
fn erased_is_gone(settings: &Settings) {
    let number = ["--number", "090-1234-5601", "--country", "JP"];
    let listed = || settings.run(&[&["calls", "--json"], &number[..]].concat()).out.lines().count();
    let asked = settings.run(&[&["calls", "erase"], &number[..]].concat());
    assert_eq!((asked.code, listed()), (Some(2), 1), "nobody can be asked: {}{}", asked.out, asked.err);
    let said = settings.run(&[&["calls", "erase", "--yes"], &number[..]].concat());
    assert_eq!((said.code, said.out.trim(), listed()), (Some(0), "1 calls erased.", 0), "{}", said.err);
    let wrong = settings.run(&["calls", "erase", "--yes", "--number", "12"]);
    assert_eq!(wrong.code, Some(7), "{}", wrong.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alternate_is_called_after_the_first_and_json_is_printed() {
    let carrier = carrier().await;
    let folder = tempfile::TempDir::new().unwrap();
    let settings = Settings::new(&format!("embedded:{}", folder.path().display()), &carriers(&carrier));
    let service = Serving::start(&settings);
    carrier.callee("+819012345678", Callee::line(Line::RingsOut));
    carrier.callee("+818012345678", Callee::presses(["#"]));
    let arguments =
        ["090-1234-5678", "--country", "JP", "--alternate", "080-1234-5678", "--locale", "en", "--wait", "--json"];
    let said = call(&settings, &arguments).await;
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&document["status"], document["calls"].as_array().map(Vec::len)), (&Value::from("verified"), Some(2)));
    assert_eq!(said.err, "", "nothing but the document is printed");

    // Not waited for: the name of the verification, and that nothing is decided.
    let said = call(&settings, &["070-1234-5678", "--country", "JP"]).await;
    assert_eq!(said.code, Some(9), "{}", said.err);
    assert!(said.out.starts_with("ver_"), "{}", said.out);
    let (code, took, log) = service.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(took < STOP_WITHIN, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_shown_or_typed() {
    let carrier = carrier().await;
    let settings = Settings::new("memory:", &carriers(&carrier));
    let service = Serving::start(&settings);
    // The code of mode match is only known once it is shown, so this callee keys a wrong one.
    carrier.callee("+819012345678", Callee::presses(["000000#", "000000#", "000000#"]));
    let said = call(&settings, &["+819012345678", "--mode", "match", "--wait"]).await;
    assert_eq!(said.code, Some(3), "{}\n{}", said.out, said.err);
    assert!(
        said.err.contains("Key in ") && said.out.contains("Not verified (failed, wrong_"),
        "{}\n{}",
        said.out,
        said.err
    );
    service.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_absence_are_told_apart() {
    let carrier = carrier().await;
    let settings = Settings::new("memory:", &carriers(&carrier));
    let away = call(&settings, &["+819012345678", "--wait"]).await;
    assert_eq!(away.code, Some(8), "{}", away.err);
    assert!(away.err.contains("cannot be reached") && away.err.contains("ringproof serve"), "{}", away.err);

    let service = Serving::start(&settings);
    for (number, word) in [
        ("110", "not_callable"),
        ("+4930123456", "country_not_allowed"),
        ("090-1234", "invalid_number"),
        ("+1 900 234 5678", "number_type_not_allowed"),
    ] {
        let said = call(&settings, &[number, "--country", "JP", "--wait"]).await;
        assert_eq!(said.code, Some(7), "{number}: {}", said.err);
        assert!(said.err.contains(word), "{number}: {}", said.err);
    }
    let mut stranger = program(settings.folder());
    stranger.args(["calls", "--api-key-file", "key"]);
    std::fs::write(settings.folder().join("key"), "rp_abcdefgh_not_a_key\n").unwrap();
    let said = on_thread(move || ended(&mut stranger)).await;
    assert_eq!(said.code, Some(8), "{}", said.err);
    assert!(said.err.contains("does not know this API key"), "{}", said.err);
    let mut keyless = program(settings.folder());
    keyless.args(["calls"]);
    let said = on_thread(move || ended(&mut keyless)).await;
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert_eq!(carrier.create_requests(), Vec::<String>::new(), "nobody was called");
    service.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_a_healthy_service_and_a_sick_one() {
    let carrier = carrier().await;
    let redis = Redis::start();
    let settings = Settings::new(&redis.url(), &carriers(&carrier));
    let service = Serving::start(&settings);
    let mut doctor = program(settings.folder());
    doctor.arg("doctor");
    let healthy = on_thread(move || ended(&mut doctor)).await;
    assert_eq!(healthy.code, Some(0), "{}", healthy.out);
    for word in [
        "✓ service",
        "✓ configuration",
        "✓ store: redis://",
        "✓ call flow: press-pound",
        "✓ carrier main",
        "✓ public address",
    ] {
        assert!(healthy.out.contains(word), "{word} is missing:\n{}", healthy.out);
    }
    service.kill();
    drop(redis);
    let mut doctor = program(settings.folder());
    doctor.args(["doctor", "--set", "carriers.main.auth_token=wrong"]);
    let sick = on_thread(move || ended(&mut doctor)).await;
    assert_eq!(sick.code, Some(1), "{}", sick.out);
    for word in ["✗ store", "✗ carrier main", "! public address"] {
        assert!(sick.out.contains(word), "{word} is missing:\n{}", sick.out);
    }
    assert!(!sick.out.contains(&carrier.settings().auth_token));
}
