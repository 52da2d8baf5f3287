//! Two legs that talk to each other over the loopback.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::*;
use crate::sip::{
    media::{HeardBy, PlayEnd, Quality},
    sdp::{self, Protect},
};

/// Far longer than anything here takes on a machine that does something else.
const PATIENCE: Duration = Duration::from_secs(60);

fn media(ports: RangeInclusive<u16>) -> Media {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Media::start(Settings { bind: localhost, advertised: localhost, ports, latching: Latching::Strict }).unwrap()
}

async fn until(events: &mut mpsc::Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        let event = timeout(PATIENCE, events.recv()).await.expect("it happens").expect("the leg lives");
        seen.push(event);
        if wanted(&event) {
            return seen;
        }
    }
}

fn quality(events: &[Event]) -> Quality {
    match events.last() {
        Some(Event::Closed(quality)) => *quality,
        other => panic!("not closed: {other:?}"),
    }
}

/// Both legs, connected as their descriptions say.
fn connected(media: &Media, protect: Protect) -> [(Leg, mpsc::Receiver<Event>); 2] {
    let (caller, callee) = (media.open().unwrap(), media.open().unwrap());
    let offer = sdp::offer(caller.0.local(), protect);
    let (answer, agreed) = sdp::answer(&offer, callee.0.local(), protect).unwrap();
    callee.0.connect(agreed).unwrap();
    caller.0.connect(sdp::agree(&answer, caller.0.local(), protect).unwrap()).unwrap();
    [caller, callee]
}

#[tokio::test]
async fn legs_play_dial_hear_and_close() {
    let media = media(23_000..=23_099);
    for protect in [Protect::Off, Protect::Required] {
        let [(caller, mut heard), (callee, mut told)] = connected(&media, protect);
        caller.play(vec![Sound::Clip(Arc::from(vec![0x55; 80_000]))], BargeIn::Cuts, 1).unwrap();
        until(&mut told, |event| *event == Event::Connected).await;
        callee.dial("#".parse().unwrap()).unwrap();
        let cut = Event::Played { play: 1, end: PlayEnd::BargeIn };
        let events = until(&mut heard, |event| *event == cut).await;
        let key = Event::Key { digit: Digit::POUND, heard_by: HeardBy::Event };
        assert!(events.contains(&key) && events.contains(&Event::Playing { play: 1 }), "{events:?}");
        until(&mut told, |event| *event == Event::Dialled).await;
        caller.key_by_sip(Digit::STAR).unwrap();
        let star = Event::Key { digit: Digit::STAR, heard_by: HeardBy::SipInfo };
        until(&mut heard, |event| *event == star).await;
        drop(caller);
        callee.close();
        let quality = quality(&until(&mut heard, |event| matches!(event, Event::Closed(_))).await);
        assert!(quality.sent > 0 && quality.received > 0 && quality.refused == 0, "{quality:?}");
        assert!(heard.recv().await.is_none(), "nothing comes after the last event");
        until(&mut told, |event| matches!(event, Event::Closed(_))).await;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while media.free_ports() < 50 {
        assert!(tokio::time::Instant::now() < deadline, "{} pairs came back", media.free_ports());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_listener_that_is_gone_or_slow_harms_its_own_call_only() {
    let media = media(23_100..=23_199);
    let [(caller, heard), (callee, mut told)] = connected(&media, Protect::Off);
    drop(heard);
    for play in 0..200 {
        let _full = caller.play(vec![Sound::Silence(Duration::from_millis(1))], BargeIn::Ignored, play);
    }
    until(&mut told, |event| *event == Event::Connected).await;
    drop(caller);
    callee.close();
    until(&mut told, |event| matches!(event, Event::Closed(_))).await;
}

#[tokio::test]
async fn more_calls_than_ports_are_refused() {
    let media = media(23_200..=23_205);
    let legs: Vec<_> = (0..3).map_while(|_| media.open().ok()).collect();
    assert_eq!((legs.len(), media.free_ports()), (3, 0));
    assert!(media.open().is_err());
}
