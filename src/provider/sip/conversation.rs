//! Owns one call over a trunk, from the request to its end: it dials, plays the lines of each script, listens for keys
//! as the gather asks, and hands every event to the switchboard in the order a carrier would. It decides nothing about a
//! verification, and it never asks for a second call.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inner, OnMachine,
    endpoint::{CallEvent, Endpoint},
    line::{Line, Next},
    name_of,
    outcome::{self, Unanswered, Verdict},
    voice::{OPENING, Sounds},
};
use crate::{
    callflow::{Gather, Script, Then},
    dtmf::Digits,
    outcome::Fault,
    provider::{Line as Served, Order, Switchboard},
    sip::media::{BargeIn, Dialling, Event, MachineSign, PAUSE, PlayEnd, Quality, Sound},
    verification::{AnsweredBy, Cause, End, PlaceResult, Signal},
};

/// A key that is dialled and the silence after it; longer than it takes.
const KEY_TONE: Duration = Duration::from_millis(400);
/// How much longer than it should take anything played or dialled is waited for.
const MARGIN: Duration = Duration::from_secs(5);
pub(super) struct Conversation {
    trunk: Arc<Inner>,
    order: Order,
    endpoint: Endpoint,
    line: Line,
    /// Cancelled when the gateway wants the call to end.
    cut: CancellationToken,
    switchboard: Arc<dyn Switchboard>,
    /// Learns whether the trunk took the call; empty once it did.
    placed: Option<oneshot::Sender<PlaceResult>>,
    /// When the call is ended because of its length.
    limit: Option<Instant>,
    /// What sounded like a machine.
    machine: Option<&'static str>,
    /// Whether anything was played yet.
    opened: bool,
}

/// What came of a script.
enum Heard {
    /// These keys, or none.
    Keys(Digits),
    /// Another script is to be said instead.
    Told(Served),
}

/// Why a call is over.
enum Over {
    /// Nobody answered.
    Unanswered(Verdict),
    /// It was answered, and this is its end.
    Ended(Cause),
}

/// What a step of a call comes to: it goes on, or it is over.
type Going<T> = Result<T, Over>;

impl Conversation {
    /// A call that was just asked for.
    pub(super) const fn new(
        trunk: Arc<Inner>,
        order: Order,
        endpoint: Endpoint,
        line: Line,
        cut: CancellationToken,
        switchboard: Arc<dyn Switchboard>,
    ) -> Self {
        Self { trunk, order, endpoint, line, cut, switchboard, placed: None, limit: None, machine: None, opened: false }
    }

    /// Leads the call to its end and hands that in. `placed` learns whether the trunk took it.
    pub(super) async fn run(mut self, placed: oneshot::Sender<PlaceResult>) {
        self.placed = Some(placed);
        let over = match self.dial_and_talk().await {
            Err(over) => over,
            Ok(never) => match never {},
        };
        let mut cause = match over {
            Over::Unanswered(Verdict { cause, try_next }) => {
                // Whoever placed it may have stopped waiting; then the end is a signal like any other.
                let Some(placed) = self.placed.take() else { return self.hand_in_end(cause).await };
                match placed.send(PlaceResult::Refused { cause, try_next_route: try_next }) {
                    Ok(()) => {
                        self.line.close().await;
                        return;
                    }
                    Err(PlaceResult::Refused { cause, .. }) => cause,
                    Err(PlaceResult::Accepted { .. } | PlaceResult::Unknown { .. }) => return,
                }
            }
            Over::Ended(cause) => cause,
        };
        if let Some(sign) = self.machine {
            cause = outcome::with_note(cause, sign);
        }
        self.hand_in_end(cause).await;
    }

    async fn hand_in_end(&mut self, cause: Cause) {
        self.taken();
        self.signal(Signal::Ended(cause)).await;
        if let Some(quality) = self.line.close().await.filter(|quality| quality.sent > 0) {
            self.tell(quality);
        }
    }

    /// Counts and logs what the line was like.
    fn tell(&self, quality: Quality) {
        let Quality { sent, received, lost, jitter_ms, far_lost, refused } = quality;
        tracing::debug!(
            call.id = %self.order.token.call, provider.name = %self.trunk.name,
            sent, received, lost, jitter_ms, far_lost, refused, "the line of a call"
        );
        let far_lost = far_lost.unwrap_or(0);
        for (kind, packets) in
            [("sent", sent), ("received", received), ("lost", lost), ("lost_there", far_lost), ("refused", refused)]
        {
            let labels = [("carrier", self.trunk.name.clone()), ("kind", kind.to_owned())];
            metrics::counter!("ringproof_sip_rtp_packets_total", &labels).increment(packets.into());
        }
    }

