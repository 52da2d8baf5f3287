//! Owns when it is night where a number is. A number tells its country, not its zone: it is night in a country while it
//! is night in any of its zones.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::{civil::Time, tz::TimeZone};

use super::zones::{ZONES, zones};
use crate::{phone::CountryCode, time::Timestamp};

/// Looks at the zones of one country at most so often for the end of a night: each look moves the end to that of one
/// more zone.
const MOST_LOOKS: usize = 32;

static RULES: LazyLock<BTreeMap<&'static str, TimeZone>> = LazyLock::new(|| {
    let all = ZONES.iter().flat_map(|(_, zones)| zones.iter().copied());
    all.filter_map(|rule| Some((rule, TimeZone::posix(rule).ok()?))).collect()
});

/// When the night ends that it is now in a country; `None` by day, and where `from` and `until` are the same.
pub(super) fn ends(country: CountryCode, now: Timestamp, from: Time, until: Time) -> Option<Timestamp> {
    let mut end = None;
    for _ in 0..MOST_LOOKS {
        let at = end.unwrap_or(now);
        let Some(later) = zones(country).iter().filter_map(|zone| ends_in(zone, at, from, until)).max() else { break };
        if later <= at {
            break;
        }
        end = Some(later);
    }
    end
}

fn ends_in(zone: &str, now: Timestamp, from: Time, until: Time) -> Option<Timestamp> {
    let rule = RULES.get(zone)?;
    let now = jiff::Timestamp::from_millisecond(i64::try_from(now.as_ms()).ok()?).ok()?;
    let local = rule.to_datetime(now);
    let time = local.time();
    let over_midnight = from > until;
    let night = if over_midnight { time >= from || time < until } else { time >= from && time < until };
    if !night {
        return None;
    }
    let day = if over_midnight && time >= from { local.date().tomorrow().ok()? } else { local.date() };
    let end = rule.to_ambiguous_timestamp(day.to_datetime(until)).compatible().ok()?.as_millisecond();
    u64::try_from(end).ok().map(Timestamp::from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_at(country: &str, now: &str) -> Option<String> {
        let now = Timestamp::parse(now).unwrap();
        let at = ends(country.parse().unwrap(), now, Time::constant(22, 0, 0, 0), Time::constant(7, 0, 0, 0));
        at.map(|at| at.to_string())
    }

    #[test]
    fn every_rule_is_read_and_every_country_with_numbers_has_hours() {
        for (countries, rules) in ZONES {
            assert!(!rules.is_empty(), "{countries}");
            for rule in *rules {
                assert!(RULES.contains_key(rule), "{countries}: {rule}");
            }
        }
        let without: Vec<_> =
            crate::phone::countries().iter().filter(|(country, _)| zones(*country).is_empty()).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn a_night_ends_in_the_last_of_the_zones() {
        // Japan: one zone, 9 hours ahead.
        assert_eq!(ends_at("JP", "2026-11-24T12:59:59.999Z"), None);
        assert_eq!(ends_at("JP", "2026-11-24T13:00:00Z").as_deref(), Some("2026-11-24T22:00:00.000Z"));
        assert_eq!(ends_at("JP", "2026-11-24T16:00:00Z").as_deref(), Some("2026-11-24T22:00:00.000Z"));
        assert_eq!(ends_at("JP", "2026-11-24T22:00:00Z"), None);
        // The United States: it begins in New York, and ends in Hawaii.
        assert_eq!(ends_at("US", "2026-11-25T02:59:59Z"), None, "New York, 21:59");
        assert_eq!(ends_at("US", "2026-11-25T03:00:00Z").as_deref(), Some("2026-11-25T17:00:00.000Z"));
        assert_eq!(ends_at("US", "2026-11-25T17:00:00Z"), None, "Hawaii, 07:00");
        // The night in which summer time ends in Germany has an hour more.
        assert_eq!(ends_at("DE", "2026-10-24T20:30:00Z").as_deref(), Some("2026-10-25T06:00:00.000Z"));
        assert_eq!(ends_at("DE", "2026-10-23T20:30:00Z").as_deref(), Some("2026-10-24T05:00:00.000Z"));
    }

    #[test]
    fn a_night_may_begin_after_midnight_or_not_be_there() {
        let (one, five) = (Time::constant(1, 0, 0, 0), Time::constant(5, 0, 0, 0));
        let at = |now: &str| ends("JP".parse().unwrap(), Timestamp::parse(now).unwrap(), one, five);
        assert_eq!(at("2026-11-24T15:59:00Z"), None);
        assert_eq!(at("2026-11-24T16:00:00Z"), Timestamp::parse("2026-11-24T20:00:00Z").ok());
        assert_eq!(at("2026-11-24T20:00:00Z"), None);
        assert_eq!(ends("JP".parse().unwrap(), Timestamp::parse("2026-11-24T16:00:00Z").unwrap(), one, one), None);
    }
}
