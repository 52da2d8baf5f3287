//! Whole calls against the scripted carrier: our dialect and the carrier, which share no code, understand each other, and
//! each callee behaves as scripted.

use std::{sync::Arc, time::Duration};

use ringproof::{
    callflow::Accept,
    dtmf::Digit,
    provider::{LiveCall, Order, Provider, http::HttpProvider, twilio::Twilio},
    verification::PlaceResult,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{gateway::Gateway, order, token, twilio};
use crate::world::carrier::{Act, Callee, Carrier, Create, Line, Settings, Trouble, When};

const NUMBER: &str = "+819012345678";

/// Carrier, gateway and what connects them.
struct Scene {
    carrier: Carrier,
    gateway: Gateway,
    provider: Arc<HttpProvider<Twilio>>,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Settings::default(), "", Accept::OneKey).await
    }

    async fn with(settings: Settings, more: &str, accept: Accept) -> Self {
        let carrier = Carrier::start(settings).await;
        let (listener, _) = Gateway::bind().await;
        let provider = Arc::new(twilio(&carrier.base_url(), more));
        let gateway = Gateway::start(listener, Arc::clone(&provider) as Arc<dyn Provider>, accept);
        Self { carrier, gateway, provider }
    }

    fn order(&self) -> Order {
        order(NUMBER, &self.gateway.url(), token(7))
    }

    async fn place(&self) -> PlaceResult {
        self.provider.place(&self.order()).await
    }

    /// Places a call, plays it to its end, and gives every signal of it.
    async fn call(&self, callee: Callee) -> Vec<String> {
        self.carrier.callee(NUMBER, callee);
        let placed = self.place().await;
        assert!(matches!(placed, PlaceResult::Accepted { .. }), "{placed:?}");
        self.over().await
    }

    async fn over(&self) -> Vec<String> {
        self.carrier.all_over().await;
        assert_eq!(self.carrier.violations(), Vec::<String>::new());
        self.gateway.signals()
    }

    fn heard(&self) -> Vec<String> {
        self.carrier.calls().pop().unwrap().heard
    }
}

const QUESTION: &str = "Question 1. Press the pound key.";

/// Signals that came by documents: the order of these is certain, that of statuses is not.
fn documents(signals: &[String]) -> Vec<&str> {
    signals
        .iter()
        .map(String::as_str)
        .filter(|signal| signal.starts_with("flow") || signal.starts_with("keys"))
        .collect()
}

