//! Owns reading a Rust file well enough for the rules: code apart from comments and texts, what belongs to tests, where
//! functions and inline modules are. It is not a parser: it trusts that the compiler accepts the file.

use std::ops::Range;

/// A Rust file in two views of the same length: what is not part of a view is blank there, so that places agree.
pub(super) struct Source {
    /// Code; comments and the insides of string and character literals are blank.
    pub(super) code: Vec<char>,
    /// Comments only.
    pub(super) comments: Vec<char>,
    /// Spans of items that exist only for tests.
    pub(super) tests: Vec<Range<usize>>,
}

impl Source {
    pub(super) fn read(text: &str) -> Self {
        let (code, comments) = split(&text.chars().collect::<Vec<_>>());
        let tests = test_spans(&code);
        Self { code, comments, tests }
    }

    pub(super) fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|span| span.contains(&at))
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.code[..at].iter().filter(|c| **c == '\n').count() + 1
    }

    /// Lines that are not inside test items.
    pub(super) fn lines_without_tests(&self) -> usize {
        let all = self.line(self.code.len());
        all - self.tests.iter().map(|span| self.line(span.end) - self.line(span.start)).sum::<usize>()
    }

    /// Every identifier of the code with its place.
    pub(super) fn idents(&self) -> Vec<(usize, String)> {
        idents(&self.code)
    }

    /// Every function outside tests: its place, name and the number of lines from `fn` to the closing brace.
    pub(super) fn functions(&self) -> Vec<(usize, String, usize)> {
        let words = self.idents();
        let mut found = Vec::new();
        for pair in words.windows(2) {
            let [(at, word), (_, name)] = pair else { continue };
            if word == "fn" && !self.is_test(*at) {
                let end = item_end(&self.code, *at);
                found.push((*at, name.clone(), self.line(end) - self.line(*at) + 1));
            }
        }
        found
    }

    /// How many `mod name { … }` blocks enclose a place.
    pub(super) fn inline_depth(&self, at: usize) -> usize {
        let words = self.idents();
        words
            .windows(2)
            .filter(|pair| pair[0].1 == "mod" && pair[0].0 < at && at < item_end(&self.code, pair[0].0))
            .filter(|pair| next_solid(&self.code, pair[1].0 + pair[1].1.chars().count()) == Some('{'))
            .count()
    }

    /// Names that follow `path` and `::`, with the place of `path`: `a::b` gives `b`, `a::{b, c::d}` gives `b` and `c`.
    /// `path` is a word, such as `crate`, or a chain of `super`.
    pub(super) fn names_after(&self, path: &str) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for (at, word) in self.idents() {
            if word == path {
                let names = members(&self.code, at + path.chars().count());
                if !names.is_empty() {
                    found.push((at, names));
                }
            }
        }
        found
    }
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn idents(code: &[char]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        if is_ident(code[at]) {
            let start = at;
            while at < code.len() && is_ident(code[at]) {
                at += 1;
            }
            found.push((start, code[start..at].iter().collect()));
        } else {
            at += 1;
        }
    }
    found
}

fn next_solid(code: &[char], from: usize) -> Option<char> {
    code[from..].iter().copied().find(|c| !c.is_whitespace())
}

/// The first names of the path or group that follows at `from`, when `::` follows there.
fn members(code: &[char], from: usize) -> Vec<String> {
    let Some(rest) = code[from..].trim_start().strip_prefix(&[':', ':']).map(Blanks::trim_start) else {
        return Vec::new();
    };
    match rest.first() {
        Some('{') => group(&rest[1..]),
        Some('*') => vec![String::from("*")],
        Some(_) => vec![rest.iter().take_while(|c| is_ident(**c)).collect()],
        None => Vec::new(),
    }
}

trait Blanks {
    fn trim_start(&self) -> &Self;
}

impl Blanks for [char] {
    fn trim_start(&self) -> &Self {
        let solid = self.iter().position(|c| !c.is_whitespace()).unwrap_or(self.len());
        &self[solid..]
    }
}

fn group(inside: &[char]) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut depth = 0;
    let mut in_name = true;
    for c in inside {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(String::new());
                in_name = true;
            }
            c if depth == 0 && in_name && (is_ident(*c) || *c == '*') => names.last_mut().unwrap().push(*c),
            c if c.is_whitespace() && names.last().unwrap().is_empty() => {}
            _ => in_name = false,
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Where the item that begins at `from` ends: behind its `;`, or behind its closing brace.
fn item_end(code: &[char], from: usize) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code.iter().enumerate().skip(from) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth <= 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Spans that begin with `#[cfg(test)]` and end with their item; the whole file for `#![cfg(test)]`.
fn test_spans(code: &[char]) -> Vec<Range<usize>> {
    let inner: Vec<char> = "#![cfg(test)]".chars().collect();
    if code.windows(inner.len()).any(|w| w == inner.as_slice()) {
        return std::iter::once(0..code.len()).collect();
    }
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut spans: Vec<Range<usize>> = Vec::new();
    for start in 0..code.len().saturating_sub(mark.len()) {
        if code[start..].starts_with(&mark) && !spans.iter().any(|span| span.contains(&start)) {
            let mut item = start + mark.len();
            while next_solid(code, item) == Some('#') {
                item += code[item..].iter().position(|c| *c == '[').unwrap();
                item = closing_bracket(code, item);
            }
            spans.push(start..item_end(code, item));
        }
    }
    spans
}

