//! Owns SRTP and SRTCP (RFC 3711) with keys from session descriptions (RFC 4568): protecting what we send, opening what
//! the peer sends. It judges no stream: which of them belong to a call is decided where packets are heard.

use std::fmt;

use aws_lc_rs::{
    cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey},
    hmac,
    iv::FixedLength,
};
use subtle::ConstantTimeEq;

use super::rtp;
use crate::sip::sdp::{CryptoSuite, KEY_AND_SALT_BYTES, KeyAndSalt, Protection};

/// Most streams (by SSRC) of one direction that are kept apart; packets of a further one are refused.
pub const MAX_STREAMS: usize = 4;
/// Most bytes that protection adds to a packet: the index of SRTCP and the longer tag.
pub const MAX_ADDED_BYTES: usize = SRTCP_INDEX_BYTES + RTCP_TAG_BYTES;

/// How late a packet may be, in packets, and still be known as new; RFC 3711 section 3.3.2 asks for 64 at least.
const REPLAY_WINDOW_PACKETS: u64 = 128;
/// Indices of RTP packets end here (section 3.3.1); none is used twice with one key.
const RTP_INDEX_END: u64 = 1 << 48;
/// Indices of SRTCP packets end here (section 3.4).
const RTCP_INDEX_END: u64 = 1 << 31;
/// Sequence numbers in one round of the rollover counter.
const ROUND: u64 = 1 << 16;

const MASTER_KEY_BYTES: usize = 16;
const SALT_BYTES: usize = 14;
const AUTHENTICATION_KEY_BYTES: usize = 20;
/// SRTCP has the long tag in both suites (RFC 4568 section 6.2).
const RTCP_TAG_BYTES: usize = 10;
const SRTCP_INDEX_BYTES: usize = 4;
/// The first report's header and its sender, which stay readable (section 3.4).
const RTCP_CLEAR_BYTES: usize = 8;
/// The first of three labels of a key derivation (section 4.3.2).
const RTP_LABEL: u8 = 0;
const RTCP_LABEL: u8 = 3;

/// Both directions of a protected line; some 7 KB, apart from where it is held.
///
/// Nothing is changed by a packet that is refused: neither what is known of its stream nor the packet.
pub struct Srtp {
    suite: CryptoSuite,
    /// Nothing, should the library not take keys of the right length: then each packet is refused.
    line: Option<Box<Line>>,
}

struct Line {
    sent_rtp: Session,
    sent_rtcp: Session,
    heard_rtp: Session,
    heard_rtcp: Session,
}

impl Srtp {
    /// Derives the keys of both directions (RFC 3711 section 4.3, without renewal). No stream is known yet.
    #[must_use]
    pub fn new(protection: &Protection) -> Self {
        let suite = protection.suite;
        let tag_bytes = match suite {
            CryptoSuite::AesCm128HmacSha1_80 => 10,
            CryptoSuite::AesCm128HmacSha1_32 => 4,
        };
        let line = || {
            let rtp = |master| Session::derive(master, RTP_LABEL, tag_bytes);
            let rtcp = |master| Session::derive(master, RTCP_LABEL, RTCP_TAG_BYTES);
            Some(Box::new(Line {
                sent_rtp: rtp(&protection.ours)?,
                sent_rtcp: rtcp(&protection.ours)?,
                heard_rtp: rtp(&protection.theirs)?,
                heard_rtcp: rtcp(&protection.theirs)?,
            }))
        };
        Self { suite, line: line() }
    }

    /// Encrypts an RTP packet of ours where it is and appends its tag. False, and nothing may be sent, when it is no RTP,
    /// of a fifth stream, or not after all packets of its stream: a key stream is never used twice.
    #[must_use]
    pub fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> bool {
        self.line.as_mut().is_some_and(|line| line.sent_rtp.protect_rtp(packet).is_some())
    }

    /// Opens an RTP packet of the peer where it is and cuts its tag. False when it is not authentic, was there already, or
    /// is too old to know.
    #[must_use]
    pub fn open_rtp(&mut self, packet: &mut Vec<u8>) -> bool {
        self.line.as_mut().is_some_and(|line| line.heard_rtp.open_rtp(packet).is_some())
    }

    /// Encrypts a compound RTCP packet of ours where it is and appends index and tag. False, and nothing may be sent, when
    /// it is no RTCP, of a fifth stream, or the indices are used up.
    #[must_use]
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        self.line.as_mut().is_some_and(|line| line.sent_rtcp.protect_rtcp(packet).is_some())
    }

    /// Opens an RTCP packet of the peer where it is and cuts index and tag. False when it is not authentic, was there
    /// already, is too old to know, or is not encrypted: that was not agreed on.
    #[must_use]
    pub fn open_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        self.line.as_mut().is_some_and(|line| line.heard_rtcp.open_rtcp(packet).is_some())
    }
}

