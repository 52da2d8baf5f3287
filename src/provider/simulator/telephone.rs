//! Owns one simulated telephone: what it shows and the keys and buttons on it. The call itself is led by
//! [`super::conversation`].

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::{
    lock,
    mood::{Act, Mood},
};
use crate::{dtmf::Digit, id::VerificationId, phone::E164, time::Timestamp};

/// Most captions that a telephone shows; older ones are dropped.
const MAX_CAPTIONS: usize = 40;
/// Most presses that wait to be heard; more are lost, as on a jammed keypad.
const MAX_PRESSES: usize = 32;

/// A telephone. Cheap to share; all methods take effect at once and never block.
#[derive(Debug)]
pub struct Telephone {
    view: watch::Sender<View>,
    mood: Mutex<Mood>,
    line: Mutex<Option<mpsc::Sender<Act>>>,
}

/// What a telephone shows. `Debug` prints neither number nor captions.
#[derive(Clone, Default, Serialize)]
pub struct View {
    /// Counts the changes.
    pub revision: u64,
    /// What it does.
    pub phase: Phase,
    /// The number that calls, or called last. Shown to the callee only.
    #[serde(serialize_with = "in_full")]
    pub from: Option<E164>,
    /// The number of this telephone, as the call had it.
    #[serde(serialize_with = "in_full")]
    pub to: Option<E164>,
    /// The verification that it is called for, or was last.
    pub verification: Option<VerificationId>,
    /// When it began to ring.
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// What was heard and pressed in this call, or in the last one.
    pub captions: Vec<Caption>,
    /// Whether keys are listened for.
    pub listening: bool,
    /// How many questions were asked in this call.
    pub asked: u32,
    /// How the last call ended.
    pub ending: Option<Ending>,
}

/// What a telephone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// It rings.
    Ringing,
    /// It is off the hook.
    Talking,
}

/// How a call ended, as the callee sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It rang out, or the caller gave up.
    Missed,
    /// The callee declined.
    Declined,
    /// The callee hung up.
    HungUp,
    /// The caller hung up.
    CallerHungUp,
    /// It never rang here: busy, switched off, a wrong number.
    NeverRang,
}

/// One thing that was heard or pressed.
#[derive(Clone, Serialize)]
pub struct Caption {
    /// Counts from 1 within the call.
    pub seq: u32,
    /// What kind of thing.
    pub kind: CaptionKind,
    /// The words, or the key. Secret where it is a code.
    pub text: String,
    /// Their language (BCP 47).
    pub language: String,
    /// How long it takes to say, in ms at the pace of this telephone.
    pub takes_ms: u64,
}

/// Kinds of captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptionKind {
    /// Words.
    Said,
    /// A recording, by its name.
    Played,
    /// A code, digit by digit.
    Digits,
    /// A key that was pressed.
    Key,
}

fn in_full<S: serde::Serializer>(number: &Option<E164>, serializer: S) -> Result<S::Ok, S::Error> {
    number.as_ref().map(E164::expose).serialize(serializer)
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} captions, listening: {}", self.phase, self.captions.len(), self.listening)
    }
}

impl fmt::Debug for Caption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.seq, self.kind)
    }
}

impl Telephone {
    /// A telephone in the hand of a person.
    #[must_use]
    pub fn by_hand() -> Arc<Self> {
        Self::in_mood(Mood::ByHand)
    }

    /// A telephone that acts by itself.
    #[must_use]
    pub fn in_mood(mood: Mood) -> Arc<Self> {
        Arc::new(Self { view: watch::Sender::new(View::default()), mood: Mutex::new(mood), line: Mutex::default() })
    }

    /// What it shows, and what it will show.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// The mood that the next call meets.
    #[must_use]
    pub fn mood(&self) -> Mood {
        *lock(&self.mood)
    }

    /// Changes the mood from the next call on.
    pub fn set_mood(&self, mood: Mood) {
        *lock(&self.mood) = mood;
    }

    /// Takes the call. False when none rings.
    pub fn answer(&self) -> bool {
        self.view.borrow().phase == Phase::Ringing && self.act(Act::Answer)
    }

    /// Declines the call. False when none rings.
    pub fn decline(&self) -> bool {
        self.view.borrow().phase == Phase::Ringing && self.act(Act::Decline)
    }

    /// Presses a key. False when nobody is on the line.
    pub fn press(&self, key: Digit) -> bool {
        self.view.borrow().phase == Phase::Talking && self.act(Act::Press(key))
    }

    /// Hangs up. False when nobody is on the line.
    pub fn hang_up(&self) -> bool {
        self.view.borrow().phase == Phase::Talking && self.act(Act::HangUp)
    }

    fn act(&self, act: Act) -> bool {
        lock(&self.line).as_ref().is_some_and(|line| line.try_send(act).is_ok())
    }

    /// Connects a call, unless there is one already.
    pub(super) fn connect(&self) -> Option<mpsc::Receiver<Act>> {
        let mut line = lock(&self.line);
        if line.as_ref().is_some_and(|line| !line.is_closed()) {
            return None;
        }
        let (sender, receiver) = mpsc::channel(MAX_PRESSES);
        *line = Some(sender);
        Some(receiver)
    }

    /// Changes what is shown.
    pub(super) fn show(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| {
            change(view);
            view.revision += 1;
        });
    }

    /// Adds a caption.
    pub(super) fn caption(&self, kind: CaptionKind, text: String, language: &str, takes: Duration) {
        let takes_ms = u64::try_from(takes.as_millis()).unwrap_or(u64::MAX);
        self.show(|view| {
            let seq = view.captions.last().map_or(1, |last| last.seq + 1);
            if view.captions.len() >= MAX_CAPTIONS {
                view.captions.remove(0);
            }
            view.captions.push(Caption { seq, kind, text, language: language.to_owned(), takes_ms });
        });
    }
}
