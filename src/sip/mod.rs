//! Owns the Session Initiation Protocol (RFC 3261) as ringproof speaks it: it calls, and is never called. Pure: no IO, clock,
//! randomness or async; bytes and time come in, bytes and events go out. Sockets, names and targets belong to the driver.
//!
//! One [`Uac`] serves a process. After each [`Uac::handle_input`] drain [`Uac::poll_output`] until it says
//! [`Output::Timeout`], and come back with [`Input::Tick`] at that time at the latest:
//!
//! ```text
//! uac.handle_input(now, input);
//! loop {
//!     match uac.poll_output() {
//!         Output::Transmit(transmit) => send transmit.bytes on transmit.flow,
//!         Output::Event(event) => tell the call,
//!         Output::Trace(rung) => log it,
//!         Output::Timeout(at) => break, and sleep until `at`, or until something arrives,
//!     }
//! }
//! ```

mod digest;
mod event;
pub mod info;
mod input;
pub mod media;
pub mod message;
mod random;
pub mod sdp;
mod settings;
mod trace;
mod uac;

pub use event::{
    Canceled, Counters, Direction, EndCause, Ender, Event, Exhausted, Hop, Output, ProbeResult, Reason, Refusal,
    RegistrationState, Rung, Transmit,
};
pub use input::{
    Arrival, CallKey, Credentials, ExtraHeader, FlowId, Input, Invite, OfferId, Party, Path, Probe, ProbeKey,
    Registration, RegistrationKey, Transport,
};
pub use settings::{Settings, Trace};
pub use uac::Uac;
