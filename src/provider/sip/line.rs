//! Owns what a call over a trunk is made of: its events, its media, and the descriptions that connect the two. What is
//! said on it is decided in [`super::conversation`].

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};

use super::{
    config::Srtp,
    endpoint::{CallEvent, Facing, Placed},
    media::{Leg, TooManyOrders},
};
use crate::sip::{
    CallKey, info,
    media::{BargeIn, Dialling, Event, Quality, Sound},
    sdp::{self, Local},
};

/// How long the end of a call is waited for once it was asked for: as long as a BYE or a CANCEL is repeated (RFC 3261
/// §17, 64 times T1), and a little.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(35);

/// How long media may take to close: it looks at its orders every packet.
const MEDIA_CLOSES_WITHIN: Duration = Duration::from_secs(1);

/// One call: signalling and media.
pub(super) struct Line {
    call: CallKey,
    events: mpsc::Receiver<CallEvent>,
    leg: Leg,
    heard: mpsc::Receiver<Event>,
    local: Local,
    srtp: Srtp,
    facing: Option<Facing>,
    /// The last description that we gave in mid-call.
    description: Vec<u8>,
    plays: u64,
    over: bool,
}

/// What happens next on a line.
pub(super) enum Next {
    /// Something about the call.
    Call(CallEvent),
    /// Something about its media.
    Media(Event),
    /// Nothing more: the trunk was stopped.
    Gone,
}

impl Line {
    pub(super) fn new(placed: Placed, leg: Leg, heard: mpsc::Receiver<Event>, srtp: Srtp) -> Self {
        let Placed { call, events } = placed;
        let local = leg.local().clone();
        Self { call, events, leg, heard, local, srtp, facing: None, description: Vec::new(), plays: 0, over: false }
    }

    /// Names the call.
    pub(super) const fn call(&self) -> CallKey {
        self.call
    }

    /// Notes which server is asked: what is offered from now on is offered to it.
    pub(super) fn face(&mut self, facing: Facing) {
        self.local.address = facing.address;
        self.facing = Some(facing);
    }

    /// What happens to a call that nobody has answered yet; `None` when the trunk is gone.
    pub(super) async fn next_of_call(&mut self) -> Option<CallEvent> {
        let event = self.events.recv().await;
        self.note(event.as_ref());
        event
    }

    /// What happens next. Media that ends of itself is not the end of the call.
    pub(super) async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            event = self.events.recv() => {
                self.note(event.as_ref());
                event.map_or(Next::Gone, Next::Call)
            }
            Some(event) = self.heard.recv() => Next::Media(event),
        }
    }

    /// Connects media as an answer says. Why not, where nothing can be agreed on.
    pub(super) fn connect(&mut self, answer: &[u8]) -> Result<(), String> {
        let agreed = sdp::agree(answer, &self.local, self.protection()).map_err(|why| why.to_string())?;
        self.leg.connect(agreed).map_err(|why| why.to_string())
    }

    /// What answers an offer that the other side makes in mid-call, connected already; `None` refuses it. Without an offer
    /// it is ours.
    pub(super) fn offered(&mut self, offer: Option<&[u8]>) -> Option<Vec<u8>> {
        let protect = self.protection();
        let Some(offer) = offer else { return Some(self.described(|local| sdp::offer(local, protect))) };
        let (_, agreed) = sdp::answer(offer, &self.local, protect).ok()?;
        self.leg.connect(agreed).ok()?;
        Some(self.described(|local| sdp::answer(offer, local, protect).map(|(text, _)| text).unwrap_or_default()))
    }

    /// A description of ours: with a new version where it says something new (RFC 3264 section 8).
    fn described(&mut self, write: impl Fn(&Local) -> Vec<u8>) -> Vec<u8> {
        let same = write(&self.local);
        if same == self.description {
            return same;
        }
        self.local.version += 1;
        self.description = write(&self.local);
        self.description.clone()
    }

    fn protection(&self) -> sdp::Protect {
        protection(self.srtp, self.facing.as_ref().is_some_and(|facing| facing.over_tls))
    }

    /// Plays sounds: the number of the play, and how long it takes.
    pub(super) fn play(&mut self, sounds: Vec<Sound>, barge_in: BargeIn) -> Result<(u64, Duration), TooManyOrders> {
        self.plays += 1;
        let samples: u64 = sounds.iter().map(|sound| u64::from(sound.samples())).sum();
        let takes = Duration::from_millis(samples / u64::from(crate::sip::media::SAMPLE_RATE_HZ / 1000));
        self.leg.play(sounds, barge_in, self.plays)?;
        Ok((self.plays, takes))
    }

    /// Dials keys.
    pub(super) fn dial(&self, keys: Dialling) -> Result<(), TooManyOrders> {
        self.leg.dial(keys)
    }

    /// Keys that came in an INFO request: they come back as events of the media unless they were heard there too.
    pub(super) fn pressed_by_info(&self, content_type: &str, body: &[u8]) {
        for key in info::keys(content_type, body) {
            // Nobody presses more keys at once than may wait: what does not fit is lost, as on a bad line.
            let _lost = self.leg.key_by_sip(key);
        }
    }

    /// Says and hears nothing more.
    pub(super) fn silence(&self) {
        self.leg.close();
    }

    /// Ends media, and waits until the trunk knows that the call is over. What the line was like, where media says it.
    pub(super) async fn close(&mut self) -> Option<Quality> {
        self.leg.close();
        let quality = timeout(MEDIA_CLOSES_WITHIN, self.quality()).await.ok().flatten();
        let last_word = async {
            while !self.over {
                self.next_of_call().await;
            }
        };
        // What comes too late is the endpoint's to see to.
        let _late = timeout(LAST_WORD_WITHIN, last_word).await;
        quality
    }

    /// The last event of media.
    async fn quality(&mut self) -> Option<Quality> {
        loop {
            if let Event::Closed(quality) = self.heard.recv().await? {
                return Some(quality);
            }
        }
    }

    fn note(&mut self, event: Option<&CallEvent>) {
        self.over |= match event {
            None | Some(CallEvent::Refused(_) | CallEvent::NotTaken { .. } | CallEvent::Ended { .. }) => true,
            Some(
                CallEvent::Dialled(_)
                | CallEvent::Provisional { .. }
                | CallEvent::Answered { .. }
                | CallEvent::Info { .. }
                | CallEvent::Offered { .. }
                | CallEvent::AnswerReceived { .. },
            ) => false,
        };
    }
}

/// Whether keys for SRTP are offered: only where nobody on the way can read them, whatever is wanted.
pub(super) const fn protection(srtp: Srtp, over_tls: bool) -> sdp::Protect {
    match (srtp, over_tls) {
        (Srtp::OverTls | Srtp::Required, true) => sdp::Protect::Required,
        (Srtp::Off, _) | (Srtp::OverTls | Srtp::Required, false) => sdp::Protect::Off,
    }
}
