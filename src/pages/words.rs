//! Owns how pages speak to people: the language and colours of a browser, and the texts in that language.

use crate::{phone::CountryCode, texts, time::Timestamp};

/// The texts of one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    /// The language (BCP 47), one of [`texts::page_languages`].
    pub(crate) language: &'static str,
}

/// The colours of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the device has it.
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == word)
    }
}

impl Words {
    /// The language that an `Accept-Language` header, or a tag, asks for.
    pub(crate) fn of(accept_language: &str) -> Self {
        Self { language: texts::page_language(accept_language) }
    }

    /// A text without slots.
    pub(crate) fn t(&self, id: &str) -> String {
        texts::page(self.language, id, &[])
    }

    /// A text with one slot.
    pub(crate) fn with(&self, id: &str, slot: &str, value: &str) -> String {
        texts::page(self.language, id, &[(slot, value)])
    }

    /// The name of a country.
    pub(crate) fn country(&self, code: CountryCode) -> String {
        texts::country(self.language, &code.to_string())
    }

    /// The language in which the callee is spoken to.
    pub(crate) fn call_locale(&self) -> &'static str {
        if self.language == "ja" { "ja-JP" } else { "en-US" }
    }

    /// A day, as people write it. In the time zone of the machine that runs the demo: the reader sits at it.
    pub(crate) fn day(&self, at: Timestamp) -> String {
        self.format(at, if self.language == "ja" { "%Y年%-m月%-d日" } else { "%-d %B %Y" })
    }

    /// A time of the day.
    pub(crate) fn time(&self, at: Timestamp) -> String {
        self.format(at, "%H:%M")
    }

    /// A time of today, or else with its day.
    pub(crate) fn moment(&self, at: Timestamp, now: Timestamp) -> String {
        let day = if self.language == "ja" { "%-m月%-d日" } else { "%-d %b" };
        let time = self.format(at, "%H:%M:%S");
        if self.format(at, "%F") == self.format(now, "%F") { time } else { format!("{} {time}", self.format(at, day)) }
    }

    fn format(&self, at: Timestamp, format: &str) -> String {
        let ms = i64::try_from(at.as_ms()).unwrap_or_default();
        let zoned = jiff::Timestamp::from_millisecond(ms).map(|at| at.to_zoned_datetime(jiff::tz::TimeZone::system()));
        zoned.map(|zoned| zoned.strftime(format).to_string()).unwrap_or_default()
    }
}
