//! Owns the bounds of one message. Above them a message is malformed; nothing is cut short in silence.

/// Largest message, in bytes: what a datagram can hold.
pub const MAX_MESSAGE: usize = 65_535;
/// Largest head on a stream, in bytes. A head of 60 KB is read; one that never ends is not waited for.
pub const MAX_HEAD: usize = 65_535;
/// Most header lines.
pub const MAX_HEADERS: usize = 256;
/// Most values in one header or in several of one name that are looked at.
pub const MAX_VALUES: usize = 64;
/// Most parameters of one value that are looked at.
pub const MAX_PARAMS: usize = 32;
/// Longest boundary between the parts of a body, in bytes (RFC 2046 section 5.1.1).
pub(super) const MAX_BOUNDARY: usize = 70;
/// Longest text of the peer that is kept for people to read, in bytes.
pub const MAX_PHRASE: usize = 128;
