//! Owns the small form of what is kept for long: a verification that is over, a record of the call log. CBOR of ours is
//! shortened by what is known about it (times are near each other, the id stands in the key), then compressed (LZ4)
//! with a dictionary of what nearly all of them hold. It knows no type: any CBOR comes back as it was.

use std::borrow::Cow;

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

use crate::id::ID_BYTES;

/// First byte of the plain form: CBOR follows.
const PLAIN: u8 = 1;
/// First byte of the small form, which belongs to [`DICTIONARY`] as it is. Length of the shortened CBOR (2 bytes), LZ4.
const SMALL: u8 = 2;

/// What stands in the place of items of CBOR; no item begins so (RFC 8949, section 3: reserved values).
mod short {
    /// A time: its distance from the time before, as a number of LEB128, the sign in the lowest bit.
    pub(super) const TIME: u8 = 0x1c;
    /// The bytes of the id.
    pub(super) const ID: u8 = 0x1d;
    /// A text that ends in hexadecimal digits: length of its beginning, the beginning, how many bytes, the bytes.
    pub(super) const HEX: u8 = 0x1e;
}

/// Makes the plain form small, where that saves something.
pub(super) fn pack<'a>(plain: &'a [u8], id: &[u8]) -> Cow<'a, [u8]> {
    let small = plain.strip_prefix(&[PLAIN]).and_then(|cbor| shorten(cbor, id));
    let packed = small.and_then(|small| {
        let length = u16::try_from(small.len()).ok()?;
        let mut packed = vec![SMALL];
        packed.extend(length.to_be_bytes());
        packed.extend(compress_with_dict(&small, DICTIONARY));
        Some(packed)
    });
    match packed {
        Some(packed) if packed.len() < plain.len() => Cow::Owned(packed),
        Some(_) | None => Cow::Borrowed(plain),
    }
}

/// The plain form of what [`pack`] made; anything else as it is. `None` for what it cannot have made.
pub(super) fn unpack<'a>(packed: &'a [u8], id: &[u8]) -> Option<Cow<'a, [u8]>> {
    let Some(rest) = packed.strip_prefix(&[SMALL]) else { return Some(Cow::Borrowed(packed)) };
    let (length, compressed) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let small = decompress_with_dict(compressed, length, DICTIONARY).ok().filter(|small| small.len() == length)?;
    let mut plain = Vec::with_capacity(small.len() * 2);
    plain.push(PLAIN);
    lengthen(&small, id, &mut plain)?;
    Some(Cow::Owned(plain))
}

/// An item of CBOR without what is inside of it: the head, and the bytes or the text.
struct Item<'a> {
    head: &'a [u8],
    argument: u64,
    payload: &'a [u8],
}

/// The first item, and what follows it. `None` where that is no CBOR, or is of undefined length, which ours never is.
fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let first = *bytes.first()?;
    let (small, size) = match first & 0x1f {
        small @ 0..=23 => (Some(u64::from(small)), 1),
        24 => (None, 2),
        25 => (None, 3),
        26 => (None, 5),
        27 => (None, 9),
        28.. => return None,
    };
    let (head, rest) = bytes.split_at_checked(size)?;
    let argument =
        small.unwrap_or_else(|| head.iter().skip(1).fold(0, |argument, byte| (argument << 8) | u64::from(*byte)));
    let is_string = matches!(first >> 5, 2 | 3);
    let length = if is_string { usize::try_from(argument).ok()? } else { 0 };
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((Item { head, argument, payload }, rest))
}

fn shorten(mut cbor: &[u8], id: &[u8]) -> Option<Vec<u8>> {
    let mut small = Vec::with_capacity(cbor.len());
    let mut before = made_at(id);
    while !cbor.is_empty() {
        let (found, rest) = item(cbor)?;
        cbor = rest;
        match found.head {
            [0x1b, ..] if found.argument.abs_diff(before) < FAR_MS => {
                let further = found.argument >= before;
                small.push(short::TIME);
                put_number(&mut small, found.argument.abs_diff(before) << 1 | u64::from(!further));
                before = found.argument;
            }
            [0x56] if found.payload == id => small.push(short::ID),
            [0x60..=0x77] | [0x78, 24..=u8::MAX] if hex_digits(found.payload) >= LEAST_HEX => {
                let (beginning, hex) =
                    found.payload.split_at_checked(found.payload.len() - hex_digits(found.payload))?;
                small.extend([short::HEX, u8::try_from(beginning.len()).ok()?]);
                small.extend(beginning);
                small.push(u8::try_from(hex.len() / 2).ok()?);
                small.extend(data_encoding::HEXLOWER.decode(hex).ok()?);
            }
            head => {
                small.extend(head);
                small.extend(found.payload);
            }
        }
    }
    Some(small)
}

