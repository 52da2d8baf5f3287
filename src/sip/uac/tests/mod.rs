//! Owns the tests of the user agent client, in virtual time.

pub(in crate::sip) mod dice;
mod faults;
mod indialog;
mod noise;
mod outside;
mod sessions;
mod ways;
mod world;
mod worlds;
