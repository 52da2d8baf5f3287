//! Owns the table of the guard in the embedded store: the bytes that its step keeps, each with its end. What they mean is
//! decided in [`crate::guard::step`].

use std::ops::ControlFlow;

use super::{
    super::StoreError,
    keys,
    table::{Read, Write},
};
use crate::{
    guard::{
        meter::Key,
        step::{self, Answer, Kept, Settle, StoredBar, Take},
    },
    time::Timestamp,
};

/// Bytes of an end.
const END_BYTES: usize = 8;

/// The table as the guard sees it.
struct Guarded<'a>(&'a mut dyn Write);

impl Kept for Guarded<'_> {
    type Fault = StoreError;

    fn value(&self, key: &Key, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.0.get(&keys::guarded(key.as_str()))?;
        Ok(found.and_then(|bytes| split(&bytes).filter(|(ends, _)| *ends > now).map(|(_, value)| value.to_vec())))
    }

    fn put(&mut self, key: &Key, value: Vec<u8>, ends: Timestamp) -> Result<(), StoreError> {
        let key = keys::guarded(key.as_str());
        let before = end_of(&*self.0, &key)?;
        if before != Some(ends) {
            if let Some(before) = before {
                self.0.remove(&keys::expiry(before, &key))?;
            }
            self.0.put(&keys::expiry(ends, &key), &[])?;
        }
        self.0.put(&key, &[ends.as_ms().to_be_bytes().as_slice(), &value].concat())
    }

    fn remove(&mut self, key: &Key) -> Result<(), StoreError> {
        let key = keys::guarded(key.as_str());
        if let Some(ends) = end_of(&*self.0, &key)? {
            self.0.remove(&keys::expiry(ends, &key))?;
        }
        self.0.remove(&key)
    }
}

fn split(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (ends, value) = bytes.split_first_chunk::<END_BYTES>()?;
    Some((Timestamp::from_ms(u64::from_be_bytes(*ends)), value))
}

fn end_of(table: &(impl Read + ?Sized), key: &[u8]) -> Result<Option<Timestamp>, StoreError> {
    Ok(table.get(key)?.and_then(|bytes| split(&bytes).map(|(ends, _)| ends)))
}

/// Takes everything or nothing.
pub(super) fn take(table: &mut dyn Write, now: Timestamp, asked: &Take) -> Result<Answer, StoreError> {
    step::take(&mut Guarded(table), now, asked)
}

/// Sets right what was counted.
pub(super) fn settle(table: &mut dyn Write, now: Timestamp, asked: &Settle) -> Result<(), StoreError> {
    step::settle(&mut Guarded(table), now, asked)
}

/// Bars that stand, those that end first before the others.
pub(super) fn bars(table: &dyn Read, now: Timestamp, limit: usize) -> Result<Vec<(Key, StoredBar)>, StoreError> {
    let from = keys::guarded(StoredBar::SCOPE);
    let mut bars = Vec::new();
    table.up(&from, &keys::end_of(from.clone()), &mut |key, bytes| {
        let name = key
            .get(from.len()..)
            .and_then(|name| std::str::from_utf8(name).ok())
            .map(|name| name.trim_start_matches(':'));
        let bar = split(bytes).filter(|(ends, _)| *ends > now).and_then(|(_, value)| StoredBar::read(value));
        bars.extend(name.zip(bar).map(|(name, bar)| (Key::new(StoredBar::SCOPE, name), bar)));
        ControlFlow::Continue(())
    })?;
    bars.sort_by(|(one, first), (other, second)| (first.ends, one).cmp(&(second.ends, other)));
    bars.truncate(limit);
    Ok(bars)
}
