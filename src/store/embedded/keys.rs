//! Owns the keys of the embedded store: a letter for the kind, then bytes that sort as they should. It reads and writes
//! nothing.

use super::super::{Span, listing::CallPlace};
use crate::{
    id::{CallId, EffectId, NumberHash, VerificationId},
    time::Timestamp,
};

/// A verification: [`super::values::Stored`].
pub(super) const VERIFICATION: u8 = b'v';
/// By deadline, then id: nothing.
pub(super) const DEADLINE: u8 = b'd';
/// A held number: [`super::values::Hold`].
pub(super) const HOLD: u8 = b'h';
/// An effect in the outbox: [`super::values::Kept`].
pub(super) const EFFECT: u8 = b'o';
/// By the time it is due, then effect: nothing.
pub(super) const EFFECT_DUE: u8 = b'q';
/// A dead letter: [`super::values::Buried`].
pub(super) const DEAD: u8 = b'x';
/// By the time of death, then effect: nothing.
pub(super) const DEAD_AT: u8 = b'y';
/// An idempotency key: [`super::values::Memory`].
pub(super) const IDEMPOTENCY: u8 = b'i';
/// By client, then id: nothing.
pub(super) const CLIENT: u8 = b'c';
/// By client and reference, then id: nothing.
pub(super) const REFERENCE: u8 = b'r';
/// By call id: the [`CallPlace`] of its record.
pub(super) const CALL: u8 = b'k';
/// A call record by its place: [`super::values::Log`].
pub(super) const LOG: u8 = b'l';
/// By number called, then place: nothing.
pub(super) const NUMBER: u8 = b'n';
/// By the time at which it begins: a block of the index of the call log.
pub(super) const BLOCK: u8 = b'b';
/// By verification, how its result came to the backend: [`super::values::Noted`].
pub(super) const NOTED: u8 = b'w';
/// By span, then kind: how many were counted.
pub(super) const TALLY: u8 = b't';
/// What the guard counts, and its bars, by their own key: when it ends, in ms (8 bytes), then what the guard keeps.
pub(super) const GUARD: u8 = b'g';
/// By the time of expiry, then key: nothing.
pub(super) const EXPIRY: u8 = b'e';
/// What belongs to the store as a whole.
pub(super) const META: u8 = b'm';

/// Bytes of an effect's name in a key.
const EFFECT_BYTES: usize = crate::id::ID_BYTES + 4 + 1;

/// A key: its kind and its parts after one another.
pub(super) fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// The least key above all that begin with `prefix`.
pub(super) fn end_of(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            break;
        }
    }
    prefix
}

pub(super) fn verification(id: VerificationId) -> Vec<u8> {
    key(VERIFICATION, &[id.as_bytes()])
}

pub(super) fn deadline(at: Timestamp, id: VerificationId) -> Vec<u8> {
    key(DEADLINE, &[&at.as_ms().to_be_bytes(), id.as_bytes()])
}

pub(super) fn hold(number: NumberHash) -> Vec<u8> {
    key(HOLD, &[number.as_bytes()])
}

pub(super) fn effect(id: EffectId) -> Vec<u8> {
    key(EFFECT, &[&effect_bytes(id)])
}

pub(super) fn effect_due(at: Timestamp, id: EffectId) -> Vec<u8> {
    key(EFFECT_DUE, &[&at.as_ms().to_be_bytes(), &effect_bytes(id)])
}

pub(super) fn dead(id: EffectId) -> Vec<u8> {
    key(DEAD, &[&effect_bytes(id)])
}

pub(super) fn dead_at(at: Timestamp, id: EffectId) -> Vec<u8> {
    key(DEAD_AT, &[&at.as_ms().to_be_bytes(), &effect_bytes(id)])
}

pub(super) fn client(client: &str) -> Vec<u8> {
    key(CLIENT, &[&length(client), client.as_bytes()])
}

pub(super) fn reference(client: &str, reference: &str) -> Vec<u8> {
    key(REFERENCE, &[&length(client), client.as_bytes(), &length(reference), reference.as_bytes()])
}

pub(super) fn call(id: CallId) -> Vec<u8> {
    key(CALL, &[id.verification.as_bytes(), &[id.index]])
}

pub(super) fn log(place: CallPlace) -> Vec<u8> {
    key(LOG, &[place.as_bytes()])
}

pub(super) fn number(number: NumberHash, place: CallPlace) -> Vec<u8> {
    key(NUMBER, &[number.as_bytes(), place.as_bytes()])
}

pub(super) fn block(begin: [u8; 6]) -> Vec<u8> {
    key(BLOCK, &[&begin])
}

pub(super) fn noted(id: VerificationId) -> Vec<u8> {
    key(NOTED, &[id.as_bytes()])
}

/// What the keys of a span's tallies begin with.
pub(super) fn tallies(span: Span, index: u64) -> Vec<u8> {
    key(TALLY, &[&[span.letter()], &index.to_be_bytes()])
}

pub(super) fn guarded(name: &str) -> Vec<u8> {
    key(GUARD, &[name.as_bytes()])
}

pub(super) fn expiry(at: Timestamp, key_of: &[u8]) -> Vec<u8> {
    key(EXPIRY, &[&at.as_ms().to_be_bytes(), key_of])
}

/// The time that stands after the kind, and what follows it.
pub(super) fn split_time(key: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (at, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    Some((Timestamp::from_ms(u64::from_be_bytes(*at)), rest))
}

pub(super) fn effect_of(bytes: &[u8]) -> Option<EffectId> {
    let bytes: [u8; EFFECT_BYTES] = bytes.try_into().ok()?;
    let (id, rest) = bytes.split_first_chunk()?;
    let (revision, index) = rest.split_first_chunk()?;
    Some(EffectId {
        verification: VerificationId::from_bytes(*id),
        revision: u32::from_be_bytes(*revision),
        index: *index.first()?,
    })
}

fn effect_bytes(id: EffectId) -> Vec<u8> {
    [id.verification.as_bytes(), id.revision.to_be_bytes().as_slice(), &[id.index]].concat()
}

/// Lengths stand before texts, so that no text is the beginning of another.
fn length(text: &str) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes()
}
