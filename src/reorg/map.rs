//! What agents know from the start and cannot forget: the directory of machines, sites and services.

use crate::id::{DcId, NodeId, ServiceId};
pub use crate::power::Power;
use crate::time::Duration;

/// The directory. All agents share one.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// By node.
    pub machines: Vec<Machine>,
    /// By data center.
    pub sites: Vec<Site>,
    /// By service.
    pub services: Vec<Service>,
    /// One-way delays, row-major by (from, to) data center.
    pub one_way: Vec<Duration>,
}

/// A machine as its agent and its neighbours know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    pub site: DcId,
    /// Client operations a second.
    pub capacity: f64,
    pub boot: Duration,
    pub power: Power,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Sites of one disaster zone share a number.
    pub zone: u32,
    /// Its machines, ascending.
    pub nodes: Vec<NodeId>,
    /// Watts drawn by the site for each watt of its machines.
    pub pue: f64,
    /// What a watt here counts for, 1 unless the scenario weighs by carbon intensity.
    pub weight: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// r: the number of replicas that it is to have.
    pub degree: usize,
    /// d_min, and the least number of disaster zones.
    pub data_centers: usize,
    pub zones: usize,
    /// Machines that may hold a replica, ascending.
    pub pool: Vec<NodeId>,
    /// Any replica answers its reads.
    pub reads_anywhere: bool,
}

impl Map {
    pub fn site_of(&self, node: NodeId) -> DcId {
        self.machines[node.index()].site
    }
    pub fn zone_of(&self, node: NodeId) -> u32 {
        self.sites[self.site_of(node).index()].zone
    }
    pub fn service(&self, service: ServiceId) -> &Service {
        &self.services[service.index()]
    }
    pub fn one_way(&self, from: DcId, to: DcId) -> Duration {
        self.one_way[from.index() * self.sites.len() + to.index()]
    }
}