    async fn dial_and_talk(&mut self) -> Going<Infallible> {
        let answer = self.ring().await?;
        self.talk(&answer).await
    }

    /// Tells, once, that the trunk has the call. A signal says so as well; sent first, it saves writing both.
    fn taken(&mut self) {
        if let Some(placed) = self.placed.take() {
            let carrier_call_id = Some(name_of(self.order.token.call));
            // Whoever waited for it may have stopped: the signals say it too.
            let _told = placed.send(PlaceResult::Accepted { carrier_call_id });
        }
    }

    /// Waits until somebody answers: the session description that came with it.
    async fn ring(&mut self) -> Going<Vec<u8>> {
        let (mut ringing, mut cut) = (false, false);
        loop {
            let event = tokio::select! {
                biased;
                () = self.cut.cancelled(), if !cut => {
                    cut = true;
                    self.endpoint.hang_up(self.line.call(), None).await;
                    continue;
                }
                event = self.line.next_of_call() => event,
            };
            match event {
                Some(CallEvent::Dialled(facing)) => self.line.face(facing),
                Some(CallEvent::Provisional { code, .. }) => {
                    // A 183 without a 180 is what many networks say while it rings; 181 and 182 say that it does not yet.
                    if !ringing && matches!(code, 180 | 183) {
                        ringing = true;
                        self.signal(Signal::Ringing).await;
                    }
                    self.taken();
                }
                Some(CallEvent::Answered { answer, .. }) => return Ok(answer),
                Some(CallEvent::Refused(refusal)) => {
                    return Err(Over::Unanswered(outcome::of(Unanswered::Refused(&refusal))));
                }
                Some(CallEvent::NotTaken { why }) => {
                    return Err(Over::Unanswered(outcome::of(Unanswered::NoWay(&why))));
                }
                Some(CallEvent::Ended { by, cause, reasons }) => {
                    return Err(Over::Ended(outcome::of_end(by, cause, &reasons)));
                }
                Some(CallEvent::Info { .. } | CallEvent::Offered { .. } | CallEvent::AnswerReceived { .. }) => {}
                None => return Err(Over::Ended(outcome::of_ours(End::CarrierError, Fault::Us, "trunk stopped"))),
            }
        }
    }

    /// Everything from the answer on.
    async fn talk(&mut self, answer: &[u8]) -> Going<Infallible> {
        if let Err(why) = self.line.connect(answer) {
            self.hang_up().await;
            return Err(Over::Ended(outcome::of(Unanswered::NoMedia(&why)).cause));
        }
        self.limit = Some(Instant::now() + self.order.call_limit);
        if self.order.extension.is_some() {
            self.signal(Signal::Answered).await;
            self.taken();
            self.dial_extension().await?;
        }
        let mut served = self.signal(Signal::Flow { answered: true }).await;
        self.taken();
        let mut language = String::new();
        loop {
            let Some(Served { script, turn }) = served else {
                // The gateway has no word for it.
                self.apologize(&language).await?;
                return Err(self.end_by_us().await);
            };
            language.clone_from(&script.language);
            served = match self.perform(&script).await? {
                Heard::Keys(digits) => self.signal(Signal::Keys { turn, digits, answered: true }).await,
                Heard::Told(told) => Some(told),
            };
        }
    }

    /// An office exchange answers first: the extension is dialled, then the person is there.
    async fn dial_extension(&mut self) -> Going<()> {
        let Some(extension) = &self.order.extension else { return Ok(()) };
        let takes: Duration = extension.chars().map(|c| if c == ',' { PAUSE } else { KEY_TONE }).sum();
        let Ok(dialling) = extension.parse::<Dialling>() else { return Ok(()) };
        if self.line.dial(dialling).is_err() {
            return Err(self.broken("media is overloaded").await);
        }
        let until = Instant::now() + takes + MARGIN;
        loop {
            match self.next(until).await? {
                Some(Event::Dialled) | None => return Ok(()),
                Some(
                    Event::Connected
                    | Event::Playing { .. }
                    | Event::Played { .. }
                    | Event::Key { .. }
                    | Event::Quiet
                    | Event::Machine(_)
                    | Event::Closed(_),
                ) => {}
            }
        }
    }

