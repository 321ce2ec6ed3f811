//! The kernel: time order, insertion order among equals, cancellation. It knows nothing else.

pub mod queue;
mod wheel;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use queue::{Queue, TimerId};
