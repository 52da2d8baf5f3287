//! Owns the estimate of how long a text takes to say. It is documented in `docs/call-flows.md` and
//! the same everywhere, for most voices on the safe side; it is no measurement of any voice.

use std::time::Duration;

/// Longest time for saying one prompt. Others ask for less than 20 s; people hang up long before.
pub(super) const LONGEST_PROMPT: Duration = Duration::from_secs(12);
/// Longest time for everything that is said before the callee has heard a whole question.
pub(super) const LONGEST_PASSAGE: Duration = Duration::from_secs(20);

/// Silence that a voice makes at the end of a sentence, in ms.
const SENTENCE_END_MS: u64 = 400;
/// Silence that a voice makes at a comma, in ms.
const COMMA_MS: u64 = 200;
/// Time for one spoken digit, in ms.
const DIGIT_MS: u64 = 500;

/// How a language is counted: units a minute, and what one unit is.
struct Rate {
    language: &'static str,
    per_minute: u64,
    unit: Unit,
}

/// What is counted.
#[derive(Clone, Copy)]
enum Unit {
    /// Letters, with the spaces between words.
    Letters,
    /// Syllables (Hangul, Han) or morae (a kana is 1, a Chinese character in Japanese 2); two Latin letters are one.
    Syllables,
}

/// Speaking rates of telephone prompts, a minute. They begin at the syllables a second of read speech (Pellegrino, Coupé
/// and Marsico 2011, Language 87:539–558: en 6.2, fr 7.2, de 6.0, it 7.0, ja 7.8, zh 5.2, es 7.8), a tenth to a fifth slower
/// as a clear telephone voice speaks, turned into letters where the script is alphabetic, and were compared with
/// the recordings under `callflows/audio`: the median of a language takes 0.69 (English) to 0.94 (Japanese) of it, but 1.05
/// in Korean and 1.15 in Hindi, and single prompts 0.6 to 1.3. Carriers' voices differ as much.
const RATES: &[Rate] = &[
    Rate { language: "en", per_minute: 900, unit: Unit::Letters },
    Rate { language: "de", per_minute: 900, unit: Unit::Letters },
    Rate { language: "fr", per_minute: 960, unit: Unit::Letters },
    Rate { language: "es", per_minute: 900, unit: Unit::Letters },
    Rate { language: "pt", per_minute: 870, unit: Unit::Letters },
    Rate { language: "it", per_minute: 900, unit: Unit::Letters },
    Rate { language: "hi", per_minute: 780, unit: Unit::Letters },
    Rate { language: "ja", per_minute: 420, unit: Unit::Syllables },
    Rate { language: "ko", per_minute: 320, unit: Unit::Syllables },
    Rate { language: "zh", per_minute: 270, unit: Unit::Syllables },
];

/// For a language without a rate of its own.
const OTHER: Rate = Rate { language: "", per_minute: 780, unit: Unit::Letters };

/// How long it takes to say `text` in `language` (BCP 47).
pub(super) fn speaking_time(language: &str, text: &str) -> Duration {
    let primary = language.split('-').next().unwrap_or_default();
    let rate = RATES.iter().find(|rate| rate.language.eq_ignore_ascii_case(primary)).unwrap_or(&OTHER);
    let japanese = rate.language == "ja";
    let (mut halves, mut silence_ms) = (0_u64, 0_u64);
    for c in text.chars() {
        match c {
            '.' | '。' | '！' | '？' | '!' | '?' | '।' => silence_ms += SENTENCE_END_MS,
            ',' | '、' | '，' | ';' | ':' | '；' | '：' | '–' => silence_ms += COMMA_MS,
            '0'..='9' | '０'..='９' => silence_ms += DIGIT_MS,
            _ => halves += weight(c, rate.unit, japanese),
        }
    }
    Duration::from_millis(halves * 30_000 / rate.per_minute + silence_ms)
}

/// How long it takes to say `count` digits one by one.
pub(super) fn digits_time(count: usize, pause: Duration) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Duration::from_millis(DIGIT_MS).saturating_mul(count) + pause.saturating_mul(count.saturating_sub(1))
}

/// How many half units a character is.
fn weight(c: char, unit: Unit, japanese: bool) -> u64 {
    match (unit, c) {
        (Unit::Letters, c) => 2 * u64::from(c.is_alphanumeric() || c == ' '),
        // Small kana belong to the mora before them; the small tsu is one of its own.
        (Unit::Syllables, 'ゃ' | 'ゅ' | 'ょ' | 'ャ' | 'ュ' | 'ョ' | 'ァ' | 'ィ' | 'ゥ' | 'ェ' | 'ォ') => 0,
        (Unit::Syllables, '\u{4e00}'..='\u{9fff}') => 2 + 2 * u64::from(japanese),
        (Unit::Syllables, c) if c.is_ascii() => u64::from(c.is_ascii_alphabetic()),
        (Unit::Syllables, c) => 2 * u64::from(c.is_alphanumeric()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let seconds = |language, text| speaking_time(language, text).as_secs_f32();
        // 3 words, 13 letters and spaces at 15 a second, one sentence end.
        assert!((seconds("en", "Press the key.") - 1.27).abs() < 0.05);
        assert!((seconds("en-GB", "Press the key.") - 1.27).abs() < 0.05);
        // 9 morae at 7 a second, one sentence end.
        assert!((seconds("ja", "確認できました。") - 1.69).abs() < 0.05);
        assert!((seconds("zh-CN", "请按井号键。") - 1.51).abs() < 0.05);
        assert_eq!(speaking_time("xx", ""), Duration::ZERO);
        assert_eq!(digits_time(6, Duration::from_millis(500)), Duration::from_millis(5500));
        assert_eq!(digits_time(0, Duration::from_millis(500)), Duration::ZERO);
    }
}
