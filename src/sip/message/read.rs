//! Owns the reading of one whole message: start line, header lines with folding, body by `Content-Length`. Values are
//! read when they are asked for, by the modules beside this one.

use std::borrow::Cow;

use super::{
    address::NameAddr,
    fields::{self, CSeq},
    limits::{MAX_BOUNDARY, MAX_HEADERS, MAX_MESSAGE, MAX_VALUES},
    name::Name,
    scan,
    start::{Method, Start},
    uri::Uri,
    via::Via,
};

/// One header line, unfolded. The value may be no UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Which.
    pub name: Name,
    /// The value without blanks around it.
    pub value: Cow<'a, [u8]>,
}

impl Field<'_> {
    /// The value as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }
}

/// Why a message cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing but blanks and line ends: a keep-alive.
    #[error("empty")]
    Empty,
    /// Above [`MAX_MESSAGE`] or [`MAX_HEADERS`].
    #[error("too large")]
    TooLarge,
    /// No request line and no status line.
    #[error("no start line")]
    Start,
    /// No empty line behind the headers.
    #[error("the head does not end")]
    Head,
    /// A line without a colon or without a name.
    #[error("a line that is no header")]
    Line,
    /// `Content-Length` is no number, or says two things, or more than there is (RFC 3261 section 18.3).
    #[error("Content-Length does not fit")]
    Length,
    /// Another version than 2.0.
    #[error("version is not SIP/2.0")]
    Version,
    /// The Request-URI makes no sense.
    #[error("malformed Request-URI")]
    RequestUri,
    /// A header that must be there is missing.
    #[error("a header is missing")]
    Missing,
    /// A header that may be there once is there twice.
    #[error("a header is there twice")]
    Twice,
    /// A header that must be understood makes no sense.
    #[error("a header makes no sense")]
    Value,
    /// The method in `CSeq` is another one than that of the request.
    #[error("CSeq names another method")]
    Method,
}

/// A message that borrows from its bytes.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The first line.
    pub start: Start,
    /// The headers in order.
    pub fields: Vec<Field<'a>>,
    /// The body.
    pub body: &'a [u8],
    /// What is wrong and was seen on the way; the message could be taken apart all the same, so that a request can be
    /// answered with 400.
    wrong: Option<Malformed>,
}

