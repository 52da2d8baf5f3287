//! Owns the facade of traces: what is told of a piece of work that was done for a trace, and the one place that it is told
//! to. Nobody listens unless the root says so; until then nothing is made, and looking whether somebody does is one load.
//! Where spans go is not its business.

use std::{
    borrow::Cow,
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    time::SystemClock,
    trace::{SpanId, Trace, TraceId},
};

/// Who did what for whom (OpenTelemetry's span kinds, as far as we need them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Within ringproof.
    Internal,
    /// A request that was answered.
    Server,
    /// A request that was made.
    Client,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A word of a bounded list, a name of the configuration, an id: never what a client or a callee wrote.
    Word(Cow<'static, str>),
    /// A number that counts or classifies.
    Number(i64),
}

/// A piece of work that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it was, in few words of a bounded list.
    pub name: Cow<'static, str>,
    /// Who did what for whom.
    pub kind: Kind,
    /// Which trace it belongs to.
    pub trace: TraceId,
    /// Its own name.
    pub id: SpanId,
    /// The span it was a part of.
    pub parent: Option<SpanId>,
    /// Whether that one is another program's.
    pub parent_is_remote: bool,
    /// When it began, in ns since the Unix epoch.
    pub began_ns: u64,
    /// When it was over, in ns since the Unix epoch.
    pub ended_ns: u64,
    /// What there is to say about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened meanwhile, and when, in ns since the Unix epoch.
    pub events: Vec<(&'static str, u64)>,
    /// Whether it came to nothing, through our fault or that of whom we asked.
    pub failed: bool,
}

/// Which traces are kept, of those that begin here, and of those that others began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The part of traces, from 0 to 1, that is kept.
    pub ratio: f64,
    /// Whether a trace that another began is kept if and only if that other keeps it.
    pub parent_based: bool,
}

/// 2 to the power of the number of bits that decide which traces are kept.
const DECIDING: f64 = 72_057_594_037_927_936.0;

impl Sampling {
    /// Whether spans of this trace are kept. All who use the same part keep the same traces: only the id decides.
    fn keeps(self, id: TraceId, parent_sampled: Option<bool>) -> bool {
        match parent_sampled {
            Some(sampled) if self.parent_based => sampled,
            Some(_) | None => {
                // Compared as whole numbers: rounded up, the highest id would be kept of a part that is none.
                id.random_part() >= ((1.0 - self.ratio) * DECIDING) as u64
            }
        }
    }
}

/// Takes a span. Must not wait for anything.
pub type Sink = Box<dyn Fn(Span) + Send + Sync>;

struct Listener {
    sink: Sink,
    sampling: Sampling,
    random: AtomicU64,
}

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Has all spans told to `sink` from now on. `seed` are random bits that make the ids of this process its own. False when
/// somebody listens already.
pub fn listen(sink: Sink, sampling: Sampling, seed: u64) -> bool {
    LISTENER.set(Listener { sink, sampling, random: AtomicU64::new(seed) }).is_ok()
}

/// Whether anybody listens.
#[must_use]
pub fn is_on() -> bool {
    LISTENER.get().is_some()
}

impl Listener {
    /// 64 bits that no other call gets (`SplitMix64`). Ids have to be unique, not secret.
    fn draw(&self) -> [u8; 8] {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)).to_be_bytes()
    }

    fn new_span(&self) -> SpanId {
        SpanId::new(self.draw())
    }

    fn new_trace(&self) -> TraceId {
        let mut bytes = [0; 16];
        let (high, low) = bytes.split_at_mut(8);
        high.copy_from_slice(&self.draw());
        low.copy_from_slice(&self.draw());
        TraceId::new(bytes)
    }
}

/// Tells of a span that was put together elsewhere. Nobody hears of it where the trace is not kept.
pub fn tell(of: &Trace, make: impl FnOnce() -> Span) {
    if let Some(listener) = LISTENER.get().filter(|_| of.sampled) {
        (listener.sink)(make());
    }
}

/// A piece of work that goes on. It is told of when this is dropped, even where the work was given up.
#[derive(Debug)]
#[must_use = "the span lasts as long as this lives"]
pub struct Open {
    span: Option<Span>,
    here: Trace,
    settled: bool,
}

