//! Owns what is read from indexes in Redis: listings of verifications, call records and dead letters. It changes nothing.

use futures_util::future::try_join_all;
use redis::Value;

use super::{
    super::{
        CallQuery, DeadLetter, ListQuery, Page, StoreError,
        listing::{CallPlace, ITEMS_PER_PAGE, short_time},
    },
    keys,
    lanes::{self, Piece},
    link::Link,
    scripts, unreadable, wire,
};
use crate::{
    id::{CallId, ID_BYTES, Partition, VerificationId},
    time::Timestamp,
    verification::{CallRecord, Verification},
};

/// A client's verifications, newest first.
pub(super) async fn list(link: &Link, query: &ListQuery) -> Result<Page<Verification>, StoreError> {
    let limit = query.limit.min(ITEMS_PER_PAGE);
    let ids = if query.status.is_some() { IDS_PER_PIECE } else { per_lane(limit) };
    let read = |partition, before: Option<VerificationId>| async move {
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

/// Call records, newest first.
pub(super) async fn calls(link: &Link, query: &CallQuery) -> Result<Page<CallRecord>, StoreError> {
    let limit = query.limit.min(ITEMS_PER_PAGE);
    let begin = match (query.before, query.until.map(CallPlace::first_at)) {
        (Some(place), Some(until)) => Some(place.min(until)),
        (place, until) => place.or(until),
    };
    let filters = wire::filters(query);
    let read = |partition, before: Option<CallPlace>| {
        let since = query.since.unwrap_or_default();
        let mut arguments = look(before, Some(since).filter(|since| since.as_ms() > 0), per_lane(limit));
        for (first, last, bytes) in &filters {
            arguments.extend([super::number(*first as u64), super::number(*last as u64), bytes.clone()]);
        }
        async move {
            let (entries, reached) = look_through(link, partition, &arguments).await?;
            let mut items = Vec::with_capacity(entries.len());
            for entry in entries {
                let record = wire::record(&entry)?;
                if query.admits(&record) {
                    items.push((CallPlace::of(record.ended_at, record.id), record));
                }
            }
            Ok(Piece { items, reached })
        }
    };
    lanes::page(begin, limit, read, CallPlace::to_text).await
}

/// One call record. Records are kept by the end of the call: the verification tells it, while it is there; afterwards it
/// is looked for in the time in which the call can have ended.
pub(super) async fn call(
    link: &Link,
    id: CallId,
    value: Option<&Verification>,
) -> Result<Option<CallRecord>, StoreError> {
    let partition = id.verification.partition();
    let ended = value.and_then(|value| value.record_of(id.index)).map(|record| record.ended_at);
    if let Some(ended) = ended {
        let place = CallPlace::of(ended, id);
        let mut command = redis::cmd("ZRANGE");
        command.arg(keys::log(partition)).arg([b"[".as_slice(), place.as_bytes()].concat());
        command.arg([b"[".as_slice(), place.as_bytes(), &[u8::MAX]].concat()).arg("BYLEX").arg("LIMIT").arg(0).arg(1);
        let found: Vec<Vec<u8>> = link.read(&command).await?;
        if let Some(entry) = found.first() {
            return wire::record(entry).map(Some);
        }
    }
    let made = id.verification.made_at();
    let mut since = made.minus(CLOCKS_APART);
    let mut looks = LOOKS_FOR_ONE;
    for within in CALLS_WITHIN {
        let until = made.plus(within);
        let mut before = Some(CallPlace::first_at(until));
        while before.is_some() {
            looks = looks.checked_sub(1).ok_or(StoreError::Timeout)?;
            let mut arguments = look(before, Some(since), 1);
            arguments.extend([super::number(NAME_FROM), super::number(NAME_TO), CallPlace::name_of(id)]);
            let (entries, reached) = look_through(link, partition, &arguments).await?;
            if let Some(entry) = entries.first() {
                return wire::record(entry).map(Some);
            }
            before = reached;
        }
        since = until;
    }
    Ok(None)
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

/// The first arguments of `calls.lua`.
fn look(before: Option<CallPlace>, since: Option<Timestamp>, wanted: usize) -> Vec<Vec<u8>> {
    vec![
        before.map(|place| place.as_bytes().to_vec()).unwrap_or_default(),
        since.map(|since| short_time(since).to_vec()).unwrap_or_default(),
        super::number(ENTRIES_PER_PIECE),
        super::number(wanted as u64),
    ]
}

async fn look_through(
    link: &Link,
    partition: Partition,
    arguments: &[Vec<u8>],
) -> Result<(Vec<Vec<u8>>, Option<CallPlace>), StoreError> {
    let mut answer = link.run::<Vec<Value>>(&scripts::CALLS, &[keys::log(partition)], arguments).await?.into_iter();
    let bytes = |value| redis::from_redis_value(value).map_err(|_| unreadable("the call log"));
    let reached: Option<Vec<u8>> = bytes(answer.next().unwrap_or(Value::Nil))?;
    let entries = answer.map(|entry| redis::from_redis_value(entry).map_err(|_| unreadable("the call log")));
    Ok((entries.collect::<Result<_, _>>()?, reached.and_then(|reached| CallPlace::from_bytes(&reached))))
}

/// How many items one partition is asked for: a little more than its share.
const fn per_lane(limit: usize) -> usize {
    limit / 8 + 2
}

/// Entries of the call log that one script looks at: about half a millisecond of Redis.
const ENTRIES_PER_PIECE: u64 = 500;
/// Ids that are read at once where their status decides.
const IDS_PER_PIECE: usize = 100;
/// How long after a verification was made a call of it ended, most likely first: nearly all; all that go as they should
/// (600 s of life, and the longest call begun at its end); those whose end was written late because nobody was there.
const CALLS_WITHIN: [std::time::Duration; 3] =
    [std::time::Duration::from_mins(3), std::time::Duration::from_mins(20), std::time::Duration::from_hours(1)];
/// How far the clocks that made ids and ends may be apart.
const CLOCKS_APART: std::time::Duration = std::time::Duration::from_mins(1);
/// How many pieces are looked through for one record: 50,000 entries, about 50 ms of Redis.
const LOOKS_FOR_ONE: usize = 100;
/// Where the name of the call stands in an entry, for `calls.lua`, which counts from 1.
const NAME_FROM: u64 = 7;
const NAME_TO: u64 = NAME_FROM + ID_BYTES as u64;
