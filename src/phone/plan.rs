//! Owns the numbering plans: everything that is asked of the port of libphonenumber is asked here, in our types.
//! It does not know what people type.

use std::sync::LazyLock;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region,
    ValidationError,
};

use super::{CountryCode, E164, NumberType};

/// How digits fit into the numbering plan of their country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    /// A number that may exist.
    Valid(E164, CountryCode, NumberType),
    /// Fewer digits than any number of that country has.
    TooShort(Option<CountryCode>, String),
    /// More digits than any number of that country has.
    TooLong,
    /// The length is right, the digits are not.
    NotValid(Option<CountryCode>, String),
    /// The calling code belongs to nobody.
    UnknownCallingCode,
    /// A number of a satellite system or a worldwide service.
    NoCountry,
}

/// Whether there is a numbering plan of this country.
pub(super) fn knows(country: CountryCode) -> bool {
    calling_code(country).is_some()
}

/// The calling code of a country, without `+`.
#[must_use]
pub fn calling_code(country: CountryCode) -> Option<u16> {
    let code = PHONE_NUMBER_UTIL.get_country_code_for_region(region(country)?)?;
    u16::try_from(code).ok()
}

/// All countries and territories that have telephone numbers, with their calling codes, in order of their letters.
#[must_use]
pub fn countries() -> &'static [(CountryCode, u16)] {
    static COUNTRIES: LazyLock<Vec<(CountryCode, u16)>> = LazyLock::new(|| {
        let regions = PHONE_NUMBER_UTIL.get_supported_regions().filter_map(country);
        let mut all: Vec<_> = regions.filter_map(|country| Some((country, calling_code(country)?))).collect();
        all.sort_unstable();
        all
    });
    &COUNTRIES
}

/// Fits ASCII digits, with `+` in front where they are international, into a numbering plan. `home` is the country
/// from which they would be dialled.
pub(super) fn fit(text: &str, home: Option<CountryCode>) -> Fit {
    let number = match PHONE_NUMBER_UTIL.parse(text, home.and_then(region)) {
        Ok(number) => number,
        Err(ParseError::InvalidCountryCode) => return Fit::UnknownCallingCode,
        Err(ParseError::TooLongNsn) => return Fit::TooLong,
        Err(ParseError::TooShortAfterIdd | ParseError::TooShortNsn | ParseError::NotANumber(_)) => {
            return Fit::TooShort(home, text.trim_start_matches('+').to_owned());
        }
    };
    let owner = PHONE_NUMBER_UTIL.get_region_for_number(&number);
    if owner == Some(Region::World) {
        return Fit::NoCountry;
    }
    if let Some(country) = owner.and_then(country)
        && PHONE_NUMBER_UTIL.is_valid_number(&number)
    {
        let digits = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
        return match digits.parse() {
            Ok(e164) => Fit::Valid(e164, country, kind(PHONE_NUMBER_UTIL.get_number_type(&number))),
            Err(_) => Fit::TooLong,
        };
    }
    let national = rlibphonenumber::get_national_significant_number_owned(&number);
    let country = main_country(&number, home);
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
        Ok(NumberLengthType::IsPossibleLocalOnly) | Err(ValidationError::TooShort) => Fit::TooShort(country, national),
        Err(ValidationError::TooLong) => Fit::TooLong,
        Err(ValidationError::InvalidCountryCode) => Fit::UnknownCallingCode,
        Ok(NumberLengthType::IsPossible) | Err(ValidationError::InvalidLength) => Fit::NotValid(country, national),
    }
}

/// The country meant by a number that is not valid: home, where the calling code is its own, else the first that has
/// the calling code.
fn main_country(number: &PhoneNumber, home: Option<CountryCode>) -> Option<CountryCode> {
    let of_home = home.filter(|&home| calling_code(home).map(i32::from) == Some(number.country_code));
    of_home.or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code).and_then(country))
}

pub(super) fn country_of(number: &E164) -> Option<CountryCode> {
    PHONE_NUMBER_UTIL.get_region_for_number(&parsed(number)?).and_then(country)
}

pub(super) fn national(number: &E164) -> Option<String> {
    format(number, PhoneNumberFormat::National)
}

