//! Owns what a flow asks of a carrier. Which carriers there are, and what they can do, is known elsewhere.

use super::{
    diagnostic::{At, Diagnostic, Faults, Rule},
    model::{CallFlow, Said, Sound, What},
};

/// What a carrier can do, as far as a flow may need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ability {
    /// Texts are spoken.
    pub speech: bool,
    /// An entry of several keys can be gathered at once.
    pub entries: bool,
    /// Recordings can be played.
    pub recordings: bool,
}

impl CallFlow {
    /// What in this flow the carrier of this name cannot play: one fault for each thing, at its first place.
    #[must_use]
    pub fn beyond(&self, carrier: &str, can: Ability) -> Vec<Diagnostic> {
        let mut faults = Faults::default();
        let mut lacks = |missing: bool, at: Option<&At>, what: &str, help: &str| {
            if let Some(at) = at.filter(|_| missing) {
                faults.add(at, Rule::Carrier, format!("carrier `{carrier}` {what}"), help);
            }
        };
        let help = "give this flow to another carrier, or ask for one key at a time";
        lacks(!can.entries, self.first_entry(), "cannot gather several keys at once", help);
        let recording = |said: &&Said| matches!(said.what, Sound::Recording { .. });
        let help = "say a prompt instead, or give this flow to another carrier";
        lacks(!can.recordings, self.first_heard(recording), "plays no recordings", help);
        let spoken = |said: &&Said| matches!(said.what, Sound::Prompt { .. } | Sound::Code { .. });
        lacks(!can.speech, self.first_heard(spoken), "speaks no texts", "play recordings, or use another carrier");
        faults.sorted()
    }

    fn first_entry(&self) -> Option<&At> {
        self.steps.iter().flat_map(|step| &step.items).find_map(|item| match &item.what {
            What::Ask(question) if question.code_end.is_some() => Some(&item.at),
            What::Ask(_) | What::Line(_) | What::Do(_) => None,
        })
    }

    fn first_heard(&self, wanted: impl FnMut(&&Said) -> bool) -> Option<&At> {
        super::check::sounds(self).find(wanted).map(|said| &said.at)
    }
}