    /// Says a script and listens.
    async fn perform(&mut self, script: &Script) -> Going<Heard> {
        let Sounds { before, prompt, .. } = self.sounds(script).await?;
        if let Some(told) = self.speak(before, script).await? {
            return Ok(Heard::Told(told));
        }
        match &script.then {
            Then::Gather(gather) => self.gather(gather, prompt, script).await,
            Then::HangUp => Err(self.end_by_us().await),
        }
    }

    /// Says what comes first to its end, or until another script is to be said. Keys are lost, as between two questions
    /// of a carrier.
    async fn speak(&mut self, before: Vec<Sound>, script: &Script) -> Going<Option<Served>> {
        if before.is_empty() {
            return Ok(None);
        }
        let (play, takes) = self.play(before, BargeIn::Ignored).await?;
        let until = Instant::now() + takes + MARGIN;
        loop {
            match self.next(until).await? {
                Some(Event::Played { play: over, .. }) if over == play => return Ok(None),
                None => return Ok(None),
                Some(Event::Machine(sign)) => {
                    if let Some(told) = self.found(sign, script).await {
                        return Ok(Some(told));
                    }
                }
                Some(
                    Event::Connected
                    | Event::Playing { .. }
                    | Event::Played { .. }
                    | Event::Key { .. }
                    | Event::Dialled
                    | Event::Quiet
                    | Event::Closed(_),
                ) => {}
            }
        }
    }

    /// Asks a question, and listens as it wants.
    async fn gather(&mut self, gather: &Gather, prompt: Vec<Sound>, script: &Script) -> Going<Heard> {
        let (play, takes) = self.play(prompt, BargeIn::Cuts).await?;
        let mut keys = String::new();
        let mut until = Instant::now() + takes + MARGIN + gather.wait;
        loop {
            match self.next(until).await? {
                Some(Event::Key { digit, .. }) => {
                    keys.push(digit.as_char());
                    if gather.accept.is_met(&keys, digit) {
                        return Ok(Heard::Keys(keys.parse().unwrap_or_default()));
                    }
                    until = Instant::now() + gather.wait;
                }
                Some(Event::Played { play: over, end }) if over == play => match end {
                    PlayEnd::Whole | PlayEnd::Stopped => until = Instant::now() + gather.wait,
                    // The key that cut it has set the time.
                    PlayEnd::BargeIn => {}
                },
                Some(Event::Machine(sign)) => {
                    if let Some(told) = self.found(sign, script).await {
                        return Ok(Heard::Told(told));
                    }
                }
                None => return Ok(Heard::Keys(keys.parse().unwrap_or_default())),
                Some(
                    Event::Connected
                    | Event::Playing { .. }
                    | Event::Played { .. }
                    | Event::Dialled
                    | Event::Quiet
                    | Event::Closed(_),
                ) => {}
            }
        }
    }

    /// What a script sounds like. The first one begins with silence: the way to the callee's ear opens slowly.
    async fn sounds(&mut self, script: &Script) -> Going<Sounds> {
        match self.trunk.voice.sounds(script) {
            Ok(mut sounds) => {
                if !std::mem::replace(&mut self.opened, true) {
                    let first = if sounds.before.is_empty() { &mut sounds.prompt } else { &mut sounds.before };
                    first.insert(0, Sound::Silence(OPENING));
                }
                if sounds.left_out > 0 {
                    metrics::counter!("ringproof_sip_prompts_left_out_total", "carrier" => self.trunk.name.clone())
                        .increment(sounds.left_out.into());
                }
                Ok(sounds)
            }
            Err(missing) => {
                tracing::error!(call.id = %self.order.token.call, %missing, "a script cannot be played: the call is ended");
                let _heard = self.apologize(&script.language).await;
                self.hang_up().await;
                Err(Over::Ended(outcome::of_ours(End::CarrierError, Fault::Us, "no recording")))
            }
        }
    }

