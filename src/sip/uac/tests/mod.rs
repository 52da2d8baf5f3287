//! Owns the tests of the user agent client: one for each way in which peers are known to go wrong, in virtual time.

mod faults;
mod world;
