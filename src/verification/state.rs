//! Owns the value that a verification is: what was asked for, its calls, its outcome, its history. How it changes is
//! decided in [`super::step`]; nothing here moves by itself.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::admission::Admission;
use crate::{
    callflow::Position,
    dtmf::Digits,
    id::{CallId, NumberHash, VerificationId},
    outcome::{Attestation, Fault, Mode, Purpose, Reason, Stage, Status},
    phone::{CountryCode, E164},
    secret::Secret,
    time::Timestamp,
    trace::Trace,
};

/// One request to prove one person's telephone.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Verification {
    /// Its name.
    #[n(0)]
    pub id: VerificationId,
    /// Counts the commits, from 1. The store compares it: a change is written only onto the revision it was made from.
    #[n(1)]
    pub revision: u32,
    /// What was asked for. Never changes.
    #[n(2)]
    pub request: Request,
    /// When it was asked for.
    #[n(3)]
    pub created_at: Timestamp,
    /// From when on it can no longer be verified.
    #[n(4)]
    pub expires_at: Timestamp,
    /// Where it stands.
    #[n(5)]
    pub status: Status,
    /// Why, once it is final and not verified.
    #[n(6)]
    pub reason: Option<Reason>,
    /// When it became final.
    #[n(7)]
    pub decided_at: Option<Timestamp>,
    /// Its calls in order; only the last can be alive.
    #[n(8)]
    pub calls: Vec<Call>,
    /// The target to be called as soon as the live call has ended, by index: an alternate, or a redial.
    #[n(9)]
    pub next: Option<u8>,
    /// Wrong entries over all calls, and wrong codes typed on the web.
    #[n(10)]
    pub wrong_entries: u8,
    /// Number of the question that may be answered now. Each is answered once.
    #[n(11)]
    pub turn: u32,
    /// What happened, oldest first, at most [`Verification::MAX_EVENTS`].
    #[n(12)]
    pub events: Vec<Event>,
    /// What call tokens are derived from.
    #[n(13)]
    pub seed: Secret<Seed>,
    /// The callee asked not to be called again.
    #[n(14)]
    pub block_requested: bool,
    /// Where in a trace of the client, or of ours, it belongs. Nothing is decided by it.
    #[n(15)]
    pub trace: Option<Trace>,
    /// What was counted for the call that is asked for and not queued yet: a redial.
    #[n(16)]
    pub promised: Option<Admission>,
}

/// 128 random bits.
pub type Seed = minicbor::bytes::ByteArray<16>;

/// What a client asked for, with everything resolved that must not change under a running verification.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Request {
    /// Name of the API key that asked: the tenant.
    #[n(0)]
    pub client: String,
    /// The number and its alternates, in the order in which they are called. Never empty.
    #[n(1)]
    pub targets: Vec<Target>,
    /// What the callee has to do.
    #[n(2)]
    pub mode: Mode,
    /// Id of the call flow.
    #[n(3)]
    pub flow: String,
    /// Version of the call flow at the time: a position of another version means nothing.
    #[n(4)]
    pub flow_version: u64,
    /// Who is said to call.
    #[n(5)]
    pub brand: String,
    /// Why.
    #[n(6)]
    pub purpose: Purpose,
    /// A short text about it.
    #[n(7)]
    pub purpose_text: Option<String>,
    /// The code of modes `match` and `speak`.
    #[n(8)]
    pub code: Option<Secret<Digits>>,
    /// The client's own name for it.
    #[n(9)]
    pub reference: Option<String>,
    /// The client's own pairs, returned as given.
    #[n(10)]
    pub metadata: Vec<(String, String)>,
    /// Where the result is posted.
    #[n(11)]
    pub callback_url: Option<String>,
    /// The limits in force.
    #[n(12)]
    pub policy: Policy,
}

