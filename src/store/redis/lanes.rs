//! Owns how the partitions' listings become one, newest first: each partition is read piece by piece, and an item is
//! handed out once nothing newer can come from any other. It knows neither what is listed nor how it is read.

use std::collections::VecDeque;

use futures_util::future::try_join_all;

use super::super::{Page, StoreError};
use crate::id::Partition;

/// A piece of one partition's listing.
pub(super) struct Piece<P, T> {
    /// Items, newest first.
    pub(super) items: Vec<(P, T)>,
    /// How far it was looked; `None` when nothing is left.
    pub(super) reached: Option<P>,
}

struct Lane<P, T> {
    partition: Partition,
    items: VecDeque<(P, T)>,
    /// Everything from here on upwards was looked at; `None` before the first look.
    reached: Option<P>,
    more: bool,
}

/// One page of what `read` finds in all partitions before a place, told how often it was read for this page. With the
/// place after which the next page begins.
pub(super) async fn page<P, T, F>(
    before: Option<P>,
    limit: usize,
    read: impl Fn(Partition, Option<P>, usize) -> F,
    text: impl Fn(P) -> String,
) -> Result<Page<T>, StoreError>
where
    P: Copy + Ord,
    F: Future<Output = Result<Piece<P, T>, StoreError>>,
{
    let mut lanes: Vec<Lane<P, T>> = Partition::all()
        .map(|partition| Lane { partition, items: VecDeque::new(), reached: before, more: limit > 0 })
        .collect();
    let mut page = Page { items: Vec::new(), next: None };
    for round in 0..ROUNDS {
        let empty = lanes.iter().filter(|lane| lane.more && lane.items.is_empty());
        let pieces = try_join_all(empty.map(|lane| read(lane.partition, lane.reached, round))).await?;
        let empty = lanes.iter_mut().filter(|lane| lane.more && lane.items.is_empty());
        for (lane, piece) in empty.zip(pieces) {
            lane.items = piece.items.into();
            lane.more = piece.reached.is_some();
            lane.reached = piece.reached.or(lane.reached);
        }
        while let Some(at) = newest(&lanes) {
            let Some((place, item)) = lanes.get_mut(at).and_then(|lane| lane.items.pop_front()) else { break };
            page.items.push(item);
            if page.items.len() >= limit {
                let more = lanes.iter().any(|lane| lane.more || !lane.items.is_empty());
                page.next = more.then(|| text(place));
                return Ok(page);
            }
        }
        if lanes.iter().all(|lane| !lane.more) {
            return Ok(page);
        }
    }
    page.next = blocked_at(&lanes).map(text);
    Ok(page)
}

/// Which lane has the newest item of all, if no lane that must be read further can have a newer one.
fn newest<P: Copy + Ord, T>(lanes: &[Lane<P, T>]) -> Option<usize> {
    let heads = lanes.iter().enumerate().filter_map(|(at, lane)| Some((lane.items.front()?.0, at)));
    let (place, at) = heads.max()?;
    blocked_at(lanes).is_none_or(|blocked| place >= blocked).then_some(at)
}

/// The newest place below which some lane that holds no item was not read.
fn blocked_at<P: Copy + Ord, T>(lanes: &[Lane<P, T>]) -> Option<P> {
    lanes.iter().filter(|lane| lane.more && lane.items.is_empty()).filter_map(|lane| lane.reached).max()
}

/// How often partitions are read for one page, before it is handed out shorter.
const ROUNDS: usize = 8;

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use proptest::prelude::*;

    use super::*;

    /// Reads three places at a time from the part of `all` that belongs to a partition; odd ones are not wanted.
    fn read(all: &[u32], partition: Partition, before: Option<u32>) -> Ready<Result<Piece<u32, u32>, StoreError>> {
        let mine = all.iter().rev().copied().filter(|place| place % 16 == u32::from(partition.index()));
        let mine: Vec<u32> = mine.filter(|place| before.is_none_or(|before| *place < before)).collect();
        let looked: Vec<u32> = mine.iter().copied().take(3).collect();
        let reached = looked.last().copied().filter(|_| mine.len() > 3);
        ready(Ok(Piece {
            items: looked.into_iter().filter(|place| place / 16 % 2 == 0).map(|place| (place, place)).collect(),
            reached,
        }))
    }

    proptest! {
        #[test]
        fn pages_hold_everything_in_order(all in prop::collection::btree_set(0_u32..4_000, 0..400), limit in 1_usize..40) {
            let all: Vec<u32> = all.into_iter().collect();
            let wanted: Vec<u32> = all.iter().rev().copied().filter(|place| place / 16 % 2 == 0).collect();
            let (mut found, mut before) = (Vec::new(), None);
            for _ in 0..1_000 {
                let page = futures_util::FutureExt::now_or_never(page(
                    before, limit, |partition, before, _| read(&all, partition, before), |place| place.to_string(),
                )).unwrap().unwrap();
                prop_assert!(page.items.len() <= limit);
                found.extend(page.items);
                match page.next {
                    Some(next) => before = Some(next.parse().unwrap()),
                    None => break,
                }
            }
            prop_assert_eq!(found, wanted);
        }
    }
}
