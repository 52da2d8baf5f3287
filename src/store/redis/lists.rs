//! Owns the listings of verifications and dead letters in Redis. It changes nothing.

use futures_util::future::try_join_all;

use super::{
    super::{DeadLetter, ListQuery, Page, StoreError, Waiting, listing::ITEMS_PER_PAGE},
    keys,
    lanes::{self, Piece},
    link::Link,
    unreadable, wire,
};
use crate::{
    id::{ID_BYTES, Partition, VerificationId},
    time::Timestamp,
    verification::Verification,
};

/// A client's verifications, newest first.
pub(super) async fn list(link: &Link, query: &ListQuery) -> Result<Page<Verification>, StoreError> {
    let limit = query.limit.min(ITEMS_PER_PAGE);
    let ids = if query.status.is_some() { IDS_PER_PIECE } else { per_lane(limit) };
    let read = |partition, before: Option<VerificationId>, _| async move {
        let index = match &query.reference {
            Some(reference) => keys::reference(partition, &query.client, reference),
            None => keys::client(partition, &query.client),
        };
        let from = before.map_or_else(|| b"+".to_vec(), |before| [b"(".as_slice(), before.as_bytes()].concat());
        let mut command = redis::cmd("ZRANGE");
        command.arg(index).arg(from).arg("-").arg("BYLEX").arg("REV").arg("LIMIT").arg(0).arg(ids);
        let found: Vec<Vec<u8>> = link.read(&command).await?;
        let found: Vec<VerificationId> = found
            .into_iter()
            .map(|id| <[u8; ID_BYTES]>::try_from(id).map(VerificationId::from_bytes))
            .collect::<Result<_, _>>()
            .map_err(|_| unreadable("an index of verifications"))?;
        let reached = found.last().copied().filter(|_| found.len() >= ids);
        let mut items = Vec::with_capacity(found.len());
        if !found.is_empty() {
            let mut command = redis::cmd("MGET");
            found.iter().for_each(|id| {
                command.arg(keys::value(*id));
            });
            let values: Vec<Option<Vec<u8>>> = link.read(&command).await?;
            for (id, bytes) in found.into_iter().zip(values) {
                let Some(bytes) = bytes else { continue };
                let value = wire::verification(&bytes, id)?;
                if query.status.is_none_or(|status| status == value.status) {
                    items.push((id, value));
                }
            }
        }
        Ok(Piece { items, reached })
    };
    lanes::page(query.before, limit, read, |id| id.to_string()).await
}

/// Dead letters, newest first.
pub(super) async fn dead_letters(link: &Link, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
    let limit = limit.min(ITEMS_PER_PAGE);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let found = try_join_all(Partition::all().map(move |partition| async move {
        let mut command = redis::cmd("ZRANGE");
        command.arg(keys::dead_letters(partition)).arg(0).arg(limit - 1).arg("REV");
        let names: Vec<String> = link.read(&command).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("MGET");
        for name in &names {
            command.arg(keys::dead_letter(name.parse().map_err(|_| unreadable("a dead letter"))?));
        }
        let letters: Vec<Option<Vec<u8>>> = link.read(&command).await?;
        let letters = names.iter().zip(letters).filter_map(|(name, bytes)| wire::dead_letter(name.as_bytes(), &bytes?));
        Ok::<_, StoreError>(letters.collect::<Vec<_>>())
    }))
    .await?;
    let mut letters: Vec<DeadLetter> = found.into_iter().flatten().collect();
    letters.sort_by_key(|letter| std::cmp::Reverse((letter.at, letter.effect.id)));
    letters.truncate(limit);
    Ok(letters)
}

/// Effects of the outbox, the next due first.
pub(super) async fn outbox(link: &Link, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    let limit = limit.min(ITEMS_PER_PAGE);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let found = try_join_all(Partition::all().map(move |partition| async move {
        let mut command = redis::cmd("ZRANGE");
        command.arg(keys::outbox(partition)).arg(0).arg(limit - 1).arg("WITHSCORES");
        let names: Vec<(String, f64)> = link.read(&command).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("MGET");
        for (name, _) in &names {
            command.arg(keys::effect(name.parse().map_err(|_| unreadable("an effect"))?));
        }
        let effects: Vec<Option<Vec<u8>>> = link.read(&command).await?;
        let waiting = names.iter().zip(effects).filter_map(|((name, due), bytes)| {
            Some(Waiting { effect: wire::outgoing(name.as_bytes(), &bytes?)?, due: Timestamp::from_ms(*due as u64) })
        });
        Ok::<_, StoreError>(waiting.collect::<Vec<_>>())
    }))
    .await?;
    let mut waiting: Vec<Waiting> = found.into_iter().flatten().collect();
    waiting.sort_by_key(|waiting| (waiting.due, waiting.effect.id));
    waiting.truncate(limit);
    Ok(waiting)
}

/// How many items one partition is asked for: a little more than its share.
pub(super) const fn per_lane(limit: usize) -> usize {
    limit / 8 + 2
}

/// Ids that are read at once where their status decides.
const IDS_PER_PIECE: usize = 100;
