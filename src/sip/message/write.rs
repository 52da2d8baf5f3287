//! Owns the writing of messages. Whatever is written into a line, no line end gets into it: a header cannot be slipped in.

use super::start::Method;

/// Writes one message, line by line.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A request. Its URI must have been read by [`super::Uri::read`], which lets no blank pass.
    #[must_use]
    pub fn request(method: &Method, uri: &str) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(1024) };
        writer.plain(method.name().as_bytes());
        writer.bytes.push(b' ');
        writer.plain(uri.as_bytes());
        writer.bytes.extend_from_slice(b" SIP/2.0\r\n");
        writer
    }

    /// A response.
    #[must_use]
    pub fn response(code: u16, phrase: &str) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(512) };
        writer.bytes.extend_from_slice(b"SIP/2.0 ");
        writer.plain(code.to_string().as_bytes());
        writer.bytes.push(b' ');
        writer.plain(phrase.as_bytes());
        writer.bytes.extend_from_slice(b"\r\n");
        writer
    }

    /// A header line. Control characters in the value, line ends before all, become spaces.
    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.plain(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.plain(value.as_ref());
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Lines that another writer made.
    pub(crate) fn lines(&mut self, lines: &Lines) -> &mut Self {
        self.bytes.extend_from_slice(&lines.0);
        self
    }

    /// The message without a body.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.with_body(&[])
    }

    /// The message with a body, whose type is in a header already.
    #[must_use]
    pub fn with_body(mut self, body: &[u8]) -> Vec<u8> {
        self.header("Content-Length", body.len().to_string());
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.extend_from_slice(body);
        self.bytes.shrink_to_fit();
        self.bytes
    }

    fn plain(&mut self, value: &[u8]) {
        self.bytes.extend(value.iter().map(|byte| clean(*byte)));
    }
}

/// Header lines that several messages share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    /// As [`Writer::header`].
    pub(crate) fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.0.extend(name.bytes().map(clean));
        self.0.extend_from_slice(b": ");
        self.0.extend(value.as_ref().iter().map(|byte| clean(*byte)));
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// As [`Lines::header`], in the place of all lines of this name.
    pub(crate) fn replace(&mut self, name: &str, value: &str) -> &mut Self {
        let start = format!("{name}:");
        let others = self.0.split_inclusive(|byte| *byte == b'\n');
        self.0 = others.filter(|line| !line.starts_with(start.as_bytes())).collect::<Vec<_>>().concat();
        self.header(name, value)
    }
}

const fn clean(byte: u8) -> u8 {
    if byte < b' ' && byte != b'\t' || byte == 0x7f { b' ' } else { byte }
}
