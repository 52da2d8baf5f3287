//! Owns the `sip` carrier: a SIP trunk, with ringproof as the telephone.

pub mod config;
mod identity;
pub mod media;
mod outcome;
mod resolve;
mod transport;
pub mod trunk_uri;
