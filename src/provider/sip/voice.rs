//! Owns how a script becomes sound where nobody can speak: every text is put together from recordings, those of the
//! customer before those that come with the program. When it is played, and whether it is heard, is decided elsewhere.

mod check;
mod library;
mod own;
mod shipped;

#[cfg(test)]
mod tests;

use std::{path::Path, time::Duration};

pub use own::MAX_RECORDINGS;
pub use shipped::{ShippedClip, shipped_clips};

use crate::{
    callflow::{self, Diagnostic, Line, Script, Slot, Then, Wording},
    provider::sip::voice::library::Library,
    sip::media::Sound,
};

/// Silence at the start of a call, before the first script: until then the way to the callee's ear may not be open.
pub const OPENING: Duration = Duration::from_millis(300);
/// Silence between two prompts.
const BETWEEN_PROMPTS: Duration = Duration::from_millis(300);
/// Silence where a sentence ends inside a text, between two recordings.
const SENTENCE_END: Duration = Duration::from_millis(350);
/// Silence at a comma or colon there.
const COMMA: Duration = Duration::from_millis(150);
/// Silence between the last digits of a number.
const BETWEEN_DIGITS: Duration = Duration::from_millis(200);

/// The recordings that a carrier without speech plays.
#[derive(Debug)]
pub struct Voice {
    library: Library,
    /// Who is usually said to call: whom a recording that names nobody is of.
    brand: String,
}

/// What a script sounds like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sounds {
    /// Heard first; keys do not cut it short.
    pub before: Vec<Sound>,
    /// Heard while keys are listened for; the first key cuts it short. Empty where the call ends.
    pub prompt: Vec<Sound>,
    /// How many prompts were left out, because they tell a client's own text that nobody recorded. To be counted.
    pub left_out: u32,
}

/// Something has to be said that there is no recording of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// A fixed text of a prompt.
    #[error("prompt `{prompt}` has no recording in `{language}` of its part {part}")]
    Part {
        /// Language of the script.
        language: String,
        /// The prompt.
        prompt: String,
        /// Which of its fixed texts, from 1.
        part: usize,
    },
    /// Who calls: not even the words that stand for anybody.
    #[error("there is no recording in `{language}` of who calls")]
    Brand {
        /// Language of the script.
        language: String,
    },
    /// A client's own text, in a prompt that makes no sense without it.
    #[error("prompt `{prompt}` tells a client's own text, which has no recording in `{language}`")]
    Purpose {
        /// Language of the script.
        language: String,
        /// The prompt.
        prompt: String,
    },
    /// A digit. Which one is not said: it may be one of a code.
    #[error("there is no recording in `{language}` of a digit")]
    Digit {
        /// Language of the script.
        language: String,
    },
    /// A recording that the flow names.
    #[error("there is no recording `{recording}` for `{language}`")]
    Recording {
        /// Language of the script.
        language: String,
        /// Its file name.
        recording: String,
    },
}

impl Voice {
    /// The recordings that come with the program, and those in `folder` before them (see `docs/prompts.md` for their
    /// names). `brand` is who is usually said to call. What cannot be played is told and left aside.
    ///
    /// Reads files, and so blocks.
    #[must_use]
    pub fn load(folder: Option<&Path>, brand: &str) -> (Self, Vec<Diagnostic>) {
        let (own, faults) = folder.map(own::read).unwrap_or_default();
        let brand = brand.split_whitespace().collect::<Vec<_>>().join(" ");
        (Self { library: Library::new(own), brand }, faults)
    }

    /// What the callee hears of a script. Silence for the [`OPENING`] of a call is not part of it.
    ///
    /// # Errors
    /// What there is no recording of; half a script is never played.
    pub fn sounds(&self, script: &Script) -> Result<Sounds, Missing> {
        let mut left_out = 0;
        let before = self.lines(&script.language, &script.before, &mut left_out)?;
        let asked: &[Line] = match &script.then {
            Then::Gather(gather) => &gather.prompt,
            Then::HangUp => &[],
        };
        let prompt = self.lines(&script.language, asked, &mut left_out)?;
        let mut sounds = Sounds { before, prompt, left_out };
        if matches!((sounds.before.last(), sounds.prompt.first()), (Some(Sound::Clip(_)), Some(Sound::Clip(_)))) {
            sounds.before.push(Sound::Silence(BETWEEN_PROMPTS));
        }
        Ok(sounds)
    }

    /// What is heard when no script can be played: an apology in the nearest language, English where there is none.
    #[must_use]
    pub fn apology(&self, locale: &str) -> Vec<Sound> {
        let text = callflow::apology(locale);
        let clip = self.library.text(callflow::apology_language(locale), text);
        clip.map(Sound::Clip).into_iter().collect()
    }

