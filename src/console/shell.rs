//! Owns what all pages of the console have in common: head, places, switches, who is signed in.

use super::{
    Console,
    session::{Taste, Visit},
    zone::Zone,
};
use crate::{
    pages::{self, Theme, Words},
    texts,
};

/// A place of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Calls,
    Board,
    Health,
    Outbox,
}

impl Place {
    /// All of them, in the order of the menu.
    const ALL: [Self; 4] = [Self::Calls, Self::Board, Self::Health, Self::Outbox];

    /// The path below the console, and the text id of its name.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Calls => ("/calls", "console-calls"),
            Self::Board => ("/board", "board-title"),
            Self::Health => ("/health", "health-title"),
            Self::Outbox => ("/outbox", "console-outbox"),
        }
    }

    /// The text id of its name.
    pub(super) const fn title(self) -> &'static str {
        self.words().1
    }
}

/// One entry of the menu.
pub(super) struct Entry {
    pub(super) path: &'static str,
    pub(super) name: String,
    pub(super) current: bool,
}

/// What the shell shows round the part that a page brings.
pub(super) struct Shell {
    /// What stands before every path.
    pub(super) base: String,
    pub(super) brand: String,
    pub(super) words: Words,
    pub(super) theme: Theme,
    pub(super) zone: Zone,
    pub(super) title: String,
    /// Which place of the menu is lit; none where nobody is signed in.
    pub(super) place: Option<Place>,
    /// Path and query of this page: where a switch comes back to.
    pub(super) path: String,
    /// Who is signed in.
    pub(super) subject: Option<String>,
    /// Whether the page loads itself again where there are no scripts.
    pub(super) reloads: bool,
}

impl Shell {
    /// The shell of a page for somebody who is signed in. `title` is the id of a text.
    pub(super) fn new(console: &Console, visit: &Visit, title: &str, place: Place) -> Self {
        let taste = Taste { words: visit.words, theme: visit.theme, zone: visit.zone.clone() };
        let of = Self::of(console, &taste, title);
        Self { place: Some(place), path: visit.path.clone(), subject: Some(visit.session.shown().to_owned()), ..of }
    }

    /// The shell of a page for nobody in particular.
    pub(super) fn of(console: &Console, taste: &Taste, title: &str) -> Self {
        Self {
            base: console.base.clone(),
            brand: console.brand.clone(),
            words: taste.words,
            theme: taste.theme,
            zone: taste.zone.clone(),
            title: taste.words.t(title),
            place: None,
            path: String::new(),
            subject: None,
            reloads: false,
        }
    }

    pub(super) fn t(&self, id: &str) -> String {
        self.words.t(id)
    }

    /// A drawing, as mark-up.
    #[expect(clippy::unused_self, reason = "templates reach functions through the shell")]
    pub(super) fn icon(&self, name: &str) -> &'static str {
        pages::icon(name)
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through the shell")]
    pub(super) fn languages(&self) -> Vec<Words> {
        texts::page_languages().map(|language| Words { language }).collect()
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through the shell")]
    pub(super) const fn themes(&self) -> [Theme; 3] {
        Theme::ALL
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through the shell")]
    pub(super) fn zones(&self) -> Vec<String> {
        Zone::offered()
    }

    /// The menu.
    pub(super) fn places(&self) -> Vec<Entry> {
        let entry = |place: Place| {
            let (path, name) = place.words();
            Entry { path, name: self.t(name), current: self.place == Some(place) }
        };
        if self.place.is_some() { Place::ALL.into_iter().map(entry).collect() } else { Vec::new() }
    }
}
