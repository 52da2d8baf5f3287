//! Owns what commands print and how: the result on the standard output, everything else on the standard error, colour
//! only on a terminal of somebody who wants it (`NO_COLOR`).

use std::io::{self, IsTerminal, Write};

use crate::{telemetry, texts};

/// Where the language of a terminal is looked for, in this order (POSIX.1-2017, Base Definitions §8.2).
const LOCALES: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// The two ways out.
pub(super) struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Whether the standard output is a terminal.
    pub(super) out_is_terminal: bool,
    /// Whether the standard error is a terminal.
    pub(super) err_is_terminal: bool,
    colour: bool,
    /// The language that people are spoken to in.
    pub(super) language: &'static str,
}

/// How something is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// As it should be.
    Good,
    /// To be looked at.
    Warning,
    /// Broken, or said no.
    Bad,
    /// Less important.
    Faint,
    /// To be found quickly.
    Strong,
}

impl Mark {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Strong => "1",
        }
    }
}

impl Output {
    /// Those of this process.
    pub(super) fn of_process() -> Self {
        Self {
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            colour: telemetry::colour_wanted(),
            language: texts::terminal_language(LOCALES.map(|name| {
                std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
            })),
        }
    }

    /// A text of the catalogue, in the language of whoever reads it.
    pub(super) fn text(&self, id: &str, args: &[(&str, &str)]) -> String {
        texts::terminal(self.language, id, args)
    }

    /// A line of the result.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// The result as it is.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// A line for people beside the result.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{text}")
    }

    /// Why it did not work.
    pub(super) fn fault(&mut self, text: &str) -> io::Result<()> {
        let head = if self.err_is_terminal { self.painted("error:", Mark::Bad) } else { String::from("error:") };
        writeln!(self.err, "{head} {text}")
    }

    /// Whether the standard output shows colours.
    pub(super) fn shows_colour(&self) -> bool {
        self.out_is_terminal && self.colour
    }

    /// Text with colour, where the standard output shows any.
    pub(super) fn paint(&self, text: &str, mark: Mark) -> String {
        if self.out_is_terminal { self.painted(text, mark) } else { text.to_owned() }
    }

    /// Text with colour, where the standard error shows any.
    pub(super) fn paint_note(&self, text: &str, mark: Mark) -> String {
        if self.err_is_terminal { self.painted(text, mark) } else { text.to_owned() }
    }

    fn painted(&self, text: &str, mark: Mark) -> String {
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", mark.code()) } else { text.to_owned() }
    }
}

/// Text of others as it may be shown on a terminal: control characters would be obeyed.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
