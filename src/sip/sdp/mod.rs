//! Owns the session descriptions of a call (RFC 4566, RFC 3264, RFC 4568): our offer, the peer's answer, and our answer
//! when the peer offers again. It knows audio in G.711 with telephone-events and nothing else.

mod read;
mod write;

pub use read::{agree, answer};
pub use write::offer;

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
    /// Version of the `o=` line: one more for each description of the call (RFC 3264 section 8).
    pub version: u64,
    /// A fresh key for each call, used when SRTP is asked for.
    pub key: KeyAndSalt,
}

/// Whether keys are in our descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protect {
    /// Plain RTP.
    Off,
    /// SRTP with keys in the descriptions (RFC 4568), and no call without. Only where nobody on the way reads them.
    Required,
}

/// Why there is no media between us and the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// It cannot be read, or is longer than [`MAX_BYTES`].
    #[error("the session description cannot be read")]
    Unreadable,
    /// No audio, or refused with port 0.
    #[error("no audio is offered or accepted")]
    NoAudio,
    /// Another protocol than ours: plain where SRTP is required, or the other way round.
    #[error("the media protocol is not the one agreed for this trunk (RTP/AVP, or RTP/SAVP over TLS)")]
    Protocol,
    /// Neither PCMU nor PCMA.
    #[error("neither PCMU nor PCMA is offered or accepted")]
    NoCodec,
    /// Media to a name, to many, or to nowhere.
    #[error("the address for media is not the numeric address of one host")]
    Address,
    /// No key for SRTP that we can use.
    #[error("no usable SRTP key is offered or accepted")]
    NoKey,
}

/// Longest description that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;
/// The payload type that we name for telephone-events; the number that most of the world uses.
pub const EVENTS: u8 = 101;
/// How much audio a packet holds where the peer asks for nothing else, in milliseconds.
pub const PACKET_MS: u8 = 20;

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
    /// Where our RTCP goes: a port of its own, since sharing that of RTP (RFC 5761) is not offered.
    pub rtcp: SocketAddr,
    /// Who sends.
    pub direction: Direction,
    /// SRTP, where it was agreed.
    pub protection: Option<Protection>,
}

impl Direction {
    /// As it stands in a description.
    const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same seen from the other side.
    const fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::SendRecv | Self::Inactive => self,
        }
    }

    /// Whether we send.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the peer sends.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

impl CryptoSuite {
    const ALL: [Self; 2] = [Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }
}

#[cfg(test)]
mod tests;
