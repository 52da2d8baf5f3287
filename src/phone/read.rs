//! Owns reading what people type: which characters count, which prefixes are dropped, and why something is refused.
//! Nothing is guessed: what is called is what was typed, or nothing.

use super::{
    CountryCode, E164, NumberType, emergency,
    plan::{self, Fit},
};

/// Longest text that is looked at, in characters.
const MAX_TEXT: usize = 64;
/// Most digits that are looked at: 15 of E.164 and the longest prefixes in front of them.
const MAX_DIGITS: usize = 24;
/// Most digits of a short code (premium message codes of North America have 6).
const MAX_SHORT_CODE: usize = 6;

/// A number that may be called, as far as its digits tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// The number.
    pub e164: E164,
    /// Where it belongs.
    pub country: CountryCode,
    /// What kind it is.
    pub number_type: NumberType,
}

/// Why a text is no number that may be called. The text itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// National form, no country.
    #[error(
        "the number is not in international form: begin with + and the country's calling code, or give the country"
    )]
    NoCountry,
    /// There are no telephone numbers of this country.
    #[error(
        "there is no numbering plan for the country {0}: give a country by its two letters, as in JP or US (ISO 3166-1)"
    )]
    UnknownCountry(CountryCode),
    /// `+` and digits that begin with no calling code.
    #[error("no country has this calling code: check the digits after the +")]
    UnknownCallingCode,
    /// Letters, or no digits at all.
    #[error("this is not a telephone number: give its digits, with spaces or hyphens if you like")]
    NotANumber,
    /// An extension, or something else to be dialled after answer, stands behind the number.
    #[error("an extension stands behind the number: give the number alone and the rest as `extension`")]
    ExtensionInside,
    /// Not enough digits.
    #[error("the number is too short: give all of it, with its area code")]
    TooShort,
    /// Too many digits.
    #[error("the number is too long: check its digits and the country")]
    TooLong,
    /// No number of that country looks like this.
    #[error("this is no valid number in {country}: check its digits and the country")]
    NotValid {
        /// The country.
        country: CountryCode,
    },
    /// It reaches the police, the fire brigade, an ambulance.
    #[error("emergency numbers are never called: give a person's own number")]
    Emergency,
    /// A short or service code.
    #[error("short numbers and service codes are not called: give a full telephone number with its area code")]
    ShortCode,
    /// Satellite systems and worldwide services.
    #[error(
        "numbers of satellite systems and worldwide services are not called: give a number that belongs to a country"
    )]
    NoCountryOwnsIt,
}

impl NumberError {
    /// The fixed word for programs and for translations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCountry => "no_country",
            Self::UnknownCountry(_) => "unknown_country",
            Self::UnknownCallingCode => "unknown_calling_code",
            Self::NotANumber => "not_a_number",
            Self::ExtensionInside => "extension_inside",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::NotValid { .. } => "not_valid",
            Self::Emergency => "emergency",
            Self::ShortCode => "short_code",
            Self::NoCountryOwnsIt => "no_country_owns_it",
        }
    }

    /// Whether it is something that exists but is not called by us, rather than a mistake in typing.
    #[must_use]
    pub const fn is_not_callable(self) -> bool {
        match self {
            Self::Emergency | Self::ShortCode | Self::NoCountryOwnsIt => true,
            Self::NoCountry
            | Self::UnknownCountry(_)
            | Self::UnknownCallingCode
            | Self::NotANumber
            | Self::ExtensionInside
            | Self::TooShort
            | Self::TooLong
            | Self::NotValid { .. } => false,
        }
    }
}

/// Reads a number in national form (of `default_country`) or in international form: `+`, `00`, or the prefix for calls
/// abroad of `default_country` (010 in Japan, 011 in North America). Spaces, hyphens, brackets, full-width characters
/// and digits of other scripts are understood, a trunk 0 kept in the international form is dropped, and so are Japan's
/// 184 and 186 (withhold, show the caller's number) in front.
///
/// # Errors
/// Why it is no number that may be called.
pub fn read(text: &str, default_country: Option<CountryCode>) -> Result<Number, NumberError> {
    if let Some(country) = default_country
        && !plan::knows(country)
    {
        return Err(NumberError::UnknownCountry(country));
    }
    let typed = Typed::take(text, default_country)?;
    if let Some(country) = default_country
        && !typed.international
    {
        refuse_short(country, &typed.digits)?;
    }
    match typed.fit(default_country)? {
        Fit::Valid(e164, country, number_type) => {
            let national = e164.0.len() - 1 - plan::calling_code(country).map_or(0, |code| code.to_string().len());
            if national <= MAX_SHORT_CODE {
                refuse_emergency(country, e164.0.get(e164.0.len() - national..).unwrap_or_default())?;
            }
            Ok(Number { e164, country, number_type })
        }
        Fit::TooShort(country, national) => {
            if let Some(country) = country {
                refuse_short(country, &national)?;
            }
            Err(NumberError::TooShort)
        }
        Fit::NotValid(country, national) => {
            let country = country.ok_or(NumberError::UnknownCallingCode)?;
            refuse_short(country, &national)?;
            Err(NumberError::NotValid { country })
        }
        Fit::TooLong => Err(NumberError::TooLong),
        Fit::UnknownCallingCode => Err(NumberError::UnknownCallingCode),
        Fit::NoCountry => Err(NumberError::NoCountryOwnsIt),
    }
}

