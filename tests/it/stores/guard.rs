//! Owns that the step of the guard is the same in Redis and in Rust: thousands of random steps in virtual time, answer by
//! answer and byte by byte.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use redis::Value;
use ringproof::{
    guard::{
        meter::{Key, Meter, Window},
        step::{self, Answer, Bar, By, GiveBack, Kept, Run, Sense, Settle, Take},
    },
    time::Timestamp,
};

use crate::world::redis::Redis;

/// The step with the time given to it, so that it can be virtual.
const BODY: &str =
    "local ok, what = take(tonumber(ARGV[1]), 2, #ARGV + 1) if ok then return {1, what} end return {0, what}";
/// What is set right, with the time given to it.
const SET_RIGHT: &str = "set_right(tonumber(ARGV[1]), 2, #ARGV + 1) return 1";
const STEPS: u32 = 5_000;

#[derive(Default)]
struct Table(BTreeMap<Key, (Vec<u8>, Timestamp)>);

impl Kept for Table {
    type Fault = Infallible;

    fn value(&self, key: &Key, now: Timestamp) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(key).filter(|(_, ends)| *ends > now).map(|(value, _)| value.clone()))
    }

    fn put(&mut self, key: &Key, value: Vec<u8>, ends: Timestamp) -> Result<(), Infallible> {
        self.0.insert(key.clone(), (value, ends));
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<(), Infallible> {
        self.0.remove(key);
        Ok(())
    }
}

#[test]
fn the_step_of_the_guard_is_the_same_in_redis_and_in_rust() {
    let server = Redis::start();
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let text = format!("{}\n{BODY}", include_str!("../../../src/store/redis/meter.lua"));
    let script = redis::Script::new(&text);
    let right = redis::Script::new(&format!("{}\n{SET_RIGHT}", include_str!("../../../src/store/redis/meter.lua")));
    let (mut table, mut dice) = (Table::default(), Dice(7));
    let (mut now, mut taken, mut refused) = (1_795_000_000_000, 0, BTreeMap::<&str, u32>::new());
    for n in 0..STEPS {
        now += dice.below(3_000);
        let at = Timestamp::from_ms(now);
        if dice.below(60) == 0 {
            let bar = dice.bar(n);
            let key = bar.key.clone();
            step::settle(&mut table, at, &Settle { raise: vec![bar], ..Settle::default() }).unwrap();
            let value = table.value(&key, at).unwrap().unwrap();
            redis::cmd("SET").arg(key.as_str()).arg(value).query::<()>(&mut connection).unwrap();
        }
        // What ends by the virtual clock ends in Redis, too.
        let over: Vec<Key> = table.0.iter().filter(|(_, (_, ends))| *ends <= at).map(|(key, _)| key.clone()).collect();
        for key in over {
            table.0.remove(&key);
            redis::cmd("DEL").arg(key.as_str()).query::<()>(&mut connection).unwrap();
        }
        if dice.below(3) == 0 {
            let settle = dice.settle(n, now);
            step::settle(&mut table, at, &settle).unwrap();
            let mut call = right.prepare_invoke();
            call.arg(now);
            corrections(&settle).iter().for_each(|argument| {
                call.arg(argument.as_str());
            });
            assert_eq!(call.invoke::<i64>(&mut connection).unwrap(), 1);
            for key in touched(&settle) {
                let theirs: Option<Vec<u8>> = redis::cmd("GET").arg(key.as_str()).query(&mut connection).unwrap();
                assert_eq!(theirs, table.value(&key, at).unwrap(), "step {n} at {now}: {key:?} after {settle:?}");
            }
        }
        let take = dice.take(now);
        let answer = step::take(&mut table, at, &take).unwrap();
        let mut call = script.prepare_invoke();
        call.arg(now);
        arguments(&take).iter().for_each(|argument| {
            call.arg(argument.as_slice());
        });
        assert_eq!(call.invoke::<Value>(&mut connection).unwrap(), told(&answer), "step {n} at {now}: {take:?}");
        match answer {
            Answer::Allowed { .. } => taken += 1,
            Answer::Refused(stop) => *refused.entry(kind(&stop.by)).or_default() += 1,
        }
        for key in take.meters.iter().map(|meter| &meter.key).chain(take.runs.iter().map(|run| &run.key)) {
            let theirs: Option<Vec<u8>> = redis::cmd("GET").arg(key.as_str()).query(&mut connection).unwrap();
            assert_eq!(theirs, table.value(key, at).unwrap(), "step {n}: {key:?}");
        }
    }
    assert!(taken > 500 && refused.len() == 4, "{taken} taken, refused {refused:?}");
    let keys: Vec<String> = redis::cmd("KEYS").arg("[mr]:*").query(&mut connection).unwrap();
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        assert!(left > 0, "{key} does not end");
    }
}

