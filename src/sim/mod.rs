//! The kernel: time order, insertion order among equals, cancellation. It knows nothing else.

pub mod queue;

pub use queue::{Queue, TimerId};
