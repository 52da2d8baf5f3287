//! Owns what carriers say: a webhook is authenticated before anything is read from it, then it is a signal that is
//! stepped and committed, and only then the committed state is said back. Carriers in our own process come the same way.

use std::{sync::Arc, time::Duration};

use metrics::counter;
use tracing::{error, warn};

use super::{
    Gateway, Shell,
    change::{Changed, Trouble, ignored_word},
    measure::Invariant,
    traced,
};
use crate::{
    callflow::{Script, Then},
    id::{CallId, CallToken},
    phone::E164,
    provider::{Accepted, Endpoint, Inbound, Line, Pending, Provider, Refused, Reply, Switchboard},
    span::{self, Asked},
    verification::{Aside, Ignored, Input, Signal, Verification},
};

/// How long trouble of the store is waited out before the callee hears an apology. A carrier gives up after 15 s.
const STORE_TROUBLE_LIMIT: Duration = Duration::from_secs(5);

/// Why a webhook is answered 403. Nothing more is told to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum WebhookRefused {
    /// No such carrier, no such call, or not that call's carrier.
    #[error("the webhook is for no call of ours")]
    NotOurs,
    /// The carrier's adapter did not accept it.
    #[error("the webhook is not authentic")]
    Refused(#[from] Refused),
}

impl Gateway {
    /// Takes a carrier's webhook and says what the carrier is to do. Trouble of ours is an apology in the carrier's
    /// dialect, never an error.
    ///
    /// # Errors
    /// It is not authentic, or not for a call of ours: nothing was changed.
    pub async fn webhook(&self, carrier: &str, token: &str, inbound: Inbound<'_>) -> Result<Reply, WebhookRefused> {
        let Some(lane) = self.shell.lanes.get(carrier) else {
            return Err(self.shell.refuse("unknown", "unknown_carrier"));
        };
        let provider = Arc::clone(&lane.carrier.provider);
        let name = lane.carrier.name.clone();
        let accepted = provider.accept(&inbound).map_err(|why| {
            self.shell.refuse(&name, why.as_str());
            WebhookRefused::Refused(why)
        })?;
        let Ok(token) = token.parse::<CallToken>() else {
            return Err(self.shell.refuse(&name, "malformed_token"));
        };
        let Accepted { carrier_call_id, to, signal: Some(signal), aside } = accepted else {
            counter!("ringproof_webhooks_total", "carrier" => name, "kind" => "unknown").increment(1);
            return Ok(provider.acknowledge());
        };
        counter!("ringproof_webhooks_total", "carrier" => name.clone(), "kind" => signal_word(&signal)).increment(1);
        let heard = Heard { token, carrier: name, carrier_call_id, to, signal, aside };
        let (shell, endpoint, asked) = (Arc::clone(&self.shell), inbound.to, span::asked());
        // A carrier that hangs up on us must not leave half a change behind.
        let answer = self.shell.tasks.spawn(async move { shell.answer(&*provider, endpoint, heard, asked).await });
        match answer.await {
            Ok(answer) => answer,
            Err(fault) => {
                Invariant::TaskFailed.broken();
                error!(provider.name = carrier, %fault, "answering a webhook failed: a fault in this program");
                Ok(lane.carrier.provider.apologize(self.shell.fallback_language()))
            }
        }
    }
}

impl Shell {
    /// The language of those of whom nothing is known.
    fn fallback_language(&self) -> &str {
        self.verification.locale.as_deref().unwrap_or("en")
    }

    async fn answer(
        self: Arc<Self>,
        provider: &dyn Provider,
        endpoint: Endpoint,
        heard: Heard,
        asked: Option<Arc<Asked>>,
    ) -> Result<Reply, WebhookRefused> {
        let (token, carrier) = (heard.token, heard.carrier.clone());
        let v = match self.hear(heard).await {
            Ok(v) => v,
            Err(NotHeard::NotOurs(why)) => return Err(self.refuse(&carrier, why)),
            Err(NotHeard::Trouble) => return Ok(self.apology(provider, token.call)),
        };
        if let (Some(asked), Some(call)) = (asked, traced::of_call(&v, token.call.index)) {
            asked.join(&call);
        }
        let (Endpoint::Flow | Endpoint::Keys { .. }) = endpoint else { return Ok(provider.acknowledge()) };
        if !self.is_playable(&v) {
            error!(verification.id = %v.id, "the call flow was changed under a running call: the callee hears an apology");
            return Ok(self.apology(provider, token.call));
        }
        let keys_url = self.callback_url(&carrier, token, &format!("keys/{}", v.turn));
        Ok(provider.render(&self.script_for(&v, token.call.index), &keys_url))
    }