impl fmt::Debug for Srtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Srtp({:?})", self.suite)
    }
}

/// The keys of one protocol in one direction, and the streams seen with them.
struct Session {
    cipher: EncryptingKey,
    authentication: hmac::Key,
    salt: u128,
    tag_bytes: usize,
    streams: Vec<Stream>,
}

/// Where the cipher stands: the stream of a packet and its place in it.
#[derive(Clone, Copy)]
struct Place {
    ssrc: u32,
    index: u64,
}

impl Session {
    fn derive(master: &KeyAndSalt, first_label: u8, tag_bytes: usize) -> Option<Self> {
        let (key, salt) = master.expose().split_at_checked(MASTER_KEY_BYTES)?;
        let (master, salt) = (cipher(key)?, number(salt));
        let key: [u8; MASTER_KEY_BYTES] = derived(&master, salt, first_label)?;
        let authentication: [u8; AUTHENTICATION_KEY_BYTES] = derived(&master, salt, first_label + 1)?;
        let salt: [u8; SALT_BYTES] = derived(&master, salt, first_label + 2)?;
        Some(Self {
            cipher: cipher(&key)?,
            authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &authentication),
            salt: number(&salt),
            tag_bytes,
            streams: Vec::new(),
        })
    }

    fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let Clear { ssrc, sequence, payload } = Clear::read(packet)?;
        let index = match self.stream(ssrc) {
            Some(stream) => stream.index_of(sequence).filter(|index| *index > stream.highest)?,
            None => self.room().then_some(u64::from(sequence))?,
        };
        let place = Place { ssrc, index };
        self.apply_key_stream(place, packet.get_mut(payload..)?)?;
        let tag = self.tag(packet, &place.rollover());
        packet.extend_from_slice(tag.as_ref().get(..self.tag_bytes)?);
        self.mark(place);
        Some(())
    }

    fn open_rtp(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let (body, tag) = packet.split_at_checked(packet.len().checked_sub(self.tag_bytes)?)?;
        let Clear { ssrc, sequence, payload } = Clear::read(body)?;
        let authentic = |index: &u64| self.is_tag(&self.tag(body, &Place { ssrc, index: *index }.rollover()), tag);
        let index = match self.stream(ssrc) {
            Some(stream) => {
                stream.index_of(sequence).filter(|index| stream.is_new(*index)).filter(|index| authentic(index))?
            }
            // A stream may begin shortly before its sequence number wraps, and its first packets be lost: then the peer
            // counts one round already.
            None if self.room() => [u64::from(sequence), u64::from(sequence) + ROUND].into_iter().find(authentic)?,
            None => return None,
        };
        let (place, end) = (Place { ssrc, index }, body.len());
        self.apply_key_stream(place, packet.get_mut(payload..end)?)?;
        packet.truncate(end);
        self.mark(place);
        Some(())
    }

    fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let ssrc = rtcp_sender(packet)?;
        let index = match self.stream(ssrc) {
            Some(stream) => stream.highest + 1,
            None => self.room().then_some(0)?,
        };
        let written = u32::try_from(index).ok().filter(|_| index < RTCP_INDEX_END)?;
        let place = Place { ssrc, index };
        self.apply_key_stream(place, packet.get_mut(RTCP_CLEAR_BYTES..)?)?;
        packet.extend_from_slice(&(written | ENCRYPTED).to_be_bytes());
        let tag = self.tag(packet, &[]);
        packet.extend_from_slice(tag.as_ref().get(..self.tag_bytes)?);
        self.mark(place);
        Some(())
    }

    fn open_rtcp(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let (body, tag) = packet.split_at_checked(packet.len().checked_sub(self.tag_bytes)?)?;
        let (reports, index) = body.split_last_chunk::<SRTCP_INDEX_BYTES>()?;
        let index = u32::from_be_bytes(*index);
        let place = Place { ssrc: rtcp_sender(reports)?, index: u64::from(index & !ENCRYPTED) };
        let new = match self.stream(place.ssrc) {
            Some(stream) => stream.is_new(place.index),
            None => self.room(),
        };
        if !new || index & ENCRYPTED == 0 || !self.is_tag(&self.tag(body, &[]), tag) {
            return None;
        }
        let end = reports.len();
        self.apply_key_stream(place, packet.get_mut(RTCP_CLEAR_BYTES..end)?)?;
        packet.truncate(end);
        self.mark(place);
        Some(())
    }

    /// Section 4.1.1: the first block of the key stream is made of salt, stream and index.
    fn apply_key_stream(&self, place: Place, bytes: &mut [u8]) -> Option<()> {
        let block = (self.salt << 16) ^ (u128::from(place.ssrc) << 64) ^ (u128::from(place.index) << 16);
        encrypt(&self.cipher, block, bytes)
    }

    fn tag(&self, packet: &[u8], rollover: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(packet);
        context.update(rollover);
        context.sign()
    }

    fn is_tag(&self, whole: &hmac::Tag, tag: &[u8]) -> bool {
        whole.as_ref().get(..self.tag_bytes).is_some_and(|expected| expected.ct_eq(tag).into())
    }

    fn stream(&self, ssrc: u32) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.ssrc == ssrc)
    }

    fn room(&self) -> bool {
        self.streams.len() < MAX_STREAMS
    }

    /// Remembers a packet that is authentic, or ours.
    fn mark(&mut self, Place { ssrc, index }: Place) {
        match self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) {
            Some(stream) => stream.mark(index),
            None => self.streams.push(Stream { ssrc, highest: index, seen: 1 }),
        }
    }
}

