//! Owns the texts that people read: what each reason means and what to do next, in every language of the call flows,
//! and the wording of the web pages and of commands, in English and Japanese. One Fluent catalogue (`texts/`), built into the binary.
//! What the callee hears is not here: that is the call flows' own.

use std::{collections::BTreeMap, sync::LazyLock};

use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

use crate::outcome::{NextStep, Reason};

/// The language of last resort: complete by test, and understood by most.
pub const FALLBACK: &str = "en";

/// Most entries of an `Accept-Language` header that are looked at.
const MAX_WISHES: usize = 16;

const REASONS: &[(&str, &str)] = &[
    ("en", include_str!("../texts/reasons/en.ftl")),
    ("ja", include_str!("../texts/reasons/ja.ftl")),
    ("de", include_str!("../texts/reasons/de.ftl")),
    ("es", include_str!("../texts/reasons/es.ftl")),
    ("fr", include_str!("../texts/reasons/fr.ftl")),
    ("hi", include_str!("../texts/reasons/hi.ftl")),
    ("it", include_str!("../texts/reasons/it.ftl")),
    ("ko", include_str!("../texts/reasons/ko.ftl")),
    ("pt", include_str!("../texts/reasons/pt.ftl")),
    ("zh-CN", include_str!("../texts/reasons/zh-CN.ftl")),
];

/// One catalogue for all web pages: those of the demo and those of the console share words.
const PAGES: &[(&str, &str)] = &[
    (
        "en",
        concat!(
            include_str!("../texts/pages/en.ftl"),
            "\n",
            include_str!("../texts/console/en.ftl"),
            "\n",
            include_str!("../texts/board/en.ftl")
        ),
    ),
    (
        "ja",
        concat!(
            include_str!("../texts/pages/ja.ftl"),
            "\n",
            include_str!("../texts/console/ja.ftl"),
            "\n",
            include_str!("../texts/board/ja.ftl")
        ),
    ),
];

const COUNTRIES: &[(&str, &str)] =
    &[("en", include_str!("../texts/countries/en.ftl")), ("ja", include_str!("../texts/countries/ja.ftl"))];

const TERMINAL: &[(&str, &str)] =
    &[("en", include_str!("../texts/terminal/en.ftl")), ("ja", include_str!("../texts/terminal/ja.ftl"))];

const CALLS: &[(&str, &str)] =
    &[("en", include_str!("../texts/calls/en.ftl")), ("ja", include_str!("../texts/calls/ja.ftl"))];

static REASON_TEXTS: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::new(REASONS));
static PAGE_TEXTS: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::new(PAGES));
static COUNTRY_TEXTS: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::new(COUNTRIES));

static TERMINAL_TEXTS: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::new(TERMINAL));
static CALL_TEXTS: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::new(CALLS));

/// What happened, in one or two short sentences, in the nearest language to `locale` (BCP 47).
#[must_use]
pub fn reason(locale: &str, reason: Reason) -> String {
    REASON_TEXTS.text(locale, &format!("reason-{reason}"), &[])
}

/// What to do next, as the label of a button, in the nearest language to `locale` (BCP 47).
#[must_use]
pub fn next_step(locale: &str, next: NextStep) -> String {
    REASON_TEXTS.text(locale, &format!("next-{next}"), &[])
}

/// A text of the web pages, its `{ $name }` slots filled from `args`. Plain text: the caller escapes it for HTML.
/// An id that is not in the catalogue gives the id itself.
#[must_use]
pub fn page(locale: &str, id: &str, args: &[(&str, &str)]) -> String {
    PAGE_TEXTS.text(locale, id, args)
}

/// The name of a country or territory (ISO 3166-1 alpha-2, in capital letters), in a language of the pages; the letters
/// themselves where it has none.
#[must_use]
pub fn country(locale: &str, code: &str) -> String {
    let id = format!("country-{code}");
    let name = COUNTRY_TEXTS.text(locale, &id, &[]);
    if name == id { code.to_owned() } else { name }
}

/// A text that a command prints, its `{ $name }` slots filled from `args`. An id that is not in the catalogue gives the
/// id itself.
#[must_use]
pub fn terminal(locale: &str, id: &str, args: &[(&str, &str)]) -> String {
    TERMINAL_TEXTS.text(locale, id, args)
}

