//! Owns the questions of `init`: each says what it is for, and takes no answer that would not work.

use std::fmt::Display;

use inquire::{
    CustomUserError, InquireError, Password, PasswordDisplayMode, Select, Text,
    validator::{StringValidator, Validation},
};

use super::{Answers, Arguments, Carrier, Token, USUAL_STORE};
use crate::{
    phone::{self, CountryCode, E164},
    secret::Secret,
    texts,
};

/// Asks what the flags do not say already, in this language.
pub(super) fn ask(arguments: Arguments, language: &'static str) -> Result<Answers, InquireError> {
    let ask = Ask { language };
    let brand = match arguments.brand {
        Some(brand) => brand,
        None => ask.text("init-brand", checked(move |text: &str| brand(text, language)), None)?,
    };
    let countries = if arguments.countries.is_empty() {
        let read = move |text: &str| countries(text, language);
        let answer = ask.text("init-countries", checked(read), None)?;
        read(&answer).unwrap_or_default()
    } else {
        arguments.countries
    };
    let store = match arguments.store {
        Some(store) => store,
        None => ask.store()?,
    };
    let twilio = match arguments.carrier {
        Some(kind) => kind == "twilio",
        None => ask.choose("init-carrier", ["init-carrier-twilio", "init-carrier-simulator"])? == 0,
    };
    let mut public_url = arguments.public_url;
    let carrier = if twilio {
        if public_url.is_none() {
            public_url =
                Some(ask.text("init-url", checked(move |text: &str| url(text, language)), Some("https://"))?);
        }
        let account_sid = match arguments.account_sid {
            Some(sid) => sid,
            None => ask.text("init-account", checked(move |text: &str| filled(text, language)), None)?,
        };
        let token = match arguments.auth_token_file {
            Some(file) => Token::File(file),
            None => Token::Typed(ask.token()?),
        };
        let from = if arguments.from.is_empty() {
            let read = move |text: &str| numbers(text, language);
            read(&ask.text("init-from", checked(read), Some("+"))?).unwrap_or_default()
        } else {
            arguments.from
        };
        Carrier::Twilio { base_url: arguments.base_url, account_sid, token, from }
    } else {
        Carrier::Simulator { from: arguments.from }
    };
    Ok(Answers {
        brand,
        locale: arguments.locale,
        countries,
        store,
        listen: arguments.listen,
        public_url,
        carrier,
        key_name: arguments.key_name,
    })
}

/// Asks in a language. A question's help has the id of the question and `-help`.
#[derive(Clone, Copy)]
struct Ask {
    language: &'static str,
}

impl Ask {
    fn words(self, id: &str) -> String {
        texts::terminal(self.language, id, &[])
    }

    fn text(
        self,
        question: &str,
        validator: impl StringValidator + 'static,
        initial: Option<&str>,
    ) -> Result<String, InquireError> {
        let (asked, help) = (self.words(question), self.words(&format!("{question}-help")));
        let mut prompt = Text::new(&asked).with_help_message(&help).with_validator(validator);
        prompt.initial_value = initial;
        prompt.prompt().map(|answer| answer.trim().to_owned())
    }

    /// The index of the choice that was made.
    fn choose(self, question: &str, choices: [&str; 2]) -> Result<usize, InquireError> {
        let choices = choices.iter().map(|choice| self.words(choice)).collect();
        Select::new(&self.words(question), choices).raw_prompt().map(|chosen| chosen.index)
    }

    fn store(self) -> Result<String, InquireError> {
        let language = self.language;
        let filled = move |text: &str| filled(text, language);
        if self.choose("init-store", ["init-store-redis", "init-store-folder"])? == 0 {
            return self.text("init-redis", checked(filled), Some(USUAL_STORE));
        }
        let dir = self.text("init-folder", checked(filled), Some("./ringproof-data"))?;
        Ok(format!("embedded:{dir}"))
    }

    fn token(self) -> Result<Secret<String>, InquireError> {
        let language = self.language;
        Password::new(&self.words("init-token"))
            .with_help_message(&self.words("init-token-help"))
            .with_display_mode(PasswordDisplayMode::Masked)
            .without_confirmation()
            .with_validator(move |text: &str| Ok(validation(filled(text, language))))
            .prompt()
            .map(Secret::new)
    }
}

fn checked<T, E: Display>(
    read: impl Fn(&str) -> Result<T, E> + Clone + 'static,
) -> impl Fn(&str) -> Result<Validation, CustomUserError> + Clone + 'static {
    move |text| Ok(validation(read(text)))
}

fn validation<T, E: Display>(read: Result<T, E>) -> Validation {
    match read {
        Ok(_) => Validation::Valid,
        Err(why) => Validation::Invalid(why.to_string().into()),
    }
}

fn filled(text: &str, language: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err(texts::terminal(language, "init-needed", &[])) } else { Ok(()) }
}

fn brand(text: &str, language: &str) -> Result<(), String> {
    filled(text, language)?;
    let fits = text.chars().count() <= 64;
    if fits { Ok(()) } else { Err(texts::terminal(language, "init-too-long", &[])) }
}

fn url(text: &str, language: &str) -> Result<(), String> {
    let is_url = text
        .trim()
        .parse::<url::Url>()
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    if is_url { Ok(()) } else { Err(texts::terminal(language, "init-no-url", &[])) }
}

fn countries(text: &str, language: &str) -> Result<Vec<CountryCode>, String> {
    let words = text.split([',', ' ', '、']).filter(|word| !word.is_empty());
    let read = |word: &str| {
        let country: CountryCode = word.parse().map_err(|error| format!("{word}: {error}"))?;
        phone::calling_code(country)
            .map(|_| country)
            .ok_or_else(|| texts::terminal(language, "init-no-country", &[("country", &country.to_string())]))
    };
    at_least_one(words.map(read).collect(), language)
}

fn numbers(text: &str, language: &str) -> Result<Vec<E164>, String> {
    let words = text.split([',', '、']).map(str::trim).filter(|word| !word.is_empty());
    let read = |word| phone::read(word, None).map(|number| number.e164).map_err(|error| error.to_string());
    at_least_one(words.map(read).collect(), language)
}

fn at_least_one<T>(read: Result<Vec<T>, String>, language: &str) -> Result<Vec<T>, String> {
    read.and_then(|all| if all.is_empty() { Err(texts::terminal(language, "init-one", &[])) } else { Ok(all) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_would_not_work_are_not_taken() {
        assert!(countries("JP, us", "en").is_ok_and(|countries| countries.len() == 2));
        for bad in ["", "Japan", "UK"] {
            assert!(countries(bad, "en").is_err(), "{bad}");
        }
        assert!(numbers("+81 50-1234-5678, +12025550123", "en").is_ok_and(|numbers| numbers.len() == 2));
        for bad in ["", "050-1234-5678", "+81 110"] {
            assert!(numbers(bad, "en").is_err(), "{bad}");
        }
        let url = |text| url(text, "en");
        assert!(url("https://verify.example.com").is_ok() && url("https://").is_err() && url("verify").is_err());
        let brand = |text: &str| brand(text, "en");
        assert!(brand("Contoso").is_ok() && brand(" ").is_err() && brand(&"x".repeat(65)).is_err());
        assert_eq!(filled(" ", "ja"), Err(String::from("入力してください")));
    }
}
