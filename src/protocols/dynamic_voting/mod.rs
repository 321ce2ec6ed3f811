//! Dynamic voting.

pub mod options;

pub use options::Options;
