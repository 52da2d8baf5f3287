//! Owns one simulated call, from dialling to its end: it says the lines of each script at their estimated pace,
//! listens for keys as the gather asks, and hands every event to the switchboard in the order a carrier would.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    CaptionKind, Ending, Inner, Order, Phase, Telephone, View, cause,
    mood::{Act, Mood},
    name_of,
};
use crate::{
    callflow::{Gather, Line, Script, Then},
    dtmf::{Digit, Digits},
    outcome::Fault,
    provider::{Line as Served, Switchboard},
    verification::{AnsweredBy, Cause, End, Signal},
};

/// From dialling to the first ring.
const SET_UP: Duration = Duration::from_millis(900);
/// From the start of dialling to a busy tone, or to the word that there is no such number.
const NETWORK_ANSWER: Duration = Duration::from_millis(1400);
/// A dialled key and the silence after it.
const KEY_TONE: Duration = Duration::from_millis(200);

pub(super) struct Conversation<'a> {
    line: &'a Inner,
    order: &'a Order,
    telephone: &'a Telephone,
    switchboard: &'a dyn Switchboard,
    /// Cancelled when the caller's side ends the call.
    cut: CancellationToken,
    mood: Mood,
    /// What the callee is going to do, by its mood.
    plan: VecDeque<(Instant, Act)>,
    /// What a carrier is going to find out about who answered.
    finding: Option<(Instant, AnsweredBy)>,
    /// When the call is ended because of its length.
    limit: Option<Instant>,
    asked: u32,
}

/// What comes next on the line.
enum Next {
    Act(Act),
    Found(AnsweredBy),
    Time,
    Cut,
    Limit,
}

/// What came of a script.
enum Heard {
    /// These keys, or none.
    Keys(Digits),
    /// Another script is to be said instead.
    Told(Served),
}

/// Why a call is over.
struct Over {
    cause: Cause,
    ending: Ending,
}

impl Over {
    fn completed(ending: Ending) -> Self {
        Self { cause: cause(End::Completed, Fault::None, ""), ending }
    }
}

/// What a step of a call comes to: it goes on, or it is over.
type Going<T> = Result<T, Over>;

impl<'a> Conversation<'a> {
    pub(super) fn new(
        line: &'a Inner,
        order: &'a Order,
        telephone: &'a Telephone,
        cut: CancellationToken,
        switchboard: &'a dyn Switchboard,
    ) -> Self {
        let mood = telephone.mood();
        Self {
            line,
            order,
            telephone,
            switchboard,
            cut,
            mood,
            plan: VecDeque::new(),
            finding: None,
            limit: None,
            asked: 0,
        }
    }

    /// Leads the call to its end and hands that in.
    pub(super) async fn run(mut self) {
        self.signal(Signal::Initiated).await;
        let over = match self.telephone.connect() {
            Some(mut acts) => match self.ring_and_talk(&mut acts).await {
                Err(over) => {
                    self.show_end(&over);
                    over
                }
                Ok(never) => match never {},
            },
            None => self.engaged().await,
        };
        self.signal(Signal::Ended(over.cause)).await;
    }

    /// The telephone is in another call, which goes on untouched.
    async fn engaged(&mut self) -> Over {
        let (_nobody, mut acts) = mpsc::channel(1);
        let busy = Over { cause: cause(End::Busy, Fault::Callee, "in_another_call"), ending: Ending::NeverRang };
        self.set_up(&mut acts, NETWORK_ANSWER).await.err().unwrap_or(busy)
    }

    async fn ring_and_talk(&mut self, acts: &mut mpsc::Receiver<Act>) -> Going<Infallible> {
        let (from, to) = (self.order.from.clone(), self.order.to.clone());
        let verification = self.order.token.call.verification;
        self.telephone.show(|view| {
            let (from, to, verification) = (Some(from), Some(to), Some(verification));
            *view = View { revision: view.revision, from, to, verification, ..View::default() };
        });
        if let Some(cause) = self.mood.never_rings() {
            self.set_up(acts, NETWORK_ANSWER).await?;
            return Err(Over { cause, ending: Ending::NeverRang });
        }
        self.set_up(acts, SET_UP).await?;
        self.ring(acts).await?;
        self.talk(acts).await
    }

    /// Waits for the network. Nobody can do anything yet but the caller.
    async fn set_up(&mut self, acts: &mut mpsc::Receiver<Act>, takes: Duration) -> Going<()> {
        let until = self.after(takes);
        loop {
            match self.next(acts, until).await {
                Next::Time => return Ok(()),
                Next::Cut => {
                    return Err(Over { cause: cause(End::Canceled, Fault::Us, ""), ending: Ending::NeverRang });
                }
                Next::Act(_) | Next::Found(_) | Next::Limit => {}
            }
        }
    }

