//! Owns the carrier of the benchmark: takes orders for calls and plays a callee who answers and presses `#` at once.
//! It keeps no state beyond the calls that are going on, and costs as little as it can: it is not what is measured.
//!
//! It prints a line on its standard output for each call, and obeys `hold` and `go` on its standard input.

use std::{collections::BTreeMap, io::Write as _, net::SocketAddr, sync::Arc};

use axum::{
    Form, Router,
    extract::State,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use tokio::sync::watch;

use crate::wire::{self, ACCOUNT, Http};

/// Calls that are played at the same time after a `go`.
const AT_ONCE: usize = 64;

/// One call from order to end, as it is told to the driver.
#[derive(Debug, Clone)]
pub(crate) struct Played {
    /// The number called.
    pub(crate) number: String,
    /// When the order came, in µs of the machine's clock.
    pub(crate) ordered_at: u64,
    /// How long the flow request took, in µs.
    pub(crate) flow: u64,
    /// How long the key took, in µs.
    pub(crate) key: u64,
    /// How long the status took, in µs.
    pub(crate) status: u64,
}

/// What the carrier tells.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// It listens.
    Ready(u16),
    /// An order came while calls are held.
    Ordered,
    /// A call was played.
    Played(Played),
    /// A call went wrong.
    Wrong { number: String, why: String },
}

impl Told {
    fn line(&self) -> String {
        match self {
            Self::Ready(port) => format!("ready {port}"),
            Self::Ordered => String::from("ordered"),
            Self::Played(p) => format!("played {} {} {} {} {}", p.number, p.ordered_at, p.flow, p.key, p.status),
            Self::Wrong { number, why } => format!("wrong {number} {}", why.replace('\n', " ")),
        }
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "ready" => rest.parse().ok().map(Self::Ready),
            "ordered" => Some(Self::Ordered),
            "played" => {
                let mut parts = rest.split(' ');
                let number = parts.next()?.to_owned();
                let mut us = || parts.next()?.parse().ok();
                Some(Self::Played(Played { number, ordered_at: us()?, flow: us()?, key: us()?, status: us()? }))
            }
            "wrong" => {
                let (number, why) = rest.split_once(' ')?;
                Some(Self::Wrong { number: number.to_owned(), why: why.to_owned() })
            }
            _ => None,
        }
    }

    fn tell(&self) {
        let mut out = std::io::stdout().lock();
        // The driver is gone when this fails; then there is nobody to tell.
        let _ = writeln!(out, "{}", self.line()).and_then(|()| out.flush());
    }
}

struct Carrier {
    http: Http,
    held: watch::Receiver<bool>,
    lines: tokio::sync::Semaphore,
}

/// Runs until its standard input is closed.
pub(crate) async fn run() {
    let (hold, held) = watch::channel(false);
    let carrier = Arc::new(Carrier { http: wire::client(), held, lines: tokio::sync::Semaphore::new(AT_ONCE) });
    let account = format!("/2010-04-01/Accounts/{ACCOUNT}");
    let router = Router::new()
        .route(
            &format!("{account}.json"),
            get(async || axum::Json(serde_json::json!({"sid": ACCOUNT, "status": "active"}))),
        )
        .route(&format!("{account}/Calls.json"), post(order))
        .with_state(carrier);
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    Told::Ready(listener.local_addr().unwrap().port()).tell();
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        for command in std::io::stdin().lines().map_while(Result::ok) {
            hold.send_replace(command == "hold");
        }
        end.send(())
    });
    tokio::select! {
        _ = ended => {}
        served = axum::serve(listener, router).into_future() => served.unwrap(),
    }
}

