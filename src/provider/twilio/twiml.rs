//! Owns saying a script in TwiML (`https://www.twilio.com/docs/voice/twiml`). Texts are text nodes, written by an XML
//! writer: whatever they hold, the elements stay those of the script.

use std::time::Duration;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

use super::voices::{Voice, Voices};
use crate::{
    callflow::{Accept, Gather, Line, Script, Then, apology, apology_language},
    dtmf::Digits,
    provider::Reply,
};

/// How a server wants to be spoken to.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// Who speaks.
    pub(super) voices: Voices,
    /// Speech mark-up inside `Say` is understood.
    pub(super) ssml: bool,
    /// The verb `Pause` is understood.
    pub(super) pause: bool,
    /// Where recordings are, with a `/` at the end.
    pub(super) recordings_url: Option<String>,
    /// Appended to URLs of ours: a fragment that says how to connect to us, or nothing.
    pub(super) fragment: String,
}

impl Style {
    /// A script as a document.
    pub(super) fn script(&self, script: &Script, keys_url: &str) -> Reply {
        let mut twiml = Twiml::new(self, &script.language);
        twiml.lines(&script.before);
        match &script.then {
            Then::Gather(gather) => twiml.gather(gather, &format!("{keys_url}{}", self.fragment)),
            Then::HangUp => twiml.empty("Hangup", &[]),
        }
        twiml.finish()
    }

    /// An apology and the end of the call.
    pub(super) fn apology(&self, language: &str) -> Reply {
        let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let spoken = apology_language(language);
        // The region's own voice, unless that is of another language than the words.
        let mut twiml = Twiml::new(self, if primary(spoken) == primary(language) { language } else { spoken });
        twiml.say(apology(language));
        twiml.empty("Hangup", &[]);
        twiml.finish()
    }
}

/// A document being written. Writing into memory cannot fail, and no event of ours is out of place, so results of the
/// writer are dropped.
struct Twiml<'a> {
    style: &'a Style,
    voice: Option<&'a Voice>,
    writer: Writer<Vec<u8>>,
    /// Bytes that may still be written for lines, by the worst case of each.
    room: usize,
    lines_left: usize,
}

