//! Owns the changes of the embedded store, each as one function over the ordered table: check first, write last. Who
//! runs them, one at a time, and makes them durable, is the business of [`super`].

use std::{ops::ControlFlow, time::Duration};

use super::{
    super::{
        Committed, Created, Due, EffectKind, Held, IdempotencyKey, Outgoing, Remembered, StoreError,
        change::{Change, Record},
        codec, listing,
        rows::Row,
    },
    guarded, index, keys,
    table::{Read, Write},
    tallies,
    values::{Buried, Hold, Kept, Log, Memory, Noted, Stored},
};
use crate::{
    guard::step::Answer,
    id::{EffectId, NumberHash, VerificationId},
    time::Timestamp,
    verification::Delivery,
};

/// Reads a value and leaves out one that has expired.
pub(super) fn read<T>(
    table: &(impl Read + ?Sized),
    key: &[u8],
    alive: impl Fn(&T) -> bool,
) -> Result<Option<T>, StoreError>
where
    T: for<'b> minicbor::Decode<'b, ()>,
{
    let Some(bytes) = table.get(key)? else { return Ok(None) };
    codec::decode::<T>(&bytes).map(|value| Some(value).filter(alive))
}

pub(super) fn stored(
    table: &(impl Read + ?Sized),
    id: VerificationId,
    now: Timestamp,
) -> Result<Option<Stored>, StoreError> {
    read(table, &keys::verification(id), |stored: &Stored| stored.expires_at > now)
}

pub(super) fn create(table: &mut dyn Write, now: Timestamp, change: Change) -> Result<Created, StoreError> {
    if let Some(found) = stored(table, change.id, now)? {
        let same = found.revision == change.revision && *found.value == *change.value;
        return Ok(if same { Created::Done(now) } else { Created::Exists });
    }
    if let Some(number) = change.number {
        let hold = read(table, &keys::hold(number), |hold: &Hold| hold.expires_at > now)?;
        if let Some(Hold { by, .. }) = hold.filter(|hold| hold.by != change.id) {
            let client = stored(table, by, now)?.map(|holder| holder.client).unwrap_or_default();
            return Ok(Created::NumberHeld { by, client });
        }
    }
    let answer = guarded::take(table, now, &change.take)?;
    if let Answer::Refused(stop) = answer {
        return Ok(Created::Barred(stop));
    }
    let asked = !change.take.is_empty();
    if let Some(number) = change.number {
        put_hold(table, number, change.id, now.plus(change.keep_for))?;
    }
    table.put(&index_entry(keys::client(&change.client), change.id), &[])?;
    if let Some(reference) = &change.reference {
        table.put(&index_entry(keys::reference(&change.client, reference), change.id), &[])?;
    }
    write(table, now, change, None)?;
    Ok(match answer {
        Answer::Allowed { seen } if asked => Created::Admitted { at: now, seen },
        Answer::Allowed { .. } | Answer::Refused(_) => Created::Done(now),
    })
}

pub(super) fn commit(table: &mut dyn Write, now: Timestamp, change: Change) -> Result<Committed, StoreError> {
    let Some(found) = stored(table, change.id, now)? else { return Ok(Committed::Conflict) };
    if found.revision.checked_add(1) != Some(change.revision) {
        return Ok(Committed::Conflict);
    }
    if change.spends.is_some_and(|turn| turn <= found.spent) {
        return Ok(Committed::Spent);
    }
    if change.before.is_some_and(|before| now >= before) {
        return Ok(Committed::TooLate(now));
    }
    if let Answer::Refused(stop) = guarded::take(table, now, &change.take)? {
        return Ok(Committed::Barred(stop));
    }
    if let Some(number) = change.number.filter(|_| change.release) {
        release(table, number, change.id)?;
    }
    guarded::settle(table, now, &change.settle)?;
    write(table, now, change, Some(&found))?;
    Ok(Committed::Done(now))
}

fn write(table: &mut dyn Write, now: Timestamp, change: Change, old: Option<&Stored>) -> Result<(), StoreError> {
    let key = keys::verification(change.id);
    if let Some(old) = old {
        table.remove(&keys::expiry(old.expires_at, &key))?;
        if let Some(deadline) = old.deadline {
            table.remove(&keys::deadline(deadline, change.id))?;
        }
    }
    if let Some(deadline) = change.deadline {
        table.put(&keys::deadline(deadline, change.id), &[])?;
    }
    let keep_effects = change.keep_for.max(change.keep_records_for);
    for effect in change.effects {
        let kept = Kept {
            expires_at: now.plus(keep_effects),
            due_at: now.plus(effect.due_after),
            since: now,
            attempts: 0,
            report: match effect.kind {
                EffectKind::Report => true,
                EffectKind::HangUp => false,
            },
            call: effect.call,
            payload: effect.payload.into(),
        };
        put_effect(table, effect.id, &kept)?;
        table.put(&keys::expiry(kept.expires_at, &keys::effect(effect.id)), &[])?;
    }
    for record in change.records {
        put_record(table, now.plus(change.keep_records_for), record)?;
    }
    if let Some(tally) = &change.tally {
        tallies::count(table, tally, change.keep_records_for)?;
    }
    let spent = old.map_or(0, |old| old.spent);
    let stored = Stored {
        expires_at: now.plus(change.keep_for),
        revision: change.revision,
        spent: change.spends.unwrap_or(spent),
        deadline: change.deadline,
        client: change.client,
        reference: change.reference,
        value: change.value.into(),
    };
    table.put(&keys::expiry(stored.expires_at, &key), &[])?;
    table.put(&key, &codec::encode(&stored)?)
}