async fn order(State(carrier): State<Arc<Carrier>>, Form(fields): Form<BTreeMap<String, String>>) -> impl IntoResponse {
    let ordered_at = wire::now_us();
    let [Some(to), Some(from), Some(flow_url), Some(status_url)] =
        ["To", "From", "Url", "StatusCallback"].map(|name| fields.get(name).cloned())
    else {
        return (StatusCode::BAD_REQUEST, axum::Json(serde_json::json!({"code": 21201, "status": 400})));
    };
    let sid = format!("CA{:032x}", to.trim_start_matches('+').parse::<u128>().unwrap_or_default());
    let answer = serde_json::json!({
        "sid": sid, "account_sid": ACCOUNT, "status": "queued", "to": to, "from": from, "direction": "outbound-api",
        "duration": null, "price": null, "price_unit": "USD", "queue_time": "0", "answered_by": null, "api_version": "2010-04-01",
        "date_created": null, "uri": format!("/2010-04-01/Accounts/{ACCOUNT}/Calls/{sid}.json"),
    });
    if *carrier.held.borrow() {
        Told::Ordered.tell();
    }
    let call = Call { sid, to, from, flow_url, status_url, ordered_at };
    tokio::spawn(call.play_when_free(carrier));
    (StatusCode::CREATED, axum::Json(answer))
}

struct Call {
    sid: String,
    to: String,
    from: String,
    flow_url: String,
    status_url: String,
    ordered_at: u64,
}

impl Call {
    async fn play_when_free(self, carrier: Arc<Carrier>) {
        let mut held = carrier.held.clone();
        let was_held = *held.borrow();
        if held.wait_for(|held| !held).await.is_err() {
            return;
        }
        let _line = if was_held { carrier.lines.acquire().await.ok() } else { None };
        match self.play(&carrier.http).await {
            Ok(played) => Told::Played(played).tell(),
            Err(why) => Told::Wrong { number: self.to.clone(), why }.tell(),
        }
    }

    async fn play(&self, http: &Http) -> Result<Played, String> {
        let (flow, document) = self.post(http, &self.flow_url, "in-progress", &[]).await?;
        let keys_url = gather_action(&document, &self.flow_url)?;
        let (key, _) = self.post(http, &keys_url, "in-progress", &[("Digits", "#"), ("FinishedOnKey", "")]).await?;
        let ended = [
            ("CallDuration", "4"),
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", "3"),
            ("Duration", "1"),
        ];
        let (status, _) = self.post(http, &self.status_url, "completed", &ended).await?;
        Ok(Played { number: self.to.clone(), ordered_at: self.ordered_at, flow, key, status })
    }

    async fn post(&self, http: &Http, url: &str, status: &str, more: &[(&str, &str)]) -> Result<(u64, String), String> {
        let mut fields = BTreeMap::from([
            ("AccountSid", ACCOUNT),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &self.sid),
            ("CallStatus", status),
            ("Called", &self.to),
            ("CalledCountry", "JP"),
            ("Caller", &self.from),
            ("CallerCountry", "JP"),
            ("Direction", "outbound-api"),
            ("From", &self.from),
            ("FromCountry", "JP"),
            ("To", &self.to),
            ("ToCountry", "JP"),
        ]);
        fields.extend(more.iter().copied());
        let request = wire::signed_form(url, &fields);
        let begun = wire::now_us();
        let (code, body) = wire::send(http, request).await?;
        let took = wire::now_us().saturating_sub(begun);
        if code.is_success() {
            Ok((took, String::from_utf8_lossy(&body).into_owned()))
        } else {
            Err(format!("{url} answered {code}"))
        }
    }
}

/// Where the first gather of a document posts its keys.
fn gather_action(document: &str, base: &str) -> Result<String, String> {
    let tree = roxmltree::Document::parse(document).map_err(|error| format!("{error}: {document}"))?;
    let action =
        tree.descendants().filter(|node| node.has_tag_name("Gather")).find_map(|node| node.attribute("action"));
    let action = action.ok_or_else(|| format!("no gather in {document}"))?;
    let base = url::Url::parse(base).map_err(|error| error.to_string())?;
    base.join(action).map(String::from).map_err(|error| error.to_string())
}