/// Begins a piece of work for a trace. `None` where nobody listens, or the trace is not kept.
pub fn begin(parent: &Trace, kind: Kind, name: impl Into<Cow<'static, str>>) -> Option<Open> {
    let listener = LISTENER.get().filter(|_| parent.sampled)?;
    let here = parent.below(listener.new_span());
    let began_ns = SystemClock.now_ns();
    let span = Span {
        name: name.into(),
        kind,
        trace: here.id,
        id: here.span,
        parent: Some(parent.span),
        parent_is_remote: false,
        began_ns,
        ended_ns: began_ns,
        attributes: Vec::new(),
        events: Vec::new(),
        failed: false,
    };
    Some(Open { span: Some(span), here, settled: false })
}

impl Open {
    /// This span, as the place for what is done below it.
    #[must_use]
    pub const fn here(&self) -> &Trace {
        &self.here
    }

    /// Says something about it in a word.
    pub fn word(&mut self, key: &'static str, word: impl Into<Cow<'static, str>>) {
        self.say(key, Value::Word(word.into()));
    }

    /// Says something about it in a number.
    pub fn number(&mut self, key: &'static str, number: impl Into<i64>) {
        self.say(key, Value::Number(number.into()));
    }

    fn say(&mut self, key: &'static str, value: Value) {
        if let Some(span) = &mut self.span {
            span.attributes.push((key, value));
        }
    }

    /// It has come to its end.
    pub const fn settle(&mut self) {
        self.settled = true;
    }

    /// It has come to nothing, because of `error`, a word of a bounded list.
    pub fn fail(&mut self, error: impl Into<Cow<'static, str>>) {
        self.settled = true;
        self.word("error.type", error);
        if let Some(span) = &mut self.span {
            span.failed = true;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.settled {
            // Whoever waited for it gave up: that is what a limit on time does.
            self.fail("given_up");
        }
        if let (Some(mut span), Some(listener)) = (self.span.take(), LISTENER.get()) {
            span.ended_ns = SystemClock.now_ns();
            (listener.sink)(span);
        }
    }
}

/// A request that somebody makes of us. To which trace it belongs is known only when it is known who asks for what: what
/// strangers send makes no spans, and a carrier's message belongs to the call it is about.
#[derive(Debug)]
pub struct Asked {
    came_with: Option<Trace>,
    id: SpanId,
    began_ns: u64,
    place: OnceLock<Place>,
}

#[derive(Debug)]
struct Place {
    here: Trace,
    parent: Option<SpanId>,
    parent_is_remote: bool,
}

impl Asked {
    /// A request has come, with this place in a trace if it names one. `None` where nobody listens.
    #[must_use]
    pub fn begin(came_with: impl FnOnce() -> Option<Trace>) -> Option<Arc<Self>> {
        let listener = LISTENER.get()?;
        let (id, began_ns) = (listener.new_span(), SystemClock.now_ns());
        Some(Arc::new(Self { came_with: came_with(), id, began_ns, place: OnceLock::new() }))
    }

    /// Who asks is known: the request belongs to the trace that it names, or else to one of its own.
    fn accept(&self) -> &Place {
        self.place.get_or_init(|| {
            let from = self.came_with.as_ref();
            let keeps = |id| {
                LISTENER.get().is_some_and(|listener| listener.sampling.keeps(id, from.map(|trace| trace.sampled)))
            };
            let Some(from) = from else {
                let id = LISTENER.get().map_or_else(|| TraceId::new([0; 16]), Listener::new_trace);
                return Place { here: Trace::new(id, self.id, keeps(id)), parent: None, parent_is_remote: false };
            };
            let sampled = keeps(from.id);
            // Where nothing is kept there is no span of ours that others could be below of.
            let mut here = if sampled { from.below(self.id) } else { from.clone() };
            here.sampled = sampled;
            Place { here, parent: Some(from.span), parent_is_remote: true }
        })
    }

    /// The request belongs below `trace`, whatever it says itself. The first word counts.
    pub fn join(&self, trace: &Trace) {
        let here = trace.below(self.id);
        let _joined = self.place.set(Place { here, parent: Some(trace.span), parent_is_remote: true });
    }

    /// Which trace it turned out to belong to.
    #[must_use]
    pub fn trace(&self) -> Option<TraceId> {
        self.place.get().map(|place| place.here.id)
    }