impl<'a> Message<'a> {
    /// Takes one message apart. Trailing bytes behind the body are ignored.
    ///
    /// # Errors
    /// Where not even an answer could be made.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Malformed::TooLarge);
        }
        let mut lines = HeadLines { rest: bytes };
        let first = loop {
            match lines.next() {
                Some(line) if line.trim_ascii().is_empty() && lines.rest.is_empty() => return Err(Malformed::Empty),
                Some([]) => {}
                Some(line) => break line,
                None => return Err(if bytes.trim_ascii().is_empty() { Malformed::Empty } else { Malformed::Head }),
            }
        };
        let start = Start::read(first).ok_or(Malformed::Start)?;
        let mut wrong = None;
        let mut fields: Vec<Field<'a>> = Vec::with_capacity(16);
        loop {
            let Some(line) = lines.next() else {
                // A request can still be answered; half a response is worth nothing.
                let Start::Request { .. } = &start else { return Err(Malformed::Head) };
                wrong = Some(Malformed::Head);
                lines.rest = &[];
                break;
            };
            if line.is_empty() {
                break;
            }
            if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
                unfold(&mut fields, line);
            } else if let Some(field) = field(line) {
                if fields.len() >= MAX_HEADERS {
                    return Err(Malformed::TooLarge);
                }
                fields.push(field);
            } else {
                wrong = Some(Malformed::Line);
            }
        }
        let mut message = Self { start, fields, body: lines.rest, wrong };
        message.cut_body();
        Ok(message)
    }

    /// Cuts the body to the length that is stated; without one a datagram is all body (RFC 3261 section 18.3).
    fn cut_body(&mut self) {
        let mut stated: Option<usize> = None;
        for value in self.values(Name::ContentLength) {
            let length = value.trim().parse::<usize>().ok().filter(|_| !value.trim().starts_with('+'));
            match (length, stated) {
                (Some(length), None) => stated = Some(length),
                (Some(length), Some(other)) if length == other => {}
                (Some(_) | None, _) => {
                    self.wrong = Some(Malformed::Length);
                    return;
                }
            }
        }
        match stated.map(|length| self.body.get(..length)) {
            Some(Some(body)) => self.body = body,
            Some(None) => self.wrong = Some(Malformed::Length),
            None => {}
        }
    }

    /// The first header of this name.
    #[must_use]
    pub fn first(&self, name: Name) -> Option<Cow<'_, str>> {
        self.fields.iter().find(|field| field.name == name).map(Field::text)
    }

    /// All headers of this name in order, each as one text.
    pub fn values(&self, name: Name) -> Vec<String> {
        let found = self.fields.iter().filter(|field| field.name == name).take(MAX_VALUES);
        found.map(|field| field.text().into_owned()).collect()
    }

    /// All values of this name in order, lists taken apart at their commas; what cannot be taken apart is left out.
    #[must_use]
    pub fn all(&self, name: Name) -> Vec<String> {
        let mut found = Vec::new();
        for field in self.fields.iter().filter(|field| field.name == name) {
            let text = field.text();
            found.extend(scan::split(&text, b',').unwrap_or_default().into_iter().map(str::to_owned));
            if found.len() >= MAX_VALUES {
                break;
            }
        }
        found.truncate(MAX_VALUES);
        found
    }

    /// Whether a list header (`Supported`, `Allow`, `Require`) names `word`.
    #[must_use]
    pub fn lists(&self, name: Name, word: &str) -> bool {
        self.fields
            .iter()
            .filter(|field| field.name == name)
            .any(|field| fields::list(&field.text()).any(|other| other.eq_ignore_ascii_case(word)))
    }

    /// The `CSeq`.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq> {
        self.first(Name::CSeq).and_then(|text| fields::cseq(&text))
    }

    /// The tag of `From` or `To`; empty where there is none. `None` when the header is missing or makes no sense.
    #[must_use]
    pub fn tag(&self, name: Name) -> Option<String> {
        let text = self.first(name)?;
        let address = NameAddr::read(&text)?;
        Some(address.tag().map(Cow::into_owned).unwrap_or_default())
    }

    /// The URI of the first `Contact`, when it makes sense and is no `*`.
    #[must_use]
    pub fn contact(&self) -> Option<String> {
        self.contacts(1).pop()
    }

    /// The URIs of the `Contact` headers, at most `most`.
    #[must_use]
    pub fn contacts(&self, most: usize) -> Vec<String> {
        let all = self.all(Name::Contact);
        all.iter().filter_map(|value| NameAddr::read(value)).map(|address| address.uri.to_owned()).take(most).collect()
    }

    /// The `Content-Type` without parameters, in lower case; empty where there is none.
    #[must_use]
    pub fn content_type(&self) -> String {
        let text = self.first(Name::ContentType).unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The session description in the body, also where it is one part of several.
    #[must_use]
    pub fn sdp(&self) -> Option<&'a [u8]> {
        if self.body.is_empty() {
            return None;
        }
        match self.content_type().as_str() {
            // Old peers leave the type out (RFC 2543).
            "application/sdp" => Some(self.body),
            "" if self.body.starts_with(b"v=") => Some(self.body),
            kind if kind.starts_with("multipart/") => self.part("application/sdp"),
            _ => None,
        }
    }

    /// The first part of a multipart body with this type (RFC 5621).
    fn part(&self, kind: &str) -> Option<&'a [u8]> {
        let text = self.first(Name::ContentType)?;
        let (_, params) = text.split_once(';')?;
        let boundary = scan::Params::read(params)?.value("boundary")?.into_owned();
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return None;
        }
        let mark = format!("--{boundary}");
        let mut starts = Vec::new();
        for at in 0..self.body.len().saturating_sub(mark.len()) {
            if starts.len() < MAX_VALUES && self.body.get(at..).is_some_and(|rest| rest.starts_with(mark.as_bytes())) {
                starts.push(at);
            }
        }
        starts.push(self.body.len());
        for pair in starts.windows(2) {
            let [from, to] = pair else { continue };
            let part = self.body.get(from + mark.len()..*to)?;
            let mut lines = HeadLines { rest: part };
            lines.next();
            let mut matches = false;
            while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
                let field = field(line);
                matches |= field.is_some_and(|field| {
                    let text = field.text();
                    field.name == Name::ContentType
                        && text.split(';').next().is_some_and(|text| text.trim().eq_ignore_ascii_case(kind))
                });
            }
            if matches {
                return Some(lines.rest);
            }
        }
        None
    }

    /// The top `Via` and how many there are. `None` when one makes no sense.
    #[must_use]
    pub fn branch(&self) -> Option<(String, usize)> {
        let all = self.all(Name::Via);
        let top = Via::read(all.first()?)?;
        Some((top.branch()?, all.len()))
    }

    /// What forbids to act on this message (RFC 3261 sections 8.1.3, 8.2 and 16.3); `None` when it is sound.
    #[must_use]
    pub fn fault(&self) -> Option<Malformed> {
        if let Start::Request { uri, version, .. } = &self.start {
            if !version.eq_ignore_ascii_case("SIP/2.0") {
                // Told apart from a request line with a blank too many.
                let other = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
                return Some(if other { Malformed::Version } else { Malformed::RequestUri });
            }
            if Uri::read(uri).is_none_or(|uri| uri.is_sip() && uri.headers.is_some()) {
                return Some(Malformed::RequestUri);
            }
        }
        self.wrong.filter(|wrong| *wrong != Malformed::Line || self.is_request()).or_else(|| self.header_fault())
    }

    fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    fn header_fault(&self) -> Option<Malformed> {
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            if !self.fields.iter().any(|field| field.name == name) {
                return Some(Malformed::Missing);
            }
        }
        let twice = |field: &Field<'_>| {
            field.name.is_single() && self.fields.iter().filter(|other| other.name == field.name).count() > 1
        };
        if self.fields.iter().any(twice) {
            return Some(Malformed::Twice);
        }
        let Some(cseq) = self.cseq() else { return Some(Malformed::Value) };
        if let Start::Request { method, .. } = &self.start
            && cseq.method != *method
        {
            return Some(Malformed::Method);
        }
        let vias = self.fields.iter().filter(|field| field.name == Name::Via);
        let sound_vias = vias.map(Field::text).all(|text| {
            let values = scan::split(&text, b',');
            values.is_some_and(|values| values.iter().all(|value| Via::read(value).is_some()))
        });
        let call_id = self.first(Name::CallId).is_some_and(|text| !text.is_empty() && !text.contains(scan::blank));
        let sound = sound_vias && call_id && self.tag(Name::From).is_some() && self.tag(Name::To).is_some();
        if !sound || (self.is_request() && !self.sound_request()) {
            return Some(Malformed::Value);
        }
        None
    }

    /// Headers that only matter in requests.
    fn sound_request(&self) -> bool {
        let contacts = self.fields.iter().filter(|field| field.name == Name::Contact).map(Field::text).all(|text| {
            let values = scan::split(&text, b',');
            text == "*" || values.is_some_and(|values| values.iter().all(|value| sound_contact(value)))
        });
        let forwards = self.first(Name::MaxForwards).is_none_or(|text| text.parse::<u8>().is_ok());
        let expires = self.first(Name::Expires).is_none_or(|text| fields::seconds(&text).is_some());
        let date = self.first(Name::Date).is_none_or(|text| text.ends_with("GMT"));
        contacts && forwards && expires && date
    }

    /// The method and URI of a request.
    #[must_use]
    pub fn request(&self) -> Option<(&Method, &str)> {
        match &self.start {
            Start::Request { method, uri, .. } => Some((method, uri)),
            Start::Response { .. } => None,
        }
    }
}

/// A URI with parameters of its own or with headers has to stand in brackets (RFC 3261 section 20.10).
fn sound_contact(value: &str) -> bool {
    let bracketed = value.contains('<');
    NameAddr::read(value).is_some_and(|address| bracketed || !address.uri.contains('?'))
}

/// The lines of a head: CRLF, or a bare LF, which some peers send.
struct HeadLines<'a> {
    rest: &'a [u8],
}

impl<'a> HeadLines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let at = self.rest.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.rest.split_at_checked(at)?;
        self.rest = rest.get(1..)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn field(line: &[u8]) -> Option<Field<'_>> {
    let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
    let name = std::str::from_utf8(name).ok()?.trim_end_matches(scan::blank);
    let value = value.get(1..)?.trim_ascii();
    scan::is_token(name).then(|| Field { name: Name::read(name), value: Cow::Borrowed(value) })
}

/// A line that begins with a blank goes on with the line before it.
fn unfold(fields: &mut [Field<'_>], line: &[u8]) {
    let more = line.trim_ascii();
    if let Some(field) = fields.last_mut()
        && !more.is_empty()
    {
        let value = field.value.to_mut();
        if !value.is_empty() {
            value.push(b' ');
        }
        value.extend_from_slice(more);
    }
}