    fn lines(&self, language: &str, lines: &[Line], left_out: &mut u32) -> Result<Vec<Sound>, Missing> {
        let mut sounds: Vec<Sound> = Vec::new();
        for line in lines {
            let more = match line {
                Line::Say { prompt, text, wording, .. } => {
                    let Some(more) = self.say(language, prompt, text, wording)? else {
                        *left_out += 1;
                        continue;
                    };
                    more
                }
                Line::Play { recording, .. } => {
                    let clip = self.library.recording(language, recording).ok_or_else(|| Missing::Recording {
                        language: language.to_owned(),
                        recording: recording.clone(),
                    })?;
                    vec![Sound::Clip(clip)]
                }
                Line::SpokenDigits { digits, pause, .. } => self.digits(language, digits.0.expose(), *pause)?,
                Line::Pause(pause) => vec![Sound::Silence(*pause)],
            };
            if matches!((sounds.last(), more.first()), (Some(Sound::Clip(_)), Some(Sound::Clip(_)))) {
                sounds.push(Sound::Silence(BETWEEN_PROMPTS));
            }
            sounds.extend(more);
        }
        Ok(sounds)
    }

    /// A prompt; `None` when it is left out.
    fn say(&self, language: &str, prompt: &str, text: &str, wording: &Wording) -> Result<Option<Vec<Sound>>, Missing> {
        let named = library::Named::of(prompt, wording);
        let slots = wording.parts_of(text).filter_map(|(slot, value)| Some((slot?, value)));
        if !wording.with_text
            && slots.into_iter().all(|(slot, value)| slot == Slot::Brand && value == self.brand)
            && let Some(whole) = self.library.whole(language, &named)
        {
            return Ok(Some(vec![Sound::Clip(whole)]));
        }
        let mut sounds = Vec::new();
        let (mut part, mut pause) = (0, Duration::ZERO);
        for (slot, value) in wording.parts_of(text) {
            let more = match slot {
                None => {
                    part += 1;
                    let found = self.library.part(language, &named, part, value);
                    let silent = library::key_of(value).is_empty();
                    if found.is_none() && !silent {
                        let (language, prompt) = (language.to_owned(), prompt.to_owned());
                        return Err(Missing::Part { language, prompt, part });
                    }
                    pause = pause.max(pause_in_front(value));
                    found.map(Sound::Clip).into_iter().collect()
                }
                Some(Slot::Brand) => {
                    let clip = self.library.brand(language, value, &self.brand);
                    let clip = clip.ok_or_else(|| Missing::Brand { language: language.to_owned() })?;
                    vec![Sound::Clip(clip)]
                }
                Some(Slot::Purpose) => match self.library.purpose(language, value) {
                    Some(clip) => vec![Sound::Clip(clip)],
                    None if wording.with_text => return Ok(None),
                    None => {
                        let (language, prompt) = (language.to_owned(), prompt.to_owned());
                        return Err(Missing::Purpose { language, prompt });
                    }
                },
                Some(Slot::LastDigits) => self.digits(language, value, BETWEEN_DIGITS)?,
            };
            if !more.is_empty() {
                if !sounds.is_empty() && pause > Duration::ZERO {
                    sounds.push(Sound::Silence(pause));
                }
                sounds.extend(more);
                pause = Duration::ZERO;
            }
            if slot.is_none() {
                pause = pause.max(pause_behind(value));
            }
        }
        Ok(Some(sounds))
    }

    /// Digits one by one; what is none, such as a space, is passed over.
    fn digits(&self, language: &str, digits: &str, pause: Duration) -> Result<Vec<Sound>, Missing> {
        let mut sounds = Vec::new();
        for digit in digits.chars().filter(|c| matches!(c, '0'..='9' | '*' | '#')) {
            let clip = self.library.key(language, digit);
            let clip = clip.ok_or_else(|| Missing::Digit { language: language.to_owned() })?;
            if !sounds.is_empty() {
                sounds.push(Sound::Silence(pause));
            }
            sounds.push(Sound::Clip(clip));
        }
        Ok(sounds)
    }
}

/// The silence that the marks before the first word ask for.
fn pause_in_front(text: &str) -> Duration {
    let marks = text.chars().take_while(|c| !c.is_alphanumeric());
    marks.map(pause_at).max().unwrap_or_default()
}

/// The silence that the marks behind the last word ask for.
fn pause_behind(text: &str) -> Duration {
    let marks = text.chars().rev().take_while(|c| !c.is_alphanumeric());
    marks.map(pause_at).max().unwrap_or_default()
}

const fn pause_at(mark: char) -> Duration {
    match mark {
        '.' | '。' | '！' | '？' | '!' | '?' | '।' => SENTENCE_END,
        ',' | '、' | '，' | ';' | ':' | '；' | '：' | '–' => COMMA,
        _ => Duration::ZERO,
    }
}
