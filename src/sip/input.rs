//! Owns what goes into the [`super::Uac`]: calls to make, bytes that arrived, decisions of the driver. What it makes of them
//! is in `uac`.

use std::{fmt, time::Duration};

use crate::secret::Secret;

/// A call, by a number that the driver chooses. One key may be used for several attempts one after another (failover).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// A way to a peer that the driver knows: one local UDP socket and a remote address, or one connection. The driver may
/// connect anew under the same id; it says [`Input::FlowFailed`] when that cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// A probe, by a number that the driver chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeKey(pub u64);

/// A registration, by a number that the driver chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationKey(pub u64);

/// An offer that the peer made in mid-call, by a number that the core chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferId(pub u64);

/// What carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams: the core repeats what may be lost.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
}

impl Transport {
    /// Whether nothing is lost on the way, so that nothing is repeated (RFC 3261 section 17).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// As it is written in a `Via` header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// The way that the requests of a call, probe or registration take, and what they say about ourselves.
#[derive(Debug, Clone)]
pub struct Path {
    /// Where to send.
    pub flow: FlowId,
    /// What carries it.
    pub transport: Transport,
    /// Our address for the `Via` header: `host`, `host:port` or `[v6]:port`.
    pub sent_by: String,
    /// Our URI for the `Contact` header, without angle brackets: `sip:ringproof@192.0.2.1:5060`.
    pub contact: String,
    /// The way for requests above 1,300 bytes where this one is UDP (RFC 3261 section 18.1.1); when it fails before any
    /// response the request goes by this path all the same.
    pub large: Option<Box<Self>>,
}

/// Who is named in a `From` header.
#[derive(Clone)]
pub struct Party {
    /// The name shown beside the number; printable ASCII.
    pub display: Option<String>,
    /// A `sip:`, `sips:` or `tel:` URI.
    pub uri: String,
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Party(•)")
    }
}

/// Who we are to a trunk that asks for a password (RFC 7616).
#[derive(Clone)]
pub struct Credentials {
    /// The user name, printable ASCII.
    pub username: String,
    /// The password, UTF-8.
    pub password: Secret<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(•)")
    }
}

/// A header that the caller of the core adds to an INVITE.
#[derive(Clone)]
pub enum ExtraHeader {
    /// `P-Asserted-Identity` (RFC 3325): a value as `<sip:+815012345678@example.net>`.
    AssertedIdentity(String),
    /// `Privacy` (RFC 3323): `id`, `none`.
    Privacy(String),
    /// `Identity` (RFC 8224).
    Identity(String),
    /// `Date`, which goes with `Identity`.
    Date(String),
    /// Another one, by name: a token that starts with `X-` or `P-`.
    Private(String, String),
}

impl fmt::Debug for ExtraHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtraHeader(•)")
    }
}

/// A call to make.
#[derive(Clone)]
pub struct Invite {
    /// The call. Must not be alive already.
    pub call: CallKey,
    /// Where to send it.
    pub path: Path,
    /// Whom to call: `sip:+819012345678@trunk.example;user=phone`. Also the `To` header.
    pub uri: String,
    /// Who calls.
    pub from: Party,
    /// Proxies to go through, first first: `sip:proxy.example;lr`. At most 8.
    pub routes: Vec<String>,
    /// The session description that is offered. At most 16 KiB.
    pub offer: Vec<u8>,
    /// What to answer a challenge with.
    pub credentials: Option<Credentials>,
    /// Hosts that a redirect may lead to; without them no redirect is followed. The comparison knows no case.
    pub redirects: Vec<String>,
    /// More headers, at most 16.
    pub headers: Vec<ExtraHeader>,
    /// From the first byte sent until an unanswered call is canceled.
    pub ring_limit: Duration,
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite").field("call", &self.call).field("path", &self.path.flow).finish_non_exhaustive()
    }
}

/// An OPTIONS request out of any dialog: is the target alive, are the credentials good?
#[derive(Clone)]
pub struct Probe {
    /// Names the result.
    pub probe: ProbeKey,
    /// Where to send it.
    pub path: Path,
    /// The Request-URI: `sip:trunk.example`.
    pub uri: String,
    /// Who asks.
    pub from: Party,
    /// With credentials a challenge is answered, and the result is that of the second request.
    pub credentials: Option<Credentials>,
    /// How long to wait, at most 32 s.
    pub limit: Duration,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("probe", &self.probe).field("path", &self.path.flow).finish_non_exhaustive()
    }
}

/// A REGISTER that is kept alive until it is stopped.
#[derive(Clone)]
pub struct Registration {
    /// Names the results.
    pub registration: RegistrationKey,
    /// Where to send it; its `contact` is what is registered.
    pub path: Path,
    /// The Request-URI: `sip:registrar.example`.
    pub registrar: String,
    /// The address of record: `sip:user@registrar.example`.
    pub address: Party,
    /// What to answer a challenge with.
    pub credentials: Option<Credentials>,
    /// For how long to ask; whole seconds from 60 s to 1 day.
    pub expires: Duration,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("registration", &self.registration).finish_non_exhaustive()
    }
}

/// One message that arrived: a whole datagram, or what the stream framer cut out.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// Where it came from; an answer goes back there.
    pub flow: FlowId,
    /// What carried it.
    pub transport: Transport,
    /// The numeric address of the sender, without brackets.
    pub host: &'a str,
    /// The port of the sender.
    pub port: u16,
    /// The message.
    pub bytes: &'a [u8],
}

impl fmt::Debug for Arrival<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arrival({:?}, {} bytes)", self.flow, self.bytes.len())
    }
}

/// What the driver tells the [`super::Uac`].
#[derive(Debug)]
pub enum Input<'a> {
    /// Call somebody. What cannot be sent comes back as [`super::Event::Refused`] with code 400 and
    /// [`super::Refusal::local`] set.
    Invite(Box<Invite>),
    /// Stop a call that is not answered. Does nothing to an answered one.
    Cancel {
        /// The call.
        call: CallKey,
        /// Why, for the `Reason` header.
        reason: Option<super::Reason>,
    },
    /// End the call, answered or not.
    HangUp {
        /// The call.
        call: CallKey,
        /// Why, for the `Reason` header.
        reason: Option<super::Reason>,
    },
    /// A message arrived.
    Received(Arrival<'a>),
    /// Nothing goes out on this flow any more: connect or handshake failed, connection lost, ICMP error.
    FlowFailed(FlowId),
    /// The answer to [`super::Event::Offered`].
    Answer {
        /// The call.
        call: CallKey,
        /// The offer.
        offer: OfferId,
        /// Our session description; `None` refuses with 488.
        sdp: Option<Vec<u8>>,
    },
    /// Ask a target whether it lives.
    Probe(Box<Probe>),
    /// Register, and stay registered.
    Register(Box<Registration>),
    /// Take the registration back.
    Unregister(RegistrationKey),
    /// Time has passed.
    Tick,
}