fn put_record(table: &mut dyn Write, expires_at: Timestamp, record: Record) -> Result<(), StoreError> {
    let Some(call) = record.place.call() else { return Ok(()) };
    let call = keys::call(call);
    if let Some(place) = table.get(&call)?.and_then(|bytes| listing::CallPlace::from_bytes(&bytes)) {
        drop_record(table, place)?;
    }
    index::add(table, record.place, Row::of(&record.record), expires_at)?;
    let key = keys::log(record.place);
    table.put(&call, record.place.as_bytes())?;
    table.put(&keys::number(record.record.number_hash, record.place), &[])?;
    table.put(&keys::expiry(expires_at, &key), &[])?;
    table.put(&key, &codec::encode(&Log { expires_at, number: record.record.number_hash, value: record.value.into() })?)
}

fn drop_record(table: &mut dyn Write, place: listing::CallPlace) -> Result<(), StoreError> {
    let key = keys::log(place);
    if let Some(log) = read(table, &key, |_: &Log| true)? {
        table.remove(&keys::number(log.number, place))?;
        table.remove(&keys::expiry(log.expires_at, &key))?;
    }
    if let Some(call) = place.call() {
        table.remove(&keys::call(call))?;
    }
    table.remove(&key)
}

pub(super) fn due(table: &(impl Read + ?Sized), now: Timestamp, limit: usize) -> Result<Due, StoreError> {
    let mut due = Due { now, ids: Vec::new(), next: None };
    table.up(&[keys::DEADLINE], &[keys::DEADLINE + 1], &mut |key, _| {
        let Some((at, id)) = keys::split_time(key) else { return ControlFlow::Continue(()) };
        if at > now || due.ids.len() >= limit {
            due.next = Some(at);
            return ControlFlow::Break(());
        }
        due.ids.extend(<[u8; crate::id::ID_BYTES]>::try_from(id).map(VerificationId::from_bytes));
        ControlFlow::Continue(())
    })?;
    Ok(due)
}

pub(super) fn take(
    table: &mut dyn Write,
    now: Timestamp,
    limit: usize,
    lease: Duration,
) -> Result<Vec<Outgoing>, StoreError> {
    let mut ids = Vec::new();
    table.up(
        &[keys::EFFECT_DUE],
        &keys::key(keys::EFFECT_DUE, &[&now.plus(ONE_MS).as_ms().to_be_bytes()]),
        &mut |key, _| {
            if ids.len() >= limit {
                return ControlFlow::Break(());
            }
            ids.extend(keys::split_time(key).and_then(|(_, id)| keys::effect_of(id)));
            ControlFlow::Continue(())
        },
    )?;
    let mut taken = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(kept) = move_effect(table, id, now.plus(lease), 0)? {
            taken.push(kept.outgoing(id));
        }
    }
    Ok(taken)
}

pub(super) fn done(table: &mut dyn Write, id: EffectId) -> Result<(), StoreError> {
    drop_effect(table, id).map(drop)
}

pub(super) fn retry(table: &mut dyn Write, id: EffectId, at: Timestamp) -> Result<(), StoreError> {
    move_effect(table, id, at, 1).map(drop)
}

pub(super) fn bury(
    table: &mut dyn Write,
    now: Timestamp,
    id: EffectId,
    why: String,
    keep_for: Duration,
) -> Result<(), StoreError> {
    let Some(effect) = drop_effect(table, id)? else { return Ok(()) };
    let why = listing::bounded(why);
    let buried = Buried { expires_at: now.plus(keep_for), at: now, why, effect };
    let key = keys::dead(id);
    table.put(&keys::dead_at(now, id), &[])?;
    table.put(&keys::expiry(buried.expires_at, &key), &[])?;
    table.put(&key, &codec::encode(&buried)?)
}