/// The bit before the index of SRTCP that says that the packet is encrypted (section 3.4).
const ENCRYPTED: u32 = 1 << 31;

impl Place {
    /// The rollover counter, which is authenticated and not sent (section 4.2).
    fn rollover(self) -> [u8; 4] {
        let [.., r0, r1, r2, r3] = (self.index / ROUND).to_be_bytes();
        [r0, r1, r2, r3]
    }
}

/// What is known of one stream.
struct Stream {
    ssrc: u32,
    /// The highest index so far.
    highest: u64,
    /// Which indices were there: bit n stands for `highest - n`.
    seen: u128,
}

impl Stream {
    /// The index of a sequence number: the one nearest to the highest (section 3.3.1).
    fn index_of(&self, sequence: u16) -> Option<u64> {
        // The lowest 16 bits of an index are the sequence number.
        let [.., s0, s1] = self.highest.to_be_bytes();
        let ahead = u64::from(sequence.wrapping_sub(u16::from_be_bytes([s0, s1])));
        let index = if ahead < ROUND / 2 { self.highest + ahead } else { (self.highest + ahead).checked_sub(ROUND)? };
        Some(index).filter(|index| *index < RTP_INDEX_END)
    }

    /// Whether the packet with this index was not there yet, as far as can be known (section 3.3.2).
    fn is_new(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            Some(behind) => behind < REPLAY_WINDOW_PACKETS && (self.seen >> behind) & 1 == 0,
            None => true,
        }
    }

    fn mark(&mut self, index: u64) {
        if index > self.highest {
            let ahead = u32::try_from(index - self.highest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or_default() | 1;
            self.highest = index;
        } else if self.highest - index < REPLAY_WINDOW_PACKETS {
            self.seen |= 1 << (self.highest - index);
        }
    }
}

/// What a protected RTP packet shows.
struct Clear {
    ssrc: u32,
    sequence: u16,
    /// Where the encrypted part begins: behind sources and extension.
    payload: usize,
}

impl Clear {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [first, _, s0, s1, _, _, _, _, c0, c1, c2, c3] = *bytes.first_chunk::<{ rtp::HEADER_BYTES }>()?;
        if first >> 6 != 2 || rtp::is_rtcp(bytes) {
            return None;
        }
        let mut payload = rtp::HEADER_BYTES + usize::from(first & 0x0F) * 4;
        if first & 0x10 != 0 {
            let [_, _, l0, l1] = *bytes.get(payload..)?.first_chunk::<4>()?;
            payload += 4 + usize::from(u16::from_be_bytes([l0, l1])) * 4;
        }
        let (ssrc, sequence) = (u32::from_be_bytes([c0, c1, c2, c3]), u16::from_be_bytes([s0, s1]));
        (payload <= bytes.len()).then_some(Self { ssrc, sequence, payload })
    }
}

/// Who sends a compound RTCP packet.
fn rtcp_sender(bytes: &[u8]) -> Option<u32> {
    let [first, _, _, _, c0, c1, c2, c3] = *bytes.first_chunk::<RTCP_CLEAR_BYTES>()?;
    (first >> 6 == 2 && rtp::is_rtcp(bytes)).then_some(u32::from_be_bytes([c0, c1, c2, c3]))
}

fn cipher(key: &[u8]) -> Option<EncryptingKey> {
    EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, key).ok()?).ok()
}

/// Adds the key stream that begins with this block to `bytes`: encrypts, or decrypts.
fn encrypt(cipher: &EncryptingKey, block: u128, bytes: &mut [u8]) -> Option<()> {
    let first = EncryptionContext::Iv128(FixedLength::from(block.to_be_bytes()));
    cipher.less_safe_encrypt(bytes, first).ok().map(|_| ())
}

/// Section 4.3.1, with a key derivation rate of zero.
fn derived<const LENGTH: usize>(master: &EncryptingKey, salt: u128, label: u8) -> Option<[u8; LENGTH]> {
    let mut key = [0; LENGTH];
    encrypt(master, (salt ^ (u128::from(label) << 48)) << 16, &mut key)?;
    Some(key)
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

const _: () = assert!(MASTER_KEY_BYTES + SALT_BYTES == KEY_AND_SALT_BYTES);

#[cfg(test)]
mod tests;
