//! What is right, what is wrong, and that everything that is wrong is said at once with its place.

use std::{collections::BTreeSet, fs, time::Duration};

use tempfile::TempDir;

use super::*;

/// A configuration with nothing wrong in it.
const GOOD: &str = r#"[server]
listen = "127.0.0.1:9000"
public_url = "https://verify.example.com/phone"

[store]
url = "memory:"

[numbers]
countries = ["JP", "US"]

[verification]
brand = "Contoso"
expires_in = "120s"

[[carriers]]
name = "main"
kind = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = "hunter2hunter2"
from = ["+815012345678"]

[[api_keys]]
name = "enrolment"
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
scopes = ["verify"]
"#;

fn files(settings: &str) -> (TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ringproof.toml");
    fs::write(&file, settings).unwrap();
    (folder, Sources { file: Some(file), ..Sources::default() })
}

fn environment(sources: Sources, variables: &[(&str, &str)]) -> Sources {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..sources }
}

/// Everything that is wrong, with the name of the folder taken out.
fn faults(settings: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let (folder, sources) = files(settings);
    told(load(&environment(sources, variables)), &folder)
}

fn told(loaded: Result<Loaded, LoadError>, folder: &TempDir) -> Vec<String> {
    let folder = format!("{}/", folder.path().display());
    match loaded {
        Ok(_) => Vec::new(),
        Err(LoadError::Faults(faults)) => faults.iter().map(|fault| fault.to_string().replace(&folder, "")).collect(),
        Err(error) => vec![error.to_string().replace(&folder, "")],
    }
}

fn good(variables: &[(&str, &str)]) -> Config {
    let (_folder, sources) = files(GOOD);
    load(&environment(sources, variables)).unwrap_or_else(|error| panic!("{error}")).config
}

#[test]
fn later_layers_win() {
    let config = good(&[]);
    assert_eq!(config.server.listen.port(), 9000);
    assert_eq!(config.verification.expires_in, Duration::from_secs(120));
    assert_eq!(config.verification.max_calls, 3);

    let variables = [
        ("RINGPROOF_SERVER__LISTEN", "127.0.0.1:9001"),
        ("RINGPROOF_VERIFICATION__MAX_CALLS", "5"),
        ("RINGPROOF_VERIFICATION__BRAND", "12345"),
        ("RINGPROOF_CALLBACKS__ALLOW_PRIVATE", "true"),
        ("RINGPROOF_NUMBERS__COUNTRIES", "DE, FR"),
        ("RINGPROOF_STORE__PASSWORD", "0815"),
        ("RINGPROOF_CARRIERS__MAIN__FROM", "[\"+493012345678\"]"),
        ("RINGPROOF_API_KEYS__0__SCOPES", "verify,calls"),
        // None of ours: what a container platform sets, what commands read.
        ("RINGPROOF_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("RINGPROOF_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("RINGPROOF_SERVER_PORT", "tcp://10.0.0.1:80"),
        ("RINGPROOF_URL", "http://127.0.0.1"),
        ("RINGPROOF_API_KEY", "rp_"),
        ("PATH", "/bin"),
    ];
    let config = good(&variables);
    assert_eq!(config.server.listen.port(), 9001);
    assert_eq!((config.verification.max_calls, config.verification.brand.as_str()), (5, "12345"));
    assert!(config.callbacks.allow_private);
    let countries: Vec<_> = config.numbers.countries.iter().map(ToString::to_string).collect();
    assert_eq!(countries, ["DE", "FR"]);
    assert_eq!(config.carriers[0].from[0].expose(), "+493012345678");
    assert_eq!(config.api_keys[0].scopes.len(), 2);

    let (_folder, sources) = files(GOOD);
    let sources = environment(sources, &variables).with("--listen", "server.listen", "127.0.0.1:9002");
    assert_eq!(load(&sources).unwrap().config.server.listen.port(), 9002);
}

#[test]
fn the_environment_is_enough() {
    let variables = [
        ("RINGPROOF_STORE__URL", "memory:"),
        ("RINGPROOF_NUMBERS__COUNTRIES", "JP"),
        ("RINGPROOF_VERIFICATION__BRAND", "Contoso"),
        ("RINGPROOF_CARRIERS__TRY_OUT__KIND", "simulator"),
        ("RINGPROOF_CARRIERS__TRY_OUT__FROM", "+815012345678"),
        ("RINGPROOF_API_KEYS__ENROLMENT__SHA256", "1111111111111111111111111111111111111111111111111111111111111111"),
        ("RINGPROOF_API_KEYS__ENROLMENT__SCOPES", "verify"),
    ];
    let sources = Sources { alone: true, ..environment(Sources::default(), &variables) };
    let Loaded { config, file } = load(&sources).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.carriers[0].name.as_str(), file), ("try_out", None));
    assert_eq!(config.public_url(), "http://127.0.0.1:8080");
}

