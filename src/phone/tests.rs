//! Reading, refusing and masking, over the numbering plans of all countries.

use proptest::prelude::*;

use super::*;

fn country(code: &str) -> Option<CountryCode> {
    (!code.is_empty()).then(|| code.parse().unwrap())
}

fn ok(text: &str, home: &str) -> Number {
    read(text, country(home)).unwrap_or_else(|error| panic!("{text} in {home}: {error}"))
}

fn err(text: &str, home: &str) -> NumberError {
    match read(text, country(home)) {
        Err(error) => error,
        Ok(number) => panic!("{text} in {home} was read as a number of {}", number.country),
    }
}

#[test]
fn forms_of_one_number() {
    for (text, home) in [
        ("090-1234-5678", "JP"),
        ("09012345678", "JP"),
        ("９０　１２３４　５６７８", "JP"),
        ("０９０ー１２３４ー５６７８", "JP"),
        ("０９０（１２３４）５６７８", "JP"),
        ("90-1234-5678", "JP"),
        ("184-090-1234-5678", "JP"),
        ("18609012345678", "JP"),
        ("184+81 90 1234 5678", "JP"),
        ("184 010 81 90 1234 5678", "JP"),
        ("010-81-90-1234-5678", "JP"),
        ("0081 90 1234 5678", "JP"),
        ("0081 90 1234 5678", "DE"),
        ("0081 90 1234 5678", ""),
        ("011 81 90 1234 5678", "US"),
        ("011819012345678", "CA"),
        ("+81 90-1234-5678", ""),
        ("+81 90-1234-5678", "US"),
        ("+81 (0)90-1234-5678", "GB"),
        ("+81 090 1234 5678", ""),
        ("＋８１　９０　１２３４　５６７８", ""),
        ("+٨١ ٩٠ ١٢٣٤ ٥٦٧٨", ""),
        ("tel:+81-90-1234-5678", ""),
        ("\u{202a}+81 90 1234 5678\u{202c}", ""),
        ("  090 1234 5678\t", "JP"),
        ("[090] 1234.5678", "JP"),
    ] {
        let number = ok(text, home);
        assert_eq!(
            (number.e164.expose(), number.country.to_string().as_str(), number.number_type),
            ("+819012345678", "JP", NumberType::Mobile),
            "{text} in {home}"
        );
    }
}

