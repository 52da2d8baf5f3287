//! Owns a whole verification as the core makes it, from its creation to the key and the end of the call, written into a
//! store as a gateway writes it.

use std::{sync::LazyLock, time::Duration};

use ringproof::{
    callflow::CallFlow,
    dtmf::Digits,
    id::{EffectId, VerificationId},
    outcome::{Fault, Status},
    store::{Commit, Committed, Created, EffectKind, NewEffect, Store, Tally},
    time::{Clock, SystemClock, Timestamp},
    verification::{Aside, Cause, Effect, End, Input, PlaceResult, Signal, Stepped, Verification},
};

use super::sample::{KEEP, number, verification};
use crate::tidy;

static FLOW: LazyLock<CallFlow> = LazyLock::new(|| {
    let (_, source) = tidy::files("callflows")
        .into_iter()
        .find(|(path, _)| path.ends_with("press-pound.xml"))
        .expect("the call flow");
    CallFlow::parse("press-pound.xml", &source).expect("it is well formed")
});

/// Lives the `n`th verification; the callee presses `#`. Six changes and a read.
pub(crate) async fn live(store: &dyn Store, n: u32) -> Verification {
    let at = SystemClock.now().minus(Duration::from_secs(20));
    let mut request = verification(n, "enrolment").request;
    request.code = None;
    request.flow = FLOW.id().to_owned();
    request.flow_version = FLOW.version();
    let mut random = [n as u8; 16];
    random.iter_mut().zip(sha(n)).for_each(|(to, from)| *to = from);
    let id = VerificationId::new(at, random, number(n).partition());
    let (mut value, effects) =
        Verification::start(id, at, at.plus(Duration::from_secs(300)), request, &FLOW, sha(n + 1_000_000_000));
    let stepped = Stepped { changed: true, effects, ..Stepped::default() };
    assert!(matches!(store.create(commit(&value, &stepped)).await.unwrap(), Created::Done(_)));
    let name: String = sha(n).iter().chain(&sha(n)).map(|byte| format!("{:x}", byte % 16)).collect();
    let accepted = PlaceResult::Accepted { carrier_call_id: Some(format!("CA{name}")) };
    let ended = Cause { end: End::Completed, fault: Fault::None, carrier_code: None, sip_status: None };
    let steps = [
        (3, Input::Taken { call: 0 }),
        (150, Input::Placed { call: 0, result: accepted }),
        (4_000, signal(&value, Signal::Flow { answered: true })),
        (11_000, signal(&value, Signal::Keys { turn: 1, digits: "#".parse::<Digits>().unwrap(), answered: true })),
        (15_000, signal(&value, Signal::Ended(ended))),
    ];
    for (ms, input) in steps {
        let mut after = value.clone();
        let stepped = after.step(at.plus(Duration::from_millis(ms)), &FLOW, input);
        assert!(stepped.changed, "{ms} ms: {:?}", stepped.ignored);
        after.revision = value.revision + 1;
        assert!(matches!(store.commit(commit(&after, &stepped)).await.unwrap(), Committed::Done(_)));
        value = after;
    }
    let read = store.load(value.id).await.unwrap().unwrap();
    assert_eq!(read.status, Status::Verified);
    read
}

fn signal(value: &Verification, signal: Signal) -> Input {
    let (token, carrier) = (value.token(0), String::from("main"));
    Input::Carrier { token, carrier, carrier_call_id: None, to: None, signal, aside: Aside::default() }
}

fn commit<'a>(value: &'a Verification, stepped: &Stepped) -> Commit<'a> {
    let kept = (0..).zip(&stepped.effects).filter_map(|(index, effect)| {
        let (kind, call) = match effect {
            Effect::HangUp { call } => (EffectKind::HangUp, *call),
            _ => return None,
        };
        let id = EffectId { verification: value.id, revision: value.revision, index };
        Some(NewEffect { id, kind, call, payload: Vec::new(), due_after: Duration::from_secs(5) })
    });
    let records = stepped.effects.iter().filter_map(|effect| match effect {
        Effect::Record { call } => value.record_of(*call),
        _ => None,
    });
    Commit {
        value,
        deadline: value.deadline(),
        before: stepped.before.map(|_| Timestamp::from_ms(u64::MAX / 1_000_000)),
        spends: stepped.spends,
        effects: kept.collect(),
        records: records.collect(),
        tally: Tally::of(value).filter(|_| stepped.effects.contains(&Effect::Report)),
        take: ringproof::guard::step::Take::default(),
        settle: ringproof::guard::step::Settle::default(),
        release: value.deadline().is_none(),
        keep_for: KEEP,
        keep_records_for: KEEP,
    }
}

fn sha(n: u32) -> [u8; 16] {
    use sha2::{Digest, Sha256};
    *Sha256::digest(n.to_be_bytes()).first_chunk().unwrap()
}
