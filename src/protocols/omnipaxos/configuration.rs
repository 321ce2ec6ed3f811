//! Configurations: who takes part, under which identity.

use std::rc::Rc;

use omnipaxos::ClusterConfig;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::StopSign;

use crate::id::NodeId;

/// A member of a configuration. A node whose disk was lost has another identity than before, so nobody takes
/// it for one that remembers its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub node: NodeId,
    pub identity: u64,
}

/// A configuration of the service. The crate numbers its members from 1, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// From 1.
    pub id: u32,
    pub members: Rc<[Member]>,
}

impl Configuration {
    /// The one that was installed.
    pub fn initial(members: &[NodeId]) -> Self {
        Self { id: 1, members: members.iter().map(|&node| Member { node, identity: 0 }).collect() }
    }

    /// What the crate calls a member: its `pid`.
    pub fn pid(&self, node: NodeId) -> Option<u64> {
        self.members.iter().position(|member| member.node == node).map(|at| at as u64 + 1)
    }

    /// Whom the crate calls `pid`; nobody is 0.
    pub fn node(&self, pid: u64) -> Option<NodeId> {
        self.members.get(usize::try_from(pid).ok()?.checked_sub(1)?).map(|member| member.node)
    }

    /// The nodes, ascending.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.members.iter().map(|member| member.node).collect();
        nodes.sort_unstable();
        nodes
    }

    pub fn holds(&self, member: Member) -> bool {
        self.members.contains(&member)
    }

    pub fn cluster(&self) -> ClusterConfig {
        let nodes = (1..=self.members.len() as u64).collect();
        ClusterConfig { configuration_id: self.id, nodes, flexible_quorum: None }
    }

    /// A ballot's number, above those of all earlier configurations.
    pub fn view(&self, ballot: Ballot) -> Option<(u64, NodeId, u64)> {
        let number = u64::from(self.id - 1) << 32 | u64::from(ballot.n);
        self.node(ballot.pid).map(|leader| (number, leader, 0))
    }

    pub fn bytes(&self) -> u64 {
        8 + 12 * self.members.len() as u64
    }

    /// What a stop-sign carries beside the crate's own fields: nodes and identities.
    pub fn metadata(&self) -> Vec<u8> {
        let bytes = |member: &Member| {
            let (node, identity) = (member.node.0.to_le_bytes(), member.identity.to_le_bytes());
            node.into_iter().chain(identity)
        };
        self.members.iter().flat_map(bytes).collect()
    }

    /// The configuration that a stop-sign names.
    pub fn of(stop: &StopSign) -> Option<Self> {
        let (members, rest) = stop.metadata.as_ref()?.as_chunks::<12>();
        let member = |bytes: &[u8; 12]| {
            let (node, identity) = bytes.split_first_chunk::<4>()?;
            let identity = u64::from_le_bytes(identity.try_into().ok()?);
            Some(Member { node: NodeId(u32::from_le_bytes(*node)), identity })
        };
        let members: Option<Rc<[Member]>> = members.iter().map(member).collect();
        rest.is_empty().then_some(Self { id: stop.next_config.configuration_id, members: members? })
    }
}
