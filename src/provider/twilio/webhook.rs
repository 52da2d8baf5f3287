//! Owns reading what Twilio posts: authenticate it, then translate its parameters. It decides nothing.

use super::{
    errors,
    signature::{Form, Keys, Params},
};
use crate::{
    dtmf::Digits,
    phone::E164,
    provider::{Accepted, Endpoint, Inbound, Refused},
    verification::{AnsweredBy, Aside, Price, Signal},
};

/// Longest name of a call that is believed to be one.
pub(super) const MAX_CALL_ID: usize = 128;

/// Authenticates and reads a message of the account `account_sid`.
pub(super) fn accept(keys: &Keys, account_sid: &str, inbound: &Inbound<'_>) -> Result<Accepted, Refused> {
    let form = form_of(inbound)?;
    keys.verify(inbound, &form)?;
    let params = match form {
        Form::Params(params) => params,
        Form::Body => Params::read_json(inbound.body).ok_or(Refused::Malformed)?,
        Form::Query => query_params(inbound.url)?,
    };
    if params.one("AccountSid")? != Some(account_sid) {
        return Err(Refused::WrongAccount);
    }
    let said = Said::read(&params)?;
    let call_sid = said.call_sid.filter(|sid| is_call_id(sid)).ok_or(Refused::Malformed)?;
    let to = match (said.to, inbound.to) {
        (Some(to), _) => Some(number(to).ok_or(Refused::Malformed)?),
        // What machine detection reports has no number in it.
        (None, Endpoint::Status) => None,
        (None, Endpoint::Flow | Endpoint::Keys { .. }) => return Err(Refused::Malformed),
    };
    let (signal, aside) = (said.signal(inbound.to)?, said.aside());
    Ok(Accepted { carrier_call_id: Some(call_sid.to_owned()), to, signal, aside })
}

/// A number in international form; some servers leave the plus sign out.
fn number(text: &str) -> Option<E164> {
    text.parse().or_else(|_| format!("+{text}").parse()).ok()
}

/// Whether `text` can be a carrier's name for a call: opaque, but printable and short.
pub(super) fn is_call_id(text: &str) -> bool {
    (1..=MAX_CALL_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn form_of<'a>(inbound: &Inbound<'a>) -> Result<Form<'a>, Refused> {
    if inbound.method == "GET" {
        return Ok(Form::Query);
    }
    let content_type = inbound.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Params::read(inbound.body).map(Form::Params).ok_or(Refused::BadSignature)
    } else {
        Ok(Form::Body)
    }
}

fn query_params(url: &str) -> Result<Params<'_>, Refused> {
    let url = url.split('#').next().unwrap_or_default();
    let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    Params::read(query.as_bytes()).ok_or(Refused::Malformed)
}

/// The parameters that mean something to us. Each may come once; others are ignored, for Twilio adds some now and then.
struct Said<'a> {
    call_sid: Option<&'a str>,
    call_status: Option<&'a str>,
    to: Option<&'a str>,
    digits: Option<&'a str>,
    answered_by: Option<&'a str>,
    sip_status: Option<u16>,
    error_code: Option<&'a str>,
    stir_status: Option<&'a str>,
    price: Option<(&'a str, &'a str)>,
}

impl<'a> Said<'a> {
    fn read(params: &'a Params<'_>) -> Result<Self, Refused> {
        let (to, called) = (params.one("To")?, params.one("Called")?);
        Ok(Self {
            call_sid: params.one("CallSid")?,
            call_status: params.one("CallStatus")?,
            to: to.or(called),
            digits: params.one("Digits")?,
            answered_by: params.one("AnsweredBy")?,
            sip_status: params.one("SipResponseCode")?.and_then(|code| code.parse().ok()),
            error_code: params.one("ErrorCode")?.filter(|code| is_code(code)),
            stir_status: params.one("StirStatus")?,
            price: params.one("Price")?.zip(params.one("PriceUnit")?),
        })
    }

    /// What is told beside the status: the attestation with which Twilio signed the call (with `ringing` and
    /// `in-progress`), and the price under the names of its Call resource, which Twilio itself knows only later.
    fn aside(&self) -> Aside {
        Aside {
            attestation: self.stir_status.and_then(|word| word.parse().ok()),
            price: self.price.and_then(|(amount, unit)| Price::read(amount, unit)),
        }
    }

    fn signal(&self, endpoint: Endpoint) -> Result<Option<Signal>, Refused> {
        let status = self.call_status.and_then(|word| errors::of_status(word, None, None));
        let answered = matches!(status, Some(Signal::Answered));
        Ok(match endpoint {
            Endpoint::Flow => Some(Signal::Flow { answered }),
            Endpoint::Keys { turn } => {
                Some(Signal::Keys { turn, digits: keys(self.digits.unwrap_or_default())?, answered })
            }
            Endpoint::Status => match self.call_status {
                Some(word) => errors::of_status(word, self.sip_status, self.error_code),
                // The result of looking for machines comes by itself, without the status of the call.
                None => self.answered_by.and_then(answered_by).map(Signal::AnsweredBy),
            },
        })
    }
}

/// Error codes become part of call records: digits, or Somleng's `S` and digits.
fn is_code(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The keys in `Digits`. The letters A–D exist on no public telephone, but a device may send them: they count as a
/// wrong key, so they become one that never confirms and is part of no code.
fn keys(text: &str) -> Result<Digits, Refused> {
    let text = text.replace(['A', 'B', 'C', 'D'], "*");
    text.parse().map_err(|_| Refused::Malformed)
}

fn answered_by(word: &str) -> Option<AnsweredBy> {
    match word {
        "human" => Some(AnsweredBy::Human),
        "machine_start" | "machine_end_beep" | "machine_end_silence" | "machine_end_other" | "fax" => {
            Some(AnsweredBy::Machine)
        }
        "unknown" => Some(AnsweredBy::Unknown),
        _ => None,
    }
}
