//! Owns the proofs of SRTP: published vectors, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::{secret::Secret, sip::media::rtp::Header};

/// The master key and salt of RFC 3711 appendix B.3, which the vectors of libsrtp use too.
const MASTER: &str = "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6";
const BOTH: [CryptoSuite; 2] = [CryptoSuite::AesCm128HmacSha1_80, CryptoSuite::AesCm128HmacSha1_32];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

fn key(fill: u8) -> KeyAndSalt {
    Secret::new([fill; KEY_AND_SALT_BYTES])
}

/// The two ends of one line.
fn line(suite: CryptoSuite) -> (Srtp, Srtp) {
    let (ours, theirs) = (key(1), key(2));
    let there = Protection { suite, ours: theirs.clone(), theirs: ours.clone() };
    (Srtp::new(&Protection { suite, ours, theirs }), Srtp::new(&there))
}

fn published(suite: CryptoSuite) -> Srtp {
    let master: KeyAndSalt = Secret::new(hex(MASTER).try_into().unwrap());
    Srtp::new(&Protection { suite, ours: master.clone(), theirs: master })
}

fn packet(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header { marker: false, payload_type: 0, sequence, timestamp: 160, ssrc };
    [&header.to_bytes()[..], payload].concat()
}

fn report(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()[..]].concat()
}

fn protected(end: &mut Srtp, mut packet: Vec<u8>) -> Vec<u8> {
    assert!(end.protect_rtp(&mut packet));
    packet
}

fn opened(end: &mut Srtp, packet: &[u8]) -> Option<Vec<u8>> {
    let mut packet = packet.to_vec();
    let before = packet.clone();
    if end.open_rtp(&mut packet) {
        return Some(packet);
    }
    assert_eq!(packet, before, "a refused packet was touched");
    None
}

