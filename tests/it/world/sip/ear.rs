//! Owns the media side of a callee: it hears RTP on a port of its own, sends silence back, and presses keys as events
//! (RFC 4733) or as tones, over a line that may lose or repeat what it sends.

use std::{
    collections::BTreeMap,
    f64::consts::TAU,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

/// Samples of one packet: 20 ms at 8 kHz.
const FRAME: usize = 160;
/// PCMU of nothing.
const SILENCE: u8 = 0xFF;
/// The payload type of events, as the scenarios answer it.
const EVENTS: u8 = 101;
/// Packets that one key lasts.
const KEY_FRAMES: u32 = 6;

/// How a key is pressed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// As RFC 4733 events.
    Event,
    /// As the two tones.
    Tone,
}

/// How a callee behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// How much is heard before a key is pressed.
    pub(crate) listens: Duration,
    /// The key.
    pub(crate) presses: Option<(char, How)>,
    /// Every so-manieth packet from here is lost; 0 for none. The packets that end a key are lost as well then.
    pub(crate) loses: u16,
    /// Every packet arrives twice.
    pub(crate) repeats: bool,
}

impl Habits {
    /// Listens for a while, then presses `key` as an event.
    pub(crate) const fn pressing(key: char) -> Self {
        Self { listens: Duration::from_millis(1500), presses: Some((key, How::Event)), loses: 0, repeats: false }
    }

    /// Never presses anything.
    pub(crate) const fn idle() -> Self {
        Self { listens: Duration::ZERO, presses: None, loses: 0, repeats: false }
    }
}

#[derive(Default)]
struct Heard {
    from: Option<SocketAddr>,
    frames: BTreeMap<u32, Vec<u8>>,
    events: Vec<(u8, u32)>,
    first: Option<u16>,
}

/// One callee's ear and mouth, until it is dropped.
pub(crate) struct Ear {
    port: u16,
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

impl Ear {
    /// Begins to listen.
    #[expect(clippy::disallowed_methods, reason = "a callee of a test lives as long as the test")]
    pub(crate) async fn start(habits: Habits) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Heard>>::default();
        let mouth = Mouth { habits, sequence: 1000, timestamp: 5000, pressing: 0, begun_at: 0, pressed: false };
        let task = tokio::spawn(listen(socket, Arc::clone(&heard), mouth));
        Self { port, heard, task }
    }

