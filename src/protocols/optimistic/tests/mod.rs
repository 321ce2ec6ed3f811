//! The mechanism rehearsed by hand: a few replicas on a small stage whose messages, disks and clock the test
//! moves. Each test is a story in the words of the specification.

mod arbitrary;
mod dialogue;
mod leaders;
mod log;
mod membership;
mod merge;
mod migrations;
mod quarantine;
mod recruit;
mod retention;
mod sessions;
mod stage;
mod storage;
mod views;
