//! Owns the choice of a language: which of a flow's languages a wanted one is served by.

/// Where nothing nearer is found.
const LAST_RESORT: &str = "en";

/// Regions whose wording differs from the language's plain entry, and whose they share, as in CLDR's parent locales.
/// English: who says "hash" for the `#` key rather than "pound".
const SHARED: &[(&str, &str, &[&str])] = &[
    (
        "en",
        "en-GB",
        &["AU", "BW", "CY", "GH", "HK", "IE", "IN", "KE", "MT", "MY", "NG", "NZ", "PK", "SG", "UG", "ZA", "ZM", "ZW"],
    ),
    (
        "es",
        "es-419",
        &[
            "AR", "BO", "BR", "BZ", "CL", "CO", "CR", "CU", "DO", "EC", "GT", "HN", "MX", "NI", "PA", "PE", "PR", "PY",
            "SV", "US", "UY", "VE",
        ],
    ),
    ("pt", "pt-PT", &["AO", "CH", "CV", "FR", "GQ", "GW", "LU", "MO", "MZ", "ST", "TL"]),
];

/// The index of the language in `available` that serves `wanted` best: itself; itself cut short from the end (RFC 4647
/// §3.4), with the region's shared wording before the plain one; any other of the same language; English; the first.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the iterator is the list itself: it is walked from its start again and again"
)]
pub(super) fn nearest<'a>(available: impl Iterator<Item = &'a str> + Clone, wanted: &str) -> usize {
    let find = |tag: &str| available.clone().position(|have| have.eq_ignore_ascii_case(tag));
    // A longer tag is none that anybody has; it is cut before it is worked on.
    let wanted: String = wanted.trim().chars().take(35).map(|c| if c == '_' { '-' } else { c }).collect();
    let mut tag = wanted.as_str();
    let mut shared = shared_wording(tag);
    loop {
        if let Some(found) = find(tag) {
            return found;
        }
        // The shared wording stands between the region's own and the plain language.
        if let Some(found) = shared.take_if(|_| tag.matches('-').count() <= 1).and_then(find) {
            return found;
        }
        let Some((shorter, _)) = tag.rsplit_once('-') else { break };
        tag = shorter;
    }
    let primary = primary(&wanted);
    available
        .clone()
        .position(|have| self::primary(have).eq_ignore_ascii_case(primary))
        .or_else(|| find(LAST_RESORT))
        .unwrap_or(0)
}

/// The language that a text missing in `tag` is taken from: the nearest shorter tag among `available`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the iterator is the list itself: it is walked from its start again and again"
)]
pub(super) fn base<'a>(available: impl Iterator<Item = &'a str> + Clone, tag: &str) -> Option<usize> {
    let mut tag = tag;
    while let Some((shorter, _)) = tag.rsplit_once('-') {
        if let Some(found) = available.clone().position(|have| have.eq_ignore_ascii_case(shorter)) {
            return Some(found);
        }
        tag = shorter;
    }
    None
}

/// Whether `tag` has the form of a BCP 47 language tag as call flows use them: language, then script, region or
/// variant; no extensions.
pub(super) fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let alphabetic = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    (2..=3).contains(&language.len())
        && alphabetic(language)
        && tag.len() <= 20
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn primary(tag: &str) -> &str {
    tag.split('-').next().unwrap_or_default()
}

fn shared_wording(tag: &str) -> Option<&'static str> {
    let mut parts = tag.split('-');
    let language = parts.next()?;
    let region = parts.find(|part| part.len() == 2)?;
    SHARED
        .iter()
        .find(|(of, _, regions)| {
            of.eq_ignore_ascii_case(language) && regions.iter().any(|known| known.eq_ignore_ascii_case(region))
        })
        .map(|(_, shared, _)| *shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_language() {
        let have = ["en", "en-GB", "ja", "es", "es-419", "pt", "pt-PT", "zh-CN"];
        let serves = |wanted: &str| have[nearest(have.iter().copied(), wanted)];
        for (wanted, served) in [
            ("ja-JP", "ja"),
            ("ja_JP", "ja"),
            ("JA", "ja"),
            ("en-US", "en"),
            ("en-GB", "en-GB"),
            ("en-AU", "en-GB"),
            ("en-GB-oxendict", "en-GB"),
            ("en-Latn-IN", "en-GB"),
            ("es-ES", "es"),
            ("es-MX", "es-419"),
            ("pt-BR", "pt"),
            ("pt-AO", "pt-PT"),
            ("zh", "zh-CN"),
            ("zh-Hans-CN", "zh-CN"),
            ("zh-TW", "zh-CN"),
            ("ja-JP-u-ca-japanese", "ja"),
            ("nl-NL", "en"),
            ("", "en"),
            ("-", "en"),
            ("ja-", "ja"),
            ("日本語", "en"),
        ] {
            assert_eq!(serves(wanted), served, "{wanted}");
        }
        assert_eq!(nearest(["ja", "de"].into_iter(), "fr"), 0);
        assert_eq!(nearest(["de", "en-GB"].into_iter(), "en-US"), 1);
        assert_eq!(nearest(std::iter::empty(), "fr"), 0);
    }

    #[test]
    fn missing_texts_come_from_the_base() {
        let have = ["en", "en-GB", "zh-CN"];
        assert_eq!(base(have.iter().copied(), "en-GB"), Some(0));
        assert_eq!(base(have.iter().copied(), "zh-CN"), None);
        assert_eq!(base(have.iter().copied(), "en"), None);
    }

    #[test]
    fn tags() {
        for good in ["en", "zh-CN", "es-419", "zh-Hans-CN", "gsw"] {
            assert!(is_tag(good), "{good}");
        }
        for bad in ["", "e", "english", "en_GB", "en-", "en-u-x", "日本", "en-abcdefghi"] {
            assert!(!is_tag(bad), "{bad}");
        }
    }
}