    /// Says sorry, to its end.
    async fn apologize(&mut self, language: &str) -> Going<()> {
        let sorry = self.trunk.voice.apology(language);
        let (play, takes) = self.play(sorry, BargeIn::Ignored).await?;
        let until = Instant::now() + takes + MARGIN;
        loop {
            match self.next(until).await? {
                Some(Event::Played { play: over, .. }) if over == play => return Ok(()),
                None => return Ok(()),
                Some(
                    Event::Connected
                    | Event::Playing { .. }
                    | Event::Played { .. }
                    | Event::Key { .. }
                    | Event::Dialled
                    | Event::Quiet
                    | Event::Machine(_)
                    | Event::Closed(_),
                ) => {}
            }
        }
    }

    /// Begins to play: the number of the play, and how long it takes.
    async fn play(&mut self, sounds: Vec<Sound>, barge_in: BargeIn) -> Going<(u64, Duration)> {
        match self.line.play(sounds, barge_in) {
            Ok(playing) => Ok(playing),
            Err(_) => Err(self.broken("media is overloaded").await),
        }
    }

    /// Something sounds like a machine. That is a hint and nothing more; what it does is set by whoever runs us.
    async fn found(&mut self, sign: MachineSign, script: &Script) -> Option<Served> {
        let (word, text) = match sign {
            MachineSign::LongGreeting(_) => ("long_greeting", "sounded like a mailbox: long greeting"),
            MachineSign::Beep => ("beep", "sounded like a mailbox: beep"),
        };
        self.machine = Some(text);
        metrics::counter!("ringproof_sip_machine_signs_total", "carrier" => self.trunk.name.clone(), "sign" => word)
            .increment(1);
        match self.trunk.config.on_machine {
            OnMachine::Note => None,
            OnMachine::HangUp => {
                self.signal(Signal::AnsweredBy(AnsweredBy::Machine)).await.filter(|told| told.script != *script)
            }
        }
    }

    /// Waits for what happens on the line, until `until` at most; `None` then. What is of the call itself is seen to here.
    async fn next(&mut self, until: Instant) -> Going<Option<Event>> {
        loop {
            let limit = self.limit;
            let next = tokio::select! {
                biased;
                () = self.cut.cancelled() => return Err(self.end_by_us().await),
                () = at(limit) => return Err(self.end_by_us().await),
                next = self.line.next() => next,
                () = sleep_until(until) => return Ok(None),
            };
            match next {
                Next::Media(Event::Quiet) => return Err(self.broken("no media from the callee").await),
                Next::Media(event) => return Ok(Some(event)),
                Next::Call(CallEvent::Ended { by, cause, reasons }) => {
                    return Err(Over::Ended(outcome::of_end(by, cause, &reasons)));
                }
                Next::Call(CallEvent::Info { content_type, body }) => self.line.pressed_by_info(&content_type, &body),
                Next::Call(CallEvent::Offered { offer, sdp }) => {
                    let answer = self.line.offered(sdp.as_deref());
                    self.endpoint.answer_offer(self.line.call(), offer, answer).await;
                }
                Next::Call(CallEvent::AnswerReceived { answer }) => {
                    if self.line.connect(&answer).is_err() {
                        return Err(self.broken("no media agreed on").await);
                    }
                }
                // An answered call is neither rung nor refused any more.
                Next::Call(
                    CallEvent::Dialled(_)
                    | CallEvent::Provisional { .. }
                    | CallEvent::Answered { .. }
                    | CallEvent::Refused(_)
                    | CallEvent::NotTaken { .. },
                ) => {}
                Next::Gone => {
                    return Err(Over::Ended(outcome::of_ours(End::CarrierError, Fault::Us, "trunk stopped")));
                }
            }
        }
    }

    /// Ends the call because everything was said, or because it is to end.
    async fn end_by_us(&mut self) -> Over {
        self.hang_up().await;
        Over::Ended(outcome::completed(&[]))
    }

    /// Ends the call because it cannot go on.
    async fn broken(&mut self, what: &str) -> Over {
        self.hang_up().await;
        Over::Ended(outcome::broken(what))
    }

    /// Says goodbye to the trunk. The end is handed in at once; the trunk's confirmation is waited for afterwards, in
    /// [`Line::close`].
    async fn hang_up(&mut self) {
        self.line.silence();
        self.endpoint.hang_up(self.line.call(), Some(outcome::normal_clearing())).await;
    }

    async fn signal(&self, signal: Signal) -> Option<Served> {
        let token = self.order.token;
        self.switchboard.signal(self.trunk.name.clone(), name_of(token.call), token, signal).await
    }
}

/// Waits for a time; forever where there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
