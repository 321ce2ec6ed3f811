//! Where things are and how they are connected.

use std::collections::BTreeMap;

use crate::id::{DcId, NodeId};
use crate::power::Power;
use crate::time::Duration;

/// A directed path between two endpoints when nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// Half of the round trip.
    pub one_way: Duration,
    /// Mean of the exponential `X` in `delay = one_way * (1 + X)`.
    pub jitter: f64,
    /// Probability that a message is lost.
    pub loss: f64,
    /// Bits a second between two machines.
    pub bandwidth: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DataCenter {
    pub name: String,
    /// Disaster zone; the data center's own name unless the scenario says otherwise.
    pub zone: String,
    /// Degrees, north and east positive.
    pub latitude: f64,
    pub longitude: f64,
    /// Its machines, consecutive.
    pub nodes: Vec<NodeId>,
    /// Watts that the site draws for each watt of its machines; at least 1.
    pub pue: f64,
}

/// A machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// `DATA_CENTER/INDEX`.
    pub name: String,
    pub data_center: DcId,
    pub rack: Option<String>,
    /// Client operations a second that it executes.
    pub capacity: f64,
    /// Requests that may wait; one more is refused.
    pub queue: u32,
    pub fsync: Duration,
    pub boot: Duration,
    /// From being told to sleep until it sleeps.
    pub shutdown: Duration,
    /// `None`: nothing is said of energy.
    pub power: Option<Power>,
    /// Service times exponential instead of constant.
    pub exponential_service: bool,
    /// Processor time of each protocol message received.
    pub message_cost: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    pub data_centers: Vec<DataCenter>,
    pub nodes: Vec<Node>,
    /// Row-major by (from, to) data center; the diagonal is the path between two machines of one site.
    pub paths: Vec<Path>,
    /// Paths between single machines that differ from those of their data centers, by (from, to).
    pub overrides: BTreeMap<(NodeId, NodeId), Path>,
}

impl Topology {
    pub fn between_sites(&self, from: DcId, to: DcId) -> &Path {
        &self.paths[from.index() * self.data_centers.len() + to.index()]
    }
    pub fn between_nodes(&self, from: NodeId, to: NodeId) -> &Path {
        self.overrides.get(&(from, to)).unwrap_or_else(|| {
            self.between_sites(self.nodes[from.index()].data_center, self.nodes[to.index()].data_center)
        })
    }
    pub fn site_of(&self, node: NodeId) -> DcId {
        self.nodes[node.index()].data_center
    }
}
