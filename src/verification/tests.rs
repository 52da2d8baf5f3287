//! One verification at a time, told as a text: what happens at which second, and what comes of it.

use std::{fmt::Write, time::Duration};

use super::*;
use crate::{
    callflow::CallFlow,
    id::{NumberHash, Partition, VerificationId},
    outcome::{Attestation, Fault, Mode, Purpose, Reason, Status},
    secret::Secret,
    time::Timestamp,
};

const START: Timestamp = Timestamp::from_ms(1_795_000_000_000);
const CODE: &str = "428571";

fn flow(mode: Mode) -> CallFlow {
    let (name, source) = match mode {
        Mode::Confirm => ("confirm.xml", include_str!("../../tests/it/simulation/confirm.xml")),
        Mode::Match => ("match.xml", include_str!("../../tests/it/simulation/match.xml")),
        Mode::Speak => ("speak.xml", include_str!("../../tests/it/simulation/speak.xml")),
    };
    CallFlow::parse(name, source).unwrap()
}

fn request(mode: Mode, targets: u8, flow: &CallFlow) -> Request {
    let target = |n: u8| Target {
        to: format!("+8190123456{n:02}").parse().unwrap(),
        number_hash: NumberHash::new([n; 16]),
        country: "JP".parse().unwrap(),
        number_type: String::from("mobile"),
        extension: None,
        locale: String::from("en"),
        routes: ["main", "second"]
            .map(|carrier| Route { carrier: carrier.to_owned(), caller_id: "+815012345678".parse().unwrap() })
            .to_vec(),
    };
    Request {
        client: String::from("enrolment"),
        targets: (0..targets).map(target).collect(),
        mode,
        flow: flow.id().to_owned(),
        flow_version: flow.version(),
        brand: String::from("Contoso"),
        purpose: Purpose::Enrolment,
        purpose_text: None,
        code: (mode != Mode::Confirm).then(|| Secret::new(CODE.parse().unwrap())),
        reference: None,
        metadata: Vec::new(),
        callback_url: None,
        policy: Policy {
            max_calls: 3,
            ring_timeout_ms: 30_000,
            call_limit_ms: 90_000,
            early_keys_ms: 1_000,
            closing_ms: 5_000,
            max_wrong_entries: 5,
            redial_after_ms: 30_000,
            call_speed: 1,
        },
    }
}

struct Told {
    v: Verification,
    flow: CallFlow,
    text: String,
}

impl Told {
    fn new(mode: Mode, targets: u8) -> Self {
        Self::with(flow(mode), targets)
    }

    fn with(flow: CallFlow, targets: u8) -> Self {
        let mode = flow.mode();
        let id = VerificationId::new(START, [7; 16], Partition::of(1));
        let expires_at = START.plus(Duration::from_secs(300));
        let (v, effects) = Verification::start(id, START, expires_at, request(mode, targets, &flow), &flow, [9; 16]);
        let mut told = Self { v, flow, text: String::new() };
        told.tell("start", &Stepped { changed: true, effects, ..Stepped::default() });
        told
    }

