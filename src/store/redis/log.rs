//! Owns reading the call log in Redis: what is newest, by looking at it; what a filter wants further back, by the rows of
//! its index. It changes nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::try_join_all;
use redis::Value;

use super::{
    super::{
        CallQuery, Page, Pending, StoreError, codec,
        listing::{CallPlace, ITEMS_PER_PAGE, short_time},
        rows::{Row, Sieve},
    },
    keys,
    lanes::{self, Piece},
    link::Link,
    lists::per_lane,
    number, scripts, unreadable, wire,
};
use crate::{
    id::{CallId, ID_BYTES, Partition, VerificationId},
    time::Timestamp,
    verification::{CallRecord, Delivery, Verification},
};

/// Call records, newest first.
pub(super) async fn calls(link: &Link, query: &CallQuery) -> Result<Page<CallRecord>, StoreError> {
    let limit = query.limit.min(ITEMS_PER_PAGE);
    let begin = match (query.before, query.until.map(CallPlace::first_at)) {
        (Some(place), Some(until)) => Some(place.min(until)),
        (place, until) => place.or(until),
    };
    let asked = &Asked {
        link,
        query,
        sieve: Sieve::of(query),
        filters: wire::filters(query),
        since: query.since.filter(|since| since.as_ms() > 0),
        wanted: per_lane(limit),
        in_class: AtomicUsize::new(0),
    };
    let read = |partition, before, round| -> Pending<'_, Piece<CallPlace, CallRecord>> {
        Box::pin(asked.read(partition, before, round))
    };
    lanes::page(begin, limit, read, CallPlace::to_text).await
}

/// A query, in the forms in which it is handed to scripts.
struct Asked<'a> {
    link: &'a Link,
    query: &'a CallQuery,
    sieve: Sieve,
    filters: Vec<(usize, usize, Vec<u8>)>,
    since: Option<Timestamp>,
    /// Records wanted of each partition.
    wanted: usize,
    /// Most rows in one of the blocks that were read whose class is wanted.
    in_class: AtomicUsize,
}

