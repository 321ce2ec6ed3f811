//! What a manager sees in one round, and how what it decides on that gets into the trace.

use super::super::agent::Cx;
use super::super::constraints::{Violations, cost_of_load};
use super::super::evidence::{Class, Evidence};
use super::super::message::Advert;
use super::super::policy::Policy;
use super::super::sight::Sight;
use crate::id::{NodeId, ServiceId};
use crate::machine::{Decision, Housed, Note, Status};
use crate::time::{Duration, LocalTime};

/// What a manager sees in one round.
pub struct Outlook<'a> {
    pub sight: &'a Sight,
    pub now: LocalTime,
    pub own: &'a Advert,
    pub housed: &'a Housed,
    pub window: Duration,
    pub class: Class,
    pub evidence: &'a Evidence,
    /// A disaster or a partition is under way, or has not been for so long.
    pub is_suspended: bool,
    pub calm_for: Duration,
    /// This machine has been hot for long, and this service is to leave it.
    pub is_hot: bool,
}

impl Outlook<'_> {
    pub(super) fn policy(&self) -> &Policy {
        &self.sight.policy
    }
    pub(super) fn status(&self) -> &Status {
        &self.housed.status
    }
    pub(super) fn set(&self) -> &[NodeId] {
        &self.housed.status.replica_set
    }
    /// The set without one of its members.
    pub(super) fn set_without(&self, node: NodeId) -> Vec<NodeId> {
        self.set().iter().copied().filter(|&one| one != node).collect()
    }
    pub(super) fn me(&self) -> NodeId {
        self.sight.me
    }
    /// Load of a machine between 0 and 1 and beyond; `None`: it is not awake, as far as is known.
    pub(super) fn load(&self, node: NodeId) -> Option<f64> {
        let thousandths = if node == self.me() { self.own.load } else { self.sight.advert(node, self.now)?.load };
        Some(f64::from(thousandths) / 1_000.0)
    }
    /// Load that the service's requests put on this machine.
    pub(super) fn own_share(&self) -> f64 {
        self.own.seat(self.housed.service).map_or(0.0, |seat| f64::from(seat.load) / 1_000.0)
    }
    pub(super) fn rate(&self) -> f64 {
        self.own_share() * self.sight.map.machines[self.me().index()].capacity
    }
    pub(super) fn violations(&self, replicas: &[NodeId]) -> u32 {
        let map = &self.sight.map;
        let service = map.service(self.housed.service);
        Violations::of(replicas, service, map, self.policy().next_degree).count(self.policy())
    }
    pub(super) fn cost(&self, load: f64, node: NodeId) -> f64 {
        cost_of_load(load, node, &self.sight.map, self.policy())
    }
    /// More than counts as hot.
    pub(super) fn is_loaded(&self) -> bool {
        f64::from(self.own.load) / 1_000.0 > self.policy().high
    }
    /// C5 suspends what would only save or tidy up.
    pub(super) fn is_settled(&self) -> bool {
        let policy = self.policy();
        !policy.constraints.suspend || (!self.is_suspended && self.calm_for >= policy.lease)
    }
}

/// Puts a decision into the trace, with its evidence.
pub(super) fn decided(
    action: &'static str,
    service: ServiceId,
    nodes: Vec<NodeId>,
    out: &Outlook<'_>,
    cx: &mut Cx<'_>,
) {
    let evidence = out.evidence;
    cx.note(Note::Decided(Box::new(Decision {
        action,
        class: out.class.name(),
        service: Some(service),
        nodes,
        silent_sites: evidence.silent_sites.iter().map(|&(site, _)| site).collect(),
        silent_nodes: evidence.silent_nodes.clone(),
        agree: evidence.agree.clone(),
        differ: evidence.differ.clone(),
    })));
}