    /// What goes into the answer.
    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }

    /// Everything heard so far in PCMU, in the order in which it was sent; what was lost on the way is left out.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().frames.values().flatten().copied().collect()
    }

    /// How many packets of audio came.
    pub(crate) fn packets(&self) -> usize {
        self.heard.lock().unwrap().frames.len()
    }

    /// The keys that were dialled towards us as events.
    pub(crate) fn dialled(&self) -> String {
        let heard = self.heard.lock().unwrap();
        heard.events.iter().map(|(event, _)| char::from(b"0123456789*#ABCD"[usize::from(*event)])).collect()
    }

    /// Presses the pound key into the media of a call that is not answered yet, or that is somebody else's.
    pub(crate) async fn press_pound_at(to: SocketAddr) {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        for sequence in 0..12_u16 {
            let end = if sequence > 8 { 0x80 } else { 0 };
            let mut packet = header(EVENTS, sequence == 0, sequence, 7000, 0x0BAD_0BAD);
            packet.extend([11, end | 10, 3, 0x20]);
            socket.send_to(&packet, to).await.unwrap();
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(socket: UdpSocket, heard: Arc<Mutex<Heard>>, mut mouth: Mouth) {
    let mut beat = interval(Duration::from_millis(20));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = [0; 2048];
    loop {
        tokio::select! {
            Ok((length, from)) = socket.recv_from(&mut buffer) => heard.lock().unwrap().take(&buffer[..length], from),
            _ = beat.tick() => {
                let (to, frames) = {
                    let heard = heard.lock().unwrap();
                    (heard.from, heard.frames.len())
                };
                // Before anything is heard it is not known where to.
                let Some(to) = to else { continue };
                for packet in mouth.speak(frames) {
                    // The other side may be gone already.
                    socket.send_to(&packet, to).await.ok();
                }
            }
        }
    }
}

impl Heard {
    fn take(&mut self, packet: &[u8], from: SocketAddr) {
        // RTP version 2 without extras; RTCP goes to another port.
        if packet.len() < 12 || packet[0] != 0x80 {
            return;
        }
        self.from = Some(from);
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let first = *self.first.get_or_insert(sequence);
        // No call of a test lasts longer than the sequence numbers.
        let at = u32::from(sequence.wrapping_sub(first));
        match packet[1] & 0x7F {
            0 => {
                self.frames.insert(at, packet[12..].to_vec());
            }
            EVENTS => {
                let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                if self.events.last() != Some(&(packet[12], timestamp)) {
                    self.events.push((packet[12], timestamp));
                }
            }
            _ => {}
        }
    }
}

struct Mouth {
    habits: Habits,
    sequence: u16,
    timestamp: u32,
    /// Packets of the key that were sent.
    pressing: u32,
    begun_at: u32,
    pressed: bool,
}

impl Mouth {
    /// What is sent this time.
    fn speak(&mut self, heard: usize) -> Vec<Vec<u8>> {
        let after = self.habits.listens.as_millis() as usize / 20;
        let key = self.habits.presses.filter(|_| !self.pressed && heard > after);
        let mut packets = Vec::new();
        match key {
            Some((key, How::Event)) => {
                if self.pressing == 0 {
                    self.begun_at = self.timestamp;
                }
                let ends = self.pressing >= KEY_FRAMES;
                packets.push(self.event(key, ends));
                self.pressing += 1;
                // RFC 4733 §2.5.1.4: the end is sent three times.
                self.pressed = self.pressing == KEY_FRAMES + 3;
            }
            Some((key, How::Tone)) => {
                let tone = tone(key, self.pressing);
                packets.push(self.audio(&tone));
                self.pressing += 1;
                self.pressed = self.pressing == KEY_FRAMES;
            }
            None => packets.push(self.audio(&[SILENCE; FRAME])),
        }
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        let lost = self.habits.loses > 0 && self.sequence.is_multiple_of(self.habits.loses);
        let end_lost = self.habits.loses > 0 && key.is_some() && self.pressing > KEY_FRAMES;
        if lost || end_lost {
            packets.clear();
        }
        if self.habits.repeats {
            packets.extend(packets.clone());
        }
        packets
    }

    fn audio(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut packet = header(0, false, self.next(), self.timestamp, 0x5EED);
        packet.extend(frame);
        packet
    }

    fn event(&mut self, key: char, ends: bool) -> Vec<u8> {
        let code = "0123456789*#".find(key).unwrap() as u8;
        let duration = (self.pressing.min(KEY_FRAMES) + 1) * FRAME as u32;
        let mut packet = header(EVENTS, self.pressing == 0, self.next(), self.begun_at, 0x5EED);
        packet.extend([code, if ends { 0x8A } else { 0x0A }]);
        packet.extend((duration as u16).to_be_bytes());
        packet
    }

    fn next(&mut self) -> u16 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

fn header(payload: u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, payload | if marker { 0x80 } else { 0 }];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet
}

/// A frame of the two tones of a key (ITU-T Q.23) in PCMU.
fn tone(key: char, frame: u32) -> Vec<u8> {
    let at = "123A456B789C*0#D".find(key).unwrap();
    let (low, high) = ([697.0, 770.0, 852.0, 941.0][at / 4], [1209.0, 1336.0, 1477.0, 1633.0][at % 4]);
    (0..FRAME)
        .map(|n| {
            let seconds = f64::from(frame * FRAME as u32 + n as u32) / 8000.0;
            let sample = 6000.0 * ((TAU * low * seconds).sin() + (TAU * high * seconds).sin());
            encode(sample as i16)
        })
        .collect()
}

/// PCMU of a sample (ITU-T G.711), written down here on its own.
fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs().min(32_635)) + 132;
    let exponent = (7..=14).rev().find(|bit| magnitude >> bit & 1 == 1).map_or(0, |bit| bit - 7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

/// The sample of a PCMU byte.
pub(crate) fn decode(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i32::from(byte & 0x0F) << 3) + 132) << (byte >> 4 & 7);
    let sample = magnitude - 132;
    if byte & 0x80 == 0 { sample as i16 } else { -sample as i16 }
}
