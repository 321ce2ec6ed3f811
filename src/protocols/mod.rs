//! Protocols: state machines behind [`crate::machine::Machine`].

pub mod optimistic;
