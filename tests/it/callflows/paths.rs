//! Where keys can lead: every position of the shipped flows, and random flows under random keys.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::{prelude::*, test_runner::TestRunner};
use ringproof::{
    callflow::{CallFlow, Flows, Heard, Listening, MAX_ROUNDS, MAX_STEPS, Move, Position, Saying, Then, Verdict},
    dtmf::{Digit, Digits},
    outcome::{Mode, Purpose, Reason, Status},
};

const KEYS: &str = "0123456789*#";

fn every_answer() -> Vec<Heard> {
    let keys = KEYS.chars().map(|key| Heard::Key(Digit::from_char(key).unwrap()));
    keys.chain([Heard::RightCode, Heard::Other, Heard::Silence]).collect()
}

fn saying(code: &Digits) -> Saying<'_> {
    Saying {
        locale: "en",
        brand: "Contoso",
        purpose: Purpose::Enrolment,
        purpose_text: None,
        last_digits: "5678",
        code: Some(code),
    }
}

/// Every position that answers can lead to, with all its moves. Fails when there are too many.
fn reachable(flow: &CallFlow) -> HashMap<Position, Vec<(Heard, Move)>> {
    let mut found = HashMap::new();
    let mut todo = vec![flow.begin().to];
    while let Some(at) = todo.pop() {
        if found.contains_key(&at) {
            continue;
        }
        let moves: Vec<(Heard, Move)> = match flow.listening(&at) {
            Listening::Nothing => Vec::new(),
            Listening::Key | Listening::Code(_) => {
                every_answer().into_iter().map(|heard| (heard, flow.hear(&at, heard))).collect()
            }
        };
        todo.extend(moves.iter().map(|(_, moved)| moved.to.clone()));
        found.insert(at, moves);
        assert!(found.len() < 10_000, "{} has no end of positions", flow.id());
    }
    found
}

/// The longest call that can follow a position, in answers. Fails where a call can come back to where it was.
fn longest(
    at: &Position,
    moves: &HashMap<Position, Vec<(Heard, Move)>>,
    known: &mut HashMap<Position, usize>,
    open: &mut HashSet<Position>,
) -> usize {
    if let Some(known) = known.get(at) {
        return *known;
    }
    assert!(open.insert(at.clone()), "a call can come back to {at:?}");
    let length = moves[at].iter().map(|(_, moved)| 1 + longest(&moved.to, moves, known, open)).max().unwrap_or(0);
    open.remove(at);
    known.insert(at.clone(), length);
    length
}

/// Checks all that has to hold for any flow that passed its checks; says how long a call can become.
fn holds(flow: &CallFlow) -> usize {
    let code: Digits = "428571".parse().unwrap();
    let moves = reachable(flow);
    let begin = flow.begin();
    assert_eq!(begin.verdict, None, "decided before anybody could press a key");
    for (at, answers) in &moves {
        let script = flow.script(at, &saying(&code));
        let asks = matches!(script.then, Then::Gather(_));
        assert_eq!(asks, flow.listening(at) != Listening::Nothing);
        assert_eq!(asks, !at.hang_up);
        for (heard, moved) in answers {
            match moved.verdict {
                Some(Verdict::Verify) => {
                    let right = match flow.mode() {
                        Mode::Confirm => *heard == Heard::Key(Digit::POUND),
                        Mode::Match => *heard == Heard::RightCode,
                        Mode::Speak => false,
                    };
                    assert!(right, "{heard:?} verifies in {}", flow.id());
                }
                Some(Verdict::Deny(reason)) => assert_eq!(reason.status(), Status::Denied),
                Some(Verdict::Fail(reason)) => assert_eq!(reason.status(), Status::Failed),
                Some(Verdict::Told) => assert_eq!(flow.mode(), Mode::Speak),
                Some(Verdict::Block) | None => {}
            }
            // A code is heard where it is told that it is, and nowhere else.
            let speaks = format!("{:?}", flow.script(&moved.to, &saying(&code))).contains("SpokenDigits");
            assert_eq!(speaks, moved.verdict == Some(Verdict::Told), "{moved:?}");
        }
    }
    assert!(!format!("{:?}", flow.script(&begin.to, &saying(&code))).contains("SpokenDigits"));
    verdicts_come_once(flow, &begin.to, &moves);
    longest(&begin.to, &moves, &mut HashMap::new(), &mut HashSet::new())
}

