//! Raft, by the `raft` crate.

pub mod options;

pub use options::{AfterDiskLoss, Options, Reads};
