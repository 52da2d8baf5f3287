//! One world: virtual time, messages in flight, a store, a carrier. Everything that can go wrong goes wrong here.

use std::{collections::BTreeMap, time::Duration};

use ringproof::{
    callflow::CallFlow,
    dtmf::Digits,
    id::{Partition, VerificationId},
    outcome::{Fault, Mode, Status},
    time::Timestamp,
    verification::{AnsweredBy, Aside, Cause, Effect, End, Input, PlaceResult, Signal, Stepped, Verification},
};

use super::{
    phone::{self, Asked, Pressed, Will},
    plan::{self, Plan, Plant},
    rng::Rng,
};

/// The truth about one telephone call, as the carrier and the callee know it.
#[derive(Debug)]
pub(crate) struct Phone {
    pub call: u8,
    pub will: Will,
    pub dialled_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    pub heard_at: Option<Timestamp>,
    pub over_at: Option<Timestamp>,
    pub pressed: Vec<Pressed>,
    pub told: bool,
    turn: u32,
    rounds: usize,
}

#[derive(Debug, Clone)]
enum Happening {
    /// A dispatcher is offered a call.
    Offer(u8),
    Placed {
        call: u8,
        result: PlaceResult,
    },
    Rings(usize),
    Answers(usize),
    RingsOut(usize),
    Over {
        phone: usize,
        end: End,
    },
    Webhook {
        phone: usize,
        signal: Signal,
        answer: bool,
        tries: u8,
    },
    Forgery {
        phone: usize,
        turn: u32,
        kind: u64,
    },
    /// Keys while it still rings: the carrier played to a telephone that nobody had picked up.
    Overhasty(usize),
    Hears {
        phone: usize,
        turn: u32,
        script: Box<ringproof::callflow::Script>,
    },
    Acts {
        phone: usize,
        turn: u32,
        asked: Asked,
        digits: Option<Digits>,
        hang_up: bool,
    },
    HangUp(u8),
    Client(Input),
    Tick,
}

enum Applied {
    Written,
    Nothing,
    StoreAway,
}

