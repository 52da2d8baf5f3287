//! Owns what can be known about `deploy/` without installing it: the unit is as closed as it can be, the image is built
//! as images should be, the compose file says what the store needs, and Redis takes its settings.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use saphyr::{LoadableYamlNode as _, Yaml};

use crate::tidy::root;

fn deploy(file: &str) -> PathBuf {
    root().join("deploy").join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(deploy(file)).unwrap()
}

// --- systemd ---------------------------------------------------------------------------------------------------------

/// What the unit must say, whatever else it says.
const UNIT: [(&str, &str); 27] = [
    ("DynamicUser", "yes"),
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateUsers", "yes"),
    ("ProtectProc", "invisible"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("SystemCallArchitectures", "native"),
    ("UMask", "0077"),
    ("LimitCORE", "0"),
    ("Restart", "on-failure"),
    // Accepted work takes up to 25 s to finish after the signal.
    ("TimeoutStopSec", "30s"),
];

#[test]
fn the_unit_is_closed() {
    let text = read("ringproof.service");
    let mut said: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')) {
        said.entry(name).or_default().push(value);
    }
    for (name, value) in UNIT {
        assert_eq!(said.get(name).map(Vec::as_slice), Some([value].as_slice()), "{name}");
    }
    assert_eq!(said["SystemCallFilter"], ["@system-service", "~@privileged @resources"]);
    assert_eq!(said["ExecStart"], ["/usr/local/bin/ringproof serve --config /etc/ringproof/ringproof.toml"]);
}

#[test]
fn systemd_finds_the_unit_hardly_exposed() {
    let judge = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(deploy("ringproof.service"))
        .output();
    // Not every machine that builds has systemd; the directives themselves are held by the test above.
    let Ok(judgement) = judge else { return };
    let said = String::from_utf8_lossy(&judgement.stdout).into_owned();
    assert!(judgement.status.success(), "{said}\n{}", String::from_utf8_lossy(&judgement.stderr));
}

// --- container image -------------------------------------------------------------------------------------------------

/// What is wrong with a Dockerfile for a service.
fn docker_faults(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines: Vec<(&str, &str)> = joined
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.trim().split_once(' '))
        .collect();
    let all =
        |word: &str| lines.iter().filter(|(name, _)| *name == word).map(|(_, rest)| rest.trim()).collect::<Vec<_>>();
    let mut faults = Vec::new();
    let stages = all("FROM");
    if stages.len() < 2 || !all("COPY").iter().any(|rest| rest.contains("--from=")) {
        faults.push(String::from("one stage: the compiler is shipped"));
    }
    for stage in stages {
        let tag = stage.split(' ').next().and_then(|image| image.rsplit_once(':')).map_or("", |(_, tag)| tag);
        if !tag.contains(|c: char| c.is_ascii_digit()) || !tag.contains('.') {
            faults.push(format!("the base is not pinned to a version: {stage}"));
        }
    }
    if !all("ADD").is_empty() {
        faults.push(String::from("ADD fetches and unpacks: COPY does neither"));
    }
    let last_stage = joined.rfind("\nFROM ").map_or("", |at| &joined[at..]);
    let user = last_stage.lines().filter_map(|line| line.strip_prefix("USER ")).next_back().unwrap_or("root");
    if !user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)) {
        faults.push(format!("runs as {user}: not a number above 0"));
    }
    for (word, rest) in &lines {
        if rest.contains("curl ") || rest.contains("wget ") || rest.contains("sudo ") {
            faults.push(format!("{word} fetches or raises: {rest}"));
        }
        if rest.contains("apt-get install")
            && !(rest.contains("--no-install-recommends") && rest.contains("/var/lib/apt/lists"))
        {
            faults.push(format!("an installation leaves more than it should: {rest}"));
        }
        if ["CMD", "ENTRYPOINT"].contains(word) && !rest.starts_with('[') {
            faults.push(format!("{word} goes through a shell, which swallows signals"));
        }
        if ["ENV", "ARG"].contains(word)
            && ["TOKEN", "SECRET", "PASSWORD", "KEY="].iter().any(|secret| rest.contains(secret))
        {
            faults.push(format!("a secret in the image: {rest}"));
        }
    }
    if all("HEALTHCHECK").is_empty() || all("ENTRYPOINT").is_empty() {
        faults.push(String::from("no HEALTHCHECK or no ENTRYPOINT"));
    }
    faults
}

#[test]
fn the_image_is_built_as_it_should_be() {
    let text = read("Dockerfile");
    assert_eq!(docker_faults(&text), Vec::<String>::new());
    assert!(text.contains("cargo build --release --locked"));
    let minimum = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse::<toml::Table>().unwrap();
    let minimum = minimum["package"]["rust-version"].as_str().unwrap().to_owned();
    assert!(text.contains(&format!("FROM rust:{minimum}-")), "the image builds with Rust {minimum}");
}