/// One number that may be called.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Target {
    /// The number.
    #[n(0)]
    pub to: E164,
    /// Its keyed hash.
    #[n(1)]
    pub number_hash: NumberHash,
    /// Its country.
    #[n(2)]
    pub country: CountryCode,
    /// Kind of number, as a word of [`crate::phone`].
    #[n(3)]
    pub number_type: String,
    /// Dialled after answer: digits, `*`, `#`, `,` for a second.
    #[n(4)]
    pub extension: Option<String>,
    /// Language of the prompts (BCP 47).
    #[n(5)]
    pub locale: String,
    /// Ways to call it, best first. Never empty.
    #[n(6)]
    pub routes: Vec<Route>,
}

/// Shows neither the number nor what is dialled after answer: together they lead to one person's desk.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("to", &self.to)
            .field("extension", &self.extension.is_some())
            .field("locale", &self.locale)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// A carrier and the number it shows to the callee.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Route {
    /// Name of the carrier in the configuration.
    #[n(0)]
    pub carrier: String,
    /// The caller ID.
    #[n(1)]
    pub caller_id: E164,
}

/// Limits of one verification, fixed at its creation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Policy {
    /// Most calls that may be placed.
    #[n(0)]
    pub max_calls: u8,
    /// How long the telephone may ring, in ms.
    #[n(1)]
    pub ring_timeout_ms: u32,
    /// How long an answered call may last, in ms.
    #[n(2)]
    pub call_limit_ms: u32,
    /// Keys within this time after the callee could first hear something are ignored, in ms: a mailbox greeting may hold
    /// recorded tones.
    #[n(3)]
    pub early_keys_ms: u32,
    /// Keys still count for this long after the end of a call, in ms: the two messages race.
    #[n(4)]
    pub closing_ms: u32,
    /// Wrong entries after which the verification fails.
    #[n(5)]
    pub max_wrong_entries: u8,
    /// How long after a call was placed a redial may be asked for, in ms.
    #[n(6)]
    pub redial_after_ms: u32,
    /// How many times faster than in real life its calls go; above 1 only for simulated ones.
    #[cbor(n(7), default)]
    pub call_speed: u16,
}

/// One attempt to reach one number through one carrier.
#[derive(Debug, Clone, Encode, Decode)]
pub struct Call {
    /// Index of the number called.
    #[n(0)]
    pub target: u8,
    /// Index of the route taken.
    #[n(1)]
    pub route: u8,
    /// How far it has come; only moves up.
    #[n(2)]
    pub leg: Leg,
    /// Whether a carrier has it.
    #[n(3)]
    pub placement: Placement,
    /// The carrier's own name for it, once known.
    #[n(4)]
    pub carrier_call_id: Option<String>,
    /// Where in the flow it stands.
    #[n(5)]
    pub position: Position,
    /// When it was to be placed.
    #[n(6)]
    pub queued_at: Timestamp,
    /// When the carrier took it.
    #[n(7)]
    pub placed_at: Option<Timestamp>,
    /// When it began to ring.
    #[n(8)]
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    #[n(9)]
    pub answered_at: Option<Timestamp>,
    /// When the first script was served in an answered call: from then on the callee could hear us.
    #[n(10)]
    pub heard_at: Option<Timestamp>,
    /// When it ended.
    #[n(11)]
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    #[n(12)]
    pub cause: Option<Cause>,
    /// What was heard last, for the reason of a failure.
    #[n(13)]
    pub last_entry: Option<EntryClass>,
    /// How many questions were asked.
    #[n(14)]
    pub prompts: u8,
    /// What answered, where the carrier tells it.
    #[n(15)]
    pub answered_by: Option<AnsweredBy>,
    /// We asked the carrier to end it, at this time.
    #[n(16)]
    pub hang_up_at: Option<Timestamp>,
    /// A verdict of the flow that is not yet the outcome, because the next number is called first or the call is closing.
    #[n(17)]
    pub verdict: Option<Reason>,
    /// In mode `speak`: the code was spoken.
    #[n(18)]
    pub told: bool,
    /// Its record was handed to the call log: nothing more can come of it.
    #[n(19)]
    pub recorded: bool,
    /// When it was last offered to the dispatchers, or taken by one.
    #[n(20)]
    pub offered_at: Timestamp,
    /// When the flow said its last words: from then on it only has to end.
    #[n(21)]
    pub goodbye_at: Option<Timestamp>,
    /// The carrier that refused it thinks that another one may do better.
    #[n(22)]
    pub try_next_route: bool,
    /// When the first script was served while the call was not known to be answered. Nobody can have agreed to what
    /// plays to a ringing telephone: keys count only once the answer is known.
    #[n(23)]
    pub served_ringing_at: Option<Timestamp>,
    /// What its caller's signed identity vouches for, where it has one that is known.
    #[n(24)]
    pub attestation: Option<Attestation>,
    /// What it costs, where the carrier told it.
    #[n(25)]
    pub price: Option<Price>,
    /// What was counted for it; `None` before it is taken, and for a call that nothing was counted for. One that goes to
    /// its next carrier because nobody dialled it shares that of the one before.
    #[n(26)]
    pub admission: Option<Admission>,
}

