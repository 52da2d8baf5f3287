//! Owns what can be chosen about the protocol for the whole process. Times that RFC 3261 fixes are constants elsewhere.

use std::time::Duration;

/// How the [`super::Uac`] behaves. `Settings::default()` is right for a trunk.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `User-Agent` and `Server` header; names neither host nor version of a library. What is not printable ASCII is
    /// left out.
    pub user_agent: String,
    /// How long an INVITE may stay without any response before the next target is wanted (RFC 3263 section 4.3 with a
    /// shorter limit than timer B). At most 32 s.
    pub response_limit: Duration,
    /// How long an offer of the peer waits for [`super::Input::Answer`] before it is refused with 488.
    pub answer_limit: Duration,
    /// What is written down of the messages.
    pub trace: Trace,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: String::from("ringproof"),
            response_limit: Duration::from_secs(4),
            answer_limit: Duration::from_secs(5),
            trace: Trace::Off,
        }
    }
}

/// How much of each message goes to [`super::Output::Trace`]. Secrets and numbers are masked either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Nothing.
    Off,
    /// The first line and the `CSeq`: a ladder.
    Lines,
    /// All of it.
    Messages,
}