/// What was decided on the way to a position, over every path.
fn verdicts_come_once(flow: &CallFlow, begin: &Position, moves: &HashMap<Position, Vec<(Heard, Move)>>) {
    let mut seen = HashSet::new();
    let mut todo = vec![(begin.clone(), None::<Verdict>)];
    while let Some((at, decided)) = todo.pop() {
        if !seen.insert((at.clone(), format!("{decided:?}"))) {
            continue;
        }
        if moves[&at].is_empty() {
            assert!(decided.is_some(), "{} can end with nothing decided", flow.id());
        }
        for (_, moved) in &moves[&at] {
            let then = match (decided, moved.verdict) {
                (decided, None) => decided,
                (None | Some(Verdict::Told), verdict @ Some(Verdict::Verify | Verdict::Deny(_) | Verdict::Fail(_))) => {
                    verdict
                }
                (None | Some(Verdict::Told), Some(Verdict::Told)) => Some(Verdict::Told),
                (Some(Verdict::Deny(reason)), Some(Verdict::Block)) => Some(Verdict::Deny(reason)),
                (before, after) => panic!("{} decides {after:?} after {before:?}", flow.id()),
            };
            todo.push((moved.to.clone(), then));
        }
    }
}

#[test]
fn every_call_of_the_shipped_flows_ends() {
    for flow in Flows::from_sources(&[]).unwrap().iter() {
        let answers = holds(flow);
        assert!((3..=12).contains(&answers), "{}: {answers} answers", flow.id());
    }
}

/// For every string of up to three keys: verified exactly where the first `#` does not follow a `0`, which asks to report.
#[test]
fn only_pound_verifies() {
    let flows = Flows::from_sources(&[]).unwrap();
    let flow = flows.iter().find(|flow| flow.mode() == Mode::Confirm).unwrap();
    let mut strings = vec![String::new()];
    for _ in 0..3 {
        strings = strings
            .iter()
            .flat_map(|s| KEYS.chars().map(move |key| format!("{s}{key}")))
            .chain(strings.iter().cloned())
            .collect();
    }
    strings.sort();
    strings.dedup();
    assert_eq!(strings.len(), 1 + 12 + 144 + 1728);
    for keys in strings {
        let mut at = flow.begin().to;
        let mut told = None;
        for key in keys.chars() {
            let moved = flow.hear(&at, Heard::Key(Digit::from_char(key).unwrap()));
            told = told.or(moved.verdict);
            at = moved.to;
        }
        let wanted = match keys.find('#') {
            Some(at) if asks_to_report(&keys[..at]) => Some(Verdict::Deny(Reason::FraudReported)),
            Some(_) => Some(Verdict::Verify),
            // Asked three times, answered wrongly three times.
            None if keys.len() == 3 && !keys.contains('0') => Some(Verdict::Fail(Reason::NoInput)),
            None => None,
        };
        assert_eq!(told, wanted, "{keys}");
    }
}

/// Whether keys without `#` end in the question of reporting: a `0`, unless it answered that question.
fn asks_to_report(keys: &str) -> bool {
    keys.chars().fold(false, |asked, key| key == '0' && !asked)
}

/// A position can be anything: another version's, or made up. It never panics and never verifies in the wrong mode.
#[test]
fn any_position_and_any_answer() {
    let flows = Flows::from_sources(&[]).unwrap();
    let code: Digits = "428571".parse().unwrap();
    let mut runner = TestRunner::deterministic();
    let position = (any::<u8>(), any::<u8>(), any::<u8>(), any::<Option<u8>>(), any::<bool>());
    let near = (0..5_u8, 0..8_u8, any::<u8>(), proptest::option::of(0..20_u8), any::<bool>());
    runner
        .run(&(prop_oneof![position, near], 0..15_usize), |((step, item, round, lead, hang_up), answer)| {
            let at = Position { step, item, round, lead, hang_up };
            for flow in flows.iter() {
                let _ = flow.script(&at, &saying(&code));
                let heard = every_answer()[answer];
                let moved = flow.hear(&at, heard);
                if flow.listening(&at) == Listening::Nothing {
                    prop_assert_eq!(&moved.to, &at);
                    prop_assert_eq!(moved.verdict, None);
                }
                if usize::from(step) >= MAX_STEPS {
                    prop_assert_eq!(flow.script(&at, &saying(&code)).then, Then::HangUp);
                }
                let _ = flow.expects(&at, Digit::STAR);
            }
            Ok(())
        })
        .unwrap();
}

/// A flow made of random parts. Most are refused; whatever passes has to hold.
#[test]
fn a_flow_that_passes_cannot_be_led_astray() {
    let mut passed: BTreeMap<Mode, usize> = BTreeMap::new();
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() },
        TestRunner::deterministic().new_rng(),
    );
    let passed_in_run = std::cell::RefCell::new(&mut passed);
    runner
        .run(&flow_source(), |source| {
            if let Ok(flow) = CallFlow::parse("random.xml", &source) {
                holds(&flow);
                *passed_in_run.borrow_mut().entry(flow.mode()).or_default() += 1;
            }
            Ok(())
        })
        .unwrap();
    for mode in Mode::ALL {
        assert!(passed.get(mode).is_some_and(|count| *count >= 20), "too few flows passed: {passed:?}");
    }
}

