//! Owns what is said when no flow can be played, because something failed on our side. It must be there whatever
//! failed, so it is in no file and cannot be overridden.

use super::language;

/// The apology in every language that the built-in flows have.
const APOLOGIES: &[(&str, &str)] = &[
    (
        "en",
        "We are sorry. Something went wrong on our side, and nothing was confirmed. Please try again later. Goodbye.",
    ),
    (
        "ja",
        "申し訳ございません。システムの不具合のため、確認できませんでした。しばらくしてから、もう一度お試しください。",
    ),
    (
        "de",
        "Es tut uns leid. Bei uns ist ein Fehler aufgetreten, es wurde nichts bestätigt. Bitte versuchen Sie es später noch einmal. Auf Wiederhören.",
    ),
    (
        "fr",
        "Nous sommes désolés. Une erreur s'est produite de notre côté et rien n'a été confirmé. Veuillez réessayer plus tard. Au revoir.",
    ),
    (
        "es",
        "Lo sentimos. Se ha producido un error por nuestra parte y no se ha confirmado nada. Vuelva a intentarlo más tarde. Adiós.",
    ),
    ("pt", "Lamentamos. Ocorreu um erro do nosso lado e nada foi confirmado. Tente novamente mais tarde. Até logo."),
    (
        "it",
        "Ci scusiamo. Si è verificato un errore da parte nostra e non è stato confermato nulla. La preghiamo di riprovare più tardi. Arrivederci.",
    ),
    ("ko", "죄송합니다. 시스템 오류로 확인하지 못했습니다. 잠시 후 다시 시도해 주십시오."),
    ("zh-CN", "很抱歉，我们的系统出现故障，未能完成确认。请稍后再试。再见。"),
    ("hi", "हमें खेद है। हमारी ओर से कोई गड़बड़ी हुई है और कुछ भी पुष्ट नहीं हुआ। कृपया बाद में फिर कोशिश करें। धन्यवाद।"),
];

/// What a callee hears when no flow can be played, in the language nearest to `locale` (BCP 47), English where there is
/// none. Plain text; the call is hung up after it.
#[must_use]
pub fn apology(locale: &str) -> &'static str {
    let index = language::nearest(APOLOGIES.iter().map(|(tag, _)| *tag), locale);
    APOLOGIES.get(index).map_or("", |(_, text)| *text)
}

/// The language that [`apology`] answers in.
#[must_use]
pub fn apology_language(locale: &str) -> &'static str {
    let index = language::nearest(APOLOGIES.iter().map(|(tag, _)| *tag), locale);
    APOLOGIES.get(index).map_or("en", |(tag, _)| *tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callflow::estimate::{LONGEST_PROMPT, speaking_time};

    #[test]
    fn in_every_language_and_short() {
        for (tag, text) in APOLOGIES {
            assert_eq!(apology(tag), *text);
            assert!(speaking_time(tag, text) <= LONGEST_PROMPT, "{tag}");
        }
        assert_eq!(apology_language("ja-JP"), "ja");
        assert_eq!(apology_language("nl"), "en");
    }
}
