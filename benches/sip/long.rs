//! Owns the long run: the held load for many minutes, ringproof and everything else sharing all cores, to see whether
//! memory stays flat, packets keep their time, and what was taken is given back afterwards.

use std::time::{Duration, Instant};

use crate::{
    callee::Callee,
    callers::{Caller, Ours},
    ear::Heard,
    rounds::{LOST_AFTER, Load, Scale},
    store::Redis,
};

/// Between two looks at memory and at the calls that are up.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long after the last call memory is looked at again.
const RESTS: Duration = Duration::from_secs(60);
/// Minutes until there are as many calls as there will be.
const FILLS: usize = 2;

/// Highest figures of one minute.
#[derive(Default, Clone, Copy)]
struct Minute {
    resident: u64,
    at_once: usize,
}

/// Makes calls for so many minutes and prints what each was like; ends with an error where a call was lost.
pub(crate) async fn run(minutes: u32) {
    let mut callee = Callee::start(1);
    let redis = Redis::start(1).await;
    let mut caller = Caller::Ours(Ours::start(&redis.url(0), callee.port, 1).await);
    let load = Load { total: Scale::FULL.held.rate * 60 * minutes, ..Scale::FULL.held };
    callee.listen(load.listens);
    let before = caller.process().resident();
    println!("{} calls, {}/s, {} s heard before the key", load.total, load.rate, load.listens.as_secs());
    println!("\n{:>8} {:>14} {:>12}", "minute", "resident (MB)", "at once");
    let (seen, heard) = follow(&mut caller, &mut callee, &load).await;
    let making = caller.process().cpu();
    tokio::time::sleep(RESTS).await;
    let after = caller.process().resident();
    let steady = seen.get(FILLS..seen.len().saturating_sub(1)).unwrap_or_default();
    let (first, last) = steady.split_at(steady.len() / 2);
    let highest = |half: &[Minute]| half.iter().map(|minute| minute.resident).max().unwrap_or_default() as f64 / 1e6;
    println!(
        "\nresident before: {:.1} MB; {} s after the last call: {:.1} MB",
        before as f64 / 1e6,
        RESTS.as_secs(),
        after as f64 / 1e6
    );
    println!("resident at the most, first half: {:.1} MB, second half: {:.1} MB", highest(first), highest(last));
    println!("RTP lateness p50 {:.2} ms, p99 {:.2} ms", heard.late_p50, heard.late_p99);
    println!("{} RTP packets, {} lost on the way", heard.packets + heard.lost, heard.lost);
    println!(
        "CPU {:.3} ms a call, {:.2} cores",
        making.as_secs_f64() * 1e3 / f64::from(load.total),
        making.as_secs_f64() / 60.0 / f64::from(minutes)
    );
}

/// One load to its end: what each minute was like, and what was heard.
async fn follow(caller: &mut Caller, callee: &mut Callee, load: &Load) -> (Vec<Minute>, Heard) {
    let begun = Instant::now();
    let mut making = caller.begin(load, 0);
    let mut seen: Vec<Minute> = Vec::new();
    let mut made = None;
    let last = Duration::from_secs(1) * load.total / load.rate + load.listens + LOST_AFTER;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let heard = loop {
        tokio::select! {
            done = &mut making, if made.is_none() => made = Some(done.unwrap()),
            _ = looks.tick() => {}
        }
        let heard = callee.heard();
        let number = (begun.elapsed().as_secs() / 60) as usize;
        if number >= seen.len() {
            if let Some((n, minute)) = seen.iter().enumerate().next_back() {
                println!("{:>8} {:>14.1} {:>12}", n + 1, minute.resident as f64 / 1e6, minute.at_once);
            }
            seen.resize(number + 1, Minute::default());
        }
        let minute = &mut seen[number];
        minute.resident = minute.resident.max(caller.process().resident());
        minute.at_once = minute.at_once.max(heard.alive);
        let over = made.is_some() && heard.calls >= load.total as usize && heard.alive == 0;
        if over || begun.elapsed() > last {
            break heard;
        }
    };
    let made = match made {
        Some(made) => made,
        None => making.await.unwrap(),
    };
    let mut wrong = made.wrong;
    wrong.extend(caller.judge(&made.ids).await);
    let some: Vec<&String> = wrong.iter().take(5).collect();
    assert!(wrong.is_empty(), "{} faults, such as {some:#?}", wrong.len());
    assert_eq!(
        (heard.calls, heard.pressed),
        (load.total as usize, load.total as usize),
        "calls with media, keys pressed"
    );
    (seen, heard)
}
