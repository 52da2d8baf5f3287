//! Owns the recordings that come with the program. `make prompts` renders them from the texts of the call flows and
//! writes the table that is compiled in; nothing of it is read before something has to be played.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, OnceLock},
};

use serde::Deserialize;

use super::library::tags;
use crate::sip::media::clip;

/// By language: its manifest, and its files by name.
type Table = &'static [(&'static str, &'static str, &'static [(&'static str, &'static [u8])])];

static TABLE: Table = include!("../../../../callflows/audio/embedded.in");

/// One recording that comes with the program, as its manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ShippedClip {
    /// Language (BCP 47).
    #[serde(skip)]
    pub language: String,
    /// File name in the folder of the language.
    pub file: String,
    /// What it is looked up by: a text of a flow, a digit, `*`, `#`, `{brand}`.
    pub text: String,
    /// What the voice was given to say.
    pub spoken: String,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The file.
    #[serde(skip)]
    pub wav: &'static [u8],
}

#[derive(Deserialize)]
struct Manifest {
    clips: Vec<ShippedClip>,
}

/// Every recording that comes with the program.
pub fn shipped_clips() -> impl Iterator<Item = ShippedClip> {
    TABLE.iter().flat_map(|(language, manifest, files)| {
        // What is compiled in was read by a test.
        let clips = serde_json::from_str::<Manifest>(manifest).map_or_else(|_| Vec::new(), |manifest| manifest.clips);
        clips.into_iter().filter_map(move |clip| {
            let (_, wav) = files.iter().find(|(name, _)| *name == clip.file)?;
            Some(ShippedClip { language: (*language).to_owned(), wav, ..clip })
        })
    })
}

/// A file, and its samples once it was played.
#[derive(Debug)]
struct Entry {
    wav: &'static [u8],
    samples: OnceLock<Option<Arc<[u8]>>>,
}

/// By language, in small letters, and by what it says.
type ByText = BTreeMap<String, BTreeMap<String, Entry>>;

/// All of them, shared by the carriers of a process.
static BY_TEXT: LazyLock<ByText> = LazyLock::new(|| {
    let mut by_text = ByText::new();
    for ShippedClip { language, text, wav, .. } in shipped_clips() {
        let entry = Entry { wav, samples: OnceLock::new() };
        by_text.entry(language.to_ascii_lowercase()).or_default().insert(text, entry);
    }
    by_text
});

/// The samples of what says this text: in this language, in a shorter tag of it, or in another tag of the same
/// language, whose words are the same.
pub(super) fn find(language: &str, text: &str) -> Option<Arc<[u8]>> {
    let near = tags(language).find_map(|tag| BY_TEXT.get(&tag)?.get(text));
    let entry = near.or_else(|| {
        let primary = tags(language).last()?;
        let same = |tag: &&String| tag.split('-').next() == Some(primary.as_str());
        BY_TEXT.iter().filter(|(tag, _)| same(tag)).find_map(|(_, texts)| texts.get(text))
    })?;
    entry.samples.get_or_init(|| clip::read(entry.wav).ok().map(Arc::from)).clone()
}
