//! Owns the world around a gateway under test: the carrier it asks for calls, and the people who answer them.

pub(crate) mod backend;
pub(crate) mod carrier;
pub(crate) mod program;
pub(crate) mod redis;
pub(crate) mod server;
pub(crate) mod sip;
