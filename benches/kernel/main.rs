//! How fast the kernel's queue is, against bare loops on the same work.
//!
//! Run `cargo bench --bench kernel`, or with `-- --quick` for a few seconds. The same table with a peer
//! simulator in it comes from the package in `benches/peers`, kept apart so that its dependencies stay
//! out of the tests' build.
//!
//! **Workloads.** W1 is what a service with a failure detector does: each node has one ping outstanding,
//! whose 200 ms timeout the answer cancels, and each 100 ms a heartbeat to a neighbour re-arms the
//! neighbour's 500 ms suspicion timer; about 4.5 events are pending a node. W2 is heartbeats from all to
//! all; about N*N/2 messages are pending. Delays are keyed draws, evenly spread over 5 to 95 ms, which is
//! what makes these numbers of pending events.
//!
//! **Method.** Each engine runs in a process of its own, so that peak memory can be told apart; the
//! repetitions of a workload are interleaved over the engines, so that a slow minute of the machine hits
//! all alike; the median counts. The clock is the CPU time of the process while it handles events in the
//! steady state. Draws, handler and a hash over time and content of every event are the same generic code
//! for all, and all hashes have to be equal: every engine did the same work in the same order. Memory is
//! the growth of the peak resident size from before the engine was made; a process's own is not in it.
//!
//! **Yardsticks.** The wheel of vectors is the fastest loop that we know how to write for these workloads
//! and nothing else; dead timers stay in it until they are met. The heap of 16-byte keys is the usual answer.

mod engines;
mod harness;
mod workload;

use std::process::ExitCode;

use engines::{Firedrill, KeyHeap, VecWheel};
use harness::{YARDSTICK, measure};

fn main() -> ExitCode {
    harness::main(&[
        ("firedrill", measure::<Firedrill>),
        (YARDSTICK, measure::<VecWheel>),
        ("bare loop, heap of 16-byte keys", measure::<KeyHeap>),
    ])
}