pub(crate) struct World {
    pub plan: Plan,
    pub plant: Plant,
    pub v: Verification,
    pub code: String,
    pub phones: Vec<Phone>,
    pub reports: Vec<Timestamp>,
    pub records: Vec<u8>,
    /// Status at each commit with the store's time.
    pub statuses: Vec<(Timestamp, Status)>,
    pub typed_right: bool,
    pub faults: Vec<String>,
    pub now: Timestamp,
    flow: CallFlow,
    rng: Rng,
    earlier: Vec<Verification>,
    last_spent: u32,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    serial: u64,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, plant: Plant) -> Self {
        let mut rng = Rng::new(seed);
        let now = Timestamp::from_ms(1_795_000_000_000);
        let flow = plan::flow(plan.mode);
        let code = format!("{:06}", rng.between(0, 999_999));
        let id = VerificationId::new(now, rng.bytes(), Partition::of(1));
        let expires_at = now.plus(Duration::from_millis(plan.expires_in));
        let asked = plan::request(&plan, &flow, &code, plant);
        let (v, effects) = Verification::start(id, now, expires_at, asked, &flow, rng.bytes());
        let mut world = Self {
            plan,
            plant,
            code,
            flow,
            rng,
            now,
            earlier: vec![v.clone()],
            v,
            phones: Vec::new(),
            reports: Vec::new(),
            records: Vec::new(),
            statuses: Vec::new(),
            typed_right: false,
            faults: Vec::new(),
            last_spent: 0,
            queue: BTreeMap::new(),
            serial: 0,
        };
        world.after_commit(&effects, false);
        if world.rng.chance(world.plan.cancel) {
            let at = world.rng.between(0, 90_000);
            world.at(at, Happening::Client(Input::Cancel));
        }
        if world.rng.chance(world.plan.redial) {
            for _ in 0..3 {
                let at = world.rng.between(1_000, 120_000);
                world.at(at, Happening::Client(Input::Redial));
            }
        }
        world
    }

    pub(crate) fn ending(&self) -> String {
        match self.v.reason {
            Some(reason) => format!("{} {reason}", self.v.status),
            None => self.v.status.to_string(),
        }
    }

    pub(crate) fn run(&mut self) {
        let end = self.now.plus(Duration::from_secs(3_600));
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            if at > end {
                self.faults.push(String::from("the world does not come to rest"));
                return;
            }
            self.now = at;
            self.happen(happening);
        }
    }

    fn at(&mut self, in_ms: u64, happening: Happening) {
        self.serial += 1;
        self.queue.insert((self.now.plus(Duration::from_millis(in_ms)), self.serial), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Offer(call) => self.dispatch(call),
            Happening::Placed { call, result } => {
                let applied = self.apply(&Input::Placed { call, result: result.clone() });
                if matches!(applied, Applied::StoreAway) && self.rng.chance(50) {
                    self.at(500, Happening::Placed { call, result });
                }
            }
            Happening::Rings(phone) => self.rings(phone),
            Happening::Answers(phone) => self.answers(phone),
            Happening::RingsOut(phone) => {
                if self.phones[phone].answered_at.is_none() {
                    self.over(phone, End::NoAnswer);
                }
            }
            Happening::Over { phone, end } => self.over(phone, end),
            Happening::Webhook { phone, signal, answer, tries } => self.webhook(phone, signal, answer, tries),
            Happening::Forgery { phone, turn, kind } => self.forgery(phone, turn, kind),
            Happening::Overhasty(phone) => self.overhasty(phone),
            Happening::Hears { phone, turn, script } => self.hears(phone, turn, &script),
            Happening::Acts { phone, turn, asked, digits, hang_up } => self.acts(phone, turn, asked, digits, hang_up),
            Happening::HangUp(call) => self.hang_up_at_carrier(call),
            Happening::Client(input) => {
                self.typed_right |= matches!(&input, Input::Check(code) if code.expose() == self.code);
                self.apply(&input);
            }
            Happening::Tick => self.tick(),
        }
    }

    fn tick(&mut self) {
        let due = self.v.deadline().is_some_and(|at| at <= self.now);
        if due && matches!(self.apply(&Input::Tick), Applied::StoreAway) {
            self.at(1_000, Happening::Tick);
        }
    }

    // ── the gateway ──────────────────────────────────────────────────────────────────────────────────────────────

    /// Loads, steps, commits; again on a conflict. From an old value first, as a gateway with a cache does.
    fn apply(&mut self, input: &Input) -> Applied {
        if self.plant == Plant::RepeatedApproval && self.approve_again(input) {
            return Applied::Written;
        }
        let skew = self.rng.between(0, 2 * self.plan.skew);
        // The sweeper goes by the store's time.
        let sweeper = matches!(input, Input::Tick);
        let mut clock =
            Timestamp::from_ms(self.now.as_ms() + if sweeper { self.plan.skew } else { skew } - self.plan.skew);
        for attempt in 0..4 {
            let cached = attempt == 0 && self.rng.chance(self.plan.stale);
            let base = if cached { self.rng.pick(&self.earlier).clone() } else { self.v.clone() };
            let mut next = base.clone();
            let unwatched = self.plant == Plant::ApprovalAfterExpiry && is_keys(input);
            let stepped = next.step(
                if unwatched { clock.min(base.expires_at.minus(Duration::from_millis(1))) } else { clock },
                &self.flow,
                input.clone(),
            );
            if self.rng.chance(self.plan.away) {
                return Applied::StoreAway;
            }
            if !stepped.changed {
                if cached {
                    continue;
                }
                return Applied::Nothing;
            }
            if base.revision != self.v.revision {
                continue;
            }
            if stepped.before.is_some_and(|before| self.now >= before) && !unwatched {
                clock = self.now;
                continue;
            }
            if stepped.spends.is_some_and(|turn| turn <= self.last_spent) {
                self.faults.push(String::from("a turn was spent twice"));
                return Applied::Nothing;
            }
            next.revision += 1;
            return self.write(next, &stepped, sweeper);
        }
        Applied::StoreAway
    }

    fn write(&mut self, next: Verification, stepped: &Stepped, by_sweeper: bool) -> Applied {
        self.last_spent = self.last_spent.max(stepped.spends.unwrap_or(0));
        for (before, after) in self.v.calls.iter().zip(&next.calls) {
            if after.leg < before.leg {
                self.faults.push(format!("a leg went down: {before:?} {after:?}"));
            }
        }
        self.earlier.push(std::mem::replace(&mut self.v, next));
        self.after_commit(&stepped.effects, by_sweeper);
        if self.rng.chance(self.plan.reply_lost) { Applied::StoreAway } else { Applied::Written }
    }

    fn after_commit(&mut self, effects: &[Effect], by_sweeper: bool) {
        self.statuses.push((self.now, self.v.status));
        for effect in effects {
            match *effect {
                // A process that dies here offers nothing; the sweeper does, later.
                Effect::Place { .. } if self.rng.chance(self.plan.crash) => {}
                Effect::Place { call } => {
                    let soon = self.rng.between(0, 50);
                    self.at(soon, Happening::Offer(call));
                }
                Effect::HangUp { call } => {
                    let late = if self.rng.chance(self.plan.crash) { 5_000 } else { 30 };
                    self.at(late, Happening::HangUp(call));
                }
                Effect::Report if by_sweeper && self.plant == Plant::LostOutcome => {}
                Effect::Report => self.reports.push(self.now),
                Effect::Record { .. } if self.plant == Plant::LostRecord && self.rng.chance(20) => {}
                Effect::Record { call } => self.records.push(call),
            }
        }
        if let Some(at) = self.v.deadline() {
            let late = self.rng.between(0, self.plan.sweep);
            let wait = u64::try_from(at.since(self.now).as_millis()).unwrap();
            self.at(wait + late, Happening::Tick);
        }
    }

    /// The planted fault: the key is stepped from a value of before the approval, and nobody compares revisions.
    fn approve_again(&mut self, input: &Input) -> bool {
        if self.v.status != Status::Verified || !is_keys(input) {
            return false;
        }
        let Some(mut before) = self.earlier.iter().rev().find(|value| !value.is_final()).cloned() else { return false };
        let stepped = before.step(self.now, &self.flow, input.clone());
        if before.status == Status::Verified {
            before.revision = self.v.revision + 1;
            self.write(before, &stepped, false);
        }
        stepped.changed
    }

    fn dispatch(&mut self, call: u8) {
        if !matches!(self.apply(&Input::Taken { call }), Applied::Written) || self.rng.chance(self.plan.crash) {
            return;
        }
        if self.v.calls.len() != usize::from(call) + 1 {
            return self.faults.push(format!("call {call} was taken although another one follows it"));
        }
        let cause = |end, fault| Cause { end, fault, carrier_code: None, sip_status: None };
        let id = Some(format!("CA{call}"));
        let (placed, result) = match () {
            () if self.rng.chance(self.plan.refuse) => {
                let try_next_route = self.rng.chance(70);
                (false, PlaceResult::Refused { cause: cause(End::CarrierError, Fault::Carrier), try_next_route })
            }
            () if self.rng.chance(self.plan.unknown) => {
                (self.rng.chance(60), PlaceResult::Unknown { cause: cause(End::CarrierError, Fault::Unknown) })
            }
            () => (true, PlaceResult::Accepted { carrier_call_id: id }),
        };
        if placed {
            self.dial(call);
        }
        if self.plant == Plant::SecondRing && matches!(result, PlaceResult::Unknown { .. }) {
            self.dial(call);
        }
        if !self.rng.chance(self.plan.crash) {
            let late = self.delay();
            self.at(late, Happening::Placed { call, result });
        }
    }

    fn webhook(&mut self, phone: usize, signal: Signal, answer: bool, tries: u8) {
        let call = self.phones[phone].call;
        let applied = self.apply(&Input::Carrier {
            token: self.v.token(call),
            carrier: self.carrier_of(call),
            carrier_call_id: Some(format!("CA{call}")),
            to: None,
            signal: signal.clone(),
            aside: Aside::default(),
        });
        if !answer {
            return;
        }
        match applied {
            Applied::StoreAway if tries < 5 => {
                self.at(500, Happening::Webhook { phone, signal, answer, tries: tries + 1 })
            }
            // The callee hears an apology and the line is dropped.
            Applied::StoreAway => self.over(phone, End::Completed),
            Applied::Written | Applied::Nothing => {
                let script = Box::new(if self.v.calls.len() == usize::from(call) + 1 {
                    self.v.script(&self.flow)
                } else {
                    return self.over(phone, End::Completed);
                });
                let (turn, late) = (self.v.turn, self.rng.between(5, 100));
                self.at(late, Happening::Hears { phone, turn, script });
            }
        }
    }

    /// Somebody who is not the carrier, or the carrier about another call.
    fn forgery(&mut self, phone: usize, turn: u32, kind: u64) {
        let call = self.phones[phone].call;
        let mut token = self.v.token(call);
        let (mut id, mut carrier, mut to) = (format!("CA{call}"), self.carrier_of(call), None);
        match kind % 4 {
            0 => token.proof = if self.plant == Plant::ForgedToken { token.proof } else { self.rng.bytes() },
            1 => id = String::from("CAother"),
            2 => carrier = String::from("another"),
            _ => to = Some("+819099999999".parse().unwrap()),
        }
        let digits = if self.plan.mode == Mode::Match { format!("{}#", self.code) } else { String::from("#") };
        let signal = Signal::Keys { turn, digits: digits.parse().unwrap(), answered: true };
        let known = self.v.calls.get(usize::from(call)).is_some_and(|call| call.carrier_call_id.is_some());
        if kind % 4 != 1 || known {
            self.apply(&Input::Carrier {
                token,
                carrier,
                carrier_call_id: Some(id),
                to,
                signal,
                aside: Aside::default(),
            });
        }
    }

    /// A carrier that asks what to play while it rings, and reports keys that no callee can have pressed.
    fn overhasty(&mut self, phone: usize) {
        let call = self.phones[phone].call;
        if self.phones[phone].over_at.is_some() {
            return;
        }
        let digits = if self.plan.mode == Mode::Match { format!("{}#", self.code) } else { String::from("#") };
        let answered = self.plant == Plant::KeysWhileRinging;
        let keys = Signal::Keys { turn: self.v.turn, digits: digits.parse().unwrap(), answered };
        for signal in [Signal::Flow { answered }, keys] {
            let (token, carrier) = (self.v.token(call), self.carrier_of(call));
            self.apply(&Input::Carrier {
                token,
                carrier,
                carrier_call_id: Some(format!("CA{call}")),
                to: None,
                signal,
                aside: Aside::default(),
            });
        }
        self.at(plan::EARLY_MS + 500, Happening::Overhasty(phone));
    }

    fn carrier_of(&self, call: u8) -> String {
        self.v.calls.get(usize::from(call)).map_or_else(String::new, |call| format!("carrier-{}", call.route))
    }

    // ── the carrier and the callee ───────────────────────────────────────────────────────────────────────────────

    fn delay(&mut self) -> u64 {
        self.rng.between(5, self.plan.delay)
    }

    fn dial(&mut self, call: u8) {
        let will = self.plan.wills[usize::from(call) % self.plan.wills.len()];
        let phone = self.phones.len();
        self.phones.push(Phone {
            call,
            will,
            dialled_at: self.now,
            answered_at: None,
            heard_at: None,
            over_at: None,
            pressed: Vec::new(),
            told: false,
            turn: 0,
            rounds: 0,
        });
        let rings = self.rng.between(100, 3_000);
        let decides = rings + self.rng.between(500, 9_000);
        match will {
            Will::SwitchedOff => self.at(rings, Happening::Over { phone, end: End::Unreachable }),
            Will::Busy => self.at(rings, Happening::Over { phone, end: End::Busy }),
            Will::Decline => {
                self.at(rings, Happening::Rings(phone));
                self.at(decides, Happening::Over { phone, end: End::Rejected });
            }
            Will::RingOut => self.at(rings, Happening::Rings(phone)),
            _ => {
                self.at(rings, Happening::Rings(phone));
                self.at(decides, Happening::Answers(phone));
            }
        }
        let rings_out = rings + 30_000 + self.rng.between(0, 4_000);
        self.at(rings_out, Happening::RingsOut(phone));
    }

    /// A message of the carrier: late, repeated, or lost where nobody waits for an answer.
    fn send(&mut self, phone: usize, signal: &Signal, answer: bool) {
        let late = self.delay();
        if answer || !self.rng.chance(self.plan.lose) {
            self.at(late, Happening::Webhook { phone, signal: signal.clone(), answer, tries: 0 });
        }
        while self.rng.chance(self.plan.repeat) {
            let later = late + self.rng.between(0, 12_000);
            self.at(later, Happening::Webhook { phone, signal: signal.clone(), answer: false, tries: 0 });
        }
    }

    fn rings(&mut self, phone: usize) {
        if self.phones[phone].over_at.is_none() {
            self.send(phone, &Signal::Ringing, false);
            if matches!(self.phones[phone].will, Will::Decline | Will::RingOut) && self.rng.chance(self.plan.forge) {
                self.at(0, Happening::Overhasty(phone));
            }
        }
    }

    fn answers(&mut self, phone: usize) {
        let now = self.now;
        let this = &mut self.phones[phone];
        if this.over_at.is_some() {
            return;
        }
        this.answered_at = Some(now);
        let mailbox = this.will == Will::Mailbox;
        self.send(phone, &Signal::Answered, false);
        self.send(phone, &Signal::Flow { answered: true }, true);
        if mailbox {
            self.send(phone, &Signal::AnsweredBy(AnsweredBy::Machine), false);
        }
        self.at(90_000, Happening::Over { phone, end: End::Completed });
    }

    fn over(&mut self, phone: usize, end: End) {
        if self.phones[phone].over_at.is_some() {
            return;
        }
        self.phones[phone].over_at = Some(self.now);
        let fault = if end == End::Completed { Fault::None } else { Fault::Callee };
        self.send(phone, &Signal::Ended(Cause { end, fault, carrier_code: None, sip_status: None }), false);
    }

    fn hang_up_at_carrier(&mut self, call: u8) {
        let named = self.v.calls.get(usize::from(call)).is_some_and(|call| call.carrier_call_id.is_some());
        let alive = self.phones.iter().position(|phone| phone.call == call && phone.over_at.is_none());
        if let Some(phone) = alive.filter(|_| named) {
            let end = if self.phones[phone].answered_at.is_some() { End::Completed } else { End::Canceled };
            self.over(phone, end);
        }
    }

    fn hears(&mut self, phone: usize, turn: u32, script: &ringproof::callflow::Script) {
        let now = self.now;
        let this = &mut self.phones[phone];
        if this.over_at.is_some() || this.turn > turn {
            return;
        }
        this.heard_at.get_or_insert(now);
        let round = this.rounds;
        this.rounds += 1;
        this.turn = turn;
        let asked = phone::asked(script);
        let told_now = asked == Asked::Told && !this.told;
        this.told |= asked == Asked::Told;
        let will = this.will;
        if told_now {
            let typed = if self.rng.chance(80) { self.code.clone() } else { String::from("000000") };
            let later = self.rng.between(2_000, 40_000);
            self.at(later, Happening::Client(Input::Check(typed.parse().unwrap())));
            if will == Will::TypeTheCode {
                let code = self.code.parse().unwrap();
                self.at(later + 500, Happening::Client(Input::Check(code)));
            }
        }
        let reaction = phone::react(will, script, round, &self.code, &mut self.rng);
        self.at(
            reaction.after_ms,
            Happening::Acts { phone, turn, asked, digits: reaction.digits, hang_up: reaction.hang_up },
        );
        if self.rng.chance(self.plan.forge) {
            let (kind, at) = (self.rng.next(), self.rng.between(0, reaction.after_ms));
            self.at(at, Happening::Forgery { phone, turn, kind });
        }
    }

    fn acts(&mut self, phone: usize, turn: u32, asked: Asked, digits: Option<Digits>, hang_up: bool) {
        let now = self.now;
        let this = &mut self.phones[phone];
        if this.over_at.is_some() || this.turn != turn {
            return;
        }
        if let Some(digits) = digits {
            let after_ms = u64::try_from(now.since(this.heard_at.unwrap_or(now)).as_millis()).unwrap();
            if !digits.is_empty() {
                this.pressed.push(Pressed { asked, digits: digits.expose().to_owned(), after_ms });
            }
            self.send(phone, &Signal::Keys { turn, digits, answered: true }, !hang_up);
        }
        if hang_up {
            self.over(phone, End::Completed);
        }
    }
}

fn is_keys(input: &Input) -> bool {
    matches!(input, Input::Carrier { signal: Signal::Keys { .. }, .. } | Input::Check(_))
}