pub(super) fn note_delivery(
    table: &mut dyn Write,
    id: VerificationId,
    delivery: Delivery,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let key = keys::noted(id);
    if let Some(old) = read(table, &key, |_: &Noted| true)? {
        table.remove(&keys::expiry(old.expires_at, &key))?;
    }
    table.put(&keys::expiry(expires_at, &key), &[])?;
    table.put(&key, &codec::encode(&Noted { expires_at, delivery })?)
}

/// Takes records out of the log and its indexes; says how many were there.
pub(super) fn erase(table: &mut dyn Write, records: &[(listing::CallPlace, Row)]) -> Result<usize, StoreError> {
    let mut erased = 0;
    for (place, row) in records {
        erased += usize::from(table.get(&keys::log(*place))?.is_some());
        drop_record(table, *place)?;
        index::blank(table, *place, *row)?;
    }
    Ok(erased)
}

pub(super) fn revive(table: &mut dyn Write, now: Timestamp, id: EffectId) -> Result<bool, StoreError> {
    let Some(buried) = read(table, &keys::dead(id), |buried: &Buried| buried.expires_at > now)? else {
        return Ok(false);
    };
    drop_dead(table, id, &buried)?;
    let kept = Kept { due_at: now, attempts: 0, expires_at: buried.expires_at, ..buried.effect };
    put_effect(table, id, &kept)?;
    table.put(&keys::expiry(kept.expires_at, &keys::effect(id)), &[])?;
    Ok(true)
}

pub(super) fn discard(table: &mut dyn Write, now: Timestamp, id: EffectId) -> Result<bool, StoreError> {
    let Some(buried) = read(table, &keys::dead(id), |buried: &Buried| buried.expires_at > now)? else {
        return Ok(false);
    };
    drop_dead(table, id, &buried)?;
    Ok(true)
}

pub(super) fn hold(
    table: &mut dyn Write,
    now: Timestamp,
    number: NumberHash,
    id: VerificationId,
    hold_for: Duration,
) -> Result<Held, StoreError> {
    let until = now.plus(hold_for);
    match read(table, &keys::hold(number), |hold: &Hold| hold.expires_at > now)? {
        Some(hold) if hold.by != id => Ok(Held::By(hold.by)),
        Some(hold) => put_hold(table, number, id, until.max(hold.expires_at)).map(|()| Held::Yes),
        None => put_hold(table, number, id, until).map(|()| Held::Yes),
    }
}

pub(super) fn release(table: &mut dyn Write, number: NumberHash, id: VerificationId) -> Result<(), StoreError> {
    let key = keys::hold(number);
    let Some(hold) = read(table, &key, |hold: &Hold| hold.by == id)? else { return Ok(()) };
    table.remove(&keys::expiry(hold.expires_at, &key))?;
    table.remove(&key)
}

fn put_hold(table: &mut dyn Write, number: NumberHash, by: VerificationId, until: Timestamp) -> Result<(), StoreError> {
    let key = keys::hold(number);
    if let Some(old) = read(table, &key, |_: &Hold| true)? {
        table.remove(&keys::expiry(old.expires_at, &key))?;
    }
    table.put(&keys::expiry(until, &key), &[])?;
    table.put(&key, &codec::encode(&Hold { expires_at: until, by })?)
}

pub(super) fn remember(
    table: &mut dyn Write,
    now: Timestamp,
    asked: &IdempotencyKey,
    keep_for: Duration,
) -> Result<Remembered, StoreError> {
    let key = keys::key(keys::IDEMPOTENCY, &[&asked.hash]);
    let old = read(table, &key, |_: &Memory| true)?;
    if let Some(old) = old {
        if old.expires_at > now {
            return Ok(if old.fingerprint != asked.fingerprint {
                Remembered::Other
            } else if old.id == asked.id {
                Remembered::New
            } else {
                Remembered::Same(old.id, old.first_seen)
            });
        }
        table.remove(&keys::expiry(old.expires_at, &key))?;
    }
    let memory =
        Memory { expires_at: now.plus(keep_for), fingerprint: asked.fingerprint, id: asked.id, first_seen: now };
    table.put(&keys::expiry(memory.expires_at, &key), &[])?;
    table.put(&key, &codec::encode(&memory)?)?;
    Ok(Remembered::New)
}

pub(super) fn forget(table: &mut dyn Write, asked: &IdempotencyKey) -> Result<(), StoreError> {
    let key = keys::key(keys::IDEMPOTENCY, &[&asked.hash]);
    let ours = |old: &Memory| old.id == asked.id && old.fingerprint == asked.fingerprint;
    let Some(old) = read(table, &key, ours)? else { return Ok(()) };
    table.remove(&keys::expiry(old.expires_at, &key))?;
    table.remove(&key)
}

pub(super) fn number_key(table: &mut dyn Write, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
    let key = keys::key(keys::META, &[b"number-key"]);
    match table.get(&key)? {
        Some(kept) => kept.try_into().map_err(|_| StoreError::Unreadable(String::from("the key of the number hashes"))),
        None => table.put(&key, &fresh).map(|()| fresh),
    }
}

