//! Owns the order of a run: all callers started once, then rounds in which they take turns, ringproof first: the floor
//! then sends as many packets a call as ringproof did. What counts is the median of the rounds.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    asterisk::{self, Asterisk},
    callee::Callee,
    callers::{Bare, Caller, Ours},
    ear::Heard,
    store::Redis,
};

/// Longest wait for the last call to end after all were begun and listened.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(60);
/// Between two looks at memory and at the calls that are up.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Asterisk makes one of so many calls, a second and in all: more would overload its core.
const PEER_SHARE: u32 = 8;

/// One load: so many calls, so many begun a second, each listened to for so long before the key is pressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) rate: u32,
    pub(crate) total: u32,
    pub(crate) listens: Duration,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// The key is pressed as soon as anything is heard.
    pub(crate) short: Load,
    /// Many calls are up at once.
    pub(crate) held: Load,
    /// The floor takes both places: what differs then is the noise of the machine.
    pub(crate) noise: bool,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        short: Load { rate: 200, total: 2_000, listens: Duration::ZERO },
        held: Load { rate: 200, total: 4_000, listens: Duration::from_secs(8) },
        noise: false,
    };
    pub(crate) const SMALL: Self = Self {
        rounds: 1,
        short: Load { rate: 20, total: 20, listens: Duration::ZERO },
        held: Load { rate: 20, total: 40, listens: Duration::from_secs(2) },
        noise: false,
    };
}

/// What one caller gave: a figure for each round, by name.
#[derive(Default)]
pub(crate) struct Figures {
    by_name: BTreeMap<String, Vec<f64>>,
    /// Why calls failed.
    pub(crate) wrong: Vec<String>,
    /// How many were made.
    pub(crate) calls: usize,
    /// Packets of audio that were sent, and of those lost on the way to the ear.
    pub(crate) packets: [u64; 2],
}

impl Figures {
    fn add(&mut self, name: &str, figure: f64) {
        self.by_name.entry(name.to_owned()).or_default().push(figure);
    }

    /// The median of the rounds.
    pub(crate) fn median(&self, name: &str) -> f64 {
        let mut figures = self.by_name.get(name).cloned().unwrap_or_default();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        match figures.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => f64::midpoint(figures[middle - 1], figures[middle]),
            _ => figures[middle],
        }
    }
}

/// What a run gave.
pub(crate) struct Results {
    pub(crate) scale: String,
    pub(crate) ours: Figures,
    pub(crate) bare: Figures,
    /// Where this machine has it.
    pub(crate) asterisk: Option<Figures>,
}

struct Side {
    caller: Caller,
    figures: Figures,
}

pub(crate) async fn run(scale: &Scale, cores: usize) -> Results {
    let mut callee = Callee::start(cores);
    let mut redis = Redis::start(cores).await;
    let bare = || Caller::Bare(Bare::start(callee.port, cores));
    let ours = if scale.noise { bare() } else { Caller::Ours(Ours::start(&redis.url(0), callee.port, cores).await) };
    let mut ours = Side { caller: ours, figures: Figures::default() };
    let mut bare = Side { caller: bare(), figures: Figures::default() };
    let peer = asterisk::installed().filter(|_| !scale.noise && scale.rounds > 1);
    let peer = peer.map(|program| Caller::Asterisk(Asterisk::start(&program, callee.port, cores)));
    let mut peer = peer.map(|caller| Side { caller, figures: Figures::default() });
    // The first calls open what stays open.
    let first = Load { total: scale.short.total / 4, ..scale.short };
    for side in [&mut ours, &mut bare] {
        side.load("first", &first, 100, &mut callee).await;
    }
    for round in 0..scale.rounds {
        redis.forget_all().await;
        for (name, load) in [("short", &scale.short), ("held", &scale.held)] {
            let packets = ours.load(name, load, packets_of(load), &mut callee).await;
            bare.load(name, load, packets, &mut callee).await;
            if let Some(peer) = &mut peer {
                let load = Load { rate: load.rate / PEER_SHARE, total: load.total / PEER_SHARE, ..*load };
                peer.load(name, &load, packets, &mut callee).await;
            }
        }
        eprintln!("round {} of {}", round + 1, scale.rounds);
    }
    let asterisk = peer.map(|peer| peer.figures);
    Results { scale: describe(scale, cores), ours: ours.figures, bare: bare.figures, asterisk }
}

