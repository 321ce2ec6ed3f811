//! Faults: what a timeline may do to the world. Targets that depend on the run are resolved when they fire.

use crate::id::{DcId, NodeId, ServiceId};
use crate::time::{Duration, SimTime};

/// An end of a link: a machine, or the clients at the place of a data center.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    Node(NodeId),
    Place(DcId),
}

/// One entry of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub at: SimTime,
    /// The whole time until it ends; `None`: until `heal`, `restart`, or for good.
    pub lasts: Option<Duration>,
    pub action: Action,
    /// What plots and phases call it, for example `crash tokyo`.
    pub label: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Crash {
        targets: Targets,
        disk: Disk,
    },
    Restart {
        targets: Targets,
        cold: bool,
    },
    Pause {
        targets: Targets,
    },
    /// Service, message and fsync times take `factor` times as long.
    Slow {
        targets: Targets,
        factor: f64,
    },
    /// `jump` in signed nanoseconds, once; `drift_ppm` from then on (replaces an earlier drift).
    Clock {
        targets: Targets,
        jump: i64,
        drift_ppm: f64,
    },
    Corrupt {
        targets: Targets,
        what: CorruptWhat,
    },
    /// Nothing passes between different groups. Each endpoint is in exactly one.
    Partition {
        groups: Vec<Vec<Endpoint>>,
    },
    /// Nothing passes from `from` to `to`, nor back unless `one_way`.
    Cut {
        from: Vec<Endpoint>,
        to: Vec<Endpoint>,
        one_way: bool,
    },
    /// A cut both ways that comes and goes, beginning with `down`.
    Flap {
        between: (Vec<Endpoint>, Vec<Endpoint>),
        up: Duration,
        down: Duration,
    },
    /// Both ways.
    Degrade {
        between: (Vec<Endpoint>, Vec<Endpoint>),
        add_delay: Duration,
        loss: f64,
        duplicate: f64,
        reorder: f64,
    },
    /// Ends network conditions: all of them, or on the links between two sets.
    Heal {
        between: Option<(Vec<Endpoint>, Vec<Endpoint>)>,
    },
    /// A change of load. The workload already knows of it; here it marks a phase.
    Load,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    Kept,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorruptWhat {
    Volatile,
    Log,
    Messages,
    All,
}

/// Which machines a fault hits.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Machines; `silent`: named by whole data centers or zones, so that even refusals are not sent.
    Nodes { nodes: Vec<NodeId>, silent: bool },
    /// Chosen by seed and event, never by the protocol's state.
    Random { of: Vec<NodeId>, count: usize },
    /// `count` members of the replica set, chosen by seed and event.
    Majority { service: ServiceId, count: usize },
    /// Every node that accepts writes as primary at that instant, else the first by placement.
    Primary { service: ServiceId },
}

/// A stochastic process of failures.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub kind: FailureKind,
    /// Time from a repair, or the start, to the next failure.
    pub between: Distribution,
    pub repair: Distribution,
    pub disk: Disk,
}

/// What each process of a [`Failure`] breaks; there is one process for each such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Node,
    DataCenter,
    /// A link between two data centers, cut both ways.
    Link,
}

/// A distribution of durations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    Constant(Duration),
    Exponential { mean: Duration },
    Weibull { shape: f64, scale: Duration },
    Lognormal { median: Duration, sigma: f64 },
}
