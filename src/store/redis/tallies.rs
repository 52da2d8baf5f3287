//! Owns the tallies in Redis: a sorted set for each span and partition, of kinds by how many they were. What is counted is
//! decided by [`super::super::tally`].

use futures_util::future::try_join_all;

use super::{
    super::{
        Counts, MOST_SPANS, Span, StoreError, TallyQuery,
        change::Change,
        tally::{KEEP_MINUTES, MOST_KINDS, MOST_WITH_PREFIXES},
    },
    keys,
    link::Link,
    ms, number, scripts, unreadable,
};
use crate::id::Partition;

/// Spans that one script reads: about a millisecond of Redis where they are as full as they can be.
const SPANS_PER_SCRIPT: usize = 24;

/// What a change counts, as `write.lua` takes it: keys, and arguments.
pub(super) fn following(change: &Change, all_keys: &mut Vec<String>, arguments: &mut Vec<Vec<u8>>) {
    let Some(tally) = &change.tally else { return };
    let of = |span: Span| keys::tallies(change.id.partition(), span, span.index(tally.at));
    let (minute, hour) = (of(Span::Minute), of(Span::Hour));
    arguments.extend([
        b"t".to_vec(),
        minute.clone().into_bytes(),
        hour.clone().into_bytes(),
        ms(Span::Minute.length() + KEEP_MINUTES),
        ms(Span::Hour.length() + change.keep_records_for),
        number(MOST_KINDS as u64),
        tally.outcome.written(),
        tally.outcome.rest().written(),
        number(MOST_WITH_PREFIXES as u64),
        tally.prefix.written(),
        tally.prefix.rest().written(),
    ]);
    all_keys.extend([minute, hour]);
}

/// What was counted in some spans.
pub(super) async fn read(link: &Link, query: TallyQuery) -> Result<Vec<Counts>, StoreError> {
    let spans: Vec<u64> = (query.first..).take(query.count.min(MOST_SPANS)).collect();
    let pieces = Partition::all().flat_map(|partition| {
        let pieces: Vec<_> = spans.chunks(SPANS_PER_SCRIPT).enumerate().collect();
        pieces.into_iter().map(move |(at, spans)| (at * SPANS_PER_SCRIPT, partition, spans))
    });
    let read = pieces.map(|(from, partition, spans)| async move {
        let keys: Vec<String> = spans.iter().map(|index| keys::tallies(partition, query.span, *index)).collect();
        let answer: Vec<Vec<Vec<u8>>> = link.run(&scripts::TALLIES, &keys, &[]).await?;
        Ok::<_, StoreError>((from, answer))
    });
    let mut all = vec![Counts::default(); spans.len()];
    for (from, answer) in try_join_all(read).await? {
        for (counts, kinds) in all.iter_mut().skip(from).zip(answer) {
            let mut kinds = kinds.into_iter();
            while let (Some(kind), Some(count)) = (kinds.next(), kinds.next()) {
                counts.add(&kind, whole(&count)?);
            }
        }
    }
    Ok(all)
}

/// A score, which Redis writes as a floating-point number.
fn whole(score: &[u8]) -> Result<u64, StoreError> {
    let text = std::str::from_utf8(score).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| unreadable("a tally"))
}