fn arguments(take: &Take) -> Vec<Vec<u8>> {
    let ms = |time: Duration| time.as_millis().to_string();
    let mut texts = Vec::new();
    for bar in &take.bars {
        texts.extend([String::from("b"), bar.as_str().to_owned()]);
    }
    for run in &take.runs {
        let (most, pauses) = (run.most.to_string(), run.pauses.len().to_string());
        texts.extend([String::from("r"), run.key.as_str().to_owned(), most, ms(run.keep), pauses]);
        texts.extend(run.pauses.iter().map(|pause| ms(*pause)));
    }
    for meter in &take.meters {
        let until = meter.until.map_or(0, Timestamp::as_ms).to_string();
        let (cost, all) = (meter.cost.to_string(), u8::from(meter.for_all).to_string());
        texts.extend([String::from("m"), meter.key.as_str().to_owned(), cost, all, until]);
        texts.extend([ms(meter.span()), ms(meter.grain()), meter.windows.len().to_string()]);
        texts.extend(meter.windows.iter().flat_map(|window| [ms(window.span), window.most.to_string()]));
    }
    texts.into_iter().map(String::into_bytes).collect()
}

/// What is set right, as the script reads it.
fn corrections(settle: &Settle) -> Vec<String> {
    let ms = |time: Duration| time.as_millis().to_string();
    let mut texts = Vec::new();
    let mut tell = |kind: &str, key: &Key, rest: Vec<String>| {
        texts.extend([kind.to_owned(), key.as_str().to_owned()]);
        texts.extend(rest);
    };
    for back in &settle.give_back {
        let rest = vec![ms(back.span), ms(back.grain), back.amount.to_string(), back.added.as_ms().to_string()];
        tell("g", &back.key, rest);
    }
    for meter in &settle.add {
        tell("a", &meter.key, vec![meter.cost.to_string(), ms(meter.span()), ms(meter.grain())]);
    }
    settle.clear.iter().for_each(|key| tell("c", key, Vec::new()));
    settle.fail.iter().for_each(|(run, by)| tell("f", &run.key, vec![by.to_string(), ms(run.keep)]));
    settle.lift.iter().for_each(|key| tell("l", key, Vec::new()));
    for bar in &settle.raise {
        let sense = if bar.sense == Sense::Allow { "a" } else { "d" };
        let pinned = if bar.pinned { "p" } else { "-" };
        let first = bar.first_probe.map_or_else(|| String::from("-1"), ms);
        let times = [ms(bar.holds_for), first, ms(bar.probe_every)];
        let rest = [String::from("bars"), format!("{sense}{pinned}")].into_iter().chain(times).chain([bar.why.clone()]);
        tell("u", &bar.key, rest.collect());
    }
    texts
}

fn touched(settle: &Settle) -> Vec<Key> {
    let back = settle.give_back.iter().map(|back| &back.key);
    let added = settle.add.iter().map(|meter| &meter.key).chain(settle.fail.iter().map(|(run, _)| &run.key));
    let bars = settle.raise.iter().map(|bar| &bar.key).chain(&settle.lift).chain(&settle.clear);
    back.chain(added).chain(bars).cloned().collect()
}

