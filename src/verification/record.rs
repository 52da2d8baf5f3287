//! Owns the record of a call (CDR): what remains of it in the call log after the verification itself is forgotten.
//! It holds no full number and no key.

use minicbor::{Decode, Encode};

use super::state::{AnsweredBy, Call, Cause, Event, Price, Verification};
use crate::{
    id::{CallId, NumberHash},
    outcome::{Attestation, DeliveryOutcome, Mode, Reason, Status},
    phone::{CountryCode, E164},
    time::Timestamp,
};

/// One finished call, as the call log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CallRecord {
    /// Its name.
    #[n(0)]
    pub id: CallId,
    /// Whose verification it belongs to: name of the API key.
    #[n(1)]
    pub client: String,
    /// The client's own name for the verification.
    #[n(2)]
    pub reference: Option<String>,
    /// The number called, masked.
    #[n(3)]
    pub to_masked: String,
    /// Keyed hash of the number called.
    #[n(4)]
    pub number_hash: NumberHash,
    /// Its country.
    #[n(5)]
    pub country: CountryCode,
    /// Kind of number.
    #[n(6)]
    pub number_type: String,
    /// Name of the carrier in the configuration.
    #[n(7)]
    pub carrier: String,
    /// The carrier's name for the call.
    #[n(8)]
    pub carrier_call_id: Option<String>,
    /// The number that was shown to the callee: one of ours.
    #[n(9)]
    pub caller_id: Option<E164>,
    /// Language of the prompts.
    #[n(10)]
    pub locale: String,
    /// Id of the call flow.
    #[n(11)]
    pub flow: String,
    /// Version of the call flow.
    #[n(12)]
    pub flow_version: u64,
    /// What the callee had to do.
    #[n(13)]
    pub mode: Mode,
    /// Status of the verification when the call was over.
    #[n(14)]
    pub status: Status,
    /// Why; or what this call came to, where the verification went on with another one.
    #[n(15)]
    pub reason: Option<Reason>,
    /// When it was to be placed.
    #[n(16)]
    pub queued_at: Timestamp,
    /// When the carrier took it.
    #[n(17)]
    pub placed_at: Option<Timestamp>,
    /// When it began to ring.
    #[n(18)]
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    #[n(19)]
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    #[n(20)]
    pub ended_at: Timestamp,
    /// Why it ended.
    #[n(21)]
    pub cause: Option<Cause>,
    /// Questions asked.
    #[n(22)]
    pub prompts: u8,
    /// What answered.
    #[n(23)]
    pub answered_by: Option<AnsweredBy>,
    /// The callee asked not to be called again.
    #[n(24)]
    pub block_requested: bool,
    /// What happened on it, oldest first.
    #[n(25)]
    pub events: Vec<Event>,
    /// What the caller's signed identity vouched for, where it is known.
    #[n(26)]
    pub attestation: Option<Attestation>,
    /// What it cost, where the carrier told it before the record was written.
    #[n(27)]
    pub price: Option<Price>,
    /// How the result of the verification came to the backend. Kept apart, since it goes on after the call: put in where
    /// a record is read.
    #[cbor(skip)]
    pub delivery: Option<Delivery>,
}

/// How the result of a verification came to the backend, so far.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Delivery {
    /// How far it has come.
    #[n(0)]
    pub outcome: DeliveryOutcome,
    /// How often it was posted.
    #[n(1)]
    pub attempts: u32,
    /// The HTTP status of the last answer; `None` where there was no answer.
    #[n(2)]
    pub status: Option<u16>,
    /// When that was.
    #[n(3)]
    pub at: Timestamp,
}

impl Verification {
    /// The record of the call at `index`, as far as it has come.
    #[must_use]
    pub fn record_of(&self, index: u8) -> Option<CallRecord> {
        let call: &Call = self.calls.get(usize::from(index))?;
        let target = self.target_of(call)?;
        let route = self.route_of(call);
        Some(CallRecord {
            id: self.call_id(index),
            client: self.request.client.clone(),
            reference: self.request.reference.clone(),
            to_masked: target.to.to_string(),
            number_hash: target.number_hash,
            country: target.country,
            number_type: target.number_type.clone(),
            carrier: route.map(|route| route.carrier.clone()).unwrap_or_default(),
            carrier_call_id: call.carrier_call_id.clone(),
            caller_id: route.map(|route| route.caller_id.clone()),
            locale: target.locale.clone(),
            flow: self.request.flow.clone(),
            flow_version: self.request.flow_version,
            mode: self.request.mode,
            status: self.status,
            reason: call.verdict.or(self.reason),
            queued_at: call.queued_at,
            placed_at: call.placed_at,
            ringing_at: call.ringing_at,
            answered_at: call.answered_at,
            ended_at: call.ended_at.unwrap_or(call.queued_at),
            cause: call.cause.clone(),
            prompts: call.prompts,
            answered_by: call.answered_by,
            block_requested: self.block_requested,
            events: self.events.iter().filter(|event| event.call.is_none_or(|of| of == index)).copied().collect(),
            attestation: call.attestation,
            price: call.price.clone(),
            delivery: None,
        })
    }
}
