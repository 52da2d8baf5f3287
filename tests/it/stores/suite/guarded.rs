//! Owns what must hold of the guard's step inside creates and commits, and by itself.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use ringproof::{
    guard::{
        bar_key,
        meter::{Key, Meter, Window},
        step::{Answer, Bar, By, GiveBack, Run, Sense, Settle, Stop, Take},
    },
    store::{Commit, Committed, Created, Store},
    time::Timestamp,
    verification::Verification,
};

use crate::stores::{
    lab::Lab,
    sample::{commit, next, verification},
};

const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(600);

fn meter(name: &str, most: u64, span: Duration) -> Meter {
    let windows = vec![Window { span, most }];
    Meter { key: Key::new("suite", name), windows, cost: 1, for_all: false, until: None }
}

fn counting(meters: Vec<Meter>) -> Take {
    Take { meters, ..Take::default() }
}

fn asking<'a>(value: &'a Verification, take: &Take) -> Commit<'a> {
    Commit { take: take.clone(), ..commit(value) }
}

/// How much a meter holds.
async fn held(lab: &Lab, meter: &Meter) -> u64 {
    let look = counting(vec![Meter { cost: 0, ..meter.clone() }]);
    match lab.store.admit(&look).await.unwrap().1 {
        Answer::Allowed { seen } => seen[0][0],
        Answer::Refused(stop) => panic!("a look is refused: {stop:?}"),
    }
}

/// A create that counts, and a commit that sets it right.
pub(crate) async fn one_life(store: &dyn Store, n: u32) {
    let total = meter("total", 100, MINUTE);
    let value = verification(n, "a");
    let created = store.create(asking(&value, &counting(vec![total.clone()]))).await.unwrap();
    let Created::Admitted { at, .. } = created else { panic!("{created:?}") };
    let back = GiveBack { span: total.span(), grain: total.grain(), key: total.key, amount: 1, added: at };
    let settle = Settle { give_back: vec![back], ..Settle::default() };
    let committed = store.commit(Commit { settle, ..commit(&next(&value)) }).await.unwrap();
    assert!(matches!(committed, Committed::Done(_)), "{committed:?}");
}

pub(crate) async fn what_stands_against_a_change_keeps_it_out(lab: &Lab) {
    let store = &lab.store;
    let one = meter("one", 1, MINUTE);
    let take = counting(vec![one.clone()]);
    let (first, second) = (verification(1, "a"), verification(2, "a"));
    let Created::Admitted { at, seen } = store.create(asking(&first, &take)).await.unwrap() else {
        panic!("the first is not admitted")
    };
    assert_eq!(seen, [[1]]);
    let Created::Barred(stop) = store.create(asking(&second, &take)).await.unwrap() else {
        panic!("the second is admitted")
    };
    assert_eq!((stop.by, stop.seen), (By::Meter { index: 0, window: 0 }, 1));
    assert!(stop.wait.is_some_and(|wait| wait <= MINUTE && wait > MINUTE / 2), "{:?}", stop.wait);
    assert!(store.load(second.id).await.unwrap().is_none(), "nothing of it is written");
    assert!(matches!(store.create(commit(&second)).await.unwrap(), Created::Done(_)), "its number is not held");

    let after = next(&second);
    assert!(matches!(store.commit(asking(&after, &take)).await.unwrap(), Committed::Barred(_)));
    assert_eq!(store.load(second.id).await.unwrap().unwrap().revision, 1);
    let back = GiveBack { key: one.key.clone(), span: one.span(), grain: one.grain(), amount: 1, added: at };
    let settle = Settle { give_back: vec![back], ..Settle::default() };
    let done = store.commit(Commit { settle, ..commit(&after) }).await.unwrap();
    assert!(matches!(done, Committed::Done(_)), "{done:?}");
    assert_eq!(held(lab, &one).await, 0);
    let last = next(&after);
    assert!(matches!(store.commit(asking(&last, &take)).await.unwrap(), Committed::Done(_)));
    assert_eq!(held(lab, &one).await, 1);
    // In a cluster the guard is asked first.
    let again = store.commit(asking(&last, &take)).await.unwrap();
    assert!(matches!(again, Committed::Conflict | Committed::Barred(_)), "{again:?}");
    assert_eq!(held(lab, &one).await, 1, "what is not written is not counted");
}

pub(crate) async fn who_holds_a_number_comes_before_what_is_counted(lab: &Lab) {
    let total = meter("total", 100, MINUTE);
    let take = counting(vec![total.clone()]);
    let first = verification(1, "a");
    assert!(matches!(lab.store.create(asking(&first, &take)).await.unwrap(), Created::Admitted { .. }));
    let mut second = verification(2, "b");
    second.request.targets = first.request.targets.clone();
    for _ in 0..3 {
        let held = lab.store.create(asking(&second, &take)).await.unwrap();
        assert_eq!(held, Created::NumberHeld { by: first.id, client: String::from("a") });
    }
    assert_eq!(held(lab, &total).await, 1);
}

