//! The optimistic primary-backup mechanism.

pub mod options;
pub use options::{Ack, MergePolicy, Options, ReadLevel};
