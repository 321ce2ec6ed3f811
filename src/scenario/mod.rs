//! Scenarios: from JSON text to a checked [`Scenario`], with every problem reported at its place.
//!
//! A text becomes a tree that knows where everything stands ([`json`]); `--set` changes it ([`set`]); the
//! tree is checked against one table of fields and defaults are filled in ([`fields`], [`walk`]); what is written
//! short is written out ([`copies`]); names become indices and contradictions are found ([`build`]). Nothing here touches a file: whoever loads a
//! scenario passes a reader for the one file a scenario may name.

pub mod catalogue;
pub mod diagnostics;

mod build;
mod canonical;
mod copies;
mod fields;
mod item;
mod json;
mod load;
mod quantity;
mod schema;
mod set;
mod table;
mod text;
mod walk;

pub use build::CUT_BY_TIME;
pub use canonical::{canonical, hash};
pub use diagnostics::{Diagnostic, Diagnostics};
pub use load::{LARGEST, Source, from_value, load};
pub use quantity::time as parse_duration;
pub use schema::schema;
pub use text::text;

use std::rc::Rc;

use crate::id::{DcId, NodeId, ServiceId};
use crate::protocols::{dynamic_voting, lazy_consensus, omnipaxos, optimistic, raft, static_primary, viewstamped};
use crate::reorg::{Map, Policy};
use crate::time::{Duration, SimTime};
use crate::workload::{Load, Service};
use crate::world::fault::{Failure, Fault};
use crate::world::topology::Topology;

/// A checked scenario, ready to run. Everything is resolved: names to indices, quantities to whole units.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    pub description: String,
    pub sources: Vec<String>,
    pub seed: u64,
    pub duration: Duration,
    pub warmup: Duration,
    pub drain: Duration,
    pub topology: Topology,
    pub services: Vec<Service>,
    /// The directory of machines, sites and services for agents; `None`: nothing is reorganised.
    pub map: Option<Map>,
    /// In the order of the scenario.
    pub protocols: Vec<Protocol>,
    pub loads: Vec<Load>,
    /// Sorted by time; equal times in the order of the scenario.
    pub timeline: Vec<Fault>,
    pub failures: Vec<Failure>,
    pub expectations: Vec<Expectation>,
    /// Checks beyond those that every run is judged by.
    pub checks: Vec<Check>,
    /// The file's JSON, after `--set`.
    pub as_written: serde_json::Value,
    /// The same with every default filled in; parsing it gives this scenario again.
    pub resolved: serde_json::Value,
    /// BLAKE3, in hexadecimal, of the RFC 8785 form of `resolved` without `$schema`.
    pub hash: String,
}

/// A protocol under its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Protocol {
    pub label: String,
    pub kind: Kind,
    /// What agents do beside it; `None`: it keeps the replicas that it is given.
    pub policy: Option<Policy>,
}

/// A kind of protocol and its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Optimistic(optimistic::Options),
    Raft(raft::Options),
    OmniPaxos(omnipaxos::Options),
    Viewstamped(viewstamped::Options),
    StaticPrimary(static_primary::Options),
    LazyConsensus(lazy_consensus::Options),
    DynamicVoting(dynamic_voting::Options),
}

impl Kind {
    /// Its name in scenarios.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Optimistic(_) => "optimistic",
            Self::Raft(_) => "raft",
            Self::OmniPaxos(_) => "omnipaxos",
            Self::Viewstamped(_) => "viewstamped",
            Self::StaticPrimary(_) => "static-primary",
            Self::LazyConsensus(_) => "lazy-consensus",
            Self::DynamicVoting(_) => "dynamic-voting",
        }
    }

    /// Whether any replica, not only a primary, answers reads.
    pub fn reads_anywhere(&self) -> bool {
        matches!(self, Self::Optimistic(options) if options.reads == optimistic::ReadLevel::Any)
    }

    /// The name of the deliberate defect that its options ask for, and what it does.
    pub fn defect(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Optimistic(options) => options.mutation.map(optimistic::Mutation::told),
            Self::Raft(options) => options.mutation.map(raft::Mutation::told),
            Self::OmniPaxos(options) => options.mutation.map(omnipaxos::Mutation::told),
            Self::Viewstamped(options) => options.mutation.map(viewstamped::Mutation::told),
            Self::LazyConsensus(options) => options.mutation.map(lazy_consensus::Mutation::told),
            Self::DynamicVoting(options) => options.mutation.map(dynamic_voting::Mutation::told),
            Self::StaticPrimary(_) => None,
        }
    }
}

/// A check that a run is judged by if its scenario asks for it: it takes memory or time that grows with the run, or
/// looks at how a protocol works and not only at what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Linearizability,
    Accounts,
    Succession,
    Rest,
}

impl Check {
    pub const ALL: [Self; 4] = [Self::Linearizability, Self::Accounts, Self::Succession, Self::Rest];

    /// Its name in scenarios and in verdicts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linearizability => "linearizability",
            Self::Accounts => "accounts",
            Self::Succession => "succession",
            Self::Rest => "rest",
        }
    }
}

/// What a scenario expects of its results.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// A key of [`crate::metrics::Metrics`].
    pub metric: String,
    /// `None`: each service by itself.
    pub service: Option<ServiceId>,
    /// `None`: each protocol.
    pub protocol: Option<String>,
    /// Only requests that started in this span; only for metrics that can be cut by time.
    pub from: Option<SimTime>,
    pub to: Option<SimTime>,
    pub bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Equals(f64),
}

/// What the agents of one run are told. Each run makes its own, so that runs share nothing.
#[derive(Clone, Debug)]
pub struct Agents {
    pub policy: Rc<Policy>,
    pub map: Rc<Map>,
}

impl Scenario {
    /// What agents are told beside a protocol of this scenario; `None`: there are none.
    pub fn agents(&self, protocol: &Protocol) -> Option<Agents> {
        let mut map = self.map.clone()?;
        for service in &mut map.services {
            service.reads_anywhere = protocol.kind.reads_anywhere();
        }
        Some(Agents { policy: Rc::new(protocol.policy.clone()?), map: Rc::new(map) })
    }
}

/// Names for messages and files.
impl Scenario {
    pub fn node(&self, node: NodeId) -> &str {
        &self.topology.nodes[node.index()].name
    }
    pub fn place(&self, place: DcId) -> &str {
        &self.topology.data_centers[place.index()].name
    }
    pub fn service(&self, service: ServiceId) -> &str {
        &self.services[service.index()].name
    }
}