/// A text that explains a call to operators, its `{ $name }` slots filled from `args`, in the nearest language to `locale`
/// (BCP 47). An id that is not in the catalogue gives the id itself.
#[must_use]
pub fn call(locale: &str, id: &str, args: &[(&str, &str)]) -> String {
    CALL_TEXTS.text(locale, id, args)
}

/// The languages that calls are explained in (BCP 47): those of the pages.
pub fn call_languages() -> impl Iterator<Item = &'static str> {
    CALLS.iter().map(|(language, _)| *language)
}

/// The language of commands for the names of locales that the environment gives, best first (POSIX: `LC_ALL`,
/// `LC_MESSAGES`, `LANG`): the first that is not empty decides.
pub fn terminal_language(locales: impl IntoIterator<Item = String>) -> &'static str {
    let locale = locales.into_iter().find(|locale| !locale.is_empty()).unwrap_or_default();
    let tag = locale.split(['.', '@']).next().unwrap_or_default();
    nearest(TERMINAL, tag).unwrap_or(FALLBACK)
}

/// The languages that reasons are written in (BCP 47).
pub fn reason_languages() -> impl Iterator<Item = &'static str> {
    REASONS.iter().map(|(language, _)| *language)
}

/// The languages that pages are written in (BCP 47).
pub fn page_languages() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(language, _)| *language)
}

/// The language of pages that an `Accept-Language` header (RFC 9110 §12.5.4) asks for: the best-ranked one that we
/// have, [`FALLBACK`] where there is none or the header makes no sense.
#[must_use]
pub fn page_language(accept_language: &str) -> &'static str {
    let mut wishes: Vec<(&str, f32)> =
        accept_language.split(',').take(MAX_WISHES).filter_map(wish).filter(|(_, weight)| *weight > 0.0).collect();
    // A stable sort: of two equal weights the first named wins, which is what browsers mean.
    wishes.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    wishes.iter().find_map(|(tag, _)| nearest(PAGES, tag)).unwrap_or(FALLBACK)
}

/// One entry of `Accept-Language`: a tag and its weight, 0 to 1.
fn wish(entry: &str) -> Option<(&str, f32)> {
    let Some((tag, parameter)) = entry.split_once(';') else { return Some((entry.trim(), 1.0)) };
    let weight = parameter.trim().strip_prefix("q=")?.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    Some((tag.trim(), weight))
}

