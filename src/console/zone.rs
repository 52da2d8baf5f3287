//! Owns the time zone that a page is read in, and how times are written in it.

use std::str::FromStr;

use jiff::tz::{self, TimeZone};

use crate::{pages::Words, time::Timestamp};

/// Longest name of a time zone, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A time zone of the machine's database, or UTC.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Zone(TimeZone);

/// A text that names no time zone that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no time zone that is known here")]
pub(super) struct NotAZone;

impl Zone {
    /// Coordinated universal time.
    pub(super) const UTC: Self = Self(TimeZone::UTC);

    /// Its name in the database of time zones.
    pub(super) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The zones that are offered: UTC first, then every place of the database.
    pub(super) fn offered() -> Vec<String> {
        let mut names: Vec<String> = tz::db().available().map(|name| name.to_string()).collect();
        names.retain(|name| {
            let place = name.split('/').next().unwrap_or_default();
            name.contains('/') && !["Etc", "SystemV", "US", "posix", "right"].contains(&place)
        });
        names.sort_unstable();
        names.insert(0, String::from("UTC"));
        names
    }

    /// A day and a time, as in `24 Nov 09:00:12`; of today only the time.
    pub(super) fn moment(&self, words: Words, at: Timestamp, now: Timestamp) -> String {
        let time = self.second(at);
        if self.write(at, "%F") == self.write(now, "%F") { time } else { format!("{} {time}", self.day(words, at)) }
    }

    /// A day and a time in full, with the zone.
    pub(super) fn in_full(&self, words: Words, at: Timestamp) -> String {
        let form = if words.language == "ja" { "%Y年%-m月%-d日 %H:%M:%S" } else { "%-d %b %Y %H:%M:%S" };
        format!("{} {}", self.write(at, form), self.write(at, "%Z"))
    }

    /// A time with thousandths, for steps that follow each other closely.
    pub(super) fn clock(&self, at: Timestamp) -> String {
        self.write(at, "%H:%M:%S%.3f")
    }

    /// A time of the day, to the second.
    pub(super) fn second(&self, at: Timestamp) -> String {
        self.write(at, "%H:%M:%S")
    }

    /// A time of the day, to the minute.
    pub(super) fn minute(&self, at: Timestamp) -> String {
        self.write(at, "%H:%M")
    }

    /// A day of a year.
    pub(super) fn day(&self, words: Words, at: Timestamp) -> String {
        self.write(at, if words.language == "ja" { "%-m月%-d日" } else { "%-d %b" })
    }

    /// As a form field of the type `datetime-local` has it.
    pub(super) fn field(&self, at: Timestamp) -> String {
        self.write(at, "%Y-%m-%dT%H:%M")
    }

    /// Reads what such a field brings (HTML Standard, "Local date and time"), or a time with its own zone (RFC 3339).
    pub(super) fn read(&self, text: &str) -> Option<Timestamp> {
        if let Ok(at) = Timestamp::parse(text) {
            return Some(at);
        }
        let local: jiff::civil::DateTime = text.parse().ok()?;
        let ms = local.to_zoned_datetime(self.0.clone()).ok()?.timestamp().as_millisecond();
        u64::try_from(ms).ok().map(Timestamp::from_ms)
    }

    fn write(&self, at: Timestamp, form: &str) -> String {
        let at = i64::try_from(at.as_ms()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        at.map(|at| at.to_zoned_datetime(self.0.clone()).strftime(form).to_string()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Zone {
    type Err = NotAZone;

    fn from_str(text: &str) -> Result<Self, NotAZone> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
        if text.is_empty() || text.len() > MAX_NAME_BYTES || !plain {
            return Err(NotAZone);
        }
        if text == "UTC" { Ok(Self::UTC) } else { tz::db().get(text).map(Self).map_err(|_| NotAZone) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_in_the_zone() {
        let at = Timestamp::parse("2026-11-24T09:00:12.345Z").unwrap();
        let tokyo: Zone = "Asia/Tokyo".parse().unwrap();
        let (en, ja) = (Words::of("en"), Words::of("ja"));
        assert_eq!(tokyo.moment(en, at, at), "18:00:12");
        assert_eq!(Zone::UTC.moment(ja, at, at.plus(std::time::Duration::from_hours(48))), "11月24日 09:00:12");
        assert_eq!(tokyo.in_full(en, at), "24 Nov 2026 18:00:12 JST");
        assert_eq!(Zone::UTC.in_full(ja, at), "2026年11月24日 09:00:12 UTC");
        assert_eq!(tokyo.clock(at), "18:00:12.345");
        assert_eq!((tokyo.second(at), Zone::UTC.minute(at)), (String::from("18:00:12"), String::from("09:00")));
        let minute = Timestamp::parse("2026-11-24T09:00:00Z").unwrap();
        for zone in [tokyo.clone(), Zone::UTC] {
            assert_eq!(zone.read(&zone.field(minute)), Some(minute), "{zone:?}");
            assert_eq!(zone.read("2026-11-24T09:00:00Z"), Some(minute), "a time with its own zone");
        }
        assert_eq!(tokyo.read("yesterday"), None);
        for bad in ["", "Mars/Olympus", "../../etc/passwd", &"A".repeat(65)] {
            assert_eq!(bad.parse::<Zone>(), Err(NotAZone), "{bad}");
        }
        assert_eq!(Zone::offered().first().map(String::as_str), Some("UTC"));
    }
}