/// What a carrier says a call costs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Price {
    /// A decimal number, as the carrier wrote it, without a sign.
    #[n(0)]
    pub amount: String,
    /// ISO 4217 code.
    #[n(1)]
    pub currency: String,
}

impl Price {
    /// Longest amount, in characters.
    const MAX_CHARS: usize = 16;

    /// A price as carriers write it, `-0.0140` and `USD`; `None` for what is no price.
    #[must_use]
    pub fn read(amount: &str, currency: &str) -> Option<Self> {
        let amount = amount.strip_prefix('-').unwrap_or(amount);
        let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_alphabetic());
        let good = amount.len() <= Self::MAX_CHARS && digits(whole) && digits(part) && is_code;
        good.then(|| Self { amount: amount.to_owned(), currency: currency.to_ascii_uppercase() })
    }
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Leg {
    /// To be placed, or placed.
    #[n(0)]
    Dialing,
    /// It rings.
    #[n(1)]
    Ringing,
    /// It was answered.
    #[n(2)]
    Answered,
    /// It is over.
    #[n(3)]
    Ended,
}

/// Whether a carrier has a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Placement {
    /// Waits for a dispatcher.
    #[n(0)]
    Queued,
    /// A dispatcher has taken it: from here on it may have been dialled, and is never dialled again.
    #[n(1)]
    Taken,
    /// The carrier has it.
    #[n(2)]
    Accepted,
    /// The carrier does not have it, for certain.
    #[n(3)]
    Refused,
    /// Nobody can tell.
    #[n(4)]
    Unknown,
}

/// Why a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Cause {
    /// In our words.
    #[n(0)]
    pub end: End,
    /// Whose fault.
    #[n(1)]
    pub fault: Fault,
    /// The carrier's own code or word, at most 64 characters.
    #[n(2)]
    pub carrier_code: Option<String>,
    /// The final SIP status, where it is known.
    #[n(3)]
    pub sip_status: Option<u16>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum End {
    /// It was answered and is over.
    #[n(0)]
    Completed,
    /// The line was busy.
    #[n(1)]
    Busy,
    /// It rang out.
    #[n(2)]
    NoAnswer,
    /// It was declined.
    #[n(3)]
    Rejected,
    /// The number cannot be reached now.
    #[n(4)]
    Unreachable,
    /// There is no such number.
    #[n(5)]
    InvalidNumber,
    /// We ended it before it was answered.
    #[n(6)]
    Canceled,
    /// The carrier, the network, or we failed.
    #[n(7)]
    CarrierError,
    /// The carrier may not call this number.
    #[n(8)]
    Blocked,
}

/// What kind of answer came, without the keys themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum EntryClass {
    /// `#` alone.
    #[n(0)]
    Pound,
    /// `*` alone.
    #[n(1)]
    Star,
    /// `0` alone, which begins a report.
    #[n(2)]
    Zero,
    /// The right code.
    #[n(3)]
    RightCode,
    /// A wrong code.
    #[n(4)]
    WrongCode,
    /// Digits without the ending `#`.
    #[n(5)]
    Unterminated,
    /// Other keys.
    #[n(6)]
    Other,
    /// Nothing.
    #[n(7)]
    Silence,
    /// Keys so soon that nobody can have pressed them on purpose; ignored.
    #[n(8)]
    TooEarly,
}

