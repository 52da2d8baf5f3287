//! Owns the words of distributed traces: which trace something belongs to, below which span, and how that is written in
//! a request (W3C Trace Context, level 1). It makes no spans and sends nothing.

use std::fmt;

use data_encoding::HEXLOWER;
use minicbor::{Decode, Encode};

/// The header that names trace and span (W3C Trace Context section 3.2).
pub const TRACEPARENT: &str = "traceparent";
/// The header with what tracing systems add for themselves (section 3.3).
pub const TRACESTATE: &str = "tracestate";
/// Longest `tracestate` that is passed on, in bytes: what section 3.3.1.5 asks for at least. A longer one is dropped whole.
const MAX_STATE_BYTES: usize = 512;
/// Most members of a `tracestate` (section 3.3.1.1).
const MAX_STATE_MEMBERS: usize = 32;
/// Bytes of a `traceparent` of version 00.
const PARENT_BYTES: usize = 55;
/// The flag that says that whoever called keeps what is told of the trace (section 3.2.2.5.1).
const SAMPLED: u8 = 0x01;

/// Names a trace: 16 bytes, not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct TraceId(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

/// Names a span: 8 bytes, not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct SpanId(#[cbor(n(0), with = "minicbor::bytes")] [u8; 8]);

impl TraceId {
    /// The id of these bytes. All zero means none, so the last bit is set then.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        match u128::from_be_bytes(bytes) {
            0 => Self(1_u128.to_be_bytes()),
            _ => Self(bytes),
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The last 56 bits, which are random wherever ids are made as they should (level 2, section 5.1).
    #[must_use]
    pub fn random_part(self) -> u64 {
        self.0.iter().skip(9).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

impl SpanId {
    /// The id of these bytes. All zero means none, so the last bit is set then.
    #[must_use]
    pub const fn new(bytes: [u8; 8]) -> Self {
        match u64::from_be_bytes(bytes) {
            0 => Self(1_u64.to_be_bytes()),
            _ => Self(bytes),
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// A place in a trace: whatever is done next for it is told as done below this span.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Trace {
    /// Which trace.
    #[n(0)]
    pub id: TraceId,
    /// The span that further ones are below of.
    #[n(1)]
    pub span: SpanId,
    /// Whether spans of this trace are kept. Passed on either way, so that all who take part keep it or none.
    #[n(2)]
    pub sampled: bool,
    /// What other tracing systems told about the trace, passed on as it came.
    #[n(3)]
    state: Option<String>,
}

/// Leaves out the state: it is whatever a client wrote into it.
impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent())
    }
}

impl Trace {
    /// A place in a trace of ours.
    #[must_use]
    pub const fn new(id: TraceId, span: SpanId, sampled: bool) -> Self {
        Self { id, span, sampled, state: None }
    }

    /// Reads `traceparent` and the lines of `tracestate`. `None` where the first is malformed; a malformed state alone is
    /// dropped.
    #[must_use]
    pub fn read<'a>(parent: &str, state: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let (id, span, flags) = fields(parent)?;
        Some(Self { id, span, sampled: flags & SAMPLED != 0, state: joined_state(state) })
    }

    /// The same place one span further down.
    #[must_use]
    pub fn below(&self, span: SpanId) -> Self {
        Self { span, ..self.clone() }
    }

    /// What stands in `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.id, self.span, u8::from(self.sampled))
    }

    /// What stands in `tracestate`, if anything does.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Trace, span and flags of a `traceparent`. A later version may be longer, but not otherwise (section 4.3).
fn fields(parent: &str) -> Option<(TraceId, SpanId, u8)> {
    let (head, more) = parent.as_bytes().split_at_checked(PARENT_BYTES)?;
    let head = std::str::from_utf8(head).ok()?;
    let mut parts = head.split('-');
    let version: [u8; 1] = hex(parts.next()?)?;
    let (trace, span): ([u8; 16], [u8; 8]) = (hex(parts.next()?)?, hex(parts.next()?)?);
    let flags: [u8; 1] = hex(parts.next()?)?;
    let fits = match version {
        [0] => more.is_empty(),
        [0xff] => false,
        [_] => more.first().is_none_or(|next| *next == b'-'),
    };
    let is_one = trace != [0; 16] && span != [0; 8] && parts.next().is_none();
    (fits && is_one).then(|| (TraceId(trace), SpanId(span), flags[0]))
}

/// Exactly so many bytes in lower-case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The lines as one list. `None` where there is nothing in them, or more or other than there should be.
fn joined_state<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut state = String::new();
    let members = lines.into_iter().flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty());
    for (count, member) in members.enumerate() {
        let printable = member.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        let named = member.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty());
        if !state.is_empty() {
            state.push(',');
        }
        state.push_str(member);
        if !printable || !named || count >= MAX_STATE_MEMBERS || state.len() > MAX_STATE_BYTES {
            return None;
        }
    }
    (!state.is_empty()).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written_again() {
        let trace = Trace::read(PARENT, ["rojo=00f067aa0ba902b7, congo=t61rcWkgMzE ", "", "a=b"]).unwrap();
        assert_eq!(trace.traceparent(), PARENT);
        assert_eq!(trace.tracestate(), Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,a=b"));
        let quiet = Trace::read(&PARENT.replace("-01", "-00"), []).unwrap();
        assert!(!quiet.sampled && quiet.tracestate().is_none());
        // Only one flag is known; a later version may know more, and may add fields.
        let later = Trace::read(&format!("cc{}-what-comes-later", &PARENT[2..].replace("-01", "-fb")), []).unwrap();
        assert_eq!(later.traceparent(), PARENT);
        assert_eq!(later.id.random_part(), 0x00ce_929d_0e0e_4736);
        let below = trace.below(SpanId::new([7; 8]));
        assert_eq!(below.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-01");
        assert_eq!(below.tracestate(), trace.tracestate());
        assert_eq!(format!("{trace:?}"), PARENT, "the state is in no log");
    }

    #[test]
    fn what_is_malformed_is_no_trace() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
        ] {
            assert_eq!(Trace::read(bad, []), None, "{bad}");
        }
        let long = format!("a={}", "x".repeat(MAX_STATE_BYTES));
        let many = vec!["a=b"; MAX_STATE_MEMBERS + 1].join(",");
        for state in [long.as_str(), many.as_str(), "nothing", "=b", "a=", "a=\u{7f}", "a=é"] {
            assert_eq!(Trace::read(PARENT, [state]).unwrap().tracestate(), None, "{state}");
        }
    }

    #[test]
    fn no_id_is_all_zero() {
        assert_eq!(TraceId::new([0; 16]).to_string(), "00000000000000000000000000000001");
        assert_eq!(SpanId::new([0; 8]).to_string(), "0000000000000001");
    }

    #[test]
    fn it_is_kept_in_few_bytes() {
        let trace = Trace::read(PARENT, []).unwrap();
        let bytes = minicbor::to_vec(&trace).unwrap();
        assert_eq!(bytes.len(), 28);
        assert_eq!(minicbor::decode::<Trace>(&bytes).unwrap(), trace);
    }
}
