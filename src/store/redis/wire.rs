//! Owns the forms in which values travel to the scripts and back: heads, effects, dead letters, entries of the call log.
//! What they mean is decided elsewhere.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::{
    super::{
        CallQuery, DeadLetter, EffectKind, IdempotencyKey, NewEffect, Outgoing, StoreError,
        change::{Change, Record},
        codec,
        listing::{CallPlace, PLACE_BYTES, short_time},
    },
    pack::{pack, unpack},
};
use crate::{
    id::{EffectId, ID_BYTES, VerificationId},
    phone::LastDigits,
    time::Timestamp,
    verification::{CallRecord, Verification},
};

/// Bytes before an encoded verification.
const HEAD_BYTES: usize = 20;

/// Bytes of the mark of an attempt.
pub(super) const MARK_BYTES: usize = 6;

/// A value with its head, in which the scripts put right the last turn spent where the change spends none.
pub(super) fn value(change: &Change, mark: [u8; MARK_BYTES]) -> Vec<u8> {
    // What is awaited is written again soon, and small already; what is over is kept for long.
    let body = match change.deadline {
        Some(_) => Cow::Borrowed(change.value.as_slice()),
        None => pack(&change.value, change.id.as_bytes()),
    };
    let mut value = Vec::with_capacity(HEAD_BYTES + body.len());
    value.extend(change.revision.to_be_bytes());
    value.extend(change.spends.unwrap_or(0).to_be_bytes());
    value.extend(mark);
    value.extend(short_time(change.deadline.unwrap_or_default()));
    value.extend_from_slice(&body);
    value
}

/// The verification in the value of this id.
pub(super) fn verification(bytes: &[u8], id: VerificationId) -> Result<Verification, StoreError> {
    decode(bytes.get(HEAD_BYTES..).unwrap_or_default(), id.as_bytes())
}

fn decode<T: for<'b> minicbor::Decode<'b, ()>>(body: &[u8], id: &[u8]) -> Result<T, StoreError> {
    let plain = unpack(body, id).ok_or_else(|| super::unreadable("a value that cannot be unpacked"))?;
    codec::decode(&plain)
}

/// An effect after its first 10 bytes.
pub(super) fn effect_tail(effect: &NewEffect) -> Vec<u8> {
    let kind = match effect.kind {
        EffectKind::HangUp => 0,
        EffectKind::Report => 1,
    };
    [[kind, effect.call].as_slice(), &effect.payload].concat()
}

/// An effect of the outbox.
pub(super) fn outgoing(name: &[u8], bytes: &[u8]) -> Option<Outgoing> {
    let (attempts, rest) = bytes.split_first_chunk::<4>()?;
    let (since, rest) = rest.split_first_chunk::<6>()?;
    let ([kind, call], payload) = rest.split_first_chunk::<2>()?;
    Some(Outgoing {
        id: std::str::from_utf8(name).ok()?.parse::<EffectId>().ok()?,
        kind: if *kind == 0 { EffectKind::HangUp } else { EffectKind::Report },
        call: *call,
        payload: payload.to_vec(),
        attempts: u32::from_be_bytes(*attempts),
        since: long_time(*since),
    })
}

/// A dead letter.
pub(super) fn dead_letter(name: &[u8], bytes: &[u8]) -> Option<DeadLetter> {
    let (at, rest) = bytes.split_first_chunk::<6>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (why, effect) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some(DeadLetter {
        effect: outgoing(name, effect)?,
        at: long_time(*at),
        why: String::from_utf8_lossy(why).into_owned(),
    })
}

/// What an idempotency key stands for: hash of the request, id, time.
pub(super) fn remembered(bytes: &[u8]) -> Option<([u8; 16], VerificationId, Timestamp)> {
    let (fingerprint, rest) = bytes.split_first_chunk::<16>()?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    Some((*fingerprint, VerificationId::from_bytes(*id), long_time(rest.try_into().ok()?)))
}

/// The id at the beginning of a hold, and the client behind it.
pub(super) fn holder(bytes: &[u8]) -> Option<(VerificationId, String)> {
    let (id, client) = bytes.split_first_chunk::<ID_BYTES>()?;
    Some((VerificationId::from_bytes(*id), String::from_utf8_lossy(client).into_owned()))
}

/// What stands in an entry of the call log between its place with expiry and the record, so that a script can filter:
/// status, reason, country, the beginnings of hashes; then, after [`MORE_MARKS`], fault, reference and last digits.
fn marks(record: &CallRecord) -> [u8; MARKS_BYTES] {
    let [n0, n1, n2, n3, ..] = *record.number_hash.as_bytes();
    let [ca0, ca1] = hash(&record.carrier);
    let [cl0, cl1] = hash(&record.client);
    let [co0, co1] = letters(record.country);
    let reason = record.reason.map_or(NO_REASON, |reason| reason as u8);
    let fault = record.cause.as_ref().map_or(NO_REASON, |cause| cause.fault as u8);
    let [r0, r1] = record.reference.as_deref().map_or([0; 2], hash);
    let [d0, d1] = last_pairs(LastDigits::of_masked(&record.to_masked).as_ref());
    let status = record.status as u8;
    [status, reason, co0, co1, n0, n1, n2, n3, ca0, ca1, cl0, cl1, MORE_MARKS, fault, r0, r1, d0, d1]
}

