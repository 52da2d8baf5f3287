//! Owns the identifiers: how they are made from time and entropy, written and read back. Unguessable where the
//! outside world sees them (128 random bits); nothing secret can be read out of one.

use std::{fmt, str::FromStr, sync::LazyLock};

use data_encoding::{Encoding, Specification};
use minicbor::{Decode, Encode};

/// Crockford's base 32, the alphabet of ULIDs: no I, L, O, U.
static BASE32: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    spec.encoding().ok()
});

fn to_base32(bytes: &[u8]) -> String {
    BASE32.as_ref().map(|base32| base32.encode(bytes)).unwrap_or_default()
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    BASE32.as_ref()?.decode(text.as_bytes()).ok()
}

/// Where the shell takes randomness from. The core is given what was drawn.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` from a cryptographically secure generator.
    fn fill(&self, bytes: &mut [u8]);
}

/// A number of the store's partitions. All state of one verification lives in one of them, chosen by the number
/// called, so that a Redis Cluster can spread verifications and still change one of them, and the hold on its number,
/// in a single script.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u8);

impl Partition {
    /// How many there are.
    pub const COUNT: u8 = 16;

    /// The partition of a keyed hash.
    #[must_use]
    pub const fn of(hash_byte: u8) -> Self {
        Self(hash_byte % Self::COUNT)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Its number, below [`Partition::COUNT`].
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:x}", self.0)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A keyed hash of a telephone number: what stands in keys and indexes instead of the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct NumberHash(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

impl NumberHash {
    /// Wraps the first 16 bytes of an HMAC.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The raw bytes, for keys and indexes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Where verifications of this number are kept.
    #[must_use]
    pub const fn partition(self) -> Partition {
        Partition::of(self.0[0])
    }
}

impl fmt::Display for NumberHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_base32(&self.0))
    }
}

impl fmt::Debug for NumberHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes of an identifier of a verification: 6 of time, 16 random, the last 4 bits of which are the partition.
pub const ID_BYTES: usize = 22;

/// Names one verification: `ver_` and 36 characters, sortable by the time of creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct VerificationId(#[cbor(n(0), with = "minicbor::bytes")] [u8; ID_BYTES]);

impl VerificationId {
    /// Makes an id from the time of creation, fresh entropy and the partition of the number called.
    #[must_use]
    pub fn new(now: crate::time::Timestamp, entropy: [u8; 16], partition: Partition) -> Self {
        let mut bytes = [0; ID_BYTES];
        let (time, random) = bytes.split_at_mut(6);
        time.iter_mut().zip(now.as_ms().to_be_bytes().into_iter().skip(2)).for_each(|(to, from)| *to = from);
        random.iter_mut().zip(entropy).for_each(|(to, from)| *to = from);
        if let Some(last) = random.last_mut() {
            *last = (*last & 0xf0) | partition.index();
        }
        Self(bytes)
    }

    /// The id of these raw bytes, as [`VerificationId::as_bytes`] gave them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// When it was made, by the clock of who made it.
    #[must_use]
    pub fn made_at(&self) -> crate::time::Timestamp {
        let ms = self.0.iter().take(6).fold(0, |ms, byte| (ms << 8) | u64::from(*byte));
        crate::time::Timestamp::from_ms(ms)
    }

    /// Where in the store it lives.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        Partition::of(self.0[ID_BYTES - 1] & 0x0f)
    }

    /// The raw bytes, for indexes and keyed hashes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The identifier without its prefix: 36 characters.
    #[must_use]
    pub fn bare(&self) -> String {
        to_base32(&self.0)
    }
}

/// Text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an id of ours; copy it whole, as it was returned")]
pub struct NotAnId;

impl FromStr for VerificationId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bytes = from_base32(text.strip_prefix("ver_").ok_or(NotAnId)?).ok_or(NotAnId)?;
        bytes.try_into().map(Self).map_err(|_| NotAnId)
    }
}

impl fmt::Display for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ver_{}", self.bare())
    }
}

impl fmt::Debug for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for VerificationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Names one call of a verification, and its call record: `call_`, the verification's characters, `_` and a number
/// from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct CallId {
    /// The verification it belongs to.
    #[n(0)]
    pub verification: VerificationId,
    /// Which of its calls, from 0.
    #[n(1)]
    pub index: u8,
}

