//! Owns who takes part in a call, and from whom to whom each step of it goes: a call drawn as a ladder.

/// Who takes part in a call, in the order of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// The client that asked for the verification.
    Backend,
    /// We.
    Us,
    /// The carrier that places the call.
    Carrier,
    /// Whoever is called.
    Callee,
}

impl Party {
    /// All of them, from left to right.
    pub const ALL: [Self; 4] = [Self::Backend, Self::Us, Self::Carrier, Self::Callee];
}

/// From whom to whom a step goes, by the type of its event; what is not about a call goes from us to the backend.
#[must_use]
pub fn between(event_type: &str) -> (Party, Party) {
    match event_type {
        "call.queued" | "verification.redial_requested" | "verification.wrong_code" => (Party::Backend, Party::Us),
        "call.dialing" => (Party::Us, Party::Carrier),
        "call.not_placed" | "call.ended" => (Party::Carrier, Party::Us),
        "call.ringing" => (Party::Carrier, Party::Callee),
        "call.answered" => (Party::Callee, Party::Carrier),
        "call.prompted" | "call.code_spoken" => (Party::Us, Party::Callee),
        "call.entry" | "call.block_requested" => (Party::Callee, Party::Us),
        _ => (Party::Us, Party::Backend),
    }
}
