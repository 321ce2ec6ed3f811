//! Omni-Paxos, by the `omnipaxos` crate.

pub mod options;

pub use options::{Options, Reads};
