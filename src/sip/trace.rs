//! Owns the masking of messages for the ladder: no password, no key pressed, no signature, no number but its last digits.

use std::net::Ipv4Addr;

use super::message::{Message, Name};

#[cfg(test)]
mod tests;

/// Longest text of one message, in bytes.
const MAX_TEXT: usize = 16 * 1024;
/// From how many digits on something is a number that is masked.
const NUMBER: usize = 6;
/// Most digits that stay, at the end.
const SHOWN: usize = 4;

/// The first line and the `CSeq`.
pub(super) fn line(bytes: &[u8]) -> String {
    let head = String::from_utf8_lossy(bytes.get(..bytes.len().min(1024)).unwrap_or_default()).into_owned();
    let first = head.lines().next().unwrap_or_default();
    let mut text = mask(&without_passwords(first), HEAD);
    if let Some(cseq) =
        Message::read(bytes).ok().and_then(|message| message.first(Name::CSeq).map(|value| mask(&value, HEAD)))
    {
        text.push_str(" | CSeq: ");
        text.push_str(&cseq);
    }
    text
}

/// The whole message.
pub(super) fn message(bytes: &[u8]) -> String {
    let shown = bytes.get(..bytes.len().min(MAX_TEXT)).unwrap_or_default();
    let text = String::from_utf8_lossy(shown);
    let (head, body) = split_head(&text);
    let mut masked = String::with_capacity(text.len());
    let mut hidden = false;
    let mut types = Vec::new();
    for (at, line) in head.lines().enumerate() {
        // A folded line belongs to the one before it.
        if !line.starts_with([' ', '\t']) {
            let Some((name, value)) = line.split_once(':').filter(|_| at > 0) else {
                // The first line; or one that is no header, and may be anything.
                let first = at == 0 && Message::read(shown).is_ok();
                masked.push_str(&if first {
                    mask(&without_passwords(line), HEAD)
                } else {
                    format!("[{} bytes]", line.len())
                });
                masked.push('\n');
                hidden = true;
                continue;
            };
            let name = name.trim();
            hidden = is_secret(name);
            if Name::read(name) == Name::ContentType {
                types.push(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
            }
            if hidden {
                masked.push_str(name);
                masked.push_str(": [masked]\n");
            }
        }
        if !hidden {
            masked.push_str(&mask(&without_passwords(line), HEAD));
            masked.push('\n');
        }
    }
    masked.push('\n');
    if types == ["application/sdp"] {
        body.lines().for_each(|line| media_line(&mut masked, line));
    } else if !body.is_empty() {
        // It may hold keys.
        masked.push_str(&format!("[{} bytes]\n", body.len()));
    }
    masked
}

/// Head and body, at the first empty line, however lines end.
fn split_head(text: &str) -> (&str, &str) {
    let start = text.len() - text.trim_start_matches(['\r', '\n']).len();
    let ends = ["\n\r\n", "\n\n"].map(|end| text.get(start..)?.find(end).map(|at| (start + at + 1, end.len() - 1)));
    match ends.into_iter().flatten().min() {
        Some((at, end)) => (text.get(start..at).unwrap_or_default(), text.get(at + end..).unwrap_or_default()),
        None => (text.get(start..).unwrap_or_default(), ""),
    }
}

/// Headers whose value is not shown at all: an `Identity` holds both numbers, in base64.
fn is_secret(name: &str) -> bool {
    let masked =
        [Name::Authorization, Name::ProxyAuthorization, Name::Identity, Name::WwwAuthenticate, Name::ProxyAuthenticate];
    masked.contains(&Name::read(name)) || name.to_ascii_lowercase().ends_with("authentication-info")
}

/// A URI may hold a password between its user and its host (RFC 3261 section 19.1.1).
fn without_passwords(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('@') {
        let (before, behind) = rest.split_at(at);
        let user = before.rfind(['<', ' ', '"', ',']).map_or(0, |at| at + 1);
        let scheme = before.get(user..).and_then(|uri| uri.find(':')).map_or(user, |at| user + at + 1);
        match before.get(scheme..).and_then(|user| user.find(':')) {
            Some(colon) => {
                shown.push_str(before.get(..scheme + colon).unwrap_or_default());
                shown.push_str(":[masked]");
            }
            None => shown.push_str(before),
        }
        shown.push('@');
        rest = behind.get(1..).unwrap_or_default();
    }
    shown + rest
}

fn media_line(masked: &mut String, line: &str) {
    let start = line.trim_start();
    let is = |name: &&&str| start.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    match ["a=crypto:", "k=", "a=ice-pwd:", "a=key-mgmt:"].iter().find(is) {
        Some(start) => {
            masked.push_str(start);
            masked.push_str("[masked]");
        }
        // The only line in which a number may stand in groups.
        None if start.starts_with("p=") => masked.push_str(&mask(line, HEAD)),
        None => masked.push_str(&mask(line, MEDIA)),
    }
    masked.push('\n');
}

/// What may stand between the digits of one number.
const HEAD: &[char] = &['-', '(', ')', '.', ' '];
/// The same in a session description, where many small numbers stand in a row.
const MEDIA: &[char] = &['-', '(', ')', '.'];

/// Digits of a number, however they are grouped, but for the last few.
fn mask(text: &str, between: &[char]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        masked.push_str(before);
        let end = from.find(|c: char| !c.is_ascii_digit() && !between.contains(&c)).unwrap_or(from.len());
        let (run, behind) = from.split_at(end);
        rest = behind;
        let digits = run.chars().filter(char::is_ascii_digit).count();
        let address = run.split(' ').all(|word| word.len() < NUMBER || word.parse::<Ipv4Addr>().is_ok());
        let shown = if digits < NUMBER || (run.contains('.') && address) { digits } else { SHOWN.min(digits / 3) };
        let mut left = digits;
        for c in run.chars() {
            let digit = c.is_ascii_digit();
            masked.push(if digit && left > shown { '•' } else { c });
            left -= usize::from(digit);
        }
    }
    masked + rest
}