fn refuse_emergency(country: CountryCode, digits: &str) -> Result<(), NumberError> {
    if emergency::is_emergency(country, digits) { Err(NumberError::Emergency) } else { Ok(()) }
}

/// Refuses what is short: an emergency number by that name, the rest unless it is a whole number of a small country.
fn refuse_short(country: CountryCode, digits: &str) -> Result<(), NumberError> {
    if digits.len() > MAX_SHORT_CODE {
        return Ok(());
    }
    refuse_emergency(country, digits)?;
    let whole = matches!(plan::fit(digits, Some(country)), Fit::Valid(..));
    if whole { Ok(()) } else { Err(NumberError::ShortCode) }
}

/// What was typed, reduced to ASCII digits.
#[derive(Debug, Default)]
struct Typed {
    digits: String,
    /// A `+` stood in front; the digits begin with a calling code.
    international: bool,
    /// Where a lone 0 in brackets stands among the digits, as in +44 (0)20.
    bracketed_zero: Option<usize>,
}

impl Typed {
    fn take(text: &str, home: Option<CountryCode>) -> Result<Self, NumberError> {
        let text = text.trim();
        let text = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("tel:")).map_or(text, |_| {
            text.get(4..).unwrap_or_default() // RFC 3966
        });
        if text.chars().count() > MAX_TEXT {
            return Err(if text.chars().all(is_part) { NumberError::TooLong } else { NumberError::NotANumber });
        }
        let mut typed = Self::default();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if let Some(digit) = digit_of(c) {
                typed.digits.push(digit);
            } else if matches!(c, '+' | '＋') {
                typed.begin_international(home)?;
            } else if matches!(c, '(' | '（' | '[' | '［') {
                if begins_with_bracketed_zero(rest.as_str()) {
                    typed.bracketed_zero.get_or_insert(typed.digits.len());
                }
            } else if !is_punctuation(c) {
                return Err(typed.refuse(c, rest.as_str()));
            }
            if typed.digits.len() > MAX_DIGITS {
                return Err(NumberError::TooLong);
            }
        }
        if typed.digits.is_empty() {
            return Err(NumberError::NotANumber);
        }
        typed.drop_japanese_prefix(home);
        Ok(typed)
    }

    /// A `+` counts in front of everything, or behind Japan's 184 and 186.
    fn begin_international(&mut self, home: Option<CountryCode>) -> Result<(), NumberError> {
        let behind_prefix = is_japan(home) && matches!(self.digits.as_str(), "184" | "186");
        if self.international || !(self.digits.is_empty() || behind_prefix) {
            return Err(NumberError::NotANumber);
        }
        self.digits.clear();
        self.international = true;
        Ok(())
    }

    /// Why a character that belongs to no number ends the reading.
    fn refuse(&self, c: char, rest: &str) -> NumberError {
        let key = matches!(c, '*' | '#' | '＊' | '＃');
        if self.digits.is_empty() {
            let code = key && rest.chars().any(|c| digit_of(c).is_some());
            return if code { NumberError::ShortCode } else { NumberError::NotANumber };
        }
        let label: String = std::iter::once(c).chain(rest.chars().take(4)).flat_map(char::to_lowercase).collect();
        let labelled = ["ext", "x", "#", "*", "内線", ";ext", "p", "w", ";", ",", "＃", "＊", "，", "、"]
            .into_iter()
            .any(|start| label.starts_with(start));
        let digits_follow = rest.chars().any(|c| digit_of(c).is_some());
        if labelled && (digits_follow || key) { NumberError::ExtensionInside } else { NumberError::NotANumber }
    }

    /// 184 withholds, 186 shows the caller's number; what is called follows. A number may itself begin with 184 where
    /// its trunk 0 was left out, so only a 0 or an emergency number behind them tells.
    fn drop_japanese_prefix(&mut self, home: Option<CountryCode>) {
        let Some(country) = home.filter(|_| is_japan(home) && !self.international) else { return };
        let behind = self.digits.strip_prefix("184").or_else(|| self.digits.strip_prefix("186"));
        if let Some(behind) = behind
            && (behind.starts_with('0') || emergency::is_emergency(country, behind))
        {
            let dropped = self.digits.len() - behind.len();
            self.digits = behind.to_owned();
            self.bracketed_zero = self.bracketed_zero.map(|at| at.saturating_sub(dropped));
        }
    }

    fn without(&self, at: usize) -> String {
        self.digits.char_indices().filter(|(index, _)| *index != at).map(|(_, digit)| digit).collect()
    }

    /// Fits the digits into a numbering plan, trying what the reading left open in a fixed order.
    fn fit(&self, home: Option<CountryCode>) -> Result<Fit, NumberError> {
        let fit = self.fit_digits(&self.digits, home)?;
        // In front of everything it is the trunk 0 of a national number, which belongs there.
        match self.bracketed_zero.filter(|at| self.international || *at > 0) {
            Some(at) => Ok(choose(fit, self.fit_digits(&self.without(at), home)?)),
            None => Ok(fit),
        }
    }

    fn fit_digits(&self, digits: &str, home: Option<CountryCode>) -> Result<Fit, NumberError> {
        let abroad = |digits: &str| plan::fit(&format!("+{digits}"), home);
        if self.international {
            return Ok(abroad(digits));
        }
        let behind_00 = digits.strip_prefix("00");
        if home.is_none() {
            return behind_00.map(abroad).ok_or(NumberError::NoCountry);
        }
        let fit = plan::fit(digits, home);
        if matches!(fit, Fit::Valid(..)) {
            return Ok(fit);
        }
        Ok(behind_00.map(abroad).filter(|fit| matches!(fit, Fit::Valid(..))).unwrap_or(fit))
    }
}

