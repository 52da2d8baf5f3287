//! Owns what stands behind the keys of the embedded store. It decides nothing.

use minicbor::{Decode, Encode, bytes::ByteVec};

use super::super::{DeadLetter, EffectKind, Outgoing};
use crate::{
    id::{EffectId, NumberHash, VerificationId},
    time::Timestamp,
    verification::Delivery,
};

/// A verification.
#[derive(Debug, Encode, Decode)]
pub(super) struct Stored {
    #[n(0)]
    pub(super) expires_at: Timestamp,
    #[n(1)]
    pub(super) revision: u32,
    /// The last turn that was spent.
    #[n(2)]
    pub(super) spent: u32,
    #[n(3)]
    pub(super) deadline: Option<Timestamp>,
    #[n(4)]
    pub(super) client: String,
    #[n(5)]
    pub(super) reference: Option<String>,
    #[n(6)]
    pub(super) value: ByteVec,
}

/// Who holds a number.
#[derive(Debug, Encode, Decode)]
pub(super) struct Hold {
    #[n(0)]
    pub(super) expires_at: Timestamp,
    #[n(1)]
    pub(super) by: VerificationId,
}

/// An effect in the outbox.
#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct Kept {
    #[n(0)]
    pub(super) expires_at: Timestamp,
    #[n(1)]
    pub(super) due_at: Timestamp,
    #[n(2)]
    pub(super) since: Timestamp,
    #[n(3)]
    pub(super) attempts: u32,
    #[n(4)]
    pub(super) report: bool,
    #[n(5)]
    pub(super) call: u8,
    #[n(6)]
    pub(super) payload: ByteVec,
}

impl Kept {
    pub(super) fn outgoing(self, id: EffectId) -> Outgoing {
        let kind = if self.report { EffectKind::Report } else { EffectKind::HangUp };
        Outgoing { id, kind, call: self.call, payload: self.payload.into(), attempts: self.attempts, since: self.since }
    }
}

/// A dead letter.
#[derive(Debug, Encode, Decode)]
pub(super) struct Buried {
    #[n(0)]
    pub(super) expires_at: Timestamp,
    #[n(1)]
    pub(super) at: Timestamp,
    #[n(2)]
    pub(super) why: String,
    #[n(3)]
    pub(super) effect: Kept,
}

impl Buried {
    pub(super) fn letter(self, id: EffectId) -> DeadLetter {
        DeadLetter { effect: self.effect.outgoing(id), at: self.at, why: self.why }
    }
}

/// How a result came to the backend.
#[derive(Debug, Encode, Decode)]
pub(super) struct Noted {
    #[n(0)]
    pub(super) expires_at: Timestamp,
    #[n(1)]
    pub(super) delivery: Delivery,
}

/// What an idempotency key stands for.
#[derive(Debug, Encode, Decode)]
pub(super) struct Memory {
    #[n(0)]
    pub(super) expires_at: Timestamp,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) fingerprint: [u8; 16],
    #[n(2)]
    pub(super) id: VerificationId,
    #[n(3)]
    pub(super) first_seen: Timestamp,
}

/// A call record in the log.
#[derive(Debug, Encode, Decode)]
pub(super) struct Log {
    #[n(0)]
    pub(super) expires_at: Timestamp,
    #[n(1)]
    pub(super) number: NumberHash,
    #[n(2)]
    pub(super) value: ByteVec,
}