/// What the script must answer.
fn told(answer: &Answer) -> Value {
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap());
    match answer {
        Answer::Allowed { seen } => {
            Value::Array(vec![Value::Int(1), Value::Array(seen.iter().flatten().map(|seen| number(*seen)).collect())])
        }
        Answer::Refused(stop) => {
            let (place, window, why) = match &stop.by {
                By::Bar { index, why } => (*index, 0, why.as_str()),
                By::Pause { index } | By::Run { index } => (*index, 0, ""),
                By::Meter { index, window } => (*index, *window, ""),
            };
            let wait = stop.wait.map_or(Value::Int(-1), |wait| number(u64::try_from(wait.as_millis()).unwrap()));
            let word = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            let (place, window) = (number(place as u64), number(window as u64));
            let what = vec![word(kind(&stop.by)), place, window, wait, number(stop.seen), word(why)];
            Value::Array(vec![Value::Int(0), Value::Array(what)])
        }
    }
}

fn kind(by: &By) -> &'static str {
    match by {
        By::Bar { .. } => "b",
        By::Pause { .. } => "r",
        By::Run { .. } => "f",
        By::Meter { .. } => "m",
    }
}

/// A small generator (`SplitMix64`, public domain): the steps are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn key(&mut self, scope: &str, end: u64) -> Key {
        Key::new(scope, &self.below(end).to_string())
    }

    fn bar(&mut self, n: u32) -> Bar {
        let first_probe = (self.below(2) == 0).then(|| Duration::from_secs(3 + self.below(9)));
        Bar {
            key: self.key("bar", 6),
            sense: if self.below(3) == 0 { Sense::Allow } else { Sense::Deny },
            pinned: self.below(2) == 0,
            holds_for: Duration::from_secs(20 + self.below(100)),
            first_probe,
            probe_every: Duration::from_secs(2),
            why: format!("seen in step {n}"),
        }
    }

    fn settle(&mut self, n: u32, now: u64) -> Settle {
        let mut settle = Settle::default();
        let meters = self.take(now).meters;
        for meter in meters {
            if self.below(2) == 0 {
                let added = Timestamp::from_ms(now - self.below(20_000));
                let (span, grain, amount) = (meter.span(), meter.grain(), 1 + self.below(4));
                settle.give_back.push(GiveBack { key: meter.key, span, grain, amount, added });
            } else if meter.cost > 0 {
                settle.add.push(meter);
            }
        }
        if self.below(4) == 0 {
            let pauses = vec![Duration::from_secs(1)];
            let run = Run { key: self.key("r:a", 40), pauses, most: 6, keep: Duration::from_secs(300) };
            settle.fail.push((run, 1 + u32::try_from(self.below(2)).unwrap()));
            settle.clear.push(self.key("r:b", 40));
        }
        match self.below(4) {
            0 => settle.lift.push(self.key("bar", 6)),
            1 => settle.raise.push(self.bar(n)),
            2 => settle.clear.push(self.key("bar", 6)),
            _ => {}
        }
        settle
    }

    fn take(&mut self, now: u64) -> Take {
        let mut take = Take::default();
        for most in [1, 3, 10, 100, 1_000].into_iter().take(usize::try_from(self.below(5)).unwrap()) {
            let wide = Window { span: Duration::from_secs(60), most };
            let narrow = Window { span: Duration::from_secs(10), most: most.div_ceil(2) };
            take.meters.push(Meter {
                key: self.key(&format!("m:{most}"), 4),
                windows: vec![narrow, wide],
                cost: self.below(3),
                for_all: self.below(2) == 0,
                until: (self.below(5) == 0).then(|| Timestamp::from_ms(now - 1_000 + self.below(9_000))),
            });
        }
        for scope in ["r:a", "r:b"].into_iter().take(usize::try_from(self.below(3)).unwrap()) {
            let pauses = vec![Duration::from_secs(1), Duration::from_secs(5)];
            take.runs.push(Run { key: self.key(scope, 40), pauses, most: 6, keep: Duration::from_secs(300) });
        }
        take.bars = (0..self.below(3)).map(|_| self.key("bar", 6)).collect();
        take
    }
}
