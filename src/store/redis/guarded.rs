//! Owns how the step of the guard travels to the scripts and back: what is to be taken, what is set right, how the answer
//! reads. What is counted, and how much of it may be, is decided in [`crate::guard`].

use std::time::Duration;

use redis::Value;

use super::{super::StoreError, keys, link::Link, number, scripts, time, unreadable, whole, whole_ms};
use crate::{
    guard::{
        meter::Key,
        step::{Answer, By, GiveBack, Sense, Settle, Stop, StoredBar, Take},
    },
    time::Timestamp,
};

/// Takes what the guard asks for, or nothing.
pub(super) async fn admit(link: &Link, take: &Take) -> Result<(Timestamp, Answer), StoreError> {
    let answer: Value = link.run(&scripts::ADMIT, &[keys::bars()], &take_arguments(take)).await?;
    admitted(answer, take)
}

/// Sets right what the guard counted.
pub(super) async fn settle(link: &Link, settle: &Settle) -> Result<Timestamp, StoreError> {
    let at: i64 = link.run(&scripts::SETTLE, &[keys::bars()], &settle_arguments(settle)).await?;
    Ok(time(at))
}

/// Bars that stand.
pub(super) async fn bars(link: &Link, limit: usize) -> Result<Vec<(Key, StoredBar)>, StoreError> {
    let found: Vec<Vec<u8>> = link.run(&scripts::BARS, &[keys::bars()], &[number(limit as u64)]).await?;
    let mut found = found.into_iter();
    let mut bars = Vec::new();
    while let (Some(key), Some(bar)) = (found.next(), found.next()) {
        let name = std::str::from_utf8(&key).ok().and_then(keys::guarded_name);
        let bar = StoredBar::read(&bar).ok_or_else(|| unreadable("a bar"))?;
        bars.extend(name.map(|name| (Key::new(StoredBar::SCOPE, name), bar)));
    }
    Ok(bars)
}

/// What was taken is given back, because what it was for was not written. Rows stay grown: too much counted, never too
/// little.
pub(super) fn undone(take: &Take, at: Timestamp) -> Settle {
    let counted = take.meters.iter().filter(|meter| meter.cost > 0);
    let give_back = counted.map(|meter| GiveBack {
        key: meter.key.clone(),
        span: meter.span(),
        grain: meter.grain(),
        amount: meter.cost,
        added: at,
    });
    Settle { give_back: give_back.collect(), ..Settle::default() }
}

/// What is to be taken, as `take` of `meter.lua` reads it.
pub(super) fn take_arguments(take: &Take) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    for bar in &take.bars {
        arguments.extend([b"b".to_vec(), key(bar)]);
    }
    for run in &take.runs {
        let pauses = number(run.pauses.len() as u64);
        arguments.extend([b"r".to_vec(), key(&run.key), number(run.most.into()), ms(run.keep), pauses]);
        arguments.extend(run.pauses.iter().map(|pause| ms(*pause)));
    }
    for meter in &take.meters {
        let until = number(meter.until.map_or(0, Timestamp::as_ms));
        let all = number(meter.for_all.into());
        arguments.extend([b"m".to_vec(), key(&meter.key), number(meter.cost), all, until]);
        arguments.extend([ms(meter.span()), ms(meter.grain()), number(meter.windows.len() as u64)]);
        arguments.extend(meter.windows.iter().flat_map(|window| [ms(window.span), number(window.most)]));
    }
    arguments
}

/// What is set right, as `set_right` of `meter.lua` reads it.
pub(super) fn settle_arguments(settle: &Settle) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    for back in &settle.give_back {
        arguments.extend([b"g".to_vec(), key(&back.key), ms(back.span), ms(back.grain), number(back.amount)]);
        arguments.push(number(back.added.as_ms()));
    }
    for meter in settle.add.iter().filter(|meter| meter.cost > 0) {
        arguments.extend([b"a".to_vec(), key(&meter.key), number(meter.cost), ms(meter.span()), ms(meter.grain())]);
    }
    for cleared in &settle.clear {
        arguments.extend([b"c".to_vec(), key(cleared)]);
    }
    for (run, by) in &settle.fail {
        arguments.extend([b"f".to_vec(), key(&run.key), number((*by).into()), ms(run.keep)]);
    }
    for bar in &settle.lift {
        arguments.extend([b"l".to_vec(), key(bar)]);
    }
    for bar in &settle.raise {
        let sense = match bar.sense {
            Sense::Allow => b'a',
            Sense::Deny => b'd',
        };
        let first = bar.first_probe.map_or_else(|| b"-1".to_vec(), ms);
        arguments.extend([b"u".to_vec(), key(&bar.key), keys::bars().into_bytes()]);
        arguments.extend([vec![sense, if bar.pinned { b'p' } else { b'-' }], ms(bar.holds_for), first]);
        arguments.extend([ms(bar.probe_every), bar.why.clone().into_bytes()]);
    }
    arguments
}

/// How an answer of a script reads that took what the guard asked for, or nothing.
pub(super) fn admitted(answer: Value, take: &Take) -> Result<(Timestamp, Answer), StoreError> {
    let Value::Array(parts) = answer else { return Err(unreadable("an answer of the guard")) };
    let mut parts = parts.into_iter();
    if whole(parts.next())? == 0 {
        let what = parts.next().ok_or_else(|| unreadable("a refusal of the guard"))?;
        return stop(what).map(|stop| (Timestamp::default(), Answer::Refused(stop)));
    }
    let at = time(whole(parts.next())?);
    let seen: Vec<u64> = parts.next().map(redis::from_redis_value).transpose().ok().flatten().unwrap_or_default();
    let mut seen = seen.into_iter();
    let by_meter = take.meters.iter().map(|meter| seen.by_ref().take(meter.windows.len()).collect());
    Ok((at, Answer::Allowed { seen: by_meter.collect() }))
}

/// What stands against a call: kind, place, window, ms or -1, how much was seen, why.
fn stop(what: Value) -> Result<Stop, StoreError> {
    let told: (String, usize, usize, i64, u64, String) =
        redis::from_redis_value(what).map_err(|error| unreadable(&error.to_string()))?;
    let (kind, index, window, wait, seen, why) = told;
    let by = match kind.as_str() {
        "b" => By::Bar { index, why },
        "r" => By::Pause { index },
        "f" => By::Run { index },
        _ => By::Meter { index, window },
    };
    Ok(Stop { by, wait: u64::try_from(wait).ok().map(Duration::from_millis), seen })
}

fn key(key: &Key) -> Vec<u8> {
    keys::guarded(key).into_bytes()
}

fn ms(time: Duration) -> Vec<u8> {
    number(whole_ms(time))
}
