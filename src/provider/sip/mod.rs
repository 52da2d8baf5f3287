//! Owns the `sip` carrier: a SIP trunk, with ringproof as the telephone.

pub mod config;
pub mod endpoint;
mod identity;
pub mod media;
mod outcome;
mod resolve;
mod transport;
mod trunk;
pub mod trunk_uri;
pub mod voice;