pub(super) fn international(number: &E164) -> Option<String> {
    format(number, PhoneNumberFormat::International)
}

/// The international form of a number as it stands, for showing parts of it: not read again as something that a person
/// typed, which costs several times as much and comes to the same for every number that is valid.
pub(super) fn grouped(number: &E164) -> Option<String> {
    Some(PHONE_NUMBER_UTIL.format(&split(number)?, PhoneNumberFormat::International).into_owned())
}

/// `+`, calling code and the first national digits, as many as leave enough out.
pub(super) fn prefix(number: &E164) -> Option<String> {
    let code = split(number)?.country_code.to_string();
    let (begin, national) = number.expose().split_at_checked(1 + code.len())?;
    let shown = national.len().saturating_sub(PREFIX_LEAVES_OUT).min(PREFIX_DIGITS);
    Some([begin, national.get(..shown)?].concat())
}

/// Calling code and national digits. No calling code is the beginning of another one.
fn split(number: &E164) -> Option<PhoneNumber> {
    let digits = number.expose().strip_prefix('+')?;
    (1..=LONGEST_CALLING_CODE).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        let country_code = code.parse().ok()?;
        PHONE_NUMBER_UTIL.get_region_for_country_code(country_code)?;
        let zeros = national.bytes().take_while(|digit| *digit == b'0').count().min(national.len().checked_sub(1)?);
        Some(PhoneNumber {
            country_code,
            national_number: national.parse().ok()?,
            italian_leading_zero: (zeros > 0).then_some(true),
            number_of_leading_zeros: (zeros > 1).then(|| i32::try_from(zeros)).transpose().ok()?,
            ..PhoneNumber::default()
        })
    })
}

fn format(number: &E164, format: PhoneNumberFormat) -> Option<String> {
    Some(PHONE_NUMBER_UTIL.format(&parsed(number)?, format).into_owned())
}

fn parsed(number: &E164) -> Option<PhoneNumber> {
    PHONE_NUMBER_UTIL.parse(number.expose(), None).ok()
}

fn region(country: CountryCode) -> Option<Region> {
    Region::from_code(&country.to_string()).ok()
}

fn country(region: Region) -> Option<CountryCode> {
    region.as_region_str().parse().ok()
}

/// Digits of the longest calling codes.
/// National digits of a prefix at most, and how many more there must be.
const PREFIX_DIGITS: usize = 3;
const PREFIX_LEAVES_OUT: usize = 4;
const LONGEST_CALLING_CODE: usize = 3;

const fn kind(of: PhoneNumberType) -> NumberType {
    match of {
        PhoneNumberType::FixedLine => NumberType::FixedLine,
        PhoneNumberType::Mobile => NumberType::Mobile,
        PhoneNumberType::FixedLineOrMobile => NumberType::FixedLineOrMobile,
        PhoneNumberType::TollFree => NumberType::TollFree,
        PhoneNumberType::PremiumRate => NumberType::PremiumRate,
        PhoneNumberType::SharedCost => NumberType::SharedCost,
        PhoneNumberType::VoIP => NumberType::Voip,
        PhoneNumberType::PersonalNumber => NumberType::PersonalNumber,
        PhoneNumberType::Pager => NumberType::Pager,
        PhoneNumberType::UAN => NumberType::Uan,
        PhoneNumberType::VoiceMail => NumberType::Voicemail,
        PhoneNumberType::Unknown => NumberType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_there_is_what_would_be_read() {
        let kinds = [
            PhoneNumberType::FixedLine,
            PhoneNumberType::Mobile,
            PhoneNumberType::TollFree,
            PhoneNumberType::PremiumRate,
            PhoneNumberType::SharedCost,
            PhoneNumberType::VoIP,
            PhoneNumberType::PersonalNumber,
            PhoneNumberType::Pager,
            PhoneNumberType::UAN,
        ];
        let mut compared = 0;
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            for kind in kinds {
                let Ok(example) = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind) else {
                    continue;
                };
                // Some services have numbers too short for ours.
                let Ok(number) = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::E164).parse::<E164>() else {
                    continue;
                };
                assert_eq!(grouped(&number), international(&number), "{}", number.expose());
                compared += 1;
            }
        }
        assert!(compared > 800, "{compared}");
    }
}
