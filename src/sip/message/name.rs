//! Owns the names of headers that we look at, with their compact forms (RFC 3261 section 7.3.3 and later RFCs).

/// A header that we look at. Any other is kept and never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// `Accept`
    Accept,
    /// `Allow`
    Allow,
    /// `Authorization`
    Authorization,
    /// `Call-ID`, `i`
    CallId,
    /// `Contact`, `m`
    Contact,
    /// `Content-Encoding`, `e`
    ContentEncoding,
    /// `Content-Length`, `l`
    ContentLength,
    /// `Content-Type`, `c`
    ContentType,
    /// `CSeq`
    CSeq,
    /// `Date`
    Date,
    /// `Expires`
    Expires,
    /// `From`, `f`
    From,
    /// `Identity`, `y`
    Identity,
    /// `Max-Forwards`
    MaxForwards,
    /// `Min-Expires`
    MinExpires,
    /// `Min-SE`
    MinSe,
    /// `Proxy-Authenticate`
    ProxyAuthenticate,
    /// `Proxy-Authorization`
    ProxyAuthorization,
    /// `RAck`
    RAck,
    /// `Reason`
    Reason,
    /// `Record-Route`
    RecordRoute,
    /// `Require`
    Require,
    /// `Retry-After`
    RetryAfter,
    /// `Route`
    Route,
    /// `RSeq`
    RSeq,
    /// `Session-Expires`, `x`
    SessionExpires,
    /// `Supported`, `k`
    Supported,
    /// `To`, `t`
    To,
    /// `Via`, `v`
    Via,
    /// `Warning`
    Warning,
    /// `WWW-Authenticate`
    WwwAuthenticate,
    /// Any other.
    Other,
}

/// Long form, compact form, name.
const NAMES: [(&str, &str, Name); 31] = [
    ("via", "v", Name::Via),
    ("from", "f", Name::From),
    ("to", "t", Name::To),
    ("call-id", "i", Name::CallId),
    ("cseq", "", Name::CSeq),
    ("contact", "m", Name::Contact),
    ("content-length", "l", Name::ContentLength),
    ("content-type", "c", Name::ContentType),
    ("max-forwards", "", Name::MaxForwards),
    ("record-route", "", Name::RecordRoute),
    ("allow", "", Name::Allow),
    ("supported", "k", Name::Supported),
    ("require", "", Name::Require),
    ("route", "", Name::Route),
    ("session-expires", "x", Name::SessionExpires),
    ("min-se", "", Name::MinSe),
    ("rseq", "", Name::RSeq),
    ("rack", "", Name::RAck),
    ("reason", "", Name::Reason),
    ("retry-after", "", Name::RetryAfter),
    ("warning", "", Name::Warning),
    ("www-authenticate", "", Name::WwwAuthenticate),
    ("proxy-authenticate", "", Name::ProxyAuthenticate),
    ("authorization", "", Name::Authorization),
    ("proxy-authorization", "", Name::ProxyAuthorization),
    ("expires", "", Name::Expires),
    ("min-expires", "", Name::MinExpires),
    ("accept", "", Name::Accept),
    ("content-encoding", "e", Name::ContentEncoding),
    ("date", "", Name::Date),
    ("identity", "y", Name::Identity),
];

impl Name {
    /// The header of this name, in any case, long or compact.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let text = text.as_bytes();
        let found = NAMES.iter().find(|(long, compact, _)| {
            long.as_bytes().eq_ignore_ascii_case(text)
                || (!compact.is_empty() && compact.as_bytes().eq_ignore_ascii_case(text))
        });
        found.map_or(Self::Other, |(_, _, name)| *name)
    }

    /// Whether RFC 3261 (table 2) allows only one of them, and without it nothing can be understood.
    #[must_use]
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            Self::CallId
                | Self::ContentLength
                | Self::ContentType
                | Self::CSeq
                | Self::From
                | Self::MaxForwards
                | Self::To
        )
    }
}
