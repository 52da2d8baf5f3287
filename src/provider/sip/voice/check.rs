//! Owns saying what recordings a flow lacks, and what is wrong with a customer's own.

use std::{collections::BTreeSet, path::Path};

use super::{
    Voice,
    library::{self, Named, Own},
    shipped,
};
use crate::{
    callflow::{CallFlow, Diagnostic, Fixed, Flows, Place, Rule, Slot, Spoken},
    sip::media::clip,
};

/// Names of recordings that belong to no flow.
const COMMON: [&str; 5] = ["brand", "brand.", "purpose.", "digit-", "key-"];

impl Voice {
    /// What this flow says that there is no recording of, and what is wrong with the customer's recordings of it: each
    /// at the text that it is for, in the order of the file.
    #[must_use]
    pub fn faults(&self, flow: &CallFlow) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        for text in flow.spoken() {
            self.text(&text, &mut faults);
        }
        let digits = flow.speaks_digits();
        for language in flow.languages() {
            if let Some(place) = digits
                && let Some(digit) = ('0'..='9').find(|digit| self.library.key(language, *digit).is_none())
            {
                let message = format!("there is no recording in `{language}` of the digit {digit}");
                let help = format!("add {language}/digit-0.wav to digit-9.wav to the folder of recordings");
                faults.push(place.fault(Rule::Audio, message, help));
            }
            for named in flow.recordings() {
                match self.library.recorded(language, named.name) {
                    Some(own) => flawed(own, named.place(), &mut faults),
                    None => {
                        let message = format!("there is no recording `{}` for `{language}`", named.name);
                        let help = "add it to the folder of recordings, or to that of the language in it";
                        faults.push(named.place().fault(Rule::Audio, message, help.to_owned()));
                    }
                }
            }
        }
        faults.sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
        faults.dedup();
        faults
    }

    /// Recordings of the customer that no flow plays: most likely their names are not quite right.
    #[must_use]
    pub fn unused(&self, flows: &Flows) -> Vec<Diagnostic> {
        let mut played = BTreeSet::new();
        for flow in flows.iter() {
            for text in flow.spoken() {
                let named = Named::of_text(&text);
                played.extend(named.whole().map(str::to_owned));
                let fixed = text.parts.iter().filter(|part| matches!(part, Fixed::Text(_))).count();
                played.extend((1..=fixed).flat_map(|part| named.part(part).collect::<Vec<_>>()));
            }
            played.extend(flow.recordings().map(|named| named.name.trim_end_matches(".wav").to_owned()));
        }
        let all = self.library.own.values().flatten();
        all.filter(|(stem, _)| !is_common(stem) && !played.contains(*stem))
            .map(|(_, own)| {
                let help =
                    "a prompt is LANGUAGE/FLOW.PROMPT.wav or LANGUAGE/FLOW.PROMPT.PURPOSE.wav; see docs/prompts.md";
                fault(&own.path, "no flow plays this recording", help)
            })
            .collect()
    }

    /// What is wrong with the customer's recordings that belong to no flow, such as the brand's.
    #[must_use]
    pub fn common_faults(&self) -> Vec<Diagnostic> {
        let own = self.library.own.values().flatten().filter(|(stem, _)| is_common(stem));
        own.flat_map(|(_, own)| clip::flaws(&own.clip).into_iter().map(move |flaw| (own, flaw)))
            .map(|(own, flaw)| fault(&own.path, &flaw.to_string(), "record it again"))
            .collect()
    }

    fn text(&self, text: &Spoken<'_>, faults: &mut Vec<Diagnostic>) {
        let (language, named, place) = (text.language, Named::of_text(text), text.place());
        let own_words = |slot: Slot| matches!(slot, Slot::Purpose | Slot::LastDigits);
        let varies = text.parts.iter().any(|part| matches!(part, Fixed::Slot(slot) if own_words(*slot)));
        if let Some(own) = self.library.own_whole(language, &named) {
            flawed(own, place, faults);
            if varies {
                let message = format!("{} is of a prompt with words that differ from call to call", own.path.display());
                let help = "record its fixed texts one by one: add .1, .2 … before .wav".to_owned();
                faults.push(place.fault(Rule::Audio, message, help));
            } else {
                changed(own, &written(text), place, faults);
                // It names the usual brand only: for any other the parts are played.
                let brands = text.parts.contains(&Fixed::Slot(Slot::Brand));
                if !brands {
                    return;
                }
            }
        }
        // What tells a client's own text is left out where nobody recorded that.
        if text.with_text {
            return;
        }
        let mut part = 0;
        for piece in &text.parts {
            match piece {
                Fixed::Text(words) => {
                    part += 1;
                    self.part(text, &named, part, words, faults);
                }
                Fixed::Slot(Slot::Brand) if self.library.brand(language, &self.brand, &self.brand).is_none() => {
                    let message = format!("there are no words in `{language}` for who calls");
                    let help = format!("record {language}/brand.wav: it completes every sentence with {{brand}} in it");
                    faults.push(place.fault(Rule::Audio, message, help));
                }
                Fixed::Slot(_) => {}
            }
        }
    }

    fn part(&self, text: &Spoken<'_>, named: &Named, part: usize, words: &str, faults: &mut Vec<Diagnostic>) {
        let (language, place) = (text.language, text.place());
        let key = library::key_of(words);
        if let Some(own) = self.library.own_part(language, named, part) {
            flawed(own, place, faults);
            changed(own, key, place, faults);
        } else if !key.is_empty() && shipped::find(language, key).is_none() {
            let whole = text.parts.len() == 1;
            let stem = if whole { named.whole().next().map(str::to_owned) } else { named.part(part).next() };
            let message = format!("prompt `{}` has no recording in `{language}` of \"{key}\"", text.prompt);
            let help = format!("record {language}/{}.wav, or use a carrier that speaks", stem.unwrap_or_default());
            faults.push(place.fault(Rule::Audio, message, help));
        }
    }
}

/// Whether a recording of this name belongs to no flow.
fn is_common(stem: &str) -> bool {
    COMMON.iter().any(|name| stem == *name || name.ends_with(['.', '-']) && stem.starts_with(name))
}

/// The text as somebody reads it out, with the names of its placeholders.
fn written(text: &Spoken<'_>) -> String {
    let parts = text.parts.iter().map(|part| match part {
        Fixed::Text(words) => *words,
        Fixed::Slot(slot) => slot.placeholder(),
    });
    parts.collect()
}

fn flawed(own: &Own, place: Place<'_>, faults: &mut Vec<Diagnostic>) {
    for flaw in clip::flaws(&own.clip) {
        let message = format!("{} {flaw}", own.path.display());
        faults.push(place.fault(Rule::Audio, message, "record it again".to_owned()));
    }
}

/// Whether what was read out is still what the flow says, where somebody wrote it down.
fn changed(own: &Own, now: &str, place: Place<'_>, faults: &mut Vec<Diagnostic>) {
    let Some(then) = &own.transcript else { return };
    let same = library::key_of(then) == library::key_of(now);
    if !same {
        let message = format!("{} says something else: the text was \"{then}\"", own.path.display());
        let help = "record it again, then correct the .txt beside it".to_owned();
        faults.push(place.fault(Rule::Audio, message, help));
    }
}

fn fault(path: &Path, message: &str, help: &str) -> Diagnostic {
    Diagnostic {
        file: path.display().to_string(),
        line: 1,
        column: 1,
        rule: Rule::Audio,
        message: message.to_owned(),
        suggestion: help.to_owned(),
    }
}