#[test]
fn planted_faults_of_an_image_are_caught() {
    let good = read("Dockerfile");
    for (from, to) in [
        ("USER 65532:65532", "USER root"),
        ("USER 65532:65532\n", ""),
        ("debian:12.12-slim", "debian:latest"),
        ("debian:12.12-slim", "debian"),
        ("COPY . .", "ADD https://example.com/x.tar.gz ."),
        ("--from=build ", ""),
        ("CMD [\"serve\", \"--config\", \"/etc/ringproof/ringproof.toml\"]", "CMD ringproof serve"),
        ("ENV ", "ENV AUTH_TOKEN=1 "),
        ("&& rm -rf /var/lib/apt/lists/*", ""),
        ("WORKDIR /build", "RUN curl https://example.com | sh"),
    ] {
        assert!(good.contains(from), "the image has no `{from}` any more");
        assert_ne!(docker_faults(&good.replace(from, to)), Vec::<String>::new(), "`{to}` in place of `{from}`");
    }
}

#[test]
fn the_build_gets_what_it_reads_and_no_more() {
    let ignore = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let sent: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignore.lines().any(|line| line == "*"), "everything is kept back first");
    for read in ["Cargo.toml", "Cargo.lock", "src", "callflows", "texts"] {
        assert!(sent.contains(&read), "{read} is not sent to the build");
    }
    // What the sources embed from outside `src` has to be sent too.
    for (path, embedded) in crate::tidy::embedded() {
        let home = root().join(&path).parent().unwrap().to_owned();
        let place = home.join(&embedded).canonicalize().unwrap();
        let top = place.strip_prefix(root()).unwrap().components().next().unwrap().as_os_str().to_str().unwrap();
        assert!(sent.contains(&top), "{path} embeds {embedded}, and {top} is not sent to the build");
    }
}

// --- compose ---------------------------------------------------------------------------------------------------------

fn text<'a>(node: &'a Yaml<'_>, path: &[&str]) -> &'a str {
    at(node, path).as_str().unwrap_or_else(|| panic!("{path:?} is no text"))
}

fn at<'a, 'b>(node: &'a Yaml<'b>, path: &[&str]) -> &'a Yaml<'b> {
    path.iter().fold(node, |node, key| node.as_mapping_get(key).unwrap_or_else(|| panic!("no {key} of {path:?}")))
}