    /// Lines of `second word [argument…]`; what an input did is written down.
    fn hear(mut self, story: &str) -> Self {
        for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (second, words) = line.split_once(' ').unwrap();
            let ms = (second.parse::<f64>().unwrap() * 1000.0) as u64;
            let input = self.input(words);
            let stepped = self.v.step(START.plus(Duration::from_millis(ms)), &self.flow, input);
            self.tell(line, &stepped);
        }
        self
    }

    fn input(&self, words: &str) -> Input {
        let mut words = words.split(' ');
        let word = words.next().unwrap();
        let rest: Vec<&str> = words.collect();
        let index = u8::try_from(self.v.calls.len() - 1).unwrap();
        let cause = |end| Cause { end, fault: Fault::Callee, carrier_code: None, sip_status: None };
        let signal = |signal| Input::Carrier {
            token: self.v.token(index),
            carrier: self.v.route_of(self.v.call().unwrap()).unwrap().carrier.clone(),
            carrier_call_id: Some(format!("CA{index}")),
            to: None,
            signal,
            aside: Aside::default(),
        };
        let keys = |turn, answered| {
            let digits = rest.first().unwrap_or(&"").parse().unwrap();
            signal(Signal::Keys { turn, digits, answered })
        };
        match word {
            "taken" => Input::Taken { call: index },
            "accepted" => Input::Placed {
                call: index,
                result: PlaceResult::Accepted { carrier_call_id: Some(format!("CA{index}")) },
            },
            "refused" => Input::Placed {
                call: index,
                result: PlaceResult::Refused { cause: cause(End::CarrierError), try_next_route: rest == ["elsewhere"] },
            },
            "unknown" => {
                Input::Placed { call: index, result: PlaceResult::Unknown { cause: cause(End::CarrierError) } }
            }
            "ringing" => signal(Signal::Ringing),
            "answered" => signal(Signal::Answered),
            "flow" => signal(Signal::Flow { answered: true }),
            "machine" => signal(Signal::AnsweredBy(AnsweredBy::Machine)),
            "ringing-flow" => signal(Signal::Flow { answered: false }),
            "keys" => keys(self.v.turn, true),
            "ringing-keys" => keys(self.v.turn, false),
            "old-keys" => keys(self.v.turn - 1, true),
            "busy" => signal(Signal::Ended(cause(End::Busy))),
            "no-answer" => signal(Signal::Ended(cause(End::NoAnswer))),
            "completed" => signal(Signal::Ended(cause(End::Completed))),
            "canceled" => signal(Signal::Ended(cause(End::Canceled))),
            "cancel" => Input::Cancel,
            "redial" => Input::Redial,
            "check" => Input::Check(rest[0].parse().unwrap()),
            "tick" => Input::Tick,
            other => panic!("no such word: {other}"),
        }
    }

    fn tell(&mut self, line: &str, stepped: &Stepped) {
        write!(self.text, "{line}: {} {}", self.v.status, self.v.stage()).unwrap();
        if let Some(reason) = self.v.reason {
            write!(self.text, " {reason}").unwrap();
        }
        for effect in &stepped.effects {
            write!(self.text, ", {effect:?}").unwrap();
        }
        if let Some(why) = stepped.ignored {
            write!(self.text, ", ignored {why:?}").unwrap();
        }
        self.text.push('\n');
    }
}

fn story(mode: Mode, targets: u8, story: &str) -> String {
    Told::new(mode, targets).hear(story).text
}

const UP: &str = "0.1 taken\n0.2 accepted\n2 ringing\n6 answered\n6.1 flow\n";

#[test]
fn press_pound() {
    insta::assert_snapshot!(story(
        Mode::Confirm,
        1,
        &format!("{UP}12 keys #\n12.1 keys #\n15 completed\n15.1 completed\n16 cancel")
    ));
}

/// Some carriers ask what to play while it still rings. What is pressed then confirms nothing: only a call that is known to
/// be answered can verify, and the first second counts from the answer.
#[test]
fn a_call_that_is_not_answered_confirms_nothing() {
    let ringing = "0.1 taken\n0.2 accepted\n2 ringing\n3 ringing-flow\n";
    insta::assert_snapshot!(story(Mode::Confirm, 1, &format!("{ringing}9 ringing-keys #\n10 no-answer\n11 keys #")));
    insta::assert_snapshot!(story(Mode::Confirm, 1, &format!("{ringing}9 answered\n9.5 keys #\n14 ringing-keys #")));
    insta::assert_snapshot!(story(Mode::Confirm, 1, &format!("{ringing}9 keys #\n14 keys #")));
}

#[test]
fn keys_too_early_are_asked_again() {
    insta::assert_snapshot!(story(Mode::Confirm, 1, &format!("{UP}6.5 keys #\n12 keys #")));
}

/// A quick person gets no fewer prompts for it; a mailbox full of tones is not listened to for ever.
#[test]
fn keys_too_early_cost_no_prompt_but_only_a_few_times() {
    let prompts = |early: usize| {
        let keys: String = (1..=early).map(|nth| format!("{} keys 5\n", 6.1 + 0.05 * nth as f64)).collect();
        let mut told = Told::new(Mode::Confirm, 1).hear(&format!("{UP}{keys}"));
        let mut silences = 0;
        while told.v.call().unwrap().goodbye_at.is_none() && silences < 10 {
            silences += 1;
            told = told.hear(&format!("{} keys\n", 10 * silences));
        }
        (told.v.calls[0].prompts, silences)
    };
    assert_eq!(prompts(0), (3, 3));
    assert_eq!(prompts(2), (3, 3));
    assert_eq!(prompts(3), (3, 3));
    assert_eq!(prompts(5), (3, 1), "from the fourth on each counts as silence");
    assert_eq!(prompts(6), (3, 0));
}

#[test]
fn a_report_is_never_an_approval() {
    insta::assert_snapshot!(story(Mode::Confirm, 1, &format!("{UP}12 keys 0\n14 keys #\n17 keys 1\n19 completed")));
}

