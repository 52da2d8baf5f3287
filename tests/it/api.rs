//! The HTTP API as a client, a page and a carrier see it: the whole edge before a real gateway on the store in memory,
//! with a carrier that does what a test says. No sockets, but where connections themselves are looked at.

mod access;
mod board;
mod calls;
mod console;
mod description;
mod erasing;
mod limits;
mod operations;
mod stats;
mod verifications;
mod waiting;
mod webhooks;
mod world;
