//! Owns what a callee hears when we cannot go on: the same words whatever the carrier and whatever the call flow, for
//! when not even the call flow is at hand.

/// An apology in the nearest language there is, English where there is none.
#[must_use]
pub(crate) fn apology(language: &str) -> &'static str {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    match primary.to_ascii_lowercase().as_str() {
        "ja" => "申し訳ございません。ただいま処理できません。後ほどもう一度お試しください。",
        "de" => "Entschuldigung, es ist ein Fehler aufgetreten. Bitte versuchen Sie es später noch einmal.",
        "fr" => "Désolé, une erreur est survenue. Veuillez réessayer plus tard.",
        "es" => "Lo sentimos, se ha producido un error. Inténtelo de nuevo más tarde.",
        "pt" => "Desculpe, ocorreu um erro. Tente novamente mais tarde.",
        "it" => "Ci scusiamo, si è verificato un errore. Riprovi più tardi.",
        "ko" => "죄송합니다. 오류가 발생했습니다. 나중에 다시 시도해 주세요.",
        "zh" => "抱歉，系统出现错误，请稍后再试。",
        "hi" => "क्षमा करें, एक त्रुटि हुई है। कृपया बाद में फिर से प्रयास करें।",
        _ => "We are sorry, something went wrong. Please try again later.",
    }
}