#[test]
fn the_last_key_and_the_end_race() {
    insta::assert_snapshot!(story(Mode::Confirm, 1, &format!("{UP}12 completed\n13 keys #\n20 tick")));
    insta::assert_snapshot!(story(Mode::Confirm, 1, &format!("{UP}12 completed\n17 tick\n17.5 keys #")));
}

#[test]
fn alternates_are_called_one_after_another() {
    insta::assert_snapshot!(story(
        Mode::Confirm,
        3,
        "0.1 taken\n0.2 accepted\n5 busy\n5.1 taken\n5.2 accepted\n6 ringing\n36 no-answer\n36.1 taken\n36.2 unknown\n38 flow\n44 keys #"
    ));
}

#[test]
fn another_route_only_when_the_first_has_not_dialled() {
    insta::assert_snapshot!(story(Mode::Confirm, 1, "0.1 taken\n0.2 refused elsewhere\n0.3 taken\n0.4 refused"));
    insta::assert_snapshot!(story(Mode::Confirm, 1, "0.1 taken\n5 unknown\n100 tick\n140.1 tick"));
}

#[test]
fn a_dispatcher_that_died() {
    insta::assert_snapshot!(story(
        Mode::Confirm,
        1,
        "5 tick\n5.1 taken\n5.2 taken\n35.1 tick\n40 ringing\n42 flow\n48 keys #"
    ));
}

#[test]
fn redial_waits_for_the_end_of_the_first_call() {
    insta::assert_snapshot!(story(
        Mode::Confirm,
        1,
        "0.1 taken\n0.2 accepted\n2 ringing\n10 redial\n31 redial\n31.1 redial\n32 canceled\n32.1 taken\n32.2 accepted\n40 flow\n47 keys #"
    ));
}

#[test]
fn cancel_before_the_carrier_named_the_call() {
    insta::assert_snapshot!(story(Mode::Confirm, 1, "0.1 taken\n0.2 cancel\n0.3 accepted\n1 canceled"));
    insta::assert_snapshot!(story(Mode::Confirm, 1, "0.1 cancel\n0.2 taken"));
}

#[test]
fn time_runs_out() {
    insta::assert_snapshot!(story(
        Mode::Confirm,
        1,
        &format!("{}{UP}", "").replace("6 answered\n6.1 flow\n", "300 tick\n300.2 flow\n301 keys #\n302 completed")
    ));
    insta::assert_snapshot!(story(
        Mode::Confirm,
        1,
        "290 tick\n290.1 taken\n290.2 accepted\n292 flow\n300 keys #\n300.1 completed"
    ));
}

#[test]
fn a_matched_code() {
    insta::assert_snapshot!(story(Mode::Match, 1, &format!("{UP}12 keys 111111#\n18 keys 428571\n24 keys 428571#")));
    insta::assert_snapshot!(story(
        Mode::Match,
        1,
        &format!("{UP}12 keys #\n18 keys 428572#\n24 keys 428571##\n30 completed")
    ));
}

/// Where a code is asked for, one key alone is a key where the flow answers it, and a wrong entry where it does not.
#[test]
fn a_report_in_the_place_of_a_code() {
    let flow = || CallFlow::parse("match", include_str!("../../callflows/match-code.xml")).unwrap();
    for (keys, told) in [
        ("8 keys 0#\n9 keys #", (Status::Denied, Some(Reason::FraudReported), 0)),
        ("8 keys 0\n9 keys #\n10 keys 1", (Status::Denied, Some(Reason::FraudReported), 0)),
        ("8 keys 0#\n9 keys 1\n10 keys 428571#", (Status::Verified, None, 0)),
        ("8 keys *#\n9 keys *\n10 keys 428571#", (Status::Verified, None, 0)),
        ("8 keys 1#\n9 keys 12#\n10 keys 428571#", (Status::Verified, None, 2)),
        ("8 keys #", (Status::Pending, None, 1)),
    ] {
        let v = Told::with(flow(), 1).hear(&format!("{UP}{keys}")).v;
        assert_eq!((v.status, v.reason, v.wrong_entries), told, "{keys}");
    }
}

#[test]
fn a_spoken_code_is_typed_on_the_web() {
    insta::assert_snapshot!(story(
        Mode::Speak,
        1,
        &format!(
            "{UP}9 check 428571\n12 keys 1\n30 keys\n33 completed\n40 check 111111\n41 check 428571\n42 check 428571"
        )
    ));
    insta::assert_snapshot!(story(
        Mode::Speak,
        1,
        &format!(
            "{UP}12 keys 1\n30 keys\n33 completed\n41 check 1\n42 check 2\n43 check 3\n44 check 4\n45 check 5\n46 check 428571"
        )
    ));
}