/// The language of a catalogue that is nearest to a tag: the same tag, else the same primary language.
fn nearest(sources: &'static [(&'static str, &'static str)], tag: &str) -> Option<&'static str> {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let languages = || sources.iter().map(|(language, _)| *language);
    languages()
        .find(|language| language.eq_ignore_ascii_case(tag))
        .or_else(|| languages().find(|language| primary(language) == primary(tag)))
}

struct Catalogue {
    sources: &'static [(&'static str, &'static str)],
    bundles: BTreeMap<&'static str, FluentBundle<FluentResource>>,
}

impl Catalogue {
    fn new(sources: &'static [(&'static str, &'static str)]) -> Self {
        let bundles = sources.iter().map(|(language, source)| (*language, bundle(language, source))).collect();
        Self { sources, bundles }
    }

    fn text(&self, locale: &str, id: &str, args: &[(&str, &str)]) -> String {
        let language = nearest(self.sources, locale).unwrap_or(FALLBACK);
        let args: FluentArgs<'_> = args.iter().copied().collect();
        [language, FALLBACK]
            .into_iter()
            .filter_map(|language| self.bundles.get(language))
            .find_map(|bundle| {
                let pattern = bundle.get_message(id)?.value()?;
                Some(bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned())
            })
            .unwrap_or_else(|| id.to_owned())
    }
}

/// A text with a fault loses that text, not the catalogue: the parts that can be read are kept. The tests below hold
/// that there is no fault.
fn bundle(language: &str, source: &str) -> FluentBundle<FluentResource> {
    let locale: LanguageIdentifier = language.parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![locale]);
    // Isolation marks would be copied out of the page together with numbers; all our languages run left to right.
    bundle.set_use_isolating(false);
    let resource = match FluentResource::try_new(source.to_owned()) {
        Ok(resource) | Err((resource, _)) => resource,
    };
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Ids of a file with the arguments each uses.
    fn ids(source: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut ids = BTreeMap::<String, BTreeSet<String>>::new();
        let mut current = String::new();
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            if let Some((id, _)) = line.split_once(" =").filter(|_| !line.starts_with([' ', '}'])) {
                current = id.to_owned();
                assert!(ids.insert(current.clone(), BTreeSet::new()).is_none(), "{id} stands twice");
            }
            let slots = line.split('$').skip(1).map(|rest| {
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect::<String>()
            });
            ids.entry(current.clone()).or_default().extend(slots);
        }
        ids.remove("");
        ids
    }

    #[test]
    fn every_language_has_every_text_with_the_same_arguments() {
        for sources in [REASONS, PAGES, COUNTRIES, TERMINAL, CALLS] {
            let (_, reference) = sources.iter().find(|(language, _)| *language == FALLBACK).unwrap();
            for (language, source) in sources {
                assert!(FluentResource::try_new((*source).to_owned()).is_ok(), "{language} has a fault");
                similar(language, &ids(reference), &ids(source));
            }
        }
    }

    fn similar(language: &str, want: &BTreeMap<String, BTreeSet<String>>, have: &BTreeMap<String, BTreeSet<String>>) {
        for (id, arguments) in want {
            assert_eq!(have.get(id), Some(arguments), "{language}: {id}");
        }
        for id in have.keys() {
            assert!(want.contains_key(id), "{language}: {id} is not in {FALLBACK}");
        }
    }

    #[test]
    fn every_text_can_be_said() {
        for (catalogue, sources) in
            [(&*REASON_TEXTS, REASONS), (&*PAGE_TEXTS, PAGES), (&*TERMINAL_TEXTS, TERMINAL), (&*CALL_TEXTS, CALLS)]
        {
            for (language, source) in sources {
                for (id, slots) in ids(source) {
                    let args: Vec<_> = slots.iter().map(|slot| (slot.as_str(), "7")).collect();
                    let text = catalogue.text(language, &id, &args);
                    assert!(!text.trim().is_empty() && text != id && !text.contains('$'), "{language}: {id}: {text}");
                }
            }
        }
    }

    #[test]
    fn every_reason_and_next_step_has_a_text_of_its_own_language() {
        for language in reason_languages() {
            for of in Reason::ALL {
                let text = reason(language, *of);
                assert!(!text.starts_with("reason-"), "{language} {of}");
                assert!(language == FALLBACK || text != reason(FALLBACK, *of), "{language} {of} is not translated");
            }
            for next in NextStep::ALL {
                assert!(!next_step(language, *next).starts_with("next-"), "{language} {next}");
            }
        }
    }

    #[test]
    fn the_nearest_language_is_taken() {
        assert_eq!(reason("ja-JP", Reason::Busy), "話し中でした。");
        assert_eq!(reason("zh-Hant-TW", Reason::Busy), "对方正忙。");
        assert_eq!(reason("pt-BR", Reason::Busy), "A linha estava ocupada.");
        assert_eq!(reason("tlh", Reason::Busy), "The line was busy.");
        assert_eq!(reason("", Reason::Busy), "The line was busy.");
        assert_eq!(page("de-AT", "language-name", &[]), "English");
        assert_eq!(page("ja", "no-such-text", &[]), "no-such-text");
        assert_eq!((country("ja-JP", "JP"), country("en", "JP")), (String::from("日本"), String::from("Japan")));
        assert_eq!(country("en", "QQ"), "QQ");
    }

    #[test]
    fn what_terminals_ask_for() {
        for (all, messages, lang, language) in [
            ("", "", "ja_JP.UTF-8", "ja"),
            ("", "ja_JP.eucJP", "en_US.UTF-8", "ja"),
            ("C", "", "ja_JP.UTF-8", "en"),
            ("ja", "", "", "ja"),
            ("", "", "de_DE@euro", "en"),
            ("", "", "", "en"),
            ("POSIX", "", "", "en"),
        ] {
            assert_eq!(
                terminal_language([all, messages, lang].map(str::to_owned)),
                language,
                "{all} {messages} {lang}"
            );
        }
    }

    #[test]
    fn what_browsers_ask_for() {
        for (header, language) in [
            ("ja", "ja"),
            ("ja-JP,ja;q=0.9,en-US;q=0.8,en;q=0.7", "ja"),
            ("en-GB,en;q=0.9,ja;q=0.8", "en"),
            ("de-DE,de;q=0.9,ja;q=0.5,en;q=0.3", "ja"),
            ("en;q=0.3, ja;q=0.7", "ja"),
            ("ja;q=0, en", "en"),
            ("ja;q=2, ;;;, q=, *", "en"),
            ("", "en"),
        ] {
            assert_eq!(page_language(header), language, "{header}");
        }
    }
}
