//! Owns what a carrier's signals do to a call. Signals come late, twice and in any order: a call only moves up, and
//! what is known already is absorbed by comparison.

use subtle::ConstantTimeEq;

use super::{
    Aside, Ignored, Signal,
    state::{AnsweredBy, Leg, Placement, What},
    step::Step,
};
use crate::{id::CallToken, outcome::Reason, phone::E164};

impl Step<'_> {
    pub(super) fn carrier(
        &mut self,
        token: CallToken,
        carrier: &str,
        carrier_call_id: Option<String>,
        to: Option<&E164>,
        signal: Signal,
        aside: Aside,
    ) {
        let index = token.call.index;
        let known = token.call.verification == self.v.id && usize::from(index) < self.v.calls.len();
        let genuine = bool::from(self.v.token(index).proof.ct_eq(&token.proof));
        if !known || !genuine {
            return self.ignore(Ignored::WrongToken);
        }
        if !self.is_of_call(index, carrier, carrier_call_id.as_deref(), to) {
            return self.ignore(Ignored::WrongCall);
        }
        if self.call_mut(index).is_none() {
            // A later call has taken its place; this one is over and recorded.
            return self.ignore(Ignored::Late);
        }
        let was_changed = self.out.changed;
        self.adopt(index, carrier_call_id);
        self.hear_aside(index, aside);
        match signal {
            Signal::Initiated => {}
            Signal::Ringing => self.raise(index, Leg::Ringing),
            Signal::Answered => self.raise(index, Leg::Answered),
            Signal::Flow { answered } => self.serve(index, answered),
            Signal::Keys { turn, digits, answered } => {
                if answered {
                    self.raise(index, Leg::Answered);
                }
                self.entry(index, turn, &digits);
            }
            Signal::AnsweredBy(who) => self.answered_by(index, who),
            Signal::Ended(cause) => self.end_leg(index, cause),
        }
        if self.out.changed == was_changed && self.out.ignored.is_none() {
            self.ignore(Ignored::Late);
        }
    }

    /// Whether what the carrier says of a call agrees with what we know of it.
    fn is_of_call(&self, index: u8, carrier: &str, carrier_call_id: Option<&str>, to: Option<&E164>) -> bool {
        let Some(call) = self.v.calls.get(usize::from(index)) else { return false };
        let same_carrier = self.v.route_of(call).is_some_and(|route| route.carrier == carrier);
        let same_id = match (call.carrier_call_id.as_deref(), carrier_call_id) {
            (Some(known), Some(told)) => known == told,
            (None, _) | (_, None) => true,
        };
        let same_number = match (self.v.target_of(call), to) {
            (Some(target), Some(told)) => target.to == *told,
            (_, None) => true,
            (None, Some(_)) => false,
        };
        same_carrier && same_id && same_number && call.placement != Placement::Queued
    }

    /// An authentic message proves that the carrier has the call, and brings its name for it.
    fn adopt(&mut self, index: u8, carrier_call_id: Option<String>) {
        let now = self.now;
        let Some(call) = self.call_mut(index).filter(|call| call.is_alive()) else { return };
        let mut news = false;
        if matches!(call.placement, Placement::Taken | Placement::Unknown) {
            call.placement = Placement::Accepted;
            call.placed_at.get_or_insert(now);
            call.cause = None;
            news = true;
        }
        let mut named = false;
        if call.carrier_call_id.is_none() && carrier_call_id.is_some() {
            call.carrier_call_id = carrier_call_id;
            named = true;
        }
        if news || named {
            self.out.changed = true;
        }
        if named {
            self.hang_up_again(index);
        }
    }

    /// Keeps what was told besides, while the call has no record yet.
    fn hear_aside(&mut self, index: u8, aside: Aside) {
        let Some(call) = self.call_mut(index).filter(|call| !call.recorded) else { return };
        let attestation = aside.attestation.filter(|_| call.attestation.is_none());
        let price = aside.price.filter(|_| call.price.is_none());
        if attestation.is_some() || price.is_some() {
            call.attestation = call.attestation.or(attestation);
            call.price = call.price.take().or(price);
            self.out.changed = true;
        }
    }

    fn raise(&mut self, index: u8, leg: Leg) {
        let now = self.now;
        let Some(call) = self.call_mut(index).filter(|call| call.leg < leg) else { return };
        call.leg = leg;
        match leg {
            Leg::Ringing => {
                call.ringing_at = Some(now);
                self.note(Some(index), What::Ringing);
            }
            Leg::Answered => {
                call.answered_at = Some(now);
                let served = call.served_ringing_at.is_some();
                self.note(Some(index), What::Answered);
                if served {
                    self.hearing(index);
                }
            }
            Leg::Dialing | Leg::Ended => {}
        }
    }

    /// The carrier asks what to play. In an answered call the callee hears us from now on.
    fn serve(&mut self, index: u8, answered: bool) {
        self.raise(index, if answered { Leg::Answered } else { Leg::Ringing });
        let now = self.now;
        let Some(call) = self.call_mut(index).filter(|call| call.is_alive() && call.heard_at.is_none()) else { return };
        if call.leg == Leg::Answered {
            self.hearing(index);
        } else if call.served_ringing_at.is_none() {
            call.served_ringing_at = Some(now);
            self.out.changed = true;
        }
    }

    /// From now on the callee can hear us, and keys can count.
    fn hearing(&mut self, index: u8) {
        let (now, listens) = (self.now, self.listens(index));
        let Some(call) = self.call_mut(index).filter(|call| call.is_alive() && call.heard_at.is_none()) else { return };
        call.heard_at = Some(now);
        if listens {
            call.prompts = 1;
            self.note(Some(index), What::Prompted);
        }
        self.out.changed = true;
    }

    /// A machine cannot agree to anything: the call is ended, whatever was to be said.
    fn answered_by(&mut self, index: u8, who: AnsweredBy) {
        let is_final = self.v.is_final();
        let Some(call) = self.call_mut(index).filter(|call| call.is_alive() && call.answered_by.is_none()) else {
            return;
        };
        call.answered_by = Some(who);
        self.out.changed = true;
        if who == AnsweredBy::Machine && !is_final {
            self.call_failed(index, Reason::Voicemail);
            self.abandon_call();
        }
    }
}
