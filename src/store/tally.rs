//! Owns the tallies: what is counted of a verification when it is settled, in which kinds, and the form of a kind in
//! the stores. They are written with the change that settles the verification; who reads them adds them up elsewhere.
//!
//! Every label is bounded: words of the contract, countries, names in the configuration, fixed buckets of time, and the
//! beginnings of numbers, of which each span of time keeps [`MOST_WITH_PREFIXES`] at most in each partition.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    outcome::{Reason, Status},
    phone::CountryCode,
    time::Timestamp,
    verification::Verification,
};

/// Upper bounds of the buckets of time from the creation to the first answer, in seconds; one more is above the last.
pub const ANSWER_BOUNDS_S: [u32; 10] = [3, 5, 8, 12, 16, 20, 25, 30, 45, 60];

/// Upper bounds of the buckets of time from the creation to the approval, in seconds; one more is above the last.
pub const VERIFY_BOUNDS_S: [u32; 14] = [6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 90, 120, 180, 300];

/// Most kinds that a partition counts apart in one span; what comes beyond is counted together.
pub(super) const MOST_KINDS: usize = 1_024;

/// How many kinds there may be for one more prefix to be counted apart: prefixes leave room for the others.
pub(super) const MOST_WITH_PREFIXES: usize = 512;

/// How long minutes are kept after their end.
pub(super) const KEEP_MINUTES: Duration = Duration::from_hours(3);

/// Spans of time in which is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Kept for three hours.
    Minute,
    /// Kept as long as call records.
    Hour,
}

impl Span {
    /// How long it is.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3600),
        }
    }

    /// The number of the span in which a time lies, counted from the Unix epoch.
    #[must_use]
    pub const fn index(self, at: Timestamp) -> u64 {
        at.as_secs() / self.length().as_secs()
    }

    /// When the span of this number begins.
    #[must_use]
    pub const fn begin(self, index: u64) -> Timestamp {
        Timestamp::from_ms(index.saturating_mul(self.length().as_secs()).saturating_mul(1000))
    }

    pub(super) const fn letter(self) -> u8 {
        match self {
            Self::Minute => b'm',
            Self::Hour => b'h',
        }
    }
}

/// What one settled verification adds to the tallies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// When it was settled.
    pub at: Timestamp,
    /// Of which kind it is.
    pub outcome: OutcomeKind,
    /// Where the number that was called last begins.
    pub prefix: PrefixKind,
}

/// Of which kind a settled verification is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomeKind {
    /// Name of the API key that asked for it.
    pub client: String,
    /// How it ended.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// Country of the number that was called last; `None` for the rest that is counted together.
    pub country: Option<CountryCode>,
    /// Carrier of the last call.
    pub carrier: CarrierKind,
    /// Bucket of the time to the first answer, of [`ANSWER_BOUNDS_S`]; `None` where nobody answered.
    pub answered: Option<u8>,
    /// Bucket of the time to the approval, of [`VERIFY_BOUNDS_S`]; `None` where it was not verified.
    pub verified: Option<u8>,
}

/// The carrier of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CarrierKind {
    /// Its name in the configuration.
    Named(String),
    /// No call was begun.
    Nobody,
    /// The rest that is counted together.
    Other,
}

/// Where numbers begin, and whether they were verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixKind {
    /// Name of the API key.
    pub client: String,
    /// Country.
    pub country: Option<CountryCode>,
    /// `+`, calling code and the first national digits; empty for the rest that is counted together.
    pub prefix: String,
    /// Whether the verification was verified.
    pub verified: bool,
}

impl Tally {
    /// What a verification adds that is settled; `None` for one that is not.
    #[must_use]
    pub fn of(v: &Verification) -> Option<Self> {
        let at = v.decided_at.filter(|_| v.is_final())?;
        let call = v.calls.last();
        let target = call.and_then(|call| v.target_of(call)).or_else(|| v.request.targets.first());
        let carrier = call
            .and_then(|call| v.route_of(call))
            .map_or(CarrierKind::Nobody, |route| CarrierKind::Named(route.carrier.clone()));
        let answered_at = v.calls.iter().filter_map(|call| call.answered_at).min();
        let is_verified = v.status == Status::Verified;
        let country = target.map(|target| target.country);
        let client = v.request.client.clone();
        Some(Self {
            at,
            prefix: PrefixKind {
                client: client.clone(),
                country,
                prefix: target.and_then(|target| target.to.prefix()).unwrap_or_default(),
                verified: is_verified,
            },
            outcome: OutcomeKind {
                client,
                status: v.status,
                reason: v.reason,
                country,
                carrier,
                answered: answered_at.map(|at| bucket(&ANSWER_BOUNDS_S, at.since(v.created_at))),
                verified: is_verified.then(|| bucket(&VERIFY_BOUNDS_S, at.since(v.created_at))),
            },
        })
    }
}

