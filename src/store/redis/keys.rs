//! Owns the names of keys in Redis. All begin with a version and the partition as hash tag, so that everything one script
//! touches lies in one slot of a cluster. It reads and writes nothing.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::super::Span;
use crate::{
    guard::{meter::Key, step::StoredBar},
    id::{EffectId, NumberHash, Partition, VerificationId},
};

/// What the names of the channels begin with on which changes are told, one for each verification.
pub(super) const CHANGES: &str = "rp1:changes";

/// Where changes of a verification are told. The message says nothing more.
pub(super) fn changes_of(id: VerificationId) -> String {
    format!("{CHANGES}:{}", id.bare())
}

/// The verification of a channel.
pub(super) fn changed(channel: &str) -> Option<VerificationId> {
    format!("ver_{}", channel.strip_prefix(CHANGES)?.strip_prefix(':')?).parse().ok()
}

/// A value: its head, then the encoded verification.
pub(super) fn value(id: VerificationId) -> String {
    format!("{}{}", values(id.partition()), id.bare())
}

/// What stands before the bare id in the key of a value.
pub(super) fn values(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:v:")
}

/// Bare ids by deadline, without expiry.
pub(super) fn deadlines(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:due")
}

/// Names of effects by the time they are due, without expiry.
pub(super) fn outbox(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:outbox")
}

/// An effect.
pub(super) fn effect(id: EffectId) -> String {
    format!("{}{id}", effects(id.verification.partition()))
}

/// What stands before the name in the key of an effect.
pub(super) fn effects(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:e:")
}

/// A dead letter.
pub(super) fn dead_letter(id: EffectId) -> String {
    format!("rp1:{{p{}}}:x:{id}", id.verification.partition())
}

/// Names of dead letters by time, without expiry.
pub(super) fn dead_letters(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:dead")
}

/// Call records in the order of their places.
pub(super) fn log(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:log")
}

/// Raw times at which the blocks of the index of the call log begin.
pub(super) fn log_index(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:log-index")
}

/// What stands before the kind and the name in the keys of a block's strings.
pub(super) fn log_blocks(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:log-")
}

/// How the result of a verification came to the backend.
pub(super) fn delivery(id: VerificationId) -> String {
    format!("rp1:{{p{}}}:w:{}", id.partition(), id.bare())
}

/// Kinds of settled verifications of a span by how many they were.
pub(super) fn tallies(partition: Partition, span: Span, index: u64) -> String {
    format!("rp1:{{p{partition}}}:t{}:{index}", char::from(span.letter()))
}

/// Who holds a number.
pub(super) fn hold(number: NumberHash) -> String {
    format!("rp1:{{p{}}}:h:{number}", number.partition())
}

/// What a verification without a number holds.
pub(super) fn no_hold(id: VerificationId) -> String {
    format!("rp1:{{p{}}}:h:none:{}", id.partition(), id.bare())
}

/// Raw ids of a client's verifications.
pub(super) fn client(partition: Partition, client: &str) -> String {
    format!("rp1:{{p{partition}}}:c:{client}")
}

/// Raw ids of a client's verifications with one reference. A reference may be anything, also a number: it is hashed.
pub(super) fn reference(partition: Partition, client: &str, reference: &str) -> String {
    let hash = Sha256::new().chain_update(client).chain_update([0]).chain_update(reference).finalize();
    let short = hash.get(..REFERENCE_BYTES).unwrap_or_default();
    format!("rp1:{{p{partition}}}:r:{}", BASE32_NOPAD.encode(short))
}

/// An idempotency key.
pub(super) fn idempotency(hash: &[u8; 16]) -> String {
    format!("rp1:{{p{}}}:i:{}", Partition::of(hash[0]), BASE32_NOPAD.encode(hash))
}

/// The key of the number hashes, without expiry.
pub(super) fn number_key() -> String {
    format!("rp1:{{p{}}}:number-key", Partition::of(0))
}

/// Where a probe writes.
pub(super) fn probe(partition: Partition) -> String {
    format!("rp1:{{p{partition}}}:probe")
}

/// What stands before the guard's own name in a key: all of them in one slot, since one script takes them together.
const GUARD: &str = "rp1:{g}:";

/// What the guard counts, or a bar.
pub(super) fn guarded(key: &Key) -> String {
    [GUARD, key.as_str()].concat()
}

/// What a bar is about, from its key.
pub(super) fn guarded_name(key: &str) -> Option<&str> {
    key.strip_prefix(GUARD)?.strip_prefix(StoredBar::SCOPE)?.strip_prefix(':')
}

/// Keys of bars by when they end.
pub(super) fn bars() -> String {
    [GUARD, "bars"].concat()
}

/// Bytes of the hash of a reference in a key.
const REFERENCE_BYTES: usize = 10;
