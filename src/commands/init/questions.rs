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
};

/// Asks what the flags do not say already.
pub(super) fn ask(arguments: Arguments) -> Result<Answers, InquireError> {
    let brand = match arguments.brand {
        Some(brand) => brand,
        None => text("Who is said to call?", "heard by every callee: \"This is …\"", checked(brand), None)?,
    };
    let countries = if arguments.countries.is_empty() {
        let help = "two letters each, as in JP, US; nothing else is ever dialled";
        let answer = text("Which countries may be called?", help, checked(countries), None)?;
        countries(&answer).unwrap_or_default()
    } else {
        arguments.countries
    };
    let store = match arguments.store {
        Some(store) => store,
        None => store()?,
    };
    let kind = match arguments.carrier {
        Some(kind) => kind,
        None => {
            let real = "twilio     Twilio, or a server that speaks its API";
            let pretends = "simulator  nobody is called; to try it out";
            let choice = Select::new("Who places the calls?", vec![real, pretends]).prompt()?;
            choice.split_whitespace().next().unwrap_or_default().to_owned()
        }
    };
    let mut public_url = arguments.public_url;
    let carrier = if kind == "twilio" {
        if public_url.is_none() {
            let help = "the address at which the carrier reaches this service through your reverse proxy";
            public_url = Some(text("Public address?", help, checked(url), Some("https://"))?);
        }
        let account_sid = match arguments.account_sid {
            Some(sid) => sid,
            None => text("Account SID?", "AC and 32 characters, from the carrier's console", checked(filled), None)?,
        };
        let token = match arguments.auth_token_file {
            Some(file) => Token::File(file),
            None => Token::Typed(token()?),
        };
        let from = if arguments.from.is_empty() {
            let help = "international, several with commas; callees trust numbers of their own country";
            numbers(&text("Which numbers of yours does the callee see?", help, checked(numbers), Some("+"))?)
                .unwrap_or_default()
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

fn store() -> Result<String, InquireError> {
    let redis = "Redis       for production, any number of ringproofs beside each other";
    let embedded = "a folder    one machine, no other service";
    let choice = Select::new("Where are verifications kept?", vec![redis, embedded]).prompt()?;
    if choice == redis {
        text("Address of Redis?", "rediss:// for TLS", checked(filled), Some(USUAL_STORE))
    } else {
        let dir = text("Which folder?", "it must survive restarts", checked(filled), Some("./ringproof-data"))?;
        Ok(format!("embedded:{dir}"))
    }
}

fn token() -> Result<Secret<String>, InquireError> {
    Password::new("Auth token?")
        .with_help_message("written to a file that only you can read; not shown")
        .with_display_mode(PasswordDisplayMode::Masked)
        .without_confirmation()
        .with_validator(|text: &str| Ok(validation(filled(text))))
        .prompt()
        .map(Secret::new)
}

fn text(
    question: &str,
    help: &str,
    validator: impl StringValidator + 'static,
    initial: Option<&str>,
) -> Result<String, InquireError> {
    let mut prompt = Text::new(question).with_help_message(help).with_validator(validator);
    prompt.initial_value = initial;
    prompt.prompt().map(|answer| answer.trim().to_owned())
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

fn filled(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() { Err("this is needed") } else { Ok(()) }
}

fn brand(text: &str) -> Result<(), &'static str> {
    filled(text)?;
    if text.chars().count() > 64 { Err("at most 64 characters: it is spoken") } else { Ok(()) }
}

fn url(text: &str) -> Result<(), &'static str> {
    let is_url = text
        .trim()
        .parse::<url::Url>()
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    if is_url { Ok(()) } else { Err("an address, as in https://verify.example.com") }
}

fn countries(text: &str) -> Result<Vec<CountryCode>, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let read = |word: &str| {
        let country: CountryCode = word.parse().map_err(|error| format!("{word}: {error}"))?;
        phone::calling_code(country)
            .map(|_| country)
            .ok_or_else(|| format!("there are no telephone numbers of {country}"))
    };
    let countries: Vec<_> = words.map(read).collect::<Result<_, _>>()?;
    if countries.is_empty() { Err(String::from("at least one")) } else { Ok(countries) }
}

fn numbers(text: &str) -> Result<Vec<E164>, String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let read = |word| phone::read(word, None).map(|number| number.e164).map_err(|error| error.to_string());
    let numbers: Vec<_> = words.map(read).collect::<Result<_, _>>()?;
    if numbers.is_empty() { Err(String::from("at least one")) } else { Ok(numbers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_would_not_work_are_not_taken() {
        assert!(countries("JP, us").is_ok_and(|countries| countries.len() == 2));
        for bad in ["", "Japan", "UK"] {
            assert!(countries(bad).is_err(), "{bad}");
        }
        assert!(numbers("+81 50-1234-5678, +12025550123").is_ok_and(|numbers| numbers.len() == 2));
        for bad in ["", "050-1234-5678", "+81 110"] {
            assert!(numbers(bad).is_err(), "{bad}");
        }
        assert!(url("https://verify.example.com").is_ok() && url("https://").is_err() && url("verify").is_err());
        assert!(brand("Contoso").is_ok() && brand(" ").is_err() && brand(&"x".repeat(65)).is_err());
    }
}