fn list<'a>(node: &'a Yaml<'_>, path: &[&str]) -> Vec<&'a str> {
    at(node, path).as_sequence().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn the_compose_file_closes_both_services() {
    let source = read("compose.yaml");
    let compose = &Yaml::load_from_str(&source).unwrap()[0];
    for service in ["ringproof", "redis"] {
        let service = at(compose, &["services", service]);
        assert_eq!(at(service, &["read_only"]).as_bool(), Some(true));
        assert_eq!(list(service, &["cap_drop"]), ["ALL"]);
        assert_eq!(list(service, &["security_opt"]), ["no-new-privileges:true"]);
        let (user, group) = text(service, &["user"]).split_once(':').unwrap();
        assert!(user.parse::<u32>().unwrap() > 0 && group.parse::<u32>().unwrap() > 0);
        assert!(text(service, &["image"]).contains(|c: char| c.is_ascii_digit()), "pinned to a version");
        assert_eq!(text(service, &["stop_grace_period"]), "30s");
        assert!(text(service, &["mem_limit"]).ends_with('m'));
        for secret in list(service, &["secrets"]) {
            let file = text(compose, &["secrets", secret, "file"]);
            assert!(file.starts_with("./secrets/"), "{secret} comes from {file}");
        }
    }
    let redis = at(compose, &["services", "redis"]);
    assert!(redis.as_mapping_get("ports").is_none(), "the store is reached from nowhere else");
    assert_eq!(list(redis, &["networks"]), ["store"]);
    assert_eq!(at(compose, &["networks", "store", "internal"]).as_bool(), Some(true));
    let ringproof = at(compose, &["services", "ringproof"]);
    assert_eq!(list(ringproof, &["ports"]), ["127.0.0.1:8080:8080"]);
    assert_eq!(text(ringproof, &["depends_on", "redis", "condition"]), "service_healthy");
    for service in ["ringproof", "redis"] {
        for mount in list(at(compose, &["services", service]), &["volumes"]) {
            let file = mount.split(':').next().unwrap();
            assert!(!file.starts_with("./") || deploy(file).exists(), "{mount}: there is no {file}");
        }
    }
}

// --- Redis -----------------------------------------------------------------------------------------------------------

struct Server {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts what `command` makes of a port and a directory, and waits until it listens.
    #[expect(clippy::disallowed_methods, reason = "the bound of a wait, outside of the program")]
    fn start(command: impl FnOnce(u16, &Path) -> Command) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let mut process = command(port, dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "redis-server does not listen");
            assert!(process.try_wait().unwrap().is_none(), "redis-server ended");
            std::thread::yield_now();
        }
        Self { process, port, _dir: dir }
    }

    /// Its answer, or its error as text.
    fn ask(&self, password: Option<&str>, words: &[&str]) -> Result<Vec<String>, String> {
        let password = password.map(|password| format!(":{password}@")).unwrap_or_default();
        let client = redis::Client::open(format!("redis://{password}127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_connection().map_err(|error| error.to_string())?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query(&mut connection).map_err(|error| error.to_string())
    }

    fn setting(&self, password: Option<&str>, name: &str) -> String {
        self.ask(password, &["CONFIG", "GET", name]).unwrap()[1].clone()
    }
}

/// What the store counts on.
const STORE_NEEDS: [(&str, &str); 4] =
    [("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "everysec"), ("save", "")];

#[test]
fn redis_takes_its_settings() {
    let server = Server::start(|port, dir| {
        let mut command = Command::new("redis-server");
        command.arg(deploy("redis.conf")).args(["--port", &port.to_string(), "--dir"]).arg(dir);
        command
    });
    for (name, value) in STORE_NEEDS {
        assert_eq!(server.setting(None, name), value, "{name}");
    }
}

#[test]
fn redis_of_the_compose_file_wants_its_password() {
    let source = read("compose.yaml");
    let compose = &Yaml::load_from_str(&source).unwrap()[0];
    let entrypoint = list(at(compose, &["services", "redis"]), &["entrypoint"]);
    assert_eq!(entrypoint[..2], ["/bin/sh", "-ec"]);
    let server = Server::start(|port, dir| {
        fs::write(dir.join("password"), "open-sesame\n").unwrap();
        let script = entrypoint[2]
            .replace("$$", "$")
            .replace("/etc/redis/redis.conf", deploy("redis.conf").to_str().unwrap())
            .replace("/run/secrets/redis_password", dir.join("password").to_str().unwrap())
            .replace("/data", dir.to_str().unwrap())
            .replace("SETTINGS\n$(cat", &format!("SETTINGS\nport {port}\n$(cat"));
        let mut command = Command::new("sh");
        command.args(["-ec", &script]);
        command
    });
    let refused = server.ask(None, &["CONFIG", "GET", "save"]).unwrap_err();
    assert!(refused.to_lowercase().contains("auth"), "{refused}");
    for (name, value) in STORE_NEEDS {
        assert_eq!(server.setting(Some("open-sesame"), name), value, "{name}");
    }
}

/// The table in `docs/store.md` and this configuration say the same.
#[test]
fn redis_is_set_as_the_document_says() {
    let document = fs::read_to_string(root().join("docs/store.md")).unwrap();
    let conf = read("redis.conf");
    let said: BTreeMap<&str, &str> =
        conf.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect();
    for setting in ["maxmemory-policy noeviction", "appendonly yes"] {
        let (name, value) = setting.split_once(' ').unwrap();
        assert!(document.contains(&format!("`{setting}`")), "docs/store.md does not name {setting}");
        assert_eq!(said[name], value);
    }
    assert!(document.contains("appendfsync everysec") && said["appendfsync"] == "everysec");
    assert!(document.contains("`maxmemory`") && said["maxmemory"].ends_with("mb"));
}

// --- settings --------------------------------------------------------------------------------------------------------

#[test]
fn the_settings_load() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = read("ringproof.toml");
    let compose = read("compose.yaml");
    let unit = read("ringproof.service");
    for (name, secret) in [
        ("redis_password", "open-sesame"),
        ("carrier", "0123456789abcdef"),
        ("callbacks", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ] {
        let file = dir.path().join(name);
        fs::write(&file, format!("{secret}\n")).unwrap();
        let mounted = format!("/run/secrets/{name}");
        assert!(settings.contains(&mounted), "no setting names {mounted}");
        assert!(compose.contains(&format!("./secrets/{name}")), "compose.yaml brings no {name}");
        assert!(unit.contains(&format!("LoadCredential={name}:")), "the unit loads no {name}");
        settings = settings.replace(&mounted, file.to_str().unwrap());
    }
    let file = dir.path().join("ringproof.toml");
    fs::write(&file, settings).unwrap();
    let sources = ringproof::config::Sources { file: Some(file), alone: true, ..Default::default() };
    let loaded = ringproof::config::load(&sources).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(loaded.config.warnings, []);
    assert_eq!(loaded.config.carriers.len(), 1);
    assert_eq!(loaded.config.store.url, "redis://redis:6379/0");
    assert!(loaded.config.server.listen.ip().is_loopback(), "TLS ends in front of it");
}
