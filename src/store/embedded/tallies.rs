//! Owns the tallies of the embedded store: a number by span and kind. What is counted is decided by [`super::super::tally`].

use std::{ops::ControlFlow, time::Duration};

use super::{
    super::{
        Counts, MOST_SPANS, Span, StoreError, Tally, TallyQuery,
        tally::{KEEP_MINUTES, MOST_KINDS, MOST_WITH_PREFIXES},
    },
    keys,
    table::{Read, Write},
};
use crate::time::Timestamp;

/// Counts a settled verification. Hours are kept for `keep_hours`.
pub(super) fn count(table: &mut dyn Write, tally: &Tally, keep_hours: Duration) -> Result<(), StoreError> {
    let outcome = [tally.outcome.written(), tally.outcome.rest().written()];
    let prefix = [tally.prefix.written(), tally.prefix.rest().written()];
    for (span, keep_for) in [(Span::Minute, KEEP_MINUTES), (Span::Hour, keep_hours)] {
        let index = span.index(tally.at);
        let place = Place { key: keys::tallies(span, index), expires_at: end(span, index).plus(keep_for) };
        place.add(table, &outcome, MOST_KINDS)?;
        if span == Span::Hour {
            place.add(table, &prefix, MOST_WITH_PREFIXES)?;
        }
    }
    Ok(())
}

/// Where the tallies of a span are.
struct Place {
    /// What their keys begin with.
    key: Vec<u8>,
    expires_at: Timestamp,
}

impl Place {
    /// Counts one more of a kind, or of the rest where there are `most` kinds already.
    fn add(&self, table: &mut dyn Write, [kind, rest]: &[Vec<u8>; 2], most: usize) -> Result<(), StoreError> {
        let mut key = [self.key.as_slice(), kind].concat();
        let mut before = counted(table, &key)?;
        if before.is_none() && self.has(table, most)? {
            key = [self.key.as_slice(), rest].concat();
            before = counted(table, &key)?;
        }
        if before.is_none() {
            table.put(&keys::expiry(self.expires_at, &key), &[])?;
        }
        table.put(&key, &before.unwrap_or_default().saturating_add(1).to_be_bytes())
    }

    /// Whether there are so many kinds.
    fn has(&self, table: &(impl Read + ?Sized), many: usize) -> Result<bool, StoreError> {
        let mut found = 0;
        table.up(&self.key, &keys::end_of(self.key.clone()), &mut |_, _| {
            found += 1;
            if found < many { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found >= many)
    }
}

fn counted(table: &(impl Read + ?Sized), key: &[u8]) -> Result<Option<u64>, StoreError> {
    Ok(table.get(key)?.and_then(|bytes| number(&bytes)))
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn end(span: Span, index: u64) -> Timestamp {
    span.begin(index).plus(span.length())
}

/// What was counted in some spans.
pub(super) fn read(table: &dyn Read, now: Timestamp, query: TallyQuery) -> Result<Vec<Counts>, StoreError> {
    let spans = (query.first..).take(query.count.min(MOST_SPANS));
    spans
        .map(|index| {
            let mut counts = Counts::default();
            let forgotten = query.span == Span::Minute && end(query.span, index).plus(KEEP_MINUTES) <= now;
            if !forgotten {
                let from = keys::tallies(query.span, index);
                table.up(&from, &keys::end_of(from.clone()), &mut |key, value| {
                    if let (Some(kind), Some(count)) = (key.get(from.len()..), number(value)) {
                        counts.add(kind, count);
                    }
                    ControlFlow::Continue(())
                })?;
            }
            Ok(counts)
        })
        .collect()
}
