//! What each mood and a person at the telephone make the simulator say.

use std::{future::Future, sync::atomic::AtomicU32};

use super::*;
use crate::{
    callflow::{Accept, Gather, Wording},
    dtmf::Digit,
    id::{CallToken, Partition},
    provider::Line as Served,
    time::Timestamp,
    verification::Signal,
};

/// A gateway that asks the same question three times and writes down what it is told.
#[derive(Default)]
struct Board {
    heard: Mutex<Vec<String>>,
    turn: AtomicU32,
    entry: bool,
}

impl Board {
    fn question(&self, lead: &str) -> Option<Served> {
        let turn = 1 + self.turn.fetch_add(1, Ordering::SeqCst);
        let accept = if self.entry { Accept::Entry { max: 7, end: Digit::POUND } } else { Accept::OneKey };
        let prompt = vec![say("press pound"), Line::Pause(Duration::from_secs(1))];
        let then = Then::Gather(Gather { prompt, accept, wait: Duration::from_secs(5) });
        let script = Script { language: String::from("en"), before: vec![say(lead)], then };
        Some(Served { script, turn })
    }

    fn goodbye(&self) -> Option<Served> {
        let script = Script { language: String::from("en"), before: vec![say("goodbye")], then: Then::HangUp };
        Some(Served { script, turn: 99 })
    }

    fn heard(&self) -> String {
        lock(&self.heard).join(" ")
    }
}

fn say(text: &str) -> Line {
    Line::Say {
        prompt: text.to_owned(),
        text: text.to_owned(),
        takes: Duration::from_secs(4),
        wording: Wording::default(),
    }
}

impl Switchboard for Board {
    fn signal(
        &self,
        carrier: String,
        carrier_call_id: String,
        token: CallToken,
        signal: Signal,
    ) -> Pending<'_, Option<Served>> {
        assert_eq!((carrier.as_str(), carrier_call_id), ("phones", name_of(token.call)));
        let (word, served) = match signal {
            Signal::Initiated => (String::from("initiated"), None),
            Signal::Ringing => (String::from("ringing"), None),
            Signal::Answered => (String::from("answered"), None),
            Signal::Flow { answered } => {
                assert!(answered);
                (String::from("flow"), self.question("hello"))
            }
            Signal::Keys { turn, digits, .. } => {
                let right = if self.entry { "123456#" } else { "#" };
                let done = digits.expose() == right || turn == 3;
                let word = format!("{turn}:{}", if digits.is_empty() { "-" } else { digits.expose() });
                (word, if done { self.goodbye() } else { self.question("again") })
            }
            Signal::AnsweredBy(who) => (format!("{who:?}"), self.goodbye()),
            Signal::Ended(cause) => (format!("{:?}/{:?}", cause.end, cause.fault), None),
        };
        lock(&self.heard).push(word);
        Box::pin(async move { served })
    }
}

struct World {
    board: Arc<Board>,
    simulator: Simulator,
}

impl World {
    fn new(entry: bool, telephones: bool) -> Self {
        let board = Arc::new(Board { entry, ..Board::default() });
        let config = Config { speed: 100, code: Some(String::from("123456")) };
        let simulator = Simulator::new("phones", config);
        let switchboard: Arc<dyn Switchboard> = board.clone();
        simulator.connect(&switchboard);
        if telephones {
            simulator.expect_telephones();
        }
        Self { board, simulator }
    }

    async fn place(&self, order: &Order) {
        let placed = self.simulator.place(order).await;
        assert!(matches!(placed, PlaceResult::Accepted { carrier_call_id: Some(_) }), "{placed:?}");
    }

    /// Waits until the board was told this.
    async fn until_heard(&self, what: &str) {
        wait_for(what, async || self.board.heard().contains(what)).await;
    }
}

async fn wait_for<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "waited in vain for {what}");
}

fn order(number: &str) -> Order {
    let verification = VerificationId::new(Timestamp::from_ms(1), [number.len() as u8; 16], Partition::of(1));
    Order {
        token: CallToken { call: CallId { verification, index: 0 }, proof: [1; 16] },
        to: number.parse().unwrap(),
        from: "+815012345678".parse().unwrap(),
        extension: None,
        ring_timeout: Duration::from_secs(30),
        call_limit: Duration::from_secs(90),
        flow_url: String::new(),
        status_url: String::new(),
    }
}

/// What the switchboard hears of a call to the number of each mood.
async fn transcript_of(suffix: &str, entry: bool) -> String {
    let world = World::new(entry, false);
    world.place(&order(&format!("+8190123{suffix}"))).await;
    world.until_heard("/").await;
    world.simulator.stop().await;
    world.board.heard()
}

#[tokio::test]
async fn each_mood_drives_its_signals() {
    let rung = "initiated ringing";
    let cases = [
        ("5678", format!("{rung} answered flow 1:# Completed/None")),
        ("0001", format!("{rung} NoAnswer/Callee")),
        ("0002", String::from("initiated Busy/Callee")),
        ("0003", format!("{rung} Rejected/Callee")),
        ("0004", format!("{rung} answered flow Machine Completed/None")),
        ("0005", format!("{rung} answered flow 1:0 2:# Completed/None")),
        ("0006", format!("{rung} answered flow 1:5 2:5 3:5 Completed/None")),
        ("0007", format!("{rung} answered flow 1:5 2:# Completed/None")),
        ("0008", format!("{rung} answered flow 1:- 2:- 3:- Completed/None")),
        ("0009", format!("{rung} answered flow Completed/None")),
        ("0010", format!("{rung} answered flow Completed/None")),
        ("0011", format!("{rung} answered flow 1:1 2:1 3:1 Completed/None")),
        ("0012", format!("{rung} answered flow Screening Completed/None")),
        ("0013", String::from("initiated Unreachable/Callee")),
        ("0014", String::from("initiated InvalidNumber/Request")),
    ];
    let all = cases.iter().map(|(suffix, _)| transcript_of(suffix, false));
    for (heard, (suffix, want)) in futures_util::future::join_all(all).await.iter().zip(&cases) {
        assert_eq!(heard, want, "{suffix}");
    }
}

