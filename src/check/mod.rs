//! Judges: one checker a property. They see machines only through what [`crate::machine::Machine`] shows.

pub mod invariants;
pub mod legitimate;
pub mod linearizability;
