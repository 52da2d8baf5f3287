//! Owns which voice speaks which language of the call flows. The names are those of Twilio's `Say`
//! (`https://www.twilio.com/docs/voice/twiml/say/text-speech`); a configuration may name others.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A voice and the language it is asked to speak.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// The name, as in `Polly.Kazuha-Neural`; without one the carrier chooses.
    #[serde(default)]
    pub voice: Option<String>,
    /// The language as the carrier writes it, as in `ja-JP`.
    pub language: String,
}

/// The built-in voices: language of the call flow, the carrier's word for it, voice. A whole tag goes before its first part.
const VOICES: &[(&str, &str, &str)] = &[
    ("en", "en-US", "Polly.Joanna-Neural"),
    ("en-GB", "en-GB", "Polly.Amy-Neural"),
    ("ja", "ja-JP", "Polly.Kazuha-Neural"),
    ("de", "de-DE", "Polly.Vicki-Neural"),
    ("fr", "fr-FR", "Polly.Lea-Neural"),
    ("es", "es-ES", "Polly.Lucia-Neural"),
    // The carrier knows no Spanish of all Latin America: Mexico's is the one most people of it speak.
    ("es-419", "es-MX", "Polly.Mia-Neural"),
    ("es-MX", "es-MX", "Polly.Mia-Neural"),
    ("pt", "pt-BR", "Polly.Camila-Neural"),
    ("pt-PT", "pt-PT", "Polly.Ines-Neural"),
    ("it", "it-IT", "Polly.Bianca-Neural"),
    ("ko", "ko-KR", "Polly.Seoyeon-Neural"),
    ("zh-CN", "cmn-CN", "Polly.Zhiyu-Neural"),
    ("zh", "cmn-CN", "Polly.Zhiyu-Neural"),
    ("hi", "hi-IN", "Polly.Kajal-Neural"),
];

/// The voices in use, by language of the call flow.
#[derive(Debug, Clone)]
pub(super) struct Voices(BTreeMap<String, Voice>);

impl Voices {
    /// The built-in ones, or what the configuration says instead.
    pub(super) fn new(overrides: &BTreeMap<String, Voice>) -> Self {
        let built_in = VOICES.iter().map(|(language, carriers, voice)| {
            let voice = Voice { voice: Some((*voice).to_owned()), language: (*carriers).to_owned() };
            (language.to_ascii_lowercase(), voice)
        });
        let mut voices: BTreeMap<_, _> = built_in.collect();
        voices.extend(overrides.iter().map(|(language, voice)| (language.to_ascii_lowercase(), voice.clone())));
        Self(voices)
    }

    /// The voice for a language, by its whole tag or its first part. `None` for a language nobody chose a voice for:
    /// the carrier's own default speaks then.
    pub(super) fn of(&self, language: &str) -> Option<&Voice> {
        let tag = language.to_ascii_lowercase();
        let primary = tag.split('-').next().unwrap_or_default();
        self.0.get(&tag).or_else(|| self.0.get(primary))
    }
}
