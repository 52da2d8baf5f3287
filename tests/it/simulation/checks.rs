//! What must hold in every world, judged from what really happened on the telephone.

use std::time::Duration;

use ringproof::{
    outcome::{Mode, Reason, Status},
    verification::What,
};

use super::{phone::Asked, world::World};

/// Latest end of a verification after its time ran out.
const LIVELY: Duration = Duration::from_secs(60);

pub(crate) fn check(world: &World) -> Result<(), String> {
    comes_to_an_end(world)?;
    one_outcome(world)?;
    one_ring(world)?;
    verified_by_the_callee(world)?;
    denied_by_the_callee(world)?;
    history(world)?;
    world.faults.first().map_or(Ok(()), |fault| Err(fault.clone()))
}

fn ensure(holds: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault()) }
}

fn comes_to_an_end(world: &World) -> Result<(), String> {
    let v = &world.v;
    ensure(v.is_final(), || format!("still pending: {v:#?}"))?;
    ensure(v.is_over() && v.deadline().is_none(), || format!("final, but a call of it goes on: {v:#?}"))?;
    let decided = world.statuses.iter().find(|(_, status)| *status != Status::Pending).map(|(at, _)| *at);
    ensure(decided.is_some_and(|at| at <= v.expires_at.plus(LIVELY)), || format!("decided too late: {decided:?}"))
}

fn one_outcome(world: &World) -> Result<(), String> {
    let mut finals: Vec<_> =
        world.statuses.iter().map(|(_, status)| *status).filter(|s| *s != Status::Pending).collect();
    finals.dedup();
    ensure(!world.reports.is_empty(), || String::from("never reported"))?;
    ensure(world.reports.len() == 1, || String::from("reported more than once"))?;
    ensure(finals.len() == 1, || format!("the outcome changed: {finals:?}"))?;
    ensure(world.v.request.code.is_none(), || String::from("the code outlived the verification"))?;
    let mut records = world.records.clone();
    records.sort_unstable();
    let calls: Vec<u8> = (0..u8::try_from(world.v.calls.len()).unwrap()).collect();
    ensure(records == calls, || format!("calls {calls:?}, recorded {records:?}: not in the call log as they were"))
}

fn one_ring(world: &World) -> Result<(), String> {
    for (n, phone) in world.phones.iter().enumerate() {
        for other in &world.phones[n + 1..] {
            ensure(phone.call != other.call, || format!("call {} was dialled twice", phone.call))?;
            let apart = phone.over_at.is_some_and(|over| over <= other.dialled_at);
            ensure(apart, || format!("two calls at once: {phone:?} {other:?}"))?;
        }
    }
    ensure(world.phones.len() <= usize::from(world.plan.max_calls), || {
        format!("{} calls were placed", world.phones.len())
    })
}

fn verified_by_the_callee(world: &World) -> Result<(), String> {
    if world.v.status != Status::Verified {
        return Ok(());
    }
    let at = world.statuses.iter().find(|(_, status)| *status == Status::Verified).map(|(at, _)| *at);
    ensure(at.is_some_and(|at| at < world.v.expires_at), || String::from("verified after its expiry"))?;
    let code = format!("{}#", world.code);
    let skew = 2 * world.plan.skew + world.plan.delay;
    let right = world.phones.iter().filter(|phone| phone.answered_at.is_some()).any(|phone| match world.plan.mode {
        Mode::Confirm => phone.pressed.iter().any(|key| {
            key.asked == Asked::Confirm && key.digits == "#" && key.after_ms + skew >= super::plan::EARLY_MS
        }),
        Mode::Match => phone.pressed.iter().any(|key| key.asked == Asked::Code && key.digits == code),
        Mode::Speak => phone.told && world.typed_right,
    });
    ensure(right, || format!("verified without the right keys: {:#?}", world.phones))
}

fn denied_by_the_callee(world: &World) -> Result<(), String> {
    let pressed = |asked: Asked, digits: &str| {
        world.phones.iter().any(|phone| phone.pressed.iter().any(|key| key.asked == asked && key.digits == digits))
    };
    match world.v.reason {
        Some(Reason::FraudReported) => ensure(pressed(Asked::Report, "#"), || String::from("nobody reported a fraud"))?,
        Some(Reason::CalleeDenied) => ensure(pressed(Asked::Confirm, "0"), || String::from("nobody denied"))?,
        Some(_) | None => {}
    }
    ensure(!world.v.block_requested || pressed(Asked::Block, "1"), || String::from("nobody asked to block"))
}

fn history(world: &World) -> Result<(), String> {
    let events = &world.v.events;
    let decided = events.iter().filter(|event| matches!(event.what, What::Decided(_))).count();
    ensure(decided == 1, || format!("decided {decided} times"))?;
    let in_order = events.windows(2).all(|pair| pair[0].seq < pair[1].seq);
    ensure(in_order, || format!("the history is out of order: {events:#?}"))?;
    let bytes = minicbor::to_vec(&world.v).map_err(|fault| fault.to_string())?;
    let back: ringproof::verification::Verification = minicbor::decode(&bytes).map_err(|fault| fault.to_string())?;
    ensure(format!("{back:?}") == format!("{:?}", world.v), || String::from("it does not read back as it was written"))
}
