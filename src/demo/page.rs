//! Owns what all pages of the demo have in common: head, switches, telephone, timeline, the texts that scripts need.

use serde_json::{Map, Value};

use super::{
    Demo,
    session::{Session, State},
};
use crate::{
    outcome::Stage,
    pages::{Theme, Words, icon},
    phone::E164,
    provider::simulator::{Caption, CaptionKind, Ending, Mood, Phase, View},
    texts,
};

/// What the layout shows round the part that a page brings.
pub(super) struct Page {
    pub(super) brand: String,
    pub(super) words: Words,
    pub(super) theme: Theme,
    pub(super) title: String,
    /// Which place of the menu is lit.
    pub(super) place: &'static str,
    /// Where a switch comes back to.
    pub(super) path: &'static str,
    pub(super) notice: Option<String>,
    /// Whether the page loads itself again where there are no scripts.
    pub(super) reloads: bool,
    pub(super) watched: Option<Watched>,
    pub(super) telephone: PhonePanel,
    /// Where the telephone is that rings instead of the one on the page.
    pub(super) softphone: Option<String>,
}

/// The verification whose timeline is shown.
pub(super) struct Watched {
    pub(super) verification: String,
    pub(super) view_token: String,
}

/// The telephone as it stands when the page is made.
pub(super) struct PhonePanel {
    pub(super) phase: &'static str,
    pub(super) state: String,
    pub(super) from: String,
    pub(super) note: String,
    pub(super) captions: Vec<CaptionRow>,
    pub(super) mood: Mood,
}

/// One line of what is heard.
pub(super) struct CaptionRow {
    pub(super) kind: &'static str,
    pub(super) language: String,
    pub(super) text: String,
}

/// One key of the keypad.
pub(super) struct Key {
    pub(super) digit: &'static str,
    pub(super) letters: &'static str,
    /// Text id of how it is read out, where its character is read in many ways.
    pub(super) spoken: &'static str,
}

/// The keys as they lie on a telephone (ITU-T E.161).
const KEYS: [(&str, &str, &str); 12] = [
    ("1", "", ""),
    ("2", "ABC", ""),
    ("3", "DEF", ""),
    ("4", "GHI", ""),
    ("5", "JKL", ""),
    ("6", "MNO", ""),
    ("7", "PQRS", ""),
    ("8", "TUV", ""),
    ("9", "WXYZ", ""),
    ("*", "", "telephone-key-star"),
    ("0", "+", ""),
    ("#", "", "telephone-key-pound"),
];

/// What the menu of the telephone offers.
const MOODS: [Mood; 13] = [
    Mood::ByHand,
    Mood::Agrees,
    Mood::DoesNotAnswer,
    Mood::Busy,
    Mood::Declines,
    Mood::Mailbox,
    Mood::Reports,
    Mood::WrongKeys,
    Mood::Silent,
    Mood::HangsUpAtOnce,
    Mood::HangsUpAfterPrompt,
    Mood::Unreachable,
    Mood::NotInUse,
];

/// Texts that scripts put in.
const SCRIPT_TEXTS: &[&str] = &[
    "telephone-idle",
    "telephone-idle-lead",
    "telephone-incoming",
    "telephone-in-call",
    "telephone-missed",
    "telephone-declined",
    "telephone-hung_up",
    "telephone-caller_hung_up",
    "telephone-never_rang",
    "calling-again",
    "calling-again-now",
    "phone-country-search",
    "phone-country-none",
    "phone-next",
];

/// Texts that scripts put in, with a slot that they fill.
const SCRIPT_SLOTS: &[(&str, &str)] = &[
    ("calling-again-after", "seconds"),
    ("calling-again-in", "seconds"),
    ("phone-country-count", "count"),
    ("telephone-pressed", "key"),
    ("timeline-call", "number"),
    ("seconds", "seconds"),
];

/// Types of events, and with their detail; the longer one is looked up first.
const EVENTS: &[&str] = &[
    "verification-pending",
    "call-queued",
    "call-dialing",
    "call-not_placed",
    "call-ringing",
    "call-answered",
    "call-prompted",
    "call-entry",
    "call-entry-pound",
    "call-entry-star",
    "call-entry-zero",
    "call-entry-right_code",
    "call-entry-wrong_code",
    "call-entry-unterminated",
    "call-entry-other",
    "call-entry-silence",
    "call-entry-too_early",
    "call-code_spoken",
    "call-ended",
    "call-ended-busy",
    "call-ended-no_answer",
    "call-ended-rejected",
    "call-ended-unreachable",
    "call-ended-invalid_number",
    "call-ended-canceled",
    "call-ended-carrier_error",
    "call-ended-blocked",
    "call-block_requested",
    "verification-redial_requested",
    "verification-wrong_code",
    "verification-verified",
    "verification-failed",
    "verification-denied",
    "verification-expired",
    "verification-canceled",
];