#[test]
fn keys_are_derived_as_in_appendix_b_3() {
    let master = hex(MASTER);
    let (master, salt) = (cipher(&master[..16]).unwrap(), number(&master[16..]));
    assert_eq!(derived::<16>(&master, salt, 0).unwrap().to_vec(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derived::<14>(&master, salt, 2).unwrap().to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
    let authentication = "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE \
                          E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25 \
                          6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2";
    assert_eq!(derived::<94>(&master, salt, 1).unwrap().to_vec(), hex(authentication));
}

#[test]
fn the_key_stream_is_that_of_appendix_b_2() {
    let mut session = Session::derive(&key(0), RTP_LABEL, 10).unwrap();
    session.cipher = cipher(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    session.salt = number(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
    let mut stream = vec![0; 65_282 * 16];
    session.apply_key_stream(Place { ssrc: 0, index: 0 }, &mut stream).unwrap();
    let first = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    let last = "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44";
    assert_eq!(stream[..48], hex(first));
    assert_eq!(stream[0xFEFF * 16..], hex(last));
}

const PLAIN: &str = "800f1234decafbadcafebabe abababababababababababababababab";
const SECURE: &str = "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb";

#[test]
fn packets_are_those_that_libsrtp_publishes() {
    for (suite, tag_bytes) in [(BOTH[0], 10), (BOTH[1], 4)] {
        let mut secure = hex(SECURE);
        secure.truncate(28 + tag_bytes);
        assert_eq!(protected(&mut published(suite), hex(PLAIN)), secure);
        assert_eq!(opened(&mut published(suite), &secure), Some(hex(PLAIN)));
    }
}

#[test]
fn reports_are_those_that_libsrtp_publishes() {
    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    let secure = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
    for suite in BOTH {
        let mut end = published(suite);
        let (mut first, mut second) = (plain.clone(), plain.clone());
        // libsrtp begins at index 1, the RFC at 0.
        assert!(end.protect_rtcp(&mut first) && end.protect_rtcp(&mut second));
        assert_eq!(second, secure);
        assert!(end.open_rtcp(&mut second) && end.open_rtcp(&mut first));
        assert_eq!((first, second), (plain.clone(), plain.clone()));
    }
}

#[test]
fn a_packet_is_opened_once_and_only_by_the_other_end() {
    for suite in BOTH {
        let (mut here, mut there) = line(suite);
        let secure = protected(&mut here, packet(7, 1, b"speech"));
        assert_eq!(opened(&mut here, &secure), None, "sent back to us");
        assert_eq!(opened(&mut there, &secure), Some(packet(7, 1, b"speech")));
        assert_eq!(opened(&mut there, &secure), None, "repeated");
        let mut secure = report(7);
        assert!(here.protect_rtcp(&mut secure));
        let again = secure.clone();
        assert!(!here.open_rtcp(&mut again.clone()) && there.open_rtcp(&mut secure));
        assert!(!there.open_rtcp(&mut again.clone()) && secure == report(7));
    }
}

#[test]
fn sources_and_extension_stay_readable_and_are_authentic() {
    let (mut here, mut there) = line(BOTH[0]);
    let mut plain = packet(7, 1, &[0, 0, 0, 9, 0xBE, 0xDE, 0, 1, 1, 2, 3, 4]);
    plain[0] |= 0x11;
    let bare = plain.clone();
    plain.extend(*b"speech");
    let secure = protected(&mut here, plain.clone());
    assert_eq!(secure[..24], plain[..24]);
    assert_ne!(secure[24..30], plain[24..30]);
    assert_eq!(opened(&mut there, &secure), Some(plain));
    let mut empty = bare;
    empty[3] = 2;
    let secure = protected(&mut here, empty.clone());
    assert_eq!(opened(&mut there, &secure), Some(empty));
}

#[test]
fn a_change_of_any_bit_is_refused_and_costs_nothing() {
    for suite in BOTH {
        let (mut here, mut there) = line(suite);
        let secure = protected(&mut here, packet(7, 1, b"speech"));
        let mut reports = report(7);
        assert!(here.protect_rtcp(&mut reports));
        for (at, bit) in (0..secure.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bad = secure.clone();
            bad[at] ^= 1 << bit;
            assert_eq!(opened(&mut there, &bad), None, "{at} {bit}");
        }
        for (at, bit) in (0..reports.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bad = reports.clone();
            bad[at] ^= 1 << bit;
            assert!(!there.open_rtcp(&mut bad.clone()), "{at} {bit}");
        }
        for length in 0..secure.len() {
            assert_eq!(opened(&mut there, &secure[..length]), None);
        }
        for length in 0..reports.len() {
            assert!(!there.open_rtcp(&mut reports[..length].to_vec()));
        }
        assert!(opened(&mut there, &secure).is_some() && there.open_rtcp(&mut reports));
    }
}

#[test]
fn a_report_that_is_not_encrypted_is_refused_even_if_authentic() {
    let (here, mut there) = line(BOTH[0]);
    let mut plain = [report(7), vec![0; 4]].concat();
    let tag = here.line.unwrap().sent_rtcp.tag(&plain, &[]);
    plain.extend(&tag.as_ref()[..RTCP_TAG_BYTES]);
    assert!(!there.open_rtcp(&mut plain));
}

#[test]
fn the_rollover_counter_grows_on_both_sides() {
    for suite in BOTH {
        let (mut here, mut there) = line(suite);
        for n in 0..200_000_u32 {
            let plain = packet(7, (n + 65_000) as u16, &n.to_be_bytes());
            let mut secure = protected(&mut here, plain.clone());
            // Most are lost.
            if n % 1_000 == 0 || n > 199_000 {
                assert!(there.open_rtp(&mut secure));
                assert_eq!(secure, plain);
            }
        }
        assert_eq!(there.line.unwrap().heard_rtp.streams[0].highest, 65_000 + 199_999);
    }
}

#[test]
fn packets_out_of_order_around_the_wrap_are_all_opened() {
    let (mut here, mut there) = line(BOTH[0]);
    let secure: Vec<_> =
        (0..8_u16).map(|n| protected(&mut here, packet(7, 65_532_u16.wrapping_add(n), &[9]))).collect();
    for n in [1, 0, 5, 3, 7, 2, 6, 4] {
        assert!(opened(&mut there, &secure[n]).is_some(), "{n}");
    }
    assert!(secure.iter().all(|packet| opened(&mut there, packet).is_none()));
}

#[test]
fn a_stream_is_joined_though_its_first_packets_were_lost_over_a_wrap() {
    let (mut here, mut there) = line(BOTH[0]);
    let early = protected(&mut here, packet(7, 65_535, &[1]));
    let late = protected(&mut here, packet(7, 2, &[2]));
    assert!(opened(&mut there, &late).is_some());
    assert!(opened(&mut there, &early).is_some());
}

#[test]
fn what_is_older_than_the_window_is_refused() {
    let (mut here, mut there) = line(BOTH[0]);
    let secure: Vec<_> = (0..=128_u16).map(|n| protected(&mut here, packet(7, n, &[9]))).collect();
    assert!(opened(&mut there, &secure[128]).is_some());
    assert!(opened(&mut there, &secure[0]).is_none());
    assert!(opened(&mut there, &secure[1]).is_some());
}

#[test]
fn a_key_stream_is_never_used_twice() {
    let (mut here, _) = line(BOTH[0]);
    let _ = protected(&mut here, packet(7, 10, &[1]));
    for sequence in [10, 9, 10_u16.wrapping_sub(32_000)] {
        assert!(!here.protect_rtp(&mut packet(7, sequence, &[2])), "{sequence}");
    }
    let line = here.line.as_mut().unwrap();
    line.sent_rtp.streams[0].highest = RTP_INDEX_END - 1;
    assert!(!here.protect_rtp(&mut packet(7, 0, &[2])));
    assert!(here.protect_rtcp(&mut report(7)));
    here.line.as_mut().unwrap().sent_rtcp.streams[0].highest = RTCP_INDEX_END - 1;
    assert!(!here.protect_rtcp(&mut report(7)));
}

#[test]
fn a_fifth_stream_is_refused_and_forgeries_take_no_place() {
    let (mut here, mut there) = line(BOTH[1]);
    for ssrc in 100..200 {
        assert_eq!(opened(&mut there, &packet(ssrc, 1, &[0; 20])), None);
        assert!(!there.open_rtcp(&mut [report(ssrc), vec![0x80; 14]].concat()));
    }
    for ssrc in 0..4 {
        let secure = protected(&mut here, packet(ssrc, 1, b"speech"));
        assert!(opened(&mut there, &secure).is_some());
    }
    assert!(!here.protect_rtp(&mut packet(4, 1, b"speech")));
    let mut reborn = line(BOTH[1]).0;
    let secure = protected(&mut reborn, packet(4, 1, b"speech"));
    assert_eq!(opened(&mut there, &secure), None);
    for ssrc in 0..5 {
        let mut secure = report(ssrc);
        let mut reborn = line(BOTH[1]).0;
        assert!(reborn.protect_rtcp(&mut secure));
        assert_eq!(there.open_rtcp(&mut secure), ssrc < 4);
        assert_eq!(here.protect_rtcp(&mut report(ssrc)), ssrc < 4);
    }
}

#[test]
fn keys_are_not_shown() {
    assert_eq!(format!("{:?}", line(BOTH[1]).0), "Srtp(AesCm128HmacSha1_32)");
}

proptest! {
    /// However packets are lost, doubled and delayed by some places: each that comes is opened once.
    #[test]
    fn each_packet_that_comes_is_opened_once(
        start in any::<u16>(),
        fate in proptest::collection::vec((0_u8..3, 0_usize..60), 300),
    ) {
        let (mut here, mut there) = line(BOTH[0]);
        let mut arrived = Vec::new();
        for (at, (copies, late)) in fate.iter().enumerate() {
            let plain = packet(7, start.wrapping_add(at as u16), &at.to_be_bytes());
            let secure = protected(&mut here, plain.clone());
            arrived.extend(std::iter::repeat_n((at + late, plain, secure), usize::from(*copies)));
        }
        arrived.sort_by_key(|(at, ..)| *at);
        let mut known: Vec<Vec<u8>> = Vec::new();
        for (_, plain, secure) in arrived {
            let again = known.contains(&plain);
            prop_assert_eq!(opened(&mut there, &secure), (!again).then(|| plain.clone()));
            known.push(plain);
        }
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), kind in 0_u8..3) {
        let (mut here, mut there) = line(BOTH[usize::from(kind) % 2]);
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut().filter(|_| kind > 0) {
            *first = 0x80 | *first & 0x1F;
        }
        prop_assert!(!there.open_rtp(&mut bytes.clone()) && !there.open_rtcp(&mut bytes.clone()));
        let mut rtp = bytes.clone();
        if here.protect_rtp(&mut rtp) {
            prop_assert!(there.open_rtp(&mut rtp) && rtp == bytes);
        }
        let mut rtcp = bytes.clone();
        if here.protect_rtcp(&mut rtcp) {
            prop_assert!(there.open_rtcp(&mut rtcp) && rtcp == bytes);
        }
    }
}