/// What answered a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum AnsweredBy {
    /// A person.
    #[n(0)]
    Human,
    /// A mailbox or another machine.
    #[n(1)]
    Machine,
    /// A call-screening service.
    #[n(2)]
    Screening,
    /// The carrier could not tell.
    #[n(3)]
    Unknown,
}

/// One thing that happened, for people who watch and for the call log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// Counts from 1 within the verification.
    #[n(0)]
    pub seq: u32,
    /// When.
    #[n(1)]
    pub at: Timestamp,
    /// Index of the call it belongs to, if it belongs to one.
    #[n(2)]
    pub call: Option<u8>,
    /// What.
    #[n(3)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum What {
    /// A call waits to be placed.
    #[n(0)]
    Queued,
    /// A dispatcher took it; it is being dialled.
    #[n(1)]
    Dialing,
    /// The carrier refused it, or its answer is not known.
    #[n(2)]
    NotPlaced,
    /// It rings.
    #[n(3)]
    Ringing,
    /// It was answered.
    #[n(4)]
    Answered,
    /// A question was asked.
    #[n(5)]
    Prompted,
    /// An answer came.
    #[n(6)]
    Entry(#[n(0)] EntryClass),
    /// The code was spoken.
    #[n(7)]
    Told,
    /// It ended.
    #[n(8)]
    Ended(#[n(0)] End),
    /// The callee wants no more such calls.
    #[n(9)]
    BlockRequested,
    /// The client asked to call again.
    #[n(10)]
    RedialRequested,
    /// A wrong code was typed on the web.
    #[n(11)]
    WrongCodeTyped,
    /// The verification became final.
    #[n(12)]
    Decided(#[n(0)] Status),
}

impl Verification {
    /// Most events that are kept; later ones are counted, not kept.
    pub const MAX_EVENTS: usize = 96;

    /// The call that is alive, or the last one. `None` only in a value that no code of ours made.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        self.calls.last()
    }

    /// The number that a call goes to.
    #[must_use]
    pub fn target_of(&self, call: &Call) -> Option<&Target> {
        self.request.targets.get(usize::from(call.target))
    }

    /// The carrier and caller ID that a call uses.
    #[must_use]
    pub fn route_of(&self, call: &Call) -> Option<&Route> {
        self.target_of(call)?.routes.get(usize::from(call.route))
    }

    /// The name of the call at `index`.
    #[must_use]
    pub const fn call_id(&self, index: u8) -> CallId {
        CallId { verification: self.id, index }
    }

    /// How far the live or last call has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.call().map_or(Stage::Queued, Call::stage)
    }

    /// Whether it is final.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.status != Status::Pending
    }
}

impl Call {
    /// How far the call has come, in the words of the contract.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match (self.leg, self.placement) {
            (Leg::Ended, _) => Stage::Ended,
            (Leg::Answered, _) if self.heard_at.is_some() => Stage::Prompting,
            (Leg::Answered, _) => Stage::Answered,
            (Leg::Ringing, _) => Stage::Ringing,
            (Leg::Dialing, Placement::Queued) => Stage::Queued,
            (Leg::Dialing, Placement::Taken | Placement::Accepted | Placement::Refused | Placement::Unknown) => {
                Stage::Dialing
            }
        }
    }

    /// Whether the telephone may still ring or be off the hook.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.leg != Leg::Ended
    }
}

impl Policy {
    /// Ring time.
    #[must_use]
    pub fn ring_timeout(&self) -> Duration {
        Duration::from_millis(self.ring_timeout_ms.into())
    }

    /// Longest answered call.
    #[must_use]
    pub fn call_limit(&self) -> Duration {
        Duration::from_millis(self.call_limit_ms.into())
    }
}
