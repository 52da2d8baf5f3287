//! The targets of the fuzzer without the fuzzer: each seed, the torture messages of RFC 4475, and what becomes of them when a
//! few bytes change.

#[allow(unreachable_pub, missing_docs, reason = "the file is a crate of its own for the fuzzer")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::{fs, path::Path};

/// How often each seed is changed.
const CHANGES: u64 = 40;

/// Some bytes changed, cut out or doubled (a linear congruential generator says where).
fn change(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % end.max(1)
    };
    let mut changed = bytes.to_vec();
    for _ in 0..=below(4) {
        let at = below(changed.len());
        let end = (at + 1 + below(8)).min(changed.len());
        match below(4) {
            0 if !changed.is_empty() => changed[at] = u8::try_from(below(256)).unwrap(),
            1 => drop(changed.drain(at..end)),
            2 => {
                let part = changed[at..end].to_vec();
                changed.splice(at..at, part);
            }
            _ => changed.truncate(end),
        }
    }
    changed
}

fn replay(name: &str, target: fn(&[u8]), more: Option<&str>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds: Vec<_> = fs::read_dir(root.join("fuzz/corpus").join(name)).unwrap().collect();
    seeds.extend(more.into_iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap()));
    let mut seeds: Vec<_> = seeds.into_iter().map(|seed| seed.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 4, "{name} has seeds");
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        target(&bytes);
        for number in 0..CHANGES {
            let changed = change(&bytes, number);
            if std::panic::catch_unwind(|| target(&changed)).is_err() {
                panic!("{name}: change {number} of {}: {}", seed.display(), changed.escape_ascii());
            }
        }
    }
}

#[test]
fn sip_messages() {
    replay("sip_message", targets::sip_message, Some("tests/sip/torture"));
}

#[test]
fn calls() {
    replay("sip_uac", targets::sip_uac, Some("tests/sip/torture"));
}

#[test]
fn session_descriptions() {
    replay("sdp", targets::sdp, None);
}

#[test]
fn media() {
    replay("rtp", targets::rtp, None);
}

#[test]
fn reports() {
    replay("rtcp", targets::rtcp, None);
}
