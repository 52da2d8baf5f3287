//! Owns the media of SIP calls on the network: the thread that sends and receives RTP, its sockets and its clock. What a
//! packet says is decided in [`crate::sip::media`].
//!
//! One thread serves all calls, each in its own millisecond of every twenty. Orders to a leg wait in its mailbox until
//! its next slot; events wait in a bounded queue. A consumer that is slow, or gone, costs that leg its events and nobody
//! anything else.

mod leg;
mod ports;
mod thread;
mod wheel;

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
};

use rand::Rng;
use tokio::sync::mpsc;

use crate::{
    dtmf::Digit,
    secret::Secret,
    sip::{
        media::{BargeIn, Dialling, Event, Sound, Start, rtcp, stream::Stream},
        sdp::{KEY_AND_SALT_BYTES, Local, Negotiated},
    },
};

pub use crate::sip::media::Latching;

use ports::{Pair, Ports};

/// Most orders that wait for a leg's next slot.
pub const MAX_ORDERS: usize = 32;
/// Most events that wait for who listens to a leg.
pub const MAX_EVENTS: usize = 32;
/// Most legs that wait to be taken over by the thread.
const MAX_NEWCOMERS: usize = 1024;

/// Where media is taken and sent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The local address of the sockets.
    pub bind: IpAddr,
    /// The address that peers are told; the same where no address translation is between.
    pub advertised: IpAddr,
    /// The ports; each call takes an even one and the odd one above it.
    pub ports: RangeInclusive<u16>,
    /// What to do when media comes from another port than the peer named.
    pub latching: Latching,
}

/// The media of all calls. Clones are the same media; the thread ends when the last of them and the last leg is gone.
#[derive(Debug, Clone)]
pub struct Media {
    settings: Settings,
    ports: Ports,
    newcomers: SyncSender<Newcomer>,
}

/// The media of one call. Dropping it closes it.
#[derive(Debug)]
pub struct Leg {
    local: Local,
    shared: Arc<Shared>,
}

/// An order that could not be taken: [`MAX_ORDERS`] of them wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the media of this call has too many orders waiting")]
pub struct TooManyOrders;

/// What the thread gets to know of a new leg.
#[derive(Debug)]
struct Newcomer {
    pair: Pair,
    stream: Stream,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
}

/// What a leg and the thread both hold.
#[derive(Debug, Default)]
struct Shared {
    orders: Mutex<VecDeque<Order>>,
    waiting: AtomicBool,
    closed: AtomicBool,
}

#[derive(Debug)]
enum Order {
    Connect(Box<Negotiated>),
    Play { sounds: Vec<Sound>, barge_in: BargeIn, play: u64 },
    StopPlaying,
    Dial(Dialling),
    Key(Digit),
}

impl Media {
    /// Starts the thread that serves all legs.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let (newcomers, receiver) = sync_channel(MAX_NEWCOMERS);
        std::thread::Builder::new().name(String::from("media")).spawn(move || thread::run(&receiver))?;
        let ports = Ports::new(settings.bind, settings.ports.clone());
        Ok(Self { settings, ports, newcomers })
    }

    /// Opens a leg: reserves its ports and names its events. Nothing is sent before [`Leg::connect`].
    ///
    /// # Errors
    /// No pair of ports is free, no more sockets may be opened, or the thread has too much to do.
    pub fn open(&self) -> io::Result<(Leg, mpsc::Receiver<Event>)> {
        let pair = self.ports.reserve()?;
        let (events, receiver) = mpsc::channel(MAX_EVENTS);
        let shared = Arc::new(Shared::default());
        let mut key = [0; KEY_AND_SALT_BYTES];
        let mut random = rand::rng();
        random.fill_bytes(&mut key);
        let local = Local {
            address: self.settings.advertised,
            rtp_port: pair.port,
            rtcp_port: pair.port + 1,
            session: u64::from(random.next_u32()),
            version: 1,
            key: Secret::new(key),
        };
        // The upper half of the sequence numbers is left free: none wraps round in the time of a call.
        let [s0, s1, ..] = random.next_u32().to_be_bytes();
        let sequence = u16::from_be_bytes([s0, s1]) >> 1;
        let start = Start { ssrc: random.next_u32(), sequence, timestamp: random.next_u32() };
        let mut name = [0; rtcp::CNAME_RANDOM_BYTES];
        random.fill_bytes(&mut name);
        let cname = rtcp::canonical_name(name);
        let stream = Stream::new(start, cname, self.settings.latching);
        let newcomer = Newcomer { pair, stream, shared: Arc::clone(&shared), events };
        self.newcomers.try_send(newcomer).map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        Ok((Leg { local, shared }, receiver))
    }

    /// How many calls there is still room for, as far as ports go.
    #[must_use]
    pub fn free_ports(&self) -> usize {
        self.ports.free()
    }
}

impl Leg {
    /// What our description of this leg is made of.
    #[must_use]
    pub const fn local(&self) -> &Local {
        &self.local
    }

    /// Starts sending and hearing as agreed, or goes on as agreed anew.
    ///
    /// # Errors
    /// [`TooManyOrders`].
    pub fn connect(&self, negotiated: Negotiated) -> Result<(), TooManyOrders> {
        self.order(Order::Connect(Box::new(negotiated)))
    }

    /// Plays `sounds`, one after another, in place of what is playing. `play` is the number that its events carry.
    ///
    /// # Errors
    /// [`TooManyOrders`].
    pub fn play(&self, sounds: Vec<Sound>, barge_in: BargeIn, play: u64) -> Result<(), TooManyOrders> {
        self.order(Order::Play { sounds, barge_in, play })
    }

    /// Stops what is playing; silence is sent from then on.
    ///
    /// # Errors
    /// [`TooManyOrders`].
    pub fn stop_playing(&self) -> Result<(), TooManyOrders> {
        self.order(Order::StopPlaying)
    }

    /// Dials keys to the other end, before what is played or will be.
    ///
    /// # Errors
    /// [`TooManyOrders`].
    pub fn dial(&self, digits: Dialling) -> Result<(), TooManyOrders> {
        self.order(Order::Dial(digits))
    }

    /// Says that this key came in a SIP INFO request; it comes back as an event unless it was heard already.
    ///
    /// # Errors
    /// [`TooManyOrders`].
    pub fn key_by_sip(&self, digit: Digit) -> Result<(), TooManyOrders> {
        self.order(Order::Key(digit))
    }

    /// Ends the leg: a goodbye by RTCP, its ports given back, [`Event::Closed`] as the last event.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }

    fn order(&self, order: Order) -> Result<(), TooManyOrders> {
        let mut orders = self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() >= MAX_ORDERS {
            return Err(TooManyOrders);
        }
        orders.push_back(order);
        drop(orders);
        self.shared.waiting.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