fn lengthen(mut small: &[u8], id: &[u8], cbor: &mut Vec<u8>) -> Option<()> {
    let mut before = made_at(id);
    while let Some((first, rest)) = small.split_first() {
        match *first {
            short::TIME => {
                let (distance, rest) = number(rest)?;
                before = if distance & 1 == 0 {
                    before.checked_add(distance >> 1)?
                } else {
                    before.checked_sub(distance >> 1)?
                };
                cbor.push(0x1b);
                cbor.extend(before.to_be_bytes());
                small = rest;
            }
            short::ID => {
                cbor.push(0x40 | ID_HEAD);
                cbor.extend(id);
                small = rest;
            }
            short::HEX => {
                let (beginning, rest) = counted(rest)?;
                let (bytes, rest) = counted(rest)?;
                let text = [beginning, data_encoding::HEXLOWER.encode(bytes).as_bytes()].concat();
                match u8::try_from(text.len()).ok()? {
                    short @ 0..24 => cbor.push(0x60 | short),
                    long => cbor.extend([0x78, long]),
                }
                cbor.extend(text);
                small = rest;
            }
            _ => {
                let (found, rest) = item(small)?;
                cbor.extend(found.head);
                cbor.extend(found.payload);
                small = rest;
            }
        }
    }
    Some(())
}

/// When the id was made, in ms: the time that the first one is told from.
fn made_at(id: &[u8]) -> u64 {
    id.iter().take(6).fold(0, |ms, byte| (ms << 8) | u64::from(*byte))
}

/// How many of the last characters are hexadecimal digits in lower case; an even number.
fn hex_digits(text: &[u8]) -> usize {
    text.iter().rev().take_while(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')).count() & !1
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while let (low, true) = (number & 0x7f, number > 0x7f) {
        bytes.extend(u8::try_from(low | 0x80));
        number >>= 7;
    }
    bytes.extend(u8::try_from(number));
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(NUMBER_BYTES) {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(place + 1..)?));
        }
    }
    None
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*count))
}

/// Times further apart than this, in ms, are no times: about half a year.
const FAR_MS: u64 = 1 << 34;
/// Longest number that is written: 35 bits and the sign.
const NUMBER_BYTES: usize = 6;
/// Fewest hexadecimal digits that are written as bytes.
const LEAST_HEX: usize = 16;
/// The length of an id in the head of its bytes.
const ID_HEAD: u8 = ID_BYTES as u8;

/// What most of them hold: a verification and a record as `pack` shortens them, without what is anybody's own, and some
/// words. Never changed: another dictionary is another form.
const DICTIONARY: &[u8] = include_bytes!("dictionary.bin");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: [u8; ID_BYTES] = [1, 161, 238, 86, 94, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];

    fn there_and_back(plain: &[u8]) -> usize {
        let packed = pack(plain, &ID);
        assert_eq!(unpack(&packed, &ID).as_deref(), Some(plain));
        packed.len()
    }

    fn plain(items: &[&[u8]]) -> Vec<u8> {
        [&[PLAIN], items.concat().as_slice()].concat()
    }

    #[test]
    fn what_is_known_is_left_out() {
        let id = [&[0x56], ID.as_slice()].concat();
        let time = |ms: u64| [&[0x1b], (made_at(&ID) + ms).to_be_bytes().as_slice()].concat();
        let hex = b"\x78\x22CA0123456789abcdef0123456789abcdef";
        let odd = b"\x71X0123456789abcdef0";
        let all = plain(&[&id, &time(0), &time(300_000), &time(5), hex, odd, &id, &[0x1b, 255, 0, 0, 0, 0, 0, 0, 1]]);
        assert!(there_and_back(&all) < all.len() - 60, "{} of {}", there_and_back(&all), all.len());
        for small in [plain(&[]), plain(&[b"\x00"]), plain(&[&[0x5f, 0xff]]), vec![], vec![9, 9, 9]] {
            assert_eq!(there_and_back(&small), small.len());
        }
        let long = plain(&[&[0x5a, 0, 1, 0x11, 0x70], &[7; 70_000]]);
        assert_eq!(there_and_back(&long), long.len(), "too long for the small form");
    }

    proptest! {
        #[test]
        fn anything_comes_back_as_it_was(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            there_and_back(&[&[PLAIN], bytes.as_slice()].concat());
        }

        #[test]
        fn cbor_comes_back_as_it_was(items in prop::collection::vec(
            prop_oneof![
                any::<u64>().prop_map(|n| [&[0x1b], n.to_be_bytes().as_slice()].concat()),
                (0_u64..1 << 36).prop_map(|n| [&[0x1b], (made_at(&ID) + n).to_be_bytes().as_slice()].concat()),
                "[A-Z]{0,3}[0-9a-f]{0,60}".prop_map(|text| [&[0x78, text.len() as u8], text.as_bytes()].concat()),
                "[A-Z]{0,3}[0-9a-f]{10,20}".prop_map(|text| [&[0x78, text.len() as u8], text.as_bytes()].concat()),
                Just([&[0x56], ID.as_slice()].concat()),
                any::<[u8; 3]>().prop_map(|bytes| [&[0x43], bytes.as_slice()].concat()),
                (0_u8..24).prop_map(|n| vec![n]),
            ], 0..60)) {
            there_and_back(&[&[PLAIN], items.concat().as_slice()].concat());
        }

        #[test]
        fn garbage_is_refused_or_read_but_nothing_breaks(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(&[&[SMALL], bytes.as_slice()].concat(), &ID);
        }
    }
}