impl FromStr for CallId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (bare, number) = text.strip_prefix("call_").and_then(|rest| rest.split_once('_')).ok_or(NotAnId)?;
        let verification = format!("ver_{bare}").parse()?;
        let index = number.parse::<u8>().ok().and_then(|number| number.checked_sub(1)).ok_or(NotAnId)?;
        if number.starts_with(['0', '+']) { Err(NotAnId) } else { Ok(Self { verification, index }) }
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call_{}_{}", self.verification.bare(), u16::from(self.index) + 1)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for CallId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What stands in the callback URLs of one call: which call it is, and 128 bits that nobody else can know. Holding it
/// proves nothing by itself; the core compares [`CallToken::proof`] with what it expects of that call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallToken {
    /// The call it claims to be for.
    pub call: CallId,
    /// The unguessable part.
    pub proof: [u8; 16],
}

impl CallToken {
    /// The token as it stands in a URL path: 63 characters of Crockford's base 32.
    #[must_use]
    pub fn to_path(&self) -> String {
        let mut bytes = Vec::with_capacity(ID_BYTES + 1 + 16);
        bytes.extend_from_slice(&self.call.verification.0);
        bytes.push(self.call.index);
        bytes.extend_from_slice(&self.proof);
        to_base32(&bytes)
    }
}

impl FromStr for CallToken {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bytes = from_base32(text).ok_or(NotAnId)?;
        let (id, rest) = bytes.split_at_checked(ID_BYTES).ok_or(NotAnId)?;
        let (index, proof) = rest.split_first().ok_or(NotAnId)?;
        let verification = VerificationId(id.try_into().map_err(|_| NotAnId)?);
        let call = CallId { verification, index: *index };
        Ok(Self { call, proof: proof.try_into().map_err(|_| NotAnId)? })
    }
}

impl fmt::Debug for CallToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token of {}", self.call)
    }
}

/// Names one effect: the verification, the revision whose commit brought it, and its place in that commit. It is the
/// `webhook-id` of a result, the same on each retry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct EffectId {
    /// The verification it belongs to.
    #[n(0)]
    pub verification: VerificationId,
    /// The revision that was written together with it.
    #[n(1)]
    pub revision: u32,
    /// Its place among the effects of that commit.
    #[n(2)]
    pub index: u8,
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.verification, self.revision, self.index)
    }
}

impl fmt::Debug for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EffectId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut parts = text.split('.');
        let (Some(id), Some(revision), Some(index), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotAnId);
        };
        let (Ok(revision), Ok(index)) = (revision.parse(), index.parse()) else { return Err(NotAnId) };
        Ok(Self { verification: id.parse()?, revision, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn id(last: u8) -> VerificationId {
        VerificationId::new(Timestamp::from_ms(1_795_000_000_000), [last; 16], Partition::of(5))
    }

    #[test]
    fn ids_read_back() {
        let verification = id(0xab);
        assert_eq!(verification.to_string().len(), 40);
        assert_eq!(verification.to_string().parse(), Ok(verification));
        assert_eq!(verification.partition(), Partition::of(5));
        assert_eq!(verification.made_at(), Timestamp::from_ms(1_795_000_000_000));
        assert_eq!(verification.as_bytes().try_into().map(VerificationId::from_bytes).ok(), Some(verification));
        let call = CallId { verification, index: 1 };
        assert!(call.to_string().ends_with("_2"));
        assert_eq!(call.to_string().parse(), Ok(call));
        let token = CallToken { call, proof: [7; 16] };
        assert_eq!(token.to_path().len(), 63);
        assert_eq!(token.to_path().parse(), Ok(token));
        let effect = EffectId { verification, revision: 3, index: 0 };
        assert_eq!(effect.to_string().parse(), Ok(effect));
    }

    #[test]
    fn anything_else_is_refused() {
        let good = id(1).to_string();
        for bad in [
            "",
            "ver_",
            "ver_01",
            &good.to_lowercase(),
            &format!("{good}0"),
            &good[..39],
            "call_1",
            "ver_É",
            &format!("{good} "),
        ] {
            assert_eq!(bad.parse::<VerificationId>(), Err(NotAnId), "{bad}");
        }
        let bare = id(1).bare();
        for bad in
            [format!("call_{bare}_0"), format!("call_{bare}_01"), format!("call_{bare}_+1"), format!("call_{bare}_999")]
        {
            assert_eq!(bad.parse::<CallId>(), Err(NotAnId), "{bad}");
        }
        assert_eq!("0".repeat(62).parse::<CallToken>(), Err(NotAnId));
    }

    #[test]
    fn ids_sort_by_time() {
        let early = VerificationId::new(Timestamp::from_ms(1), [0xff; 16], Partition::of(0));
        let late = VerificationId::new(Timestamp::from_ms(2), [0; 16], Partition::of(0));
        assert!(early.to_string() < late.to_string());
    }
}
