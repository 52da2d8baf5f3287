//! Owns judging a create request: every member is read into what the core works with, or refused with its path and what
//! would be right. It asks the store nothing and changes nothing.

use std::{sync::Arc, time::Duration};

use super::{
    AlternateRequest, Client, CreateRequest, Refusal, Shell,
    route::{Needs, NoRoute, routes},
    settings::{CALLS, LIFE},
};
use crate::{
    callflow::CallFlow,
    dtmf::Digits,
    outcome::{Mode, Purpose},
    phone::{self, CountryCode, Extension, Number, NumberError},
    secret::Secret,
    verification::{Request, Target},
};

/// Most alternates.
const MOST_ALTERNATES: usize = 3;
/// Longest brand, purpose text and reference, in characters.
const MOST_TEXT: usize = 64;
/// Most metadata pairs, their longest names and values in characters, and all of them together in bytes.
const MOST_PAIRS: usize = 16;
const MOST_NAME: usize = 40;
const MOST_VALUE: usize = 256;
const MOST_METADATA_BYTES: usize = 4096;
/// Digits of a code that we make, and how many a client's own may have.
const CODE_DIGITS: usize = 6;
const OWN_CODE_DIGITS: std::ops::RangeInclusive<usize> = 6..=10;

/// A request that may be carried out.
pub(super) struct Admitted {
    pub(super) request: Request,
    pub(super) life: Duration,
}

impl Shell {
    /// Judges a request.
    pub(super) fn admit(&self, client: &Client, asked: CreateRequest) -> Result<Admitted, Refusal> {
        let settings = &self.verification;
        let flow = self.choose_flow(asked.flow.as_deref(), asked.mode)?;
        let code = self.code(flow.mode(), asked.code.as_deref())?;
        let life = life(asked.expires_in, settings.expires_in)?;
        let max_calls = max_calls(asked.max_calls, settings.max_calls)?;
        let brand = cleaned("brand", asked.brand.as_deref())?.unwrap_or_else(|| settings.brand.clone());
        let purpose_text = cleaned("purpose_text", asked.purpose_text.as_deref())?;
        let reference = as_given("reference", asked.reference.as_deref(), MOST_TEXT)?;
        check_metadata(&asked)?;
        if let Some(url) = &asked.callback_url {
            self.reporter.check_url(url).map_err(|why| Refusal::out_of_range("callback_url", why))?;
        }
        let targets = self.targets(&asked, flow.mode())?;
        Ok(Admitted {
            request: Request {
                client: client.name.clone(),
                targets,
                mode: flow.mode(),
                flow: flow.id().to_owned(),
                flow_version: flow.version(),
                brand,
                purpose: asked.purpose.unwrap_or(Purpose::Enrolment),
                purpose_text,
                code,
                reference,
                metadata: asked.metadata.into_iter().collect(),
                callback_url: asked.callback_url,
                policy: settings.policy(max_calls),
            },
            life,
        })
    }

    /// The flow that is named, or that of the configuration, or the first one of the mode.
    fn choose_flow(&self, named: Option<&str>, mode: Option<Mode>) -> Result<&CallFlow, Refusal> {
        if let Some(name) = named {
            let Some(flow) = self.flow(name) else {
                let known: Vec<_> = self.flows.iter().map(|flow| flow.id()).collect();
                return Err(Refusal::out_of_range(
                    "flow",
                    format!("there is no such call flow; there are {}", known.join(", ")),
                ));
            };
            return match mode {
                Some(mode) if mode != flow.mode() => {
                    Err(Refusal::out_of_range("flow", format!("this call flow is of mode {}, not {mode}", flow.mode())))
                }
                Some(_) | None => Ok(flow),
            };
        }
        let mode = mode.unwrap_or(Mode::Confirm);
        let configured = self.verification.flow.as_deref().and_then(|name| self.flow(name));
        configured
            .filter(|flow| flow.mode() == mode)
            .or_else(|| self.flows.iter().map(Arc::as_ref).find(|flow| flow.mode() == mode))
            .ok_or_else(|| Refusal::out_of_range("mode", format!("there is no call flow of mode {mode} here")))
    }

