//! Owns the form of step 3: what was typed, how it is read, how it is shown again.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use serde::Deserialize;

use crate::{
    demo::{
        Demo,
        countries::{self, Row},
        html,
        page::Page,
        session::{Kind, Session},
    },
    pages::Words,
    phone::{self, Extension, Number, NumberError},
};

/// What a form brings.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::demo) struct Typed {
    pub(super) method: String,
    pub(super) ticket: String,
    /// The number that the page showed as the one to be called.
    pub(super) shown: String,
    pub(super) country: String,
    pub(super) number: String,
    pub(super) extension: String,
}

impl Typed {
    /// The number as it would be called.
    pub(super) fn read(&self) -> Result<Number, NumberError> {
        phone::read(&self.number, self.country.parse().ok())
    }

    /// The extension, if there is one; or the id of the text that says what is wrong.
    pub(super) fn read_extension(&self) -> Result<Option<String>, &'static str> {
        let extension = self.extension.trim();
        if extension.is_empty() || Kind::of(&self.method) == Kind::Phone {
            return Ok(None);
        }
        extension
            .parse::<Extension>()
            .map(|extension| Some(extension.expose().to_owned()))
            .map_err(|_| "number-extension")
    }
}

/// The form as it is shown.
pub(super) struct PhoneForm {
    pub(super) kind: Kind,
    pub(super) ticket: String,
    pub(super) shown: String,
    pub(super) countries: Vec<Row>,
    pub(super) number: String,
    pub(super) number_fault: Option<String>,
    pub(super) extension: String,
    pub(super) extension_fault: Option<String>,
    /// What will be called, to be agreed to.
    pub(super) confirm: Option<String>,
    /// Why no call was made.
    pub(super) problem: Option<String>,
}

impl PhoneForm {
    fn is_office(&self) -> bool {
        self.kind == Kind::Office
    }
}

#[derive(Template)]
#[template(path = "demo/phone.html")]
struct PhonePage {
    page: Page,
    form: PhoneForm,
}

/// Shows the form with what was typed.
pub(super) fn show(demo: &Demo, session: &Session, typed: &Typed, change: impl FnOnce(&mut PhoneForm)) -> Response {
    let page = Page::new(demo, session, "phone-title", "methods", "/demo/add/phone");
    let chosen = typed.country.parse().ok().or(session.state().country);
    let mut form = PhoneForm {
        kind: Kind::of(&typed.method),
        ticket: demo.sessions.random(),
        shown: String::new(),
        countries: countries::rows(page.words, chosen),
        number: typed.number.clone(),
        number_fault: None,
        extension: typed.extension.clone(),
        extension_fault: None,
        confirm: None,
        problem: None,
    };
    change(&mut form);
    html(StatusCode::OK, &PhonePage { page, form })
}

/// Shows what is wrong with the number.
pub(super) fn fault(demo: &Demo, session: &Session, typed: &Typed, fault: String) -> Response {
    show(demo, session, typed, |form| form.number_fault = Some(fault))
}

/// Shows what will be called, before it is.
pub(super) fn confirm(demo: &Demo, session: &Session, typed: &Typed, number: &Number) -> Response {
    let words = session.state().words;
    let typed = Typed { country: number.country.to_string(), ..typed.clone() };
    show(demo, session, &typed, |form| {
        number.e164.expose().clone_into(&mut form.shown);
        form.confirm = Some(words.with("phone-will-call-first", "number", &in_full(words, number)));
    })
}

/// A number with its country, for the person who typed it.
pub(super) fn in_full(words: Words, number: &Number) -> String {
    let (open, close) = if words.language == "ja" { ("（", "）") } else { (" (", ")") };
    format!("{}{open}{}{close}", number.e164.format_international(), words.country(number.country))
}