#[test]
fn having_none_is_told_apart_from_having_a_faulty_one() {
    let nothing = Sources { alone: true, ..Sources::default() };
    assert!(matches!(load(&nothing), Err(LoadError::Nothing { .. })));
    let elsewhere = Sources { file: Some(PathBuf::from("/nowhere/ringproof.toml")), ..Sources::default() };
    assert!(matches!(load(&elsewhere), Err(LoadError::Nothing { looked }) if looked.len() == 1));
    let (client, server) = load_client(&nothing).unwrap();
    assert!(client.url.is_none() && server.listen.port() == 8080);
}

/// One mistake each: what is changed in the good file, and what must be said.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("listen =", "listn =", "ringproof.toml:2: server.listn: is no setting here; did you mean `listen`?"),
    ("[server]", "[serve]", "ringproof.toml:1: serve: is no section here; did you mean `server`?"),
    ("\"127.0.0.1:9000\"", "9000", "ringproof.toml:2: server.listen: expected socket address"),
    ("\"127.0.0.1:9000\"", "\"localhost\"", "ringproof.toml:2: server.listen: invalid socket address syntax"),
    (
        "https://verify",
        "ftp://verify",
        "ringproof.toml:3: server.public_url: begins with https://, as in https://verify.example.com",
    ),
    ("/phone\"", "/phone?a=b\"", "ringproof.toml:3: server.public_url: has no query and no fragment"),
    ("https://verify.", "https://u:p@verify.", "ringproof.toml:3: server.public_url: holds no user and no password"),
    (
        "public_url = \"https://verify.example.com/phone\"",
        "",
        "ringproof.toml:1: server.public_url: is missing: carrier `main` has to reach this service, as in public_url = \"https://verify.example.com\"",
    ),
    ("\"memory:\"", "\"mysql://x\"", "ringproof.toml:6: store.url: "),
    (
        "countries = [\"JP\", \"US\"]",
        "",
        "ringproof.toml:8: numbers.countries: is missing: name the countries that may be called, as in countries = [\"JP\", \"US\"]; nothing else is dialled",
    ),
    (
        "\"US\"]",
        "\"USA\"]",
        "ringproof.toml:9: numbers.countries[1]: a country is two letters, as in JP or US (ISO 3166-1 alpha-2)",
    ),
    (
        "\"US\"]",
        "\"UK\"]",
        "ringproof.toml:9: numbers.countries[1]: there are no telephone numbers of UK; the United Kingdom is GB",
    ),
    ("\"120s\"", "\"5s\"", "ringproof.toml:13: verification.expires_in: 5s is not between 60s and 600s"),
    ("\"120s\"", "120", "ringproof.toml:13: verification.expires_in: expected text in quotes"),
    (
        "\"120s\"",
        "\"soon\"",
        "ringproof.toml:13: verification.expires_in: `soon` is no duration; write a number and a unit, as in 30s, 5m, 1h or 30d",
    ),
    ("\"Contoso\"", "\"\"", "ringproof.toml:12: verification.brand: 1 to 64 characters, no control characters"),
    (
        "expires_in = \"120s\"",
        "max_calls = 300",
        "ringproof.toml:13: verification.max_calls: is out of range; expected a whole number",
    ),
    ("expires_in = \"120s\"", "max_calls = 9", "ringproof.toml:13: verification.max_calls: 9 is not between 1 and 5"),
    (
        "kind = \"twilio\"",
        "kind = \"twillio\"",
        "ringproof.toml:17: carriers[0].kind: is no kind of carrier; did you mean `twilio`?",
    ),
    ("kind = \"twilio\"", "", "ringproof.toml:15: carriers[0].kind: is missing; there are twilio, sip, simulator"),
    (
        "name = \"main\"",
        "name = \"my carrier\"",
        "ringproof.toml:16: carriers[0].name: expected 1 to 32 of the characters a-z, A-Z, 0-9, - and _; it is part of URLs",
    ),
    ("name = \"main\"", "name = \"\"", "ringproof.toml:16: carriers[0].name: expected 1 to 32"),
    ("name = \"main\"", "name = \"a/b\"", "ringproof.toml:16: carriers[0].name: expected 1 to 32"),
    ("name = \"main\"", "name = \"..\"", "ringproof.toml:16: carriers[0].name: expected 1 to 32"),
    ("name = \"main\"", "name = \"東京\"", "ringproof.toml:16: carriers[0].name: expected 1 to 32"),
    (
        "[[api_keys]]",
        "[[carriers]]\nname = \"main\"\nkind = \"simulator\"\nfrom = [\"+815012345678\"]\n\n[[api_keys]]",
        "ringproof.toml:23: carriers[1].name: another carrier has this name already",
    ),
    ("auth_token = \"hunter2hunter2\"", "", "ringproof.toml:15: carriers[0].auth_token: is missing"),
    ("\"hunter2hunter2\"", "4711", "ringproof.toml:19: carriers[0].auth_token: expected text in quotes"),
    (
        "auth_token =",
        "auth_tokem =",
        "ringproof.toml:19: carriers[0].auth_tokem: is no setting here; did you mean `auth_token`?",
    ),
    (
        "auth_token = \"hunter2hunter2\"",
        "auth_token_file = \"nothing\"",
        "ringproof.toml:19: carriers[0].auth_token_file: nothing: cannot be opened: No such file or directory (os error 2)",
    ),
    (
        "auth_token = \"hunter2hunter2\"",
        "auth_token_file = 5",
        "ringproof.toml:19: carriers[0].auth_token_file: expected the name of a file, in quotes",
    ),
    ("[\"+815012345678\"]", "[\"050-1234-5678\"]", "ringproof.toml:20: carriers[0].from"),
    ("[\"+815012345678\"]", "[]", "ringproof.toml:20: carriers[0].from: is empty; name at least one number"),
    (
        "1111\"",
        "111\"",
        "ringproof.toml:24: api_keys[0].sha256: 64 hexadecimal digits, as `ringproof key new` prints them",
    ),
    (
        "scopes = [\"verify\"]",
        "scopes = []",
        "ringproof.toml:25: api_keys[0].scopes: at least one of verify, calls, admin",
    ),
    (
        "scopes = [\"verify\"]",
        "scopes = [\"everything\"]",
        "ringproof.toml:25: api_keys[0].scopes[0]: is none of verify, calls, admin",
    ),
    ("name = \"enrolment\"", "name = \"\"", "ringproof.toml:23: api_keys[0].name: 1 to 64 of the characters"),
    ("[[api_keys]]", "[api_keys]", "ringproof.toml:22: api_keys: expected a list: begin each entry with [[api_keys]]"),
    (
        "[store]",
        "[logs]\nlevel = \"loud\"\n[store]",
        "ringproof.toml:6: logs.level: write error, warn, info, debug or trace",
    ),
    ("[store]", "[logs]\nformat = \"xml\"\n[store]", "ringproof.toml:6: logs.format: is none of auto, json, pretty"),
    ("[store]", "[callbacks]\nsecret = \"hunter2\"\n[store]", "ringproof.toml:6: callbacks.secret: "),
    (
        "[store]",
        "cors_origins = [\"https://a.example\", \"a.example/x\"]\n[store]",
        "ringproof.toml:5: server.cors_origins[1]: is no origin",
    ),
    ("[store]", "[store", "ringproof.toml:5: this is not TOML: "),
];

