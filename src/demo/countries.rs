//! Owns the list of countries as the demo's form shows it: names in order, calling codes, words to search by, flags.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::{
    pages::Words,
    phone::{self, CountryCode},
    texts,
};

/// Flags, drawn as circles: letters of the country, a tab, an SVG document. See `assets/flags.LICENSE.md`.
const FLAGS: &str = include_str!("assets/flags.tsv");

/// Most tags of an `Accept-Language` header that are looked at.
const MAX_TAGS: usize = 8;

/// Other words by which people look for a country. Japanese names in kanji have their reading, which is also their
/// place in the order.
const ALSO_CALLED: &[(&str, &str, &str)] = &[
    ("AE", "UAE", ""),
    ("AS", "", "ベイリョウサモア"),
    ("CD", "DRC Zaire", ""),
    ("CF", "CAR", "チュウオウアフリカキョウワコク"),
    ("CI", "Ivory Coast", ""),
    ("CN", "PRC Zhongguo 中华", "チュウゴク"),
    ("CZ", "Czech Republic", ""),
    ("DE", "Deutschland", ""),
    ("EH", "", "ニシサハラ"),
    ("ES", "España", ""),
    ("GB", "UK Britain England Scotland Wales 英国", ""),
    ("GF", "", "フツリョウギアナ"),
    ("GQ", "", "セキドウギニア"),
    ("GR", "Hellas", ""),
    ("HK", "", "ホンコン"),
    ("IN", "Bharat", ""),
    ("IO", "", "エイリョウインドヨウチイキ"),
    ("JP", "Nippon Nihon にっぽん", "ニホン"),
    ("KP", "DPRK", "キタチョウセン"),
    ("KR", "Korea Hanguk", "カンコク"),
    ("MK", "", "キタマケドニア"),
    ("MM", "Burma ビルマ", ""),
    ("MP", "", "キタマリアナショトウ"),
    ("NL", "Holland", ""),
    ("PF", "Tahiti", "フツリョウポリネシア"),
    ("SS", "", "ミナミスーダン"),
    ("SZ", "Swaziland", ""),
    ("TL", "East Timor", "ヒガシティモール"),
    ("TR", "Turkey", ""),
    ("TW", "", "タイワン"),
    ("US", "USA America 米国", ""),
    ("VA", "Holy See", ""),
    ("VG", "", "エイリョウヴァージンショトウ"),
    ("VI", "", "ベイリョウヴァージンショトウ"),
    ("ZA", "", "ミナミアフリカ"),
];

/// One line of the list.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) code: CountryCode,
    pub(super) name: String,
    pub(super) calling_code: u16,
    pub(super) search: String,
    pub(super) selected: bool,
}

/// Every country in the order of its name in each language of the pages.
static SORTED: LazyLock<BTreeMap<&'static str, Vec<Row>>> =
    LazyLock::new(|| texts::page_languages().map(|language| (language, sorted(Words { language }))).collect());

static FLAG_OF: LazyLock<BTreeMap<&'static str, &'static str>> =
    LazyLock::new(|| FLAGS.lines().filter_map(|line| line.split_once('\t')).collect());

/// The list with one country chosen, which also stands on top.
pub(super) fn rows(words: Words, chosen: Option<CountryCode>) -> Vec<Row> {
    let all = SORTED.get(words.language).map(Vec::as_slice).unwrap_or_default();
    let first = if words.language == "ja" { "JP".parse().ok() } else { chosen };
    let (mut rows, rest): (Vec<Row>, Vec<Row>) = all.iter().cloned().partition(|row| Some(row.code) == first);
    rows.extend(rest);
    for row in &mut rows {
        row.selected = Some(row.code) == chosen;
    }
    rows
}

/// The country that a browser most likely wants: that of its language, Japan for Japanese.
pub(super) fn likely(accept_language: &str, words: Words) -> Option<CountryCode> {
    let of_tag = |entry: &str| {
        let tag = entry.split(';').next()?.trim();
        let region: CountryCode = tag.split('-').skip(1).find_map(|part| part.parse().ok())?;
        phone::calling_code(region).map(|_| region)
    };
    if words.language == "ja" {
        return "JP".parse().ok();
    }
    accept_language.split(',').take(MAX_TAGS).find_map(of_tag).or_else(|| "US".parse().ok())
}

/// The flag of a country as an SVG document.
pub(super) fn flag(code: &str) -> Option<&'static str> {
    FLAG_OF.get(code).copied()
}

fn sorted(words: Words) -> Vec<Row> {
    let mut rows: Vec<(String, Row)> = phone::countries()
        .iter()
        .map(|(code, calling_code)| {
            let name = words.country(*code);
            let letters = code.to_string();
            let also = ALSO_CALLED.iter().find(|(of, _, _)| *of == letters);
            let (also, reading) = also.map_or(("", ""), |(_, also, reading)| (also, reading));
            let key = sort_key(if words.language == "ja" && !reading.is_empty() { reading } else { &name });
            let names = texts::page_languages().map(|language| texts::country(language, &letters));
            let other = [letters.clone(), also.to_owned(), reading.to_owned()];
            let search = names.chain(other).collect::<Vec<_>>().join(" ");
            (key, Row { code: *code, name, calling_code: *calling_code, search, selected: false })
        })
        .collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// What names are ordered by: without accents on the first letters, kana without small forms, marks and long vowels.
fn sort_key(name: &str) -> String {
    const FROM: &str = "ァィゥェォッャュョヮガギグゲゴザジズゼゾダヂヅデドバビブベボパピプペポヴÅÉÎ";
    const TO: &str = "アイウエオツヤユヨワカキクケコサシスセソタチツテトハヒフヘホハヒフヘホウAEI";
    let plain = |c: char| FROM.chars().zip(TO.chars()).find(|(from, _)| *from == c).map_or(c, |(_, to)| to);
    name.chars().filter(|c| !matches!(c, 'ー' | '・')).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_has_its_names_and_a_flag() {
        for (code, calling_code) in phone::countries() {
            let letters = code.to_string();
            assert!(flag(&letters).is_some_and(|svg| svg.starts_with("<svg") && svg.ends_with("</svg>")), "{code}");
            for language in texts::page_languages() {
                assert_ne!(texts::country(language, &letters), letters, "{language}");
            }
            assert!(*calling_code > 0);
        }
    }

    #[test]
    fn lists_are_in_order() {
        let order = |language| rows(Words { language }, "FR".parse().ok());
        let en = order("en");
        assert_eq!(en[0].name, "France");
        assert_eq!(en[1].name, "Afghanistan");
        assert!(en[0].selected && !en[1].selected);
        let ja = order("ja");
        assert_eq!(ja[0].name, "日本", "Japan stands first for Japanese browsers");
        assert!(ja.iter().any(|row| row.selected && row.name == "フランス"));
        let place = |name: &str| ja.iter().position(|row| row.name == name).unwrap();
        assert!(place("アフガニスタン") < place("ガーナ") && place("韓国") < place("ギリシャ"));
        assert!(place("チェコ") < place("中国") && place("中国") < place("チュニジア"));
        assert_eq!(ja.len(), phone::countries().len());
    }

    #[test]
    fn browsers_find_their_country() {
        for (header, country) in [
            ("ja", "JP"),
            ("ja-US", "JP"),
            ("en-GB,en;q=0.9", "GB"),
            ("en", "US"),
            ("zh-Hant-TW", "TW"),
            ("xx-QQ", "US"),
        ] {
            let words = Words::of(header);
            assert_eq!(likely(header, words).unwrap().to_string(), country, "{header}");
        }
    }
}