fn put_effect(table: &mut dyn Write, id: EffectId, kept: &Kept) -> Result<(), StoreError> {
    table.put(&keys::effect_due(kept.due_at, id), &[])?;
    table.put(&keys::effect(id), &codec::encode(kept)?)
}

fn move_effect(
    table: &mut dyn Write,
    id: EffectId,
    due_at: Timestamp,
    attempts: u32,
) -> Result<Option<Kept>, StoreError> {
    let Some(old) = read(table, &keys::effect(id), |_: &Kept| true)? else { return Ok(None) };
    table.remove(&keys::effect_due(old.due_at, id))?;
    let kept = Kept { due_at, attempts: old.attempts.saturating_add(attempts), ..old };
    put_effect(table, id, &kept)?;
    Ok(Some(kept))
}

fn drop_effect(table: &mut dyn Write, id: EffectId) -> Result<Option<Kept>, StoreError> {
    let key = keys::effect(id);
    let Some(kept) = read(table, &key, |_: &Kept| true)? else { return Ok(None) };
    table.remove(&keys::effect_due(kept.due_at, id))?;
    table.remove(&keys::expiry(kept.expires_at, &key))?;
    table.remove(&key)?;
    Ok(Some(kept))
}

fn drop_dead(table: &mut dyn Write, id: EffectId, buried: &Buried) -> Result<(), StoreError> {
    let key = keys::dead(id);
    table.remove(&keys::dead_at(buried.at, id))?;
    table.remove(&keys::expiry(buried.expires_at, &key))?;
    table.remove(&key)
}

/// Removes what has expired, at most `limit` entries; says how many there were.
pub(super) fn sweep(table: &mut dyn Write, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let mut expired = Vec::new();
    table.up(
        &[keys::EXPIRY],
        &keys::key(keys::EXPIRY, &[&now.plus(ONE_MS).as_ms().to_be_bytes()]),
        &mut |key, _| {
            if expired.len() >= limit {
                return ControlFlow::Break(());
            }
            expired.push(key.to_vec());
            ControlFlow::Continue(())
        },
    )?;
    for entry in &expired {
        if let Some((_, key)) = keys::split_time(entry) {
            drop_expired(table, key)?;
        }
        table.remove(entry)?;
    }
    Ok(expired.len())
}

fn drop_expired(table: &mut dyn Write, key: &[u8]) -> Result<(), StoreError> {
    let Some((kind, rest)) = key.split_first() else { return Ok(()) };
    match *kind {
        keys::VERIFICATION => {
            let id = <[u8; crate::id::ID_BYTES]>::try_from(rest).map(VerificationId::from_bytes);
            if let (Ok(id), Some(stored)) = (id, read(table, key, |_: &Stored| true)?) {
                if let Some(deadline) = stored.deadline {
                    table.remove(&keys::deadline(deadline, id))?;
                }
                table.remove(&index_entry(keys::client(&stored.client), id))?;
                if let Some(reference) = &stored.reference {
                    table.remove(&index_entry(keys::reference(&stored.client, reference), id))?;
                }
            }
        }
        keys::EFFECT => {
            if let Some(id) = keys::effect_of(rest) {
                drop_effect(table, id)?;
            }
        }
        keys::DEAD => {
            if let (Some(id), Some(buried)) = (keys::effect_of(rest), read(table, key, |_: &Buried| true)?) {
                drop_dead(table, id, &buried)?;
            }
        }
        keys::LOG => {
            if let Some(place) = listing::CallPlace::from_bytes(rest) {
                drop_record(table, place)?;
            }
        }
        _ => {}
    }
    table.remove(key)
}

fn index_entry(mut prefix: Vec<u8>, id: VerificationId) -> Vec<u8> {
    prefix.extend_from_slice(id.as_bytes());
    prefix
}

const ONE_MS: Duration = Duration::from_millis(1);

/// Whether no effect is due.
pub(super) fn nothing_to_take(table: &dyn Read, now: Timestamp) -> Result<bool, StoreError> {
    let mut nothing = true;
    table.up(
        &[keys::EFFECT_DUE],
        &keys::key(keys::EFFECT_DUE, &[&now.plus(ONE_MS).as_ms().to_be_bytes()]),
        &mut |_, _| {
            nothing = false;
            ControlFlow::Break(())
        },
    )?;
    Ok(nothing)
}

/// Writes something without meaning, to see that writing works; says the time.
pub(super) fn probe(table: &mut dyn Write, now: Timestamp) -> Result<Timestamp, StoreError> {
    table.put(&keys::key(keys::META, &[b"probe"]), &now.as_ms().to_be_bytes()).map(|()| now)
}
