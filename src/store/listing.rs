//! Owns what listings of all stores have in common: which call records a query asks for, and the places where pages
//! begin. It reads nothing itself.

use data_encoding::BASE32HEX_NOPAD;

use super::CallQuery;
use crate::{
    id::{CallId, ID_BYTES, VerificationId},
    phone::LastDigits,
    time::Timestamp,
    verification::CallRecord,
};

/// Most entries that one page of a listing looks at before it is handed out shorter, with a place to go on from.
pub(super) const SCAN_PER_PAGE: usize = 4_000;

/// Most items of one page, whatever is asked for.
pub(super) const ITEMS_PER_PAGE: usize = 1_000;

/// Most characters of the reason why something was given up.
const WHY_CHARS: usize = 500;

/// Bytes of a [`CallPlace`]: 6 of time, those of the verification, 1 of the call.
pub(super) const PLACE_BYTES: usize = 6 + ID_BYTES + 1;

/// Where a call record stands in the call log: by the end of the call, then by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallPlace([u8; PLACE_BYTES]);

impl CallPlace {
    /// The place of a record.
    pub(super) fn of(ended_at: Timestamp, id: CallId) -> Self {
        let mut bytes = [0; PLACE_BYTES];
        let parts =
            short_time(ended_at).into_iter().chain(id.verification.as_bytes().iter().copied()).chain([id.index]);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// The first place of all calls that ended at `at`.
    pub(super) fn first_at(at: Timestamp) -> Self {
        Self::first_at_raw(short_time(at))
    }

    /// The same, of a time as [`short_time`] writes it.
    pub(super) fn first_at_raw(time: [u8; 6]) -> Self {
        let mut bytes = [0; PLACE_BYTES];
        bytes.iter_mut().zip(time).for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// The newest time at which something can stand before this place.
    pub(super) fn newest_before(&self) -> Timestamp {
        let (time, name) = self.0.split_at(6);
        let at = Timestamp::from_ms(time.iter().fold(0, |ms, byte| (ms << 8) | u64::from(*byte)));
        if name.iter().all(|byte| *byte == 0) { at.minus(std::time::Duration::from_millis(1)) } else { at }
    }

    /// The part of a place that names the call.
    pub(super) fn name_of(id: CallId) -> Vec<u8> {
        [id.verification.as_bytes(), [id.index].as_slice()].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; PLACE_BYTES] {
        &self.0
    }

    /// The call at this place.
    pub(super) fn call(&self) -> Option<CallId> {
        let (id, index) = self.0.get(6..)?.split_at_checked(ID_BYTES)?;
        Some(CallId { verification: VerificationId::from_bytes(id.try_into().ok()?), index: *index.first()? })
    }

    pub(super) fn to_text(self) -> String {
        BASE32HEX_NOPAD.encode(&self.0)
    }
}

/// A text that is no place of a call record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the call log")]
pub struct NotAPlace;

/// Reads [`Page::next`](super::Page::next) of a page of call records.
impl std::str::FromStr for CallPlace {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let bytes = BASE32HEX_NOPAD.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).ok_or(NotAPlace)
    }
}

/// The low 6 bytes of a time, which last until the year 10889, so that the bytes sort as the times do.
pub(super) fn short_time(at: Timestamp) -> [u8; 6] {
    let [_, _, rest @ ..] = at.as_ms().to_be_bytes();
    rest
}

/// Why something was given up, not longer than it may be kept.
pub(super) fn bounded(why: String) -> String {
    if why.chars().count() <= WHY_CHARS { why } else { why.chars().take(WHY_CHARS).collect() }
}

impl CallQuery {
    /// Whether the query asks for this record, apart from [`CallQuery::before`].
    #[must_use]
    pub fn admits(&self, record: &CallRecord) -> bool {
        self.client.as_ref().is_none_or(|client| record.client == *client)
            && self.since.is_none_or(|since| record.ended_at >= since)
            && self.until.is_none_or(|until| record.ended_at < until)
            && self.number.is_none_or(|number| record.number_hash == number)
            && self.last_digits.as_ref().is_none_or(|end| {
                LastDigits::of_masked(&record.to_masked).is_some_and(|shown| end.are_the_end_of(&shown))
            })
            && self.reference.as_ref().is_none_or(|reference| record.reference.as_ref() == Some(reference))
            && self.status.is_none_or(|status| record.status == status)
            && self.reason.is_none_or(|reason| record.reason == Some(reason))
            && self.fault.is_none_or(|fault| record.cause.as_ref().is_some_and(|cause| cause.fault == fault))
            && self.carrier.as_ref().is_none_or(|carrier| record.carrier == *carrier)
            && self.country.is_none_or(|country| record.country == country)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = CallId { verification: VerificationId::from_bytes([7; ID_BYTES]), index: 2 };
        let place = CallPlace::of(Timestamp::from_ms(1_795_000_000_000), id);
        assert_eq!(place.to_text().parse(), Ok(place));
        for text in ["", "x", "garbage", "ver_", &id.verification.to_string(), &place.to_text().to_lowercase()] {
            assert_eq!(text.parse::<CallPlace>(), Err(NotAPlace), "{text}");
        }
    }
}
