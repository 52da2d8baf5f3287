//! Owns the session descriptions of a call (RFC 4566, RFC 3264, RFC 4568): our offer, the peer's answer, and our answer
//! when the peer offers again. It knows audio in G.711 with telephone-events and nothing else.

use std::net::{IpAddr, SocketAddr};

use crate::secret::Secret;

/// A way to code speech (RFC 3551 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 mu-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
}

/// Who sends, seen from us (RFC 3264 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// Only we.
    SendOnly,
    /// Only the peer: we are on hold.
    RecvOnly,
    /// Nobody.
    Inactive,
}

/// Which protection of RTP (RFC 4568 section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CryptoSuite {
    /// `AES_CM_128_HMAC_SHA1_80`.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    AesCm128HmacSha1_32,
}

/// Length of an SRTP master key and its salt together, in bytes (RFC 4568 section 6.1).
pub const KEY_AND_SALT_BYTES: usize = 30;

/// An SRTP master key, then its salt.
pub type KeyAndSalt = Secret<[u8; KEY_AND_SALT_BYTES]>;

/// Both keys of a protected line.
#[derive(Debug, Clone)]
pub struct Protection {
    /// The suite, the same both ways.
    pub suite: CryptoSuite,
    /// What we send with.
    pub ours: KeyAndSalt,
    /// What the peer sends with.
    pub theirs: KeyAndSalt,
}

/// Our side of the media of one call: what a description of ours is made of. Addresses are those that the peer sees.
#[derive(Debug, Clone)]
pub struct Local {
    /// Where we take media.
    pub address: IpAddr,
    /// The port for RTP; even.
    pub rtp_port: u16,
    /// The port for RTCP.
    pub rtcp_port: u16,
    /// Session number of the `o=` line, unguessable enough not to meet another.
    pub session: u64,
    /// A fresh key for each call, used when SRTP is asked for.
    pub key: KeyAndSalt,
}

/// What both sides agreed on.
#[derive(Debug, Clone)]
pub struct Negotiated {
    /// What we send; the peer may send either codec, whichever this is.
    pub codec: Codec,
    /// The payload type that we send telephone-events with, if the peer takes them.
    pub events_out: Option<u8>,
    /// The payload type that the peer should send telephone-events with: the one that we named.
    pub events_in: u8,
    /// How much audio a packet of ours holds, in milliseconds.
    pub packet_ms: u8,
    /// Where our RTP goes.
    pub rtp: SocketAddr,
    /// Where our RTCP goes.
    pub rtcp: SocketAddr,
    /// RTCP shares the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
    /// Who sends.
    pub direction: Direction,
    /// SRTP, where it was agreed.
    pub protection: Option<Protection>,
}