impl Page {
    /// A page for a browser. `title` is the id of a text.
    pub(super) fn new(demo: &Demo, session: &Session, title: &str, place: &'static str, path: &'static str) -> Self {
        let mut state = session.state();
        let notice = state.notice.take();
        let State { words, theme, ref attempt, .. } = *state;
        let watched = attempt.as_ref().map(|attempt| Watched {
            verification: attempt.verification.to_string(),
            view_token: attempt.view_token.clone(),
        });
        drop(state);
        let view = session.telephone.watch().borrow().clone();
        Self {
            brand: demo.brand.clone(),
            words,
            theme,
            title: words.t(title),
            place,
            path,
            notice: notice.map(|id| words.t(id)),
            reloads: false,
            watched,
            telephone: PhonePanel::new(words, &view, session.telephone.mood()),
            softphone: demo.rings.softphone().map(str::to_owned),
        }
    }

    pub(super) fn t(&self, id: &str) -> String {
        self.words.t(id)
    }

    /// A drawing, as mark-up.
    #[expect(clippy::unused_self, reason = "templates reach functions through the page")]
    pub(super) fn icon(&self, name: &str) -> &'static str {
        icon(name)
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through the page")]
    pub(super) fn languages(&self) -> Vec<Words> {
        texts::page_languages().map(|language| Words { language }).collect()
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through the page")]
    pub(super) const fn themes(&self) -> [Theme; 3] {
        Theme::ALL
    }

    /// The texts for scripts as JSON that can stand inside a `script` element.
    pub(super) fn script_texts(&self) -> String {
        let mut all = Map::new();
        for id in SCRIPT_TEXTS {
            all.insert((*id).to_owned(), Value::from(self.t(id)));
        }
        for (id, slot) in SCRIPT_SLOTS {
            all.insert((*id).to_owned(), Value::from(self.words.with(id, slot, &format!("{{{slot}}}"))));
        }
        for stage in Stage::ALL {
            let id = format!("say-{stage}");
            all.insert(id.clone(), Value::from(self.t(&id)));
        }
        for event in EVENTS {
            let id = format!("event-{event}");
            all.insert(id.clone(), Value::from(self.t(&id)));
        }
        Value::Object(all).to_string().replace('<', "\\u003c")
    }
}

impl PhonePanel {
    fn new(words: Words, view: &View, mood: Mood) -> Self {
        let (phase, state) = match view.phase {
            Phase::Idle => ("idle", words.t("telephone-idle")),
            Phase::Ringing => ("ringing", words.t("telephone-incoming")),
            Phase::Talking => ("talking", words.t("telephone-in-call")),
        };
        let from = view.from.as_ref().map(|from| shown_to(from, view.to.as_ref())).unwrap_or_default();
        let note = match (view.phase, view.ending) {
            (Phase::Idle, Some(ending)) => words.t(&format!("telephone-{}", ending_word(ending))),
            (Phase::Idle, None) => words.t("telephone-idle-lead"),
            (Phase::Ringing | Phase::Talking, _) => String::new(),
        };
        Self { phase, state, from, note, captions: view.captions.iter().map(caption_row).collect(), mood }
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through the panel")]
    pub(super) fn keys(&self) -> Vec<Key> {
        KEYS.iter().map(|(digit, letters, spoken)| Key { digit, letters, spoken }).collect()
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through the panel")]
    pub(super) const fn moods(&self) -> [Mood; 13] {
        MOODS
    }
}

fn caption_row(caption: &Caption) -> CaptionRow {
    let kind = match caption.kind {
        CaptionKind::Said => "said",
        CaptionKind::Played => "played",
        CaptionKind::Digits => "digits",
        CaptionKind::Key => "key",
    };
    CaptionRow { kind, language: caption.language.clone(), text: caption.text.clone() }
}

const fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Missed => "missed",
        Ending::Declined => "declined",
        Ending::HungUp => "hung_up",
        Ending::CallerHungUp => "caller_hung_up",
        Ending::NeverRang => "never_rang",
    }
}

/// A number as its reader writes it: in the national form inside one country, else in the international one.
pub(super) fn shown_to(number: &E164, reader: Option<&E164>) -> String {
    if reader.is_some_and(|reader| number.country().is_some() && reader.country() == number.country()) {
        number.format_national()
    } else {
        number.format_international()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text that is missing is shown as its id.
    #[test]
    fn every_text_of_scripts_and_moods_is_in_the_catalogue() {
        for language in texts::page_languages() {
            let words = Words { language };
            let stages = Stage::ALL.iter().map(|stage| format!("say-{stage}"));
            let ids = SCRIPT_TEXTS.iter().map(|id| (*id).to_owned());
            let events = EVENTS.iter().map(|event| format!("event-{event}"));
            let moods = MOODS.iter().map(|mood| format!("mood-{}", mood.as_str()));
            for id in ids.chain(stages).chain(events).chain(moods) {
                assert_ne!(words.t(&id), id, "{language}");
            }
            for (id, slot) in SCRIPT_SLOTS {
                assert!(words.with(id, slot, "{slot}").contains("{slot}"), "{language}: {id} has no slot {slot}");
            }
        }
    }
}
