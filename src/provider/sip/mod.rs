//! Owns the `sip` carrier: a SIP trunk, with ringproof as the telephone.

pub mod media;
mod outcome;