    /// Rings until it is answered.
    async fn ring(&mut self, acts: &mut mpsc::Receiver<Act>) -> Going<()> {
        let now = self.line.clock.now();
        self.telephone.show(|view| {
            view.phase = Phase::Ringing;
            view.ringing_at = Some(now);
        });
        self.signal(Signal::Ringing).await;
        self.plan = self.mood.when_ringing().map(|(after, act)| (self.after(after), act)).into_iter().collect();
        let rings_out = self.after(self.order.ring_timeout);
        loop {
            match self.next(acts, rings_out).await {
                Next::Act(Act::Answer) => return Ok(()),
                Next::Act(Act::Decline) => {
                    return Err(Over { cause: cause(End::Rejected, Fault::Callee, ""), ending: Ending::Declined });
                }
                Next::Act(Act::Press(_) | Act::HangUp) | Next::Found(_) => {}
                Next::Time | Next::Limit => {
                    return Err(Over { cause: cause(End::NoAnswer, Fault::Callee, ""), ending: Ending::Missed });
                }
                Next::Cut => {
                    return Err(Over { cause: cause(End::Canceled, Fault::Us, ""), ending: Ending::Missed });
                }
            }
        }
    }

    /// Everything from the answer on.
    async fn talk(&mut self, acts: &mut mpsc::Receiver<Act>) -> Going<Infallible> {
        self.limit = Some(self.after(self.order.call_limit));
        self.finding = self.mood.answered_by().map(|(after, who)| (self.after(after), who));
        let now = self.line.clock.now();
        self.telephone.show(|view| {
            view.phase = Phase::Talking;
            view.answered_at = Some(now);
        });
        self.signal(Signal::Answered).await;
        self.dial_extension(acts).await?;
        let mut served = self.signal(Signal::Flow { answered: true }).await;
        loop {
            // Without a script there is nothing more to say: the caller's side is gone.
            let Some(Served { script, turn }) = served else { return Err(Over::completed(Ending::CallerHungUp)) };
            served = match self.perform(acts, &script).await? {
                Heard::Keys(digits) => self.signal(Signal::Keys { turn, digits, answered: true }).await,
                Heard::Told(told) => Some(told),
            };
        }
    }

    /// An office exchange answers first: the extension is dialled, then the person is there.
    async fn dial_extension(&mut self, acts: &mut mpsc::Receiver<Act>) -> Going<()> {
        let Some(extension) = &self.order.extension else { return Ok(()) };
        let takes = extension.chars().map(|c| if c == ',' { Duration::from_secs(1) } else { KEY_TONE }).sum();
        let until = self.after(takes);
        loop {
            match self.next(acts, until).await {
                Next::Time => return Ok(()),
                event @ (Next::Act(_) | Next::Found(_) | Next::Cut | Next::Limit) => {
                    self.heard_while_talking(&event)?
                }
            };
        }
    }

    /// Says a script and listens.
    async fn perform(&mut self, acts: &mut mpsc::Receiver<Act>, script: &Script) -> Going<Heard> {
        for line in &script.before {
            if let Some(told) = self.speak(acts, line, script).await? {
                return Ok(Heard::Told(told));
            }
        }
        match &script.then {
            Then::Gather(gather) => self.gather(acts, gather, script).await,
            Then::HangUp => Err(Over::completed(Ending::CallerHungUp)),
        }
    }

    /// Says a line to its end, or until another script is to be said. Keys are lost, as between two questions of a
    /// carrier.
    async fn speak(&mut self, acts: &mut mpsc::Receiver<Act>, line: &Line, script: &Script) -> Going<Option<Served>> {
        let until = self.begin(line, &script.language);
        loop {
            match self.next(acts, until).await {
                Next::Time => return Ok(None),
                Next::Found(who) => {
                    if let Some(told) = self.tell(who, script).await {
                        return Ok(Some(told));
                    }
                }
                event @ (Next::Act(_) | Next::Cut | Next::Limit) => {
                    self.heard_while_talking(&event)?;
                }
            }
        }
    }

    /// Asks a question, and listens as it wants.
    async fn gather(&mut self, acts: &mut mpsc::Receiver<Act>, gather: &Gather, script: &Script) -> Going<Heard> {
        let planned = self.mood.when_asked(self.asked, gather, self.line.code.as_ref());
        self.asked += 1;
        self.plan = planned.into_iter().map(|(after, act)| (self.after(after), act)).collect();
        self.telephone.show(|view| {
            view.listening = true;
            view.asked += 1;
        });
        let heard = self.listen(acts, gather, script).await;
        self.plan.clear();
        self.telephone.show(|view| view.listening = false);
        heard
    }

