//! Trunks made by hand on the loopback, and the endpoint as it is with real sockets and real time.

mod calls;
mod ending;
mod failover;
mod health;
mod server;
