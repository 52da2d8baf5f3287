//! Exchanges with a carrier, one file each in `tests/providers/twilio/exchanges`: what is asked of us, the requests that we
//! must send, the answers to them byte by byte, what must come of it.

use std::{fs, path::Path, sync::Arc, time::Duration};

use ringproof::{
    provider::{LiveCall, Provider},
    verification::PlaceResult,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use super::{ACCOUNT, order, token, twilio};

/// One file.
#[derive(Debug)]
struct Exchange {
    name: String,
    /// `place …` or `hang_up …`.
    task: String,
    /// Lines of configuration.
    config: String,
    /// Request as we must send it, answer to be given.
    steps: Vec<(String, String)>,
    result: String,
}

impl Exchange {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap().replace("{ACCOUNT}", ACCOUNT);
        let mut sections = text.split("--- ").map(|section| section.split_once('\n').unwrap_or((section, "")));
        let (_, head) = sections.next().map(|(comment, rest)| (comment.trim_start_matches('#'), rest)).unwrap();
        let mut exchange = Self {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            task: String::new(),
            config: String::new(),
            steps: Vec::new(),
            result: String::new(),
        };
        for line in head.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("config: ") {
                Some(line) => exchange.config.push_str(&format!("{line}\n")),
                None => exchange.task = line.to_owned(),
            }
        }
        for (kind, body) in sections {
            match kind.trim() {
                "request" => exchange.steps.push((body.trim().to_owned(), String::new())),
                "answer" => exchange.steps.last_mut().unwrap().1 = body.trim_end().to_owned(),
                "result" => exchange.result = body.trim().to_owned(),
                other => panic!("{path:?}: section `{other}`"),
            }
        }
        assert!(!exchange.result.is_empty() && !exchange.task.is_empty(), "{path:?}");
        exchange
    }

    fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.task.split_whitespace().filter_map(|word| word.split_once('='))
    }

    async fn run(self) -> Result<(), String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let listens = !self.steps.is_empty();
        let server = Arc::new(Server { steps: self.steps.clone(), seen: Mutex::default() });
        let serving = async {
            if listens {
                Arc::clone(&server).serve(&listener).await;
            } else {
                drop(listener);
                std::future::pending::<()>().await;
            }
        };
        let provider = twilio(&base_url, &self.config);
        let result = tokio::select! {
            result = self.ask(&provider) => result,
            () = serving => unreachable!("the server never stops"),
        };
        let seen = server.seen.lock().await.join("\n\n");
        let wanted = self.steps.iter().map(|(request, _)| request.as_str()).collect::<Vec<_>>().join("\n\n");
        if result != self.result {
            return Err(format!("{}: `{result}` instead of `{}`", self.name, self.result));
        }
        if seen != wanted {
            return Err(format!("{}: sent\n{seen}\ninstead of\n{wanted}", self.name));
        }
        Ok(())
    }

    async fn ask(&self, provider: &impl Provider) -> String {
        let mut order = order("+819012345678", "https://verify.example.com", token(1));
        let mut call = LiveCall { token: order.token, carrier_call_id: None, answered: false };
        for (name, value) in self.words() {
            match name {
                "to" => order.to = value.parse().unwrap(),
                "extension" => order.extension = Some(value.to_owned()),
                "call" => call.carrier_call_id = Some(value.to_owned()),
                "answered" => call.answered = value == "yes",
                other => panic!("{}: `{other}`", self.name),
            }
        }
        if self.task.starts_with("hang_up") {
            return match provider.hang_up(&call).await {
                Ok(()) => String::from("over"),
                Err(error) => error.to_string(),
            };
        }
        match provider.place(&order).await {
            PlaceResult::Accepted { carrier_call_id } => {
                format!("accepted {}", carrier_call_id.as_deref().unwrap_or("without a name"))
            }
            PlaceResult::Refused { cause, try_next_route } => {
                let next = if try_next_route { "try elsewhere" } else { "do not try elsewhere" };
                format!("refused {:?} {:?} {}, {next}", cause.end, cause.fault, cause.carrier_code.unwrap_or_default())
            }
            PlaceResult::Unknown { cause } => {
                format!("unknown {:?} {:?} {}", cause.end, cause.fault, cause.carrier_code.unwrap_or_default())
            }
        }
    }
}

/// Answers the requests that come, whatever connection they come on, in the order of the file.
struct Server {
    steps: Vec<(String, String)>,
    seen: Mutex<Vec<String>>,
}

impl Server {
    async fn serve(self: Arc<Self>, listener: &TcpListener) {
        let tasks = tokio_util::task::TaskTracker::new();
        while let Ok((socket, _)) = listener.accept().await {
            tasks.spawn(Arc::clone(&self).converse(socket));
        }
    }

    async fn converse(self: Arc<Self>, mut socket: TcpStream) {
        while let Some(request) = read_request(&mut socket).await {
            let answer = {
                let mut seen = self.seen.lock().await;
                seen.push(request);
                self.steps.get(seen.len() - 1).map_or_else(|| "(closed)".to_owned(), |(_, answer)| answer.clone())
            };
            match answer.as_str() {
                "(closed)" => return,
                "(silence)" => return std::future::pending().await,
                answer => socket.write_all(on_the_wire(answer).as_bytes()).await.unwrap(),
            }
            if answer.contains("connection: close") {
                return;
            }
        }
    }
}

/// Line ends of HTTP, and the length of the body where the file does not give one.
fn on_the_wire(answer: &str) -> String {
    let (head, body) = answer.split_once("\n\n").unwrap_or((answer, ""));
    let length =
        if head.contains("content-length") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{}\r\n{length}\r\n{body}", head.replace('\n', "\r\n"))
}

/// A request in the spelling of the files: method and path, the headers that matter, the parameters decoded.
async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let header = |wanted: &str| {
        head.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case(wanted))
    };
    let length = header("content-length").map_or(0, |(_, length)| length.parse::<usize>().unwrap());
    while bytes.len() < head_end + 4 + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut lines = vec![head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned()];
    for name in ["authorization", "content-type", "accept"] {
        lines.extend(header(name).map(|(_, value)| format!("{name}: {value}")));
    }
    let body = &bytes[head_end + 4..];
    lines.extend(url::form_urlencoded::parse(body).map(|(name, value)| format!("{name}={value}")));
    Some(lines.join("\n"))
}

#[tokio::test]
async fn recorded_exchanges() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/providers/twilio/exchanges");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 30, "only {} exchanges", paths.len());
    let all = futures_util::future::join_all(paths.iter().map(|path| Exchange::read(path).run()));
    let results = tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
    let faults: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