/// What a call lasts at least, in packets of 20 ms.
fn packets_of(load: &Load) -> u64 {
    load.listens.as_millis() as u64 / 20 + 50
}

fn describe(scale: &Scale, cores: usize) -> String {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!(
        "{profile} build, {cores} core(s), the caller on one of them; {} round(s), medians; short: {} calls, {}/s; held: {} calls, \
         {}/s, {} s heard before the key",
        scale.rounds,
        scale.short.total,
        scale.short.rate,
        scale.held.total,
        scale.held.rate,
        scale.held.listens.as_secs()
    )
}

impl Side {
    /// One load to its end: the packets that a call had.
    async fn load(&mut self, name: &str, load: &Load, packets: u64, callee: &mut Callee) -> u64 {
        callee.listen(load.listens);
        let (cpu, before) = (self.caller.process().cpu(), self.caller.process().resident());
        let begun = Instant::now();
        let mut making = self.caller.begin(load, packets);
        let (mut at_once, mut highest) = (0, before);
        let mut made = None;
        let last = Duration::from_secs(1) * load.total / load.rate + load.listens + LOST_AFTER;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let heard = loop {
            tokio::select! {
                done = &mut making, if made.is_none() => made = Some(done.unwrap()),
                _ = looks.tick() => {}
            }
            highest = highest.max(self.caller.process().resident());
            let heard = callee.heard();
            at_once = at_once.max(heard.alive);
            let over = made.is_some() && heard.calls >= load.total as usize && heard.alive == 0;
            if over || begun.elapsed() > last {
                break heard;
            }
        };
        let made = match made {
            Some(made) => made,
            None => making.await.unwrap(),
        };
        let cpu = self.caller.process().cpu() - cpu;
        let after = self.caller.process().resident();
        let mut wrong = made.wrong;
        wrong.extend(self.caller.judge(&made.ids).await);
        self.note(name, load, &heard, cpu);
        let figures = &mut self.figures;
        figures.wrong.append(&mut wrong);
        figures.add(&format!("{name} begun"), made.a_second);
        figures.add(&format!("{name} at once"), at_once as f64);
        figures.add(&format!("{name} each"), highest.saturating_sub(before) as f64 / at_once.max(1) as f64 / 1024.0);
        figures.add(&format!("{name} before"), before as f64 / 1e6);
        figures.add(&format!("{name} resident"), highest as f64 / 1e6);
        figures.add(&format!("{name} after"), after as f64 / 1e6);
        heard.packets / heard.calls.max(1) as u64
    }

    fn note(&mut self, name: &str, load: &Load, heard: &Heard, cpu: Duration) {
        let figures = &mut self.figures;
        figures.calls += load.total as usize;
        figures.packets[0] += heard.packets + heard.lost;
        figures.packets[1] += heard.lost;
        let each = cpu.as_secs_f64() * 1e3 / f64::from(load.total);
        figures.add(&format!("{name} cpu"), each);
        figures.add(&format!("{name} a core"), 1e3 / each);
        let call_seconds = heard.packets as f64 / 50.0;
        figures.add(&format!("{name} second"), cpu.as_secs_f64() * 1e3 / call_seconds);
        figures.add(&format!("{name} core calls"), call_seconds / cpu.as_secs_f64());
        figures.add(&format!("{name} packets"), heard.packets as f64 / heard.calls.max(1) as f64);
        figures.add(&format!("{name} late p50"), heard.late_p50);
        figures.add(&format!("{name} late p99"), heard.late_p99);
        if heard.calls != load.total as usize || heard.pressed != heard.calls {
            let (calls, pressed) = (heard.calls, heard.pressed);
            figures.wrong.push(format!("{name}: {calls} of {} calls had media, {pressed} pressed", load.total));
        }
    }
}
