//! Owns looking whether the carriers of a configuration can play the call flows, and at a customer's own recordings.
//! `flow check` and `doctor` say the same. What a flow needs, and which recordings there are, is known elsewhere.

use std::path::Path;

use crate::{
    callflow::{Ability, Diagnostic, Flows},
    config::Config,
    provider::sip::voice::Voice,
    serve::Carriers,
};

/// The folder of recordings in that of the call flows.
const RECORDINGS: &str = "audio";

/// Something that was found.
pub(super) struct Found {
    /// What and where.
    pub(super) fault: Diagnostic,
    /// Calls go out all the same: through another carrier, or because nobody plays it.
    pub(super) harmless: bool,
}

/// What is wrong with the recordings in the folder of call flows, and what the carriers of a configuration cannot play.
/// A configuration whose carriers cannot be made says so elsewhere. Reads files, and so blocks.
pub(super) fn look(flows: &Flows, folder: Option<&Path>, config: Option<&Config>) -> Vec<Found> {
    let folder = folder.map(|folder| folder.join(RECORDINGS)).filter(|folder| folder.is_dir());
    let brand = config.map_or("", |config| &config.verification.brand);
    let (voice, unreadable) = Voice::load(folder.as_deref(), brand);
    let found = |harmless| move |fault| Found { fault, harmless };
    let mut all: Vec<Found> = unreadable.into_iter().chain(voice.common_faults()).map(found(false)).collect();
    all.extend(voice.unused(flows).into_iter().map(found(true)));
    // What they can do is asked, not what they say.
    let nothing = std::sync::Arc::new(Voice::load(None, "").0);
    let carriers = config.and_then(|config| Carriers::new(&config.carriers, &nothing).ok()).map(|made| made.carriers);
    let carriers = carriers.unwrap_or_default();
    for flow in flows.iter() {
        let lacks = carriers.iter().map(|carrier| {
            let can = carrier.provider.capabilities();
            let ability = Ability { speech: can.speech, entries: can.entries, recordings: can.recordings };
            let mut faults = flow.beyond(&carrier.name, ability);
            if !can.speech && can.recordings {
                faults.extend(voice.faults(flow));
            }
            faults
        });
        let lacks: Vec<Vec<Diagnostic>> = lacks.collect();
        let harmless = lacks.iter().any(Vec::is_empty);
        for fault in lacks.into_iter().flatten() {
            if !all.iter().any(|known| known.fault == fault) {
                all.push(Found { fault, harmless });
            }
        }
    }
    all
}
