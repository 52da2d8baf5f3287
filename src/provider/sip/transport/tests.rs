//! Peers made by hand on the loopback: UDP, TCP, TLS, and what goes wrong with each.
