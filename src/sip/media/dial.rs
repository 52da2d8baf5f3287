//! Owns what is dialled after answer: keys and pauses. How they are sent is the stream's business.

use std::{collections::VecDeque, fmt, str::FromStr, time::Duration};

use crate::dtmf::Digit;

/// How long one `,` waits.
pub const PAUSE: Duration = Duration::from_secs(1);

/// One step of dialling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Press this key.
    Key(Digit),
    /// Wait for [`PAUSE`].
    Pause,
}

/// Keys and pauses in order, as in `,,123#`; at most [`Dialling::MAX`] of them. Shows only how many.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Dialling(VecDeque<Step>);

impl Dialling {
    /// The most steps that are taken: no extension is longer.
    pub const MAX: usize = 64;

    /// The next step, taken away.
    pub fn next_step(&mut self) -> Option<Step> {
        self.0.pop_front()
    }

    /// Adds what is to be dialled afterwards; what goes beyond [`Dialling::MAX`] is left out.
    pub fn append(&mut self, more: Self) {
        let room = Self::MAX.saturating_sub(self.0.len());
        self.0.extend(more.0.into_iter().take(room));
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Text that cannot be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only 0-9, *, # and , (a pause) can be dialled, at most {max} of them", max = Dialling::MAX)]
pub struct NotDialable;

impl FromStr for Dialling {
    type Err = NotDialable;

    fn from_str(text: &str) -> Result<Self, NotDialable> {
        if text.chars().count() > Self::MAX {
            return Err(NotDialable);
        }
        let step = |c| if c == ',' { Some(Step::Pause) } else { Digit::from_char(c).map(Step::Key) };
        text.chars().map(step).collect::<Option<_>>().map(Self).ok_or(NotDialable)
    }
}

impl fmt::Debug for Dialling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_pauses_and_nothing_else() {
        let mut dialling: Dialling = ",1#".parse().unwrap();
        assert_eq!(format!("{dialling:?}"), "3 steps");
        let steps: Vec<_> = std::iter::from_fn(|| dialling.next_step()).collect();
        assert_eq!(steps, [Step::Pause, Step::Key(Digit::from_char('1').unwrap()), Step::Key(Digit::POUND)]);
        for bad in ["A", "1 2", "+1", &"1".repeat(Dialling::MAX + 1)] {
            assert_eq!(bad.parse::<Dialling>(), Err(NotDialable), "{bad}");
        }
    }
}