    /// The code of the modes that have one: the client's, or a fresh one.
    fn code(&self, mode: Mode, own: Option<&str>) -> Result<Option<Secret<Digits>>, Refusal> {
        match (mode, own) {
            (Mode::Confirm, None) => Ok(None),
            (Mode::Confirm, Some(_)) => {
                Err(Refusal::out_of_range("code", "mode confirm has no code; ask for match or speak"))
            }
            (Mode::Match | Mode::Speak, None) => Ok(self.fresh_code()),
            (Mode::Match | Mode::Speak, Some(own)) => {
                let digits_only = own.bytes().all(|b| b.is_ascii_digit()) && OWN_CODE_DIGITS.contains(&own.len());
                let code = own.parse::<Digits>().ok().filter(|_| digits_only);
                code.map(|code| Some(Secret::new(code)))
                    .ok_or_else(|| Refusal::out_of_range("code", "a code is 6 to 10 digits, 0-9"))
            }
        }
    }

    /// Digits from the secure generator, each equally likely: bytes from 250 on are thrown away.
    fn fresh_code(&self) -> Option<Secret<Digits>> {
        let mut code = String::with_capacity(CODE_DIGITS);
        while code.len() < CODE_DIGITS {
            let mut bytes = [0; 16];
            self.entropy.fill(&mut bytes);
            let digits = bytes.iter().filter(|byte| **byte < 250).map(|byte| char::from(b'0' + byte % 10));
            code.extend(digits.take(CODE_DIGITS - code.len()));
        }
        code.parse().ok().map(Secret::new)
    }

    fn targets(&self, asked: &CreateRequest, mode: Mode) -> Result<Vec<Target>, Refusal> {
        if asked.alternates.len() > MOST_ALTERNATES {
            return Err(Refusal::out_of_range("alternates", "at most 3"));
        }
        let first = AlternateRequest {
            to: asked.to.clone(),
            country: asked.country.clone(),
            extension: asked.extension.clone(),
            locale: asked.locale.clone(),
        };
        let carrier = self.carrier_asked_for(asked.carrier.as_deref())?;
        let mut targets = vec![self.target("", &first, mode, carrier)?];
        for (index, alternate) in asked.alternates.iter().enumerate() {
            let path = format!("alternates[{index}].");
            let alternate = AlternateRequest {
                to: alternate.to.clone(),
                country: alternate.country.clone().or_else(|| asked.country.clone()),
                extension: alternate.extension.clone(),
                locale: alternate.locale.clone().or_else(|| asked.locale.clone()),
            };
            let target = self.target(&path, &alternate, mode, carrier)?;
            if targets.iter().any(|other| other.to == target.to && other.extension == target.extension) {
                return Err(Refusal::out_of_range(format!("{path}to"), "this number is in the request already"));
            }
            targets.push(target);
        }
        Ok(targets)
    }

    /// The one carrier that a client insists on.
    fn carrier_asked_for<'a>(&self, name: Option<&'a str>) -> Result<Option<&'a str>, Refusal> {
        match name {
            Some(name) if !self.lanes.contains_key(name) => {
                let known = self.carrier_order.join(", ");
                Err(Refusal::out_of_range("carrier", format!("there is no such carrier; there are {known}")))
            }
            Some(_) | None => Ok(name),
        }
    }

    fn target(
        &self,
        path: &str,
        asked: &AlternateRequest,
        mode: Mode,
        carrier: Option<&str>,
    ) -> Result<Target, Refusal> {
        let member = |name: &str| format!("{path}{name}");
        let country = asked
            .country
            .as_deref()
            .map(|text| {
                text.parse::<CountryCode>().map_err(|why| Refusal::out_of_range(member("country"), why.to_string()))
            })
            .transpose()?;
        let number = self.callable(&member("to"), &asked.to, country)?;
        let extension = asked
            .extension
            .as_deref()
            .map(|text| {
                text.parse::<Extension>().map_err(|why| Refusal::out_of_range(member("extension"), why.to_string()))
            })
            .transpose()?;
        let locale = self.locale(&member("locale"), asked.locale.as_deref(), number.country)?;
        let needs = Needs { country: number.country, extension: extension.as_ref(), entries: mode == Mode::Match };
        let now = self.clock.now();
        let wanted = self.carrier_order.iter().filter(|name| carrier.is_none_or(|only| only == name.as_str()));
        let lanes = wanted.filter_map(|name| self.lanes.get(name)).map(|lane| (&lane.carrier, lane.takes_none(now)));
        let routes = routes(lanes, &needs).map_err(|why| match why {
            NoRoute::Country => Refusal::CannotCarry {
                member: member("to"),
                why: format!("no carrier is configured for numbers of {}", number.country),
            },
            NoRoute::Extension => Refusal::CannotCarry {
                member: member("extension"),
                why: String::from("no configured carrier can dial this extension"),
            },
            NoRoute::Entries => Refusal::CannotCarry {
                member: String::from("mode"),
                why: String::from("no configured carrier can take a code; ask for confirm or speak"),
            },
            NoRoute::Resting => Refusal::CarriersAway,
        })?;
        Ok(Target {
            number_hash: self.keys.number(&number.e164),
            country: number.country,
            number_type: number.number_type.as_str().to_owned(),
            to: number.e164,
            extension: extension.map(|extension| extension.expose().to_owned()),
            locale,
            routes,
        })
    }

    /// A number that may be called here.
    fn callable(&self, member: &str, text: &str, country: Option<CountryCode>) -> Result<Number, Refusal> {
        let number = phone::read(text, country).map_err(|why| number_refusal(member, why))?;
        let member = || member.to_owned();
        if !self.numbers.countries.contains(&number.country) {
            return Err(Refusal::CountryNotAllowed { member: member(), country: number.country });
        }
        if !self.numbers.types.contains(&number.number_type) {
            let number_type = number.number_type.as_str().to_owned();
            return Err(Refusal::NumberTypeNotAllowed { member: member(), number_type });
        }
        Ok(number)
    }

    /// The language asked for, or that of the configuration, or the one most spoken in the country.
    fn locale(&self, member: &str, asked: Option<&str>, country: CountryCode) -> Result<String, Refusal> {
        if let Some(text) = asked {
            let read = text.parse::<unic_langid::LanguageIdentifier>();
            return read
                .map(|language| language.to_string())
                .map_err(|_| Refusal::out_of_range(member, "not a language tag (BCP 47), such as en or ja-JP"));
        }
        Ok(self.verification.locale.clone().unwrap_or_else(|| language_of(country)))
    }
}

