//! Owns what is said and heard in a SIP call: prompts, keys, the quality of a line. It reads no clock, no network and
//! no randomness: packets, times and seeds are handed in. Which call it is, and what a key means, is decided elsewhere.

pub mod clip;
pub mod dial;
pub mod event;
pub mod g711;
mod incoming;
pub mod keys;
mod machine;
mod outgoing;
pub mod reception;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
pub mod stream;
pub mod tones;

pub use dial::{Dialling, NotDialable, PAUSE, Step};
pub use outgoing::Start;

use std::{fmt, sync::Arc, time::Duration};

use crate::dtmf::Digit;

/// Samples a second of every codec here (G.711) and of telephone-events (RFC 4733, same clock).
pub const SAMPLE_RATE_HZ: u32 = 8_000;

/// Something to be heard by the callee.
#[derive(Clone, PartialEq, Eq)]
pub enum Sound {
    /// Recorded audio: mu-law (G.711) bytes at 8 kHz, one a sample, any length.
    Clip(Arc<[u8]>),
    /// Nothing, for so long.
    Silence(Duration),
}

impl Sound {
    /// How long it lasts, in samples; what is longer than 2^32 samples (149 hours) is cut there.
    #[must_use]
    pub fn samples(&self) -> u32 {
        match self {
            Self::Clip(clip) => u32::try_from(clip.len()).unwrap_or(u32::MAX),
            Self::Silence(silence) => {
                u32::try_from(silence.as_millis().saturating_mul(u128::from(SAMPLE_RATE_HZ / 1000))).unwrap_or(u32::MAX)
            }
        }
    }
}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clip(clip) => write!(f, "Clip({} samples)", clip.len()),
            Self::Silence(silence) => write!(f, "Silence({silence:?})"),
        }
    }
}

/// Whether the address of the peer's media may differ from the one in its description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latching {
    /// Media is taken from the described address only.
    Strict,
    /// Symmetric RTP (RFC 4961): another port of the same host takes over, if the first valid packet comes from there.
    SameHost,
}

/// Whether a key ends what is being played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BargeIn {
    /// The first key cuts it.
    Cuts,
    /// It is heard to its end.
    Ignored,
}

/// The way a key came to us, the most trusted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeardBy {
    /// A telephone-event in RTP (RFC 4733).
    Event,
    /// A SIP INFO request.
    SipInfo,
    /// A pair of tones in the audio.
    Tone,
}

/// How a play came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayEnd {
    /// All of it was sent.
    Whole,
    /// A key cut it.
    BargeIn,
    /// It was stopped, or another play took its place, or the leg was closed.
    Stopped,
}

/// What sounds like a machine at the other end. Only a hint: it never approves and never refuses anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineSign {
    /// One stretch of speech from the start, far longer than a person's hello.
    LongGreeting(Duration),
    /// A single steady tone, as before a recording.
    Beep,
}

/// What happened on a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The first valid packet of the other end arrived.
    Connected,
    /// The first packet of this play went out.
    Playing {
        /// The number that was given to the play.
        play: u64,
    },
    /// A play is over.
    Played {
        /// The number that was given to the play.
        play: u64,
        /// How it ended.
        end: PlayEnd,
    },
    /// The digits of `dial` were all sent.
    Dialled,
    /// A key was pressed.
    Key {
        /// Which one. A secret where it is part of a code.
        digit: Digit,
        /// How it came.
        heard_by: HeardBy,
    },
    /// Nothing came from the other end, neither RTP nor RTCP, for [`QUIET_AFTER`]. Said once a silence.
    Quiet,
    /// Something that a machine would do.
    Machine(MachineSign),
    /// The line is closed; always the last event.
    Closed(Quality),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("Connected"),
            Self::Playing { play } => write!(f, "Playing({play})"),
            Self::Played { play, end } => write!(f, "Played({play}, {end:?})"),
            Self::Dialled => f.write_str("Dialled"),
            Self::Key { digit, heard_by } => write!(f, "Key({digit:?}, {heard_by:?})"),
            Self::Quiet => f.write_str("Quiet"),
            Self::Machine(sign) => write!(f, "Machine({sign:?})"),
            Self::Closed(quality) => write!(f, "Closed({quality:?})"),
        }
    }
}

/// How long nothing at all may come from the other end.
pub const QUIET_AFTER: Duration = Duration::from_secs(20);

/// What the line was like (RFC 3550 section 6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quality {
    /// RTP packets sent.
    pub sent: u32,
    /// Valid RTP packets received.
    pub received: u32,
    /// RTP packets that should have come and did not.
    pub lost: u32,
    /// Interarrival jitter at the end, in milliseconds.
    pub jitter_ms: u32,
    /// What the other end said it lost of ours, if it reported.
    pub far_lost: Option<u32>,
    /// Packets thrown away: from elsewhere, of another sender, not authentic, or not RTP.
    pub refused: u32,
}