#[test]
fn kinds_of_numbers() {
    for (text, home, e164, of, kind) in [
        ("070-1234-5678", "JP", "+817012345678", "JP", NumberType::Mobile),
        ("080-1234-5678", "JP", "+818012345678", "JP", NumberType::Mobile),
        ("050-1234-5678", "JP", "+815012345678", "JP", NumberType::Voip),
        ("03-1234-5678", "JP", "+81312345678", "JP", NumberType::FixedLine),
        ("0184-22-1234", "JP", "+81184221234", "JP", NumberType::FixedLine),
        ("184-22-1234", "JP", "+81184221234", "JP", NumberType::FixedLine),
        ("0120-123-456", "JP", "+81120123456", "JP", NumberType::TollFree),
        ("0990-123-456", "JP", "+81990123456", "JP", NumberType::PremiumRate),
        ("(201) 555-0123", "US", "+12015550123", "US", NumberType::FixedLineOrMobile),
        ("1-201-555-0123", "US", "+12015550123", "US", NumberType::FixedLineOrMobile),
        ("506 234 5678", "US", "+15062345678", "CA", NumberType::FixedLineOrMobile),
        ("1 800 234 5678", "US", "+18002345678", "US", NumberType::TollFree),
        ("900 234 5678", "US", "+19002345678", "US", NumberType::PremiumRate),
        ("020 7946 0958", "GB", "+442079460958", "GB", NumberType::FixedLine),
        ("+44 (0)7400 123456", "", "+447400123456", "GB", NumberType::Mobile),
        ("070 1234 5678", "GB", "+447012345678", "GB", NumberType::PersonalNumber),
        ("+49 (0)30 123456", "", "+4930123456", "DE", NumberType::FixedLine),
        ("+34 (0)612 34 56 78", "", "+34612345678", "ES", NumberType::Mobile),
        ("+49(0)30 123456", "", "+4930123456", "DE", NumberType::FixedLine),
        ("+44 ( 0 ) 20 7946 0958", "", "+442079460958", "GB", NumberType::FixedLine),
        ("+44 [0]20 7946 0958", "", "+442079460958", "GB", NumberType::FixedLine),
        ("+44 （０）20 7946 0958", "", "+442079460958", "GB", NumberType::FixedLine),
        ("0044 (0)20 7946 0958", "DE", "+442079460958", "GB", NumberType::FixedLine),
        ("0044 (0)20 7946 0958", "", "+442079460958", "GB", NumberType::FixedLine),
        ("011 44 (0)20 7946 0958", "US", "+442079460958", "GB", NumberType::FixedLine),
        ("010 34 (0)612 34 56 78", "JP", "+34612345678", "ES", NumberType::Mobile),
        ("0034 (0)612 34 56 78", "", "+34612345678", "ES", NumberType::Mobile),
        ("+33 (0)6 12 34 56 78", "", "+33612345678", "FR", NumberType::Mobile),
        ("+31 (0)6 12345678", "", "+31612345678", "NL", NumberType::Mobile),
        ("+41 (0)44 668 18 00", "", "+41446681800", "CH", NumberType::FixedLine),
        ("+43 (0)1 51444", "", "+43151444", "AT", NumberType::FixedLine),
        ("+46 (0)8 123 456 78", "", "+46812345678", "SE", NumberType::FixedLine),
        ("+61 (0)412 345 678", "", "+61412345678", "AU", NumberType::Mobile),
        ("+81 (0)3-1234-5678", "", "+81312345678", "JP", NumberType::FixedLine),
        ("+39 (0)30 123456", "", "+39030123456", "IT", NumberType::FixedLine),
        ("+39 (0)2 1234 5678", "", "+390212345678", "IT", NumberType::FixedLine),
        ("0039 (0)6 1234 5678", "DE", "+390612345678", "IT", NumberType::FixedLine),
        ("06 1234 5678", "IT", "+390612345678", "IT", NumberType::FixedLine),
        ("+39 (0)6 1234 5678", "", "+390612345678", "IT", NumberType::FixedLine),
        ("030 123456", "DE", "+4930123456", "DE", NumberType::FixedLine),
        ("+39 06 1234 5678", "", "+390612345678", "IT", NumberType::FixedLine),
        ("+39 312 345 6789", "", "+393123456789", "IT", NumberType::Mobile),
        ("8 (912) 345-67-89", "RU", "+79123456789", "RU", NumberType::Mobile),
        ("8 701 234 5678", "KZ", "+77012345678", "KZ", NumberType::Mobile),
        ("06 12 34 56 78", "FR", "+33612345678", "FR", NumberType::Mobile),
        ("0820 12 34 56", "AT", "+43820123456", "AT", NumberType::SharedCost),
        ("010-2000-0000", "KR", "+821020000000", "KR", NumberType::Mobile),
        ("138 0013 8000", "CN", "+8613800138000", "CN", NumberType::Mobile),
        ("11 96123-4567", "BR", "+5511961234567", "BR", NumberType::Mobile),
        ("081234 56789", "IN", "+918123456789", "IN", NumberType::Mobile),
        ("612 34 56 78", "ES", "+34612345678", "ES", NumberType::Mobile),
        ("+683 4002", "", "+6834002", "NU", NumberType::FixedLine),
    ] {
        let number = ok(text, home);
        assert_eq!(
            (number.e164.expose(), number.country.to_string().as_str(), number.number_type),
            (e164, of, kind),
            "{text} in {home}"
        );
    }
}

