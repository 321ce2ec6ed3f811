//! Judges: one checker a property. They see machines only through what [`crate::machine::Machine`] shows,
//! and histories only as events.

mod account;
pub mod capacity;
mod causal;
pub mod constraints;
pub mod invariants;
pub mod legitimate;
pub mod linearizability;
mod order;
mod seen;
mod sequential;
mod sessions;
mod sets;
pub mod succession;
#[cfg(test)]
mod tests;
pub mod verify;
mod writes;
