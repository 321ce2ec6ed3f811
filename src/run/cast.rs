//! Who is on which machine when a run begins, and who may be started later.

use std::rc::Rc;

use super::contest::{Contest, Recruit, round_trip_max};
use crate::id::{NodeId, ServiceId};
use crate::machine::Machine;
use crate::protocols::Group;
use crate::reorg::{self, Resident, ResidentConfig};
use crate::scenario::{Agents, Scenario};
use crate::time::Duration;
use crate::world::topology::Topology;
use crate::world::{ServiceSpec, Spare};

/// What traces call the service of the agents.
pub const AGENTS: &str = "agents";

/// The machines of a run.
pub struct Cast<M: Machine> {
    pub services: Vec<ServiceSpec<M>>,
    /// The service whose replicas are agents, after all others.
    pub agents: Option<ServiceId>,
    pub spare: Option<Spare<M>>,
}

/// Each service keeps the replicas that it was placed on.
pub fn fixed<M: Machine>(scenario: &Scenario, contest: &Contest<'_, M>) -> Cast<M> {
    let services = scenario.services.iter();
    let services = services
        .map(|service| ServiceSpec {
            replicas: service.replicas.clone(),
            configs: (contest.configs)(service, &scenario.topology),
        })
        .collect();
    Cast { services, agents: None, spare: None }
}

/// The machines that may ever hold a replica of a service: placed ones first, then its pool.
struct Directory {
    nodes: Vec<NodeId>,
    round_trip_max: Duration,
}

/// An agent on each machine, and replicas that can move.
///
/// # Panics
/// If the contest does not say how a newcomer is configured.
pub fn reorganised<M: Machine + 'static>(
    scenario: &Scenario,
    contest: &Contest<'_, M>,
    agents: &Agents,
) -> Cast<Resident<M>> {
    let recruit = contest.recruit.clone().expect("a protocol that can change its members says how they are configured");
    let topology = Rc::new(scenario.topology.clone());
    let directories: Vec<Directory> = (scenario.services.iter().zip(&agents.map.services))
        .map(|(service, known)| {
            let others = known.pool.iter().filter(|node| !service.replicas.contains(node));
            let nodes: Vec<NodeId> = service.replicas.iter().chain(others).copied().collect();
            Directory { round_trip_max: round_trip_max(&nodes, &topology), nodes }
        })
        .collect();
    let newcomers = Newcomers { recruit, topology, directories };
    let mut services: Vec<ServiceSpec<Resident<M>>> = Vec::new();
    for (index, service) in scenario.services.iter().enumerate() {
        let config = |&me: &NodeId| newcomers.config(ServiceId::from(index), me, &service.replicas);
        let configs = service.replicas.iter().map(config).collect();
        services.push(ServiceSpec { replicas: service.replicas.clone(), configs });
    }
    let nodes: Vec<NodeId> = (0..scenario.topology.nodes.len()).map(NodeId::from).collect();
    let agent = |&me: &NodeId| {
        let config = reorg::Config { me, map: agents.map.clone(), policy: agents.policy.clone(), views: M::VIEWS };
        ResidentConfig::Agent(Rc::new(config))
    };
    let id = ServiceId::from(services.len());
    services.push(ServiceSpec { configs: nodes.iter().map(agent).collect(), replicas: nodes });
    let spare: Spare<Resident<M>> = Box::new(move |service, node, members| {
        // One that found itself among the first members would take an empty history for the service's.
        let others: Vec<NodeId> = members.iter().copied().filter(|&member| member != node).collect();
        newcomers.config(service, node, &others)
    });
    Cast { services, agents: Some(id), spare: Some(spare) }
}

struct Newcomers<M: Machine> {
    recruit: Recruit<M>,
    topology: Rc<Topology>,
    /// By service.
    directories: Vec<Directory>,
}

impl<M: Machine> Newcomers<M> {
    /// Of a replica on `me`, where these are members.
    fn config(&self, service: ServiceId, me: NodeId, members: &[NodeId]) -> ResidentConfig<M> {
        let Directory { nodes, round_trip_max } = &self.directories[service.index()];
        let group = Group { me, members: members.to_vec(), round_trip_max: *round_trip_max };
        ResidentConfig::Replica((self.recruit)(group, nodes, &self.topology))
    }
}