/// Italy's 0 is part of the number of a landline, and no mobile number has one: where both may exist, who was meant is
/// not guessed.
#[test]
fn a_bracketed_zero_that_makes_two_numbers_is_refused() {
    for text in ["+39 (0)312 345 6789", "+39 (0)331 123 456"] {
        assert_eq!(err(text, ""), NumberError::NotValid { country: "IT".parse().unwrap() }, "{text}");
    }
    for (text, e164) in [("+39 0331 123 456", "+390331123456"), ("+39 312 345 6789", "+393123456789")] {
        assert_eq!(ok(text, "").e164.expose(), e164);
    }
}

#[test]
fn emergency_and_short_codes_are_refused_by_name() {
    for (text, home) in [
        ("110", "JP"),
        ("118", "JP"),
        ("119", "JP"),
        ("１１９", "JP"),
        ("184-110", "JP"),
        ("186 119", "JP"),
        ("+81 110", ""),
        ("+81 (0)119", ""),
        ("112", "JP"),
        ("911", "US"),
        ("+1 911", ""),
        ("112", "DE"),
        ("999", "GB"),
        ("+44 999", ""),
        ("000", "AU"),
        ("15", "FR"),
        ("17", "FR"),
        ("102", "UA"),
        ("190", "BR"),
        ("911", "JP"),
    ] {
        assert_eq!(err(text, home), NumberError::Emergency, "{text} in {home}");
        assert!(err(text, home).is_not_callable());
    }
    for (text, home) in [
        ("104", "JP"),
        ("117", "JP"),
        ("171", "JP"),
        ("#9110", "JP"),
        ("＃７１１９", "JP"),
        ("*67 201 555 0123", "US"),
        ("411", "US"),
        ("12345", "US"),
        ("116117", "DE"),
        ("+49 11833", ""),
        ("*#06#", ""),
    ] {
        assert_eq!(err(text, home), NumberError::ShortCode, "{text} in {home}");
    }
    for text in ["+870 773 111 632", "+881 612 345 678", "+800 1234 5678", "+979 123 456 789"] {
        assert_eq!(err(text, "JP"), NumberError::NoCountryOwnsIt, "{text}");
    }
}

#[test]
fn mistakes_are_told_apart() {
    let jp = "JP".parse().unwrap();
    for (text, home, error) in [
        ("090-1234-5678", "", NumberError::NoCountry),
        ("011 81 90 1234 5678", "", NumberError::NoCountry),
        ("090-1234-5678", "ZZ", NumberError::UnknownCountry("ZZ".parse().unwrap())),
        ("+999 1234 5678", "", NumberError::UnknownCallingCode),
        ("", "JP", NumberError::NotANumber),
        ("+", "JP", NumberError::NotANumber),
        ("hello", "JP", NumberError::NotANumber),
        ("1-800-FLOWERS", "US", NumberError::NotANumber),
        ("090 1234 ５67八", "JP", NumberError::NotANumber),
        ("090+1234+5678", "JP", NumberError::NotANumber),
        ("+81+9012345678", "JP", NumberError::NotANumber),
        ("1234-5678", "JP", NumberError::NotValid { country: jp }),
        ("234-5678", "US", NumberError::TooShort),
        ("+81 90 1234 567", "", NumberError::NotValid { country: jp }),
        ("090-1234-56789", "JP", NumberError::NotValid { country: jp }),
        ("201-555-01234", "US", NumberError::TooLong),
        ("+81 90 1234 5678 9012 3456", "", NumberError::TooLong),
        (&"9".repeat(200), "JP", NumberError::TooLong),
        (&"x".repeat(200), "JP", NumberError::NotANumber),
        ("555 123 4567", "US", NumberError::NotValid { country: "US".parse().unwrap() }),
        ("+81 90 0234 5678", "US", NumberError::NotValid { country: jp }),
        ("03-1234-5678 x12", "JP", NumberError::ExtensionInside),
        ("03-1234-5678 ext. 12", "JP", NumberError::ExtensionInside),
        ("03-1234-5678 内線 12", "JP", NumberError::ExtensionInside),
        ("03-1234-5678,,12#", "JP", NumberError::ExtensionInside),
        ("03-1234-5678#12", "JP", NumberError::ExtensionInside),
        ("tel:+81-3-1234-5678;ext=12", "", NumberError::ExtensionInside),
        ("+81-3-1234-5678;phone-context=example.com", "", NumberError::NotANumber),
    ] {
        assert_eq!(err(text, home), error, "{text} in {home}");
        if text.len() > 4 {
            assert!(!error.to_string().contains(text), "{error}");
        }
        assert!(!error.to_string().is_empty() && !error.as_str().is_empty());
    }
}