#[test]
fn a_mailbox_is_left_for_the_alternate() {
    insta::assert_snapshot!(story(Mode::Confirm, 2, &format!("{UP}8 machine\n8.1 keys #\n9 completed\n9.1 taken")));
}

#[test]
fn a_carrier_that_falls_silent() {
    insta::assert_snapshot!(story(
        Mode::Confirm,
        1,
        "0.1 taken\n0.2 accepted\n2 ringing\n44 tick\n45.3 tick\n55.4 tick"
    ));
    insta::assert_snapshot!(story(Mode::Confirm, 1, &format!("{UP}12 keys #\n42.1 tick\n52.2 tick")));
}

/// Every string of up to three keys, answered to the first question: only `#` alone verifies.
#[test]
fn only_pound_alone_confirms() {
    let keys: Vec<char> = "0123456789*#".chars().collect();
    let mut strings = vec![String::new()];
    for length in 1..=3 {
        let longer: Vec<String> = strings
            .iter()
            .filter(|shorter| shorter.len() == length - 1)
            .flat_map(|shorter| keys.iter().map(move |key| format!("{shorter}{key}")))
            .collect();
        strings.extend(longer);
    }
    assert_eq!(strings.len(), 1 + 12 + 144 + 1728);
    for entry in strings {
        let told = Told::new(Mode::Confirm, 1).hear(UP).hear(&format!("12 keys {entry}"));
        assert_eq!(told.v.status == Status::Verified, entry == "#", "{entry}");
    }
}

