//! Owns the masking of messages for the ladder: no password, no key pressed, no signature, no number but its last digits.

use super::message::{Message, Name};

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
    let mut text = mask(first);
    if let Some(cseq) =
        Message::read(bytes).ok().and_then(|message| message.first(Name::CSeq).map(|value| mask(&value)))
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
    let (head, body) = match text.find("\r\n\r\n").and_then(|at| text.split_at_checked(at)) {
        Some((head, body)) => (head, body.trim_start_matches("\r\n")),
        None => (text.as_ref(), ""),
    };
    let mut masked = String::with_capacity(text.len());
    let mut hidden = false;
    let mut media = false;
    for line in head.lines() {
        // A folded line belongs to the one before it.
        if !line.starts_with([' ', '\t']) {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let name = name.trim();
            hidden = is_secret(name);
            let is_type = Name::read(name) == Name::ContentType;
            media |= is_type && value.to_ascii_lowercase().contains("application/sdp");
            if hidden {
                masked.push_str(name);
                masked.push_str(": [masked]\n");
            }
        }
        if !hidden {
            masked.push_str(&mask(line));
            masked.push('\n');
        }
    }
    masked.push('\n');
    if media {
        body.lines().for_each(|line| media_line(&mut masked, line));
    } else if !body.is_empty() {
        // It may hold keys.
        masked.push_str(&format!("[{} bytes]\n", body.len()));
    }
    masked
}

/// Headers whose value is not shown at all: an `Identity` holds both numbers, in base64.
fn is_secret(name: &str) -> bool {
    let masked =
        [Name::Authorization, Name::ProxyAuthorization, Name::Identity, Name::WwwAuthenticate, Name::ProxyAuthenticate];
    masked.contains(&Name::read(name)) || name.to_ascii_lowercase().ends_with("authentication-info")
}

fn media_line(masked: &mut String, line: &str) {
    let secret = ["a=crypto:", "k=", "a=ice-pwd:", "a=key-mgmt:"].iter().find(|start| line.starts_with(**start));
    match secret {
        Some(start) => {
            masked.push_str(start);
            masked.push_str("[masked]");
        }
        None => masked.push_str(&mask(line)),
    }
    masked.push('\n');
}

/// Digits of a number, however they are grouped, but for the last few.
fn mask(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = letters.get(at) {
        if !c.is_ascii_digit() {
            masked.push(*c);
            at += 1;
            continue;
        }
        let run: Vec<char> = letters
            .iter()
            .skip(at)
            .take_while(|c| c.is_ascii_digit() || matches!(c, '-' | '(' | ')'))
            .copied()
            .collect();
        let digits = run.iter().filter(|c| c.is_ascii_digit()).count();
        let shown = if digits < NUMBER { digits } else { SHOWN.min(digits / 3) };
        let mut left = digits;
        for c in &run {
            if !c.is_ascii_digit() {
                masked.push(*c);
                continue;
            }
            masked.push(if left > shown { '•' } else { *c });
            left -= 1;
        }
        at += run.len();
    }
    masked
}
