//! The physical world: sites, links, machines, disks, clocks, and what breaks them.
//!
//! [`World`] drives the replicas of a protocol through it. It turns the effects of a
//! [`Machine`](crate::machine::Machine) into events, and events into inputs. What surrounds the replicas
//! (clients, recorders, checkers) sits behind the trait [`Front`], so the world knows no workload, no
//! metric and no protocol by name.
//!
//! | file | job |
//! |---|---|
//! | `engine` | the parts of a run and its loop |
//! | `event`, `dispatch` | what may happen, and who hears of it; the fingerprint |
//! | `effects` | turns the effects of a step into events |
//! | `front` | the trait of the outside, and what the outside may see |
//! | `network` | delay, loss, queueing; the conditions that faults impose |
//! | `session` | connections that break and come back, for protocols that assume them |
//! | `node` | one machine: processor queue, requests in hand, timers |
//! | `lifecycle` | boot, crash, pause, resume, and who holds a node down |
//! | `orders`, `seats` | what agents want done: replicas that start and stop, machines that sleep and wake |
//! | `ledger` | how long a machine was in each state of power |
//! | `disk` | group commit, and what survives a crash |
//! | `clock` | drift and jumps |
//! | `fault`, `faults`, `failures` | the timeline as data, its application, and failures at random |
//!
//! Invariants:
//! - Every draw has an address (link and instant, node and request, fault and target), so protocols that
//!   act differently still meet the same disaster and the same network.
//! - Observers and traces change neither the order of events, nor their count, nor the fingerprint.
//! - Memory follows what is pending, never how much has happened.

mod clock;
mod disk;
mod dispatch;
mod effects;
mod engine;
mod event;
mod failures;
pub mod fault;
mod faults;
mod front;
mod ledger;
mod lifecycle;
mod network;
mod node;
mod orders;
pub mod regions;
mod seats;
mod session;
mod slab;
pub mod topology;

pub use engine::{ServiceSpec, Spare, World, WorldConfig};
pub use front::{
    AllReplicas, Answered, ClientRequest, Counts, DropReason, FaultNews, Front, Outside, Passage, Replicas, TraceEvent,
};
pub use ledger::{PowerState, PowerTimes};