    /// Steps what a carrier says about a call. The value given back is committed.
    async fn hear(self: &Arc<Self>, heard: Heard) -> Result<Arc<Verification>, NotHeard> {
        let call = heard.token.call;
        let input = Input::Carrier {
            token: heard.token,
            carrier: heard.carrier,
            carrier_call_id: heard.carrier_call_id,
            to: heard.to,
            signal: heard.signal,
            aside: heard.aside,
        };
        match self.change_until(call.verification, &input, STORE_TROUBLE_LIMIT).await {
            Ok(Changed { ignored: Some(why @ (Ignored::WrongToken | Ignored::WrongCall)), .. }) => {
                Err(NotHeard::NotOurs(ignored_word(why)))
            }
            Ok(Changed { value, .. }) => Ok(value),
            Err(Trouble::NotThere) => Err(NotHeard::NotOurs("unknown_call")),
            Err(trouble) => {
                error!(call.id = %call, fault = %trouble, "what a carrier says could not be written; the call is given up");
                Err(NotHeard::Trouble)
            }
        }
    }

    /// Logs, counts and remembers that a webhook is refused.
    fn refuse(&self, carrier: &str, cause: &'static str) -> WebhookRefused {
        warn!(provider.name = carrier, cause, "webhook refused");
        counter!("ringproof_webhooks_refused_total", "carrier" => carrier.to_owned(), "cause" => cause).increment(1);
        self.refusals.note(carrier, cause, self.clock.now());
        WebhookRefused::NotOurs
    }

    /// What the callee of this call hears now. Whoever is still on an earlier call hears its end.
    fn script_for(&self, v: &Verification, index: u8) -> Script {
        let flow = self.flow_of(v);
        if usize::from(index).saturating_add(1) == v.calls.len() {
            return v.script(flow);
        }
        Script { language: flow.language_for(locale_of(v, index)).to_owned(), before: Vec::new(), then: Then::HangUp }
    }

    /// Whether the positions of a verification mean something in the flow as it is now.
    fn is_playable(&self, v: &Verification) -> bool {
        self.flow_of(v).version() == v.request.flow_version
    }

    fn apology(&self, provider: &dyn Provider, call: CallId) -> Reply {
        counter!("ringproof_apologies_total").increment(1);
        let known = self.cache.get(&call.verification);
        let wanted = known.as_ref().map_or_else(|| self.fallback_language(), |v| locale_of(v, call.index));
        let flow = known.as_ref().map_or(&*self.default_flow, |v| self.flow_of(v));
        provider.apologize(flow.language_for(wanted))
    }

    /// Where a carrier posts what happens on a call.
    pub(super) fn callback_url(&self, carrier: &str, token: CallToken, endpoint: &str) -> String {
        format!("{}/webhooks/{carrier}/{}/{endpoint}", self.public_url, token.to_path())
    }
}

impl Switchboard for Gateway {
    fn signal(
        &self,
        carrier: String,
        carrier_call_id: String,
        token: CallToken,
        signal: Signal,
    ) -> Pending<'_, Option<Line>> {
        let shell = Arc::clone(&self.shell);
        counter!("ringproof_webhooks_total", "carrier" => carrier.clone(), "kind" => signal_word(&signal)).increment(1);
        let signs = self.shell.lanes.get(&carrier).and_then(|lane| lane.carrier.provider.attestation());
        let aside = Aside { attestation: signs, price: None };
        let heard = Heard { token, carrier, carrier_call_id: Some(carrier_call_id), to: None, signal, aside };
        let hearing = self.shell.tasks.spawn(async move {
            let v = shell.hear(heard).await.ok()?;
            shell.is_playable(&v).then(|| Line { script: shell.script_for(&v, token.call.index), turn: v.turn })
        });
        Box::pin(async move {
            hearing.await.unwrap_or_else(|fault| {
                Invariant::TaskFailed.broken();
                error!(call.id = %token.call, %fault, "hearing a call failed: a fault in this program");
                None
            })
        })
    }
}

/// What a carrier says, authenticated, and of which call.
struct Heard {
    token: CallToken,
    carrier: String,
    carrier_call_id: Option<String>,
    to: Option<E164>,
    signal: Signal,
    aside: Aside,
}

enum NotHeard {
    NotOurs(&'static str),
    Trouble,
}

fn locale_of(v: &Verification, index: u8) -> &str {
    let called = v.calls.get(usize::from(index)).and_then(|call| v.target_of(call));
    called.or_else(|| v.request.targets.first()).map_or("", |target| target.locale.as_str())
}

const fn signal_word(signal: &Signal) -> &'static str {
    match signal {
        Signal::Initiated => "initiated",
        Signal::Ringing => "ringing",
        Signal::Answered => "answered",
        Signal::Flow { .. } => "flow",
        Signal::Keys { .. } => "keys",
        Signal::AnsweredBy(_) => "answered_by",
        Signal::Ended(_) => "ended",
    }
}