#[test]
fn each_mistake_is_told_with_its_place_and_what_to_do() {
    assert_eq!(faults(GOOD, &[]), Vec::<String>::new());
    for (right, wrong, said) in MISTAKES {
        assert!(GOOD.contains(right), "{right}");
        let faults = faults(&GOOD.replacen(right, wrong, 1), &[]);
        assert!(faults.iter().any(|fault| fault.starts_with(said)), "{wrong}\nexpected {said}\ngot {faults:#?}");
        assert!(!faults.iter().any(|fault| fault.contains("hunter2")), "{faults:#?}");
        let more: Vec<_> = faults.iter().filter(|fault| !fault.starts_with(said)).collect();
        // What has the wrong name is missing under the right one.
        let misspelt = wrong.starts_with("[serve") || wrong.starts_with("auth_tokem");
        assert!(more.is_empty() || misspelt, "{wrong}: besides {said} also {more:#?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let worst = MISTAKES
        .iter()
        .filter(|(right, ..)| ["\"US\"]", "\"120s\"", "1111\"", "scopes = [\"verify\"]"].contains(right));
    let settings = worst.fold(GOOD.to_owned(), |settings, (right, wrong, _)| settings.replacen(right, wrong, 1));
    let settings = settings
        .replace("listen =", "listn =")
        .replace("auth_token = \"hunter2hunter2\"\n", "auth_tokem = \"x\"\nextra = 1\n");
    let faults = faults(&settings, &[("RINGPROOF_STORE__RETENTION", "long"), ("RINGPROOF_STORE_URL", "memory:")]);
    let keys: Vec<_> = faults.iter().map(|fault| fault.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    insta::assert_snapshot!(keys.join("\n"), @r"
    ringproof.toml:2 server.listn
    ringproof.toml:9 numbers.countries[1]
    ringproof.toml:13 verification.expires_in
    ringproof.toml:15 carriers[0].auth_token
    ringproof.toml:19 carriers[0].auth_tokem
    ringproof.toml:20 carriers[0].extra
    ringproof.toml:25 api_keys[0].sha256
    ringproof.toml:26 api_keys[0].scopes
    environment variable RINGPROOF_STORE_URL write two underscores between levels, as in RINGPROOF_STORE__…
    environment variable RINGPROOF_STORE__RETENTION store.retention
    ");
}

#[test]
fn mistakes_in_the_environment_are_told_by_its_name() {
    for (name, value, said) in [
        (
            "RINGPROOF_SERVER__LISTEN",
            "nowhere",
            "environment variable RINGPROOF_SERVER__LISTEN: server.listen: invalid socket address syntax",
        ),
        (
            "RINGPROOF_SERVER__LISTN",
            "x",
            "environment variable RINGPROOF_SERVER__LISTN: server.listn: is no setting here; did you mean `listen`?",
        ),
        (
            "RINGPROOF_SERVER_LISTEN",
            "x",
            "environment variable RINGPROOF_SERVER_LISTEN: write two underscores between levels, as in RINGPROOF_SERVER__…",
        ),
        (
            "RINGPROOF_VERIFICATION__MAX_CALLS",
            "many",
            "environment variable RINGPROOF_VERIFICATION__MAX_CALLS: verification.max_calls: expected a whole number",
        ),
        (
            "RINGPROOF_CALLBACKS__ALLOW_PRIVATE",
            "maybe",
            "environment variable RINGPROOF_CALLBACKS__ALLOW_PRIVATE: callbacks.allow_private: expected true or false",
        ),
        (
            "RINGPROOF_CARRIERS__7__NAME",
            "x",
            "environment variable RINGPROOF_CARRIERS__7__NAME: carriers.7.name: there is no entry 7 in `carriers`; they are counted from 0",
        ),
        (
            "RINGPROOF_CARRIERS__MAIN__ACCOUNT_SID",
            "",
            "environment variable RINGPROOF_CARRIERS__MAIN__ACCOUNT_SID: carriers[0].account_sid: ",
        ),
        (
            "RINGPROOF_NUMBERS__COUNTRIES",
            "JP,Japan",
            "environment variable RINGPROOF_NUMBERS__COUNTRIES: numbers.countries[1]: a country is two letters",
        ),
        ("RINGPROOF_SERVER", "x", ""),
    ] {
        let faults = faults(GOOD, &[(name, value)]);
        match said {
            "" => assert_eq!(faults, Vec::<String>::new(), "{name}"),
            said => assert!(faults.len() == 1 && faults[0].starts_with(said), "expected {said}\ngot {faults:#?}"),
        }
    }
}

#[test]
fn secrets_may_be_files() {
    let (folder, sources) = files(&GOOD.replace("auth_token = \"hunter2hunter2\"", "auth_token_file = \"token\""));
    fs::write(folder.path().join("token"), "  from-a-file\n").unwrap();
    let elsewhere = folder.path().join("whsec");
    fs::write(&elsewhere, format!("whsec_{}\n", "A".repeat(32))).unwrap();
    let elsewhere = elsewhere.display().to_string();
    let sources = environment(sources, &[("RINGPROOF_CALLBACKS__SECRET_FILE", &elsewhere)]);
    let config = load(&sources).unwrap_or_else(|error| panic!("{error}")).config;
    let CarrierKind::Twilio(twilio) = &config.carriers[0].kind else { panic!("{config:?}") };
    assert_eq!(twilio.auth_token.expose(), "from-a-file");
    assert_eq!(config.callbacks.signing_secrets().unwrap().len(), 1);
    let shown = format!("{config:?}");
    assert!(!shown.contains("from-a-file") && !shown.contains("AAAA") && !shown.contains("+8150"), "{shown}");

    fs::write(folder.path().join("token"), "\n").unwrap();
    let said = told(load(&sources), &folder);
    assert_eq!(said, ["ringproof.toml:19: carriers[0].auth_token_file: token: is empty"]);
    let both = faults(&GOOD.replace("from =", "auth_token_file = \"token\"\nfrom ="), &[]);
    assert_eq!(both, ["ringproof.toml:20: carriers[0].auth_token_file: there is `auth_token` too; give one of them"]);
}

#[test]
fn what_is_better_done_otherwise_is_a_warning() {
    let warned = |settings: &str| -> String {
        let (folder, sources) = files(settings);
        let config = load(&sources).unwrap_or_else(|error| panic!("{error}")).config;
        let folder = format!("{}/", folder.path().display());
        config.warnings.iter().map(|warning| warning.to_string().replace(&folder, "")).collect::<Vec<_>>().join("\n")
    };
    let settings = GOOD
        .replace("https://verify", "http://verify")
        .replace("127.0.0.1:9000", "0.0.0.0:9000")
        .replace("brand = \"Contoso\"\n", "")
        .replace("from =", "countries = [\"DE\"]\nfrom =");
    insta::assert_snapshot!(warned(&settings), @r"
    ringproof.toml:11: verification.brand: is not set: callees hear that Ringproof calls; name yourself
    ringproof.toml:3: server.public_url: is http://: what carriers send to verify.example.com can be read and changed on the way
    ringproof.toml:2: server.listen: is open to other machines, and speaks no TLS: a reverse proxy belongs in front
    ringproof.toml:6: store.url: keeps nothing over a restart; for tests only
    ringproof.toml:19: carriers[0].countries: not called all the same, as numbers.countries does not name them: DE
    configuration: spend.prices: is not set: a minute to any number is taken to cost 0.50 USD; write your carrier's prices, a file of them, or `other_price`
    ");
}

/// Names of the settings of a section, as the deserializer knows them.
fn known<T: serde::de::DeserializeOwned>(with: &str) -> BTreeSet<String> {
    let settings: toml::Table = format!("{with}\nno_such_setting = 1").parse().unwrap();
    let message = match settings.try_into::<T>() {
        Ok(_) => panic!("an unknown setting was taken"),
        Err(error) => error.message().to_owned(),
    };
    let (_, known) = message.split_once("expected").unwrap_or_else(|| panic!("{message}"));
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every setting of the reference with its value, also those that are commented out.
fn reference() -> toml::Table {
    let commented = |line: &str| {
        let rest = line.strip_prefix("# ")?;
        let (key, _) = rest.split_once(" = ")?;
        let is_key = key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        (is_key || rest.starts_with("[[")).then(|| rest.to_owned())
    };
    let mut seen = BTreeSet::new();
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in DEFAULTS.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if bare.starts_with('[') && bare.ends_with(']') {
            bare.clone_into(&mut section);
            lines.push(bare.to_owned());
        } else if let Some(setting) = commented(line).or_else(|| (!line.starts_with('#')).then(|| line.to_owned())) {
            let key = setting.split(" = ").next().unwrap_or_default().to_owned();
            // `kind` is told twice: once for each kind.
            if seen.insert((section.clone(), key)) || setting.is_empty() {
                lines.push(setting);
            }
        }
    }
    lines.join("\n").parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_reference_names_every_setting() {
    use crate::{http::ApiKeyConfig, provider};
    let reference = reference();
    let named = |section: &str| -> BTreeSet<String> {
        let value = &reference[section];
        let table = value.as_array().map_or(value, |entries| &entries[0]).as_table().unwrap();
        table.keys().cloned().collect()
    };
    let undocumented =
        |known: &BTreeSet<String>, section: &str| known.difference(&named(section)).cloned().collect::<Vec<_>>();
    let none: Vec<String> = Vec::new();
    let sections = [
        ("server", known::<http::Config>("")),
        ("console", known::<console::Config>("")),
        ("store", known::<store::Config>("")),
        ("numbers", known::<NumbersConfig>("")),
        ("verification", known::<VerificationConfig>("")),
        ("limits", known::<guard::settings::LimitsConfig>("")),
        ("guard", known::<guard::settings::GuardConfig>("")),
        ("spend", known::<guard::settings::SpendConfig>("")),
        ("callflows", known::<CallFlowsConfig>("")),
        ("callbacks", known::<CallbacksConfig>("")),
        ("logs", known::<telemetry::Config>("")),
        ("traces", known::<telemetry::TracesConfig>("")),
        ("client", known::<ClientConfig>("")),
    ];
    for (section, known) in &sections {
        assert_eq!(undocumented(known, section), none, "{section}");
        assert_eq!(&named(section), known, "{section} names what is no setting");
    }
    let names: Vec<_> = sections.iter().map(|(section, _)| *section).collect();
    assert_eq!(names, SECTIONS);
    let twilio = known::<provider::twilio::Config>("name = 'm'\naccount_sid = 'AC'\nauth_token = 't'\nfrom = []");
    let simulator = known::<provider::simulator::Config>("");
    assert_eq!(undocumented(&twilio, "carriers"), none);
    assert_eq!(undocumented(&simulator, "carriers"), none);
    assert_eq!(undocumented(&known::<ApiKeyConfig>("name = 'm'\nsha256 = ''\nscopes = []"), "api_keys"), none);
}

#[test]
fn the_reference_holds_the_defaults() {
    let with_defaults: toml::Table = DEFAULTS.parse().unwrap();
    fn of<T: serde::de::DeserializeOwned>(settings: &toml::Table, section: &str) -> T {
        settings.get(section).cloned().unwrap_or_else(|| Value::Table(toml::Table::new())).try_into().unwrap()
    }
    let nothing = toml::Table::new();
    assert_eq!(of::<http::Config>(&with_defaults, "server"), of(&nothing, "server"));
    assert_eq!(of::<telemetry::Config>(&with_defaults, "logs"), of(&nothing, "logs"));
    assert_eq!(of::<console::Config>(&with_defaults, "console"), of(&nothing, "console"));
    macro_rules! same {
        ($($section:literal: $config:ty),+) => {
            $(assert_eq!(
                format!("{:?}", of::<$config>(&with_defaults, $section)),
                format!("{:?}", of::<$config>(&nothing, $section)),
                $section
            );)+
        };
    }
    same!("store": store::Config, "numbers": NumbersConfig, "verification": VerificationConfig,
        "limits": guard::settings::LimitsConfig, "guard": guard::settings::GuardConfig,
        "spend": guard::settings::SpendConfig, "callflows": CallFlowsConfig, "callbacks": CallbacksConfig, "traces": telemetry::TracesConfig,
        "client": ClientConfig);
}

#[test]
fn the_example_for_servers_is_right_but_for_its_secrets() {
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/ringproof.toml")).unwrap();
    let faults = faults(&example, &[]);
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault.contains("_file: /run/secrets/")), "{faults:#?}");
}

#[test]
fn call_flows_come_from_a_folder_beside_the_settings() {
    let (folder, sources) = files(&format!("{GOOD}\n[callflows]\ndir = \"flows\"\n"));
    fs::create_dir(folder.path().join("flows")).unwrap();
    let config = load(&sources).unwrap().config;
    let built_in = flows(&config.callflows).unwrap().iter().count();
    assert!(built_in >= 1);
    fs::write(folder.path().join("flows/broken.xml"), "<callflow").unwrap();
    fs::write(folder.path().join("flows/notes.txt"), "not a call flow").unwrap();
    let Err(FlowsError::Faults(faults)) = flows(&config.callflows) else { panic!("a broken file was taken") };
    assert!(faults[0].file.ends_with("flows/broken.xml"), "{faults:?}");
    fs::remove_file(folder.path().join("flows/broken.xml")).unwrap();

    let (_, press_pound) = Flows::built_in_sources().next().unwrap();
    let plain = flows(&config.callflows).unwrap().get("press-pound").unwrap().version();
    let overrides = folder.path().join("flows/overrides");
    fs::create_dir(&overrides).unwrap();
    let prompts = |prompt: &str| {
        format!(
            "<prompts xmlns=\"urn:ringproof:callflow:1\" for=\"press-pound\">\n  <prompt id=\"{prompt}\">\n    \
             <text lang=\"en\">Thank you, that is all we need. Goodbye.</text>\n  </prompt>\n</prompts>"
        )
    };
    fs::write(overrides.join("own.xml"), prompts("verified")).unwrap();
    assert_ne!(flows(&config.callflows).unwrap().get("press-pound").unwrap().version(), plain);
    for (text, place) in [
        (prompts("verifeid"), "flows/overrides/own.xml:2:"),
        (press_pound.to_owned(), "flows/overrides/own.xml:"),
        (String::from("<prompts"), "flows/overrides/own.xml:1:"),
    ] {
        fs::write(overrides.join("own.xml"), text).unwrap();
        let Err(FlowsError::Faults(faults)) = flows(&config.callflows) else { panic!("{place} was taken") };
        assert!(faults[0].to_string().contains(place), "{place}: {faults:?}");
    }
    fs::remove_dir_all(folder.path().join("flows")).unwrap();
    assert!(matches!(flows(&config.callflows), Err(FlowsError::Unreadable { .. })));
}
