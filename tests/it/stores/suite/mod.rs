//! Owns the functions of the suite; each gets a store of its own, or an emptied one.

pub(crate) mod changes;
pub(crate) mod effects;
pub(crate) mod far_back;
pub(crate) mod guarded;
pub(crate) mod listings;
pub(crate) mod tallies;
