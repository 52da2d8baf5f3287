//! Owns the order of a run: a store is filled, a whole server is started on it, every filter is asked for its first page,
//! and the log is exported.

use std::{
    fs::File,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use sha2::{Digest as _, Sha256};

use crate::{
    Scale,
    facts::Fact,
    fill::{self, Filled, Kind, hashed},
    filters::{self, Filter, PAGE},
    machine::{self, Core, Process},
    table::{Asked, Exported, Results},
};

const API_KEY: &str = "rp_bench_0123456789abcdef0123456789abcdef";
/// How often the memory of the server is read during an export.
const LOOK: Duration = Duration::from_millis(20);

type Http = Client<HttpConnector, Full<Bytes>>;

pub(crate) async fn run(scale: &Scale, kind: Kind) -> Results {
    let filled = fill::fill(kind, scale.records).await;
    eprintln!("{}: {} records in {:?}", kind.name(), scale.records, filled.took);
    let server = Server::start(scale, &filled).await;
    let mut asked = Vec::new();
    for filter in filters::all(&filled.facts) {
        asked.push(server.first_page(&filter, &filled.facts, scale.asks).await);
    }
    let before = server.process.resident();
    let mut exported = Vec::new();
    for form in ["ndjson", "csv"] {
        exported.push(server.export(form).await);
        eprintln!("{}: exported as {form}", kind.name());
    }
    Results {
        store: kind.name(),
        filled_a_second: scale.records as f64 / filled.took.as_secs_f64(),
        redis_us: filled.redis_us,
        bytes: filled.bytes.clone(),
        asked,
        resident_before: before,
        exported,
    }
}

struct Server {
    process: Process,
    base: String,
    http: Http,
    _files: tempfile::TempDir,
}

impl Server {
    async fn start(scale: &Scale, filled: &Filled) -> Self {
        let files = tempfile::tempdir().unwrap();
        let base = format!("http://127.0.0.1:{}", machine::free_port());
        let (config, log) = (files.path().join("ringproof.toml"), files.path().join("log"));
        std::fs::write(&config, settings(&base, &filled.url)).unwrap();
        let mut command = machine::pinned(Core::Server, &scale.program, machine::cores());
        command.args(["serve", "--config"]).arg(&config).current_dir(files.path());
        command.stdout(to(&log)).stderr(to(&log));
        let process = Process::start(&mut command);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new()).build(connector);
        let server = Self { process, base, http, _files: files };
        for _ in 0..400 {
            if matches!(server.ask("/readyz").await, Ok((StatusCode::OK, _))) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the server did not become ready:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    fn request(&self, path: &str) -> Request<Full<Bytes>> {
        let request = Request::get(format!("{}{path}", self.base));
        request.header(header::AUTHORIZATION, format!("Bearer {API_KEY}")).body(Full::default()).unwrap()
    }

    async fn ask(&self, path: &str) -> Result<(StatusCode, Bytes), String> {
        let answer = self.http.request(self.request(path)).await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }

    async fn first_page(&self, filter: &Filter, facts: &[Fact], asks: usize) -> Asked {
        let (expected, in_all) = filter.expected(facts);
        let expected: Vec<String> = expected.iter().map(|fact| fact.id(hashed(&fact.e164())).to_string()).collect();
        let path = format!("/v1/calls?limit={PAGE}&{}", filter.query);
        let mut times = Vec::with_capacity(asks);
        let mut wrong = None;
        for _ in 0..asks {
            let begun = Instant::now();
            let (status, body) = self.ask(path.trim_end_matches('&')).await.unwrap();
            times.push(begun.elapsed());
            let page: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let ids: Option<Vec<&str>> = page["items"]
                .as_array()
                .map(|items| items.iter().map(|item| item["id"].as_str().unwrap_or_default()).collect());
            if ids.as_ref().is_none_or(|ids| *ids != expected) {
                let got = ids.map_or(0, |ids| ids.len());
                wrong = Some(format!("{}: {status}, {got} of {} expected, or others", filter.query, expected.len()));
            }
        }
        times.sort_unstable();
        Asked { name: filter.name, in_all, times, wrong }
    }

    async fn export(&self, form: &'static str) -> Exported {
        let begun = Instant::now();
        let answer = self.http.request(self.request(&format!("/v1/calls.{form}"))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut body = answer.into_body();
        let (mut lines, mut bytes, mut highest) = (0, 0, self.process.resident());
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = looks.tick() => highest = highest.max(self.process.resident()),
                frame = body.frame() => match frame {
                    Some(Ok(frame)) => {
                        let piece = frame.into_data().unwrap_or_default();
                        bytes += piece.len();
                        lines += piece.iter().filter(|byte| **byte == b'\n').count();
                    }
                    Some(Err(error)) => panic!("the export broke off: {error}"),
                    None => break,
                },
            }
        }
        let lines = if form == "csv" { lines - 1 } else { lines };
        Exported { form, lines, bytes, took: begun.elapsed(), highest }
    }
}

fn to(log: &Path) -> Stdio {
    Stdio::from(File::options().create(true).append(true).open(log).unwrap())
}

/// A plain configuration. The carrier is never called.
fn settings(base: &str, store_url: &str) -> String {
    let key: String = Sha256::digest(API_KEY.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let listen = base.trim_start_matches("http://");
    format!(
        "[server]\nlisten = \"{listen}\"\npublic_url = \"{base}\"\n\n[store]\nurl = \"{store_url}\"\nretention = \"30d\"\n\n\
         [numbers]\ncountries = [\"JP\"]\n\n[verification]\nbrand = \"Contoso\"\n\n\
         [[carriers]]\nname = \"main\"\nkind = \"simulator\"\nfrom = [\"+815012345678\"]\ncountries = [\"*\"]\n\n\
         [[api_keys]]\nname = \"bench\"\nsha256 = \"{key}\"\nscopes = [\"calls\", \"admin\"]\n"
    )
}
