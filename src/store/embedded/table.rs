//! Owns the ordered table of bytes that the embedded store is written on, and its form in memory. Two backends are
//! behind it: this one and the durable one. What the keys mean is not known here.

use std::{collections::BTreeMap, ops::ControlFlow};

use super::super::StoreError;

/// Visits an entry and says whether to go on.
pub(super) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered table that can be read.
pub(super) trait Read {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits entries from `from` to before `to`, in rising order of keys.
    fn up(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Visits entries from before `to` down to `from`, in falling order of keys.
    fn down(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;
}

/// An ordered table that can be written.
pub(super) trait Write: Read {
    /// Sets the value of a key.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes a key, if it is there.
    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError>;
}

/// The table in memory.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn up(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from < to {
            let range = self.0.range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Excluded(to)));
            let _ = range.into_iter().try_for_each(|(key, value)| visit(key, value));
        }
        Ok(())
    }

    fn down(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from < to {
            let range = self.0.range::<[u8], _>((std::ops::Bound::Included(from), std::ops::Bound::Excluded(to)));
            let _ = range.into_iter().rev().try_for_each(|(key, value)| visit(key, value));
        }
        Ok(())
    }
}

impl Write for Memory {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.0.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.0.remove(key);
        Ok(())
    }
}