#[tokio::test]
async fn an_entry_is_gathered_to_its_end() {
    let rung = "initiated ringing answered flow";
    assert_eq!(transcript_of("5678", true).await, format!("{rung} 1:123456# Completed/None"));
    assert_eq!(transcript_of("0011", true).await, format!("{rung} 1:123456 2:123456 3:123456 Completed/None"));
}

#[tokio::test]
async fn what_a_carrier_does_not_take_is_not_called() {
    let world = World::new(false, false);
    let refused = world.simulator.place(&order("+81901230015")).await;
    assert!(matches!(refused, PlaceResult::Refused { try_next_route: true, .. }), "{refused:?}");
    let lost = world.simulator.place(&order("+81901230016")).await;
    assert!(matches!(lost, PlaceResult::Unknown { .. }), "{lost:?}");
    world.simulator.stop().await;
    let stopped = world.simulator.place(&order("+81901235678")).await;
    assert!(matches!(stopped, PlaceResult::Refused { .. }), "{stopped:?}");
    assert_eq!(world.board.heard(), "");
}

#[tokio::test]
async fn a_person_answers_presses_and_hangs_up() {
    let world = World::new(false, true);
    let telephone = Telephone::by_hand();
    let order = order("+819012345678");
    assert!(!telephone.answer() && !telephone.press(Digit::POUND) && !telephone.hang_up());
    world.place(&order).await;
    world.place(&order).await;
    // The telephone is made known after the call was placed, as by a client that has just read its answer.
    world.simulator.ring_for_verification(order.token.call.verification, &telephone);
    let mut shown = telephone.watch();
    shown.wait_for(|view| view.phase == Phase::Ringing).await.unwrap();
    assert_eq!(shown.borrow().from, Some(order.from.clone()));
    assert!(!telephone.press(Digit::POUND), "nobody is on the line yet");
    assert!(telephone.answer());
    shown.wait_for(|view| view.listening).await.unwrap();
    assert!(telephone.press(Digit::STAR));
    world.until_heard("1:*").await;
    shown.wait_for(|view| view.captions.iter().any(|caption| caption.text == "again")).await.unwrap();
    assert!(telephone.hang_up());
    shown.wait_for(|view| view.phase == Phase::Idle).await.unwrap();
    world.until_heard("/").await;
    assert_eq!(world.board.heard(), "initiated ringing answered flow 1:* Completed/None");
    assert_eq!(shown.borrow().ending, Some(Ending::HungUp));
    assert!(!format!("{:?} {:?}", shown.borrow(), telephone).contains("again"), "captions are nobody's business");
}

#[tokio::test]
async fn a_telephone_in_a_call_is_busy_for_another() {
    let world = World::new(false, true);
    let telephone = Telephone::by_hand();
    let first = order("+819012345678");
    world.simulator.ring_for_verification(first.token.call.verification, &telephone);
    let mut second = first.clone();
    second.token.call.index = 1;
    world.place(&first).await;
    telephone.watch().wait_for(|view| view.phase == Phase::Ringing).await.unwrap();
    world.place(&second).await;
    world.until_heard("Busy/Callee").await;
    assert!(telephone.decline(), "the first call still rings");
    world.until_heard("Rejected/Callee").await;
}

#[tokio::test]
async fn a_call_of_nobody_in_particular_rings_at_its_number() {
    let world = World::new(false, true);
    let telephone = Telephone::by_hand();
    world.simulator.ring_for_number(&"+819012345678".parse().unwrap(), &telephone);
    world.place(&order("+819012345678")).await;
    telephone.watch().wait_for(|view| view.phase == Phase::Ringing).await.unwrap();
    world.until_heard("NoAnswer/Callee").await;
    assert_eq!(telephone.watch().borrow().ending, Some(Ending::Missed));
}

#[tokio::test]
async fn the_gateway_hangs_up() {
    let world = World::new(false, false);
    let order = order("+81901230001");
    let live = LiveCall { token: order.token, carrier_call_id: None, answered: false };
    assert_eq!(world.simulator.hang_up(&live).await, Ok(()), "a call that is not there is no error");
    world.place(&order).await;
    world.until_heard("ringing").await;
    world.simulator.hang_up(&live).await.unwrap();
    world.until_heard("Canceled/Us").await;
}

#[test]
fn settings_are_checked() {
    assert!(Config::default().faults().is_empty());
    let wrong = Config { speed: 0, code: Some(String::from("12a")) };
    assert_eq!(wrong.faults().len(), 2);
}

#[test]
fn moods_read_back_and_their_numbers_differ() {
    let mut suffixes = std::collections::BTreeSet::new();
    for (mood, word, suffix) in Mood::ALL {
        assert_eq!(word.parse(), Ok(*mood));
        assert_eq!(mood.as_str(), *word);
        assert!(suffix.is_none_or(|suffix| suffixes.insert(suffix)));
    }
    assert!("sleepy".parse::<Mood>().is_err());
}
