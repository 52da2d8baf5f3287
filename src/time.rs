//! Owns points in time as integers and the one trait through which the shell reads a clock. It never sleeps and
//! never schedules: waiting is the business of the shell.

use std::{fmt, time::Duration};

use minicbor::{Decode, Encode};
use serde::{Serialize, Serializer};

/// A point in time: whole milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] u64);

impl Timestamp {
    /// The time `ms` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This time, `duration` later; stays at the far end instead of wrapping round.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This time, `duration` earlier; stays at the epoch instead of wrapping round.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The time as RFC 3339 text in UTC with milliseconds. Reads back with [`Timestamp::parse`].
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(ms)
            .map_or_else(|_| String::from("9999-12-31T23:59:59.999Z"), |at| format!("{at:.3}"))
    }

    /// Reads RFC 3339 text. What lies before 1970 is read as its beginning: nothing here is older.
    ///
    /// # Errors
    /// The text, when it is no RFC 3339 time.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at: jiff::Timestamp = text.parse().map_err(|_| text.to_owned())?;
        Ok(Self(u64::try_from(at.as_millisecond()).unwrap_or_default()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the shell reads the time. Tests and simulations bring their own.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn since_epoch() -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }

    /// The time now in whole nanoseconds since the Unix epoch, for measurements; nothing is decided by it.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        u64::try_from(Self::since_epoch().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(Self::since_epoch().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Durations in settings: text as in `30s`, `5m`, `1h 30m`, `30d`, where a day is 24 hours. For use with
/// `#[serde(with = "crate::time::duration")]`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Reads such text.
    ///
    /// # Errors
    /// What is wrong with it, and how to write it.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let wrong = || format!("`{text}` is no duration; write a number and a unit, as in 30s, 5m, 1h or 30d");
        let span: jiff::Span = text.parse().map_err(|_| wrong())?;
        let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        signed.try_into().map_err(|_| wrong())
    }

    /// Deserializes from such text.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// Serializes as whole milliseconds with a unit, which reads back.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", duration.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let at = Timestamp::from_ms(1_795_000_000_123);
        assert_eq!(at.to_string(), "2026-11-18T11:06:40.123Z");
        assert_eq!(Timestamp::parse(&at.to_string()), Ok(at));
        assert_eq!(Timestamp::parse("0150-07-14T13:56:49Z"), Ok(Timestamp::from_ms(0)));
        assert!(Timestamp::parse("yesterday").is_err());
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let end = Timestamp::from_ms(u64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::from_ms(5).minus(Duration::from_secs(1)), Timestamp::from_ms(0));
        assert_eq!(Timestamp::from_ms(5).since(end), Duration::ZERO);
        assert_eq!(end.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn durations_in_settings() {
        assert_eq!(duration::parse("300s"), Ok(Duration::from_secs(300)));
        assert_eq!(duration::parse("30d"), Ok(Duration::from_hours(24 * 30)));
        assert_eq!(duration::parse("1500ms"), Ok(Duration::from_millis(1500)));
        for bad in ["", "30", "soon", "-5s", "1 month"] {
            assert!(duration::parse(bad).is_err(), "{bad}");
        }
    }
}
