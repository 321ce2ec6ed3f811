//! Machines and services of a scenario whose services may move.

use crate::scenario::Scenario;

/// What is where, and what agents are to keep.
pub struct Places {
    /// Names of data centers, in the order of the scenario.
    pub sites: Vec<String>,
    /// Those of one data center are neighbours.
    pub machines: Vec<Machine>,
    /// Some data centers share a disaster zone.
    pub zoned: bool,
    pub services: Vec<Wanted>,
    /// By label of a protocol: the replicas that the loss of a data center is to leave of each service; `None`: no
    /// agents are beside it.
    next_degrees: Vec<(String, Option<usize>)>,
}

pub struct Machine {
    pub name: String,
    /// Index of its data center.
    pub site: usize,
    pub zone: usize,
}

/// What a service is to have.
pub struct Wanted {
    pub name: String,
    pub replicas: usize,
    pub sites: usize,
    pub zones: usize,
    /// The machines that it has at the start.
    pub given: Vec<usize>,
}

impl Places {
    /// `None`: nothing in the scenario moves.
    pub fn of(scenario: &Scenario) -> Option<Self> {
        let map = scenario.map.as_ref()?;
        let sites = &scenario.topology.data_centers;
        let zone_of = |site: usize| sites.iter().position(|other| other.zone == sites[site].zone).unwrap_or(site);
        let machine = |node: &crate::world::topology::Node| {
            let site = node.data_center.index();
            Machine { name: node.name.clone(), site, zone: zone_of(site) }
        };
        let services = scenario.services.iter().zip(&map.services).map(|(service, wanted)| Wanted {
            name: service.name.clone(),
            replicas: wanted.degree,
            sites: wanted.data_centers,
            zones: wanted.zones,
            given: service.replicas.iter().map(|node| node.index()).collect(),
        });
        let next_degree = |protocol: &crate::scenario::Protocol| {
            (protocol.label.clone(), protocol.policy.as_ref().map(|policy| policy.next_degree))
        };
        let places = Self {
            sites: sites.iter().map(|site| site.name.clone()).collect(),
            machines: scenario.topology.nodes.iter().map(machine).collect(),
            zoned: (0..sites.len()).any(|site| zone_of(site) != site),
            services: services.collect(),
            next_degrees: scenario.protocols.iter().map(next_degree).collect(),
        };
        places.next_degrees.iter().any(|(_, degree)| degree.is_some()).then_some(places)
    }

    /// Whether agents are beside a protocol.
    pub fn reorganises(&self, label: &str) -> bool {
        self.next_degrees.iter().any(|(name, degree)| name == label && degree.is_some())
    }

    /// Replicas of each service that the loss of a data center is to leave; without agents, what others are to keep.
    pub fn next_degree(&self, label: &str) -> usize {
        let own = self.next_degrees.iter().find(|(name, degree)| name == label && degree.is_some());
        own.or_else(|| self.next_degrees.iter().find(|(_, degree)| degree.is_some())).and_then(|one| one.1).unwrap_or(1)
    }
}

#[cfg(test)]
impl Places {
    /// Of one protocol, `raft`, with agents.
    pub fn made_up(machines: Vec<Machine>, services: Vec<Wanted>, next_degree: usize) -> Self {
        let sites = machines.iter().map(|machine| machine.site).max().map_or(0, |last| last + 1);
        Self {
            sites: (0..sites).map(|site| format!("site-{site}")).collect(),
            machines,
            zoned: true,
            services,
            next_degrees: vec![("raft".into(), Some(next_degree))],
        }
    }
}
