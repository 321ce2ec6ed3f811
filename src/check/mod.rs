//! Checkers: each judges one property of a finished or running history.

pub mod linearizability;