/// Behind the bracket that closes the one at `open`.
pub(super) fn closing_bracket(code: &[char], open: usize) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code.iter().enumerate().skip(open) {
        match c {
            '[' => depth += 1,
            ']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Code and comments of a text, each as long as the text.
fn split(text: &[char]) -> (Vec<char>, Vec<char>) {
    let blank = |c: &char| if *c == '\n' { '\n' } else { ' ' };
    let mut code: Vec<char> = text.iter().map(blank).collect();
    let mut comments = code.clone();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (kind, length) = token(rest, at > 0 && is_ident(text[at - 1]));
        match kind {
            Token::Code => code[at..at + length].copy_from_slice(&rest[..length]),
            Token::Comment => comments[at..at + length].copy_from_slice(&rest[..length]),
            Token::Literal => {
                code[at] = '"';
                code[at + length - 1] = '"';
            }
        }
        at += length;
    }
    (code, comments)
}

enum Token {
    Code,
    Comment,
    Literal,
}

/// The kind and length of what a text begins with.
fn token(text: &[char], after_ident: bool) -> (Token, usize) {
    let second = text.get(1).copied();
    match text[0] {
        '/' if second == Some('/') => (Token::Comment, text.iter().position(|c| *c == '\n').unwrap_or(text.len())),
        '/' if second == Some('*') => (Token::Comment, block_comment(text)),
        '"' => (Token::Literal, quoted(text, '"')),
        'r' if !after_ident => raw(text, 1).map_or((Token::Code, 1), |length| (Token::Literal, length)),
        'b' | 'c' if !after_ident && second == Some('r') => {
            raw(text, 2).map_or((Token::Code, 1), |length| (Token::Literal, length))
        }
        '\'' if second == Some('\\') => (Token::Literal, quoted(text, '\'')),
        '\'' if text.get(2) == Some(&'\'') => (Token::Literal, 3),
        _ => (Token::Code, 1),
    }
}

fn block_comment(text: &[char]) -> usize {
    let mut depth = 0_i32;
    let mut at = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

fn quoted(text: &[char], end: char) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            c if c == end => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of a raw string whose `#`s or quote begin at `prefix`; `None` when it is no raw string.
fn raw(text: &[char], prefix: usize) -> Option<usize> {
    let hashes = text[prefix..].iter().take_while(|c| **c == '#').count();
    if text.get(prefix + hashes) != Some(&'"') {
        return None;
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    let inside = prefix + hashes + 1;
    let end = text[inside..].windows(close.len()).position(|w| w == close.as_slice());
    Some(end.map_or(text.len(), |end| inside + end + close.len()))
}

#[test]
fn code_comments_and_tests_are_told_apart() {
    let source = Source::read(concat!(
        "//! Head. use crate::a;\n",
        "use crate::{b, c::{d, e}, f as g};\n",
        "fn life<'a>(x: &'a str) -> [u8; 2] { let _ = \"crate::h \\\" { \"; let _ = r#\"crate::i \" \"#; let _ = '{'; x }\n",
        "/* crate::j /* nested */ */\n",
        "#[cfg(test)]\n#[allow(dead_code, reason = \"]\")]\nmod tests { use crate::k; }\n",
        "#[cfg(test)]\nmod more;\n",
        "mod inner { use super::super::l; }\n",
    ));
    let names: Vec<_> =
        source.names_after("crate").into_iter().map(|(at, names)| (source.is_test(at), names)).collect();
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names, [(false, owned(&["b", "c", "f"])), (true, owned(&["k"]))]);
    let comments: String = source.comments.iter().collect();
    assert!(comments.contains("crate::a") && comments.contains("crate::j") && !comments.contains("crate::k"));
    let (at, name, lines) = source.functions().remove(0);
    assert_eq!((source.line(at), name.as_str(), lines), (3, "life", 1));
    let inner = source.names_after("super");
    assert_eq!(inner.last().unwrap().1, ["l"]);
    assert_eq!(source.inline_depth(inner[0].0), 1);
    assert_eq!(source.tests.len(), 2);
}