/// Signals that came by status callbacks, sorted.
fn statuses(signals: &[String]) -> Vec<&str> {
    let mut statuses: Vec<_> = signals
        .iter()
        .map(String::as_str)
        .filter(|signal| !signal.starts_with("flow") && !signal.starts_with("keys"))
        .collect();
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn answers_and_presses_pound() {
    let scene = Scene::new().await;
    let signals = scene.call(Callee::presses(["#"])).await;
    assert_eq!(documents(&signals), ["flow { answered: true }", "keys 1 `#`"]);
    assert_eq!(statuses(&signals), ["answered", "ended Completed None", "initiated", "ringing"]);
    assert_eq!(scene.heard(), [QUESTION, "Goodbye."]);
    assert_eq!(scene.carrier.rings(NUMBER), 1);
    let call = scene.carrier.calls().pop().unwrap();
    assert_eq!((call.pressed.as_str(), call.status.as_str()), ("#", "completed"));
    for accepted in scene.gateway.accepted() {
        assert_eq!(accepted.carrier_call_id.as_deref(), Some(call.sid.as_str()));
        assert_eq!(accepted.to.unwrap().expose(), NUMBER);
    }
}

#[tokio::test]
async fn keys_of_every_callee() {
    for (callee, keys) in [
        (Callee::silent(), vec!["keys 1 ``", "keys 2 ``", "keys 3 ``"]),
        (Callee::too_early(), vec!["keys 1 `#`"]),
        (Callee::presses(["1", "2", "3"]), vec!["keys 1 `1`", "keys 2 `2`", "keys 3 `3`"]),
        (Callee::presses(["0", "#"]), vec!["keys 1 `0`", "keys 2 `#`"]),
        // Typed in one go: the second key answers the next question.
        (Callee::presses(["0#"]), vec!["keys 1 `0`", "keys 2 `#`"]),
        (Callee::presses(["*", "#"]), vec!["keys 1 `*`", "keys 2 `#`"]),
        (Callee::screened_then("#"), vec!["keys 1 ``", "keys 2 `#`"]),
        (Callee::voicemail(), vec!["keys 1 ``", "keys 2 ``", "keys 3 ``"]),
        (Callee::voicemail_with_tones(1), vec!["keys 1 `#`"]),
        (Callee::person([Act::Press("#", When::Amid)]), vec!["keys 1 `#`"]),
        (Callee::hangs_up_before_prompt(), vec![]),
        (Callee::hangs_up_after_prompt(), vec![]),
        (Callee::person([Act::HangUp(When::Amid)]), vec![]),
    ] {
        let scene = Scene::new().await;
        let signals = scene.call(callee.clone()).await;
        let wanted: Vec<_> = std::iter::once("flow { answered: true }").chain(keys).collect();
        assert_eq!(documents(&signals), wanted, "{callee:?}");
        assert!(statuses(&signals).contains(&"ended Completed None"), "{callee:?}");
        let heard_nothing = callee.acts.first() == Some(&Act::HangUp(When::AtOnce));
        assert_eq!(scene.heard().is_empty(), heard_nothing, "{callee:?}");
    }
}

#[tokio::test]
async fn entries_report_what_ends_them() {
    for (callee, keys) in [
        (Callee::presses(["123456#"]), "keys 1 `123456#`"),
        (Callee::presses(["12#"]), "keys 1 `12#`"),
        (Callee::presses(["123456"]), "keys 1 `123456`"),
        (Callee::presses(["1234567890"]), "keys 1 `1234567`"),
    ] {
        let scene = Scene::with(Settings::default(), "", Accept::Entry { max: 7, end: Digit::POUND }).await;
        let signals = scene.call(callee.clone()).await;
        assert_eq!(documents(&signals)[1], keys, "{callee:?}");
    }
}

#[tokio::test]
async fn lines_that_come_to_nothing() {
    for (line, ended, rings) in [
        (Line::Busy, "ended Busy Callee", 0),
        (Line::Declines(Duration::from_secs(3)), "ended Rejected Callee", 1),
        (Line::RingsOut, "ended NoAnswer Callee", 1),
        (Line::Fails(404), "ended InvalidNumber Request", 0),
        (Line::Fails(480), "ended Unreachable Callee", 0),
        (Line::Fails(503), "ended CarrierError Carrier", 0),
        (Line::AnswersAndDrops, "ended Completed None", 1),
    ] {
        let scene = Scene::new().await;
        let signals = scene.call(Callee::line(line)).await;
        assert_eq!(documents(&signals), Vec::<&str>::new(), "{line:?}");
        assert!(statuses(&signals).contains(&ended), "{line:?}: {signals:?}");
        assert_eq!(scene.carrier.rings(NUMBER), rings, "{line:?}");
    }
}

#[tokio::test]
async fn extension_and_machine_detection() {
    let scene = Scene::with(Settings::default(), "detect_machines = true", Accept::OneKey).await;
    scene.carrier.callee(NUMBER, Callee::behind_switchboard("101"));
    let mut order = scene.order();
    order.extension = Some(",,101".into());
    scene.provider.place(&order).await;
    let signals = scene.over().await;
    assert_eq!(documents(&signals).last(), Some(&"keys 1 `#`"));
    let call = scene.carrier.calls().pop().unwrap();
    assert_eq!((call.param("SendDigits"), call.param("MachineDetection")), (Some("WW101"), None));
    assert!(!statuses(&signals).iter().any(|signal| signal.starts_with("answeredby")));

    let scene = Scene::with(Settings::default(), "detect_machines = true", Accept::OneKey).await;
    let signals = scene.call(Callee::voicemail()).await;
    assert!(statuses(&signals).contains(&"answeredby(machine)"), "{signals:?}");

    let scene = Scene::new().await;
    let signals = scene.call(Callee::behind_switchboard("101")).await;
    assert_eq!(documents(&signals).last(), Some(&"keys 3 ``"), "without the extension nobody is reached");
}

#[tokio::test]
async fn webhooks_twice_late_backwards_or_lost() {
    let shuffled = |seed| Trouble { shuffle: Some((seed, Duration::from_millis(200))), ..Trouble::default() };
    for trouble in [
        Trouble { duplicate: true, ..Trouble::default() },
        shuffled(1),
        shuffled(2),
        Trouble { backwards: true, ..Trouble::default() },
        Trouble { no_statuses: true, ..Trouble::default() },
        Trouble { lost_answers: 2, ..Trouble::default() },
        Trouble { delay: Duration::from_millis(20), ..Trouble::default() },
    ] {
        let scene = Scene::new().await;
        scene.carrier.trouble(trouble.clone());
        let signals = scene.call(Callee::presses(["#"])).await;
        let mut known = documents(&signals);
        known.dedup();
        assert_eq!(known, ["flow { answered: true }", "keys 1 `#`"], "{trouble:?}");
        assert_eq!(scene.heard(), [QUESTION, "Goodbye."], "{trouble:?}");
        let mut statuses = statuses(&signals);
        statuses.dedup();
        let all =
            if trouble.no_statuses { vec![] } else { vec!["answered", "ended Completed None", "initiated", "ringing"] };
        assert_eq!(statuses, all, "{trouble:?}");
        for posted in scene.carrier.posted() {
            assert!(matches!(posted.reply.as_ref().unwrap().status, 200 | 204), "{posted:?}");
        }
        if trouble.backwards {
            assert_eq!(signals.last().map(String::as_str), Some("initiated"));
        }
    }
}

#[tokio::test]
async fn forged_and_replayed_webhooks() {
    let scene = Scene::new().await;
    scene.call(Callee::presses(["#"])).await;
    let posted = scene.carrier.posted();
    let keys = posted.iter().find(|posted| posted.param("Digits").is_some()).unwrap();
    let flow = posted.iter().find(|posted| posted.url.ends_with("/flow")).unwrap();
    // Replays are authentic: they get the answer of the present state.
    assert_eq!(scene.carrier.send_again(keys).await, *keys.reply.as_ref().unwrap());
    assert_eq!(scene.carrier.send_again(flow).await, *keys.reply.as_ref().unwrap());
    let signals = scene.gateway.signals().len();
    assert_eq!(scene.carrier.send(&keys.url, &keys.params, "another token").await.status, 403);
    let mut other = keys.clone();
    other.url = flow.url.clone();
    assert_eq!(scene.carrier.send_again(&other).await.status, 403, "the signature is over the URL");
    let mut other = keys.clone();
    other.params.iter_mut().find(|(name, _)| name == "Digits").unwrap().1 = "1".into();
    assert_eq!(scene.carrier.send_again(&other).await.status, 403, "and over the keys");
    let mut stranger = keys.params.clone();
    stranger.iter_mut().find(|(name, _)| name == "AccountSid").unwrap().1 = "AC9".into();
    let token = scene.carrier.settings().auth_token.clone();
    assert_eq!(scene.carrier.send(&keys.url, &stranger, &token).await.status, 403);
    assert_eq!(scene.carrier.send_raw(&keys.url, &[], "Digits=%23").await.status, 403);
    assert_eq!(
        scene.gateway.signals()[signals..],
        ["bad_signature", "bad_signature", "bad_signature", "wrong_account", "no_signature"]
            .map(|why| format!("refused {why}"))
    );
}

#[tokio::test]
async fn requests_of_unknown_fate_are_not_repeated() {
    for (create, result, rings) in [
        (Create::Taken, "accepted", 1),
        (Create::NoSid, "accepted", 1),
        (Create::Fails(500), "unknown", 0),
        (Create::Fails(503), "unknown", 0),
        (Create::FailsAfterPlacing(500), "unknown", 1),
        (Create::FailsAfterPlacing(502), "unknown", 1),
        (Create::Cut { placed: false }, "unknown", 0),
        (Create::Cut { placed: true }, "unknown", 1),
        (Create::Silence { placed: true }, "unknown", 1),
        (Create::Garbage, "unknown", 1),
        (Create::Refused(400, 21211), "refused", 0),
        (Create::Refused(401, 20003), "refused", 0),
    ] {
        let scene = Scene::new().await;
        scene.carrier.creates(NUMBER, [create.clone()]);
        let placed = match scene.place().await {
            PlaceResult::Accepted { .. } => "accepted",
            PlaceResult::Refused { .. } => "refused",
            PlaceResult::Unknown { .. } => "unknown",
        };
        assert_eq!(placed, result, "{create:?}");
        if rings > 0 {
            let signals = scene.over().await;
            assert_eq!(
                documents(&signals).last(),
                Some(&"keys 1 `#`"),
                "{create:?}: the call is recognised all the same"
            );
        }
        assert_eq!(scene.carrier.create_requests(), [NUMBER], "{create:?}: asked once");
        assert_eq!(scene.carrier.rings(NUMBER), rings, "{create:?}");
    }
}

#[tokio::test]
async fn too_many_requests_are_asked_again_and_ring_once() {
    let scene = Scene::new().await;
    scene.carrier.too_many_requests(3);
    scene.call(Callee::presses(["#"])).await;
    assert_eq!(scene.carrier.create_requests(), [NUMBER]);
    assert_eq!(scene.carrier.rings(NUMBER), 1);
}

#[tokio::test]
async fn a_call_that_waits_too_long_is_taken_back() {
    let scene = Scene::new().await;
    let minutes = Duration::from_secs(120);
    scene.carrier.creates(NUMBER, [Create::Queued { told: minutes, dialled_after: minutes }]);
    let placed = scene.place().await;
    assert!(matches!(placed, PlaceResult::Refused { try_next_route: true, .. }), "{placed:?}");
    scene.carrier.all_over().await;
    assert_eq!(scene.carrier.rings(NUMBER), 0);
    assert_eq!(scene.carrier.calls()[0].status, "canceled");
}

#[tokio::test]
async fn hanging_up() {
    // Twice as slow as elsewhere, so that there is something left to be ended.
    let scene = Scene::with(Settings { speed: 10.0, ..Settings::default() }, "", Accept::OneKey).await;
    scene.carrier.callee(NUMBER, Callee::line(Line::RingsOut));
    scene.place().await;
    scene.carrier.until("it to ring", |carrier| carrier.rings(NUMBER) == 1).await;
    let sid = scene.carrier.calls()[0].sid.clone();
    let call = |answered| LiveCall { token: token(7), carrier_call_id: Some(sid.clone()), answered };
    assert_eq!(scene.provider.hang_up(&call(false)).await, Ok(()));
    assert_eq!(scene.provider.hang_up(&call(false)).await, Ok(()), "again");
    assert!(scene.over().await.contains(&"ended Canceled None".to_owned()));

    scene.carrier.callee(NUMBER, Callee::silent());
    scene.place().await;
    scene.carrier.until("the prompt to be heard", |carrier| !carrier.calls()[1].heard.is_empty()).await;
    let sid = scene.carrier.calls()[1].sid.clone();
    // We do not know yet that it was answered.
    let call = LiveCall { token: token(7), carrier_call_id: Some(sid), answered: false };
    assert_eq!(scene.provider.hang_up(&call).await, Ok(()));
    scene.over().await;
    let call = scene.carrier.calls().pop().unwrap();
    assert!(call.rang_at > scene.carrier.calls()[0].rang_at, "one after the other");
    assert_eq!((call.status.as_str(), call.hung_up_by_request), ("completed", true));
    let asked: Vec<_> = scene.carrier.update_requests().into_iter().map(|(_, status)| status).collect();
    assert_eq!(asked, ["canceled", "canceled", "completed", "canceled", "completed"]);
}

#[tokio::test]
async fn looking_whether_we_are_known() {
    let scene = Scene::new().await;
    assert_eq!(scene.provider.check().await, Ok("the account is known".to_owned()));
    let settings = Settings { auth_token: "another".into(), ..Settings::default() };
    let stranger = Scene::with(settings, "", Accept::OneKey).await;
    assert!(stranger.provider.check().await.unwrap_err().why.contains("credentials"));
    let (listener, url) = Gateway::bind().await;
    drop(listener);
    assert!(twilio(&url, "").check().await.unwrap_err().why.contains("base_url"));
}

#[tokio::test]
async fn without_tls_nothing_is_sent() {
    for speaks in ["", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let provider = twilio(&format!("https://{}", listener.local_addr().unwrap()), "");
        let order = order(NUMBER, "https://verify.example.com", token(7));
        let serving = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut hello = [0; 1];
            socket.read_exact(&mut hello).await.unwrap();
            assert_eq!(hello, [0x16], "a TLS handshake, RFC 8446 §5.1");
            socket.write_all(speaks.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        };
        let placed = tokio::select! {
            placed = provider.place(&order) => placed,
            () = serving => unreachable!("it waits for ever"),
        };
        let PlaceResult::Refused { cause, try_next_route: true } = placed else { panic!("{placed:?}") };
        assert_eq!(cause.carrier_code.as_deref(), Some("connect_failed"));
    }
}

#[tokio::test]
async fn the_carrier_is_strict() {
    let carrier = Carrier::start(Settings::default()).await;
    let client = reqwest::Client::new();
    let account = carrier.settings().account_sid.clone();
    let url = format!("{}/2010-04-01/Accounts/{account}/Calls.json", carrier.base_url());
    let token = carrier.settings().auth_token.clone();
    let post = |body: &'static str| {
        let request = client.post(&url).basic_auth(&account, Some(&token));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        async move { request.send().await.unwrap().json::<serde_json::Value>().await.unwrap()["code"].clone() }
    };
    for (body, code) in [
        ("To=+819012345678&From=%2B815012345678&Url=http://x.example/", 21211),
        ("To=%2B819012345678&From=%2B19999999999&Url=http://x.example/", 21210),
        ("To=%2B819012345678&From=%2B815012345678", 21205),
        ("To=%2B819012345678&From=%2B815012345678&Url=http://x.example/&Timeout=601", 21208),
        ("To=%2B819012345678&From=%2B815012345678&Url=http://x.example/&StatusCallbackEvent=initiated+ringing", 21626),
        ("To=%2B819012345678&From=%2B815012345678&Url=http://x.example/&Urll=1", 20001),
    ] {
        assert_eq!(post(body).await, code, "{body}");
    }
    assert_eq!(carrier.violations().len(), 6);
    assert!(carrier.calls().is_empty() && carrier.create_requests().is_empty());
    let unauthorized = client.post(&url).basic_auth(&account, Some("wrong")).send().await.unwrap();
    assert_eq!(unauthorized.status(), 401);
}