/// The filters of a query, as `calls.lua` wants them: first byte, last byte, what stands there. They let a few records
/// through that only resemble what is asked for.
pub(super) fn filters(query: &CallQuery) -> Vec<(usize, usize, Vec<u8>)> {
    let mut filters = Vec::new();
    let mut filter = |offset: usize, bytes: &[u8]| {
        if bytes.is_empty() {
            return;
        }
        let first = MARKS_FROM + offset + 1;
        filters.push((first, first + bytes.len() - 1, bytes.to_vec()));
    };
    if let Some(status) = query.status {
        filter(0, &[status as u8]);
    }
    if let Some(reason) = query.reason {
        filter(1, &[reason as u8]);
    }
    if let Some(country) = query.country {
        filter(2, &letters(country));
    }
    if let Some(number) = query.number {
        filter(4, number.as_bytes().get(..4).unwrap_or_default());
    }
    if let Some(carrier) = &query.carrier {
        filter(8, &hash(carrier));
    }
    if let Some(client) = &query.client {
        filter(10, &hash(client));
    }
    if let Some(fault) = query.fault {
        filter(12, &[MORE_MARKS, fault as u8]);
    }
    if let Some(reference) = &query.reference {
        filter(14, &hash(reference));
    }
    if let Some(digits) = &query.last_digits {
        let pairs = last_pairs(Some(digits));
        filter(16, pairs.get(..digits.as_str().len() / 2).unwrap_or_default());
    }
    filters
}

/// An entry of the call log after its place and its expiry, which the script puts in.
pub(super) fn entry_tail(record: &Record) -> Vec<u8> {
    let value = pack(&record.value, record.record.id.verification.as_bytes());
    [marks(&record.record).as_slice(), &value].concat()
}

/// An idempotency key as the scripts want it.
pub(super) fn idempotency(key: &IdempotencyKey) -> Vec<u8> {
    [key.fingerprint.as_slice(), key.id.as_bytes()].concat()
}

/// The record in an entry of the call log.
pub(super) fn record(entry: &[u8]) -> Result<CallRecord, StoreError> {
    let (place, _) = entry.split_first_chunk::<PLACE_BYTES>().ok_or_else(|| super::unreadable("the call log"))?;
    let id =
        CallPlace::from_bytes(place).and_then(|place| place.call()).ok_or_else(|| super::unreadable("the call log"))?;
    let all = entry.get(MARKS_FROM + FIRST_MARKS_BYTES..).unwrap_or_default();
    // Entries that were written before there were more marks have none.
    let value = if all.first() == Some(&MORE_MARKS) { all.get(MORE_MARKS_BYTES..).unwrap_or_default() } else { all };
    decode(value, id.verification.as_bytes())
}

fn letters(country: crate::phone::CountryCode) -> [u8; 2] {
    country.to_string().as_bytes().first_chunk().copied().unwrap_or_default()
}

fn hash(text: &str) -> [u8; 2] {
    Sha256::digest(text).first_chunk().copied().unwrap_or_default()
}

fn long_time(bytes: [u8; 6]) -> Timestamp {
    Timestamp::from_ms(bytes.iter().fold(0, |ms, byte| (ms << 8) | u64::from(*byte)))
}

/// The last two digits of a number and the two before them, each pair as a byte; where there are fewer, 0xff.
fn last_pairs(digits: Option<&LastDigits>) -> [u8; 2] {
    let mut pairs = [u8::MAX; 2];
    let digits = digits.map_or(&[][..], |digits| digits.as_str().as_bytes());
    for (to, pair) in pairs.iter_mut().zip(digits.rchunks_exact(2)) {
        *to = pair.iter().fold(0, |byte, digit| (byte << 4) | (digit & 0xf));
    }
    pairs
}

const FIRST_MARKS_BYTES: usize = 12;
const MORE_MARKS_BYTES: usize = 6;
const MARKS_BYTES: usize = FIRST_MARKS_BYTES + MORE_MARKS_BYTES;
/// Says that there are more marks. No form of a record begins so.
const MORE_MARKS: u8 = 3;
/// Where the marks begin: after the place and 4 bytes of expiry.
const MARKS_FROM: usize = PLACE_BYTES + 4;
const NO_REASON: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_more_marks_is_looked_for_where_it_begins() {
        let place = [7; PLACE_BYTES];
        let first = [place.as_slice(), &[0; 4 + FIRST_MARKS_BYTES]].concat();
        let told = |rest: &[u8]| record(&[first.as_slice(), rest].concat()).unwrap_err().to_string();
        // What is no record is refused with words that depend on its first byte, wherever that stands.
        assert_eq!(told(&[9, 9]), told(&[MORE_MARKS, 0, 0, 0, 0, 0, 9, 9]));
        assert_ne!(told(&[9, 9]), told(&[MORE_MARKS, 0, 0, 0, 0, 0]));
        assert_ne!(told(&[1, 9]), told(&[9, 9]));
    }

    #[test]
    fn last_digits_are_told_in_pairs() {
        let pairs = |digits: &str| last_pairs(digits.parse().ok().as_ref());
        assert_eq!(pairs("5678"), [0x78, 0x56]);
        assert_eq!(pairs("678"), [0x78, 0xff]);
        assert_eq!(pairs("8"), [0xff, 0xff]);
        assert_eq!(last_pairs(None), [0xff, 0xff]);
    }
}
