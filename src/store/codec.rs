//! Owns how values are written into a store: a first byte that names the form, then CBOR. It knows no store.

use minicbor::{Decode, Encode};

use super::StoreError;

/// Plain CBOR.
const PLAIN: u8 = 1;

/// Writes a value.
pub(super) fn encode<T: Encode<()>>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![PLAIN];
    minicbor::encode(value, &mut bytes).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    Ok(bytes)
}

/// Reads a value that [`encode`] wrote, by this or an earlier version.
pub(super) fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&PLAIN, cbor)) => minicbor::decode(cbor).map_err(|error| StoreError::Unreadable(error.to_string())),
        Some(_) => Err(StoreError::Unreadable(String::from("a value of a form that a later version writes"))),
        None => Err(StoreError::Unreadable(String::from("an empty value"))),
    }
}