#[test]
fn the_mask_keeps_groups_and_hides_the_rest() {
    for (number, masked) in [
        ("+819012345678", "+81 •• •••• 5678"),
        ("+81312345678", "+81 • •••• 5678"),
        ("+12015550123", "+1 ••• ••• 0123"),
        ("+33612345678", "+33 • •• •• 56 78"),
        ("+442079460958", "+44 •• •••• 0958"),
        ("+6834002", "+683 ••02"),
        ("+999123456789", "+•••••••• 6789"),
    ] {
        let number: E164 = number.parse().unwrap();
        let shown = number.to_string();
        let plain = |text: &str| text.replace(' ', "");
        assert_eq!(plain(&shown), plain(masked));
        assert_eq!(format!("{number:?}"), shown);
        if number.country().is_some() {
            assert_eq!(shown, masked);
        }
    }
}

#[test]
fn shown_in_full_only_when_asked() {
    let number = ok("090-1234-5678", "JP").e164;
    assert_eq!(number.country(), country("JP"));
    assert_eq!(number.format_national(), "090-1234-5678");
    assert_eq!(number.format_international(), "+81 90-1234-5678");
    let nobody: E164 = "+999123456789".parse().unwrap();
    assert_eq!((nobody.country(), nobody.format_national().as_str()), (None, "+999123456789"));
}

#[test]
fn extensions() {
    for (text, dialled) in [("12", "12"), (",,1,*2#", ",,1,*2#"), (" １２＃ ", "12#"), ("1、2", "1,2")] {
        assert_eq!(text.parse::<Extension>().unwrap().expose(), dialled);
    }
    for bad in ["", ",", "@12", "w1", "1 2", "+1", "一", &"1".repeat(33)] {
        assert_eq!(bad.parse::<Extension>(), Err(NotAnExtension), "{bad}");
    }
    assert_eq!(format!("{:?}", "4711".parse::<Extension>().unwrap()), "extension of 4");
}

#[test]
fn every_country_is_listed_with_its_calling_code() {
    let all = countries();
    assert!(all.len() > 230, "{}", all.len());
    assert!(all.is_sorted());
    for (code, calling) in [("JP", 81), ("US", 1), ("CA", 1), ("GB", 44), ("IT", 39), ("VA", 39), ("KZ", 7)] {
        assert!(all.contains(&(code.parse().unwrap(), calling)), "{code}");
    }
    assert_eq!(calling_code("ZZ".parse().unwrap()), None);
}

#[test]
fn words_read_back() {
    for kind in NumberType::ALL {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert!("fax".parse::<NumberType>().is_err());
}

/// An example of every kind of number of every country.
fn examples() -> impl Iterator<Item = (CountryCode, E164)> {
    use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};
    countries().iter().flat_map(|(country, _)| {
        let region = Region::from_code(&country.to_string()).unwrap();
        [PhoneNumberType::Mobile, PhoneNumberType::FixedLine, PhoneNumberType::VoIP, PhoneNumberType::TollFree]
            .into_iter()
            .filter_map(move |kind| PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind).ok())
            .map(|number| (*country, PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).parse().unwrap()))
    })
}

