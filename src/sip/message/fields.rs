//! Owns the values of headers that are numbers, names or lists: `CSeq`, `RAck`, `Session-Expires`, `Retry-After`, `Reason`,
//! `Allow`, `Supported`, `Require`.

use std::time::Duration;

use super::{
    super::Reason,
    limits::MAX_PHRASE,
    scan::{Params, blank, is_token, shorten, split},
    start::Method,
};

/// A `CSeq` header: the place of a request in its dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31 (RFC 3261 section 8.1.1.5).
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

/// A `RAck` header (RFC 3262 section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RAck {
    /// The `RSeq` of the response that is acknowledged.
    pub rseq: u32,
    /// The `CSeq` of the request that it answered.
    pub cseq: CSeq,
}

/// Who keeps a session alive (RFC 4028 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// The one who sent the request.
    Uac,
    /// The one who answered it.
    Uas,
}

/// A `Session-Expires` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    /// How long the session lasts without a refresh.
    pub interval: Duration,
    /// Who refreshes, when it says so.
    pub refresher: Option<Refresher>,
}

/// A number of at most `max` in plain digits.
fn number(text: &str, max: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| *number <= max)
}

fn small(text: &str) -> Option<u32> {
    number(text, 0x7fff_ffff).and_then(|number| u32::try_from(number).ok())
}

/// Reads a `CSeq` header.
#[must_use]
pub fn cseq(text: &str) -> Option<CSeq> {
    let mut words = text.split(blank).filter(|word| !word.is_empty());
    let number = small(words.next()?)?;
    let method = words.next().filter(|word| is_token(word))?;
    words.next().is_none().then(|| CSeq { number, method: Method::read(method) })
}

/// Reads a `RAck` header.
#[must_use]
pub fn rack(text: &str) -> Option<RAck> {
    let (rseq, rest) = text.trim_matches(blank).split_once(blank)?;
    Some(RAck { rseq: small(rseq)?, cseq: cseq(rest)? })
}

/// Reads a whole number of seconds, with or without parameters or a comment behind it: `Min-SE`, `Expires`.
#[must_use]
pub fn seconds(text: &str) -> Option<Duration> {
    let end = text.find([';', '(', ' ', '\t', ',']).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let clean = rest.trim_start_matches(blank);
    let clean = clean.is_empty() || clean.starts_with([';', '(', ',']);
    clean.then(|| number(digits, u64::from(u32::MAX)))?.map(Duration::from_secs)
}

/// Reads a `Retry-After` header: `18000;duration=3600`, `120 (I am in a meeting)`.
#[must_use]
pub fn retry_after(text: &str) -> Option<Duration> {
    seconds(text.trim_matches(blank))
}

/// Reads a `Session-Expires` header.
#[must_use]
pub fn session_expires(text: &str) -> Option<SessionExpires> {
    let (digits, params) = text.split_once(';').unwrap_or((text, ""));
    let interval = seconds(digits.trim_matches(blank))?;
    let params = Params::read(params).unwrap_or_default();
    let refresher = match params.value("refresher").map(|value| value.to_ascii_lowercase()).as_deref() {
        Some("uac") => Some(Refresher::Uac),
        Some("uas") => Some(Refresher::Uas),
        _ => None,
    };
    Some(SessionExpires { interval, refresher })
}

/// Reads the values of one `Reason` header; what makes no sense is left out.
pub fn reasons(text: &str) -> impl Iterator<Item = Reason> + '_ {
    split(text, b',').unwrap_or_default().into_iter().filter_map(|value| {
        let (protocol, params) = value.split_once(';').unwrap_or((value, ""));
        let protocol = protocol.trim_matches(blank);
        let params = Params::read(params)?;
        let cause = params.value("cause").and_then(|cause| number(&cause, 65_535)).and_then(|n| u16::try_from(n).ok());
        let text = params.value("text").map(|text| shorten(&text, MAX_PHRASE).to_owned());
        let by_user = params.value("location").is_some_and(|at| at.eq_ignore_ascii_case("U"));
        is_token(protocol).then(|| Reason { protocol: shorten(protocol, MAX_PHRASE).to_owned(), cause, text, by_user })
    })
}

/// The words of a list header: `Allow`, `Supported`, `Require`.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(|word| word.trim_matches(blank)).filter(|word| !word.is_empty())
}
