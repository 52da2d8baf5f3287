//! What a bare status means, and how long is waited before asking again.

use super::*;
use crate::{
    id::{CallId, CallToken, Partition, VerificationId},
    time::Timestamp,
};

#[test]
fn a_status_is_the_last_resort_and_in_doubt_the_outcome_is_unknown() {
    let told = |status: u16| match by_status(StatusCode::from_u16(status).unwrap()) {
        PlaceResult::Refused { cause, try_next_route } => format!("refused {} {try_next_route}", cause.fault),
        PlaceResult::Unknown { cause } => format!("unknown {}", cause.fault),
        PlaceResult::Accepted { .. } => String::from("accepted"),
    };
    for status in [301, 307, 308, 401, 402, 403, 404] {
        assert_eq!(told(status), "refused us true", "{status}");
    }
    for status in [400, 405, 409, 413, 422, 429, 451] {
        assert_eq!(told(status), "refused carrier true", "{status}");
    }
    // Whoever answered so may have passed the request on: nobody dials again.
    for status in [100, 204, 302, 303, 304, 408, 452, 460, 499, 500, 502, 503, 504, 520, 599] {
        assert_eq!(told(status), "unknown unknown", "{status}");
    }
}

fn order(random: u8) -> Order {
    let verification = VerificationId::new(Timestamp::from_ms(1_795_000_000_000), [random; 16], Partition::of(1));
    let number = "+819012345678".parse::<crate::phone::E164>().unwrap();
    Order {
        token: CallToken { call: CallId { verification, index: 0 }, proof: [0; 16] },
        to: number.clone(),
        from: number,
        extension: None,
        ring_timeout: Duration::from_secs(30),
        call_limit: Duration::from_secs(90),
        flow_url: String::new(),
        status_url: String::new(),
    }
}

#[test]
fn pauses_double_and_are_spread() {
    let mut seen = std::collections::BTreeSet::new();
    for random in 0..=u8::MAX {
        let order = order(random);
        for attempt in 0..MAX_ATTEMPTS {
            let usual = RETRY_PAUSE * 2_u32.pow(attempt);
            let pause = pause_before_retry(&order, attempt);
            assert!(pause >= usual * 89 / 100 && pause <= usual * 111 / 100, "{random} {attempt}: {pause:?}");
            seen.insert((attempt, pause));
        }
    }
    assert!(seen.len() > 100, "calls refused together come back apart: {}", seen.len());
    let all: Duration = (0..MAX_ATTEMPTS).map(|attempt| pause_before_retry(&order(255), attempt)).sum();
    assert!(all < PLACEMENT_LIFE, "all attempts fit into the life of a placement: {all:?}");
}
