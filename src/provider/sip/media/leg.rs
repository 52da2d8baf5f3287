//! Owns one call's media on the network: its sockets, its mailbox, and the events that wait for its listener.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use tokio::sync::mpsc::{OwnedPermit, Sender};

use super::{Newcomer, Order, Pair, Shared};
use crate::{
    sip::media::{Event, rtp::MAX_PACKET_BYTES, stream::Stream},
    time::Timestamp,
};

/// A slot reads one packet, and every so many slots all that have come: a peer sends as often as we do, and each look at
/// an empty socket costs as much as a packet.
const DRAIN_EVERY: u64 = 4;
/// Most packets that one slot reads.
const MAX_PACKETS: usize = 32;
/// Reports are looked for every so many slots: half a second.
const REPORTS_EVERY: u64 = 25;
/// Most reports that one slot reads.
const MAX_REPORTS: usize = 4;

/// Room for what is sent and received, shared by all legs.
pub(super) struct Scratch {
    frame: [u8; MAX_PACKET_BYTES + 1],
    packet: Vec<u8>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { frame: [0; MAX_PACKET_BYTES + 1], packet: Vec::with_capacity(MAX_PACKET_BYTES + 32) }
    }
}

/// A leg as the thread sees it.
pub(super) struct Live {
    pair: Pair,
    stream: Stream,
    shared: Arc<Shared>,
    events: Sender<Event>,
    /// Room for the last event, kept from the start.
    last: Option<OwnedPermit<Event>>,
    slots: u64,
}

impl Live {
    pub(super) fn new(newcomer: Newcomer) -> Self {
        let Newcomer { pair, stream, shared, events } = newcomer;
        let last = events.clone().try_reserve_owned().ok();
        Self { pair, stream, shared, events, last, slots: 0 }
    }

    /// Serves its slot; one that comes too late sends nothing. Answers how many milliseconds later the next one is, or nothing
    /// when the leg is over.
    pub(super) fn serve(&mut self, now: Timestamp, in_time: bool, scratch: &mut Scratch) -> Option<u64> {
        self.slots += 1;
        self.obey(now);
        self.hear(now, scratch);
        if self.shared.closed.load(Ordering::Acquire) {
            self.end(now, scratch);
            return None;
        }
        let Scratch { packet, .. } = scratch;
        if !in_time {
            self.stream.skip(1);
        } else if let Some(to) = self.stream.send(now, packet) {
            send(&self.pair.rtp, packet, to);
        }
        if let Some(to) = self.stream.report(now, packet) {
            send(&self.pair.rtcp, packet, to);
        }
        self.tell();
        Some(u64::try_from(self.stream.interval().as_millis()).unwrap_or(20))
    }

    /// Does what it was told since its last slot.
    fn obey(&mut self, now: Timestamp) {
        if !self.shared.waiting.swap(false, Ordering::AcqRel) {
            return;
        }
        let orders = std::mem::take(&mut *self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner));
        for order in orders {
            match order {
                Order::Connect(agreed) => self.stream.connect(now, *agreed),
                Order::Play { sounds, barge_in, play } => self.stream.play(sounds, barge_in, play),
                Order::StopPlaying => self.stream.stop_playing(),
                Order::Dial(digits) => self.stream.dial(digits),
                Order::Key(digit) => self.stream.press(now, digit),
            }
        }
    }

    fn hear(&mut self, now: Timestamp, scratch: &mut Scratch) {
        let Scratch { frame, packet } = scratch;
        let most = if self.slots.is_multiple_of(DRAIN_EVERY) { MAX_PACKETS } else { 1 };
        for _ in 0..most {
            let Some(from) = receive(&self.pair.rtp, frame, packet) else { break };
            self.stream.hear(now, from, packet);
        }
        if self.slots.is_multiple_of(REPORTS_EVERY) {
            for _ in 0..MAX_REPORTS {
                let Some(from) = receive(&self.pair.rtcp, frame, packet) else { break };
                self.stream.hear_report(now, from, packet);
            }
        }
    }

    /// Says goodbye, and that it did.
    fn end(&mut self, now: Timestamp, scratch: &mut Scratch) {
        if let Some(to) = self.stream.goodbye(now, &mut scratch.packet) {
            send(&self.pair.rtcp, &scratch.packet, to);
        }
        self.tell();
        if let Some(last) = self.last.take() {
            last.send(Event::Closed(self.stream.quality()));
        }
    }

    fn tell(&mut self) {
        while let Some(event) = self.stream.next_event() {
            // A listener that is slow, or gone, loses events of its own call.
            let _lost = self.events.try_send(event);
        }
    }
}

/// Sends; what the network or the machine does not take is lost, as on any line.
fn send(socket: &UdpSocket, packet: &[u8], to: SocketAddr) {
    let _lost = socket.send_to(packet, to);
}

/// The next packet that waits, copied to `packet`.
fn receive(socket: &UdpSocket, frame: &mut [u8], packet: &mut Vec<u8>) -> Option<SocketAddr> {
    loop {
        match socket.recv_from(frame) {
            Ok((length, from)) => {
                packet.clear();
                packet.extend_from_slice(frame.get(..length)?);
                return Some(from);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
