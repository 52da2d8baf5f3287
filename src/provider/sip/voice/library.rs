//! Owns finding a recording: by language and by what it says, or by the name a customer gave it. Reading files is done
//! beside it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::shipped;
use crate::callflow::{Spoken, Wording};

/// A customer's own recording.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) path: PathBuf,
    pub(super) clip: Arc<[u8]>,
    /// What was read out, where a text file beside it says so.
    pub(super) transcript: Option<String>,
}

/// A customer's own recordings: by folder, in small letters and empty for the top one, then by file name without its
/// extension.
pub(super) type OwnRecordings = BTreeMap<String, BTreeMap<String, Own>>;

/// All recordings.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) own: OwnRecordings,
}

/// The names under which a customer may have recorded a prompt.
#[derive(Debug)]
pub(super) struct Named {
    /// The nearest first: with the purpose, then without.
    stems: Vec<String>,
    with_text: bool,
    /// The text is of the language itself: what was recorded for a shorter tag says something else.
    of_language: bool,
}

impl Named {
    pub(super) fn of(prompt: &str, wording: &Wording) -> Self {
        let purpose = wording.purpose.map(|purpose| purpose.as_str());
        Self::new(&wording.flow, prompt, purpose, (wording.with_text, wording.of_language))
    }

    pub(super) fn of_text(text: &Spoken<'_>) -> Self {
        let of_language = text.language.eq_ignore_ascii_case(text.written_in);
        let purpose = text.purpose.map(|purpose| purpose.as_str());
        Self::new(text.flow, text.prompt, purpose, (text.with_text, of_language))
    }

    fn new(flow: &str, prompt: &str, purpose: Option<&str>, (with_text, of_language): (bool, bool)) -> Self {
        let plain = format!("{flow}.{prompt}");
        let stems = purpose.map(|purpose| format!("{plain}.{purpose}")).into_iter().chain([plain]).collect();
        Self { stems, with_text, of_language }
    }

    /// Names of a recording of the whole prompt.
    pub(super) fn whole(&self) -> impl Iterator<Item = &str> {
        self.stems.iter().map(String::as_str).filter(|_| !self.with_text)
    }

    /// Names of a recording of one of its fixed texts, counted from 1.
    pub(super) fn part(&self, part: usize) -> impl Iterator<Item = String> {
        let text = if self.with_text { ".text" } else { "" };
        self.stems.iter().map(move |stem| format!("{stem}{text}.{part}"))
    }
}

impl Library {
    pub(super) fn new(own: OwnRecordings) -> Self {
        Self { own }
    }

    /// A fixed text: a clip that came with the program.
    pub(super) fn text(&self, language: &str, text: &str) -> Option<Arc<[u8]>> {
        shipped::find(language, key_of(text))
    }

    /// A whole prompt as a customer recorded it.
    pub(super) fn whole(&self, language: &str, named: &Named) -> Option<Arc<[u8]>> {
        self.own_whole(language, named).map(|own| Arc::clone(&own.clip))
    }

    /// One of the fixed texts of a prompt, counted from 1.
    pub(super) fn part(&self, language: &str, named: &Named, part: usize, text: &str) -> Option<Arc<[u8]>> {
        let own = self.own_part(language, named, part);
        own.map(|own| Arc::clone(&own.clip)).or_else(|| self.text(language, text))
    }

    /// Who calls: by name; the usual one's; or the words that stand for anybody.
    pub(super) fn brand(&self, language: &str, brand: &str, usual: &str) -> Option<Arc<[u8]>> {
        let named = self.own(language, &format!("brand.{}", file_name(brand)));
        let own = named.or_else(|| self.own(language, "brand").filter(|_| brand == usual));
        own.map(|own| Arc::clone(&own.clip)).or_else(|| shipped::find(language, "{brand}"))
    }

    /// A client's own text about the purpose, where it was recorded.
    pub(super) fn purpose(&self, language: &str, text: &str) -> Option<Arc<[u8]>> {
        self.own(language, &format!("purpose.{}", file_name(text))).map(|own| Arc::clone(&own.clip))
    }

    /// A key by its name: a digit, `*` or `#`.
    pub(super) fn key(&self, language: &str, key: char) -> Option<Arc<[u8]>> {
        let stem = match key {
            '*' => "key-star".to_owned(),
            '#' => "key-pound".to_owned(),
            digit => format!("digit-{digit}"),
        };
        let own = self.own(language, &stem).map(|own| Arc::clone(&own.clip));
        own.or_else(|| shipped::find(language, key.encode_utf8(&mut [0; 4])))
    }

    /// A recording that a flow names: of the language, or of all.
    pub(super) fn recording(&self, language: &str, file: &str) -> Option<Arc<[u8]>> {
        self.recorded(language, file).map(|own| Arc::clone(&own.clip))
    }

    pub(super) fn recorded(&self, language: &str, file: &str) -> Option<&Own> {
        let stem = file.strip_suffix(".wav").unwrap_or(file);
        self.own(language, stem).or_else(|| self.own.get("")?.get(stem))
    }

    pub(super) fn own_whole(&self, language: &str, named: &Named) -> Option<&Own> {
        named.whole().find_map(|stem| self.own_prompt(language, named, stem))
    }

    pub(super) fn own_part(&self, language: &str, named: &Named, part: usize) -> Option<&Own> {
        named.part(part).find_map(|stem| self.own_prompt(language, named, &stem))
    }

    fn own_prompt(&self, language: &str, named: &Named, stem: &str) -> Option<&Own> {
        if named.of_language {
            self.own.get(&language.to_ascii_lowercase())?.get(stem)
        } else {
            self.own(language, stem)
        }
    }

    /// A customer's recording by its name: in the folder of the language, or of a shorter tag of it.
    pub(super) fn own(&self, language: &str, stem: &str) -> Option<&Own> {
        tags(language).find_map(|tag| self.own.get(&tag)?.get(stem))
    }
}

/// A tag in small letters, then cut short from its end.
pub(super) fn tags(language: &str) -> impl Iterator<Item = String> {
    let whole = language.to_ascii_lowercase();
    std::iter::successors(Some(whole), |tag| tag.rsplit_once('-').map(|(shorter, _)| shorter.to_owned()))
}

/// What a clip that comes with the program is looked up by: a text from its first letter or digit on.
pub(super) fn key_of(text: &str) -> &str {
    text.trim_start_matches(|c: char| !c.is_alphanumeric()).trim_end()
}

/// A brand or a client's text as part of a file name: letters and digits, small, with hyphens between words.
pub(super) fn file_name(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}
