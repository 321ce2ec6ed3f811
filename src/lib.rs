//! firedrill rehearses disasters on geo-replicated Internet services.
//!
//! The map of the house, from the ground up. A module imports only from those above it in this list.

// vocabulary
pub mod hash;
pub mod history;
pub mod id;
pub mod interval;
pub mod op;
pub mod rng;
pub mod time;
// what a protocol is
pub mod machine;
// the kernel
pub mod sim;
// protocols
pub mod protocols;
// the world
pub mod world;
// clients
pub mod workload;
// judgement and measures
pub mod check;
pub mod metrics;
// scenario files
pub mod scenario;
// a whole run
pub mod run;
// files and pictures
pub mod output;
// the command line
pub mod cli;
