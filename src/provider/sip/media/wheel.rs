//! Owns which leg is due in which millisecond: a ring of slots, a millisecond each. It knows neither clock nor sockets.

/// Slots of the ring: more milliseconds than any packet lasts.
const SLOTS: usize = 128;

/// Numbers of legs by the millisecond in which they are due.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<u32>>,
    /// The millisecond that [`Wheel::take`] looks at next.
    tick: u64,
}

impl Wheel {
    pub(super) fn new(tick: u64) -> Self {
        Self { slots: std::iter::repeat_with(Vec::new).take(SLOTS).collect(), tick }
    }

    /// The millisecond that is looked at next.
    pub(super) const fn tick(&self) -> u64 {
        self.tick
    }

    /// Starts anew at `tick`; only for a wheel with nobody on it.
    pub(super) const fn restart(&mut self, tick: u64) {
        self.tick = tick;
    }

    /// Makes a leg due in the millisecond `at`; one that is past, or too far ahead, counts as the nearest that is not.
    pub(super) fn put(&mut self, leg: u32, at: u64) {
        let at = at.clamp(self.tick, self.tick + SLOTS as u64 - 1);
        if let Some(slot) = self.slots.get_mut(index(at)) {
            slot.push(leg);
        }
    }

    /// The legs that are due in the next millisecond, moved into `due`, and that millisecond.
    pub(super) fn take(&mut self, due: &mut Vec<u32>) -> u64 {
        let tick = self.tick;
        if let Some(slot) = self.slots.get_mut(index(tick)) {
            due.append(slot);
        }
        self.tick += 1;
        tick
    }

    /// The next millisecond in which somebody is due.
    pub(super) fn next(&self) -> Option<u64> {
        (self.tick..self.tick + SLOTS as u64).find(|tick| self.slots.get(index(*tick)).is_some_and(|s| !s.is_empty()))
    }
}

const fn index(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_put_is_due_once_and_at_its_time() {
        let mut wheel = Wheel::new(1_000);
        wheel.put(1, 1_020);
        wheel.put(2, 1_003);
        wheel.put(3, 4);
        assert_eq!(wheel.next(), Some(1_000));
        let mut seen = Vec::new();
        for _ in 0..SLOTS + 30 {
            let mut due = Vec::new();
            let tick = wheel.take(&mut due);
            seen.extend(due.into_iter().map(|leg| (tick, leg)));
        }
        assert_eq!(seen, [(1_000, 3), (1_003, 2), (1_020, 1)]);
        assert_eq!(wheel.next(), None);
    }
}
