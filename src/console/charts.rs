//! Owns the charts of the board: where bars, lines, marks and labels stand, as plain numbers, and their SVG. Colour never
//! says anything alone: each kind has a pattern or a mark of its own too. What is shown, and in which words, is decided
//! elsewhere.

#[cfg(test)]
mod tests;

use askama::Template;

/// The size of every chart, in its own units.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 200.0;
/// What the labels need at the sides.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;
/// Labels beside and below a chart, at most.
const Y_LABELS: usize = 4;
const X_LABELS: usize = 7;
/// No axis goes further, whatever is shown: more than any count, and far from where numbers end.
const FURTHEST: f64 = 1e21;
/// Most points of which each has a mark; of more, only those that no line leads to, and the last.
const MOST_MARKED: usize = 30;
/// Most kinds that are told apart: colours with patterns, and marks.
pub(super) const MOST_KINDS: usize = 6;

/// A chart, ready to be shown.
#[derive(Debug, Template)]
#[template(path = "console/chart.html")]
pub(super) struct Chart {
    /// Begins the ids of its parts: unique in the page.
    id: &'static str,
    title: String,
    description: String,
    y_labels: Vec<Label>,
    x_labels: Vec<Label>,
    bars: Vec<Bar>,
    lines: Vec<Path>,
    marks: Vec<Mark>,
    /// A line across the whole chart, to compare with.
    across: Option<f64>,
    legend: Vec<Entry>,
    patterns: bool,
}

/// What a chart says, whatever it shows.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Begins the ids of its parts: unique in the page.
    pub(super) id: &'static str,
    /// What it shows, in a few words.
    pub(super) title: String,
    /// What can be seen in it, in a sentence.
    pub(super) description: String,
    /// What stands below each place, from left to right.
    pub(super) places: Vec<String>,
    /// Every which of them is named, where there is room for so many; the last one always is.
    pub(super) every: usize,
}

/// One kind of what is stacked.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// What it is called.
    pub(super) name: String,
    /// Its colour and pattern, from 1 to [`MOST_KINDS`].
    pub(super) kind: usize,
    /// How much, at each place.
    pub(super) values: Vec<u64>,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// What it is called.
    pub(super) name: String,
    /// Its colour and mark, from 1 to [`MOST_KINDS`].
    pub(super) kind: usize,
    /// How much, at each place; nothing where nothing is known.
    pub(super) values: Vec<Option<f64>>,
}

/// What the values of lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Shares of all, 0 to 1, shown as percent of a whole that always reaches to 100.
    Share,
    /// Seconds.
    Seconds,
}

