//! Owns a scripted carrier that speaks Twilio's API: it takes requests for calls, plays callees against the webhooks of
//! whoever asked, and remembers what happened. It is strict, so that what it takes is right, and shares no code with the
//! program under test. Time inside runs `speed` times as fast as outside.

mod api;
mod callee;
mod courier;
mod player;
mod twiml;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use callee::{Act, Callee, Line, When};
pub(crate) use courier::{Posted, Reply, Trouble};

/// Who the carrier is and how fast its time runs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The account.
    pub(crate) account_sid: String,
    /// Its secret: for Basic authentication and signatures.
    pub(crate) auth_token: String,
    /// An API key and its secret, good for requests as well.
    pub(crate) api_key: Option<(String, String)>,
    /// Numbers that the account may show.
    pub(crate) from: Vec<String>,
    /// How many seconds of calls pass in one second.
    pub(crate) speed: f64,
    /// For how long, in real time, a webhook is tried again when nobody listens at its address.
    pub(crate) patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account_sid: String::from("AC0123456789abcdef0123456789abcdef"),
            auth_token: String::from("d7b3f6a1c2e94f58a0b1c2d3e4f56789"),
            api_key: None,
            from: vec![String::from("+815012345678")],
            speed: 50.0,
            patience: Duration::ZERO,
        }
    }
}

/// What becomes of a request for a call.
#[derive(Debug, Clone)]
pub(crate) enum Create {
    /// It is taken.
    Taken,
    /// This HTTP status, and nobody is called.
    Fails(u16),
    /// This HTTP status, but the call is placed all the same.
    FailsAfterPlacing(u16),
    /// An error of the API: HTTP status and code.
    Refused(u16, u32),
    /// The connection is closed instead of an answer; whether the call is placed.
    Cut {
        /// Whether it is placed.
        placed: bool,
    },
    /// No answer ever; whether the call is placed.
    Silence {
        /// Whether it is placed.
        placed: bool,
    },
    /// 201 with a body that is no answer; the call is placed.
    Garbage,
    /// 201 without a name for the call.
    NoSid,
    /// 201, but the call waits: the estimate that is told, and when it is dialled, in the time of the carrier.
    Queued {
        /// What is told.
        told: Duration,
        /// When it is dialled.
        dialled_after: Duration,
    },
}

/// One call that was placed, for a look from outside.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Its name.
    pub(crate) sid: String,
    /// The parameters of the request.
    pub(crate) request: Vec<(String, String)>,
    /// Where it stands or how it ended, in the words of the API.
    pub(crate) status: String,
    /// When the telephone rang, since the start of the carrier in real time; `None` when it never did.
    pub(crate) rang_at: Option<Duration>,
    /// Everything the callee heard, in order.
    pub(crate) heard: Vec<String>,
    /// Every key that was pressed while somebody listened.
    pub(crate) pressed: String,
    /// Whether it was hung up by a request.
    pub(crate) hung_up_by_request: bool,
}

impl Seen {
    /// A parameter of the request.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.request.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// The carrier, until it is dropped.
pub(crate) struct Carrier {
    world: Arc<World>,
    address: SocketAddr,
}

/// What is shared by everything that happens in the carrier.
struct World {
    settings: Settings,
    started: Instant,
    client: reqwest::Client,
    tasks: TaskTracker,
    stop: CancellationToken,
    book: Mutex<Book>,
}

/// All that changes.
#[derive(Default)]
struct Book {
    calls: Vec<Arc<Call>>,
    callees: BTreeMap<String, VecDeque<Callee>>,
    creates: BTreeMap<String, VecDeque<Create>>,
    too_many: u32,
    create_requests: Vec<String>,
    update_requests: Vec<(String, String)>,
    posted: Vec<Posted>,
    violations: Vec<String>,
    trouble: Trouble,
    next_sid: u64,
    /// Status callbacks that are yet to be delivered.
    under_way: usize,
}

/// One call.
struct Call {
    sid: String,
    to: String,
    from: String,
    request: Vec<(String, String)>,
    /// Turns true when it has to end.
    ended: watch::Sender<bool>,
    state: Mutex<CallState>,
}

#[derive(Default)]
struct CallState {
    status: String,
    rang_at: Option<Duration>,
    answered_at: Option<Instant>,
    heard: Vec<String>,
    pressed: String,
    hung_up_by_request: bool,
    sequence: u32,
}

impl Call {
    fn state(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap()
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.request.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn is_over(&self) -> bool {
        matches!(self.state().status.as_str(), "completed" | "busy" | "no-answer" | "failed" | "canceled")
    }
}

impl World {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// Real time for a time of the carrier.
    fn real(&self, time: Duration) -> Duration {
        time.div_f64(self.settings.speed)
    }