#[test]
fn numbers_of_all_countries_read_back_in_every_form() {
    let mut seen = 0;
    for (home, number) in examples() {
        // A territory may share its calling code and its plan with a larger neighbour.
        let digits = number.expose();
        let direct = ok(digits, "");
        assert_eq!(direct.e164, number);
        assert_eq!(number.country(), Some(direct.country));
        let national = number.format_national();
        let international = number.format_international();
        assert_eq!(ok(&national, &home.to_string()).e164, number, "{national} in {home}");
        assert_eq!(ok(&international, "JP").e164, number, "{international}");
        assert_eq!(ok(&digits.replacen('+', "00", 1), "").e164, number, "00 and {digits}");
        assert_eq!(ok(&digits.replacen('+', "010", 1), "JP").e164, number, "010 and {digits}");
        assert_eq!(ok(&digits.replacen('+', "011", 1), "US").e164, number, "011 and {digits}");
        let (code, rest) = international.split_once(' ').unwrap();
        let kept = format!("{code} (0){rest}");
        match read(&kept, None) {
            Ok(read) => assert_eq!(read.e164, number, "{kept}"),
            Err(error) => assert!(matches!(error, NumberError::NotValid { .. }), "{kept}: {error}"),
        }
        seen += 1;
    }
    assert!(seen > 600, "{seen}");
}

#[test]
fn no_number_is_shown_by_its_mask() {
    for (_, number) in examples() {
        let masked = number.to_string();
        let (_, national) = masked.split_once(' ').unwrap();
        let shown = national.chars().filter(char::is_ascii_digit).count();
        let hidden = national.chars().filter(|c| *c == '•').count();
        assert!(shown <= 4 && hidden >= shown, "{masked}");
        let digits: String = national.chars().filter(char::is_ascii_digit).collect();
        assert!(number.expose().ends_with(&digits));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", home in prop::sample::select(vec!["", "JP", "US", "GB", "IT", "ZZ"])) {
        let _ = read(&text, country(home));
    }

    #[test]
    fn what_was_read_reads_the_same(
        text in "[+＋]?[0-9０-９() .ー-]{2,22}",
        home in prop::sample::select(countries().to_vec()),
    ) {
        if let Ok(number) = read(&text, Some(home.0)) {
            prop_assert_eq!(read(number.e164.expose(), None), Ok(number.clone()));
            prop_assert_eq!(read(&number.e164.format_international(), Some(home.0)), Ok(number));
        }
    }

    #[test]
    fn a_mask_never_shows_more_than_four_digits(digits in "[1-9][0-9]{6,14}") {
        let number: E164 = format!("+{digits}").parse().unwrap();
        let masked = number.to_string();
        let national = masked.split_once(' ').map_or(masked.as_str(), |(_, national)| national);
        prop_assert!(national.chars().filter(char::is_ascii_digit).count() <= 4, "{}", masked);
        prop_assert!(masked.contains('•'));
    }

    #[test]
    fn emergency_numbers_never_pass(number in prop::sample::select(vec!["110", "112", "118", "119", "911", "999", "000"]), home in prop::sample::select(countries().to_vec())) {
        prop_assert_eq!(read(number, Some(home.0)), Err(NumberError::Emergency));
    }
}

#[test]
fn a_prefix_is_no_number() {
    for (number, prefix) in [
        ("+819012345678", Some("+81901")),
        ("+12015550123", Some("+1201")),
        ("+442079460018", Some("+44207")),
        // Short national numbers keep at least four digits to themselves.
        ("+2904123", Some("+290")),
        ("+29051234", Some("+2905")),
        ("+999123456", None),
    ] {
        assert_eq!(number.parse::<E164>().unwrap().prefix().as_deref(), prefix, "{number}");
    }
}
