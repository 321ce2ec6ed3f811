//! The physical world as a protocol meets it: each test is a small story.

mod determinism;
mod faults;
mod kit;
mod machines;
mod network;
mod orders;
mod sessions;