#[derive(Debug, Clone, PartialEq)]
struct Label {
    at: f64,
    text: String,
    /// Left out where there is little room.
    minor: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    kind: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Path {
    d: String,
    kind: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Mark {
    d: String,
    kind: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    name: String,
    /// `None` for the line across.
    kind: Option<usize>,
    /// The mark of a line; empty for a bar.
    mark: String,
}

impl Chart {
    /// Bars of stacked layers, the first at the bottom.
    pub(super) fn bars(head: Head, layers: &[Layer]) -> Self {
        let places = head.places.len();
        let sum = |place: usize| {
            layers
                .iter()
                .filter_map(|layer| layer.values.get(place))
                .fold(0_u64, |sum, value| sum.saturating_add(*value))
        };
        let most = (0..places).map(sum).max().unwrap_or_default();
        let (top, ticks) = scale(most as f64, Steps::Whole);
        let room = (WIDTH - LEFT - RIGHT) / places.max(1) as f64;
        let width = (room * 0.8).max(room - 4.0);
        let mut bars = Vec::new();
        for place in 0..places {
            let mut below = 0_u64;
            for layer in layers {
                let value = layer.values.get(place).copied().unwrap_or_default();
                if value > 0 {
                    let upper = below.saturating_add(value);
                    let (y, bottom) = (height_of(upper as f64, top), height_of(below as f64, top));
                    bars.push(Bar {
                        x: round(LEFT + room * place as f64 + (room - width) / 2.0),
                        y: round(y),
                        width: round(width),
                        height: round(bottom - y),
                        kind: bounded(layer.kind),
                    });
                    below = upper;
                }
            }
        }
        let legend = layers
            .iter()
            .map(|layer| Entry { name: layer.name.clone(), kind: Some(bounded(layer.kind)), mark: String::new() })
            .collect();
        let y_labels = ticks.iter().map(|tick| label(height_of(*tick, top), compact(*tick))).collect();
        let x_labels = x_labels(&head);
        Self { y_labels, x_labels, bars, legend, patterns: true, ..Self::empty(head) }
    }

    /// Lines, and one across to compare them with, with its name.
    pub(super) fn lines(head: Head, unit: Unit, lines: &[Line], across: Option<(f64, String)>) -> Self {
        let places = head.places.len();
        let known = |value: &Option<f64>| value.filter(|value| value.is_finite() && *value >= 0.0);
        let across = across.filter(|(value, _)| value.is_finite() && *value >= 0.0);
        let values = lines.iter().flat_map(|line| line.values.iter().filter_map(known));
        let most = values.chain(across.iter().map(|(value, _)| *value)).fold(0.0, f64::max);
        let (top, ticks) = match unit {
            Unit::Share => (1.0, vec![0.0, 0.25, 0.5, 0.75, 1.0]),
            Unit::Seconds => scale(most, Steps::Any),
        };
        let room = (WIDTH - LEFT - RIGHT) / places.max(1) as f64;
        let x = |place: usize| LEFT + room * (place as f64 + 0.5);
        let (mut paths, mut marks) = (Vec::new(), Vec::new());
        for line in lines {
            let points: Vec<Option<(f64, f64)>> = (0..places)
                .map(|place| {
                    let value = line.values.get(place).and_then(known)?;
                    Some((round(x(place)), round(height_of(value.min(top), top))))
                })
                .collect();
            let kind = bounded(line.kind);
            paths.push(Path { d: path(&points), kind });
            marks.extend(marked(&points).into_iter().map(|(x, y)| Mark { d: mark(kind, x, y), kind }));
        }
        let mut legend: Vec<Entry> = lines
            .iter()
            .map(|line| {
                let kind = bounded(line.kind);
                Entry { name: line.name.clone(), kind: Some(kind), mark: mark(kind, 12.0, 6.0) }
            })
            .collect();
        if let Some((_, name)) = &across {
            legend.push(Entry { name: name.clone(), kind: None, mark: String::new() });
        }
        let text = |tick: f64| match unit {
            Unit::Share => format!("{:.0}%", tick * 100.0),
            Unit::Seconds => format!("{} s", compact(tick)),
        };
        let y_labels = ticks.iter().map(|tick| label(height_of(*tick, top), text(*tick))).collect();
        let x_labels = x_labels(&head);
        let across = across.map(|(value, _)| round(height_of(value.min(top), top)));
        Self { y_labels, x_labels, lines: paths, marks, across, legend, ..Self::empty(head) }
    }

    fn empty(head: Head) -> Self {
        Self {
            id: head.id,
            title: head.title,
            description: head.description,
            y_labels: Vec::new(),
            x_labels: Vec::new(),
            bars: Vec::new(),
            lines: Vec::new(),
            marks: Vec::new(),
            across: None,
            legend: Vec::new(),
            patterns: false,
        }
    }

    /// Its mark-up, for a page; nothing where it cannot be made.
    pub(super) fn svg(&self) -> String {
        self.render().unwrap_or_default()
    }

    /// The kinds that have a pattern in it.
    fn kinds(&self) -> Vec<usize> {
        (1..=MOST_KINDS).filter(|kind| self.patterns && self.bars.iter().any(|bar| bar.kind == *kind)).collect()
    }

    const fn left(&self) -> f64 {
        LEFT
    }

    const fn right(&self) -> f64 {
        WIDTH - RIGHT
    }

    const fn floor(&self) -> f64 {
        HEIGHT - BOTTOM
    }
}

/// Where a share of all stands in a bar of 100, for tables.
pub(super) fn percent_of(share: Option<f64>) -> u32 {
    let share = share.filter(|share| share.is_finite()).unwrap_or_default().clamp(0.0, 1.0);
    // Between 0 and 100 by now.
    (0..=100_u32).take_while(|whole| f64::from(*whole) <= share * 100.0 + 0.5).last().unwrap_or_default()
}

/// Which values an axis may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Steps {
    Whole,
    Any,
}

/// The end of an axis that holds a value, and what is named on it: 1, 2 or 5 times a power of ten apart.
fn scale(most: f64, steps: Steps) -> (f64, Vec<f64>) {
    let least = if steps == Steps::Whole { 1.0 } else { 0.1 };
    let most = if most.is_finite() { most.clamp(least, FURTHEST) } else { least };
    let wanted = most / (Y_LABELS - 1) as f64;
    let power = 10_f64.powf(wanted.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().map(|of| of * power).find(|step| *step >= wanted * 0.999);
    let step = nice.unwrap_or(power * 10.0).max(least);
    let count = (most / step).ceil().clamp(1.0, (Y_LABELS + 1) as f64);
    let ticks = (0..=Y_LABELS + 1).map(|n| n as f64).take_while(|n| *n <= count).map(|n| n * step).collect();
    (step * count, ticks)
}

fn height_of(value: f64, top: f64) -> f64 {
    let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
    HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
}

/// To a tenth of a unit, which nobody can see.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

const fn bounded(kind: usize) -> usize {
    if kind == 0 || kind > MOST_KINDS { MOST_KINDS } else { kind }
}

fn label(at: f64, text: String) -> Label {
    Label { at: round(at), text, minor: false }
}

/// A number that fits beside an axis: 1500 is 1.5k.
fn compact(value: f64) -> String {
    let (value, unit) = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|(size, _)| value >= *size)
        .map_or((value, ""), |(size, unit)| (value / size, unit));
    let text = format!("{value:.1}");
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// Some of the places by name, evenly, the last one always.
fn x_labels(head: &Head) -> Vec<Label> {
    let count = head.places.len();
    let room = (WIDTH - LEFT - RIGHT) / count.max(1) as f64;
    let every = count.div_ceil(X_LABELS).max(head.every).max(1);
    let named = head.places.iter().enumerate().rev().step_by(every);
    named
        .enumerate()
        .map(|(nth, (place, text))| Label {
            at: round(LEFT + room * (place as f64 + 0.5)),
            text: text.clone(),
            minor: nth % 2 == 1,
        })
        .collect()
}

/// A path along the points, broken where there is none.
fn path(points: &[Option<(f64, f64)>]) -> String {
    let mut d = String::new();
    let mut goes_on = false;
    for point in points {
        if let Some((x, y)) = point {
            d.push_str(&format!("{}{x} {y}", if goes_on { 'L' } else { 'M' }));
        }
        goes_on = point.is_some();
    }
    d
}

/// The points that get a mark.
fn marked(points: &[Option<(f64, f64)>]) -> Vec<(f64, f64)> {
    let all = points.len() <= MOST_MARKED;
    let is_there = |at: Option<usize>| at.and_then(|at| points.get(at)).is_some_and(Option::is_some);
    let last = points.iter().rposition(Option::is_some);
    let chosen = points.iter().enumerate().filter(|(at, _)| {
        let alone = !is_there(at.checked_sub(1)) && !is_there(Some(at + 1));
        all || alone || Some(*at) == last
    });
    chosen.filter_map(|(_, point)| *point).collect()
}

/// The mark of a kind: circle, triangle, square, diamond, cross, bar.
fn mark(kind: usize, x: f64, y: f64) -> String {
    match kind {
        1 => format!("M{} {y}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z", round(x - 3.5)),
        2 => format!("M{x} {}l4.2 7.4h-8.4z", round(y - 4.6)),
        3 => format!("M{} {}h6.4v6.4h-6.4z", round(x - 3.2), round(y - 3.2)),
        4 => format!("M{x} {}l4.4 4.4l-4.4 4.4l-4.4 -4.4z", round(y - 4.4)),
        5 => format!("M{} {}h2.2v-2.8h2.4v2.8h2.2v2.4h-2.2v2.8h-2.4v-2.8h-2.2z", round(x - 3.4), round(y - 1.2)),
        _ => format!("M{} {}h8v2.8h-8z", round(x - 4.0), round(y - 1.4)),
    }
}
