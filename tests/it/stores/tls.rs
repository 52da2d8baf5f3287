//! Redis behind TLS: whom the store believes, and what it says where it believes nobody. The certificates are made for
//! each test, and the server is a real one.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use ringproof::{
    store::{self, Config, Created, Store},
    time::{Clock, SystemClock},
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    lab::config,
    sample::{commit, verification},
};
use crate::world::{program::free_port, redis::Redis};

/// Longest time until somebody who is not believed is given up.
const GIVEN_UP: Duration = Duration::from_secs(12);

/// A server with a certificate for this name, and the authority that signed it.
struct Secured {
    redis: Redis,
    port: u16,
    folder: TempDir,
}

impl Secured {
    fn start(name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |file: &str| folder.path().join(file).display().to_string();
        authority(folder.path(), "ours");
        authority(folder.path(), "strangers");
        openssl(folder.path(), &["req", "-new", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=redis"]);
        std::fs::write(path("names"), format!("subjectAltName={name}")).unwrap();
        let signed = ["x509", "-req", "-in", "server.csr", "-CA", "ours.pem", "-CAkey", "ours.key", "-days", "2"];
        openssl(folder.path(), &[&signed[..], &["-extfile", "names", "-out", "server.pem"]].concat());
        let port = free_port();
        let (certificate, key, authority, number) =
            (path("server.pem"), path("server.key"), path("ours.pem"), port.to_string());
        let redis = Redis::start_with(
            None,
            &[
                "--tls-port",
                &number,
                "--tls-cert-file",
                &certificate,
                "--tls-key-file",
                &key,
                "--tls-ca-cert-file",
                &authority,
                "--tls-auth-clients",
                "no",
            ],
        );
        Self { redis, port, folder }
    }

    fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}/0", self.port)
    }

    fn authority(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(format!("{name}.pem")))
    }
}

fn authority(folder: &Path, name: &str) {
    let (key, certificate, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
    openssl(folder, &["req", "-x509", "-keyout", &key, "-out", &certificate, "-subj", &subject, "-days", "2"]);
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments);
    if arguments.contains(&"-keyout") {
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    }
    let output = command.output().unwrap_or_else(|error| panic!("openssl cannot be started ({error})"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn believing(url: &str, authority: Option<PathBuf>) -> Config {
    Config { ca_file: authority, ..config(url) }
}

/// What opening comes to, in time: nothing where it works.
async fn opening(config: &Config) -> String {
    let began = Instant::now();
    let said = match store::open(config).await {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(began.elapsed() < GIVEN_UP, "{said}: {:?}", began.elapsed());
    said
}

async fn works(store: &dyn Store) {
    let value = verification(1, "a");
    assert!(matches!(store.create(commit(&value)).await.unwrap(), Created::Done(_)));
    assert_eq!(store.load(value.id).await.unwrap().unwrap().revision, 1);
    assert_eq!(store.check(SystemClock.now()).await.unwrap().warnings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_believed_by_its_authority_alone() {
    let server = Secured::start("IP:127.0.0.1,DNS:localhost");
    let store = store::open(&believing(&server.url(), server.authority("ours"))).await.unwrap();
    works(store.as_ref()).await;
    let by_name = server.url().replace("127.0.0.1", "localhost");
    works(store::open(&believing(&by_name, server.authority("ours"))).await.unwrap().as_ref()).await;
    for authority in [server.authority("strangers"), None] {
        let said = opening(&believing(&server.url(), authority.clone())).await;
        assert!(said.contains("must be set up") && said.contains("certificate"), "{authority:?}: {said}");
        assert!(said.contains("ca_file"), "what to do is said: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_name_is_refused() {
    let server = Secured::start("DNS:redis.example.net");
    let said = opening(&believing(&server.url(), server.authority("ours"))).await;
    assert!(said.contains("must be set up") && said.contains("certificate"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheme_that_is_not_the_servers_is_told() {
    let server = Secured::start("IP:127.0.0.1");
    let plain = format!("rediss://127.0.0.1:{}/0", server.redis.port());
    let said = opening(&believing(&plain, server.authority("ours"))).await;
    assert!(said.contains("in time") || said.contains("TLS"), "it waits for the end of a line: {said}");
    let said = opening(&believing(&format!("redis://127.0.0.1:{}/0", server.port), None)).await;
    assert!(said.contains("away"), "it hangs up: {said}");

    let missing = opening(&believing(&server.url(), server.authority("nobody"))).await;
    assert!(missing.contains("ca_file") && missing.contains("cannot be read"), "{missing}");
    let nonsense = server.folder.path().join("server.csr");
    let said = opening(&believing(&server.url(), Some(nonsense))).await;
    assert!(said.contains("ca_file"), "{said}");
}
