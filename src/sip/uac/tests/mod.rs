//! Owns the tests of the user agent client, in virtual time.

mod faults;
mod indialog;
mod outside;
mod sessions;
mod ways;
mod world;
