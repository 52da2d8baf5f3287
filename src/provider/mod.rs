//! Owns the face of carriers: placing and ending calls, understanding what a carrier posts, and saying a script in
//! its dialect. Carriers are translators: they decide nothing about a verification.

pub mod http;
pub mod simulator;
pub mod sip;
pub mod twilio;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    callflow::Script,
    id::{CallId, CallToken},
    outcome::Attestation,
    phone::E164,
    sip::Direction,
    time::Timestamp,
    verification::{Aside, Cause, PlaceResult, Signal},
};

/// A future of a carrier: async methods cannot be called on `dyn Provider`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to call telephones.
pub trait Provider: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// What the signed identity vouches for that it gives each of its calls; `None` for a carrier that signs none itself.
    fn attestation(&self) -> Option<Attestation> {
        None
    }

    /// Asks for a call. Never repeats a request whose outcome is unknown; says so instead.
    fn place<'a>(&'a self, order: &'a Order) -> Pending<'a, PlaceResult>;

    /// Asks to end a call. May be repeated; a call that is over already is no error.
    fn hang_up<'a>(&'a self, call: &'a LiveCall) -> Pending<'a, Result<(), HangUpError>>;

    /// Authenticates and reads what a carrier posted. Nothing of it is used before its signature was checked.
    ///
    /// # Errors
    /// Why it is refused; the caller answers 403 and changes nothing.
    fn accept(&self, inbound: &Inbound<'_>) -> Result<Accepted, Refused>;

    /// Says a script in the carrier's dialect. Keys are to be posted to `keys_url`.
    fn render(&self, script: &Script, keys_url: &str) -> Reply;

    /// What answers a webhook that asks for nothing.
    fn acknowledge(&self) -> Reply;

    /// What is played when we cannot go on: an apology in this language, then hang up. Well-formed whatever happened.
    fn apologize(&self, language: &str) -> Reply;

    /// Looks whether the carrier can be reached and knows us, without calling anybody. In words, how it is.
    fn check(&self) -> Pending<'_, Result<String, CheckFault>>;

    /// What one of its own error codes means, where an operator can do something about it.
    fn meaning(&self, _code: &str) -> Option<CodeMeaning> {
        None
    }

    /// What was said in SIP for a call, as far as this process keeps it for support.
    fn captured(&self, _call: CallId) -> Pending<'_, Captured> {
        Box::pin(std::future::ready(Captured::NoSip))
    }
}

/// What an error code of a carrier means, where it is ours to repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeMeaning {
    /// It does not accept our credentials.
    Credentials,
    /// There is no such account, or it is closed or suspended.
    Account,
    /// The number we call from is none that the account may show.
    CallerId,
    /// A trial account calls verified numbers only.
    Trial,
    /// The account may not call this country.
    Country,
    /// It does not take the addresses that we want to be called at.
    Address,
}

impl CodeMeaning {
    /// Every meaning.
    pub const ALL: &'static [Self] =
        &[Self::Credentials, Self::Account, Self::CallerId, Self::Trial, Self::Country, Self::Address];

    /// The word in the ids of texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Account => "account",
            Self::CallerId => "caller_id",
            Self::Trial => "trial",
            Self::Country => "country",
            Self::Address => "address",
        }
    }
}

/// What was said in SIP for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Captured {
    /// Nothing: the carrier speaks no SIP with us.
    NoSip,
    /// Nothing is kept of what is said with this carrier.
    Off,
    /// Nothing is kept of this call: it is older than what is kept, or another process had it.
    Gone,
    /// This, oldest first.
    Messages(Vec<SipMessage>),
}

/// One message of a call, masked: no password, no key, no number but its last digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipMessage {
    /// When.
    pub at: Timestamp,
    /// Whereto.
    pub direction: Direction,
    /// The whole message.
    pub text: String,
}

impl SipMessage {
    /// Whether we sent it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.direction == Direction::Sent
    }
}

/// Why a carrier cannot be used, found without calling anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct CheckFault {
    /// What kind of fault it is.
    pub kind: CheckKind,
    /// What is wrong, and what to do about it, for people who look after us.
    pub why: String,
}

/// What kind of fault keeps a carrier from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckKind {
    /// It cannot be reached or does not work; this may pass by itself.
    Away,
    /// It refuses our credentials or our account: somebody has to act.
    Refused,
}

impl CheckFault {
    /// It cannot be reached or does not work.
    #[must_use]
    pub fn away(why: impl Into<String>) -> Self {
        Self { kind: CheckKind::Away, why: why.into() }
    }

    /// It refuses our credentials or our account.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self { kind: CheckKind::Refused, why: why.into() }
    }
}

