//! Owns that values which an earlier version wrote are read by this one.

use ringproof::{
    outcome::Attestation,
    time::{Clock, SystemClock},
    verification::{CallRecord, Price},
};

use super::sample::{record, verification};

/// Members of a record before it held attestation and price.
const MEMBERS_BEFORE: u8 = 26;

#[test]
fn a_record_without_the_newest_members_is_read() {
    let old = record(&verification(1, "a"), 0, SystemClock.now());
    let bytes = minicbor::to_vec(&old).unwrap();
    assert_eq!(bytes[..2], [0x98, MEMBERS_BEFORE], "what is not known takes no space, as before");
    assert_eq!(minicbor::decode::<CallRecord>(&bytes).unwrap(), old);

    let price = Price::read("-0.0140", "usd");
    let new = CallRecord { attestation: Some(Attestation::Partial), price, ..old };
    let bytes = minicbor::to_vec(&new).unwrap();
    assert_eq!(minicbor::decode::<CallRecord>(&bytes).unwrap(), new);
}
