//! ringproof proves that a person holds a telephone: it calls the number, says who is calling and why, and takes keys.
//!
//! Read [`verification`] first: everything that is decided is decided there. `ARCHITECTURE.md` is the map.

pub mod callflow;
pub mod commands;
pub mod config;
pub mod console;
pub mod demo;
pub mod dtmf;
pub mod gateway;
pub mod guard;
pub mod http;
pub mod id;
pub mod outcome;
mod pages;
pub mod phone;
pub mod provider;
pub mod secret;
pub mod serve;
pub mod sip;
pub mod span;
pub mod store;
pub mod telemetry;
pub mod texts;
pub mod time;
pub mod trace;
pub mod verification;
