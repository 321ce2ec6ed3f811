//! Viewstamped Replication.

pub mod options;

pub use options::Options;
