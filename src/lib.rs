//! firedrill rehearses disasters on geo-replicated Internet services: a deterministic discrete-event
//! simulator that runs real protocol state machines over simulated data centers, links, failures and load,
//! and says what each protocol would have cost its users.
//!
//! # The map of the house
//!
//! From the ground up; a module imports only from those above it in this list.
//!
//! | room | its one job |
//! |---|---|
//! | [`time`], [`id`], [`hash`], [`interval`], [`rng`], [`op`], [`history`], [`power`] | the vocabulary: instants, names, digests, sets of writes, keyed random draws, operations, what clients saw, watts |
//! | [`machine`] | what a protocol is: a state machine that is stepped with inputs and returns effects |
//! | [`sim`] | the event queue: time order, insertion order among equals, cancellation |
//! | [`protocols`] | the state machines: the optimistic primary-backup mechanism, and what it is compared with |
//! | [`reorg`] | agents by which services lend, borrow and move machines, above any protocol that can change its members |
//! | [`world`] | sites, links, machines, disks, clocks and faults: turns effects into events |
//! | [`workload`] | clients: arrivals, operations, sessions, retries |
//! | [`import`] | histories from files: firedrill's own, Jepsen's, Porcupine's |
//! | [`check`] | judges of histories and of states |
//! | [`metrics`] | what a run measured |
//! | [`scenario`] | from JSON text to a checked scenario, every problem at its place |
//! | [`run`] | a scenario, a protocol and a seed give a result |
//! | [`fuzz`] | random disasters in search of a broken promise |
//! | [`shrink`] | the smallest scenario that still shows a failure |
//! | [`story`] | what happened in a run and why, from its trace |
//! | [`output`] | result files, tables and pictures |
//! | [`cli`] | one file a command; the only room that prints |
//!
//! # What holds everywhere
//!
//! - The same scenario, protocol, seed and version give the same bytes on every machine, in debug and in
//!   release, with any number of jobs. Time is a count of nanoseconds; no float decides an order of events;
//!   distributions are sampled by inversion with `libm`; random streams are keyed by what they are for.
//! - `machine` and `protocols` see neither `sim` nor `world`: nothing in a protocol can know that it is
//!   simulated. `sim` knows only time. `world` knows no JSON, and no protocol by name.
//! - Only `scenario` reads scenario JSON; `shrink` edits it, and has it read again. Only `output` and `cli` touch
//!   files, only `cli` prints, and threads exist only where runs are spread over cores. No clock of the machine is
//!   read outside of `cli`.
//! - Memory does not grow with messages, events or reads, unless a history or a trace was asked for.
//!
//! `tests/architecture.rs` enforces what of this can be read off the sources.
//!
//! # The way of a run
//!
//! [`scenario::load`] checks a file; [`run::run`] takes the protocol's [`run::Contest`] (how its machines are
//! configured, and what it promises), builds a [`world::World`] of [`machine::Machine`]s with a
//! [`run::stage::Stage`] of clients, recorders and checkers in front of it, lets it run, judges what became
//! of every acknowledged write, and returns a [`run::RunResult`]; [`output`] writes it down.

// The order is the order of the layers, and the table above.
pub mod time;

pub mod id;

pub mod hash;

pub mod interval;

pub mod rng;

pub mod op;

pub mod history;

pub mod power;

pub mod machine;

pub mod sim;

pub mod protocols;

pub mod reorg;

pub mod world;

pub mod workload;

pub mod import;

pub mod check;

pub mod metrics;

pub mod scenario;

pub mod run;

pub mod fuzz;

pub mod shrink;

pub mod story;

pub mod output;

pub mod cli;
