//! Owns the rows of the index of the call log: the few bytes that are kept of each record so that a filter finds the
//! records it wants, however far back they lie. Rows let a few records too many through, never one too few. It reads
//! and writes nothing.

use sha2::{Digest, Sha256};

use super::CallQuery;
use crate::{
    phone::{CountryCode, LastDigits},
    verification::CallRecord,
};

/// Bytes of what many records have in common: status, reason, fault, country, carrier, client.
pub(super) const CLASS_BYTES: usize = 5;
/// Bytes of what few have in common: number, reference, last digits.
pub(super) const MARK_BYTES: usize = 8;

/// A field of a row: how many bits it has and how many stand below it.
#[derive(Clone, Copy)]
struct Field {
    bits: u32,
    below: u32,
}

impl Field {
    const fn mask(self) -> u64 {
        ((1 << self.bits) - 1) << self.below
    }

    const fn put(self, value: u64) -> u64 {
        (value << self.below) & self.mask()
    }
}

const STATUS: Field = Field { bits: 3, below: 37 };
const REASON: Field = Field { bits: 5, below: 32 };
const FAULT: Field = Field { bits: 3, below: 29 };
const COUNTRY: Field = Field { bits: 10, below: 19 };
const CARRIER: Field = Field { bits: 8, below: 11 };
const CLIENT: Field = Field { bits: 11, below: 0 };

const NUMBER: Field = Field { bits: 24, below: 40 };
const REFERENCE: Field = Field { bits: 24, below: 16 };
const DIGITS: Field = Field { bits: 16, below: 0 };

/// Stands where there is nothing: no reason, fault or digit is written so.
const NONE: u64 = u64::MAX;

/// What is kept of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) class: [u8; CLASS_BYTES],
    pub(super) marks: [u8; MARK_BYTES],
}

impl Row {
    pub(super) fn of(record: &CallRecord) -> Self {
        let class = STATUS.put(record.status as u64)
            | REASON.put(record.reason.map_or(NONE, |reason| reason as u64))
            | FAULT.put(record.cause.as_ref().map_or(NONE, |cause| cause.fault as u64))
            | COUNTRY.put(letters(record.country))
            | CARRIER.put(hash(&record.carrier))
            | CLIENT.put(hash(&record.client));
        let shown = LastDigits::of_masked(&record.to_masked);
        let marks = NUMBER.put(beginning(record.number_hash.as_bytes()))
            | REFERENCE.put(record.reference.as_deref().map_or(NONE, hash))
            | DIGITS.put(shown.map_or(NONE, |digits| packed(&digits).0));
        let [_, _, _, class @ ..] = class.to_be_bytes();
        Self { class, marks: marks.to_be_bytes() }
    }
}

/// What must stand in some bits.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    mask: u64,
    bits: u64,
}

impl Wanted {
    const fn want(&mut self, field: Field, value: u64) {
        self.mask |= field.mask();
        self.bits |= field.put(value);
    }

    const fn admits(self, bits: u64) -> bool {
        bits & self.mask == self.bits
    }

    const fn is_some(self) -> bool {
        self.mask != 0
    }
}

/// Which rows a query wants.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sieve {
    class: Wanted,
    marks: Wanted,
}

impl Sieve {
    pub(super) fn of(query: &CallQuery) -> Self {
        let (mut class, mut marks) = (Wanted::default(), Wanted::default());
        let _ = query.status.map(|status| class.want(STATUS, status as u64));
        let _ = query.reason.map(|reason| class.want(REASON, reason as u64));
        let _ = query.fault.map(|fault| class.want(FAULT, fault as u64));
        let _ = query.country.map(|country| class.want(COUNTRY, letters(country)));
        let _ = query.carrier.as_ref().map(|carrier| class.want(CARRIER, hash(carrier)));
        let _ = query.client.as_ref().map(|client| class.want(CLIENT, hash(client)));
        let _ = query.number.map(|number| marks.want(NUMBER, beginning(number.as_bytes())));
        let _ = query.reference.as_ref().map(|reference| marks.want(REFERENCE, hash(reference)));
        if let Some(digits) = &query.last_digits {
            let (value, bits) = packed(digits);
            marks.want(Field { bits, ..DIGITS }, value);
        }
        Self { class, marks }
    }

    /// Whether every row is wanted.
    pub(super) const fn is_open(self) -> bool {
        !self.class.is_some() && !self.marks.is_some()
    }

    /// Whether a number, and nothing else, is wanted.
    pub(super) const fn is_only_a_number(self) -> bool {
        !self.class.is_some() && self.marks.mask == NUMBER.mask()
    }

    /// Whether a row is wanted.
    pub(super) fn admits(self, row: Row) -> bool {
        self.class.admits(bits(&row.class)) && self.marks.admits(bits(&row.marks))
    }

    /// Whether classes have to be looked at.
    pub(super) const fn reads_classes(self) -> bool {
        self.class.is_some()
    }

    /// Whether marks have to be looked at.
    pub(super) const fn reads_marks(self) -> bool {
        self.marks.is_some()
    }

    /// The same without what is asked of marks: lets more rows through.
    pub(super) fn without_marks(self) -> Self {
        Self { marks: Wanted::default(), ..self }
    }

    /// Whole bytes that must stand in the marks of a row, with the place of the first: a block of rows without them
    /// need not be looked at.
    pub(super) fn needle(self) -> Option<(usize, Vec<u8>)> {
        [NUMBER, REFERENCE, DIGITS].into_iter().find(|field| self.marks.mask & field.mask() == field.mask()).map(
            |field| {
                let first = MARK_BYTES - ((field.below + field.bits) / 8) as usize;
                let bytes = self.marks.bits.to_be_bytes();
                (first, bytes.into_iter().skip(first).take((field.bits / 8) as usize).collect())
            },
        )
    }

    /// The places of wanted rows, newest first, at most `limit`, among rows that stand oldest first. What the sieve does
    /// not read may be empty.
    pub(super) fn places(self, classes: &[u8], marks: &[u8], rows: usize, limit: usize) -> Vec<usize> {
        let mut places = Vec::new();
        for place in (0..rows).rev() {
            if places.len() >= limit {
                break;
            }
            let class = !self.reads_classes() || self.class.admits(word::<CLASS_BYTES>(classes, place));
            if class && (!self.reads_marks() || self.marks.admits(word::<MARK_BYTES>(marks, place))) {
                places.push(place);
            }
        }
        places
    }
}

/// The bits of the row at a place; none where there is no such row.
fn word<const BYTES: usize>(rows: &[u8], place: usize) -> u64 {
    let row: Option<&[u8; BYTES]> = rows.get(place * BYTES..).and_then(<[u8]>::first_chunk);
    row.map_or(NONE, |row| bits(row))
}

fn bits(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
}

/// The first bytes of a hash.
fn beginning(hash: &[u8]) -> u64 {
    bits(hash.first_chunk::<3>().map_or(hash, |three| three))
}

fn hash(text: &str) -> u64 {
    beginning(&Sha256::digest(text))
}

fn letters(country: CountryCode) -> u64 {
    country.to_string().bytes().fold(0, |bits, letter| (bits << 5) | u64::from(letter & 0x1f))
}

/// Digits of four bits each, the last one lowest, above them ones; and how many bits they are.
fn packed(digits: &LastDigits) -> (u64, u32) {
    digits.as_str().bytes().fold((NONE, 0), |(value, bits), digit| ((value << 4) | u64::from(digit & 0xf), bits + 4))
}