impl Asked<'_> {
    /// The next piece of one partition: what is common stands among the newest records, and is found there; the rest is
    /// found through the index.
    async fn read(
        &self,
        partition: Partition,
        before: Option<CallPlace>,
        round: usize,
    ) -> Result<Piece<CallPlace, CallRecord>, StoreError> {
        if self.sieve.is_open() || round == 0 {
            let entries = if self.sieve.is_open() { ENTRIES_PER_PIECE } else { ENTRIES_AT_FIRST };
            return self.scan(partition, before, entries).await;
        }
        let (blocks, sieve) = match round {
            1 => (BLOCKS_AT_FIRST, self.sieve),
            _ if self.marks_are_not_worth_it() => (BLOCKS_PER_PIECE, self.sieve.without_marks()),
            _ => (BLOCKS_PER_PIECE, self.sieve),
        };
        match self.blocks(partition, before, blocks, sieve).await? {
            blocks if blocks.is_empty() => self.scan(partition, before, ENTRIES_PER_PIECE).await,
            blocks => self.fetch(partition, before, &blocks).await,
        }
    }

    /// Looks through the log itself.
    async fn scan(
        &self,
        partition: Partition,
        before: Option<CallPlace>,
        entries: u64,
    ) -> Result<Piece<CallPlace, CallRecord>, StoreError> {
        let mut arguments = look(before, self.since, entries, self.wanted);
        self.filters.iter().for_each(|filter| arguments.extend(filter_arguments(filter)));
        let (entries, reached) = look_through(self.link, partition, &arguments).await?;
        Ok(Piece { items: self.admitted(&entries)?, reached })
    }

    /// The newest blocks of the index, with the rows that the query wants.
    async fn blocks(
        &self,
        partition: Partition,
        before: Option<CallPlace>,
        most: usize,
        sieve: Sieve,
    ) -> Result<Vec<Block>, StoreError> {
        let needle = sieve.needle().unwrap_or_default();
        let arguments = [
            before.map(|place| short_time(place.newest_before()).to_vec()).unwrap_or_default(),
            self.since.map(|since| short_time(since).to_vec()).unwrap_or_default(),
            number(most as u64),
            keys::log_blocks(partition).into_bytes(),
            if sieve.reads_classes() { b"c".to_vec() } else { Vec::new() },
            if sieve.reads_marks() { b"m".to_vec() } else { Vec::new() },
            number(needle.0 as u64),
            needle.1,
        ];
        let answer: Vec<Value> = self.link.run(&scripts::BLOCKS, &[keys::log_index(partition)], &arguments).await?;
        let mut parts = answer.into_iter();
        let mut blocks = Vec::new();
        while let Some(name) = parts.next() {
            let name: String = part(Some(name))?;
            let (first, rows): (usize, usize) = (part(parts.next())?, part(parts.next())?);
            let (classes, marks): (Vec<u8>, Vec<u8>) = (part(parts.next())?, part(parts.next())?);
            let wanted = sieve.places(&classes, &marks, rows, self.rows_per_piece() + 1);
            if sieve.reads_classes() {
                let in_class = sieve.without_marks().places(&classes, &[], rows, FEW_IN_CLASS + 1).len();
                self.in_class.fetch_max(in_class, Ordering::Relaxed);
            }
            let begin = Timestamp::from_ms(name.parse().map_err(|_| unreadable("the index of the call log"))?);
            blocks.push(Block { name, begin, rows: wanted.into_iter().map(|place| first + place).collect() });
        }
        Ok(blocks)
    }

    /// The records of rows, as many as one piece may hold, and how far that goes back.
    async fn fetch(
        &self,
        partition: Partition,
        before: Option<CallPlace>,
        blocks: &[Block],
    ) -> Result<Piece<CallPlace, CallRecord>, StoreError> {
        let begin = blocks.last().map(|block| block.begin).unwrap_or_default();
        let more = begin.as_ms() > 0 && self.since.is_none_or(|since| since < begin);
        let end = more.then(|| CallPlace::first_at(begin));
        let mut rows = Vec::new();
        for block in blocks {
            rows.extend(block.rows.iter().map(|row| (block.name.as_str(), *row)));
        }
        if rows.is_empty() {
            return Ok(Piece { items: Vec::new(), reached: end });
        }
        let most = self.rows_per_piece();
        let mut arguments = vec![
            before.map(|place| place.as_bytes().to_vec()).unwrap_or_default(),
            number(ENTRIES_PER_PIECE),
            number(self.wanted as u64),
            keys::log_blocks(partition).into_bytes(),
            number(self.filters.len() as u64),
            if rows.len() > most { b"+".to_vec() } else { Vec::new() },
        ];
        self.filters.iter().for_each(|filter| arguments.extend(filter_arguments(filter)));
        for (name, row) in rows.into_iter().take(most) {
            arguments.extend([name.as_bytes().to_vec(), number(row as u64)]);
        }
        let (entries, reached) = answered(self.link.run(&scripts::FETCH, &[keys::log(partition)], &arguments).await?)?;
        let items = self.admitted(&entries)?;
        Ok(Piece { items, reached: reached.or(end) })
    }

    /// Where few rows have the class that is wanted, records are compared in the place of their marks.
    fn marks_are_not_worth_it(&self) -> bool {
        let few = self.in_class.load(Ordering::Relaxed) <= FEW_IN_CLASS;
        few && self.sieve.reads_classes() && self.sieve.needle().is_none()
    }

    /// Rows whose records are read at once: a few more than are wanted, since a row may only resemble what is.
    const fn rows_per_piece(&self) -> usize {
        self.wanted + ROWS_THAT_RESEMBLE
    }

    fn admitted(&self, entries: &[Vec<u8>]) -> Result<Vec<(CallPlace, CallRecord)>, StoreError> {
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries {
            let record = wire::record(entry)?;
            if self.query.admits(&record) {
                items.push((CallPlace::of(record.ended_at, record.id), record));
            }
        }
        Ok(items)
    }
}