    /// It is answered. What there is to say is only asked for where the span is kept.
    pub fn answered(
        &self,
        name: impl FnOnce() -> String,
        failed: bool,
        attributes: impl FnOnce() -> Vec<(&'static str, Value)>,
    ) {
        let Some(place) = self.place.get() else { return };
        tell(&place.here, || Span {
            name: Cow::Owned(name()),
            kind: Kind::Server,
            trace: place.here.id,
            id: self.id,
            parent: place.parent,
            parent_is_remote: place.parent_is_remote,
            began_ns: self.began_ns,
            ended_ns: SystemClock.now_ns(),
            attributes: attributes(),
            events: Vec::new(),
            failed,
        });
    }
}

#[derive(Clone)]
enum Work {
    Answering(Arc<Asked>),
    Below(Trace),
}

tokio::task_local! {
    /// What the task does at the moment.
    static WORK: Option<Work>;
}

/// Does `work` as the answer to a request.
pub async fn answering<T>(asked: Option<Arc<Asked>>, work: impl Future<Output = T>) -> T {
    WORK.scope(asked.map(Work::Answering), work).await
}

/// Does `work` as a part of a span.
pub async fn below<T>(place: Option<Trace>, work: impl Future<Output = T>) -> T {
    WORK.scope(place.map(Work::Below), work).await
}

/// The request that is being answered by this task.
#[must_use]
pub fn asked() -> Option<Arc<Asked>> {
    WORK.try_with(|work| match work {
        Some(Work::Answering(asked)) => Some(Arc::clone(asked)),
        Some(Work::Below(_)) | None => None,
    })
    .ok()
    .flatten()
}

/// Who makes the request that is being answered is known now: it is told of.
pub fn accepted() {
    if is_on()
        && let Some(asked) = asked()
    {
        asked.accept();
    }
}

/// Where what comes of the request that is being answered belongs. `None` where nobody would hear of it.
#[must_use]
pub fn origin() -> Option<Trace> {
    let asked = if is_on() { asked() } else { None }?;
    let place = asked.accept();
    (place.here.sampled || place.parent.is_some()).then(|| place.here.clone())
}

/// The span that this task works below of.
#[must_use]
pub fn parent() -> Option<Trace> {
    WORK.try_with(|work| match work {
        Some(Work::Below(place)) => Some(place.clone()),
        Some(Work::Answering(_)) | None => None,
    })
    .ok()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: u64) -> TraceId {
        let mut bytes = [0xab; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        TraceId::new(bytes)
    }

    #[test]
    fn the_id_decides_which_traces_are_kept() {
        let part = |ratio, parent_based| Sampling { ratio, parent_based };
        let last = numbered(u64::MAX);
        for number in [0, 1, 1 << 40, (1 << 56) - 1, u64::MAX] {
            assert!(part(1.0, true).keeps(numbered(number), None), "{number}");
            assert!(!part(0.0, true).keeps(numbered(number), None), "{number}");
        }
        assert!(part(0.0, true).keeps(last, Some(true)) && !part(1.0, true).keeps(last, Some(false)));
        assert!(!part(0.0, false).keeps(last, Some(true)) && part(1.0, false).keeps(last, Some(false)));
        // A quarter: the upper one, so that who keeps more keeps these too.
        assert!(part(0.25, true).keeps(numbered(0x00c0_0000_0000_0000), None));
        assert!(!part(0.25, true).keeps(numbered(0x00bf_ffff_ffff_0000), None));
    }

    #[test]
    fn ids_differ() {
        let listener = Listener {
            sink: Box::new(|_| {}),
            sampling: Sampling { ratio: 1.0, parent_based: true },
            random: AtomicU64::new(7),
        };
        let drawn: std::collections::BTreeSet<_> = (0..10_000).map(|_| listener.draw()).collect();
        assert_eq!(drawn.len(), 10_000);
        assert_ne!(listener.new_trace(), listener.new_trace());
    }

    #[tokio::test]
    async fn nothing_is_made_where_nobody_listens() {
        assert!(!is_on(), "a test of this crate must not listen: all share one process");
        let trace = Trace::read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", []);
        assert!(Asked::begin(|| panic!("the headers are not even looked at")).is_none());
        let place = trace.clone();
        let work = below(trace, async {
            let parent = parent().unwrap();
            assert_eq!(Some(&parent), place.as_ref());
            assert!(begin(&parent, Kind::Client, "POST").is_none());
            tell(&parent, || panic!("nobody asked for it"));
            assert!(origin().is_none() && asked().is_none());
        });
        work.await;
        answering(None, async { assert!(parent().is_none()) }).await;
        assert!(parent().is_none());
    }
}