/// The same messages in every order: verified only where keys follow the flow, and final states never change.
#[test]
fn every_order_of_the_same_messages() {
    let inputs = ["ringing", "answered", "flow", "keys #", "completed"];
    let mut orders = vec![Vec::new()];
    for _ in 0..inputs.len() {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..inputs.len())
                    .filter(|n| !order.contains(n))
                    .map(|n| [order.clone(), vec![n]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let place = |word: &str| order.iter().position(|n| inputs[*n] == word).unwrap();
        let lines: Vec<String> =
            order.iter().enumerate().map(|(at, n)| format!("{} {}", 6.0 + 1.1 * at as f64, inputs[*n])).collect();
        let told = Told::new(Mode::Confirm, 1)
            .hear("0.1 taken\n0.2 accepted")
            .hear(&lines.join("\n"))
            .hear("30 tick\n40 tick");
        // The flow must have been served in a live call before the key; the end may overtake the key.
        let served = place("flow") < place("completed") && place("flow") < place("keys #");
        let expected = if served { Status::Verified } else { Status::Failed };
        assert_eq!(told.v.status, expected, "{}", told.text);
    }
}

#[test]
fn forged_and_misdirected_messages_do_nothing() {
    let mut told = Told::new(Mode::Confirm, 1).hear(UP);
    let before = format!("{:?}", told.v);
    let keys = || Signal::Keys { turn: told.v.turn, digits: "#".parse().unwrap(), answered: true };
    let good = told.v.token(0);
    let main = || String::from("main");
    let id = || Some(String::from("CA0"));
    let other_proof = CallToken { proof: [0; 16], ..good };
    let other_call = told.v.token(1);
    let mut cases = vec![
        (other_proof, main(), id(), None, Ignored::WrongToken),
        (other_call, main(), id(), None, Ignored::WrongToken),
    ];
    cases.push((good, String::from("second"), id(), None, Ignored::WrongCall));
    cases.push((good, main(), Some(String::from("CA1")), None, Ignored::WrongCall));
    cases.push((good, main(), id(), Some("+819099999999".parse().unwrap()), Ignored::WrongCall));
    let inputs: Vec<_> = cases
        .into_iter()
        .map(|(token, carrier, carrier_call_id, to, why)| {
            (Input::Carrier { token, carrier, carrier_call_id, to, signal: keys(), aside: Aside::default() }, why)
        })
        .collect();
    for (input, why) in inputs {
        let stepped = told.v.step(START.plus(Duration::from_secs(12)), &told.flow, input);
        assert_eq!((stepped.ignored, stepped.changed), (Some(why), false));
        assert_eq!(format!("{:?}", told.v), before);
    }
}

#[test]
fn a_changed_flow_ends_the_call() {
    let mut told = Told::new(Mode::Confirm, 1).hear(UP);
    told.v.request.flow_version += 1;
    let told = told.hear("12 keys #\n13 completed\n19 tick");
    assert_eq!(told.v.status, Status::Failed);
    assert_eq!(told.v.script(&told.flow).then, crate::callflow::Then::HangUp);
}

#[test]
fn nobody_is_called_without_a_route() {
    let flow = flow(Mode::Confirm);
    let mut asked = request(Mode::Confirm, 1, &flow);
    asked.targets[0].routes.clear();
    let id = VerificationId::new(START, [7; 16], Partition::of(1));
    let (v, effects) = Verification::start(id, START, START.plus(Duration::from_secs(300)), asked, &flow, [9; 16]);
    assert_eq!((v.status, v.reason, effects), (Status::Failed, Some(Reason::CarrierError), vec![Effect::Report]));
}

#[test]
fn tokens_differ_by_call_and_by_seed() {
    let told = Told::new(Mode::Confirm, 1);
    assert_ne!(told.v.token(0).proof, told.v.token(1).proof);
    assert_ne!(told.v.token(0).proof, [0; 16]);
    assert_eq!(told.v.token(0), told.v.token(0));
    assert_eq!(told.v.token(0).call.verification, told.v.id);
}

#[test]
fn a_full_history_keeps_its_outcome() {
    let mut v = Told::new(Mode::Confirm, 1).v;
    let flow = flow(Mode::Confirm);
    for seq in 2..=u32::try_from(Verification::MAX_EVENTS).unwrap() {
        v.events.push(Event { seq, at: START, call: Some(0), what: What::Prompted });
    }
    v.step(START, &flow, Input::Cancel);
    let last: Vec<_> = v.events.iter().rev().take(2).map(|event| (event.seq, event.what)).collect();
    assert_eq!(last, [(98, What::Ended(End::Canceled)), (97, What::Decided(Status::Canceled))]);
    assert_eq!(v.events.len(), Verification::MAX_EVENTS);
}

proptest::proptest! {
    /// What is absorbed by one value is absorbed by every later one.
    #[test]
    fn what_is_absorbed_stays_absorbed(words in proptest::collection::vec(0_usize..17, 1..40), targets in 1_u8..3) {
        const WORDS: [&str; 17] = [
            "taken", "accepted", "refused elsewhere", "refused", "unknown", "ringing", "answered", "flow", "machine", "keys 0",
            "keys #", "busy", "no-answer", "completed", "redial", "tick", "cancel",
        ];
        let mut told = Told::new(Mode::Confirm, targets);
        let mut absorbed: Vec<(usize, Input)> = Vec::new();
        let at = |step: usize| START.plus(Duration::from_secs(7 * step as u64));
        for (step, word) in words.iter().map(|word| WORDS[*word]).enumerate() {
            let input = told.input(word);
            // Time that runs out is a change of its own.
            told.v.step(at(step), &told.flow, Input::Tick);
            let stepped = told.v.step(at(step), &told.flow, input.clone());
            if !stepped.changed && told.v.absorbs(&input, stepped.ignored) {
                absorbed.push((step, input));
            }
            for (since, input) in &absorbed {
                let again = told.v.clone().step(at(step), &told.flow, input.clone());
                proptest::prop_assert!(!again.changed, "{input:?} of step {since}, at {step}:\n{}", told.text);
            }
        }
    }
}

#[test]
fn what_a_carrier_tells_besides_is_in_the_record_as_it_was_told_first() {
    let mut told = Told::new(Mode::Confirm, 1).hear("0.1 taken\n0.3 accepted");
    let aside = |attestation, amount: &str| Aside { attestation, price: Price::read(amount, "USD") };
    for (aside, changed) in [
        (Aside::default(), false),
        (aside(Some(Attestation::Full), "x"), true),
        (aside(Some(Attestation::Gateway), "-0.5"), true),
        (aside(None, "0.7"), false),
    ] {
        let input = Input::Carrier {
            token: told.v.token(0),
            carrier: told.v.route_of(told.v.call().unwrap()).unwrap().carrier.clone(),
            carrier_call_id: None,
            to: None,
            signal: Signal::Initiated,
            aside,
        };
        assert_eq!(told.v.step(START.plus(Duration::from_secs(1)), &told.flow, input).changed, changed);
    }
    let record = told.v.record_of(0).unwrap();
    assert_eq!(record.attestation, Some(Attestation::Full));
    assert_eq!(record.price, Price::read("0.5", "USD"));
}
