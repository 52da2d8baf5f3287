//! Owns the index of the call log of the embedded store: rows by the end of the call, some at a time in one block, so
//! that a filter reads a hundredth of what the records themselves are. A block goes as a whole, after its last record.

use std::ops::ControlFlow;

use super::{
    super::{
        CallQuery, StoreError,
        listing::{CallPlace, short_time},
        rows::{CLASS_BYTES, MARK_BYTES, Row, Sieve},
    },
    keys,
    table::{Read, Write},
};
use crate::{time::Timestamp, verification::CallRecord};

/// Rows of one block, where they come in their order.
const ROWS_PER_BLOCK: usize = 128;
/// Most blocks that one page looks at: two million rows.
const BLOCKS_PER_PAGE: usize = 16_384;
/// Bytes of a time.
const TIME_BYTES: usize = 6;
/// Bytes of a row.
const ROW_BYTES: usize = TIME_BYTES + CLASS_BYTES + MARK_BYTES;
/// Bytes in front of the rows: when the block goes, in ms.
const HEAD_BYTES: usize = 8;
/// A block lives until a multiple of this, so that its life is not written anew with each of many rows: about a second.
const LIFE_STEP_MS: u64 = 1 << 10;

/// A block: its key, and its rows one after another.
type Block = (Vec<u8>, Vec<u8>);

/// Adds the row of a record that is about to be written.
pub(super) fn add(table: &mut dyn Write, place: CallPlace, row: Row, expires_at: Timestamp) -> Result<(), StoreError> {
    let Some(time) = place.as_bytes().first_chunk::<TIME_BYTES>().copied() else { return Ok(()) };
    let row = [time.as_slice(), &row.class, &row.marks].concat();
    let Some((key, mut block)) = block_of(table, time)? else { return Ok(()) };
    let at = block.chunks(ROW_BYTES).rposition(|other| other.get(..TIME_BYTES) <= Some(time.as_slice()));
    let rows = block.len() / ROW_BYTES;
    let at = at.map_or(0, |at| at + 1);
    if at >= ROWS_PER_BLOCK && at == rows && key != keys::block(time) {
        return put(table, &keys::block(time), &row, expires_at);
    }
    block.splice(at * ROW_BYTES..at * ROW_BYTES, row);
    put(table, &key, &block, expires_at)
}

/// Takes what stands for a number, a reference and last digits out of the row of a record.
pub(super) fn blank(table: &mut dyn Write, place: CallPlace, row: Row) -> Result<(), StoreError> {
    let Some(time) = place.as_bytes().first_chunk::<TIME_BYTES>().copied() else { return Ok(()) };
    let Some((key, mut block)) = block_of(table, time)? else { return Ok(()) };
    let wanted = [time.as_slice(), &row.class, &row.marks].concat();
    let Some(found) = block.chunks_exact_mut(ROW_BYTES).find(|row| **row == *wanted) else { return Ok(()) };
    found.iter_mut().skip(TIME_BYTES + CLASS_BYTES).for_each(|byte| *byte = u8::MAX);
    put(table, &key, &block, Timestamp::default())
}

/// The block that a row of this time belongs to, with its rows. `None` for one that is older than all of the index: it is
/// looked for in the log itself.
fn block_of(table: &dyn Read, time: [u8; TIME_BYTES]) -> Result<Option<Block>, StoreError> {
    let mut found = None;
    table.down(&[keys::BLOCK], &after(time), &mut |key, value| {
        found = Some((key.to_vec(), value.get(HEAD_BYTES..).unwrap_or_default().to_vec()));
        ControlFlow::Break(())
    })?;
    if found.is_some() {
        return Ok(found);
    }
    let there = |kind: u8| {
        let mut there = false;
        table.up(&[kind], &[kind + 1], &mut |_, _| {
            there = true;
            ControlFlow::Break(())
        })?;
        Ok::<_, StoreError>(there)
    };
    if there(keys::BLOCK)? {
        return Ok(None);
    }
    // Records from before there was an index stand before its first block.
    let begin = if there(keys::LOG)? { time } else { [0; TIME_BYTES] };
    Ok(Some((keys::block(begin), Vec::new())))
}