    /// Something that a real carrier would not forgive.
    fn violation(&self, what: String) {
        self.book().violations.push(what);
    }

    fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

impl Carrier {
    /// Starts a carrier on a free port of the loopback interface.
    pub(crate) async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(15))
            .build()
            .unwrap();
        let world = Arc::new(World {
            settings,
            started: Instant::now(),
            client,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            book: Mutex::default(),
        });
        let accepting = Arc::clone(&world);
        world.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let world = Arc::clone(&accepting);
                accepting.spawn(async move {
                    let service = service_fn(|request| api::serve(Arc::clone(&world), request));
                    // An error is a connection that we cut on purpose, or that the other side closed.
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service).await.ok();
                });
            }
        });
        Self { world, address }
    }

    /// What goes into `base_url`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Who it is.
    pub(crate) fn settings(&self) -> &Settings {
        &self.world.settings
    }

    /// Whoever answers at `number` from now on.
    pub(crate) fn callee(&self, number: &str, callee: Callee) {
        self.callees(number, [callee]);
    }

    /// Whoever answers the next calls to `number`, one after another; the last answers all later ones.
    pub(crate) fn callees(&self, number: &str, callees: impl IntoIterator<Item = Callee>) {
        self.world.book().callees.insert(number.to_owned(), callees.into_iter().collect());
    }

    /// What becomes of the next requests to call `number`; later ones are taken.
    pub(crate) fn creates(&self, number: &str, creates: impl IntoIterator<Item = Create>) {
        self.world.book().creates.insert(number.to_owned(), creates.into_iter().collect());
    }

    /// The next `times` requests of any kind are one too many: 429, not looked at.
    pub(crate) fn too_many_requests(&self, times: u32) {
        self.world.book().too_many = times;
    }

    /// What goes wrong with webhooks from now on.
    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.world.book().trouble = trouble;
    }

    /// All calls so far, oldest first.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        let calls = self.world.book().calls.clone();
        calls
            .iter()
            .map(|call| {
                let state = call.state();
                Seen {
                    sid: call.sid.clone(),
                    request: call.request.clone(),
                    status: state.status.clone(),
                    rang_at: state.rang_at,
                    heard: state.heard.clone(),
                    pressed: state.pressed.clone(),
                    hung_up_by_request: state.hung_up_by_request,
                }
            })
            .collect()
    }

    /// How often the telephone `number` rang.
    pub(crate) fn rings(&self, number: &str) -> usize {
        let calls = self.world.book().calls.clone();
        calls.iter().filter(|call| call.to == number && call.state().rang_at.is_some()).count()
    }

    /// The numbers of all requests for a call that were looked at, taken or not, in order.
    pub(crate) fn create_requests(&self) -> Vec<String> {
        self.world.book().create_requests.clone()
    }

    /// All requests to change a call: its name and the status asked for.
    pub(crate) fn update_requests(&self) -> Vec<(String, String)> {
        self.world.book().update_requests.clone()
    }

    /// Every webhook that was sent, in order, with its answer.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.world.book().posted.clone()
    }

    /// What a real carrier would not have forgiven: wrong requests, wrong documents. Empty in every good test.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.world.book().violations.clone()
    }

    /// Waits until `condition` holds; fails, saying `what` did not come, when that takes too long.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + MAX_WAIT;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited in vain for: {what}; calls: {:#?}", self.calls());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until at least one call was placed and none is alive any more, and all webhooks are delivered.
    pub(crate) async fn all_over(&self) {
        self.until("all calls to be over", |carrier| {
            let calls = carrier.world.book().calls.clone();
            !calls.is_empty() && calls.iter().all(|call| call.is_over())
        })
        .await;
        self.until("all webhooks to be delivered", |carrier| carrier.world.book().under_way == 0).await;
    }

    /// Sends a webhook once more, byte for byte.
    pub(crate) async fn send_again(&self, posted: &Posted) -> Reply {
        courier::send_again(&self.world, posted).await
    }

    /// Sends a webhook of the carrier's making to `url`: these parameters, signed with `token`.
    pub(crate) async fn send(&self, url: &str, params: &[(String, String)], token: &str) -> Reply {
        courier::send(&self.world, url, params, token).await
    }

    /// Sends anything: these headers, this body.
    pub(crate) async fn send_raw(&self, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        courier::send_raw(&self.world, url, headers, body).await
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}

/// Longest wait of a test for something to happen.
const MAX_WAIT: Duration = Duration::from_secs(30);
