//! Owns the list of our own numbers: in JSON for programs, as a card that a telephone can keep (vCard 3.0, RFC 2426,
//! which telephones read more reliably than its successor).

use std::fmt::Write as _;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    App, Verify,
    docs::{self, Problems},
    json,
    problem::Problem,
    query::Parameters,
};
use crate::gateway::CallerId;

/// Longest line of a card, in bytes (RFC 2426 section 2.6).
const MAX_LINE_BYTES: usize = 75;

/// The numbers we call from.
#[derive(Serialize, ToSchema)]
pub(super) struct CallerIdList {
    /// All of them.
    items: Vec<CallerId>,
}

/// List our numbers.
///
/// Show them to the person who is going to be called. With `Accept: text/vcard` the answer is a card to be kept.
#[utoipa::path(get, path = "/v1/caller-ids", operation_id = "list_caller_ids", tag = "numbers",
    responses((status = 200, description = "The numbers we call from.",
        content((CallerIdList = "application/json"), (String = "text/vcard"))), Problems<{ docs::PLAIN }>))]
pub(super) async fn list(
    State(app): State<App>,
    _verify: Verify,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Parameters::of(&uri).end()?;
    let mut response = if prefers_card(&headers) {
        write_card(&app)
    } else {
        json(StatusCode::OK, &CallerIdList { items: app.gateway.caller_ids() })
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Our numbers as a card.
#[utoipa::path(get, path = "/v1/caller-ids.vcf", operation_id = "read_caller_card", tag = "numbers",
    responses((status = 200, description = "The numbers we call from, as one card.", body = String, content_type = "text/vcard"),
        Problems<{ docs::PLAIN }>))]
pub(super) async fn card(State(app): State<App>, _verify: Verify, uri: Uri) -> Result<Response, Problem> {
    Parameters::of(&uri).end()?;
    Ok(write_card(&app))
}

/// Whether a card is asked for more than JSON (RFC 9110 section 12.5.1).
fn prefers_card(headers: &HeaderMap) -> bool {
    let weight = |range: &str, wanted: &str| {
        let mut parts = range.split(';').map(str::trim);
        let matches = parts.next().is_some_and(|media| media.eq_ignore_ascii_case(wanted));
        let weight =
            parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
        if matches { weight } else { None }
    };
    let best = |wanted: &[&str]| {
        let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = ranges.flat_map(|value| value.split(','));
        ranges.flat_map(|range| wanted.iter().filter_map(move |wanted| weight(range, wanted))).fold(0.0, f32::max)
    };
    let card = best(&["text/vcard", "text/x-vcard", "text/directory", "text/*"]);
    card > 0.0 && card > best(&["application/json", "application/*"])
}

fn write_card(app: &App) -> Response {
    let mut card = String::from("BEGIN:VCARD\r\nVERSION:3.0\r\n");
    let name = escaped(&app.brand);
    line(&mut card, &format!("FN:{name}"));
    line(&mut card, &format!("N:{name};;;;"));
    line(&mut card, &format!("ORG:{name}"));
    let mut numbers: Vec<String> = app.gateway.caller_ids().into_iter().map(|id| id.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in &numbers {
        line(&mut card, &format!("TEL;TYPE=WORK,VOICE:{number}"));
    }
    line(&mut card, "END:VCARD");
    let mut response = Response::new(Body::from(card));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/vcard; charset=utf-8"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"caller-ids.vcf\""));
    response
}

/// Text as a value of a card (RFC 2426 section 4).
fn escaped(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).fold(String::new(), |mut value, c| {
        if matches!(c, '\\' | ',' | ';') {
            value.push('\\');
        }
        value.push(c);
        value
    })
}

/// Writes a line, folded where it is too long, never within a character.
fn line(card: &mut String, text: &str) {
    let mut length = 0;
    for c in text.chars() {
        if length + c.len_utf8() > MAX_LINE_BYTES {
            card.push_str("\r\n ");
            length = 1;
        }
        let _always = card.write_char(c);
        length += c.len_utf8();
    }
    card.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_card_are_escaped_and_folded() {
        let mut card = String::new();
        line(&mut card, &format!("FN:{}", escaped("A, B; C\\D\r\nEND:VCARD")));
        assert_eq!(card, "FN:A\\, B\\; C\\\\DEND:VCARD\r\n");
        let mut card = String::new();
        line(&mut card, &format!("FN:{}", "電".repeat(60)));
        assert!(card.lines().all(|line| line.len() <= MAX_LINE_BYTES));
        assert_eq!(card.replace("\r\n ", ""), format!("FN:{}\r\n", "電".repeat(60)));
    }

    #[test]
    fn a_card_is_given_to_those_who_ask_for_it() {
        for (accept, card) in [
            ("text/vcard", true),
            ("TEXT/VCARD; charset=utf-8", true),
            ("application/json", false),
            ("*/*", false),
            ("", false),
            ("text/vcard;q=0.5, application/json", false),
            ("application/json;q=0.5, text/vcard", true),
            ("text/vcard;q=0", false),
            ("text/html, text/*;q=0.9, */*;q=0.1", true),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_card(&headers), card, "{accept}");
        }
        assert!(!prefers_card(&HeaderMap::new()));
    }
}
