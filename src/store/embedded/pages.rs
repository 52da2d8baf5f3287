//! Owns the listings of the embedded store: bounded scans of its indexes, newest first. It changes nothing.

use std::ops::ControlFlow;

use super::{
    super::{
        CallQuery, DeadLetter, ListQuery, Page, StoreError, Waiting, codec,
        listing::{CallPlace, ITEMS_PER_PAGE, SCAN_PER_PAGE, short_time},
        rows::Sieve,
    },
    index, keys, ops,
    table::Read,
    values::{Buried, Kept, Log, Noted},
};
use crate::{
    id::{CallId, ID_BYTES, VerificationId},
    time::Timestamp,
    verification::{CallRecord, Delivery, Verification},
};

pub(super) fn list(table: &dyn Read, now: Timestamp, query: &ListQuery) -> Result<Page<Verification>, StoreError> {
    let from = match &query.reference {
        Some(reference) => keys::reference(&query.client, reference),
        None => keys::client(&query.client),
    };
    let to = match query.before {
        Some(before) => [from.as_slice(), before.as_bytes()].concat(),
        None => keys::end_of(from.clone()),
    };
    let mut scan = Scan::new(query.limit, SCAN_PER_PAGE);
    scan.down(table, &from, &to, |key| {
        let id = key.get(from.len()..).and_then(|id| <[u8; ID_BYTES]>::try_from(id).ok());
        let Some(id) = id.map(VerificationId::from_bytes) else { return Ok(None) };
        let Some(stored) = ops::stored(table, id, now)? else { return Ok(None) };
        codec::decode::<Verification>(&stored.value)
            .map(|value| Some(value).filter(|value| query.status.is_none_or(|status| status == value.status)))
    })?;
    let next = scan.last_key().and_then(|key| key.get(from.len()..)?.try_into().ok());
    Ok(Page { items: scan.items, next: next.map(|id| VerificationId::from_bytes(id).to_string()) })
}

pub(super) fn calls(table: &dyn Read, now: Timestamp, query: &CallQuery) -> Result<Page<CallRecord>, StoreError> {
    let limit = query.limit.min(ITEMS_PER_PAGE);
    let before = match (query.before, query.until.map(CallPlace::first_at)) {
        (Some(place), Some(until)) => Some(place.min(until)),
        (place, until) => place.or(until),
    };
    let sieve = Sieve::of(query);
    let prefix = match query.number {
        Some(number) if sieve.is_only_a_number() => keys::key(keys::NUMBER, &[number.as_bytes()]),
        Some(_) | None => vec![keys::LOG],
    };
    let plain = sieve.is_open() || sieve.is_only_a_number();
    let most = if plain { SCAN_PER_PAGE } else { ENTRIES_AT_FIRST };
    let (mut items, mut reached) = scan(table, now, query, &prefix, before, (limit, most))?;
    // What is common stands among the newest records; the rest is found through the index.
    if !plain && items.len() < limit && reached.is_some() {
        let wanted = limit - items.len();
        let found = index::look(table, query, sieve, reached, wanted, &mut |place| record(table, now, place))?;
        items.extend(found.items);
        reached = found.reached;
        if let (Some(_), true) = (reached, found.ended && items.len() < limit) {
            let older = scan(table, now, query, &prefix, reached, (limit - items.len(), SCAN_PER_PAGE))?;
            items.extend(older.0);
            reached = older.1;
        }
    }
    Ok(Page { items, next: reached.map(CallPlace::to_text) })
}

/// Looks through the log, or an index of it by place: what is wanted, and the place from which to go on.
fn scan(
    table: &dyn Read,
    now: Timestamp,
    query: &CallQuery,
    prefix: &[u8],
    before: Option<CallPlace>,
    (limit, most): (usize, usize),
) -> Result<(Vec<CallRecord>, Option<CallPlace>), StoreError> {
    let from = query.since.map_or_else(|| prefix.to_vec(), |since| [prefix, &short_time(since)].concat());
    let to = before.map_or_else(|| keys::end_of(prefix.to_vec()), |place| [prefix, place.as_bytes()].concat());
    let mut scan = Scan::new(limit, most);
    scan.down(table, &from, &to, |key| {
        let place = key.get(prefix.len()..).and_then(CallPlace::from_bytes);
        let Some(place) = place else { return Ok(None) };
        record(table, now, place).map(|record| record.filter(|record| query.admits(record)))
    })?;
    let reached = scan.last_key().and_then(|key| CallPlace::from_bytes(key.get(prefix.len()..)?));
    Ok((scan.items, reached))
}