/// The bucket that a time falls into: the first whose bound it does not exceed.
fn bucket(bounds: &[u32], took: Duration) -> u8 {
    let at = bounds.iter().position(|bound| took <= Duration::from_secs((*bound).into())).unwrap_or(bounds.len());
    u8::try_from(at).unwrap_or(u8::MAX)
}

/// Which tallies to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TallyQuery {
    /// Of spans of this length.
    pub span: Span,
    /// The first span.
    pub first: u64,
    /// How many, at most [`MOST_SPANS`].
    pub count: usize,
}

/// Most spans that are read at once: a week of hours.
pub const MOST_SPANS: usize = 168;

/// What was counted in one span, over all partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Settled verifications by kind.
    pub outcomes: BTreeMap<OutcomeKind, u64>,
    /// The same ones by where their numbers begin. Only hours have them.
    pub prefixes: BTreeMap<PrefixKind, u64>,
}

impl Counts {
    /// Adds what was counted of a kind in one partition. What this version cannot read is left out.
    pub(super) fn add(&mut self, kind: &[u8], count: u64) {
        if let Some(outcome) = OutcomeKind::read(kind) {
            let all = self.outcomes.entry(outcome).or_default();
            *all = all.saturating_add(count);
        } else if let Some(prefix) = PrefixKind::read(kind) {
            let all = self.prefixes.entry(prefix).or_default();
            *all = all.saturating_add(count);
        }
    }
}

impl OutcomeKind {
    /// Its form in the stores: letter, status, reason, country, buckets, carrier with its length, client.
    pub(super) fn written(&self) -> Vec<u8> {
        let [c0, c1] = letters(self.country);
        let carrier = match &self.carrier {
            CarrierKind::Named(name) => name.as_str(),
            CarrierKind::Nobody => "",
            CarrierKind::Other => OTHER_CARRIER,
        };
        let mut kind = vec![
            OUTCOME,
            self.status as u8,
            self.reason.map_or(NOTHING, |reason| reason as u8),
            c0,
            c1,
            self.answered.unwrap_or(NOTHING),
            self.verified.unwrap_or(NOTHING),
        ];
        put_short(&mut kind, carrier);
        kind.extend_from_slice(self.client.as_bytes());
        kind
    }

    /// What it is counted as where there are too many kinds.
    pub(super) fn rest(&self) -> Self {
        Self { country: None, carrier: CarrierKind::Other, ..self.clone() }
    }

    fn read(kind: &[u8]) -> Option<Self> {
        let ([OUTCOME, status, reason, c0, c1, answered, verified], rest) = kind.split_first_chunk::<7>()? else {
            return None;
        };
        let (carrier, client) = short(rest)?;
        let some = |bucket: u8| Some(bucket).filter(|bucket| *bucket != NOTHING);
        Some(Self {
            client: text(client)?,
            status: *Status::ALL.get(usize::from(*status))?,
            reason: match *reason {
                NOTHING => None,
                reason => Some(*Reason::ALL.get(usize::from(reason))?),
            },
            country: country([*c0, *c1])?,
            carrier: match text(carrier)? {
                name if name.is_empty() => CarrierKind::Nobody,
                name if name == OTHER_CARRIER => CarrierKind::Other,
                name => CarrierKind::Named(name),
            },
            answered: some(*answered),
            verified: some(*verified),
        })
    }
}

impl PrefixKind {
    /// Its form in the stores: letter, whether verified, country, prefix with its length, client.
    pub(super) fn written(&self) -> Vec<u8> {
        let [c0, c1] = letters(self.country);
        let mut kind = vec![PREFIX, u8::from(self.verified), c0, c1];
        put_short(&mut kind, &self.prefix);
        kind.extend_from_slice(self.client.as_bytes());
        kind
    }

    /// What it is counted as where there are too many kinds.
    pub(super) fn rest(&self) -> Self {
        Self { country: None, prefix: String::new(), ..self.clone() }
    }