pub(crate) async fn of_a_thousand_at_once_so_many_are_admitted_as_there_is_room_for(lab: &Lab) {
    let narrow = meter("narrow", 10, MINUTE);
    let take = counting(vec![meter("wide", 5_000, MINUTE), narrow.clone()]);
    let values: Vec<_> = (0..1_000).map(|n| verification(n, "a")).collect();
    let made = join_all(values.iter().map(|value| lab.store.create(asking(value, &take)))).await;
    let mut admitted = BTreeSet::new();
    for (value, created) in values.iter().zip(made) {
        match created.unwrap() {
            Created::Admitted { .. } => assert!(admitted.insert(value.id)),
            Created::Barred(Stop { by, .. }) => assert_eq!(by, By::Meter { index: 1, window: 0 }),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(admitted.len(), 10);
    assert_eq!(held(lab, &narrow).await, 10);
    assert_eq!(held(lab, &meter("wide", 5_000, MINUTE)).await, 10, "nothing is counted of what is refused");
}

pub(crate) async fn rows_pause_and_end(lab: &Lab) {
    let run = Run { key: Key::new("suite", "row"), pauses: vec![SHORT], most: 3, keep: MINUTE };
    let take = Take { runs: vec![run.clone()], ..Take::default() };
    let admit = async || lab.store.admit(&take).await.unwrap().1;
    assert!(matches!(admit().await, Answer::Allowed { .. }));
    let Answer::Refused(stop) = admit().await else { panic!("the pause does not hold") };
    assert_eq!((stop.by, stop.seen), (By::Pause { index: 0 }, 1));
    lab.pass(SHORT).await;
    assert!(matches!(admit().await, Answer::Allowed { .. }));
    let fail = vec![(run.clone(), 1)];
    lab.store.settle(&Settle { fail, ..Settle::default() }).await.unwrap();
    lab.pass(SHORT).await;
    let Answer::Refused(stop) = admit().await else { panic!("three are too many") };
    assert_eq!((stop.by, stop.wait), (By::Run { index: 0 }, None));
    lab.store.settle(&Settle { clear: vec![run.key.clone()], ..Settle::default() }).await.unwrap();
    assert!(matches!(admit().await, Answer::Allowed { .. }));
}

pub(crate) async fn bars_are_set_told_and_lifted(lab: &Lab) {
    let bar = |about: &str, sense, pinned, holds_for| Bar {
        key: bar_key("area", about),
        sense,
        pinned,
        holds_for,
        first_probe: None,
        probe_every: Duration::ZERO,
        why: format!("seen at {about}"),
    };
    let raise = |bar| Settle { raise: vec![bar], ..Settle::default() };
    let store = &lab.store;
    let took: Timestamp = store.settle(&raise(bar("JP", Sense::Deny, true, MINUTE * 2))).await.unwrap();
    store.settle(&raise(bar("819012", Sense::Deny, false, MINUTE))).await.unwrap();
    store.settle(&raise(bar("JP", Sense::Deny, false, MINUTE / 2))).await.unwrap();
    let bars = store.bars(10).await.unwrap();
    let told: Vec<_> = bars.iter().map(|(key, bar)| (key.as_str(), bar.pinned, bar.why.as_str())).collect();
    assert_eq!(told, [("bar:area:819012", false, "seen at 819012"), ("bar:area:JP", true, "seen at JP")]);
    assert!(bars[1].1.ends >= took.plus(MINUTE), "nothing automatic changes what an operator set");
    assert_eq!(store.bars(1).await.unwrap().len(), 1);

    let take = |about| Take { bars: vec![bar_key("area", about)], ..Take::default() };
    let Answer::Refused(stop) = store.admit(&take("JP")).await.unwrap().1 else { panic!("it does not hold") };
    assert_eq!(stop.by, By::Bar { index: 0, why: String::from("seen at JP") });
    let lift = vec![bar_key("area", "JP"), bar_key("area", "819012")];
    store.settle(&Settle { lift, ..Settle::default() }).await.unwrap();
    let left: Vec<_> = store.bars(10).await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, [bar_key("area", "JP")]);
    store.settle(&Settle { clear: left, ..Settle::default() }).await.unwrap();
    assert!(matches!(store.admit(&take("JP")).await.unwrap().1, Answer::Allowed { .. }));
    store.settle(&raise(bar("US", Sense::Deny, false, SHORT))).await.unwrap();
    lab.pass(SHORT).await;
    assert!(store.bars(10).await.unwrap().is_empty());
}

pub(crate) async fn what_is_counted_ends_by_itself(lab: &Lab) {
    let one = meter("short", 1, SHORT);
    let take = counting(vec![one.clone()]);
    assert!(matches!(lab.store.admit(&take).await.unwrap().1, Answer::Allowed { .. }));
    assert!(matches!(lab.store.admit(&take).await.unwrap().1, Answer::Refused(_)));
    lab.pass(SHORT).await;
    assert_eq!(held(lab, &one).await, 0);
    assert!(matches!(lab.store.admit(&take).await.unwrap().1, Answer::Allowed { .. }));
}
