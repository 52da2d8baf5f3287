//! Owns verifications and call records made up for the suite of the stores. They are well-formed, not plausible.

use std::{sync::LazyLock, time::Duration};

use ringproof::{
    dtmf::Digits,
    id::{CallId, EffectId, NumberHash, VerificationId},
    outcome::{Mode, Purpose, Reason, Status},
    phone::E164,
    secret::Secret,
    store::{Commit, EffectKind, NewEffect},
    time::{Clock, SystemClock, Timestamp},
    verification::{CallRecord, Event, Policy, Request, Route, Seed, Target, Verification, What},
};

/// How long samples are kept where a test does not say otherwise.
pub(crate) const KEEP: Duration = Duration::from_secs(3600);

/// The number in samples; no key may hold it.
pub(crate) const NUMBER: &str = "+819012345678";

/// When samples begin to be made: the clock of a real server cannot be moved.
pub(crate) static BEGIN: LazyLock<Timestamp> = LazyLock::new(|| SystemClock.now());

/// The hash of the `n`th number.
pub(crate) fn number(n: u32) -> NumberHash {
    let [a, b, c, d] = n.to_be_bytes();
    NumberHash::new([d, a, b, c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
}

/// The `n`th id, of the partition of the `n`th number; later ones are newer.
pub(crate) fn id(n: u32) -> VerificationId {
    let made = BEGIN.plus(Duration::from_millis(n.into()));
    let mut entropy = [7; 16];
    entropy[..4].copy_from_slice(&n.to_be_bytes());
    VerificationId::new(made, entropy, number(n).partition())
}

/// The `n`th verification of a client, at revision 1.
pub(crate) fn verification(n: u32, client: &str) -> Verification {
    let target = Target {
        to: NUMBER.parse::<E164>().unwrap(),
        number_hash: number(n),
        country: "JP".parse().unwrap(),
        number_type: String::from("mobile"),
        extension: None,
        locale: String::from("ja-JP"),
        routes: vec![Route { carrier: String::from("main"), caller_id: "+815012345678".parse().unwrap() }],
    };
    let request = Request {
        client: client.to_owned(),
        targets: vec![target],
        mode: Mode::Confirm,
        flow: String::from("press-pound"),
        flow_version: 7,
        brand: String::from("Contoso"),
        purpose: Purpose::Enrolment,
        purpose_text: None,
        code: Some(Secret::new("4711".parse::<Digits>().unwrap())),
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
    };
    let created_at = BEGIN.plus(Duration::from_millis(n.into()));
    Verification {
        id: id(n),
        revision: 1,
        request,
        created_at,
        expires_at: created_at.plus(Duration::from_secs(300)),
        status: Status::Pending,
        reason: None,
        decided_at: None,
        calls: Vec::new(),
        next: None,
        wrong_entries: 0,
        turn: 0,
        events: vec![Event { seq: 1, at: created_at, call: None, what: What::Queued }],
        seed: Secret::new(Seed::from([n as u8; 16])),
        block_requested: false,
        trace: None,
        promised: None,
    }
}

/// The same at the next revision.
pub(crate) fn next(value: &Verification) -> Verification {
    Verification { revision: value.revision + 1, ..value.clone() }
}

/// A commit of a value with nothing else.
pub(crate) fn commit(value: &Verification) -> Commit<'_> {
    Commit {
        value,
        deadline: None,
        before: None,
        spends: None,
        effects: Vec::new(),
        records: Vec::new(),
        tally: None,
        take: ringproof::guard::step::Take::default(),
        settle: ringproof::guard::step::Settle::default(),
        release: false,
        keep_for: KEEP,
        keep_records_for: KEEP,
    }
}

/// The effect of a value's commit, due at once.
pub(crate) fn effect(value: &Verification, index: u8) -> NewEffect {
    NewEffect {
        id: EffectId { verification: value.id, revision: value.revision, index },
        kind: if index.is_multiple_of(2) { EffectKind::Report } else { EffectKind::HangUp },
        call: index,
        payload: vec![index; 3],
        due_after: Duration::ZERO,
    }
}

/// A record of a call that ended at a time.
pub(crate) fn record(value: &Verification, index: u8, ended_at: Timestamp) -> CallRecord {
    CallRecord {
        id: CallId { verification: value.id, index },
        client: value.request.client.clone(),
        reference: value.request.reference.clone(),
        to_masked: String::from("+81 •• •••• 5678"),
        number_hash: value.request.targets[0].number_hash,
        country: "JP".parse().unwrap(),
        number_type: String::from("mobile"),
        carrier: String::from("main"),
        carrier_call_id: Some(String::from("CA0123456789abcdef0123456789abcdef")),
        caller_id: Some("+815012345678".parse().unwrap()),
        locale: String::from("ja-JP"),
        flow: String::from("press-pound"),
        flow_version: 7,
        mode: Mode::Confirm,
        status: Status::Verified,
        reason: None::<Reason>,
        queued_at: value.created_at,
        placed_at: None,
        ringing_at: None,
        answered_at: None,
        ended_at,
        cause: None,
        prompts: 1,
        answered_by: None,
        block_requested: false,
        events: value.events.clone(),
        attestation: None,
        price: None,
        delivery: None,
    }
}
