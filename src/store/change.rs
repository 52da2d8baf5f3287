//! Owns a commit in the form in which it is handed to a store's machinery: owned and encoded. It writes nothing.

use std::time::Duration;

use super::{Commit, NewEffect, StoreError, Tally, codec, listing::CallPlace};
use crate::{
    guard::step::{Settle, Take},
    id::{NumberHash, VerificationId},
    time::Timestamp,
    verification::CallRecord,
};

/// A [`Commit`] with its values encoded.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) id: VerificationId,
    pub(super) revision: u32,
    pub(super) value: Vec<u8>,
    pub(super) client: String,
    pub(super) reference: Option<String>,
    pub(super) number: Option<NumberHash>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
    pub(super) spends: Option<u32>,
    pub(super) effects: Vec<NewEffect>,
    pub(super) records: Vec<Record>,
    pub(super) tally: Option<Tally>,
    pub(super) take: Take,
    pub(super) settle: Settle,
    pub(super) release: bool,
    pub(super) keep_for: Duration,
    pub(super) keep_records_for: Duration,
}

/// A call record with its place and its encoded form.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) place: CallPlace,
    pub(super) value: Vec<u8>,
    pub(super) record: CallRecord,
}

impl Change {
    pub(super) fn of(commit: Commit<'_>) -> Result<Self, StoreError> {
        let value = commit.value;
        let records = commit
            .records
            .into_iter()
            .map(|record| {
                let place = CallPlace::of(record.ended_at, record.id);
                Ok(Record { place, value: codec::encode(&record)?, record })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Self {
            id: value.id,
            revision: value.revision,
            value: codec::encode(value)?,
            client: value.request.client.clone(),
            reference: value.request.reference.clone(),
            number: value.request.targets.first().map(|target| target.number_hash),
            deadline: commit.deadline,
            before: commit.before,
            spends: commit.spends,
            effects: commit.effects,
            records,
            tally: commit.tally,
            take: commit.take,
            settle: commit.settle,
            release: commit.release,
            keep_for: commit.keep_for,
            keep_records_for: commit.keep_records_for,
        })
    }
}