/// The language most spoken in a country (Unicode CLDR, likely subtags).
fn language_of(country: CountryCode) -> String {
    let mut tag = unic_langid::LanguageIdentifier::default();
    tag.region = country.to_string().parse().ok();
    tag.maximize();
    tag.script = None;
    tag.to_string()
}

/// What is told about a text that is no number that may be called.
pub(super) fn number_refusal(member: &str, why: NumberError) -> Refusal {
    let (member, text) = (member.to_owned(), why.to_string());
    if why.is_not_callable() {
        Refusal::NotCallable { member, why: text }
    } else {
        Refusal::InvalidNumber { member, why: text }
    }
}

fn life(asked: Option<u32>, usual: Duration) -> Result<Duration, Refusal> {
    let life = asked.map_or(usual, |seconds| Duration::from_secs(seconds.into()));
    if LIFE.contains(&life) { Ok(life) } else { Err(Refusal::out_of_range("expires_in", "60 to 600 seconds")) }
}

fn max_calls(asked: Option<u32>, usual: u8) -> Result<u8, Refusal> {
    let wanted = asked.map_or(Some(usual), |count| u8::try_from(count).ok());
    wanted.filter(|count| CALLS.contains(count)).ok_or_else(|| Refusal::out_of_range("max_calls", "1 to 5"))
}

/// A text that a callee hears: white space is made one space, control and direction characters are dropped. `None` for
/// one that says nothing.
fn cleaned(member: &str, text: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let spaced: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_invisible(*c)).collect();
    let clean = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if clean.chars().count() > MOST_TEXT {
        return Err(Refusal::out_of_range(member, "at most 64 characters"));
    }
    Ok(Some(clean).filter(|clean| !clean.is_empty()))
}

/// Control characters and marks that turn the direction of writing or are not seen at all.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A text that is returned as it was given.
fn as_given(member: &str, text: Option<&str>, most: usize) -> Result<Option<String>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        Ok(Some(text.to_owned()))
    } else {
        Err(Refusal::out_of_range(member, format!("1 to {most} characters, no control characters")))
    }
}

fn check_metadata(asked: &CreateRequest) -> Result<(), Refusal> {
    if asked.metadata.len() > MOST_PAIRS {
        return Err(Refusal::out_of_range("metadata", "at most 16 pairs"));
    }
    let mut bytes = 0;
    for (name, value) in &asked.metadata {
        as_given("metadata", Some(name), MOST_NAME)?;
        if value.chars().count() > MOST_VALUE || value.chars().any(char::is_control) {
            return Err(Refusal::out_of_range("metadata", "values have at most 256 characters, no control characters"));
        }
        bytes += name.len() + value.len();
    }
    if bytes > MOST_METADATA_BYTES {
        return Err(Refusal::out_of_range("metadata", "at most 4096 bytes together"));
    }
    Ok(())
}