    async fn listen(&mut self, acts: &mut mpsc::Receiver<Act>, gather: &Gather, script: &Script) -> Going<Heard> {
        let mut keys = String::new();
        let mut prompt = gather.prompt.iter();
        let mut waiting = false;
        let mut until = self.after(Duration::ZERO);
        loop {
            match self.next(acts, until).await {
                // The first key cuts the prompt short.
                Next::Time => match prompt.next().filter(|_| keys.is_empty()) {
                    Some(line) => until = self.begin(line, &script.language),
                    None if !waiting => {
                        waiting = true;
                        until = self.after(gather.wait);
                    }
                    None => return Ok(Heard::Keys(keys.parse().unwrap_or_default())),
                },
                Next::Found(who) => {
                    if let Some(told) = self.tell(who, script).await {
                        return Ok(Heard::Told(told));
                    }
                }
                event @ (Next::Act(_) | Next::Cut | Next::Limit) => {
                    let Some(key) = self.heard_while_talking(&event)? else { continue };
                    keys.push(key.as_char());
                    if gather.accept.is_met(&keys, key) {
                        return Ok(Heard::Keys(keys.parse().unwrap_or_default()));
                    }
                    waiting = true;
                    until = self.after(gather.wait);
                }
            }
        }
    }

    /// Tells who answered; what is heard from now on, where that is another script.
    async fn tell(&mut self, who: AnsweredBy, script: &Script) -> Option<Served> {
        self.signal(Signal::AnsweredBy(who)).await.filter(|told| told.script != *script)
    }

    /// What an event comes to while both are on the line: a key, nothing, or the end.
    fn heard_while_talking(&self, event: &Next) -> Going<Option<Digit>> {
        match event {
            Next::Act(Act::Press(key)) => {
                self.telephone.caption(CaptionKind::Key, key.as_char().to_string(), "", Duration::ZERO);
                Ok(Some(*key))
            }
            Next::Act(Act::HangUp) => Err(Over::completed(Ending::HungUp)),
            Next::Cut | Next::Limit => Err(Over::completed(Ending::CallerHungUp)),
            Next::Act(Act::Answer | Act::Decline) | Next::Found(_) | Next::Time => Ok(None),
        }
    }

    /// Begins a line; the time when it is said.
    fn begin(&self, line: &Line, language: &str) -> Instant {
        let (kind, text) = match line {
            Line::Say { text, .. } => (CaptionKind::Said, text.clone()),
            Line::Play { recording, .. } => (CaptionKind::Played, recording.clone()),
            Line::SpokenDigits { digits, .. } => {
                let spaced: Vec<String> = digits.0.iter().map(|digit| digit.as_char().to_string()).collect();
                (CaptionKind::Digits, spaced.join(" "))
            }
            Line::Pause(pause) => return self.after(*pause),
        };
        let takes = line.speaking_time();
        self.telephone.caption(kind, text, language, self.scaled(takes));
        self.after(takes)
    }

    /// Waits for what happens next, until `until` at most.
    async fn next(&mut self, acts: &mut mpsc::Receiver<Act>, until: Instant) -> Next {
        let planned = self.plan.front().map(|(at, _)| *at);
        let finding = self.finding.map(|(at, _)| at);
        tokio::select! {
            biased;
            () = self.cut.cancelled() => Next::Cut,
            () = at(self.limit) => Next::Limit,
            () = at(finding) => self.finding.take().map_or(Next::Time, |(_, who)| Next::Found(who)),
            Some(act) = acts.recv() => Next::Act(act),
            () = at(planned) => self.plan.pop_front().map_or(Next::Time, |(_, act)| Next::Act(act)),
            () = sleep_until(until) => Next::Time,
        }
    }

    fn scaled(&self, duration: Duration) -> Duration {
        duration / u32::from(self.line.config.speed.max(1))
    }

    fn after(&self, duration: Duration) -> Instant {
        Instant::now() + self.scaled(duration)
    }

    async fn signal(&self, signal: Signal) -> Option<Served> {
        let token = self.order.token;
        self.switchboard.signal(self.line.name.clone(), name_of(token.call), token, signal).await
    }

    fn show_end(&self, over: &Over) {
        self.telephone.show(|view| {
            view.phase = Phase::Idle;
            view.listening = false;
            view.ending = Some(over.ending);
        });
    }
}

/// Waits for a time; forever where there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