pub(super) fn call(table: &dyn Read, now: Timestamp, id: CallId) -> Result<Option<CallRecord>, StoreError> {
    match table.get(&keys::call(id))?.and_then(|bytes| CallPlace::from_bytes(&bytes)) {
        Some(place) => record(table, now, place),
        None => Ok(None),
    }
}

pub(super) fn deliveries(
    table: &dyn Read,
    now: Timestamp,
    ids: &[VerificationId],
) -> Result<Vec<Option<Delivery>>, StoreError> {
    let noted = |id: &VerificationId| {
        let found = ops::read(table, &keys::noted(*id), |noted: &Noted| noted.expires_at > now)?;
        Ok(found.map(|noted| noted.delivery))
    };
    ids.iter().map(noted).collect()
}

pub(super) fn outbox(table: &dyn Read, now: Timestamp, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    let limit = limit.min(ITEMS_PER_PAGE);
    let mut ids = Vec::new();
    table.up(&[keys::EFFECT_DUE], &[keys::EFFECT_DUE + 1], &mut |key, _| {
        if ids.len() >= limit {
            return ControlFlow::Break(());
        }
        ids.extend(keys::split_time(key).and_then(|(_, id)| keys::effect_of(id)));
        ControlFlow::Continue(())
    })?;
    let mut waiting = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(kept) = ops::read(table, &keys::effect(id), |kept: &Kept| kept.expires_at > now)? {
            waiting.push(Waiting { due: kept.due_at, effect: kept.outgoing(id) });
        }
    }
    Ok(waiting)
}

pub(super) fn dead_letters(table: &dyn Read, now: Timestamp, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
    let mut scan = Scan::new(limit, SCAN_PER_PAGE);
    scan.down(table, &[keys::DEAD_AT], &[keys::DEAD_AT + 1], |key| {
        let Some(id) = keys::split_time(key).and_then(|(_, id)| keys::effect_of(id)) else { return Ok(None) };
        let buried = ops::read(table, &keys::dead(id), |buried: &Buried| buried.expires_at > now)?;
        Ok(buried.map(|buried| buried.letter(id)))
    })?;
    Ok(scan.items)
}

fn record(table: &dyn Read, now: Timestamp, place: CallPlace) -> Result<Option<CallRecord>, StoreError> {
    match ops::read(table, &keys::log(place), |log: &Log| log.expires_at > now)? {
        Some(log) => codec::decode(&log.value).map(Some),
        None => Ok(None),
    }
}

/// A scan from newest to oldest that stops at the limit of items or of entries looked at.
struct Scan<T> {
    items: Vec<T>,
    limit: usize,
    most: usize,
    last: Vec<u8>,
    more: bool,
}

impl<T> Scan<T> {
    fn new(limit: usize, most: usize) -> Self {
        Self { items: Vec::new(), limit: limit.min(ITEMS_PER_PAGE), most, last: Vec::new(), more: false }
    }

    fn down(
        &mut self,
        table: &dyn Read,
        from: &[u8],
        to: &[u8],
        mut item: impl FnMut(&[u8]) -> Result<Option<T>, StoreError>,
    ) -> Result<(), StoreError> {
        let (mut seen, mut fault) = (0_usize, None);
        table.down(from, to, &mut |key, _| {
            if self.items.len() >= self.limit || seen >= self.most {
                self.more = true;
                return ControlFlow::Break(());
            }
            seen += 1;
            self.last.clear();
            self.last.extend_from_slice(key);
            match item(key) {
                Ok(found) => self.items.extend(found),
                Err(error) => {
                    fault = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        fault.map_or(Ok(()), Err)
    }

    /// The last key looked at, if there are more behind it.
    fn last_key(&self) -> Option<&[u8]> {
        Some(self.last.as_slice()).filter(|key| self.more && !key.is_empty())
    }
}

/// Entries of the call log that are looked at before the index is asked.
const ENTRIES_AT_FIRST: usize = 500;