/// A block of the index.
struct Block {
    /// Its name in keys.
    name: String,
    /// No row of it is older.
    begin: Timestamp,
    /// Places of rows that are wanted, newest first.
    rows: Vec<usize>,
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
            let mut arguments = look(before, Some(since), ENTRIES_PER_PIECE, 1);
            arguments.extend([number(NAME_FROM), number(NAME_TO), CallPlace::name_of(id)]);
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

/// How the results of verifications came to the backend.
pub(super) async fn deliveries(link: &Link, ids: &[VerificationId]) -> Result<Vec<Option<Delivery>>, StoreError> {
    let of = |partition| ids.iter().enumerate().filter(move |(_, id)| id.partition() == partition);
    let asked = Partition::all().filter(|partition| of(*partition).next().is_some()).map(|partition| async move {
        let mut command = redis::cmd("MGET");
        of(partition).for_each(|(_, id)| {
            command.arg(keys::delivery(*id));
        });
        let noted: Vec<Option<Vec<u8>>> = link.read(&command).await?;
        Ok::<_, StoreError>(of(partition).map(|(at, _)| at).zip(noted).collect::<Vec<_>>())
    });
    let mut all = vec![None; ids.len()];
    for (at, noted) in try_join_all(asked).await?.into_iter().flatten() {
        if let (Some(to), Some(bytes)) = (all.get_mut(at), noted) {
            *to = Some(codec::decode(&bytes)?);
        }
    }
    Ok(all)
}

/// Takes records out of the log and its index; says how many were there.
pub(super) async fn erase(link: &Link, records: &[CallRecord]) -> Result<usize, StoreError> {
    let of = |partition| records.iter().filter(move |record| record.id.verification.partition() == partition);
    let mut erased = 0;
    for partition in Partition::all().filter(|partition| of(*partition).next().is_some()) {
        let keys = [keys::log(partition), keys::log_index(partition)];
        let mut arguments = vec![keys::log_blocks(partition).into_bytes()];
        for record in of(partition) {
            let row = Row::of(record);
            arguments.push(CallPlace::of(record.ended_at, record.id).as_bytes().to_vec());
            arguments.push([row.class.as_slice(), &row.marks].concat());
        }
        let there: usize = link.run(&scripts::ERASE, &keys, &arguments).await?;
        erased += there;
    }
    Ok(erased)
}

/// The first arguments of `calls.lua`.
fn look(before: Option<CallPlace>, since: Option<Timestamp>, entries: u64, wanted: usize) -> Vec<Vec<u8>> {
    vec![
        before.map(|place| place.as_bytes().to_vec()).unwrap_or_default(),
        since.map(|since| short_time(since).to_vec()).unwrap_or_default(),
        number(entries),
        number(wanted as u64),
    ]
}

/// A filter as the scripts take it.
fn filter_arguments((first, last, bytes): &(usize, usize, Vec<u8>)) -> [Vec<u8>; 3] {
    [number(*first as u64), number(*last as u64), bytes.clone()]
}

async fn look_through(
    link: &Link,
    partition: Partition,
    arguments: &[Vec<u8>],
) -> Result<(Vec<Vec<u8>>, Option<CallPlace>), StoreError> {
    answered(link.run(&scripts::CALLS, &[keys::log(partition)], arguments).await?)
}

/// The entries that a script found, and how far it looked.
fn answered(answer: Vec<Value>) -> Result<(Vec<Vec<u8>>, Option<CallPlace>), StoreError> {
    let mut answer = answer.into_iter();
    let reached: Option<Vec<u8>> = part(answer.next())?;
    let entries = answer.map(|entry| part(Some(entry)));
    Ok((entries.collect::<Result<_, _>>()?, reached.and_then(|reached| CallPlace::from_bytes(&reached))))
}

fn part<T: redis::FromRedisValue>(value: Option<Value>) -> Result<T, StoreError> {
    redis::from_redis_value(value.unwrap_or(Value::Nil)).map_err(|_| unreadable("the call log"))
}

/// Entries of the call log that one script looks at: about half a millisecond of Redis.
const ENTRIES_PER_PIECE: u64 = 500;
/// Entries of each partition that are looked at before the index is asked.
const ENTRIES_AT_FIRST: u64 = 200;
/// Blocks of the index that one script reads, at first and then: 100,000 rows, at most 1.3 MB.
const BLOCKS_AT_FIRST: usize = 2;
const BLOCKS_PER_PIECE: usize = 16;
/// Rows of one class in a block, at most, where marks are not read in further blocks.
const FEW_IN_CLASS: usize = 4;
/// Rows that may only resemble what is wanted, in one piece.
const ROWS_THAT_RESEMBLE: usize = 64;
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
