//! Owns the one thread that carries the media of all calls, and its clock.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use super::{
    Newcomer,
    leg::{Live, Scratch},
    wheel::Wheel,
};
use crate::time::Timestamp;

/// Packets are spread over so many milliseconds.
const SPREAD_MS: u64 = 20;
/// How much more the thread weighs than others of this machine: packets are late by as long as it waits for a core.
const NICER: i32 = -10;
/// How late a slot may be and still be served; what is later is left out, so that a stall does not end in a flood.
const MAX_LATE_MS: u64 = 100;

/// Serves legs until nobody can open one any more and the last one is closed.
pub(super) fn run(newcomers: &Receiver<Newcomer>) {
    // Linux keeps this for each thread. Where the machine does not let us, packets come as it pleases.
    let _as_usual = rustix::process::nice(NICER);
    let start = now();
    let mut switch = Switch {
        wheel: Wheel::new(0),
        legs: Vec::new(),
        free: Vec::new(),
        alive: 0,
        opened: 0,
        scratch: Scratch::default(),
    };
    let mut due = Vec::new();
    loop {
        let elapsed = millis(start.elapsed());
        while let Ok(newcomer) = newcomers.try_recv() {
            switch.adopt(newcomer, elapsed);
        }
        while switch.alive > 0 && switch.wheel.tick() <= elapsed {
            switch.serve(&mut due, elapsed);
        }
        let next = switch.wheel.next().filter(|_| switch.alive > 0);
        let newcomer = match next {
            Some(tick) => {
                newcomers.recv_timeout(Duration::from_millis(tick.saturating_add(1)).saturating_sub(start.elapsed()))
            }
            None => newcomers.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match newcomer {
            Ok(newcomer) => switch.adopt(newcomer, millis(start.elapsed())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if switch.alive == 0 => return,
            Err(RecvTimeoutError::Disconnected) => pause(),
        }
    }
}

/// All legs, and who is due when.
struct Switch {
    wheel: Wheel,
    legs: Vec<Option<Live>>,
    free: Vec<u32>,
    alive: usize,
    opened: u64,
    scratch: Scratch,
}

impl Switch {
    fn adopt(&mut self, newcomer: Newcomer, now: u64) {
        if self.alive == 0 {
            self.wheel.restart(now);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.legs.push(None);
            u32::try_from(self.legs.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(place) = self.legs.get_mut(number as usize) else { return };
        *place = Some(Live::new(newcomer));
        self.alive += 1;
        self.opened += 1;
        let at = self.wheel.tick() + (self.opened + SPREAD_MS - self.wheel.tick() % SPREAD_MS) % SPREAD_MS;
        self.wheel.put(number, at);
    }

    /// Serves the legs of one millisecond.
    fn serve(&mut self, due: &mut Vec<u32>, now: u64) {
        let tick = self.wheel.take(due);
        let in_time = now.saturating_sub(tick) <= MAX_LATE_MS;
        for number in due.drain(..) {
            let Some(place) = self.legs.get_mut(number as usize) else { continue };
            let scratch = &mut self.scratch;
            let next = place.as_mut().and_then(|leg| leg.serve(Timestamp::from_ms(now), in_time, scratch));
            match next {
                Some(after) => self.wheel.put(number, tick + after),
                None => {
                    *place = None;
                    self.free.push(number);
                    self.alive -= 1;
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the media's own clock: packets leave by a steady one")]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "nobody can wake the thread any more; its legs are served each millisecond"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