impl<'a> Twiml<'a> {
    fn new(style: &'a Style, language: &str) -> Self {
        let mut writer = Writer::new(Vec::with_capacity(1024));
        drop(writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None))));
        drop(writer.write_event(Event::Start(BytesStart::new("Response"))));
        Self { style, voice: style.voices.of(language), writer, room: MAX_BYTES, lines_left: MAX_LINES }
    }

    fn finish(mut self) -> Reply {
        self.close("Response");
        let body = String::from_utf8(self.writer.into_inner()).unwrap_or_default();
        Reply { status: 200, content_type: "text/xml; charset=utf-8", body }
    }

    fn lines(&mut self, lines: &[Line]) {
        for line in lines {
            if self.lines_left == 0 {
                return;
            }
            self.lines_left -= 1;
            match line {
                Line::Say { text, .. } => self.say(text),
                Line::Play { recording, .. } => self.play(recording),
                Line::SpokenDigits { digits, pause, .. } => self.digits(&digits.0, *pause),
                Line::Pause(pause) => self.pause(*pause),
            }
        }
    }

    /// Asks for keys. `finishOnKey` is empty, so `#` is a key like any other and is reported; the redirect brings silence
    /// to us also from servers that do not report it.
    fn gather(&mut self, gather: &Gather, keys_url: &str) {
        let most = match gather.accept {
            Accept::OneKey => 1,
            Accept::Entry { max, .. } => max,
        };
        self.open(
            "Gather",
            &[
                ("input", "dtmf"),
                ("numDigits", &most.to_string()),
                ("finishOnKey", ""),
                ("timeout", &whole_seconds(gather.wait).to_string()),
                ("actionOnEmptyResult", "true"),
                ("action", keys_url),
                ("method", "POST"),
            ],
        );
        self.lines(&gather.prompt);
        self.close("Gather");
        self.open("Redirect", &[("method", "POST")]);
        self.text(keys_url);
        self.close("Redirect");
    }

    fn say(&mut self, text: &str) {
        let text = self.sayable(text);
        self.open_say();
        self.text(&text);
        self.close("Say");
    }

    fn open_say(&mut self) {
        match self.voice {
            Some(Voice { voice: Some(voice), language }) => {
                self.open("Say", &[("voice", voice), ("language", language)])
            }
            Some(Voice { voice: None, language }) => self.open("Say", &[("language", language)]),
            None => self.open("Say", &[]),
        }
    }

    fn digits(&mut self, digits: &Digits, pause: Duration) {
        if !self.style.ssml {
            let spoken: Vec<String> = digits.iter().map(|digit| digit.as_char().to_string()).collect();
            return self.say(&spoken.join(", "));
        }
        if !self.take(digits.len() * BYTES_A_DIGIT) {
            return;
        }
        self.open_say();
        for (index, digit) in digits.iter().enumerate() {
            if index > 0 {
                self.empty("break", &[("time", &format!("{}ms", pause.as_millis().min(MAX_BREAK.as_millis())))]);
            }
            self.open("say-as", &[("interpret-as", "digits")]);
            self.text(&digit.as_char().to_string());
            self.close("say-as");
        }
        self.close("Say");
    }

    fn play(&mut self, recording: &str) {
        let Some(folder) = &self.style.recordings_url else { return };
        let name: String = url::form_urlencoded::byte_serialize(recording.as_bytes()).collect();
        let url = format!("{folder}{}", name.replace('+', "%20"));
        if !self.take(url.len() * BYTES_A_CHAR) {
            return;
        }
        self.open("Play", &[]);
        self.text(&url);
        self.close("Play");
    }

    fn pause(&mut self, pause: Duration) {
        if self.style.pause {
            self.empty("Pause", &[("length", &whole_seconds(pause).to_string())]);
        }
    }

    /// The text as far as it may be spoken, without characters that XML 1.0 cannot hold.
    fn sayable(&mut self, text: &str) -> String {
        let most = MAX_CHARS_SAID.min(self.room / BYTES_A_CHAR);
        let text: String = text.chars().take(most).map(|c| if is_xml(c) { c } else { ' ' }).collect();
        self.room -= text.chars().count() * BYTES_A_CHAR;
        text
    }

    /// Takes room for something that cannot be cut short; false when there is not enough.
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let element = BytesStart::new(name).with_attributes(attributes.iter().copied());
        drop(self.writer.write_event(Event::Start(element)));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let element = BytesStart::new(name).with_attributes(attributes.iter().copied());
        drop(self.writer.write_event(Event::Empty(element)));
    }

    fn text(&mut self, text: &str) {
        drop(self.writer.write_event(Event::Text(BytesText::new(text))));
    }

    fn close(&mut self, name: &str) {
        drop(self.writer.write_event(Event::End(BytesEnd::new(name))));
    }
}

/// The answer to a webhook that asks for nothing.
pub(super) fn nothing() -> Reply {
    Reply { status: 204, content_type: "", body: String::new() }
}

/// XML 1.0 §2.2.
const fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Seconds, rounded up, one at least: TwiML knows no parts of a second.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).clamp(1, MAX_SECONDS)
}

/// Most characters of one `Say`, by Twilio's limit.
const MAX_CHARS_SAID: usize = 4096;
/// Most bytes of what lines hold: with the elements around them they stay below Twilio's 64 kB.
const MAX_BYTES: usize = 48 * 1024;
/// Most lines of a document.
const MAX_LINES: usize = 64;
/// What a character takes at most, once escaped.
const BYTES_A_CHAR: usize = 6;
/// What a spoken digit takes at most, with its elements.
const BYTES_A_DIGIT: usize = 80;
/// Longest wait that is asked for, in seconds.
const MAX_SECONDS: u64 = 120;
/// Longest break inside spoken text, by the limit of the speech engines.
const MAX_BREAK: Duration = Duration::from_secs(10);
