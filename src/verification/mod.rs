//! Owns what a verification is and how it changes. Pure: no clock, no randomness, no IO. Three functions say
//! everything: [`Verification::step`] changes it, [`Verification::script`] says what the callee hears now,
//! [`Verification::deadline`] says when to look again. The shell commits the value with its effects, and only then
//! lets the effects reach the world.

mod admission;
mod course;
mod entry;
mod record;
mod signal;
mod state;
mod step;
#[cfg(test)]
mod tests;

use crate::{dtmf::Digits, id::CallToken, outcome::Attestation, phone::E164};

pub use admission::Admission;
pub use record::{CallRecord, Delivery};
pub use state::{
    AnsweredBy, Call, Cause, End, EntryClass, Event, Leg, Placement, Policy, Price, Request, Route, Seed, Target,
    Verification, What,
};

/// Something that happened to a verification.
#[derive(Debug, Clone)]
pub enum Input {
    /// A dispatcher is about to dial this call.
    Taken {
        /// Index of the call.
        call: u8,
    },
    /// The carrier answered the request to dial.
    Placed {
        /// Index of the call.
        call: u8,
        /// What it said.
        result: PlaceResult,
    },
    /// The carrier says something about a call, authenticated.
    Carrier {
        /// The token from the URL, or from our own SIP dialog.
        token: CallToken,
        /// The carrier's name in the configuration.
        carrier: String,
        /// The carrier's own name for the call, where it tells one.
        carrier_call_id: Option<String>,
        /// The number called, where it tells one.
        to: Option<E164>,
        /// What it says.
        signal: Signal,
        /// What it tells besides.
        aside: Aside,
    },
    /// The client takes the verification back.
    Cancel,
    /// The client wants the number called again.
    Redial,
    /// Somebody typed this code on the web, in mode `speak`.
    Check(Digits),
    /// A deadline has come.
    Tick,
}

/// What a carrier may tell of a call beside how it goes. Nothing is decided by it; it is kept for the call log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aside {
    /// What the caller's signed identity vouches for.
    pub attestation: Option<Attestation>,
    /// What the call costs.
    pub price: Option<Price>,
}

/// What a carrier says about a call.
#[derive(Debug, Clone)]
pub enum Signal {
    /// The call is being set up; nothing rings yet.
    Initiated,
    /// It rings.
    Ringing,
    /// It was answered.
    Answered,
    /// The carrier asks what to play. `answered` is false for carriers that ask while it still rings.
    Flow {
        /// Whether the call has been answered.
        answered: bool,
    },
    /// Keys answer the question of this turn; none means silence.
    Keys {
        /// The turn in the URL.
        turn: u32,
        /// The keys.
        digits: Digits,
        /// Whether the same message says that the call is answered; false where it says nothing about it.
        answered: bool,
    },
    /// What answered.
    AnsweredBy(AnsweredBy),
    /// The call is over.
    Ended(Cause),
}

/// What came of the request to dial.
#[derive(Debug, Clone)]
pub enum PlaceResult {
    /// The carrier has it, under this name if it tells one.
    Accepted {
        /// The carrier's name for the call.
        carrier_call_id: Option<String>,
    },
    /// For certain it was not dialled and will not be.
    Refused {
        /// Why.
        cause: Cause,
        /// Whether another carrier may do better.
        try_next_route: bool,
    },
    /// It may have been dialled.
    Unknown {
        /// What was seen.
        cause: Cause,
    },
}

/// What the shell has to do once the change is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Dial this call. Done at most once, whatever happens.
    Place {
        /// Index of the call.
        call: u8,
    },
    /// End this call. May be repeated.
    HangUp {
        /// Index of the call.
        call: u8,
    },
    /// Tell the backend the outcome. Repeated until it is acknowledged.
    Report,
    /// Write the record of this call into the call log.
    Record {
        /// Index of the call.
        call: u8,
    },
}

/// What a step did.
#[derive(Debug, Clone, Default)]
pub struct Stepped {
    /// Whether the value is another one now and has to be committed.
    pub changed: bool,
    /// What to do after the commit.
    pub effects: Vec<Effect>,
    /// Why nothing came of the input, for the counters; `None` when something did.
    pub ignored: Option<Ignored>,
    /// The change must be written before this time by the store's clock, or not at all: an approval.
    pub before: Option<crate::time::Timestamp>,
    /// The turn that the change uses up: the store refuses to spend one twice.
    pub spends: Option<u32>,
}

/// Why an input did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// It was known already, or something later was.
    Late,
    /// The outcome is final.
    Final,
    /// The token is not of this verification, or its proof is wrong.
    WrongToken,
    /// The carrier, its name for the call or the number do not match the call.
    WrongCall,
    /// Keys for another question than the one that is open.
    WrongTurn,
    /// Keys before the callee could hear anything: nothing was served, or the call is not known to be answered.
    NothingHeard,
    /// Not possible now: redial too early, nothing to check.
    NotNow,
    /// Not possible in this mode.
    WrongMode,
    /// No calls are left.
    NoCallsLeft,
}
