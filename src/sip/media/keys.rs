//! Owns that a key is counted once, though it may come three ways: as a telephone-event, as a SIP INFO request, and as
//! tones in the audio.

use std::{collections::VecDeque, time::Duration};

use super::HeardBy;
use crate::{dtmf::Digit, time::Timestamp};

/// Equal keys within this time by different ways are one press.
pub const SAME_PRESS: Duration = Duration::from_millis(500);
/// Most presses that are remembered; more keys than these are not pressed within [`SAME_PRESS`].
const MAX_REMEMBERED: usize = 16;

/// Presses of the last moment, each with the ways it came.
#[derive(Default)]
pub struct Presses {
    recent: VecDeque<Press>,
    /// A telephone-event came in this call: tones are an echo of it, or of nothing.
    by_event: bool,
}

struct Press {
    digit: Digit,
    at: Timestamp,
    ways: [bool; 3],
}

impl Presses {
    /// Whether tones in the audio may still be keys; once a telephone-event came they are not.
    #[must_use]
    pub const fn listens_to_tones(&self) -> bool {
        !self.by_event
    }

    /// Takes a key; whether it is a press that was not heard of yet. The same way brings each press once, so two equal
    /// keys by one way are two presses.
    pub fn hear(&mut self, now: Timestamp, digit: Digit, by: HeardBy) -> bool {
        if by == HeardBy::Event {
            self.by_event = true;
        }
        if by == HeardBy::Tone && self.by_event {
            return false;
        }
        while self.recent.front().is_some_and(|press| now.since(press.at) > SAME_PRESS) {
            self.recent.pop_front();
        }
        let way = way(by);
        let heard_of = self.recent.iter_mut().find(|press| press.digit == digit && !press.came(way));
        if let Some(flag) = heard_of.and_then(|press| press.ways.get_mut(way)) {
            *flag = true;
            return false;
        }
        if self.recent.len() >= MAX_REMEMBERED {
            self.recent.pop_front();
        }
        let mut press = Press { digit, at: now, ways: [false; 3] };
        if let Some(flag) = press.ways.get_mut(way) {
            *flag = true;
        }
        self.recent.push_back(press);
        true
    }
}

impl Press {
    fn came(&self, way: usize) -> bool {
        self.ways.get(way).copied().unwrap_or(false)
    }
}

const fn way(by: HeardBy) -> usize {
    match by {
        HeardBy::Event => 0,
        HeardBy::SipInfo => 1,
        HeardBy::Tone => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys as `time way key`, and which of them count.
    fn counted(heard: &[(u64, HeardBy, char)]) -> String {
        let mut presses = Presses::default();
        heard
            .iter()
            .filter(|(at, by, key)| presses.hear(Timestamp::from_ms(*at), Digit::from_char(*key).unwrap(), *by))
            .map(|(_, _, key)| *key)
            .collect()
    }

    #[test]
    fn one_key_by_three_ways_is_one_press_in_any_order() {
        use HeardBy::{Event, SipInfo, Tone};
        assert_eq!(counted(&[(0, Event, '#'), (60, SipInfo, '#'), (90, Tone, '#')]), "#");
        assert_eq!(counted(&[(0, Tone, '#'), (40, Event, '#'), (300, SipInfo, '#')]), "#");
        assert_eq!(counted(&[(0, SipInfo, '1'), (500, Tone, '1'), (501, Tone, '2')]), "12");
    }

    #[test]
    fn two_presses_by_two_ways_are_two() {
        use HeardBy::{Event, SipInfo};
        assert_eq!(counted(&[(0, Event, '#'), (30, SipInfo, '#'), (200, Event, '#'), (230, SipInfo, '#')]), "##");
        assert_eq!(counted(&[(0, Event, '#'), (200, Event, '#'), (230, SipInfo, '#'), (260, SipInfo, '#')]), "##");
        assert_eq!(counted(&[(0, Event, '#'), (501, SipInfo, '#')]), "##");
    }

    #[test]
    fn tones_are_an_echo_once_an_event_came() {
        use HeardBy::{Event, Tone};
        assert_eq!(counted(&[(0, Tone, '1'), (2_000, Event, '2'), (9_000, Tone, '3'), (9_900, Event, '4')]), "124");
    }
}
