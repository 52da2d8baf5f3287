//! Trunks made by hand on the loopback.