fn put(table: &mut dyn Write, key: &[u8], rows: &[u8], expires_at: Timestamp) -> Result<(), StoreError> {
    let old = table.get(key)?.as_deref().map(life);
    let life = if old.is_some_and(|old| old >= expires_at) {
        old.unwrap_or_default()
    } else {
        if let Some(old) = old {
            table.remove(&keys::expiry(old, key))?;
        }
        let steps = expires_at.as_ms().div_ceil(LIFE_STEP_MS);
        let life = Timestamp::from_ms(steps.saturating_mul(LIFE_STEP_MS));
        table.put(&keys::expiry(life, key), &[])?;
        life
    };
    table.put(key, &[life.as_ms().to_be_bytes().as_slice(), rows].concat())
}

fn life(block: &[u8]) -> Timestamp {
    block.first_chunk().map_or_else(Timestamp::default, |life| Timestamp::from_ms(u64::from_be_bytes(*life)))
}

/// What a look through the index gave.
#[derive(Default)]
pub(super) struct Found {
    /// Records, newest first.
    pub(super) items: Vec<CallRecord>,
    /// Where to go on.
    pub(super) reached: Option<CallPlace>,
    /// The index holds nothing below that.
    pub(super) ended: bool,
}

/// The newest records before a place that a query admits, at most `limit`, read by `record`.
pub(super) fn look(
    table: &dyn Read,
    query: &CallQuery,
    sieve: Sieve,
    before: Option<CallPlace>,
    limit: usize,
    record: &mut dyn FnMut(CallPlace) -> Result<Option<CallRecord>, StoreError>,
) -> Result<Found, StoreError> {
    let newest = before.map_or([u8::MAX; TIME_BYTES], |place| short_time(place.newest_before()));
    let oldest = query.since.map_or([0; TIME_BYTES], short_time);
    let mut found = Found { reached: before, ended: true, ..Found::default() };
    let (mut blocks, mut fault, mut last) = (0_usize, None, None);
    table.down(&[keys::BLOCK], &after(newest), &mut |key, value| {
        if blocks >= BLOCKS_PER_PAGE {
            found.ended = false;
            return ControlFlow::Break(());
        }
        blocks += 1;
        for (time, row) in value.get(HEAD_BYTES..).unwrap_or_default().rchunks_exact(ROW_BYTES).filter_map(split) {
            if time > newest || time < oldest || last == Some(time) || !sieve.admits(row) {
                continue;
            }
            last = Some(time);
            match moment(table, query, time, before, limit, &mut found, record) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return ControlFlow::Break(()),
                Err(error) => {
                    fault = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        let begin: [u8; TIME_BYTES] = key.get(1..).and_then(|begin| begin.try_into().ok()).unwrap_or_default();
        found.reached = Some(CallPlace::first_at_raw(begin)).filter(|_| begin > oldest);
        if begin > oldest { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    fault.map_or(Ok(found), Err)
}

/// Reads what ended at one moment.
fn moment(
    table: &dyn Read,
    query: &CallQuery,
    time: [u8; TIME_BYTES],
    before: Option<CallPlace>,
    limit: usize,
    found: &mut Found,
    record: &mut dyn FnMut(CallPlace) -> Result<Option<CallRecord>, StoreError>,
) -> Result<ControlFlow<()>, StoreError> {
    let mut places = Vec::new();
    let from = keys::log(CallPlace::first_at_raw(time));
    let end = keys::end_of(keys::key(keys::LOG, &[&time]));
    let to = before.map_or_else(|| end.clone(), |before| end.clone().min(keys::log(before)));
    table.down(&from, &to, &mut |key, _| {
        places.extend(key.get(1..).and_then(CallPlace::from_bytes));
        ControlFlow::Continue(())
    })?;
    for place in places {
        if let Some(record) = record(place)?.filter(|record| query.admits(record)) {
            found.items.push(record);
            if found.items.len() >= limit {
                (found.reached, found.ended) = (Some(place), false);
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn split(row: &[u8]) -> Option<([u8; TIME_BYTES], Row)> {
    let (time, row) = row.split_first_chunk()?;
    let (class, row) = row.split_first_chunk()?;
    Some((*time, Row { class: *class, marks: *row.first_chunk()? }))
}

/// The first key behind the block that begins at a time.
fn after(time: [u8; TIME_BYTES]) -> Vec<u8> {
    [keys::block(time).as_slice(), &[0]].concat()
}