    fn read(kind: &[u8]) -> Option<Self> {
        let ([PREFIX, verified, c0, c1], rest) = kind.split_first_chunk::<4>()? else { return None };
        let (prefix, client) = short(rest)?;
        Some(Self {
            client: text(client)?,
            country: country([*c0, *c1])?,
            prefix: text(prefix)?,
            verified: *verified == 1,
        })
    }
}

fn put_short(kind: &mut Vec<u8>, word: &str) {
    let bytes = word.as_bytes().get(..usize::from(u8::MAX)).unwrap_or(word.as_bytes());
    kind.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    kind.extend_from_slice(bytes);
}

/// A word with its length, and what follows it.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn letters(country: Option<CountryCode>) -> [u8; 2] {
    let letters = country.map(|country| country.to_string());
    letters.and_then(|letters| letters.as_bytes().first_chunk().copied()).unwrap_or(OTHER_COUNTRY)
}

fn country(letters: [u8; 2]) -> Option<Option<CountryCode>> {
    if letters == OTHER_COUNTRY {
        return Some(None);
    }
    std::str::from_utf8(&letters).ok()?.parse().ok().map(Some)
}

const OUTCOME: u8 = b'o';
const PREFIX: u8 = b'p';
const NOTHING: u8 = u8::MAX;
/// No country has these letters (ISO 3166-1 leaves them to users).
const OTHER_COUNTRY: [u8; 2] = *b"ZZ";
/// No carrier may have this name.
const OTHER_CARRIER: &str = "~";

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> OutcomeKind {
        OutcomeKind {
            client: String::from("enrolment"),
            status: Status::Verified,
            reason: None,
            country: "JP".parse().ok(),
            carrier: CarrierKind::Named(String::from("main")),
            answered: Some(2),
            verified: Some(4),
        }
    }

    #[test]
    fn kinds_read_back_and_nothing_else_is_one() {
        let nobody = OutcomeKind { carrier: CarrierKind::Nobody, answered: None, verified: None, ..kind() };
        let mut counts = Counts::default();
        for (n, of) in [kind(), kind().rest(), nobody.clone()].iter().enumerate() {
            assert_eq!(OutcomeKind::read(&of.written()).as_ref(), Some(of));
            counts.add(&of.written(), n as u64 + 1);
            counts.add(&of.written(), 10);
        }
        let prefix = PrefixKind {
            client: String::from("a"),
            country: "US".parse().ok(),
            prefix: String::from("+1201"),
            verified: true,
        };
        for of in [prefix.clone(), prefix.rest()] {
            assert_eq!(PrefixKind::read(&of.written()), Some(of.clone()));
            counts.add(&of.written(), 5);
        }
        let other_version = b"x what a later version counts";
        for bytes in [&b""[..], b"o", other_version, &kind().written()[..6], b"p\x01JP\x09+81"] {
            counts.add(bytes, 99);
        }
        assert_eq!(counts.outcomes, BTreeMap::from([(kind(), 11), (kind().rest(), 12), (nobody, 13)]));
        assert_eq!(counts.prefixes, BTreeMap::from([(prefix.clone(), 5), (prefix.rest(), 5)]));
    }

    /// Stored numbers of words are places in their lists: these may grow at their ends only.
    #[test]
    fn words_keep_their_numbers() {
        for (at, status) in Status::ALL.iter().enumerate() {
            assert_eq!(*status as usize, at);
        }
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at);
        }
        assert_eq!((Status::Canceled as u8, Reason::NoAnswer as u8, Reason::ByClient as u8), (5, 0, 19));
    }

    #[test]
    fn buckets_hold_what_does_not_exceed_their_bounds() {
        let of = |ms| bucket(&ANSWER_BOUNDS_S, Duration::from_millis(ms));
        assert_eq!([0, 3_000, 3_001, 60_000, 60_001, 86_400_000].map(of), [0, 0, 1, 9, 10, 10]);
    }

    #[test]
    fn spans_are_counted_from_the_epoch() {
        let at = Timestamp::from_ms(1_795_000_261_999);
        for span in [Span::Minute, Span::Hour] {
            let begin = span.begin(span.index(at));
            assert!(begin <= at && at.since(begin) < span.length());
            assert_eq!(span.index(begin), span.index(at));
        }
    }
}
