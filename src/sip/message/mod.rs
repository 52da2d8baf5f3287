//! Owns SIP messages as bytes: reading them tolerantly, cutting them out of streams, writing them without any way to slip
//! a header in. What a message means for a call is decided in `uac`.

mod address;
mod auth;
mod fields;
#[cfg(test)]
mod forms;
mod frame;
mod limits;
mod name;
mod read;
mod scan;
mod start;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::sip) mod torture;
mod uri;
mod via;
mod write;

pub use address::NameAddr;
pub use auth::{Algorithm, Challenge, Qop};
pub use fields::{
    CSeq, RAck, Refresher, SessionExpires, cseq, list, rack, reasons, retry_after, seconds, session_expires,
};
pub use frame::{Frame, FrameError, Framer};
pub use limits::{MAX_HEAD, MAX_HEADERS, MAX_MESSAGE, MAX_PARAMS, MAX_PHRASE, MAX_VALUES};
pub use name::Name;
pub use read::{Field, Malformed, Message};
pub use scan::Params;
pub(crate) use scan::{is_token, shorten};
pub use start::{Method, Start};
pub use uri::Uri;
pub(crate) use via::COOKIE;
pub use via::Via;
pub(crate) use write::Lines;
pub use write::Writer;
