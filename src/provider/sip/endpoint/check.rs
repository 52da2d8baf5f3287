//! Owns looking whether the trunks of a carrier would take a call, without ringing anybody: found, reached, TLS, OPTIONS,
//! and our password by a registration or by a challenge to OPTIONS. Each fault says what to do.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Inner,
    driver::Command,
    lock,
    upkeep::{self, find},
};
use crate::{
    provider::sip::{trunk::Target, trunk_uri::TrunkUri},
    sip::{ProbeResult, RegistrationState},
};

/// How long a registration that only tries the password lasts, and may take.
const TRIAL_REGISTRATION: Duration = Duration::from_secs(60);
const REGISTER_WITHIN: Duration = Duration::from_secs(5);

/// Looks at every trunk: what is good about all, or everything that is wrong.
pub(super) async fn look(inner: &Arc<Inner>) -> Result<String, String> {
    let mut good = Vec::new();
    let mut faults = Vec::new();
    // The faults of single trunks are told below.
    let _some_missing = find(inner).await;
    for (index, trunk) in inner.config.all_trunks().enumerate() {
        match look_at(inner, index, trunk).await {
            Ok(found) => good.push(found),
            Err(why) => faults.push(format!("{trunk}: {why}")),
        }
    }
    if faults.is_empty() { Ok(good.join("; ")) } else { Err(faults.join("; ")) }
}

async fn look_at(inner: &Arc<Inner>, index: usize, trunk: &TrunkUri) -> Result<String, String> {
    inner.resolver.find(inner.config.first_hop(trunk)).await.map_err(|error| error.to_string())?;
    let servers: Vec<Target> = lock(&inner.trunks)
        .targets()
        .into_iter()
        .map(|(target, _)| target)
        .filter(|target| target.trunk == index)
        .collect();
    let mut first = None;
    let mut away = Vec::new();
    for target in servers {
        match answer(inner, target).await {
            Ok(said) if first.is_none() => first = Some((target, said)),
            Ok(_) => {}
            Err(why) => away.push(format!("{}: {why}", target.hop)),
        }
    }
    let Some((target, said)) = first else { return Err(away.join("; ")) };
    let known = if inner.config.register { registration(inner, target).await? } else { said };
    let backup = if away.is_empty() { String::new() } else { format!(" (but {})", away.join("; ")) };
    Ok(format!("{trunk}: {} {known}{backup}", target.hop))
}

/// What a server says to OPTIONS.
async fn answer(inner: &Inner, target: Target) -> Result<String, String> {
    let credentials = inner.credentials();
    let has_password = credentials.is_some();
    match upkeep::probe(inner, target, credentials).await? {
        ProbeResult::Answered { code: code @ (401 | 407), .. } => Err(if has_password {
            format!("it refuses our password ({code}); are username and password those of the trunk?")
        } else {
            format!("it asks for a password ({code}); give username and password_file")
        }),
        ProbeResult::Answered { code: 403, .. } => Err(String::from(
            "it forbids us to ask (403); does the carrier know this machine's address, or are username and password wrong?",
        )),
        ProbeResult::Answered { code: 408, .. } => {
            Err(String::from("it answers 408: what is behind it does not answer"))
        }
        ProbeResult::Answered { code: 503, .. } => Err(String::from("it answers 503: it takes no calls now")),
        ProbeResult::Answered { code, took, .. } => {
            Ok(format!("answers OPTIONS with {code} in {} ms", took.as_millis()))
        }
        ProbeResult::Silent => Err(String::from(
            "no answer to OPTIONS; is it the right transport, and does the carrier let this machine's address in?",
        )),
        ProbeResult::FlowFailed => Err(String::from("nothing listens there; are host, port and transport right?")),
        ProbeResult::NotSent => Err(String::from("OPTIONS cannot be written for it; is the trunk's address right?")),
    }
}

/// Registers for a minute and takes it back: only that proves a password.
async fn registration(inner: &Inner, target: Target) -> Result<String, String> {
    let registering = upkeep::register(inner, target, TRIAL_REGISTRATION).await;
    let (registration, mut states) = registering.ok_or_else(|| String::from("it cannot be reached"))?;
    let state = timeout(REGISTER_WITHIN, states.recv()).await;
    let _stopped = inner.commands.send(Command::Unregister(registration)).await;
    match state {
        Ok(Some(RegistrationState::Registered { .. })) => Ok(String::from("takes our registration")),
        Ok(Some(RegistrationState::Failed { code: Some(code @ (401 | 403 | 404 | 407)), .. })) => {
            Err(format!("it refuses our registration ({code}); are username and password those of the trunk?"))
        }
        Ok(Some(RegistrationState::Failed { code: Some(code), .. })) => {
            Err(format!("it refuses our registration ({code}); ask the carrier whether the trunk registers at all"))
        }
        Ok(Some(RegistrationState::Failed { code: None, .. } | RegistrationState::Unregistered) | None) | Err(_) => {
            Err(String::from("no answer to REGISTER; ask the carrier whether the trunk registers at all"))
        }
    }
}