fn flow_source() -> impl Strategy<Value = String> {
    let mode = prop_oneof![Just(Mode::Confirm), Just(Mode::Match), Just(Mode::Speak)];
    (mode, 1..5_usize).prop_flat_map(|(mode, steps)| {
        let parts: Vec<_> = (0..steps).map(|index| step(mode, index, steps)).collect();
        parts.prop_map(move |parts| {
            let steps: String = parts.concat();
            format!(
                "<callflow xmlns='urn:ringproof:callflow:1' id='random' mode='{mode}'>{steps}<prompts><prompt id='p'>\
                 <text lang='en'>This is {{brand}}.</text></prompt></prompts></callflow>"
            )
        })
    })
}

fn step(mode: Mode, index: usize, steps: usize) -> impl Strategy<Value = String> {
    let more = if index == 0 { 0..2_usize } else { 0..3 };
    let gathers = proptest::collection::vec(gather(mode, index, steps), if index == 0 { 1..2 } else { more });
    let lines = proptest::collection::vec(line(mode, index), 0..2);
    let code = if mode == Mode::Speak && index == 1 { "<digits of='code' times='2'/>" } else { "" };
    (lines, gathers, act(mode, index, steps, false)).prop_map(move |(lines, gathers, act)| {
        format!("<step id='s{index}'>{code}{}{}{act}</step>", lines.concat(), gathers.concat())
    })
}

fn line(mode: Mode, index: usize) -> impl Strategy<Value = String> {
    let code = if mode == Mode::Speak && index > 0 { 4 } else { 0 };
    prop_oneof![
        4 => Just("<say prompt='p'/>".to_owned()),
        code => Just("<digits of='code' times='2'/>".to_owned()),
    ]
}

fn gather(mode: Mode, index: usize, steps: usize) -> impl Strategy<Value = String> {
    let right = match mode {
        Mode::Confirm => vec!["<on key='#'><verify say='p'/></on>".to_owned()],
        Mode::Match => vec!["<on code='right'><verify say='p'/></on>".to_owned()],
        Mode::Speak if index + 1 < steps => vec![format!("<on key='1'><go to='s{}'/></on>", index + 1)],
        Mode::Speak => vec![String::new()],
    };
    let listen = if mode == Mode::Match { " listen='code'" } else { "" };
    let answers = (
        prop_oneof![3 => proptest::sample::select(right), 1 => Just(String::new())],
        proptest::option::of(act(mode, index, steps, true)),
        proptest::option::of(act(mode, index, steps, true)),
        proptest::option::of(act(mode, index, steps, true)),
    );
    (1..=MAX_ROUNDS, answers).prop_map(move |(times, (right, zero, other, silence))| {
        let on = |what: &str, act: Option<String>| act.map(|act| format!("<on {what}>{act}</on>")).unwrap_or_default();
        let (zero, other, silence) = (on("key='0'", zero), on("other='true'", other), on("silence='true'", silence));
        let star = "<on key='*'><repeat/></on>";
        format!("<gather times='{times}'{listen}><say prompt='p'/>{right}{zero}{star}{other}{silence}</gather>")
    })
}

fn act(mode: Mode, index: usize, steps: usize, answers: bool) -> impl Strategy<Value = String> {
    let next = proptest::option::weighted(0.2, 0..steps);
    let settle = proptest::sample::select(vec![
        "deny reason='fraud_reported'",
        "deny reason='callee_denied'",
        "fail reason='no_input'",
        "end",
        "block",
        "verify",
    ]);
    let settled = (settle, next).prop_map(|(verb, next)| {
        let next = next.map(|next| format!(" next='s{next}'")).unwrap_or_default();
        format!("<{verb} say='p'{next}/>")
    });
    let usual = if mode == Mode::Speak && index > 0 { "<end say='p'/>" } else { "<fail reason='no_input' say='p'/>" };
    let onward = (index + 1).min(steps - 1);
    prop_oneof![
        3 => Just(usual.to_owned()),
        2 => settled,
        3 => Just(format!("<go to='s{onward}'/>")),
        2 => (0..steps).prop_map(|to| format!("<go to='s{to}' say='p'/>")),
        if answers { 3 } else { 0 } => Just("<repeat say='p'/>".to_owned()),
    ]
}
