//! Owns every change of a verification.
