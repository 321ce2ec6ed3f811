//! The smallest scenario that still shows a failure.
//!
//! A [`Search`] holds the smallest scenario so far and proposes smaller ones; whoever drives it runs them and tells
//! which showed the same [`Failure`]. It is a function of the finding and of these answers alone: they can be kept,
//! and given again to a search that was stopped, and they can be found on many cores, since of the trials that show
//! the failure only the first in order counts.
//!
//! What is smaller is for [`Size`] to say, in one place; [`passes`] only propose. A proposal is JSON that is edited
//! and then checked like any file, so an edit may be rash: what does not make a valid scenario, or no smaller one,
//! is dropped before it costs a run.

mod edit;
mod failure;
mod finding;
mod passes;
mod progress;
mod search;
mod size;

pub use failure::{Failure, shows};
pub use finding::Subject;
pub use progress::Progress;
pub use search::{Answers, Bounds, Search, Trial};
pub use size::Size;

#[cfg(test)]
mod tests;
