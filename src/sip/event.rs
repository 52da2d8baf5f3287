//! Owns what comes out of the [`super::Uac`]: bytes to send, and what happened to calls, probes and registrations. How an
//! outcome is called is decided by the carrier, not here.

use std::time::Duration;

use super::{CallKey, FlowId, OfferId, ProbeKey, RegistrationKey, Transport};
use crate::time::Timestamp;

/// What the driver has to do next.
#[derive(Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Something happened.
    Event(Event),
    /// A message was sent or received; only with [`super::Settings::trace`].
    Trace(Rung),
    /// Nothing more now; come back with [`super::Input::Tick`] at this time at the latest, if there is one.
    Timeout(Option<Timestamp>),
}

/// Bytes to send.
#[derive(Debug)]
pub struct Transmit {
    /// Where.
    pub flow: FlowId,
    /// Where RFC 3261 (sections 8.1.2 and 12.2.1.1) wants a request in a dialog, or one that follows a redirect: it may be
    /// another place than the peer of the flow. Responses, and all requests before, have none.
    pub hop: Option<Hop>,
    /// A whole message.
    pub bytes: Vec<u8>,
}

/// The next place of a request, as its route or its URI says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// A name or a numeric address, without brackets.
    pub host: String,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The transport, where one is given.
    pub transport: Option<Transport>,
}

/// A `Reason` header (RFC 3326): `Q.850;cause=17;text="User busy"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `Q.850`, `SIP`, or what the peer wrote.
    pub protocol: String,
    /// The number.
    pub cause: Option<u16>,
    /// The text; what the peer wrote, at most 128 bytes.
    pub text: Option<String>,
    /// Whether `location=U` says that it came from the callee's own side (RFC 8606).
    pub by_user: bool,
}

/// Why an INVITE was given up by ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canceled {
    /// The ring limit passed.
    RingLimit,
    /// [`super::Input::Cancel`] or [`super::Input::HangUp`].
    Asked,
}

/// How an unanswered call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The final code. Made by ourselves where `local`: 400 could not be sent, 408 no final response, 487 canceled and
    /// never confirmed, 503 the flow failed.
    pub code: u16,
    /// The phrase beside it, at most 128 bytes.
    pub phrase: String,
    /// Whether the code was made here and not by the network.
    pub local: bool,
    /// Whether any response came at all.
    pub seen_response: bool,
    /// Whether a 180, 181, 182 or 183 came.
    pub rang: bool,
    /// Set when we canceled. A 487 then confirms it.
    pub canceled: Option<Canceled>,
    /// The callee answered while we canceled: the call was ended at once, and may be billed.
    pub crossed: bool,
    /// `Reason` headers.
    pub reasons: Vec<Reason>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `Warning`, first one, at most 256 bytes.
    pub warning: Option<String>,
    /// URIs of `Contact` headers (3xx, 485), at most 8. They may hold numbers: not for logs.
    pub contacts: Vec<String>,
}

/// Why the target did not take the call. The call goes on at another one, or not at all: the driver starts a new attempt
/// with the same key, or forgets the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exhausted {
    /// No response within [`super::Settings::response_limit`].
    Silent,
    /// The flow failed before a response above 100 came.
    FlowFailed,
    /// 503 before any ringing.
    Unavailable(Box<Refusal>),
}

/// Who ended an answered call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ender {
    /// We did.
    Us,
    /// The other side.
    Peer,
}

/// Why an answered call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// A BYE, theirs or ours.
    Bye,
    /// The session was not refreshed in time (RFC 4028).
    SessionExpired,
    /// The peer knew the call no more (408 or 481 to a request of ours).
    Lost,
    /// Our 200 to a re-INVITE was never acknowledged.
    NotAcknowledged,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// An answer; anything but 408 and 503 proves that the target lives.
    Answered {
        /// The final code.
        code: u16,
        /// `Retry-After`.
        retry_after: Option<Duration>,
        /// From the first byte to the answer.
        took: Duration,
    },
    /// Nothing came within the limit.
    Silent,
    /// The flow failed.
    FlowFailed,
    /// It could not be sent: a malformed URI, or too many requests open.
    NotSent,
}