/// What a carrier can do: flows and requests that need more are refused before anything is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Digits can be dialled after answer.
    pub extensions: bool,
    /// An entry of several keys can be gathered at once.
    pub entries: bool,
    /// Texts are spoken by the carrier; without it recordings are needed.
    pub speech: bool,
    /// Recordings can be played.
    pub recordings: bool,
    /// Longest extension string.
    pub max_extension: usize,
}

/// A call to be placed.
#[derive(Clone)]
pub struct Order {
    /// Its token.
    pub token: CallToken,
    /// The number.
    pub to: E164,
    /// The caller ID.
    pub from: E164,
    /// Dialled after answer: digits, `*`, `#`, `,` for a second.
    pub extension: Option<String>,
    /// How long it may ring.
    pub ring_timeout: Duration,
    /// How long an answered call may last.
    pub call_limit: Duration,
    /// Where the carrier gets what to play.
    pub flow_url: String,
    /// Where the carrier tells how the call goes.
    pub status_url: String,
}

/// Shows which call it is, not the token in the URLs, nor what is dialled after answer.
impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("call", &self.token.call).field("to", &self.to).finish_non_exhaustive()
    }
}

/// A call to be ended.
#[derive(Debug, Clone)]
pub struct LiveCall {
    /// Our token.
    pub token: CallToken,
    /// The carrier's name for it; nothing can be asked of a carrier without one.
    pub carrier_call_id: Option<String>,
    /// Whether it was answered.
    pub answered: bool,
}

/// Ending a call did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HangUpError {
    /// It may work later.
    #[error("the carrier could not end the call now: {0}")]
    Later(String),
    /// It will not work.
    #[error("the carrier will not end the call: {0}")]
    Never(String),
}

/// What a carrier posted, as it came.
#[derive(Debug)]
pub struct Inbound<'a> {
    /// Which of our URLs.
    pub to: Endpoint,
    /// The method, in capital letters.
    pub method: &'a str,
    /// The public URL that was requested: `public_url`, path and query as received, no fragment.
    pub url: &'a str,
    /// The headers as received; names in lower case.
    pub headers: &'a ::http::HeaderMap,
    /// The body as received.
    pub body: &'a [u8],
}

/// The three URLs of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `…/flow`
    Flow,
    /// `…/keys/{turn}`
    Keys {
        /// The turn.
        turn: u32,
    },
    /// `…/status`
    Status,
}

/// What a carrier says, authenticated.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The carrier's name for the call.
    pub carrier_call_id: Option<String>,
    /// The number called, where it is told and is one.
    pub to: Option<E164>,
    /// What it says; `None` when it says nothing that we know: acknowledged, counted, without effect.
    pub signal: Option<Signal>,
    /// What it tells besides.
    pub aside: Aside,
}

/// Why a webhook is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refused {
    /// No signature.
    #[error("the signature is missing")]
    NoSignature,
    /// The signature is not the one of this message.
    #[error("the signature does not match")]
    BadSignature,
    /// A signature scheme that we do not know.
    #[error("the signature scheme is unknown")]
    UnknownScheme,
    /// Signed, but of another account.
    #[error("the message is of another account")]
    WrongAccount,
    /// Signed, but not readable as what the carrier sends.
    #[error("the message cannot be read")]
    Malformed,
}

impl Refused {
    /// The word for counters and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSignature => "no_signature",
            Self::BadSignature => "bad_signature",
            Self::UnknownScheme => "unknown_scheme",
            Self::WrongAccount => "wrong_account",
            Self::Malformed => "malformed",
        }
    }
}

/// An answer to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body; empty for none.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Where carriers that run in our own process (a simulated telephone, a SIP trunk) hand in what happens on a call and
/// get what to play. Implemented by the gateway.
pub trait Switchboard: Send + Sync {
    /// Hands in a signal; the script is what the callee hears from now on, and the turn its answers belong to.
    fn signal(
        &self,
        carrier: String,
        carrier_call_id: String,
        token: CallToken,
        signal: Signal,
    ) -> Pending<'_, Option<Line>>;
}

/// What the callee hears from now on.
#[derive(Debug, Clone)]
pub struct Line {
    /// The script.
    pub script: Script,
    /// The turn that keys belong to.
    pub turn: u32,
}

/// The carriers of a configuration by name.
pub type Carriers = std::collections::BTreeMap<String, Arc<dyn Provider>>;

/// A cause for a call that the carrier, for certain, did not take.
#[must_use]
pub const fn refused(cause: Cause, try_next_route: bool) -> PlaceResult {
    PlaceResult::Refused { cause, try_next_route }
}
