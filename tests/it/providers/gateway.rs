//! Owns a gateway without a verification behind it: it authenticates and answers webhooks through a [`Provider`], asks
//! for one key at most three times, and writes down every signal. For tests of carriers only.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ringproof::{
    callflow::{Accept, Gather, Line, Script, Then, Wording},
    provider::{Accepted, Endpoint, Inbound, Provider},
    verification::Signal,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The gateway, until it is dropped.
pub(super) struct Gateway {
    core: Arc<Core>,
    address: SocketAddr,
    stop: CancellationToken,
}

struct Core {
    provider: Arc<dyn Provider>,
    url: String,
    /// How a question is answered.
    accept: Accept,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    signals: Vec<String>,
    accepted: Vec<Accepted>,
    /// By token: the open turn; `None` once the call is to end.
    turns: BTreeMap<String, Option<u32>>,
}

impl Gateway {
    /// A free address, for URLs that are needed before there is a provider.
    pub(super) async fn bind() -> (TcpListener, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        (listener, url)
    }

    pub(super) fn start(listener: TcpListener, provider: Arc<dyn Provider>, accept: Accept) -> Self {
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let core = Arc::new(Core { provider, url, accept, state: Mutex::default() });
        let stop = CancellationToken::new();
        let (serving, stopped, tasks) = (Arc::clone(&core), stop.clone(), TaskTracker::new());
        let connections = tasks.clone();
        tasks.spawn(async move {
            loop {
                let socket = tokio::select! {
                    () = stopped.cancelled() => return,
                    socket = listener.accept() => socket.unwrap().0,
                };
                let core = Arc::clone(&serving);
                connections.spawn(async move {
                    let service = service_fn(|request| Arc::clone(&core).serve(request));
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service).await.ok();
                });
            }
        });
        Self { core, address, stop }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every signal in the order of arrival, in words.
    pub(super) fn signals(&self) -> Vec<String> {
        self.core.state.lock().unwrap().signals.clone()
    }

    /// Everything that was accepted.
    pub(super) fn accepted(&self) -> Vec<Accepted> {
        self.core.state.lock().unwrap().accepted.clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Core {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = parts.uri.path().to_owned();
        let url = format!("{}{}", self.url, parts.uri.path_and_query().unwrap());
        let segments: Vec<_> = path.trim_start_matches("/webhooks/main/").split('/').collect();
        let (token, to) = match segments[..] {
            [token, "flow"] => (token, Endpoint::Flow),
            [token, "status"] => (token, Endpoint::Status),
            [token, "keys", turn] => (token, Endpoint::Keys { turn: turn.parse().unwrap() }),
            _ => panic!("{path}"),
        };
        let method = parts.method.as_str();
        let inbound = Inbound { to, method, url: &url, headers: &parts.headers, body: &body };
        let reply = match self.provider.accept(&inbound) {
            Ok(accepted) => self.reply(token, to, accepted),
            Err(refused) => {
                self.state.lock().unwrap().signals.push(format!("refused {}", refused.as_str()));
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::FORBIDDEN;
                return Ok(response);
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(reply.body)));
        *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
        if !reply.content_type.is_empty() {
            response.headers_mut().insert("content-type", reply.content_type.parse().unwrap());
        }
        Ok(response)
    }

    fn reply(&self, token: &str, to: Endpoint, accepted: Accepted) -> ringproof::provider::Reply {
        let turn = {
            let mut state = self.state.lock().unwrap();
            state.signals.push(match &accepted.signal {
                None => String::from("nothing"),
                Some(Signal::Keys { turn, digits, .. }) => format!("keys {turn} `{}`", digits.expose()),
                Some(Signal::Ended(cause)) => format!("ended {:?} {:?}", cause.end, cause.fault),
                Some(signal) => format!("{signal:?}").to_lowercase(),
            });
            let open = state.turns.entry(token.to_owned()).or_insert(Some(1));
            if let Some(Signal::Keys { turn, digits, .. }) = &accepted.signal
                && *open == Some(*turn)
            {
                *open = (digits.expose() != "#" && *turn < 3).then_some(*turn + 1);
            }
            let open = *open;
            state.accepted.push(accepted);
            open
        };
        if to == Endpoint::Status {
            return self.provider.acknowledge();
        }
        let keys_url = format!("{}/webhooks/main/{token}/keys/{}", self.url, turn.unwrap_or_default());
        self.provider.render(&self.script(turn), &keys_url)
    }

    fn script(&self, turn: Option<u32>) -> Script {
        let say = |text: &str| Line::Say {
            prompt: "p".into(),
            text: text.into(),
            takes: Duration::from_secs(2),
            wording: Wording::default(),
        };
        let then = match turn {
            None => return Script { language: "en".into(), before: vec![say("Goodbye.")], then: Then::HangUp },
            Some(turn) => {
                let prompt = vec![say(&format!("Question {turn}. Press the pound key."))];
                Then::Gather(Gather { prompt, accept: self.accept, wait: Duration::from_secs(5) })
            }
        };
        Script { language: "en".into(), before: Vec::new(), then }
    }
}
