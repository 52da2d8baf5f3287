//! Owns name-addr and addr-spec: what `From`, `To`, `Contact`, `Route` and `Record-Route` hold (RFC 3261 section 20.10).

use std::borrow::Cow;

use super::{
    scan::{Params, blank, unquote},
    uri::Uri,
};

/// A URI, perhaps with a name before and parameters behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The name shown to people.
    pub display: Option<Cow<'a, str>>,
    /// The URI without brackets; see [`NameAddr::parts`].
    pub uri: &'a str,
    /// Parameters of the header, `tag` among them.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value. `None` when a quote or bracket is not closed, or the URI or a parameter makes no sense.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let text = text.trim_matches(blank);
        let (display, rest) = if text.starts_with('"') {
            let end = closing_quote(text)?;
            let (quoted, rest) = text.split_at_checked(end)?;
            (Some(unquote(quoted)), rest.trim_start_matches(blank))
        } else {
            (None, text)
        };
        let (display, uri, params) = match rest.split_once('<') {
            Some((before, behind)) => {
                let before = before.trim_matches(blank);
                if display.is_some() && !before.is_empty() || before.contains(['"', '>', ';', ':', ',']) {
                    return None;
                }
                let (uri, params) = behind.split_once('>')?;
                let bare = (!before.is_empty()).then_some(Cow::Borrowed(before));
                (display.or(bare), uri.trim_matches(blank), params)
            }
            // Without brackets a name is not possible, and what follows a semicolon belongs to the header.
            None if display.is_some() => return None,
            None => {
                let (uri, params) = rest.split_at_checked(rest.find(';').unwrap_or(rest.len()))?;
                (None, uri.trim_matches(blank), params)
            }
        };
        Uri::read(uri)?;
        let params = params.trim_matches(blank);
        let params = match params.strip_prefix(';') {
            Some(params) => Params::read(params)?,
            None if params.is_empty() => Params::default(),
            None => return None,
        };
        Some(Self { display, uri, params })
    }

    /// The URI in parts.
    #[must_use]
    pub fn parts(&self) -> Option<Uri<'a>> {
        Uri::read(self.uri)
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<Cow<'a, str>> {
        self.params.value("tag").filter(|tag| !tag.is_empty())
    }
}

/// Where a text that begins with a quote goes on behind the closing one.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}
