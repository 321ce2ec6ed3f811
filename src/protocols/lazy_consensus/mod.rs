//! Semi-passive replication with Lazy Consensus.

pub mod options;

pub use options::Options;