/// A 0 in brackets is a trunk 0 to be dropped from abroad, but part of the number in a few countries (Italy). Where
/// both readings are numbers, and not the same, nothing is guessed.
fn choose(with: Fit, without: Fit) -> Fit {
    match (&with, &without) {
        (Fit::Valid(one, country, _), Fit::Valid(other, ..)) if one != other => {
            Fit::NotValid(Some(*country), one.0.clone())
        }
        (Fit::Valid(..), _) => with,
        (_, Fit::Valid(..)) => without,
        _ => with,
    }
}

/// Whether what stands behind an opening bracket is a lone 0 and the closing bracket, with spaces or without.
fn begins_with_bracketed_zero(behind: &str) -> bool {
    let mut inside = behind.chars().filter(|c| !c.is_whitespace());
    inside.next().and_then(digit_of) == Some('0') && matches!(inside.next(), Some(')' | '）' | ']' | '］'))
}

fn is_japan(country: Option<CountryCode>) -> bool {
    country.is_some_and(|country| country.0 == *b"JP")
}

fn is_part(c: char) -> bool {
    digit_of(c).is_some() || is_punctuation(c) || matches!(c, '+' | '＋' | '(' | '（')
}

/// The ASCII digit of a decimal digit of the scripts in which people type numbers.
fn digit_of(c: char) -> Option<char> {
    /// First of ten digits in a row (Unicode, general category Nd): full-width, Arabic, Persian, Devanagari, Bengali,
    /// Gurmukhi, Gujarati, Tamil, Telugu, Kannada, Malayalam, Thai, Lao, Tibetan, Myanmar, Khmer.
    const ZEROS: &[u32] = &[
        0x30, 0xff10, 0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20,
        0x1040, 0x17e0,
    ];
    ZEROS
        .iter()
        .find_map(|zero| (c as u32).checked_sub(*zero).filter(|d| *d < 10))
        .and_then(|d| char::from_digit(d, 10))
}

/// What may stand between the digits: spaces, hyphens of all kinds (the Japanese long vowel mark is one on many
/// keyboards), dots, slashes, brackets, and the invisible marks that address books put around numbers.
fn is_punctuation(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '-' | '‐'..='―' | '−' | '－' | 'ー' | 'ｰ' | '─' | '~' | '～' | '〜' | '.' | '．' | '・' | '·' | '/' | '／'
                | ')' | '）' | '[' | ']' | '［' | '］' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}
