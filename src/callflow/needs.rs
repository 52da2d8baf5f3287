//! Owns what a flow asks of a carrier, and of those who record what it says. Which carriers there are, what they can do,
//! and which recordings there are, is known elsewhere.

use std::time::Duration;

use super::{
    diagnostic::{At, Diagnostic, Faults, Rule},
    model::{CallFlow, Said, Sound, What},
    text::Slot,
};
use crate::outcome::Purpose;

/// What a carrier can do, as far as a flow may need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ability {
    /// Texts are spoken. Without it there has to be a recording of everything that [`CallFlow::spoken`] lists.
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
        let mute = !can.speech && !can.recordings;
        lacks(mute, self.first_heard(spoken), "neither speaks texts nor plays recordings", "use another carrier");
        faults.sorted()
    }

    /// Every text that the flow says, in each of its languages and variants.
    pub fn spoken(&self) -> impl Iterator<Item = Spoken<'_>> {
        let variants =
            self.prompts.iter().flat_map(|prompt| prompt.variants.iter().map(move |variant| (prompt, variant)));
        variants.flat_map(move |(prompt, variant)| {
            self.languages.iter().zip(&variant.texts).filter_map(move |(language, text)| {
                let text = text.as_ref()?;
                Some(Spoken {
                    flow: &self.id,
                    prompt: &prompt.id,
                    purpose: variant.purpose,
                    with_text: variant.with_text,
                    language,
                    written_in: &text.language,
                    parts: text.template.parts().collect(),
                    at: &text.at,
                })
            })
        })
    }

    /// Every recording that the flow names.
    pub fn recordings(&self) -> impl Iterator<Item = Named<'_>> {
        super::check::sounds(self).filter_map(|said| match &said.what {
            Sound::Recording { name, takes } => Some(Named { name, takes: *takes, at: &said.at }),
            Sound::Prompt { .. } | Sound::Code { .. } | Sound::Silence(_) => None,
        })
    }

    /// Where the flow speaks digits one by one, if it does: the code, or the last ones of the number.
    #[must_use]
    pub fn speaks_digits(&self) -> Option<Place<'_>> {
        let code = self.first_heard(|said| matches!(said.what, Sound::Code { .. }));
        let digits = || {
            let texts = self.prompts.iter().flat_map(|prompt| &prompt.variants).flat_map(|v| v.texts.iter().flatten());
            texts.into_iter().find(|text| text.template.uses(Slot::LastDigits)).map(|text| &text.at)
        };
        code.or_else(digits).map(Place)
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

/// A place in a file of call flows, to tell a fault of.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a>(&'a At);

impl Place<'_> {
    /// A fault there.
    #[must_use]
    pub fn fault(self, rule: Rule, message: String, suggestion: String) -> Diagnostic {
        let At { file, line, column } = self.0;
        Diagnostic { file: file.to_string(), line: *line, column: *column, rule, message, suggestion }
    }
}

/// A text of a flow, as those need it who record it.
#[derive(Debug, Clone)]
pub struct Spoken<'a> {
    /// Id of the flow.
    pub flow: &'a str,
    /// Id of the prompt.
    pub prompt: &'a str,
    /// The purpose that this variant of the prompt is for; `None`: for all.
    pub purpose: Option<Purpose>,
    /// Said only where the client gave a text about its purpose.
    pub with_text: bool,
    /// The flow's language (BCP 47) in which it is said.
    pub language: &'a str,
    /// The language that it was written for: `language` or a shorter tag of it.
    pub written_in: &'a str,
    /// Its parts in order: fixed texts, and the placeholders by their names.
    pub parts: Vec<Fixed<'a>>,
    at: &'a At,
}

impl<'a> Spoken<'a> {
    /// Where it stands.
    #[must_use]
    pub const fn place(&self) -> Place<'a> {
        Place(self.at)
    }
}

/// A part of a text before its placeholders are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed<'a> {
    /// A fixed text.
    Text(&'a str),
    /// A placeholder.
    Slot(Slot),
}

/// A recording that a flow names.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// File name without folder.
    pub name: &'a str,
    /// How long it is allowed to take.
    pub takes: Duration,
    at: &'a At,
}

impl<'a> Named<'a> {
    /// Where it stands.
    #[must_use]
    pub const fn place(&self) -> Place<'a> {
        Place(self.at)
    }
}