/// How a registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationState {
    /// It holds; the core refreshes it before it ends.
    Registered {
        /// What the registrar granted.
        expires: Duration,
    },
    /// It does not hold.
    Failed {
        /// The final code; `None` when no answer came.
        code: Option<u16>,
        /// When the core tries again.
        retry_in: Duration,
    },
    /// It was taken back, or given up.
    Unregistered,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A provisional response above 100, each once.
    Provisional {
        /// The call.
        call: CallKey,
        /// 180 ringing, 183 progress; an unknown one counts as 183.
        code: u16,
        /// The phrase, at most 128 bytes.
        phrase: String,
        /// Whether a session description came with it: early media may flow.
        early_media: bool,
    },
    /// The call is answered and acknowledged. Only the first fork that answers becomes the call.
    Answered {
        /// The call.
        call: CallKey,
        /// The answer to our offer, from the 200 or from the response before it; empty when there was none.
        answer: Vec<u8>,
        /// The tag that the fork gave itself; empty for an old peer.
        remote_tag: String,
        /// How many forks rang before.
        forks: usize,
    },
    /// The call was not answered. The key is free.
    Refused {
        /// The call.
        call: CallKey,
        /// How.
        refusal: Box<Refusal>,
    },
    /// The target did not take the call. The key is free for an attempt at another target; what may still come from this
    /// one is canceled or ended by the core.
    NextTarget {
        /// The call.
        call: CallKey,
        /// Why.
        exhausted: Exhausted,
    },
    /// An answered call is over. The key is free.
    Ended {
        /// The call.
        call: CallKey,
        /// By whom.
        by: Ender,
        /// Why.
        cause: EndCause,
        /// `Reason` headers of the BYE.
        reasons: Vec<Reason>,
    },
    /// The peer sent an INFO request in the call; it is answered already. Read keys with [`super::info::keys`].
    InfoReceived {
        /// The call.
        call: CallKey,
        /// The `Content-Type`, lower case, without parameters.
        content_type: String,
        /// At most 1 KiB. May hold keys: not for logs.
        body: Vec<u8>,
    },
    /// The peer offers other media in mid-call (re-INVITE, UPDATE). Answer with [`super::Input::Answer`].
    Offered {
        /// The call.
        call: CallKey,
        /// Names it in the answer. A later offer replaces it.
        offer: OfferId,
        /// What it offers; `None` when it asks us to offer, and the answer comes with [`Event::AnswerReceived`].
        sdp: Option<Vec<u8>>,
    },
    /// The peer's answer to what we offered in [`super::Input::Answer`].
    AnswerReceived {
        /// The call.
        call: CallKey,
        /// The session description.
        answer: Vec<u8>,
    },
    /// A probe is over.
    Probed {
        /// The probe.
        probe: ProbeKey,
        /// What it found.
        result: ProbeResult,
    },
    /// A registration changed.
    Registration {
        /// The registration.
        registration: RegistrationKey,
        /// How it stands.
        state: RegistrationState,
    },
}

/// What went wrong on the wire since the start, and what is held now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Messages that could not be read and were dropped.
    pub malformed: u64,
    /// Responses that belong to nothing of ours.
    pub stray_responses: u64,
    /// Final responses that came again: our ACK was lost or not understood.
    pub repeated_finals: u64,
    /// Requests out of any call that were refused.
    pub refused_requests: u64,
    /// Requests in a call with an old `CSeq`.
    pub old_requests: u64,
    /// Forks that answered after another one, and were ended.
    pub extra_forks: u64,
    /// What was refused because a bound was reached.
    pub bounded: u64,
    /// Requests of ours that were repeated.
    pub repeated_requests: u64,
}

/// One message of the ladder, masked: no password, no key, no number but its last digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// The call it belongs to, if any.
    pub call: Option<CallKey>,
    /// When.
    pub at: Timestamp,
    /// Whereto.
    pub direction: Direction,
    /// On which flow.
    pub flow: FlowId,
    /// The first line and the `CSeq`, or the whole message.
    pub text: String,
}

/// Whether a message was sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// By us.
    Sent,
    /// By the peer.
    Received,
}
